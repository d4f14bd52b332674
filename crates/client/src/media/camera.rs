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

/// Makes frames of plausible size in three temporal layers (0 2 1 2), with key frames on request.
pub struct SyntheticCamera {
    source: Ssrc,
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
    /// Its next frame must be a key frame, because it sent nothing before.
    is_fresh: bool,
}

impl SyntheticCamera {
    /// A camera for the source whose first SSRC is `source`.
    pub fn new(source: Ssrc, layers: &[Layer], interval: Duration) -> SyntheticCamera {
        let layers = layers
            .iter()
            .map(|layer| LayerState {
                layer: *layer,
                next: 1,
                phase: 0,
                last_base: 0,
                last_middle: 0,
                is_fresh: true,
            })
            .collect();
        SyntheticCamera {
            source,
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
        let is_key = self.is_key_wanted && may_key;
        if is_key {
            self.is_key_wanted = false;
            self.last_key = Some(now);
        }
        let (source, interval) = (self.source, self.interval);
        let frames = self.layers.iter_mut().enumerate().map(|(index, state)| {
            if is_active(&state.layer) {
                Some(state.frame(source, index, interval, is_key))
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
    fn frame(&mut self, source: Ssrc, index: usize, interval: Duration, is_key: bool) -> Frame {
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
        let size = if is_key { usual * 2.0 } else { usual };
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
            },
        }
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

    /// The payloads of the frame's packets; the last one carries the marker.
    pub(crate) fn packets(&mut self, frame: &Frame) -> Vec<Vec<u8>> {
        self.picture_id = (self.picture_id + 1) & PICTURE_ID_MAX;
        if frame.temporal == 0 {
            self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
        }
        let parts = frame.size.div_ceil(PACKET_BYTES).clamp(1, 100);
        let size = (frame.size / parts).max(Stamp::LENGTH + 16);
        (0..parts)
            .map(|part| {
                let mut payload = Vec::with_capacity(size);
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
                    write_frame_header(frame.is_key, frame.width, frame.stamp.height, &mut payload);
                }
                let stamp = Stamp {
                    part: part as u8,
                    parts: parts as u8,
                    ..frame.stamp
                };
                stamp.write(&mut payload);
                payload.resize(size.max(payload.len()), 0xa5);
                payload
            })
            .collect()
    }
}

const KEY_FRAME_SPACING: Duration = Duration::from_millis(300);
const PACKET_BYTES: usize = 1100;

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
