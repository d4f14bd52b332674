//! Renumbering for video: choice of encoding and layers, switching at key frames, sequence numbers
//! without gaps of our own making.
//!
//! One [`VideoRewrite`] stands for one receiver of one source. All packets of a frame share one
//! shift of their numbers; a frame is one spatial layer of a picture. What is left out moves
//! everything behind it down; what was lost on the way keeps its place, so that a packet which
//! comes late still fits. Where it cannot be known whether lost packets belonged to a frame that is
//! left out, their place is kept too; if they come and did, it is filled with an empty packet, or the
//! receiver would wait for them until it gives up the picture. What is inside payload and descriptor
//! is the codecs' matter: see the files beside this one.
//!
//! Budget: no allocation once the history of frames has grown to its size.

mod late;

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Instant;

use tertulia_model::VideoCodec;
use tertulia_transport::send::Patch;

use crate::descriptor::{Edit, Structure};
use crate::rewrite::av1::{Aim, DecodeTargets, DescriptorShift};
use crate::rewrite::header::{Own, VideoHeader};
use crate::rewrite::vp9::{Choice, Vp9Layers};
use crate::rewrite::{Sent, Target};

/// One packet of a source, as it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VideoPacket<'a> {
    pub(crate) header: &'a VideoHeader,
    /// What its descriptor refers to.
    pub(crate) structure: Option<&'a Structure>,
    pub(crate) encoding: u8,
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) is_marked: bool,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Forward(Numbers),
    /// It came late and is left out, but its place was kept: an empty packet belongs there.
    Fill(Place),
    Drop,
    /// It cannot be used before a key frame.
    DropForWantOfKeyframe,
}

/// Where an empty packet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
}

/// The numbers of a forwarded packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) is_marked: bool,
    /// What is to be different in the payload.
    pub(crate) payload: Option<Patch>,
    /// For the descriptor, where there is one.
    pub(crate) descriptor: Option<Edit>,
}

/// One receiver's view of one video source.
#[derive(Debug, Default)]
pub(crate) struct VideoRewrite {
    /// The encoding that is forwarded now.
    current: Option<u8>,
    codec: Option<VideoCodec>,
    /// The last frames of that encoding since the last switch, in order.
    frames: VecDeque<Frame>,
    /// What applies behind the newest frame.
    next: Shift,
    timestamp_shift: u32,
    base_layer_shift: u8,
    descriptor_shift: DescriptorShift,
    layers: Vp9Layers,
    decode_targets: DecodeTargets,
    sent: Option<Sent>,
    /// The highest number of each encoding that was left out while it was not the current one, or
    /// that had come when it ceased to be. A key frame from before it comes too late: what refers
    /// to it is lost to the receiver, or was sent under other numbers.
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
    /// Frame number of the descriptor.
    number: Option<u16>,
    spatial: u8,
    temporal: u8,
    is_end_seen: bool,
    /// It ends its picture.
    is_marked: bool,
    is_forwarded: bool,
    /// The receiver was told that it ends its picture.
    is_closed: bool,
    /// The decode targets to be told with it.
    active: Option<u32>,
    /// What the receiver got when it came.
    course: Course,
    /// What applies to it.
    shift: Shift,
    /// What applies behind it.
    after: Shift,
    /// First and last of its packets that are left out without a gap. For the others, which come
    /// late, places are kept.
    left_out: Option<(u64, u64)>,
}

/// The layers that a receiver gets at some place: what refers to a frame that comes late there may
/// have been sent, whatever is sent by now.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    decode_target: Option<u8>,
    spatial: u8,
    temporal_max: u8,
    /// Of which layers the last frame of the temporal base layer was sent.
    sent: u8,
    /// The highest spatial layer of the picture.
    top: Option<u8>,
}

/// What was decided about a frame.
#[derive(Clone, Copy, Debug)]
struct Decision {
    choice: Choice,
    active: Option<u32>,
    course: Course,
}

