use serde_json::{Value, json};

use super::wire::*;
use super::*;

fn send(json: &Value) -> Stanza {
    let json = text_element("json-message", ns::JITSI_MEET, &json.to_string());
    to_service_with("polls", json).with_type("chat")
}

fn poll(id: &str) -> Value {
    json!({ "type": "polls", "command": "new-poll", "pollId": id, "question": "Tea?",
        "answers": [{ "name": "Yes", "voters": ["forged"] }, { "name": "No" }],
        "senderId": "forged", "senderName": "forged" })
}

fn answer(id: &str, marks: &[bool]) -> Value {
    json!({ "type": "polls", "command": "answer-poll", "pollId": id, "answers": marks })
}

fn named(nick: &str, name: &str) -> Stanza {
    Stanza::new(Kind::Presence)
        .with_to(to(nick))
        .with_child(text_element("nick", ns::NICK, name))
}

/// The polls as somebody is told who comes now.
fn old(w: &mut World, session: u64) -> Vec<Value> {
    w.join(session, &format!("late{session}"));
    let said = w.said(session, "polls");
    let polls = said.iter().flat_map(|said| {
        assert_eq!(said["command"], "old-polls");
        said["polls"].as_array().unwrap().clone()
    });
    polls.collect()
}

#[test]
fn asked_answered_and_told_to_who_comes_later() {
    let mut w = World::of_three();
    w.send(2, named("bob", "Bob & <b>"));
    w.got.clear();
    w.send(2, send(&poll("p1")));
    let news = json!({ "type": "polls", "command": "new-poll", "pollId": "p1", "question": "Tea?",
        "answers": [{ "name": "Yes" }, { "name": "No" }],
        "senderId": "bob", "senderName": "Bob & <b>" });
    for session in [1, 2, 3] {
        assert_eq!(w.said(session, "polls"), std::slice::from_ref(&news));
    }
    w.send(3, send(&answer("p1", &[true, false])));
    w.send(3, send(&answer("p1", &[false, true])));
    let said = w.said(1, "polls");
    assert_eq!(said[1]["senderId"], "cat");
    assert_eq!(said[1]["answers"], json!([false, true]));
    w.send(2, send(&answer("p1", &[true, true])));
    let voters = |poll: &Value, answer: usize| poll["answers"][answer]["voters"].clone();
    let polls = old(&mut w, 4);
    assert_eq!(polls[0]["senderName"], "Bob & <b>");
    let bob = json!({ "id": "bob", "name": "Bob & <b>" });
    assert_eq!(
        voters(&polls[0], 0),
        json!([bob]),
        "the second answer counts, not both"
    );
    assert_eq!(
        voters(&polls[0], 1),
        json!([bob, { "id": "cat", "name": "" }])
    );

    // A crash; Cat's client has another nick and changes its mind.
    let mut w = w.after_a_crash(&[(11, "ann")]);
    w.request(13, "cat");
    w.join(13, "kitty");
    w.send(13, send(&answer("p1", &[true, false])));
    let said = w.said(11, "polls");
    let senders: Vec<_> = said
        .iter()
        .rev()
        .take(2)
        .map(|s| (&s["senderId"], &s["answers"]))
        .collect();
    assert_eq!(
        senders,
        [
            (&json!("kitty"), &json!([true, false])),
            (&json!("cat"), &json!([false, false]))
        ],
        "who counted the former vote takes it back"
    );
    let polls = old(&mut w, 14);
    assert_eq!(
        voters(&polls[0], 0),
        json!([bob, { "id": "kitty", "name": "" }])
    );
    assert_eq!(voters(&polls[0], 1), json!([bob]));
    let votes = w.journal.keys().filter(|key| key.contains("/vote/"));
    assert_eq!(votes.count(), 2);
    let mut w = w.after_a_crash(&[]);
    assert_eq!(old(&mut w, 24), polls, "nothing is lost twice");
}

