//! What a client sends once its keys are known: RTP and RTCP, as they are before and after
//! decryption.

use std::time::{Duration, Instant};

use tertulia_transport::bandwidth::{self, Estimator, Sort};
use tertulia_transport::packet::{ExtensionIds, Header, NewHeader, payload};
use tertulia_transport::receive::{self, Expected, Receiver};
use tertulia_transport::rtcp::{self, Packet};
use tertulia_transport::send::{
    self, Keep, NewStream, NtpClock, Outgoing, Sender, StreamKey, Wire,
};
use tertulia_transport::srtp::{Opener, Profile, Sealer, contexts};

/// A datagram that is taken for RTP, behind a byte that chooses the ids of extensions. What can be
/// read is written again, and says the same; sealed it comes back as it was, and nothing else does.
pub(crate) fn rtp(data: &[u8]) {
    let Some((choice, datagram)) = data.split_first() else {
        return;
    };
    let ids = IDS[usize::from(*choice) % IDS.len()];
    let Ok(header) = Header::read(datagram, ids) else {
        return;
    };
    assert!(header.length <= datagram.len());
    let _ = payload(&header, datagram);
    let extensions = &header.extensions;
    let descriptor = extensions.descriptor.clone().map(|range| {
        assert!(range.end <= header.length);
        datagram.get(range).expect("it is within the header")
    });
    let new = NewHeader {
        payload_type: header.payload_type,
        is_marked: header.is_marked,
        number: header.number,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
        has_padding: header.has_padding,
        audio_level: extensions.audio_level,
        absolute_send_time: extensions.absolute_send_time,
        transport_number: extensions.transport_number,
        descriptor,
    };
    let mut written = Vec::new();
    let length = new.write(ids, &mut written);
    assert_eq!(length, written.len());
    let again = Header::read(&written, ids).expect("what we write can be read");
    let place = again.extensions.descriptor.clone();
    assert_eq!(place.map(|range| &written[range]), descriptor);
    let mut expected = header.clone();
    expected.length = length;
    expected.extensions.descriptor = again.extensions.descriptor.clone();
    assert_eq!(again, expected);

    written.extend_from_slice(datagram);
    for profile in PROFILES {
        let (mut sealer, mut opener) = (keys(profile, true).0, keys(profile, false).1);
        let mut garbage = datagram.to_vec();
        assert!(opener.open_rtp(&mut garbage, &header).is_err());
        let mut sealed = b"before".to_vec();
        sealed.extend_from_slice(&written);
        let index = u64::from(header.number);
        let result = sealer.seal_rtp(&mut sealed, 6, length, header.ssrc, index);
        result.expect("its first packet");
        let mut sealed = sealed.split_off(6);
        let replay = sealed.clone();
        assert_eq!(opener.open_rtp(&mut sealed, &again), Ok(index));
        assert_eq!(sealed, written);
        assert!(opener.open_rtp(&mut replay.clone(), &again).is_err());
    }
}

/// A datagram of RTCP, decrypted, for everybody who listens to it.
pub(crate) fn rtcp(data: &[u8]) {
    let start = Instant::now();
    let now = start + Duration::from_millis(100);
    let mut estimator = estimator(start);
    let (mut sender, key) = sender(start);
    let mut receiver = receiver();
    let mut read = rtcp::read(data);
    for packet in read.by_ref() {
        note(now, &packet, &mut estimator, &mut sender, &mut receiver);
        write_again(&packet);
    }
    let mut out = Vec::new();
    let mut sealer = keys(Profile::AeadAes128Gcm, true).0;
    let mut resent = 0;
    while let Some(size) = sender.next_retransmission(now) {
        assert!(size < 1_500);
        let written = sender.write_retransmission(now, wire(&mut out, &mut sealer));
        assert!(written.is_some());
        resent += 1;
    }
    assert!(resent <= PACKETS, "each at most once: {resent}");
    sender.remove(key);
    estimator.handle_timeout(now + Duration::from_secs(10));
    assert!(estimator.estimate() <= 50_000_000);
    for profile in PROFILES {
        let mut opener = keys(profile, false).1;
        assert!(opener.open_rtcp(&mut data.to_vec()).is_err());
    }
}

