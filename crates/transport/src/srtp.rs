//! SRTP and SRTCP (RFC 3711) with AES-GCM (RFC 7714) or AES-CM and HMAC-SHA1, keyed by DTLS
//! (RFC 5764).
//!
//! A [`Sealer`] seals packets in place where they lie in a buffer of datagrams, an [`Opener`] opens
//! a datagram in place. Keys are expanded once; nothing is allocated for a packet.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::{constant_time, hmac};

use crate::packet::Header;
use crate::srtp::seen::Seen;

mod seen;

/// A protection profile (RFC 5764, 4.1.2; RFC 7714, 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    AeadAes256Gcm,
    AeadAes128Gcm,
    Aes128CmHmacSha1_80,
}

impl Profile {
    /// Bytes of a key and of a salt.
    const fn lengths(self) -> (usize, usize) {
        match self {
            Profile::AeadAes256Gcm => (32, 12),
            Profile::AeadAes128Gcm => (16, 12),
            Profile::Aes128CmHmacSha1_80 => (16, 14),
        }
    }

    /// Bytes of keying material that DTLS has to export: a key and a salt for each side.
    pub const fn material(self) -> usize {
        let (key, salt) = self.lengths();
        2 * (key + salt)
    }
}

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("{profile:?} needs {} bytes of keying material, here are {length}", .profile.material())]
    Length { profile: Profile, length: usize },
    #[error("the cryptographic library refuses the keys")]
    Library,
}

/// Why a packet was not sealed. It was cut off the buffer: nothing leaves in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the packet is shorter than its header, or longer than any datagram")]
    Length,
    #[error("the keys have sealed as many packets as they may")]
    Exhausted,
}

/// Why a datagram was not opened. Its content is worth nothing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the datagram is shorter than its header and tag")]
    Short,
    #[error("it was not sealed with the peer's key, or was changed on its way")]
    Forged,
    #[error("this packet came before, or is too old to tell")]
    Replayed,
    #[error("it is not encrypted")]
    Plain,
    #[error("the peer has used too many SSRCs")]
    Ssrcs,
    #[error("the keys have sealed as many packets as they may")]
    Exhausted,
}

/// Both directions of a connection, from the keying material that DTLS exported
/// (RFC 5764, 4.2: client's key, server's key, client's salt, server's salt).
///
/// # Errors
///
/// If `material` has another length than [`Profile::material`].
pub fn contexts(
    profile: Profile,
    material: &[u8],
    is_dtls_client: bool,
) -> Result<(Sealer, Opener), KeyError> {
    let wrong = KeyError::Length {
        profile,
        length: material.len(),
    };
    if material.len() != profile.material() {
        return Err(wrong);
    }
    let (key, salt) = profile.lengths();
    let (client_key, rest) = material.split_at_checked(key).ok_or(wrong)?;
    let (server_key, rest) = rest.split_at_checked(key).ok_or(wrong)?;
    let (client_salt, server_salt) = rest.split_at_checked(salt).ok_or(wrong)?;
    let client = Master::new(client_key, client_salt)?;
    let server = Master::new(server_key, server_salt)?;
    let (ours, theirs) = match is_dtls_client {
        true => (client, server),
        false => (server, client),
    };
    let sealer = Sealer {
        rtp: ours.cipher(profile, RTP)?,
        rtcp: ours.cipher(profile, RTCP)?,
        rtcp_index: 0,
    };
    let opener = Opener {
        rtp: theirs.cipher(profile, RTP)?,
        rtcp: theirs.cipher(profile, RTCP)?,
        rtp_seen: Seen::default(),
        rtcp_seen: Seen::default(),
    };
    Ok((sealer, opener))
}

/// Seals what we send.
///
/// No two packets of RTP with the same SSRC and index may be sealed with different content: this
/// is the caller's to keep (who sends a packet again seals the same bytes, or numbers it anew).
#[derive(Debug)]
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    /// Of the next datagram of RTCP.
    rtcp_index: u32,
}

