//! Going out: by oneself, with one's session, thrown out, or with the room.

use std::sync::Arc;

use bytes::Bytes;
use tertulia_model::jid::Jid;
use tertulia_stanza::muc::{Affiliation, Destroy, Item, Role, UserX, status};
use tertulia_stanza::{Element, Kind, Stanza, ns};

use crate::occupant::{joined, written};
use crate::{Farewell, Occupant, OccupantId, Output, Room, relay};

impl Room {
    /// Ends the room: everybody is told why and, maybe, where to go instead.
    pub fn destroy(&mut self, alternative: Option<Jid>, reason: Option<&str>) {
        if self.is_destroyed {
            return;
        }
        self.is_destroyed = true;
        let x = UserX::item(Item::new(Affiliation::None, Role::None, None))
            .with_destroy(Destroy {
                alternative,
                reason: reason.map(str::to_owned),
            })
            .with_status(status::SELF);
        let x = written(&x);
        for occupant in std::mem::take(&mut self.occupants).into_values() {
            let farewell = unavailable(&occupant, &Bytes::new(), &x);
            self.deliver(occupant.profile.id, Arc::new(farewell));
        }
        self.by_session.clear();
        self.by_nick.clear();
        self.count_audience();
        self.outputs.push_back(Output::Destroyed);
    }

    /// Whether the room is over.
    pub fn is_destroyed(&self) -> bool {
        self.is_destroyed
    }

    /// The occupant says goodbye; `stanza` is its last presence.
    pub(crate) fn leave(&mut self, id: OccupantId, stanza: &Stanza) {
        let children = relay::children(stanza, self.config.name_chars_max);
        let status = stanza.child("status", ns::CLIENT).map(Element::text);
        self.remove(id, &children, |_| {}, true, status);
    }

    /// The occupant's session is no more; there is nobody to be told about it but the others.
    pub fn drop_occupant(&mut self, id: OccupantId) {
        self.remove(id, &Bytes::new(), |_| {}, false, None);
    }

    /// Throws somebody out; `code` says why (XEP-0045 15.6), `actor` is the nick of who did it.
    pub fn expel(&mut self, id: OccupantId, code: u16, actor: &str, reason: Option<String>) {
        let explain = |x: &mut UserX| {
            x.statuses.push(code);
            if let Some(item) = &mut x.item {
                item.actor = Some(actor.to_owned());
                item.reason = reason;
            }
        };
        self.remove(id, &Bytes::new(), explain, true, None);
    }

    /// The one way out for one occupant.
    fn remove(
        &mut self,
        id: OccupantId,
        children: &Bytes,
        explain: impl FnOnce(&mut UserX),
        tells_itself: bool,
        status_text: Option<String>,
    ) {
        let Some(occupant) = self.occupants.remove(&id) else {
            return;
        };
        let session = occupant.profile.id;
        self.by_session.remove(&session);
        self.by_nick.remove(&occupant.nick);
        self.count_audience();

        let jid = Some(Jid::from(occupant.profile.jid.clone()));
        let mut x = UserX::item(Item::new(occupant.affiliation(), Role::None, jid));
        explain(&mut x);
        let farewell = Arc::new(unavailable(&occupant, children, &written(&x)));
        if !occupant.is_hidden() {
            self.broadcast(&farewell, None);
        }
        if tells_itself {
            let own = written(&x.with_status(status::SELF));
            self.deliver(session, Arc::new(unavailable(&occupant, children, &own)));
        }
        self.outputs.push_back(Output::Left(Box::new(Farewell {
            occupant,
            status: status_text,
        })));
    }
}

fn unavailable(occupant: &Occupant, children: &Bytes, x: &Bytes) -> Stanza {
    Stanza::from_validated(Kind::Presence, joined(children, x))
        .with_type("unavailable")
        .with_from(occupant.jid.clone())
}
