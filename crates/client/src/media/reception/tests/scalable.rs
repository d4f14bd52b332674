//! Tests of what a receiver makes of VP9 with spatial layers.

use std::time::{Duration, Instant};

use tertulia_model::{MediaType, Random, Ssrc};

use super::super::{Flaw, Received, Reception, ReceptionFacts};
use crate::VideoConfig;
use crate::media::packetizer::{Packet, Packetizer};
use crate::media::{Camera, CameraCodec, Frame};

const SOURCE: Ssrc = Ssrc(77);

/// A sender, what a perfect bridge makes of it for somebody who gets one of its layers, and who
/// receives that.
struct Studio {
    now: Instant,
    camera: Box<dyn Camera>,
    interval: Duration,
    packetizer: Packetizer,
    seq: u64,
    time: u32,
    reception: Reception,
}

impl Studio {
    fn new() -> Studio {
        let video = VideoConfig::lifelike_scalable();
        Studio {
            now: Instant::now(),
            camera: (video.camera)(SOURCE, &video.layers, video.interval),
            interval: video.interval,
            packetizer: Packetizer::new(CameraCodec::Vp9, &mut Random::from_seed([9; 32])),
            seq: 100,
            time: u32::MAX - 9000,
            reception: Reception::shared(MediaType::Video),
        }
    }

    /// The next picture as somebody gets it who is sent `layer`: at key pictures with all below.
    fn picture(&mut self, layer: u8) -> Vec<Received> {
        self.now += self.interval;
        self.time = self.time.wrapping_add(3000);
        let frames = self.camera.frames(self.now, &|_| true);
        let frames: Vec<Frame> = frames.into_iter().flatten().collect();
        let is_key = frames[0].is_key;
        let mut packets: Vec<Received> = Vec::new();
        for mut cut in self.packetizer.cut(&frames) {
            let of = cut.layer();
            let is_sent = of == layer || (is_key && of < layer);
            while let Some(packet) = cut.next_packet(0) {
                if is_sent {
                    packets.push(self.received(packet));
                }
            }
        }
        packets.last_mut().unwrap().marker = true;
        packets
    }

    fn received(&mut self, packet: Packet) -> Received {
        self.seq += 1;
        Received {
            seq: self.seq,
            time: self.time,
            marker: packet.is_marked,
            codec: Some(CameraCodec::Vp9),
            descriptor: packet.descriptor.map(Into::into),
            payload: packet.payload.into(),
            at: self.now,
        }
    }

    fn take(&mut self, packets: Vec<Received>) {
        packets
            .into_iter()
            .for_each(|packet| self.reception.handle_packet(packet));
        self.reception.handle_timeout(self.now);
    }

    fn watch(&mut self, layer: u8, pictures: u32) {
        for _ in 0..pictures {
            let packets = self.picture(layer);
            self.take(packets);
        }
    }

    /// Gives up what is missing.
    fn lose_patience(&mut self) {
        self.now += Duration::from_secs(1);
        self.reception.handle_timeout(self.now);
    }

    fn flaws(&mut self) -> Vec<Flaw> {
        std::iter::from_fn(|| self.reception.poll_flaw()).collect()
    }

    fn facts(&self) -> ReceptionFacts {
        *self.reception.facts()
    }
}

#[test]
fn each_layer_can_be_watched() {
    for (layer, height) in [(0, 180), (1, 360), (2, 720)] {
        let mut studio = Studio::new();
        studio.watch(layer, 40);
        studio.camera.request_key_frame();
        studio.watch(layer, 40);
        studio.lose_patience();
        assert_eq!(studio.flaws(), []);
        let facts = studio.facts();
        assert_eq!((facts.frames, facts.key_frames), (80, 2));
        assert_eq!((facts.height, facts.layer), (height, layer));
        assert_eq!((facts.switches, facts.lost), (0, 0));
    }
}

