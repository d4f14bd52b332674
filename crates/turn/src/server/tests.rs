use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use stun_types::attribute::{
    ErrorCode, MessageIntegrity, Nonce, Realm, Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass,
    MessageIntegrityCredentials, MessageWrite, MessageWriteExt, MessageWriteVec, Method,
};
use stun_types::prelude::{AttributeStaticType, AttributeWrite};
use tertulia_model::{Now, SessionId, TurnCredentials, TurnSecret};
use turn_types::AddressFamily;
use turn_types::attribute::{
    ChannelNumber, Data, DontFragment, EvenPort, Lifetime, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorPeerAddress, XorRelayedAddress,
};
use turn_types::message::{
    ALLOCATE, CHANNEL_BIND, CONNECT, CREATE_PERMISSION, DATA, REFRESH, SEND,
};

use super::*;
use crate::{Config, Limits};

const MEDIA: &str = "192.0.2.1:10000";
const ADA: SessionId = SessionId(1);
const BEN: SessionId = SessionId(2);

/// A server with its shell: each socket that it wants is there at once, on the next port.
struct World {
    server: TurnServer,
    now: Now,
    secret: TurnSecret,
    next_port: u16,
    has_ports: bool,
    closed_relays: Vec<RelayId>,
    closed_streams: Vec<Path>,
}

/// A client on one path, with what it has learnt.
struct Client {
    path: Path,
    credentials: TurnCredentials,
    nonce: String,
    relay: Option<SocketAddr>,
}

/// What came back.
#[derive(Debug, PartialEq)]
enum Got {
    Success,
    Error(u16),
    Nothing,
}

