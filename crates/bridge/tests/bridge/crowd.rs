//! Many at once: late joiners, more sources than slots, key frames asked for once for all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use tertulia_model::BridgeCommand;
use tertulia_model::bridge::EndpointOffer;

use crate::media::check_video;
use crate::room::{OFFER, Room};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

/// So many cameras, of which only the lowest encoding is sent.
fn cameras(room: &mut Room, count: usize) {
    let names: Vec<String> = (1..=count).map(|n| format!("c{n}")).collect();
    room.party(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for index in 0..count {
        room.clients[index].film();
        room.clients[index].video.as_mut().unwrap().is_sent = [true, false, false];
    }
}

/// At least 200 ms between any two.
fn are_apart(requests: &[Instant]) -> bool {
    let least = Duration::from_millis(195);
    requests.windows(2).all(|pair| pair[1] - pair[0] >= least)
}

#[test]
fn a_late_joiner_sees_ten_tiles_soon() {
    let mut room = Room::new(config());
    cameras(&mut room, 10);
    room.ask(0, 180);
    room.run(3 * SECOND);
    for client in &mut room.clients {
        client.keyframes_asked.clear();
    }
    let late = room.join("late");
    let began = room.now.mono;
    room.publish(late);
    room.run_until(SECOND, |room| room.clients[late].is_connected);
    room.ask(late, 180);
    room.run(2 * SECOND);
    for sender in 0..10 {
        let packets = room.clients[late].stream(room.clients[sender].video_ssrc());
        let first = packets.first().expect("a picture");
        assert!(first.at - began < 2 * SECOND, "{:?}", first.at - began);
        check_video(&packets, 0);
        let asked = &room.clients[sender].keyframes_asked;
        assert!(!asked.is_empty() && asked.len() <= 3, "{}", asked.len());
        assert!(are_apart(asked));
    }
}

#[test]
fn fifty_who_come_at_once_ask_like_one() {
    let mut room = Room::new(config());
    cameras(&mut room, 4);
    room.run(SECOND);
    for client in &mut room.clients {
        client.keyframes_asked.clear();
    }
    let began = room.now.mono;
    for n in 0..50 {
        let index = room.join(&format!("r{n}"));
        for sender in 1..=4 {
            room.clients[index].expect(sender);
        }
    }
    room.run_until(2 * SECOND, |room| {
        room.clients.iter().all(|client| client.is_connected)
    });
    for index in 4..54 {
        room.ask(index, 180);
    }
    room.run(2 * SECOND);
    for index in 4..54 {
        for sender in 0..4 {
            let packets = room.clients[index].stream(room.clients[sender].video_ssrc());
            let first = packets.first().expect("a picture");
            assert!(first.at - began < 2 * SECOND);
            check_video(&packets, 0);
        }
    }
    for sender in 0..4 {
        let asked = &room.clients[sender].keyframes_asked;
        assert!(asked.len() <= 8, "{} for fifty", asked.len());
        assert!(are_apart(asked));
    }
}

fn entries(message: &Value) -> BTreeMap<u64, String> {
    let entries = message["mappedSources"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let name = entry["source"].as_str().unwrap();
            (entry["ssrc"].as_u64().unwrap(), name.to_owned())
        })
        .collect()
}

