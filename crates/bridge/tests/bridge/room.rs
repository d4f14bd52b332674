//! A bridge and its clients on virtual time, without sockets.
//!
//! Clients are what a browser is to the bridge: ICE controlled, DTLS active, Opus with levels, VP8
//! in three encodings with three temporal layers each. Payloads carry where they come from, so
//! that a test can tell what a receiver was really sent.

use std::collections::{BTreeMap, VecDeque};
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
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpPacket, RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output as RtcOutput, Rtc, RtcConfig};
use tertulia_bridge::{Batch, Config, DatagramRoute, Output, Statistics, Worker, install_crypto};
use tertulia_model::bridge::{EndpointOffer, IceCredentials, LocalTransport, RemoteTransport};
use tertulia_model::{
    AllocationId, BridgeCommand, BridgeEvent, ChannelId, ConferenceId, Encoding, EndpointId,
    Fingerprint, MediaType, Now, Random, Source, Ssrc, VideoType,
};

/// Everything.
pub(crate) struct Room {
    pub(crate) now: Now,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clients: Vec<Client>,
    pub(crate) events: Vec<(ConferenceId, BridgeEvent)>,
    pub(crate) conference: ConferenceId,
    /// One way.
    pub(crate) delay: Duration,
    pub(crate) conference_worker: usize,
    wire: VecDeque<(Instant, bool, Parcel)>,
    random: Random,
    allocations: u64,
    batch: Batch,
}

pub(crate) struct Parcel {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) data: Vec<u8>,
}

/// A participant's transport and media.
pub(crate) struct Client {
    pub(crate) id: EndpointId,
    pub(crate) allocation: AllocationId,
    pub(crate) address: SocketAddr,
    pub(crate) transport: LocalTransport,
    pub(crate) offer: EndpointOffer,
    pub(crate) rtc: Rtc,
    clock: Instant,
    wake: Instant,
    pub(crate) is_connected: bool,
    pub(crate) is_gone: bool,
    is_published: bool,
    number: u32,
    mids: u32,
    /// Percent of datagrams that are lost.
    pub(crate) loss_up: u32,
    pub(crate) loss_down: u32,
    /// Bits per second on the way to the client; more waits, and what would wait long is lost.
    pub(crate) rate_down: Option<u64>,
    link_free_at: Option<Instant>,
    pub(crate) data_channel: Option<DataChannelId>,
    pub(crate) websocket: Option<ChannelId>,
    pub(crate) texts: Vec<Value>,
    pub(crate) received: Vec<Received>,
    pub(crate) keyframe_requests: u32,
    pub(crate) audio: Option<Audio>,
    pub(crate) video: Option<Video>,
    audio_due: Instant,
    video_due: Instant,
    expected: BTreeMap<u32, ()>,
    outbox: Vec<(SocketAddr, Vec<u8>)>,
}

/// What the microphone does.
#[derive(Clone, Copy)]
pub(crate) struct Audio {
    /// 0 is silence, 127 the loudest.
    pub(crate) level: u8,
    number: u64,
}

/// What the camera does.
pub(crate) struct Video {
    /// Which encodings are sent.
    pub(crate) is_sent: [bool; 3],
    wants_keyframe: bool,
    frame: u64,
    keyframe_at: u64,
    numbers: [u64; 3],
    base_layers: u8,
    pub(crate) padding_every: Option<u64>,
}

/// A packet as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) ssrc: u32,
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) at: Instant,
    pub(crate) level: Option<i8>,
    pub(crate) payload: Arc<[u8]>,
}

impl Received {
    /// Encoding, frame, part, number of parts as the sender wrote them into a video packet.
    pub(crate) fn stamp(&self) -> (u8, u64, u8, u8) {
        let stamp = &self.payload[self.payload.len() - 11..];
        let frame = u64::from_be_bytes(stamp[1..9].try_into().unwrap());
        (stamp[0], frame, stamp[9], stamp[10])
    }

