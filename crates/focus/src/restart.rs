//! When a client's transport breaks: a new session, or new ICE credentials in the old one.
//!
//! Both are asked for by the client and bounded, each by itself. An ICE restart takes four steps:
//! the client's session-info, the bridge's new credentials, their transport-info to the client,
//! and the client's transport-info with its own. DTLS and SRTP do not notice.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tertulia_model::bridge::{Candidate, IceCredentials};
use tertulia_model::{AllocationId, BridgeCommand, EndpointId, MediaType, Now};
use tertulia_stanza::jingle::{Action, Content, Jingle, Transport};
use tertulia_stanza::{Condition, Stanza, StanzaError};

use crate::Focus;
use crate::jingle::{CANDIDATES_MAX, Then, bad_request, ice_credentials, nothing, out_of_order};
use crate::lifecycle::moving;
use crate::offer::candidates;
use crate::participant::SessionState;

/// Where the ICE restarts of a session are.
#[derive(Default)]
pub(crate) struct IceRestarts {
    /// The bridge has been asked so many times and has not answered.
    asked: u32,
    /// Counts the transports that the client was told after the first one.
    generation: u32,
    /// The client has not answered the last of them.
    is_unanswered: bool,
}

impl Focus {
    /// A session-info: the client reports that its transport broke, or says nothing of meaning.
    pub(crate) fn handle_info(
        &mut self,
        now: Now,
        from: &EndpointId,
        jingle: &Jingle,
    ) -> Result<Then, StanzaError> {
        let (interval_min, per_minute) = self.restart_bounds();
        let participant = self
            .participants
            .get_mut(from)
            .ok_or(Condition::ItemNotFound)?;
        let Some(session) = &participant.session else {
            return Ok(nothing());
        };
        let named = jingle.bridge_session.as_ref();
        let is_current = named.is_some_and(|named| named.id == session.bridge_session);
        if named.is_some_and(|named| named.wants_ice_restart) {
            return if is_current {
                self.restart_ice(now, from)
            } else {
                Err(Condition::ItemNotFound.into())
            };
        }
        // COMPAT(lib-jitsi-meet): how old clients asked for a new session.
        if jingle.ice_state.as_deref() != Some("failed") {
            return Ok(nothing());
        }
        let is_permitted = is_current
            && participant
                .restarts
                .permit(now.mono, interval_min, per_minute);
        tracing::debug!(endpoint = %from, is_permitted, "client reports that ice failed");
        if !is_permitted {
            return Ok(nothing());
        }
        let from = from.clone();
        Ok(Box::new(move |focus| focus.terminate(&from, &moving())))
    }

    /// Asks the bridge for new credentials, unless this client has asked too often.
    fn restart_ice(&mut self, now: Now, from: &EndpointId) -> Result<Then, StanzaError> {
        if !self.config.has_ice_restart {
            return Err(Condition::FeatureNotImplemented.into());
        }
        let (interval_min, per_minute) = self.restart_bounds();
        let participant = self
            .participants
            .get_mut(from)
            .ok_or(Condition::ItemNotFound)?;
        let session = participant.session.as_mut();
        let session = session.filter(|session| session.state == SessionState::Accepted);
        let session = session.ok_or_else(out_of_order)?;
        let limit = &mut participant.ice_restarts;
        if !limit.permit(now.mono, interval_min, per_minute) {
            return Err(rate_limited());
        }
        session.ice.asked += 1;
        let allocation = session.allocation;
        tracing::debug!(endpoint = %from, "ice restart");
        Ok(Box::new(move |focus| {
            focus.command(BridgeCommand::RestartIce { allocation });
        }))
    }

