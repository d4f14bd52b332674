//! Retransmissions that are on their way: those that the client reports lost leave once more.
//!
//! A client asks a few times for what it misses, and then waits until it gives the picture up;
//! browsers ask ten times, others five. Where a network loses most packets for a third of a second,
//! that is not enough. Transport feedback tells which retransmissions were lost.

use std::collections::VecDeque;

use super::Resend;

/// Those not reported on yet, in the order in which they left.
#[derive(Debug, Default)]
pub(super) struct Travelling(VecDeque<One>);

#[derive(Debug)]
struct One {
    transport_number: u16,
    resend: Resend,
}

impl Travelling {
    /// It leaves.
    pub(super) fn note(&mut self, transport_number: u16, resend: Resend) {
        if self.0.len() >= TRAVELLING_MAX {
            self.0.pop_front();
        }
        self.0.push_back(One {
            transport_number,
            resend,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The client says what became of a packet: the retransmission that is to leave again, if it
    /// was one and has not done so often enough. Reports come in the order of the numbers; those
    /// between were lost.
    pub(super) fn report(&mut self, transport_number: u16, has_arrived: bool) -> Option<Resend> {
        let behind = |one: &mut One| transport_number.wrapping_sub(one.transport_number) as i16;
        while self.0.pop_front_if(|one| behind(one) > 0).is_some() {}
        let resend = self.0.pop_front_if(|one| behind(one) == 0)?.resend;
        (!has_arrived && resend.unasked < UNASKED_MAX).then_some(Resend {
            unasked: resend.unasked + 1,
            ..resend
        })
    }
}

/// As many as can be asked for at a time.
const TRAVELLING_MAX: usize = super::RESENDS_MAX;
/// So often nobody has to ask. With feedback each 50 to 250 ms this makes up for what is lost in a
/// third of a second, and a link that loses for lack of room is not filled with it.
const UNASKED_MAX: u8 = 3;

#[cfg(test)]
mod tests {
    use super::super::StreamKey;
    use super::*;

    /// Retransmissions with these transport numbers, which they have as numbers too.
    fn travelling(numbers: impl Iterator<Item = u16>) -> Travelling {
        let mut travelling = Travelling::default();
        for number in numbers {
            let key = StreamKey {
                place: 0,
                generation: 0,
            };
            let resend = Resend {
                key,
                number: u64::from(number),
                unasked: 0,
            };
            travelling.note(number, resend);
        }
        travelling
    }

    #[test]
    fn what_a_lost_report_was_about_is_not_waited_for() {
        let mut travelling = travelling([65_530, 65_535, 1, 4].into_iter());
        let mut lost = |number| Some(travelling.report(number, false)?.number);
        assert_eq!(lost(65_529), None);
        assert_eq!(lost(65_530), Some(65_530));
        assert_eq!(lost(65_530), None, "once");
        // The report on 65,535 was lost; 2 was no retransmission.
        assert_eq!(lost(1), Some(1));
        assert_eq!(lost(65_535), None);
        assert_eq!(lost(2), None);
        assert!(!travelling.is_empty());
        assert!(travelling.report(4, true).is_none());
        assert!(travelling.is_empty());
    }

    #[test]
    fn without_reports_it_is_bounded() {
        let mut travelling = travelling(0..2_000);
        assert_eq!(travelling.0.len(), TRAVELLING_MAX);
        let last = travelling.report(1_999, false);
        assert_eq!(last.map(|resend| resend.number), Some(1_999));
    }
}
