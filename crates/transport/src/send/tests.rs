use proptest::prelude::*;

use super::*;
use crate::packet::{AudioLevel, Header, payload};
use crate::rtcp::Packet as Report;
use crate::srtp::{Opener, Profile, contexts};

const MEDIA: u32 = 0x0a0a;
const RTX: u32 = 0x0b0b;
const IDS: ExtensionIds = ExtensionIds {
    audio_level: Some(1),
    absolute_send_time: Some(3),
    transport_number: Some(5),
    descriptor: Some(11),
};

pub(super) fn key(place: u32) -> StreamKey {
    StreamKey {
        place,
        generation: 0,
    }
}

pub(super) fn packet(now: Instant, number: u64, payload: &[u8]) -> Outgoing {
    Outgoing {
        payload_type: 100,
        number,
        timestamp: 3_000,
        arrived: now,
        is_marked: false,
        payload: payload.into(),
        audio_level: None,
        patch: None,
        descriptor: None,
    }
}

/// A sender, and a client that opens what it sends.
struct Pair {
    sender: Sender,
    sealer: Sealer,
    opener: Opener,
    start: Instant,
}

/// What the client reads.
#[derive(Debug, PartialEq)]
struct Read {
    header: Header,
    number: u64,
    payload: Vec<u8>,
    descriptor: Option<Vec<u8>>,
}

