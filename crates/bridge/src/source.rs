//! Something an endpoint sends: its encodings, what they measure, and what is asked of its sender.

use std::sync::Arc;

use tertulia_model::{MayForward, MediaType, Source, SourceName, Ssrc, VideoCodec, VideoType};

use crate::allocate::Layer;
use crate::descriptor::{Descriptor, Structure};
use crate::keyframe::KeyframeRequests;
use crate::meter::Meter;
use crate::red::Arrivals;
use crate::rewrite::header::{Own, VideoHeader};
use crate::rewrite::plain::GapCloser;
use crate::rewrite::video::ENCODINGS_MAX;
use tertulia_transport::send::Descriptor as DescriptorBytes;

/// A signalled source.
pub(crate) struct SourceState {
    pub(crate) signalled: Source,
    /// What its owner says on the bridge channel that it shows.
    pub(crate) told_type: Option<VideoType>,
    /// The seat of the endpoint that sends it.
    pub(crate) owner: usize,
    pub(crate) encodings: Vec<EncodingState>,
    pub(crate) requests: KeyframeRequests,
    /// What it was last seen to be coded in.
    codec: Option<VideoCodec>,
    /// Consecutive audio packets without sound.
    pub(crate) silent: u32,
    /// Which packets of audio are there, sent or filled in.
    pub(crate) arrivals: Arrivals,
    /// The last `SenderSourceConstraints`.
    pub(crate) told_height: Option<i32>,
    /// Which layers were sent when that was last looked at; one bit each.
    pub(crate) active_layers: u64,
}

/// One encoding of it.
pub(crate) struct EncodingState {
    pub(crate) closer: GapCloser,
    /// Its spatial layers, from low to high: one, unless more have been seen.
    spatial: Vec<SpatialState>,
    /// What the descriptors of its packets refer to, and the number of the packet it came with.
    structure: Option<(u64, Arc<Structure>)>,
    /// What those refer to that come late, from before that packet.
    former: Option<Arc<Structure>>,
}

/// One spatial layer of an encoding.
struct SpatialState {
    /// Lines; nominal until the first key frame.
    height: u32,
    /// It is decoded without those below.
    is_independent: bool,
    meters: [Meter; TEMPORAL_LAYERS],
}

impl SourceState {
    pub(crate) fn new(signalled: Source, owner: usize) -> SourceState {
        let encodings = (0..signalled.encodings.len().min(ENCODINGS_MAX))
            .map(|index| EncodingState {
                closer: GapCloser::default(),
                spatial: vec![SpatialState::of_height(NOMINAL_HEIGHT << index)],
                structure: None,
                former: None,
            })
            .collect();
        SourceState {
            signalled,
            told_type: None,
            owner,
            encodings,
            requests: KeyframeRequests::default(),
            codec: None,
            silent: 0,
            arrivals: Arrivals::default(),
            told_height: None,
            active_layers: 0,
        }
    }

    pub(crate) fn name(&self) -> &SourceName {
        &self.signalled.name
    }

    pub(crate) fn media(&self) -> MediaType {
        self.signalled.media
    }

    /// The SSRC under which everybody else knows it, and that of its retransmissions.
    pub(crate) fn primary(&self) -> Option<(Ssrc, Option<Ssrc>)> {
        let first = self.signalled.encodings.first()?;
        Some((first.primary, first.rtx))
    }

    /// What it shows, as far as is known.
    pub(crate) fn video_type(&self) -> VideoType {
        self.told_type.unwrap_or(self.signalled.video_type)
    }

    /// Whether it shows something.
    pub(crate) fn is_enabled(&self) -> bool {
        self.video_type() != VideoType::None
    }

    /// Whether others may have it. Its owner calls a source whatever it likes on the bridge
    /// channel: what the source was signalled as counts as well.
    pub(crate) fn may_pass(&self, may: MayForward) -> bool {
        let may_show = |shown| match shown {
            VideoType::Camera => may.camera,
            VideoType::Desktop => may.screen,
            VideoType::None => may.camera || may.screen,
        };
        match self.media() {
            MediaType::Audio => may.audio,
            MediaType::Video => may_show(self.signalled.video_type) && may_show(self.video_type()),
        }
    }

