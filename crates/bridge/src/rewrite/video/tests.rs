mod scalable;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::rewrite::vp8::Vp8Header;

/// A frame to be made into packets.
#[derive(Clone, Copy, Debug)]
struct Picture {
    encoding: u8,
    number: u64,
    timestamp: u32,
    id: u16,
    base_layer: u8,
    temporal: u8,
    is_sync: bool,
    is_keyframe: bool,
    packets: u64,
}

/// What a packet carries: descriptor with all fields, then the frame.
fn payload(picture: &Picture, packet: u64) -> Vec<u8> {
    let mut bytes = vec![
        0x80 | if packet == 0 { 0x10 } else { 0 },
        0xe0,
        0x80 | (picture.id >> 8) as u8,
        picture.id as u8,
        picture.base_layer,
        picture.temporal << 6 | u8::from(picture.is_sync) << 5,
    ];
    if packet == 0 {
        bytes.extend([
            u8::from(!picture.is_keyframe),
            0,
            0,
            0x9d,
            1,
            0x2a,
            0x40,
            1,
            0xb4,
            0,
        ]);
    }
    bytes.extend([picture.encoding, packet as u8]);
    bytes
}

struct Sender {
    encoding: u8,
    number: u64,
    timestamp: u32,
    id: u16,
    base_layer: u8,
    frame: usize,
}

impl Sender {
    fn new(encoding: u8) -> Sender {
        Sender {
            encoding,
            number: 70_000 * u64::from(encoding + 1),
            timestamp: 1_000_000 * u32::from(encoding + 1),
            id: 0x7ff0 + u16::from(encoding),
            base_layer: 250 + encoding,
            frame: 0,
        }
    }

    fn picture(&mut self, is_keyframe: bool, packets: u64) -> Picture {
        let temporal = if is_keyframe {
            0
        } else {
            [0, 2, 1, 2][self.frame % 4]
        };
        self.frame = if is_keyframe { 1 } else { self.frame + 1 };
        if temporal == 0 {
            self.base_layer = self.base_layer.wrapping_add(1);
        }
        let picture = Picture {
            encoding: self.encoding,
            number: self.number,
            timestamp: self.timestamp,
            id: self.id,
            base_layer: self.base_layer,
            temporal,
            is_sync: false,
            is_keyframe,
            packets,
        };
        self.number += packets;
        self.timestamp = self.timestamp.wrapping_add(3_000);
        self.id = (self.id + 1) & 0x7fff;
        picture
    }
}

struct Out {
    number: u64,
    timestamp: u32,
    picture: u16,
    base_layer: u8,
    is_keyframe_start: bool,
    from: Picture,
    packet: u64,
}

/// Feeds one packet and reads back what the receiver would see.
fn feed(
    rewrite: &mut VideoRewrite,
    now: Instant,
    picture: &Picture,
    packet: u64,
    target: Target,
) -> Result<Out, Verdict> {
    let bytes = payload(picture, packet);
    let header = VideoHeader::read(VideoCodec::Vp8, &bytes, None).unwrap();
    let verdict = rewrite.pass(
        now,
        VideoPacket {
            header: &header,
            structure: None,
            encoding: picture.encoding,
            number: picture.number + packet,
            timestamp: picture.timestamp,
            is_marked: packet + 1 == picture.packets,
        },
        Some(target),
    );
    let Verdict::Forward(numbers) = verdict else {
        return Err(verdict);
    };
    let mut bytes = bytes;
    if let Some(patch) = numbers.payload {
        patch.apply(&mut bytes);
    }
    let sent = VideoHeader::read(VideoCodec::Vp8, &bytes, None).unwrap();
    Ok(Out {
        number: numbers.number,
        timestamp: numbers.timestamp,
        picture: sent.picture().unwrap().0,
        base_layer: sent.base_layer().unwrap(),
        is_keyframe_start: header.is_keyframe_start,
        from: *picture,
        packet,
    })
}

const ALL: Target = Target {
    encoding: 0,
    spatial: u8::MAX,
    temporal: 7,
};

