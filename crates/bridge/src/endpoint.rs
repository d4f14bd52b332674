//! One client's transport as a conference uses it.
//!
//! Each step is caught: a transport that panics is dropped and never touched again, and only its
//! own client is lost.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tertulia_model::bridge::{self, DisconnectReason, EndpointOffer, RemoteTransport};
use tertulia_model::{Encoding, MediaType, Ssrc};
use tertulia_transport::batch::Batch;
use tertulia_transport::link::{
    Certificate, Failure, Fingerprint, IceCredentials, LocalAddress, LocalCandidate, Remote,
};
use tertulia_transport::receive::Expected;
use tertulia_transport::send::{Keep, NewStream, NtpClock, Outgoing, StreamKey};
use tertulia_transport::session::{Event, PathReport, Settings, Transport};
use tertulia_transport::{bandwidth, link, receive, send};
use tracing::{debug, error};

use crate::codecs;
use crate::config::Config;

/// A client's transport.
pub(crate) struct Endpoint {
    /// None once it failed.
    transport: Option<Box<Transport>>,
    /// Never goes back.
    clock: Instant,
    wake: Instant,
    fault: Option<DisconnectReason>,
    has_rtx: bool,
    is_estimated: bool,
    /// Nothing is sent to the client that bandwidth matters for.
    is_resting: bool,
    /// When media was last sent to it or came from it.
    media_at: Instant,
    report: PathReport,
}

impl Endpoint {
    /// A transport with our credentials that waits for the client's. Its reports come from
    /// `reporter`.
    pub(crate) fn new(
        config: &Config,
        certificate: &Certificate,
        offer: EndpointOffer,
        reporter: Ssrc,
        credentials: bridge::IceCredentials,
        clock: NtpClock,
        now: Instant,
    ) -> Endpoint {
        let mut endpoint = Endpoint {
            transport: None,
            clock: now,
            wake: now,
            fault: None,
            has_rtx: offer.has_rtx,
            is_estimated: config.bandwidth.is_estimated && offer.has_transport_cc,
            is_resting: false,
            media_at: now,
            report: PathReport::default(),
        };
        let settings = settings(config, offer, reporter, clock);
        let ours = credentials_of(credentials);
        let build = || Box::new(Transport::new(certificate, ours, settings, now));
        match catch_unwind(AssertUnwindSafe(build)) {
            Ok(transport) => endpoint.transport = Some(transport),
            Err(_) => endpoint.break_down("building"),
        }
        endpoint
    }

    /// Makes the addresses known at which the client can reach us; gives them back as candidates.
    pub(crate) fn add_addresses(
        &mut self,
        config: &Config,
        is_loopback: bool,
    ) -> Vec<bridge::Candidate> {
        let mut addresses = Vec::new();
        for local in &config.addresses {
            addresses.push(LocalAddress::Host(local.address));
            let public = local.public.filter(|public| *public != local.address);
            addresses.extend(public.map(|public| LocalAddress::ServerReflexive {
                address: public,
                base: local.address,
            }));
        }
        if is_loopback {
            addresses.extend(config.loopback.iter().copied().map(LocalAddress::Host));
        }
        let added = self.step("candidates", |transport| {
            let added = addresses.into_iter();
            let added = added.filter_map(|address| transport.add_local(address));
            added.map(candidate).collect()
        });
        added.unwrap_or_default()
    }

