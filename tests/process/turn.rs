//! The STUN and TURN server, asked by coturn's client with what XEP-0215 hands out.

use std::process::Output;

use tokio::process::Command;
use tokio::time::timeout;

use crate::client::Client;
use crate::server::{Folder, SOON, Server};

/// One `<service/>`.
struct Service {
    type_: String,
    transport: String,
    port: String,
    username: String,
    password: String,
}

impl Client {
    /// What clients are told of.
    async fn services(&mut self) -> Vec<Service> {
        self.send(
            "<iq xmlns='jabber:client' type='get' id='s' to='localhost'>\
             <services xmlns='urn:xmpp:extdisco:2'/></iq>",
        )
        .await;
        let answer = self.gets("id=\"s\"").await;
        let services = answer.split("<service ").skip(1).map(|service| {
            let part = |name: &str| {
                let quoted = ['"', '\''].into_iter().find_map(|quote| {
                    let (_, rest) = service.split_once(&format!("{name}={quote}"))?;
                    rest.split(quote).next()
                });
                quoted.unwrap_or_default().to_owned()
            };
            assert_eq!(part("host"), "localhost", "as the client came");
            Service {
                type_: part("type"),
                transport: part("transport"),
                port: part("port"),
                username: part("username"),
                password: part("password"),
            }
        });
        services.collect()
    }
}

impl Service {
    fn is(&self, type_: &str, transport: &str) -> bool {
        self.type_ == type_ && self.transport == transport
    }

    /// coturn's client with these credentials.
    async fn uclient(&self, arguments: &[&str]) -> Output {
        let credentials = ["-u", &self.username, "-w", &self.password, "-p", &self.port];
        uclient(&[arguments, &credentials[..]].concat()).await
    }
}

/// Two clients in one process that send to each other's relays.
const EACH_OTHER: [&str; 4] = ["-y", "-c", "-n", "20"];

async fn uclient(arguments: &[&str]) -> Output {
    let child = Command::new("turnutils_uclient")
        .args(arguments)
        .arg("127.0.0.1")
        .kill_on_drop(true)
        .output();
    timeout(2 * SOON, child)
        .await
        .expect("coturn's client ends")
        .expect("turnutils_uclient is there (Debian's coturn)")
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[&out[..], &error[..]].concat()).into_owned()
}

#[track_caller]
fn relayed(output: &Output) {
    let said = said(output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Total lost packets 0"), "{said}");
    let sent = said.rsplit_once("tot_send_msgs=").map(|(_, rest)| rest);
    let sent = sent.unwrap_or_default();
    assert!(
        sent.starts_with("40,"),
        "two clients, twenty packets each: {said}"
    );
}

/// No allocation was made.
#[track_caller]
fn refused(output: &Output) {
    let said = said(output);
    assert!(said.contains("Cannot complete Allocation"), "{said}");
    assert!(!said.contains("tot_send_msgs="), "{said}");
}

#[tokio::test]
async fn coturns_client_relays_by_udp_tcp_tls_and_the_web_port() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    let services = romeo.services().await;
    let kinds: Vec<_> = services
        .iter()
        .map(|one| (one.type_.as_str(), one.transport.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("stun", "udp"),
            ("turn", "udp"),
            ("turn", "tcp"),
            ("turns", "tcp")
        ]
    );
    for service in &services {
        assert_eq!(service.password.is_empty(), service.type_ == "stun");
    }
    let by = |type_, transport, way: &'static [&'static str]| {
        let service = services.iter().find(|one| one.is(type_, transport));
        let service = service.unwrap();
        async move { relayed(&service.uclient(&[&EACH_OTHER[..], way].concat()).await) }
    };
    // By channels, and by Send and Data indications.
    tokio::join!(
        by("turn", "udp", &[]),
        by("turn", "udp", &["-s"]),
        by("turn", "tcp", &["-t"]),
        by("turns", "tcp", &["-t", "-S"]),
        by("turns", "tcp", &["-t", "-S", "-s"]),
    );
    // The web's port speaks HTTP as before.
    let turns = services.iter().find(|one| one.is("turns", "tcp")).unwrap();
    assert!(server.greeting.contains("certificate"));
    let page = Command::new("openssl")
        .args(["s_client", "-quiet", "-ign_eof", "-connect"])
        .arg(format!("127.0.0.1:{}", turns.port))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut page = page.expect("openssl is there");
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stdin = page.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, request)
        .await
        .unwrap();
    let page = timeout(SOON, page.wait_with_output())
        .await
        .expect("an answer");
    assert!(page.unwrap().stdout.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn credentials_are_worth_nothing_once_their_session_is_over() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    let services = romeo.services().await;
    let turn = services.iter().find(|one| one.is("turn", "udp")).unwrap();
    relayed(&turn.uclient(&EACH_OTHER).await);
    romeo
        .send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
        .await;
    romeo.gets("<close").await;
    let stolen = turn.uclient(&EACH_OTHER).await;
    refused(&stolen);
}

