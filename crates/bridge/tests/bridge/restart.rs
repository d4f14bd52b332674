//! ICE restarts in place: new credentials and perhaps a new path, under media that goes on.

use std::net::SocketAddr;
use std::time::Duration;

use tertulia_model::bridge::{Candidate, IceCredentials};
use tertulia_model::{BridgeCommand, BridgeEvent};
use tertulia_transport::datagram::DatagramKind;

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

/// A new NAT binding, or a network of which only the client's own ICE knows. Who only listens is
/// known by its reports.
#[test]
fn a_client_that_moves_without_a_restart_is_followed() {
    let mut room = talk();
    room.clients[0].audio = None;
    room.clients[0].video = None;
    let old = room.clients[0].address;
    for to in [old.port() + 2, old.port(), old.port() + 4] {
        let start = room.now.mono;
        room.clients[0].address.set_port(to);
        room.run(10 * SECOND);
        let silence = silence(&room, 0, start);
        assert!(
            silence < Duration::from_millis(450),
            "port {to}: {silence:?}"
        );
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

/// RTP packets of voice that a client sends in the next half second; they get nowhere.
fn catch(room: &mut Room, index: usize) -> Vec<Vec<u8>> {
    room.clients[index].caught = Some(Vec::new());
    room.run(Duration::from_millis(500));
    let ssrc = room.clients[index].audio_ssrc().to_be_bytes();
    let mut caught = room.clients[index].caught.take().expect("packets");
    let is_rtp = |data: &[u8]| DatagramKind::of(data) == Some(DatagramKind::Rtp);
    caught.retain(|data| is_rtp(data) && data[8..12] == ssrc);
    assert!(caught.len() >= 20, "{}", caught.len());
    caught
}

/// A client that its NAT has moved has not sent a check from there, and may not for seconds.
#[test]
fn a_client_whose_nat_moves_it_loses_less_than_a_second() {
    let mut room = talk();
    let old = room.clients[0].address;
    // There and back, often: also to where it was given up before.
    for to in [2, 4, 0, 2, 0, 6, 0, 2].map(|up| old.port() + up) {
        let start = room.now.mono;
        room.clients[0].address.set_port(to);
        room.run(4 * SECOND);
        for receiver in 0..2 {
            let silence = silence(&room, receiver, start);
            assert!(
                silence < Duration::from_millis(450),
                "port {to}, {receiver}: {silence:?}"
            );
        }
    }
    assert_whole(&room);
}

/// Who has a new way begins with a whole picture there, not when its decoder complains.
#[test]
fn a_new_path_begins_with_a_key_frame() {
    let mut room = talk();
    let asked = room.clients[1].keyframes_asked.len();
    room.run(2 * SECOND);
    assert_eq!(room.clients[1].keyframes_asked.len(), asked);
    let start = room.now.mono;
    room.clients[0].address = address(50_000);
    room.run(SECOND);
    let requests = room.clients[1].keyframes_asked[asked..].iter();
    let first = requests.min().expect("asked");
    assert!(*first - start < Duration::from_millis(450));
    assert!(room.clients[1].keyframes_asked.len() <= asked + 4);
    let ssrc = room.clients[1].video_ssrc();
    let packets = room.clients[0].stream(ssrc);
    let mut fresh = packets.iter().filter(|packet| packet.at >= start);
    assert!(fresh.any(|packet| packet.is_keyframe_start()));
}

#[test]
fn only_what_the_client_has_sealed_anew_moves_it() {
    let mut room = talk();
    let before = room.statistics();
    let caught = catch(&mut room, 0);
    let start = room.now.mono;
    let home = room.clients[0].address;
    // Forged: changed on its way, or sealed by nobody.
    for (n, data) in (0u16..).zip(&caught) {
        let mut forged = data.clone();
        *forged.last_mut().expect("a tag") ^= 1;
        room.inject(address(50_000 + n), &forged);
        room.inject(address(51_000 + n), &data[..30]);
    }
    let dropped = room.statistics().dropped;
    let refused = dropped.unknown_source - before.dropped.unknown_source;
    assert_eq!(refused, 2 * caught.len() as u64);
    assert_eq!(room.statistics().addresses, 2);
    // What has arrived is a replay, from wherever it comes again.
    for data in &caught {
        room.inject(home, data);
    }
    for (n, data) in (0u16..).zip(&caught) {
        room.inject(address(52_000 + n), data);
    }
    let dropped = room.statistics().dropped;
    let refused = dropped.unknown_source - before.dropped.unknown_source;
    assert_eq!(refused, 3 * caught.len() as u64);
    assert_eq!(room.statistics().addresses, 2);
    room.run(3 * SECOND);
    assert!(silence(&room, 0, start) < Duration::from_millis(60));
    assert_whole(&room);
}

/// Who forwards what it has caught faster than the network does cannot answer our check.
#[test]
fn nothing_is_sent_to_who_forwards_packets_that_it_caught() {
    let mut room = talk();
    let start = room.now.mono;
    let thief = address(50_000);
    room.clients[0].caught = Some(Vec::new());
    // The client itself is silent, as far as the bridge can hear.
    for _ in 0..40 {
        room.run(Duration::from_millis(20));
        for data in std::mem::take(room.clients[0].caught.as_mut().expect("packets")) {
            if data[0] >= 128 {
                room.inject(thief, &data);
            }
        }
    }
    room.clients[0].caught = None;
    assert_eq!(room.statistics().addresses, 3, "it was listened to");
    let stolen: Vec<_> = room.strayed.iter().filter(|(to, _)| *to == thief).collect();
    assert!(!stolen.is_empty(), "it was asked");
    assert!(
        stolen.iter().all(|(_, first)| *first < 2),
        "by checks alone"
    );
    room.run(5 * SECOND);
    for receiver in 0..2 {
        let silence = silence(&room, receiver, start);
        assert!(
            silence < Duration::from_millis(60),
            "{receiver}: {silence:?}"
        );
    }
    assert_whole(&room);
}

#[test]
fn a_flood_of_forged_media_costs_little() {
    let mut config = config();
    config.limits.unknown_checks_burst = 50;
    config.limits.addresses_per_endpoint = 3;
    let mut room = Room::new(config);
    room.party(&["a", "b"]);
    room.clients[0].speak(90);
    room.run(SECOND);
    let caught = catch(&mut room, 0);
    let before = room.statistics();
    for n in 0..300u16 {
        let mut forged = caught[0].clone();
        forged.extend([1, 2, 3]);
        room.inject(address(20_000 + n), &forged);
    }
    let dropped = room.statistics().dropped;
    let looked_at = dropped.unknown_source - before.dropped.unknown_source;
    assert_eq!(looked_at, 50);
    assert_eq!(dropped.check_limit - before.dropped.check_limit, 250);
    room.run(SECOND);
    // Nor can the client itself have more addresses than an endpoint may.
    for (n, data) in (0u16..).zip(&caught) {
        room.inject(address(30_000 + n), data);
    }
    let after = room.statistics();
    assert_eq!(after.addresses, 4, "three, and the other's");
    assert!(after.dropped.address_limit > 0);
    // Without its sources nobody knows it.
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::SetSources {
        allocation,
        sources: Vec::new(),
    });
    room.run(SECOND);
    let before = room.statistics().dropped;
    room.inject(address(40_000), &caught[0]);
    let dropped = room.statistics().dropped;
    assert_eq!(dropped.unknown_source, before.unknown_source + 1);
    assert_eq!(dropped.check_limit, before.check_limit);
}
