//! Codecs besides VP8, and layers inside an encoding: what a receiver is sent can be decoded,
//! whatever its sender uses and changes to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tertulia_bridge::{Descriptor, Structure};
use tertulia_model::bridge::EndpointOffer;
use tertulia_peer::Made;

use crate::room::client::Received;
use crate::room::{OFFER, Room};
use crate::scalable::{Encoder, Frame, Layers, Prediction};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);
const PICTURE: Duration = Duration::from_millis(33);
const L1T3: Layers = Layers {
    spatial: 1,
    temporal: 3,
    prediction: Prediction::Full,
};
const L3T3: Layers = Layers { spatial: 3, ..L1T3 };
const L3T3_KEY: Layers = Layers {
    prediction: Prediction::Key,
    ..L3T3
};
const S3T3: Layers = Layers {
    prediction: Prediction::None,
    ..L3T3
};

/// How a camera codes, and whether its packets carry a dependency descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Codec {
    Vp8,
    Vp8Described,
    Vp9,
    Vp9Described,
    Av1,
    H264,
    /// H.264 without descriptors.
    H264Bare,
}

impl Codec {
    fn payload_type(self) -> u8 {
        match self {
            Codec::Vp8 | Codec::Vp8Described => 100,
            Codec::Vp9 | Codec::Vp9Described => 101,
            Codec::Av1 => 41,
            Codec::H264 | Codec::H264Bare => 107,
        }
    }

    fn is_described(self) -> bool {
        !matches!(self, Codec::Vp8 | Codec::Vp9 | Codec::H264Bare)
    }
}

/// The camera of client 0.
struct Camera {
    /// Counts changes of codec.
    life: u8,
    codec: Codec,
    /// The encodings that are sent, by their index.
    encoders: Vec<Encoder>,
    numbers: [u64; 3],
    pictures: u64,
    requests: u32,
    wants_keyframe: bool,
    /// Everything that was made: by life, encoding and frame.
    made: BTreeMap<(u8, u8, u64), Frame>,
}

/// What a packet says of where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    life: u8,
    encoding: u8,
    frame: u64,
    part: u8,
}

impl Camera {
    fn new(codec: Codec, layers: &[Layers]) -> Camera {
        let mut camera = Camera {
            life: 0,
            codec,
            encoders: Vec::new(),
            numbers: [0, 1, 2].map(|n| 65_300 + 100 * n),
            pictures: 0,
            requests: 0,
            wants_keyframe: true,
            made: BTreeMap::new(),
        };
        camera.change(codec, layers);
        camera.life = 0;
        camera
    }

    /// Goes on with other layers or another codec, on the same SSRCs.
    fn change(&mut self, codec: Codec, layers: &[Layers]) {
        self.life += 1;
        self.codec = codec;
        self.wants_keyframe = true;
        let offset = 17 * self.life;
        let of = |(n, layers): (u8, &Layers)| {
            let encoder = Encoder::new(*layers, (offset + 20 * n) % 64);
            encoder.at(0x7ff0 + u64::from(n), 0xfff0, 250).of_scale(n)
        };
        self.encoders = (0u8..).zip(layers).map(of).collect();
    }

    /// Sends for a while.
    fn film(&mut self, room: &mut Room, time: Duration) {
        for _ in 0..time.as_millis() / PICTURE.as_millis() {
            let requests = room.clients[0].keyframe_requests;
            self.wants_keyframe |= requests != self.requests;
            self.requests = requests;
            self.picture(room);
            room.run(PICTURE);
        }
    }

