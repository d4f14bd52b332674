//! One packet to everybody who is to have it.
//!
//! Budget per forwarded packet: no allocation of ours, no hash of a string, no log. The payload is
//! shared; what differs per receiver are numbers. The streams are kept in vectors, by the index of
//! the source and of the receiver.

use std::sync::Arc;
use std::time::Instant;

use tertulia_model::MediaType;

use crate::endpoint::Outgoing;
use crate::rewrite::vp8::{Verdict, Vp8Header, Vp8Packet};
use crate::seat::{Leg, Rewrite, Seat};

/// A packet that passed its sender's checks.
pub(crate) struct Incoming<'a> {
    pub(crate) media: MediaType,
    pub(crate) source: usize,
    pub(crate) sender: usize,
    pub(crate) encoding: u8,
    /// Without what was dropped before.
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) is_marked: bool,
    pub(crate) arrived: Instant,
    pub(crate) payload: &'a Arc<[u8]>,
    pub(crate) levels: Option<(i8, Option<bool>)>,
    /// Of video.
    pub(crate) header: Option<&'a Vp8Header>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) receivers: u64,
    /// Somebody waits for a key frame.
    pub(crate) wants_keyframe: bool,
}

/// Writes a packet to all receivers; those it was written to are noted in `dirty`.
pub(crate) fn forward(
    packet: &Incoming<'_>,
    now: Instant,
    seats: &mut [Option<Box<Seat>>],
    dirty: &mut Vec<usize>,
) -> Forwarded {
    let mut forwarded = Forwarded::default();
    for (index, seat) in seats.iter_mut().enumerate() {
        let Some(seat) = seat.as_deref_mut() else {
            continue;
        };
        if index == packet.sender || !seat.is_reachable() {
            continue;
        }
        let Some(Some(leg)) = seat.legs.get_mut(packet.source) else {
            continue;
        };
        let outgoing = match pass(packet, now, leg) {
            Pass::Forward(outgoing) => outgoing,
            Pass::Drop => continue,
            Pass::WantKeyframe => {
                forwarded.wants_keyframe = true;
                continue;
            }
        };
        leg.open(&mut seat.endpoint, packet.media);
        seat.endpoint.write(packet.media, leg.ssrc, outgoing);
        forwarded.receivers += 1;
        if !seat.is_dirty {
            seat.is_dirty = true;
            dirty.push(index);
        }
    }
    forwarded
}

enum Pass {
    Forward(Outgoing),
    Drop,
    WantKeyframe,
}

fn pass(packet: &Incoming<'_>, now: Instant, leg: &mut Leg) -> Pass {
    let (number, timestamp, patch) = match (&mut leg.rewrite, packet.header) {
        (Rewrite::Plain(renumber), _) => {
            if !leg.is_wanted {
                renumber.pause();
                return Pass::Drop;
            }
            match renumber.pass(packet.number) {
                Some(number) => (number, packet.timestamp, None),
                None => return Pass::Drop,
            }
        }
        (Rewrite::Vp8(rewrite), Some(header)) => {
            let packet = Vp8Packet {
                header,
                encoding: packet.encoding,
                number: packet.number,
                timestamp: packet.timestamp,
                is_marked: packet.is_marked,
            };
            match rewrite.pass(now, packet, leg.target) {
                Verdict::Forward(numbers) => (numbers.number, numbers.timestamp, numbers.patch),
                Verdict::Drop => return Pass::Drop,
                Verdict::DropForWantOfKeyframe => return Pass::WantKeyframe,
            }
        }
        (Rewrite::Vp8(_), None) => return Pass::Drop,
    };
    Pass::Forward(Outgoing {
        number,
        timestamp,
        arrived: packet.arrived,
        is_marked: packet.is_marked,
        payload: Arc::clone(packet.payload),
        levels: packet.levels,
        patch,
    })
}