impl Pair {
    fn new(keep: Keep) -> Pair {
        let profile = Profile::AeadAes128Gcm;
        let material = vec![7; profile.material()];
        let start = Instant::now();
        Pair {
            sender: Sender::new(Settings {
                rtx_types: vec![(100, 96), (101, 97)],
                keep,
                share: 0.3,
                clock: NtpClock::new(start, Duration::from_secs(3_900_000_000)),
                cname: "tertulia".to_owned(),
            }),
            sealer: contexts(profile, &material, true).unwrap().0,
            opener: contexts(profile, &material, false).unwrap().1,
            start,
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn add(&mut self) -> StreamKey {
        self.sender.add(video(MEDIA, Some(RTX))).unwrap()
    }

    fn open(&mut self, mut datagram: Vec<u8>) -> Read {
        let header = Header::read(&datagram, IDS).unwrap();
        let number = self.opener.open_rtp(&mut datagram, &header).unwrap();
        let descriptor = header.extensions.descriptor.clone();
        Read {
            number,
            payload: payload(&header, &datagram).unwrap().to_vec(),
            descriptor: descriptor.map(|range| datagram[range].to_vec()),
            header,
        }
    }

    fn write(&mut self, now: Instant, key: StreamKey, packet: Outgoing) -> Option<Read> {
        self.write_padded(now, key, packet, 0)
    }

    fn write_padded(
        &mut self,
        now: Instant,
        key: StreamKey,
        packet: Outgoing,
        padding: u8,
    ) -> Option<Read> {
        let mut out = b"before".to_vec();
        let wire = Wire {
            padding,
            ..wire(&mut out, &mut self.sealer, 77)
        };
        let size = self.sender.write(now, key, packet, wire);
        let datagram = out.split_off(6);
        assert_eq!(size.unwrap_or(0), datagram.len());
        assert_eq!(out, b"before");
        size.map(|_| self.open(datagram))
    }

    fn write_again(&mut self, now: Instant) -> Option<Read> {
        let mut out = Vec::new();
        let expected = self.sender.next_retransmission(now);
        let wire = wire(&mut out, &mut self.sealer, 78);
        let size = self.sender.write_retransmission(now, wire);
        assert_eq!(size.is_some(), expected.is_some());
        assert_eq!(size.unwrap_or(0), out.len());
        size.map(|_| self.open(out))
    }

    fn pad(&mut self, now: Instant, bytes: usize) -> Option<(usize, Read)> {
        let mut out = Vec::new();
        let wire = wire(&mut out, &mut self.sealer, 79);
        let size = self.sender.write_padding(now, bytes, wire);
        assert_eq!(size.unwrap_or(0), out.len());
        size.map(|size| (size, self.open(out)))
    }

    /// All reports that are due.
    fn reports(&mut self, now: Instant) -> Vec<(u32, SenderInformation)> {
        let mut all = Vec::new();
        let mut out = Vec::new();
        while self.sender.write_due(now, &mut out) {
            assert!(out.len() <= 1_180);
            let mut packets = rtcp::read(&out);
            for packet in &mut packets {
                if let Report::SenderReport(report) = packet {
                    all.push((report.sender, report.information));
                }
            }
            assert!(!packets.is_malformed());
            out.clear();
        }
        all
    }

    fn nacked(&mut self, now: Instant, numbers: &[u16]) {
        self.sender.nacked(now, MEDIA, numbers.iter().copied());
    }
}

fn wire<'a>(out: &'a mut Vec<u8>, sealer: &'a mut Sealer, number: u16) -> Wire<'a> {
    Wire {
        out,
        sealer,
        ids: IDS,
        transport_number: Some(number),
        padding: 0,
    }
}

fn video(ssrc: u32, rtx: Option<u32>) -> NewStream {
    NewStream {
        ssrc,
        rtx,
        clock_rate: 90_000,
        is_kept: true,
    }
}

const KEEP: Keep = Keep {
    packets: 256,
    bytes: 400_000,
    age: Duration::from_secs(1),
};

fn original(read: &Read) -> u16 {
    u16::from_be_bytes([read.payload[0], read.payload[1]])
}

#[test]
fn a_packet_leaves_with_everything_it_has() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    let now = pair.at(250);
    pair.write(now, key, packet(now, 65_000, &[]));
    let level = AudioLevel {
        decibels_below: 30,
        is_voice: true,
    };
    let mut outgoing = packet(now, 65_540, &[1, 2, 3, 4]);
    outgoing.is_marked = true;
    outgoing.audio_level = Some(level);
    outgoing.patch = Patch::new().with(1, 0xee);
    outgoing.descriptor = Some(Descriptor::new(&[9; 30]));
    let read = pair.write(now, key, outgoing).unwrap();
    assert_eq!(read.payload, [1, 0xee, 3, 4]);
    assert_eq!(read.descriptor, Some(vec![9; 30]));
    let header = read.header;
    assert_eq!(
        (header.ssrc, header.payload_type, header.number),
        (MEDIA, 100, 4)
    );
    assert_eq!((header.timestamp, header.is_marked), (3_000, true));
    assert_eq!(header.extensions.audio_level, Some(level));
    assert_eq!(header.extensions.transport_number, Some(77));
    let second = 3_900_000_000u64 as u32 % 64;
    assert_eq!(
        header.extensions.absolute_send_time,
        Some((second << 18) + (1 << 16))
    );
}

#[test]
fn padding_is_behind_media_and_is_not_sent_again() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    let now = pair.at(0);
    for (number, padding) in [(9, 1), (10, 32), (11, 255)] {
        let outgoing = packet(now, number, &[1, 2, 3]);
        let read = pair.write_padded(now, key, outgoing, padding).unwrap();
        assert!(read.header.has_padding);
        assert_eq!(read.payload, [1, 2, 3]);
    }
    let plain = pair.write(now, key, packet(now, 12, &[1])).unwrap();
    assert!(!plain.header.has_padding);
    pair.nacked(pair.at(40), &[10]);
    let again = pair.write_again(pair.at(41)).unwrap();
    assert!(!again.header.has_padding);
    assert_eq!(again.payload, [0, 10, 1, 2, 3]);
    let statistics = pair.sender.statistics(key).unwrap();
    assert_eq!(statistics.bytes, 10, "padding is no media");
}

#[test]
fn a_retransmission_carries_what_the_original_did() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    let now = pair.at(0);
    let mut outgoing = packet(now, 9, &[1, 2, 3, 4]);
    outgoing.is_marked = true;
    outgoing.patch = Patch::new().with(0, 0xee);
    outgoing.descriptor = Some(Descriptor::new(&[5, 6, 7]));
    let first = pair.write(now, key, outgoing).unwrap();
    for number in 10..20 {
        pair.write(now, key, packet(now, number, &[0; 100]));
    }
    pair.nacked(pair.at(40), &[9]);
    let again = pair.write_again(pair.at(41)).unwrap();
    assert_eq!(again.payload, [&[0, 9][..], &first.payload].concat());
    assert_eq!(again.descriptor, first.descriptor);
    assert_eq!((again.header.ssrc, again.header.payload_type), (RTX, 96));
    assert_eq!(again.header.timestamp, first.header.timestamp);
    assert!(again.header.is_marked);
    assert_eq!(again.header.extensions.transport_number, Some(78));
    assert_eq!(pair.write_again(pair.at(41)), None);
    let statistics = pair.sender.statistics(key).unwrap();
    assert_eq!((statistics.packets, statistics.bytes), (11, 1_004));
    assert_eq!((statistics.resent_packets, statistics.resent_bytes), (1, 4));
    assert_eq!((statistics.asked, statistics.refused), (1, 0));
}

