//! Who is there: sessions by id and JID, conferences by room and id. And what follows from a
//! stanza's address (docs/protocol/routing.md).
//!
//! The tables are behind locks that are held for one look-up, never across a stanza.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jid::{BareJid, FullJid, Jid, NodePart, ResourcePart};
use tertulia_conference::Route;
use tertulia_model::{ConferenceId, Host, Hosts, Random, RoomJid, SessionId, SessionProfile};
use tertulia_stanza::{Condition, Stanza, StanzaError};
use tokio::sync::mpsc::error::TrySendError;

use crate::conference_task::{ConferenceHandle, ConferenceMail, find_or_start, not_ready};
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
    by_room: HashMap<RoomJid, Arc<ConferenceHandle>>,
    by_id: HashMap<ConferenceId, Arc<ConferenceHandle>>,
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
        conferences
            .by_id
            .insert(conference.id.clone(), Arc::clone(conference));
        Ok(())
    }

    /// Forgets a conference; the room may have a new one from now on.
    pub(crate) fn remove_conference(&self, conference: &ConferenceHandle) {
        let mut conferences = write(&self.conferences);
        if conferences.by_id.remove(&conference.id).is_some() {
            conferences.by_room.remove(&conference.room);
        }
    }

    pub(crate) fn conference(&self, room: &RoomJid) -> Option<Arc<ConferenceHandle>> {
        read(&self.conferences).by_room.get(room).cloned()
    }

    pub(crate) fn conference_of(&self, id: &ConferenceId) -> Option<Arc<ConferenceHandle>> {
        read(&self.conferences).by_id.get(id).cloned()
    }

    /// All conferences.
    pub(crate) fn conferences(&self) -> Vec<Arc<ConferenceHandle>> {
        read(&self.conferences).by_id.values().cloned().collect()
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

/// Hands a stanza to whom it is for. Plain look-ups; nothing waits.
pub(crate) fn route(node: &Arc<Node>, from: &Arc<SessionHandle>, stanza: Stanza) -> Routed {
    match tertulia_conference::route(&node.hosts, &stanza) {
        Route::Host => {
            let answer = tertulia_conference::host::answer(&node.conference, &stanza);
            answer.map_or(Routed::Done, Routed::Answer)
        }
        Route::Room(room) => match node.router.conference(&room) {
            Some(conference) => into_conference(node, conference, from, stanza),
            None => {
                tertulia_conference::refuse_missing(&stanza).map_or(Routed::Done, Routed::Answer)
            }
        },
        Route::Service(_) => {
            let room = from.profile.room.as_ref();
            match room.and_then(|room| node.router.conference(room)) {
                Some(conference) => into_conference(node, conference, from, stanza),
                None => tertulia_conference::refuse_missing(&stanza)
                    .map_or(Routed::Done, Routed::Answer),
            }
        }
        Route::ConferenceRequest(room) => {
            if is_reserved_name(room.name()) {
                let error = StanzaError::new(Condition::NotAcceptable);
                return Routed::Answer(stanza.error(error.with_text(RESERVED)));
            }
            match find_or_start(node, &room, from.profile.address) {
                Some(conference) => into_conference(node, conference, from, stanza),
                None => not_ready(node, &stanza).map_or(Routed::Done, Routed::Answer),
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

fn into_conference(
    node: &Arc<Node>,
    conference: Arc<ConferenceHandle>,
    from: &Arc<SessionHandle>,
    stanza: Stanza,
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
            route(node, &from, stanza)
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