impl World {
    fn new() -> World {
        World::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> World {
        let secret = TurnSecret::new(&[5; 32]);
        let mut config = Config {
            realm: "meet.example".to_owned(),
            secret: secret.clone(),
            shared_secret: None,
            peers: Peers {
                own: vec![OwnAddress {
                    local: "192.0.2.1".parse().unwrap(),
                    public: None,
                }],
                media_port: 10_000,
                is_public: false,
            },
            limits: Limits {
                allocations: 10,
                allocations_per_user: 4,
                allocations_per_network: 6,
                permissions: 4,
                channels: 4,
                bitrate_bps: None,
                requests_per_second: 10,
                requests_burst: 20,
            },
            lifetime: minutes(10),
            lifetime_max: minutes(60),
            nonce_lifetime: minutes(10),
            idle: Duration::from_secs(30),
        };
        change(&mut config);
        let now = Now {
            mono: Instant::now(),
            wall: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        };
        let mut server = TurnServer::new(config, [3; 32], now);
        server.start_session(ADA);
        server.start_session(BEN);
        World {
            server,
            now,
            secret,
            next_port: 50_000,
            has_ports: true,
            closed_relays: Vec::new(),
            closed_streams: Vec::new(),
        }
    }

    /// Somebody who has fetched credentials, good for a day.
    fn client(&mut self, session: SessionId, address: &str) -> Client {
        self.client_on(session, address, Transport::Udp)
    }

    fn client_on(&mut self, session: SessionId, address: &str, transport: Transport) -> Client {
        let expires = self.now.wall + chrono::TimeDelta::hours(24);
        let path = Path {
            transport,
            server: "192.0.2.1:3478".parse().unwrap(),
            client: address.parse().unwrap(),
        };
        if transport == Transport::Stream {
            self.server.handle_connected(self.now, path);
        }
        Client {
            path,
            credentials: self.secret.credentials(session, expires),
            nonce: String::new(),
            relay: None,
        }
    }

    /// Somebody with an allocation.
    fn allocated(&mut self, session: SessionId, address: &str) -> Client {
        let mut client = self.client(session, address);
        assert_eq!(self.allocate(&mut client, &[]), Got::Success);
        client
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.later(time);
        while let Some(next) = self.server.next_timeout().filter(|next| *next <= end.mono) {
            self.now = self
                .now
                .later(next.saturating_duration_since(self.now.mono));
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Carries out what the server wants; gives what it sent.
    fn drain(&mut self) -> Vec<(Path, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { path, message } => sent.push((path, message)),
                Output::Bind {
                    relay,
                    address,
                    is_even,
                } => {
                    assert_eq!(address, "192.0.2.1".parse::<IpAddr>().unwrap());
                    if is_even {
                        self.next_port = self.next_port.next_multiple_of(2);
                    }
                    let port = if self.has_ports {
                        Ok(self.next_port)
                    } else {
                        Err(BindFailed)
                    };
                    self.next_port += 1;
                    self.server.handle_bound(self.now, relay, port);
                }
                Output::CloseRelay(relay) => self.closed_relays.push(relay),
                Output::CloseStream(path) => self.closed_streams.push(path),
            }
        }
        sent
    }

    fn answer(&mut self, path: Path, request: &[u8]) -> Option<Vec<u8>> {
        assert_eq!(self.server.handle_client(self.now, path, request), None);
        let mut sent = self.drain();
        assert!(sent.len() <= 1, "one request, one answer");
        sent.pop().map(|(to, message)| {
            assert_eq!(to, path);
            message
        })
    }

    /// A signed request and what it gets; fetches a nonce first where there is none.
    fn ask(&mut self, client: &mut Client, method: Method, with: &[&dyn AttributeWrite]) -> Got {
        if client.nonce.is_empty() {
            let bare = request(method, with).finish();
            let Some(answer) = self.answer(client.path, &bare) else {
                return Got::Nothing;
            };
            let answer = Message::from_bytes(&answer).unwrap();
            assert_eq!(code(&answer), ErrorCode::UNAUTHORIZED);
            assert_eq!(answer.attribute::<Realm>().unwrap().realm(), "meet.example");
            client.nonce = answer.attribute::<Nonce>().unwrap().nonce().to_owned();
        }
        let signed = client.signed(request(method, with));
        self.send_signed(client, &signed)
    }

    fn send_signed(&mut self, client: &mut Client, signed: &[u8]) -> Got {
        let Some(answer) = self.answer(client.path, signed) else {
            return Got::Nothing;
        };
        let answer = Message::from_bytes(&answer).unwrap();
        let transaction = answer.transaction_id();
        assert_eq!(
            transaction,
            Message::from_bytes(signed).unwrap().transaction_id()
        );
        if answer.has_attribute(MessageIntegrity::TYPE) {
            answer.validate_integrity(&client.key()).unwrap();
        }
        if answer.class() == MessageClass::Error {
            return Got::Error(code(&answer));
        }
        answer
            .validate_integrity(&client.key())
            .expect("a success is signed");
        if answer.method() == ALLOCATE {
            let mapped = answer.attribute::<XorMappedAddress>().unwrap();
            assert_eq!(mapped.addr(transaction), client.path.client);
            let relayed = answer.attribute::<XorRelayedAddress>().unwrap();
            client.relay = Some(relayed.addr(transaction));
        }
        Got::Success
    }

    fn allocate(&mut self, client: &mut Client, with: &[&dyn AttributeWrite]) -> Got {
        let udp = RequestedTransport::new(RequestedTransport::UDP);
        let mut all: Vec<&dyn AttributeWrite> = vec![&udp];
        all.extend_from_slice(with);
        self.ask(client, ALLOCATE, &all)
    }

    /// Asks for permissions. Addresses are mixed with the transaction, hence not by `ask`.
    fn permit(&mut self, client: &mut Client, peers: &[&str]) -> Got {
        let mut message = Message::builder_request(CREATE_PERMISSION, MessageWriteVec::new());
        let transaction = message.transaction_id();
        for peer in peers {
            let peer = XorPeerAddress::new(peer.parse().unwrap(), transaction);
            // Several of one type are what RFC 8656 wants here.
            message.push_attribute_unchecked(&peer);
        }
        let signed = client.signed(message);
        self.send_signed(client, &signed)
    }

    fn bind(&mut self, client: &mut Client, channel: u16, peer: &str) -> Got {
        let mut message = Message::builder_request(CHANNEL_BIND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(peer.parse().unwrap(), message.transaction_id());
        message.add_attribute(&ChannelNumber::new(channel)).unwrap();
        message.add_attribute(&peer).unwrap();
        let signed = client.signed(message);
        self.send_signed(client, &signed)
    }

    fn refresh(&mut self, client: &mut Client, seconds: u32) -> Got {
        self.ask(client, REFRESH, &[&Lifetime::new(seconds)])
    }

    /// Sends by an indication; gives where it goes.
    fn indicate(&mut self, client: &Client, peer: &str, payload: &[u8]) -> Option<SocketAddr> {
        let mut message = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(peer.parse().unwrap(), message.transaction_id());
        message.add_attribute(&peer).unwrap();
        message.add_attribute(&Data::new(payload)).unwrap();
        self.relayed(client, &message.finish(), payload)
    }

    /// Sends on a channel; gives where it goes.
    fn channel(&mut self, client: &Client, channel: u16, payload: &[u8]) -> Option<SocketAddr> {
        self.relayed(client, &channel_data(channel, payload), payload)
    }

    fn relayed(&mut self, client: &Client, bytes: &[u8], payload: &[u8]) -> Option<SocketAddr> {
        let sent = self.server.handle_client(self.now, client.path, bytes);
        let sent = sent.map(|to| {
            assert_eq!(to.payload, payload);
            to.peer
        });
        assert_eq!(self.drain(), [], "packets are not answered");
        sent
    }

    /// What a client gets of a peer's packet.
    fn peer_sends(&mut self, client: &Client, from: &str, payload: &[u8]) -> Option<Vec<u8>> {
        let relay = *self.server.by_path.get(&client.path)?;
        let mut out = vec![9; 5];
        let from = from.parse().unwrap();
        let path = self
            .server
            .handle_peer(self.now, relay, from, payload, &mut out)?;
        assert_eq!(path, client.path);
        Some(out)
    }
}

impl Client {
    fn key(&self) -> MessageIntegrityCredentials {
        let TurnCredentials {
            username, password, ..
        } = self.credentials.clone();
        LongTermKeyCredentials::new(username, password, "meet.example".to_owned()).into()
    }

    fn signed(&self, mut message: MessageWriteVec) -> Vec<u8> {
        let username = Username::new(&self.credentials.username).unwrap();
        message.add_attribute(&username).unwrap();
        message
            .add_attribute(&Realm::new("meet.example").unwrap())
            .unwrap();
        message
            .add_attribute(&Nonce::new(&self.nonce).unwrap())
            .unwrap();
        let key = self.key();
        message
            .add_message_integrity(&key, IntegrityAlgorithm::Sha1)
            .unwrap();
        message.finish()
    }

    fn relay(&self) -> String {
        self.relay.unwrap().to_string()
    }
}

fn request(method: Method, with: &[&dyn AttributeWrite]) -> MessageWriteVec {
    let mut message = Message::builder_request(method, MessageWriteVec::new());
    for attribute in with {
        message.add_attribute(*attribute).unwrap();
    }
    message
}

fn channel_data(channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = channel.to_be_bytes().to_vec();
    bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Peer and payload of a Data indication.
fn data(message: &[u8]) -> (String, Vec<u8>) {
    let message = Message::from_bytes(message).unwrap();
    assert!(message.has_method(DATA) && message.has_class(MessageClass::Indication));
    let peer = message.attribute::<XorPeerAddress>().unwrap();
    let data = message.attribute::<Data<'_>>().unwrap();
    (
        peer.addr(message.transaction_id()).to_string(),
        data.data().to_vec(),
    )
}

fn code(answer: &Message<'_>) -> u16 {
    answer.attribute::<ErrorCode>().unwrap().code()
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

#[test]
fn a_binding_request_tells_the_address_to_anybody() {
    let mut world = World::new();
    for address in ["198.51.100.9:4000", "[2001:db8::9]:4000"] {
        let client = world.client(SessionId(99), address);
        let answer = world
            .answer(client.path, &request(BINDING, &[]).finish())
            .unwrap();
        let answer = Message::from_bytes(&answer).unwrap();
        assert_eq!(answer.class(), MessageClass::Success);
        let mapped = answer.attribute::<XorMappedAddress>().unwrap();
        assert_eq!(mapped.addr(answer.transaction_id()).to_string(), address);
    }
    assert_eq!(world.server.statistics().bindings, 2);
}

#[test]
fn packets_travel_both_ways_by_indication_and_by_channel() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    assert_eq!(ada.relay(), "192.0.2.1:50000");
    assert_eq!(
        world.indicate(&ada, MEDIA, b"before"),
        None,
        "no permission yet"
    );
    assert_eq!(world.peer_sends(&ada, MEDIA, b"before"), None);

    assert_eq!(world.permit(&mut ada, &[MEDIA]), Got::Success);
    assert_eq!(
        world.indicate(&ada, MEDIA, b"hello"),
        Some(MEDIA.parse().unwrap())
    );
    let got = world.peer_sends(&ada, MEDIA, b"welcome").unwrap();
    assert_eq!(data(&got), (MEDIA.to_owned(), b"welcome".to_vec()));

    assert_eq!(world.channel(&ada, 0x4000, b"hello"), None, "not bound yet");
    assert_eq!(world.bind(&mut ada, 0x4000, MEDIA), Got::Success);
    assert_eq!(
        world.channel(&ada, 0x4000, b"hello"),
        Some(MEDIA.parse().unwrap())
    );
    assert_eq!(
        world.peer_sends(&ada, MEDIA, b"welcome").unwrap(),
        channel_data(0x4000, b"welcome")
    );
    let statistics = world.server.statistics();
    assert_eq!(
        (statistics.packets_to_peers, statistics.bytes_to_peers),
        (2, 10)
    );
    assert_eq!(
        (statistics.packets_to_clients, statistics.bytes_to_clients),
        (2, 14)
    );
    assert_eq!(statistics.unrelated, 3);
}

#[test]
fn on_a_stream_channel_data_is_padded() {
    let mut world = World::new();
    let mut ada = world.client_on(ADA, "198.51.100.9:4000", Transport::Stream);
    assert_eq!(world.allocate(&mut ada, &[]), Got::Success);
    assert_eq!(world.bind(&mut ada, 0x7fff, MEDIA), Got::Success);
    let mut expected = channel_data(0x7fff, b"hello");
    expected.extend_from_slice(&[0; 3]);
    assert_eq!(world.peer_sends(&ada, MEDIA, b"hello").unwrap(), expected);
}

#[test]
fn two_clients_reach_each_other_by_their_relays() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    let mut ben = world.allocated(BEN, "203.0.113.9:4000");
    assert_eq!(world.bind(&mut ada, 0x4001, &ben.relay()), Got::Success);
    assert_eq!(world.permit(&mut ben, &[&ada.relay()]), Got::Success);
    assert_eq!(world.channel(&ada, 0x4001, b"hello"), ben.relay);
    let got = world.peer_sends(&ben, &ada.relay(), b"hello").unwrap();
    assert_eq!(data(&got), (ada.relay(), b"hello".to_vec()));
    // A relay that is gone is no port of ours any more.
    assert_eq!(world.refresh(&mut ben, 0), Got::Success);
    assert_eq!(world.channel(&ada, 0x4001, b"hello"), None);
}

#[test]
fn a_public_address_of_ours_is_delivered_here_and_answers_under_its_name() {
    let mut world = World::with(|config| {
        config.peers.own = vec![OwnAddress {
            local: "192.0.2.1".parse().unwrap(),
            public: Some("203.0.113.1:40000".parse().unwrap()),
        }];
    });
    let public = "203.0.113.1:40000";
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    assert_eq!(ada.relay(), "203.0.113.1:50000");
    assert_eq!(world.permit(&mut ada, &[public]), Got::Success);
    let peer_of = |got: Option<Vec<u8>>| data(&got.unwrap()).0;
    // Nobody was called yet: by the name that is permitted.
    assert_eq!(peer_of(world.peer_sends(&ada, MEDIA, b"x")), public);
    assert_eq!(world.permit(&mut ada, &[MEDIA]), Got::Success);
    // By whichever name it was called last.
    for name in [public, MEDIA, public] {
        assert_eq!(
            world.indicate(&ada, name, b"x"),
            Some(MEDIA.parse().unwrap())
        );
        assert_eq!(peer_of(world.peer_sends(&ada, MEDIA, b"x")), name);
    }
}

#[test]
fn nobody_is_relayed_to_but_ourselves() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    let forbidden = Got::Error(ErrorCode::FORBIDDEN);
    for peer in [
        "127.0.0.1:10000",
        "10.0.0.1:80",
        "169.254.169.254:80",
        "1.1.1.1:53",
        "224.0.0.1:1",
    ] {
        assert_eq!(world.permit(&mut ada, &[peer]), forbidden, "{peer}");
        assert_eq!(
            world.permit(&mut ada, &[MEDIA, peer]),
            forbidden,
            "all or none"
        );
        assert_eq!(world.bind(&mut ada, 0x4000, peer), forbidden, "{peer}");
        assert_eq!(world.indicate(&ada, peer, b"x"), None, "{peer}");
    }
    assert_eq!(world.peer_sends(&ada, MEDIA, b"x"), None, "none it was");
    // Our address, but none of our ports: another program, our own web server, a free port.
    assert_eq!(world.permit(&mut ada, &[MEDIA]), Got::Success);
    for port in [22, 3478, 8443, 10_001, 50_007] {
        let peer = format!("192.0.2.1:{port}");
        assert_eq!(world.bind(&mut ada, 0x4000, &peer), forbidden, "{peer}");
        assert_eq!(world.indicate(&ada, &peer, b"x"), None, "{peer}");
    }
    assert_eq!(
        world.permit(&mut ada, &["[2001:db8::1]:10000"]),
        Got::Error(443)
    );
    assert!(world.server.statistics().forbidden > 15);
}

#[test]
fn opened_to_the_public_network_it_still_keeps_out_of_private_ones() {
    let mut world = World::with(|config| config.peers.is_public = true);
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    assert_eq!(world.permit(&mut ada, &["1.1.1.1:0"]), Got::Success);
    assert_eq!(
        world.indicate(&ada, "1.1.1.1:53", b"x"),
        Some("1.1.1.1:53".parse().unwrap())
    );
    let got = world.peer_sends(&ada, "1.1.1.1:53", b"y").unwrap();
    assert_eq!(data(&got).0, "1.1.1.1:53");
    let forbidden = Got::Error(ErrorCode::FORBIDDEN);
    for peer in [
        "127.0.0.1:80",
        "10.0.0.1:80",
        "192.168.0.1:80",
        "169.254.0.1:80",
        "239.0.0.1:80",
    ] {
        assert_eq!(world.permit(&mut ada, &[peer]), forbidden, "{peer}");
    }
    assert_eq!(
        world.bind(&mut ada, 0x4000, "192.0.2.1:22"),
        forbidden,
        "our own machine"
    );
}

#[test]
fn who_shows_no_good_credentials_is_asked_for_them() {
    let mut world = World::new();
    let unauthorized = Got::Error(ErrorCode::UNAUTHORIZED);
    let mut forged = world.client(ADA, "198.51.100.9:4000");
    forged.credentials.password.push('x');
    assert_eq!(world.allocate(&mut forged, &[]), unauthorized);
    // A longer life than it was given.
    let mut longer = world.client(ADA, "198.51.100.9:4001");
    longer.credentials.username = "1900000000:1".to_owned();
    assert_eq!(world.allocate(&mut longer, &[]), unauthorized);
    let mut nobody = world.client(SessionId(7), "198.51.100.9:4002");
    assert_eq!(
        world.allocate(&mut nobody, &[]),
        unauthorized,
        "no session of ours"
    );
    let mut nameless = world.client(ADA, "198.51.100.9:4003");
    nameless.credentials.username = "ada".to_owned();
    assert_eq!(world.allocate(&mut nameless, &[]), unauthorized);
    // A nonce of somebody else's.
    let other = world.allocated(BEN, "203.0.113.9:4000");
    let mut borrowed = world.client(ADA, "198.51.100.9:4004");
    borrowed.nonce.clone_from(&other.nonce);
    assert_eq!(
        world.allocate(&mut borrowed, &[]),
        Got::Error(ErrorCode::STALE_NONCE)
    );
    // Signed, but without a name.
    let mut message = request(ALLOCATE, &[]);
    message
        .add_message_integrity(&other.key(), IntegrityAlgorithm::Sha1)
        .unwrap();
    let answer = world.answer(borrowed.path, &message.finish()).unwrap();
    assert_eq!(
        code(&Message::from_bytes(&answer).unwrap()),
        ErrorCode::BAD_REQUEST
    );
    assert_eq!(world.server.statistics().allocations, 1);
}

#[test]
fn credentials_end_with_their_time_and_with_their_session() {
    let mut world = World::new();
    let mut ada = world.client(ADA, "198.51.100.9:4000");
    let soon = world.now.wall + chrono::TimeDelta::minutes(15);
    ada.credentials = world.secret.credentials(ADA, soon);
    assert_eq!(
        world.allocate(&mut ada, &[&Lifetime::new(3600)]),
        Got::Success
    );
    let ben = world.allocated(BEN, "203.0.113.9:4000");
    // An allocation does not outlive its credentials, whatever was asked for.
    world.pass(minutes(14));
    ada.nonce.clear();
    assert_eq!(world.refresh(&mut ada, 3600), Got::Success);
    world.pass(minutes(1));
    assert!(!world.server.has_allocation(&ada.path));
    // Stolen, they are worth nothing.
    let mut thief = world.client(ADA, "198.51.100.66:4000");
    thief.credentials = ada.credentials.clone();
    assert_eq!(
        world.allocate(&mut thief, &[]),
        Got::Error(ErrorCode::UNAUTHORIZED)
    );

    let mut late = world.allocated(BEN, "203.0.113.9:4001");
    let before = world.closed_relays.len();
    world.server.end_session(world.now, BEN);
    world.drain();
    assert!(!world.server.has_allocation(&ben.path) && !world.server.has_allocation(&late.path));
    assert_eq!(
        world.closed_relays.len(),
        before + 1,
        "the other one had expired"
    );
    late.nonce.clear();
    assert_eq!(
        world.refresh(&mut late, 600),
        Got::Error(ErrorCode::UNAUTHORIZED)
    );
    assert_eq!(
        world.allocate(&mut late, &[]),
        Got::Error(ErrorCode::UNAUTHORIZED)
    );
    assert_eq!(world.server.statistics().allocations, 0);
}

#[test]
fn users_of_the_shared_secret_have_names() {
    let shared = TurnSecret::new(b"north");
    let secret = shared.clone();
    let mut world = World::with(|config| config.shared_secret = Some(secret));
    let mut other = world.client(ADA, "198.51.100.9:4000");
    let username = format!("{}:office", world.now.wall.timestamp() + 3_600);
    other.credentials = TurnCredentials {
        password: shared.password(&username),
        username,
        expires: world.now.wall,
    };
    assert_eq!(world.allocate(&mut other, &[]), Got::Success);
    // A session's name is not the other secret's to give.
    let mut forged = world.client(ADA, "198.51.100.9:4001");
    forged.credentials.password = shared.password(&forged.credentials.username);
    assert_eq!(
        world.allocate(&mut forged, &[]),
        Got::Error(ErrorCode::UNAUTHORIZED)
    );
}

#[test]
fn floods_of_allocations_end_at_the_quotas() {
    let mut world = World::with(|config| config.limits.requests_burst = 200);
    let quota = Got::Error(ErrorCode::ALLOCATION_QUOTA_REACHED);
    let mut clients = Vec::new();
    for port in 0..4 {
        clients.push(world.allocated(ADA, &format!("198.51.100.9:{}", 4000 + port)));
    }
    let mut fifth = world.client(ADA, "203.0.113.1:4000");
    assert_eq!(world.allocate(&mut fifth, &[]), quota, "four of one user");
    // Fetched again, they are still the same user's.
    let later = world.now.wall + chrono::TimeDelta::hours(9);
    fifth.credentials = world.secret.credentials(ADA, later);
    assert_eq!(world.allocate(&mut fifth, &[]), quota);
    for port in 0..2 {
        clients.push(world.allocated(BEN, &format!("198.51.100.10:{}", 4000 + port)));
    }
    let mut seventh = world.client(BEN, "198.51.100.11:4000");
    assert_eq!(
        world.allocate(&mut seventh, &[]),
        quota,
        "six of one network"
    );
    for number in 0..4 {
        let session = SessionId(10 + number);
        world.server.start_session(session);
        clients.push(world.allocated(session, &format!("203.0.{number}.1:4000")));
    }
    world.server.start_session(SessionId(20));
    let mut eleventh = world.client(SessionId(20), "192.0.2.99:4000");
    let full = Got::Error(ErrorCode::INSUFFICIENT_CAPACITY);
    assert_eq!(world.allocate(&mut eleventh, &[]), full, "ten in all");
    // What is given back can be had again, by everybody.
    assert_eq!(world.refresh(&mut clients[0], 0), Got::Success);
    assert_eq!(world.allocate(&mut eleventh, &[]), Got::Success);
    let statistics = world.server.statistics();
    assert_eq!(
        (statistics.allocations, statistics.allocations_total),
        (10, 11)
    );
    assert_eq!(statistics.over_quota, 4);
}

#[test]
fn a_network_that_asks_too_much_gets_no_answers_and_nobody_else_notices() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "203.0.113.9:4000");
    let binding = request(BINDING, &[]).finish();
    let mut answers = 0;
    for number in 0..1_000 {
        let address = format!("198.51.100.{}:{}", number % 200, 1000 + number);
        let stranger = world.client(SessionId(99), &address);
        answers += usize::from(world.answer(stranger.path, &binding).is_some());
    }
    assert_eq!(answers, 20);
    assert_eq!(world.refresh(&mut ada, 600), Got::Success);
    let other = world.client(SessionId(99), "203.0.113.10:4000");
    assert!(world.answer(other.path, &binding).is_some());
    world.pass(Duration::from_secs(1));
    let stranger = world.client(SessionId(99), "198.51.100.1:5");
    assert!(
        world.answer(stranger.path, &binding).is_some(),
        "ten more after a second"
    );
}