impl Sealer {
    /// Seals the packet from `start` to the end of `out` and appends its tag.
    ///
    /// `header` are the bytes that stay in the clear, `ssrc` is the one in them, and `index` the
    /// sequence number with the count of its wraps above: its lower 16 bits are those in the
    /// header.
    ///
    /// # Errors
    ///
    /// `out` then ends at `start`.
    pub fn seal_rtp(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SealError> {
        let sealed = match index {
            0..INDICES => self.rtp.seal_rtp(out, start, header, ssrc, index),
            _ => Err(SealError::Exhausted),
        };
        sealed.inspect_err(|_| out.truncate(start))
    }

    /// Seals the compound packet from `start` to the end of `out`, and appends tag and index.
    ///
    /// # Errors
    ///
    /// `out` then ends at `start`.
    pub fn seal_rtcp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), SealError> {
        let sealed = match self.rtcp_index {
            index @ 0..RTCP_INDICES => {
                self.rtcp_index += 1;
                self.rtcp.seal_rtcp(out, start, index)
            }
            _ => Err(SealError::Exhausted),
        };
        sealed.inspect_err(|_| out.truncate(start))
    }
}

/// Opens what a peer sends.
///
/// What is refused leaves no trace: only a packet with the right tag is remembered. For each SSRC
/// the last 1,024 packets are, older ones are refused. After a number of SSRCs the one unused for
/// longest is remembered by its highest packet alone, so that none of its packets is ever taken
/// again.
#[derive(Debug)]
pub struct Opener {
    rtp: Cipher,
    rtcp: Cipher,
    rtp_seen: Seen,
    rtcp_seen: Seen,
}

impl Opener {
    /// Opens a datagram of RTP in place, cuts its tag off, and says its sequence number with the
    /// count of wraps above it. `header` was read from this datagram.
    ///
    /// # Errors
    ///
    /// The datagram's content is worth nothing then.
    pub fn open_rtp(&mut self, datagram: &mut Vec<u8>, header: &Header) -> Result<u64, Refused> {
        let known = self.rtp_seen.find(header.ssrc)?;
        let index = self.rtp_seen.index(known, header.number);
        if index >= INDICES {
            return Err(Refused::Exhausted);
        }
        self.rtp_seen.check(known, index)?;
        self.rtp
            .open_rtp(datagram, header.length, header.ssrc, index)?;
        self.rtp_seen.accept(known, header.ssrc, index);
        Ok(index)
    }

    /// Opens a datagram of RTCP in place, and cuts tag and index off.
    ///
    /// # Errors
    ///
    /// The datagram's content is worth nothing then.
    pub fn open_rtcp(&mut self, datagram: &mut Vec<u8>) -> Result<(), Refused> {
        let (ssrc, index) = self.rtcp.rtcp_index(datagram)?;
        let known = self.rtcp_seen.find(ssrc)?;
        self.rtcp_seen.check(known, u64::from(index))?;
        self.rtcp.open_rtcp(datagram, ssrc, index)?;
        self.rtcp_seen.accept(known, ssrc, u64::from(index));
        Ok(())
    }

    /// Whether [`Self::open_rtp`] would open this datagram. It is worth nothing afterwards, and
    /// may still be opened: nothing is remembered.
    pub fn would_open_rtp(&self, datagram: &mut Vec<u8>, header: &Header) -> bool {
        let Ok(known) = self.rtp_seen.find(header.ssrc) else {
            return false;
        };
        let index = self.rtp_seen.index(known, header.number);
        let (length, ssrc) = (header.length, header.ssrc);
        index < INDICES
            && self.rtp_seen.check(known, index).is_ok()
            && self.rtp.open_rtp(datagram, length, ssrc, index).is_ok()
    }

    /// The same for [`Self::open_rtcp`].
    pub fn would_open_rtcp(&self, datagram: &mut Vec<u8>) -> bool {
        let Ok((ssrc, index)) = self.rtcp.rtcp_index(datagram) else {
            return false;
        };
        let known = self.rtcp_seen.find(ssrc);
        known.is_ok_and(|known| self.rtcp_seen.check(known, u64::from(index)).is_ok())
            && self.rtcp.open_rtcp(datagram, ssrc, index).is_ok()
    }
}