#[test]
fn layers_change_at_key_pictures() {
    let mut studio = Studio::new();
    studio.watch(2, 20);
    for (layer, height) in [(0, 180), (2, 720), (1, 360)] {
        studio.camera.request_key_frame();
        studio.watch(layer, 20);
        assert_eq!(studio.facts().height, height);
    }
    assert_eq!(studio.flaws(), []);
    assert_eq!((studio.facts().frames, studio.facts().switches), (80, 3));
    // In between, a layer refers to what was not sent.
    studio.watch(2, 4);
    let flaws = studio.flaws();
    assert!(matches!(flaws[..], [Flaw::Undecodable { .. }]), "{flaws:?}");
    assert_eq!(studio.facts().frames, 80);
    assert!(studio.reception.take_key_frame_request(studio.now));
}

#[test]
fn temporal_layers_can_be_left_out() {
    let mut studio = Studio::new();
    studio.watch(1, 1);
    for number in 1..40 {
        let packets = studio.picture(1);
        match number % 4 {
            0 | 2 => studio.take(packets),
            _ => studio.seq -= packets.len() as u64,
        }
    }
    assert_eq!(studio.flaws(), []);
    assert_eq!(studio.facts().frames, 20);
}

#[test]
fn a_key_picture_needs_all_its_layers() {
    for missing in 0..3 {
        let mut studio = Studio::new();
        studio.watch(2, 4);
        let frames = studio.facts().frames;
        studio.camera.request_key_frame();
        studio.watch(2, 8);
        let mut packets = studio.picture(2);
        assert_eq!(studio.facts().frames, frames + 8, "asked too soon");
        studio.now += Duration::from_millis(300);
        studio.camera.request_key_frame();
        packets.extend(studio.picture(2));
        // One packet of each layer's frame.
        let of_layer =
            |packet: &Received| super::super::Head::read(packet).unwrap().1.layer == missing;
        let key = packets.iter().rposition(of_layer).unwrap();
        packets.remove(key);
        studio.take(packets);
        studio.watch(2, 3);
        studio.lose_patience();
        let flaws = studio.flaws();
        assert!(
            matches!(flaws[..], [Flaw::Gap { missing: 1, .. }, ..]),
            "{flaws:?}"
        );
        assert_eq!(studio.facts().frames, frames + 9, "layer {missing}");
        assert!(studio.reception.take_key_frame_request(studio.now));
        studio.camera.request_key_frame();
        studio.watch(2, 5);
        assert_eq!(studio.facts().frames, frames + 14);
    }
}

#[test]
fn a_hole_costs_what_depends_on_it() {
    // The second picture after a key picture is of the highest temporal layer, the fourth of the
    // base: on the one nothing depends, on the other all that follows.
    for (lost, frames) in [(1, 11), (4, 4)] {
        let mut studio = Studio::new();
        for number in 0..12 {
            let packets = studio.picture(2);
            if number != lost {
                studio.take(packets);
            }
        }
        studio.lose_patience();
        assert_eq!(studio.facts().frames, frames, "{lost}");
        let flaws = studio.flaws();
        assert!(matches!(flaws[..], [Flaw::Gap { .. }]), "{flaws:?}");
    }
}

/// After a pause the bridge goes on with a key picture, and with its own numbers. If that is lost,
/// what comes behind it has nothing to do with what came before the pause.
#[test]
fn a_lost_key_picture_is_no_flaw_of_those_behind_it() {
    let mut studio = Studio::new();
    studio.watch(2, 5);
    for _ in 0..10 {
        let paused = studio.picture(2);
        studio.seq -= paused.len() as u64;
    }
    studio.camera.request_key_frame();
    let lost = studio.picture(2);
    assert!(super::super::Head::read(&lost[0]).unwrap().0.is_key);
    for _ in 0..4 {
        let mut packets = studio.picture(2);
        for packet in &mut packets {
            move_picture_id(packet, -10);
            // So are the templates of what was lost with it.
            let mut descriptor = packet.descriptor.as_ref().unwrap().to_vec();
            descriptor[0] = (descriptor[0] & 0xc0) | ((descriptor[0] + 30) & 0x3f);
            packet.descriptor = Some(descriptor.into());
        }
        studio.take(packets);
    }
    studio.lose_patience();
    let flaws = studio.flaws();
    assert!(matches!(flaws[..], [Flaw::Gap { .. }]), "{flaws:?}");
    assert_eq!(studio.facts().frames, 5);
    assert!(studio.reception.take_key_frame_request(studio.now));
}

