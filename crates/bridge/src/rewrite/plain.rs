//! Renumbering for streams that are forwarded as they come.
//!
//! [`GapCloser`] stands at the source: what the bridge itself drops there (silence, muted media,
//! padding) must not look like loss to receivers. [`Renumber`] stands at each receiver.

use std::collections::VecDeque;

/// Hides from receivers what was dropped on purpose: later numbers move down by as many.
///
/// What was lost on the way keeps its gap, and a late packet fits into it.
#[derive(Debug, Default)]
pub(crate) struct GapCloser {
    highest: Option<u64>,
    /// The highest number that was forwarded.
    passed: Option<u64>,
    /// From this number on, so many were dropped before; oldest first.
    steps: VecDeque<Step>,
    /// Numbers below this one are too old to be placed.
    floor: u64,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    from: u64,
    dropped: u64,
}

impl GapCloser {
    /// The packet of this number will not be forwarded.
    pub(crate) fn drop(&mut self, number: u64) {
        if self.highest.is_some_and(|highest| number <= highest) {
            // Late. Behind what was forwarded its gap has been seen already and stays; among
            // what was dropped it is no gap yet.
            if self.passed.is_none_or(|passed| number > passed)
                && let Some(step) = self.steps.back_mut()
            {
                step.dropped += 1;
            }
            return;
        }
        self.highest = Some(number);
        let dropped = self.steps.back().map_or(0, |step| step.dropped) + 1;
        match self.steps.back_mut() {
            Some(step) if step.from == number => {
                step.from = number + 1;
                step.dropped = dropped;
            }
            _ => self.steps.push_back(Step {
                from: number + 1,
                dropped,
            }),
        }
        if self.steps.len() > STEPS_MAX {
            // The second step says from where on counting is still exact.
            self.steps.pop_front();
            self.floor = self.steps.front().map_or(0, |step| step.from);
        }
    }

    /// Whether a later packet has been forwarded already, so that dropping this one would leave a
    /// gap.
    pub(crate) fn is_behind(&self, number: u64) -> bool {
        self.passed.is_some_and(|passed| number < passed)
    }

    /// The number under which a packet goes on; None if it is too old to be placed.
    pub(crate) fn pass(&mut self, number: u64) -> Option<u64> {
        self.highest = Some(self.highest.map_or(number, |highest| highest.max(number)));
        self.passed = self.passed.max(Some(number));
        if number < self.floor {
            return None;
        }
        let step = self.steps.iter().rev().find(|step| step.from <= number);
        Some(number - step.map_or(0, |step| step.dropped))
    }
}

/// Numbers of one stream towards one receiver. The first number stays below 65 536, since the
/// receiver begins to count roll-overs there (RFC 3711, 3.3.1).
#[derive(Debug, Default)]
pub(crate) struct Renumber {
    delta: Option<i64>,
    /// The highest number sent.
    highest: Option<u64>,
    /// Numbers below it belong to what was sent before the last pause.
    floor: u64,
}

impl Renumber {
    /// Goes on after numbers that an earlier stream of the same SSRC has used.
    pub(crate) fn after(highest: Option<u64>) -> Renumber {
        Renumber {
            delta: None,
            highest,
            floor: 0,
        }
    }

    /// What follows is not a continuation; its numbers will be.
    pub(crate) fn pause(&mut self) {
        self.delta = None;
    }

    /// The highest number sent so far.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// The number of a packet towards the receiver; None if it is older than all it may have.
    pub(crate) fn pass(&mut self, number: u64) -> Option<u64> {
        let delta = *self.delta.get_or_insert_with(|| {
            let first = self.highest.map_or(number & 0xffff, |highest| highest + 1);
            self.floor = if self.highest.is_some() { first } else { 0 };
            first as i64 - number as i64
        });
        let out = u64::try_from(number as i64 + delta).ok()?;
        if out < self.floor {
            return None;
        }
        self.highest = Some(self.highest.map_or(out, |highest| highest.max(out)));
        Some(out)
    }
}