#[test]
fn a_retransmission_that_is_lost_leaves_again_without_being_asked_for() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    pair.write(pair.at(0), key, packet(pair.at(0), 9, &[1, 2]));
    pair.write(pair.at(0), key, packet(pair.at(0), 10, &[0; 1_000]));
    assert!(!pair.sender.is_awaiting_reports());
    let mut millis = 40;
    let mut is_again = |pair: &mut Pair, has_arrived| {
        millis += 60;
        pair.sender.reported(pair.at(millis), 78, has_arrived);
        pair.write_again(pair.at(millis)).is_some_and(|again| {
            assert_eq!(again.payload, [0, 9, 1, 2]);
            true
        })
    };
    pair.nacked(pair.at(40), &[9]);
    assert!(pair.write_again(pair.at(40)).is_some());
    assert!(pair.sender.is_awaiting_reports());
    assert_eq!(
        [false; 5].map(|lost| is_again(&mut pair, lost)),
        [true, true, true, false, false]
    );
    // Asked for once more, it arrives the second time.
    pair.nacked(pair.at(345), &[9]);
    assert!(pair.write_again(pair.at(345)).is_some());
    pair.sender.reported(pair.at(350), 77, false);
    assert!(
        pair.write_again(pair.at(350)).is_none(),
        "it was no retransmission"
    );
    assert!(is_again(&mut pair, false));
    assert!(!is_again(&mut pair, true));
    assert!(!pair.sender.is_awaiting_reports());
}

#[test]
fn what_was_sent_again_just_now_is_not_for_a_report_of_the_time_before() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    pair.write(pair.at(0), key, packet(pair.at(0), 9, &[1]));
    pair.write(pair.at(0), key, packet(pair.at(0), 10, &[0; 1_000]));
    for millis in [40, 100] {
        pair.nacked(pair.at(millis), &[9]);
        assert!(pair.write_again(pair.at(millis)).is_some());
    }
    pair.sender.reported(pair.at(110), 78, false);
    assert!(pair.write_again(pair.at(110)).is_none());
    // Nor for a stream that is gone.
    pair.sender.remove(key);
    pair.sender.reported(pair.at(200), 78, false);
    assert!(pair.write_again(pair.at(200)).is_none());
}

#[test]
fn a_number_is_sealed_once() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    let now = pair.at(0);
    pair.write(now, key, packet(now, 60_000, &[]));
    assert!(pair.write(now, key, packet(now, 70_000, &[1])).is_some());
    assert!(pair.write(now, key, packet(now, 70_000, &[2])).is_none());
    assert!(
        pair.write(now, key, packet(now, 60_000, &[3])).is_none(),
        "who knows"
    );
    pair.nacked(now, &[70_000u64 as u16]);
    pair.write_again(now).unwrap();
    assert_eq!(pair.sender.remove(key), Some(70_000));
    assert!(
        pair.write(now, key, packet(now, 70_001, &[4])).is_none(),
        "it is gone"
    );
    assert_eq!(pair.sender.remove(key), None);
    let again = pair.add();
    assert_ne!(again, key);
    assert!(pair.write(now, again, packet(now, 70_000, &[5])).is_none());
    assert!(pair.write(now, again, packet(now, 70_001, &[6])).is_some());
    pair.nacked(now, &[70_001u64 as u16]);
    assert_eq!(
        pair.write_again(now).unwrap().number,
        2,
        "the other stream goes on too"
    );
    // In between its retransmissions come under another SSRC.
    assert_eq!(pair.sender.remove(again), Some(70_001));
    let other = pair.sender.add(video(MEDIA, Some(RTX + 1))).unwrap();
    pair.write(now, other, packet(now, 70_002, &[7]));
    let (_, padding) = pair.pad(now, 100).unwrap();
    assert_eq!((padding.header.ssrc, padding.number), (RTX + 1, 1));
    pair.sender.remove(other);
    let unused = pair.add();
    assert_eq!(pair.sender.remove(unused), Some(70_002), "as far as ever");
    pair.add();
    let (_, padding) = pair.pad(now, 100).unwrap();
    assert_eq!((padding.header.ssrc, padding.number), (RTX, 3));
}

