mod head;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_model::{MediaType, Ssrc};

use super::dependency::{Described, Structure};
use super::vp8::PICTURE_ID_MAX;
use super::{CameraCodec, Delays, Stamp, microphone};
use head::Head;

/// One decrypted packet of a stream.
#[derive(Clone, Debug)]
pub struct Received {
    /// Extended sequence number.
    pub seq: u64,
    /// RTP timestamp.
    pub time: u32,
    pub marker: bool,
    /// Of video.
    pub codec: Option<CameraCodec>,
    /// The dependency descriptor, where the packet has one.
    pub descriptor: Option<Arc<[u8]>>,
    pub payload: Arc<[u8]>,
    pub at: Instant,
}

/// What must not happen to a stream on its way, found by its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Sequence numbers never arrived; right only if the network lost them after `since`.
    Gap { missing: u64, since: Instant },
    /// The stream did not begin with a key frame; right only if that was lost.
    NoKeyAtStart { since: Instant },
    /// Another encoding began without a key frame.
    NoKeyAfterSwitch { from: u8, to: u8 },
    /// The frame header and the sender's own stamp disagree about a key frame.
    FalseKey,
    /// A frame needs one that never came, although no packet is missing.
    Undecodable { number: u32, reference: u32 },
    /// A frame came again, or older than the one before.
    Repeated { number: u32 },
    /// A frame ended early or started in its middle, although no packet is missing.
    FrameCut { number: u32 },
    /// The picture id is not the one after the last.
    PictureId { from: u16, to: u16 },
    /// TL0PICIDX does not count the frames of temporal layer 0.
    Tl0PicIdx { from: u8, to: u8 },
    /// The timestamp went back or stood still.
    Timestamp { from: u32, to: u32 },
    /// The marker is not on the last packet of its picture.
    Marker { number: u32 },
    /// The dependency descriptor says something else of what a frame refers to, or where it begins
    /// or ends, than the frame itself.
    Misdescribed { number: u32 },
    /// The packet belongs to another source.
    Foreign { source: Ssrc },
    /// The payload is none that a synthetic sender made.
    Unreadable,
}

/// How a stream has fared so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceptionFacts {
    /// Packets that arrived for the first time.
    pub packets: u64,
    /// Sequence numbers given up.
    pub lost: u64,
    /// Packets that arrived after they had been given up.
    pub late: u64,
    /// Pictures decoded, audio packets played.
    pub frames: u64,
    pub key_frames: u64,
    /// Changes from one encoding or spatial layer to another.
    pub switches: u64,
    /// Key frames asked for.
    pub requests: u64,
    /// When the newest packet (by sequence number) arrived.
    pub last_packet: Option<Instant>,
    /// The first frame decoded or packet played; of video a key frame.
    pub first_frame: Option<Instant>,
    pub last_frame: Option<Instant>,
    /// Video that stood still: a frame came later than after three usual intervals and than
    /// 150 ms after the usual interval (`freezeCount` of browsers' statistics).
    pub freezes: u64,
    /// How long all of them lasted.
    pub frozen: Duration,
    /// Lines of the newest picture.
    pub height: u16,
    /// Encoding or spatial layer of the newest picture.
    pub layer: u8,
    /// Whose the newest packet was: the first SSRC of its source, as its sender knows it.
    pub origin: Option<Ssrc>,
    /// How often the stream passed from one source to another.
    pub handovers: u64,
}

/// The receiving end of one stream: puts packets in order, waits for retransmissions, plays what
/// is complete, and proves that nothing but the network changed what the sender sent.
pub struct Reception {
    /// The only source whose packets belong here; None if the bridge passes the stream on from
    /// source to source (SSRC rewriting).
    source: Option<Ssrc>,
    media: MediaType,
    waiting: BTreeMap<u64, Received>,
    /// The next sequence number to play; None until the stream has begun.
    next: Option<u64>,
    /// When the last packet was played, or the first one arrived.
    last_played: Option<Instant>,
    video: Video,
    last_audio: Option<(u32, u32)>,
    /// The moment from which send times count, and what was found since.
    delays: Option<(Instant, Delays)>,
    facts: ReceptionFacts,
    flaws: VecDeque<Flaw>,
}

#[derive(Default)]
struct Video {
    last: Option<Picture>,
    /// Timestamp of the last picture of the source that had the stream before.
    before: Option<u32>,
    /// The frame whose packets are being collected.
    open: Option<Picture>,
    /// The last packet, if it was not the last one of its picture. Of a frame that lacks others
    /// too, nothing is collected any more.
    unfinished: Option<Stamp>,
    /// Newest frame of each encoding or spatial layer.
    newest: BTreeMap<u8, u32>,
    /// By picture and layer.
    decoded: BTreeSet<(u32, u8)>,
    /// The same frames, by their numbers in dependency descriptors.
    described: BTreeSet<u16>,
    /// What the descriptors refer to.
    structure: Option<Structure>,
    /// Numbers are missing since the last complete frame.
    has_gap: bool,
    /// Something was left out since then, and an empty packet sent in its place.
    is_filled: bool,
    /// Numbers are missing since the last key frame.
    is_holed: bool,
    /// Cannot go on without a key frame.
    is_broken: bool,
    last_request: Option<Instant>,
    /// The last frame whose distance to the next one is a matter of fluency.
    shown: Option<Instant>,
    /// Usual time between two frames, an average over some thirty.
    interval: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Picture {
    head: Head,
    stamp: Stamp,
    time: u32,
    /// Its number in its dependency descriptor.
    described: Option<u16>,
    /// Its first packet and all after it were seen and it can be decoded.
    is_whole: bool,
    /// It ended the picture: nothing of a higher layer follows.
    is_marked: bool,
}

impl Reception {
    /// A stream that others announced under `ssrc`.
    pub fn new(ssrc: Ssrc, media: MediaType) -> Reception {
        Reception::of(Some(ssrc), media)
    }

