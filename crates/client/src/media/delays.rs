use std::time::Duration;

/// How long packets were on their way: counts by length, three per cent exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delays {
    /// Each power of two of microseconds in [`STEPS`] equal steps.
    counts: Box<[u32]>,
}

impl Default for Delays {
    fn default() -> Delays {
        Delays {
            counts: vec![0; BUCKETS].into(),
        }
    }
}

impl Delays {
    /// Counts one packet.
    pub fn add(&mut self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts all of `other`'s packets too.
    pub fn merge(&mut self, other: &Delays) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// What was counted since it was `earlier`.
    pub fn since(&self, earlier: &Delays) -> Delays {
        let pairs = self.counts.iter().zip(&earlier.counts);
        Delays {
            counts: pairs
                .map(|(now, before)| now.saturating_sub(*before))
                .collect(),
        }
    }

    /// Packets counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The delay that this share of packets, 0 to 1, did not exceed; None if there were none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * share.clamp(0.0, 1.0))
            .ceil()
            .max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if *count > 0 && seen >= rank {
                return Some(Duration::from_micros(middle(index)));
            }
        }
        None
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.min(MICROS_MAX);
    if micros < STEPS {
        return micros as usize;
    }
    let exponent = u64::from(micros.ilog2());
    let step = (micros >> (exponent - STEPS_LOG)) & (STEPS - 1);
    ((exponent - STEPS_LOG + 1) * STEPS + step) as usize
}

/// The value in the middle of a bucket.
fn middle(index: usize) -> u64 {
    let (octave, step) = (index as u64 / STEPS, index as u64 % STEPS);
    if octave == 0 {
        return step;
    }
    let width = 1 << (octave - 1);
    (STEPS + step) * width + width / 2
}

const STEPS_LOG: u64 = 4;
const STEPS: u64 = 1 << STEPS_LOG;
/// More than a minute is not told apart.
const MICROS_MAX: u64 = (1 << 26) - 1;
const BUCKETS: usize = (STEPS * (26 - STEPS_LOG + 1)) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_three_per_cent_exact() {
        for micros in [0, 1, 15, 16, 17, 100, 999, 65_535, 1_000_000, 60_000_000] {
            let mut delays = Delays::default();
            delays.add(Duration::from_micros(micros));
            let found = delays.quantile(0.5).unwrap().as_micros() as f64;
            let error = (found - micros as f64).abs() / (micros as f64).max(1.0);
            assert!(error < 0.032, "{micros}: {found}");
        }
    }

    #[test]
    fn ranks_merge_and_difference() {
        let mut delays = Delays::default();
        assert_eq!(delays.quantile(0.5), None);
        for millis in 1..=100 {
            delays.add(Duration::from_millis(millis));
        }
        let before = delays.clone();
        let is_near = |delays: &Delays, share, millis: f64| {
            let found = delays.quantile(share).unwrap().as_secs_f64() * 1000.0;
            assert!((found / millis - 1.0).abs() < 0.04, "{share}: {found}");
        };
        is_near(&delays, 0.5, 50.0);
        is_near(&delays, 0.99, 99.0);
        is_near(&delays, 1.0, 100.0);
        is_near(&delays, 0.0, 1.0);
        delays.add(Duration::from_secs(3600));
        assert_eq!(delays.since(&before).count(), 1);
        let mut both = before.clone();
        both.merge(&delays);
        assert_eq!(both.count(), 201);
    }
}
