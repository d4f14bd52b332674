use std::collections::BTreeMap;

use jid::{FullJid, Jid};
use serde_json::Value;
use tertulia_model::RoomJid;
use tertulia_stanza::muc::{Affiliation, Role, UserX, status};
use tertulia_stanza::{Stanza, ns};

/// Somebody else in the room, as its presences tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its real address.
    pub jid: Option<FullJid>,
    pub display_name: Option<String>,
    pub is_moderator: bool,
    pub is_owner: bool,
    /// Sources it says it has, and whether each is muted.
    pub sources: BTreeMap<String, bool>,
}

/// What a presence changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RoomChange {
    None,
    /// We are in.
    Joined,
    /// Somebody else came or changed.
    Present(String),
    /// Somebody else left.
    Gone(String),
    FocusGone,
    /// We are out, at our own wish or by a kick.
    Out {
        is_kick: bool,
    },
    Destroyed {
        reason: Option<String>,
    },
}

/// Who is in the room, built from nothing but what the room told us.
pub(crate) struct Occupants {
    room: RoomJid,
    /// Trusted bare address of the focus.
    focus_jid: String,
    own_nick: String,
    is_joined: bool,
    has_focus: bool,
    others: BTreeMap<String, Occupant>,
    is_moderator: bool,
}

impl Occupants {
    pub(crate) fn new(room: RoomJid, focus_jid: &str, own_nick: &str) -> Occupants {
        Occupants {
            room,
            focus_jid: focus_jid.to_owned(),
            own_nick: own_nick.to_owned(),
            is_joined: false,
            has_focus: false,
            others: BTreeMap::new(),
            is_moderator: false,
        }
    }

    pub(crate) fn is_moderator(&self) -> bool {
        self.is_moderator
    }

    pub(crate) fn has_focus(&self) -> bool {
        self.has_focus
    }

    pub(crate) fn others(&self) -> &BTreeMap<String, Occupant> {
        &self.others
    }

    /// A presence of this room, available or unavailable.
    pub(crate) fn handle_presence(&mut self, presence: &Stanza) -> RoomChange {
        let Some(nick) = presence.from.as_ref().and_then(Jid::resource) else {
            return RoomChange::None;
        };
        let nick = nick.as_str().to_owned();
        let x = presence
            .children()
            .iter()
            .find_map(UserX::parse)
            .unwrap_or_default();
        if presence.is_type("unavailable") {
            self.handle_gone(nick, &x)
        } else if presence.type_.is_none() {
            self.handle_available(nick, &x, presence)
        } else {
            RoomChange::None
        }
    }

    fn handle_available(&mut self, nick: String, x: &UserX, presence: &Stanza) -> RoomChange {
        let jid = x.item.as_ref().and_then(|item| item.jid.clone());
        let is_moderator = x
            .item
            .as_ref()
            .is_some_and(|item| item.role == Role::Moderator);
        if nick == self.own_nick {
            self.is_moderator = is_moderator;
            let was_joined = std::mem::replace(&mut self.is_joined, true);
            return if was_joined {
                RoomChange::None
            } else {
                RoomChange::Joined
            };
        }
        let is_focus = jid.as_ref().is_some_and(|jid| {
            jid.as_str()
                .strip_prefix(&self.focus_jid)
                .is_some_and(is_full)
        });
        if is_focus {
            self.has_focus = true;
            return RoomChange::None;
        }
        let text = |name: &str, namespace: &str| presence.child(name, namespace).map(|e| e.text());
        let occupant = Occupant {
            jid: jid.and_then(|jid| jid.try_into_full().ok()),
            display_name: text("nick", ns::NICK),
            is_moderator,
            is_owner: x
                .item
                .as_ref()
                .is_some_and(|i| i.affiliation == Affiliation::Owner),
            sources: text("SourceInfo", ns::CLIENT)
                .map(|info| parse_source_info(&nick, &info))
                .unwrap_or_default(),
        };
        self.others.insert(nick.clone(), occupant);
        RoomChange::Present(nick)
    }

