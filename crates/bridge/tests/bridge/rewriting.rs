//! SSRC rewriting: whose media is in which stream, and that each stream has no seams.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tertulia_model::bridge::EndpointOffer;
use tertulia_model::{BridgeCommand, Random};

use crate::room::client::{Client, Received};
use crate::room::{OFFER, Room};
use crate::testing::config;
use tertulia_bridge::Config;

const SECOND: Duration = Duration::from_secs(1);
const REWRITING: EndpointOffer = EndpointOffer {
    has_ssrc_rewriting: true,
    ..OFFER
};

/// Plain senders `a`, `b` … and at last one receiver with rewriting, `r`; gives back its index.
fn room(config: Config, senders: &[&str]) -> (Room, usize) {
    let mut room = Room::new(config);
    room.party(senders);
    let receiver = room.join_with("r", REWRITING, |_| {});
    room.run_until(5 * SECOND, |room| room.clients[receiver].is_connected);
    (room, receiver)
}

fn slots(mut config: Config, audio: usize, video: usize) -> Config {
    config.limits.audio_slots = audio;
    config.limits.video_slots = video;
    config
}

/// Claims of every stream of a receiver with rewriting: it was told whose it is before anything
/// came, and that is true of each packet; numbers are unique and begin below 65 536, gaps are as
/// many as allowed; time does not go back; each new owner's video begins with a key frame.
fn check(client: &Client, gaps_max: u64) {
    let ssrcs: BTreeSet<u32> = client.received.iter().map(|packet| packet.ssrc).collect();
    let mut gaps = 0;
    for ssrc in ssrcs {
        let packets = client.stream(ssrc);
        assert!(packets[0].number < 65_536);
        assert!(!packets[0].is_video || packets[0].is_keyframe_start());
        for packet in &packets {
            let owners = &packet.mapped;
            assert!(!owners.is_empty(), "told before it comes");
            let is_video = |name: &String| name.contains("-v");
            assert!(owners.iter().all(|name| is_video(name) == packet.is_video));
            let sender = packet.sender();
            let is_owner = owners.iter().any(|name| number_of(name) == sender);
            assert!(is_owner, "{sender} in the stream of {owners:?}");
        }
        for pair in packets.windows(2) {
            let [a, b] = pair else { unreachable!() };
            assert!(b.number > a.number, "numbers are unique");
            gaps += b.number - a.number - 1;
            let ahead = b.timestamp.wrapping_sub(a.timestamp);
            assert!(ahead < 1 << 31, "time goes back");
            let is_other = a.sender() != b.sender();
            if is_other {
                assert!(ahead > 0);
                assert!(!b.is_video || b.is_keyframe_start(), "begins in between");
            }
            if b.is_video && b.is_keyframe_start() {
                let ((encoding_a, _, part, parts), (encoding_b, ..)) = (a.stamp(), b.stamp());
                if part + 1 != parts && (is_other || encoding_a != encoding_b) {
                    assert!(
                        b.number > a.number + 1,
                        "half a frame looks like a whole one"
                    );
                    gaps -= 1;
                }
            }
        }
    }
    assert!(gaps <= gaps_max, "{gaps} gaps");
}

/// Clients are called by a letter and the number under which they joined.
fn number_of(source: &str) -> u32 {
    let digits: String = source.chars().filter(char::is_ascii_digit).collect();
    digits[..digits.len() - 1].parse().unwrap()
}

fn entries(message: &Value) -> Vec<String> {
    let entries = message["mappedSources"].as_array().unwrap();
    let name = |entry: &Value| entry["source"].as_str().unwrap().to_owned();
    entries.iter().map(name).collect()
}

/// The maps of one kind that were received, as lists of sources.
fn maps(client: &Client, class: &str) -> Vec<Vec<String>> {
    let texts = client.texts.iter();
    texts
        .filter(|text| text["colibriClass"] == class)
        .map(entries)
        .collect()
}

fn from(client: &Client, sender: u32, is_video: bool) -> Vec<Received> {
    let packets = client.received.iter();
    packets
        .filter(|packet| packet.is_video == is_video && packet.sender() == sender)
        .cloned()
        .collect()
}

