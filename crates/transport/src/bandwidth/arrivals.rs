//! When packets arrived: how long they waited on the way, and how fast they came while they did.
//!
//! The two clocks have no common zero, so a delay says nothing by itself; what is above the least
//! of the last half minute is waiting. A single wait says nothing either: frames come in bursts,
//! radio holds packets back and then delivers them together. But in a queue that is there to stay
//! even the luckiest packet of the last tenth of a second waits. While it does, the narrowest part
//! of the link is never idle: what arrives then is what the link has, however little is sent on
//! average. (Carlucci et al., "Congestion control for WebRTC", 2017, look at the slope of delays;
//! a queue that is full already has none.)

use std::collections::VecDeque;

/// What was learnt from arrivals.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    groups: VecDeque<Group>,
    /// When the last packet arrived, in microseconds of the receiver's clock, unwrapped.
    newest: Option<i64>,
    /// The least delay of the present and of the former quarter of a minute.
    least: [Option<i64>; 2],
    /// When the present one began.
    least_since: i64,
    /// How far delays lay apart in each of the last quarters of a second.
    spreads: [i64; SPREADS],
    spread_next: usize,
    quarter: Quarter,
}

/// Delays of a quarter of a second.
#[derive(Clone, Copy, Debug, Default)]
struct Quarter {
    since: i64,
    packets: u32,
    least: i64,
    most: i64,
}

/// Packets that left and arrived together.
#[derive(Clone, Copy, Debug)]
struct Group {
    sent_first: i64,
    sent_last: i64,
    arrived_first: i64,
    arrived_last: i64,
    bytes: u64,
    /// Of the packet that waited least.
    delay: i64,
}

/// A queue that stays, in microseconds and bits per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    /// How long the luckiest packet of late waited.
    pub(super) queue: i64,
    /// What arrived while they waited, if that could be measured.
    pub(super) throughput: Option<f64>,
}

impl Arrivals {
    /// The time of an arrival without its wrapping, for a packet that left at `sent`.
    pub(super) fn unwrap(&mut self, sent: i64, arrived: i64) -> i64 {
        let arrived = arrived.rem_euclid(WRAP);
        if let (Some(newest), Some(group)) = (self.newest, self.groups.back()) {
            let ahead = (arrived - newest).rem_euclid(WRAP);
            let ahead = if ahead > WRAP / 2 {
                ahead - WRAP
            } else {
                ahead
            };
            if (ahead - (sent - group.sent_last)).abs() <= CLOCK_MOST {
                return newest + ahead;
            }
            // Its clock was set, or it talks nonsense.
            *self = Arrivals::default();
        }
        arrived
    }

    /// A packet arrived; in the order of sending. `unseen` more bytes arrived before it, nobody
    /// knows when.
    pub(super) fn note(&mut self, sent: i64, arrived: i64, bytes: u64, unseen: u64) {
        let is_older = self.newest.is_some_and(|newest| arrived < newest - STALE);
        let delay = arrived - sent;
        self.newest = Some(self.newest.map_or(arrived, |newest| newest.max(arrived)));
        self.note_least(sent, delay);
        self.note_spread(sent, delay);
        if is_older {
            return;
        }
        if let Some(group) = self.groups.back_mut()
            && sent - group.sent_first <= GROUP
            && arrived - group.arrived_first <= GROUP
        {
            group.sent_last = group.sent_last.max(sent);
            group.arrived_last = group.arrived_last.max(arrived);
            group.arrived_first = group.arrived_first.min(arrived);
            group.bytes += bytes + unseen;
            group.delay = group.delay.min(delay);
            return;
        }
        let is_old = |old: &Group| arrived - old.arrived_last > REMEMBERED;
        while self.groups.len() >= GROUPS_MAX || self.groups.front().is_some_and(is_old) {
            self.groups.pop_front();
        }
        self.groups.push_back(Group {
            sent_first: sent,
            sent_last: sent,
            arrived_first: arrived,
            arrived_last: arrived,
            bytes: bytes + unseen,
            delay,
        });
    }

