use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tertulia_model::jid::Jid;
use tertulia_model::{EndReason, Now, SessionChange, SessionProfile};
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, WithAttribute, ns};
use tracing::debug;

use crate::framing::{self, CLOSE, close_code, element};
use crate::queue::{HandledCountTooHigh, Unacknowledged};
use crate::rate::Meter;
use crate::reader::{Frame, read_frame};
use crate::{Config, StreamCondition, StreamError};

/// A bound session. It outlives its sockets: what is sent meanwhile waits for a resumption
/// (XEP-0198) as long as the lease runs.
///
/// Over BOSH there is one "socket" for the whole session, made of many requests, and nothing to
/// resume: what is sent waits for the next request, and the lease runs while none comes.
///
/// Call one `handle_*` or command, then `poll_output` until `None`, then sleep until
/// `next_timeout`. It starts with a socket, the one on which it was bound.
pub struct ClientSession {
    config: Arc<Config>,
    profile: Arc<SessionProfile>,
    resumption_id: String,
    transport: Transport,
    socket: Socket,
    /// Stream management, once the client has enabled it.
    management: Option<Management>,
    bytes: Meter,
    stanzas: Meter,
    pings: u64,
    now: Instant,
    outputs: VecDeque<SessionOutput>,
}

/// What a session wants from the world.
#[derive(Debug)]
pub enum SessionOutput {
    /// Write this frame to the session's socket.
    Send(String),
    /// Route this stanza; `from` is the session's full JID. It has no `to` when the client meant
    /// the server itself.
    Stanza(Stanza),
    /// Tell every conference the session is in. Nothing follows `Ended`.
    Changed(SessionChange),
    /// Close the session's socket. What is sent after it goes to another one.
    CloseSocket { code: u16, reason: &'static str },
}

/// Why the server closes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The server comes back at once: no stream error and no `<close/>`, which would make
    /// clients forget what they need for resumption.
    Restart,
    /// The meetings are over.
    Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    WebSocket,
    Bosh,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    /// `heard` is when the client last sent anything; `is_asked` since the liveness question.
    Attached { heard: Instant, is_asked: bool },
    /// No socket, or over BOSH no sign of the client; the lease runs.
    Lost { until: Instant },
    /// The session is over.
    Ended,
}

#[derive(Debug, Default)]
struct Management {
    is_resumable: bool,
    /// Stanzas handled from the client: our `h`.
    handled: u32,
    unacknowledged: Unacknowledged,
    /// An `<r/>` is out.
    is_asked: bool,
}

impl ClientSession {
    /// A session just bound on the socket it was negotiated on.
    pub fn new(
        config: Arc<Config>,
        profile: Arc<SessionProfile>,
        resumption_id: String,
        now: Now,
    ) -> ClientSession {
        ClientSession {
            socket: Socket::Attached {
                heard: now.mono,
                is_asked: false,
            },
            management: None,
            bytes: Meter::new(config.byte_rate, now.mono),
            stanzas: Meter::new(config.stanza_rate, now.mono),
            pings: 0,
            now: now.mono,
            outputs: VecDeque::new(),
            transport: Transport::WebSocket,
            config,
            profile,
            resumption_id,
        }
    }

    /// The same over BOSH: nobody can resume it.
    pub fn over_bosh(config: Arc<Config>, profile: Arc<SessionProfile>, now: Now) -> ClientSession {
        ClientSession {
            transport: Transport::Bosh,
            ..ClientSession::new(config, profile, String::new(), now)
        }
    }

    /// The client sent a frame on the session's socket.
    pub fn handle_frame(&mut self, now: Now, text: &str) {
        self.now = now.mono;
        if !self.is_heard() {
            return;
        }
        self.bytes.take(now.mono, text.len());
        self.stanzas.take(now.mono, 1);
        match read_frame(&self.config.limits, text) {
            Err(error) => self.refuse(error),
            Ok(Frame::Element(frame)) => self.handle_element(&frame),
            Ok(Frame::Stanza { stanza, elements }) => {
                self.count();
                self.handle_stanza(stanza, elements);
            }
            Ok(Frame::Misaddressed { stanza, error }) => {
                self.count();
                self.answer_with(&stanza, error);
            }
        }
    }