#[test]
fn in_a_mixed_room_each_sees_what_it_understands() {
    let (mut room, r) = room(config(), &["a1", "b2"]);
    room.publish(r);
    for index in 0..3 {
        room.clients[index].film();
        room.clients[index].speak(80);
    }
    room.all_ask(180);
    room.run(3 * SECOND);
    check(&room.clients[r], 0);
    for sender in [0, 1] {
        let number = room.clients[sender].number;
        assert!(from(&room.clients[r], number, false).len() > 140);
        assert!(from(&room.clients[r], number, true).len() > 80);
        let own = [
            room.clients[sender].audio_ssrc(),
            room.clients[sender].video_ssrc(),
        ];
        assert!(
            own.iter()
                .all(|own| !room.clients[r].mapped.contains_key(own))
        );
        // The other one knows neither maps nor slots.
        let plain = &room.clients[1 - sender];
        assert!(plain.mapped.is_empty());
        assert!(plain.stream(own[0]).len() > 140 && plain.stream(own[1]).len() > 80);
    }
    let (audio, video) = (room.clients[r].audio_ssrc(), room.clients[r].video_ssrc());
    assert!(room.clients[0].stream(audio).len() > 140);
    assert!(room.clients[0].stream(video).len() > 80);
    let video = &room.clients[r].last("VideoSourcesMap").unwrap()["mappedSources"][0];
    assert_eq!(video["videoType"], "camera");
    assert_ne!(video["rtx"], video["ssrc"]);
}

#[test]
fn a_data_channel_tells_before_media_comes() {
    let (mut room, r) = room(config(), &["a1", "b2"]);
    room.run(SECOND);
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(80);
    }
    assert!(room.clients[r].websocket.is_none());
    room.ask(r, 720);
    room.run(4 * SECOND);
    check(&room.clients[r], 0);
    for number in [1, 2] {
        assert!(from(&room.clients[r], number, false).len() > 180);
        assert!(from(&room.clients[r], number, true).len() > 100);
    }
}

#[test]
fn without_a_channel_there_is_no_media() {
    let mut room = Room::new(config());
    room.party(&["a1"]);
    room.open_websocket(0);
    let bare = EndpointOffer {
        has_data_channel: false,
        ..REWRITING
    };
    let r = room.join_with("r", bare, |_| {});
    room.publish(r);
    room.clients[0].film();
    room.clients[0].speak(80);
    room.clients[r].speak(80);
    room.run(6 * SECOND);
    let audio = room.clients[r].audio_ssrc();
    assert!(room.clients[0].stream(audio).len() > 200, "it is heard");
    assert!(room.clients[r].received.is_empty());
    let told = room.clients[0].last("SenderSourceConstraints");
    assert_eq!(told.unwrap()["maxHeight"], 0, "nobody can be sent it");
    // It need not be too late.
    room.ask(r, 180);
    room.run(3 * SECOND);
    check(&room.clients[r], 0);
    assert!(from(&room.clients[r], 1, true).len() > 60);
}

#[test]
fn a_new_channel_is_told_everything() {
    let (mut room, r) = room(config(), &["a1", "b2"]);
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(80);
    }
    room.ask(r, 180);
    room.run(2 * SECOND);
    let before = room.clients[r].mapped.clone();
    assert_eq!(before.len(), 4);
    room.clients[r].texts.clear();
    room.run(SECOND);
    assert!(
        maps(&room.clients[r], "VideoSourcesMap").is_empty(),
        "no news"
    );
    room.open_websocket(r);
    let video = maps(&room.clients[r], "VideoSourcesMap");
    let audio = maps(&room.clients[r], "AudioSourcesMap");
    assert_eq!(
        (video, audio),
        (
            vec![vec!["a1-v0".to_owned(), "b2-v0".to_owned()]],
            vec![vec!["a1-a0".to_owned(), "b2-a0".to_owned()]]
        )
    );
    assert_eq!(room.clients[r].mapped, before, "streams stay what they are");
    room.run(SECOND);
    check(&room.clients[r], 0);
}

#[test]
fn audio_slots_pass_to_the_next_voice() {
    let (mut room, r) = room(slots(config(), 2, 2), &["a1", "b2", "c3", "d4"]);
    room.ask(r, 0);
    room.run(SECOND);
    for speaker in [0, 1, 2, 3, 0, 2] {
        room.clients[speaker].speak(90);
        room.run(SECOND);
        room.clients[speaker].speak(0);
        room.run(SECOND);
    }
    let client = &room.clients[r];
    check(client, 0);
    let voices = client.mapped.values().filter(|name| name.contains("-a"));
    assert_eq!(voices.count(), 2, "two streams for four voices");
    let one = |name: &str| vec![name.to_owned()];
    assert_eq!(
        maps(client, "AudioSourcesMap"),
        [
            one("a1-a0"),
            one("b2-a0"),
            one("c3-a0"),
            one("d4-a0"),
            one("a1-a0"),
            one("c3-a0"),
        ],
        "the least recently used one goes, and only that is told"
    );
    for number in 1..=4 {
        assert!(from(client, number, false).len() >= 48, "{number}");
    }
}

