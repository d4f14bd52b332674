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

/// A video codec that clients can be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VideoCodec {
    Av1,
    Vp8,
    H264,
    Vp9,
}

impl VideoCodec {
    /// All, in the order in which Jicofo offers them.
    pub const ALL: [VideoCodec; 4] = [
        VideoCodec::Av1,
        VideoCodec::Vp8,
        VideoCodec::H264,
        VideoCodec::Vp9,
    ];

    /// Its name in RTP (RFC 8866, `rtpmap`).
    pub const fn as_str(self) -> &'static str {
        match self {
            VideoCodec::Av1 => "AV1",
            VideoCodec::Vp8 => "VP8",
            VideoCodec::H264 => "H264",
            VideoCodec::Vp9 => "VP9",
        }
    }

    /// The codec of that name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<VideoCodec> {
        let mut all = VideoCodec::ALL.into_iter();
        all.find(|codec| codec.as_str().eq_ignore_ascii_case(name))
    }

    /// Jicofo's payload types for it and for its retransmissions. One conference uses one
    /// numbering: what a client sends goes to the others as it is.
    pub const fn payload_types(self) -> (u8, u8) {
        match self {
            VideoCodec::Av1 => (41, 42),
            VideoCodec::Vp8 => (100, 96),
            VideoCodec::H264 => (107, 99),
            VideoCodec::Vp9 => (101, 97),
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
