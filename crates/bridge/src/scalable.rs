//! An encoder without pictures: frames of scalable video as browsers make them, with the
//! descriptors of their packets, for tests of this crate. Included by path where it is needed.

/// How spatial layers depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// Each layer refers to the one below, always (L3T3).
    Full,
    /// At key frames only (L3T3_KEY).
    Key,
    /// Never (S3T3).
    None,
}

/// The layers of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    pub(crate) prediction: Prediction,
}

/// One frame: one spatial layer of one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Counts pictures, from the first of the stream.
    pub(crate) picture: u64,
    /// Counts frames.
    pub(crate) number: u64,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    pub(crate) is_key: bool,
    /// It is the last one of its picture.
    pub(crate) is_last: bool,
    /// Index of the temporal base layer.
    pub(crate) base_layer: u8,
    /// The numbers of the frames that it refers to.
    pub(crate) references: Vec<u64>,
}

/// What a template says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Vec<u8>,
    distances: Vec<u64>,
}

/// One encoding on its way through time.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) layers: Layers,
    /// The number of its first template.
    pub(crate) offset: u8,
    /// How often its smallest layer doubles 180 lines.
    scale: u8,
    templates: Vec<Template>,
    picture: u64,
    /// The picture of the last key frame.
    key: u64,
    number: u64,
    base_layer: u8,
    /// For each spatial layer, its frames since the last key frame: temporal layer and number.
    history: Vec<Vec<(u8, u64)>>,
}

impl Encoder {
    pub(crate) fn new(layers: Layers, offset: u8) -> Encoder {
        let mut encoder = Encoder {
            layers,
            offset,
            scale: 0,
            templates: Vec::new(),
            picture: 0,
            key: 0,
            number: 0,
            base_layer: 0,
            history: Vec::new(),
        };
        let mut templates: Vec<Template> = Vec::new();
        let mut trial = encoder.clone();
        for n in 0..12 {
            for frame in trial.encode(n == 0, layers.spatial) {
                let template = trial.template(&frame);
                if !templates.contains(&template) {
                    templates.push(template);
                }
            }
        }
        templates.sort();
        encoder.templates = templates;
        encoder
    }

    /// Starts counting somewhere.
    pub(crate) fn at(mut self, picture: u64, number: u64, base_layer: u8) -> Encoder {
        (self.picture, self.number, self.base_layer) = (picture, number, base_layer);
        self
    }

    /// Makes all layers larger.
    pub(crate) fn of_scale(mut self, scale: u8) -> Encoder {
        self.scale = scale;
        self
    }

    /// The frames of the next picture, at most `spatial` of them.
    pub(crate) fn encode(&mut self, is_key: bool, spatial: u8) -> Vec<Frame> {
        let spatial = spatial.min(self.layers.spatial);
        if is_key || self.history.is_empty() {
            self.key = self.picture;
            self.history = vec![Vec::new(); usize::from(self.layers.spatial)];
        }
        let is_key = self.key == self.picture;
        let pattern: &[u8] = match self.layers.temporal {
            1 => &[0],
            2 => &[0, 1],
            _ => &[0, 2, 1, 2],
        };
        let place = (self.picture - self.key) as usize % pattern.len();
        let temporal = pattern[place];
        if temporal == 0 {
            self.base_layer = self.base_layer.wrapping_add(1);
        }
        let mut frames = Vec::new();
        for layer in 0..spatial {
            let history = &mut self.history[usize::from(layer)];
            if !is_key && history.is_empty() {
                // A layer that was not there at the key frame has nothing to begin with.
                continue;
            }
            let mut references = Vec::new();
            let earlier = history
                .iter()
                .rev()
                .find(|(of, _)| *of < temporal || (*of, temporal) == (0, 0));
            references.extend(earlier.map(|(_, number)| *number));
            let is_above = match self.layers.prediction {
                Prediction::Full => layer > 0,
                Prediction::Key => layer > 0 && is_key,
                Prediction::None => false,
            };
            if is_above {
                references.push(self.number - 1);
            }
            history.push((temporal, self.number));
            frames.push(Frame {
                picture: self.picture,
                number: self.number,
                spatial: layer,
                temporal,
                is_key,
                is_last: layer + 1 == spatial,
                base_layer: self.base_layer,
                references,
            });
            self.number += 1;
        }
        // Numbers go on as if all layers were there: templates say how far back is what.
        self.number += u64::from(self.layers.spatial) - frames.len() as u64;
        self.picture += 1;
        frames
    }

    fn template(&self, frame: &Frame) -> Template {
        let mut indications = Vec::new();
        for spatial in 0..self.layers.spatial {
            for temporal in 0..self.layers.temporal {
                indications.push(self.indication(frame, spatial, temporal));
            }
        }
        let distances = frame.references.iter();
        Template {
            spatial: frame.spatial,
            temporal: frame.temporal,
            indications,
            distances: distances.map(|number| frame.number - number).collect(),
        }
    }

    /// 0 is not present, 1 discardable, 2 switch, 3 required.
    fn indication(&self, frame: &Frame, spatial: u8, temporal: u8) -> u8 {
        let is_above = spatial > frame.spatial;
        if spatial < frame.spatial || temporal < frame.temporal {
            return 0;
        }
        match self.layers.prediction {
            _ if !is_above && temporal == frame.temporal && temporal > 0 => 1,
            _ if !is_above => 2,
            Prediction::None => 0,
            _ if frame.is_key => 2,
            Prediction::Key => 0,
            Prediction::Full => 3,
        }
    }

