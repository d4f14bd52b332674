//! Transports: allocation, connection, silence, failure, expiry, several workers.

use std::time::Duration;

use tertulia_bridge::{LocalAddress, Statistics};
use tertulia_model::bridge::{AllocationFailure, CandidateKind, DisconnectReason, EndpointOffer};
use tertulia_model::{AllocationId, BridgeCommand, BridgeEvent};

use crate::room::client::Habits;
use crate::room::{BRIDGE, OFFER, Room};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_allocation_says_all_that_an_offer_needs() {
    let mut config = config();
    config.addresses[0].public = Some("203.0.113.5:10000".parse().unwrap());
    config.addresses.push(LocalAddress {
        address: "[2001:db8::1]:10000".parse().unwrap(),
        public: None,
    });
    let mut room = Room::new(config);
    let (_, transport) = room.allocate("a", OFFER);
    let (_, other) = room.allocate("b", OFFER);
    let addresses: Vec<String> = transport
        .candidates
        .iter()
        .map(|c| c.address.to_string())
        .collect();
    assert_eq!(
        addresses,
        [BRIDGE, "203.0.113.5:10000", "[2001:db8::1]:10000"]
    );
    let base = BRIDGE.parse().unwrap();
    assert_eq!(
        transport.candidates[1].kind,
        CandidateKind::ServerReflexive { base }
    );
    assert!(transport.candidates[0].priority > transport.candidates[1].priority);
    assert_eq!(
        (
            transport.fingerprint.hash.as_str(),
            transport.fingerprint.bytes.len()
        ),
        ("sha-256", 32)
    );
    assert_eq!(
        transport.fingerprint, other.fingerprint,
        "one certificate for all"
    );
    assert!(transport.ice.ufrag.len() >= 4 && transport.ice.pwd.len() >= 22);
    assert_ne!(transport.ice.ufrag, other.ice.ufrag);
    assert_ne!(transport.channel_password, other.channel_password);
    let ssrcs = [transport.feedback, other.feedback]
        .map(|f| [f.audio.0, f.video.0])
        .concat();
    let mut unique = ssrcs.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 4, "{ssrcs:?}");
    let loopback = EndpointOffer {
        has_ssrc_rewriting: false,
        is_loopback: true,
        ..OFFER
    };
    let (_, local) = room.allocate("c", loopback);
    assert!(
        local
            .candidates
            .iter()
            .any(|c| c.address.ip().is_loopback())
    );
    assert!(
        !transport
            .candidates
            .iter()
            .any(|c| c.address.ip().is_loopback())
    );
}

#[test]
fn clients_connect_quickly_and_are_reported_once() {
    let mut room = Room::new(config());
    let start = room.now.mono;
    room.party(&["a", "b", "c"]);
    assert!(room.now.mono - start < Duration::from_millis(500));
    room.run(3 * SECOND);
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Connected { .. })),
        3
    );
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Activity { .. })),
        0
    );
    let statistics = room.statistics();
    assert_eq!(
        (
            statistics.conferences,
            statistics.endpoints,
            statistics.addresses
        ),
        (1, 3, 3)
    );
}

#[test]
fn a_wrong_fingerprint_is_refused() {
    let mut room = Room::new(config());
    let liar = room.join_with("a", OFFER, |remote| remote.fingerprint.bytes[0] ^= 1);
    let honest = room.join("b");
    room.run(5 * SECOND);
    assert!(room.clients[honest].is_connected);
    let allocation = room.clients[liar].allocation;
    assert_eq!(
        room.count(|event| matches!(
            event,
            BridgeEvent::Disconnected { allocation: of, reason: DisconnectReason::DtlsFailed }
                if *of == allocation
        )),
        1
    );
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Connected { .. })),
        1
    );
}

