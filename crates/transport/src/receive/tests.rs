use proptest::prelude::*;

use super::*;
use crate::packet::Extensions;
use crate::rtcp::{Packet, ReportBlock};

const MEDIA: u32 = 0x0a0a;
const RTX: u32 = 0x0b0b;
const OURS: u32 = 1;

fn receiver() -> Receiver {
    let mut receiver = Receiver::new(Settings {
        rtx_types: vec![(96, 100), (97, 101)],
    });
    assert!(receiver.expect(Expected {
        ssrc: MEDIA,
        rtx: Some(RTX),
        clock_rate: 90_000,
        is_nackable: true,
    }));
    receiver
}

fn header(ssrc: u32, payload_type: u8) -> Header {
    Header {
        payload_type,
        is_marked: true,
        number: 0,
        timestamp: 3_000,
        ssrc,
        has_padding: false,
        length: 12,
        extensions: Extensions::default(),
    }
}

fn media(receiver: &mut Receiver, now: Instant, number: u64) -> Option<Arrival> {
    receiver.take(now, &header(MEDIA, 100), number, &[7; 100])
}

fn again(receiver: &mut Receiver, now: Instant, original: u16) -> Option<Arrival> {
    let mut payload = original.to_be_bytes().to_vec();
    payload.extend([7; 100]);
    receiver.take(now, &header(RTX, 96), 1, &payload)
}

#[derive(Debug, Default, PartialEq)]
struct Told {
    blocks: Vec<ReportBlock>,
    asked: Vec<(u32, Vec<u16>)>,
    keyframes: Vec<u32>,
    arrivals: Vec<u16>,
}

