//! A client's whole transport: the link below, streams both ways, and when what leaves.
//!
//! Voices leave at once, then what was lost and is asked for again, then pictures, as the pacer
//! lets them, then reports. Whatever is written leaves with the next [`Transport::turn`], in runs to one
//! destination, each datagram made in place in the [`Batch`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::bandwidth::{self, Estimator, Quality, Sort};
use crate::batch::Batch;
use crate::datagram::DatagramKind;
use crate::link::{
    self, Certificate, IceCredentials, Link, LocalAddress, LocalCandidate, Remote, WriteError,
};
use crate::pacer::{Pacer, Step};
use crate::packet::{self, AudioLevel, ExtensionIds, Header};
use crate::payload::{Payload, Pool};
use crate::receive::{self, Expected, Receiver};
use crate::rtcp;
use crate::send::{self, Descriptor, NewStream, Outgoing, Queue, Sender, StreamKey, Wire};
use crate::srtp::{self, Opener, Refused, Sealer};

/// What differs between transports.
#[derive(Clone, Debug)]
pub struct Settings {
    pub link: link::Settings,
    pub extensions: ExtensionIds,
    /// Whom our reports come from (RFC 3550, 6.4).
    pub reporter: u32,
    pub sending: send::Settings,
    pub receiving: receive::Settings,
    /// None where sending is neither estimated nor paced.
    pub estimation: Option<bandwidth::Settings>,
    /// What is due within so long leaves at once.
    pub pacing_ahead: Duration,
}

/// What a transport tells.
#[derive(Debug)]
pub enum Event {
    /// ICE, DTLS and SRTP are up.
    Connected,
    Packet(Received),
    /// The client cannot decode what is sent in the stream of this SSRC.
    KeyframeWanted(u32),
    /// The client is reached at another address from now on, or from another one of ours: what was
    /// on its way to the former one may be lost.
    PathChanged,
    /// So many bits per second can be sent.
    Estimate(u64),
    /// How the way to the client did in the last second.
    Report(PathReport),
    ChannelOpen,
    ChannelText(String),
    /// There may be room in the data channel again.
    ChannelRoom,
    ChannelClosed,
    /// The client has closed the transport.
    Closed,
    Failed(link::Failure),
}

/// A packet of media from the client.
#[derive(Clone, Debug)]
pub struct Received {
    /// Of the media, also where it came as a retransmission.
    pub ssrc: u32,
    pub payload_type: u8,
    /// The sequence number, without wrapping.
    pub number: u64,
    pub timestamp: u32,
    pub is_marked: bool,
    pub arrived: Instant,
    pub audio_level: Option<AudioLevel>,
    pub descriptor: Option<Descriptor>,
    pub payload: Payload,
}

/// How the way to a client does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PathReport {
    pub path: Option<link::Path>,
    /// Of media and the feedback on it.
    pub round_trip: Option<Duration>,
    /// Of the last connectivity check.
    pub check: Option<Duration>,
    /// Share of packets from the client that were lost in the last second, 0 to 1.
    pub incoming_loss: Option<f32>,
    /// Share of packets to the client that were lost in the last second, 0 to 1.
    pub outgoing_loss: Option<f32>,
    /// Bytes of datagrams from the client.
    pub bytes_in: u64,
    /// Bytes of datagrams to the client.
    pub bytes_out: u64,
}

/// One client's transport.
pub struct Transport {
    link: Link,
    /// Once DTLS is through.
    keys: Option<(Sealer, Opener)>,
    /// Something that the client encrypted was read.
    is_heard: bool,
    receiver: Receiver,
    sender: Sender,
    estimator: Option<Estimator>,
    pacer: Pacer,
    voices: Queue,
    pictures: Queue,
    /// When the pacer lets more leave.
    paced: Option<Instant>,
    /// Of the next packet that leaves, for transport feedback.
    transport_number: u16,
    extensions: ExtensionIds,
    reporter: u32,
    pool: Pool,
    /// What is being opened.
    opening: Vec<u8>,
    report_at: Option<Instant>,
    bytes_in: u64,
    bytes_out: u64,
    /// Never goes back.
    clock: Instant,
}

