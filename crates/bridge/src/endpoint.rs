//! One client's transport: ICE, DTLS, SRTP, SCTP and bandwidth estimation by str0m.
//!
//! The only file that touches an `Rtc`. It upholds str0m's rules: after every mutation the machine
//! is drained; its clock never goes back; its pacer is driven until nothing is due within the next
//! two milliseconds (it releases one packet per timeout). Each step is caught: a machine that
//! panics is dropped and never touched again, and only its own client is lost.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::bwe::{Bitrate, BweKind};
use str0m::channel::ChannelId as DataChannelId;
use str0m::config::{DtlsCert, Fingerprint as DtlsFingerprint};
use str0m::ice::IceCreds;
use str0m::media::{KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, SeqNo, Vp8Patch};
use str0m::{Candidate, CandidateKind, Event, Input, Output, Rtc, RtcConfig, RtcError};
use tertulia_model::bridge::{self, DisconnectReason, EndpointOffer, RemoteTransport};
use tertulia_model::{Encoding, Fingerprint, MediaType, Ssrc};
use tracing::{debug, error};

use crate::Batch;
use crate::codecs;
use crate::config::{Bandwidth, Config};
use crate::congestion::Quality;
use crate::demux::is_media;
use crate::detail::Path;
use crate::extension::DescriptorBytes;

/// A client's transport.
pub(crate) struct Endpoint {
    /// None once it failed.
    machine: Option<Machine>,
    /// Never goes back, and runs ahead of the worker's by at most `ahead`.
    clock: Instant,
    wake: Instant,
    ahead: Duration,
    fault: Option<DisconnectReason>,
    has_rtx: bool,
    bandwidth: Bandwidth,
    retransmission: Duration,
    /// What is wanted of it, least and desired, in bits per second.
    wanted: (u64, u64),
    /// Nothing is sent to the client that bandwidth matters for.
    is_resting: bool,
    /// When media was last sent to it or came from it.
    media_at: Instant,
    mids: u32,
    errors: u32,
}

/// The `Rtc` and what was learnt from its events.
struct Machine {
    rtc: Rtc,
    is_connected: bool,
    data_channel: Option<DataChannelId>,
    path: Path,
    /// Where media went last.
    destination: Option<SocketAddr>,
}

/// What a transport tells.
#[expect(
    clippy::large_enum_variant,
    reason = "a packet is moved once, a box would be allocated"
)]
pub(crate) enum EndpointEvent {
    /// ICE and DTLS are up.
    Connected,
    Rtp(RtpPacket),
    /// The client cannot decode what is sent in this stream.
    KeyframeWanted(Mid),
    /// So many bits per second can be sent to the client.
    Estimate(u64),
    /// How its path did of late.
    Quality(Quality),
    ChannelOpen,
    ChannelText(String),
    /// There may be room in the data channel again.
    ChannelRoom,
    ChannelClosed,
    /// The client closed the transport.
    Closed,
}

/// One packet as it is to leave.
pub(crate) struct Outgoing {
    pub(crate) payload_type: u8,
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    /// When it arrived from its sender.
    pub(crate) arrived: Instant,
    pub(crate) is_marked: bool,
    pub(crate) payload: Arc<[u8]>,
    pub(crate) levels: Option<(i8, Option<bool>)>,
    pub(crate) patch: Option<Vp8Patch>,
    pub(crate) descriptor: Option<DescriptorBytes>,
}

impl Endpoint {
    /// A transport with our credentials that waits for the client's.
    pub(crate) fn new(
        config: &Config,
        certificate: &DtlsCert,
        offer: EndpointOffer,
        credentials: bridge::IceCredentials,
        now: Instant,
    ) -> Endpoint {
        let mut endpoint = Endpoint {
            machine: None,
            clock: now,
            wake: now,
            ahead: config.timers.pacing_ahead,
            fault: None,
            has_rtx: offer.has_rtx,
            bandwidth: config.bandwidth,
            retransmission: config.timers.retransmission,
            wanted: (0, 0),
            is_resting: false,
            media_at: now,
            mids: 0,
            errors: 0,
        };
        let build = || {
            let mut rtc = rtc_config(config, certificate, offer, credentials).build(now);
            rtc.direct_api().set_ice_controlling(true);
            if offer.has_transport_cc {
                rtc.direct_api().enable_twcc_feedback();
            }
            Machine {
                rtc,
                is_connected: false,
                data_channel: None,
                path: Path::default(),
                destination: None,
            }
        };
        match catch_unwind(AssertUnwindSafe(build)) {
            Ok(machine) => endpoint.machine = Some(machine),
            Err(_) => endpoint.break_down("building"),
        }
        endpoint
    }

