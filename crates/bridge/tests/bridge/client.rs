//! What a browser is to the bridge: ICE controlled, DTLS active, Opus with levels, VP8 in three
//! encodings with three temporal layers each.
//!
//! Payloads carry where they come from, so that a test can tell what a receiver was really sent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use str0m::channel::{ChannelConfig, ChannelId as DataChannelId};
use str0m::config::Fingerprint as DtlsFingerprint;
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{
    Extension, ExtensionMap, ExtensionSerializer, ExtensionValues, RtpPacket, RtpWrite,
};
use str0m::{Candidate, Event, Input, Output as RtcOutput, Rtc, RtcConfig};
use tertulia_model::bridge::{EndpointOffer, IceCredentials, LocalTransport, RemoteTransport};
use tertulia_model::{
    AllocationId, ChannelId, Encoding, EndpointId, Fingerprint, MediaType, Now, Source, Ssrc,
    VideoType,
};
use tertulia_transport::datagram::DatagramKind;

use super::link::Way;

/// A datagram on its way.
pub(crate) struct Parcel {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) data: Vec<u8>,
}

/// A participant's transport and media.
pub(crate) struct Client {
    pub(crate) id: EndpointId,
    pub(crate) allocation: AllocationId,
    /// Where the bridge sees it.
    pub(crate) address: SocketAddr,
    /// Where it sees itself; another one behind a NAT.
    local: SocketAddr,
    pub(crate) transport: LocalTransport,
    pub(crate) offer: EndpointOffer,
    pub(crate) rtc: Rtc,
    clock: Instant,
    wake: Instant,
    pub(crate) is_connected: bool,
    pub(crate) is_gone: bool,
    pub(crate) is_published: bool,
    pub(crate) number: u32,
    mids: u32,
    /// What it sends is caught here, and gets nowhere.
    pub(crate) caught: Option<Vec<Vec<u8>>>,
    /// Percent of datagrams that are lost.
    pub(crate) loss_up: u32,
    pub(crate) loss_down: u32,
    pub(crate) way_up: Way,
    pub(crate) way_down: Way,
    /// Bits per second on the way to the client; more waits, and what would wait long is lost.
    pub(crate) rate_down: Option<u64>,
    pub(crate) link_free_at: Option<Instant>,
    /// Bytes that the bridge has sent into a narrow link, whether they arrived or not.
    pub(crate) offered: Vec<(Instant, usize)>,
    pub(crate) data_channel: Option<DataChannelId>,
    pub(crate) websocket: Option<ChannelId>,
    pub(crate) texts: Vec<Value>,
    /// Whose media is in which stream, as the bridge channel tells.
    pub(crate) mapped: BTreeMap<u32, String>,
    /// Whose it was before, and until when.
    formerly: BTreeMap<u32, (String, Instant)>,
    pub(crate) received: Vec<Received>,
    pub(crate) keyframe_requests: u32,
    pub(crate) keyframes_asked: Vec<Instant>,
    /// Datagrams of RTCP that have arrived.
    pub(crate) reports: u64,
    pub(crate) audio: Option<Audio>,
    pub(crate) video: Option<Video>,
    audio_due: Instant,
    video_due: Instant,
    is_dtls_server: bool,
    /// Added to its SSRCs: a client that starts its camera anew uses others.
    pub(crate) ssrc_shift: u32,
    expected: BTreeSet<u32>,
    outbox: Vec<(SocketAddr, Vec<u8>)>,
}

/// What a client does otherwise than browsers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// It wants to control ICE, as the bridge does.
    pub(crate) is_controlling: bool,
    /// It waits for the bridge to begin the DTLS handshake.
    pub(crate) is_dtls_server: bool,
}

/// What of the next key frame of one encoding does not get anywhere, and can't be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    First,
    Last,
    All,
}

/// What the microphone does.
#[derive(Clone)]
pub(crate) struct Audio {
    /// 0 is silence, 127 the loudest.
    pub(crate) level: u8,
    number: u64,
    /// Each packet carries the one before it once more (RFC 2198), which is this.
    pub(crate) redundancy: Option<Vec<u8>>,
    /// End-to-end encryption: one byte is left in the clear.
    pub(crate) is_encrypted: bool,
}

