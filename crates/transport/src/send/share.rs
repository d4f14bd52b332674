//! Which part of a stream's bytes of late was sent again.

use std::time::{Duration, Instant};

/// Bytes of the last second, in steps.
#[derive(Debug, Default)]
pub(super) struct Share {
    steps: [Step; STEPS],
    place: usize,
    /// Where the present step began.
    began: Option<Instant>,
    sum: Step,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    first: u64,
    again: u64,
}

impl Share {
    /// Sent for the first time.
    pub(super) fn sent(&mut self, now: Instant, bytes: usize) {
        self.turn(now);
        self.sum.first += bytes as u64;
        if let Some(step) = self.steps.get_mut(self.place) {
            step.first += bytes as u64;
        }
    }

    /// Sent again.
    pub(super) fn sent_again(&mut self, now: Instant, bytes: usize) {
        self.turn(now);
        self.sum.again += bytes as u64;
        if let Some(step) = self.steps.get_mut(self.place) {
            step.again += bytes as u64;
        }
    }

    /// Between 0 and 1.
    pub(super) fn of_late(&mut self, now: Instant) -> f32 {
        self.turn(now);
        let all = self.sum.first + self.sum.again;
        if all == 0 {
            return 0.0;
        }
        self.sum.again as f32 / all as f32
    }

    /// Begins the step that `now` is in.
    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed < STEP {
            return;
        }
        let steps = passed.as_nanos() / STEP.as_nanos();
        if steps >= STEPS as u128 {
            *self = Share {
                began: Some(now),
                ..Share::default()
            };
            return;
        }
        let steps = steps as usize;
        for _ in 0..steps {
            self.place = (self.place + 1) % STEPS;
            if let Some(step) = self.steps.get_mut(self.place) {
                self.sum.first -= step.first;
                self.sum.again -= step.again;
                *step = Step::default();
            }
        }
        self.began = Some(began + STEP * steps as u32);
    }
}

const STEPS: usize = 10;
const STEP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_second_counts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut share = Share::default();
        assert_eq!(share.of_late(at(0)), 0.0);
        share.sent(at(0), 700);
        share.sent_again(at(250), 300);
        assert!((share.of_late(at(300)) - 0.3).abs() < 0.001);
        assert_eq!(share.of_late(at(1_050)), 1.0, "the first 700 are past");
        assert_eq!(share.of_late(at(1_300)), 0.0);
        share.sent(at(9_000), 10);
        share.sent_again(at(9_000), 30);
        assert!((share.of_late(at(9_050)) - 0.75).abs() < 0.001);
        assert_eq!(share.of_late(at(20_000)), 0.0);
    }
}
