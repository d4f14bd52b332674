//! Chat, hands, polls, metadata, statistics, files, visitors; and whom the client believes.

use serde_json::json;

use super::*;

fn said(nick: &str, type_: &str, children: impl IntoIterator<Item = Element>) -> Stanza {
    Stanza::new(Kind::Message)
        .with_from(occupant(nick))
        .with_type(type_)
        .with_id("m7")
        .with_children(children)
}

fn body(text: &str) -> Element {
    text_element("body", ns::CLIENT, text)
}

#[test]
fn only_announced_addresses_are_believed() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    let poll = r#"{"type":"polls","command":"new-poll","pollId":"p","question":"?",
        "answers":[{"name":"yes"}],"senderId":"99999999"}"#;
    // Before the addresses are known it waits; a stranger's is dropped then.
    visit.component_says("polls", poll);
    let forged = poll.replace("\"p\"", "\"forged\"");
    let message = Stanza::new(Kind::Message)
        .with_from("evil@localhost/x".parse::<jid::Jid>().unwrap())
        .with_child(text_element("json-message", ns::JITSI_MEET, &forged));
    visit.say_stanza(&message);
    assert!(visit.client.polls().is_empty());
    let request = visit.frames.pop().unwrap();
    visit.announce_components();
    visit.frames.push(request);
    let known: Vec<&String> = visit.client.polls().keys().collect();
    assert_eq!(known, ["p"]);
    visit.say_stanza(&message);
    visit.component_says("elsewhere", &forged);
    assert_eq!(visit.client.polls().len(), 1);
}

#[test]
fn an_early_announcement_saves_the_question() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.expect("xmpp-bind");
    let info = DiscoInfo::default().with_identity("component", "polls", Some("polls.localhost"));
    let host: jid::Jid = "localhost".parse().unwrap();
    let announcement = Stanza::new(Kind::Message)
        .with_from(host)
        .with_child(info.to_element());
    visit.say_stanza(&announcement);
    visit.bind();
    assert_eq!(visit.client.component("polls"), Some("polls.localhost"));
    let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(!visit.has_sent(query) && !visit.has_sent("extdisco"));
    // Afterwards nobody may change that.
    let other = DiscoInfo::default().with_identity("component", "polls", Some("evil.localhost"));
    visit.say_stanza(&announcement.with_child(other.to_element()));
    assert_eq!(visit.client.component("polls"), Some("polls.localhost"));
}

#[test]
fn chat_with_all_its_kinds() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    let mut id = String::new();
    visit.act(|client, now| id = client.chat(now, None, "hello", Some("m1")));
    let sent = visit.expect("type=\"groupchat\"");
    assert!(
        sent.contains(&id) && sent.contains("<reply xmlns='urn:xmpp:reply:0' to='m1'/>"),
        "{sent}"
    );
    visit.act(|client, now| drop(client.chat(now, Some("99999999"), "psst", None)));
    assert!(visit.expect("type=\"chat\"").contains("/99999999\""));
    visit.act(|client, now| client.react(now, None, "m1", "❤"));
    visit.expect("<reaction>❤</reaction>");
    visit.act(|client, now| client.retract(now, None, &id));
    visit.expect("urn:xmpp:message-retract:1");
    visit.forget();
    let reply = Element::builder("reply", "urn:xmpp:reply:0")
        .attr("to".try_into().unwrap(), "m1")
        .build();
    visit.say_stanza(&said("99999999", "groupchat", [body("hello"), reply]));
    let delay = Element::bare("delay", ns::DELAY);
    visit.say_stanza(&said("99999999", "groupchat", [body("earlier"), delay]));
    visit.say_stanza(&said("99999999", "chat", [body("psst")]));
    let message = |body: &str, is_private, is_history, reply_to: Option<&str>| Notice::Message {
        from: "99999999".to_owned(),
        body: body.to_owned(),
        id: Some("m7".to_owned()),
        is_private,
        is_history,
        reply_to: reply_to.map(str::to_owned),
    };
    assert_eq!(
        visit.notices,
        [
            message("hello", false, false, Some("m1")),
            message("earlier", false, true, None),
            message("psst", true, false, None),
        ]
    );
    visit.forget();
    let reactions: Element = "<reactions xmlns='urn:xmpp:reactions:0' id='m1'>\
                              <reaction>❤</reaction></reactions>"
        .parse()
        .unwrap();
    let retract: Element = "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>"
        .parse()
        .unwrap();
    visit.say_stanza(&said("99999999", "groupchat", [reactions]));
    visit.say_stanza(&said("99999999", "groupchat", [retract, body("gone")]));
    visit.say_stanza(&said(
        "99999999",
        "groupchat",
        [text_element("subject", ns::CLIENT, "Verona")],
    ));
    let json = text_element("json-message", ns::JITSI_MEET, r#"{"type":"olm","x":1}"#);
    visit.say_stanza(&said("99999999", "chat", [json]));
    let from = || "99999999".to_owned();
    assert_eq!(
        visit.notices,
        [
            Notice::Reaction {
                from: from(),
                to: "m1".to_owned(),
                reactions: vec!["❤".to_owned()]
            },
            Notice::Retracted {
                from: from(),
                id: "m1".to_owned()
            },
            Notice::Json {
                from: occupant("99999999"),
                value: json!({"type": "olm", "x": 1})
            },
        ]
    );
    assert_eq!(visit.client.subject(), Some("Verona"));
    let refused = said("99999999", "chat", [body("x")])
        .error(StanzaError::new(Condition::NotAllowed).with_text("not here"));
    visit.forget();
    visit.say_stanza(&refused.with_from(occupant("99999999")));
    let [
        Notice::MessageRefused {
            condition, text, ..
        },
    ] = &visit.notices[..]
    else {
        panic!("{:?}", visit.notices);
    };
    assert_eq!(*condition, Condition::NotAllowed);
    assert_eq!(text.as_deref(), Some("not here"));
}

