use proptest::prelude::*;

use super::*;
use crate::packet::{ExtensionIds, NewHeader};

const PROFILES: [Profile; 3] = [
    Profile::AeadAes256Gcm,
    Profile::AeadAes128Gcm,
    Profile::Aes128CmHmacSha1_80,
];

/// Bytes by which a sealed packet of RTP is longer.
fn tag(profile: Profile) -> usize {
    match profile {
        Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => 16,
        Profile::Aes128CmHmacSha1_80 => 10,
    }
}

/// The same of a datagram of RTCP, which carries its index too.
fn tag_and_index(profile: Profile) -> usize {
    tag(profile) + 4
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn material(profile: Profile) -> Vec<u8> {
    (0..profile.material())
        .map(|byte| (byte as u8).wrapping_mul(7))
        .collect()
}

/// What a client seals with, and its server opens with.
fn pair(profile: Profile) -> (Sealer, Opener) {
    let (sealer, _) = contexts(profile, &material(profile), true).unwrap();
    let (_, opener) = contexts(profile, &material(profile), false).unwrap();
    (sealer, opener)
}

/// Both directions with the keys of a session themselves.
fn with_keys(profile: Profile, key: &str, salt: &str) -> (Sealer, Opener) {
    let cipher = || Cipher::new(profile, &hex(key), &hex(salt), &[]).unwrap();
    let sealer = Sealer {
        rtp: cipher(),
        rtcp: cipher(),
        rtcp_index: 0,
    };
    let opener = Opener {
        rtp: cipher(),
        rtcp: cipher(),
        rtp_seen: Seen::default(),
        rtcp_seen: Seen::default(),
    };
    (sealer, opener)
}

fn rtp(ssrc: u32, number: u16, payload: &[u8]) -> (Vec<u8>, usize) {
    let header = NewHeader {
        payload_type: 100,
        number,
        timestamp: 3000,
        ssrc,
        transport_number: Some(number),
        ..NewHeader::default()
    };
    let mut packet = Vec::new();
    let length = header.write(IDS, &mut packet);
    packet.extend_from_slice(payload);
    (packet, length)
}

const IDS: ExtensionIds = ExtensionIds {
    audio_level: Some(1),
    absolute_send_time: Some(3),
    transport_number: Some(5),
    descriptor: Some(11),
};

fn seal(sealer: &mut Sealer, ssrc: u32, index: u64, payload: &[u8]) -> Vec<u8> {
    let (mut packet, header) = rtp(ssrc, index as u16, payload);
    sealer
        .seal_rtp(&mut packet, 0, header, ssrc, index)
        .unwrap();
    packet
}

fn open(opener: &mut Opener, datagram: &[u8]) -> Result<(u64, Vec<u8>), Refused> {
    let header = Header::read(datagram, IDS).unwrap();
    let mut datagram = datagram.to_vec();
    let index = opener.open_rtp(&mut datagram, &header)?;
    Ok((index, datagram.split_off(header.length)))
}

/// RFC 3711, B.3: the keys for RTP.
#[test]
fn keys_are_derived() {
    let master = Master::new(
        &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        &hex("0EC675AD498AFEEBB6960B3AABE6"),
    )
    .unwrap();
    let derive = |label, length| {
        let mut key = vec![0xff; length];
        master.derive(label, &mut key).unwrap();
        key
    };
    assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(
        derive(1, 94),
        hex(
            "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
             E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
             6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
        )
    );
}

/// RFC 3711, B.2: the first and the last of many blocks.
#[test]
fn the_key_stream_of_counter_mode() {
    let key = counter_key(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000");
    let salt = u128::from_be_bytes(salt.try_into().unwrap());
    let mut stream = vec![0; 0xff02 * 16];
    let counter = Counter {
        key,
        salt,
        authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[]),
    };
    counter.encrypt(0, 0, &mut stream).unwrap();
    assert_eq!(stream[..16], hex("E03EAD0935C95E80E166B16DD92B4EB4"));
    assert_eq!(
        stream[0xff01 * 16..],
        hex("6A2CC3787889374FBEB4C81B17BA6C44")[..]
    );
}

/// The packet that libsrtp checks itself with: the keys are those of RFC 3711, B.3.
#[test]
fn a_packet_of_counter_mode() {
    let material = hex(
        "E1F97A0D3E018BE0D64FA32C06DE4139 00000000000000000000000000000000
                        0EC675AD498AFEEBB6960B3AABE6 0000000000000000000000000000",
    );
    let profile = Profile::Aes128CmHmacSha1_80;
    let (mut sealer, _) = contexts(profile, &material, true).unwrap();
    let mut packet = hex("800f1234decafbadcafebabe abababababababababababababababab");
    sealer
        .seal_rtp(&mut packet, 0, 12, 0xcafe_babe, 0x1234)
        .unwrap();
    assert_eq!(
        packet,
        hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb")
    );
}

/// RFC 7714, 16.1.1 and 16.2.1: "Gallia est omnis divisa in partes tres".
#[test]
fn packets_of_gcm() {
    let plain = hex(
        "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976
                     69736120696e207061727465732074726573",
    );
    for (profile, key, sealed) in [
        (
            Profile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd5
             0d294e6f42a5f47a51c7d19b36de3adf8833 899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            Profile::AeadAes256Gcm,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "8040f17b8041f8d35501a0b2 32b1de78a822fe12ef9f78fa332e33aab1801238
             9a58e2f3b50b2a0276ffae0f1ba63799b87b 7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let (mut sealer, mut opener) = with_keys(profile, key, SALT);
        let mut packet = plain.clone();
        sealer
            .seal_rtp(&mut packet, 0, 12, 0x5501_a0b2, 0xf17b)
            .unwrap();
        assert_eq!(packet, hex(sealed), "{profile:?}");
        assert_eq!(
            open(&mut opener, &packet),
            Ok((0xf17b, plain[12..].to_vec())),
            "{profile:?}"
        );
    }
}

/// RFC 7714, 17.1 to 17.3.
#[test]
fn reports_of_gcm() {
    let plain = hex("81c8000d4d617273 4e5450314e545032525450200000042a0000e930
                     4c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
    for (profile, key, sealed) in [
        (
            Profile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f7
             6c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b
             c84aa45896cf4d2fc5abf87245d9eade 800005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "81c8000d4d617273 d50ae4d1f5ce5d304ba297e47d470c282c3ece5d
             bffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad
             1d1eb30c4446839f57ff6f6cb26ac3be 800005d4",
        ),
    ] {
        let (mut sealer, mut opener) = with_keys(profile, key, SALT);
        sealer.rtcp_index = 0x5d4;
        let mut packet = plain.clone();
        sealer.seal_rtcp(&mut packet, 0).unwrap();
        assert_eq!(packet, hex(sealed), "{profile:?}");
        assert_eq!(opener.open_rtcp(&mut packet), Ok(()));
        assert_eq!(packet, plain);
    }
    let (_, mut opener) = with_keys(
        Profile::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0f",
        SALT,
    );
    let mut packet = hex(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61
                          deadbeefdeadbeefdeadbeefdeadbeefdeadbeef
                          841dd9683dd78ec92ae58790125f62b3 000005d4",
    );
    assert_eq!(opener.open_rtcp(&mut packet), Err(Refused::Plain));
}

/// "Quid pro quo".
const SALT: &str = "517569642070726f2071756f";

#[test]
fn each_side_opens_what_the_other_seals_and_not_its_own() {
    for profile in PROFILES {
        let (mut client, mut from_server) = contexts(profile, &material(profile), true).unwrap();
        let (mut server, mut from_client) = contexts(profile, &material(profile), false).unwrap();
        let sealed = seal(&mut client, 1, 5, b"hello");
        assert_eq!(open(&mut from_server, &sealed), Err(Refused::Forged));
        assert_eq!(open(&mut from_client, &sealed), Ok((5, b"hello".to_vec())));
        let sealed = seal(&mut server, 1, 5, b"hello");
        assert_eq!(open(&mut from_server, &sealed), Ok((5, b"hello".to_vec())));
        // the keys of RTP are not those of RTCP
        let mut report = b"\x80\xc9\0\x01\0\0\0\x01".to_vec();
        client.seal_rtcp(&mut report, 0).unwrap();
        assert_eq!(
            from_server.open_rtcp(&mut report.clone()),
            Err(Refused::Forged)
        );
        assert_eq!(from_client.open_rtcp(&mut report), Ok(()));
    }
}

#[test]
fn the_wrong_amount_of_material_is_named() {
    for profile in PROFILES {
        let mut wrong = material(profile);
        wrong.push(0);
        let length = wrong.len();
        let refused = contexts(profile, &wrong, true).map(|_| ());
        assert_eq!(refused, Err(KeyError::Length { profile, length }));
        assert!(contexts(profile, &[], true).is_err());
    }
}

#[test]
fn a_packet_is_sealed_where_it_lies() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let mut arena = b"another datagram".to_vec();
        let start = arena.len();
        let (packet, header) = rtp(7, 1, b"payload");
        arena.extend_from_slice(&packet);
        sealer.seal_rtp(&mut arena, start, header, 7, 1).unwrap();
        assert_eq!(&arena[..start], b"another datagram");
        assert_eq!(arena[start..start + header], packet[..header]);
        assert_eq!(arena.len() - start, packet.len() + tag(profile));
        assert_eq!(
            open(&mut opener, &arena[start..]),
            Ok((1, b"payload".to_vec()))
        );

        arena.truncate(start);
        arena.extend_from_slice(b"\x80\xc9\0\x01\0\0\0\x07");
        sealer.seal_rtcp(&mut arena, start).unwrap();
        assert_eq!(arena.len() - start, 8 + tag_and_index(profile));
        let mut report = arena.split_off(start);
        assert_eq!(opener.open_rtcp(&mut report), Ok(()));
        assert_eq!(report, b"\x80\xc9\0\x01\0\0\0\x07");
    }
}

#[test]
fn sealing_within_room_that_is_there_takes_no_other() {
    for profile in PROFILES {
        let (mut sealer, _) = pair(profile);
        let (packet, header) = rtp(7, 1, &[1; 1000]);
        let mut arena = Vec::with_capacity(packet.len() + tag(profile));
        arena.extend_from_slice(&packet);
        let at = arena.as_ptr();
        sealer.seal_rtp(&mut arena, 0, header, 7, 1).unwrap();
        assert_eq!(arena.as_ptr(), at);
    }
}

#[test]
fn what_cannot_be_sealed_does_not_leave_in_the_clear() {
    for profile in PROFILES {
        let (mut sealer, _) = pair(profile);
        let mut arena = b"beforesecret".to_vec();
        let short = sealer.seal_rtp(&mut arena, 6, 7, 1, 1);
        assert_eq!(
            (short, &arena[..]),
            (Err(SealError::Length), &b"before"[..])
        );
        arena.extend_from_slice(b"secret");
        let late = sealer.seal_rtp(&mut arena, 6, 1, 1, 1 << 48);
        assert_eq!(
            (late, &arena[..]),
            (Err(SealError::Exhausted), &b"before"[..])
        );
        arena.extend_from_slice(b"seven b");
        assert_eq!(sealer.seal_rtcp(&mut arena, 6), Err(SealError::Length));
        assert_eq!(arena, b"before");
        assert_eq!(
            sealer.seal_rtp(&mut arena, 7, 0, 1, 1),
            Err(SealError::Length)
        );
        assert_eq!(arena, b"before");

        let last = RTCP_INDICES - 1;
        sealer.rtcp_index = last;
        let report = *b"\x80\xc9\0\x01\0\0\0\x07";
        arena = report.to_vec();
        assert_eq!(sealer.seal_rtcp(&mut arena, 0), Ok(()));
        arena = report.to_vec();
        assert_eq!(sealer.seal_rtcp(&mut arena, 0), Err(SealError::Exhausted));
        assert!(arena.is_empty());
    }
}

#[test]
fn numbers_wrap() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        for index in [
            65_534, 65_536, 65_535, 65_537, 90_000, 120_000, 131_073, 131_071,
        ] {
            let sealed = seal(&mut sealer, 1, index, b"x");
            assert_eq!(open(&mut opener, &sealed).map(|found| found.0), Ok(index));
        }
        // what nobody can tell from something older
        let sealed = seal(&mut sealer, 1, 131_073 + 40_000, b"x");
        assert!(open(&mut opener, &sealed).is_err());
    }
}