    fn handle_gone(&mut self, nick: String, x: &UserX) -> RoomChange {
        if let Some(destroy) = &x.destroy {
            self.is_joined = false;
            return RoomChange::Destroyed {
                reason: destroy.reason.clone(),
            };
        }
        if nick == self.own_nick {
            self.is_joined = false;
            return RoomChange::Out {
                is_kick: x.has_status(status::KICKED),
            };
        }
        if self.others.remove(&nick).is_some() {
            return RoomChange::Gone(nick);
        }
        if nick == "focus" && std::mem::replace(&mut self.has_focus, false) {
            return RoomChange::FocusGone;
        }
        RoomChange::None
    }

    /// Whether a stanza comes from this room or somebody in it.
    pub(crate) fn is_of_room(&self, stanza: &Stanza) -> bool {
        stanza
            .from
            .as_ref()
            .is_some_and(|from| from.to_bare() == *self.room.bare())
    }

    /// Whether a stanza comes from the focus' occupant.
    pub(crate) fn is_of_focus(&self, stanza: &Stanza) -> bool {
        let nick = stanza.from.as_ref().and_then(Jid::resource);
        self.is_of_room(stanza) && nick.is_some_and(|nick| nick.as_str() == "focus")
    }
}

/// What follows a bare JID in a full one.
fn is_full(rest: &str) -> bool {
    rest.starts_with('/')
}

/// Sources and whether each is muted; those of other endpoints are ignored, as Jitsi's client does.
fn parse_source_info(nick: &str, text: &str) -> BTreeMap<String, bool> {
    let Ok(Value::Object(map)) = serde_json::from_str(text) else {
        return BTreeMap::new();
    };
    let own = |name: &String| {
        name.rsplit_once('-')
            .is_some_and(|(owner, _)| owner == nick)
    };
    map.into_iter()
        .filter(|(name, _)| own(name))
        .map(|(name, info)| (name, info.get("muted") == Some(&Value::Bool(true))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tertulia_stanza::muc::Item;
    use tertulia_stanza::{Kind, text_element};

    fn presence(nick: &str, x: UserX) -> Stanza {
        let from: Jid = format!("tea@conference.localhost/{nick}").parse().unwrap();
        let info = format!("{{\"{nick}-a0\":{{\"muted\":true}},\"other-a0\":{{}}}}");
        Stanza::new(Kind::Presence).with_from(from).with_children([
            x.to_element(),
            text_element("SourceInfo", ns::CLIENT, &info),
        ])
    }

    fn item(jid: &str) -> UserX {
        let jid = Some(jid.parse().unwrap());
        UserX::item(Item::new(Affiliation::None, Role::Participant, jid))
    }

    #[test]
    fn a_room_fills_and_empties() {
        let room = RoomJid::new("tea@conference.localhost".parse().unwrap()).unwrap();
        let mut occupants = Occupants::new(room, "focus@auth.localhost", "me");
        let focus = presence("focus", item("focus@auth.localhost/focus"));
        assert_eq!(occupants.handle_presence(&focus), RoomChange::None);
        assert!(occupants.has_focus() && occupants.others().is_empty());
        let romeo = presence("romeo", item("r@localhost/x"));
        assert_eq!(
            occupants.handle_presence(&romeo),
            RoomChange::Present("romeo".into())
        );
        assert_eq!(
            occupants.others()["romeo"].sources,
            BTreeMap::from([("romeo-a0".to_owned(), true)])
        );
        let me = presence("me", item("me@localhost/x"));
        assert_eq!(occupants.handle_presence(&me), RoomChange::Joined);
        let gone = presence("romeo", item("r@localhost/x")).with_type("unavailable");
        assert_eq!(
            occupants.handle_presence(&gone),
            RoomChange::Gone("romeo".into())
        );
        let kicked = item("me@localhost/x").with_status(status::KICKED);
        let kicked = presence("me", kicked).with_type("unavailable");
        assert_eq!(
            occupants.handle_presence(&kicked),
            RoomChange::Out { is_kick: true }
        );
    }
}
