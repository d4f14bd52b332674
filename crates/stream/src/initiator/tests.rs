use std::net::{IpAddr, Ipv4Addr};

use tertulia_model::{Hosts, SessionId, SessionProfile};
use tertulia_stanza::Kind;

use super::*;
use crate::config::for_tests;
use crate::{ClientSession, Config, Negotiation, NegotiationOutput, Sealer, SessionOutput};

/// A client and the server's machines, joined by hand.
struct Test {
    client: Initiator,
    config: Arc<Config>,
    sealer: Arc<Sealer>,
    negotiation: Option<Negotiation>,
    session: Option<ClientSession>,
    /// What the client and the session told the world.
    log: Vec<String>,
    now: Now,
    /// Frames to the client are lost.
    is_cut: bool,
}

const JID: &str = "1a2b3c4d@localhost/x";

impl Test {
    fn new() -> Test {
        let wall = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let now = Now {
            mono: Instant::now(),
            wall,
        };
        let domain = DomainPart::new("localhost").unwrap().into_owned();
        Test {
            client: Initiator::new(InitiatorConfig { domain }, now),
            config: Arc::new(for_tests()),
            sealer: Arc::new(Sealer::new([1; 32])),
            negotiation: None,
            session: None,
            log: Vec::new(),
            now,
            is_cut: false,
        }
    }

    fn online() -> Test {
        let mut test = Test::new();
        test.dial();
        test.log.clear();
        test
    }

    fn dial(&mut self) {
        let hosts = Hosts::new(self.client.config.domain.clone());
        self.is_cut = false;
        self.negotiation = Some(Negotiation::new(
            self.config.clone(),
            Arc::new(hosts),
            self.sealer.clone(),
            self.client.previd(),
            [2; 32],
            self.now,
        ));
        self.client.handle_socket_opened(self.now);
        self.run();
    }

    fn cut(&mut self) {
        self.is_cut = true;
        self.client.handle_socket_closed(self.now);
        if let Some(session) = &mut self.session {
            session.handle_socket_closed(self.now, None);
        }
        self.run();
    }

    fn client_sends(&mut self, id: &str) {
        let to: Jid = "b@localhost/y".parse().unwrap();
        self.client
            .send(self.now, Stanza::new(Kind::Message).with_to(to).with_id(id));
        self.run();
    }

    fn server_sends(&mut self, id: &str) {
        let stanza = Arc::new(Stanza::new(Kind::Message).with_id(id));
        self.session.as_mut().unwrap().send(self.now, stanza);
        self.run();
    }

    fn run(&mut self) {
        loop {
            if let Some(output) = self.client.poll_output() {
                self.client_output(output);
            } else if let Some(output) =
                self.negotiation.as_mut().and_then(Negotiation::poll_output)
            {
                self.negotiation_output(output);
            } else if let Some(output) = self.session.as_mut().and_then(ClientSession::poll_output)
            {
                match output {
                    SessionOutput::Send(frame) => self.deliver(&frame),
                    SessionOutput::Stanza(stanza) => {
                        self.log.push(format!(
                            "server got {}",
                            stanza.id.as_deref().unwrap_or("-")
                        ));
                    }
                    SessionOutput::Changed(change) => self.log.push(format!("{change:?}")),
                    SessionOutput::CloseSocket { code, .. } => {
                        self.log.push(format!("close {code}"))
                    }
                }
            } else {
                return;
            }
        }
    }

    fn client_output(&mut self, output: InitiatorOutput) {
        match output {
            InitiatorOutput::Send(frame) if self.is_cut => drop(frame),
            InitiatorOutput::Send(frame) => match (&mut self.negotiation, &mut self.session) {
                (Some(negotiation), _) => negotiation.handle_frame(self.now, &frame),
                (None, Some(session)) => session.handle_frame(self.now, &frame),
                (None, None) => panic!("no one to read {frame}"),
            },
            InitiatorOutput::Stanza(stanza) => {
                self.log.push(format!(
                    "client got {}",
                    stanza.id.as_deref().unwrap_or("-")
                ));
            }
            other => self.log.push(format!("client {other:?}")),
        }
    }

