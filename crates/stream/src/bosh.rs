//! BOSH (XEP-0124, XEP-0206): one stream over many HTTP requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use minidom::ElementBuilder;
use rxml::{Namespace, NcName};
use tertulia_model::Now;
use tertulia_stanza::{WithAttribute, ns};
use tracing::debug;

use crate::framing::{self, CLOSE, close_code, element};
use crate::{Body, BoshConfig, Config};

/// What a WebSocket is to a stream, made of HTTP requests: frames of RFC 7395 come out of it and
/// go into it. [`Negotiation`](crate::Negotiation) and [`ClientSession`](crate::ClientSession) do
/// not notice the difference.
///
/// At most one request is held open; what the client has to say meanwhile comes with a second one.
/// A request is answered when there is something to say, when a later one has come, or when it
/// has waited long enough; but not before `poll_frame` has gone through it, so that a client that
/// is read slowly cannot send more.
///
/// Call one `handle_*` or command, then `poll_output` until `None`. While the stream may be read,
/// take frames by `poll_frame`; when it gives no more, or may not be asked, `flush`.
pub struct Bosh {
    config: BoshConfig,
    /// What the first answer says beside its content.
    creation: Option<Box<Creation>>,
    wait: Duration,
    hold: usize,
    /// Number of the request whose frames are taken now or next.
    next: u64,
    /// Requests with frames to take, and those that came before their turn.
    waiting: BTreeMap<u64, Waiting>,
    /// Requests that wait for an answer, oldest first.
    held: VecDeque<Held>,
    /// The last answers, for requests that are repeated because theirs was lost.
    answered: VecDeque<(u64, String)>,
    /// Frames for the client.
    pending: String,
    /// The client ends the session; requests that are missing will not come any more.
    is_terminating: bool,
    /// A stream error is among the frames.
    has_failed: bool,
    is_closed: bool,
    silence: Silence,
    /// The last request was empty, came then, and was answered with nothing.
    polled: Option<Instant>,
    now: Instant,
    outputs: VecDeque<BoshOutput>,
}

/// What a [`Bosh`] wants from the world.
#[derive(Debug, PartialEq, Eq)]
pub enum BoshOutput {
    /// Answer this HTTP request with status 200 and this body.
    Respond { request: u64, body: String },
    /// The client is there: a request came.
    Alive,
    /// No request has been open for a while.
    Silent,
    /// The client broke the protocol; its requests are answered and the session is to end.
    Refused(BoshCondition),
}

/// Why a session ends or cannot be (XEP-0124 section 17.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoshCondition {
    BadRequest,
    InternalServerError,
    ItemNotFound,
    PolicyViolation,
    RemoteStreamError,
    SystemShutdown,
}

impl BoshCondition {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            BoshCondition::BadRequest => "bad-request",
            BoshCondition::InternalServerError => "internal-server-error",
            BoshCondition::ItemNotFound => "item-not-found",
            BoshCondition::PolicyViolation => "policy-violation",
            BoshCondition::RemoteStreamError => "remote-stream-error",
            BoshCondition::SystemShutdown => "system-shutdown",
        }
    }

    /// The whole answer to a request whose session ends, or that has none.
    pub fn to_body(self) -> String {
        terminate(Some(self), "")
    }
}

struct Creation {
    sid: String,
    inactivity: Duration,
}

struct Waiting {
    /// None when its connection is gone; it will be repeated.
    request: Option<u64>,
    frames: VecDeque<String>,
    /// It brought nothing.
    is_empty: bool,
    arrived: Instant,
}

struct Held {
    rid: u64,
    /// None when its connection is gone; it will be repeated.
    request: Option<u64>,
    is_empty: bool,
    arrived: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// A request is open.
    No,
    Since(Instant),
    Reported,
}

impl Bosh {
    /// A session that begins with this request, which has no `sid`. The `sid` given here is all
    /// that later requests need, so it must not be guessable.
    pub fn open(config: &Config, sid: String, request: u64, body: Body, now: Now) -> Bosh {
        let wait = body.wait.map_or(config.bosh.wait, Duration::from_secs);
        let is_polling = wait.is_zero() || body.hold == Some(0);
        let mut bosh = Bosh {
            config: config.bosh,
            creation: Some(Box::new(Creation {
                sid,
                inactivity: config.lease,
            })),
            wait: wait.min(config.bosh.wait),
            hold: if is_polling { 0 } else { 1 },
            next: body.rid,
            waiting: BTreeMap::new(),
            held: VecDeque::new(),
            answered: VecDeque::new(),
            pending: String::new(),
            is_terminating: false,
            has_failed: false,
            is_closed: false,
            silence: Silence::No,
            polled: None,
            now: now.mono,
            outputs: VecDeque::new(),
        };
        bosh.take_in(request, body);
        bosh
    }

