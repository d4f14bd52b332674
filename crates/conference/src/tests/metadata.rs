use serde_json::{Value, json};
use tertulia_stanza::WithAttribute;

use super::wire::*;
use super::*;

fn set(room: &str, json: &Value) -> Stanza {
    set_text(room, &json.to_string())
}

fn set_text(room: &str, text: &str) -> Stanza {
    let element = Element::builder("room_metadata", ns::JITSI_MEET)
        .with("room", room)
        .append(text)
        .build();
    to_service_with("metadata", element)
}

const TEA: &str = "tea@conference.localhost";

#[test]
fn everybody_has_the_whole_object_and_newcomers_have_it_first() {
    let mut w = World::of_three();
    let data = json!({ "key": "live", "data": { "on": true }, "type": "room_metadata" });
    w.send(1, set(TEA, &data));
    for session in [1, 2, 3] {
        let said = w.said(session, "metadata");
        let expected = json!({ "type": "room_metadata", "metadata": { "live": { "on": true } } });
        assert_eq!(said, [expected]);
    }
    w.send(1, set("Tea@muc.localhost", &data));
    assert!(w.got[&2].is_empty(), "nothing new");
    w.join(4, "dan");
    let got = &w.got[&4];
    assert_eq!(
        json_of("metadata", &got[0]).unwrap()["metadata"]["live"]["on"],
        true
    );
    assert_eq!(
        got[0]
            .child("json-message", ns::JITSI_MEET)
            .unwrap()
            .attr("room"),
        Some(TEA)
    );
    assert_eq!(got[1].from, Some(to("focus")), "then the room");
    let count = got
        .iter()
        .filter(|s| json_of("metadata", s).is_some())
        .count();
    assert_eq!(count, 1);

    let mut w = w.after_a_crash(&[(11, "ann")]);
    let said = w.said(11, "metadata");
    assert_eq!(said[0]["metadata"], json!({ "live": { "on": true } }));
}

#[test]
fn an_empty_room_has_an_empty_object_and_names_no_servers() {
    let mut w = World::new();
    w.join(1, "ann");
    assert_eq!(
        w.said(1, "metadata"),
        [json!({ "type": "room_metadata", "metadata": {} })],
        "an empty list of services would take those that the client has"
    );
}

#[test]
fn bad_input_changes_nothing() {
    let mut w = World::of_three();
    let good = json!({ "key": "a", "data": 1 });
    use Condition::{BadRequest, Forbidden, JidMalformed, NotAllowed, ResourceConstraint};
    w.check_refused(2, set(TEA, &good), Forbidden);
    w.check_refused(9, set(TEA, &good), Forbidden);
    w.check_refused(1, set("other@conference.localhost", &good), Forbidden);
    w.check_refused(1, set("@", &good), JidMalformed);
    let bare = Element::bare("room_metadata", ns::JITSI_MEET);
    w.check_refused(1, to_service_with("metadata", bare), BadRequest);
    w.check_refused(1, to_service("metadata", "<room_metadata/>"), BadRequest);
    for text in [
        "",
        "{",
        "[]",
        "null",
        r#"{"key":"a","data":{"__proto__":1}}"#,
    ] {
        w.check_refused(1, set_text(TEA, text), BadRequest);
    }
    for bad in [
        json!({ "data": 1 }),
        json!({ "key": "a" }),
        json!({ "key": "a", "data": null }),
        json!({ "key": 1, "data": 1 }),
        json!({ "key": "", "data": 1 }),
        json!({ "key": "a\u{7}", "data": 1 }),
        json!({ "key": "k".repeat(129), "data": 1 }),
        json!({ "key": "startMuted", "data": true }),
        json!({ "key": "startMuted", "data": { "audio": "yes" } }),
        json!({ "key": "permissions", "data": { "groupChatRestricted": 1 } }),
    ] {
        w.check_refused(1, set(TEA, &bad), BadRequest);
    }
    for key in ["services", "moderators", "lobbyEnabled", "allownersEnabled"] {
        w.check_refused(1, set(TEA, &json!({ "key": key, "data": [] })), NotAllowed);
    }
    let big = json!({ "key": "b", "data": "x".repeat(16_384) });
    w.check_refused(1, set(TEA, &big), ResourceConstraint);
    w.change(|rules| rules.metadata_keys_max = 1);
    w.send(1, set(TEA, &good));
    w.check_refused(
        1,
        set(TEA, &json!({ "key": "b", "data": 1 })),
        ResourceConstraint,
    );
    w.send(1, set(TEA, &json!({ "key": "a", "data": 2 })));
    assert_eq!(
        w.said(2, "metadata").len(),
        1,
        "a key that is there is replaced"
    );
}