    /// The fingerprint of our certificate.
    pub(crate) fn fingerprint(&mut self) -> Option<Fingerprint> {
        self.step("fingerprint", |machine| {
            let fingerprint = machine.rtc.direct_api().local_dtls_fingerprint().clone();
            Fingerprint {
                hash: fingerprint.hash_func,
                bytes: fingerprint.bytes,
            }
        })
    }

    /// Makes the addresses known at which the client can reach us; gives them back as candidates.
    pub(crate) fn add_addresses(
        &mut self,
        config: &Config,
        is_loopback: bool,
    ) -> Vec<bridge::Candidate> {
        let mut candidates = Vec::new();
        for local in &config.addresses {
            candidates.extend(Candidate::host(local.address, "udp").ok());
            let public = local.public.filter(|public| *public != local.address);
            candidates.extend(
                public.and_then(|public| {
                    Candidate::server_reflexive(public, local.address, "udp").ok()
                }),
            );
        }
        if is_loopback {
            let loopback = config.loopback.iter();
            candidates.extend(loopback.filter_map(|address| Candidate::host(*address, "udp").ok()));
        }
        let added = self.step("candidates", |machine| {
            let mut added = Vec::new();
            for candidate in candidates {
                if let Some(candidate) = machine.rtc.add_local_candidate(candidate) {
                    added.push(bridge::Candidate {
                        address: candidate.addr(),
                        kind: match candidate.kind() {
                            CandidateKind::ServerReflexive => {
                                bridge::CandidateKind::ServerReflexive {
                                    base: candidate.local(),
                                }
                            }
                            _ => bridge::CandidateKind::Host,
                        },
                        priority: candidate.prio(),
                    });
                }
            }
            added
        });
        added.unwrap_or_default()
    }

    /// Takes in the client's half: checks and the DTLS handshake begin.
    pub(crate) fn connect(&mut self, remote: RemoteTransport, has_data_channel: bool) {
        let started = self.step("connect", |machine| {
            for address in remote.candidates.iter().take(REMOTE_CANDIDATES_MAX) {
                machine.add_remote(*address);
            }
            let mut direct = machine.rtc.direct_api();
            direct.set_remote_ice_credentials(ice_creds(remote.ice));
            direct.set_remote_fingerprint(DtlsFingerprint {
                hash_func: remote.fingerprint.hash,
                bytes: remote.fingerprint.bytes,
            });
            direct.start_dtls(!remote.is_active)?;
            if has_data_channel {
                direct.start_sctp(false);
            }
            Ok::<(), RtcError>(())
        });
        if let Some(Err(error)) = started {
            debug!(%error, "DTLS could not be started");
            self.fail(DisconnectReason::DtlsFailed);
        }
    }

    /// Goes on with new credentials on both sides (RFC 8445, 2.4). DTLS and SRTP stay, and media
    /// goes where it went until a new path has been found.
    pub(crate) fn reconnect(
        &mut self,
        ours: bridge::IceCredentials,
        theirs: bridge::IceCredentials,
        addresses: &[SocketAddr],
    ) {
        self.step("reconnect", |machine| {
            let mut direct = machine.rtc.direct_api();
            direct.set_local_ice_credentials(ice_creds(ours));
            direct.set_remote_ice_credentials(ice_creds(theirs));
            for address in addresses.iter().take(REMOTE_CANDIDATES_MAX) {
                machine.add_remote(*address);
            }
        });
    }

    /// Gives up an address of the client. str0m would stay with it until its checks have remained
    /// without answer for some twenty seconds.
    pub(crate) fn give_up_address(&mut self, address: SocketAddr) {
        self.step("give up address", |machine| {
            // str0m knows it by the way it was learnt: from the client's checks, or told.
            let (ip, port) = (address.ip(), address.port());
            let learnt = format!("candidate:1 1 udp 1 {ip} {port} typ prflx");
            let candidates = [
                Candidate::from_sdp_string(&learnt),
                Candidate::host(address, "udp"),
            ];
            let mut direct = machine.rtc.direct_api();
            for candidate in candidates.iter().flatten() {
                direct.invalidate_candidate(candidate);
            }
        });
    }

    /// The client uses an address again that was given up.
    pub(crate) fn readmit_address(&mut self, address: SocketAddr) {
        self.step("readmit address", |machine| machine.add_remote(address));
    }

