//! What becomes of a client whose session is lost for good.

use super::*;
use crate::Comeback;

const FAILED: &str = "<failed xmlns=\"urn:xmpp:sm:3\"><item-not-found \
                      xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></failed>";
const AFTER: Duration = Duration::from_secs(5);

fn reloading(into_breakout_room: bool) -> Visit {
    let comeback = Comeback::Reload {
        after: AFTER,
        into_breakout_room,
    };
    let mut visit = Visit::with(Habits {
        comeback,
        ..Habits::default()
    });
    visit.meet(Role::Participant);
    visit
}

#[test]
fn a_refused_resumption_reloads_the_page() {
    let mut visit = reloading(false);
    visit.act(|client, now| client.raise_hand(now, true));
    visit.act(|client, now| client.mute(now, MediaType::Audio, true));
    visit.client.handle_socket_closed(visit.now);
    visit.pass(Duration::from_secs(3));
    visit.log_in();
    visit.expect("<resume");
    visit.forget();
    visit.say(FAILED);
    assert_eq!(visit.notices, [Notice::ResumeRefused, Notice::Reloaded]);
    assert!(!visit.has_sent("xmpp-bind"), "nothing on the old stream");
    assert_eq!(visit.client.nick(), None);
    visit.pass(AFTER - Duration::from_millis(1));
    assert_eq!(visit.dials.len(), 2);
    visit.pass(Duration::from_millis(1));
    assert_eq!(visit.dials, [None, Some("token".to_owned()), None]);
    visit.log_in();
    visit.bind();
    let request = visit.expect("<conference ");
    assert!(
        request.contains("machine-uid='m'"),
        "the same device: {request}"
    );
    visit.enter(Role::Participant);
    let join = visit.sent("SourceInfo");
    assert!(
        join.contains("raisedHand") && join.contains(r#""1a2b3c4d-a0":{"muted":true}"#),
        "{join}"
    );
}

#[test]
fn three_resumptions_in_vain_are_enough() {
    let mut visit = reloading(false);
    visit.client.handle_socket_closed(visit.now);
    for _ in 0..3 {
        visit.pass(Duration::from_secs(8));
        visit.client.handle_socket_closed(visit.now);
        visit.drain();
    }
    assert_eq!(visit.notices, [Notice::Reloaded]);
    visit.pass(AFTER);
    let token = || Some("token".to_owned());
    assert_eq!(visit.dials, [None, token(), token(), token(), None]);
}

#[test]
fn a_stream_error_leaves_nothing_to_resume() {
    let mut visit = reloading(false);
    visit.say(
        "<stream:error xmlns:stream=\"http://etherx.jabber.org/streams\">\
         <conflict xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/></stream:error>",
    );
    assert!(visit.notices.contains(&Notice::Reloaded));
    assert!(!visit.client.is_joined());
    visit.pass(AFTER);
    assert_eq!(visit.dials, [None, None]);
}

#[test]
fn a_page_remembers_the_breakout_room_or_does_not() {
    const GROUP: &str = "0b5e7a1c-0000-4000-8000-000000000000@breakout.localhost";
    for (remembers, expected) in [(true, GROUP), (false, "tea@conference.localhost")] {
        let mut visit = reloading(remembers);
        let room = RoomJid::new(GROUP.parse().unwrap()).unwrap();
        visit.act(|client, now| client.move_to_room(now, room));
        visit.say_stanza(&presence("1a2b3c4d", ME).with_type("unavailable"));
        visit.client.handle_socket_closed(visit.now);
        visit.pass(Duration::from_secs(3));
        visit.log_in();
        visit.say(FAILED);
        visit.pass(AFTER);
        visit.forget();
        visit.log_in();
        visit.bind();
        let request = visit.expect("<conference ");
        assert!(request.contains(expected), "{request}");
    }
}

#[test]
fn a_client_that_binds_again_stays_in_its_breakout_room() {
    const GROUP: &str = "0b5e7a1c-0000-4000-8000-000000000000@breakout.localhost";
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    let room = RoomJid::new(GROUP.parse().unwrap()).unwrap();
    visit.act(|client, now| client.move_to_room(now, room));
    visit.client.handle_socket_closed(visit.now);
    visit.pass(Duration::from_secs(3));
    visit.log_in();
    visit.say(FAILED);
    visit.bind();
    assert!(visit.expect("<conference ").contains(GROUP));
}
