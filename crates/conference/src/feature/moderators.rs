//! Moderators: who becomes one by coming first, who makes somebody else one, and kicks.
//!
//! Speaks: muc#admin. Standings belong to the whole family of rooms: who moderates the main room
//! moderates the breakout rooms as well.

use tertulia_model::jid::BareJid;
use tertulia_model::{Now, RoomJid};
use tertulia_room::rights::Standing;
use tertulia_room::{AdminChange, Candidate, Occupant, OccupantId};
use tertulia_stanza::muc::{Affiliation, status};
use tertulia_stanza::{Condition, Stanza, StanzaError};

use crate::Conference;
use crate::feature::refused;
use crate::standings::Identity;

impl Conference {
    /// The standing with which somebody comes in. Known before the first presence, so that
    /// clients never see a moderator appear late.
    pub(crate) fn standing_of_newcomer(&self, room: &RoomJid, who: &Candidate) -> Standing {
        if self.is_visit(room, who) {
            return Standing::visitor();
        }
        let granted = self.standings.of(&who.profile, who.device);
        let is_first = *room == self.main
            && self.config.rules.has_auto_owner
            && granted.is_none_or(|granted| granted == Affiliation::Member)
            && self.owners_until.is_none()
            && !self.has_owner();
        let affiliation = match granted {
            _ if is_first => Affiliation::Owner,
            Some(affiliation) => affiliation,
            None if self.config.rules.is_everyone_moderator => Affiliation::Owner,
            None => Affiliation::None,
        };
        let identity = Identity::strongest(&who.profile, who.device);
        let hall = self.halls.get(room);
        hall.map_or(Standing::of(affiliation), |hall| {
            hall.standing(affiliation, &identity)
        })
    }

    /// Whether somebody who moderates is anywhere in the meeting, connected or not, or on the way
    /// from one of its rooms to another.
    fn has_owner(&self) -> bool {
        if self.breakouts.is_owner_under_way() {
            return true;
        }
        let mut occupants = self.halls.values().flat_map(|hall| hall.room.occupants());
        occupants.any(|o| o.affiliation() == Affiliation::Owner)
    }

    /// Makes an owner if the meeting has none: the first of those with a socket, in the main room
    /// if there is anybody. Who was put back by others comes after all others. While nobody has a
    /// socket, or owners of before a crash may still come back, the election waits.
    pub(crate) fn elect_owner(&mut self, now: Now) {
        if self.owners_until.is_some_and(|until| until <= now.mono) {
            self.owners_until = None;
        }
        if !self.config.rules.has_auto_owner || self.owners_until.is_some() || self.has_owner() {
            return;
        }
        let main = &self.main;
        let mut candidates: Vec<(bool, bool, OccupantId, RoomJid)> = Vec::new();
        for (jid, hall) in &self.halls {
            for o in hall.room.occupants() {
                if o.is_paused() || o.is_hidden() {
                    continue;
                }
                let standing = self.standings.of(o.profile(), o.device());
                let was_put_back = standing == Some(Affiliation::None);
                candidates.push((was_put_back, jid != main, o.id(), jid.clone()));
            }
        }
        if let Some((_, _, id, room)) = candidates.into_iter().min() {
            self.give(&room, id, Affiliation::Owner);
        }
    }

    /// Gives an occupant a standing, and all its other selves in the meeting the same.
    pub(crate) fn give(&mut self, room: &RoomJid, id: OccupantId, affiliation: Affiliation) {
        let occupant = self.halls.get(room).and_then(|hall| hall.room.occupant(id));
        let Some(occupant) = occupant else { return };
        let who = occupant.profile().jid.to_bare();
        let identities = Identity::all_of(occupant.profile(), occupant.device());
        self.standings
            .note(&mut self.journal, identities, affiliation);
        self.apply(&who, affiliation);
    }

    fn apply(&mut self, who: &BareJid, affiliation: Affiliation) {
        for hall in self.halls.values_mut() {
            let inside = hall.room.occupants();
            let inside = inside.filter(|o| o.profile().jid.to_bare() == *who);
            let inside: Vec<(OccupantId, Standing)> = inside
                .map(|o| (o.id(), hall.standing(affiliation, &Identity::of(o))))
                .collect();
            for (id, standing) in inside {
                hall.room.set_standing(id, standing);
            }
        }
    }

    /// The owner whom nobody granted anything is one because the meeting had none: that is kept
    /// as well.
    pub(crate) fn keep_standing(&mut self, room: &RoomJid, id: OccupantId) {
        let occupant = self.halls.get(room).and_then(|hall| hall.room.occupant(id));
        let Some(occupant) = occupant.filter(|o| o.affiliation() > Affiliation::None) else {
            return;
        };
        let affiliation = occupant.affiliation();
        let identities = Identity::all_of(occupant.profile(), occupant.device());
        self.standings
            .note(&mut self.journal, identities, affiliation);
    }

