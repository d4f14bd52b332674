//! Frames on their way into RTP packets.

use tertulia_model::Random;

use super::dependency::{Description, Place, Structure};
use super::{CameraCodec, Frame, Stamp, vp8, vp9};

/// Cuts the frames of one encoding into packets and numbers its pictures.
pub(crate) struct Packetizer {
    codec: CameraCodec,
    picture_id: u16,
    tl0_pic_idx: u8,
    structure: Structure,
    /// Of the next frame, in its dependency descriptor.
    frame_number: u16,
    /// Pictures since the last key picture.
    phase: usize,
}

/// One packet of a frame.
pub(crate) struct Packet {
    pub(crate) payload: Vec<u8>,
    /// The dependency descriptor, where the codec has one.
    pub(crate) descriptor: Option<Vec<u8>>,
    /// It ends its picture.
    pub(crate) is_marked: bool,
}

impl Packetizer {
    pub(crate) fn new(codec: CameraCodec, random: &mut Random) -> Packetizer {
        let [a, b, c, _] = random.u32().to_be_bytes();
        Packetizer {
            codec,
            picture_id: u16::from_be_bytes([a, b]) & vp8::PICTURE_ID_MAX,
            tl0_pic_idx: c,
            structure: Structure {
                layers: 1,
                offset: 0,
            },
            frame_number: 0,
            phase: 0,
        }
    }

    /// Numbers a picture and begins to cut it: one frame, or one for each spatial layer that is
    /// sent, from low to high.
    pub(crate) fn cut(&mut self, frames: &[Frame]) -> Vec<Cut> {
        let Some(first) = frames.first() else {
            return Vec::new();
        };
        self.picture_id = (self.picture_id + 1) & vp8::PICTURE_ID_MAX;
        if first.temporal == 0 {
            self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
        }
        let mut cuts = match self.codec {
            CameraCodec::Vp8 => frames.iter().map(|frame| self.cut_vp8(frame)).collect(),
            CameraCodec::Vp9 => self.cut_vp9(frames),
        };
        if let Some(last) = cuts.last_mut() {
            last.ends_picture = true;
        }
        cuts
    }

    fn cut_vp8(&self, frame: &Frame) -> Cut {
        let (picture_id, tl0_pic_idx) = (self.picture_id, self.tl0_pic_idx);
        let head = Head::Vp8 {
            picture_id,
            tl0_pic_idx,
        };
        Cut::new(frame, head)
    }

    fn cut_vp9(&mut self, frames: &[Frame]) -> Vec<Cut> {
        let layers = u8::try_from(frames.len()).unwrap_or(u8::MAX);
        let is_key = frames.iter().all(|frame| frame.stamp.is_key());
        self.phase = if is_key { 0 } else { self.phase + 1 };
        if is_key && layers != self.structure.layers {
            // Chromium keeps a structure's numbers as long as the structure is the same.
            self.structure = self.structure.next(layers);
        }
        let place = match self.phase % 4 {
            0 if is_key => Place::Key,
            0 => Place::Base,
            1 => Place::Second,
            2 => Place::Middle,
            _ => Place::Fourth,
        };
        let group = vp9::GROUP.get(self.phase % vp9::GROUP.len());
        let is_switching_up = group.is_some_and(|(_, is_up, _)| *is_up);
        let sizes: Vec<(u16, u16)> = frames.iter().map(Frame::size_of_picture).collect();
        let mut cuts = Vec::with_capacity(frames.len());
        for (spatial, frame) in (0u8..).zip(frames) {
            let number = self.frame_number;
            self.frame_number = self.frame_number.wrapping_add(1);
            let descriptor = vp9::Descriptor {
                is_start: false,
                is_end: false,
                picture_id: self.picture_id,
                tl0_pic_idx: self.tl0_pic_idx,
                temporal: place.temporal(),
                spatial,
                is_inter_picture: !is_key,
                is_inter_layer: is_key && spatial > 0,
                is_switching_up,
                is_for_upper: is_key && spatial + 1 < layers,
            };
            let head = Head::Vp9 {
                descriptor,
                structure: self.structure,
                description: Description {
                    number,
                    spatial,
                    place,
                },
                sizes: (is_key && spatial == 0).then(|| sizes.clone()),
            };
            cuts.push(Cut::new(frame, head));
        }
        cuts
    }

    /// The payloads of a frame's packets.
    #[cfg(test)]
    pub(crate) fn packets(&mut self, frame: &Frame) -> Vec<Vec<u8>> {
        let packets = self.cut_all(std::slice::from_ref(frame)).into_iter();
        packets.map(|packet| packet.payload).collect()
    }

    /// The packets of a picture.
    #[cfg(test)]
    pub(crate) fn cut_all(&mut self, frames: &[Frame]) -> Vec<Packet> {
        let cuts = self.cut(frames).into_iter();
        cuts.flat_map(|mut cut| std::iter::from_fn(move || cut.next_packet(0)))
            .collect()
    }
}

