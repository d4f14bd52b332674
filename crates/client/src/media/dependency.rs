//! The dependency descriptor (AV1 RTP specification, appendix A) of a camera with spatial layers
//! that refer to each other at key pictures only and three temporal layers in each (L1T3,
//! L2T3_KEY, L3T3_KEY): written as Chromium does, and read as a bridge may have edited it.

/// How the frames of a stream are made, until the next key picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    /// How many spatial layers there are.
    pub(crate) layers: u8,
    /// The number of the first template.
    pub(crate) offset: u8,
}

/// The place of a frame among the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a key picture.
    Key,
    /// The first of its group of four.
    Base,
    /// The third, of the middle temporal layer.
    Middle,
    /// The second and the fourth, of the highest temporal layer.
    Second,
    Fourth,
}

/// What a descriptor says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// Counts frames of all layers.
    pub(crate) number: u16,
    pub(crate) spatial: u8,
    pub(crate) place: Place,
}

/// What the descriptor of one packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) frame: Description,
    /// What the frame refers to is to be read by this.
    pub(crate) structure: Structure,
}

impl Place {
    /// In the order of their templates.
    const ALL: [Place; 5] = [
        Place::Key,
        Place::Base,
        Place::Middle,
        Place::Second,
        Place::Fourth,
    ];

    pub(crate) fn temporal(self) -> u8 {
        match self {
            Place::Key | Place::Base => 0,
            Place::Middle => 1,
            Place::Second | Place::Fourth => 2,
        }
    }

    /// How many pictures back the one is that it refers to, and the last of the temporal base
    /// layer.
    fn pictures_back(self) -> (u8, u8) {
        match self {
            Place::Key => (0, 0),
            Place::Base => (4, 4),
            Place::Middle => (2, 2),
            Place::Second => (1, 1),
            Place::Fourth => (1, 3),
        }
    }
}

impl Structure {
    /// The structure that may follow this one, of so many spatial layers: its templates have
    /// other numbers.
    pub(crate) fn next(&self, layers: u8) -> Structure {
        Structure {
            layers,
            offset: (self.offset + self.layers * TEMPLATES) % NUMBERS,
        }
    }

    /// How many frames back the one is that a frame refers to; None if it refers to nothing.
    pub(crate) fn distance(&self, spatial: u8, place: Place) -> Option<u8> {
        match place {
            Place::Key => (spatial > 0).then_some(1),
            place => Some(place.pictures_back().0 * self.layers),
        }
    }

    fn targets(&self) -> u8 {
        self.layers * TEMPORAL_LAYERS
    }

    /// What a frame is to a decode target: 0 not present, 1 discardable, 2 a switch.
    fn indication(spatial: u8, place: Place, target: u8) -> u64 {
        let (of_spatial, of_temporal) = (target / TEMPORAL_LAYERS, target % TEMPORAL_LAYERS);
        let is_of_layer = match place {
            Place::Key => of_spatial >= spatial,
            _ => of_spatial == spatial,
        };
        match place.temporal() {
            _ if !is_of_layer => 0,
            temporal if of_temporal < temporal => 0,
            temporal if temporal > 0 && of_temporal == temporal => 1,
            _ => 2,
        }
    }

    /// How many frames back the last frame is that each spatial layer's base needs.
    fn chain(&self, spatial: u8, place: Place, chain: u8) -> u8 {
        match place {
            Place::Key if spatial == 0 => 0,
            Place::Key | Place::Base if chain < spatial => spatial - chain,
            Place::Key => 1,
            place => place.pictures_back().1 * self.layers + spatial - chain,
        }
    }

    /// Goes through what a structure consists of behind offset and number of decode targets, up to
    /// the sizes: values, and how many bits they have.
    fn walk(&self, visit: &mut impl FnMut(u64, u32) -> Option<()>) -> Option<()> {
        let templates = || (0..self.layers).flat_map(|s| Place::ALL.map(|place| (s, place)));
        // From template to template: the same layers, the next temporal or spatial one, the end.
        for spatial in 1..=self.layers {
            let after = if spatial == self.layers { 3 } else { 2 };
            for step in [0, 1, 1, 0, after] {
                visit(step, 2)?;
            }
        }
        for (spatial, place) in templates() {
            for target in 0..self.targets() {
                visit(Structure::indication(spatial, place, target), 2)?;
            }
        }
        for (spatial, place) in templates() {
            if let Some(distance) = self.distance(spatial, place) {
                visit(1, 1)?;
                visit(u64::from(distance) - 1, 4)?;
            }
            visit(0, 1)?;
        }
        visit_non_symmetric(self.layers, self.targets() + 1, visit)?;
        for target in 0..self.targets() {
            visit_non_symmetric(target / TEMPORAL_LAYERS, self.layers, visit)?;
        }
        for (spatial, place) in templates() {
            for chain in 0..self.layers {
                visit(u64::from(self.chain(spatial, place, chain)), 4)?;
            }
        }
        Some(())
    }

