//! Renumbering for VP8: choice of encoding and temporal layer, switching at key frames, sequence
//! numbers without gaps of our own making.
//!
//! One [`Vp8Rewrite`] stands for one receiver of one source. All packets of a frame share one
//! shift of their numbers. What is left out moves everything behind it down; what was lost on the
//! way keeps its place, so that a packet which comes late still fits. Where it cannot be known
//! whether lost packets belonged to a frame that is left out, their place is kept too.
//!
//! Budget: no allocation once the history of frames has grown to its size.

use std::collections::VecDeque;
use std::time::Instant;

use str0m::rtp::{Vp8Descriptor, Vp8Patch};

use crate::rewrite::Sent;

/// What one packet of VP8 says about itself (RFC 7741, 4.2 and 4.3). Read once per packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vp8Header {
    descriptor: Vp8Descriptor,
    is_picture_id_long: bool,
    temporal: Option<u8>,
    is_layer_sync: bool,
    is_frame_start: bool,
    is_keyframe_start: bool,
    /// Width and height, at the start of a key frame.
    pub(crate) size: Option<(u16, u16)>,
}

impl Vp8Header {
    /// None if the payload is not VP8.
    pub(crate) fn parse(payload: &[u8]) -> Option<Vp8Header> {
        let descriptor = Vp8Descriptor::parse(payload).ok()?;
        let (&first, rest) = payload.split_first()?;
        let is_frame_start = first & 0x17 == 0x10;
        let mut header = Vp8Header {
            descriptor,
            is_picture_id_long: false,
            temporal: None,
            is_layer_sync: false,
            is_frame_start,
            is_keyframe_start: descriptor.starts_keyframe(payload),
            size: None,
        };
        let mut rest = rest.iter().copied();
        if first & 0x80 != 0 {
            let present = rest.next()?;
            if present & 0x80 != 0 && rest.next()? & 0x80 != 0 {
                header.is_picture_id_long = true;
                rest.next()?;
            }
            if present & 0x40 != 0 {
                rest.next()?;
            }
            if present & 0x30 != 0 {
                let layers = rest.next()?;
                header.temporal = (present & 0x20 != 0).then_some(layers >> 6);
                header.is_layer_sync = present & 0x20 != 0 && layers & 0x20 != 0;
            }
        }
        if header.is_keyframe_start {
            // Frame tag (3 bytes), start code 9d 01 2a, width and height with scaling bits.
            let mut frame = [0u8; 10];
            for (to, from) in frame.iter_mut().zip(rest) {
                *to = from;
            }
            if frame[3..6] == [0x9d, 0x01, 0x2a] {
                let width = u16::from_le_bytes([frame[6], frame[7]]) & 0x3fff;
                let height = u16::from_le_bytes([frame[8], frame[9]]) & 0x3fff;
                header.size = Some((width, height));
            }
        }
        Some(header)
    }

    /// The temporal layer; 0 where there are none.
    pub(crate) fn temporal(&self) -> u8 {
        self.temporal.unwrap_or(0)
    }

    /// Whether this packet starts a key frame.
    pub(crate) fn is_keyframe_start(&self) -> bool {
        self.is_keyframe_start
    }
}

/// What a receiver is to get of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) encoding: u8,
    /// Frames of higher temporal layers are left out.
    pub(crate) temporal: u8,
}

/// One packet of a source, as it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vp8Packet<'a> {
    pub(crate) header: &'a Vp8Header,
    pub(crate) encoding: u8,
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) is_marked: bool,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Forward(Numbers),
    Drop,
    /// It cannot be used before a key frame.
    DropForWantOfKeyframe,
}

/// The numbers of a forwarded packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) patch: Option<Vp8Patch>,
}

/// One receiver's view of one VP8 source.
#[derive(Debug, Default)]
pub(crate) struct Vp8Rewrite {
    /// The encoding that is forwarded now.
    current: Option<u8>,
    /// The last frames of that encoding since the last switch, in order.
    frames: VecDeque<Frame>,
    /// What applies behind the newest frame.
    next: Shift,
    timestamp_shift: u32,
    base_layer_shift: u8,
    sent: Option<Sent>,
    /// The highest number left out of each encoding while it was not the current one. A key frame
    /// from before it comes too late: what refers to it is lost to the receiver.
    passed_over: [u64; ENCODINGS_MAX],
}

