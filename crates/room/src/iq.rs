//! Requests: to the room, and between occupants (peer-to-peer Jingle, discovery, pings), which
//! the room relays in both directions without a look inside.

use std::sync::Arc;

use tertulia_model::SessionProfile;
use tertulia_model::jid::Jid;
use tertulia_stanza::disco::{self, DataForm, DiscoInfo, FormType};
use tertulia_stanza::{Condition, Stanza, StanzaError, ns};

use crate::{FOCUS_NICK, OccupantId, Output, Room};

impl Room {
    /// An iq to the room or to an occupant.
    pub(crate) fn handle_iq(&mut self, from: &Arc<SessionProfile>, iq: Stanza) {
        let sender = self.by_session.get(&from.id).copied();
        let nick = iq
            .to
            .as_ref()
            .and_then(Jid::resource)
            .map(|nick| nick.as_str().to_owned());
        match (nick, sender) {
            (None, _) if iq.is_request() => self.handle_room_request(from, sender, iq),
            (None, _) => {}
            (Some(nick), Some(sender)) => self.handle_occupant_iq(from, sender, &nick, iq),
            (Some(_), None) => {
                let error = StanzaError::new(Condition::NotAcceptable).with_text("not in the room");
                self.refuse_stanza(from.id, &iq, error);
            }
        }
    }

    /// What the room says of itself before its owner adds the rest.
    pub fn disco_info(&self) -> DiscoInfo {
        let is_locked = self.configuration.password.is_some();
        let lock = if is_locked {
            "muc_passwordprotected"
        } else {
            "muc_unsecured"
        };
        let access = if self.configuration.is_members_only {
            "muc_membersonly"
        } else {
            "muc_open"
        };
        DiscoInfo::default()
            .with_identity("conference", "text", Some(self.jid.name()))
            .with_features([
                ns::MUC,
                ns::DISCO_INFO,
                ns::DISCO_ITEMS,
                "muc_nonanonymous",
                "muc_temporary",
                "muc_hidden",
                access,
                "muc_unmoderated",
                lock,
            ])
            .with_form(DataForm::new(FormType::Result, ns::MUC_ROOM_INFO))
    }

    fn handle_room_request(
        &mut self,
        from: &Arc<SessionProfile>,
        sender: Option<OccupantId>,
        iq: Stanza,
    ) {
        let session = from.id;
        let payload = iq.children().first();
        let is = |name, namespace| payload.is_some_and(|p| p.is(name, namespace));
        let reply = if is("query", ns::DISCO_INFO) {
            let info = self.disco_info();
            self.outputs.push_back(Output::Describe {
                to: session,
                iq,
                info,
            });
            return;
        } else if is("query", ns::DISCO_ITEMS) {
            Ok(Some(self.list_occupants(&iq)))
        } else if is("query", ns::MUC_OWNER) {
            self.handle_owner_query(sender, &iq)
        } else if is("query", ns::MUC_ADMIN) {
            self.handle_admin_query(sender, &iq)
        } else if is("ping", ns::PING) {
            Ok(Some(iq.result()))
        } else {
            Err(Condition::ServiceUnavailable.into())
        };
        match reply {
            Ok(Some(reply)) => self.deliver(session, Arc::new(reply)),
            Ok(None) => {}
            Err(error) => self.refuse_stanza(session, &iq, error),
        }
    }

    /// The occupants, for those inside; nobody else learns who is there.
    fn list_occupants(&self, iq: &Stanza) -> Stanza {
        let asker = iq.from.as_ref();
        let is_inside = self
            .occupants
            .values()
            .any(|o| asker.is_some_and(|asker| o.profile.jid == *asker));
        let jids: Vec<Jid> = self
            .occupants
            .values()
            .filter(|_| is_inside)
            .map(|o| Jid::from(o.jid.clone()))
            .collect();
        iq.result()
            .with_child(disco::items(jids.iter().map(|jid| (jid, None))))
    }

    fn handle_occupant_iq(
        &mut self,
        from: &Arc<SessionProfile>,
        sender: OccupantId,
        nick: &str,
        iq: Stanza,
    ) {
        if nick == FOCUS_NICK {
            self.outputs
                .push_back(Output::ForFocus { from: sender, iq });
            return;
        }
        let Some(receiver) = self.occupant_named(nick) else {
            return self.refuse_stanza(from.id, &iq, Condition::ItemNotFound);
        };
        // XEP-0410: who pings itself wants to know whether the room still knows it.
        if receiver.id == sender && iq.is_type("get") && iq.child("ping", ns::PING).is_some() {
            return self.deliver(from.id, Arc::new(iq.result()));
        }
        let session = receiver.profile.id;
        let Some(sender) = self.occupants.get(&sender) else {
            return;
        };
        let mut relayed = iq.with_from(sender.jid.clone());
        relayed.to = None;
        self.deliver(session, Arc::new(relayed));
    }
}
