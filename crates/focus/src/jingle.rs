//! What participants send to the focus: answers to invitations, sources, restarts.

use tertulia_model::bridge::{IceCredentials, RemoteTransport};
use tertulia_model::{BridgeCommand, EndpointId, Now};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::jingle::{Action, Jingle, Setup, Transport};
use tertulia_stanza::sources::EndpointSources;
use tertulia_stanza::{Condition, Element, ErrorType, Stanza, StanzaError, ns};

use crate::Focus;
use crate::features::Features;
use crate::participant::{FeaturesKnown, SessionState};
use crate::restart::rate_limited;
use crate::timer::Timer;

/// What is still to be done once the sender has its result.
pub(crate) type Then = Box<dyn FnOnce(&mut Focus)>;

impl Focus {
    pub(crate) fn handle_participant_iq(&mut self, now: Now, from: &EndpointId, iq: &Stanza) {
        if !iq.is_request() {
            return self.handle_answer(now, from, iq);
        }
        let reply =
            if let Some(jingle) = iq.child("jingle", ns::JINGLE).filter(|_| iq.is_type("set")) {
                match self.handle_jingle(now, from, jingle) {
                    Ok(then) => {
                        // The result first: clients lose what comes before it.
                        self.send(from, iq.result());
                        return then(self);
                    }
                    Err(error) => Err(error),
                }
            } else if iq.is_type("get") && iq.child("query", ns::DISCO_INFO).is_some() {
                Ok(iq.result().with_child(describe().to_element()))
            } else if iq.is_type("get") && iq.child("ping", ns::PING).is_some() {
                Ok(iq.result())
            } else {
                Err(Condition::ServiceUnavailable.into())
            };
        match reply {
            Ok(reply) => self.send(from, reply),
            Err(error) => {
                tracing::debug!(endpoint = %from, condition = %error.condition, "iq refused");
                self.send(from, iq.error(error));
            }
        }
    }

    /// A result or error: of the question what it can do, or of an invitation.
    fn handle_answer(&mut self, now: Now, from: &EndpointId, iq: &Stanza) {
        let Some(participant) = self.participants.get_mut(from) else {
            return;
        };
        let Some(id) = iq.id.as_deref() else { return };
        match &participant.features {
            FeaturesKnown::Asked(query) | FeaturesKnown::Assumed(query) if query == id => {
                let info = iq.child("query", ns::DISCO_INFO).and_then(DiscoInfo::parse);
                let info = info.filter(|_| iq.is_type("result"));
                let features = info.map_or(Features::LEAST, |info| Features::of(&info));
                participant.features = FeaturesKnown::Told(features);
                self.timers.cancel(&Timer::Features(from.clone()));
                return;
            }
            _ => {}
        }
        let state = participant.session.as_ref().map(|session| &session.state);
        let is_invitation = matches!(state, Some(SessionState::Invited(invite)) if invite == id);
        if is_invitation && iq.is_type("error") {
            tracing::debug!(endpoint = %from, "session-initiate was refused");
            self.handle_refused_invitation(now, from);
        }
    }

    fn handle_jingle(
        &mut self,
        now: Now,
        from: &EndpointId,
        element: &Element,
    ) -> Result<Then, StanzaError> {
        let jingle = Jingle::parse(element).map_err(|invalid| {
            StanzaError::new(Condition::BadRequest).with_text(&invalid.to_string())
        })?;
        let participant = self
            .participants
            .get_mut(from)
            .ok_or(Condition::ItemNotFound)?;
        let Some(session) = participant.session_by_sid(&jingle.sid) else {
            let is_late = jingle.action == Action::SessionAccept && participant.had(&jingle.sid);
            return Err(if is_late {
                Condition::Gone.into()
            } else {
                unknown_session()
            });
        };
        let is_accepted = session.state == SessionState::Accepted;
        let bridge_session = session.bridge_session.clone();
        match jingle.action {
            Action::SessionAccept if is_accepted => Err(out_of_order()),
            Action::SessionAccept => self.handle_accept(from, &jingle),
            Action::SourceAdd | Action::SourceRemove if !is_accepted => Err(out_of_order()),
            Action::SourceAdd | Action::SourceRemove => self.handle_sources(from, &jingle),
            Action::SessionTerminate => self.handle_terminate(now, from, &jingle, &bridge_session),
            Action::SessionInfo => self.handle_info(now, from, &jingle),
            Action::TransportInfo => self.handle_transport_info(from, &jingle),
            Action::SessionInitiate | Action::Other(_) => {
                Err(Condition::FeatureNotImplemented.into())
            }
        }
    }

