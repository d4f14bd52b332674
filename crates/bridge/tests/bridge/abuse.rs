//! Strangers and bad clients: nothing they send disturbs the others or stays in memory.

use std::net::SocketAddr;
use std::time::Duration;

use tertulia_model::{BridgeCommand, BridgeEvent};
use tertulia_model::{Encoding, MediaType, Random, Source, Ssrc, VideoType};

use crate::room::{BRIDGE, OFFER, Room, may};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

/// A binding request with a user name and a wrong signature.
pub(crate) fn check(username: &str) -> Vec<u8> {
    let mut attributes = Vec::new();
    let mut add = |kind: u16, value: &[u8]| {
        attributes.extend(kind.to_be_bytes());
        attributes.extend((value.len() as u16).to_be_bytes());
        attributes.extend(value);
        attributes.resize(attributes.len().next_multiple_of(4), 0u8);
    };
    add(0x0006, username.as_bytes());
    add(0x0024, &[0, 0, 1, 0]);
    add(0x0008, &[7; 20]);
    let mut data = vec![0, 1];
    data.extend((attributes.len() as u16).to_be_bytes());
    data.extend([0x21, 0x12, 0xa4, 0x42]);
    data.extend([3; 12]);
    data.extend(attributes);
    data
}

fn rtp(ssrc: u32, number: u16) -> Vec<u8> {
    let mut data = vec![0x80, 111];
    data.extend(number.to_be_bytes());
    data.extend([0; 4]);
    data.extend(ssrc.to_be_bytes());
    data.extend([5; 60]);
    data
}

#[test]
fn rtp_from_an_unknown_address_reaches_nobody() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(80);
    room.run(SECOND);
    let stranger = "203.0.113.66:5000".parse().unwrap();
    let ssrc = room.clients[0].audio_ssrc();
    let before = room.clients[1].received.len();
    for number in 0..100 {
        room.inject(stranger, &rtp(ssrc, number));
    }
    assert_eq!(room.statistics().dropped.unknown_source, 100);
    assert_eq!(room.clients[1].received.len(), before);
    // The same under a participant's address: it does not decrypt.
    let address = room.clients[0].address;
    for number in 0..100 {
        room.inject(address, &rtp(ssrc, number));
    }
    room.run(SECOND);
    let packets = room.clients[1].stream(ssrc);
    assert!(
        packets
            .windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1)
    );
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Disconnected { .. })),
        0
    );
}

#[test]
fn strangers_checks_are_refused_and_limited() {
    let mut config = config();
    config.limits.unknown_checks_burst = 50;
    let mut room = Room::new(config);
    let index = room.join("a");
    let ufrag = room.clients[index].transport.ice.ufrag.clone();
    let mut wrong = ufrag.clone();
    wrong.replace_range(15..16, if ufrag.ends_with('a') { "b" } else { "a" });
    for n in 0..200u8 {
        let stranger = SocketAddr::from(([203, 0, 113, n], 5_000));
        room.inject(
            stranger,
            &check(&format!("{}:x", if n % 2 == 0 { &ufrag } else { &wrong })),
        );
    }
    let dropped = room.statistics().dropped;
    assert_eq!((dropped.unknown_check, dropped.check_limit), (50, 150));
    assert_eq!(room.statistics().addresses, 0);
    room.run(SECOND);
    assert!(
        room.clients[index].is_connected,
        "another network is not concerned"
    );
}

#[test]
fn garbage_is_dropped_and_counted() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(80);
    let mut random = Random::from_seed([9; 32]);
    let stranger: SocketAddr = "203.0.113.66:5000".parse().unwrap();
    let sizes = room.statistics();
    for n in 0..3_000usize {
        let mut data = vec![0; n % 300];
        random.fill(&mut data);
        if n % 3 == 0 {
            // Looks like something.
            if let Some(first) = data.first_mut() {
                *first = [0, 1, 20, 22, 63, 128, 144, 191][n % 8];
            }
        }
        let from = if n % 2 == 0 {
            stranger
        } else {
            room.clients[0].address
        };
        room.inject(from, &data);
    }
    room.run(2 * SECOND);
    let after = room.statistics();
    assert!(after.dropped.garbage > 500);
    assert_eq!(
        (after.addresses, after.foreign_addresses),
        (sizes.addresses, 0)
    );
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Disconnected { .. })),
        0
    );
    room.clients[1].received.clear();
    room.run(SECOND);
    assert!(room.clients[1].stream(room.clients[0].audio_ssrc()).len() > 45);
}

