//! Renumbering for streams that are forwarded as they come.
//!
//! [`GapCloser`] stands at the source: what the bridge itself drops there (silence, muted media,
//! padding) must not look like loss to receivers. [`Renumber`] stands at each receiver.

use std::collections::VecDeque;
use std::time::Instant;

use crate::rewrite::Sent;

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

/// Numbers of one audio stream towards one receiver. The first number stays below 65 536, since
/// the receiver begins to count roll-overs there (RFC 3711, 3.3.1).
#[derive(Debug, Default)]
pub(crate) struct Renumber {
    delta: Option<i64>,
    /// Where the stream stands.
    sent: Option<Sent>,
    /// Numbers below it belong to what was sent before the last pause.
    floor: u64,
    timestamp_shift: Shift,
}

/// How the timestamps of a source are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shift {
    /// Not at all: the receiver knows the stream by the sender's own SSRC.
    #[default]
    None,
    /// So that the first packet follows on what another source has sent.
    Undecided,
    By(u32),
}

impl Renumber {
    /// Goes on after numbers that an earlier stream of the same SSRC has used.
    pub(crate) fn after(sent: Option<Sent>) -> Renumber {
        Renumber {
            sent,
            ..Renumber::default()
        }
    }

    /// Goes on where the stream of another source stands, or begins one.
    ///
    /// Jitsi's bridge lets one packet's time (960 ticks) pass between the two. Here it is the time
    /// that has passed, so that a receiver's jitter buffer does not see a packet that was on its
    /// way for all of the pause.
    pub(crate) fn rebase(&mut self, sent: Option<Sent>) {
        self.delta = None;
        self.sent = sent;
        self.timestamp_shift = Shift::Undecided;
    }

    /// What follows is not a continuation; its numbers will be.
    pub(crate) fn pause(&mut self) {
        self.delta = None;
    }

    /// Where the stream stands.
    pub(crate) fn sent(&self) -> Option<Sent> {
        self.sent
    }

    /// Number and timestamp of a packet towards the receiver; None if it is older than all it may
    /// have.
    pub(crate) fn pass(&mut self, now: Instant, number: u64, timestamp: u32) -> Option<(u64, u32)> {
        let sent = self.sent;
        let delta = *self.delta.get_or_insert_with(|| {
            let first = sent.map_or(number & 0xffff, |sent| sent.number + 1);
            self.floor = if sent.is_some() { first } else { 0 };
            first as i64 - number as i64
        });
        let out = u64::try_from(number as i64 + delta).ok()?;
        if out < self.floor {
            return None;
        }
        if self.timestamp_shift == Shift::Undecided {
            let next = sent.map_or(timestamp, |sent| {
                sent.next_timestamp(now, TICKS_PER_MS, PACKET_TICKS)
            });
            self.timestamp_shift = Shift::By(next.wrapping_sub(timestamp));
        }
        let timestamp = match self.timestamp_shift {
            Shift::By(shift) => timestamp.wrapping_add(shift),
            Shift::None | Shift::Undecided => timestamp,
        };
        if sent.is_none_or(|sent| out >= sent.number) {
            self.sent = Some(Sent {
                number: out,
                timestamp,
                at: now,
                is_frame_end: true,
                picture: 0,
                base_layer: 0,
                descriptor: None,
            });
        }
        Some((out, timestamp))
    }
}

/// Opus's clock.
const TICKS_PER_MS: u32 = 48;
/// A packet of 20 ms.
const PACKET_TICKS: u32 = 960;
const STEPS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

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
        let now = Instant::now();
        let mut renumber = Renumber::default();
        let mut pass = |number: u64| renumber.pass(now, 3 * 65_536 + number, 5);
        assert_eq!(pass(7), Some((7, 5)));
        assert_eq!(pass(9), Some((9, 5)));
        renumber.pause();
        let mut pass = |number: u64| renumber.pass(now, 3 * 65_536 + number, 5);
        assert_eq!(pass(400), Some((10, 5)));
        assert_eq!(pass(399), None, "from before the pause");
        assert_eq!(pass(401), Some((11, 5)));
        let first = Renumber::default().pass(now, 65_536 * 9, 0);
        assert!(first.is_some_and(|(number, _)| number < 65_536));
    }

    #[test]
    fn a_packet_older_than_number_zero_is_not_sent() {
        let now = Instant::now();
        let mut renumber = Renumber::default();
        assert_eq!(renumber.pass(now, 65_536, 0), Some((0, 0)));
        assert_eq!(renumber.pass(now, 65_535, 0), None);
        assert_eq!(renumber.pass(now, 65_537, 0), Some((1, 0)));
    }

    /// Several sources, one after the other, in one stream.
    #[test]
    fn another_source_goes_on_where_the_stream_stands() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut first = Renumber::default();
        first.rebase(None);
        assert_eq!(first.pass(at(0), 65_536 + 100, 7_000), Some((100, 7_000)));
        assert_eq!(first.pass(at(40), 65_536 + 102, 8_920), Some((102, 8_920)));
        assert_eq!(first.pass(at(41), 65_536 + 101, 7_960), Some((101, 7_960)));
        let mut second = Renumber::default();
        second.rebase(first.sent());
        let wrapping = 0u32.wrapping_sub(500);
        assert_eq!(
            second.pass(at(45), 9, wrapping),
            Some((103, 9_880)),
            "not sooner than one packet later"
        );
        assert_eq!(second.pass(at(65), 10, 460), Some((104, 10_840)));
        assert_eq!(second.pass(at(65), 8, 460), None, "from before its time");
        first.rebase(second.sent());
        assert_eq!(
            first.pass(at(1_065), 65_536 + 700, 1_000_000),
            Some((105, 10_840 + 48_000)),
            "as much later as time has passed"
        );
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
            let now = Instant::now();
            let (mut closer, mut renumber) = (GapCloser::default(), Renumber::default());
            let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
            for (_, n) in order {
                let number = start + n as u64;
                match fates[n] {
                    Fate::Dropped => closer.drop(number),
                    Fate::Lost => {}
                    Fate::Passed | Fate::Late => {
                        let passed = closer.pass(number);
                        let out = passed.and_then(|n| renumber.pass(now, n, 0));
                        if let Some((out, _)) = out {
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
