//! How much has left of late.

/// Bytes of the last second, in slices.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    slices: [u32; SLICES],
    /// Number of the newest slice since the beginning.
    newest: i64,
    /// When the first byte was counted.
    since: Option<i64>,
}

impl Meter {
    /// Counts bytes at a moment in microseconds since the beginning.
    pub(super) fn note(&mut self, at: i64, bytes: usize) {
        self.turn(at);
        self.since.get_or_insert(at);
        let place = self.newest.rem_euclid(SLICES as i64) as usize;
        if let Some(slice) = self.slices.get_mut(place) {
            *slice = slice.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// Bits per second over the last second, or since the beginning if that is less.
    pub(super) fn bps(&mut self, at: i64) -> f64 {
        self.turn(at);
        let Some(since) = self.since else { return 0.0 };
        let bytes: u64 = self.slices.iter().map(|slice| u64::from(*slice)).sum();
        // The newest slice is not over yet.
        let whole = (SLICES as i64 - 1) * SLICE + at.rem_euclid(SLICE);
        let span = (at - since).clamp(LEAST, whole);
        bytes as f64 * 8e6 / span as f64
    }

    fn turn(&mut self, at: i64) {
        let newest = at.div_euclid(SLICE);
        let passed = newest - self.newest;
        if passed <= 0 {
            return;
        }
        for number in 0..passed.min(SLICES as i64) {
            let place = (newest - number).rem_euclid(SLICES as i64) as usize;
            if let Some(slice) = self.slices.get_mut(place) {
                *slice = 0;
            }
        }
        self.newest = newest;
    }
}

const SLICES: usize = 21;
/// In microseconds.
const SLICE: i64 = 50_000;
/// Less time than this says nothing about a rate.
const LEAST: i64 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_seen_at_once_and_after_an_hour() {
        let mut meter = Meter::default();
        for step in 0..360_000i64 {
            let at = step * 10_000;
            meter.note(at, 1_000);
            let bps = meter.bps(at);
            if step > 20 {
                assert!((760_000.0..=880_000.0).contains(&bps), "{bps} at {at}");
            }
        }
        assert!(meter.bps(3_600_000_000 + 900_000) < 120_000.0);
        assert_eq!(meter.bps(3_700_000_000), 0.0);
    }
}
