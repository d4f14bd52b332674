//! A bridge that sends layers to one receiver over a link, on virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::super::{Estimator, Settings, Sort};
use crate::pacer::{Pacer, Step};

/// A way to a receiver, and back.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// From so many seconds on so many bits per second; nothing is wide.
    pub(super) rates: Vec<(u64, u64)>,
    /// Who would wait longer is lost, in milliseconds.
    pub(super) queue: f64,
    /// Each way, in milliseconds.
    pub(super) delay: f64,
    pub(super) jitter: f64,
    pub(super) loss: f64,
    /// Every so many milliseconds, for so many, so much is lost.
    pub(super) bursts: Option<(u64, u64, f64)>,
    /// Every so many milliseconds nothing passes for so many; then all at once.
    pub(super) stalls: Option<(u64, u64)>,
    /// Share of feedback that is lost.
    pub(super) feedback_loss: f64,
    /// What is too much is lost; nothing waits.
    pub(super) is_policer: bool,
    /// From some second on the way is longer, by milliseconds.
    pub(super) longer: Option<(u64, f64)>,
    /// The receiver's clock is fast, in millionths.
    pub(super) drift: f64,
    /// Nothing passes from one second to another.
    pub(super) dark: Option<(u64, u64)>,
    /// From one second to another somebody fetches a large file over the same link by TCP.
    pub(super) rival: Option<(u64, u64)>,
}

impl Link {
    pub(super) const WIDE: Link = Link {
        rates: Vec::new(),
        queue: 100.0,
        delay: 20.0,
        jitter: 2.0,
        loss: 0.0,
        bursts: None,
        stalls: None,
        feedback_loss: 0.0,
        is_policer: false,
        longer: None,
        drift: 0.0,
        dark: None,
        rival: None,
    };

    pub(super) fn rate(&self, ms: u64) -> Option<f64> {
        let past = self.rates.iter().rev();
        let mut past = past.filter(|(from, _)| from * 1_000 <= ms);
        past.next().map(|(_, rate)| *rate as f64)
    }
}

/// What the bridge would like to send.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// People shown small; one is shown in large.
    pub(super) tiles: usize,
    pub(super) voices: usize,
    /// Nothing but voices from one second to another.
    pub(super) still: Option<(u64, u64)>,
}

/// One second of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Second {
    /// At its end, in bits per second.
    pub(super) estimate: f64,
    pub(super) rate: f64,
    /// What left, and what of it was padding, in bits.
    pub(super) sent: f64,
    pub(super) padding: f64,
    pub(super) arrived: f64,
    /// Packets that a full queue dropped.
    pub(super) dropped: u32,
    /// The mean and longest wait in the queue, in milliseconds.
    pub(super) waited: f64,
    pub(super) waited_most: f64,
    /// Layer on stage at its end, 0 is none; and how many tiles are sent.
    pub(super) stage: usize,
    pub(super) tiles: usize,
    pub(super) switches: u32,
    /// What the rival got through, in bits.
    pub(super) rival: f64,
    packets: u32,
}

/// A TCP that goes by losses alone (RFC 5681): it fills every queue.
struct Rival {
    /// Bytes.
    window: f64,
    is_starting: bool,
    /// When it will know of each segment, and whether that is lost.
    flying: VecDeque<(f64, bool)>,
    /// What was lost before counts as one loss.
    recovered: f64,
}

impl Rival {
    const NEW: Rival = Rival {
        window: 10.0 * SEGMENT,
        is_starting: true,
        flying: VecDeque::new(),
        recovered: 0.0,
    };

    fn learn(&mut self, at: f64, round_trip: f64) {
        while let Some((known, is_lost)) = self.flying.front().copied() {
            if known > at {
                return;
            }
            self.flying.pop_front();
            if !is_lost {
                self.window += match self.is_starting {
                    true => SEGMENT,
                    false => SEGMENT * SEGMENT / self.window,
                };
            } else if at >= self.recovered {
                self.window = (self.window / 2.0).max(2.0 * SEGMENT);
                self.is_starting = false;
                self.recovered = at + round_trip;
            }
        }
    }

    fn may_send(&self) -> bool {
        (self.flying.len() + 1) as f64 * SEGMENT <= self.window
    }
}

/// Numbers and when they arrived.
type Report = Vec<(u16, Option<i64>)>;