#[test]
fn permissions_channels_and_allocations_expire() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    assert_eq!(world.bind(&mut ada, 0x4000, MEDIA), Got::Success);
    world.pass(minutes(5));
    assert_eq!(
        world.channel(&ada, 0x4000, b"x"),
        None,
        "the permission is over"
    );
    assert_eq!(world.permit(&mut ada, &[MEDIA]), Got::Success);
    assert!(
        world.channel(&ada, 0x4000, b"x").is_some(),
        "the channel is not"
    );
    world.pass(minutes(4));
    ada.nonce.clear();
    assert_eq!(world.refresh(&mut ada, 0xffff), Got::Success);
    assert_eq!(world.permit(&mut ada, &[MEDIA]), Got::Success);
    world.pass(minutes(1));
    assert_eq!(world.channel(&ada, 0x4000, b"x"), None, "now it is");
    assert!(
        world
            .peer_sends(&ada, MEDIA, b"x")
            .is_some_and(|got| data(&got).1 == b"x")
    );
    world.pass(minutes(58));
    assert!(world.server.has_allocation(&ada.path), "an hour at most");
    world.pass(minutes(1));
    assert!(!world.server.has_allocation(&ada.path));
    assert_eq!(world.closed_relays, [RelayId(1)]);
    assert_eq!(world.server.next_timeout(), None);
    assert_eq!(world.peer_sends(&ada, MEDIA, b"x"), None);
}

