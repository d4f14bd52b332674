use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tertulia_client::media::Flaw;
use tertulia_client::{Notice, RemoteSource};
use tertulia_model::Ssrc;

use super::{LOOK_EVERY, STAGE, THUMBNAIL};
use crate::person::Person;
use crate::world::World;

/// What was measured in one meeting, over all its receivers.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// From both being there to the first picture, of half of all pairs and of the slowest one;
    /// None if one never saw the other.
    pub first_picture: Option<Duration>,
    pub first_picture_worst: Option<Duration>,
    /// Pictures that stood still for more than 200 ms while the bridge said that it sends them;
    /// per picture and minute.
    pub freezes_per_minute: f64,
    pub freeze_longest: Duration,
    /// Share of time at which a picture moved and had the wanted number of lines.
    pub wanted_share: f64,
    /// Share of time at which the bridge said that it does not send a picture.
    pub unsent_share: f64,
    /// Share of the bytes of RTP towards receivers that were sent again or padding.
    pub repeats_share: f64,
    /// Of RTP towards each person.
    pub kilobits_per_second: f64,
    /// After two seconds without network: until the picture on stage moved again, and until all
    /// did that moved before. None if they did not while somebody looked.
    pub stage_back_after: Option<Duration>,
    pub back_after: Option<Duration>,
    /// Times of 60 ms or more in which nothing of a speaker could be played; per listener and
    /// minute.
    pub audio_gaps_per_minute: f64,
    pub audio_gap_longest: Duration,
    /// What no network does to a stream, and who found it.
    pub flaws: Vec<(usize, Flaw)>,
}

/// Looks at what people see and hear.
#[derive(Default)]
pub(super) struct Gauge {
    opened: Vec<Instant>,
    begun: Option<Instant>,
    ended: Option<Instant>,
    /// Who was out of reach, and since when no more.
    returned: Option<(usize, Instant)>,
    /// By viewer and sender.
    eyes: BTreeMap<(usize, usize), Eye>,
    ears: BTreeMap<(usize, usize), Ear>,
    freezes: u32,
    freeze_longest: Duration,
    gaps: u32,
    gap_longest: Duration,
    /// Of all pictures together.
    looked_at: Duration,
    as_wanted: Duration,
    unsent: Duration,
    bytes_begun: u64,
    bytes: u64,
    repeats_share: f64,
    flaws: Vec<(usize, Flaw)>,
}

/// A picture that somebody is shown.
#[derive(Default)]
struct Eye {
    stream: Option<(Ssrc, u64)>,
    /// When it moved last; None while the bridge does not send it.
    moved: Option<Instant>,
    first: Option<Instant>,
    is_stage: bool,
    was_moving: bool,
    back: Option<Instant>,
}

/// A voice that somebody hears.
#[derive(Default)]
struct Ear {
    stream: Option<(Ssrc, u64, u64)>,
    heard: Option<Instant>,
}

impl Gauge {
    /// The next person opens the page.
    pub(super) fn opened(&mut self, now: Instant) {
        self.opened.push(now);
    }

    /// Everybody is there.
    pub(super) fn begin(&mut self, now: Instant) {
        self.begun = Some(now);
    }

    /// How long has been measured.
    pub(super) fn measured(&self, now: Instant) -> Duration {
        let begun = self.begun.unwrap_or(now);
        now.saturating_duration_since(begun)
    }

    /// From now on only recovery is looked at.
    pub(super) fn end(&mut self, world: &World) {
        let now = world.now().mono;
        for eye in self.eyes.values_mut() {
            let still = eye.moved.map(|moved| now.saturating_duration_since(moved));
            eye.was_moving = still.is_some_and(|still| still <= FREEZE);
            if let Some(still) = still.filter(|still| *still > FREEZE) {
                self.freezes += 1;
                self.freeze_longest = self.freeze_longest.max(still);
            }
        }
        let flaws = world.notices.iter().filter_map(|(who, _, notice)| {
            let Notice::Flaw(_, flaw) = notice else {
                return None;
            };
            let is_loss = matches!(flaw, Flaw::Gap { .. } | Flaw::NoKeyAtStart { .. });
            (!is_loss).then_some((*who, *flaw))
        });
        self.flaws = flaws.collect();
        let (all, repeats) = downwards(world);
        self.bytes = all;
        self.repeats_share = share(repeats as f64, all as f64);
        self.ended = Some(now);
    }

