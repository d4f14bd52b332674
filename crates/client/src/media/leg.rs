use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::DtlsVersion;
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionSerializer, ExtensionValues, RtpWrite, SeqNo};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};
use tertulia_model::bridge::IceCredentials;
use tertulia_model::{Encoding, Fingerprint, MediaType, Ssrc};

use super::{CameraCodec, Received};

/// What the other side offered, as far as a transport needs it.
#[derive(Clone, Debug)]
pub(crate) struct TransportOffer {
    pub(crate) ice: IceCredentials,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) opus: u8,
    /// Payload types of VP8 and its retransmissions; None if no video was offered.
    pub(crate) vp8: Option<(u8, Option<u8>)>,
    /// The same of VP9; None if it was not offered.
    pub(crate) vp9: Option<(u8, Option<u8>)>,
    /// RTP header extensions: number and URI.
    pub(crate) extensions: Vec<(u8, String)>,
    pub(crate) has_data_channel: bool,
}

/// A datagram to be sent.
#[derive(Clone, Debug)]
pub struct Transmit {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Vec<u8>,
}

/// What a transport has to say.
#[derive(Debug)]
pub(crate) enum LegEvent {
    Connected,
    /// Nobody answers any more; may be followed by `Reachable`.
    Unreachable,
    Reachable,
    ChannelOpen,
    ChannelText(String),
    Packet(Ssrc, Received),
    /// Somebody needs a key frame of what we send under this SSRC.
    KeyFrameWanted(Ssrc),
}

/// One packet that the leg shall send.
pub(crate) struct Write {
    pub(crate) ssrc: Ssrc,
    pub(crate) payload_type: u8,
    pub(crate) seq: u64,
    pub(crate) time: u32,
    pub(crate) marker: bool,
    /// Loudness in -dBov; None for video.
    pub(crate) level: Option<u8>,
    /// The dependency descriptor.
    pub(crate) descriptor: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// The bytes of a dependency descriptor.
#[derive(Debug)]
struct DescriptorBytes(Arc<[u8]>);

/// Passes dependency descriptors through as they are.
#[derive(Debug)]
struct DescriptorExtension;

impl ExtensionSerializer for DescriptorExtension {
    fn write_to(&self, buffer: &mut [u8], values: &ExtensionValues) -> usize {
        let bytes = values.user_values.get::<DescriptorBytes>();
        let place = bytes.and_then(|bytes| Some((buffer.get_mut(..bytes.0.len())?, bytes)));
        place.map_or(0, |(place, DescriptorBytes(bytes))| {
            place.copy_from_slice(bytes);
            bytes.len()
        })
    }

