use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_model::Now;
use tertulia_model::jid::{DomainPart, FullJid, Jid};
use tertulia_stanza::{Element, Stanza, WithAttribute, ns};

use crate::framing::{self, CLOSE, close_code, element};
use crate::queue::Unacknowledged;
use crate::reader::{Frame, read_element, read_frame};
use crate::{Limits, StreamCondition};

/// What an initiator needs to know.
#[derive(Clone, Debug)]
pub struct InitiatorConfig {
    /// The host to log in to.
    pub domain: DomainPart,
}

/// The client side of a stream: log-in as a guest, bind, stream management, resumption. It counts
/// and asks as Jitsi's client does.
///
/// The driver dials (with [`previd`](Initiator::previd) in the URL), tells
/// [`handle_socket_opened`](Initiator::handle_socket_opened), and dials again after a lost socket.
pub struct Initiator {
    config: InitiatorConfig,
    limits: Limits,
    state: State,
    jid: Option<FullJid>,
    management: Option<Management>,
    /// Written once stream management is settled: Jitsi's client pauses until `<enabled/>`.
    waiting: VecDeque<Arc<Stanza>>,
    deadline: Option<Instant>,
    /// When something came last, and how many pings have gone unanswered.
    heard: Instant,
    ping: Ping,
    ids: u64,
    outputs: VecDeque<InitiatorOutput>,
}

/// What an initiator wants from the world.
#[derive(Debug)]
pub enum InitiatorOutput {
    /// Write this frame.
    Send(String),
    /// There is a new session.
    Bound(FullJid),
    /// The old session goes on.
    Resumed,
    /// The old session is gone; `Bound` follows on the same stream.
    ResumeRefused,
    /// A stanza for the client.
    Stanza(Stanza),
    /// Close the socket.
    CloseSocket { code: u16 },
    /// The connection is of no use; the driver may dial again.
    Failed(Failure),
}

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The socket closed; the session may be resumed if [`Initiator::previd`] says so.
    SocketClosed,
    /// The server sent a stream error of this condition. The session is gone.
    StreamError(String),
    /// The server said `<close/>`, or we did. The session is gone.
    Closed,
    /// No log-in by the time, or none offered.
    LogIn,
    /// The server does not answer.
    Silence,
    /// Frames that make no sense.
    Protocol(StreamCondition),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offline,
    /// `<open/>` sent, features expected.
    Opening {
        is_authenticated: bool,
    },
    Authenticating,
    Binding,
    Enabling,
    Resuming,
    Online,
}

#[derive(Debug, Default)]
struct Management {
    token: Option<String>,
    handled: u32,
    unacknowledged: Unacknowledged,
    /// Stanzas since the last `<r/>`.
    unasked: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ping {
    /// Since when the last one is unanswered.
    sent: Option<Instant>,
    missed: u32,
}

/// Jitsi's client: a ping after 10 s of silence, 5 s for the answer, two failures close.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
const PINGS_MISSED_MAX: u32 = 2;
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Jitsi's client asks after so many stanzas.
const ASK_EVERY: u32 = 5;
const PING_ID: &str = "ping-";
/// What a server may send; wide, but as safe for the stack as for the server.
const LIMITS: Limits = Limits {
    bytes_max: 4 * 1024 * 1024,
    depth_max: 64,
    elements_max: 50_000,
    attributes_max: 64,
    namespaces_max: 16,
    name_bytes_max: 256,
    value_bytes_max: 8_192,
    address_bytes_max: 3_100,
};

impl Initiator {
    /// A client that has no socket yet.
    pub fn new(config: InitiatorConfig, now: Now) -> Initiator {
        Initiator {
            config,
            limits: LIMITS,
            state: State::Offline,
            jid: None,
            management: None,
            waiting: VecDeque::new(),
            deadline: None,
            heard: now.mono,
            ping: Ping::default(),
            ids: 0,
            outputs: VecDeque::new(),
        }
    }

