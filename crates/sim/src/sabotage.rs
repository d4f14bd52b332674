//! Invariants broken on purpose, from outside the product: what the checkers must notice.

use std::time::{Duration, Instant};

use tertulia_client::media::{Camera, Frame, Layer, SyntheticCamera};
use tertulia_model::{BridgeCommand, Ssrc};

use crate::person::CameraMaker;

/// One invariant to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The room never tells the first person that somebody left.
    ForgottenLeave,
    /// The room never tells the first person who is there.
    HiddenOccupants,
    /// The server never hears a goodbye, and its sockets never close.
    DeafServer,
    /// A sender's frames come twice, as if somebody had forwarded them twice.
    RepeatedFrames,
    /// Frames say that they are key frames and are none.
    FalseKeyFrames,
    /// Datagrams vanish that no link has lost.
    VanishingMedia,
    /// The bridge never hears what receivers want.
    IgnoredConstraints,
    /// The focus' ends of sessions never arrive.
    EndlessSessions,
    /// A name gets into the log.
    NameInLog,
    /// Something of ours is broken, and says so.
    ErrorInLog,
    /// What people decided does not survive a crash.
    LostJournal,
    /// Who waits in the lobby hears the room.
    LeakyLobby,
    /// The first person is never told of the room's metadata.
    LateMetadata,
    /// The bridge never hears what is forbidden.
    DeafBridge,
    /// Nobody learns whose media comes on which stream.
    LostMaps,
    /// The first person never learns who moderates.
    HiddenRoles,
    /// The first person never learns who is in which room.
    LostLists,
    /// The first person never learns how others voted.
    LostVotes,
    /// Everybody may do what only moderators may.
    RightsForAll,
    /// The first person is told another id of the meeting.
    TwoMeetings,
    /// The first person sees others under other addresses.
    FalseAddresses,
    /// Moderators are not told that they are.
    NobodyLeads,
}

