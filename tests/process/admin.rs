//! The administration's listener: metrics, health, Jitsi's statistics, drain, shutdown, details.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tertulia_client::{ChannelKind, RequestKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::browser::Browser;
use crate::client::{Client, has};
use crate::meeting::{enter, until};
use crate::server::{Folder, SOON, Server, Web};

/// Keys of `/colibri/stats` that Jitsi's bridge documents as numbers.
const NUMBERS: [&str; 83] = [
    "conferences",
    "participants",
    "endpoints",
    "local_endpoints",
    "local_active_endpoints",
    "visitors",
    "total_visitors",
    "largest_conference",
    "inactive_conferences",
    "inactive_endpoints",
    "p2p_conferences",
    "receive_only_endpoints",
    "endpoints_sending_audio",
    "endpoints_sending_video",
    "octo_conferences",
    "octo_endpoints",
    "octo_receive_bitrate",
    "octo_send_bitrate",
    "octo_receive_packet_rate",
    "octo_send_packet_rate",
    "bit_rate_download",
    "bit_rate_upload",
    "packet_rate_download",
    "packet_rate_upload",
    "incoming_loss",
    "outgoing_loss",
    "overall_loss",
    "endpoints_with_high_outgoing_loss",
    "rtt_aggregate",
    "tcc_unmatched_feedback",
    "num_eps_oversending",
    "endpoints_with_suspended_sources",
    "endpoints_with_spurious_remb",
    "stress_level",
    "average_participant_stress",
    "threads",
    "total_conferences_created",
    "total_conferences_completed",
    "total_conference_seconds",
    "total_participants",
    "total_relays",
    "num_eps_no_msg_transport_after_delay",
    "num_relays_no_msg_transport_after_delay",
    "total_keyframes_received",
    "total_layering_changes_received",
    "total_video_stream_milliseconds_received",
    "total_data_channel_messages_received",
    "total_data_channel_messages_sent",
    "total_colibri_web_socket_messages_received",
    "total_colibri_web_socket_messages_sent",
    "total_bytes_received",
    "total_bytes_sent",
    "total_packets_received",
    "total_packets_sent",
    "total_bytes_received_octo",
    "total_bytes_sent_octo",
    "total_packets_received_octo",
    "total_packets_sent_octo",
    "total_dominant_speaker_changes",
    "preemptive_kfr_sent",
    "preemptive_kfr_suppressed",
    "endpoints_ice_failed",
    "dtls_failed_endpoints",
    "relays_ice_failed",
    "dtls_failed_relays",
    "total_ice_failed",
    "total_ice_succeeded",
    "total_ice_succeeded_relayed",
    "endpoints_disconnected",
    "endpoints_reconnected",
    "muc_clients_configured",
    "muc_clients_connected",
    "mucs_configured",
    "mucs_joined",
    // No longer sent by Jitsi's bridge, but shown by older dashboards.
    "loss_rate_download",
    "loss_rate_upload",
    "videostreams",
    "cpu_usage",
    "used_memory",
    "total_memory",
    "total_tcp_connections",
    "total_failed_conferences",
    "total_partially_failed_conferences",
];
const FLAGS: [&str; 4] = ["healthy", "graceful_shutdown", "shutting_down", "drain"];
const TEXTS: [&str; 5] = [
    "version",
    "release",
    "region",
    "relay_id",
    "current_timestamp",
];