/// Sixty cameras, fifty slots: the least recently wanted give theirs up, only what has changed is
/// told, and a new channel is told everything.
#[test]
fn sixty_sources_share_fifty_slots() {
    let mut room = Room::new(config());
    cameras(&mut room, 60);
    for index in 0..60 {
        // Enough to be seen: ten frames per second would need another clock.
        room.clients[index].video.as_mut().unwrap().part_bytes = 60;
    }
    let offer = EndpointOffer {
        has_ssrc_rewriting: true,
        ..OFFER
    };
    let receiver = room.join_with("r", offer, |_| {});
    room.run_until(2 * SECOND, |room| room.clients[receiver].is_connected);
    let select = |room: &mut Room, range: std::ops::RangeInclusive<usize>| {
        let names: Vec<String> = range
            .map(|n| format!("\"c{n}-v0\":{{\"maxHeight\":180}}"))
            .collect();
        room.say(
            receiver,
            &format!(
                r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":-1,
                "defaultConstraints":{{"maxHeight":0}},"constraints":{{{}}}}}"#,
                names.join(",")
            ),
        );
        room.run(SECOND);
    };
    let maps = |room: &mut Room| -> Vec<BTreeMap<u64, String>> {
        let texts = std::mem::take(&mut room.clients[receiver].texts);
        let maps = texts.iter();
        maps.filter(|text| text["colibriClass"] == "VideoSourcesMap")
            .map(entries)
            .collect()
    };
    select(&mut room, 1..=30);
    let mut known: BTreeMap<u64, String> = maps(&mut room).into_iter().flatten().collect();
    assert_eq!(known.len(), 50, "what may be wanted next has slots too");
    // The first thirty are wanted, and twenty more: ten of these are new.
    select(&mut room, 11..=60);
    let changed: BTreeMap<u64, String> = maps(&mut room).into_iter().flatten().collect();
    let is_new = |(ssrc, name): (&u64, &String)| known.get(ssrc) != Some(name);
    assert!(changed.iter().all(is_new), "only what has changed");
    assert!(
        changed.keys().all(|ssrc| known.contains_key(ssrc)),
        "no further stream"
    );
    let before: BTreeSet<String> = known.values().cloned().collect();
    let changes = changed.len();
    known.extend(changed);
    let after: BTreeSet<String> = known.values().cloned().collect();
    let wanted: BTreeSet<String> = (11..=60).map(|n| format!("c{n}-v0")).collect();
    assert_eq!(after, wanted);
    assert_eq!(changes, wanted.difference(&before).count());
    room.run(2 * SECOND);
    let client = &room.clients[receiver];
    for (ssrc, name) in &known {
        let last = client.stream(*ssrc as u32).last().cloned().expect(name);
        assert_eq!(format!("c{}-v0", last.sender()), *name);
        assert!(room.now.mono - last.at < Duration::from_millis(200));
    }
    assert!(maps(&mut room).is_empty(), "no news");
    room.open_websocket(receiver);
    let again: BTreeMap<u64, String> = maps(&mut room).into_iter().flatten().collect();
    assert_eq!(again, known);
}

/// The same name comes back as somebody else's camera: its slot goes on without a seam.
#[test]
fn who_comes_back_under_the_same_name_has_no_old_media() {
    let mut room = Room::new(config());
    room.party(&["a1", "b2"]);
    let offer = EndpointOffer {
        has_ssrc_rewriting: true,
        ..OFFER
    };
    let receiver = room.join_with("r", offer, |_| {});
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(80);
    }
    room.run(SECOND);
    room.ask(receiver, 180);
    room.run(3 * SECOND);
    let slot = room.clients[receiver].ssrc_of("a1-v0").unwrap();
    room.clients[0].is_gone = true;
    let again = room.join("a1");
    room.publish(again);
    room.clients[again].film();
    room.clients[again].speak(80);
    let number = room.clients[again].number;
    room.run(3 * SECOND);
    let client = &room.clients[receiver];
    assert_eq!(client.ssrc_of("a1-v0"), Some(slot));
    let packets = client.stream(slot);
    let change = packets
        .iter()
        .position(|packet| packet.sender() == number)
        .unwrap();
    assert!(packets[change].is_keyframe_start());
    assert!(
        packets[change..]
            .iter()
            .all(|packet| packet.sender() == number)
    );
    for pair in packets.windows(2) {
        assert!(pair[1].number > pair[0].number);
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 1 << 31);
    }
    assert!(packets.len() - change > 60);
}

/// Media that comes before its source is signalled reaches nobody, and everybody from then on;
/// what is on its way when the source is removed reaches nobody any more.
#[test]
fn media_comes_before_and_after_its_source() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.ask(1, 180);
    let (allocation, sources) = (room.clients[0].allocation, room.clients[0].sources());
    let set = |room: &mut Room, sources: Vec<tertulia_model::Source>| {
        room.command(BridgeCommand::SetSources {
            allocation,
            sources,
        });
    };
    set(&mut room, Vec::new());
    room.clients[0].film();
    room.clients[0].speak(80);
    room.run(SECOND);
    assert!(room.clients[1].received.is_empty());
    set(&mut room, sources.clone());
    room.run(SECOND);
    let (audio, video) = (room.clients[0].audio_ssrc(), room.clients[0].video_ssrc());
    assert!(room.clients[1].stream(audio).len() > 45);
    assert!(room.clients[1].stream(video).len() > 20);
    // Datagrams are on their way, and so are those from the bridge.
    set(&mut room, Vec::new());
    room.run(2 * room.delay);
    let before = room.clients[1].received.len();
    room.run(SECOND);
    assert_eq!(room.clients[1].received.len(), before);
    set(&mut room, sources);
    room.run(SECOND);
    check_video(&room.clients[1].stream(video), 0);
    // Its owner goes in the moment in which everything is divided anew.
    room.ask(1, 720);
    room.command(BridgeCommand::Expire { allocation });
    room.ask(1, 360);
    room.run(SECOND);
    let last = room.clients[1].last("ForwardedSources").unwrap();
    assert_eq!(last["forwardedSources"].as_array().map(Vec::len), Some(0));
    assert_eq!(room.statistics().endpoint_failures, 0);
}