#[test]
fn of_more_voices_than_slots_each_is_heard_in_turn() {
    let (mut room, r) = room(slots(config(), 1, 1), &["a1", "b2", "c3"]);
    room.open_websocket(r);
    for speaker in 0..3 {
        room.clients[speaker].speak(70);
    }
    room.run(12 * SECOND);
    let client = &room.clients[r];
    check(client, 0);
    let changes = maps(client, "AudioSourcesMap").len();
    assert!((9..30).contains(&changes), "{changes} changes in 12 s");
    let packets = client.received.len();
    assert!(packets > 560, "{packets} packets of one voice at a time");
    let heard = (1..=3).filter(|number| !from(client, *number, false).is_empty());
    assert!(heard.count() >= 2);
}

#[test]
fn video_slots_follow_what_is_wanted() {
    let (mut room, r) = room(slots(config(), 9, 2), &["a1", "b2", "c3"]);
    for index in 0..3 {
        room.clients[index].film();
    }
    let stage = |room: &mut Room, name: &str| {
        room.say(
            r,
            &format!(
                r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":-1,
                "onStageSources":["{name}-v0"],"defaultConstraints":{{"maxHeight":180}}}}"#
            ),
        );
    };
    for name in ["a1", "c3", "b2", "c3", "a1", "b2", "c3"] {
        stage(&mut room, name);
        room.run(2 * SECOND);
        let client = &room.clients[r];
        let slot = client.ssrc_of(&format!("{name}-v0")).expect("has a slot");
        let last = client.stream(slot).last().cloned().unwrap();
        assert_eq!(last.sender(), number_of(&format!("{name}-v0")));
        let forwarded = client.last("ForwardedSources").unwrap();
        let forwarded = forwarded["forwardedSources"].as_array().unwrap();
        assert_eq!(forwarded.len(), 2, "no more than slots");
        let all_mapped = forwarded.iter().all(|name| {
            let name = name.as_str().unwrap();
            client.ssrc_of(name).is_some()
        });
        assert!(all_mapped, "what is forwarded has a slot");
    }
    assert_eq!(room.clients[r].mapped.len(), 2);
    check(&room.clients[r], 4);
}

#[test]
fn what_is_not_wanted_yet_has_a_slot_if_one_is_left() {
    let (mut room, r) = room(slots(config(), 9, 3), &["a1", "b2", "c3", "d4"]);
    for index in 0..4 {
        room.clients[index].film();
    }
    room.say(
        r,
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":1,"defaultConstraints":{"maxHeight":180}}"#,
    );
    room.run(SECOND);
    let client = &room.clients[r];
    assert_eq!(client.mapped.len(), 3);
    let senders: BTreeSet<u32> = client.received.iter().map(Received::sender).collect();
    assert_eq!(senders.len(), 1, "one is sent");
}

#[test]
fn slots_of_those_who_left_are_used_again() {
    let (mut room, r) = room(config(), &["a1", "b2"]);
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(80);
    }
    room.ask(r, 180);
    room.run(3 * SECOND);
    let before: BTreeSet<u32> = room.clients[r].mapped.keys().copied().collect();
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::Expire { allocation });
    room.clients[0].is_gone = true;
    room.clients[r].texts.clear();
    room.run(SECOND);
    assert!(
        maps(&room.clients[r], "VideoSourcesMap").is_empty(),
        "nothing is said of who left"
    );
    let next = room.join("c4");
    room.publish(next);
    room.clients[next].film();
    room.clients[next].speak(80);
    room.run(3 * SECOND);
    let client = &room.clients[r];
    check(client, 1);
    let after: BTreeSet<u32> = client.mapped.keys().copied().collect();
    assert_eq!(after, before, "no further stream");
    assert!(from(client, 4, true).len() > 40 && from(client, 4, false).len() > 80);
}

