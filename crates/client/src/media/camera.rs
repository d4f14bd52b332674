use std::time::{Duration, Instant};

use tertulia_model::Ssrc;

use super::Stamp;

/// What a camera sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CameraCodec {
    /// VP8, each layer as a simulcast encoding of its own.
    Vp8,
    /// VP9, all layers as spatial layers of the first encoding; each refers to the one below at
    /// key pictures only (L3T3_KEY).
    Vp9,
}

/// One simulcast encoding or spatial layer of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub width: u16,
    pub height: u16,
    /// Of this layer alone.
    pub bitrate_bps: u32,
}

/// One encoded picture, before it is cut into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the frame header says; the truth is in the stamp.
    pub is_key: bool,
    pub temporal: u8,
    pub width: u16,
    /// Bytes of the whole frame.
    pub size: usize,
    /// `part` and `parts` are filled in when the frame is cut.
    pub stamp: Stamp,
}

impl Frame {
    /// Width and height of the picture.
    pub(crate) fn size_of_picture(&self) -> (u16, u16) {
        (self.width, self.stamp.height)
    }
}

/// Where video comes from. The simulator puts faulty ones in front of a
/// [`SyntheticCamera`] to prove that its checkers notice.
pub trait Camera: Send {
    /// The next picture of every layer, from low to high; None for a layer that is switched off.
    fn frames(&mut self, now: Instant, is_active: &dyn Fn(&Layer) -> bool) -> Vec<Option<Frame>>;

    /// A receiver needs a key frame; browsers then make one on every layer.
    fn request_key_frame(&mut self);
}

/// How an encoder spends its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSizes {
    /// Every frame takes its share of the bitrate, a key frame twice that. Key frames come on
    /// request only.
    Plain,
    /// Lower temporal layers take more, no two frames are equally long, and a key frame takes
    /// some eight times a usual one; it is saved in the second after it. One comes every ten
    /// seconds without being asked for.
    Lifelike,
}

/// Makes frames of plausible size in three temporal layers (0 2 1 2), with key frames on request.
pub struct SyntheticCamera {
    source: Ssrc,
    sizes: FrameSizes,
    /// The layers are spatial layers of one stream.
    is_scalable: bool,
    /// Which of the layers were sent last.
    active: Vec<bool>,
    /// Number of the last picture.
    picture: u32,
    interval: Duration,
    layers: Vec<LayerState>,
    is_key_wanted: bool,
    last_key: Option<Instant>,
}

struct LayerState {
    layer: Layer,
    next: u32,
    /// Position in the temporal pattern.
    phase: usize,
    last_base: u32,
    last_middle: u32,
    /// Bytes spent beyond the bitrate.
    debt: f64,
    /// Its next frame must be a key frame, because it sent nothing before.
    is_fresh: bool,
    /// In a key picture it refers to the layer below.
    is_predicted: bool,
}

impl SyntheticCamera {
    /// A camera with [`FrameSizes::Plain`] for the source whose first SSRC is `source`.
    pub fn new(source: Ssrc, layers: &[Layer], interval: Duration) -> SyntheticCamera {
        SyntheticCamera::with_sizes(source, layers, interval, FrameSizes::Plain)
    }

    /// A camera for the source whose first SSRC is `source`.
    pub fn with_sizes(
        source: Ssrc,
        layers: &[Layer],
        interval: Duration,
        sizes: FrameSizes,
    ) -> SyntheticCamera {
        let layers = layers
            .iter()
            .map(|layer| LayerState {
                layer: *layer,
                next: 1,
                phase: 0,
                last_base: 0,
                last_middle: 0,
                debt: 0.0,
                is_fresh: true,
                is_predicted: false,
            })
            .collect();
        SyntheticCamera {
            source,
            sizes,
            is_scalable: false,
            active: Vec::new(),
            picture: 0,
            interval,
            layers,
            is_key_wanted: false,
            last_key: None,
        }
    }

    /// Makes spatial layers of one stream: their frames have the numbers of their pictures, and a
    /// key picture has all layers that are sent, as it does where other ones are sent than before.
    pub fn scalable(self) -> SyntheticCamera {
        SyntheticCamera {
            is_scalable: true,
            ..self
        }
    }

    /// Whether it sends other spatial layers than before.
    fn changes_layers(&mut self, is_active: &dyn Fn(&Layer) -> bool) -> bool {
        let active: Vec<bool> = self.layers.iter().map(|s| is_active(&s.layer)).collect();
        let is_new = self.is_scalable && active != self.active;
        self.active = active;
        is_new
    }
}

