//! Rooms that do not let somebody in, and what the client does about it.

use super::*;
use crate::Refusal;

fn refused(visit: &mut Visit, error: impl Into<StanzaError>) {
    visit.log_in();
    visit.bind();
    visit.conference_is_ready();
    visit.say_stanza(&join_error(error));
}

#[test]
fn a_password_is_asked_for_and_sent_with_the_next_join() {
    let mut visit = Visit::new();
    refused(&mut visit, Condition::NotAuthorized);
    assert_eq!(visit.notices, [Notice::Refused(Refusal::Password)]);
    assert!(visit.client.is_outside());
    visit.forget();
    visit.act(|client, now| client.enter(now, Some("rose")));
    // As in Jitsi's client: the conference is requested again, then joined.
    visit.enter(Role::Participant);
    assert!(visit.sent("SourceInfo").contains(">rose</password>"));
    assert_eq!(visit.notices, [Notice::Joined]);
}

#[test]
fn a_room_that_died_meanwhile_is_asked_for_again_three_times() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    let missing =
        || StanzaError::new(Condition::NotAllowed).with_text("Room creation is restricted");
    for _ in 0..3 {
        visit.conference_is_ready();
        visit.say_stanza(&join_error(missing()));
        assert_eq!(visit.notices, []);
        visit.forget();
        visit.pass(Duration::from_millis(500));
        visit.expect("http://jitsi.org/protocol/focus");
    }
    visit.conference_is_ready();
    visit.say_stanza(&join_error(missing()));
    assert!(
        matches!(
            visit.notices[..],
            [Notice::Refused(Refusal::NotAllowed { text: Some(_) })]
        ),
        "{:?}",
        visit.notices
    );
}

#[test]
fn other_refusals_are_told_apart() {
    for (error, expected) in [
        (Condition::ServiceUnavailable, Refusal::Full),
        (Condition::Conflict, Refusal::Other(Condition::Conflict)),
    ] {
        let mut visit = Visit::new();
        refused(&mut visit, error);
        assert_eq!(visit.notices, [Notice::Refused(expected)]);
        assert!(visit.client.is_outside() && visit.client.next_timeout().is_some());
    }
}

#[test]
fn a_conference_that_only_somebody_known_may_open_is_waited_for() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    visit.refuse("<conference ", Condition::NotAuthorized);
    assert_eq!(visit.notices, [Notice::Refused(Refusal::Login)]);
    visit.forget();
    visit.act(|client, now| client.enter(now, None));
    visit.enter(Role::Participant);
    assert_eq!(visit.notices, [Notice::Joined]);
}

#[test]
fn any_other_error_of_the_request_is_final() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    visit.refuse("<conference ", Condition::InternalServerError);
    let trouble = Trouble::RequestRefused(Some(Condition::InternalServerError));
    assert_eq!(visit.notices, [Notice::Trouble(trouble)]);
}

#[test]
fn the_request_says_what_the_user_wants() {
    let mut visit = Visit::with(Habits {
        prefers_visitor: true,
        start_audio_muted: Some(10),
        ..Habits::default()
    });
    visit.log_in();
    visit.bind();
    let request = visit.expect("<conference ");
    for part in [
        "machine-uid='m'",
        "<property name='visitor' value='true'/>",
        "<property name='startAudioMuted' value='10'/>",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    visit.conference_is_ready();
    assert!(visit.expect("SourceInfo").contains(">{}</SourceInfo>"));
}
