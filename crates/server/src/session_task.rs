//! The task of one client session. It outlives its sockets, and nobody else ends a session, so
//! that resuming and leaving cannot race (DESIGN 10).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tertulia_model::{EndReason, Now, SessionChange, SessionProfile};
use tertulia_stanza::Stanza;
use tertulia_stream::{ClientSession, Closing, SessionOutput, close_code};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::oneshot;
use tracing::{Instrument, debug, error, info_span};

use crate::clock;
use crate::conference_task::{ConferenceControl, ConferenceHandle, ConferenceMail, refuse_full};
use crate::mailbox::{Mail, Mailbox};
use crate::node::Node;
use crate::pump::{Panicked, Rounds, Timer, earlier, guarded};
use crate::router::{self, Routed, SessionHandle};
use crate::socket::{Socket, SocketEvent};

/// To a session, in the lane that never refuses.
pub(crate) enum SessionControl {
    /// A new socket that wants to resume it.
    Attach(Box<Attachment>),
    /// The server stops.
    Close(Closing),
    /// More waits for it than may.
    Overflow,
    /// A conference that it was in broke without a word; only a new session sees a true room.
    ConferenceBroke,
    /// What it sent earlier went to this conference after all.
    Joined(Arc<ConferenceHandle>),
}

/// A socket with a `<resume/>` on it.
pub(crate) struct Attachment {
    pub(crate) socket: Socket,
    /// What the client has handled.
    pub(crate) h: u32,
    /// Takes the socket back if the session is over; dropped when the socket was taken.
    pub(crate) refused: oneshot::Sender<Socket>,
}

/// Starts the session of this profile for its first socket. None if its JID is taken.
pub(crate) fn start(
    node: &Arc<Node>,
    profile: SessionProfile,
    resumption_id: String,
    socket: &Socket,
) -> Option<Starting> {
    let profile = Arc::new(profile);
    let (mail, mailbox) = Mailbox::new(node.stream.queue_stanzas_max);
    let handle = SessionHandle::new(Arc::clone(&profile), resumption_id.clone(), mail);
    if !node.router.add_session(&handle) {
        return None;
    }
    if let Some(turn) = &node.turn {
        turn.session_started(profile.id);
    }
    let stream = Arc::clone(&node.stream);
    let now = clock::now();
    let machine = if socket.can_resume() {
        ClientSession::new(stream, profile, resumption_id, now)
    } else {
        ClientSession::over_bosh(stream, profile, now)
    };
    Some(Starting {
        node: Arc::clone(node),
        machine,
        handle,
        mailbox,
    })
}

/// A session that is known to the router and waits for its first socket.
pub(crate) struct Starting {
    node: Arc<Node>,
    machine: ClientSession,
    handle: Arc<SessionHandle>,
    mailbox: Mailbox<Arc<Stanza>, SessionControl>,
}

impl Starting {
    /// Runs the session, beginning with this socket.
    pub(crate) fn run(self, mut socket: Socket) {
        socket.limit_arrival(self.node.stream.limits.bytes_max);
        let span = info_span!(parent: None, "session", id = self.handle.profile.id.0);
        let task = SessionTask {
            node: self.node,
            machine: self.machine,
            handle: self.handle,
            mailbox: self.mailbox,
            socket: Some(socket),
            replaced: None,
            conferences: Vec::new(),
            pending: VecDeque::new(),
            blocked: None,
            counted_bytes: 0,
        };
        tokio::spawn(task.run().instrument(span));
    }
}

struct SessionTask {
    node: Arc<Node>,
    machine: ClientSession,
    handle: Arc<SessionHandle>,
    mailbox: Mailbox<Arc<Stanza>, SessionControl>,
    socket: Option<Socket>,
    /// The former socket, until the machine has said how to close it.
    replaced: Option<Socket>,
    /// Conferences that got something of this session, and must learn what becomes of it. The one
    /// that got something last is last.
    conferences: Vec<Arc<ConferenceHandle>>,
    /// Stanzas of the client that are not routed yet.
    pending: VecDeque<Stanza>,
    /// The first of them, when its conference is full. Meanwhile the socket is not read.
    blocked: Option<Blocked>,
    /// What this session counts in the node's total.
    counted_bytes: usize,
}

