//! ICE, DTLS and SCTP of one client: all of its transport but RTP.
//!
//! ICE is `is` (full, controlling), DTLS 1.2 is `dimpl`, SCTP is `sctp-proto`; the order in which
//! they are driven, and what a client may make them do, is here. In short:
//!
//! ```text
//!  handle_stun ──▶ ICE ──▶ path ─┐ begins
//!  handle_dtls ───────────────▶ DTLS ──▶ Connected (keys for SRTP)
//!                                │ application data
//!                                └──▶ SCTP ──▶ the one data channel
//! ```
//!
//! The bridge is the ICE-controlling side and waits for the client's SCTP association and for the
//! data channel in it. DTLS begins with the first path: until then a peer that was not asked back
//! could make us compute and answer, so what comes earlier is kept, little of it.
//!
//! Nothing here is touched per packet of media, except for the getter [`Link::path`].

mod certificate;
mod channel;
mod secure;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};
use tracing::debug;

pub use certificate::{Certificate, CertificateError, Fingerprint};
pub use channel::WriteError;
pub use secure::{Failure, KeyingMaterial};

use crate::srtp::Profile;
use channel::{Association, ChannelEvent};
use secure::{Polled, Secure};

/// ICE, DTLS and SCTP of one client.
///
/// What the world did goes in by the `handle_` methods, what we want by the others that take
/// `now`; after any of them [`Link::poll`] is called until it answers [`Output::Timeout`]. Time
/// that goes back is taken as the latest one seen. After [`Event::Closed`], [`Event::Failed`] or
/// [`Link::close`] it does nothing any more; what was left to send may still be polled.
pub struct Link {
    ice: IceAgent,
    secure: Secure,
    /// None where no data channel was offered.
    association: Option<Association>,
    phase: Phase,
    path: Option<Path>,
    /// From where signed checks came, oldest first.
    known: VecDeque<SocketAddr>,
    /// Addresses that were readmitted, oldest first, and by which number ICE knows each.
    readmitted: VecDeque<(SocketAddr, u16)>,
    readmissions: u16,
    /// DTLS that came before the path.
    early: Vec<Vec<u8>>,
    out: VecDeque<Output>,
    refused: u64,
    /// Never goes back.
    clock: Instant,
    wake: Instant,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client's half is not known.
    Waiting,
    /// Checks go on; DTLS waits for the first path.
    Checking,
    /// DTLS has begun.
    Begun,
    Over,
}

/// User name fragment and password (RFC 8445, 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub pwd: String,
}

/// What differs between transports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Only for simulations: how long DTLS waits before it sends a flight again is drawn from
    /// this seed, so that a run can be repeated. Keys stay random.
    pub dtls_timer_seed: Option<u64>,
}

/// An address at which a client can reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalAddress {
    Host(SocketAddr),
    /// As others see the host's address `base`.
    ServerReflexive {
        address: SocketAddr,
        base: SocketAddr,
    },
}

/// An address of ours as a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    pub address: LocalAddress,
    /// RFC 8445, 5.1.2.
    pub priority: u32,
}

/// The client's half of the transport.
#[derive(Clone, Debug)]
pub struct Remote {
    pub ice: IceCredentials,
    pub fingerprint: Fingerprint,
    /// The client is DTLS's client: `active` in its answer (RFC 8842).
    pub is_dtls_client: bool,
    /// Usually empty: most are learnt from the client's checks. The first 20 count.
    pub addresses: Vec<SocketAddr>,
}

/// Between which addresses everything but checks is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Ours.
    pub source: SocketAddr,
    /// The client's.
    pub destination: SocketAddr,
}

/// What a link wants.
#[derive(Debug)]
pub enum Output {
    Transmit(Transmit),
    Event(Event),
    /// Nothing before this time, unless something is put in.
    Timeout(Instant),
}

/// A datagram that is to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Vec<u8>,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// ICE and DTLS are up and the client has shown the certificate that it announced. Once.
    Connected {
        profile: Profile,
        /// Both keys and both salts (RFC 5764, 4.2), for [`crate::srtp::contexts`].
        material: KeyingMaterial,
        /// We were DTLS's client.
        is_client: bool,
    },
    /// The client is reached in this way from now on.
    Path(Path),
    /// No check is answered any more. It may come back, told by [`Event::Path`] if the path is
    /// another one.
    IceDisconnected,
    /// The client has opened the data channel.
    ChannelOpen,
    /// A message from it.
    ChannelText(String),
    /// There is room in the data channel again, after [`WriteError::NoRoom`].
    ChannelRoom,
    /// The client has closed the data channel; it may open another one.
    ChannelClosed,
    /// The client has closed the transport.
    Closed,
    /// The transport is of no use.
    Failed(Failure),
}

