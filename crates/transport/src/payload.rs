//! Payloads of packets: shared by everybody who is sent them, and their memory used again.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

/// The payload of a packet. Clones share it.
#[derive(Clone, Debug)]
pub struct Payload {
    buffer: Arc<[u8]>,
    length: usize,
}

impl Payload {
    /// Nothing, in the same memory.
    #[must_use]
    pub fn emptied(&self) -> Payload {
        Payload {
            buffer: Arc::clone(&self.buffer),
            length: 0,
        }
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or(&self.buffer)
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Payload {
        Payload {
            buffer: bytes.into(),
            length: bytes.len(),
        }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Payload {
        Payload {
            length: bytes.len(),
            buffer: bytes.into(),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Payload {}

/// Memory of one client's payloads. What everybody has let go of is filled again, so that in a
/// steady state no packet is an allocation.
#[derive(Debug, Default)]
pub struct Pool {
    /// In the order in which they were filled; the first is let go of first.
    buffers: VecDeque<Arc<[u8]>>,
    fills: u32,
}

impl Pool {
    /// A payload with these bytes.
    pub fn fill(&mut self, bytes: &[u8]) -> Payload {
        if bytes.len() > BUFFER {
            return Payload::from(bytes);
        }
        let mut buffer = self.take();
        if let Some(room) = Arc::get_mut(&mut buffer).and_then(|all| all.get_mut(..bytes.len())) {
            room.copy_from_slice(bytes);
        }
        if self.buffers.len() < BUFFERS_MAX {
            self.buffers.push_back(Arc::clone(&buffer));
        }
        Payload {
            buffer,
            length: bytes.len(),
        }
    }

    /// How many are kept.
    pub fn kept(&self) -> usize {
        self.buffers.len()
    }

    /// One that nobody holds. Those that are held go to the end and are looked at again later.
    fn take(&mut self) -> Arc<[u8]> {
        self.fills = self.fills.wrapping_add(1);
        if self.fills.is_multiple_of(SHRINKING) {
            self.shrink();
        }
        for _ in 0..LOOKS {
            let Some(mut first) = self.buffers.pop_front() else {
                break;
            };
            if Arc::get_mut(&mut first).is_some() {
                return first;
            }
            self.buffers.push_back(first);
        }
        Arc::from([0; BUFFER])
    }

    /// Lets go of what is free, but for a few: what is free is in front, for what was filled first
    /// is let go of first.
    fn shrink(&mut self) {
        let is_held = |buffer: &Arc<[u8]>| Arc::strong_count(buffer) > 1;
        let held = self.buffers.iter().filter(|buffer| is_held(buffer)).count();
        let mut surplus = self.buffers.len().saturating_sub(held + held / 4 + SPARE);
        self.buffers.retain(|buffer| {
            let is_surplus = surplus > 0 && !is_held(buffer);
            surplus -= usize::from(is_surplus);
            !is_surplus
        });
    }
}

/// No payload of media is larger: what a datagram on Ethernet has room for (RFC 8200 aside).
const BUFFER: usize = 1_472;
/// Of one client: some 12 Mbit/s for as long as packets are kept for retransmission. What comes on
/// top of that is allocated for each packet.
const BUFFERS_MAX: usize = 1_024;
/// Where what is held is not in the order in which it was filled, some are looked at.
const LOOKS: usize = 16;
/// After so many packets it is looked whether fewer would do: some seconds of a camera.
const SHRINKING: u32 = 1_024;
/// So many are kept for the next burst, and a quarter of what is held.
const SPARE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_filled_again() {
        let mut pool = Pool::default();
        let mut held = VecDeque::new();
        for packet in 0..5_000u16 {
            let payload = pool.fill(&packet.to_be_bytes());
            assert_eq!(payload[..], packet.to_be_bytes());
            held.push_back(payload);
            if held.len() > 100 {
                held.pop_front();
            }
        }
        for (packet, payload) in (4_900u16..).zip(&held) {
            assert_eq!(
                payload[..],
                packet.to_be_bytes(),
                "nobody's is written over"
            );
        }
        assert!(pool.kept() <= 150, "{}", pool.kept());
        held.clear();
        for _ in 0..1_024 {
            pool.fill(b"last");
        }
        assert!(pool.kept() <= SPARE + 2, "{}", pool.kept());
    }

    #[test]
    fn what_is_held_for_ever_is_in_nobodys_way() {
        let mut pool = Pool::default();
        let held: Vec<Payload> = (0..50).map(|_| pool.fill(b"kept")).collect();
        for _ in 0..1_000 {
            assert_eq!(pool.fill(b"passing")[..], *b"passing");
        }
        assert!(held.iter().all(|payload| payload[..] == *b"kept"));
        assert!(pool.kept() < 120, "{}", pool.kept());
    }

    #[test]
    fn what_is_larger_than_a_datagram_is_not_kept() {
        let mut pool = Pool::default();
        assert_eq!(pool.fill(&[7; 3_000]).len(), 3_000);
        assert_eq!(pool.kept(), 0);
    }
}
