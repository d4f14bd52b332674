//! Transport-wide feedback: which packets of a connection arrived, and when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::time::Instant;

use super::{STATUSES_MAX, TRANSPORT_FEEDBACK, TRANSPORT_WIDE, write};

/// Which packets of a connection arrived, and when.
#[derive(Clone, Debug)]
pub struct TransportFeedback<'a> {
    pub sender: u32,
    pub media: u32,
    /// The first packet that something is said about.
    pub base_number: u16,
    /// How many packets something is said about: this and those that follow.
    pub count: u16,
    /// What arrivals are counted from, in 64 ms of a clock of the receiver's, modulo 2²⁴ (12 days).
    pub reference_time: i32,
    /// Counts these messages.
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// How many packets a message is about; None if it is none.
pub(super) fn count(content: &[u8]) -> Option<u16> {
    let &[_, _, c0, c1, ..] = content.first_chunk::<8>()?;
    Some(u16::from_be_bytes([c0, c1]))
}

impl<'a> TransportFeedback<'a> {
    /// None if anything is said to be there and is not.
    pub(super) fn read(sender: u32, media: u32, content: &'a [u8]) -> Option<Self> {
        let count = count(content)?;
        let (&[n0, n1, _, _, t0, t1, t2, feedback_count], chunks) = content.split_first_chunk()?;
        let mut symbols = Symbols::new(chunks, count);
        let mut length = 0;
        for symbol in symbols.by_ref() {
            length += match symbol {
                LOST => 0,
                SMALL => 1,
                LARGE => 2,
                _ => return None,
            };
        }
        if symbols.left > 0 {
            return None;
        }
        let deltas = symbols.chunks.get(..length)?;
        Some(TransportFeedback {
            sender,
            media,
            base_number: u16::from_be_bytes([n0, n1]),
            count,
            reference_time: i32::from_be_bytes([t0, t1, t2, 0]) >> 8,
            feedback_count,
            chunks,
            deltas,
        })
    }

    /// Every packet that something is said about, in the order of their numbers. The time of its
    /// arrival is in microseconds of the clock of [`Self::reference_time`] (from the same zero,
    /// with the same wrap), at a resolution of 250; None: it has not arrived.
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            symbols: Symbols::new(self.chunks, self.count),
            deltas: self.deltas,
            number: self.base_number,
            ticks: i64::from(self.reference_time) * REFERENCE,
        }
    }
}

/// See [`TransportFeedback::statuses`].
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    symbols: Symbols<'a>,
    deltas: &'a [u8],
    /// Of the next one.
    number: u16,
    /// When the last one arrived.
    ticks: i64,
}

impl Iterator for Statuses<'_> {
    type Item = (u16, Option<i64>);

    fn next(&mut self) -> Option<(u16, Option<i64>)> {
        let symbol = self.symbols.next()?;
        let number = self.number;
        self.number = number.wrapping_add(1);
        let delta = match symbol {
            SMALL => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                i64::from(delta)
            }
            LARGE => {
                let (&delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                i64::from(i16::from_be_bytes(delta))
            }
            _ => return Some((number, None)),
        };
        self.ticks += delta;
        Some((number, Some(self.ticks * TICK_US)))
    }
}

/// One of `LOST`, `SMALL`, `LARGE` or 3 for each packet.
#[derive(Clone, Debug)]
struct Symbols<'a> {
    /// Behind the one that is being read.
    chunks: &'a [u8],
    /// Packets in all chunks.
    left: u16,
    chunk: u16,
    /// Packets in this chunk.
    left_in_chunk: u16,
}

impl<'a> Symbols<'a> {
    fn new(chunks: &'a [u8], count: u16) -> Symbols<'a> {
        Symbols {
            chunks,
            left: count,
            chunk: 0,
            left_in_chunk: 0,
        }
    }
}

impl Iterator for Symbols<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.left == 0 {
            return None;
        }
        while self.left_in_chunk == 0 {
            let (&chunk, rest) = self.chunks.split_first_chunk()?;
            self.chunks = rest;
            self.chunk = u16::from_be_bytes(chunk);
            self.left_in_chunk = match self.chunk >> 14 {
                0 | 1 => self.chunk & RUN_MAX,
                2 => ONE_BIT,
                _ => TWO_BITS,
            };
        }
        self.left -= 1;
        self.left_in_chunk -= 1;
        Some(match self.chunk >> 14 {
            0 | 1 => self.chunk >> 13,
            2 => self.chunk >> self.left_in_chunk & 1,
            _ => self.chunk >> (2 * self.left_in_chunk) & 3,
        })
    }
}

