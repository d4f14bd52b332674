//! str0m alone: what arrives at one `Rtc` is written to each of the others, and nothing is looked
//! at on the way.

use std::time::{Duration, Instant};

use str0m::media::MediaKind;
use str0m::rtp::{ExtensionValues, RtpWrite};
use tertulia_gauge::cpu_ns;
use tertulia_peer::{Habits, Made, Peer, VP8};

use crate::{BATCH, PAYLOAD, TICK, address};

pub(crate) struct Bare {
    now: Instant,
    publisher: Pair,
    receivers: Vec<Pair>,
    number: u64,
    /// Packets that have reached clients.
    pub(crate) arrived: usize,
}

/// Our end and the client's.
struct Pair {
    ours: Peer,
    client: Peer,
}

impl Bare {
    pub(crate) fn new(receivers: usize, is_estimated: bool) -> Bare {
        let mut now = Instant::now();
        let mut publisher = Pair::connect(0, false, &mut now);
        publisher
            .client
            .add_stream(SSRC, Some(RTX), MediaKind::Video);
        publisher
            .ours
            .expect_stream(SSRC, Some(RTX), MediaKind::Video);
        let receivers = (1..=receivers).map(|n| {
            let mut pair = Pair::connect(n as u8, is_estimated, &mut now);
            pair.ours.add_stream(SSRC, Some(RTX), MediaKind::Video);
            // As many as the others keep.
            let mut direct = pair.ours.rtc.direct_api();
            direct.stream_tx(&SSRC.into()).unwrap().set_rtx_cache(
                crate::KEPT,
                Duration::from_secs(1),
                Some(0.5),
            );
            pair.client.expect_stream(SSRC, Some(RTX), MediaKind::Video);
            if is_estimated {
                let (least, desired) = (crate::LEAST_BPS.into(), crate::INITIAL_BPS.into());
                pair.ours.rtc.bwe().set_bitrate(least, desired);
            }
            pair
        });
        Bare {
            receivers: receivers.collect(),
            now,
            publisher,
            number: 0,
            arrived: 0,
        }
    }

    /// Ten packets; the nanoseconds that our ends took. The clients' are not counted.
    pub(crate) fn tick(&mut self) -> u64 {
        let now = self.now;
        for _ in 0..BATCH {
            self.number += 1;
            let made = Made {
                payload_type: VP8,
                number: self.number,
                timestamp: (self.number / 10 * 900) as u32,
                payload: vec![0x10; PAYLOAD],
                ..Made::default()
            };
            self.publisher.client.write(now, SSRC, made);
        }
        self.publisher.client.drive(now).unwrap();

        let start = cpu_ns();
        self.publisher.take(now);
        let arrived = std::mem::take(&mut self.publisher.ours.received);
        for pair in &mut self.receivers {
            pair.take(now);
            for packet in &arrived {
                let write = RtpWrite::new(
                    VP8.into(),
                    packet.seq_no,
                    packet.header.timestamp,
                    now,
                    packet.payload.clone(),
                );
                let mut direct = pair.ours.rtc.direct_api();
                let stream = direct.stream_tx(&SSRC.into()).unwrap();
                let write = write.nackable(true).marker(packet.header.marker);
                stream.write_rtp(write.ext_vals(ExtensionValues::default()));
            }
            pair.ours.drive(now).unwrap();
            // What its pacer holds back leaves before the next packets come.
            while pair.ours.wake < now + TICK {
                let at = pair.ours.wake;
                pair.ours.drive(at).unwrap();
            }
        }
        let spent = cpu_ns() - start;

        self.now = now + TICK;
        self.publisher.answer(self.now);
        for pair in &mut self.receivers {
            pair.answer(self.now);
            self.arrived += pair.client.received.drain(..).count();
        }
        spent
    }
}

impl Pair {
    fn connect(number: u8, is_estimated: bool, now: &mut Instant) -> Pair {
        let estimates_from = is_estimated.then_some(crate::INITIAL_BPS);
        let habits = Habits {
            is_dtls_server: true,
            is_controlling: true,
            has_no_channel: true,
            estimates_from,
            ..Habits::default()
        };
        let mut ours = Peer::new(address(200, number), habits, *now);
        let habits = Habits {
            has_no_channel: true,
            ..Habits::default()
        };
        let mut client = Peer::new(address(100, number), habits, *now);
        let (credentials, fingerprint) = (client.credentials(), client.fingerprint());
        ours.connect(credentials, fingerprint, &[client.address]);
        let (credentials, fingerprint) = (ours.credentials(), ours.fingerprint());
        client.connect(credentials, fingerprint, &[ours.address]);
        let mut pair = Pair { ours, client };
        for _ in 0..200 {
            pair.take(*now);
            pair.ours.drive(*now).unwrap();
            pair.answer(*now);
            *now += Duration::from_millis(5);
        }
        assert!(pair.ours.is_connected && pair.client.is_connected);
        pair
    }

    /// What the client has sent arrives.
    fn take(&mut self, now: Instant) {
        for parcel in std::mem::take(&mut self.client.outbox) {
            let way = (parcel.from, parcel.to);
            self.ours.receive(now, way, &parcel.data).unwrap();
        }
    }

    /// What we have sent arrives.
    fn answer(&mut self, now: Instant) {
        for parcel in std::mem::take(&mut self.ours.outbox) {
            let way = (parcel.from, parcel.to);
            self.client.receive(now, way, &parcel.data).unwrap();
        }
        self.client.drive(now).unwrap();
    }
}

const SSRC: u32 = 11;
const RTX: u32 = 12;
