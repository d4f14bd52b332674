//! Packets that wait for the pacer.

use std::collections::VecDeque;
use std::time::Instant;

use super::StreamKey;
use super::outgoing::Outgoing;

/// What waits to be sent to one client, in the order in which it came.
#[derive(Debug, Default)]
pub struct Queue {
    packets: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    key: StreamKey,
    since: Instant,
    packet: Outgoing,
}

impl Queue {
    pub fn push(&mut self, now: Instant, key: StreamKey, packet: Outgoing) {
        self.bytes += packet.payload.len();
        self.packets.push_back(Waiting {
            key,
            since: now,
            packet,
        });
    }

    /// The next packet and its stream.
    pub fn pop(&mut self) -> Option<(StreamKey, Outgoing)> {
        let Waiting { key, packet, .. } = self.packets.pop_front()?;
        self.bytes -= packet.payload.len();
        Some((key, packet))
    }

    /// The stream of the packet that is next, and since when that waits.
    pub fn next(&self) -> Option<(StreamKey, Instant)> {
        let next = self.packets.front()?;
        Some((next.key, next.since))
    }

    /// Payload bytes in all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.packets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Takes out what waits of one stream.
    pub fn remove(&mut self, key: StreamKey) {
        let bytes = &mut self.bytes;
        self.packets.retain(|waiting| {
            let is_other = waiting.key != key;
            if !is_other {
                *bytes -= waiting.packet.payload.len();
            }
            is_other
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::tests::{key, packet};

    #[test]
    fn packets_leave_in_their_order_and_are_counted() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let (a, b) = (key(0), key(1));
        queue.push(now, a, packet(now, 1, &[1; 100]));
        queue.push(now, b, packet(now, 7, &[2; 50]));
        queue.push(now, a, packet(now, 2, &[3; 10]));
        assert_eq!((queue.bytes(), queue.len()), (160, 3));
        assert_eq!(queue.next(), Some((a, now)));
        let (of, first) = queue.pop().unwrap();
        assert_eq!((of, first.number), (a, 1));
        queue.remove(a);
        assert_eq!((queue.bytes(), queue.len()), (50, 1));
        let (of, second) = queue.pop().unwrap();
        assert_eq!((of, second.number), (b, 7));
        assert!(queue.is_empty() && queue.pop().is_none() && queue.next().is_none());
        assert_eq!(queue.bytes(), 0);
    }
}