fn start_muted(audio: bool, video: bool) -> Element {
    let element = format!(
        "<startmuted xmlns='http://jitsi.org/jitmeet/start-muted' audio='{audio}' video='{video}'/>"
    );
    element.parse().unwrap()
}

#[test]
fn who_starts_muted_may_be_said_by_presence_and_an_old_one_undoes_nothing() {
    let mut w = World::of_three();
    let show = |nick: &str, children: Vec<Element>| {
        let presence = Stanza::new(Kind::Presence).with_to(to(nick));
        presence.with_children(children)
    };
    w.send(2, show("bob", vec![start_muted(true, true)]));
    assert_eq!(w.said(1, "metadata"), [] as [Value; 0], "only moderators");
    w.send(1, show("ann", vec![start_muted(true, false)]));
    let policy = w.said(2, "metadata").remove(0)["metadata"]["startMuted"].clone();
    assert_eq!(policy, json!({ "audio": true, "video": false }));
    let other = json!({ "key": "startMuted", "data": { "audio": false, "video": true } });
    w.send(1, set(TEA, &other));
    w.got.clear();
    w.send(
        1,
        show(
            "ann",
            vec![
                start_muted(true, false),
                text_element("stats-id", ns::CLIENT, "x"),
            ],
        ),
    );
    assert_eq!(
        w.said(2, "metadata"),
        [] as [Value; 0],
        "it only says it again"
    );
    w.join(4, "dan");
    assert_eq!(
        w.said(4, "metadata")[0]["metadata"]["startMuted"],
        other["data"]
    );
    assert!(w.journal["metadata/startMuted"].contains("\"video\":true"));
    w.send(1, show("ann", vec![start_muted(false, false)]));
    assert_eq!(w.said(2, "metadata").len(), 1);
}

#[test]
fn a_moderator_who_comes_with_an_old_presence_undoes_nothing() {
    let mut w = World::of_three();
    w.send(
        1,
        set(
            TEA,
            &json!({ "key": "startMuted", "data": { "audio": true } }),
        ),
    );
    w.send(1, admin("<item affiliation='owner' jid='u4@localhost'/>"));
    let join = Stanza::new(Kind::Presence).with_to(to("dan"));
    let x = Element::bare("x", ns::MUC);
    w.send(4, join.with_children([x, start_muted(false, true)]));
    assert_eq!(
        w.conference.main_hall().metadata.start_muted(),
        tertulia_stanza::mute::StartMuted {
            audio: true,
            video: false
        }
    );
}

/// The values with which the focus and a newcomer's client start it muted.
#[test]
fn after_so_many_participants_newcomers_start_muted() {
    let mut w = World::new();
    w.change(|rules| rules.start_video_muted = Some(1));
    let request = |audio: &str| {
        let request = ConferenceRequest {
            room: TEA.to_owned(),
            properties: BTreeMap::from([("startAudioMuted".to_owned(), audio.to_owned())]),
            ..ConferenceRequest::default()
        };
        Stanza::iq("set", "c")
            .with_to("focus.localhost".parse::<Jid>().unwrap())
            .with_child(request.to_element())
    };
    w.send(1, request("2"));
    w.send(2, request("0"));
    let mut starts = Vec::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
        w.tell_features(session);
        starts.push(w.said(session, "metadata")[0]["metadata"]["startMuted"].clone());
    }
    assert_eq!(starts[0], Value::Null);
    assert_eq!(starts[1], json!({ "audio": false, "video": true }));
    assert_eq!(
        starts[2],
        json!({ "audio": true, "video": true }),
        "the first request counts"
    );
    assert_eq!(
        w.conference.main_hall().metadata.start_muted(),
        Default::default()
    );
}

