use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bounds how often a client may ask for a new session.
#[derive(Default)]
pub(crate) struct RestartLimit {
    /// Restarts of the last minute.
    recent: VecDeque<Instant>,
}

impl RestartLimit {
    /// Whether one more is permitted now; if so, it counts.
    pub(crate) fn permit(&mut self, now: Instant, interval_min: Duration, per_minute: u32) -> bool {
        while self
            .recent
            .front()
            .is_some_and(|first| now - *first >= MINUTE)
        {
            self.recent.pop_front();
        }
        let is_too_soon = self
            .recent
            .back()
            .is_some_and(|last| now - *last < interval_min);
        if is_too_soon || self.recent.len() >= per_minute as usize {
            return false;
        }
        self.recent.push_back(now);
        true
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_seconds_apart_and_five_a_minute() {
        let start = Instant::now();
        let mut limit = RestartLimit::default();
        let mut permit = |second| {
            limit.permit(
                start + Duration::from_secs(second),
                Duration::from_secs(5),
                5,
            )
        };
        assert!(permit(0));
        assert!(!permit(4));
        for second in [5, 10, 15, 20] {
            assert!(permit(second), "{second}");
        }
        assert!(!permit(25), "the sixth within a minute");
        assert!(permit(60));
        assert!(permit(65));
    }
}
