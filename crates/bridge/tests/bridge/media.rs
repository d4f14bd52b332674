//! Packets: who gets them, under which numbers, in which quality.

use std::time::Duration;

use tertulia_model::bridge::EndpointOffer;
use tertulia_model::{BridgeCommand, BridgeEvent, VideoType};

use crate::room::client::Received;
use crate::room::{OFFER, Room, may};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

/// Claims of every received stream: numbers are unique and below 65 536 at first, gaps only as
/// many as allowed and after a frame that a switch has cut off, time never goes back, the first
/// packet and every switch is a key frame.
pub(crate) fn check_video(packets: &[Received], gaps_max: u64) {
    let first = packets.first().expect("something arrived");
    assert!(first.number < 65_536);
    assert!(first.is_keyframe_start(), "starts with a key frame");
    let mut gaps = 0;
    for pair in packets.windows(2) {
        let [a, b] = pair else { unreachable!() };
        assert!(b.number > a.number, "numbers are unique");
        gaps += b.number - a.number - 1;
        let ahead = b.timestamp.wrapping_sub(a.timestamp);
        assert!(ahead < 1 << 31, "time goes back");
        let ((encoding_a, frame_a, part_a, parts_a), (encoding_b, frame_b, part_b, _)) =
            (a.stamp(), b.stamp());
        if encoding_a != encoding_b {
            assert!(b.is_keyframe_start(), "a switch without a key frame");
            if part_a + 1 != parts_a {
                assert!(
                    b.number > a.number + 1,
                    "half a frame looks like a whole one"
                );
                gaps -= 1;
            }
        } else if frame_a == frame_b {
            assert_eq!(ahead, 0);
            assert!(part_b > part_a);
        }
        if frame_a != frame_b || encoding_a != encoding_b {
            assert!(ahead > 0, "a new frame has a new time");
        }
    }
    assert!(gaps <= gaps_max, "{gaps} gaps");
}

pub(crate) fn encodings(packets: &[Received]) -> Vec<u8> {
    let mut encodings: Vec<u8> = packets.iter().map(|packet| packet.stamp().0).collect();
    encodings.dedup();
    encodings
}

#[test]
fn audio_reaches_everybody_else_with_its_numbers_and_levels() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.clients[0].speak(90);
    room.clients[1].speak(60);
    room.run(2 * SECOND);
    let ssrc = room.clients[0].audio_ssrc();
    for receiver in [1, 2] {
        let packets = room.clients[receiver].stream(ssrc);
        assert!(packets.len() >= 98, "{}", packets.len());
        for pair in packets.windows(2) {
            assert_eq!(pair[1].number, pair[0].number + 1);
            assert_eq!(pair[1].timestamp - pair[0].timestamp, 960);
        }
        assert!(packets.iter().all(|packet| packet.level == Some(90 - 127)));
    }
    assert!(
        room.clients[0].stream(ssrc).is_empty(),
        "nobody hears itself"
    );
}

