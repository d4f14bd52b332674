//! What a participant may have forwarded, by camera, screen, voice and message.

use std::time::Duration;

use serde_json::Value;
use tertulia_model::{BridgeCommand, MayForward, VideoType};

use crate::room::Room;
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

/// `a` sends, `b` looks and hears of it by WebSocket.
fn room(shown: VideoType) -> Room {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    let mut sources = room.clients[0].sources();
    sources[1].video_type = shown;
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::SetSources {
        allocation,
        sources,
    });
    room.clients[0].film();
    room.clients[0].speak(90);
    room.ask(1, 180);
    room.open_websocket(0);
    room.run(2 * SECOND);
    room
}

fn allow(room: &mut Room, may: MayForward) {
    let allocation = room.clients[0].allocation;
    room.command(BridgeCommand::SetMayForward { allocation, may });
}

/// What of `a` arrives in a second.
fn arrives(room: &mut Room) -> (bool, bool) {
    room.run(Duration::from_millis(500));
    room.clients[1].received.clear();
    room.run(SECOND);
    let (audio, video) = (room.clients[0].audio_ssrc(), room.clients[0].video_ssrc());
    let client = &room.clients[1];
    (
        !client.stream(audio).is_empty(),
        !client.stream(video).is_empty(),
    )
}

fn call_it(room: &mut Room, video_type: &str) {
    let text = format!(
        r#"{{"colibriClass":"SourceVideoTypeMessage","sourceName":"a-v0","videoType":"{video_type}"}}"#
    );
    room.say(0, &text);
}

const NO_CAMERA: MayForward = MayForward {
    camera: false,
    ..MayForward::ALL
};
const NO_SCREEN: MayForward = MayForward {
    screen: false,
    ..MayForward::ALL
};

#[test]
fn camera_and_screen_are_told_apart() {
    for (shown, forbidding, other) in [
        (VideoType::Camera, NO_CAMERA, NO_SCREEN),
        (VideoType::Desktop, NO_SCREEN, NO_CAMERA),
    ] {
        let mut room = room(shown);
        assert_eq!(arrives(&mut room), (true, true));
        allow(&mut room, other);
        assert_eq!(arrives(&mut room), (true, true), "{shown:?}");
        let dropped = room.statistics().dropped.not_allowed;
        allow(&mut room, forbidding);
        assert_eq!(arrives(&mut room), (true, false), "{shown:?}");
        assert!(room.statistics().dropped.not_allowed > dropped + 30);
        let forwarded = room.clients[1].last("ForwardedSources").unwrap();
        assert_eq!(forwarded["forwardedSources"], Value::Array(vec![]));
        let told = room.clients[0].last("SenderSourceConstraints").unwrap();
        assert_eq!(told["maxHeight"], 0, "it need not go on encoding");
        let start = room.now.mono;
        allow(&mut room, MayForward::ALL);
        room.clients[1].received.clear();
        room.run(SECOND);
        let packets = room.clients[1].stream(room.clients[0].video_ssrc());
        assert!(packets[0].is_keyframe_start());
        assert!(packets[0].at - start < Duration::from_millis(200));
        let told = room.clients[0].last("SenderSourceConstraints").unwrap();
        assert_eq!(told["maxHeight"], 180);
    }
}

#[test]
fn another_name_for_it_changes_nothing() {
    let mut room = room(VideoType::Camera);
    allow(&mut room, NO_CAMERA);
    for name in ["desktop", "none", "desktop_high_fps", "camera"] {
        call_it(&mut room, name);
        assert_eq!(arrives(&mut room), (true, false), "called {name}");
    }
    // A camera that is called a screen, where screens are forbidden and cameras are not.
    allow(&mut room, NO_SCREEN);
    assert_eq!(arrives(&mut room), (true, true));
    call_it(&mut room, "desktop");
    assert_eq!(arrives(&mut room), (true, false));
    call_it(&mut room, "camera");
    assert_eq!(arrives(&mut room), (true, true));
    // What is said before the source is signalled counts as much.
    allow(&mut room, NO_CAMERA);
    let allocation = room.clients[0].allocation;
    let sources = room.clients[0].sources();
    room.command(BridgeCommand::SetSources {
        allocation,
        sources: Vec::new(),
    });
    call_it(&mut room, "desktop");
    room.command(BridgeCommand::SetSources {
        allocation,
        sources,
    });
    assert_eq!(arrives(&mut room), (true, false));
}

#[test]
fn a_told_type_outlives_a_repeated_list_of_sources() {
    let mut room = room(VideoType::Camera);
    call_it(&mut room, "none");
    assert_eq!(arrives(&mut room), (true, false));
    let allocation = room.clients[0].allocation;
    let sources = room.clients[0].sources();
    room.command(BridgeCommand::SetSources {
        allocation,
        sources,
    });
    assert_eq!(arrives(&mut room), (true, false), "nothing new was said");
}

#[test]
fn voice_is_apart_from_pictures() {
    let mut room = room(VideoType::Camera);
    allow(
        &mut room,
        MayForward {
            audio: false,
            ..MayForward::ALL
        },
    );
    assert_eq!(arrives(&mut room), (false, true));
}

#[test]
fn messages_can_be_forbidden() {
    let mut room = room(VideoType::Camera);
    let messages = |room: &mut Room, to: &str| {
        room.clients[1].texts.clear();
        room.say(
            0,
            &format!(
                r#"{{"colibriClass":"EndpointMessage","to":"{to}","msgPayload":{{"type":"x"}}}}"#
            ),
        );
        room.say(
            0,
            r#"{"colibriClass":"EndpointStats","bitrate":{"upload":1}}"#,
        );
        let client = &room.clients[1];
        let got = ["EndpointMessage", "EndpointStats"].map(|class| client.last(class).is_some());
        (got[0], got[1])
    };
    for to in ["", "b"] {
        assert_eq!(messages(&mut room, to), (true, true));
    }
    allow(
        &mut room,
        MayForward {
            messages: false,
            ..MayForward::ALL
        },
    );
    for to in ["", "b"] {
        assert_eq!(messages(&mut room, to), (false, true));
    }
    assert_eq!(room.statistics().dropped.forbidden_messages, 2);
    // It is still spoken to, and still says what it wants to see.
    room.say(
        1,
        r#"{"colibriClass":"EndpointMessage","to":"a","msgPayload":{}}"#,
    );
    assert!(room.clients[0].last("EndpointMessage").is_some());
    allow(&mut room, MayForward::ALL);
    assert_eq!(messages(&mut room, ""), (true, true));
}
