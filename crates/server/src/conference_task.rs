//! The task around one conference: its mailbox, its timer, its worker, and its end.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tertulia_conference::{Conference, Output};
use tertulia_model::{
    BridgeCommand, BridgeEvent, ConferenceId, EndReason, Now, Random, RequestId, RoomJid,
    SessionChange, SessionId,
};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::{Condition, ErrorType, Kind, Stanza, StanzaError, ns};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tracing::{Instrument, debug, error, info_span};

use crate::clock;
use crate::mailbox::{Mail, MailSender, Mailbox};
use crate::media::WorkerCommand;
use crate::node::Node;
use crate::pump::{Rounds, Timer, guarded};
use crate::router::{self, Routed, SessionHandle};
use crate::session_task::SessionControl;

/// What others know of a conference: how to reach it and where its media is.
pub(crate) struct ConferenceHandle {
    pub(crate) room: RoomJid,
    pub(crate) id: ConferenceId,
    /// Index of its media worker.
    pub(crate) worker: u16,
    mail: MailSender<ConferenceMail, ConferenceControl>,
}

/// In the bounded lane.
pub(crate) enum ConferenceMail {
    Stanza {
        from: Arc<SessionHandle>,
        stanza: Stanza,
    },
    /// The HTTP form of a conference request.
    Request {
        from: IpAddr,
        asked: ConferenceRequest,
        reply: oneshot::Sender<ConferenceReply>,
    },
}

/// In the lane that never refuses.
pub(crate) enum ConferenceControl {
    Session(SessionId, SessionChange),
    Bridge(BridgeEvent),
    /// The meeting ends for all, for this reason.
    End(&'static str),
}

impl ConferenceHandle {
    #[expect(clippy::result_large_err, reason = "what has no room comes back")]
    pub(crate) fn try_mail(
        &self,
        mail: ConferenceMail,
    ) -> Result<(), TrySendError<ConferenceMail>> {
        self.mail.try_stanza(mail)
    }

    /// The bounded lane, for those who wait for a place in it.
    pub(crate) fn lane(&self) -> tokio::sync::mpsc::Sender<ConferenceMail> {
        self.mail.lane()
    }

    /// Whether it was taken in; a conference that is over needs to know nothing.
    pub(crate) fn control(&self, control: ConferenceControl) -> bool {
        self.mail.control(control).is_ok()
    }
}

/// The conference of this room; it is brought to life if it does not live.
pub(crate) fn find_or_start(
    node: &Arc<Node>,
    room: &RoomJid,
    from: IpAddr,
) -> Option<Arc<ConferenceHandle>> {
    if let Some(living) = node.router.conference(room) {
        return Some(living);
    }
    if !node.may_start_room(from) {
        debug!("too many new rooms of one address");
        return None;
    }
    let id = ConferenceId::new(&node.with_random(Random::uuid));
    let machine = Conference::new(
        Arc::clone(&node.conference),
        room.clone(),
        id,
        BTreeMap::new(),
        node.seed(),
        clock::now(),
    );
    let worker = crate::media::least_loaded(&node.workers)?;
    let (mail, mailbox) = Mailbox::new(node.limits.conference_stanzas);
    let handle = ConferenceHandle {
        room: room.clone(),
        id: machine.id().clone(),
        worker,
        mail,
    };
    let handle = Arc::new(handle);
    if let Err(earlier) = node.router.add_conference(&handle) {
        return Some(earlier);
    }
    if let Some(worker) = node.workers.get(usize::from(worker)) {
        worker.conference_started();
    }
    let span = info_span!(parent: None, "conference", id = %handle.id);
    let task = ConferenceTask {
        node: Arc::clone(node),
        machine,
        handle: Arc::clone(&handle),
        mailbox,
        present: BTreeMap::new(),
        requests: BTreeMap::new(),
    };
    tokio::spawn(task.run().instrument(span));
    Some(handle)
}

struct ConferenceTask {
    node: Arc<Node>,
    machine: Conference,
    handle: Arc<ConferenceHandle>,
    mailbox: Mailbox<ConferenceMail, ConferenceControl>,
    /// Sessions that spoke to this conference and are not over: most stanzas go to them.
    present: BTreeMap<SessionId, Arc<SessionHandle>>,
    /// HTTP requests without an answer yet.
    requests: BTreeMap<RequestId, oneshot::Sender<ConferenceReply>>,
}

/// Whether a conference goes on after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Lives,
    Closed,
}

impl ConferenceTask {
    async fn run(mut self) {
        let (mut timer, mut rounds) = (Timer::new(), Rounds::default());
        let end = loop {
            timer.set(self.machine.next_timeout());
            let mail = tokio::select! {
                biased;
                () = timer.expired() => None,
                // Senders exist as long as the handle that this task holds.
                mail = self.mailbox.recv() => mail,
            };
            let step = guarded(|| self.step(mail));
            match step {
                Ok(Life::Lives) => rounds.step().await,
                end => break end,
            }
        };
        if end.is_err() {
            error!("conference broke; its sessions start anew");
        }
        self.finish(end.is_err()).await;
    }

    fn step(&mut self, mail: Option<Mail<ConferenceMail, ConferenceControl>>) -> Life {
        let now = clock::now();
        if let Some(Mail::Control(ConferenceControl::Session(_, SessionChange::Ended(_)))) = &mail {
            // The end has overtaken what the session said before. Were a join carried out after
            // it, a phantom would stay.
            for earlier in self.mailbox.ready_stanzas() {
                self.take_in(now, Mail::Stanza(earlier));
                if self.drain(now) == Life::Closed {
                    return Life::Closed;
                }
            }
        }
        match mail {
            None => self.machine.handle_timeout(now),
            Some(mail) => self.take_in(now, mail),
        }
        self.drain(now)
    }