/// A client that knows redundancy gets it; for the others what is lost on the way up is taken out
/// of the packets behind it.
#[test]
fn redundancy_goes_to_those_who_know_it_and_helps_the_others() {
    let mut room = Room::new(config());
    let red = EndpointOffer {
        has_red: true,
        ..OFFER
    };
    for (name, offer) in [("a", red), ("b", OFFER), ("c", red)] {
        let index = room.join_with(name, offer, |_| {});
        room.publish(index);
    }
    let knows = 2;
    room.run(SECOND);
    room.clients[0].speak(90);
    room.run(SECOND);
    room.clients[0].audio.as_mut().unwrap().redundancy = Some(Vec::new());
    room.run(SECOND);
    for client in &mut room.clients {
        client.received.clear();
    }
    room.clients[0].loss_up = 10;
    room.run(10 * SECOND);
    room.clients[0].loss_up = 0;
    room.run(SECOND);
    let stamp = |packet: &Received, at: usize| {
        u64::from_be_bytes(packet.payload[at..at + 8].try_into().unwrap())
    };
    for (receiver, payload_type, length, at, may_miss) in
        [(1, 111, 80, 0, 0..20), (knows, 112, 165, 85, 30..90)]
    {
        let packets = room.clients[receiver].stream(room.clients[0].audio_ssrc());
        let (first, last) = (packets[0].number, packets.last().unwrap().number);
        let missing = last - first + 1 - packets.len() as u64;
        assert!(may_miss.contains(&missing), "{missing} missing");
        for packet in &packets {
            assert_eq!(packet.payload_type, payload_type);
            assert_eq!(packet.payload.len(), length);
        }
        for pair in packets.windows(2) {
            let [a, b] = pair else { unreachable!() };
            assert!(b.number > a.number, "nothing comes twice");
            let step = b.number - a.number;
            assert_eq!(u64::from(b.timestamp - a.timestamp), 960 * step);
            assert_eq!(stamp(b, at) - stamp(a, at), step, "each in its place");
        }
    }
    // End-to-end encrypted, it is nothing to others, and still theirs who know it.
    for client in &mut room.clients {
        client.received.clear();
    }
    room.clients[0].audio.as_mut().unwrap().is_encrypted = true;
    room.run(2 * SECOND);
    let ssrc = room.clients[0].audio_ssrc();
    assert!(room.clients[knows].stream(ssrc).len() > 95);
    assert!(room.clients[1].stream(ssrc).len() < 5);
}

#[test]
fn silence_is_not_forwarded_and_not_missed() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(90);
    room.run(SECOND);
    room.clients[0].speak(0);
    room.run(2 * SECOND);
    room.clients[0].speak(90);
    room.run(SECOND);
    let packets = room.clients[1].stream(room.clients[0].audio_ssrc());
    assert!((95..=106).contains(&packets.len()), "{}", packets.len());
    assert!(
        packets
            .windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1)
    );
    let silent = packets
        .iter()
        .filter(|packet| packet.level == Some(-127))
        .count();
    assert_eq!(silent, 3);
    assert!(room.statistics().dropped.silence > 90);
}

#[test]
fn video_goes_out_on_the_primary_ssrc_and_starts_with_a_key_frame() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.clients[0].film();
    room.run(SECOND);
    let ssrc = room.clients[0].video_ssrc();
    assert!(
        room.clients[1].stream(ssrc).is_empty(),
        "nothing before it is asked for"
    );
    room.all_ask(180);
    room.run(3 * SECOND);
    for receiver in [1, 2] {
        let packets = room.clients[receiver].stream(ssrc);
        assert!(packets.len() > 80, "{}", packets.len());
        check_video(&packets, 0);
        assert_eq!(encodings(&packets), [0]);
        for other in [1, 2] {
            assert!(room.clients[receiver].stream(ssrc + other).is_empty());
        }
    }
}