/// A frame that leaves packet by packet.
pub(crate) struct Cut {
    frame: Frame,
    head: Head,
    /// It is the last one of its picture.
    ends_picture: bool,
    /// Bytes of each packet.
    size: usize,
    next: u8,
    parts: u8,
}

/// What goes before the stamp.
enum Head {
    Vp8 {
        picture_id: u16,
        tl0_pic_idx: u8,
    },
    Vp9 {
        /// But for which packet of the frame it is.
        descriptor: vp9::Descriptor,
        structure: Structure,
        description: Description,
        /// Of all layers, with the first frame of a key picture.
        sizes: Option<Vec<(u16, u16)>>,
    },
}

impl Cut {
    fn new(frame: &Frame, head: Head) -> Cut {
        let parts = frame.size.div_ceil(PACKET_BYTES).clamp(1, 100);
        Cut {
            frame: *frame,
            head,
            ends_picture: false,
            size: (frame.size / parts).max(LEAST_PACKET_BYTES),
            next: 0,
            parts: parts as u8,
        }
    }

    /// The next packet, which leaves at this moment ([`Stamp::sent`]).
    pub(crate) fn next_packet(&mut self, sent: u64) -> Option<Packet> {
        let (frame, part) = (&self.frame, self.next);
        if self.is_done() {
            return None;
        }
        self.next += 1;
        let mut payload = Vec::with_capacity(self.size);
        let ends = (part == 0, part + 1 == self.parts);
        let descriptor = match &self.head {
            Head::Vp8 {
                picture_id,
                tl0_pic_idx,
            } => {
                let descriptor = vp8::Descriptor {
                    is_start: part == 0,
                    picture_id: *picture_id,
                    tl0_pic_idx: *tl0_pic_idx,
                    temporal: frame.temporal,
                    is_sync: frame.temporal == 1,
                    is_discardable: frame.temporal == 2,
                };
                descriptor.write(&mut payload);
                if part == 0 {
                    let bytes = usize::from(self.parts) * (self.size - vp8::Descriptor::LENGTH);
                    let size = frame.size_of_picture();
                    vp8::write_frame_header(frame.is_key, size, bytes, &mut payload);
                }
                None
            }
            Head::Vp9 {
                descriptor,
                structure,
                description,
                sizes,
            } => {
                let sizes = sizes.as_deref().filter(|_| part == 0);
                let descriptor = vp9::Descriptor {
                    is_start: ends.0,
                    is_end: ends.1,
                    ..*descriptor
                };
                descriptor.write(sizes, &mut payload);
                if part == 0 {
                    let is_key = frame.is_key && frame.stamp.layer == 0;
                    vp9::write_frame_header(is_key, &mut payload);
                }
                Some(structure.write(description, ends, sizes))
            }
        };
        let stamp = Stamp {
            part,
            parts: self.parts,
            sent,
            ..frame.stamp
        };
        stamp.write(&mut payload);
        payload.resize(self.size.max(payload.len()), 0);
        Some(Packet {
            payload,
            descriptor,
            is_marked: self.ends_picture && self.is_done(),
        })
    }

    /// Which encoding or spatial layer it is of.
    #[cfg(test)]
    pub(crate) fn layer(&self) -> u8 {
        self.frame.stamp.layer
    }

    /// Whether its last packet has left.
    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.parts
    }
}

