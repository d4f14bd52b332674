//! Bad networks: loss, disorder and duplicates on either way, damaged key frames, leaps of numbers.

use std::time::{Duration, Instant};

use tertulia_model::BridgeCommand;
use tertulia_model::bridge::EndpointOffer;

use crate::media::{check_video, encodings};
use crate::room::client::{Hole, Received};
use crate::room::{OFFER, Room};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);
const FRAME: Duration = Duration::from_millis(33);

/// `a` films, `b` sees the lowest encoding, 50 ms away from the bridge each; and when it began.
fn pair(is_estimated: bool) -> (Room, Instant) {
    let mut config = config();
    config.bandwidth.is_estimated = is_estimated;
    let mut room = Room::new(config);
    room.party(&["a", "b"]);
    room.delay = Duration::from_millis(50);
    room.ask(1, 180);
    room.run(SECOND);
    room.clients[0].film();
    room.run_until(SECOND, |room| room.clients[0].frames() > 0);
    let began = room.now.mono;
    room.run(2 * SECOND);
    (room, began)
}

/// How long after its making each packet arrived.
fn lateness(packets: &[Received], began: Instant) -> Vec<Duration> {
    let made = |packet: &Received| began + FRAME * packet.stamp().1 as u32;
    let late = packets.iter().map(|packet| packet.at - made(packet));
    late.collect()
}

/// Share of packets that are missing in the numbers of a stream, in percent.
fn missing_percent(packets: &[Received]) -> f64 {
    let (first, last) = (packets[0].number, packets.last().unwrap().number);
    let all = (last - first + 1) as f64;
    (all - packets.len() as f64) * 100.0 / all
}

/// What is lost on the way to the bridge, one by one or in bursts, is asked for and put into the
/// gap that was left for it, within twice the time of a round trip.
#[test]
fn loss_on_the_way_up_is_made_good() {
    for (loss, burst, missing_max) in [
        (1, 1, 0.2),
        (5, 1, 0.5),
        (10, 1, 1.0),
        (20, 1, 3.0),
        (5, 3, 0.7),
        (10, 5, 2.0),
    ] {
        let (mut room, began) = pair(true);
        room.clients[1].received.clear();
        room.clients[0].loss_up = loss;
        room.clients[0].way_up.burst = burst;
        room.run(20 * SECOND);
        room.clients[0].loss_up = 0;
        room.run(2 * SECOND);
        let packets = room.clients[1].stream(room.clients[0].video_ssrc());
        let missing = missing_percent(&packets);
        assert!(
            missing <= missing_max,
            "{missing} % missing of {loss} % lost in runs of {burst}"
        );
        let mut late = lateness(&packets, began);
        late.sort();
        // One way through the bridge takes 100 ms, one round trip to it too. Of the packets lost
        // once, most are lost only once.
        let usual = late[late.len() / 2];
        assert!(usual < Duration::from_millis(110), "{usual:?}");
        let recovered = late.iter().filter(|late| **late > usual + 2 * FRAME);
        let recovered: Vec<_> = recovered.collect();
        let expected = packets.len() * loss as usize / 300;
        assert!(recovered.len() > expected, "{} recovered", recovered.len());
        let middle = *recovered[recovered.len() / 2];
        assert!(
            middle < usual + Duration::from_millis(200),
            "{middle:?} at {loss} %"
        );
    }
}

/// The same on the way from the bridge: what is asked for is sent once, under the SSRC, the payload
/// type and the number that it must have (the client's SRTP and RTX would not take it otherwise).
#[test]
fn loss_on_the_way_down_is_made_good() {
    for (loss, burst, missing_max) in [
        (1, 1, 0.2),
        (5, 1, 0.5),
        (10, 1, 1.5),
        (20, 1, 4.0),
        (5, 3, 1.0),
    ] {
        let (mut room, _) = pair(true);
        room.clients[1].received.clear();
        room.sealed.clear();
        room.clients[1].loss_down = loss;
        room.clients[1].way_down.burst = burst;
        room.run(20 * SECOND);
        room.clients[1].loss_down = 0;
        room.run(2 * SECOND);
        let ssrc = room.clients[0].video_ssrc();
        let packets = room.clients[1].stream(ssrc);
        let missing = missing_percent(&packets);
        assert!(missing <= missing_max, "{missing} % of {loss} %");
        let of = |ssrc: u32| {
            let headers = room.sealed.iter();
            headers.filter(move |header| header[8..12] == ssrc.to_be_bytes())
        };
        let (sent, resent) = (of(ssrc).count(), of(ssrc + 10).count());
        assert!(of(ssrc).all(|header| header[1] & 0x7f == 100));
        assert!(of(ssrc + 10).all(|header| header[1] & 0x7f == 96));
        let lost = sent * loss as usize / 100;
        assert!(resent > lost / 3, "{resent} of {lost} sent again");
    }
}

