//! muc#admin: throwing out, keeping out, giving and taking standing; many items in one request.

use tertulia_model::jid::{BareJid, Jid};
use tertulia_stanza::muc::{Affiliation, Role, status};
use tertulia_stanza::{Condition, Element, Stanza, StanzaError, WithAttribute, ns};

use crate::rights::{Act, may};
use crate::{Occupant, OccupantId, Room};

/// One item of a request, understood and allowed.
enum Change {
    Kick {
        who: OccupantId,
        reason: Option<String>,
    },
    Standing {
        who: BareJid,
        affiliation: Affiliation,
        reason: Option<String>,
    },
}

impl Room {
    /// A request of muc#admin. Either all of its items are carried out or none.
    pub(crate) fn handle_admin_query(
        &mut self,
        sender: Option<OccupantId>,
        iq: &Stanza,
    ) -> Result<Stanza, StanzaError> {
        let query = iq
            .child("query", ns::MUC_ADMIN)
            .ok_or(Condition::BadRequest)?;
        let sender = sender
            .and_then(|id| self.occupants.get(&id))
            .ok_or(Condition::Forbidden)?;
        let items = query
            .children()
            .filter(|child| child.is("item", ns::MUC_ADMIN));
        if iq.is_type("get") {
            let item = items.into_iter().next().ok_or(Condition::BadRequest)?;
            let list = self.list(sender, item)?;
            return Ok(iq.result().with_child(list));
        }
        let changes: Vec<Change> = items
            .map(|item| self.understand(sender, item))
            .collect::<Result<_, _>>()?;
        if changes.is_empty() {
            return Err(Condition::BadRequest.into());
        }
        let granted = changes
            .iter()
            .filter(|change| matches!(change, Change::Standing { .. }));
        if self.affiliations.len() + granted.count() > self.config.affiliations_max {
            return Err(Condition::ResourceConstraint.into());
        }
        let actor = sender.nick.as_str().to_owned();
        for change in changes {
            self.carry_out(change, &actor);
        }
        self.elect_owner();
        Ok(iq.result())
    }

    fn understand(&self, sender: &Occupant, item: &Element) -> Result<Change, Condition> {
        let reason = item.get_child("reason", ns::MUC_ADMIN).map(Element::text);
        let named = item.attr("nick").map(|nick| {
            self.occupant_named(nick)
                .ok_or(if nick == crate::FOCUS_NICK {
                    Condition::NotAllowed
                } else {
                    Condition::ItemNotFound
                })
        });
        let named = named.transpose()?;
        if let Some(affiliation) = item.attr("affiliation") {
            let affiliation = Affiliation::from_name(affiliation).ok_or(Condition::BadRequest)?;
            let who = match (item.attr("jid"), named) {
                (Some(jid), _) => jid
                    .parse::<Jid>()
                    .map_err(|_| Condition::JidMalformed)?
                    .to_bare(),
                (None, Some(occupant)) => occupant.profile.jid.to_bare(),
                (None, None) => return Err(Condition::BadRequest),
            };
            return self.understand_standing(sender, who, affiliation, reason);
        }
        let who = named.ok_or(Condition::BadRequest)?;
        match item.attr("role").and_then(Role::from_name) {
            Some(Role::None) => {}
            // Roles follow affiliations; there is nothing else to set.
            Some(_) => return Err(Condition::FeatureNotImplemented),
            None => return Err(Condition::BadRequest),
        }
        if !may(sender, Act::Kick) {
            return Err(Condition::Forbidden);
        }
        if who.affiliation > sender.affiliation {
            return Err(Condition::NotAllowed);
        }
        Ok(Change::Kick {
            who: who.id,
            reason,
        })
    }

