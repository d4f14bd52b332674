//! The header of RTP (RFC 3550, section 5.1) and its extensions (RFC 8285), read and written.
//!
//! It is in the clear also where the payload is sealed (SRTP leaves it so): [`Header::read`] works
//! before and after decryption, [`payload`] only after.

use std::ops::Range;

/// Which id each extension has on this connection, as negotiated; None: not negotiated.
///
/// 0 and what is not an id of RFC 8285 is never found in a packet, and must not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    pub audio_level: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`.
    pub absolute_send_time: Option<u8>,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`.
    pub transport_number: Option<u8>,
    /// The dependency descriptor of AV1's RTP payload format.
    pub descriptor: Option<u8>,
}

/// How loud a packet of voice is (RFC 6464).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Below the loudest there can be: 0 is loudest, 127 is silence.
    pub decibels_below: u8,
    /// The sender takes it for speech.
    pub is_voice: bool,
}

/// The header of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0 to 127.
    pub payload_type: u8,
    pub is_marked: bool,
    /// The sequence number as it came; SRTP knows the extended one
    /// ([`Opener::open_rtp`](crate::srtp::Opener::open_rtp)).
    pub number: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// The payload ends in padding, see [`payload`].
    pub has_padding: bool,
    /// Bytes before the payload: with contributing sources and extensions.
    pub length: usize,
    pub extensions: Extensions,
}

/// What is known of a packet's extensions; all others are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    pub audio_level: Option<AudioLevel>,
    /// When it was sent, in 2⁻¹⁸ seconds, modulo 64 s (24 bits).
    pub absolute_send_time: Option<u32>,
    /// Counts all packets of one connection.
    pub transport_number: Option<u16>,
    /// Where the dependency descriptor is in the datagram: at most 255 bytes, within
    /// [`Header::length`].
    pub descriptor: Option<Range<usize>>,
}

/// Why a datagram is not RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the datagram ends within its header")]
    Short,
    #[error("this is not version 2 of RTP")]
    Version,
    #[error("an extension reaches beyond the block of extensions")]
    Extension,
    #[error("there is more padding than payload, or none where some is announced")]
    Padding,
}

impl Header {
    /// Reads the header of a datagram, sealed or not.
    ///
    /// # Errors
    ///
    /// Where it cannot be told where the payload begins, or what an extension is.
    pub fn read(datagram: &[u8], ids: ExtensionIds) -> Result<Header, Malformed> {
        let (&[first, second, n0, n1, t0, t1, t2, t3, s0, s1, s2, s3], rest) =
            datagram.split_first_chunk().ok_or(Malformed::Short)?;
        if first >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let sources = usize::from(first & 0x0f) * 4;
        let mut header = Header {
            payload_type: second & 0x7f,
            is_marked: second & 0x80 != 0,
            number: u16::from_be_bytes([n0, n1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            has_padding: first & HAS_PADDING != 0,
            length: FIXED + sources,
            extensions: Extensions::default(),
        };
        let rest = rest.get(sources..).ok_or(Malformed::Short)?;
        if first & HAS_EXTENSIONS != 0 {
            let (&[p0, p1, l0, l1], rest) = rest.split_first_chunk().ok_or(Malformed::Short)?;
            let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
            let block = rest.get(..length).ok_or(Malformed::Short)?;
            let begin = header.length + BLOCK_HEADER;
            header.length = begin + length;
            let form = match u16::from_be_bytes([p0, p1]) {
                ONE_BYTE => Form::OneByte,
                profile if profile & 0xfff0 == TWO_BYTES => Form::TwoBytes,
                _ => return Ok(header),
            };
            header.extensions = Extensions::read(block, begin, form, ids)?;
        }
        Ok(header)
    }
}

/// The payload of a decrypted datagram, without padding. It is empty where there was nothing else.
///
/// # Errors
///
/// [`Malformed::Padding`], and [`Malformed::Short`] if the header is of another datagram.
pub fn payload<'a>(header: &Header, datagram: &'a [u8]) -> Result<&'a [u8], Malformed> {
    let payload = datagram.get(header.length..).ok_or(Malformed::Short)?;
    if !header.has_padding {
        return Ok(payload);
    }
    match payload.last() {
        None | Some(0) => Err(Malformed::Padding),
        Some(&padding) => {
            let length = payload.len().checked_sub(usize::from(padding));
            let payload = length.and_then(|length| payload.get(..length));
            payload.ok_or(Malformed::Padding)
        }
    }
}

impl Extensions {
    /// `begin` is where the block is in the datagram.
    fn read(
        block: &[u8],
        begin: usize,
        form: Form,
        ids: ExtensionIds,
    ) -> Result<Extensions, Malformed> {
        let mut extensions = Extensions::default();
        let mut at = 0;
        while let Some(&first) = block.get(at) {
            at += 1;
            let (id, length) = match form {
                // RFC 8285, 4.2: one byte of padding, or an end
                _ if first == 0 => continue,
                Form::OneByte if matches!(first >> 4, 0 | 15) => break,
                Form::OneByte => (first >> 4, usize::from(first & 0x0f) + 1),
                Form::TwoBytes => {
                    let &length = block.get(at).ok_or(Malformed::Extension)?;
                    at += 1;
                    (first, usize::from(length))
                }
            };
            let range = at..at + length;
            let value = block.get(range.clone()).ok_or(Malformed::Extension)?;
            at = range.end;
            let id = Some(id);
            if id == ids.transport_number {
                if let Some(&[a, b]) = value.first_chunk() {
                    extensions.transport_number = Some(u16::from_be_bytes([a, b]));
                }
            } else if id == ids.absolute_send_time {
                if let Some(&[a, b, c]) = value.first_chunk() {
                    extensions.absolute_send_time = Some(u32::from_be_bytes([0, a, b, c]));
                }
            } else if id == ids.audio_level {
                if let Some(&level) = value.first() {
                    extensions.audio_level = Some(AudioLevel {
                        decibels_below: level & 0x7f,
                        is_voice: level & 0x80 != 0,
                    });
                }
            } else if id == ids.descriptor {
                extensions.descriptor = Some(begin + range.start..begin + range.end);
            }
        }
        Ok(extensions)
    }
}

/// A header to be written. What has no id on the connection is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewHeader<'a> {
    /// 0 to 127.
    pub payload_type: u8,
    pub is_marked: bool,
    pub number: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// The payload will end in padding; the caller writes it.
    pub has_padding: bool,
    pub audio_level: Option<AudioLevel>,
    /// See [`Extensions::absolute_send_time`]; of more than 24 bits the lower ones.
    pub absolute_send_time: Option<u32>,
    pub transport_number: Option<u16>,
    /// At most [`DESCRIPTOR_MAX`] bytes; a longer one cannot be written and is left out.
    pub descriptor: Option<&'a [u8]>,
}

/// An extension is no longer.
pub const DESCRIPTOR_MAX: usize = 255;

impl NewHeader<'_> {
    /// Appends the header and says how long it is.
    ///
    /// The extensions are of the one-byte form, which everybody reads, unless the descriptor is
    /// empty or longer than 16 bytes or an id above 14: then of the other (`extmap-allow-mixed`).
    pub fn write(&self, ids: ExtensionIds, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let block = Block {
            audio_level: ids.audio_level.zip(self.audio_level),
            absolute_send_time: ids.absolute_send_time.zip(self.absolute_send_time),
            transport_number: ids.transport_number.zip(self.transport_number),
            descriptor: ids
                .descriptor
                .zip(self.descriptor)
                .filter(|(_, descriptor)| descriptor.len() <= DESCRIPTOR_MAX),
        };
        let form = block.form();
        let mut first = VERSION;
        if self.has_padding {
            first |= HAS_PADDING;
        }
        if form.is_some() {
            first |= HAS_EXTENSIONS;
        }
        let second = self.payload_type & 0x7f | u8::from(self.is_marked) << 7;
        let [n0, n1] = self.number.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [s0, s1, s2, s3] = self.ssrc.to_be_bytes();
        let fixed = [first, second, n0, n1, t0, t1, t2, t3, s0, s1, s2, s3];
        out.extend_from_slice(&fixed);
        if let Some(form) = form {
            block.write(form, out);
        }
        out.len() - start
    }
}

/// Extensions to be written, with their ids.
struct Block<'a> {
    audio_level: Option<(u8, AudioLevel)>,
    absolute_send_time: Option<(u8, u32)>,
    transport_number: Option<(u8, u16)>,
    descriptor: Option<(u8, &'a [u8])>,
}

impl Block<'_> {
    /// None if there are no extensions.
    fn form(&self) -> Option<Form> {
        let ids = [
            self.audio_level.map(|(id, _)| id),
            self.absolute_send_time.map(|(id, _)| id),
            self.transport_number.map(|(id, _)| id),
            self.descriptor.map(|(id, _)| id),
        ];
        if ids == [None; 4] {
            return None;
        }
        let is_short = ids.iter().all(|id| id.is_none_or(|id| id <= 14));
        let length = self.descriptor.map_or(1, |(_, bytes)| bytes.len());
        match is_short && matches!(length, 1..=16) {
            true => Some(Form::OneByte),
            false => Some(Form::TwoBytes),
        }
    }

    fn write(&self, form: Form, out: &mut Vec<u8>) {
        let profile = match form {
            Form::OneByte => ONE_BYTE,
            Form::TwoBytes => TWO_BYTES,
        };
        let [p0, p1] = profile.to_be_bytes();
        out.extend_from_slice(&[p0, p1, 0, 0]);
        let start = out.len();
        if let Some((id, level)) = self.audio_level {
            form.begin(id, 1, out);
            out.push(level.decibels_below & 0x7f | u8::from(level.is_voice) << 7);
        }
        if let Some((id, time)) = self.absolute_send_time {
            form.begin(id, 3, out);
            let [_, a, b, c] = time.to_be_bytes();
            out.extend_from_slice(&[a, b, c]);
        }
        if let Some((id, number)) = self.transport_number {
            form.begin(id, 2, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        if let Some((id, descriptor)) = self.descriptor {
            form.begin(id, descriptor.len(), out);
            out.extend_from_slice(descriptor);
        }
        // at most 68
        let words = (out.len() - start).div_ceil(4);
        out.resize(start + words * 4, 0);
        if let Some(length) = out.get_mut(start - 2..start) {
            length.copy_from_slice(&(words as u16).to_be_bytes());
        }
    }
}

/// How extensions are told apart (RFC 8285, 4.2 and 4.3).
#[derive(Clone, Copy)]
enum Form {
    OneByte,
    TwoBytes,
}

impl Form {
    /// What is before each value; its length must fit the form.
    fn begin(self, id: u8, length: usize, out: &mut Vec<u8>) {
        match self {
            Form::OneByte => out.push(id << 4 | (length.saturating_sub(1) & 0x0f) as u8),
            Form::TwoBytes => out.extend_from_slice(&[id, length as u8]),
        }
    }
}

/// The header up to the SSRC.
const FIXED: usize = 12;
/// Profile and length of the block of extensions.
const BLOCK_HEADER: usize = 4;
const VERSION: u8 = 2 << 6;
const HAS_PADDING: u8 = 1 << 5;
const HAS_EXTENSIONS: u8 = 1 << 4;
/// The profile of a block of the one-byte form.
const ONE_BYTE: u16 = 0xbede;
/// The other's; its last four bits are anything.
const TWO_BYTES: u16 = 0x1000;

#[cfg(test)]
mod tests;
