//! Sources that are announced late, streams that are passed on, paths that are renewed.

use super::*;
use crate::MediaKind;
use tertulia_stanza::WithAttribute;
use tertulia_stanza::jingle::BridgeSession;

/// In a call that the focus took.
fn call(habits: Habits) -> Visit {
    let mut visit = Visit::with(habits);
    visit.meet(Role::Participant);
    let mut initiate = offer();
    initiate.bridge_session = Some(BridgeSession {
        id: "bs1".to_owned(),
        ..BridgeSession::default()
    });
    visit.say_stanza(&from_focus(&initiate, "j1"));
    visit.pass(Duration::from_millis(200));
    visit
}

fn accepted(habits: Habits) -> Visit {
    let mut visit = call(habits);
    visit.answer("session-accept", None);
    visit
}

#[test]
fn what_starts_muted_is_announced_when_it_is_wanted() {
    let habits = Habits {
        starts_audio_muted: true,
        starts_video_muted: true,
        ..Habits::default()
    };
    let mut visit = call(habits);
    let accept = visit.sent("session-accept");
    assert!(!accept.contains("<source "), "{accept}");
    // Wanted before the answer to session-accept, announced after it.
    visit.act(|client, now| client.mute(now, MediaType::Audio, false));
    assert!(!visit.has_sent("source-add"));
    visit.answer("session-accept", None);
    let add = visit.sent("source-add");
    assert!(
        add.contains("1a2b3c4d-a0") && !add.contains("1a2b3c4d-v0"),
        "{add}"
    );
    assert_eq!(visit.client.own_sources().len(), 1);
    visit.forget();
    visit.act(|client, now| client.mute(now, MediaType::Video, false));
    assert!(visit.sent("source-add").contains("SIM"));
    // Switched off and on again, nothing is announced twice.
    visit.forget();
    visit.act(|client, now| client.mute(now, MediaType::Video, true));
    visit.act(|client, now| client.mute(now, MediaType::Video, false));
    assert!(!visit.has_sent("source-add"));
}

#[test]
fn a_refused_source_is_muted_again_and_can_be_tried_again() {
    let mut visit = accepted(Habits {
        starts_audio_muted: true,
        ..Habits::default()
    });
    visit.act(|client, now| client.mute(now, MediaType::Audio, false));
    visit.refuse("source-add", Condition::ResourceConstraint);
    let condition = Some(Condition::ResourceConstraint);
    let refused = Notice::UnmuteRefused(MediaKind::Audio, condition);
    assert_eq!(visit.notices.last(), Some(&refused));
    assert!(visit.client.is_muted(MediaType::Audio));
    visit.forget();
    visit.act(|client, now| client.mute(now, MediaType::Audio, false));
    visit.sent("source-add");
}

#[test]
fn an_unanswered_source_is_taken_back() {
    let mut visit = accepted(Habits::default());
    visit.act(|client, now| client.share_screen(now, true));
    assert!(visit.sent("source-add").contains("1a2b3c4d-v1"));
    visit.forget();
    visit.pass(Duration::from_secs(12));
    let refused = Notice::UnmuteRefused(MediaKind::Desktop, None);
    assert!(visit.notices.contains(&refused), "{:?}", visit.notices);
    assert!(!visit.client.is_screen_shared());
    let remove = visit.sent("source-remove");
    assert!(remove.contains("1a2b3c4d-v1"), "{remove}");
}

#[test]
fn a_shared_screen_is_another_source() {
    let mut visit = accepted(Habits::default());
    assert_eq!(visit.client.own_sources().len(), 2);
    visit.act(|client, now| client.share_screen(now, true));
    let add = visit.sent("source-add");
    assert!(
        add.contains("1a2b3c4d-v1") && add.contains("videoType='desktop'"),
        "{add}"
    );
    visit.answer("source-add", None);
    assert!(visit.client.is_screen_shared());
    assert_eq!(visit.client.own_sources().len(), 3);
}