impl Transport {
    /// A transport with our credentials that waits for the client's.
    pub fn new(
        certificate: &Certificate,
        credentials: IceCredentials,
        settings: Settings,
        now: Instant,
    ) -> Transport {
        let estimator = (settings.estimation).map(|settings| Estimator::new(now, settings));
        let rate = estimator.as_ref().map_or(UNPACED, Estimator::pacing_bps);
        Transport {
            link: Link::new(certificate, credentials, settings.link, now),
            keys: None,
            is_heard: false,
            receiver: Receiver::new(settings.receiving),
            sender: Sender::new(settings.sending),
            estimator,
            pacer: Pacer::new(now, settings.pacing_ahead, rate),
            voices: Queue::default(),
            pictures: Queue::default(),
            paced: None,
            transport_number: 0,
            extensions: settings.extensions,
            reporter: settings.reporter,
            pool: Pool::default(),
            opening: Vec::new(),
            report_at: None,
            bytes_in: 0,
            bytes_out: 0,
            clock: now,
        }
    }

    /// Makes an address of ours known; None if it is none for ICE, or known already.
    pub fn add_local(&mut self, address: LocalAddress) -> Option<LocalCandidate> {
        self.link.add_local(address)
    }

    /// Takes in the client's half: checks begin, then the handshake.
    pub fn connect(&mut self, now: Instant, remote: Remote, has_data_channel: bool) {
        let now = self.advance(now);
        self.link.connect(now, remote, has_data_channel);
    }

    /// Goes on with new credentials on both sides (RFC 8445, 2.4).
    pub fn restart(
        &mut self,
        now: Instant,
        ours: IceCredentials,
        theirs: IceCredentials,
        addresses: &[SocketAddr],
    ) {
        let now = self.advance(now);
        self.link.restart(now, ours, theirs, addresses);
    }

    /// Gives up an address of the client.
    pub fn give_up_address(&mut self, now: Instant, address: SocketAddr) {
        let now = self.advance(now);
        self.link.give_up_address(now, address);
    }

    /// The client uses an address that was given up, or that no check has come from yet: it is
    /// checked at once.
    pub fn readmit_address(&mut self, now: Instant, address: SocketAddr) {
        let now = self.advance(now);
        self.link.readmit_address(now, address);
    }

    /// Whether an address of the client has answered our checks.
    pub fn has_answered(&self, address: SocketAddr) -> bool {
        self.link.has_answered(address)
    }

    /// Whether a datagram is media or a report of this client that has not come before. It is not
    /// taken in.
    pub fn believes(&mut self, datagram: &[u8]) -> bool {
        let Some((_, opener)) = &self.keys else {
            return false;
        };
        self.opening.clear();
        self.opening.extend_from_slice(datagram);
        match DatagramKind::of(datagram) {
            Some(DatagramKind::Rtp) => Header::read(datagram, self.extensions)
                .is_ok_and(|header| opener.would_open_rtp(&mut self.opening, &header)),
            Some(DatagramKind::Rtcp) => opener.would_open_rtcp(&mut self.opening),
            Some(DatagramKind::Stun | DatagramKind::Dtls) | None => false,
        }
    }

    /// Whether a connectivity check is signed by this client.
    pub fn accepts(&self, from: SocketAddr, data: &[u8]) -> bool {
        self.link.accepts(from, data)
    }

    /// Whether media can be sent and received.
    pub fn is_connected(&self) -> bool {
        self.keys.is_some()
    }

    /// By which way the client is reached.
    pub fn path(&self) -> Option<link::Path> {
        self.link.path()
    }

    /// Whether the client has a data channel open.
    pub fn has_channel(&self) -> bool {
        self.link.has_channel()
    }

    /// Writes a text into the data channel; false if there is no room now. One that is longer than
    /// the client has to accept is dropped: it would never leave.
    pub fn write_text(&mut self, now: Instant, text: &str) -> bool {
        let now = self.advance(now);
        match self.link.write_text(now, text) {
            Ok(()) => true,
            Err(error @ WriteError::TooLong) => {
                debug!(%error, bytes = text.len(), "a message is not sent");
                true
            }
            Err(WriteError::NotOpen | WriteError::NoRoom) => false,
        }
    }

    /// Expects a stream of the client.
    pub fn expect(&mut self, expected: Expected) {
        self.receiver.expect(expected);
    }

    /// Expects it no more.
    pub fn forget(&mut self, ssrc: u32) {
        self.receiver.forget(ssrc);
    }

