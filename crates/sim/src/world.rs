//! One server, the people and the network between them, on virtual time.
//!
//! Does not know: what should happen (see `checker`), what will happen (see `scenario`).

mod deadlines;
mod deeds;
mod features;
mod noticed;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tertulia_client::{MediaKind, Notice, Output as ClientOutput, Trouble};
use tertulia_model::{ChannelId, Hosts, MediaType, Now, Random, RequestId, RoomJid, Ssrc};

use crate::clock::Clock;
use crate::coverage::{Coverage, Mark};
use crate::journal::Journal;
use crate::network::{Datagram, Lane};
use crate::node::{ConnectionId, Disk, Node, NodeConfig, NodeOutput};
use crate::person::{Person, Plan, describe};
use crate::sabotage::Sabotage;
use crate::story::Story;
use crate::witness::Witness;

pub use features::Command;

/// Everything there is.
pub struct World {
    pub clock: Clock,
    pub hosts: Hosts,
    pub room: RoomJid,
    pub people: Vec<Person>,
    pub coverage: Coverage,
    pub journal: Journal,
    pub witness: Witness,
    pub sabotage: Option<Sabotage>,
    pub config: Arc<NodeConfig>,
    /// What people noticed since the checkers looked last.
    pub notices: Vec<(usize, Instant, Notice)>,
    /// What people asked their users to decide, since the scenario looked last.
    pub questions: Vec<(usize, Notice)>,
    /// What people decided about the meeting.
    pub story: Story,
    /// What reached people and was not for them, as complaints.
    pub overheard: Vec<String>,
    /// What people wanted who were no moderators then, while no socket of theirs was alive: by
    /// whom, and when.
    unheard: Vec<(usize, Instant, Command)>,
    /// When the server was started, stopped or killed last.
    pub server_changed: Instant,
    pub(crate) random: Random,
    node: Option<Node>,
    /// Of the server that does not run.
    disk: Disk,
    node_wake: Option<Instant>,
    /// The machine under the server is off: nothing answers, nothing is refused.
    is_dark: bool,
    incarnation: u32,
    wires: BTreeMap<ConnectionId, Wire>,
    channels: BTreeMap<ChannelId, Wire>,
    /// Who made an HTTP request.
    requests: BTreeMap<RequestId, usize>,
    by_address: BTreeMap<SocketAddr, usize>,
    posts: BinaryHeap<Reverse<(u64, u64, Post)>>,
    next_post: u64,
    next_id: u64,
}

/// A reliable connection between a person and the server.
struct Wire {
    person: usize,
    up: Lane,
    down: Lane,
    /// Which life of the server accepted it; None before it was accepted.
    incarnation: Option<u32>,
    /// Nothing passes any more, and nobody was told.
    is_severed: bool,
    /// The server, or the browser, knows that it is closed.
    is_closed_up: bool,
    is_closed_down: bool,
}

/// Something on its way over a reliable connection.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Post {
    Dial {
        wire: ConnectionId,
        previd: Option<String>,
    },
    Opened(ConnectionId),
    FrameUp(ConnectionId, String),
    FrameDown(ConnectionId, String),
    ClosedUp(ConnectionId, Option<u16>),
    ClosedDown(ConnectionId),
    ChannelDial {
        channel: ChannelId,
        url: String,
    },
    ChannelOpened(ChannelId),
    ChannelUp(ChannelId, String),
    ChannelDown(ChannelId, String),
    ChannelClosedUp(ChannelId),
    ChannelClosedDown(ChannelId),
    HttpUp(RequestId, String),
    HttpDown(RequestId, Option<(u16, String)>),
}

/// How a browser, or its socket, comes to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nobody is told; both sides wait.
    Silent,
    /// The server sees the socket close; the browser, if it lives, too.
    Seen,
    /// Only the browser notices.
    SeenByBrowser,
}