/// How numbers are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shift {
    number: i64,
    picture: i64,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    timestamp: u32,
    first: u64,
    last: u64,
    /// Picture id without wrapping.
    picture: Option<i64>,
    temporal: u8,
    is_end_seen: bool,
    is_forwarded: bool,
    /// What applies to it.
    shift: Shift,
    /// What applies behind it.
    after: Shift,
}

impl Vp8Rewrite {
    /// Goes on where another stream stands, or begins one; with a key frame.
    pub(crate) fn rebase(&mut self, sent: Option<Sent>) {
        self.suspend();
        self.sent = sent;
    }

    /// Where the stream stands.
    pub(crate) fn sent(&self) -> Option<Sent> {
        self.sent
    }

    /// The encoding that is forwarded now.
    pub(crate) fn current(&self) -> Option<u8> {
        self.current
    }

    /// What follows needs a key frame first.
    pub(crate) fn suspend(&mut self) {
        self.current = None;
        self.frames.clear();
    }

    /// Decides about one packet.
    pub(crate) fn pass(
        &mut self,
        now: Instant,
        packet: Vp8Packet<'_>,
        target: Option<Target>,
    ) -> Verdict {
        let Some(target) = target else {
            self.suspend();
            self.pass_over(&packet);
            return Verdict::Drop;
        };
        if packet.header.is_keyframe_start
            && self.is_nearer(packet.encoding, target.encoding)
            && !self.is_passed_over(&packet)
        {
            return self.switch(now, packet);
        }
        if self.current != Some(packet.encoding) {
            self.pass_over(&packet);
            return if packet.encoding == target.encoding || self.current.is_none() {
                Verdict::DropForWantOfKeyframe
            } else {
                Verdict::Drop
            };
        }
        let is_lost_track = self
            .frames
            .back()
            .is_none_or(|newest| packet.number > newest.last + JUMP_MAX);
        if is_lost_track {
            self.suspend();
            self.pass_over(&packet);
            return Verdict::DropForWantOfKeyframe;
        }
        // On the way down only what is cheapest, on the way up all there is.
        let temporal_max = match packet.encoding.cmp(&target.encoding) {
            std::cmp::Ordering::Greater => 0,
            std::cmp::Ordering::Equal => target.temporal,
            std::cmp::Ordering::Less => u8::MAX,
        };
        match self.place(&packet, temporal_max) {
            Some(shift) => self.forward(now, &packet, shift),
            None => Verdict::Drop,
        }
    }

    fn pass_over(&mut self, packet: &Vp8Packet<'_>) {
        if let Some(highest) = self.passed_over.get_mut(usize::from(packet.encoding)) {
            *highest = packet.number.max(*highest);
        }
    }

    fn is_passed_over(&self, packet: &Vp8Packet<'_>) -> bool {
        let highest = self.passed_over.get(usize::from(packet.encoding));
        highest.is_none_or(|highest| packet.number < *highest)
    }

    /// Whether switching to `encoding` brings the receiver nearer to what it is to get.
    fn is_nearer(&self, encoding: u8, target: u8) -> bool {
        match self.current {
            None => encoding <= target,
            Some(current) if current < target => current < encoding && encoding <= target,
            Some(current) => target <= encoding && encoding < current,
        }
    }

    /// Starts with the key frame that `packet` begins.
    fn switch(&mut self, now: Instant, packet: Vp8Packet<'_>) -> Verdict {
        let picture = packet.picture_near(None);
        let base_layer = packet.header.descriptor.tl0_pic_idx().unwrap_or(0);
        match self.sent {
            None => {
                // The first number is low, so that a receiver which misses the first packets does
                // not mistake a wrap-around for a roll-over.
                self.next.number = (packet.number & 0x7fff) as i64 - packet.number as i64;
                self.next.picture = 0;
                self.timestamp_shift = 0;
                self.base_layer_shift = 0;
            }
            Some(sent) => {
                let timestamp = sent.next_timestamp(now, TICKS_PER_MS, FRAME_TICKS);
                // A number is left out after half a frame: nothing can make it look whole.
                let first = sent.number + if sent.is_frame_end { 1 } else { 2 };
                self.next.number = first as i64 - packet.number as i64;
                self.next.picture = picture.map_or(0, |picture| sent.picture + 1 - picture);
                self.timestamp_shift = timestamp.wrapping_sub(packet.timestamp);
                self.base_layer_shift = sent.base_layer.wrapping_add(1).wrapping_sub(base_layer);
            }
        }
        self.current = Some(packet.encoding);
        self.frames.clear();
        if self.frames.capacity() == 0 {
            self.frames.reserve_exact(FRAMES_MAX + 1);
        }
        self.frames.push_back(Frame {
            timestamp: packet.timestamp,
            first: packet.number,
            last: packet.number,
            picture,
            temporal: 0,
            is_end_seen: packet.is_marked,
            is_forwarded: true,
            shift: self.next,
            after: self.next,
        });
        self.forward(now, &packet, self.next)
    }