#[test]
fn a_raised_hand_is_in_each_presence_until_it_is_down() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    visit.act(|client, now| client.raise_hand(now, true));
    visit.expect("jitsi_participant_raisedHand");
    visit.act(|client, now| client.mute(now, MediaType::Audio, true));
    visit.expect("jitsi_participant_raisedHand");
    visit.forget();
    visit.act(|client, now| client.raise_hand(now, false));
    visit.act(|client, now| client.set_display_name(now, "Jule"));
    assert!(visit.expect("Jule").contains("SourceInfo"));
    assert!(!visit.has_sent("raisedHand") && !visit.client.has_raised_hand());
}

#[test]
fn polls_are_made_answered_and_counted() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    visit.act(|client, now| client.create_poll(now, "p1", "Tea?", &["yes", "no"]));
    let poll = visit.expect("to=\"polls.localhost\"");
    assert!(
        poll.contains("type=\"chat\"") && poll.contains(r#""command":"new-poll""#),
        "{poll}"
    );
    visit.act(|client, now| client.answer_poll(now, "p1", &[true, false]));
    assert!(
        visit
            .expect("answer-poll")
            .contains(r#""answers":[true,false]"#)
    );
    let old = r#"{"type":"polls","command":"old-polls","polls":[{"pollId":"p0","senderId":"8",
        "senderName":"Paris","question":"Coffee?","answers":[{"name":"yes","voters":
        [{"id":"8","name":"Paris"}]},{"name":"no","voters":[]}]}]}"#;
    visit.component_says("polls", old);
    let new = r#"{"type":"polls","command":"new-poll","pollId":"p1","question":"Tea?",
        "answers":[{"name":"yes"},{"name":"no"}],"senderId":"1a2b3c4d"}"#;
    visit.component_says("polls", new);
    let answer = |visit: &mut Visit, yes: bool| {
        let json = format!(
            r#"{{"type":"polls","command":"answer-poll","pollId":"p1","answers":[{yes},{}],
            "senderId":"9","senderName":"Romeo"}}"#,
            !yes
        );
        visit.component_says("polls", &json);
    };
    answer(&mut visit, true);
    answer(&mut visit, false);
    let polls = visit.client.polls();
    assert!(polls["p0"].is_history && !polls["p1"].is_history);
    assert_eq!(polls["p0"].answers[0].voters["8"].as_deref(), Some("Paris"));
    assert!(polls["p1"].answers[0].voters.is_empty(), "answered anew");
    assert_eq!(polls["p1"].answers[1].voters["9"].as_deref(), Some("Romeo"));
}