/// The 34th test of the list for a correct bridge.
#[tokio::test]
async fn t34_jitsiexporter_gets_every_numeric_key_by_name() {
    LocalSet::new()
        .run_until(async {
            let data = Folder::new();
            let server = Server::start(&data).await;
            let admin = server.admin.expect("it listens");
            let before = stats(&admin).await;
            for name in NUMBERS {
                assert!(before.get(name).is_some_and(Value::is_number), "{name}");
            }
            for name in FLAGS {
                assert!(before.get(name).is_some_and(Value::is_boolean), "{name}");
            }
            for name in TEXTS {
                assert!(before.get(name).is_some_and(Value::is_string), "{name}");
            }
            assert_eq!(before.get("drain"), Some(&Value::Bool(false)));
            assert_eq!(number(&before, "total_packets_received"), 0.0);

            let people = meet(&server.web).await;
            // Rates need two readings, and a busy machine holds everybody up now and then.
            let during = until_stats(&admin, "they see each other", |stats| {
                let expected = [
                    ("conferences", 1.0),
                    ("participants", 3.0),
                    ("endpoints", 3.0),
                    ("largest_conference", 3.0),
                    ("local_active_endpoints", 3.0),
                    ("inactive_conferences", 0.0),
                    ("endpoints_sending_audio", 3.0),
                    ("endpoints_sending_video", 3.0),
                    ("total_conferences_created", 1.0),
                    ("total_conferences_completed", 0.0),
                    ("total_participants", 3.0),
                    ("total_ice_succeeded", 3.0),
                    ("total_ice_failed", 0.0),
                    ("videostreams", 6.0),
                ];
                let mut expected = expected.into_iter();
                expected.all(|(name, value)| number(stats, name) == value)
                    && number(stats, "packet_rate_download") > 50.0
                    && number(stats, "total_video_stream_milliseconds_received") > 1_000.0
            })
            .await;
            // Units: kilobits, packets of at most 1,200 bytes, audio of 50 packets a second each.
            let packets = number(&during, "packet_rate_download");
            let kilobits = number(&during, "bit_rate_download");
            let bytes_each = kilobits * 1e3 / 8.0 / packets;
            assert!((20.0..1_500.0).contains(&bytes_each), "{bytes_each}");
            for name in [
                "packet_rate_upload",
                "bit_rate_upload",
                "total_keyframes_received",
                "total_data_channel_messages_received",
                "total_data_channel_messages_sent",
                "total_colibri_web_socket_messages_received",
                "total_colibri_web_socket_messages_sent",
                "threads",
                "used_memory",
            ] {
                assert!(number(&during, name) > 0.0, "{name}");
            }

            for person in &people {
                person.act(tertulia_client::Client::leave);
            }
            let after = until_stats(&admin, "the meeting is over", |stats| {
                number(stats, "total_conferences_completed") == 1.0
            })
            .await;
            assert_eq!(number(&after, "participants"), 0.0);
            for name in NUMBERS
                .into_iter()
                .filter(|name| name.starts_with("total_"))
            {
                let (earlier, later) = (number(&during, name), number(&after, name));
                assert!(later >= earlier, "{name}: {earlier}, then {later}");
            }
        })
        .await;
}

#[tokio::test]
async fn an_endpoint_is_shown_with_its_path_its_bandwidth_and_its_sources() {
    LocalSet::new()
        .run_until(async {
            let data = Folder::new();
            let server = Server::start(&data).await;
            let admin = server.admin.unwrap();
            let people = meet(&server.web).await;
            let overview = json(&admin, "/debug").await;
            assert_eq!(overview["shutdown_state"], "RUNNING");
            assert_eq!(overview["load_management"]["workers"][1]["up"], true);
            let conferences = overview["conferences"].as_object().unwrap();
            let (id, conference) = conferences.iter().next().unwrap();
            assert_eq!(conference["name"], "tea@conference.localhost");
            let endpoints = conference["endpoints"].as_object().unwrap();
            assert_eq!(endpoints.len(), 3);

            for person in &people {
                let nick = person.look().client.nick().unwrap().to_owned();
                assert_eq!(endpoints[&nick]["state"], "connected");
                let shown = json(&admin, &format!("/debug/{id}/{nick}")).await;
                assert!(shown["addresses"][0]["address"].is_string(), "{shown}");
                assert!(shown["channel"].is_string(), "{shown}");
                assert_eq!(shown["sources"].as_array().unwrap().len(), 2, "{shown}");
                assert_eq!(shown["receives"].as_array().unwrap().len(), 4, "{shown}");
                let streams = shown["streams"].as_array().unwrap();
                assert!(streams.iter().any(|one| one["packets"].as_u64() > Some(10)));
                let sources = shown["sources"].as_array().unwrap();
                let video = sources.iter().find(|one| one["media"] == "video").unwrap();
                let layers = video["layers"].as_array().unwrap();
                assert!(
                    layers.iter().any(|layer| layer["active"] == true),
                    "{video}"
                );
                let full = json(&admin, "/debug?full=true").await;
                assert!(full["conferences"][id]["endpoints"][&nick]["path"].is_object());
            }
            for path in ["/debug/none", &format!("/debug/{id}/none")] {
                assert_eq!(admin.get(path).await.0, 404, "{path}");
            }
        })
        .await;
}

