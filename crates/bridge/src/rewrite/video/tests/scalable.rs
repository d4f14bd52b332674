//! VP9, AV1 and H.264: what a receiver is sent can be decoded, whatever it is to get.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tertulia_transport::send::Descriptor as DescriptorBytes;

use proptest::prelude::*;

use super::super::*;
use crate::descriptor::Descriptor;
use crate::rewrite::vp9::Vp9Header;
use crate::scalable::{Encoder, Frame as Encoded, Layers, Prediction};

/// How an encoding's packets say what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Speech {
    Vp9,
    Av1,
    H264,
}

/// One encoding of a source.
struct Sender {
    speech: Speech,
    encoding: u8,
    encoder: Encoder,
    number: u64,
    timestamp: u32,
    /// In the order of the numbers of the packets that they came with.
    structures: Vec<(u64, Arc<Structure>)>,
    /// The decode targets that the next picture says are left.
    active: Option<u32>,
}

/// One packet of it.
#[derive(Clone, Debug)]
struct Packet {
    encoding: u8,
    frame: Encoded,
    number: u64,
    timestamp: u32,
    part: u64,
    is_marked: bool,
    speech: Speech,
    payload: Vec<u8>,
    descriptor: Option<Vec<u8>>,
}

/// A packet as the receiver gets it.
#[derive(Clone, Debug)]
struct Out {
    number: u64,
    timestamp: u32,
    is_marked: bool,
    payload: Vec<u8>,
    descriptor: Option<Vec<u8>>,
    from: Packet,
}

const L3T3: Layers = Layers {
    spatial: 3,
    temporal: 3,
    prediction: Prediction::Full,
};
const L3T3_KEY: Layers = Layers {
    prediction: Prediction::Key,
    ..L3T3
};
const L1T3: Layers = Layers { spatial: 1, ..L3T3 };

fn target(encoding: u8, spatial: u8, temporal: u8) -> Target {
    Target {
        encoding,
        spatial,
        temporal,
    }
}

impl Sender {
    fn new(speech: Speech, encoding: u8, layers: Layers) -> Sender {
        let offset = 50 + 5 * encoding;
        let encoder = Encoder::new(layers, offset);
        Sender {
            speech,
            encoding,
            encoder: encoder
                .at(0x7ffa + u64::from(encoding), 0xfff8, 253)
                .of_scale(encoding),
            number: 70_000 * u64::from(encoding + 1),
            timestamp: u32::MAX - 9_000 * u32::from(encoding),
            structures: Vec::new(),
            active: None,
        }
    }

    /// Goes over from three spatial layers to one, or back, behind a frame: with a structure whose
    /// templates have other numbers, at a key picture.
    fn change_layers(&mut self, last: &Encoded) {
        let layers = match self.encoder.layers.spatial {
            1 => L3T3_KEY,
            _ => L1T3,
        };
        let encoder = Encoder::new(layers, (self.encoder.offset + 15) % 64);
        self.encoder = encoder.at(last.picture + 1, last.number + 1, last.base_layer);
    }

    /// The packets of the next picture, so many for each frame.
    fn picture(&mut self, is_key: bool, spatial: u8, parts: u64) -> Vec<Packet> {
        let mut packets = Vec::new();
        for frame in self.encoder.encode(is_key, spatial) {
            for part in 0..parts {
                let ends = (part == 0, part + 1 == parts);
                let is_start = frame.is_key && frame.spatial == 0 && part == 0;
                let payload = match self.speech {
                    Speech::Vp9 => self.encoder.vp9(&frame, ends),
                    Speech::Av1 => vec![0x10 | u8::from(is_start) << 3],
                    Speech::H264 => vec![if is_start { 0x67 } else { 0x41 }],
                };
                let has_descriptor = self.speech != Speech::Vp9;
                packets.push(Packet {
                    encoding: self.encoding,
                    number: self.number,
                    timestamp: self.timestamp,
                    part,
                    is_marked: frame.is_last && part + 1 == parts,
                    speech: self.speech,
                    payload,
                    descriptor: has_descriptor
                        .then(|| self.encoder.descriptor(&frame, ends, self.active)),
                    frame: frame.clone(),
                });
                self.number += 1;
            }
        }
        self.active = None;
        self.timestamp = self.timestamp.wrapping_add(3_000);
        packets
    }

