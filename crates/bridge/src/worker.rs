//! One media thread's share of the bridge: finds out whose a datagram is, and hands it to the
//! conference that it belongs to.
//!
//! An address belongs to an endpoint once a signed connectivity check came from it, or media that
//! only this endpoint can have sealed; what costs cryptography to find that out is limited by
//! network.

mod addresses;
mod load;
mod report;
mod timers;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_model::bridge::{AllocationFailure, EndpointOffer, FeedbackSources, LocalTransport};
use tertulia_model::{
    AllocationId, BridgeCommand, BridgeEvent, ChannelId, ConferenceId, EndpointId, Fingerprint,
    NetworkRates, Now, Random,
};
use tertulia_transport::datagram::DatagramKind;
use tertulia_transport::link::Certificate;
use tertulia_transport::send::NtpClock;
use tracing::{debug, debug_span, error};

use crate::conference::{Conference, Cx, TICK};
use crate::demux::{self, Ufrag};
use crate::endpoint::Endpoint;
use crate::foreign::ForeignAddresses;
use crate::lag::Lag;
use crate::reducer::LoadReducer;
use crate::seat::NewSeat;
use crate::senders::Senders;
use crate::{Batch, Config, Output, Statistics};

use timers::{Due, Timer, Timers, Urgency};

/// All conferences of one media thread.
pub struct Worker {
    config: Arc<Config>,
    index: u16,
    random: Random,
    /// What all senders of RTP go by.
    clock: NtpClock,
    /// Drawn once; without it nothing can be allocated.
    certificate: Option<Certificate>,
    conferences: Vec<Option<Conference>>,
    by_id: BTreeMap<ConferenceId, usize>,
    /// Where the endpoint of a number sits.
    numbers: Vec<Option<Place>>,
    free_numbers: VecDeque<u32>,
    /// Whose addresses are known.
    addresses: HashMap<SocketAddr, u32>,
    foreign: ForeignAddresses,
    /// Who sends which SSRC.
    senders: Senders,
    /// Connectivity checks of strangers, and what names an SSRC that is known.
    strangers: NetworkRates,
    channels: HashMap<ChannelId, Place>,
    timers: Timers,
    /// Conferences with endpoints that must be driven.
    dirty: Vec<usize>,
    outputs: VecDeque<Output>,
    statistics: Statistics,
    reducer: LoadReducer,
    lag: Lag,
    /// The source of which a picture was forwarded in part.
    unfinished: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    conference: usize,
    seat: usize,
}

/// Who is to handle a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramRoute {
    /// This worker: [`Worker::handle_datagram`].
    Here,
    /// The worker of that index; hand it over with both addresses.
    Worker(u16),
    /// Nobody.
    Drop,
}

/// A bridge-channel WebSocket that may not be opened. Whether the endpoint or the password was
/// wrong is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such conference, endpoint or password")]
pub struct ChannelRefused;

impl Worker {
    /// A worker without conferences.
    pub fn new(config: Arc<Config>, index: u16, seed: [u8; 32], now: Now) -> Worker {
        let certificate = Certificate::generate()
            .inspect_err(|error| error!(%error, "the bridge can't be used"))
            .ok();
        Worker {
            strangers: NetworkRates::new(
                config.limits.unknown_checks_per_second,
                config.limits.unknown_checks_burst,
                now.mono,
            ),
            config,
            index,
            random: Random::from_seed(seed),
            clock: ntp_clock(now),
            certificate,
            conferences: Vec::new(),
            by_id: BTreeMap::new(),
            numbers: Vec::new(),
            free_numbers: VecDeque::new(),
            addresses: HashMap::new(),
            foreign: ForeignAddresses::new(now.mono),
            senders: Senders::default(),
            channels: HashMap::new(),
            timers: Timers::new(now.mono),
            dirty: Vec::new(),
            outputs: VecDeque::new(),
            statistics: Statistics::default(),
            reducer: LoadReducer::default(),
            lag: Lag::default(),
            unfinished: None,
        }
    }