    /// Finds out how the numbers of a packet of the current encoding are moved; None if it is
    /// not forwarded.
    fn place(&mut self, packet: &Vp8Packet<'_>, temporal_max: u8) -> Option<Shift> {
        let newest = self.frames.len().checked_sub(1)?;
        let known = self
            .frames
            .iter()
            .rposition(|frame| frame.timestamp == packet.timestamp);
        match known {
            Some(index) => self.place_in_frame(packet, index, index == newest),
            None if packet.number > self.frames[newest].last => {
                self.place_newer(packet, newest, temporal_max)
            }
            None => self.place_late(packet, temporal_max),
        }
    }

    fn place_in_frame(
        &mut self,
        packet: &Vp8Packet<'_>,
        index: usize,
        is_newest: bool,
    ) -> Option<Shift> {
        let frame = self.frames.get_mut(index)?;
        frame.is_end_seen |= packet.is_marked;
        if is_newest && !frame.is_forwarded && packet.number > frame.last {
            // All between two packets of a frame belongs to it.
            frame.after.number -= (packet.number - frame.last) as i64;
            self.next = frame.after;
        }
        frame.last = frame.last.max(packet.number);
        frame.first = frame.first.min(packet.number);
        frame.is_forwarded.then_some(frame.shift)
    }

    fn place_newer(
        &mut self,
        packet: &Vp8Packet<'_>,
        newest: usize,
        temporal_max: u8,
    ) -> Option<Shift> {
        let before = *self.frames.get(newest)?;
        let is_forwarded = self.is_wanted(packet, temporal_max, self.frames.len());
        let picture = packet.picture_near(before.picture);
        let missing = (packet.number - before.last - 1) as i64;
        let is_next_picture = match (before.picture, picture) {
            (Some(before), Some(picture)) => picture == before + 1,
            _ => false,
        };
        // Whose packets are missing between the two frames, if that can be known?
        let is_missing_ours_to_close = missing > 0
            && is_next_picture
            && match (before.is_end_seen, packet.header.is_frame_start) {
                (true, _) => !is_forwarded,
                (false, true) => !before.is_forwarded,
                (false, false) => !before.is_forwarded && !is_forwarded,
            };
        let mut shift = self.next;
        if is_missing_ours_to_close {
            shift.number -= missing;
        }
        let mut after = shift;
        if !is_forwarded {
            after.number -= 1;
            after.picture -= 1;
        }
        self.next = after;
        self.remember(
            self.frames.len(),
            packet,
            picture,
            is_forwarded,
            shift,
            after,
        );
        is_forwarded.then_some(shift)
    }

    /// A packet of a frame between two that are known.
    fn place_late(&mut self, packet: &Vp8Packet<'_>, temporal_max: u8) -> Option<Shift> {
        let index = self
            .frames
            .iter()
            .position(|frame| frame.first > packet.number)?;
        let before = *self.frames.get(index.checked_sub(1)?)?;
        let behind = *self.frames.get(index)?;
        let is_place_kept = before.last < packet.number && before.after == behind.shift;
        if !is_place_kept {
            return None;
        }
        let picture = packet.picture_near(before.picture);
        let is_forwarded = self.is_wanted(packet, temporal_max, index);
        let shift = before.after;
        self.remember(index, packet, picture, is_forwarded, shift, shift);
        is_forwarded.then_some(shift)
    }

