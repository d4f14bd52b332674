//! One room of a meeting with everything that belongs to it alone: its occupants, its media, its
//! features. The main room is one, and so is each breakout room that somebody is in.

use std::collections::BTreeSet;

use tertulia_focus::Focus;
use tertulia_model::{BridgeEvent, ConferenceId, MayForward, Now, RoomJid};
use tertulia_room::rights::{Act, may};
use tertulia_room::{Occupant, OccupantId, Room};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::source_info::Sending;

use crate::Config;
use crate::feature::av_moderation::AvModeration;
use crate::feature::conference_duration::ConferenceDuration;
use crate::feature::file_sharing::SharedFiles;
use crate::feature::meeting_id;
use crate::feature::metadata::Metadata;
use crate::feature::polls::Polls;
use crate::feature::speaker_stats::SpeakerStats;
use crate::journal::Journal;

pub(crate) struct Hall {
    pub(crate) room: Room,
    pub(crate) focus: Focus,
    /// Before the keys of what its features keep in the journal.
    pub(crate) journal_prefix: String,
    pub(crate) duration: ConferenceDuration,
    pub(crate) metadata: Metadata,
    pub(crate) moderation: AvModeration,
    /// Those inside who moderate, by what was last heard of it.
    pub(crate) moderators: BTreeSet<OccupantId>,
    pub(crate) polls: Polls,
    pub(crate) speakers: SpeakerStats,
    pub(crate) files: SharedFiles,
}

/// What surrounds a room when something happens in it.
pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a Config,
    pub(crate) journal: &'a mut Journal,
}

impl<'a> Cx<'a> {
    pub(crate) fn new(now: Now, config: &'a Config, journal: &'a mut Journal) -> Cx<'a> {
        Cx {
            now,
            config,
            journal,
        }
    }
}

impl Hall {
    pub(crate) fn new(
        now: Now,
        room: Room,
        focus: Focus,
        is_main: bool,
        journal: &Journal,
    ) -> Hall {
        let journal_prefix = if is_main {
            String::new()
        } else {
            journal_prefix(room.jid())
        };
        let mut hall = Hall {
            duration: ConferenceDuration::restored(journal, &journal_prefix),
            metadata: Metadata::restored(journal, &journal_prefix),
            moderation: AvModeration::restored(journal, &journal_prefix),
            moderators: BTreeSet::new(),
            polls: Polls::restored(journal, &journal_prefix),
            speakers: SpeakerStats::default(),
            files: SharedFiles::restored(journal, &journal_prefix),
            journal_prefix,
            room,
            focus,
        };
        hall.restore(journal);
        hall.apply_metadata(now);
        hall
    }

    /// The id of this instance, for media and in discovery.
    pub(crate) fn id(&self) -> &ConferenceId {
        self.room.id()
    }

    pub(crate) fn jid(&self) -> &RoomJid {
        self.room.jid()
    }

    /// Somebody has come in and knows it: what the features have to say.
    pub(crate) fn greet(&mut self, cx: &mut Cx<'_>, id: OccupantId) {
        self.duration
            .begin(cx.now, cx.journal, &self.journal_prefix);
        self.read_start_muted(cx, id, true);
        self.greet_with_moderation(cx, id);
        self.greet_with_polls(cx, id);
        self.greet_with_files(cx, id);
        self.greet_with_speaker_stats(cx, id);
    }

    /// Somebody shows something else of itself.
    pub(crate) fn presence_changed(&mut self, cx: &mut Cx<'_>, id: OccupantId) {
        self.read_start_muted(cx, id, false);
        self.read_sending(cx, id);
    }

    /// What an occupant sends by its own account, where that counts for a limit.
    pub(crate) fn read_sending(&mut self, cx: &Cx<'_>, id: OccupantId) {
        let limits = &cx.config.focus;
        let is_limited = limits.audio_senders_max.is_some() || limits.video_senders_max.is_some();
        if let Some(occupant) = self.room.occupant(id).filter(|_| is_limited) {
            let nick = occupant.nick();
            let sending = Sending::of(nick.as_str(), occupant.presence().children());
            self.focus.set_sending(cx.now, nick, sending);
        }
    }

    /// What an occupant may do has changed.
    pub(crate) fn rights_changed(&mut self, cx: &mut Cx<'_>, id: OccupantId) {
        self.tell_rights(id);
        self.moderator_changed(cx, id);
    }

    /// Somebody has left.
    pub(crate) fn part(&mut self, now: Now, occupant: &Occupant) {
        self.forget_start_muted(occupant.id());
        self.moderators.remove(&occupant.id());
        if !occupant.is_hidden() {
            let name = occupant.display_name();
            self.speakers.leave(now, occupant.nick(), name);
        }
        self.focus.leave(now, occupant.nick());
    }

    /// Something happened to the room on the bridge.
    pub(crate) fn handle_bridge(&mut self, now: Now, event: BridgeEvent) {
        self.focus.handle_bridge(now, event);
        self.speakers.listen(now, self.focus.dominant_speaker());
    }

    /// What the features add to the description of the room.
    pub(crate) fn describe(&self, info: &mut DiscoInfo) {
        meeting_id::describe(&self.room, info);
        self.duration.describe(info);
    }

    /// Lets the bridge enforce what an occupant may do.
    pub(crate) fn tell_rights(&mut self, id: OccupantId) {
        if let Some(occupant) = self.room.occupant(id) {
            let may = MayForward {
                audio: may(occupant, Act::Speak),
                camera: may(occupant, Act::ShowCamera),
                screen: may(occupant, Act::ShowScreen),
                // Clients know no sender whom they do not see.
                messages: may(occupant, Act::Chat) && !occupant.is_hidden(),
            };
            self.focus.set_may_forward(occupant.nick(), may);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.room.occupants().len() == 0
    }

    /// Takes up what an earlier instance of the room had been set to.
    fn restore(&mut self, journal: &Journal) {
        let key = |name: &str| format!("{}{name}", self.journal_prefix);
        let mut configuration = self.room.configuration().clone();
        configuration.is_members_only = journal.get(&key(LOBBY)).is_some();
        configuration.password = journal.get(&key(PASSWORD)).map(str::to_owned);
        let subject = journal.get(&key(SUBJECT)).and_then(|kept| {
            let (by, subject) = kept.split_once('\n')?;
            Some((by.parse().ok()?, subject.to_owned()))
        });
        self.room.configure(configuration);
        if let Some((by, subject)) = subject {
            self.room.restore_subject(&by, &subject);
        }
    }

    /// Keeps what owners set.
    pub(crate) fn keep_configuration(&self, journal: &mut Journal) {
        let key = format!("{}{PASSWORD}", self.journal_prefix);
        match &self.room.configuration().password {
            Some(password) => journal.set(&key, password),
            None => journal.remove(&key),
        }
        let key = format!("{}{LOBBY}", self.journal_prefix);
        if self.room.configuration().is_members_only {
            journal.set(&key, "open");
        } else {
            journal.remove(&key);
        }
    }

    pub(crate) fn keep_subject(&self, journal: &mut Journal, by: &str, subject: &str) {
        let key = format!("{}{SUBJECT}", self.journal_prefix);
        journal.set(&key, &format!("{by}\n{subject}"));
    }
}

/// Before what the features of a breakout room keep.
pub(crate) fn journal_prefix(room: &RoomJid) -> String {
    format!("room/{room}/")
}

const PASSWORD: &str = "password";
const LOBBY: &str = "lobby";
const SUBJECT: &str = "subject";
