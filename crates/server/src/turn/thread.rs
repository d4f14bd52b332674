//! The thread: one runtime, tasks for the sockets, all around one machine that belongs to nobody
//! else.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::thread;

use tertulia_model::{Now, Random};
use tertulia_turn::{BindFailed, Config, Output, Path, RelayId, ToPeer, Transport, TurnServer};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::runtime;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;
use tracing::{debug, error, trace};

use super::relay::{self, Relay};
use super::stream::{self, Outbox, TurnStream};
use super::{BoundTurn, Here, TurnCommand};
use crate::clock;
use crate::config::TurnConfig;
use crate::datagrams::{BATCH_BYTES, Datagrams};
use crate::pump::{Panicked, Timer, guarded};

/// Starts it.
pub(super) fn start(
    bound: BoundTurn,
    mut here: Here,
    realm: String,
    seed: [u8; 32],
    commands: mpsc::UnboundedReceiver<TurnCommand>,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sockets = {
        let _inside = runtime.enter();
        let sockets = bound.udp.into_iter();
        let sockets = sockets.map(|socket| Datagrams::new(UdpSocket::from_std(socket)?));
        sockets.collect::<io::Result<Vec<_>>>()?
    };
    let mut random = Random::from_seed(seed);
    let config = Config {
        realm,
        secret: bound.secret,
        shared_secret: bound.shared_secret,
        peers: here.peers(bound.config.is_public),
        limits: bound.config.limits,
        lifetime: bound.config.lifetime,
        lifetime_max: bound.config.lifetime_max,
        nonce_lifetime: bound.config.nonce_lifetime,
        idle: bound.config.idle,
    };
    let seed = random.seed();
    let run = move || {
        let desk = Rc::new(Desk {
            server: RefCell::new(TurnServer::new(config, seed, clock::now())),
            sockets,
            relays: RefCell::default(),
            streams: RefCell::default(),
            config: bound.config,
            random: RefCell::new(random),
            packet: RefCell::new(vec![0; PACKET_BYTES].into()),
            to_client: RefCell::default(),
            changed: Notify::new(),
            is_broken: Cell::new(false),
        });
        LocalSet::new().block_on(&runtime, serve(desk, here, commands));
        debug!("TURN server ended");
    };
    thread::Builder::new().name("turn".to_owned()).spawn(run)?;
    Ok(())
}

async fn serve(desk: Rc<Desk>, mut here: Here, mut commands: mpsc::UnboundedReceiver<TurnCommand>) {
    for index in 0..desk.sockets.len() {
        tokio::task::spawn_local(Rc::clone(&desk).listen(index));
    }
    let mut timer = Timer::new();
    while !desk.is_broken.get() {
        timer.set(desk.server.borrow().next_timeout());
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => desk.obey(command),
                None => return,
            },
            () = timer.expired() => {
                desk.with(|server, now| server.handle_timeout(now));
            }
            () = here.changed() => {
                let peers = here.peers(desk.config.is_public);
                desk.with(|server, _| server.set_peers(peers));
            }
            () = desk.changed.notified() => {}
        }
    }
    error!("the TURN server broke; those who need it have to do without until a restart");
}

/// What all tasks of the thread share.
struct Desk {
    server: RefCell<TurnServer>,
    /// Where clients come to by UDP.
    sockets: Vec<Datagrams<UdpSocket>>,
    relays: RefCell<BTreeMap<RelayId, Relay>>,
    /// What waits for clients on TCP and TLS.
    streams: RefCell<BTreeMap<Path, Rc<Outbox>>>,
    config: TurnConfig,
    random: RefCell<Random>,
    /// A peer's packet, and what becomes of it for the client.
    packet: RefCell<Box<[u8]>>,
    to_client: RefCell<Vec<u8>>,
    /// The machine was given something that may move its next timeout.
    changed: Notify,
    is_broken: Cell<bool>,
}

impl Desk {
    fn obey(self: &Rc<Self>, command: TurnCommand) {
        match command {
            TurnCommand::SessionStarted(session) => {
                self.with(|server, _| server.start_session(session));
            }
            TurnCommand::SessionEnded(session) => {
                self.with(|server, now| server.end_session(now, session));
            }
            TurnCommand::Stream(stream) => {
                tokio::task::spawn_local(Rc::clone(self).connection(stream));
            }
            TurnCommand::Statistics(reply) => {
                let _ = reply.send(self.server.borrow().statistics());
            }
        }
    }

    /// Gives the machine something, and carries out what it wants. None: it broke.
    fn with<T>(self: &Rc<Self>, step: impl FnOnce(&mut TurnServer, Now) -> T) -> Option<T> {
        let now = clock::now();
        let step = guarded(|| {
            let result = step(&mut self.server.borrow_mut(), now);
            self.settle(now);
            result
        });
        if let Err(Panicked) = step {
            self.is_broken.set(true);
            self.changed.notify_one();
        }
        step.ok()
    }

