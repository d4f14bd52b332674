use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tertulia_model::SessionId;

use super::*;
use crate::config::for_tests;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const JID: &str = "a@localhost/x";

struct Test {
    session: ClientSession,
    now: Now,
}

impl Test {
    fn with(config: Config) -> Test {
        Test::made_by(|profile, now| {
            ClientSession::new(Arc::new(config), profile, "token".to_owned(), now)
        })
    }

    fn over_bosh() -> Test {
        Test::made_by(|profile, now| ClientSession::over_bosh(Arc::new(for_tests()), profile, now))
    }

    fn made_by(make: impl FnOnce(Arc<SessionProfile>, Now) -> ClientSession) -> Test {
        let wall = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let now = Now {
            mono: Instant::now(),
            wall,
        };
        let profile = SessionProfile {
            id: SessionId(1),
            jid: JID.parse().unwrap(),
            websocket_base: "ws://localhost:8080".to_owned(),
            is_loopback: true,
            room: None,
            account: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let session = make(Arc::new(profile), now);
        Test { session, now }
    }

    fn new() -> Test {
        Test::with(for_tests())
    }

    /// With stream management.
    fn enabled() -> Test {
        let mut test = Test::new();
        test.frame(ENABLE);
        test
    }

    fn frame(&mut self, frame: &str) -> Vec<String> {
        self.session.handle_frame(self.now, frame);
        self.outputs()
    }

    /// A stanza from the client in jabber:client.
    fn stanza(&mut self, name: &str, rest: &str) -> Vec<String> {
        self.frame(&format!("<{name} xmlns='jabber:client' {rest}"))
    }

    fn send(&mut self, id: &str) -> Vec<String> {
        let stanza = Stanza::new(Kind::Message).with_id(id);
        self.session.send(self.now, Arc::new(stanza));
        self.outputs()
    }

    fn closed(&mut self, code: Option<u16>) -> Vec<String> {
        self.session.handle_socket_closed(self.now, code);
        self.outputs()
    }

    fn resume(&mut self, h: u32) -> Vec<String> {
        self.session.resume(self.now, h);
        self.outputs()
    }

    fn after(&mut self, seconds: u64) -> Vec<String> {
        self.now = self.now.later(Duration::from_secs(seconds));
        self.session.handle_timeout(self.now);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_output())
            .map(|output| match output {
                SessionOutput::Send(frame) => frame,
                SessionOutput::Stanza(stanza) => format!("route {stanza}"),
                SessionOutput::Changed(change) => format!("{change:?}"),
                SessionOutput::CloseSocket { code, .. } => format!("close {code}"),
            })
            .collect()
    }
}

fn message(id: &str) -> String {
    format!("<message xmlns=\"jabber:client\" to=\"{JID}\" id=\"{id}\"/>")
}

/// The session ended with this stream error.
#[track_caller]
fn ended_with(outputs: &[String], condition: &str, reason: &str) {
    let [error, close, code, end] = outputs else {
        panic!("{outputs:?}")
    };
    assert!(
        error.contains(&format!("<{condition} xmlns='{}'", ns::STREAM_ERRORS)),
        "{error}"
    );
    assert_eq!(close, CLOSE);
    assert!(code.starts_with("close "), "{code}");
    assert_eq!(end, &format!("Ended({reason})"));
}

#[test]
fn stanzas_get_the_sessions_address() {
    let mut test = Test::new();
    assert_eq!(
        test.stanza(
            "message",
            "to='b@localhost/y' id='1'><body>hi</body></message>"
        ),
        [
            "route <message xmlns=\"jabber:client\" to=\"b@localhost/y\" from=\"a@localhost/x\" \
          id=\"1\"><body>hi</body></message>"
        ]
    );
    for from in [JID, "a@localhost"] {
        let routed = test.stanza("message", &format!("to='b@localhost/y' from='{from}'/>"));
        assert!(routed[0].contains("from=\"a@localhost/x\""), "{routed:?}");
    }
    let routed = test.stanza("message", "/>");
    assert!(
        routed[0].contains("to=\"a@localhost\""),
        "to itself: {routed:?}"
    );
    for from in ["b@localhost/y", "a@localhost/other", "localhost"] {
        let outputs = Test::new().stanza("message", &format!("to='b@localhost' from='{from}'/>"));
        ended_with(&outputs, "invalid-from", "PolicyViolation");
    }
}

