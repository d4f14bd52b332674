//! May somebody do something? The one place that answers.

use tertulia_model::{Capabilities, Capability, Preset};
use tertulia_stanza::muc::{Affiliation, Role};

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
    /// Change subject, password or another part of the room's configuration.
    Configure,
    /// Throw somebody out, or keep somebody out.
    Kick,
    /// Give or take somebody's standing.
    Grant,
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
        Act::Configure => has(Capability::Lock),
        Act::Kick => has(Capability::Kick),
        Act::Grant => has(Capability::Grant),
        Act::End => has(Capability::End),
    }
}

/// The role by which clients see an affiliation. Jitsi's clients count moderators by it.
pub(crate) fn role(affiliation: Affiliation) -> Role {
    match affiliation {
        Affiliation::Owner | Affiliation::Admin => Role::Moderator,
        Affiliation::Member | Affiliation::None => Role::Participant,
        Affiliation::Outcast => Role::None,
    }
}

/// What a role may do unless something else was decided.
pub(crate) fn capabilities(role: Role) -> Capabilities {
    match role {
        Role::Moderator => Preset::Moderator.capabilities(),
        Role::Participant => Preset::Participant.capabilities(),
        Role::Visitor => Preset::Visitor.capabilities(),
        Role::None => Capabilities::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standings_and_what_they_may() {
        let check = |affiliation, kick: bool, chat: bool| {
            let capabilities = capabilities(role(affiliation));
            assert_eq!(capabilities.has(Capability::Kick), kick, "{affiliation:?}");
            assert_eq!(capabilities.has(Capability::Chat), chat, "{affiliation:?}");
        };
        check(Affiliation::Owner, true, true);
        check(Affiliation::Admin, true, true);
        check(Affiliation::Member, false, true);
        check(Affiliation::None, false, true);
        check(Affiliation::Outcast, false, false);
    }
}