#[test]
fn what_is_left_to_moderators() {
    let mut w = World::of_three();
    let restrict = |key: &str| json!({ "key": "permissions", "data": { key: true } });
    let chat = |to: &str| {
        Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_to(to.parse::<Jid>().unwrap())
            .with_child(text_element("body", ns::CLIENT, "hello"))
    };
    w.send(1, set(TEA, &restrict("groupChatRestricted")));
    w.check_refused(2, chat(TEA), Condition::NotAllowed);
    w.send(1, chat(TEA));
    assert!(w.last(2).to_string().contains("hello"));
    w.send(1, set(TEA, &restrict("pollCreationRestricted")));
    w.send(2, chat(TEA));
    assert!(w.last(3).to_string().contains("hello"));
    let mut w = w.after_a_crash(&[(11, "ann"), (12, "bob")]);
    let poll = json!({ "type": "polls", "command": "new-poll", "pollId": "1",
        "question": "?", "answers": [{ "name": "a" }] });
    let poll = text_element("json-message", ns::JITSI_MEET, &poll.to_string());
    w.check_refused(
        12,
        to_service_with("polls", poll.clone()),
        Condition::Forbidden,
    );
    w.send(11, to_service_with("polls", poll));
    assert_eq!(w.said(12, "polls").len(), 1);
}

/// Whether media is negotiated with somebody, since that was last asked.
fn is_invited(w: &mut World) -> bool {
    let commands = std::mem::take(&mut w.commands);
    let mut commands = commands.iter();
    commands.any(|command| matches!(command, BridgeCommand::Allocate { .. }))
}

#[test]
fn a_meeting_that_is_transcribed_has_media_for_one() {
    let transcribe =
        |is_on: bool| json!({ "key": "recording", "data": { "isTranscribingEnabled": is_on } });
    let mut w = World::new();
    w.request(1, "ann");
    w.join(1, "ann");
    w.tell_features(1);
    assert!(!is_invited(&mut w), "one alone has nobody to talk to");
    w.check_refused(
        1,
        set(
            TEA,
            &json!({ "key": "recording", "data": { "isTranscribingEnabled": 1 } }),
        ),
        Condition::BadRequest,
    );
    w.send(1, set(TEA, &transcribe(true)));
    assert!(is_invited(&mut w));
    w.wait(60);
    assert!(!w.commands.iter().any(|c| matches!(c, BridgeCommand::Close)));

    let mut w = w.after_a_crash(&[(11, "ann")]);
    w.tell_features(11);
    assert!(
        is_invited(&mut w),
        "it is transcribed after a crash as well"
    );
    w.send(11, set(TEA, &transcribe(false)));
    w.wait(21);
    assert!(matches!(w.commands.last(), Some(BridgeCommand::Close)));
}

#[test]
fn the_server_says_whether_there_is_a_lobby() {
    let mut w = World::of_three();
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    assert_eq!(w.said(2, "metadata")[0]["metadata"]["lobbyEnabled"], true);
    w.send(1, submit("muc#roomconfig_membersonly", "false"));
    assert_eq!(w.said(2, "metadata")[0]["metadata"]["lobbyEnabled"], false);
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    let mut w = w.after_a_crash(&[(11, "ann")]);
    assert_eq!(w.said(11, "metadata")[0]["metadata"]["lobbyEnabled"], true);
}
