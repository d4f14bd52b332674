//! XMPP over BOSH, spoken by hand.

use std::time::Duration;

use tokio::time::timeout;

use crate::client::{Client, has};
use crate::server::{Folder, SOON, Server, Web};

/// Long enough for an answer that is there.
const SHORT: Duration = Duration::from_millis(500);

const NS: &str = "http://jabber.org/protocol/httpbind";

/// A client that has one request open at a time.
struct Bosh {
    web: Web,
    path: String,
    sid: String,
    rid: u64,
    jid: String,
    /// What came and was not looked for.
    seen: String,
}

impl Bosh {
    /// The first request, and what it is answered.
    async fn open(web: &Web, path: &str) -> Bosh {
        let mut bosh = Bosh {
            web: *web,
            path: path.to_owned(),
            sid: String::new(),
            rid: 1_000,
            jid: String::new(),
            seen: String::new(),
        };
        let answer = bosh
            .post(
                "to='localhost' xml:lang='en' wait='60' hold='1' content='text/xml; charset=utf-8' \
                 ver='1.6' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'",
                "",
            )
            .await;
        let (_, sid) = answer.split_once("sid='").expect("a session");
        bosh.sid = sid.split('\'').next().unwrap().to_owned();
        bosh.seen = answer;
        bosh
    }