    fn settle(self: &Rc<Self>, now: Now) {
        let mut is_changed = false;
        loop {
            let output = self.server.borrow_mut().poll_output();
            let Some(output) = output else { break };
            is_changed = true;
            match output {
                Output::Send { path, message } => self.send(path, &message),
                Output::Bind {
                    relay,
                    address,
                    is_even,
                } => {
                    let port = self.bind(relay, address, is_even);
                    self.server.borrow_mut().handle_bound(now, relay, port);
                }
                Output::CloseRelay(relay) => {
                    self.relays.borrow_mut().remove(&relay);
                }
                Output::CloseStream(path) => {
                    if let Some(outbox) = self.streams.borrow().get(&path) {
                        outbox.close();
                    }
                }
            }
        }
        if is_changed {
            self.changed.notify_one();
        }
    }

    fn bind(
        self: &Rc<Self>,
        relay: RelayId,
        address: IpAddr,
        is_even: bool,
    ) -> Result<u16, BindFailed> {
        let ports = &self.config.relay_ports;
        let socket = relay::bind(address, ports, is_even, &mut self.random.borrow_mut())?;
        let port = socket.local_addr().map_err(|_| BindFailed)?.port();
        let socket = Rc::new(socket);
        let receiving = Rc::clone(self).receive(relay, Rc::clone(&socket));
        let task = tokio::task::spawn_local(receiving).abort_handle();
        self.relays
            .borrow_mut()
            .insert(relay, Relay { socket, task });
        Ok(port)
    }

    fn send(&self, path: Path, message: &[u8]) {
        match path.transport {
            Transport::Udp => {
                let mut sockets = self.sockets.iter();
                let Some(socket) = sockets.find(|one| one.is_at(path.server)) else {
                    return;
                };
                let sent = socket.io.try_io(Interest::WRITABLE, || {
                    socket.send(path.server, path.client, message, message.len())
                });
                // What the system has no room for is lost, as on any network.
                if let Err(error) = sent {
                    trace!(%error, "a packet could not be sent");
                }
            }
            Transport::Stream => {
                if let Some(outbox) = self.streams.borrow().get(&path) {
                    outbox.push(message);
                }
            }
        }
    }

    /// A message of a client.
    fn take(self: &Rc<Self>, path: Path, message: &[u8]) {
        let to_peer = self.with(|server, now| server.handle_client(now, path, message));
        let Some(Some(ToPeer {
            relay,
            peer,
            payload,
        })) = to_peer
        else {
            return;
        };
        if let Some(relay) = self.relays.borrow().get(&relay)
            && let Err(error) = relay.socket.try_send_to(payload, peer)
        {
            trace!(%error, "a packet could not be relayed");
        }
    }

    /// Receives from clients on UDP, for ever.
    async fn listen(self: Rc<Self>, index: usize) {
        let Some(socket) = self.sockets.get(index) else {
            return;
        };
        let mut buffer = vec![0; BATCH_BYTES];
        while socket.io.readable().await.is_ok() {
            for _ in 0..BATCHES_AT_ONCE {
                let take = |client, server, bytes: &[u8]| {
                    let path = Path {
                        transport: Transport::Udp,
                        server,
                        client,
                    };
                    self.take(path, bytes);
                };
                let receive = || socket.receive(&mut buffer, take);
                let received = socket.io.try_io(Interest::READABLE, receive);
                match received {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Those are answers to what was sent before.
                    Err(error) => trace!(%error, "a client is not there"),
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Receives from a relay's peers, until its task is ended.
    async fn receive(self: Rc<Self>, relay: RelayId, socket: Rc<UdpSocket>) {
        while socket.readable().await.is_ok() {
            for _ in 0..PACKETS_AT_ONCE {
                if !self.receive_one(relay, &socket) {
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Passes one packet on; false when there is none.
    fn receive_one(self: &Rc<Self>, relay: RelayId, socket: &UdpSocket) -> bool {
        let (mut packet, mut out) = (self.packet.borrow_mut(), self.to_client.borrow_mut());
        let (length, from) = match socket.try_recv_from(&mut packet) {
            Ok(received) => received,
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        };
        let payload = packet.get(..length).unwrap_or_default();
        let from: SocketAddr = SocketAddr::new(from.ip().to_canonical(), from.port());
        let path = self.with(|server, now| server.handle_peer(now, relay, from, payload, &mut out));
        if let Some(Some(path)) = path {
            self.send(path, &out);
        }
        true
    }

    /// Serves one connection until it ends.
    async fn connection(self: Rc<Self>, connection: TurnStream) {
        let TurnStream {
            stream,
            path,
            first,
            permit,
        } = connection;
        let outbox = Rc::new(Outbox::new(self.config.outbox_bytes));
        self.streams.borrow_mut().insert(path, Rc::clone(&outbox));
        self.with(|server, now| server.handle_connected(now, path));
        self.changed.notify_one();
        let take = |message: &[u8]| {
            self.take(path, message);
            // Who has an allocation has shown who they are, and has another limit.
            if self.server.borrow().has_allocation(&path) {
                permit.release();
            }
        };
        stream::drive(stream, &first, self.config.message_bytes, &outbox, take).await;
        self.streams.borrow_mut().remove(&path);
        self.with(|server, now| server.handle_disconnected(now, path));
    }
}

const BATCHES_AT_ONCE: usize = 4;
const PACKETS_AT_ONCE: usize = 64;
const PACKET_BYTES: usize = 1 << 16;