    /// Whether ICE and DTLS have been up.
    pub(crate) fn is_connected(&self) -> bool {
        self.machine
            .as_ref()
            .is_some_and(|machine| machine.is_connected)
    }

    /// Where media went last.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        self.machine.as_ref()?.destination
    }

    /// How the way to the client did when it was last looked at.
    pub(crate) fn path(&self) -> Path {
        let machine = self.machine.as_ref();
        machine.map(|machine| machine.path).unwrap_or_default()
    }

    /// Why it died; told once.
    pub(crate) fn take_fault(&mut self) -> Option<DisconnectReason> {
        self.fault.take()
    }

    /// When it wants to be driven again.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.machine.is_some().then_some(self.wake)
    }

    /// Whether no media passes and nothing is estimated: what it wants to be woken for then (its
    /// pacer does, 25 times a second) can wait.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        let is_estimating = self.bandwidth.is_estimated && !self.is_resting;
        self.is_connected()
            && !is_estimating
            && now.saturating_duration_since(self.media_at) >= QUIET
    }

    /// Whether a connectivity check from an unknown address is signed by this client.
    pub(crate) fn accepts(&mut self, from: SocketAddr, to: SocketAddr, data: &[u8]) -> bool {
        let clock = self.clock;
        let accepted = self.step("check", |machine| {
            Receive::new(Protocol::Udp, from, to, data)
                .is_ok_and(|receive| machine.rtc.accepts(&Input::Receive(clock, receive)))
        });
        accepted.unwrap_or(false)
    }

    /// Takes in a datagram of the client. False if it is none that str0m could read.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        data: &[u8],
        batch: &mut Batch,
        events: &mut Vec<EndpointEvent>,
    ) -> bool {
        self.clock = self.clock.max(now);
        let clock = self.clock;
        let before = events.len();
        let received = self.step("receive", |machine| {
            let Ok(receive) = Receive::new(Protocol::Udp, from, to, data) else {
                return (false, Ok(()), None);
            };
            let result = machine.rtc.handle_input(Input::Receive(clock, receive));
            // A refused datagram may have changed something all the same.
            (true, result, Some(machine.drain(batch, events)))
        });
        let mut new = events.iter().skip(before);
        if new.any(|event| matches!(event, EndpointEvent::Rtp(_))) {
            self.media_at = clock;
        }
        match received {
            None => true,
            Some((is_readable, result, drained)) => {
                if let Err(error) = result {
                    self.note(&error);
                }
                if let Some(drained) = drained {
                    self.drained(drained);
                }
                is_readable
            }
        }
    }

    /// After writes, and whenever [`Endpoint::wake`] has come.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        batch: &mut Batch,
        events: &mut Vec<EndpointEvent>,
    ) {
        self.clock = self.clock.max(now);
        let limit = now + self.ahead;
        let mut clock = self.clock;
        let turned = self.step("turn", |machine| {
            let mut wake = clock;
            for _ in 0..STEPS_MAX {
                machine.rtc.handle_input(Input::Timeout(clock))?;
                wake = machine.drain(batch, events)?;
                if wake > limit {
                    break;
                }
                clock = clock.max(wake);
            }
            Ok((clock, wake))
        });
        match turned {
            Some(Ok((clock, wake))) => {
                self.clock = clock;
                self.drained(Ok(wake));
            }
            Some(Err(error)) => self.drained(Err(error)),
            None => {}
        }
    }

    /// Expects a source of the client; gives back its handle.
    pub(crate) fn add_source(&mut self, media: MediaType, encodings: &[Encoding]) -> Option<Mid> {
        let mid = self.next_mid();
        self.step("add source", |machine| {
            let mut direct = machine.rtc.direct_api();
            direct.declare_media(mid, kind(media));
            for encoding in encodings {
                let rtx = encoding.rtx.map(|rtx| rtx.0.into());
                direct.expect_stream_rx(encoding.primary.0.into(), rtx, mid, None);
            }
            mid
        })
    }

    /// A stream towards the client; gives back its handle.
    pub(crate) fn add_stream(
        &mut self,
        media: MediaType,
        primary: Ssrc,
        rtx: Option<Ssrc>,
    ) -> Option<Mid> {
        let mid = self.next_mid();
        let rtx = rtx.filter(|_| self.has_rtx && media == MediaType::Video);
        let (packets, age) = (self.bandwidth.retransmission_packets, self.retransmission);
        let share = self.bandwidth.retransmission_share;
        self.step("add stream", |machine| {
            let mut direct = machine.rtc.direct_api();
            direct.declare_media(mid, kind(media));
            let stream =
                direct.declare_stream_tx(primary.0.into(), rtx.map(|rtx| rtx.0.into()), mid, None);
            if media == MediaType::Video {
                stream.set_rtx_cache(packets, age, Some(share));
            } else {
                stream.set_rtx_cache(0, Duration::ZERO, None);
            }
            mid
        })
    }

    /// Bytes of a stream that wait for the pacer.
    pub(crate) fn waiting(&mut self, ssrc: Ssrc) -> usize {
        let waiting = self.step("waiting", |machine| {
            let mut direct = machine.rtc.direct_api();
            let stream = direct.stream_tx(&ssrc.0.into())?;
            Some(stream.queue_info()?.byte_size())
        });
        waiting.flatten().unwrap_or(0)
    }

    /// What was sent in a video stream is not sent again.
    pub(crate) fn forget_sent(&mut self, ssrc: Ssrc) {
        let (packets, age) = (self.bandwidth.retransmission_packets, self.retransmission);
        let share = self.bandwidth.retransmission_share;
        self.step("forget sent", |machine| {
            if let Some(stream) = machine.rtc.direct_api().stream_tx(&ssrc.0.into()) {
                stream.set_rtx_cache(packets, age, Some(share));
            }
        });
    }

    /// Forgets a source or a stream.
    pub(crate) fn remove(&mut self, mid: Mid) {
        self.step("remove", |machine| {
            machine.rtc.direct_api().remove_media(mid)
        });
    }

    /// Queues a packet; it leaves with the next [`Endpoint::turn`].
    /// What is not kept for retransmission (`can_resend`) must not be asked for either: str0m
    /// would want to send it again by an SSRC that the stream does not have.
    pub(crate) fn write(
        &mut self,
        media: MediaType,
        ssrc: Ssrc,
        can_resend: bool,
        packet: Outgoing,
    ) {
        let is_nackable = can_resend && media == MediaType::Video && self.has_rtx;
        self.media_at = self.clock;
        self.step("write", |machine| {
            let mut direct = machine.rtc.direct_api();
            let Some(stream) = direct.stream_tx(&ssrc.0.into()) else {
                return;
            };
            let mut write = RtpWrite::new(
                packet.payload_type.into(),
                SeqNo::from(packet.number),
                packet.timestamp,
                packet.arrived,
                packet.payload,
            )
            .marker(packet.is_marked)
            .nackable(is_nackable);
            let mut values = ExtensionValues::default();
            if let Some((level, is_voice)) = packet.levels {
                values.audio_level = Some(level);
                values.voice_activity = is_voice;
            }
            if let Some(descriptor) = packet.descriptor {
                descriptor.put(&mut values);
            }
            write = write.ext_vals(values);
            if let Some(patch) = packet.patch {
                write = write.vp8_patch(patch);
            }
            stream.write_rtp(write);
        });
    }

    /// Asks the client for a key frame.
    pub(crate) fn request_keyframe(&mut self, ssrc: Ssrc) {
        self.step("request key frame", |machine| {
            if let Some(stream) = machine.rtc.direct_api().stream_rx(&ssrc.0.into()) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        });
    }

    /// Says how much is wanted, and how much is to be kept up with padding meanwhile.
    pub(crate) fn set_bitrates(&mut self, least_bps: u64, desired_bps: u64) {
        self.wanted = (least_bps, desired_bps);
        if !self.bandwidth.is_estimated || self.is_resting {
            return;
        }
        self.step("bitrates", |machine| {
            let (least, desired) = (Bitrate::bps(least_bps), Bitrate::bps(desired_bps));
            machine.rtc.bwe().set_bitrate(least, desired);
        });
    }

    /// No video is sent to the client at present: str0m would keep up 50 kbit/s with padding for
    /// ever, unless it believes that nothing can be sent. What it has learnt meanwhile from audio
    /// is taken back by the next call.
    pub(crate) fn rest(&mut self) {
        if !self.bandwidth.is_estimated {
            return;
        }
        self.is_resting = true;
        self.step("rest", |machine| {
            machine.rtc.bwe().set_bitrate(Bitrate::ZERO, Bitrate::ZERO);
            machine.rtc.bwe().reset(Bitrate::ZERO);
        });
    }

    /// The link has become narrow: estimation begins anew with this.
    pub(crate) fn begin_estimation_with(&mut self, bps: u64) {
        if self.bandwidth.is_estimated && !self.is_resting {
            self.step("narrow link", |machine| {
                machine.rtc.bwe().reset(Bitrate::bps(bps));
            });
        }
    }

    /// Whether it rests.
    pub(crate) fn is_resting(&self) -> bool {
        self.is_resting
    }

    /// There is video to be sent again: estimation begins anew, with what was known last.
    pub(crate) fn wake_up(&mut self, known_bps: Option<u64>) {
        if !std::mem::take(&mut self.is_resting) {
            return;
        }
        let initial = self.bandwidth.initial_bps;
        let begin = known_bps.map_or(initial, |known| known.min(initial));
        self.step("wake up", |machine| {
            machine.rtc.bwe().reset(Bitrate::bps(begin))
        });
        let (least, desired) = self.wanted;
        self.set_bitrates(least, desired);
    }

    /// Whether the client has opened its data channel.
    pub(crate) fn has_data_channel(&self) -> bool {
        self.machine
            .as_ref()
            .is_some_and(|machine| machine.data_channel.is_some())
    }

    /// Writes a text into the data channel; false if there is no room now.
    pub(crate) fn write_text(&mut self, text: &str) -> bool {
        let written = self.step("write text", |machine| {
            let mut channel = machine.rtc.channel(machine.data_channel?)?;
            channel.set_buffered_amount_low_threshold(CHANNEL_LOW);
            channel.write(false, text.as_bytes()).ok()
        });
        matches!(written, Some(Some(true)))
    }

    /// Says goodbye; nothing can be done with it afterwards.
    pub(crate) fn close(&mut self, batch: &mut Batch) {
        let mut events = Vec::new();
        self.step("close", |machine| {
            if machine.rtc.close().is_ok() {
                // What is left to say is said in one drain; errors no longer matter.
                let _ = machine.drain(batch, &mut events);
            }
        });
        self.discard();
    }

    #[cfg(test)]
    pub(crate) fn panic_on_purpose(&mut self) {
        self.step("test", |_| panic!("on purpose"));
    }

    fn next_mid(&mut self) -> Mid {
        self.mids += 1;
        Mid::from(format!("m{}", self.mids).as_str())
    }

    fn step<T>(&mut self, what: &'static str, f: impl FnOnce(&mut Machine) -> T) -> Option<T> {
        let machine = self.machine.as_mut()?;
        match catch_unwind(AssertUnwindSafe(|| f(machine))) {
            Ok(result) => Some(result),
            Err(_) => {
                self.break_down(what);
                None
            }
        }
    }

    /// After each drain: when to wake, or what went wrong.
    fn drained(&mut self, result: Result<Instant, RtcError>) {
        match result {
            Ok(wake) => self.wake = wake,
            Err(error) => self.note(&error),
        }
    }

    /// str0m reports what a peer sent wrong and what ends the transport in the same way.
    fn note(&mut self, error: &RtcError) {
        debug!(%error, "an endpoint's transport reports an error");
        self.errors += 1;
        let is_alive = self
            .machine
            .as_ref()
            .is_some_and(|machine| machine.rtc.is_alive());
        if is_alive && self.errors < ERRORS_MAX {
            // Polled again soon, but not at once: the error may be there again.
            self.wake = self.clock + RETRY;
            return;
        }
        let reason = if self.is_connected() {
            DisconnectReason::IceFailed
        } else {
            DisconnectReason::DtlsFailed
        };
        self.fail(reason);
    }

    /// A panic inside: our mistake, or the library's.
    fn break_down(&mut self, what: &'static str) {
        error!(what, "an endpoint's transport panicked and is dropped");
        self.fail(DisconnectReason::Internal);
    }

    fn fail(&mut self, reason: DisconnectReason) {
        self.fault.get_or_insert(reason);
        self.discard();
    }

    fn discard(&mut self) {
        let machine = self.machine.take();
        // Dropping a machine that panicked may panic again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(machine)));
    }
}