    /// Logged in and bound.
    async fn login(web: &Web, path: &str) -> Bosh {
        let mut bosh = Bosh::open(web, path).await;
        bosh.gets("<mechanism>ANONYMOUS</mechanism>").await;
        bosh.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
            .await;
        bosh.gets("<success").await;
        let restart =
            "to='localhost' xml:lang='en' xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh'";
        bosh.seen = bosh.post(restart, "").await;
        bosh.gets("urn:ietf:params:xml:ns:xmpp-bind").await;
        bosh.send(
            "<iq xmlns='jabber:client' type='set' id='_bind_auth_2'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        )
        .await;
        let bound = bosh.gets("</jid>").await;
        let (_, jid) = bound.rsplit_once("<jid>").unwrap();
        bosh.jid = jid.split('<').next().unwrap().to_owned();
        bosh
    }

    fn nick(&self) -> &str {
        &self.jid[..8]
    }

    /// A body with these attributes and this content.
    fn body(&self, rid: u64, attributes: &str, content: &str) -> String {
        let sid = match self.sid.as_str() {
            "" => String::new(),
            sid => format!("sid='{sid}'"),
        };
        format!("<body xmlns='{NS}' rid='{rid}' {sid} {attributes}>{content}</body>")
    }

    /// One more request, and its answer.
    async fn post(&mut self, attributes: &str, content: &str) -> String {
        let body = self.body(self.rid, attributes, content);
        self.rid += 1;
        exchange(self.web, &self.path, &body).await
    }

    async fn send(&mut self, content: &str) {
        let answer = self.post("", content).await;
        self.seen.push_str(&answer);
    }

    /// Everything up to and including this; asks for more until it is there.
    async fn gets(&mut self, part: &str) -> String {
        let found = timeout(SOON, async {
            loop {
                if let Some(at) = self.seen.find(part) {
                    let rest = self.seen.split_off(at + part.len());
                    return std::mem::replace(&mut self.seen, rest);
                }
                self.send("").await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {part}"))
    }

    /// Asks for the conference and joins its room.
    async fn join(&mut self, room: &str) {
        let jid = format!("{room}@conference.localhost");
        self.send(&format!(
            "<iq xmlns='jabber:client' type='set' to='focus.localhost' id='c'>\
             <conference xmlns='http://jitsi.org/protocol/focus' room='{jid}' machine-uid='b'/></iq>"
        ))
        .await;
        self.gets("ready='true'").await;
        let own = format!("{jid}/{}", self.nick());
        self.send(&format!(
            "<presence xmlns='jabber:client' to='{own}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
        self.gets("code='110'").await;
    }
}

/// The answer's body.
async fn exchange(web: Web, path: &str, body: &str) -> String {
    let headers = [("Content-Type", "text/xml; charset=utf-8")];
    let (status, answer) = web.http("POST", path, &headers, body).await;
    assert_eq!(status, 200, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(
        head.contains("content-type: text/xml; charset=utf-8"),
        "{head}"
    );
    body.to_owned()
}

#[tokio::test]
async fn a_whole_meeting_over_bosh() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.join("tea").await;
    let mut juliet = Bosh::login(&server.web, "/http-bind?room=tea").await;
    juliet.join("tea").await;
    romeo.gets_all(&["<presence", juliet.nick()]).await;
    juliet
        .send(
            "<message xmlns='jabber:client' to='tea@conference.localhost' type='groupchat'>\
             <body>from afar</body></message>",
        )
        .await;
    romeo.gets_all(&["from afar", juliet.nick()]).await;
    juliet.gets("from afar").await;
    // A held request is answered as soon as there is something to say.
    romeo
        .send(
            "<message xmlns='jabber:client' to='tea@conference.localhost' type='groupchat'>\
             <body>nearby</body></message>",
        )
        .await;
    juliet.gets("nearby").await;
    // The page goes: `navigator.sendBeacon`, beside a request that is held.
    let held = juliet.body(juliet.rid, "", "");
    let held = tokio::spawn({
        let (web, path) = (juliet.web, juliet.path.clone());
        async move { exchange(web, &path, &held).await }
    });
    juliet.rid += 1;
    let goodbye = juliet
        .post(
            "type='terminate'",
            "<presence xmlns='jabber:client' type='unavailable'/>",
        )
        .await;
    assert!(has(&goodbye, "type", "terminate"), "{goodbye}");
    held.await.unwrap();
    let left = romeo
        .gets_all(&["<presence", juliet.nick(), "unavailable"])
        .await;
    assert!(has(&left, "type", "unavailable"), "{left}");
}

#[tokio::test]
async fn what_the_server_can_do_comes_before_the_bind_result() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut client = Client::authenticated(&server.web, "?room=tea").await;
    client
        .send(
            "<iq xmlns='jabber:client' type='set' id='_bind_auth_2'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        )
        .await;
    let first = client.next().await;
    for part in [
        "<message ",
        "http://jabber.org/protocol/disco#info",
        "type='room_metadata'",
        "name='metadata.localhost'",
        "urn:xmpp:extdisco:2",
    ] {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert!(client.next().await.contains("</jid>"));
    // Over BOSH as well.
    let mut bosh = Bosh::open(&server.web, "/school/http-bind?room=tea").await;
    bosh.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
        .await;
    bosh.gets("<success").await;
    let restart = "to='localhost' xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh'";
    let features = bosh.post(restart, "").await;
    assert!(
        !features.contains("urn:xmpp:sm:3"),
        "nothing to resume: {features}"
    );
    bosh.send(
        "<iq xmlns='jabber:client' type='set' id='b'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    )
    .await;
    let bound = bosh.gets("</jid>").await;
    assert!(bound.contains("type='room_metadata'"), "{bound}");
}

#[tokio::test]
async fn a_lost_answer_is_given_again() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut client = Bosh::login(&server.web, "/http-bind?room=tea").await;
    let ping = "<iq xmlns='jabber:client' type='get' id='p1' to='localhost'>\
                <ping xmlns='urn:xmpp:ping'/></iq>";
    let body = client.body(client.rid, "", ping);
    client.rid += 1;
    let first = exchange(client.web, &client.path, &body).await;
    assert!(has(&first, "id", "p1"), "{first}");
    assert_eq!(exchange(client.web, &client.path, &body).await, first);
    client.send(&ping.replace("p1", "p2")).await;
    let rest = client.gets("id=\"p2\"").await;
    assert!(!has(&rest, "id", "p1"), "not read twice: {rest}");
}

#[tokio::test]
async fn who_falls_silent_is_gone_when_the_lease_is_over() {
    let data = Folder::new();
    let short = [
        ("TERTULIA_SESSION__LEASE", "1 s"),
        ("TERTULIA_SESSION__BOSH_PAUSE_AFTER", "500 ms"),
    ];
    let server = Server::start_with_environment(&data, &short).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.join("tea").await;
    let mut juliet = Bosh::login(&server.web, "/http-bind").await;
    juliet.join("tea").await;
    let nick = juliet.nick().to_owned();
    romeo.gets_all(&["<presence", &nick]).await;
    romeo.gets_all(&["<presence", &nick, "unavailable"]).await;
    let over = juliet.post("", "").await;
    assert!(has(&over, "condition", "item-not-found"), "{over}");
}

#[tokio::test]
async fn a_held_request_whose_connection_breaks_is_no_sign_of_life() {
    let data = Folder::new();
    let short = [
        ("TERTULIA_SESSION__LEASE", "1 s"),
        ("TERTULIA_SESSION__BOSH_PAUSE_AFTER", "500 ms"),
    ];
    let server = Server::start_with_environment(&data, &short).await;
    let mut romeo = Client::login(&server.web).await;
    romeo.join("tea").await;
    let mut juliet = Bosh::login(&server.web, "/http-bind").await;
    juliet.join("tea").await;
    let nick = juliet.nick().to_owned();
    romeo.gets_all(&["<presence", &nick]).await;
    // Two of them: what is pending goes with the first, the second is held.
    let path = juliet.path.clone();
    for _ in 0..2 {
        let body = juliet.body(juliet.rid, "", "");
        juliet.rid += 1;
        let _ = timeout(SHORT, exchange(juliet.web, &path, &body)).await;
    }
    let parts = ["<presence", nick.as_str(), "unavailable"];
    let gone = romeo.gets_all(&parts);
    // Sooner than anything else could have answered the held one.
    timeout(SHORT * 8, gone).await.expect("noticed at once");
}

#[tokio::test]
async fn a_restart_answers_who_waits() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut client = Bosh::login(&server.web, "/http-bind").await;
    let body = client.body(client.rid, "", "");
    client.rid += 1;
    let web = server.web;
    let held = tokio::spawn(async move { exchange(web, "/http-bind", &body).await });
    // Answered when the next one comes, so the first one is there by then.
    let second = client.body(client.rid, "", "");
    let second = tokio::spawn(async move { exchange(web, "/http-bind", &second).await });
    held.await.unwrap();
    server.signal("TERM");
    let last = timeout(SOON, second).await.expect("an answer").unwrap();
    assert!(has(&last, "condition", "system-shutdown"), "{last}");
    server.ended().await;
}

#[tokio::test]
async fn requests_that_are_refused() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let web = server.web;
    let foreign = [("Origin", "https://attacker.example")];
    assert_eq!(web.http("POST", "/http-bind", &foreign, "").await.0, 403);
    assert_eq!(web.http("OPTIONS", "/http-bind", &foreign, "").await.0, 403);
    let near = [("Origin", "http://localhost:5173")];
    let (status, head) = web.http("OPTIONS", "/http-bind", &near, "").await;
    assert_eq!(status, 200);
    let head = head.to_lowercase();
    assert!(
        head.contains("access-control-allow-origin: http://localhost:5173"),
        "{head}"
    );
    assert!(
        head.contains("access-control-allow-headers: content-type"),
        "{head}"
    );
    assert_eq!(web.get("/http-bind").await.0, 200);
    let long = "a".repeat(70_000);
    assert_eq!(web.http("POST", "/http-bind", &[], &long).await.0, 413);
    for bad in ["", "<body", "<open/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"] {
        let answer = exchange(web, "/http-bind", bad).await;
        assert!(has(&answer, "condition", "bad-request"), "{bad}: {answer}");
    }
    let first = format!("<body xmlns='{NS}' rid='1' to='localhost' wait='60' hold='1'/>");
    for path in [
        "/http-bind?room=it%27s",
        "/http-bind?room=config.js",
        "/libs/http-bind?room=tea",
    ] {
        let (status, why) = web.http("POST", path, &[], &first).await;
        assert_eq!(status, 400, "{path}: {why}");
        assert!(why.contains("HTTP 400: "), "{why}");
    }
    let elsewhere = first.replace("localhost", "elsewhere.example");
    let answer = exchange(web, "/http-bind", &elsewhere).await;
    assert!(answer.contains("<host-unknown "), "{answer}");
    assert!(has(&answer, "condition", "remote-stream-error"), "{answer}");
    let stranger = format!("<body xmlns='{NS}' rid='1' sid='nobody'/>");
    let answer = exchange(web, "/http-bind", &stranger).await;
    assert!(has(&answer, "condition", "item-not-found"), "{answer}");
    // A number that cannot be ends the session.
    let mut client = Bosh::login(&web, "/http-bind").await;
    client.rid += 10;
    for _ in 0..2 {
        let answer = client.post("", "").await;
        assert!(has(&answer, "condition", "item-not-found"), "{answer}");
    }
}

#[tokio::test]
async fn sessions_of_strangers_are_counted_and_others_are_not() {
    let data = Folder::new();
    let limit = [
        (
            "TERTULIA_LIMITS__UNAUTHENTICATED_CONNECTIONS_PER_ADDRESS",
            "6",
        ),
        ("TERTULIA_LIMITS__NEW_CONNECTIONS_PER_SECOND", "10000"),
    ];
    let server = Server::start_with_environment(&data, &limit).await;
    let web = server.web;
    // More guests than strangers may be leave room for others, with a held request each.
    let mut held = Vec::new();
    for _ in 0..8 {
        let guest = Bosh::login(&web, "/http-bind").await;
        let body = guest.body(guest.rid, "", "");
        held.push(tokio::spawn(async move {
            exchange(web, "/http-bind", &body).await
        }));
        assert_eq!(web.get("/").await.0, 200);
    }
    // Each connection of a stranger is over at once, but not the session that it has begun.
    let first = format!("<body xmlns='{NS}' rid='1' to='localhost' wait='60' hold='1'/>");
    let full = async {
        loop {
            let first = first.clone();
            let begun = async move { web.http("POST", "/http-bind", &[], &first).await.0 };
            // Without any place left there is no answer at all.
            if tokio::spawn(begun).await.unwrap_or_default() == 503 {
                return;
            }
        }
    };
    timeout(SOON, full).await.expect("a stranger too many");
    for held in held {
        held.abort();
    }
}
