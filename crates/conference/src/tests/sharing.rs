//! Shared files and speaker statistics.

use serde_json::{Value, json};
use tertulia_stanza::WithAttribute;

use super::wire::*;
use super::*;

fn add(file: &Value) -> Stanza {
    let element = Element::builder("file-sharing", ns::JITSI_MEET)
        .with("type", "add")
        .append(file.to_string())
        .build();
    to_service_with("filesharing", element)
}

fn remove(attributes: &str) -> Stanza {
    let ns = ns::JITSI_MEET;
    let payload = format!("<file-sharing xmlns='{ns}' {attributes}/>");
    to_service("filesharing", &payload)
}

fn file(id: &str) -> Value {
    json!({ "fileId": id, "fileName": "a <b>.pdf", "fileSize": 12, "fileType": "pdf",
        "timestamp": 1_790_000_000_000_u64, "authorParticipantId": "ann",
        "authorParticipantJid": "u1@localhost/r", "conferenceFullName": "forged" })
}

#[test]
fn files_are_announced_under_their_authors_name_and_listed() {
    let mut w = World::of_three();
    w.send(2, add(&file("f1")));
    assert!(w.said(2, "filesharing").is_empty(), "its author knows");
    let said = w.said(3, "filesharing").remove(0);
    assert_eq!(
        (&said["type"], &said["event"]),
        (&json!("file-sharing"), &json!("add"))
    );
    let shown = &said["file"];
    assert_eq!(shown["authorParticipantId"], "bob");
    assert_eq!(shown["authorParticipantJid"], "u2@localhost/r");
    assert_eq!(shown["conferenceFullName"], "tea@conference.localhost");
    assert_eq!(shown["fileName"], "a <b>.pdf");
    w.send(3, add(&file("f2")));
    let mut w = w.after_a_crash(&[(11, "ann"), (12, "bob")]);
    let list = w.said(12, "filesharing").remove(0);
    assert_eq!(list["event"], "list");
    let files = list["files"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["f1", "f2"]);
    w.got.clear();
    w.send(12, remove("type='remove' fileId='f1'"));
    let removed = json!({ "type": "file-sharing", "event": "remove", "fileId": "f1" });
    assert_eq!(w.said(11, "filesharing"), [removed]);
    w.check_refused(
        12,
        remove("type='remove' fileId='f2'"),
        Condition::Forbidden,
    );
    w.send(11, remove("type='remove' fileId='f2'"));
    assert_eq!(w.said(12, "filesharing").len(), 1, "moderators may");
    assert!(!w.journal.keys().any(|key| key.starts_with("file/")));
    w.join(14, "dan");
    assert!(w.said(14, "filesharing").is_empty(), "no list of nothing");
}

#[test]
fn bad_files_change_nothing() {
    let mut w = World::of_three();
    use Condition::{BadRequest, Conflict, FeatureNotImplemented, Forbidden, ItemNotFound};
    use Condition::{NotAcceptable, ResourceConstraint};
    w.check_refused(9, add(&file("f1")), Forbidden);
    let with = |field: &str, value: Value| {
        let mut file = file("f1");
        file[field] = value;
        add(&file)
    };
    for bad in [
        with("fileId", Value::Null),
        with("fileId", json!("")),
        with("fileId", json!("__proto__")),
        with("fileId", json!("f".repeat(257))),
        with("fileId", json!("f\n1")),
        with("fileName", json!(1)),
        with("fileSize", json!("12")),
        with("fileSize", json!(-1)),
        with("fileType", Value::Null),
        with("timestamp", json!("now")),
        with("__proto__", json!({})),
        add(&json!([])),
        remove("type='add'"),
        remove("type='list'"),
        remove(""),
        remove("type='remove'"),
        to_service("filesharing", "<file-sharing type='add'/>"),
    ] {
        w.check_refused(2, bad, BadRequest);
    }
    w.check_refused(2, with("fileName", json!("x".repeat(4_096))), NotAcceptable);
    w.check_refused(2, remove("type='remove' fileId='f1'"), ItemNotFound);
    w.send(2, add(&file("f1")));
    w.check_refused(3, add(&file("f1")), Conflict);
    w.change(|rules| rules.files_max = 1);
    w.check_refused(2, add(&file("f2")), ResourceConstraint);
    w.send(2, add(&file("f1")));
    assert_eq!(
        w.said(3, "filesharing").len(),
        1,
        "its own it may describe anew"
    );
    w.change(|rules| rules.has_file_sharing = false);
    w.check_refused(2, add(&file("f1")), FeatureNotImplemented);
}