impl Camera for SyntheticCamera {
    fn frames(&mut self, now: Instant, is_active: &dyn Fn(&Layer) -> bool) -> Vec<Option<Frame>> {
        // libwebrtc answers key-frame requests at most this often.
        let may_key = self
            .last_key
            .is_none_or(|last| now >= last + KEY_FRAME_SPACING);
        let is_periodic = self.sizes == FrameSizes::Lifelike
            && *self.last_key.get_or_insert(now) + KEY_FRAME_INTERVAL <= now;
        let is_new = self.changes_layers(is_active);
        let is_key = self.is_key_wanted && may_key || is_periodic || is_new;
        if is_key {
            self.is_key_wanted = false;
            self.last_key = Some(now);
        }
        self.picture += 1;
        let picture = self.is_scalable.then_some(self.picture);
        let (source, interval, sizes) = (self.source, self.interval, self.sizes);
        let frames = self.layers.iter_mut().enumerate().map(|(index, state)| {
            if is_active(&state.layer) {
                state.next = picture.unwrap_or(state.next);
                state.is_predicted = picture.is_some() && index > 0;
                Some(state.frame(source, index, (interval, sizes), is_key))
            } else {
                state.is_fresh = true;
                None
            }
        });
        frames.collect()
    }

    fn request_key_frame(&mut self) {
        self.is_key_wanted = true;
    }
}

impl LayerState {
    fn frame(
        &mut self,
        source: Ssrc,
        index: usize,
        (interval, sizes): (Duration, FrameSizes),
        is_key: bool,
    ) -> Frame {
        let is_key = is_key || self.is_fresh;
        self.is_fresh = false;
        if is_key {
            self.phase = 0;
        }
        let number = self.next;
        self.next += 1;
        let (temporal, reference) = match self.phase % 4 {
            0 if is_key => (0, number),
            0 => (0, self.last_base),
            1 => (2, self.last_base),
            2 => (1, self.last_base),
            _ => (2, self.last_middle),
        };
        match temporal {
            0 => self.last_base = number,
            1 => self.last_middle = number,
            _ => {}
        }
        self.phase += 1;
        let usual = f64::from(self.layer.bitrate_bps) / 8.0 * interval.as_secs_f64();
        let size = match sizes {
            FrameSizes::Plain if is_key => usual * 2.0,
            FrameSizes::Plain => usual,
            FrameSizes::Lifelike => self.lifelike_size(usual, temporal, is_key),
        };
        Frame {
            is_key,
            temporal,
            width: self.layer.width,
            size: size as usize,
            stamp: Stamp {
                source,
                number,
                reference,
                layer: u8::try_from(index).unwrap_or(u8::MAX),
                height: self.layer.height,
                part: 0,
                parts: 1,
                sent: 0,
            },
        }
    }

    /// Over whole patterns of temporal layers, `usual` on average.
    fn lifelike_size(&mut self, usual: f64, temporal: u8, is_key: bool) -> f64 {
        if is_key {
            let ratio = match self.is_predicted {
                true => PREDICTED_KEY_FRAME_RATIO,
                false => KEY_FRAME_RATIO,
            };
            let over = usual * (ratio - 1.0);
            self.debt = (self.debt + over).min(usual * DEBT_FRAMES_MAX);
            return usual * ratio;
        }
        let share = match temporal {
            0 => 1.6,
            1 => 1.0,
            _ => 0.7,
        };
        // Knuth's multiplicative hash: between 0.85 and 1.15, the same in each run.
        let draw = self.next.wrapping_mul(2_654_435_761) >> 24;
        let variation = 0.85 + 0.3 * f64::from(draw) / 255.0;
        let saved = self.debt.min(usual * 0.2);
        self.debt -= saved;
        usual * share * variation - saved
    }
}

