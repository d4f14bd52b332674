//! Broken transports, restarts and stanzas that come too late.

use tertulia_model::bridge::{Candidate, CandidateKind, DisconnectReason};

use super::*;
use ParticipantState::{Accepted, Idle};

/// What the bridge was told of ICE, in words.
fn ice_commands(w: &mut World) -> Vec<String> {
    let words = |command: BridgeCommand| match command {
        BridgeCommand::RestartIce { .. } => Some("restart".to_owned()),
        BridgeCommand::ReconnectIce {
            ice, candidates, ..
        } => Some(format!("{} {}", ice.ufrag, candidates.len())),
        _ => None,
    };
    w.take_commands().into_iter().filter_map(words).collect()
}

/// The last Jingle stanza that a client has not read.
fn unread(w: &World, name: &str) -> Option<Jingle> {
    let stanza = w.inbox[name].back()?;
    Some(Jingle::parse(stanza.child("jingle", ns::JINGLE)?).unwrap())
}

#[test]
fn ice_restarts_in_place() {
    let mut w = World::with(&["ann", "bob"]);
    let allocation = w.allocation("ann");
    w.take_commands();
    w.restart_ice("ann");
    let result = w.inbox.get_mut("ann").unwrap().pop_front().unwrap();
    assert!(result.is_type("result"), "{result}");
    assert_eq!(ice_commands(&mut w), ["restart"]);
    w.bridge(BridgeEvent::IceRestarted {
        allocation,
        ice: IceCredentials {
            ufrag: "new".to_owned(),
            pwd: "secret".to_owned(),
        },
        candidates: vec![Candidate {
            address: "192.0.2.1:10000".parse().unwrap(),
            kind: CandidateKind::Host,
            priority: 7,
        }],
    });
    let told = unread(&w, "ann").unwrap();
    assert_eq!(told.action, Action::TransportInfo);
    assert_eq!(told.contents.len(), 1);
    assert_eq!(told.contents[0].name, "audio");
    let transport = told.contents[0].transport.as_ref().unwrap();
    assert_eq!(transport.ice_generation, Some(1));
    assert_eq!(
        (transport.ufrag.as_deref(), transport.pwd.as_deref()),
        (Some("new"), Some("secret"))
    );
    assert_eq!(transport.candidates.len(), 1);
    w.run();
    assert_eq!(ice_commands(&mut w), ["cu1 0"]);
    w.wait(5);
    w.restart_ice("ann");
    w.run();
    assert_eq!(w.clients["ann"].ice_generation, 2);
    assert_eq!(ice_commands(&mut w), ["cu2 0"]);
    assert_eq!(w.allocation("ann"), allocation, "still the same session");
    w.check_knowledge();
}

#[test]
fn candidates_of_the_answer_reach_the_bridge_once() {
    let mut w = World::with(&["ann", "bob"]);
    w.restart_ice("ann");
    while w.bridge_step() {}
    let mut jingle = ice_answer(w.clients["ann"].sid.as_ref().unwrap(), 1);
    let candidate = |port: u16| tertulia_stanza::jingle::TransportCandidate {
        id: String::new(),
        foundation: String::new(),
        priority: 1,
        address: (std::net::Ipv4Addr::LOCALHOST, port).into(),
        type_: "host".to_owned(),
        related: None,
    };
    for content in &mut jingle.contents {
        let transport = content.transport.as_mut().unwrap();
        transport.candidates = (1..=30).map(candidate).collect();
    }
    w.take_commands();
    w.send("ann", &jingle_iq(&jingle));
    assert_eq!(ice_commands(&mut w), ["cu1 20"]);
}

