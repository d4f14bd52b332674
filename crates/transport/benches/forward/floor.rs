//! The least that any bridge does: a packet is opened once, then copied, given another header and
//! sealed for each receiver. No store, no feedback, no estimation, no pacing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use tertulia_gauge::cpu_ns;

use crate::BATCH;

pub(crate) struct Floor {
    ingress: Key,
    egress: Vec<Key>,
    arena: Vec<u8>,
}

struct Key {
    key: LessSafeKey,
    number: u64,
}

impl Floor {
    pub(crate) fn new(receivers: usize) -> Floor {
        Floor {
            ingress: Key::new(),
            egress: (0..receivers).map(|_| Key::new()).collect(),
            arena: Vec::new(),
        }
    }

    /// Ten packets; the nanoseconds they took.
    pub(crate) fn tick(&mut self) -> u64 {
        let first = self.ingress.number + 1;
        let mut arrived: Vec<[u8; WIRE]> = Vec::new();
        for _ in 0..BATCH {
            let mut packet = [0x5a; WIRE];
            self.ingress.seal(&mut packet);
            arrived.push(packet);
        }
        let start = cpu_ns();
        self.arena.clear();
        for (number, packet) in (first..).zip(&mut arrived) {
            self.ingress.open(number, packet);
            for key in &mut self.egress {
                let at = self.arena.len();
                self.arena.extend_from_slice(packet);
                key.seal(self.arena[at..].as_mut());
            }
        }
        let spent = cpu_ns() - start;
        std::hint::black_box(&self.arena);
        spent
    }
}

impl Key {
    fn new() -> Key {
        Key {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap()),
            number: 0,
        }
    }

    /// Writes a header, and seals the payload between it and the tag.
    fn seal(&mut self, packet: &mut [u8]) {
        self.number += 1;
        packet[2..4].copy_from_slice(&(self.number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(self.number as u32).wrapping_mul(3_000).to_be_bytes());
        packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
        let nonce = nonce(self.number);
        let (header, rest) = packet.split_at_mut(HEADER);
        let (payload, tag) = rest.split_at_mut(WIRE - HEADER - TAG);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload);
        tag.copy_from_slice(sealed.unwrap().as_ref());
    }

    fn open(&self, number: u64, packet: &mut [u8]) {
        let (header, rest) = packet.split_at_mut(HEADER);
        let opened = self
            .key
            .open_in_place(nonce(number), Aad::from(&*header), rest);
        opened.unwrap();
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Bytes of a packet in all.
const WIRE: usize = 1_200;
/// With the extensions that the others write: level, time and number.
const HEADER: usize = 24;
const TAG: usize = 16;
