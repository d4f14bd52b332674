use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// One reading of both clocks. Passed to every `handle_*`; never goes backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For timers and durations.
    pub mono: Instant,
    /// Only for what people or other programs see (time stamps in stanzas, logs, certificates).
    pub wall: DateTime<Utc>,
}

impl Now {
    /// The same moment `by` later, on both clocks.
    #[must_use]
    pub fn later(self, by: Duration) -> Now {
        let wall = chrono::TimeDelta::from_std(by).unwrap_or(chrono::TimeDelta::MAX);
        Now {
            mono: self.mono + by,
            wall: self.wall.checked_add_signed(wall).unwrap_or(self.wall),
        }
    }
}
