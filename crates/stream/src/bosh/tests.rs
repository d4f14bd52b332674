use super::*;
use crate::config::for_tests;
use crate::reader::read_body;

/// A session, its time, and what its requests were answered.
struct Test {
    bosh: Bosh,
    now: Now,
}

const FIRST: &str = "<body xmlns='http://jabber.org/protocol/httpbind' rid='100' to='localhost' \
    xml:lang='en' wait='60' hold='1' content='text/xml; charset=utf-8' ver='1.6' \
    xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'/>";
const NOTHING: &str = "<body xmlns='http://jabber.org/protocol/httpbind'/>";

fn body(attributes: &str, content: &str) -> Body {
    let text = format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' \
         {attributes}>{content}</body>"
    );
    read_body(&for_tests().limits, &text).unwrap()
}

impl Test {
    /// The first request is 1, with rid 100.
    fn new() -> Test {
        Test::of(read_body(&for_tests().limits, FIRST).unwrap())
    }

    fn of(first: Body) -> Test {
        let now = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        let bosh = Bosh::open(&for_tests(), "secret".to_owned(), 1, first, now);
        Test { bosh, now }
    }

    /// After the first answer.
    fn created() -> Test {
        let mut test = Test::new();
        assert_eq!(test.frames().len(), 1);
        test.bosh.send("<features/>");
        test.flush();
        test.outputs();
        test
    }

    fn request(&mut self, request: u64, rid: u64, content: &str) -> Vec<String> {
        let body = body(&format!("sid='secret' rid='{rid}'"), content);
        self.bosh.handle_request(self.now, request, body);
        self.outputs()
    }

    fn frames(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.bosh.poll_frame()).collect()
    }

    fn flush(&mut self) {
        self.bosh.flush(self.now);
    }

    /// Reads everything, answers what is due.
    fn run(&mut self) -> Vec<String> {
        self.frames();
        self.flush();
        self.outputs()
    }

    fn pass(&mut self, seconds: u64) -> Vec<String> {
        self.now = self.now.later(Duration::from_secs(seconds));
        self.bosh.handle_timeout(self.now);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.bosh.poll_output())
            .map(|output| match output {
                BoshOutput::Respond { request, body } => format!("{request}: {body}"),
                BoshOutput::Alive => "alive".to_owned(),
                BoshOutput::Silent => "silent".to_owned(),
                BoshOutput::Refused(condition) => format!("refused {}", condition.as_str()),
            })
            .collect()
    }
}

fn empty(request: u64) -> String {
    format!("{request}: {NOTHING}")
}

fn ended(request: u64, condition: &str) -> String {
    format!(
        "{request}: <body xmlns='http://jabber.org/protocol/httpbind' condition='{condition}' \
         type='terminate'/>"
    )
}