    /// Takes in the client's half: checks and the DTLS handshake begin.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        remote: RemoteTransport,
        has_data_channel: bool,
    ) {
        let remote = Remote {
            ice: credentials_of(remote.ice),
            fingerprint: Fingerprint {
                hash: remote.fingerprint.hash,
                bytes: remote.fingerprint.bytes,
            },
            is_dtls_client: remote.is_active,
            addresses: remote.candidates,
        };
        self.step("connect", |transport| {
            transport.connect(now, remote, has_data_channel);
        });
    }

    /// Goes on with new credentials on both sides (RFC 8445, 2.4). DTLS and SRTP stay, and media
    /// goes where it went until a new path has been found.
    pub(crate) fn reconnect(
        &mut self,
        now: Instant,
        ours: bridge::IceCredentials,
        theirs: bridge::IceCredentials,
        addresses: &[SocketAddr],
    ) {
        let (ours, theirs) = (credentials_of(ours), credentials_of(theirs));
        self.step("reconnect", |transport| {
            transport.restart(now, ours, theirs, addresses);
        });
    }

    /// Gives up an address of the client. ICE would stay with it until its checks have remained
    /// without answer for some twenty seconds.
    pub(crate) fn give_up_address(&mut self, now: Instant, address: SocketAddr) {
        self.step("give up address", |transport| {
            transport.give_up_address(now, address);
        });
    }

    /// The client uses an address that was given up, or that no check has come from yet.
    pub(crate) fn readmit_address(&mut self, now: Instant, address: SocketAddr) {
        self.step("readmit address", |transport| {
            transport.readmit_address(now, address);
        });
    }

    /// Whether an address of the client has answered our checks.
    pub(crate) fn has_answered(&self, address: SocketAddr) -> bool {
        let transport = self.transport.as_ref();
        transport.is_some_and(|transport| transport.has_answered(address))
    }

    /// Whether a datagram from an unknown address is new media of this client, or a new report.
    pub(crate) fn believes(&mut self, data: &[u8]) -> bool {
        let believed = self.step("media", |transport| transport.believes(data));
        believed.unwrap_or(false)
    }

    /// Whether ICE and DTLS have been up.
    pub(crate) fn is_connected(&self) -> bool {
        self.transport
            .as_ref()
            .is_some_and(|transport| transport.is_connected())
    }

    /// Where media goes.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        let path = self.transport.as_ref()?.path()?;
        Some(path.destination)
    }

    /// How the way to the client did when it was last looked at.
    pub(crate) fn report(&self) -> PathReport {
        self.report
    }

    /// Why it died; told once.
    pub(crate) fn take_fault(&mut self) -> Option<DisconnectReason> {
        self.fault.take()
    }

    /// When it wants to be driven again.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.transport.is_some().then_some(self.wake)
    }

    /// Whether no media passes and nothing is estimated: what it wants to be woken for then can
    /// wait.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        let is_estimating = self.is_estimated && !self.is_resting;
        self.is_connected()
            && !is_estimating
            && now.saturating_duration_since(self.media_at) >= QUIET
    }

    /// Whether a connectivity check from an unknown address is signed by this client.
    pub(crate) fn accepts(&mut self, from: SocketAddr, data: &[u8]) -> bool {
        let accepted = self.step("check", |transport| transport.accepts(from, data));
        accepted.unwrap_or(false)
    }

    /// Takes in a datagram of the client. False if nobody could read or believe it.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        addresses: (SocketAddr, SocketAddr),
        data: &[u8],
        batch: &mut Batch,
        events: &mut Vec<Event>,
    ) -> bool {
        self.clock = self.clock.max(now);
        let before = events.len();
        let received = self.step("receive", |transport| {
            let is_readable = transport.receive(now, addresses, data, batch, events);
            (is_readable, transport.wake())
        });
        let Some((is_readable, wake)) = received else {
            return true;
        };
        self.wake = wake;
        let mut new = events.iter().skip(before);
        if new.any(|event| matches!(event, Event::Packet(_))) {
            self.media_at = self.clock;
        }
        is_readable
    }

    /// After writes, and whenever [`Endpoint::wake`] has come.
    pub(crate) fn turn(&mut self, now: Instant, batch: &mut Batch, events: &mut Vec<Event>) {
        self.clock = self.clock.max(now);
        let before = events.len();
        let turned = self.step("turn", |transport| {
            transport.turn(now, batch, events);
            transport.wake()
        });
        if let Some(wake) = turned {
            self.wake = wake;
        }
        for event in events.iter().skip(before) {
            if let Event::Report(report) = event {
                self.report = *report;
            }
        }
    }

    /// Expects a source of the client.
    pub(crate) fn add_source(&mut self, media: MediaType, encodings: &[Encoding]) {
        let has_rtx = self.has_rtx;
        self.step("add source", |transport| {
            for encoding in encodings {
                transport.expect(Expected {
                    ssrc: encoding.primary.0,
                    rtx: encoding.rtx.map(|rtx| rtx.0).filter(|_| has_rtx),
                    clock_rate: clock_rate(media),
                    is_nackable: media == MediaType::Video,
                });
            }
        });
    }

    /// Expects it no more.
    pub(crate) fn remove_source(&mut self, encodings: &[Encoding]) {
        self.step("remove source", |transport| {
            for encoding in encodings {
                transport.forget(encoding.primary.0);
            }
        });
    }

    /// A stream towards the client; gives back its handle.
    pub(crate) fn add_stream(
        &mut self,
        media: MediaType,
        primary: Ssrc,
        rtx: Option<Ssrc>,
    ) -> Option<StreamKey> {
        let rtx = rtx.filter(|_| self.has_rtx && media == MediaType::Video);
        let added = self.step("add stream", |transport| {
            transport.add_stream(NewStream {
                ssrc: primary.0,
                rtx: rtx.map(|rtx| rtx.0),
                clock_rate: clock_rate(media),
                is_kept: rtx.is_some(),
            })
        });
        added.flatten()
    }

    /// Forgets a stream, and what of it waits for the pacer. Gives back the highest number that
    /// was sent.
    pub(crate) fn remove_stream(&mut self, key: StreamKey) -> Option<u64> {
        let removed = self.step("remove stream", |transport| transport.remove_stream(key));
        removed.flatten()
    }

    /// Bytes of pictures that wait for the pacer.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let transport = self.transport.as_ref();
        transport.map_or(0, |transport| transport.waiting_bytes())
    }

    /// Queues a packet; it leaves with the next [`Endpoint::turn`], or when the pacer lets it.
    pub(crate) fn write(&mut self, media: MediaType, key: StreamKey, packet: Outgoing) {
        self.media_at = self.clock;
        self.step("write", |transport| match media {
            MediaType::Audio => transport.write_voice(key, packet),
            MediaType::Video => transport.write_picture(key, packet),
        });
    }

    /// Asks the client for a key frame.
    pub(crate) fn request_keyframe(&mut self, ssrc: Ssrc) {
        self.step("request key frame", |transport| {
            transport.request_keyframe(ssrc.0);
        });
    }

    /// Says how much would be sent if it could: the next step up, and everything.
    pub(crate) fn set_bitrates(&mut self, now: Instant, least_bps: u64, desired_bps: u64) {
        self.step("bitrates", |transport| {
            transport.set_wanted(now, least_bps, desired_bps);
        });
    }

    /// No video is sent to the client at present: nothing is probed, and what voices alone could
    /// teach is not believed.
    pub(crate) fn rest(&mut self, now: Instant) {
        if self.is_estimated {
            self.is_resting = true;
            self.step("rest", |transport| transport.set_resting(now, true));
        }
    }

    /// Whether it rests.
    pub(crate) fn is_resting(&self) -> bool {
        self.is_resting
    }

    /// There is video to be sent again: estimation goes on with what was known last.
    pub(crate) fn wake_up(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_resting) {
            self.step("wake up", |transport| transport.set_resting(now, false));
        }
    }

    /// Whether the client has opened its data channel.
    pub(crate) fn has_data_channel(&self) -> bool {
        let transport = self.transport.as_ref();
        transport.is_some_and(|transport| transport.has_channel())
    }

    /// Writes a text into the data channel; false if there is no room now.
    pub(crate) fn write_text(&mut self, now: Instant, text: &str) -> bool {
        let written = self.step("write text", |transport| transport.write_text(now, text));
        written == Some(true)
    }

    /// Says goodbye; nothing can be done with it afterwards.
    pub(crate) fn close(&mut self, now: Instant, batch: &mut Batch) {
        self.step("close", |transport| transport.close(now, batch));
        self.discard();
    }

    /// The transport is of no use any more.
    pub(crate) fn fail(&mut self, failure: Failure) {
        debug!(%failure, "an endpoint's transport has failed");
        self.fail_for(DisconnectReason::DtlsFailed);
    }

    #[cfg(test)]
    pub(crate) fn panic_on_purpose(&mut self) {
        self.step("test", |_| panic!("on purpose"));
    }

    fn step<T>(&mut self, what: &'static str, f: impl FnOnce(&mut Transport) -> T) -> Option<T> {
        let transport = self.transport.as_mut()?;
        match catch_unwind(AssertUnwindSafe(|| f(transport))) {
            Ok(result) => Some(result),
            Err(_) => {
                self.break_down(what);
                None
            }
        }
    }

    /// A panic inside: our mistake, or a library's.
    fn break_down(&mut self, what: &'static str) {
        error!(what, "an endpoint's transport panicked and is dropped");
        self.fail_for(DisconnectReason::Internal);
    }

    fn fail_for(&mut self, reason: DisconnectReason) {
        self.fault.get_or_insert(reason);
        self.discard();
    }

    fn discard(&mut self) {
        let transport = self.transport.take();
        // Dropping what panicked may panic again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(transport)));
    }
}

