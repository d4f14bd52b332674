//! The bridge channel, by data channel and by WebSocket.

use std::time::Duration;

use tertulia_bridge::ChannelRefused;
use tertulia_model::{ChannelId, ConferenceId};

use crate::room::Room;
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

fn classes(room: &Room, index: usize) -> Vec<String> {
    let texts = room.clients[index].texts.iter();
    texts
        .map(|text| text["colibriClass"].as_str().unwrap_or("?").to_owned())
        .collect()
}

#[test]
fn a_websocket_is_greeted_with_the_state_of_the_room() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.clients[1].speak(100);
    room.clients[2].is_gone = true;
    room.ask(1, 180);
    room.run(10 * SECOND);
    room.clients[0].texts.clear();
    room.open_websocket(0);
    assert_eq!(
        classes(&room, 0),
        [
            "ServerHello",
            "SenderSourceConstraints",
            "ForwardedSources",
            "EndpointConnectivityStatusChangeEvent",
            "DominantSpeakerEndpointChangeEvent",
        ]
    );
}

#[test]
fn a_data_channel_is_greeted_too_and_answers_hello() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(SECOND);
    assert!(room.clients[0].data_channel.is_some());
    assert_eq!(
        classes(&room, 0).first().map(String::as_str),
        Some("ForwardedSources")
    );
    room.say(0, r#"{"colibriClass":"ClientHello"}"#);
    room.run(SECOND);
    assert_eq!(
        classes(&room, 0).last().map(String::as_str),
        Some("ServerHello")
    );
}

#[test]
fn constraints_work_by_data_channel() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.run(SECOND);
    assert!(room.clients[1].data_channel.is_some() && room.clients[1].websocket.is_none());
    room.ask(1, 180);
    room.run(2 * SECOND);
    assert!(room.clients[1].stream(room.clients[0].video_ssrc()).len() > 40);
    assert_eq!(
        room.clients[1].last("ForwardedSources").unwrap()["forwardedSources"][0],
        "a-v0"
    );
}

#[test]
fn messages_are_relayed_under_the_senders_name() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    for index in 0..3 {
        room.open_websocket(index);
    }
    room.say(
        0,
        r#"{"colibriClass":"EndpointMessage","to":"","from":"c","msgPayload":{"n":1},"x":2}"#,
    );
    for index in [1, 2] {
        let message = room.clients[index].last("EndpointMessage").unwrap();
        assert_eq!((&message["from"], &message["x"]), (&"a".into(), &2.into()));
        assert_eq!(message["msgPayload"]["n"], 1);
    }
    assert!(room.clients[0].last("EndpointMessage").is_none());
    room.clients[2].texts.clear();
    room.say(
        0,
        r#"{"colibriClass":"EndpointMessage","to":"b","msgPayload":{"n":2}}"#,
    );
    room.say(
        0,
        r#"{"colibriClass":"EndpointMessage","to":"nobody","msgPayload":{}}"#,
    );
    assert_eq!(
        room.clients[1].last("EndpointMessage").unwrap()["msgPayload"]["n"],
        2
    );
    assert!(room.clients[2].texts.is_empty());
    room.say(
        1,
        r#"{"colibriClass":"EndpointStats","bitrate":{"upload":1},"from":"a"}"#,
    );
    assert_eq!(room.clients[2].last("EndpointStats").unwrap()["from"], "b");
}

#[test]
fn wrong_names_and_passwords_are_refused_alike() {
    let mut room = Room::new(config());
    let index = room.join("a");
    let password = room.clients[index].transport.channel_password.clone();
    let (now, conference) = (room.now, room.conference.clone());
    let other = ConferenceId::new("other");
    for (conference, endpoint, password) in [
        (&other, "a", password.as_str()),
        (&conference, "b", password.as_str()),
        (&conference, "a", ""),
        (&conference, "a", &password[1..]),
        (&conference, "a", "aaaaaaaaaaaaaaaaaaaaaaaa"),
    ] {
        let endpoint = endpoint.parse().unwrap();
        let opened = room
            .worker()
            .open_channel(now, conference, &endpoint, password, ChannelId(7));
        assert_eq!(opened, Err(ChannelRefused));
    }
    assert_eq!(room.statistics().channels, 0);
    // Before the answer, before ICE, and again: the same password holds.
    let first = room.open_websocket(index);
    let second = room.open_websocket(index);
    assert_ne!(first, second);
    assert_eq!(room.statistics().channels, 1);
    let now = room.now;
    room.worker().handle_channel_closed(now, second);
    assert_eq!(room.statistics().channels, 0);
}