#[test]
fn a_source_that_returns_finds_its_stream() {
    let (mut room, r) = room(config(), &["a1", "b2"]);
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(80);
    }
    room.ask(r, 180);
    room.run(3 * SECOND);
    let before = room.clients[r].mapped.clone();
    let allocation = room.clients[0].allocation;
    let sources = room.clients[0].sources();
    for _ in 0..2 {
        room.command(BridgeCommand::SetSources {
            allocation,
            sources: Vec::new(),
        });
        room.run(SECOND);
        room.command(BridgeCommand::SetSources {
            allocation,
            sources: sources.clone(),
        });
        room.run(2 * SECOND);
    }
    let client = &room.clients[r];
    assert_eq!(client.mapped, before);
    check(client, 2);
    let last = client.stream(client.ssrc_of("a1-v0").unwrap());
    assert!(room.now.mono - last.last().unwrap().at < SECOND);
}

#[test]
fn lost_packets_and_key_frames_are_asked_for_by_slot() {
    let (mut room, r) = room(config(), &["a1", "b2"]);
    for index in 0..2 {
        room.clients[index].film();
    }
    room.ask(r, 180);
    room.run(6 * SECOND);
    let slot = room.clients[r].ssrc_of("b2-v0").unwrap();
    let asked = |room: &Room| [0, 1].map(|index| room.clients[index].keyframe_requests);
    let before = asked(&room);
    room.clients[r].request_keyframe(slot);
    room.run(SECOND);
    let after = asked(&room);
    assert_eq!((after[0] - before[0], after[1] - before[1]), (0, 1));
    room.clients[r].loss_down = 5;
    room.run(8 * SECOND);
    room.clients[r].loss_down = 0;
    room.run(2 * SECOND);
    check(&room.clients[r], 6);
    assert!(from(&room.clients[r], 1, true).len() > 300);
}

#[test]
fn slots_are_clear_of_all_known_ssrcs() {
    let (mut room, r) = room(config(), &["a1", "b2"]);
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(80);
    }
    room.ask(r, 180);
    room.run(SECOND);
    let mut all: Vec<u32> = Vec::new();
    for client in &room.clients {
        let feedback = client.transport.feedback;
        all.extend([feedback.audio.0, feedback.video.0]);
        for encoding in client.sources().iter().flat_map(|source| &source.encodings) {
            all.push(encoding.primary.0);
            all.extend(encoding.rtx.map(|rtx| rtx.0));
        }
    }
    let client = &room.clients[r];
    assert_eq!(client.mapped.len(), 4);
    all.extend(client.mapped.keys());
    let map = client.last("VideoSourcesMap").unwrap()["mappedSources"].clone();
    for entry in map.as_array().unwrap() {
        all.push(entry["rtx"].as_u64().unwrap() as u32);
    }
    assert!(!all.contains(&0));
    let unique: BTreeSet<u32> = all.iter().copied().collect();
    assert_eq!(unique.len(), all.len());
}

/// People come, go, speak, stop, film and look elsewhere, in a room with too few slots for all.
#[test]
fn a_busy_room_has_no_seams() {
    for seed in 0..4 {
        let mut random = Random::from_seed([seed; 32]);
        let (mut room, r) = room(slots(config(), 3, 2), &["a1", "b2", "c3", "d4"]);
        room.clients[r].offer.has_rtx = true;
        room.ask(r, 360);
        let mut present: Vec<usize> = (0..4).collect();
        for step in 0..24 {
            let who = present[random.u32() as usize % present.len()];
            match random.u32() % 8 {
                0 | 1 => room.clients[who].speak(60 + random.u32() as u8 % 60),
                2 => room.clients[who].speak(0),
                3 => room.clients[who].film(),
                4 => {
                    room.open_websocket(r);
                }
                5 => room.ask(r, [0, 180, 360, 720][random.u32() as usize % 4]),
                6 if present.len() > 2 => {
                    present.retain(|index| *index != who);
                    let allocation = room.clients[who].allocation;
                    room.command(BridgeCommand::Expire { allocation });
                    room.clients[who].is_gone = true;
                }
                _ => {
                    let number = room.clients.len() + 1;
                    let index = room.join(&format!("n{number}"));
                    room.publish(index);
                    room.clients[index].film();
                    present.push(index);
                }
            }
            room.run(Duration::from_millis(u64::from(random.u32() % 900) + 10));
            assert!(
                room.clients[r].mapped.len() <= 5,
                "seed {seed}, step {step}"
            );
        }
        check(&room.clients[r], 20);
        assert!(room.clients[r].received.len() > 200, "seed {seed}");
        assert_eq!(room.statistics().endpoint_failures, 0);
    }
}
