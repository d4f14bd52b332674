//! A bridge and its clients on virtual time, without sockets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tertulia_bridge::{Batch, Config, DatagramRoute, Output, Statistics, Worker};
use tertulia_model::bridge::{EndpointOffer, LocalTransport, MayForward, RemoteTransport};
use tertulia_model::{
    AllocationId, BridgeCommand, BridgeEvent, ChannelId, ConferenceId, Now, Random,
};
use tertulia_peer::Parcel;
use tertulia_transport::datagram::DatagramKind;

use client::{Client, Habits};

#[path = "client.rs"]
pub(crate) mod client;
#[path = "link.rs"]
pub(crate) mod link;

/// Everything.
pub(crate) struct Room {
    pub(crate) now: Now,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clients: Vec<Client>,
    pub(crate) events: Vec<(ConferenceId, BridgeEvent)>,
    pub(crate) conference: ConferenceId,
    /// One way.
    pub(crate) delay: Duration,
    pub(crate) conference_worker: usize,
    /// Of those who join from now on.
    pub(crate) habits: Habits,
    /// The first twelve bytes of each RTP packet that left for client 1.
    pub(crate) sealed: Vec<[u8; 12]>,
    /// Where datagrams were sent that no client has, and their first bytes.
    pub(crate) strayed: Vec<(SocketAddr, u8)>,
    /// Bytes that a worker gave out before they were taken from it.
    pub(crate) largest_part: usize,
    wire: VecDeque<(Instant, bool, Parcel)>,
    random: Random,
    allocations: u64,
    batch: Batch,
    part: Batch,
}

/// What an endpoint may have forwarded, messages included.
pub(crate) fn may(audio: bool, video: bool) -> MayForward {
    MayForward {
        audio,
        camera: video,
        screen: video,
        messages: true,
    }
}

pub(crate) const OFFER: EndpointOffer = EndpointOffer {
    has_rtx: true,
    has_red: false,
    has_transport_cc: true,
    has_data_channel: true,
    has_ssrc_rewriting: false,
    is_loopback: false,
};

impl Room {
    pub(crate) fn new(config: Config) -> Room {
        str0m::crypto::from_feature_flags().install_process_default();
        // The peers draw what is not secret from the generator of this thread.
        fastrand::seed(1);
        let config = Config {
            dtls_timer_seed: Some(1),
            ..config
        };
        let now = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        let config = Arc::new(config);
        let workers = (0..config.workers)
            .map(|index| Worker::new(Arc::clone(&config), index, [index as u8; 32], now))
            .collect();
        Room {
            now,
            workers,
            clients: Vec::new(),
            events: Vec::new(),
            conference: ConferenceId::new("c0ffee"),
            delay: Duration::from_millis(5),
            conference_worker: 0,
            habits: Habits::default(),
            sealed: Vec::new(),
            strayed: Vec::new(),
            largest_part: 0,
            wire: VecDeque::new(),
            random: Random::from_seed([42; 32]),
            allocations: 0,
            batch: Batch::default(),
            part: Batch::default(),
        }
    }

    pub(crate) fn worker(&mut self) -> &mut Worker {
        &mut self.workers[self.conference_worker]
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let mut sum = Statistics::default();
        for worker in &self.workers {
            sum += worker.statistics();
        }
        sum
    }

    pub(crate) fn command(&mut self, command: BridgeCommand) {
        let (now, conference) = (self.now, self.conference.clone());
        let mut batch = std::mem::take(&mut self.batch);
        self.worker()
            .handle_command(now, &conference, command, &mut batch);
        self.batch = batch;
        self.collect();
    }

    /// Allocates an endpoint without answering.
    pub(crate) fn allocate(
        &mut self,
        id: &str,
        offer: EndpointOffer,
    ) -> (AllocationId, LocalTransport) {
        self.allocations += 1;
        let allocation = AllocationId(self.allocations);
        self.command(BridgeCommand::Allocate {
            endpoint: id.parse().unwrap(),
            allocation,
            offer,
        });
        let transport = self.events.iter().find_map(|(_, event)| match event {
            BridgeEvent::Allocated {
                allocation: of,
                transport,
            } if *of == allocation => Some(transport.clone()),
            _ => None,
        });
        (allocation, transport.expect("allocated"))
    }

    /// A client that answers its invitation; gives back its index.
    pub(crate) fn join(&mut self, id: &str) -> usize {
        self.join_with(id, OFFER, |_| {})
    }

    pub(crate) fn join_with(
        &mut self,
        id: &str,
        offer: EndpointOffer,
        change: impl FnOnce(&mut RemoteTransport),
    ) -> usize {
        let number = self.clients.len() as u32 + 1;
        let address = SocketAddr::from(([198, 51, 100, number as u8], 40_000));
        let (index, mut remote) = self.prepare(id, offer, address);
        change(&mut remote);
        self.answer(index, remote);
        index
    }

