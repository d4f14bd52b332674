//! Packets from senders, and key frames for receivers.

use tertulia_model::{MediaType, Ssrc};
use tertulia_transport::payload::Payload;
use tertulia_transport::session::Received;
use tracing::trace;

use super::{Conference, Cx};
use crate::codecs::{OPUS, RED, video_codec};
use crate::forward::{Incoming, Video, forward};
use crate::loudest::Voice;
use crate::red::Red;
use crate::rewrite::header::VideoHeader;
use crate::seat::Stream;
use crate::source::Noted;

impl Conference {
    /// One packet of an endpoint: checked, measured, forwarded.
    pub(super) fn ingest(&mut self, cx: &mut Cx<'_>, sender: usize, packet: Received) {
        let ssrc = Ssrc(packet.ssrc);
        let Some(seat) = self.seat(sender) else {
            return;
        };
        let Some(stream) = seat.stream(ssrc) else {
            cx.statistics.dropped.unused_rtp += 1;
            return;
        };
        let may = seat.may;
        let Some(source) = self.source(stream.source) else {
            cx.statistics.dropped.unused_rtp += 1;
            return;
        };
        let may_forward = source.may_pass(may);
        match source.media() {
            MediaType::Audio => self.ingest_audio(cx, sender, stream, may_forward, &packet),
            MediaType::Video => self.ingest_video(cx, sender, stream, may_forward, &packet),
        }
    }

    fn ingest_audio(
        &mut self,
        cx: &mut Cx<'_>,
        sender: usize,
        stream: Stream,
        may_forward: bool,
        packet: &Received,
    ) {
        let level = packet
            .audio_level
            .map(|level| 127 - level.decibels_below.min(127));
        let (mut is_heard, mut voice_place) = (true, None);
        if let Some(level) = level.filter(|_| may_forward) {
            let voice = Voice {
                endpoint: sender,
                source: stream.source,
                level: self.speakers.level(sender, level, cx.now),
                is_dominant: self.speakers.dominant() == Some(sender),
            };
            is_heard = self.loudest.admit(&cx.config.audio, voice, cx.now);
            let place = self.voices.place(voice, cx.now);
            let is_first = voice.is_dominant && cx.config.audio.is_dominant_heard;
            voice_place = Some(if is_first { 0 } else { place });
            if let Some(seat) = self.seat_mut(sender) {
                seat.voice_place = place;
            }
        }
        let at_ms = self.at_ms(cx.now);
        let Some(Some(source)) = self.sources.get_mut(stream.source) else {
            return;
        };
        source.silent = if level == Some(0) {
            source.silent.saturating_add(1)
        } else {
            0
        };
        let is_quiet = source.silent > SILENT_PACKETS;
        let Some(encoding) = source.encodings.get_mut(usize::from(stream.encoding)) else {
            return;
        };
        let number = packet.number;
        let is_new = source.arrivals.note(number);
        let is_red = packet.payload_type == RED;
        if is_red && !is_new {
            // It was late, and has been filled in.
            return;
        }
        // A late packet has left a gap that receivers wait for: it goes on, silent or not.
        let is_late = encoding.closer.is_behind(number);
        let is_passed = is_late || (is_heard && !is_quiet);
        if !(may_forward && is_passed) {
            encoding.closer.drop(number);
            let dropped = &mut cx.statistics.dropped;
            *(match (may_forward, is_quiet) {
                (false, _) => &mut dropped.not_allowed,
                (true, true) => &mut dropped.silence,
                (true, false) => &mut dropped.not_loud,
            }) += 1;
            return;
        }
        encoding.measure(0, 0, at_ms, packet.payload.len() + OVERHEAD);
        let incoming = Incoming {
            media: MediaType::Audio,
            payload_type: OPUS,
            for_red: None,
            source: stream.source,
            sender,
            encoding: stream.encoding,
            number,
            timestamp: packet.timestamp,
            is_marked: packet.is_marked,
            arrived: packet.arrived,
            payload: &packet.payload,
            audio_level: packet.audio_level,
            voice_place,
            video: None,
        };
        if is_red {
            return self.ingest_red(cx, incoming);
        }
        if let Some(number) = encoding.closer.pass(number) {
            self.fan_out(cx, &Incoming { number, ..incoming });
        }
    }

