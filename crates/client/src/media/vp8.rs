//! The VP8 RTP payload (RFC 7741) as far as a synthetic sender and a checking receiver need it.

/// The payload descriptor of one packet and what its first bytes say about the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// First packet of a frame (S bit, partition 0).
    pub(crate) is_start: bool,
    pub(crate) picture_id: u16,
    pub(crate) tl0_pic_idx: u8,
    pub(crate) temporal: u8,
    /// Depends on temporal layer 0 only (Y bit).
    pub(crate) is_sync: bool,
    /// No later frame depends on it (N bit).
    pub(crate) is_discardable: bool,
}

impl Descriptor {
    /// Bytes of a written descriptor.
    pub(crate) const LENGTH: usize = 6;

    /// Appends the descriptor with a 15-bit picture id.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut first = 0x80;
        if self.is_discardable {
            first |= 0x20;
        }
        if self.is_start {
            first |= 0x10;
        }
        let [high, low] = (self.picture_id & PICTURE_ID_MAX).to_be_bytes();
        let sync = if self.is_sync { 0x20 } else { 0 };
        let has_all = 0xe0; // picture id, TL0PICIDX, temporal id
        out.extend_from_slice(&[
            first,
            has_all,
            0x80 | high,
            low,
            self.tl0_pic_idx,
            (self.temporal & 3) << 6 | sync,
        ]);
    }

    /// Reads a descriptor with picture id, TL0PICIDX and temporal id, which is what all of ours
    /// have; gives the rest of the packet.
    pub(crate) fn read(payload: &[u8]) -> Option<(Descriptor, &[u8])> {
        let (&first, rest) = payload.split_first()?;
        let (&fields, rest) = rest.split_first()?;
        if first & 0x80 == 0 || fields & 0xe0 != 0xe0 {
            return None;
        }
        let (&high, rest) = rest.split_first()?;
        let (picture_id, rest) = if high & 0x80 != 0 {
            let (&low, rest) = rest.split_first()?;
            (u16::from_be_bytes([high & 0x7f, low]), rest)
        } else {
            (u16::from(high), rest)
        };
        let (&tl0_pic_idx, rest) = rest.split_first()?;
        let (&last, rest) = rest.split_first()?;
        let descriptor = Descriptor {
            is_start: first & 0x17 == 0x10,
            picture_id,
            tl0_pic_idx,
            temporal: last >> 6,
            is_sync: last & 0x20 != 0,
            is_discardable: first & 0x20 != 0,
        };
        Some((descriptor, rest))
    }
}

/// Appends what opens a frame of so many bytes (all of them, without payload descriptors): its
/// header (RFC 6386 9.1) and the beginning of the first partition. Followed by zeros it is a grey
/// picture for every decoder; other bytes among the zeros change the shade of some parts.
pub(crate) fn write_frame_header(
    is_key: bool,
    (width, height): (u16, u16),
    bytes: usize,
    out: &mut Vec<u8>,
) {
    let (tag, start): (usize, &[u8]) = match is_key {
        true => (KEY_TAG, &KEY_START),
        false => (INTER_TAG, &INTER_START),
    };
    let room = bytes.saturating_sub(tag + start.len());
    let first_partition = bytes.saturating_sub(tag + room.min(COEFFICIENT_BYTES));
    let first_partition = u32::try_from(first_partition).map_or(0, |size| size & 0x7_ffff);
    let shown = 0x10;
    let [low, middle, high, _] = (first_partition << 5 | shown | u32::from(!is_key)).to_le_bytes();
    out.extend_from_slice(&[low, middle, high]);
    if is_key {
        out.extend_from_slice(&[0x9d, 0x01, 0x2a]);
        out.extend_from_slice(&width.to_le_bytes());
        out.extend_from_slice(&height.to_le_bytes());
    }
    out.extend_from_slice(start);
}

/// Reads what [`write_frame_header`] wrote: whether it is a key frame, and the rest.
pub(crate) fn read_frame_header(data: &[u8]) -> Option<(bool, &[u8])> {
    let is_key = data.first()? & 1 == 0;
    let length = match is_key {
        true => KEY_TAG + KEY_START.len(),
        false => INTER_TAG + INTER_START.len(),
    };
    Some((is_key, data.get(length..)?))
}

/// Bytes of the frame header (RFC 6386 9.1).
const KEY_TAG: usize = 10;
const INTER_TAG: usize = 3;

/// The fields of RFC 6386 19.2 of a key frame, bool-coded: no segments, no loop filter, one
/// partition of coefficients, the finest quantiser, probability 255 for "no coefficients" of each
/// kind of block, and no skipping.
const KEY_START: [u8; 12] = [
    0x00, 0x00, 0x00, 0x0e, 0xee, 0x17, 0x76, 0x11, 0xbf, 0x3f, 0xa0, 0x00,
];

/// The same of any other frame; it replaces the last picture, and macroblocks that are predicted
/// from themselves, by their mean, have probability 255.
const INTER_START: [u8; 23] = [
    0x00, 0x00, 0x00, 0x00, 0x3d, 0xdc, 0x2e, 0xec, 0x23, 0x7e, 0x7f, 0x4c, 0xdf, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0xc8,
];

/// At the end of a frame, for its second partition: at 0.0056 bits for each of the 25 blocks of a
/// macroblock, those of 720 lines have no coefficients in 63 bytes.
const COEFFICIENT_BYTES: usize = 80;

pub(crate) const PICTURE_ID_MAX: u16 = 0x7fff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for is_key in [true, false] {
            let descriptor = Descriptor {
                is_start: true,
                picture_id: 0x7abc,
                tl0_pic_idx: 255,
                temporal: 2,
                is_sync: true,
                is_discardable: !is_key,
            };
            let mut bytes = Vec::new();
            descriptor.write(&mut bytes);
            write_frame_header(is_key, (640, 360), 1000, &mut bytes);
            bytes.push(9);
            let (read, rest) = Descriptor::read(&bytes).unwrap();
            assert_eq!(read, descriptor);
            assert_eq!(read_frame_header(rest), Some((is_key, [9].as_slice())));
            assert_eq!(
                str0m::rtp::Vp8Descriptor::parse(&bytes)
                    .unwrap()
                    .picture_id(),
                Some(0x7abc)
            );
        }
    }

    /// A decoder refuses a frame whose first partition is longer than the rest.
    #[test]
    fn both_partitions_have_room_in_the_frame() {
        for bytes in [45, 120, 625, 66_000] {
            for (is_key, tag) in [(true, KEY_TAG), (false, INTER_TAG)] {
                let mut header = Vec::new();
                write_frame_header(is_key, (1280, 720), bytes, &mut header);
                assert_eq!(header[0] & 1 == 0, is_key);
                let size = u32::from_le_bytes([header[0], header[1], header[2], 0]) >> 5;
                let second = bytes - tag - size as usize;
                assert!(size as usize >= header.len() - tag, "{bytes}: {size}");
                assert!(bytes < 120 || second == COEFFICIENT_BYTES, "{second}");
            }
        }
    }

    #[test]
    fn short_packets_are_refused() {
        let mut bytes = Vec::new();
        Descriptor {
            is_start: true,
            picture_id: 1,
            tl0_pic_idx: 2,
            temporal: 0,
            is_sync: false,
            is_discardable: false,
        }
        .write(&mut bytes);
        for end in 0..bytes.len() {
            assert!(Descriptor::read(&bytes[..end]).is_none(), "{end}");
        }
        assert!(read_frame_header(&[]).is_none());
    }
}
