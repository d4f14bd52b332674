//! Muting somebody else, and asking for one's own microphone back.
//!
//! Speaks: `<mute/>` iqs to the focus and from it (Jicofo). A moderator's mute is a request that
//! the client may undo at once; what it may not undo the bridge drops (see `av_moderation`).

use tertulia_model::jid::Jid;
use tertulia_room::rights::{Act, may};
use tertulia_room::{Occupant, OccupantId};
use tertulia_stanza::mute::MuteRequest;
use tertulia_stanza::{Condition, Stanza, StanzaError};

use crate::feature::{av_moderation, refused};
use crate::hall::Hall;

impl Hall {
    /// An iq to the focus; false if it is about something else.
    pub(crate) fn handle_mute(&mut self, from: OccupantId, iq: &Stanza) -> bool {
        if !iq.is_type("set") {
            return false;
        }
        let Some(request) = MuteRequest::parse(iq) else {
            return false;
        };
        let request = request.map_err(|error| refused(Condition::BadRequest, &error.to_string()));
        match request.and_then(|request| self.may_mute(from, &request).map(|()| request)) {
            Ok(request) => {
                // COMPAT(lib-jitsi-meet): first the asker hears that it is done.
                self.room.send_from_focus(from, iq.result());
                self.tell_muted(from, &request);
            }
            Err(error) => {
                tracing::debug!(condition = %error.condition, "mute refused");
                self.room.send_from_focus(from, iq.error(error));
            }
        }
        true
    }

    fn may_mute(&self, from: OccupantId, request: &MuteRequest) -> Result<(), StanzaError> {
        let asker = self.room.occupant(from).ok_or(Condition::NotAcceptable)?;
        let target = self.occupant_at(request.target.as_str(), "jid")?;
        let not_allowed = |text| Err(refused(Condition::NotAllowed, text));
        if target.id() == from {
            let may_send = may(asker, av_moderation::act(request.media));
            return if request.is_muted || may_send {
                Ok(())
            } else {
                not_allowed("a moderator has to approve that first")
            };
        }
        if !may(asker, Act::MuteOthers) {
            return not_allowed("only moderators mute others");
        }
        if !request.is_muted {
            return not_allowed("nobody unmutes somebody else");
        }
        if target.is_hidden() {
            return not_allowed("visitors send nothing");
        }
        Ok(())
    }

    fn tell_muted(&mut self, from: OccupantId, request: &MuteRequest) {
        let target = self.occupant_at(request.target.as_str(), "jid").ok();
        let target = target.filter(|target| target.id() != from);
        let actor = self.room.occupant(from).map(|actor| actor.jid().clone());
        if let Some(nick) = target.map(|target| target.nick().clone()) {
            self.focus.mute(&nick, request.media, actor.as_ref());
        }
    }

    /// The occupant with that address in this room; `field` is where it was said.
    pub(crate) fn occupant_at(&self, jid: &str, field: &str) -> Result<&Occupant, StanzaError> {
        let jid: Jid = jid
            .parse()
            .map_err(|_| refused(Condition::JidMalformed, field))?;
        let nick = jid
            .resource()
            .filter(|_| jid.to_bare() == *self.jid().bare());
        let occupant = nick.and_then(|nick| self.room.occupant_named(nick.as_str()));
        occupant.ok_or_else(|| {
            let text = format!("nobody in this room: {field}");
            refused(Condition::ItemNotFound, &text)
        })
    }
}
