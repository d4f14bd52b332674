//! An endpoint's place in its conference: who it is, what it wants, what it is sent.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use str0m::media::Mid;
use tertulia_model::bridge::EndpointOffer;
use tertulia_model::{AllocationId, ChannelId, EndpointId, MediaType, SourceName, Ssrc, VideoType};

use crate::channel::Outbox;
use crate::constraints::{AudioSubscription, ReceiverConstraints};
use crate::endpoint::Endpoint;
use crate::keyframe::ReceiverRequests;
use crate::limits::{Bucket, Limits};
use crate::rewrite::plain::Renumber;
use crate::rewrite::vp8::{Target, Vp8Rewrite};
use crate::source::SourceState;

/// One endpoint in its conference.
pub(crate) struct Seat {
    pub(crate) id: EndpointId,
    pub(crate) allocation: AllocationId,
    pub(crate) offer: EndpointOffer,
    /// Its number on the worker, in its ICE user name fragment.
    pub(crate) slot: u32,
    pub(crate) tag: u32,
    pub(crate) channel_password: String,
    pub(crate) endpoint: Endpoint,
    /// Addresses that were shown to be the client's, with their last packet.
    pub(crate) addresses: Vec<(SocketAddr, Instant)>,

    pub(crate) may_audio: bool,
    pub(crate) may_video: bool,
    pub(crate) is_paused: bool,
    pub(crate) created: Instant,
    pub(crate) connect_by: Option<Instant>,
    pub(crate) connected: Option<Instant>,
    pub(crate) closed: Option<Instant>,
    pub(crate) heard: Option<Instant>,
    pub(crate) is_active: bool,
    /// Its transport is gone; what is left waits for the focus to expire it.
    pub(crate) is_dead: bool,

    /// What it sends, by SSRC.
    pub(crate) streams: Vec<Stream>,
    /// What others send, as it is sent to it; by the index of the source.
    pub(crate) legs: Vec<Option<Leg>>,
    /// Streams of sources that were removed, in case they come back.
    ended: VecDeque<Ended>,

    pub(crate) constraints: ReceiverConstraints,
    pub(crate) audio: AudioSubscription,
    /// Video types told before their sources were signalled.
    pub(crate) video_types: BTreeMap<String, VideoType>,
    pub(crate) estimate_bps: Option<u64>,
    /// The estimate at the last allocation.
    pub(crate) allocated_bps: u64,
    pub(crate) allocated: Instant,
    pub(crate) needs_allocation: bool,
    /// The last `ForwardedSources`.
    pub(crate) forwarded: Vec<SourceName>,

    pub(crate) websocket: Option<ChannelId>,
    /// The data channel was the last one that a message came by.
    pub(crate) prefers_data_channel: bool,
    pub(crate) outbox: Outbox,
    pub(crate) messages: Bucket,
    pub(crate) told_stats: Instant,

    pub(crate) is_dirty: bool,
    /// When the worker's timer for it rings.
    pub(crate) scheduled: Option<Instant>,
}

/// One of its own streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: Ssrc,
    pub(crate) source: usize,
    pub(crate) encoding: u8,
}

/// One source of somebody else on its way to this endpoint.
pub(crate) struct Leg {
    pub(crate) ssrc: Ssrc,
    rtx: Option<Ssrc>,
    /// The stream's handle, once something was sent.
    pub(crate) mid: Option<Mid>,
    pub(crate) rewrite: Rewrite,
    /// What of a video source is to be sent.
    pub(crate) target: Option<Target>,
    /// What the receiver asks for, in lines.
    pub(crate) asked_height: i32,
    /// Whether an audio source is to be sent.
    pub(crate) is_wanted: bool,
    pub(crate) requests: ReceiverRequests,
}

/// How its numbers are moved.
pub(crate) enum Rewrite {
    Plain(Renumber),
    Vp8(Box<Vp8Rewrite>),
}

/// Where a stream ended. Numbers must go on if it comes back: the receiver counts roll-overs.
struct Ended {
    ssrc: Ssrc,
    number: u64,
    timestamp: u32,
}

