//! What clients ask for: the methods of STUN and TURN.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use stun_types::attribute::{
    AttributeType, ErrorCode, Fingerprint, MessageIntegrity, Nonce, Realm, Username,
    XorMappedAddress,
};
use stun_types::message::{BINDING, Message, MessageClass};
use stun_types::prelude::{Attribute, AttributeFromRaw, AttributeStaticType};
use tertulia_model::Now;
use tracing::debug;
use turn_types::AddressFamily;
use turn_types::attribute::{
    ChannelNumber, Data, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport,
    ReservationToken, XorPeerAddress, XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};

use super::{Output, Path, Pending, RelayId, ToPeer, TurnServer, real_address};
use crate::allocation::{Allocation, NotBound};
use crate::auth::{self, User};
use crate::quota::Full;
use crate::reply::Reply;
use crate::{Config, OwnAddress};

impl TurnServer {
    pub(super) fn message<'a>(
        &mut self,
        now: Now,
        path: Path,
        bytes: &'a [u8],
    ) -> Option<ToPeer<'a>> {
        let Ok(message) = Message::from_bytes(bytes) else {
            self.statistics.malformed += 1;
            return None;
        };
        match (message.class(), message.method()) {
            (MessageClass::Indication, SEND) => {
                return self.send_indication(now.mono, path, &message, bytes);
            }
            // Keep-alives.
            (MessageClass::Indication, BINDING) => {}
            (
                MessageClass::Request,
                BINDING | ALLOCATE | REFRESH | CREATE_PERMISSION | CHANNEL_BIND,
            ) => self.request(now, path, &message),
            _ => self.statistics.malformed += 1,
        }
        None
    }

    fn request(&mut self, now: Now, path: Path, request: &Message<'_>) {
        let from = path.client.ip();
        let is_known = self.by_path.contains_key(&path);
        if !is_known && !self.rates.admit(from, now.mono) {
            self.statistics.over_rate += 1;
            return;
        }
        let mut reply = Reply::to(request);
        let answer = if request.method() == BINDING {
            self.statistics.bindings += 1;
            match unknown_attributes(request) {
                unknown if unknown.is_empty() => {
                    let mapped = XorMappedAddress::new(path.client, request.transaction_id());
                    Some(reply.success(&[&mapped]))
                }
                unknown => Some(reply.unknown(&unknown)),
            }
        } else {
            match self.authenticated(now, path, request, &mut reply) {
                Ok(user) => self.turn_request(now, path, request, user, reply),
                Err(refusal) => Some(refusal),
            }
        };
        if let Some(answer) = answer {
            self.send(path, answer);
        }
    }

    /// Whose request it is; signs the reply. The error is the answer.
    fn authenticated(
        &mut self,
        now: Now,
        path: Path,
        request: &Message<'_>,
        reply: &mut Reply,
    ) -> Result<User, Vec<u8>> {
        let from = path.client.ip();
        let checked = auth::authenticate(
            &self.config,
            &self.nonces,
            &self.sessions,
            now,
            from,
            request,
        );
        let (user, key) = match checked {
            Ok(known) => known,
            Err(code) => {
                self.statistics.unauthorized += 1;
                return Err(match code {
                    ErrorCode::BAD_REQUEST => reply.error(code),
                    _ => {
                        let nonce = self.nonces.draw(from, now.wall);
                        reply.challenge(code, &self.config.realm, &nonce)
                    }
                });
            }
        };
        reply.key = Some(key);
        let unknown = unknown_attributes(request);
        if !unknown.is_empty() {
            return Err(reply.unknown(&unknown));
        }
        Ok(user)
    }

    /// A TURN request of somebody we know; None when the answer comes later.
    fn turn_request(
        &mut self,
        now: Now,
        path: Path,
        request: &Message<'_>,
        user: User,
        reply: Reply,
    ) -> Option<Vec<u8>> {
        let relay = self.by_path.get(&path).copied();
        if request.method() == ALLOCATE {
            return match relay {
                None => self.allocate(now, path, request, user, reply),
                Some(relay) => self.allocate_again(now.mono, relay, &user, &reply),
            };
        }
        let allocation = relay.and_then(|relay| self.allocations.get_mut(&relay));
        let Some((relay, allocation)) = relay.zip(allocation) else {
            return Some(reply.error(ErrorCode::ALLOCATION_MISMATCH));
        };
        if allocation.user.username != user.username {
            return Some(reply.error(ErrorCode::WRONG_CREDENTIALS));
        }
        let config = &self.config;
        let answer = match request.method() {
            REFRESH => refresh(config, allocation, now, request).map(|lifetime| {
                if lifetime.is_zero() {
                    self.end_allocation(relay, now.mono);
                } else {
                    self.expiries.set(relay, now.mono + lifetime);
                }
                reply.success(&[&lifetime_attribute(lifetime)])
            }),
            CREATE_PERMISSION => create_permission(config, allocation, now.mono, request)
                .map(|()| reply.success(&[])),
            _ => bind_channel(config, &self.relays, allocation, now.mono, request)
                .map(|()| reply.success(&[])),
        };
        Some(answer.unwrap_or_else(|code| {
            self.statistics.forbidden += u64::from(code == ErrorCode::FORBIDDEN);
            reply.error(code)
        }))
    }

    fn allocate(
        &mut self,
        now: Now,
        path: Path,
        request: &Message<'_>,
        user: User,
        reply: Reply,
    ) -> Option<Vec<u8>> {
        let (address, is_even) = match self.wanted_relay(path, request) {
            Ok(wanted) => wanted,
            Err(code) => return Some(reply.error(code)),
        };
        let lifetime = lifetime(&self.config, now, &user, request);
        let admitted = self
            .usage
            .admit(&self.config.limits, user.name(), path.client.ip());
        if let Err(full) = admitted {
            debug!(?full, "no allocation");
            self.statistics.over_quota += 1;
            return Some(reply.error(match full {
                Full::Quota => ErrorCode::ALLOCATION_QUOTA_REACHED,
                Full::Capacity => ErrorCode::INSUFFICIENT_CAPACITY,
            }));
        }
        let relay = RelayId(self.next_relay);
        self.next_relay += 1;
        self.by_path.insert(path, relay);
        self.outputs.push_back(Output::Bind {
            relay,
            address: address.local,
            is_even,
        });
        let pending = Pending {
            path,
            user,
            address,
            lifetime,
            reply,
        };
        self.pending.insert(relay, pending);
        None
    }

    /// Where a relay is wanted, and whether on an even port. The error is the answer's code.
    fn wanted_relay(&self, path: Path, request: &Message<'_>) -> Result<(OwnAddress, bool), u16> {
        let transport = request.attribute::<RequestedTransport>();
        let transport = transport.map_err(|_| ErrorCode::BAD_REQUEST)?;
        if transport.protocol() != RequestedTransport::UDP {
            return Err(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL);
        }
        let even = optional::<EvenPort>(request)?;
        let family = optional::<RequestedAddressFamily>(request)?;
        if request.has_attribute(ReservationToken::TYPE) {
            // None was ever handed out.
            return Err(if even.is_some() || family.is_some() {
                ErrorCode::BAD_REQUEST
            } else {
                ErrorCode::INSUFFICIENT_CAPACITY
            });
        }
        if even.as_ref().is_some_and(EvenPort::requested) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let is_ipv6 = family.is_some_and(|family| family.family() == AddressFamily::IPV6);
        let address = self.config.peers.relay_address(is_ipv6, path.server.ip());
        let address = address.ok_or(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)?;
        Ok((address, even.is_some()))
    }

    /// An Allocate request where there is an allocation. A repetition gets the answer that was
    /// lost.
    fn allocate_again(
        &mut self,
        now: Instant,
        relay: RelayId,
        user: &User,
        reply: &Reply,
    ) -> Option<Vec<u8>> {
        let Some(allocation) = self.allocations.get(&relay) else {
            // Its answer is under way.
            return None;
        };
        let is_repeated = allocation.transaction == reply.transaction()
            && allocation.user.username == user.username;
        Some(if is_repeated {
            allocated(reply, allocation, now)
        } else {
            reply.error(ErrorCode::ALLOCATION_MISMATCH)
        })
    }

    fn send_indication<'a>(
        &mut self,
        now: Instant,
        path: Path,
        message: &Message<'_>,
        bytes: &'a [u8],
    ) -> Option<ToPeer<'a>> {
        let Some(relay) = self.by_path.get(&path).copied() else {
            self.statistics.unrelated += 1;
            return None;
        };
        let peer = message.attribute::<XorPeerAddress>();
        let payload = message
            .raw_attribute_and_offset(Data::TYPE)
            .and_then(|(at, data)| {
                let begin = at + ATTRIBUTE_HEAD;
                bytes.get(begin..begin + usize::from(data.length()))
            });
        let (Ok(peer), Some(payload), true) =
            (peer, payload, unknown_attributes(message).is_empty())
        else {
            self.statistics.malformed += 1;
            return None;
        };
        self.pass_on(now, relay, peer.addr(message.transaction_id()), payload)
    }
}