#[test]
fn requests_have_an_id_a_type_and_one_child() {
    let mut test = Test::new();
    for bad in [
        "type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        "type='get' id='1'/>",
        "type='set' id='1'><a xmlns='n'/><b xmlns='n'/></iq>",
        "id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "type='put' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
    ] {
        let outputs = test.stanza("iq", bad);
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        assert!(outputs[0].contains("type=\"error\"") && outputs[0].contains("<bad-request"));
    }
    for good in [
        "type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "type='result' id='1'/>",
        "type='error' id='1'><a xmlns='n'/><error/></iq>",
    ] {
        let outputs = test.stanza("iq", good);
        assert!(outputs[0].starts_with("route <iq "), "{outputs:?}");
    }
    assert_eq!(
        test.stanza("iq", "type='error'/>"),
        [""; 0],
        "errors are never answered"
    );
}

#[test]
fn an_impossible_receiver() {
    let mut test = Test::new();
    let outputs = test.stanza("presence", "to='bad room@conference.localhost/x' id='7'/>");
    assert!(
        outputs[0].contains("id=\"7\"") && outputs[0].contains("<jid-malformed"),
        "{outputs:?}"
    );
    assert_eq!(test.stanza("message", "type='error' to='@'/>"), [""; 0]);
}

#[test]
fn presences() {
    let mut test = Test::new();
    assert_eq!(
        test.stanza("presence", "/>"),
        [""; 0],
        "nobody is subscribed to a guest"
    );
    assert_eq!(
        test.stanza("presence", "type='probe' to='b@localhost'/>")
            .len(),
        1
    );
    let outputs = test.stanza("presence", "type='here' to='b@localhost'/>");
    assert!(outputs[0].contains("<bad-request"), "{outputs:?}");
    let goodbye = test.stanza("presence", "type='unavailable'/>");
    assert_eq!(goodbye, [CLOSE, "close 1000", "Ended(Closed)"]);
    assert_eq!(test.frame(R), [""; 0], "nothing follows");
}

#[test]
fn bad_frames_end_the_session() {
    let big = format!(
        "<message xmlns='jabber:client'>{}</message>",
        "x".repeat(256 * 1024)
    );
    for (frame, condition) in [
        ("<message xmlns='jabber:client'>", "not-well-formed"),
        ("<message to='a@b'/>", "invalid-namespace"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "restricted-xml"),
        ("<letter xmlns='jabber:client'/>", "unsupported-stanza-type"),
        (&big, "policy-violation"),
        (
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost'/>",
            "policy-violation",
        ),
        (
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>",
            "policy-violation",
        ),
    ] {
        let mut test = Test::enabled();
        ended_with(&test.frame(frame), condition, "PolicyViolation");
        assert_eq!(test.session.next_timeout(), None);
        assert_eq!(test.send("1"), [""; 0]);
    }
}

#[test]
fn enabling_stream_management() {
    let mut test = Test::new();
    assert_eq!(test.frame(R), [""; 0], "nothing to tell yet");
    assert_eq!(
        test.frame(ENABLE),
        ["<enabled xmlns='urn:xmpp:sm:3' id='token' max='60' resume='true'/>"]
    );
    assert_eq!(test.frame(ENABLE), [framing::failed("unexpected-request")]);
    let again = "<resume xmlns='urn:xmpp:sm:3' h='0' previd='token'/>";
    assert_eq!(test.frame(again), [framing::failed("unexpected-request")]);
}

