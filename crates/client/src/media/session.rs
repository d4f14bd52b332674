use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::RtcError;
use tertulia_model::bridge::IceCredentials;
use tertulia_model::{Encoding, Fingerprint, MediaType, Random, Source, SourceName, Ssrc};

use super::camera::Packetizer;
use super::leg::{Leg, LegEvent, TransportOffer, Write};
use super::microphone::Microphone;
use super::{Camera, Flaw, Layer, Reception, Transmit};

/// What a client sends and how often; the sources' names and SSRCs come from its session.
pub(crate) struct Sending {
    pub(crate) audio: Source,
    pub(crate) video: Option<Source>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) camera: Option<Box<dyn Camera>>,
    pub(crate) audio_interval: Duration,
    pub(crate) video_interval: Duration,
}

/// What the client wants to send right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) is_speaking: bool,
    pub(crate) is_audio_muted: bool,
    pub(crate) is_video_muted: bool,
}

/// What the media of one session has to say.
#[derive(Debug)]
pub(crate) enum MediaEvent {
    Connected,
    /// The path is dead; the focus should make a new one.
    Dead,
    ChannelOpen,
    ChannelText(String),
    Flaw(SourceName, Flaw),
}

/// The media of one Jingle session: the transport, what goes out, what comes in.
pub(crate) struct MediaSession {
    leg: Leg,
    offer: TransportOffer,
    sending: Sending,
    live: Live,
    microphone: Microphone,
    audio: Outgoing,
    layers: Vec<(Outgoing, Packetizer)>,
    /// Lines that receivers want at most; None before the bridge said so.
    height_max: Option<i32>,
    audio_due: Option<Instant>,
    video_due: Option<Instant>,
    dead_since: Option<Instant>,
    remote: BTreeMap<SourceName, Remote>,
    by_ssrc: BTreeMap<Ssrc, SourceName>,
    next_number: u16,
    events: VecDeque<MediaEvent>,
    is_connected: bool,
}

/// Something that somebody else sends.
struct Remote {
    number: u16,
    encoding: Encoding,
    reception: Reception,
}

/// Numbers of one stream that we send.
struct Outgoing {
    ssrc: Ssrc,
    seq: u64,
    time_base: u32,
    started: Instant,
}

impl MediaSession {
    pub(crate) fn new(
        offer: TransportOffer,
        sending: Sending,
        live: Live,
        local: SocketAddr,
        mine: &IceCredentials,
        random: &mut Random,
        now: Instant,
    ) -> Result<MediaSession, RtcError> {
        let mut leg = Leg::new(&offer, local, mine, now)?;
        let sources = [Some(&sending.audio), sending.video.as_ref()];
        let encodings = sources.into_iter().flatten().flat_map(|source| {
            source
                .encodings
                .iter()
                .map(|encoding| (source.media, *encoding))
        });
        let mut outgoing = Vec::new();
        for (number, (media, encoding)) in (0..).zip(encodings) {
            leg.send_encoding(number, media, encoding);
            outgoing.push(Outgoing::new(encoding.primary, random, now));
        }
        let audio_ssrc = sending.audio.primary().unwrap_or(Ssrc(0));
        let audio = outgoing.remove(0);
        let layers = outgoing
            .into_iter()
            .map(|o| (o, Packetizer::new(random)))
            .collect();
        Ok(MediaSession {
            leg,
            offer,
            sending,
            live,
            microphone: Microphone::new(audio_ssrc),
            audio,
            layers,
            height_max: None,
            audio_due: None,
            video_due: None,
            dead_since: None,
            remote: BTreeMap::new(),
            by_ssrc: BTreeMap::new(),
            next_number: 0,
            events: VecDeque::new(),
            is_connected: false,
        })
    }

    pub(crate) fn fingerprint(&mut self) -> Fingerprint {
        self.leg.fingerprint()
    }

