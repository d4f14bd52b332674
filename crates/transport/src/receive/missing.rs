//! What has not come of one stream, and when to ask for it (RFC 4585, 6.2.1).

use std::time::{Duration, Instant};

/// Numbers that are missing, ascending, at most [`MISSING_MAX`].
#[derive(Debug, Default)]
pub(super) struct Missing {
    entries: Vec<Entry>,
    /// The highest number that came.
    highest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u64,
    found: Instant,
    asked: Option<Instant>,
    times: u8,
}

impl Missing {
    /// This number came, above all others, and so many before it were skipped. Gives back when to
    /// look next at the latest, if that may have become earlier.
    pub(super) fn came(&mut self, now: Instant, number: u64, skipped: u64) -> Option<Instant> {
        self.highest = number;
        if skipped > SKIPPED_MAX {
            // Another stream under the same name, or a long pause: nobody wants what was between.
            self.entries.clear();
            return None;
        }
        if skipped == 0 && self.entries.is_empty() {
            return None;
        }
        for missing in number - skipped..number {
            self.entries.push(Entry {
                number: missing,
                found: now,
                asked: None,
                times: 0,
            });
        }
        let excess = self.entries.len().saturating_sub(MISSING_MAX);
        self.entries.drain(..excess);
        // Only the first request can have become due by this.
        let mut new = self.entries.iter().filter(|entry| entry.asked.is_none());
        let due = new.next().map(|first| first.due(number, Duration::ZERO));
        due.map(|due| due.max(now))
    }

    /// This number came after all.
    pub(super) fn found(&mut self, number: u64) {
        let index = self
            .entries
            .binary_search_by_key(&number, |entry| entry.number);
        if let Ok(index) = index {
            self.entries.remove(index);
        }
    }

    /// Appends the numbers that are to be asked for now, at most so many in all, and gives up those
    /// that were asked for often enough or for long enough.
    pub(super) fn take_due(
        &mut self,
        now: Instant,
        again: Duration,
        limit: usize,
        numbers: &mut Vec<u16>,
    ) {
        let highest = self.highest;
        self.entries.retain_mut(|entry| {
            if now.saturating_duration_since(entry.found) >= GIVE_UP {
                return false;
            }
            if entry.due(highest, again) > now || numbers.len() >= limit {
                return true;
            }
            if entry.times >= TIMES_MAX {
                return false;
            }
            entry.asked = Some(now);
            entry.times += 1;
            numbers.push(entry.number as u16);
            true
        });
    }

    /// When there will be something to ask for, or to give up.
    pub(super) fn due(&self, again: Duration) -> Option<Instant> {
        let due = self.entries.iter();
        due.map(|entry| entry.due(self.highest, again).min(entry.found + GIVE_UP))
            .min()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Entry {
    fn due(&self, highest: u64, again: Duration) -> Instant {
        match self.asked {
            Some(asked) => asked + again,
            // It is long in the past: at once.
            None if highest - self.number >= LATER => self.found,
            None => self.found + REORDER,
        }
    }
}

/// So long a packet may be overtaken by others.
const REORDER: Duration = Duration::from_millis(12);
/// By so many at least it is not overtaken, but lost (as TCP has it, RFC 5681, 3.2).
const LATER: u64 = 3;
/// A larger gap is not asked for: that needs a key frame anyway.
const SKIPPED_MAX: u64 = 512;
/// Of two gaps of that size the older is forgotten.
const MISSING_MAX: usize = 512;
const TIMES_MAX: u8 = 10;
/// By then no sender has it any more, and a key frame has been asked for.
const GIVE_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: Duration = Duration::from_millis(50);

    fn due(missing: &mut Missing, now: Instant) -> Vec<u16> {
        let mut numbers = Vec::new();
        missing.take_due(now, AGAIN, 1_000, &mut numbers);
        numbers
    }

    #[test]
    fn what_was_overtaken_is_not_asked_for() {
        let now = Instant::now();
        let mut missing = Missing::default();
        assert_eq!(missing.came(now, 10, 0), None);
        assert_eq!(missing.came(now, 12, 1), Some(now + REORDER));
        assert!(due(&mut missing, now + REORDER / 2).is_empty());
        missing.found(11);
        assert_eq!(missing.due(AGAIN), None);
        assert!(due(&mut missing, now + REORDER).is_empty());
    }

    #[test]
    fn a_gap_is_asked_for_after_a_wait_or_three_packets() {
        let now = Instant::now();
        let mut missing = Missing::default();
        missing.came(now, 10, 0);
        missing.came(now, 12, 1);
        assert_eq!(due(&mut missing, now + REORDER), [11]);
        let later = now + REORDER;
        assert_eq!(missing.came(later, 15, 2), Some(later + REORDER));
        assert!(due(&mut missing, later).is_empty());
        assert_eq!(
            missing.came(later, 16, 0),
            Some(later),
            "13 is three behind"
        );
        assert_eq!(due(&mut missing, later), [13]);
        assert_eq!(missing.came(later, 17, 0), Some(later));
        assert_eq!(due(&mut missing, later), [14]);
    }

    #[test]
    fn it_is_asked_again_after_each_round_trip_and_then_given_up() {
        let start = Instant::now();
        let mut missing = Missing::default();
        missing.came(start, 10, 0);
        missing.came(start, 14, 3);
        assert_eq!(due(&mut missing, start), [11]);
        let mut asked = 0;
        let mut now = start;
        while let Some(next) = missing.due(AGAIN) {
            assert!(next > now, "no busy loop");
            now = next;
            let numbers = due(&mut missing, now);
            asked += numbers.iter().filter(|number| **number == 12).count();
        }
        assert_eq!(asked, usize::from(TIMES_MAX));
        assert!(now - start <= GIVE_UP);
    }

    #[test]
    fn a_stream_that_jumps_is_another() {
        let now = Instant::now();
        let mut missing = Missing::default();
        missing.came(now, 10, 0);
        missing.came(now, 12, 1);
        assert_eq!(missing.came(now, 5_000, 4_987), None);
        assert_eq!(missing.len(), 0);
        missing.came(now, 5_002, 1);
        assert_eq!(due(&mut missing, now + REORDER), [5_001]);
    }

    #[test]
    fn what_is_missing_is_bounded() {
        let now = Instant::now();
        let mut missing = Missing::default();
        missing.came(now, 0, 0);
        for step in 1..20 {
            missing.came(now, step * 500, 499);
            assert!(missing.len() <= MISSING_MAX);
        }
        let numbers = due(&mut missing, now + REORDER);
        assert_eq!(numbers.last(), Some(&9_499));
    }
}
