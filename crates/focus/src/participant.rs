use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tertulia_model::{AllocationId, EndpointId, MayForward, SessionProfile};
use tertulia_stanza::mute::StartMuted;
use tertulia_stanza::source_info::Sending;

use crate::features::Features;
use crate::restart::{IceRestarts, RestartLimit};
use crate::sources::Announced;

/// An occupant as the focus sees it.
pub(crate) struct Participant {
    pub(crate) profile: Arc<SessionProfile>,
    pub(crate) features: FeaturesKnown,
    pub(crate) session: Option<JingleSession>,
    pub(crate) is_paused: bool,
    pub(crate) may_forward: MayForward,
    /// It only receives.
    pub(crate) is_visitor: bool,
    /// A visitor accepted with sources that were not taken up.
    pub(crate) has_ignored_sources: bool,
    /// What it sends, by its own account.
    pub(crate) sending: Sending,
    /// What it is to leave off at first, by the rules when it came.
    pub(crate) start_muted: StartMuted,
    /// It has accepted a session since it joined.
    pub(crate) has_come_in: bool,
    /// It ended its session itself and is not invited again while the meeting goes on.
    pub(crate) has_declined: bool,
    pub(crate) restarts: RestartLimit,
    pub(crate) ice_restarts: RestartLimit,
    /// Ids of its last sessions that are over.
    ended: VecDeque<String>,
    /// Invitations in a row that were not answered by a session-accept.
    pub(crate) unanswered: u32,
    /// Transports in a row that never came up.
    pub(crate) failures: u32,
}

/// What is known of a client's abilities.
pub(crate) enum FeaturesKnown {
    /// Asked, by the iq of that id; no answer yet.
    Asked(String),
    /// Silent for too long. The answer to that iq is still welcome.
    Assumed(String),
    Told(Features),
}

/// Sources of others by their owners.
pub(crate) type Signalled = BTreeMap<EndpointId, Arc<[Announced]>>;

/// One negotiation between focus and participant.
pub(crate) struct JingleSession {
    pub(crate) sid: String,
    /// By which the client names the transport when it asks for a new one.
    pub(crate) bridge_session: String,
    pub(crate) allocation: AllocationId,
    /// What it was made with; a client that says more later keeps it.
    pub(crate) features: Features,
    pub(crate) state: SessionState,
    /// What of the others' sources the client has been told and not been untold.
    pub(crate) signalled: Signalled,
    /// Media and consent arrive at the bridge.
    pub(crate) is_active: bool,
    pub(crate) ice: IceRestarts,
}

/// How far a Jingle session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// The bridge has been asked for a transport.
    Allocating,
    /// session-initiate is out, as the iq of that id.
    Invited(String),
    /// session-accept is in.
    Accepted,
}

impl Participant {
    pub(crate) fn new(
        profile: Arc<SessionProfile>,
        query: String,
        start_muted: StartMuted,
    ) -> Participant {
        Participant {
            profile,
            features: FeaturesKnown::Asked(query),
            session: None,
            is_paused: false,
            may_forward: MayForward::ALL,
            is_visitor: false,
            has_ignored_sources: false,
            sending: Sending::default(),
            start_muted,
            has_come_in: false,
            has_declined: false,
            restarts: RestartLimit::default(),
            ice_restarts: RestartLimit::default(),
            ended: VecDeque::new(),
            unanswered: 0,
            failures: 0,
        }
    }

    /// What it can do, as soon as that can be said.
    pub(crate) fn features(&self) -> Option<Features> {
        match self.features {
            FeaturesKnown::Asked(_) => None,
            FeaturesKnown::Assumed(_) => Some(Features::LEAST),
            FeaturesKnown::Told(features) => Some(features),
        }
    }

    /// Whether it takes part in the meeting's media, as far as is known.
    pub(crate) fn has_media(&self) -> bool {
        self.features().is_none_or(Features::has_media)
    }

    /// Whether it expects rewriting that it does not get, for all that is known.
    ///
    /// COMPAT(lib-jitsi-meet): such a client only clears the owner of a source when somebody
    /// leaves; without a source-remove dead media lines pile up.
    pub(crate) fn misses_rewriting(&self) -> bool {
        let expects = match &self.features {
            FeaturesKnown::Asked(_) => false,
            FeaturesKnown::Assumed(_) => true,
            FeaturesKnown::Told(features) => features.has_ssrc_rewriting,
        };
        let session = self.session.as_ref();
        expects && session.is_some_and(|session| !session.features.has_ssrc_rewriting)
    }

    /// Ends the session, if there is one, and remembers its id.
    pub(crate) fn take_session(&mut self) -> Option<JingleSession> {
        let session = self.session.take()?;
        self.ended.push_back(session.sid.clone());
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
        Some(session)
    }

    /// Whether that session was one of its last.
    pub(crate) fn had(&self, sid: &str) -> bool {
        self.ended.iter().any(|ended| ended == sid)
    }

    /// The session, if session-initiate is out and it has that id.
    pub(crate) fn session_by_sid(&mut self, sid: &str) -> Option<&mut JingleSession> {
        self.session
            .as_mut()
            .filter(|session| session.sid == sid && session.state != SessionState::Allocating)
    }
}

const ENDED_MAX: usize = 8;