    /// A client that has its invitation and has not answered yet; gives back its index and answer.
    pub(crate) fn prepare(
        &mut self,
        id: &str,
        offer: EndpointOffer,
        address: SocketAddr,
    ) -> (usize, RemoteTransport) {
        let allocated = self.allocate(id, offer);
        let number = self.clients.len() as u32 + 1;
        let (habits, now) = (self.habits, self.now);
        let mut client = Client::new(id, number, allocated, offer, address, habits, now);
        let remote = client.answer();
        self.clients.push(client);
        (self.clients.len() - 1, remote)
    }

    pub(crate) fn answer(&mut self, index: usize, transport: RemoteTransport) {
        let allocation = self.clients[index].allocation;
        self.command(BridgeCommand::Connect {
            allocation,
            transport,
        });
    }

    /// Joins so many clients with microphone and camera, all known to each other, and waits until
    /// they are connected.
    pub(crate) fn party(&mut self, names: &[&str]) {
        for name in names {
            let index = self.join(name);
            self.publish(index);
        }
        self.run_until(Duration::from_secs(5), |room| {
            room.clients.iter().all(|client| client.is_connected)
        });
        let connected = self
            .clients
            .iter()
            .filter(|client| client.is_connected)
            .count();
        assert_eq!(connected, self.clients.len(), "all connected");
    }

    /// Signals the sources of a client to the bridge and to all others.
    pub(crate) fn publish(&mut self, index: usize) {
        let sources = self.clients[index].sources();
        let allocation = self.clients[index].allocation;
        self.clients[index].declare();
        self.command(BridgeCommand::SetSources {
            allocation,
            sources,
        });
        for other in 0..self.clients.len() {
            for (receiver, sender) in [(other, index), (index, other)] {
                if receiver != sender && self.clients[sender].is_published {
                    let number = self.clients[sender].number;
                    self.clients[receiver].expect(number);
                }
            }
        }
    }

    /// Everybody asks for everything up to a height.
    pub(crate) fn all_ask(&mut self, height: i32) {
        for index in 0..self.clients.len() {
            self.ask(index, height);
        }
    }