#[test]
fn a_packet_tells_what_it_is() {
    let mut sender = Sender::new(0);
    let key = sender.picture(true, 2);
    let header = Vp8Header::parse(&payload(&key, 0)).unwrap();
    assert!(header.is_keyframe_start());
    assert_eq!(header.size, Some((320, 180)));
    assert!(
        !Vp8Header::parse(&payload(&key, 1))
            .unwrap()
            .is_keyframe_start()
    );
    let delta = sender.picture(false, 1);
    let header = Vp8Header::parse(&payload(&delta, 0)).unwrap();
    assert_eq!(
        (header.is_keyframe_start(), header.temporal()),
        (false, Some(2))
    );
    for bad in [
        &[][..],
        &[0x90],
        &[0x90, 0x80],
        &[0x90, 0x80, 0x80, 1],
        &[0x90, 0x40, 1, 1],
    ] {
        assert!(Vp8Header::parse(bad).is_none(), "{bad:?}");
    }
}

proptest! {
    /// End-to-end encryption leaves the descriptor in the clear, ten bytes of a key frame and three
    /// of any other: all that is read is in there, whatever comes behind.
    #[test]
    fn nothing_behind_what_encryption_leaves_in_the_clear_is_read(
        is_keyframe: bool,
        packet in 0u64..2,
        noise in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let picture = Sender::new(0).picture(is_keyframe, 2);
        let bytes = payload(&picture, packet);
        let clear = 6 + match (packet, is_keyframe) {
            (0, true) => 10,
            (0, false) => 3,
            _ => 0,
        };
        let mut encrypted = bytes[..clear].to_vec();
        encrypted.extend(noise);
        let read = |bytes: &[u8]| format!("{:?}", Vp8Header::parse(bytes).unwrap());
        prop_assert_eq!(read(&bytes), read(&encrypted));
    }
}

#[test]
fn nothing_before_the_first_key_frame() {
    let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
    let now = Instant::now();
    for _ in 0..5 {
        let picture = sender.picture(false, 2);
        for packet in 0..2 {
            let out = feed(&mut rewrite, now, &picture, packet, ALL);
            assert!(matches!(out, Err(Verdict::DropForWantOfKeyframe)));
        }
    }
    let key = sender.picture(true, 2);
    let first = feed(&mut rewrite, now, &key, 0, ALL).ok().unwrap();
    assert!(first.number < 65_536);
    assert_eq!(first.timestamp, key.timestamp);
    let second = feed(&mut rewrite, now, &key, 1, ALL).ok().unwrap();
    assert_eq!(second.number, first.number + 1);
}

#[test]
fn leaving_out_layers_leaves_no_gap() {
    let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
    let now = Instant::now();
    let target = Target {
        encoding: 0,
        spatial: u8::MAX,
        temporal: 1,
    };
    let mut outs = Vec::new();
    for n in 0..40 {
        let picture = sender.picture(n == 0, 1 + n % 3);
        for packet in 0..picture.packets {
            outs.extend(feed(&mut rewrite, now, &picture, packet, target).ok());
        }
    }
    for pair in outs.windows(2) {
        assert_eq!(pair[1].number, pair[0].number + 1);
        let is_new = pair[0].from.timestamp != pair[1].from.timestamp;
        assert_eq!(
            (pair[0].picture + u16::from(is_new)) & 0x7fff,
            pair[1].picture
        );
    }
    assert!(outs.iter().all(|out| out.from.temporal < 2));
}

/// The table of Jitsi Videobridge's `doc/svc.md`: five frames of the temporal layers 0, 2, 1, 2, 0
/// with 3, 2, 2, 1 and 3 packets, of which one is missing or late.
#[test]
fn scenarios_a_to_d_of_layers_and_loss() {
    let now = Instant::now();
    let all: Vec<u64> = (1..=11).collect();
    let late = |number: u64| {
        let mut order: Vec<u64> = all.iter().copied().filter(|n| *n != number).collect();
        order.push(number);
        order
    };
    let table = [
        ("A", 0, all.clone(), vec![1, 2, 3, 4, 5, 6]),
        ("B", 2, late(5), vec![1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 5]),
        ("C", 0, late(5), vec![1, 2, 3, 4, 5, 6]),
        ("D", 1, late(8), vec![1, 2, 3, 4, 5, 7, 8, 9]),
    ];
    for (name, temporal, order, expected) in table {
        let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
        let mut packets = Vec::new();
        for (n, count) in [3, 2, 2, 1, 3].into_iter().enumerate() {
            let picture = sender.picture(n == 0, count);
            packets.extend((0..count).map(|packet| (picture, packet)));
        }
        let target = Target { temporal, ..ALL };
        let mut sent = Vec::new();
        for number in order {
            let (picture, packet) = &packets[number as usize - 1];
            let out = feed(&mut rewrite, now, picture, *packet, target);
            sent.extend(out.ok().map(|out| out.number));
        }
        let first = sent[0];
        let sent: Vec<u64> = sent.into_iter().map(|number| number - first + 1).collect();
        assert_eq!(sent, expected, "scenario {name}");
    }
}