#[test]
fn a_picture_for_many_is_given_out_in_parts() {
    let mut config = config();
    config.bandwidth.initial_bps = 50_000_000;
    let mut room = Room::new(config);
    let names: Vec<_> = (0..12).map(|number| format!("p{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    room.party(&names);
    room.clients[0].film();
    if let Some(video) = &mut room.clients[0].video {
        video.parts = [20; 3];
    }
    room.all_ask(180);
    room.run(3 * SECOND);
    let ssrc = room.clients[0].video_ssrc();
    for receiver in 1..names.len() {
        check_video(&room.clients[receiver].stream(ssrc), 0);
    }
    // A key frame is twice as much for all of them.
    let part = room.largest_part;
    assert!(((64 << 10)..(100 << 10)).contains(&part), "{part} bytes");
}

/// What is forwarded at once is not held back for others' sake: neither voices nor whole pictures.
#[test]
fn the_rest_of_a_picture_is_expected_until_it_is_there() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(80);
    room.clients[0].film();
    room.ask(1, 720);
    room.run(5 * SECOND);
    let _ = room.worker().take_unfinished();
    let expecting = |room: &mut Room| {
        let times = (0..300).filter(|_| {
            room.run(Duration::from_millis(1));
            room.worker().take_unfinished()
        });
        times.count()
    };
    assert_eq!(expecting(&mut room), 0);
    // Now its four packets come one after the other.
    room.clients[0].way_up.jitter = Duration::from_millis(10);
    let pictures = 9;
    let times = expecting(&mut room);
    assert!((pictures..5 * pictures).contains(&times), "{times}");
    room.ask(1, 0);
    room.run(SECOND);
    let _ = room.worker().take_unfinished();
    assert_eq!(expecting(&mut room), 0);
}

#[test]
fn constraints_switch_layers_up_and_down() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 180);
    room.run(3 * SECOND);
    let at_first = room.clients[0].keyframe_requests;
    room.ask(1, 720);
    let start = room.now.mono;
    room.run(5 * SECOND);
    room.ask(1, 360);
    room.run(3 * SECOND);
    room.ask(1, 0);
    room.run(2 * SECOND);
    let before = room.clients[1].received.len();
    room.run(SECOND);
    assert_eq!(room.clients[1].received.len(), before, "nothing more comes");
    room.ask(1, 720);
    room.run(3 * SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    check_video(&packets, 0);
    let seen = encodings(&packets);
    assert!(
        seen.starts_with(&[0, 1]) || seen.starts_with(&[0, 2]),
        "{seen:?}"
    );
    assert!(seen.contains(&2) && seen.ends_with(&[2]), "{seen:?}");
    let switch = packets
        .iter()
        .find(|packet| packet.stamp().0 == 2)
        .unwrap()
        .at;
    assert!(
        switch - start < Duration::from_millis(300),
        "{:?}",
        switch - start
    );
    let asked = room.clients[0].keyframe_requests - at_first;
    assert!((3..12).contains(&asked), "{asked} key frames asked");
}

#[test]
fn senders_are_told_what_receivers_ask_for() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.clients[0].film();
    room.open_websocket(0);
    let told = |room: &Room| {
        let message = room.clients[0].last("SenderSourceConstraints").cloned();
        message.map(|message| message["maxHeight"].as_i64().unwrap())
    };
    room.run(SECOND);
    assert!(
        matches!(told(&room), None | Some(-1)),
        "nobody has spoken yet"
    );
    room.ask(1, 180);
    room.ask(2, 360);
    room.run(SECOND);
    assert_eq!(told(&room), Some(360));
    room.ask(1, 720);
    room.run(SECOND);
    assert_eq!(told(&room), Some(720));
    room.ask(1, 0);
    room.ask(2, 0);
    room.run(SECOND);
    assert_eq!(told(&room), Some(0));
    room.clients[0].texts.clear();
    room.open_websocket(0);
    assert_eq!(told(&room), Some(0), "said again on a new channel");
}

#[test]
fn lost_packets_are_sent_again_on_both_ways() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 360);
    room.run(2 * SECOND);
    room.clients[0].loss_up = 5;
    room.clients[1].loss_down = 5;
    room.run(10 * SECOND);
    room.clients[0].loss_up = 0;
    room.clients[1].loss_down = 0;
    room.run(2 * SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    assert!(packets.len() > 500, "{}", packets.len());
    // About 10 % were lost at least once; nearly all must be there in the end.
    check_video(&packets, 12);
}

#[test]
fn a_decoder_in_need_gets_a_key_frame() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.clients[0].film();
    room.all_ask(180);
    room.run(2 * SECOND);
    let before = room.clients[0].keyframe_requests;
    let ssrc = room.clients[0].video_ssrc();
    room.clients[1].request_keyframe(ssrc);
    room.clients[2].request_keyframe(ssrc);
    let start = room.now.mono;
    room.run(SECOND);
    assert_eq!(
        room.clients[0].keyframe_requests - before,
        1,
        "two requests become one"
    );
    let packets = room.clients[1].stream(ssrc);
    let key = packets
        .iter()
        .find(|packet| packet.at > start && packet.is_keyframe_start());
    assert!(key.is_some_and(|key| key.at - start < Duration::from_millis(150)));
    check_video(&packets, 0);
}

