//! AV1, and every other codec whose packets carry a dependency descriptor: which decode target a
//! receiver is sent, and the numbers inside the descriptor.
//!
//! A decode target is changed inside an encoding at a frame that allows it and whose references
//! were all sent; where no such frame comes, at a key frame.
//!
//! Frame numbers keep the places of what is left out: frames name those they refer to by how many
//! numbers lie between.

use crate::descriptor::{Descriptor, Edit, Indication, Structure};
use crate::rewrite::vp9::Choice;

/// Which decode target one receiver is sent.
#[derive(Debug, Default)]
pub(crate) struct DecodeTargets {
    current: Option<u8>,
    /// What it is to be.
    wanted: Option<u8>,
    /// Those that the sender sends, one bit each, as it last said; None is all.
    active: Option<u32>,
}

/// What a receiver is to get of an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Up to these layers.
    Layers { spatial: u8, temporal: u8 },
    /// What it gets already, as little of it as can be decoded: a lower encoding is to follow.
    Least,
    /// What it gets already: a higher encoding is to follow.
    Same,
}

impl DecodeTargets {
    /// Decodes from a key frame on.
    pub(crate) fn begin(&mut self) {
        *self = DecodeTargets::default();
    }

    /// Whether there is one.
    pub(crate) fn is_chosen(&self) -> bool {
        self.current.is_some()
    }

    /// The highest spatial layer that is sent of the picture that a packet belongs to.
    pub(crate) fn top(&self, descriptor: &Descriptor, structure: &Structure) -> Option<u8> {
        let spatial = |target: Option<u8>| Some(structure.target(target?)?.spatial);
        // At a key frame the wanted one is reached in steps, all in one picture; the one before is
        // kept where the frame comes late with which the change would have begun.
        match descriptor.refers_to_earlier_pictures() {
            true => spatial(self.current),
            false => spatial(self.wanted).max(spatial(self.current)),
        }
    }

    /// Decides about a frame that comes in order, and whether the decode target changed with it.
    /// `is_sent` tells of an earlier frame whether the receiver was sent it. Of a picture that is
    /// closed, its end told, no higher layer is begun with.
    pub(crate) fn choose(
        &mut self,
        descriptor: &Descriptor,
        structure: &Structure,
        aim: Aim,
        is_closed: bool,
        is_sent: impl Fn(u16) -> bool,
    ) -> (Choice, bool) {
        if descriptor.has_structure || descriptor.active.is_some() {
            self.active = descriptor.active;
        }
        let active = self.active;
        let count = structure.targets().len();
        let current = self.current.filter(|index| usize::from(*index) < count);
        let wanted = match aim {
            Aim::Layers { spatial, temporal } => structure.best(spatial, temporal, active),
            Aim::Least | Aim::Same => current,
        };
        let wanted = wanted.or_else(|| structure.best(u8::MAX, u8::MAX, active));
        let Some(wanted) = wanted else {
            return (Choice::Leave, false);
        };
        self.wanted = Some(wanted);
        let before = self.current;
        let is_part = |target: u8| descriptor.indication(target) != Indication::NotPresent;
        if descriptor.is_keyframe_start() && !is_part(wanted) {
            // The structure comes with it: the wanted one begins with a key frame of its own.
            let temporal = |index: u8| structure.target(index).map(|target| target.temporal);
            let mut others = (0..count as u8).rev();
            let other =
                others.find(|index| is_part(*index) && temporal(*index) <= temporal(wanted));
            self.current = other.or(Some(wanted));
            return (Choice::Send, self.current != before);
        }
        let mut needs_keyframe = false;
        if current != Some(wanted) {
            let may_switch = !is_closed
                && descriptor.indication(wanted) == Indication::Switch
                && descriptor.references().all(is_sent);
            if may_switch || (current.is_none() && descriptor.is_keyframe_start()) {
                self.current = Some(wanted);
            } else if current.is_none() {
                // It refers to a key frame with another structure, which was not sent.
                return (Choice::LeaveForWantOfKeyframe, false);
            } else {
                let layer = structure.target(wanted);
                let is_of_wanted = layer.is_some_and(|layer| layer.spatial == descriptor.spatial);
                let can_wait = current.is_some_and(|current| structure.can_switch(current, wanted));
                needs_keyframe = is_of_wanted && descriptor.temporal == 0 && !can_wait;
            }
        }
        let choice = match self.current.map(|current| descriptor.indication(current)) {
            Some(Indication::Required | Indication::Switch) => Choice::Send,
            Some(Indication::Discardable) if aim != Aim::Least => Choice::Send,
            _ if needs_keyframe => Choice::LeaveForWantOfKeyframe,
            _ => Choice::Leave,
        };
        (choice, self.current != before)
    }

