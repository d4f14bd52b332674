//! From a connection to a session: log-in, bind, resumption. The same for all sockets.

use std::net::IpAddr;
use std::sync::Arc;

use tertulia_conference::host;
use tertulia_model::{RoomJid, SessionProfile};
use tertulia_stream::{Negotiation, NegotiationOutput, Restored, close_code};
use tokio::sync::oneshot;
use tracing::debug;

use crate::authority::Authority;
use crate::clock;
use crate::listen::web::Visitor;
use crate::node::Node;
use crate::pump::{Panicked, Rounds, Timer, earlier, guarded};
use crate::router::with_resource;
use crate::session_task::{self, Attachment, SessionControl};
use crate::socket::{Socket, SocketEvent};
use crate::stop;

/// What is known of a client before it logs in.
pub(crate) struct Client {
    websocket_base: String,
    is_loopback: bool,
    address: IpAddr,
    room: Option<RoomJid>,
}

impl Client {
    /// `room` is the one that the connection's URL names.
    pub(crate) fn new(
        node: &Node,
        visitor: &Visitor,
        authority: &Authority,
        room: Option<RoomJid>,
    ) -> Client {
        Client {
            websocket_base: node.authorities.websocket_base(authority, visitor.arrival),
            is_loopback: visitor.arrival.is_loopback,
            address: visitor.address.ip(),
            room,
        }
    }
}

/// What a step of a negotiation comes to.
enum Step {
    Continue,
    Bind {
        restored: Option<Restored>,
        resource: Option<String>,
    },
    Resume {
        token: String,
        restored: Restored,
        h: u32,
    },
    Close {
        code: u16,
        reason: &'static str,
    },
}

/// Drives one log-in until the socket belongs to a session or is closed.
pub(crate) async fn negotiate(
    node: Arc<Node>,
    client: Client,
    mut machine: Negotiation,
    mut socket: Socket,
) {
    let (mut timer, mut rounds) = (Timer::new(), Rounds::default());
    let mut stopping = node.stopping.subscribe();
    loop {
        let Ok(step) = guarded(|| drain(&mut machine, &mut socket)) else {
            return socket.close(close_code::TRY_AGAIN, "internal error");
        };
        match step {
            Step::Continue => {}
            Step::Close { code, reason } => return socket.close(code, reason),
            Step::Bind { restored, resource } => {
                return bind(
                    &node,
                    &client,
                    machine,
                    socket,
                    restored,
                    resource.as_deref(),
                );
            }
            Step::Resume { token, restored, h } => {
                match resume(&node, socket, &token, &restored, h).await {
                    None => return,
                    Some(returned) => {
                        socket = returned;
                        machine.resume_refused(clock::now());
                        continue;
                    }
                }
            }
        }
        let now = clock::now();
        let may_read_at = machine.may_read_at();
        let may_read = may_read_at.is_none_or(|at| at <= now.mono);
        timer.set(earlier(
            machine.next_timeout(),
            may_read_at.filter(|_| !may_read),
        ));
        let event = tokio::select! {
            event = socket.event(may_read) => Some(event),
            () = timer.expired() => None,
            () = stop::announced(&mut stopping) => {
                return socket.close(close_code::RESTART, "restart");
            }
        };
        let now = clock::now();
        let step = guarded(|| match event {
            Some(SocketEvent::Text(text)) => {
                machine.handle_frame(now, &text);
                Ok(())
            }
            Some(SocketEvent::Alive | SocketEvent::Silent) => Ok(()),
            None => {
                machine.handle_timeout(now);
                Ok(())
            }
            Some(other) => Err(other),
        });
        match step {
            Ok(Ok(())) => rounds.step().await,
            Ok(Err(SocketEvent::Refused { code, reason })) => return socket.close(code, reason),
            Ok(Err(_)) => return socket.finish(),
            Err(Panicked) => return socket.close(close_code::TRY_AGAIN, "internal error"),
        }
    }
}

fn drain(machine: &mut Negotiation, socket: &mut Socket) -> Step {
    while let Some(output) = machine.poll_output() {
        match output {
            NegotiationOutput::Send(text) => socket.send(text),
            NegotiationOutput::Bind { restored, resource } => {
                return Step::Bind { restored, resource };
            }
            NegotiationOutput::Resume { token, restored, h } => {
                return Step::Resume { token, restored, h };
            }
            NegotiationOutput::Close { code, reason } => return Step::Close { code, reason },
        }
    }
    Step::Continue
}

/// Gives the client its JID and a session.
fn bind(
    node: &Arc<Node>,
    client: &Client,
    mut machine: Negotiation,
    mut socket: Socket,
    restored: Option<Restored>,
    resource: Option<&str>,
) {
    let now = clock::now();
    // The old name of someone whom this process never saw, for a while after its start.
    let restored = restored.filter(|restored| {
        let since_start = now.wall.signed_duration_since(node.started);
        restored.issued <= node.started && since_start <= node.restoration_time
    });
    let mut wanted = restored.map(|restored| restored.jid);
    let starting = loop {
        let jid = wanted.take().unwrap_or_else(|| {
            node.with_random(|random| {
                let name = node.router.anonymous_name(&node.hosts, random);
                with_resource(&name, resource, random)
            })
        });
        let resumption_id = if socket.can_resume() {
            node.with_random(|random| node.sealer.seal(&jid, now, random))
        } else {
            String::new()
        };
        let profile = SessionProfile {
            id: node.session_id(),
            jid,
            websocket_base: client.websocket_base.clone(),
            is_loopback: client.is_loopback,
            room: client.room.clone(),
            account: None,
            address: client.address,
        };
        // A name that somebody has is not given twice, not even to who was it before.
        let jid = profile.jid.clone();
        let announcement = host::announcement(&node.conference, now, &profile);
        if let Some(starting) = session_task::start(node, profile, resumption_id, &socket) {
            machine.bound(now, &jid, Some(announcement));
            break starting;
        }
    };
    while let Some(output) = machine.poll_output() {
        if let NegotiationOutput::Send(text) = output {
            socket.send(text);
        }
    }
    starting.run(socket);
}

/// Hands the socket to the session that this token belongs to; it comes back if there is none.
async fn resume(
    node: &Node,
    socket: Socket,
    token: &str,
    restored: &Restored,
    h: u32,
) -> Option<Socket> {
    let session = node.router.session_of(&restored.jid.clone().into());
    let Some(session) = session.filter(|session| session.resumption_id == token) else {
        debug!("no session to resume");
        return Some(socket);
    };
    let (refused, returned) = oneshot::channel();
    let attachment = Box::new(Attachment { socket, h, refused });
    match session.control(SessionControl::Attach(attachment)) {
        Ok(()) => returned.await.ok(),
        Err(SessionControl::Attach(attachment)) => Some(attachment.socket),
        Err(_) => None,
    }
}
