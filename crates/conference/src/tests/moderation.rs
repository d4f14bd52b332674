//! A/V moderation, and muting others.

use serde_json::{Value, json};
use tertulia_model::MayForward;
use tertulia_stanza::WithAttribute;
use tertulia_stanza::mute::{MuteMedia, MuteRequest};

use super::wire::*;
use super::*;

fn command(attributes: &str) -> Stanza {
    to_service("avmoderation", &format!("<av_moderation {attributes}/>"))
}

fn mute(media: &str, whom: &str, text: &str) -> Stanza {
    let mute: Element =
        format!("<mute xmlns='http://jitsi.org/jitmeet/{media}' jid='{whom}'>{text}</mute>")
            .parse()
            .unwrap();
    Stanza::iq("set", "m").with_to(to("focus")).with_child(mute)
}

const BOB: &str = "tea@conference.localhost/bob";
const ANN: &str = "tea@conference.localhost/ann";

/// The mute iqs that somebody got from the focus, by their namespace's last word and actor.
fn mutes(w: &World, session: u64) -> Vec<String> {
    let got = w.got.get(&session).into_iter().flatten();
    let mutes = got.filter(|s| s.kind == Kind::Iq && s.is_type("set"));
    mutes
        .filter_map(|stanza| {
            assert_eq!(stanza.from, Some(to("focus")));
            let mute = stanza.children().iter().find(|c| c.name() == "mute")?;
            assert_eq!(mute.text(), "true");
            let media = mute.ns().rsplit('/').next().unwrap_or_default().to_owned();
            Some(format!("{media} {}", mute.attr("actor").unwrap_or("-")))
        })
        .collect()
}

fn may(w: &World, nick: &str) -> MayForward {
    let hall = w.conference.main_hall();
    let occupant = hall.room.occupant_named(nick).expect(nick);
    let may = |act| tertulia_room::rights::may(occupant, act);
    use tertulia_room::rights::Act;
    MayForward {
        audio: may(Act::Speak),
        camera: may(Act::ShowCamera),
        screen: may(Act::ShowScreen),
        messages: may(Act::Chat),
    }
}

#[test]
fn nobody_speaks_until_a_moderator_lets_them() {
    let mut w = World::of_three();
    w.send(1, command("enable='true' mediaType='audio'"));
    assert_eq!(mutes(&w, 2), ["audio -"]);
    assert_eq!(mutes(&w, 1), [] as [&str; 0], "not the one who wanted it");
    let enabled = json!({ "type": "av_moderation", "room": "tea@conference.localhost",
        "mediaType": "audio", "enabled": true, "actor": ANN });
    assert_eq!(w.said(2, "avmoderation"), std::slice::from_ref(&enabled));
    let said = w.said(1, "avmoderation");
    assert_eq!(
        said[1]["whitelists"],
        json!({ "audio": [ANN] }),
        "its own list"
    );
    assert!(!may(&w, "bob").audio && may(&w, "bob").camera && may(&w, "ann").audio);
    w.send(1, command("enable='true' mediaType='audio'"));
    assert!(
        w.said(2, "avmoderation").is_empty(),
        "a second time is nothing"
    );

    w.got.clear();
    w.send(
        1,
        command(&format!("jidToWhitelist='{BOB}' mediaType='audio'")),
    );
    let approved = json!({ "type": "av_moderation", "room": "tea@conference.localhost",
        "mediaType": "audio", "approved": true });
    assert_eq!(w.said(2, "avmoderation"), [approved]);
    assert_eq!(
        w.said(1, "avmoderation")[0]["whitelists"]["audio"],
        json!([ANN, BOB])
    );
    assert!(w.said(3, "avmoderation").is_empty(), "nobody else is told");
    assert!(may(&w, "bob").audio && !may(&w, "cat").audio);

    w.join(4, "dan");
    assert_eq!(w.said(4, "avmoderation"), [enabled]);
    assert!(!may(&w, "dan").audio);

    w.send(
        1,
        command(&format!("jidToBlacklist='{BOB}' mediaType='audio'")),
    );
    assert_eq!(mutes(&w, 2), ["audio -"]);
    assert_eq!(w.said(2, "avmoderation")[0]["removed"], true);
    let lists = w.said(1, "avmoderation").remove(0);
    assert_eq!(
        (&lists["removed"], &lists["whitelists"]["audio"]),
        (&json!(true), &json!([ANN]))
    );
    assert!(!may(&w, "bob").audio);

    w.send(1, command("enable='false' mediaType='audio'"));
    assert_eq!(w.said(3, "avmoderation")[0]["enabled"], false);
    assert_eq!(may(&w, "cat"), MayForward::ALL);
    assert!(!w.journal.keys().any(|key| key.contains("av-moderation")));
}

#[test]
fn the_bridge_is_told_before_the_client_could_lie() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
        w.tell_features(session);
    }
    answer_bridge(&mut w);
    w.commands.clear();
    w.send(1, command("enable='true' mediaType='desktop'"));
    let told: Vec<bool> = w
        .commands
        .iter()
        .filter_map(|command| match command {
            BridgeCommand::SetMayForward { may, .. } => Some(may.screen),
            _ => None,
        })
        .collect();
    assert_eq!(told, [false, false], "two of three");
}

