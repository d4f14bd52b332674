//! One conference's media signalling, Jicofo's work: who is invited when, Jingle sessions,
//! sources and who is told of them, and what happens when a transport or the bridge fails.
//!
//! Does not know: rooms, RTP, what a bridge does with what it is told.

mod codecs;
mod features;
mod jingle;
mod lifecycle;
mod mute;
mod offer;
mod participant;
mod presence;
mod restart;
mod signal;
mod sources;
mod timer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_model::jid::FullJid;
use tertulia_model::{
    AllocationId, BridgeCommand, BridgeEvent, ConferenceId, EndpointId, MayForward, Now, Random,
    SessionProfile, Source, VideoCodec, invariant,
};
use tertulia_stanza::Stanza;
use tertulia_stanza::disco::DiscoInfo;

pub use sources::Refusal;

use mute::StartMutedRules;
use participant::{Participant, SessionState};
use presence::Shown;
use sources::Registry;
use timer::{Timer, Timers};

/// Times and limits of a focus.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names this server in the path of the bridge channel's WebSocket.
    pub server_id: String,
    /// How long a client may take to say what it can do.
    pub features_timeout: Duration,
    /// How long a client may take to answer session-initiate.
    pub accept_timeout: Duration,
    /// How often a client is invited that does not answer.
    pub invitations_max: u32,
    /// How long the last one keeps its session.
    pub single_participant_timeout: Duration,
    /// The least time between two restarts that a client asks for.
    pub restart_interval_min: Duration,
    pub restarts_per_minute_max: u32,
    /// Invitations that fail are repeated after this, then twice this…
    pub retry_interval: Duration,
    /// …up to this.
    pub retry_interval_max: Duration,
    /// SSRCs, and groups of them, of one participant.
    pub ssrcs_per_participant_max: usize,
    /// From so many participants on, clients are told of each other's sources so much later, of
    /// all that changed meanwhile at once. What is not in it is at once.
    pub source_delays: BTreeMap<usize, Duration>,
    /// Clients that can it get others' media in slots of the bridge, and no word of their sources
    /// from the focus.
    pub has_ssrc_rewriting: bool,
    /// A client may ask for new ICE credentials in place of a new session.
    pub has_ice_restart: bool,
    /// Redundant audio (RED) is offered to clients that can it.
    pub has_opus_red: bool,
    /// The video codecs that are offered.
    pub video_codecs: Vec<VideoCodec>,
    /// Participants with their microphone on; None is no limit.
    pub audio_senders_max: Option<usize>,
    /// Participants with their camera or screen on; None is no limit.
    pub video_senders_max: Option<usize>,
}

/// Everything a focus can want from its owner, in the order it wants it.
#[derive(Debug)]
pub enum Output {
    /// To a participant, in the name of the focus; without addresses.
    Send {
        to: EndpointId,
        stanza: Stanza,
    },
    Bridge(BridgeCommand),
    /// [`Focus::presence`] has changed.
    PresenceChanged,
}

/// A participant for those who look from outside: checkers, logs, the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantState {
    /// In the room, without a session.
    Idle,
    /// The bridge has been asked for a transport.
    Allocating,
    /// session-initiate is out.
    Invited,
    /// session-accept is in.
    Accepted,
}

/// The focus of one conference.
///
/// Call exactly one `handle_*` or command, then `poll_output` until `None`, then sleep until
/// `next_timeout`. A peer's mistake is an `Output` to that peer.
pub struct Focus {
    config: Arc<Config>,
    conference: ConferenceId,
    jid: FullJid,
    random: Random,
    participants: BTreeMap<EndpointId, Participant>,
    by_allocation: BTreeMap<AllocationId, EndpointId>,
    registry: Registry,
    /// Whose sources have changed without everybody having been told.
    unsignalled: BTreeSet<EndpointId>,
    timers: Timers,
    next_allocation: u64,
    next_iq: u64,
    /// The conference exists on the bridge.
    is_open: bool,
    /// The bridge refused or failed; shown to everybody until it works again.
    is_bridge_missing: bool,
    dominant_speaker: Option<EndpointId>,
    /// So many participants make a meeting.
    participants_min: usize,
    start_muted: StartMutedRules,
    has_visitors: bool,
    shown: Shown,
    outputs: VecDeque<Output>,
}

