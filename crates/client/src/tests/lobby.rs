//! The lobby, from both sides of its door.

use super::*;
use crate::{Deed, Outcome, Refusal};

const WAITING: &str = "tea@lobby.localhost";

fn members_only() -> StanzaError {
    StanzaError::new(Condition::RegistrationRequired).with_extra(text_element(
        "lobbyroom",
        ns::JITSI_MEET,
        WAITING,
    ))
}

/// In the lobby, waiting; the nick there.
fn wait(visit: &mut Visit) -> String {
    visit.log_in();
    visit.bind();
    visit.conference_is_ready();
    visit.say_stanza(&join_error(members_only()));
    let join = visit.expect("http://jabber.org/protocol/muc'");
    let from = join.find("tea@lobby.localhost/").expect("to the lobby") + 20;
    let nick: String = join[from..].chars().take(8).collect();
    assert!(nick.bytes().all(|b| b.is_ascii_hexdigit()) && nick != "1a2b3c4d");
    assert!(join.contains("Juliet") && !join.contains("SourceInfo"));
    visit.say_stanza(&lobby_presence(&nick, UserX::default()));
    visit.forget();
    nick
}

fn lobby_presence(nick: &str, x: UserX) -> Stanza {
    let from: jid::Jid = format!("{WAITING}/{nick}").parse().unwrap();
    Stanza::new(Kind::Presence)
        .with_from(from)
        .with_child(x.to_element())
}

fn item(jid: &str) -> UserX {
    let jid = Some(jid.parse().unwrap());
    UserX::item(Item::new(Affiliation::None, Role::Participant, jid))
}

fn invitation() -> Stanza {
    let room: jid::Jid = "tea@conference.localhost".parse().unwrap();
    let invite = Element::builder("invite", ns::MUC_USER).build();
    let x = Element::builder("x", ns::MUC_USER).append(invite).build();
    Stanza::new(Kind::Message).with_from(room).with_child(x)
}

#[test]
fn knocks_waits_and_goes_in_when_admitted() {
    let mut visit = Visit::with(Habits {
        email: Some("juliet@capulet.example".to_owned()),
        ..Habits::default()
    });
    let nick = wait(&mut visit);
    assert!(visit.client.is_waiting());
    // An invitation of somebody else opens nothing.
    let stranger: jid::Jid = "x@conference.localhost".parse().unwrap();
    visit.say_stanza(&invitation().with_from(stranger));
    assert_eq!(visit.notices, []);
    visit.say_stanza(&invitation());
    assert_eq!(visit.notices, [Notice::Admitted]);
    visit.enter(Role::Participant);
    assert_eq!(visit.notices, [Notice::Admitted, Notice::Joined]);
    let goodbye = visit.sent("unavailable");
    assert!(goodbye.contains(&format!("{WAITING}/{nick}")), "{goodbye}");
    assert!(!visit.client.is_waiting());
}

#[test]
fn the_email_comes_with_a_second_presence() {
    let mut visit = Visit::with(Habits {
        email: Some("juliet@capulet.example".to_owned()),
        ..Habits::default()
    });
    visit.log_in();
    visit.bind();
    visit.conference_is_ready();
    visit.say_stanza(&join_error(members_only()));
    assert!(!visit.has_sent("juliet@capulet.example"));
    let nick = {
        let join = visit.expect(WAITING);
        let from = join.find("lobby.localhost/").unwrap() + 16;
        join[from..from + 8].to_owned()
    };
    visit.say_stanza(&lobby_presence(&nick, UserX::default()));
    visit.expect(">juliet@capulet.example</email>");
}

#[test]
fn somebody_who_is_denied_stays_outside() {
    let mut visit = Visit::new();
    let nick = wait(&mut visit);
    let kicked = item(ME).with_status(307).with_status(110);
    visit.say_stanza(&lobby_presence(&nick, kicked).with_type("unavailable"));
    assert_eq!(visit.notices, [Notice::Denied]);
    assert!(visit.client.is_outside() && !visit.client.is_waiting());
    visit.say_stanza(&invitation());
    assert_eq!(visit.notices, [Notice::Denied], "too late");
}

