//! The dependency descriptor: a header extension by which a sender says of any codec's frames which
//! layers they belong to and what they refer to (AV1 RTP specification, appendix A).
//!
//! What a frame is made like is said once, at a key frame, as a [`Structure`] of templates; every
//! packet then names its template and what is different. Decode targets are what a receiver can
//! choose from: layers with all that they need.
//!
//! Whatever the bytes are, reading ends, and what is kept is bounded: they are at most 255.

mod bits;
#[cfg(test)]
mod tests;

use bits::{BitReader, BitWriter};
use tertulia_transport::send::Descriptor as DescriptorBytes;

/// How the frames of a stream are made, until the next key frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The number of the first template.
    offset: u8,
    templates: Vec<Template>,
    targets: Vec<DecodeTarget>,
    chains: u32,
    /// Width and height of each spatial layer; empty if it is not said.
    resolutions: Vec<(u16, u16)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Indications,
    references: References,
}

/// What a receiver can choose to decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeTarget {
    /// Its highest spatial layer.
    pub spatial: u8,
    /// Its highest temporal layer.
    pub temporal: u8,
    /// The decode targets that can be decoded from what is sent for this one, one bit each.
    pub contains: u32,
    /// The layers whose frames it goes on to need after a key frame: bit `8 · spatial + temporal`.
    pub layers: u64,
}

/// What a frame means to a decode target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indication {
    /// It has no part in it.
    NotPresent,
    /// Nothing refers to it.
    Discardable,
    /// The decode target can be chosen from here on.
    Switch,
    /// What follows needs it.
    Required,
}

/// One indication for each decode target, two bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Indications(u64);

/// How many frames back the frames are that one refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct References {
    distances: [u16; REFERENCES_MAX],
    count: u8,
}

/// What the descriptor of one packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The packet is the first one of its frame.
    pub is_frame_start: bool,
    /// The packet is the last one of its frame.
    pub is_frame_end: bool,
    /// Counts frames of all layers in the order of decoding.
    pub number: u16,
    /// Spatial layer of the frame.
    pub spatial: u8,
    /// Temporal layer of the frame.
    pub temporal: u8,
    /// A structure came with it.
    pub has_structure: bool,
    /// Which decode targets are sent from here on, if it says so: one bit each.
    pub active: Option<u32>,
    template: u8,
    indications: Indications,
    references: References,
    layout: Layout,
}

/// Where in the descriptor its parts are, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    targets: u32,
    /// There is more than the mandatory fields.
    is_extended: bool,
    structure_end: usize,
    custom: usize,
    end: usize,
}

/// What is to be different in a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The frame's number.
    pub number: u16,
    /// Added to the numbers of templates.
    pub template_shift: u8,
    /// Which decode targets are sent from here on.
    pub active: Option<u32>,
}

/// Why a descriptor cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It ends too soon.
    #[error("the descriptor is cut short")]
    Short,
    /// It refers to a structure that did not come.
    #[error("there is no structure for it")]
    NoStructure,
    /// The structure has no such template.
    #[error("its template is unknown")]
    UnknownTemplate,
    /// More layers, templates or references than any encoder uses.
    #[error("it has too many parts")]
    TooMany,
}

impl Structure {
    /// The decode targets, in the sender's order.
    pub fn targets(&self) -> &[DecodeTarget] {
        &self.targets
    }

    /// One of them.
    pub fn target(&self, index: u8) -> Option<&DecodeTarget> {
        self.targets.get(usize::from(index))
    }

    /// How many spatial layers there are.
    pub fn spatial_layers(&self) -> u8 {
        self.top(|template| template.spatial) + 1
    }

    /// How many temporal layers there are.
    pub fn temporal_layers(&self) -> u8 {
        self.top(|template| template.temporal) + 1
    }

    fn top(&self, layer: fn(&Template) -> u8) -> u8 {
        self.templates.iter().map(layer).max().unwrap_or(0)
    }

    /// Width and height of each spatial layer; empty if the sender does not say.
    pub fn resolutions(&self) -> &[(u16, u16)] {
        &self.resolutions
    }

    /// The highest decode target of at most these layers that is active.
    pub fn best(&self, spatial: u8, temporal: u8, active: Option<u32>) -> Option<u8> {
        let is_active = |index: u8| active.is_none_or(|active| active >> index & 1 == 1);
        (0u8..)
            .zip(&self.targets)
            .filter(|(_, target)| target.spatial <= spatial && target.temporal <= temporal)
            .filter(|(index, _)| is_active(*index))
            .max_by_key(|(_, target)| (target.spatial, target.temporal))
            .map(|(index, _)| index)
    }

    /// Whether frames come between key frames at which `to` can be chosen by who is sent `from`.
    pub fn can_switch(&self, from: u8, to: u8) -> bool {
        self.templates.iter().any(|template| {
            template.refers_to_earlier_pictures()
                && template.indications.of(from) != Indication::NotPresent
                && template.indications.of(to) == Indication::Switch
        })
    }

    /// The number of the first template.
    pub(crate) fn first_template(&self) -> u8 {
        self.offset
    }

