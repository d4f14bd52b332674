use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// What was appended must be whole packets, which together are all.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0xee; 3];
    write(&mut out);
    out.split_off(3)
}

fn one(datagram: &[u8]) -> Packet<'_> {
    let mut packets = read(datagram);
    let packet = packets.next().expect("there is a packet");
    assert!(packets.next().is_none());
    assert!(!packets.is_malformed());
    packet
}

/// How many packets, and whether they ended in garbage.
fn count(datagram: &[u8]) -> (usize, bool) {
    let mut packets = read(datagram);
    let count = packets.by_ref().count();
    (count, packets.is_malformed())
}

fn block(ssrc: u32) -> ReportBlock {
    ReportBlock {
        ssrc,
        fraction_lost: 7,
        lost: -2,
        highest_number: 0x0001_0002,
        jitter: 3,
        last_sender_report: 0x0405_0607,
        delay: 8,
    }
}

#[test]
fn a_sender_report_byte_for_byte() {
    let information = SenderInformation {
        ntp: 0x0102_0304_0506_0708,
        timestamp: 0x090a_0b0c,
        packets: 13,
        bytes: 14,
    };
    assert_eq!(information.compact(), 0x0304_0506);
    let datagram = written(|out| write_sender_report(out, 0xa1a2_a3a4, &information, &[block(5)]));
    let expected = [
        0x81, 200, 0, 12, 0xa1, 0xa2, 0xa3, 0xa4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0,
        13, 0, 0, 0, 14, 0, 0, 0, 5, 7, 0xff, 0xff, 0xfe, 0, 1, 0, 2, 0, 0, 0, 3, 4, 5, 6, 7, 0, 0,
        0, 8,
    ];
    assert_eq!(datagram, expected);
    let Packet::SenderReport(report) = one(&datagram) else {
        panic!();
    };
    assert_eq!(report.sender, 0xa1a2_a3a4);
    assert_eq!(report.information, information);
    assert!(report.blocks.iter().eq([block(5)]));
}

#[test]
fn more_blocks_than_a_report_holds_are_in_further_ones() {
    let blocks: Vec<_> = (0..70).map(block).collect();
    let found = |datagram: &[u8]| -> Vec<(u8, usize, u32)> {
        read(datagram)
            .flat_map(|packet| match packet {
                Packet::SenderReport(report) => report.blocks.iter().collect::<Vec<_>>(),
                Packet::ReceiverReport(report) => report.blocks.iter().collect(),
                _ => panic!(),
            })
            .enumerate()
            .map(|(place, block)| (block.fraction_lost, place, block.ssrc))
            .collect()
    };
    let expected: Vec<_> = (0..70).map(|place| (7, place, place as u32)).collect();
    let datagram = written(|out| write_receiver_report(out, 1, &blocks));
    assert_eq!(count(&datagram), (3, false));
    assert_eq!(found(&datagram), expected);
    let information = SenderInformation::default();
    let datagram = written(|out| write_sender_report(out, 1, &information, &blocks));
    assert_eq!(count(&datagram), (3, false));
    assert_eq!(found(&datagram), expected);
}

#[test]
fn a_report_of_nothing_is_one() {
    let datagram = written(|out| write_receiver_report(out, 9, &[]));
    assert_eq!(datagram, [0x80, 201, 0, 1, 0, 0, 0, 9]);
    let Packet::ReceiverReport(report) = one(&datagram) else {
        panic!();
    };
    assert_eq!((report.sender, report.blocks.iter().count()), (9, 0));
}

#[test]
fn losses_beyond_24_bits_are_the_nearest() {
    for (lost, nearest) in [
        (i32::MAX, 0x7f_ffff),
        (i32::MIN, -0x80_0000),
        (0x7f_ffff, 0x7f_ffff),
    ] {
        let wide = ReportBlock { lost, ..block(1) };
        let datagram = written(|out| write_receiver_report(out, 1, &[wide]));
        let Packet::ReceiverReport(report) = one(&datagram) else {
            panic!();
        };
        assert_eq!(report.blocks.iter().next().unwrap().lost, nearest);
    }
}

