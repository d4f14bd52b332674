//! The conference request: the first thing a Jitsi client says, so that the room lives and the
//! focus is in it before the client joins.
//!
//! By iq to the focus' address; the HTTP form ends in [`reply`] as well. Asked for twice, it is
//! answered twice: nothing depends on how often.

use std::collections::BTreeMap;
use std::sync::Arc;

use tertulia_model::{Hosts, RoomJid, SessionProfile};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::{Stanza, ns};

use super::{Cx, Feature, Handled};

pub(crate) struct ConferenceRequests;

impl Feature for ConferenceRequests {
    fn on_iq(&mut self, cx: &mut Cx<'_>, from: &Arc<SessionProfile>, iq: &Stanza) -> Handled {
        let element = iq
            .child("conference", ns::FOCUS)
            .filter(|_| iq.is_type("set"));
        let Some(request) = element.and_then(ConferenceRequest::parse) else {
            return Handled::No;
        };
        let is_inside = cx.room.occupant_of(from.id).is_some();
        if !is_inside {
            cx.expected
                .add(cx.now.mono, Some(from.id), request.machine_uid.as_deref());
        }
        let reply = reply(cx.hosts, cx.room.jid());
        cx.room
            .answer(from.id, iq.result().with_child(reply.to_element()));
        Handled::Yes
    }
}

/// The answer to everybody: the focus is there, come in.
pub(crate) fn reply(hosts: &Hosts, room: &RoomJid) -> ConferenceReply {
    let properties = [("authentication", "false"), ("visitors-supported", "false")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ConferenceReply {
        room: room.to_string(),
        is_ready: true,
        focus_jid: hosts.focus_user().to_string(),
        session_id: None,
        identity: None,
        properties: BTreeMap::from(properties),
    }
}
