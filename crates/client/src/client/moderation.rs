//! Mute by moderators and A/V moderation: who may switch on microphone, camera and screen.
//!
//! Speaks: Jitsi's `<mute/>`, `<av_moderation/>` and its JSON messages.

use super::*;

/// A/V moderation of one kind of media, as we know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moderation {
    pub is_enabled: bool,
    /// Who turned it on or off last, as an occupant's address.
    pub actor: Option<String>,
    /// A moderator allowed us to switch it on all the same.
    pub is_approved: bool,
    /// Who may besides moderators, as occupants' addresses; only moderators are told.
    pub whitelist: Vec<String>,
}

impl Client {
    /// Mutes somebody else; only moderators may.
    pub fn mute_other(&mut self, now: Now, nick: &str, kind: MediaKind) {
        self.ask_mute(now, nick, kind, true);
    }

    /// Asks the focus to mute or unmute an occupant. Nobody may unmute somebody else.
    pub fn ask_mute(&mut self, now: Now, nick: &str, kind: MediaKind, is_muted: bool) {
        let focus = ResourcePart::new("focus").expect("a literal resource");
        let focus = self.room.occupant(&focus);
        let Ok(victim) = ResourcePart::new(nick) else {
            return;
        };
        let victim = self.room.occupant(&victim);
        let namespace = format!("{}/{}", ns::JITSI_MEET, kind.as_str());
        let mute = Element::builder("mute", namespace)
            .with("jid", victim.as_str())
            .append(is_muted.to_string())
            .build();
        let question = Question::Deed(Deed::Mute(kind));
        self.ask(now, focus.into(), "set", mute, question);
        self.settle(now);
    }

    /// Turns A/V moderation of one kind on or off; only moderators may.
    pub fn set_moderation(&mut self, now: Now, kind: MediaKind, is_on: bool) {
        let command = moderation_command(kind, "enable", &is_on.to_string());
        self.command(now, "av_moderation", command);
    }

    /// Allows an occupant to switch on what moderation forbids, or takes that back.
    pub fn approve(&mut self, now: Now, kind: MediaKind, nick: &str, is_allowed: bool) {
        let occupant = format!("{}/{nick}", self.room);
        let what = if is_allowed {
            "jidToWhitelist"
        } else {
            "jidToBlacklist"
        };
        let command = moderation_command(kind, what, &occupant);
        self.command(now, "av_moderation", command);
    }

    /// A/V moderation of one kind, as far as we were told.
    pub fn moderation(&self, kind: MediaKind) -> Moderation {
        let known = self.meeting.moderation.get(&kind);
        known.cloned().unwrap_or_default()
    }

    /// Whether we may switch this on.
    pub fn may_unmute(&self, kind: MediaKind) -> bool {
        let state = self.meeting.moderation.get(&kind);
        state.is_none_or(|state| !state.is_enabled || state.is_approved) || self.is_moderator()
    }

    pub(super) fn handle_moderation(&mut self, value: &Value) {
        let kind = value.get("mediaType").and_then(Value::as_str);
        let Some(kind) = kind.and_then(MediaKind::from_name) else {
            tracing::debug!("A/V moderation of an unknown kind");
            return;
        };
        let is_true = |name: &str| value.get(name) == Some(&Value::Bool(true));
        let state = self.meeting.moderation.entry(kind).or_default();
        if let Some(lists) = value.get("whitelists") {
            // COMPAT(jitsi-meet): an empty list is left out.
            let list = lists.get(kind.as_str()).and_then(Value::as_array);
            let names = list.into_iter().flatten().filter_map(Value::as_str);
            state.whitelist = names.map(str::to_owned).collect();
        } else if let Some(is_enabled) = value.get("enabled").and_then(Value::as_bool) {
            if std::mem::replace(&mut state.is_enabled, is_enabled) != is_enabled {
                let actor = value.get("actor").and_then(Value::as_str);
                state.actor = actor.map(str::to_owned);
                state.is_approved = false;
            }
        } else if is_true("removed") {
            state.is_approved = false;
            self.notice(Notice::Rejected(kind));
        } else if is_true("approved") {
            state.is_approved = true;
            self.notice(Notice::Approved(kind));
        }
    }

    /// A moderator mutes us through the focus. Only the focus is believed, and only `true`.
    pub(super) fn handle_mute(&mut self, now: Now, mute: &Element) {
        let namespace = mute.ns();
        let name = namespace.strip_prefix("http://jitsi.org/jitmeet/");
        let kind = name.and_then(MediaKind::from_name);
        let (Some(kind), "true") = (kind, mute.text().trim()) else {
            return;
        };
        self.notice(Notice::MutedByModerator(kind));
        if self.config.habits.is_defiant {
            return;
        }
        match kind {
            MediaKind::Audio => self.mute(now, MediaType::Audio, true),
            MediaKind::Video => self.mute(now, MediaType::Video, true),
            MediaKind::Desktop => self.share_screen(now, false),
        }
    }
}

fn moderation_command(kind: MediaKind, what: &'static str, value: &str) -> Element {
    // COMPAT(lib-jitsi-meet): in no namespace of its own.
    Element::builder("av_moderation", ns::CLIENT)
        .with(what, value)
        .with("mediaType", kind.as_str())
        .build()
}