#[test]
fn newcomers_start_muted_meanwhile_and_as_before_afterwards() {
    let mut w = World::of_three();
    let policy = |w: &World| w.conference.main_hall().metadata.start_muted();
    w.send(1, command("enable='true' mediaType='video'"));
    w.send(1, command("enable='true' mediaType='desktop'"));
    assert!(policy(&w).video && !policy(&w).audio);
    w.send(1, command("enable='false' mediaType='video'"));
    assert!(!policy(&w).video);
    let metadata = Element::builder("room_metadata", ns::JITSI_MEET)
        .with("room", "tea@conference.localhost")
        .append(r#"{"key":"startMuted","data":{"audio":true}}"#)
        .build();
    w.send(1, to_service_with("metadata", metadata));
    w.send(1, command("enable='true' mediaType='audio'"));
    let mut w = w.after_a_crash(&[(11, "ann")]);
    w.send(11, command("enable='false' mediaType='audio'"));
    assert!(policy(&w).audio, "it was wanted before");
}

#[test]
fn moderators_are_approved_and_stay_so() {
    let mut w = World::of_three();
    w.send(1, command("enable='true' mediaType='audio'"));
    w.got.clear();
    w.send(1, admin("<item affiliation='owner' jid='u2@localhost'/>"));
    for moderator in [1, 2] {
        let lists = w.said(moderator, "avmoderation");
        assert_eq!(lists[0]["whitelists"]["audio"], json!([ANN, BOB]));
    }
    w.got.clear();
    w.send(1, admin("<item affiliation='none' jid='u2@localhost'/>"));
    assert!(may(&w, "bob").audio, "who has the word keeps it");
    let said = w.said(2, "avmoderation");
    assert_eq!(said.len(), 1, "and is told so, once: {said:?}");
    assert_eq!(
        (&said[0]["approved"], &said[0]["mediaType"]),
        (&json!(true), &json!("audio"))
    );
    w.send(1, command("enable='true' mediaType='video'"));
    let said = w.said(2, "avmoderation");
    assert!(said.iter().all(|said| said.get("approved").is_none()));
    w.send(
        1,
        command(&format!("jidToBlacklist='{ANN}' mediaType='audio'")),
    );
    assert!(may(&w, "ann").audio, "who moderates needs no approval");
}

#[test]
fn who_is_thrown_out_comes_back_without_the_word() {
    let mut w = World::of_three();
    w.send(1, command("enable='true' mediaType='audio'"));
    w.send(
        1,
        command(&format!("jidToWhitelist='{BOB}' mediaType='audio'")),
    );
    w.session(2, SessionChange::Ended(EndReason::Closed));
    w.request(4, "bob");
    w.join(4, "bob");
    assert!(may(&w, "bob").audio, "who only reloads keeps it");
    w.send(1, admin("<item nick='bob' role='none'/>"));
    w.request(5, "bob");
    w.join(5, "bob");
    assert!(!may(&w, "bob").audio);
    assert_eq!(
        w.journal
            .keys()
            .filter(|key| key.contains("audio/"))
            .count(),
        1
    );
}

#[test]
fn who_opens_the_page_again_is_told_again_what_it_may() {
    let mut w = World::of_three();
    for media in ["audio", "video"] {
        w.send(1, command(&format!("enable='true' mediaType='{media}'")));
    }
    w.send(
        1,
        command(&format!("jidToWhitelist='{BOB}' mediaType='audio'")),
    );
    w.session(2, SessionChange::Ended(EndReason::Closed));
    w.got.clear();
    w.request(4, "bob");
    w.join(4, "bob2");
    let said = w.said(4, "avmoderation");
    let told: Vec<_> = said
        .iter()
        .map(|said| {
            let what = ["enabled", "approved"].map(|key| said[key] == true);
            (said["mediaType"].as_str().unwrap(), what)
        })
        .collect();
    // COMPAT(lib-jitsi-meet): an approval before the news that it is needed means nothing to it.
    assert_eq!(
        told,
        [
            ("audio", [true, false]),
            ("audio", [false, true]),
            ("video", [true, false]),
        ]
    );
    assert!(may(&w, "bob2").audio && !may(&w, "bob2").camera);
    assert!(w.said(3, "avmoderation").is_empty(), "nobody else's news");
    w.request(5, "dan");
    w.join(5, "dan");
    let said = w.said(5, "avmoderation");
    assert!(said.iter().all(|said| said.get("approved").is_none()));
}

#[test]
fn after_a_crash_the_same_people_are_approved() {
    let mut w = World::of_three();
    w.send(1, command("enable='true' mediaType='audio'"));
    w.send(
        1,
        command(&format!("jidToWhitelist='{BOB}' mediaType='audio'")),
    );
    let people = [(12, "bob"), (13, "cat"), (11, "ann")];
    let mut w = w.after_a_crash(&people);
    assert!(may(&w, "bob").audio && !may(&w, "cat").audio && may(&w, "ann").audio);
    let said = w.said(12, "avmoderation");
    assert_eq!(
        (&said[0]["enabled"], &said[1]["approved"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(said[0]["actor"], ANN);
    assert_eq!(w.said(13, "avmoderation").len(), 1);
    let lists = w.said(11, "avmoderation");
    assert_eq!(lists[1]["whitelists"]["audio"], json!([BOB, ANN]));
}

#[test]
fn without_moderation_an_approval_is_a_question() {
    let mut w = World::of_three();
    w.send(
        1,
        command(&format!("jidToWhitelist='{BOB}' mediaType='video'")),
    );
    let said = w.said(2, "avmoderation");
    assert_eq!(
        (&said[0]["approved"], &said[0]["from"]),
        (&json!(true), &json!(ANN))
    );
    w.send(
        1,
        command(&format!("jidToBlacklist='{BOB}' mediaType='video'")),
    );
    assert_eq!(w.said(2, "avmoderation"), [] as [Value; 0]);
    assert!(may(&w, "bob").camera);
}

#[test]
fn bad_commands_change_nothing() {
    let mut w = World::of_three();
    use Condition::{BadRequest, FeatureNotImplemented, Forbidden, ItemNotFound, JidMalformed};
    let enable = command("enable='true' mediaType='audio'");
    w.check_refused(2, enable.clone(), Forbidden);
    w.check_refused(9, enable.clone(), Forbidden);
    for bad in [
        "",
        "enable='true'",
        "mediaType='audio'",
        "enable='true' mediaType='smell'",
        "enable='1' mediaType='audio'",
        "enable='true' jidToWhitelist='x' mediaType='audio'",
    ] {
        w.check_refused(1, command(bad), BadRequest);
    }
    w.check_refused(1, to_service("avmoderation", "<other/>"), BadRequest);
    w.check_refused(1, to_service("avmoderation", ""), BadRequest);
    for (jid, expected) in [
        ("", JidMalformed),
        ("tea@conference.localhost", ItemNotFound),
        ("tea@conference.localhost/nobody", ItemNotFound),
        ("tea@conference.localhost/focus", ItemNotFound),
        ("other@conference.localhost/bob", ItemNotFound),
        ("u2@localhost/r", ItemNotFound),
    ] {
        for list in ["jidToWhitelist", "jidToBlacklist"] {
            let bad = format!("{list}='{jid}' mediaType='audio'");
            w.check_refused(1, command(&bad), expected);
        }
    }
    w.change(|rules| rules.has_av_moderation = false);
    w.check_refused(1, enable, FeatureNotImplemented);
}

#[test]
fn moderators_mute_others_and_nobody_unmutes_them() {
    let mut w = World::of_three();
    for media in MuteMedia::ALL {
        w.got.clear();
        w.send(1, mute(media.as_str(), BOB, "true"));
        let result = w.last(1);
        assert!(result.is_type("result") && result.id.as_deref() == Some("m"));
        assert_eq!(result.from, Some(to("focus")));
        assert_eq!(mutes(&w, 2), [format!("{} {ANN}", media.as_str())]);
        assert_eq!(mutes(&w, 3), [] as [&str; 0]);
    }
    w.check_refused(1, mute("audio", BOB, "false"), Condition::NotAllowed);
    w.check_refused(2, mute("audio", ANN, "true"), Condition::NotAllowed);
    for (whom, expected) in [
        ("tea@conference.localhost/nobody", Condition::ItemNotFound),
        ("other@conference.localhost/bob", Condition::ItemNotFound),
        ("tea@conference.localhost", Condition::BadRequest),
        ("@", Condition::BadRequest),
    ] {
        w.check_refused(1, mute("audio", whom, "true"), expected);
    }
    w.check_refused(1, mute("audio", BOB, "yes"), Condition::BadRequest);
    w.check_refused(9, mute("audio", BOB, "true"), Condition::NotAcceptable);
    assert_eq!(may(&w, "bob"), MayForward::ALL, "a mute can be undone");
}

#[test]
fn one_may_unmute_oneself_unless_a_moderator_has_to_approve() {
    let mut w = World::of_three();
    let unmute = mute("audio", BOB, "false");
    assert!(MuteRequest::parse(&unmute).unwrap().is_ok());
    w.send(2, unmute.clone());
    assert!(w.last(2).is_type("result"));
    w.send(1, command("enable='true' mediaType='audio'"));
    w.check_refused(2, unmute.clone(), Condition::NotAllowed);
    w.send(2, mute("video", BOB, "false"));
    assert!(w.last(2).is_type("result"), "only what is moderated");
    w.send(2, mute("audio", BOB, "true"));
    assert!(w.last(2).is_type("result"));
    assert_eq!(mutes(&w, 2), [] as [&str; 0]);
    w.send(
        1,
        command(&format!("jidToWhitelist='{BOB}' mediaType='audio'")),
    );
    w.send(2, unmute);
    assert!(w.last(2).is_type("result"));
}