    fn take_in(&mut self, now: Now, mail: Mail<ConferenceMail, ConferenceControl>) {
        match mail {
            Mail::Stanza(ConferenceMail::Stanza { from, stanza }) => {
                self.present.insert(from.profile.id, Arc::clone(&from));
                self.machine.handle_stanza(now, &from.profile, stanza);
            }
            Mail::Stanza(ConferenceMail::Request { asked, reply, .. }) => {
                let request = self.node.request_id();
                self.requests.insert(request, reply);
                self.machine.handle_request(now, request, asked);
            }
            Mail::Control(ConferenceControl::Session(session, change)) => {
                if let SessionChange::Ended(_) = change {
                    self.present.remove(&session);
                }
                self.machine.handle_session(now, session, change);
            }
            Mail::Control(ConferenceControl::Bridge(event)) => {
                let id = self.handle.id.clone();
                self.machine.handle_bridge(now, &id, event);
            }
            Mail::Control(ConferenceControl::End(reason)) => self.machine.end(now, reason),
        }
    }

    fn drain(&mut self, now: Now) -> Life {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Deliver { to, stanza } => match self.present.get(&to) {
                    Some(session) => session.deliver(stanza),
                    None => {
                        if let Some(session) = self.node.router.session(to) {
                            session.deliver(stanza);
                        }
                    }
                },
                Output::Bridge {
                    conference,
                    command,
                } => {
                    if !self.command(command) {
                        // The worker is overloaded or gone: everyone is to be invited again.
                        self.machine
                            .handle_bridge(now, &conference, BridgeEvent::Failed);
                    }
                }
                Output::Record(_) | Output::Forget | Output::Claim(_) | Output::Release(_) => {}
                Output::Reply { request, reply } => {
                    if let Some(waiting) = self.requests.remove(&request) {
                        let _ = waiting.send(reply);
                    }
                }
                Output::Closed => return Life::Closed,
            }
        }
        Life::Lives
    }

    fn command(&self, command: BridgeCommand) -> bool {
        let Some(worker) = self.node.workers.get(usize::from(self.handle.worker)) else {
            return false;
        };
        worker.command(WorkerCommand::Bridge {
            conference: Arc::clone(&self.handle),
            command,
        })
    }

    /// Leaves the router first, then empties the mailbox; what is left is routed again.
    async fn finish(mut self, is_broken: bool) {
        let (node, handle) = (Arc::clone(&self.node), Arc::clone(&self.handle));
        node.router.remove_conference(&handle);
        if let Some(worker) = node.workers.get(usize::from(handle.worker)) {
            worker.conference_ended(&handle);
        }
        if is_broken {
            // Nobody knows any more who saw what of whom. A new session sees a new room.
            for session in self.present.values() {
                let _ = session.control(SessionControl::ConferenceBroke);
            }
        }
        for mail in self.mailbox.close_and_drain().await {
            match mail {
                Mail::Stanza(ConferenceMail::Stanza { from, stanza }) => {
                    reroute(&node, &from, stanza);
                }
                Mail::Stanza(ConferenceMail::Request { from, asked, reply }) => {
                    request_again(&node, from, asked, reply);
                }
                Mail::Control(_) => {}
            }
        }
    }
}

/// For a stanza that waited for a conference that ended.
fn reroute(node: &Arc<Node>, from: &Arc<SessionHandle>, stanza: Stanza) {
    match router::route(node, from, stanza) {
        Routed::Answer(answer) => from.deliver(Arc::new(answer)),
        Routed::Full { mail, .. } => {
            if let Some(answer) = refuse_full(node, mail) {
                from.deliver(Arc::new(answer));
            }
        }
        Routed::Conference(conference) => {
            // The session must tell that one when it ends; if it is over already, we do.
            let joined = SessionControl::Joined(Arc::clone(&conference));
            if from.control(joined).is_err() {
                let ended = SessionChange::Ended(EndReason::Closed);
                conference.control(ConferenceControl::Session(from.profile.id, ended));
            }
        }
        Routed::Done => {}
    }
}

fn request_again(
    node: &Arc<Node>,
    from: IpAddr,
    asked: ConferenceRequest,
    reply: oneshot::Sender<ConferenceReply>,
) {
    let Some(room) = tertulia_conference::route::requested_room(&node.hosts, &asked) else {
        return;
    };
    if let Some(conference) = find_or_start(node, &room, from) {
        let _ = conference.try_mail(ConferenceMail::Request { from, asked, reply });
    } else {
        let _ = reply.send(node.not_ready(&room));
    }
}

/// The answer to what a conference had no room for, if it gets one. The sender of an HTTP request
/// sees that nobody answers any more.
pub(crate) fn refuse_full(node: &Node, mail: ConferenceMail) -> Option<Stanza> {
    let ConferenceMail::Stanza { stanza, .. } = mail else {
        return None;
    };
    if let Some(answer) = not_ready(node, &stanza) {
        return Some(answer);
    }
    let error = StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait);
    stanza
        .may_be_refused()
        .then(|| stanza.error(error.with_text("the meeting is overloaded")))
}

/// The answer to a conference request by iq that cannot be served now: an error would be final
/// for Jitsi's clients.
pub(crate) fn not_ready(node: &Node, stanza: &Stanza) -> Option<Stanza> {
    if stanza.kind != Kind::Iq || !stanza.is_type("set") {
        return None;
    }
    let asked = ConferenceRequest::parse(stanza.child("conference", ns::FOCUS)?)?;
    let room = tertulia_conference::route::requested_room(&node.hosts, &asked)?;
    Some(
        stanza
            .result()
            .with_child(node.not_ready(&room).to_element()),
    )
}