/// All that is due.
fn told(receiver: &mut Receiver, now: Instant) -> Told {
    let mut told = Told::default();
    let mut out = Vec::new();
    while receiver.write_due(now, OURS, &mut out) {
        assert!(out.len() <= DATAGRAM_MAX, "{}", out.len());
        let mut packets = rtcp::read(&out);
        for packet in &mut packets {
            match packet {
                Packet::ReceiverReport(report) => {
                    assert_eq!(report.sender, OURS);
                    told.blocks.extend(report.blocks.iter());
                }
                Packet::Nack(nack) => told.asked.push((nack.media, nack.numbers().collect())),
                Packet::Pli(pli) => told.keyframes.push(pli.media),
                Packet::TransportFeedback(feedback) => {
                    assert_eq!((feedback.sender, feedback.media), (OURS, MEDIA));
                    let came = feedback.statuses().filter(|(_, at)| at.is_some());
                    told.arrivals.extend(came.map(|(number, _)| number));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(!packets.is_malformed());
        out.clear();
    }
    assert!(
        receiver.wake().is_none_or(|wake| wake > now),
        "all was said"
    );
    told
}

fn at(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

#[test]
fn media_and_retransmissions_arrive_alike() {
    let now = Instant::now();
    let mut receiver = receiver();
    let first = media(&mut receiver, now, 65_536 + 9).unwrap();
    let expected = Arrival {
        ssrc: MEDIA,
        number: 65_536 + 9,
        payload_type: 100,
        timestamp: 3_000,
        is_marked: true,
        offset: 0,
        is_retransmission: false,
    };
    assert_eq!(first, expected);
    let late = again(&mut receiver, now, 5).unwrap();
    let expected = Arrival {
        number: 65_536 + 5,
        offset: 2,
        is_retransmission: true,
        ..expected
    };
    assert_eq!(late, expected);
    assert_eq!(
        again(&mut receiver, now, 65_535).unwrap().number,
        65_535,
        "before the wrap"
    );
    let statistics = receiver.statistics(MEDIA).unwrap();
    assert_eq!(
        (statistics.packets, statistics.bytes, statistics.repaired),
        (3, 300, 2)
    );
}

#[test]
fn nothing_is_passed_on_twice() {
    let now = Instant::now();
    let mut receiver = receiver();
    media(&mut receiver, now, 10).unwrap();
    media(&mut receiver, now, 12).unwrap();
    assert_eq!(again(&mut receiver, now, 12), None);
    again(&mut receiver, now, 11).unwrap();
    assert_eq!(media(&mut receiver, now, 11), None);
    assert_eq!(again(&mut receiver, now, 11), None);
    assert_eq!(receiver.statistics(MEDIA).unwrap().duplicates, 3);
}

#[test]
fn what_is_no_retransmission_of_anything_is_dropped() {
    let now = Instant::now();
    let mut receiver = receiver();
    assert_eq!(again(&mut receiver, now, 10), None, "nothing was lost yet");
    media(&mut receiver, now, 10).unwrap();
    assert_eq!(
        receiver.take(now, &header(RTX, 96), 2, &[]),
        None,
        "padding"
    );
    assert_eq!(receiver.take(now, &header(RTX, 96), 3, &[0]), None);
    assert_eq!(
        receiver.take(now, &header(RTX, 55), 4, &[0, 9, 1]),
        None,
        "of what?"
    );
    assert_eq!(again(&mut receiver, now, 20_000), None, "it was never sent");
    assert_eq!(media(&mut receiver, now, 11).unwrap().number, 11);
}

#[test]
fn who_is_not_expected_leaves_no_trace() {
    let now = Instant::now();
    let mut receiver = receiver();
    for ssrc in 0..1_000 {
        assert_eq!(receiver.take(now, &header(ssrc, 100), 1, &[1]), None);
        receiver.request_keyframe(now, ssrc);
    }
    receiver.request_keyframe(now, RTX);
    assert_eq!(receiver.wake(), None);
    assert_eq!((receiver.streams.len(), receiver.ssrcs.len()), (1, 2));
    for (ssrc, rtx) in [(MEDIA, None), (RTX, None), (5, Some(MEDIA)), (5, Some(5))] {
        let expected = Expected {
            ssrc,
            rtx,
            clock_rate: 90_000,
            is_nackable: true,
        };
        assert!(!receiver.expect(expected));
    }
    receiver.forget(RTX);
    media(&mut receiver, now, 1).unwrap();
    receiver.forget(MEDIA);
    assert_eq!(media(&mut receiver, now, 2), None);
    assert_eq!(again(&mut receiver, now, 1), None);
    assert_eq!(receiver.statistics(MEDIA), None);
    assert_eq!(told(&mut receiver, at(now, 2_000)), Told::default());
}

#[test]
fn what_is_missing_is_asked_for_until_it_comes() {
    let start = Instant::now();
    let mut receiver = receiver();
    receiver.note_round_trip(Duration::from_millis(50));
    for number in [10, 11, 13] {
        media(&mut receiver, start, number);
    }
    assert_eq!(receiver.wake(), Some(at(start, 12)));
    assert_eq!(told(&mut receiver, at(start, 11)), Told::default());
    assert_eq!(
        told(&mut receiver, at(start, 12)).asked,
        [(MEDIA, vec![12])]
    );
    assert_eq!(receiver.wake(), Some(at(start, 67)));
    assert_eq!(
        told(&mut receiver, at(start, 67)).asked,
        [(MEDIA, vec![12])]
    );
    again(&mut receiver, at(start, 68), 12).unwrap();
    for millis in 69..900 {
        assert_eq!(told(&mut receiver, at(start, millis)), Told::default());
    }
    assert_eq!(receiver.statistics(MEDIA).unwrap().asked, 2);
}

#[test]
fn three_later_packets_are_proof_enough() {
    let now = Instant::now();
    let mut receiver = receiver();
    for number in [10, 14] {
        media(&mut receiver, now, number);
    }
    assert_eq!(told(&mut receiver, now).asked, [(MEDIA, vec![11])]);
    media(&mut receiver, now, 16);
    assert_eq!(told(&mut receiver, now).asked, [(MEDIA, vec![12, 13])]);
}

#[test]
fn what_cannot_be_sent_again_is_not_asked_for() {
    let now = Instant::now();
    let mut receiver = receiver();
    assert!(receiver.expect(Expected {
        ssrc: 5,
        rtx: None,
        clock_rate: 48_000,
        is_nackable: false,
    }));
    for number in [1, 9] {
        receiver.take(now, &header(5, 111), number, &[1]).unwrap();
    }
    assert_eq!(told(&mut receiver, at(now, 500)), Told::default());
}

#[test]
fn a_long_gap_is_asked_for_in_datagrams_that_fit() {
    let now = Instant::now();
    let mut receiver = receiver();
    let ssrcs = 100..110;
    for ssrc in ssrcs.clone() {
        assert!(receiver.expect(Expected {
            ssrc,
            rtx: None,
            clock_rate: 90_000,
            is_nackable: true,
        }));
        // Every other one is missing, so that no mask helps much, and then a hole.
        for number in (0..400).step_by(2).chain([500, 503]) {
            receiver
                .take(now, &header(ssrc, 100), number, &[1])
                .unwrap();
        }
    }
    let mut numbers = 0;
    for (ssrc, asked) in told(&mut receiver, at(now, 20)).asked {
        assert!(
            ssrcs.contains(&ssrc) && asked.iter().all(|number| number % 2 == 1 || *number > 398)
        );
        numbers += asked.len();
    }
    assert_eq!(numbers, 10 * (199 + 101 + 2));
}

#[test]
fn key_frames_are_asked_for_once_for_many_wishes() {
    let now = Instant::now();
    let mut receiver = receiver();
    for _ in 0..10 {
        receiver.request_keyframe(now, MEDIA);
    }
    assert_eq!(receiver.wake(), Some(now));
    assert_eq!(told(&mut receiver, now).keyframes, [MEDIA]);
    assert_eq!(receiver.wake(), None);
    assert_eq!(receiver.statistics(MEDIA).unwrap().keyframes_asked, 1);
}

#[test]
fn reports_come_while_media_does() {
    let start = Instant::now();
    let mut receiver = receiver();
    for number in 0..100 {
        if number % 10 != 5 {
            media(&mut receiver, start, number);
        }
    }
    again(&mut receiver, start, 5).unwrap();
    let now = at(start, 1_000);
    assert!(told(&mut receiver, at(start, 999)).blocks.is_empty());
    let blocks = told(&mut receiver, now).blocks;
    assert_eq!(blocks.len(), 1);
    assert_eq!(
        (blocks[0].ssrc, blocks[0].highest_number, blocks[0].lost),
        (MEDIA, 99, 10)
    );
    assert_eq!(blocks[0].fraction_lost, 25, "what was repaired was lost");
    assert_eq!(receiver.loss(), Some(0.1));
    assert_eq!(told(&mut receiver, at(start, 9_000)).blocks, []);
    assert_eq!(receiver.wake(), None, "in silence nobody wakes");
    media(&mut receiver, at(start, 9_000), 100);
    assert_eq!(receiver.wake(), Some(at(start, 10_000)));
}

#[test]
fn a_report_answers_the_senders() {
    let start = Instant::now();
    let mut receiver = receiver();
    media(&mut receiver, start, 1);
    let mut out = Vec::new();
    let information = rtcp::SenderInformation {
        ntp: 0x1234_5678_9abc_def0,
        ..Default::default()
    };
    rtcp::write_sender_report(&mut out, MEDIA, &information, &[]);
    for packet in rtcp::read(&out) {
        if let Packet::SenderReport(report) = packet {
            receiver.note_sender_report(at(start, 500), &report);
        }
    }
    let block = told(&mut receiver, at(start, 1_000)).blocks[0];
    assert_eq!(
        (block.last_sender_report, block.delay),
        (0x5678_9abc, 32_768)
    );
}

#[test]
fn many_streams_are_reported_in_datagrams_that_fit() {
    let start = Instant::now();
    let mut receiver = receiver();
    for ssrc in 1..=80 {
        assert!(receiver.expect(Expected {
            ssrc,
            rtx: None,
            clock_rate: 90_000,
            is_nackable: true,
        }));
        receiver.take(start, &header(ssrc, 100), 1, &[1]).unwrap();
        receiver.take(start, &header(ssrc, 100), 3, &[1]).unwrap();
        receiver.request_keyframe(start, ssrc);
    }
    media(&mut receiver, start, 1);
    for number in 0..1_000 {
        receiver.note_transport(start, number);
    }
    let told = told(&mut receiver, at(start, 1_000));
    let ssrcs: Vec<u32> = told.blocks.iter().map(|block| block.ssrc).collect();
    let expected: Vec<u32> = std::iter::once(MEDIA).chain(1..=80).collect();
    assert_eq!(ssrcs, expected);
    assert_eq!(told.keyframes, (1..=80).collect::<Vec<u32>>());
    assert_eq!(told.arrivals, (0..1_000).collect::<Vec<u16>>());
}

#[test]
fn transport_feedback_is_due_while_packets_come() {
    let start = Instant::now();
    let mut receiver = receiver();
    media(&mut receiver, start, 1);
    receiver.note_transport(start, 500);
    assert_eq!(receiver.wake(), Some(at(start, 100)));
    assert_eq!(told(&mut receiver, at(start, 99)).arrivals, []);
    assert_eq!(told(&mut receiver, at(start, 100)).arrivals, [500]);
    assert_eq!(receiver.wake(), Some(at(start, 1_000)), "only the report");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A path that loses, repeats and reorders: each packet is passed on once and as what it is,
    /// only what is missing is asked for, what is answered comes through, and nobody is woken for
    /// ever.
    #[test]
    fn every_packet_is_passed_on_once(
        begin in 0u64..70_000,
        fates in proptest::collection::vec((0u8..10, 0usize..6), 1..400),
    ) {
        let start = Instant::now();
        let mut receiver = receiver();
        let mut queue: Vec<(usize, u64)> = Vec::new();
        for (place, (fate, delay)) in fates.iter().enumerate() {
            let number = begin + place as u64;
            let is_first = place == 0;
            if is_first || *fate > 1 {
                queue.push((place + if is_first { 0 } else { *delay }, number));
            }
            if *fate == 9 {
                queue.push((place + 3 + delay, number));
            }
        }
        queue.sort();
        let mut passed = std::collections::BTreeSet::new();
        let mut now = start;
        let mut handle = |receiver: &mut Receiver, now, asked: Vec<(u32, Vec<u16>)>| {
            for number in asked.into_iter().flat_map(|(_, numbers)| numbers) {
                let arrival = again(receiver, now, number);
                let arrival = arrival.expect("only what is missing is asked for");
                assert_eq!(arrival.number as u16, number);
                assert!(passed.insert(arrival.number), "once");
            }
        };
        let mut direct = Vec::new();
        for (_, number) in queue {
            now += Duration::from_millis(3);
            if let Some(arrival) = media(&mut receiver, now, number) {
                prop_assert_eq!(arrival.number, number);
                direct.push(number);
            }
            let asked = told(&mut receiver, now).asked;
            handle(&mut receiver, now, asked);
        }
        let mut wakes = 0;
        while let Some(wake) = receiver.wake() {
            now = wake;
            let asked = told(&mut receiver, now).asked;
            handle(&mut receiver, now, asked);
            wakes += 1;
            prop_assert!(wakes < 20);
        }
        for number in direct {
            prop_assert!(passed.insert(number), "once");
        }
        let highest = *passed.last().unwrap();
        let first = *passed.first().unwrap();
        prop_assert_eq!(passed.len() as u64, highest - first + 1, "nothing is missing at the end");
    }
}

#[test]
fn a_client_is_told_when_its_time_came() {
    let now = Instant::now();
    let mut receiver = receiver();
    let at = |sender, ntp| rtcp::ReferenceTime { sender, ntp };
    receiver.note_reference_time(now, at(9, 0x0102_0304_0506_0708));
    let later = now + REPORT / 2;
    receiver.note_reference_time(later, at(9, 0x1112_1314_1516_1718));
    let due = receiver.wake().unwrap();
    assert_eq!(due, now + REPORT, "also where nothing else is to be told");
    let mut out = Vec::new();
    assert!(receiver.write_due(due, OURS, &mut out));
    let mut expected = Vec::new();
    rtcp::write_reference_answer(&mut expected, OURS, 9, 0x1314_1516, 1 << 15);
    assert_eq!(out, expected, "of the last one, half a second ago");

    out.clear();
    while receiver.write_due(due + REPORT, OURS, &mut out) {}
    assert!(out.is_empty(), "once");
}