#[test]
fn an_ssrc_belongs_to_one_stream() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    for (ssrc, rtx) in [
        (MEDIA, None),
        (RTX, None),
        (1, Some(MEDIA)),
        (2, Some(RTX)),
        (3, Some(3)),
    ] {
        assert_eq!(pair.sender.add(video(ssrc, rtx)), None);
    }
    let other = pair.sender.add(video(4, Some(5))).unwrap();
    assert_eq!(pair.sender.key(MEDIA), Some(key));
    assert_eq!(pair.sender.key(RTX), Some(key));
    assert_eq!(pair.sender.key(5), Some(other));
    pair.sender.remove(key);
    assert_eq!(
        (pair.sender.key(MEDIA), pair.sender.key(5)),
        (None, Some(other))
    );
    let third = pair.sender.add(video(RTX, None)).unwrap();
    pair.sender.remove(key);
    assert_eq!(
        pair.sender.key(RTX),
        Some(third),
        "an old handle removes nothing"
    );
}

#[test]
fn what_is_asked_for_twice_in_a_round_trip_is_sent_once() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    for number in 0..10 {
        pair.write(pair.at(0), key, packet(pair.at(0), number, &[0; 100]));
    }
    pair.sender.note_round_trip(Duration::from_millis(80));
    pair.nacked(pair.at(100), &[3, 3]);
    pair.nacked(pair.at(101), &[3]);
    assert_eq!(original(&pair.write_again(pair.at(110)).unwrap()), 3);
    assert_eq!(pair.write_again(pair.at(110)), None);
    pair.nacked(pair.at(150), &[3]);
    assert_eq!(pair.write_again(pair.at(150)), None);
    pair.nacked(pair.at(190), &[3]);
    assert_eq!(original(&pair.write_again(pair.at(190)).unwrap()), 3);
}

#[test]
fn retransmissions_have_their_share() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    for number in 0..100 {
        pair.write(pair.at(0), key, packet(pair.at(0), number, &[0; 100]));
    }
    let all: Vec<u16> = (0..100).collect();
    pair.nacked(pair.at(50), &all);
    let mut sent = 0;
    while pair.write_again(pair.at(50)).is_some() {
        sent += 1;
    }
    assert_eq!(sent, 43, "43 of 143 are more than 0.3");
    assert!(!pair.sender.has_retransmissions());
    assert_eq!(pair.sender.statistics(key).unwrap().refused, 57);
    // What was given up can be asked for again.
    for number in 100..200 {
        pair.write(pair.at(900), key, packet(pair.at(900), number, &[0; 100]));
    }
    pair.nacked(pair.at(900), &[99]);
    assert_eq!(original(&pair.write_again(pair.at(900)).unwrap()), 99);
}

#[test]
fn what_is_kept_is_bounded_in_number_bytes_and_age() {
    let keep = Keep {
        packets: 20,
        bytes: 1_500,
        age: Duration::from_millis(500),
    };
    let mut pair = Pair::new(keep);
    let key = pair.add();
    for number in 0..30 {
        pair.write(pair.at(0), key, packet(pair.at(0), number, &[0; 10]));
    }
    assert_eq!(pair.sender.kept(key), Some((20, 200)));
    pair.nacked(pair.at(10), &[9, 10]);
    assert_eq!(original(&pair.write_again(pair.at(10)).unwrap()), 10);
    assert_eq!(pair.write_again(pair.at(10)), None);
    for number in 30..34 {
        pair.write(pair.at(20), key, packet(pair.at(20), number, &[0; 400]));
    }
    assert_eq!(pair.sender.kept(key), Some((3, 1_200)));
    pair.nacked(pair.at(530), &[33]);
    assert_eq!(pair.write_again(pair.at(530)), None, "too old");
    pair.write(pair.at(530), key, packet(pair.at(530), 34, &[0; 10]));
    assert_eq!(pair.sender.kept(key), Some((1, 10)));
}

#[test]
fn what_is_asked_for_leaves_while_it_is_still_kept() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    for number in 0..10 {
        pair.write(pair.at(0), key, packet(pair.at(0), number, &[0; 10]));
    }
    pair.nacked(pair.at(900), &[3]);
    assert!(pair.sender.has_retransmissions());
    assert_eq!(pair.write_again(pair.at(1_100)), None);
    assert!(!pair.sender.has_retransmissions());
}

