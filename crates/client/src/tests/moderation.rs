//! What moderators do to others, and what the client does about what is done to it.

use super::*;
use crate::{Deed, MediaKind, Outcome};

fn mute_iq(kind: &str, text: &str) -> Stanza {
    let mute = Element::builder("mute", format!("http://jitsi.org/jitmeet/{kind}"))
        .append(text)
        .build();
    Stanza::iq("set", "m1")
        .with_from(occupant("focus"))
        .with_child(mute)
}

#[test]
fn obeys_the_focus_and_nobody_else() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    visit.say_stanza(&mute_iq("audio", "true").with_from(occupant("99999999")));
    visit.expect("service-unavailable");
    visit.say_stanza(&mute_iq("audio", "false"));
    assert!(!visit.client.is_muted(MediaType::Audio));
    visit.forget();
    visit.say_stanza(&mute_iq("audio", "true"));
    assert!(visit.client.is_muted(MediaType::Audio));
    assert_eq!(visit.notices, [Notice::MutedByModerator(MediaKind::Audio)]);
    assert!(
        visit
            .expect("SourceInfo")
            .contains(r#""1a2b3c4d-a0":{"muted":true}"#)
    );
    assert!(!visit.has_sent("type=\"result\""), "without an answer");
}

#[test]
fn a_shared_screen_is_muted_as_well() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    visit.act(|client, now| client.share_screen(now, true));
    assert!(
        visit
            .expect("SourceInfo")
            .contains(r#""videoType":"desktop""#)
    );
    visit.say_stanza(&mute_iq("desktop", "true"));
    assert!(!visit.client.is_screen_shared());
    let source_info = visit.expect("SourceInfo");
    assert!(
        source_info.contains(r#""1a2b3c4d-v1":{"muted":true"#),
        "{source_info}"
    );
}

#[test]
fn does_not_unmute_while_moderation_forbids_it() {
    let mut visit = Visit::new();
    visit.meet(Role::Participant);
    let says = |visit: &mut Visit, what: &str| {
        let json = format!(r#"{{"type":"av_moderation","room":"tea","mediaType":"audio",{what}}}"#);
        visit.component_says("av_moderation", &json);
    };
    says(
        &mut visit,
        r#""enabled":true,"actor":"tea@conference.localhost/9""#,
    );
    visit.say_stanza(&mute_iq("audio", "true"));
    visit.forget();
    visit.act(|client, now| client.mute(now, MediaType::Audio, false));
    assert_eq!(visit.notices, [Notice::UnmuteForbidden(MediaKind::Audio)]);
    assert!(visit.client.is_muted(MediaType::Audio));
    assert!(visit.client.may_unmute(MediaKind::Video), "another kind");
    says(&mut visit, r#""approved":true"#);
    visit.act(|client, now| client.mute(now, MediaType::Audio, false));
    assert!(!visit.client.is_muted(MediaType::Audio));
    says(&mut visit, r#""removed":true"#);
    assert!(!visit.client.may_unmute(MediaKind::Audio));
    says(&mut visit, r#""enabled":false"#);
    assert!(visit.client.may_unmute(MediaKind::Audio));
    // Moderators are told who may.
    says(
        &mut visit,
        r#""whitelists":{"audio":["tea@conference.localhost/9"]}"#,
    );
    let lists = visit.client.moderation(MediaKind::Audio).whitelist;
    assert_eq!(lists, ["tea@conference.localhost/9"]);
    says(&mut visit, r#""whitelists":{},"removed":true"#);
    let state = visit.client.moderation(MediaKind::Audio);
    assert!(state.whitelist.is_empty() && !state.is_enabled);
}

#[test]
fn a_defiant_client_unmutes_all_the_same() {
    let mut visit = Visit::with(Habits {
        is_defiant: true,
        ..Habits::default()
    });
    visit.meet(Role::Participant);
    let json = r#"{"type":"av_moderation","mediaType":"video","enabled":true}"#;
    visit.component_says("av_moderation", json);
    visit.say_stanza(&mute_iq("video", "true"));
    assert!(!visit.client.is_muted(MediaType::Video));
}

#[test]
fn moderators_mute_allow_and_forbid() {
    let mut visit = Visit::new();
    visit.meet(Role::Moderator);
    visit.act(|client, now| client.mute_other(now, "99999999", MediaKind::Video));
    let mute = visit.expect("to=\"tea@conference.localhost/focus\"");
    assert!(
        mute.contains("xmlns='http://jitsi.org/jitmeet/video'")
            && mute.contains("jid='tea@conference.localhost/99999999'")
            && mute.contains(">true<"),
        "{mute}"
    );
    visit.refuse("<mute ", Condition::NotAllowed);
    let (deed, outcome) = (
        Deed::Mute(MediaKind::Video),
        Outcome::Refused(Condition::NotAllowed),
    );
    assert_eq!(visit.notices, [Notice::Answered { deed, outcome }]);
    visit.act(|client, now| client.set_moderation(now, MediaKind::Desktop, true));
    let enable = visit.expect("to=\"avmoderation.localhost\"");
    assert!(enable.contains("enable='true'") && enable.contains("mediaType='desktop'"));
    let occupant = "='tea@conference.localhost/99999999'";
    visit.act(|client, now| client.approve(now, MediaKind::Audio, "99999999", true));
    visit.expect(&format!("jidToWhitelist{occupant}"));
    visit.act(|client, now| client.approve(now, MediaKind::Audio, "99999999", false));
    visit.expect(&format!("jidToBlacklist{occupant}"));
}

#[test]
fn moderators_kick_grant_revoke_lock_and_end() {
    let mut visit = Visit::new();
    visit.meet(Role::Moderator);
    visit.say_stanza(&presence("99999999", "romeo@localhost/y"));
    visit.act(|client, now| client.kick(now, "99999999"));
    assert!(visit.expect("role='none'").contains("nick='99999999'"));
    visit.answer("role='none'", None);
    let (deed, outcome) = (Deed::Kick, Outcome::Done);
    assert_eq!(visit.notices, [Notice::Answered { deed, outcome }]);
    visit.act(|client, now| client.grant_moderator(now, "99999999"));
    let grant = visit.expect("affiliation='owner'");
    assert!(
        grant.contains("jid='romeo@localhost'"),
        "the bare address: {grant}"
    );
    visit.act(|client, now| client.revoke_moderator(now, "99999999"));
    visit.expect("affiliation='member'");
    let room: jid::Jid = "tea@conference.localhost".parse().unwrap();
    let changed = UserX::default().with_status(104).to_element();
    let changed = Stanza::new(Kind::Message)
        .with_from(room)
        .with_child(changed);
    visit.say_stanza(&changed);
    visit.describe_room(&["muc_membersonly"], &[]);
    assert!(visit.client.room_info().is_members_only);
    visit.act(|client, now| client.set_password(now, Some("rose")));
    let form =
        DataForm::new(FormType::Form, ns::MUC_ROOM_CONFIG).with("muc#roomconfig_roomsecret", "");
    let query = Element::builder("query", ns::MUC_OWNER)
        .append(form.to_element())
        .build();
    visit.answer("muc#owner", Some(query));
    let lock = visit.expect("muc#roomconfig_roomsecret");
    for part in [
        "<value>rose</value>",
        "membersonly",
        "whois",
        "<value>1</value>",
    ] {
        assert!(lock.contains(part), "{part} in {lock}");
    }
    visit.act(|client, now| client.set_subject(now, "Verona"));
    visit.expect(">Verona</subject>");
    visit.act(|client, now| client.end_conference(now));
    visit.expect("to=\"endconference.localhost\"");
    let destroy = UserX::default().with_destroy(tertulia_stanza::muc::Destroy {
        alternative: None,
        reason: Some("The meeting has been terminated".to_owned()),
    });
    let end = Stanza::new(Kind::Presence)
        .with_from(occupant("1a2b3c4d"))
        .with_type("unavailable")
        .with_child(destroy.to_element());
    visit.say_stanza(&end);
    let reason = Some("The meeting has been terminated".to_owned());
    let trouble = Trouble::RoomDestroyed(reason);
    assert!(visit.notices.contains(&Notice::Trouble(trouble)));
    assert!(visit.client.is_over());
}

#[test]
fn begins_muted_where_the_room_wants_it_so() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    let request = visit.frames.pop().unwrap();
    visit.announce_components();
    visit.frames.push(request);
    visit.conference_is_ready();
    let json = r#"{"type":"room_metadata","metadata":{"startMuted":{"audio":true}}}"#;
    visit.component_says("room_metadata", json);
    assert_eq!(visit.notices, [Notice::StartsMuted(MediaType::Audio)]);
    visit.say_stanza(&presence("1a2b3c4d", ME));
    assert!(visit.client.is_muted(MediaType::Audio) && !visit.client.is_muted(MediaType::Video));
    // Afterwards it is for others.
    visit.act(|client, now| client.mute(now, MediaType::Audio, false));
    visit.component_says("room_metadata", json);
    assert!(!visit.client.is_muted(MediaType::Audio));
}
