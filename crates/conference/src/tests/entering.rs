//! Names, passwords, and how many come in at once.

use super::wire::*;
use super::*;

fn x(password: &str) -> Element {
    let password = text_element("password", ns::MUC, password);
    Element::builder("x", ns::MUC).append(password).build()
}

fn nicks(w: &World) -> Vec<String> {
    let occupants = w.conference.main_hall().room.occupants();
    occupants.map(|o| o.nick().to_string()).collect()
}

#[test]
fn nobody_comes_in_without_a_name_where_one_is_wanted() {
    let mut w = World::new();
    w.change(|rules| rules.is_display_name_required = true);
    w.join(1, "ann");
    let refusal = w.last(1);
    assert_eq!(refusal.error_condition(), Some(Condition::NotAcceptable));
    let error = refusal.child("error", ns::CLIENT).unwrap();
    assert_eq!(error.attr("type"), Some("modify"));
    let required = error.get_child("displayname-required", ns::JITSI_MEET);
    assert_eq!(required.unwrap().attr("lobby"), None);
    knock(&mut w, 1, "  ", "tea@conference.localhost/ann");
    assert_eq!(
        w.refusal(1),
        Some(Condition::NotAcceptable),
        "blanks are no name"
    );
    knock(&mut w, 1, "Ann", "tea@conference.localhost/ann");
    assert_eq!(nicks(&w), ["ann"]);
}

#[test]
fn who_guesses_waits_and_nobody_else_does() {
    let mut w = World::of_three();
    w.send(1, submit("muc#roomconfig_roomsecret", "rose"));
    w.request(4, "eve");
    for n in 0..5 {
        w.join_with(4, "eve", x(&format!("guess {n}")));
        assert_eq!(w.refusal(4), Some(Condition::NotAuthorized));
    }
    w.join(4, "eve");
    w.join_with(4, "eve", x("rose"));
    let refusal = w.got[&4].last().unwrap().to_string();
    assert!(refusal.contains("wait a minute"), "{refusal}");
    assert!(!nicks(&w).contains(&"eve".to_owned()));
    w.request(5, "eve");
    w.join_with(5, "eva", x("rose"));
    assert_eq!(
        w.refusal(5),
        Some(Condition::NotAuthorized),
        "the same device"
    );
    w.request(6, "dan");
    w.join_with(6, "dan", x("rose"));
    assert!(
        nicks(&w).contains(&"dan".to_owned()),
        "others are not kept out"
    );
    w.wait(60);
    w.join_with(4, "eve", x("rose"));
    assert!(nicks(&w).contains(&"eve".to_owned()));
}

#[test]
fn the_way_past_the_lobby_is_not_for_guessing_either() {
    let mut w = World::of_three();
    w.send(1, submit("muc#roomconfig_roomsecret", "rose"));
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    w.request(4, "eve");
    let knock_with = |w: &mut World, password: &str| {
        let name = text_element("nick", ns::NICK, "Eve");
        let join = Stanza::new(Kind::Presence).with_to(to("eve"));
        w.send(4, join.with_children([x(password), name]));
        w.refusal(4)
    };
    for n in 0..5 {
        let refusal = knock_with(&mut w, &format!("guess {n}"));
        assert_eq!(refusal, Some(Condition::RegistrationRequired));
    }
    assert_eq!(
        knock_with(&mut w, "rose"),
        Some(Condition::RegistrationRequired)
    );
    w.wait(60);
    assert_eq!(knock_with(&mut w, "rose"), None);
}

#[test]
fn so_many_come_in_a_second_and_the_others_in_order() {
    let mut w = World::new();
    w.change(|rules| {
        rules.joins_per_second = 5;
        rules.joins_waiting_max = 4;
    });
    for session in 1..=10 {
        w.request(session, &format!("m{session}"));
        w.join(session, &format!("p{session}"));
    }
    assert_eq!(nicks(&w), ["p1", "p2", "p3", "p4", "p5"], "a burst at once");
    assert_eq!(
        w.refusal(10),
        Some(Condition::ResourceConstraint),
        "the queue is full"
    );
    w.join(6, "again");
    w.send(7, leave().with_to(to("p7")));
    w.session(8, SessionChange::Ended(EndReason::Closed));
    w.session(9, SessionChange::Paused);
    w.wait(1);
    assert_eq!(
        nicks(&w)[5..],
        ["again", "p9"],
        "who gave up is passed over"
    );
    let lost = w.conference.main_hall().room.occupant_named("p9").unwrap();
    assert!(lost.is_paused());
    w.join(10, "p10");
    assert_eq!(nicks(&w).len(), 8, "a while later one comes in at once");
    assert_eq!(
        json_of("metadata", &w.got[&6][0]).map(|j| j["type"].clone()),
        None
    );
}