    /// The number that the first template of another structure may have.
    pub(crate) fn next_template(&self) -> u8 {
        self.offset.wrapping_add(self.templates.len() as u8) % TEMPLATES_MAX
    }

    fn template(&self, number: u8) -> Option<&Template> {
        let index = (number + TEMPLATES_MAX - self.offset) % TEMPLATES_MAX;
        self.templates.get(usize::from(index))
    }

    fn read(bits: &mut BitReader<'_>) -> Result<Structure, Unreadable> {
        let offset = bits.take(6)? as u8;
        let target_count = bits.take(5)? + 1;
        let mut templates = Vec::new();
        let (mut spatial, mut temporal) = (0u8, 0u8);
        loop {
            if templates.len() == usize::from(TEMPLATES_MAX) {
                return Err(Unreadable::TooMany);
            }
            templates.push(Template {
                spatial,
                temporal,
                indications: Indications::default(),
                references: References::default(),
            });
            match bits.take(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => break,
            }
            if spatial >= LAYERS_MAX || temporal >= LAYERS_MAX {
                return Err(Unreadable::TooMany);
            }
        }
        for template in &mut templates {
            template.indications = Indications::read(bits, target_count)?;
        }
        for template in &mut templates {
            while bits.flag()? {
                template.references.push(bits.take(4)? as u16 + 1)?;
            }
        }
        let chains = bits.non_symmetric(target_count + 1)?;
        if chains > 0 {
            for _ in 0..target_count {
                bits.non_symmetric(chains)?;
            }
            bits.skip(templates.len() * chains as usize * 4)?;
        }
        let mut resolutions = Vec::new();
        if bits.flag()? {
            for _ in 0..=spatial {
                let (width, height) = (bits.take(16)?, bits.take(16)?);
                let pixels = |minus_one: u32| u16::try_from(minus_one + 1).unwrap_or(u16::MAX);
                resolutions.push((pixels(width), pixels(height)));
            }
        }
        let all = u32::MAX >> (u32::from(TARGETS_MAX) - target_count);
        let of = |target| DecodeTarget::of(target, all, &templates);
        let targets = (0..target_count as u8).map(of);
        Ok(Structure {
            offset,
            targets: targets.collect(),
            templates,
            chains,
            resolutions,
        })
    }
}

impl Template {
    /// Spatial layers of one picture have consecutive numbers.
    fn refers_to_earlier_pictures(&self) -> bool {
        self.references.leave_the_picture(self.spatial)
    }
}

impl DecodeTarget {
    fn of(target: u8, all: u32, templates: &[Template]) -> DecodeTarget {
        let mut of = DecodeTarget {
            contains: all,
            ..DecodeTarget::default()
        };
        let mut missing = 0;
        for template in templates {
            let layer = 1u64 << (template.spatial * LAYERS_MAX + template.temporal);
            if template.indications.of(target) != Indication::NotPresent {
                of.spatial = of.spatial.max(template.spatial);
                of.temporal = of.temporal.max(template.temporal);
                of.layers |= layer;
                continue;
            }
            if template.refers_to_earlier_pictures() {
                missing |= layer;
            }
            for other in 0..TARGETS_MAX {
                if template.indications.of(other) != Indication::NotPresent {
                    of.contains &= !(1 << other);
                }
            }
        }
        of.layers &= !missing;
        of
    }
}

impl Indications {
    fn read(bits: &mut BitReader<'_>, targets: u32) -> Result<Indications, Unreadable> {
        let mut all = 0;
        for target in 0..targets {
            all |= u64::from(bits.take(2)?) << (2 * target);
        }
        Ok(Indications(all))
    }

    fn of(self, target: u8) -> Indication {
        match self.0.checked_shr(2 * u32::from(target)).unwrap_or(0) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }
}

impl References {
    fn leave_the_picture(&self, spatial: u8) -> bool {
        let mut distances = self.distances.iter().take(usize::from(self.count));
        distances.any(|distance| *distance > u16::from(spatial))
    }

    fn push(&mut self, distance: u16) -> Result<(), Unreadable> {
        let place = self.distances.get_mut(usize::from(self.count));
        *place.ok_or(Unreadable::TooMany)? = distance;
        self.count += 1;
        Ok(())
    }
}