    /// Whether a frame is to be forwarded that would stand at `index` of the history: its layer is
    /// wanted, and what it refers to was forwarded.
    fn is_wanted(&self, packet: &Vp8Packet<'_>, temporal_max: u8, index: usize) -> bool {
        let temporal = packet.header.temporal();
        if temporal > temporal_max {
            return false;
        }
        if temporal == 0 || packet.header.is_layer_sync {
            return true;
        }
        self.frames
            .range(..index)
            .rev()
            .find(|frame| frame.temporal <= temporal)
            .is_none_or(|frame| frame.is_forwarded)
    }

    fn remember(
        &mut self,
        index: usize,
        packet: &Vp8Packet<'_>,
        picture: Option<i64>,
        is_forwarded: bool,
        shift: Shift,
        after: Shift,
    ) {
        let frame = Frame {
            timestamp: packet.timestamp,
            first: packet.number,
            last: packet.number,
            picture,
            temporal: packet.header.temporal(),
            is_end_seen: packet.is_marked,
            is_forwarded,
            shift,
            after,
        };
        self.frames.insert(index, frame);
        if self.frames.len() > FRAMES_MAX {
            self.frames.pop_front();
        }
    }

    fn forward(&mut self, now: Instant, packet: &Vp8Packet<'_>, shift: Shift) -> Verdict {
        let Ok(number) = u64::try_from(packet.number as i64 + shift.number) else {
            return Verdict::Drop;
        };
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_shift);
        let known = self.frames.iter().rev();
        let picture = known
            .filter(|frame| frame.timestamp == packet.timestamp)
            .find_map(|frame| frame.picture)
            .map(|picture| picture + shift.picture);
        let base_layer = packet
            .header
            .descriptor
            .tl0_pic_idx()
            .map(|index| index.wrapping_add(self.base_layer_shift));
        let sent = self.sent.get_or_insert(Sent {
            number,
            timestamp,
            at: now,
            is_frame_end: packet.is_marked,
            picture: 0,
            base_layer: 0,
        });
        if number >= sent.number {
            *sent = Sent {
                number,
                timestamp,
                at: now,
                is_frame_end: packet.is_marked,
                picture: picture.unwrap_or(sent.picture),
                base_layer: base_layer.unwrap_or(sent.base_layer),
            };
        }
        Verdict::Forward(Numbers {
            number,
            timestamp,
            patch: self.patch(packet, picture, base_layer, shift),
        })
    }

    fn patch(
        &self,
        packet: &Vp8Packet<'_>,
        picture: Option<i64>,
        base_layer: Option<u8>,
        shift: Shift,
    ) -> Option<Vp8Patch> {
        if shift.picture == 0 && self.base_layer_shift == 0 {
            return None;
        }
        let mut patch = packet.header.descriptor.patch();
        if let (Some(picture), Some(_)) = (picture, packet.header.descriptor.picture_id()) {
            patch = patch.picture_id((picture & packet.header.picture_mask()) as u16);
        }
        if let Some(base_layer) = base_layer {
            patch = patch.tl0_pic_idx(base_layer);
        }
        patch.build().ok()
    }
}

impl Vp8Header {
    fn picture_mask(&self) -> i64 {
        if self.is_picture_id_long {
            0x7fff
        } else {
            0x7f
        }
    }
}

impl Vp8Packet<'_> {
    /// The picture id without wrapping, next to that of a neighbour.
    fn picture_near(&self, neighbour: Option<i64>) -> Option<i64> {
        let id = i64::from(self.header.descriptor.picture_id()?);
        let size = self.header.picture_mask() + 1;
        let Some(neighbour) = neighbour else {
            return Some(id + (1 << 32));
        };
        let ahead = (id - neighbour).rem_euclid(size);
        Some(
            neighbour
                + if ahead >= size / 2 {
                    ahead - size
                } else {
                    ahead
                },
        )
    }
}

/// Encodings of one source; more are not forwarded.
pub(crate) const ENCODINGS_MAX: usize = 4;
/// Two seconds at 30 frames per second: longer than any retransmission takes.
const FRAMES_MAX: usize = 64;
/// A larger jump of sequence numbers is a new beginning.
const JUMP_MAX: u64 = 2_000;
/// Video's clock.
const TICKS_PER_MS: u32 = 90;
/// One frame at 30 per second.
const FRAME_TICKS: u32 = 3_000;

#[cfg(test)]
mod tests;
