//! How often the way of a packet asks for memory, once everything runs: a picture is opened, passed
//! on to several receivers, asked for again and reported, and none of that is an allocation.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::time::{Duration, Instant};

use tertulia_transport::packet::{ExtensionIds, Header, NewHeader, payload};
use tertulia_transport::payload::Pool;
use tertulia_transport::receive::{self, Expected, Receiver};
use tertulia_transport::send::{
    self, Keep, NewStream, NtpClock, Outgoing, Patch, Queue, Sender, Wire,
};
use tertulia_transport::srtp::{Profile, Sealer, contexts};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const RECEIVERS: usize = 5;
const IDS: ExtensionIds = ExtensionIds {
    audio_level: Some(1),
    absolute_send_time: Some(3),
    transport_number: Some(5),
    descriptor: Some(11),
};

/// One receiver's side.
struct Leg {
    sender: Sender,
    sealer: Sealer,
    key: send::StreamKey,
    queue: Queue,
    transport_number: u16,
}

impl Leg {
    fn new(now: Instant, profile: Profile, material: &[u8]) -> Leg {
        let mut sender = Sender::new(send::Settings {
            rtx_types: vec![(100, 96)],
            keep: Keep {
                packets: 256,
                bytes: 400_000,
                age: Duration::from_secs(1),
            },
            share: 0.3,
            clock: NtpClock::new(now, Duration::from_secs(3_900_000_000)),
            cname: "tertulia".to_owned(),
        });
        let key = sender.add(NewStream {
            ssrc: 7,
            rtx: Some(8),
            clock_rate: 90_000,
            is_kept: true,
        });
        Leg {
            sender,
            sealer: contexts(profile, material, true).unwrap().0,
            key: key.unwrap(),
            queue: Queue::default(),
            transport_number: 0,
        }
    }

    /// Sends what waits and what is due; how many datagrams that are.
    fn turn(&mut self, now: Instant, out: &mut Vec<u8>) -> usize {
        let mut datagrams = 0;
        while let Some((key, packet, padding)) = self.queue.pop_level() {
            let wire = Wire {
                out,
                sealer: &mut self.sealer,
                ids: IDS,
                transport_number: Some(self.transport_number),
                padding,
            };
            self.sender.write(now, key, packet, wire).unwrap();
            self.transport_number = self.transport_number.wrapping_add(1);
            datagrams += 1;
        }
        while self.sender.next_retransmission(now).is_some() {
            let wire = Wire {
                out,
                sealer: &mut self.sealer,
                ids: IDS,
                transport_number: None,
                padding: 0,
            };
            self.sender.write_retransmission(now, wire).unwrap();
            datagrams += 1;
        }
        let start = out.len();
        while self.sender.write_due(now, out) {
            self.sealer.seal_rtcp(out, start).unwrap();
            datagrams += 1;
            out.truncate(start);
        }
        datagrams
    }
}

#[test]
fn no_packet_costs_an_allocation() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let start = Instant::now();
    let profile = Profile::AeadAes128Gcm;
    let material = vec![3; profile.material()];
    let (_, mut opener) = contexts(profile, &material, false).unwrap();
    let (mut client, _) = contexts(profile, &material, true).unwrap();
    let mut receiver = Receiver::new(receive::Settings {
        rtx_types: vec![(96, 100)],
    });
    assert!(receiver.expect(Expected {
        ssrc: 1,
        rtx: Some(2),
        clock_rate: 90_000,
        is_nackable: true,
    }));
    let legs = (0..RECEIVERS).map(|_| Leg::new(start, profile, &material));
    let mut legs: Vec<Leg> = legs.collect();
    let mut pool = Pool::default();
    let (mut datagram, mut out) = (Vec::new(), Vec::new());
    let (mut datagrams, mut feedback, mut warm) = (0, 0, 0);

    for number in 0..12_000u64 {
        if number == 6_000 {
            warm = dhat::HeapStats::get().total_blocks;
            datagrams = 0;
        }
        let now = start + Duration::from_millis(2 * number);
        // What a client sends; one packet in fifty is lost.
        datagram.clear();
        let header = NewHeader {
            payload_type: 100,
            number: number as u16,
            timestamp: (number / 10) as u32 * 1_800,
            ssrc: 1,
            transport_number: Some(number as u16),
            absolute_send_time: Some(0),
            ..NewHeader::default()
        };
        let length = header.write(IDS, &mut datagram);
        datagram.resize(length + 1_000, 5);
        client
            .seal_rtp(&mut datagram, 0, length, 1, number)
            .unwrap();
        if number % 50 != 17 {
            let header = Header::read(&datagram, IDS).unwrap();
            let number = opener.open_rtp(&mut datagram, &header).unwrap();
            let transport_number = header.extensions.transport_number.unwrap();
            receiver.note_transport(now, transport_number);
            let media = payload(&header, &datagram).unwrap();
            let arrival = receiver.take(now, &header, number, media).unwrap();
            let payload = pool.fill(media);
            for leg in &mut legs {
                let packet = Outgoing {
                    payload_type: arrival.payload_type,
                    number: arrival.number,
                    timestamp: arrival.timestamp,
                    arrived: now,
                    is_marked: arrival.is_marked,
                    payload: payload.clone(),
                    audio_level: None,
                    patch: Patch::new().with(2, 9),
                    descriptor: None,
                };
                leg.queue.push(now, leg.key, packet);
            }
        }
        out.clear();
        let at = out.len();
        while receiver.write_due(now, 99, &mut out) {
            client.seal_rtcp(&mut out, at).unwrap();
            feedback += 1;
            out.truncate(at);
        }
        for leg in &mut legs {
            if number % 40 == 39 {
                leg.sender.nacked(now, 7, [number as u16 - 20].into_iter());
            }
            datagrams += leg.turn(now, &mut out);
            if number % 500 == 499 {
                leg.sender.note_round_trip(Duration::from_millis(30));
            }
        }
    }

    assert!(warm > 100, "{warm}: what allocates is seen");
    let new = dhat::HeapStats::get().total_blocks - warm;
    let kept = legs[0].sender.statistics(legs[0].key).unwrap();
    assert!(datagrams > 5_800 * RECEIVERS, "{datagrams}");
    assert!(kept.resent_packets > 200, "{kept:?}");
    assert!(feedback > 200, "{feedback}");
    assert_eq!(new, 0, "allocations for {datagrams} datagrams");
}