impl World {
    /// A running server and nobody there.
    pub fn new(
        seed: u64,
        origin: Instant,
        config: NodeConfig,
        witness: Witness,
        sabotage: Option<Sabotage>,
    ) -> World {
        crate::crypto::install();
        let clock = Clock::new(origin);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let config = NodeConfig { sabotage, ..config };
        let hosts = config.conference.hosts.clone();
        let room = RoomJid::new(
            "tea@conference.localhost"
                .parse()
                .expect("a literal address"),
        )
        .expect("it has a local part");
        let mut world = World {
            clock,
            hosts,
            room,
            people: Vec::new(),
            coverage: Coverage::default(),
            journal: Journal::default(),
            witness,
            sabotage,
            config: Arc::new(config),
            notices: Vec::new(),
            questions: Vec::new(),
            story: Story::default(),
            overheard: Vec::new(),
            unheard: Vec::new(),
            server_changed: clock.now().mono,
            random: Random::from_seed(bytes),
            node: None,
            disk: Disk::default(),
            node_wake: None,
            is_dark: false,
            incarnation: 0,
            wires: BTreeMap::new(),
            channels: BTreeMap::new(),
            requests: BTreeMap::new(),
            by_address: BTreeMap::new(),
            posts: BinaryHeap::new(),
            next_post: 0,
            next_id: 0,
        };
        world.witness.keep_private("198.51.100.");
        world.start_server();
        world
    }

    /// The present.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// The server, if it runs.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    // Time.

    /// Lets time pass up to this millisecond.
    pub fn run_until(&mut self, end: u64) {
        let mut steps = 0;
        while let Some(tick) = self.next_tick().filter(|tick| *tick <= end) {
            steps = if tick > self.clock.millis() {
                0
            } else {
                steps + 1
            };
            assert!(
                steps < STEPS_MAX,
                "time stands still: {}",
                self.who_is_due()
            );
            self.clock.advance_to(tick);
            self.journal.set_time(tick);
            self.step();
        }
        self.clock.advance_to(end);
        self.journal.set_time(end);
    }

    fn next_tick(&self) -> Option<u64> {
        let post = self.posts.peek().map(|Reverse((tick, ..))| *tick);
        let people = self.people.iter().flat_map(|person| {
            [
                person.wake,
                person.up.next_timeout(),
                person.down.next_timeout(),
            ]
        });
        let wakes = people
            .flatten()
            .chain(self.node_wake)
            .map(|at| self.clock.tick_of(at));
        wakes.chain(post).min()
    }

    fn who_is_due(&self) -> String {
        let now = self.now().mono;
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let timers = |p: &Person| [p.wake, p.up.next_timeout(), p.down.next_timeout()].map(is_due);
        let people: Vec<[bool; 3]> = self.people.iter().map(timers).collect();
        let post = self
            .posts
            .peek()
            .map(|Reverse((tick, _, post))| (*tick, post));
        let (millis, server) = (self.clock.millis(), is_due(self.node_wake));
        format!("{millis} ms, people and links {people:?}, server {server}, post {post:?}")
    }

    /// Everything that is due now.
    fn step(&mut self) {
        let now = self.now();
        while let Some(Reverse((tick, ..))) = self.posts.peek()
            && *tick <= self.clock.millis()
        {
            if let Some(Reverse((_, _, post))) = self.posts.pop() {
                self.deliver(post);
            }
        }
        for index in 0..self.people.len() {
            while let Some(datagram) = self.people[index].up.receive(now.mono) {
                if let Some(node) = &mut self.node {
                    node.datagram(now, datagram.from, datagram.to, &datagram.contents);
                    self.drain_node();
                }
            }
            while let Some(datagram) = self.people[index].down.receive(now.mono) {
                if let Some((stream, number)) = datagram.rtp() {
                    self.people[index].note_packet(Ssrc(stream), number, now.mono);
                }
                if let Some(client) = &mut self.people[index].client {
                    client.handle_datagram(now, datagram.from, &datagram.contents);
                    self.drain_person(index);
                }
            }
        }
        if self.node_wake.is_some_and(|wake| wake <= now.mono) {
            if let Some(node) = &mut self.node {
                node.timeout(now);
            }
            self.drain_node();
        }
        for index in 0..self.people.len() {
            if self.people[index].wake.is_some_and(|wake| wake <= now.mono) {
                if let Some(client) = &mut self.people[index].client {
                    client.handle_timeout(now);
                }
                self.drain_person(index);
            }
        }
    }

