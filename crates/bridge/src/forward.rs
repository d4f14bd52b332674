//! One packet to everybody who is to have it.
//!
//! Budget per forwarded packet: no allocation of ours, no hash of a string, no log. The payload is
//! shared; what differs per receiver are numbers. The streams are kept in vectors, by the index of
//! the source and of the receiver.
//!
//! One exception: a dependency descriptor of more than 22 bytes, as key frames have, is written
//! once for each receiver.

use std::time::Instant;

use tertulia_model::MediaType;
use tertulia_transport::packet::AudioLevel;
use tertulia_transport::payload::Payload;
use tertulia_transport::send::{Descriptor as DescriptorBytes, Outgoing};

use crate::descriptor::Structure;
use crate::rewrite::header::VideoHeader;
use crate::rewrite::video::{Numbers, Verdict, VideoPacket};
use crate::seat::{Lane, Leg, Rewrite, Seat};

/// A packet that passed its sender's checks.
#[derive(Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) media: MediaType,
    pub(crate) payload_type: u8,
    /// Whether only those get it whose client knows redundancy, or only the others.
    pub(crate) for_red: Option<bool>,
    pub(crate) source: usize,
    pub(crate) sender: usize,
    pub(crate) encoding: u8,
    /// Without what was dropped before.
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) is_marked: bool,
    pub(crate) arrived: Instant,
    pub(crate) payload: &'a Payload,
    pub(crate) audio_level: Option<AudioLevel>,
    /// How many voices are louder, as far as that is known.
    pub(crate) voice_place: Option<usize>,
    pub(crate) video: Option<Video<'a>>,
}

impl Incoming<'_> {
    /// Made only for those who get it: most packets of larger encodings are left out.
    fn as_it_came(&self) -> Outgoing {
        Outgoing {
            payload_type: self.payload_type,
            number: self.number,
            timestamp: self.timestamp,
            arrived: self.arrived,
            is_marked: self.is_marked,
            payload: self.payload.clone(),
            audio_level: self.audio_level,
            patch: None,
            descriptor: None,
        }
    }
}

/// What a packet of video has besides.
#[derive(Clone, Copy)]
pub(crate) struct Video<'a> {
    pub(crate) header: &'a VideoHeader,
    /// The dependency descriptor as it came.
    pub(crate) descriptor: Option<&'a DescriptorBytes>,
    /// What that refers to.
    pub(crate) structure: Option<&'a Structure>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) receivers: u64,
    /// Somebody waits for a key frame.
    pub(crate) wants_keyframe: bool,
}

/// What came of it at one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent,
    Dropped,
    /// It could be sent if there were a key frame.
    WantsKeyframe,
    /// It could be sent if its source had a slot.
    WantsSlot,
}

/// Writes a packet to all receivers; those it was written to are noted in `dirty`, those that have
/// no slot for it in `without_slot`.
pub(crate) fn forward(
    packet: &Incoming<'_>,
    now: Instant,
    seats: &mut [Option<Box<Seat>>],
    dirty: &mut Vec<usize>,
    without_slot: &mut Vec<usize>,
) -> Forwarded {
    let mut forwarded = Forwarded::default();
    for (index, seat) in seats.iter_mut().enumerate() {
        let Some(seat) = seat.as_deref_mut() else {
            continue;
        };
        if index == packet.sender {
            continue;
        }
        match forward_to(packet, now, seat) {
            Outcome::Sent => {
                forwarded.receivers += 1;
                if !seat.is_dirty {
                    seat.is_dirty = true;
                    dirty.push(index);
                }
            }
            Outcome::Dropped => {}
            Outcome::WantsKeyframe => forwarded.wants_keyframe = true,
            Outcome::WantsSlot => without_slot.push(index),
        }
    }
    forwarded
}

