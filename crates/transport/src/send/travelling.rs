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