/// What was offered to this client.
fn settings(config: &Config, offer: EndpointOffer, reporter: Ssrc, clock: NtpClock) -> Settings {
    let bandwidth = &config.bandwidth;
    let types = codecs::retransmissions(offer);
    Settings {
        link: link::Settings {
            dtls_timer_seed: config.dtls_timer_seed,
        },
        extensions: codecs::extensions(offer),
        reporter: reporter.0,
        receiving: receive::Settings {
            rtx_types: types.iter().map(|(media, rtx)| (*rtx, *media)).collect(),
        },
        sending: send::Settings {
            rtx_types: types,
            keep: Keep {
                packets: bandwidth.retransmission_packets,
                bytes: bandwidth.retransmission_bytes,
                age: config.timers.retransmission,
            },
            share: bandwidth.retransmission_share,
            clock,
            cname: CNAME.to_owned(),
        },
        estimation: bandwidth.is_estimated.then_some(bandwidth::Settings {
            initial_bps: bandwidth.initial_bps,
            least_bps: bandwidth.least_bps,
            most_bps: bandwidth.most_bps,
        }),
        pacing_ahead: config.timers.pacing_ahead,
    }
}

fn credentials_of(credentials: bridge::IceCredentials) -> IceCredentials {
    IceCredentials {
        ufrag: credentials.ufrag,
        pwd: credentials.pwd,
    }
}

fn candidate(candidate: LocalCandidate) -> bridge::Candidate {
    let (address, kind) = match candidate.address {
        LocalAddress::Host(address) => (address, bridge::CandidateKind::Host),
        LocalAddress::ServerReflexive { address, base } => {
            (address, bridge::CandidateKind::ServerReflexive { base })
        }
    };
    bridge::Candidate {
        address,
        kind,
        priority: candidate.priority,
    }
}

fn clock_rate(media: MediaType) -> u32 {
    match media {
        MediaType::Audio => 48_000,
        MediaType::Video => 90_000,
    }
}

/// All streams to one client have one clock, and so one name.
const CNAME: &str = "tertulia";
/// Longer than reports and retransmissions of what was sent last take.
const QUIET: Duration = Duration::from_secs(2);