    /// A stream that the bridge passes on from source to source. Sequence numbers and timestamps
    /// go on over a handover; video begins anew with a key frame.
    pub fn shared(media: MediaType) -> Reception {
        Reception::of(None, media)
    }

    fn of(source: Option<Ssrc>, media: MediaType) -> Reception {
        Reception {
            source,
            media,
            waiting: BTreeMap::new(),
            next: None,
            last_played: None,
            video: Video::default(),
            last_audio: None,
            delays: None,
            facts: ReceptionFacts::default(),
            flaws: VecDeque::new(),
        }
    }

    /// Finds out how long packets were on their way; send times count from `epoch`.
    pub fn measure_from(&mut self, epoch: Instant) {
        self.delays.get_or_insert((epoch, Delays::default()));
    }

    /// How long packets were on their way, if that is measured.
    pub fn delays(&self) -> Option<&Delays> {
        self.delays.as_ref().map(|(_, delays)| delays)
    }

    /// The stream may pause without being frozen: its receiver does not want it now.
    pub fn expect_pause(&mut self) {
        self.video.shown = None;
    }

    /// A packet came off the network, in whatever order.
    pub fn handle_packet(&mut self, packet: Received) {
        let now = packet.at;
        if self.next.is_some_and(|next| packet.seq < next) {
            self.facts.late += 1;
            return;
        }
        // In order and nothing missing, as nearly always.
        if self.next == Some(packet.seq) && self.waiting.is_empty() {
            self.facts.last_packet = Some(now);
            self.facts.packets += 1;
            self.next = Some(packet.seq + 1);
            self.play_one(&packet);
            return;
        }
        let is_newest = self
            .waiting
            .last_key_value()
            .is_none_or(|(newest, _)| packet.seq > *newest);
        if is_newest {
            self.facts.last_packet = Some(now);
        }
        self.last_played.get_or_insert(now);
        if self.waiting.insert(packet.seq, packet).is_none() {
            self.facts.packets += 1;
        }
        self.play(now);
    }

    /// Gives up what is too late.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.play(now);
    }

