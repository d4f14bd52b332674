//! Send-side bandwidth estimation: how much can be sent to one receiver.
//!
//! The receiver reports when each packet arrived (transport-wide congestion control,
//! draft-holmer-rmcat-transport-wide-cc-extensions-01); everything is concluded here. The parts
//! are those of Google's congestion control (draft-ietf-rmcat-gcc-02): delay, loss, probes. What
//! they conclude is fitted to a bridge, which sends what layers need and not what the link has:
//!
//! - The estimate falls when packets wait in a queue that stays ([`arrivals`]): to a little less
//!   than what arrives meanwhile, which is what the link has. One reading is enough, also where
//!   the link has become ten times narrower.
//! - Where the queue turns out to be somebody else's, it stays at a share of what was sent before.
//! - It falls when much is lost without a queue, and comes back if that does not help ([`loss`]).
//! - It rises when a probe shows that there is more ([`probe`]), or when more than it gets through.
//! - While neither happens it stays: that little is sent says nothing about the link.

mod arrivals;
mod history;
mod loss;
mod meter;
mod probe;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use arrivals::{Arrivals, Standing};
use history::{History, Turn};
use loss::{Losses, Verdict};
use meter::Meter;
use probe::{Prober, Situation};

/// Bounds of an estimate, in bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Believed before anything was measured.
    pub initial_bps: u64,
    /// Believed at least.
    pub least_bps: u64,
    /// Believed at most.
    pub most_bps: u64,
}

/// What a packet is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Audio or video.
    Media,
    /// The receiver lacks it.
    Retransmission,
    /// To measure only: it shows what gets through, but not that anybody needs it.
    Padding,
}

/// A short burst of packets that shows whether the link has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How fast its packets leave, in bits per second.
    pub rate_bps: u64,
    /// How many bytes leave so at least, media included.
    pub bytes: usize,
    /// And in how many packets at least: a few large ones of media tell nothing.
    pub packets: u32,
    /// In packets of at most so many bytes, where they are padding.
    pub packet: usize,
}

/// How the way to the receiver did of late.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Share of packets that were lost in the last second, 0 to 1, if any was reported on.
    pub loss: Option<f32>,
    /// From sending a packet to the feedback on it.
    pub round_trip: Option<Duration>,
    /// How long packets wait in the narrowest queue.
    pub queue: Duration,
}

/// The estimate of one receiver.
///
/// Its owner calls [`Estimator::sent`] for each packet that leaves with a transport number,
/// [`Estimator::feedback`] for what comes back, and [`Estimator::handle_timeout`] when
/// [`Estimator::wake`] has come. After each of the latter two it asks [`Estimator::take_change`]
/// and [`Estimator::probe`]; a probe goes to [`crate::pacer::Pacer::begin`], and
/// [`Estimator::pacing_bps`] to [`crate::pacer::Pacer::set_rate`].
#[derive(Debug)]
pub struct Estimator {
    settings: Settings,
    /// Times are in microseconds since then.
    origin: Instant,
    history: History,
    arrivals: Arrivals,
    losses: Losses,
    prober: Prober,
    /// All but padding.
    sent: Meter,
    /// In bits per second.
    estimate: f64,
    /// What was told last, and when.
    told: (u64, i64),
    /// Wanted for the next step, and in all.
    wanted: (f64, f64),
    is_resting: bool,
    /// What the link was found to have when it was full last, and when.
    capacity: Option<(f64, i64)>,
    full: Option<Full>,
    /// A queue that is neither none nor one to act on: since when it has been so long, and how long.
    still: Option<(i64, i64)>,
    /// What is taken of a link that somebody else fills, and when that was found last.
    share: Option<(f64, i64)>,
    /// Nothing waits that need not.
    is_free: bool,
    queue: i64,
    /// When less began to be sent.
    cut: i64,
    grown: i64,
    round_trip: Option<i64>,
    usual_loss: f64,
    /// What left before took another path.
    path: i64,
    /// When feedback came last.
    heard: Option<i64>,
}

/// The link is full.
#[derive(Clone, Copy, Debug)]
struct Full {
    since: i64,
    /// What was believed before.
    before: f64,
    /// What was sent then, and what arrived.
    sent: f64,
    arrived: f64,
    /// When less was believed last: how long the queue was, and what was sent.
    queue: i64,
    sent_last: f64,
}