/// The receiver would go on asking for what comes late and is left out.
#[test]
fn what_comes_late_and_is_left_out_is_filled_in() {
    let now = Instant::now();
    let target = Target { temporal: 0, ..ALL };
    let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
    let mut pass =
        |picture: &Picture, packet| match feed(&mut rewrite, now, picture, packet, target) {
            Ok(out) => (out.number, out.timestamp, false),
            Err(Verdict::Fill(place)) => (place.number, place.timestamp, true),
            Err(verdict) => {
                assert_eq!(verdict, Verdict::Drop);
                (0, 0, false)
            }
        };
    let key = sender.picture(true, 1);
    let (first, ..) = pass(&key, 0);
    // Nobody knows whether what is missing is wanted.
    let missing = sender.picture(false, 3);
    let left_out = sender.picture(false, 1);
    assert_eq!(pass(&left_out, 0).0, 0);
    assert_eq!(
        pass(&missing, 1),
        (first + 2, key.timestamp, true),
        "behind it there is nothing yet"
    );
    let upper = sender.picture(false, 1);
    assert_eq!(pass(&upper, 0).0, 0);
    let base = sender.picture(false, 1);
    assert_eq!(pass(&base, 0).0, first + 4, "the places are kept");
    assert_eq!(pass(&missing, 0), (first + 1, key.timestamp, true));
    assert_eq!(pass(&missing, 2), (first + 3, key.timestamp, true));
    // Nothing was kept for what was known to be left out.
    let known = sender.picture(false, 3);
    assert_eq!(pass(&known, 0).0, 0);
    assert_eq!(pass(&known, 2).0, 0);
    let rest = [sender.picture(false, 1), sender.picture(false, 1)];
    for picture in &rest {
        assert_eq!(pass(picture, 0).0, 0);
    }
    assert_eq!(pass(&known, 1).0, 0);
    let base = sender.picture(false, 1);
    assert_eq!(pass(&base, 0).0, first + 5);
}

/// More is wanted while frames are missing: what refers to them goes out at once, so they do too.
#[test]
fn what_comes_late_is_sent_where_what_refers_to_it_was() {
    let now = Instant::now();
    for order in [[1, 2], [2, 1]] {
        let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
        let pictures: Vec<Picture> = (0..6).map(|n| sender.picture(n == 0, 1)).collect();
        let mut pass = |n: usize, temporal| {
            let target = Target { temporal, ..ALL };
            let out = feed(&mut rewrite, now, &pictures[n], 0, target);
            out.map(|out| out.number - pictures[0].number % 0x8000).ok()
        };
        assert_eq!(pass(0, 0), Some(0));
        assert_eq!(pass(3, 2), Some(3));
        assert_eq!(pass(4, 2), Some(4));
        // To the first nothing refers: as before, less was wanted.
        let [one, two] = order.map(|n| pass(n, 2));
        let of_two = if order[0] == 2 { one } else { two };
        assert_eq!(of_two, Some(2), "{order:?}");
        assert_eq!(pass(5, 2), Some(5));
    }
}