    /// The bridge has new credentials: its client is told.
    pub(crate) fn handle_ice_restarted(
        &mut self,
        allocation: AllocationId,
        ice: IceCredentials,
        local: &[Candidate],
    ) {
        let Some(endpoint) = self.by_allocation.get(&allocation).cloned() else {
            return;
        };
        let participant = self.participants.get_mut(&endpoint);
        let Some(session) = participant.and_then(|participant| participant.session.as_mut()) else {
            return;
        };
        session.ice.asked = session.ice.asked.saturating_sub(1);
        if session.ice.asked > 0 {
            // Already replaced: the next answer counts.
            return;
        }
        session.ice.generation += 1;
        session.ice.is_unanswered = true;
        let mut jingle = Jingle::new(Action::TransportInfo, &session.sid);
        jingle.initiator = Some(self.jid.to_string());
        jingle.contents = vec![Content {
            name: MediaType::Audio.as_str().to_owned(),
            transport: Some(Transport {
                ufrag: Some(ice.ufrag),
                pwd: Some(ice.pwd),
                candidates: candidates(local),
                ice_generation: Some(session.ice.generation),
                ..Transport::default()
            }),
            ..Content::default()
        }];
        let id = self.iq_id();
        let stanza = Stanza::iq("set", &id).with_child(jingle.to_element());
        self.send(&endpoint, stanza);
    }

    /// The client's half of an ice restart. What it says otherwise of its transport is not needed:
    /// clients are learnt as peer-reflexive.
    pub(crate) fn handle_transport_info(
        &mut self,
        from: &EndpointId,
        jingle: &Jingle,
    ) -> Result<Then, StanzaError> {
        let mut transports = jingle.transports();
        let Some(transport) = transports.find(|t| t.ice_generation.is_some()) else {
            return Ok(nothing());
        };
        let participant = self.participants.get_mut(from);
        let session = participant.and_then(|participant| participant.session.as_mut());
        let session = session.ok_or(Condition::ItemNotFound)?;
        let generation = transport.ice_generation.unwrap_or_default();
        if generation == 0 || generation > session.ice.generation {
            return Err(bad_request(
                "expected the ice-generation of the last transport-info",
            ));
        }
        let ice = ice_credentials(transport)?;
        let is_due = generation == session.ice.generation
            && session.ice.asked == 0
            && std::mem::take(&mut session.ice.is_unanswered);
        if !is_due {
            return Ok(nothing());
        }
        let mut known: Vec<SocketAddr> = Vec::new();
        for candidate in jingle.transports().flat_map(|t| &t.candidates) {
            if !known.contains(&candidate.address) && known.len() < CANDIDATES_MAX {
                known.push(candidate.address);
            }
        }
        let allocation = session.allocation;
        Ok(Box::new(move |focus| {
            focus.command(BridgeCommand::ReconnectIce {
                allocation,
                ice,
                candidates: known,
            });
        }))
    }

    pub(crate) fn restart_bounds(&self) -> (Duration, u32) {
        let config = &self.config;
        (config.restart_interval_min, config.restarts_per_minute_max)
    }
}

/// The refusal of a client that asks too often: it then gives up and comes in anew.
pub(crate) fn rate_limited() -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint).with_text("rate-limited")
}

/// Bounds how often a client may ask for a new session, or for new ICE credentials.
#[derive(Default)]
pub(crate) struct RestartLimit {
    /// Restarts of the last minute.
    recent: VecDeque<Instant>,
}

impl RestartLimit {
    /// Whether one more is permitted now; if so, it counts.
    pub(crate) fn permit(&mut self, now: Instant, interval_min: Duration, per_minute: u32) -> bool {
        while self
            .recent
            .front()
            .is_some_and(|first| now - *first >= MINUTE)
        {
            self.recent.pop_front();
        }
        let is_too_soon = self
            .recent
            .back()
            .is_some_and(|last| now - *last < interval_min);
        if is_too_soon || self.recent.len() >= per_minute as usize {
            return false;
        }
        self.recent.push_back(now);
        true
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_seconds_apart_and_five_a_minute() {
        let start = Instant::now();
        let mut limit = RestartLimit::default();
        let mut permit = |second| {
            limit.permit(
                start + Duration::from_secs(second),
                Duration::from_secs(5),
                5,
            )
        };
        assert!(permit(0));
        assert!(!permit(4));
        for second in [5, 10, 15, 20] {
            assert!(permit(second), "{second}");
        }
        assert!(!permit(25), "the sixth within a minute");
        assert!(permit(60));
        assert!(permit(65));
    }
}