#[test]
fn nonces_go_stale() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    world.pass(minutes(9));
    assert_eq!(world.refresh(&mut ada, 600), Got::Success);
    world.pass(minutes(2));
    assert_eq!(
        world.refresh(&mut ada, 600),
        Got::Error(ErrorCode::STALE_NONCE)
    );
    ada.nonce.clear();
    assert_eq!(world.refresh(&mut ada, 600), Got::Success);
}

#[test]
fn a_request_that_is_sent_again_is_answered_again() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    let udp = RequestedTransport::new(RequestedTransport::UDP);
    let mut ben = world.client(BEN, "203.0.113.9:4000");
    ben.nonce.clone_from(&ada.nonce);
    assert_eq!(
        world.allocate(&mut ben, &[]),
        Got::Error(ErrorCode::STALE_NONCE)
    );
    ben.nonce.clear();
    assert_eq!(world.allocate(&mut ben, &[]), Got::Success);
    let first = ada.signed(request(ALLOCATE, &[&udp]));
    assert_eq!(
        world.send_signed(&mut ada, &first),
        Got::Error(437),
        "another transaction"
    );
    assert_eq!(world.refresh(&mut ada, 0), Got::Success);
    for _ in 0..2 {
        assert_eq!(world.send_signed(&mut ada, &first), Got::Success);
        assert_eq!(ada.relay(), "192.0.2.1:50002", "one relay");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_left_alone() {
    let mut world = World::new();
    let ada = world.allocated(ADA, "198.51.100.9:4000");
    let mut ben = world.client(BEN, "198.51.100.9:4000");
    assert_eq!(ben.path, ada.path);
    assert_eq!(
        world.refresh(&mut ben, 0),
        Got::Error(ErrorCode::WRONG_CREDENTIALS)
    );
    assert_eq!(
        world.permit(&mut ben, &[MEDIA]),
        Got::Error(ErrorCode::WRONG_CREDENTIALS)
    );
    let mut elsewhere = world.client(ADA, "198.51.100.9:4001");
    assert_eq!(
        world.refresh(&mut elsewhere, 0),
        Got::Error(ErrorCode::ALLOCATION_MISMATCH)
    );
    assert!(world.server.has_allocation(&ada.path));
}

#[test]
fn what_cannot_be_is_refused_by_its_name() {
    let mut world = World::with(|config| config.limits.requests_burst = 100);
    let mut ada = world.client(ADA, "198.51.100.9:4000");
    let ask = |world: &mut World, ada: &mut Client, with: &[&dyn AttributeWrite]| {
        world.ask(ada, ALLOCATE, with)
    };
    let udp = RequestedTransport::new(RequestedTransport::UDP);
    assert_eq!(
        ask(&mut world, &mut ada, &[]),
        Got::Error(400),
        "which transport?"
    );
    let tcp = RequestedTransport::new(RequestedTransport::TCP);
    assert_eq!(ask(&mut world, &mut ada, &[&tcp]), Got::Error(442));
    let v6 = RequestedAddressFamily::new(AddressFamily::IPV6);
    assert_eq!(ask(&mut world, &mut ada, &[&udp, &v6]), Got::Error(440));
    assert_eq!(
        ask(&mut world, &mut ada, &[&udp, &EvenPort::new(true)]),
        Got::Error(508)
    );
    assert_eq!(
        ask(&mut world, &mut ada, &[&udp, &ReservationToken::new(7)]),
        Got::Error(508)
    );
    assert_eq!(
        ask(&mut world, &mut ada, &[&udp, &DontFragment::new()]),
        Got::Error(420)
    );
    world.has_ports = false;
    assert_eq!(
        ask(&mut world, &mut ada, &[&udp]),
        Got::Error(508),
        "no port is free"
    );
    world.has_ports = true;
    world.next_port = 50_001;
    assert_eq!(
        ask(&mut world, &mut ada, &[&udp, &EvenPort::new(false)]),
        Got::Success
    );
    assert_eq!(ada.relay(), "192.0.2.1:50002");

    assert_eq!(world.permit(&mut ada, &[]), Got::Error(400));
    assert_eq!(world.bind(&mut ada, 0x3fff, MEDIA), Got::Error(400));
    assert_eq!(world.bind(&mut ada, 0x8000, MEDIA), Got::Error(400));
    assert_eq!(world.bind(&mut ada, 0x4000, MEDIA), Got::Success);
    assert_eq!(
        world.bind(&mut ada, 0x4000, MEDIA),
        Got::Success,
        "that renews it"
    );
    assert_eq!(
        world.bind(&mut ada, 0x4001, MEDIA),
        Got::Error(400),
        "it has a channel"
    );
    let relay = ada.relay();
    assert_eq!(
        world.bind(&mut ada, 0x4000, &relay),
        Got::Error(400),
        "it has a peer"
    );
    assert_eq!(world.ask(&mut ada, REFRESH, &[&v6]), Got::Error(443));
    assert_eq!(
        world.ask(&mut ada, CONNECT, &[]),
        Got::Nothing,
        "no TCP towards peers"
    );
}

#[test]
fn an_allocation_has_so_many_permissions_and_channels() {
    let mut world = World::with(|config| config.peers.is_public = true);
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    for number in 1..=4 {
        assert_eq!(
            world.permit(&mut ada, &[&format!("1.1.1.{number}:0")]),
            Got::Success
        );
    }
    assert_eq!(
        world.permit(&mut ada, &["1.1.1.4:0"]),
        Got::Success,
        "it has that one"
    );
    assert_eq!(world.permit(&mut ada, &["1.1.1.5:0"]), Got::Error(508));
    for number in 1..=4 {
        let peer = format!("1.1.1.1:{number}");
        assert_eq!(world.bind(&mut ada, 0x4000 + number, &peer), Got::Success);
    }
    assert_eq!(world.bind(&mut ada, 0x4005, "1.1.1.1:5"), Got::Error(508));
    world.pass(minutes(5));
    assert_eq!(
        world.permit(&mut ada, &["1.1.1.5:0"]),
        Got::Success,
        "the others are over"
    );
}

#[test]
fn an_allocation_has_its_bitrate_in_each_direction() {
    let mut world = World::with(|config| config.limits.bitrate_bps = Some(8_000));
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    assert_eq!(world.bind(&mut ada, 0x4000, MEDIA), Got::Success);
    let send = |world: &mut World| {
        let sent = (0..1_000).filter(|_| world.channel(&ada, 0x4000, &[0; 1_000]).is_some());
        sent.count()
    };
    assert_eq!(
        send(&mut world),
        66,
        "half a second and a key frame at once"
    );
    world.pass(Duration::from_secs(10));
    assert_eq!(send(&mut world), 10, "then so much per second");
    assert!(
        world.peer_sends(&ada, MEDIA, &[0; 1_000]).is_some(),
        "the other way is free"
    );
    assert_eq!(world.server.statistics().over_bitrate, 1_924);
}

#[test]
fn connections_without_an_allocation_are_closed() {
    let mut world = World::new();
    let silent = world.client_on(SessionId(99), "198.51.100.9:4000", Transport::Stream);
    let mut ada = world.client_on(ADA, "198.51.100.9:4001", Transport::Stream);
    assert_eq!(world.allocate(&mut ada, &[]), Got::Success);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.closed_streams, [silent.path]);
    world.server.end_session(world.now, ADA);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.closed_streams, [silent.path, ada.path]);
    // Who hangs up takes the allocation along.
    let mut ben = world.client_on(BEN, "198.51.100.9:4002", Transport::Stream);
    assert_eq!(world.allocate(&mut ben, &[]), Got::Success);
    world.server.handle_disconnected(world.now, ben.path);
    world.drain();
    assert_eq!(world.closed_relays.len(), 2);
    assert_eq!(world.server.next_timeout(), None);
    assert_eq!(world.server.statistics().allocations, 0);
}