    pub(crate) fn is_keyframe_start(&self) -> bool {
        str0m::rtp::Vp8Descriptor::parse(&self.payload)
            .is_ok_and(|descriptor| descriptor.starts_keyframe(&self.payload))
    }
}

pub(crate) const OFFER: EndpointOffer = EndpointOffer {
    has_rtx: true,
    has_transport_cc: true,
    has_data_channel: true,
    is_loopback: false,
};

impl Room {
    pub(crate) fn new(config: Config) -> Room {
        install_crypto();
        let now = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        let config = Arc::new(config);
        let workers = (0..config.workers)
            .map(|index| Worker::new(Arc::clone(&config), index, [index as u8; 32], now))
            .collect();
        Room {
            now,
            workers,
            clients: Vec::new(),
            events: Vec::new(),
            conference: ConferenceId::new("c0ffee"),
            delay: Duration::from_millis(5),
            conference_worker: 0,
            wire: VecDeque::new(),
            random: Random::from_seed([42; 32]),
            allocations: 0,
            batch: Batch::default(),
        }
    }

    pub(crate) fn worker(&mut self) -> &mut Worker {
        &mut self.workers[self.conference_worker]
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let mut sum = Statistics::default();
        for worker in &self.workers {
            sum += worker.statistics();
        }
        sum
    }

    pub(crate) fn command(&mut self, command: BridgeCommand) {
        let (now, conference) = (self.now, self.conference.clone());
        let mut batch = std::mem::take(&mut self.batch);
        self.worker()
            .handle_command(now, &conference, command, &mut batch);
        self.batch = batch;
        self.collect();
    }

    /// Allocates an endpoint without answering.
    pub(crate) fn allocate(
        &mut self,
        id: &str,
        offer: EndpointOffer,
    ) -> (AllocationId, LocalTransport) {
        self.allocations += 1;
        let allocation = AllocationId(self.allocations);
        self.command(BridgeCommand::Allocate {
            endpoint: id.parse().unwrap(),
            allocation,
            offer,
        });
        let transport = self.events.iter().find_map(|(_, event)| match event {
            BridgeEvent::Allocated {
                allocation: of,
                transport,
            } if *of == allocation => Some(transport.clone()),
            _ => None,
        });
        (allocation, transport.expect("allocated"))
    }

    /// A client that answers its invitation; gives back its index.
    pub(crate) fn join(&mut self, id: &str) -> usize {
        self.join_with(id, OFFER, |_| {})
    }

    pub(crate) fn join_with(
        &mut self,
        id: &str,
        offer: EndpointOffer,
        change: impl FnOnce(&mut RemoteTransport),
    ) -> usize {
        let (allocation, transport) = self.allocate(id, offer);
        let number = self.clients.len() as u32 + 1;
        let address = SocketAddr::from(([198, 51, 100, number as u8], 40_000));
        let mut client = Client::new(id, number, allocation, transport, offer, address, self.now);
        let mut remote = client.answer();
        change(&mut remote);
        self.clients.push(client);
        self.command(BridgeCommand::Connect {
            allocation,
            transport: remote,
        });
        self.clients.len() - 1
    }

    /// Joins so many clients with microphone and camera, all known to each other, and waits until
    /// they are connected.
    pub(crate) fn party(&mut self, names: &[&str]) {
        for name in names {
            let index = self.join(name);
            self.publish(index);
        }
        self.run_until(Duration::from_secs(5), |room| {
            room.clients.iter().all(|client| client.is_connected)
        });
        let connected = self
            .clients
            .iter()
            .filter(|client| client.is_connected)
            .count();
        assert_eq!(connected, self.clients.len(), "all connected");
    }

    /// Signals the sources of a client to the bridge and to all others.
    pub(crate) fn publish(&mut self, index: usize) {
        let sources = self.clients[index].sources();
        let allocation = self.clients[index].allocation;
        self.clients[index].declare();
        self.command(BridgeCommand::SetSources {
            allocation,
            sources,
        });
        for other in 0..self.clients.len() {
            for (receiver, sender) in [(other, index), (index, other)] {
                if receiver != sender && self.clients[sender].is_published {
                    let number = self.clients[sender].number;
                    self.clients[receiver].expect(number);
                }
            }
        }
    }

