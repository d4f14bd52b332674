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
    pub(super) sent: Instant,
    pub(super) sent_again: Option<Instant>,
    /// It waits to be sent again.
    pub(super) is_asked: bool,
}

/// Packets that were sent, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Kept {
    packets: VecDeque<Packet>,
    bytes: usize,
}

impl Kept {
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
        let packet = Packet {
            number,
            timestamp: packet.timestamp,
            payload_type: packet.payload_type,
            is_marked: packet.is_marked,
            patch: packet.patch,
            payload: packet.payload,
            descriptor: packet.descriptor,
            sent: now,
            sent_again: None,
            is_asked: false,
        };
        self.packets.insert(place, packet);
        self.purge(keep, now);
    }

    /// Lets go of what is too old and too much.
    pub(super) fn purge(&mut self, keep: Keep, now: Instant) {
        while let Some(first) = self.packets.front() {
            let is_old = now.saturating_duration_since(first.sent) > keep.age;
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
        let index = self
            .packets
            .binary_search_by_key(&number, |packet| packet.number);
        let packet = self.packets.get_mut(index.ok()?)?;
        (now.saturating_duration_since(packet.sent) <= keep.age).then_some(packet)
    }

    /// One to fill time with: among the last few, the latest that is no larger than this and was
    /// not sent again since `since`.
    pub(super) fn filler(&mut self, largest: usize, since: Option<Instant>) -> Option<&mut Packet> {
        let mut latest = self.packets.iter_mut().rev().take(FILLERS);
        latest.find(|packet| {
            !packet.is_asked
                && packet.payload.len() <= largest
                && (packet.sent_again).is_none_or(|again| Some(again) < since)
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