#[test]
fn the_end_of_the_lobby_opens_the_room_or_ends_the_meeting() {
    let destroy = |alternative: Option<&str>| {
        UserX::default().with_destroy(tertulia_stanza::muc::Destroy {
            alternative: alternative.map(|jid| jid.parse().unwrap()),
            reason: Some("over".to_owned()),
        })
    };
    let mut visit = Visit::new();
    let nick = wait(&mut visit);
    let x = destroy(Some("tea@conference.localhost"));
    visit.say_stanza(&lobby_presence(&nick, x).with_type("unavailable"));
    assert_eq!(visit.notices, [Notice::Admitted]);
    visit.expect("<conference ");

    let mut visit = Visit::new();
    let nick = wait(&mut visit);
    visit.say_stanza(&lobby_presence(&nick, destroy(None)).with_type("unavailable"));
    let trouble = Trouble::RoomDestroyed(Some("over".to_owned()));
    assert_eq!(visit.notices, [Notice::Trouble(trouble), Notice::Left]);
}

#[test]
fn the_password_still_works_from_inside_the_lobby() {
    let mut visit = Visit::new();
    wait(&mut visit);
    visit.act(|client, now| client.enter(now, Some("wrong")));
    visit.conference_is_ready();
    visit.say_stanza(&join_error(members_only()));
    assert!(visit.client.is_waiting(), "still there");
    assert!(matches!(
        visit.notices[..],
        [Notice::Refused(Refusal::MembersOnly { .. })]
    ));
    visit.act(|client, now| client.enter(now, Some("rose")));
    visit.enter(Role::Participant);
    assert_eq!(visit.notices.last(), Some(&Notice::Joined));
}

#[test]
fn somebody_who_does_not_knock_by_itself_is_asked() {
    let mut visit = Visit::with(Habits {
        knocks: false,
        ..Habits::default()
    });
    visit.log_in();
    visit.bind();
    visit.conference_is_ready();
    visit.say_stanza(&join_error(members_only()));
    assert!(visit.client.is_outside() && !visit.has_sent(WAITING));
    let lobby = RoomJid::new(WAITING.parse().unwrap()).unwrap();
    visit.act(|client, now| client.knock(now, lobby));
    visit.expect(WAITING);
}

/// A moderator in a room with a lobby, and inside it.
fn watch() -> Visit {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    let request = visit.frames.pop().unwrap();
    visit.announce_components();
    visit.frames.push(request);
    visit.enter(Role::Moderator);
    visit.say_stanza(&presence("99999999", "romeo@localhost/y"));
    visit.describe_room(&["muc_membersonly"], &[("lobbyroom", WAITING)]);
    let join = visit.expect("tea@lobby.localhost/");
    let from = join.find("lobby.localhost/").unwrap() + 16;
    let nick = join[from..from + 8].to_owned();
    visit.say_stanza(&lobby_presence(&nick, UserX::default()));
    assert!(visit.client.is_watching_lobby());
    visit.forget();
    visit
}

