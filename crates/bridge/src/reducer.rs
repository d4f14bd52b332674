//! Under more packets than a thread can carry there is less video for everybody.
//!
//! After `JvbLoadManager` and `LastNReducer` of Jitsi Videobridge. The load is the rate of packets
//! of this worker, in and out.

use std::time::{Duration, Instant};

use tracing::info;

use crate::config::LoadPolicy;

/// Bounds how many videos anybody is sent while the load is high.
#[derive(Debug, Default)]
pub(crate) struct LoadReducer {
    /// When the packets were counted last, and how many there had been.
    counted: Option<(Instant, u64)>,
    acted: Option<Instant>,
    most: Option<usize>,
}

impl LoadReducer {
    /// The most videos to anybody, while there is a bound.
    pub(crate) fn most(&self) -> Option<usize> {
        self.most
    }

    /// To be called often, with the number of all packets so far; `forwarded` finds the largest
    /// number of videos that anybody is sent. Whether the bound has changed.
    pub(crate) fn watch(
        &mut self,
        policy: &LoadPolicy,
        now: Instant,
        packets: u64,
        forwarded: impl FnOnce() -> usize,
    ) -> bool {
        if !policy.is_reduced {
            return false;
        }
        let Some((at, before)) = self.counted else {
            self.counted = Some((now, packets));
            return false;
        };
        let elapsed = now.saturating_duration_since(at);
        if elapsed < SAMPLE {
            return false;
        }
        self.counted = Some((now, packets));
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let rate = packets.saturating_sub(before).saturating_mul(1_000) / elapsed_ms.max(1);
        let may_act = self
            .acted
            .is_none_or(|acted| now.saturating_duration_since(acted) >= IMPACT);
        let most = if rate >= policy.threshold {
            may_act.then(|| Some((forwarded() * 3 / 4).max(MOST_MIN)))
        } else if rate < policy.recovery && may_act {
            let raised = self.most.map(|most| (most * 5 / 4).max(most + 1));
            raised.map(|most| Some(most).filter(|most| *most < MOST_MAX))
        } else {
            None
        };
        let Some(most) = most else { return false };
        info!(
            packets_per_second = rate,
            ?most,
            "videos to each are bounded by load"
        );
        self.acted = Some(now);
        std::mem::replace(&mut self.most, most) != most
    }
}

/// How often the load is looked at.
const SAMPLE: Duration = Duration::from_secs(10);
/// What was done needs so long to show its effect.
const IMPACT: Duration = Duration::from_secs(60);
const MOST_MIN: usize = 1;
/// A bound of so many is none.
const MOST_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    fn policy(is_reduced: bool) -> LoadPolicy {
        LoadPolicy {
            is_reduced,
            threshold: 1_000,
            recovery: 800,
            ..config().load
        }
    }

    /// Plays one rate after the other, ten seconds each; the bound after each.
    fn play(policy: &LoadPolicy, steps: &[(u64, usize)]) -> Vec<Option<usize>> {
        let mut reducer = LoadReducer::default();
        let (mut now, mut packets) = (Instant::now(), 0);
        reducer.watch(policy, now, packets, || 0);
        let step = |(rate, forwarded): &(u64, usize)| {
            for _ in 0..10 {
                now += Duration::from_secs(1);
                packets += rate;
                reducer.watch(policy, now, packets, || *forwarded);
            }
            reducer.most()
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn three_quarters_at_most_once_a_minute_and_one_at_least() {
        let mut steps = vec![(900, 20)];
        steps.extend([(1_000, 20); 7]);
        steps.extend([(5_000, 15); 6]);
        steps.extend([(5_000, 1); 6]);
        let mut expected = vec![None];
        expected.extend([Some(15); 6]);
        expected.extend([Some(15); 1]); // 20 × ¾, counted anew
        expected.extend([Some(15); 5]);
        expected.extend([Some(11); 1]);
        expected.extend([Some(11); 5]);
        expected.extend([Some(1); 1]);
        assert_eq!(play(&policy(true), &steps), expected);
    }

    #[test]
    fn it_recovers_by_a_quarter_at_least_one_and_ends_at_forty() {
        let mut steps = vec![(2_000, 2)];
        steps.extend([(100, 2); 6 * 18]);
        let bounds = play(&policy(true), &steps);
        let mut changes = bounds.clone();
        changes.dedup();
        let expected: Vec<Option<usize>> = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33]
            .into_iter()
            .map(Some)
            .chain([None])
            .collect();
        assert_eq!(changes, expected);
        assert_eq!(bounds.iter().filter(|bound| **bound == Some(8)).count(), 6);
    }

    #[test]
    fn between_the_thresholds_nothing_changes() {
        let steps = [(2_000, 8), (900, 8), (900, 8), (900, 8), (900, 8), (900, 8)];
        let mut steps = steps.to_vec();
        steps.extend([(900, 8); 10]);
        assert!(
            play(&policy(true), &steps)
                .iter()
                .all(|most| *most == Some(6))
        );
    }

    #[test]
    fn nothing_is_reduced_unless_it_is_configured() {
        assert_eq!(play(&policy(false), &[(1_000_000, 50); 9]), [None; 9]);
    }
}
