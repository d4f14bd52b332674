//! The room of a lobby: people who wait without seeing each other, and moderators who look in.
//!
//! Looks like an XEP-0045 room to each of them. Nicks are drawn by the clients and have nothing to
//! do with those of the main room.

use std::collections::BTreeMap;
use std::sync::Arc;

use tertulia_model::jid::{FullJid, Jid};
use tertulia_model::{EndpointId, RoomJid, SessionId, SessionProfile};
use tertulia_room::{legal_nick, relayed_children};
use tertulia_stanza::disco::{DataForm, DiscoInfo, FormType};
use tertulia_stanza::muc::{Affiliation, Destroy, Item, Role, UserX, status};
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, ns, text_element};

use crate::feature::refused;
use crate::standings::Identity;

pub(crate) struct WaitingRoom {
    jid: RoomJid,
    /// Everybody in it, by nick.
    people: BTreeMap<EndpointId, Person>,
    /// Of those who wait.
    people_max: usize,
    name_chars_max: usize,
}

/// Somebody in the lobby: waiting, or looking in.
pub(crate) struct Person {
    nick: EndpointId,
    jid: FullJid,
    profile: Arc<SessionProfile>,
    identities: Vec<Identity>,
    is_moderator: bool,
    /// The last presence, without what the room adds.
    presence: Stanza,
}

/// Who comes to the lobby, as the meeting knows them.
pub(crate) struct Viewer {
    /// Inside the meeting, and may let people in.
    pub(crate) is_moderator: bool,
    /// The standing that was given to them, if any.
    pub(crate) affiliation: Option<Affiliation>,
    pub(crate) identities: Vec<Identity>,
}

/// Somebody who is to be let in.
pub(crate) struct Admitted {
    pub(crate) session: SessionId,
    pub(crate) jid: FullJid,
    pub(crate) name: Option<String>,
    pub(crate) identities: Vec<Identity>,
}

/// What the lobby wants.
pub(crate) enum Said {
    Deliver {
        to: SessionId,
        stanza: Stanza,
    },
    /// A moderator sent somebody away.
    Denied {
        jid: FullJid,
        name: Option<String>,
    },
}

impl Person {
    pub(crate) fn nick(&self) -> &str {
        self.nick.as_str()
    }

    pub(crate) fn profile(&self) -> &SessionProfile {
        &self.profile
    }

    fn name(&self) -> Option<String> {
        Some(self.presence.child("nick", ns::NICK)?.text())
    }

    fn item(&self) -> Item {
        let jid = Some(Jid::from(self.profile.jid.clone()));
        if self.is_moderator {
            Item::new(Affiliation::Owner, Role::Moderator, jid)
        } else {
            Item::new(Affiliation::None, Role::Participant, jid)
        }
    }

    /// The presence as others see it, or the person itself.
    fn shown(&self, is_self: bool) -> Stanza {
        let x = UserX::item(self.item());
        let x = if is_self {
            x.with_status(status::SELF)
        } else {
            x
        };
        let children = self.presence.children().iter().cloned();
        let children: Vec<Element> = children.chain([x.to_element()]).collect();
        Stanza::new(Kind::Presence)
            .with_from(self.jid.clone())
            .with_children(children)
    }
}

impl WaitingRoom {
    pub(crate) fn new(jid: RoomJid, people_max: usize, name_chars_max: usize) -> WaitingRoom {
        WaitingRoom {
            jid,
            people: BTreeMap::new(),
            people_max,
            name_chars_max,
        }
    }

    pub(crate) fn jid(&self) -> &RoomJid {
        &self.jid
    }