#[test]
fn a_late_packet_is_found_among_the_others() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    for number in [5, 8, 6, 9, 7] {
        pair.write(
            pair.at(0),
            key,
            packet(pair.at(0), number, &[number as u8; 300]),
        );
    }
    for number in 5..10u16 {
        pair.nacked(pair.at(10), &[number]);
        let again = pair.write_again(pair.at(10));
        // One in five is the share.
        if let Some(again) = again {
            assert_eq!(again.payload[..3], [0, number as u8, number as u8]);
        }
    }
    assert_eq!(pair.sender.statistics(key).unwrap().resent_packets, 3);
}

#[test]
fn what_has_no_retransmissions_is_not_kept() {
    let mut pair = Pair::new(KEEP);
    let without = pair.sender.add(video(1, None)).unwrap();
    let unkept = NewStream {
        is_kept: false,
        ..video(2, Some(3))
    };
    let unkept = pair.sender.add(unkept).unwrap();
    let now = pair.at(0);
    for key in [without, unkept] {
        pair.write(now, key, packet(now, 1, &[0; 10])).unwrap();
        assert_eq!(pair.sender.kept(key), Some((0, 0)));
    }
    assert!(!pair.sender.can_pad());
    let key = pair.add();
    let mut other = packet(now, 1, &[0; 10]);
    other.payload_type = 111;
    pair.write(now, key, other).unwrap();
    assert_eq!(pair.sender.kept(key), Some((0, 0)), "of a type without");
    pair.nacked(now, &[1]);
    assert_eq!(pair.write_again(now), None);
}

#[test]
fn padding_is_something_recent_or_nothing() {
    let mut pair = Pair::new(KEEP);
    assert_eq!(pair.pad(pair.at(0), 500), None);
    let key = pair.add();
    let (size, empty) = pair.pad(pair.at(0), 500).unwrap();
    assert!(empty.payload.is_empty() && empty.header.has_padding);
    assert_eq!((empty.header.ssrc, empty.header.payload_type), (RTX, 96));
    assert!((255..=310).contains(&size), "{size}");
    for number in 0..3 {
        let mut media = packet(pair.at(10), number, &[number as u8; 900]);
        media.payload_type = 101;
        media.timestamp = 5_000;
        pair.write(pair.at(10), key, media);
    }
    let mut originals = Vec::new();
    for _ in 0..3 {
        let (size, again) = pair.pad(pair.at(20), 500).unwrap();
        assert!(size <= 1_000, "{size}");
        originals.push(original(&again));
        assert_eq!(again.payload.len(), 902);
    }
    assert_eq!(originals, [2, 1, 0]);
    let (_, empty) = pair.pad(pair.at(20), 500).unwrap();
    assert!(empty.payload.is_empty(), "all was sent again just now");
    assert_eq!(
        (empty.header.payload_type, empty.header.timestamp),
        (97, 5_000)
    );
    let (size, empty) = pair.pad(pair.at(200), 30).unwrap();
    assert!(empty.payload.is_empty() && size < 100, "{size}");
    let (_, empty) = pair.pad(pair.at(200), 400).unwrap();
    assert!(empty.payload.is_empty(), "nothing is that small");
    assert_eq!(original(&pair.pad(pair.at(200), 500).unwrap().1), 2);
    let statistics = pair.sender.statistics(key).unwrap();
    assert_eq!(statistics.padding_packets, 8);
    assert_eq!(statistics.resent_packets, 0);
}

#[test]
fn a_request_for_anything_else_changes_nothing() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    pair.write(pair.at(0), key, packet(pair.at(0), 5, &[0; 10]));
    pair.nacked(pair.at(1), &[6, 4, 65_000]);
    pair.sender.nacked(pair.at(1), RTX, [5].into_iter());
    pair.sender.nacked(pair.at(1), 99, [5].into_iter());
    assert!(!pair.sender.has_retransmissions());
    // And a flood of them does not grow.
    for number in 6..500 {
        pair.write(pair.at(2), key, packet(pair.at(2), number, &[0; 10]));
    }
    for _ in 0..100 {
        pair.sender.nacked(pair.at(3), MEDIA, 0..500);
    }
    assert!(pair.sender.resends.len() <= RESENDS_MAX);
}

