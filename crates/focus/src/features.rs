//! What a client can do, as far as it changes the offer.

use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::ns;

/// Abilities of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) has_audio: bool,
    pub(crate) has_video: bool,
    pub(crate) has_data_channel: bool,
    pub(crate) has_rtx: bool,
    pub(crate) has_transport_cc: bool,
    /// Reads other participants' sources in the compact form.
    pub(crate) has_json_sources: bool,
}

impl Features {
    /// What is assumed of a client that does not say.
    pub(crate) const LEAST: Features = Features {
        has_audio: true,
        has_video: true,
        has_data_channel: true,
        has_rtx: false,
        has_transport_cc: false,
        has_json_sources: false,
    };

    /// What a client says.
    pub(crate) fn of(info: &DiscoInfo) -> Features {
        Features {
            has_audio: info.has_feature(ns::JINGLE_RTP_AUDIO),
            has_video: info.has_feature(ns::JINGLE_RTP_VIDEO),
            has_data_channel: info.has_feature(ns::JINGLE_SCTP),
            has_rtx: info.has_feature(ns::RTX_FEATURE),
            has_transport_cc: info.has_feature(ns::TCC_FEATURE),
            has_json_sources: info.has_feature(ns::JSON_SOURCES),
        }
    }

    /// Whether there is anything to invite it to. An ordinary chat client says that it has
    /// neither audio nor video.
    pub(crate) fn has_media(self) -> bool {
        self.has_audio || self.has_video
    }
}
