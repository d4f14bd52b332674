use tertulia_model::Ssrc;

use super::Stamp;

/// Makes Opus packets: a header byte of a 20 ms wideband frame, a stamp, and as much filler as a
/// voice would take.
pub(crate) struct Microphone {
    source: Ssrc,
    next: u32,
}

impl Microphone {
    pub(crate) fn new(source: Ssrc) -> Microphone {
        Microphone { source, next: 1 }
    }

    /// The next packet.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let number = self.next;
        self.next += 1;
        let mut payload = Vec::with_capacity(VOICE_BYTES);
        payload.push(OPUS_20_MS);
        let stamp = Stamp {
            source: self.source,
            number,
            reference: number,
            layer: 0,
            height: 0,
            part: 0,
            parts: 1,
        };
        stamp.write(&mut payload);
        payload.resize(VOICE_BYTES, 0x5a);
        payload
    }
}

/// The stamp of an Opus packet that [`Microphone`] made.
pub(crate) fn read_packet(payload: &[u8]) -> Option<Stamp> {
    Stamp::read(payload.strip_prefix(&[OPUS_20_MS])?)
}

/// RFC 6716 3.1: configuration 9 (SILK wideband, 20 ms), mono, one frame.
const OPUS_20_MS: u8 = 9 << 3;
const VOICE_BYTES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_numbered() {
        let mut microphone = Microphone::new(Ssrc(3));
        for number in 1..4 {
            let stamp = read_packet(&microphone.packet()).unwrap();
            assert_eq!((stamp.source, stamp.number), (Ssrc(3), number));
        }
        assert_eq!(read_packet(&[1, 2, 3]), None);
    }
}
