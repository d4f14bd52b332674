//! Room metadata: a small object that everybody in a room has. Moderators set most of it, the
//! server the rest.
//!
//! Speaks: `<room_metadata/>` to the service `metadata.` and the whole object as JSON from it
//! (Jitsi's `mod_room_metadata_component`); `<startmuted/>` in a moderator's presence, as old
//! clients send it.
//!
//! Clients that know this service take TURN servers from it, and an empty list would wipe those of
//! their configuration: a server that has none to give does not name them at all.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tertulia_model::jid::Jid;
use tertulia_model::{Host, Now, Service};
use tertulia_room::OccupantId;
use tertulia_room::rights::{Act, Restrictions, Standing, may};
use tertulia_stanza::json_message::{json_message_of_room, read_object};
use tertulia_stanza::muc::Role;
use tertulia_stanza::mute::{MuteMedia, StartMuted};
use tertulia_stanza::{Condition, Kind, Stanza, StanzaError, ns};

use crate::Config;
use crate::feature::{check_named_room, refused};
use crate::hall::{Cx, Hall};
use crate::journal::Journal;

#[derive(Default)]
pub(crate) struct Metadata {
    /// What people set, and what other features set for them to see.
    set: BTreeMap<String, Value>,
    /// What the server says of itself; not kept.
    own: BTreeMap<&'static str, Value>,
    /// What each presence last said of who starts muted. A presence is sent again and again; only
    /// a change is somebody's wish.
    start_muted_shown: BTreeMap<OccupantId, StartMuted>,
}

impl Metadata {
    /// The metadata of a room that was cut off.
    pub(crate) fn restored(journal: &Journal, prefix: &str) -> Metadata {
        let prefix = format!("{prefix}{PREFIX}");
        let read = |(key, value): (&str, &str)| {
            let value = serde_json::from_str(value).ok()?;
            Some((key.to_owned(), value))
        };
        Metadata {
            set: journal.under(&prefix).filter_map(read).collect(),
            ..Metadata::default()
        }
    }

    /// What newcomers are to leave off.
    pub(crate) fn start_muted(&self) -> StartMuted {
        let policy = self.set.get(START_MUTED);
        StartMuted {
            audio: flag(policy, "audio"),
            video: flag(policy, "video"),
        }
    }

    /// How many participants make a meeting. One is enough where it is transcribed: somebody
    /// listens already.
    fn participants_min(&self) -> usize {
        let is_transcribed = flag(self.set.get(RECORDING), TRANSCRIBING);
        if is_transcribed { 1 } else { 2 }
    }

    /// What is left to moderators.
    fn restrictions(&self) -> Restrictions {
        let permissions = self.set.get(PERMISSIONS);
        Restrictions {
            has_quiet_chat: flag(permissions, "groupChatRestricted"),
            has_no_polls: flag(permissions, "pollCreationRestricted"),
        }
    }

    /// All of it; what the server says counts more.
    fn object(&self) -> Map<String, Value> {
        let set = self.set.iter().map(|(k, v)| (k.clone(), v.clone()));
        let own = self.own.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
        set.chain(own).collect()
    }

    /// The `startMuted` object with other values; what else is in it stays.
    fn with_start_muted(&self, start_muted: StartMuted) -> Value {
        let policy = self.set.get(START_MUTED).and_then(Value::as_object);
        let mut policy = policy.cloned().unwrap_or_default();
        policy.insert("audio".to_owned(), json!(start_muted.audio));
        policy.insert("video".to_owned(), json!(start_muted.video));
        Value::Object(policy)
    }

    /// Whether there is room for a value.
    fn check_size(&self, cx: &Cx<'_>, key: &str, value: &Value) -> Result<(), StanzaError> {
        let rules = &cx.config.rules;
        let others = self.set.iter().filter(|(other, _)| *other != key);
        let size = |(key, value): (&String, &Value)| key.len() + value.to_string().len();
        let (count, bytes) = others.fold((0, 0), |(n, b), one| (n + 1, b + size(one)));
        let is_too_much = count + 1 > rules.metadata_keys_max
            || bytes + key.len() + value.to_string().len() > rules.metadata_bytes_max;
        if is_too_much {
            let text = "the room's metadata would become too large";
            return Err(refused(Condition::ResourceConstraint, text));
        }
        Ok(())
    }
}