#[test]
fn a_replay_is_refused() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let first = seal(&mut sealer, 1, 10, b"one");
        assert!(open(&mut opener, &first).is_ok());
        assert_eq!(open(&mut opener, &first), Err(Refused::Replayed));
        let mut report = b"\x80\xc9\0\x01\0\0\0\x07".to_vec();
        sealer.seal_rtcp(&mut report, 0).unwrap();
        assert_eq!(opener.open_rtcp(&mut report.clone()), Ok(()));
        assert_eq!(opener.open_rtcp(&mut report), Err(Refused::Replayed));
    }
}

#[test]
fn who_asks_whether_it_would_open_takes_nothing_away() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let sealed = seal(&mut sealer, 7, 1, b"payload");
        let header = Header::read(&sealed, ExtensionIds::default()).unwrap();
        let asks = |opener: &Opener, datagram: &[u8]| {
            opener.would_open_rtp(&mut datagram.to_vec(), &header)
        };
        assert!(asks(&opener, &sealed) && asks(&opener, &sealed));
        let mut forged = sealed.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert!(!asks(&opener, &forged));
        assert!(!asks(&opener, &sealed[..header.length + 3]));
        assert_eq!(open(&mut opener, &sealed), Ok((1, b"payload".to_vec())));
        assert!(!asks(&opener, &sealed), "a replay");

        let mut report = b"\x80\xc9\0\x01\0\0\0\x07".to_vec();
        sealer.seal_rtcp(&mut report, 0).unwrap();
        let mut forged = report.clone();
        forged[4] ^= 1;
        assert!(!opener.would_open_rtcp(&mut forged));
        assert!(!opener.would_open_rtcp(&mut report[..9].to_vec()));
        assert!(opener.would_open_rtcp(&mut report.clone()));
        assert_eq!(opener.open_rtcp(&mut report.clone()), Ok(()));
        assert!(!opener.would_open_rtcp(&mut report));
    }
}

