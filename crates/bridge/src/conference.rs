//! One conference on the bridge: its endpoints, their sources, and who gets what.
//!
//! The parts: `life` (endpoints and sources come and go), `media` (packets and key frames),
//! `maps` (SSRC rewriting), `allocation` (bandwidth and what is asked of senders), `messages` (the
//! bridge channel), `ticks` (what happens by itself) and `report` (what is told of it). `settle` is the one place where endpoints are driven.

mod allocation;
mod life;
mod maps;
mod media;
mod messages;
mod report;
mod shed;
mod ticks;

pub(crate) use ticks::TICK;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use tertulia_model::{AllocationId, BridgeEvent, ChannelId, ConferenceId, Random, Ssrc};
use tertulia_transport::datagram::DatagramKind;
use tertulia_transport::session::Event;

use crate::config::Config;
use crate::loudest::{Loudest, VoiceOrder};
use crate::seat::Seat;
use crate::source::SourceState;
use crate::speaker::SpeakerChoice;
use crate::{Batch, Output, Statistics};

/// What a conference is lent for one step.
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) batch: &'a mut Batch,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) statistics: &'a mut Statistics,
    pub(crate) random: &'a mut Random,
    /// Its index.
    pub(crate) worker: u16,
    /// The most videos to anybody while the load is high.
    pub(crate) videos_most: Option<usize>,
    /// There is more than can be carried: no video for now.
    pub(crate) is_behind: bool,
    /// The source of which a picture was forwarded in part.
    pub(crate) unfinished: &'a mut Option<usize>,
}

/// One conference.
pub(crate) struct Conference {
    pub(crate) id: ConferenceId,
    started: Instant,
    seats: Vec<Option<Box<Seat>>>,
    sources: Vec<Option<SourceState>>,
    speakers: SpeakerChoice,
    loudest: Loudest,
    /// For receivers that cannot be sent all voices.
    voices: VoiceOrder,
    tick_at: Instant,
    /// Some seat's share of bandwidth is to be looked at again.
    has_allocations: bool,
    /// What receivers ask may have changed.
    has_new_demands: bool,
    /// Seats whose transports must be driven.
    dirty: Vec<usize>,
    /// Seats whose timers may have changed.
    touched: Vec<usize>,
    freed: Freed,
    /// Kept to save allocations, as is the next.
    events: Vec<Event>,
    /// Receivers that have no slot for a packet.
    without_slot: Vec<usize>,
}

/// What the worker must forget.
#[derive(Default)]
pub(crate) struct Freed {
    pub(crate) addresses: Vec<(SocketAddr, u32)>,
    /// SSRCs, and the number of the endpoint that sent them.
    pub(crate) ssrcs: Vec<(Ssrc, u32)>,
    pub(crate) numbers: Vec<u32>,
    pub(crate) channels: Vec<ChannelId>,
    /// Timers of seats that are gone.
    pub(crate) timers: Vec<(Instant, usize)>,
}

impl Conference {
    pub(crate) fn new(id: ConferenceId, now: Instant) -> Conference {
        Conference {
            id,
            started: now,
            seats: Vec::new(),
            sources: Vec::new(),
            speakers: SpeakerChoice::default(),
            loudest: Loudest::default(),
            voices: VoiceOrder::default(),
            tick_at: now + ticks::TICK,
            has_allocations: false,
            has_new_demands: false,
            dirty: Vec::new(),
            touched: Vec::new(),
            freed: Freed::default(),
            events: Vec::new(),
            without_slot: Vec::new(),
        }
    }

