//! ICE restarts in place: new credentials and perhaps a new path, under media that goes on.

use std::net::SocketAddr;
use std::time::Duration;

use tertulia_model::bridge::{Candidate, IceCredentials};
use tertulia_model::{BridgeCommand, BridgeEvent};

use crate::room::Room;
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

/// `a` and `b` send each other voice and picture, by data channel they hear of it.
fn talk() -> Room {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(SECOND);
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(90);
        room.ask(index, 360);
    }
    room.run(3 * SECOND);
    room
}

/// The bridge's half of a restart of `a`.
fn offer(room: &mut Room) -> (IceCredentials, Vec<Candidate>) {
    let wanted = room.clients[0].allocation;
    room.events.clear();
    room.command(BridgeCommand::RestartIce { allocation: wanted });
    let mut events = room.events.iter();
    let offered = events.find_map(|(_, event)| match event {
        BridgeEvent::IceRestarted {
            allocation,
            ice,
            candidates,
        } if *allocation == wanted => Some((ice.clone(), candidates.clone())),
        _ => None,
    });
    offered.expect("an answer")
}

fn reconnect(room: &mut Room, ice: IceCredentials) {
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::ReconnectIce {
        allocation,
        ice,
        candidates: Vec::new(),
    });
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], port))
}

/// The longest time without a packet of the other's voice since `from`.
fn silence(room: &Room, receiver: usize, from: std::time::Instant) -> Duration {
    let ssrc = room.clients[1 - receiver].audio_ssrc();
    let packets = room.clients[receiver].stream(ssrc);
    let times = packets.iter().map(|packet| packet.at);
    let times: Vec<_> = times
        .filter(|at| *at >= from)
        .chain([room.now.mono])
        .collect();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().expect("something came")
}

fn assert_whole(room: &Room) {
    let lost = |event: &BridgeEvent| {
        matches!(
            event,
            BridgeEvent::Disconnected { .. } | BridgeEvent::Activity { .. }
        )
    };
    assert_eq!(room.count(lost), 0);
    assert!(room.clients.iter().all(|client| client.is_connected));
    assert_eq!(room.statistics().endpoint_failures, 0);
}

