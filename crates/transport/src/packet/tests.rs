use proptest::prelude::*;

use super::*;

const IDS: ExtensionIds = ExtensionIds {
    audio_level: Some(1),
    absolute_send_time: Some(3),
    transport_number: Some(5),
    descriptor: Some(11),
};

/// A header with this extension block and a payload of three bytes.
fn with_block(profile: u16, block: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x90, 0x80 | 111, 0x12, 0x34, 0, 0, 0, 9, 1, 2, 3, 4];
    datagram.extend_from_slice(&profile.to_be_bytes());
    datagram.extend_from_slice(&u16::try_from(block.len() / 4).unwrap().to_be_bytes());
    datagram.extend_from_slice(block);
    datagram.extend_from_slice(b"abc");
    datagram
}

fn extensions(profile: u16, block: &[u8]) -> Result<Extensions, Malformed> {
    Header::read(&with_block(profile, block), IDS).map(|header| header.extensions)
}

#[test]
fn the_plain_header() {
    let datagram = [
        0x80, 0x60, 0xff, 0xfe, 0, 1, 0, 2, 0xde, 0xad, 0xbe, 0xef, 7, 8,
    ];
    let header = Header::read(&datagram, IDS).unwrap();
    assert_eq!(
        header,
        Header {
            payload_type: 96,
            is_marked: false,
            number: 0xfffe,
            timestamp: 0x1_0002,
            ssrc: 0xdead_beef,
            has_padding: false,
            length: 12,
            extensions: Extensions::default(),
        }
    );
    assert_eq!(payload(&header, &datagram), Ok(&[7, 8][..]));
}

#[test]
fn contributing_sources_and_extensions_are_before_the_payload() {
    let mut datagram = with_block(0xbede, &[0x10, 0x85, 0, 0]);
    datagram[0] |= 2;
    datagram.splice(12..12, [9; 8]);
    let header = Header::read(&datagram, IDS).unwrap();
    assert_eq!(header.length, 12 + 8 + 4 + 4);
    assert!(header.is_marked);
    assert_eq!(
        header.extensions.audio_level,
        Some(AudioLevel {
            decibels_below: 5,
            is_voice: true
        })
    );
    assert_eq!(payload(&header, &datagram), Ok(&b"abc"[..]));
}

#[test]
fn the_one_byte_form() {
    // an unknown id, padding between and behind
    let block = [
        0x71, 9, 9, 0, 0x32, 1, 2, 3, 0x51, 0xab, 0xcd, 0xb2, 4, 5, 6, 0,
    ];
    let datagram = with_block(0xbede, &block);
    let found = Header::read(&datagram, IDS).unwrap().extensions;
    assert_eq!(found.absolute_send_time, Some(0x01_0203));
    assert_eq!(found.transport_number, Some(0xabcd));
    assert_eq!(&datagram[found.descriptor.unwrap()], [4, 5, 6]);
    assert_eq!(found.audio_level, None);
}

#[test]
fn the_two_byte_form() {
    // with bits of an application in the profile, and an empty value
    let block = [1, 1, 3, 7, 0, 5, 2, 0, 8, 11, 1, 6];
    let datagram = with_block(0x1005, &block);
    let found = Header::read(&datagram, IDS).unwrap().extensions;
    assert_eq!(found.transport_number, Some(8));
    assert_eq!(
        found.audio_level,
        Some(AudioLevel {
            decibels_below: 3,
            is_voice: false
        })
    );
    assert_eq!(&datagram[found.descriptor.unwrap()], [6]);
}

#[test]
fn what_stands_behind_an_end_is_not_read() {
    for end in [0xf0, 0x03] {
        let found = extensions(0xbede, &[0x10, 1, end, 0x51, 7, 7, 7, 7]).unwrap();
        assert_eq!(found.transport_number, None, "{end:#x}");
        assert!(found.audio_level.is_some(), "{end:#x}");
    }
}