#[test]
fn an_older_websocket_makes_room() {
    let mut room = Room::new(config());
    let index = room.join("a");
    let first = room.open_websocket(index);
    let second = ChannelId(first.0 + 1_000);
    let password = room.clients[index].transport.channel_password.clone();
    let (now, conference) = (room.now, room.conference.clone());
    let id = room.clients[index].id.clone();
    room.worker()
        .open_channel(now, &conference, &id, &password, second)
        .unwrap();
    room.collect();
    assert_eq!(room.clients[index].texts.last().unwrap(), 1000);
    room.clients[index].websocket = Some(second);
    // What is still on its way from the old one is not read.
    let mut batch = Default::default();
    room.worker()
        .handle_channel_text(now, first, r#"{"colibriClass":"ClientHello"}"#, &mut batch);
    room.clients[index].texts.clear();
    room.say(index, r#"{"colibriClass":"ClientHello"}"#);
    assert_eq!(classes(&room, index), ["ServerHello"]);
}

#[test]
fn nonsense_does_not_close_a_channel() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.open_websocket(0);
    let nonsense = [
        "",
        "{",
        "[]",
        r#"{"colibriClass":"Unheard","of":1}"#,
        r#"{"colibriClass":3}"#,
    ];
    for text in nonsense {
        room.say(0, text);
    }
    let huge = format!(
        r#"{{"colibriClass":"EndpointMessage","msgPayload":"{}"}}"#,
        "x".repeat(70_000)
    );
    room.say(0, &huge);
    room.clients[0].texts.clear();
    room.say(0, r#"{"colibriClass":"ClientHello"}"#);
    assert_eq!(classes(&room, 0), ["ServerHello"]);
    let dropped = room.statistics().dropped;
    assert_eq!((dropped.malformed_messages, dropped.message_limit), (4, 1));
}

#[test]
fn a_flood_of_messages_is_cut() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.open_websocket(0);
    room.open_websocket(1);
    for _ in 0..2_000 {
        room.say(
            0,
            r#"{"colibriClass":"EndpointMessage","to":"b","msgPayload":{}}"#,
        );
    }
    let count = |room: &Room| {
        let classes = classes(room, 1);
        classes
            .iter()
            .filter(|class| *class == "EndpointMessage")
            .count()
    };
    assert_eq!(count(&room), 500);
    room.run(SECOND);
    room.say(
        0,
        r#"{"colibriClass":"EndpointMessage","to":"b","msgPayload":{}}"#,
    );
    assert_eq!(count(&room), 501);
}

#[test]
fn a_data_channel_nobody_reads_ends_the_endpoint_not_the_bridge() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.run(SECOND);
    assert!(room.clients[1].data_channel.is_some());
    room.open_websocket(0);
    room.clients[1].loss_down = 100;
    let payload = "x".repeat(20_000);
    let text = format!(
        r#"{{"colibriClass":"EndpointMessage","to":"b","msgPayload":{{"p":"{payload}"}}}}"#
    );
    for _ in 0..100 {
        room.say(0, &text);
        room.run(Duration::from_millis(20));
    }
    use tertulia_model::BridgeEvent;
    assert_eq!(
        room.count(|event| matches!(event, BridgeEvent::Disconnected { .. })),
        1
    );
    room.clients[0].speak(80);
    room.run(SECOND);
    assert!(room.clients[2].stream(room.clients[0].audio_ssrc()).len() > 40);
}

