//! DTLS 1.2 of one client: handshake, certificate, keys for SRTP, records of SCTP.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Dtls, Output, SrtpProfile};
use tracing::debug;

use super::MTU;
use super::certificate::{Certificate, Fingerprint};
use crate::srtp::Profile;

/// A session that waits for [`Secure::begin`].
pub(super) struct Secure {
    dtls: Dtls,
    /// Whose certificate it has to be.
    expected: Option<Fingerprint>,
    is_verified: bool,
    is_up: bool,
    is_connected: bool,
    failure: Option<Failure>,
    scratch: Vec<u8>,
    /// Bytes taken in during the handshake.
    received: usize,
    errors: u32,
    /// What was sent since the peer was last heard; None when the handshake is over.
    flight: Option<Vec<Vec<u8>>>,
    encore: Option<Encore>,
    wake: Instant,
}

/// Our last flight as server, once more. Nothing answers it, so DTLS sends it again only when the
/// client asks by sending its own again (RFC 6347, 4.2.4), and many clients do so after a second,
/// then after two, four and eight: on a lossy network a call waits for that. Whoever has it already
/// drops it as a replay.
struct Encore {
    flight: Vec<Vec<u8>>,
    /// How many of the flight have left, this time.
    sent: usize,
    due: Instant,
    pause: Duration,
    left: u32,
}

/// Keys and salts for SRTP in both directions, as DTLS exports them (RFC 5764, 4.2).
#[derive(Clone, PartialEq, Eq)]
pub struct KeyingMaterial(Vec<u8>);

/// Why a transport is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the certificate is not the one that was announced")]
    WrongCertificate,
    #[error("the certificate was announced by a hash that is not known: {0}")]
    UnknownHash(String),
    #[error("no certificate was shown")]
    NoCertificate,
    #[error("no profile of SRTP was agreed on")]
    NoSrtp,
    #[error("more bytes than any handshake has")]
    EndlessHandshake,
    #[error(transparent)]
    Dtls(#[from] dimpl::Error),
}

/// What a session yields.
pub(super) enum Polled {
    Packet(Vec<u8>),
    Data(Vec<u8>),
    Connected {
        profile: Profile,
        material: KeyingMaterial,
        is_client: bool,
    },
    /// The peer said goodbye.
    Closed,
    Failed(Failure),
}

impl Secure {
    pub(super) fn new(certificate: &Certificate, seed: Option<u64>, now: Instant) -> Secure {
        let config = match seed {
            None => certificate.config(),
            Some(_) => Arc::new(config(seed).expect("the certificate was made with this config")),
        };
        Secure {
            dtls: Dtls::new_12(config, certificate.own(), now),
            expected: None,
            is_verified: false,
            is_up: false,
            is_connected: false,
            failure: None,
            scratch: vec![0; SCRATCH],
            received: 0,
            errors: 0,
            flight: Some(Vec::new()),
            encore: None,
            wake: now,
        }
    }

    /// Before it begins: who the peer is, and which role is ours.
    pub(super) fn expect(&mut self, fingerprint: Fingerprint, is_client: bool) {
        self.expected = Some(fingerprint);
        self.dtls.set_active(is_client);
    }

    /// Begins: as client with its first flight, as server by listening.
    pub(super) fn begin(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    pub(super) fn wake(&self) -> Instant {
        let encore = self.encore.as_ref().map(|encore| encore.due);
        encore.map_or(self.wake, |due| due.min(self.wake))
    }

    /// The peer has the keys: what it sends can be read.
    pub(super) fn note_heard(&mut self) {
        self.encore = None;
    }

    /// False if the datagram was not understood.
    pub(super) fn receive(&mut self, now: Instant, data: &[u8]) -> bool {
        self.handle_timeout(now);
        if !self.is_up {
            self.received += data.len();
            if self.received > HANDSHAKE_MAX {
                self.failure.get_or_insert(Failure::EndlessHandshake);
                return false;
            }
            // The peer's certificate is handed out in one piece, and it panics if that does not
            // fit: it cannot be longer than all that came.
            if self.scratch.len() < self.received {
                self.scratch.resize(self.received, 0);
            }
        }
        if let Some(flight) = &mut self.flight {
            flight.clear();
        }
        let Err(error) = self.dtls.handle_packet(data) else {
            return true;
        };
        debug!(%error, "a datagram of DTLS was refused");
        self.errors += 1;
        if self.errors >= ERRORS_MAX {
            self.failure.get_or_insert(Failure::Dtls(error));
        }
        false
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.dtls.handle_timeout(now) {
            self.failure.get_or_insert(Failure::Dtls(error));
        }
    }

    /// Encrypts; false if the session cannot any more. Packets have to be taken out after each.
    pub(super) fn send(&mut self, data: &[u8]) -> bool {
        match self.dtls.send_application_data(data) {
            Ok(length) => length == data.len(),
            Err(error) => {
                debug!(%error, "DTLS does not send");
                false
            }
        }
    }

    /// Says goodbye; a handshake that is not done just ends.
    pub(super) fn close(&mut self) {
        if let Err(error) = self.dtls.close() {
            debug!(%error, "DTLS does not close");
        }
    }

    /// None when all is said; then [`Secure::wake`] is up to date.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Polled> {
        loop {
            if let Some(failure) = self.failure.clone() {
                return Some(Polled::Failed(failure));
            }
            match self.dtls.poll_output(&mut self.scratch) {
                Output::Packet(packet) => {
                    let packet = packet.to_vec();
                    if let Some(flight) = &mut self.flight {
                        flight.push(packet.clone());
                    }
                    return Some(Polled::Packet(packet));
                }
                Output::ApplicationData(data) => {
                    self.encore = None;
                    return Some(Polled::Data(data.to_vec()));
                }
                Output::CloseNotify => return Some(Polled::Closed),
                Output::BufferTooSmall { needed } => self.grow(needed),
                Output::PeerCert(certificate) => {
                    let checked = verify(self.expected.as_ref(), certificate);
                    self.is_verified = checked.is_ok();
                    self.failure = checked.err();
                }
                Output::Connected => self.is_up = true,
                Output::KeyingMaterial(material, profile) => {
                    if let Some(connected) = self.keyed(&material, profile) {
                        return Some(connected);
                    }
                }
                Output::Timeout(at) => {
                    self.wake = at;
                    if self.is_connected {
                        return self.next_of_encore(now).map(Polled::Packet);
                    }
                    if !self.is_up {
                        return None;
                    }
                    self.failure = Some(Failure::NoSrtp);
                }
                _ => {}
            }
        }
    }

