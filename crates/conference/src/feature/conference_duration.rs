//! Since when the meeting lasts: clients show the time.
//!
//! Speaks: muc#roominfo_created_timestamp, milliseconds since 1970. It counts from the second
//! occupant, which is the first participant: the focus is always there.

use tertulia_model::Now;
use tertulia_room::Room;
use tertulia_stanza::disco::DiscoInfo;

use super::Feature;

#[derive(Default)]
pub(crate) struct ConferenceDuration {
    since_ms: Option<i64>,
}

impl Feature for ConferenceDuration {
    fn after_join(&mut self, now: Now, _room: &Room) {
        self.since_ms.get_or_insert(now.wall.timestamp_millis());
    }

    fn describe(&self, _room: &Room, info: &mut DiscoInfo) {
        let Some(since) = self.since_ms else { return };
        if let Some(form) = info.forms.pop() {
            info.forms
                .push(form.with("muc#roominfo_created_timestamp", &since.to_string()));
        }
    }
}
