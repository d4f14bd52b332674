//! The conference request: the first thing a Jitsi client says, so that the room lives and the
//! focus is in it before the client joins.
//!
//! By iq to the focus' address; the HTTP form ends in [`reply`] as well. Asked for twice, it is
//! answered twice: nothing depends on how often.

use std::collections::BTreeMap;

use tertulia_model::{Now, RoomJid, SessionId};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::{Condition, Stanza, ns};

use crate::{Conference, Output};

impl Conference {
    /// An iq to the address of conference requests.
    pub(crate) fn handle_conference_request(&mut self, now: Now, from: SessionId, iq: &Stanza) {
        let element = iq
            .child("conference", ns::FOCUS)
            .filter(|_| iq.is_type("set"));
        let Some(request) = element.and_then(ConferenceRequest::parse) else {
            if iq.is_request() {
                self.answer(from, iq.error(Condition::ServiceUnavailable));
            }
            return;
        };
        self.heed_start_muted(&request);
        if self.hall_of(from).is_none() {
            self.expected.add(now.mono, Some(from), &request);
        }
        let room = crate::route::requested_room(&self.config.hosts, &request);
        let room = room.unwrap_or_else(|| self.main.clone());
        let reply = self.reply(&room);
        self.answer(from, iq.result().with_child(reply.to_element()));
    }

    /// A conference request by HTTP.
    pub(crate) fn answer_request(
        &mut self,
        now: Now,
        request: tertulia_model::RequestId,
        asked: &ConferenceRequest,
    ) {
        self.heed_start_muted(asked);
        self.expected.add(now.mono, None, asked);
        let room = crate::route::requested_room(&self.config.hosts, asked);
        let room = room.unwrap_or_else(|| self.main.clone());
        let reply = Box::new(self.reply(&room));
        self.push(Output::Reply { request, reply });
    }

    /// The answer to everybody: the focus is there, come in.
    fn reply(&self, room: &RoomJid) -> ConferenceReply {
        let has_visitors = self.config.rules.has_visitors;
        let properties = [
            ("authentication", "false"),
            (
                "visitors-supported",
                if has_visitors { "true" } else { "false" },
            ),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        ConferenceReply {
            room: room.to_string(),
            is_ready: true,
            focus_jid: self.config.hosts.focus_user().to_string(),
            session_id: None,
            identity: None,
            properties: BTreeMap::from(properties),
        }
    }
}