const PACKET_BYTES: usize = 1100;
/// Room for all headers and the stamp.
const LEAST_PACKET_BYTES: usize = Stamp::LENGTH + 32;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tertulia_model::Ssrc;

    use super::*;
    use crate::media::camera::{Camera, FrameSizes, SyntheticCamera};
    use crate::media::dependency::{Described, ends};
    use crate::media::vp8::read_frame_header;
    use crate::media::{Layer, vp9};

    /// The pictures of a lifelike camera.
    fn pictures(codec: CameraCodec, count: u32, key_at: u32) -> Vec<Vec<Frame>> {
        let video = match codec {
            CameraCodec::Vp8 => crate::VideoConfig::lifelike(false),
            CameraCodec::Vp9 => crate::VideoConfig::lifelike_scalable(),
        };
        let mut camera = (video.camera)(Ssrc(5), &video.layers, video.interval);
        let now = Instant::now();
        let mut picture = |tick: u32| {
            if tick == key_at {
                camera.request_key_frame();
            }
            let frames = camera.frames(now + tick * video.interval, &|_| true);
            frames.into_iter().flatten().collect()
        };
        (0..count).map(&mut picture).collect()
    }

    fn packetizer(codec: CameraCodec) -> Packetizer {
        Packetizer::new(codec, &mut Random::from_seed([2; 32]))
    }

    #[test]
    fn vp8_has_descriptors_that_others_read() {
        let mut packetizer = packetizer(CameraCodec::Vp8);
        for frame in pictures(CameraCodec::Vp8, 60, 20).into_iter().flatten() {
            let packets = packetizer.packets(&frame);
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
                let temporal = vp8::Descriptor::read(packet).unwrap().0.temporal;
                assert_eq!(temporal, frame.temporal);
            }
            let foreign = str0m::rtp::Vp8Descriptor::parse(&packets[0]).unwrap();
            assert_eq!(foreign.starts_keyframe(&packets[0]), frame.is_key);
        }
    }

    /// What the descriptors say of a frame's references is what the stamps say.
    #[test]
    fn vp9_describes_what_its_frames_refer_to() {
        let mut packetizer = packetizer(CameraCodec::Vp9);
        packetizer.frame_number = 65_500;
        let mut known = None;
        // The numbers in descriptors of picture and layer.
        let mut numbers = std::collections::BTreeMap::new();
        for frames in pictures(CameraCodec::Vp9, 60, 22) {
            let packets = packetizer.cut_all(&frames);
            let marked: Vec<bool> = packets.iter().map(|packet| packet.is_marked).collect();
            assert!(marked.iter().rev().skip(1).all(|is_marked| !is_marked));
            assert_eq!(marked.last(), Some(&true), "the picture ends once");
            let mut bytes = [0; 3];
            for packet in &packets {
                let (descriptor, rest) = vp9::Descriptor::read(&packet.payload).unwrap();
                assert_eq!(descriptor.picture_id, packetizer.picture_id);
                let rest = match descriptor.is_start {
                    true => vp9::read_frame_header(rest).unwrap().1,
                    false => rest,
                };
                let stamp = Stamp::read(rest).unwrap();
                assert_eq!(descriptor.spatial, stamp.layer);
                bytes[usize::from(stamp.layer)] += packet.payload.len();
                let described = packet.descriptor.as_ref().unwrap();
                let here = (descriptor.is_start, descriptor.is_end);
                assert_eq!(ends(described), Some(here));
                let has_structure = described.len() > 3;
                let opens = stamp.is_key() && stamp.layer == 0 && stamp.part == 0;
                assert_eq!(has_structure, opens);
                let described = Described::read(described, &mut known).unwrap();
                assert_eq!(described.frame.spatial, stamp.layer);
                assert_eq!(described.frame.place.temporal(), descriptor.temporal);
                let reference = match (stamp.is_key(), stamp.layer.checked_sub(1)) {
                    (true, None) => None,
                    (true, Some(below)) => Some((stamp.number, below)),
                    (false, _) => Some((stamp.reference, stamp.layer)),
                };
                let number = |of: (u32, u8)| numbers.get(&of).copied();
                assert_eq!(described.reference(), reference.and_then(number));
                assert_eq!(descriptor.is_inter_picture, !stamp.is_key());
                let is_upper = stamp.is_key() && stamp.layer > 0;
                assert_eq!(descriptor.is_inter_layer, is_upper);
                numbers.insert((stamp.number, stamp.layer), described.frame.number);
            }
            for frame in &frames {
                let of_frame = bytes[usize::from(frame.stamp.layer)];
                assert!(of_frame.abs_diff(frame.size) <= packets.len());
            }
        }
        assert_eq!(numbers.len(), 180);
    }

    #[test]
    fn vp9_with_other_layers_has_another_structure() {
        let video = crate::VideoConfig::lifelike_scalable();
        let mut camera = (video.camera)(Ssrc(5), &video.layers, video.interval);
        let mut packetizer = packetizer(CameraCodec::Vp9);
        let (now, mut known, mut seen) = (Instant::now(), None, Vec::new());
        for tick in 0..30u32 {
            let most = if tick < 10 { 720 } else { 180 };
            let at = now + tick * video.interval;
            let frames = camera.frames(at, &|layer| layer.height <= most);
            let frames: Vec<Frame> = frames.into_iter().flatten().collect();
            for packet in packetizer.cut_all(&frames) {
                let bytes = packet.descriptor.unwrap();
                let structure = Described::read(&bytes, &mut known).unwrap().structure;
                if seen.last() != Some(&structure) {
                    seen.push(structure);
                }
            }
        }
        let [three, one] = seen[..] else {
            panic!("{seen:?}")
        };
        assert_eq!((three.layers, one.layers), (3, 1));
        assert_eq!(one.offset, three.offset + 15);
    }

    #[test]
    fn packets_carry_the_stamp_behind_the_headers() {
        let mut packetizer = packetizer(CameraCodec::Vp8);
        let layer = Layer {
            width: 640,
            height: 360,
            bitrate_bps: 200_000,
        };
        let interval = Duration::from_millis(100);
        let sizes = FrameSizes::Plain;
        let mut camera = SyntheticCamera::with_sizes(Ssrc(5), &[layer], interval, sizes);
        let frame = camera.frames(Instant::now(), &|_| true)[0].unwrap();
        let packets = packetizer.packets(&frame);
        assert!(
            packets.len() > 1,
            "a key frame of this size takes several packets"
        );
        for (part, packet) in packets.iter().enumerate() {
            let (descriptor, mut rest) = vp8::Descriptor::read(packet).unwrap();
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
