//! SSRC rewriting: which source is in which slot of a receiver, and who is told.

use tertulia_model::{MediaType, Random, Ssrc};

use super::{Conference, Cx};
use crate::channel::{MappedSource, ServerMessage};
use crate::constraints::Wanted;
use crate::forward::{Incoming, Outcome, forward_to};
use crate::slots::Choice;

impl Conference {
    /// SSRCs of our own, clear of all that are known; SSRC 0 has a meaning of its own (probes).
    pub(crate) fn draw_ssrcs(&self, random: &mut Random) -> [Ssrc; 2] {
        let first = self.draw_ssrc(random, None);
        [first, self.draw_ssrc(random, Some(first))]
    }

    fn draw_ssrc(&self, random: &mut Random, not: Option<Ssrc>) -> Ssrc {
        loop {
            let ssrc = Ssrc(random.u32());
            if ssrc.0 != 0 && Some(ssrc) != not && !self.is_known(ssrc) {
                return ssrc;
            }
        }
    }

    fn is_known(&self, ssrc: Ssrc) -> bool {
        let mut encodings = self.sources.iter().flatten();
        let is_signalled = encodings.any(|source| {
            let mut encodings = source.signalled.encodings.iter();
            encodings.any(|encoding| encoding.primary == ssrc || encoding.rtx == Some(ssrc))
        });
        is_signalled
            || self.seats.iter().flatten().any(|seat| {
                [seat.feedback.audio, seat.feedback.video].contains(&ssrc)
                    || seat.slots.as_ref().is_some_and(|slots| slots.has(ssrc))
            })
    }

    /// The video that a receiver may come to be sent is given slots: what it wants, and as far as
    /// there are slots left what it may want next.
    pub(super) fn lend_video_slots(&mut self, cx: &mut Cx<'_>, index: usize, wanted: &[Wanted]) {
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        // What a slot is can't be told without a channel.
        if !seat.has_channel() {
            return;
        }
        let Some(slots) = &mut seat.slots else { return };
        let (now_wanted, later): (Vec<&Wanted>, Vec<&Wanted>) = wanted
            .iter()
            .filter(|wanted| wanted.is_enabled)
            .partition(|wanted| wanted.max_height != 0);
        let active: Vec<usize> = now_wanted
            .into_iter()
            .chain(later)
            .map(|wanted| wanted.index)
            .take(slots.video_max())
            .collect();
        // Those that have one first, so that none of them loses it to another.
        let places: Vec<usize> = slots
            .of(MediaType::Video)
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.source.is_some_and(|source| active.contains(&source)))
            .map(|(place, _)| place)
            .collect();
        for place in places {
            slots.use_video(place);
        }
        for source in active {
            self.lend_slot(cx, index, source, false);
        }
        self.tell_maps(cx, index);
    }

    /// Gives a source a slot of a receiver, if it has none and there is one to be had.
    fn lend_slot(&mut self, cx: &mut Cx<'_>, index: usize, source: usize, is_urgent: bool) {
        let choice = self.source(source).and_then(|state| {
            self.seat(index)?
                .choose_slot(source, state, cx.now, is_urgent)
        });
        let Some(choice) = choice else { return };
        let ssrcs = match choice {
            Choice::New => self.draw_ssrcs(cx.random),
            Choice::Known(_) => [Ssrc(0); 2],
        };
        let seat = self.seats.get_mut(index).and_then(Option::as_deref_mut);
        let state = self.sources.get(source).and_then(Option::as_ref);
        if let (Some(seat), Some(state)) = (seat, state) {
            seat.lend_slot(source, state, choice, ssrcs, cx.now);
        }
    }

    /// The first packet of somebody's audio at receivers where it has no slot yet; gives back how
    /// many of them it was sent to.
    pub(super) fn forward_by_new_slots(&mut self, cx: &mut Cx<'_>, packet: &Incoming<'_>) -> u64 {
        let is_urgent = self.speakers.dominant() == Some(packet.sender);
        let mut receivers = 0;
        let mut without_slot = std::mem::take(&mut self.without_slot);
        for index in without_slot.drain(..) {
            self.lend_slot(cx, index, packet.source, is_urgent);
            // The client is told before it hears anything.
            self.tell_maps(cx, index);
            let seats = &mut self.seats;
            let seat = seats.get_mut(index).and_then(Option::as_deref_mut);
            let outcome = seat.map(|seat| forward_to(packet, cx.now, seat));
            if outcome == Some(Outcome::Sent) {
                receivers += 1;
                self.mark(index);
            }
        }
        self.without_slot = without_slot;
        receivers
    }

    /// Tells a client of its slots that have come to be somebody else's, if it can be told. What
    /// is nobody's any more is not told: its m-line waits for the next one.
    pub(super) fn tell_maps(&mut self, cx: &mut Cx<'_>, index: usize) {
        for media in [MediaType::Video, MediaType::Audio] {
            let mapped = self.take_news(index, media);
            if !mapped.is_empty() {
                let message = match media {
                    MediaType::Audio => ServerMessage::AudioSourcesMap(mapped),
                    MediaType::Video => ServerMessage::VideoSourcesMap(mapped),
                };
                self.send(cx, index, &message);
            }
        }
    }

    fn take_news(&mut self, index: usize, media: MediaType) -> Vec<MappedSource> {
        let mut lent = Vec::new();
        let seat = self.seat_mut(index).filter(|seat| seat.has_channel());
        if let Some(slots) = seat.and_then(|seat| seat.slots.as_mut()) {
            for slot in slots.of(media) {
                if let Some(source) = slot.source.filter(|_| !slot.is_told) {
                    slot.is_told = true;
                    lent.push((source, slot.ssrc, slot.rtx));
                }
            }
        }
        lent.into_iter()
            .filter_map(|(source, ssrc, rtx)| {
                let source = self.source(source)?;
                Some(MappedSource {
                    source: source.name().clone(),
                    owner: self.seat(source.owner)?.id.clone(),
                    ssrc,
                    rtx,
                    video_type: source.video_type(),
                })
            })
            .collect()
    }
}