    /// A stream towards the client. None if one of its SSRCs is in use.
    pub fn add_stream(&mut self, new: NewStream) -> Option<StreamKey> {
        self.sender.add(new)
    }

    /// Forgets a stream, and what of it has not left. Gives back the highest number that has: if
    /// the SSRC is added again, numbers must go on above it.
    pub fn remove_stream(&mut self, key: StreamKey) -> Option<u64> {
        self.voices.remove(key);
        self.pictures.remove(key);
        self.sender.remove(key)
    }

    /// Queues a packet of a voice, which leaves with the next turn.
    pub fn write_voice(&mut self, key: StreamKey, packet: Outgoing) {
        if self.keys.is_some() {
            self.voices.push(self.clock, key, packet);
        }
    }

    /// Queues a packet of a picture, which leaves when the pacer lets it. Where so much waits
    /// already that nobody would want to see it, it is dropped.
    pub fn write_picture(&mut self, key: StreamKey, packet: Outgoing) {
        if self.keys.is_some() && self.pictures.len() < WAITING_MAX {
            self.pictures.push(self.clock, key, packet);
        }
    }

    /// Bytes of pictures that wait for the pacer.
    pub fn waiting_bytes(&self) -> usize {
        self.pictures.bytes()
    }

    /// Asks the client for a key frame.
    pub fn request_keyframe(&mut self, ssrc: u32) {
        self.receiver.request_keyframe(self.clock, ssrc);
    }

    /// Says how much would be sent if it could: the next step up, and everything, in bits per
    /// second.
    pub fn set_wanted(&mut self, now: Instant, least_bps: u64, desired_bps: u64) {
        let now = self.advance(now);
        if let Some(estimator) = &mut self.estimator {
            estimator.set_wanted(now, least_bps, desired_bps);
        }
    }

    /// While it rests (no pictures are sent) nothing is probed and nothing learnt.
    pub fn set_resting(&mut self, now: Instant, is_resting: bool) {
        let now = self.advance(now);
        if let Some(estimator) = &mut self.estimator {
            estimator.set_resting(now, is_resting);
            if is_resting {
                self.pacer.abandon_probe();
            }
        }
    }

    /// Takes in a datagram of the client. False if nobody could read or believe it.
    pub fn receive(
        &mut self,
        now: Instant,
        (from, to): (SocketAddr, SocketAddr),
        datagram: &[u8],
        out: &mut Batch,
        events: &mut Vec<Event>,
    ) -> bool {
        let now = self.advance(now);
        self.bytes_in += datagram.len() as u64;
        match DatagramKind::of(datagram) {
            Some(DatagramKind::Stun) => {
                let is_believed = self.link.handle_stun(now, from, to, datagram);
                self.drain_link(out, events);
                is_believed
            }
            Some(DatagramKind::Dtls) => {
                let is_understood = self.link.handle_dtls(now, from, datagram);
                self.drain_link(out, events);
                is_understood
            }
            Some(DatagramKind::Rtp) => self.receive_media(now, datagram, events),
            Some(DatagramKind::Rtcp) => self.receive_reports(now, datagram, events),
            None => false,
        }
    }

    fn receive_media(&mut self, now: Instant, datagram: &[u8], events: &mut Vec<Event>) -> bool {
        let Some((_, opener)) = &mut self.keys else {
            return false;
        };
        let Ok(header) = Header::read(datagram, self.extensions) else {
            return false;
        };
        self.opening.clear();
        self.opening.extend_from_slice(datagram);
        let number = match opener.open_rtp(&mut self.opening, &header) {
            Ok(number) => number,
            Err(refused) => return is_harmless(&refused),
        };
        self.note_heard();
        if let Some(number) = header.extensions.transport_number {
            self.receiver.note_transport(now, number);
        }
        let Ok(payload) = packet::payload(&header, &self.opening) else {
            return false;
        };
        let Some(arrival) = self.receiver.take(now, &header, number, payload) else {
            return true;
        };
        let descriptor = header.extensions.descriptor.clone();
        let descriptor = descriptor.and_then(|range| self.opening.get(range));
        let media = payload.get(arrival.offset..).unwrap_or_default();
        events.push(Event::Packet(Received {
            ssrc: arrival.ssrc,
            payload_type: arrival.payload_type,
            number: arrival.number,
            timestamp: arrival.timestamp,
            is_marked: arrival.is_marked,
            arrived: now,
            audio_level: header.extensions.audio_level,
            descriptor: descriptor.map(Descriptor::new),
            payload: self.pool.fill(media),
        }));
        true
    }