    fn feed(
        &mut self,
        rewrite: &mut VideoRewrite,
        now: Instant,
        packet: &Packet,
        target: Target,
    ) -> Result<Out, Verdict> {
        let bytes = packet.descriptor.as_deref().map(DescriptorBytes::new);
        // As the bridge reads them: what the structure is missing for says nothing.
        let mut known = self.structures.iter().rev();
        let known = known.find(|(from, _)| *from <= packet.number);
        let mut structure = known.map(|(_, structure)| Arc::clone(structure));
        let read = bytes.as_ref().and_then(|bytes| {
            let (descriptor, own) = Descriptor::read(bytes.bytes(), structure.as_deref()).ok()?;
            if let Some(own) = own.map(Arc::new) {
                structure = Some(Arc::clone(&own));
                self.structures.push((packet.number, own));
                self.structures.sort_by_key(|(from, _)| *from);
            }
            Some(descriptor)
        });
        structure = structure.filter(|_| read.is_some());
        let codec = match packet.speech {
            Speech::Vp9 => VideoCodec::Vp9,
            Speech::Av1 => VideoCodec::Av1,
            Speech::H264 => VideoCodec::H264,
        };
        let header = VideoHeader::read(codec, &packet.payload, read).unwrap();
        let arrived = VideoPacket {
            header: &header,
            structure: structure.as_deref(),
            encoding: packet.encoding,
            number: packet.number,
            timestamp: packet.timestamp,
            is_marked: packet.is_marked,
        };
        let numbers = match rewrite.pass(now, arrived, Some(target)) {
            Verdict::Forward(numbers) => numbers,
            verdict => return Err(verdict),
        };
        let mut payload = packet.payload.clone();
        if let Some(patch) = numbers.payload {
            patch.apply(&mut payload);
        }
        let edited = numbers
            .descriptor
            .zip(read)
            .zip(bytes)
            .and_then(|((edit, read), bytes)| read.edited(&bytes, &edit));
        Ok(Out {
            number: numbers.number,
            timestamp: numbers.timestamp,
            is_marked: numbers.is_marked,
            payload,
            descriptor: edited.map(|bytes| bytes.bytes().to_vec()),
            from: packet.clone(),
        })
    }
}

/// What every receiver must see, in the order of numbers: it begins with a key frame; each frame is
/// there with all that it refers to, under the numbers of the receiver; times and pictures go
/// forward; the last packet of a picture is marked. Gives back the packets in order.
fn check(outs: &[Out]) -> Vec<Out> {
    let mut ordered: BTreeMap<u64, Out> = BTreeMap::new();
    for out in outs {
        let before = ordered.insert(out.number, out.clone());
        assert!(before.is_none(), "{} twice", out.number);
    }
    let ordered: Vec<Out> = ordered.into_values().collect();
    let Some(first) = ordered.first() else {
        return ordered;
    };
    assert!(first.from.frame.is_key && first.from.frame.spatial == 0 && first.from.part == 0);
    assert!(first.number < 65_536);
    // By encoding and number, as the sender counted.
    let mut there: BTreeSet<(Speech, u8, u64)> = BTreeSet::new();
    let mut structure: Option<Structure> = None;
    let mut numbers: BTreeSet<u16> = BTreeSet::new();
    for out in &ordered {
        let frame = &out.from.frame;
        let key = |number| (out.from.speech, out.from.encoding, number);
        for reference in &frame.references {
            assert!(
                there.contains(&key(*reference)),
                "{frame:?} lacks {reference}"
            );
        }
        there.insert(key(frame.number));
        let Some(bytes) = &out.descriptor else {
            continue;
        };
        let (descriptor, own) = Descriptor::read(bytes, structure.as_ref()).unwrap();
        assert_eq!(
            (descriptor.spatial, descriptor.temporal),
            (frame.spatial, frame.temporal)
        );
        if own.is_some() {
            numbers.clear();
            structure = own;
        }
        for reference in descriptor.references() {
            assert!(numbers.contains(&reference), "{frame:?} lacks {reference}");
        }
        numbers.insert(descriptor.number);
    }
    for pair in ordered.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        let ahead = b.timestamp.wrapping_sub(a.timestamp);
        assert!(ahead < 1 << 31, "time goes back");
        let is_same = a.from.encoding == b.from.encoding && a.from.timestamp == b.from.timestamp;
        assert_eq!(is_same, ahead == 0);
        assert_eq!(
            a.is_marked, !is_same,
            "{:?} then {:?}",
            a.from.frame, b.from.frame
        );
        if !is_same {
            assert!(a.from.encoding == b.from.encoding || b.from.frame.is_key);
        }
        if let (Some(before), Some(after)) = (vp9_of(a), vp9_of(b)) {
            let step = after.0.wrapping_sub(before.0) & 0x7fff;
            assert!(if is_same {
                step == 0
            } else {
                (1..10).contains(&step)
            });
            let step = after.1.wrapping_sub(before.1);
            assert!(step < 10, "base layer {} {}", before.1, after.1);
        }
    }
    ordered
}

