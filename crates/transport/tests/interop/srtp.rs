//! SRTP with str0m's, in each profile that is negotiated anywhere. Two of str0m's make the same
//! choice each time; so here both ends are given the profile and the keys.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceCreds};
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, KeyingMaterial,
    ProtocolVersion, SrtpProfile,
};
use str0m::crypto::{CryptoError, CryptoProvider, from_feature_flags};
use str0m::media::MediaKind;
use str0m::net::Protocol;
use tertulia_peer::{
    ABSOLUTE_SEND_TIME, AUDIO_LEVEL, Habits, Made, OPUS, Parcel, Peer, TRANSPORT_NUMBER, VP8,
};
use tertulia_transport::datagram::DatagramKind;
use tertulia_transport::packet::{AudioLevel, ExtensionIds, Header, NewHeader, payload};
use tertulia_transport::rtcp::{self, Packet};
use tertulia_transport::srtp::{Opener, Profile, Sealer, contexts};

#[test]
fn aead_aes_256_gcm_both_ways() {
    both_ways(Profile::AeadAes256Gcm, &GCM_256);
}

#[test]
fn aead_aes_128_gcm_both_ways() {
    both_ways(Profile::AeadAes128Gcm, &GCM_128);
}

#[test]
fn aes_128_cm_hmac_sha1_80_both_ways() {
    both_ways(Profile::Aes128CmHmacSha1_80, &CM_HMAC);
}

fn both_ways(profile: Profile, preset: &'static Preset) {
    let mut pair = Pair::new(profile, preset);
    pair.peer.add_stream(THEIR_AUDIO, None, MediaKind::Audio);
    pair.peer.expect_stream(OUR_VIDEO, None, MediaKind::Video);
    pair.peer.add_stream(THEIR_VIDEO, None, MediaKind::Video);
    // From before the sequence numbers' overflow to after it.
    for number in FIRST..FIRST + PACKETS {
        let made = Made {
            payload_type: OPUS,
            number,
            timestamp: number as u32 * 960,
            is_marked: number % 7 == 0,
            payload: number.to_be_bytes().repeat(1 + number as usize % 60),
            level: Some((number as u8 & 0x7f, number % 2 == 0)),
            ..Made::default()
        };
        pair.peer.write(pair.now, THEIR_AUDIO, made);
        pair.seal(number);
        pair.step(Duration::from_millis(10));
    }
    pair.request_keyframe();
    for _ in 0..100 {
        pair.step(Duration::from_millis(50));
    }

    let heard: Vec<&Heard> = pair.heard.iter().collect();
    assert_eq!(heard.len(), PACKETS as usize);
    for (number, heard) in (FIRST..).zip(heard) {
        assert_eq!(heard.number, number);
        let expected = Header {
            payload_type: OPUS,
            is_marked: number % 7 == 0,
            number: number as u16,
            timestamp: number as u32 * 960,
            ssrc: THEIR_AUDIO,
            has_padding: false,
            length: heard.header.length,
            extensions: heard.header.extensions.clone(),
        };
        assert_eq!(heard.header, expected);
        let level = heard.header.extensions.audio_level.expect("a level");
        assert_eq!(level.decibels_below, number as u8 & 0x7f);
        assert_eq!(level.is_voice, number % 2 == 0);
        assert!(heard.header.extensions.absolute_send_time.is_some());
        let expected = number.to_be_bytes().repeat(1 + number as usize % 60);
        assert_eq!(heard.payload, expected);
    }

    let peer = &pair.peer;
    let received = peer.received.iter().map(|packet| *packet.seq_no);
    assert!(received.eq(FIRST..FIRST + PACKETS), "all, in order");
    for packet in &peer.received {
        let number = *packet.seq_no;
        assert_eq!(*packet.header.payload_type, VP8);
        assert_eq!(packet.header.timestamp, number as u32 * 3_000);
        assert_eq!(packet.header.marker, number.is_multiple_of(3));
        let values = &packet.header.ext_vals;
        assert_eq!(values.audio_level, Some(-(number as i8 & 0x7f)));
        assert_eq!(values.voice_activity, Some(number % 2 == 1));
        assert_eq!(values.transport_cc, Some(number as u16));
        assert_eq!(packet.payload[..], our_payload(number));
    }

    assert_eq!(peer.keyframes_wanted, [THEIR_VIDEO], "our RTCP is read");
    assert!(pair.reports >= 2, "its RTCP is read: {}", pair.reports);
    assert!(pair.reported > Some(65_536), "{:?}", pair.reported);
    assert!(pair.has_sender_report);
}

