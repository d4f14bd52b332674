//! One thing after the other.

use tertulia_model::bridge::{DisconnectReason, MayForward};
use tertulia_stanza::sources::MediaSources;

use super::*;
use ParticipantState::{Accepted, Idle, Invited};

#[test]
fn two_are_invited_and_know_each_other() {
    let mut w = World::with(&["ann"]);
    assert_eq!(w.states(), [Idle], "a lone participant has no session");
    w.join("bob");
    w.run();
    assert_eq!(w.states(), [Accepted, Accepted]);
    w.check_knowledge();
    w.join("cat");
    w.run();
    w.check_knowledge();
    assert_eq!(
        w.log("cat"),
        ["session-initiate"],
        "the others' sources are in the offer"
    );
}

#[test]
fn the_offer_leads_to_the_bridge_channel() {
    let mut w = World::with(&["ann"]);
    w.clients.get_mut("ann").unwrap().answers_nothing = true;
    w.join("bob");
    w.wait(2);
    w.bridge_step();
    let offer = w.inbox["ann"]
        .iter()
        .find_map(|s| s.child("jingle", ns::JINGLE));
    let jingle = offer.map(|element| Jingle::parse(element).unwrap());
    if let Some(jingle) = jingle {
        let url = jingle.contents[0]
            .transport
            .as_ref()
            .unwrap()
            .web_socket
            .clone()
            .unwrap();
        assert_eq!(
            url,
            "wss://192.0.2.1:8443/colibri-ws/node/conf/ann?pwd=a%2Fb"
        );
    }
}

#[test]
fn the_result_comes_first_and_the_bridge_learns_transport_and_sources() {
    let mut w = World::with(&["ann"]);
    w.join("bob");
    w.commands.clear();
    w.run();
    let connects = |c: &&BridgeCommand| matches!(c, BridgeCommand::Connect { .. });
    assert_eq!(w.commands.iter().filter(connects).count(), 2);
    let sources = w.commands.iter().rev().find_map(|c| match c {
        BridgeCommand::SetSources { sources, .. } => Some(sources.len()),
        _ => None,
    });
    assert_eq!(sources, Some(2));
}

#[test]
fn the_last_one_keeps_its_session_for_a_while() {
    let mut w = World::with(&["ann", "bob"]);
    w.leave("bob");
    w.run();
    assert_eq!(
        w.log("ann"),
        ["session-initiate", "source-add"],
        "no source-remove on leave"
    );
    w.wait(19);
    assert_eq!(w.states(), [Accepted]);
    w.join("cat");
    w.run();
    w.check_knowledge();
    w.leave("cat");
    w.commands.clear();
    w.wait(21);
    assert_eq!(w.states(), [Idle]);
    assert!(w.log("ann").contains(&"session-terminate".to_owned()));
    assert!(
        matches!(w.commands.as_slice(), [.., BridgeCommand::Close]),
        "{:?}",
        w.commands
    );
    w.join("dan");
    w.run();
    assert_eq!(w.states(), [Accepted, Accepted]);
    w.check_knowledge();
}

#[test]
fn when_all_are_gone_nothing_is_left() {
    let mut w = World::with(&["ann", "bob"]);
    w.leave("ann");
    w.leave("bob");
    assert!(matches!(w.commands.last(), Some(BridgeCommand::Close)));
    assert_eq!(w.focus.next_timeout(), None);
    assert!(w.focus.by_allocation.is_empty());
}

#[test]
fn leaving_during_allocation_expires_it() {
    let mut w = World::with(&["ann"]);
    w.join("bob");
    w.client_step("bob");
    w.leave("bob");
    let expired = w
        .commands
        .iter()
        .filter(|c| matches!(c, BridgeCommand::Expire { .. }))
        .count();
    assert_eq!(expired, 1);
    w.run();
    assert_eq!(
        w.states(),
        [Accepted],
        "late events of the gone one are nothing"
    );
}

#[test]
fn a_client_that_says_nothing_gets_the_least_and_is_left_in_peace_in_the_end() {
    let mut w = World::with(&["ann", "bob"]);
    w.join("mute");
    w.clients.get_mut("mute").unwrap().answers_nothing = true;
    w.run();
    w.wait(2);
    assert_eq!(w.states(), [Accepted, Accepted, Invited]);
    w.wait(300);
    assert_eq!(
        w.states(),
        [Accepted, Accepted, Idle],
        "nobody else notices"
    );
    w.check_knowledge();
    assert_eq!(w.focus.next_timeout(), None);
}