impl Machine {
    fn add_remote(&mut self, address: SocketAddr) {
        if let Ok(candidate) = Candidate::host(address, "udp") {
            self.rtc.add_remote_candidate(candidate);
        }
    }

    /// Empties the machine; when it wants to be woken.
    fn drain(
        &mut self,
        batch: &mut Batch,
        events: &mut Vec<EndpointEvent>,
    ) -> Result<Instant, RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(wake) => return Ok(wake),
                Output::Transmit(transmit) => {
                    if is_media(&transmit.contents) {
                        self.destination = Some(transmit.destination);
                    }
                    let contents = &transmit.contents;
                    batch.push(transmit.source, transmit.destination, contents);
                }
                Output::Event(event) => events.extend(self.translate(event)),
            }
        }
    }

    fn translate(&mut self, event: Event) -> Option<EndpointEvent> {
        match event {
            Event::RtpPacket(packet) => Some(EndpointEvent::Rtp(packet)),
            Event::Connected => {
                self.is_connected = true;
                Some(EndpointEvent::Connected)
            }
            Event::KeyframeRequest(request) => Some(EndpointEvent::KeyframeWanted(request.mid)),
            Event::EgressBitrateEstimate(
                BweKind::Twcc { estimate, .. } | BweKind::Remb { estimate, .. },
            ) => Some(EndpointEvent::Estimate(estimate.as_u64())),
            Event::ChannelOpen(id, label) => {
                let channel = self.rtc.channel(id);
                let is_protocol = channel
                    .as_ref()
                    .and_then(|channel| channel.config())
                    .is_some_and(|config| config.protocol == CHANNEL_PROTOCOL);
                if self.data_channel.is_some() || !(is_protocol || label == CHANNEL_LABEL) {
                    debug!("a further data channel is not used");
                    return None;
                }
                self.data_channel = Some(id);
                Some(EndpointEvent::ChannelOpen)
            }
            Event::ChannelData(data) if self.data_channel == Some(data.id) => {
                let text = String::from_utf8(data.data).unwrap_or_default();
                Some(EndpointEvent::ChannelText(text))
            }
            Event::ChannelBufferedAmountLow(id) if self.data_channel == Some(id) => {
                Some(EndpointEvent::ChannelRoom)
            }
            Event::ChannelClose(id) if self.data_channel == Some(id) => {
                self.data_channel = None;
                Some(EndpointEvent::ChannelClosed)
            }
            Event::Closed => Some(EndpointEvent::Closed),
            Event::PeerStats(stats) => {
                self.path = Path::of(&stats);
                let pair = stats.selected_candidate_pair;
                Some(EndpointEvent::Quality(Quality {
                    loss: stats.egress_loss_fraction,
                    round_trip: stats.rtt,
                    check: pair.and_then(|pair| pair.current_round_trip_time),
                    bytes: stats.bytes_tx,
                }))
            }
            _ => None,
        }
    }
}