#[test]
fn a_wrong_ice_password_never_connects() {
    let mut room = Room::new(config());
    room.join_with("a", OFFER, |remote| remote.ice.pwd = "x".repeat(24));
    room.run(31 * SECOND);
    let failed = |event: &BridgeEvent| {
        matches!(
            event,
            BridgeEvent::Disconnected {
                reason: DisconnectReason::IceFailed | DisconnectReason::DtlsFailed,
                ..
            }
        )
    };
    assert_eq!(room.count(failed), 1);
}

#[test]
fn silence_is_reported_and_ends() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.open_websocket(1);
    room.run(SECOND);
    room.clients[0].loss_up = 100;
    let active = |room: &Room, wanted| {
        room.count(|event| {
            matches!(event, BridgeEvent::Activity { is_active, .. } if *is_active == wanted)
        })
    };
    room.run(Duration::from_millis(5_500));
    assert_eq!(active(&room, false), 0);
    room.run(Duration::from_millis(1_200));
    assert_eq!(active(&room, false), 1);
    let told = room.clients[1]
        .last("EndpointConnectivityStatusChangeEvent")
        .unwrap();
    assert_eq!(
        (told["endpoint"].as_str(), told["active"].as_str()),
        (Some("a"), Some("false"))
    );
    room.clients[0].loss_up = 0;
    room.run(4 * SECOND);
    assert_eq!(active(&room, true), 1);
    let told = room.clients[1]
        .last("EndpointConnectivityStatusChangeEvent")
        .unwrap();
    assert_eq!(told["active"], "true");
}

#[test]
fn a_client_without_signalling_is_given_up_sooner() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(60);
    room.run(SECOND);
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::SetPaused {
        allocation,
        is_paused: true,
    });
    room.run(5 * SECOND);
    let inactive = |event: &BridgeEvent| {
        matches!(
            event,
            BridgeEvent::Activity {
                is_active: false,
                ..
            }
        )
    };
    assert_eq!(room.count(inactive), 0, "media flows on");
    room.clients[0].is_gone = true;
    room.run(Duration::from_millis(2_900));
    assert_eq!(room.count(inactive), 1);
}

#[test]
fn lost_consent_ends_the_transport_after_a_minute() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(SECOND);
    room.clients[0].is_gone = true;
    room.run(59 * SECOND);
    let lost = |event: &BridgeEvent| matches!(event, BridgeEvent::Disconnected { .. });
    assert_eq!(room.count(lost), 0);
    room.run(2 * SECOND);
    assert_eq!(room.count(lost), 1);
    assert_eq!(room.statistics().addresses, 1);
}

#[test]
fn a_peer_to_peer_pair_keeps_its_idle_transports() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(180 * SECOND);
    let event = |event: &BridgeEvent| {
        matches!(
            event,
            BridgeEvent::Disconnected { .. } | BridgeEvent::Activity { .. }
        )
    };
    assert_eq!(room.count(event), 0);
    for client in &mut room.clients {
        client.speak(80);
    }
    room.run(SECOND);
    let ssrc = room.clients[0].audio_ssrc();
    assert!(
        room.clients[1].stream(ssrc).len() > 40,
        "media starts at once"
    );
}

#[test]
fn a_closed_transport_is_inactive_at_once_and_lost_soon_after() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(SECOND);
    room.clients[0].peer.rtc.close().unwrap();
    room.run(Duration::from_millis(200));
    let inactive = |event: &BridgeEvent| {
        matches!(
            event,
            BridgeEvent::Activity {
                is_active: false,
                ..
            }
        )
    };
    let lost = |event: &BridgeEvent| matches!(event, BridgeEvent::Disconnected { .. });
    assert_eq!((room.count(inactive), room.count(lost)), (1, 0));
    room.run(3 * SECOND);
    assert_eq!((room.count(inactive), room.count(lost)), (1, 1));
}