    fn parse_value(&self, buffer: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(DescriptorBytes(buffer.into()));
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
        bytes.is_some_and(|bytes| bytes.0.len() > ONE_BYTE_FORM_MAX)
    }
}

/// One WebRTC transport of a client: answers, so it is controlled and DTLS-active.
pub(crate) struct Leg {
    rtc: Rtc,
    local: SocketAddr,
    clock: Instant,
    wake: Instant,
    channel: Option<ChannelId>,
    /// What we send, by the name that str0m has for it.
    sent: Vec<(Mid, Ssrc)>,
    /// Payload types of video.
    codecs: Vec<(u8, CameraCodec)>,
    is_channel_open: bool,
    events: VecDeque<LegEvent>,
    transmits: VecDeque<Transmit>,
    /// An error ended it; nothing is fed to it any more.
    is_dead: bool,
    /// DTLS that came before the answer to our ClientHello; None once that is there.
    early: Option<Vec<(SocketAddr, Vec<u8>)>>,
}

impl Leg {
    /// A transport that answers `offer` from the address `local`.
    pub(crate) fn new(
        offer: &TransportOffer,
        local: SocketAddr,
        mine: &IceCredentials,
        now: Instant,
    ) -> Result<Leg, RtcError> {
        let mut extensions = ExtensionMap::empty();
        for (id, uri) in &offer.extensions {
            if let Some(extension) = known_extension(uri) {
                extensions.set(*id, extension);
            }
        }
        let mut config = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .set_extension_map(extensions)
            // As browsers do: DTLS 1.3 and 1.2 in one ClientHello. That of str0m's DTLS 1.2 alone
            // says nothing of secure renegotiation (RFC 5746), which Jitsi's bridge insists on.
            .set_dtls_version(DtlsVersion::Auto)
            .set_local_ice_credentials(credentials(mine));
        let codecs = config.codec_config();
        let plain = FormatParams::default();
        let hz = Frequency::FORTY_EIGHT_KHZ;
        codecs.add_config(offer.opus.into(), None, Codec::Opus, hz, Some(2), plain);
        for (number, codec) in [(offer.vp8, Codec::Vp8), (offer.vp9, Codec::Vp9)] {
            let hz = Frequency::NINETY_KHZ;
            if let Some((number, rtx)) = number {
                codecs.add_config(number.into(), rtx.map(Into::into), codec, hz, None, plain);
            }
        }
        let videos = [(offer.vp8, CameraCodec::Vp8), (offer.vp9, CameraCodec::Vp9)];
        let videos = videos.into_iter();
        let mut rtc = config.build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").map_err(RtcError::Ice)?);
        for candidate in &offer.candidates {
            // An address that cannot be reached (link-local, multicast) is no reason to fail.
            if let Ok(candidate) = Candidate::host(*candidate, "udp") {
                rtc.add_remote_candidate(candidate);
            }
        }
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(false);
        direct.enable_twcc_feedback();
        direct.set_remote_ice_credentials(credentials(&offer.ice));
        direct.set_remote_fingerprint(str0m::config::Fingerprint {
            hash_func: offer.fingerprint.hash.clone(),
            bytes: offer.fingerprint.bytes.clone(),
        });
        direct.start_dtls(true)?;
        let channel = offer.has_data_channel.then(|| {
            direct.start_sctp(true);
            direct.create_data_channel(ChannelConfig {
                label: "JVB data channel".into(),
                protocol: "http://jitsi.org/protocols/colibri".into(),
                ..ChannelConfig::default()
            })
        });
        Ok(Leg {
            rtc,
            local,
            clock: now,
            wake: now,
            channel,
            sent: Vec::new(),
            codecs: videos
                .filter_map(|(number, codec)| Some((number?.0, codec)))
                .collect(),
            is_channel_open: false,
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            is_dead: false,
            early: Some(Vec::new()),
        })
    }

    /// Takes new credentials for both sides and looks for a path anew (RFC 8445, 2.4). DTLS and
    /// SRTP go on; media keeps its old path until there is a new one.
    pub(crate) fn restart_ice(
        &mut self,
        mine: &IceCredentials,
        theirs: &IceCredentials,
        candidates: &[SocketAddr],
    ) {
        let mut direct = self.rtc.direct_api();
        direct.set_local_ice_credentials(credentials(mine));
        direct.set_remote_ice_credentials(credentials(theirs));
        // str0m restarts a check only with its candidate.
        if let Ok(host) = Candidate::host(self.local, "udp") {
            direct.invalidate_candidate(&host);
            self.rtc.add_local_candidate(host);
        }
        for candidate in candidates {
            if let Ok(candidate) = Candidate::host(*candidate, "udp") {
                self.rtc.add_remote_candidate(candidate);
            }
        }
    }

    /// Our address is another: looks at once for a path from there, with the credentials as they
    /// are, as browsers do when their network changes.
    pub(crate) fn move_to(&mut self, local: SocketAddr) {
        if let Ok(host) = Candidate::host(self.local, "udp") {
            self.rtc.direct_api().invalidate_candidate(&host);
        }
        self.local = local;
        if let Ok(host) = Candidate::host(local, "udp") {
            self.rtc.add_local_candidate(host);
        }
    }

    /// The fingerprint for our half of the transport.
    pub(crate) fn fingerprint(&mut self) -> Fingerprint {
        let direct = self.rtc.direct_api();
        let fingerprint = direct.local_dtls_fingerprint();
        Fingerprint {
            hash: fingerprint.hash_func.clone(),
            bytes: fingerprint.bytes.clone(),
        }
    }