    /// Everybody asks for everything up to a height.
    pub(crate) fn all_ask(&mut self, height: i32) {
        for index in 0..self.clients.len() {
            self.ask(index, height);
        }
    }

    pub(crate) fn ask(&mut self, index: usize, height: i32) {
        self.say(
            index,
            &format!(
                r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":-1,
                "defaultConstraints":{{"maxHeight":{height}}}}}"#
            ),
        );
    }

    /// Sends a message by the client's WebSocket, opening one if there is none, or by its data
    /// channel.
    pub(crate) fn say(&mut self, index: usize, text: &str) {
        let (now, mut batch) = (self.now, std::mem::take(&mut self.batch));
        if let Some(channel) = self.clients[index].websocket {
            self.worker()
                .handle_channel_text(now, channel, text, &mut batch);
        } else if let Some(id) = self.clients[index].data_channel {
            let client = &mut self.clients[index];
            assert!(
                client
                    .rtc
                    .channel(id)
                    .unwrap()
                    .write(false, text.as_bytes())
                    .unwrap()
            );
        } else {
            self.batch = batch;
            self.open_websocket(index);
            return self.say(index, text);
        }
        self.batch = batch;
        self.collect();
    }

    pub(crate) fn open_websocket(&mut self, index: usize) -> ChannelId {
        self.allocations += 1;
        let channel = ChannelId(self.allocations);
        let (id, password) = (
            self.clients[index].id.clone(),
            self.clients[index].transport.channel_password.clone(),
        );
        let (now, conference) = (self.now, self.conference.clone());
        self.worker()
            .open_channel(now, &conference, &id, &password, channel)
            .expect("the channel opens");
        self.clients[index].websocket = Some(channel);
        self.collect();
        channel
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    pub(crate) fn run_until(&mut self, time: Duration, is_done: impl Fn(&Room) -> bool) {
        let end = self.now.mono + time;
        while self.now.mono < end && !is_done(self) {
            self.now = self.now.later(STEP);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for client in &mut self.clients {
            client.produce(now.mono);
        }
        self.deliver();
        for index in 0..self.workers.len() {
            let mut batch = std::mem::take(&mut self.batch);
            let worker = &mut self.workers[index];
            if worker.next_timeout().is_some_and(|at| at <= now.mono) {
                worker.handle_timeout(now, &mut batch);
            }
            self.batch = batch;
        }
        self.collect();
        for index in 0..self.clients.len() {
            self.drive(index);
        }
    }

    /// Hands over what has arrived by now.
    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<_> = {
            let (due, waiting) = std::mem::take(&mut self.wire)
                .into_iter()
                .partition(|(at, ..)| *at <= now.mono);
            self.wire = waiting;
            let due: VecDeque<_> = due;
            due.into_iter().collect()
        };
        let mut batch = std::mem::take(&mut self.batch);
        for (_, is_up, parcel) in due {
            if is_up {
                self.receive(&parcel, &mut batch);
            } else if let Some(client) = self
                .clients
                .iter_mut()
                .find(|client| client.address == parcel.to)
            {
                client.receive(now.mono, &parcel);
            }
        }
        for worker in &mut self.workers {
            worker.finish_batch(now, &mut batch);
        }
        self.batch = batch;
    }

    /// The kernel picks any worker's socket; the worker knows whose it is.
    fn receive(&mut self, parcel: &Parcel, batch: &mut Batch) {
        let arrives_at = usize::from(parcel.from.port()) % self.workers.len();
        let now = self.now;
        let owner = match self.workers[arrives_at].route(now, parcel.from, &parcel.data) {
            DatagramRoute::Here => arrives_at,
            DatagramRoute::Worker(index) => usize::from(index),
            DatagramRoute::Drop => return,
        };
        self.workers[owner].handle_datagram(now, parcel.from, parcel.to, &parcel.data, batch);
    }

    /// A datagram from anywhere arrives.
    pub(crate) fn inject(&mut self, from: SocketAddr, data: &[u8]) {
        let mut batch = std::mem::take(&mut self.batch);
        let parcel = Parcel {
            from,
            to: BRIDGE.parse().unwrap(),
            data: data.to_vec(),
        };
        self.receive(&parcel, &mut batch);
        for worker in &mut self.workers {
            worker.finish_batch(self.now, &mut batch);
        }
        self.batch = batch;
        self.collect();
    }

    /// Puts what the bridge wants on its way.
    pub(crate) fn collect(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        for transmit in batch.transmits {
            let Some(client) = self
                .clients
                .iter_mut()
                .find(|client| client.address == transmit.destination)
            else {
                continue;
            };
            if self.random.u32() % 100 < client.loss_down {
                continue;
            }
            let mut at = self.now.mono + self.delay;
            if let Some(rate) = client.rate_down {
                let bits = transmit.contents.len() as u64 * 8;
                let free = client.link_free_at.unwrap_or(at).max(self.now.mono);
                if free > self.now.mono + Duration::from_millis(300) {
                    continue;
                }
                let free = free + Duration::from_nanos(bits * 1_000_000_000 / rate);
                client.link_free_at = Some(free);
                at = free + self.delay;
            }
            let parcel = Parcel {
                from: transmit.source,
                to: transmit.destination,
                data: transmit.contents,
            };
            self.wire.push_back((at, false, parcel));
        }
        for worker in &mut self.workers {
            while let Some(output) = worker.poll_output() {
                match output {
                    Output::Event { conference, event } => self.events.push((conference, event)),
                    Output::ChannelText { channel, text } => {
                        let client = self
                            .clients
                            .iter_mut()
                            .find(|client| client.websocket == Some(channel));
                        if let Some(client) = client {
                            client.texts.push(serde_json::from_str(&text).unwrap());
                        }
                    }
                    Output::ChannelClose { channel, code, .. } => {
                        for client in &mut self.clients {
                            if client.websocket == Some(channel) {
                                client.websocket = None;
                                client.texts.push(Value::from(code));
                            }
                        }
                    }
                }
            }
        }
    }

    fn drive(&mut self, index: usize) {
        let now = self.now.mono;
        let client = &mut self.clients[index];
        let sent = client.drive(now);
        for (to, data) in sent {
            if self.random.u32() % 100 < self.clients[index].loss_up {
                continue;
            }
            let parcel = Parcel {
                from: self.clients[index].address,
                to,
                data,
            };
            self.wire.push_back((now + self.delay, true, parcel));
        }
    }

    /// Whether such an event was told.
    pub(crate) fn count(&self, is_it: impl Fn(&BridgeEvent) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| is_it(event)).count()
    }
}