#[test]
fn a_session_begins_as_jitsis_client_begins_it() {
    let mut test = Test::new();
    assert_eq!(
        test.frames(),
        ["<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"]
    );
    test.flush();
    assert_eq!(test.outputs(), [""; 0], "nothing to say yet");
    test.bosh
        .send("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost'/>");
    test.bosh.send("<features/>");
    test.flush();
    let answer = test.outputs().pop().unwrap();
    for part in [
        "1: <body xmlns='http://jabber.org/protocol/httpbind'",
        " sid='secret'",
        " wait='60'",
        " hold='1'",
        " requests='2'",
        " inactivity='60'",
        " polling='5'",
        " ver='1.6'",
        " xmlns:xmpp='urn:xmpp:xbosh'",
        " xmpp:version='1.0'",
        " xmpp:restartlogic='true'",
        "><features/></body>",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert!(!answer.contains("<open"), "{answer}");
}

#[test]
fn a_request_is_held_until_there_is_something_to_say() {
    let mut test = Test::created();
    assert_eq!(test.request(2, 101, ""), ["alive"]);
    assert_eq!(test.run(), [""; 0]);
    test.bosh.send("<message/>");
    test.bosh.send("<iq/>");
    assert_eq!(test.bosh.waiting_bytes(), 15);
    let answer = "2: <body xmlns='http://jabber.org/protocol/httpbind'><message/><iq/></body>";
    assert_eq!(test.run(), [answer]);
    assert_eq!(test.bosh.waiting_bytes(), 0);
    test.bosh.send("<message/>");
    assert_eq!(test.run(), [""; 0], "no request to send it on");
    test.request(3, 102, "");
    let answer = "3: <body xmlns='http://jabber.org/protocol/httpbind'><message/></body>";
    assert_eq!(test.run(), [answer]);
}

#[test]
fn a_second_request_frees_the_first_one() {
    let mut test = Test::created();
    test.request(2, 101, "");
    assert_eq!(test.run(), [""; 0]);
    test.request(
        3,
        102,
        "<iq xmlns='jabber:client'/> <message xmlns='jabber:client'>a</message>",
    );
    assert_eq!(
        test.frames(),
        [
            "<iq xmlns='jabber:client'/>",
            "<message xmlns='jabber:client'>a</message>"
        ]
    );
    test.flush();
    assert_eq!(test.outputs(), [empty(2)]);
}

#[test]
fn nobody_is_answered_before_it_was_read() {
    let mut test = Test::created();
    test.request(2, 101, "<iq xmlns='jabber:client'/>");
    test.request(3, 102, "");
    test.bosh.send("<message/>");
    test.flush();
    assert_eq!(test.outputs(), [""; 0], "reading is paused");
    assert_eq!(test.frames().len(), 1);
    test.flush();
    let answer = "2: <body xmlns='http://jabber.org/protocol/httpbind'><message/></body>";
    assert_eq!(test.outputs(), [answer]);
}

#[test]
fn requests_are_read_in_order() {
    let mut test = Test::created();
    test.request(3, 102, "<b xmlns='x'/>");
    assert_eq!(test.frames(), [""; 0]);
    test.request(2, 101, "<a xmlns='x'/>");
    assert_eq!(test.frames(), ["<a xmlns='x'/>", "<b xmlns='x'/>"]);
    test.flush();
    assert_eq!(test.outputs(), [empty(2)]);
}

#[test]
fn a_held_request_is_answered_with_nothing_in_the_end() {
    let mut test = Test::created();
    test.request(2, 101, "");
    assert_eq!(test.run(), [""; 0]);
    assert_eq!(
        test.bosh.next_timeout(),
        Some(test.now.mono + Duration::from_secs(60))
    );
    assert_eq!(test.pass(59), [""; 0]);
    assert_eq!(test.pass(1), [empty(2)]);
}

#[test]
fn a_lost_answer_is_given_again_and_nothing_is_read_twice() {
    let mut test = Test::created();
    test.request(2, 101, "<a xmlns='x'/>");
    test.bosh.send("<message/>");
    let answer = test.run().pop().unwrap();
    let again = test.request(5, 101, "<a xmlns='x'/>");
    assert_eq!(again, [answer.replacen('2', "5", 1), "alive".to_owned()]);
    assert_eq!(test.frames(), [""; 0]);
    // The first answer of all can be lost as well as any other.
    assert!(test.request(6, 100, "")[0].contains("<features/>"));
}

#[test]
fn a_repeated_request_takes_the_place_of_the_one_that_is_open() {
    let mut test = Test::created();
    test.request(2, 101, "<a xmlns='x'/>");
    assert_eq!(test.run(), [""; 0]);
    assert_eq!(
        test.request(3, 101, "<a xmlns='x'/>"),
        [empty(2), "alive".to_owned()]
    );
    assert_eq!(test.frames(), [""; 0]);
    test.bosh.send("<message/>");
    assert!(test.run()[0].starts_with("3: "));
}

#[test]
fn nothing_is_said_to_a_connection_that_is_gone() {
    let mut test = Test::created();
    test.request(2, 101, "");
    test.run();
    test.bosh.handle_gone(test.now, 2);
    test.bosh.send("<message/>");
    assert_eq!(test.run(), [""; 0]);
    // Jitsi's client repeats the request; another one may send the next.
    let mut other = test;
    assert_eq!(other.request(3, 102, ""), ["alive"]);
    let answer = "3: <body xmlns='http://jabber.org/protocol/httpbind'><message/></body>";
    assert_eq!(other.run(), [answer]);
    assert_eq!(other.request(4, 101, ""), [empty(4), "alive".to_owned()]);
}

#[test]
fn silence_is_noticed_and_ends_with_any_request() {
    let mut test = Test::created();
    test.request(2, 101, "");
    assert_eq!(test.run(), [""; 0]);
    assert_eq!(test.pass(30), [""; 0], "a held request is no silence");
    test.bosh.handle_gone(test.now, 2);
    assert_eq!(
        test.bosh.next_timeout(),
        Some(test.now.mono + Duration::from_secs(5))
    );
    assert_eq!(test.pass(4), [""; 0]);
    assert_eq!(test.pass(1), ["silent"]);
    assert_eq!(test.bosh.next_timeout(), None);
    assert_eq!(test.pass(100), [""; 0]);
    assert_eq!(test.request(3, 101, ""), ["alive"]);
    test.bosh.handle_gone(test.now, 3);
    assert_eq!(test.pass(5), ["silent"]);
}

#[test]
fn requests_out_of_the_window_end_the_session() {
    for (rid, why) in [
        (103, "too far ahead"),
        (99, "from before the session"),
        (0, "zero"),
    ] {
        let mut test = Test::created();
        let outputs = test.request(2, rid, "<a xmlns='x'/>");
        assert_eq!(
            outputs,
            [
                ended(2, "item-not-found"),
                "refused item-not-found".to_owned()
            ],
            "{why}"
        );
        assert_eq!(test.frames(), [""; 0], "{why}");
        assert_eq!(
            test.request(3, 101, ""),
            [ended(3, "item-not-found")],
            "{why}: it is over"
        );
        assert_eq!(test.bosh.next_timeout(), None);
    }
    // An answer that is not kept any more.
    let mut test = Test::created();
    for rid in 101..110 {
        test.request(rid, rid, "");
        test.run();
    }
    assert_eq!(
        test.request(2, 106, "").last().unwrap(),
        "refused item-not-found"
    );
}

#[test]
fn the_end_answers_everybody_and_the_first_with_the_last_words() {
    let mut test = Test::created();
    test.request(2, 101, "");
    test.frames();
    test.request(3, 102, "<a xmlns='x'/>");
    test.bosh.send("<message/>");
    test.bosh.send(CLOSE);
    test.bosh.close(test.now, close_code::NORMAL);
    assert_eq!(
        test.outputs(),
        [
            "2: <body xmlns='http://jabber.org/protocol/httpbind' type='terminate'><message/></body>",
            "3: <body xmlns='http://jabber.org/protocol/httpbind' type='terminate'/>"
        ]
    );
    test.bosh.close(test.now, close_code::NORMAL);
    assert_eq!(test.outputs(), [""; 0]);
}

#[test]
fn the_end_says_why() {
    let codes = [
        (close_code::RESTART, "system-shutdown"),
        (close_code::POLICY_VIOLATION, "policy-violation"),
        (close_code::TRY_AGAIN, "internal-server-error"),
    ];
    for (code, condition) in codes {
        let mut test = Test::created();
        test.request(2, 101, "");
        test.bosh.close(test.now, code);
        assert_eq!(test.outputs(), [ended(2, condition)]);
    }
    let mut test = Test::new();
    let error = crate::StreamError::new(crate::StreamCondition::HostUnknown, "not here");
    test.bosh.send(&error.to_frame());
    test.bosh.close(test.now, close_code::POLICY_VIOLATION);
    let answer = test.outputs().pop().unwrap();
    assert!(
        answer.contains("condition='remote-stream-error'"),
        "{answer}"
    );
    assert!(answer.contains("<host-unknown "), "{answer}");
}

#[test]
fn a_page_that_goes_says_so_at_once() {
    let mut test = Test::created();
    test.request(2, 101, "");
    test.run();
    test.request(3, 102, "<a xmlns='x'/>");
    // One more than may be open, and behind one that its page has aborted.
    let last = body(
        "sid='secret' rid='104' type='terminate'",
        "<presence xmlns='jabber:client' type='unavailable'/>",
    );
    test.bosh.handle_request(test.now, 4, last);
    assert_eq!(test.outputs(), ["alive"]);
    assert_eq!(
        test.frames(),
        [
            "<a xmlns='x'/>",
            "<presence xmlns='jabber:client' type='unavailable'/>",
            CLOSE
        ]
    );
    test.bosh.close(test.now, close_code::NORMAL);
    assert_eq!(test.outputs().len(), 3);
}

#[test]
fn the_stream_is_restarted() {
    let mut test = Test::created();
    let restart = body(
        "sid='secret' rid='101' to='localhost' xml:lang='en' xmpp:restart='true'",
        "",
    );
    test.bosh.handle_request(test.now, 2, restart);
    assert_eq!(
        test.frames(),
        ["<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"]
    );
}

#[test]
fn a_client_may_poll_but_not_too_often() {
    for polling in ["wait='60' hold='0'", "wait='0' hold='1'"] {
        let mut test = Test::of(body(&format!("rid='100' to='localhost' {polling}"), ""));
        test.frames();
        test.bosh.send("<features/>");
        let created = test.run().pop().unwrap();
        assert!(
            created.contains("hold='0'") && created.contains("requests='1'"),
            "{created}"
        );
        assert_eq!(test.request(2, 101, ""), ["alive"]);
        assert_eq!(test.run(), [empty(2)], "nothing is held");
        test.pass(5);
        test.request(3, 102, "");
        test.bosh.send("<message/>");
        assert_eq!(test.run().len(), 1);
        // Who got something may ask for more, and who has something to say may say it.
        test.request(4, 103, "");
        assert_eq!(test.run(), [empty(4)]);
        test.request(5, 104, "<a xmlns='x'/>");
        assert_eq!(test.run(), [empty(5)]);
        test.request(6, 105, "");
        assert_eq!(test.run(), [empty(6)]);
        test.pass(4);
        let refused = test.request(7, 106, "");
        assert_eq!(
            refused,
            [
                ended(7, "policy-violation"),
                "refused policy-violation".to_owned()
            ]
        );
    }
}

#[test]
fn a_client_may_want_less_waiting() {
    let mut test = Test::of(body("rid='100' to='localhost' wait='10' hold='5'", ""));
    test.frames();
    test.bosh.send("<features/>");
    let created = test.run().pop().unwrap();
    assert!(
        created.contains("wait='10'") && created.contains("hold='1'"),
        "{created}"
    );
    test.request(2, 101, "");
    test.run();
    assert_eq!(test.pass(10), [empty(2)]);
}

#[test]
fn bodies_that_are_none() {
    let limits = for_tests().limits;
    let deep = "<a xmlns='x'>".repeat(33) + &"</a>".repeat(33);
    let deep = format!("<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>{deep}</body>");
    for bad in [
        "",
        "<body",
        "<body rid='1'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='-1'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='9007199254740992'/>",
        "<iq xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>text</body>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1'><a></body>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1'><x:a/></body>",
        "<!DOCTYPE a []><body xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
        &deep,
    ] {
        assert!(read_body(&limits, bad).is_err(), "{bad:.100}");
    }
    let deep = deep
        .replacen("<a xmlns='x'>", "", 1)
        .replacen("</a>", "", 1);
    assert!(
        read_body(&limits, &deep).is_ok(),
        "as deep as a frame may be"
    );
}

/// A frame stands for itself: what it takes from the wrapper is not there any more.
#[test]
fn frames_that_rely_on_the_wrapper_are_refused_as_frames() {
    let limits = for_tests().limits;
    for content in [
        "<iq type='get' id='1'/>",
        "<iq xmlns='jabber:client' xmpp:a='b'/>",
    ] {
        let read = body("sid='secret' rid='101'", content);
        assert!(
            crate::read_frame(&limits, &read.frames[0]).is_err(),
            "{content}"
        );
    }
}
