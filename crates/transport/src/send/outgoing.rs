//! One packet as it is to leave.

use std::sync::Arc;
use std::time::Instant;

use crate::packet::AudioLevel;
use crate::payload::Payload;

/// A packet of a stream, before it has a header.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub payload_type: u8,
    /// The sequence number, without wrapping: its upper bits are SRTP's roll-over counter.
    pub number: u64,
    /// In ticks of the stream's clock.
    pub timestamp: u32,
    /// When it arrived from its sender: what sender reports say about time comes from this.
    pub arrived: Instant,
    pub is_marked: bool,
    /// Shared among all receivers.
    pub payload: Payload,
    /// For audio only: it is not kept for retransmission.
    pub audio_level: Option<AudioLevel>,
    /// What is other in this receiver's payload.
    pub patch: Option<Patch>,
    /// The dependency descriptor.
    pub descriptor: Option<Descriptor>,
}

/// A few bytes that replace others of a shared payload while it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    count: u8,
    offsets: [u8; PATCHED_MAX],
    bytes: [u8; PATCHED_MAX],
}

impl Patch {
    /// Nothing is replaced.
    pub const fn new() -> Patch {
        Patch {
            count: 0,
            offsets: [0; PATCHED_MAX],
            bytes: [0; PATCHED_MAX],
        }
    }

    /// With one more byte replaced; None if there are [`PATCHED_MAX`] already, or the offset is
    /// too large for the start of a payload.
    #[must_use]
    pub fn with(mut self, offset: usize, byte: u8) -> Option<Patch> {
        let place = usize::from(self.count);
        *self.offsets.get_mut(place)? = u8::try_from(offset).ok()?;
        *self.bytes.get_mut(place)? = byte;
        self.count += 1;
        Some(self)
    }

    /// Replaces bytes of a payload; what lies beyond its end is left out.
    pub fn apply(&self, payload: &mut [u8]) {
        let pairs = self.offsets.iter().zip(&self.bytes);
        for (offset, byte) in pairs.take(usize::from(self.count)) {
            if let Some(place) = payload.get_mut(usize::from(*offset)) {
                *place = *byte;
            }
        }
    }
}

/// The bytes of a dependency descriptor. All but those of key frames are short, and go with every
/// packet to every receiver: they are kept in place.
#[derive(Clone, Debug)]
pub struct Descriptor(Form);

#[derive(Clone, Debug)]
enum Form {
    Short { length: u8, bytes: [u8; SHORT_MAX] },
    Long(Arc<[u8]>),
}

impl Descriptor {
    /// A copy of these bytes; allocates where they are more than [`SHORT_MAX`].
    pub fn new(bytes: &[u8]) -> Descriptor {
        let mut short = [0; SHORT_MAX];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                let length = bytes.len() as u8;
                Descriptor(Form::Short {
                    length,
                    bytes: short,
                })
            }
            None => Descriptor(Form::Long(bytes.into())),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(&[]),
            Form::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Descriptor {
    fn eq(&self, other: &Descriptor) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Descriptor {}

/// VP8 and VP9 have a picture id of two bytes and one number of the base layer.
pub const PATCHED_MAX: usize = 4;
/// What fits beside the length where a shared pointer would be.
pub const SHORT_MAX: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_replaces_its_bytes_and_no_others() {
        let patch = Patch::new().with(1, 0xaa).unwrap().with(3, 0xbb).unwrap();
        let mut payload = [0, 1, 2, 3, 4];
        patch.apply(&mut payload);
        assert_eq!(payload, [0, 0xaa, 2, 0xbb, 4]);
        let mut short = [0, 1];
        patch.apply(&mut short);
        assert_eq!(short, [0, 0xaa]);
    }

    #[test]
    fn a_patch_is_small_and_near_the_start() {
        let mut patch = Patch::new();
        for offset in 0..PATCHED_MAX {
            patch = patch.with(offset, 1).unwrap();
        }
        assert_eq!(patch.with(9, 1), None);
        assert_eq!(Patch::new().with(256, 1), None);
        assert!(Patch::new().with(255, 1).is_some());
    }

    #[test]
    fn a_descriptor_of_any_length_keeps_its_bytes() {
        for length in 0..=255 {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8 ^ 0x5a).collect();
            assert_eq!(Descriptor::new(&bytes).bytes(), bytes);
        }
        assert!(size_of::<Option<Descriptor>>() <= 24);
        assert!(size_of::<Outgoing>() <= 112);
    }
}