fn vp9_of(out: &Out) -> Option<(u16, u8)> {
    if out.from.speech != Speech::Vp9 {
        return None;
    }
    let header = Vp9Header::parse(&out.payload)?;
    Some((header.picture?.0, header.base_layer()?))
}

/// Feeds so many pictures; which frames got through, as `spatial.temporal`, a word per picture.
fn run(
    sender: &mut Sender,
    rewrite: &mut VideoRewrite,
    target: Target,
    keys: &[bool],
    outs: &mut Vec<Out>,
) -> (Vec<String>, bool) {
    let now = Instant::now();
    let mut words = Vec::new();
    let mut wants_key = false;
    for is_key in keys {
        let mut word = String::new();
        for packet in sender.picture(*is_key, u8::MAX, 2) {
            match sender.feed(rewrite, now, &packet, target) {
                Ok(out) => {
                    if packet.part == 0 {
                        word += &format!("{}.{} ", packet.frame.spatial, packet.frame.temporal);
                    }
                    outs.push(out);
                }
                Err(verdict) => wants_key |= verdict == Verdict::DropForWantOfKeyframe,
            }
        }
        words.push(word.trim().to_owned());
    }
    (words, wants_key)
}

const DELTA: [bool; 4] = [false; 4];

#[test]
fn layers_of_full_prediction_go_down_without_a_key_frame_and_up_with_one() {
    for speech in [Speech::Vp9, Speech::Av1] {
        let mut sender = Sender::new(speech, 0, L3T3);
        let (mut rewrite, mut outs) = (VideoRewrite::default(), Vec::new());
        let mut run =
            |target, keys: &[bool]| run(&mut sender, &mut rewrite, target, keys, &mut outs);
        let (words, wants) = run(target(0, 2, 7), &[true, false, false, false]);
        assert_eq!(words[0], "0.0 1.0 2.0");
        assert_eq!(words[1], "0.2 1.2 2.2");
        assert!(!wants);
        let (words, wants) = run(target(0, 1, 7), &DELTA);
        assert_eq!(
            words,
            ["0.0 1.0", "0.2 1.2", "0.1 1.1", "0.2 1.2"],
            "{speech:?}"
        );
        assert!(!wants);
        let (words, _) = run(target(0, 1, 1), &DELTA);
        assert_eq!(words, ["0.0 1.0", "", "0.1 1.1", ""]);
        let (words, wants) = run(target(0, 2, 7), &DELTA);
        assert!(
            words
                .iter()
                .all(|word| !word.contains("2.") || word.ends_with(".2")),
            "{words:?}"
        );
        assert!(wants, "{speech:?} asks for a key frame");
        let (words, wants) = run(target(0, 2, 7), &[true, false]);
        assert_eq!(words, ["0.0 1.0 2.0", "0.2 1.2 2.2"]);
        assert!(!wants);
        let outs = check(&outs);
        assert!(
            outs.windows(2)
                .all(|pair| pair[1].number == pair[0].number + 1)
        );
    }
}