#[test]
fn a_description_is_whole_words_and_passed_over() {
    for (length, words) in [(0, 3), (1, 3), (2, 4), (3, 4), (5, 4), (6, 5), (255, 67)] {
        let datagram = written(|out| write_sdes(out, 3, &"n".repeat(length)));
        assert_eq!(datagram.len(), words * 4, "{length}");
        assert_eq!(datagram[..2], [0x81, 202]);
        assert_eq!(datagram[8..10], [1, length as u8]);
        assert_eq!(datagram.last(), Some(&0));
        assert_eq!(count(&datagram), (0, false));
    }
    let longest = written(|out| write_sdes(out, 3, &"n".repeat(255)));
    let longer = written(|out| write_sdes(out, 3, &"n".repeat(300)));
    assert_eq!(longest, longer);
}

#[test]
fn missing_packets_are_packed() {
    let numbers = [65_530, 65_531, 10, 11, 65_530u16.wrapping_add(17), 11, 200];
    let mut ascending = numbers;
    ascending.sort_by_key(|number| number.wrapping_sub(65_530));
    let datagram = written(|out| write_nack(out, 1, 2, ascending));
    let expected = [
        // 65530 with 65531 and 10
        [0xff, 0xfa, 0x80, 0x01],
        [0, 11, 0, 0],
        [0, 200, 0, 0],
    ];
    assert_eq!(
        datagram[..12],
        [0x81, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2],
        "{datagram:x?}"
    );
    assert_eq!(datagram[12..], expected.concat());
    let Packet::Nack(nack) = one(&datagram) else {
        panic!();
    };
    assert_eq!((nack.sender, nack.media), (1, 2));
    let found: Vec<u16> = nack.numbers().collect();
    assert_eq!(found, [65_530, 65_531, 10, 11, 200]);
    assert!(written(|out| write_nack(out, 1, 2, [])).is_empty());
}

#[test]
fn more_missing_packets_than_one_can_name_are_in_several() {
    let numbers: Vec<u16> = (0..200).map(|number| number * 20).collect();
    let datagram = written(|out| write_nack(out, 1, 2, numbers.iter().copied()));
    assert_eq!(count(&datagram), (4, false));
    let found: Vec<u16> = read(&datagram)
        .flat_map(|packet| match packet {
            Packet::Nack(nack) => nack.numbers(),
            _ => panic!(),
        })
        .collect();
    assert_eq!(found, numbers);
}

#[test]
fn key_frames_are_asked_for() {
    let datagram = written(|out| {
        write_pli(out, 1, 2);
        write_fir(out, 3, 4, 5);
    });
    let mut packets = read(&datagram);
    let Some(Packet::Pli(pli)) = packets.next() else {
        panic!();
    };
    assert_eq!(
        pli,
        Pli {
            sender: 1,
            media: 2
        }
    );
    let Some(Packet::Fir(fir)) = packets.next() else {
        panic!();
    };
    assert_eq!(fir.sender, 3);
    assert!(fir.requests().eq([(4, 5)]));
    assert!(packets.next().is_none());
    assert_eq!(datagram[..4], [0x81, 206, 0, 2]);
    assert_eq!(datagram[12..16], [0x84, 206, 0, 4]);
}

#[test]
fn an_estimate_of_the_receiver() {
    let mut datagram = vec![0x8f, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0];
    datagram.extend_from_slice(b"REMB");
    // 2^3 times 0x1_0203
    datagram.extend_from_slice(&[2, 3 << 2 | 1, 2, 3, 0, 0, 0, 7, 0, 0, 0, 8]);
    let Packet::Remb(remb) = one(&datagram) else {
        panic!();
    };
    assert_eq!(remb.sender, 1);
    assert_eq!(remb.bits_per_second, 0x1_0203 << 3);
    assert!(remb.ssrcs().eq([7, 8]));

    datagram[17] = 0xff;
    let Packet::Remb(remb) = one(&datagram) else {
        panic!();
    };
    assert_eq!(remb.bits_per_second, u64::MAX);

    datagram[16] = 3;
    assert_eq!(count(&datagram), (0, true), "fewer SSRCs than announced");
    datagram[12..16].copy_from_slice(b"REMC");
    assert_eq!(count(&datagram), (0, false), "something else");
}

