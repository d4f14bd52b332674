//! VP8 (RFC 7741): what a packet says of itself, and the numbers inside the payload.

use str0m::rtp::{Vp8Descriptor, Vp8Patch};

/// What one packet of VP8 says about itself (RFC 7741, 4.2 and 4.3). Read once per packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vp8Header {
    descriptor: Vp8Descriptor,
    is_picture_id_long: bool,
    temporal: Option<u8>,
    pub(crate) is_layer_sync: bool,
    pub(crate) is_frame_start: bool,
    is_keyframe_start: bool,
    /// Width and height, at the start of a key frame.
    pub(crate) size: Option<(u16, u16)>,
}

impl Vp8Header {
    /// None if the payload is not VP8.
    pub(crate) fn parse(payload: &[u8]) -> Option<Vp8Header> {
        let descriptor = Vp8Descriptor::parse(payload).ok()?;
        let (&first, rest) = payload.split_first()?;
        let is_frame_start = first & 0x17 == 0x10;
        let mut header = Vp8Header {
            descriptor,
            is_picture_id_long: false,
            temporal: None,
            is_layer_sync: false,
            is_frame_start,
            is_keyframe_start: descriptor.starts_keyframe(payload),
            size: None,
        };
        let mut rest = rest.iter().copied();
        if first & 0x80 != 0 {
            let present = rest.next()?;
            if present & 0x80 != 0 && rest.next()? & 0x80 != 0 {
                header.is_picture_id_long = true;
                rest.next()?;
            }
            if present & 0x40 != 0 {
                rest.next()?;
            }
            if present & 0x30 != 0 {
                let layers = rest.next()?;
                header.temporal = (present & 0x20 != 0).then_some(layers >> 6);
                header.is_layer_sync = present & 0x20 != 0 && layers & 0x20 != 0;
            }
        }
        if header.is_keyframe_start {
            // Frame tag (3 bytes), start code 9d 01 2a, width and height with scaling bits.
            let mut frame = [0u8; 10];
            for (to, from) in frame.iter_mut().zip(rest) {
                *to = from;
            }
            if frame[3..6] == [0x9d, 0x01, 0x2a] {
                let width = u16::from_le_bytes([frame[6], frame[7]]) & 0x3fff;
                let height = u16::from_le_bytes([frame[8], frame[9]]) & 0x3fff;
                header.size = Some((width, height));
            }
        }
        Some(header)
    }

    /// The temporal layer, where there are any.
    pub(crate) fn temporal(&self) -> Option<u8> {
        self.temporal
    }

    /// Whether this packet starts a key frame.
    pub(crate) fn is_keyframe_start(&self) -> bool {
        self.is_keyframe_start
    }

    /// Picture id, and whether it has 15 bits.
    pub(crate) fn picture(&self) -> Option<(u16, bool)> {
        Some((self.descriptor.picture_id()?, self.is_picture_id_long))
    }

    pub(crate) fn base_layer(&self) -> Option<u8> {
        self.descriptor.tl0_pic_idx()
    }

    /// What makes other numbers of those in the payload, without a copy of it.
    pub(crate) fn renumbered(&self, picture: u16, base_layer: u8) -> Option<Vp8Patch> {
        let mut patch = self.descriptor.patch();
        if self.descriptor.picture_id().is_some() {
            patch = patch.picture_id(picture);
        }
        if self.descriptor.tl0_pic_idx().is_some() {
            patch = patch.tl0_pic_idx(base_layer);
        }
        patch.build().ok()
    }
}