/// Writes a packet to one receiver.
pub(crate) fn forward_to(packet: &Incoming<'_>, now: Instant, seat: &mut Seat) -> Outcome {
    let is_meant = packet.for_red.is_none_or(|red| red == seat.offer.has_red);
    if !is_meant || !seat.is_reachable() {
        return Outcome::Dropped;
    }
    let Some(Some(leg)) = seat.legs.get_mut(packet.source) else {
        return Outcome::Dropped;
    };
    let is_loud = match (packet.voice_place, seat.voices_most) {
        // Its own voice takes nobody's place.
        (Some(place), Some(most)) => place < most + usize::from(seat.voice_place < place),
        _ => true,
    };
    if !(is_loud || leg.is_asked_for) {
        // What comes later goes on where it was.
        leg.pause();
        return Outcome::Dropped;
    }
    if leg.lane == Lane::NoSlot && packet.media == MediaType::Audio {
        // Video is given its slots with its share of bandwidth.
        let is_heard = leg.is_wanted && seat.has_channel();
        return if is_heard {
            Outcome::WantsSlot
        } else {
            Outcome::Dropped
        };
    }
    let outgoing = match pass(packet, now, leg) {
        Pass::Forward(outgoing) => outgoing,
        Pass::Drop => return Outcome::Dropped,
        Pass::WantKeyframe => return Outcome::WantsKeyframe,
    };
    if let (Lane::Slot(place), Some(slots)) = (leg.lane, &mut seat.slots) {
        slots.touch(packet.media, place, now);
    }
    let Some(key) = leg.open(&mut seat.endpoint, packet.media) else {
        return Outcome::Dropped;
    };
    if packet.media == MediaType::Video {
        seat.was_sent_video = Some(now);
        seat.endpoint.wake_up(now);
    }
    seat.endpoint.write(packet.media, key, outgoing);
    Outcome::Sent
}

enum Pass {
    Forward(Outgoing),
    Drop,
    WantKeyframe,
}

fn pass(packet: &Incoming<'_>, now: Instant, leg: &mut Leg) -> Pass {
    match (&mut leg.rewrite, packet.video) {
        (Rewrite::Plain(renumber), _) if !leg.is_wanted => {
            renumber.pause();
            Pass::Drop
        }
        (Rewrite::Plain(renumber), _) => {
            match renumber.pass(now, packet.number, packet.timestamp) {
                Some((number, timestamp)) => Pass::Forward(Outgoing {
                    number,
                    timestamp,
                    ..packet.as_it_came()
                }),
                None => Pass::Drop,
            }
        }
        (Rewrite::Video(rewrite), Some(video)) => {
            let arrived = VideoPacket {
                header: video.header,
                structure: video.structure,
                encoding: packet.encoding,
                number: packet.number,
                timestamp: packet.timestamp,
                is_marked: packet.is_marked,
            };
            let target = leg.target.filter(|_| leg.lane != Lane::NoSlot);
            match rewrite.pass(now, arrived, target) {
                Verdict::Forward(numbers) => Pass::Forward(renumbered(packet, &video, numbers)),
                Verdict::Fill(place) => Pass::Forward(Outgoing {
                    number: place.number,
                    timestamp: place.timestamp,
                    is_marked: false,
                    payload: packet.payload.emptied(),
                    ..packet.as_it_came()
                }),
                Verdict::Drop => Pass::Drop,
                Verdict::DropForWantOfKeyframe => Pass::WantKeyframe,
            }
        }
        (Rewrite::Video(_), None) => Pass::Drop,
    }
}

fn renumbered(packet: &Incoming<'_>, video: &Video<'_>, numbers: Numbers) -> Outgoing {
    let mut outgoing = Outgoing {
        number: numbers.number,
        timestamp: numbers.timestamp,
        is_marked: numbers.is_marked,
        patch: numbers.payload,
        ..packet.as_it_came()
    };
    if let (Some(descriptor), Some(edit)) = (&video.header.descriptor, numbers.descriptor) {
        let bytes = video.descriptor;
        outgoing.descriptor = bytes.and_then(|bytes| descriptor.edited(bytes, &edit));
    }
    outgoing
}
