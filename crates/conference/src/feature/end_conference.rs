//! "End meeting for all".
//!
//! Speaks: `<end_conference/>` to the service `endconference.`, see rooms-and-focus in Jitsi's
//! `mod_end_conference`. Everybody in all rooms of the meeting is told, and nothing of it is kept.

use tertulia_model::{Now, RoomJid};
use tertulia_room::OccupantId;
use tertulia_room::rights::{Act, may};
use tertulia_stanza::{Condition, Stanza, StanzaError};

use crate::Conference;
use crate::feature::{refused, switched_off};

impl Conference {
    /// A message to the service from somebody inside.
    pub(crate) fn end_by_request(
        &mut self,
        now: Now,
        room: &RoomJid,
        who: OccupantId,
        message: &Stanza,
    ) -> Result<(), StanzaError> {
        if !self.config.rules.has_end_conference {
            return Err(switched_off("end for all"));
        }
        let is_asked = message
            .children()
            .iter()
            .any(|child| child.name() == "end_conference");
        if !is_asked {
            return Err(refused(Condition::BadRequest, "expected end_conference"));
        }
        let who = self
            .halls
            .get(room)
            .and_then(|hall| hall.room.occupant(who));
        if !who.is_some_and(|who| may(who, Act::End)) {
            return Err(Condition::Forbidden.into());
        }
        self.end(now, "The meeting has been terminated");
        Ok(())
    }
}
