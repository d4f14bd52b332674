//! The least that forwarding a packet can cost here: copy, header, AES-GCM, and the system's send to
//! a socket that takes it. Nothing is received, kept, paced or accounted for.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use tertulia_gauge::{cpu_ns, median};

/// One receiver: its key and where it is.
struct Receiver {
    key: LessSafeKey,
    number: u64,
    address: SocketAddr,
    /// Takes in what is sent; emptied while nobody measures. A full one would make sending cheaper.
    sink: UdpSocket,
}

/// Nanoseconds per packet with one `sendmmsg` for so many receivers' packets.
pub(crate) fn plain(receivers: usize, rounds: usize) -> f64 {
    let socket = bind();
    let mut receivers = make_receivers(receivers);
    let plain = [0x5a; PACKET];
    let mut sealed = vec![[0u8; PACKET]; BATCH];
    let addresses: Vec<SocketAddrAny> = receivers
        .iter()
        .cycle()
        .take(BATCH)
        .map(|receiver| receiver.address.into())
        .collect();
    let mut costs = Vec::new();
    for round in 0..=rounds {
        let mut spent = 0;
        for _ in 0..BATCHES {
            let start = cpu_ns();
            let places = receivers.len();
            for (index, packet) in sealed.iter_mut().enumerate() {
                if let Some(receiver) = receivers.get_mut(index % places) {
                    receiver.seal(&plain, packet);
                }
            }
            send_all(&socket, &sealed, &addresses);
            spent += cpu_ns() - start;
            receivers.iter().for_each(Receiver::empty);
        }
        if round > 0 {
            costs.push(spent as f64 / (BATCHES * BATCH) as f64);
        }
    }
    median(&mut costs)
}

/// Nanoseconds per packet in runs of eight to one receiver, each run by one call.
pub(crate) fn segmented(receivers: usize, rounds: usize) -> f64 {
    let mut runs = Runs::new(receivers);
    let mut costs = Vec::new();
    for round in 0..=rounds {
        let (mut spent, mut sent) = (0, 0);
        while sent < BATCHES * BATCH {
            let start = cpu_ns();
            sent += runs.send_picture(RUN, RUN);
            spent += cpu_ns() - start;
            runs.empty();
        }
        if round > 0 {
            costs.push(spent as f64 / sent as f64);
        }
    }
    median(&mut costs)
}

/// Pictures as a server gets them: so many packets at once, so often. Between two of them the
/// processor rests, and whatever it had at hand is gone, as it is for a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub(crate) parts: usize,
    pub(crate) pictures_per_second: u32,
}

/// The same as [`plain`] and [`segmented`], in this order, but not in one breath: with the rhythm
/// of pictures, each sent to all receivers; sleeping and waking included. A run is a picture's
/// packets, all of them.
pub(crate) fn with_rhythm(receivers: usize, rhythm: Rhythm) -> [f64; 2] {
    let mut runs = Runs::new(receivers);
    [1, rhythm.parts].map(|run| {
        let interval = Duration::from_secs(1) / rhythm.pictures_per_second;
        let mut due = Instant::now();
        let (mut spent, mut sent) = (0, 0);
        for _ in 0..RHYTHM_SECONDS * rhythm.pictures_per_second {
            let start = cpu_ns();
            due += interval;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            sent += runs.send_picture(rhythm.parts, run);
            spent += cpu_ns() - start;
            runs.empty();
        }
        spent as f64 / sent as f64
    })
}

/// A socket that sends to many, and the packets of one picture.
struct Runs {
    socket: UdpSocket,
    state: quinn_udp::UdpSocketState,
    receivers: Vec<Receiver>,
    sealed: Vec<[u8; PACKET]>,
}

impl Runs {
    fn new(receivers: usize) -> Runs {
        let socket = bind();
        let state = quinn_udp::UdpSocketState::new((&socket).into()).expect("a socket of ours");
        Runs {
            socket,
            state,
            receivers: make_receivers(receivers),
            sealed: Vec::new(),
        }
    }

    /// So many packets to each receiver: one message each, or so many together. Gives how many
    /// packets that were.
    fn send_picture(&mut self, parts: usize, run: usize) -> usize {
        let plain = [0x5a; PACKET];
        self.sealed.resize(parts, [0; PACKET]);
        for receiver in &mut self.receivers {
            for packet in &mut self.sealed {
                receiver.seal(&plain, packet);
            }
            if run == 1 {
                let addresses = vec![receiver.address.into(); parts];
                send_all(&self.socket, &self.sealed, &addresses);
                continue;
            }
            for run in self.sealed.chunks(run) {
                let transmit = quinn_udp::Transmit {
                    destination: receiver.address,
                    ecn: None,
                    contents: run.as_flattened(),
                    segment_size: Some(PACKET),
                    src_ip: None,
                };
                self.state
                    .try_send((&self.socket).into(), &transmit)
                    .expect("loopback takes it");
            }
        }
        parts * self.receivers.len()
    }

    fn empty(&self) {
        self.receivers.iter().for_each(Receiver::empty);
    }
}

impl Receiver {
    fn empty(&self) {
        let mut buffer = [0; 2_048];
        while self.sink.recv(&mut buffer).is_ok() {}
    }

    fn seal(&mut self, plain: &[u8; PACKET], out: &mut [u8]) {
        self.number += 1;
        out.copy_from_slice(plain);
        let (header, rest) = out.split_at_mut(HEADER);
        let (payload, tag) = rest.split_at_mut(PACKET - HEADER - TAG);
        for (to, from) in header.iter_mut().zip(self.number.to_be_bytes()) {
            *to = from;
        }
        let mut nonce = [0; 12];
        for (to, from) in nonce.iter_mut().skip(4).zip(self.number.to_be_bytes()) {
            *to = from;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
            .expect("a packet of this size can be sealed");
        tag.copy_from_slice(sealed.as_ref());
    }
}

fn send_all(socket: &UdpSocket, packets: &[[u8; PACKET]], addresses: &[SocketAddrAny]) {
    let slices: Vec<[IoSlice<'_>; 1]> = packets.iter().map(|one| [IoSlice::new(one)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = packets
        .iter()
        .map(|_| SendAncillaryBuffer::default())
        .collect();
    let mut messages: Vec<MMsgHdr<'_>> = slices
        .iter()
        .zip(&mut controls)
        .zip(addresses)
        .map(|((slice, control), address)| MMsgHdr::new_with_addr(address, slice, control))
        .collect();
    let mut rest = messages.as_mut_slice();
    while !rest.is_empty() {
        let sent = sendmmsg(socket, rest, SendFlags::empty()).expect("loopback takes it");
        rest = rest.get_mut(sent..).unwrap_or_default();
    }
}

fn bind() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a free port on loopback")
}

fn make_receivers(count: usize) -> Vec<Receiver> {
    let receivers = (0..count).map(|_| {
        let sink = bind();
        sink.set_nonblocking(true)
            .expect("a socket can wait or not");
        let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key of the right length");
        Receiver {
            key: LessSafeKey::new(key),
            number: 0,
            address: sink.local_addr().expect("it is bound"),
            sink,
        }
    });
    receivers.collect()
}

const PACKET: usize = 1_200;
const HEADER: usize = 24;
const TAG: usize = 16;
const BATCH: usize = 64;
const BATCHES: usize = 200;
const RUN: usize = 8;
const RHYTHM_SECONDS: u32 = 5;
