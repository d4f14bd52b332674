//! Chat: to everybody and to one, answers, reactions and messages taken back.

use super::*;

impl Client {
    /// Writes to everyone in the room.
    pub fn say(&mut self, now: Now, body: &str) {
        self.chat(now, None, body, None);
    }

    /// Writes to everyone or to one nick, perhaps as an answer to another message; the id of the
    /// new message.
    pub fn chat(
        &mut self,
        now: Now,
        to: Option<&str>,
        body: &str,
        reply_to: Option<&str>,
    ) -> String {
        let body = text_element("body", ns::CLIENT, body);
        let reply = reply_to.map(|id| Element::builder("reply", REPLY).with("to", id).build());
        self.send_chat(now, to, std::iter::once(body).chain(reply))
    }

    /// Reacts to a message that everyone, or one, has.
    pub fn react(&mut self, now: Now, to: Option<&str>, message: &str, reaction: &str) {
        let reactions = Element::builder("reactions", REACTIONS)
            .with("id", message)
            .append(text_element("reaction", REACTIONS, reaction))
            .build();
        let store = Element::bare("store", HINTS);
        self.send_chat(now, to, [reactions, store]);
    }

    /// Takes a message back.
    pub fn retract(&mut self, now: Now, to: Option<&str>, message: &str) {
        let retract = Element::builder("retract", RETRACT)
            .with("id", message)
            .build();
        let fallback = Element::builder("fallback", "urn:xmpp:fallback:0")
            .with("for", RETRACT)
            .build();
        let body = text_element("body", ns::CLIENT, "This person took a message back.");
        let store = Element::bare("store", HINTS);
        self.send_chat(now, to, [retract, fallback, body, store]);
    }

    /// Sends JSON to everyone in the room, or to one nick.
    pub fn send_json(&mut self, now: Now, to: Option<&str>, value: &Value) {
        self.send_chat(now, to, [components::json_element(value)]);
    }

    /// Sends any stanza, as a client that is not Jitsi's might.
    pub fn send_stanza(&mut self, now: Now, stanza: Stanza) {
        self.line.send(now, stanza);
        self.settle(now);
    }

    fn send_chat(
        &mut self,
        now: Now,
        to: Option<&str>,
        children: impl IntoIterator<Item = Element>,
    ) -> String {
        let id = self.message_id();
        match to.map(ResourcePart::new) {
            None => self.send_groupchat(now, Some(&id), children),
            Some(Ok(nick)) if self.stage == Stage::Joined => {
                let message = Stanza::new(Kind::Message)
                    .with_type("chat")
                    .with_id(&id)
                    .with_to(self.room.occupant(&nick))
                    .with_children(children);
                self.line.send(now, message);
            }
            Some(_) => {}
        }
        self.settle(now);
        id
    }

    pub(super) fn send_groupchat(
        &mut self,
        now: Now,
        id: Option<&str>,
        children: impl IntoIterator<Item = Element>,
    ) {
        if self.stage != Stage::Joined {
            return;
        }
        let message = Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_to(self.room.bare().clone());
        let message = match id {
            Some(id) => message.with_id(id),
            None => message,
        };
        self.line.send(now, message.with_children(children));
    }

    pub(super) fn message_id(&mut self) -> String {
        self.random.uuid()
    }

    /// A message of somebody in the room. What Jitsi's client reads first comes first.
    pub(super) fn handle_chat(&mut self, message: &Stanza, nick: &str) {
        let from = nick.to_owned();
        if let Some(reactions) = message.child("reactions", REACTIONS) {
            let all = reactions.children().map(Element::text).collect();
            let to = reactions.attr("id").unwrap_or_default().to_owned();
            let reactions = all;
            return self.notice(Notice::Reaction {
                from,
                to,
                reactions,
            });
        }
        if let Some(subject) = message.child("subject", ns::CLIENT) {
            self.meeting.subject = Some(subject.text());
        }
        let is_history = message.child("delay", ns::DELAY).is_some();
        if let (Some(value), Some(from), false) = (
            components::json_message(message),
            message.from.clone(),
            is_history,
        ) {
            return self.notice(Notice::Json { from, value });
        }
        if let Some(retract) = message.child("retract", RETRACT) {
            let id = retract.attr("id").unwrap_or_default().to_owned();
            return self.notice(Notice::Retracted { from, id });
        }
        let Some(body) = message.child("body", ns::CLIENT) else {
            return;
        };
        let reply = message.child("reply", REPLY);
        self.notice(Notice::Message {
            from,
            body: body.text(),
            id: message.id.as_deref().map(str::to_owned),
            is_private: message.is_type("chat"),
            is_history,
            reply_to: reply.and_then(|reply| reply.attr("to")).map(str::to_owned),
        });
    }
}

const REACTIONS: &str = "urn:xmpp:reactions:0";
const RETRACT: &str = "urn:xmpp:message-retract:1";
const REPLY: &str = "urn:xmpp:reply:0";
const HINTS: &str = "urn:xmpp:hints";