    /// Somebody who was out of reach is back.
    pub(super) fn returned(&mut self, who: usize, now: Instant) {
        self.returned = Some((who, now));
    }

    /// Looks at everybody; `staged` says whom each shows in large.
    pub(super) fn look(&mut self, world: &World, staged: &[Option<String>]) {
        let now = world.now().mono;
        let is_measured = self.begun.is_some() && self.ended.is_none();
        if self.bytes_begun == 0 && is_measured {
            self.bytes_begun = downwards(world).0;
        }
        let senders: Vec<Sender> = world.people.iter().filter_map(Sender::of).collect();
        for viewer in &world.people {
            let Some(client) = &viewer.client else {
                continue;
            };
            let sources = client.remote_sources();
            let forwarded = client.forwarded_sources().unwrap_or_default();
            for sender in senders.iter().filter(|one| one.index != viewer.index) {
                let pair = (viewer.index, sender.index);
                let of = |(name, ssrc): &(String, Ssrc)| {
                    let is_it = |source: &&RemoteSource| {
                        source.name.as_str() == name && source.facts.origin == Some(*ssrc)
                    };
                    sources.iter().find(is_it)
                };
                if let Some(video) = &sender.video {
                    let is_sent = forwarded.contains(&video.0);
                    let stage = staged.get(viewer.index).and_then(Option::as_deref);
                    let is_stage = stage == Some(sender.nick.as_str());
                    self.see(now, pair, of(video), (is_sent, is_stage, is_measured));
                }
                // The first two speak.
                if let Some(audio) = sender.audio.as_ref().filter(|_| sender.index < 2) {
                    self.hear(now, pair, of(audio), is_measured);
                }
            }
        }
    }

    fn see(
        &mut self,
        now: Instant,
        pair: (usize, usize),
        source: Option<&RemoteSource>,
        (is_sent, is_stage, is_measured): (bool, bool, bool),
    ) {
        let eye = self.eyes.entry(pair).or_default();
        eye.is_stage = is_stage;
        let stream = source.map(|source| (source.ssrc, source.facts.frames));
        let has_moved = match (eye.stream, stream) {
            (Some(before), Some(stream)) => before.0 == stream.0 && stream.1 > before.1,
            (None, Some((_, frames))) => frames > 0,
            (_, None) => false,
        };
        eye.stream = stream.or(eye.stream);
        if has_moved {
            eye.first.get_or_insert(now);
            if self.returned.is_some_and(|(who, _)| who == pair.0) {
                eye.back.get_or_insert(now);
            }
            let since = eye.moved.replace(now);
            let still = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            if is_measured && still > FREEZE {
                self.freezes += 1;
                self.freeze_longest = self.freeze_longest.max(still);
            }
        } else if !is_sent {
            eye.moved = None;
        }
        if is_measured {
            let look = Duration::from_millis(LOOK_EVERY);
            let wanted = if is_stage { STAGE } else { THUMBNAIL };
            let is_moving = eye.moved.is_some_and(|moved| now <= moved + FREEZE);
            let is_right = source.is_some_and(|source| source.facts.height == wanted);
            self.looked_at += look;
            self.as_wanted += if is_moving && is_right {
                look
            } else {
                Duration::ZERO
            };
            self.unsent += if is_sent { Duration::ZERO } else { look };
        }
    }

    fn hear(
        &mut self,
        now: Instant,
        pair: (usize, usize),
        source: Option<&RemoteSource>,
        is_measured: bool,
    ) {
        let ear = self.ears.entry(pair).or_default();
        let Some(source) = source else { return };
        let (ssrc, frames, lost) = (source.ssrc, source.facts.frames, source.facts.lost);
        let before = ear.stream.replace((ssrc, frames, lost));
        let Some(before) = before.filter(|before| before.0 == ssrc) else {
            ear.heard = Some(now);
            return;
        };
        if frames == before.1 {
            return;
        }
        // A player is behind the network by what the reception waits for a missing packet; what
        // came meanwhile was played in time.
        let missing = AUDIO_FRAME * u32::try_from(lost - before.2).unwrap_or(u32::MAX);
        let heard = ear.heard.replace(now).unwrap_or(now);
        let still = now.saturating_duration_since(heard);
        let gap = missing.max(still.saturating_sub(AUDIO_PATIENCE));
        if is_measured && gap >= GAP {
            self.gaps += 1;
            self.gap_longest = self.gap_longest.max(gap);
        }
    }

