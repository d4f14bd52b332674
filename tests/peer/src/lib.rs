//! The other end of a transport, made by others: str0m, behaving as a browser does. For tests and
//! benches of transport and bridge; on virtual time and without sockets.

#![allow(clippy::unwrap_used, reason = "for tests alone")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::bwe::{Bitrate, BweKind};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::{CryptoProvider, Fingerprint};
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{
    Extension, ExtensionMap, ExtensionSerializer, ExtensionValues, RtpPacket, RtpWrite,
};
use str0m::stats::{MediaEgressStats, MediaIngressStats, PeerStats};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig, RtcError};

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub data: Vec<u8>,
}

/// What a peer does otherwise than a browser that was just invited.
#[derive(Clone, Copy, Default)]
pub struct Habits {
    /// It waits for the other side to begin the DTLS handshake.
    pub is_dtls_server: bool,
    pub is_controlling: bool,
    /// It has a public address and waits for checks.
    pub is_lite: bool,
    /// It opens no data channel.
    pub has_no_channel: bool,
    /// It was offered no retransmission.
    pub has_no_rtx: bool,
    /// It was offered no transport feedback.
    pub has_no_feedback: bool,
    /// It does not count what it sends and receives.
    pub has_no_statistics: bool,
    /// It estimates what it can send, beginning with so much.
    pub estimates_from: Option<u64>,
    /// Its DTLS and SRTP are these.
    pub crypto: Option<&'static CryptoProvider>,
}

/// One peer, and all that it has noticed.
pub struct Peer {
    pub rtc: Rtc,
    pub address: SocketAddr,
    habits: Habits,
    clock: Instant,
    pub wake: Instant,
    mids: BTreeMap<Mid, u32>,
    /// Datagrams that are to be sent.
    pub outbox: Vec<Parcel>,
    pub is_connected: bool,
    pub is_closed: bool,
    pub received: Vec<RtpPacket>,
    /// SSRCs of streams for which key frames were asked for.
    pub keyframes_wanted: Vec<u32>,
    pub estimates: Vec<u64>,
    pub channel: Option<ChannelId>,
    pub texts: Vec<String>,
    /// The latest statistics, by SSRC.
    pub sent: BTreeMap<u32, MediaEgressStats>,
    pub came: BTreeMap<u32, MediaIngressStats>,
    /// Of what it sent in each stream, as reports told one after the other.
    pub losses: BTreeMap<u32, Vec<f32>>,
    pub path: Option<PeerStats>,
}

/// A packet that a peer is to send.
#[derive(Clone, Default)]
pub struct Made {
    pub payload_type: u8,
    pub number: u64,
    pub timestamp: u32,
    pub is_marked: bool,
    pub payload: Vec<u8>,
    /// Decibels below the loudest, and whether it is a voice.
    pub level: Option<(u8, bool)>,
    pub descriptor: Option<Vec<u8>>,
}

/// The bytes of a dependency descriptor, as str0m hands them over.
#[derive(Debug)]
struct DescriptorBytes(Vec<u8>);

#[derive(Debug)]
struct DescriptorExtension;

impl ExtensionSerializer for DescriptorExtension {
    fn write_to(&self, buffer: &mut [u8], values: &ExtensionValues) -> usize {
        let bytes = values.user_values.get::<DescriptorBytes>();
        bytes.map_or(0, |DescriptorBytes(bytes)| {
            buffer[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        })
    }

    fn parse_value(&self, buffer: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(DescriptorBytes(buffer.to_vec()));
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        let bytes = values.user_values.get::<DescriptorBytes>();
        bytes.is_some_and(|bytes| bytes.0.len() > 16)
    }
}

/// The descriptor of a packet that a peer got.
pub fn descriptor(packet: &RtpPacket) -> Option<&[u8]> {
    let values = &packet.header.ext_vals.user_values;
    values
        .get::<DescriptorBytes>()
        .map(|bytes| bytes.0.as_slice())
}

impl Peer {
    pub fn new(address: SocketAddr, habits: Habits, now: Instant) -> Peer {
        let mut extensions = ExtensionMap::empty();
        extensions.set(AUDIO_LEVEL, Extension::AudioLevel);
        extensions.set(ABSOLUTE_SEND_TIME, Extension::AbsoluteSendTime);
        if !habits.has_no_feedback {
            extensions.set(TRANSPORT_NUMBER, Extension::TransportSequenceNumber);
        }
        let uri = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
        let descriptor = Extension::with_serializer(uri, DescriptorExtension);
        extensions.set(DESCRIPTOR, descriptor);
        let mut config = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .set_ice_lite(habits.is_lite)
            .set_extension_map(extensions)
            .set_stats_interval((!habits.has_no_statistics).then_some(STATISTICS));
        if let Some(bps) = habits.estimates_from {
            config = config.enable_bwe(Some(Bitrate::bps(bps)));
        }
        if let Some(crypto) = habits.crypto {
            config = config.set_crypto_provider(Arc::new(crypto.clone()));
        }
        let codecs = config.codec_config();
        let plain = FormatParams::default();
        for number in [OPUS, RED] {
            let hz = Frequency::FORTY_EIGHT_KHZ;
            codecs.add_config(number.into(), None, Codec::Opus, hz, Some(2), plain);
        }
        for (number, rtx, codec) in [
            (AV1, AV1_RTX, Codec::Av1),
            (VP8, VP8_RTX, Codec::Vp8),
            (H264, H264_RTX, Codec::H264),
            (VP9, VP9_RTX, Codec::Vp9),
        ] {
            let rtx = (!habits.has_no_rtx).then_some(rtx.into());
            codecs.add_config(
                number.into(),
                rtx,
                codec,
                Frequency::NINETY_KHZ,
                None,
                plain,
            );
        }
        let mut rtc = config.build(now);
        rtc.add_local_candidate(host(address));
        Peer {
            rtc,
            address,
            habits,
            clock: now,
            wake: now,
            mids: BTreeMap::new(),
            outbox: Vec::new(),
            is_connected: false,
            is_closed: false,
            received: Vec::new(),
            keyframes_wanted: Vec::new(),
            estimates: Vec::new(),
            channel: None,
            texts: Vec::new(),
            sent: BTreeMap::new(),
            came: BTreeMap::new(),
            losses: BTreeMap::new(),
            path: None,
        }
    }