impl Link {
    /// A transport with our credentials that waits for the client's half.
    pub fn new(
        certificate: &Certificate,
        ours: IceCredentials,
        settings: Settings,
        now: Instant,
    ) -> Link {
        let mut ice = IceAgent::with_hmac(creds(ours), &HMAC);
        ice.set_controlling(true);
        ice.set_max_stun_rto(CHECK_INTERVAL);
        ice.set_max_stun_retransmits(CHECKS_UNANSWERED);
        Link {
            ice,
            secure: Secure::new(certificate, settings.dtls_timer_seed, now),
            association: None,
            phase: Phase::Waiting,
            path: None,
            known: VecDeque::new(),
            readmitted: VecDeque::new(),
            readmissions: 0,
            early: Vec::new(),
            out: VecDeque::new(),
            refused: 0,
            clock: now,
            wake: now + IDLE,
        }
    }

    /// Makes an address of ours known; None if it is none for ICE, or known already.
    pub fn add_local(&mut self, address: LocalAddress) -> Option<LocalCandidate> {
        let candidate = match address {
            LocalAddress::Host(address) => Candidate::host(address, "udp"),
            LocalAddress::ServerReflexive { address, base } => {
                Candidate::server_reflexive(address, base, "udp")
            }
        };
        let added = self.ice.add_local_candidate(candidate.ok()?)?;
        Some(LocalCandidate {
            address,
            priority: added.prio(),
        })
    }

    /// Takes in the client's half: checks begin, and DTLS with the first path. Only the first call
    /// counts.
    pub fn connect(&mut self, now: Instant, remote: Remote, has_data_channel: bool) {
        if self.phase != Phase::Waiting {
            return;
        }
        self.advance(now);
        self.phase = Phase::Checking;
        self.ice.set_remote_credentials(creds(remote.ice));
        self.add_remote(&remote.addresses);
        self.secure
            .expect(remote.fingerprint, !remote.is_dtls_client);
        self.association = has_data_channel.then(Association::new);
        self.drive_ice();
        self.pump();
    }

    /// Goes on with new credentials on both sides (RFC 8445, 2.4). DTLS, SCTP and their keys stay,
    /// and the path stays until a better one was found.
    pub fn restart(
        &mut self,
        now: Instant,
        ours: IceCredentials,
        theirs: IceCredentials,
        addresses: &[SocketAddr],
    ) {
        if self.phase == Phase::Over {
            return;
        }
        self.advance(now);
        self.ice.set_local_credentials(creds(ours));
        self.ice.set_remote_credentials(creds(theirs));
        self.add_remote(addresses);
        self.drive_ice();
        self.pump();
    }

    /// Gives up an address of the client. ICE would stay with it until its checks have remained
    /// without answer for some twenty seconds.
    pub fn give_up_address(&mut self, now: Instant, address: SocketAddr) {
        if self.phase == Phase::Over {
            return;
        }
        self.advance(now);
        // ICE knows it by the way it was learnt: from the client's checks, or told.
        let (ip, port) = (address.ip(), address.port());
        let learnt = format!("candidate:1 1 udp 1 {ip} {port} typ prflx");
        let candidates = [
            Candidate::from_sdp_string(&learnt),
            Candidate::host(address, "udp"),
        ];
        for candidate in candidates.iter().flatten() {
            self.ice.invalidate_candidate(candidate);
        }
        for (other, number) in &self.readmitted {
            if *other == address
                && let Ok(candidate) = readmission(address, *number)
            {
                self.ice.invalidate_candidate(&candidate);
            }
        }
        self.readmitted.retain(|(other, _)| *other != address);
        self.known.retain(|known| *known != address);
        self.drive_ice();
        self.pump();
    }

    /// The client uses an address that was given up, or that no check has come from yet. It is
    /// checked at once, and everything goes there as soon as it has answered: the latest of such
    /// addresses comes before all others.
    pub fn readmit_address(&mut self, now: Instant, address: SocketAddr) {
        if self.phase == Phase::Over {
            return;
        }
        self.advance(now);
        let number = self.readmissions;
        if let Ok(candidate) = readmission(address, number) {
            self.readmissions = number.wrapping_add(1);
            self.ice.add_remote_candidate(candidate);
            if self.readmitted.len() >= READMITTED_MAX {
                self.readmitted.pop_front();
            }
            self.readmitted.push_back((address, number));
        }
        self.drive_ice();
        self.pump();
    }