/// A packet that waits for its receiver to be asked for longer than it is kept is not sent again.
#[test]
fn what_is_too_old_is_not_sent_again() {
    let mut config = config();
    config.timers.retransmission = Duration::from_millis(40);
    let mut room = Room::new(config);
    room.party(&["a", "b"]);
    room.delay = Duration::from_millis(50);
    room.clients[0].film();
    room.ask(1, 180);
    room.run(3 * SECOND);
    room.clients[1].received.clear();
    room.clients[1].loss_down = 10;
    room.run(10 * SECOND);
    let ssrc = room.clients[0].video_ssrc();
    let packets = room.clients[1].stream(ssrc);
    assert!((4.0..20.0).contains(&missing_percent(&packets)));
}

#[test]
fn disorder_and_duplicates_leave_no_trace() {
    let (mut room, _) = pair(false);
    room.clients[0].speak(80);
    room.run(SECOND);
    room.clients[0].video.as_mut().unwrap().parts = [40, 2, 4];
    room.clients[0].video.as_mut().unwrap().part_bytes = 60;
    for client in &mut room.clients {
        client.received.clear();
        for way in [&mut client.way_up, &mut client.way_down] {
            // 1 200 packets per second: some are overtaken by a hundred on both ways together.
            way.jitter = Duration::from_millis(40);
            way.twice = 20;
        }
    }
    // The numbers of the lowest encoding pass 65 535 meanwhile.
    room.run(6 * SECOND);
    for client in &mut room.clients {
        client.way_up.jitter = Duration::ZERO;
        client.way_down.jitter = Duration::ZERO;
    }
    room.run(SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    assert!(packets.len() > 6_000, "{}", packets.len());
    for pair in packets.windows(2) {
        let [a, b] = pair else { unreachable!() };
        assert!(b.number > a.number, "nothing comes twice");
        let ahead = b.timestamp.wrapping_sub(a.timestamp);
        assert!(ahead < 1 << 31, "time goes back");
        let ((_, frame_a, part_a, _), (_, frame_b, part_b, _)) = (a.stamp(), b.stamp());
        assert!((frame_a, part_a) < (frame_b, part_b), "each in its place");
    }
    assert!(
        missing_percent(&packets) < 0.5,
        "{}",
        missing_percent(&packets)
    );
    let voice = room.clients[1].stream(room.clients[0].audio_ssrc());
    assert!(voice.len() > 340, "{}", voice.len());
    assert!(voice.windows(2).all(|pair| pair[1].number > pair[0].number));
}

/// Who comes after 70 000 packets counts its roll-overs from zero.
#[test]
fn a_late_joiner_decodes_after_many_roll_overs() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    let video = room.clients[0].video.as_mut().unwrap();
    (video.parts, video.part_bytes) = ([80, 1, 1], 40);
    room.ask(1, 180);
    room.run(32 * SECOND);
    let ssrc = room.clients[0].video_ssrc();
    let early = room.clients[1].stream(ssrc);
    assert!(early.len() > 70_000, "{}", early.len());
    let late = room.join("c");
    room.publish(late);
    room.run(SECOND);
    room.ask(late, 180);
    room.run(2 * SECOND);
    let packets = room.clients[late].stream(ssrc);
    assert!(packets.len() > 3_000, "{}", packets.len());
    check_video(&packets, 0);
}

