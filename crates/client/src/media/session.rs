use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::RtcError;
use tertulia_model::bridge::IceCredentials;
use tertulia_model::{
    Encoding, Fingerprint, MediaType, Random, Source, SourceName, Ssrc, VideoType,
};

use super::leg::{Leg, LegEvent, TransportOffer, Write};
use super::microphone::Microphone;
use super::packetizer::{Cut, Packetizer};
use super::{Camera, CameraCodec, Flaw, Frame, Layer, MediaTotals, Reception, Transmit, Voice};

/// What a client can send in one session; the sources' names and SSRCs come from its session.
#[derive(Default)]
pub(crate) struct Sending {
    /// None for somebody who only listens.
    pub(crate) audio: Option<Source>,
    pub(crate) videos: Vec<SendingVideo>,
    pub(crate) audio_interval: Duration,
    pub(crate) voice: Option<Voice>,
    /// Sources that the focus is not told of before they are wanted: nothing is sent until then.
    pub(crate) unannounced: BTreeSet<SourceName>,
}

/// A camera or a screen.
pub(crate) struct SendingVideo {
    pub(crate) source: Source,
    pub(crate) codec: CameraCodec,
    pub(crate) layers: Vec<Layer>,
    pub(crate) camera: Box<dyn Camera>,
    pub(crate) interval: Duration,
    /// Bits per second at which packets leave; None for all of a frame at once.
    pub(crate) pacing_bps: Option<u32>,
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
    /// Those of them that something came for since we looked, or that wait for something; the
    /// others have nothing to say.
    busy: BTreeSet<Ssrc>,
    next_number: u16,
    events: VecDeque<MediaEvent>,
    is_connected: bool,
    /// From when send times count.
    epoch: Option<Instant>,
    /// What was sent, and what came of streams that are gone.
    past: MediaTotals,
}

struct Audio {
    name: SourceName,
    microphone: Microphone,
    voice: Voice,
    outgoing: Outgoing,
    interval: Duration,
    due: Option<Instant>,
    /// Packets of silence since somebody spoke.
    silence: u32,
}

struct Video {
    source: Source,
    codec: CameraCodec,
    camera: Box<dyn Camera>,
    layers: Vec<Layer>,
    /// One for each layer; where the codec has spatial layers only the first sends.
    encoders: Vec<Encoder>,
    interval: Duration,
    pacing_bps: Option<u32>,
    /// When more of what waits may leave.
    pace_due: Option<Instant>,
    /// Lines that receivers want at most; None before the bridge said so.
    height_max: Option<i32>,
    due: Option<Instant>,
}

