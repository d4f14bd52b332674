//! The codecs and header extensions that are offered: one row each, under Jicofo's numbers.

use tertulia_model::{MediaType, VideoCodec};
use tertulia_stanza::jingle::{HeaderExtension, PayloadType};

use crate::features::Features;

/// The codecs for one kind of media in the order of the offer, then their retransmissions. Of
/// video only those of `video`: clients choose among them by an order of their own.
pub(crate) fn payload_types(
    media: MediaType,
    features: Features,
    video: &[VideoCodec],
) -> Vec<PayloadType> {
    let offered = || {
        let of_media = CODECS.iter().filter(move |codec| codec.media == media);
        of_media
            .filter(move |codec| (codec.is_offered)(features))
            .filter(move |codec| codec.video.is_none_or(|codec| video.contains(&codec)))
    };
    let repairs = offered().filter_map(|codec| {
        let id = codec.rtx.filter(|_| features.has_rtx)?;
        let rtx = PayloadType::new(id, "rtx", codec.clockrate, 1);
        Some(rtx.with_parameter("apt", &codec.id.to_string()))
    });
    offered()
        .map(|codec| codec.to_payload_type(features))
        .chain(repairs)
        .collect()
}

/// The header extensions for one kind of media.
pub(crate) fn header_extensions(media: MediaType, features: Features) -> Vec<HeaderExtension> {
    let offered = EXTENSIONS
        .iter()
        .filter(|extension| extension.media.contains(&media) && (extension.is_offered)(features));
    offered
        .map(|extension| HeaderExtension::new(extension.id, extension.uri))
        .collect()
}

struct Codec {
    media: MediaType,
    video: Option<VideoCodec>,
    id: u8,
    name: &'static str,
    clockrate: u32,
    channels: u8,
    parameters: &'static [(&'static str, &'static str)],
    feedback: &'static [(&'static str, Option<&'static str>)],
    /// Its packets count for congestion control.
    has_congestion_control: bool,
    /// Number of its retransmissions.
    rtx: Option<u8>,
    is_offered: fn(Features) -> bool,
}

struct Extension {
    id: u8,
    uri: &'static str,
    media: &'static [MediaType],
    is_offered: fn(Features) -> bool,
}

impl Codec {
    fn to_payload_type(&self, features: Features) -> PayloadType {
        let mut codec = PayloadType::new(self.id, self.name, self.clockrate, self.channels);
        for (name, value) in self.parameters {
            codec = codec.with_parameter(name, value);
        }
        for (type_, subtype) in self.feedback {
            codec = codec.with_feedback(type_, *subtype);
        }
        if !self.has_congestion_control {
            return codec;
        }
        if features.has_transport_cc {
            codec.with_feedback("transport-cc", None)
        } else if features.has_remb && self.media == MediaType::Video {
            codec.with_feedback("goog-remb", None)
        } else {
            codec
        }
    }
}

const CODECS: &[Codec] = &[
    Codec {
        id: 112,
        name: "red",
        parameters: &[("", "111/111")],
        is_offered: |features| features.has_opus_red,
        ..AUDIO
    },
    // Beside RED it needs no error correction of its own.
    Codec {
        parameters: &[("minptime", "10")],
        is_offered: |features| features.has_opus_red,
        ..OPUS
    },
    Codec {
        is_offered: |features| !features.has_opus_red,
        ..OPUS
    },
    Codec {
        id: 126,
        name: "telephone-event",
        clockrate: 8_000,
        channels: 1,
        ..AUDIO
    },
    video(VideoCodec::Av1),
    video(VideoCodec::Vp8),
    Codec {
        parameters: &[
            ("profile-level-id", "42e01f"),
            ("level-asymmetry-allowed", "1"),
            ("packetization-mode", "1"),
        ],
        ..video(VideoCodec::H264)
    },
    video(VideoCodec::Vp9),
];

/// What the rows of audio have in common.
const AUDIO: Codec = Codec {
    media: MediaType::Audio,
    video: None,
    id: 0,
    name: "",
    clockrate: 48_000,
    channels: 2,
    parameters: &[],
    feedback: &[],
    has_congestion_control: false,
    rtx: None,
    is_offered: |_| true,
};

const OPUS: Codec = Codec {
    id: 111,
    name: "opus",
    parameters: &[("minptime", "10"), ("useinbandfec", "1")],
    has_congestion_control: true,
    ..AUDIO
};

/// A row of video.
const fn video(codec: VideoCodec) -> Codec {
    let (id, rtx) = codec.payload_types();
    Codec {
        media: MediaType::Video,
        video: Some(codec),
        id,
        name: codec.as_str(),
        clockrate: 90_000,
        channels: 1,
        parameters: &[],
        feedback: &[("ccm", Some("fir")), ("nack", None), ("nack", Some("pli"))],
        has_congestion_control: true,
        rtx: Some(rtx),
        is_offered: |_| true,
    }
}