#[test]
fn a_sender_report_says_what_the_timestamp_is_now() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    assert_eq!(pair.sender.wake(), None);
    for number in 0..5u64 {
        let at = pair.at(20 * number);
        let mut media = packet(at, number, &[0; 100]);
        media.timestamp = 1_800 * number as u32;
        // The second came in time, the others were delayed.
        media.arrived = if number == 1 {
            at
        } else {
            at + Duration::from_millis(7)
        };
        pair.write(at, key, media);
    }
    assert_eq!(pair.sender.wake(), Some(pair.at(100)));
    assert_eq!(pair.reports(pair.at(99)), []);
    let now = pair.at(120);
    let told = pair.reports(now);
    let expected = SenderInformation {
        ntp: pair.sender.settings.clock.at(now),
        timestamp: 90 * 120,
        packets: 5,
        bytes: 500,
    };
    assert_eq!(told, [(MEDIA, expected)]);
    assert_eq!(pair.sender.wake(), Some(pair.at(1_120)));
    assert_eq!(pair.reports(pair.at(1_120)), [], "nothing was sent since");
    assert_eq!(pair.sender.wake(), None, "and nothing is kept");
    let later = pair.at(5_000);
    let mut media = packet(later, 5, &[0; 100]);
    media.timestamp = 77;
    pair.write(later, key, media);
    let told = pair.reports(pair.at(6_000));
    assert_eq!(told[0].1.timestamp, 77 + 90_000);
}

#[test]
fn what_is_kept_does_not_outlive_its_time() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    pair.write(pair.at(0), key, packet(pair.at(0), 1, &[0; 100]));
    let mut last = pair.start;
    while let Some(wake) = pair.sender.wake() {
        pair.reports(wake);
        last = wake;
    }
    assert_eq!(pair.sender.kept(key), Some((0, 0)));
    assert!(last <= pair.at(3_000));
}

#[test]
fn many_streams_are_reported_in_datagrams_that_fit() {
    let mut pair = Pair::new(KEEP);
    for ssrc in 0..100 {
        let key = pair.sender.add(video(ssrc, None)).unwrap();
        pair.write(pair.at(0), key, packet(pair.at(0), 1, &[0; 100]));
    }
    let told: Vec<u32> = pair
        .reports(pair.at(1_000))
        .into_iter()
        .map(|(ssrc, _)| ssrc)
        .collect();
    assert_eq!(told, (0..100).collect::<Vec<u32>>());
}

#[test]
fn report_blocks_tell_loss_and_round_trip() {
    let mut pair = Pair::new(KEEP);
    let key = pair.add();
    for number in 0..100 {
        pair.write(pair.at(0), key, packet(pair.at(0), number, &[0; 100]));
    }
    assert_eq!(pair.sender.reported_loss(pair.at(0)), None);
    let told = pair.reports(pair.at(1_000));
    let mut block = ReportBlock {
        ssrc: MEDIA,
        fraction_lost: 64,
        lost: 25,
        highest_number: 99,
        jitter: 900,
        last_sender_report: 0,
        delay: 0,
    };
    assert_eq!(pair.sender.note_report_block(pair.at(1_100), &block), None);
    block.last_sender_report = told[0].1.compact();
    block.delay = to_short(Duration::from_millis(40));
    let measured = pair
        .sender
        .note_report_block(pair.at(1_100), &block)
        .unwrap();
    assert!(measured.abs_diff(Duration::from_millis(60)) < Duration::from_micros(50));
    assert_eq!(pair.sender.round_trip(), Some(measured));
    block.delay = to_short(Duration::from_millis(400));
    let impossible = pair.sender.note_report_block(pair.at(1_200), &block);
    assert_eq!(impossible, None, "it lay there longer than it was away");
    let report = pair.sender.statistics(key).unwrap().report.unwrap();
    assert_eq!((report.loss, report.lost), (0.25, 25));
    assert_eq!(report.jitter, Duration::from_millis(10));
    assert_eq!(report.round_trip, Some(measured));
    block.ssrc = RTX;
    assert_eq!(pair.sender.note_report_block(pair.at(1_200), &block), None);
}