    /// User fragment and password.
    pub fn credentials(&mut self) -> (String, String) {
        let credentials = self.rtc.direct_api().local_ice_credentials();
        (credentials.ufrag, credentials.pass)
    }

    /// The hash of its certificate, and that hash's name.
    pub fn fingerprint(&mut self) -> (String, Vec<u8>) {
        let direct = self.rtc.direct_api();
        let fingerprint = direct.local_dtls_fingerprint();
        (fingerprint.hash_func.clone(), fingerprint.bytes.clone())
    }

    /// Takes in the other side's half; checks and handshake begin.
    pub fn connect(
        &mut self,
        (ufrag, pass): (String, String),
        (hash_func, bytes): (String, Vec<u8>),
        addresses: &[SocketAddr],
    ) {
        for address in addresses {
            self.rtc.add_remote_candidate(host(*address));
        }
        let mut direct = self.rtc.direct_api();
        direct.set_ice_controlling(self.habits.is_controlling);
        direct.set_remote_ice_credentials(IceCreds { ufrag, pass });
        direct.set_remote_fingerprint(Fingerprint { hash_func, bytes });
        if !self.habits.has_no_feedback {
            direct.enable_twcc_feedback();
        }
        direct.start_dtls(!self.habits.is_dtls_server).unwrap();
        if !self.habits.has_no_channel {
            direct.start_sctp(true);
            direct.create_data_channel(ChannelConfig {
                label: "JVB data channel".to_owned(),
                protocol: "http://jitsi.org/protocols/colibri".to_owned(),
                ..ChannelConfig::default()
            });
        }
    }

    fn mid(&mut self, ssrc: u32) -> Mid {
        let mid = Mid::from(format!("m{}", self.mids.len()).as_str());
        self.mids.insert(mid, ssrc);
        mid
    }

    /// Gets ready to send a stream.
    pub fn add_stream(&mut self, ssrc: u32, rtx: Option<u32>, kind: MediaKind) {
        let mid = self.mid(ssrc);
        let mut direct = self.rtc.direct_api();
        direct.declare_media(mid, kind);
        let stream = direct.declare_stream_tx(ssrc.into(), rtx.map(Into::into), mid, None);
        // Browsers don't give up when much must be sent again.
        stream.set_rtx_cache(1_024, Duration::from_secs(3), Some(0.5));
    }

    /// Gets ready to receive a stream.
    pub fn expect_stream(&mut self, ssrc: u32, rtx: Option<u32>, kind: MediaKind) {
        let mid = self.mid(ssrc);
        let mut direct = self.rtc.direct_api();
        direct.declare_media(mid, kind);
        direct.expect_stream_rx(ssrc.into(), rtx.map(Into::into), mid, None);
    }

    /// Queues a packet; it leaves with the next [`Peer::drive`].
    pub fn write(&mut self, now: Instant, ssrc: u32, made: Made) {
        let mut values = ExtensionValues {
            audio_level: made.level.map(|(below, _)| -(below as i8)),
            voice_activity: made.level.map(|(_, is_voice)| is_voice),
            ..ExtensionValues::default()
        };
        if let Some(bytes) = made.descriptor {
            values.user_values.set(DescriptorBytes(bytes));
        }
        let write = RtpWrite::new(
            made.payload_type.into(),
            made.number.into(),
            made.timestamp,
            now,
            made.payload,
        )
        .marker(made.is_marked)
        .nackable(!matches!(made.payload_type, OPUS | RED))
        .ext_vals(values);
        let mut direct = self.rtc.direct_api();
        direct.stream_tx(&ssrc.into()).unwrap().write_rtp(write);
    }

