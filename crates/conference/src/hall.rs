//! One room of a meeting with everything that belongs to it alone: its occupants, its media, its
//! features. The main room is one, and so is each breakout room that somebody is in.

use tertulia_focus::Focus;
use tertulia_model::{ConferenceId, MayForward, Now, RoomJid};
use tertulia_room::rights::{Act, Standing, may};
use tertulia_room::{OccupantId, Room};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::muc::Affiliation;

use crate::feature::conference_duration::ConferenceDuration;
use crate::feature::meeting_id;
use crate::journal::Journal;

pub(crate) struct Hall {
    pub(crate) room: Room,
    pub(crate) focus: Focus,
    /// Before the keys of what its features keep in the journal.
    pub(crate) journal_prefix: String,
    pub(crate) duration: ConferenceDuration,
}

impl Hall {
    pub(crate) fn new(room: Room, focus: Focus, is_main: bool, journal: &Journal) -> Hall {
        let journal_prefix = if is_main {
            String::new()
        } else {
            journal_prefix(room.jid())
        };
        let mut hall = Hall {
            duration: ConferenceDuration::restored(journal, &journal_prefix),
            journal_prefix,
            room,
            focus,
        };
        hall.restore(journal);
        hall
    }

    /// The id of this instance, for media and in discovery.
    pub(crate) fn id(&self) -> &ConferenceId {
        self.room.id()
    }

    pub(crate) fn jid(&self) -> &RoomJid {
        self.room.jid()
    }

    /// What an affiliation permits in this room at the moment.
    pub(crate) fn standing(&self, affiliation: Affiliation) -> Standing {
        Standing::of(affiliation)
    }

    /// Somebody has come in and knows it: what the features have to say.
    pub(crate) fn greet(&mut self, now: Now, journal: &mut Journal, _id: OccupantId) {
        self.duration.begin(now, journal, &self.journal_prefix);
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
                messages: may(occupant, Act::Chat),
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