    /// The dependency descriptor of one packet of a frame, with the structure at the start of a
    /// key frame; `active` are the decode targets that are sent from here on.
    pub(crate) fn descriptor(
        &self,
        frame: &Frame,
        (is_start, is_end): (bool, bool),
        active: Option<u32>,
    ) -> Vec<u8> {
        let template = self.template(frame);
        let index = self.templates.iter().position(|known| *known == template);
        let index = index.expect("a template for each frame") as u64;
        let mut bits = Bits::default();
        bits.put(u64::from(is_start), 1);
        bits.put(u64::from(is_end), 1);
        bits.put((u64::from(self.offset) + index) % 64, 6);
        bits.put(frame.number & 0xffff, 16);
        let has_structure = frame.is_key && is_start && frame.spatial == 0;
        if has_structure || active.is_some() {
            bits.put(u64::from(has_structure), 1);
            bits.put(u64::from(active.is_some()), 1);
            bits.put(0, 3);
        }
        if has_structure {
            self.put_structure(&mut bits);
        }
        if let Some(active) = active {
            bits.put(u64::from(active), self.target_count());
        }
        bits.bytes
    }

    fn target_count(&self) -> u32 {
        u32::from(self.layers.spatial) * u32::from(self.layers.temporal)
    }

    fn put_structure(&self, bits: &mut Bits) {
        let targets = u64::from(self.target_count());
        bits.put(u64::from(self.offset), 6);
        bits.put(targets - 1, 5);
        for pair in self.templates.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            let next = match (b.spatial - a.spatial, b.temporal == a.temporal) {
                (0, true) => 0,
                (0, false) => 1,
                _ => 2,
            };
            bits.put(next, 2);
        }
        bits.put(3, 2);
        for template in &self.templates {
            for indication in &template.indications {
                bits.put(u64::from(*indication), 2);
            }
        }
        for template in &self.templates {
            for distance in &template.distances {
                bits.put(1, 1);
                bits.put(distance - 1, 4);
            }
            bits.put(0, 1);
        }
        // One chain for each spatial layer.
        let chains = u64::from(self.layers.spatial);
        bits.put_non_symmetric(chains, targets + 1);
        for target in 0..targets {
            bits.put_non_symmetric(target / u64::from(self.layers.temporal), chains);
        }
        for template in &self.templates {
            for chain in 0..chains {
                let distance = template.distances.first().copied().unwrap_or(0);
                bits.put((distance + chain) % 16, 4);
            }
        }
        bits.put(1, 1);
        for layer in 0..self.layers.spatial {
            let (width, height) = self.size(layer);
            bits.put(u64::from(width) - 1, 16);
            bits.put(u64::from(height) - 1, 16);
        }
    }

    /// Width and height of a layer.
    pub(crate) fn size(&self, spatial: u8) -> (u16, u16) {
        (320 << (self.scale + spatial), 180 << (self.scale + spatial))
    }

    /// VP9's payload descriptor of one packet of a frame (RFC 9628), not flexible, with a picture
    /// id of 15 bits.
    pub(crate) fn vp9(&self, frame: &Frame, (is_start, is_end): (bool, bool)) -> Vec<u8> {
        let is_above =
            frame.references.contains(&frame.number.wrapping_sub(1)) && frame.spatial > 0;
        let is_for_upper = match self.layers.prediction {
            Prediction::Full => true,
            Prediction::Key => frame.is_key,
            Prediction::None => false,
        };
        let is_for_upper = is_for_upper && frame.spatial + 1 < self.layers.spatial;
        let has_structure = frame.is_key && is_start && frame.spatial == 0;
        let picture = (frame.picture & 0x7fff) as u16;
        let flags = 0x80
            | u8::from(!frame.is_key) << 6
            | 0x20
            | u8::from(is_start) << 3
            | u8::from(is_end) << 2
            | u8::from(has_structure) << 1
            | u8::from(!is_for_upper);
        let layers = frame.temporal << 5 | frame.spatial << 1 | u8::from(is_above);
        let [high, low] = picture.to_be_bytes();
        let mut bytes = vec![flags, 0x80 | high, low, layers, frame.base_layer];
        if has_structure {
            bytes.push((self.layers.spatial - 1) << 5 | 0x10);
            for layer in 0..self.layers.spatial {
                let (width, height) = self.size(layer);
                bytes.extend(width.to_be_bytes());
                bytes.extend(height.to_be_bytes());
            }
        }
        bytes
    }
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, value: u64, width: u32) {
        for place in (0..width).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value >> place & 1) as u8;
            *self.bytes.last_mut().expect("just made") |= bit << (7 - self.count % 8);
            self.count += 1;
        }
    }

    fn put_non_symmetric(&mut self, value: u64, bound: u64) {
        let width = u64::BITS - bound.leading_zeros();
        let short = (1 << width) - bound;
        if value < short {
            self.put(value, width - 1);
        } else {
            self.put(value + short, width);
        }
    }
}
