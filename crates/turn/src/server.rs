mod requests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun_types::attribute::ErrorCode;
use stun_types::message::{
    Message, MessageClass, MessageType, MessageWrite, MessageWriteExt, MessageWriteVec,
    TransactionId,
};
use tertulia_model::{NetworkRates, Now, Random, SessionId};
use tracing::debug;
use turn_types::attribute::{Data, XorPeerAddress};
use turn_types::message::DATA;

use crate::allocation::Allocation;
use crate::auth::{Nonces, User};
use crate::deadlines::Deadlines;
use crate::framing::{CHANNEL_HEAD, Kind, STUN_HEAD};
use crate::peers::Peer;
use crate::quota::Usage;
use crate::reply::Reply;
use crate::{Config, OwnAddress, Peers, Statistics};

/// How messages travel between a client and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    /// TCP, with TLS or without.
    Stream,
}

/// Between which addresses a client and we talk: what RFC 8656 calls a 5-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    pub transport: Transport,
    /// Ours.
    pub server: SocketAddr,
    pub client: SocketAddr,
}

/// One relay socket; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(pub u64);

/// A packet to leave by a relay's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToPeer<'a> {
    pub relay: RelayId,
    pub peer: SocketAddr,
    pub payload: &'a [u8],
}

/// What the server wants of the world, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Send {
        path: Path,
        message: Vec<u8>,
    },
    /// A UDP socket at this address, on a free port of the configured range; the answer comes by
    /// [`TurnServer::handle_bound`].
    Bind {
        relay: RelayId,
        address: IpAddr,
        is_even: bool,
    },
    CloseRelay(RelayId),
    /// A TCP connection that has no allocation any more, or never got one.
    CloseStream(Path),
}

/// There is no port, or no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindFailed;

/// The STUN and TURN server: allocations of all clients on all transports.
///
/// Call exactly one `handle_*`, then [`poll_output`](TurnServer::poll_output) until it gives None,
/// then sleep until [`next_timeout`](TurnServer::next_timeout). Time never goes backwards. Packets
/// that are merely passed on are what [`handle_client`](TurnServer::handle_client) and
/// [`handle_peer`](TurnServer::handle_peer) return; they leave no output behind. A client's mistake
/// is an answer or a count.
#[derive(Debug)]
pub struct TurnServer {
    config: Config,
    random: Random,
    nonces: Nonces,
    /// Those whose credentials are good.
    sessions: BTreeSet<SessionId>,
    allocations: BTreeMap<RelayId, Allocation>,
    /// Allocations whose socket is not bound yet.
    pending: BTreeMap<RelayId, Pending>,
    /// Chosen by clients, hence the standard hasher. Also of pending ones.
    by_path: HashMap<Path, RelayId>,
    /// Where relay sockets are bound: ports of ours that one may relay to.
    relays: BTreeSet<SocketAddr>,
    expiries: Deadlines<RelayId>,
    /// Connections without an allocation.
    idle: Deadlines<Path>,
    usage: Usage,
    /// Of requests, by network.
    rates: NetworkRates,
    outputs: VecDeque<Output>,
    next_relay: u64,
    statistics: Statistics,
}

/// An allocation that waits for its socket.
#[derive(Debug)]
struct Pending {
    path: Path,
    user: User,
    address: OwnAddress,
    lifetime: Duration,
    reply: Reply,
}

impl TurnServer {
    pub fn new(config: Config, seed: [u8; 32], now: Now) -> TurnServer {
        let mut random = Random::from_seed(seed);
        TurnServer {
            nonces: Nonces::new(random.seed(), config.nonce_lifetime),
            random,
            sessions: BTreeSet::new(),
            allocations: BTreeMap::new(),
            pending: BTreeMap::new(),
            by_path: HashMap::new(),
            relays: BTreeSet::new(),
            expiries: Deadlines::new(),
            idle: Deadlines::new(),
            usage: Usage::default(),
            rates: NetworkRates::new(
                config.limits.requests_per_second,
                config.limits.requests_burst,
                now.mono,
            ),
            outputs: VecDeque::new(),
            next_relay: 1,
            statistics: Statistics::default(),
            config,
        }
    }

    /// From now on the credentials of this session are good.
    pub fn start_session(&mut self, session: SessionId) {
        self.sessions.insert(session);
    }