    /// The descriptor of one packet. With widths and heights of the spatial layers the structure
    /// comes with it, as it does with the first packet of a key picture.
    pub(crate) fn write(
        &self,
        frame: &Description,
        (is_start, is_end): (bool, bool),
        sizes: Option<&[(u16, u16)]>,
    ) -> Vec<u8> {
        let mut bits = Writer::default();
        bits.put(u64::from(is_start), 1);
        bits.put(u64::from(is_end), 1);
        let place = Place::ALL.iter().position(|place| *place == frame.place);
        let template = frame.spatial * TEMPLATES + place.unwrap_or(0) as u8;
        bits.put(u64::from((self.offset + template) % NUMBERS), 6);
        bits.put(u64::from(frame.number), 16);
        let Some(sizes) = sizes else {
            return bits.bytes;
        };
        bits.put(HAS_STRUCTURE, 5);
        bits.put(u64::from(self.offset), 6);
        bits.put(u64::from(self.targets()) - 1, 5);
        self.walk(&mut |value, width| {
            bits.put(value, width);
            Some(())
        });
        bits.put(1, 1);
        for (width, height) in sizes {
            bits.put(u64::from(width.saturating_sub(1)), 16);
            bits.put(u64::from(height.saturating_sub(1)), 16);
        }
        bits.bytes
    }
}

impl Described {
    /// Reads the descriptor of a packet; `known` is what the last structure was, and becomes the
    /// one that comes with it. None if there is none yet, or it is none of ours.
    pub(crate) fn read(bytes: &[u8], known: &mut Option<Structure>) -> Option<Described> {
        let mut bits = Reader { bytes, at: 0 };
        bits.take(2)?;
        let template = bits.take(6)? as u8;
        let number = bits.take(16)? as u16;
        let flags = if bytes.len() > MANDATORY_BYTES {
            bits.take(5)?
        } else {
            0
        };
        if flags & !(HAS_STRUCTURE | HAS_ACTIVE) != 0 {
            return None;
        }
        if flags & HAS_STRUCTURE != 0 {
            *known = Some(bits.structure()?);
        }
        let structure = (*known)?;
        if flags & HAS_ACTIVE != 0 {
            bits.take(u32::from(structure.targets()))?;
        }
        let template = (template + NUMBERS - structure.offset) % NUMBERS;
        let spatial = template / TEMPLATES;
        let place = Place::ALL.get(usize::from(template % TEMPLATES))?;
        let frame = Description {
            number,
            spatial,
            place: *place,
        };
        (spatial < structure.layers).then_some(Described { frame, structure })
    }

    /// The number of the frame that it refers to, if it refers to one.
    pub(crate) fn reference(&self) -> Option<u16> {
        let Description {
            number,
            spatial,
            place,
        } = self.frame;
        let distance = self.structure.distance(spatial, place)?;
        Some(number.wrapping_sub(u16::from(distance)))
    }
}

/// Whether the packet is the first, and the last, of its frame.
pub(crate) fn ends(bytes: &[u8]) -> Option<(bool, bool)> {
    let first = bytes.first()?;
    Some((first & 0x80 != 0, first & 0x40 != 0))
}

