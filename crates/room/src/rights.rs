//! May somebody do something? The one place that answers.

use tertulia_model::{Capabilities, Capability, Preset};
use tertulia_stanza::muc::{Affiliation, Role};
use tertulia_stanza::{Element, WithAttribute, ns};

use crate::Occupant;

/// What an occupant can want to do in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Be heard.
    Speak,
    /// Be seen.
    ShowCamera,
    /// Show a screen.
    ShowScreen,
    /// Write to everybody.
    Chat,
    /// Write to one occupant.
    PrivateChat,
    /// Answer a message with a sign.
    React,
    /// Ask all a question, or answer one.
    Poll,
    /// Offer a file to all.
    ShareFile,
    /// Let people in from the lobby.
    Admit,
    /// Mute somebody else, and decide who may unmute.
    MuteOthers,
    /// Change subject, password or another part of the room's configuration.
    Configure,
    /// Throw somebody out, or keep somebody out.
    Kick,
    /// Give or take somebody's standing.
    Grant,
    /// Make breakout rooms and send people there.
    ArrangeRooms,
    /// End the meeting for all.
    End,
}

/// Whether the occupant may do it.
pub fn may(who: &Occupant, act: Act) -> bool {
    let capabilities = who.capabilities();
    let has = |capability| capabilities.has(capability);
    match act {
        Act::Speak => has(Capability::Speak),
        Act::ShowCamera => has(Capability::Camera),
        Act::ShowScreen => has(Capability::Screen),
        Act::Chat => has(Capability::Chat),
        Act::PrivateChat => has(Capability::PrivateChat),
        Act::React => has(Capability::React),
        Act::Poll => has(Capability::Poll),
        Act::ShareFile => has(Capability::Files),
        Act::Admit => has(Capability::Admit),
        Act::MuteOthers => has(Capability::MuteOthers),
        Act::Configure => has(Capability::Lock),
        Act::Kick => has(Capability::Kick),
        Act::Grant | Act::ArrangeRooms => has(Capability::Grant),
        Act::End => has(Capability::End),
    }
}

/// What a room leaves to its moderators although others have the capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// Writing to everybody. Messages between clients that nobody reads pass all the same.
    pub has_quiet_chat: bool,
    /// Asking all a question.
    pub has_no_polls: bool,
}

/// Whether the occupant may do it in a room with such restrictions.
pub fn may_despite(restrictions: Restrictions, who: &Occupant, act: Act) -> bool {
    let is_left = match act {
        Act::Chat => restrictions.has_quiet_chat,
        Act::Poll => restrictions.has_no_polls,
        _ => false,
    };
    may(who, act) && (!is_left || who.standing().is_moderator())
}

/// The rights of an occupant by the names of Jitsi's clients, which show by them what a user can
/// do. What is in none of our capabilities the server cannot do.
pub(crate) fn permissions(who: &Occupant) -> Element {
    let has = |capability| who.capabilities().has(capability);
    let may_record = has(Capability::Record);
    let permissions = [
        ("create-polls", may(who, Act::Poll)),
        ("file-upload", may(who, Act::ShareFile)),
        ("flip", false),
        ("live-translation", false),
        ("live-translation-subscribe", false),
        ("livestreaming", may_record),
        ("outbound-call", false),
        ("recording", may_record),
        ("send-groupchat", may(who, Act::Chat)),
        ("send-private-message", may(who, Act::PrivateChat)),
        ("transcription", may_record),
    ];
    let permission = |(name, is_granted): (&str, bool)| {
        // Those of moderators go with the standing.
        let is_granted = is_granted && who.standing().is_moderator();
        Element::builder("p", ns::JITSI_MEET)
            .with("name", name)
            .with("val", is_granted.to_string())
            .build()
    };
    Element::builder("permissions", ns::JITSI_MEET)
        .append_all(permissions.map(permission))
        .build()
}

/// Where somebody stands in a room, as others see it, and what it permits. Decided by the owner of
/// the room, which knows more than the room: grants of earlier visits, policies, tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub affiliation: Affiliation,
    pub role: Role,
    pub capabilities: Capabilities,
}

impl Standing {
    /// What an affiliation means unless something else was decided.
    pub fn of(affiliation: Affiliation) -> Standing {
        // Jitsi's clients count moderators by their role.
        let (role, capabilities) = match affiliation {
            Affiliation::Owner | Affiliation::Admin => {
                (Role::Moderator, Preset::Moderator.capabilities())
            }
            Affiliation::Member | Affiliation::None => {
                (Role::Participant, Preset::Participant.capabilities())
            }
            Affiliation::Outcast => (Role::None, Capabilities::NONE),
        };
        Standing {
            affiliation,
            role,
            capabilities,
        }
    }

    /// Somebody who listens and looks; the others only learn how many of them there are.
    pub fn visitor() -> Standing {
        Standing {
            affiliation: Affiliation::None,
            role: Role::Visitor,
            capabilities: Preset::Visitor.capabilities(),
        }
    }

    /// The same without some capabilities.
    #[must_use]
    pub fn without(self, capabilities: impl IntoIterator<Item = Capability>) -> Standing {
        let left = capabilities.into_iter();
        Standing {
            capabilities: left.fold(self.capabilities, Capabilities::without),
            ..self
        }
    }

    /// Whether clients show a moderator.
    pub fn is_moderator(&self) -> bool {
        self.role == Role::Moderator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standings_and_what_they_permit() {
        let check = |affiliation, kick: bool, chat: bool| {
            let capabilities = Standing::of(affiliation).capabilities;
            assert_eq!(capabilities.has(Capability::Kick), kick, "{affiliation:?}");
            assert_eq!(capabilities.has(Capability::Chat), chat, "{affiliation:?}");
        };
        check(Affiliation::Owner, true, true);
        check(Affiliation::Admin, true, true);
        check(Affiliation::Member, false, true);
        check(Affiliation::None, false, true);
        check(Affiliation::Outcast, false, false);
        let muted = Standing::of(Affiliation::None).without([Capability::Speak]);
        assert!(!muted.capabilities.has(Capability::Speak));
        assert!(!Standing::visitor().capabilities.has(Capability::Speak));
    }
}
