//! Who is there: sessions by id and JID, conferences by room and id. And what follows from a
//! stanza's address (docs/protocol/routing.md).
//!
//! The tables are behind locks that are held for one look-up, never across a stanza.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jid::{BareJid, FullJid, Jid, NodePart, ResourcePart};
use tertulia_conference::{Route, host};
use tertulia_model::{ConferenceId, Host, Hosts, Random, RoomJid, SessionId, SessionProfile};
use tertulia_stanza::{Condition, Kind, Stanza, StanzaError};
use tokio::sync::mpsc::error::TrySendError;

use crate::clock;
use crate::conference_task::{ConferenceHandle, ConferenceMail, find_or_start, without_conference};
use crate::http::{RESERVED, is_reserved_name};
use crate::mailbox::MailSender;
use crate::node::Node;
use crate::session_task::SessionControl;

/// What others know of a session: how to reach it.
pub(crate) struct SessionHandle {
    pub(crate) profile: Arc<SessionProfile>,
    /// The XEP-0198 id that resumes it.
    pub(crate) resumption_id: String,
    mail: MailSender<Arc<Stanza>, SessionControl>,
    /// Bytes that wait for this session, as its task last counted them.
    pub(crate) waiting_bytes: AtomicUsize,
}

impl SessionHandle {
    pub(crate) fn new(
        profile: Arc<SessionProfile>,
        resumption_id: String,
        mail: MailSender<Arc<Stanza>, SessionControl>,
    ) -> Arc<SessionHandle> {
        Arc::new(SessionHandle {
            profile,
            resumption_id,
            mail,
            waiting_bytes: AtomicUsize::new(0),
        })
    }

    /// Hands a stanza to the session. Whoever delivers never waits: a full lane ends the session.
    pub(crate) fn deliver(&self, stanza: Arc<Stanza>) {
        if self.mail.try_stanza(stanza).is_err() {
            // A lane that is closed belongs to a session that is over already.
            let _ = self.mail.control(SessionControl::Overflow);
        }
    }

    /// A message that is never refused; comes back when the session's task is gone.
    pub(crate) fn control(&self, control: SessionControl) -> Result<(), SessionControl> {
        self.mail.control(control)
    }
}

/// All sessions and conferences of this node.
#[derive(Default)]
pub(crate) struct Router {
    sessions: RwLock<Sessions>,
    conferences: RwLock<Conferences>,
}

#[derive(Default)]
struct Sessions {
    by_id: HashMap<SessionId, Arc<SessionHandle>>,
    by_jid: HashMap<FullJid, SessionId>,
    /// First eight digits of the names in use: Jitsi's nicks.
    nicks: HashSet<String>,
}

#[derive(Default)]
struct Conferences {
    /// By all addresses for which they answer: main rooms and breakout rooms.
    by_room: HashMap<RoomJid, Arc<ConferenceHandle>>,
    /// The main rooms of breakout rooms, also of those that the journal keeps for a meeting that
    /// comes back.
    main_rooms: HashMap<RoomJid, RoomJid>,
    /// On which media worker each conference on the bridge is.
    workers: HashMap<ConferenceId, u16>,
}

impl Router {
    /// An anonymous JID: a UUID whose first eight digits no live session has.
    pub(crate) fn anonymous_name(&self, hosts: &Hosts, random: &mut Random) -> BareJid {
        let sessions = read(&self.sessions);
        loop {
            let name = random.uuid();
            if !sessions.nicks.contains(nick_of(&name)) {
                let node = NodePart::new(&name).expect("a UUID is a valid node");
                return BareJid::from_parts(Some(&node), &hosts.name(Host::Main));
            }
        }
    }

    /// Makes a session known; false if its JID or its nick was taken meanwhile.
    pub(crate) fn add_session(&self, session: &Arc<SessionHandle>) -> bool {
        let mut sessions = write(&self.sessions);
        let jid = &session.profile.jid;
        let nick = nick_of(node_of(jid)).to_owned();
        if sessions.by_jid.contains_key(jid) || !sessions.nicks.insert(nick) {
            return false;
        }
        sessions.by_jid.insert(jid.clone(), session.profile.id);
        sessions
            .by_id
            .insert(session.profile.id, Arc::clone(session));
        true
    }

    /// Forgets a session; its JID is free again.
    pub(crate) fn remove_session(&self, session: &SessionHandle) {
        let mut sessions = write(&self.sessions);
        if sessions.by_id.remove(&session.profile.id).is_some() {
            sessions.by_jid.remove(&session.profile.jid);
            sessions
                .nicks
                .remove(nick_of(node_of(&session.profile.jid)));
        }
    }