/// What was offered to this client.
fn rtc_config(
    config: &Config,
    certificate: &DtlsCert,
    offer: EndpointOffer,
    credentials: bridge::IceCredentials,
) -> RtcConfig {
    let mut rtc = RtcConfig::new()
        .set_rtp_mode(true)
        .clear_codecs()
        .set_extension_map(codecs::extensions(offer))
        .set_dtls_cert(certificate.clone())
        .set_stats_interval(Some(STATS))
        .set_local_ice_credentials(ice_creds(credentials));
    if config.bandwidth.is_estimated && offer.has_transport_cc {
        rtc = rtc.enable_bwe(Some(Bitrate::bps(config.bandwidth.initial_bps)));
    }
    codecs::add_to(rtc.codec_config(), offer);
    rtc
}

fn ice_creds(credentials: bridge::IceCredentials) -> IceCreds {
    IceCreds {
        ufrag: credentials.ufrag,
        pass: credentials.pwd,
    }
}

fn kind(media: MediaType) -> MediaKind {
    match media {
        MediaType::Audio => MediaKind::Audio,
        MediaType::Video => MediaKind::Video,
    }
}

const CHANNEL_LABEL: &str = "JVB data channel";
const CHANNEL_PROTOCOL: &str = "http://jitsi.org/protocols/colibri";
/// Below so many buffered bytes a data channel tells that there is room again.
const CHANNEL_LOW: usize = 16_384;
const REMOTE_CANDIDATES_MAX: usize = 20;
/// The pacer releases one packet per step.
const STEPS_MAX: usize = 256;
/// So many errors of one transport are a peer's noise; more are its end.
const ERRORS_MAX: u32 = 50;
const RETRY: Duration = Duration::from_millis(50);
/// Longer than reports and retransmissions of what was sent last take.
const QUIET: Duration = Duration::from_secs(2);
/// How often a path is looked at, to notice when it has become narrow.
const STATS: Duration = Duration::from_secs(1);
