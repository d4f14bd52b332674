//! The task around one conference: its mailbox, its timer, its worker, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tertulia_conference::{Conference, Entry, Output};
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
use crate::media::{WorkerCommand, least_loaded};
use crate::node::Node;
use crate::pump::{Panicked, Rounds, Timer, earlier, guarded};
use crate::room_journal::RoomJournal;
use crate::router::{self, Routed, SessionHandle};
use crate::session_task::SessionControl;

/// What others know of a conference: how to reach it.
pub(crate) struct ConferenceHandle {
    /// Its main room.
    pub(crate) room: RoomJid,
    pub(crate) id: ConferenceId,
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
    /// From the bridge, about its conference of this id.
    Bridge(ConferenceId, BridgeEvent),
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

    /// One whose task never runs.
    #[cfg(test)]
    pub(crate) fn idle(room: &RoomJid) -> Arc<ConferenceHandle> {
        Arc::new(ConferenceHandle {
            room: room.clone(),
            id: ConferenceId::new("1"),
            mail: Mailbox::new(1).0,
        })
    }

    /// Whether it was taken in; a conference that is over needs to know nothing.
    pub(crate) fn control(&self, control: ConferenceControl) -> bool {
        self.mail.control(control).is_ok()
    }
}

/// Why there is no conference for a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoConference {
    /// Too many new rooms of one address, or the server drains; later it may work.
    Later,
    /// It is a breakout room that no meeting has.
    Never,
}

/// The conference of this room; it is brought to life if it does not live. Breakout rooms belong
/// to the conference of their main room.
pub(crate) fn find_or_start(
    node: &Arc<Node>,
    room: &RoomJid,
    from: IpAddr,
) -> Result<Arc<ConferenceHandle>, NoConference> {
    if let Some(living) = node.router.conference(room) {
        return Ok(living);
    }
    let main = if node.is_breakout(room) {
        node.router.main_room(room).ok_or(NoConference::Never)?
    } else {
        room.clone()
    };
    if let Some(living) = node.router.conference(&main) {
        return Ok(living);
    }
    if !node.control.takes_conferences() {
        debug!("no new meeting begins: this server drains");
        return Err(NoConference::Later);
    }
    if !node.may_start_room(from) {
        debug!("too many new rooms of one address");
        return Err(NoConference::Later);
    }
    let (mail, mailbox) = Mailbox::new(node.limits.conference_stanzas);
    let handle = Arc::new(ConferenceHandle {
        room: main,
        id: ConferenceId::new(&node.with_random(Random::uuid)),
        mail,
    });
    if let Err(earlier) = node.router.add_conference(&handle) {
        return Ok(earlier);
    }
    let span = info_span!(parent: None, "conference", id = %handle.id);
    let task = start(Arc::clone(node), Arc::clone(&handle), mailbox);
    tokio::spawn(task.instrument(span));
    Ok(handle)
}

/// Runs a conference, beginning with what the room journal has kept of a former one. Meanwhile
/// the mailbox is open.
async fn start(
    node: Arc<Node>,
    handle: Arc<ConferenceHandle>,
    mailbox: Mailbox<ConferenceMail, ConferenceControl>,
) {
    let mut journal = RoomJournal::new(Arc::clone(&node.journal), handle.room.clone());
    let kept = journal.load().await;
    let machine = |kept| {
        let (config, room) = (Arc::clone(&node.conference), handle.room.clone());
        Conference::new(
            config,
            room,
            handle.id.clone(),
            kept,
            node.seed(),
            clock::now(),
        )
    };
    let machine = match guarded(|| machine(kept)) {
        Ok(machine) => machine,
        Err(Panicked) => {
            // It would break again at the next attempt.
            error!("what was kept of the room cannot be restored; the meeting starts without it");
            journal.forget().await;
            let Ok(machine) = guarded(|| machine(BTreeMap::new())) else {
                let nothing = BTreeSet::new();
                return node.router.remove_conference(&handle, &nothing, true);
            };
            machine
        }
    };
    let task = ConferenceTask {
        node,
        machine,
        handle,
        mailbox,
        journal,
        workers: BTreeMap::new(),
        claimed: BTreeSet::new(),
        is_forgotten: false,
        present: BTreeMap::new(),
        requests: BTreeMap::new(),
    };
    task.run().await;
}

struct ConferenceTask {
    node: Arc<Node>,
    machine: Conference,
    handle: Arc<ConferenceHandle>,
    mailbox: Mailbox<ConferenceMail, ConferenceControl>,
    journal: RoomJournal,
    /// Index of the media worker of each of its conferences on the bridge.
    workers: BTreeMap<ConferenceId, u16>,
    /// Breakout rooms that it answers for.
    claimed: BTreeSet<RoomJid>,
    /// It ended on purpose: nothing of it comes back.
    is_forgotten: bool,
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

/// Why carrying out the outputs of a conference pauses or ends.
enum Pause {
    /// There is no more to do now.
    Drained,
    /// First this must be in the journal.
    Record(Entry),
    /// First the journal must be gone.
    Forget,
    Closed,
}

impl ConferenceTask {
    async fn run(mut self) {
        let (mut timer, mut rounds) = (Timer::new(), Rounds::default());
        let mut step = self.drain(clock::now()).await;
        while let Ok(Life::Lives) = step {
            rounds.step().await;
            let times = (self.machine.next_timeout(), self.journal.retry_at());
            timer.set(earlier(times.0, times.1));
            let mail = tokio::select! {
                biased;
                () = timer.expired() => None,
                // Senders exist as long as the handle that this task holds.
                mail = self.mailbox.recv() => mail,
            };
            step = self.step(mail).await;
        }
        if step.is_err() {
            error!("conference broke; its sessions start anew");
        }
        self.finish(step.is_err()).await;
    }