/// One encoding of a video.
struct Encoder {
    outgoing: Outgoing,
    packetizer: Packetizer,
    /// Frames whose packets have not all left, and their timestamps.
    waiting: VecDeque<(Cut, u32)>,
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
                voice: sending.voice.unwrap_or(Voice::PLAIN),
                outgoing: Outgoing::new(encoding.primary, random, now),
                interval: sending.audio_interval,
                due: None,
                silence: 0,
            })
        });
        let mut videos = Vec::new();
        for video in sending.videos {
            let mut encoders = Vec::new();
            for encoding in &video.source.encodings {
                declare(MediaType::Video, encoding);
                encoders.push(Encoder {
                    outgoing: Outgoing::new(encoding.primary, random, now),
                    packetizer: Packetizer::new(video.codec, random),
                    waiting: VecDeque::new(),
                });
            }
            videos.push(Video {
                source: video.source,
                codec: video.codec,
                camera: video.camera,
                layers: video.layers,
                encoders,
                interval: video.interval,
                pacing_bps: video.pacing_bps,
                pace_due: None,
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
            busy: BTreeSet::new(),
            next_number: 0,
            events: VecDeque::new(),
            is_connected: false,
            epoch: None,
            past: MediaTotals::default(),
        })
    }

    /// Send times count from `epoch` from now on, here and at those who send to us.
    pub(crate) fn measure_from(&mut self, epoch: Instant) {
        self.epoch = Some(epoch);
        for remote in self.remote.values_mut() {
            remote.reception.measure_from(epoch);
        }
    }

    /// What was sent and received in this session.
    pub(crate) fn totals(&self) -> MediaTotals {
        let mut totals = self.past.clone();
        for remote in self.remote.values() {
            totals.add(&remote.reception);
        }
        totals
    }

    /// The receiver does not want this source now; that it pauses is right.
    pub(crate) fn expect_pause(&mut self, is_paused: impl Fn(&SourceName) -> bool) {
        let remotes = self.remote.values_mut();
        for remote in remotes.filter(|remote| is_paused(&remote.name)) {
            remote.reception.expect_pause();
        }
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

    /// Our address is another.
    pub(crate) fn move_to(&mut self, now: Instant, local: SocketAddr) {
        self.leg.move_to(local);
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
        mut reception: Reception,
    ) {
        if let Some(epoch) = self.epoch {
            reception.measure_from(epoch);
        }
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
            self.past.add(&remote.reception);
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

    /// Whether packets of this stream have a place to go to.
    pub(crate) fn expects(&self, ssrc: Ssrc) -> bool {
        self.remote.contains_key(&ssrc)
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
            self.send_paced(now, index);
        }
        for ssrc in &self.busy {
            let reception = self.remote.get_mut(ssrc).map(|r| &mut r.reception);
            let is_due = |r: &&mut Reception| r.next_timeout().is_some_and(|due| due <= now);
            if let Some(reception) = reception.filter(is_due) {
                reception.handle_timeout(now);
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
        let busy = self.busy.iter().filter_map(|ssrc| self.remote.get(ssrc));
        let receptions = busy.filter_map(|remote| remote.reception.next_timeout());
        let dead = self.dead_since.map(|since| since + DEAD_AFTER);
        let audio = self.audio.as_ref().and_then(|audio| audio.due);
        let dues = |video: &Video| [video.due, video.pace_due];
        let videos = self.videos.iter().flat_map(dues).flatten();
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
                        self.busy.insert(ssrc);
                    }
                }
                LegEvent::KeyFrameWanted(ssrc) => self.key_frame_wanted(ssrc),
            }
        }
        let (remote, leg, events) = (&mut self.remote, &mut self.leg, &mut self.events);
        self.busy.retain(|ssrc| {
            let Some(remote) = remote.get_mut(ssrc) else {
                return false;
            };
            while let Some(flaw) = remote.reception.poll_flaw() {
                events.push_back(MediaEvent::Flaw(remote.name.clone(), flaw));
            }
            if remote.reception.take_key_frame_request(now) {
                leg.request_key_frame(remote.encoding.primary);
            }
            remote.reception.is_waiting()
        });
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
        let sent = micros_since(self.epoch, now);
        let Some(audio) = self.audio.as_mut().filter(|audio| is_due(audio.due, now)) else {
            return;
        };
        // A sound card counts samples, whenever its packets are fetched.
        let recorded = audio.due.unwrap_or(now);
        audio.due = match now < recorded + MICROPHONE_BUFFER {
            true => Some(recorded + audio.interval),
            false => Some(now + audio.interval),
        };
        // A muted microphone goes on sending silence (Chromium and Firefox do).
        let is_silent = self.live.is_audio_muted || !self.live.is_speaking;
        let level = match self.live {
            Live {
                is_audio_muted: true,
                ..
            } => 127,
            Live {
                is_speaking: true, ..
            } => audio.microphone.speech_level(),
            Live { .. } => 75,
        };
        if self.unannounced.contains(&audio.name) {
            return;
        }
        audio.silence = if is_silent { audio.silence + 1 } else { 0 };
        // Discontinuous transmission: timestamps go on, sequence numbers have no gap.
        if is_silent && !(audio.silence - 1).is_multiple_of(audio.voice.silence_step.max(1)) {
            return;
        }
        let bytes = match is_silent {
            true => audio.voice.silent_bytes,
            false => audio.voice.speaking_bytes,
        };
        let payload = audio.microphone.packet(bytes, sent);
        self.past.sent_packets += 1;
        self.past.sent_bytes += payload.len() as u64;
        let time = audio.outgoing.time(recorded, 48_000);
        let write = audio.outgoing.write(time, self.offer.opus, payload);
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
        let Some(video) = due else {
            return;
        };
        video.due = Some(next_due(video.due, now, video.interval));
        let lowest = video.layers.first().map_or(0, |layer| layer.height);
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
        let pictures: Vec<Vec<Frame>> = match video.codec {
            CameraCodec::Vp8 => frames.into_iter().map(Vec::from_iter).collect(),
            CameraCodec::Vp9 => vec![frames.into_iter().flatten().collect()],
        };
        for (frames, encoder) in pictures.iter().zip(&mut video.encoders) {
            let time = encoder.outgoing.time(now, 90_000);
            let cuts = encoder.packetizer.cut(frames).into_iter();
            encoder.waiting.extend(cuts.map(|cut| (cut, time)));
        }
        // A pace that goes on is not quickened by another frame.
        video.pace_due.get_or_insert(now);
    }

    /// Lets packets leave: all that wait, or as many as the pace allows.
    fn send_paced(&mut self, now: Instant, index: usize) {
        let sent = micros_since(self.epoch, now);
        let Some(video) = self.videos.get_mut(index) else {
            return;
        };
        let codec = match video.codec {
            CameraCodec::Vp8 => self.offer.vp8,
            CameraCodec::Vp9 => self.offer.vp9,
        };
        let Some((payload_type, _)) = codec else {
            return;
        };
        let Some(due) = video.pace_due.filter(|due| *due <= now) else {
            return;
        };
        let time = (PACE_STEP + now.duration_since(due)).min(PACE_STEP * 10);
        let bytes = |bps| (f64::from(bps) / 8.0 * time.as_secs_f64()) as usize;
        let mut budget = video.pacing_bps.map(bytes);
        // Browsers' pacers take packets of all encodings in turn. Each leaves before the next is
        // written, since str0m has an order of its own for what waits.
        while video
            .encoders
            .iter()
            .any(|encoder| !encoder.waiting.is_empty())
            && budget != Some(0)
        {
            for encoder in &mut video.encoders {
                let Some((cut, time)) = encoder.waiting.front_mut() else {
                    continue;
                };
                let time = *time;
                let packet = cut.next_packet(sent);
                if cut.is_done() {
                    encoder.waiting.pop_front();
                }
                let Some(packet) = packet else { continue };
                let bytes = packet.payload.len();
                self.past.sent_packets += 1;
                self.past.sent_bytes += bytes as u64;
                budget = budget.map(|budget| budget.saturating_sub(bytes));
                let write = Write {
                    marker: packet.is_marked,
                    descriptor: packet.descriptor,
                    ..encoder.outgoing.write(time, payload_type, packet.payload)
                };
                self.leg.write(write);
                self.leg.turn(now);
            }
        }
        let is_more = video
            .encoders
            .iter()
            .any(|encoder| !encoder.waiting.is_empty());
        video.pace_due = is_more.then_some(now + PACE_STEP);
    }
}

