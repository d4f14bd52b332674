use std::collections::BTreeMap;

use tertulia_focus::ParticipantState;
use tertulia_model::{ConferenceId, EndpointId, RoomJid, SessionId, Source, invariant};

use crate::feature::lobby::Lobby;
use crate::hall::Hall;

/// Who is in a conference, as its parts see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The rooms with anybody in them.
    pub rooms: BTreeMap<RoomJid, RoomCensus>,
    /// Who waits in the lobby, by nick there.
    pub waiting: BTreeMap<String, SessionId>,
}

/// Who is in one room of a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomCensus {
    /// The room's id on the bridge.
    pub id: ConferenceId,
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
    pub(crate) fn of(halls: &BTreeMap<RoomJid, Hall>, lobby: &Lobby) -> Census {
        let rooms = halls.iter().filter(|(_, hall)| !hall.is_empty());
        Census {
            rooms: rooms
                .map(|(jid, hall)| (jid.clone(), RoomCensus::of(hall)))
                .collect(),
            waiting: lobby
                .waiting()
                .map(|(nick, profile)| (nick.to_owned(), profile.id))
                .collect(),
        }
    }

    /// The nicks of everybody in any room.
    pub fn nicks(&self) -> Vec<&EndpointId> {
        let rooms = self.rooms.values();
        rooms.flat_map(|room| room.occupants.keys()).collect()
    }

    /// One truth about who is inside.
    pub(crate) fn check(&self) -> bool {
        let agrees = |room: &RoomCensus| room.occupants.keys().eq(room.participants.keys());
        invariant!(
            self.rooms.values().all(agrees),
            "occupants of a room and participants of its focus are the same"
        ) && self.check_seats()
    }

    fn check_seats(&self) -> bool {
        let seats = self.rooms.values().flat_map(|room| room.occupants.values());
        let mut sessions: Vec<SessionId> = seats.map(|seat| seat.session).collect();
        let count = sessions.len();
        sessions.sort();
        sessions.dedup();
        invariant!(sessions.len() == count, "a session is in one room at most")
    }
}

impl RoomCensus {
    fn of(hall: &Hall) -> RoomCensus {
        let seat = |o: &tertulia_room::Occupant| {
            let seat = Seat {
                session: o.profile().id,
                is_paused: o.is_paused(),
            };
            (o.nick().clone(), seat)
        };
        let participants: BTreeMap<EndpointId, ParticipantState> = hall
            .focus
            .participants()
            .map(|(endpoint, state)| (endpoint.clone(), state))
            .collect();
        let sources = participants
            .keys()
            .map(|e| (e.clone(), hall.focus.sources(e).to_vec()));
        RoomCensus {
            id: hall.id().clone(),
            occupants: hall.room.occupants().map(seat).collect(),
            sources: sources.filter(|(_, sources)| !sources.is_empty()).collect(),
            participants,
        }
    }
}
