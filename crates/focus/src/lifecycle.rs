//! The life of Jingle sessions: when somebody is invited, and how a session ends.
//!
//! Everybody with media is invited as soon as there are enough of them (two, but one where the
//! meeting is transcribed), and loses the session when there have been too few for a while. Who
//! does not answer is invited a few times more and then left in peace: it stays in the room without
//! media until it comes in anew or the meeting has ended once.

use tertulia_model::bridge::{DisconnectReason, EndpointOffer};
use tertulia_model::{AllocationId, BridgeCommand, BridgeEvent, EndpointId, Now};
use tertulia_stanza::Stanza;
use tertulia_stanza::jingle::{Action, Jingle, Reason};

use crate::Focus;
use crate::features::Features;
use crate::offer::{Offer, percent_encoded};
use crate::participant::{FeaturesKnown, JingleSession, Participant, SessionState};
use crate::timer::Timer;

impl Focus {
    /// Brings sessions in line with who is there: the last step of every `handle_*`.
    pub(crate) fn settle(&mut self, now: Now) {
        // Who has not said yet what it can do makes nobody alone, and starts nothing.
        let members = self.participants.values().filter(|p| p.has_media()).count();
        let has_media = |p: &&Participant| p.features().is_some_and(Features::has_media);
        let ready = self.participants.values().filter(has_media).count();
        let has_sessions = !self.by_allocation.is_empty();
        let alone = Timer::SingleParticipant;
        if members >= self.participants_min {
            self.timers.cancel(&alone);
        } else if has_sessions && !self.timers.is_set(&alone) {
            self.timers
                .set(alone, now.mono + self.config.single_participant_timeout);
        }
        if ready >= self.participants_min {
            self.invite_all();
        }
        if self.by_allocation.is_empty() {
            self.timers.cancel(&Timer::SingleParticipant);
            self.close_bridge();
        }
        self.schedule_signalling(now);
        self.show(now);
    }

    pub(crate) fn handle_event(&mut self, now: Now, event: BridgeEvent) {
        match event {
            BridgeEvent::Allocated {
                allocation,
                transport,
            } => {
                if let Some(endpoint) = self.by_allocation.get(&allocation).cloned() {
                    self.is_bridge_missing = false;
                    self.initiate(now, &endpoint, &transport);
                }
            }
            BridgeEvent::AllocationFailed { allocation, reason } => {
                if let Some(endpoint) = self.by_allocation.get(&allocation).cloned() {
                    tracing::debug!(%endpoint, ?reason, "allocation failed");
                    self.end_session(&endpoint);
                    self.is_bridge_missing = true;
                    self.retry_later(now, &endpoint, false);
                }
            }
            BridgeEvent::IceRestarted {
                allocation,
                ice,
                candidates,
            } => self.handle_ice_restarted(allocation, ice, &candidates),
            BridgeEvent::Connected { allocation } => {
                let endpoint = self.by_allocation.get(&allocation);
                if let Some(participant) = endpoint.and_then(|e| self.participants.get_mut(e)) {
                    participant.failures = 0;
                    if let Some(session) = &mut participant.session {
                        session.is_active = true;
                    }
                }
            }
            BridgeEvent::Disconnected { allocation, reason } => {
                self.handle_disconnected(now, allocation, reason);
            }
            BridgeEvent::Activity {
                allocation,
                is_active,
            } => {
                let endpoint = self.by_allocation.get(&allocation);
                let participant = endpoint.and_then(|e| self.participants.get_mut(e));
                if let Some(session) = participant.and_then(|p| p.session.as_mut()) {
                    session.is_active = is_active;
                }
            }
            BridgeEvent::DominantSpeaker { endpoint } => self.dominant_speaker = endpoint,
            BridgeEvent::Failed => self.handle_failed(now),
        }
    }

