//! Who comes to a room after a meeting.

use serde_json::json;

use super::wire::*;
use super::*;

/// A meeting with everything that people can decide, which Ann moderates.
fn decided() -> World {
    let mut w = World::of_three();
    w.send(1, command("add", "subject='Verona'"));
    w.send(
        1,
        to_service(
            "avmoderation",
            "<av_moderation enable='true' mediaType='audio'/>",
        ),
    );
    let poll = json!({ "type": "polls", "command": "new-poll", "pollId": "p1",
        "question": "Tea?", "answers": [{ "name": "Yes" }] });
    let poll = text_element("json-message", ns::JITSI_MEET, &poll.to_string());
    w.send(1, to_service_with("polls", poll).with_type("chat"));
    w.send(1, submit("muc#roomconfig_roomsecret", "rose"));
    w.got.clear();
    w
}

/// Everybody hangs up, Ann as the last one: nobody else is elected.
fn leave_all(mut w: World) -> World {
    for (session, nick) in [(3, "cat"), (2, "bob"), (1, "ann")] {
        w.send(session, leave().with_to(to(nick)));
        w.session(session, SessionChange::Ended(EndReason::Closed));
    }
    w.wait(6);
    assert!(w.is_closed && !w.journal.is_empty());
    w
}

/// The room so much later.
fn later(w: World, seconds: u64) -> World {
    assert!(w.is_closed);
    World::at(w.now.later(Duration::from_secs(seconds)), 9, w.journal)
}

fn come(w: &mut World, session: u64, nick: &str) -> Option<Condition> {
    w.request(session, nick);
    w.join(session, nick);
    let got = w.got[&session].iter();
    got.rev().find_map(|stanza| stanza.error_condition())
}

/// Whether somebody who has just come in finds what was decided.
fn finds_everything(w: &mut World, session: u64) -> bool {
    w.wait(1);
    let got = std::mem::take(w.got.get_mut(&session).unwrap());
    let finds = ["avmoderation", "polls", "breakout"]
        .map(|service| got.iter().any(|stanza| json_of(service, stanza).is_some()));
    let has_password = w.journal.contains_key("password");
    assert!(
        finds.iter().all(|found| *found == has_password),
        "{finds:?}"
    );
    has_password
}

fn is_owner(w: &World, nick: &str) -> bool {
    let occupant = w.conference.main_hall().room.occupant_named(nick);
    occupant.unwrap().affiliation() == Affiliation::Owner
}

#[test]
fn another_group_begins_anew() {
    let mut w = later(leave_all(decided()), 20);
    assert_eq!(come(&mut w, 21, "eve"), None, "no password");
    assert!(!finds_everything(&mut w, 21));
    assert!(is_owner(&w, "eve"), "at once");
    let kept: Vec<&String> = w.journal.keys().collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(w.journal.contains_key("since"));
    assert_eq!(come(&mut w, 22, "bob"), None);
    assert_eq!(come(&mut w, 23, "ann"), None);
    assert!(!is_owner(&w, "ann"), "it is another meeting");
}

#[test]
fn whoever_comes_at_once_may_have_opened_the_page_again() {
    let mut w = later(leave_all(decided()), 9);
    assert_eq!(come(&mut w, 21, "eve"), Some(Condition::NotAuthorized));
    let mut w = later(leave_all(decided()), 9);
    w.request(22, "bob");
    let password = text_element("password", ns::MUC, "rose");
    let x = Element::builder("x", ns::MUC).append(password).build();
    w.join_with(22, "bob", x);
    assert!(finds_everything(&mut w, 22));
    assert!(!is_owner(&w, "bob"), "Ann is still waited for");
    assert_eq!(come(&mut w, 21, "ann"), None);
    assert!(is_owner(&w, "ann"));
}

#[test]
fn it_goes_on_when_the_first_to_come_had_a_standing() {
    let mut w = later(leave_all(decided()), 100);
    assert_eq!(come(&mut w, 21, "ann"), None);
    assert!(is_owner(&w, "ann") && finds_everything(&mut w, 21));
    assert_eq!(come(&mut w, 22, "eve"), Some(Condition::NotAuthorized));
    assert!(!w.journal.contains_key("left"), "it is not over");
}