    /// Whether an address of the client has answered our checks, and not been lost since.
    pub fn has_answered(&self, address: SocketAddr) -> bool {
        self.ice.has_viable_remote_candidate(address)
    }

    /// Whether a datagram from an unknown address is this client's: a check that its credentials
    /// sign, or anything from an address that answered our check.
    pub fn accepts(&self, from: SocketAddr, data: &[u8]) -> bool {
        if self.phase == Phase::Over {
            return false;
        }
        match StunMessage::parse(data) {
            Ok(message) => self.ice.accepts_message(&message),
            Err(_) => self.is_known(from),
        }
    }

    /// Takes in a STUN message that came at our address `to`; false if it was refused: it could
    /// not be read, or was not signed by this client.
    pub fn handle_stun(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        data: &[u8],
    ) -> bool {
        if self.phase == Phase::Over {
            return true;
        }
        self.advance(now);
        let Ok(message) = StunMessage::parse(data) else {
            self.refused += 1;
            return false;
        };
        let packet = StunPacket {
            proto: Protocol::Udp,
            source: from,
            destination: to,
            message,
        };
        if !self.ice.handle_packet(self.clock, packet) {
            self.refused += 1;
            return false;
        }
        self.drive_ice();
        self.pump();
        true
    }

    /// Takes in a DTLS datagram; false if it was refused: the address has not shown by a signed
    /// check that it is the client's, or DTLS did not understand it.
    pub fn handle_dtls(&mut self, now: Instant, from: SocketAddr, data: &[u8]) -> bool {
        match self.phase {
            Phase::Over => return true,
            _ if !self.is_known(from) => {
                self.refused += 1;
                return false;
            }
            Phase::Waiting | Phase::Checking => {
                let has_room = self.early.len() < EARLY_MAX && data.len() <= EARLY_BYTES;
                if has_room {
                    self.early.push(data.to_vec());
                } else {
                    self.refused += 1;
                }
                return has_room;
            }
            Phase::Begun => {}
        }
        self.advance(now);
        let is_understood = self.secure.receive(self.clock, data);
        self.refused += u64::from(!is_understood);
        self.pump();
        is_understood
    }

