//! Notices a link that has become much narrower than is believed, and one that has more to give.
//!
//! str0m's estimator (a port of WebRTC's) listens for delays that grow. A link that narrows at once
//! fills its queue within some hundredths of a second; from then on nothing grows any more, most of
//! what is sent is lost, and the estimator takes three seconds and more to believe it, then believes
//! too little and comes back slowly. Here a look at loss and delay together, once a second: loss
//! alone may be radio, but much of it behind a full queue says that what arrives is all that the
//! link has; and where nothing is lost and nothing waits, a burst of probes finds out at once.

use std::time::{Duration, Instant};

/// How the way to a client did of late.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Quality {
    /// Share of media that was lost in the last second, if any was reported on.
    pub(crate) loss: Option<f32>,
    /// Of media and its feedback.
    pub(crate) round_trip: Option<Duration>,
    /// Of the last connectivity check.
    pub(crate) check: Option<Duration>,
    /// Of media, sent so far.
    pub(crate) bytes: u64,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// The link is full and overflows. It has so many bits per second, less a little so that its
    /// queue gets shorter.
    Narrow(u64),
    /// Nothing is in the way of more: look whether there is.
    Probe,
}

/// What is known of one link.
#[derive(Debug)]
pub(crate) struct Congestion {
    /// The round trip without a queue.
    quickest: Option<Duration>,
    counted: Option<(Instant, u64)>,
    /// When it was found full last, and its round trip then.
    narrowed: Option<(Instant, Duration)>,
    /// Consecutive readings with a long queue.
    waiting: u32,
    /// Consecutive readings without loss or queue.
    free: u32,
    /// The last probe, and the estimate before it.
    probed: Option<(Instant, u64)>,
    /// How long to wait for the next.
    pause: Duration,
}

impl Congestion {
    pub(crate) const NEW: Congestion = Congestion {
        quickest: None,
        counted: None,
        narrowed: None,
        waiting: 0,
        free: 0,
        probed: None,
        pause: PROBES_MIN,
    };

    /// Takes in a reading, with what is believed of the link and what is wanted of it, in bits per
    /// second.
    pub(crate) fn note(
        &mut self,
        now: Instant,
        quality: Quality,
        (estimate, wanted): (u64, u64),
    ) -> Option<Advice> {
        let before = self.counted.replace((now, quality.bytes));
        let least = [self.quickest.map(|least| least + FORGETTING), quality.check];
        self.quickest = least.into_iter().flatten().min();
        let (loss, round_trip) = (quality.loss?, quality.round_trip?);
        let quickest = self
            .quickest
            .map_or(round_trip, |least| least.min(round_trip));
        self.quickest = Some(quickest);
        let is_since = |at: Instant, time| now.saturating_duration_since(at) >= time;
        let queue = round_trip.saturating_sub(quickest);
        self.waiting = if queue >= QUEUE_LONG {
            self.waiting + 1
        } else {
            0
        };
        let is_full = (loss >= LOSS_FULL && queue >= QUEUE_FULL) || self.waiting >= LONG_READINGS;
        if is_full {
            self.free = 0;
            match self.narrowed {
                Some((at, _)) if !is_since(at, NARROWINGS) => return None,
                Some((at, then)) if !is_since(at, NARROWINGS * 2) && round_trip * 5 >= then * 4 => {
                    // It did not help: the path is longer, or the queue is somebody else's.
                    self.quickest = Some(round_trip);
                    self.waiting = 0;
                    return None;
                }
                _ => {}
            }
            let (at, bytes) = before?;
            let elapsed = now.saturating_duration_since(at).as_secs_f64();
            let sent = quality.bytes.saturating_sub(bytes) as f64 * 8.0 / elapsed.max(0.1);
            let arrives = sent * f64::from(1.0 - loss.min(1.0));
            let rest = (arrives * DRAINING) as u64;
            self.narrowed = Some((now, round_trip));
            self.pause = PROBES_MIN;
            return (rest < estimate).then_some(Advice::Narrow(rest));
        }
        let is_free = loss <= LOSS_FREE && queue <= QUEUE_FREE;
        self.free = if is_free { self.free + 1 } else { 0 };
        let (at, former) = *self.probed.get_or_insert((now, estimate));
        if self.free < FREE_READINGS || wanted <= estimate + estimate / 4 {
            return None;
        }
        if estimate > former + former / 5 {
            self.pause = PROBES_MIN;
        }
        if !is_since(at, self.pause) {
            return None;
        }
        self.pause = (self.pause * 2).min(PROBES_MAX);
        self.probed = Some((now, estimate));
        Some(Advice::Probe)
    }
}