    fn understand_standing(
        &self,
        sender: &Occupant,
        who: BareJid,
        affiliation: Affiliation,
        reason: Option<String>,
    ) -> Result<Change, Condition> {
        if !may(sender, Act::Grant) {
            return Err(Condition::Forbidden);
        }
        let standing = self.standing(&who);
        let is_above = standing > sender.affiliation || affiliation > sender.affiliation;
        if is_above || who == self.focus_jid.to_bare() {
            return Err(Condition::NotAllowed);
        }
        let is_other_owner =
            |o: &Occupant| o.affiliation == Affiliation::Owner && o.profile.jid.to_bare() != who;
        let is_last = sender.profile.jid.to_bare() == who
            && affiliation < Affiliation::Owner
            && !self.occupants.values().any(is_other_owner);
        if is_last && standing == Affiliation::Owner {
            return Err(Condition::Conflict);
        }
        Ok(Change::Standing {
            who,
            affiliation,
            reason,
        })
    }

    fn standing(&self, who: &BareJid) -> Affiliation {
        let inside = self
            .occupants
            .values()
            .find(|o| o.profile.jid.to_bare() == *who);
        let granted = self.affiliations.get(who).copied();
        inside
            .map(|o| o.affiliation)
            .or(granted)
            .unwrap_or(Affiliation::None)
    }

    fn carry_out(&mut self, change: Change, actor: &str) {
        match change {
            Change::Kick { who, reason } => {
                // Whoever is thrown out comes back, if at all, as anybody else.
                if let Some(occupant) = self.occupants.get(&who) {
                    self.affiliations.remove(&occupant.profile.jid.to_bare());
                }
                self.expel(who, status::KICKED, actor, reason);
            }
            Change::Standing {
                who,
                affiliation,
                reason,
            } => {
                if affiliation == Affiliation::None {
                    self.affiliations.remove(&who);
                } else {
                    self.affiliations.insert(who.clone(), affiliation);
                }
                let inside = self
                    .occupants
                    .values()
                    .filter(|o| o.profile.jid.to_bare() == who);
                for id in inside.map(|o| o.id).collect::<Vec<_>>() {
                    if affiliation == Affiliation::Outcast {
                        self.expel(id, status::BANNED, actor, reason.clone());
                    } else {
                        self.set_affiliation(id, affiliation, false);
                    }
                }
            }
        }
    }

    /// A list by affiliation or by role, for those who may change it.
    fn list(&self, sender: &Occupant, item: &Element) -> Result<Element, Condition> {
        if !may(sender, Act::Grant) {
            return Err(Condition::Forbidden);
        }
        let of_occupant = |o: &Occupant| {
            Element::builder("item", ns::MUC_ADMIN)
                .with("affiliation", o.affiliation.as_str())
                .with("role", o.role().as_str())
                .with("jid", o.profile.jid.as_str())
                .with("nick", o.nick.as_str())
                .build()
        };
        let of_absent = |(jid, affiliation): (&BareJid, &Affiliation)| {
            Element::builder("item", ns::MUC_ADMIN)
                .with("affiliation", affiliation.as_str())
                .with("jid", jid.as_str())
                .build()
        };
        let query = Element::builder("query", ns::MUC_ADMIN);
        if let Some(role) = item.attr("role").and_then(Role::from_name) {
            let with_role = self.occupants.values().filter(|o| o.role() == role);
            return Ok(query.append_all(with_role.map(of_occupant)).build());
        }
        let wanted = item.attr("affiliation").and_then(Affiliation::from_name);
        let wanted = wanted.ok_or(Condition::BadRequest)?;
        let inside = self.occupants.values().filter(|o| o.affiliation == wanted);
        let is_inside = |jid: &BareJid| {
            self.occupants
                .values()
                .any(|o| o.profile.jid.to_bare() == *jid)
        };
        let absent = self
            .affiliations
            .iter()
            .filter(|(jid, a)| **a == wanted && !is_inside(jid));
        Ok(query
            .append_all(inside.map(of_occupant))
            .append_all(absent.map(of_absent))
            .build())
    }
}