    /// To be called when the time of [`Output::Timeout`] has come; does no harm before.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        if self.phase == Phase::Over || self.wake > self.clock {
            return;
        }
        self.drive_ice();
        if self.phase == Phase::Begun {
            self.secure.handle_timeout(self.clock);
            if let Some(association) = &mut self.association {
                association.handle_timeout(self.clock);
            }
        }
        self.pump();
    }

    /// What it wants next. When nothing is due this costs a look at an empty queue.
    pub fn poll(&mut self) -> Output {
        self.out.pop_front().unwrap_or(Output::Timeout(self.wake))
    }

    /// When it wants to be driven again: at once while there is something to poll.
    pub fn wake(&self) -> Instant {
        if self.out.is_empty() {
            self.wake
        } else {
            self.clock
        }
    }

    /// By which way the client is reached; None until a check was answered.
    pub fn path(&self) -> Option<Path> {
        self.path
    }

    /// Media of the client could be read, so it has what DTLS ended with. Needed once.
    pub fn note_media(&mut self) {
        self.secure.note_heard();
    }

    /// How long the last answered check on the path took.
    pub fn round_trip(&self) -> Option<Duration> {
        self.ice.nominated_pair_rtt()
    }

    /// Whether [`Event::Connected`] was told.
    pub fn is_connected(&self) -> bool {
        self.secure.is_connected()
    }

    /// Whether the client has a data channel open.
    pub fn has_channel(&self) -> bool {
        self.association
            .as_ref()
            .is_some_and(Association::has_channel)
    }

    /// Datagrams and messages that were dropped because nobody could read or believe them.
    pub fn refused(&self) -> u64 {
        self.refused + self.association.as_ref().map_or(0, Association::refused)
    }

    /// Writes a text into the data channel.
    ///
    /// # Errors
    ///
    /// [`WriteError::NoRoom`] is answered by [`Event::ChannelRoom`] later; the others are final.
    pub fn write_text(&mut self, now: Instant, text: &str) -> Result<(), WriteError> {
        if self.phase != Phase::Begun {
            return Err(WriteError::NotOpen);
        }
        self.advance(now);
        let association = self.association.as_mut().ok_or(WriteError::NotOpen)?;
        association.write_text(text)?;
        self.pump();
        Ok(())
    }

    /// Says goodbye; what is left to say can be polled.
    pub fn close(&mut self, now: Instant) {
        if self.phase == Phase::Over {
            return;
        }
        self.advance(now);
        if let Some(association) = &mut self.association {
            association.shut_down();
        }
        self.send_association();
        self.finish();
    }

    fn advance(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
    }

    fn add_remote(&mut self, addresses: &[SocketAddr]) {
        for address in addresses.iter().take(REMOTE_CANDIDATES_MAX) {
            if let Ok(candidate) = Candidate::host(*address, "udp") {
                self.ice.add_remote_candidate(candidate);
            }
        }
    }

    fn is_known(&self, from: SocketAddr) -> bool {
        self.path.is_some_and(|path| path.destination == from)
            || self.known.contains(&from)
            || self.ice.has_viable_remote_candidate(from)
    }

    /// ICE answers one of the checks that waited for the credentials at a time.
    fn drive_ice(&mut self) {
        for _ in 0..ICE_STEPS_MAX {
            self.ice.handle_timeout(self.clock);
            let due = self.ice.poll_timeout();
            if due.is_none_or(|due| due > self.clock) {
                return;
            }
        }
    }

    /// Takes everything out of the three machines.
    fn pump(&mut self) {
        self.take_ice();
        if self.phase == Phase::Checking && self.path.is_some() {
            self.phase = Phase::Begun;
            self.secure.begin(self.clock);
            for datagram in std::mem::take(&mut self.early) {
                let is_understood = self.secure.receive(self.clock, &datagram);
                self.refused += u64::from(!is_understood);
            }
        }
        if self.phase == Phase::Begun {
            self.take_secure();
        }
        if self.phase == Phase::Begun {
            self.take_association();
        }
        self.schedule();
    }

    fn take_ice(&mut self) {
        while let Some(event) = self.ice.poll_event() {
            match event {
                IceAgentEvent::NominatedSend {
                    source,
                    destination,
                    ..
                } => {
                    let path = Path {
                        source,
                        destination,
                    };
                    if self.path.replace(path) != Some(path) {
                        self.out.push_back(Output::Event(Event::Path(path)));
                    }
                }
                IceAgentEvent::DiscoveredRecv { source, .. } => {
                    if self.known.len() >= KNOWN_MAX {
                        self.known.pop_front();
                    }
                    self.known.push_back(source);
                }
                IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                    self.out.push_back(Output::Event(Event::IceDisconnected));
                }
                IceAgentEvent::IceConnectionStateChange(_) | IceAgentEvent::IceRestart(_) => {}
            }
        }
        while let Some(transmit) = self.ice.poll_transmit() {
            self.out.push_back(Output::Transmit(Transmit {
                source: transmit.source,
                destination: transmit.destination,
                contents: transmit.contents.into(),
            }));
        }
    }

    fn take_secure(&mut self) {
        while let Some(polled) = self.secure.poll(self.clock) {
            match polled {
                Polled::Packet(contents) => self.send(contents),
                Polled::Data(data) => {
                    if let Some(association) = &mut self.association {
                        association.handle(self.clock, data);
                    }
                }
                Polled::Connected {
                    profile,
                    material,
                    is_client,
                } => self.out.push_back(Output::Event(Event::Connected {
                    profile,
                    material,
                    is_client,
                })),
                Polled::Closed => {
                    self.out.push_back(Output::Event(Event::Closed));
                    self.finish();
                    return;
                }
                Polled::Failed(failure) => {
                    debug!(%failure, "a client's DTLS failed");
                    self.out.push_back(Output::Event(Event::Failed(failure)));
                    self.phase = Phase::Over;
                    return;
                }
            }
        }
    }

    fn take_association(&mut self) {
        self.send_association();
        while let Some(event) = self.association.as_mut().and_then(Association::poll) {
            let event = match event {
                ChannelEvent::Open => Event::ChannelOpen,
                ChannelEvent::Text(text) => Event::ChannelText(text),
                ChannelEvent::Room => Event::ChannelRoom,
                ChannelEvent::Closed => Event::ChannelClosed,
                ChannelEvent::Lost => {
                    self.out.push_back(Output::Event(Event::Closed));
                    self.send_association();
                    self.finish();
                    return;
                }
            };
            self.out.push_back(Output::Event(event));
            // Opening is answered, and reading makes room at the peer.
            self.send_association();
        }
    }

    /// DTLS has a short queue of its own: each packet is taken out of it at once.
    fn send_association(&mut self) {
        let Some(association) = &mut self.association else {
            return;
        };
        if !self.secure.is_connected() {
            return;
        }
        let mut packets = Vec::new();
        while association.poll_transmit(self.clock, &mut packets) {}
        for packet in packets {
            if !self.secure.send(&packet) {
                return;
            }
            while let Some(contents) = self.secure.poll_packet() {
                self.send(contents);
            }
        }
    }

    fn send(&mut self, contents: Vec<u8>) {
        let Some(path) = self.path else {
            return;
        };
        self.out.push_back(Output::Transmit(Transmit {
            source: path.source,
            destination: path.destination,
            contents,
        }));
    }

    /// Sends the farewell of DTLS and stops.
    fn finish(&mut self) {
        self.secure.close();
        while let Some(contents) = self.secure.poll_packet() {
            self.send(contents);
        }
        self.phase = Phase::Over;
        self.schedule();
    }

    fn schedule(&mut self) {
        let idle = self.clock + IDLE;
        self.wake = match self.phase {
            Phase::Waiting | Phase::Over => idle,
            Phase::Checking | Phase::Begun => {
                let ice = self.ice.poll_timeout();
                let secure = (self.phase == Phase::Begun).then(|| self.secure.wake());
                let association = self.association.as_ref().and_then(Association::wake);
                let wakes = [ice, secure, association];
                let wake = wakes.into_iter().flatten().min().unwrap_or(idle);
                wake.clamp(self.clock + STEP, idle)
            }
        };
    }
}