/// In steady time; after a long pause from now on.
fn next_due(due: Option<Instant>, now: Instant, interval: Duration) -> Instant {
    match due {
        Some(due) if now < due + interval => due + interval,
        _ => now + interval,
    }
}

fn micros_since(epoch: Option<Instant>, now: Instant) -> u64 {
    let elapsed = epoch.map(|epoch| now.saturating_duration_since(epoch));
    elapsed.map_or(0, |elapsed| elapsed.as_micros() as u64)
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

    /// The timestamp of what was recorded now.
    fn time(&self, now: Instant, rate: u32) -> u32 {
        let elapsed = now.duration_since(self.started).as_micros() * u128::from(rate) / 1_000_000;
        self.time_base.wrapping_add(elapsed as u32)
    }

    fn write(&mut self, time: u32, payload_type: u8, payload: Vec<u8>) -> Write {
        self.seq += 1;
        Write {
            ssrc: self.ssrc,
            payload_type,
            seq: self.seq,
            time,
            marker: false,
            level: None,
            descriptor: None,
            payload,
        }
    }
}

/// From str0m's word that nobody answers, which takes it about 19 s, to giving the path up;
/// Chromium takes some 20 s in all.
const DEAD_AFTER: Duration = Duration::from_secs(3);
/// So much a sound card keeps for a program that is late.
const MICROPHONE_BUFFER: Duration = Duration::from_millis(200);
/// libwebrtc's pacer sends in bursts of this length.
const PACE_STEP: Duration = Duration::from_millis(5);

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
