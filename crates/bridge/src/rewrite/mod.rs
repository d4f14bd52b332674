//! Renumbering, per codec: what a receiver sees is one stream without seams.

pub(crate) mod av1;
pub(crate) mod h264;
pub(crate) mod header;
pub(crate) mod plain;
pub(crate) mod video;
pub(crate) mod vp8;
pub(crate) mod vp9;

use std::time::{Duration, Instant};

use crate::rewrite::av1::DescriptorSent;

/// What a receiver is to get of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) encoding: u8,
    /// Frames of higher spatial layers are left out.
    pub(crate) spatial: u8,
    /// Frames of higher temporal layers are left out.
    pub(crate) temporal: u8,
}

/// Where a stream towards a receiver stands: the packet with the highest number that was sent in
/// it. What follows continues from here, whichever encoding or source it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) at: Instant,
    /// Whether that packet was the last one of its frame.
    pub(crate) is_frame_end: bool,
    /// Picture id of video, without wrapping.
    pub(crate) picture: i64,
    /// Index of the temporal base layer of video (TL0PICIDX).
    pub(crate) base_layer: u8,
    /// Where dependency descriptors stand, once there was one.
    pub(crate) descriptor: Option<DescriptorSent>,
}

impl Sent {
    /// Of what was passed on, only what is up to this number has left.
    pub(crate) fn cut(self, number: u64) -> Sent {
        let is_frame_end = self.is_frame_end && number >= self.number;
        Sent {
            number,
            is_frame_end,
            ..self
        }
    }

    /// The timestamp of what is sent now: as much later as time has passed, but at least `step`
    /// ticks.
    fn next_timestamp(&self, now: Instant, ticks_per_ms: u32, step: u32) -> u32 {
        let elapsed = now.saturating_duration_since(self.at).min(PAUSE_MAX);
        let ticks = (elapsed.as_millis() as u32).saturating_mul(ticks_per_ms);
        self.timestamp.wrapping_add(ticks.max(step))
    }
}

/// Longer pauses are shown as so long: timestamps must not leap over half their range.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
