//! When packets of the whole transport arrived, for their sender's estimation of bandwidth
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::{Duration, Instant};

use super::window::extend;
use crate::rtcp;

/// What arrived since the last feedback.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    /// By number, ascending.
    arrivals: Vec<(u64, Option<Instant>)>,
    highest: Option<u64>,
    /// The first number that nothing was said about.
    next: u64,
    count: u8,
    /// The zero of our clock.
    origin: Option<Instant>,
    due: Option<Instant>,
}

impl Feedback {
    /// A packet with this number arrived.
    pub(super) fn note(&mut self, now: Instant, number: u16) {
        self.origin.get_or_insert(now);
        let number = match self.highest {
            Some(highest) => extend(number, highest),
            // So that something may come late.
            None => FIRST + u64::from(number),
        };
        let highest = *self.highest.get_or_insert_with(|| {
            self.next = number;
            number
        });
        self.highest = Some(highest.max(number));
        if number + LATE_MAX < self.next || self.arrivals.len() >= ARRIVALS_MAX {
            return;
        }
        let is_last = self.arrivals.last().is_none_or(|last| last.0 < number);
        if is_last {
            self.arrivals.push((number, Some(now)));
        } else {
            let place = self
                .arrivals
                .binary_search_by_key(&number, |(other, _)| *other);
            let Err(place) = place else { return };
            self.arrivals.insert(place, (number, Some(now)));
        }
        let wait = match self.arrivals.len() {
            0..FEW => INTERVAL,
            FEW..MANY => INTERVAL_LEAST,
            _ => Duration::ZERO,
        };
        let first = self.arrivals.iter().find_map(|(_, at)| *at).unwrap_or(now);
        let due = (first + wait).max(now);
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// When there is something to be said.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Appends one message. When nothing is left to be said, nothing is due.
    pub(super) fn write(&mut self, sender: u32, media: u32, out: &mut Vec<u8>) {
        let late = self
            .arrivals
            .partition_point(|(number, _)| *number < self.next);
        let taken = if late > 0 {
            // Something was said of these and of their neighbours: nothing more is said of those.
            let mut length = 0;
            let mut numbers = self.arrivals.iter().take(late).map(|(number, _)| *number);
            if let Some(first) = numbers.next() {
                let others = numbers.zip(first + 1..);
                length = 1 + others.take_while(|(number, next)| number == next).count();
            }
            let run = self.arrivals.get(..length).unwrap_or(&[]);
            Self::message(&mut self.count, self.origin, sender, media, run, out)
        } else {
            let first = self.arrivals.first().map(|(number, _)| *number);
            if first.is_some_and(|first| first > self.next && first - self.next <= HOLE_MAX) {
                self.arrivals.insert(0, (self.next, None));
            }
            let all = &self.arrivals;
            let taken = Self::message(&mut self.count, self.origin, sender, media, all, out);
            if let Some((last, _)) = taken.checked_sub(1).and_then(|last| all.get(last)) {
                self.next = last + 1;
            }
            taken
        };
        // Whatever could not be written would not be written the next time either.
        let taken = taken.clamp(1.min(self.arrivals.len()), self.arrivals.len());
        self.arrivals.drain(..taken);
        if self.arrivals.is_empty() {
            self.due = None;
        }
    }

    fn message(
        count: &mut u8,
        origin: Option<Instant>,
        sender: u32,
        media: u32,
        arrivals: &[(u64, Option<Instant>)],
        out: &mut Vec<u8>,
    ) -> usize {
        let Some(origin) = origin else { return 0 };
        rtcp::write_transport_feedback(out, sender, media, count, origin, arrivals)
    }
}

/// Above what a late packet can be below the first.
const FIRST: u64 = 1 << 16;
/// Feedback about what is later is of no use: its sender has reacted to the loss.
const LATE_MAX: u64 = 1_000;
/// So many that did not arrive fit between two messages; where more are missing, their sender is
/// told nothing of them.
const HOLE_MAX: u64 = 8_000;
/// After the first of some packets, so that the sender hears of them in time.
const INTERVAL: Duration = Duration::from_millis(100);
/// The same where packets come fast: growing delays are to be seen early.
const INTERVAL_LEAST: Duration = Duration::from_millis(50);
/// From so many on, they come fast.
const FEW: usize = 8;
/// So many do not wait: the message is large enough.
const MANY: usize = 100;
/// A bound; it is only reached where nobody calls for what is due.
const ARRIVALS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::Packet;