#[test]
fn everybody_who_waits_comes_in_and_in_the_order_that_clients_expect() {
    let mut w = World::new();
    w.change(|rules| rules.joins_per_second = 2);
    for session in 1..=30 {
        w.request(session, &format!("m{session}"));
        w.join(session, &format!("p{session}"));
    }
    w.wait(20);
    let expected: Vec<String> = (1..=30).map(|n| format!("p{n}")).collect();
    assert_eq!(
        nicks(&w),
        expected,
        "longer than those who only asked are waited for"
    );
    for session in 1..=30 {
        let first = w.got[&session].iter().find(|s| s.kind != Kind::Iq).unwrap();
        assert!(json_of("metadata", first).is_some(), "{first}");
    }
}

#[test]
fn who_waits_when_the_meeting_ends_is_sent_to_ask_again() {
    let mut w = World::new();
    w.change(|rules| rules.joins_per_second = 1);
    w.join(1, "ann");
    w.join(2, "bob");
    assert_eq!(nicks(&w), ["ann"]);
    w.conference.end(w.now, "over");
    w.drain();
    assert!(w.is_closed);
    assert!(w.last(2).to_string().contains("room-does-not-exist"));
}

#[test]
fn who_waits_for_a_breakout_room_that_is_removed_is_sent_to_the_main_room() {
    let mut w = World::new();
    w.request(1, "ann");
    w.join(1, "ann");
    w.send(1, command("add", "subject='Verona'"));
    w.wait(1);
    let rooms = list(&w, 1);
    let mut rooms = rooms["rooms"].as_object().unwrap().keys();
    let verona = rooms.find(|room| *room != "tea").unwrap();
    let verona = format!("{verona}@breakout.localhost");
    w.change(|rules| rules.joins_per_second = 1);
    for (session, nick) in [(2, "bob"), (3, "cat")] {
        w.request(session, nick);
        let to: Jid = format!("{verona}/{nick}").parse().unwrap();
        let x = Element::bare("x", ns::MUC);
        w.send(
            session,
            Stanza::new(Kind::Presence).with_to(to).with_child(x),
        );
    }
    w.send(1, command("remove", &format!("breakoutRoomJid='{verona}'")));
    w.got.remove(&3);
    w.wait(2);
    let refusal = w.last(3);
    assert_eq!(refusal.error_condition(), Some(Condition::NotAllowed));
    assert!(refusal.to_string().contains("this breakout room is gone"));
}

#[test]
fn a_full_room_lets_back_in_who_is_in_it() {
    let mut w = World::new();
    let mut config = config();
    config.room.occupants_max = 2;
    w.conference.config = Arc::new(config);
    // The main room had its limit before.
    w.conference.halls.clear();
    let room = w.conference.main.clone();
    w.conference.open(w.now, room, ConferenceId::new("small"));
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.request(session, nick);
        w.join(session, nick);
    }
    assert_eq!(w.refusal(3), Some(Condition::ServiceUnavailable));
    w.session(2, SessionChange::Paused);
    w.request(4, "bob");
    w.join(4, "bob");
    assert_eq!(nicks(&w), ["ann", "bob"]);
    assert_eq!(w.refusal(4), None);
}

#[test]
fn everybody_moderates_where_that_is_the_rule() {
    let mut w = World::new();
    w.change(|rules| rules.is_everyone_moderator = true);
    for (session, nick) in [(1, "ann"), (2, "bob")] {
        w.request(session, nick);
        w.join(session, nick);
    }
    assert_eq!(
        standings(&w),
        ["ann owner/moderator", "bob owner/moderator"]
    );
    w.send(1, admin("<item affiliation='none' jid='u2@localhost'/>"));
    w.session(2, SessionChange::Ended(EndReason::Closed));
    w.request(3, "bob");
    w.join(3, "bob");
    assert_eq!(
        standings(&w)[1],
        "bob none/participant",
        "what people decide is more than the rule"
    );
}