impl Full {
    /// Whether a queue of now so long is as long as it was when less was believed last.
    fn has_stayed(&self, queue: i64) -> bool {
        queue * 5 >= self.queue * 4
    }
}

impl Estimator {
    /// An estimate that begins with `settings.initial_bps`.
    pub fn new(now: Instant, settings: Settings) -> Estimator {
        Estimator {
            settings,
            origin: now,
            history: History::default(),
            arrivals: Arrivals::default(),
            losses: Losses::default(),
            prober: Prober::new(0),
            sent: Meter::default(),
            estimate: settings.initial_bps as f64,
            told: (settings.initial_bps, 0),
            wanted: (0.0, 0.0),
            is_resting: false,
            capacity: None,
            full: None,
            still: None,
            share: None,
            is_free: false,
            queue: 0,
            cut: 0,
            grown: 0,
            round_trip: None,
            usual_loss: 0.0,
            path: 0,
            heard: None,
        }
    }

    /// A packet of so many bytes has left with this transport number. Numbers are those of
    /// consecutive packets, modulo 2^16.
    pub fn sent(&mut self, now: Instant, number: u16, bytes: usize, sort: Sort) {
        let now = self.micros(now);
        if sort != Sort::Padding {
            self.sent.note(now, bytes);
        }
        let is_probe = self.prober.note_sent(now, bytes);
        self.history.push(now, number, bytes, is_probe);
    }

    /// Takes in a transport feedback: for each packet that it covers, in their order, the number,
    /// and when it arrived in microseconds of the receiver's clock (modulo 2^24 times 64 ms).
    pub fn feedback(
        &mut self,
        now: Instant,
        packets: impl IntoIterator<Item = (u16, Option<i64>)>,
    ) {
        let now = self.micros(now);
        let usual = self.losses.usual(now - LATE);
        let usual = usual.unwrap_or(self.usual_loss);
        self.usual_loss = usual;
        let mut unseen = None;
        let (mut reported, mut arrived_last) = (None, None);
        for (number, arrived) in packets {
            let missing = || self.history.unreported_before(number) as f64 * (1.0 - usual);
            let missing = *unseen.get_or_insert_with(missing);
            let Some((packet, turn)) = self.history.report(number, arrived.is_some()) else {
                continue;
            };
            reported = reported.max(Some(packet.at));
            if packet.at < self.path {
                continue;
            }
            match turn {
                Turn::Arrived => self.losses.note(packet.at, false),
                Turn::Lost => self.losses.note(packet.at, true),
                Turn::Found => self.losses.note_found(),
            }
            let arrived = arrived.map(|arrived| self.arrivals.unwrap(packet.at, arrived));
            if packet.is_probe && turn != Turn::Found {
                self.prober.note_report(packet.at, packet.bytes, arrived);
            }
            if let Some(arrived) = arrived {
                let bytes = u64::from(packet.bytes);
                self.arrivals
                    .note(packet.at, arrived, bytes, missing as u64);
                unseen = Some(0.0);
                arrived_last = arrived_last.max(Some(packet.at));
            }
        }
        let Some(reported) = reported else { return };
        self.heard = Some(now);
        if let Some(sent) = arrived_last {
            let sample = (now - sent).max(0);
            let former = self.round_trip.unwrap_or(sample);
            self.round_trip = Some(sample.min(former + (sample - former) / 8));
        }
        self.conclude(now, reported, usual);
    }

