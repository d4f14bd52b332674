//! What sessions want: their stanzas on the way to whom they are for.

use std::sync::Arc;

use jid::Jid;
use tertulia_conference::Route;
use tertulia_model::{ConferenceId, Now, SessionChange, SessionId};
use tertulia_stanza::{Condition, Stanza};
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
            if let Some(found) = self.meetings.get_mut(&meeting) {
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
                let answer = tertulia_conference::host::answer(&self.config.conference, &stanza);
                self.answer(now, from, answer);
            }
            Route::Room(room) => match self.rooms.get(&room).cloned() {
                Some(meeting) => self.tell_meeting(now, from, meeting, stanza),
                None => self.answer(now, from, tertulia_conference::refuse_missing(&stanza)),
            },
            // The room that a session is in, as far as this node knows.
            Route::Service(_) => {
                let session = self.sessions.get(&from);
                match session.and_then(|session| session.meetings.first().cloned()) {
                    Some(meeting) => self.tell_meeting(now, from, meeting, stanza),
                    None => self.answer(now, from, tertulia_conference::refuse_missing(&stanza)),
                }
            }
            Route::ConferenceRequest(room) => {
                let meeting = self.find_or_start(now, &room);
                self.tell_meeting(now, from, meeting, stanza);
            }
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

    fn tell_meeting(&mut self, now: Now, from: SessionId, id: ConferenceId, stanza: Stanza) {
        let (Some(session), Some(meeting)) =
            (self.sessions.get_mut(&from), self.meetings.get_mut(&id))
        else {
            return;
        };
        session.meetings.insert(id.clone());
        let profile = Arc::clone(session.machine.profile());
        meeting.machine.handle_stanza(now, &profile, stanza);
        self.wake(Machine::Meeting(id));
    }
}