    /// A request of this session came.
    pub fn handle_request(&mut self, now: Now, request: u64, body: Body) {
        self.now = now.mono;
        if self.is_closed {
            return self.respond(request, BoshCondition::ItemNotFound.to_body());
        }
        if self.repeat(body.rid, request) {
            self.outputs.push_back(BoshOutput::Alive);
            return;
        }
        // What a page says when it goes does not wait for its turn.
        let requests = if body.is_terminate { 2 } else { 1 } + self.hold as u64;
        if !(self.next..self.next + requests).contains(&body.rid) {
            return self.refuse(request, BoshCondition::ItemNotFound);
        }
        let too_soon = |before: Instant| self.now < before + self.config.polling;
        if body.frames.is_empty() && self.polled.is_some_and(too_soon) {
            return self.refuse(request, BoshCondition::PolicyViolation);
        }
        self.outputs.push_back(BoshOutput::Alive);
        self.take_in(request, body);
    }

    /// The connection of a request that was not answered is gone. Its client will repeat it.
    pub fn handle_gone(&mut self, now: Now, request: u64) {
        self.now = now.mono;
        let held = self.held.iter_mut().map(|held| &mut held.request);
        let waiting = self
            .waiting
            .values_mut()
            .map(|waiting| &mut waiting.request);
        for open in held.chain(waiting) {
            if *open == Some(request) {
                *open = None;
            }
        }
        self.note_silence();
    }

