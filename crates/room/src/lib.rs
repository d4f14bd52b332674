//! One XEP-0045 room as Jitsi's clients use it: occupants, roles, presence, messages, subject,
//! configuration.
//!
//! Does not know: media, Jingle, or what the meeting's features make of a room. The focus is in
//! every room as the occupant `focus`; what it does is its owner's business.

mod admin;
mod configuration;
mod history;
mod iq;
mod join;
mod leave;
mod messages;
mod occupant;
mod relay;

pub mod rights;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tertulia_model::jid::{FullJid, Jid, ResourcePart};
use tertulia_model::{
    ConferenceId, EndpointId, Now, Random, RoomJid, SessionChange, SessionId, SessionProfile,
    invariant,
};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::muc::{Affiliation, Item, Role, UserX};
use tertulia_stanza::{Element, Kind, Stanza, StanzaError, ns, text_element};

pub use admin::AdminChange;
pub use configuration::Configuration;
pub use join::{Candidate, legal_nick};
pub use occupant::{Occupant, OccupantId};
pub use relay::{children as relayed_children, clean_name};

use history::History;
use rights::Restrictions;

/// Limits of a room.
#[derive(Clone, Debug)]
pub struct Config {
    /// Occupants, the focus not counted.
    pub occupants_max: usize,
    /// Messages that newcomers are shown.
    pub history_messages_max: usize,
    /// Bytes of those messages.
    pub history_bytes_max: usize,
    /// Characters of a display name that others get.
    pub name_chars_max: usize,
    /// Whether owners can open a lobby.
    pub has_lobby: bool,
}

/// Everything a room can want from its owner, in the order it wants it.
#[derive(Debug)]
pub enum Output {
    /// To the client of that session; without `to` unless it answers something.
    Deliver { to: SessionId, stanza: Arc<Stanza> },
    /// The same to many.
    Broadcast { to: Audience, stanza: Arc<Stanza> },
    /// Somebody is inside now, and everybody has been told.
    Joined(OccupantId),
    /// Somebody is out, and everybody has been told.
    Left(Box<Farewell>),
    /// An occupant shows something else of itself; everybody has been told.
    PresenceChanged(OccupantId),
    /// An occupant's socket was lost or came back.
    Paused {
        occupant: OccupantId,
        is_paused: bool,
    },
    /// What an occupant may do has changed.
    RightsChanged(OccupantId),
    /// Somebody who may wants to change standings. The owner carries out all of it or nothing and
    /// calls [`Room::answer`] with the result.
    Admin {
        from: OccupantId,
        iq: Stanza,
        changes: Vec<AdminChange>,
    },
    /// Somebody who may asks who has that affiliation; the owner calls
    /// [`Room::answer_affiliation_list`].
    ListAffiliation {
        to: SessionId,
        iq: Stanza,
        affiliation: Affiliation,
    },
    /// An owner changed the configuration; everybody has been told that it changed.
    Configured { by: OccupantId },
    /// The subject changed; everybody has been told.
    SubjectChanged { by: EndpointId, subject: String },
    /// An occupant sent an iq to the focus.
    ForFocus { from: OccupantId, iq: Stanza },
    /// Somebody asks what the room is. The owner adds what it knows and calls
    /// [`Room::answer`] with the result.
    Describe {
        to: SessionId,
        iq: Stanza,
        info: DiscoInfo,
    },
    /// The room is over; everybody has been told. Nothing follows.
    Destroyed,
}

/// The last of an occupant.
#[derive(Debug)]
pub struct Farewell {
    pub occupant: Occupant,
    /// Why it went, in its own words; Jitsi's clients say `switch_room` on the way to another room
    /// of the meeting.
    pub status: Option<String>,
}

/// The receivers of a broadcast: a list shared by all broadcasts until somebody comes or goes.
#[derive(Clone, Debug)]
pub struct Audience {
    sessions: Arc<[SessionId]>,
    except: Option<SessionId>,
    next: usize,
}

impl Iterator for Audience {
    type Item = SessionId;

    fn next(&mut self) -> Option<SessionId> {
        loop {
            let session = *self.sessions.get(self.next)?;
            self.next += 1;
            if Some(session) != self.except {
                return Some(session);
            }
        }
    }
}

/// One room.
///
/// Call exactly one `handle_*` or command, then `poll_output` until `None`. A room has no timers:
/// nothing in it happens by itself. A peer's mistake is an `Output` to that peer.
pub struct Room {
    config: Arc<Config>,
    jid: RoomJid,
    id: ConferenceId,
    occupants: BTreeMap<OccupantId, Occupant>,
    by_session: BTreeMap<SessionId, OccupantId>,
    by_nick: BTreeMap<EndpointId, OccupantId>,
    /// Receivers of broadcasts, in the order in which they joined.
    audience: Arc<[SessionId]>,
    next_id: u64,
    focus_jid: FullJid,
    focus_presence: Arc<Stanza>,
    configuration: Configuration,
    restrictions: Restrictions,
    subject: Option<Arc<Stanza>>,
    history: History,
    random: Random,
    is_destroyed: bool,
    outputs: VecDeque<Output>,
}

