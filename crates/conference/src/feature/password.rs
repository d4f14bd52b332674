//! The room's password: who does not know it stays outside.
//!
//! Speaks: muc#roomconfig_roomsecret (set through the owner's form, see `tertulia_room`).

use tertulia_room::{Candidate, Room};
use tertulia_stanza::{Condition, StanzaError};

/// Whether somebody may come in, as far as the password goes.
pub(crate) fn check(room: &Room, who: &Candidate) -> Result<(), StanzaError> {
    let Some(password) = &room.configuration().password else {
        return Ok(());
    };
    if who.password.as_ref() == Some(password) {
        Ok(())
    } else {
        Err(StanzaError::new(Condition::NotAuthorized))
    }
}