    pub(crate) fn session(&self, id: SessionId) -> Option<Arc<SessionHandle>> {
        read(&self.sessions).by_id.get(&id).cloned()
    }

    /// The session of a JID; of a bare one, any that has it (a guest has one).
    pub(crate) fn session_of(&self, jid: &Jid) -> Option<Arc<SessionHandle>> {
        let sessions = read(&self.sessions);
        match jid.try_as_full() {
            Ok(full) => {
                let id = sessions.by_jid.get(full)?;
                sessions.by_id.get(id).cloned()
            }
            Err(bare) => sessions
                .by_id
                .values()
                .filter(|session| session.profile.jid.to_bare() == *bare)
                .min_by_key(|session| session.profile.id)
                .cloned(),
        }
    }

    /// All sessions, oldest first.
    pub(crate) fn sessions(&self) -> Vec<Arc<SessionHandle>> {
        let mut all: Vec<_> = read(&self.sessions).by_id.values().cloned().collect();
        all.sort_by_key(|session| session.profile.id);
        all
    }

    /// Makes a conference known, unless its room has one already: then that one comes back.
    pub(crate) fn add_conference(
        &self,
        conference: &Arc<ConferenceHandle>,
    ) -> Result<(), Arc<ConferenceHandle>> {
        let mut conferences = write(&self.conferences);
        if let Some(existing) = conferences.by_room.get(&conference.room) {
            return Err(Arc::clone(existing));
        }
        conferences
            .by_room
            .insert(conference.room.clone(), Arc::clone(conference));
        Ok(())
    }

    /// Forgets a conference and the breakout rooms that it has; the room may have a new one from
    /// now on. Unless it `is_forgotten`, that one has the same breakout rooms.
    pub(crate) fn remove_conference(
        &self,
        conference: &Arc<ConferenceHandle>,
        claimed: &BTreeSet<RoomJid>,
        is_forgotten: bool,
    ) {
        let mut conferences = write(&self.conferences);
        conferences.remove(&conference.room, conference);
        for room in claimed {
            if conferences.remove(room, conference) && is_forgotten {
                conferences.main_rooms.remove(room);
            }
        }
    }

    /// A breakout room is part of this conference.
    pub(crate) fn claim(&self, room: &RoomJid, conference: &Arc<ConferenceHandle>) {
        let mut conferences = write(&self.conferences);
        let owner = conferences.by_room.entry(room.clone());
        let owner = Arc::clone(owner.or_insert_with(|| Arc::clone(conference)));
        conferences
            .main_rooms
            .insert(room.clone(), owner.room.clone());
    }

    /// The breakout room is gone.
    pub(crate) fn release(&self, room: &RoomJid, conference: &Arc<ConferenceHandle>) {
        let mut conferences = write(&self.conferences);
        if conferences.remove(room, conference) {
            conferences.main_rooms.remove(room);
        }
    }

    /// Remembers which breakout rooms the journal keeps, and forgets those that it does not keep
    /// any more.
    pub(crate) fn set_kept_breakout_rooms(&self, kept: Vec<(RoomJid, RoomJid)>) {
        let mut conferences = write(&self.conferences);
        let Conferences {
            by_room,
            main_rooms,
            ..
        } = &mut *conferences;
        main_rooms.retain(|room, _| by_room.contains_key(room));
        main_rooms.extend(kept);
    }

    /// The conference that answers for this room.
    pub(crate) fn conference(&self, room: &RoomJid) -> Option<Arc<ConferenceHandle>> {
        read(&self.conferences).by_room.get(room).cloned()
    }

    /// The main room of a breakout room, whether its conference lives or not.
    pub(crate) fn main_room(&self, breakout: &RoomJid) -> Option<RoomJid> {
        read(&self.conferences).main_rooms.get(breakout).cloned()
    }

    /// All conferences.
    pub(crate) fn conferences(&self) -> Vec<Arc<ConferenceHandle>> {
        let conferences = read(&self.conferences);
        let by_room = conferences.by_room.iter();
        by_room
            .filter(|(room, conference)| **room == conference.room)
            .map(|(_, conference)| Arc::clone(conference))
            .collect()
    }

    /// The conference of this id on the bridge is on that media worker.
    pub(crate) fn set_worker(&self, id: &ConferenceId, worker: u16) {
        write(&self.conferences).workers.insert(id.clone(), worker);
    }

    /// It is not on the bridge any more.
    pub(crate) fn remove_worker(&self, id: &ConferenceId) {
        write(&self.conferences).workers.remove(id);
    }