    /// Who is to handle a datagram that arrived on this worker's socket.
    pub fn route(&mut self, now: Now, from: SocketAddr, data: &[u8]) -> DatagramRoute {
        let Some(kind) = DatagramKind::of(data) else {
            self.statistics.dropped.garbage += 1;
            return DatagramRoute::Drop;
        };
        // A check names its addressee; the address may have changed hands.
        let addressee = (kind == DatagramKind::Stun)
            .then(|| demux::addressee(data))
            .flatten();
        if let Some(ufrag) = addressee {
            return self.route_check(now.mono, from, ufrag);
        }
        if self.addresses.contains_key(&from) {
            return DatagramRoute::Here;
        }
        if let Some(worker) = self.foreign.owner(&from) {
            return DatagramRoute::Worker(worker);
        }
        if demux::sender(kind, data).is_some_and(|ssrc| self.senders.has(ssrc)) {
            return DatagramRoute::Here;
        }
        self.statistics.dropped.unknown_source += 1;
        DatagramRoute::Drop
    }

    fn route_check(&mut self, now: Instant, from: SocketAddr, ufrag: Ufrag) -> DatagramRoute {
        if ufrag.worker == self.index {
            return DatagramRoute::Here;
        }
        if ufrag.worker >= self.config.workers {
            self.statistics.dropped.unknown_check += 1;
            return DatagramRoute::Drop;
        }
        let is_known = self.foreign.owner(&from).is_some();
        if !is_known && !self.strangers.admit(from.ip(), now) {
            self.statistics.dropped.check_limit += 1;
            return DatagramRoute::Drop;
        }
        let limit = self.config.limits.foreign_addresses;
        self.foreign.confirm(from, ufrag.worker, limit, now);
        DatagramRoute::Worker(ufrag.worker)
    }

    /// Tells how long the datagrams that came now have waited to be taken in, and whether these are
    /// all. Where that is too long for a while, video is dropped until it is not (`bridge.lag`).
    pub fn note_lag(&mut self, now: Now, waited: Duration, is_all: bool) {
        self.lag
            .note(now.mono, waited, is_all, self.config.load.lag);
    }

    /// Tells by how many system calls what was handed out has left, and how much of it was given
    /// up.
    pub fn note_sent(&mut self, calls: u64, dropped: u64) {
        self.statistics.send_calls += calls;
        self.statistics.dropped.unsent += dropped;
    }

    /// Takes in one datagram that this worker is to handle.
    pub fn handle_datagram(
        &mut self,
        now: Now,
        from: SocketAddr,
        to: SocketAddr,
        data: &[u8],
        out: &mut Batch,
    ) {
        self.statistics.packets_in += 1;
        self.statistics.bytes_in += data.len() as u64;
        let Some(kind) = DatagramKind::of(data) else {
            self.statistics.dropped.garbage += 1;
            return;
        };
        let known = self.addresses.get(&from).copied();
        let addressee = (kind == DatagramKind::Stun)
            .then(|| demux::addressee(data))
            .flatten();
        let number = match (addressee, known) {
            (Some(ufrag), known) if known != Some(ufrag.number) => {
                self.admit_address(now.mono, from, ufrag, data)
            }
            (Some(ufrag), Some(number)) => {
                self.confirm_address(now.mono, from, ufrag, data);
                Some(number)
            }
            (None, Some(number)) => Some(number),
            (_, None) => self.admit_by_media(now.mono, from, kind, data),
        };
        let Some(place) = number.and_then(|number| self.place(number)) else {
            return;
        };
        let before = (out.len(), out.total_bytes());
        let (conference, mut cx) = self.lend(place.conference, now.mono, out);
        let Some(conference) = conference else { return };
        let is_readable = conference.receive(&mut cx, place.seat, (from, to), data);
        if !is_readable {
            self.statistics.dropped.garbage += 1;
        }
        self.count_out(out, before);
        self.mark(place.conference);
    }

    /// Whether of a picture only the first packets were forwarded since this was last asked: the
    /// others will soon be here.
    pub fn take_unfinished(&mut self) -> bool {
        self.unfinished.take().is_some()
    }