    /// Declares something that we send: one encoding under a number of its own.
    pub(crate) fn send_encoding(&mut self, number: u16, media: MediaType, encoding: Encoding) {
        let mid = Mid::from(format!("s{number}").as_str());
        let mut direct = self.rtc.direct_api();
        direct.declare_media(mid, kind(media));
        let rtx = encoding.rtx.map(|ssrc| ssrc.0.into());
        self.sent.push((mid, encoding.primary));
        direct
            .declare_stream_tx(encoding.primary.0.into(), rtx, mid, None)
            .set_rtx_cache(1024, Duration::from_secs(2), Some(0.5));
    }

    /// Declares something that others send.
    pub(crate) fn expect(&mut self, number: u16, media: MediaType, encoding: Encoding) {
        let mid = Mid::from(format!("r{number}").as_str());
        let mut direct = self.rtc.direct_api();
        direct.declare_media(mid, kind(media));
        let rtx = encoding.rtx.map(|ssrc| ssrc.0.into());
        direct.expect_stream_rx(encoding.primary.0.into(), rtx, mid, None);
    }

    /// Takes back [`expect`](Leg::expect).
    pub(crate) fn forget(&mut self, number: u16, ssrc: Ssrc) {
        let mut direct = self.rtc.direct_api();
        direct.remove_stream_rx(ssrc.0.into());
        direct.remove_media(Mid::from(format!("r{number}").as_str()));
    }

    /// Queues a packet; it leaves with the next [`turn`](Leg::turn).
    pub(crate) fn write(&mut self, write: Write) {
        let wallclock = self.clock;
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx(&write.ssrc.0.into()) else {
            return;
        };
        let level = write.level.map(|level| -(level.min(127) as i8));
        let mut extensions = ExtensionValues {
            audio_level: level,
            voice_activity: level.map(|level| level > -60),
            ..ExtensionValues::default()
        };
        if let Some(bytes) = write.descriptor {
            extensions.user_values.set(DescriptorBytes(bytes.into()));
        }
        let payload: Arc<[u8]> = write.payload.into();
        let seq = SeqNo::from(write.seq);
        stream.write_rtp(
            RtpWrite::new(
                write.payload_type.into(),
                seq,
                write.time,
                wallclock,
                payload,
            )
            .marker(write.marker)
            .ext_vals(extensions)
            .nackable(write.level.is_none()),
        );
    }

    /// Asks the sender of a stream for a key frame.
    pub(crate) fn request_key_frame(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc.0.into()) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    /// Sends a text on the data channel; false if it is not open or full.
    pub(crate) fn send_text(&mut self, text: &str) -> bool {
        if !self.is_channel_open {
            return false;
        }
        let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) else {
            return false;
        };
        channel.write(false, text.as_bytes()).unwrap_or(false)
    }

