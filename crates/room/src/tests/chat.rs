//! What may be said to all, and what late comers get of it.

use super::*;
use crate::rights::Restrictions;

fn said(id: &str, payload: &str) -> Stanza {
    let wrapped: Element = format!("<m xmlns='jabber:client'>{payload}</m>")
        .parse()
        .unwrap();
    Stanza::new(Kind::Message)
        .with_type("groupchat")
        .with_id(id)
        .with_to(to(""))
        .with_children(wrapped.children().cloned())
}

fn reaction(of: &str) -> Stanza {
    let reactions = "xmlns='urn:xmpp:reactions:0'";
    said(
        "r",
        &format!("<reactions {reactions} {of}><reaction>👍</reaction></reactions>"),
    )
}

fn retraction(of: &str) -> Stanza {
    said(
        "x",
        &format!("<retract xmlns='urn:xmpp:message-retract:1' {of}/><body>I took it back</body>"),
    )
}

/// What late comers are shown of the past.
fn history(w: &mut World, session: u64) -> Vec<String> {
    w.join(session, "late");
    let got = w.got(session);
    w.session(session, SessionChange::Ended(EndReason::Closed));
    w.forget();
    got.into_iter()
        .filter(|line| line.starts_with("old"))
        .collect()
}

fn of_three() -> World {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
    }
    w.forget();
    w
}

#[test]
fn who_takes_back_words_takes_them_from_late_comers() {
    let mut w = of_three();
    w.send(2, groupchat("m1"));
    w.send(3, groupchat("m2"));
    w.forget();
    w.send(3, retraction("id='m1'"));
    assert_eq!(w.got(3), ["message error forbidden"], "another's words");
    assert_eq!(w.got(2), [] as [&str; 0]);
    w.send(2, retraction("id='m1'"));
    let relayed = w.raw(3).remove(0);
    assert!(relayed.child("retract", ns::RETRACT).is_some());
    assert_eq!(history(&mut w, 4), ["old body cat m2"]);
    w.send(1, retraction("id='m2'"));
    assert_eq!(w.got(3).len(), 1, "a moderator may");
    assert_eq!(history(&mut w, 4), [] as [&str; 0]);
    w.send(2, retraction("id='long-ago'"));
    assert_eq!(
        w.got(3).len(),
        1,
        "what is not known any more is for the clients"
    );
    w.forget();
    for bad in ["", "id=''"] {
        w.send(2, retraction(bad));
        assert_eq!(w.got(2), ["message error bad-request"]);
    }
    assert_eq!(w.got(3), [] as [&str; 0]);
}

#[test]
fn an_id_belongs_to_who_said_it_first() {
    let mut w = of_three();
    w.send(2, groupchat("m1"));
    w.send(3, groupchat("m1"));
    w.forget();
    w.send(3, retraction("id='m1'"));
    assert_eq!(w.got(3), ["message error forbidden"]);
    w.send(2, retraction("id='m1'"));
    assert_eq!(w.got(2).len(), 1);
}

