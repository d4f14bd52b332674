use std::time::Duration;

use tertulia_model::jid::DomainPart;

use super::*;
use crate::config::for_tests;

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
const BIND: &str = "<iq xmlns='jabber:client' type='set' id='_bind_auth_2'>\
                    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const KEY: [u8; 32] = [7; 32];

struct Test {
    negotiation: Negotiation,
    now: Now,
}

impl Test {
    fn new() -> Test {
        Test::with_previd(None)
    }

    fn with_previd(previd: Option<&str>) -> Test {
        let now = start();
        let hosts = Hosts::new(DomainPart::new("localhost").unwrap().into_owned());
        let negotiation = Negotiation::new(
            Arc::new(for_tests()),
            Arc::new(hosts),
            Arc::new(Sealer::new(KEY)),
            previd,
            [1; 32],
            now,
        );
        Test { negotiation, now }
    }

    /// What comes out after `frame`, each output as one line.
    fn frame(&mut self, frame: &str) -> Vec<String> {
        self.negotiation.handle_frame(self.now, frame);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.negotiation.poll_output())
            .map(|output| match output {
                NegotiationOutput::Send(frame) => frame,
                NegotiationOutput::Bind { restored, resource } => {
                    let jid = restored.map(|restored| restored.jid.to_string());
                    format!("bind {jid:?} {resource:?}")
                }
                NegotiationOutput::Resume { restored, h, .. } => {
                    format!("resume {} {h}", restored.jid)
                }
                NegotiationOutput::Close { code, .. } => format!("close {code}"),
            })
            .collect()
    }

    fn logged_in(mut self) -> Test {
        for frame in [OPEN, AUTH, OPEN] {
            self.frame(frame);
        }
        self
    }

    /// The frame is answered with this stream error, `<close/>`, and the closed socket.
    #[track_caller]
    fn refuses(&mut self, frame: &str, condition: &str) {
        let mut outputs = self.frame(frame);
        assert_eq!(outputs.pop().as_deref(), Some("close 1008"), "{frame:.200}");
        assert_eq!(outputs.pop().as_deref(), Some(CLOSE), "{frame:.200}");
        let error = outputs.pop().unwrap();
        let start = format!(
            "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        );
        assert!(error.starts_with(&start), "{frame:.200}\n{error}");
        assert_eq!(self.frame(OPEN), [""; 0], "it is over");
        assert_eq!(self.negotiation.next_timeout(), None);
    }
}

fn start() -> Now {
    let wall = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    Now {
        mono: Instant::now(),
        wall,
    }
}

fn token(jid: &str) -> String {
    let random = &mut Random::from_seed([9; 32]);
    Sealer::new(KEY).seal(&jid.parse().unwrap(), start(), random)
}

#[test]
fn log_in_and_bind() {
    let mut test = Test::new();
    let opened = test.frame(OPEN);
    assert_eq!(opened.len(), 2, "features in their own frame");
    assert!(opened[0].starts_with("<open "), "{}", opened[0]);
    for part in [
        "xmlns='urn:ietf:params:xml:ns:xmpp-framing'",
        "version='1.0'",
        "from='localhost'",
    ] {
        assert!(opened[0].contains(part), "{}", opened[0]);
    }
    assert!(
        opened[1].contains("<mechanism>ANONYMOUS</mechanism>"),
        "{}",
        opened[1]
    );
    assert_eq!(
        test.frame(AUTH),
        ["<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"]
    );
    let features = test.frame(OPEN).pop().unwrap();
    assert!(
        features.contains("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"),
        "{features}"
    );
    assert!(
        features.contains("<sm xmlns='urn:xmpp:sm:3'/>"),
        "{features}"
    );
    assert!(!features.contains("session"), "{features}");
    assert_eq!(test.frame(BIND), ["bind None None"]);
    test.negotiation
        .bound(test.now, &"a@localhost/x".parse().unwrap(), None);
    assert_eq!(
        test.outputs(),
        [
            "<iq xmlns=\"jabber:client\" id=\"_bind_auth_2\" type=\"result\">\
          <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a@localhost/x</jid></bind></iq>"
        ]
    );
    assert_eq!(test.negotiation.next_timeout(), None);
}

