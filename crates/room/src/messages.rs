//! Messages: to all, to one, the subject.

use std::sync::Arc;

use tertulia_model::jid::Jid;
use tertulia_model::{Now, SessionProfile};
use tertulia_stanza::muc::{UserX, status};
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, ns};

use crate::rights::{Act, may};
use crate::{FOCUS_NICK, OccupantId, Output, Room, relay};

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
            (None, _) => Err(Condition::ServiceUnavailable),
            (Some(_), Some("groupchat")) => Err(Condition::BadRequest),
            (Some(nick), _) => self.send_to_one(id, nick, stanza),
        };
        if let Err(condition) = result {
            self.refuse_stanza(from.id, stanza, condition);
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

    fn send_to_all(&mut self, now: Now, id: OccupantId, stanza: &Stanza) -> Result<(), Condition> {
        let has_body = stanza.child("body", ns::CLIENT).is_some();
        let is_subject = !has_body && stanza.child("subject", ns::CLIENT).is_some();
        let act = if is_subject {
            Act::Configure
        } else {
            Act::Chat
        };
        let message = Arc::new(self.relayed(id, act, stanza)?);
        self.broadcast(&message, None);
        if is_subject {
            let by = self.occupants.get(&id).map(|author| author.nick.clone());
            let subject = stanza.child("subject", ns::CLIENT).map(Element::text);
            self.subject = Some(message);
            if let (Some(by), Some(subject)) = (by, subject) {
                self.outputs
                    .push_back(Output::SubjectChanged { by, subject });
            }
        } else if has_body {
            self.history.push(now, &message);
        }
        Ok(())
    }

    fn send_to_one(
        &mut self,
        id: OccupantId,
        nick: &str,
        stanza: &Stanza,
    ) -> Result<(), Condition> {
        if nick == FOCUS_NICK {
            return Err(Condition::ServiceUnavailable);
        }
        let receiver = self.occupant_named(nick).ok_or(Condition::ItemNotFound)?;
        let session = receiver.profile.id;
        let message = self.relayed(id, Act::PrivateChat, stanza)?;
        self.deliver(session, Arc::new(message));
        Ok(())
    }

    /// The message as others get it, if its author may write it.
    fn relayed(&self, id: OccupantId, act: Act, stanza: &Stanza) -> Result<Stanza, Condition> {
        let author = self.occupants.get(&id).ok_or(Condition::NotAcceptable)?;
        if !may(author, act) {
            return Err(Condition::Forbidden);
        }
        let payload = relay::children(stanza, self.config.name_chars_max);
        let mut message = Stanza::from_validated(Kind::Message, payload);
        message.id.clone_from(&stanza.id);
        message.type_.clone_from(&stanza.type_);
        message.lang.clone_from(&stanza.lang);
        Ok(message.with_from(author.jid.clone()))
    }
}
