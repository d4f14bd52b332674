//! The VP9 RTP payload (RFC 9628) as far as a synthetic sender and a checking receiver need it:
//! spatial layers in one stream, not in flexible mode, as browsers send a camera.

/// The payload descriptor of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// First packet of a layer's frame (B).
    pub(crate) is_start: bool,
    /// Last packet of a layer's frame (E).
    pub(crate) is_end: bool,
    pub(crate) picture_id: u16,
    pub(crate) tl0_pic_idx: u8,
    pub(crate) temporal: u8,
    pub(crate) spatial: u8,
    /// The frame refers to an earlier picture (P).
    pub(crate) is_inter_picture: bool,
    /// The frame refers to the spatial layer below (D).
    pub(crate) is_inter_layer: bool,
    /// Higher temporal layers can be taken up from here on (U).
    pub(crate) is_switching_up: bool,
    /// The spatial layer above refers to it (the opposite of Z).
    pub(crate) is_for_upper: bool,
}

impl Descriptor {
    /// Bytes of a written descriptor without scalability structure.
    pub(crate) const LENGTH: usize = 5;

    /// Appends the descriptor with a picture id of 15 bits, and with a scalability structure if
    /// widths and heights of the spatial layers are given.
    pub(crate) fn write(&self, sizes: Option<&[(u16, u16)]>, out: &mut Vec<u8>) {
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let [high, low] = (self.picture_id & PICTURE_ID_MAX).to_be_bytes();
        let has_picture_id = 0x80;
        let has_layers = 0x20;
        out.push(
            has_picture_id
                | flag(self.is_inter_picture, 0x40)
                | has_layers
                | flag(self.is_start, 0x08)
                | flag(self.is_end, 0x04)
                | flag(sizes.is_some(), 0x02)
                | flag(!self.is_for_upper, 0x01),
        );
        out.extend_from_slice(&[
            0x80 | high,
            low,
            self.temporal << 5
                | flag(self.is_switching_up, 0x10)
                | self.spatial << 1
                | flag(self.is_inter_layer, 0x01),
            self.tl0_pic_idx,
        ]);
        if let Some(sizes) = sizes {
            write_structure(sizes, out);
        }
    }

    /// Reads a descriptor as [`write`](Descriptor::write) makes them; gives the rest of the packet.
    pub(crate) fn read(payload: &[u8]) -> Option<(Descriptor, &[u8])> {
        let (&[flags, high, low, layers, tl0_pic_idx], mut rest) =
            payload.split_first_chunk::<{ Descriptor::LENGTH }>()?;
        let is_ours = flags & 0xb0 == 0xa0 && high & 0x80 != 0;
        if !is_ours {
            return None;
        }
        if flags & 0x02 != 0 {
            rest = skip_structure(rest)?;
        }
        let descriptor = Descriptor {
            is_start: flags & 0x08 != 0,
            is_end: flags & 0x04 != 0,
            picture_id: u16::from_be_bytes([high & 0x7f, low]),
            tl0_pic_idx,
            temporal: layers >> 5,
            spatial: layers >> 1 & 7,
            is_inter_picture: flags & 0x40 != 0,
            is_inter_layer: layers & 0x01 != 0,
            is_switching_up: layers & 0x10 != 0,
            is_for_upper: flags & 0x01 == 0,
        };
        Some((descriptor, rest))
    }
}

/// The scalability structure: the layers' sizes, and three temporal layers as 0 2 1 2.
fn write_structure(sizes: &[(u16, u16)], out: &mut Vec<u8>) {
    let above = u8::try_from(sizes.len().saturating_sub(1)).unwrap_or(0) & 7;
    let (has_sizes, has_group) = (0x10, 0x08);
    out.push(above << 5 | has_sizes | has_group);
    for (width, height) in sizes {
        out.extend_from_slice(&width.to_be_bytes());
        out.extend_from_slice(&height.to_be_bytes());
    }
    out.push(GROUP.len() as u8);
    for (temporal, is_switching_up, distance) in GROUP {
        let references = 1;
        out.push(temporal << 5 | u8::from(is_switching_up) << 4 | references << 2);
        out.push(distance);
    }
}

