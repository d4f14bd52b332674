//! An endpoint's place in its conference: who it is, what it wants, what it is sent.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use tertulia_model::bridge::{Candidate, EndpointOffer, FeedbackSources};
use tertulia_model::{
    AllocationId, Bucket, ChannelId, EndpointId, MayForward, MediaType, SourceName, Ssrc, VideoType,
};

use tertulia_transport::send::StreamKey;

use crate::channel::Outbox;
use crate::constraints::{AudioSubscription, ReceiverConstraints};
use crate::endpoint::Endpoint;
use crate::keyframe::ReceiverRequests;
use crate::limits::Limits;
use crate::restart::Restart;
use crate::rewrite::plain::Renumber;
use crate::rewrite::video::VideoRewrite;
use crate::rewrite::{Sent, Target};
use crate::slots::Slots;
use crate::source::SourceState;
use crate::traffic::Traffic;

/// One endpoint in its conference.
pub(crate) struct Seat {
    pub(crate) id: EndpointId,
    pub(crate) allocation: AllocationId,
    pub(crate) offer: EndpointOffer,
    /// Its number on the worker, in its ICE user name fragment.
    pub(crate) number: u32,
    pub(crate) tag: u32,
    pub(crate) channel_password: String,
    pub(crate) feedback: FeedbackSources,
    pub(crate) endpoint: Endpoint,
    pub(crate) restart: Box<Restart>,
    /// Addresses that were shown to be the client's, with their last packet.
    pub(crate) addresses: Vec<(SocketAddr, Instant)>,

    /// What of its media and messages others get.
    pub(crate) may: MayForward,
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
    /// The streams that these share, if the client takes part in SSRC rewriting.
    pub(crate) slots: Option<Box<Slots>>,
    /// Streams of sources that were removed, in case they come back.
    ended: VecDeque<Ended>,
    /// When it was last sent video.
    pub(crate) was_sent_video: Option<Instant>,

    pub(crate) constraints: ReceiverConstraints,
    pub(crate) audio: AudioSubscription,
    /// So many voices are heard, the loudest; None where there is bandwidth for all.
    pub(crate) voices_most: Option<usize>,
    /// How many voices were louder than its own when that was heard last.
    pub(crate) voice_place: usize,
    /// Video types told before their sources were signalled.
    pub(crate) video_types: BTreeMap<String, VideoType>,
    pub(crate) estimate_bps: Option<u64>,
    /// What all that it asks for would take.
    pub(crate) wanted_bps: u64,
    /// Of media in the last second.
    pub(crate) lost_percent: u64,
    /// It asks for pictures, and there was bandwidth for none at the last allocation.
    pub(crate) is_starved: bool,
    /// Much waited for the pacer at the last allocation.
    pub(crate) is_jammed: bool,
    /// The estimate at the last allocation.
    pub(crate) allocated_bps: u64,
    pub(crate) allocated: Instant,
    pub(crate) needs_allocation: bool,
    /// The last `ForwardedSources`.
    pub(crate) forwarded: Vec<SourceName>,

    pub(crate) websocket: Option<ChannelId>,
    /// Whether it has ever had a channel.
    pub(crate) had_channel: bool,
    /// The data channel was the last one that a message came by.
    pub(crate) prefers_data_channel: bool,
    pub(crate) outbox: Outbox,
    pub(crate) messages: Bucket,
    pub(crate) told_stats: Instant,

    /// For those who look on.
    pub(crate) traffic: Traffic,

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
    pub(crate) lane: Lane,
    /// Of the stream that it is sent in.
    pub(crate) ssrc: Ssrc,
    rtx: Option<Ssrc>,
    /// The stream's handle, once something was sent.
    pub(crate) key: Option<StreamKey>,
    pub(crate) rewrite: Rewrite,
    /// What of a video source is to be sent.
    pub(crate) target: Option<Target>,
    /// What the receiver asks for, in lines.
    pub(crate) asked_height: i32,
    /// Whether an audio source is to be sent.
    pub(crate) is_wanted: bool,
    /// Whether it is to be heard however many are louder.
    pub(crate) is_asked_for: bool,
    pub(crate) requests: ReceiverRequests,
}

