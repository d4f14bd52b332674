//! Where one message ends and the next begins: on TCP and TLS both are sent behind each other
//! (RFC 8656, 3.1 and 12.5), and on a port that is shared with HTTP the first byte tells whose a
//! connection is.

/// What a message is, by its first two bits (RFC 8656, 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Begins with 00, and has the magic cookie in its place.
    Stun,
    /// Begins with 01 and a channel number.
    ///
    /// COMPAT(coturn): its client uses the range of RFC 5766, four times that of RFC 8656.
    ChannelData,
}

impl Kind {
    /// What these bytes begin with; None if it is neither.
    pub fn of(bytes: &[u8]) -> Option<Kind> {
        match bytes {
            [0..=0x3f, _, _, _, cookie @ ..] if cookie.starts_with(&MAGIC_COOKIE) => {
                Some(Kind::Stun)
            }
            [0x40..=0x7f, _, _, _, ..] => Some(Kind::ChannelData),
            _ => None,
        }
    }
}

/// Whether a connection whose first byte this is speaks STUN. HTTP begins with a letter, and
/// ChannelData is nobody's first word.
pub fn is_first_of_stun(byte: u8) -> bool {
    byte < 0x40
}

/// Takes a stream of bytes apart. Holds at most one message and what was read behind it.
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Bytes at the beginning that have been handed out.
    taken: usize,
    message_bytes_max: usize,
}

/// The stream is none of ours, or a message is larger than any may be; what follows cannot be
/// found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl Frames {
    /// Messages of more bytes break the stream.
    pub fn new(message_bytes_max: usize) -> Frames {
        Frames {
            buffer: Vec::new(),
            taken: 0,
            message_bytes_max,
        }
    }

    /// Adds what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, without its padding; None when more must arrive first.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, Broken> {
        let waiting = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((length, padded)) = lengths(waiting)? else {
            return Ok(None);
        };
        if padded > self.message_bytes_max {
            return Err(Broken);
        }
        if waiting.len() < padded {
            return Ok(None);
        }
        self.taken += padded;
        Ok(waiting.get(..length))
    }
}

/// The length of the message that these bytes begin with, without and with its padding; None
/// while its head is not complete.
fn lengths(bytes: &[u8]) -> Result<Option<(usize, usize)>, Broken> {
    let Some((&[first, _, high, low], rest)) = bytes.split_first_chunk() else {
        let is_possible = bytes.first().is_none_or(|first| *first <= 0x7f);
        return if is_possible { Ok(None) } else { Err(Broken) };
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    match first {
        0..=0x3f => {
            let cookie = rest.get(..MAGIC_COOKIE.len().min(rest.len()));
            let is_stun = cookie.is_some_and(|start| MAGIC_COOKIE.starts_with(start));
            if !is_stun || length % 4 != 0 {
                return Err(Broken);
            }
            Ok(Some((STUN_HEAD + length, STUN_HEAD + length)))
        }
        0x40..=0x7f => {
            let whole = CHANNEL_HEAD + length;
            Ok(Some((whole, whole.next_multiple_of(4))))
        }
        _ => Err(Broken),
    }
}

/// Bytes before the attributes of a STUN message.
pub(crate) const STUN_HEAD: usize = 20;
/// Bytes before the payload of ChannelData.
pub(crate) const CHANNEL_HEAD: usize = 4;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

#[cfg(test)]
mod tests {
    use super::*;

    /// A Binding request without attributes.
    fn stun() -> Vec<u8> {
        let mut message = vec![0, 1, 0, 0];
        message.extend_from_slice(&MAGIC_COOKIE);
        message.extend_from_slice(&[7; 12]);
        message
    }

    fn channel_data(payload: &[u8]) -> Vec<u8> {
        let mut message = vec![0x40, 0];
        message.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        message.extend_from_slice(payload);
        message
    }

    fn padded(mut message: Vec<u8>) -> Vec<u8> {
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let messages = [stun(), channel_data(b"hello"), channel_data(b""), stun()];
        let stream: Vec<u8> = messages.iter().cloned().flat_map(padded).collect();
        for step in 1..=stream.len() {
            let mut frames = Frames::new(1_000);
            let mut got = Vec::new();
            for piece in stream.chunks(step) {
                frames.push(piece);
                while let Some(message) = frames.next_message().unwrap() {
                    got.push(message.to_vec());
                }
            }
            assert_eq!(got, messages, "in steps of {step}");
        }
    }

    #[test]
    fn what_is_none_of_ours_breaks_at_once() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            &[0x9f],
            &[0x80],
            &[0x00, 1, 0, 3, 0x21, 0x12, 0xa4, 0x42],
            &[0x00, 1, 0, 0, 0x21, 0x13],
            &[0xff; 40],
        ] {
            let mut frames = Frames::new(1_000);
            frames.push(bytes);
            assert_eq!(frames.next_message(), Err(Broken), "{bytes:?}");
        }
        let mut frames = Frames::new(100);
        frames.push(&channel_data(&[0; 97])[..4]);
        assert_eq!(frames.next_message(), Err(Broken), "too large");
    }

    #[test]
    fn the_first_bits_tell_what_it_is() {
        assert_eq!(Kind::of(&stun()), Some(Kind::Stun));
        assert_eq!(Kind::of(&channel_data(b"x")), Some(Kind::ChannelData));
        for neither in [
            &b""[..],
            &[0x80, 1, 0, 0][..],
            &[0, 1, 0, 0, 1, 2, 3, 4],
            &[0x40],
        ] {
            assert_eq!(Kind::of(neither), None);
        }
        assert!(is_first_of_stun(0) && is_first_of_stun(1));
        assert!(!b"GHOPDCT".iter().any(|letter| is_first_of_stun(*letter)));
    }
}