#[test]
fn padding_leaves_no_gap() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.clients[0].video.as_mut().unwrap().padding_every = Some(3);
    room.ask(1, 180);
    room.run(3 * SECOND);
    check_video(&room.clients[1].stream(room.clients[0].video_ssrc()), 0);
    assert!(room.statistics().dropped.padding > 10);
}

#[test]
fn what_may_not_be_forwarded_is_not() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.clients[0].speak(90);
    room.ask(1, 180);
    room.run(2 * SECOND);
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::SetMayForward {
        allocation,
        may: may(false, false),
    });
    room.run(Duration::from_millis(200));
    let before = room.clients[1].received.len();
    room.run(2 * SECOND);
    assert_eq!(room.clients[1].received.len(), before);
    room.command(BridgeCommand::SetMayForward {
        allocation,
        may: may(true, true),
    });
    room.run(2 * SECOND);
    assert!(room.clients[1].received.len() > before + 100);
    check_video(&room.clients[1].stream(room.clients[0].video_ssrc()), 0);
    let audio = room.clients[1].stream(room.clients[0].audio_ssrc());
    assert!(
        audio
            .windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1)
    );
}

/// Visitors, bots and lurkers: no sources of their own, and some never say a word.
#[test]
fn who_only_receives_gets_all_that_others_get() {
    let mut room = Room::new(config());
    room.party(&["a"]);
    let lurker = room.join("l");
    let bare = EndpointOffer {
        has_rtx: false,
        has_transport_cc: false,
        has_data_channel: false,
        ..OFFER
    };
    let bot = room.join_with("bot", bare, |_| {});
    for index in [lurker, bot] {
        let number = room.clients[0].number;
        room.clients[index].expect(number);
    }
    room.clients[0].film();
    room.clients[0].speak(90);
    room.run(SECOND);
    room.ask(lurker, 720);
    room.run(6 * SECOND);
    let (audio, video) = (room.clients[0].audio_ssrc(), room.clients[0].video_ssrc());
    assert_eq!(
        encodings(&room.clients[lurker].stream(video)).last(),
        Some(&2)
    );
    assert_eq!(encodings(&room.clients[bot].stream(video)), [0]);
    for index in [lurker, bot] {
        check_video(&room.clients[index].stream(video), 0);
        assert!(room.clients[index].stream(audio).len() > 300);
    }
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Disconnected { .. })),
        0
    );
    room.run(60 * SECOND);
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Activity { .. })),
        0
    );
}

#[test]
fn last_n_follows_the_speaker() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c", "d"]);
    for index in 0..3 {
        room.clients[index].film();
        room.clients[index].speak(2);
    }
    room.say(
        3,
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":1,"defaultConstraints":{"maxHeight":180}}"#,
    );
    room.clients[0].speak(110);
    room.run(4 * SECOND);
    let forwarded = |room: &Room| {
        let message = room.clients[3].last("ForwardedSources").unwrap();
        message["forwardedSources"].to_string()
    };
    assert_eq!(forwarded(&room), r#"["a-v0"]"#);
    room.clients[0].speak(2);
    room.clients[2].speak(110);
    room.run(4 * SECOND);
    assert_eq!(forwarded(&room), r#"["c-v0"]"#);
    let speaker = room.clients[3]
        .last("DominantSpeakerEndpointChangeEvent")
        .unwrap();
    assert_eq!(speaker["dominantSpeakerEndpoint"], "c");
    assert_eq!(speaker["previousSpeakers"][0], "a");
    let told: Vec<_> = room
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            BridgeEvent::DominantSpeaker { endpoint } => Some(
                endpoint
                    .as_ref()
                    .map(|endpoint| endpoint.as_str().to_owned()),
            ),
            _ => None,
        })
        .collect();
    assert_eq!(told, [Some("a".to_owned()), Some("c".to_owned())]);
    for index in 0..3 {
        room.clients[index].speak(0);
    }
    room.run(4 * SECOND);
    assert!(matches!(
        room.events.last(),
        Some((_, BridgeEvent::DominantSpeaker { endpoint: None }))
    ));
}

