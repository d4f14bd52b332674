//! What a client can do, as far as it changes the offer.

use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::ns;

use crate::Config;

/// Abilities of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) has_audio: bool,
    pub(crate) has_video: bool,
    pub(crate) has_data_channel: bool,
    pub(crate) has_rtx: bool,
    pub(crate) has_transport_cc: bool,
    /// Receiver estimated maximum bitrate: congestion control of clients without the above.
    pub(crate) has_remb: bool,
    /// Redundant audio (RFC 2198).
    pub(crate) has_opus_red: bool,
    /// Reads other participants' sources in the compact form.
    pub(crate) has_json_sources: bool,
    /// Takes others' media in slots of the bridge and is told by it whose they are.
    pub(crate) has_ssrc_rewriting: bool,
}

impl Features {
    /// What is assumed of a client that does not say.
    pub(crate) const LEAST: Features = Features {
        has_audio: true,
        has_video: true,
        has_data_channel: true,
        has_rtx: false,
        has_transport_cc: false,
        has_remb: false,
        has_opus_red: false,
        has_json_sources: false,
        has_ssrc_rewriting: false,
    };

    /// What a client says.
    pub(crate) fn of(info: &DiscoInfo) -> Features {
        Features {
            has_audio: info.has_feature(ns::JINGLE_RTP_AUDIO),
            has_video: info.has_feature(ns::JINGLE_RTP_VIDEO),
            has_data_channel: info.has_feature(ns::JINGLE_SCTP),
            has_rtx: info.has_feature(ns::RTX_FEATURE),
            has_transport_cc: info.has_feature(ns::TCC_FEATURE),
            has_remb: info.has_feature(ns::REMB_FEATURE),
            has_opus_red: info.has_feature(ns::OPUS_RED_FEATURE),
            has_json_sources: info.has_feature(ns::JSON_SOURCES),
            has_ssrc_rewriting: info.has_feature(ns::SSRC_REWRITING),
        }
    }

    /// What of it is used here.
    pub(crate) fn permitted_by(self, config: &Config) -> Features {
        Features {
            has_opus_red: self.has_opus_red && config.has_opus_red,
            has_ssrc_rewriting: self.has_ssrc_rewriting && config.has_ssrc_rewriting,
            ..self
        }
    }

    /// Whether there is anything to invite it to. An ordinary chat client says that it has
    /// neither audio nor video.
    pub(crate) fn has_media(self) -> bool {
        self.has_audio || self.has_video
    }
}