fn skip_structure(bytes: &[u8]) -> Option<&[u8]> {
    let (&first, mut rest) = bytes.split_first()?;
    if first & 0x10 != 0 {
        rest = rest.get(4 * (usize::from(first >> 5) + 1)..)?;
    }
    if first & 0x08 != 0 {
        let (&pictures, behind) = rest.split_first()?;
        rest = behind;
        for _ in 0..pictures {
            let (&picture, behind) = rest.split_first()?;
            rest = behind.get(usize::from(picture >> 2 & 3)..)?;
        }
    }
    Some(rest)
}

/// Appends what opens a frame: the first bytes of its uncompressed header (VP9 bitstream
/// specification 6.2). Only the lowest layer of a key picture is a key frame by itself.
pub(crate) fn write_frame_header(is_key: bool, out: &mut Vec<u8>) {
    match is_key {
        true => out.extend_from_slice(&KEY_START),
        false => out.push(INTER_START),
    }
}

/// Reads what [`write_frame_header`] wrote: whether it is a key frame, and the rest.
pub(crate) fn read_frame_header(data: &[u8]) -> Option<(bool, &[u8])> {
    match data.strip_prefix(&KEY_START) {
        Some(rest) => Some((true, rest)),
        None => Some((false, data.strip_prefix(&[INTER_START])?)),
    }
}

/// Frame marker, profile 0, a key frame that is shown; the sync code.
const KEY_START: [u8; 4] = [0x82, 0x49, 0x83, 0x42];
/// Frame marker, profile 0, any other frame that is shown.
const INTER_START: u8 = 0x86;

/// A group of pictures: temporal layer, whether higher ones can be taken up, and how many pictures
/// back the one is that it refers to.
pub(crate) const GROUP: [(u8, bool, u8); 4] =
    [(0, false, 4), (2, true, 1), (1, true, 2), (2, false, 1)];

pub(crate) const PICTURE_ID_MAX: u16 = 0x7fff;

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Descriptor {
        Descriptor {
            is_start: true,
            is_end: false,
            picture_id: 0x1234,
            tl0_pic_idx: 200,
            temporal: 2,
            spatial: 1,
            is_inter_picture: true,
            is_inter_layer: false,
            is_switching_up: true,
            is_for_upper: false,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let key = Descriptor {
            is_end: true,
            temporal: 0,
            spatial: 0,
            is_inter_picture: false,
            is_switching_up: false,
            is_for_upper: true,
            ..descriptor()
        };
        for (descriptor, sizes) in [
            (descriptor(), None),
            (key, Some(&[(320, 180), (640, 360), (1280, 720)][..])),
            (key, Some(&[(320, 180)])),
        ] {
            for is_key in [true, false] {
                let mut bytes = Vec::new();
                descriptor.write(sizes, &mut bytes);
                write_frame_header(is_key, &mut bytes);
                bytes.push(9);
                let (read, rest) = Descriptor::read(&bytes).unwrap();
                assert_eq!(read, descriptor);
                assert_eq!(read_frame_header(rest), Some((is_key, &[9][..])));
            }
        }
    }

    /// Byte for byte after RFC 9628, 4.2.
    #[test]
    fn bytes_are_those_of_the_rfc() {
        let mut bytes = Vec::new();
        descriptor().write(None, &mut bytes);
        assert_eq!(bytes, [0xe9, 0x92, 0x34, 0x52, 200]);
        bytes.clear();
        descriptor().write(Some(&[(320, 180), (640, 360)]), &mut bytes);
        assert_eq!(bytes[0], 0xeb);
        assert_eq!(bytes[5], 0x38);
        assert_eq!(bytes[6..14], [1, 64, 0, 180, 2, 128, 1, 104]);
        assert_eq!(bytes[14..], [4, 0x04, 4, 0x54, 1, 0x34, 2, 0x44, 1]);
    }

    #[test]
    fn others_and_short_packets_are_refused() {
        let mut bytes = Vec::new();
        descriptor().write(Some(&[(320, 180)]), &mut bytes);
        for end in 0..bytes.len() {
            assert!(Descriptor::read(&bytes[..end]).is_none(), "{end}");
        }
        // Flexible, without layers, with a short picture id.
        for (at, bits) in [(0, 0x10), (0, 0x20), (1, 0x80)] {
            let mut other = bytes.clone();
            other[at] ^= bits;
            assert!(Descriptor::read(&other).is_none(), "{at} {bits:x}");
        }
        assert!(read_frame_header(&[]).is_none());
        assert!(read_frame_header(&[0x49]).is_none());
    }
}
