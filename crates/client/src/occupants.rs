use std::collections::BTreeMap;

use jid::{FullJid, Jid};
use serde_json::Value;
use tertulia_model::RoomJid;
use tertulia_stanza::muc::{Affiliation, Role, UserX, status};
use tertulia_stanza::{Element, Stanza, ns};

/// Somebody else in the room, as its presences tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its real address.
    pub jid: Option<FullJid>,
    pub display_name: Option<String>,
    pub role: Role,
    pub affiliation: Affiliation,
    pub is_moderator: bool,
    pub is_owner: bool,
    pub has_raised_hand: bool,
    /// Sources it says it has, and whether each is muted.
    pub sources: BTreeMap<String, bool>,
}

/// What a presence changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RoomChange {
    None,
    /// We are in.
    Joined,
    /// Our own role or rights may be others.
    Own,
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
        /// Where to go instead.
        alternative: Option<RoomJid>,
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
    role: Role,
    affiliation: Affiliation,
    /// What the room says we may do; only moderators are told.
    permissions: BTreeMap<String, bool>,
    /// What the focus says of the conference.
    properties: BTreeMap<String, String>,
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
            role: Role::None,
            affiliation: Affiliation::None,
            permissions: BTreeMap::new(),
            properties: BTreeMap::new(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn affiliation(&self) -> Affiliation {
        self.affiliation
    }

    pub(crate) fn permissions(&self) -> &BTreeMap<String, bool> {
        &self.permissions
    }

    pub(crate) fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
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
        if presence.child("ignore", IGNORE).is_some() {
            RoomChange::None
        } else if presence.is_type("unavailable") {
            self.handle_gone(nick, &x)
        } else if presence.type_.is_none() {
            self.handle_available(nick, &x, presence)
        } else {
            RoomChange::None
        }
    }

    fn handle_available(&mut self, nick: String, x: &UserX, presence: &Stanza) -> RoomChange {
        let jid = x.item.as_ref().and_then(|item| item.jid.clone());
        let item = x.item.as_ref();
        let role = item.map_or(Role::None, |item| item.role);
        let affiliation = item.map_or(Affiliation::None, |item| item.affiliation);
        if nick == self.own_nick {
            self.role = role;
            self.affiliation = affiliation;
            if let Some(permissions) = presence.child("permissions", ns::JITSI_MEET) {
                self.permissions = named_flags(permissions);
            }
            let was_joined = std::mem::replace(&mut self.is_joined, true);
            return if was_joined {
                RoomChange::Own
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
            if let Some(properties) = presence.child("conference-properties", ns::FOCUS) {
                self.properties = named_values(properties);
            }
            return RoomChange::None;
        }
        let text = |name: &str, namespace: &str| presence.child(name, namespace).map(|e| e.text());
        let occupant = Occupant {
            jid: jid.and_then(|jid| jid.try_into_full().ok()),
            display_name: text("nick", ns::NICK),
            role,
            affiliation,
            is_moderator: role == Role::Moderator,
            is_owner: affiliation == Affiliation::Owner,
            has_raised_hand: text(RAISED_HAND, ns::CLIENT).is_some_and(|value| !value.is_empty()),
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
                alternative: destroy.alternative.as_ref().and_then(room_of),
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

/// The room in an address.
pub(crate) fn room_of(jid: &Jid) -> Option<RoomJid> {
    RoomJid::new(jid.to_bare())
}

/// `<p name="recording" val="true"/>` of a `<permissions/>`.
fn named_flags(permissions: &Element) -> BTreeMap<String, bool> {
    let one = |p: &Element| Some((p.attr("name")?.to_owned(), p.attr("val") == Some("true")));
    permissions.children().filter_map(one).collect()
}

/// `<property key="bridge-count" value="1"/>` of the `<conference-properties/>`.
fn named_values(properties: &Element) -> BTreeMap<String, String> {
    let one = |p: &Element| Some((p.attr("key")?.to_owned(), p.attr("value")?.to_owned()));
    properties.children().filter_map(one).collect()
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

/// The presence element in which Jitsi's client tells that its user's hand is up.
pub(crate) const RAISED_HAND: &str = "jitsi_participant_raisedHand";
/// COMPAT(lib-jitsi-meet): with a slash at its end, unlike the namespace of everything else.
const IGNORE: &str = "http://jitsi.org/jitmeet/";

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
        let hand = text_element(RAISED_HAND, ns::CLIENT, "1790000000000");
        let raised = presence("romeo", item("r@localhost/x"));
        let children = raised.children().to_vec();
        occupants.handle_presence(&raised.with_children(children.into_iter().chain([hand])));
        assert!(occupants.others()["romeo"].has_raised_hand);
        occupants.handle_presence(&romeo);
        assert!(
            !occupants.others()["romeo"].has_raised_hand,
            "it is down again"
        );
        let ignored = romeo.clone().with_type("unavailable");
        let ignored = ignored.with_child(Element::bare("ignore", IGNORE));
        assert_eq!(occupants.handle_presence(&ignored), RoomChange::None);
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

    #[test]
    fn what_the_room_and_the_focus_tell_of_us() {
        let room = RoomJid::new("tea@conference.localhost".parse().unwrap()).unwrap();
        let mut occupants = Occupants::new(room, "focus@auth.localhost", "me");
        let parse = |text: &str| text.parse::<Element>().unwrap();
        let own = |role, child: &str| {
            let jid = Some("me@localhost/x".parse().unwrap());
            let x = UserX::item(Item::new(Affiliation::Owner, role, jid));
            presence("me", x.clone()).with_children([x.to_element(), parse(child)])
        };
        let permissions = "<permissions xmlns='http://jitsi.org/jitmeet'>\
                           <p name='recording' val='true'/><p name='flip' val='no'/></permissions>";
        let joined = occupants.handle_presence(&own(Role::Moderator, permissions));
        assert_eq!(joined, RoomChange::Joined);
        assert_eq!(occupants.role(), Role::Moderator);
        let expected = [("flip".to_owned(), false), ("recording".to_owned(), true)];
        assert_eq!(*occupants.permissions(), expected.into());
        let again = occupants.handle_presence(&own(Role::Visitor, "<a xmlns='b'/>"));
        assert_eq!((again, occupants.role()), (RoomChange::Own, Role::Visitor));
        let properties = "<conference-properties xmlns='http://jitsi.org/protocol/focus'>\
                          <property key='visitor-count' value='2'/></conference-properties>";
        let x = item("focus@auth.localhost/focus");
        let focus = presence("focus", x.clone());
        occupants.handle_presence(&focus.with_children([x.to_element(), parse(properties)]));
        assert_eq!(occupants.properties()["visitor-count"], "2");
    }
}
