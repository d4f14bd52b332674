use tertulia_model::Ssrc;

/// What a synthetic sender writes into each packet, so that a receiver can prove what it got:
/// whose frame this is, which one, which part of it, what it needs to be decoded, and when it was
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The SSRC by which everybody knows the source (its first encoding).
    pub source: Ssrc,
    /// Number of the frame within its encoding; only ever grows.
    pub number: u32,
    /// The frame of the same encoding that must have been decoded before this one; its own
    /// number for a key frame.
    pub reference: u32,
    /// Which encoding of the source, from low to high; 0 for audio.
    pub layer: u8,
    /// Lines of the picture; 0 for audio.
    pub height: u16,
    /// Which packet of the frame this is, from 0.
    pub part: u8,
    /// How many packets the frame has.
    pub parts: u8,
    /// When the packet was sent, in microseconds since the moment that sender and receiver agreed
    /// on ([`Client::measure_from`](crate::Client::measure_from)); 0 without one.
    pub sent: u64,
}

impl Stamp {
    /// Bytes of a written stamp.
    pub const LENGTH: usize = MAGIC.len() + 25;

    /// Whether the frame can be decoded without any other.
    pub fn is_key(&self) -> bool {
        self.reference == self.number
    }

    /// Appends the stamp.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.source.0.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.reference.to_be_bytes());
        out.push(self.layer);
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&[self.part, self.parts]);
        out.extend_from_slice(&self.sent.to_be_bytes());
    }

    /// Reads a stamp from the start of `data`; None if there is none.
    pub fn read(data: &[u8]) -> Option<Stamp> {
        let body = data.strip_prefix(MAGIC)?;
        let (source, body) = take_u32(body)?;
        let (number, body) = take_u32(body)?;
        let (reference, body) = take_u32(body)?;
        let (&[layer, high, low, part, parts], body) = body.split_first_chunk::<5>()?;
        let height = u16::from_be_bytes([high, low]);
        let sent = u64::from_be_bytes(*body.first_chunk::<8>()?);
        Some(Stamp {
            source: Ssrc(source),
            number,
            reference,
            layer,
            height,
            part,
            parts,
            sent,
        })
    }
}

fn take_u32(data: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = data.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*head), rest))
}

const MAGIC: &[u8] = b"TTL1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let stamp = Stamp {
            source: Ssrc(7),
            number: 8,
            reference: 4,
            layer: 2,
            height: 360,
            part: 1,
            parts: 3,
            sent: 1 << 40,
        };
        let mut bytes = Vec::new();
        stamp.write(&mut bytes);
        assert_eq!(bytes.len(), Stamp::LENGTH);
        bytes.extend_from_slice(&[0; 9]);
        assert_eq!(Stamp::read(&bytes), Some(stamp));
        assert_eq!(Stamp::read(&bytes[1..]), None);
        assert_eq!(Stamp::read(&bytes[..Stamp::LENGTH - 1]), None);
    }
}