/// What the camera does.
pub(crate) struct Video {
    /// End-to-end encryption: behind what Jitsi leaves in the clear nothing can be read.
    pub(crate) is_encrypted: bool,
    /// Which encodings are sent.
    pub(crate) is_sent: [bool; 3],
    /// Packets of a frame by encoding, and their bytes.
    pub(crate) parts: [u8; 3],
    pub(crate) part_bytes: usize,
    pub(crate) hole: Option<(u8, Hole)>,
    wants_keyframe: bool,
    frame: u64,
    keyframe_at: u64,
    pub(crate) numbers: [u64; 3],
    base_layers: u8,
    pub(crate) padding_every: Option<u64>,
}

/// A packet as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) ssrc: u32,
    pub(crate) is_video: bool,
    pub(crate) payload_type: u8,
    /// Whose media the channel had said that the stream is; just after a change it may still be
    /// the former one's.
    pub(crate) mapped: Vec<String>,
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) at: Instant,
    pub(crate) level: Option<i8>,
    pub(crate) is_marked: bool,
    pub(crate) descriptor: Option<Vec<u8>>,
    pub(crate) payload: Arc<[u8]>,
}

/// A packet of a codec that the camera does not make by itself.
pub(crate) struct Made {
    pub(crate) encoding: u8,
    pub(crate) payload_type: u8,
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) is_marked: bool,
    pub(crate) descriptor: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// The bytes of a dependency descriptor.
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

impl Received {
    /// Encoding, frame, part, number of parts as the sender wrote them into a video packet.
    pub(crate) fn stamp(&self) -> (u8, u64, u8, u8) {
        let stamp = &self.payload[self.payload.len() - 11..];
        let frame = u64::from_be_bytes(stamp[1..9].try_into().unwrap());
        (stamp[0], frame, stamp[9], stamp[10])
    }

    /// The number of the client that made it.
    pub(crate) fn sender(&self) -> u32 {
        let at = if self.is_video {
            self.payload.len() - STAMP_BYTES
        } else {
            8
        };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn is_keyframe_start(&self) -> bool {
        str0m::rtp::Vp8Descriptor::parse(&self.payload)
            .is_ok_and(|descriptor| descriptor.starts_keyframe(&self.payload))
    }
}

impl Client {
    pub(crate) fn new(
        id: &str,
        number: u32,
        (allocation, transport): (AllocationId, LocalTransport),
        offer: EndpointOffer,
        address: SocketAddr,
        habits: Habits,
        now: Now,
    ) -> Client {
        let mut extensions = ExtensionMap::empty();
        extensions.set(1, Extension::AudioLevel);
        extensions.set(3, Extension::AbsoluteSendTime);
        if offer.has_transport_cc {
            extensions.set(5, Extension::TransportSequenceNumber);
        }
        let uri = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
        extensions.set(11, Extension::with_serializer(uri, DescriptorExtension));
        let mut config = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .set_extension_map(extensions);
        let codecs = config.codec_config();
        for number in [111, 112] {
            codecs.add_config(
                number.into(),
                None,
                Codec::Opus,
                Frequency::FORTY_EIGHT_KHZ,
                Some(2),
                FormatParams::default(),
            );
        }
        for (number, rtx, codec) in [
            (41u8, 42u8, Codec::Av1),
            (100, 96, Codec::Vp8),
            (107, 99, Codec::H264),
            (101, 97, Codec::Vp9),
        ] {
            codecs.add_config(
                number.into(),
                offer.has_rtx.then_some(rtx.into()),
                codec,
                Frequency::NINETY_KHZ,
                None,
                FormatParams::default(),
            );
        }
        let mut rtc = config.build(now.mono);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        for candidate in &transport.candidates {
            rtc.add_remote_candidate(Candidate::host(candidate.address, "udp").unwrap());
        }
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(habits.is_controlling);
        direct.set_remote_ice_credentials(IceCreds {
            ufrag: transport.ice.ufrag.clone(),
            pass: transport.ice.pwd.clone(),
        });
        direct.set_remote_fingerprint(DtlsFingerprint {
            hash_func: transport.fingerprint.hash.clone(),
            bytes: transport.fingerprint.bytes.clone(),
        });
        if offer.has_transport_cc {
            direct.enable_twcc_feedback();
        }
        direct.start_dtls(!habits.is_dtls_server).unwrap();
        if offer.has_data_channel {
            direct.start_sctp(true);
        }
        Client {
            id: id.parse().unwrap(),
            allocation,
            address,
            local: address,
            transport,
            offer,
            rtc,
            clock: now.mono,
            wake: now.mono,
            is_connected: false,
            is_gone: false,
            is_published: false,
            number,
            mids: 0,
            caught: None,
            loss_up: 0,
            loss_down: 0,
            way_up: Way::default(),
            way_down: Way::default(),
            rate_down: None,
            link_free_at: None,
            offered: Vec::new(),
            data_channel: None,
            websocket: None,
            texts: Vec::new(),
            mapped: BTreeMap::new(),
            formerly: BTreeMap::new(),
            received: Vec::new(),
            keyframe_requests: 0,
            keyframes_asked: Vec::new(),
            reports: 0,
            audio: None,
            video: None,
            audio_due: now.mono,
            video_due: now.mono,
            is_dtls_server: habits.is_dtls_server,
            ssrc_shift: 0,
            expected: BTreeSet::new(),
            outbox: Vec::new(),
        }
    }

