use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;
use tertulia_model::jid::{FullJid, Jid};
use tertulia_model::{Capabilities, DeviceId, EndpointId, SessionProfile};
use tertulia_stanza::muc::{Affiliation, Item, Role, UserX, status};
use tertulia_stanza::{Element, Kind, Stanza, ns};

use crate::rights::{self, Standing};

/// One visit of somebody to a room; the order is that of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OccupantId(pub(crate) u64);

/// Someone in a room.
#[derive(Debug)]
pub struct Occupant {
    pub(crate) id: OccupantId,
    pub(crate) nick: EndpointId,
    /// `room@host/nick`.
    pub(crate) jid: FullJid,
    pub(crate) profile: Arc<SessionProfile>,
    pub(crate) device: Option<DeviceId>,
    pub(crate) standing: Standing,
    pub(crate) is_paused: bool,
    /// The children of the last presence, without what the room adds.
    pub(crate) children: Bytes,
    /// The last presence as the others got it.
    pub(crate) presence: Arc<Stanza>,
    /// The room's `<x/>` for the others and for the occupant itself, written.
    pub(crate) item: Bytes,
    pub(crate) own_item: Bytes,
    /// It moderates or has moderated: its client is told what it may show its user.
    pub(crate) is_told_permissions: bool,
}

impl Occupant {
    /// The visit.
    pub fn id(&self) -> OccupantId {
        self.id
    }

    /// The nick, by Jitsi's rule the endpoint's id as well.
    pub fn nick(&self) -> &EndpointId {
        &self.nick
    }

    /// The address in the room.
    pub fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// The session behind the occupant.
    pub fn profile(&self) -> &Arc<SessionProfile> {
        &self.profile
    }

    /// The device it was joined from, if known.
    pub fn device(&self) -> Option<DeviceId> {
        self.device
    }

    /// The standing in the room.
    pub fn affiliation(&self) -> Affiliation {
        self.standing.affiliation
    }

    /// The role as others see it.
    pub fn role(&self) -> Role {
        self.standing.role
    }

    /// All of the standing.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether the others are not shown this one.
    pub fn is_hidden(&self) -> bool {
        self.standing.role == Role::Visitor
    }

    /// The last presence as the others get it.
    pub fn presence(&self) -> &Arc<Stanza> {
        &self.presence
    }

    /// A child of the last presence. Looks at the bytes first: building a tree for each presence
    /// would cost more than the rest.
    pub fn shows(&self, name: &str, namespace: &str) -> Option<&Element> {
        memmem::find(&self.children, name.as_bytes())?;
        self.presence.child(name, namespace)
    }

    /// The display name of the last presence.
    pub fn display_name(&self) -> Option<String> {
        let name = self.presence.child("nick", ns::NICK)?.text();
        Some(name).filter(|name| !name.is_empty())
    }

    /// What the occupant may do; to be asked by [`rights::may`].
    pub fn capabilities(&self) -> Capabilities {
        self.standing.capabilities
    }

    /// Whether its session has no socket at the moment.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Writes the room's `<x/>` anew after a change of the standing.
    pub(crate) fn write_items(&mut self) {
        let jid = Some(Jid::from(self.profile.jid.clone()));
        let x = UserX::item(Item::new(self.affiliation(), self.role(), jid));
        self.item = written(&x);
        self.is_told_permissions |= self.role() == Role::Moderator;
        self.own_item = joined(&written(&x.with_status(status::SELF)), &self.permissions());
    }

    /// What its client may show its user, as bytes of a payload. Only moderators are told; who
    /// moderates no more is told that it may not any more.
    pub(crate) fn permissions(&self) -> Bytes {
        if !self.is_told_permissions {
            return Bytes::new();
        }
        let presence = Stanza::new(Kind::Presence);
        let permissions = rights::permissions(self);
        presence.with_child(permissions).payload().clone()
    }

    /// Takes new presence children; `presence` then is what the others get.
    pub(crate) fn set_presence(&mut self, children: Bytes, like: Option<&Stanza>) {
        let mut presence = Stanza::from_validated(Kind::Presence, joined(&children, &self.item));
        presence.lang = like.and_then(|stanza| stanza.lang.clone());
        self.presence = Arc::new(presence.with_from(self.jid.clone()));
        self.children = children;
    }

    /// The presence that the occupant itself gets, with a room's `<x/>` of its own.
    pub(crate) fn own_presence(&self, x: &Bytes, id: Option<Arc<str>>) -> Stanza {
        let mut presence = Stanza::from_validated(Kind::Presence, joined(&self.children, x));
        presence.lang.clone_from(&self.presence.lang);
        presence.id = id;
        presence.with_from(self.jid.clone())
    }
}

/// An `<x/>` as bytes of a payload.
pub(crate) fn written(x: &UserX) -> Bytes {
    Stanza::new(Kind::Presence)
        .with_child(x.to_element())
        .payload()
        .clone()
}

/// One payload behind the other.
pub(crate) fn joined(first: &Bytes, second: &Bytes) -> Bytes {
    let mut bytes = Vec::with_capacity(first.len() + second.len());
    bytes.extend_from_slice(first);
    bytes.extend_from_slice(second);
    bytes.into()
}
