//! When which endpoint or conference wants to be driven.
//!
//! A sorted vector with the earliest last: what is busy is due soon, so that its entries move few
//! others, and nothing is allocated once it has grown to its size.
//!
//! What is not urgent rings with others: then a silent endpoint costs hardly a wake-up of its own.

use std::time::{Duration, Instant};

/// One due time; at most one for each endpoint and each conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) at: Instant,
    pub(super) conference: usize,
    pub(super) what: Due,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Seat(usize),
    Tick,
}

/// How much depends on being driven in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// What is due soon is: media, a check or a handshake under way.
    Busy,
    /// Only checks that nobody waits for.
    Quiet,
}

/// All timers of a worker.
#[derive(Debug)]
pub(super) struct Timers {
    /// From here the grid counts that what is not urgent falls on.
    start: Instant,
    /// Descending.
    entries: Vec<Timer>,
}

impl Timers {
    pub(super) fn new(start: Instant) -> Timers {
        Timers {
            start,
            entries: Vec::new(),
        }
    }

    /// When to ring for what wants to be driven at `at`: a little later, if it is not urgent.
    pub(super) fn coalesce(&self, at: Instant, now: Instant, urgency: Urgency) -> Instant {
        let grid = match urgency {
            Urgency::Busy if at.saturating_duration_since(now) < URGENT => return at,
            Urgency::Busy => GRID,
            Urgency::Quiet => QUIET_GRID,
        };
        let grid = grid.as_nanos();
        let since = at.max(now).saturating_duration_since(self.start).as_nanos();
        let late = since.next_multiple_of(grid) - since;
        at.max(now) + Duration::from_nanos(u64::try_from(late).unwrap_or(0))
    }

    /// When a conference's tick rings that wants to at `at`, a tick from now at the latest: all
    /// ring together. Never later, so that what rings late does not drift.
    pub(super) fn align_tick(&self, at: Instant, tick: Duration) -> Instant {
        let since = at.saturating_duration_since(self.start).as_nanos();
        let early = since % tick.as_nanos().max(1);
        at.checked_sub(Duration::from_nanos(u64::try_from(early).unwrap_or(0)))
            .unwrap_or(at)
    }

    pub(super) fn insert(&mut self, timer: Timer) {
        if let Err(place) = self.place(&timer) {
            self.entries.insert(place, timer);
        }
    }

    /// Takes one back, if it is there.
    pub(super) fn remove(&mut self, timer: &Timer) {
        if let Ok(place) = self.place(timer) {
            self.entries.remove(place);
        }
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<Timer> {
        self.entries.last().copied()
    }

    /// The earliest, if it is due at `now`; it is gone then.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        self.entries.pop_if(|timer| timer.at <= now)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn place(&self, timer: &Timer) -> Result<usize, usize> {
        self.entries.binary_search_by(|one| timer.cmp(one))
    }
}

const URGENT: Duration = Duration::from_millis(100);
const GRID: Duration = Duration::from_millis(50);
/// Ticks ring then too.
const QUIET_GRID: Duration = Duration::from_millis(600);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_urgent_rings_with_others() {
        let start = Instant::now();
        let timers = Timers::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        use Urgency::{Busy, Quiet};
        for (wanted, now, urgency, expected) in [
            (120, 21, Busy, 120),
            (120, 20, Busy, 150),
            (1_001, 0, Busy, 1_050),
            (1_050, 0, Busy, 1_050),
            (99, 200, Busy, 99),
            (99, 200, Quiet, 600),
            (210, 200, Quiet, 600),
            (600, 200, Quiet, 600),
        ] {
            let rings = timers.coalesce(at(wanted), at(now), urgency);
            assert_eq!(rings, at(expected), "{wanted}");
        }
    }

    #[test]
    fn ticks_ring_together_and_do_not_drift() {
        let start = Instant::now();
        let timers = Timers::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        let tick = Duration::from_millis(300);
        // Made at 410 ms; each ring is a little late.
        let mut rings = timers.align_tick(at(410) + tick, tick);
        for expected in [600, 900, 1_200] {
            assert_eq!(rings, at(expected));
            rings = timers.align_tick(rings + Duration::from_millis(2) + tick, tick);
        }
    }

    proptest! {
        #[test]
        fn like_an_ordered_set(steps in proptest::collection::vec((0u64..20, 0usize..6, 0u8..4), 0..200)) {
            let start = Instant::now();
            let (mut timers, mut model) = (Timers::new(start), BTreeSet::<Timer>::new());
            for (at, conference, kind) in steps {
                let at = start + Duration::from_millis(at);
                let what = if kind == 0 { Due::Tick } else { Due::Seat(conference) };
                let timer = Timer { at, conference, what };
                match kind {
                    3 => {
                        timers.remove(&timer);
                        model.remove(&timer);
                    }
                    2 => {
                        let expected = model.first().copied().filter(|timer| timer.at <= at);
                        if let Some(timer) = expected {
                            model.remove(&timer);
                        }
                        prop_assert_eq!(timers.pop_due(at), expected);
                    }
                    _ => {
                        timers.insert(timer);
                        model.insert(timer);
                    }
                }
                prop_assert_eq!(timers.first(), model.first().copied());
                prop_assert_eq!(timers.len(), model.len());
            }
        }
    }
}
