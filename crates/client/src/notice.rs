//! What a client has to tell its user.

use jid::Jid;
use serde_json::Value;
use tertulia_model::{MediaType, RoomJid, SourceName, VideoType};
use tertulia_stanza::{Condition, Element, Stanza, ns};
use tertulia_stream::Failure;

use crate::media::Flaw;

/// What a user, or a test, may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// In the room.
    Joined,
    /// Out of the room at our own wish, and disconnected.
    Left,
    /// A new socket took over the old session.
    Resumed,
    /// The session is lost; coming back as a new one.
    ResumeRefused,
    /// The page is opened again.
    Reloaded,
    /// The room did not let us in; [`Client::enter`](crate::Client::enter) tries again.
    Refused(Refusal),
    /// In the lobby: a moderator decides.
    Waiting,
    /// A moderator, or the end of the lobby, lets us in.
    Admitted,
    /// A moderator turned us away from the lobby.
    Denied,
    /// Somebody else waits in the lobby, under this nick there.
    Knocked(String),
    /// Somebody does not wait any more.
    KnockEnded(String),
    /// The focus invited us.
    Invited,
    /// Media can flow.
    MediaConnected,
    /// The path for media was renewed in place.
    MediaRenewed,
    /// The focus ended the media session.
    MediaEnded,
    /// A moderator muted us.
    MutedByModerator(MediaKind),
    /// The room wants newcomers to begin muted.
    StartsMuted(MediaType),
    /// We may not switch this on (A/V moderation).
    UnmuteForbidden(MediaKind),
    /// The focus refused what we began to send.
    UnmuteRefused(MediaKind, Option<Condition>),
    /// A moderator allows us to switch this on, or takes that back.
    Approved(MediaKind),
    Rejected(MediaKind),
    /// A moderator asks us to go to that room, where we are going now.
    Moving(RoomJid),
    /// The room's answer to something we did.
    Answered {
        deed: Deed,
        outcome: Outcome,
    },
    /// A message of ours was refused.
    MessageRefused {
        from: Option<Jid>,
        condition: Condition,
        text: Option<String>,
    },
    /// Chat.
    Message {
        /// Nick of the sender.
        from: String,
        body: String,
        id: Option<String>,
        is_private: bool,
        /// It was said before we came.
        is_history: bool,
        /// The message that it answers.
        reply_to: Option<String>,
    },
    /// Somebody reacted to a message.
    Reaction {
        from: String,
        to: String,
        reactions: Vec<String>,
    },
    /// Somebody took a message back.
    Retracted {
        from: String,
        id: String,
    },
    /// A JSON message of an occupant or of the room itself, outside the features we know.
    Json {
        from: Jid,
        value: Value,
    },
    /// A message of somebody else's application over the bridge.
    EndpointMessage {
        from: String,
        payload: Value,
    },
    /// A visitor asks, or no longer asks, to take part.
    PromotionRequested {
        nick: String,
        /// Whom to name in the answer.
        from: String,
        is_on: bool,
    },
    /// The answer to our own wish to take part.
    Promotion {
        is_allowed: bool,
    },
    /// Something that should not have happened to this stream.
    Flaw(SourceName, Flaw),
    Trouble(Trouble),
}

/// What makes Jitsi's client give up, show an error page, or reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The stream broke, and the network is not to blame.
    Stream(Failure),
    RequestRefused(Option<Condition>),
    FocusLeft,
    Kicked,
    RoomDestroyed(Option<String>),
    /// An offer that makes no sense.
    BadOffer(String),
    AcceptRefused(Option<Condition>),
    RestartRefused(Option<Condition>),
    /// The media path died; a new one was asked for.
    PathLost,
    BridgeNotAvailable,
}

/// Why a room does not let somebody in, as Jitsi's client tells it apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A password is needed, or was wrong.
    Password,
    /// Only members may join; others wait in the lobby.
    MembersOnly {
        lobby: Option<RoomJid>,
        is_waiting_for_host: bool,
    },
    /// A display name is needed.
    DisplayName {
        is_for_lobby: bool,
    },
    /// Only somebody who is logged in may open this room.
    Login,
    /// The room is full.
    Full,
    /// A case of visitors, by the name of its element.
    Visitors(String),
    NotAllowed {
        text: Option<String>,
    },
    /// Anything else ends in an error page.
    Other(Condition),
}

/// A request to the room whose answer its author waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Kick,
    /// Grant or revoke.
    Affiliation,
    /// Members of the room before the lobby is turned on.
    Members,
    Password,
    Lobby,
    /// Turning somebody away from the lobby.
    Deny,
    Mute(MediaKind),
}

/// What became of a [`Deed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Refused(Condition),
    Unanswered,
}

/// What moderation tells apart (Jitsi's `mediaType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaKind {
    Audio,
    Video,
    Desktop,
}

impl MediaKind {
    /// All.
    pub const ALL: [MediaKind; 3] = [MediaKind::Audio, MediaKind::Video, MediaKind::Desktop];

    /// The word in messages and the end of namespaces.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Desktop => "desktop",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<MediaKind> {
        MediaKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    pub(crate) fn source(self) -> (MediaType, VideoType) {
        match self {
            MediaKind::Audio => (MediaType::Audio, VideoType::Camera),
            MediaKind::Video => (MediaType::Video, VideoType::Camera),
            MediaKind::Desktop => (MediaType::Video, VideoType::Desktop),
        }
    }

    /// What follows the nick in the name of a source.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            MediaKind::Audio => "a0",
            MediaKind::Video => "v0",
            MediaKind::Desktop => "v1",
        }
    }
}

impl From<MediaType> for MediaKind {
    fn from(media: MediaType) -> MediaKind {
        match media {
            MediaType::Audio => MediaKind::Audio,
            MediaType::Video => MediaKind::Video,
        }
    }
}

