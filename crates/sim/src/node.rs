//! The server without its sockets: sessions, conferences and media workers, wired as crate
//! `server` wires them with tasks, here by one queue of machines that have something to say.
//!
//! [`Node::crash`] is SIGKILL, [`Node::stop`] SIGTERM, [`Node::end`] Ctrl-C.

mod config;
mod disk;
mod login;
mod meeting;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use jid::FullJid;
use tertulia_bridge::{Batch, DatagramRoute, Transmit, Worker};
use tertulia_model::{
    ChannelId, ConferenceId, EndpointId, Host, Hosts, Now, Random, RequestId, RoomJid, SessionId,
};
use tertulia_stanza::conference_request::ConferenceRequest;
use tertulia_stream::{ClientSession, Closing, Negotiation, Sealer};

use crate::sabotage::Sabotage;

pub use config::NodeConfig;
pub use disk::Disk;

use meeting::Meetings;

/// A connection of a client to the node, for XMPP. Chosen by the caller, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One server.
///
/// Tell it one thing, then `poll_output` until `None`, then sleep until
/// `next_timeout`.
pub struct Node {
    config: Arc<NodeConfig>,
    hosts: Arc<Hosts>,
    sealer: Arc<Sealer>,
    random: Random,
    started: Now,
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: BTreeMap<SessionId, Session>,
    by_jid: BTreeMap<FullJid, SessionId>,
    /// First eight digits of the names in use: Jitsi's nicks.
    nicks: BTreeSet<String>,
    next_session: u64,
    meetings: Meetings,
    disk: Disk,
    sabotage: Option<Sabotage>,
    workers: Vec<Worker>,
    channels: BTreeMap<ChannelId, usize>,
    /// Machines that may have outputs.
    talkative: VecDeque<Machine>,
    outputs: VecDeque<NodeOutput>,
}

/// What a node wants from the world.
#[derive(Debug)]
pub enum NodeOutput {
    Frame {
        connection: ConnectionId,
        text: String,
    },
    /// Close the socket; the node has forgotten the connection.
    CloseSocket {
        connection: ConnectionId,
        code: u16,
    },
    Transmit(Transmit),
    ChannelText {
        channel: ChannelId,
        text: String,
    },
    /// Close the bridge-channel WebSocket; the node has forgotten it.
    ChannelClose {
        channel: ChannelId,
        code: u16,
    },
    HttpReply {
        request: RequestId,
        status: u16,
        body: String,
    },
}

/// Who and what is there, for the checkers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub connections: usize,
    pub sessions: Vec<FullJid>,
    /// Rooms that live.
    pub conferences: Vec<RoomJid>,
    /// Conferences on the bridge, all workers together.
    pub bridge_conferences: u64,
    /// Endpoints on the bridge, all workers together.
    pub endpoints: u64,
    pub channels: usize,
}

struct Connection {
    address: SocketAddr,
    /// The room of the page that dialled.
    room: Option<RoomJid>,
    stage: Stage,
    /// Frames that a rate limit keeps from being read.
    unread: VecDeque<String>,
}

enum Stage {
    Negotiating(Box<Negotiation>),
    Bound(SessionId),
}

