use proptest::prelude::*;

use super::*;
use crate::scalable::{Encoder, Layers, Prediction};

fn layers() -> impl Strategy<Value = Layers> {
    let prediction = prop_oneof![
        Just(Prediction::Full),
        Just(Prediction::Key),
        Just(Prediction::None)
    ];
    (1u8..=3, 1u8..=3, prediction).prop_map(|(spatial, temporal, prediction)| Layers {
        spatial,
        temporal,
        prediction,
    })
}

const L3T3_KEY: Layers = Layers {
    spatial: 3,
    temporal: 3,
    prediction: Prediction::Key,
};

/// The structure of an encoder's first key frame.
fn structure_of(encoder: &mut Encoder) -> Structure {
    let frames = encoder.encode(true, u8::MAX);
    let bytes = encoder.descriptor(&frames[0], (true, true), None);
    let (descriptor, structure) = Descriptor::read(&bytes, None).unwrap();
    assert!(descriptor.is_keyframe_start());
    structure.unwrap()
}

#[test]
fn what_is_said_of_layers_is_understood() {
    let structure = structure_of(&mut Encoder::new(L3T3_KEY, 60));
    assert_eq!(
        (structure.spatial_layers(), structure.temporal_layers()),
        (3, 3)
    );
    assert_eq!(
        structure.resolutions(),
        [(320, 180), (640, 360), (1280, 720)]
    );
    let targets: Vec<_> = structure
        .targets()
        .iter()
        .map(|target| (target.spatial, target.temporal))
        .collect();
    let all = (0..3).flat_map(|spatial| (0..3).map(move |temporal| (spatial, temporal)));
    assert_eq!(targets, all.collect::<Vec<_>>());
    // Of the highest, only its own layers go on to be sent.
    let top = structure.target(8).unwrap();
    assert_eq!(top.layers, 0x07_0000);
    assert_eq!(top.contains, 0b1_1100_0000);
    assert_eq!(structure.best(1, 7, None), Some(5));
    assert_eq!(structure.best(7, 1, None), Some(7));
    assert_eq!(structure.best(7, 7, Some(0b11_1111)), Some(5));
    assert!(structure.can_switch(6, 8), "more of the same size");
    assert!(!structure.can_switch(8, 5) && !structure.can_switch(5, 8));
    let full = Layers {
        prediction: Prediction::Full,
        ..L3T3_KEY
    };
    let structure = structure_of(&mut Encoder::new(full, 3));
    let top = structure.target(8).unwrap();
    assert_eq!(top.layers, 0x07_0707);
    assert_eq!(top.contains, 0x1ff);
    assert!(structure.can_switch(8, 5) && !structure.can_switch(5, 8));
}

#[test]
fn what_is_different_from_the_template_counts() {
    let mut encoder = Encoder::new(L3T3_KEY, 0);
    let structure = structure_of(&mut encoder);
    // Template 0, frame 9, all three custom parts: nine indications, references 3 and 300 back,
    // three chains.
    let mut bits = "1100000000000000000010010011".to_owned() + "1";
    bits += &"11".repeat(8);
    bits += "00";
    bits += "01";
    bits += "0010";
    bits += "11";
    bits += &format!("{:012b}", 299);
    bits += "00";
    bits += &"00000001".repeat(3);
    let bytes: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| {
            let digits = std::str::from_utf8(byte).unwrap();
            u8::from_str_radix(&format!("{digits:0<8}"), 2).unwrap()
        })
        .collect();
    let (descriptor, _) = Descriptor::read(&bytes, Some(&structure)).unwrap();
    let references: Vec<u16> = descriptor.references().collect();
    assert_eq!(references, [6, 9u16.wrapping_sub(300)]);
    assert_eq!(descriptor.indication(7), Indication::Required);
    assert_eq!(descriptor.indication(8), Indication::NotPresent);
    for cut in 4..bytes.len() {
        let read = Descriptor::read(&bytes[..cut], Some(&structure));
        assert_eq!(read.err(), Some(Unreadable::Short), "{cut}");
    }
    // All of it is kept when a mask is put in before.
    let edit = Edit {
        number: 1_000,
        template_shift: 0,
        active: Some(0b1_0101_0101),
    };
    let mut into = [0; BYTES_MAX];
    let length = descriptor.write_edited(&bytes, &edit, &mut into).unwrap();
    let (again, _) = Descriptor::read(&into[..length], Some(&structure)).unwrap();
    assert_eq!(again.active, Some(0b1_0101_0101));
    assert_eq!(again.indications, descriptor.indications);
    let references: Vec<u16> = again.references().collect();
    assert_eq!(references, [997, 700]);
}