pub(super) struct Call {
    link: Link,
    wish: Wish,
    pub(super) estimator: Estimator,
    pacer: Pacer,
    origin: Instant,
    ms: u64,
    random: fastrand::Rng,
    next_number: u64,
    /// Bytes of packets that wait, and whether each may be sent again.
    waiting: VecDeque<(usize, bool)>,
    /// When lost packets are sent again.
    again: BTreeMap<(u64, u64), usize>,
    /// Arrivals by number: microseconds.
    travelling: BTreeMap<u64, f64>,
    covered: u64,
    /// On its way: when it arrives, and the last number.
    feedback: BTreeMap<(u64, u64), Report>,
    busy_until: f64,
    last_arrival: f64,
    rival: Rival,
    stage: usize,
    tiles: usize,
    /// Key frames are due.
    keys: usize,
    allocated: (f64, u64),
    is_jammed: bool,
    second: Second,
    pub(super) seconds: Vec<Second>,
}

pub(super) const LAYERS: [f64; 4] = [0.0, 150_000.0, 500_000.0, 2_000_000.0];
/// The receiver's clock begins shortly before it wraps.
const CLOCK: i64 = (1 << 24) * 64_000 - 10_000_000;
/// Of TCP, in bytes.
const SEGMENT: f64 = 1_500.0;
const TILE: f64 = 150_000.0;
const VOICE: f64 = 40_000.0;

impl Call {
    pub(super) fn new(link: Link, wish: Wish, seed: u64) -> Call {
        let origin = Instant::now();
        let settings = Settings {
            initial_bps: 2_500_000,
            least_bps: 30_000,
            most_bps: 20_000_000,
        };
        let estimator = Estimator::new(origin, settings);
        let pacer = Pacer::new(origin, Duration::from_millis(2), estimator.pacing_bps());
        let mut call = Call {
            link,
            wish,
            estimator,
            pacer,
            origin,
            ms: 0,
            random: fastrand::Rng::with_seed(seed),
            next_number: 65_000,
            waiting: VecDeque::new(),
            again: BTreeMap::new(),
            travelling: BTreeMap::new(),
            covered: 65_000,
            feedback: BTreeMap::new(),
            busy_until: 0.0,
            last_arrival: 0.0,
            rival: Rival::NEW,
            stage: 0,
            tiles: 0,
            keys: 0,
            allocated: (0.0, 0),
            is_jammed: false,
            second: Second::default(),
            seconds: Vec::new(),
        };
        call.allocate();
        call
    }

    pub(super) fn run(&mut self, seconds: u64) -> &mut Call {
        for _ in 0..seconds * 1_000 {
            self.tick();
            self.ms += 1;
            if self.ms.is_multiple_of(1_000) {
                let mut second = std::mem::take(&mut self.second);
                second.estimate = self.estimator.estimate() as f64;
                second.rate = self.link.rate(self.ms - 1).unwrap_or(f64::MAX);
                (second.stage, second.tiles) = (self.stage, self.tiles);
                second.waited /= f64::from(second.packets.max(1));
                self.seconds.push(second);
            }
        }
        self
    }

    /// Tells the estimator.
    pub(super) fn change_path(&mut self) {
        self.estimator.change_path(self.now());
    }

    fn now(&self) -> Instant {
        self.origin + Duration::from_millis(self.ms)
    }

    fn is_still(&self) -> bool {
        let second = self.ms / 1_000;
        let still = self.wish.still;
        still.is_some_and(|(from, to)| (from..to).contains(&second))
    }