    pub(crate) fn handle_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Features(endpoint) => {
                if let Some(participant) = self.participants.get_mut(&endpoint)
                    && let FeaturesKnown::Asked(query) = &participant.features
                {
                    tracing::debug!(%endpoint, "client did not say what it can do");
                    participant.features = FeaturesKnown::Assumed(query.clone());
                }
            }
            Timer::Accept(endpoint) => {
                tracing::debug!(%endpoint, "session-initiate was not answered");
                self.terminate(&endpoint, &Reason::new("timeout", "no session-accept"));
                self.count_unanswered(&endpoint);
            }
            // Waiting was all that kept it from being invited, or from being shown.
            Timer::Retry(_) | Timer::Visitors => {}
            Timer::Sources => self.signal_waiting(),
            Timer::SingleParticipant => {
                let reason = Reason::new("expired", "Idle session timeout");
                for endpoint in self.participants.keys().cloned().collect::<Vec<_>>() {
                    self.terminate(&endpoint, &reason);
                }
                // The next one to join makes a new meeting of it.
                for participant in self.participants.values_mut() {
                    (participant.has_declined, participant.unanswered) = (false, 0);
                }
            }
        }
    }

    /// Ends a session and says why to its client.
    pub(crate) fn terminate(&mut self, endpoint: &EndpointId, reason: &Reason) {
        let Some(session) = self.end_session(endpoint) else {
            return;
        };
        self.retract(endpoint);
        if session.state == SessionState::Allocating {
            return;
        }
        let mut jingle = Jingle::new(Action::SessionTerminate, &session.sid);
        jingle.reason = Some(reason.clone());
        let id = self.iq_id();
        self.send(
            endpoint,
            Stanza::iq("set", &id).with_child(jingle.to_element()),
        );
    }

    /// Ends a session on the bridge; its client is not told. Its sources are still to be taken
    /// back: by [`Focus::retract`], or without a word where the endpoint has left the room.
    pub(crate) fn end_session(&mut self, endpoint: &EndpointId) -> Option<JingleSession> {
        let session = self.participants.get_mut(endpoint)?.take_session()?;
        self.timers.cancel(&Timer::Accept(endpoint.clone()));
        self.by_allocation.remove(&session.allocation);
        self.command(BridgeCommand::Expire {
            allocation: session.allocation,
        });
        Some(session)
    }

    /// The session-initiate failed at its client.
    pub(crate) fn handle_refused_invitation(&mut self, now: Now, endpoint: &EndpointId) {
        self.end_session(endpoint);
        self.count_unanswered(endpoint);
        self.retry_later(now, endpoint, false);
    }

    /// Frees the conference on the bridge.
    pub(crate) fn close_bridge(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.command(BridgeCommand::Close);
        }
    }

    fn invite_all(&mut self) {
        let invitations_max = self.config.invitations_max;
        let waiting = self.participants.iter().filter(|(endpoint, participant)| {
            let may_answer = !participant.is_paused
                && !participant.has_declined
                && participant.unanswered < invitations_max;
            participant.session.is_none()
                && may_answer
                && participant
                    .features()
                    .is_some_and(|features| features.has_media())
                && !self.timers.is_set(&Timer::Retry((*endpoint).clone()))
        });
        for endpoint in waiting
            .map(|(endpoint, _)| endpoint.clone())
            .collect::<Vec<_>>()
        {
            self.allocate(&endpoint);
        }
    }

    fn allocate(&mut self, endpoint: &EndpointId) {
        let (sid, bridge_session) = (self.random.token(13), self.random.token(13));
        let allocation = AllocationId(self.next_allocation);
        let Some(participant) = self.participants.get_mut(endpoint) else {
            return;
        };
        let Some(features) = participant.features() else {
            return;
        };
        let features = features.permitted_by(&self.config);
        self.next_allocation += 1;
        participant.session = Some(JingleSession {
            sid,
            bridge_session,
            allocation,
            features,
            state: SessionState::Allocating,
            signalled: Default::default(),
            is_active: false,
            ice: Default::default(),
        });
        let offer = EndpointOffer {
            has_rtx: features.has_rtx,
            has_red: features.has_opus_red,
            has_transport_cc: features.has_transport_cc,
            has_data_channel: features.has_data_channel,
            has_ssrc_rewriting: features.has_ssrc_rewriting,
            is_loopback: participant.profile.is_loopback,
        };
        let may = participant.may_forward;
        self.by_allocation.insert(allocation, endpoint.clone());
        self.is_open = true;
        self.command(BridgeCommand::Allocate {
            endpoint: endpoint.clone(),
            allocation,
            offer,
        });
        self.command(BridgeCommand::SetMayForward { allocation, may });
    }

    /// The bridge has a transport: session-initiate.
    fn initiate(
        &mut self,
        now: Now,
        endpoint: &EndpointId,
        transport: &tertulia_model::bridge::LocalTransport,
    ) {
        let id = self.iq_id();
        let initiator = self.jid.to_string();
        let path = [
            &self.config.server_id,
            self.conference.as_str(),
            endpoint.as_str(),
        ]
        .map(percent_encoded)
        .join("/");
        let password = percent_encoded(&transport.channel_password);
        let Some(participant) = self.participants.get(endpoint) else {
            return;
        };
        let Some(session) = &participant.session else {
            return;
        };
        let features = session.features;
        if session.state != SessionState::Allocating {
            return;
        }
        let base = &participant.profile.websocket_base;
        let (signalled, sources) = self.wanted(endpoint, features);
        let offer = Offer {
            sid: &session.sid,
            initiator: &initiator,
            bridge_session: &session.bridge_session,
            features,
            video_codecs: &self.config.video_codecs,
            transport,
            web_socket: format!("{base}/colibri-ws/{path}?pwd={password}"),
            sources,
            start_muted: self.starts_muted(endpoint),
        };
        let stanza = Stanza::iq("set", &id).with_child(offer.to_jingle().to_element());
        let session = self
            .participants
            .get_mut(endpoint)
            .and_then(|p| p.session.as_mut());
        if let Some(session) = session {
            session.state = SessionState::Invited(id);
            session.signalled = signalled;
        }
        let patience = now.mono + self.config.accept_timeout;
        self.timers.set(Timer::Accept(endpoint.clone()), patience);
        self.send(endpoint, stanza);
    }

    /// A transport died: its client gets a new session.
    fn handle_disconnected(
        &mut self,
        now: Now,
        allocation: AllocationId,
        reason: DisconnectReason,
    ) {
        let Some(endpoint) = self.by_allocation.get(&allocation).cloned() else {
            return;
        };
        tracing::debug!(%endpoint, ?reason, "transport lost");
        self.terminate(&endpoint, &moving());
        self.retry_later(now, &endpoint, true);
    }

    /// The bridge lost everything: everybody gets a new session.
    fn handle_failed(&mut self, now: Now) {
        tracing::warn!("bridge lost the conference");
        let endpoints: Vec<EndpointId> = self.by_allocation.values().cloned().collect();
        // With the sessions goes what their clients know: nobody needs to be told of each source.
        for session in self
            .participants
            .values_mut()
            .filter_map(|p| p.session.as_mut())
        {
            session.signalled.clear();
        }
        for endpoint in &endpoints {
            self.terminate(endpoint, &moving());
            self.retry_later(now, endpoint, true);
        }
        self.is_bridge_missing = true;
    }

    /// Invites again after longer and longer waits; `at_once` the first time.
    fn retry_later(&mut self, now: Now, endpoint: &EndpointId, at_once: bool) {
        let Some(participant) = self.participants.get_mut(endpoint) else {
            return;
        };
        participant.failures += 1;
        if at_once && participant.failures == 1 {
            return;
        }
        let doublings = (participant.failures - 1 - u32::from(at_once)).min(16);
        let wait = self.config.retry_interval * (1 << doublings);
        let wait = wait.min(self.config.retry_interval_max);
        self.timers
            .set(Timer::Retry(endpoint.clone()), now.mono + wait);
    }

    fn count_unanswered(&mut self, endpoint: &EndpointId) {
        let Some(participant) = self.participants.get_mut(endpoint) else {
            return;
        };
        // Without a socket it could not answer; it is invited when it is back.
        if participant.is_paused {
            return;
        }
        participant.unanswered += 1;
        if participant.unanswered == self.config.invitations_max {
            tracing::warn!(%endpoint, "client ignores session-initiate; it is not invited again");
        }
    }
}

/// Why a session ends that is followed by another.
pub(crate) fn moving() -> Reason {
    Reason::new("success", "moving")
}