/// No `sdes:mid`: the bridge tells sources apart by their SSRCs.
const EXTENSIONS: &[Extension] = &[
    Extension {
        id: 1,
        uri: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        media: &[MediaType::Audio],
        is_offered: |_| true,
    },
    Extension {
        id: 3,
        uri: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        media: &[MediaType::Video],
        is_offered: |_| true,
    },
    Extension {
        id: 5,
        uri: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        media: &[MediaType::Audio, MediaType::Video],
        is_offered: |features| features.has_transport_cc,
    },
    Extension {
        id: 11,
        uri: "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        media: &[MediaType::Video],
        is_offered: |_| true,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `111 opus minptime=10 [transport-cc]`, one line each.
    fn written(media: MediaType, features: Features) -> Vec<String> {
        let codec = |codec: &PayloadType| {
            let mut line = format!("{} {}", codec.id, codec.name);
            for (name, value) in &codec.parameters {
                line += &format!(" {name}={value}");
            }
            for feedback in &codec.feedback {
                let subtype = feedback.subtype.as_deref().unwrap_or_default();
                line += format!(" [{} {subtype}", feedback.type_).trim_end();
                line += "]";
            }
            line
        };
        let video = [VideoCodec::Vp8];
        let offered = payload_types(media, features, &video);
        offered.iter().map(codec).collect()
    }

    fn uris(media: MediaType, features: Features) -> Vec<u8> {
        let extensions = header_extensions(media, features);
        extensions.iter().map(|extension| extension.id).collect()
    }

    const VP8: &str = "100 VP8 [ccm fir] [nack] [nack pli]";

    #[test]
    fn the_least() {
        let least = Features::LEAST;
        let audio = ["111 opus minptime=10 useinbandfec=1", "126 telephone-event"];
        assert_eq!(written(MediaType::Audio, least), audio);
        assert_eq!(written(MediaType::Video, least), [VP8]);
        assert_eq!(uris(MediaType::Audio, least), [1]);
        assert_eq!(uris(MediaType::Video, least), [3, 11]);
    }

    #[test]
    fn feedback_by_what_the_client_can() {
        let transport_cc = Features {
            has_rtx: true,
            has_transport_cc: true,
            has_remb: true,
            ..Features::LEAST
        };
        let video = [format!("{VP8} [transport-cc]"), "96 rtx apt=100".to_owned()];
        assert_eq!(written(MediaType::Video, transport_cc), video);
        let audio = written(MediaType::Audio, transport_cc);
        assert_eq!(
            audio[0],
            "111 opus minptime=10 useinbandfec=1 [transport-cc]"
        );
        assert_eq!(uris(MediaType::Audio, transport_cc), [1, 5]);
        assert_eq!(uris(MediaType::Video, transport_cc), [3, 5, 11]);

        let remb = Features {
            has_transport_cc: false,
            has_rtx: false,
            ..transport_cc
        };
        let video = [format!("{VP8} [goog-remb]")];
        assert_eq!(
            written(MediaType::Video, remb),
            video,
            "only without the other"
        );
        let audio = written(MediaType::Audio, remb);
        assert!(!audio[0].contains('['), "{audio:?}");
    }

    #[test]
    fn all_of_video_in_jicofos_order() {
        let features = Features {
            has_rtx: true,
            ..Features::LEAST
        };
        let offered = |video: &[VideoCodec]| -> Vec<String> {
            let types = payload_types(MediaType::Video, features, video);
            let line = |type_: &PayloadType| {
                let parameters = type_.parameters.iter();
                let parameters: Vec<String> = parameters
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("{} {} {}", type_.id, type_.name, parameters.join(";"))
            };
            types.iter().map(line).collect()
        };
        let all = [
            "41 AV1 ",
            "100 VP8 ",
            "107 H264 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1",
            "101 VP9 ",
            "42 rtx apt=41",
            "96 rtx apt=100",
            "99 rtx apt=107",
            "97 rtx apt=101",
        ];
        let mut preferred = VideoCodec::ALL;
        preferred.reverse();
        assert_eq!(offered(&preferred), all);
        let two = ["41 AV1 ", "101 VP9 ", "42 rtx apt=41", "97 rtx apt=101"];
        assert_eq!(offered(&[VideoCodec::Vp9, VideoCodec::Av1]), two);
    }

    #[test]
    fn redundant_audio_comes_before_opus() {
        let features = Features {
            has_opus_red: true,
            ..Features::LEAST
        };
        let audio = [
            "112 red =111/111",
            "111 opus minptime=10",
            "126 telephone-event",
        ];
        assert_eq!(written(MediaType::Audio, features), audio);
    }
}