    /// A request of muc#admin whose author may do such things. All of it is done, or nothing.
    pub(crate) fn administer(
        &mut self,
        now: Now,
        room: &RoomJid,
        from: OccupantId,
        iq: &Stanza,
        changes: Vec<AdminChange>,
    ) {
        let Some(hall) = self.halls.get(room) else {
            return;
        };
        let Some(sender) = hall.room.occupant(from) else {
            return;
        };
        let (session, actor) = (sender.profile().id, sender.nick().as_str().to_owned());
        let reply = match self.may_change(sender, &changes) {
            Ok(()) => iq.result(),
            Err(error) => iq.error(error),
        };
        if reply.is_type("result") {
            for change in changes {
                self.change(room, change, &actor);
            }
            self.elect_owner(now);
        }
        if let Some(hall) = self.halls.get_mut(room) {
            hall.room.answer(session, reply);
        }
    }

    fn may_change(&self, sender: &Occupant, changes: &[AdminChange]) -> Result<(), StanzaError> {
        let mut grants = 0;
        for change in changes {
            let AdminChange::Affiliation {
                who, affiliation, ..
            } = change
            else {
                continue;
            };
            grants += 2;
            let current = self.affiliation_of(who);
            let is_above = current > sender.affiliation() || *affiliation > sender.affiliation();
            if is_above || *who == self.config.hosts.focus_user() {
                return Err(Condition::NotAllowed.into());
            }
            let is_oneself = sender.profile().jid.to_bare() == *who;
            let steps_down = current == Affiliation::Owner && *affiliation < Affiliation::Owner;
            if is_oneself && steps_down && !self.has_other_owner(who) {
                let text = "the meeting would have no owner";
                return Err(refused(Condition::Conflict, text));
            }
        }
        if !self.standings.has_room_for(grants) {
            let text = "too many affiliations in this meeting";
            return Err(refused(Condition::ResourceConstraint, text));
        }
        Ok(())
    }

    fn has_other_owner(&self, than: &BareJid) -> bool {
        let mut occupants = self.halls.values().flat_map(|hall| hall.room.occupants());
        occupants
            .any(|o| o.affiliation() == Affiliation::Owner && o.profile().jid.to_bare() != *than)
    }

    /// The affiliation of somebody inside or outside.
    pub(crate) fn affiliation_of(&self, who: &BareJid) -> Affiliation {
        let mut occupants = self.halls.values().flat_map(|hall| hall.room.occupants());
        let inside = occupants.find(|o| o.profile().jid.to_bare() == *who);
        inside
            .map(Occupant::affiliation)
            .or_else(|| self.standings.of_absent(who))
            .unwrap_or(Affiliation::None)
    }

    fn change(&mut self, room: &RoomJid, change: AdminChange, actor: &str) {
        match change {
            AdminChange::Kick { who, reason } => {
                let hall = self.halls.get(room);
                // Whoever is thrown out comes back, if at all, as anybody else.
                if let Some(occupant) = hall.and_then(|hall| hall.room.occupant(who)) {
                    let identities = Identity::all_of(occupant.profile(), occupant.device());
                    let strongest = Identity::of(occupant);
                    self.standings.forget(&mut self.journal, identities);
                    for hall in self.halls.values_mut() {
                        hall.forget_approvals(&mut self.journal, &strongest);
                    }
                }
                let Some(hall) = self.halls.get_mut(room) else {
                    return;
                };
                hall.room.expel(who, status::KICKED, actor, reason);
            }
            AdminChange::Affiliation {
                who,
                affiliation,
                reason,
            } => self.set_affiliation(&who, affiliation, actor, reason),
        }
    }

    /// Gives somebody a standing, inside or outside; an outcast is thrown out.
    pub(crate) fn set_affiliation(
        &mut self,
        who: &BareJid,
        affiliation: Affiliation,
        actor: &str,
        reason: Option<String>,
    ) {
        let mut identities = Vec::new();
        for o in self.halls.values().flat_map(|hall| hall.room.occupants()) {
            if o.profile().jid.to_bare() == *who {
                identities.extend(Identity::all_of(o.profile(), o.device()));
            }
        }
        if identities.is_empty() {
            identities.push(Identity::Guest(who.clone()));
        }
        self.standings
            .grant(&mut self.journal, identities, affiliation);
        if affiliation != Affiliation::Outcast {
            return self.apply(who, affiliation);
        }
        for hall in self.halls.values_mut() {
            let inside: Vec<OccupantId> = hall
                .room
                .occupants()
                .filter(|o| o.profile().jid.to_bare() == *who)
                .map(Occupant::id)
                .collect();
            for id in inside {
                hall.room.expel(id, status::BANNED, actor, reason.clone());
            }
        }
    }
}