/// Appends one message about as many of `arrivals` as it can be about, from the first one on, and
/// says how many those are: call again with the rest. 0 and nothing appended if none arrived.
///
/// `arrivals` has numbers (of which the lowest 16 bits are written) that ascend, each with when it
/// arrived; those left out between count as not arrived, those that do not ascend are passed over.
/// What follows the last arrival may still come: nothing is said of it, and it is not taken. A
/// message ends where the next arrival is more than 8 s from the last one, where more than
/// [`HOLE_MAX`] are left out, at [`STATUSES_MAX`] packets, and at [`FEEDBACK_MAX`] bytes. What is
/// left out just there is told by neither message: who wants it told begins the rest with the first
/// of them, not arrived.
///
/// `base` is the zero of the clock and must stay the same; `feedback_count` counts the messages.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    sender: u32,
    media: u32,
    feedback_count: &mut u8,
    base: Instant,
    arrivals: &[(u64, Option<Instant>)],
) -> usize {
    let end = arrivals.iter().rposition(|(_, at)| at.is_some());
    let arrivals = end.and_then(|end| arrivals.get(..=end)).unwrap_or(&[]);
    let first = arrivals.iter().find_map(|&(_, at)| at);
    let (Some(first), Some(&(base_number, _))) = (first, arrivals.first()) else {
        return 0;
    };
    let reference = ticks(base, first).div_euclid(REFERENCE);
    let packet = write::begin_feedback(out, TRANSPORT_WIDE, TRANSPORT_FEEDBACK, sender, media);
    let [n0, n1] = (base_number as u16).to_be_bytes();
    let [_, t0, t1, t2] = (reference as u32).to_be_bytes();
    out.extend_from_slice(&[n0, n1, 0, 0, t0, t1, t2, *feedback_count]);
    *feedback_count = feedback_count.wrapping_add(1);

    let walk = Walk {
        base,
        next: base_number,
        ticks: reference * REFERENCE,
    };
    let (taken, count) = write_chunks(out, packet, walk.clone(), arrivals);
    if let Some(field) = out.get_mut(packet + 14..packet + 16) {
        field.copy_from_slice(&count.to_be_bytes());
    }
    write_deltas(out, walk, arrivals.iter().take(taken));
    let length = (out.len() - packet).next_multiple_of(4);
    out.resize(packet + length, 0);
    write::end(out, packet);
    taken
}

/// Appends to the message that began at `packet` which of the arrivals it is about; says of how
/// many arrivals it is, and of how many packets.
fn write_chunks(
    out: &mut Vec<u8>,
    packet: usize,
    mut walk: Walk,
    arrivals: &[(u64, Option<Instant>)],
) -> (usize, u16) {
    let mut chunks = Chunks::default();
    let mut deltas = 0;
    let mut taken = 0;
    let mut count = 0;
    for &arrival in arrivals {
        if let Some((hole, delta)) = walk.step(arrival) {
            let symbol = match delta {
                None => LOST,
                Some(0..=0xff) => SMALL,
                Some(delta) if i16::try_from(delta).is_ok() => LARGE,
                Some(_) => break,
            };
            // chunks: one for the hole, one for this, up to two for those before
            let size = out.len() - packet + 4 * 2 + deltas + usize::from(symbol);
            let wider = hole + 1 + u64::from(count);
            let is_wide = hole > HOLE_MAX || wider > u64::from(STATUSES_MAX);
            if taken > 0 && (is_wide || size > FEEDBACK_MAX) {
                break;
            }
            for _ in 0..hole {
                chunks.push(LOST, out);
            }
            chunks.push(symbol, out);
            deltas += usize::from(symbol);
            count = wider as u16;
        }
        taken += 1;
    }
    chunks.finish(out);
    (taken, count)
}

/// Appends how long after each other they arrived.
fn write_deltas<'a>(
    out: &mut Vec<u8>,
    mut walk: Walk,
    arrivals: impl Iterator<Item = &'a (u64, Option<Instant>)>,
) {
    for &arrival in arrivals {
        match walk.step(arrival) {
            Some((_, Some(delta @ 0..=0xff))) => out.push(delta as u8),
            Some((_, Some(delta))) => out.extend_from_slice(&(delta as i16).to_be_bytes()),
            Some((_, None)) | None => {}
        }
    }
}