#[test]
fn a_chat_client_is_not_invited_and_does_not_count() {
    let mut w = World::with(&["ann"]);
    w.join("chat");
    let query = w.inbox.get_mut("chat").unwrap().pop_front().unwrap();
    let info = DiscoInfo::default().with_features([ns::PING]);
    w.send("chat", &query.result().with_child(info.to_element()));
    w.run();
    assert_eq!(w.states(), [Idle, Idle]);
}

#[test]
fn sources_come_and_go() {
    let mut w = World::with(&["ann", "bob", "cat"]);
    w.add("ann");
    w.run();
    w.check_knowledge();
    w.remove("ann");
    w.run();
    w.check_knowledge();
    let log = w.log("bob");
    assert_eq!(log[log.len() - 2..], ["source-add", "source-remove"]);
}

#[test]
fn a_collision_is_refused_and_nobody_else_notices() {
    let mut w = World::with(&["ann", "bob"]);
    let taken = *w.clients["ann"].sending.first().unwrap();
    w.iq("bob", |_, sid| {
        let mut sources = EndpointSources::default();
        let source = SourceDescription::new(Ssrc(taken), "bob-a5", "bob-5 t");
        sources.audio.sources.push(source);
        Some(with_sources(Action::SourceAdd, sid, &sources))
    });
    assert_eq!(w.errors("bob"), ["bad-request"]);
    w.check_knowledge();
}

#[test]
fn beyond_the_limit_of_sources() {
    let mut w = World::with(&["ann", "bob"]);
    w.iq("bob", |_, sid| {
        let many = (0..19).map(|i| {
            SourceDescription::new(
                Ssrc(5_000 + i),
                &format!("bob-a{}", 50 + i),
                &format!("{i} t"),
            )
        });
        let audio = MediaSources {
            sources: many.collect(),
            groups: vec![],
        };
        let sources = EndpointSources {
            audio,
            ..Default::default()
        };
        Some(with_sources(Action::SourceAdd, sid, &sources))
    });
    assert_eq!(w.errors("bob"), ["bad-request"]);
    w.check_knowledge();
}

#[test]
fn wrong_accepts_are_refused() {
    let mut w = World::with(&["ann"]);
    w.join("bob");
    w.client_step("bob");
    while w.bridge_step() {}
    let offer = w.inbox["bob"]
        .back()
        .unwrap()
        .child("jingle", ns::JINGLE)
        .unwrap()
        .clone();
    let sid = Jingle::parse(&offer).unwrap().sid;
    let attempt = |w: &mut World, jingle: &Jingle| {
        w.inbox.clear();
        w.send("bob", &jingle_iq(jingle));
        w.inbox["bob"][0].error_condition()
    };
    let none = EndpointSources::default();
    let mut bare = accept(&sid, &none);
    bare.contents[0].transport = None;
    assert_eq!(
        attempt(&mut w, &bare),
        Some(Condition::BadRequest),
        "no transport"
    );
    let mut half = accept(&sid, &none);
    half.contents[0].transport.as_mut().unwrap().fingerprint = None;
    assert_eq!(
        attempt(&mut w, &half),
        Some(Condition::BadRequest),
        "no fingerprint"
    );
    let stale = accept("other", &none);
    assert_eq!(attempt(&mut w, &stale), Some(Condition::ItemNotFound));
    let add = with_sources(Action::SourceAdd, &sid, &none);
    assert_eq!(
        attempt(&mut w, &add),
        Some(Condition::UnexpectedRequest),
        "before the accept"
    );
    let mut foreign = accept(&sid, &none);
    let source = SourceDescription::new(Ssrc(77), "ann-a7", "x t");
    let description = foreign.contents[0].description.as_mut().unwrap();
    description.sources.push((source, Some("ann".to_owned())));
    assert_eq!(
        attempt(&mut w, &foreign),
        Some(Condition::BadRequest),
        "another's source"
    );
    assert_eq!(attempt(&mut w, &accept(&sid, &none)), None);
    assert_eq!(
        attempt(&mut w, &accept(&sid, &none)),
        Some(Condition::UnexpectedRequest),
        "twice"
    );
    let unknown = Jingle::new(Action::Other("content-modify".to_owned()), &sid);
    assert_eq!(
        attempt(&mut w, &unknown),
        Some(Condition::FeatureNotImplemented)
    );
    let info = Jingle::new(Action::TransportInfo, &sid);
    assert_eq!(attempt(&mut w, &info), None);
}

#[test]
fn malformed_jingle_and_unknown_requests_are_answered() {
    let mut w = World::with(&["ann", "bob"]);
    let broken: Element = "<jingle xmlns='urn:xmpp:jingle:1'/>".parse().unwrap();
    w.send("bob", &Stanza::iq("set", "1").with_child(broken));
    w.send(
        "bob",
        &Stanza::iq("set", "2").with_child(Element::bare("mute", "unknown")),
    );
    w.send("bob", &Stanza::iq("get", "3"));
    let expected = ["bad-request", "service-unavailable", "service-unavailable"];
    assert_eq!(w.errors("bob"), expected);
    w.send("bob", &Stanza::iq("result", "nobody-asked"));
    w.send("nobody", &Stanza::iq("get", "3"));
    assert!(w.inbox.values().all(VecDeque::is_empty));
}

