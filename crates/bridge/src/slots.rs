//! SSRC rewriting: a bounded set of streams towards one receiver, lent to the sources it is sent.
//!
//! A receiver that takes part in it knows the media of others only by SSRCs of the bridge, and is
//! told by the bridge channel whose they are. A slot keeps its SSRCs as long as its endpoint lives,
//! since the client makes an m-line of each, and passes from source to source, the least recently
//! used one first. Its numbers go on, and video begins with a key frame: the receiver sees one
//! stream that changes its owner.
//!
//! After `SsrcCache` of Jitsi Videobridge, but for three things. A slot whose source is gone is
//! used again before a new one is made, for the same source if it comes back. A slot rests a while
//! before it passes on, if there is a choice: a client does not hear of a change before it has made
//! the m-line. And of more speakers than there are slots not each packet takes a slot away from
//! another.

use std::time::{Duration, Instant};

use tertulia_model::{MediaType, SourceName, Ssrc};
use tertulia_transport::send::StreamKey;

use crate::limits::Limits;
use crate::rewrite::Sent;
use crate::seat::{Lane, Seat};
use crate::source::SourceState;

/// The slots of one receiver.
pub(crate) struct Slots {
    audio: Cache,
    video: Cache,
}

/// Slots of one kind.
struct Cache {
    slots: Vec<Slot>,
    max: usize,
    /// Counts uses, to tell which was the least recent.
    uses: u64,
}

/// One stream towards the receiver.
pub(crate) struct Slot {
    pub(crate) ssrc: Ssrc,
    /// Of its retransmissions, told for every slot of video, whether the client can use it or not.
    pub(crate) rtx: Option<Ssrc>,
    /// The stream's handle, once something was sent, while nobody uses it.
    key: Option<StreamKey>,
    /// Whose packets are in it now, by the index of the source.
    pub(crate) source: Option<usize>,
    /// Its last source.
    name: SourceName,
    /// Where the stream stands while nobody uses it.
    sent: Option<Sent>,
    used: u64,
    /// When its source was last heard.
    heard: Instant,
    /// When it was lent to its source.
    lent: Instant,
    /// Whether the client knows whose it is.
    pub(crate) is_told: bool,
}

/// Which slot a source is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Known(usize),
    New,
}

impl Slots {
    pub(crate) fn new(limits: &Limits) -> Slots {
        let cache = |max| Cache {
            slots: Vec::new(),
            max,
            uses: 0,
        };
        Slots {
            audio: cache(limits.audio_slots),
            video: cache(limits.video_slots),
        }
    }

    fn cache(&mut self, media: MediaType) -> &mut Cache {
        match media {
            MediaType::Audio => &mut self.audio,
            MediaType::Video => &mut self.video,
        }
    }

    /// All slots of one kind.
    pub(crate) fn of(&mut self, media: MediaType) -> &mut [Slot] {
        &mut self.cache(media).slots
    }

    /// How many video sources can be sent at a time.
    pub(crate) fn video_max(&self) -> usize {
        self.video.max
    }

    /// Whether an SSRC is one of its own.
    pub(crate) fn has(&self, ssrc: Ssrc) -> bool {
        let mut all = self.audio.slots.iter().chain(&self.video.slots);
        all.any(|slot| slot.ssrc == ssrc || slot.rtx == Some(ssrc))
    }

    /// Nothing that was told is known any more: the channel is a new one.
    pub(crate) fn forget_told(&mut self) {
        for slot in self.audio.slots.iter_mut().chain(&mut self.video.slots) {
            slot.is_told = false;
        }
    }

    /// The video in a slot is wanted still.
    pub(crate) fn use_video(&mut self, place: usize) {
        self.video.uses += 1;
        if let Some(slot) = self.video.slots.get_mut(place) {
            slot.used = self.video.uses;
        }
    }

    /// A packet was sent in a slot.
    pub(crate) fn touch(&mut self, media: MediaType, place: usize, now: Instant) {
        let cache = self.cache(media);
        cache.uses += 1;
        if let Some(slot) = cache.slots.get_mut(place) {
            slot.used = cache.uses;
            slot.heard = now;
        }
    }