/// The nick of the focus; Jitsi's clients know bridge signalling by it.
pub const FOCUS_NICK: &str = "focus";

impl Room {
    /// A room with nobody but the focus, whose real JID is `focus` and whose presence has these
    /// children. Ids that the room gives come from `seed`.
    pub fn new(
        config: Arc<Config>,
        jid: RoomJid,
        id: ConferenceId,
        focus: FullJid,
        focus_presence: Vec<Element>,
        seed: [u8; 32],
    ) -> Room {
        let nick = ResourcePart::new(FOCUS_NICK).expect("a literal resource");
        let occupant = jid.occupant(&nick);
        let focus_presence = Arc::new(focus_stanza(&occupant, &focus, focus_presence));
        Room {
            history: History::new(config.history_messages_max, config.history_bytes_max),
            config,
            jid,
            id,
            occupants: BTreeMap::new(),
            by_session: BTreeMap::new(),
            by_nick: BTreeMap::new(),
            audience: Arc::from([]),
            next_id: 0,
            focus_jid: focus,
            focus_presence,
            configuration: Configuration::default(),
            restrictions: Restrictions::default(),
            subject: None,
            random: Random::from_seed(seed),
            is_destroyed: false,
            outputs: VecDeque::new(),
        }
    }

    /// A stanza to the room or to an occupant, except for a join: see [`Room::candidate`].
    pub fn handle_stanza(&mut self, now: Now, from: &Arc<SessionProfile>, stanza: Stanza) {
        if self.is_destroyed {
            return;
        }
        match stanza.kind {
            Kind::Presence => self.handle_presence(from, &stanza),
            Kind::Message => self.handle_message(now, from, &stanza),
            Kind::Iq => self.handle_iq(from, stanza),
        }
    }

    /// Something happened to a session that may be inside.
    pub fn handle_session(&mut self, session: SessionId, change: SessionChange) {
        let Some(&id) = self.by_session.get(&session) else {
            return;
        };
        match change {
            SessionChange::Paused => self.set_paused(id, true),
            SessionChange::Resumed => self.set_paused(id, false),
            SessionChange::Ended(_) => self.drop_occupant(id),
        }
    }

    /// Changes what the focus shows of itself.
    pub fn set_focus_presence(&mut self, children: Vec<Element>) {
        let occupant = self.focus_occupant_jid();
        self.focus_presence = Arc::new(focus_stanza(&occupant, &self.focus_jid, children));
        self.broadcast(&self.focus_presence.clone(), None);
    }

    /// Sends a stanza in the name of the focus.
    pub fn send_from_focus(&mut self, to: OccupantId, mut stanza: Stanza) {
        if let Some(occupant) = self.occupants.get(&to) {
            let session = occupant.profile.id;
            let from = self.focus_occupant_jid();
            stanza.to = None;
            self.deliver(session, Arc::new(stanza.with_from(from)));
        }
    }

    /// Answers a stanza of that session: `stanza` is addressed already.
    pub fn answer(&mut self, to: SessionId, stanza: Stanza) {
        self.deliver(to, Arc::new(stanza));
    }

    /// The next output; None when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The room's address.
    pub fn jid(&self) -> &RoomJid {
        &self.jid
    }

    /// The id of this instance of the room.
    pub fn id(&self) -> &ConferenceId {
        &self.id
    }

    /// All occupants but the focus, in the order in which they joined.
    pub fn occupants(&self) -> impl ExactSizeIterator<Item = &Occupant> {
        self.occupants.values()
    }

    /// One occupant.
    pub fn occupant(&self, id: OccupantId) -> Option<&Occupant> {
        self.occupants.get(&id)
    }

    /// The occupant that a session is.
    pub fn occupant_of(&self, session: SessionId) -> Option<&Occupant> {
        self.occupants.get(self.by_session.get(&session)?)
    }

    /// The occupant with that nick; never the focus.
    pub fn occupant_named(&self, nick: &str) -> Option<&Occupant> {
        self.occupants.get(self.by_nick.get(nick)?)
    }

    /// What owners set.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Sets the configuration in nobody's name; everybody is told that it changed.
    pub fn configure(&mut self, configuration: Configuration) {
        if configuration != self.configuration {
            self.configuration = configuration;
            self.announce_configuration();
        }
    }