    fn handle_accept(&mut self, from: &EndpointId, jingle: &Jingle) -> Result<Then, StanzaError> {
        let transport = remote_transport(jingle)?;
        let mut sources = own_sources(from, jingle)?;
        if let Some(visitor) = self.participants.get_mut(from).filter(|p| p.is_visitor) {
            // COMPAT(lib-jitsi-meet): an error here is the end of its meeting, and it may not know
            // that it only visits. What it would send is not taken up.
            visitor.has_ignored_sources = !sources.is_empty();
            sources = EndpointSources::default();
        }
        self.registry
            .add(from, &sources, self.config.ssrcs_per_participant_max)
            .map_err(|refusal| bad_request(&refusal.to_string()))?;
        let participant = self
            .participants
            .get_mut(from)
            .ok_or(Condition::ItemNotFound)?;
        participant.unanswered = 0;
        participant.has_come_in = true;
        let session = participant.session.as_mut().ok_or_else(unknown_session)?;
        session.state = SessionState::Accepted;
        let allocation = session.allocation;
        self.timers.cancel(&Timer::Accept(from.clone()));
        let from = from.clone();
        Ok(Box::new(move |focus| {
            focus.command(BridgeCommand::Connect {
                allocation,
                transport,
            });
            focus.publish(&from);
            focus.signal_missed(&from);
        }))
    }

    fn handle_sources(&mut self, from: &EndpointId, jingle: &Jingle) -> Result<Then, StanzaError> {
        let sources = own_sources(from, jingle)?;
        if sources.is_empty() {
            return Ok(nothing());
        }
        let result = if jingle.action == Action::SourceAdd {
            self.check_sender(from, &sources)?;
            self.check_sender_limits(from, &sources)?;
            self.registry
                .add(from, &sources, self.config.ssrcs_per_participant_max)
        } else {
            self.registry.remove(from, &sources)
        };
        result.map_err(|refusal| bad_request(&refusal.to_string()))?;
        let from = from.clone();
        Ok(Box::new(move |focus| focus.publish(&from)))
    }

    /// Tells bridge and participants what an endpoint sends now.
    pub(crate) fn publish(&mut self, endpoint: &EndpointId) {
        let session = self
            .participants
            .get(endpoint)
            .and_then(|p| p.session.as_ref());
        if let Some(allocation) = session.map(|session| session.allocation) {
            let sources = self.registry.sources(endpoint).to_vec();
            self.command(BridgeCommand::SetSources {
                allocation,
                sources,
            });
            self.signal(endpoint);
        }
    }

    /// The client ends its session, to get a new one or for good.
    fn handle_terminate(
        &mut self,
        now: Now,
        from: &EndpointId,
        jingle: &Jingle,
        bridge_session: &str,
    ) -> Result<Then, StanzaError> {
        let named = jingle.bridge_session.as_ref();
        if named.is_some_and(|named| named.id != bridge_session) {
            return Err(Condition::ItemNotFound.into());
        }
        let wants_restart = named.is_some_and(|named| named.wants_restart);
        let (interval_min, per_minute) = self.restart_bounds();
        let participant = self
            .participants
            .get_mut(from)
            .ok_or(Condition::ItemNotFound)?;
        let is_permitted = wants_restart
            && participant
                .restarts
                .permit(now.mono, interval_min, per_minute);
        participant.has_declined = !is_permitted;
        participant.unanswered = 0;
        tracing::debug!(endpoint = %from, wants_restart, "client ended its session");
        let from = from.clone();
        let end = move |focus: &mut Focus| {
            focus.end_session(&from);
            focus.retract(&from);
        };
        if wants_restart && !is_permitted {
            end(self);
            return Err(rate_limited());
        }
        // The new invitation follows from settling, after the result.
        Ok(Box::new(end))
    }
}

