//! Packets that come late: between frames that are known, or into a place that was kept for them.

use super::{Course, Decision, Place, Shift, Verdict, VideoPacket, VideoRewrite};
use crate::descriptor::Indication;
use crate::rewrite::header::Own;
use crate::rewrite::vp9::Choice;

impl VideoRewrite {
    /// The place that was kept for a packet which comes late, if any was. Its timestamp is that of
    /// the frame before it, as with all padding.
    pub(super) fn place_kept(&self, number: u64) -> Option<Place> {
        // Nearly always it is the newest frame that is looked for.
        let behind = self
            .frames
            .iter()
            .rev()
            .take_while(|frame| frame.first > number);
        let place = self.frames.len() - behind.count();
        let before = self.frames.get(place.checked_sub(1)?)?;
        let shift = if number <= before.last {
            before.kept(number)?
        } else {
            let behind = self.frames.get(place)?;
            (before.after == behind.shift).then_some(before.after)?
        };
        let mut earlier = self.frames.range(..place).rev();
        let forwarded = earlier.find(|frame| frame.is_forwarded)?;
        Some(Place {
            number: u64::try_from(number as i64 + shift.number).ok()?,
            timestamp: forwarded.timestamp.wrapping_add(self.timestamp_shift),
        })
    }

    pub(super) fn fill(&mut self, kept: Option<Place>) -> Verdict {
        let Some(place) = kept else {
            return Verdict::Drop;
        };
        if let Some(sent) = &mut self.sent {
            // Behind it there may be nothing yet but frames that are left out.
            sent.number = sent.number.max(place.number);
        }
        Verdict::Fill(place)
    }

    /// A packet of a frame between two that are known.
    pub(super) fn place_late(
        &mut self,
        packet: &VideoPacket<'_>,
    ) -> Result<(Shift, Option<u32>), Verdict> {
        let mut frames = self.frames.iter();
        let index = frames.position(|frame| frame.first > packet.number);
        let index = index.ok_or(Verdict::Drop)?;
        let before = index
            .checked_sub(1)
            .and_then(|index| self.frames.get(index));
        let (Some(before), Some(behind)) = (before.copied(), self.frames.get(index).copied())
        else {
            return Err(Verdict::Drop);
        };
        let is_place_kept = before.last < packet.number && before.after == behind.shift;
        if !is_place_kept {
            return Err(Verdict::Drop);
        }
        let picture = packet.picture_near(before.picture);
        let is_same_picture = behind.timestamp == packet.timestamp;
        let mut course = if is_same_picture {
            behind.course
        } else {
            before.course
        };
        course.sent = before.course.sent;
        // More may be wanted since, and what refers to this may have been sent.
        let mut later = self.frames.range(index..);
        let next = later.find(|frame| frame.spatial == packet.header.spatial);
        if let Some(next) = next.filter(|next| next.is_forwarded) {
            course.temporal_max = course.temporal_max.max(next.temporal);
        }
        if is_same_picture && !behind.is_forwarded {
            // No higher layer was begun without this one.
            let target = course.decode_target.zip(packet.structure);
            let target = target.and_then(|(target, structure)| structure.target(target));
            course.top = Some(target.map_or(course.spatial, |target| target.spatial));
        }
        let is_forwarded = self.is_wanted_late(packet, course, index);
        let shift = before.after;
        let decision = Decision {
            choice: Choice::Send,
            active: None,
            course,
        };
        let frame = packet.to_frame(picture, is_forwarded, &decision, (shift, shift));
        self.remember(index, frame);
        match is_forwarded {
            true => Ok((shift, None)),
            false => Err(Verdict::Drop),
        }
    }

    /// Decides about a frame that comes after later ones.
    fn is_wanted_late(&self, packet: &VideoPacket<'_>, course: Course, index: usize) -> bool {
        let header = packet.header;
        if self.has_of_picture(packet, |frame| {
            frame.is_closed && frame.spatial < header.spatial
        }) {
            return false;
        }
        match (&header.own, &header.descriptor, packet.structure) {
            (Own::Vp9(_) | Own::None, Some(descriptor), Some(_)) => {
                let target = course.decode_target;
                let indication = target.map(|target| descriptor.indication(target));
                return indication.is_some_and(|found| found != Indication::NotPresent);
            }
            (Own::Vp9(vp9), ..)
                if !vp9.is_part_of(course.spatial)
                    || !vp9.has_base(course.sent)
                    || (vp9.is_inter_layer && self.is_left_out_below(packet)) =>
            {
                return false;
            }
            _ => {}
        }
        self.is_wanted(packet, course.temporal_max, index)
    }
}