/// The keys of one direction, for RTP or for RTCP.
enum Cipher {
    Gcm {
        key: LessSafeKey,
        salt: u128,
    },
    /// Much larger, and the one that is seldom used.
    Counter(Box<Counter>),
}

/// AES-CM with HMAC-SHA1.
struct Counter {
    key: EncryptingKey,
    /// Already where it belongs: two bytes for the blocks' counter below it.
    salt: u128,
    authentication: hmac::Key,
}

impl Cipher {
    #[inline]
    fn seal_rtp(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SealError> {
        match self {
            Cipher::Gcm { key, salt } => {
                let packet = out.get_mut(start..).ok_or(SealError::Length)?;
                let (header, payload) = packet
                    .split_at_mut_checked(header)
                    .ok_or(SealError::Length)?;
                let tag = key
                    .seal_in_place_separate_tag(
                        gcm_nonce(*salt, ssrc, index),
                        Aad::from(&*header),
                        payload,
                    )
                    .map_err(|_| SealError::Length)?;
                out.extend_from_slice(tag.as_ref());
            }
            Cipher::Counter(counter) => {
                let begin = start.checked_add(header).ok_or(SealError::Length)?;
                let payload = out.get_mut(begin..).ok_or(SealError::Length)?;
                counter
                    .encrypt(ssrc, index, payload)
                    .ok_or(SealError::Length)?;
                let packet = out.get(start..).ok_or(SealError::Length)?;
                let tag = counter.tag(packet, &wraps(index));
                out.extend_from_slice(&tag);
            }
        }
        Ok(())
    }

    #[inline]
    fn open_rtp(
        &self,
        datagram: &mut Vec<u8>,
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), Refused> {
        match self {
            Cipher::Gcm { key, salt } => {
                let length = datagram.len().checked_sub(GCM_TAG).ok_or(Refused::Short)?;
                let (header, sealed) = datagram
                    .split_at_mut_checked(header)
                    .filter(|(_, sealed)| sealed.len() >= GCM_TAG)
                    .ok_or(Refused::Short)?;
                key.open_in_place(gcm_nonce(*salt, ssrc, index), Aad::from(&*header), sealed)
                    .map_err(|_| Refused::Forged)?;
                datagram.truncate(length);
            }
            Cipher::Counter(counter) => {
                let length = datagram.len().checked_sub(HMAC_TAG).ok_or(Refused::Short)?;
                let (packet, found) = datagram
                    .split_at_mut_checked(length)
                    .ok_or(Refused::Short)?;
                let expected = counter.tag(packet, &wraps(index));
                let payload = packet.get_mut(header..).ok_or(Refused::Short)?;
                constant_time::verify_slices_are_equal(&expected, found)
                    .map_err(|_| Refused::Forged)?;
                counter
                    .encrypt(ssrc, index, payload)
                    .ok_or(Refused::Forged)?;
                datagram.truncate(length);
            }
        }
        Ok(())
    }

    fn seal_rtcp(&self, out: &mut Vec<u8>, start: usize, index: u32) -> Result<(), SealError> {
        let packet = out.get_mut(start..).ok_or(SealError::Length)?;
        let (header, payload) = packet
            .split_first_chunk_mut::<RTCP_HEADER>()
            .ok_or(SealError::Length)?;
        let &mut [h0, h1, h2, h3, s0, s1, s2, s3] = header;
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]);
        let field = index | ENCRYPTED;
        let [e0, e1, e2, e3] = field.to_be_bytes();
        let index = u64::from(index);
        match self {
            Cipher::Gcm { key, salt } => {
                let aad = [h0, h1, h2, h3, s0, s1, s2, s3, e0, e1, e2, e3];
                let tag = key
                    .seal_in_place_separate_tag(
                        gcm_nonce(*salt, ssrc, index),
                        Aad::from(aad),
                        payload,
                    )
                    .map_err(|_| SealError::Length)?;
                out.extend_from_slice(tag.as_ref());
                out.extend_from_slice(&[e0, e1, e2, e3]);
            }
            Cipher::Counter(counter) => {
                counter
                    .encrypt(ssrc, index, payload)
                    .ok_or(SealError::Length)?;
                out.extend_from_slice(&[e0, e1, e2, e3]);
                let packet = out.get(start..).ok_or(SealError::Length)?;
                let tag = counter.tag(packet, &[]);
                out.extend_from_slice(&tag);
            }
        }
        Ok(())
    }

    /// SSRC and index as a datagram of RTCP has them in the clear.
    fn rtcp_index(&self, datagram: &[u8]) -> Result<(u32, u32), Refused> {
        let (tag, behind) = match self {
            Cipher::Gcm { .. } => (GCM_TAG, 0),
            Cipher::Counter(_) => (HMAC_TAG, HMAC_TAG),
        };
        if datagram.len() < RTCP_HEADER + tag + INDEX {
            return Err(Refused::Short);
        }
        let end = datagram.len() - behind;
        let field = datagram.get(end - INDEX..end);
        let field = field.and_then(<[u8]>::first_chunk).ok_or(Refused::Short)?;
        let ssrc = datagram.get(4..).and_then(<[u8]>::first_chunk);
        let ssrc = u32::from_be_bytes(*ssrc.ok_or(Refused::Short)?);
        match u32::from_be_bytes(*field) {
            field @ ENCRYPTED.. => Ok((ssrc, field & !ENCRYPTED)),
            _ => Err(Refused::Plain),
        }
    }

    /// `ssrc` and `index` are those of [`Self::rtcp_index`].
    fn open_rtcp(&self, datagram: &mut Vec<u8>, ssrc: u32, index: u32) -> Result<(), Refused> {
        let [e0, e1, e2, e3] = (index | ENCRYPTED).to_be_bytes();
        let index = u64::from(index);
        match self {
            Cipher::Gcm { key, salt } => {
                let length = datagram.len().checked_sub(INDEX).ok_or(Refused::Short)?;
                datagram.truncate(length);
                let (header, sealed) = datagram
                    .split_first_chunk_mut::<RTCP_HEADER>()
                    .ok_or(Refused::Short)?;
                let &mut [h0, h1, h2, h3, s0, s1, s2, s3] = header;
                let aad = [h0, h1, h2, h3, s0, s1, s2, s3, e0, e1, e2, e3];
                key.open_in_place(gcm_nonce(*salt, ssrc, index), Aad::from(aad), sealed)
                    .map_err(|_| Refused::Forged)?;
                datagram.truncate(length.saturating_sub(GCM_TAG));
            }
            Cipher::Counter(counter) => {
                let length = datagram.len().checked_sub(HMAC_TAG).ok_or(Refused::Short)?;
                let (packet, found) = datagram
                    .split_at_mut_checked(length)
                    .ok_or(Refused::Short)?;
                let expected = counter.tag(packet, &[]);
                constant_time::verify_slices_are_equal(&expected, found)
                    .map_err(|_| Refused::Forged)?;
                datagram.truncate(length.saturating_sub(INDEX));
                let payload = datagram.get_mut(RTCP_HEADER..).ok_or(Refused::Short)?;
                counter
                    .encrypt(ssrc, index, payload)
                    .ok_or(Refused::Forged)?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Cipher {
    /// Without keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cipher::Gcm { .. } => "Gcm",
            Cipher::Counter(_) => "Counter",
        })
    }
}