/// COMPAT(lib-jitsi-meet): what comes after the result is not looked at any more.
#[test]
fn what_the_server_can_do_is_announced_before_the_result() {
    let mut test = Test::new().logged_in();
    test.frame(BIND);
    let announcement = Stanza::new(tertulia_stanza::Kind::Message)
        .with_from("localhost".parse::<tertulia_model::jid::Jid>().unwrap())
        .with_child(Element::bare("query", ns::DISCO_INFO));
    let jid = "a@localhost/x".parse().unwrap();
    test.negotiation.bound(test.now, &jid, Some(announcement));
    let outputs = test.outputs();
    assert_eq!(
        outputs[0],
        "<message xmlns=\"jabber:client\" to=\"a@localhost/x\" from=\"localhost\">\
         <query xmlns='http://jabber.org/protocol/disco#info'/></message>"
    );
    assert!(
        outputs[1].contains("<jid>a@localhost/x</jid>"),
        "{outputs:?}"
    );
}

#[test]
fn over_bosh_no_resumption_is_offered() {
    let mut test = Test::new();
    test.negotiation = Negotiation::over_bosh(
        Arc::clone(&test.negotiation.config),
        Arc::clone(&test.negotiation.hosts),
        Arc::clone(&test.negotiation.sealer),
        [1; 32],
        test.now,
    );
    for frame in [OPEN, AUTH] {
        test.frame(frame);
    }
    let features = test.frame(OPEN).pop().unwrap();
    assert!(
        features.contains("<bind ") && !features.contains("urn:xmpp:sm:3"),
        "{features}"
    );
    let resume = format!(
        "<resume xmlns='urn:xmpp:sm:3' h='4' previd='{}'/>",
        token("a@localhost/x")
    );
    assert_eq!(test.frame(&resume), [framing::failed("unexpected-request")]);
    assert_eq!(test.frame(BIND), ["bind None None"]);
}

#[test]
fn a_resource_may_be_asked_for() {
    let bind = |resource: &str| {
        format!(
            "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='{}'>\
             <resource>{resource}</resource></bind></iq>",
            ns::BIND
        )
    };
    assert_eq!(
        Test::new().logged_in().frame(&bind("tea")),
        ["bind None Some(\"tea\")"]
    );
    assert_eq!(Test::new().logged_in().frame(&bind("")), ["bind None None"]);
    let mut test = Test::new().logged_in();
    let long = test.frame(&bind(&"x".repeat(2_000)));
    assert!(long[0].contains("<bad-request"), "{}", long[0]);
    assert_eq!(test.frame(BIND), ["bind None None"], "another try");
}

#[test]
fn a_sealed_previd_restores_the_name() {
    let bound = Test::with_previd(Some(&token("a@localhost/x")))
        .logged_in()
        .frame(BIND);
    assert_eq!(bound, ["bind Some(\"a@localhost/x\") None"]);
    for previd in ["", "nonsense", &token("a@elsewhere.example/x")] {
        let bound = Test::with_previd(Some(previd)).logged_in().frame(BIND);
        assert_eq!(bound, ["bind None None"], "{previd}");
    }
}

#[test]
fn resumption_is_asked_for_and_may_be_refused() {
    let token = token("a@localhost/x");
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' h='4' previd='{token}'/>");
    let mut test = Test::with_previd(Some(&token)).logged_in();
    assert_eq!(test.frame(&resume), ["resume a@localhost/x 4"]);
    test.negotiation.resume_refused(test.now);
    assert_eq!(test.outputs(), [framing::failed("item-not-found")]);
    assert_eq!(
        test.frame(BIND),
        ["bind Some(\"a@localhost/x\") None"],
        "on the same stream"
    );
    let mut test = Test::new().logged_in();
    let foreign = "<resume xmlns='urn:xmpp:sm:3' h='4' previd='x'/>";
    assert_eq!(test.frame(foreign), [framing::failed("item-not-found")]);
    assert_eq!(test.frame(BIND), ["bind None None"]);
}

#[test]
fn stream_management_before_bind() {
    let enable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
    let mut test = Test::new().logged_in();
    assert_eq!(test.frame(enable), [framing::failed("unexpected-request")]);
    for resume in [
        "<resume xmlns='urn:xmpp:sm:3' previd='x'/>",
        "<resume xmlns='urn:xmpp:sm:3' h='4294967296' previd='x'/>",
    ] {
        Test::new().logged_in().refuses(resume, "invalid-xml");
    }
}

#[test]
fn other_mechanisms_fail_three_times() {
    let plain = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>";
    let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-mechanism/>\
                   <text>only ANONYMOUS is offered</text></failure>";
    let mut test = Test::new();
    test.frame(OPEN);
    assert_eq!(test.frame(plain), [failure]);
    assert_eq!(test.frame(plain), [failure]);
    let last = test.frame(plain);
    assert_eq!(last[0], failure);
    assert!(last[1].contains("<policy-violation"), "{}", last[1]);
    assert_eq!(last.last().unwrap(), "close 1008");
}