/// A stanza that waits for a place in a conference's mailbox.
struct Blocked {
    mail: ConferenceMail,
    conference: Arc<ConferenceHandle>,
    place: Pin<Box<dyn Future<Output = Place> + Send>>,
}

enum Place {
    Free(OwnedPermit<ConferenceMail>),
    /// The conference has ended meanwhile.
    Gone,
    /// It took too long.
    Late,
}

enum Event {
    Mail(Option<Mail<Arc<Stanza>, SessionControl>>),
    Socket(SocketEvent),
    Place(Place),
    Time,
}

impl SessionTask {
    async fn run(mut self) {
        debug!("session started");
        let (mut timer, mut rounds) = (Timer::new(), Rounds::default());
        let reason = loop {
            let may_read_at = self.may_read_at();
            let may_read = may_read_at.is_some_and(|at| at <= clock::now().mono);
            let reading = may_read_at.filter(|_| !may_read && self.socket.is_some());
            timer.set(earlier(self.machine.next_timeout(), reading));
            let event = tokio::select! {
                mail = self.mailbox.recv() => Event::Mail(mail),
                event = of_socket(&mut self.socket, may_read) => Event::Socket(event),
                place = of_lane(&mut self.blocked) => Event::Place(place),
                () = timer.expired() => Event::Time,
            };
            match guarded(|| self.step(event)) {
                Ok(None) => rounds.step().await,
                Ok(Some(reason)) => break reason,
                Err(Panicked) => {
                    error!("session broke");
                    break EndReason::PolicyViolation;
                }
            }
        };
        self.finish(reason).await;
    }

    /// When the socket may be read; None while a stanza waits.
    fn may_read_at(&self) -> Option<Instant> {
        let is_free = self.blocked.is_none() && self.pending.is_empty();
        is_free.then(|| {
            self.machine
                .may_read_at()
                .unwrap_or_else(|| clock::now().mono)
        })
    }

    /// Takes in one event; gives the reason when the session is over.
    fn step(&mut self, event: Event) -> Option<EndReason> {
        let now = clock::now();
        match event {
            Event::Mail(Some(Mail::Stanza(stanza))) => self.machine.send(now, stanza),
            Event::Mail(Some(Mail::Control(control))) => {
                if let Some(reason) = self.handle_control(now, control) {
                    return Some(reason);
                }
            }
            // The handle that this task holds can send, so the mailbox does not end before.
            Event::Mail(None) => {}
            Event::Socket(SocketEvent::Text(text)) => self.machine.handle_frame(now, &text),
            Event::Socket(SocketEvent::Alive) => self.machine.handle_alive(now),
            Event::Socket(SocketEvent::Silent) => self.machine.handle_silence(now),
            Event::Socket(SocketEvent::Refused { code, reason }) => {
                if let Some(socket) = self.socket.take() {
                    socket.close(code, reason);
                }
                // A resumption would bring the same message again.
                return Some(EndReason::PolicyViolation);
            }
            Event::Socket(SocketEvent::Closed(code)) => {
                if let Some(socket) = self.socket.take() {
                    socket.finish();
                }
                self.machine.handle_socket_closed(now, code);
            }
            Event::Place(place) => self.unblock(now, place),
            Event::Time => self.machine.handle_timeout(now),
        }
        self.settle(now)
    }

    fn handle_control(&mut self, now: Now, control: SessionControl) -> Option<EndReason> {
        match control {
            SessionControl::Attach(attachment) => {
                let Attachment {
                    mut socket,
                    h,
                    refused,
                } = *attachment;
                if self.machine.is_resumable() {
                    socket.limit_arrival(self.node.stream.limits.bytes_max);
                    self.replaced = self.socket.replace(socket);
                    self.machine.resume(now, h);
                } else {
                    let _ = refused.send(socket);
                }
                None
            }
            SessionControl::Close(closing) => {
                // What was said before, such as the end of a meeting, is still delivered.
                for stanza in self.mailbox.ready_stanzas() {
                    self.machine.send(now, stanza);
                }
                self.machine.close(now, closing);
                None
            }
            SessionControl::Overflow => {
                self.machine.overflow(now);
                None
            }
            SessionControl::ConferenceBroke => Some(EndReason::Shutdown),
            SessionControl::Joined(conference) => {
                self.remember(conference);
                None
            }
        }
    }