#[test]
fn streams_that_end() {
    // with a reason
    let datagram = [0x82, 203, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 3, b'b', b'y', b'e'];
    let Packet::Bye(bye) = one(&datagram) else {
        panic!();
    };
    assert!(bye.ssrcs().eq([1, 2]));
    assert_eq!(count(&[0x81, 203, 0, 0]), (0, true));
}

#[test]
fn a_receivers_time_and_the_answer() {
    // behind a block of another kind
    let datagram = [
        0x80, 207, 0, 6, 0, 0, 0, 9, 6, 0, 0, 1, 1, 2, 3, 4, //
        4, 0, 0, 2, 0xa1, 0xa2, 0xa3, 0xa4, 0xb1, 0xb2, 0xb3, 0xb4,
    ];
    let Packet::ReferenceTime(reference) = one(&datagram) else {
        panic!();
    };
    let expected = ReferenceTime {
        sender: 9,
        ntp: 0xa1a2_a3a4_b1b2_b3b4,
    };
    assert_eq!(reference, expected);
    assert_eq!(reference.compact(), 0xa3a4_b1b2);

    let answer = written(|out| write_reference_answer(out, 1, 9, 0xa3a4_b1b2, 0x0001_8000));
    assert_eq!(
        answer,
        [
            0x80, 207, 0, 5, 0, 0, 0, 1, 5, 0, 0, 3, 0, 0, 0, 9, //
            0xa3, 0xa4, 0xb1, 0xb2, 0, 1, 0x80, 0,
        ]
    );
    assert_eq!(count(&answer), (0, false), "nothing that we read");

    let mut longer = datagram;
    longer[11] = 9;
    assert_eq!(count(&longer), (0, false), "no such block fits");
    longer = datagram;
    longer[19] = 1;
    assert_eq!(count(&longer), (0, false), "too short for a time");
    assert_eq!(count(&[0x80, 207, 0, 0]), (0, true));
}

#[test]
fn garbage_ends_it_and_what_was_before_counts() {
    let good = written(|out| write_pli(out, 1, 2));
    let with = |rest: &[u8]| count(&[&good[..], rest, &good[..]].concat());
    assert_eq!(with(&[]), (2, false));
    // APP is nothing to us
    assert_eq!(with(&[0x80, 204, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0]), (2, false));
    for garbage in [
        &[0x80][..],
        &[0x80, 201, 0],
        &[0x40, 201, 0, 0],
        &[0x80, 204, 0xff, 0xff],
        // shorter than they have to be
        &[0x80, 201, 0, 0],
        &[0x81, 201, 0, 1, 0, 0, 0, 1],
        &[0x80, 200, 0, 1, 0, 0, 0, 1],
        &[0x81, 205, 0, 1, 0, 0, 0, 1],
        // padding of nothing, and of more than there is
        &[0xa0, 204, 0, 1, 0, 0, 0, 0],
        &[0xa0, 204, 0, 1, 0, 0, 0, 5],
        &[0xa0, 204, 0, 0],
    ] {
        assert_eq!(with(garbage), (1, true), "{garbage:x?}");
    }
}

#[test]
fn padding_is_no_content() {
    let mut datagram = written(|out| write_nack(out, 1, 2, [3, 100]));
    datagram.extend_from_slice(&[0, 0, 0, 4]);
    datagram[0] |= 0x20;
    datagram[3] += 1;
    let Packet::Nack(nack) = one(&datagram) else {
        panic!();
    };
    assert!(nack.numbers().eq([3, 100]));
}

/// The statuses of all messages about these arrivals, in milliseconds after `base`, and how many
/// messages those are.
fn told(arrivals: &[(u64, Option<u64>)]) -> (Vec<(u16, Option<i64>)>, usize) {
    let base = Instant::now();
    let arrivals: Vec<_> = arrivals
        .iter()
        .map(|&(number, at)| (number, at.map(|at| base + Duration::from_millis(at))))
        .collect();
    let mut rest = &arrivals[..];
    let (mut statuses, mut messages) = (Vec::new(), 0);
    let mut feedback_count = 254;
    loop {
        let mut taken = 0;
        let count = feedback_count;
        let datagram = written(|out| {
            taken = write_transport_feedback(out, 1, 2, &mut feedback_count, base, rest);
        });
        if taken == 0 {
            assert!(datagram.is_empty());
            assert_eq!(feedback_count, count);
            return (statuses, messages);
        }
        assert!(datagram.len() <= FEEDBACK_MAX, "{}", datagram.len());
        let Packet::TransportFeedback(feedback) = one(&datagram) else {
            panic!();
        };
        assert_eq!((feedback.sender, feedback.media), (1, 2));
        assert_eq!(feedback.feedback_count, count);
        assert_eq!(feedback.base_number, rest[0].0 as u16);
        assert_eq!(feedback_count, count.wrapping_add(1));
        let before = statuses.len();
        statuses.extend(
            feedback
                .statuses()
                .map(|(number, at)| (number, at.map(|at| at / 1000))),
        );
        assert_eq!(statuses.len() - before, usize::from(feedback.count));
        messages += 1;
        rest = &rest[taken..];
    }
}

