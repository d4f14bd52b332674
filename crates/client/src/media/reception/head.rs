//! What one packet of video says of itself, whatever its codec.

use super::Received;
use crate::media::{CameraCodec, Stamp, dependency, vp8, vp9};

/// What stands before the stamp.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) codec: CameraCodec,
    /// First packet of its frame.
    pub(super) is_start: bool,
    /// What the frame header says, in a frame's first packet: it is a key frame by itself.
    pub(super) is_key: bool,
    pub(super) picture_id: u16,
    pub(super) tl0_pic_idx: u8,
    pub(super) temporal: u8,
    /// Its dependency descriptor and the codec's own say the same of where the frame begins and
    /// ends.
    pub(super) is_consistent: bool,
}

impl Head {
    /// None if the packet is none that a synthetic sender made.
    pub(super) fn read(packet: &Received) -> Option<(Head, Stamp)> {
        match packet.codec? {
            CameraCodec::Vp8 => Head::read_vp8(&packet.payload),
            CameraCodec::Vp9 => Head::read_vp9(&packet.payload, packet.descriptor.as_deref()),
        }
    }

    fn read_vp8(payload: &[u8]) -> Option<(Head, Stamp)> {
        let (descriptor, rest) = vp8::Descriptor::read(payload)?;
        let (is_key, rest) = match descriptor.is_start {
            true => vp8::read_frame_header(rest)?,
            false => (false, rest),
        };
        let head = Head {
            codec: CameraCodec::Vp8,
            is_start: descriptor.is_start,
            is_key,
            picture_id: descriptor.picture_id,
            tl0_pic_idx: descriptor.tl0_pic_idx,
            temporal: descriptor.temporal,
            is_consistent: true,
        };
        Some((head, Stamp::read(rest)?))
    }

    fn read_vp9(payload: &[u8], described: Option<&[u8]>) -> Option<(Head, Stamp)> {
        let (descriptor, rest) = vp9::Descriptor::read(payload)?;
        let (is_key, rest) = match descriptor.is_start {
            true => vp9::read_frame_header(rest)?,
            false => (false, rest),
        };
        let stamp = Stamp::read(rest)?;
        let ends = (descriptor.is_start, descriptor.is_end);
        let described = described.and_then(dependency::ends);
        let head = Head {
            codec: CameraCodec::Vp9,
            is_start: descriptor.is_start,
            is_key,
            picture_id: descriptor.picture_id,
            tl0_pic_idx: descriptor.tl0_pic_idx,
            temporal: descriptor.temporal,
            is_consistent: described.is_none_or(|described| described == ends)
                && descriptor.spatial == stamp.layer,
        };
        Some((head, stamp))
    }

    /// The frame, by picture and layer, that must have been decoded before this one. A key picture
    /// of VP9 has a frame of each spatial layer, of which the lowest alone needs nothing.
    pub(super) fn need(&self, stamp: &Stamp) -> Option<(u32, u8)> {
        match (stamp.is_key(), self.codec) {
            (false, _) => Some((stamp.reference, stamp.layer)),
            (true, CameraCodec::Vp8) => None,
            (true, CameraCodec::Vp9) => Some((stamp.number, stamp.layer.checked_sub(1)?)),
        }
    }

    /// Whether two packets belong to different streams of a sender, of which the bridge sends one:
    /// sources, and encodings of a source.
    pub(super) fn is_other_stream(&self, one: &Stamp, other: &Stamp) -> bool {
        one.source != other.source || (self.codec == CameraCodec::Vp8 && one.layer != other.layer)
    }

    /// Whether `next` belongs to another stream, or to the same after frames that were not passed
    /// on.
    pub(super) fn is_begun_anew(&self, last: &Stamp, next: &Stamp) -> bool {
        self.is_other_stream(last, next) || next.number > last.number.saturating_add(1)
    }
}
