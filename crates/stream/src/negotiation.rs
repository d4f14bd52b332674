use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tertulia_model::jid::{DomainPart, DomainRef, FullJid, ResourcePart};
use tertulia_model::{Host, Hosts, Now, Random};
use tertulia_stanza::{Condition, Element, Stanza, StanzaError, ns, text_element};
use tracing::debug;

use crate::framing::{self, CLOSE, close_code, element};
use crate::rate::Meter;
use crate::reader::{Frame, read_frame};
use crate::{Config, Restored, Sealer, StreamCondition, StreamError};

/// The receiving side of a stream until there is a session: opening, log-in, bind or resumption.
///
/// One per connection. Call one `handle_*` (or the answer to an output), then `poll_output` until
/// `None`. [`Bind`](NegotiationOutput::Bind) and [`Resume`](NegotiationOutput::Resume) are
/// questions: answer them before the next frame, by [`bound`](Negotiation::bound),
/// [`resume_refused`](Negotiation::resume_refused), or by giving the socket to
/// [`ClientSession::resume`](crate::ClientSession::resume) and dropping this machine.
pub struct Negotiation {
    config: Arc<Config>,
    hosts: Arc<Hosts>,
    sealer: Arc<Sealer>,
    /// Whom the connection's URL claims to have been, if the claim is sealed.
    previous: Option<Restored>,
    /// Whether a lost session can be taken over (XEP-0198).
    can_resume: bool,
    random: Random,
    state: State,
    /// The host of the first opening; it holds for the whole connection.
    host: Option<DomainPart>,
    has_opened: bool,
    refusals: u32,
    deadline: Instant,
    bytes: Meter,
    now: Instant,
    outputs: VecDeque<NegotiationOutput>,
}

/// What the negotiation wants from the world.
#[derive(Debug)]
pub enum NegotiationOutput {
    /// Write this frame.
    Send(String),
    /// The client is logged in and wants a session.
    Bind {
        /// Who it was before, if it can prove that.
        restored: Option<Restored>,
        /// The resource it asks for; valid as such.
        resource: Option<String>,
    },
    /// The client is logged in and wants its old session back, having handled `h` stanzas.
    Resume {
        token: String,
        restored: Restored,
        h: u32,
    },
    /// Close the socket; nothing follows.
    Close { code: u16, reason: &'static str },
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Before `<open/>`; `is_authenticated` after `<success/>`.
    Opening { is_authenticated: bool },
    /// Log-in is offered.
    LogIn,
    /// Bind and resumption are offered.
    Bind,
    /// The shell was asked; the id of the bind request.
    Binding { id: Arc<str> },
    /// The shell was asked.
    Resuming,
    /// There is a session, or the connection is over.
    Done,
}

/// Failed log-ins on one connection before it is closed.
const REFUSALS_MAX: u32 = 3;

impl Negotiation {
    /// A connection whose socket is up and that has said nothing yet. `previd` comes from its URL.
    pub fn new(
        config: Arc<Config>,
        hosts: Arc<Hosts>,
        sealer: Arc<Sealer>,
        previd: Option<&str>,
        seed: [u8; 32],
        now: Now,
    ) -> Negotiation {
        let mut negotiation = Negotiation {
            random: Random::from_seed(seed),
            state: State::Opening {
                is_authenticated: false,
            },
            host: None,
            has_opened: false,
            refusals: 0,
            deadline: now.mono + config.login_timeout,
            bytes: Meter::new(config.byte_rate_before_login, now.mono),
            now: now.mono,
            outputs: VecDeque::new(),
            previous: None,
            can_resume: true,
            config,
            hosts,
            sealer,
        };
        negotiation.previous = previd.and_then(|token| negotiation.open_token(token));
        negotiation
    }

    /// The same over BOSH, where the session itself outlives the connections and nothing is to be
    /// resumed.
    pub fn over_bosh(
        config: Arc<Config>,
        hosts: Arc<Hosts>,
        sealer: Arc<Sealer>,
        seed: [u8; 32],
        now: Now,
    ) -> Negotiation {
        Negotiation {
            can_resume: false,
            ..Negotiation::new(config, hosts, sealer, None, seed, now)
        }
    }

    /// The client sent a frame.
    pub fn handle_frame(&mut self, now: Now, text: &str) {
        self.now = now.mono;
        if self.state == State::Done {
            return;
        }
        self.bytes.take(now.mono, text.len());
        match read_frame(&self.config.limits_before_login, text) {
            Err(error) => self.refuse(error),
            Ok(Frame::Element(frame)) => self.handle_element(&frame),
            Ok(Frame::Stanza { stanza, .. } | Frame::Misaddressed { stanza, .. }) => {
                self.handle_stanza(&stanza);
            }
        }
    }