    fn negotiation_output(&mut self, output: NegotiationOutput) {
        match output {
            NegotiationOutput::Send(frame) => self.deliver(&frame),
            NegotiationOutput::Bind { restored, .. } => {
                let jid: FullJid = JID.parse().unwrap();
                self.log
                    .push(format!("bind {:?}", restored.map(|r| r.jid.to_string())));
                self.negotiation
                    .as_mut()
                    .unwrap()
                    .bound(self.now, &jid, None);
                self.run_negotiation_out();
                let random = &mut tertulia_model::Random::from_seed([4; 32]);
                let token = self.sealer.seal(&jid, self.now, random);
                let profile = SessionProfile {
                    id: SessionId(1),
                    jid,
                    websocket_base: String::new(),
                    is_loopback: true,
                    room: None,
                    account: None,
                    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                };
                let config = self.config.clone();
                self.negotiation = None;
                self.session = Some(ClientSession::new(
                    config,
                    Arc::new(profile),
                    token,
                    self.now,
                ));
            }
            NegotiationOutput::Resume { token, h, .. } => match &mut self.session {
                Some(session) if session.resumption_id() == token && session.is_resumable() => {
                    session.resume(self.now, h);
                    self.negotiation = None;
                }
                _ => self.negotiation.as_mut().unwrap().resume_refused(self.now),
            },
            NegotiationOutput::Close { code, .. } => self.log.push(format!("close {code}")),
        }
    }

    fn run_negotiation_out(&mut self) {
        while let Some(output) = self.negotiation.as_mut().and_then(Negotiation::poll_output) {
            self.negotiation_output(output);
        }
    }

    fn deliver(&mut self, frame: &str) {
        if !self.is_cut {
            self.client.handle_frame(self.now, frame);
        }
    }
}

#[test]
fn log_in_bind_and_enable() {
    let mut test = Test::new();
    assert_eq!(test.client.previd(), None);
    test.dial();
    assert_eq!(
        test.log,
        [
            "bind None".to_owned(),
            format!("client Bound(FullJid({JID:?}))")
        ]
    );
    assert!(test.client.previd().is_some());
    assert_eq!(test.client.jid().unwrap().as_str(), JID);
    test.log.clear();
    test.client_sends("1");
    test.server_sends("2");
    assert_eq!(test.log, ["server got 1", "client got 2"]);
}

#[test]
fn both_sides_redeliver_after_a_resumption() {
    let mut test = Test::online();
    test.client_sends("1");
    test.is_cut = true;
    test.client_sends("2");
    test.server_sends("3");
    test.cut();
    test.client_sends("4");
    test.server_sends("5");
    assert!(
        test.log.contains(&"client Failed(SocketClosed)".to_owned()),
        "{:?}",
        test.log
    );
    test.log.clear();
    test.dial();
    assert_eq!(
        test.log,
        [
            "Resumed",
            "client Resumed",
            "client got 3",
            "client got 5",
            "server got 2",
            "server got 4"
        ]
    );
    // Enough in both directions that a wrong count would be found out.
    for i in 10..40 {
        test.client_sends(&i.to_string());
        test.server_sends(&i.to_string());
    }
    assert_eq!(test.log.len(), 66);
    test.cut();
    test.log.clear();
    test.dial();
    assert_eq!(
        test.log,
        ["Resumed", "client Resumed"],
        "all was acknowledged or handled"
    );
}

#[test]
fn a_refused_resumption_binds_anew_on_the_same_stream() {
    let mut test = Test::online();
    test.cut();
    test.session = None;
    test.log.clear();
    test.client_sends("lost");
    test.dial();
    assert_eq!(
        test.log,
        [
            "client ResumeRefused".to_owned(),
            format!("bind Some({JID:?})"),
            format!("client Bound(FullJid({JID:?}))"),
        ]
    );
    test.log.clear();
    test.client_sends("1");
    assert_eq!(
        test.log,
        ["server got 1"],
        "what belonged to the old session is gone"
    );
}

#[test]
fn a_goodbye_ends_the_session() {
    let mut test = Test::online();
    test.client.close(test.now);
    test.run();
    assert_eq!(test.client.previd(), None);
    let log = test.log.join(", ");
    assert!(
        log.contains("Ended(Closed)") && log.contains("CloseSocket { code: 1000 }"),
        "{log}"
    );
}