    /// A session is over: its credentials are worth nothing any more, and its allocations go.
    pub fn end_session(&mut self, now: Now, session: SessionId) {
        self.sessions.remove(&session);
        let is_its = |user: &User| user.session == Some(session);
        let allocated = self.allocations.iter().filter(|(_, one)| is_its(&one.user));
        let ended: Vec<RelayId> = allocated.map(|(relay, _)| *relay).collect();
        for relay in ended {
            self.end_allocation(relay, now.mono);
        }
    }

    /// The machine's addresses, or what a NAT makes of them, have changed.
    pub fn set_peers(&mut self, peers: Peers) {
        self.config.peers = peers;
    }

    /// A TCP connection was opened.
    pub fn handle_connected(&mut self, now: Now, path: Path) {
        self.idle.set(path, now.mono + self.config.idle);
    }

    /// A TCP connection is gone, and what was allocated on it.
    pub fn handle_disconnected(&mut self, now: Now, path: Path) {
        if let Some(relay) = self.by_path.get(&path).copied() {
            self.end_allocation(relay, now.mono);
        }
        self.idle.clear(path);
    }

    /// A message of a client; on a stream, exactly one (see [`framing`](crate::framing)). What it
    /// wants passed on to a peer is returned; None is everything else.
    pub fn handle_client<'a>(
        &mut self,
        now: Now,
        path: Path,
        bytes: &'a [u8],
    ) -> Option<ToPeer<'a>> {
        match Kind::of(bytes) {
            Some(Kind::ChannelData) => self.channel_data(now.mono, path, bytes),
            Some(Kind::Stun) if bytes.len() >= STUN_HEAD => self.message(now, path, bytes),
            _ => {
                self.statistics.malformed += 1;
                None
            }
        }
    }

    /// A packet of a peer to a relay. What its client gets is written into `out`, which is emptied
    /// first; the way to it is returned. None: nothing is to be sent.
    pub fn handle_peer(
        &mut self,
        now: Now,
        relay: RelayId,
        from: SocketAddr,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Path> {
        out.clear();
        let now = now.mono;
        let (limits, statistics) = (&self.config.limits, &mut self.statistics);
        let allocation = self.allocations.get_mut(&relay)?;
        let peer = allocation.name_of(&self.config.peers, from, now);
        if !allocation.permits(peer.ip(), now) {
            statistics.unrelated += 1;
            return None;
        }
        if !allocation.may_receive(limits, payload.len(), now) {
            statistics.over_bitrate += 1;
            return None;
        }
        let path = allocation.path;
        match allocation.channel_of(peer, now) {
            Some(channel) => {
                let length = u16::try_from(payload.len()).ok()?;
                out.extend_from_slice(&channel.to_be_bytes());
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(payload);
                if path.transport == Transport::Stream {
                    out.resize(out.len().next_multiple_of(CHANNEL_HEAD), 0);
                }
            }
            None => {
                let transaction = transaction_id(&mut self.random);
                out.extend_from_slice(&data_indication(transaction, peer, payload)?);
            }
        }
        statistics.packets_to_clients += 1;
        statistics.bytes_to_clients += payload.len() as u64;
        Some(path)
    }

    /// The socket that was asked for by [`Output::Bind`]: its port, or why there is none.
    pub fn handle_bound(&mut self, now: Now, relay: RelayId, port: Result<u16, BindFailed>) {
        let Some(pending) = self.pending.remove(&relay) else {
            // Its client is gone meanwhile.
            self.outputs.push_back(Output::CloseRelay(relay));
            return;
        };
        let Pending {
            path,
            user,
            address,
            lifetime,
            reply,
        } = pending;
        let Ok(port) = port else {
            debug!("no port for a relay");
            self.by_path.remove(&path);
            self.usage.release(user.name(), path.client.ip());
            self.statistics.over_quota += 1;
            return self.send(path, reply.error(ErrorCode::INSUFFICIENT_CAPACITY));
        };
        let expires = now.mono + lifetime;
        let allocation = Allocation::new(
            path,
            user,
            reply.transaction(),
            SocketAddr::new(address.local, port),
            SocketAddr::new(address.public.map_or(address.local, |one| one.ip()), port),
            expires,
            &self.config.limits,
            now.mono,
        );
        debug!(relay = relay.0, "allocated");
        self.relays.insert(allocation.bound);
        self.expiries.set(relay, expires);
        self.idle.clear(path);
        self.statistics.allocations += 1;
        self.statistics.allocations_total += 1;
        let answer = requests::allocated(&reply, &allocation, now.mono);
        self.allocations.insert(relay, allocation);
        self.send(path, answer);
    }

    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(relay) = self.expiries.pop_due(now.mono) {
            self.end_allocation(relay, now.mono);
        }
        while let Some(path) = self.idle.pop_due(now.mono) {
            self.outputs.push_back(Output::CloseStream(path));
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let (a, b) = (self.expiries.first(), self.idle.first());
        a.into_iter().chain(b).min()
    }

    /// Whether a client has an allocation.
    pub fn has_allocation(&self, path: &Path) -> bool {
        let relay = self.by_path.get(path);
        relay.is_some_and(|relay| self.allocations.contains_key(relay))
    }

    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    // The way of packets

    fn channel_data<'a>(
        &mut self,
        now: Instant,
        path: Path,
        bytes: &'a [u8],
    ) -> Option<ToPeer<'a>> {
        let (&[c, d, high, low], rest) = bytes.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(payload) = rest.get(..length) else {
            self.statistics.malformed += 1;
            return None;
        };
        let relay = self.by_path.get(&path).copied();
        let allocation = relay.and_then(|relay| self.allocations.get(&relay));
        let peer = allocation.and_then(|one| one.peer_of(u16::from_be_bytes([c, d]), now));
        match relay.zip(peer) {
            Some((relay, peer)) => self.pass_on(now, relay, peer, payload),
            None => {
                self.statistics.unrelated += 1;
                None
            }
        }
    }

    /// Sends a client's payload to a peer if it may go there.
    fn pass_on<'a>(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
        payload: &'a [u8],
    ) -> Option<ToPeer<'a>> {
        let limits = &self.config.limits;
        let allocation = self.allocations.get_mut(&relay)?;
        if !allocation.permits(peer.ip(), now) {
            self.statistics.unrelated += 1;
            return None;
        }
        // Asked again for each packet: a relay port may have gone, the machine's addresses too.
        let Some(address) = real_address(&self.config.peers, &self.relays, peer) else {
            self.statistics.forbidden += 1;
            return None;
        };
        if !allocation.may_send(limits, payload.len(), now) {
            self.statistics.over_bitrate += 1;
            return None;
        }
        if self.config.peers.public_of(address).is_some() {
            allocation.called(limits, address, peer);
        }
        self.statistics.packets_to_peers += 1;
        self.statistics.bytes_to_peers += payload.len() as u64;
        Some(ToPeer {
            relay,
            peer: address,
            payload,
        })
    }

    fn end_allocation(&mut self, relay: RelayId, now: Instant) {
        self.expiries.clear(relay);
        let (path, user) = if let Some(allocation) = self.allocations.remove(&relay) {
            self.relays.remove(&allocation.bound);
            self.statistics.allocations -= 1;
            self.outputs.push_back(Output::CloseRelay(relay));
            (allocation.path, allocation.user)
        } else if let Some(pending) = self.pending.remove(&relay) {
            (pending.path, pending.user)
        } else {
            return;
        };
        debug!(relay = relay.0, "allocation ended");
        self.by_path.remove(&path);
        self.usage.release(user.name(), path.client.ip());
        if path.transport == Transport::Stream {
            self.idle.set(path, now + self.config.idle);
        }
    }

    fn send(&mut self, path: Path, message: Vec<u8>) {
        self.outputs.push_back(Output::Send { path, message });
    }
}