    /// To be called after each batch of datagrams: sends what they gave rise to.
    pub fn finish_batch(&mut self, now: Now, out: &mut Batch) {
        self.settle(now, out, usize::MAX);
    }

    /// The same in parts. True if there is more: it is called again when what is in `out` has been
    /// sent, and the batch emptied.
    pub fn finish_part(&mut self, now: Now, out: &mut Batch) -> bool {
        self.settle(now, out, PART_BYTES)
    }

    fn settle(&mut self, now: Now, out: &mut Batch, most: usize) -> bool {
        let before = (out.len(), out.total_bytes());
        let (mut settled, mut has_more) = (0, false);
        while let Some(index) = self.dirty.get(settled).copied() {
            let (conference, mut cx) = self.lend(index, now.mono, out);
            has_more = conference.is_some_and(|conference| conference.settle(&mut cx, most));
            self.tidy(now.mono, index);
            if has_more {
                break;
            }
            settled += 1;
        }
        self.dirty.drain(..settled);
        self.count_out(out, before);
        has_more
    }

    /// Carries out a command of the focus of `conference`.
    pub fn handle_command(
        &mut self,
        now: Now,
        conference: &ConferenceId,
        command: BridgeCommand,
        out: &mut Batch,
    ) {
        let before = (out.len(), out.total_bytes());
        let _span = debug_span!("conference", id = %conference).entered();
        if let BridgeCommand::Allocate {
            endpoint,
            allocation,
            offer,
        } = command
        {
            self.allocate(now.mono, conference, endpoint, allocation, offer, out);
        } else if let Some(index) = self.by_id.get(conference).copied() {
            let publisher = match &command {
                BridgeCommand::SetSources { allocation, .. } => Some(*allocation),
                _ => None,
            };
            let (conference, mut cx) = self.lend(index, now.mono, out);
            if let Some(conference) = conference {
                carry_out(conference, &mut cx, command);
            }
            if let Some(publisher) = publisher {
                self.note_senders(index, publisher);
            }
            self.mark(index);
        }
        self.count_out(out, before);
        self.finish_batch(now, out);
    }

    fn allocate(
        &mut self,
        now: Instant,
        id: &ConferenceId,
        endpoint: EndpointId,
        allocation: AllocationId,
        offer: EndpointOffer,
        out: &mut Batch,
    ) {
        self.expire_former(now, id, &endpoint, out);
        let transport = self.try_allocate(now, id, endpoint, allocation, offer, out);
        let event = match transport {
            Ok(transport) => BridgeEvent::Allocated {
                allocation,
                transport,
            },
            Err(reason) => {
                debug!(conference = %id, ?reason, "allocation refused");
                BridgeEvent::AllocationFailed { allocation, reason }
            }
        };
        self.outputs.push_back(Output::Event {
            conference: id.clone(),
            event,
        });
    }

    /// An endpoint of the same id makes room for the new one.
    fn expire_former(
        &mut self,
        now: Instant,
        id: &ConferenceId,
        endpoint: &EndpointId,
        out: &mut Batch,
    ) {
        let Some(index) = self.by_id.get(id).copied() else {
            return;
        };
        let (conference, mut cx) = self.lend(index, now, out);
        let Some(conference) = conference else { return };
        if let Some(seat) = conference.seat_named(endpoint.as_str()) {
            conference.expire(&mut cx, seat);
        }
        self.release(index);
    }

