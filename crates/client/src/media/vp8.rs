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

/// Appends the frame header (RFC 6386 9.1) that opens a frame: 10 bytes with the size of the
/// picture for a key frame, 3 otherwise.
pub(crate) fn write_frame_header(is_key: bool, width: u16, height: u16, out: &mut Vec<u8>) {
    let shown = 0x10;
    if is_key {
        out.extend_from_slice(&[shown, 0, 0, 0x9d, 0x01, 0x2a]);
        out.extend_from_slice(&width.to_le_bytes());
        out.extend_from_slice(&height.to_le_bytes());
    } else {
        out.extend_from_slice(&[shown | 1, 0, 0]);
    }
}

/// Reads what [`write_frame_header`] wrote: whether it is a key frame, and the rest.
pub(crate) fn read_frame_header(data: &[u8]) -> Option<(bool, &[u8])> {
    let is_key = data.first()? & 1 == 0;
    let rest = data.get(if is_key { 10 } else { 3 }..)?;
    Some((is_key, rest))
}

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
            write_frame_header(is_key, 640, 360, &mut bytes);
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