#[test]
fn a_narrow_link_gets_less_and_recovers() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.clients[1].rate_down = Some(400_000);
    room.ask(1, 720);
    room.run(20 * SECOND);
    let ssrc = room.clients[0].video_ssrc();
    room.clients[1].received.clear();
    room.run(5 * SECOND);
    let narrow: usize = room.clients[1]
        .stream(ssrc)
        .iter()
        .map(|p| p.payload.len() * 8)
        .sum();
    assert!(
        narrow / 5 < 450_000,
        "{} bit/s over a narrow link",
        narrow / 5
    );
    assert!(
        narrow / 5 > 60_000,
        "{} bit/s: the picture stays",
        narrow / 5
    );
    room.clients[1].rate_down = None;
    room.run(25 * SECOND);
    room.clients[1].received.clear();
    room.run(3 * SECOND);
    let packets = room.clients[1].stream(ssrc);
    assert!(
        encodings(&packets).contains(&2),
        "{:?}",
        encodings(&packets)
    );
}

#[test]
fn a_client_without_channel_is_sent_something_after_a_while() {
    let mut room = Room::new(config());
    let offer = EndpointOffer {
        has_data_channel: false,
        ..OFFER
    };
    for name in ["a", "b"] {
        let index = room.join_with(name, offer, |_| {});
        room.publish(index);
    }
    room.run(SECOND);
    room.clients[0].film();
    let ssrc = room.clients[0].video_ssrc();
    room.run(Duration::from_millis(1_500));
    assert!(room.clients[1].stream(ssrc).is_empty());
    room.run(3 * SECOND);
    let packets = room.clients[1].stream(ssrc);
    assert!(packets.len() > 50);
    assert_eq!(encodings(&packets), [0]);
}

#[test]
fn a_client_without_retransmission_gets_its_stream_without() {
    let mut room = Room::new(config());
    let bare = EndpointOffer {
        has_rtx: false,
        has_transport_cc: false,
        ..OFFER
    };
    for (name, offer) in [("a", OFFER), ("b", bare)] {
        let index = room.join_with(name, offer, |_| {});
        room.publish(index);
    }
    room.run(SECOND);
    room.clients[0].film();
    room.ask(1, 180);
    room.run(3 * SECOND);
    check_video(&room.clients[1].stream(room.clients[0].video_ssrc()), 0);
}

/// The other client may well know retransmissions: it is the source that has no SSRC for them.
#[test]
fn a_source_without_retransmission_survives_loss() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    let (allocation, mut sources) = (room.clients[0].allocation, room.clients[0].sources());
    room.command(BridgeCommand::SetSources {
        allocation,
        sources: Vec::new(),
    });
    for encoding in &mut sources[1].encodings {
        encoding.rtx = None;
    }
    room.command(BridgeCommand::SetSources {
        allocation,
        sources,
    });
    room.clients[0].film();
    room.ask(1, 180);
    room.run(2 * SECOND);
    room.clients[1].loss_down = 10;
    room.run(5 * SECOND);
    room.clients[1].loss_down = 0;
    let before = room.clients[1].received.len();
    room.run(2 * SECOND);
    assert_eq!(room.statistics().endpoint_failures, 0);
    assert!(room.clients[1].received.len() > before + 40);
}