struct Session {
    machine: ClientSession,
    connection: Option<ConnectionId>,
    /// The former socket, until the machine has said how to close it.
    replaced: Option<ConnectionId>,
    /// Conferences that got something of this session, and must learn what becomes of it; the last
    /// one last.
    meetings: Vec<ConferenceId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Machine {
    Connection(ConnectionId),
    Session(SessionId),
    Meeting(ConferenceId),
    Worker(usize),
}

impl Node {
    /// A server that has just started, with what its predecessor left on disk.
    pub fn new(config: Arc<NodeConfig>, disk: Disk, seed: [u8; 32], now: Now) -> Node {
        let sabotage = config.sabotage;
        let mut random = Random::from_seed(seed);
        let workers = (0..config.bridge.workers)
            .map(|index| Worker::new(Arc::clone(&config.bridge), index, random.seed(), now))
            .collect();
        Node {
            hosts: Arc::new(config.conference.hosts.clone()),
            sealer: Arc::new(Sealer::new(config.sealing_key)),
            random,
            started: now,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_jid: BTreeMap::new(),
            nicks: BTreeSet::new(),
            next_session: 1,
            meetings: Meetings::new(disk.breakout_rooms()),
            disk,
            sabotage,
            workers,
            channels: BTreeMap::new(),
            talkative: VecDeque::new(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// SIGKILL: nothing is left but the disk.
    pub fn crash(self) -> Disk {
        self.disk
    }

    /// A client's WebSocket for XMPP is up; `room` and `previd` come from its URL.
    pub fn connect(
        &mut self,
        now: Now,
        connection: ConnectionId,
        address: SocketAddr,
        room: &str,
        previd: Option<&str>,
    ) {
        let negotiation = Negotiation::new(
            Arc::clone(&self.config.stream),
            Arc::clone(&self.hosts),
            Arc::clone(&self.sealer),
            previd,
            self.random.seed(),
            now,
        );
        let stage = Stage::Negotiating(Box::new(negotiation));
        let new = Connection {
            address,
            room: self.named_room(room),
            stage,
            unread: VecDeque::new(),
        };
        self.connections.insert(connection, new);
        self.wake(Machine::Connection(connection));
        self.settle(now);
    }

    /// A frame has arrived on a connection.
    pub fn frame(&mut self, now: Now, connection: ConnectionId, text: &str) {
        if let Some(open) = self.connections.get_mut(&connection) {
            open.unread.push_back(text.to_owned());
            self.read(now, connection);
        }
    }

    /// A connection's socket is gone. `code` is the WebSocket close code, if there was one.
    pub fn closed(&mut self, now: Now, connection: ConnectionId, code: Option<u16>) {
        let Some(closed) = self.connections.remove(&connection) else {
            return;
        };
        if let Stage::Bound(id) = closed.stage
            && let Some(session) = self.sessions.get_mut(&id)
            && session.connection == Some(connection)
        {
            session.connection = None;
            session.machine.handle_socket_closed(now, code);
            self.wake(Machine::Session(id));
        }
        self.settle(now);
    }

    /// A datagram has arrived on a media socket. As with sockets that share a port, the worker
    /// that gets it depends on nothing but the sender's address.
    pub fn datagram(&mut self, now: Now, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        let arrival = usize::from(from.port()) % self.workers.len();
        let index = match self
            .workers
            .get_mut(arrival)
            .map(|w| w.route(now, from, data))
        {
            Some(DatagramRoute::Here) => arrival,
            Some(DatagramRoute::Worker(index)) => usize::from(index),
            Some(DatagramRoute::Drop) | None => return,
        };
        self.with_worker(index, |worker, batch| {
            worker.handle_datagram(now, from, to, data, batch);
            worker.finish_batch(now, batch);
        });
        self.settle(now);
    }

    /// The HTTP form of a conference request; answered by [`NodeOutput::HttpReply`].
    pub fn http_conference_request(&mut self, now: Now, request: RequestId, body: &str) {
        let asked = ConferenceRequest::parse_json(body).ok();
        let asked = asked.and_then(|asked| {
            let room = tertulia_conference::route::requested_room(&self.hosts, &asked)?;
            Some((room, asked))
        });
        let Some((room, asked)) = asked else {
            let body = "bad request".to_owned();
            self.outputs.push_back(NodeOutput::HttpReply {
                request,
                status: 400,
                body,
            });
            return;
        };
        match self.find_or_start(now, &room) {
            Some(id) => self.ask_meeting(now, &id, request, asked),
            None => self.reply_gone(request, &room),
        }
        self.settle(now);
    }

    /// A client opens a bridge-channel WebSocket with this URL. False refuses it.
    pub fn channel_open(&mut self, now: Now, channel: ChannelId, url: &str) -> bool {
        let Some((conference, endpoint, password)) = self.read_channel_url(url) else {
            return false;
        };
        let Some(index) = self.meetings.worker_of(&conference) else {
            return false;
        };
        let Some(worker) = self.workers.get_mut(index) else {
            return false;
        };
        let opened = worker.open_channel(now, &conference, &endpoint, &password, channel);
        if opened.is_ok() {
            self.channels.insert(channel, index);
            self.wake(Machine::Worker(index));
        }
        self.settle(now);
        opened.is_ok()
    }

    /// A message on a bridge-channel WebSocket.
    pub fn channel_text(&mut self, now: Now, channel: ChannelId, text: &str) {
        if let Some(index) = self.channels.get(&channel).copied() {
            self.with_worker(index, |worker, batch| {
                worker.handle_channel_text(now, channel, text, batch);
            });
        }
        self.settle(now);
    }

    /// A bridge-channel WebSocket is gone.
    pub fn channel_closed(&mut self, now: Now, channel: ChannelId) {
        if let Some(index) = self.channels.remove(&channel)
            && let Some(worker) = self.workers.get_mut(index)
        {
            worker.handle_channel_closed(now, channel);
            self.wake(Machine::Worker(index));
        }
        self.settle(now);
    }

    /// A timeout of `next_timeout` has come.
    pub fn timeout(&mut self, now: Now) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now.mono);
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for id in connections {
            if let Some(Connection {
                stage: Stage::Negotiating(machine),
                ..
            }) = self.connections.get_mut(&id)
                && is_due(machine.next_timeout())
            {
                machine.handle_timeout(now);
                self.talkative.push_back(Machine::Connection(id));
            }
            self.read(now, id);
        }
        for (id, session) in &mut self.sessions {
            if is_due(session.machine.next_timeout()) {
                session.machine.handle_timeout(now);
                self.talkative.push_back(Machine::Session(*id));
            }
        }
        self.settle(now);
        for (id, meeting) in self.meetings.iter_mut() {
            if is_due(meeting.machine.next_timeout()) {
                meeting.machine.handle_timeout(now);
                self.talkative.push_back(Machine::Meeting(id.clone()));
            }
        }
        self.settle(now);
        for index in 0..self.workers.len() {
            if is_due(self.workers.get(index).and_then(Worker::next_timeout)) {
                self.with_worker(index, |worker, batch| worker.handle_timeout(now, batch));
            }
        }
        self.settle(now);
    }

    /// SIGTERM: sockets close in the way that clients come back from. The process ends here; what
    /// follows is another node.
    pub fn stop(&mut self, now: Now) {
        for (id, session) in &mut self.sessions {
            session.machine.close(now, Closing::Restart);
            self.talkative.push_back(Machine::Session(*id));
        }
        for (id, connection) in &mut self.connections {
            if let Stage::Negotiating(machine) = &mut connection.stage {
                machine.close(now);
                self.talkative.push_back(Machine::Connection(*id));
            }
        }
        self.settle(now);
        for channel in std::mem::take(&mut self.channels).into_keys() {
            let code = tertulia_stream::close_code::RESTART;
            self.outputs
                .push_back(NodeOutput::ChannelClose { channel, code });
        }
    }

    /// Ctrl-C: the meetings end for good, for this reason, and then the sessions.
    pub fn end(&mut self, now: Now, reason: &str) {
        for (id, meeting) in self.meetings.iter_mut() {
            meeting.machine.end(now, reason);
            self.talkative.push_back(Machine::Meeting(id.clone()));
        }
        self.settle(now);
        for (id, session) in &mut self.sessions {
            session.machine.close(now, Closing::Shutdown);
            self.talkative.push_back(Machine::Session(*id));
        }
        self.settle(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<NodeOutput> {
        self.outputs.pop_front()
    }

    /// When `timeout` wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let connections = self.connections.values().flat_map(|connection| {
            let machine = match &connection.stage {
                Stage::Negotiating(machine) => machine.next_timeout(),
                Stage::Bound(_) => None,
            };
            let unread = self
                .may_read_at(connection)
                .filter(|_| !connection.unread.is_empty());
            [machine, unread]
        });
        let sessions = self
            .sessions
            .values()
            .map(|session| session.machine.next_timeout());
        let meetings = self
            .meetings
            .iter()
            .map(|(_, meeting)| meeting.machine.next_timeout());
        let workers = self.workers.iter().map(Worker::next_timeout);
        connections
            .chain(sessions)
            .chain(meetings)
            .chain(workers)
            .flatten()
            .min()
    }