#[test]
fn a_stanza_before_log_in() {
    let stanzas = [
        "<message xmlns='jabber:client' to='a@localhost'><body>hi</body></message>",
        "<presence xmlns='jabber:client' to='tea@conference.localhost/x'/>",
        BIND,
    ];
    for stanza in stanzas {
        Test::new().refuses(stanza, "not-authorized");
        let mut test = Test::new();
        test.frame(OPEN);
        test.refuses(stanza, "not-authorized");
        let mut test = Test::new();
        test.frame(OPEN);
        test.frame(AUTH);
        test.refuses(stanza, "not-authorized");
    }
    Test::new()
        .logged_in()
        .refuses(stanzas[0], "not-authorized");
    Test::new()
        .logged_in()
        .refuses(&BIND.replace("'set'", "'get'"), "not-authorized");
}

#[test]
fn the_header_comes_before_any_error() {
    let mut test = Test::new();
    let outputs = test.frame("<open/>");
    assert!(outputs[0].starts_with("<open "), "{outputs:?}");
    assert_eq!(outputs.len(), 4);
}

#[test]
fn bad_openings() {
    let open = |attributes: &str| {
        format!("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' {attributes}/>")
    };
    Test::new().refuses(&open("version='1.0'"), "improper-addressing");
    Test::new().refuses(
        &open("to='elsewhere.example' version='1.0'"),
        "host-unknown",
    );
    Test::new().refuses(
        &open("to='conference.localhost' version='1.0'"),
        "host-unknown",
    );
    Test::new().refuses(&open("to='@' version='1.0'"), "host-unknown");
    Test::new().refuses(&open("to='localhost'"), "unsupported-version");
    Test::new().refuses(
        "<open xmlns='jabber:client' to='localhost' version='1.0'/>",
        "invalid-namespace",
    );
    Test::new().refuses(AUTH, "bad-format");
    Test::new().refuses("<!DOCTYPE open [<!ENTITY a 'b'>]><open/>", "restricted-xml");
    Test::new().refuses("<open", "not-well-formed");
    Test::new().refuses("hello", "not-well-formed");
    Test::new().refuses(&"<a>".repeat(10_000), "policy-violation");
    Test::new().refuses(
        &format!("<open x='{}'/>", "x".repeat(70_000)),
        "policy-violation",
    );
    Test::new().refuses(
        "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>",
        "unsupported-stanza-type",
    );
}

#[test]
fn the_host_is_pinned() {
    let mut test = Test::new();
    test.frame(OPEN);
    test.frame(AUTH);
    test.refuses(&OPEN.replace("localhost", "other.example"), "host-unknown");
    let mut test = Test::new().logged_in();
    test.refuses(OPEN, "policy-violation");
}

#[test]
fn log_in_ends_by_the_clock() {
    let mut test = Test::new();
    test.frame(OPEN);
    let deadline = test.now.mono + Duration::from_secs(30);
    assert_eq!(test.negotiation.next_timeout(), Some(deadline));
    test.now = test.now.later(Duration::from_secs(29));
    test.frame(AUTH);
    assert_eq!(
        test.negotiation.next_timeout(),
        Some(deadline),
        "not prolonged"
    );
    test.now = test.now.later(Duration::from_secs(1));
    test.negotiation.handle_timeout(test.now);
    let outputs = test.outputs();
    assert!(outputs[0].contains("<connection-timeout"), "{outputs:?}");
    assert_eq!(outputs.last().unwrap(), "close 1008");
}

#[test]
fn a_goodbye_is_answered() {
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    assert_eq!(Test::new().frame(close), [CLOSE, "close 1000"]);
    assert_eq!(Test::new().logged_in().frame(close), [CLOSE, "close 1000"]);
}

#[test]
fn a_restart_says_nothing() {
    let mut test = Test::new().logged_in();
    test.negotiation.close(test.now);
    assert_eq!(test.outputs(), ["close 1012"]);
}

#[test]
fn bytes_before_log_in_are_rationed() {
    let mut test = Test::new();
    assert_eq!(test.negotiation.may_read_at(), None);
    test.frame(OPEN);
    let big = format!(
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>",
        "x".repeat(60_000)
    );
    test.frame(&big);
    assert_eq!(test.negotiation.may_read_at(), None, "within the burst");
    for _ in 0..10 {
        test.negotiation.bytes.take(test.now.mono, 60_000);
    }
    assert!(test.negotiation.may_read_at().is_some());
}