#[test]
fn what_is_lost_inside_a_left_out_frame_is_not_missed() {
    let now = Instant::now();
    let target = Target {
        encoding: 0,
        spatial: u8::MAX,
        temporal: 0,
    };
    // Of a left-out frame of three packets: which are lost, and whether that can be known.
    for (lost, gap) in [(&[1u64][..], 0), (&[2], 0), (&[0], 0), (&[0, 1, 2], 3)] {
        let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
        let key = sender.picture(true, 1);
        let before = feed(&mut rewrite, now, &key, 0, target).ok().unwrap();
        let dropped = sender.picture(false, 3);
        assert_eq!(dropped.temporal, 2);
        for packet in (0..3).filter(|packet| !lost.contains(packet)) {
            assert!(feed(&mut rewrite, now, &dropped, packet, target).is_err());
        }
        for _ in 0..2 {
            let other = sender.picture(false, 1);
            assert!(feed(&mut rewrite, now, &other, 0, target).is_err());
        }
        let next = sender.picture(false, 1);
        assert_eq!(next.temporal, 0);
        let after = feed(&mut rewrite, now, &next, 0, target).ok().unwrap();
        assert_eq!(after.number - before.number - 1, gap, "lost {lost:?}");
    }
}

#[test]
fn a_switch_starts_with_a_key_frame_and_goes_on_without_a_seam() {
    let now = Instant::now();
    let (mut low, mut high) = (Sender::new(0), Sender::new(2));
    let mut rewrite = VideoRewrite::default();
    let up = Target {
        encoding: 2,
        spatial: u8::MAX,
        temporal: 7,
    };
    let key = low.picture(true, 1);
    let mut last = feed(&mut rewrite, now, &key, 0, up).ok().unwrap();
    let delta = high.picture(false, 2);
    assert!(matches!(
        feed(&mut rewrite, now, &delta, 0, up),
        Err(Verdict::DropForWantOfKeyframe)
    ));
    let more = low.picture(false, 1);
    let out = feed(&mut rewrite, now, &more, 0, up).ok().unwrap();
    assert_eq!(out.number, last.number + 1, "the old one goes on meanwhile");
    last = out;
    let later = now + Duration::from_millis(100);
    let key = high.picture(true, 2);
    let out = feed(&mut rewrite, later, &key, 0, up).ok().unwrap();
    assert!(out.is_keyframe_start && out.from.encoding == 2);
    assert_eq!(out.number, last.number + 1);
    assert_eq!(out.timestamp, last.timestamp.wrapping_add(9_000));
    assert_eq!(out.picture, (last.picture + 1) & 0x7fff);
    assert_eq!(out.base_layer, last.base_layer.wrapping_add(1));
    let old = low.picture(true, 1);
    assert!(
        feed(&mut rewrite, later, &old, 0, up).is_err(),
        "never back by itself"
    );
    // Down again: only the base layer of the dear one until the key frame of the cheap one.
    let down = Target {
        encoding: 0,
        spatial: u8::MAX,
        temporal: 7,
    };
    assert!(
        feed(&mut rewrite, later, &key, 1, down).is_ok(),
        "the rest of a begun frame"
    );
    let upper = high.picture(false, 1);
    assert!(upper.temporal > 0 && feed(&mut rewrite, later, &upper, 0, down).is_err());
    let key = low.picture(true, 1);
    assert!(feed(&mut rewrite, later, &key, 0, down).is_ok());
    assert_eq!(rewrite.current(), Some(0));
}

/// What was sent of a frame whose rest will never come must not look like a whole one.
#[test]
fn half_a_frame_is_followed_by_a_gap() {
    let now = Instant::now();
    let up = Target {
        encoding: 1,
        spatial: u8::MAX,
        temporal: 7,
    };
    for (sent_of_old, gap) in [(2, 1), (3, 0)] {
        let (mut low, mut high) = (Sender::new(0), Sender::new(1));
        let mut rewrite = VideoRewrite::default();
        let old = low.picture(true, 3);
        let mut last = 0;
        for packet in 0..sent_of_old {
            let out = feed(&mut rewrite, now, &old, packet, up).ok().unwrap();
            last = out.number;
        }
        let key = high.picture(true, 1);
        let out = feed(&mut rewrite, now, &key, 0, up).ok().unwrap();
        assert_eq!(
            out.number - last - 1,
            gap,
            "{sent_of_old} of 3 packets sent"
        );
        assert!(feed(&mut rewrite, now, &old, 2, up).is_err(), "too late");
        // The same when the stream goes on with something else altogether.
        let mut other = VideoRewrite::default();
        other.rebase(rewrite.sent());
        let next = Sender::new(0).picture(true, 1);
        let next = feed(&mut other, now, &next, 0, ALL).ok().unwrap();
        assert_eq!(next.number, out.number + 1);
        assert_eq!(next.picture, (out.picture + 1) & 0x7fff);
        assert_eq!(next.base_layer, out.base_layer.wrapping_add(1));
    }
}