    async fn step(
        &mut self,
        mail: Option<Mail<ConferenceMail, ConferenceControl>>,
    ) -> Result<Life, Panicked> {
        let now = clock::now();
        if let Some(Mail::Control(ConferenceControl::Session(_, SessionChange::Ended(_)))) = &mail {
            // The end has overtaken what the session said before. Were a join carried out after
            // it, a phantom would stay.
            for earlier in self.mailbox.ready_stanzas() {
                guarded(|| self.take_in(now, Mail::Stanza(earlier)))?;
                if self.drain(now).await? == Life::Closed {
                    return Ok(Life::Closed);
                }
            }
        }
        guarded(|| match mail {
            None => self.machine.handle_timeout(now),
            Some(mail) => self.take_in(now, mail),
        })?;
        self.journal.retry(now.mono).await;
        self.drain(now).await
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
            Mail::Control(ConferenceControl::Bridge(id, event)) => {
                self.machine.handle_bridge(now, &id, event);
            }
            Mail::Control(ConferenceControl::End(reason)) => self.machine.end(now, reason),
        }
    }

    /// Carries out what the machine wants, in its order, until it wants nothing more.
    async fn drain(&mut self, now: Now) -> Result<Life, Panicked> {
        loop {
            match guarded(|| self.carry_out(now))? {
                Pause::Drained => return Ok(Life::Lives),
                Pause::Closed => return Ok(Life::Closed),
                Pause::Record(entry) => self.journal.record(entry).await,
                Pause::Forget => {
                    self.is_forgotten = true;
                    self.journal.forget().await;
                }
            }
        }
    }

    fn carry_out(&mut self, now: Now) -> Pause {
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
                    if !self.command(&conference, *command) {
                        // The worker is overloaded or gone: everyone is to be invited again.
                        let failed = BridgeEvent::Failed;
                        self.machine.handle_bridge(now, &conference, failed);
                    }
                }
                Output::Reply { request, reply } => {
                    if let Some(waiting) = self.requests.remove(&request) {
                        let _ = waiting.send(*reply);
                    }
                }
                Output::Record(entry) => return Pause::Record(entry),
                Output::Forget => return Pause::Forget,
                Output::Claim(room) => {
                    self.node.router.claim(&room, &self.handle);
                    self.claimed.insert(room);
                }
                Output::Release(room) => {
                    self.node.router.release(&room, &self.handle);
                    self.claimed.remove(&room);
                }
                Output::Closed => return Pause::Closed,
            }
        }
        Pause::Drained
    }

    /// Gives a command to the worker of one of the conferences on the bridge; false if that worker
    /// does not keep up or is gone. The first allocation chooses it, the end frees it.
    fn command(&mut self, id: &ConferenceId, command: BridgeCommand) -> bool {
        let is_first = !self.workers.contains_key(id);
        match &command {
            BridgeCommand::Close => {
                self.leave_worker(id);
                return true;
            }
            BridgeCommand::Allocate { .. } if is_first => {
                let Some(index) = least_loaded(&self.node.workers) else {
                    return false;
                };
                self.node.router.set_worker(id, index);
                self.workers.insert(id.clone(), index);
                if let Some(worker) = self.node.workers.get(usize::from(index)) {
                    worker.conference_started();
                }
            }
            _ => {}
        }
        // About what was never allocated, the bridge need not be told anything.
        let index = self.workers.get(id).copied().map(usize::from);
        let worker = index.and_then(|index| self.node.workers.get(index));
        worker.is_none_or(|worker| {
            worker.command(WorkerCommand::Bridge {
                id: id.clone(),
                owner: Arc::clone(&self.handle),
                command,
            })
        })
    }

    fn leave_worker(&mut self, id: &ConferenceId) {
        let Some(index) = self.workers.remove(id) else {
            return;
        };
        self.node.router.remove_worker(id);
        if let Some(worker) = self.node.workers.get(usize::from(index)) {
            worker.conference_ended(id.clone(), Arc::clone(&self.handle));
        }
    }

    /// Leaves the router first, then empties the mailbox; what is left is routed again. The
    /// journal comes before both: the next conference of this room takes it over.
    async fn finish(mut self, is_broken: bool) {
        self.journal.ended().await;
        let (node, handle) = (Arc::clone(&self.node), Arc::clone(&self.handle));
        node.router
            .remove_conference(&handle, &self.claimed, self.is_forgotten);
        while let Some((id, _)) = self.workers.first_key_value() {
            self.leave_worker(&id.clone());
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
    match router::route(node, from, stanza, &[]) {
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
    match find_or_start(node, &room, from) {
        Ok(conference) => {
            let _ = conference.try_mail(ConferenceMail::Request { from, asked, reply });
        }
        Err(reason) => {
            let _ = reply.send(node.without_conference(&room, reason));
        }
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
    without_conference(node, stanza, NoConference::Later)
}

/// The answer to a conference request by iq for which there is no conference.
pub(crate) fn without_conference(
    node: &Node,
    stanza: &Stanza,
    reason: NoConference,
) -> Option<Stanza> {
    if stanza.kind != Kind::Iq || !stanza.is_type("set") {
        return None;
    }
    let asked = ConferenceRequest::parse(stanza.child("conference", ns::FOCUS)?)?;
    let room = tertulia_conference::route::requested_room(&node.hosts, &asked)?;
    let reply = node.without_conference(&room, reason);
    Some(stanza.result().with_child(reply.to_element()))
}