    /// When [`handle_timeout`](Reception::handle_timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.patience_ends()
    }

    /// Whether it waits for anything: a missing packet, or a key frame. If not, nothing comes of it
    /// before the next packet does.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.video.is_broken
    }

    /// The next flaw that was found.
    pub fn poll_flaw(&mut self) -> Option<Flaw> {
        self.flaws.pop_front()
    }

    /// Whether to ask the sender for a key frame now; counts as asked.
    pub fn take_key_frame_request(&mut self, now: Instant) -> bool {
        let is_due = self
            .video
            .last_request
            .is_none_or(|last| now >= last + REQUEST_SPACING);
        let wants = self.video.is_broken && is_due;
        if wants {
            self.video.last_request = Some(now);
            self.facts.requests += 1;
        }
        wants
    }

    /// How the stream has fared so far.
    pub fn facts(&self) -> &ReceptionFacts {
        &self.facts
    }

    /// Audio or video.
    pub fn media(&self) -> MediaType {
        self.media
    }

    fn note_delay(&mut self, stamp: &Stamp, at: Instant) {
        if let Some((epoch, delays)) = &mut self.delays {
            let sent = *epoch + Duration::from_micros(stamp.sent.min(SENT_MAX));
            delays.add(at.saturating_duration_since(sent));
        }
    }

    fn patience(&self) -> Duration {
        match (self.media, self.next) {
            (_, None) => START_PATIENCE,
            (MediaType::Audio, Some(_)) => AUDIO_PATIENCE,
            (MediaType::Video, Some(_)) => VIDEO_PATIENCE,
        }
    }

    /// When what is missing before the first packet that waits is given up. A whole key frame
    /// needs nothing of what is before it, and decoders go on there.
    fn patience_ends(&self) -> Option<Instant> {
        let (seq, first) = self.waiting.first_key_value()?;
        let usual = first.at + self.patience();
        let is_hole = self.media == MediaType::Video && self.next.is_some_and(|next| next < *seq);
        let key = is_hole.then(|| self.key_frame_waiting()).flatten();
        Some(key.map_or(usual, |key| usual.min(key + KEY_PATIENCE)))
    }

    /// When the first key frame that waits was complete.
    fn key_frame_waiting(&self) -> Option<Instant> {
        let mut expected = None;
        self.waiting.iter().find_map(|(seq, packet)| {
            let (head, _) = Head::read(packet)?;
            let is_start = head.is_start && head.is_key;
            let is_part = is_start || expected == Some((*seq, packet.time));
            expected = is_part.then_some((*seq + 1, packet.time));
            (is_part && packet.marker).then_some(packet.at)
        })
    }

    fn play(&mut self, now: Instant) {
        while let Some((&seq, first)) = self.waiting.first_key_value() {
            let is_ripe =
                self.next != Some(seq) && self.patience_ends().is_some_and(|end| now >= end);
            match self.next {
                Some(next) if seq == next => {}
                Some(_) if is_ripe && self.is_left_behind(first) => {
                    self.video.has_gap = true;
                    self.video.is_holed = true;
                }
                Some(next) if is_ripe && !self.is_left_out(seq - next, first) => {
                    self.give_up(seq - next);
                }
                Some(_) if is_ripe => {}
                None if is_ripe => {}
                _ => return,
            }
            let Some((seq, packet)) = self.waiting.pop_first() else {
                return;
            };
            self.next = Some(seq + 1);
            self.play_one(&packet);
        }
    }

    fn play_one(&mut self, packet: &Received) {
        // Padding may travel on the main SSRC; it is no media.
        if packet.payload.is_empty() {
            self.video.is_filled = true;
        } else {
            match self.media {
                MediaType::Audio => self.play_audio(packet),
                MediaType::Video => self.play_video(packet),
            }
        }
        self.last_played = Some(packet.at);
    }

    /// Whether the missing number was never used: the bridge leaves one out where it goes over to
    /// another stream, or pauses, in the middle of a frame, which nothing can make look whole.
    fn is_left_out(&self, missing: u64, next: &Received) -> bool {
        let (Some(unfinished), Some((head, stamp))) = (self.video.unfinished, Head::read(next))
        else {
            return false;
        };
        let is_start = self.media == MediaType::Video && head.is_start && head.is_key;
        is_start && missing == 1 && head.is_begun_anew(&unfinished, &stamp)
    }

    /// Whether the stream stops, or goes over to another one, right behind the frame of which
    /// something is missing: what comes late of it is not sent any more.
    fn is_left_behind(&self, next: &Received) -> bool {
        let Some((head, stamp)) = Head::read(next) else {
            return false;
        };
        if self.media != MediaType::Video || head.is_start {
            return false;
        }
        let mut behind = self.waiting.values().filter(|one| one.time != next.time);
        let Some(behind) = behind.next() else {
            return true;
        };
        Head::read(behind).is_some_and(|(behind, other)| {
            behind.is_start && behind.is_key && behind.is_other_stream(&stamp, &other)
        })
    }

    fn give_up(&mut self, missing: u64) {
        self.facts.lost += missing;
        if let Some(since) = self.last_played {
            self.flaws.push_back(Flaw::Gap { missing, since });
        }
        self.video.has_gap = true;
        self.video.is_holed = true;
    }

    /// Whether packets of this source belong here.
    fn takes(&mut self, source: Ssrc) -> bool {
        if self.source.is_some_and(|expected| expected != source) {
            self.flaws.push_back(Flaw::Foreign { source });
            return false;
        }
        let former = self.facts.origin.replace(source);
        if former.is_some_and(|former| former != source) {
            self.hand_over();
        }
        true
    }

    /// Another source's packets begin: its numbers have nothing to do with the former one's.
    fn hand_over(&mut self) {
        self.facts.handovers += 1;
        self.expect_pause();
        self.last_audio = self.last_audio.map(|(_, time)| (0, time));
        let video = &mut self.video;
        let last = video.open.take().or(video.last.take());
        video.before = last.map(|picture| picture.time).or(video.before);
        video.newest.clear();
        video.decoded.clear();
        video.described.clear();
    }

    fn play_audio(&mut self, packet: &Received) {
        let Some(stamp) = microphone::read_packet(&packet.payload) else {
            self.flaws.push_back(Flaw::Unreadable);
            return;
        };
        if !self.takes(stamp.source) {
            return;
        }
        self.note_delay(&stamp, packet.at);
        if let Some((number, time)) = self.last_audio {
            if stamp.number <= number {
                self.flaws.push_back(Flaw::Repeated {
                    number: stamp.number,
                });
            }
            self.check_time(time, packet.time);
        }
        self.last_audio = Some((stamp.number, packet.time));
        self.facts.frames += 1;
        self.facts.first_frame.get_or_insert(packet.at);
        self.facts.last_frame = Some(packet.at);
    }

    fn play_video(&mut self, packet: &Received) {
        let Some((head, stamp)) = Head::read(packet) else {
            self.flaws.push_back(Flaw::Unreadable);
            return;
        };
        if !self.takes(stamp.source) {
            return;
        }
        self.note_delay(&stamp, packet.at);
        let number = stamp.number;
        if !head.is_consistent {
            self.flaws.push_back(Flaw::Misdescribed { number });
        }
        if head.is_start {
            self.cut_open_frame(&head, &stamp);
            if head.is_key != (stamp.is_key() && head.need(&stamp).is_none()) {
                self.flaws.push_back(Flaw::FalseKey);
            }
            let picture = Picture {
                head,
                stamp,
                time: packet.time,
                described: None,
                is_whole: true,
                is_marked: false,
            };
            self.begin(picture, packet.descriptor.as_deref(), packet.at);
        } else {
            self.go_on(stamp, packet.time, head.picture_id);
        }
        let is_last = stamp.part + 1 == stamp.parts;
        // Spatial layers may follow; whether the marker was missing, the next frame shows.
        let is_end = match head.codec {
            CameraCodec::Vp8 => is_last,
            CameraCodec::Vp9 => is_last && packet.marker,
        };
        self.video.unfinished = (!is_end).then_some(stamp);
        if packet.marker != is_end {
            self.flaws.push_back(Flaw::Marker { number });
        }
        if is_last {
            self.finish(is_end, packet.at);
        }
    }

    /// A new frame starts while another one is not finished. That is right only where the bridge
    /// goes over to the key frame of another encoding, since the encodings' packets come
    /// interleaved, or goes on with one after a pause.
    fn cut_open_frame(&mut self, head: &Head, next: &Stamp) {
        let Some(open) = self.video.open.take() else {
            return;
        };
        let is_switch = next.is_key() && head.is_begun_anew(&open.stamp, next);
        if !self.video.has_gap && !is_switch {
            self.flaws.push_back(Flaw::FrameCut {
                number: open.stamp.number,
            });
        }
        self.video.last = Some(open);
        self.video.is_holed = true;
    }

    fn begin(&mut self, mut picture: Picture, descriptor: Option<&[u8]>, at: Instant) {
        let (head, stamp) = (picture.head, picture.stamp);
        if let Some(before) = self.video.before.take() {
            self.check_time(before, picture.time);
        }
        if let Some(last) = self.video.last {
            self.check_order(&last, &picture);
        } else if head.need(&stamp).is_some() {
            let since = self.last_played.unwrap_or(at);
            self.flaws.push_back(Flaw::NoKeyAtStart { since });
            self.video.is_holed = true;
            self.video.is_broken = true;
        }
        let newest = self.video.newest.entry(stamp.layer).or_insert(0);
        if stamp.number <= *newest {
            self.flaws.push_back(Flaw::Repeated {
                number: stamp.number,
            });
        }
        *newest = stamp.number.max(*newest);
        let need = head.need(&stamp);
        if need.is_none() {
            self.video.decoded.clear();
            self.video.described.clear();
            self.video.is_broken = false;
            self.video.is_holed = false;
        }
        let was_broken = self.video.is_broken;
        if was_broken {
            picture.is_whole = false;
        } else if need.is_some_and(|need| !self.video.decoded.contains(&need)) {
            if !self.video.is_holed {
                let Stamp {
                    number, reference, ..
                } = stamp;
                self.flaws
                    .push_back(Flaw::Undecodable { number, reference });
            }
            self.video.is_broken = true;
            picture.is_whole = false;
        }
        if let Some(descriptor) = descriptor.filter(|_| !was_broken) {
            self.check_description(descriptor, &mut picture);
        }
        self.video.has_gap = false;
        self.video.is_filled = false;
        self.video.open = Some(picture);
    }

    /// Browsers go by the descriptor: by it, as by the truth, a frame can be decoded or not.
    fn check_description(&mut self, descriptor: &[u8], picture: &mut Picture) {
        let video = &mut self.video;
        let described = Described::read(descriptor, &mut video.structure);
        // The structure may be lost with the key picture that it came with.
        let is_lost = video.has_gap && !picture.is_whole;
        let is_right = described.map_or(is_lost, |described| {
            let reference = described.reference();
            let has_reference = reference.is_none_or(|of| video.described.contains(&of));
            let frame = described.frame;
            frame.spatial == picture.stamp.layer
                && frame.place.temporal() == picture.head.temporal
                && has_reference == picture.is_whole
        });
        picture.described = described.map(|described| described.frame.number);
        if !is_right {
            let number = picture.stamp.number;
            self.flaws.push_back(Flaw::Misdescribed { number });
            self.video.is_broken = true;
            picture.is_whole = false;
        }
    }

    /// Compares the start of a frame with the frame before it.
    fn check_order(&mut self, last: &Picture, picture: &Picture) {
        if picture.head.codec == CameraCodec::Vp9 {
            return self.check_scalable_order(last, picture);
        }
        let has_gap = self.video.has_gap;
        self.check_time(last.time, picture.time);
        let (from, to) = (last.head.picture_id, picture.head.picture_id);
        let step = to.wrapping_sub(from) & PICTURE_ID_MAX;
        // The bridge leaves out frames of upper layers that come too late to be renumbered.
        let is_next = if has_gap || self.video.is_filled {
            (1..0x4000).contains(&step)
        } else {
            step == 1
        };
        if !is_next {
            self.flaws.push_back(Flaw::PictureId { from, to });
        }
        let (from, to) = (last.head.tl0_pic_idx, picture.head.tl0_pic_idx);
        let step = u8::from(picture.head.temporal == 0);
        if !has_gap && to.wrapping_sub(from) != step {
            self.flaws.push_back(Flaw::Tl0PicIdx { from, to });
        }
        if last.stamp.layer != picture.stamp.layer {
            self.facts.switches += 1;
            if !picture.stamp.is_key() {
                if !has_gap {
                    let (from, to) = (last.stamp.layer, picture.stamp.layer);
                    self.flaws.push_back(Flaw::NoKeyAfterSwitch { from, to });
                }
                self.video.is_holed = true;
                self.video.is_broken = true;
            }
        }
    }

    /// The same where a picture has a frame for each spatial layer. Picture ids keep the places of
    /// pictures that are left out, since others name those they refer to by how many lie between.
    fn check_scalable_order(&mut self, last: &Picture, picture: &Picture) {
        let has_gap = self.video.has_gap;
        let (before, stamp) = (&last.stamp, &picture.stamp);
        let is_same = before.number == stamp.number;
        let need = picture.head.need(stamp);
        let is_anew = need.is_none();
        // The ids of what began with a key picture that was lost have nothing to do with those
        // before. What came refers to none of them either.
        let is_lost = |need| has_gap && !self.video.decoded.contains(&need);
        let is_after_lost_key = need.is_some_and(is_lost);
        let (from, to) = (last.time, picture.time);
        match is_same {
            true if from != to => self.flaws.push_back(Flaw::Timestamp { from, to }),
            true => {}
            false => self.check_time(from, to),
        }
        let (from, to) = (last.head.picture_id, picture.head.picture_id);
        let step = u32::from(to.wrapping_sub(from) & PICTURE_ID_MAX);
        let is_later = (1..0x4000).contains(&step);
        let pictures = stamp.number.wrapping_sub(before.number) & u32::from(PICTURE_ID_MAX);
        let is_next = match is_anew {
            true => is_later,
            false => step == pictures || (is_after_lost_key && is_later),
        };
        if !is_next {
            self.flaws.push_back(Flaw::PictureId { from, to });
        }
        let (from, to) = (last.head.tl0_pic_idx, picture.head.tl0_pic_idx);
        let step = u8::from(picture.head.temporal == 0 && !is_same);
        if !has_gap && to.wrapping_sub(from) != step {
            self.flaws.push_back(Flaw::Tl0PicIdx { from, to });
        }
        let is_cut = is_anew && picture.head.is_begun_anew(before, stamp);
        let is_end_told = last.is_marked != is_same;
        if !has_gap && !is_end_told && !is_cut {
            let number = before.number;
            self.flaws.push_back(Flaw::Marker { number });
        }
    }

    fn go_on(&mut self, stamp: Stamp, time: u32, picture_id: u16) {
        let has_gap = self.video.has_gap;
        let Some(open) = &mut self.video.open else {
            if !has_gap {
                // The stream may begin in the middle of a frame whose start was lost.
                let flaw = match (self.video.last, self.last_played) {
                    (None, Some(since)) => Flaw::NoKeyAtStart { since },
                    _ => Flaw::FrameCut {
                        number: stamp.number,
                    },
                };
                self.flaws.push_back(flaw);
                self.video.has_gap = true;
            }
            self.video.is_holed = true;
            self.video.is_broken |= self.video.last.is_none();
            return;
        };
        let is_same = open.stamp.number == stamp.number
            && open.stamp.layer == stamp.layer
            && open.time == time
            && open.head.picture_id == picture_id;
        if is_same && open.stamp.part + 1 == stamp.part {
            open.stamp.part = stamp.part;
            return;
        }
        if !has_gap {
            self.flaws.push_back(Flaw::FrameCut {
                number: stamp.number,
            });
        }
        if is_same {
            open.stamp.part = stamp.part;
            open.is_whole = false;
        } else {
            self.video.open = None;
        }
        self.video.is_holed = true;
    }

    /// A frame is complete, and its picture with it if `is_marked`.
    fn finish(&mut self, is_marked: bool, at: Instant) {
        let Some(mut picture) = self.video.open.take() else {
            return;
        };
        picture.is_marked = is_marked;
        self.video.last = Some(picture);
        if picture.is_whole {
            self.video.note_decoded(&picture);
        } else {
            // A key frame with a hole is none.
            self.video.is_broken |= picture.stamp.is_key();
        }
        if !is_marked {
            return;
        }
        let is_switch = self.facts.frames > 0 && self.facts.layer != picture.stamp.layer;
        if is_switch && picture.head.codec == CameraCodec::Vp9 {
            self.facts.switches += 1;
        }
        self.facts.height = picture.stamp.height;
        self.facts.layer = picture.stamp.layer;
        if !picture.is_whole {
            return;
        }
        if picture.stamp.is_key() {
            self.facts.key_frames += 1;
        }
        self.facts.frames += 1;
        self.facts.first_frame.get_or_insert(at);
        self.facts.last_frame = Some(at);
        self.show(at);
    }

    /// A complete frame is seen; how long was the one before?
    fn show(&mut self, at: Instant) {
        let Some(last) = self.video.shown.replace(at) else {
            return;
        };
        let distance = at.saturating_duration_since(last);
        let Some(usual) = self.video.interval else {
            self.video.interval = Some(distance);
            return;
        };
        if distance > (usual * 3).max(usual + FREEZE) {
            self.facts.freezes += 1;
            self.facts.frozen += distance;
        } else {
            self.video.interval = Some((usual * 29 + distance) / 30);
        }
    }

    fn check_time(&mut self, from: u32, to: u32) {
        if !(1..1 << 31).contains(&to.wrapping_sub(from)) {
            self.flaws.push_back(Flaw::Timestamp { from, to });
        }
    }
}