    fn receive_reports(&mut self, now: Instant, datagram: &[u8], events: &mut Vec<Event>) -> bool {
        let Some((_, opener)) = &mut self.keys else {
            return false;
        };
        let mut opened = std::mem::take(&mut self.opening);
        opened.clear();
        opened.extend_from_slice(datagram);
        let is_readable = match opener.open_rtcp(&mut opened) {
            Ok(()) => {
                self.note_heard();
                self.read_reports(now, &opened, events)
            }
            Err(refused) => is_harmless(&refused),
        };
        self.opening = opened;
        is_readable
    }

    fn note_heard(&mut self) {
        if !self.is_heard {
            self.is_heard = true;
            self.link.note_media();
        }
    }

    fn read_reports(&mut self, now: Instant, opened: &[u8], events: &mut Vec<Event>) -> bool {
        let mut has_feedback = false;
        let mut packets = rtcp::read(opened);
        for packet in &mut packets {
            match packet {
                rtcp::Packet::SenderReport(report) => {
                    self.receiver.note_sender_report(now, &report);
                    self.note_blocks(now, &report.blocks);
                }
                rtcp::Packet::ReceiverReport(report) => self.note_blocks(now, &report.blocks),
                rtcp::Packet::ReferenceTime(reference) => {
                    self.receiver.note_reference_time(now, reference);
                }
                rtcp::Packet::Nack(nack) => {
                    self.sender.nacked(now, nack.media, nack.numbers());
                }
                rtcp::Packet::Pli(pli) => events.push(Event::KeyframeWanted(pli.media)),
                rtcp::Packet::Fir(fir) => {
                    let requests = fir.requests();
                    events.extend(requests.map(|(ssrc, _)| Event::KeyframeWanted(ssrc)));
                }
                rtcp::Packet::TransportFeedback(feedback) => {
                    if self.sender.is_awaiting_reports() {
                        for (number, arrival) in feedback.statuses() {
                            self.sender.reported(now, number, arrival.is_some());
                        }
                    }
                    if let Some(estimator) = &mut self.estimator {
                        estimator.feedback(now, feedback.statuses());
                        has_feedback = true;
                    }
                }
                // Without transport feedback it is all that there is.
                rtcp::Packet::Remb(remb) => {
                    let is_used = self.extensions.transport_number.is_none();
                    if let Some(estimator) = (self.estimator.as_mut()).filter(|_| is_used) {
                        estimator.begin_with(now, remb.bits_per_second);
                        has_feedback = true;
                    }
                }
                rtcp::Packet::Bye(_) => {}
            }
        }
        let is_malformed = packets.is_malformed();
        if has_feedback {
            self.follow_estimate(now, events);
        }
        !is_malformed
    }

    /// What the client says about our streams. Both sides ask again for what is lost after a round
    /// trip.
    fn note_blocks(&mut self, now: Instant, blocks: &rtcp::ReportBlocks<'_>) {
        for block in blocks.iter() {
            if let Some(round_trip) = self.sender.note_report_block(now, &block) {
                self.receiver.note_round_trip(round_trip);
            }
        }
    }