impl Sabotage {
    /// All.
    pub const ALL: [Sabotage; 22] = [
        Sabotage::ForgottenLeave,
        Sabotage::HiddenOccupants,
        Sabotage::DeafServer,
        Sabotage::RepeatedFrames,
        Sabotage::FalseKeyFrames,
        Sabotage::VanishingMedia,
        Sabotage::IgnoredConstraints,
        Sabotage::EndlessSessions,
        Sabotage::NameInLog,
        Sabotage::ErrorInLog,
        Sabotage::LostJournal,
        Sabotage::LeakyLobby,
        Sabotage::LateMetadata,
        Sabotage::DeafBridge,
        Sabotage::LostMaps,
        Sabotage::HiddenRoles,
        Sabotage::LostLists,
        Sabotage::LostVotes,
        Sabotage::RightsForAll,
        Sabotage::TwoMeetings,
        Sabotage::FalseAddresses,
        Sabotage::NobodyLeads,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Sabotage::ForgottenLeave => "forgotten-leave",
            Sabotage::HiddenOccupants => "hidden-occupants",
            Sabotage::DeafServer => "deaf-server",
            Sabotage::RepeatedFrames => "repeated-frames",
            Sabotage::FalseKeyFrames => "false-key-frames",
            Sabotage::VanishingMedia => "vanishing-media",
            Sabotage::IgnoredConstraints => "ignored-constraints",
            Sabotage::EndlessSessions => "endless-sessions",
            Sabotage::NameInLog => "name-in-log",
            Sabotage::ErrorInLog => "error-in-log",
            Sabotage::LostJournal => "lost-journal",
            Sabotage::LeakyLobby => "leaky-lobby",
            Sabotage::LateMetadata => "late-metadata",
            Sabotage::DeafBridge => "deaf-bridge",
            Sabotage::LostMaps => "lost-maps",
            Sabotage::HiddenRoles => "hidden-roles",
            Sabotage::LostLists => "lost-lists",
            Sabotage::LostVotes => "lost-votes",
            Sabotage::RightsForAll => "rights-for-all",
            Sabotage::TwoMeetings => "two-meetings",
            Sabotage::FalseAddresses => "false-addresses",
            Sabotage::NobodyLeads => "nobody-leads",
        }
    }

    /// The sabotage of that name.
    pub fn from_name(name: &str) -> Option<Sabotage> {
        Sabotage::ALL
            .into_iter()
            .find(|sabotage| sabotage.as_str() == name)
    }

    /// Whether a frame to the server is lost.
    pub(crate) fn swallows_up(self, text: &str) -> bool {
        self == Sabotage::DeafServer && (text.contains("unavailable") || text.starts_with("<close"))
    }

    /// Whether the server learns that a socket closed.
    pub(crate) fn swallows_close(self) -> bool {
        self == Sabotage::DeafServer
    }

    /// Whether a frame to a person is lost.
    pub(crate) fn swallows_down(self, person: usize, text: &str) -> bool {
        match self {
            Sabotage::ForgottenLeave => {
                person == 0 && text.starts_with("<presence") && text.contains("unavailable")
            }
            Sabotage::HiddenOccupants => {
                person == 0
                    && text.starts_with("<presence")
                    && text.contains("SourceInfo")
                    && !text.contains("110")
            }
            Sabotage::EndlessSessions => text.contains("session-terminate"),
            Sabotage::LateMetadata => person == 0 && text.contains("room_metadata"),
            Sabotage::HiddenRoles => {
                let is_own = text.contains("110");
                person == 0 && !is_own && text.contains("role='moderator'") && !is_of_focus(text)
            }
            Sabotage::LostLists => person == 0 && text.contains("breakout-rooms/update"),
            Sabotage::LostVotes => person == 0 && text.contains("answer-poll"),
            _ => false,
        }
    }

    /// Whether a bridge-channel message to the server is lost.
    pub(crate) fn swallows_channel(self, text: &str) -> bool {
        self == Sabotage::IgnoredConstraints && text.contains("ReceiverVideoConstraints")
    }

    /// Whether a bridge-channel message to a person is lost.
    pub(crate) fn swallows_channel_down(self, text: &str) -> bool {
        self == Sabotage::LostMaps && text.contains("SourcesMap")
    }

    /// Whether the bridge never gets a command.
    pub(crate) fn swallows_command(self, command: &BridgeCommand) -> bool {
        self == Sabotage::DeafBridge && matches!(command, BridgeCommand::SetMayForward { .. })
    }

    /// What a frame to a person becomes.
    pub(crate) fn distorted(self, person: usize, text: String) -> String {
        match self {
            Sabotage::TwoMeetings if person == 0 => {
                let Some((head, tail)) = text.split_once("muc#roominfo_meetingId") else {
                    return text;
                };
                let tail = tail.replacen("<value>", FALSE_VALUE, 1);
                format!("{head}muc#roominfo_meetingId{tail}")
            }
            Sabotage::FalseAddresses if person == 0 && !text.contains("110") => {
                text.replace("@localhost/", "@localhost/false-")
            }
            Sabotage::NobodyLeads if text.contains("110") => {
                text.replace("role='moderator'", "role='participant'")
            }
            _ => text,
        }
    }

    /// Whether what is to be noticed needs bridge channels that can be read.
    pub(crate) fn needs_sockets(self) -> bool {
        matches!(self, Sabotage::IgnoredConstraints | Sabotage::LostMaps)
    }

    /// Whether a datagram to a person is lost behind the link's back.
    pub(crate) fn swallows_datagram(self, contents: &[u8]) -> bool {
        // Media by its first byte (RFC 7983); one in 31, chosen by what cannot be predicted.
        self == Sabotage::VanishingMedia
            && contents
                .first()
                .is_some_and(|first| (128..192).contains(first))
            && contents.last().is_some_and(|last| last % 31 == 0)
    }

    /// The camera of this kind of meeting.
    pub(crate) fn camera(self) -> Option<CameraMaker> {
        match self {
            Sabotage::RepeatedFrames => Some(|source, layers, interval| {
                FaultyCamera::boxed(Fault::Repeat, source, layers, interval)
            }),
            Sabotage::FalseKeyFrames => Some(|source, layers, interval| {
                FaultyCamera::boxed(Fault::FalseKey, source, layers, interval)
            }),
            _ => None,
        }
    }

    /// The loss on links: real loss would explain what is to be noticed.
    pub(crate) fn loss(self, loss: f32) -> f32 {
        match self {
            Sabotage::VanishingMedia | Sabotage::RepeatedFrames | Sabotage::FalseKeyFrames => 0.0,
            _ => loss,
        }
    }

    /// What happens once, in the middle of the meeting.
    pub(crate) fn strike(self, name: &str) {
        match self {
            Sabotage::NameInLog => tracing::debug!(name, "somebody spoke"),
            Sabotage::ErrorInLog => tracing::error!("this cannot happen"),
            _ => {}
        }
    }
}

fn is_of_focus(presence: &str) -> bool {
    presence.contains("/focus\"")
}

const FALSE_VALUE: &str = "<value>false-";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Repeat,
    FalseKey,
}

/// A camera that spoils every fiftieth picture of another.
struct FaultyCamera {
    inner: SyntheticCamera,
    fault: Fault,
    count: u32,
    last: Vec<Option<Frame>>,
}

impl FaultyCamera {
    fn boxed(fault: Fault, source: Ssrc, layers: &[Layer], interval: Duration) -> Box<dyn Camera> {
        let inner = SyntheticCamera::new(source, layers, interval);
        Box::new(FaultyCamera {
            inner,
            fault,
            count: 0,
            last: Vec::new(),
        })
    }
}

impl Camera for FaultyCamera {
    fn frames(&mut self, now: Instant, is_active: &dyn Fn(&Layer) -> bool) -> Vec<Option<Frame>> {
        self.count += 1;
        let is_spoilt = self.count.is_multiple_of(50);
        if is_spoilt && self.fault == Fault::Repeat {
            return self.last.clone();
        }
        let mut frames = self.inner.frames(now, is_active);
        if is_spoilt {
            for frame in frames.iter_mut().flatten() {
                frame.is_key = true;
            }
        }
        self.last.clone_from(&frames);
        frames
    }

    fn request_key_frame(&mut self) {
        self.inner.request_key_frame();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        for sabotage in Sabotage::ALL {
            assert_eq!(Sabotage::from_name(sabotage.as_str()), Some(sabotage));
        }
        assert_eq!(Sabotage::from_name("nothing"), None);
    }
}
