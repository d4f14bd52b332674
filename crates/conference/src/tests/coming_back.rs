//! After a crash of the server, applications know the main room only.

use super::*;

const MAIN: &str = "tea@conference.localhost";

/// A meeting with two breakout rooms, and their addresses.
fn with_two_rooms() -> (World, [String; 2]) {
    let mut w = World::of_three();
    for name in ["Verona", "Mantua"] {
        w.send(1, command("add", &format!("subject='{name}'")));
    }
    w.wait(1);
    let rooms = list(&w, 1);
    let rooms = rooms["rooms"].as_object().unwrap().keys();
    let rooms: Vec<String> = rooms
        .filter(|room| *room != "tea")
        .map(|room| format!("{room}@breakout.localhost"))
        .collect();
    (w, rooms.try_into().unwrap())
}

/// Where somebody was sent since that was last asked.
fn sent(w: &mut World, session: u64) -> Vec<String> {
    let said = w.said(session, "breakout");
    let moves = said
        .iter()
        .filter(|said| said["event"] == "features/breakout-rooms/move-to-room");
    moves
        .map(|said| said["roomJid"].as_str().unwrap().to_owned())
        .collect()
}

/// Out of one room and into another, as Jitsi's client does it: with a request for the other.
fn go(w: &mut World, session: u64, nick: &str, from: &str, to: &str) {
    let place: Jid = format!("{from}/{nick}").parse().unwrap();
    let status = text_element("status", ns::CLIENT, "switch_room");
    let leave = Stanza::new(Kind::Presence).with_type("unavailable");
    w.send(session, leave.with_to(place).with_child(status));
    come(w, session, nick, to);
}

fn come(w: &mut World, session: u64, nick: &str, to: &str) {
    w.request(session, nick);
    let place: Jid = format!("{to}/{nick}").parse().unwrap();
    let join = Stanza::new(Kind::Presence).with_child(Element::bare("x", ns::MUC));
    w.send(session, join.with_to(place));
}

#[test]
fn who_was_in_a_breakout_room_is_sent_back_once() {
    let (mut w, [verona, mantua]) = with_two_rooms();
    go(&mut w, 2, "bob", MAIN, &verona);
    go(&mut w, 3, "cat", MAIN, &verona);
    go(&mut w, 3, "cat", &verona, &mantua);
    let mut w = w.after_a_crash(&[(11, "ann"), (12, "bob")]);
    w.wait(1);
    assert!(sent(&mut w, 11).is_empty(), "was in the main room");
    assert_eq!(sent(&mut w, 12), [&*verona]);
    // It stays where it is, and is not asked again. Another one goes back by itself.
    come(&mut w, 13, "cat", &mantua);
    w.wait(5);
    assert!(sent(&mut w, 12).is_empty() && sent(&mut w, 13).is_empty());
    go(&mut w, 13, "cat", &mantua, MAIN);
    w.wait(5);
    assert!(sent(&mut w, 13).is_empty(), "by its own wish");

    let mut w = w.after_a_crash(&[(23, "cat")]);
    w.wait(5);
    assert!(sent(&mut w, 23).is_empty(), "it had gone home");
}

#[test]
fn nobody_is_sent_to_a_room_that_is_gone() {
    let (mut w, [verona, mantua]) = with_two_rooms();
    go(&mut w, 2, "bob", MAIN, &verona);
    go(&mut w, 3, "cat", MAIN, &mantua);
    w.send(1, command("remove", &format!("breakoutRoomJid='{verona}'")));
    let mut w = w.after_a_crash(&[(11, "ann"), (12, "bob")]);
    w.wait(1);
    assert!(sent(&mut w, 12).is_empty(), "removed before the crash");
    w.send(
        11,
        command("remove", &format!("breakoutRoomJid='{mantua}'")),
    );
    w.request(13, "cat");
    w.join(13, "cat");
    w.wait(1);
    assert!(sent(&mut w, 13).is_empty(), "removed before it came back");
    assert!(!w.journal.keys().any(|key| key.starts_with("seat/")));
}

#[test]
fn who_leaves_for_good_has_no_place_any_more() {
    let (mut w, [verona, _]) = with_two_rooms();
    go(&mut w, 2, "bob", MAIN, &verona);
    assert!(w.journal.keys().any(|key| key.starts_with("seat/")));
    w.session(2, SessionChange::Ended(EndReason::Closed));
    assert!(!w.journal.keys().any(|key| key.starts_with("seat/")));
    let mut w = w.after_a_crash(&[(12, "bob")]);
    w.wait(1);
    assert!(sent(&mut w, 12).is_empty());
}

/// Each page that a guest opens has a name of its own, and each of them moderates.
#[test]
fn who_opens_the_page_again_and_again_fills_no_list() {
    let mut w = World::of_three();
    w.send(1, admin("<item affiliation='owner' jid='u2@localhost'/>"));
    let mut before = 2;
    for session in 100..250 {
        if session % 2 == 0 {
            w.send(before, leave().with_to(to("bob")));
        }
        w.session(before, SessionChange::Ended(EndReason::Closed));
        w.request(session, "bob");
        w.join(session, "bob");
        before = session;
    }
    w.got.clear();
    w.send(1, admin("<item affiliation='member' jid='u3@localhost'/>"));
    assert_eq!(w.refusal(1), None);
    let kept = w.journal.keys();
    let is_standing = |key: &&String| key.starts_with("affiliation/") || key.starts_with("noted/");
    let kept: Vec<&String> = kept.filter(is_standing).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    let bob = w.conference.main_hall().room.occupant_named("bob").unwrap();
    assert_eq!(bob.affiliation(), Affiliation::Owner);
}