/// Goes through arrivals, twice alike.
#[derive(Clone)]
struct Walk {
    base: Instant,
    /// The number that would follow.
    next: u64,
    /// When the last one arrived.
    ticks: i64,
}

impl Walk {
    /// How many numbers are left out before this one, and how long after the last arrival it came;
    /// None if it does not ascend.
    fn step(&mut self, (number, at): (u64, Option<Instant>)) -> Option<(u64, Option<i64>)> {
        let hole = number.checked_sub(self.next)?;
        self.next = number.saturating_add(1);
        let delta = at.map(|at| {
            let ticks = ticks(self.base, at);
            ticks - std::mem::replace(&mut self.ticks, ticks)
        });
        Some((hole, delta))
    }
}

fn ticks(base: Instant, at: Instant) -> i64 {
    let nearest = |nanoseconds: u128| ((nanoseconds + TICK_NS / 2) / TICK_NS) as i64;
    match at.checked_duration_since(base) {
        Some(after) => nearest(after.as_nanos()),
        None => -nearest(base.saturating_duration_since(at).as_nanos()),
    }
}

/// Packs symbols into chunks: runs where they are alike, else as many as fit a vector.
#[derive(Default)]
struct Chunks {
    /// The first of those that wait.
    held: [u16; ONE_BIT as usize],
    /// How many wait: more than are held only if all are alike.
    count: u16,
    has_other: bool,
    has_large: bool,
}

impl Chunks {
    fn push(&mut self, symbol: u16, out: &mut Vec<u8>) {
        while !self.has_room(symbol) {
            self.write(false, out);
        }
        if let Some(held) = self.held.get_mut(usize::from(self.count)) {
            *held = symbol;
        }
        self.count += 1;
        self.has_other |= !self.is_like(symbol);
        self.has_large |= symbol == LARGE;
    }

    /// Whether those that wait and this one fit one chunk.
    fn has_room(&self, symbol: u16) -> bool {
        self.count < TWO_BITS
            || self.count < ONE_BIT && !self.has_large && symbol != LARGE
            || self.count < RUN_MAX && !self.has_other && self.is_like(symbol)
    }

    fn is_like(&self, symbol: u16) -> bool {
        self.held.first() == Some(&symbol)
    }

    /// Writes a chunk of those that wait: all, or as many as fill a vector.
    fn write(&mut self, is_last: bool, out: &mut Vec<u8>) {
        let (chunk, written) = match self.held {
            [first, ..] if !self.has_other => (first << 13 | self.count, self.count),
            // a reader does not look at what is behind the last packet
            held if !self.has_large && (is_last || self.count == ONE_BIT) => {
                let bits = held.iter().fold(0, |bits, symbol| bits << 1 | symbol);
                (2 << 14 | bits, self.count)
            }
            held => {
                let held = held.iter().take(usize::from(TWO_BITS));
                let bits = held.fold(0, |bits, symbol| bits << 2 | symbol);
                (3 << 14 | bits, self.count.min(TWO_BITS))
            }
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        let all = std::mem::take(self);
        let waiting = all.held.iter().take(usize::from(all.count));
        for &symbol in waiting.skip(usize::from(written)) {
            self.push(symbol, out);
        }
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            self.write(true, out);
        }
    }
}

/// So many packets that did not arrive are told between two others. Whoever loses more has other
/// troubles than which those were.
pub const HOLE_MAX: u64 = 4_096;

/// Bytes of one message: it fits a datagram beside a report.
pub const FEEDBACK_MAX: usize = 1_000;

const LOST: u16 = 0;
/// Arrived, with a delta of one byte.
const SMALL: u16 = 1;
/// Arrived, with a delta of two bytes.
const LARGE: u16 = 2;

/// Packets in one chunk: all alike; or with one bit each; or with two.
const RUN_MAX: u16 = 0x1fff;
const ONE_BIT: u16 = 14;
const TWO_BITS: u16 = 7;

/// Deltas are counted in these.
const TICK_US: i64 = 250;
const TICK_NS: u128 = 250_000;
/// And the reference time in so many of them: 64 ms.
const REFERENCE: i64 = 256;