    fn try_allocate(
        &mut self,
        now: Instant,
        id: &ConferenceId,
        endpoint_id: EndpointId,
        allocation: AllocationId,
        offer: EndpointOffer,
        out: &mut Batch,
    ) -> Result<LocalTransport, AllocationFailure> {
        let limits = self.config.limits;
        let known = self.by_id.get(id).copied();
        let seats = known
            .and_then(|index| self.conferences.get(index)?.as_ref())
            .map_or(0, Conference::seat_count);
        let is_full = (known.is_none() && self.by_id.len() >= limits.conferences)
            || self.numbers.len() - self.free_numbers.len() >= limits.endpoints
            || seats >= limits.endpoints_per_conference;
        if is_full {
            return Err(AllocationFailure::LimitReached);
        }
        let certificate = self
            .certificate
            .clone()
            .ok_or(AllocationFailure::Unavailable)?;
        let number = self.free_numbers.pop_front().unwrap_or_else(|| {
            self.numbers.push(None);
            self.numbers.len() as u32 - 1
        });
        let (tag, ice) = demux::draw_credentials(self.index, number, &mut self.random);
        let config = Arc::clone(&self.config);
        let clock = self.clock;
        let index = known.unwrap_or_else(|| self.add_conference(id, now));
        let (conference, mut cx) = self.lend(index, now, out);
        let conference = conference.ok_or(AllocationFailure::Unavailable)?;
        let [audio, video] = conference.draw_ssrcs(cx.random);
        let feedback = FeedbackSources { audio, video };
        let ours = ice.clone();
        let mut endpoint = Endpoint::new(
            &config,
            &certificate,
            offer,
            feedback.video,
            ours,
            clock,
            now,
        );
        let fingerprint = Fingerprint {
            hash: certificate.fingerprint().hash.clone(),
            bytes: certificate.fingerprint().bytes.clone(),
        };
        let candidates = endpoint.add_addresses(&config, offer.is_loopback);
        let channel_password = cx.random.token(demux::PASSWORD_LENGTH);
        let seat = conference.free_seat();
        conference.add_seat(
            &mut cx,
            NewSeat {
                endpoint_id,
                allocation,
                offer,
                number,
                tag,
                candidates: candidates.clone(),
                feedback,
                channel_password: channel_password.clone(),
                endpoint,
            },
        );
        if let Some(place) = self.numbers.get_mut(number as usize) {
            *place = Some(Place {
                conference: index,
                seat,
            });
        }
        self.mark(index);
        Ok(LocalTransport {
            ice,
            fingerprint,
            candidates,
            channel_password,
            feedback,
        })
    }

    fn add_conference(&mut self, id: &ConferenceId, now: Instant) -> usize {
        self.statistics.conferences_created += 1;
        let mut conference = Conference::new(id.clone(), now);
        let tick = self.timers.align_tick(conference.tick_at(), TICK);
        conference.set_tick_at(tick);
        let index = self.conferences.iter().position(Option::is_none);
        let index = index.unwrap_or(self.conferences.len());
        match self.conferences.get_mut(index) {
            Some(place) => *place = Some(conference),
            None => self.conferences.push(Some(conference)),
        }
        self.by_id.insert(id.clone(), index);
        self.timers.insert(Timer {
            at: tick,
            conference: index,
            what: Due::Tick,
        });
        index
    }

    /// A client wants to use a WebSocket as its bridge channel.
    pub fn open_channel(
        &mut self,
        now: Now,
        conference: &ConferenceId,
        endpoint: &EndpointId,
        password: &str,
        channel: ChannelId,
    ) -> Result<(), ChannelRefused> {
        let index = *self.by_id.get(conference).ok_or(ChannelRefused)?;
        let mut batch = Batch::default();
        let (conference, mut cx) = self.lend(index, now.mono, &mut batch);
        let conference = conference.ok_or(ChannelRefused)?;
        let seat = conference
            .seat_named(endpoint.as_str())
            .ok_or(ChannelRefused)?;
        let is_right = conference
            .seat(seat)
            .is_some_and(|seat| is_equal(seat.channel_password.as_bytes(), password.as_bytes()));
        if !is_right {
            return Err(ChannelRefused);
        }
        conference.open_channel(&mut cx, seat, channel);
        let place = Place {
            conference: index,
            seat,
        };
        self.release(index);
        self.channels.insert(channel, place);
        Ok(())
    }

    /// A message on a bridge-channel WebSocket.
    pub fn handle_channel_text(
        &mut self,
        now: Now,
        channel: ChannelId,
        text: &str,
        out: &mut Batch,
    ) {
        let Some(place) = self.channels.get(&channel).copied() else {
            return;
        };
        self.statistics.websocket_messages_in += 1;
        let (conference, mut cx) = self.lend(place.conference, now.mono, out);
        if let Some(conference) = conference {
            conference.handle_channel_text(&mut cx, place.seat, text);
        }
        self.mark(place.conference);
        self.finish_batch(now, out);
    }