    /// The one that is sent now.
    pub(crate) fn current(&self) -> Option<u8> {
        self.current
    }

    /// What is to be told of decode targets with a frame.
    pub(crate) fn active(
        &self,
        descriptor: &Descriptor,
        structure: &Structure,
        is_changed: bool,
    ) -> Option<u32> {
        let current = structure.target(self.current?)?;
        let all = u32::MAX
            >> 32u32
                .saturating_sub(structure.targets().len() as u32)
                .min(31);
        let is_news = is_changed || descriptor.active.is_some() || descriptor.has_structure;
        let active = current.contains & self.active.unwrap_or(all);
        let is_implied = descriptor.has_structure && active == all;
        (is_news && !is_implied).then_some(active)
    }
}

/// How the numbers inside descriptors are moved, from one key frame of the receiver's choice to
/// the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DescriptorShift {
    number: u16,
    template: u8,
}

/// Where the descriptors of a stream towards a receiver stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DescriptorSent {
    /// The last frame's number.
    pub(crate) number: u16,
    /// The number that the first template of another structure may have.
    pub(crate) next_template: u8,
}

impl DescriptorShift {
    /// Goes on where a stream stands.
    pub(crate) fn after(
        sent: Option<DescriptorSent>,
        descriptor: &Descriptor,
        structure: &Structure,
    ) -> DescriptorShift {
        sent.map_or(DescriptorShift::default(), |sent| DescriptorShift {
            number: sent.number.wrapping_add(1).wrapping_sub(descriptor.number),
            template: sent.next_template.wrapping_sub(structure.first_template()) % 64,
        })
    }

    /// The edit of one packet.
    pub(crate) fn edit(&self, descriptor: &Descriptor, active: Option<u32>) -> Edit {
        Edit {
            number: descriptor.number.wrapping_add(self.number),
            template_shift: self.template,
            active,
        }
    }

    /// Where the stream stands after a packet.
    pub(crate) fn sent(&self, descriptor: &Descriptor, structure: &Structure) -> DescriptorSent {
        DescriptorSent {
            number: descriptor.number.wrapping_add(self.number),
            next_template: structure.next_template().wrapping_add(self.template) % 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalable::{Encoder, Layers, Prediction};

    /// The sender goes over from three layers to one with a key frame that is lost.
    #[test]
    fn what_refers_to_a_lost_structure_wants_a_key_frame() {
        let all = Aim::Layers {
            spatial: 2,
            temporal: 2,
        };
        let mut targets = DecodeTargets::default();
        let mut structure = None;
        let mut choose = |encoder: &mut Encoder, is_key: bool, is_lost: bool| {
            let mut choices = Vec::new();
            for frame in encoder.encode(is_key, 3) {
                let bytes = encoder.descriptor(&frame, (true, true), None);
                let (descriptor, own) = Descriptor::read(&bytes, structure.as_ref()).unwrap();
                structure = own.or(structure.take());
                let structure = structure.as_ref().unwrap();
                if !is_lost {
                    let is_sent = |_: u16| false;
                    let chosen = targets.choose(&descriptor, structure, all, false, is_sent);
                    choices.push(chosen.0);
                }
            }
            choices
        };
        let layers = |spatial| Layers {
            spatial,
            temporal: 3,
            prediction: Prediction::Key,
        };
        let mut three = Encoder::new(layers(3), 0);
        assert_eq!(choose(&mut three, true, false), [Choice::Send; 3]);
        let mut one = Encoder::new(layers(1), 15);
        choose(&mut one, true, true);
        let wants = [Choice::LeaveForWantOfKeyframe];
        assert_eq!(choose(&mut one, false, false), wants);
        assert_eq!(choose(&mut one, false, false), wants);
        assert_eq!(choose(&mut one, true, false), [Choice::Send]);
        assert_eq!(choose(&mut one, false, false), [Choice::Send]);
    }
}