#[test]
fn every_stanza_counts_from_enabled_on() {
    let mut test = Test::new();
    test.stanza("message", "to='b@localhost'/>");
    test.frame(ENABLE);
    assert_eq!(test.frame(R), ["<a xmlns='urn:xmpp:sm:3' h='0'/>"]);
    test.stanza("message", "to='b@localhost'/>");
    test.stanza("presence", "/>");
    test.stanza("iq", "/>");
    test.stanza("message", "to='@'/>");
    test.frame("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    assert_eq!(
        test.frame(R),
        ["<a xmlns='urn:xmpp:sm:3' h='4'/>"],
        "refused ones too"
    );
}

#[test]
fn an_acknowledgement_is_asked_for_after_five() {
    let mut test = Test::enabled();
    for i in 0..4 {
        assert_eq!(test.send(&i.to_string()), [message(&i.to_string())]);
    }
    assert_eq!(test.send("4"), [message("4"), R.to_owned()]);
    assert_eq!(test.send("5"), [message("5")], "one question at a time");
    assert_eq!(test.frame("<a xmlns='urn:xmpp:sm:3' h='5'/>"), [""; 0]);
    for i in 6..9 {
        assert_eq!(test.send(&i.to_string()).len(), 1);
    }
    assert_eq!(test.send("9"), [message("9"), R.to_owned()]);
}

#[test]
fn nothing_is_kept_without_stream_management() {
    let mut test = Test::new();
    assert_eq!(test.send("1"), [message("1")]);
    assert_eq!(test.closed(Some(1006)), ["Ended(LeaseExpired)"]);
}

#[test]
fn a_resumed_session_gets_what_it_missed() {
    let mut test = Test::enabled();
    test.send("1");
    test.send("2");
    assert_eq!(test.closed(None), ["Paused"]);
    assert_eq!(test.send("3"), [""; 0]);
    test.now = test.now.later(Duration::from_secs(40));
    assert_eq!(
        test.resume(1),
        [
            "Resumed".to_owned(),
            "<resumed xmlns='urn:xmpp:sm:3' h='0' previd='token'/>".to_owned(),
            message("2"),
            message("3"),
        ]
    );
    assert_eq!(test.send("4"), [message("4")]);
    assert_eq!(test.frame("<a xmlns='urn:xmpp:sm:3' h='4'/>"), [""; 0]);
    assert_eq!(test.closed(None), ["Paused"]);
    assert_eq!(test.resume(4).len(), 2, "nothing to redeliver");
}

#[test]
fn a_socket_that_is_still_there_is_closed_first() {
    let mut test = Test::enabled();
    test.send("1");
    let outputs = test.resume(0);
    assert_eq!(outputs[0], "close 1000");
    assert!(outputs[1].starts_with("<resumed "), "{outputs:?}");
    assert_eq!(outputs[2], message("1"));
    assert_eq!(outputs.len(), 3, "nobody was told of a pause");
}

#[test]
fn more_acknowledged_than_sent() {
    let mut test = Test::enabled();
    test.send("1");
    let outputs = test.frame("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert!(
        outputs[0].contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' send-count='1'/>"),
        "{outputs:?}"
    );
    ended_with(&outputs, "undefined-condition", "PolicyViolation");
    let mut test = Test::enabled();
    test.closed(None);
    ended_with(
        &test.resume(1)[1..],
        "undefined-condition",
        "PolicyViolation",
    );
    ended_with(
        &Test::enabled().frame("<a xmlns='urn:xmpp:sm:3'/>"),
        "invalid-xml",
        "PolicyViolation",
    );
}

#[test]
fn the_lease_ends() {
    let mut test = Test::enabled();
    test.closed(None);
    assert_eq!(
        test.session.next_timeout(),
        Some(test.now.mono + Duration::from_secs(60))
    );
    assert_eq!(test.after(59), [""; 0]);
    assert!(test.session.is_resumable());
    assert_eq!(test.after(1), ["Ended(LeaseExpired)"]);
    assert!(!test.session.is_resumable());
    assert_eq!(test.resume(0), [""; 0]);
}

