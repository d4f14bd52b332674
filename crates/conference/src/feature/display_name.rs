//! Nobody comes in without a name, where the administrator wants it so.
//!
//! Speaks: the error `displayname-required`, on which Jitsi's client asks its user.

use tertulia_room::Candidate;
use tertulia_stanza::{Condition, Element, StanzaError, ns};

use crate::Rules;

/// Whether somebody may come in, as far as the name goes.
pub(crate) fn check(rules: &Rules, who: &Candidate) -> Result<(), StanzaError> {
    if !rules.is_display_name_required || who.display_name.is_some() {
        return Ok(());
    }
    let required = Element::bare("displayname-required", ns::JITSI_MEET);
    Err(StanzaError::new(Condition::NotAcceptable).with_extra(required))
}
