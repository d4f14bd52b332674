//! This crate's transports, between the same clients as str0m's: what arrives at one is written to
//! each of the others.

use std::time::{Duration, Instant};

use str0m::media::MediaKind;
use tertulia_gauge::cpu_ns;
use tertulia_peer::{
    ABSOLUTE_SEND_TIME, AUDIO_LEVEL, Habits, Made, Peer, TRANSPORT_NUMBER, VP8, VP8_RTX,
};
use tertulia_transport::bandwidth;
use tertulia_transport::batch::Batch;
use tertulia_transport::link::{
    Certificate, Fingerprint, IceCredentials, LocalAddress, Remote, Settings as LinkSettings,
};
use tertulia_transport::packet::ExtensionIds;
use tertulia_transport::receive::{self, Expected};
use tertulia_transport::send::{self, Keep, NewStream, NtpClock, Outgoing, StreamKey};
use tertulia_transport::session::{Event, Settings, Transport};

use crate::{BATCH, PAYLOAD, TICK, address};

pub(crate) struct Ours {
    now: Instant,
    publisher: Pair,
    receivers: Vec<Pair>,
    batch: Batch,
    events: Vec<Event>,
    number: u64,
    /// Packets that have reached clients.
    pub(crate) arrived: usize,
}

/// Our end and the client's.
struct Pair {
    ours: Transport,
    key: Option<StreamKey>,
    client: Peer,
}

impl Ours {
    pub(crate) fn new(receivers: usize, is_estimated: bool) -> Ours {
        let mut now = Instant::now();
        let certificate = Certificate::generate().unwrap();
        let mut publisher = Pair::connect(&certificate, 0, false, &mut now);
        publisher
            .client
            .add_stream(SSRC, Some(RTX), MediaKind::Video);
        publisher.ours.expect(Expected {
            ssrc: SSRC,
            rtx: Some(RTX),
            clock_rate: 90_000,
            is_nackable: true,
        });
        let receivers = (1..=receivers).map(|n| {
            let mut pair = Pair::connect(&certificate, n as u8, is_estimated, &mut now);
            pair.key = pair.ours.add_stream(NewStream {
                ssrc: SSRC,
                rtx: Some(RTX),
                clock_rate: 90_000,
                is_kept: true,
            });
            pair.client.expect_stream(SSRC, Some(RTX), MediaKind::Video);
            pair.ours
                .set_wanted(now, crate::LEAST_BPS, crate::INITIAL_BPS);
            pair
        });
        Ours {
            receivers: receivers.collect(),
            now,
            publisher,
            batch: Batch::default(),
            events: Vec::new(),
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
        let (batch, events) = (&mut self.batch, &mut self.events);
        batch.clear();
        events.clear();
        self.publisher.take(now, batch, events);
        self.publisher.ours.turn(now, batch, events);
        let arrived = std::mem::take(events);
        for pair in &mut self.receivers {
            pair.take(now, batch, events);
            for event in &arrived {
                let (Event::Packet(packet), Some(key)) = (event, pair.key) else {
                    continue;
                };
                let packet = Outgoing {
                    payload_type: packet.payload_type,
                    number: packet.number,
                    timestamp: packet.timestamp,
                    arrived: packet.arrived,
                    is_marked: packet.is_marked,
                    payload: packet.payload.clone(),
                    audio_level: None,
                    patch: None,
                    descriptor: None,
                };
                pair.ours.write_picture(key, packet);
            }
            pair.ours.turn(now, batch, events);
            // What its pacer holds back leaves before the next packets come.
            while pair.ours.wake() < now + TICK {
                let at = pair.ours.wake();
                pair.ours.turn(at, batch, events);
            }
        }
        let spent = cpu_ns() - start;
        *events = arrived;

        self.now = now + TICK;
        let all = std::iter::once(&mut self.publisher).chain(&mut self.receivers);
        let mut clients: Vec<&mut Peer> = all.map(|pair| &mut pair.client).collect();
        for datagram in self.batch.iter() {
            let place = usize::from(datagram.destination.port() - address(100, 0).port());
            let way = (datagram.source, datagram.destination);
            let received = clients[place].receive(self.now, way, datagram.contents);
            received.unwrap();
        }
        for client in clients {
            client.drive(self.now).unwrap();
            self.arrived += client.received.drain(..).count();
        }
        spent
    }
}

impl Pair {
    fn connect(
        certificate: &Certificate,
        number: u8,
        is_estimated: bool,
        now: &mut Instant,
    ) -> Pair {
        let ice = IceCredentials {
            ufrag: "ours".to_owned(),
            pwd: "a password of more than 22 characters".to_owned(),
        };
        let settings = settings(*now, is_estimated);
        let mut ours = Transport::new(certificate, ice.clone(), settings, *now);
        let here = address(200, number);
        ours.add_local(LocalAddress::Host(here)).unwrap();
        let habits = Habits {
            has_no_channel: true,
            ..Habits::default()
        };
        let mut client = Peer::new(address(100, number), habits, *now);
        let (ufrag, pwd) = client.credentials();
        let (hash, bytes) = client.fingerprint();
        let remote = Remote {
            ice: IceCredentials { ufrag, pwd },
            fingerprint: Fingerprint { hash, bytes },
            is_dtls_client: true,
            addresses: vec![client.address],
        };
        ours.connect(*now, remote, false);
        let Fingerprint { hash, bytes } = certificate.fingerprint().clone();
        client.connect((ice.ufrag, ice.pwd), (hash, bytes), &[here]);
        let mut pair = Pair {
            ours,
            key: None,
            client,
        };
        let (mut batch, mut events) = (Batch::default(), Vec::new());
        for _ in 0..200 {
            pair.take(*now, &mut batch, &mut events);
            pair.ours.turn(*now, &mut batch, &mut events);
            for datagram in batch.iter() {
                let way = (datagram.source, datagram.destination);
                let received = pair.client.receive(*now, way, datagram.contents);
                received.unwrap();
            }
            batch.clear();
            pair.client.drive(*now).unwrap();
            *now += Duration::from_millis(5);
        }
        assert!(pair.ours.is_connected() && pair.client.is_connected);
        pair
    }