const KEY_FRAME_SPACING: Duration = Duration::from_millis(300);
const KEY_FRAME_INTERVAL: Duration = Duration::from_secs(10);
const KEY_FRAME_RATIO: f64 = 7.5;
/// What the layer below shows already need not be sent again.
const PREDICTED_KEY_FRAME_RATIO: f64 = 5.5;
/// Of many key frames in a row no more than this is saved again.
const DEBT_FRAMES_MAX: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> SyntheticCamera {
        let layers = [
            Layer {
                width: 160,
                height: 90,
                bitrate_bps: 40_000,
            },
            Layer {
                width: 640,
                height: 360,
                bitrate_bps: 200_000,
            },
        ];
        SyntheticCamera::new(Ssrc(5), &layers, Duration::from_millis(100))
    }

    #[test]
    fn each_frame_refers_to_one_that_was_sent_before() {
        let (mut camera, now) = (camera(), Instant::now());
        let mut sent = vec![Vec::new(); 2];
        for tick in 0..40u32 {
            if tick == 13 {
                camera.request_key_frame();
            }
            let frames = camera.frames(now + tick * Duration::from_millis(100), &|_| true);
            for (layer, frame) in frames.into_iter().enumerate() {
                let frame = frame.unwrap();
                assert_eq!(frame.is_key, frame.stamp.is_key());
                assert_eq!(frame.is_key, tick == 0 || tick == 13, "{tick}");
                assert!(frame.is_key || sent[layer].contains(&frame.stamp.reference));
                sent[layer].push(frame.stamp.number);
            }
        }
    }

    #[test]
    fn a_layer_that_comes_back_starts_with_a_key_frame() {
        let (mut camera, now) = (camera(), Instant::now());
        camera.frames(now, &|_| true);
        let frames = camera.frames(now, &|layer| layer.height < 200);
        assert!(frames[0].is_some() && frames[1].is_none());
        let frames = camera.frames(now, &|_| true);
        assert!(!frames[0].unwrap().is_key && frames[1].unwrap().is_key);
    }

    /// Frames of a lifelike camera at 30 a second, its layer's usual size, and the seconds.
    fn lifelike(seconds: u32, requests: &[u32]) -> Vec<(Layer, Vec<Frame>)> {
        let layers = crate::VideoConfig::lifelike(true).layers;
        let interval = Duration::from_secs(1) / 30;
        let sizes = FrameSizes::Lifelike;
        let mut camera = SyntheticCamera::with_sizes(Ssrc(5), &layers, interval, sizes);
        let now = Instant::now();
        let mut made: Vec<_> = layers.iter().map(|layer| (*layer, Vec::new())).collect();
        for tick in 0..30 * seconds {
            if requests.contains(&tick) {
                camera.request_key_frame();
            }
            let frames = camera.frames(now + tick * interval, &|_| true);
            for (frame, (_, made)) in frames.into_iter().zip(&mut made) {
                made.push(frame.unwrap());
            }
        }
        made
    }

    #[test]
    fn lifelike_sizes_average_to_the_bitrate() {
        for (seconds, requests) in [(10, &[][..]), (20, &[]), (35, &[40, 100, 600])] {
            for (layer, frames) in lifelike(seconds, requests) {
                let bytes: usize = frames.iter().map(|frame| frame.size).sum();
                let bitrate = bytes as f64 * 8.0 / f64::from(seconds);
                let ratio = bitrate / f64::from(layer.bitrate_bps);
                assert!((0.9..1.1).contains(&ratio), "{layer:?}: {ratio}");
            }
        }
    }

    #[test]
    fn lifelike_key_frames_are_long_and_come_every_ten_seconds() {
        for (layer, frames) in lifelike(25, &[]) {
            let usual = f64::from(layer.bitrate_bps) / 8.0 / 30.0;
            let keys: Vec<usize> = (0..frames.len()).filter(|i| frames[*i].is_key).collect();
            assert_eq!(keys.len(), 3, "{keys:?}");
            for key in keys {
                let ratio = frames[key].size as f64 / usual;
                assert!((6.0..=10.0).contains(&ratio), "{ratio}");
            }
            let sizes: std::collections::BTreeSet<usize> =
                frames.iter().map(|frame| frame.size).collect();
            assert!(sizes.len() > 100, "sizes vary");
            assert!(frames.iter().all(|frame| frame.size > 0));
        }
    }

    #[test]
    fn spatial_layers_share_pictures_and_key_frames() {
        let layers = crate::VideoConfig::lifelike_scalable().layers;
        let interval = Duration::from_secs(1) / 30;
        let sizes = FrameSizes::Lifelike;
        let camera = SyntheticCamera::with_sizes(Ssrc(5), &layers, interval, sizes);
        let (mut camera, now) = (camera.scalable(), Instant::now());
        let mut bytes = [0; 3];
        for tick in 0..600u32 {
            if tick == 200 {
                camera.request_key_frame();
            }
            // From the 100th to the 150th nobody wants the largest layer.
            let is_small = (100..150).contains(&tick);
            let at = now + tick * interval;
            let frames = camera.frames(at, &|layer| !is_small || layer.height < 720);
            assert_eq!(frames[2].is_none(), is_small);
            let is_key = frames[0].unwrap().is_key;
            let frames: Vec<Frame> = frames.into_iter().flatten().collect();
            // The last one comes by itself: ten seconds take a little more than 300 intervals.
            let expected = [0, 100, 150, 200, 501].contains(&tick);
            assert_eq!(is_key, expected, "{tick}");
            for (layer, frame) in frames.iter().enumerate() {
                assert_eq!(frame.stamp.number, tick + 1);
                assert_eq!(frame.is_key, is_key);
                assert_eq!(frame.stamp.is_key(), is_key);
                assert_eq!(usize::from(frame.stamp.layer), layer);
                bytes[layer] += frame.size;
            }
            if is_key && frames.len() == 3 {
                let usual = |layer: usize| f64::from(layers[layer].bitrate_bps) / 240.0;
                let ratio = |layer: usize| frames[layer].size as f64 / usual(layer);
                assert!(ratio(1) < ratio(0) && ratio(1) > 4.0, "{}", ratio(1));
            }
        }
        let kbps = bytes.map(|bytes| bytes * 8 / 20 / 1_000);
        assert!((140..165).contains(&kbps[0]), "{kbps:?}");
        assert!((330..380).contains(&kbps[1]), "{kbps:?}");
        assert!((1_250..1_450).contains(&kbps[2]), "{kbps:?}");
    }
}
