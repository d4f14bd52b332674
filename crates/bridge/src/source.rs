//! Something an endpoint sends: its encodings, what they measure, and what is asked of its sender.

use str0m::media::Mid;
use tertulia_model::{MayForward, MediaType, Source, SourceName, Ssrc, VideoType};

use crate::allocate::Layer;
use crate::keyframe::KeyframeRequests;
use crate::meter::Meter;
use crate::red::Arrivals;
use crate::rewrite::plain::GapCloser;
use crate::rewrite::vp8::ENCODINGS_MAX;

/// A signalled source.
pub(crate) struct SourceState {
    pub(crate) signalled: Source,
    /// What its owner says on the bridge channel that it shows.
    pub(crate) told_type: Option<VideoType>,
    /// The seat of the endpoint that sends it.
    pub(crate) owner: usize,
    pub(crate) mid: Mid,
    pub(crate) encodings: Vec<EncodingState>,
    pub(crate) requests: KeyframeRequests,
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
    /// Lines; nominal until the first key frame.
    height: u32,
    meters: [Meter; TEMPORAL_LAYERS],
}

impl SourceState {
    pub(crate) fn new(signalled: Source, owner: usize, mid: Mid) -> SourceState {
        let encodings = (0..signalled.encodings.len().min(ENCODINGS_MAX))
            .map(|index| EncodingState {
                closer: GapCloser::default(),
                height: NOMINAL_HEIGHT << index,
                meters: Default::default(),
            })
            .collect();
        SourceState {
            signalled,
            told_type: None,
            owner,
            mid,
            encodings,
            requests: KeyframeRequests::default(),
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

    /// Counts a video packet.
    pub(crate) fn measure(&mut self, encoding: u8, temporal: u8, at_ms: u64, bytes: usize) {
        let state = self.encodings.get_mut(usize::from(encoding));
        let meter = state.and_then(|state| state.meters.get_mut(usize::from(temporal)));
        if let Some(meter) = meter {
            meter.add(at_ms, bytes);
        }
    }

    /// A key frame says how large an encoding is. Whether that is news.
    pub(crate) fn learn_size(&mut self, encoding: u8, (width, height): (u16, u16)) -> bool {
        let lines = u32::from(width.min(height));
        match self.encodings.get_mut(usize::from(encoding)) {
            Some(state) if lines > 0 && state.height != lines => {
                state.height = lines;
                true
            }
            _ => false,
        }
    }

    /// Its layers with what they measure now, from low to high.
    pub(crate) fn layers(&mut self, at_ms: u64) -> Vec<Layer> {
        let mut layers = Vec::with_capacity(self.encodings.len() * TEMPORAL_LAYERS);
        for (encoding, state) in (0u8..).zip(&mut self.encodings) {
            let rates = state.rates(at_ms);
            // Nothing says how many temporal layers there are but what arrives.
            let top = rates.iter().rposition(|rate| *rate > 0);
            let top = top.unwrap_or(TEMPORAL_LAYERS - 1);
            let mut bitrate_bps = 0;
            for (temporal, rate) in rates.into_iter().enumerate() {
                bitrate_bps += rate;
                let below = top.saturating_sub(temporal).min(8);
                layers.push(Layer {
                    encoding,
                    temporal: temporal as u8,
                    height: state.height,
                    fps: FULL_FPS / (1 << below) as f32,
                    bitrate_bps,
                    is_active: rate > 0,
                });
            }
        }
        layers
    }

    /// One bit for each layer that is sent now.
    pub(crate) fn active_layers_at(&mut self, at_ms: u64) -> u64 {
        let mut bits = 0;
        for state in &mut self.encodings {
            for rate in state.rates(at_ms) {
                bits = bits << 1 | u64::from(rate > 0);
            }
        }
        bits
    }
}

impl EncodingState {
    fn rates(&mut self, at_ms: u64) -> [u64; TEMPORAL_LAYERS] {
        let mut rates = [0; TEMPORAL_LAYERS];
        for (rate, meter) in rates.iter_mut().zip(&mut self.meters) {
            *rate = meter.bps(at_ms);
        }
        rates
    }
}

/// VP8's descriptor has room for four; browsers use three.
const TEMPORAL_LAYERS: usize = 4;
const NOMINAL_HEIGHT: u32 = 180;
const FULL_FPS: f32 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;
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
        SourceState::new(signalled, 0, Mid::from("m1"))
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

    #[test]
    fn layers_show_what_arrives() {
        let mut source = source();
        assert!(source.layers(0).iter().all(|layer| !layer.is_active));
        for ms in (0..1_000).step_by(50) {
            source.measure(0, 0, ms, 125);
            source.measure(0, 1, ms, 250);
            source.measure(2, 0, ms, 1_250);
        }
        assert!(source.learn_size(2, (640, 480)));
        assert!(!source.learn_size(2, (480, 640)), "portrait is the same");
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
        assert_eq!(source.active_layers_at(999), 0b1100_0000_1000);
    }
}