impl VideoRewrite {
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
        self.leave_current();
        self.current = None;
        self.frames.clear();
    }

    /// Decides about one packet.
    pub(crate) fn pass(
        &mut self,
        now: Instant,
        packet: VideoPacket<'_>,
        target: Option<Target>,
    ) -> Verdict {
        let Some(target) = target else {
            self.suspend();
            self.pass_over(&packet);
            return Verdict::Drop;
        };
        if packet.header.is_keyframe_start
            && self.is_nearer(&packet, target.encoding)
            && !self.is_passed_over(&packet)
        {
            return self.switch(now, packet, target);
        }
        if self.current != Some(packet.encoding) || self.is_other_codec(&packet) {
            if self.current == Some(packet.encoding) && !self.is_ahead(&packet) {
                // What is left of the codec before.
                return Verdict::Drop;
            }
            self.pass_over(&packet);
            let is_wanted = packet.encoding == target.encoding
                || self.current.is_none()
                || self.is_other_codec(&packet);
            return if is_wanted {
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
        if self.has_lost_structure(&packet) {
            // The key frame with it may come late; what refers to it is left out by then.
            self.suspend();
            self.pass_over(&packet);
            return Verdict::DropForWantOfKeyframe;
        }
        let kept = self.place_kept(packet.number);
        match self.place(&packet, target) {
            Ok(place) => self.forward(now, &packet, place),
            Err(Verdict::Drop) => self.fill(kept),
            Err(verdict) => verdict,
        }
    }

    /// Whether the packet's descriptor refers to a structure that did not come.
    fn has_lost_structure(&self, packet: &VideoPacket<'_>) -> bool {
        let header = packet.header;
        header.codec != VideoCodec::Vp8
            && self.decode_targets.is_chosen()
            && (header.descriptor.is_none() || packet.structure.is_none())
            && self.is_ahead(packet)
    }

    fn is_other_codec(&self, packet: &VideoPacket<'_>) -> bool {
        self.current.is_some() && self.codec != Some(packet.header.codec)
    }

    fn is_ahead(&self, packet: &VideoPacket<'_>) -> bool {
        let newest = self.frames.back();
        newest.is_none_or(|newest| packet.number > newest.last)
    }

    fn pass_over(&mut self, packet: &VideoPacket<'_>) {
        self.pass_over_up_to(packet.encoding, packet.number);
    }

    fn pass_over_up_to(&mut self, encoding: u8, number: u64) {
        if let Some(highest) = self.passed_over.get_mut(usize::from(encoding)) {
            *highest = number.max(*highest);
        }
    }

    /// What is still missing of the encoding that was forwarded until now is no beginning of it.
    fn leave_current(&mut self) {
        if let (Some(current), Some(newest)) = (self.current, self.frames.back()) {
            self.pass_over_up_to(current, newest.last);
        }
    }

    fn is_passed_over(&self, packet: &VideoPacket<'_>) -> bool {
        let highest = self.passed_over.get(usize::from(packet.encoding));
        highest.is_none_or(|highest| packet.number < *highest)
    }

    /// Whether switching to the packet's encoding brings the receiver nearer to what it is to get.
    /// A sender that has begun with another codec sends nothing else any more.
    fn is_nearer(&self, packet: &VideoPacket<'_>, target: u8) -> bool {
        let encoding = packet.encoding;
        match self.current {
            Some(current) if self.is_other_codec(packet) => {
                encoding <= target && (encoding != current || self.is_ahead(packet))
            }
            None => encoding <= target,
            Some(current) if current < target => current < encoding && encoding <= target,
            Some(current) => target <= encoding && encoding < current,
        }
    }

    /// Starts with the key frame that `packet` begins.
    fn switch(&mut self, now: Instant, packet: VideoPacket<'_>, target: Target) -> Verdict {
        let picture = packet.picture_near(None);
        let base_layer = packet.header.base_layer().unwrap_or(0);
        match self.sent {
            None => {
                // The first number is low, so that a receiver which misses the first packets does
                // not mistake a wrap-around for a roll-over.
                self.next.number = (packet.number & 0x7fff) as i64 - packet.number as i64;
                self.next.picture = 0;
                self.timestamp_shift = 0;
                self.base_layer_shift = 0;
                self.descriptor_shift = DescriptorShift::default();
            }
            Some(sent) => {
                let timestamp = sent.next_timestamp(now, TICKS_PER_MS, FRAME_TICKS);
                // A number is left out after half a frame: nothing can make it look whole.
                let first = sent.number + if sent.is_frame_end { 1 } else { 2 };
                self.next.number = first as i64 - packet.number as i64;
                self.next.picture = picture.map_or(0, |picture| sent.picture + 1 - picture);
                self.timestamp_shift = timestamp.wrapping_sub(packet.timestamp);
                self.base_layer_shift = sent.base_layer.wrapping_add(1).wrapping_sub(base_layer);
                if let (Some(descriptor), Some(structure)) =
                    (&packet.header.descriptor, packet.structure)
                {
                    self.descriptor_shift =
                        DescriptorShift::after(sent.descriptor, descriptor, structure);
                }
            }
        }
        self.leave_current();
        self.current = Some(packet.encoding);
        self.codec = Some(packet.header.codec);
        self.frames.clear();
        if self.frames.capacity() == 0 {
            self.frames.reserve_exact(FRAMES_MAX + 1);
        }
        self.layers.begin();
        self.decode_targets.begin();
        let decision = self.decide(&packet, target, 0);
        let frame = packet.to_frame(picture, true, &decision, (self.next, self.next));
        self.frames.push_back(frame);
        self.forward(now, &packet, (self.next, decision.active))
    }

    /// Finds out how the numbers of a packet of the current encoding are moved, if it is to be
    /// forwarded.
    fn place(
        &mut self,
        packet: &VideoPacket<'_>,
        target: Target,
    ) -> Result<(Shift, Option<u32>), Verdict> {
        let Some(newest) = self.frames.len().checked_sub(1) else {
            return Err(Verdict::Drop);
        };
        let known = self.frames.iter().rposition(|frame| {
            frame.timestamp == packet.timestamp && frame.spatial == packet.header.spatial
        });
        match known {
            Some(index) => self.place_in_frame(packet, index, index == newest),
            None if self.is_ahead(packet) => self.place_newer(packet, newest, target),
            None => self.place_late(packet),
        }
    }

    fn place_in_frame(
        &mut self,
        packet: &VideoPacket<'_>,
        index: usize,
        is_newest: bool,
    ) -> Result<(Shift, Option<u32>), Verdict> {
        let frame = self.frames.get_mut(index).ok_or(Verdict::Drop)?;
        frame.is_end_seen |= packet.is_frame_end();
        frame.is_marked |= packet.is_marked;
        if is_newest && !frame.is_forwarded && packet.number > frame.last {
            // All between two packets of a frame belongs to it.
            frame.after.number -= (packet.number - frame.last) as i64;
            frame.leave_out_up_to(packet.number);
            self.next = frame.after;
        }
        frame.last = frame.last.max(packet.number);
        frame.first = frame.first.min(packet.number);
        match frame.is_forwarded {
            true => Ok((frame.shift, frame.active)),
            false => Err(Verdict::Drop),
        }
    }

    fn place_newer(
        &mut self,
        packet: &VideoPacket<'_>,
        newest: usize,
        target: Target,
    ) -> Result<(Shift, Option<u32>), Verdict> {
        let before = *self.frames.get(newest).ok_or(Verdict::Drop)?;
        let decision = self.decide(packet, target, self.frames.len());
        let is_forwarded = decision.choice == Choice::Send;
        let picture = packet.picture_near(before.picture);
        let missing = (packet.number - before.last - 1) as i64;
        // Whose packets are missing between the two frames, if that can be known?
        let is_missing_ours_to_close = missing > 0
            && packet.is_next_after(&before, picture)
            && match (before.is_end_seen, packet.header.is_frame_start) {
                (true, _) => !is_forwarded,
                (false, true) => !before.is_forwarded,
                (false, false) => !before.is_forwarded && !is_forwarded,
            };
        let mut shift = self.next;
        let mut left_out = packet.number;
        if is_missing_ours_to_close {
            shift.number -= missing;
            left_out -= missing as u64;
            if let Some(before) = self.frames.back_mut() {
                before.leave_out_up_to(packet.number - 1);
            }
        }
        let mut after = shift;
        if !is_forwarded {
            after.number -= 1;
            // VP9's frames name those they refer to by how many pictures lie between.
            if packet.header.codec == VideoCodec::Vp8 {
                after.picture -= 1;
            }
        }
        self.next = after;
        let mut frame = packet.to_frame(picture, is_forwarded, &decision, (shift, after));
        frame.left_out = (!is_forwarded).then_some((left_out, packet.number));
        self.remember(self.frames.len(), frame);
        match decision.choice {
            Choice::Send => Ok((shift, decision.active)),
            Choice::Leave => Err(Verdict::Drop),
            Choice::LeaveForWantOfKeyframe => Err(Verdict::DropForWantOfKeyframe),
        }
    }

    /// Decides about a frame that would stand at `index` of the history, the newest one.
    fn decide(&mut self, packet: &VideoPacket<'_>, target: Target, index: usize) -> Decision {
        let header = packet.header;
        let way = packet.encoding.cmp(&target.encoding);
        if let (false, Some(descriptor), Some(structure)) = (
            header.codec == VideoCodec::Vp8,
            &header.descriptor,
            packet.structure,
        ) {
            let aim = match way {
                Ordering::Greater => Aim::Least,
                Ordering::Less => Aim::Same,
                Ordering::Equal => Aim::Layers {
                    spatial: target.spatial,
                    temporal: target.temporal,
                },
            };
            let frames = &self.frames;
            let is_sent = |number: u16| {
                let mut latest = frames.iter().rev();
                let frame = latest.find(|frame| frame.number == Some(number));
                frame.is_some_and(|frame| frame.is_forwarded)
            };
            let is_closed = self.is_closed(packet);
            let targets = &mut self.decode_targets;
            let (choice, is_changed) =
                targets.choose(descriptor, structure, aim, is_closed, is_sent);
            let active = targets.active(descriptor, structure, is_changed);
            let course = Course {
                decode_target: targets.current(),
                top: targets.top(descriptor, structure),
                ..Course::default()
            };
            return Decision {
                choice,
                active,
                course,
            };
        }
        if header.codec != VideoCodec::Vp8 && self.decode_targets.is_chosen() {
            // Its descriptor refers to a structure that was lost.
            return Decision {
                choice: Choice::LeaveForWantOfKeyframe,
                active: None,
                course: Course {
                    decode_target: self.decode_targets.current(),
                    ..Course::default()
                },
            };
        }
        let mut choice = Choice::Send;
        let mut temporal_max = self.temporal_max(packet, target);
        if let Own::Vp9(vp9) = &header.own {
            let spatial = match way {
                Ordering::Equal => target.spatial,
                Ordering::Less => u8::MAX,
                Ordering::Greater => self.layers.current(),
            };
            choice = self.layers.choose(vp9, spatial, self.is_closed(packet));
            if vp9.is_inter_layer && self.is_left_out_below(packet) {
                choice = Choice::Leave;
            }
            if self.layers.current() > spatial {
                temporal_max = 0;
            }
        }
        if choice == Choice::Send && !self.is_wanted(packet, temporal_max, index) {
            choice = Choice::Leave;
        }
        Decision {
            choice,
            active: None,
            course: Course {
                decode_target: None,
                spatial: self.layers.current(),
                temporal_max,
                sent: self.layers.sent(),
                top: match &header.own {
                    Own::Vp9(vp9) => Some(self.layers.top(vp9)),
                    Own::Vp8(_) | Own::None => None,
                },
            },
        }
    }

    /// On the way down only what is cheapest, on the way up all there is.
    fn temporal_max(&self, packet: &VideoPacket<'_>, target: Target) -> u8 {
        match packet.encoding.cmp(&target.encoding) {
            Ordering::Greater => 0,
            Ordering::Equal => target.temporal,
            Ordering::Less => u8::MAX,
        }
    }

    /// Whether the receiver was told that the picture ends with a lower layer.
    fn is_closed(&self, packet: &VideoPacket<'_>) -> bool {
        let latest = self.frames.iter().rev();
        let mut of_picture = latest.take_while(|frame| frame.timestamp == packet.timestamp);
        of_picture.any(|frame| frame.is_closed && frame.spatial < packet.header.spatial)
    }

    /// Whether there is such a frame of the same picture, be it the newest or not.
    fn has_of_picture(&self, packet: &VideoPacket<'_>, is_such: impl Fn(&Frame) -> bool) -> bool {
        let mut latest = self.frames.iter().rev();
        latest.any(|frame| frame.timestamp == packet.timestamp && is_such(frame))
    }

    /// Whether the receiver lacks the next lower layer of the same picture.
    fn is_left_out_below(&self, packet: &VideoPacket<'_>) -> bool {
        let mut latest = self.frames.iter().rev();
        let below = latest.find(|frame| {
            frame.timestamp == packet.timestamp && frame.spatial + 1 == packet.header.spatial
        });
        below.is_some_and(|frame| !frame.is_forwarded)
    }

    /// Whether a frame is to be forwarded that would stand at `index` of the history: its layer is
    /// wanted, and what it refers to was forwarded.
    fn is_wanted(&self, packet: &VideoPacket<'_>, temporal_max: u8, index: usize) -> bool {
        let temporal = packet.header.temporal;
        if temporal > temporal_max {
            return false;
        }
        if temporal == 0 || packet.header.is_layer_sync {
            return true;
        }
        self.frames
            .range(..index)
            .rev()
            .find(|frame| frame.temporal <= temporal && frame.spatial == packet.header.spatial)
            .is_none_or(|frame| frame.is_forwarded)
    }

    fn remember(&mut self, index: usize, frame: Frame) {
        self.frames.insert(index, frame);
        let layers = match self.codec {
            Some(VideoCodec::Av1 | VideoCodec::Vp9) => LAYERS_MAX,
            _ => 1,
        };
        if self.frames.len() > FRAMES_MAX * layers {
            self.frames.pop_front();
        }
    }

    fn forward(
        &mut self,
        now: Instant,
        packet: &VideoPacket<'_>,
        (shift, active): (Shift, Option<u32>),
    ) -> Verdict {
        let Ok(number) = u64::try_from(packet.number as i64 + shift.number) else {
            return Verdict::Drop;
        };
        let header = packet.header;
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_shift);
        let is_marked = packet.is_marked || self.is_picture_end(packet);
        let mut known = self.frames.iter_mut().rev();
        let frame = known
            .find(|frame| frame.timestamp == packet.timestamp && frame.spatial == header.spatial);
        let picture = frame.and_then(|frame| {
            frame.is_closed |= is_marked;
            Some(frame.picture? + shift.picture)
        });
        let base_layer = header.base_layer();
        let base_layer = base_layer.map(|index| index.wrapping_add(self.base_layer_shift));
        let descriptor = header.descriptor.as_ref();
        let sent_before = self.sent.and_then(|sent| sent.descriptor);
        let sent_descriptor = match (descriptor, packet.structure) {
            (Some(descriptor), Some(structure)) => {
                Some(self.descriptor_shift.sent(descriptor, structure))
            }
            _ => sent_before,
        };
        let before = self.sent;
        if before.is_none_or(|before| number >= before.number) {
            self.sent = Some(Sent {
                number,
                timestamp,
                at: now,
                is_frame_end: is_marked,
                picture: picture.or(before.map(|sent| sent.picture)).unwrap_or(0),
                base_layer: base_layer
                    .or(before.map(|sent| sent.base_layer))
                    .unwrap_or(0),
                descriptor: sent_descriptor,
            });
        }
        Verdict::Forward(Numbers {
            number,
            timestamp,
            is_marked,
            payload: self.payload_edit(header, picture, base_layer, shift),
            descriptor: descriptor.map(|descriptor| self.descriptor_shift.edit(descriptor, active)),
        })
    }

    /// Whether what is left out makes this the last packet of its picture.
    fn is_picture_end(&self, packet: &VideoPacket<'_>) -> bool {
        let header = packet.header;
        if !header.is_frame_end {
            return false;
        }
        // The layer that ends it is that of the time when the frame began to come.
        let mut latest = self.frames.iter().rev();
        let own = latest
            .find(|frame| frame.timestamp == packet.timestamp && frame.spatial == header.spatial);
        let top = own.and_then(|own| own.course.top);
        // What comes late may have been overtaken by what was above it.
        let is_above = |frame: &Frame| frame.is_forwarded && frame.spatial > header.spatial;
        top == Some(header.spatial) && !self.has_of_picture(packet, is_above)
    }

    fn payload_edit(
        &self,
        header: &VideoHeader,
        picture: Option<i64>,
        base_layer: Option<u8>,
        shift: Shift,
    ) -> Option<Patch> {
        if shift.picture == 0 && self.base_layer_shift == 0 {
            return None;
        }
        let size = header.picture().map_or(1, |(_, size)| size);
        let picture = picture.map_or(0, |picture| picture.rem_euclid(size)) as u16;
        let base_layer = base_layer.unwrap_or(0);
        match &header.own {
            Own::Vp8(vp8) => vp8.renumbered(picture, base_layer),
            Own::Vp9(vp9) => vp9.renumbered(picture, base_layer),
            Own::None => None,
        }
    }
}

