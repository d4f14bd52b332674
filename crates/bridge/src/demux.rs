//! Whose datagram is it? Reads what a stranger's first bytes say, without believing them.
//!
//! Our ICE user name fragment carries the worker and the endpoint's number on it, so that no table
//! shared between workers is needed to find the owner of a connectivity check.

use tertulia_model::bridge::IceCredentials;
use tertulia_model::{Random, Ssrc};
use tertulia_transport::datagram::DatagramKind;

/// Who says to have sent a packet of media or reports.
pub(crate) fn sender(kind: DatagramKind, data: &[u8]) -> Option<Ssrc> {
    let at = match kind {
        DatagramKind::Rtp => 8,
        DatagramKind::Rtcp => 4,
        DatagramKind::Stun | DatagramKind::Dtls => return None,
    };
    let ssrc = data.get(at..)?.first_chunk()?;
    Some(Ssrc(u32::from_be_bytes(*ssrc)))
}

/// Which endpoint a user name fragment of ours names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ufrag {
    pub(crate) worker: u16,
    pub(crate) number: u32,
    /// Tells the endpoints apart that have a number one after the other.
    pub(crate) tag: u32,
}

impl Ufrag {
    /// 16 characters of ICE's alphabet.
    pub(crate) fn text(self) -> String {
        let bits =
            u128::from(self.worker) << 64 | u128::from(self.number) << 32 | u128::from(self.tag);
        (0..LENGTH)
            .map(|n| {
                let digit = (bits >> (5 * (LENGTH - 1 - n))) & 31;
                char::from(ALPHABET.get(digit as usize).copied().unwrap_or(b'a'))
            })
            .collect()
    }

    fn parse(text: &[u8]) -> Option<Ufrag> {
        if text.len() != LENGTH {
            return None;
        }
        let mut bits = 0u128;
        for character in text {
            let digit = ALPHABET.iter().position(|letter| letter == character)?;
            bits = bits << 5 | digit as u128;
        }
        Some(Ufrag {
            worker: (bits >> 64) as u16,
            number: (bits >> 32) as u32,
            tag: bits as u32,
        })
    }
}

/// Our credentials for the endpoint of a number, and the tag in them.
pub(crate) fn draw_credentials(
    worker: u16,
    number: u32,
    random: &mut Random,
) -> (u32, IceCredentials) {
    let tag = random.u32();
    let ice = IceCredentials {
        ufrag: Ufrag {
            worker,
            number,
            tag,
        }
        .text(),
        pwd: random.token(PASSWORD_LENGTH),
    };
    (tag, ice)
}

/// Whom a connectivity check is for; None for other STUN messages and for strangers' ones.
pub(crate) fn addressee(data: &[u8]) -> Option<Ufrag> {
    let (header, mut rest) = data.split_at_checked(20)?;
    let length = usize::from(u16::from_be_bytes([*header.get(2)?, *header.get(3)?]));
    if header.get(..2)? != BINDING_REQUEST || length != rest.len() {
        return None;
    }
    while let Some((head, body)) = rest.split_at_checked(4) {
        let kind = u16::from_be_bytes([*head.first()?, *head.get(1)?]);
        let length = usize::from(u16::from_be_bytes([*head.get(2)?, *head.get(3)?]));
        let value = body.get(..length)?;
        if kind == USERNAME {
            let colon = value.iter().position(|byte| *byte == b':')?;
            return Ufrag::parse(value.get(..colon)?);
        }
        rest = body.get(length.next_multiple_of(4)..)?;
    }
    None
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// 80 bits.
const LENGTH: usize = 16;
/// 120 bits of `[a-z2-7]`; ICE wants at least 22 characters.
pub(crate) const PASSWORD_LENGTH: usize = 24;
const BINDING_REQUEST: [u8; 2] = [0, 1];
const USERNAME: u16 = 0x0006;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A binding request with some attribute before the user name.
    pub(super) fn check(username: &[u8]) -> Vec<u8> {
        let mut attributes = vec![0x80, 0x22, 0, 3, b'x', b'y', b'z', 0];
        attributes.extend([0, 6]);
        attributes.extend((username.len() as u16).to_be_bytes());
        attributes.extend(username);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
        let mut data = vec![0, 1];
        data.extend((attributes.len() as u16).to_be_bytes());
        data.extend([0x21, 0x12, 0xa4, 0x42]);
        data.extend([7; 12]);
        data.extend(attributes);
        data
    }

    #[test]
    fn a_check_names_worker_and_endpoint() {
        let ufrag = Ufrag {
            worker: 65_535,
            number: 4_000_000_000,
            tag: 17,
        };
        assert_eq!(ufrag.text().len(), 16);
        let data = check(format!("{}:theirs", ufrag.text()).as_bytes());
        assert_eq!(DatagramKind::of(&data), Some(DatagramKind::Stun));
        assert_eq!(addressee(&data), Some(ufrag));
        for bad in ["", ":", "abc:def", "ABCDEFGHIJKLMNOP:x", "abcdefghijklmnop"] {
            assert_eq!(addressee(&check(bad.as_bytes())), None, "{bad}");
        }
        assert_eq!(addressee(&data[..data.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn names_survive(worker: u16, number: u32, tag: u32) {
            let ufrag = Ufrag { worker, number, tag };
            prop_assert_eq!(Ufrag::parse(ufrag.text().as_bytes()), Some(ufrag));
        }

        #[test]
        fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            addressee(&data);
            DatagramKind::of(&data).map(|kind| sender(kind, &data));
            let mut dressed = check(b"abc:def");
            dressed.truncate(20);
            dressed.extend(&data);
            let length = (data.len() as u16).to_be_bytes();
            dressed[2..4].copy_from_slice(&length);
            addressee(&dressed);
        }
    }
}