/// Which stream a source is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// In one of its own, under its sender's SSRC.
    Own,
    /// In a slot of the receiver.
    Slot(usize),
    /// In none: it has no slot now.
    NoSlot,
}

/// How its numbers are moved.
pub(crate) enum Rewrite {
    Plain(Renumber),
    Video(Box<VideoRewrite>),
}

/// Where a stream ended. Numbers must go on if it comes back: the receiver counts roll-overs, and
/// the transport encrypts no number twice.
struct Ended {
    ssrc: Ssrc,
    sent: Sent,
}

/// All that is known of a new endpoint.
pub(crate) struct NewSeat {
    pub(crate) endpoint_id: EndpointId,
    pub(crate) allocation: AllocationId,
    pub(crate) offer: EndpointOffer,
    pub(crate) number: u32,
    pub(crate) tag: u32,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) feedback: FeedbackSources,
    pub(crate) channel_password: String,
    pub(crate) endpoint: Endpoint,
}

impl Seat {
    pub(crate) fn new(new: NewSeat, limits: &Limits, now: Instant) -> Seat {
        Seat {
            id: new.endpoint_id,
            allocation: new.allocation,
            offer: new.offer,
            number: new.number,
            tag: new.tag,
            channel_password: new.channel_password,
            feedback: new.feedback,
            endpoint: new.endpoint,
            restart: Box::new(Restart::new(new.candidates)),
            addresses: Vec::new(),
            may: MayForward::ALL,
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
            slots: new
                .offer
                .has_ssrc_rewriting
                .then(|| Box::new(Slots::new(limits))),
            ended: VecDeque::new(),
            was_sent_video: None,
            constraints: ReceiverConstraints::default(),
            audio: AudioSubscription::all(),
            voices_most: None,
            voice_place: usize::MAX,
            video_types: BTreeMap::new(),
            estimate_bps: None,
            wanted_bps: 0,
            lost_percent: 0,
            is_starved: false,
            is_jammed: false,
            allocated_bps: 0,
            allocated: now,
            needs_allocation: true,
            forwarded: Vec::new(),
            websocket: None,
            had_channel: false,
            prefers_data_channel: false,
            outbox: Outbox::default(),
            messages: Bucket::full(limits.messages_burst.into(), now),
            told_stats: now,
            traffic: Traffic::default(),
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
    pub(crate) fn add_leg(&mut self, index: usize, source: &SourceState) {
        let Some((ssrc, rtx)) = source.primary() else {
            return;
        };
        let mut leg = Leg {
            lane: Lane::Own,
            ssrc,
            rtx,
            key: None,
            rewrite: match source.media() {
                MediaType::Audio => Rewrite::Plain(Renumber::default()),
                MediaType::Video => Rewrite::Video(Box::default()),
            },
            target: None,
            asked_height: 0,
            is_wanted: self.audio.wants(source.name()),
            is_asked_for: self.audio.names(source.name()),
            requests: ReceiverRequests::NEW,
        };
        let ended = self.ended.iter().position(|ended| ended.ssrc == ssrc);
        if self.slots.is_some() {
            leg.lane = Lane::NoSlot;
        } else if let Some(ended) = ended.and_then(|place| self.ended.remove(place)) {
            leg.resume(ended.sent);
        }
        if self.legs.len() <= index {
            self.legs.resize_with(index + 1, || None);
        }
        if let Some(place) = self.legs.get_mut(index) {
            *place = Some(leg);
        }
        self.needs_allocation = true;
    }

    /// A source of somebody else is gone.
    pub(crate) fn remove_leg(&mut self, index: usize, media: MediaType) {
        let lane = self.legs.get(index).and_then(Option::as_ref);
        if let Some(Lane::Slot(place)) = lane.map(|leg| leg.lane) {
            self.end_loan(media, place);
        }
        let Some(leg) = self.legs.get_mut(index).and_then(Option::take) else {
            return;
        };
        if leg.lane == Lane::Own {
            self.end_stream(&leg);
        }
        self.needs_allocation = true;
    }

    /// Ends the stream of a source, and remembers where.
    fn end_stream(&mut self, leg: &Leg) {
        let mut sent = leg.sent();
        if let Some(key) = leg.key {
            let highest = self.endpoint.remove_stream(key);
            sent = sent.zip(highest).map(|(sent, number)| sent.cut(number));
        }
        let Some(sent) = sent else { return };
        let ssrc = leg.ssrc;
        self.ended.push_back(Ended { ssrc, sent });
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// It is to be sent pictures, but there is no bandwidth for any: whether that has changed only a
    /// probe can show, and that takes a stream to send padding in.
    pub(crate) fn look_for_bandwidth(
        &mut self,
        now: Instant,
        wanted: impl Iterator<Item = usize> + Clone,
    ) {
        if !self.is_reachable() {
            return;
        }
        self.endpoint.wake_up(now);
        let leg = |index: usize| self.legs.get(index).and_then(Option::as_ref);
        if wanted.clone().filter_map(leg).any(|leg| leg.key.is_some()) {
            return;
        }
        let mut usable = wanted.filter(|index| {
            let leg = self.legs.get(*index).and_then(Option::as_ref);
            leg.is_some_and(|leg| leg.lane != Lane::NoSlot && leg.rtx.is_some())
        });
        if let Some(first) = usable.next()
            && let Some(Some(leg)) = self.legs.get_mut(first)
        {
            leg.open(&mut self.endpoint, MediaType::Video);
        }
    }

    /// The source that is sent in the stream of this SSRC.
    pub(crate) fn source_of(&self, ssrc: Ssrc) -> Option<usize> {
        let is_in_it = |leg: &Leg| leg.ssrc == ssrc && leg.key.is_some();
        self.legs
            .iter()
            .position(|leg| leg.as_ref().is_some_and(is_in_it))
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
    pub(crate) fn open(&mut self, endpoint: &mut Endpoint, media: MediaType) -> Option<StreamKey> {
        if self.key.is_none() {
            self.key = endpoint.add_stream(media, self.ssrc, self.rtx);
        }
        self.key
    }

    /// Goes on where the stream stood when the source was removed.
    fn resume(&mut self, sent: Sent) {
        match &mut self.rewrite {
            Rewrite::Plain(renumber) => *renumber = Renumber::after(Some(sent)),
            Rewrite::Video(rewrite) => rewrite.rebase(Some(sent)),
        }
    }

    /// Is sent in a slot from now on.
    pub(crate) fn enter(
        &mut self,
        place: usize,
        (ssrc, rtx): (Ssrc, Option<Ssrc>),
        key: Option<StreamKey>,
        sent: Option<Sent>,
    ) {
        self.lane = Lane::Slot(place);
        (self.ssrc, self.rtx, self.key) = (ssrc, rtx, key);
        match &mut self.rewrite {
            Rewrite::Plain(renumber) => renumber.rebase(sent),
            Rewrite::Video(rewrite) => rewrite.rebase(sent),
        }
    }

    /// Is not sent from now on: its slot is somebody else's. Gives back the handle of its stream.
    pub(crate) fn leave_slot(&mut self) -> Option<StreamKey> {
        self.lane = Lane::NoSlot;
        self.target = None;
        self.pause();
        self.key.take()
    }

    /// Where its stream stands.
    pub(crate) fn sent(&self) -> Option<Sent> {
        match &self.rewrite {
            Rewrite::Plain(renumber) => renumber.sent(),
            Rewrite::Video(rewrite) => rewrite.sent(),
        }
    }

    /// What follows is not a continuation.
    pub(crate) fn pause(&mut self) {
        match &mut self.rewrite {
            Rewrite::Plain(renumber) => renumber.pause(),
            Rewrite::Video(rewrite) => rewrite.suspend(),
        }
    }

    /// The encoding that is sent now.
    pub(crate) fn current(&self) -> Option<u8> {
        match &self.rewrite {
            Rewrite::Plain(_) => None,
            Rewrite::Video(rewrite) => rewrite.current(),
        }
    }
}

/// Who comes and goes more often than this is not expected back.
const ENDED_MAX: usize = 256;