/// k-SVC: of the lower layers only the key frames are sent. What it goes on with below is not
/// there when it goes down: both ways need a key frame.
#[test]
fn layers_of_key_prediction_change_at_key_frames() {
    for speech in [Speech::Vp9, Speech::Av1] {
        let mut sender = Sender::new(speech, 0, L3T3_KEY);
        let (mut rewrite, mut outs) = (VideoRewrite::default(), Vec::new());
        let mut run =
            |target, keys: &[bool]| run(&mut sender, &mut rewrite, target, keys, &mut outs);
        let (words, wants) = run(target(0, 2, 7), &[true, false, false, false]);
        assert_eq!(words, ["0.0 1.0 2.0", "2.2", "2.1", "2.2"], "{speech:?}");
        assert!(!wants);
        run(target(0, 2, 7), &DELTA);
        let (words, wants) = run(target(0, 1, 7), &DELTA);
        assert!(
            words
                .iter()
                .all(|word| word.is_empty() || word.starts_with("2."))
        );
        assert!(wants && words[0] == "2.0");
        let (words, wants) = run(target(0, 1, 7), &[true, false, false]);
        assert_eq!(words, ["0.0 1.0", "1.2", "1.1"]);
        assert!(!wants);
        // Fewer pictures, and more again, without one.
        let (words, wants) = run(target(0, 1, 0), &[false; 5]);
        assert_eq!(words[1..], ["1.0", "", "", ""]);
        let (more, wants_more) = run(target(0, 1, 7), &[false; 4]);
        assert_eq!(more, ["1.0", "1.2", "1.1", "1.2"]);
        assert!(!wants && !wants_more);
        let (_, wants) = run(target(0, 2, 7), &DELTA);
        assert!(wants);
        check(&outs);
    }
}

#[test]
fn independent_layers_of_one_stream_are_chosen_alone() {
    let layers = Layers {
        prediction: Prediction::None,
        ..L3T3
    };
    let mut sender = Sender::new(Speech::Av1, 0, layers);
    let (mut rewrite, mut outs) = (VideoRewrite::default(), Vec::new());
    let mut run = |target, keys: &[bool]| run(&mut sender, &mut rewrite, target, keys, &mut outs);
    let (words, _) = run(target(0, 2, 7), &[true, false, false, false]);
    assert_eq!(words[0], "0.0 2.0", "the first brings the structure");
    assert_eq!(words[1..], ["2.2", "2.1", "2.2"]);
    run(target(0, 2, 7), &DELTA);
    let (_, wants) = run(target(0, 0, 7), &DELTA);
    assert!(wants);
    let (words, _) = run(target(0, 0, 7), &[true, false]);
    assert_eq!(words, ["0.0", "0.2"]);
    check(&outs);
}

/// A sender that gives up its highest layer without saying so more than once.
#[test]
fn a_structure_of_fewer_layers_counts() {
    for speech in [Speech::Vp9, Speech::Av1] {
        let mut sender = Sender::new(speech, 0, L3T3);
        let (mut rewrite, mut outs) = (VideoRewrite::default(), Vec::new());
        run(
            &mut sender,
            &mut rewrite,
            target(0, 2, 7),
            &[true, false],
            &mut outs,
        );
        let mut fewer = Sender::new(speech, 0, Layers { spatial: 2, ..L3T3 });
        let next = sender
            .structures
            .last()
            .map_or(0, |(_, known)| known.next_template());
        fewer.encoder = Encoder::new(Layers { spatial: 2, ..L3T3 }, next);
        fewer.encoder = fewer.encoder.at(0x7ffc, 0xfffe, 254);
        fewer.number = sender.number;
        fewer.timestamp = sender.timestamp;
        fewer.structures.clone_from(&sender.structures);
        let (words, wants) = run(
            &mut fewer,
            &mut rewrite,
            target(0, 2, 7),
            &[true, false, false],
            &mut outs,
        );
        assert_eq!(words, ["0.0 1.0", "0.2 1.2", "0.1 1.1"], "{speech:?}");
        assert!(!wants);
        let outs = check(&outs);
        assert!(
            outs.windows(2)
                .all(|pair| pair[1].number == pair[0].number + 1)
        );
    }
}