    /// Voice with redundancy: as it came for those who know it, for the others what is missing
    /// before it, then the packet, as plain Opus.
    fn ingest_red(&mut self, cx: &mut Cx<'_>, packet: Incoming<'_>) {
        let number = self.close_gap(&packet, packet.number);
        if let Some(number) = number {
            let whole = Incoming {
                number,
                payload_type: RED,
                for_red: Some(true),
                ..packet
            };
            self.fan_out(cx, &whole);
        }
        if self.seats.iter().flatten().all(|seat| seat.offer.has_red) {
            return;
        }
        // What is encrypted can't be taken apart: their clients could not read it either.
        let Some(red) = Red::parse(packet.payload, OPUS) else {
            cx.statistics.dropped.unused_rtp += 1;
            return;
        };
        for earlier in red.earlier() {
            let missing = packet.number.checked_sub(earlier.distance);
            let missing = missing.filter(|number| self.is_missing(&packet, *number));
            if let Some(number) = missing.and_then(|number| self.close_gap(&packet, number)) {
                let timestamp = packet.timestamp.wrapping_sub(earlier.ticks);
                let filled = Incoming {
                    number,
                    timestamp,
                    is_marked: false,
                    for_red: Some(false),
                    payload: &Payload::from(earlier.payload),
                    ..packet
                };
                self.fan_out(cx, &filled);
            }
        }
        if let Some(number) = number {
            let bare = Incoming {
                number,
                for_red: Some(false),
                payload: &Payload::from(red.primary),
                ..packet
            };
            self.fan_out(cx, &bare);
        }
    }

    fn is_missing(&mut self, packet: &Incoming<'_>, number: u64) -> bool {
        let source = self.sources.get_mut(packet.source).and_then(Option::as_mut);
        source.is_some_and(|source| source.arrivals.note(number))
    }

    /// The number under which a packet of the same stream goes on.
    fn close_gap(&mut self, packet: &Incoming<'_>, number: u64) -> Option<u64> {
        let source = self.sources.get_mut(packet.source)?.as_mut()?;
        let encoding = source.encodings.get_mut(usize::from(packet.encoding))?;
        encoding.closer.pass(number)
    }

    fn ingest_video(
        &mut self,
        cx: &mut Cx<'_>,
        sender: usize,
        stream: Stream,
        may_forward: bool,
        packet: &Received,
    ) {
        let at_ms = self.at_ms(cx.now);
        let Some(Some(source)) = self.sources.get_mut(stream.source) else {
            return;
        };
        let Some(encoding) = source.encodings.get_mut(usize::from(stream.encoding)) else {
            cx.statistics.dropped.unused_rtp += 1;
            return;
        };
        let number = packet.number;
        let payload_type = packet.payload_type;
        let bytes = packet.descriptor.as_ref();
        let read = encoding.read_descriptor(number, bytes);
        let (descriptor, structure) = read.unzip();
        let header = video_codec(payload_type)
            .filter(|_| may_forward)
            .and_then(|codec| VideoHeader::read(codec, &packet.payload, descriptor));
        let Some(header) = header else {
            encoding.closer.drop(number);
            let dropped = &mut cx.statistics.dropped;
            *(match (may_forward, packet.payload.is_empty()) {
                (false, _) => &mut dropped.not_allowed,
                (true, true) => &mut dropped.padding,
                (true, false) => &mut dropped.unused_rtp,
            }) += 1;
            return;
        };
        let number = encoding.closer.pass(number);
        if header.is_keyframe_start {
            source.requests.arrived();
            cx.statistics.keyframes_received += 1;
        }
        let noted = Noted {
            at_ms,
            bytes: packet.payload.len() + OVERHEAD,
            structure: structure.as_deref(),
        };
        if source.note(stream.encoding, &header, noted) {
            self.allocate_all();
        }
        let Some(number) = number else {
            return;
        };
        self.fan_out(
            cx,
            &Incoming {
                media: MediaType::Video,
                payload_type,
                for_red: None,
                source: stream.source,
                sender,
                encoding: stream.encoding,
                number,
                timestamp: packet.timestamp,
                is_marked: packet.is_marked,
                arrived: packet.arrived,
                payload: &packet.payload,
                audio_level: None,
                voice_place: None,
                video: Some(Video {
                    header: &header,
                    descriptor: bytes,
                    structure: structure.as_deref(),
                }),
            },
        );
    }