    /// A datagram came in.
    pub(crate) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &[u8]) {
        self.clock = self.clock.max(now);
        if !self.holds_back(from, data) {
            self.take_datagram(from, data);
        }
        if answers_hello(data) {
            for (from, data) in self.early.take().unwrap_or_default() {
                self.take_datagram(from, &data);
            }
        }
    }

    /// Keeps the rest of the server's flight until its beginning is there: until it knows the
    /// version, str0m's DTLS takes anything else for a failure, also where the network only lost
    /// or overtook something. An alert is the server's last word and goes through.
    fn holds_back(&mut self, from: SocketAddr, data: &[u8]) -> bool {
        let Some(early) = &mut self.early else {
            return false;
        };
        let is_rest = matches!(data.first(), Some(20 | 22..=63)) && !answers_hello(data);
        if is_rest && early.len() < EARLY_MAX {
            early.push((from, data.to_vec()));
        }
        is_rest
    }

    fn take_datagram(&mut self, from: SocketAddr, data: &[u8]) {
        if let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, data) {
            let input = Input::Receive(self.clock, receive);
            self.step(input);
        }
    }

    /// To be called after writes, and at [`next_timeout`](Leg::next_timeout).
    pub(crate) fn turn(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        for _ in 0..TURNS_MAX {
            self.step(Input::Timeout(self.clock));
            if self.wake > self.clock || self.is_dead {
                break;
            }
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        (!self.is_dead).then_some(self.wake)
    }

    pub(crate) fn poll_event(&mut self) -> Option<LegEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn step(&mut self, input: Input<'_>) {
        if self.is_dead {
            return;
        }
        let mut result = self.rtc.handle_input(input);
        while result.is_ok() {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.wake = at;
                    break;
                }
                Ok(Output::Transmit(transmit)) => self.transmits.push_back(Transmit {
                    source: transmit.source,
                    destination: transmit.destination,
                    contents: transmit.contents.into(),
                }),
                Ok(Output::Event(event)) => self.handle_event(event),
                Err(error) => result = Err(error),
            }
        }
        if let Err(error) = result {
            tracing::debug!(%error, "transport failed");
            self.is_dead = true;
            self.events.push_back(LegEvent::Unreachable);
        }
    }

    fn handle_event(&mut self, event: Event) {
        let event = match event {
            Event::Connected => LegEvent::Connected,
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                LegEvent::Unreachable
            }
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => LegEvent::Reachable,
            Event::Closed => LegEvent::Unreachable,
            Event::ChannelOpen(id, _) if Some(id) == self.channel => {
                self.is_channel_open = true;
                LegEvent::ChannelOpen
            }
            Event::ChannelData(data) if Some(data.id) == self.channel => {
                LegEvent::ChannelText(String::from_utf8_lossy(&data.data).into_owned())
            }
            Event::RtpPacket(packet) => {
                let ssrc = Ssrc(*packet.header.ssrc);
                let number = *packet.header.payload_type;
                let mut codecs = self.codecs.iter();
                let descriptor = packet.header.ext_vals.user_values.get::<DescriptorBytes>();
                let received = Received {
                    seq: *packet.seq_no,
                    time: packet.header.timestamp,
                    marker: packet.header.marker,
                    codec: codecs.find(|known| known.0 == number).map(|known| known.1),
                    descriptor: descriptor.map(|DescriptorBytes(bytes)| Arc::clone(bytes)),
                    payload: packet.payload,
                    at: packet.timestamp,
                };
                LegEvent::Packet(ssrc, received)
            }
            Event::KeyframeRequest(request) => {
                let wanted = self.sent.iter().find(|(mid, _)| *mid == request.mid);
                match wanted {
                    Some((_, ssrc)) => LegEvent::KeyFrameWanted(*ssrc),
                    None => return,
                }
            }
            _ => return,
        };
        self.events.push_back(event);
    }
}

fn credentials(ice: &IceCredentials) -> IceCreds {
    IceCreds {
        ufrag: ice.ufrag.clone(),
        pass: ice.pwd.clone(),
    }
}

fn kind(media: MediaType) -> MediaKind {
    match media {
        MediaType::Audio => MediaKind::Audio,
        MediaType::Video => MediaKind::Video,
    }
}

/// A whole ServerHello or HelloVerifyRequest at the beginning of a datagram (RFC 6347, 4.2): what
/// a server answers our ClientHello with.
fn answers_hello(data: &[u8]) -> bool {
    let is_handshake = data.first() == Some(&22);
    let kind = data.get(13);
    is_handshake && matches!(kind, Some(2 | 3)) && data.get(14..17) == data.get(22..25)
}

/// The header extensions that a client accepts when they are offered.
pub(crate) fn known_extension(uri: &str) -> Option<Extension> {
    Some(match uri {
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level" => Extension::AudioLevel,
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" => Extension::AbsoluteSendTime,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => {
            Extension::TransportSequenceNumber
        }
        DEPENDENCY_DESCRIPTOR => Extension::with_serializer(uri, DescriptorExtension),
        _ => return None,
    })
}