    /// A bridge-channel WebSocket is gone.
    pub fn handle_channel_closed(&mut self, now: Now, channel: ChannelId) {
        let _ = now;
        if let Some(place) = self.channels.remove(&channel)
            && let Some(Some(conference)) = self.conferences.get_mut(place.conference)
        {
            conference.close_channel(place.seat, channel);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Batch) {
        self.watch_load(now.mono);
        let before = (out.len(), out.total_bytes());
        while let Some(timer) = self.timers.pop_due(now.mono) {
            let (conference, mut cx) = self.lend(timer.conference, now.mono, out);
            let Some(conference) = conference else {
                continue;
            };
            match timer.what {
                Due::Seat(seat) => {
                    if let Some(seat) = conference.seat_mut(seat) {
                        seat.scheduled = None;
                    }
                    conference.mark(seat);
                }
                Due::Tick => {
                    conference.tick(&mut cx);
                    let wanted = conference.tick_at();
                    let at = self.timers.align_tick(wanted, TICK);
                    if let Some(Some(conference)) = self.conferences.get_mut(timer.conference) {
                        conference.set_tick_at(at);
                    }
                    self.timers.insert(Timer { at, ..timer });
                }
            }
            self.mark(timer.conference);
        }
        self.count_out(out, before);
        self.finish_batch(now, out);
    }

    /// The next thing that the worker wants.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front()?;
        self.statistics.note_output(&output);
        Some(output)
    }

    /// When to call [`Worker::handle_timeout`] at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|timer| timer.at)
    }

    /// A reading of its counters.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            conferences: self.by_id.len() as u64,
            endpoints: (self.numbers.len() - self.free_numbers.len()) as u64,
            sources: self
                .conferences
                .iter()
                .flatten()
                .map(|conference| conference.source_count() as u64)
                .sum(),
            addresses: self.addresses.len() as u64,
            foreign_addresses: self.foreign.len() as u64,
            timers: self.timers.len() as u64,
            channels: self.channels.len() as u64,
            ..self.statistics
        }
    }

    fn place(&self, number: u32) -> Option<Place> {
        *self.numbers.get(number as usize)?
    }

    fn mark(&mut self, conference: usize) {
        if !self.dirty.contains(&conference) {
            self.dirty.push(conference);
        }
    }

    fn lend<'a>(
        &'a mut self,
        conference: usize,
        now: Instant,
        batch: &'a mut Batch,
    ) -> (Option<&'a mut Conference>, Cx<'a>) {
        let lent = self
            .conferences
            .get_mut(conference)
            .and_then(Option::as_mut);
        let cx = Cx {
            now,
            config: &self.config,
            batch,
            outputs: &mut self.outputs,
            statistics: &mut self.statistics,
            random: &mut self.random,
            worker: self.index,
            videos_most: self.reducer.most(),
            is_behind: self.lag.is_behind(),
            unfinished: &mut self.unfinished,
        };
        (lent, cx)
    }

    fn count_out(&mut self, out: &Batch, (packets, bytes): (usize, usize)) {
        self.statistics.packets_out += (out.len() - packets) as u64;
        self.statistics.bytes_out += (out.total_bytes() - bytes) as u64;
    }

    /// After a conference was worked on: its timers, and what it has given up.
    fn tidy(&mut self, now: Instant, index: usize) {
        let Some(Some(conference)) = self.conferences.get_mut(index) else {
            return;
        };
        let touched = conference.take_touched();
        for seat_index in touched.iter().copied() {
            let Some(seat) = conference.seat_mut(seat_index) else {
                continue;
            };
            let wake = seat.endpoint.wake();
            let urgency = if seat.endpoint.is_quiet(now) {
                Urgency::Quiet
            } else {
                Urgency::Busy
            };
            let wake = wake.map(|wake| self.timers.coalesce(wake, now, urgency));
            if seat.scheduled == wake {
                continue;
            }
            let timer = |at| Timer {
                at,
                conference: index,
                what: Due::Seat(seat_index),
            };
            if let Some(old) = std::mem::replace(&mut seat.scheduled, wake) {
                self.timers.remove(&timer(old));
            }
            if let Some(wake) = wake {
                self.timers.insert(timer(wake));
            }
        }
        conference.return_touched(touched);
        self.release(index);
        let is_over = self
            .conferences
            .get(index)
            .is_some_and(|conference| conference.as_ref().is_some_and(Conference::is_empty));
        if is_over {
            self.remove_conference(now, index);
        }
    }

    /// Forgets what a conference has given up.
    fn release(&mut self, index: usize) {
        let Some(Some(conference)) = self.conferences.get_mut(index) else {
            return;
        };
        let freed = conference.take_freed();
        for (address, number) in freed.addresses {
            if self.addresses.get(&address) == Some(&number) {
                self.addresses.remove(&address);
            }
        }
        for (ssrc, number) in freed.ssrcs {
            self.senders.remove(ssrc, number);
        }
        for number in freed.numbers {
            if let Some(place) = self.numbers.get_mut(number as usize) {
                *place = None;
            }
            self.free_numbers.push_back(number);
        }
        for channel in freed.channels {
            self.channels.remove(&channel);
        }
        for (at, seat) in freed.timers {
            self.timers.remove(&Timer {
                at,
                conference: index,
                what: Due::Seat(seat),
            });
        }
    }

    fn remove_conference(&mut self, now: Instant, index: usize) {
        if let Some(conference) = self.conferences.get_mut(index).and_then(Option::take) {
            self.statistics.conferences_completed += 1;
            self.statistics.conference_milliseconds += report::milliseconds(conference.age(now));
            self.by_id.remove(&conference.id);
            self.timers.remove(&Timer {
                at: conference.tick_at(),
                conference: index,
                what: Due::Tick,
            });
        }
    }
}