#[test]
fn a_dead_connection_is_given_up_but_resumable() {
    let mut test = Test::online();
    test.is_cut = true;
    for (after, pings) in [(10, 1), (5, 2), (5, 2)] {
        test.now = test.now.later(Duration::from_secs(after));
        assert_eq!(test.client.next_timeout(), Some(test.now.mono));
        test.client.handle_timeout(test.now);
        test.run();
        assert_eq!(test.client.ids, pings);
    }
    assert_eq!(
        test.log,
        [
            "client CloseSocket { code: 1000 }",
            "client Failed(Silence)"
        ]
    );
    assert!(test.client.previd().is_some());
}

#[test]
fn pings_are_answered_by_anything() {
    let mut test = Test::online();
    test.now = test.now.later(Duration::from_secs(10));
    test.client.handle_timeout(test.now);
    test.run();
    assert_eq!(test.log, ["server got ping-1"]);
    test.server_sends("1");
    assert_eq!(
        test.client.next_timeout(),
        Some(test.now.mono + PING_INTERVAL)
    );
}

#[test]
fn a_stream_error_forgets_the_session() {
    let mut test = Test::online();
    test.session
        .as_mut()
        .unwrap()
        .close(test.now, crate::Closing::Shutdown);
    test.run();
    assert!(
        test.log
            .contains(&"client Failed(StreamError(\"system-shutdown\"))".to_owned())
    );
    assert_eq!(test.client.previd(), None);
}

#[test]
fn a_restart_is_resumed() {
    let mut test = Test::online();
    test.session
        .as_mut()
        .unwrap()
        .close(test.now, crate::Closing::Restart);
    test.run();
    assert_eq!(test.log, ["close 1012"]);
    test.cut();
    assert!(test.client.previd().is_some());
}

#[test]
fn stanzas_wait_until_the_stream_is_up() {
    let mut test = Test::new();
    test.client_sends("early");
    assert_eq!(test.log, [""; 0]);
    test.dial();
    assert_eq!(test.log.last().unwrap(), "server got early");
}

#[test]
fn what_waits_for_a_session_that_is_lost_before_it_is_resumable_goes_with_it() {
    let mut test = Test::new();
    let (domain, random) = ("localhost", "s");
    let open = framing::write(
        &element("open", ns::FRAMING)
            .with("from", domain)
            .with("id", random)
            .with("version", "1.0")
            .build(),
    );
    let features = |inner: &str| {
        format!(
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>{inner}\
             </stream:features>"
        )
    };
    let mechanisms = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                      <mechanism>ANONYMOUS</mechanism></mechanisms>";
    let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>";
    let bound = format!(
        "<iq xmlns='jabber:client' type='result' id='{BIND_ID}'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{JID}</jid></bind></iq>"
    );
    let enabled = "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='t'/>";
    let log_in = |client: &mut Initiator, now: Now| {
        client.handle_socket_opened(now);
        let success = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
        for frame in [
            &open,
            &features(mechanisms),
            success,
            &open,
            &features(bind),
            &bound,
        ] {
            client.handle_frame(now, frame);
        }
    };
    log_in(&mut test.client, test.now);
    let to: Jid = "b@localhost/y".parse().unwrap();
    let old = Stanza::new(Kind::Message).with_to(to).with_id("old");
    test.client.send(test.now, old);
    test.client.handle_socket_closed(test.now);
    log_in(&mut test.client, test.now);
    test.client.handle_frame(test.now, enabled);
    while let Some(output) = test.client.poll_output() {
        let is_old = matches!(&output, InitiatorOutput::Send(frame) if frame.contains("old"));
        assert!(!is_old, "{output:?}");
    }
    assert!(test.client.previd().is_some());
}

#[test]
fn a_hostile_server_cannot_break_the_stack() {
    let mut test = Test::online();
    let deep = "<a>".repeat(100_000);
    let frame = format!("<stream:error xmlns:stream='{}'>{deep}", ns::STREAM);
    test.client.handle_frame(test.now, &frame);
    test.run();
    assert!(
        test.log
            .contains(&"client Failed(Protocol(PolicyViolation))".to_owned()),
        "{:?}",
        test.log
    );
}