    /// The client showed that it is there, without a frame: over BOSH, a request came.
    pub fn handle_alive(&mut self, now: Now) {
        self.now = now.mono;
        if self.is_heard() {
            self.stanzas.take(now.mono, 1);
        }
    }

    /// Over BOSH: no request was open for a while.
    pub fn handle_silence(&mut self, now: Now) {
        self.now = now.mono;
        if self.is_attached() {
            self.lose_socket();
        }
    }

    /// The session's socket is gone. `code` is the WebSocket close code, if there was one.
    pub fn handle_socket_closed(&mut self, now: Now, code: Option<u16>) {
        self.now = now.mono;
        if !self.is_attached() {
            return;
        }
        // The browser says that the page is gone: nobody will resume.
        if code == Some(close_code::GOING_AWAY) {
            self.end(EndReason::Closed);
        } else {
            self.lose_socket();
        }
    }

    /// A timeout of `next_timeout` has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now.mono;
        match self.socket {
            Socket::Attached {
                heard,
                is_asked: false,
            } => {
                if now.mono >= heard + self.config.liveness_ping_after {
                    self.ask_whether_alive(heard);
                }
            }
            Socket::Attached {
                heard,
                is_asked: true,
            } => {
                if now.mono
                    >= heard + self.config.liveness_ping_after + self.config.liveness_timeout
                {
                    if self.transport == Transport::WebSocket {
                        self.close_socket(close_code::TRY_AGAIN, "nothing heard");
                    }
                    self.lose_socket();
                }
            }
            Socket::Lost { until } if now.mono >= until => self.end(EndReason::LeaseExpired),
            Socket::Lost { .. } | Socket::Ended => {}
        }
    }

    /// Sends a stanza to the client, now or after a resumption.
    pub fn send(&mut self, now: Now, stanza: Arc<Stanza>) {
        self.now = now.mono;
        self.deliver(stanza);
    }

    /// The client reads too slowly: more is waiting for it than its limit allows. The session
    /// finds out itself what is unacknowledged; the shell calls this when the socket's own queue
    /// is full.
    pub fn overflow(&mut self, now: Now) {
        self.now = now.mono;
        self.end_overflowed();
    }

    /// A new socket resumes the session; the client has handled `h` of our stanzas. A socket that
    /// is still there is closed first.
    pub fn resume(&mut self, now: Now, h: u32) {
        self.now = now.mono;
        if self.socket == Socket::Ended {
            return;
        }
        let was_lost = matches!(self.socket, Socket::Lost { .. });
        if !was_lost {
            self.close_socket(close_code::NORMAL, "resumed on another socket");
        }
        self.socket = Socket::Attached {
            heard: now.mono,
            is_asked: false,
        };
        if was_lost {
            self.outputs
                .push_back(SessionOutput::Changed(SessionChange::Resumed));
        }
        self.bytes = Meter::new(self.config.byte_rate, now.mono);
        let Some(management) = &mut self.management else {
            return self.refuse(StreamError::new(
                StreamCondition::PolicyViolation,
                "stream management was not enabled",
            ));
        };
        management.is_asked = false;
        if let Err(error) = management.unacknowledged.acknowledge(h) {
            return self.refuse(too_high(h, error));
        }
        let resumed = element("resumed", ns::SM)
            .with("h", management.handled)
            .with("previd", self.resumption_id.as_str());
        let mut frames = vec![framing::write(&resumed.build())];
        // COMPAT(lib-jitsi-meet): no <delay/>; with it a JSON message would be ignored and a chat
        // message shown as history.
        for stanza in management.unacknowledged.iter() {
            let mut text = String::new();
            stanza.write(Some(&*self.profile.jid), &mut text);
            frames.push(text);
        }
        self.outputs
            .extend(frames.into_iter().map(SessionOutput::Send));
    }

    /// The server ends the session's connection, or the session itself.
    pub fn close(&mut self, now: Now, closing: Closing) {
        self.now = now.mono;
        match closing {
            Closing::Restart if self.is_attached() => {
                self.close_socket(close_code::RESTART, "the server restarts");
                self.socket = Socket::Lost {
                    until: now.mono + self.config.lease,
                };
            }
            Closing::Restart => {}
            Closing::Shutdown => {
                let error = StreamError::new(
                    StreamCondition::SystemShutdown,
                    "the server ends its meetings",
                );
                self.end_with(&error, EndReason::Shutdown);
            }
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        self.outputs
            .pop_front()
            .or_else(|| self.ask_for_acknowledgement())
    }

    /// When `handle_timeout` wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let Config {
            liveness_ping_after,
            liveness_timeout,
            ..
        } = *self.config;
        match self.socket {
            Socket::Attached {
                heard,
                is_asked: false,
            } => Some(heard + liveness_ping_after),
            Socket::Attached {
                heard,
                is_asked: true,
            } => Some(heard + liveness_ping_after + liveness_timeout),
            Socket::Lost { until } => Some(until),
            Socket::Ended => None,
        }
    }

    /// Until when the socket is not to be read (rate limit); None if it may be read now.
    pub fn may_read_at(&self) -> Option<Instant> {
        self.bytes
            .ready_at(self.now)
            .max(self.stanzas.ready_at(self.now))
    }

    /// The id by which the client resumes the session.
    pub fn resumption_id(&self) -> &str {
        &self.resumption_id
    }

    /// Who this is.
    pub fn profile(&self) -> &Arc<SessionProfile> {
        &self.profile
    }

    /// Whether a resumption can find this session; if not, it is refused.
    pub fn is_resumable(&self) -> bool {
        self.socket != Socket::Ended && self.management.as_ref().is_some_and(|m| m.is_resumable)
    }

    /// Bytes of the stanzas that the client has not acknowledged; what a total is made of.
    pub fn waiting_bytes(&self) -> usize {
        self.management
            .as_ref()
            .map_or(0, |management| management.unacknowledged.bytes())
    }

    /// Whether the session has a socket.
    pub fn is_attached(&self) -> bool {
        matches!(self.socket, Socket::Attached { .. })
    }

    /// Whether it is over.
    pub fn is_ended(&self) -> bool {
        self.socket == Socket::Ended
    }

    /// Whether anything can still be written for the client.
    fn is_writable(&self) -> bool {
        self.is_attached() || (self.transport == Transport::Bosh && !self.is_ended())
    }

    /// Takes note of a sign of life; false if it comes from a socket that is not ours any more.
    fn is_heard(&mut self) -> bool {
        let is_back = matches!(self.socket, Socket::Lost { .. });
        if !self.is_writable() {
            return false;
        }
        self.socket = Socket::Attached {
            heard: self.now,
            is_asked: false,
        };
        if is_back {
            self.outputs
                .push_back(SessionOutput::Changed(SessionChange::Resumed));
        }
        true
    }

    fn handle_element(&mut self, frame: &Element) {
        match (frame.ns().as_str(), frame.name()) {
            (ns::FRAMING, "close") => {
                self.say_goodbye();
                self.end(EndReason::Closed);
            }
            (ns::SM, "enable") => self.enable(frame),
            (ns::SM, "r") => {
                if let Some(management) = &self.management {
                    let a = element("a", ns::SM).with("h", management.handled).build();
                    self.outputs
                        .push_back(SessionOutput::Send(framing::write(&a)));
                }
            }
            (ns::SM, "a") => self.handle_acknowledgement(frame),
            (ns::SM, _) => {
                let failed = framing::failed(Condition::UnexpectedRequest.as_str());
                self.outputs.push_back(SessionOutput::Send(failed));
            }
            _ => self.refuse(StreamError::new(
                StreamCondition::PolicyViolation,
                "not the time for this element",
            )),
        }
    }

    fn enable(&mut self, enable: &Element) {
        if self.management.is_some() || self.transport == Transport::Bosh {
            let failed = framing::failed(Condition::UnexpectedRequest.as_str());
            return self.outputs.push_back(SessionOutput::Send(failed));
        }
        let is_resumable = matches!(enable.attr("resume"), Some("true" | "1"));
        let mut enabled = element("enabled", ns::SM);
        if is_resumable {
            // COMPAT(lib-jitsi-meet): literally `true`.
            enabled = enabled
                .with("resume", "true")
                .with("id", self.resumption_id.as_str())
                .with("max", self.config.lease.as_secs());
        }
        self.outputs
            .push_back(SessionOutput::Send(framing::write(&enabled.build())));
        self.management = Some(Management {
            is_resumable,
            ..Management::default()
        });
    }

    fn handle_acknowledgement(&mut self, a: &Element) {
        let Some(management) = &mut self.management else {
            return;
        };
        let Some(h) = a.attr("h").and_then(|h| h.parse().ok()) else {
            return self.refuse(StreamError::new(
                StreamCondition::InvalidXml,
                "an acknowledgement needs its h",
            ));
        };
        management.is_asked = false;
        if let Err(error) = management.unacknowledged.acknowledge(h) {
            self.refuse(too_high(h, error));
        }
    }

    /// Counts a stanza from the client, whatever becomes of it.
    fn count(&mut self) {
        if let Some(management) = &mut self.management {
            management.handled = management.handled.wrapping_add(1);
        }
    }

    fn handle_stanza(&mut self, mut stanza: Stanza, elements: usize) {
        let jid = &self.profile.jid;
        if stanza
            .from
            .as_ref()
            .is_some_and(|from| *from != **jid && *from != jid.to_bare())
        {
            return self.refuse(StreamError::new(
                StreamCondition::InvalidFrom,
                "the sender's address is not the session's",
            ));
        }
        stanza = stanza.with_from(Jid::from(jid.clone()));
        match stanza.kind {
            Kind::Iq => self.handle_iq(stanza, elements),
            Kind::Presence => self.handle_presence(stanza),
            Kind::Message => {
                if stanza.to.is_none() {
                    stanza.to = Some(self.profile.jid.to_bare().into());
                }
                self.outputs.push_back(SessionOutput::Stanza(stanza));
            }
        }
    }

    fn handle_iq(&mut self, stanza: Stanza, elements: usize) {
        let mistake = match (stanza.id.is_some(), stanza.type_.as_deref()) {
            (false, _) => Some("an iq needs an id"),
            (_, Some("get" | "set")) if elements != 1 => Some("a request has exactly one child"),
            (_, Some("get" | "set" | "result" | "error")) => None,
            _ => Some("an iq is get, set, result or error"),
        };
        match mistake {
            Some(text) => {
                let error = StanzaError::new(Condition::BadRequest).with_text(text);
                self.answer_with(&stanza, error);
            }
            None if self.is_answer_to_our_ping(&stanza) => {}
            None => self.outputs.push_back(SessionOutput::Stanza(stanza)),
        }
    }

    fn handle_presence(&mut self, stanza: Stanza) {
        let type_ = stanza.type_.as_deref();
        let is_known = matches!(
            type_,
            None | Some(
                "unavailable"
                    | "error"
                    | "probe"
                    | "subscribe"
                    | "subscribed"
                    | "unsubscribe"
                    | "unsubscribed"
            )
        );
        if !is_known {
            let error = StanzaError::new(Condition::BadRequest).with_text("unknown presence type");
            self.answer_with(&stanza, error);
        } else if stanza.to.is_some() {
            self.outputs.push_back(SessionOutput::Stanza(stanza));
        } else if type_ == Some("unavailable") {
            // The session leaves everywhere: what Jitsi's client says before it closes.
            self.say_goodbye();
            self.end(EndReason::Closed);
        }
        // Nobody has subscribed to a guest's presence: there is no one to tell.
    }

    fn is_answer_to_our_ping(&self, stanza: &Stanza) -> bool {
        !stanza.is_request()
            && stanza
                .id
                .as_deref()
                .and_then(|id| id.strip_prefix(PING_ID))
                .is_some()
            && stanza
                .to
                .as_ref()
                .is_none_or(|to| to.domain() == self.profile.jid.domain() && to.node().is_none())
    }

    fn answer_with(&mut self, stanza: &Stanza, error: StanzaError) {
        if stanza.may_be_refused() {
            debug!(condition = error.condition.as_str(), "stanza refused");
            let answer = stanza
                .clone()
                .with_from(Jid::from(self.profile.jid.clone()))
                .error(error);
            self.deliver(Arc::new(answer));
        }
    }

    fn deliver(&mut self, stanza: Arc<Stanza>) {
        if self.is_writable() {
            self.write(&stanza);
        }
        let Some(management) = &mut self.management else {
            return;
        };
        management.unacknowledged.push(stanza);
        let waiting = &management.unacknowledged;
        if waiting.len() > self.config.queue_stanzas_max
            || waiting.bytes() > self.config.queue_bytes_max
        {
            self.end_overflowed();
        }
    }

    fn end_overflowed(&mut self) {
        let error = StreamError::new(StreamCondition::ResourceConstraint, "too slow a reader");
        self.end_with(&error, EndReason::Overflow);
    }

    fn ask_whether_alive(&mut self, heard: Instant) {
        self.socket = Socket::Attached {
            heard,
            is_asked: true,
        };
        if let Some(management) = &mut self.management {
            management.is_asked = true;
            let r = framing::write(&Element::bare("r", ns::SM));
            self.outputs.push_back(SessionOutput::Send(r));
        } else {
            self.pings += 1;
            let domain = self.profile.jid.to_bare().domain().to_owned();
            let ping = Stanza::iq("get", &format!("{PING_ID}{}", self.pings))
                .with_from(Jid::from_parts(None, &domain, None))
                .with_child(Element::bare("ping", ns::PING));
            self.write(&ping);
        }
    }

    /// After a flush: asks for an acknowledgement if enough is waiting for one.
    fn ask_for_acknowledgement(&mut self) -> Option<SessionOutput> {
        let is_attached = self.is_attached();
        let management = self.management.as_mut()?;
        let is_due = management.unacknowledged.len() >= self.config.ack_request_after;
        if !is_attached || management.is_asked || !is_due {
            return None;
        }
        management.is_asked = true;
        Some(SessionOutput::Send(framing::write(&Element::bare(
            "r",
            ns::SM,
        ))))
    }

    fn write(&mut self, stanza: &Stanza) {
        let mut text = String::with_capacity(stanza.size());
        stanza.write(Some(&*self.profile.jid), &mut text);
        self.outputs.push_back(SessionOutput::Send(text));
    }

    fn lose_socket(&mut self) {
        if self.is_resumable() || self.transport == Transport::Bosh {
            self.socket = Socket::Lost {
                until: self.now + self.config.lease,
            };
            self.outputs
                .push_back(SessionOutput::Changed(SessionChange::Paused));
        } else {
            self.end(EndReason::LeaseExpired);
        }
    }

    fn refuse(&mut self, error: StreamError) {
        debug!(
            condition = error.condition.as_str(),
            text = error.text,
            "session refused"
        );
        self.end_with(&error, EndReason::PolicyViolation);
    }

    /// Ends the session with a stream error, if there is a socket to tell it.
    fn end_with(&mut self, error: &StreamError, reason: EndReason) {
        if self.is_writable() {
            let frames = [error.to_frame(), CLOSE.to_owned()];
            self.outputs
                .extend(frames.into_iter().map(SessionOutput::Send));
            let code = match reason {
                EndReason::Shutdown => close_code::GOING_AWAY,
                _ => close_code::POLICY_VIOLATION,
            };
            self.close_socket(code, error.condition.as_str());
        }
        self.end(reason);
    }

    fn say_goodbye(&mut self) {
        self.outputs
            .push_back(SessionOutput::Send(CLOSE.to_owned()));
        self.close_socket(close_code::NORMAL, "closed");
    }

    fn close_socket(&mut self, code: u16, reason: &'static str) {
        self.outputs
            .push_back(SessionOutput::CloseSocket { code, reason });
    }

    /// Ends the session. Requests that the client never acknowledged are answered for it.
    fn end(&mut self, reason: EndReason) {
        if self.socket == Socket::Ended {
            return;
        }
        self.socket = Socket::Ended;
        let management = self.management.take().unwrap_or_default();
        for request in management
            .unacknowledged
            .iter()
            .filter(|stanza| stanza.is_request())
        {
            let answer = request.error(Condition::RecipientUnavailable);
            let answer = answer.with_from(Jid::from(self.profile.jid.clone()));
            self.outputs.push_back(SessionOutput::Stanza(answer));
        }
        self.outputs
            .push_back(SessionOutput::Changed(SessionChange::Ended(reason)));
    }
}

/// Begins the ids of our own pings.
const PING_ID: &str = "tertulia-ping-";

fn too_high(h: u32, error: HandledCountTooHigh) -> StreamError {
    let extra = element("handled-count-too-high", ns::SM)
        .with("h", h)
        .with("send-count", error.sent)
        .build();
    StreamError {
        extra: Some(Box::new(extra)),
        ..StreamError::new(
            StreamCondition::UndefinedCondition,
            "more acknowledged than was sent",
        )
    }
}

#[cfg(test)]
mod tests;