/// Where a packet for this peer really goes; None if it may not go.
fn real_address(
    peers: &Peers,
    relays: &BTreeSet<SocketAddr>,
    peer: SocketAddr,
) -> Option<SocketAddr> {
    match peers.judge(peer.ip())? {
        Peer::Public => Some(peer),
        Peer::Own(local) => {
            let address = peers.local_of(local, peer);
            let is_ours = address.port() == peers.media_port || relays.contains(&address);
            is_ours.then_some(address)
        }
    }
}

/// None if the payload is too long for an attribute.
fn data_indication(
    transaction: TransactionId,
    peer: SocketAddr,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let kind = MessageType::from_class_method(MessageClass::Indication, DATA);
    let mut message = Message::builder(kind, transaction, MessageWriteVec::new());
    let peer = XorPeerAddress::new(peer, transaction);
    message.add_attribute(&peer).ok()?;
    if payload.len() > DATA_BYTES_MAX {
        return None;
    }
    message.add_attribute(&Data::new(payload)).ok()?;
    Some(message.finish())
}

fn transaction_id(random: &mut Random) -> TransactionId {
    (u128::from(random.u64()) << 32 | u128::from(random.u32())).into()
}

/// What fits into a STUN message beside the peer's address.
const DATA_BYTES_MAX: usize = 65_000;

#[cfg(test)]
mod tests;