    /// Who and what is there.
    pub fn census(&self) -> Census {
        let statistics: Vec<_> = self.workers.iter().map(Worker::statistics).collect();
        Census {
            connections: self.connections.len(),
            sessions: self.by_jid.keys().cloned().collect(),
            conferences: self.meetings.rooms().collect(),
            bridge_conferences: statistics.iter().map(|one| one.conferences).sum(),
            endpoints: statistics.iter().map(|one| one.endpoints).sum(),
            channels: self.channels.len(),
        }
    }

    /// Who is where in the meeting of this room, as its conference sees it; None if the room does
    /// not live.
    pub fn meeting(&self, room: &RoomJid) -> Option<tertulia_conference::Census> {
        Some(self.meetings.of_room(room)?.machine.census())
    }

    /// The address of a session; None if there is no such session.
    pub fn address_of(&self, session: SessionId) -> Option<&FullJid> {
        Some(&self.sessions.get(&session)?.machine.profile().jid)
    }

    /// What is on the disk now.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The counters of each worker.
    pub fn statistics(&self) -> Vec<tertulia_bridge::Statistics> {
        self.workers.iter().map(Worker::statistics).collect()
    }

    fn wake(&mut self, machine: Machine) {
        self.talkative.push_back(machine);
    }

    /// Reads what a connection has sent, as far as its rate allows.
    fn read(&mut self, now: Now, id: ConnectionId) {
        while let Some(connection) = self.connections.get(&id) {
            if self.may_read_at(connection).is_some_and(|at| at > now.mono) {
                return;
            }
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let Some(text) = connection.unread.pop_front() else {
                return;
            };
            match &mut connection.stage {
                Stage::Negotiating(machine) => {
                    machine.handle_frame(now, &text);
                    self.wake(Machine::Connection(id));
                }
                Stage::Bound(session) => {
                    let session = *session;
                    if let Some(bound) = self.sessions.get_mut(&session) {
                        bound.machine.handle_frame(now, &text);
                    }
                    self.wake(Machine::Session(session));
                }
            }
            self.settle(now);
        }
    }