    fn picture(&mut self, room: &mut Room) {
        let is_key = std::mem::take(&mut self.wants_keyframe);
        let timestamp = (self.pictures * 3_000) as u32;
        self.pictures += 1;
        for (encoding, encoder) in (0u8..).zip(&mut self.encoders) {
            for frame in encoder.encode(is_key, u8::MAX) {
                let size = frame.spatial.max(encoding);
                let parts = 1u8 << size;
                for part in 0..parts {
                    let ends = (part == 0, part + 1 == parts);
                    let is_start = frame.is_key && frame.spatial == 0 && part == 0;
                    let mut payload = match self.codec {
                        Codec::Vp8 | Codec::Vp8Described => vp8(encoder, &frame, part == 0),
                        Codec::Vp9 | Codec::Vp9Described => encoder.vp9(&frame, ends),
                        Codec::Av1 => vec![0x10 | u8::from(is_start) << 3],
                        Codec::H264 | Codec::H264Bare => vec![if is_start { 0x67 } else { 0x41 }],
                    };
                    payload.resize(600, 0x55);
                    payload.extend([self.life, encoding]);
                    payload.extend(frame.number.to_be_bytes());
                    payload.push(part);
                    let number = &mut self.numbers[usize::from(encoding)];
                    *number += 1;
                    let descriptor = self.codec.is_described();
                    let made = Made {
                        payload_type: self.codec.payload_type(),
                        number: *number,
                        timestamp,
                        is_marked: frame.is_last && ends.1,
                        descriptor: descriptor.then(|| encoder.descriptor(&frame, ends, None)),
                        payload,
                        ..Made::default()
                    };
                    room.clients[0].write(room.now.mono, encoding, made);
                }
                self.made.insert((self.life, encoding, frame.number), frame);
            }
            if self.pictures.is_multiple_of(7) {
                // Padding, which nobody is to see or to miss.
                let number = &mut self.numbers[usize::from(encoding)];
                *number += 1;
                let padding = Made {
                    payload_type: self.codec.payload_type(),
                    number: *number,
                    timestamp,
                    ..Made::default()
                };
                room.clients[0].write(room.now.mono, encoding, padding);
            }
        }
    }

    fn frame(&self, stamp: Stamp) -> &Frame {
        &self.made[&(stamp.life, stamp.encoding, stamp.frame)]
    }
}

/// A packet of VP8 with everything in its descriptor (RFC 7741).
fn vp8(encoder: &Encoder, frame: &Frame, is_start: bool) -> Vec<u8> {
    let picture = frame.picture as u16 & 0x7fff;
    let mut bytes = vec![0x80 | u8::from(is_start) << 4, 0xe0];
    bytes.extend((0x8000 | picture).to_be_bytes());
    bytes.extend([frame.base_layer, frame.temporal << 6]);
    if is_start {
        let (width, height) = encoder.size(0);
        bytes.extend([u8::from(!frame.is_key), 0, 0, 0x9d, 1, 0x2a]);
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
    }
    bytes
}

fn stamp(packet: &Received) -> Stamp {
    let stamp = &packet.payload[packet.payload.len() - 11..];
    Stamp {
        life: stamp[0],
        encoding: stamp[1],
        frame: u64::from_be_bytes(stamp[2..10].try_into().unwrap()),
        part: stamp[10],
    }
}

