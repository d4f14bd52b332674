//! The bridge channel's WebSocket: whole messages between a client and its media worker.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tertulia_model::{ChannelId, ConferenceId};
use tertulia_stream::close_code;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, debug, debug_span};

use crate::authority::Authority;
use crate::http::upgrade::{self, Upgrade};
use crate::listen::web::Visitor;
use crate::media::{ChannelMail, OpenChannel, WorkerCommand, WorkerHandle};
use crate::node::Node;
use crate::socket::{SocketEvent, WebSocket};
use crate::stop;

/// `/colibri-ws/SERVER/CONFERENCE/ENDPOINT?pwd=PASSWORD`.
pub(crate) async fn open(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    Path((server, conference, endpoint)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    if server != node.conference.focus.server_id {
        return StatusCode::NOT_FOUND.into_response();
    }
    let upgrade = match upgrade::asked(request) {
        Upgrade::None => return (StatusCode::UPGRADE_REQUIRED, "WebSocket only\n").into_response(),
        Upgrade::Bad(reason) => return (StatusCode::BAD_REQUEST, reason).into_response(),
        Upgrade::Asked(upgrade) => upgrade,
    };
    if !node
        .authorities
        .admits_origin(upgrade.origin(), &authority, visitor.arrival)
    {
        return (StatusCode::FORBIDDEN, "this origin may not connect\n").into_response();
    }
    let Some(open) = node.open_socket() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    };
    // Conference, endpoint and password: nobody learns which of them was wrong.
    let password = query
        .as_deref()
        .and_then(|query| query.strip_prefix("pwd="));
    let Some(channel) = enter(&node, &conference, &endpoint, password.unwrap_or_default()).await
    else {
        return (
            StatusCode::FORBIDDEN,
            "no such conference, endpoint or password\n",
        )
            .into_response();
    };
    let (response, upgraded) = upgrade.accept(None);
    let span = debug_span!("channel", id = channel.id.0);
    let task = async move {
        if let Ok(upgraded) = upgraded.await {
            let bytes = node.limits.channel_message_bytes;
            let socket = WebSocket::new(upgraded, bytes, open).await;
            // Whoever knew the password has logged in.
            drop(visitor.permit);
            carry(&node, socket, channel).await;
        }
    };
    tokio::spawn(task.instrument(span));
    response
}

/// A channel that the worker has let in. The worker learns when it is dropped.
struct Channel {
    id: ChannelId,
    worker: WorkerHandle,
    mail: mpsc::Receiver<ChannelMail>,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.worker.tell(WorkerCommand::ChannelClosed(self.id));
    }
}

async fn enter(node: &Node, conference: &str, endpoint: &str, password: &str) -> Option<Channel> {
    let conference = ConferenceId::new(conference);
    let worker = node.router.worker_of(&conference)?;
    let worker = node.workers.get(usize::from(worker))?.clone();
    let (to_socket, mail) = mpsc::channel(node.limits.channel_messages);
    let (reply, answer) = oneshot::channel();
    let id = node.channel_id();
    let question = OpenChannel {
        conference,
        endpoint: endpoint.parse().ok()?,
        password: password.to_owned(),
        channel: id,
        mail: to_socket,
        reply,
    };
    worker.say(WorkerCommand::OpenChannel(question)).await?;
    answer.await.ok()?.ok()?;
    Some(Channel { id, worker, mail })
}

/// Carries messages until one side ends.
async fn carry(node: &Node, mut socket: WebSocket, mut channel: Channel) {
    let mut stopping = node.stopping.subscribe();
    let mut heard = tokio::time::Instant::now();
    let mut ping = tokio::time::interval(PING_INTERVAL);
    ping.reset();
    loop {
        // A client that does not read is not waited for: its messages pile up in the mail, which
        // is bounded, and the worker closes the channel.
        let takes_mail = socket.waiting_bytes() < WAITING_BYTES_MAX;
        tokio::select! {
            mail = channel.mail.recv(), if takes_mail => match mail {
                Some(ChannelMail::Text(text)) => socket.send(text),
                Some(ChannelMail::Close { code, reason }) => return socket.close(code, reason),
                None => return socket.close(close_code::TRY_AGAIN, "channel lost"),
            },
            event = socket.event(true) => match event {
                SocketEvent::Text(text) => {
                    heard = tokio::time::Instant::now();
                    let text = text.as_str().to_owned();
                    if channel.worker.say(WorkerCommand::ChannelText(channel.id, text)).await.is_none() {
                        return socket.close(close_code::TRY_AGAIN, "worker lost");
                    }
                }
                SocketEvent::Alive | SocketEvent::Silent => heard = tokio::time::Instant::now(),
                SocketEvent::Refused { code, reason } => return socket.close(code, reason),
                SocketEvent::Closed(_) => return socket.finish(),
            },
            _ = ping.tick() => {
                if heard.elapsed() >= IDLE_TIME {
                    debug!("nothing heard on a bridge channel");
                    return socket.close(close_code::TRY_AGAIN, "nothing heard");
                }
                socket.ping();
            }
            () = stop::announced(&mut stopping) => {
                return socket.close(close_code::RESTART, "restart");
            }
        }
    }
}

const PING_INTERVAL: Duration = Duration::from_secs(15);
const IDLE_TIME: Duration = Duration::from_secs(60);
const WAITING_BYTES_MAX: usize = 256 * 1024;
