use std::time::{Duration, Instant};

use tertulia_model::MediaType;

use super::{Delays, Reception};

/// What all streams of one kind, present and past, brought together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamTotals {
    /// Packets that arrived, each once.
    pub packets: u64,
    /// Packets that never arrived, or too late to be of use.
    pub lost: u64,
    /// Video frames decoded, audio packets played.
    pub frames: u64,
    pub key_frames: u64,
    /// Changes from one encoding to another.
    pub switches: u64,
    /// Key frames asked for.
    pub requests: u64,
    pub freezes: u64,
    pub frozen: Duration,
    /// When the first frame of the first stream was complete.
    pub first_frame: Option<Instant>,
    /// How long packets were on their way, where that is measured.
    pub delays: Delays,
}

/// What a participant received and sent since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaTotals {
    pub audio: StreamTotals,
    pub video: StreamTotals,
    /// Packets and bytes of payload sent, without retransmissions.
    pub sent_packets: u64,
    pub sent_bytes: u64,
}

impl StreamTotals {
    fn add(&mut self, reception: &Reception) {
        let facts = reception.facts();
        self.packets += facts.packets;
        self.lost += facts.lost;
        self.frames += facts.frames;
        self.key_frames += facts.key_frames;
        self.switches += facts.switches;
        self.requests += facts.requests;
        self.freezes += facts.freezes;
        self.frozen += facts.frozen;
        self.note_first(facts.first_frame);
        if let Some(delays) = reception.delays() {
            self.delays.merge(delays);
        }
    }

    /// Adds what others brought.
    pub fn merge(&mut self, other: &StreamTotals) {
        self.packets += other.packets;
        self.lost += other.lost;
        self.frames += other.frames;
        self.key_frames += other.key_frames;
        self.switches += other.switches;
        self.requests += other.requests;
        self.freezes += other.freezes;
        self.frozen += other.frozen;
        self.note_first(other.first_frame);
        self.delays.merge(&other.delays);
    }

    /// What was added since it was `earlier`; the first frame is that of all.
    pub fn since(&self, earlier: &StreamTotals) -> StreamTotals {
        StreamTotals {
            packets: self.packets.saturating_sub(earlier.packets),
            lost: self.lost.saturating_sub(earlier.lost),
            frames: self.frames.saturating_sub(earlier.frames),
            key_frames: self.key_frames.saturating_sub(earlier.key_frames),
            switches: self.switches.saturating_sub(earlier.switches),
            requests: self.requests.saturating_sub(earlier.requests),
            freezes: self.freezes.saturating_sub(earlier.freezes),
            frozen: self.frozen.saturating_sub(earlier.frozen),
            first_frame: self.first_frame,
            delays: self.delays.since(&earlier.delays),
        }
    }

    fn note_first(&mut self, first: Option<Instant>) {
        self.first_frame = [self.first_frame, first].into_iter().flatten().min();
    }
}

impl MediaTotals {
    pub(crate) fn add(&mut self, reception: &Reception) {
        match reception.media() {
            MediaType::Audio => self.audio.add(reception),
            MediaType::Video => self.video.add(reception),
        }
    }

    /// Adds what others brought.
    pub fn merge(&mut self, other: &MediaTotals) {
        self.audio.merge(&other.audio);
        self.video.merge(&other.video);
        self.sent_packets += other.sent_packets;
        self.sent_bytes += other.sent_bytes;
    }

    /// What was added since it was `earlier`.
    pub fn since(&self, earlier: &MediaTotals) -> MediaTotals {
        MediaTotals {
            audio: self.audio.since(&earlier.audio),
            video: self.video.since(&earlier.video),
            sent_packets: self.sent_packets.saturating_sub(earlier.sent_packets),
            sent_bytes: self.sent_bytes.saturating_sub(earlier.sent_bytes),
        }
    }
}
