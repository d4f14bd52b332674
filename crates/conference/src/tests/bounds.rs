//! What people can make many of has a bound.

use super::wire::*;
use super::*;

/// A meeting of Ann, Bob and Cat in which so much can be said of people.
fn of_three_who_may_say(count: usize) -> World {
    let mut w = World::new();
    let mut config = config();
    config.affiliations_max = count;
    let (id, room) = (w.conference.id().clone(), w.conference.room().clone());
    let journal = BTreeMap::new();
    w.conference = Conference::new(Arc::new(config), room, id, journal, [7; 32], w.now);
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.request(session, nick);
        w.join(session, nick);
    }
    w.got.clear();
    w
}

#[test]
fn so_many_wait_in_a_lobby_and_moderators_look_in_all_the_same() {
    let mut w = World::of_three_with(|rules| rules.lobby_waiting_max = 1);
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    knock(&mut w, 4, "Eve", &format!("{LOBBY}/0e0e0e0e"));
    w.got.clear();
    knock(&mut w, 5, "Dan", &format!("{LOBBY}/0d0d0d0d"));
    assert_eq!(w.refusal(5), Some(Condition::ServiceUnavailable));
    assert!(w.got.values().all(Vec::is_empty), "nobody else is told");
    knock(&mut w, 1, "Ann", &format!("{LOBBY}/0a0a0a0a"));
    assert_eq!(w.refusal(1), None);
    w.session(4, SessionChange::Ended(EndReason::Closed));
    knock(&mut w, 5, "Dan", &format!("{LOBBY}/0d0d0d0d"));
    assert_eq!(w.refusal(5), None, "a place came free");
}

#[test]
fn so_many_breakout_rooms() {
    let mut w = World::of_three_with(|rules| rules.breakout_rooms_max = 2);
    for name in ["Verona", "Mantua"] {
        w.send(1, command("add", &format!("subject='{name}'")));
    }
    w.wait(1);
    let third = command("add", "subject='Padua'");
    w.check_refused(1, third, Condition::ResourceConstraint);
    w.wait(1);
    assert!(w.got.values().all(Vec::is_empty), "nothing has changed");
}

#[test]
fn so_much_is_said_of_people_and_all_of_a_request_or_nothing() {
    // The device and the name of each.
    let mut w = of_three_who_may_say(4);
    let grant = |who: &[&str]| {
        let items = who.iter();
        let items = items.map(|who| format!("<item affiliation='member' jid='{who}@localhost'/>"));
        admin(&items.collect::<String>())
    };
    let too_much = Condition::ResourceConstraint;
    w.check_refused(1, grant(&["u2", "u3", "u4"]), too_much);
    w.send(1, grant(&["u2"]));
    w.check_refused(1, grant(&["u3", "u4"]), too_much);
    w.send(1, grant(&["u3"]));
    assert_eq!(w.refusal(1), None);
    w.check_refused(1, grant(&["u4"]), too_much);
    // A name that nobody has any more is nothing that was said.
    w.session(2, SessionChange::Ended(EndReason::Closed));
    w.session(3, SessionChange::Ended(EndReason::Closed));
    w.send(1, grant(&["u4"]));
    assert_eq!(w.refusal(1), None);
}

#[test]
fn people_who_come_with_ever_new_devices_take_nobodys_place_and_nobodys_say() {
    let mut w = of_three_who_may_say(6);
    w.send(1, submit("muc#roomconfig_roomsecret", "rose"));
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    for session in 100..200 {
        w.request(session, &format!("device {session}"));
        let password = text_element("password", ns::MUC, "rose");
        let x = Element::builder("x", ns::MUC).append(password).build();
        w.join_with(session, &format!("p{session}"), x);
        w.session(session, SessionChange::Ended(EndReason::Closed));
    }
    let noted = w.journal.keys().filter(|key| key.starts_with("noted/"));
    assert!(noted.count() <= 6);
    w.got.clear();
    w.send(1, admin("<item affiliation='outcast' jid='u3@localhost'/>"));
    assert_eq!(w.refusal(1), None, "Ann still has her say");
    let mut w = w.after_a_crash(&[(11, "ann"), (13, "cat")]);
    assert_eq!(w.refusal(13), Some(Condition::Forbidden));
    let ann = w.conference.main_hall().room.occupant_named("ann").unwrap();
    assert_eq!(ann.affiliation(), Affiliation::Owner);
}

#[test]
fn so_many_are_approved_under_moderation() {
    let mut w = of_three_who_may_say(2);
    let moderate = |attributes: &str| {
        let command = format!("<av_moderation {attributes} mediaType='audio'/>");
        to_service("avmoderation", &command)
    };
    let approve =
        |nick: &str| moderate(&format!("jidToWhitelist='tea@conference.localhost/{nick}'"));
    w.send(1, moderate("enable='true'"));
    w.send(1, approve("bob"));
    w.check_refused(1, approve("cat"), Condition::ResourceConstraint);
    w.send(1, approve("bob"));
    assert_eq!(w.refusal(1), None, "who is approved already");
}