impl Video {
    fn note_decoded(&mut self, picture: &Picture) {
        let Stamp { number, layer, .. } = picture.stamp;
        self.decoded.insert((number, layer));
        self.described.extend(picture.described);
        if self.decoded.len() > DECODED_KEPT {
            self.decoded.pop_first();
        }
        let is_full = self.described.len() > 2 * usize::from(DESCRIBED_KEPT);
        if let Some(newest) = picture.described.filter(|_| is_full) {
            let is_recent = |number: &u16| newest.wrapping_sub(*number) <= DESCRIBED_KEPT;
            self.described.retain(is_recent);
        }
    }
}

/// How long the first packets may overtake each other.
const START_PATIENCE: Duration = Duration::from_millis(80);
const AUDIO_PATIENCE: Duration = Duration::from_millis(250);
/// Long enough for five retransmissions.
const VIDEO_PATIENCE: Duration = Duration::from_millis(800);
/// How long the packets before a key frame may be overtaken by it.
const KEY_PATIENCE: Duration = Duration::from_millis(50);
const REQUEST_SPACING: Duration = Duration::from_millis(500);
const DECODED_KEPT: usize = 64;
/// The same in numbers of descriptors, which count the frames of all layers.
const DESCRIBED_KEPT: u16 = 128;
/// What libwebrtc adds to the usual time between frames before it speaks of a freeze.
const FREEZE: Duration = Duration::from_millis(150);
/// A hundred years: what a foreign sender writes there must not overflow a clock.
const SENT_MAX: u64 = 100 * 365 * 24 * 3600 * 1_000_000;

