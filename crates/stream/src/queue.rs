use std::collections::VecDeque;
use std::sync::Arc;

use tertulia_stanza::Stanza;

/// Stanzas that were sent, or wait to be, and were not acknowledged (XEP-0198). Counted modulo
/// 2³² from the moment stream management was enabled.
#[derive(Debug, Default)]
pub(crate) struct Unacknowledged {
    stanzas: VecDeque<Arc<Stanza>>,
    bytes: usize,
    /// The last `h` of the peer.
    acknowledged: u32,
}

/// The peer acknowledged more than it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandledCountTooHigh {
    pub(crate) sent: u32,
}

impl Unacknowledged {
    pub(crate) fn push(&mut self, stanza: Arc<Stanza>) {
        self.bytes += stanza.size();
        self.stanzas.push_back(stanza);
    }

    /// Lets go of what the peer has handled. An `h` that goes backwards is too high as well, as
    /// it would have to have gone all the way round.
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<(), HandledCountTooHigh> {
        let count = h.wrapping_sub(self.acknowledged) as usize;
        if count > self.stanzas.len() {
            let sent = self.acknowledged.wrapping_add(self.stanzas.len() as u32);
            return Err(HandledCountTooHigh { sent });
        }
        self.acknowledged = h;
        let done: usize = self
            .stanzas
            .drain(..count)
            .map(|stanza| stanza.size())
            .sum();
        self.bytes -= done;
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.stanzas.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Stanza>> {
        self.stanzas.iter()
    }
}

#[cfg(test)]
mod tests {
    use tertulia_stanza::Kind;

    use super::*;

    fn queue(acknowledged: u32, count: usize) -> Unacknowledged {
        let mut queue = Unacknowledged {
            acknowledged,
            ..Unacknowledged::default()
        };
        for i in 0..count {
            queue.push(Arc::new(Stanza::new(Kind::Message).with_id(&i.to_string())));
        }
        queue
    }

    #[test]
    fn acknowledged_stanzas_are_let_go() {
        let mut queue = queue(0, 3);
        assert_eq!(queue.acknowledge(2), Ok(()));
        assert_eq!(
            queue
                .iter()
                .map(|s| s.id.clone().unwrap())
                .collect::<Vec<_>>(),
            ["2".into()]
        );
        assert_eq!(queue.acknowledge(2), Ok(()));
        assert_eq!(queue.acknowledge(3), Ok(()));
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn the_count_goes_round() {
        let mut queue = queue(u32::MAX - 1, 3);
        assert_eq!(queue.acknowledge(0), Ok(()));
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.acknowledge(1), Ok(()));
    }

    #[test]
    fn more_than_sent_is_refused() {
        assert_eq!(
            queue(5, 3).acknowledge(9),
            Err(HandledCountTooHigh { sent: 8 })
        );
        assert_eq!(
            queue(5, 3).acknowledge(4),
            Err(HandledCountTooHigh { sent: 8 })
        );
        assert_eq!(
            queue(5, 3).acknowledge(u32::MAX),
            Err(HandledCountTooHigh { sent: 8 })
        );
    }
}
