//! Asking a STUN server how the outside sees an address of ours (RFC 8489, the Binding method).
//! Only the two messages; who asks, when and by which socket is the shell's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The answer to a request of [`mapping_request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingAnswer {
    /// Of the request.
    pub id: [u8; 12],
    pub outcome: Result<SocketAddr, MappingError>,
}

/// A STUN server answered, but not with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    #[error("it refuses with error {0}")]
    Refused(u16),
    #[error("its answer has no readable XOR-MAPPED-ADDRESS")]
    Malformed,
}

/// A Binding request with this transaction id.
pub fn mapping_request(id: [u8; 12]) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER);
    request.extend_from_slice(&[0, 1, 0, 0]);
    request.extend_from_slice(&COOKIE);
    request.extend_from_slice(&id);
    request
}

/// Reads a Binding response or error response; None for anything else.
pub fn mapping_answer(data: &[u8]) -> Option<MappingAnswer> {
    let (header, attributes) = data.split_at_checked(HEADER)?;
    let kind = number(header, 0)?;
    let length = usize::from(number(header, 2)?);
    if header.get(4..8)? != COOKIE || length != attributes.len() {
        return None;
    }
    let id = header.get(8..)?.try_into().ok()?;
    let outcome = match kind {
        RESPONSE => mapped(attributes, header).ok_or(MappingError::Malformed),
        ERROR_RESPONSE => Err(refused(attributes).unwrap_or(MappingError::Malformed)),
        _ => return None,
    };
    Some(MappingAnswer { id, outcome })
}

fn mapped(attributes: &[u8], header: &[u8]) -> Option<SocketAddr> {
    let value = attribute(attributes, XOR_MAPPED_ADDRESS)?;
    let key = header.get(4..)?;
    let plain: Vec<u8> = value
        .get(4..)?
        .iter()
        .zip(key)
        .map(|(byte, key)| byte ^ key)
        .collect();
    let ip: IpAddr = match (value.get(1)?, value.len()) {
        (1, 8) => Ipv4Addr::from(<[u8; 4]>::try_from(plain).ok()?).into(),
        (2, 20) => Ipv6Addr::from(<[u8; 16]>::try_from(plain).ok()?).into(),
        _ => return None,
    };
    let port = number(value, 2)? ^ number(key, 0)?;
    Some(SocketAddr::new(ip, port))
}

fn refused(attributes: &[u8]) -> Option<MappingError> {
    let value = attribute(attributes, ERROR_CODE)?;
    let class = u16::from(value.get(2)? & 7);
    let code = class * 100 + u16::from(value.get(3)? % 100);
    Some(MappingError::Refused(code))
}

/// The value of the first attribute of this type.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let kind = number(rest, 0)?;
        let length = usize::from(number(rest, 2)?);
        let value = rest.get(4..4 + length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
    }
}

fn number(data: &[u8], at: usize) -> Option<u16> {
    let bytes = data.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const RESPONSE: u16 = 0x0101;
const ERROR_RESPONSE: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ERROR_CODE: u16 = 0x0009;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, id: [u8; 12], attributes: &[u8]) -> Vec<u8> {
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((attributes.len() as u16).to_be_bytes());
        message.extend(COOKIE);
        message.extend(id);
        message.extend(attributes);
        message
    }

    /// RFC 5769, 2.2 and 2.3: the attributes of the sample responses that matter here.
    const ID: [u8; 12] = [
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ];
    const SOFTWARE: [u8; 16] = *b"\x80\x22\x00\x0btest vector\x20";

    #[test]
    fn the_rfcs_samples_are_read() {
        let v4 = [
            &SOFTWARE[..],
            &[
                0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
            ],
        ]
        .concat();
        let answer = mapping_answer(&message(RESPONSE, ID, &v4)).unwrap();
        assert_eq!(answer.id, ID);
        assert_eq!(answer.outcome, Ok("192.0.2.1:32853".parse().unwrap()));
        let v6 = [
            0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3,
            0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        let answer = mapping_answer(&message(RESPONSE, ID, &v6)).unwrap();
        let expected = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
        assert_eq!(answer.outcome, Ok(expected.parse().unwrap()));
    }

    #[test]
    fn refusals_and_nonsense_are_told_apart() {
        let refusal = [0, 9, 0, 8, 0, 0, 4, 20, b'n', b'o', b'p', b'e'];
        let outcome = |kind, attributes: &[u8]| {
            mapping_answer(&message(kind, ID, attributes)).map(|answer| answer.outcome)
        };
        assert_eq!(
            outcome(ERROR_RESPONSE, &refusal),
            Some(Err(MappingError::Refused(420)))
        );
        let malformed = Some(Err(MappingError::Malformed));
        for attributes in [
            &[][..],
            &[0, 0x20],
            &[0, 0x20, 0, 8, 0, 1],
            &[0, 0x20, 0, 4, 0, 1, 0, 0],
            &[0, 0x20, 0, 8, 0, 2, 0, 0, 1, 2, 3, 4],
            &[0, 0x22, 0xff, 0xff, 0],
        ] {
            assert_eq!(outcome(RESPONSE, attributes), malformed, "{attributes:?}");
        }
        let request = mapping_request(ID);
        assert_eq!((request.len(), mapping_answer(&request)), (20, None));
        let mut other = message(RESPONSE, ID, &[]);
        other[4] ^= 1;
        assert_eq!(mapping_answer(&other), None, "another cookie");
        assert_eq!(mapping_answer(&message(RESPONSE, ID, &[])[..19]), None);
    }
}
