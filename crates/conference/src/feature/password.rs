//! The room's password: who does not know it stays outside.
//!
//! Speaks: muc#roomconfig_roomsecret (set through the owner's form, see `tertulia_room`).

use tertulia_room::{Candidate, Room};
use tertulia_stanza::{Condition, StanzaError};

use super::{Admission, Feature};

pub(crate) struct Password;

impl Feature for Password {
    fn before_join(&self, room: &Room, who: &Candidate) -> Admission {
        let Some(password) = &room.configuration().password else {
            return Admission::Continue;
        };
        if who.password.as_ref() == Some(password) {
            Admission::Continue
        } else {
            Admission::Refuse(StanzaError::new(Condition::NotAuthorized))
        }
    }
}