impl Seat {
    #[expect(
        clippy::too_many_arguments,
        reason = "all that is known of a new endpoint"
    )]
    pub(crate) fn new(
        id: EndpointId,
        allocation: AllocationId,
        offer: EndpointOffer,
        (slot, tag): (u32, u32),
        channel_password: String,
        endpoint: Endpoint,
        limits: &Limits,
        now: Instant,
    ) -> Seat {
        Seat {
            id,
            allocation,
            offer,
            slot,
            tag,
            channel_password,
            endpoint,
            addresses: Vec::new(),
            may_audio: true,
            may_video: true,
            is_paused: false,
            created: now,
            connect_by: None,
            connected: None,
            closed: None,
            heard: None,
            is_active: true,
            is_dead: false,
            streams: Vec::new(),
            legs: Vec::new(),
            ended: VecDeque::new(),
            constraints: ReceiverConstraints::default(),
            audio: AudioSubscription::all(),
            video_types: BTreeMap::new(),
            estimate_bps: None,
            allocated_bps: 0,
            allocated: now,
            needs_allocation: true,
            forwarded: Vec::new(),
            websocket: None,
            prefers_data_channel: false,
            outbox: Outbox::default(),
            messages: Bucket::full(limits.messages_burst, now),
            told_stats: now,
            is_dirty: false,
            scheduled: None,
        }
    }

    /// Whether it can be sent media.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.is_dead && self.endpoint.is_connected()
    }

    /// Whether messages reach it.
    pub(crate) fn has_channel(&self) -> bool {
        self.websocket.is_some() || self.endpoint.has_data_channel()
    }

    /// Gets ready for a source of somebody else.
    pub(crate) fn add_leg(&mut self, index: usize, source: &SourceState, now: Instant) {
        let Some((ssrc, rtx)) = source.primary() else {
            return;
        };
        let ended = self.ended.iter().position(|ended| ended.ssrc == ssrc);
        let ended = ended.and_then(|place| self.ended.remove(place));
        let rewrite = match (source.media(), ended) {
            (MediaType::Audio, ended) => {
                Rewrite::Plain(Renumber::after(ended.map(|ended| ended.number)))
            }
            (MediaType::Video, None) => Rewrite::Vp8(Box::default()),
            (MediaType::Video, Some(ended)) => {
                let rewrite = Vp8Rewrite::after(ended.number, ended.timestamp, now);
                Rewrite::Vp8(Box::new(rewrite))
            }
        };
        if self.legs.len() <= index {
            self.legs.resize_with(index + 1, || None);
        }
        if let Some(leg) = self.legs.get_mut(index) {
            *leg = Some(Leg {
                ssrc,
                rtx,
                mid: None,
                rewrite,
                target: None,
                asked_height: 0,
                is_wanted: self.audio.wants(source.name()),
                requests: ReceiverRequests::NEW,
            });
        }
        self.needs_allocation = true;
    }

    /// A source of somebody else is gone.
    pub(crate) fn remove_leg(&mut self, index: usize) {
        let Some(leg) = self.legs.get_mut(index).and_then(Option::take) else {
            return;
        };
        let sent = match &leg.rewrite {
            Rewrite::Plain(renumber) => renumber.highest().map(|number| (number, 0)),
            Rewrite::Vp8(rewrite) => rewrite.sent(),
        };
        if let Some((number, timestamp)) = sent {
            self.ended.push_back(Ended {
                ssrc: leg.ssrc,
                number,
                timestamp,
            });
            if self.ended.len() > ENDED_MAX {
                self.ended.pop_front();
            }
        }
        if let Some(mid) = leg.mid {
            self.endpoint.remove(mid);
        }
        self.needs_allocation = true;
    }

    /// The source whose stream has this handle.
    pub(crate) fn source_of(&self, mid: Mid) -> Option<usize> {
        self.legs
            .iter()
            .position(|leg| leg.as_ref().is_some_and(|leg| leg.mid == Some(mid)))
    }

    /// Which of its own sources and encodings a packet belongs to.
    pub(crate) fn stream(&self, ssrc: Ssrc) -> Option<Stream> {
        self.streams
            .iter()
            .copied()
            .find(|stream| stream.ssrc == ssrc)
    }

    /// A packet came from one of its addresses.
    pub(crate) fn hear(&mut self, from: SocketAddr, now: Instant) {
        self.heard = Some(now);
        if let Some((_, heard)) = self
            .addresses
            .iter_mut()
            .find(|(address, _)| *address == from)
        {
            *heard = now;
        }
    }
}

impl Leg {
    /// Makes the stream if there is none yet.
    pub(crate) fn open(&mut self, endpoint: &mut Endpoint, media: MediaType) {
        if self.mid.is_none() {
            self.mid = endpoint.add_stream(media, self.ssrc, self.rtx);
        }
    }

    /// What follows is not a continuation.
    pub(crate) fn pause(&mut self) {
        match &mut self.rewrite {
            Rewrite::Plain(renumber) => renumber.pause(),
            Rewrite::Vp8(rewrite) => rewrite.suspend(),
        }
    }

    /// The encoding that is sent now.
    pub(crate) fn current(&self) -> Option<u8> {
        match &self.rewrite {
            Rewrite::Plain(_) => None,
            Rewrite::Vp8(rewrite) => rewrite.current(),
        }
    }
}

/// Who comes and goes more often than this is not expected back.
const ENDED_MAX: usize = 256;