#[test]
fn without_a_structure_nothing_is_known() {
    let plain = [0xc0, 0, 1];
    let read = |bytes: &[u8], known| Descriptor::read(bytes, known).err();
    assert_eq!(read(&plain, None), Some(Unreadable::NoStructure));
    assert_eq!(read(&plain[..2], None), Some(Unreadable::Short));
    let structure = structure_of(&mut Encoder::new(L3T3_KEY, 20));
    assert_eq!(
        read(&plain, Some(&structure)),
        Some(Unreadable::UnknownTemplate)
    );
    assert_eq!(read(&[0xc0 | 20, 0, 1], Some(&structure)), None);
}

/// As large as it gets: 64 templates, 32 decode targets, 32 chains. It does not fit.
#[test]
fn the_largest_structures_are_bounded() {
    let mut bytes = vec![0x80, 0, 0, 0x80];
    bytes.resize(BYTES_MAX, 0);
    assert!(Descriptor::read(&bytes, None).is_err());
    bytes.fill(0xff);
    assert!(Descriptor::read(&bytes, None).is_err());
}

proptest! {
    #[test]
    fn anything_can_be_read(
        first in proptest::collection::vec(any::<u8>(), 0..=255),
        second in proptest::collection::vec(any::<u8>(), 0..40),
        template_shift in any::<u8>(),
        active in proptest::option::of(any::<u32>()),
    ) {
        let known = Descriptor::read(&first, None).ok().and_then(|(_, structure)| structure);
        for bytes in [&first, &second] {
            if let Ok((descriptor, own)) = Descriptor::read(bytes, known.as_ref()) {
                let edit = Edit { number: 7, template_shift, active };
                let mut into = [0; BYTES_MAX];
                if let Some(length) = descriptor.write_edited(bytes, &edit, &mut into) {
                    prop_assert!(length <= BYTES_MAX);
                    let again = Descriptor::read(&into[..length], own.as_ref().or(known.as_ref()));
                    prop_assert!(own.is_none() || again.is_ok());
                }
            }
        }
    }

    /// What is written is read again: other numbers, nothing else.
    #[test]
    fn edits_change_what_they_name(
        layers in layers(),
        offset in 0u8..64,
        shift in 0u8..64,
        delta: u16,
        mask in proptest::option::of(any::<u32>()),
        keys in proptest::collection::vec(proptest::bool::weighted(0.2), 1..30),
    ) {
        let mut encoder = Encoder::new(layers, offset);
        let all = u32::MAX >> (32 - u32::from(layers.spatial * layers.temporal));
        let (mut theirs, mut ours) = (None, None);
        for is_key in keys {
            for frame in encoder.encode(is_key, u8::MAX) {
                let active = mask.map(|mask| mask & all);
                let bytes = encoder.descriptor(&frame, (true, frame.spatial == 0), None);
                let (descriptor, own) = Descriptor::read(&bytes, theirs.as_ref()).unwrap();
                theirs = own.or(theirs);
                prop_assert_eq!(descriptor.number, frame.number as u16);
                prop_assert_eq!((descriptor.spatial, descriptor.temporal),
                    (frame.spatial, frame.temporal));
                let references: Vec<u64> = descriptor.references().map(u64::from).collect();
                prop_assert_eq!(&references, &frame.references);
                let edit = Edit {
                    number: descriptor.number.wrapping_add(delta),
                    template_shift: shift,
                    active,
                };
                let mut into = [0; BYTES_MAX];
                let length = descriptor.write_edited(&bytes, &edit, &mut into).unwrap();
                let (again, own) = Descriptor::read(&into[..length], ours.as_ref()).unwrap();
                if let (Some(own), Some(theirs)) = (&own, &theirs) {
                    prop_assert_eq!(own.first_template(),
                        (theirs.first_template() + shift) % 64);
                    prop_assert_eq!(&own.templates, &theirs.templates);
                    prop_assert_eq!(&own.resolutions, &theirs.resolutions);
                }
                ours = own.or(ours);
                prop_assert_eq!(again.number, edit.number);
                prop_assert_eq!(again.active, active);
                prop_assert_eq!((again.spatial, again.temporal, again.indications),
                    (descriptor.spatial, descriptor.temporal, descriptor.indications));
                prop_assert_eq!(again.has_structure, descriptor.has_structure);
                prop_assert_eq!(again.is_frame_end, descriptor.is_frame_end);
                if descriptor.is_unchanged_by(&edit) {
                    prop_assert_eq!(&into[..length], &bytes[..]);
                }
            }
        }
    }
}
