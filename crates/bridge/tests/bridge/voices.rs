//! Whose voice is heard: the loudest, subscriptions, the dominant speaker as clients are told.

use std::time::Duration;

use serde_json::Value;
use tertulia_model::{BridgeCommand, BridgeEvent};

use crate::room::{Room, may};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

fn heard(room: &mut Room, receiver: usize, senders: &[usize]) -> Vec<usize> {
    room.clients[receiver].received.clear();
    room.run(SECOND);
    let count = |sender: &usize| {
        let ssrc = room.clients[*sender].audio_ssrc();
        room.clients[receiver].stream(ssrc).len()
    };
    senders.iter().map(count).collect()
}

#[test]
fn only_the_loudest_three_are_heard() {
    let mut config = config();
    config.audio.loudest = Some(3);
    config.audio.is_dominant_heard = false;
    let mut room = Room::new(config);
    room.party(&["r", "a", "b", "c", "d"]);
    let senders = [1, 2, 3, 4];
    for sender in senders {
        room.clients[sender].speak(5);
    }
    room.run(SECOND);
    for (sender, level) in [(1, 100), (2, 95), (3, 90), (4, 80)] {
        room.clients[sender].speak(level);
    }
    room.run(SECOND);
    let packets = heard(&mut room, 0, &senders);
    assert!(
        packets[..3].iter().all(|packets| *packets >= 48),
        "{packets:?}"
    );
    assert_eq!(packets[3], 0);
    assert!(room.statistics().dropped.not_loud >= 90);
    // What was left out is no gap to those who hear the rest.
    let first = room.clients[1].audio.take();
    let packets = heard(&mut room, 0, &senders);
    assert!(
        (40..48).contains(&packets[3]),
        "{packets:?}: 150 ms after the last of another"
    );
    let fourth = room.clients[0].stream(room.clients[4].audio_ssrc());
    assert!(
        fourth
            .windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1)
    );
    // Who is asked for by name is heard in any case.
    room.clients[1].audio = first;
    room.run(SECOND);
    assert_eq!(heard(&mut room, 0, &senders)[3], 0);
    room.say(
        0,
        r#"{"colibriClass":"ReceiverAudioSubscription","include":["d-a0"]}"#,
    );
    let packets = heard(&mut room, 0, &senders);
    assert!(packets.iter().all(|packets| *packets >= 48), "{packets:?}");
}

#[test]
fn the_dominant_speaker_is_heard_among_louder_ones() {
    let mut config = config();
    config.audio.loudest = Some(1);
    let mut room = Room::new(config);
    room.party(&["r", "a", "b"]);
    room.clients[1].speak(5);
    room.clients[2].speak(5);
    room.run(SECOND);
    room.clients[1].speak(100);
    room.run(3 * SECOND);
    // Louder, but not for long enough to take over: both are heard.
    room.clients[2].speak(110);
    room.clients[0].received.clear();
    room.run(Duration::from_millis(200));
    for sender in [1, 2] {
        let ssrc = room.clients[sender].audio_ssrc();
        assert!(room.clients[0].stream(ssrc).len() >= 7);
    }
}