    pub(crate) fn answer(&mut self) -> RemoteTransport {
        let direct = self.rtc.direct_api();
        let credentials = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint();
        RemoteTransport {
            ice: IceCredentials {
                ufrag: credentials.ufrag,
                pwd: credentials.pass,
            },
            fingerprint: Fingerprint {
                hash: fingerprint.hash_func.clone(),
                bytes: fingerprint.bytes.clone(),
            },
            is_active: !self.is_dtls_server,
            candidates: Vec::new(),
            initial_last_n: None,
        }
    }

    pub(crate) fn audio_ssrc(&self) -> u32 {
        self.number * 1_000 + 1 + self.ssrc_shift
    }

    /// The primary SSRC of the camera.
    pub(crate) fn video_ssrc(&self) -> u32 {
        self.number * 1_000 + 11 + self.ssrc_shift
    }

    pub(crate) fn video_name(&self) -> String {
        format!("{}-v0", self.id)
    }

    pub(crate) fn sources(&self) -> Vec<Source> {
        let encodings = (0..3).map(|n| Encoding {
            primary: Ssrc(self.video_ssrc() + n),
            rtx: Some(Ssrc(self.video_ssrc() + 10 + n)),
        });
        vec![
            Source {
                name: format!("{}-a0", self.id).parse().unwrap(),
                media: MediaType::Audio,
                video_type: VideoType::None,
                encodings: vec![Encoding {
                    primary: Ssrc(self.audio_ssrc()),
                    rtx: None,
                }],
            },
            Source {
                name: self.video_name().parse().unwrap(),
                media: MediaType::Video,
                video_type: VideoType::Camera,
                encodings: encodings.collect(),
            },
        ]
    }

    fn mid(&mut self) -> Mid {
        self.mids += 1;
        Mid::from(format!("x{}", self.mids).as_str())
    }

    /// Gets ready to send.
    pub(crate) fn declare(&mut self) {
        self.is_published = true;
        let (audio, video) = (self.audio_ssrc(), self.video_ssrc());
        let mid = self.mid();
        let mut direct = self.rtc.direct_api();
        direct.declare_media(mid, MediaKind::Audio);
        direct.declare_stream_tx(audio.into(), None, mid, None);
        for n in 0..3 {
            let rtx = self.offer.has_rtx.then(|| (video + 10 + n).into());
            let mid = self.mid();
            let mut direct = self.rtc.direct_api();
            direct.declare_media(mid, MediaKind::Video);
            // Browsers don't give up when much must be sent again.
            direct
                .declare_stream_tx((video + n).into(), rtx, mid, None)
                .set_rtx_cache(1_024, Duration::from_secs(3), Some(0.5));
        }
    }

    /// Gets ready to receive somebody's sources.
    pub(crate) fn expect(&mut self, number: u32) {
        let has_rtx = self.offer.has_rtx;
        if self.offer.has_ssrc_rewriting || !self.expected.insert(number) {
            return;
        }
        let (audio, video) = (number * 1_000 + 1, number * 1_000 + 11);
        let (first, second) = (self.mid(), self.mid());
        let mut direct = self.rtc.direct_api();
        direct.declare_media(first, MediaKind::Audio);
        direct.expect_stream_rx(audio.into(), None, first, None);
        direct.declare_media(second, MediaKind::Video);
        let rtx = has_rtx.then(|| (video + 10).into());
        direct.expect_stream_rx(video.into(), rtx, second, None);
    }