#[test]
fn a_restart_is_answered_first_and_limited() {
    let mut w = World::with(&["ann", "bob"]);
    w.restart("ann");
    let first = w.inbox["ann"].front().unwrap();
    assert!(first.is_type("result"), "{first}");
    w.run();
    assert_eq!(w.states(), [Accepted, Accepted]);
    w.check_knowledge();
    let log = w.log("bob");
    assert_eq!(log[log.len() - 2..], ["source-remove", "source-add"]);
    w.restart("ann");
    assert_eq!(w.errors("ann"), ["resource-constraint"], "too soon");
    assert_eq!(w.states(), [Idle, Accepted]);
    w.check_knowledge();
}

#[test]
fn a_restart_names_its_transport() {
    let mut w = World::with(&["ann", "bob"]);
    w.clients.get_mut("ann").unwrap().bridge_session = "old".to_owned();
    w.restart("ann");
    assert_eq!(w.errors("ann"), ["item-not-found"]);
    assert_eq!(w.states(), [Accepted, Accepted]);
}

#[test]
fn who_ends_its_session_is_not_invited_again() {
    let mut w = World::with(&["ann", "bob", "cat"]);
    w.iq("ann", |client, sid| {
        client.sid = None;
        client.sending.clear();
        Some(Jingle::new(Action::SessionTerminate, sid))
    });
    w.run();
    assert_eq!(w.states(), [Idle, Accepted, Accepted]);
    w.check_knowledge();
    w.join("dan");
    w.run();
    assert_eq!(w.states()[0], Idle);
}

#[test]
fn a_dead_transport_is_replaced_at_once_and_then_more_slowly() {
    let mut w = World::with(&["ann", "bob"]);
    let lose = |w: &mut World| {
        let (allocation, reason) = (w.allocation("ann"), DisconnectReason::IceFailed);
        w.bridge(BridgeEvent::Disconnected { allocation, reason });
        w.run();
    };
    lose(&mut w);
    assert_eq!(w.states(), [Accepted, Accepted]);
    w.check_knowledge();
    lose(&mut w);
    assert_eq!(w.states(), [Idle, Accepted], "it never came up: wait");
    w.wait(5);
    assert_eq!(w.states(), [Accepted, Accepted]);
    let allocation = w.allocation("ann");
    w.bridge(BridgeEvent::Connected { allocation });
    assert_eq!(w.focus.is_active(&id("ann")), Some(true));
    lose(&mut w);
    assert_eq!(w.states(), [Accepted, Accepted], "it had come up: at once");
    w.check_knowledge();
}

#[test]
fn a_bridge_that_fails_is_shown_and_everybody_comes_back() {
    let mut w = World::with(&["ann", "bob", "cat"]);
    w.bridge_is_down = true;
    w.bridge(BridgeEvent::Failed);
    w.run();
    assert_eq!(w.states(), [Idle, Idle, Idle]);
    let shown = |w: &World| {
        w.focus
            .presence()
            .iter()
            .any(|e| e.is("bridgeNotAvailable", ns::FOCUS))
    };
    assert!(shown(&w));
    w.wait(30);
    assert_eq!(w.states(), [Idle, Idle, Idle]);
    w.bridge_is_down = false;
    w.wait(60);
    assert_eq!(w.states(), [Accepted, Accepted, Accepted]);
    assert!(!shown(&w));
    w.check_knowledge();
    assert!(!w.log("ann").contains(&"source-remove".to_owned()));
}

#[test]
fn nobody_is_invited_without_a_socket() {
    let mut w = World::with(&["ann", "bob"]);
    w.focus.set_paused(w.now, &id("ann"), true);
    let (allocation, reason) = (w.allocation("ann"), DisconnectReason::IceFailed);
    w.bridge(BridgeEvent::Disconnected { allocation, reason });
    w.run();
    assert_eq!(w.states(), [Idle, Accepted]);
    w.focus.set_paused(w.now, &id("ann"), false);
    w.drain();
    w.run();
    assert_eq!(w.states(), [Accepted, Accepted]);
    w.check_knowledge();
}