/// Claims of everything that client `receiver` was sent of the camera: it begins with a key frame
/// and has no gap; each frame is there with all that it refers to, by the camera's word and by the
/// descriptors as they arrived; what begins anew begins with a key frame; time does not go back;
/// the last packet of a picture is marked, and no other.
fn check(room: &Room, camera: &Camera, receiver: usize) -> Vec<(Received, Stamp)> {
    let client = &room.clients[receiver];
    let videos = client.received.iter().filter(|packet| packet.is_video);
    let ssrcs: BTreeSet<u32> = videos.map(|packet| packet.ssrc).collect();
    assert_eq!(ssrcs.len(), 1, "one stream");
    let packets = client.stream(*ssrcs.first().unwrap());
    let packets: Vec<_> = packets
        .into_iter()
        .map(|packet| (packet.clone(), stamp(&packet)))
        .collect();
    assert!(packets[0].0.number < 65_536);
    let mut there = BTreeSet::new();
    let (mut structure, mut numbers): (Option<Structure>, BTreeSet<u16>) = Default::default();
    for (packet, stamp) in &packets {
        let frame = camera.frame(*stamp);
        let key = |number| (stamp.life, stamp.encoding, number);
        for reference in &frame.references {
            assert!(
                there.contains(&key(*reference)),
                "{frame:?} lacks {reference}"
            );
        }
        there.insert(key(frame.number));
        let Some(bytes) = &packet.descriptor else {
            continue;
        };
        let (descriptor, own) = Descriptor::read(bytes, structure.as_ref()).unwrap();
        let layers = (descriptor.spatial, descriptor.temporal);
        assert_eq!(layers, (frame.spatial, frame.temporal));
        if own.is_some() {
            numbers.clear();
            structure = own;
        }
        for reference in descriptor.references() {
            assert!(numbers.contains(&reference), "{frame:?} lacks {reference}");
        }
        numbers.insert(descriptor.number);
    }
    for pair in packets.windows(2) {
        let ((a, from_a), (b, from_b)) = (&pair[0], &pair[1]);
        let ahead = b.timestamp.wrapping_sub(a.timestamp);
        assert!(ahead < 1 << 31, "time goes back");
        let (frame_a, frame_b) = (camera.frame(*from_a), camera.frame(*from_b));
        let is_other = (from_a.life, from_a.encoding) != (from_b.life, from_b.encoding);
        assert!(!is_other || (frame_b.is_key && from_b.part == 0));
        let is_same = !is_other && frame_a.picture == frame_b.picture;
        assert_eq!(ahead == 0, is_same);
        // Key frames of all encodings come at once: a frame may be cut off by a better one.
        let is_cut = is_other && !a.is_marked;
        let step = if is_cut { 2 } else { 1 };
        assert_eq!(b.number, a.number + step, "{from_a:?} then {from_b:?}");
        assert_eq!(
            a.is_marked,
            !is_same && !is_cut,
            "{frame_a:?} then {frame_b:?}"
        );
    }
    packets
}

/// The frames of the last second, each once: encoding, spatial and temporal layer.
fn lately(room: &Room, camera: &Camera, receiver: usize) -> Vec<(u8, u8, u8)> {
    let since = room.now.mono - SECOND;
    let packets = check(room, camera, receiver).into_iter();
    let starts = packets.filter(|(packet, stamp)| packet.at > since && stamp.part == 0);
    let frames = starts.map(|(_, stamp)| {
        let frame = camera.frame(stamp);
        (stamp.encoding, frame.spatial, frame.temporal)
    });
    frames.collect()
}

/// Which encodings and spatial layers those are.
fn layers_lately(room: &Room, camera: &Camera, receiver: usize) -> Vec<(u8, u8)> {
    let frames = lately(room, camera, receiver).into_iter();
    let layers: BTreeSet<(u8, u8)> = frames
        .map(|(encoding, spatial, _)| (encoding, spatial))
        .collect();
    layers.into_iter().collect()
}

/// Client 0 films, client 1 watches.
fn pair() -> Room {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room
}

#[test]
fn vp9_with_full_prediction_goes_down_without_a_key_frame_and_up_with_one() {
    for codec in [Codec::Vp9, Codec::Vp9Described] {
        let mut room = pair();
        let mut camera = Camera::new(codec, &[L3T3]);
        room.ask(1, 720);
        camera.film(&mut room, 4 * SECOND);
        let all = [(0, 0), (0, 1), (0, 2)];
        assert_eq!(layers_lately(&room, &camera, 1), all, "{codec:?}");
        let before = room.clients[0].keyframe_requests;
        room.ask(1, 360);
        camera.film(&mut room, 2 * SECOND);
        assert_eq!(layers_lately(&room, &camera, 1), all[..2], "{codec:?}");
        assert_eq!(room.clients[0].keyframe_requests, before, "none was asked");
        room.ask(1, 720);
        camera.film(&mut room, 2 * SECOND);
        assert_eq!(layers_lately(&room, &camera, 1), all, "{codec:?}");
        let asked = room.clients[0].keyframe_requests - before;
        assert!((1..=2).contains(&asked), "{asked} key frames asked");
    }
}