/// More layers of time are wanted while frames are missing: what goes out at once and refers to
/// them is of no use unless they do too, however late.
#[test]
fn what_comes_late_is_sent_where_what_refers_to_it_was() {
    let now = Instant::now();
    for speech in [Speech::Vp9, Speech::Av1, Speech::H264] {
        for late in [[1, 2], [2, 1]] {
            let (mut sender, mut rewrite) = (Sender::new(speech, 0, L1T3), VideoRewrite::default());
            let pictures: Vec<_> = (0..10)
                .map(|n| sender.picture(n == 0, u8::MAX, 1))
                .collect();
            let mut outs = Vec::new();
            let mut pass = |n: usize, temporal| {
                let packet = &pictures[n][0];
                outs.extend(sender.feed(&mut rewrite, now, packet, target(0, 0, temporal)));
            };
            pass(0, 0);
            for n in [3, 4, late[0], 5, late[1], 6, 7, 8, 9] {
                pass(n, 2);
            }
            let sent: Vec<_> = outs.iter().map(|out| out.from.frame.number).collect();
            assert!(sent.len() >= 7, "{speech:?}: {sent:?}");
            check(&outs);
        }
    }
}

/// It need not be said again which decode targets are left, and comes back with the next key frame.
#[test]
fn a_layer_that_is_given_up_is_not_waited_for() {
    let mut sender = Sender::new(Speech::Av1, 0, L3T3);
    let (mut rewrite, mut outs) = (VideoRewrite::default(), Vec::new());
    let all = target(0, 2, 7);
    run(
        &mut sender,
        &mut rewrite,
        all,
        &[true, false, false, false],
        &mut outs,
    );
    sender.active = Some(0b11_1111);
    let now = Instant::now();
    let mut words = Vec::new();
    for _ in 0..6 {
        let mut word = String::new();
        for packet in sender.picture(false, 2, 1) {
            let out = sender.feed(&mut rewrite, now, &packet, all).unwrap();
            word += &format!("{} ", out.from.frame.spatial);
            let bytes = out.descriptor.as_deref().unwrap();
            let known = sender.structures.last().map(|(_, known)| known.as_ref());
            let (descriptor, _) = Descriptor::read(bytes, known).unwrap();
            let is_first = words.is_empty();
            assert_eq!(descriptor.active, is_first.then_some(0b11_1111));
            outs.push(out);
        }
        words.push(word);
    }
    assert_eq!(words, ["0 1 "; 6]);
    let (words, _) = run(&mut sender, &mut rewrite, all, &[true], &mut outs);
    assert_eq!(words, ["0.0 1.0 2.0"]);
    check(&outs);
}

/// Simulcast with descriptors: templates of different encodings do not mix, frame numbers go on,
/// and the decode targets are told.
#[test]
fn descriptors_go_on_across_encodings() {
    for speech in [Speech::Av1, Speech::H264] {
        let mut low = Sender::new(speech, 0, L1T3);
        let mut high = Sender::new(speech, 2, L1T3);
        let (mut rewrite, mut outs) = (VideoRewrite::default(), Vec::new());
        run(
            &mut low,
            &mut rewrite,
            target(2, 7, 7),
            &[true, false, false],
            &mut outs,
        );
        let before = outs.len();
        let (words, _) = run(
            &mut high,
            &mut rewrite,
            target(2, 7, 7),
            &[true, false],
            &mut outs,
        );
        assert_eq!(words, ["0.0", "0.2"]);
        let read = |out: &Out, known: Option<&Structure>| {
            Descriptor::read(out.descriptor.as_ref().unwrap(), known).unwrap()
        };
        let (_, first) = read(&outs[0], None);
        let first = first.unwrap();
        let (last, _) = read(&outs[before - 1], Some(&first));
        let (next, second) = read(&outs[before], None);
        let second = second.unwrap();
        assert_eq!(next.number, last.number.wrapping_add(1));
        assert_eq!(second.first_template(), first.next_template());
        assert_eq!(next.active, None, "all of them");
        // Down to fewer pictures: told with the frame at which it begins.
        let mut masks = Vec::new();
        for packet in high
            .picture(false, 7, 1)
            .into_iter()
            .chain(high.picture(false, 7, 1))
        {
            let _ = high.feed(&mut rewrite, Instant::now(), &packet, target(2, 0, 7));
        }
        for packet in high.picture(false, 7, 2) {
            let out = high.feed(&mut rewrite, Instant::now(), &packet, target(2, 0, 0));
            masks.push(read(&out.unwrap(), Some(&second)).0.active);
        }
        assert_eq!(masks, [Some(1), Some(1)], "{speech:?}");
        check(&outs);
    }
}