impl Descriptor {
    /// Reads the descriptor of a packet. `known` is the structure of the last key frame; one that
    /// comes with this packet counts instead and is given back.
    ///
    /// # Errors
    ///
    /// If it is cut short, or cannot be understood without a structure.
    pub fn read(
        bytes: &[u8],
        known: Option<&Structure>,
    ) -> Result<(Descriptor, Option<Structure>), Unreadable> {
        let mut bits = BitReader::new(bytes);
        let is_frame_start = bits.flag()?;
        let is_frame_end = bits.flag()?;
        let template_number = bits.take(6)? as u8;
        let number = bits.take(16)? as u16;
        let is_extended = bytes.len() > MANDATORY_BYTES;
        let mut flag = || if is_extended { bits.flag() } else { Ok(false) };
        let has_structure = flag()?;
        let has_active = flag()?;
        let has_indications = flag()?;
        let has_references = flag()?;
        let has_chains = flag()?;
        let own = has_structure
            .then(|| Structure::read(&mut bits))
            .transpose()?;
        let structure = own.as_ref().or(known).ok_or(Unreadable::NoStructure)?;
        let structure_end = bits.position();
        let targets = structure.targets.len() as u32;
        let active = has_active.then(|| bits.take(targets)).transpose()?;
        let custom = bits.position();
        let template = structure.template(template_number);
        let template = template.ok_or(Unreadable::UnknownTemplate)?;
        let mut indications = template.indications;
        if has_indications {
            indications = Indications::read(&mut bits, targets)?;
        }
        let mut references = template.references;
        if has_references {
            references = References::default();
            loop {
                let size = bits.take(2)?;
                if size == 0 {
                    break;
                }
                references.push(bits.take(4 * size)? as u16 + 1)?;
            }
        }
        if has_chains {
            bits.skip(structure.chains as usize * 8)?;
        }
        let descriptor = Descriptor {
            is_frame_start,
            is_frame_end,
            number,
            spatial: template.spatial,
            temporal: template.temporal,
            has_structure,
            active,
            template: template_number,
            indications,
            references,
            layout: Layout {
                targets,
                is_extended,
                structure_end,
                custom,
                end: bits.position(),
            },
        };
        Ok((descriptor, own))
    }

    /// What the frame means to a decode target.
    pub fn indication(&self, target: u8) -> Indication {
        self.indications.of(target)
    }

    /// The numbers of the frames that it refers to.
    pub fn references(&self) -> impl Iterator<Item = u16> + '_ {
        let References { distances, count } = &self.references;
        let distances = distances.iter().take(usize::from(*count));
        distances.map(|distance| self.number.wrapping_sub(*distance))
    }

    /// Whether it refers to more than lower layers of its own picture.
    pub fn refers_to_earlier_pictures(&self) -> bool {
        self.references.leave_the_picture(self.spatial)
    }

    /// Whether it is the first packet of a key frame, with which decoding can begin.
    pub fn is_keyframe_start(&self) -> bool {
        self.is_frame_start && self.has_structure && self.spatial == 0 && self.references.count == 0
    }

    /// Whether nothing would be different.
    pub fn is_unchanged_by(&self, edit: &Edit) -> bool {
        edit.number == self.number
            && edit.template_shift.is_multiple_of(TEMPLATES_MAX)
            && (edit.active.is_none() || edit.active == self.active)
    }

    /// The bytes that it was read from as they are for a receiver. Where the edited ones would be
    /// too long, it is left out.
    pub(crate) fn edited(&self, bytes: &DescriptorBytes, edit: &Edit) -> Option<DescriptorBytes> {
        if self.is_unchanged_by(edit) {
            return Some(bytes.clone());
        }
        let mut edited = [0; BYTES_MAX];
        let length = self.write_edited(bytes.bytes(), edit, &mut edited)?;
        Some(DescriptorBytes::new(edited.get(..length)?))
    }

    /// Writes it again: `bytes` are those that it was read from. Gives back how many were written;
    /// None if it would not fit into an extension.
    pub fn write_edited(
        &self,
        bytes: &[u8],
        edit: &Edit,
        into: &mut [u8; BYTES_MAX],
    ) -> Option<usize> {
        let shifted = |template: u8| u32::from(template.wrapping_add(edit.template_shift) % 64);
        let layout = &self.layout;
        let mut from = BitReader::new(bytes);
        let mut to = BitWriter::new(into);
        to.put(from.take(2).ok()?, 2)?;
        to.put(shifted(self.template), 6)?;
        to.put(u32::from(edit.number), 16)?;
        let active = edit.active.or(self.active);
        if !layout.is_extended && active.is_none() {
            return Some(to.bytes());
        }
        from.skip(22).ok()?;
        let mut flags = 0;
        if layout.is_extended {
            flags = from.take(5).ok()? & !HAS_ACTIVE;
        }
        if active.is_some() {
            flags |= HAS_ACTIVE;
        }
        to.put(flags, 5)?;
        if self.has_structure {
            let offset = from.take(6).ok()? as u8;
            to.put(shifted(offset), 6)?;
            to.copy(&mut from, layout.structure_end)?;
        }
        if let Some(active) = active {
            to.put(active, layout.targets)?;
        }
        from.skip(layout.custom.checked_sub(from.position())?)
            .ok()?;
        to.copy(&mut from, layout.end)?;
        Some(to.bytes())
    }
}

/// A header extension is no longer.
pub const BYTES_MAX: usize = 255;
/// Start, end, template and number of the frame.
const MANDATORY_BYTES: usize = 3;
/// Templates are numbered by six bits.
const TEMPLATES_MAX: u8 = 64;
const TARGETS_MAX: u8 = 32;
/// Spatial layers, and temporal layers. AV1 has no more.
const LAYERS_MAX: u8 = 8;
/// AV1 has seven references.
const REFERENCES_MAX: usize = 16;
/// Among the five flags behind the mandatory fields.
const HAS_ACTIVE: u32 = 0b01000;
