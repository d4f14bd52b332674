//! Our end: a transport, driven as a bridge drives it, and all that it has told.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tertulia_peer::{
    ABSOLUTE_SEND_TIME, AUDIO_LEVEL, DESCRIPTOR, Parcel, Peer, TRANSPORT_NUMBER, VP8, VP8_RTX,
};
use tertulia_transport::bandwidth;
use tertulia_transport::batch::Batch;
use tertulia_transport::link::{
    self, Certificate, Failure, Fingerprint, IceCredentials, LocalAddress, Remote,
};
use tertulia_transport::packet::ExtensionIds;
use tertulia_transport::receive;
use tertulia_transport::send::{self, Keep, NtpClock};
use tertulia_transport::session::{Event, PathReport, Received, Settings, Transport};

/// A transport and what it has told.
pub(crate) struct End {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    credentials: IceCredentials,
    fingerprint: Fingerprint,
    batch: Batch,
    events: Vec<Event>,
    /// Datagrams that are to be sent.
    pub(crate) outbox: Vec<Parcel>,
    /// Datagrams that nobody could read or believe.
    pub(crate) refused: usize,
    pub(crate) is_connected: bool,
    pub(crate) is_closed: bool,
    pub(crate) failure: Option<Failure>,
    pub(crate) received: Vec<Received>,
    pub(crate) keyframes_wanted: Vec<u32>,
    pub(crate) estimates: Vec<u64>,
    pub(crate) reports: Vec<PathReport>,
    pub(crate) path_changes: u32,
    pub(crate) has_channel: bool,
    pub(crate) texts: Vec<String>,
}

/// As the bridge has it, for a client that was offered everything.
pub(crate) fn settings(now: Instant, initial_bps: Option<u64>) -> Settings {
    Settings {
        link: link::Settings {
            dtls_timer_seed: Some(1),
        },
        extensions: IDS,
        reporter: REPORTER,
        sending: send::Settings {
            rtx_types: vec![(VP8, VP8_RTX)],
            keep: Keep {
                packets: 256,
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
        estimation: initial_bps.map(|initial_bps| bandwidth::Settings {
            initial_bps,
            least_bps: 30_000,
            most_bps: 50_000_000,
        }),
        pacing_ahead: Duration::from_millis(2),
    }
}

impl End {
    pub(crate) fn new(address: SocketAddr, initial_bps: Option<u64>, now: Instant) -> End {
        let certificate = Certificate::generate().unwrap();
        let credentials = IceCredentials {
            ufrag: "ours".to_owned(),
            pwd: "a password of more than 22 characters".to_owned(),
        };
        let settings = settings(now, initial_bps);
        let mut transport = Transport::new(&certificate, credentials.clone(), settings, now);
        transport.add_local(LocalAddress::Host(address)).unwrap();
        End {
            transport,
            address,
            credentials,
            fingerprint: certificate.fingerprint().clone(),
            batch: Batch::default(),
            events: Vec::new(),
            outbox: Vec::new(),
            refused: 0,
            is_connected: false,
            is_closed: false,
            failure: None,
            received: Vec::new(),
            keyframes_wanted: Vec::new(),
            estimates: Vec::new(),
            reports: Vec::new(),
            path_changes: 0,
            has_channel: false,
            texts: Vec::new(),
        }
    }

    /// Gives each the other's half; checks and handshake begin.
    pub(crate) fn connect(&mut self, now: Instant, peer: &mut Peer, is_dtls_client: bool) {
        let credentials = (self.credentials.ufrag.clone(), self.credentials.pwd.clone());
        let Fingerprint { hash, bytes } = self.fingerprint.clone();
        peer.connect(credentials, (hash, bytes), &[self.address]);
        let (ufrag, pwd) = peer.credentials();
        let (hash, bytes) = peer.fingerprint();
        let remote = Remote {
            ice: IceCredentials { ufrag, pwd },
            fingerprint: Fingerprint { hash, bytes },
            is_dtls_client,
            addresses: Vec::new(),
        };
        self.transport.connect(now, remote, true);
        self.turn(now);
    }

    /// New credentials for both; the peer may have another address.
    pub(crate) fn restart_ice(
        &mut self,
        now: Instant,
        peer: &mut Peer,
        address: Option<SocketAddr>,
    ) {
        self.credentials = IceCredentials {
            ufrag: "again".to_owned(),
            pwd: "another password of more than 22".to_owned(),
        };
        let ours = self.credentials.clone();
        let (ufrag, pwd) = peer.restart_ice((ours.ufrag.clone(), ours.pwd.clone()), address);
        let theirs = IceCredentials { ufrag, pwd };
        self.transport.restart(now, ours, theirs, &[]);
        self.turn(now);
    }

    /// A datagram arrives.
    pub(crate) fn receive(&mut self, now: Instant, parcel: &Parcel) {
        let (ways, data) = ((parcel.from, parcel.to), &parcel.data);
        let (batch, events) = (&mut self.batch, &mut self.events);
        let is_believed = self.transport.receive(now, ways, data, batch, events);
        self.refused += usize::from(!is_believed);
        self.drain();
    }

    /// After writes, and whenever it wants to.
    pub(crate) fn turn(&mut self, now: Instant) {
        self.transport.turn(now, &mut self.batch, &mut self.events);
        self.drain();
    }

    pub(crate) fn close(&mut self, now: Instant) {
        self.transport.close(now, &mut self.batch);
        self.drain();
    }

    fn drain(&mut self) {
        let datagrams = self.batch.iter().map(|datagram| Parcel {
            from: datagram.source,
            to: datagram.destination,
            data: datagram.contents.to_vec(),
        });
        self.outbox.extend(datagrams);
        self.batch.clear();
        for event in self.events.drain(..) {
            match event {
                Event::Connected => self.is_connected = true,
                Event::Packet(packet) => self.received.push(packet),
                Event::KeyframeWanted(ssrc) => self.keyframes_wanted.push(ssrc),
                Event::PathChanged => self.path_changes += 1,
                Event::Estimate(bps) => self.estimates.push(bps),
                Event::Report(report) => self.reports.push(report),
                Event::ChannelOpen => self.has_channel = true,
                Event::ChannelText(text) => self.texts.push(text),
                Event::ChannelRoom => {}
                Event::ChannelClosed => self.has_channel = false,
                Event::Closed => self.is_closed = true,
                Event::Failed(failure) => self.failure = Some(failure),
            }
        }
    }
}

pub(crate) const IDS: ExtensionIds = ExtensionIds {
    audio_level: Some(AUDIO_LEVEL),
    absolute_send_time: Some(ABSOLUTE_SEND_TIME),
    transport_number: Some(TRANSPORT_NUMBER),
    descriptor: Some(DESCRIPTOR),
};
const REPORTER: u32 = 1;
