//! From a connection to a session: log-in, names, resumption.

use std::sync::Arc;

use jid::{BareJid, FullJid, NodePart, ResourcePart};
use tertulia_model::{Host, Now, SessionId, SessionProfile};
use tertulia_stream::{ClientSession, NegotiationOutput, Restored};

use super::{Connection, ConnectionId, Machine, Node, NodeOutput, Session, Stage};

impl Node {
    pub(super) fn drain_connection(&mut self, now: Now, id: ConnectionId) {
        while let Some(Connection {
            stage: Stage::Negotiating(machine),
            ..
        }) = self.connections.get_mut(&id)
        {
            let Some(output) = machine.poll_output() else {
                return;
            };
            match output {
                NegotiationOutput::Send(text) => {
                    self.outputs.push_back(NodeOutput::Frame {
                        connection: id,
                        text,
                    });
                }
                NegotiationOutput::Bind { restored, resource } => {
                    self.bind(now, id, restored, resource.as_deref());
                }
                NegotiationOutput::Resume { token, restored, h } => {
                    self.resume(now, id, &token, &restored, h);
                }
                NegotiationOutput::Close { code, .. } => self.close_socket(id, code),
            }
        }
    }

    fn bind(
        &mut self,
        now: Now,
        connection: ConnectionId,
        restored: Option<Restored>,
        resource: Option<&str>,
    ) {
        let jid = match restored.and_then(|restored| self.restorable(now, restored)) {
            Some(jid) => jid,
            None => self.anonymous(resource),
        };
        let resumption_id = self.sealer.seal(&jid, now, &mut self.random);
        let Some(Connection {
            address,
            room,
            stage,
            ..
        }) = self.connections.get_mut(&connection)
        else {
            return;
        };
        let Stage::Negotiating(negotiation) = stage else {
            return;
        };
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let profile = SessionProfile {
            id,
            jid: jid.clone(),
            websocket_base: self.config.websocket_base.clone(),
            is_loopback: address.ip().is_loopback(),
            room: room.clone(),
            account: None,
            address: address.ip(),
        };
        let conference = &self.config.conference;
        let announcement = tertulia_conference::host::announcement(conference, now, &profile);
        negotiation.bound(now, &jid, Some(announcement));
        while let Some(output) = negotiation.poll_output() {
            if let NegotiationOutput::Send(text) = output {
                self.outputs
                    .push_back(NodeOutput::Frame { connection, text });
            }
        }
        *stage = Stage::Bound(id);
        let stream = Arc::clone(&self.config.stream);
        let machine = ClientSession::new(stream, Arc::new(profile), resumption_id, now);
        self.nicks.insert(nick_of(&jid).to_owned());
        self.by_jid.insert(jid, id);
        let session = Session {
            machine,
            connection: Some(connection),
            replaced: None,
            meetings: Vec::new(),
        };
        self.sessions.insert(id, session);
        self.wake(Machine::Session(id));
    }

    /// The old name of someone whom this process never saw, for a while after its start.
    fn restorable(&self, now: Now, restored: Restored) -> Option<FullJid> {
        let is_older = restored.issued <= self.started.wall;
        let is_in_time =
            now.mono.saturating_duration_since(self.started.mono) <= self.config.restoration_time;
        let is_free = !self.by_jid.contains_key(&restored.jid)
            && !self.nicks.contains(nick_of(&restored.jid));
        (is_older && is_in_time && is_free).then_some(restored.jid)
    }

    /// A UUID whose first eight digits no live session has.
    fn anonymous(&mut self, resource: Option<&str>) -> FullJid {
        let drawn = self.random.token(12);
        let resource = ResourcePart::new(resource.unwrap_or(&drawn))
            .or_else(|_| ResourcePart::new(&drawn))
            .expect("a token is a valid resource")
            .into_owned();
        loop {
            let name = self.random.uuid();
            let node = NodePart::new(&name).expect("a UUID is a valid node");
            let bare = BareJid::from_parts(Some(&node), &self.hosts.name(Host::Main));
            let jid = bare.with_resource(&resource);
            if !self.nicks.contains(nick_of(&jid)) {
                return jid;
            }
        }
    }

    fn resume(
        &mut self,
        now: Now,
        connection: ConnectionId,
        token: &str,
        restored: &Restored,
        h: u32,
    ) {
        let id = self.by_jid.get(&restored.jid).copied();
        let found = id.and_then(|id| Some((id, self.sessions.get_mut(&id)?)));
        let found = found.filter(|(_, session)| {
            session.machine.resumption_id() == token && session.machine.is_resumable()
        });
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        match (found, &mut open.stage) {
            (Some((id, session)), stage) => {
                *stage = Stage::Bound(id);
                session.replaced = session.connection.replace(connection);
                session.machine.resume(now, h);
                self.wake(Machine::Session(id));
            }
            (None, Stage::Negotiating(negotiation)) => negotiation.resume_refused(now),
            (None, Stage::Bound(_)) => {}
        }
    }
}

/// What Jitsi's clients make of an anonymous name.
pub(super) fn nick_of(jid: &FullJid) -> &str {
    let name = jid.node().map_or("", |node| node.as_str());
    name.get(..8).unwrap_or(name)
}