#[cfg(test)]
mod tests {
    mod scalable;

    use super::*;
    use crate::media::camera::{Camera, Frame, Layer, SyntheticCamera};
    use crate::media::packetizer::Packetizer;
    use tertulia_model::Random;

    const SOURCE: Ssrc = Ssrc(77);

    /// A sender and what a perfect bridge makes of one of its layers.
    struct Studio {
        now: Instant,
        camera: SyntheticCamera,
        packetizer: Packetizer,
        seq: u64,
        time: u32,
    }

    impl Studio {
        fn new() -> Studio {
            let layers = [(90, 40_000), (360, 300_000)].map(|(height, bitrate_bps)| Layer {
                width: height * 16 / 9,
                height,
                bitrate_bps,
            });
            Studio {
                now: Instant::now(),
                camera: SyntheticCamera::new(SOURCE, &layers, Duration::from_millis(100)),
                packetizer: Packetizer::new(CameraCodec::Vp8, &mut Random::from_seed([9; 32])),
                seq: 100,
                time: u32::MAX - 9000,
            }
        }

        fn frame(&mut self, layer: usize) -> Vec<Received> {
            let frame = self.camera.frames(self.now, &|_| true)[layer].unwrap();
            self.cut(&frame)
        }

        fn cut(&mut self, frame: &Frame) -> Vec<Received> {
            self.now += Duration::from_millis(100);
            self.time = self.time.wrapping_add(9000);
            let payloads = self.packetizer.packets(frame);
            let count = payloads.len();
            let mut packets = Vec::new();
            for (index, payload) in payloads.into_iter().enumerate() {
                self.seq += 1;
                packets.push(Received {
                    seq: self.seq,
                    time: self.time,
                    marker: index + 1 == count,
                    codec: Some(CameraCodec::Vp8),
                    descriptor: None,
                    payload: payload.into(),
                    at: self.now,
                });
            }
            packets
        }
    }