    fn tick(&mut self) {
        let now = self.now();
        while let Some(entry) = self.feedback.first_entry() {
            if entry.key().0 > self.ms {
                break;
            }
            let report = entry.remove();
            self.estimator.feedback(now, report);
            self.take_estimate();
        }
        if self.estimator.wake().is_some_and(|wake| wake <= now) {
            self.estimator.handle_timeout(now);
        }
        if let Some(probe) = self.estimator.probe(now) {
            self.pacer.begin(probe);
        }
        let wake = self.estimator.wake();
        assert!(wake.is_none_or(|wake| wake > now), "woken for nothing");
        self.compete();
        self.film();
        while let Some(entry) = self.again.first_entry() {
            if entry.key().0 > self.ms {
                break;
            }
            let bytes = entry.remove();
            self.waiting.push_front((bytes, false));
        }
        self.pacer.set_rate(self.estimator.pacing_bps());
        loop {
            match self.pacer.poll(now, !self.waiting.is_empty(), true) {
                Step::Media => {
                    let (bytes, may_repeat) = self.waiting.pop_front().unwrap();
                    self.send(bytes, may_repeat, Sort::Media);
                }
                Step::Padding(bytes) => {
                    assert!(bytes > 0);
                    self.second.padding += bytes as f64 * 8.0;
                    self.send(bytes, false, Sort::Padding);
                }
                Step::Wait(at) => {
                    assert!(at > now);
                    break;
                }
                Step::Idle => break,
            }
        }
        if self.ms.is_multiple_of(100) {
            self.report();
        }
        // The estimate is repeated to the allocator now and then.
        let period = if self.is_jammed { 1_000 } else { 5_000 };
        if self.ms >= self.allocated.1 + period {
            self.allocate();
        }
    }

    /// What the rival sends in this millisecond.
    fn compete(&mut self) {
        let second = self.ms / 1_000;
        let is_there = |(from, to): (u64, u64)| (from..to).contains(&second);
        let Some(rate) = self
            .link
            .rate(self.ms)
            .filter(|_| self.link.rival.is_some_and(is_there))
        else {
            self.rival = Rival::NEW;
            return;
        };
        let at = self.ms as f64;
        let back = 2.0 * self.link.delay;
        self.rival.learn(at, self.link.queue + back);
        while self.rival.may_send() {
            let start = self.busy_until.max(at);
            let is_lost = start - at > self.link.queue;
            if !is_lost {
                self.busy_until = start + SEGMENT * 8_000.0 / rate;
                self.second.rival += SEGMENT * 8.0;
            }
            let known = self.busy_until.max(start) + back;
            self.rival.flying.push_back((known, is_lost));
        }
    }

    /// Frames of this millisecond.
    fn film(&mut self) {
        for voice in 0..self.wish.voices {
            if (self.ms + voice as u64 * 7).is_multiple_of(20) {
                self.send((VOICE / 400.0) as usize, false, Sort::Media);
            }
        }
        let is_still = self.is_still();
        if self.wish.still.is_some() {
            let now = self.now();
            self.estimator.set_resting(now, is_still);
        }
        if is_still {
            return;
        }
        for source in 0..=self.tiles {
            if !(self.ms + source as u64 * 5).is_multiple_of(33) {
                continue;
            }
            let bps = match source {
                0 => LAYERS[self.stage],
                _ => TILE,
            };
            let mut bytes = bps / 30.0 / 8.0;
            if self.keys > 0 {
                self.keys -= 1;
                bytes *= 8.0;
            } else if self.random.u32(0..300) == 0 {
                bytes *= 8.0;
            }
            let bytes = bytes as usize;
            for start in (0..bytes).step_by(1_100) {
                let size = (bytes - start).min(1_100) + 40;
                self.waiting.push_back((size, true));
            }
        }
    }

    fn send(&mut self, bytes: usize, may_repeat: bool, sort: Sort) {
        let now = self.now();
        let number = self.next_number;
        self.next_number += 1;
        self.estimator.sent(now, number as u16, bytes, sort);
        self.pacer.sent(now, bytes);
        self.second.sent += bytes as f64 * 8.0;
        match self.pass(bytes) {
            Some(arrival) => {
                self.travelling.insert(number, arrival);
                self.second.arrived += bytes as f64 * 8.0;
            }
            None if may_repeat => {
                let after = (self.link.delay * 2.0) as u64 + 20;
                self.again.insert((self.ms + after, number), bytes);
            }
            None => {}
        }
    }