impl Hall {
    /// A message to the service from somebody inside.
    pub(crate) fn handle_metadata(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        message: &Stanza,
    ) -> Result<(), StanzaError> {
        let element = message
            .child("room_metadata", ns::JITSI_MEET)
            .ok_or_else(|| refused(Condition::BadRequest, "expected room_metadata"))?;
        check_named_room(cx, self.jid(), element)?;
        let object = read_object(&element.text())
            .map_err(|error| refused(Condition::BadRequest, &error.to_string()))?;
        let key = object.get("key").and_then(Value::as_str);
        let key = key.filter(|key| is_legal_key(key)).ok_or_else(|| {
            let text = "expected a key of 1 to 128 bytes without control characters";
            refused(Condition::BadRequest, text)
        })?;
        let act = match key {
            START_MUTED => Act::MuteOthers,
            _ => Act::Configure,
        };
        if !self.room.occupant(who).is_some_and(|who| may(who, act)) {
            return Err(Condition::Forbidden.into());
        }
        if SERVER_ONLY.contains(&key) {
            let text = "only the server sets this key";
            return Err(refused(Condition::NotAllowed, text));
        }
        let data = object.get("data").filter(|data| !data.is_null());
        let data = data.ok_or_else(|| refused(Condition::BadRequest, "expected data"))?;
        check_shape(key, data)?;
        self.metadata.check_size(cx, key, data)?;
        self.set_metadata(cx, key, data.clone());
        Ok(())
    }

    /// Sets a key and tells everybody if that changes anything.
    fn set_metadata(&mut self, cx: &mut Cx<'_>, key: &str, value: Value) {
        if self.metadata.set.get(key) == Some(&value) {
            return;
        }
        let kept = format!("{}{PREFIX}{key}", self.journal_prefix);
        cx.journal.set(&kept, &value.to_string());
        self.metadata.set.insert(key.to_owned(), value);
        self.apply_metadata(cx.now);
        self.show_metadata(cx.config);
    }

    /// Sets what the server says about the room.
    pub(crate) fn set_own_metadata(&mut self, config: &Config, key: &'static str, value: Value) {
        let before = self.metadata.own.insert(key, value);
        if before.as_ref() != self.metadata.own.get(key) {
            self.show_metadata(config);
        }
    }

    /// Sets whether newcomers leave off one kind of media.
    pub(crate) fn set_start_muted(&mut self, cx: &mut Cx<'_>, media: MuteMedia, is_muted: bool) {
        let mut start_muted = self.metadata.start_muted();
        match media {
            MuteMedia::Audio => start_muted.audio = is_muted,
            MuteMedia::Video => start_muted.video = is_muted,
            // Nobody comes in with a screen.
            MuteMedia::Desktop => return,
        }
        if start_muted != self.metadata.start_muted() {
            let value = self.metadata.with_start_muted(start_muted);
            self.set_metadata(cx, START_MUTED, value);
        }
    }

    /// What somebody gets before anything else, so that its client knows it when it is inside.
    pub(crate) fn metadata_for_newcomer(
        &self,
        config: &Config,
        standing: &Standing,
        services: Option<Value>,
    ) -> Stanza {
        let everything = StartMuted {
            audio: true,
            video: true,
        };
        // A visitor sends nothing; the others may be too many.
        let start_muted = if standing.role == Role::Visitor {
            everything
        } else {
            self.focus.start_muted()
        };
        let mut object = self.metadata.object();
        if start_muted != self.metadata.start_muted() {
            let value = self.metadata.with_start_muted(start_muted);
            object.insert(START_MUTED.to_owned(), value);
        }
        if let Some(services) = services {
            object.insert(SERVICES.to_owned(), services);
        }
        self.metadata_message(config, object)
    }