#[test]
fn feedback_byte_for_byte() {
    let base = Instant::now();
    let at = |micros| Some(base + Duration::from_micros(micros));
    let arrivals = [
        (0x1_fffe, at(64_000 * 5 + 500)),
        (0x1_ffff, None),
        (0x2_0000, at(64_000 * 5 + 250)),
        // a number is missing
        (0x2_0002, at(64_000 * 7)),
        (0x2_0003, None),
    ];
    let mut count = 9;
    let mut out = Vec::new();
    let taken = write_transport_feedback(&mut out, 1, 2, &mut count, base, &arrivals);
    assert_eq!(taken, 4, "the last may still come");
    let vector = 0b11_01_00_10_00_10_00_00u16.to_be_bytes();
    let delta = (511i16).to_be_bytes();
    let expected = [
        0x8f, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0, 5, 0, 0, 5, 9, vector[0],
        vector[1], 2, 0xff, 0xff, delta[0], delta[1], 0,
    ];
    assert_eq!(out, expected, "{out:x?}");
    let Packet::TransportFeedback(feedback) = one(&out) else {
        panic!();
    };
    assert_eq!(feedback.reference_time, 5);
    let statuses: Vec<_> = feedback.statuses().collect();
    assert_eq!(
        statuses,
        [
            (0xfffe, Some(320_500)),
            (0xffff, None),
            (0, Some(320_250)),
            (1, None),
            (2, Some(448_000)),
        ]
    );
}

#[test]
fn feedback_of_nothing_is_none() {
    assert_eq!(told(&[]), (vec![], 0));
    assert_eq!(told(&[(1, None), (2, None)]), (vec![], 0));
}

#[test]
fn feedback_is_split_where_it_does_not_fit() {
    // a second apart, and nine
    let (statuses, messages) = told(&[(1, Some(0)), (2, Some(1000)), (3, Some(10_000))]);
    let expected = vec![(1, Some(0)), (2, Some(1000)), (3, Some(10_000))];
    assert_eq!((statuses, messages), (expected, 2));
    // what is lost before the split is told with what came after
    let (statuses, messages) = told(&[(1, Some(0)), (2, None), (3, Some(10_000))]);
    let expected = vec![(1, Some(0)), (2, None), (3, Some(10_000))];
    assert_eq!((statuses, messages), (expected, 2));
    // many are lost, and too many
    let (statuses, messages) = told(&[(1, Some(0)), (2 + HOLE_MAX, Some(1))]);
    assert_eq!((statuses.len() as u64, messages), (HOLE_MAX + 2, 1));
    let (statuses, messages) = told(&[(1, Some(0)), (3 + HOLE_MAX, Some(1))]);
    assert_eq!((statuses.len(), messages), (2, 2));
    // thousands arrived
    let arrivals: Vec<_> = (0..5000).map(|number| (number, Some(number * 2))).collect();
    let (statuses, messages) = told(&arrivals);
    assert_eq!(statuses.len(), 5000);
    assert!((5..=8).contains(&messages), "{messages}");
}

#[test]
fn what_does_not_ascend_is_passed_over() {
    let (statuses, messages) = told(&[(5, Some(1)), (5, Some(2)), (4, Some(3)), (6, Some(4))]);
    assert_eq!((statuses, messages), (vec![(5, Some(1)), (6, Some(4))], 1));
}