    fn note_least(&mut self, sent: i64, delay: i64) {
        if sent - self.least_since >= LEAST_SPAN {
            self.least = [None, self.least[0]];
            self.least_since = sent;
        }
        self.least[0] = Some(self.least[0].map_or(delay, |least| least.min(delay)));
    }

    /// The delay without any queue.
    fn base(&self) -> Option<i64> {
        self.least.iter().flatten().min().copied()
    }

    fn note_spread(&mut self, sent: i64, delay: i64) {
        let quarter = self.quarter;
        if quarter.packets >= QUARTER_PACKETS && sent - quarter.since >= QUARTER {
            if let Some(spread) = self.spreads.get_mut(self.spread_next) {
                *spread = quarter.most - quarter.least;
            }
            self.spread_next = (self.spread_next + 1) % SPREADS;
            self.quarter.packets = 0;
        }
        let quarter = &mut self.quarter;
        if quarter.packets == 0 {
            *quarter = Quarter {
                since: sent,
                packets: 0,
                least: delay,
                most: delay,
            };
        }
        quarter.packets += 1;
        quarter.least = quarter.least.min(delay);
        quarter.most = quarter.most.max(delay);
    }

    /// How much delays vary always, in microseconds. A queue that grows or shrinks does so for a
    /// moment only.
    pub(super) fn noise(&self) -> i64 {
        self.spreads.iter().min().copied().unwrap_or(0)
    }

    /// What arrived last had waited so long, at least.
    pub(super) fn waiting(&self) -> i64 {
        let (Some(last), Some(base)) = (self.groups.back(), self.base()) else {
            return 0;
        };
        last.delay - base
    }

    /// The queue that was there throughout the last tenth of a second; what was sent before
    /// `since` does not count. `low` is a wait that shows that the link is busy.
    pub(super) fn standing(&self, since: i64, low: i64) -> Option<Standing> {
        let (newest, base) = (self.newest?, self.base()?);
        // A queue that is growing fast needs no long look.
        let last = self.groups.back()?.delay - base;
        let span = if last >= 4 * low {
            STANDING_LEAST
        } else {
            STANDING
        };
        let mut least = i64::MAX;
        let mut count = 0;
        let mut earliest = newest;
        for group in self.groups.iter().rev() {
            let is_enough = count >= GROUPS_MIN && newest - earliest >= STANDING_LEAST;
            let is_recent = newest - group.arrived_last <= span;
            if (is_enough && !is_recent) || group.sent_first < since {
                break;
            }
            if newest - group.arrived_last > STANDING_MOST {
                break;
            }
            least = least.min(group.delay);
            earliest = earliest.min(group.arrived_first);
            count += 1;
        }
        if count < GROUPS_MIN || newest - earliest < STANDING_LEAST {
            return None;
        }
        Some(Standing {
            queue: least - base,
            throughput: self.busy(base + low),
        })
    }

    /// What arrived since each packet waited for longer than it takes to reach `delay`.
    fn busy(&self, delay: i64) -> Option<f64> {
        let newest = self.newest?;
        let mut bytes = 0;
        let mut first = newest;
        let mut pending = 0;
        for group in self.groups.iter().rev() {
            if group.delay < delay || newest - group.arrived_last > BUSY_MOST {
                break;
            }
            // The bytes of the earliest group arrived before the time that is counted.
            bytes += pending;
            pending = group.bytes;
            first = first.min(group.arrived_last);
        }
        let span = newest - first;
        (span >= BUSY_LEAST).then(|| bytes as f64 * 8e6 / span as f64)
    }

    /// What arrived in the last half second, in bits per second.
    pub(super) fn throughput(&self) -> Option<f64> {
        let newest = self.newest?;
        let mut bytes = 0;
        let mut first = newest;
        let mut pending = 0;
        for group in self.groups.iter().rev() {
            if newest - group.arrived_last > THROUGHPUT {
                break;
            }
            bytes += pending;
            pending = group.bytes;
            first = first.min(group.arrived_last);
        }
        let span = newest - first;
        (span >= THROUGHPUT_LEAST).then(|| bytes as f64 * 8e6 / span as f64)
    }