#[test]
fn a_client_that_goes_before_its_port_is_bound_leaves_nothing() {
    let mut world = World::new();
    let mut ada = world.client_on(ADA, "198.51.100.9:4000", Transport::Stream);
    let udp = RequestedTransport::new(RequestedTransport::UDP);
    let first = request(ALLOCATE, &[&udp]).finish();
    let answer = world.answer(ada.path, &first).unwrap();
    let answer = Message::from_bytes(&answer).unwrap();
    ada.nonce = answer.attribute::<Nonce>().unwrap().nonce().to_owned();
    let signed = ada.signed(request(ALLOCATE, &[&udp]));
    assert_eq!(
        world.server.handle_client(world.now, ada.path, &signed),
        None
    );
    let Some(Output::Bind { relay, .. }) = world.server.poll_output() else {
        panic!("a socket is wanted");
    };
    world.server.handle_disconnected(world.now, ada.path);
    world.server.handle_bound(world.now, relay, Ok(50_000));
    assert_eq!(world.server.poll_output(), Some(Output::CloseRelay(relay)));
    assert_eq!(world.server.poll_output(), None);
    assert!(world.server.relays.is_empty() && world.server.by_path.is_empty());
    assert_eq!(
        world
            .server
            .usage
            .admit(&world.server.config.limits, "1", ada.path.client.ip()),
        Ok(())
    );
}