#[test]
fn who_says_goodbye_is_gone_at_once() {
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    assert_eq!(
        Test::enabled().frame(close),
        [CLOSE, "close 1000", "Ended(Closed)"]
    );
    assert_eq!(Test::enabled().closed(Some(1001)), ["Ended(Closed)"]);
    for code in [Some(1000), Some(1005), Some(1006), None] {
        assert_eq!(Test::enabled().closed(code), ["Paused"], "{code:?}");
    }
}

#[test]
fn too_many_stanzas_end_only_this_session() {
    let mut test = Test::enabled();
    for i in 0..4_096 {
        test.send(&i.to_string());
    }
    let mut outputs = test.send("last");
    outputs.remove(0);
    ended_with(&outputs, "resource-constraint", "Overflow");
    let mut test = Test::enabled();
    test.closed(None);
    for i in 0..4_096 {
        assert_eq!(test.send(&i.to_string()), [""; 0]);
    }
    assert_eq!(test.send("last"), ["Ended(Overflow)"]);
}

#[test]
fn too_many_bytes_end_the_session() {
    let mut test = Test::enabled();
    test.closed(None);
    let body = Element::builder("body", ns::CLIENT)
        .append("x".repeat(100_000))
        .build();
    let stanza = Arc::new(Stanza::new(Kind::Message).with_child(body));
    let mut outputs = Vec::new();
    for _ in 0..42 {
        assert_eq!(outputs, [""; 0]);
        test.session.send(test.now, stanza.clone());
        outputs = test.outputs();
    }
    assert_eq!(outputs, ["Ended(Overflow)"]);
}

#[test]
fn a_silent_client_is_asked_and_given_up() {
    let mut test = Test::enabled();
    assert_eq!(test.after(15), [R]);
    test.frame("<a xmlns='urn:xmpp:sm:3' h='0'/>");
    assert_eq!(test.after(14), [""; 0]);
    assert_eq!(test.after(1), [R]);
    assert_eq!(test.after(14), [""; 0]);
    assert_eq!(test.after(1), ["close 1013", "Paused"]);
    assert_eq!(
        test.closed(None),
        [""; 0],
        "the socket's own end is no news"
    );
    assert_eq!(test.after(60), ["Ended(LeaseExpired)"]);
}

#[test]
fn without_stream_management_it_is_pinged() {
    let mut test = Test::new();
    let ping = test.after(15).remove(0);
    assert!(ping.contains("<ping xmlns='urn:xmpp:ping'/>"), "{ping}");
    let answer = "type='result' id='tertulia-ping-1' to='localhost'/>";
    assert_eq!(test.stanza("iq", answer), [""; 0], "not routed");
    assert_eq!(test.after(15).len(), 1);
    assert_eq!(test.after(15), ["close 1013", "Ended(LeaseExpired)"]);
}

#[test]
fn over_bosh_silence_pauses_and_the_lease_ends() {
    let mut test = Test::over_bosh();
    test.session.handle_silence(test.now);
    assert_eq!(test.outputs(), ["Paused"]);
    test.session.handle_silence(test.now);
    assert_eq!(test.outputs(), [""; 0]);
    assert_eq!(test.send("1"), [message("1")], "for the next request");
    assert_eq!(test.after(59), [""; 0]);
    test.session.handle_alive(test.now);
    assert_eq!(test.outputs(), ["Resumed"]);
    test.session.handle_silence(test.now);
    assert_eq!(test.outputs(), ["Paused"]);
    let ping = "id='1' type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_eq!(test.stanza("iq", ping)[0], "Resumed");
    test.session.handle_silence(test.now);
    assert_eq!(test.after(60), ["Paused", "Ended(LeaseExpired)"]);
    test.session.handle_alive(test.now);
    assert_eq!(test.outputs(), [""; 0], "it is over");
}