impl Focus {
    /// The focus of a conference without participants; `jid` is its real address.
    pub fn new(
        config: Arc<Config>,
        conference: ConferenceId,
        jid: FullJid,
        seed: [u8; 32],
        _now: Now,
    ) -> Focus {
        Focus {
            config,
            conference,
            jid,
            random: Random::from_seed(seed),
            participants: BTreeMap::new(),
            by_allocation: BTreeMap::new(),
            registry: Registry::default(),
            unsignalled: BTreeSet::new(),
            timers: Timers::default(),
            next_allocation: 1,
            next_iq: 1,
            is_open: false,
            is_bridge_missing: false,
            dominant_speaker: None,
            participants_min: 2,
            start_muted: StartMutedRules::default(),
            has_visitors: false,
            shown: Shown::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Somebody is in the room.
    pub fn join(&mut self, now: Now, endpoint: EndpointId, profile: Arc<SessionProfile>) {
        if !invariant!(
            !self.participants.contains_key(&endpoint),
            "endpoints join once"
        ) {
            return;
        }
        let query = self.iq_id();
        let ask = Stanza::iq("get", &query).with_child(DiscoInfo::query(None));
        self.outputs.push_back(Output::Send {
            to: endpoint.clone(),
            stanza: ask,
        });
        let patience = now.mono + self.config.features_timeout;
        self.timers.set(Timer::Features(endpoint.clone()), patience);
        let start_muted = self.start_muted();
        self.participants
            .insert(endpoint, Participant::new(profile, query, start_muted));
        self.settle(now);
    }

    /// Somebody is out of the room. The others learn it from the room: but for few, they are not
    /// told of its sources' end.
    pub fn leave(&mut self, now: Now, endpoint: &EndpointId) {
        self.end_session(endpoint);
        self.participants.remove(endpoint);
        for timer in [Timer::Features, Timer::Accept, Timer::Retry] {
            self.timers.cancel(&timer(endpoint.clone()));
        }
        self.forget(endpoint);
        if self.dominant_speaker.as_ref() == Some(endpoint) {
            self.dominant_speaker = None;
        }
        self.settle(now);
    }

    /// A participant's socket was lost or came back.
    pub fn set_paused(&mut self, now: Now, endpoint: &EndpointId, is_paused: bool) {
        let Some(participant) = self.participants.get_mut(endpoint) else {
            return;
        };
        participant.is_paused = is_paused;
        if let Some(session) = &participant.session {
            let allocation = session.allocation;
            self.command(BridgeCommand::SetPaused {
                allocation,
                is_paused,
            });
        }
        self.settle(now);
    }

    /// What of a participant's media and messages may reach others.
    pub fn set_may_forward(&mut self, endpoint: &EndpointId, may: MayForward) {
        let Some(participant) = self.participants.get_mut(endpoint) else {
            return;
        };
        participant.may_forward = may;
        if let Some(session) = &participant.session {
            let allocation = session.allocation;
            self.command(BridgeCommand::SetMayForward { allocation, may });
        }
    }

    /// How many participants it takes for media to be negotiated: 2, or 1 while something listens
    /// to each of them, as transcription does.
    pub fn set_participants_min(&mut self, now: Now, participants: usize) {
        let participants = participants.max(1);
        if self.participants_min != participants {
            self.participants_min = participants;
            self.settle(now);
        }
    }

    /// The conference is over; frees everything on the bridge. Nobody is told: the room does that.
    pub fn close(&mut self) {
        self.participants.clear();
        self.by_allocation.clear();
        self.registry = Registry::default();
        self.unsignalled.clear();
        self.timers.clear();
        self.close_bridge();
    }

    /// An iq that a participant sent to the focus.
    pub fn handle_iq(&mut self, now: Now, from: &EndpointId, iq: &Stanza) {
        if self.participants.contains_key(from) {
            self.handle_participant_iq(now, from, iq);
            self.settle(now);
        }
    }

    /// Something happened on the bridge.
    pub fn handle_bridge(&mut self, now: Now, event: BridgeEvent) {
        self.handle_event(now, event);
        self.settle(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop(now.mono) {
            self.handle_timer(timer);
        }
        self.settle(now);
    }

    /// The next output; None when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Focus::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// All participants and how far they are.
    pub fn participants(&self) -> impl Iterator<Item = (&EndpointId, ParticipantState)> {
        self.participants.iter().map(|(endpoint, participant)| {
            let state = match participant.session.as_ref().map(|session| &session.state) {
                None => ParticipantState::Idle,
                Some(SessionState::Allocating) => ParticipantState::Allocating,
                Some(SessionState::Invited(_)) => ParticipantState::Invited,
                Some(SessionState::Accepted) => ParticipantState::Accepted,
            };
            (endpoint, state)
        })
    }

    /// What a participant sends.
    pub fn sources(&self, endpoint: &EndpointId) -> &[Source] {
        self.registry.sources(endpoint)
    }

    /// Who speaks, by the bridge's account.
    pub fn dominant_speaker(&self) -> Option<&EndpointId> {
        self.dominant_speaker.as_ref()
    }

    /// Whether media and consent arrive from a participant; None without a session.
    pub fn is_active(&self, endpoint: &EndpointId) -> Option<bool> {
        let session = self.participants.get(endpoint)?.session.as_ref()?;
        (session.state == SessionState::Accepted).then_some(session.is_active)
    }

    /// Whether all that must hold holds.
    pub fn is_consistent(&self) -> bool {
        let is_sender = |owner| {
            let participant = self.participants.get(owner);
            let session = participant.and_then(|participant| participant.session.as_ref());
            session.is_some_and(|session| session.state == SessionState::Accepted)
        };
        let is_allocated = |(allocation, endpoint): (&AllocationId, &EndpointId)| {
            let session = self
                .participants
                .get(endpoint)
                .and_then(|p| p.session.as_ref());
            session.is_some_and(|session| session.allocation == *allocation)
        };
        let sessions = self
            .participants
            .values()
            .filter(|p| p.session.is_some())
            .count();
        self.registry.is_consistent()
            && self.is_signalling_consistent()
            && invariant!(
                self.registry.owners().all(is_sender),
                "sources have a live owner"
            )
            && invariant!(
                self.by_allocation.len() == sessions && self.by_allocation.iter().all(is_allocated),
                "every session has its allocation and every allocation its session"
            )
            && invariant!(
                self.registry
                    .owners()
                    .all(|owner| { self.participants.get(owner).is_some_and(|p| !p.is_visitor) }),
                "visitors send nothing"
            )
            && invariant!(
                sessions == 0
                    || self.participants.values().filter(|p| p.has_media()).count()
                        >= self.participants_min
                    || self.timers.is_set(&Timer::SingleParticipant),
                "sessions exist while there is a meeting, and a while longer"
            )
            && invariant!(
                self.is_open || sessions == 0,
                "sessions exist on an open bridge"
            )
    }

    fn command(&mut self, command: BridgeCommand) {
        self.outputs.push_back(Output::Bridge(command));
    }

    fn send(&mut self, to: &EndpointId, stanza: Stanza) {
        self.outputs.push_back(Output::Send {
            to: to.clone(),
            stanza,
        });
    }

    fn iq_id(&mut self) -> String {
        let id = format!("f{}", self.next_iq);
        self.next_iq += 1;
        id
    }
}

#[cfg(test)]
mod tests;