    /// Where it is.
    pub(crate) fn worker_of(&self, id: &ConferenceId) -> Option<u16> {
        read(&self.conferences).workers.get(id).copied()
    }
}

impl Conferences {
    /// Whether this conference was the one that answered for the room.
    fn remove(&mut self, room: &RoomJid, conference: &Arc<ConferenceHandle>) -> bool {
        let known = self.by_room.get(room);
        let is_owner = known.is_some_and(|known| Arc::ptr_eq(known, conference));
        if is_owner {
            self.by_room.remove(room);
        }
        is_owner
    }
}

/// What became of a stanza.
pub(crate) enum Routed {
    Done,
    /// For its sender.
    Answer(Stanza),
    /// It is in this conference's mailbox; the sender's end must be told there.
    Conference(Arc<ConferenceHandle>),
    /// This conference has no room for it now.
    Full {
        conference: Arc<ConferenceHandle>,
        mail: ConferenceMail,
    },
}

/// Hands a stanza to whom it is for. Plain look-ups; nothing waits. `known` are the conferences to
/// which its sender has spoken, the last one last.
pub(crate) fn route(
    node: &Arc<Node>,
    from: &Arc<SessionHandle>,
    stanza: Stanza,
    known: &[Arc<ConferenceHandle>],
) -> Routed {
    match tertulia_conference::route(&node.hosts, &stanza) {
        Route::Host => {
            let answer = host::answer(&node.conference, clock::now(), &from.profile, &stanza);
            answer.map_or(Routed::Done, Routed::Answer)
        }
        Route::Room(room) => match conference_for(node, &room, from, &stanza) {
            Some(conference) => into_conference(node, conference, from, stanza, known),
            None => {
                let refusal = if node.is_breakout(&room) && node.router.main_room(&room).is_none() {
                    tertulia_conference::refuse_breakout(&stanza)
                } else {
                    tertulia_conference::refuse_missing(&stanza)
                };
                refusal.map_or(Routed::Done, Routed::Answer)
            }
        },
        Route::Service(_) => match conference_of_session(node, from, known) {
            Some(conference) => into_conference(node, conference, from, stanza, known),
            None if stanza.may_be_refused() => {
                let error = StanzaError::new(Condition::ItemNotFound);
                Routed::Answer(stanza.error(error.with_text("you are in no meeting")))
            }
            None => Routed::Done,
        },
        Route::ConferenceRequest(room) => {
            if is_reserved_name(room.name()) {
                // COMPAT(lib-jitsi-meet): not-acceptable would be tried again for a minute.
                let error = StanzaError::new(Condition::NotAllowed);
                return Routed::Answer(stanza.error(error.with_text(RESERVED)));
            }
            match find_or_start(node, &room, from.profile.address) {
                Ok(conference) => into_conference(node, conference, from, stanza, known),
                Err(reason) => {
                    let answer = without_conference(node, &stanza, reason);
                    answer.map_or(Routed::Done, Routed::Answer)
                }
            }
        }
        Route::Session(jid) => match node.router.session_of(&jid) {
            Some(session) => {
                session.deliver(Arc::new(stanza));
                Routed::Done
            }
            None if stanza.is_request() => {
                Routed::Answer(stanza.error(Condition::ServiceUnavailable))
            }
            None => Routed::Done,
        },
        Route::Unroutable(error) => {
            let may_answer = stanza.may_be_refused();
            if may_answer {
                Routed::Answer(stanza.error(error))
            } else {
                Routed::Done
            }
        }
    }
}

/// The conference that answers for a room. Who joins a breakout room of a meeting that was cut off
/// brings that meeting to life; a main room is only brought to life by a conference request.
fn conference_for(
    node: &Arc<Node>,
    room: &RoomJid,
    from: &SessionHandle,
    stanza: &Stanza,
) -> Option<Arc<ConferenceHandle>> {
    let is_join = stanza.kind == Kind::Presence && stanza.type_.is_none();
    if is_join && node.is_breakout(room) {
        find_or_start(node, room, from.profile.address).ok()
    } else {
        node.router.conference(room)
    }
}

/// The conference that a command without a room is about: that of the room by whose URL the
/// session has connected, else the one it spoke to last.
fn conference_of_session(
    node: &Node,
    from: &SessionHandle,
    known: &[Arc<ConferenceHandle>],
) -> Option<Arc<ConferenceHandle>> {
    let room = from.profile.room.as_ref();
    let mut living = known.iter().rev().filter(|one| !one.lane().is_closed());
    let named = living.clone().find(|one| Some(&one.room) == room);
    let known = named.or_else(|| living.next()).cloned();
    known.or_else(|| node.router.conference(room?))
}

