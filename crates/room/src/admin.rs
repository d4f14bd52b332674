//! muc#admin: throwing out, keeping out, giving and taking standing; many items in one request.
//!
//! The room reads the request and checks what its author may do at all. Whose standing is what
//! outlives the room's occupants, so its owner carries the changes out.

use tertulia_model::SessionId;
use tertulia_model::jid::{BareJid, Jid};
use tertulia_stanza::muc::{Affiliation, Role};
use tertulia_stanza::{Condition, Element, Stanza, StanzaError, WithAttribute, ns};

use crate::rights::{Act, may};
use crate::{Occupant, OccupantId, Output, Room};

/// One item of a request of muc#admin, understood; its author may do such a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminChange {
    /// Throws somebody out.
    Kick {
        who: OccupantId,
        reason: Option<String>,
    },
    /// Gives somebody another affiliation, whether inside or not.
    Affiliation {
        who: BareJid,
        affiliation: Affiliation,
        reason: Option<String>,
    },
}

impl Room {
    /// A request of muc#admin. None where the owner of the room answers it.
    pub(crate) fn handle_admin_query(
        &mut self,
        sender: Option<OccupantId>,
        iq: &Stanza,
    ) -> Result<Option<Stanza>, StanzaError> {
        let query = iq
            .child("query", ns::MUC_ADMIN)
            .ok_or(Condition::BadRequest)?;
        let sender = sender
            .and_then(|id| self.occupants.get(&id))
            .ok_or(Condition::Forbidden)?;
        let mut items = query
            .children()
            .filter(|child| child.is("item", ns::MUC_ADMIN));
        if iq.is_type("get") {
            let item = items.next().ok_or(Condition::BadRequest)?;
            return self.list(sender.profile.id, sender.id, item, iq);
        }
        let changes: Vec<AdminChange> = items
            .map(|item| self.understand(sender, item))
            .collect::<Result<_, _>>()?;
        if changes.is_empty() {
            return Err(Condition::BadRequest.into());
        }
        let from = sender.id;
        self.outputs.push_back(Output::Admin {
            from,
            iq: iq.clone(),
            changes,
        });
        Ok(None)
    }

    fn understand(&self, sender: &Occupant, item: &Element) -> Result<AdminChange, StanzaError> {
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
            let affiliation = Affiliation::from_name(affiliation).ok_or_else(|| {
                StanzaError::new(Condition::BadRequest).with_text("no such affiliation")
            })?;
            let who = match (item.attr("jid"), named) {
                (Some(jid), _) => jid
                    .parse::<Jid>()
                    .map_err(|_| Condition::JidMalformed)?
                    .to_bare(),
                (None, Some(occupant)) => occupant.profile.jid.to_bare(),
                (None, None) => return Err(Condition::BadRequest.into()),
            };
            // Letting somebody in is less than giving rights: members only pass the lobby.
            let act = match affiliation {
                Affiliation::Member => Act::Admit,
                _ => Act::Grant,
            };
            if !may(sender, act) {
                return Err(Condition::Forbidden.into());
            }
            return Ok(AdminChange::Affiliation {
                who,
                affiliation,
                reason,
            });
        }
        let who = named.ok_or(Condition::BadRequest)?;
        match item.attr("role").and_then(Role::from_name) {
            Some(Role::None) => {}
            // Roles follow affiliations; there is nothing else to set.
            Some(_) => return Err(Condition::FeatureNotImplemented.into()),
            None => return Err(Condition::BadRequest.into()),
        }
        if !may(sender, Act::Kick) {
            return Err(Condition::Forbidden.into());
        }
        if who.affiliation() > sender.affiliation() {
            return Err(Condition::NotAllowed.into());
        }
        Ok(AdminChange::Kick {
            who: who.id,
            reason,
        })
    }

    /// A list by affiliation or by role, for those who may change it.
    fn list(
        &mut self,
        to: SessionId,
        sender: OccupantId,
        item: &Element,
        iq: &Stanza,
    ) -> Result<Option<Stanza>, StanzaError> {
        let may_see = self
            .occupants
            .get(&sender)
            .is_some_and(|o| may(o, Act::Grant));
        if !may_see {
            return Err(Condition::Forbidden.into());
        }
        if let Some(role) = item.attr("role").and_then(Role::from_name) {
            let with_role = self.occupants.values().filter(|o| o.role() == role);
            let query = Element::builder("query", ns::MUC_ADMIN);
            let query = query.append_all(with_role.map(admin_item)).build();
            return Ok(Some(iq.result().with_child(query)));
        }
        let affiliation = item.attr("affiliation").and_then(Affiliation::from_name);
        let affiliation = affiliation.ok_or(Condition::BadRequest)?;
        self.outputs.push_back(Output::ListAffiliation {
            to,
            iq: iq.clone(),
            affiliation,
        });
        Ok(None)
    }

    /// Answers [`Output::ListAffiliation`]; `absent` are those who are not inside.
    pub fn answer_affiliation_list(
        &mut self,
        to: SessionId,
        iq: &Stanza,
        affiliation: Affiliation,
        absent: impl Iterator<Item = BareJid>,
    ) {
        let is_inside = |jid: &BareJid| {
            let mut occupants = self.occupants.values();
            occupants.any(|o| o.profile.jid.to_bare() == *jid)
        };
        let absent = absent.filter(|jid| !is_inside(jid)).map(|jid| {
            Element::builder("item", ns::MUC_ADMIN)
                .with("affiliation", affiliation.as_str())
                .with("jid", jid.as_str())
                .build()
        });
        let inside = self
            .occupants
            .values()
            .filter(|o| o.affiliation() == affiliation);
        let query = Element::builder("query", ns::MUC_ADMIN)
            .append_all(inside.map(admin_item))
            .append_all(absent)
            .build();
        let list = iq.result().with_child(query);
        self.answer(to, list);
    }
}

fn admin_item(o: &Occupant) -> Element {
    Element::builder("item", ns::MUC_ADMIN)
        .with("affiliation", o.affiliation().as_str())
        .with("role", o.role().as_str())
        .with("jid", o.profile.jid.as_str())
        .with("nick", o.nick.as_str())
        .build()
}