    /// Whether nobody is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.seats.iter().all(Option::is_none)
    }

    pub(crate) fn seat(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index)?.as_deref()
    }

    pub(crate) fn seat_mut(&mut self, index: usize) -> Option<&mut Seat> {
        self.seats.get_mut(index)?.as_deref_mut()
    }

    pub(crate) fn seat_count(&self) -> usize {
        self.seats.iter().flatten().count()
    }

    /// How many sources are signalled.
    pub(crate) fn source_count(&self) -> usize {
        self.sources.iter().flatten().count()
    }

    /// When its own timer rings.
    pub(crate) fn tick_at(&self) -> Instant {
        self.tick_at
    }

    /// It may ring at another moment than it wants.
    pub(crate) fn set_tick_at(&mut self, at: Instant) {
        self.tick_at = at;
    }

    pub(crate) fn take_freed(&mut self) -> Freed {
        std::mem::take(&mut self.freed)
    }

    pub(crate) fn take_touched(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.touched)
    }

    /// Gives back the vector of [`Conference::take_touched`], to save allocations.
    pub(crate) fn return_touched(&mut self, mut touched: Vec<usize>) {
        touched.clear();
        if self.touched.is_empty() {
            self.touched = touched;
        }
    }

    fn at_ms(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.started).as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }

    fn indices(&self) -> std::ops::Range<usize> {
        0..self.seats.len()
    }

    fn seat_of(&self, allocation: AllocationId) -> Option<usize> {
        self.indices().find(|index| {
            self.seat(*index)
                .is_some_and(|seat| seat.allocation == allocation)
        })
    }

    /// The transport of this seat must be driven before the batch is over.
    pub(crate) fn mark(&mut self, index: usize) {
        if let Some(Some(seat)) = self.seats.get_mut(index)
            && !seat.is_dirty
        {
            seat.is_dirty = true;
            self.dirty.push(index);
        }
    }

    fn tell_focus(&self, cx: &mut Cx<'_>, event: BridgeEvent) {
        cx.outputs.push_back(Output::Event {
            conference: self.id.clone(),
            event,
        });
    }

    /// Drives transports that something was written to, and does what follows from it. True if the
    /// batch has `most` bytes before all of them were; at least one is.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>, most: usize) -> bool {
        for _ in 0..ROUNDS_MAX {
            if std::mem::take(&mut self.has_allocations) {
                self.allocate_where_needed(cx);
            }
            if self.has_new_demands {
                self.has_new_demands = false;
                self.tell_senders(cx);
            }
            if self.dirty.is_empty() {
                return false;
            }
            let mut dirty = std::mem::take(&mut self.dirty);
            let mut driven = 0;
            while let Some(index) = dirty.get(driven).copied() {
                self.turn(cx, index);
                driven += 1;
                if cx.batch.bytes.len() >= most {
                    break;
                }
            }
            let is_full = driven < dirty.len();
            dirty.drain(..driven);
            dirty.append(&mut self.dirty);
            self.dirty = dirty;
            if is_full {
                return true;
            }
        }
        false
    }

    fn turn(&mut self, cx: &mut Cx<'_>, index: usize) {
        let mut events = std::mem::take(&mut self.events);
        if let Some(seat) = self.seats.get_mut(index).and_then(Option::as_deref_mut) {
            seat.is_dirty = false;
            let waiting = seat.outbox.len();
            messages::flush(seat, cx.now);
            let written = waiting.saturating_sub(seat.outbox.len());
            cx.statistics.data_channel_messages_out += written as u64;
            seat.endpoint.turn(cx.now, cx.batch, &mut events);
        }
        self.touched.push(index);
        self.handle_events(cx, index, &mut events);
        self.events = events;
    }

    /// Takes in a datagram from an address of this seat.
    pub(crate) fn receive(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        (from, to): (SocketAddr, SocketAddr),
        data: &[u8],
    ) -> bool {
        let mut events = std::mem::take(&mut self.events);
        let mut is_readable = true;
        if let Some(seat) = self.seats.get_mut(index).and_then(Option::as_deref_mut) {
            seat.hear(from, cx.now);
            is_readable = seat
                .endpoint
                .receive(cx.now, (from, to), data, cx.batch, &mut events);
            let is_media = || DatagramKind::of(data).is_some_and(DatagramKind::is_media);
            if is_readable && is_media() && seat.follow(from, cx.now) {
                self.mark(index);
            }
        }
        self.handle_events(cx, index, &mut events);
        self.events = events;
        // What it received may have armed an earlier timer.
        self.touched.push(index);
        is_readable
    }

    fn handle_events(&mut self, cx: &mut Cx<'_>, index: usize, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            match event {
                Event::Packet(packet) => {
                    self.note_rtp(cx, index, &packet);
                    self.ingest(cx, index, packet);
                }
                Event::KeyframeWanted(ssrc) => self.handle_keyframe_wanted(cx, index, Ssrc(ssrc)),
                Event::PathChanged => self.handle_path_changed(cx, index),
                Event::Estimate(bps) => self.handle_estimate(cx, index, bps),
                Event::Report(report) => self.handle_report(index, report),
                Event::Connected => self.handle_connected(cx, index),
                Event::Closed => self.handle_closed(cx, index),
                Event::ChannelOpen => self.greet(cx, index, false),
                Event::ChannelText(text) => {
                    cx.statistics.data_channel_messages_in += 1;
                    if let Some(seat) = self.seat_mut(index) {
                        seat.prefers_data_channel = true;
                    }
                    self.handle_text(cx, index, &text);
                }
                Event::Failed(failure) => {
                    if let Some(seat) = self.seat_mut(index) {
                        seat.endpoint.fail(failure);
                    }
                }
                Event::ChannelRoom => self.mark(index),
                Event::ChannelClosed => {
                    if let Some(seat) = self.seat_mut(index) {
                        seat.outbox.clear();
                    }
                }
            }
        }
        let fault = self
            .seat_mut(index)
            .and_then(|seat| seat.endpoint.take_fault());
        if let Some(reason) = fault {
            self.lose(cx, index, reason);
        }
    }
}

/// A message may give rise to another, but not for ever.
const ROUNDS_MAX: usize = 16;
