//! The Jitsi features around room and focus, one file each.

pub(crate) mod conference_duration;
pub(crate) mod conference_request;
pub(crate) mod meeting_id;
pub(crate) mod password;
pub(crate) mod services;

use std::sync::Arc;

use tertulia_model::{Hosts, Now, SessionProfile};
use tertulia_room::{Candidate, Room};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::{Stanza, StanzaError};

use crate::expected::Expected;

/// What a feature may do at each moment in a conference's life. Called in the order of [`all`].
pub(crate) trait Feature: Send {
    /// Somebody wants to come in.
    fn before_join(&self, _room: &Room, _who: &Candidate) -> Admission {
        Admission::Continue
    }

    /// Somebody has come in.
    fn after_join(&mut self, _now: Now, _room: &Room) {}

    /// A request to the room itself or to a service of the conference.
    fn on_iq(&mut self, _cx: &mut Cx<'_>, _from: &Arc<SessionProfile>, _iq: &Stanza) -> Handled {
        Handled::No
    }

    /// Somebody asks what the room is.
    fn describe(&self, _room: &Room, _info: &mut DiscoInfo) {}
}

/// All features, in the order in which they are asked.
pub(crate) fn all() -> Vec<Box<dyn Feature>> {
    vec![
        Box::new(conference_request::ConferenceRequests),
        Box::new(password::Password),
        Box::new(meeting_id::MeetingId),
        Box::<conference_duration::ConferenceDuration>::default(),
    ]
}

/// What a feature may reach while it handles a request.
pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) hosts: &'a Hosts,
    pub(crate) room: &'a mut Room,
    pub(crate) expected: &'a mut Expected,
}

/// A feature's word on somebody who wants to come in.
pub(crate) enum Admission {
    Continue,
    Refuse(StanzaError),
}

/// Whether a feature has taken care of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    Yes,
    No,
}
