use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::RtcError;
use tertulia_model::bridge::IceCredentials;
use tertulia_model::{
    Encoding, Fingerprint, MediaType, Random, Source, SourceName, Ssrc, VideoType,
};

use super::camera::Packetizer;
use super::leg::{Leg, LegEvent, TransportOffer, Write};
use super::microphone::Microphone;
use super::{Camera, Flaw, Layer, Reception, Transmit};

/// What a client can send in one session; the sources' names and SSRCs come from its session.
#[derive(Default)]
pub(crate) struct Sending {
    /// None for somebody who only listens.
    pub(crate) audio: Option<Source>,
    pub(crate) videos: Vec<SendingVideo>,
    pub(crate) audio_interval: Duration,
    /// Sources that the focus is not told of before they are wanted: nothing is sent until then.
    pub(crate) unannounced: BTreeSet<SourceName>,
}

/// A camera or a screen.
pub(crate) struct SendingVideo {
    pub(crate) source: Source,
    pub(crate) layers: Vec<Layer>,
    pub(crate) camera: Box<dyn Camera>,
    pub(crate) interval: Duration,
}

/// What the client wants to send right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) is_speaking: bool,
    pub(crate) is_audio_muted: bool,
    pub(crate) is_video_muted: bool,
    pub(crate) is_screen_shared: bool,
}

/// What the media of one session has to say.
#[derive(Debug)]
pub(crate) enum MediaEvent {
    Connected,
    /// There is a path again.
    Reachable,
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
    live: Live,
    audio: Option<Audio>,
    videos: Vec<Video>,
    unannounced: BTreeSet<SourceName>,
    dead_since: Option<Instant>,
    remote: BTreeMap<Ssrc, Remote>,
    next_number: u16,
    events: VecDeque<MediaEvent>,
    is_connected: bool,
}

struct Audio {
    name: SourceName,
    microphone: Microphone,
    outgoing: Outgoing,
    interval: Duration,
    due: Option<Instant>,
}

struct Video {
    source: Source,
    camera: Box<dyn Camera>,
    layers: Vec<(Layer, Outgoing, Packetizer)>,
    interval: Duration,
    /// Lines that receivers want at most; None before the bridge said so.
    height_max: Option<i32>,
    due: Option<Instant>,
}