#[test]
fn a_client_on_a_new_network_is_found_at_once() {
    let mut room = talk();
    let before = room.clients[0].transport.clone();
    let (ice, candidates) = offer(&mut room);
    assert_ne!(ice.ufrag, before.ice.ufrag);
    assert_ne!(ice.pwd, before.ice.pwd);
    assert_eq!(candidates, before.candidates, "all of them, again");
    room.run(Duration::from_millis(30));
    let start = room.now.mono;
    // Its old network is gone; the answer takes a moment.
    let theirs = room.clients[0].restart_ice(&ice, Some(address(50_000)));
    room.run(Duration::from_millis(30));
    reconnect(&mut room, theirs);
    room.run(5 * SECOND);
    for receiver in 0..2 {
        let silence = silence(&room, receiver, start);
        assert!(
            silence < Duration::from_millis(400),
            "{receiver}: {silence:?}"
        );
    }
    assert_whole(&room);
    // DTLS, SRTP and the data channel are the same.
    room.say(0, r#"{"colibriClass":"ClientHello"}"#);
    room.run(SECOND);
    assert!(room.clients[0].last("ServerHello").is_some());
    let ssrc = room.clients[1].video_ssrc();
    let packets = room.clients[0].stream(ssrc);
    assert!(
        packets
            .windows(2)
            .all(|pair| pair[0].number < pair[1].number)
    );
    room.run(40 * SECOND);
    assert_whole(&room);
    assert_eq!(
        room.statistics().addresses,
        2,
        "the old address is forgotten"
    );
}

/// A new NAT binding, or a network of which only the client's own ICE knows.
#[test]
fn a_client_that_moves_without_a_restart_is_followed() {
    let mut room = talk();
    let old = room.clients[0].address;
    for to in [old.port() + 2, old.port(), old.port() + 4] {
        let start = room.now.mono;
        room.clients[0].address.set_port(to);
        room.run(10 * SECOND);
        // Its new address is known from its next check on; until then nobody can know it.
        let unknown = silence(&room, 1, start);
        let silence = silence(&room, 0, start);
        assert!(
            silence < unknown + Duration::from_millis(500),
            "port {to}: {silence:?}, of them {unknown:?} unknown"
        );
        assert!(unknown < Duration::from_millis(3_500), "{unknown:?}");
    }
    assert_whole(&room);
}

#[test]
fn a_client_that_keeps_its_path_notices_nothing() {
    let mut room = talk();
    for _ in 0..3 {
        let start = room.now.mono;
        let (ice, _) = offer(&mut room);
        let theirs = room.clients[0].restart_ice(&ice, None);
        room.run(Duration::from_millis(50));
        reconnect(&mut room, theirs);
        room.run(30 * SECOND);
        for receiver in 0..2 {
            let silence = silence(&room, receiver, start);
            assert!(
                silence < Duration::from_millis(60),
                "{receiver}: {silence:?}"
            );
        }
        assert_whole(&room);
    }
}

#[test]
fn a_client_may_come_back_to_an_address_that_was_given_up() {
    let mut room = talk();
    let home = room.clients[0].address;
    for place in [address(50_000), home, address(50_001), home] {
        let start = room.now.mono;
        let (ice, _) = offer(&mut room);
        let theirs = room.clients[0].restart_ice(&ice, Some(place));
        reconnect(&mut room, theirs);
        room.run(10 * SECOND);
        let silence = silence(&room, 0, start);
        assert!(
            silence < Duration::from_millis(400),
            "at {place}: {silence:?}"
        );
        assert_whole(&room);
    }
}

#[test]
fn until_the_client_answers_all_stays_as_it_was() {
    let mut room = talk();
    let start = room.now.mono;
    let (first, _) = offer(&mut room);
    let (second, _) = offer(&mut room);
    assert_eq!(first, second, "asked twice, it is the same offer");
    room.run(60 * SECOND);
    for receiver in 0..2 {
        assert!(silence(&room, receiver, start) < Duration::from_millis(60));
    }
    assert_whole(&room);
    let theirs = room.clients[0].restart_ice(&first, Some(address(50_000)));
    reconnect(&mut room, theirs.clone());
    room.run(SECOND);
    let (third, _) = offer(&mut room);
    assert_ne!(first, third, "another restart, other credentials");
    // Answers to what was not asked change nothing.
    let other = room.clients[1].allocation;
    for allocation in [other, tertulia_model::AllocationId(999)] {
        room.command(BridgeCommand::ReconnectIce {
            allocation,
            ice: theirs.clone(),
            candidates: Vec::new(),
        });
    }
    room.run(20 * SECOND);
    assert_whole(&room);
}

#[test]
fn the_old_credentials_open_nothing_after_a_restart() {
    let mut room = talk();
    let (ice, _) = offer(&mut room);
    let theirs = room.clients[0].restart_ice(&ice, None);
    reconnect(&mut room, theirs);
    room.run(2 * SECOND);
    let before = room.statistics().dropped.unknown_check;
    let old = room.clients[0].transport.ice.ufrag.clone();
    let check = crate::abuse::check(&format!("{old}:abcd"));
    room.inject(address(50_007), &check);
    assert_eq!(room.statistics().dropped.unknown_check, before + 1);
    // From the client's own address it may be one that was on its way.
    let own = room.clients[0].address;
    room.inject(own, &check);
    room.run(10 * SECOND);
    assert_whole(&room);
    assert_eq!(room.statistics().addresses, 2);
}

#[test]
fn what_is_gone_cannot_be_restarted() {
    let mut room = talk();
    room.clients[0].is_gone = true;
    room.run(65 * SECOND);
    let gone = room.clients[0].allocation;
    room.events.clear();
    for allocation in [gone, tertulia_model::AllocationId(999)] {
        room.command(BridgeCommand::RestartIce { allocation });
        assert!(matches!(
            room.events.last(),
            Some((_, BridgeEvent::Disconnected { allocation: of, .. })) if *of == allocation
        ));
    }
}
