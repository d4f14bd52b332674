//! Whole meetings over real sockets: headless clients with real ICE, DTLS and SRTP.

use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::{SinkExt, StreamExt};
use tertulia_client::{
    ChannelKind, Client, ClientConfig, Constraints, Habits, Notice, Output, Redial, RequestKind,
    VideoConfig,
};
use tertulia_model::jid::{BareJid, DomainPart};
use tertulia_model::{MediaType, Now, RoomJid};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{XMPP, dial};
use crate::server::{Folder, SOON, Server, Web};

#[tokio::test]
async fn three_see_and_hear_each_other() {
    LocalSet::new()
        .run_until(async {
            let data = Folder::new();
            let server = Server::start(&data).await;
            let before = Instant::now();
            // Both forms of the request, both kinds of bridge channel.
            let mut people = Vec::new();
            for (number, channel, request) in [
                (1, ChannelKind::WebSocket, RequestKind::Iq),
                (2, ChannelKind::Data, RequestKind::Http),
                (3, ChannelKind::WebSocket, RequestKind::Http),
            ] {
                people.push(Person::enter(&server.web, number, channel, request).await);
            }
            for person in &mut people {
                person
                    .until("hears and sees two", |facts| facts.is_meeting(2))
                    .await;
            }
            println!("three met after {:?}", before.elapsed());
            // One dies without a word; one leaves.
            let last = people.pop().unwrap();
            drop(last);
            let leaving = people.pop().unwrap();
            leaving.leave.send(true).unwrap();
            people[0]
                .until("is alone with someone dead", |facts| facts.occupants == 1)
                .await;
            for person in people {
                assert_eq!(person.facts.borrow().flaws, Vec::<String>::new());
            }
        })
        .await;
}

#[tokio::test]
async fn a_meeting_comes_back_after_sigkill() {
    LocalSet::new()
        .run_until(async {
            let data = Folder::new();
            let mut server = Server::start(&data).await;
            let plain = server.web.address.to_string();
            let mut people = Vec::new();
            for number in [1, 2] {
                let kinds = (ChannelKind::WebSocket, RequestKind::Iq);
                people.push(Person::enter(&server.web, number, kinds.0, kinds.1).await);
            }
            for person in &mut people {
                person.until("meets", |facts| facts.is_meeting(1)).await;
            }
            let nicks: Vec<_> = people
                .iter()
                .map(|one| one.facts.borrow().nick.clone())
                .collect();
            server.signal("KILL");
            server.ended().await;
            for person in &mut people {
                person.until("notices", |facts| !facts.is_meeting(1)).await;
            }
            let _again = Server::start_at(&data, &plain).await;
            let ready = Instant::now();
            for (person, nick) in people.iter_mut().zip(nicks) {
                person
                    .until("meets again", |facts| facts.is_meeting(1))
                    .await;
                assert_eq!(person.facts.borrow().nick, nick, "the same name as before");
            }
            println!("back {:?} after the server was", ready.elapsed());
        })
        .await;
}

/// Somebody in the meeting, driven by a task.
struct Person {
    task: JoinHandle<()>,
    facts: watch::Receiver<Facts>,
    leave: watch::Sender<bool>,
}

/// What can be said of somebody's meeting.
#[derive(Clone, Debug, Default)]
struct Facts {
    nick: Option<String>,
    /// Others in the room.
    occupants: usize,
    is_channel_open: bool,
    /// Sources that are heard and seen, since the last media session began.
    heard: usize,
    seen: usize,
    flaws: Vec<String>,
}

impl Facts {
    /// Whether media of so many others arrives.
    fn is_meeting(&self, others: usize) -> bool {
        self.occupants == others
            && self.heard == others
            && self.seen == others
            && self.is_channel_open
    }
}

impl Drop for Person {
    /// As a browser that is killed.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Person {
    async fn enter(server: &Web, number: u8, channel: ChannelKind, request: RequestKind) -> Person {
        tertulia_bridge::install_crypto();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let room: BareJid = "tea@conference.localhost".parse().unwrap();
        let config = ClientConfig {
            domain: DomainPart::new("localhost").unwrap().into_owned(),
            room: RoomJid::new(room).unwrap(),
            focus: "focus.localhost".parse().unwrap(),
            display_name: format!("Guest {number}"),
            machine_uid: format!("machine-{number}"),
            address: udp.local_addr().unwrap(),
            channel,
            request,
            audio_interval: Duration::from_millis(20),
            video: Some(VideoConfig::modest()),
            redial: Redial {
                min: Duration::from_millis(100),
                max: Duration::from_secs(1),
            },
            habits: Habits::default(),
        };
        let mut client = Client::new(config, [number; 32], now());
        client.set_constraints(now(), Constraints::all());
        let (facts, facts_out) = watch::channel(Facts::default());
        let (leave, leaving) = watch::channel(false);
        let browser = Browser {
            server: *server,
            client,
            udp,
            wire: None,
            channel: None,
            request: None,
            facts,
            leaving,
        };
        Person {
            task: tokio::task::spawn_local(browser.run()),
            facts: facts_out,
            leave,
        }
    }