fn creds(credentials: IceCredentials) -> IceCreds {
    IceCreds {
        ufrag: credentials.ufrag,
        pass: credentials.pwd,
    }
}

/// An address that is readmitted, as ICE is to know it. A candidate that ICE was told to drop is
/// in its way for ever, so that each readmission makes another one, which differs by its number.
fn readmission(address: SocketAddr, number: u16) -> Result<Candidate, is::IceError> {
    let (ip, port) = (address.ip(), address.port());
    let base = if ip.is_ipv4() { "0.0.0.0" } else { "::" };
    let priority = READMITTED_PRIORITY + u32::from(number);
    Candidate::from_sdp_string(&format!(
        "candidate:1 1 udp {priority} {ip} {port} typ srflx raddr {base} rport {number}"
    ))
}

/// STUN's message integrity by the library that everything else is encrypted with.
#[derive(Debug)]
struct Hmac;

static HMAC: Hmac = Hmac;

impl is::Sha1HmacProvider for Hmac {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = hmac::Context::with_key(&key);
        for payload in payloads {
            context.update(payload);
        }
        let tag = context.sign();
        let tag = <[u8; 20]>::try_from(tag.as_ref());
        tag.expect("SHA-1 has 20 bytes")
    }
}

/// How often a path that works is checked. Consent to send (RFC 7675, 5.1) wants five seconds; for
/// somebody who neither speaks nor looks, these checks are all that there is to do.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// After so many checks in vain, twenty seconds, a path is given up. Consent lasts for thirty.
const CHECKS_UNANSWERED: usize = 7;
/// The largest datagram that DTLS is to make: it passes every path of IPv6 (1280 bytes), also in
/// a tunnel or through TURN.
const MTU: usize = 1150;
/// Nobody has more addresses than this; each makes one check more for every address of ours.
const REMOTE_CANDIDATES_MAX: usize = 20;
/// Addresses of one client that are remembered from its checks. One that has fallen out is still
/// believed while it answers checks.
const KNOWN_MAX: usize = 32;
/// As many as an endpoint of the bridge remembers to have given up.
const READMITTED_MAX: usize = 64;
/// Above the host candidates of clients, whose type has 126 (RFC 8445, 5.1.2.2).
const READMITTED_PRIORITY: u32 = 127 << 24;
/// A ClientHello in fragments, sent twice, fits; what is lost is sent again.
const EARLY_MAX: usize = 8;
const EARLY_BYTES: usize = 2_048;
/// ICE keeps at most 100 checks for later.
const ICE_STEPS_MAX: usize = 128;
/// What is due is done in one go: being woken again sooner can only be a mistake.
const STEP: Duration = Duration::from_millis(1);
/// Long enough to cost nothing when there is nothing to wait for.
const IDLE: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests;
