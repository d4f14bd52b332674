//! One allocation: whom it belongs to, and whom it may exchange packets with.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun_types::message::TransactionId;
use tertulia_model::Bucket;

use crate::auth::User;
use crate::server::Path;
use crate::{Limits, Peers};

#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) path: Path,
    pub(crate) user: User,
    /// The request that made it; the same one again gets the same answer.
    pub(crate) transaction: TransactionId,
    /// Where the relay's socket is bound.
    pub(crate) bound: SocketAddr,
    /// What the client and its peers know it as.
    pub(crate) relayed: SocketAddr,
    pub(crate) expires: Instant,
    /// Addresses that packets may come from, and until when.
    permissions: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, Channel>,
    channel_of: BTreeMap<SocketAddr, u16>,
    /// By which of its names a client last called one of our own ports, if not by the local one.
    public_names: BTreeMap<SocketAddr, SocketAddr>,
    to_peers: Bucket,
    to_client: Bucket,
}

#[derive(Debug)]
struct Channel {
    peer: SocketAddr,
    expires: Instant,
}

/// Why a permission or a channel is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotBound {
    /// The channel has another peer, or the peer another channel.
    Conflict,
    /// There are too many.
    Full,
}

impl Allocation {
    #[expect(clippy::too_many_arguments, reason = "these are its parts")]
    pub(crate) fn new(
        path: Path,
        user: User,
        transaction: TransactionId,
        bound: SocketAddr,
        relayed: SocketAddr,
        expires: Instant,
        limits: &Limits,
        now: Instant,
    ) -> Allocation {
        let bucket = Bucket::full(burst_bits(limits), now);
        Allocation {
            path,
            user,
            transaction,
            bound,
            relayed,
            expires,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            channel_of: BTreeMap::new(),
            public_names: BTreeMap::new(),
            to_peers: bucket,
            to_client: bucket,
        }
    }

    /// Lets packets of these addresses in for a while; all or none.
    pub(crate) fn permit(
        &mut self,
        limits: &Limits,
        peers: &[IpAddr],
        now: Instant,
    ) -> Result<(), NotBound> {
        self.permissions.retain(|_, until| *until > now);
        let new = peers.iter().filter(|ip| !self.permissions.contains_key(ip));
        if self.permissions.len() + new.count() > limits.permissions {
            return Err(NotBound::Full);
        }
        for ip in peers {
            self.permissions.insert(*ip, now + PERMISSION);
        }
        Ok(())
    }

    /// Whether packets of this address may come in and go out.
    pub(crate) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions
            .get(&peer)
            .is_some_and(|until| *until > now)
    }

    /// Gives a peer a channel, or renews it, and the permission with it.
    pub(crate) fn bind(
        &mut self,
        limits: &Limits,
        number: u16,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), NotBound> {
        let channel_of = &mut self.channel_of;
        self.channels.retain(|_, channel| {
            let lives = channel.expires > now;
            if !lives {
                channel_of.remove(&channel.peer);
            }
            lives
        });
        let is_other_peer = self
            .channels
            .get(&number)
            .is_some_and(|one| one.peer != peer);
        let is_other_channel = self.channel_of.get(&peer).is_some_and(|one| *one != number);
        if is_other_peer || is_other_channel {
            return Err(NotBound::Conflict);
        }
        if !self.channels.contains_key(&number) && self.channels.len() >= limits.channels {
            return Err(NotBound::Full);
        }
        self.permit(limits, &[peer.ip()], now)?;
        let expires = now + CHANNEL;
        self.channels.insert(number, Channel { peer, expires });
        self.channel_of.insert(peer, number);
        Ok(())
    }

    /// The peer of a channel.
    pub(crate) fn peer_of(&self, channel: u16, now: Instant) -> Option<SocketAddr> {
        let channel = self.channels.get(&channel)?;
        (channel.expires > now).then_some(channel.peer)
    }

    /// The channel of a peer.
    pub(crate) fn channel_of(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let number = *self.channel_of.get(&peer)?;
        self.peer_of(number, now).map(|_| number)
    }

    /// Notes under which name the client has just called this address of ours.
    pub(crate) fn called(&mut self, limits: &Limits, local: SocketAddr, named: SocketAddr) {
        if local == named {
            self.public_names.remove(&local);
            return;
        }
        if self.public_names.len() >= limits.permissions {
            self.public_names.clear();
        }
        self.public_names.insert(local, named);
    }

    /// The name under which the client knows the sender of a packet.
    pub(crate) fn name_of(&self, peers: &Peers, from: SocketAddr, now: Instant) -> SocketAddr {
        if let Some(named) = self.public_names.get(&from) {
            return *named;
        }
        let is_called_so =
            |public: &SocketAddr| !self.permits(from.ip(), now) && self.permits(public.ip(), now);
        peers.public_of(from).filter(is_called_so).unwrap_or(from)
    }

    /// Whether so many bytes more are within the limit; counts them if so.
    pub(crate) fn may_send(&mut self, limits: &Limits, bytes: usize, now: Instant) -> bool {
        take(&mut self.to_peers, limits, bytes, now)
    }

    /// The same in the other direction.
    pub(crate) fn may_receive(&mut self, limits: &Limits, bytes: usize, now: Instant) -> bool {
        take(&mut self.to_client, limits, bytes, now)
    }
}

fn take(bucket: &mut Bucket, limits: &Limits, bytes: usize, now: Instant) -> bool {
    let Some(bitrate) = limits.bitrate_bps else {
        return true;
    };
    bucket.take(now, bytes as f64 * 8.0, bitrate as f64, burst_bits(limits))
}

/// Half a second at once: a key frame is many packets.
fn burst_bits(limits: &Limits) -> f64 {
    limits.bitrate_bps.unwrap_or(0) as f64 / 2.0 + 8.0 * 65_536.0
}

/// RFC 8656, 9.
const PERMISSION: Duration = Duration::from_secs(300);
/// RFC 8656, 12.
const CHANNEL: Duration = Duration::from_secs(600);