    fn flaws(reception: &mut Reception) -> Vec<Flaw> {
        std::iter::from_fn(|| reception.poll_flaw()).collect()
    }

    fn play(packets: impl IntoIterator<Item = Received>, end: Instant) -> Reception {
        let mut reception = Reception::new(SOURCE, MediaType::Video);
        for packet in packets {
            reception.handle_packet(packet);
        }
        reception.handle_timeout(end + Duration::from_secs(1));
        reception
    }

    #[test]
    fn a_clean_stream_has_no_flaw_in_any_order() {
        let mut studio = Studio::new();
        let mut packets: Vec<Received> = (0..20).flat_map(|_| studio.frame(1)).collect();
        packets[4..].reverse();
        let mut reception = play(packets, studio.now);
        assert_eq!(flaws(&mut reception), []);
        assert_eq!((reception.facts().frames, reception.facts().lost), (20, 0));
    }

    #[test]
    fn a_frame_of_an_upper_layer_may_be_replaced_by_nothing() {
        let mut studio = Studio::new();
        let mut packets: Vec<Received> = (0..5).flat_map(|_| studio.frame(0)).collect();
        assert_eq!(packets.len(), 5, "a packet each");
        packets[1].payload = Arc::new([]);
        packets[1].marker = false;
        let mut reception = play(packets, studio.now);
        assert_eq!(flaws(&mut reception), []);
        assert_eq!((reception.facts().frames, reception.facts().lost), (4, 0));
    }

    #[test]
    fn a_hole_breaks_what_depends_on_it_and_asks_for_a_key_frame() {
        let mut studio = Studio::new();
        let mut packets: Vec<Received> = (0..4).flat_map(|_| studio.frame(0)).collect();
        studio.frame(0); // lost; the base of all that follows
        packets.extend((0..4).flat_map(|_| studio.frame(0)));
        let mut reception = play(packets, studio.now);
        assert!(matches!(
            flaws(&mut reception)[..],
            [Flaw::Gap { missing: 1, .. }]
        ));
        assert_eq!(reception.facts().frames, 4);
        assert!(reception.take_key_frame_request(studio.now));
        assert!(
            !reception.take_key_frame_request(studio.now),
            "not again at once"
        );
        studio.camera.request_key_frame();
        for packet in studio.frame(0) {
            reception.handle_packet(packet);
        }
        assert_eq!(flaws(&mut reception), []);
        assert_eq!(reception.facts().frames, 5);
    }

    #[test]
    fn a_whole_key_frame_waits_for_nothing_before_it() {
        let mut studio = Studio::new();
        let mut reception = Reception::new(SOURCE, MediaType::Video);
        for packet in (0..3).flat_map(|_| studio.frame(1)).collect::<Vec<_>>() {
            reception.handle_packet(packet);
        }
        let mut holed = studio.frame(1);
        holed.pop();
        studio.camera.request_key_frame();
        let mut key = studio.frame(1);
        let last = key.pop().unwrap();
        holed
            .into_iter()
            .chain(key)
            .for_each(|packet| reception.handle_packet(packet));
        let frames = reception.facts().frames;
        reception.handle_timeout(studio.now + KEY_PATIENCE);
        assert_eq!(reception.facts().frames, frames, "it is not whole");
        reception.handle_packet(last);
        assert_eq!(reception.next_timeout(), Some(studio.now + KEY_PATIENCE));
        reception.handle_timeout(studio.now + KEY_PATIENCE);
        assert_eq!(reception.facts().frames, frames + 1);
    }