    /// Those who wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Person> {
        self.people.values().filter(|person| !person.is_moderator)
    }

    /// A stanza to the lobby or to somebody in it.
    pub(crate) fn handle_stanza(
        &mut self,
        from: &Arc<SessionProfile>,
        viewer: Viewer,
        stanza: &Stanza,
    ) -> Vec<Said> {
        let mut said = Vec::new();
        let result = match stanza.kind {
            Kind::Presence => self.handle_presence(from, viewer, stanza, &mut said),
            Kind::Message => self.handle_message(from, stanza, &mut said),
            Kind::Iq => self.handle_iq(from, stanza, &mut said),
        };
        if let Err(error) = result
            && stanza.may_be_refused()
        {
            tracing::debug!(condition = %error.condition, "refused in the lobby");
            said.push(Said::Deliver {
                to: from.id,
                stanza: stanza.error(error),
            });
        }
        said
    }

    /// Those who wait under that address, the real one or the one in the lobby.
    pub(crate) fn find(&mut self, jid: &Jid) -> Vec<Admitted> {
        let is_meant = |person: &&Person| {
            let bare = Jid::from(person.profile.jid.to_bare());
            person.profile.jid == *jid || bare == *jid || person.jid == *jid
        };
        let meant = self.waiting().filter(is_meant);
        let admitted = meant.map(|person| Admitted {
            session: person.profile.id,
            jid: person.jid.clone(),
            name: person.name(),
            identities: person.identities.clone(),
        });
        admitted.collect()
    }

    /// A session is over; there is nobody to be told about it but the moderators.
    pub(crate) fn drop_session(&mut self, session: SessionId) -> Vec<Said> {
        let mut said = Vec::new();
        if let Some(nick) = self.nick_of(session) {
            self.remove(&nick, |_| {}, false, &mut said);
        }
        said
    }

    /// Leads out who looks in without being a moderator any more.
    pub(crate) fn dismiss_moderators(&mut self, may_look: impl Fn(SessionId) -> bool) -> Vec<Said> {
        let mut said = Vec::new();
        let over = |p: &&Person| p.is_moderator && !may_look(p.profile.id);
        let over: Vec<EndpointId> = self
            .people
            .values()
            .filter(over)
            .map(|p| p.nick.clone())
            .collect();
        for nick in over {
            self.remove(&nick, |_| {}, true, &mut said);
        }
        said
    }

    /// Ends the lobby: with an address, those who wait are to go there.
    pub(crate) fn destroy(&mut self, to: Option<Jid>, reason: Option<&str>) -> Vec<Said> {
        let mut said = Vec::new();
        for person in std::mem::take(&mut self.people).into_values() {
            let x = UserX::item(Item::new(Affiliation::None, Role::None, None))
                .with_destroy(Destroy {
                    alternative: to.clone(),
                    reason: reason.map(str::to_owned),
                })
                .with_status(status::SELF);
            said.push(Said::Deliver {
                to: person.profile.id,
                stanza: unavailable(&person).with_child(x.to_element()),
            });
        }
        said
    }

    fn handle_presence(
        &mut self,
        from: &Arc<SessionProfile>,
        viewer: Viewer,
        stanza: &Stanza,
        said: &mut Vec<Said>,
    ) -> Result<(), StanzaError> {
        let inside = self.nick_of(from.id);
        match (stanza.type_.as_deref(), inside) {
            (None, None) => self.enter(from, viewer, stanza, said),
            (None, Some(nick)) => {
                let presence = self.presence(stanza);
                if let Some(person) = self.people.get_mut(&nick) {
                    person.presence = presence.with_from(person.jid.clone());
                }
                self.show(&nick, said);
                Ok(())
            }
            (Some("unavailable"), Some(nick)) => {
                self.remove(&nick, |_| {}, true, said);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn enter(
        &mut self,
        from: &Arc<SessionProfile>,
        viewer: Viewer,
        stanza: &Stanza,
        said: &mut Vec<Said>,
    ) -> Result<(), StanzaError> {
        let resource = stanza.to.as_ref().and_then(Jid::resource);
        let resource = resource.ok_or(Condition::JidMalformed)?;
        let nick = legal_nick(resource.as_str())?;
        if viewer.affiliation == Some(Affiliation::Outcast) {
            return Err(Condition::Forbidden.into());
        }
        if self.people.contains_key(&nick) {
            return Err(Condition::Conflict.into());
        }
        if !viewer.is_moderator && self.waiting().count() >= self.people_max {
            let text = "too many people wait in the lobby";
            return Err(refused(Condition::ServiceUnavailable, text));
        }
        let jid = self.jid.occupant(resource);
        let person = Person {
            nick: nick.clone(),
            presence: self.presence(stanza).with_from(jid.clone()),
            jid,
            profile: from.clone(),
            identities: viewer.identities,
            is_moderator: viewer.is_moderator,
        };
        if person.is_moderator {
            let waiting = self.waiting().map(|other| Said::Deliver {
                to: from.id,
                stanza: other.shown(false),
            });
            said.extend(waiting);
        }
        self.people.insert(nick.clone(), person);
        self.show(&nick, said);
        let subject = Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_from(Jid::from(self.jid.bare().clone()))
            .with_child(text_element("subject", ns::CLIENT, ""));
        said.push(Said::Deliver {
            to: from.id,
            stanza: subject,
        });
        Ok(())
    }

    /// Shows somebody to itself and, if it waits, to the moderators.
    fn show(&self, nick: &EndpointId, said: &mut Vec<Said>) {
        let Some(person) = self.people.get(nick) else {
            return;
        };
        if !person.is_moderator {
            let moderators = self.people.values().filter(|other| other.is_moderator);
            said.extend(moderators.map(|other| Said::Deliver {
                to: other.profile.id,
                stanza: person.shown(false),
            }));
        }
        said.push(Said::Deliver {
            to: person.profile.id,
            stanza: person.shown(true),
        });
    }

    /// The one way out.
    fn remove(
        &mut self,
        nick: &EndpointId,
        explain: impl FnOnce(&mut UserX),
        tells_itself: bool,
        said: &mut Vec<Said>,
    ) {
        let Some(person) = self.people.remove(nick) else {
            return;
        };
        let mut item = person.item();
        item.role = Role::None;
        let mut x = UserX::item(item);
        explain(&mut x);
        if !person.is_moderator {
            let farewell = unavailable(&person).with_child(x.to_element());
            let moderators = self.people.values().filter(|other| other.is_moderator);
            said.extend(moderators.map(|other| Said::Deliver {
                to: other.profile.id,
                stanza: farewell.clone(),
            }));
        }
        if tells_itself {
            let x = x.with_status(status::SELF);
            said.push(Said::Deliver {
                to: person.profile.id,
                stanza: unavailable(&person).with_child(x.to_element()),
            });
        }
    }

    /// Words pass between those who wait and moderators only.
    fn handle_message(
        &mut self,
        from: &Arc<SessionProfile>,
        stanza: &Stanza,
        said: &mut Vec<Said>,
    ) -> Result<(), StanzaError> {
        let author = self.person_of(from.id).ok_or(Condition::NotAcceptable)?;
        let payload = relayed_children(stanza, self.name_chars_max);
        let mut message = Stanza::from_validated(Kind::Message, payload);
        message.id.clone_from(&stanza.id);
        message.type_.clone_from(&stanza.type_);
        let message = message.with_from(author.jid.clone());
        let nick = stanza.to.as_ref().and_then(Jid::resource);
        let Some(nick) = nick else {
            if !stanza.is_type("groupchat") {
                return Err(Condition::ServiceUnavailable.into());
            }
            let hears = |other: &&Person| {
                other.is_moderator != author.is_moderator || other.nick == author.nick
            };
            said.extend(
                self.people
                    .values()
                    .filter(hears)
                    .map(|other| Said::Deliver {
                        to: other.profile.id,
                        stanza: message.clone(),
                    }),
            );
            return Ok(());
        };
        let receiver = self.people.get(nick.as_str());
        // Who may not be seen is not there.
        let receiver = receiver.filter(|other| other.is_moderator != author.is_moderator);
        let receiver = receiver.ok_or(Condition::ItemNotFound)?;
        said.push(Said::Deliver {
            to: receiver.profile.id,
            stanza: message,
        });
        Ok(())
    }

    fn handle_iq(
        &mut self,
        from: &Arc<SessionProfile>,
        iq: &Stanza,
        said: &mut Vec<Said>,
    ) -> Result<(), StanzaError> {
        if !iq.is_request() {
            return Ok(());
        }
        let has_resource = iq.to.as_ref().is_some_and(|to| to.resource().is_some());
        let payload = iq.children().first().filter(|_| !has_resource);
        let payload = payload.ok_or(Condition::ServiceUnavailable)?;
        let reply = if payload.is("query", ns::DISCO_INFO) && iq.is_type("get") {
            iq.result().with_child(self.disco_info().to_element())
        } else if payload.is("query", ns::MUC_ADMIN) && iq.is_type("set") {
            self.send_away(from.id, payload, said)?;
            iq.result()
        } else {
            return Err(Condition::ServiceUnavailable.into());
        };
        said.push(Said::Deliver {
            to: from.id,
            stanza: reply,
        });
        Ok(())
    }

    fn disco_info(&self) -> DiscoInfo {
        DiscoInfo::default()
            .with_identity("conference", "text", Some(self.jid.name()))
            .with_features([
                ns::MUC,
                ns::DISCO_INFO,
                "muc_nonanonymous",
                "muc_temporary",
                "muc_hidden",
                "muc_open",
                "muc_unsecured",
            ])
            .with_form(DataForm::new(FormType::Result, ns::MUC_ROOM_INFO))
    }

    /// A moderator sends people away: a kick of muc#admin.
    fn send_away(
        &mut self,
        from: SessionId,
        query: &Element,
        said: &mut Vec<Said>,
    ) -> Result<(), StanzaError> {
        let actor = self.person_of(from).filter(|actor| actor.is_moderator);
        let actor = actor.ok_or(Condition::Forbidden)?.nick.as_str().to_owned();
        let mut denied = Vec::new();
        for item in query.children().filter(|c| c.is("item", ns::MUC_ADMIN)) {
            if item.attr("role").and_then(Role::from_name) != Some(Role::None) {
                return Err(refused(Condition::BadRequest, "expected role none"));
            }
            let nick = item.attr("nick").unwrap_or_default();
            let person = self.people.get(nick).filter(|person| !person.is_moderator);
            let person = person.ok_or(Condition::ItemNotFound)?;
            let reason = item.get_child("reason", ns::MUC_ADMIN).map(Element::text);
            denied.push((person.nick.clone(), reason));
        }
        if denied.is_empty() {
            return Err(Condition::BadRequest.into());
        }
        for (nick, reason) in denied {
            let Some(person) = self.people.get(&nick) else {
                continue;
            };
            said.push(Said::Denied {
                jid: person.jid.clone(),
                name: person.name(),
            });
            let explain = |x: &mut UserX| {
                x.statuses.push(status::KICKED);
                if let Some(item) = &mut x.item {
                    item.actor = Some(actor.clone());
                    item.reason = reason;
                }
            };
            self.remove(&nick, explain, true, said);
        }
        Ok(())
    }

    fn presence(&self, stanza: &Stanza) -> Stanza {
        let children = relayed_children(stanza, self.name_chars_max);
        Stanza::from_validated(Kind::Presence, children)
    }

    fn person_of(&self, session: SessionId) -> Option<&Person> {
        let mut people = self.people.values();
        people.find(|person| person.profile.id == session)
    }

    fn nick_of(&self, session: SessionId) -> Option<EndpointId> {
        self.person_of(session).map(|person| person.nick.clone())
    }
}

fn unavailable(person: &Person) -> Stanza {
    Stanza::new(Kind::Presence)
        .with_type("unavailable")
        .with_from(person.jid.clone())
}