const STEPS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn dropped_packets_leave_no_gap_and_lost_ones_do() {
        let mut closer = GapCloser::default();
        assert_eq!(closer.pass(10), Some(10));
        closer.drop(11);
        closer.drop(12);
        assert_eq!(closer.pass(13), Some(11));
        // 14 is lost
        assert_eq!(closer.pass(15), Some(13));
        closer.drop(16);
        assert_eq!(closer.pass(17), Some(14));
        assert_eq!(closer.pass(14), Some(12), "late, into its own gap");
        closer.drop(9);
        assert_eq!(closer.pass(18), Some(15), "a late drop changes nothing");
    }

    #[test]
    fn what_is_behind_a_forwarded_packet_would_leave_a_gap() {
        let mut closer = GapCloser::default();
        assert!(!closer.is_behind(0));
        assert_eq!(closer.pass(4), Some(4));
        closer.drop(5);
        assert!(closer.is_behind(3) && !closer.is_behind(5));
    }

    #[test]
    fn silence_that_comes_out_of_order_leaves_no_gap() {
        let mut closer = GapCloser::default();
        assert_eq!(closer.pass(10), Some(10));
        for number in [12, 11, 13, 15, 14] {
            closer.drop(number);
        }
        assert_eq!(closer.pass(16), Some(11));
        closer.drop(18);
        assert_eq!(closer.pass(19), Some(13), "17 is still missing");
        closer.drop(17);
        assert_eq!(closer.pass(20), Some(14), "its gap has been seen");
    }

    #[test]
    fn audio_keeps_its_numbers_until_it_pauses() {
        let mut renumber = Renumber::default();
        assert_eq!(renumber.pass(3 * 65_536 + 7), Some(7));
        assert_eq!(renumber.pass(3 * 65_536 + 9), Some(9));
        renumber.pause();
        assert_eq!(renumber.pass(3 * 65_536 + 400), Some(10));
        assert_eq!(
            renumber.pass(3 * 65_536 + 399),
            None,
            "from before the pause"
        );
        assert_eq!(renumber.pass(3 * 65_536 + 401), Some(11));
        assert_eq!(
            Renumber::default().pass(65_536 * 9).map(|n| n < 65_536),
            Some(true)
        );
    }

    #[test]
    fn a_packet_older_than_number_zero_is_not_sent() {
        let mut renumber = Renumber::default();
        assert_eq!(renumber.pass(65_536), Some(0));
        assert_eq!(renumber.pass(65_535), None);
        assert_eq!(renumber.pass(65_537), Some(1));
    }

    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Passed,
        Dropped,
        Lost,
        /// Arrives after the three that follow it.
        Late,
    }

    proptest! {
        #[test]
        fn numbers_are_unique_ordered_and_gaps_are_losses(
            fates in proptest::collection::vec(
                prop_oneof![
                    6 => Just(Fate::Passed),
                    3 => Just(Fate::Dropped),
                    1 => Just(Fate::Lost),
                    1 => Just(Fate::Late),
                ],
                1..200,
            ),
            start in 0u64..200_000,
        ) {
            let mut order: Vec<(usize, usize)> = fates
                .iter()
                .enumerate()
                .map(|(n, fate)| (if matches!(fate, Fate::Late) { n + 4 } else { n }, n))
                .collect();
            order.sort();
            let (mut closer, mut renumber) = (GapCloser::default(), Renumber::default());
            let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
            for (_, n) in order {
                let number = start + n as u64;
                match fates[n] {
                    Fate::Dropped => closer.drop(number),
                    Fate::Lost => {}
                    Fate::Passed | Fate::Late => {
                        if let Some(out) = closer.pass(number).and_then(|n| renumber.pass(n)) {
                            prop_assert!(sent.insert(number, out).is_none());
                        }
                    }
                }
            }
            let pairs: Vec<_> = sent.iter().collect();
            if let Some((_, first)) = pairs.first() {
                prop_assert!(**first < 65_536 + 400);
            }
            for pair in pairs.windows(2) {
                let ((a, out_a), (b, out_b)) = (pair[0], pair[1]);
                prop_assert!(out_a < out_b, "{a}→{out_a} {b}→{out_b}");
                let between = (a + 1..*b).filter(|n| {
                    !matches!(fates[(n - start) as usize], Fate::Dropped)
                });
                prop_assert_eq!(out_b - out_a - 1, between.count() as u64);
            }
        }
    }
}
