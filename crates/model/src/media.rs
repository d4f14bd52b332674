use std::fmt;

use crate::SourceName;

/// Synchronisation source (RFC 3550): one stream of RTP packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    Audio,
    Video,
}

impl MediaType {
    /// The word used in Jingle content names and `media` attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaType::Audio => "audio",
            MediaType::Video => "video",
        }
    }
}

/// What a video source shows (Jitsi's `videoType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VideoType {
    #[default]
    Camera,
    Desktop,
    /// Nothing at the moment: the source stays signalled and takes no bandwidth.
    None,
}

/// One encoding of a source: its SSRC and that of its retransmissions (FID group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub primary: Ssrc,
    pub rtx: Option<Ssrc>,
}

/// Something an endpoint sends, as signalled. `encodings` are ordered from low to high
/// (SIM group) and never empty; audio has exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: SourceName,
    pub media: MediaType,
    pub video_type: VideoType,
    pub encodings: Vec<Encoding>,
}

impl Source {
    /// The SSRC by which everybody else knows the source: the first of the SIM group.
    pub fn primary(&self) -> Option<Ssrc> {
        self.encodings.first().map(|encoding| encoding.primary)
    }
}