impl Client {
    fn new(
        id: &str,
        number: u32,
        allocation: AllocationId,
        transport: LocalTransport,
        offer: EndpointOffer,
        address: SocketAddr,
        now: Now,
    ) -> Client {
        let mut extensions = ExtensionMap::empty();
        extensions.set(1, Extension::AudioLevel);
        extensions.set(3, Extension::AbsoluteSendTime);
        if offer.has_transport_cc {
            extensions.set(5, Extension::TransportSequenceNumber);
        }
        let mut config = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .set_extension_map(extensions);
        let codecs = config.codec_config();
        codecs.add_config(
            111.into(),
            None,
            Codec::Opus,
            Frequency::FORTY_EIGHT_KHZ,
            Some(2),
            FormatParams::default(),
        );
        codecs.add_config(
            100.into(),
            offer.has_rtx.then_some(96.into()),
            Codec::Vp8,
            Frequency::NINETY_KHZ,
            None,
            FormatParams::default(),
        );
        let mut rtc = config.build(now.mono);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        for candidate in &transport.candidates {
            rtc.add_remote_candidate(Candidate::host(candidate.address, "udp").unwrap());
        }
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(false);
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
        direct.start_dtls(true).unwrap();
        if offer.has_data_channel {
            direct.start_sctp(true);
        }
        Client {
            id: id.parse().unwrap(),
            allocation,
            address,
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
            loss_up: 0,
            loss_down: 0,
            rate_down: None,
            link_free_at: None,
            data_channel: None,
            websocket: None,
            texts: Vec::new(),
            received: Vec::new(),
            keyframe_requests: 0,
            audio: None,
            video: None,
            audio_due: now.mono,
            video_due: now.mono,
            expected: BTreeMap::new(),
            outbox: Vec::new(),
        }
    }

