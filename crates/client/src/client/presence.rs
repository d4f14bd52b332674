//! What we show of ourselves: name, sources and whether they are muted, the raised hand.

use super::*;

impl Client {
    /// Switches our own microphone or camera off or on. Not on while A/V moderation forbids it.
    pub fn mute(&mut self, now: Now, media: MediaType, is_muted: bool) {
        let kind = MediaKind::from(media);
        if !is_muted && !self.may_unmute(kind) && !self.config.habits.is_defiant {
            self.notice(Notice::UnmuteForbidden(kind));
            return;
        }
        let was_muted = match media {
            MediaType::Audio => std::mem::replace(&mut self.live.is_audio_muted, is_muted),
            MediaType::Video => std::mem::replace(&mut self.live.is_video_muted, is_muted),
        };
        if was_muted != is_muted {
            self.live_changed(now, kind);
        }
        self.settle(now);
    }

    /// Shows our screen, or no longer. Not while A/V moderation forbids it.
    pub fn share_screen(&mut self, now: Now, is_shared: bool) {
        let kind = MediaKind::Desktop;
        if is_shared && !self.may_unmute(kind) && !self.config.habits.is_defiant {
            self.notice(Notice::UnmuteForbidden(kind));
            return;
        }
        if std::mem::replace(&mut self.live.is_screen_shared, is_shared) != is_shared {
            self.live_changed(now, kind);
        }
        self.settle(now);
    }

    /// Raises our hand, or lowers it.
    pub fn raise_hand(&mut self, now: Now, is_up: bool) {
        if is_up != self.hand_raised.is_some() {
            self.hand_raised = is_up.then(|| now.wall.timestamp_millis());
            self.send_presence(now);
        }
        self.settle(now);
    }

    /// Takes another name.
    pub fn set_display_name(&mut self, now: Now, name: &str) {
        name.clone_into(&mut self.config.display_name);
        self.send_presence(now);
        self.settle(now);
    }

    /// Speaks or is quiet.
    pub fn speak(&mut self, is_speaking: bool) {
        self.live.is_speaking = is_speaking;
        if let Some(call) = &mut self.call {
            call.media.set_live(self.live);
        }
    }

    /// What we could send.
    pub(super) fn own_kinds(&self) -> Vec<MediaKind> {
        let has_camera = self.config.video.is_some();
        let kinds = MediaKind::ALL.into_iter();
        kinds
            .filter(|kind| has_camera || *kind != MediaKind::Video)
            .collect()
    }

    /// What we can send here: a visitor only listens.
    pub(super) fn kinds(&self) -> Vec<MediaKind> {
        let is_visitor =
            self.occupants
                .as_ref()
                .map_or(
                    self.config.habits.prefers_visitor,
                    |occupants| match occupants.role() {
                        Role::None => self.config.habits.prefers_visitor,
                        role => role == Role::Visitor,
                    },
                );
        if is_visitor {
            Vec::new()
        } else {
            self.own_kinds()
        }
    }

    pub(super) fn is_off(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.live.is_audio_muted,
            MediaKind::Video => self.live.is_video_muted,
            MediaKind::Desktop => !self.live.is_screen_shared,
        }
    }

    /// What Jitsi's client puts into each of its presences.
    pub(super) fn presence_children(&self, nick: &str) -> Vec<Element> {
        let mut info = Map::new();
        for kind in self.kinds() {
            let mut one = json!({ "muted": self.is_off(kind) });
            match kind {
                MediaKind::Audio => {}
                MediaKind::Video => one["videoType"] = json!("camera"),
                // Nobody hears of a screen before it was shared once.
                MediaKind::Desktop if self.unannounced.contains(&kind) => continue,
                MediaKind::Desktop => one["videoType"] = json!("desktop"),
            }
            info.insert(format!("{nick}-{}", kind.suffix()), one);
        }
        let caps = Element::builder("c", ns::CAPS)
            .with("hash", "sha-1")
            .with("node", CAPS_NODE)
            .with("ver", CAPS_VERSION)
            .build();
        // What we want from everybody: Jitsi's clients send what all others name.
        let codecs = match self.config.video.as_ref().map(|video| video.codec) {
            Some(CameraCodec::Vp9) => "vp9,vp8",
            Some(CameraCodec::Vp8) | None => "vp8",
        };
        let mut children = vec![
            text_element("stats-id", ns::CLIENT, "Headless"),
            caps,
            text_element("SourceInfo", ns::CLIENT, &Value::Object(info).to_string()),
            text_element("jitsi_participant_codecList", ns::CLIENT, codecs),
            text_element("nick", ns::NICK, &self.config.display_name),
        ];
        if let Some(since) = self.hand_raised {
            children.push(text_element(RAISED_HAND, ns::CLIENT, &since.to_string()));
        }
        children
    }

    pub(super) fn send_presence(&mut self, now: Now) {
        let Some((_, nick)) = self.me.clone() else {
            return;
        };
        if matches!(self.stage, Stage::Joining | Stage::Joined)
            && let Some(presence) = self.to_room(&nick)
        {
            let children = self.presence_children(&nick);
            self.line.send(now, presence.with_children(children));
        }
    }

    /// Something of ours was switched off or on.
    fn live_changed(&mut self, now: Now, kind: MediaKind) {
        if !self.is_off(kind) {
            self.unannounced.retain(|unannounced| *unannounced != kind);
        }
        if let Some(call) = &mut self.call {
            call.media.set_live(self.live);
        }
        self.announce(now);
        self.send_presence(now);
        self.send_video_type(now, kind);
    }
}

const CAPS_NODE: &str = "https://jitsi.org/jitsi-meet";
const CAPS_VERSION: &str = "dGVydHVsaWEtaGVhZGxlc3M=";