fn into_conference(
    node: &Arc<Node>,
    conference: Arc<ConferenceHandle>,
    from: &Arc<SessionHandle>,
    stanza: Stanza,
    known: &[Arc<ConferenceHandle>],
) -> Routed {
    let mail = ConferenceMail::Stanza {
        from: Arc::clone(from),
        stanza,
    };
    match conference.try_mail(mail) {
        Ok(()) => Routed::Conference(conference),
        Err(TrySendError::Full(mail)) => Routed::Full { conference, mail },
        // It left the router before it closed its mailbox: another look finds it gone, or new.
        Err(TrySendError::Closed(ConferenceMail::Stanza { from, stanza })) => {
            route(node, &from, stanza, known)
        }
        Err(TrySendError::Closed(ConferenceMail::Request { .. })) => Routed::Done,
    }
}

/// The JID of a session that asked for `resource`.
pub(crate) fn with_resource(name: &BareJid, wanted: Option<&str>, random: &mut Random) -> FullJid {
    let wanted = wanted.filter(|text| text.len() <= RESOURCE_BYTES_MAX);
    let resource = wanted.and_then(|text| ResourcePart::new(text).ok());
    match resource {
        Some(resource) => name.with_resource(&resource),
        None => {
            let drawn = random.token(12);
            name.with_resource(&ResourcePart::new(&drawn).expect("a token is a valid resource"))
        }
    }
}

fn node_of(jid: &FullJid) -> &str {
    jid.node().map_or("", |node| node.as_str())
}

/// What Jitsi's clients make of an anonymous name.
fn nick_of(name: &str) -> &str {
    name.get(..8).unwrap_or(name)
}

/// The tables hold after each statement, so a panic elsewhere left them usable.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

const RESOURCE_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakout_rooms_lead_to_their_conference_while_it_lives_and_to_its_room_after_it() {
        let router = Router::default();
        let (main, one, two) = (room("tea"), room("one"), room("two"));
        let conference = ConferenceHandle::idle(&main);
        router.add_conference(&conference).ok().unwrap();
        for breakout in [&one, &two] {
            router.claim(breakout, &conference);
        }
        assert_eq!(router.conferences().len(), 1);
        router.release(&two, &conference);
        assert_eq!(known(&router, &two), (false, None));
        assert_eq!(known(&router, &one), (true, Some(main.clone())));
        router.set_kept_breakout_rooms(Vec::new());
        assert_eq!(known(&router, &one), (true, Some(main.clone())), "it lives");

        let claimed = BTreeSet::from([one.clone()]);
        router.remove_conference(&conference, &claimed, false);
        assert_eq!(known(&router, &main), (false, None));
        assert_eq!(known(&router, &one), (false, Some(main.clone())));
        router.set_kept_breakout_rooms(Vec::new());
        assert_eq!(
            known(&router, &one),
            (false, None),
            "the journal has let it go"
        );
        router.set_kept_breakout_rooms(vec![(one.clone(), main.clone())]);
        assert_eq!(known(&router, &one), (false, Some(main.clone())));

        let next = ConferenceHandle::idle(&main);
        router.add_conference(&next).ok().unwrap();
        router.claim(&one, &next);
        router.remove_conference(&conference, &claimed, true);
        assert!(known(&router, &main).0, "that was another one");
        router.remove_conference(&next, &claimed, true);
        assert_eq!(
            known(&router, &one),
            (false, None),
            "nothing of it comes back"
        );
    }

    #[test]
    fn nobody_takes_anothers_breakout_room() {
        let router = Router::default();
        let (tea, coffee) = (room("tea"), room("coffee"));
        let breakout = room("breakout");
        let (first, second) = (
            ConferenceHandle::idle(&tea),
            ConferenceHandle::idle(&coffee),
        );
        router.claim(&breakout, &first);
        router.claim(&breakout, &second);
        router.release(&breakout, &second);
        let owner = router.conference(&breakout).unwrap();
        assert!(Arc::ptr_eq(&owner, &first));
        assert_eq!(router.main_room(&breakout), Some(tea));
    }

    /// Whether a conference answers for a room, and of which main room it is a part.
    fn known(router: &Router, room: &RoomJid) -> (bool, Option<RoomJid>) {
        (router.conference(room).is_some(), router.main_room(room))
    }

    fn room(name: &str) -> RoomJid {
        RoomJid::new(format!("{name}@conference.localhost").parse().unwrap()).unwrap()
    }
}