fn visit_non_symmetric(
    value: u8,
    bound: u8,
    visit: &mut impl FnMut(u64, u32) -> Option<()>,
) -> Option<()> {
    let width = u8::BITS - bound.leading_zeros();
    let short = (1u64 << width) - u64::from(bound);
    let value = u64::from(value);
    match value < short {
        true => visit(value, width - 1),
        false => visit(value + short, width),
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    count: usize,
}

impl Writer {
    fn put(&mut self, value: u64, width: u32) {
        for place in (0..width).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = u8::from(value >> place & 1 == 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.count % 8);
            }
            self.count += 1;
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, width: u32) -> Option<u64> {
        let mut value = 0;
        for _ in 0..width {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn structure(&mut self) -> Option<Structure> {
        let offset = self.take(6)? as u8;
        let targets = self.take(5)? as u8 + 1;
        let structure = Structure {
            layers: targets / TEMPORAL_LAYERS,
            offset,
        };
        if !targets.is_multiple_of(TEMPORAL_LAYERS) || structure.layers > LAYERS_MAX {
            return None;
        }
        structure.walk(&mut |value, width| (self.take(width)? == value).then_some(()))?;
        if self.take(1)? == 1 {
            self.take(32 * u32::from(structure.layers))?;
        }
        Some(structure)
    }
}

/// Templates of each spatial layer.
const TEMPLATES: u8 = Place::ALL.len() as u8;
const TEMPORAL_LAYERS: u8 = 3;
/// More spatial layers no browser sends of a camera.
const LAYERS_MAX: u8 = 3;
/// Templates are numbered by six bits.
const NUMBERS: u8 = 64;
/// Start, end, template and number of the frame.
const MANDATORY_BYTES: usize = 3;
/// Of the five flags behind them.
const HAS_STRUCTURE: u64 = 0b10000;
const HAS_ACTIVE: u64 = 0b01000;

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(u16, u16); 3] = [(320, 180), (640, 360), (1280, 720)];

    #[test]
    fn what_is_written_is_read() {
        for layers in 1..=3u8 {
            let structure = Structure { layers, offset: 57 };
            let sizes = &SIZES[..usize::from(layers)];
            let mut known = None;
            let key = Description {
                number: 65_535,
                spatial: 0,
                place: Place::Key,
            };
            let bytes = structure.write(&key, (true, false), Some(sizes));
            assert_eq!(ends(&bytes), Some((true, false)));
            let described = Described::read(&bytes, &mut known).unwrap();
            assert_eq!((described.frame, described.reference()), (key, None));
            assert_eq!(known, Some(structure));
            for cut in 0..bytes.len() - 1 {
                assert!(Described::read(&bytes[..cut], &mut None).is_none(), "{cut}");
            }
            let last = Description {
                number: 2,
                spatial: layers - 1,
                place: Place::Middle,
            };
            let bytes = structure.write(&last, (false, true), None);
            assert_eq!((bytes.len(), ends(&bytes)), (3, Some((false, true))));
            assert!(Described::read(&bytes, &mut None).is_none());
            let described = Described::read(&bytes, &mut known).unwrap();
            assert_eq!(described.frame, last);
            let back = 2u16.wrapping_sub(2 * u16::from(layers));
            assert_eq!(described.reference(), Some(back));
            // Of another structure's templates nothing is known.
            let other = structure.next(layers);
            let bytes = other.write(&last, (false, true), None);
            assert!(Described::read(&bytes, &mut known).is_none());
        }
    }

    /// What Chromium's structure of three layers says of two frames, spelt out: decode targets and
    /// chains of the frames that open a group.
    #[test]
    fn three_layers_are_made_as_chromium_makes_them() {
        let structure = Structure {
            layers: 3,
            offset: 0,
        };
        let indications = |spatial, place| {
            let of = |target| Structure::indication(spatial, place, target);
            (0..9).map(of).collect::<Vec<u64>>()
        };
        assert_eq!(indications(1, Place::Key), [0, 0, 0, 2, 2, 2, 2, 2, 2]);
        assert_eq!(indications(0, Place::Base), [2, 2, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(indications(1, Place::Middle), [0, 0, 0, 0, 1, 2, 0, 0, 0]);
        assert_eq!(indications(2, Place::Fourth), [0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let chains = |spatial, place| [0, 1, 2].map(|chain| structure.chain(spatial, place, chain));
        assert_eq!(chains(0, Place::Key), [0, 0, 0]);
        assert_eq!(chains(1, Place::Key), [1, 1, 1]);
        assert_eq!(chains(2, Place::Key), [2, 1, 1]);
        assert_eq!(chains(0, Place::Second), [3, 2, 1]);
        assert_eq!(chains(1, Place::Middle), [7, 6, 5]);
        assert_eq!(chains(0, Place::Base), [12, 11, 10]);
        assert_eq!(chains(1, Place::Base), [1, 12, 11]);
        let key = Description {
            number: 0,
            spatial: 0,
            place: Place::Key,
        };
        let bytes = structure.write(&key, (true, true), Some(&SIZES));
        // Chromium's has 92: it says with it which of the nine decode targets are sent.
        assert_eq!(bytes.len() * 8 + 9, 729);
    }
}
