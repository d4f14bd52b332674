use std::collections::BTreeMap;

use tertulia_focus::{Focus, ParticipantState};
use tertulia_model::{EndpointId, SessionId, Source, invariant};
use tertulia_room::Room;

/// Who is in a conference, as its parts see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Occupants of the room by nick, the focus not counted.
    pub occupants: BTreeMap<EndpointId, Seat>,
    /// Participants of the focus and how far they are.
    pub participants: BTreeMap<EndpointId, ParticipantState>,
    /// What those who have accepted send.
    pub sources: BTreeMap<EndpointId, Vec<Source>>,
}

/// The session behind an occupant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub session: SessionId,
    pub is_paused: bool,
}

impl Census {
    pub(crate) fn of(room: &Room, focus: &Focus) -> Census {
        let seat = |o: &tertulia_room::Occupant| {
            let seat = Seat {
                session: o.profile().id,
                is_paused: o.is_paused(),
            };
            (o.nick().clone(), seat)
        };
        let participants: BTreeMap<EndpointId, ParticipantState> = focus
            .participants()
            .map(|(endpoint, state)| (endpoint.clone(), state))
            .collect();
        let sources = participants
            .keys()
            .map(|e| (e.clone(), focus.sources(e).to_vec()));
        Census {
            occupants: room.occupants().map(seat).collect(),
            sources: sources.filter(|(_, sources)| !sources.is_empty()).collect(),
            participants,
        }
    }

    /// One truth about who is inside.
    pub(crate) fn check(&self) -> bool {
        invariant!(
            self.occupants.keys().eq(self.participants.keys()),
            "occupants of the room and participants of the focus are the same"
        )
    }
}
