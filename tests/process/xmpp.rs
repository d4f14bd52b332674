//! XMPP over WebSocket, spoken by hand.

use futures_util::SinkExt;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, XMPP, attribute, dial, has};
use crate::server::{Folder, Server};

#[tokio::test]
async fn two_meet_and_talk() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let (mut romeo, mut juliet) = (
        Client::login(&server.web).await,
        Client::login(&server.web).await,
    );
    assert_ne!(romeo.nick(), juliet.nick());
    romeo.join("tea").await;
    juliet.join("tea").await;
    let joined = format!("tea@conference.localhost/{}", juliet.nick());
    romeo.gets_all(&["<presence", &joined]).await;
    romeo
        .send(
            "<message xmlns='jabber:client' to='tea@conference.localhost' type='groupchat'>\
             <body>a &amp; b</body></message>",
        )
        .await;
    let from = format!("tea@conference.localhost/{}", romeo.nick());
    juliet.gets_all(&["<body>a &amp; b</body>", &from]).await;
    romeo.gets_all(&["<body>a &amp; b</body>", &from]).await;
    let mut gone = juliet;
    gone.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
        .await;
    let left = romeo
        .gets_all(&["<presence", gone.nick(), "unavailable"])
        .await;
    assert!(has(&left, "type", "unavailable"), "{left}");
}

