use tertulia_model::Ssrc;

use super::Stamp;

/// How much a voice and silence take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Bytes of a packet while its user speaks.
    pub speaking_bytes: usize,
    /// Bytes of a packet while its user is quiet or muted; at least 32.
    pub silent_bytes: usize,
    /// With discontinuous transmission only every n-th packet of silence is sent; 1 sends all.
    pub silence_step: u32,
}

impl Voice {
    /// 60 bytes whatever is said.
    pub const PLAIN: Voice = Voice {
        speaking_bytes: 60,
        silent_bytes: 60,
        silence_step: 1,
    };

    /// 36 kbit/s of voice at 50 packets a second, and silence as browsers encode it.
    pub const LIFELIKE: Voice = Voice {
        speaking_bytes: 90,
        silent_bytes: 32,
        silence_step: 1,
    };

    /// As [`Voice::LIFELIKE`], with a packet each 400 ms of silence (Opus' DTX).
    pub const DISCONTINUOUS: Voice = Voice {
        silence_step: 20,
        ..Voice::LIFELIKE
    };
}

/// Makes Opus packets: 20 ms of silence for every decoder, a stamp, and filler.
pub(crate) struct Microphone {
    source: Ssrc,
    next: u32,
}

impl Microphone {
    pub(crate) fn new(source: Ssrc) -> Microphone {
        Microphone { source, next: 1 }
    }

    /// The level of the next packet of speech, in -dBov.
    pub(crate) fn speech_level(&self) -> u8 {
        let place = self.next as usize % SPEECH.len();
        SPEECH.get(place).copied().unwrap_or(127)
    }

    /// The next packet, of so many bytes, that leaves at this moment ([`Stamp::sent`]).
    pub(crate) fn packet(&mut self, bytes: usize, sent: u64) -> Vec<u8> {
        let number = self.next;
        self.next += 1;
        let mut payload = Vec::with_capacity(bytes);
        payload.extend_from_slice(&SILENCE);
        let stamp = Stamp {
            source: self.source,
            number,
            reference: number,
            layer: 0,
            height: 0,
            part: 0,
            parts: 1,
            sent,
        };
        stamp.write(&mut payload);
        payload.resize(bytes.max(payload.len()), 0x5a);
        payload
    }
}

/// The stamp of an Opus packet that [`Microphone`] made.
pub(crate) fn read_packet(payload: &[u8]) -> Option<Stamp> {
    Stamp::read(payload.strip_prefix(&SILENCE)?)
}

/// RFC 6716: configuration 31 (CELT, full band, 20 ms), mono, one frame, whose first bit that is
/// coded says that it is silent (4.3). Nothing is read after it.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// Loudness of 400 ms of speech, in -dBov: what is as loud all the time is taken for noise.
const SPEECH: [u8; 20] = [
    20, 18, 22, 30, 45, 60, 30, 22, 20, 26, 34, 50, 70, 60, 28, 20, 20, 26, 38, 55,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_numbered() {
        let mut microphone = Microphone::new(Ssrc(3));
        for number in 1..4 {
            let packet = microphone.packet(90, 5);
            let stamp = read_packet(&packet).unwrap();
            assert_eq!(packet.len(), 90);
            assert_eq!((stamp.source, stamp.number), (Ssrc(3), number));
        }
        let least = microphone.packet(0, 5);
        assert_eq!(
            least.len(),
            Voice::LIFELIKE.silent_bytes,
            "the stamp fits in silence"
        );
        assert_eq!(read_packet(&[1, 2, 3]), None);
    }
}