    /// Counts a video packet, and learns from it what it says of its encoding. Whether the layers
    /// are not what they were.
    pub(crate) fn note(&mut self, encoding: u8, header: &VideoHeader, packet: Noted<'_>) -> bool {
        let mut is_new = false;
        if header.is_keyframe_start && self.codec != Some(header.codec) {
            // What was known of the codec before says nothing about this one.
            is_new = self.codec.is_some();
            self.codec = Some(header.codec);
            for (index, state) in self.encodings.iter_mut().enumerate() {
                state.spatial = vec![SpatialState::of_height(NOMINAL_HEIGHT << index)];
                if index != usize::from(encoding) {
                    state.structure = None;
                    state.former = None;
                }
            }
        }
        let Some(state) = self.encodings.get_mut(usize::from(encoding)) else {
            return false;
        };
        state.measure(header.spatial, header.temporal, packet.at_ms, packet.bytes);
        state.learn(header, packet.structure) || is_new
    }

    /// All that is passed on of it, in bits per second.
    pub(crate) fn bps(&mut self, at_ms: u64) -> u64 {
        let layers = self
            .encodings
            .iter_mut()
            .flat_map(|state| &mut state.spatial);
        let meters = layers.flat_map(|layer| &mut layer.meters);
        meters.map(|meter| meter.bps(at_ms)).sum()
    }

    /// Its layers with what they measure now, from low to high.
    pub(crate) fn layers(&mut self, at_ms: u64) -> Vec<Layer> {
        let mut layers = Vec::with_capacity(self.encodings.len() * TEMPORAL_LAYERS);
        for (encoding, state) in (0u8..).zip(&mut self.encodings) {
            let rates = state.rates(at_ms);
            for (spatial, layer) in (0u8..).zip(&state.spatial) {
                let own = rates.get(usize::from(spatial)).copied().unwrap_or_default();
                // Nothing says how many temporal layers there are but what arrives.
                let top = own.iter().rposition(|rate| *rate > 0);
                let top = top.unwrap_or(TEMPORAL_LAYERS - 1);
                for (temporal, rate) in (0u8..).zip(own) {
                    let below = top.saturating_sub(usize::from(temporal)).min(8);
                    layers.push(Layer {
                        encoding,
                        spatial,
                        temporal,
                        height: layer.height,
                        fps: FULL_FPS / (1 << below) as f32,
                        bitrate_bps: state.sum(&rates, spatial, temporal),
                        is_active: rate > 0,
                    });
                }
            }
        }
        layers
    }

    /// One bit for each layer that is sent now.
    pub(crate) fn active_layers_at(&mut self, at_ms: u64) -> u64 {
        let mut bits = 0;
        for state in &mut self.encodings {
            for rate in state.rates(at_ms).as_flattened() {
                bits = bits << 1 | u64::from(*rate > 0);
            }
        }
        bits
    }
}

/// What else is known of a packet.
pub(crate) struct Noted<'a> {
    pub(crate) at_ms: u64,
    pub(crate) bytes: usize,
    pub(crate) structure: Option<&'a Structure>,
}

/// Bits per second of each spatial layer's temporal layers.
type Rates = [[u64; TEMPORAL_LAYERS]; SPATIAL_LAYERS];

impl EncodingState {
    /// Reads a packet's dependency descriptor. A structure that comes with it is kept for those
    /// that follow. None if there is none, or none that can be understood.
    pub(crate) fn read_descriptor(
        &mut self,
        number: u64,
        bytes: Option<&DescriptorBytes>,
    ) -> Option<(Descriptor, Arc<Structure>)> {
        let newest = self.structure.as_ref().map(|(from, _)| *from);
        let is_late = newest.is_some_and(|from| number < from);
        let known = match &self.structure {
            Some((_, structure)) if !is_late => Some(structure),
            _ => self.former.as_ref(),
        };
        let (descriptor, own) = Descriptor::read(bytes?.bytes(), known.map(Arc::as_ref)).ok()?;
        let Some(own) = own else {
            return Some((descriptor, Arc::clone(known?)));
        };
        let own = Arc::new(own);
        // A key frame that comes late is of the past.
        if is_late {
            self.former = Some(Arc::clone(&own));
        } else {
            let before = self.structure.replace((number, Arc::clone(&own)));
            self.former = before.map(|(_, structure)| structure);
        }
        Some((descriptor, own))
    }