/// The same SSRC, one codec after the other.
#[test]
fn another_codec_goes_on_where_the_one_before_stood() {
    let start = Instant::now();
    let mut rewrite = VideoRewrite::default();
    let mut outs: Vec<Out> = Vec::new();
    let speeches = [
        Speech::Vp9,
        Speech::Av1,
        Speech::H264,
        Speech::Av1,
        Speech::Vp9,
    ];
    let mut number = 90_000;
    for (n, speech) in speeches.into_iter().enumerate() {
        let mut sender = Sender::new(speech, 0, L1T3);
        sender.number = number;
        sender.timestamp = 3_000 * n as u32;
        let now = start + Duration::from_millis(200 * n as u64);
        // It begins in the middle, and the last packet of all is lost.
        for n in 0..5 {
            for packet in sender.picture(n == 1, 7, 2) {
                if n == 4 && packet.part == 1 {
                    continue;
                }
                match sender.feed(&mut rewrite, now, &packet, target(0, 7, 7)) {
                    Ok(out) => outs.push(out),
                    Err(verdict) => {
                        assert!(n == 0 && verdict == Verdict::DropForWantOfKeyframe);
                    }
                }
            }
        }
        number = sender.number;
    }
    let mut ordered = outs.clone();
    ordered.sort_by_key(|out| out.number);
    let mut pictures = Vec::new();
    for pair in ordered.windows(2) {
        assert!((1..=2).contains(&(pair[1].number - pair[0].number)));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 1 << 31);
        if pair[0].from.speech != pair[1].from.speech {
            assert!(pair[1].from.frame.is_key && pair[1].from.part == 0);
        }
        pictures.extend(vp9_of(&pair[1]));
    }
    assert!(
        pictures
            .windows(2)
            .all(|pair| pair[1].0.wrapping_sub(pair[0].0) & 0x7fff < 3)
    );
}

#[derive(Clone, Copy, Debug)]
struct Step {
    is_key: bool,
    parts: u64,
    target: Option<(u8, u8, u8)>,
}

fn step() -> impl Strategy<Value = Step> {
    (
        proptest::bool::weighted(0.1),
        1u64..4,
        proptest::option::weighted(0.15, (0u8..3, 0u8..3, 0u8..3)),
    )
        .prop_map(|(is_key, parts, target)| Step {
            is_key,
            parts,
            target,
        })
}