#[test]
fn over_bosh_a_held_request_without_anybody_behind_it_is_noticed() {
    let mut test = Test::over_bosh();
    let ping = test.after(15).remove(0);
    assert!(ping.contains("<ping xmlns='urn:xmpp:ping'/>"), "{ping}");
    test.session.handle_alive(test.now);
    assert_eq!(test.after(15).len(), 1, "an empty request is an answer");
    assert_eq!(test.after(15), ["Paused"], "the requests stay");
    assert_eq!(test.after(60), ["Ended(LeaseExpired)"]);
}

#[test]
fn over_bosh_nothing_can_be_resumed() {
    let mut test = Test::over_bosh();
    assert_eq!(test.frame(ENABLE), [framing::failed("unexpected-request")]);
    assert!(!test.session.is_resumable());
    let goodbye = test.stanza("presence", "type='unavailable'/>");
    assert_eq!(goodbye, [CLOSE, "close 1000", "Ended(Closed)"]);
}

#[test]
fn over_bosh_too_much_ends_the_session_even_in_silence() {
    let mut test = Test::over_bosh();
    test.session.handle_silence(test.now);
    test.outputs();
    test.session.overflow(test.now);
    ended_with(&test.outputs(), "resource-constraint", "Overflow");
}

#[test]
fn empty_requests_are_counted_as_stanzas_are() {
    let mut test = Test::over_bosh();
    for _ in 0..200 {
        test.session.handle_alive(test.now);
    }
    assert_eq!(test.session.may_read_at(), None);
    test.session.handle_alive(test.now);
    assert!(test.session.may_read_at().is_some());
}

#[test]
fn requests_that_were_never_read_are_answered_for_the_client() {
    let mut test = Test::enabled();
    let occupant: Jid = "tea@conference.localhost/b".parse().unwrap();
    let request = Stanza::iq("get", "q")
        .with_from(occupant)
        .with_child(Element::bare("ping", ns::PING));
    test.session.send(test.now, Arc::new(request));
    test.send("1");
    test.closed(None);
    let outputs = test.after(60);
    assert_eq!(outputs.len(), 2, "{outputs:?}");
    assert!(outputs[0].starts_with("route <iq "), "{outputs:?}");
    for part in [
        "to=\"tea@conference.localhost/b\"",
        "id=\"q\"",
        "<recipient-unavailable",
    ] {
        assert!(outputs[0].contains(part), "{outputs:?}");
    }
    assert_eq!(outputs[1], "Ended(LeaseExpired)");
}

#[test]
fn a_restart_leaves_the_resumption_alone() {
    let mut test = Test::enabled();
    test.session.close(test.now, Closing::Restart);
    assert_eq!(test.outputs(), ["close 1012"]);
}

#[test]
fn the_end_of_all_meetings() {
    let mut test = Test::enabled();
    test.session.close(test.now, Closing::Shutdown);
    let outputs = test.outputs();
    ended_with(&outputs, "system-shutdown", "Shutdown");
    assert_eq!(outputs[2], "close 1001");
}

#[test]
fn a_fast_talker_is_not_read_for_a_while() {
    let mut test = Test::new();
    for _ in 0..200 {
        test.stanza("presence", "to='b@localhost'/>");
        assert_eq!(test.session.may_read_at(), None);
    }
    test.stanza("presence", "to='b@localhost'/>");
    assert_eq!(
        test.session.may_read_at(),
        Some(test.now.mono + Duration::from_millis(50))
    );
    let mut test = Test::new();
    let big = format!(
        "<message xmlns='jabber:client' to='b@localhost'>{}</message>",
        "x".repeat(200_000)
    );
    for _ in 0..10 {
        test.frame(&big);
        assert_eq!(test.session.may_read_at(), None);
    }
    test.frame(&big);
    assert!(test.session.may_read_at().is_some());
}
