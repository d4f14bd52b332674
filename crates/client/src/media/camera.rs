use std::time::{Duration, Instant};

use tertulia_model::{Random, Ssrc};

use super::Stamp;
use super::vp8::{Descriptor, PICTURE_ID_MAX, write_frame_header};

/// One simulcast encoding of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub width: u16,
    pub height: u16,
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
            })
            .collect();
        SyntheticCamera {
            source,
            sizes,
            interval,
            layers,
            is_key_wanted: false,
            last_key: None,
        }
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
        let is_key = self.is_key_wanted && may_key || is_periodic;
        if is_key {
            self.is_key_wanted = false;
            self.last_key = Some(now);
        }
        let (source, interval, sizes) = (self.source, self.interval, self.sizes);
        let frames = self.layers.iter_mut().enumerate().map(|(index, state)| {
            if is_active(&state.layer) {
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
            let over = usual * (KEY_FRAME_RATIO - 1.0);
            self.debt = (self.debt + over).min(usual * DEBT_FRAMES_MAX);
            return usual * KEY_FRAME_RATIO;
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

/// Cuts the frames of one encoding into packets and numbers its pictures.
pub(crate) struct Packetizer {
    picture_id: u16,
    tl0_pic_idx: u8,
}

impl Packetizer {
    pub(crate) fn new(random: &mut Random) -> Packetizer {
        let [a, b, c, _] = random.u32().to_be_bytes();
        Packetizer {
            picture_id: u16::from_be_bytes([a, b]) & PICTURE_ID_MAX,
            tl0_pic_idx: c,
        }
    }

    /// Numbers the picture and begins to cut it.
    pub(crate) fn cut(&mut self, frame: &Frame) -> Cut {
        self.picture_id = (self.picture_id + 1) & PICTURE_ID_MAX;
        if frame.temporal == 0 {
            self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
        }
        let parts = frame.size.div_ceil(PACKET_BYTES).clamp(1, 100);
        Cut {
            frame: *frame,
            picture_id: self.picture_id,
            tl0_pic_idx: self.tl0_pic_idx,
            size: (frame.size / parts).max(LEAST_PACKET_BYTES),
            next: 0,
            parts: parts as u8,
        }
    }

    /// The payloads of the frame's packets.
    #[cfg(test)]
    pub(crate) fn packets(&mut self, frame: &Frame) -> Vec<Vec<u8>> {
        let mut cut = self.cut(frame);
        std::iter::from_fn(|| cut.next_payload(0)).collect()
    }
}

/// A frame that leaves packet by packet.
pub(crate) struct Cut {
    frame: Frame,
    picture_id: u16,
    tl0_pic_idx: u8,
    /// Bytes of each packet.
    size: usize,
    next: u8,
    parts: u8,
}

impl Cut {
    /// The payload of the next packet, which leaves at this moment ([`Stamp::sent`]).
    pub(crate) fn next_payload(&mut self, sent: u64) -> Option<Vec<u8>> {
        let (frame, part) = (&self.frame, self.next);
        if self.is_done() {
            return None;
        }
        self.next += 1;
        let mut payload = Vec::with_capacity(self.size);
        let descriptor = Descriptor {
            is_start: part == 0,
            picture_id: self.picture_id,
            tl0_pic_idx: self.tl0_pic_idx,
            temporal: frame.temporal,
            is_sync: frame.temporal == 1,
            is_discardable: frame.temporal == 2,
        };
        descriptor.write(&mut payload);
        if part == 0 {
            let size = (frame.width, frame.stamp.height);
            let bytes = usize::from(self.parts) * (self.size - Descriptor::LENGTH);
            write_frame_header(frame.is_key, size, bytes, &mut payload);
        }
        let stamp = Stamp {
            part,
            parts: self.parts,
            sent,
            ..frame.stamp
        };
        stamp.write(&mut payload);
        payload.resize(self.size.max(payload.len()), 0);
        Some(payload)
    }

    /// Whether its last packet, which carries the marker, has left.
    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.parts
    }
}

const KEY_FRAME_SPACING: Duration = Duration::from_millis(300);
const PACKET_BYTES: usize = 1100;
/// Room for all headers and the stamp.
const LEAST_PACKET_BYTES: usize = Stamp::LENGTH + 32;
const KEY_FRAME_INTERVAL: Duration = Duration::from_secs(10);
const KEY_FRAME_RATIO: f64 = 7.5;
/// Of many key frames in a row no more than this is saved again.
const DEBT_FRAMES_MAX: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::vp8::read_frame_header;

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
    fn lifelike_packets_have_descriptors_that_others_read() {
        let mut packetizer = Packetizer::new(&mut Random::from_seed([2; 32]));
        for frame in &lifelike(2, &[20]).pop().unwrap().1 {
            let packets = packetizer.packets(frame);
            assert!(packets.iter().all(|packet| packet.len() <= 1200));
            let bytes: usize = packets.iter().map(Vec::len).sum();
            assert!(
                bytes.abs_diff(frame.size) <= packets.len(),
                "nothing is added"
            );
            for packet in &packets {
                let foreign = str0m::rtp::Vp8Descriptor::parse(packet).unwrap();
                assert_eq!(foreign.picture_id(), Some(packetizer.picture_id));
                assert_eq!(foreign.tl0_pic_idx(), Some(packetizer.tl0_pic_idx));
                assert_eq!(Descriptor::read(packet).unwrap().0.temporal, frame.temporal);
            }
            let foreign = str0m::rtp::Vp8Descriptor::parse(&packets[0]).unwrap();
            assert_eq!(foreign.starts_keyframe(&packets[0]), frame.is_key);
        }
    }

    #[test]
    fn packets_carry_the_stamp_behind_the_headers() {
        let mut packetizer = Packetizer::new(&mut Random::from_seed([1; 32]));
        let frame = camera().frames(Instant::now(), &|_| true)[1].unwrap();
        let packets = packetizer.packets(&frame);
        assert!(
            packets.len() > 1,
            "a key frame of this size takes several packets"
        );
        for (part, packet) in packets.iter().enumerate() {
            let (descriptor, mut rest) = Descriptor::read(packet).unwrap();
            assert_eq!(descriptor.is_start, part == 0);
            if descriptor.is_start {
                rest = read_frame_header(rest).unwrap().1;
            }
            let stamp = Stamp::read(rest).unwrap();
            assert_eq!(
                (stamp.part as usize, stamp.parts as usize),
                (part, packets.len())
            );
        }
    }
}