impl Refusal {
    /// Reads the error that answers a join, in the order in which Jitsi's client asks.
    pub(crate) fn parse(presence: &Stanza) -> Refusal {
        let condition = presence
            .error_condition()
            .unwrap_or(Condition::UndefinedCondition);
        let Some(error) = presence.child("error", ns::CLIENT) else {
            return Refusal::Other(condition);
        };
        let is_type = |type_| error.attr("type") == Some(type_);
        let find = |name: &str| error.children().find(|child| child.name() == name);
        let visitors = error.children().find(|child| child.ns() == VISITORS);
        if is_type("auth") && condition == Condition::NotAuthorized {
            Refusal::Password
        } else if is_type("cancel") && condition == Condition::NotAllowed {
            match (visitors, find("authentication-required")) {
                (Some(case), _) => Refusal::Visitors(case.name().to_owned()),
                (None, Some(_)) => Refusal::Login,
                (None, None) => Refusal::NotAllowed {
                    text: error_text(error),
                },
            }
        } else if condition == Condition::ServiceUnavailable {
            Refusal::Full
        } else if is_type("auth") && find("lobbyroom").is_some() {
            let lobby = find("lobbyroom").and_then(|lobby| lobby.text().parse().ok());
            Refusal::MembersOnly {
                lobby: lobby.and_then(RoomJid::new),
                is_waiting_for_host: find("waiting-for-host").is_some(),
            }
        } else if let Some(required) = find("displayname-required") {
            Refusal::DisplayName {
                is_for_lobby: required.attr("lobby") == Some("true"),
            }
        } else {
            Refusal::Other(condition)
        }
    }

    /// The room died between request and join; both are done again.
    pub(crate) fn is_of_missing_room(presence: &Stanza) -> bool {
        let error = presence.child("error", ns::CLIENT);
        presence.error_condition() == Some(Condition::NotAllowed)
            && error.is_some_and(|error| {
                error.has_child("room-does-not-exist", ns::JITSI_MEET)
                    || error_text(error).as_deref() == Some("Room creation is restricted")
            })
    }
}

/// The text for people in an `<error/>`.
pub(crate) fn error_text(error: &Element) -> Option<String> {
    error
        .get_child("text", ns::STANZA_ERRORS)
        .map(Element::text)
}

pub(crate) const VISITORS: &str = "jitsi:visitors";

#[cfg(test)]
mod tests {
    use super::*;
    use tertulia_stanza::{ErrorType, Kind, StanzaError, WithAttribute, text_element};

    fn refusal(error: StanzaError) -> Refusal {
        let from: Jid = "tea@conference.localhost/me".parse().unwrap();
        let presence = Stanza::new(Kind::Presence).with_from(from);
        Refusal::parse(&presence.error(error))
    }

    #[test]
    fn each_class_of_join_errors() {
        let bare = |name: &str, namespace: &str| Element::bare(name, namespace);
        let not_allowed = || StanzaError::new(Condition::NotAllowed);
        assert_eq!(refusal(Condition::NotAuthorized.into()), Refusal::Password);
        let lobby = text_element("lobbyroom", ns::JITSI_MEET, "tea@lobby.localhost");
        let members_only = StanzaError::new(Condition::RegistrationRequired).with_extra(lobby);
        let found = refusal(members_only.clone());
        let Refusal::MembersOnly {
            lobby: Some(lobby),
            is_waiting_for_host: false,
        } = found
        else {
            panic!("{found:?}");
        };
        assert_eq!(lobby.to_string(), "tea@lobby.localhost");
        let host = bare("waiting-for-host", ns::JITSI_MEET);
        assert!(matches!(
            refusal(members_only.with_extra(host)),
            Refusal::MembersOnly {
                is_waiting_for_host: true,
                ..
            }
        ));
        assert_eq!(
            refusal(Condition::RegistrationRequired.into()),
            Refusal::Other(Condition::RegistrationRequired),
            "without the lobby's address there is nowhere to wait"
        );
        let name = Element::builder("displayname-required", ns::JITSI_MEET)
            .with("lobby", "true")
            .build();
        let error = StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Modify);
        assert_eq!(
            refusal(error.with_extra(name)),
            Refusal::DisplayName { is_for_lobby: true }
        );
        let login = bare("authentication-required", ns::JITSI_MEET);
        assert_eq!(refusal(not_allowed().with_extra(login)), Refusal::Login);
        let visitors = bare("no-visitors-lobby", VISITORS);
        assert_eq!(
            refusal(not_allowed().with_extra(visitors)),
            Refusal::Visitors("no-visitors-lobby".to_owned())
        );
        assert_eq!(
            refusal(not_allowed().with_text("Invalid resource")),
            Refusal::NotAllowed {
                text: Some("Invalid resource".to_owned())
            }
        );
        assert_eq!(refusal(Condition::ServiceUnavailable.into()), Refusal::Full);
        assert_eq!(
            refusal(Condition::Conflict.into()),
            Refusal::Other(Condition::Conflict)
        );
    }

    #[test]
    fn a_missing_room_is_known_by_its_text_or_its_element() {
        let presence = Stanza::new(Kind::Presence);
        let not_allowed = || StanzaError::new(Condition::NotAllowed);
        let is_missing = |error| Refusal::is_of_missing_room(&presence.error(error));
        assert!(is_missing(
            not_allowed().with_text("Room creation is restricted")
        ));
        let element = Element::bare("room-does-not-exist", ns::JITSI_MEET);
        assert!(is_missing(not_allowed().with_extra(element)));
        assert!(!is_missing(not_allowed()));
        assert!(!is_missing(Condition::Forbidden.into()));
    }
}
