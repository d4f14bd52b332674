//! Which endpoints of a worker send an SSRC: asked only about packets from unknown addresses.
//!
//! Conferences don't know of each other, so that one SSRC may have several senders.

use std::collections::BTreeSet;

use tertulia_model::Ssrc;

/// SSRCs with the numbers of endpoints. Bounded by the limits on endpoints and their sources.
#[derive(Default)]
pub(crate) struct Senders(BTreeSet<(u32, u32)>);

impl Senders {
    pub(crate) fn insert(&mut self, ssrc: Ssrc, number: u32) {
        self.0.insert((ssrc.0, number));
    }

    pub(crate) fn remove(&mut self, ssrc: Ssrc, number: u32) {
        self.0.remove(&(ssrc.0, number));
    }

    pub(crate) fn has(&self, ssrc: Ssrc) -> bool {
        self.of(ssrc).next().is_some()
    }

    /// The numbers of those who send it, some of them if they are many.
    pub(crate) fn of(&self, ssrc: Ssrc) -> impl Iterator<Item = u32> {
        let senders = self.0.range((ssrc.0, 0)..=(ssrc.0, u32::MAX));
        senders.map(|(_, number)| *number).take(TRIED_MAX)
    }
}

/// SSRCs are drawn by chance: more than this is somebody's game, and each costs a decryption.
const TRIED_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ssrc_may_have_several_senders_and_few_are_tried() {
        let mut senders = Senders::default();
        senders.insert(Ssrc(u32::MAX), 3);
        senders.insert(Ssrc(7), 2);
        for number in (10..20).rev() {
            senders.insert(Ssrc(8), number);
        }
        let of = |senders: &Senders, ssrc| senders.of(Ssrc(ssrc)).collect::<Vec<_>>();
        assert_eq!(of(&senders, 8), [10, 11, 12, 13]);
        assert_eq!(
            (of(&senders, 7), of(&senders, u32::MAX)),
            (vec![2], vec![3])
        );
        senders.remove(Ssrc(7), 3);
        assert!(senders.has(Ssrc(7)));
        senders.remove(Ssrc(7), 2);
        assert!(!senders.has(Ssrc(7)));
        assert_eq!(senders.0.len(), 11);
    }
}