fn speaks(w: &mut World, nick: Option<&str>) {
    let endpoint = nick.map(|nick| nick.parse().unwrap());
    let id = w.conference.id().clone();
    let event = BridgeEvent::DominantSpeaker { endpoint };
    w.conference.handle_bridge(w.now, &id, event);
    w.drain();
}

fn face(attributes: &str) -> Stanza {
    let ns = ns::JITSI_MEET;
    to_service(
        "speakerstats",
        &format!("<faceLandmarks xmlns='{ns}' {attributes}/>"),
    )
}

#[test]
fn who_comes_is_told_who_has_spoken_and_how_they_looked() {
    let mut w = World::of_three();
    w.join(4, "dan");
    assert!(w.said(4, "speakerstats").is_empty(), "nobody has");
    let name = text_element("nick", ns::NICK, "Bob");
    w.send(
        2,
        Stanza::new(Kind::Presence)
            .with_to(to("bob"))
            .with_child(name),
    );
    speaks(&mut w, Some("ann"));
    w.wait(3);
    speaks(&mut w, Some("bob"));
    w.wait(2);
    w.session(2, SessionChange::Ended(EndReason::Closed));
    let claim = format!(
        "<speakerstats xmlns='{}' room='tea@conference.localhost' silence='false'/>",
        ns::JITSI_MEET
    );
    w.send(3, to_service("speakerstats", &claim));
    let room = "room='tea@conference.localhost'";
    w.send(
        3,
        face(&format!(
            "{room} duration='1500' faceExpression='happy' timestamp='12'"
        )),
    );
    w.got.clear();
    w.wait(5);
    w.join(5, "eve");
    let said = w.said(5, "speakerstats").remove(0);
    assert_eq!(
        said["users"],
        json!({
            "ann": { "totalDominantSpeakerTime": 3_000 },
            "bob": { "totalDominantSpeakerTime": 2_000, "displayName": "Bob" },
            "cat": { "totalDominantSpeakerTime": 0, "faceLandmarks": [
                { "duration": 1500.0, "faceExpression": "happy", "timestamp": 12.0 }] },
        }),
        "what clients claim about themselves is not read"
    );
}

#[test]
fn bad_faces_change_nothing() {
    let mut w = World::of_three();
    use Condition::{BadRequest, FeatureNotImplemented, Forbidden, JidMalformed};
    let room = "room='tea@conference.localhost'";
    let good = format!("{room} duration='1' faceExpression='sad' timestamp='1'");
    w.check_refused(9, face(&good), Forbidden);
    w.check_refused(1, face(&good.replace("tea@", "other@")), Forbidden);
    w.check_refused(
        1,
        face(&good.replace("tea@conference.localhost", "@")),
        JidMalformed,
    );
    for (from, to) in [
        (room, ""),
        ("duration='1'", ""),
        ("duration='1'", "duration='long'"),
        ("duration='1'", "duration='-1'"),
        ("timestamp='1'", "timestamp='NaN'"),
        ("faceExpression='sad'", ""),
        ("faceExpression='sad'", "faceExpression='&lt;b&gt;'"),
        (
            "faceExpression='sad'",
            "faceExpression='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
        ),
    ] {
        w.check_refused(1, face(&good.replace(from, to)), BadRequest);
    }
    w.check_refused(1, to_service("speakerstats", "<speakerstats/>"), BadRequest);
    for _ in 0..3_000 {
        w.send(1, face(&good));
    }
    assert_eq!(w.refusal(1), None);
    w.join(4, "dan");
    let said = w.said(4, "speakerstats").remove(0);
    assert_eq!(
        said["users"]["ann"]["faceLandmarks"]
            .as_array()
            .unwrap()
            .len(),
        2_000
    );
    let bob = w.conference.main_hall().room.occupant_named("bob").unwrap();
    let bob = bob.id();
    let hall = w.conference.halls.values_mut().next().unwrap();
    let visitor = tertulia_room::rights::Standing::visitor();
    hall.room.set_standing(bob, visitor);
    w.conference.settle(w.now);
    w.drain();
    w.check_refused(2, face(&good), Forbidden);
    w.change(|rules| rules.has_speaker_stats = false);
    w.check_refused(1, face(&good), FeatureNotImplemented);
}
