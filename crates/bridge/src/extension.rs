//! The dependency descriptor on its way through str0m: as it came, and as it is to leave.

use std::sync::Arc;

use str0m::rtp::{ExtensionSerializer, ExtensionValues};

use crate::descriptor::{BYTES_MAX, Descriptor, Edit};

/// The URI of the extension.
pub(crate) const DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// The bytes of a descriptor.
///
/// All but those of key frames are a few bytes long, and go with every packet to every receiver:
/// they are kept in place. str0m would take an allocation for each value of a kind that it does
/// not know; two fields of its own for extensions that are never negotiated here have room for
/// seven bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DescriptorBytes {
    Short(Short),
    Long(Arc<Long>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    bytes: [u8; SHORT_MAX],
    length: u8,
}

/// What str0m carries for us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Long(Box<[u8]>);

impl DescriptorBytes {
    pub(crate) fn new(bytes: &[u8]) -> DescriptorBytes {
        match Short::new(bytes) {
            Some(short) => DescriptorBytes::Short(short),
            None => DescriptorBytes::Long(Arc::new(Long(bytes.into()))),
        }
    }

    /// Of a packet that arrived.
    pub(crate) fn of(values: &ExtensionValues) -> Option<DescriptorBytes> {
        match values.user_values.get_arc::<Long>() {
            Some(long) => Some(DescriptorBytes::Long(long)),
            None => Short::of(values).map(DescriptorBytes::Short),
        }
    }

    /// Onto a packet that is to leave.
    pub(crate) fn put(self, values: &mut ExtensionValues) {
        match self {
            DescriptorBytes::Short(short) => short.put(values),
            DescriptorBytes::Long(long) => values.user_values.set_arc(long),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            DescriptorBytes::Short(short) => short.bytes(),
            DescriptorBytes::Long(long) => &long.0,
        }
    }

    /// What it is for a receiver. Where the edited one would be too long, it is left out.
    pub(crate) fn edited(&self, descriptor: &Descriptor, edit: &Edit) -> Option<DescriptorBytes> {
        if descriptor.is_unchanged_by(edit) {
            return Some(self.clone());
        }
        let mut edited = [0; BYTES_MAX];
        let length = descriptor.write_edited(self.bytes(), edit, &mut edited)?;
        Some(DescriptorBytes::new(edited.get(..length)?))
    }
}

impl Short {
    fn new(bytes: &[u8]) -> Option<Short> {
        let mut short = Short {
            bytes: [0; SHORT_MAX],
            length: bytes.len() as u8,
        };
        short.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(short)
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    fn of(values: &ExtensionValues) -> Option<Short> {
        let [length, a, b, c] = values.frame_mark?.to_be_bytes();
        let [d, e, f, g] = values.tx_time_offs?.to_be_bytes();
        let bytes = [a, b, c, d, e, f, g];
        (usize::from(length) <= SHORT_MAX).then_some(Short { bytes, length })
    }

    fn put(self, values: &mut ExtensionValues) {
        let [a, b, c, d, e, f, g] = self.bytes;
        values.frame_mark = Some(u32::from_be_bytes([self.length, a, b, c]));
        values.tx_time_offs = Some(u32::from_be_bytes([d, e, f, g]));
    }
}

/// Teaches str0m the extension.
#[derive(Debug)]
pub(crate) struct DescriptorExtension;

impl ExtensionSerializer for DescriptorExtension {
    fn write_to(&self, buffer: &mut [u8], values: &ExtensionValues) -> usize {
        let mut write = |bytes: &[u8]| {
            let into = buffer.get_mut(..bytes.len());
            into.map_or(0, |into| {
                into.copy_from_slice(bytes);
                bytes.len()
            })
        };
        match values.user_values.get::<Long>() {
            Some(long) => write(&long.0),
            None => Short::of(values).map_or(0, |short| write(short.bytes())),
        }
    }

    fn parse_value(&self, buffer: &[u8], values: &mut ExtensionValues) -> bool {
        DescriptorBytes::new(buffer).put(values);
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        let long = values.user_values.get::<Long>();
        long.is_some_and(|long| long.0.len() > ONE_BYTE_FORM_MAX)
    }
}

const SHORT_MAX: usize = 7;
/// A longer value needs the two-byte form of header extensions (RFC 8285, 4.3).
const ONE_BYTE_FORM_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_goes_through_str0m() {
        for length in 1..=BYTES_MAX {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8 ^ 0x5a).collect();
            let mut values = ExtensionValues::default();
            assert!(DescriptorExtension.parse_value(&bytes, &mut values));
            let carried = DescriptorBytes::of(&values).unwrap();
            assert_eq!(carried.bytes(), bytes);
            assert_eq!(matches!(carried, DescriptorBytes::Short(_)), length <= 7);
            let mut again = ExtensionValues::default();
            carried.put(&mut again);
            let mut buffer = [0; 300];
            assert_eq!(DescriptorExtension.write_to(&mut buffer, &again), length);
            assert_eq!(buffer[..length], bytes);
            let is_long = DescriptorExtension.requires_two_byte_form(&again);
            assert_eq!(is_long, length > 16);
            let mut narrow = vec![0; length - 1];
            assert_eq!(DescriptorExtension.write_to(&mut narrow, &again), 0);
        }
        assert_eq!(DescriptorBytes::of(&ExtensionValues::default()), None);
    }
}
