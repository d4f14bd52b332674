//! What arrives at a port for everything, told apart by its first bytes.

/// What a datagram looks like (RFC 7983; RTP and RTCP by RFC 5761, section 4). Nothing says yet
/// that it is what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramKind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

impl DatagramKind {
    /// None if it is none of these, or shorter than their headers.
    pub fn of(datagram: &[u8]) -> Option<DatagramKind> {
        match (datagram, datagram.len()) {
            ([0..=3, ..], 20..) if datagram.get(4..8) == Some(&STUN_COOKIE) => {
                Some(DatagramKind::Stun)
            }
            ([20..=63, ..], 13..) => Some(DatagramKind::Dtls),
            // Payload types 64 to 95 of RTP would look like RTCP: nobody uses them beside it.
            ([128..=191, 192..=223, ..], 8..) => Some(DatagramKind::Rtcp),
            ([128..=191, 0..=191 | 224.., ..], 12..) => Some(DatagramKind::Rtp),
            _ => None,
        }
    }

    /// Whether it is media, or a report on it.
    pub fn is_media(self) -> bool {
        matches!(self, DatagramKind::Rtp | DatagramKind::Rtcp)
    }
}

/// RFC 8489, section 5.
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

#[cfg(test)]
mod tests {
    use super::*;

    /// Beginning with these bytes, and so long.
    fn kind(start: &[u8], length: usize) -> Option<DatagramKind> {
        let mut datagram = start.to_vec();
        datagram.resize(length, 0);
        DatagramKind::of(&datagram)
    }

    #[test]
    fn the_first_bytes_tell() {
        let binding = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        assert_eq!(kind(&binding, 20), Some(DatagramKind::Stun));
        assert_eq!(kind(&[], 40), None, "no cookie");
        for (first, expected) in [
            (19, None),
            (20, Some(DatagramKind::Dtls)),
            (63, Some(DatagramKind::Dtls)),
            (64, None),
            (127, None),
            (128, Some(DatagramKind::Rtp)),
            (191, Some(DatagramKind::Rtp)),
            (192, None),
        ] {
            assert_eq!(kind(&[first, 111], 40), expected, "{first}");
        }
        for (second, expected) in [
            (0, DatagramKind::Rtp),
            (96, DatagramKind::Rtp),
            (127, DatagramKind::Rtp),
            (191, DatagramKind::Rtp),
            (192, DatagramKind::Rtcp),
            (200, DatagramKind::Rtcp),
            (223, DatagramKind::Rtcp),
            (224, DatagramKind::Rtp),
            (255, DatagramKind::Rtp),
        ] {
            assert_eq!(kind(&[0x80, second], 40), Some(expected), "{second}");
        }
        assert_eq!(kind(b"GET / HTTP/1.1\r\n\r\n", 18), None);
    }

    #[test]
    fn what_is_shorter_than_its_header_is_nothing() {
        let binding = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        for (start, header) in [
            (&binding[..], 20),
            (&[22], 13),
            (&[0x80, 111], 12),
            (&[0x80, 206], 8),
        ] {
            assert!(kind(start, header).is_some());
            assert_eq!(
                kind(&start[..start.len().min(header - 1)], header - 1),
                None
            );
        }
        assert_eq!(DatagramKind::of(&[]), None);
    }
}