    fn answer(&mut self) -> RemoteTransport {
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
            is_active: true,
            candidates: Vec::new(),
            initial_last_n: None,
        }
    }

    pub(crate) fn audio_ssrc(&self) -> u32 {
        self.number * 1_000 + 1
    }

    /// The primary SSRC of the camera.
    pub(crate) fn video_ssrc(&self) -> u32 {
        self.number * 1_000 + 11
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
    fn declare(&mut self) {
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
            direct.declare_stream_tx((video + n).into(), rtx, mid, None);
        }
    }

    /// Gets ready to receive somebody's sources.
    fn expect(&mut self, number: u32) {
        let has_rtx = self.offer.has_rtx;
        if self.expected.insert(number, ()).is_some() {
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

    pub(crate) fn speak(&mut self, level: u8) {
        let number = self
            .audio
            .map_or(u64::from(self.number) * 9_000 % 65_000, |audio| {
                audio.number
            });
        self.audio = Some(Audio { level, number });
    }

    pub(crate) fn film(&mut self) {
        self.video = Some(Video {
            is_sent: [true; 3],
            wants_keyframe: true,
            frame: 0,
            keyframe_at: 0,
            numbers: [0, 1, 2].map(|n| 65_000 + 200 * n),
            base_layers: 0,
            padding_every: None,
        });
    }

    /// Asks the sender of a stream for a key frame, as a decoder would.
    pub(crate) fn request_keyframe(&mut self, ssrc: u32) {
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_rx(&ssrc.into()).expect("expected stream");
        stream.request_keyframe(str0m::media::KeyframeRequestKind::Pli);
    }

    fn produce(&mut self, now: Instant) {
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
        let timestamp = (audio.number * 960) as u32;
        let write = RtpWrite::new(111.into(), numbered(audio.number), timestamp, now, payload)
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
            let parts = (1u8 << encoding) * if is_keyframe { 3 } else { 1 };
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
                payload.resize(PART_BYTES, encoding);
                payload.push(encoding);
                payload.extend(video.frame.to_be_bytes());
                payload.extend([part, parts]);
                let number = &mut video.numbers[usize::from(encoding)];
                *number += 1;
                let timestamp = (video.frame * 3_000) as u32;
                let write = RtpWrite::new(100.into(), numbered(*number), timestamp, now, payload)
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
                        numbered(*number),
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
        let received = Receive::new(Protocol::Udp, parcel.from, parcel.to, &parcel.data);
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
                self.texts.push(serde_json::from_slice(&data.data).unwrap());
            }
            Event::KeyframeRequest(_) => {
                self.keyframe_requests += 1;
                if let Some(video) = &mut self.video {
                    video.wants_keyframe = true;
                }
            }
            Event::RtpPacket(packet) => self.remember(packet),
            _ => {}
        }
    }

    fn remember(&mut self, packet: RtpPacket) {
        self.received.push(Received {
            ssrc: *packet.header.ssrc,
            number: *packet.seq_no,
            timestamp: packet.header.timestamp,
            at: packet.timestamp,
            level: packet.header.ext_vals.audio_level,
            payload: packet.payload,
        });
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

const STEP: Duration = Duration::from_millis(1);
const PART_BYTES: usize = 700;
pub(crate) const BRIDGE: &str = "192.0.2.1:10000";

/// str0m counts roll-overs itself from the first number, which must be small.
fn numbered(number: u64) -> SeqNo {
    number.into()
}
