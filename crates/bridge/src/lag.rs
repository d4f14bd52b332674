//! Whether a worker keeps up with what arrives. One that does not drops video before audio.
//!
//! The measure is how long datagrams have waited before they were taken in. A hiccup of the
//! machine leaves a queue too, but one that shrinks at once; so the wait must have been too long
//! for a while. A worker that takes in all that has come, late as that may be, is not the one who
//! is too slow: on a busy machine others had the processor, and without video nobody would be
//! better off. Only where that lasts for long is there nothing else that would help.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::config::LagPolicy;

/// What a worker knows of its own lateness.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// Since when each reading was too much.
    late_since: Option<Instant>,
    is_behind: bool,
}

impl Lag {
    /// Datagrams that have waited for so long were taken in now. `is_all` says whether nothing is
    /// left waiting.
    pub(crate) fn note(&mut self, now: Instant, waited: Duration, is_all: bool, policy: LagPolicy) {
        let LagPolicy { limit, patience } = policy;
        if waited > limit {
            let since = *self.late_since.get_or_insert(now);
            let patience = if is_all { patience.max(limit) } else { limit };
            if !self.is_behind && now.saturating_duration_since(since) >= patience {
                warn!(
                    waited_ms = waited.as_millis() as u64,
                    "a media thread is behind: no video"
                );
                self.is_behind = true;
            }
            return;
        }
        self.late_since = None;
        // Half of it, so that it does not come and go with every batch.
        if self.is_behind && waited <= limit / 2 {
            info!("the media thread keeps up again");
            self.is_behind = false;
        }
    }

    /// Whether there is more than can be carried, and video has to wait.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: LagPolicy = LagPolicy {
        limit: Duration::from_millis(50),
        patience: Duration::from_secs(1),
    };

    /// Plays readings (when, how long it had waited; milliseconds) of a worker that leaves
    /// something each time; the state after each.
    fn play(readings: &[(u64, u64)]) -> Vec<bool> {
        play_with(readings, false)
    }

    fn play_with(readings: &[(u64, u64)], is_all: bool) -> Vec<bool> {
        let start = Instant::now();
        let mut lag = Lag::default();
        let note = |(at, waited): &(u64, u64)| {
            let (at, waited) = (Duration::from_millis(*at), Duration::from_millis(*waited));
            lag.note(start + at, waited, is_all, POLICY);
            lag.is_behind()
        };
        readings.iter().map(note).collect()
    }

    #[test]
    fn a_hiccup_is_not_being_behind() {
        // The machine stood still for 300 ms; the queue is gone 40 ms later.
        let states = play(&[
            (0, 1),
            (300, 300),
            (320, 200),
            (340, 80),
            (345, 3),
            (400, 60),
        ]);
        assert_eq!(states, [false; 6]);
    }

    #[test]
    fn lasting_lateness_is_and_ends_well_below_the_limit() {
        let states = play(&[
            (0, 60),
            (49, 60),
            (50, 70),
            (60, 40),
            (70, 60),
            (80, 25),
            (90, 51),
        ]);
        assert_eq!(states, [false, false, true, true, true, false, false]);
    }

    #[test]
    fn who_takes_in_all_there_is_is_behind_only_after_long() {
        // Others have the processor: 80 ms each time, and in between all is in time again.
        let starved = [
            (0, 80),
            (80, 80),
            (160, 80),
            (161, 1),
            (1_100, 80),
            (1_200, 80),
        ];
        assert_eq!(play_with(&starved, true), [false; 6]);
        assert_eq!(play(&starved), [false, true, true, false, false, true]);
        let lasting: Vec<_> = (0..12).map(|reading| (reading * 100, 90)).collect();
        let states = play_with(&lasting, true);
        assert_eq!(states.iter().position(|is_behind| *is_behind), Some(10));
    }

    #[test]
    fn exactly_the_limit_is_no_lateness() {
        assert_eq!(play(&[(0, 50), (100, 50), (200, 50)]), [false; 3]);
    }
}