    /// A timeout of `next_timeout` has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now.mono;
        if self.state != State::Done && now.mono >= self.deadline {
            self.refuse(StreamError::new(
                StreamCondition::ConnectionTimeout,
                "log-in took too long",
            ));
        }
    }

    /// The answer to [`NegotiationOutput::Bind`]: the session exists and gets all further frames.
    ///
    /// `announcement` goes to the client first: Jitsi's clients look for what the server can do in
    /// a message that comes before the result, and ask only if there was none.
    pub fn bound(&mut self, now: Now, jid: &FullJid, announcement: Option<Stanza>) {
        self.now = now.mono;
        if let State::Binding { id } = std::mem::replace(&mut self.state, State::Done) {
            if let Some(announcement) = announcement {
                self.send_stanza(&announcement.with_to(jid.clone()));
            }
            let jid = text_element("jid", ns::BIND, jid.as_str());
            let bind = element("bind", ns::BIND).append(jid).build();
            self.send_stanza(&Stanza::iq("result", &id).with_child(bind));
        }
    }

    /// The answer to [`NegotiationOutput::Resume`] when there is no such session. The client may
    /// bind on the same stream.
    pub fn resume_refused(&mut self, now: Now) {
        self.now = now.mono;
        if self.state == State::Resuming {
            self.state = State::Bind;
            self.send(framing::failed(Condition::ItemNotFound.as_str()));
        }
    }