#[test]
fn a_forgery_leaves_no_trace() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let good = seal(&mut sealer, 1, 10, b"one");
        assert!(open(&mut opener, &good).is_ok());
        for number in [11, 30_000] {
            let mut forged = seal(&mut sealer, 1, number, b"two");
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(open(&mut opener, &forged), Err(Refused::Forged));
        }
        let mut forged = seal(&mut sealer, 2, 60_000, b"two");
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(open(&mut opener, &forged), Err(Refused::Forged));
        // neither is number 11 taken, nor the window moved, nor SSRC 2 known
        assert!(open(&mut opener, &seal(&mut sealer, 1, 11, b"two")).is_ok());
        assert!(open(&mut opener, &seal(&mut sealer, 1, 9, b"two")).is_ok());
        assert!(open(&mut opener, &seal(&mut sealer, 2, 1, b"two")).is_ok());
    }
}

#[test]
fn what_is_too_short_is_refused() {
    for profile in PROFILES {
        let (_, mut opener) = pair(profile);
        let (packet, header) = rtp(1, 1, &[]);
        for length in header..header + tag(profile) {
            let mut datagram = packet.clone();
            datagram.resize(length, 0);
            assert_eq!(
                open(&mut opener, &datagram),
                Err(Refused::Short),
                "{length}"
            );
        }
        for length in 0..8 + tag_and_index(profile) {
            let opened = opener.open_rtcp(&mut vec![0x80; length]);
            assert_eq!(opened, Err(Refused::Short), "{length}");
        }
        // the header of another datagram
        let header = Header::read(&packet, IDS).unwrap();
        let opened = opener.open_rtp(&mut vec![0x80; 30], &header);
        assert!(opened.is_err());
    }
}

