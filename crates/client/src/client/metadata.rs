//! Room metadata: a map that everybody has and moderators change.
//!
//! Speaks: Jitsi's `<room_metadata/>` and its JSON messages.

use super::*;

impl Client {
    /// Sets one key of the room's metadata.
    pub fn set_metadata(&mut self, now: Now, key: &str, data: &Value) {
        let text = json!({ "key": key, "data": data, "type": "room_metadata" }).to_string();
        let command = Element::builder("room_metadata", ns::JITSI_MEET)
            .with("room", self.room.to_string())
            .append(text)
            .build();
        self.command(now, "room_metadata", command);
    }

    /// The room's metadata, as the server sent it last.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.meeting.metadata
    }

    /// How often the room's metadata came since we asked to be let in.
    pub fn metadata_updates(&self) -> u64 {
        self.meeting.metadata_updates
    }

    pub(super) fn handle_metadata(&mut self, now: Now, value: &Value) {
        let Some(metadata) = value.get("metadata").and_then(Value::as_object) else {
            return;
        };
        self.meeting.metadata.clone_from(metadata);
        self.meeting.metadata_updates += 1;
        // Only what comes before we are in decides whether we begin muted.
        if self.stage != Stage::Joining {
            return;
        }
        let policy = metadata.get("startMuted").cloned().unwrap_or_default();
        for media in [MediaType::Audio, MediaType::Video] {
            let is_wanted = policy.get(media.as_str()) == Some(&Value::Bool(true));
            if is_wanted && !self.is_off(media.into()) {
                self.notice(Notice::StartsMuted(media));
                self.mute(now, media, true);
            }
        }
    }
}