    /// Gives up what is overdue.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.micros(now);
        self.prober.expire(now, self.response());
        if self.heard.is_some_and(|heard| now > heard + SILENCE) {
            self.is_free = false;
        }
    }

    /// When it wants to be driven.
    pub fn wake(&self) -> Option<Instant> {
        let expiry = self.prober.expiry(self.response());
        let next = self.prober.next().filter(|_| self.may_probe());
        let next = next.map(|next| {
            // Whichever is first: without feedback there is no probe.
            let silent = self.heard.map_or(next, |heard| heard + SILENCE + 1);
            next.min(silent)
        });
        let wake = [expiry, next].into_iter().flatten().min()?;
        Some(self.origin + Duration::from_micros(u64::try_from(wake).unwrap_or(0)))
    }

    /// Says how much would be sent if it could: `step_bps` with the next step up, `desired_bps`
    /// with everything. What is wanted anew is probed for as soon as it may be.
    pub fn set_wanted(&mut self, now: Instant, step_bps: u64, desired_bps: u64) {
        if desired_bps as f64 > self.wanted.1 * MUCH_MORE {
            let now = self.micros(now);
            self.prober.hasten(now);
        }
        self.wanted = (step_bps as f64, desired_bps as f64);
    }

    /// So many bits per second are believed to get through.
    pub fn estimate(&self) -> u64 {
        self.estimate as u64
    }

    /// How fast packets may leave, in bits per second.
    pub fn pacing_bps(&self) -> u64 {
        // What is sent faster than the link can pass it on arrives no sooner, and may be lost.
        let most = self.known().map_or(f64::MAX, |all| all * PACING_CAPACITY);
        let factor = if self.full.is_some() {
            PACING_LEAST
        } else {
            PACING
        };
        let most = most.min(self.estimate * factor);
        most.max(self.estimate * PACING_LEAST) as u64
    }

    /// The estimate, if it has changed by a hundredth since it was told last, or if that was more
    /// than a second ago.
    pub fn take_change(&mut self) -> Option<u64> {
        let estimate = self.estimate();
        let (told, at) = self.told;
        let heard = self.heard.filter(|heard| *heard - at >= SECOND);
        if self.is_resting || (estimate.abs_diff(told) <= told / 100 && heard.is_none()) {
            return None;
        }
        self.told = (estimate, self.heard.unwrap_or(at));
        Some(estimate)
    }

    /// Forgets what was learnt about the link's capacity, and begins with this.
    pub fn begin_with(&mut self, now: Instant, bps: u64) {
        let now = self.micros(now);
        self.estimate = self.bounded(bps as f64);
        self.capacity = None;
        self.full = None;
        self.still = None;
        self.share = None;
        self.is_free = false;
        self.cut = now;
        self.losses.begin_anew(now);
        self.prober.begin_anew(now);
    }

    /// Packets take another path from now on: what is believed stays until more is known, but its
    /// delays and losses are not compared with the former's.
    pub fn change_path(&mut self, now: Instant) {
        let estimate = self.estimate();
        self.path = self.micros(now);
        self.arrivals = Arrivals::default();
        self.losses = Losses::default();
        self.usual_loss = 0.0;
        self.round_trip = None;
        self.queue = 0;
        self.begin_with(now, estimate);
    }

    /// While it rests nothing is probed, and what arrives changes nothing. After that it begins
    /// with what was believed last, or with the initial estimate if that is less.
    pub fn set_resting(&mut self, now: Instant, is_resting: bool) {
        if self.is_resting && !is_resting {
            self.begin_with(now, self.estimate().min(self.settings.initial_bps));
        }
        self.is_resting = is_resting;
    }

    /// How the way to the receiver did of late.
    pub fn quality(&self, now: Instant) -> Quality {
        let now = self.micros(now);
        let is_known = self.heard.is_some_and(|heard| now - heard <= LATE);
        // What was lost because too much was sent is past.
        let since = self.cut.max(now - SECOND - self.response());
        let loss = self.losses.share(since).filter(|_| is_known);
        let duration = |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        Quality {
            loss: loss.map(|loss| loss as f32),
            round_trip: self.round_trip.filter(|_| is_known).map(duration),
            queue: duration(if is_known { self.queue } else { 0 }),
        }
    }

    /// The probe that is due, once. What is sent from now on counts for it.
    pub fn probe(&mut self, now: Instant) -> Option<Probe> {
        let now = self.micros(now);
        let is_silent = self.heard.is_none_or(|heard| now > heard + SILENCE);
        let is_due = self.prober.next().is_some_and(|next| next <= now);
        if is_silent || !is_due || !self.may_probe() {
            return None;
        }
        Some(self.prober.begin(now, &self.situation()))
    }

    fn micros(&self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.origin);
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    /// After what time the effect of what is done now is known.
    fn response(&self) -> i64 {
        self.round_trip.unwrap_or(ROUND_TRIP) + FEEDBACK
    }

    fn situation(&self) -> Situation {
        // What gets lost is sent again.
        let again = 1.0 / (1.0 - self.usual_loss.min(0.5));
        Situation {
            estimate: self.estimate,
            step: self.wanted.0 * again,
            desired: self.wanted.1 * again,
            most: self.settings.most_bps as f64,
            noise: self.arrivals.noise(),
        }
    }

    fn known(&self) -> Option<f64> {
        self.capacity.map(|(all, _)| all)
    }

    fn may_probe(&self) -> bool {
        self.is_free && !self.is_resting && Prober::is_wanted(&self.situation())
    }

    /// How long packets may wait: more where delays vary, and where a packet or two take long to
    /// pass.
    fn patience(&self) -> i64 {
        let passing = (TWO_PACKETS * 1e6 / self.estimate) as i64;
        QUEUE + passing.min(PASSING_MOST).max(self.arrivals.noise())
    }

    /// Draws the conclusions from a feedback.
    fn conclude(&mut self, now: i64, reported: i64, usual: f64) {
        let high = self.patience();
        let low = high / 2;
        let standing = self.arrivals.standing(self.cut, low);
        let waiting = self.arrivals.waiting();
        self.queue = standing.map_or(waiting, |standing| standing.queue).max(0);
        let noise = self.arrivals.noise();
        let finding = self.prober.finish(now, reported, noise, usual);
        let sent = self.sent.bps(now);
        if self.is_resting {
            return;
        }
        match standing {
            Some(standing) if standing.queue >= high => {
                self.is_free = false;
                self.still = None;
                self.handle_full(now, standing, sent, usual);
                return;
            }
            Some(standing) if standing.queue < low => {
                self.still = None;
                if self.full.take().is_some() {
                    // It has got shorter as it should: no more is to be left out for it.
                    let rest = self.known().map_or(0.0, |all| all * DRAINING);
                    self.estimate = self.estimate.max(self.bounded(rest));
                }
                self.is_free = true;
            }
            _ => {
                self.is_free &= waiting < low;
                self.judge_still(now, standing, noise);
            }
        }
        if self.judge_losses(now, sent) {
            return;
        }
        if let Some(finding) = finding {
            self.handle_finding(now, finding);
        }
        self.grow(now, sent);
    }

    /// The path has become a little longer: a queue that stays as long as it is, to a few
    /// thousandths of a second for seconds, is none. What is sent would have to be what the link
    /// has, to a thousandth.
    fn judge_still(&mut self, now: i64, standing: Option<Standing>, noise: i64) {
        let Some(Standing { queue, .. }) = standing else {
            return;
        };
        match self.still {
            Some((since, level)) if (queue - level).abs() <= STILL_MOST.max(noise / 2) => {
                if now - since >= STILL {
                    self.arrivals.take_for_granted(queue);
                    self.still = None;
                }
            }
            _ => self.still = Some((now, queue)),
        }
    }

    /// What arrives through a full queue is all that the link has.
    fn handle_full(&mut self, now: i64, standing: Standing, sent: f64, usual: f64) {
        let queue = standing.queue;
        let is_new = self.full.is_none();
        let full = *self.full.get_or_insert(Full {
            since: now,
            before: self.estimate,
            sent,
            arrived: self.arrivals.throughput().unwrap_or(0.0),
            queue,
            sent_last: sent,
        });
        if is_new {
            self.prober.note_full(now);
        }
        // The effect of what was done about it is not to be seen before.
        let is_settled = now - self.cut >= self.response() + SECOND;
        if !is_new && is_settled {
            let is_none = self.is_none(&full, standing, sent);
            if is_none {
                let passed = full.sent.max(self.estimate) * BEYOND_PROVEN;
                self.estimate = self.estimate.max(full.before.min(passed));
                self.capacity = None;
            }
            let is_others = self.is_others(now, &full, standing, sent);
            if is_none || is_others || self.is_in_vain(now, &full, standing, sent, usual) {
                if sent <= full.sent * 0.95 {
                    // Who yields to those who fill a queue has nothing in the end.
                    let former = full.before.min(full.sent).min(full.arrived);
                    let share = (former * SHARED).max(self.share(now));
                    self.share = Some((share, now));
                    self.estimate = self.estimate.max(self.bounded(share));
                    self.capacity = None;
                }
                self.arrivals.take_for_granted(queue);
                self.full = None;
                return;
            }
        }
        let is_growing = queue * 5 >= full.queue * 6;
        let Some(throughput) = standing.throughput else {
            return;
        };
        let factor = match queue {
            // It is as long as it was: so little less was not noticed.
            _ if !is_new && !is_growing && is_settled => DRAINING_AGAIN,
            QUEUE_LONG.. => DRAINING_LONG,
            _ => DRAINING,
        };
        let share = self.share(now);
        let is_passing = throughput >= sent.min(share) * 0.85 && usual <= SHARED_LOSS;
        let least = if is_passing { share } else { 0.0 };
        let rest = self.bounded((throughput * factor).max(least));
        if rest < self.estimate && (is_new || is_growing || is_settled) {
            self.estimate = rest;
            self.capacity = Some((throughput, now));
            self.cut = now;
            self.full = Some(Full {
                queue,
                sent_last: sent,
                ..full
            });
            self.losses.begin_anew(now);
        }
    }

    /// Whether the queue is none: less is sent than the link had, all of it arrives, and it waits
    /// as long as before.
    fn is_none(&self, full: &Full, standing: Standing, sent: f64) -> bool {
        let throughput = standing.throughput.unwrap_or(0.0);
        let has_room = self.known().is_some_and(|all| throughput <= all * 0.85);
        let is_passing = (throughput * 0.85..throughput * 1.1).contains(&sent);
        let change = (standing.queue - full.queue).abs();
        has_room && is_passing && change * 10 <= full.queue
    }

    /// Whether the queue is somebody else's, a download's for instance: less is sent than before,
    /// all of it gets through, and yet the queue has not got shorter, which it would have done by
    /// now.
    fn is_others(&self, now: i64, full: &Full, standing: Standing, sent: f64) -> bool {
        let Standing { queue, throughput } = standing;
        let since = self.cut.max(full.since);
        let is_late = now - since >= self.response() + SECOND.max(2 * queue);
        let is_passing = sent <= throughput.unwrap_or(0.0) * 1.1;
        is_late && full.has_stayed(queue) && is_passing && sent <= self.estimate * HEEDED
    }

    /// What is taken of a link that is shared with somebody who fills its queue; 0 is no less than
    /// the queue says.
    fn share(&self, now: i64) -> f64 {
        let share = self.share.filter(|(_, at)| now - at < SHARED_KEPT);
        share.map_or(0.0, |(share, _)| share)
    }

    /// Whether nothing that was done about the queue has helped: the path is longer than it was, or
    /// the queue is somebody else's. A queue of which more arrives than is sent gets shorter; and
    /// where more is sent than is believed nothing was done, unless it is the least that there is.
    fn is_in_vain(&self, now: i64, full: &Full, standing: Standing, sent: f64, usual: f64) -> bool {
        let elapsed = now - full.since - 2 * self.response();
        let is_draining = standing.throughput.unwrap_or(0.0) > sent * HEEDED;
        let was_tried = sent <= self.estimate * HEEDED || sent >= full.sent_last * 0.95;
        full.has_stayed(standing.queue)
            && !is_draining
            && was_tried
            && ((elapsed >= VAIN && sent <= full.sent * 0.85)
                || (elapsed >= 2 * VAIN && usual <= LITTLE_LOSS && sent <= self.estimate))
    }

    /// True if nothing else is to be concluded.
    fn judge_losses(&mut self, now: i64, sent: f64) -> bool {
        let verdict = self.losses.judge(now, sent, self.estimate, self.response());
        match verdict {
            Some(Verdict::TooMuch) => {
                if let Some(throughput) = self.arrivals.throughput() {
                    let rest = self.bounded(throughput * DRAINING);
                    self.capacity = Some((throughput, now));
                    self.estimate = self.estimate.min(rest);
                    self.prober.note_full(now);
                }
            }
            Some(Verdict::Ours) => self.prober.note_vain(now),
            Some(Verdict::NotOurs(before)) => {
                self.capacity = None;
                self.estimate = self.estimate.max(before);
            }
            None => {}
        }
        self.is_free &= !self.losses.is_testing();
        verdict.is_some()
    }

    fn handle_finding(&mut self, now: i64, finding: probe::Finding) {
        if finding.bps <= self.estimate * 1.02 {
            return;
        }
        let mut bps = finding.bps;
        match self.capacity {
            // A short burst is not as sure as a full link was.
            Some((all, at)) if now - at < CAPACITY_KEPT && bps < all * ANOTHER => {
                bps = bps.min(all * CEILING);
            }
            _ => self.capacity = finding.is_all.then_some((bps / CEILING, now)),
        }
        if bps <= self.estimate {
            return;
        }
        self.estimate = self.bounded(bps);
        self.grown = now;
        self.prober.note_raised(now, finding.is_all);
    }

    /// More than what is believed gets through, or is about to.
    fn grow(&mut self, now: i64, sent: f64) {
        let elapsed = (now - self.grown).min(GROWTH_MOST);
        self.grown = now;
        let Some(throughput) = self.arrivals.throughput().filter(|_| self.is_free) else {
            return;
        };
        let proven = throughput.min(sent);
        self.capacity = self.capacity.map(|(all, at)| (all.max(proven), at));
        if proven > self.estimate {
            self.estimate = self.bounded(proven);
        }
        if sent < self.estimate * USED {
            return;
        }
        let ceiling = self.known().map_or(f64::MAX, |all| all * CEILING);
        let ceiling = ceiling.min(proven * BEYOND_PROVEN);
        let more = self.estimate * (1.0 + GROWTH * elapsed as f64 / 1e6);
        self.estimate = self.estimate.max(self.bounded(more.min(ceiling)));
    }

    fn bounded(&self, bps: f64) -> f64 {
        let (least, most) = (self.settings.least_bps, self.settings.most_bps);
        bps.clamp(least as f64, most.max(least) as f64)
    }
}