#[test]
fn a_second_allocation_replaces_the_first() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.open_websocket(0);
    let old = room.clients[0].allocation;
    let index = room.join("a");
    room.publish(index);
    assert_eq!(
        room.clients[0].texts.last().unwrap(),
        1001,
        "its WebSocket is closed"
    );
    assert_eq!(room.statistics().endpoints, 2);
    room.clients[0].is_gone = true;
    room.run(2 * SECOND);
    assert!(room.clients[index].is_connected);
    // Commands that still name the old one are late.
    room.command(BridgeCommand::Expire { allocation: old });
    assert_eq!(room.statistics().endpoints, 2);
    room.clients[index].speak(80);
    room.run(SECOND);
    let ssrc = room.clients[index].audio_ssrc();
    assert!(room.clients[1].stream(ssrc).len() > 40);
}

#[test]
fn limits_refuse_and_say_so() {
    let mut config = config();
    config.limits.endpoints = 3;
    config.limits.conferences = 1;
    config.limits.endpoints_per_conference = 2;
    let mut room = Room::new(config);
    room.allocate("a", OFFER);
    room.allocate("b", OFFER);
    let refuse = |room: &mut Room| {
        room.events.clear();
        room.command(BridgeCommand::Allocate {
            endpoint: "c".parse().unwrap(),
            allocation: AllocationId(99),
            offer: OFFER,
        });
        let reason = AllocationFailure::LimitReached;
        assert!(matches!(
            room.events.as_slice(),
            [(_, BridgeEvent::AllocationFailed { allocation: AllocationId(99), reason: r })] if *r == reason
        ));
    };
    refuse(&mut room);
    room.conference = tertulia_model::ConferenceId::new("another");
    refuse(&mut room);
    assert_eq!(room.statistics().conferences, 1);
}

#[test]
fn nothing_is_left_when_all_are_gone() {
    let mut room = Room::new(config());
    let at_start = sizes(room.statistics());
    for round in 0..3 {
        let from = room.clients.len();
        let names = ["a", "b", "c"].map(|name| format!("{name}{round}"));
        room.party(&names.each_ref().map(String::as_str));
        for index in from..room.clients.len() {
            room.clients[index].speak(70);
            room.clients[index].film();
            room.open_websocket(index);
        }
        room.run(2 * SECOND);
        assert_eq!(room.statistics().channels, 3);
        assert_eq!(room.statistics().sources, 6);
        if round == 1 {
            room.command(BridgeCommand::Close);
        } else {
            for index in from..room.clients.len() {
                let allocation = room.clients[index].allocation;
                room.command(BridgeCommand::Expire { allocation });
            }
        }
        for client in &mut room.clients {
            client.is_gone = true;
        }
        assert_eq!(sizes(room.statistics()), at_start, "round {round}");
        assert_eq!(room.worker().next_timeout(), None, "no timer is left");
    }
}

fn sizes(statistics: Statistics) -> [u64; 7] {
    [
        statistics.conferences,
        statistics.endpoints,
        statistics.sources,
        statistics.addresses,
        statistics.foreign_addresses,
        statistics.timers,
        statistics.channels,
    ]
}

#[test]
fn what_lands_on_the_wrong_worker_reaches_the_right_one() {
    let mut config = config();
    config.workers = 2;
    let mut room = Room::new(config);
    room.conference_worker = 1; // all clients' ports are even: their packets land on worker 0
    room.party(&["a", "b"]);
    for client in &mut room.clients {
        client.speak(80);
    }
    room.run(2 * SECOND);
    let ssrc = room.clients[0].audio_ssrc();
    assert!(room.clients[1].stream(ssrc).len() > 90);
    assert_eq!(room.workers[0].statistics().foreign_addresses, 2);
    assert_eq!(room.workers[0].statistics().packets_in, 0);
    assert_eq!(room.workers[1].statistics().addresses, 2);
}