/// The URI of the dependency descriptor.
pub(crate) const DEPENDENCY_DESCRIPTOR: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// Longer header extensions need the form of two bytes (RFC 8285, 4.2).
const ONE_BYTE_FORM_MAX: usize = 16;
/// A server's flight is some five datagrams.
const EARLY_MAX: usize = 8;
/// A bound for timers that are due again at once.
const TURNS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The other end: controlling and passive, as a bridge is.
    struct Bridge {
        rtc: Rtc,
        address: SocketAddr,
        peer: SocketAddr,
        /// Where it sent to last.
        sent_to: Option<SocketAddr>,
        /// The first DTLS of the leg.
        hello: Option<Vec<u8>>,
        /// Its answer to the ClientHello arrives the wrong way round, with a datagram for each
        /// record as Jitsi's bridge sends them.
        is_reversed: bool,
    }

    impl Bridge {
        fn step(&mut self, now: Instant, input: Input<'_>, leg: &mut Leg) {
            self.rtc.handle_input(input).unwrap();
            let mut sent = Vec::new();
            loop {
                match self.rtc.poll_output().unwrap() {
                    Output::Timeout(_) => break,
                    Output::Transmit(transmit) => {
                        self.sent_to = Some(transmit.destination);
                        if transmit.destination == self.peer {
                            sent.extend(records(&transmit.contents).map(<[u8]>::to_vec));
                        }
                    }
                    Output::Event(_) => {}
                }
            }
            if self.is_reversed && sent.iter().any(|record| answers_hello(record)) {
                sent.reverse();
            }
            for datagram in sent {
                leg.handle_datagram(now, self.address, &datagram);
            }
        }
    }

    /// The records of a datagram that is DTLS; any other as it is.
    fn records(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = datagram;
        std::iter::from_fn(move || {
            let length = match rest {
                [] => return None,
                [20..=63, .., _] if rest.len() >= 13 => {
                    13 + usize::from(u16::from_be_bytes([rest[11], rest[12]]))
                }
                _ => rest.len(),
            };
            let (record, others) = rest.split_at(length);
            rest = others;
            Some(record)
        })
    }

    fn ice(name: &str) -> IceCredentials {
        IceCredentials {
            ufrag: name.repeat(2),
            pwd: name.repeat(6),
        }
    }

    /// Both ends for so many steps of 50 ms; false if nothing passes between them.
    fn run(
        (leg, bridge): (&mut Leg, &mut Bridge),
        now: &mut Instant,
        steps: u32,
        is_open: bool,
    ) -> Vec<LegEvent> {
        let mut events = Vec::new();
        for _ in 0..steps {
            *now += Duration::from_millis(50);
            leg.turn(*now);
            while let Some(transmit) = leg.poll_transmit() {
                let contents = &transmit.contents;
                if matches!(contents.first(), Some(20..=63)) {
                    bridge.hello.get_or_insert_with(|| contents.clone());
                }
                let receive = Receive::new(Protocol::Udp, bridge.peer, bridge.address, contents);
                if is_open {
                    bridge.step(*now, Input::Receive(*now, receive.unwrap()), leg);
                }
            }
            if is_open {
                bridge.step(*now, Input::Timeout(*now), leg);
            }
            events.extend(std::iter::from_fn(|| leg.poll_event()));
        }
        events
    }

    /// A leg and its bridge, connected, and the time by then.
    fn connected() -> (Leg, Bridge, Instant) {
        let (mut leg, mut bridge, mut now) = apart();
        let events = run((&mut leg, &mut bridge), &mut now, 60, true);
        assert!(
            events.iter().any(|e| matches!(e, LegEvent::Connected)),
            "{events:?}"
        );
        (leg, bridge, now)
    }

    /// The same before anything passed between them.
    fn apart() -> (Leg, Bridge, Instant) {
        str0m::crypto::from_feature_flags().install_process_default();
        let now = Instant::now();
        let address: SocketAddr = "192.0.2.1:10000".parse().unwrap();
        let peer: SocketAddr = "198.51.100.1:4000".parse().unwrap();
        let theirs = ice("theirs");
        let config = RtcConfig::new()
            .set_rtp_mode(true)
            .set_local_ice_credentials(credentials(&theirs));
        let mut rtc = config.build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let print = rtc.direct_api().local_dtls_fingerprint().clone();
        let offer = TransportOffer {
            ice: theirs,
            fingerprint: Fingerprint {
                hash: print.hash_func.clone(),
                bytes: print.bytes.clone(),
            },
            candidates: vec![address],
            opus: 111,
            vp8: None,
            vp9: None,
            extensions: Vec::new(),
            has_data_channel: false,
        };
        let mine = ice("minemine");
        let mut leg = Leg::new(&offer, peer, &mine, now).unwrap();
        let print = leg.fingerprint();
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(true);
        direct.set_remote_ice_credentials(credentials(&mine));
        direct.set_remote_fingerprint(str0m::config::Fingerprint {
            hash_func: print.hash,
            bytes: print.bytes,
        });
        direct.start_dtls(false).unwrap();
        rtc.add_remote_candidate(Candidate::host(peer, "udp").unwrap());
        let bridge = Bridge {
            rtc,
            address,
            peer,
            sent_to: None,
            hello: None,
            is_reversed: false,
        };
        (leg, bridge, now)
    }

    /// Jitsi's bridge hangs up on a client that does not say that it renegotiates securely
    /// (RFC 5746, 3.4): by an empty `renegotiation_info`, or by a cipher suite that is none.
    #[test]
    fn the_client_says_that_it_renegotiates_securely() {
        let (_, bridge, _) = connected();
        let hello = bridge.hello.unwrap();
        let has = |part: &[u8]| hello.windows(part.len()).any(|window| window == part);
        assert!(has(&[0xff, 0x01, 0x00, 0x01, 0x00]), "{hello:02x?}");
    }

    #[test]
    fn a_flight_that_comes_the_wrong_way_round_is_understood() {
        let (mut leg, mut bridge, mut now) = apart();
        bridge.is_reversed = true;
        let events = run((&mut leg, &mut bridge), &mut now, 10, true);
        assert!(
            events.iter().any(|e| matches!(e, LegEvent::Connected)),
            "without waiting for another flight: {events:?}"
        );
    }

    #[test]
    fn what_comes_before_the_answer_is_kept_within_bounds() {
        let (mut leg, bridge, now) = apart();
        for _ in 0..100 {
            leg.handle_datagram(now, bridge.address, &[22; 40]);
        }
        assert_eq!(leg.early.as_ref().map(Vec::len), Some(EARLY_MAX));
        assert!(!leg.is_dead);
        let whole = |kind, length: u8, piece: u8| {
            let mut record = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 + piece, kind];
            record.extend([0, 0, length, 0, 0, 0, 0, 0, 0, 0, piece]);
            record
        };
        assert!(answers_hello(&whole(2, 9, 9)) && answers_hello(&whole(3, 9, 9)));
        assert!(!answers_hello(&whole(2, 9, 5)) && !answers_hello(&whole(11, 9, 9)));
        assert!(!answers_hello(&[]) && !answers_hello(&[22]));
    }

    #[test]
    fn another_address_is_tried_at_once_with_the_credentials_as_they_are() {
        let (mut leg, mut bridge, mut now) = connected();
        bridge.peer = "203.0.113.9:5000".parse().unwrap();
        leg.move_to(bridge.peer);
        // Half a second.
        let events = run((&mut leg, &mut bridge), &mut now, 10, true);
        assert_eq!(bridge.sent_to, Some(bridge.peer), "an answer: {events:?}");
        let events = run((&mut leg, &mut bridge), &mut now, 600, true);
        assert!(
            !events
                .iter()
                .any(|e| matches!(e, LegEvent::Unreachable | LegEvent::Connected)),
            "it stays, and DTLS was not done again: {events:?}"
        );
    }

    #[test]
    fn new_credentials_find_the_path_again_without_a_new_handshake() {
        let (mut leg, mut bridge, mut now) = connected();
        let address = bridge.address;
        // Dark for so long that the path is given up.
        let events = run((&mut leg, &mut bridge), &mut now, 600, false);
        assert!(
            events.iter().any(|e| matches!(e, LegEvent::Unreachable)),
            "{events:?}"
        );
        let (mine, theirs) = (ice("newmine1"), ice("newtheir"));
        let host = Candidate::host(address, "udp").unwrap();
        let mut direct = bridge.rtc.direct_api();
        direct.set_local_ice_credentials(credentials(&theirs));
        direct.set_remote_ice_credentials(credentials(&mine));
        direct.invalidate_candidate(&host);
        bridge.rtc.add_local_candidate(host);
        leg.restart_ice(&mine, &theirs, &[address]);
        let events = run((&mut leg, &mut bridge), &mut now, 60, true);
        assert!(
            events.iter().any(|e| matches!(e, LegEvent::Reachable)),
            "{events:?}"
        );
        assert!(
            !events.iter().any(|e| matches!(e, LegEvent::Connected)),
            "DTLS was not done again: {events:?}"
        );
    }
}