    /// A new socket is up.
    pub fn handle_socket_opened(&mut self, now: Now) {
        self.state = State::Opening {
            is_authenticated: false,
        };
        self.deadline = Some(now.mono + LOGIN_TIMEOUT);
        self.heard = now.mono;
        self.ping = Ping::default();
        if self.previd().is_none() {
            self.management = None;
        }
        self.send_frame(framing::open_to(self.config.domain.as_str()));
    }

    /// The socket is gone.
    pub fn handle_socket_closed(&mut self, _now: Now) {
        if self.state != State::Offline {
            self.fail(Failure::SocketClosed);
        }
    }

    /// The server sent a frame.
    pub fn handle_frame(&mut self, now: Now, text: &str) {
        if self.state == State::Offline {
            return;
        }
        self.heard = now.mono;
        // Features and errors of a stream have a namespace that stanzas never have.
        let is_stream_level = text.starts_with("<stream:");
        let frame = match read_frame(&self.limits, text) {
            Ok(frame) => frame,
            Err(_) if is_stream_level => return self.handle_stream_level(text),
            Err(error) => return self.give_up(Failure::Protocol(error.condition)),
        };
        match frame {
            Frame::Element(frame) => self.handle_element(now, &frame),
            Frame::Stanza { stanza, .. } => self.handle_stanza(now, stanza),
            Frame::Misaddressed { .. } => {
                self.give_up(Failure::Protocol(StreamCondition::ImproperAddressing));
            }
        }
    }