/// As much loss is no noise.
const LOSS_FULL: f32 = 0.1;
/// A queue of so long is full, or about to be.
const QUEUE_FULL: Duration = Duration::from_millis(100);
/// One of so long is too long for a conversation, lost or not.
const QUEUE_LONG: Duration = Duration::from_millis(200);
const LONG_READINGS: u32 = 3;
const LOSS_FREE: f32 = 0.02;
const QUEUE_FREE: Duration = Duration::from_millis(40);
const FREE_READINGS: u32 = 2;
const FORGETTING: Duration = Duration::from_millis(2);
/// What was done needs so long to show its effect.
const NARROWINGS: Duration = Duration::from_secs(2);
/// From one burst of probes to the next; twice as long after each that has found nothing.
const PROBES_MIN: Duration = Duration::from_secs(4);
const PROBES_MAX: Duration = Duration::from_secs(64);
const DRAINING: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;
    use Advice::{Narrow, Probe};

    /// Readings once a second of a sender of 1 Mbit/s: loss in percent, round trip in
    /// milliseconds, estimate and wish in kbit/s; what came of each.
    fn play(readings: &[(u8, u64, u64, u64)]) -> Vec<Option<Advice>> {
        let mut congestion = Congestion::NEW;
        let start = Instant::now();
        let each = (0u64..).zip(readings);
        let each = each.map(|(second, (loss, round_trip, estimate, wanted))| {
            let quality = Quality {
                loss: Some(f32::from(*loss) / 100.0),
                round_trip: Some(Duration::from_millis(*round_trip)),
                check: None,
                bytes: second * 125_000,
            };
            let now = start + Duration::from_secs(second);
            let advice = congestion.note(now, quality, (estimate * 1_000, wanted * 1_000));
            advice.map(|advice| match advice {
                Narrow(bps) => Narrow((bps + 500) / 1_000),
                Probe => Probe,
            })
        });
        each.collect()
    }

    #[test]
    fn much_loss_behind_a_full_queue_tells_what_the_link_has() {
        let quiet = (0, 20, 1_000, 1_000);
        let full = (50, 320, 1_000, 1_000);
        let shorter = (50, 220, 1_000, 1_000);
        let noted = play(&[quiet, quiet, full, full, shorter, quiet]);
        let rest = Some(Narrow(425));
        assert_eq!(noted, [None, None, rest, None, rest, None]);
        let known = play(&[quiet, (50, 320, 425, 1_000)]);
        assert_eq!(known, [None, None], "it is believed already");
    }

    #[test]
    fn loss_alone_tells_nothing() {
        assert_eq!(play(&[(20, 40, 500, 2_000); 20]), [None; 20]);
    }

    #[test]
    fn a_queue_that_stays_is_made_shorter() {
        let mut readings = vec![(0, 40, 1_000, 1_000)];
        readings.extend([(1, 300, 1_000, 1_000); 4]);
        let noted = play(&readings);
        assert_eq!(noted, [None, None, None, Some(Narrow(842)), None]);
    }

    /// From radio to satellite: after one attempt the delay is taken for what it is.
    #[test]
    fn a_path_that_is_longer_for_good_is_no_queue() {
        for loss in [0, 30] {
            let mut readings = vec![(0, 20, 1_000, 1_000)];
            readings.extend([(loss, 320, 1_000, 1_000); 60]);
            let noted = play(&readings);
            assert_eq!(noted.iter().flatten().count(), 1, "{loss} %");
        }
    }

    #[test]
    fn a_queue_that_was_there_before_is_seen_by_the_checks() {
        let mut congestion = Congestion::NEW;
        let start = Instant::now();
        let mut note = |second: u64, loss, check: Option<u64>| {
            let quality = Quality {
                loss,
                round_trip: loss.map(|_| Duration::from_millis(320)),
                check: check.map(Duration::from_millis),
                bytes: second * 125_000,
            };
            let now = start + Duration::from_secs(second);
            congestion.note(now, quality, (2_000_000, 2_000_000))
        };
        assert_eq!(note(0, None, Some(20)), None);
        assert!(matches!(note(1, Some(0.5), Some(300)), Some(Narrow(_))));
    }

    /// Every 4, 8, 16 … 64 s, from anew once something was found.
    #[test]
    fn a_free_link_is_probed_less_and_less_often() {
        let at = |readings: &[(u8, u64, u64, u64)]| -> Vec<usize> {
            let advice = play(readings).into_iter().enumerate();
            let probes = advice.filter(|(_, advice)| *advice == Some(Probe));
            probes.map(|(second, _)| second).collect()
        };
        let short = (0, 20, 300, 3_000);
        let mut readings = vec![short; 260];
        assert_eq!(at(&readings), [4, 12, 28, 60, 124, 188, 252]);
        readings[130..].fill((0, 20, 400, 3_000));
        assert_eq!(at(&readings)[..6], [4, 12, 28, 60, 124, 130]);
        readings.fill((0, 20, 300, 350));
        assert!(at(&readings).is_empty(), "what is wanted is had");
    }

    #[test]
    fn without_feedback_nothing_is_known() {
        let mut congestion = Congestion::NEW;
        let quality = Quality::default();
        assert_eq!(congestion.note(Instant::now(), quality, (1, 1_000)), None);
    }
}
