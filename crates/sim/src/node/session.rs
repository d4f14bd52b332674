//! What sessions want: their stanzas on the way to whom they are for.

use std::sync::Arc;

use jid::Jid;
use tertulia_conference::{Route, host};
use tertulia_model::{ConferenceId, Now, RoomJid, SessionChange, SessionId};
use tertulia_stanza::{Condition, Kind, Stanza};
use tertulia_stream::SessionOutput;

use super::login::nick_of;
use super::{Machine, Node, NodeOutput};

impl Node {
    pub(super) fn drain_session(&mut self, now: Now, id: SessionId) {
        while let Some(session) = self.sessions.get_mut(&id) {
            let Some(output) = session.machine.poll_output() else {
                session.replaced = None;
                return;
            };
            match output {
                SessionOutput::Send(text) => {
                    if let Some(connection) = session.connection {
                        self.outputs
                            .push_back(NodeOutput::Frame { connection, text });
                    }
                }
                SessionOutput::Stanza(stanza) => self.route(now, id, stanza),
                SessionOutput::CloseSocket { code, .. } => {
                    let socket = session
                        .replaced
                        .take()
                        .or_else(|| session.connection.take());
                    if let Some(connection) = socket {
                        self.close_socket(connection, code);
                    }
                }
                SessionOutput::Changed(change) => self.changed(now, id, change),
            }
        }
    }

    fn changed(&mut self, now: Now, id: SessionId, change: SessionChange) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        for meeting in session.meetings.clone() {
            if let Some(found) = self.meetings.by_id(&meeting) {
                found.machine.handle_session(now, id, change);
                self.wake(Machine::Meeting(meeting));
            }
        }
        if let SessionChange::Ended(_) = change
            && let Some(ended) = self.sessions.remove(&id)
        {
            let jid = &ended.machine.profile().jid;
            self.nicks.remove(nick_of(jid));
            self.by_jid.remove(jid);
        }
    }

    /// Hands a stanza to whom it is for.
    fn route(&mut self, now: Now, from: SessionId, stanza: Stanza) {
        match tertulia_conference::route(&self.hosts, &stanza) {
            Route::Host => {
                let answer = self.sessions.get(&from).and_then(|session| {
                    let profile = session.machine.profile();
                    host::answer(&self.config.conference, now, profile, &stanza)
                });
                self.answer(now, from, answer);
            }
            Route::Room(room) => self.route_to_room(now, from, &room, stanza),
            Route::Service(_) => match self.meeting_of(from) {
                Some(meeting) => self.tell_meeting(now, from, meeting, stanza),
                None => {
                    let answer = stanza
                        .may_be_refused()
                        .then(|| stanza.error(Condition::ItemNotFound));
                    self.answer(now, from, answer);
                }
            },
            Route::ConferenceRequest(room) => match self.find_or_start(now, &room) {
                Some(meeting) => self.tell_meeting(now, from, meeting, stanza),
                None => {
                    let reply = self.gone(&room);
                    let answer = stanza.result().with_child(reply.to_element());
                    self.answer(now, from, Some(answer));
                }
            },
            Route::Session(jid) => match self.session_of(&jid) {
                Some(to) => self.answer(now, to, Some(stanza)),
                None => {
                    let answer = stanza
                        .is_request()
                        .then(|| stanza.error(Condition::ServiceUnavailable));
                    self.answer(now, from, answer);
                }
            },
            Route::Unroutable(error) => {
                let answer = stanza.may_be_refused().then(|| stanza.error(error));
                self.answer(now, from, answer);
            }
        }
    }

    fn answer(&mut self, now: Now, to: SessionId, stanza: Option<Stanza>) {
        if let Some(stanza) = stanza {
            self.deliver(now, to, Arc::new(stanza));
        }
    }

    pub(super) fn deliver(&mut self, now: Now, to: SessionId, stanza: Arc<Stanza>) {
        if let Some(session) = self.sessions.get_mut(&to) {
            session.machine.send(now, stanza);
            self.wake(Machine::Session(to));
        }
    }

    /// The session of a full JID; of a bare one, any that has it (a guest has one).
    fn session_of(&self, jid: &Jid) -> Option<SessionId> {
        match jid.try_as_full() {
            Ok(full) => self.by_jid.get(full).copied(),
            Err(bare) => self
                .by_jid
                .iter()
                .find(|(jid, _)| jid.to_bare() == *bare)
                .map(|f| *f.1),
        }
    }

    /// To the conference that answers for a room. Who joins a breakout room of a meeting that was
    /// cut off brings that meeting to life; a main room is only brought to life by a conference
    /// request.
    fn route_to_room(&mut self, now: Now, from: SessionId, room: &RoomJid, stanza: Stanza) {
        let is_join = stanza.kind == Kind::Presence && stanza.type_.is_none();
        let meeting = if is_join && self.is_breakout(room) {
            self.find_or_start(now, room)
        } else {
            self.meetings.id_of(room)
        };
        match meeting {
            Some(meeting) => self.tell_meeting(now, from, meeting, stanza),
            None => {
                let answer = if self.is_breakout(room) {
                    tertulia_conference::refuse_breakout(&stanza)
                } else {
                    tertulia_conference::refuse_missing(&stanza)
                };
                self.answer(now, from, answer);
            }
        }
    }

    /// The conference that a command without a room is about: that of the room by whose URL the
    /// session has connected, else the one it spoke to last.
    fn meeting_of(&self, session: SessionId) -> Option<ConferenceId> {
        let session = self.sessions.get(&session)?;
        let named = session.machine.profile().room.as_ref();
        let named = named.and_then(|room| self.meetings.id_of(room));
        let known = named
            .as_ref()
            .filter(|named| session.meetings.contains(named))
            .or(session.meetings.last());
        known.cloned().or(named)
    }

    fn tell_meeting(&mut self, now: Now, from: SessionId, id: ConferenceId, stanza: Stanza) {
        let (Some(session), Some(meeting)) =
            (self.sessions.get_mut(&from), self.meetings.by_id(&id))
        else {
            return;
        };
        session.meetings.retain(|known| *known != id);
        session.meetings.push(id.clone());
        let profile = Arc::clone(session.machine.profile());
        meeting.machine.handle_stanza(now, &profile, stanza);
        self.wake(Machine::Meeting(id));
    }
}