#[test]
fn answers_of_another_ice_generation() {
    let mut w = World::with(&["ann", "bob"]);
    let sid = w.clients["ann"].sid.clone().unwrap();
    let attempt = |w: &mut World, jingle: &Jingle| {
        w.inbox.clear();
        w.send("ann", &jingle_iq(jingle));
        let reply = w.inbox["ann"].front().unwrap();
        (reply.error_condition(), ice_commands(w))
    };
    let refused = (Some(Condition::BadRequest), vec![]);
    let ignored = (None, vec![]);
    assert_eq!(
        attempt(&mut w, &ice_answer(&sid, 1)),
        refused,
        "never asked"
    );
    w.restart_ice("ann");
    while w.bridge_step() {}
    for wrong in [0, 2, u32::MAX] {
        assert_eq!(
            attempt(&mut w, &ice_answer(&sid, wrong)),
            refused,
            "{wrong}"
        );
    }
    let mut without_password = ice_answer(&sid, 1);
    for content in &mut without_password.contents {
        content.transport.as_mut().unwrap().pwd = None;
    }
    assert_eq!(attempt(&mut w, &without_password), refused);
    let mut long = ice_answer(&sid, 1);
    long.contents[0].transport.as_mut().unwrap().ufrag = Some("u".repeat(257));
    assert_eq!(attempt(&mut w, &long), refused);
    let accepted = (None, vec!["cu1 0".to_owned()]);
    assert_eq!(attempt(&mut w, &ice_answer(&sid, 1)), accepted);
    assert_eq!(attempt(&mut w, &ice_answer(&sid, 1)), ignored, "twice");
    w.wait(5);
    w.restart_ice("ann");
    assert_eq!(
        ice_commands(&mut w),
        ["restart"],
        "the bridge has not answered"
    );
    assert_eq!(attempt(&mut w, &ice_answer(&sid, 1)), ignored, "too late");
    let allocation = w.allocation("ann");
    w.wait(5);
    w.restart_ice("ann");
    assert_eq!(ice_commands(&mut w), ["restart"]);
    w.inbox.clear();
    let ice = transport().ice;
    let candidates = vec![];
    w.bridge(BridgeEvent::IceRestarted {
        allocation,
        ice: ice.clone(),
        candidates: candidates.clone(),
    });
    assert!(w.inbox.is_empty(), "another restart has been asked for");
    w.bridge(BridgeEvent::IceRestarted {
        allocation,
        ice,
        candidates,
    });
    let told = unread(&w, "ann").unwrap();
    let generation = told.transports().next().unwrap().ice_generation;
    assert_eq!(generation, Some(2));
    let plain = Jingle::new(Action::TransportInfo, &sid);
    assert_eq!(
        attempt(&mut w, &plain),
        ignored,
        "nothing about ICE restarts"
    );
}

#[test]
fn ice_restarts_are_refused() {
    let mut w = World::with(&["ann", "bob"]);
    w.clients.get_mut("bob").unwrap().bridge_session = "old".to_owned();
    w.restart_ice("bob");
    assert_eq!(w.errors("bob"), ["item-not-found"]);
    w.restart_ice("ann");
    w.restart_ice("ann");
    assert_eq!(w.errors("ann"), ["resource-constraint"], "too soon");
    assert_eq!(w.states(), [Accepted, Accepted]);

    let mut off = World::of(Config {
        has_ice_restart: false,
        ..config()
    });
    off.join("ann");
    off.join("bob");
    off.run();
    off.restart_ice("ann");
    assert_eq!(off.errors("ann"), ["feature-not-implemented"]);
}

#[test]
fn no_ice_restart_before_the_session_is_accepted() {
    let mut w = World::with(&["ann"]);
    w.join("bob");
    w.client_step("bob");
    while w.bridge_step() {}
    let offer = unread(&w, "bob").unwrap();
    let client = w.clients.get_mut("bob").unwrap();
    client.sid = Some(offer.sid);
    client.bridge_session = offer.bridge_session.unwrap().id;
    w.inbox.clear();
    w.restart_ice("bob");
    let reply = w.inbox["bob"].front().unwrap();
    assert_eq!(reply.error_condition(), Some(Condition::UnexpectedRequest));
}

/// rooms-and-focus 17, 21.
#[test]
fn ice_restarts_and_restarts_have_budgets_of_their_own() {
    let mut w = World::with(&["ann", "bob"]);
    for _ in 0..5 {
        w.restart_ice("ann");
        w.run();
        w.restart("ann");
        w.run();
        w.wait(6);
    }
    assert_eq!(w.errors("ann"), Vec::<String>::new());
    w.restart_ice("ann");
    assert_eq!(
        w.errors("ann"),
        ["resource-constraint"],
        "the sixth in a minute"
    );
    assert_eq!(w.states(), [Accepted, Accepted]);
    w.restart("ann");
    assert_eq!(w.errors("ann"), ["resource-constraint"]);
    assert_eq!(w.states(), [Idle, Accepted]);
}