    /// A message of the bridge channel. As Jitsi's clients do, it makes a stream of each SSRC that
    /// is new, and takes note of the new owner of others.
    pub(crate) fn hear(&mut self, text: Value) {
        let is_video = text["colibriClass"] == "VideoSourcesMap";
        if is_video || text["colibriClass"] == "AudioSourcesMap" {
            for entry in text["mappedSources"].as_array().unwrap() {
                let ssrc = entry["ssrc"].as_u64().expect("a number") as u32;
                let source = entry["source"].as_str().unwrap().to_owned();
                let owner = entry["owner"].as_str().unwrap();
                assert!(source.starts_with(&format!("{owner}-")), "{entry}");
                let former = self.mapped.insert(ssrc, source);
                if let Some(former) = former {
                    self.formerly.insert(ssrc, (former, self.clock));
                } else {
                    let kind = if is_video {
                        MediaKind::Video
                    } else {
                        MediaKind::Audio
                    };
                    let rtx = is_video.then(|| entry["rtx"].as_u64().expect("a number") as u32);
                    let rtx = rtx.filter(|_| self.offer.has_rtx).map(Into::into);
                    let mid = self.mid();
                    let mut direct = self.rtc.direct_api();
                    direct.declare_media(mid, kind);
                    direct.expect_stream_rx(ssrc.into(), rtx, mid, None);
                }
            }
        }
        self.texts.push(text);
    }

    /// The SSRC under which the channel says that a source comes.
    pub(crate) fn ssrc_of(&self, source: &str) -> Option<u32> {
        let mut mapped = self.mapped.iter();
        mapped.find_map(|(ssrc, name)| (name == source).then_some(*ssrc))
    }

    /// Takes in the bridge's new credentials, from a new address if there is one; gives back its
    /// own.
    pub(crate) fn restart_ice(
        &mut self,
        ice: &IceCredentials,
        address: Option<SocketAddr>,
    ) -> IceCredentials {
        if let Some(address) = address {
            let host = |address| Candidate::host(address, "udp").unwrap();
            self.rtc.add_local_candidate(host(address));
            let mut direct = self.rtc.direct_api();
            assert!(direct.invalidate_candidate(&host(self.local)));
            self.address = address;
            self.local = address;
        }
        let creds = IceCreds::new();
        let mut direct = self.rtc.direct_api();
        direct.set_local_ice_credentials(creds.clone());
        direct.set_remote_ice_credentials(IceCreds {
            ufrag: ice.ufrag.clone(),
            pass: ice.pwd.clone(),
        });
        IceCredentials {
            ufrag: creds.ufrag,
            pwd: creds.pass,
        }
    }

    pub(crate) fn speak(&mut self, level: u8) {
        let first = u64::from(self.number) * 9_000 % 65_000;
        let audio = self.audio.get_or_insert(Audio {
            level,
            number: first,
            redundancy: None,
            is_encrypted: false,
        });
        audio.level = level;
    }

    pub(crate) fn film(&mut self) {
        self.video = Some(Video {
            is_encrypted: false,
            is_sent: [true; 3],
            parts: [1, 2, 4],
            part_bytes: PART_BYTES,
            hole: None,
            wants_keyframe: true,
            frame: 0,
            keyframe_at: 0,
            numbers: [0, 1, 2].map(|n| 65_000 + 200 * n),
            base_layers: 0,
            padding_every: None,
        });
    }

    /// How many frames it has made.
    pub(crate) fn frames(&self) -> u64 {
        self.video.as_ref().map_or(0, |video| video.frame)
    }

    /// Sends a packet that a test has made.
    pub(crate) fn write(&mut self, now: Instant, made: Made) {
        let ssrc = self.video_ssrc() + u32::from(made.encoding);
        let mut values = ExtensionValues::default();
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
        .nackable(true)
        .ext_vals(values);
        let mut direct = self.rtc.direct_api();
        direct.stream_tx(&ssrc.into()).unwrap().write_rtp(write);
    }

    /// Asks the sender of a stream for a key frame, as a decoder would.
    pub(crate) fn request_keyframe(&mut self, ssrc: u32) {
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_rx(&ssrc.into()).expect("expected stream");
        stream.request_keyframe(str0m::media::KeyframeRequestKind::Pli);
    }

    pub(crate) fn produce(&mut self, now: Instant) {
        if !self.is_connected || self.is_gone {
            return;
        }
        if self.audio_due <= now {
            self.audio_due = now + Duration::from_millis(20);
            self.produce_audio(now);
        }
        if self.video_due <= now {
            self.video_due = now + Duration::from_millis(33);
            self.produce_video(now);
        }
    }