#[test]
fn vp9_with_key_prediction_changes_layers_at_key_frames() {
    for codec in [Codec::Vp9, Codec::Vp9Described] {
        let mut room = pair();
        let mut camera = Camera::new(codec, &[L3T3_KEY]);
        room.ask(1, 720);
        camera.film(&mut room, 4 * SECOND);
        assert_eq!(layers_lately(&room, &camera, 1), [(0, 2)], "{codec:?}");
        let before = room.clients[0].keyframe_requests;
        room.ask(1, 180);
        camera.film(&mut room, 3 * SECOND);
        assert_eq!(layers_lately(&room, &camera, 1), [(0, 0)], "{codec:?}");
        room.ask(1, 720);
        camera.film(&mut room, 3 * SECOND);
        assert_eq!(layers_lately(&room, &camera, 1), [(0, 2)], "{codec:?}");
        let asked = room.clients[0].keyframe_requests - before;
        assert!((2..=4).contains(&asked), "{asked} key frames asked");
    }
}

#[test]
fn vp9_with_fewer_layers_than_before_goes_on() {
    for codec in [Codec::Vp9, Codec::Vp9Described] {
        let mut room = pair();
        let mut camera = Camera::new(codec, &[L3T3]);
        room.ask(1, 720);
        camera.film(&mut room, 3 * SECOND);
        camera.change(codec, &[Layers { spatial: 2, ..L3T3 }]);
        camera.film(&mut room, 2 * SECOND);
        let frames = lately(&room, &camera, 1);
        assert_eq!(layers_lately(&room, &camera, 1), [(0, 0), (0, 1)]);
        assert!(frames.len() > 55, "{} frames", frames.len());
    }
}

#[test]
fn simulcast_in_every_codec() {
    for codec in [
        Codec::Vp8Described,
        Codec::Vp9,
        Codec::Vp9Described,
        Codec::Av1,
        Codec::H264,
        Codec::H264Bare,
    ] {
        let layers = match codec {
            Codec::H264Bare => Layers {
                temporal: 1,
                ..L1T3
            },
            _ => L1T3,
        };
        let mut room = pair();
        let mut camera = Camera::new(codec, &[layers; 3]);
        for (height, encoding) in [(720, 2), (180, 0), (360, 1), (720, 2)] {
            room.ask(1, height);
            camera.film(&mut room, 3 * SECOND);
            let seen = layers_lately(&room, &camera, 1);
            assert_eq!(seen, [(encoding, 0)], "{codec:?} at {height}");
        }
    }
}

#[test]
fn av1_decode_targets_follow_what_is_asked() {
    for (layers, at_720, at_180) in [
        (L3T3_KEY, &[(0, 2)][..], &[(0, 0)][..]),
        (S3T3, &[(0, 2)], &[(0, 0)]),
        (L3T3, &[(0, 0), (0, 1), (0, 2)], &[(0, 0)]),
    ] {
        let mut room = pair();
        let mut camera = Camera::new(Codec::Av1, &[layers]);
        for _ in 0..2 {
            room.ask(1, 720);
            camera.film(&mut room, 3 * SECOND);
            assert_eq!(layers_lately(&room, &camera, 1), at_720, "{layers:?}");
            room.ask(1, 180);
            camera.film(&mut room, 3 * SECOND);
            assert_eq!(layers_lately(&room, &camera, 1), at_180, "{layers:?}");
        }
        // The receiver is told which decode targets are left.
        let packets = check(&room, &camera, 1);
        let mut structure = None;
        let mut active = None;
        for (packet, _) in &packets {
            let bytes = packet.descriptor.as_ref().unwrap();
            let (descriptor, own) = Descriptor::read(bytes, structure.as_ref()).unwrap();
            if own.is_some() {
                active = None;
            }
            active = descriptor.active.or(active);
            structure = own.or(structure);
        }
        assert_eq!(active, Some(0b111), "{layers:?}");
    }
}

#[test]
fn a_late_joiner_gets_the_structure() {
    let mut room = pair();
    let mut camera = Camera::new(Codec::Av1, &[L3T3_KEY]);
    room.ask(1, 720);
    camera.film(&mut room, 4 * SECOND);
    let late = room.join_with("c", OFFER, |_| {});
    room.publish(late);
    camera.film(&mut room, SECOND);
    room.ask(late, 180);
    camera.film(&mut room, 3 * SECOND);
    assert_eq!(layers_lately(&room, &camera, late), [(0, 0)]);
    assert_eq!(layers_lately(&room, &camera, 1), [(0, 2)]);
}