#[tokio::test]
async fn a_flood_of_allocations_ends_at_its_sessions_quota() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    let mut juliet = Client::login(&server.web).await;
    let services = romeo.services().await;
    let turn = services.iter().find(|one| one.is("turn", "udp")).unwrap();
    let flood = turn.uclient(&["-y", "-c", "-n", "1", "-m", "40"]).await;
    assert!(said(&flood).contains("486"), "{}", said(&flood));
    let services = juliet.services().await;
    let turn = services.iter().find(|one| one.is("turn", "udp")).unwrap();
    relayed(&turn.uclient(&EACH_OTHER).await);
}

#[tokio::test]
async fn nobody_elses_address_is_a_peer() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    let services = romeo.services().await;
    let turn = services.iter().find(|one| one.is("turn", "udp")).unwrap();
    let port = server.web.address.port().to_string();
    for peer in ["10.99.99.99", "127.0.0.9"] {
        let refused = turn
            .uclient(&["-c", "-n", "5", "-e", peer, "-r", &port])
            .await;
        assert!(said(&refused).contains("403"), "{}", said(&refused));
    }
}

#[tokio::test]
async fn other_programs_make_credentials_from_the_shared_secret() {
    let data = Folder::new();
    let secret = data.0.join("secret");
    std::fs::write(&secret, "north\n").unwrap();
    let secret = secret.to_str().unwrap();
    let server =
        Server::start_with_environment(&data, &[("TERTULIA_TURN__SECRET_FILE", secret)]).await;
    let mut romeo = Client::login(&server.web).await;
    let services = romeo.services().await;
    let turn = services.iter().find(|one| one.is("turn", "udp")).unwrap();
    let named = ["-u", "office", "-p", &turn.port, "-W"];
    relayed(&uclient(&[&EACH_OTHER[..], &named, &["north"]].concat()).await);
    let wrong = uclient(&[&EACH_OTHER[..], &named, &["south"]].concat()).await;
    refused(&wrong);
}

#[tokio::test]
async fn jitsis_client_gets_them_with_the_rooms_metadata() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let mut romeo = Client::login(&server.web).await;
    let services = romeo.services().await;
    let turn = services.iter().find(|one| one.is("turn", "tcp")).unwrap();
    let mut juliet = Client::login(&server.web).await;
    juliet.join("tea").await;
    let room = format!("tea@conference.localhost/{}", romeo.nick());
    romeo
        .send(&format!(
            "<presence xmlns='jabber:client' to='{room}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    let metadata = romeo.gets_all(&["<message", "room_metadata"]).await;
    let metadata = metadata.replace("&quot;", "\"");
    assert!(metadata.contains("\"services\""), "{metadata}");
    assert!(
        metadata.contains(&format!("\"port\":\"{}\"", turn.port)),
        "{metadata}"
    );
    let (_, session) = turn.username.split_once(':').unwrap();
    assert!(metadata.contains(&format!(":{session}\"")), "{metadata}");
}