fn carry_out(conference: &mut Conference, cx: &mut Cx<'_>, command: BridgeCommand) {
    match command {
        // Handled by the worker: it may make the conference.
        BridgeCommand::Allocate { .. } => {}
        BridgeCommand::Connect {
            allocation,
            transport,
        } => conference.connect(cx, allocation, transport),
        BridgeCommand::SetSources {
            allocation,
            sources,
        } => conference.set_sources(cx, allocation, sources),
        BridgeCommand::SetMayForward { allocation, may } => {
            conference.set_may_forward(cx, allocation, may);
        }
        BridgeCommand::RestartIce { allocation } => {
            conference.restart_ice(cx, allocation);
        }
        BridgeCommand::ReconnectIce {
            allocation,
            ice,
            candidates,
        } => conference.reconnect_ice(cx, allocation, ice, &candidates),
        BridgeCommand::SetPaused {
            allocation,
            is_paused,
        } => {
            let seat = conference.seat_allocated(allocation);
            if let Some(seat) = seat.and_then(|seat| conference.seat_mut(seat)) {
                seat.is_paused = is_paused;
            }
        }
        BridgeCommand::Expire { allocation } => {
            if let Some(seat) = conference.seat_allocated(allocation) {
                conference.expire(cx, seat);
            }
        }
        BridgeCommand::Close => conference.expire_all(cx),
    }
}

/// The time of day as senders of RTP state it (RFC 3550, 4).
fn ntp_clock(now: Now) -> NtpClock {
    let since_1970 = u64::try_from(now.wall.timestamp_millis()).unwrap_or(0);
    NtpClock::new(now.mono, NTP_EPOCH + Duration::from_millis(since_1970))
}

/// What is sent in one go: some receivers' packets of a picture, which the processor still has at
/// hand when the system copies them. A run has no more.
const PART_BYTES: usize = 64 << 10;
/// From 1900 to 1970.
const NTP_EPOCH: Duration = Duration::from_secs(2_208_988_800);

/// Takes as long whatever differs, so that a password can't be guessed byte by byte.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differences == 0
}

#[cfg(test)]
mod tests;
