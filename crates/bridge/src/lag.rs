//! Whether a worker keeps up with what arrives. One that does not drops video before audio.
//!
//! The measure is how long datagrams have waited before they were taken in. A hiccup of the
//! machine leaves a queue too, but one that shrinks at once; so the wait must have been too long
//! for a while.

use std::time::{Duration, Instant};

use tracing::{info, warn};

/// What a worker knows of its own lateness.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// Since when each reading was too much.
    late_since: Option<Instant>,
    is_behind: bool,
}

impl Lag {
    /// Datagrams that have waited for so long were taken in now; more than `limit` is too long.
    pub(crate) fn note(&mut self, now: Instant, waited: Duration, limit: Duration) {
        if waited > limit {
            let since = *self.late_since.get_or_insert(now);
            if !self.is_behind && now.saturating_duration_since(since) >= limit {
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

    const LIMIT: Duration = Duration::from_millis(50);

    /// Plays readings (when, how long it had waited; milliseconds); the state after each.
    fn play(readings: &[(u64, u64)]) -> Vec<bool> {
        let start = Instant::now();
        let mut lag = Lag::default();
        let note = |(at, waited): &(u64, u64)| {
            let (at, waited) = (Duration::from_millis(*at), Duration::from_millis(*waited));
            lag.note(start + at, waited, LIMIT);
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
    fn exactly_the_limit_is_no_lateness() {
        assert_eq!(play(&[(0, 50), (100, 50), (200, 50)]), [false; 3]);
    }
}
