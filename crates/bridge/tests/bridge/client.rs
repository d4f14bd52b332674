//! What a browser is to the bridge: ICE controlled, DTLS active, Opus with levels, VP8 in three
//! encodings with three temporal layers each.
//!
//! Payloads carry where they come from, so that a test can tell what a receiver was really sent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use str0m::channel::ChannelId as DataChannelId;
use str0m::media::MediaKind;
use str0m::rtp::RtpPacket;
use tertulia_model::bridge::{EndpointOffer, IceCredentials, LocalTransport, RemoteTransport};
use tertulia_model::{
    AllocationId, ChannelId, Encoding, EndpointId, Fingerprint, MediaType, Now, Source, Ssrc,
    VideoType,
};
use tertulia_peer::{AV1, H264, Made, OPUS, Parcel, Peer, RED, VP8, VP9};
use tertulia_transport::datagram::DatagramKind;

use super::link::Way;

/// A participant's transport and media.
pub(crate) struct Client {
    pub(crate) id: EndpointId,
    pub(crate) allocation: AllocationId,
    /// Where the bridge sees it.
    pub(crate) address: SocketAddr,
    pub(crate) transport: LocalTransport,
    pub(crate) offer: EndpointOffer,
    /// Its end, with the address where it sees itself; another one behind a NAT.
    pub(crate) peer: Peer,
    clock: Instant,
    pub(crate) is_connected: bool,
    pub(crate) is_gone: bool,
    pub(crate) is_published: bool,
    pub(crate) number: u32,
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
        let of_peer = tertulia_peer::Habits {
            is_dtls_server: habits.is_dtls_server,
            is_controlling: habits.is_controlling,
            has_no_channel: !offer.has_data_channel,
            has_no_rtx: !offer.has_rtx,
            has_no_feedback: !offer.has_transport_cc,
            has_no_statistics: true,
            ..tertulia_peer::Habits::default()
        };
        let mut peer = Peer::new(address, of_peer, now.mono);
        let ice = (transport.ice.ufrag.clone(), transport.ice.pwd.clone());
        let Fingerprint { hash, bytes } = transport.fingerprint.clone();
        let candidates = transport.candidates.iter();
        let candidates: Vec<SocketAddr> = candidates.map(|one| one.address).collect();
        peer.connect(ice, (hash, bytes), &candidates);
        Client {
            id: id.parse().unwrap(),
            allocation,
            address,
            transport,
            offer,
            peer,
            clock: now.mono,
            is_connected: false,
            is_gone: false,
            is_published: false,
            number,
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
        }
    }

    pub(crate) fn answer(&mut self) -> RemoteTransport {
        let ((ufrag, pwd), (hash, bytes)) = (self.peer.credentials(), self.peer.fingerprint());
        RemoteTransport {
            ice: IceCredentials { ufrag, pwd },
            fingerprint: Fingerprint { hash, bytes },
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

    /// Gets ready to send.
    pub(crate) fn declare(&mut self) {
        self.is_published = true;
        let (audio, video) = (self.audio_ssrc(), self.video_ssrc());
        self.peer.add_stream(audio, None, MediaKind::Audio);
        for video in video..video + 3 {
            let rtx = self.offer.has_rtx.then_some(video + 10);
            self.peer.add_stream(video, rtx, MediaKind::Video);
        }
    }

    /// Gets ready to receive somebody's sources.
    pub(crate) fn expect(&mut self, number: u32) {
        if self.offer.has_ssrc_rewriting || !self.expected.insert(number) {
            return;
        }
        let (audio, video) = (number * 1_000 + 1, number * 1_000 + 11);
        let rtx = self.offer.has_rtx.then_some(video + 10);
        self.peer.expect_stream(audio, None, MediaKind::Audio);
        self.peer.expect_stream(video, rtx, MediaKind::Video);
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
                    let rtx = rtx.filter(|_| self.offer.has_rtx);
                    self.peer.expect_stream(ssrc, rtx, kind);
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
        self.address = address.unwrap_or(self.address);
        let (ufrag, pwd) = (self.peer).restart_ice((ice.ufrag.clone(), ice.pwd.clone()), address);
        IceCredentials { ufrag, pwd }
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

    /// Sends a packet of one encoding that a test has made.
    pub(crate) fn write(&mut self, now: Instant, encoding: u8, made: Made) {
        let ssrc = self.video_ssrc() + u32::from(encoding);
        self.peer.write(now, ssrc, made);
    }

    /// Asks the sender of a stream for a key frame, as a decoder would.
    pub(crate) fn request_keyframe(&mut self, ssrc: u32) {
        self.peer.request_keyframe(ssrc);
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
        let mut payload = vec![0x78; 80];
        payload[..8].copy_from_slice(&audio.number.to_be_bytes());
        payload[8..12].copy_from_slice(&self.number.to_be_bytes());
        let timestamp = (audio.number * 960) as u32;
        let mut payload_type = OPUS;
        if let Some(before) = &mut audio.redundancy {
            let before = std::mem::replace(before, payload.clone());
            let [_, a, b, c] = (960 << 10 | before.len() as u32).to_be_bytes();
            payload = [&[0x80 | OPUS, a, b, c, OPUS], &before[..], &payload[..]].concat();
            payload_type = RED;
        }
        if audio.is_encrypted {
            for byte in &mut payload[1..] {
                *byte ^= 0xa5;
            }
        }
        let made = Made {
            payload_type,
            number: audio.number,
            timestamp,
            payload,
            level: Some((127 - audio.level, audio.level > 40)),
            ..Made::default()
        };
        self.peer.write(now, ssrc, made);
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
                let made = Made {
                    payload_type: VP8,
                    number: *number,
                    timestamp,
                    is_marked: part + 1 == parts,
                    payload,
                    ..Made::default()
                };
                let ssrc = ssrc + u32::from(encoding);
                self.peer.write(now, ssrc, made);
                let is_padded = video
                    .padding_every
                    .is_some_and(|every| part + 1 == parts && video.frame % every == 0);
                if is_padded {
                    *number += 1;
                    let padding = Made {
                        payload_type: VP8,
                        number: *number,
                        timestamp,
                        ..Made::default()
                    };
                    self.peer.write(now, ssrc, padding);
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
        let way = (parcel.from, self.peer.address);
        // What a test breaks on purpose is an error here.
        let _ = self.peer.receive(self.clock, way, &parcel.data);
        self.note();
    }

    /// What it sends now, as the bridge sees it.
    pub(crate) fn drive(&mut self, now: Instant) -> Vec<Parcel> {
        if self.is_gone {
            return Vec::new();
        }
        self.clock = self.clock.max(now);
        let _ = self.peer.drive(self.clock);
        self.note();
        let mut sent = std::mem::take(&mut self.peer.outbox);
        for parcel in &mut sent {
            parcel.from = self.address;
        }
        sent
    }

    /// Takes in what its end has noticed.
    fn note(&mut self) {
        self.is_connected = self.peer.is_connected;
        self.data_channel = self.peer.channel;
        for text in std::mem::take(&mut self.peer.texts) {
            self.hear(serde_json::from_str(&text).unwrap());
        }
        for _ in self.peer.keyframes_wanted.drain(..) {
            self.keyframe_requests += 1;
            self.keyframes_asked.push(self.clock);
            if let Some(video) = &mut self.video {
                video.wants_keyframe = true;
            }
        }
        for packet in std::mem::take(&mut self.peer.received) {
            self.remember(packet);
        }
    }

    fn remember(&mut self, packet: RtpPacket) {
        let ssrc = *packet.header.ssrc;
        self.received.push(Received {
            ssrc,
            is_video: [AV1, VP8, VP9, H264].contains(&*packet.header.payload_type),
            payload_type: *packet.header.payload_type,
            mapped: self.owners(ssrc),
            number: *packet.seq_no,
            timestamp: packet.header.timestamp,
            at: packet.timestamp,
            level: packet.header.ext_vals.audio_level,
            is_marked: packet.header.marker,
            descriptor: tertulia_peer::descriptor(&packet).map(<[u8]>::to_vec),
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