/// str0m, and what this crate offers without a transport around it.
struct Pair {
    now: Instant,
    peer: Peer,
    ice: IceAgent,
    sealer: Sealer,
    opener: Opener,
    heard: Vec<Heard>,
    /// What the peer has reported on us, and the highest number that one named.
    reports: usize,
    reported: Option<u32>,
    has_sender_report: bool,
}

struct Heard {
    number: u64,
    header: Header,
    payload: Vec<u8>,
}

impl Pair {
    fn new(profile: Profile, preset: &'static Preset) -> Pair {
        let now = Instant::now();
        let crypto = CryptoProvider {
            dtls_provider: preset,
            ..from_feature_flags()
        };
        let habits = Habits {
            is_dtls_server: true,
            has_no_channel: true,
            crypto: Some(Box::leak(Box::new(crypto))),
            ..Habits::default()
        };
        let mut peer = Peer::new(theirs(), habits, now);
        let mut ice = IceAgent::with_hmac(IceCreds::new(), from_feature_flags().sha1_hmac_provider);
        ice.set_controlling(true);
        ice.add_local_candidate(Candidate::host(ours(), "udp").unwrap());
        ice.add_remote_candidate(Candidate::host(theirs(), "udp").unwrap());
        let (ufrag, pass) = peer.credentials();
        ice.set_remote_credentials(IceCreds { ufrag, pass });
        let creds = ice.local_credentials().clone();
        let hash = from_feature_flags().sha256_provider.sha256(CERTIFICATE);
        let fingerprint = ("sha-256".to_owned(), hash.to_vec());
        peer.connect((creds.ufrag, creds.pass), fingerprint, &[ours()]);

        let material: Vec<u8> = preset.material();
        let (sealer, opener) = contexts(profile, &material, true).unwrap();
        let mut pair = Pair {
            now,
            peer,
            ice,
            sealer,
            opener,
            heard: Vec::new(),
            reports: 0,
            reported: None,
            has_sender_report: false,
        };
        for _ in 0..100 {
            pair.step(Duration::from_millis(10));
        }
        assert!(pair.peer.is_connected);
        pair
    }

    fn step(&mut self, time: Duration) {
        let now = self.now;
        self.peer.drive(now).unwrap();
        self.ice.handle_timeout(now);
        while let Some(transmit) = self.ice.poll_transmit() {
            self.send(transmit.contents.into());
        }
        while self.ice.poll_event().is_some() {}
        for parcel in std::mem::take(&mut self.peer.outbox) {
            self.take(parcel);
        }
        self.now = now + time;
    }

    fn send(&mut self, data: Vec<u8>) {
        let way = (ours(), theirs());
        self.peer.receive(self.now, way, &data).unwrap();
    }

    /// A datagram of the peer.
    fn take(&mut self, parcel: Parcel) {
        let mut data = parcel.data;
        if data[0] < 4 {
            let packet = StunPacket {
                proto: Protocol::Udp,
                source: parcel.from,
                destination: parcel.to,
                message: StunMessage::parse(&data).unwrap(),
            };
            assert!(self.ice.handle_packet(self.now, packet));
        } else if DatagramKind::of(&data) == Some(DatagramKind::Rtcp) {
            self.opener.open_rtcp(&mut data).unwrap();
            for packet in rtcp::read(&data) {
                self.note(packet);
            }
        } else {
            let header = Header::read(&data, IDS).unwrap();
            let number = self.opener.open_rtp(&mut data, &header).unwrap();
            let payload = payload(&header, &data).unwrap().to_vec();
            self.heard.push(Heard {
                number,
                header,
                payload,
            });
        }
    }

    fn note(&mut self, packet: Packet<'_>) {
        let blocks = match packet {
            Packet::ReceiverReport(report) => report.blocks,
            Packet::SenderReport(report) => {
                self.has_sender_report |= report.sender == THEIR_AUDIO;
                report.blocks
            }
            _ => return,
        };
        for block in blocks.iter() {
            self.reports += 1;
            assert_eq!(block.ssrc, OUR_VIDEO);
            assert_eq!(block.lost, 0);
            self.reported = Some(block.highest_number);
        }
    }