#[test]
fn broken_messages_are_counted_and_answered_by_nothing() {
    let mut world = World::new();
    let mut ada = world.allocated(ADA, "198.51.100.9:4000");
    assert_eq!(world.bind(&mut ada, 0x4000, MEDIA), Got::Success);
    let good = request(BINDING, &[]).finish();
    let mut longer = good.clone();
    longer[3] = 4;
    let mut response = good.clone();
    response[0] = 1;
    let wrong_length = [0x40, 0, 0, 9, 1, 2, 3];
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 0, 200],
        &good[..10],
        &good[..19],
        &longer,
        &response,
        &wrong_length,
        &[0xff; 100],
    ] {
        assert_eq!(world.answer(ada.path, bytes), None, "{bytes:?}");
    }
    assert_eq!(world.server.statistics().malformed, 9);
    assert!(
        world.channel(&ada, 0x4000, b"x").is_some(),
        "the others notice nothing"
    );
}

#[test]
fn wall_time_is_what_credentials_are_judged_by() {
    let expires: DateTime<Utc> = DateTime::from_timestamp(1_790_000_060, 0).unwrap();
    let mut world = World::new();
    let mut ada = world.client(ADA, "198.51.100.9:4000");
    ada.credentials = world.secret.credentials(ADA, expires);
    world.pass(Duration::from_secs(59));
    assert_eq!(world.allocate(&mut ada, &[]), Got::Success);
    world.pass(Duration::from_secs(1));
    assert_eq!(
        world.refresh(&mut ada, 600),
        Got::Error(ErrorCode::UNAUTHORIZED)
    );
}