    async fn until(&mut self, what: &str, holds: impl FnMut(&Facts) -> bool) {
        let waiting = timeout(2 * SOON, self.facts.wait_for(holds)).await;
        let is_met = waiting.is_ok_and(|met| met.is_ok());
        assert!(is_met, "{what}: {:?}", *self.facts.borrow());
    }
}

type WebSocket = WebSocketStream<TcpStream>;

/// The sockets around one client.
struct Browser {
    server: Web,
    client: Client,
    udp: UdpSocket,
    wire: Option<WebSocket>,
    channel: Option<WebSocket>,
    request: Option<JoinHandle<(u16, String)>>,
    facts: watch::Sender<Facts>,
    leaving: watch::Receiver<bool>,
}

impl Browser {
    async fn run(mut self) {
        let mut datagram = vec![0; 2000];
        loop {
            self.settle().await;
            self.observe();
            let wake = self.client.next_timeout();
            tokio::select! {
                message = next(&mut self.wire) => match message {
                    Some(text) => self.client.handle_frame(now(), &text),
                    None => {
                        self.wire = None;
                        self.client.handle_socket_closed(now());
                    }
                },
                message = next(&mut self.channel) => match message {
                    Some(text) => self.client.handle_channel_text(now(), &text),
                    None => {
                        self.channel = None;
                        self.client.handle_channel_closed(now());
                    }
                },
                received = self.udp.recv_from(&mut datagram) => {
                    // Errors are those of a server that is down.
                    if let Ok((length, from)) = received {
                        self.client.handle_datagram(now(), from, &datagram[..length]);
                    }
                }
                reply = reply(&mut self.request) => {
                    self.request = None;
                    let reply = reply.as_ref().map(|(status, body)| (*status, body.as_str()));
                    self.client.handle_http_reply(now(), reply);
                }
                Ok(()) = self.leaving.changed() => self.client.leave(now()),
                () = until(wake) => self.client.handle_timeout(now()),
            }
        }
    }

    async fn settle(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Dial { previd } => {
                    let previd = previd.map(|id| format!("&previd={id}")).unwrap_or_default();
                    let path = format!("/xmpp-websocket?room=tea{previd}");
                    self.wire = dial(&self.server, &path, &[XMPP]).await.ok();
                    if self.wire.is_some() {
                        self.client.handle_socket_opened(now());
                    } else {
                        self.client.handle_socket_closed(now());
                    }
                }
                Output::Frame(text) => send(&mut self.wire, text).await,
                Output::CloseSocket { .. } => self.wire = None,
                Output::Transmit(transmit) => {
                    let _ = self
                        .udp
                        .send_to(&transmit.contents, transmit.destination)
                        .await;
                }
                Output::ChannelDial { url } => {
                    let path = url.find("/colibri-ws").map(|at| &url[at..]).unwrap();
                    self.channel = dial(&self.server, path, &[]).await.ok();
                    if self.channel.is_some() {
                        self.client.handle_channel_opened(now());
                    } else {
                        self.client.handle_channel_closed(now());
                    }
                }
                Output::ChannelText(text) => send(&mut self.channel, text).await,
                Output::ChannelClose => self.channel = None,
                Output::HttpRequest { body } => {
                    let server = self.server;
                    self.request = Some(tokio::task::spawn_local(async move {
                        let path = "/conference-request/v1?room=tea";
                        let (status, answer) = server.http("POST", path, &[], &body).await;
                        let body = answer
                            .split_once("\r\n\r\n")
                            .map(|(_, body)| body.to_owned());
                        (status, body.unwrap_or_default())
                    }));
                }
                Output::Notice(Notice::Flaw(source, flaw)) => {
                    self.facts
                        .send_modify(|facts| facts.flaws.push(format!("{source}: {flaw:?}")));
                }
                Output::Notice(_) => {}
            }
        }
    }

    fn observe(&mut self) {
        let sources = self.client.remote_sources();
        let fresh = |media| {
            let recent =
                |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < Duration::from_secs(1));
            let is_playing = sources.iter().filter(|source| source.media == media);
            is_playing
                .filter(|source| recent(source.facts.last_frame))
                .count()
        };
        let (heard, seen) = (fresh(MediaType::Audio), fresh(MediaType::Video));
        let occupants = self.client.occupants().len();
        let nick = self.client.nick().map(str::to_owned);
        let is_channel_open = self.client.is_channel_open();
        self.facts.send_modify(|facts| {
            facts.nick = nick;
            facts.occupants = occupants;
            facts.is_channel_open = is_channel_open;
            facts.heard = heard;
            facts.seen = seen;
        });
    }
}

/// The next text; None when the socket is gone. Never ready without a socket.
async fn next(socket: &mut Option<WebSocket>) -> Option<String> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

/// A socket that breaks is noticed by its reader.
async fn send(socket: &mut Option<WebSocket>, text: String) {
    if let Some(socket) = socket {
        let _ = socket.send(Message::text(text)).await;
    }
}

async fn reply(request: &mut Option<JoinHandle<(u16, String)>>) -> Option<(u16, String)> {
    match request {
        Some(request) => request.await.ok(),
        None => std::future::pending().await,
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

fn now() -> Now {
    Now {
        mono: Instant::now(),
        wall: Utc::now(),
    }
}