#[test]
fn a_suspended_source_comes_back_with_a_key_frame() {
    let now = Instant::now();
    let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
    let key = sender.picture(true, 1);
    let last = feed(&mut rewrite, now, &key, 0, ALL).ok().unwrap();
    rewrite.suspend();
    let delta = sender.picture(false, 1);
    assert!(feed(&mut rewrite, now, &delta, 0, ALL).is_err());
    sender.number += 500;
    let key = sender.picture(true, 1);
    let out = feed(&mut rewrite, now, &key, 0, ALL).ok().unwrap();
    assert_eq!(out.number, last.number + 1);
}

#[test]
fn a_key_frame_that_comes_after_what_refers_to_it_is_not_used() {
    let now = Instant::now();
    let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
    let key = sender.picture(true, 1);
    let delta = sender.picture(false, 1);
    for late in [&delta, &key] {
        assert!(matches!(
            feed(&mut rewrite, now, late, 0, ALL),
            Err(Verdict::DropForWantOfKeyframe)
        ));
    }
    let key = sender.picture(true, 1);
    assert!(feed(&mut rewrite, now, &key, 0, ALL).is_ok());
}

/// The receiver has what follows the late packet already, under other numbers.
#[test]
fn a_key_frame_that_began_before_a_switch_is_not_begun_again_behind_it() {
    let now = Instant::now();
    let target = |encoding| Target {
        encoding,
        spatial: u8::MAX,
        temporal: 7,
    };
    for is_suspended in [false, true] {
        let (mut low, mut high) = (Sender::new(0), Sender::new(1));
        let mut rewrite = VideoRewrite::default();
        let first = low.picture(true, 1);
        assert!(feed(&mut rewrite, now, &first, 0, target(0)).is_ok());
        let key = low.picture(true, 2);
        assert!(feed(&mut rewrite, now, &key, 1, target(1)).is_ok());
        if is_suspended {
            rewrite.suspend();
        } else {
            let other = high.picture(true, 1);
            assert!(feed(&mut rewrite, now, &other, 0, target(1)).is_ok());
        }
        assert!(matches!(
            feed(&mut rewrite, now, &key, 0, target(0)),
            Err(Verdict::DropForWantOfKeyframe)
        ));
        let next = low.picture(true, 1);
        assert!(feed(&mut rewrite, now, &next, 0, target(0)).is_ok());
    }
}

#[test]
fn a_leap_of_numbers_is_a_new_beginning() {
    let now = Instant::now();
    let (mut sender, mut rewrite) = (Sender::new(0), VideoRewrite::default());
    let key = sender.picture(true, 1);
    feed(&mut rewrite, now, &key, 0, ALL).ok().unwrap();
    sender.number += 5_000;
    let far = sender.picture(false, 1);
    assert!(matches!(
        feed(&mut rewrite, now, &far, 0, ALL),
        Err(Verdict::DropForWantOfKeyframe)
    ));
}

#[derive(Clone, Copy, Debug)]
struct Step {
    is_key: bool,
    packets: u64,
    temporal_max: u8,
    encoding: u8,
    fates: [u8; 4],
}