    fn deliver(&mut self, post: Post) {
        match post {
            Post::Dial { wire, previd } => self.deliver_dial(wire, previd.as_deref()),
            Post::Opened(wire) => {
                self.at_browser(wire, |client, now| client.handle_socket_opened(now));
            }
            Post::FrameUp(wire, text) => self.deliver_up(wire, &text),
            Post::FrameDown(wire, text) => {
                self.overhear(wire, &text);
                self.at_browser(wire, |client, now| client.handle_frame(now, &text));
            }
            Post::ClosedUp(wire, code) => self.deliver_closed_up(wire, code),
            Post::ClosedDown(wire) => self.deliver_closed_down(wire),
            Post::ChannelDial { channel, url } => self.deliver_channel_dial(channel, &url),
            Post::ChannelOpened(channel) => {
                self.at_channel(channel, |client, now| client.handle_channel_opened(now));
            }
            Post::ChannelUp(channel, text) => {
                let now = self.now();
                let is_current = self.is_current(channel);
                if let (Some(node), true) = (&mut self.node, is_current) {
                    node.channel_text(now, channel, &text);
                    self.drain_node();
                }
            }
            Post::ChannelDown(channel, text) => {
                self.at_channel(channel, |client, now| {
                    client.handle_channel_text(now, &text)
                });
            }
            Post::ChannelClosedUp(channel) => {
                let now = self.now();
                let is_current = self.is_current(channel);
                if let (Some(node), true) = (&mut self.node, is_current) {
                    node.channel_closed(now, channel);
                    self.drain_node();
                }
            }
            Post::ChannelClosedDown(channel) => {
                self.at_channel(channel, |client, now| client.handle_channel_closed(now));
            }
            Post::HttpUp(request, body) => self.deliver_request(request, &body),
            Post::HttpDown(request, reply) => self.deliver_answer(request, reply),
        }
    }