    /// To be called after writes, and whenever [`Transport::wake`] has come.
    pub fn turn(&mut self, now: Instant, out: &mut Batch, events: &mut Vec<Event>) {
        let now = self.advance(now);
        self.link.handle_timeout(now);
        self.drain_link(out, events);
        if self.keys.is_none() {
            return;
        }
        if let Some(estimator) = &mut self.estimator {
            estimator.handle_timeout(now);
            self.follow_estimate(now, events);
        }
        self.drop_late(now, events);
        let sent = out.len();
        self.send_media(now, out);
        // Behind media, in the same run if those are equally long, a report costs nearly nothing.
        if out.len() > sent || self.reports_due().is_some_and(|due| due <= now) {
            self.send_reports(now, out);
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + REPORT);
            events.push(Event::Report(self.report(now)));
        }
    }

    /// When it wants to be driven again.
    pub fn wake(&self) -> Instant {
        let mut wake = self.link.wake();
        if self.keys.is_some() {
            let has_resends = self.sender.has_retransmissions().then_some(self.clock);
            let estimator = self.estimator.as_ref().and_then(Estimator::wake);
            let others = [
                self.reports_due(),
                estimator,
                self.paced,
                self.report_at,
                // Between turns: what was asked for leaves when the pacer lets it.
                has_resends.filter(|_| self.paced.is_none()),
            ];
            wake = others.into_iter().flatten().fold(wake, Instant::min);
        }
        wake
    }

    /// Says goodbye; nothing can be done with it afterwards.
    pub fn close(&mut self, now: Instant, out: &mut Batch) {
        let now = self.advance(now);
        self.link.close(now);
        self.drain_link(out, &mut Vec::new());
        self.keys = None;
    }

    /// How the way to the client does.
    pub fn report(&self, now: Instant) -> PathReport {
        let quality = self
            .estimator
            .as_ref()
            .map(|estimator| estimator.quality(now));
        let quality = quality.unwrap_or_else(|| Quality {
            loss: self.sender.reported_loss(now),
            round_trip: self.sender.round_trip(),
            ..Quality::default()
        });
        PathReport {
            path: self.link.path(),
            round_trip: quality.round_trip.or(self.sender.round_trip()),
            check: self.link.round_trip(),
            incoming_loss: self.receiver.loss(),
            outgoing_loss: quality.loss,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.clock = self.clock.max(now);
        self.clock
    }

    fn drain_link(&mut self, out: &mut Batch, events: &mut Vec<Event>) {
        loop {
            let event = match self.link.poll() {
                link::Output::Timeout(_) => return,
                link::Output::Transmit(transmit) => {
                    self.bytes_out += transmit.contents.len() as u64;
                    out.push(transmit.source, transmit.destination, &transmit.contents);
                    continue;
                }
                link::Output::Event(event) => event,
            };
            events.push(match event {
                link::Event::Connected {
                    profile,
                    material,
                    is_client,
                } => match srtp::contexts(profile, material.bytes(), is_client) {
                    Ok(keys) => {
                        self.keys = Some(keys);
                        self.report_at = Some(self.clock + REPORT);
                        Event::Connected
                    }
                    Err(error) => {
                        debug!(%error, "the keys of a client's SRTP are of no use");
                        Event::Failed(link::Failure::NoSrtp)
                    }
                },
                link::Event::Path(_) => {
                    if let Some(estimator) = &mut self.estimator {
                        estimator.change_path(self.clock);
                    }
                    if self.keys.is_none() {
                        continue;
                    }
                    Event::PathChanged
                }
                link::Event::IceDisconnected => continue,
                link::Event::ChannelOpen => Event::ChannelOpen,
                link::Event::ChannelText(text) => Event::ChannelText(text),
                link::Event::ChannelRoom => Event::ChannelRoom,
                link::Event::ChannelClosed => Event::ChannelClosed,
                link::Event::Closed => Event::Closed,
                link::Event::Failed(failure) => Event::Failed(failure),
            });
        }
    }

    /// Tells a new estimate, paces by it, and begins the probe that is due.
    fn follow_estimate(&mut self, now: Instant, events: &mut Vec<Event>) {
        let Some(estimator) = &mut self.estimator else {
            return;
        };
        self.pacer.set_rate(estimator.pacing_bps());
        if let Some(estimate) = estimator.take_change() {
            events.push(Event::Estimate(estimate));
        }
        if let Some(probe) = estimator.probe(now) {
            self.pacer.begin(probe);
            // It begins with the next turn.
            self.paced = Some(now);
        }
    }

    /// When RTCP has to leave, media or not.
    fn reports_due(&self) -> Option<Instant> {
        let any = [self.receiver.wake(), self.sender.wake()];
        let patient = any.into_iter().flatten().min().map(|due| due + PATIENCE);
        [self.receiver.urgent(), patient]
            .into_iter()
            .flatten()
            .min()
    }

    /// Sends the RTCP that is due.
    fn send_reports(&mut self, now: Instant, out: &mut Batch) {
        let (Some((sealer, _)), Some(path)) = (&mut self.keys, self.link.path()) else {
            return;
        };
        loop {
            let start = out.bytes.len();
            let has_own = self.sender.write_due(now, &mut out.bytes);
            let has_more = !has_own && self.receiver.write_due(now, self.reporter, &mut out.bytes);
            if !(has_own || has_more) {
                return;
            }
            if sealer.seal_rtcp(&mut out.bytes, start).is_err() {
                return;
            }
            let end = out.bytes.len();
            self.bytes_out += (end - start) as u64;
            out.add(path.source, path.destination, start..end);
        }
    }

    /// A link has become so narrow that what waits would be seen much too late: the stream goes on
    /// with a key frame.
    fn drop_late(&mut self, now: Instant, events: &mut Vec<Event>) {
        while let Some((key, since)) = self.pictures.next() {
            if now.saturating_duration_since(since) < LATE {
                return;
            }
            self.pictures.remove(key);
            events.extend(self.sender.ssrc(key).map(Event::KeyframeWanted));
        }
    }

    /// Sends voices, then what the pacer lets leave.
    fn send_media(&mut self, now: Instant, out: &mut Batch) {
        let Some(path) = self.link.path() else {
            return;
        };
        while let Some((key, packet)) = self.voices.pop() {
            self.send(now, path, out, Sort::Media, |sender, wire| {
                sender.write(now, key, packet, wire)
            });
        }
        self.paced = None;
        loop {
            let has_resends = self.sender.next_retransmission(now).is_some();
            let is_waiting = has_resends || !self.pictures.is_empty();
            let step = match &self.estimator {
                Some(_) => self.pacer.poll(now, is_waiting, self.sender.can_pad()),
                None if is_waiting => Step::Media,
                None => Step::Idle,
            };
            match step {
                Step::Media if has_resends => {
                    self.send(now, path, out, Sort::Retransmission, |sender, wire| {
                        sender.write_retransmission(now, wire)
                    });
                }
                Step::Media => {
                    let Some((key, packet, padding)) = self.pictures.pop_level() else {
                        return;
                    };
                    self.send(now, path, out, Sort::Media, |sender, wire| {
                        sender.write(now, key, packet, Wire { padding, ..wire })
                    });
                }
                Step::Padding(bytes) => {
                    let is_padded = self.send(now, path, out, Sort::Padding, |sender, wire| {
                        sender.write_padding(now, bytes, wire)
                    });
                    if !is_padded {
                        self.pacer.abandon_probe();
                    }
                }
                Step::Wait(at) => {
                    self.paced = Some(at);
                    return;
                }
                Step::Idle => return,
            }
        }
    }

    /// Sends one packet, and tells everybody who counts it. False if there was none.
    fn send(
        &mut self,
        now: Instant,
        path: link::Path,
        out: &mut Batch,
        sort: Sort,
        write: impl FnOnce(&mut Sender, Wire<'_>) -> Option<usize>,
    ) -> bool {
        let Some((sealer, _)) = &mut self.keys else {
            return false;
        };
        let start = out.bytes.len();
        let ids = self.extensions;
        let transport_number = ids.transport_number.map(|_| self.transport_number);
        let wire = Wire {
            out: &mut out.bytes,
            sealer,
            ids,
            transport_number,
            padding: 0,
        };
        let Some(size) = write(&mut self.sender, wire) else {
            return false;
        };
        out.add(path.source, path.destination, start..start + size);
        self.bytes_out += size as u64;
        if let Some(estimator) = &mut self.estimator {
            self.pacer.sent(now, size);
            if let Some(number) = transport_number {
                estimator.sent(now, number, size, sort);
            }
        }
        self.transport_number = self.transport_number.wrapping_add(1);
        true
    }
}

/// What came twice is nobody's fault.
fn is_harmless(refused: &Refused) -> bool {
    matches!(refused, Refused::Replayed)
}

/// Where nothing is estimated nothing is paced either.
const UNPACED: u64 = 100_000_000_000;
/// Some seconds of everything that a client can be sent.
const WAITING_MAX: usize = 4_096;
/// The first key frame of a shared screen takes two seconds on a link of 300 kbit/s.
const LATE: Duration = Duration::from_secs(3);
/// Reports and transport feedback wait for so long for media to leave with. That is less than what
/// browsers vary the distance of their feedback by (50 to 250 ms).
const PATIENCE: Duration = Duration::from_millis(20);
/// How often the way to a client is looked at.
const REPORT: Duration = Duration::from_secs(1);