    #[test]
    fn what_comes_late_of_an_encoding_that_was_left_is_no_loss() {
        let mut studio = Studio::new();
        let mut packets: Vec<Received> = (0..2).flat_map(|_| studio.frame(1)).collect();
        let mut last = studio.frame(1);
        assert!(last.len() > 1);
        last.remove(0);
        packets.extend(last.clone());
        studio.camera.request_key_frame();
        let key = studio.frame(0);
        let mut reception = play(packets.iter().cloned().chain(key), studio.now);
        assert_eq!(flaws(&mut reception), []);
        assert_eq!((reception.facts().lost, reception.facts().switches), (0, 1));
        // So it is where the stream stops, but not where it goes on.
        let mut reception = play(packets.clone(), studio.now);
        assert_eq!(flaws(&mut reception), []);
        packets.extend(studio.frame(1));
        let mut reception = play(packets, studio.now);
        let found = flaws(&mut reception);
        assert!(matches!(found[0], Flaw::Gap { .. }), "{found:?}");
    }

    #[test]
    fn a_number_left_out_behind_what_lacks_more_is_no_loss() {
        let mut studio = Studio::new();
        let mut packets: Vec<Received> = (0..2).flat_map(|_| studio.frame(1)).collect();
        studio.camera.request_key_frame();
        let keys = studio.camera.frames(studio.now, &|_| true);
        let mut cut = studio.cut(keys[1].as_ref().unwrap());
        assert!(cut.len() > 3);
        cut.remove(0); // late on its way up, when the encoding was left already
        cut.pop(); // the bridge left out one number after half a frame
        packets.extend(cut);
        packets.extend(studio.cut(keys[0].as_ref().unwrap()));
        let mut reception = play(packets, studio.now);
        assert_eq!(flaws(&mut reception), []);
        assert_eq!((reception.facts().lost, reception.facts().switches), (0, 1));
    }

    #[test]
    fn a_number_left_out_in_the_middle_of_a_frame_is_no_loss() {
        let mut studio = Studio::new();
        let mut packets: Vec<Received> = (0..3).flat_map(|_| studio.frame(1)).collect();
        let last = packets.pop().unwrap();
        assert!(packets.last().unwrap().seq + 1 == last.seq, "half a frame");
        studio.camera.request_key_frame();
        packets.extend(studio.frame(0));
        let mut reception = play(packets.clone(), studio.now);
        assert_eq!(flaws(&mut reception), []);
        assert_eq!((reception.facts().lost, reception.facts().switches), (0, 1));
        // Two are too many.
        studio.seq += 1;
        let mut packets: Vec<Received> = packets.into_iter().take(6).collect();
        packets.pop();
        let numbers = packets.last().unwrap().seq;
        studio.camera.request_key_frame();
        let mut key = studio.frame(0);
        key[0].seq = numbers + 3;
        packets.extend(key);
        let mut reception = play(packets, studio.now);
        assert!(
            flaws(&mut reception)
                .iter()
                .any(|flaw| matches!(flaw, Flaw::Gap { missing: 2, .. }))
        );
    }

    #[test]
    fn a_pause_in_the_middle_of_a_frame_ends_with_a_key_frame() {
        for (is_paused, flaws_most) in [(true, 0), (false, 1)] {
            let mut studio = Studio::new();
            let mut packets: Vec<Received> = (0..3).flat_map(|_| studio.frame(1)).collect();
            packets.pop();
            if is_paused {
                studio.camera.frames(studio.now, &|_| true);
            }
            studio.camera.request_key_frame();
            packets.extend(studio.frame(1));
            let mut reception = play(packets, studio.now);
            let found = flaws(&mut reception);
            assert_eq!(found.len(), flaws_most, "{found:?}");
            assert_eq!(reception.facts().lost, u64::from(!is_paused));
        }
    }

    #[test]
    fn a_picture_that_stands_still_is_a_freeze() {
        let mut studio = Studio::new();
        let mut reception = Reception::new(SOURCE, MediaType::Video);
        let run = |studio: &mut Studio, reception: &mut Reception| {
            for _ in 0..10 {
                studio
                    .frame(0)
                    .into_iter()
                    .for_each(|p| reception.handle_packet(p));
            }
        };
        run(&mut studio, &mut reception);
        studio.now += Duration::from_millis(140);
        run(&mut studio, &mut reception);
        assert_eq!(
            reception.facts().freezes,
            0,
            "240 ms at 100 ms a frame is none"
        );
        studio.now += Duration::from_millis(300);
        run(&mut studio, &mut reception);
        let facts = *reception.facts();
        assert_eq!((facts.freezes, facts.frozen.as_millis()), (1, 400));
        studio.now += Duration::from_millis(900);
        reception.expect_pause();
        run(&mut studio, &mut reception);
        assert_eq!(reception.facts().freezes, 1, "nobody wanted it");
    }

    #[test]
    fn delays_are_those_of_the_stamps() {
        let epoch = Instant::now();
        let mut studio = Studio::new();
        let mut reception = Reception::new(SOURCE, MediaType::Video);
        reception.measure_from(epoch);
        studio.now = epoch;
        for _ in 0..5 {
            let frame = studio.camera.frames(studio.now, &|_| true)[0].unwrap();
            let mut packets = studio.cut(&frame);
            for packet in &mut packets {
                // As if it had been sent when the frame before was: 100 ms ago.
                let sent = (packet.at - epoch).as_micros() as u64 - 100_000;
                let mut payload = packet.payload.to_vec();
                let head = payload
                    .windows(4)
                    .position(|bytes| bytes == b"TTL1")
                    .unwrap();
                let at = head + Stamp::LENGTH - 8;
                payload[at..at + 8].copy_from_slice(&sent.to_be_bytes());
                packet.payload = payload.into();
            }
            packets.into_iter().for_each(|p| reception.handle_packet(p));
        }
        reception.handle_timeout(studio.now + Duration::from_secs(1));
        let delays = reception.delays().unwrap();
        assert_eq!(delays.count(), reception.facts().packets);
        let median = delays.quantile(0.5).unwrap().as_millis();
        assert!((97..=103).contains(&median), "{median}");
    }

