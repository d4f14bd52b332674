//! Stopping, in three ways.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::server::{Folder, Server};
use crate::xmpp::enable;

#[tokio::test]
async fn sigterm_closes_so_that_clients_come_back() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut stranger = Client::connect(&server.web, "").await;
    let mut guest = Client::login(&server.web).await;
    guest.join("tea").await;
    let before = Instant::now();
    server.signal("TERM");
    for client in [&mut stranger, &mut guest] {
        let (code, texts) = client.end().await;
        assert_eq!(code, Some(1012));
        let told = texts
            .iter()
            .any(|text| text.contains("<close") || text.contains("stream:error"));
        assert!(!told, "{texts:?}");
    }
    let status = server.ended().await;
    println!("gone after {:?}", before.elapsed());
    assert_eq!(status.code(), Some(0));
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn sigint_ends_the_meetings_with_a_reason() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut guest = Client::login(&server.web).await;
    guest.join("tea").await;
    let before = Instant::now();
    server.signal("INT");
    let (code, texts) = guest.end().await;
    assert!(code.is_some());
    let destroyed = texts.iter().find(|text| text.contains("<destroy"));
    let destroyed = destroyed.unwrap_or_else(|| panic!("{texts:?}"));
    assert!(
        destroyed.contains("The server is being shut down."),
        "{destroyed}"
    );
    assert_eq!(server.ended().await.code(), Some(0));
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn after_sigkill_a_guest_gets_its_name_back() {
    let data = Folder::new();
    let mut server = Server::start(&data).await;
    let mut guest = Client::login(&server.web).await;
    let token = enable(&mut guest).await;
    let jid = guest.jid.clone();
    server.signal("KILL");
    server.ended().await;

    let server = Server::start(&data).await;
    let query = format!("?room=tea&previd={token}");
    let mut guest = Client::authenticated(&server.web, &query).await;
    guest
        .send(&format!(
            "<resume xmlns='urn:xmpp:sm:3' h='0' previd='{token}'/>"
        ))
        .await;
    guest.gets_all(&["<failed", "item-not-found"]).await;
    guest.bind().await;
    assert_eq!(guest.jid, jid);
    guest.join("tea").await;

    // Twice it is not given.
    let mut other = Client::authenticated(&server.web, &query).await;
    other.bind().await;
    assert_ne!(other.nick(), guest.nick());
}