    fn fan_out(&mut self, cx: &mut Cx<'_>, packet: &Incoming<'_>) {
        if cx.is_behind && packet.media == MediaType::Video {
            return self.shed(cx, packet.source);
        }
        let (dirty, without_slot) = (&mut self.dirty, &mut self.without_slot);
        let seats = &mut self.seats;
        let mut forwarded = forward(packet, cx.now, seats, dirty, without_slot);
        if !self.without_slot.is_empty() {
            forwarded.receivers += self.forward_by_new_slots(cx, packet);
        }
        trace!(
            source = packet.source,
            receivers = forwarded.receivers,
            "packet"
        );
        cx.statistics.forwarded += forwarded.receivers;
        if packet.media == MediaType::Video && forwarded.receivers > 0 {
            if !packet.is_marked {
                *cx.unfinished = Some(packet.source);
            } else if *cx.unfinished == Some(packet.source) {
                *cx.unfinished = None;
            }
        }
        if forwarded.wants_keyframe {
            self.want_keyframe(cx, packet.source);
        }
    }

    /// A receiver's decoder asks for a key frame.
    pub(super) fn handle_keyframe_wanted(&mut self, cx: &mut Cx<'_>, receiver: usize, ssrc: Ssrc) {
        let Some(seat) = self.seat_mut(receiver) else {
            return;
        };
        let Some(source) = seat.source_of(ssrc) else {
            return;
        };
        let leg = seat.legs.get_mut(source).and_then(Option::as_mut);
        if leg.is_some_and(|leg| leg.requests.admit(cx.now)) {
            self.want_keyframe(cx, source);
        }
    }

    /// A receiver is reached in another way. Of the pictures that were on their way the last may be
    /// lost: it need not find that out by itself.
    pub(super) fn handle_path_changed(&mut self, cx: &mut Cx<'_>, receiver: usize) {
        let Some(seat) = self.seat_mut(receiver) else {
            return;
        };
        let legs = seat.legs.iter_mut().enumerate();
        let sent = legs.filter_map(|(source, leg)| {
            let leg = leg.as_mut().filter(|leg| leg.key.is_some())?;
            (leg.current().is_some() && leg.requests.admit(cx.now)).then_some(source)
        });
        for source in sent.collect::<Vec<_>>() {
            self.want_keyframe(cx, source);
        }
    }

    /// Asks the sender of a source for a key frame, unless that was just done. The request names
    /// the primary SSRC: browsers answer it with key frames of all encodings.
    pub(super) fn want_keyframe(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(Some(source)) = self.sources.get_mut(index) else {
            return;
        };
        let Some((ssrc, _)) = source.primary() else {
            return;
        };
        if source.media() != MediaType::Video || !source.requests.want(cx.now) {
            return;
        }
        let owner = source.owner;
        cx.statistics.keyframe_requests += 1;
        if let Some(seat) = self.seat_mut(owner) {
            seat.endpoint.request_keyframe(ssrc);
        }
        self.mark(owner);
    }
}

/// What the estimate of a receiver's bandwidth counts beside the payload: RTP's header with its
/// extensions, and the tag. Next to a voice or a small picture they are no trifle.
const OVERHEAD: usize = 40;
/// So many packets of silence are forwarded, the rest is not.
const SILENT_PACKETS: u32 = 3;