    fn produce_audio(&mut self, now: Instant) {
        let ssrc = self.audio_ssrc();
        let Some(audio) = &mut self.audio else { return };
        audio.number += 1;
        let values = ExtensionValues {
            audio_level: Some(audio.level as i8 - 127),
            voice_activity: Some(audio.level > 40),
            ..ExtensionValues::default()
        };
        let mut payload = vec![0x78; 80];
        payload[..8].copy_from_slice(&audio.number.to_be_bytes());
        payload[8..12].copy_from_slice(&self.number.to_be_bytes());
        let timestamp = (audio.number * 960) as u32;
        let mut payload_type = 111;
        if let Some(before) = &mut audio.redundancy {
            let before = std::mem::replace(before, payload.clone());
            let [_, a, b, c] = (960 << 10 | before.len() as u32).to_be_bytes();
            payload = [&[0x80 | 111, a, b, c, 111], &before[..], &payload[..]].concat();
            payload_type = 112;
        }
        if audio.is_encrypted {
            for byte in &mut payload[1..] {
                *byte ^= 0xa5;
            }
        }
        let write = RtpWrite::new(
            payload_type.into(),
            audio.number.into(),
            timestamp,
            now,
            payload,
        )
        .ext_vals(values);
        self.rtc
            .direct_api()
            .stream_tx(&ssrc.into())
            .unwrap()
            .write_rtp(write);
    }

    fn produce_video(&mut self, now: Instant) {
        let ssrc = self.video_ssrc();
        let Some(video) = &mut self.video else { return };
        let is_keyframe = std::mem::take(&mut video.wants_keyframe);
        if is_keyframe {
            video.keyframe_at = video.frame;
        }
        let temporal = [0u8, 2, 1, 2][((video.frame - video.keyframe_at) % 4) as usize];
        if temporal == 0 {
            video.base_layers = video.base_layers.wrapping_add(1);
        }
        for encoding in 0..3u8 {
            if !video.is_sent[usize::from(encoding)] {
                continue;
            }
            let parts = video.parts[usize::from(encoding)] * if is_keyframe { 3 } else { 1 };
            let hole = video.hole.filter(|(of, _)| *of == encoding && is_keyframe);
            if hole.is_some() {
                video.hole = None;
            }
            for part in 0..parts {
                let mut payload = vec![
                    0x80 | if part == 0 { 0x10 } else { 0 },
                    0xe0,
                    0x80 | (video.frame >> 8 & 0x7f) as u8,
                    video.frame as u8,
                    video.base_layers,
                    temporal << 6,
                ];
                let height = 180u16 << encoding;
                let [low, high] = height.to_le_bytes();
                let [wide_low, wide_high] = (height * 16 / 9).to_le_bytes();
                let tag = u8::from(!is_keyframe);
                if part == 0 {
                    let head = [tag, 0, 0, 0x9d, 1, 0x2a, wide_low, wide_high, low, high];
                    payload.extend(head);
                }
                let clear = payload.len();
                payload.resize(video.part_bytes, encoding);
                if video.is_encrypted {
                    // Ten bytes of a key frame are left in the clear, three of another one.
                    let clear = clear - if is_keyframe || part > 0 { 0 } else { 7 };
                    let mut noise = video.frame * 31 + u64::from(part) * 7 + 1;
                    for byte in &mut payload[clear..] {
                        noise = noise
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        *byte = (noise >> 56) as u8;
                    }
                }
                payload.extend(self.number.to_be_bytes());
                payload.push(encoding);
                payload.extend(video.frame.to_be_bytes());
                payload.extend([part, parts]);
                let number = &mut video.numbers[usize::from(encoding)];
                *number += 1;
                let is_missing = match hole {
                    None => false,
                    Some((_, Hole::First)) => part == 0,
                    Some((_, Hole::Last)) => part + 1 == parts,
                    Some((_, Hole::All)) => true,
                };
                if is_missing {
                    continue;
                }
                let timestamp = (video.frame * 3_000) as u32;
                let write = RtpWrite::new(100.into(), (*number).into(), timestamp, now, payload)
                    .marker(part + 1 == parts)
                    .nackable(true);
                let ssrc = ssrc + u32::from(encoding);
                self.rtc
                    .direct_api()
                    .stream_tx(&ssrc.into())
                    .unwrap()
                    .write_rtp(write);
                let is_padded = video
                    .padding_every
                    .is_some_and(|every| part + 1 == parts && video.frame % every == 0);
                if is_padded {
                    *number += 1;
                    let write = RtpWrite::new(
                        100.into(),
                        (*number).into(),
                        timestamp,
                        now,
                        Vec::<u8>::new(),
                    );
                    self.rtc
                        .direct_api()
                        .stream_tx(&ssrc.into())
                        .unwrap()
                        .write_rtp(write);
                }
            }
        }
        video.frame += 1;
    }