    /// When a packet arrives, in milliseconds.
    fn pass(&mut self, bytes: usize) -> Option<f64> {
        let link = &self.link;
        let second = self.ms / 1_000;
        let is_dark = link
            .dark
            .is_some_and(|(from, to)| (from..to).contains(&second));
        let burst = link
            .bursts
            .filter(|(every, length, _)| self.ms % every < *length);
        let loss = burst.map_or(link.loss, |(_, _, loss)| loss.max(link.loss));
        if self.random.f64() < loss || is_dark {
            return None;
        }
        let at = self.ms as f64;
        let mut out = at;
        if let Some(rate) = link.rate(self.ms) {
            let start = self.busy_until.max(at);
            let wait = start - at;
            if wait > link.queue {
                self.second.dropped += 1;
                return None;
            }
            self.second.waited += wait;
            self.second.waited_most = self.second.waited_most.max(wait);
            self.busy_until = start + bytes as f64 * 8_000.0 / rate;
            out = if link.is_policer { at } else { self.busy_until };
        }
        self.second.packets += 1;
        let jitter = (self.random.f64() * 2.0 - 1.0) * link.jitter;
        let longer = link.longer.filter(|(from, _)| *from <= second);
        let mut arrival = out + link.delay + longer.map_or(0.0, |(_, by)| by) + jitter;
        if let Some((every, length)) = link.stalls {
            let phase = arrival % every as f64;
            if phase < length as f64 {
                arrival += length as f64 - phase;
            }
        }
        self.last_arrival = self.last_arrival.max(arrival);
        Some(self.last_arrival)
    }

    /// The receiver tells what arrived.
    fn report(&mut self) {
        let at = self.ms as f64;
        let arrived = self
            .travelling
            .iter()
            .filter(|(_, arrival)| **arrival <= at);
        let Some(last) = arrived.map(|(number, _)| *number).max() else {
            return;
        };
        let mut report = Vec::new();
        for number in self.covered..=last {
            let arrival = self.travelling.remove(&number);
            // Its clock has another zero, and counts quarters of milliseconds.
            let fast = 1.0 + self.link.drift / 1e6;
            let micros = arrival.map(|at| CLOCK + ((at * fast * 4.0) as i64) * 250);
            report.push((
                number as u16,
                micros.map(|at| at.rem_euclid((1 << 24) * 64_000)),
            ));
        }
        self.covered = last + 1;
        if self.random.f64() >= self.link.feedback_loss {
            let after = self.link.delay + (self.random.f64() * 2.0 - 1.0) * self.link.jitter;
            let key = (self.ms + after.max(1.0) as u64, last);
            self.feedback.insert(key, report);
        }
    }

    /// As the bridge does.
    fn take_estimate(&mut self) {
        let Some(estimate) = self.estimator.take_change() else {
            return;
        };
        let estimate = estimate as f64;
        let (allocated, at) = self.allocated;
        let is_due = estimate < allocated || self.ms >= at + 500;
        if is_due && (estimate - allocated).abs() > allocated * 0.15 {
            self.allocate();
        }
    }

    fn allocate(&mut self) {
        let estimate = self.estimator.estimate() as f64;
        self.allocated = (estimate, self.ms);
        let voices = VOICE * self.wish.voices as f64;
        let waiting = self.waiting.iter().map(|(bytes, _)| *bytes as f64 * 8.0);
        let waiting: f64 = waiting.sum();
        let waiting = if waiting > estimate / 10.0 {
            waiting
        } else {
            0.0
        };
        let since = Duration::from_millis(self.ms);
        let lost = self.estimator.quality(self.origin + since).loss;
        let resent = f64::from(lost.unwrap_or(0.0)).min(0.3) * estimate;
        let available = (estimate - voices - waiting - resent).max(30_000.0);
        let fits = LAYERS.iter().rposition(|layer| *layer <= available);
        let stage = fits.unwrap_or(0);
        let left = available - LAYERS[stage];
        let tiles = if stage + 1 == LAYERS.len() {
            ((left / TILE) as usize).min(self.wish.tiles)
        } else {
            0
        };
        if stage != self.stage {
            self.keys += 1;
            self.second.switches += 1;
        }
        self.keys += tiles.saturating_sub(self.tiles);
        (self.stage, self.tiles) = (stage, tiles);
        let ideal = voices + LAYERS[3] + TILE * self.wish.tiles as f64;
        let now = voices + LAYERS[stage] + TILE * tiles as f64;
        let next = LAYERS
            .get(stage + 1)
            .map_or(TILE, |next| next - LAYERS[stage]);
        let step = if now < ideal { now + next } else { 0.0 };
        let desired = (ideal * 1.25).max(1_000_000.0);
        let at = self.now();
        self.estimator.set_wanted(at, step as u64, desired as u64);
    }
}