fn sources() -> impl Strategy<Value = (Speech, Vec<Layers>)> {
    let layers = |prediction| Layers { prediction, ..L3T3 };
    prop_oneof![
        Just((Speech::Vp9, vec![layers(Prediction::Full)])),
        Just((Speech::Vp9, vec![layers(Prediction::Key)])),
        Just((Speech::Vp9, vec![L1T3; 3])),
        Just((Speech::Av1, vec![layers(Prediction::Full)])),
        Just((Speech::Av1, vec![layers(Prediction::Key)])),
        Just((Speech::Av1, vec![layers(Prediction::None)])),
        Just((Speech::Av1, vec![L1T3; 3])),
        Just((Speech::H264, vec![L1T3; 3])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is asked for, and whenever: what is sent can be decoded, begins with a key frame
    /// after each change of encoding, and has no gap. Where nothing is lost, nothing is missing.
    #[test]
    fn receivers_can_decode_what_they_are_sent(
        (speech, encodings) in sources(),
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut senders: Vec<Sender> = (0u8..)
            .zip(encodings)
            .map(|(encoding, layers)| Sender::new(speech, encoding, layers))
            .collect();
        let mut rewrite = VideoRewrite::default();
        let start = Instant::now();
        let mut wanted = target(0, 2, 2);
        let mut outs = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let now = start + Duration::from_millis(33 * n as u64);
            if let Some((encoding, spatial, temporal)) = step.target {
                let encoding = encoding.min(senders.len() as u8 - 1);
                wanted = target(encoding, spatial, temporal);
            }
            for sender in &mut senders {
                let is_key = step.is_key || n == 0;
                for packet in sender.picture(is_key, 3, step.parts) {
                    outs.extend(sender.feed(&mut rewrite, now, &packet, wanted).ok());
                }
            }
        }
        let ordered = check(&outs);
        for pair in ordered.windows(2) {
            prop_assert_eq!(pair[1].number, pair[0].number + 1);
        }
        prop_assert!(!ordered.is_empty());
    }
}

/// What happens to a packet on its way up: nothing, it never comes, or that many others overtake it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Late(usize),
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        12 => Just(Fate::Arrives),
        1 => Just(Fate::Lost),
        2 => (1usize..40).prop_map(Fate::Late),
    ];
    proptest::collection::vec(fate, 64..256)
}

/// The order in which packets come, by their places among those that were sent.
fn arrivals(fates: &[Fate], count: usize) -> Vec<usize> {
    let mut due: Vec<(usize, usize)> = Vec::new();
    for (place, fate) in (0..count).zip(fates.iter().cycle()) {
        match fate {
            Fate::Arrives => due.push((place, place)),
            Fate::Lost => {}
            Fate::Late(by) => due.push((place + by, place)),
        }
    }
    due.sort_by_key(|(at, place)| (*at, std::cmp::Reverse(*place)));
    due.into_iter().map(|(_, place)| place).collect()
}

impl Out {
    fn name(&self) -> String {
        let Encoded {
            picture,
            number,
            spatial,
            temporal,
            is_key,
            ..
        } = self.from.frame;
        let (part, is_marked) = (self.from.part, self.is_marked);
        format!(
            "{} (of {}): {picture}/{number} {spatial}.{temporal} part {part} key {is_key} marked {is_marked}",
            self.number, self.from.number
        )
    }
}

