use std::time::{Duration, Instant};

use tertulia_model::Now;

/// Virtual time: both clocks move only when they are told to, in whole milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Now,
    elapsed: Duration,
}

impl Clock {
    /// A clock at zero. `origin` is any moment not far from the present, since there is no other
    /// way to have an [`Instant`]; nothing depends on which. The calendar always shows the same
    /// date.
    pub fn new(origin: Instant) -> Clock {
        let wall = chrono::DateTime::from_timestamp(1_790_000_000, 0)
            .expect("a literal that is a valid time");
        Clock {
            start: Now {
                mono: origin + AHEAD,
                wall,
            },
            elapsed: Duration::ZERO,
        }
    }

    /// The present.
    pub fn now(&self) -> Now {
        self.start.later(self.elapsed)
    }

    /// Since the start of the simulation.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Milliseconds since the start of the simulation.
    pub fn millis(&self) -> u64 {
        self.elapsed.as_millis() as u64
    }

    /// The first whole millisecond at or after `at`, and not in the past.
    pub fn tick_of(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start.mono);
        since
            .as_nanos()
            .div_ceil(1_000_000)
            .max(u128::from(self.millis())) as u64
    }

    /// Moves to this millisecond, never back.
    pub fn advance_to(&mut self, tick: u64) {
        self.elapsed = self.elapsed.max(Duration::from_millis(tick));
    }
}

/// sctp-proto starts an association's timers by the machine's own clock. Virtual time is always
/// ahead of it, so that they are over at once, in each run alike.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);
