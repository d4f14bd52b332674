//! The HTTP requests of one BOSH session, as one socket; and the table of all such sessions.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tertulia_stream::{Body, Bosh, BoshOutput, close_code};
use tokio::sync::{mpsc, oneshot};

use super::SocketEvent;
use crate::clock;
use crate::pump::Timer;

/// A request of a session, and where its answer goes.
pub(crate) struct BoshRequest {
    pub(crate) body: Body,
    pub(crate) reply: oneshot::Sender<String>,
}

/// All BOSH sessions of this node, by what their requests are known by.
#[derive(Default)]
pub(crate) struct BoshSessions(Mutex<HashMap<String, Arc<BoshSession>>>);

/// What the HTTP side knows of a BOSH session.
pub(crate) struct BoshSession {
    requests: mpsc::Sender<BoshRequest>,
    has_logged_in: AtomicBool,
}

impl BoshSessions {
    pub(crate) fn find(&self, sid: &str) -> Option<Arc<BoshSession>> {
        self.lock().get(sid).cloned()
    }

    /// The table holds after each statement, so a panic elsewhere left it usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<BoshSession>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BoshSession {
    /// Hands a request to the session; it comes back if more of them are under way than its
    /// protocol allows, or if it is over.
    pub(crate) fn request(&self, request: BoshRequest) -> Result<(), BoshRequest> {
        self.requests
            .try_send(request)
            .map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Whether its connections are those of somebody who has logged in.
    pub(crate) fn has_logged_in(&self) -> bool {
        self.has_logged_in.load(Ordering::Relaxed)
    }

    /// From now on they are.
    pub(crate) fn logged_in(&self) {
        self.has_logged_in.store(true, Ordering::Relaxed);
    }
}

/// One BOSH session's requests as a socket.
pub(crate) struct BoshSocket {
    machine: Bosh,
    /// None once it is closed.
    requests: mpsc::Receiver<BoshRequest>,
    /// Requests that are not answered.
    open: BTreeMap<u64, oneshot::Sender<String>>,
    next_request: u64,
    timer: Timer,
    _place: Place,
}

impl BoshSocket {
    /// A session that begins with `first` and is found by `sid` until it is closed.
    pub(crate) fn new(
        config: &tertulia_stream::Config,
        sessions: Arc<BoshSessions>,
        sid: String,
        first: BoshRequest,
    ) -> (BoshSocket, Arc<BoshSession>) {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let session = Arc::new(BoshSession {
            requests: sender,
            has_logged_in: AtomicBool::new(false),
        });
        sessions.lock().insert(sid.clone(), Arc::clone(&session));
        let machine = Bosh::open(config, sid.clone(), FIRST, first.body, clock::now());
        let socket = BoshSocket {
            machine,
            requests,
            open: BTreeMap::from([(FIRST, first.reply)]),
            next_request: FIRST + 1,
            timer: Timer::new(),
            _place: Place { sessions, sid },
        };
        (socket, session)
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.machine.send(text);
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.machine.waiting_bytes()
    }

    /// Answers what can be answered, and gives the next frame if `may_read`. Cancel safe.
    pub(crate) async fn event(&mut self, may_read: bool) -> SocketEvent {
        loop {
            if let Some(event) = self.carry_out() {
                return event;
            }
            if may_read && let Some(frame) = self.machine.poll_frame() {
                return SocketEvent::Text(frame.into());
            }
            self.machine.flush(clock::now());
            if let Some(event) = self.carry_out() {
                return event;
            }
            self.timer.set(self.machine.next_timeout());
            let open = &mut self.open;
            tokio::select! {
                Some(request) = self.requests.recv() => {
                    let number = self.next_request;
                    self.next_request += 1;
                    self.open.insert(number, request.reply);
                    self.machine.handle_request(clock::now(), number, request.body);
                }
                gone = poll_fn(|cx| poll_gone(open, cx)) => {
                    self.open.remove(&gone);
                    self.machine.handle_gone(clock::now(), gone);
                }
                () = self.timer.expired() => self.machine.handle_timeout(clock::now()),
            }
        }
    }

    /// Answers everything with why it ends. Without an open request nobody learns it.
    pub(crate) fn close(mut self, code: u16) {
        self.machine.close(clock::now(), code);
        while self.carry_out().is_some() {}
    }

    fn carry_out(&mut self) -> Option<SocketEvent> {
        while let Some(output) = self.machine.poll_output() {
            match output {
                BoshOutput::Respond { request, body } => {
                    if let Some(reply) = self.open.remove(&request) {
                        // Who is gone meanwhile repeats the request and is given it again.
                        let _ = reply.send(body);
                    }
                }
                BoshOutput::Alive => return Some(SocketEvent::Alive),
                BoshOutput::Silent => return Some(SocketEvent::Silent),
                BoshOutput::Refused(condition) => {
                    return Some(SocketEvent::Refused {
                        code: close_code::POLICY_VIOLATION,
                        reason: condition.as_str(),
                    });
                }
            }
        }
        None
    }
}

/// A request whose connection is gone.
fn poll_gone(open: &mut BTreeMap<u64, oneshot::Sender<String>>, cx: &mut Context<'_>) -> Poll<u64> {
    for (number, reply) in open {
        if reply.poll_closed(cx).is_ready() {
            return Poll::Ready(*number);
        }
    }
    Poll::Pending
}

/// The session's place in the table.
struct Place {
    sessions: Arc<BoshSessions>,
    sid: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.sid);
    }
}

const FIRST: u64 = 1;
/// Requests on their way to a session; more than any client has open.
const REQUESTS_MAX: usize = 4;