/// Packets of one stream, four bytes each: how many milliseconds later, how far the number and the
/// transport's number are from the last, and what is odd about it. What is asked of its sender can
/// be read.
pub(crate) fn arrivals(data: &[u8]) {
    let mut now = Instant::now();
    let mut receiver = receiver();
    let (mut number, mut transport_number) = (1_000_000u64, 0u16);
    for &[later, step, transport_step, kind] in data.as_chunks().0 {
        now += Duration::from_millis(u64::from(later));
        let step = i64::from(step.cast_signed()) << (kind & 8);
        number = number.saturating_add_signed(step);
        transport_number = transport_number.wrapping_add(u16::from(transport_step) << (kind & 4));
        let is_rtx = kind & 1 != 0;
        let header = Header {
            payload_type: if is_rtx { RTX_TYPE } else { TYPE },
            is_marked: kind & 2 != 0,
            number: number as u16,
            timestamp: (number as u32).wrapping_mul(3_000),
            ssrc: if is_rtx { RTX } else { SSRC },
            has_padding: false,
            length: 12,
            extensions: Default::default(),
        };
        receiver.note_transport(now, transport_number);
        let payload = [later, transport_step, kind];
        let payload = payload.get(..usize::from(kind >> 6)).unwrap_or(&payload);
        if let Some(arrival) = receiver.take(now, &header, number, payload) {
            assert_eq!((arrival.ssrc, arrival.payload_type), (SSRC, TYPE));
            assert!(arrival.offset <= payload.len());
        }
        if kind & 16 != 0 {
            receiver.request_keyframe(now, SSRC);
        }
        due(now, &mut receiver);
    }
    receiver.forget(SSRC);
    due(now + Duration::from_secs(60), &mut receiver);
}

/// What is due is readable, fits datagrams, and comes to an end.
fn due(now: Instant, receiver: &mut Receiver) {
    let mut out = Vec::new();
    for _ in 0..DATAGRAMS_MAX {
        out.clear();
        if !receiver.write_due(now, OURS, &mut out) {
            return;
        }
        assert!(out.len() <= 1_300, "{} bytes", out.len());
        let mut read = rtcp::read(&out);
        assert!(read.by_ref().count() > 0);
        assert!(!read.is_malformed());
    }
    panic!("there is no end to what is due");
}

/// As a transport does.
fn note(
    now: Instant,
    packet: &Packet<'_>,
    estimator: &mut Estimator,
    sender: &mut Sender,
    receiver: &mut Receiver,
) {
    let blocks = match packet {
        Packet::SenderReport(report) => {
            receiver.note_sender_report(now, report);
            Some(&report.blocks)
        }
        Packet::ReceiverReport(report) => Some(&report.blocks),
        Packet::Nack(nack) => {
            sender.nacked(now, nack.media, nack.numbers());
            None
        }
        Packet::TransportFeedback(feedback) => {
            estimator.feedback(now, feedback.statuses());
            None
        }
        Packet::Remb(remb) => {
            assert!(remb.ssrcs().count() < 256);
            None
        }
        Packet::Fir(fir) => {
            assert!(fir.requests().count() * 8 <= 1 << 18);
            None
        }
        Packet::Bye(bye) => {
            assert!(bye.ssrcs().count() < 32);
            None
        }
        Packet::ReferenceTime(_) | Packet::Pli(_) => None,
    };
    for block in blocks.into_iter().flat_map(rtcp::ReportBlocks::iter) {
        let measured = sender.note_report_block(now, &block);
        assert!(measured.is_none_or(|time| time <= Duration::from_secs(30)));
    }
}

/// What we can write says the same when it is read.
fn write_again(packet: &Packet<'_>) {
    let mut out = Vec::new();
    match packet {
        Packet::SenderReport(report) => {
            let blocks: Vec<_> = report.blocks.iter().collect();
            rtcp::write_sender_report(&mut out, report.sender, &report.information, &blocks);
            let Some(Packet::SenderReport(again)) = only(&out) else {
                panic!("a sender report");
            };
            assert_eq!(again.information, report.information);
            assert!(again.blocks.iter().eq(blocks));
        }
        Packet::ReceiverReport(report) => {
            let blocks: Vec<_> = report.blocks.iter().collect();
            rtcp::write_receiver_report(&mut out, report.sender, &blocks);
            let Some(Packet::ReceiverReport(again)) = only(&out) else {
                panic!("a receiver report");
            };
            assert!(again.blocks.iter().eq(blocks));
        }
        Packet::Nack(nack) => {
            let mut numbers: Vec<u16> = nack.numbers().collect();
            numbers.sort_unstable();
            numbers.dedup();
            rtcp::write_nack(&mut out, nack.sender, nack.media, numbers.iter().copied());
            let mut again = Vec::new();
            for packet in rtcp::read(&out) {
                let Packet::Nack(nack) = packet else {
                    panic!("a nack");
                };
                again.extend(nack.numbers());
            }
            assert_eq!(again, numbers);
        }
        Packet::Pli(pli) => {
            rtcp::write_pli(&mut out, pli.sender, pli.media);
            assert!(matches!(only(&out), Some(Packet::Pli(again)) if again == *pli));
        }
        _ => {}
    }
}