    /// Counts a packet.
    pub(crate) fn measure(&mut self, spatial: u8, temporal: u8, at_ms: u64, bytes: usize) {
        let state = self.spatial.get_mut(usize::from(spatial));
        let meter = state.and_then(|state| state.meters.get_mut(usize::from(temporal)));
        if let Some(meter) = meter {
            meter.add(at_ms, bytes);
        }
    }

    /// Learns which spatial layers there are and how large.
    fn learn(&mut self, header: &VideoHeader, structure: Option<&Structure>) -> bool {
        let mut is_new = false;
        let is_keyframe = header.is_keyframe_start;
        let told = structure.filter(|_| header.descriptor.is_some() && is_keyframe);
        match (&header.own, told) {
            (Own::Vp8(vp8), _) => {
                if let Some(size) = vp8.size.filter(|_| is_keyframe) {
                    is_new = self.set_sizes(&[size]);
                }
            }
            (_, Some(structure)) => {
                is_new = self.set_count(structure.spatial_layers());
                is_new |= self.set_sizes(structure.resolutions());
            }
            (Own::Vp9(vp9), None) => {
                if let Some(told) = &vp9.structure {
                    is_new = self.set_count(told.layers);
                    is_new |= self.set_sizes(told.sizes().unwrap_or_default());
                }
                if usize::from(vp9.spatial) >= self.spatial.len() {
                    is_new |= self.set_count(vp9.spatial + 1);
                }
                let layer = self.spatial.get_mut(usize::from(vp9.spatial));
                if let Some(layer) = layer.filter(|_| vp9.spatial > 0) {
                    // At key frames all of them need those below.
                    layer.is_independent |= vp9.is_independent();
                }
            }
            (Own::None, None) => {}
        }
        is_new
    }

    fn set_count(&mut self, count: u8) -> bool {
        let count = usize::from(count).clamp(1, SPATIAL_LAYERS);
        let before = self.spatial.len();
        let lowest = self
            .spatial
            .first()
            .map_or(NOMINAL_HEIGHT, |layer| layer.height);
        self.spatial.truncate(count);
        for index in before..count {
            self.spatial.push(SpatialState::of_height(lowest << index));
        }
        before != count
    }

    /// A key frame says how large its pictures are. Whether that is news.
    fn set_sizes(&mut self, sizes: &[(u16, u16)]) -> bool {
        let mut is_new = false;
        for (layer, (width, height)) in self.spatial.iter_mut().zip(sizes) {
            // Portrait is the same.
            let lines = u32::from(*width.min(height));
            if lines > 0 && layer.height != lines {
                layer.height = lines;
                is_new = true;
            }
        }
        is_new
    }

    fn rates(&mut self, at_ms: u64) -> Rates {
        let mut rates = Rates::default();
        for (rates, layer) in rates.iter_mut().zip(&mut self.spatial) {
            for (rate, meter) in rates.iter_mut().zip(&mut layer.meters) {
                *rate = meter.bps(at_ms);
            }
        }
        rates
    }

    /// What a layer takes with all that it depends on.
    fn sum(&self, rates: &Rates, spatial: u8, temporal: u8) -> u64 {
        let structure = self.structure.as_ref().map(|(_, structure)| structure);
        let target = structure.and_then(|structure| {
            let target = structure.best(spatial, temporal, None)?;
            structure.target(target)
        });
        let layer = self.spatial.get(usize::from(spatial));
        let is_independent = layer.is_some_and(|layer| layer.is_independent);
        let mut sum = 0;
        for (of_spatial, rates) in (0u8..=spatial).zip(rates) {
            for (of_temporal, rate) in (0u8..=temporal).zip(rates) {
                let is_needed = match target {
                    Some(target) => target.layers >> (8 * of_spatial + of_temporal) & 1 == 1,
                    None => of_spatial == spatial || !is_independent,
                };
                if is_needed {
                    sum += rate;
                }
            }
        }
        sum
    }
}