#[test]
fn metadata_is_set_and_kept() {
    let mut visit = Visit::new();
    visit.meet(Role::Moderator);
    visit.act(|client, now| client.set_metadata(now, "startMuted", &json!({"audio": true})));
    let set = visit.expect("to=\"roommetadata.localhost\"");
    assert!(
        set.contains("room='tea@conference.localhost'") && set.contains(r#""key":"startMuted""#),
        "{set}"
    );
    let json = r#"{"type":"room_metadata","metadata":{"lobbyEnabled":true}}"#;
    visit.component_says("room_metadata", json);
    assert_eq!(visit.client.metadata()["lobbyEnabled"], json!(true));
}

#[test]
fn statistics_and_files() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    let json = r#"{"type":"speakerstats","users":{"9":{"displayName":"Romeo",
        "totalDominantSpeakerTime":1500,"faceLandmarks":[{"faceExpression":"happy"}]}}}"#;
    visit.component_says("speakerstats", json);
    let romeo = &visit.client.speaker_stats()["9"];
    assert_eq!(romeo.dominant_speaker_time, Duration::from_millis(1500));
    assert_eq!(romeo.face_landmarks.len(), 1);
    visit.act(|client, now| client.report_face(now, "happy", Duration::from_secs(2)));
    let report = visit.expect("to=\"speakerstats.localhost\"");
    assert!(report.contains("duration='2000'") && report.contains("faceExpression='happy'"));
    let file = json!({"fileId": "f1", "fileName": "a.txt", "fileSize": 3});
    visit.act(|client, now| client.share_file(now, &file));
    let add = visit.expect("to=\"file-sharing.localhost\"");
    assert!(add.contains("type='add'") && add.contains("a.txt"), "{add}");
    let says = |visit: &mut Visit, what: &str| {
        visit.component_says(
            "file-sharing",
            &format!(r#"{{"type":"file-sharing",{what}}}"#),
        );
    };
    says(&mut visit, r#""event":"add","file":{"fileId":"f2"}"#);
    assert_eq!(visit.client.files().len(), 2);
    visit.act(|client, now| client.remove_file(now, "f1"));
    visit.expect("fileId='f1'");
    says(&mut visit, r#""event":"remove","fileId":"f2""#);
    assert!(visit.client.files().is_empty());
    says(
        &mut visit,
        r#""event":"list","files":{"f3":{"fileId":"f3"}}"#,
    );
    assert_eq!(visit.client.files()["f3"]["fileId"], "f3");
}

#[test]
fn a_visitor_asks_and_comes_again_as_a_participant() {
    let mut visit = Visit::with(Habits {
        prefers_visitor: true,
        ..Habits::default()
    });
    visit.meet(Role::Visitor);
    assert!(visit.client.is_visitor());
    visit.say_stanza(&from_focus(&offer(), "j1"));
    visit.pass(Duration::from_millis(200));
    let accept = visit.sent("session-accept");
    assert!(!accept.contains("<source "), "only listens: {accept}");
    let response: Element = "<visitors xmlns='jitsi:visitors'>\
                             <promotion-response allow='true' username='u'/></visitors>"
        .parse()
        .unwrap();
    let room: jid::Jid = "tea@conference.localhost".parse().unwrap();
    let iq = Stanza::iq("set", "v1").with_child(response);
    visit.say_stanza(&iq.clone().with_from(occupant("99999999")));
    assert!(visit.client.is_joined(), "nobody else may say so");
    visit.say_stanza(&iq.with_from(room));
    let is_allowed = true;
    assert_eq!(
        visit.notices.last(),
        Some(&Notice::Promotion { is_allowed })
    );
    visit.expect("unavailable");
    visit.say_stanza(&presence("1a2b3c4d", ME).with_type("unavailable"));
    assert!(!visit.expect("<conference ").contains("'visitor'"));
    visit.enter(Role::Participant);
    assert!(visit.sent("SourceInfo").contains("1a2b3c4d-a0"));
}

#[test]
fn a_visitor_becomes_a_participant_in_place() {
    let mut visit = Visit::new();
    visit.meet(Role::Visitor);
    visit.say_stanza(&from_focus(&offer(), "j1"));
    visit.pass(Duration::from_millis(200));
    visit.answer("session-accept", None);
    assert!(visit.client.own_sources().is_empty());
    let standing = (Affiliation::None, Role::Participant);
    visit.say_stanza(&presence_of("1a2b3c4d", ME, standing));
    for suffix in ["a0", "v0"] {
        let name = format!("name='1a2b3c4d-{suffix}'");
        assert!(visit.has_sent(&name), "{name} in a source-add");
    }
    assert!(visit.expect("SourceInfo").contains("1a2b3c4d-a0"));
    assert_eq!(visit.client.own_sources().len(), 2);
}

#[test]
fn moderators_answer_visitors() {
    let mut visit = Visit::new();
    visit.meet(Role::Moderator);
    let json = r#"{"type":"visitors","action":"promotion-request","room":"tea","nick":"Paris",
        "from":"paris@localhost/z","on":true}"#;
    visit.component_says("visitors", json);
    assert_eq!(
        visit.notices,
        [Notice::PromotionRequested {
            nick: "Paris".to_owned(),
            from: "paris@localhost/z".to_owned(),
            is_on: true
        }]
    );
    visit.act(|client, now| client.promote(now, "paris@localhost/z", true));
    let answer = visit.expect("promotion-response");
    assert!(
        answer.contains(r#""approved":true"#) && answer.contains("groupchat"),
        "{answer}"
    );
}