    /// Takes in new credentials, from a new address on if there is one; gives back its own.
    pub fn restart_ice(
        &mut self,
        (ufrag, pass): (String, String),
        address: Option<SocketAddr>,
    ) -> (String, String) {
        if let Some(address) = address {
            let former = std::mem::replace(&mut self.address, address);
            self.rtc.add_local_candidate(host(address));
            let mut direct = self.rtc.direct_api();
            assert!(direct.invalidate_candidate(&host(former)));
        }
        let own = IceCreds::new();
        let mut direct = self.rtc.direct_api();
        direct.set_local_ice_credentials(own.clone());
        direct.set_remote_ice_credentials(IceCreds { ufrag, pass });
        (own.ufrag, own.pass)
    }

    /// Asks for a key frame, as a decoder would.
    pub fn request_keyframe(&mut self, ssrc: u32) {
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_rx(&ssrc.into()).unwrap();
        stream.request_keyframe(KeyframeRequestKind::Pli);
    }

    /// Writes into its data channel.
    pub fn say(&mut self, text: &str) {
        let channel = self.channel.expect("an open channel");
        let mut channel = self.rtc.channel(channel).unwrap();
        assert!(channel.write(false, text.as_bytes()).unwrap());
    }

    /// A datagram arrives, from one address at another.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or ends the connection.
    pub fn receive(
        &mut self,
        now: Instant,
        (from, to): (SocketAddr, SocketAddr),
        data: &[u8],
    ) -> Result<(), RtcError> {
        self.clock = self.clock.max(now);
        let datagram = Receive::new(Protocol::Udp, from, to, data)?;
        self.rtc
            .handle_input(Input::Receive(self.clock, datagram))?;
        self.drain()
    }

    /// After writes, and whenever [`Peer::wake`] has come.
    ///
    /// # Errors
    ///
    /// If the connection is over.
    pub fn drive(&mut self, now: Instant) -> Result<(), RtcError> {
        self.clock = self.clock.max(now);
        for _ in 0..ROUNDS_MAX {
            self.rtc.handle_input(Input::Timeout(self.clock))?;
            self.drain()?;
            if self.wake > self.clock || self.is_closed {
                break;
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.wake = at;
                    return Ok(());
                }
                Output::Transmit(transmit) => self.outbox.push(Parcel {
                    from: transmit.source,
                    to: transmit.destination,
                    data: transmit.contents.into(),
                }),
                Output::Event(event) => self.note(event),
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => self.is_connected = true,
            Event::Closed => self.is_closed = true,
            Event::RtpPacket(packet) => self.received.push(packet),
            Event::KeyframeRequest(request) => self.keyframes_wanted.push(self.mids[&request.mid]),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.estimates.push(estimate.as_u64());
            }
            Event::ChannelOpen(id, _) => self.channel = Some(id),
            Event::ChannelData(data) => self.texts.push(String::from_utf8(data.data).unwrap()),
            Event::MediaEgressStats(stats) => {
                let ssrc = self.mids[&stats.mid];
                self.losses.entry(ssrc).or_default().extend(stats.loss);
                self.sent.insert(ssrc, stats);
            }
            Event::MediaIngressStats(stats) => {
                self.came.insert(self.mids[&stats.mid], stats);
            }
            Event::PeerStats(stats) => self.path = Some(stats),
            _ => {}
        }
    }
}

fn host(address: SocketAddr) -> Candidate {
    Candidate::host(address, "udp").expect("an address that a host can have")
}

/// Numbers of header extensions, as Jitsi has them.
pub const AUDIO_LEVEL: u8 = 1;
pub const ABSOLUTE_SEND_TIME: u8 = 3;
pub const TRANSPORT_NUMBER: u8 = 5;
pub const DESCRIPTOR: u8 = 11;
/// Payload types, as Jitsi has them.
pub const OPUS: u8 = 111;
pub const RED: u8 = 112;
pub const AV1: u8 = 41;
pub const AV1_RTX: u8 = 42;
pub const VP8: u8 = 100;
pub const VP8_RTX: u8 = 96;
pub const VP9: u8 = 101;
pub const VP9_RTX: u8 = 97;
pub const H264: u8 = 107;
pub const H264_RTX: u8 = 99;
const STATISTICS: Duration = Duration::from_millis(500);
/// Timers of one moment.
const ROUNDS_MAX: usize = 200;
