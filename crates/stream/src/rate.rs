use std::time::{Duration, Instant};

use crate::Rate;

/// How far ahead of its rate a peer is: the generic cell rate algorithm (ITU-T I.371, annex A),
/// in the form with one remembered moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    rate: Rate,
    /// When all that was taken will have been paid for.
    paid_at: Instant,
}

impl Meter {
    pub(crate) fn new(rate: Rate, now: Instant) -> Meter {
        Meter { rate, paid_at: now }
    }

    /// Takes `units`, which have already come; being over the rate is seen in `ready_at`.
    pub(crate) fn take(&mut self, now: Instant, units: usize) {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        self.paid_at = self.paid_at.max(now) + self.time_for(units);
    }

    /// When the next unit is welcome; None if at once.
    pub(crate) fn ready_at(&self, now: Instant) -> Option<Instant> {
        let ready_at = self.paid_at.checked_sub(self.time_for(self.rate.burst))?;
        (ready_at > now).then_some(ready_at)
    }

    fn time_for(&self, units: u32) -> Duration {
        Duration::from_secs(1) / self.rate.per_second.max(1) * units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut meter = Meter::new(
            Rate {
                per_second: 10,
                burst: 20,
            },
            start,
        );
        for _ in 0..20 {
            meter.take(start, 1);
            assert_eq!(meter.ready_at(start), None);
        }
        meter.take(start, 5);
        assert_eq!(
            meter.ready_at(start),
            Some(start + Duration::from_millis(500))
        );
        let later = start + Duration::from_millis(500);
        assert_eq!(meter.ready_at(later), None);
        meter.take(later, 1);
        assert_eq!(
            meter.ready_at(later),
            Some(later + Duration::from_millis(100))
        );
    }

    #[test]
    fn silence_pays_no_more_than_a_burst() {
        let start = Instant::now();
        let mut meter = Meter::new(
            Rate {
                per_second: 10,
                burst: 20,
            },
            start,
        );
        let later = start + Duration::from_secs(3600);
        meter.take(later, 21);
        assert_eq!(
            meter.ready_at(later),
            Some(later + Duration::from_millis(100))
        );
    }
}