#[test]
fn who_only_asks_changes_nothing() {
    let mut w = later(leave_all(decided()), 100);
    w.request(21, "eve");
    w.wait(16);
    let mut w = later(w, 1);
    assert_eq!(come(&mut w, 22, "ann"), None);
    assert!(finds_everything(&mut w, 22));
    let mut w = later(leave_all(decided()), 100);
    w.request(21, "eve");
    w.wait(16);
    let mut w = later(w, 1);
    assert_eq!(come(&mut w, 22, "eve"), None);
    assert!(!finds_everything(&mut w, 22));
}

#[test]
fn a_meeting_that_lost_people_is_not_over() {
    for reason in [EndReason::LeaseExpired, EndReason::Overflow] {
        let mut w = decided();
        w.session(1, SessionChange::Ended(reason));
        w.wait(50);
        w.send(2, leave().with_to(to("bob")));
        w.send(3, leave().with_to(to("cat")));
        w.wait(6);
        let mut w = later(w, 100);
        assert_eq!(come(&mut w, 21, "eve"), Some(Condition::NotAuthorized));
    }
    // A minute later it is as if they had left.
    let mut w = decided();
    w.session(1, SessionChange::Ended(EndReason::LeaseExpired));
    w.wait(61);
    w.send(2, leave().with_to(to("bob")));
    w.send(3, leave().with_to(to("cat")));
    w.wait(6);
    let mut w = later(w, 100);
    assert_eq!(come(&mut w, 21, "eve"), None);
}

#[test]
fn who_leaves_soon_after_a_crash_does_not_end_it_for_those_on_the_way() {
    let mut w = decided().after_a_crash(&[(11, "ann")]);
    w.send(11, leave());
    w.session(11, SessionChange::Ended(EndReason::Closed));
    w.wait(6);
    let mut w = later(w, 100);
    assert_eq!(come(&mut w, 21, "eve"), Some(Condition::NotAuthorized));
}

#[test]
fn who_waited_in_the_former_lobby_is_sent_to_the_room() {
    let mut w = World::of_three();
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    let mut w = later(leave_all(w), 100);
    knock(&mut w, 21, "Eve", &format!("{LOBBY}/0e0e0e0e"));
    assert_eq!(w.conference.census().waiting.len(), 1);
    assert_eq!(come(&mut w, 22, "dan"), None);
    assert!(w.last(21).to_string().contains("<destroy jid='tea@"));
    assert_eq!(come(&mut w, 21, "eve"), None);
    assert!(w.conference.census().waiting.is_empty());
}

#[test]
fn a_lobby_keeps_no_group_out_of_a_room_that_nobody_is_in() {
    let mut w = World::of_three();
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    w.request(4, "eve");
    knock(&mut w, 4, "Eve", &format!("{LOBBY}/0e0e0e0e"));
    for (session, nick) in [(3, "cat"), (2, "bob"), (1, "ann")] {
        w.send(session, leave().with_to(to(nick)));
    }
    w.wait(14);
    knock(&mut w, 5, "Dan", "tea@conference.localhost/dan");
    assert_eq!(w.refusal(5), Some(Condition::RegistrationRequired));
    assert!(!w.is_closed, "somebody waits");
    let former = w.conference.id().clone();
    w.wait(2);
    w.got.clear();
    assert_eq!(come(&mut w, 5, "dan"), None);
    assert!(is_owner(&w, "dan"));
    assert_ne!(*w.conference.id(), former, "another meeting");
    assert!(w.last(4).to_string().contains("<destroy jid='tea@"));
    assert_eq!(come(&mut w, 4, "eve"), None);
    assert!(!w.journal.contains_key("lobby"));
}

#[test]
fn between_two_rooms_nobody_has_left() {
    let mut w = decided();
    let rooms = w.journal.keys();
    let verona = rooms
        .into_iter()
        .find_map(|key| key.strip_prefix("breakout/"));
    let verona = format!("{}/bob", verona.unwrap());
    for (session, nick) in [(1, "ann"), (3, "cat")] {
        w.send(session, leave().with_to(to(nick)));
    }
    switch(&mut w, 2, "tea@conference.localhost/bob", &verona);
    w.wait(20);
    assert_eq!(come(&mut w, 21, "eve"), Some(Condition::NotAuthorized));
    switch(&mut w, 2, &verona, "tea@conference.localhost/bob");
    assert!(w.journal.contains_key("password"));
}