    /// What was found.
    pub(super) fn findings(&self) -> Findings {
        let mut first: Vec<Option<Duration>> = Vec::new();
        for ((viewer, sender), eye) in &self.eyes {
            let opened = self.opened.get(*viewer).max(self.opened.get(*sender));
            let since = |at: Instant| Some(at.saturating_duration_since(*opened?));
            first.push(eye.first.and_then(since));
        }
        // Those that never came are the slowest.
        first.sort_by_key(|time| time.unwrap_or(Duration::MAX));
        let measured = match (self.begun, self.ended) {
            (Some(begun), Some(ended)) => ended.saturating_duration_since(begun),
            _ => Duration::ZERO,
        };
        let people = self.opened.len() as f64;
        let bits = self.bytes.saturating_sub(self.bytes_begun) as f64 * 8.0;
        let minutes = |time: Duration| time.as_secs_f64() / 60.0;
        let listened = minutes(measured) * self.ears.len() as f64;
        let all = self.looked_at.as_secs_f64();
        let (stage_back_after, back_after) = self.recovery();
        Findings {
            first_picture: first.get(first.len() / 2).copied().flatten(),
            first_picture_worst: first.last().copied().flatten(),
            freezes_per_minute: share(f64::from(self.freezes), minutes(self.looked_at)),
            freeze_longest: self.freeze_longest,
            wanted_share: share(self.as_wanted.as_secs_f64(), all),
            unsent_share: share(self.unsent.as_secs_f64(), all),
            repeats_share: self.repeats_share,
            kilobits_per_second: share(bits / 1_000.0, measured.as_secs_f64() * people),
            stage_back_after,
            back_after,
            audio_gaps_per_minute: share(f64::from(self.gaps), listened),
            audio_gap_longest: self.gap_longest,
            flaws: self.flaws.clone(),
        }
    }

    fn recovery(&self) -> (Option<Duration>, Option<Duration>) {
        let Some((who, returned)) = self.returned else {
            return (None, None);
        };
        let eyes = self.eyes.iter().filter(|((viewer, _), _)| *viewer == who);
        let eyes: Vec<&Eye> = eyes.map(|(_, eye)| eye).collect();
        let back = |eye: &&Eye| Some(eye.back?.saturating_duration_since(returned));
        let stage = eyes.iter().find(|eye| eye.is_stage).and_then(back);
        let all = eyes.iter().filter(|eye| eye.was_moving).map(back);
        let all = all.collect::<Option<Vec<Duration>>>();
        (stage, all.and_then(|all| all.into_iter().max()))
    }
}

/// Somebody who is seen and heard.
struct Sender {
    index: usize,
    nick: String,
    video: Option<(String, Ssrc)>,
    audio: Option<(String, Ssrc)>,
}

impl Sender {
    fn of(person: &Person) -> Option<Sender> {
        let client = person.client.as_ref()?;
        let own = client.own_sources();
        let of = |suffix: &str| {
            let found = own.iter().find(|(name, _)| name.as_str().ends_with(suffix));
            found.map(|(name, ssrc)| (name.as_str().to_owned(), *ssrc))
        };
        Some(Sender {
            index: person.index,
            nick: person.nick()?.to_owned(),
            video: of("-v0"),
            audio: of("-a0"),
        })
    }
}

/// Bytes of RTP towards all people so far, and what of it was not on the streams themselves:
/// retransmissions, padding, probes.
fn downwards(world: &World) -> (u64, u64) {
    let (mut all, mut repeats) = (0, 0);
    for person in &world.people {
        let Some(client) = &person.client else {
            continue;
        };
        let streams: Vec<u32> = client.remote_sources().iter().map(|s| s.ssrc.0).collect();
        for (ssrc, bytes) in person.down.rtp_bytes() {
            all += bytes;
            repeats += if streams.contains(&ssrc) { 0 } else { bytes };
        }
    }
    (all, repeats)
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

const FREEZE: Duration = Duration::from_millis(200);
const GAP: Duration = Duration::from_millis(60);
const AUDIO_FRAME: Duration = Duration::from_millis(20);
/// What the client's reception waits for a missing packet, one packet's time, and a look.
const AUDIO_PATIENCE: Duration = Duration::from_millis(250 + 20 + LOOK_EVERY);