#[test]
fn keys_are_not_printed() {
    for profile in PROFILES {
        let (sealer, opener) = pair(profile);
        let printed = format!("{sealer:?} {opener:?}");
        assert!(!printed.contains("key"), "{printed}");
    }
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened_and_nothing_else(
        profile in proptest::sample::select(&PROFILES[..]),
        ssrc: u32,
        index in prop_oneof![0u64..70_000, 0u64..1 << 48],
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        flip in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (mut sealer, mut opener) = pair(profile);
        let sealed = seal(&mut sealer, ssrc, index, &payload);
        // somebody who has followed
        if index >= 1 << 16 {
            opener.rtp_seen.accept(super::seen::Known::Nothing, ssrc, index - 1);
        }
        let mut changed = sealed.clone();
        let place = flip.index(changed.len());
        changed[place] ^= 1 << bit;
        if let Ok(header) = Header::read(&changed, IDS) {
            let opened = opener.open_rtp(&mut changed, &header);
            prop_assert!(
                matches!(opened, Err(Refused::Forged | Refused::Short | Refused::Replayed)),
                "{opened:?}"
            );
        }
        prop_assert_eq!(open(&mut opener, &sealed), Ok((index, payload)));
    }

    #[test]
    fn what_is_reported_is_opened_and_nothing_else(
        profile in proptest::sample::select(&PROFILES[..]),
        index in 0u32..1 << 31,
        report in proptest::collection::vec(any::<u8>(), 8..200),
        flip in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (mut sealer, mut opener) = pair(profile);
        sealer.rtcp_index = index;
        let mut sealed = report.clone();
        sealer.seal_rtcp(&mut sealed, 0).unwrap();
        let mut changed = sealed.clone();
        let place = flip.index(changed.len());
        changed[place] ^= 1 << bit;
        let opened = opener.open_rtcp(&mut changed);
        prop_assert!(matches!(opened, Err(Refused::Forged | Refused::Plain)), "{opened:?}");
        prop_assert_eq!(opener.open_rtcp(&mut sealed), Ok(()));
        prop_assert_eq!(sealed, report);
    }

    #[test]
    fn anything_can_be_opened(
        profile in proptest::sample::select(&PROFILES[..]),
        datagram in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let (_, mut opener) = pair(profile);
        prop_assert!(opener.open_rtcp(&mut datagram.clone()).is_err());
        let mut datagram = datagram;
        if let Some(first) = datagram.first_mut() {
            *first = 0x80 | *first & 0x3f;
        }
        if let Ok(header) = Header::read(&datagram, IDS) {
            prop_assert!(opener.open_rtp(&mut datagram, &header).is_err());
        }
    }
}
