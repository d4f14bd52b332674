//! The codecs and header extensions of every transport, under the numbers of Jicofo. One conference
//! uses one numbering: what a client sends goes to the others under the number it came with. What
//! was offered or not is the focus' matter: what is sent nevertheless goes on.

use tertulia_model::VideoCodec;
use tertulia_model::bridge::EndpointOffer;
use tertulia_transport::packet::ExtensionIds;

/// The header extensions of a client's transport.
pub(crate) fn extensions(offer: EndpointOffer) -> ExtensionIds {
    ExtensionIds {
        audio_level: Some(AUDIO_LEVEL_ID),
        absolute_send_time: Some(ABS_SEND_TIME_ID),
        transport_number: offer.has_transport_cc.then_some(TRANSPORT_CC_ID),
        descriptor: Some(DESCRIPTOR_ID),
    }
}

/// The payload types of retransmissions, each after that of what it repeats.
pub(crate) fn retransmissions(offer: EndpointOffer) -> Vec<(u8, u8)> {
    let all = VideoCodec::ALL.map(VideoCodec::payload_types);
    let known = all.into_iter().filter(|_| offer.has_rtx);
    known.collect()
}

/// The video codec of a payload type.
pub(crate) fn video_codec(payload_type: u8) -> Option<VideoCodec> {
    let mut all = VideoCodec::ALL.into_iter();
    all.find(|codec| codec.payload_types().0 == payload_type)
}

pub(crate) const OPUS: u8 = 111;
/// Opus with redundancy.
pub(crate) const RED: u8 = 112;
const AUDIO_LEVEL_ID: u8 = 1;
const ABS_SEND_TIME_ID: u8 = 3;
const TRANSPORT_CC_ID: u8 = 5;
const DESCRIPTOR_ID: u8 = 11;