    /// Carries out what the machine wants, and routes what it let through, until neither has more.
    fn settle(&mut self, now: Now) -> Option<EndReason> {
        loop {
            while let Some(output) = self.machine.poll_output() {
                match output {
                    SessionOutput::Send(text) => {
                        if let Some(socket) = &mut self.socket {
                            socket.send(text);
                        }
                    }
                    SessionOutput::Stanza(stanza) => self.pending.push_back(stanza),
                    SessionOutput::CloseSocket { code, reason } => {
                        if let Some(socket) = self.replaced.take().or_else(|| self.socket.take()) {
                            socket.close(code, reason);
                        }
                    }
                    SessionOutput::Changed(SessionChange::Ended(reason)) => return Some(reason),
                    SessionOutput::Changed(change) => self.tell(change),
                }
            }
            if self.blocked.is_none()
                && let Some(stanza) = self.pending.pop_front()
            {
                self.route(now, stanza);
            } else if self.count_bytes() {
                self.machine.overflow(now);
            } else {
                break;
            }
        }
        self.replaced = None;
        None
    }

    fn route(&mut self, now: Now, stanza: Stanza) {
        match router::route(&self.node, &self.handle, stanza, &self.conferences) {
            Routed::Done => {}
            Routed::Answer(answer) => self.machine.send(now, Arc::new(answer)),
            Routed::Conference(conference) => self.remember(conference),
            Routed::Full { conference, mail } => {
                let (lane, wait) = (conference.lane(), self.node.limits.conference_wait);
                let place = Box::pin(place_in(lane, wait));
                self.blocked = Some(Blocked {
                    mail,
                    conference,
                    place,
                });
            }
        }
    }

    fn unblock(&mut self, now: Now, place: Place) {
        let Some(Blocked {
            mail, conference, ..
        }) = self.blocked.take()
        else {
            return;
        };
        match place {
            Place::Free(permit) => {
                permit.send(mail);
                self.remember(conference);
            }
            Place::Gone => {
                if let ConferenceMail::Stanza { stanza, .. } = mail {
                    self.pending.push_front(stanza);
                }
            }
            Place::Late => {
                debug!("a conference had no room for a stanza");
                if let Some(answer) = refuse_full(&self.node, mail) {
                    self.machine.send(now, Arc::new(answer));
                }
            }
        }
    }

    fn remember(&mut self, conference: Arc<ConferenceHandle>) {
        let is_same = |one: &Arc<ConferenceHandle>| Arc::ptr_eq(one, &conference);
        if self.conferences.last().is_some_and(is_same) {
            return;
        }
        let is_full = self.conferences.len() >= CONFERENCES_REMEMBERED;
        let is_over = |one: &Arc<ConferenceHandle>| is_full && one.lane().is_closed();
        self.conferences
            .retain(|one| !is_same(one) && !is_over(one));
        self.conferences.push(conference);
    }

    fn tell(&self, change: SessionChange) {
        for conference in &self.conferences {
            conference.control(ConferenceControl::Session(self.handle.profile.id, change));
        }
    }

    /// Adds what waits here to the node's total; true when it is too much for one session. Over
    /// the total, the fullest session ends.
    fn count_bytes(&mut self) -> bool {
        let in_socket = self.socket.as_ref().map_or(0, Socket::waiting_bytes);
        // What waits in the socket is unacknowledged as well, where acknowledgements are on.
        let bytes = in_socket.max(self.machine.waiting_bytes());
        if bytes == self.counted_bytes {
            return false;
        }
        let all = &self.node.waiting_bytes;
        let total = all.fetch_add(bytes, Ordering::Relaxed) + bytes - self.counted_bytes;
        all.fetch_sub(self.counted_bytes, Ordering::Relaxed);
        self.counted_bytes = bytes;
        self.handle.waiting_bytes.store(bytes, Ordering::Relaxed);
        if total > self.node.limits.all_session_bytes {
            let sessions = self.node.router.sessions();
            let fullest = sessions
                .iter()
                .max_by_key(|one| one.waiting_bytes.load(Ordering::Relaxed));
            if let Some(fullest) = fullest {
                let _ = fullest.control(SessionControl::Overflow);
            }
        }
        in_socket > self.node.stream.queue_bytes_max
    }