    /// A timeout of `next_timeout` has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.flush(now);
        if let Silence::Since(since) = self.silence
            && self.now >= since + self.config.pause_after
        {
            self.silence = Silence::Reported;
            self.outputs.push_back(BoshOutput::Silent);
        }
    }

    /// The next frame of the client.
    pub fn poll_frame(&mut self) -> Option<String> {
        self.settle();
        let turn = self.turn()?;
        self.waiting.get_mut(&turn)?.frames.pop_front()
    }

    /// A frame for the client. It waits for `flush`.
    pub fn send(&mut self, frame: &str) {
        // The wrapper says these two by itself.
        if frame == CLOSE || frame.starts_with("<open ") {
            return;
        }
        self.has_failed |= frame.starts_with("<stream:error");
        self.pending.push_str(frame);
    }

    /// Answers what can be answered.
    pub fn flush(&mut self, now: Now) {
        self.now = now.mono;
        while let Some(oldest) = self.held.front() {
            let is_due = self.held.len() > self.hold || oldest.arrived + self.wait <= self.now;
            match oldest.request {
                Some(request) if is_due || !self.pending.is_empty() => {
                    let body = self.body();
                    self.respond(request, body.clone());
                    self.answer_oldest(body);
                }
                // Should it be repeated after all, it gets what it would have got then: nothing.
                None if self.held.len() > 1 => self.answer_oldest(nothing()),
                _ => break,
            }
        }
        self.note_silence();
    }

    /// Ends the session. Everything that is open is answered; `code` is the close code that a
    /// WebSocket would have had. What no open request could take is lost.
    pub fn close(&mut self, now: Now, code: u16) {
        self.now = now.mono;
        self.end(match code {
            _ if self.has_failed => Some(BoshCondition::RemoteStreamError),
            close_code::NORMAL => None,
            close_code::RESTART | close_code::GOING_AWAY => Some(BoshCondition::SystemShutdown),
            close_code::TRY_AGAIN => Some(BoshCondition::InternalServerError),
            _ => Some(BoshCondition::PolicyViolation),
        });
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<BoshOutput> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let held = self.held.front().filter(|held| held.request.is_some());
        let due = held.map(|held| held.arrived + self.wait);
        let silent = match self.silence {
            Silence::Since(since) => Some(since + self.config.pause_after),
            Silence::No | Silence::Reported => None,
        };
        due.into_iter().chain(silent).min()
    }

    /// Bytes that wait for a request on which they can go.
    pub fn waiting_bytes(&self) -> usize {
        self.pending.len()
    }

    fn take_in(&mut self, request: u64, body: Body) {
        self.is_terminating |= body.is_terminate;
        self.silence = Silence::No;
        let waiting = Waiting {
            request: Some(request),
            is_empty: body.frames.is_empty(),
            frames: body.frames.into(),
            arrived: self.now,
        };
        self.waiting.insert(body.rid, waiting);
    }

    /// Whether this is a request that was seen before. If it is still open, the new connection
    /// takes the place of the old one; if not, it gets the answer that was lost.
    fn repeat(&mut self, rid: u64, request: u64) -> bool {
        let held = self.held.iter_mut().find(|held| held.rid == rid);
        let held = held.map(|held| &mut held.request);
        let waiting = self.waiting.get_mut(&rid);
        if let Some(open) = held.or(waiting.map(|waiting| &mut waiting.request)) {
            let former = open.replace(request);
            self.silence = Silence::No;
            if let Some(former) = former {
                self.respond(former, nothing());
            }
            return true;
        }
        let known = self.answered.iter().find(|answer| answer.0 == rid);
        let body = known.map(|(_, body)| body.clone());
        body.map(|body| self.respond(request, body)).is_some()
    }

    /// The number of the request whose frames come next.
    fn turn(&self) -> Option<u64> {
        let (first, _) = self.waiting.first_key_value()?;
        (*first == self.next || self.is_terminating).then_some(*first)
    }

    /// Requests without further frames wait for nothing but an answer.
    fn settle(&mut self) {
        while let Some(rid) = self.turn()
            && let Some(done) = self.waiting.remove(&rid)
        {
            if !done.frames.is_empty() {
                self.waiting.insert(rid, done);
                break;
            }
            self.next = rid + 1;
            self.held.push_back(Held {
                rid,
                request: done.request,
                is_empty: done.is_empty,
                arrived: done.arrived,
            });
        }
    }

    fn answer_oldest(&mut self, body: String) {
        let Some(oldest) = self.held.pop_front() else {
            return;
        };
        let is_poll = self.hold == 0 && oldest.is_empty && body == nothing();
        self.polled = is_poll.then_some(oldest.arrived);
        self.answered.push_back((oldest.rid, body));
        if self.answered.len() > ANSWERS {
            self.answered.pop_front();
        }
    }

    /// An answer with everything that waits.
    fn body(&mut self) -> String {
        let mut wrapper = element("body", ns::HTTP_BIND);
        if let Some(creation) = self.creation.take() {
            let version = NcName::try_from("version").expect("a literal name");
            let restart = NcName::try_from("restartlogic").expect("a literal name");
            wrapper = wrapper
                .with("sid", creation.sid)
                .with("ver", "1.6")
                .with("wait", self.wait.as_secs())
                .with("hold", self.hold as u64)
                .with("requests", self.hold as u64 + 1)
                .with("inactivity", creation.inactivity.as_secs())
                .with("polling", self.config.polling.as_secs())
                .prefix(Some("xmpp".to_owned()), ns::XBOSH)
                .expect("the first prefix of an element is no duplicate")
                .attr_ns(Namespace::from(ns::XBOSH), version, "1.0")
                .attr_ns(Namespace::from(ns::XBOSH), restart, "true");
        }
        wrap(wrapper, &std::mem::take(&mut self.pending))
    }

    fn note_silence(&mut self) {
        let held = self.held.iter().map(|held| held.request);
        let waiting = self.waiting.values().map(|waiting| waiting.request);
        if self.is_closed {
            self.silence = Silence::Reported;
        } else if held.chain(waiting).any(|request| request.is_some()) {
            self.silence = Silence::No;
        } else if self.silence == Silence::No {
            self.silence = Silence::Since(self.now);
        }
    }

    /// The client broke the protocol with this request.
    fn refuse(&mut self, request: u64, condition: BoshCondition) {
        debug!(condition = condition.as_str(), "request refused");
        self.end(Some(condition));
        self.respond(request, condition.to_body());
        self.outputs.push_back(BoshOutput::Refused(condition));
    }

    fn end(&mut self, condition: Option<BoshCondition>) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        let held = std::mem::take(&mut self.held).into_iter();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let requests = held.map(|held| held.request);
        let requests = requests.chain(waiting.map(|waiting| waiting.request));
        for request in requests.flatten().collect::<Vec<_>>() {
            let last_words = std::mem::take(&mut self.pending);
            self.respond(request, terminate(condition, &last_words));
        }
        self.note_silence();
    }

    fn respond(&mut self, request: u64, body: String) {
        self.outputs
            .push_back(BoshOutput::Respond { request, body });
    }
}

/// An answer that says nothing.
fn nothing() -> String {
    wrap(element("body", ns::HTTP_BIND), "")
}

fn terminate(condition: Option<BoshCondition>, content: &str) -> String {
    let wrapper = element("body", ns::HTTP_BIND)
        .with("type", "terminate")
        .with("condition", condition.map(BoshCondition::as_str));
    wrap(wrapper, content)
}

/// Puts frames into a wrapper. Each declares what it uses, as it would have to alone.
fn wrap(wrapper: ElementBuilder, frames: &str) -> String {
    let mut text = framing::write(&wrapper.build());
    if !frames.is_empty() {
        text.truncate(text.len() - "/>".len());
        text.push('>');
        text.push_str(frames);
        text.push_str("</body>");
    }
    text
}

/// Answers that are kept: as many as can have been under way together.
const ANSWERS: usize = 2;

#[cfg(test)]
mod tests;