#[tokio::test]
async fn both_text_formats_of_prometheus() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let admin = server.admin.unwrap();
    let (status, text) = admin.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        text.to_lowercase()
            .contains("content-type: text/plain; version=0.0.4"),
        "{text}"
    );
    let open = [("Accept", "application/openmetrics-text;version=1.0.0")];
    let (_, open) = admin.http("GET", "/metrics", &open, "").await;
    assert!(open.contains("application/openmetrics-text"), "{open}");
    assert!(open.ends_with("# EOF\n") && !text.contains("# EOF"));
    for (page, is_open) in [(&text, false), (&open, true)] {
        let samples = samples(page, is_open);
        for name in [
            "tertulia_bridge_packets_in_total{worker=\"1\"}",
            "tertulia_worker_up{worker=\"0\"}",
            "tertulia_bridge_stress",
            "tertulia_sessions",
            "tertulia_turn_allocations",
            "process_resident_memory_bytes",
            "jitsi_jvb_conferences",
            "jitsi_jvb_packets_received_total",
            "jitsi_jvb_conferences_by_size_bucket{le=\"+Inf\"}",
        ] {
            assert!(samples.contains_key(name), "{name}");
        }
        assert_eq!(samples["tertulia_worker_up{worker=\"1\"}"], 1.0);
        assert_eq!(samples["tertulia_bridge_healthy"], 1.0);
    }
}

#[tokio::test]
async fn it_is_healthy_and_says_who_it_is() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let admin = server.admin.unwrap();
    assert!(
        server.greeting.contains("/metrics\n"),
        "{}",
        server.greeting
    );
    for path in ["/health", "/about/health"] {
        let (status, answer) = admin.get(path).await;
        assert_eq!(status, 200, "{answer}");
    }
    let version = json(&admin, "/about/version").await;
    assert_eq!(version["name"], "Tertulia");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn nobody_else_may_ask() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let admin = server.admin.unwrap();
    let ask = async |method, path, headers: &[(&str, &str)]| {
        let (status, _) = admin.http(method, path, headers, "").await;
        status
    };
    // A name that was made to lead here; a page of another origin.
    assert_eq!(
        ask("GET", "/metrics", &[("Host", "evil.example")]).await,
        421
    );
    let page = [("Origin", "https://evil.example")];
    assert_eq!(ask("POST", "/colibri/drain/enable", &page).await, 403);
    let cross = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(ask("GET", "/debug", &cross).await, 403);
    assert_eq!(ask("GET", "/colibri/drain/enable", &[]).await, 405);
    assert_eq!(
        ask("POST", "/colibri/shutdown", &[]).await,
        403,
        "off by default"
    );
    let drain = json(&admin, "/colibri/drain").await;
    assert_eq!(drain["drain"], false);
    // Where clients come, there is nothing of it.
    for path in ["/metrics", "/colibri/stats", "/colibri/drain"] {
        let (_, answer) = server.web.get(path).await;
        assert!(!answer.contains("tertulia_sessions"), "{path}: {answer}");
        assert!(!answer.contains("\"drain\""), "{path}: {answer}");
    }
}

#[tokio::test]
async fn connections_are_counted_and_off_is_off() {
    let data = Folder::new();
    let few = [("TERTULIA_LIMITS__ADMIN_CONNECTIONS", "2")];
    let server = Server::start_with_environment(&data, &few).await;
    let admin = server.admin.unwrap();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        held.push(stream);
    }
    let mut third = TcpStream::connect(admin.address).await.unwrap();
    let mut nothing = Vec::new();
    let end = timeout(SOON, third.read_to_end(&mut nothing)).await;
    assert_eq!(end.expect("it is closed").unwrap_or(0), 0);
    drop(held);
    until_true("a place is free", async || {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        let _ = stream
            .write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer.contains("200 OK")
    })
    .await;

    let other = Folder::new();
    let off = [("TERTULIA_ADMIN__LISTEN", "[]")];
    let server = Server::start_with_environment(&other, &off).await;
    assert!(server.admin.is_none(), "{}", server.greeting);
}

