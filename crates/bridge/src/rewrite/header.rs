//! What one packet of video says about itself, whatever its codec. Read once per packet.
//!
//! A dependency descriptor counts before what the codec says: it is the only thing that AV1 and
//! H.264 have, and end-to-end encryption leaves it in the clear. VP8 says as much by itself.

use tertulia_model::VideoCodec;

use crate::descriptor::Descriptor;
use crate::rewrite::h264;
use crate::rewrite::vp8::Vp8Header;
use crate::rewrite::vp9::Vp9Header;

/// What one packet says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VideoHeader {
    pub(crate) codec: VideoCodec,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// First packet of its frame, as far as can be told.
    pub(crate) is_frame_start: bool,
    /// Last packet of its frame, where that is not told by the marker.
    pub(crate) is_frame_end: bool,
    /// Decoding can begin with it.
    pub(crate) is_keyframe_start: bool,
    /// Higher temporal layers can be taken up from here on.
    pub(crate) is_layer_sync: bool,
    pub(crate) own: Own,
    pub(crate) descriptor: Option<Descriptor>,
}

/// What the codec's own descriptor in the payload says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own {
    Vp8(Vp8Header),
    Vp9(Vp9Header),
    None,
}

impl VideoHeader {
    /// None if the payload is not of that codec, or there is none (padding).
    pub(crate) fn read(
        codec: VideoCodec,
        payload: &[u8],
        descriptor: Option<Descriptor>,
    ) -> Option<VideoHeader> {
        if payload.is_empty() {
            return None;
        }
        let mut header = VideoHeader {
            codec,
            spatial: 0,
            temporal: 0,
            is_frame_start: false,
            is_frame_end: false,
            is_keyframe_start: false,
            is_layer_sync: false,
            own: Own::None,
            descriptor,
        };
        match codec {
            VideoCodec::Vp8 => {
                let vp8 = Vp8Header::parse(payload)?;
                header.temporal = vp8
                    .temporal()
                    .or(descriptor.map(|descriptor| descriptor.temporal))
                    .unwrap_or(0);
                header.is_frame_start = vp8.is_frame_start;
                header.is_keyframe_start = vp8.is_keyframe_start();
                header.is_layer_sync = vp8.is_layer_sync;
                header.own = Own::Vp8(vp8);
                return Some(header);
            }
            VideoCodec::Vp9 => {
                let vp9 = Vp9Header::parse(payload)?;
                header.spatial = vp9.spatial;
                header.temporal = vp9.temporal;
                header.is_frame_start = vp9.is_frame_start;
                header.is_frame_end = vp9.is_frame_end;
                header.is_keyframe_start = vp9.is_keyframe_start();
                header.is_layer_sync = vp9.is_switching_up;
                header.own = Own::Vp9(vp9);
            }
            VideoCodec::H264 => header.is_keyframe_start = h264::is_keyframe_start(payload),
            VideoCodec::Av1 => {
                header.is_keyframe_start = payload
                    .first()
                    .is_some_and(|first| first & NEW_SEQUENCE != 0);
            }
        }
        if let Some(descriptor) = descriptor {
            header.spatial = descriptor.spatial;
            header.temporal = descriptor.temporal;
            header.is_frame_start = descriptor.is_frame_start;
            header.is_frame_end = descriptor.is_frame_end;
            header.is_keyframe_start = descriptor.is_keyframe_start();
        }
        Some(header)
    }

    /// Picture id, and how many different ones there are.
    pub(crate) fn picture(&self) -> Option<(u16, i64)> {
        let (picture, is_long) = match &self.own {
            Own::Vp8(vp8) => vp8.picture()?,
            Own::Vp9(vp9) => vp9.picture?,
            Own::None => return None,
        };
        Some((picture, if is_long { 1 << 15 } else { 1 << 7 }))
    }

    /// Index of the temporal base layer.
    pub(crate) fn base_layer(&self) -> Option<u8> {
        match &self.own {
            Own::Vp8(vp8) => vp8.base_layer(),
            Own::Vp9(vp9) => vp9.base_layer(),
            Own::None => None,
        }
    }
}

/// In the aggregation header of AV1: a coded video sequence begins, which it does with a key frame
/// (RTP payload format for AV1, 4.4).
const NEW_SEQUENCE: u8 = 0x08;