/// How long the allocation lives from now; zero ends it.
fn refresh(
    config: &Config,
    allocation: &mut Allocation,
    now: Now,
    request: &Message<'_>,
) -> Result<Duration, u16> {
    if let Some(family) = optional::<RequestedAddressFamily>(request)?
        && (family.family() == AddressFamily::IPV6) != allocation.bound.is_ipv6()
    {
        return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
    }
    let wanted = optional::<Lifetime>(request)?;
    if wanted.is_some_and(|lifetime| lifetime.seconds() == 0) {
        return Ok(Duration::ZERO);
    }
    let lifetime = lifetime(config, now, &allocation.user, request);
    allocation.expires = now.mono + lifetime;
    Ok(lifetime)
}

fn create_permission(
    config: &Config,
    allocation: &mut Allocation,
    now: Instant,
    request: &Message<'_>,
) -> Result<(), u16> {
    let mut wanted = Vec::new();
    for (_, attribute) in request.iter_attributes() {
        if attribute.get_type() == XorPeerAddress::TYPE {
            let peer = XorPeerAddress::from_raw(attribute);
            let peer = peer.map_err(|_| ErrorCode::BAD_REQUEST)?;
            wanted.push(peer.addr(request.transaction_id()).ip());
        }
    }
    if wanted.is_empty() {
        return Err(ErrorCode::BAD_REQUEST);
    }
    for ip in &wanted {
        if ip.is_ipv6() != allocation.bound.is_ipv6() {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        if config.peers.judge(*ip).is_none() {
            return Err(ErrorCode::FORBIDDEN);
        }
    }
    let permitted = allocation.permit(&config.limits, &wanted, now);
    permitted.map_err(|_| ErrorCode::INSUFFICIENT_CAPACITY)
}

fn bind_channel(
    config: &Config,
    relays: &BTreeSet<SocketAddr>,
    allocation: &mut Allocation,
    now: Instant,
    request: &Message<'_>,
) -> Result<(), u16> {
    let number = request.attribute::<ChannelNumber>();
    let peer = request.attribute::<XorPeerAddress>();
    let (Ok(number), Ok(peer)) = (number, peer) else {
        return Err(ErrorCode::BAD_REQUEST);
    };
    let (number, peer) = (number.channel(), peer.addr(request.transaction_id()));
    if !CHANNELS.contains(&number) {
        return Err(ErrorCode::BAD_REQUEST);
    }
    if peer.is_ipv6() != allocation.bound.is_ipv6() {
        return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
    }
    if real_address(&config.peers, relays, peer).is_none() {
        return Err(ErrorCode::FORBIDDEN);
    }
    let bound = allocation.bind(&config.limits, number, peer, now);
    bound.map_err(|error| match error {
        NotBound::Conflict => ErrorCode::BAD_REQUEST,
        NotBound::Full => ErrorCode::INSUFFICIENT_CAPACITY,
    })
}

/// How long an allocation may live from now: what is wanted, within bounds, and no longer than the
/// credentials.
fn lifetime(config: &Config, now: Now, user: &User, request: &Message<'_>) -> Duration {
    let wanted = request.attribute::<Lifetime>();
    let wanted = wanted.map_or(Duration::ZERO, |one| {
        Duration::from_secs(u64::from(one.seconds()))
    });
    let left = user.expires.signed_duration_since(now.wall);
    let left = left.max(TimeDelta::zero()).to_std().unwrap_or_default();
    let longest = config.lifetime_max.max(config.lifetime);
    wanted.clamp(config.lifetime, longest).min(left)
}

/// An attribute that need not be there, but must be readable if it is.
fn optional<'a, A: AttributeFromRaw<'a> + AttributeStaticType>(
    request: &'a Message<'a>,
) -> Result<Option<A>, u16> {
    if !request.has_attribute(A::TYPE) {
        return Ok(None);
    }
    let attribute = request.attribute::<A>();
    attribute.map(Some).map_err(|_| ErrorCode::BAD_REQUEST)
}

fn unknown_attributes(message: &Message<'_>) -> Vec<AttributeType> {
    let types = message.iter_attributes().map(|(_, one)| one.get_type());
    types
        .filter(|one| one.comprehension_required() && !KNOWN.contains(one))
        .collect()
}

pub(super) fn allocated(reply: &Reply, allocation: &Allocation, now: Instant) -> Vec<u8> {
    let transaction = reply.transaction();
    let left = allocation.expires.saturating_duration_since(now);
    reply.success(&[
        &XorRelayedAddress::new(allocation.relayed, transaction),
        &lifetime_attribute(left),
        &XorMappedAddress::new(allocation.path.client, transaction),
    ])
}

fn lifetime_attribute(lifetime: Duration) -> Lifetime {
    Lifetime::new(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX))
}

/// Attributes of which a client must know that we understand them.
const KNOWN: [AttributeType; 13] = [
    Username::TYPE,
    Realm::TYPE,
    Nonce::TYPE,
    MessageIntegrity::TYPE,
    Fingerprint::TYPE,
    Lifetime::TYPE,
    XorPeerAddress::TYPE,
    Data::TYPE,
    ChannelNumber::TYPE,
    RequestedTransport::TYPE,
    RequestedAddressFamily::TYPE,
    EvenPort::TYPE,
    ReservationToken::TYPE,
];
/// COMPAT(coturn): its client takes any of RFC 5766; RFC 8656 leaves a quarter of them.
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7fff;
const ATTRIBUTE_HEAD: usize = 4;