    /// COMPAT(lib-jitsi-meet): old clients say in their presence who starts muted, new ones say it
    /// there as well.
    pub(crate) fn read_start_muted(&mut self, cx: &mut Cx<'_>, id: OccupantId, is_new: bool) {
        let Some(occupant) = self.room.occupant(id) else {
            return;
        };
        let may_decide = may(occupant, Act::MuteOthers);
        let shown = occupant.shows("startmuted", ns::START_MUTED);
        let Some(shown) = shown.and_then(StartMuted::parse) else {
            self.metadata.start_muted_shown.remove(&id);
            return;
        };
        let before = self.metadata.start_muted_shown.insert(id, shown);
        // Whoever comes back with an old presence does not undo what was decided since.
        let is_wish = if is_new {
            !self.metadata.set.contains_key(START_MUTED)
        } else {
            before != Some(shown)
        };
        if is_wish && may_decide && shown != self.metadata.start_muted() {
            let value = self.metadata.with_start_muted(shown);
            self.set_metadata(cx, START_MUTED, value);
        }
    }

    /// Forgets what somebody's presence said.
    pub(crate) fn forget_start_muted(&mut self, id: OccupantId) {
        self.metadata.start_muted_shown.remove(&id);
    }

    /// Lets the metadata have their effect in room and focus.
    pub(crate) fn apply_metadata(&mut self, now: Now) {
        self.focus.set_start_muted(self.metadata.start_muted());
        let participants_min = self.metadata.participants_min();
        self.focus.set_participants_min(now, participants_min);
        self.room.restrict(self.metadata.restrictions());
    }

    fn show_metadata(&mut self, config: &Config) {
        let message = self.metadata_message(config, self.metadata.object());
        self.room.send_to_everybody(message);
    }

    fn metadata_message(&self, config: &Config, object: Map<String, Value>) -> Stanza {
        let json = json!({ "type": "room_metadata", "metadata": object });
        let from = Jid::from(config.hosts.name(Host::Service(Service::Metadata)));
        Stanza::new(Kind::Message)
            .with_from(from)
            .with_child(json_message_of_room(&self.jid().to_string(), &json))
    }
}

fn flag(object: Option<&Value>, name: &str) -> bool {
    let flag = object.and_then(|object| object.get(name));
    flag.and_then(Value::as_bool).unwrap_or_default()
}

fn is_legal_key(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len()) && !key.contains(char::is_control)
}

/// What clients and we ourselves look into has the form that they expect.
fn check_shape(key: &str, data: &Value) -> Result<(), StanzaError> {
    let flags: &[&str] = match key {
        START_MUTED => &["audio", "video"],
        PERMISSIONS => &["groupChatRestricted", "pollCreationRestricted"],
        RECORDING => &[TRANSCRIBING],
        "audioTranslation" => &["enabled"],
        "visitors" => &["live"],
        _ => return Ok(()),
    };
    let is_flag = |name: &&str| data.get(*name).is_none_or(Value::is_boolean);
    if data.is_object() && flags.iter().all(is_flag) {
        return Ok(());
    }
    let text = format!(
        "expected an object in which {} are true or false",
        flags.join(", ")
    );
    Err(refused(Condition::BadRequest, &text))
}

/// Whether there is a lobby.
pub(crate) const LOBBY_ENABLED: &str = "lobbyEnabled";
/// Whether everybody moderates.
pub(crate) const ALL_OWNERS: &str = "allownersEnabled";
const START_MUTED: &str = "startMuted";
/// STUN and TURN servers, with credentials of who is told of them.
const SERVICES: &str = "services";
const PERMISSIONS: &str = "permissions";
const RECORDING: &str = "recording";
const TRANSCRIBING: &str = "isTranscribingEnabled";
const PREFIX: &str = "metadata/";
const KEY_BYTES_MAX: usize = 128;

/// What nobody but the server may say about a room.
const SERVER_ONLY: [&str; 13] = [
    ALL_OWNERS,
    "asyncTranscription",
    "audioTranslationRequests",
    "conferencePresetsServiceEnabled",
    "dialinEnabled",
    LOBBY_ENABLED,
    "moderators",
    "participants",
    "participantsSoftLimit",
    SERVICES,
    "transcriberType",
    "transcription",
    "visitorsEnabled",
];
