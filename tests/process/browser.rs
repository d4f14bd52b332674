//! A headless client with its sockets: what a browser is to the server. A task drives it, so tests
//! with browsers run in a `LocalSet`.

use std::cell::{Ref, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use chrono::Utc;
use futures_util::{SinkExt, StreamExt};
use tertulia_client::{Client, ClientConfig, Notice, Output};
use tertulia_model::Now;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{XMPP, dial};
use crate::server::{SOON, Web};

/// A browser in which somebody has opened a meeting. Dropped, it is killed.
pub(crate) struct Browser {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

/// What the user has before them, and what a test wants to know of it.
pub(crate) struct Window {
    pub(crate) client: Client,
    /// All that the client had to tell.
    pub(crate) notices: Vec<Notice>,
    /// All that came over the XMPP socket.
    pub(crate) frames: Vec<String>,
    /// There is an XMPP socket.
    pub(crate) is_connected: bool,
    /// Without it nobody can be reached anew.
    pub(crate) has_network: bool,
}

struct Shared {
    window: RefCell<Window>,
    /// The user did something.
    touched: Notify,
    /// The client did something.
    changed: Notify,
}

/// What users do by themselves when their client tells them something.
pub(crate) type User = fn(&mut Client, Now, &Notice);

impl Browser {
    /// Opens the meeting. `config` is given the address for media.
    pub(crate) async fn open(
        server: &Web,
        seed: u8,
        config: impl FnOnce(SocketAddr) -> ClientConfig,
        user: User,
    ) -> Browser {
        tertulia_client::install_crypto();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let config = config(udp.local_addr().unwrap());
        let query = format!("?room={}", config.room.name());
        let shared = Rc::new(Shared {
            window: RefCell::new(Window {
                client: Client::new(config, [seed; 32], now()),
                notices: Vec::new(),
                frames: Vec::new(),
                is_connected: false,
                has_network: true,
            }),
            touched: Notify::new(),
            changed: Notify::new(),
        });
        let wires = Wires {
            server: *server,
            query,
            shared: shared.clone(),
            udp,
            wire: None,
            channel: None,
            request: None,
            user,
        };
        Browser {
            shared,
            task: tokio::task::spawn_local(wires.run()),
        }
    }

    /// The user does something.
    pub(crate) fn act(&self, act: impl FnOnce(&mut Client, Now)) {
        act(&mut self.shared.window.borrow_mut().client, now());
        self.shared.touched.notify_one();
    }

    /// What the user sees.
    pub(crate) fn look(&self) -> Ref<'_, Window> {
        self.shared.window.borrow()
    }

    /// Changes what the test keeps in the window.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Window) -> T) -> T {
        change(&mut self.shared.window.borrow_mut())
    }

    /// Waits until something holds; false if it does not come.
    pub(crate) async fn until(&self, holds: impl Fn(&Window) -> bool) -> bool {
        let waiting = async {
            while !holds(&self.look()) {
                self.shared.changed.notified().await;
            }
        };
        timeout(2 * SOON, waiting).await.is_ok()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type WebSocket = WebSocketStream<TcpStream>;

/// The sockets around one client.
struct Wires {
    server: Web,
    /// What its URLs end with: the room.
    query: String,
    shared: Rc<Shared>,
    udp: UdpSocket,
    wire: Option<WebSocket>,
    channel: Option<WebSocket>,
    request: Option<JoinHandle<(u16, String)>>,
    user: User,
}

impl Wires {
    async fn run(mut self) {
        let mut datagram = vec![0; 2000];
        loop {
            self.settle().await;
            self.with(|window| window.is_connected = self.wire.is_some());
            self.shared.changed.notify_one();
            let wake = self.with(|window| window.client.next_timeout());
            tokio::select! {
                message = next(&mut self.wire) => match message {
                    Some(text) => self.with(|window| {
                        window.client.handle_frame(now(), &text);
                        window.frames.push(text);
                    }),
                    None => {
                        self.wire = None;
                        self.with(|window| window.client.handle_socket_closed(now()));
                    }
                },
                message = next(&mut self.channel) => match message {
                    Some(text) => self.with(|window| window.client.handle_channel_text(now(), &text)),
                    None => {
                        self.channel = None;
                        self.with(|window| window.client.handle_channel_closed(now()));
                    }
                },
                received = self.udp.recv_from(&mut datagram) => {
                    // Errors are those of a server that is down.
                    if let Ok((length, from)) = received {
                        let data = datagram.get(..length).unwrap_or_default();
                        self.with(|window| window.client.handle_datagram(now(), from, data));
                    }
                }
                reply = reply(&mut self.request) => {
                    self.request = None;
                    let reply = reply.as_ref().map(|(status, body)| (*status, body.as_str()));
                    self.with(|window| window.client.handle_http_reply(now(), reply));
                }
                () = self.shared.touched.notified() => {}
                () = until(wake) => self.with(|window| window.client.handle_timeout(now())),
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Window) -> T) -> T {
        act(&mut self.shared.window.borrow_mut())
    }

    async fn settle(&mut self) {
        while let Some(output) = self.with(|window| window.client.poll_output()) {
            match output {
                Output::Dial { previd } => {
                    let previd = previd.map(|id| format!("&previd={id}")).unwrap_or_default();
                    let path = format!("/xmpp-websocket{}{previd}", self.query);
                    self.wire = if self.with(|window| window.has_network) {
                        dial(&self.server, &path, &[XMPP]).await.ok()
                    } else {
                        None
                    };
                    self.with(|window| match self.wire {
                        Some(_) => window.client.handle_socket_opened(now()),
                        None => window.client.handle_socket_closed(now()),
                    });
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
                    let path = url.find("/colibri-ws").and_then(|at| url.get(at..));
                    self.channel = dial(&self.server, path.unwrap(), &[]).await.ok();
                    self.with(|window| match self.channel {
                        Some(_) => window.client.handle_channel_opened(now()),
                        None => window.client.handle_channel_closed(now()),
                    });
                }
                Output::ChannelText(text) => send(&mut self.channel, text).await,
                Output::ChannelClose => self.channel = None,
                Output::HttpRequest { body } => {
                    let server = self.server;
                    let path = format!("/conference-request/v1{}", self.query);
                    self.request = Some(tokio::task::spawn_local(async move {
                        let (status, answer) = server.http("POST", &path, &[], &body).await;
                        let body = answer
                            .split_once("\r\n\r\n")
                            .map(|(_, body)| body.to_owned());
                        (status, body.unwrap_or_default())
                    }));
                }
                Output::Notice(notice) => self.with(|window| {
                    (self.user)(&mut window.client, now(), &notice);
                    window.notices.push(notice);
                }),
            }
        }
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