#[tokio::test]
async fn a_draining_server_begins_no_meetings_and_ends_none() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let admin = server.admin.unwrap();
    let mut romeo = Client::login(&server.web).await;
    romeo.join("tea").await;
    assert_eq!(
        admin.http("POST", "/colibri/drain/enable", &[], "").await.0,
        200
    );
    assert_eq!(json(&admin, "/colibri/drain").await["drain"], true);
    assert_eq!(stats(&admin).await["drain"], true);

    let mut juliet = Client::login(&server.web).await;
    let refused = juliet.asks_for("coffee").await;
    assert!(has(&refused, "ready", "false"), "{refused}");
    assert!(
        !refused.contains("<error"),
        "an error would be final: {refused}"
    );
    juliet.join("tea").await;

    assert_eq!(
        admin
            .http("POST", "/colibri/drain/disable", &[], "")
            .await
            .0,
        200
    );
    let let_in = juliet.asks_for("coffee").await;
    assert!(has(&let_in, "ready", "true"), "{let_in}");
}

#[tokio::test]
async fn a_graceful_shutdown_waits_for_the_last_meeting() {
    let data = Folder::new();
    let allowed = [
        ("TERTULIA_ADMIN__SHUTDOWN", "true"),
        ("TERTULIA_SESSION__LEASE", "1 s"),
    ];
    let mut server = Server::start_with_environment(&data, &allowed).await;
    let admin = server.admin.unwrap();
    let mut romeo = Client::login(&server.web).await;
    romeo.join("tea").await;
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        ("{\"graceful-shutdown\":true}", 200),
    ] {
        let answer = admin.http("POST", "/colibri/shutdown", &[], body).await;
        assert_eq!(answer.0, status, "{body}");
    }
    let mut juliet = Client::login(&server.web).await;
    assert!(has(&juliet.asks_for("coffee").await, "ready", "false"));
    juliet.join("tea").await;
    let stats = stats(&admin).await;
    assert_eq!(stats["graceful_shutdown"], true);
    assert_eq!(stats["shutting_down"], false);
    assert!(server.child.try_wait().unwrap().is_none(), "it runs");
    drop((romeo, juliet));
    assert!(server.ended_within(SOON * 3).await.success());
}

/// A responder on this machine stands for a STUN server; what it says is what the outside sees.
#[tokio::test]
async fn the_external_address_is_what_a_stun_server_says_and_follows_it() {
    let data = Folder::new();
    let stun = StunServer::start().await;
    let servers = format!("[\"stun:127.0.0.1:{}\"]", stun.port);
    let environment = [
        ("TERTULIA_BRIDGE__STUN_SERVERS", &*servers),
        ("TERTULIA_BRIDGE__STUN_INTERVAL", "1 s"),
    ];
    let server = Server::start_with_environment(&data, &environment).await;
    let admin = server.admin.unwrap();
    let seen = |port: u16| format!("198.51.100.7:{port}");
    let knows = async |public: String| {
        let shown = json(&admin, "/debug").await["addresses"].clone();
        let shown = shown.as_array().unwrap().clone();
        shown.iter().any(|one| one["public"] == *public)
    };
    if json(&admin, "/debug").await["addresses"] == Value::Array(Vec::new()) {
        panic!("this machine has no address besides loopback: nothing can be mapped");
    }
    until_true("the first mapping", async || knows(seen(40_000)).await).await;
    let (mut romeo, mut juliet) = (
        Client::login(&server.web).await,
        Client::login(&server.web).await,
    );
    romeo.join("tea").await;
    juliet.join("tea").await;
    let offer = juliet.gets_offer().await;
    assert!(
        has(&offer, "ip", "198.51.100.7") && has(&offer, "port", "40000"),
        "{offer}"
    );
    assert!(has(&offer, "type", "srflx"), "{offer}");
    stun.mapped.store(40_001, Ordering::Relaxed);
    until_true("the next mapping", async || knows(seen(40_001)).await).await;
    assert!(stun.asked.load(Ordering::Relaxed) >= 2);
}

/// Three people with camera and microphone.
async fn meet(web: &Web) -> Vec<Browser> {
    let mut people = Vec::new();
    for (number, channel) in [
        (1, ChannelKind::WebSocket),
        (2, ChannelKind::Data),
        (3, ChannelKind::WebSocket),
    ] {
        people.push(enter(web, number, channel, RequestKind::Iq).await);
    }
    for person in &people {
        until(person, "hears and sees two", |facts| facts.is_meeting(2)).await;
    }
    people
}

