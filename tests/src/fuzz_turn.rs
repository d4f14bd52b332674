//! What strangers and clients send to the TURN server, as datagrams and as a stream.

use std::net::SocketAddr;
use std::time::Duration;

use stun_types::attribute::{Nonce, Realm, Username};
use stun_types::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageWrite, MessageWriteExt,
    MessageWriteVec, TransactionId,
};
use tertulia_model::{Now, SessionId, TurnSecret};
use tertulia_turn::framing::Frames;
use tertulia_turn::{
    Config, Limits, Output, OwnAddress, Path, Peers, RelayId, Transport, TurnServer,
};
use turn_types::attribute::RequestedTransport;
use turn_types::message::ALLOCATE;

use crate::fuzz::now;

/// The bytes come from somebody who has an allocation and from somebody who has none, and as a
/// peer's packet.
pub(crate) fn turn(data: &[u8]) {
    let now = now();
    let mut server = server(now);
    let known = path(4_000, Transport::Udp);
    allocate(&mut server, now, known);
    for client in [known, path(4_001, Transport::Udp)] {
        server.handle_client(now, client, data);
        settle(&mut server, now);
    }
    let stream = path(4_002, Transport::Stream);
    server.handle_connected(now, stream);
    let mut frames = Frames::new(2_048);
    'stream: for piece in data.chunks(7) {
        frames.push(piece);
        loop {
            match frames.next_message() {
                Ok(Some(message)) => drop(server.handle_client(now, stream, message)),
                Ok(None) => break,
                Err(_) => break 'stream,
            }
            settle(&mut server, now);
        }
    }
    server.handle_disconnected(now, stream);
    let mut out = Vec::new();
    let from = SocketAddr::from(([192, 0, 2, 1], 10_000));
    server.handle_peer(now, RelayId(1), from, data, &mut out);
    assert!(out.len() <= data.len() + 100, "little is added");
    server.handle_timeout(now.later(Duration::from_secs(7_200)));
    settle(&mut server, now);
    assert_eq!(server.statistics().allocations, 0, "nothing lives for ever");
}

fn server(now: Now) -> TurnServer {
    let config = Config {
        realm: "localhost".to_owned(),
        secret: TurnSecret::new(&[1; 32]),
        shared_secret: None,
        peers: Peers {
            own: vec![OwnAddress {
                local: [192, 0, 2, 1].into(),
                public: Some(([203, 0, 113, 1], 10_000).into()),
            }],
            media_port: 10_000,
            is_public: true,
        },
        limits: Limits {
            allocations: 4,
            allocations_per_user: 4,
            allocations_per_network: 4,
            permissions: 4,
            channels: 4,
            bitrate_bps: Some(1_000_000),
            requests_per_second: 10,
            requests_burst: 10,
        },
        lifetime: Duration::from_secs(600),
        lifetime_max: Duration::from_secs(3_600),
        nonce_lifetime: Duration::from_secs(600),
        idle: Duration::from_secs(30),
    };
    let mut server = TurnServer::new(config, [2; 32], now);
    server.start_session(SessionId(1));
    server
}

/// Answers are well-formed; sockets are there at once. Gives the last answer.
fn settle(server: &mut TurnServer, now: Now) -> Option<Vec<u8>> {
    let mut last = None;
    while let Some(output) = server.poll_output() {
        match output {
            Output::Send { message, .. } => {
                Message::from_bytes(&message).expect("we write what can be read");
                last = Some(message);
            }
            Output::Bind { relay, .. } => server.handle_bound(now, relay, Ok(50_000)),
            Output::CloseRelay(_) | Output::CloseStream(_) => {}
        }
    }
    last
}

fn allocate(server: &mut TurnServer, now: Now, path: Path) {
    let mut nonce = None;
    let expires = now.wall + chrono::TimeDelta::hours(2);
    let credentials = TurnSecret::new(&[1; 32]).credentials(SessionId(1), expires);
    let key = LongTermKeyCredentials::new(
        credentials.username.clone(),
        credentials.password,
        "localhost".to_owned(),
    );
    for round in 0..2 {
        let mut request = Message::builder(
            stun_types::message::MessageType::from_class_method(
                stun_types::message::MessageClass::Request,
                ALLOCATE,
            ),
            TransactionId::from(round),
            MessageWriteVec::new(),
        );
        let udp = RequestedTransport::new(RequestedTransport::UDP);
        request.add_attribute(&udp).expect("it is the first");
        if let Some(nonce) = &nonce {
            let username = Username::new(&credentials.username).expect("it is short");
            request.add_attribute(&username).expect("it is new");
            let realm = Realm::new("localhost").expect("it is short");
            request.add_attribute(&realm).expect("it is new");
            request.add_attribute(nonce).expect("it is new");
            let signed =
                request.add_message_integrity(&key.clone().into(), IntegrityAlgorithm::Sha1);
            signed.expect("it is the first");
        }
        server.handle_client(now, path, &request.finish());
        let answer = settle(server, now).expect("an answer");
        let answer = Message::from_bytes(&answer).expect("we write what can be read");
        nonce = answer.attribute::<Nonce>().ok();
    }
    assert!(server.has_allocation(&path));
}

fn path(port: u16, transport: Transport) -> Path {
    Path {
        transport,
        server: SocketAddr::from(([192, 0, 2, 1], 3478)),
        client: SocketAddr::from(([198, 51, 100, 1], port)),
    }
}
