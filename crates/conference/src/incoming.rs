//! Stanzas to the meeting's rooms and services: whose business they are.
//!
//! Does not know: what a room or a feature makes of them.

use std::sync::Arc;

use tertulia_model::jid::Jid;
use tertulia_model::{Host, Now, RoomJid, Service, SessionId, SessionProfile};
use tertulia_stanza::{Condition, Kind, Stanza, StanzaError};

use crate::feature::refused;
use crate::hall::Cx;
use crate::{Conference, refuse_breakout, refuse_missing, route};

impl Conference {
    /// A stanza to a room or to one of its occupants.
    pub(crate) fn handle_room_stanza(
        &mut self,
        now: Now,
        from: &Arc<SessionProfile>,
        stanza: Stanza,
    ) {
        let to = stanza.to.clone().map(Jid::into_bare);
        let Some(room) = to.and_then(|to| route::room(&self.config.hosts, to)) else {
            return;
        };
        if self.handle_invitation(from, &room, &stanza)
            || self.handle_promotion(now, from, &room, &stanza)
        {
            return;
        }
        let wants_in = stanza.kind == Kind::Presence && stanza.type_.is_none();
        if wants_in && !self.halls.contains_key(&room) {
            self.open_breakout_room(now, &room);
        }
        let Some(hall) = self.halls.get_mut(&room) else {
            return self.send_away(from.id, &room, &stanza);
        };
        match hall.room.candidate(from, &stanza) {
            Some(candidate) => self.queue_join(now, &room, candidate, &stanza),
            None => {
                if stanza.kind == Kind::Presence && stanza.is_type("unavailable") {
                    self.joins.give_up(from.id);
                }
                hall.room.handle_stanza(now, from, stanza);
            }
        }
    }

    /// Refuses a stanza to a room that is not there.
    pub(crate) fn send_away(&mut self, session: SessionId, room: &RoomJid, stanza: &Stanza) {
        let refusal = match self.config.hosts.classify(room.bare().domain()) {
            Some(Host::Breakout) => refuse_breakout(stanza),
            _ => refuse_missing(stanza),
        };
        if let Some(refusal) = refusal {
            self.answer(session, refusal);
        }
    }

    /// A stanza to a service of the meeting: its author must be inside.
    pub(crate) fn handle_service_stanza(
        &mut self,
        now: Now,
        host: Host,
        from: &Arc<SessionProfile>,
        stanza: &Stanza,
    ) {
        let result = self.try_service_stanza(now, host, from, stanza);
        if let Err(error) = result {
            tracing::debug!(?host, condition = %error.condition, "refused");
            if stanza.may_be_refused() {
                self.answer(from.id, stanza.error(error));
            }
        }
    }

    fn try_service_stanza(
        &mut self,
        now: Now,
        host: Host,
        from: &Arc<SessionProfile>,
        stanza: &Stanza,
    ) -> Result<(), StanzaError> {
        if stanza.kind != Kind::Message {
            return Err(Condition::ServiceUnavailable.into());
        }
        let room = self
            .hall_of(from.id)
            .ok_or_else(|| refused(Condition::Forbidden, "only for those inside the meeting"))?;
        let hall = self.halls.get_mut(&room).ok_or(Condition::ItemNotFound)?;
        let who = hall.room.occupant_of(from.id).map(|o| o.id());
        let who = who.ok_or(Condition::ItemNotFound)?;
        let mut cx = Cx::new(now, &self.config, &mut self.journal);
        match host {
            Host::Service(Service::AvModeration) => hall.handle_av_moderation(&mut cx, who, stanza),
            Host::Service(Service::FileSharing) => hall.handle_file_sharing(&mut cx, who, stanza),
            Host::Service(Service::Metadata) => hall.handle_metadata(&mut cx, who, stanza),
            Host::Service(Service::Polls) => hall.handle_poll(&mut cx, who, stanza),
            Host::Service(Service::SpeakerStats) => hall.handle_speaker_stats(&mut cx, who, stanza),
            Host::Service(Service::EndConference) => self.end_by_request(now, &room, who, stanza),
            Host::Breakout => self.handle_breakout_command(now, &room, who, stanza),
            _ => Err(Condition::ServiceUnavailable.into()),
        }
    }
}
