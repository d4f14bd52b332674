//! What was sent of one stream, for as long as it may be asked for again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::outgoing::{Descriptor, Outgoing, Patch};
use crate::payload::Payload;

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// At most so many packets.
    pub packets: usize,
    /// Payloads of so many bytes in all.
    pub bytes: usize,
    /// Each for so long.
    pub age: Duration,
}

/// A packet that was sent.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) number: u64,
    pub(super) timestamp: u32,
    pub(super) payload_type: u8,
    pub(super) is_marked: bool,
    pub(super) patch: Option<Patch>,
    pub(super) payload: Payload,
    pub(super) descriptor: Option<Descriptor>,
    sent: Tick,
    sent_again: Option<Tick>,
    /// It waits to be sent again.
    pub(super) is_asked: bool,
}

/// A time in milliseconds since the first packet was kept: a quarter of an [`Instant`], and there
/// are up to a thousand packets for each receiver. After seven weeks it begins anew; what would be
/// taken for young by then was let go of long before, unless nothing was sent ever since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick(u32);

impl Tick {
    fn since(self, earlier: Tick) -> Duration {
        Duration::from_millis(u64::from(self.0.wrapping_sub(earlier.0)))
    }
}

impl Packet {
    /// It leaves once more.
    pub(super) fn note_sent_again(&mut self, now: Tick) {
        self.sent_again = Some(now);
    }

    /// Whether it has left once more, less than `pause` ago.
    pub(super) fn is_sent_again(&self, now: Tick, pause: Duration) -> bool {
        self.sent_again
            .is_some_and(|again| now.since(again) < pause)
    }
}

/// Packets that were sent, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Kept {
    packets: VecDeque<Packet>,
    bytes: usize,
    /// When the first was kept.
    start: Option<Instant>,
}

impl Kept {
    /// This time, as packets tell it. It must not go back.
    pub(super) fn tick(&self, now: Instant) -> Tick {
        let start = self.start.unwrap_or(now);
        Tick(now.saturating_duration_since(start).as_millis() as u32)
    }

    /// Keeps a packet; of two with the same number, the first.
    pub(super) fn push(&mut self, keep: Keep, now: Instant, packet: Outgoing) {
        let number = packet.number;
        // Nearly always it is the last; what comes late has but a few behind it.
        let behind = (self.packets.iter().rev()).take_while(|kept| kept.number > number);
        let mut place = self.packets.len() - behind.count();
        let before = place.checked_sub(1).and_then(|at| self.packets.get(at));
        if before.is_some_and(|before| before.number == number) {
            return;
        }
        // Room is made first, so that memory for one more than that is never asked for.
        if self.packets.len() >= keep.packets {
            let Some(behind_first) = place.checked_sub(1) else {
                return;
            };
            place = behind_first;
            self.drop_first();
        }
        self.bytes += packet.payload.len();
        self.start.get_or_insert(now);
        let packet = Packet {
            number,
            timestamp: packet.timestamp,
            payload_type: packet.payload_type,
            is_marked: packet.is_marked,
            patch: packet.patch,
            payload: packet.payload,
            descriptor: packet.descriptor,
            sent: self.tick(now),
            sent_again: None,
            is_asked: false,
        };
        self.packets.insert(place, packet);
        self.purge(keep, now);
    }

    /// Lets go of what is too old and too much.
    pub(super) fn purge(&mut self, keep: Keep, now: Instant) {
        let now = self.tick(now);
        while let Some(first) = self.packets.front() {
            let is_old = now.since(first.sent) > keep.age;
            if !is_old && self.bytes <= keep.bytes {
                break;
            }
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.packets.pop_front() {
            self.bytes -= first.payload.len();
        }
    }

    /// A packet that is kept and not too old.
    pub(super) fn get(&mut self, keep: Keep, now: Instant, number: u64) -> Option<&mut Packet> {
        let now = self.tick(now);
        let index = self
            .packets
            .binary_search_by_key(&number, |packet| packet.number);
        let packet = self.packets.get_mut(index.ok()?)?;
        (now.since(packet.sent) <= keep.age).then_some(packet)
    }

    /// One to fill time with: among the last few, the latest that is no larger than this and was
    /// not sent again for as long as `pause`.
    pub(super) fn filler(&self, largest: usize, now: Instant, pause: Duration) -> Option<&Packet> {
        let now = self.tick(now);
        let mut latest = self.packets.iter().rev().take(FILLERS);
        latest.find(|packet| {
            !packet.is_asked && packet.payload.len() <= largest && !packet.is_sent_again(now, pause)
        })
    }

    /// Payload bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Packets that are kept.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }
}

/// A burst of the largest probe.
const FILLERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_small() {
        assert!(size_of::<Packet>() <= 88, "{}", size_of::<Packet>());
    }

    #[test]
    fn ages_are_known_across_the_end_of_the_ticks() {
        let millis = Duration::from_millis;
        let start = Instant::now();
        let end = start + millis(1 << 32);
        let kept = Kept {
            start: Some(start),
            ..Kept::default()
        };
        let before = kept.tick(end - millis(2));
        for (later, passed) in [(0, 2), (1, 3), (500, 502)] {
            let now = kept.tick(end + millis(later));
            assert_eq!(now.since(before), millis(passed));
        }
    }
}
