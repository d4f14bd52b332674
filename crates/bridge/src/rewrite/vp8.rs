//! VP8 (RFC 7741): what a packet says of itself, and the numbers inside the payload.

use tertulia_transport::send::Patch;

/// What one packet of VP8 says about itself (RFC 7741, 4.2 and 4.3). Read once per packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vp8Header {
    picture: Option<Picture>,
    /// Index of the temporal base layer, and where it stands in the payload.
    base_layer: Option<(u8, usize)>,
    temporal: Option<u8>,
    pub(crate) is_layer_sync: bool,
    pub(crate) is_frame_start: bool,
    is_keyframe_start: bool,
    /// Width and height, at the start of a key frame.
    pub(crate) size: Option<(u16, u16)>,
}

#[derive(Clone, Copy, Debug)]
struct Picture {
    id: u16,
    /// It has 15 bits instead of 7.
    is_long: bool,
    /// Where it stands in the payload.
    at: usize,
}

impl Vp8Header {
    /// None if the payload is not VP8.
    pub(crate) fn parse(payload: &[u8]) -> Option<Vp8Header> {
        let mut bytes = payload.iter().copied().enumerate();
        let mut next = || bytes.next();
        let (_, first) = next()?;
        let is_frame_start = first & 0x17 == 0x10;
        let mut header = Vp8Header {
            picture: None,
            base_layer: None,
            temporal: None,
            is_layer_sync: false,
            is_frame_start,
            is_keyframe_start: false,
            size: None,
        };
        if first & 0x80 != 0 {
            let (_, present) = next()?;
            if present & 0x60 == 0x40 {
                // An index of base layers where there are no layers.
                return None;
            }
            if present & 0x80 != 0 {
                let (at, high) = next()?;
                let is_long = high & 0x80 != 0;
                let mut id = u16::from(high & 0x7f);
                if is_long {
                    id = id << 8 | u16::from(next()?.1);
                }
                header.picture = Some(Picture { id, is_long, at });
            }
            if present & 0x40 != 0 {
                let (at, index) = next()?;
                header.base_layer = Some((index, at));
            }
            if present & 0x30 != 0 {
                let (_, layers) = next()?;
                header.temporal = (present & 0x20 != 0).then_some(layers >> 6);
                header.is_layer_sync = present & 0x20 != 0 && layers & 0x20 != 0;
            }
        }
        // There is no VP8 behind a descriptor that takes up everything.
        let (frame_at, tag) = next()?;
        header.is_keyframe_start = is_frame_start && tag & 0x01 == 0;
        if header.is_keyframe_start {
            // Frame tag (3 bytes), start code 9d 01 2a, width and height with scaling bits.
            let frame = payload.get(frame_at..).unwrap_or_default();
            if let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *frame {
                let width = u16::from_le_bytes([w0, w1]) & 0x3fff;
                let height = u16::from_le_bytes([h0, h1]) & 0x3fff;
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
        self.picture.map(|picture| (picture.id, picture.is_long))
    }

    pub(crate) fn base_layer(&self) -> Option<u8> {
        self.base_layer.map(|(index, _)| index)
    }

    /// What makes other numbers of those in the payload, without a copy of it. Each keeps its
    /// length; none where the picture id does not fit into it.
    pub(crate) fn renumbered(&self, picture: u16, base_layer: u8) -> Option<Patch> {
        let mut patch = Patch::default();
        if let Some(own) = self.picture {
            let [high, low] = picture.to_be_bytes();
            let is_small = picture < if own.is_long { 1 << 15 } else { 1 << 7 };
            if !is_small {
                return None;
            }
            if own.is_long {
                patch = patch.with(own.at, high | 0x80)?.with(own.at + 1, low)?;
            } else {
                patch = patch.with(own.at, low)?;
            }
        }
        if let Some((_, at)) = self.base_layer {
            patch = patch.with(at, base_layer)?;
        }
        Some(patch)
    }
}