#[test]
fn a_moderator_sees_who_waits_and_decides() {
    let mut visit = watch();
    // Another moderator in the lobby is inside the meeting and does not wait.
    visit.say_stanza(&lobby_presence("aaaaaaaa", item("romeo@localhost/y")));
    assert_eq!(visit.notices, []);
    for (nick, jid) in [
        ("bbbbbbbb", "paris@localhost/z"),
        ("cccccccc", "tybalt@localhost/z"),
    ] {
        visit.say_stanza(&lobby_presence(nick, item(jid)));
        assert_eq!(
            visit.notices.last(),
            Some(&Notice::Knocked(nick.to_owned()))
        );
    }
    assert_eq!(visit.client.waiting().len(), 2);
    visit.act(|client, now| client.admit(now, &["bbbbbbbb", "cccccccc"]));
    let message = visit.expect("to=\"tea@conference.localhost\"");
    for jid in ["paris@localhost/z", "tybalt@localhost/z"] {
        assert!(
            message.contains(&format!("<invite to='{jid}'/>")),
            "{message}"
        );
    }
    visit.act(|client, now| client.deny(now, "bbbbbbbb"));
    let kick = visit.expect("role='none'");
    assert!(kick.contains("to=\"tea@lobby.localhost\""), "{kick}");
    visit.refuse("role='none'", Condition::Forbidden);
    let outcome = Outcome::Refused(Condition::Forbidden);
    let deed = Deed::Deny;
    assert_eq!(
        visit.notices.last(),
        Some(&Notice::Answered { deed, outcome })
    );
    let gone = lobby_presence("bbbbbbbb", item("paris@localhost/z"));
    visit.say_stanza(&gone.with_type("unavailable"));
    assert_eq!(
        visit.notices.last(),
        Some(&Notice::KnockEnded("bbbbbbbb".to_owned()))
    );
    assert_eq!(visit.client.waiting().len(), 1);
}

#[test]
fn whoever_becomes_moderator_later_goes_into_the_lobby_then() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    let request = visit.frames.pop().unwrap();
    visit.announce_components();
    visit.frames.push(request);
    visit.enter(Role::Participant);
    visit.describe_room(&["muc_membersonly"], &[("lobbyroom", WAITING)]);
    assert!(!visit.has_sent(WAITING));
    let standing = (Affiliation::Owner, Role::Moderator);
    visit.say_stanza(&presence_of("1a2b3c4d", ME, standing));
    visit.expect(WAITING);
}

#[test]
fn turning_the_lobby_on_makes_those_inside_members_first() {
    let mut visit = Visit::new();
    visit.meet(Role::Moderator);
    visit.say_stanza(&presence("99999999", "romeo@localhost/y"));
    visit.say_stanza(&presence("88888888", "paris@localhost/z"));
    let standing = (Affiliation::Member, Role::Participant);
    visit.say_stanza(&presence_of("77777777", "nurse@localhost/z", standing));
    visit.act(|client, now| client.set_lobby(now, true));
    let members = visit.sent("affiliation='member'");
    assert!(
        members.contains("jid='romeo@localhost'") && members.contains("jid='paris@localhost'"),
        "{members}"
    );
    assert!(!members.contains("nurse"), "is one already: {members}");
    let form =
        DataForm::new(FormType::Form, ns::MUC_ROOM_CONFIG).with("muc#roomconfig_membersonly", "0");
    let query = Element::builder("query", ns::MUC_OWNER)
        .append(form.to_element())
        .build();
    visit.answer("muc#owner", Some(query));
    let submit = visit.expect("muc#roomconfig_membersonly");
    assert!(
        submit.contains("submit") && submit.contains("<value>true</value>"),
        "{submit}"
    );
    visit.answer("muc#roomconfig_membersonly", None);
    let (deed, outcome) = (Deed::Lobby, Outcome::Done);
    assert_eq!(
        visit.notices.last(),
        Some(&Notice::Answered { deed, outcome })
    );
}

#[test]
fn a_form_without_the_field_cannot_be_sent_back() {
    let mut visit = Visit::new();
    visit.meet(Role::Moderator);
    visit.act(|client, now| client.set_password(now, Some("rose")));
    let query = Element::builder("query", ns::MUC_OWNER).build();
    visit.answer("muc#owner", Some(query));
    let (deed, outcome) = (
        Deed::Password,
        Outcome::Refused(Condition::FeatureNotImplemented),
    );
    assert_eq!(visit.notices, [Notice::Answered { deed, outcome }]);
    assert!(!visit.has_sent("roomsecret"));
}