#[test]
fn an_ice_restart_that_fails_becomes_a_new_session() {
    let mut w = World::with(&["ann", "bob"]);
    let allocation = w.allocation("ann");
    w.restart_ice("ann");
    let reason = DisconnectReason::IceFailed;
    w.bridge(BridgeEvent::Disconnected { allocation, reason });
    w.bridge(BridgeEvent::IceRestarted {
        allocation,
        ice: transport().ice,
        candidates: vec![],
    });
    w.run();
    assert_eq!(w.states(), [Accepted, Accepted]);
    assert_ne!(w.allocation("ann"), allocation);
    assert!(!w.log("ann").contains(&"transport-info".to_owned()));
    w.check_knowledge();
}

/// COMPAT(lib-jitsi-meet): old clients report a broken transport and wait for a new session.
#[test]
fn a_report_that_ice_failed() {
    let mut w = World::with(&["ann", "bob"]);
    let report = |w: &mut World, bridge_session: Option<&str>, state: &str| {
        let allocation = w.allocation("ann");
        w.iq("ann", |client, sid| {
            let mut jingle = Jingle::new(Action::SessionInfo, sid);
            jingle.ice_state = Some(state.to_owned());
            jingle.bridge_session = bridge_session.map(|id| BridgeSession {
                id: if id.is_empty() {
                    client.bridge_session.clone()
                } else {
                    id.to_owned()
                },
                ..Default::default()
            });
            Some(jingle)
        });
        w.run();
        assert_eq!(w.errors("ann"), Vec::<String>::new());
        assert_eq!(w.states(), [Accepted, Accepted]);
        w.check_knowledge();
        w.allocation("ann") != allocation
    };
    assert!(!report(&mut w, None, "failed"), "of no transport");
    assert!(!report(&mut w, Some("old"), "failed"), "of an old one");
    assert!(!report(&mut w, Some(""), "connected"));
    assert!(report(&mut w, Some(""), "failed"));
    assert!(!report(&mut w, Some(""), "failed"), "too soon");
    w.wait(5);
    assert!(report(&mut w, Some(""), "failed"));
}

#[test]
fn an_accept_that_comes_too_late_is_gone() {
    let mut w = World::with(&["ann"]);
    w.join("bob");
    w.client_step("bob");
    while w.bridge_step() {}
    let late = unread(&w, "bob").unwrap().sid;
    let (allocation, reason) = (w.allocation("bob"), DisconnectReason::Internal);
    w.bridge(BridgeEvent::Disconnected { allocation, reason });
    let attempt = |w: &mut World, jingle: &Jingle| {
        w.inbox.clear();
        w.send("bob", &jingle_iq(jingle));
        w.inbox["bob"].front().unwrap().error_condition()
    };
    let none = EndpointSources::default();
    let gone = attempt(&mut w, &accept(&late, &none));
    assert_eq!(gone, Some(Condition::Gone));
    let never = attempt(&mut w, &accept("never", &none));
    assert_eq!(never, Some(Condition::ItemNotFound));
    for action in ["source-add", "session-terminate", "session-info"] {
        let jingle = Jingle::new(Action::from_name(action), &late);
        assert_eq!(
            attempt(&mut w, &jingle),
            Some(Condition::ItemNotFound),
            "{action}"
        );
    }
}

#[test]
fn what_the_focus_does_not_do() {
    let mut w = World::with(&["ann", "bob"]);
    for action in [
        "content-modify",
        "content-add",
        "transport-replace",
        "transport-accept",
        "session-initiate",
    ] {
        w.iq("ann", |_, sid| {
            Some(Jingle::new(Action::from_name(action), sid))
        });
        assert_eq!(w.errors("ann"), ["feature-not-implemented"], "{action}");
    }
    w.iq("ann", |_, sid| Some(Jingle::new(Action::SessionInfo, sid)));
    assert_eq!(
        w.errors("ann"),
        Vec::<String>::new(),
        "a ping of the session"
    );
    assert_eq!(w.states(), [Accepted, Accepted]);
}