async fn json(admin: &Web, path: &str) -> Value {
    let (status, answer) = admin.get(path).await;
    assert_eq!(status, 200, "{path}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

async fn stats(admin: &Web) -> Value {
    json(admin, "/colibri/stats").await
}

fn number(stats: &Value, name: &str) -> f64 {
    stats[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} in {stats}"))
}

async fn until_stats(admin: &Web, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = timeout(SOON * 6, async {
        loop {
            last = stats(admin).await;
            if holds(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let is_found = found.await.is_ok();
    assert!(is_found, "{what}: {last:#}");
    last
}

async fn until_true(what: &str, holds: impl AsyncFn() -> bool) {
    let found = timeout(SOON, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(found.await.is_ok(), "{what}");
}

/// All samples of a page, which must be well formed.
fn samples(page: &str, is_open: bool) -> BTreeMap<String, f64> {
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    let mut samples = BTreeMap::new();
    let mut families = BTreeMap::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let before = families.insert(name.to_owned(), kind.to_owned());
            assert_eq!(before, None, "{name} twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let before = samples.insert(name.to_owned(), value);
            assert_eq!(before, None, "{name} twice");
            let bare = name.split('{').next().unwrap();
            let family = |suffix| {
                bare.strip_suffix(suffix)
                    .and_then(|name| families.get(name))
            };
            let kind = match families.get(bare) {
                Some(kind) => kind,
                None => ["_total", "_bucket", "_sum", "_count", "_info"]
                    .into_iter()
                    .find_map(family)
                    .unwrap_or_else(|| panic!("{line} has no type")),
            };
            let is_total = bare.ends_with("_total");
            assert_eq!(is_total, kind == "counter", "{line}");
            assert!(
                is_open || !is_total || families.contains_key(bare),
                "{line}"
            );
        }
    }
    samples
}

impl Client {
    /// The answer to a conference request.
    async fn asks_for(&mut self, room: &str) -> String {
        self.send(&format!(
            "<iq xmlns='jabber:client' type='set' to='focus.localhost' id='ask-{room}'>\
             <conference xmlns='http://jitsi.org/protocol/focus' \
             room='{room}@conference.localhost' machine-uid='m-{}'/></iq>",
            self.nick()
        ))
        .await;
        self.gets(&format!("ask-{room}")).await
    }
}

/// Answers Binding requests with an address of its choice.
struct StunServer {
    port: u16,
    mapped: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl StunServer {
    async fn start() -> StunServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = StunServer {
            port: socket.local_addr().unwrap().port(),
            mapped: Arc::new(AtomicU16::new(40_000)),
            asked: Arc::default(),
        };
        let (mapped, asked) = (Arc::clone(&server.mapped), Arc::clone(&server.asked));
        tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                assert_eq!(
                    (length, &buffer[..2]),
                    (20, &[0, 1][..]),
                    "a Binding request"
                );
                asked.fetch_add(1, Ordering::Relaxed);
                let public = SocketAddrV4::new(
                    Ipv4Addr::new(198, 51, 100, 7),
                    mapped.load(Ordering::Relaxed),
                );
                let answer = binding_response(&buffer[..20], public);
                // First one that is not for it.
                let mut wrong = answer.clone();
                wrong[10] ^= 0xff;
                send(&socket, &wrong, from).await;
                send(&socket, &answer, from).await;
            }
        });
        server
    }
}

async fn send(socket: &UdpSocket, data: &[u8], to: SocketAddr) {
    socket.send_to(data, to).await.unwrap();
}

/// RFC 8489: a success response with XOR-MAPPED-ADDRESS.
fn binding_response(request: &[u8], public: SocketAddrV4) -> Vec<u8> {
    let key = &request[4..20];
    let port = public.port() ^ u16::from_be_bytes([key[0], key[1]]);
    let ip = public.ip().octets();
    let mut response = vec![1, 1, 0, 12];
    response.extend_from_slice(key);
    response.extend([0, 0x20, 0, 8, 0, 1]);
    response.extend(port.to_be_bytes());
    response.extend(ip.iter().zip(key).map(|(byte, key)| byte ^ key));
    response
}