/// But where a picture refers to one that came, it has to say which.
#[test]
fn a_loss_is_no_excuse_for_wrong_references() {
    let mut studio = Studio::new();
    studio.watch(2, 1);
    // Nothing refers to it.
    let lost = studio.picture(2);
    assert!(!lost.is_empty());
    let mut packets = studio.picture(2);
    packets
        .iter_mut()
        .for_each(|packet| move_picture_id(packet, 1));
    studio.take(packets);
    studio.lose_patience();
    let flaws = studio.flaws();
    assert!(
        matches!(flaws[..], [Flaw::Gap { .. }, Flaw::PictureId { .. }]),
        "{flaws:?}"
    );
}

/// It has 15 bits behind the first byte.
fn move_picture_id(packet: &mut Received, by: i16) {
    let mut payload = packet.payload.to_vec();
    let id = u16::from_be_bytes([payload[1], payload[2]]) & 0x7fff;
    let id = id.wrapping_add_signed(by) | 0x8000;
    payload[1..3].copy_from_slice(&id.to_be_bytes());
    packet.payload = payload.into();
}

#[test]
fn what_ends_a_picture_must_be_told() {
    let mut studio = Studio::new();
    studio.watch(1, 5);
    let mut packets = studio.picture(1);
    packets.last_mut().unwrap().marker = false;
    studio.take(packets);
    assert_eq!(studio.facts().frames, 5, "who knows whether more follows");
    studio.watch(1, 1);
    assert_eq!(studio.flaws(), [Flaw::Marker { number: 6 }]);
    studio.camera.request_key_frame();
    studio.now += Duration::from_millis(300);
    let mut packets = studio.picture(1);
    let first = packets.iter().position(|packet| {
        let (_, stamp) = super::super::Head::read(packet).unwrap();
        stamp.part + 1 == stamp.parts
    });
    packets[first.unwrap()].marker = true;
    studio.take(packets);
    assert_eq!(studio.flaws(), [Flaw::Marker { number: 8 }]);
}

#[test]
fn numbers_and_descriptors_must_fit() {
    // (byte of the payload's descriptor, of the dependency descriptor, what is found)
    let at = |part: fn(&mut Received) -> (usize, &mut std::sync::Arc<[u8]>)| {
        let mut studio = Studio::new();
        studio.watch(0, 6);
        let mut packets = studio.picture(0);
        let (byte, bytes) = part(&mut packets[0]);
        let mut changed = bytes.to_vec();
        changed[byte] ^= 1;
        *bytes = changed.into();
        studio.take(packets);
        studio.flaws()
    };
    let flaws = at(|packet| (2, &mut packet.payload));
    assert!(matches!(flaws[..], [Flaw::PictureId { .. }]), "{flaws:?}");
    let flaws = at(|packet| (4, &mut packet.payload));
    assert!(matches!(flaws[..], [Flaw::Tl0PicIdx { .. }]), "{flaws:?}");
    // The frame's number, and its template: who goes by it waits for what never comes.
    for byte in [0, 2] {
        let flaws = match byte {
            0 => at(|packet| (0, packet.descriptor.as_mut().unwrap())),
            _ => at(|packet| (2, packet.descriptor.as_mut().unwrap())),
        };
        assert_eq!(flaws, [Flaw::Misdescribed { number: 7 }], "{byte}");
    }
}