#[test]
fn other_profiles_are_passed_over() {
    let found = extensions(0xabac, &[0x51, 7, 7, 0]);
    assert_eq!(found, Ok(Extensions::default()));
    let header = Header::read(&with_block(0xabac, &[1; 8]), IDS).unwrap();
    assert_eq!(header.length, 24);
}

#[test]
fn ids_that_are_not_negotiated_are_nothing() {
    let block = [0x10, 1, 0x51, 2, 3, 0, 0, 0];
    let header = Header::read(&with_block(0xbede, &block), ExtensionIds::default()).unwrap();
    assert_eq!(header.extensions, Extensions::default());
}

#[test]
fn values_that_are_too_short_are_nothing() {
    let found = extensions(0xbede, &[0x50, 1, 0x31, 2, 3, 0, 0, 0]);
    assert_eq!(found, Ok(Extensions::default()));
}

#[test]
fn what_is_malformed_is_named() {
    let read = |datagram: &[u8]| Header::read(datagram, IDS).map(|_| ());
    let whole = with_block(0xbede, &[0x10, 1, 0, 0]);
    assert_eq!(read(&whole[..20]), Ok(()));
    for length in [0, 11, 12, 15, 16, 19] {
        assert_eq!(read(&whole[..length]), Err(Malformed::Short), "{length}");
    }
    let mut other = whole.clone();
    other[0] = 0x50;
    assert_eq!(read(&other), Err(Malformed::Version));
    let beyond = with_block(0xbede, &[0, 0, 0x51, 1]);
    assert_eq!(read(&beyond), Err(Malformed::Extension));
    let beyond = with_block(0x1000, &[5, 1, 2, 1]);
    assert_eq!(read(&beyond), Err(Malformed::Extension));
}

#[test]
fn padding_is_taken_off() {
    let mut datagram = vec![0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 10, 11, 0, 2];
    let header = Header::read(&datagram, IDS).unwrap();
    assert_eq!(payload(&header, &datagram), Ok(&[10, 11][..]));
    datagram[15] = 4;
    assert_eq!(payload(&header, &datagram), Ok(&[][..]), "nothing else");
    for wrong in [0, 5, 255] {
        datagram[15] = wrong;
        assert_eq!(payload(&header, &datagram), Err(Malformed::Padding));
    }
    assert_eq!(payload(&header, &datagram[..12]), Err(Malformed::Padding));
    assert_eq!(payload(&header, &datagram[..11]), Err(Malformed::Short));
}

#[test]
fn short_values_are_written_in_the_one_byte_form() {
    let header = NewHeader {
        payload_type: 96,
        is_marked: true,
        number: 0x0102,
        timestamp: 0x0304_0506,
        ssrc: 0x0708_090a,
        transport_number: Some(0x0b0c),
        absolute_send_time: Some(0xff0d_0e0f),
        ..NewHeader::default()
    };
    let mut out = vec![0xee];
    assert_eq!(header.write(IDS, &mut out), 24);
    let expected = [
        0xee, 0x90, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xbe, 0xde, 0, 2, 0x32, 0x0d, 0x0e, 0x0f,
        0x51, 0x0b, 0x0c, 0,
    ];
    assert_eq!(out, expected);
}

#[test]
fn what_does_not_fit_one_byte_is_written_with_two() {
    let long = [1; 17];
    let high = ExtensionIds {
        transport_number: Some(15),
        ..IDS
    };
    let number = NewHeader {
        transport_number: Some(1),
        ..NewHeader::default()
    };
    let with = |descriptor| NewHeader {
        descriptor,
        ..number
    };
    for (header, ids, profile) in [
        (with(Some(&long[..16])), IDS, 0xbede),
        (with(Some(&long[..])), IDS, 0x1000),
        (with(Some(&[][..])), IDS, 0x1000),
        (number, high, 0x1000),
    ] {
        let mut out = Vec::new();
        let length = header.write(ids, &mut out);
        assert_eq!(out[12..14], u16::to_be_bytes(profile));
        let read = Header::read(&out, ids).unwrap();
        assert_eq!(read.length, length);
        assert_eq!(read.extensions.transport_number, Some(1));
        let descriptor = read.extensions.descriptor.map(|range| &out[range]);
        assert_eq!(descriptor, header.descriptor);
    }
}