    fn may_read_at(&self, connection: &Connection) -> Option<Instant> {
        match &connection.stage {
            Stage::Negotiating(machine) => machine.may_read_at(),
            Stage::Bound(id) => self.sessions.get(id)?.machine.may_read_at(),
        }
    }

    /// Drains every machine that may have something to say, until none has.
    fn settle(&mut self, now: Now) {
        while let Some(machine) = self.talkative.pop_front() {
            match machine {
                Machine::Connection(id) => self.drain_connection(now, id),
                Machine::Session(id) => self.drain_session(now, id),
                Machine::Meeting(id) => self.drain_meeting(now, &id),
                Machine::Worker(index) => self.drain_worker(now, index),
            }
        }
    }

    fn with_worker(&mut self, index: usize, step: impl FnOnce(&mut Worker, &mut Batch)) {
        let Some(worker) = self.workers.get_mut(index) else {
            return;
        };
        let mut batch = Batch::default();
        step(worker, &mut batch);
        let sent = batch.iter().map(|one| one.to_transmit());
        self.outputs.extend(sent.map(NodeOutput::Transmit));
        self.wake(Machine::Worker(index));
    }

    fn drain_worker(&mut self, now: Now, index: usize) {
        while let Some(output) = self.workers.get_mut(index).and_then(Worker::poll_output) {
            match output {
                tertulia_bridge::Output::Event { conference, event } => {
                    if let Some((id, meeting)) = self.meetings.of_hall(&conference) {
                        meeting.machine.handle_bridge(now, &conference, event);
                        self.wake(Machine::Meeting(id));
                    }
                }
                tertulia_bridge::Output::ChannelText { channel, text } => {
                    self.outputs
                        .push_back(NodeOutput::ChannelText { channel, text });
                }
                tertulia_bridge::Output::ChannelClose { channel, code, .. } => {
                    self.channels.remove(&channel);
                    self.outputs
                        .push_back(NodeOutput::ChannelClose { channel, code });
                }
            }
        }
    }

    /// `ROOM` of `/xmpp-websocket?room=ROOM`, as an address.
    fn named_room(&self, name: &str) -> Option<RoomJid> {
        let node = jid::NodePart::new(name).ok()?;
        let host = self.hosts.name(Host::Conference);
        RoomJid::new(jid::BareJid::from_parts(Some(&node), &host))
    }

    fn close_socket(&mut self, connection: ConnectionId, code: u16) {
        if self.connections.remove(&connection).is_some() {
            self.outputs
                .push_back(NodeOutput::CloseSocket { connection, code });
        }
    }

    /// `…/colibri-ws/SERVER/CONFERENCE/ENDPOINT?pwd=PASSWORD`.
    fn read_channel_url(&self, url: &str) -> Option<(ConferenceId, EndpointId, String)> {
        let (path, query) = url.split_once("/colibri-ws/")?.1.split_once('?')?;
        let mut parts = path.split('/');
        let (server, conference, endpoint) = (parts.next()?, parts.next()?, parts.next()?);
        let password = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("pwd="))?;
        let is_ours = server == self.config.server_id && parts.next().is_none();
        let endpoint = endpoint.parse().ok().filter(|_| is_ours)?;
        Some((ConferenceId::new(conference), endpoint, password.to_owned()))
    }
}
