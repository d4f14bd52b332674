//! Bits per second over the last second.

/// Counts bytes in a ring of short spans. Times are milliseconds of one clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    spans: [u32; SPANS as usize],
    newest: u64,
    sum: u64,
    /// The span in which something came after none had for a second.
    begun: u64,
}

impl Meter {
    pub(crate) fn add(&mut self, at_ms: u64, bytes: usize) {
        self.advance(at_ms);
        if self.sum == 0 {
            self.begun = self.newest;
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(span) = self.spans.get_mut((self.newest % SPANS) as usize) {
            *span = span.saturating_add(bytes);
            self.sum += u64::from(bytes);
        }
    }

    pub(crate) fn bps(&mut self, at_ms: u64) -> u64 {
        self.advance(at_ms);
        // What has only just begun and goes on is not as slow as it seems over a second.
        let age = (self.newest + 1).saturating_sub(self.begun);
        let busy = self.spans.iter().filter(|bytes| **bytes > 0).count() as u64;
        let is_steady = (SPANS_MIN..SPANS).contains(&age) && busy * 3 >= age;
        let spans = if is_steady { age } else { SPANS };
        self.sum * 8 * 1_000 / (spans * SPAN_MS)
    }

    fn advance(&mut self, at_ms: u64) {
        let now = at_ms / SPAN_MS;
        if now <= self.newest {
            return;
        }
        for passed in (self.newest + 1..=now).rev().take(SPANS as usize) {
            if let Some(span) = self.spans.get_mut((passed % SPANS) as usize) {
                self.sum = self.sum.saturating_sub(u64::from(*span));
                *span = 0;
            }
        }
        self.newest = now;
    }
}

const SPANS: u64 = 20;
const SPANS_MIN: u64 = 5;
const SPAN_MS: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_remembered() {
        let mut meter = Meter::default();
        for ms in (0..2_000).step_by(10) {
            meter.add(ms, 125);
        }
        assert_eq!(meter.bps(1_999), 100_000);
        assert_eq!(meter.bps(2_499), 50_000);
        assert_eq!(meter.bps(10_000), 0);
        meter.add(10_000, 125);
        assert_eq!(meter.bps(10_000), 1_000);
        meter.add(5_000, 125);
        assert_eq!(meter.bps(10_000), 2_000, "what comes late counts as now");
        assert_eq!(meter.bps(10_500), 2_000, "one burst is no stream");
    }

    #[test]
    fn what_begins_has_its_rate_soon() {
        let mut meter = Meter::default();
        for ms in (5_000..6_500).step_by(10) {
            meter.add(ms, 125);
            if ms >= 5_240 && ms % 50 == 40 {
                assert_eq!(meter.bps(ms), 100_000, "at {ms}");
            }
        }
        for ms in (8_000..8_250).step_by(10) {
            meter.add(ms, 125);
        }
        assert_eq!(meter.bps(8_249), 100_000, "after a pause too");
    }
}