/// A key frame that cannot be completed is never shown as one: the receiver goes on with what it
/// has or waits, and the next key frame is asked for.
#[test]
fn a_damaged_key_frame_is_asked_for_again() {
    for hole in [Hole::First, Hole::Last, Hole::All] {
        let mut room = Room::new(config());
        room.party(&["a", "b"]);
        room.clients[0].film();
        room.ask(1, 180);
        room.run(3 * SECOND);
        let ssrc = room.clients[0].video_ssrc();
        let before = room.clients[0].keyframe_requests;
        room.clients[0].video.as_mut().unwrap().hole = Some((2, hole));
        room.ask(1, 720);
        let asked = room.now.mono;
        // A decoder that gets a frame without its end asks for the next key frame.
        room.run(Duration::from_millis(400));
        if hole == Hole::Last {
            room.clients[1].request_keyframe(ssrc);
        }
        room.run(2 * SECOND);
        let requests = room.clients[0].keyframe_requests - before;
        assert!((2..8).contains(&requests), "{hole:?}: {requests} requests");
        let packets = room.clients[1].stream(ssrc);
        check_video(&packets, 2);
        let whole = packets.iter().find(|packet| {
            let (encoding, ..) = packet.stamp();
            encoding == 2 && packet.is_keyframe_start() && {
                let (_, frame, _, parts) = packet.stamp();
                let of_frame = packets.iter().filter(|other| {
                    let (encoding, other, ..) = other.stamp();
                    encoding == 2 && other == frame
                });
                of_frame.count() == usize::from(parts)
            }
        });
        let whole = whole.expect("a whole key frame of the higher encoding");
        let after = whole.at - asked;
        assert!(after < Duration::from_millis(1_500), "{hole:?}: {after:?}");
        assert_eq!(encodings(&packets).last(), Some(&2));
    }
}

#[test]
fn a_leap_of_numbers_does_not_stop_the_picture() {
    let (mut room, _) = pair(true);
    room.clients[0].video.as_mut().unwrap().numbers[0] += 1_000;
    room.run(2 * SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    let last = packets.last().unwrap();
    assert!(room.now.mono - last.at < Duration::from_millis(200));
    for pair in packets.windows(2) {
        assert!(pair[1].number > pair[0].number);
    }
}

#[test]
fn a_camera_that_rests_goes_on() {
    let (mut room, _) = pair(true);
    room.clients[0].video.as_mut().unwrap().is_sent = [false; 3];
    room.run(10 * SECOND);
    let before = room.clients[1].received.len();
    room.clients[0].video.as_mut().unwrap().is_sent = [true; 3];
    room.run(3 * SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    assert!(room.clients[1].received.len() > before + 60);
    check_video(&packets, 0);
}

/// A client that starts its camera anew under other SSRCs: who gets it in a slot sees one stream.
#[test]
fn a_source_may_come_back_under_another_ssrc() {
    let mut room = Room::new(config());
    room.party(&["a1"]);
    let offer = EndpointOffer {
        has_ssrc_rewriting: true,
        ..OFFER
    };
    let receiver = room.join_with("r", offer, |_| {});
    room.run(SECOND);
    room.clients[0].film();
    room.ask(receiver, 180);
    room.run(3 * SECOND);
    let slot = room.clients[receiver].ssrc_of("a1-v0").unwrap();
    room.clients[0].ssrc_shift = 100;
    room.clients[0].declare();
    room.clients[0].film();
    let (allocation, sources) = (room.clients[0].allocation, room.clients[0].sources());
    room.command(BridgeCommand::SetSources {
        allocation,
        sources,
    });
    room.run(3 * SECOND);
    assert_eq!(room.clients[receiver].ssrc_of("a1-v0"), Some(slot));
    let packets = room.clients[receiver].stream(slot);
    assert!(packets.len() > 150, "{}", packets.len());
    for pair in packets.windows(2) {
        let [a, b] = pair else { unreachable!() };
        assert_eq!(b.number, a.number + 1);
        assert!(b.timestamp.wrapping_sub(a.timestamp) < 1 << 31);
        let is_new = b.stamp().1 < a.stamp().1;
        assert!(!is_new || b.is_keyframe_start());
    }
}