#[tokio::test]
async fn upgrades_that_are_refused() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let path = "/xmpp-websocket?room=tea";
    assert_eq!(
        dial(&server.web, path, &[]).await.err(),
        Some(400),
        "no sub-protocol"
    );
    let refused = [
        (("Origin", "https://attacker.example"), 403),
        (("Origin", "null"), 403),
        (("Host", "attacker.example"), 421),
    ];
    for (header, status) in refused {
        assert_eq!(
            dial(&server.web, path, &[XMPP, header]).await.err(),
            Some(status),
            "{header:?}"
        );
    }
    for path in [
        "/xmpp-websocket?room=it%27s",
        "/xmpp-websocket?room=config.js",
        "/libs/xmpp-websocket?room=tea",
    ] {
        assert_eq!(
            dial(&server.web, path, &[XMPP]).await.err(),
            Some(400),
            "{path}"
        );
    }
    let tenants = "/school/xmpp-websocket?room=tea";
    assert!(dial(&server.web, tenants, &[XMPP]).await.is_ok());
    let own = format!("http://{}", server.web.authority());
    assert!(
        dial(&server.web, path, &[XMPP, ("Origin", &own)])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn frames_that_are_refused() {
    let data = Folder::new();
    let server = Server::start(&data).await;

    let mut client = Client::connect(&server.web, "").await;
    client
        .socket
        .send(Message::binary(vec![1, 2, 3]))
        .await
        .unwrap();
    assert_eq!(client.end().await.0, Some(1003), "binary");

    let mut client = Client::connect(&server.web, "").await;
    // The head of a frame of 10 MiB: refused by its length, before its content.
    let head = [0x81, 0xff, 0, 0, 0, 0, 0, 0xa0, 0, 0, 1, 2, 3, 4];
    client.socket.get_mut().write_all(&head).await.unwrap();
    assert_eq!(client.end().await.0, Some(1009), "the length of a frame");

    let mut client = Client::connect(&server.web, "").await;
    let long = format!("<open a='{}'/>", "a".repeat(100_000));
    let _ = client.socket.send(Message::text(long)).await;
    assert_eq!(
        client.end().await.0,
        Some(1009),
        "over the limit of strangers"
    );

    let mut client = Client::login(&server.web).await;
    let text = "a".repeat(100_000);
    client
        .send(&format!(
            "<message xmlns='jabber:client' to='localhost' id='m'><body>{text}</body></message>"
        ))
        .await;
    client.gets_all(&["error", "id=\"m\""]).await;
    let long = format!("<message xmlns='jabber:client'><body>{text}{text}{text}</body></message>");
    let _ = client.socket.send(Message::text(long)).await;
    assert_eq!(
        client.end().await.0,
        Some(1009),
        "over the limit of sessions"
    );
}

#[tokio::test]
async fn bad_input_gets_its_answer() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    for (bad, condition) in [
        ("<open", "not-well-formed"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "restricted-xml"),
        ("<message xmlns='jabber:client'/>", "not-authorized"),
    ] {
        let mut client = Client::connect(&server.web, "").await;
        client.send(bad).await;
        let (code, texts) = client.end().await;
        assert!(code.is_some());
        assert!(
            texts.iter().any(|text| text.contains(condition)),
            "{bad}: {texts:?}"
        );
    }
    let mut client = Client::login(&server.web).await;
    for (to, condition) in [
        ("someone@elsewhere.example", "remote-server-not-found"),
        ("nobody@localhost/x", "service-unavailable"),
        ("tea@conference.localhost", "item-not-found"),
        ("conference.localhost", "service-unavailable"),
    ] {
        client
            .send(&format!(
                "<iq xmlns='jabber:client' type='get' id='i' to='{to}'><q xmlns='a:b'/></iq>"
            ))
            .await;
        let answer = client.gets("<iq").await;
        assert!(answer.contains(condition), "{to}: {answer}");
    }
    client
        .send(
            "<iq xmlns='jabber:client' type='set' id='c' to='focus.localhost'>\
             <conference xmlns='http://jitsi.org/protocol/focus' \
             room='config.js@conference.localhost'/></iq>",
        )
        .await;
    let refused = client.gets("<iq").await;
    assert!(
        refused.contains("not-allowed") && refused.contains("belongs to a file"),
        "{refused}"
    );
    client.send("<iq xmlns='jabber:client' type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let pong = client.gets("<iq").await;
    assert!(
        has(&pong, "type", "result") && has(&pong, "id", "p"),
        "{pong}"
    );
}

#[tokio::test]
async fn a_join_without_a_request_is_sent_to_ask_first() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut client = Client::login(&server.web).await;
    let nick = client.nick().to_owned();
    client
        .send(&format!(
            "<presence xmlns='jabber:client' to='cold@conference.localhost/{nick}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    let refused = client.gets("<presence").await;
    assert!(refused.contains("not-allowed") && refused.contains("Room creation is restricted"));
    client.join("cold").await;
}

#[tokio::test]
async fn who_does_not_read_is_let_go_and_nobody_waits() {
    let data = Folder::new();
    let limits = [
        ("TERTULIA_LIMITS__SESSION_BYTES", "512 KiB"),
        ("TERTULIA_LIMITS__BYTES_PER_SECOND", "1 GiB"),
        ("TERTULIA_LIMITS__BYTES_BURST", "1 GiB"),
        ("TERTULIA_LIMITS__STANZAS_PER_SECOND", "100000"),
        ("TERTULIA_LIMITS__STANZAS_BURST", "100000"),
    ];
    let server = Server::start_with_environment(&data, &limits).await;
    let (mut talker, mut deaf) = (
        Client::login(&server.web).await,
        Client::login(&server.web).await,
    );
    talker.join("tea").await;
    deaf.join("tea").await;
    let body = "a".repeat(200_000);
    // What the system buffers on the way is not ours to bound.
    for number in 0..200 {
        let mark = format!("m{number}");
        talker
            .send(&format!(
                "<message xmlns='jabber:client' to='tea@conference.localhost' type='groupchat' \
                 id='{mark}'><body>{body}</body></message>"
            ))
            .await;
        loop {
            let text = talker.next().await;
            if text.contains(deaf.nick()) && text.contains("unavailable") {
                assert!(number > 1);
                return;
            }
            if has(&text, "id", &mark) {
                break;
            }
        }
    }
    panic!("the deaf one is still there");
}

#[tokio::test]
async fn a_lost_connection_is_resumed() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let (mut romeo, mut juliet) = (
        Client::login(&server.web).await,
        Client::login(&server.web).await,
    );
    let token = enable(&mut romeo).await;
    romeo.join("tea").await;
    juliet.join("tea").await;
    romeo.gets_all(&["<presence", juliet.nick()]).await;
    // A loss without a word.
    let (jid, nick) = (romeo.jid.clone(), romeo.nick().to_owned());
    drop(romeo);
    juliet
        .send(
            "<message xmlns='jabber:client' to='tea@conference.localhost' type='groupchat'>\
             <body>meanwhile</body></message>",
        )
        .await;
    juliet.gets("meanwhile").await;
    let mut romeo = Client::authenticated(&server.web, &format!("?room=tea&previd={token}")).await;
    romeo
        .send(&format!(
            "<resume xmlns='urn:xmpp:sm:3' h='0' previd='{token}'/>"
        ))
        .await;
    romeo.gets("<resumed").await;
    romeo.gets("meanwhile").await;
    romeo.jid = jid;
    romeo
        .send(
            "<message xmlns='jabber:client' to='tea@conference.localhost' type='groupchat'>\
             <body>back</body></message>",
        )
        .await;
    juliet.gets_all(&["back", &nick]).await;
    // Somebody else's token is none.
    let mut other = Client::authenticated(&server.web, "").await;
    other
        .send(&format!(
            "<resume xmlns='urn:xmpp:sm:3' h='0' previd='{token}x'/>"
        ))
        .await;
    other.gets_all(&["<failed", "item-not-found"]).await;
    other.bind().await;
    assert_ne!(other.nick(), nick);
}

/// Turns stream management on; the token.
pub(crate) async fn enable(client: &mut Client) -> String {
    client
        .send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        .await;
    attribute(&client.gets("<enabled").await, "id")
}