/// Neither main stream nor retransmissions start anew: a number that is used twice under one key
/// gives it away (RFC 3711, 9.1).
#[test]
fn no_number_is_encrypted_twice() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 180);
    let (allocation, sources) = (room.clients[0].allocation, room.clients[0].sources());
    room.clients[1].loss_down = 20;
    for _ in 0..4 {
        room.run(3 * SECOND);
        for sources in [sources[..1].to_vec(), sources.clone()] {
            room.command(BridgeCommand::SetSources {
                allocation,
                sources,
            });
            room.run(Duration::from_millis(100));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    let (mut last, mut resent) = (None, 0);
    for header in &room.sealed {
        let number = u16::from_be_bytes([header[2], header[3]]);
        assert!(seen.insert((header[8..12].to_vec(), number)), "{header:?}");
        if header[1] & 0x7f == 96 {
            // str0m begins anywhere: a second beginning would be found only by chance otherwise.
            let first = number.wrapping_sub(1);
            assert_eq!(last.replace(number).unwrap_or(first), first);
            resent += 1;
        }
    }
    assert!(resent > 60, "{resent} retransmissions");
}

#[test]
fn a_late_joiner_decodes_long_running_streams() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.clients[0].speak(80);
    room.ask(1, 720);
    room.run(20 * SECOND); // The highest encoding passes number 65 535 in this time.
    let late = room.join("c");
    room.publish(late);
    room.run(SECOND);
    room.ask(late, 720);
    room.run(3 * SECOND);
    let ssrc = room.clients[0].video_ssrc();
    let packets = room.clients[late].stream(ssrc);
    assert!(packets.len() > 100);
    check_video(&packets, 0);
    assert!(
        room.clients[late]
            .stream(room.clients[0].audio_ssrc())
            .len()
            > 150
    );
}

#[test]
fn a_source_that_is_removed_and_comes_back_goes_on() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 180);
    room.run(2 * SECOND);
    let allocation = room.clients[0].allocation;
    let sources = room.clients[0].sources();
    let audio_only = sources[..1].to_vec();
    room.command(BridgeCommand::SetSources {
        allocation,
        sources: audio_only,
    });
    room.run(Duration::from_millis(100));
    let before = room.clients[1].received.len();
    room.run(SECOND);
    assert_eq!(room.clients[1].received.len(), before);
    room.command(BridgeCommand::SetSources {
        allocation,
        sources,
    });
    room.run(2 * SECOND);
    assert!(room.clients[1].received.len() > before + 30);
    check_video(&room.clients[1].stream(room.clients[0].video_ssrc()), 0);
}

/// Of its pictures some never leave: what comes next has their numbers.
#[test]
fn a_source_that_is_removed_while_its_pictures_wait_leaves_no_hole() {
    let mut config = config();
    config.bandwidth.initial_bps = 2_000_000;
    config.bandwidth.most_bps = 2_000_000;
    let mut room = Room::new(config);
    room.party(&["a", "b"]);
    room.clients[0].film();
    if let Some(video) = &mut room.clients[0].video {
        video.parts = [12; 3];
    }
    room.ask(1, 180);
    room.run(2 * SECOND);
    let (allocation, sources) = (room.clients[0].allocation, room.clients[0].sources());
    // Some of these moments are in the middle of a key frame.
    for millis in (40..200).step_by(8) {
        for sources in [sources[..1].to_vec(), sources.clone()] {
            room.command(BridgeCommand::SetSources {
                allocation,
                sources,
            });
            room.run(Duration::from_millis(millis));
        }
    }
    room.run(SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    let is_cut = |pair: &[Received]| {
        let (_, before, part, parts) = pair[0].stamp();
        let (_, after, ..) = pair[1].stamp();
        before != after && part + 1 < parts
    };
    let cut = packets.windows(2).filter(|pair| is_cut(pair)).count();
    assert!(cut > 0, "nothing waited");
    // One number is left out behind half a frame, lest it look like a whole one.
    check_video(&packets, cut as u64);
}

#[test]
fn a_source_that_shows_nothing_takes_no_bandwidth() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.all_ask(180);
    room.run(2 * SECOND);
    room.say(
        0,
        r#"{"colibriClass":"SourceVideoTypeMessage","sourceName":"a-v0","videoType":"none"}"#,
    );
    room.run(SECOND);
    let forwarded = room.clients[1].last("ForwardedSources").unwrap();
    assert_eq!(forwarded["forwardedSources"].as_array().unwrap().len(), 0);
    let mut sources = room.clients[0].sources();
    sources[1].video_type = VideoType::Desktop;
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::SetSources {
        allocation,
        sources,
    });
    room.run(SECOND);
    let forwarded = room.clients[1].last("ForwardedSources").unwrap();
    assert_eq!(forwarded["forwardedSources"][0], "a-v0");
}