/// What the fuzz target does: any bytes, any number of datagrams, at a worker that has endpoints.
#[test]
fn no_bytes_make_the_worker_panic() {
    let mut config = config();
    config.workers = 2;
    let mut room = Room::new(config);
    let index = room.join("a");
    let ufrag = room.clients[index].transport.ice.ufrag.clone();
    let mut random = Random::from_seed([3; 32]);
    let templates = [
        check(&format!("{ufrag}:x")),
        check("aaaaaaaaaaaaaaaa:x"),
        rtp(1, 1),
    ];
    for n in 0..5_000usize {
        let mut data = templates[n % templates.len()].clone();
        for _ in 0..random.u32() % 4 {
            let place = random.u32() as usize % data.len();
            data[place] = random.u32() as u8;
        }
        data.truncate(random.u32() as usize % (data.len() + 1));
        let from = SocketAddr::from(([203, 0, (n >> 8) as u8, n as u8], 5_000 + n as u16 % 2));
        room.inject(from, &data);
    }
    let (now, mut batch) = (room.now, Default::default());
    for worker in &mut room.workers {
        worker.handle_datagram(
            now,
            "1.2.3.4:5".parse().unwrap(),
            BRIDGE.parse().unwrap(),
            &[],
            &mut batch,
        );
    }
    assert_eq!(room.statistics().addresses, 0);
}

#[test]
fn addresses_of_an_endpoint_are_bounded() {
    let mut config = config();
    config.limits.addresses_per_endpoint = 3;
    let mut room = Room::new(config);
    room.party(&["a", "b"]);
    for n in 1..=10 {
        room.clients[0].address.set_port(40_000 + 2 * n);
        room.run(4 * SECOND);
    }
    let statistics = room.statistics();
    assert!(statistics.addresses <= 4, "{}", statistics.addresses);
    room.run(60 * SECOND);
    assert!(room.statistics().addresses <= 3);
}

#[test]
fn an_ssrc_of_somebody_else_is_not_taken_over() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.clients[0].speak(80);
    let thief = room.clients[1].allocation;
    let sources = vec![Source {
        name: "b-a0".parse().unwrap(),
        media: MediaType::Audio,
        video_type: VideoType::None,
        encodings: vec![Encoding {
            primary: Ssrc(room.clients[0].audio_ssrc()),
            rtx: None,
        }],
    }];
    room.command(BridgeCommand::SetSources {
        allocation: thief,
        sources,
    });
    room.run(SECOND);
    assert!(room.clients[2].stream(room.clients[0].audio_ssrc()).len() > 45);
}

#[test]
fn media_of_an_unsignalled_source_is_not_forwarded() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::SetSources {
        allocation,
        sources: Vec::new(),
    });
    room.clients[0].speak(80);
    room.run(SECOND);
    assert!(room.clients[1].received.is_empty());
}

#[test]
fn commands_about_nobody_are_ignored() {
    let mut room = Room::new(config());
    let (allocation, _) = room.allocate("a", OFFER);
    room.command(BridgeCommand::Expire { allocation });
    room.command(BridgeCommand::SetPaused {
        allocation,
        is_paused: true,
    });
    room.command(BridgeCommand::SetMayForward {
        allocation,
        may: may(false, false),
    });
    room.command(BridgeCommand::SetSources {
        allocation,
        sources: Vec::new(),
    });
    room.command(BridgeCommand::Close);
    assert_eq!(room.statistics().conferences, 0);
    assert_eq!(room.worker().next_timeout(), None);
}
