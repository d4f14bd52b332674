//! The web side.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::client::{Client, XMPP, dial};
use crate::server::{Folder, SOON, Server};

#[tokio::test]
async fn pages_and_their_policy() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    for path in ["/", "/tea", "/school/tea"] {
        let (status, page) = server.web.get(path).await;
        assert_eq!(status, 200, "{path}");
        let head = page.to_ascii_lowercase();
        assert!(
            head.contains("content-security-policy: default-src 'self';"),
            "{page}"
        );
        assert!(head.contains("referrer-policy: no-referrer"), "{page}");
        assert!(head.contains("x-content-type-options: nosniff"), "{page}");
    }
    for path in ["/api", "/.env", "/metrics", "/assets/none.js"] {
        assert_eq!(server.web.get(path).await.0, 404, "{path}");
    }
    assert_eq!(server.web.get("/a/b/c").await.0, 404);
    assert_eq!(server.web.http("POST", "/", &[], "").await.0, 405);
}

#[tokio::test]
async fn config_js_names_the_address_by_which_the_client_came() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let (status, script) = server.web.get("/config.js").await;
    assert_eq!(status, 200);
    assert!(script.contains("\r\n\r\nvar config = {"), "{script}");
    assert!(
        script.contains(&format!("ws://{}/xmpp-websocket", server.web.authority())),
        "{script}"
    );
    let by_ip = server.web.address.to_string();
    let (_, script) = server
        .web
        .http("GET", "/config.js", &[("Host", &by_ip)], "")
        .await;
    assert!(
        script.contains(&format!("ws://{by_ip}/xmpp-websocket")),
        "{script}"
    );
    for foreign in ["attacker.example", "a\"b", ""] {
        let (status, _) = server
            .web
            .http("GET", "/config.js", &[("Host", foreign)], "")
            .await;
        assert!([400, 421].contains(&status), "{foreign}: {status}");
    }
}

#[tokio::test]
async fn conference_requests() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let path = "/conference-request/v1?room=tea";
    let good = r#"{"room":"tea@conference.localhost","machineUid":"m","properties":{"visitors-version":1}}"#;
    let (status, reply) = server.web.http("POST", path, &[], good).await;
    assert_eq!(status, 200, "{reply}");
    for part in [
        "\"ready\":true",
        "\"focusJid\":\"focus@auth.localhost\"",
        "\"properties\":{",
    ] {
        assert!(reply.contains(part), "{part} in {reply}");
    }
    let bad = [
        "",
        "{",
        "[]",
        r#"{"room":1}"#,
        r#"{"room":"tea@conference.example"}"#,
        r#"{"room":"a b@conference.localhost"}"#,
        r#"{"room":"api@conference.localhost"}"#,
    ];
    for bad in bad {
        let (status, reply) = server.web.http("POST", path, &[], bad).await;
        assert_eq!(status, 400, "{bad}: {reply}");
    }
    // A tenant's rooms have a host of their own, whatever the path.
    let tenants = good.replace("conference.", "muc.school.");
    for path in [path, "/school/conference-request/v1?room=tea"] {
        let (status, reply) = server.web.http("POST", path, &[], &tenants).await;
        assert_eq!(status, 200, "{reply}");
        assert!(reply.contains("\"ready\":true"), "{reply}");
    }
    let long = format!("{{\"room\":\"{}\"}}", "a".repeat(70_000));
    assert_eq!(server.web.http("POST", path, &[], &long).await.0, 413);
    let foreign = [("Origin", "https://attacker.example")];
    assert_eq!(server.web.http("POST", path, &foreign, good).await.0, 403);
    assert_eq!(server.web.http("OPTIONS", path, &foreign, "").await.0, 403);
    let (status, head) = server
        .web
        .http("OPTIONS", path, &[("Origin", "http://localhost:5173")], "")
        .await;
    assert_eq!(status, 200);
    assert!(
        head.to_lowercase()
            .contains("access-control-allow-origin: http://localhost:5173")
    );
}

#[tokio::test]
async fn a_plain_get_keeps_the_connection_alive() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    for path in [
        "/xmpp-websocket?room=tea&previd=x",
        "/school/xmpp-websocket?room=tea",
        // Whatever the query says: this is no attempt to connect.
        "/xmpp-websocket?room=config.js&room=b",
    ] {
        let (status, answer) = server.web.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!answer.to_lowercase().contains("x-jitsi-shard"), "{answer}");
    }
}

/// COMPAT(lib-jitsi-meet): it compares the header of this answer with what it was told before.
#[tokio::test]
async fn an_installation_of_several_says_which_one_it_is() {
    let data = Folder::new();
    let server = Server::start_with_environment(&data, &[("TERTULIA_WEB__SHARD", "s1")]).await;
    let page = [("Origin", "http://localhost:5173")];
    let (status, head) = server.web.http("GET", "/xmpp-websocket", &page, "").await;
    assert_eq!(status, 200);
    let head = head.to_lowercase();
    assert!(head.contains("x-jitsi-shard: s1"), "{head}");
    assert!(
        head.contains("access-control-expose-headers: x-jitsi-shard"),
        "{head}"
    );
}

#[tokio::test]
async fn connections_of_strangers_are_counted() {
    let data = Folder::new();
    let limit = [(
        "TERTULIA_LIMITS__UNAUTHENTICATED_CONNECTIONS_PER_ADDRESS",
        "3",
    )];
    let server = Server::start_with_environment(&data, &limit).await;
    let guest = Client::login(&server.web).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Client::connect(&server.web, "").await);
    }
    let mut refused = TcpStream::connect(server.web.address).await.unwrap();
    let _ = refused
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let end = timeout(SOON, refused.read(&mut [0; 100])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "the fourth is not served");
    drop(open);
    // Who has logged in does not count, and places come back.
    let again = async {
        while dial(&server.web, "/xmpp-websocket", &[XMPP]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.unwrap();
    drop(guest);
}

#[tokio::test]
async fn garbage_on_the_media_port_moves_nobody() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut seed = 1u32;
    for round in 0..500usize {
        let length = [0, 1, 11, 12, 20, 64, 1200, 9000][round % 8];
        let datagram: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        socket.send_to(&datagram, server.media).await.unwrap();
    }
    // A binding request for somebody that nobody knows.
    let mut stun =
        b"\x00\x01\x00\x0c\x21\x12\xa4\x42123456789012\x00\x06\x00\x07abc:xyz\x00".to_vec();
    stun.truncate(32);
    socket.send_to(&stun, server.media).await.unwrap();
    assert_eq!(server.web.get("/").await.0, 200);
    assert!(server.child.try_wait().unwrap().is_none());
}
