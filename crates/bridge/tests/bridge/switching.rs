//! From one encoding to another: how long it takes, how often a key frame is asked for.

use std::time::{Duration, Instant};

use tertulia_model::{BridgeCommand, Random};

use crate::media::{check_video, encodings};
use crate::room::client::Received;
use crate::room::{Room, may};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

/// The longest time between two frames.
fn freeze(packets: &[Received]) -> Duration {
    let gaps = packets
        .windows(2)
        .map(|pair| pair[1].at.saturating_duration_since(pair[0].at));
    gaps.max().unwrap_or_default()
}

#[test]
fn switches_at_random_are_quick_and_have_no_seam() {
    for seed in 0..3 {
        let mut config = config();
        config.bandwidth.initial_bps = 20_000_000;
        let mut random = Random::from_seed([seed; 32]);
        let mut room = Room::new(config);
        room.party(&["a", "b"]);
        room.clients[0].film();
        room.ask(1, 180);
        room.run(3 * SECOND);
        room.clients[1].received.clear();
        room.clients[0].keyframes_asked.clear();
        for _ in 0..30 {
            room.ask(1, [180, 360, 720][random.u32() as usize % 3]);
            room.run(Duration::from_millis(u64::from(random.u32() % 1_500)));
        }
        let packets = room.clients[1].stream(room.clients[0].video_ssrc());
        check_from_anywhere(&packets);
        let longest = freeze(&packets);
        assert!(
            longest < Duration::from_millis(320),
            "seed {seed}: {longest:?}"
        );
        let asked = &room.clients[0].keyframes_asked;
        let are_apart = asked
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= Duration::from_millis(195));
        assert!(are_apart, "seed {seed}");
        assert!(asked.len() <= 45, "{} for 30 switches", asked.len());
    }
}

/// As `check_video`, of a stream that had begun before.
fn check_from_anywhere(packets: &[Received]) {
    let first = packets
        .iter()
        .position(Received::is_keyframe_start)
        .unwrap();
    check_video(&packets[first..], 0);
}

/// Twenty switches on request: from the message to the first packet of the new height.
#[test]
fn a_larger_picture_is_there_within_a_second() {
    let mut config = config();
    config.bandwidth.initial_bps = 20_000_000;
    let mut room = Room::new(config);
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 180);
    room.run(3 * SECOND);
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..10 {
        for (height, encoding) in [(720, 2), (180, 0)] {
            let asked: Instant = room.now.mono;
            let requests = room.clients[0].keyframe_requests;
            room.ask(1, height);
            room.run(2 * SECOND);
            let packets = room.clients[1].stream(room.clients[0].video_ssrc());
            let first = packets
                .iter()
                .find(|packet| packet.at > asked && packet.stamp().0 == encoding);
            times.push(first.expect("the new height").at - asked);
            let requests = room.clients[0].keyframe_requests - requests;
            assert!(requests <= 2, "{requests} requests for one switch");
        }
    }
    times.sort();
    assert!(times[9] < Duration::from_millis(300), "{:?}", times[9]);
    assert!(times[19] < SECOND, "{:?}", times[19]);
}

/// What the sender stops is given up within the moment that it takes to notice.
#[test]
fn an_encoding_that_stops_is_left_at_once() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 720);
    room.run(8 * SECOND);
    let ssrc = room.clients[0].video_ssrc();
    assert_eq!(encodings(&room.clients[1].stream(ssrc)).last(), Some(&2));
    room.clients[0].video.as_mut().unwrap().is_sent = [true, true, false];
    let stopped = room.now.mono;
    room.run(5 * SECOND);
    let packets = room.clients[1].stream(ssrc);
    assert_eq!(encodings(&packets).last(), Some(&1));
    check_video(&packets, 0);
    let next = packets
        .iter()
        .find(|packet| packet.at > stopped + Duration::from_millis(50));
    let after = next.expect("the picture goes on").at - stopped;
    assert!(after < Duration::from_millis(1_600), "{after:?}");
}

/// Unmuted, a picture begins with a key frame; meanwhile the sender's feedback went on.
#[test]
fn a_picture_that_was_forbidden_comes_back_with_a_key_frame() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 180);
    room.run(2 * SECOND);
    let allocation = room.clients[0].allocation;
    let allow = |room: &mut Room, is_allowed: bool| {
        room.command(BridgeCommand::SetMayForward {
            allocation,
            may: may(is_allowed, is_allowed),
        });
    };
    allow(&mut room, false);
    room.run(3 * SECOND);
    room.clients[1].received.clear();
    let before = room.clients[0].reports;
    room.run(SECOND);
    assert!(room.clients[1].received.is_empty());
    let reports = room.clients[0].reports - before;
    assert!(
        reports >= 5,
        "{reports} datagrams from the bridge in a second"
    );
    allow(&mut room, true);
    room.run(SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    check_video(&packets, 0);
    assert!(packets.len() > 20);
}