/// What a receiver makes of it, once all has come that ever does: what it cannot decode, or would
/// take for the end of a picture, must be seen from a hole in the numbers.
fn check_with_holes(outs: &[Out], filled: &BTreeSet<u64>) -> Result<(), TestCaseError> {
    let mut ordered: BTreeMap<u64, &Out> = BTreeMap::new();
    for out in outs {
        prop_assert!(
            ordered.insert(out.number, out).is_none(),
            "{} twice",
            out.number
        );
        prop_assert!(!filled.contains(&out.number), "{} was filled", out.number);
    }
    let mut there: BTreeSet<u64> = BTreeSet::new();
    let mut is_holed = false;
    let mut before: Option<&Out> = None;
    for out in ordered.values() {
        let frame = &out.from.frame;
        let has_gap = before.is_some_and(|before| {
            (before.number + 1..out.number).any(|number| !filled.contains(&number))
        });
        is_holed |= has_gap;
        if let Some(before) = before {
            let is_same = before.from.timestamp == out.from.timestamp
                && before.from.encoding == out.from.encoding;
            let ahead = out.timestamp.wrapping_sub(before.timestamp);
            prop_assert!(
                ahead < 1 << 31 && (ahead == 0) == is_same,
                "{} {}",
                before.name(),
                out.name()
            );
            let is_anew = frame.is_key && frame.spatial == 0 && out.from.part == 0;
            // What was left out late may have been the end of the picture; and which layer ends a key
            // picture may be decided before all of it has come.
            let is_adjacent = before.number + 1 == out.number && !before.from.frame.is_key;
            prop_assert!(
                !is_adjacent || is_holed || before.is_marked != is_same || is_anew,
                "mark: {} {}",
                before.name(),
                out.name()
            );
            let is_begun = before.from.frame.number == frame.number || out.from.part == 0;
            prop_assert!(
                has_gap || is_begun,
                "begins in the middle: {} {}",
                before.name(),
                out.name()
            );
        }
        if frame.is_key && frame.spatial == 0 && out.from.part == 0 {
            is_holed = false;
            there.clear();
        }
        let has_all = frame.references.iter().all(|number| there.contains(number));
        prop_assert!(
            has_all || is_holed,
            "lacks something: {} of {there:?}",
            out.name()
        );
        there.insert(frame.number);
        before = Some(out);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is lost or late on the way up: a receiver that cannot decode something sees that
    /// something is missing.
    #[test]
    fn what_is_lost_on_the_way_up_is_missed_on_the_way_down(
        layers in prop_oneof![
            Just(Layers { prediction: Prediction::Key, ..L3T3 }),
            Just(L1T3),
        ],
        speech in Just(Speech::Av1),
        steps in proptest::collection::vec(step(), 1..60),
        fates in fates(),
    ) {
        let mut sender = Sender::new(speech, 0, layers);
        let mut rewrite = VideoRewrite::default();
        let start = Instant::now();
        let mut sent: Vec<(usize, Packet)> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let changes = step.is_key && step.parts == 2;
            if let Some(last) = sent.last().map(|(_, packet)| packet.frame.clone()).filter(|_| changes) {
                sender.change_layers(&last);
            }
            let packets = sender.picture(step.is_key || n == 0, 3, step.parts);
            sent.extend(packets.into_iter().map(|packet| (n, packet)));
        }
        let mut wanted = target(0, 2, 2);
        let (mut outs, mut filled) = (Vec::new(), BTreeSet::new());
        for place in arrivals(&fates, sent.len()) {
            let (n, packet) = &sent[place];
            if let Some((_, spatial, temporal)) = steps[*n].target {
                wanted = target(0, spatial, temporal);
            }
            let now = start + Duration::from_millis(33 * *n as u64);
            match sender.feed(&mut rewrite, now, packet, wanted) {
                Ok(out) => outs.push(out),
                Err(Verdict::Fill(place)) => {
                    prop_assert!(filled.insert(place.number), "{} filled twice", place.number);
                }
                Err(_) => {}
            }
        }
        check_with_holes(&outs, &filled)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What comes at all, however late, leaves no hole: a receiver would ask for it for ever.
    #[test]
    fn what_is_late_on_the_way_up_leaves_no_hole(
        layers in prop_oneof![Just(L3T3), Just(L3T3_KEY), Just(L1T3)],
        speech in prop_oneof![Just(Speech::Vp9), Just(Speech::Av1)],
        (spatial, temporal) in (0u8..3, 0u8..3),
        parts in proptest::collection::vec(1u64..5, 8..40),
        fates in fates(),
    ) {
        let mut sender = Sender::new(speech, 0, layers);
        let (mut rewrite, now) = (VideoRewrite::default(), Instant::now());
        let pictures = parts.iter().enumerate();
        let sent: Vec<Vec<Packet>> = pictures
            .map(|(n, parts)| sender.picture(n == 0, u8::MAX, *parts))
            .collect();
        let (begun, sent) = (sent[0].clone(), sent[1..].concat());
        let fates: Vec<_> = fates
            .into_iter()
            .map(|fate| if let Fate::Lost = fate { Fate::Late(20) } else { fate })
            .collect();
        let late = arrivals(&fates, sent.len()).into_iter().map(|place| &sent[place]);
        let mut numbers = BTreeSet::new();
        for packet in begun.iter().chain(late) {
            let number = match sender.feed(&mut rewrite, now, packet, target(0, spatial, temporal)) {
                Ok(out) => out.number,
                Err(Verdict::Fill(place)) => place.number,
                Err(_) => continue,
            };
            prop_assert!(numbers.insert(number), "{number} twice");
        }
        let holes = numbers.last().unwrap() + 1 - numbers.first().unwrap() - numbers.len() as u64;
        prop_assert_eq!(holes, 0);
    }
}