    /// What the client has sent arrives.
    fn take(&mut self, now: Instant, batch: &mut Batch, events: &mut Vec<Event>) {
        for parcel in std::mem::take(&mut self.client.outbox) {
            let way = (parcel.from, parcel.to);
            self.ours.receive(now, way, &parcel.data, batch, events);
        }
    }
}

fn settings(now: Instant, is_estimated: bool) -> Settings {
    Settings {
        link: LinkSettings::default(),
        extensions: ExtensionIds {
            audio_level: Some(AUDIO_LEVEL),
            absolute_send_time: Some(ABSOLUTE_SEND_TIME),
            transport_number: Some(TRANSPORT_NUMBER),
            descriptor: None,
        },
        reporter: 1,
        sending: send::Settings {
            rtx_types: vec![(VP8, VP8_RTX)],
            keep: Keep {
                packets: crate::KEPT,
                bytes: 1 << 20,
                age: Duration::from_secs(1),
            },
            share: 0.5,
            clock: NtpClock::new(now, Duration::from_secs(3_900_000_000)),
            cname: "bridge".to_owned(),
        },
        receiving: receive::Settings {
            rtx_types: vec![(VP8_RTX, VP8)],
        },
        estimation: is_estimated.then_some(bandwidth::Settings {
            initial_bps: crate::INITIAL_BPS,
            least_bps: crate::LEAST_BPS,
            most_bps: 2 * crate::INITIAL_BPS,
        }),
        pacing_ahead: Duration::from_millis(2),
    }
}

const SSRC: u32 = 11;
const RTX: u32 = 12;
