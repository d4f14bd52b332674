//! Muting: a moderator's wish, the focus' word to the one it is about, and who starts muted.

use jid::FullJid;
use minidom::Element;

use crate::{Stanza, WithAttribute, ns};

/// What can be muted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MuteMedia {
    Audio,
    /// The camera.
    Video,
    /// The screen.
    Desktop,
}

/// A wish to mute somebody, sent to the focus as an iq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuteRequest {
    pub media: MuteMedia,
    /// Whom, by the address in the room.
    pub target: FullJid,
    /// False asks to be unmuted.
    pub is_muted: bool,
}

/// A `<mute/>` that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMute {
    #[error("expected attribute jid")]
    MissingJid,
    #[error("expected an occupant's address as jid, got {0:?}")]
    Jid(String),
    #[error("expected true or false, got {0:?}")]
    Text(String),
}

/// What somebody who comes in is to leave off at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartMuted {
    pub audio: bool,
    pub video: bool,
}

impl MuteMedia {
    /// All of them.
    pub const ALL: [MuteMedia; 3] = [MuteMedia::Audio, MuteMedia::Video, MuteMedia::Desktop];

    /// The word in namespaces and in the messages of A/V moderation.
    pub fn as_str(self) -> &'static str {
        match self {
            MuteMedia::Audio => "audio",
            MuteMedia::Video => "video",
            MuteMedia::Desktop => "desktop",
        }
    }

    /// What that word means.
    pub fn from_name(name: &str) -> Option<MuteMedia> {
        MuteMedia::ALL
            .into_iter()
            .find(|media| media.as_str() == name)
    }

    fn namespace(self) -> &'static str {
        match self {
            MuteMedia::Audio => ns::MUTE_AUDIO,
            MuteMedia::Video => ns::MUTE_VIDEO,
            MuteMedia::Desktop => ns::MUTE_DESKTOP,
        }
    }
}

impl MuteRequest {
    /// Reads the wish in an iq; None if the iq is about something else.
    pub fn parse(iq: &Stanza) -> Option<Result<MuteRequest, InvalidMute>> {
        let mut kinds = MuteMedia::ALL.into_iter();
        kinds.find_map(|media| Some(read(media, iq.child("mute", media.namespace())?)))
    }

    /// The payload of the iq.
    pub fn to_element(&self) -> Element {
        Element::builder("mute", self.media.namespace())
            .with("jid", self.target.to_string())
            .append(self.is_muted.to_string())
            .build()
    }
}

fn read(media: MuteMedia, element: &Element) -> Result<MuteRequest, InvalidMute> {
    let jid = element.attr("jid").ok_or(InvalidMute::MissingJid)?;
    let target = jid.parse().map_err(|_| InvalidMute::Jid(jid.to_owned()))?;
    let is_muted = match element.text().trim() {
        "true" => true,
        "false" => false,
        other => return Err(InvalidMute::Text(other.to_owned())),
    };
    Ok(MuteRequest {
        media,
        target,
        is_muted,
    })
}

/// What the focus says to somebody who is muted; `actor` is whose wish it was, if it was one
/// occupant's. Nobody is ever told to unmute.
pub fn mute_command(media: MuteMedia, actor: Option<&FullJid>) -> Element {
    Element::builder("mute", media.namespace())
        .with("actor", actor.map(FullJid::to_string))
        .append("true")
        .build()
}

impl StartMuted {
    /// Reads a `<startmuted/>`, as it is in the presence of a moderator with an old client.
    pub fn parse(element: &Element) -> Option<StartMuted> {
        if !element.is("startmuted", ns::START_MUTED) {
            return None;
        }
        let is_set = |name| element.attr(name) == Some("true");
        Some(StartMuted {
            audio: is_set("audio"),
            video: is_set("video"),
        })
    }

    /// The element, also inside session-initiate; None if nothing starts muted.
    pub fn to_element(self) -> Option<Element> {
        let element = Element::builder("startmuted", ns::START_MUTED)
            .with("audio", self.audio.to_string())
            .with("video", self.video.to_string());
        (self != StartMuted::default()).then(|| element.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, expected: Option<Result<MuteRequest, InvalidMute>>) {
        let iq = Stanza::iq("set", "1").with_child(payload.parse().unwrap());
        assert_eq!(MuteRequest::parse(&iq), expected, "{payload}");
    }

    #[test]
    fn wishes() {
        for media in MuteMedia::ALL {
            let request = |is_muted| MuteRequest {
                media,
                target: "tea@conference.localhost/juliet".parse().unwrap(),
                is_muted,
            };
            let written = |text: &str| {
                format!(
                    "<mute xmlns='http://jitsi.org/jitmeet/{}' jid='tea@conference.localhost/juliet'>\
                     {text}</mute>",
                    media.as_str()
                )
            };
            check(&written("true"), Some(Ok(request(true))));
            check(&written(" false "), Some(Ok(request(false))));
            check(&written("1"), Some(Err(InvalidMute::Text("1".to_owned()))));
            check(&written(""), Some(Err(InvalidMute::Text(String::new()))));
            let again = Stanza::iq("set", "1").with_child(request(true).to_element());
            assert_eq!(MuteRequest::parse(&again), Some(Ok(request(true))));
            assert_eq!(MuteMedia::from_name(media.as_str()), Some(media));
        }
        let nobody = "<mute xmlns='http://jitsi.org/jitmeet/audio'>true</mute>";
        check(nobody, Some(Err(InvalidMute::MissingJid)));
        for jid in ["", "tea@conference.localhost", "@/x"] {
            let payload =
                format!("<mute xmlns='http://jitsi.org/jitmeet/audio' jid='{jid}'>true</mute>");
            check(&payload, Some(Err(InvalidMute::Jid(jid.to_owned()))));
        }
        check(
            "<mute xmlns='http://jitsi.org/jitmeet/smell' jid='a@b/c'>true</mute>",
            None,
        );
        check("<other xmlns='http://jitsi.org/jitmeet/audio'/>", None);
        assert_eq!(MuteMedia::from_name("smell"), None);
    }

    #[test]
    fn the_word_to_the_muted_one() {
        let actor: FullJid = "tea@conference.localhost/romeo".parse().unwrap();
        let command = mute_command(MuteMedia::Desktop, Some(&actor));
        assert!(command.is("mute", "http://jitsi.org/jitmeet/desktop"));
        assert_eq!(
            command.attr("actor"),
            Some("tea@conference.localhost/romeo")
        );
        assert_eq!(command.text(), "true");
        assert_eq!(mute_command(MuteMedia::Audio, None).attr("actor"), None);
    }

    #[test]
    fn starting_muted() {
        let muted = StartMuted {
            audio: true,
            video: false,
        };
        let element = muted.to_element().unwrap();
        assert_eq!(
            (element.attr("audio"), element.attr("video")),
            (Some("true"), Some("false"))
        );
        assert_eq!(StartMuted::parse(&element), Some(muted));
        assert_eq!(StartMuted::default().to_element(), None);
        assert_eq!(
            StartMuted::parse(&Element::bare("startmuted", "other")),
            None
        );
        let odd = Element::builder("startmuted", ns::START_MUTED)
            .with("audio", "1")
            .build();
        assert_eq!(StartMuted::parse(&odd), Some(StartMuted::default()));
    }
}