    pub(crate) fn receive(&mut self, now: Instant, parcel: &Parcel) {
        if self.is_gone {
            return;
        }
        self.clock = self.clock.max(now);
        let kind = DatagramKind::of(&parcel.data);
        self.reports += u64::from(kind == Some(DatagramKind::Rtcp));
        let received = Receive::new(Protocol::Udp, parcel.from, self.local, &parcel.data);
        let Ok(receive) = received else { return };
        let _ = self.rtc.handle_input(Input::Receive(self.clock, receive));
        self.drain();
    }

    pub(crate) fn drive(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.is_gone {
            return Vec::new();
        }
        self.clock = self.clock.max(now);
        for _ in 0..200 {
            if self.rtc.handle_input(Input::Timeout(self.clock)).is_err() {
                break;
            }
            self.drain();
            if self.wake > now {
                break;
            }
            self.clock = self.clock.max(self.wake);
        }
        std::mem::take(&mut self.outbox)
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(RtcOutput::Timeout(wake)) => {
                    self.wake = wake;
                    return;
                }
                Ok(RtcOutput::Transmit(transmit)) => {
                    self.outbox
                        .push((transmit.destination, transmit.contents.into()));
                }
                Ok(RtcOutput::Event(event)) => self.handle_event(event),
                Err(_) => return,
            }
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.is_connected = true;
                if self.offer.has_data_channel {
                    self.rtc.direct_api().create_data_channel(ChannelConfig {
                        label: "JVB data channel".into(),
                        protocol: "http://jitsi.org/protocols/colibri".into(),
                        ..ChannelConfig::default()
                    });
                }
            }
            Event::ChannelOpen(id, _) => self.data_channel = Some(id),
            Event::ChannelData(data) => {
                let text = serde_json::from_slice(&data.data).unwrap();
                self.hear(text);
            }
            Event::KeyframeRequest(_) => {
                self.keyframe_requests += 1;
                self.keyframes_asked.push(self.clock);
                if let Some(video) = &mut self.video {
                    video.wants_keyframe = true;
                }
            }
            Event::RtpPacket(packet) => self.remember(packet),
            _ => {}
        }
    }

    fn remember(&mut self, packet: RtpPacket) {
        let ssrc = *packet.header.ssrc;
        self.received.push(Received {
            ssrc,
            is_video: [41, 100, 101, 107].contains(&*packet.header.payload_type),
            payload_type: *packet.header.payload_type,
            mapped: self.owners(ssrc),
            number: *packet.seq_no,
            timestamp: packet.header.timestamp,
            at: packet.timestamp,
            level: packet.header.ext_vals.audio_level,
            is_marked: packet.header.marker,
            descriptor: packet
                .header
                .ext_vals
                .user_values
                .get::<DescriptorBytes>()
                .map(|bytes| bytes.0.clone()),
            payload: packet.payload,
        });
    }

    fn owners(&self, ssrc: u32) -> Vec<String> {
        let formerly = self.formerly.get(&ssrc);
        let formerly = formerly.filter(|(_, until)| self.clock - *until < IN_FLIGHT);
        let now = self.mapped.get(&ssrc);
        now.into_iter()
            .chain(formerly.map(|(name, _)| name))
            .cloned()
            .collect()
    }

    /// What arrived in one stream, in order of numbers.
    pub(crate) fn stream(&self, ssrc: u32) -> Vec<Received> {
        let mut packets: Vec<Received> = self
            .received
            .iter()
            .filter(|packet| packet.ssrc == ssrc)
            .cloned()
            .collect();
        packets.sort_by_key(|packet| packet.number);
        packets
    }

    /// The last message of a class.
    pub(crate) fn last(&self, class: &str) -> Option<&Value> {
        self.texts
            .iter()
            .rev()
            .find(|text| text["colibriClass"] == class)
    }
}

const PART_BYTES: usize = 700;
/// At the end of each packet of video: who made it, encoding, frame, part, number of parts.
const STAMP_BYTES: usize = 15;
/// A message by WebSocket overtakes packets by so much.
const IN_FLIGHT: Duration = Duration::from_millis(50);