#[test]
fn an_arrival_before_the_zero_of_the_clock() {
    let base = Instant::now() + Duration::from_secs(3600);
    let at = base - Duration::from_millis(65);
    let mut out = Vec::new();
    write_transport_feedback(
        &mut out,
        1,
        2,
        &mut 0,
        base,
        &[(1, Some(at)), (2, Some(base))],
    );
    let Packet::TransportFeedback(feedback) = one(&out) else {
        panic!();
    };
    assert_eq!(feedback.reference_time, -2);
    let arrivals: Vec<_> = feedback.statuses().collect();
    assert_eq!(arrivals, [(1, Some(-65_000)), (2, Some(0))]);
}

/// A message with this count, these chunks and deltas.
fn feedback(count: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
    let [c0, c1] = count.to_be_bytes();
    let mut out = vec![
        0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 10, c0, c1, 0, 0, 1, 0,
    ];
    out.extend(chunks.iter().flat_map(|chunk| chunk.to_be_bytes()));
    out.extend_from_slice(deltas);
    out.resize(out.len().next_multiple_of(4), 0);
    out[3] = (out.len() / 4 - 1) as u8;
    out
}

#[test]
fn all_kinds_of_chunks_are_read() {
    // runs of two small and of three lost, bits, pairs of bits of which two count
    let chunks = [
        1 << 13 | 2,
        3,
        2 << 14 | 0b10_0000_0000_0001,
        3 << 14 | 0b10_01_11_11_11_11_11,
    ];
    let datagram = feedback(2 + 3 + 14 + 2, &chunks, &[1, 2, 3, 4, 0xff, 0xff, 5]);
    let Packet::TransportFeedback(message) = one(&datagram) else {
        panic!();
    };
    let ticks: Vec<_> = message
        .statuses()
        .map(|(number, at)| (number, at.map(|at| at / 250 - 256)))
        .collect();
    let mut expected: Vec<(u16, Option<i64>)> = (10..31).map(|number| (number, None)).collect();
    for (place, tick) in [(0, 1), (1, 3), (5, 6), (18, 10), (19, 9), (20, 14)] {
        expected[place].1 = Some(tick);
    }
    assert_eq!(ticks, expected);
}

#[test]
fn feedback_that_cannot_be_is_garbage() {
    let good = [1 << 13 | 2];
    assert_eq!(count(&feedback(2, &good, &[1, 2])), (1, false));
    assert_eq!(
        count(&feedback(3, &good, &[1, 2])),
        (0, true),
        "one chunk more is needed"
    );
    assert_eq!(
        count(&feedback(7, &[1 << 13 | 7], &[1, 2])),
        (0, true),
        "deltas are missing"
    );
    assert_eq!(
        count(&feedback(2, &[3 << 13 | 2], &[1, 2])),
        (0, true),
        "a reserved symbol in a vector"
    );
    let vector = 3 << 14 | 0b11 << 12;
    assert_eq!(
        count(&feedback(1, &[vector], &[1, 2])),
        (0, true),
        "a reserved symbol"
    );
    assert_eq!(
        count(&feedback(1, &[0, 0, 1 << 13 | 1], &[1])),
        (1, false),
        "empty runs"
    );
}

#[test]
fn a_datagram_makes_bounded_work() {
    let half = feedback(STATUSES_MAX / 2, &[STATUSES_MAX / 2], &[]);
    assert_eq!(count(&half.repeat(20)), (2, false));
    let pli = written(|out| write_pli(out, 1, 2));
    let huge = feedback(u16::MAX, &[0x1fff; 9], &[]);
    assert_eq!(
        count(&[&huge[..], &half, &pli].concat()),
        (2, false),
        "others count"
    );
}