#[test]
fn audio_can_be_unsubscribed() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(80);
    room.run(SECOND);
    room.say(
        1,
        r#"{"colibriClass":"ReceiverAudioSubscription","exclude":["a-a0"]}"#,
    );
    room.run(Duration::from_millis(100));
    let before = room.clients[1].received.len();
    room.run(SECOND);
    assert_eq!(room.clients[1].received.len(), before);
    room.say(
        1,
        r#"{"colibriClass":"ReceiverAudioSubscription","all":true}"#,
    );
    room.run(SECOND);
    let packets = room.clients[1].stream(room.clients[0].audio_ssrc());
    assert!(packets.len() > before + 40);
    assert!(
        packets
            .windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1)
    );
}

/// Both ways at once: what is to be said goes where the client has spoken last.
#[test]
fn the_channel_that_was_used_last_is_answered() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(SECOND);
    let data_channel = room.clients[0].data_channel.expect("open");
    room.open_websocket(0);
    let websocket = room.clients[0].websocket.take();
    room.clients[0].texts.clear();
    let hello = r#"{"colibriClass":"ClientHello"}"#;
    // By data channel: the answer takes its time.
    room.say(0, hello);
    room.clients[0].websocket = websocket;
    assert!(room.clients[0].texts.is_empty());
    room.run(SECOND);
    assert_eq!(classes(&room, 0), ["ServerHello"]);
    room.say(0, hello);
    assert_eq!(classes(&room, 0).len(), 2, "at once");
    assert_eq!(room.clients[0].data_channel, Some(data_channel));
}

/// A message of 60 kB passes by either channel.
#[test]
fn large_messages_pass() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.run(SECOND);
    room.open_websocket(2);
    let payload = "x".repeat(60_000);
    let text =
        format!(r#"{{"colibriClass":"EndpointMessage","to":"","msgPayload":{{"p":"{payload}"}}}}"#);
    assert!(room.clients[0].websocket.is_none());
    room.say(0, &text);
    room.run(2 * SECOND);
    for receiver in [1, 2] {
        let message = room.clients[receiver].last("EndpointMessage");
        let message = message.unwrap_or_else(|| panic!("nothing at {receiver}"));
        assert_eq!(
            message["msgPayload"]["p"].as_str().map(str::len),
            Some(60_000)
        );
    }
}

/// In a room of more than twenty, statistics go to those who see, asked for or hear their sender.
#[test]
fn statistics_go_to_those_who_need_them_in_large_rooms() {
    let mut room = Room::new(config());
    let names: Vec<String> = (0..21).map(|n| format!("p{n}")).collect();
    room.party(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for index in 0..21 {
        room.open_websocket(index);
    }
    let reached = |room: &mut Room, from: usize| -> Vec<usize> {
        for client in &mut room.clients {
            client.texts.clear();
        }
        room.say(
            from,
            r#"{"colibriClass":"EndpointStats","bitrate":{"upload":1}}"#,
        );
        (0..21)
            .filter(|index| room.clients[*index].last("EndpointStats").is_some())
            .collect()
    };
    let ask = |room: &mut Room, index: usize, fields: &str| {
        let text = format!(
            r#"{{"colibriClass":"ReceiverVideoConstraints",
            "defaultConstraints":{{"maxHeight":0}},{fields}}}"#
        );
        room.say(index, &text);
    };
    for index in 0..21 {
        ask(&mut room, index, r#""lastN":-1"#);
    }
    assert!(reached(&mut room, 0).is_empty());
    ask(&mut room, 3, r#""constraints":{"p0-v0":{"maxHeight":180}}"#);
    ask(&mut room, 4, r#""onStageSources":["p0-v0"]"#);
    ask(&mut room, 5, r#""selectedSources":["p0-v0"]"#);
    assert_eq!(reached(&mut room, 0), [3, 4, 5]);
    for index in 0..3 {
        room.clients[index].speak(5);
    }
    room.run(SECOND);
    room.clients[0].speak(110);
    room.run(2 * SECOND);
    assert_eq!(reached(&mut room, 0).len(), 20, "everybody hears it");
    // With one fewer everybody gets everything.
    let allocation = room.clients[20].allocation;
    room.command(tertulia_model::BridgeCommand::Expire { allocation });
    assert_eq!(reached(&mut room, 1).len(), 19);
}