    fn deliver_dial(&mut self, id: ConnectionId, previd: Option<&str>) {
        let (now, incarnation) = (self.now(), self.incarnation);
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| !wire.is_severed) else {
            return;
        };
        let address = self.people[wire.person].address;
        match &mut self.node {
            Some(node) => {
                wire.incarnation = Some(incarnation);
                node.connect(now, id, address, self.room.name(), previd);
                self.post_down(id, Post::Opened(id));
                self.drain_node();
            }
            None if self.is_dark => {}
            None => self.post_down(id, Post::ClosedDown(id)),
        }
    }

    fn deliver_up(&mut self, id: ConnectionId, text: &str) {
        let now = self.now();
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.is_severed) else {
            return;
        };
        if wire.incarnation != Some(self.incarnation) || self.node.is_none() {
            // The new process knows nothing of this connection; its kernel says so.
            if !self.is_dark {
                self.post_down(id, Post::ClosedDown(id));
            }
            return;
        }
        if self
            .sabotage
            .is_some_and(|sabotage| sabotage.swallows_up(text))
        {
            return;
        }
        if let Some(node) = &mut self.node {
            node.frame(now, id, text);
        }
        self.drain_node();
    }

    fn deliver_closed_up(&mut self, id: ConnectionId, code: Option<u16>) {
        if self.sabotage.is_some_and(Sabotage::swallows_close) {
            return;
        }
        let (now, incarnation) = (self.now(), self.incarnation);
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let was_closed = std::mem::replace(&mut wire.is_closed_up, true);
        if let (Some(node), false) = (&mut self.node, was_closed)
            && wire.incarnation == Some(incarnation)
        {
            node.closed(now, id, code);
            self.drain_node();
        }
    }

    fn deliver_closed_down(&mut self, id: ConnectionId) {
        let Some(wire) = self.wires.get_mut(&id) else {
            return;
        };
        let index = wire.person;
        if std::mem::replace(&mut wire.is_closed_down, true) {
            return;
        }
        let person = &mut self.people[index];
        if person.wire == Some(id) {
            person.wire = None;
            person.past.present_since = None;
            self.with_client(index, |client, now| client.handle_socket_closed(now));
        }
    }

    fn deliver_channel_dial(&mut self, id: ChannelId, url: &str) {
        let (now, incarnation) = (self.now(), self.incarnation);
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if self.is_dark {
            return;
        }
        let is_open = match &mut self.node {
            Some(node) => {
                channel.incarnation = Some(incarnation);
                node.channel_open(now, id, url)
            }
            None => false,
        };
        let post = if is_open {
            Post::ChannelOpened(id)
        } else {
            Post::ChannelClosedDown(id)
        };
        self.post_channel_down(id, post);
        self.drain_node();
    }

    /// Hands something over to the browser that still uses this socket.
    fn at_browser(
        &mut self,
        id: ConnectionId,
        act: impl FnOnce(&mut tertulia_client::Client, Now),
    ) {
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.is_severed) else {
            return;
        };
        let index = wire.person;
        if self.people[index].wire == Some(id) {
            self.with_client(index, act);
        }
    }

    fn at_channel(&mut self, id: ChannelId, act: impl FnOnce(&mut tertulia_client::Client, Now)) {
        let Some(index) = self.channels.get(&id).map(|channel| channel.person) else {
            return;
        };
        if self.people[index].channel == Some(id) {
            self.with_client(index, act);
        }
    }

    fn is_current(&self, channel: ChannelId) -> bool {
        let channel = self.channels.get(&channel);
        channel.is_some_and(|channel| channel.incarnation == Some(self.incarnation))
    }

    // Outputs.

    fn drain_node(&mut self) {
        let now = self.now();
        let Some(node) = &mut self.node else { return };
        let mut outputs = Vec::new();
        while let Some(output) = node.poll_output() {
            outputs.push(output);
        }
        self.node_wake = node.next_timeout();
        for output in outputs {
            match output {
                NodeOutput::Frame { connection, text } => self.frame_down(connection, text),
                NodeOutput::CloseSocket { connection, .. } => {
                    if self
                        .wires
                        .get(&connection)
                        .is_some_and(|wire| !wire.is_severed)
                    {
                        self.post_down(connection, Post::ClosedDown(connection));
                    }
                }
                NodeOutput::Transmit(transmit) => {
                    let Some(index) = self.by_address.get(&transmit.destination) else {
                        continue;
                    };
                    let datagram = Datagram {
                        from: transmit.source,
                        to: transmit.destination,
                        contents: transmit.contents,
                    };
                    let is_swallowed = self
                        .sabotage
                        .is_some_and(|s| s.swallows_datagram(&datagram.contents));
                    if !is_swallowed {
                        self.people[*index].down.send(now.mono, datagram);
                    }
                }
                NodeOutput::ChannelText { channel, text } => {
                    let is_swallowed = self
                        .sabotage
                        .is_some_and(|s| s.swallows_channel_down(&text));
                    if !is_swallowed {
                        self.post_channel_down(channel, Post::ChannelDown(channel, text));
                    }
                }
                NodeOutput::ChannelClose { channel, .. } => {
                    self.post_channel_down(channel, Post::ChannelClosedDown(channel));
                }
                NodeOutput::HttpReply {
                    request,
                    status,
                    body,
                } => {
                    self.answer(request, Some((status, body)));
                }
            }
        }
    }

    fn frame_down(&mut self, id: ConnectionId, text: String) {
        let Some(wire) = self.wires.get(&id) else {
            return;
        };
        let person = wire.person;
        let is_swallowed = self
            .sabotage
            .is_some_and(|s| s.swallows_down(person, &text));
        if is_swallowed {
            return;
        }
        if self.sabotage == Some(Sabotage::LeakyLobby) && text.starts_with("<presence") {
            self.leak(&text);
        }
        let text = match self.sabotage {
            Some(sabotage) => sabotage.distorted(person, text),
            None => text,
        };
        self.post_down(id, Post::FrameDown(id, text));
    }

    /// Gives those who wait what is not for them.
    fn leak(&mut self, text: &str) {
        let waits = |person: &&Person| {
            let client = person.client.as_ref();
            client.is_some_and(tertulia_client::Client::is_waiting)
        };
        let waiting = self.people.iter().filter(waits);
        let wires: Vec<ConnectionId> = waiting.filter_map(|person| person.wire).collect();
        for wire in wires {
            self.post_down(wire, Post::FrameDown(wire, text.to_owned()));
        }
    }

    fn drain_person(&mut self, index: usize) {
        let now = self.now();
        let Some(client) = &mut self.people[index].client else {
            return;
        };
        let mut outputs = Vec::new();
        while let Some(output) = client.poll_output() {
            outputs.push(output);
        }
        self.people[index].wake = client.next_timeout();
        let deadline = now.mono + self.linger(Loss::Silent);
        self.people[index].note_name(deadline);
        for output in outputs {
            match output {
                ClientOutput::Dial { previd } => self.dial(index, previd),
                ClientOutput::Frame(text) => {
                    if let Some(wire) = self.people[index].wire {
                        self.post_up(wire, Post::FrameUp(wire, text));
                    }
                }
                ClientOutput::CloseSocket { code } => {
                    if let Some(wire) = self.people[index].wire.take() {
                        self.post_up(wire, Post::ClosedUp(wire, Some(code)));
                    }
                }
                ClientOutput::Transmit(transmit) => {
                    let datagram = Datagram {
                        from: transmit.source,
                        to: transmit.destination,
                        contents: transmit.contents,
                    };
                    self.people[index].up.send(now.mono, datagram);
                }
                ClientOutput::ChannelDial { url } => self.dial_channel(index, url),
                ClientOutput::ChannelText(text) => {
                    let is_swallowed = self.sabotage.is_some_and(|s| s.swallows_channel(&text));
                    if let (Some(channel), false) = (self.people[index].channel, is_swallowed) {
                        self.post_channel_up(channel, Post::ChannelUp(channel, text));
                    }
                }
                ClientOutput::ChannelClose => self.close_channel(index),
                ClientOutput::HttpRequest { body } => self.request(index, body),
                ClientOutput::Notice(notice) => self.noticed(index, notice),
            }
        }
    }

    // Sockets.

    fn dial(&mut self, index: usize, previd: Option<String>) {
        if let Some(old) = self.people[index].wire.take() {
            self.post_up(old, Post::ClosedUp(old, None));
        }
        self.next_id += 1;
        let id = ConnectionId(self.next_id);
        self.wires.insert(id, self.new_wire(index));
        self.people[index].wire = Some(id);
        self.post_up(id, Post::Dial { wire: id, previd });
    }

    fn dial_channel(&mut self, index: usize, url: String) {
        self.close_channel(index);
        self.next_id += 1;
        let id = ChannelId(self.next_id);
        self.channels.insert(id, self.new_wire(index));
        self.people[index].channel = Some(id);
        self.post_channel_up(id, Post::ChannelDial { channel: id, url });
    }

    fn close_channel(&mut self, index: usize) {
        if let Some(channel) = self.people[index].channel.take() {
            self.post_channel_up(channel, Post::ChannelClosedUp(channel));
        }
    }

    fn request(&mut self, index: usize, body: String) {
        self.next_id += 1;
        let id = RequestId(self.next_id);
        self.requests.insert(id, index);
        self.post(
            self.clock.millis() + self.people[index].latency,
            Post::HttpUp(id, body),
        );
    }

    fn answer(&mut self, id: RequestId, reply: Option<(u16, String)>) {
        if let Some(index) = self.requests.get(&id) {
            let at = self.clock.millis() + self.people[*index].latency;
            self.post(at, Post::HttpDown(id, reply));
        }
    }

    fn deliver_request(&mut self, id: RequestId, body: &str) {
        let now = self.now();
        match &mut self.node {
            Some(node) => {
                node.http_conference_request(now, id, body);
                self.drain_node();
            }
            None if self.is_dark => {}
            None => self.answer(id, None),
        }
    }

    fn deliver_answer(&mut self, id: RequestId, reply: Option<(u16, String)>) {
        // Only the newest request of a browser counts.
        let Some(index) = self.requests.remove(&id) else {
            return;
        };
        if self
            .requests
            .iter()
            .all(|(other, owner)| *owner != index || *other < id)
        {
            self.with_client(index, |client, now| {
                let reply = reply
                    .as_ref()
                    .map(|(status, body)| (*status, body.as_str()));
                client.handle_http_reply(now, reply);
            });
        }
    }

    fn new_wire(&self, person: usize) -> Wire {
        let lane = Lane::new(self.people[person].latency);
        Wire {
            person,
            up: lane,
            down: lane,
            incarnation: None,
            is_severed: false,
            is_closed_up: false,
            is_closed_down: false,
        }
    }

    fn sever(&mut self, id: ConnectionId) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.is_severed = true;
        }
    }

    fn drop_browser(&mut self, index: usize, close: Option<Option<u16>>) {
        let person = &mut self.people[index];
        person.client = None;
        person.wake = None;
        let (wire, channel) = (person.wire.take(), person.channel.take());
        match (close, wire) {
            (Some(code), Some(wire)) => self.post_up(wire, Post::ClosedUp(wire, code)),
            (None, Some(wire)) => self.sever(wire),
            (_, None) => {}
        }
        if let (Some(_), Some(channel)) = (close, channel) {
            self.post_channel_up(channel, Post::ChannelClosedUp(channel));
        }
    }

    fn lose_node(&mut self) {
        let disk = self.node.take().map(Node::crash);
        self.disk = disk.unwrap_or_default();
        if self.sabotage == Some(Sabotage::LostJournal) {
            self.disk = Disk::default();
        }
        self.node_wake = None;
        self.server_changed = self.now().mono;
        self.story.kept = self.story.configuration.take();
        for person in &mut self.people {
            let past = &mut person.past;
            past.affiliation_before = past
                .affiliation
                .take()
                .filter(|_| past.present_since.is_some());
            person.disturbed();
        }
        if self.is_dark {
            return;
        }
        let is_whole = |(_, wire): &(&ConnectionId, &Wire)| !wire.is_severed;
        let wires: Vec<ConnectionId> = self
            .wires
            .iter()
            .filter(is_whole)
            .map(|(id, _)| *id)
            .collect();
        for wire in wires {
            self.post_down(wire, Post::ClosedDown(wire));
        }
        let channels: Vec<ChannelId> = self.channels.keys().copied().collect();
        for channel in channels {
            self.post_channel_down(channel, Post::ChannelClosedDown(channel));
        }
    }

    fn post_up(&mut self, id: ConnectionId, post: Post) {
        let tick = self.clock.millis();
        if let Some(wire) = self.wires.get_mut(&id) {
            let at = wire.up.arrival(tick);
            self.post(at, post);
        }
    }

    fn post_down(&mut self, id: ConnectionId, post: Post) {
        let tick = self.clock.millis();
        if let Some(wire) = self.wires.get_mut(&id) {
            let at = wire.down.arrival(tick);
            self.post(at, post);
        }
    }

    fn post_channel_up(&mut self, id: ChannelId, post: Post) {
        let tick = self.clock.millis();
        if let Some(channel) = self.channels.get_mut(&id) {
            let at = channel.up.arrival(tick);
            self.post(at, post);
        }
    }

    fn post_channel_down(&mut self, id: ChannelId, post: Post) {
        let tick = self.clock.millis();
        if let Some(channel) = self.channels.get_mut(&id) {
            let at = channel.down.arrival(tick);
            self.post(at, post);
        }
    }

    fn post(&mut self, at: u64, post: Post) {
        self.next_post += 1;
        self.posts.push(Reverse((at, self.next_post, post)));
    }
}

/// More rounds within one millisecond than any machine has reason for.
const STEPS_MAX: u32 = 1_000;