impl SpatialState {
    fn of_height(height: u32) -> SpatialState {
        SpatialState {
            height,
            is_independent: false,
            meters: Default::default(),
        }
    }
}

/// More are not looked at; browsers use three.
const SPATIAL_LAYERS: usize = 4;
/// VP8's descriptor has room for four; browsers use three.
const TEMPORAL_LAYERS: usize = 4;
const NOMINAL_HEIGHT: u32 = 180;
const FULL_FPS: f32 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalable::{Encoder, Layers, Prediction};
    use tertulia_model::Encoding;

    fn source() -> SourceState {
        let encodings = (1..=3).map(|n| Encoding {
            primary: Ssrc(n),
            rtx: Some(Ssrc(n + 10)),
        });
        let signalled = Source {
            name: "a-v0".parse().unwrap(),
            media: MediaType::Video,
            video_type: VideoType::Camera,
            encodings: encodings.collect(),
        };
        SourceState::new(signalled, 0)
    }

    #[test]
    fn another_name_is_no_way_around_what_is_forbidden() {
        let only = |camera, screen| MayForward {
            camera,
            screen,
            ..MayForward::ALL
        };
        let mut source = source();
        for (told, allowed) in [
            (None, [true, true, false, false]),
            (Some(VideoType::Camera), [true, true, false, false]),
            (Some(VideoType::Desktop), [true, false, false, false]),
            (Some(VideoType::None), [true, true, false, false]),
        ] {
            source.told_type = told;
            let may = [
                MayForward::ALL,
                only(true, false),
                only(false, true),
                only(false, false),
            ];
            assert_eq!(may.map(|may| source.may_pass(may)), allowed, "{told:?}");
        }
    }

    /// What was lost before a sender changed its layers, and is sent again, is still understood.
    #[test]
    fn late_packets_refer_to_the_structure_of_their_time() {
        let layers = |spatial| Layers {
            spatial,
            temporal: 3,
            prediction: Prediction::Key,
        };
        let mut state = source().encodings.remove(0);
        let mut encoders = [Encoder::new(layers(3), 0), Encoder::new(layers(1), 15)];
        let mut described = Vec::new();
        for (encoder, is_key) in [(0, true), (0, false), (1, true)] {
            let encoder: &mut Encoder = &mut encoders[encoder];
            let frame = encoder.encode(is_key, 3).remove(0);
            let bytes = encoder.descriptor(&frame, (true, true), None);
            described.push((DescriptorBytes::new(&bytes), frame.temporal));
        }
        let mut read = |place: usize| {
            let (descriptor, structure) =
                state.read_descriptor(10 + place as u64, Some(&described[place].0))?;
            assert_eq!(descriptor.temporal, described[place].1);
            Some(structure.spatial_layers())
        };
        assert_eq!(read(0), Some(3));
        assert_eq!(read(2), Some(1));
        assert_eq!(read(1), Some(3), "it comes late");
        assert_eq!(read(2), Some(1));
    }

    #[test]
    fn layers_show_what_arrives() {
        let mut source = source();
        assert!(source.layers(0).iter().all(|layer| !layer.is_active));
        for ms in (0..1_000).step_by(50) {
            source.encodings[0].measure(0, 0, ms, 125);
            source.encodings[0].measure(0, 1, ms, 250);
            source.encodings[2].measure(0, 0, ms, 1_250);
        }
        assert!(source.encodings[2].set_sizes(&[(640, 480)]));
        assert!(!source.encodings[2].set_sizes(&[(480, 640)]), "portrait");
        let layers = source.layers(999);
        let shown: Vec<_> = layers
            .iter()
            .filter(|layer| layer.is_active)
            .map(|layer| (layer.height, layer.temporal, layer.fps, layer.bitrate_bps))
            .collect();
        assert_eq!(
            shown,
            [
                (180, 0, 15.0, 20_000),
                (180, 1, 30.0, 60_000),
                (480, 0, 30.0, 200_000)
            ]
        );
        assert_eq!(source.active_layers_at(999), 0xc000_0000_8000);
    }
}