    /// The waits of late are the path's, not a queue's.
    pub(super) fn take_for_granted(&mut self, queue: i64) {
        if let Some(base) = self.base() {
            self.least = [Some(base + queue), None];
        }
    }
}

/// Of the receiver's clock as feedback tells it: 24 bits of 64 milliseconds.
const WRAP: i64 = (1 << 24) * 64_000;
/// Two clocks do not differ by so much suddenly.
const CLOCK_MOST: i64 = 60_000_000;
/// Packets that left and arrived within so many microseconds are looked at together.
const GROUP: i64 = 5_000;
const GROUPS_MAX: usize = 256;
/// Nobody looks further back.
const REMEMBERED: i64 = BUSY_MOST;
const GROUPS_MIN: usize = 3;
/// What arrives so much later than others that left with it tells nothing of the queue.
const STALE: i64 = 1_000_000;
/// The spans in which the spread of delays is looked at, in microseconds, and how many.
const QUARTER: i64 = 250_000;
const QUARTER_PACKETS: u32 = 5;
const SPREADS: usize = 8;
/// Half of the time for which the least delay is remembered. Clocks drift by less than a
/// millisecond meanwhile.
const LEAST_SPAN: i64 = 15_000_000;
/// For so long the luckiest packet is looked for, where there are enough; and at most.
const STANDING: i64 = 120_000;
const STANDING_LEAST: i64 = 60_000;
const STANDING_MOST: i64 = 500_000;
/// The span in which throughput is measured while the link is busy.
const BUSY_MOST: i64 = 600_000;
const BUSY_LEAST: i64 = 60_000;
const THROUGHPUT: i64 = 500_000;
const THROUGHPUT_LEAST: i64 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 1,000 bytes, each sent after so many milliseconds and arriving after so many.
    fn play(arrivals: &mut Arrivals, packets: impl IntoIterator<Item = (i64, i64)>) {
        for (sent, arrived) in packets {
            arrivals.note(sent * 1_000, arrived * 1_000, 1_000, 0);
        }
    }

    const LOW: i64 = 15_000;

    #[test]
    fn the_clock_of_the_receiver_wraps() {
        let mut arrivals = Arrivals::default();
        let late = WRAP - 1_000;
        let mut note = |sent, arrived| {
            let arrived = arrivals.unwrap(sent, arrived);
            arrivals.note(sent, arrived, 100, 0);
            arrived
        };
        assert_eq!(note(0, late), late);
        assert_eq!(note(1_000, late - 5_000), late - 5_000);
        assert_eq!(note(5_000, 4_000), late + 5_000);
        assert_eq!(note(10_000, 9_000), late + 10_000);
        assert_eq!(arrivals.waiting(), 6_000);
    }

    #[test]
    fn a_clock_that_was_set_begins_anew() {
        let mut arrivals = Arrivals::default();
        play(&mut arrivals, (0..50).map(|n| (n * 20, n * 20)));
        let arrived = arrivals.unwrap(1_000_000, 500_000_000);
        assert_eq!(arrived, 500_000_000);
        arrivals.note(1_000_000, arrived, 100, 0);
        assert_eq!(arrivals.waiting(), 0);
        let silent = 3_600_000_000;
        let arrived = arrivals.unwrap(silent, silent + 499_000_000);
        assert_eq!(arrived, silent + 499_000_000, "nobody spoke for an hour");
        arrivals.note(silent, arrived, 100, 0);
        assert_eq!(arrivals.groups.len(), 1, "what was before is of no use");
    }

    /// 800 kbit/s through 400: each packet arrives 20 ms after the one before.
    #[test]
    fn a_full_link_shows_its_queue_and_its_rate() {
        let mut arrivals = Arrivals::default();
        play(&mut arrivals, (0..50).map(|n| (n * 20, n * 20 + 500)));
        let standing = arrivals.standing(0, LOW).unwrap();
        assert_eq!((standing.queue, standing.throughput), (0, None));
        play(
            &mut arrivals,
            (0..50).map(|n| (1_000 + n * 10, 1_500 + n * 20)),
        );
        let standing = arrivals.standing(0, LOW).unwrap();
        assert!(
            (370_000..=460_000).contains(&standing.queue),
            "{standing:?}"
        );
        let throughput = standing.throughput.unwrap();
        assert!((throughput - 400e3).abs() < 1e3, "{throughput}");
        let after = arrivals.standing(1_600_000, LOW);
        assert_eq!(after, None, "nothing was sent since then");
    }

    /// Radio holds everything back for 200 ms, then delivers it at once.
    #[test]
    fn what_was_held_back_is_no_queue() {
        let mut arrivals = Arrivals::default();
        play(&mut arrivals, (0..50).map(|n| (n * 20, n * 20)));
        play(&mut arrivals, (0..10).map(|n| (1_000 + n * 20, 1_200)));
        let standing = arrivals.standing(0, LOW);
        assert!(
            standing.is_none_or(|standing| standing.queue <= 20_000),
            "{standing:?}"
        );
        assert_eq!(standing.and_then(|standing| standing.throughput), None);
    }

    #[test]
    fn a_burst_is_no_queue() {
        let mut arrivals = Arrivals::default();
        play(&mut arrivals, (0..50).map(|n| (n * 20, n * 20)));
        // A key frame of 40 packets at once takes 80 ms.
        play(&mut arrivals, (0..40).map(|n| (1_000, 1_000 + n * 2)));
        play(
            &mut arrivals,
            [
                (1_020, 1_082),
                (1_040, 1_084),
                (1_060, 1_086),
                (1_080, 1_100),
            ],
        );
        let standing = arrivals.standing(0, LOW).unwrap();
        assert!(standing.queue < 20_000, "{standing:?}");
    }

    /// Of three quarters of a minute ago nothing is remembered; until then all.
    #[test]
    fn the_least_delay_is_forgotten_in_time() {
        let mut arrivals = Arrivals::default();
        play(&mut arrivals, (0..150).map(|n| (n * 100, n * 100)));
        play(&mut arrivals, (150..290).map(|n| (n * 100, n * 100 + 50)));
        assert_eq!(arrivals.waiting(), 50_000);
        play(&mut arrivals, (290..500).map(|n| (n * 100, n * 100 + 50)));
        assert_eq!(arrivals.waiting(), 0);
    }

    #[test]
    fn what_is_taken_for_granted_does_not_wait() {
        let mut arrivals = Arrivals::default();
        play(&mut arrivals, (0..50).map(|n| (n * 20, n * 20)));
        play(&mut arrivals, (50..80).map(|n| (n * 20, n * 20 + 300)));
        assert_eq!(arrivals.standing(0, LOW).unwrap().queue, 300_000);
        arrivals.take_for_granted(300_000);
        assert_eq!(arrivals.standing(0, LOW).unwrap().queue, 0);
        play(&mut arrivals, [(1_700, 1_700)]);
        assert_eq!(arrivals.waiting(), 0, "shorter again");
    }

    /// Delays that always vary are noise; a queue that comes and goes is none.
    #[test]
    fn noise_is_what_is_always_there() {
        let mut steady = Arrivals::default();
        play(&mut steady, (0..300).map(|n| (n * 10, n * 10)));
        play(
            &mut steady,
            (300..350).map(|n| (n * 10, n * 10 + (n - 300) * 8)),
        );
        assert_eq!(steady.noise(), 0);
        let mut jittery = Arrivals::default();
        play(
            &mut jittery,
            (0..300).map(|n| (n * 10, n * 10 + (n * 7) % 20)),
        );
        assert!(
            (15_000..=20_000).contains(&jittery.noise()),
            "{}",
            jittery.noise()
        );
    }

    /// What a lost report was about counts as arrived before the next.
    #[test]
    fn what_was_not_reported_on_counts_for_the_throughput() {
        let mut arrivals = Arrivals::default();
        play(&mut arrivals, (0..20).map(|n| (n * 20, n * 20)));
        arrivals.note(800_000, 800_000, 1_000, 19_000);
        play(&mut arrivals, (41..60).map(|n| (n * 20, n * 20)));
        let throughput = arrivals.throughput().unwrap();
        assert!((throughput - 400e3).abs() < 20e3, "{throughput}");
    }
}