    /// Only what is to be sent; for when nothing else can have come.
    pub(super) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.dtls.poll_output(&mut self.scratch) {
                Output::Packet(packet) => return Some(packet.to_vec()),
                Output::BufferTooSmall { needed } => self.grow(needed),
                Output::Timeout(at) => {
                    self.wake = at;
                    return None;
                }
                _ => {}
            }
        }
    }

    /// The handshake is over, for us.
    fn next_of_encore(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let Some(flight) = self.flight.take()
            && !self.dtls.is_active()
        {
            self.encore = Some(Encore {
                flight,
                sent: 0,
                due: now + FLIGHT_START,
                pause: FLIGHT_START,
                left: ENCORES,
            });
        }
        let encore = self.encore.as_mut().filter(|one| one.due <= now)?;
        if let Some(packet) = encore.flight.get(encore.sent) {
            encore.sent += 1;
            return Some(packet.clone());
        }
        encore.left -= 1;
        encore.pause *= 2;
        (encore.sent, encore.due) = (0, now + encore.pause);
        if encore.left == 0 {
            self.encore = None;
        }
        None
    }

    fn grow(&mut self, needed: usize) {
        let length = needed.max(self.scratch.len() + 1);
        self.scratch.resize(length, 0);
    }

    /// The keys come right after the handshake's end.
    fn keyed(&mut self, material: &[u8], profile: SrtpProfile) -> Option<Polled> {
        let profile = match profile {
            SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
            SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
            SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmHmacSha1_80,
            _ => return None,
        };
        if !self.is_verified {
            self.failure = Some(Failure::NoCertificate);
            return None;
        }
        self.is_connected = true;
        self.scratch = vec![0; SCRATCH];
        Some(Polled::Connected {
            profile,
            material: KeyingMaterial(material.to_vec()),
            is_client: self.dtls.is_active(),
        })
    }
}

impl KeyingMaterial {
    /// Client's key, server's key, client's salt, server's salt.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyingMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyingMaterial(..)")
    }
}

/// How DTLS is spoken here.
pub(super) fn config(seed: Option<u64>) -> Result<dimpl::Config, dimpl::Error> {
    let mut config = dimpl::Config::builder()
        .mtu(MTU)
        // ICE has shown already that the peer is where it says.
        .use_server_cookie(false)
        .flight_start_rto(FLIGHT_START)
        .flight_retries(FLIGHT_RETRIES)
        .handshake_timeout(HANDSHAKE);
    if let Some(seed) = seed {
        config = config.dangerously_set_rng_seed(seed);
    }
    config.build()
}

fn verify(expected: Option<&Fingerprint>, certificate: &[u8]) -> Result<(), Failure> {
    let expected = expected.ok_or(Failure::WrongCertificate)?;
    match expected.is_of(certificate) {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::WrongCertificate),
        None => Err(Failure::UnknownHash(expected.hash.clone())),
    }
}

/// Larger than any datagram of a usual network.
const SCRATCH: usize = 2_048;
/// What a peer may send until the handshake is done: several certificates of the largest kind,
/// sent again many times.
const HANDSHAKE_MAX: usize = 65_536;
/// So many datagrams that were not understood are a network's noise; more are an end.
const ERRORS_MAX: u32 = 50;
/// How long a flight is waited for at first; doubled each time. RFC 6347 (4.2.4.1) says a second,
/// of networks of which nothing is known; here ICE has been answered, and a call waits.
const FLIGHT_START: Duration = Duration::from_millis(250);
/// The last one is sent after 16 seconds, and answers to what the peer sends twice count too.
const FLIGHT_RETRIES: usize = 7;
/// After a quarter, three quarters and seven quarters of a second, and after 3.75 s.
const ENCORES: u32 = 4;
/// Nobody waits longer for a call.
const HANDSHAKE: Duration = Duration::from_secs(40);