    async fn finish(mut self, reason: EndReason) {
        debug!(?reason, "session ended");
        self.tell(SessionChange::Ended(reason));
        self.node.router.remove_session(&self.handle);
        if let Some(turn) = &self.node.turn {
            turn.session_ended(self.handle.profile.id);
        }
        self.node
            .waiting_bytes
            .fetch_sub(self.counted_bytes, Ordering::Relaxed);
        if let Some(socket) = self.socket.take() {
            let (code, text) = match reason {
                EndReason::Overflow => (close_code::TRY_AGAIN, "too much waited"),
                _ => (close_code::RESTART, "start anew"),
            };
            socket.close(code, text);
        }
        let ended = SessionChange::Ended(reason);
        for mail in self.mailbox.close_and_drain().await {
            match mail {
                Mail::Control(SessionControl::Attach(attachment)) => {
                    let _ = attachment.refused.send(attachment.socket);
                }
                Mail::Control(SessionControl::Joined(conference)) => {
                    let id = self.handle.profile.id;
                    conference.control(ConferenceControl::Session(id, ended));
                }
                Mail::Control(_) | Mail::Stanza(_) => {}
            }
        }
    }
}

/// What a socket brings; never ready without one.
async fn of_socket(socket: &mut Option<Socket>, may_read: bool) -> SocketEvent {
    match socket {
        Some(socket) => socket.event(may_read).await,
        None => std::future::pending().await,
    }
}

/// Waits for a place in the mailbox of a conference that is full.
async fn place_in(lane: mpsc::Sender<ConferenceMail>, wait: Duration) -> Place {
    match tokio::time::timeout(wait, lane.reserve_owned()).await {
        Ok(Ok(permit)) => Place::Free(permit),
        Ok(Err(_closed)) => Place::Gone,
        Err(_elapsed) => Place::Late,
    }
}

/// The end of waiting for a conference; never ready without one.
async fn of_lane(blocked: &mut Option<Blocked>) -> Place {
    match blocked {
        Some(blocked) => blocked.place.as_mut().await,
        None => std::future::pending().await,
    }
}

/// More than anybody is in at a time; above it those that are over are forgotten.
const CONFERENCES_REMEMBERED: usize = 32;

#[cfg(test)]
mod tests {
    use tertulia_stanza::conference_request::ConferenceRequest;

    use super::*;

    fn mail() -> ConferenceMail {
        ConferenceMail::Request {
            from: std::net::Ipv4Addr::LOCALHOST.into(),
            asked: ConferenceRequest::default(),
            reply: oneshot::channel().0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_conference_is_waited_for_only_so_long() {
        let (sender, mut mailbox) = Mailbox::<ConferenceMail, ConferenceControl>::new(1);
        let (start, wait) = (tokio::time::Instant::now(), Duration::from_secs(5));
        sender.try_stanza(mail()).ok().unwrap();
        assert!(matches!(place_in(sender.lane(), wait).await, Place::Late));
        assert_eq!(start.elapsed(), wait);

        let almost = wait - Duration::from_millis(1);
        let works = async {
            tokio::time::sleep(almost).await;
            mailbox.recv().await
        };
        let (place, taken) = tokio::join!(place_in(sender.lane(), wait), works);
        assert!(matches!(taken, Some(Mail::Stanza(_))));
        let Place::Free(permit) = place else {
            panic!("there was a place in time");
        };
        permit.send(mail());

        let ends = async {
            tokio::time::sleep(almost).await;
            drop(mailbox);
        };
        let (place, ()) = tokio::join!(place_in(sender.lane(), wait), ends);
        assert!(matches!(place, Place::Gone));
    }
}