/// The client's half of the transport.
fn remote_transport(jingle: &Jingle) -> Result<RemoteTransport, StanzaError> {
    let incomplete = || bad_request("expected a transport with ufrag, pwd and fingerprint");
    let transport = jingle.complete_transport().ok_or_else(incomplete)?;
    let ice = ice_credentials(transport)?;
    let fingerprint = transport.fingerprint.as_ref().ok_or_else(incomplete)?;
    let candidates = transport.candidates.iter().take(CANDIDATES_MAX);
    Ok(RemoteTransport {
        ice,
        fingerprint: fingerprint.fingerprint.clone(),
        is_active: fingerprint.setup != Setup::Passive,
        candidates: candidates.map(|candidate| candidate.address).collect(),
        initial_last_n: jingle
            .contents
            .iter()
            .find_map(|content| content.initial_last_n),
    })
}

/// The client's ICE credentials.
pub(crate) fn ice_credentials(transport: &Transport) -> Result<IceCredentials, StanzaError> {
    let (Some(ufrag), Some(pwd)) = (&transport.ufrag, &transport.pwd) else {
        return Err(bad_request("expected a transport with ufrag and pwd"));
    };
    if ufrag.len() > ICE_BYTES_MAX || pwd.len() > ICE_BYTES_MAX {
        return Err(bad_request("expected ICE credentials of at most 256 bytes"));
    }
    Ok(IceCredentials {
        ufrag: ufrag.clone(),
        pwd: pwd.clone(),
    })
}

/// The sender's own sources; it may not speak for others.
fn own_sources(from: &EndpointId, jingle: &Jingle) -> Result<EndpointSources, StanzaError> {
    let mut sources = jingle.sources(from.as_str());
    let own = sources.remove(from.as_str()).unwrap_or_default();
    if sources.values().any(|others| !others.is_empty()) {
        return Err(bad_request("expected no sources but the sender's own"));
    }
    Ok(own)
}

fn describe() -> DiscoInfo {
    DiscoInfo::default()
        .with_identity("component", "generic", Some("focus"))
        .with_features([
            ns::DISCO_INFO,
            ns::PING,
            ns::JINGLE,
            ns::JINGLE_RTP,
            ns::JINGLE_RTP_AUDIO,
            ns::JINGLE_RTP_VIDEO,
            ns::JINGLE_ICE,
            ns::JINGLE_DTLS,
            ns::JINGLE_SCTP,
            ns::JSON_SOURCES,
        ])
}

pub(crate) fn nothing() -> Then {
    Box::new(|_| {})
}

pub(crate) fn bad_request(text: &str) -> StanzaError {
    StanzaError::new(Condition::BadRequest).with_text(text)
}

fn unknown_session() -> StanzaError {
    let unknown = Element::bare("unknown-session", ns::JINGLE_ERRORS);
    StanzaError::new(Condition::ItemNotFound).with_extra(unknown)
}

pub(crate) fn out_of_order() -> StanzaError {
    let out_of_order = Element::bare("out-of-order", ns::JINGLE_ERRORS);
    StanzaError::new(Condition::UnexpectedRequest)
        .with_type(ErrorType::Wait)
        .with_extra(out_of_order)
}

const ICE_BYTES_MAX: usize = 256;
pub(crate) const CANDIDATES_MAX: usize = 20;