/// Something that somebody else sends.
struct Remote {
    name: SourceName,
    /// False while a stream that the bridge passes on belongs to nobody.
    is_owned: bool,
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
        let mut numbers = 0..;
        let mut declare = |media, encoding: &Encoding| {
            leg.send_encoding(numbers.next().unwrap_or_default(), media, *encoding);
        };
        let audio = sending.audio.and_then(|source| {
            let encoding = source.encodings.first()?;
            declare(MediaType::Audio, encoding);
            Some(Audio {
                name: source.name.clone(),
                microphone: Microphone::new(encoding.primary),
                outgoing: Outgoing::new(encoding.primary, random, now),
                interval: sending.audio_interval,
                due: None,
            })
        });
        let mut videos = Vec::new();
        for video in sending.videos {
            let mut layers = Vec::new();
            for (layer, encoding) in video.layers.iter().zip(&video.source.encodings) {
                declare(MediaType::Video, encoding);
                let outgoing = Outgoing::new(encoding.primary, random, now);
                layers.push((*layer, outgoing, Packetizer::new(random)));
            }
            videos.push(Video {
                source: video.source,
                camera: video.camera,
                layers,
                interval: video.interval,
                height_max: None,
                due: None,
            });
        }
        Ok(MediaSession {
            leg,
            offer,
            live,
            audio,
            videos,
            unannounced: sending.unannounced,
            dead_since: None,
            remote: BTreeMap::new(),
            next_number: 0,
            events: VecDeque::new(),
            is_connected: false,
        })
    }

    pub(crate) fn fingerprint(&mut self) -> Fingerprint {
        self.leg.fingerprint()
    }

    /// Both sides have new ICE credentials; a path is looked for anew.
    pub(crate) fn restart_ice(
        &mut self,
        now: Instant,
        mine: &IceCredentials,
        theirs: &IceCredentials,
        candidates: &[SocketAddr],
    ) {
        self.leg.restart_ice(mine, theirs, candidates);
        self.turn(now);
    }

    /// Another participant's source was announced. Announcing it again changes nothing.
    pub(crate) fn add_remote(&mut self, source: &Source) {
        let Some(encoding) = source.encodings.first() else {
            return;
        };
        let is_known = self.remote.contains_key(&encoding.primary)
            || self.remote.values().any(|known| known.name == source.name);
        if is_known {
            tracing::debug!(source = %source.name, "source was announced twice");
            return;
        }
        let reception = Reception::new(encoding.primary, source.media);
        self.expect(source.name.clone(), source.media, *encoding, reception);
    }

    /// The bridge says whose packets come on one of its streams from now on.
    pub(crate) fn map_remote(&mut self, name: SourceName, media: MediaType, encoding: Encoding) {
        for (ssrc, other) in &mut self.remote {
            if *ssrc != encoding.primary && other.name == name {
                other.is_owned = false;
            }
        }
        if let Some(known) = self.remote.get_mut(&encoding.primary) {
            known.name = name;
            known.is_owned = true;
        } else {
            self.expect(name, media, encoding, Reception::shared(media));
        }
    }

    fn expect(
        &mut self,
        name: SourceName,
        media: MediaType,
        encoding: Encoding,
        reception: Reception,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        self.leg.expect(number, media, encoding);
        let remote = Remote {
            name,
            is_owned: true,
            number,
            encoding,
            reception,
        };
        self.remote.insert(encoding.primary, remote);
    }

    /// Another participant's source is gone.
    pub(crate) fn remove_remote(&mut self, name: &SourceName) {
        let found = self
            .remote
            .iter()
            .find(|(_, remote)| remote.name == *name)
            .map(|(ssrc, _)| *ssrc);
        if let Some(remote) = found.and_then(|ssrc| self.remote.remove(&ssrc)) {
            self.leg.forget(remote.number, remote.encoding.primary);
        }
    }

    /// Somebody left; the bridge's streams that it had belong to nobody until it says otherwise.
    pub(crate) fn release_remote(&mut self, owner: &str) {
        for remote in self.remote.values_mut() {
            if remote.name.owner() == owner {
                remote.is_owned = false;
            }
        }
    }

    /// The sources announced by others, with what has come of them.
    pub(crate) fn remote(&self) -> impl Iterator<Item = (&SourceName, Ssrc, &Reception)> {
        self.remote
            .iter()
            .filter(|(_, remote)| remote.is_owned)
            .map(|(ssrc, remote)| (&remote.name, *ssrc, &remote.reception))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.is_connected
    }

    pub(crate) fn set_live(&mut self, live: Live) {
        self.live = live;
    }

    /// The focus knows of a source of ours from now on.
    pub(crate) fn announce(&mut self, name: &SourceName) {
        self.unannounced.remove(name);
    }

    /// The focus does not know of a source of ours.
    pub(crate) fn withdraw(&mut self, name: &SourceName) {
        self.unannounced.insert(name.clone());
    }

    /// The bridge says how many lines of a video source of ours anybody wants.
    pub(crate) fn set_height_max(&mut self, source: &str, height_max: i32) {
        for video in &mut self.videos {
            if video.source.name.as_str() == source {
                video.height_max = Some(height_max);
            }
        }
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
        self.send_audio(now);
        for index in 0..self.videos.len() {
            self.send_video(now, index);
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
        let audio = self.audio.as_ref().and_then(|audio| audio.due);
        let videos = self.videos.iter().filter_map(|video| video.due);
        [self.leg.next_timeout(), audio, dead]
            .into_iter()
            .flatten()
            .chain(videos)
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
                LegEvent::Connected => self.connected(now),
                LegEvent::Unreachable => self.dead_since = self.dead_since.or(Some(now)),
                LegEvent::Reachable => {
                    self.dead_since = None;
                    self.events.push_back(MediaEvent::Reachable);
                }
                LegEvent::ChannelOpen => self.events.push_back(MediaEvent::ChannelOpen),
                LegEvent::ChannelText(text) => self.events.push_back(MediaEvent::ChannelText(text)),
                LegEvent::Packet(ssrc, packet) => {
                    if let Some(remote) = self.remote.get_mut(&ssrc) {
                        remote.reception.handle_packet(packet);
                    }
                }
                LegEvent::KeyFrameWanted(ssrc) => self.key_frame_wanted(ssrc),
            }
        }
        for remote in self.remote.values_mut() {
            while let Some(flaw) = remote.reception.poll_flaw() {
                let name = remote.name.clone();
                self.events.push_back(MediaEvent::Flaw(name, flaw));
            }
            if remote.reception.take_key_frame_request(now) {
                self.leg.request_key_frame(remote.encoding.primary);
            }
        }
    }

    fn connected(&mut self, now: Instant) {
        self.is_connected = true;
        if let Some(audio) = &mut self.audio {
            audio.due = Some(now);
        }
        for video in &mut self.videos {
            video.due = Some(now);
        }
        self.events.push_back(MediaEvent::Connected);
    }

    fn key_frame_wanted(&mut self, ssrc: Ssrc) {
        for video in &mut self.videos {
            if video.source.encodings.iter().any(|e| e.primary == ssrc) {
                video.camera.request_key_frame();
            }
        }
    }

    fn send_audio(&mut self, now: Instant) {
        let Some(audio) = self.audio.as_mut().filter(|audio| is_due(audio.due, now)) else {
            return;
        };
        audio.due = Some(now + audio.interval);
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
        if self.unannounced.contains(&audio.name) {
            return;
        }
        let payload = audio.microphone.packet();
        let write = audio.outgoing.write(now, 48_000, self.offer.opus, payload);
        self.leg.write(Write {
            level: Some(level),
            ..write
        });
        self.leg.turn(now);
    }

    fn send_video(&mut self, now: Instant, index: usize) {
        let due = self
            .videos
            .get_mut(index)
            .filter(|video| is_due(video.due, now));
        let (Some((vp8, _)), Some(video)) = (self.offer.vp8, due) else {
            return;
        };
        video.due = Some(now + video.interval);
        let lowest = video.layers.first().map_or(0, |(layer, ..)| layer.height);
        if self.unannounced.contains(&video.source.name) {
            return;
        }
        let is_off = match video.source.video_type {
            VideoType::Desktop => !self.live.is_screen_shared,
            _ => self.live.is_video_muted,
        };
        let height_max = video.height_max;
        let is_active = |layer: &Layer| match height_max {
            _ if is_off => false,
            None => true,
            Some(max) if max < 0 => true,
            Some(0) => false,
            Some(max) => layer.height == lowest || i32::from(layer.height) <= max,
        };
        let frames = video.camera.frames(now, &is_active);
        let mut layers: Vec<VecDeque<Write>> = Vec::new();
        for (frame, (_, outgoing, packetizer)) in frames.into_iter().zip(&mut video.layers) {
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

fn is_due(due: Option<Instant>, now: Instant) -> bool {
    due.is_some_and(|due| due <= now)
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
    (media, video_type): (MediaType, VideoType),
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
        video_type,
        encodings,
    }
}