fn step() -> impl Strategy<Value = Step> {
    (
        proptest::bool::weighted(0.06),
        1u64..5,
        0u8..3,
        prop_oneof![12 => Just(3u8), 1 => 0u8..3],
        proptest::array::uniform4(prop_oneof![12 => Just(0u8), 1 => Just(1), 1 => Just(2)]),
    )
        .prop_map(|(is_key, packets, temporal_max, encoding, fates)| Step {
            is_key,
            packets,
            temporal_max,
            encoding,
            fates,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Three encodings with loss (fate 1) and delay (fate 2), targets that change: what the
    /// receiver sees is ordered as it was sent, each encoding starts with a key frame, and no
    /// number is missing but for packets that were lost or could have been part of a forwarded
    /// frame. Of those that come late, none leaves a place empty which was kept for it.
    #[test]
    fn receivers_see_one_stream(steps in proptest::collection::vec(step(), 1..120)) {
        let mut senders = [Sender::new(0), Sender::new(1), Sender::new(2)];
        let mut rewrite = VideoRewrite::default();
        let start = Instant::now();
        let mut target = Target { encoding: 2, spatial: u8::MAX, temporal: 2 };
        let mut late: Vec<(usize, Picture, u64)> = Vec::new();
        let mut outs: Vec<Out> = Vec::new();
        let mut filled: BTreeMap<u64, u32> = BTreeMap::new();
        let (mut lost, mut dropped_late) = (0u64, 0u64);
        for (n, step) in steps.iter().enumerate() {
            let now = start + Duration::from_millis(33 * n as u64);
            target.temporal = step.temporal_max;
            if step.encoding < 3 {
                target.encoding = step.encoding;
            }
            let mut give = |picture: &Picture, packet| {
                match feed(&mut rewrite, now, picture, packet, target) {
                    Ok(out) => { outs.push(out); true }
                    Err(Verdict::Fill(place)) => {
                        let before = filled.insert(place.number, place.timestamp);
                        assert_eq!(before, None, "{} filled twice", place.number);
                        true
                    }
                    Err(_) => false,
                }
            };
            let due: Vec<_> = late.extract_if(.., |(at, ..)| *at <= n).collect();
            for (_, picture, packet) in due {
                if !give(&picture, packet) {
                    dropped_late += 1;
                }
            }
            for sender in &mut senders {
                let picture = sender.picture(step.is_key || n == 0, step.packets);
                for packet in 0..step.packets {
                    match step.fates[packet as usize] {
                        1 => lost += 1,
                        2 => late.push((n + 2, picture, packet)),
                        _ => { give(&picture, packet); }
                    }
                }
            }
        }
        lost += late.len() as u64;
        let mut by_number: BTreeMap<u64, &Out> = BTreeMap::new();
        for out in &outs {
            prop_assert!(by_number.insert(out.number, out).is_none(), "{} twice", out.number);
            prop_assert!(!filled.contains_key(&out.number), "{} was filled", out.number);
        }
        let ordered: Vec<&Out> = by_number.values().copied().collect();
        if let Some(first) = ordered.first() {
            prop_assert!(first.is_keyframe_start && first.number < 65_536);
        }
        let mut newest = [0; 3];
        for out in &ordered {
            let newest = &mut newest[usize::from(out.from.encoding)];
            let number = out.from.number + out.packet;
            prop_assert!(number > *newest, "{number} behind {newest}");
            *newest = number;
        }
        let (mut holes, mut cuts) = (0, 0);
        for pair in ordered.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let mut end = a.number;
            let mut between = a.timestamp;
            for (number, timestamp) in filled.range(a.number..b.number) {
                prop_assert!(timestamp.wrapping_sub(between) < 1 << 31, "time goes back");
                between = *timestamp;
                end = *number;
            }
            prop_assert!(b.timestamp.wrapping_sub(between) < 1 << 31, "time goes back");
            holes += b.number - a.number - 1 - filled.range(a.number..b.number).count() as u64;
            let is_whole = a.packet + 1 == a.from.packets;
            cuts += u64::from(b.is_keyframe_start && !is_whole);
            let ahead = b.timestamp.wrapping_sub(a.timestamp);
            prop_assert!(ahead < 1 << 31, "time goes back");
            if a.from.encoding == b.from.encoding && a.from.timestamp == b.from.timestamp {
                prop_assert_eq!((a.timestamp, a.picture, a.base_layer),
                    (b.timestamp, b.picture, b.base_layer));
                prop_assert!(a.packet < b.packet);
            } else {
                prop_assert!(ahead > 0);
                let step = b.picture.wrapping_sub(a.picture) & 0x7fff;
                prop_assert!(step > 0 && step < 1_000, "picture {} {}", a.picture, b.picture);
            }
            if a.from.encoding != b.from.encoding {
                prop_assert!(b.is_keyframe_start, "a switch without a key frame");
                prop_assert_eq!(b.number, end + if is_whole { 1 } else { 2 });
            }
        }
        prop_assert!(holes <= lost + dropped_late + cuts, "{holes} holes, {lost} lost");
    }
}
