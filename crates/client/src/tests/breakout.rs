//! Breakout rooms: the list, the commands, and the way from room to room.

use super::*;

const GROUP: &str = "0b5e7a1c-0000-4000-8000-000000000000@breakout.localhost";

fn group() -> RoomJid {
    RoomJid::new(GROUP.parse().unwrap()).unwrap()
}

/// The room in which everything from here on happens is another one.
fn enter_group(visit: &mut Visit) {
    visit.conference_is_ready();
    visit.expect(GROUP);
    for (nick, jid) in [("focus", "focus@auth.localhost/focus"), ("1a2b3c4d", ME)] {
        let from: jid::Jid = format!("{GROUP}/{nick}").parse().unwrap();
        visit.say_stanza(&presence(nick, jid).with_from(from));
    }
}

fn sent_to(room: &str) -> String {
    format!(
        r#"{{"type":"breakout_rooms","event":"features/breakout-rooms/move-to-room","roomJid":"{room}"}}"#
    )
}

#[test]
fn goes_where_it_is_sent_and_back() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    visit.say_stanza(&from_focus(&offer(), "j1"));
    visit.component_says("breakout_rooms", &sent_to(GROUP));
    assert_eq!(visit.notices.last(), Some(&Notice::Moving(group())));
    assert!(!visit.client.is_in_call());
    let goodbye = visit.expect("unavailable");
    assert!(
        goodbye.contains(">switch_room</status>")
            && goodbye.contains("tea@conference.localhost/1a2b3c4d"),
        "{goodbye}"
    );
    // The focus of the old room did not know yet.
    visit.say_stanza(&from_focus(&offer(), "j2"));
    visit.expect("service-unavailable");
    assert!(!visit.client.is_in_call());
    // The same place again is no move.
    let frames = visit.frames.len();
    visit.component_says("breakout_rooms", &sent_to(GROUP));
    assert_eq!(visit.frames.len(), frames);
    visit.forget();
    visit.say_stanza(&presence("1a2b3c4d", ME).with_type("unavailable"));
    let request = visit.expect("<conference ");
    assert!(request.contains(GROUP), "{request}");
    enter_group(&mut visit);
    assert_eq!(visit.notices, [Notice::Joined]);
    assert!(visit.client.is_in_breakout_room() && visit.client.room() == &group());
    // Home again when the room is removed.
    visit.forget();
    let from: jid::Jid = format!("{GROUP}/1a2b3c4d").parse().unwrap();
    let x = UserX::default().with_destroy(tertulia_stanza::muc::Destroy {
        alternative: Some("tea@conference.localhost".parse().unwrap()),
        reason: Some("Breakout room removed.".to_owned()),
    });
    let destroyed = Stanza::new(Kind::Presence)
        .with_from(from)
        .with_type("unavailable")
        .with_child(x.to_element());
    visit.say_stanza(&destroyed);
    visit.enter(Role::Participant);
    assert!(!visit.client.is_in_breakout_room() && visit.client.is_joined());
}

#[test]
fn a_breakout_room_that_is_gone_leads_to_the_main_room() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    visit.act(|client, now| client.move_to_room(now, group()));
    // No echo: five seconds are enough.
    visit.pass(Duration::from_secs(5));
    visit.conference_is_ready();
    visit.expect(GROUP);
    let from: jid::Jid = format!("{GROUP}/1a2b3c4d").parse().unwrap();
    let error = join_error(Condition::NotAllowed).with_from(from);
    visit.say_stanza(&error);
    let request = visit.expect("<conference ");
    assert!(request.contains("tea@conference.localhost"), "{request}");
    visit.enter(Role::Participant);
    assert!(visit.client.is_joined() && !visit.client.is_in_breakout_room());
}

#[test]
fn moderators_make_rename_fill_and_remove_rooms() {
    let mut visit = Visit::new();
    visit.meet(Role::Moderator);
    let to = "to=\"breakoutrooms.localhost\"";
    visit.act(|client, now| client.add_breakout_room(now, "Group <1>"));
    let add = visit.expect(to);
    assert!(
        add.contains("type='features/breakout-rooms/add'") && add.contains("Group &lt;1&gt;"),
        "{add}"
    );
    visit.act(|client, now| client.rename_breakout_room(now, GROUP, "Two"));
    let rename = visit.expect(to);
    assert!(
        rename.contains(GROUP) && rename.contains("subject='Two'"),
        "{rename}"
    );
    visit.act(|client, now| client.send_to_room(now, "romeo@localhost/y", GROUP));
    let send = visit.expect("participantJid='romeo@localhost/y'");
    assert!(
        send.contains("move-to-room") && send.contains("roomJid="),
        "{send}"
    );
    visit.act(|client, now| client.remove_breakout_room(now, GROUP));
    visit.expect("features/breakout-rooms/remove");
}

#[test]
fn the_list_says_who_is_where() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    let update = format!(
        r#"{{"type":"breakout_rooms","event":"features/breakout-rooms/update","roomCounter":2,
        "rooms":{{"tea":{{"isMainRoom":true,"id":"tea","jid":"tea@conference.localhost",
        "name":"tea","participants":{{"tea@conference.localhost/1a2b3c4d":
        {{"jid":"{ME}","role":"moderator","displayName":"Juliet"}}}}}},
        "x":{{"id":"x","jid":"{GROUP}","name":"Group 1","participants":{{}}}}}}}}"#
    );
    visit.component_says("breakout_rooms", &update);
    let rooms = visit.client.breakout_rooms();
    assert_eq!((rooms.counter, rooms.updates, rooms.rooms.len()), (2, 1, 2));
    assert!(rooms.rooms["tea@conference.localhost"].is_main);
    let seated = &rooms.rooms["tea@conference.localhost"].participants;
    let me = &seated["tea@conference.localhost/1a2b3c4d"];
    assert_eq!((me.jid.as_str(), me.role.as_str()), (ME, "moderator"));
    assert_eq!(rooms.rooms[GROUP].name, "Group 1");
}