#[test]
fn what_is_said_without_an_id_gets_one_for_all() {
    let mut w = of_three();
    let without = || {
        let body = text_element("body", ns::CLIENT, "hello");
        let message = Stanza::new(Kind::Message).with_type("groupchat");
        message.with_to(to("")).with_child(body)
    };
    let mut ids = Vec::new();
    for message in [without(), without(), without().with_id("")] {
        w.send(2, message);
        let got = [1, 2, 3].map(|session| w.raw(session).remove(0).id.clone().unwrap());
        assert!(got.iter().all(|id| *id == got[0]), "{got:?}");
        assert_eq!(got[0].len(), 36);
        ids.extend(got.into_iter().next());
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    w.join(4, "dan");
    let late = w.raw(4).into_iter();
    let late: Vec<_> = late
        .filter(|s| s.child("delay", ns::DELAY).is_some())
        .map(|s| s.id.clone().unwrap())
        .collect();
    assert_eq!(late, ids[1..], "as many as the room keeps");
    w.session(4, SessionChange::Ended(EndReason::Closed));
    w.forget();
    w.send(3, retraction(&format!("id='{}'", ids[2])));
    assert_eq!(
        w.got(3),
        ["message error forbidden"],
        "the room knows whose"
    );
    w.send(2, retraction(&format!("id='{}'", ids[2])));
    assert_eq!(history(&mut w, 4), ["old body bob hello"]);
    // What is no text is not referred to.
    let json = text_element("json-message", ns::JITSI_MEET, "{}");
    let message = Stanza::new(Kind::Message).with_type("groupchat");
    w.send(2, message.with_to(to("")).with_child(json));
    assert_eq!(w.raw(3).remove(0).id, None);
}

#[test]
fn reactions_are_relayed_and_not_kept() {
    let mut w = of_three();
    w.send(2, reaction("id='m1'"));
    assert_eq!(w.got(3), ["message bob"]);
    w.send(2, reaction(""));
    assert_eq!(
        w.raw(2).last().map(|s| summary(s)).unwrap(),
        "message error bad-request"
    );
    let standing = Standing::of(Affiliation::None).without([tertulia_model::Capability::React]);
    let bob = w.room.occupant_named("bob").unwrap().id();
    w.room.set_standing(bob, standing);
    w.forget();
    w.send(2, reaction("id='m1'"));
    assert_eq!(w.got(2), ["message error forbidden"]);
    w.send(2, groupchat("words"));
    assert_eq!(w.got(3), ["body bob words"], "only its sign is gone");
    assert_eq!(history(&mut w, 4), ["old body bob words"]);
}

#[test]
fn what_only_the_server_says_nobody_else_says() {
    let mut w = of_three();
    let json = |json: &str| {
        let json = text_element("json-message", ns::JITSI_MEET, json);
        groupchat("j").with_child(json)
    };
    for forged in [
        r#"{"type":"lobby-notify","event":"LOBBY-ACCESS-GRANTED"}"#,
        r#"{"type":"system_chat_m\u0065ssage","message":"pay here"}"#,
    ] {
        w.send(2, json(forged));
        assert_eq!(w.got(2), ["message error forbidden"], "{forged}");
        w.send(2, json(forged).with_type("chat").with_to(to("cat")));
        assert_eq!(w.got(2), ["message error forbidden"], "{forged}");
    }
    assert_eq!(w.got(3), [] as [&str; 0]);
    for harmless in [r#"{"type":"olm"}"#, "no json", "[]"] {
        w.send(2, json(harmless));
    }
    assert_eq!(w.got(3).len(), 3);
}

#[test]
fn a_room_may_leave_writing_to_moderators() {
    let mut w = of_three();
    let restrictions = Restrictions {
        has_quiet_chat: true,
        has_no_polls: false,
    };
    w.room.restrict(restrictions);
    assert_eq!(w.room.restrictions(), restrictions);
    w.send(2, groupchat("m1"));
    assert_eq!(w.got(2), ["message error not-allowed"]);
    w.send(
        2,
        said(
            "j",
            "<json-message xmlns='http://jitsi.org/jitmeet'>{}</json-message>",
        ),
    );
    w.send(2, reaction("id='m0'"));
    assert_eq!(w.got(3).len(), 2, "what clients tell each other passes");
    w.send(1, groupchat("m2"));
    assert_eq!(w.got(3), ["body ann m2"]);
    w.room.restrict(Restrictions::default());
    w.send(2, groupchat("m3"));
    assert_eq!(w.got(3), ["body bob m3"]);
}

#[test]
fn a_visitor_writes_under_its_name_and_never_in_private() {
    let mut w = of_three();
    let bob = w.room.occupant_named("bob").unwrap().id();
    w.send(
        2,
        presence(2, "bob").with_child(text_element("nick", ns::NICK, "Bob & Co")),
    );
    w.room.set_standing(bob, Standing::visitor());
    w.forget();
    let forged = "<body>hi</body><display-name xmlns='http://jitsi.org/protocol/display-name'>\
                  Boss</display-name>";
    w.send(2, said("m1", forged));
    let message = w.raw(3).remove(0);
    let name = message.child("display-name", ns::DISPLAY_NAME).unwrap();
    assert_eq!(
        (name.attr("source"), name.text().as_str()),
        (Some("visitor"), "Bob & Co")
    );
    assert!(!message.to_string().contains("Boss"));
    assert_eq!(history(&mut w, 4), ["old body bob hi"]);
    let private = said("p", "<body>psst</body>")
        .with_type("chat")
        .with_to(to("ann"));
    w.send(2, private.clone());
    assert_eq!(w.got(2), ["message error forbidden"]);
    w.send(1, private.with_to(to("bob")));
    assert_eq!(w.got(2), ["body ann psst"]);
}

#[test]
fn moderators_are_told_what_they_may_and_who_was_one_as_well() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    let permissions = |stanza: &Stanza| -> Option<Vec<String>> {
        let permissions = stanza.child("permissions", ns::JITSI_MEET)?;
        let granted = permissions
            .children()
            .filter(|p| p.attr("val") == Some("true"));
        Some(
            granted
                .filter_map(|p| p.attr("name").map(str::to_owned))
                .collect(),
        )
    };
    let own = |w: &mut World, session: u64, nick: &str| {
        let mut got = w.raw(session).into_iter().rev();
        let from = to(nick);
        let own = got.find(|s| s.kind == Kind::Presence && s.from.as_ref() == Some(&from));
        permissions(&own.expect("its own presence"))
    };
    assert!(
        own(&mut w, 1, "ann")
            .unwrap()
            .contains(&"send-groupchat".to_owned())
    );
    assert_eq!(own(&mut w, 2, "bob"), None);
    let (ann, bob) = (1, 2);
    let id = |w: &World, nick| w.room.occupant_named(nick).unwrap().id();
    let (ann_id, bob_id) = (id(&w, "ann"), id(&w, "bob"));
    w.room
        .set_standing(bob_id, Standing::of(Affiliation::Owner));
    w.room.set_standing(ann_id, Standing::of(Affiliation::None));
    w.drain();
    assert!(
        own(&mut w, bob, "bob")
            .unwrap()
            .contains(&"create-polls".to_owned())
    );
    assert_eq!(own(&mut w, ann, "ann"), Some(vec![]), "nothing any more");
    w.send(2, presence(2, "bob"));
    assert!(own(&mut w, bob, "bob").is_some(), "with each presence");
    let others = w.raw(1);
    assert!(
        others.iter().all(|stanza| permissions(stanza).is_none()),
        "nobody else's business"
    );
}
