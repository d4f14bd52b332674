//! Coming into a room of the meeting: with which standing, or why not.
//!
//! What the room itself has against it (nick, number of occupants) is `tertulia_room`'s business.

use tertulia_model::{Now, RoomJid};
use tertulia_room::Candidate;
use tertulia_stanza::muc::Affiliation;
use tertulia_stanza::{Condition, Stanza, StanzaError};

use crate::standings::Identity;
use crate::{Conference, feature};

impl Conference {
    /// Somebody wants to come in, and its turn has come.
    pub(crate) fn handle_join(
        &mut self,
        now: Now,
        room: &RoomJid,
        mut candidate: Candidate,
        stanza: &Stanza,
    ) {
        let session = candidate.profile.id;
        self.standings.meet(&candidate.profile);
        let device = self
            .expected
            .device(session, candidate.machine_uid.as_deref());
        candidate.device = device.or(candidate.device);
        self.succeed(now, room, &candidate);
        let granted = self.standings.of(&candidate.profile, candidate.device);
        let granted = granted.unwrap_or(Affiliation::None);
        let admission = self.admit(now, room, &mut candidate, granted);
        if let Ok(Affiliation::Member) = admission
            && granted == Affiliation::None
        {
            let identities = Identity::all_of(&candidate.profile, candidate.device);
            self.standings
                .note(&mut self.journal, identities, Affiliation::Member);
        }
        let standing = self.standing_of_newcomer(room, &candidate);
        let Some(hall) = self.halls.get_mut(room) else {
            return;
        };
        if let Err(error) = admission {
            return hall.room.refuse(&candidate, stanza, error);
        }
        let services = feature::services::json(&self.config, now, &candidate.profile);
        if hall.room.join(candidate, standing, stanza) {
            // Before the room's own words: the client is to know it when it is inside.
            let metadata = hall.metadata_for_newcomer(&self.config, &standing, services);
            self.answer(session, metadata);
        }
    }

    /// Whether somebody may come in: all reasons against it, in the order in which they count
    /// (rooms-and-focus 8.6). Nick and number of occupants are the room's own. `granted` is what
    /// people gave them, not an election; the affiliation that comes back may be more.
    fn admit(
        &mut self,
        now: Now,
        room: &RoomJid,
        who: &mut Candidate,
        granted: Affiliation,
    ) -> Result<Affiliation, StanzaError> {
        if granted == Affiliation::Outcast {
            return Err(Condition::Forbidden.into());
        }
        feature::display_name::check(&self.config.rules, who)?;
        let judged = self.judge_password(now, room, who);
        let granted = self.check_lobby(room, who, granted)?;
        self.check_nick_in_family(room, who)?;
        let Some(hall) = self.halls.get(room) else {
            return Err(Condition::ItemNotFound.into());
        };
        // Members know the password, or need not know it.
        if granted < Affiliation::Member {
            feature::password::check(&hall.room, who, judged)?;
        }
        Ok(granted)
    }
}
