//! Messages: to all, to one, the subject; replies, reactions, and words taken back.

use std::sync::Arc;

use bytes::Bytes;
use tertulia_model::jid::Jid;
use tertulia_model::{Now, SessionProfile};
use tertulia_stanza::json_message::read_object;
use tertulia_stanza::muc::{UserX, status};
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, WithAttribute, ns};

use crate::occupant::joined;
use crate::rights::{Act, may, may_despite};
use crate::{FOCUS_NICK, Occupant, OccupantId, Output, Room, relay};

impl Room {
    /// A message to the room or to one occupant.
    pub(crate) fn handle_message(&mut self, now: Now, from: &Arc<SessionProfile>, stanza: &Stanza) {
        let Some(&id) = self.by_session.get(&from.id) else {
            let error = StanzaError::new(Condition::NotAcceptable).with_text("not in the room");
            return self.refuse_stanza(from.id, stanza, error);
        };
        let nick = stanza
            .to
            .as_ref()
            .and_then(Jid::resource)
            .map(|nick| nick.as_str());
        let result = match (nick, stanza.type_.as_deref()) {
            (None, Some("groupchat")) => self.send_to_all(now, id, stanza),
            (None, _) => Err(Condition::ServiceUnavailable.into()),
            (Some(_), Some("groupchat")) => Err(Condition::BadRequest.into()),
            (Some(nick), _) => self.send_to_one(id, nick, stanza),
        };
        if let Err(error) = result {
            self.refuse_stanza(from.id, stanza, error);
        }
    }

    /// Tells everybody that the configuration changed: clients then ask for it.
    pub(crate) fn announce_configuration(&mut self) {
        let x = UserX::default().with_status(status::CONFIGURATION_CHANGED);
        let message = Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_from(self.bare_jid())
            .with_child(x.to_element());
        self.broadcast(&Arc::new(message), None);
    }

    fn send_to_all(
        &mut self,
        now: Now,
        id: OccupantId,
        stanza: &Stanza,
    ) -> Result<(), StanzaError> {
        let said = Said::of(stanza)?;
        let act = match said {
            Said::Subject(_) => Act::Configure,
            Said::Reaction => Act::React,
            Said::Text | Said::Retraction(_) | Said::Other => Act::Chat,
        };
        let mut message = self.relayed(id, act, stanza)?;
        match &said {
            Said::Text => self.check_chat(id)?,
            Said::Retraction(of) => self.check_retraction(id, of)?,
            Said::Subject(_) | Said::Reaction | Said::Other => {}
        }
        if said == Said::Text && message.id.as_deref().is_none_or(str::is_empty) {
            // COMPAT(lib-jitsi-meet): reactions, replies and retractions name a message by its id.
            // Without one each client makes up its own, and nobody knows what the others mean.
            message = message.with_id(&self.random.uuid());
        }
        let message = Arc::new(message);
        self.broadcast(&message, None);
        match said {
            Said::Subject(subject) => {
                let by = self.occupants.get(&id).map(|author| author.nick.clone());
                self.subject = Some(message);
                if let Some(by) = by {
                    self.outputs
                        .push_back(Output::SubjectChanged { by, subject });
                }
            }
            Said::Text => self.history.push(now, id, &message),
            Said::Retraction(of) => self.history.retract(&of),
            Said::Reaction | Said::Other => {}
        }
        Ok(())
    }

    fn send_to_one(
        &mut self,
        id: OccupantId,
        nick: &str,
        stanza: &Stanza,
    ) -> Result<(), StanzaError> {
        if nick == FOCUS_NICK {
            return Err(Condition::ServiceUnavailable.into());
        }
        let receiver = self.occupant_named(nick).ok_or(Condition::ItemNotFound)?;
        let session = receiver.profile.id;
        Said::of(stanza)?;
        let message = self.relayed(id, Act::PrivateChat, stanza)?;
        self.deliver(session, Arc::new(message));
        Ok(())
    }

