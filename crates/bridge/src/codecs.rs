//! The codecs and header extensions of every transport, under the numbers of Jicofo. One conference
//! uses one numbering: what a client sends goes to the others under the number it came with.

use str0m::format::{Codec, CodecConfig, FormatParams};
use str0m::media::Frequency;
use str0m::rtp::{Extension, ExtensionMap};
use tertulia_model::VideoCodec;
use tertulia_model::bridge::EndpointOffer;

use crate::extension::{DESCRIPTOR_URI, DescriptorExtension};

/// The header extensions of a client's transport.
pub(crate) fn extensions(offer: EndpointOffer) -> ExtensionMap {
    let mut extensions = ExtensionMap::empty();
    extensions.set(AUDIO_LEVEL_ID, Extension::AudioLevel);
    extensions.set(ABS_SEND_TIME_ID, Extension::AbsoluteSendTime);
    let descriptor = Extension::with_serializer(DESCRIPTOR_URI, DescriptorExtension);
    extensions.set(DESCRIPTOR_ID, descriptor);
    if offer.has_transport_cc {
        extensions.set(TRANSPORT_CC_ID, Extension::TransportSequenceNumber);
    }
    extensions
}

/// Adds the codecs of a client's transport. What was offered or not is the focus' matter: what is
/// sent nevertheless goes on.
pub(crate) fn add_to(codecs: &mut CodecConfig, offer: EndpointOffer) {
    let mut add_opus = |number: u8| {
        codecs.add_config(
            number.into(),
            None,
            Codec::Opus,
            Frequency::FORTY_EIGHT_KHZ,
            Some(2),
            FormatParams::default(),
        );
    };
    add_opus(OPUS);
    if offer.has_red {
        // One more Opus to str0m, which does not look inside.
        add_opus(RED);
    }
    for codec in VideoCodec::ALL {
        let (number, rtx) = codec.payload_types();
        codecs.add_config(
            number.into(),
            offer.has_rtx.then_some(rtx.into()),
            match codec {
                VideoCodec::Av1 => Codec::Av1,
                VideoCodec::Vp8 => Codec::Vp8,
                VideoCodec::H264 => Codec::H264,
                VideoCodec::Vp9 => Codec::Vp9,
            },
            Frequency::NINETY_KHZ,
            None,
            FormatParams::default(),
        );
    }
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