/// RFC 7714, 8.1 and 9.1: both have the index in the last bytes, RTCP's is a shorter one.
fn gcm_nonce(salt: u128, ssrc: u32, index: u64) -> Nonce {
    let nonce = salt ^ u128::from(ssrc) << 48 ^ u128::from(index);
    let [_, _, _, _, nonce @ ..] = nonce.to_be_bytes();
    Nonce::assume_unique_for_key(nonce)
}

impl Counter {
    /// RFC 3711, 4.1.1, in place; it is its own inverse.
    fn encrypt(&self, ssrc: u32, index: u64, payload: &mut [u8]) -> Option<()> {
        let counter = self.salt ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        let context = EncryptionContext::Iv128((&counter.to_be_bytes()).into());
        self.key.less_safe_encrypt(payload, context).ok()?;
        Some(())
    }

    /// RFC 3711, 4.2.
    fn tag(&self, packet: &[u8], wraps: &[u8]) -> [u8; HMAC_TAG] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(packet);
        context.update(wraps);
        let mut tag = [0; HMAC_TAG];
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        tag
    }
}

/// How often the sequence number has wrapped (the rollover counter).
fn wraps(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// What the keys of one direction are derived from.
struct Master {
    key: EncryptingKey,
    /// 112 bits (RFC 7714, 11: those of GCM are the upper 96), with 16 below for the counter.
    salt: u128,
}

impl Master {
    fn new(key: &[u8], salt: &[u8]) -> Result<Master, KeyError> {
        let salt = salt.iter().fold((0u128, 128), |(value, shift), byte| {
            let shift = shift - 8;
            (value | u128::from(*byte) << shift, shift)
        });
        Ok(Master {
            key: counter_key(key)?,
            salt: salt.0,
        })
    }

    /// The keys for RTP or RTCP, by the first of its three labels.
    fn cipher(&self, profile: Profile, label: u8) -> Result<Cipher, KeyError> {
        let mut key = [0; 32];
        let mut salt = [0; 14];
        let (key_length, salt_length) = profile.lengths();
        let key = key.get_mut(..key_length).ok_or(KeyError::Library)?;
        let salt = salt.get_mut(..salt_length).ok_or(KeyError::Library)?;
        self.derive(label, key)?;
        self.derive(label + 2, salt)?;
        let mut authentication = [0; 20];
        self.derive(label + 1, &mut authentication)?;
        Cipher::new(profile, key, salt, &authentication)
    }

    /// RFC 3711, 4.3.1, with a key derivation rate of 0.
    fn derive(&self, label: u8, into: &mut [u8]) -> Result<(), KeyError> {
        let counter = self.salt ^ u128::from(label) << 64;
        let context = EncryptionContext::Iv128((&counter.to_be_bytes()).into());
        into.fill(0);
        let derived = self.key.less_safe_encrypt(into, context);
        derived.map(|_| ()).map_err(|_| KeyError::Library)
    }
}

impl Cipher {
    /// From the keys of a session; `authentication` is not used by GCM.
    fn new(
        profile: Profile,
        key: &[u8],
        salt: &[u8],
        authentication: &[u8],
    ) -> Result<Cipher, KeyError> {
        let number = salt
            .iter()
            .fold(0, |number, byte| number << 8 | u128::from(*byte));
        let gcm = |algorithm| {
            let key = UnboundKey::new(algorithm, key).map_err(|_| KeyError::Library)?;
            Ok(Cipher::Gcm {
                key: LessSafeKey::new(key),
                salt: number,
            })
        };
        match profile {
            Profile::AeadAes256Gcm => gcm(&aead::AES_256_GCM),
            Profile::AeadAes128Gcm => gcm(&aead::AES_128_GCM),
            Profile::Aes128CmHmacSha1_80 => Ok(Cipher::Counter(Box::new(Counter {
                key: counter_key(key)?,
                salt: number << 16,
                authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication),
            }))),
        }
    }
}

fn counter_key(key: &[u8]) -> Result<EncryptingKey, KeyError> {
    let algorithm = match key.len() {
        32 => &cipher::AES_256,
        _ => &cipher::AES_128,
    };
    let key = UnboundCipherKey::new(algorithm, key).map_err(|_| KeyError::Library)?;
    EncryptingKey::ctr(key).map_err(|_| KeyError::Library)
}

/// The first label of the keys (RFC 3711, 4.3.1 and 4.3.2): key, authentication, salt.
const RTP: u8 = 0;
const RTCP: u8 = 3;

const GCM_TAG: usize = 16;
const HMAC_TAG: usize = 10;
/// Bytes of RTCP that stay in the clear: up to the sender's SSRC.
const RTCP_HEADER: usize = 8;
/// Bytes of the index that follows RTCP, and its highest bit.
const INDEX: usize = 4;
const ENCRYPTED: u32 = 1 << 31;
/// RFC 3711, 9.2: no key seals more packets of one SSRC.
const INDICES: u64 = 1 << 48;
const RTCP_INDICES: u32 = 1 << 31;

#[cfg(test)]
mod tests;