fn only(datagram: &[u8]) -> Option<Packet<'_>> {
    let mut read = rtcp::read(datagram);
    let first = read.next();
    assert!(read.next().is_none() && !read.is_malformed());
    first
}

fn estimator(start: Instant) -> Estimator {
    let settings = bandwidth::Settings {
        initial_bps: 1_000_000,
        least_bps: 30_000,
        most_bps: 50_000_000,
    };
    let mut estimator = Estimator::new(start, settings);
    for number in 0..PACKETS as u16 {
        let at = start + Duration::from_millis(u64::from(number));
        estimator.sent(at, number, 1_000, Sort::Media);
    }
    estimator
}

/// One that has sent packets 0 to 99.
fn sender(start: Instant) -> (Sender, StreamKey) {
    let mut sender = Sender::new(send::Settings {
        rtx_types: vec![(TYPE, RTX_TYPE)],
        keep: Keep {
            packets: 1_000,
            bytes: 1 << 20,
            age: Duration::from_secs(1),
        },
        share: 1.0,
        clock: NtpClock::new(start, Duration::from_secs(3_900_000_000)),
        cname: "us".to_owned(),
    });
    let stream = NewStream {
        ssrc: SSRC,
        rtx: Some(RTX),
        clock_rate: 90_000,
        is_kept: true,
    };
    let key = sender.add(stream).expect("its first stream");
    let mut sealer = keys(Profile::AeadAes128Gcm, true).0;
    let mut out = Vec::new();
    for number in 0..PACKETS as u64 {
        let packet = Outgoing {
            payload_type: TYPE,
            number,
            timestamp: number as u32 * 3_000,
            arrived: start,
            is_marked: true,
            payload: [0x10; 100].as_slice().into(),
            audio_level: None,
            patch: None,
            descriptor: None,
        };
        let written = sender.write(start, key, packet, wire(&mut out, &mut sealer));
        assert!(written.is_some());
        out.clear();
    }
    (sender, key)
}

fn wire<'a>(out: &'a mut Vec<u8>, sealer: &'a mut Sealer) -> Wire<'a> {
    Wire {
        out,
        sealer,
        ids: IDS[0],
        transport_number: None,
        padding: 0,
    }
}

fn receiver() -> Receiver {
    let mut receiver = Receiver::new(receive::Settings {
        rtx_types: vec![(RTX_TYPE, TYPE)],
    });
    receiver.expect(Expected {
        ssrc: SSRC,
        rtx: Some(RTX),
        clock_rate: 90_000,
        is_nackable: true,
    });
    receiver
}

fn keys(profile: Profile, is_dtls_client: bool) -> (Sealer, Opener) {
    let length = match profile {
        Profile::AeadAes256Gcm => 88,
        Profile::AeadAes128Gcm => 56,
        Profile::Aes128CmHmacSha1_80 => 60,
    };
    let material: Vec<u8> = (0..length).collect();
    contexts(profile, &material, is_dtls_client).expect("material of the right length")
}

const PROFILES: [Profile; 3] = [
    Profile::AeadAes256Gcm,
    Profile::AeadAes128Gcm,
    Profile::Aes128CmHmacSha1_80,
];
const IDS: [ExtensionIds; 3] = [
    ExtensionIds {
        audio_level: Some(1),
        absolute_send_time: Some(3),
        transport_number: Some(5),
        descriptor: Some(11),
    },
    // Only the two-byte form has room for such.
    ExtensionIds {
        audio_level: Some(255),
        absolute_send_time: Some(15),
        transport_number: Some(20),
        descriptor: Some(100),
    },
    ExtensionIds {
        audio_level: None,
        absolute_send_time: None,
        transport_number: None,
        descriptor: None,
    },
];
const TYPE: u8 = 100;
const RTX_TYPE: u8 = 96;
const SSRC: u32 = 11;
const RTX: u32 = 12;
const OURS: u32 = 1;
const PACKETS: usize = 100;
/// More than could ever be due at once.
const DATAGRAMS_MAX: usize = 100;