    /// The server stops: the socket closes without a stream error, which would make Jitsi's
    /// clients throw their resumption away.
    pub fn close(&mut self, now: Now) {
        self.now = now.mono;
        if self.state != State::Done {
            self.state = State::Done;
            self.outputs.push_back(NegotiationOutput::Close {
                code: close_code::RESTART,
                reason: "the server restarts",
            });
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<NegotiationOutput> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        (self.state != State::Done).then_some(self.deadline)
    }

    /// Until when the socket is not to be read (rate limit); None if it may be read now.
    pub fn may_read_at(&self) -> Option<Instant> {
        self.bytes.ready_at(self.now)
    }

    fn handle_element(&mut self, frame: &Element) {
        if frame.is("close", ns::FRAMING) {
            self.goodbye();
            return;
        }
        match &self.state {
            State::Opening { is_authenticated } if frame.is("open", ns::FRAMING) => {
                let is_authenticated = *is_authenticated;
                self.handle_open(frame, is_authenticated);
            }
            State::Opening { .. } => self.refuse(StreamError::new(
                StreamCondition::BadFormat,
                "a stream begins with an open element",
            )),
            State::LogIn if frame.is("auth", ns::SASL) => self.handle_auth(frame),
            State::LogIn if frame.is("abort", ns::SASL) => {
                self.refuse_login("aborted", "the client gave up");
            }
            State::LogIn if frame.is("response", ns::SASL) => {
                self.refuse_login("malformed-request", "nothing was asked");
            }
            State::Bind if self.can_resume && frame.is("resume", ns::SM) => {
                self.handle_resume(frame);
            }
            State::LogIn | State::Bind if frame.has_ns(ns::SM) => {
                self.send(framing::failed(Condition::UnexpectedRequest.as_str()));
            }
            State::LogIn | State::Bind | State::Binding { .. } | State::Resuming => {
                self.refuse(StreamError::new(
                    StreamCondition::PolicyViolation,
                    "not the time for this element",
                ));
            }
            State::Done => {}
        }
    }

    fn handle_open(&mut self, open: &Element, is_authenticated: bool) {
        let Some(to) = open.attr("to") else {
            return self.refuse(StreamError::new(
                StreamCondition::ImproperAddressing,
                "the opening does not say to whom",
            ));
        };
        let host = DomainPart::new(to).ok().map(|host| host.into_owned());
        let host = host.filter(|host| self.hosts.classify(host) == Some(Host::Main));
        let Some(host) = host else {
            return self.refuse(StreamError::new(
                StreamCondition::HostUnknown,
                "no one logs in to this host here",
            ));
        };
        if self.host.as_ref().is_some_and(|pinned| *pinned != host) {
            return self.refuse(StreamError::new(
                StreamCondition::PolicyViolation,
                "the host must not change after log-in",
            ));
        }
        if open.attr("version") != Some("1.0") {
            return self.refuse(StreamError::new(
                StreamCondition::UnsupportedVersion,
                "only version 1.0 is spoken",
            ));
        }
        self.send_open(&host);
        self.host = Some(host);
        if is_authenticated {
            self.state = State::Bind;
            self.send(framing::features_after_login(self.can_resume));
        } else {
            self.state = State::LogIn;
            self.send(framing::features_before_login());
        }
    }

    fn handle_auth(&mut self, auth: &Element) {
        if auth.attr("mechanism") == Some("ANONYMOUS") {
            self.state = State::Opening {
                is_authenticated: true,
            };
            self.send(framing::write(&Element::bare("success", ns::SASL)));
        } else {
            self.refuse_login("invalid-mechanism", "only ANONYMOUS is offered");
        }
    }

    fn refuse_login(&mut self, condition: &str, text: &str) {
        self.send(framing::login_failure(condition, text));
        self.refusals += 1;
        if self.refusals >= REFUSALS_MAX {
            self.refuse(StreamError::new(
                StreamCondition::PolicyViolation,
                "too many failed log-ins",
            ));
        }
    }

    fn handle_resume(&mut self, resume: &Element) {
        let h = resume.attr("h").and_then(|h| h.parse().ok());
        let (Some(h), Some(token)) = (h, resume.attr("previd")) else {
            return self.refuse(StreamError::new(
                StreamCondition::InvalidXml,
                "resume needs previd and h",
            ));
        };
        match self.open_token(token) {
            Some(restored) => {
                self.state = State::Resuming;
                let token = token.to_owned();
                self.outputs
                    .push_back(NegotiationOutput::Resume { token, restored, h });
            }
            None => self.send(framing::failed(Condition::ItemNotFound.as_str())),
        }
    }

    fn handle_stanza(&mut self, stanza: &Stanza) {
        if self.state != State::Bind {
            return self.refuse(StreamError::new(
                StreamCondition::NotAuthorized,
                "stanzas come after log-in",
            ));
        }
        let bind = stanza
            .child("bind", ns::BIND)
            .filter(|_| stanza.is_type("set"));
        let (Some(bind), Some(id)) = (bind, &stanza.id) else {
            return self.refuse(StreamError::new(
                StreamCondition::NotAuthorized,
                "stanzas come after bind",
            ));
        };
        let resource = bind.get_child("resource", ns::BIND).map(Element::text);
        let resource = resource.filter(|resource| !resource.is_empty());
        if resource
            .as_ref()
            .is_some_and(|resource| ResourcePart::new(resource).is_err())
        {
            let error = StanzaError::new(Condition::BadRequest).with_text("an impossible resource");
            return self.send_stanza(&stanza.error(error));
        }
        self.state = State::Binding { id: id.clone() };
        let restored = self.previous.clone();
        self.outputs
            .push_back(NegotiationOutput::Bind { restored, resource });
    }

    /// What a token restores, if it is about one of our hosts.
    fn open_token(&self, token: &str) -> Option<Restored> {
        let restored = self.sealer.open(token)?;
        (restored.jid.domain() == self.hosts.main()).then_some(restored)
    }

    fn send_open(&mut self, host: &DomainRef) {
        let id = self.random.token(26);
        self.has_opened = true;
        self.send(framing::open_from(host.as_str(), &id));
    }

    /// Ends the connection with a stream error; the header goes first in any case.
    fn refuse(&mut self, error: StreamError) {
        debug!(
            condition = error.condition.as_str(),
            text = error.text,
            "stream refused"
        );
        if !self.has_opened {
            let main = self.hosts.main().to_owned();
            self.send_open(&main);
        }
        self.state = State::Done;
        self.send(error.to_frame());
        self.send(CLOSE.to_owned());
        self.outputs.push_back(NegotiationOutput::Close {
            code: close_code::POLICY_VIOLATION,
            reason: error.condition.as_str(),
        });
    }

    fn goodbye(&mut self) {
        self.state = State::Done;
        self.send(CLOSE.to_owned());
        self.outputs.push_back(NegotiationOutput::Close {
            code: close_code::NORMAL,
            reason: "closed",
        });
    }

    fn send(&mut self, frame: String) {
        self.outputs.push_back(NegotiationOutput::Send(frame));
    }

    fn send_stanza(&mut self, stanza: &Stanza) {
        let mut text = String::new();
        stanza.write(None, &mut text);
        self.send(text);
    }
}

#[cfg(test)]
mod tests;