impl Frame {
    fn leave_out_up_to(&mut self, number: u64) {
        if let Some((_, last)) = &mut self.left_out {
            *last = number.max(*last);
        }
    }

    /// What applies to the place that was kept for one of its packets, if any was.
    fn kept(&self, number: u64) -> Option<Shift> {
        if self.is_forwarded {
            return None;
        }
        match self.left_out {
            Some((first, last)) if number >= first => (number > last).then_some(self.after),
            _ => Some(self.shift),
        }
    }
}

impl VideoPacket<'_> {
    fn is_frame_end(&self) -> bool {
        self.is_marked || self.header.is_frame_end
    }

    fn to_frame(
        self,
        picture: Option<i64>,
        is_forwarded: bool,
        decision: &Decision,
        (shift, after): (Shift, Shift),
    ) -> Frame {
        Frame {
            timestamp: self.timestamp,
            first: self.number,
            last: self.number,
            picture,
            number: self.header.descriptor.map(|descriptor| descriptor.number),
            spatial: self.header.spatial,
            temporal: self.header.temporal,
            is_end_seen: self.is_frame_end(),
            is_marked: self.is_marked,
            is_forwarded,
            is_closed: false,
            active: decision.active,
            course: decision.course,
            shift,
            after,
            left_out: None,
        }
    }

    /// Whether no frame can have been between the two.
    fn is_next_after(&self, before: &Frame, picture: Option<i64>) -> bool {
        let descriptor = self.header.descriptor.as_ref();
        if let (Some(before), Some(descriptor)) = (before.number, descriptor) {
            return descriptor.number == before.wrapping_add(1);
        }
        let (Some(picture_before), Some(picture)) = (before.picture, picture) else {
            return false;
        };
        let is_next_picture = picture == picture_before + 1;
        if self.header.codec == VideoCodec::Vp8 {
            return is_next_picture;
        }
        let spatial = self.header.spatial;
        (is_next_picture && spatial == 0 && before.is_marked)
            || (picture == picture_before && spatial == before.spatial + 1)
    }

    /// The picture id without wrapping, next to that of a neighbour.
    fn picture_near(&self, neighbour: Option<i64>) -> Option<i64> {
        let (id, size) = self.header.picture()?;
        let id = i64::from(id);
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
/// Two seconds at 30 frames per second, for each spatial layer: longer than any retransmission
/// takes.
const FRAMES_MAX: usize = 64;
const LAYERS_MAX: usize = 3;
/// A larger jump of sequence numbers is a new beginning.
const JUMP_MAX: u64 = 2_000;
/// Video's clock.
const TICKS_PER_MS: u32 = 90;
/// One frame at 30 per second.
const FRAME_TICKS: u32 = 3_000;

#[cfg(test)]
mod tests;