#[test]
fn another_codec_in_the_middle_of_a_call_goes_on_with_the_numbers() {
    for offer in [
        OFFER,
        EndpointOffer {
            has_ssrc_rewriting: true,
            ..OFFER
        },
    ] {
        let mut room = Room::new(config());
        room.party(&["a"]);
        let receiver = room.join_with("b", offer, |_| {});
        room.publish(receiver);
        room.run_until(5 * SECOND, |room| room.clients[receiver].is_connected);
        let simulcast = [L1T3; 3];
        let mut camera = Camera::new(Codec::Vp8, &simulcast);
        room.ask(receiver, 720);
        camera.film(&mut room, 3 * SECOND);
        for (codec, layers) in [
            (Codec::Vp9, &[L3T3_KEY][..]),
            (Codec::Vp8Described, &simulcast),
            (Codec::Av1, &[L3T3_KEY]),
            (Codec::H264, &simulcast),
            (Codec::Vp8, &simulcast),
        ] {
            camera.change(codec, layers);
            let start = room.now.mono;
            camera.film(&mut room, 3 * SECOND);
            let packets = check(&room, &camera, receiver);
            let first = packets.iter().find(|(_, stamp)| stamp.life == camera.life);
            let waited = first.expect("it goes on").0.at - start;
            assert!(
                waited < Duration::from_millis(300),
                "{codec:?} after {waited:?}"
            );
            let top = layers_lately(&room, &camera, receiver);
            let expected = if layers.len() == 3 { (2, 0) } else { (0, 2) };
            assert_eq!(top, [expected], "{codec:?}");
        }
    }
}

/// What is lost on the way up comes again, and fits in.
#[test]
fn layers_with_loss() {
    for (codec, layers) in [
        (Codec::Vp9, L3T3_KEY),
        (Codec::Av1, L3T3),
        (Codec::H264, L1T3),
    ] {
        let mut room = pair();
        let mut camera = Camera::new(codec, &[layers]);
        room.ask(1, 720);
        camera.film(&mut room, 2 * SECOND);
        room.clients[0].loss_up = 5;
        camera.film(&mut room, 6 * SECOND);
        room.clients[0].loss_up = 0;
        camera.film(&mut room, 2 * SECOND);
        let ssrc = room.clients[0].video_ssrc();
        let packets = room.clients[1].stream(ssrc);
        let mut missing = 0;
        for pair in packets.windows(2) {
            assert!(pair[1].number > pair[0].number, "no number twice");
            missing += pair[1].number - pair[0].number - 1;
        }
        let share = missing as f64 / packets.len() as f64;
        // Padding that is lost does not come again.
        assert!(share < 0.03, "{codec:?}: {missing} of {}", packets.len());
    }
}

/// A packet whose descriptor is noise is not forwarded, and harms nobody.
#[test]
fn descriptors_that_say_nothing_are_survived() {
    let mut room = pair();
    let mut camera = Camera::new(Codec::Av1, &[L3T3_KEY]);
    room.ask(1, 720);
    camera.film(&mut room, 2 * SECOND);
    for n in 0..200u64 {
        let number = &mut camera.numbers[0];
        *number += 1;
        let length = (n * 7 % 255 + 1) as usize;
        let noise = (0..length).map(|at| (n as usize * 31 + at * 17) as u8);
        let mut payload = vec![0x10; 600];
        payload.extend([9; 11]);
        let made = Made {
            payload_type: 41,
            number: *number,
            timestamp: (camera.pictures * 3_000 + n) as u32,
            is_marked: true,
            descriptor: Some(noise.collect()),
            payload,
            ..Made::default()
        };
        room.clients[0].write(room.now.mono, 0, made);
        room.run(Duration::from_millis(2));
    }
    room.clients[1].received.clear();
    camera.wants_keyframe = true;
    camera.film(&mut room, SECOND);
    let packets = room.clients[1].stream(room.clients[0].video_ssrc());
    let good = packets.iter().filter(|packet| stamp(packet).life == 0);
    assert!(good.count() > 100);
}