    /// Sets the subject in the room's own name and tells everybody.
    pub fn set_subject(&mut self, subject: &str) {
        let message = Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_from(self.bare_jid())
            .with_child(text_element("subject", ns::CLIENT, subject));
        let message = Arc::new(message);
        self.broadcast(&message, None);
        self.subject = Some(message);
    }

    /// The subject of an earlier instance of the room, said by that nick.
    pub fn restore_subject(&mut self, by: &EndpointId, subject: &str) {
        if let Ok(nick) = ResourcePart::new(by.as_str()) {
            let message = Stanza::new(Kind::Message)
                .with_type("groupchat")
                .with_from(self.jid.occupant(&nick))
                .with_child(text_element("subject", ns::CLIENT, subject));
            self.subject = Some(Arc::new(message));
        }
    }

    /// Leaves some things to moderators, or to everybody again.
    pub fn restrict(&mut self, restrictions: Restrictions) {
        self.restrictions = restrictions;
    }

    /// What is left to moderators.
    pub fn restrictions(&self) -> Restrictions {
        self.restrictions
    }

    /// Sends a stanza of the owner's to all occupants.
    pub fn send_to_everybody(&mut self, stanza: Stanza) {
        self.broadcast(&Arc::new(stanza), None);
    }

    /// Sends a stanza of the owner's to all occupants but the one of that session.
    pub fn send_to_others(&mut self, than: SessionId, stanza: Stanza) {
        self.broadcast(&Arc::new(stanza), Some(than));
    }

    /// Sends a stanza of the owner's to those who moderate.
    pub fn send_to_moderators(&mut self, stanza: Stanza) {
        let stanza = Arc::new(stanza);
        let moderators = self.occupants.values();
        let moderators = moderators.filter(|o| o.standing.is_moderator());
        let outputs = moderators.map(|o| Output::Deliver {
            to: o.profile.id,
            stanza: stanza.clone(),
        });
        self.outputs.extend(outputs);
    }

    /// Whether all indexes tell the same.
    pub fn is_consistent(&self) -> bool {
        let sizes = [
            self.by_session.len(),
            self.by_nick.len(),
            self.audience.len(),
        ];
        let is_indexed = |o: &Occupant| {
            self.by_session.get(&o.profile.id) == Some(&o.id)
                && self.by_nick.get(&o.nick) == Some(&o.id)
                && self.audience.contains(&o.profile.id)
        };
        invariant!(
            sizes.iter().all(|size| *size == self.occupants.len())
                && self.occupants.values().all(is_indexed),
            "an occupant is in all indexes or in none"
        )
    }

    fn set_paused(&mut self, id: OccupantId, is_paused: bool) {
        let Some(occupant) = self.occupants.get_mut(&id) else {
            return;
        };
        if occupant.is_paused != is_paused {
            occupant.is_paused = is_paused;
            self.outputs.push_back(Output::Paused {
                occupant: id,
                is_paused,
            });
        }
    }

    /// Sends one stanza to all but one occupant.
    fn broadcast(&mut self, stanza: &Arc<Stanza>, except: Option<SessionId>) {
        let to = Audience {
            sessions: self.audience.clone(),
            except,
            next: 0,
        };
        self.outputs.push_back(Output::Broadcast {
            to,
            stanza: stanza.clone(),
        });
    }

    /// To be called when somebody came in or went out.
    fn count_audience(&mut self) {
        self.audience = self.occupants.values().map(|o| o.profile.id).collect();
    }

    fn deliver(&mut self, to: SessionId, stanza: Arc<Stanza>) {
        self.outputs.push_back(Output::Deliver { to, stanza });
    }

    /// Sends a stanza back with an error, where one may answer it.
    fn refuse_stanza(&mut self, to: SessionId, stanza: &Stanza, error: impl Into<StanzaError>) {
        if stanza.may_be_refused() {
            let error = error.into();
            tracing::debug!(condition = %error.condition, kind = stanza.kind.as_str(), "stanza refused");
            self.deliver(to, Arc::new(stanza.error(error)));
        }
    }

    fn focus_occupant_jid(&self) -> FullJid {
        self.jid
            .occupant(&ResourcePart::new(FOCUS_NICK).expect("a literal resource"))
    }

    fn bare_jid(&self) -> Jid {
        Jid::from(self.jid.bare().clone())
    }
}

fn focus_stanza(occupant: &FullJid, real: &FullJid, mut children: Vec<Element>) -> Stanza {
    let jid = Some(Jid::from(real.clone()));
    let item = Item::new(Affiliation::Owner, Role::Moderator, jid);
    children.push(UserX::item(item).to_element());
    Stanza::new(Kind::Presence)
        .with_from(occupant.clone())
        .with_children(children)
}

#[cfg(test)]
mod tests;