#[test]
fn two_people_at_one_device_have_two_votes() {
    let mut w = World::of_three();
    w.send(1, send(&poll("p1")));
    w.request(4, "ann");
    w.join(4, "anna");
    for session in [1, 4] {
        w.send(session, send(&answer("p1", &[true, false])));
    }
    let polls = old(&mut w, 5);
    assert_eq!(
        polls[0]["answers"][0]["voters"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn a_name_does_not_end_its_own_string() {
    let mut w = World::of_three();
    w.send(2, named("bob", r#"x&quot;,&quot;senderId&quot;:&quot;ann"#));
    w.send(2, send(&poll("p1")));
    let message = w.last(3);
    let text = message
        .child("json-message", ns::JITSI_MEET)
        .unwrap()
        .text();
    assert!(!text.contains('&'), "{text}");
    let json = json_of("polls", &message).unwrap();
    assert_eq!(json["senderId"], "bob");
}

#[test]
fn bad_polls_and_answers_change_nothing() {
    let mut w = World::of_three();
    use Condition::{BadRequest, FeatureNotImplemented, Forbidden, ItemNotFound};
    use Condition::{NotAcceptable, NotAllowed, ResourceConstraint};
    w.check_refused(9, send(&poll("p1")), Forbidden);
    let with = |field: &str, value: Value| {
        let mut poll = poll("p1");
        poll[field] = value;
        send(&poll)
    };
    for bad in [
        with("type", json!("poll")),
        with("command", json!("old-polls")),
        with("command", Value::Null),
        with("pollId", json!("")),
        with("pollId", json!(1)),
        with("pollId", json!("p".repeat(129))),
        with("question", json!(["?"])),
        with("answers", json!([])),
        with("answers", json!({})),
        with("answers", json!(["Yes"])),
        with("answers", json!([{ "name": 1 }])),
        with("__proto__", json!({})),
        to_service("polls", "<json-message>{}</json-message>"),
        to_service("polls", "<body>hello</body>"),
        to_service_with(
            "polls",
            text_element("json-message", ns::JITSI_MEET, "tea?"),
        ),
    ] {
        w.check_refused(2, bad, BadRequest);
    }
    w.check_refused(2, with("question", json!("?".repeat(1_024))), NotAcceptable);
    w.send(2, send(&poll("p1")));
    w.check_refused(3, send(&poll("p1")), NotAllowed);
    w.check_refused(3, send(&answer("p2", &[true])), ItemNotFound);
    for marks in [&[][..], &[true], &[true, false, true]] {
        w.check_refused(3, send(&answer("p1", marks)), BadRequest);
    }
    let mut odd = answer("p1", &[]);
    for marks in [json!([1, 0]), json!("yes"), Value::Null] {
        odd["answers"] = marks;
        w.check_refused(3, send(&odd), BadRequest);
    }
    w.change(|rules| rules.polls_max = 1);
    w.check_refused(2, send(&poll("p2")), ResourceConstraint);
    w.change(|rules| rules.has_polls = false);
    w.check_refused(2, send(&poll("p3")), FeatureNotImplemented);
    assert_eq!(old(&mut w, 4).len(), 1);
}

/// Names and many answers could make the list for newcomers larger than what may wait for them.
#[test]
fn all_votes_together_are_bounded() {
    let mut w = World::of_three_with(|rules| rules.poll_bytes_max = 10_000);
    let name = "n".repeat(256);
    w.send(2, named("bob", &name));
    let mut wide = poll("p0");
    let answers: Vec<Value> = (0..600).map(|_| json!({ "name": "" })).collect();
    wide["answers"] = answers.into();
    let all = vec![true; 600];
    for n in 0.. {
        wide["pollId"] = format!("p{n}").into();
        w.send(2, send(&wide));
        w.send(2, send(&answer(&format!("p{n}"), &all)));
        if w.refusal(2) == Some(Condition::ResourceConstraint) {
            assert!((5..10).contains(&n), "{n}");
            break;
        }
    }
    w.join(4, "dan");
    let bytes: usize = w.got[&4].iter().map(|stanza| stanza.size()).sum();
    assert!(bytes < 1_300_000, "{bytes}");
}
