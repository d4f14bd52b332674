use std::fmt;

/// One thing an occupant may do (DESIGN 2, idea 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Capability {
    Speak,
    Camera,
    Screen,
    Chat,
    PrivateChat,
    React,
    Hand,
    Poll,
    ShareVideo,
    Files,
    BreakoutSelf,
    Record,
    Admit,
    MuteOthers,
    Kick,
    Lock,
    Grant,
    End,
}

impl Capability {
    /// All, in the order in which documents and interfaces list them.
    pub const ALL: [Capability; 18] = [
        Capability::Speak,
        Capability::Camera,
        Capability::Screen,
        Capability::Chat,
        Capability::PrivateChat,
        Capability::React,
        Capability::Hand,
        Capability::Poll,
        Capability::ShareVideo,
        Capability::Files,
        Capability::BreakoutSelf,
        Capability::Record,
        Capability::Admit,
        Capability::MuteOthers,
        Capability::Kick,
        Capability::Lock,
        Capability::Grant,
        Capability::End,
    ];

    /// The name in configuration, tokens and the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Capability::Speak => "speak",
            Capability::Camera => "camera",
            Capability::Screen => "screen",
            Capability::Chat => "chat",
            Capability::PrivateChat => "private-chat",
            Capability::React => "react",
            Capability::Hand => "hand",
            Capability::Poll => "poll",
            Capability::ShareVideo => "share-video",
            Capability::Files => "files",
            Capability::BreakoutSelf => "breakout-self",
            Capability::Record => "record",
            Capability::Admit => "admit",
            Capability::MuteOthers => "mute-others",
            Capability::Kick => "kick",
            Capability::Lock => "lock",
            Capability::Grant => "grant",
            Capability::End => "end",
        }
    }
}

/// A set of [`Capability`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(u32);

impl Capabilities {
    /// May nothing.
    pub const NONE: Capabilities = Capabilities(0);

    /// The same set and `capability`.
    #[must_use]
    pub fn with(self, capability: Capability) -> Capabilities {
        Capabilities(self.0 | 1 << capability as u8)
    }

    /// The same set but `capability`.
    #[must_use]
    pub fn without(self, capability: Capability) -> Capabilities {
        Capabilities(self.0 & !(1 << capability as u8))
    }

    /// Whether the set has it.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & 1 << capability as u8 != 0
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(
                Capability::ALL
                    .iter()
                    .filter(|c| self.has(**c))
                    .map(|c| c.as_str()),
            )
            .finish()
    }
}

/// Named sets of capabilities, shown to Jitsi's clients as XMPP roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Moderator,
    Participant,
    Visitor,
}

impl Preset {
    /// What an occupant of this kind may do unless something else was decided.
    pub fn capabilities(self) -> Capabilities {
        let all = || Capability::ALL.into_iter();
        let only_moderators = |c: &Capability| *c >= Capability::Record;
        match self {
            Preset::Moderator => all().fold(Capabilities::NONE, Capabilities::with),
            Preset::Participant => all()
                .filter(|c| !only_moderators(c))
                .fold(Capabilities::NONE, Capabilities::with),
            Preset::Visitor => [Capability::Chat, Capability::React, Capability::Hand]
                .into_iter()
                .fold(Capabilities::NONE, Capabilities::with),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets() {
        let moderator = Preset::Moderator.capabilities();
        assert!(Capability::ALL.iter().all(|c| moderator.has(*c)));
        let participant = Preset::Participant.capabilities();
        assert!(participant.has(Capability::Speak) && !participant.has(Capability::Kick));
        assert!(!Preset::Visitor.capabilities().has(Capability::Speak));
        assert!(!moderator.without(Capability::End).has(Capability::End));
    }
}