#[test]
fn subscriptions_in_every_form() {
    let mut room = Room::new(config());
    room.party(&["r", "a", "b", "c"]);
    for sender in [1, 2, 3] {
        room.clients[sender].speak(90);
    }
    room.run(SECOND);
    for (message, expected) in [
        (r#""all":true"#, [1, 1, 1]),
        (r#""all":true,"exclude":["b-a0"]"#, [1, 0, 1]),
        (r#""exclude":["a-a0"],"include":["a-a0"]"#, [1, 1, 1]),
        (r#""all":false"#, [0, 0, 0]),
        (r#""all":false,"include":["c-a0","nobody-a0"]"#, [0, 0, 1]),
        (r#""mode":"None""#, [0, 0, 0]),
        (r#""mode":"Include","list":["a-a0"]"#, [1, 0, 0]),
        (r#""mode":"Exclude","list":["a-a0"]"#, [0, 1, 1]),
        (r#""mode":"All""#, [1, 1, 1]),
    ] {
        room.say(
            0,
            &format!(r#"{{"colibriClass":"ReceiverAudioSubscription",{message}}}"#),
        );
        room.run(Duration::from_millis(100));
        let packets = heard(&mut room, 0, &[1, 2, 3]);
        let is_heard = [0, 1, 2].map(|sender| i32::from(packets[sender] > 40));
        assert_eq!(is_heard, expected, "{message}: {packets:?}");
        assert!(packets.iter().all(|count| *count == 0 || *count > 40));
    }
    // It holds for who comes later.
    room.say(
        0,
        r#"{"colibriClass":"ReceiverAudioSubscription","all":false,"include":["d-a0"]}"#,
    );
    for name in ["d", "e"] {
        let index = room.join(name);
        room.publish(index);
        room.clients[index].speak(90);
    }
    room.run(SECOND);
    let packets = heard(&mut room, 0, &[1, 4, 5]);
    assert!(
        packets[0] == 0 && packets[1] > 40 && packets[2] == 0,
        "{packets:?}"
    );
}

/// The one before speaks again when the dominant speaker leaves or is muted for good.
#[test]
fn when_the_dominant_speaker_leaves_the_one_before_is_announced() {
    let mut room = Room::new(config());
    room.party(&["r", "a", "b", "c"]);
    room.open_websocket(0);
    for sender in [1, 2, 3] {
        room.clients[sender].speak(5);
    }
    room.run(SECOND);
    for sender in [1, 2, 3] {
        room.clients[sender].speak(110);
        room.run(3 * SECOND);
        room.clients[sender].speak(5);
    }
    let told = |room: &Room| -> (Value, Value) {
        let message = room.clients[0].last("DominantSpeakerEndpointChangeEvent");
        let message = message.unwrap();
        let dominant = message["dominantSpeakerEndpoint"].clone();
        (dominant, message["previousSpeakers"].clone())
    };
    let list = |names: &[&str]| Value::from(names.to_vec());
    assert_eq!(told(&room), ("c".into(), list(&["b", "a"])));
    let allocation = room.clients[3].allocation;
    room.command(BridgeCommand::Expire { allocation });
    assert_eq!(told(&room), ("b".into(), list(&["a"])));
    let allocation = room.clients[2].allocation;
    room.command(BridgeCommand::SetMayForward {
        allocation,
        may: may(false, true),
    });
    assert_eq!(told(&room), ("a".into(), list(&[])));
    let last = room.events.iter().rev().find_map(|(_, event)| match event {
        BridgeEvent::DominantSpeaker { endpoint } => Some(endpoint.clone()),
        _ => None,
    });
    assert_eq!(last, Some(Some("a".parse().unwrap())));
}

/// A level that goes up and down at random for everybody: who speaks does not change more often
/// than decisions are made, and not at all by noise.
#[test]
fn speakers_change_at_most_every_decision() {
    let mut room = Room::new(config());
    room.party(&["r", "a", "b", "c"]);
    room.open_websocket(0);
    let mut random = tertulia_model::Random::from_seed([5; 32]);
    let changes = |room: &Room| {
        let texts = room.clients[0].texts.iter();
        texts
            .filter(|text| text["colibriClass"] == "DominantSpeakerEndpointChangeEvent")
            .count()
    };
    for _ in 0..200 {
        for sender in [1, 2, 3] {
            room.clients[sender].speak(random.u32() as u8 % 128);
        }
        let before = changes(&room);
        room.run(Duration::from_millis(100));
        assert!(changes(&room) - before <= 1);
    }
    assert!(changes(&room) <= 67, "{} in 20 s", changes(&room));
    room.clients[1].speak(110);
    for sender in [2, 3] {
        room.clients[sender].speak(20);
    }
    room.run(5 * SECOND);
    let before = changes(&room);
    for _ in 0..200 {
        for sender in [2, 3] {
            room.clients[sender].speak(20 + random.u32() as u8 % 9);
        }
        room.run(Duration::from_millis(60));
    }
    assert_eq!(changes(&room), before, "noise is no speech");
}
