//! The time of day as senders of RTP state it.

use std::time::{Duration, Instant};

/// Turns instants into NTP timestamps (RFC 3550, 4: any clock of the sender's will do; all
/// streams of a client must use one).
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    origin: Instant,
    since_1900: Duration,
}

impl NtpClock {
    /// At `origin` it was so long after the beginning of 1900, UTC.
    pub const fn new(origin: Instant, since_1900: Duration) -> NtpClock {
        NtpClock { origin, since_1900 }
    }

    /// Seconds since 1900 in 32.32 bits; they wrap in 2036.
    pub fn at(&self, now: Instant) -> u64 {
        let time = self.since_1900 + now.saturating_duration_since(self.origin);
        let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
        (time.as_secs() << 32) | fraction
    }

    /// The middle 32 bits, as reports repeat them.
    pub(crate) fn middle(&self, now: Instant) -> u32 {
        (self.at(now) >> 16) as u32
    }

    /// Seconds in 6.18 bits, as the header extension "absolute send time" has them.
    pub(crate) fn absolute_send_time(&self, now: Instant) -> u32 {
        (self.at(now) >> 14) as u32 & 0x00ff_ffff
    }
}

/// How many ticks of a clock a duration is. Without a division of 128 bits, which is dear here.
pub(crate) fn to_ticks(duration: Duration, rate: u32) -> u64 {
    let rate = u64::from(rate);
    let fraction = u64::from(duration.subsec_nanos()) * rate / 1_000_000_000;
    duration.as_secs().saturating_mul(rate) + fraction
}

/// How long a number of 1/65,536 seconds is.
pub(crate) fn from_short(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

/// A duration in 1/65,536 seconds; the longest there is if it is longer than 18 hours.
pub(crate) fn to_short(duration: Duration) -> u32 {
    let units = (duration.as_micros() << 16) / 1_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_seconds_and_a_binary_fraction() {
        let origin = Instant::now();
        let clock = NtpClock::new(origin, Duration::from_millis(3_900_000_000_250));
        assert_eq!(clock.at(origin), (3_900_000_000 << 32) | 0x4000_0000);
        let later = origin + Duration::from_millis(1_500);
        assert_eq!(clock.at(later), (3_900_000_001 << 32) | 0xc000_0000);
        assert_eq!(clock.middle(later) & 0x1_ffff, 0x1_c000, "an odd second");
        let second = 3_900_000_001 % 64;
        assert_eq!(clock.absolute_send_time(later), (second << 18) | 0x3_0000);
    }

    #[test]
    fn ticks_are_those_of_the_clock() {
        assert_eq!(to_ticks(Duration::from_micros(2_500_100), 90_000), 225_009);
        assert_eq!(
            to_ticks(Duration::from_nanos(999_999_999), u32::MAX),
            4_294_967_290
        );
        assert_eq!(to_ticks(Duration::from_secs(3), 0), 0);
    }

    #[test]
    fn short_durations_go_there_and_back() {
        for millis in [0, 1, 20, 999, 60_000] {
            let duration = Duration::from_millis(millis);
            let back = from_short(to_short(duration));
            assert!(duration.abs_diff(back) < Duration::from_micros(16));
        }
        assert_eq!(to_short(Duration::from_secs(100_000)), u32::MAX);
    }
}
