//! What has left and was not yet reported on.

use std::collections::VecDeque;

/// Sent packets by transport number.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Consecutive; the last one is `newest`.
    packets: VecDeque<Sent>,
    /// Extended transport number of the last packet.
    newest: u64,
    /// When that left, in microseconds since the beginning.
    latest: i64,
    /// Up to here packets were reported on, or a report on them was lost.
    reported: u64,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    /// In microseconds since the beginning.
    pub(super) at: i64,
    pub(super) bytes: u32,
    pub(super) is_probe: bool,
}

/// The same, small: there are four thousand of them where a client is sent a thousand packets a
/// second.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// The lower half of the time. All that are kept are less than [`KEPT`] apart.
    at: u32,
    /// No packet has more; 0 where nothing was sent with a number.
    bytes: u16,
    is_probe: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is known of it.
    Travelling,
    Lost,
    Arrived,
}

/// What a report changes about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Arrived,
    Lost,
    /// It arrived after it had been reported lost.
    Found,
}

impl History {
    /// A packet leaves, not before the last one.
    pub(super) fn push(&mut self, at: i64, number: u16, bytes: usize, is_probe: bool) {
        let step = number.wrapping_sub(self.newest as u16);
        let sent = Sent {
            at: at as u32,
            bytes: u16::try_from(bytes).unwrap_or(u16::MAX),
            is_probe,
            state: State::Travelling,
        };
        if at - self.latest > KEPT {
            self.packets.clear();
        }
        if self.packets.is_empty() {
            let beginning = 1 << 16;
            self.newest = self.newest.max(beginning) + u64::from(step);
            self.reported = self.newest;
        } else if step == 0 || step > GAP_MAX {
            // The numbering began anew.
            self.packets.clear();
            self.newest += (1 << 16) + u64::from(step);
            self.reported = self.newest;
        } else {
            for _ in 1..step {
                self.packets.push_back(Sent { bytes: 0, ..sent });
            }
            self.newest += u64::from(step);
        }
        self.latest = at;
        let age = |packet: &Sent| i64::from((at as u32).wrapping_sub(packet.at));
        while self.packets.len() >= PACKETS_MAX
            || self.packets.front().is_some_and(|old| age(old) > KEPT)
        {
            self.packets.pop_front();
        }
        self.packets.push_back(sent);
    }

    /// A report covers this number: the packet, if that is news.
    pub(super) fn report(&mut self, number: u16, has_arrived: bool) -> Option<(Departure, Turn)> {
        let back = (self.newest as u16).wrapping_sub(number);
        let place = self.packets.len().checked_sub(usize::from(back) + 1)?;
        let packet = self.packets.get_mut(place)?;
        self.reported = self.reported.max(self.newest - u64::from(back) + 1);
        if packet.bytes == 0 {
            return None;
        }
        let turn = match (packet.state, has_arrived) {
            (State::Travelling, true) => Turn::Arrived,
            (State::Travelling, false) => Turn::Lost,
            (State::Lost, true) => Turn::Found,
            (State::Lost, false) | (State::Arrived, _) => return None,
        };
        packet.state = if has_arrived {
            State::Arrived
        } else {
            State::Lost
        };
        let age = (self.latest as u32).wrapping_sub(packet.at);
        let departure = Departure {
            at: self.latest - i64::from(age),
            bytes: u32::from(packet.bytes),
            is_probe: packet.is_probe,
        };
        Some((departure, turn))
    }

    /// Bytes between the last report and this number: a report on them was lost.
    pub(super) fn unreported_before(&self, number: u16) -> u64 {
        let back = u64::from((self.newest as u16).wrapping_sub(number));
        let Some(end) = self.newest.checked_sub(back) else {
            return 0;
        };
        let oldest = self.newest + 1 - self.packets.len() as u64;
        let from = self.reported.max(oldest);
        let between = end.saturating_sub(from) as usize;
        let start = from.saturating_sub(oldest) as usize;
        let missing = self.packets.iter().skip(start).take(between);
        missing.map(|packet| u64::from(packet.bytes)).sum()
    }
}

/// Reports later than this are of no use, in microseconds.
const KEPT: i64 = 4_000_000;
/// A quarter of all numbers: what is older could not be told from what is newer.
const PACKETS_MAX: usize = 16_384;
/// So many numbers may be left out.
const GAP_MAX: u16 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(first: u16, count: u16) -> History {
        let mut history = History::default();
        for place in 0..count {
            let number = first.wrapping_add(place);
            history.push(i64::from(place) * 1_000, number, 100, false);
        }
        history
    }

    #[test]
    fn numbers_wrap() {
        let mut history = filled(65_530, 20);
        for place in 0..20u16 {
            let reported = history.report(65_530u16.wrapping_add(place), true);
            let (packet, turn) = reported.expect("was sent");
            assert_eq!((packet.at, turn), (i64::from(place) * 1_000, Turn::Arrived));
        }
        assert!(history.report(65_529, true).is_none(), "never sent");
        assert!(history.report(14, true).is_none(), "not yet sent");
    }

    #[test]
    fn times_of_any_size_come_back() {
        assert_eq!(size_of::<Sent>(), 8);
        let mut history = History::default();
        // Beyond what an entry holds, before and after it overflows, and after a long silence.
        let second = 1_000_000;
        let beyond = i64::from(u32::MAX) + 7;
        for (number, at) in [
            (1, beyond - second),
            (2, beyond),
            (3, beyond + KEPT - second),
            (4, 3 * beyond),
            (5, 3 * beyond + 1),
        ] {
            history.push(at, number, 1_200, number == 4);
            let expected = Departure {
                at,
                bytes: 1_200,
                is_probe: number == 4,
            };
            assert_eq!(
                history.report(number, true),
                Some((expected, Turn::Arrived))
            );
        }
        assert!(history.report(3, true).is_none(), "long forgotten");
    }

    #[test]
    fn each_packet_is_news_once() {
        let mut history = filled(0, 4);
        let mut turn = |number, has_arrived| history.report(number, has_arrived).map(|r| r.1);
        assert_eq!(turn(1, false), Some(Turn::Lost));
        assert_eq!(turn(1, false), None);
        assert_eq!(turn(1, true), Some(Turn::Found));
        assert_eq!(turn(1, true), None);
        assert_eq!(turn(2, true), Some(Turn::Arrived));
        assert_eq!(turn(2, false), None);
    }

    #[test]
    fn what_a_lost_report_was_about_is_known() {
        let mut history = filled(0, 40);
        for number in 0..10 {
            history.report(number, true);
        }
        assert_eq!(history.unreported_before(10), 0);
        assert_eq!(history.unreported_before(25), 1_500);
        history.report(25, true);
        assert_eq!(history.unreported_before(26), 0);
        assert_eq!(history.unreported_before(15), 0, "it came late");
    }

    #[test]
    fn memory_is_bounded_and_left_out_numbers_are_none() {
        let mut history = History::default();
        for step in 0..60_000u32 {
            history.push(i64::from(step) * 10, step as u16, 100, false);
        }
        assert_eq!(history.packets.len(), PACKETS_MAX);
        history.push(KEPT * 2, 60_010u32 as u16, 100, false);
        assert!(history.packets.len() < 20);
        assert!(history.report(60_005u32 as u16, false).is_none());
        assert!(history.report(60_010u32 as u16, false).is_some());
        history.push(KEPT * 2, 7, 100, false);
        assert_eq!(history.packets.len(), 1, "anew");
        assert!(history.report(7, true).is_some());
    }
}