#[test]
fn a_client_moves_to_another_address() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(80);
    room.run(2 * SECOND);
    // A new NAT binding: the same client seen from another port.
    let old = room.clients[0].address;
    let ssrc = room.clients[0].audio_ssrc();
    room.clients[0].address.set_port(old.port() + 2);
    room.run(5 * SECOND);
    room.clients[1].received.clear();
    room.run(2 * SECOND);
    assert!(room.clients[1].stream(ssrc).len() > 80, "its media goes on");
}

/// The client's checks begin before the bridge has its half of the credentials.
#[test]
fn an_answer_may_come_late() {
    let mut room = Room::new(config());
    let (index, answer) = room.prepare("a", OFFER, "198.51.100.9:40000".parse().unwrap());
    room.run(3 * SECOND);
    assert!(!room.clients[index].is_connected);
    room.answer(index, answer);
    room.run(2 * SECOND);
    assert!(room.clients[index].is_connected);
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Connected { .. })),
        1
    );
}

/// Whoever begins the handshake and whoever thinks that it leads the checks.
#[test]
fn roles_are_settled_whatever_a_client_thinks() {
    for (is_controlling, is_dtls_server) in [(false, true), (true, false), (true, true)] {
        let mut room = Room::new(config());
        room.habits = Habits {
            is_controlling,
            is_dtls_server,
        };
        room.party(&["a", "b"]);
        room.clients[0].speak(80);
        room.run(2 * SECOND);
        let ssrc = room.clients[0].audio_ssrc();
        assert!(room.clients[1].stream(ssrc).len() > 90);
    }
}

#[test]
fn the_handshake_survives_loss_and_duplicates() {
    // These clients ask again after 1, 3, 7, 15 and 31 s: who loses four of them is given the fifth.
    let mut config = config();
    config.timers.connect = 60 * SECOND;
    for (loss, twice) in [(0, 100), (15, 0), (10, 30)] {
        let mut room = Room::new(config.clone());
        for name in ["a", "b", "c", "d"] {
            let index = room.join(name);
            let client = &mut room.clients[index];
            (client.loss_up, client.loss_down) = (loss, loss);
            (client.way_up.twice, client.way_down.twice) = (twice, twice);
            room.publish(index);
        }
        room.run(38 * SECOND);
        let connected = room.clients.iter().filter(|client| client.is_connected);
        assert_eq!(connected.count(), 4, "{loss} % lost, {twice} % twice");
        assert_eq!(
            room.count(|event| matches!(event, BridgeEvent::Connected { .. })),
            4
        );
    }
}

/// An office behind one NAT, and a client that has nothing but IPv6.
#[test]
fn clients_share_an_address_or_have_another_family() {
    let mut config = config();
    config.addresses.push(LocalAddress {
        address: "[2001:db8::1]:10000".parse().unwrap(),
        public: None,
    });
    let mut room = Room::new(config);
    for (name, address) in [
        ("a", "198.51.100.9:40000"),
        ("b", "198.51.100.9:40002"),
        ("c", "[2001:db8:7::5]:40000"),
    ] {
        let (index, answer) = room.prepare(name, OFFER, address.parse().unwrap());
        room.answer(index, answer);
        room.publish(index);
    }
    room.run(2 * SECOND);
    for client in &mut room.clients {
        assert!(client.is_connected, "{}", client.address);
        client.speak(80);
    }
    room.run(2 * SECOND);
    for receiver in 0..3 {
        for sender in (0..3).filter(|sender| *sender != receiver) {
            let ssrc = room.clients[sender].audio_ssrc();
            let packets = room.clients[receiver].stream(ssrc).len();
            assert!(packets > 90, "{packets} from {sender} to {receiver}");
        }
    }
    assert_eq!(room.statistics().addresses, 3);
}

#[test]
fn a_hash_may_be_named_in_capitals() {
    let mut room = Room::new(config());
    let index = room.join_with("a", OFFER, |remote| {
        remote.fingerprint.hash.make_ascii_uppercase();
    });
    room.run(2 * SECOND);
    assert!(room.clients[index].is_connected);
}