    #[test]
    fn a_lost_frame_on_which_nothing_depends_costs_only_itself() {
        let mut studio = Studio::new();
        let mut packets: Vec<Received> = studio.frame(0);
        studio.frame(0);
        packets.extend((0..6).flat_map(|_| studio.frame(0)));
        let mut reception = play(packets, studio.now);
        assert!(matches!(
            flaws(&mut reception)[..],
            [Flaw::Gap { missing: 1, .. }]
        ));
        assert_eq!(reception.facts().frames, 7);
    }

    #[test]
    fn a_shared_stream_passes_from_source_to_source_with_a_key_frame() {
        const OTHER: Ssrc = Ssrc(78);
        let mut studio = Studio::new();
        let mut reception = Reception::shared(MediaType::Video);
        let receive = |reception: &mut Reception, packets: Vec<Received>| {
            for packet in packets {
                reception.handle_packet(packet);
            }
        };
        for _ in 0..3 {
            receive(&mut reception, studio.frame(0));
        }
        studio.now += START_PATIENCE;
        reception.handle_timeout(studio.now);
        // The other one's frames are far on; its next one is no key frame.
        let layers = [Layer {
            width: 160,
            height: 90,
            bitrate_bps: 40_000,
        }];
        let interval = Duration::from_millis(100);
        studio.camera = SyntheticCamera::new(OTHER, &layers, interval);
        studio.packetizer = Packetizer::new(CameraCodec::Vp8, &mut Random::from_seed([3; 32]));
        studio.camera.frames(studio.now, &|_| true);
        receive(&mut reception, studio.frame(0));
        let found = flaws(&mut reception);
        assert!(
            matches!(found[..], [Flaw::NoKeyAtStart { .. }]),
            "{found:?}"
        );
        assert_eq!(reception.facts().origin, Some(OTHER));
        assert_eq!(reception.facts().handovers, 1);
        // Back to a source that begins as it should.
        studio.camera = SyntheticCamera::new(SOURCE, &layers, interval);
        receive(&mut reception, studio.frame(0));
        receive(&mut reception, studio.frame(0));
        assert_eq!(flaws(&mut reception), []);
        assert_eq!(reception.facts().frames, 5);
        // Time must not go back with it.
        studio.camera = SyntheticCamera::new(OTHER, &layers, interval);
        studio.time = studio.time.wrapping_sub(20_000);
        receive(&mut reception, studio.frame(0));
        let found = flaws(&mut reception);
        assert!(matches!(found[..], [Flaw::Timestamp { .. }]), "{found:?}");
    }

    #[test]
    fn each_wrong_thing_has_its_name() {
        let check = |name: &str, spoil: &dyn Fn(&mut Studio, &mut Vec<Received>)| {
            let mut studio = Studio::new();
            let mut packets: Vec<Received> = (0..5).flat_map(|_| studio.frame(0)).collect();
            spoil(&mut studio, &mut packets);
            let mut reception = play(packets, studio.now);
            let found = flaws(&mut reception);
            assert!(
                found
                    .iter()
                    .any(|flaw| format!("{flaw:?}").starts_with(name)),
                "{name}: {found:?}"
            );
        };
        check("NoKeyAfterSwitch", &|studio, packets| {
            packets.extend(studio.frame(1))
        });
        check("NoKeyAtStart", &|_, packets| {
            packets.drain(..2);
        });
        check("Repeated", &|_, packets| {
            let mut again = packets[4].clone();
            again.seq += 1;
            packets.push(again);
        });
        check("Timestamp", &|studio, packets| {
            studio.time = studio.time.wrapping_sub(20_000);
            packets.extend(studio.frame(0));
        });
        check("PictureId", &|studio, packets| {
            studio.packetizer = Packetizer::new(CameraCodec::Vp8, &mut Random::from_seed([3; 32]));
            packets.extend(studio.frame(0));
        });
        check("FalseKey", &|studio, packets| {
            let mut frame = studio.camera.frames(studio.now, &|_| true)[0].unwrap();
            frame.is_key = true;
            packets.extend(studio.cut(&frame));
        });
        check("Undecodable", &|studio, packets| {
            studio.camera.frames(studio.now, &|_| true);
            studio.camera.frames(studio.now, &|_| true);
            packets.extend(studio.frame(0));
            packets.extend(studio.frame(0));
        });
        check("FrameCut", &|studio, packets| {
            studio.camera.request_key_frame();
            let mut frame = studio.frame(1);
            frame[1].seq = studio.seq + 1;
            frame.drain(2..);
            frame.remove(0);
            frame[0].seq = packets[4].seq + 1;
            packets.extend(frame);
        });
        check("Marker", &|studio, packets| {
            let mut frame = studio.frame(0);
            frame[0].marker = false;
            packets.extend(frame);
        });
        check("Unreadable", &|studio, packets| {
            let mut frame = studio.frame(0);
            frame[0].payload = Arc::from([0u8; 40]);
            packets.extend(frame);
        });
    }
}