fn arrivals() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
    let step = prop_oneof![10 => Just(1u64), 2 => 1u64..20, 1 => 1u64..6000];
    let wait = prop_oneof![10 => 0u64..5, 3 => 0u64..200, 1 => 0u64..20_000];
    let at = (wait, 0u8..10, 0u64..60);
    proptest::collection::vec((step, at), 0..600).prop_map(|steps| {
        let (mut number, mut now) = (0, 100);
        steps
            .into_iter()
            .map(|(step, (wait, lot, earlier))| {
                number += step;
                now += wait;
                (
                    number,
                    (lot > 2).then_some(now - if lot == 9 { earlier } else { 0 }),
                )
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn feedback_survives(arrivals in arrivals()) {
        let (statuses, _) = told(&arrivals);
        let arrived = |statuses: &[(u16, Option<i64>)]| -> Vec<(u16, i64)> {
            statuses.iter().filter_map(|&(number, at)| Some((number, at?))).collect()
        };
        let expected: Vec<_> =
            arrivals.iter().map(|&(number, at)| (number as u16, at.map(u64::cast_signed))).collect();
        prop_assert_eq!(arrived(&statuses), arrived(&expected));
        // all that is named up to the last arrival is told, in its order
        let end = expected.iter().rposition(|(_, at)| at.is_some()).map_or(0, |end| end + 1);
        let mut told = statuses.iter();
        for named in &expected[..end] {
            prop_assert!(told.any(|status| status == named), "{named:?}");
        }
    }

    #[test]
    fn missing_packets_survive(numbers in proptest::collection::btree_set(0u16..3000, 0..400), shift: u16) {
        let numbers: Vec<u16> = numbers.into_iter().map(|number| number.wrapping_add(shift)).collect();
        let datagram = written(|out| write_nack(out, 1, 2, numbers.iter().copied()));
        let found: Vec<u16> = read(&datagram)
            .flat_map(|packet| match packet {
                Packet::Nack(nack) => nack.numbers().collect::<Vec<_>>(),
                _ => panic!(),
            })
            .collect();
        prop_assert_eq!(found, numbers);
    }

    #[test]
    fn reports_survive(
        sender: u32,
        words in any::<[u32; 5]>(),
        blocks in proptest::collection::vec(any::<([u32; 5], u8, i32)>(), 0..40),
    ) {
        let blocks: Vec<_> = blocks
            .into_iter()
            .map(|([ssrc, highest_number, jitter, last_sender_report, delay], fraction_lost, lost)| {
                ReportBlock {
                    ssrc,
                    fraction_lost,
                    lost: lost >> 8,
                    highest_number,
                    jitter,
                    last_sender_report,
                    delay,
                }
            })
            .collect();
        let information = SenderInformation {
            ntp: u64::from(words[0]) << 32 | u64::from(words[1]),
            timestamp: words[2],
            packets: words[3],
            bytes: words[4],
        };
        let datagram = written(|out| write_sender_report(out, sender, &information, &blocks));
        let mut found = Vec::new();
        for packet in read(&datagram) {
            match packet {
                Packet::SenderReport(report) => {
                    prop_assert_eq!(report.information, information);
                    prop_assert_eq!(report.sender, sender);
                    found.extend(report.blocks.iter());
                }
                Packet::ReceiverReport(report) => {
                    prop_assert_eq!(report.sender, sender);
                    found.extend(report.blocks.iter());
                }
                _ => panic!(),
            }
        }
        prop_assert_eq!(found, blocks);
    }

    #[test]
    fn anything_can_be_read(
        packets in proptest::collection::vec(
            (0u8..32, 198u8..208, proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()),
            0..6,
        ),
        rest in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut datagram = Vec::new();
        for (count, kind, mut body, is_plausible) in packets {
            body.truncate(body.len() / 4 * 4);
            if is_plausible && kind == TRANSPORT_FEEDBACK && body.len() > 12 {
                body[10] = 0;
                body[11] &= 0x3f;
            }
            datagram.extend_from_slice(&[0x80 | count, kind, 0, (body.len() / 4) as u8]);
            datagram.extend_from_slice(&body);
        }
        datagram.extend_from_slice(&rest);
        for packet in read(&datagram) {
            match packet {
                Packet::SenderReport(report) => drop(report.blocks.iter().count()),
                Packet::ReceiverReport(report) => drop(report.blocks.iter().count()),
                Packet::Nack(nack) => {
                    prop_assert!(nack.numbers().count() <= datagram.len() / 4 * 17);
                }
                Packet::Fir(fir) => drop(fir.requests().count()),
                Packet::Remb(remb) => drop(remb.ssrcs().count()),
                Packet::Bye(bye) => drop(bye.ssrcs().count()),
                Packet::TransportFeedback(feedback) => {
                    prop_assert_eq!(feedback.statuses().count(), usize::from(feedback.count));
                }
                Packet::ReferenceTime(_) | Packet::Pli(_) => {}
            }
        }
    }
}