    /// Another participant's source was announced. Announcing it again changes nothing.
    pub(crate) fn add_remote(&mut self, source: &Source) {
        let Some(encoding) = source.encodings.first() else {
            return;
        };
        if self.by_ssrc.contains_key(&encoding.primary) || self.remote.contains_key(&source.name) {
            tracing::debug!(source = %source.name, "source was announced twice");
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.leg.expect(number, source.media, *encoding);
        self.by_ssrc.insert(encoding.primary, source.name.clone());
        let reception = Reception::new(encoding.primary, source.media);
        let remote = Remote {
            number,
            encoding: *encoding,
            reception,
        };
        self.remote.insert(source.name.clone(), remote);
    }

    /// Another participant's source is gone.
    pub(crate) fn remove_remote(&mut self, name: &SourceName) {
        if let Some(remote) = self.remote.remove(name) {
            self.by_ssrc.remove(&remote.encoding.primary);
            self.leg.forget(remote.number, remote.encoding.primary);
        }
    }

    /// The sources announced by others, with what has come of them.
    pub(crate) fn remote(&self) -> impl Iterator<Item = (&SourceName, Ssrc, &Reception)> {
        self.remote
            .iter()
            .map(|(name, remote)| (name, remote.encoding.primary, &remote.reception))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.is_connected
    }

    pub(crate) fn set_live(&mut self, live: Live) {
        self.live = live;
    }

    /// The bridge says how many lines of our camera anybody wants.
    pub(crate) fn set_height_max(&mut self, height_max: i32) {
        self.height_max = Some(height_max);
    }

    pub(crate) fn send_text(&mut self, text: &str, now: Instant) -> bool {
        let is_sent = self.leg.send_text(text);
        self.turn(now);
        is_sent
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &[u8]) {
        self.leg.handle_datagram(now, from, data);
        self.drain(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.audio_due.is_some_and(|due| due <= now) {
            self.send_audio(now);
        }
        if self.video_due.is_some_and(|due| due <= now) {
            self.send_video(now);
        }
        for remote in self.remote.values_mut() {
            if remote
                .reception
                .next_timeout()
                .is_some_and(|due| due <= now)
            {
                remote.reception.handle_timeout(now);
            }
        }
        if self
            .dead_since
            .is_some_and(|since| since + DEAD_AFTER <= now)
        {
            self.dead_since = None;
            self.events.push_back(MediaEvent::Dead);
        }
        self.turn(now);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let receptions = self
            .remote
            .values()
            .filter_map(|r| r.reception.next_timeout());
        let dead = self.dead_since.map(|since| since + DEAD_AFTER);
        [
            self.leg.next_timeout(),
            self.audio_due,
            self.video_due,
            dead,
        ]
        .into_iter()
        .flatten()
        .chain(receptions)
        .min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.leg.poll_transmit()
    }

    fn turn(&mut self, now: Instant) {
        self.leg.turn(now);
        self.drain(now);
    }

    /// Takes what the transport has to say to where it belongs.
    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.leg.poll_event() {
            match event {
                LegEvent::Connected => {
                    self.is_connected = true;
                    self.audio_due = Some(now);
                    self.video_due = self.sending.video.as_ref().map(|_| now);
                    self.events.push_back(MediaEvent::Connected);
                }
                LegEvent::Unreachable => self.dead_since = self.dead_since.or(Some(now)),
                LegEvent::Reachable => self.dead_since = None,
                LegEvent::ChannelOpen => self.events.push_back(MediaEvent::ChannelOpen),
                LegEvent::ChannelText(text) => self.events.push_back(MediaEvent::ChannelText(text)),
                LegEvent::Packet(ssrc, packet) => {
                    let name = self.by_ssrc.get(&ssrc);
                    if let Some(remote) = name.and_then(|name| self.remote.get_mut(name)) {
                        remote.reception.handle_packet(packet);
                    }
                }
                LegEvent::KeyFrameWanted => {
                    if let Some(camera) = &mut self.sending.camera {
                        camera.request_key_frame();
                    }
                }
            }
        }
        for (name, remote) in &mut self.remote {
            while let Some(flaw) = remote.reception.poll_flaw() {
                self.events.push_back(MediaEvent::Flaw(name.clone(), flaw));
            }
            if remote.reception.take_key_frame_request(now) {
                self.leg.request_key_frame(remote.encoding.primary);
            }
        }
    }

    fn send_audio(&mut self, now: Instant) {
        self.audio_due = Some(now + self.sending.audio_interval);
        // A muted microphone goes on sending silence (Chromium and Firefox do).
        let level = match self.live {
            Live {
                is_audio_muted: true,
                ..
            } => 127,
            Live {
                is_speaking: true, ..
            } => 20,
            Live { .. } => 75,
        };
        let payload = self.microphone.packet();
        let write = self.audio.write(now, 48_000, self.offer.opus, payload);
        self.leg.write(Write {
            level: Some(level),
            ..write
        });
        self.leg.turn(now);
    }

    fn send_video(&mut self, now: Instant) {
        self.video_due = Some(now + self.sending.video_interval);
        let (Some((vp8, _)), Some(camera)) = (self.offer.vp8, &mut self.sending.camera) else {
            return;
        };
        let lowest = self.sending.layers.first().map_or(0, |layer| layer.height);
        let (height_max, is_muted) = (self.height_max, self.live.is_video_muted);
        let is_active = |layer: &Layer| match height_max {
            _ if is_muted => false,
            None => true,
            Some(max) if max < 0 => true,
            Some(0) => false,
            Some(max) => layer.height == lowest || i32::from(layer.height) <= max,
        };
        let frames = camera.frames(now, &is_active);
        let mut layers: Vec<VecDeque<Write>> = Vec::new();
        for (frame, (outgoing, packetizer)) in frames.into_iter().zip(&mut self.layers) {
            let payloads = frame
                .map(|frame| packetizer.packets(&frame))
                .unwrap_or_default();
            let count = payloads.len();
            let writes = payloads
                .into_iter()
                .enumerate()
                .map(|(index, payload)| Write {
                    marker: index + 1 == count,
                    ..outgoing.write(now, 90_000, vp8, payload)
                });
            layers.push(writes.collect());
        }
        // Browsers' pacers take packets of all encodings in turn. Each leaves before the next is
        // written, since str0m has an order of its own for what waits.
        while layers.iter().any(|layer| !layer.is_empty()) {
            for layer in &mut layers {
                if let Some(write) = layer.pop_front() {
                    self.leg.write(write);
                    self.leg.turn(now);
                }
            }
        }
    }
}

impl Outgoing {
    fn new(ssrc: Ssrc, random: &mut Random, now: Instant) -> Outgoing {
        Outgoing {
            ssrc,
            // RFC 3550 wants a random start; SRTP wants no early rollover.
            seq: u64::from(random.u32() % 0x8000),
            time_base: random.u32(),
            started: now,
        }
    }

    fn write(&mut self, now: Instant, rate: u32, payload_type: u8, payload: Vec<u8>) -> Write {
        self.seq += 1;
        let elapsed = now.duration_since(self.started).as_micros() * u128::from(rate) / 1_000_000;
        Write {
            ssrc: self.ssrc,
            payload_type,
            seq: self.seq,
            time: self.time_base.wrapping_add(elapsed as u32),
            marker: false,
            level: None,
            payload,
        }
    }
}

/// From str0m's word that nobody answers, which takes it about 19 s, to giving the path up;
/// Chromium takes some 20 s in all.
const DEAD_AFTER: Duration = Duration::from_secs(3);

/// Draws the SSRCs of something that a client sends.
pub(crate) fn draw_source(
    name: SourceName,
    media: MediaType,
    encodings: usize,
    has_rtx: bool,
    random: &mut Random,
) -> Source {
    let mut draw = || Ssrc(random.u32().max(1));
    let encodings = (0..encodings)
        .map(|_| Encoding {
            primary: draw(),
            rtx: has_rtx.then(&mut draw),
        })
        .collect();
    Source {
        name,
        media,
        video_type: Default::default(),
        encodings,
    }
}
