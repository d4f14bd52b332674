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
    /// The longest of the packets of the picture that is being taken out.
    level: Option<usize>,
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

    /// The next packet of a picture, its stream, and with how much padding it is as long as the
    /// longest of the same picture that waits with it.
    ///
    /// Browsers cut a picture into packets that differ by a byte, the shorter ones first, and by
    /// what else the first has to carry. Equally long ones leave in one run; the last may be
    /// shorter.
    pub fn pop_level(&mut self) -> Option<(StreamKey, Outgoing, u8)> {
        let (key, packet) = self.pop()?;
        let is_same =
            |other: &&Waiting| other.key == key && other.packet.timestamp == packet.timestamp;
        let length = packet.payload.len();
        let others = self.packets.iter().take_while(is_same);
        let level = match self.level {
            Some(level) => level,
            None => others
                .map(|other| other.packet.payload.len())
                .fold(length, usize::max),
        };
        let is_last = self.packets.front().filter(is_same).is_none();
        self.level = (!is_last).then_some(level);
        let missing = level.saturating_sub(length);
        let padding = if is_last || missing > PADDING_MAX {
            0
        } else {
            missing as u8
        };
        Some((key, packet, padding))
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
        self.level = None;
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

/// More is not worth a run: what a first packet carries besides is less.
const PADDING_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::tests::{key, packet};

    /// Of the packets of one picture, with how much padding each leaves.
    fn paddings(lengths: &[usize]) -> Vec<u8> {
        let now = Instant::now();
        let mut queue = Queue::default();
        for (number, length) in (1..).zip(lengths) {
            queue.push(now, key(0), packet(now, number, &vec![1; *length]));
        }
        std::iter::from_fn(|| Some(queue.pop_level()?.2)).collect()
    }

    #[test]
    fn packets_of_a_picture_are_made_equally_long() {
        let check = |lengths: &[usize], expected: &[u8]| {
            assert_eq!(paddings(lengths), expected, "{lengths:?}");
        };
        check(&[1_000, 1_000, 1_001, 1_001], &[1, 1, 0, 0]);
        check(&[970, 1_000, 1_001, 800], &[31, 1, 0, 0]);
        check(&[900, 1_000, 1_001, 800], &[0, 1, 0, 0]);
        check(&[1_000, 1_000, 999], &[0, 0, 0]);
        check(&[700], &[0]);
        check(&[], &[]);
    }

    #[test]
    fn pictures_are_levelled_each_for_itself() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let mut number = 0;
        let mut push = |queue: &mut Queue, of: u32, timestamp: u32, length: usize| {
            number += 1;
            let mut outgoing = packet(now, number, &vec![1; length]);
            outgoing.timestamp = timestamp;
            queue.push(now, key(of), outgoing);
        };
        for (of, timestamp, length) in [
            (0, 1, 500),
            (0, 1, 501),
            (0, 2, 510),
            (0, 2, 512),
            (1, 2, 520),
            (1, 2, 521),
        ] {
            push(&mut queue, of, timestamp, length);
        }
        let padding = |queue: &mut Queue| queue.pop_level().map(|(_, _, padding)| padding);
        let paddings: Vec<_> = (0..5).map(|_| padding(&mut queue).unwrap()).collect();
        assert_eq!(paddings, [1, 0, 2, 0, 1]);
        queue.remove(key(1));
        // What was longest before it was removed is forgotten.
        push(&mut queue, 1, 2, 500);
        push(&mut queue, 1, 2, 500);
        assert_eq!(padding(&mut queue), Some(0));
    }

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