    /// A timeout of `next_timeout` has come.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.deadline.is_some_and(|deadline| now.mono >= deadline) {
            return self.give_up(Failure::LogIn);
        }
        if self.state != State::Online || self.next_timeout().is_none_or(|at| now.mono < at) {
            return;
        }
        if self.ping.sent.take().is_some() {
            self.ping.missed += 1;
            if self.ping.missed >= PINGS_MISSED_MAX {
                return self.give_up(Failure::Silence);
            }
        }
        self.ping.sent = Some(now.mono);
        self.ids += 1;
        let domain = Jid::from_parts(None, &self.config.domain, None);
        let ping = Stanza::iq("get", &format!("{PING_ID}{}", self.ids))
            .with_to(domain)
            .with_child(Element::bare("ping", ns::PING));
        self.send(now, ping);
    }

    /// Sends a stanza, or keeps it until the stream is up (or up again).
    pub fn send(&mut self, _now: Now, stanza: Stanza) {
        let stanza = Arc::new(stanza);
        match (self.state, &mut self.management) {
            (State::Online, _) => self.write(stanza),
            // Without a socket: goes out with the others after the resumption.
            (
                State::Offline | State::Opening { .. } | State::Authenticating | State::Resuming,
                Some(management),
            ) => {
                management.unacknowledged.push(stanza);
            }
            _ => self.waiting.push_back(stanza),
        }
    }

    /// Leaves as Jitsi's client does when its user does.
    pub fn close(&mut self, _now: Now) {
        if self.state == State::Online {
            let goodbye = Stanza::new(tertulia_stanza::Kind::Presence).with_type("unavailable");
            self.write(Arc::new(goodbye));
        }
        if self.state != State::Offline {
            self.send_frame(CLOSE.to_owned());
            self.outputs.push_back(InitiatorOutput::CloseSocket {
                code: close_code::NORMAL,
            });
        }
        self.forget();
        self.state = State::Offline;
        self.deadline = None;
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<InitiatorOutput> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.state != State::Online {
            return self.deadline;
        }
        match self.ping.sent {
            Some(sent) => Some(sent + PING_TIMEOUT),
            None => Some(self.heard + PING_INTERVAL),
        }
    }

    /// What goes into the URL as `previd` when dialling again.
    pub fn previd(&self) -> Option<&str> {
        self.management.as_ref()?.token.as_deref()
    }

    /// Who the client is; None before the first bind.
    pub fn jid(&self) -> Option<&FullJid> {
        self.jid.as_ref()
    }

    fn handle_stream_level(&mut self, text: &str) {
        let element = match read_element(&self.limits, text) {
            Ok(element) => element,
            Err(error) => return self.give_up(Failure::Protocol(error.condition)),
        };
        if element.is("error", ns::STREAM) {
            let condition = element
                .children()
                .find(|child| child.ns() == ns::STREAM_ERRORS);
            let condition = condition
                .map_or("undefined-condition", Element::name)
                .to_owned();
            self.forget();
            self.give_up(Failure::StreamError(condition));
        } else if element.is("features", ns::STREAM) {
            self.handle_features(&element);
        }
    }

    fn handle_features(&mut self, features: &Element) {
        match self.state {
            State::Opening {
                is_authenticated: false,
            } => {
                let offered = features.get_child("mechanisms", ns::SASL);
                let is_offered = offered
                    .is_some_and(|offered| offered.children().any(|m| m.text() == "ANONYMOUS"));
                if !is_offered {
                    return self.give_up(Failure::LogIn);
                }
                self.state = State::Authenticating;
                let auth = element("auth", ns::SASL).with("mechanism", "ANONYMOUS");
                self.send_frame(framing::write(&auth.build()));
            }
            State::Opening {
                is_authenticated: true,
            } => {
                if !features.has_child("bind", ns::BIND) {
                    return self.give_up(Failure::LogIn);
                }
                match &self.management {
                    Some(Management {
                        token: Some(token),
                        handled,
                        ..
                    }) => {
                        let resume = element("resume", ns::SM)
                            .with("h", *handled)
                            .with("previd", token.as_str());
                        self.state = State::Resuming;
                        self.send_frame(framing::write(&resume.build()));
                    }
                    _ => self.bind(),
                }
            }
            _ => {}
        }
    }

    fn handle_element(&mut self, now: Now, frame: &Element) {
        match (self.state, frame.ns().as_str(), frame.name()) {
            (_, ns::FRAMING, "close") => {
                self.forget();
                self.give_up(Failure::Closed);
            }
            (State::Authenticating, ns::SASL, "success") => {
                self.state = State::Opening {
                    is_authenticated: true,
                };
                self.send_frame(framing::open_to(self.config.domain.as_str()));
            }
            (State::Authenticating, ns::SASL, "failure") => self.give_up(Failure::LogIn),
            (State::Enabling, ns::SM, "enabled") => {
                let is_resumable = frame.attr("resume") == Some("true");
                let token = frame.attr("id").filter(|_| is_resumable).map(str::to_owned);
                self.management = Some(Management {
                    token,
                    ..Management::default()
                });
                self.go_online(now);
            }
            (State::Enabling, ns::SM, "failed") => self.go_online(now),
            (State::Resuming, ns::SM, "resumed") => self.handle_resumed(now, frame),
            (State::Resuming, ns::SM, "failed") => {
                self.forget();
                self.outputs.push_back(InitiatorOutput::ResumeRefused);
                self.bind();
            }
            (_, ns::SM, "r") => {
                if let Some(management) = &self.management {
                    let a = element("a", ns::SM).with("h", management.handled).build();
                    self.send_frame(framing::write(&a));
                }
            }
            (_, ns::SM, "a") => {
                self.acknowledge(frame);
            }
            _ => {}
        }
    }

    fn handle_resumed(&mut self, now: Now, resumed: &Element) {
        if !self.acknowledge(resumed) {
            return;
        }
        self.outputs.push_back(InitiatorOutput::Resumed);
        let again = self
            .management
            .as_mut()
            .map(|m| std::mem::take(&mut m.unacknowledged));
        self.state = State::Online;
        self.deadline = None;
        self.heard = now.mono;
        if let (Some(again), Some(management)) = (again, &mut self.management) {
            let stanzas: Vec<_> = again.iter().cloned().collect();
            management.unacknowledged = again;
            for stanza in stanzas {
                self.send_frame(stanza.to_string());
            }
        }
    }

    /// Reads an `h`; false if it makes no sense and the connection was given up.
    fn acknowledge(&mut self, frame: &Element) -> bool {
        let h = frame.attr("h").and_then(|h| h.parse().ok());
        let management = self.management.as_mut();
        let is_fine = match (management, h) {
            (Some(management), Some(h)) => management.unacknowledged.acknowledge(h).is_ok(),
            _ => false,
        };
        if !is_fine {
            self.forget();
            self.give_up(Failure::Protocol(StreamCondition::UndefinedCondition));
        }
        is_fine
    }

    fn handle_stanza(&mut self, now: Now, stanza: Stanza) {
        if self.state == State::Binding && stanza.id.as_deref() == Some(BIND_ID) {
            return self.handle_bound(now, &stanza);
        }
        if let Some(management) = &mut self.management {
            management.handled = management.handled.wrapping_add(1);
        }
        // As in Jitsi's client, any answer counts as a sign of life.
        self.ping = Ping::default();
        let is_our_ping = stanza
            .id
            .as_deref()
            .is_some_and(|id| id.starts_with(PING_ID));
        if !is_our_ping || stanza.is_request() {
            self.outputs.push_back(InitiatorOutput::Stanza(stanza));
        }
    }

    fn bind(&mut self) {
        self.state = State::Binding;
        let bind = Stanza::iq("set", BIND_ID).with_child(Element::bare("bind", ns::BIND));
        self.send_frame(bind.to_string());
    }

    fn handle_bound(&mut self, _now: Now, answer: &Stanza) {
        let bind = answer
            .child("bind", ns::BIND)
            .filter(|_| answer.is_type("result"));
        let jid = bind.and_then(|bind| bind.get_child("jid", ns::BIND));
        let Some(jid) = jid.and_then(|jid| jid.text().parse::<FullJid>().ok()) else {
            return self.give_up(Failure::LogIn);
        };
        self.jid = Some(jid.clone());
        self.outputs.push_back(InitiatorOutput::Bound(jid));
        self.state = State::Enabling;
        let enable = element("enable", ns::SM).with("resume", "true").build();
        self.send_frame(framing::write(&enable));
    }

    fn go_online(&mut self, now: Now) {
        self.state = State::Online;
        self.deadline = None;
        self.heard = now.mono;
        for stanza in std::mem::take(&mut self.waiting) {
            self.write(stanza);
        }
    }

    fn write(&mut self, stanza: Arc<Stanza>) {
        self.send_frame(stanza.to_string());
        let Some(management) = &mut self.management else {
            return;
        };
        management.unacknowledged.push(stanza);
        management.unasked += 1;
        if management.unasked >= ASK_EVERY {
            management.unasked = 0;
            self.send_frame(framing::write(&Element::bare("r", ns::SM)));
        }
    }

    fn send_frame(&mut self, frame: String) {
        self.outputs.push_back(InitiatorOutput::Send(frame));
    }

    /// The session cannot be resumed any more.
    fn forget(&mut self) {
        self.management = None;
        self.waiting.clear();
    }

    fn give_up(&mut self, failure: Failure) {
        self.outputs.push_back(InitiatorOutput::CloseSocket {
            code: close_code::NORMAL,
        });
        self.fail(failure);
    }

    fn fail(&mut self, failure: Failure) {
        self.state = State::Offline;
        self.deadline = None;
        if self.jid.is_some() && self.previd().is_none() {
            // It was meant for a session that cannot come back.
            self.waiting.clear();
        }
        self.outputs.push_back(InitiatorOutput::Failed(failure));
    }
}

/// Id of the bind request, as strophe.js writes it.
const BIND_ID: &str = "_bind_auth_2";

#[cfg(test)]
mod tests;