#[test]
fn rights_reach_the_bridge_with_every_allocation() {
    let mut w = World::with(&["ann", "bob"]);
    w.commands.clear();
    let silent = MayForward {
        audio: false,
        ..MayForward::ALL
    };
    w.focus.set_may_forward(&id("ann"), silent);
    w.drain();
    let forward = |c: &BridgeCommand| match c {
        BridgeCommand::SetMayForward { may, .. } => Some(*may),
        _ => None,
    };
    assert_eq!(w.commands.iter().find_map(forward), Some(silent));
    w.commands.clear();
    w.restart("ann");
    assert_eq!(w.commands.iter().find_map(forward), Some(silent));
}

fn without_rewriting() -> Config {
    Config {
        has_ssrc_rewriting: false,
        ..config()
    }
}

fn rewriting_asked_for(w: &World) -> Vec<bool> {
    let offer = |c: &BridgeCommand| match c {
        BridgeCommand::Allocate { offer, .. } => Some(offer.has_ssrc_rewriting),
        _ => None,
    };
    w.commands.iter().filter_map(offer).collect()
}

/// In one room: who has its sources rewritten hears of nobody's, everybody else of all.
#[test]
fn rewriting_is_the_bridges_business() {
    let mut w = World::new();
    w.join_as("ann", true);
    w.join("bob");
    for name in ["ann", "bob"] {
        w.client_step(name);
    }
    assert_eq!(rewriting_asked_for(&w), [true, false]);
    while w.bridge_step() {}
    let offer = w.inbox["ann"].back().unwrap();
    let jingle = Jingle::parse(offer.child("jingle", ns::JINGLE).unwrap()).unwrap();
    let owners: Vec<String> = jingle.sources("nobody").into_keys().collect();
    assert_eq!(owners, ["jvb"], "the bridge's own sources and no others");
    w.run();
    w.join_as("cat", true);
    w.run();
    w.add("cat");
    w.add("bob");
    w.run();
    w.remove("bob");
    w.leave("cat");
    w.run();
    assert_eq!(w.log("ann"), ["session-initiate"]);
    let bobs = ["session-initiate", "source-add", "source-add", "source-add"];
    assert_eq!(w.log("bob"), bobs, "ann's, cat's, cat's second");
    w.check_knowledge();
}

/// COMPAT(lib-jitsi-meet): a client that expects rewriting does not drop sources by itself.
#[test]
fn who_misses_rewriting_is_told_when_somebody_leaves() {
    let mut w = World::of(without_rewriting());
    w.join_as("ann", true);
    w.join("bob");
    w.join("cat");
    w.run();
    assert!(rewriting_asked_for(&w).is_empty());
    w.leave("cat");
    w.run();
    let log = w.log("ann");
    assert_eq!(log.last().map(String::as_str), Some("source-remove"));
    assert!(!w.log("bob").contains(&"source-remove".to_owned()));
    w.check_knowledge();
}

/// The first word on what a client can counts for a session; a later one for the next.
#[test]
fn what_is_said_too_late_counts_for_the_next_session() {
    let mut w = World::with(&["bob"]);
    w.join_as("ann", true);
    let query = w.inbox.get_mut("ann").unwrap().pop_front().unwrap();
    w.wait(2);
    w.run();
    let features = BROWSER.into_iter().chain([ns::SSRC_REWRITING]);
    let info = DiscoInfo::default().with_features(features);
    w.send("ann", &query.result().with_child(info.to_element()));
    w.add("bob");
    w.run();
    assert_eq!(w.clients["ann"].known["bob"], w.clients["bob"].sending);
    w.restart("ann");
    w.run();
    w.check_knowledge();
    assert!(w.clients["ann"].known.is_empty());
}

#[test]
fn what_was_missed_comes_in_one_word() {
    let mut w = World::with(&["ann", "bob", "cat"]);
    w.join("dan");
    w.client_step("dan");
    while w.bridge_step() {}
    w.add("ann");
    w.remove("bob");
    w.add("cat");
    w.run();
    let expected = ["session-initiate", "source-remove", "source-add"];
    assert_eq!(w.log("dan"), expected);
    w.check_knowledge();
}

/// What a join costs the others does not grow with their number: one stanza, or none.
#[test]
fn a_join_costs_each_of_the_others_one_word_at_most() {
    let mut w = World::new();
    let names: Vec<String> = (0..20).map(|i| format!("p{i}")).collect();
    for (index, name) in names.iter().enumerate() {
        w.join_as(name, index % 2 == 0);
        w.run();
        let newcomer = w.log(name);
        for (other, known) in names[..index].iter().enumerate() {
            let log = w.log(known);
            if index < 2 {
                continue;
            }
            let expected = if other % 2 == 0 {
                &[][..]
            } else {
                &["source-add"]
            };
            assert_eq!(log, expected, "{known} when {name} comes");
            assert_eq!(newcomer, ["session-initiate"]);
        }
    }
    w.check_knowledge();
}
