//! The `<x/>` of muc#user (XEP-0045): who somebody is in a room, and what happened to them.

use jid::Jid;
use minidom::Element;

use crate::{WithAttribute, ns, text_element};

/// Long-lived standing in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Affiliation {
    Outcast,
    None,
    Member,
    Admin,
    Owner,
}

impl Affiliation {
    /// The value of the `affiliation` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Affiliation::Outcast => "outcast",
            Affiliation::None => "none",
            Affiliation::Member => "member",
            Affiliation::Admin => "admin",
            Affiliation::Owner => "owner",
        }
    }

    /// The affiliation of that name.
    pub fn from_name(name: &str) -> Option<Affiliation> {
        use Affiliation::{Admin, Member, None, Outcast, Owner};
        [Outcast, None, Member, Admin, Owner]
            .into_iter()
            .find(|a| a.as_str() == name)
    }
}

/// Standing during one visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    None,
    Visitor,
    Participant,
    Moderator,
}

impl Role {
    /// The value of the `role` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Visitor => "visitor",
            Role::Participant => "participant",
            Role::Moderator => "moderator",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Role> {
        use Role::{Moderator, None, Participant, Visitor};
        [None, Visitor, Participant, Moderator]
            .into_iter()
            .find(|r| r.as_str() == name)
    }
}

/// Status codes that Tertulia sends.
pub mod status {
    /// The room's configuration changed.
    pub const CONFIGURATION_CHANGED: u16 = 104;
    /// This presence is the receiver's own.
    pub const SELF: u16 = 110;
    /// The occupant was banned.
    pub const BANNED: u16 = 301;
    /// The occupant was kicked.
    pub const KICKED: u16 = 307;
    /// The occupant is out because of a failure on our side.
    pub const SERVER_ERROR: u16 = 333;
    /// The service shuts down.
    pub const SHUTDOWN: u16 = 332;
}

/// An `<x/>` of muc#user.
#[derive(Clone, Debug, Default)]
pub struct UserX {
    pub item: Option<Item>,
    pub statuses: Vec<u16>,
    pub destroy: Option<Destroy>,
}

/// The `<item/>` of a presence.
#[derive(Clone, Debug)]
pub struct Item {
    pub affiliation: Affiliation,
    pub role: Role,
    /// The real address; Jitsi's rooms show it to everybody.
    pub jid: Option<Jid>,
    /// Nick of who did this to the occupant.
    pub actor: Option<String>,
    pub reason: Option<String>,
}

/// The end of a room.
#[derive(Clone, Debug)]
pub struct Destroy {
    /// Where the occupants may go instead.
    pub alternative: Option<Jid>,
    pub reason: Option<String>,
}

impl Item {
    /// An item without actor and reason.
    pub fn new(affiliation: Affiliation, role: Role, jid: Option<Jid>) -> Item {
        Item {
            affiliation,
            role,
            jid,
            actor: None,
            reason: None,
        }
    }
}

impl UserX {
    /// An `<x/>` with this item.
    pub fn item(item: Item) -> UserX {
        UserX {
            item: Some(item),
            ..UserX::default()
        }
    }

    #[must_use]
    pub fn with_status(mut self, code: u16) -> UserX {
        self.statuses.push(code);
        self
    }

    #[must_use]
    pub fn with_destroy(self, destroy: Destroy) -> UserX {
        UserX {
            destroy: Some(destroy),
            ..self
        }
    }

    /// Whether the status code is there.
    pub fn has_status(&self, code: u16) -> bool {
        self.statuses.contains(&code)
    }

    /// The element.
    pub fn to_element(&self) -> Element {
        let reason = |text: &String| text_element("reason", ns::MUC_USER, text);
        let item = self.item.as_ref().map(|item| {
            let actor = item.actor.as_deref();
            let actor = actor.map(|nick| {
                Element::builder("actor", ns::MUC_USER)
                    .with("nick", nick)
                    .build()
            });
            Element::builder("item", ns::MUC_USER)
                .with("affiliation", item.affiliation.as_str())
                .with("role", item.role.as_str())
                .with("jid", item.jid.as_ref().map(Jid::as_str))
                .append_all(actor)
                .append_all(item.reason.as_ref().map(reason))
                .build()
        });
        let destroy = self.destroy.as_ref().map(|destroy| {
            Element::builder("destroy", ns::MUC_USER)
                .with("jid", destroy.alternative.as_ref().map(Jid::as_str))
                .append_all(destroy.reason.as_ref().map(reason))
                .build()
        });
        let statuses = self.statuses.iter().map(|code| {
            Element::builder("status", ns::MUC_USER)
                .with("code", *code)
                .build()
        });
        Element::builder("x", ns::MUC_USER)
            .append_all(item)
            .append_all(destroy)
            .append_all(statuses)
            .build()
    }

    /// Reads an `<x/>`; None if it is not of muc#user. Unknown children and codes are left out.
    pub fn parse(x: &Element) -> Option<UserX> {
        if !x.is("x", ns::MUC_USER) {
            return None;
        }
        let text =
            |parent: &Element, name: &str| parent.get_child(name, ns::MUC_USER).map(Element::text);
        let item = x.get_child("item", ns::MUC_USER).map(|item| Item {
            affiliation: item
                .attr("affiliation")
                .and_then(Affiliation::from_name)
                .unwrap_or(Affiliation::None),
            role: item
                .attr("role")
                .and_then(Role::from_name)
                .unwrap_or(Role::None),
            jid: item.attr("jid").and_then(|jid| jid.parse().ok()),
            actor: item
                .get_child("actor", ns::MUC_USER)
                .and_then(|actor| actor.attr("nick"))
                .map(str::to_owned),
            reason: text(item, "reason"),
        });
        let destroy = x.get_child("destroy", ns::MUC_USER).map(|destroy| Destroy {
            alternative: destroy.attr("jid").and_then(|jid| jid.parse().ok()),
            reason: text(destroy, "reason"),
        });
        let statuses = x
            .children()
            .filter(|child| child.is("status", ns::MUC_USER));
        let statuses = statuses
            .filter_map(|status| status.attr("code")?.parse().ok())
            .collect();
        Some(UserX {
            item,
            statuses,
            destroy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let mut item = Item::new(
            Affiliation::Owner,
            Role::Moderator,
            Some("focus@auth.localhost/focus".parse().unwrap()),
        );
        item.actor = Some("romeo".to_owned());
        item.reason = Some("noise".to_owned());
        let x = UserX::item(item)
            .with_status(status::SELF)
            .with_status(status::KICKED);
        let read = UserX::parse(&x.to_element()).unwrap();
        let item = read.item.as_ref().unwrap();
        assert_eq!(item.affiliation, Affiliation::Owner);
        assert_eq!(item.role, Role::Moderator);
        assert_eq!(
            item.jid.as_ref().unwrap().as_str(),
            "focus@auth.localhost/focus"
        );
        assert_eq!(item.actor.as_deref(), Some("romeo"));
        assert_eq!(item.reason.as_deref(), Some("noise"));
        assert!(read.has_status(110) && read.has_status(307) && !read.has_status(201));
    }

    #[test]
    fn odd_items_are_read_with_what_is_known() {
        let x = "<x xmlns='http://jabber.org/protocol/muc#user'><item role='emperor'/>\
                 <status code='x'/><status code='110'/><destroy><reason>over</reason></destroy></x>";
        let read = UserX::parse(&x.parse().unwrap()).unwrap();
        assert_eq!(read.item.unwrap().role, Role::None);
        assert_eq!(read.statuses, [110]);
        assert_eq!(read.destroy.unwrap().reason.as_deref(), Some("over"));
    }
}