    /// All that is said: numbers, with microseconds since the beginning.
    fn said(feedback: &mut Feedback) -> Vec<(u16, Option<i64>)> {
        let mut said = Vec::new();
        while feedback.due().is_some() {
            let mut out = Vec::new();
            feedback.write(1, 2, &mut out);
            for packet in rtcp::read(&out) {
                let Packet::TransportFeedback(message) = packet else {
                    panic!("{packet:?}");
                };
                said.extend(message.statuses());
            }
        }
        said
    }

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn arrivals_are_told_and_what_is_missing_between_two_messages_too() {
        let start = Instant::now();
        let mut feedback = Feedback::default();
        feedback.note(at(start, 0), 65_534);
        feedback.note(at(start, 10), 0);
        let told = said(&mut feedback);
        assert_eq!(told, [(65_534, Some(0)), (65_535, None), (0, Some(10_000))]);
        feedback.note(at(start, 200), 3);
        let told = said(&mut feedback);
        assert_eq!(told, [(1, None), (2, None), (3, Some(200_000))]);
    }

    #[test]
    fn what_comes_late_is_told_alone() {
        let start = Instant::now();
        let mut feedback = Feedback::default();
        for number in [10, 11, 14, 17] {
            feedback.note(start, number);
        }
        said(&mut feedback);
        for number in [12, 13, 16, 19, 13] {
            feedback.note(at(start, 30), number);
        }
        let late = Some(30_000);
        let told = said(&mut feedback);
        assert_eq!(
            told,
            [(12, late), (13, late), (16, late), (18, None), (19, late)]
        );
        feedback.note(at(start, 40), 19u16.wrapping_sub(2_000));
        assert!(said(&mut feedback).is_empty(), "far too late");
    }

    #[test]
    fn many_packets_do_not_wait() {
        let start = Instant::now();
        let mut feedback = Feedback::default();
        feedback.note(start, 1);
        assert_eq!(feedback.due(), Some(start + INTERVAL));
        for number in 2..FEW as u16 {
            feedback.note(at(start, 1), number);
        }
        assert_eq!(feedback.due(), Some(start + INTERVAL));
        feedback.note(at(start, 2), FEW as u16);
        assert_eq!(feedback.due(), Some(start + INTERVAL_LEAST));
        for number in FEW as u16 + 1..=MANY as u16 {
            feedback.note(at(start, 3), number);
        }
        assert_eq!(feedback.due(), Some(at(start, 3)));
        assert_eq!(said(&mut feedback).len(), MANY);
        assert_eq!(feedback.due(), None);
    }

    proptest! {
        /// Whatever order packets come in: each that came is told, and at its time.
        #[test]
        fn what_is_told_is_true(
            steps in proptest::collection::vec((-60i64..100, 0u64..40, any::<bool>()), 1..300),
        ) {
            let start = Instant::now();
            let mut feedback = Feedback::default();
            let (mut millis, mut highest) = (0, 65_000);
            let mut came = Vec::new();
            let mut told = Vec::new();
            for (step, wait, is_asked) in steps {
                let number = (highest + step) as u16;
                highest = highest.max(highest + step);
                feedback.note(at(start, millis), number);
                came.push((number, millis as i64 * 1_000));
                millis += wait;
                if is_asked {
                    told.extend(said(&mut feedback));
                }
            }
            told.extend(said(&mut feedback));
            prop_assert!(feedback.arrivals.is_empty());
            for (number, at) in &told {
                if let Some(at) = at {
                    prop_assert!(came.contains(&(*number, *at)), "{number} {at}");
                }
            }
            for (number, _) in came {
                let mut told = told.iter().filter(|(other, _)| *other == number);
                prop_assert!(told.any(|(_, at)| at.is_some()), "{number}");
            }
        }
    }
}