#[test]
fn streams_of_the_bridge_change_their_owners() {
    let habits = Habits {
        has_ssrc_rewriting: true,
        ..Habits::default()
    };
    let mut visit = Visit::with(habits);
    visit.meet(Role::Participant);
    let query = DiscoInfo::query(None);
    let asked = Stanza::iq("get", "d1")
        .with_from(occupant("focus"))
        .with_child(query);
    visit.say_stanza(&asked);
    visit.expect("http://jitsi.org/ssrc-rewriting-1");
    let mut initiate = offer();
    initiate.json_sources = None;
    visit.say_stanza(&from_focus(&initiate, "j1"));
    assert!(visit.client.remote_sources().is_empty());
    let map = |visit: &mut Visit, source: &str, ssrc: u32| {
        let owner = source.split('-').next().unwrap();
        let text = format!(
            r#"{{"colibriClass":"VideoSourcesMap","mappedSources":[{{"source":"{source}",
            "owner":"{owner}","ssrc":{ssrc},"rtx":{},"videoType":"CAMERA"}}]}}"#,
            ssrc + 1
        );
        visit.client.handle_channel_text(visit.now, &text);
    };
    let seen = |visit: &Visit| -> Vec<String> {
        let sources = visit.client.remote_sources();
        let one = |source: &crate::RemoteSource| format!("{} {}", source.name, source.ssrc);
        sources.iter().map(one).collect()
    };
    visit.client.handle_channel_opened(visit.now);
    map(&mut visit, "99999999-v0", 70);
    map(&mut visit, "88888888-v0", 80);
    assert_eq!(seen(&visit), ["99999999-v0 70", "88888888-v0 80"]);
    // The stream passes on, and its former owner has none.
    map(&mut visit, "88888888-v0", 70);
    assert_eq!(seen(&visit), ["88888888-v0 70"]);
    map(&mut visit, "77777777-v0", 80);
    assert_eq!(seen(&visit), ["88888888-v0 70", "77777777-v0 80"]);
    // Whoever leaves owns nothing; the stream stays for the next one.
    visit.say_stanza(&presence("88888888", "paris@localhost/z"));
    visit.say_stanza(&presence("88888888", "paris@localhost/z").with_type("unavailable"));
    assert_eq!(seen(&visit), ["77777777-v0 80"]);
}

#[test]
fn maps_mean_nothing_to_a_client_that_did_not_ask() {
    let mut visit = accepted(Habits::default());
    let before = visit.client.remote_sources().len();
    let text = r#"{"colibriClass":"AudioSourcesMap","mappedSources":
        [{"source":"99999999-a1","owner":"99999999","ssrc":70}]}"#;
    visit.client.handle_channel_text(visit.now, text);
    assert_eq!(visit.client.remote_sources().len(), before);
}

fn new_path(generation: u32) -> Stanza {
    let candidate = Element::builder("candidate", ns::JINGLE_ICE)
        .with("protocol", "udp")
        .with("ip", "192.0.2.1")
        .with("port", "10000")
        .with("type", "host")
        .build();
    let transport = Element::builder("transport", ns::JINGLE_ICE)
        .with("ice-generation", generation)
        .with("ufrag", "newufrag")
        .with("pwd", "newpasswordnewpasswordnew")
        .append(candidate)
        .build();
    let content = Element::builder("content", ns::JINGLE)
        .with("name", "audio")
        .append(transport)
        .build();
    let jingle = Element::builder("jingle", ns::JINGLE)
        .with("action", "transport-info")
        .with("sid", "sid1")
        .append(content)
        .build();
    Stanza::iq("set", "t1")
        .with_from(occupant("focus"))
        .with_child(jingle)
}

#[test]
fn a_path_is_renewed_in_place() {
    let mut visit = accepted(Habits::default());
    visit.forget();
    visit.act(|client, now| client.renew_path(now));
    let asked = visit.expect("session-info");
    assert!(
        asked.contains("id='bs1'") && asked.contains("ice-restart='true'"),
        "{asked}"
    );
    visit.answer("session-info", None);
    visit.say_stanza(&new_path(1));
    let answer = visit.expect("transport-info").to_owned();
    assert_eq!(answer.matches("ice-generation='1'").count(), 2, "{answer}");
    assert!(
        answer.contains("setup='active'") && !answer.contains("newufrag"),
        "{answer}"
    );
    visit.forget();
    visit.say_stanza(&new_path(1));
    assert!(!visit.has_sent("ice-generation"), "no newer generation");
    visit.say_stanza(&new_path(2));
    visit.expect("ice-generation='2'");
    assert!(visit.client.is_in_call());
}

#[test]
fn a_path_that_is_not_renewed_in_time_is_given_up() {
    let is_lost = |visit: &Visit| {
        let lost = Notice::Trouble(Trouble::PathLost);
        visit.notices.contains(&lost) && visit.has_sent("restart='true'")
    };
    let mut visit = accepted(Habits::default());
    visit.act(|client, now| client.renew_path(now));
    visit.refuse("session-info", Condition::FeatureNotImplemented);
    assert!(is_lost(&visit), "refused");
    let mut visit = accepted(Habits::default());
    visit.act(|client, now| client.renew_path(now));
    visit.answer("session-info", None);
    visit.pass(Duration::from_secs(14));
    assert!(!is_lost(&visit));
    visit.pass(Duration::from_secs(1));
    assert!(is_lost(&visit), "in vain");
}
