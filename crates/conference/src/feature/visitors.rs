//! Visitors: people who watch and listen, of whom the others only know how many there are.
//!
//! Speaks: the property `visitor` of the conference request, the role `visitor`, requests and
//! answers of promotion as JSON (Jitsi's `mod_visitors_component`). There is one node: a visitor is
//! in the same room as everybody, hidden, and becomes a participant in place.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tertulia_model::jid::Jid;
use tertulia_model::{EndpointId, Host, Now, RoomJid, Service, SessionProfile};
use tertulia_room::rights::{Act, may};
use tertulia_room::{Candidate, OccupantId};
use tertulia_stanza::json_message::json_message;
use tertulia_stanza::muc::Affiliation;
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, WithAttribute, ns};

use crate::Conference;
use crate::feature::refused;
use crate::journal::Journal;
use crate::standings::Identity;

/// Who came to look and was asked to take part, and who wants to.
#[derive(Default)]
pub(crate) struct Visitors {
    promoted: BTreeSet<Identity>,
    /// Visitors with a raised hand.
    asking: BTreeSet<EndpointId>,
}

impl Visitors {
    /// Those of a meeting that was cut off.
    pub(crate) fn restored(journal: &Journal) -> Visitors {
        let promoted = journal
            .under(PREFIX)
            .filter_map(|(key, _)| key.parse().ok());
        Visitors {
            promoted: promoted.filter(Identity::outlives_session).collect(),
            asking: BTreeSet::new(),
        }
    }

    pub(crate) fn left(&mut self, who: &EndpointId) {
        self.asking.remove(who);
    }

    /// Nobody comes under that name any more.
    pub(crate) fn forget(&mut self, who: &Identity) {
        self.promoted.remove(who);
    }
}

impl Conference {
    /// Whether somebody comes to look only: because they say so, or because the meeting has
    /// enough participants. Never those to whom people gave a standing.
    pub(crate) fn is_visit(&self, room: &RoomJid, who: &Candidate) -> bool {
        let rules = &self.config.rules;
        if !rules.has_visitors || *room != self.main || self.lobby.is_open() {
            return false;
        }
        let identities = Identity::all_of(&who.profile, who.device);
        let granted = self.standings.of(&who.profile, who.device);
        let is_known = granted.is_some_and(|granted| granted > Affiliation::None)
            || identities
                .iter()
                .any(|i| self.visitors.promoted.contains(i));
        if is_known {
            return false;
        }
        let occupants = self.main_hall().room.occupants();
        let participants = occupants.filter(|o| !o.is_hidden()).count();
        let is_full = rules.visitors_after.is_some_and(|max| participants >= max);
        is_full || self.expected.is_visitor(who.profile.id, who.device)
    }

    /// A visitor shows something else of itself: maybe a raised hand, which only moderators see.
    pub(crate) fn visitor_changed(&mut self, room: &RoomJid, id: OccupantId) {
        let hall = self.halls.get(room);
        let Some(visitor) = hall.and_then(|hall| hall.room.occupant(id)) else {
            return;
        };
        if !visitor.is_hidden() {
            return;
        }
        let hand = visitor.presence().child(HAND, ns::CLIENT);
        let is_raised =
            hand.is_some_and(|hand| !matches!(hand.text().as_str(), "" | "0" | "false"));
        let nick = visitor.nick().clone();
        let has_changed = if is_raised {
            self.visitors.asking.insert(nick)
        } else {
            self.visitors.asking.remove(&nick)
        };
        if has_changed {
            let name = visitor.display_name().unwrap_or_default();
            let request = json!({
                "type": "visitors",
                "action": "promotion-request",
                "room": room.to_string(),
                "nick": name,
                "from": visitor.profile().jid.to_string(),
                "on": is_raised,
            });
            self.tell_moderators(room, &request);
        }
    }

    /// A moderator's answer to visitors who want to take part. False if the message is none.
    pub(crate) fn handle_promotion(
        &mut self,
        now: Now,
        from: &SessionProfile,
        room: &RoomJid,
        message: &Stanza,
    ) -> bool {
        let is_candidate = message.kind == Kind::Message && message.is_type("groupchat");
        if !is_candidate || memchr::memmem::find(message.payload(), ANSWER.as_bytes()).is_none() {
            return false;
        }
        let json = message.child("json-message", ns::JITSI_MEET);
        let json: Option<Value> = json.and_then(|json| serde_json::from_str(&json.text()).ok());
        let Some(answer) = json.filter(|j| j["type"] == "visitors" && j["action"] == ANSWER) else {
            return false;
        };
        if let Err(error) = self.answer_visitors(now, from, room, &answer)
            && message.may_be_refused()
        {
            tracing::debug!(condition = %error.condition, "promotion refused");
            self.answer(from.id, message.error(error));
        }
        true
    }