#[test]
fn the_loss_of_all_streams_is_weighed() {
    let mut pair = Pair::new(KEEP);
    let large = pair.add();
    let small = pair.sender.add(video(1, None)).unwrap();
    for number in 0..100 {
        pair.write(pair.at(0), large, packet(pair.at(0), number, &[0; 100]));
        if number < 10 {
            pair.write(pair.at(0), small, packet(pair.at(0), number, &[0; 100]));
        }
    }
    let block = ReportBlock {
        ssrc: 1,
        fraction_lost: 128,
        ..ReportBlock::default()
    };
    pair.sender.note_report_block(pair.at(100), &block);
    let block = ReportBlock {
        ssrc: MEDIA,
        ..ReportBlock::default()
    };
    pair.sender.note_report_block(pair.at(100), &block);
    let loss = pair.sender.reported_loss(pair.at(200)).unwrap();
    assert!((loss - 5.0 / 110.0).abs() < 0.001, "{loss}");
    assert_eq!(pair.sender.reported_loss(pair.at(60_000)), None);
}

#[test]
fn what_is_known_of_removed_streams_is_bounded() {
    let mut pair = Pair::new(KEEP);
    for ssrc in 0..3_000u32 {
        let key = pair
            .sender
            .add(video(ssrc, Some(ssrc + 1_000_000)))
            .unwrap();
        pair.write(pair.at(0), key, packet(pair.at(0), 9, &[0; 10]));
        pair.sender.remove(key);
    }
    assert!(pair.sender.spent.len() <= SPENT_MAX);
    assert_eq!((pair.sender.slots.len(), pair.sender.ssrcs.len()), (1, 0));
    let key = pair.sender.add(video(2_999, None)).unwrap();
    assert!(
        pair.write(pair.at(0), key, packet(pair.at(0), 9, &[1]))
            .is_none()
    );
}

#[derive(Clone, Debug)]
enum Action {
    Write(u16, u64),
    Nack(Vec<u16>),
    SendAgain,
    Pad(usize),
    Wait(u64),
    Return,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1u16..1_300, 0u64..4).prop_map(|(bytes, skip)| Action::Write(bytes, skip)),
        2 => proptest::collection::vec(0u16..400, 1..20).prop_map(Action::Nack),
        4 => Just(Action::SendAgain),
        2 => (1usize..2_000).prop_map(Action::Pad),
        2 => (0u64..300).prop_map(Action::Wait),
        1 => Just(Action::Return),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens: the numbers of retransmissions and padding have no gaps, nothing that is
    /// too old or of a removed stream is sent again, what is sent again is what was sent, and what
    /// is kept stays within its bounds.
    #[test]
    fn retransmissions_keep_their_rules(
        actions in proptest::collection::vec(action(), 1..200),
    ) {
        let keep = Keep {
            packets: 40,
            bytes: 20_000,
            age: Duration::from_millis(700),
        };
        let mut pair = Pair::new(keep);
        let mut key = pair.add();
        let (mut millis, mut number, mut rtx) = (0, 0, RTX_FIRST);
        let mut sent = std::collections::BTreeMap::new();
        for action in actions {
            let now = pair.at(millis);
            let again = match action {
                Action::Write(bytes, skip) => {
                    number += 1 + skip;
                    let payload = vec![number as u8; usize::from(bytes)];
                    let read = pair.write(now, key, packet(now, number, &payload)).unwrap();
                    prop_assert_eq!(read.number, number);
                    sent.insert(number as u16, (now, payload));
                    None
                }
                Action::Nack(numbers) => {
                    pair.nacked(now, &numbers);
                    None
                }
                Action::SendAgain => pair.write_again(now),
                Action::Pad(bytes) => {
                    let (_, read) = pair.pad(now, bytes).unwrap();
                    Some(read)
                }
                Action::Wait(wait) => {
                    millis += wait;
                    pair.reports(pair.at(millis));
                    None
                }
                Action::Return => {
                    pair.sender.remove(key);
                    key = pair.add();
                    sent.clear();
                    None
                }
            };
            if let Some(again) = again {
                prop_assert_eq!(again.number, rtx, "without a gap");
                rtx += 1;
                prop_assert_eq!(again.header.ssrc, RTX);
                if !again.payload.is_empty() {
                    let known = sent.get(&original(&again));
                    let (at, payload) = known.expect("only what was sent in this stream");
                    prop_assert_eq!(&again.payload[2..], &payload[..]);
                    prop_assert!(now - *at <= keep.age);
                }
            }
            let (packets, bytes) = pair.sender.kept(key).unwrap();
            prop_assert!(packets <= keep.packets && bytes <= keep.bytes);
        }
    }
}