    pub(crate) fn ask(&mut self, index: usize, height: i32) {
        self.say(
            index,
            &format!(
                r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":-1,
                "defaultConstraints":{{"maxHeight":{height}}}}}"#
            ),
        );
    }

    /// Sends a message by the client's WebSocket, opening one if there is none, or by its data
    /// channel.
    pub(crate) fn say(&mut self, index: usize, text: &str) {
        let (now, mut batch) = (self.now, std::mem::take(&mut self.batch));
        if let Some(channel) = self.clients[index].websocket {
            self.worker()
                .handle_channel_text(now, channel, text, &mut batch);
        } else if self.clients[index].data_channel.is_some() {
            self.clients[index].peer.say(text);
        } else {
            self.batch = batch;
            self.open_websocket(index);
            return self.say(index, text);
        }
        self.batch = batch;
        self.collect();
    }

    pub(crate) fn open_websocket(&mut self, index: usize) -> ChannelId {
        self.allocations += 1;
        let channel = ChannelId(self.allocations);
        let (id, password) = (
            self.clients[index].id.clone(),
            self.clients[index].transport.channel_password.clone(),
        );
        let (now, conference) = (self.now, self.conference.clone());
        self.worker()
            .open_channel(now, &conference, &id, &password, channel)
            .expect("the channel opens");
        self.clients[index].websocket = Some(channel);
        self.collect();
        channel
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    pub(crate) fn run_until(&mut self, time: Duration, is_done: impl Fn(&Room) -> bool) {
        let end = self.now.mono + time;
        while self.now.mono < end && !is_done(self) {
            self.now = self.now.later(STEP);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for client in &mut self.clients {
            client.produce(now.mono);
        }
        self.deliver();
        for index in 0..self.workers.len() {
            let mut batch = std::mem::take(&mut self.batch);
            let worker = &mut self.workers[index];
            if worker.next_timeout().is_some_and(|at| at <= now.mono) {
                worker.handle_timeout(now, &mut batch);
            }
            self.batch = batch;
        }
        self.collect();
        for index in 0..self.clients.len() {
            self.drive(index);
        }
    }

    /// Hands over what has arrived by now.
    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<_> = {
            let (due, waiting) = std::mem::take(&mut self.wire)
                .into_iter()
                .partition(|(at, ..)| *at <= now.mono);
            self.wire = waiting;
            let due: VecDeque<_> = due;
            due.into_iter().collect()
        };
        let mut batch = std::mem::take(&mut self.batch);
        for (_, is_up, parcel) in due {
            if is_up {
                self.receive(&parcel, &mut batch);
            } else if let Some(client) = self
                .clients
                .iter_mut()
                .find(|client| client.address == parcel.to)
            {
                client.receive(now.mono, &parcel);
            }
        }
        // In parts, as a media thread sends it.
        let mut part = std::mem::take(&mut self.part);
        for worker in &mut self.workers {
            let mut has_more = true;
            while has_more {
                has_more = worker.finish_part(now, &mut part);
                self.largest_part = self.largest_part.max(part.total_bytes());
                part.runs().for_each(|run| batch.push_run(run));
                part.clear();
            }
        }
        self.part = part;
        self.batch = batch;
    }

    /// The kernel picks any worker's socket; the worker knows whose it is.
    fn receive(&mut self, parcel: &Parcel, batch: &mut Batch) {
        let arrives_at = usize::from(parcel.from.port()) % self.workers.len();
        let now = self.now;
        let owner = match self.workers[arrives_at].route(now, parcel.from, &parcel.data) {
            DatagramRoute::Here => arrives_at,
            DatagramRoute::Worker(index) => usize::from(index),
            DatagramRoute::Drop => return,
        };
        self.workers[owner].handle_datagram(now, parcel.from, parcel.to, &parcel.data, batch);
    }

    /// A datagram from anywhere arrives.
    pub(crate) fn inject(&mut self, from: SocketAddr, data: &[u8]) {
        let mut batch = std::mem::take(&mut self.batch);
        let parcel = Parcel {
            from,
            to: BRIDGE.parse().unwrap(),
            data: data.to_vec(),
        };
        self.receive(&parcel, &mut batch);
        for worker in &mut self.workers {
            worker.finish_batch(self.now, &mut batch);
        }
        self.batch = batch;
        self.collect();
    }

    /// Puts what the bridge wants on its way.
    pub(crate) fn collect(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        for transmit in batch.iter() {
            let Some(client) = self
                .clients
                .iter_mut()
                .find(|client| client.address == transmit.destination)
            else {
                let first = transmit.contents.first().copied();
                let first = first.unwrap_or_default();
                self.strayed.push((transmit.destination, first));
                continue;
            };
            let header = transmit.contents.first_chunk::<12>();
            let is_rtp = |header: &&[u8; 12]| DatagramKind::of(*header) == Some(DatagramKind::Rtp);
            if let Some(header) = header.filter(is_rtp).filter(|_| client.number == 2) {
                self.sealed.push(*header);
            }
            let fates = client.way_down.fates(client.loss_down, &mut self.random);
            for late in fates {
                let mut at = self.now.mono + self.delay + late;
                if let Some(rate) = client.rate_down {
                    let bytes = transmit.contents.len();
                    client.offered.push((self.now.mono, bytes));
                    let free = client.link_free_at.unwrap_or(at).max(self.now.mono);
                    if free > self.now.mono + QUEUE {
                        continue;
                    }
                    let free = free + Duration::from_nanos(bytes as u64 * 8_000_000_000 / rate);
                    client.link_free_at = Some(free);
                    at = free + self.delay + late;
                }
                let parcel = Parcel {
                    from: transmit.source,
                    to: transmit.destination,
                    data: transmit.contents.to_vec(),
                };
                self.wire.push_back((at, false, parcel));
            }
        }
        // The server keeps its batch too.
        batch.clear();
        self.batch = batch;
        for worker in &mut self.workers {
            while let Some(output) = worker.poll_output() {
                match output {
                    Output::Event { conference, event } => self.events.push((conference, event)),
                    Output::ChannelText { channel, text } => {
                        let client = self
                            .clients
                            .iter_mut()
                            .find(|client| client.websocket == Some(channel));
                        if let Some(client) = client {
                            client.hear(serde_json::from_str(&text).unwrap());
                        }
                    }
                    Output::ChannelClose { channel, code, .. } => {
                        for client in &mut self.clients {
                            if client.websocket == Some(channel) {
                                client.websocket = None;
                                client.texts.push(Value::from(code));
                            }
                        }
                    }
                }
            }
        }
    }

    fn drive(&mut self, index: usize) {
        let now = self.now.mono;
        let client = &mut self.clients[index];
        for parcel in client.drive(now) {
            if let Some(caught) = &mut client.caught {
                caught.push(parcel.data);
                continue;
            }
            for late in client.way_up.fates(client.loss_up, &mut self.random) {
                let at = now + self.delay + late;
                self.wire.push_back((at, true, parcel.clone()));
            }
        }
    }

    /// Whether such an event was told.
    pub(crate) fn count(&self, is_it: impl Fn(&BridgeEvent) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| is_it(event)).count()
    }
}

const STEP: Duration = Duration::from_millis(1);
/// How long what waits before a narrow link may have to wait.
const QUEUE: Duration = Duration::from_millis(300);
pub(crate) const BRIDGE: &str = "192.0.2.1:10000";