    fn answer_visitors(
        &mut self,
        now: Now,
        from: &SessionProfile,
        room: &RoomJid,
        answer: &Value,
    ) -> Result<(), StanzaError> {
        let hall = self.halls.get(room).ok_or(Condition::ItemNotFound)?;
        let sender = hall.room.occupant_of(from.id);
        if !sender.is_some_and(|sender| may(sender, Act::Grant)) {
            return Err(Condition::Forbidden.into());
        }
        let is_approved = answer["approved"]
            .as_bool()
            .ok_or_else(|| refused(Condition::BadRequest, "expected a boolean: approved"))?;
        let ids = answer["ids"].as_array().cloned();
        let ids = ids.unwrap_or_else(|| vec![answer["id"].clone()]);
        let wanted: Vec<&str> = ids.iter().filter_map(Value::as_str).collect();
        let visitors = hall.room.occupants().filter(|o| o.is_hidden());
        let visitors = visitors.filter(|o| {
            wanted.contains(&o.profile().jid.as_str()) || wanted.contains(&o.jid().as_str())
        });
        let visitors: Vec<OccupantId> = visitors.map(|o| o.id()).collect();
        if visitors.is_empty() {
            return Err(refused(Condition::ItemNotFound, "no such visitor: id"));
        }
        for id in visitors {
            if is_approved {
                self.promote(now, room, id);
            } else {
                self.decline(room, id);
            }
        }
        Ok(())
    }

    /// A visitor becomes a participant: everybody sees it from now on, and it may send.
    fn promote(&mut self, now: Now, room: &RoomJid, id: OccupantId) {
        let Some(hall) = self.halls.get_mut(room) else {
            return;
        };
        let Some(visitor) = hall.room.occupant(id) else {
            return;
        };
        let nick = visitor.nick().clone();
        for identity in Identity::all_of(visitor.profile(), visitor.device()) {
            if identity.outlives_session() {
                self.journal.set(&format!("{PREFIX}{identity}"), "visitor");
            }
            self.visitors.promoted.insert(identity);
        }
        self.visitors.asking.remove(&nick);
        let standing = hall.standing(Affiliation::None, &Identity::of(visitor));
        hall.room.set_standing(id, standing);
        hall.focus.set_visitor(now, &nick, false);
        self.elect_owner(now);
    }

    /// Jitsi's client shows the refusal; an approval would make it connect anew, which is not
    /// needed here.
    fn decline(&mut self, room: &RoomJid, id: OccupantId) {
        let Some(visitor) = self.halls.get(room).and_then(|hall| hall.room.occupant(id)) else {
            return;
        };
        let (session, nick) = (visitor.profile().id, visitor.nick().clone());
        let response = Element::builder("promotion-response", NS_VISITORS)
            .with("allow", "false")
            .build();
        let visitors = Element::builder("visitors", NS_VISITORS).append(response);
        let iq = Stanza::iq("set", &format!("visitor-{nick}"))
            .with_from(Jid::from(room.bare().clone()))
            .with_child(visitors.build());
        self.answer(session, iq);
    }

    fn tell_moderators(&mut self, room: &RoomJid, json: &Value) {
        let from = Jid::from(self.config.hosts.name(Host::Service(Service::Visitors)));
        let message = Stanza::new(Kind::Message)
            .with_from(from)
            .with_child(json_message(json));
        let hall = self.halls.get(room);
        let occupants = hall.into_iter().flat_map(|hall| hall.room.occupants());
        let moderators = occupants.filter(|o| may(o, Act::Grant));
        for session in moderators.map(|o| o.profile().id).collect::<Vec<_>>() {
            self.answer(session, message.clone());
        }
    }
}

const PREFIX: &str = "promoted/";
const ANSWER: &str = "promotion-response";
const HAND: &str = "jitsi_participant_raisedHand";
const NS_VISITORS: &str = "jitsi:visitors";