#[test]
fn a_descriptor_that_no_extension_can_carry_is_left_out() {
    let descriptor = [1; DESCRIPTOR_MAX + 1];
    let header = NewHeader {
        descriptor: Some(&descriptor),
        ..NewHeader::default()
    };
    let mut out = Vec::new();
    assert_eq!(header.write(IDS, &mut out), 12);
    assert_eq!(out.len(), 12);
}

fn ids() -> impl Strategy<Value = ExtensionIds> {
    let id = || prop_oneof![3 => 1u8..15, 1 => 15u8..=255];
    (id(), id(), id(), id(), any::<[bool; 4]>()).prop_filter_map(
        "each id is of one extension",
        |(a, b, c, d, has)| {
            let all = [a, b, c, d];
            let is_unique = (0..4).all(|i| !all[..i].contains(&all[i]));
            is_unique.then(|| ExtensionIds {
                audio_level: has[0].then_some(a),
                absolute_send_time: has[1].then_some(b),
                transport_number: has[2].then_some(c),
                descriptor: has[3].then_some(d),
            })
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        ids in ids(),
        fixed in any::<(bool, u16, u32, u32)>(),
        payload_type in 0u8..128,
        level in proptest::option::of((0u8..128, any::<bool>())),
        absolute_send_time in proptest::option::of(0u32..1 << 24),
        transport_number in any::<Option<u16>>(),
        descriptor in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=255)),
        content in proptest::collection::vec(any::<u8>(), 0..40),
        padding in 0u8..20,
    ) {
        let audio_level =
            level.map(|(decibels_below, is_voice)| AudioLevel { decibels_below, is_voice });
        let header = NewHeader {
            payload_type,
            is_marked: fixed.0,
            number: fixed.1,
            timestamp: fixed.2,
            ssrc: fixed.3,
            has_padding: padding > 0,
            audio_level,
            absolute_send_time,
            transport_number,
            descriptor: descriptor.as_deref(),
        };
        let mut out = Vec::new();
        let length = header.write(ids, &mut out);
        prop_assert_eq!(length, out.len());
        out.extend_from_slice(&content);
        out.extend(std::iter::repeat_n(padding, usize::from(padding)));

        let read = Header::read(&out, ids).unwrap();
        prop_assert_eq!(read.length, length);
        prop_assert_eq!(read.payload_type, payload_type);
        prop_assert_eq!((read.is_marked, read.number, read.timestamp, read.ssrc), fixed);
        prop_assert_eq!(payload(&read, &out).unwrap(), &content[..]);
        let found = read.extensions;
        prop_assert_eq!(found.audio_level, ids.audio_level.and(audio_level));
        prop_assert_eq!(found.absolute_send_time, ids.absolute_send_time.and(absolute_send_time));
        prop_assert_eq!(found.transport_number, ids.transport_number.and(transport_number));
        let bytes = found.descriptor.map(|range| out[range].to_vec());
        prop_assert_eq!(bytes, ids.descriptor.and(descriptor));
    }

    #[test]
    fn anything_can_be_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        first in 0x80u8..0xc0,
        form in 0u8..3,
        ids in ids(),
    ) {
        let mut datagram = bytes;
        // deeper than chance gets
        if let Some(byte) = datagram.first_mut() {
            *byte = first & 0xf1;
        }
        let at = 12 + usize::from(first & 1) * 4;
        let profile = [[0xbe, 0xde], [0x10, 0x00], [0x01, 0x02]][usize::from(form)];
        if let Some(block) = datagram.get_mut(at..at + 4) {
            block[..2].copy_from_slice(&profile);
            block[2] = 0;
            block[3] &= 0x0f;
        }
        if let Ok(header) = Header::read(&datagram, ids) {
            prop_assert!(header.length <= datagram.len());
            if let Some(range) = header.extensions.descriptor.clone() {
                prop_assert!(range.start <= range.end && range.end <= header.length);
            }
            let _ = payload(&header, &datagram);
        }
    }
}