/// In microseconds.
const SECOND: i64 = 1_000_000;
/// Feedback of longer ago says nothing of today.
const LATE: i64 = 2_400_000;
/// Without feedback for so long nothing is probed.
const SILENCE: i64 = SECOND;
/// Before any is known.
const ROUND_TRIP: i64 = 100_000;
/// From one feedback to the next.
const FEEDBACK: i64 = 150_000;
/// A queue of so long, in microseconds, is no chance where delays do not vary.
const QUEUE: i64 = 25_000;
/// How long two full packets take to pass counts too, within bounds.
const TWO_PACKETS: f64 = 2.0 * 1_200.0 * 8.0;
const PASSING_MOST: i64 = 60_000;
/// What arrives through a full queue, less so much that the queue gets shorter.
const DRAINING: f64 = 0.92;
const DRAINING_LONG: f64 = 0.85;
const DRAINING_AGAIN: f64 = 0.8;
const QUEUE_LONG: i64 = 200_000;
/// So many times what is believed, or sent, is no more than that.
const HEEDED: f64 = 1.05;
/// A queue that was not helped in so long will not be.
const VAIN: i64 = 2 * SECOND;
const LITTLE_LOSS: f64 = 0.03;
/// Of what was sent before somebody else filled the queue, so much is sent on whatever the queue is,
/// for so long; unless more than that is lost.
const SHARED: f64 = 0.6;
const SHARED_KEPT: i64 = 20 * SECOND;
const SHARED_LOSS: f64 = 0.1;
/// So little may a queue change that is none, in microseconds, and for so long.
const STILL_MOST: i64 = 3_000;
const STILL: i64 = 3 * SECOND;
/// How long that is believed rather than probes that find hardly more, in microseconds.
const CAPACITY_KEPT: i64 = 60 * SECOND;
/// So many times what it had is another link.
const ANOTHER: f64 = 1.15;
/// Of what the link was found to have so much is taken without a probe.
const CEILING: f64 = 0.97;
/// Share per second by which an estimate grows that is made use of.
const GROWTH: f64 = 0.08;
/// In microseconds: after silence it does not leap.
const GROWTH_MOST: i64 = 300_000;
/// An estimate is made use of if so much of it is sent, and grows to so much more than that.
const USED: f64 = 0.85;
const BEYOND_PROVEN: f64 = 1.15;
/// So much more is another wish.
const MUCH_MORE: f64 = 1.5;
/// Packets leave by so much faster than on average.
const PACING: f64 = 2.5;
const PACING_LEAST: f64 = 1.1;
/// And this much faster than the link is known to be.
const PACING_CAPACITY: f64 = 1.25;