    /// The slot for a source that has none; None if there is none to be had now.
    fn choose(&self, source: &SourceState, now: Instant, is_urgent: bool) -> Option<Choice> {
        let cache = match source.media() {
            MediaType::Audio => &self.audio,
            MediaType::Video => &self.video,
        };
        let all = || cache.slots.iter().enumerate();
        let free = || all().filter(|(_, slot)| slot.source.is_none());
        let former = free().find(|(_, slot)| slot.name == *source.name());
        let rested = || {
            free()
                .filter(|(_, slot)| now.saturating_duration_since(slot.lent) >= REST)
                .min_by_key(|(_, slot)| slot.used)
        };
        if let Some((place, _)) = former.or_else(rested) {
            return Some(Choice::Known(place));
        }
        if cache.slots.len() < cache.max {
            return Some(Choice::New);
        }
        let oldest_free = free().min_by_key(|(_, slot)| slot.used);
        let (place, slot) = oldest_free.or_else(|| all().min_by_key(|(_, slot)| slot.used))?;
        let is_to_be_had = slot.source.is_none()
            || source.media() == MediaType::Video
            || is_urgent
            || now.saturating_duration_since(slot.heard) >= PAUSE
            || now.saturating_duration_since(slot.lent) >= TURN;
        is_to_be_had.then_some(Choice::Known(place))
    }
}

impl Seat {
    /// The slot that a source of somebody else is to get; None if it has one, needs none, or there
    /// is none to be had. Urgent is the voice of who is speaking.
    pub(crate) fn choose_slot(
        &self,
        index: usize,
        source: &SourceState,
        now: Instant,
        is_urgent: bool,
    ) -> Option<Choice> {
        let leg = self.legs.get(index)?.as_ref()?;
        let slots = self.slots.as_ref()?;
        (leg.lane == Lane::NoSlot)
            .then(|| slots.choose(source, now, is_urgent))
            .flatten()
    }

    /// Lends a slot to a source; a new one gets `ssrcs`. Who had it before is sent no more.
    pub(crate) fn lend_slot(
        &mut self,
        index: usize,
        source: &SourceState,
        choice: Choice,
        [ssrc, rtx]: [Ssrc; 2],
        now: Instant,
    ) {
        let media = source.media();
        let place = match choice {
            Choice::Known(place) => {
                self.end_loan(media, place);
                place
            }
            Choice::New => {
                let Some(slots) = &mut self.slots else { return };
                let all = &mut slots.cache(media).slots;
                all.push(Slot {
                    ssrc,
                    rtx: (media == MediaType::Video).then_some(rtx),
                    key: None,
                    source: None,
                    name: source.name().clone(),
                    sent: None,
                    used: 0,
                    heard: now,
                    lent: now,
                    is_told: false,
                });
                all.len() - 1
            }
        };
        let Some(slots) = &mut self.slots else { return };
        slots.touch(media, place, now);
        let slot = slots.of(media).get_mut(place);
        let leg = self.legs.get_mut(index).and_then(Option::as_mut);
        let (Some(slot), Some(leg)) = (slot, leg) else {
            return;
        };
        slot.source = Some(index);
        slot.name = source.name().clone();
        slot.lent = now;
        slot.is_told = false;
        let (key, sent) = (slot.key.take(), slot.sent.take());
        leg.enter(place, (slot.ssrc, slot.rtx), key, sent);
    }

    /// Takes a slot back from its source.
    pub(crate) fn end_loan(&mut self, media: MediaType, place: usize) {
        let Some(slots) = &mut self.slots else { return };
        let Some(slot) = slots.of(media).get_mut(place) else {
            return;
        };
        let Some(source) = slot.source.take() else {
            return;
        };
        if let Some(Some(leg)) = self.legs.get_mut(source) {
            slot.sent = leg.sent();
            slot.key = leg.leave_slot();
        }
    }
}

/// Before that a slot is lent to somebody else only for want of others.
const REST: Duration = Duration::from_secs(2);
/// Who has not been heard for so long gives way to any other voice.
const PAUSE: Duration = Duration::from_millis(100);
/// Of more voices than slots each is heard for so long at a time.
const TURN: Duration = Duration::from_secs(1);