    /// Sends one of our packets.
    fn seal(&mut self, number: u64) {
        let new = NewHeader {
            payload_type: VP8,
            is_marked: number.is_multiple_of(3),
            number: number as u16,
            timestamp: number as u32 * 3_000,
            ssrc: OUR_VIDEO,
            audio_level: Some(AudioLevel {
                decibels_below: number as u8 & 0x7f,
                is_voice: number % 2 == 1,
            }),
            absolute_send_time: Some(number as u32),
            transport_number: Some(number as u16),
            ..NewHeader::default()
        };
        // Behind something else, as in a batch.
        let mut arena = b"before".to_vec();
        let start = arena.len();
        let header = new.write(IDS, &mut arena);
        arena.extend_from_slice(&our_payload(number));
        self.sealer
            .seal_rtp(&mut arena, start, header, OUR_VIDEO, number)
            .unwrap();
        self.send(arena.split_off(start));
        assert_eq!(arena, b"before");
    }

    /// Asks the peer for a key frame.
    fn request_keyframe(&mut self) {
        let mut arena = b"before".to_vec();
        let start = arena.len();
        rtcp::write_receiver_report(&mut arena, OUR_VIDEO, &[]);
        rtcp::write_pli(&mut arena, OUR_VIDEO, THEIR_VIDEO);
        self.sealer.seal_rtcp(&mut arena, start).unwrap();
        self.send(arena.split_off(start));
        assert_eq!(arena, b"before");
    }
}

fn our_payload(number: u64) -> Vec<u8> {
    // A VP8 descriptor of one byte, then anything.
    let mut payload = vec![0x10];
    payload.extend(number.to_le_bytes().repeat(1 + number as usize % 140));
    payload
}

fn ours() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 10_000))
}

fn theirs() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 4_000))
}

/// DTLS that is done before it began, with the profile and the keys that a test wants.
#[derive(Debug)]
struct Preset(SrtpProfile);

impl Preset {
    fn material(&self) -> Vec<u8> {
        let length = match self.0 {
            SrtpProfile::AEAD_AES_256_GCM => 2 * (32 + 12),
            SrtpProfile::AEAD_AES_128_GCM => 2 * (16 + 12),
            _ => 2 * (16 + 14),
        };
        (0..length).map(|n: u8| n.wrapping_mul(37)).collect()
    }
}

impl DtlsProvider for Preset {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        _: &DtlsCert,
        now: Instant,
        _: DtlsVersion,
        _: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        Ok(Box::new(Done {
            profile: self.0,
            material: self.material(),
            told: 0,
            is_active: false,
            never: now + Duration::from_secs(1_000_000),
        }))
    }
}

struct Done {
    profile: SrtpProfile,
    material: Vec<u8>,
    told: u8,
    is_active: bool,
    never: Instant,
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done(..)")
    }
}

impl DtlsInstance for Done {
    fn set_active(&mut self, is_active: bool) {
        self.is_active = is_active;
    }

    fn handle_packet(&mut self, _: &[u8]) -> Result<(), DtlsImplError> {
        panic!("nobody sends DTLS")
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.told = self.told.saturating_add(1);
        match self.told {
            1 => {
                let certificate = &mut buffer[..CERTIFICATE.len()];
                certificate.copy_from_slice(CERTIFICATE);
                DtlsOutput::PeerCert(certificate)
            }
            2 => DtlsOutput::KeyingMaterial(KeyingMaterial::new(&self.material), self.profile),
            3 => DtlsOutput::Connected,
            _ => DtlsOutput::Timeout(self.never),
        }
    }

    fn handle_timeout(&mut self, _: Instant) -> Result<(), DtlsImplError> {
        Ok(())
    }

    fn send_application_data(&mut self, _: &[u8]) -> Result<usize, DtlsImplError> {
        Ok(0)
    }

    fn is_active(&self) -> bool {
        self.is_active
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        None
    }

    fn is_closing(&self) -> bool {
        false
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        Ok(())
    }
}

static GCM_256: Preset = Preset(SrtpProfile::AEAD_AES_256_GCM);
static GCM_128: Preset = Preset(SrtpProfile::AEAD_AES_128_GCM);
static CM_HMAC: Preset = Preset(SrtpProfile::AES128_CM_SHA1_80);
/// What the peer's DTLS says that our certificate is.
const CERTIFICATE: &[u8] = b"a certificate";
const IDS: ExtensionIds = ExtensionIds {
    audio_level: Some(AUDIO_LEVEL),
    absolute_send_time: Some(ABSOLUTE_SEND_TIME),
    transport_number: Some(TRANSPORT_NUMBER),
    descriptor: None,
};
const FIRST: u64 = 65_436;
const PACKETS: u64 = 350;
const THEIR_AUDIO: u32 = 21;
const THEIR_VIDEO: u32 = 22;
const OUR_VIDEO: u32 = 11;