    /// Whether the room leaves writing to others.
    fn check_chat(&self, id: OccupantId) -> Result<(), StanzaError> {
        let author = self.occupants.get(&id).ok_or(Condition::NotAcceptable)?;
        if may_despite(self.restrictions, author, Act::Chat) {
            return Ok(());
        }
        let error = StanzaError::new(Condition::NotAllowed);
        Err(error.with_text("only moderators write to everybody here"))
    }

    /// One takes back one's own words; moderators those of others. What is not known any more only
    /// the clients can judge.
    fn check_retraction(&self, id: OccupantId, of: &str) -> Result<(), StanzaError> {
        let retracting = self.occupants.get(&id).ok_or(Condition::NotAcceptable)?;
        let author = self.history.author(of);
        if author.is_none_or(|author| author == id) || may(retracting, Act::Configure) {
            return Ok(());
        }
        Err(StanzaError::new(Condition::Forbidden).with_text("the message is another's"))
    }

    /// The message as others get it, if its author may write it.
    fn relayed(&self, id: OccupantId, act: Act, stanza: &Stanza) -> Result<Stanza, StanzaError> {
        let author = self.occupants.get(&id).ok_or(Condition::NotAcceptable)?;
        if !may(author, act) {
            return Err(Condition::Forbidden.into());
        }
        let payload = relay::children(stanza, self.config.name_chars_max);
        let mut message = Stanza::from_validated(Kind::Message, named(author, payload));
        message.id.clone_from(&stanza.id);
        message.type_.clone_from(&stanza.type_);
        message.lang.clone_from(&stanza.lang);
        Ok(message.with_from(author.jid.clone()))
    }
}

/// What somebody says, by the child that counts for clients.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Text,
    Subject(String),
    Reaction,
    /// Takes back the message of that id.
    Retraction(String),
    /// What clients tell each other.
    Other,
}

impl Said {
    fn of(stanza: &Stanza) -> Result<Said, StanzaError> {
        let id_of = |child: &Element| {
            let id = child.attr("id").filter(|id| !id.is_empty());
            id.map(str::to_owned).ok_or_else(|| {
                let error = StanzaError::new(Condition::BadRequest);
                error.with_text("expected the id of a message")
            })
        };
        let json = stanza.child("json-message", ns::JITSI_MEET);
        if json.is_some_and(|json| is_servers(&json.text())) {
            let error = StanzaError::new(Condition::Forbidden);
            return Err(error.with_text("only the server says this"));
        }
        // It comes with a text for those who do not understand it.
        if let Some(retraction) = stanza.child("retract", ns::RETRACT) {
            return Ok(Said::Retraction(id_of(retraction)?));
        }
        let reactions = stanza.child("reactions", ns::REACTIONS);
        if let Some(reactions) = reactions {
            id_of(reactions)?;
        }
        if stanza.child("body", ns::CLIENT).is_some() {
            return Ok(Said::Text);
        }
        if let Some(subject) = stanza.child("subject", ns::CLIENT) {
            return Ok(Said::Subject(subject.text()));
        }
        Ok(reactions.map_or(Said::Other, |_| Said::Reaction))
    }
}

/// Whether a message between clients is one that only the server sends.
fn is_servers(json: &str) -> bool {
    let object = read_object(json).unwrap_or_default();
    let type_ = object.get("type").and_then(|type_| type_.as_str());
    type_.is_some_and(|type_| SERVER_TYPES.contains(&type_))
}

const SERVER_TYPES: [&str; 2] = ["lobby-notify", "system_chat_message"];

/// A message with the name of its author where others do not see the author in the room.
fn named(author: &Occupant, payload: Bytes) -> Bytes {
    if !author.is_hidden() {
        return payload;
    }
    let name = author.display_name().unwrap_or_default();
    let name = Element::builder("display-name", ns::DISPLAY_NAME)
        .with("source", "visitor")
        .append(name)
        .build();
    let name = Stanza::new(Kind::Message).with_child(name);
    joined(&payload, name.payload())
}
