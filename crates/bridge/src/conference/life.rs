//! Endpoints and their sources come and go.

use std::net::SocketAddr;

use tertulia_model::bridge::{DisconnectReason, IceCredentials, RemoteTransport};
use tertulia_model::{
    AllocationId, BridgeEvent, Encoding, MayForward, MediaType, Source, SourceName,
};
use tracing::{debug, error};

use super::{Conference, Cx};
use crate::Output;
use crate::demux::draw_credentials;
use crate::seat::{NewSeat, Seat, Stream};
use crate::source::SourceState;

impl Conference {
    /// The seat of an endpoint.
    pub(crate) fn seat_named(&self, id: &str) -> Option<usize> {
        self.indices()
            .find(|index| self.seat(*index).is_some_and(|seat| seat.id.as_str() == id))
    }

    /// The seat of an allocation.
    pub(crate) fn seat_allocated(&self, allocation: AllocationId) -> Option<usize> {
        self.seat_of(allocation)
    }

    /// The place that the next endpoint will take.
    pub(crate) fn free_seat(&self) -> usize {
        let free = self.seats.iter().position(Option::is_none);
        free.unwrap_or(self.seats.len())
    }

    /// Takes in an endpoint at [`Conference::free_seat`].
    pub(crate) fn add_seat(&mut self, cx: &mut Cx<'_>, new: NewSeat) {
        let mut seat = Seat::new(new, &cx.config.limits, cx.now);
        for (index, source) in self.sources.iter().enumerate() {
            if let Some(source) = source {
                seat.add_leg(index, source);
            }
        }
        let index = self.free_seat();
        match self.seats.get_mut(index) {
            Some(place) => *place = Some(Box::new(seat)),
            None => self.seats.push(Some(Box::new(seat))),
        }
        self.has_allocations = true;
        self.mark(index);
    }

    /// The client's answer arrived.
    pub(crate) fn connect(
        &mut self,
        cx: &mut Cx<'_>,
        allocation: AllocationId,
        remote: RemoteTransport,
    ) {
        let Some(index) = self.seat_of(allocation) else {
            return;
        };
        if let Some(seat) = self.seat_mut(index) {
            if seat.connect_by.is_some() || seat.connected.is_some() {
                debug!("a second answer to one allocation is not used");
                return;
            }
            if let Some(last_n) = remote.initial_last_n
                && !seat.constraints.is_known()
            {
                seat.constraints.set_last_n(last_n);
                seat.needs_allocation = true;
            }
            seat.connect_by = Some(cx.now + cx.config.timers.connect);
            let has_data_channel = seat.offer.has_data_channel;
            seat.endpoint.connect(cx.now, remote, has_data_channel);
        }
        self.has_allocations = true;
        self.mark(index);
    }

    /// Makes new credentials for a transport that stays. Without it there is nothing to restart.
    pub(crate) fn restart_ice(&mut self, cx: &mut Cx<'_>, allocation: AllocationId) {
        let seat = self.seat_of(allocation);
        let seat = seat.and_then(|index| self.seat_mut(index));
        let event = match seat.filter(|seat| !seat.is_dead) {
            Some(seat) => {
                let (tag, ice) = draw_credentials(cx.worker, seat.number, cx.random);
                let (ice, candidates) = seat.offer_restart(tag, ice);
                debug!(endpoint = %seat.id, "ICE restart offered");
                BridgeEvent::IceRestarted {
                    allocation,
                    ice,
                    candidates,
                }
            }
            None => BridgeEvent::Disconnected {
                allocation,
                reason: DisconnectReason::IceFailed,
            },
        };
        self.tell_focus(cx, event);
    }

    /// The client's new credentials.
    pub(crate) fn reconnect_ice(
        &mut self,
        cx: &mut Cx<'_>,
        allocation: AllocationId,
        ice: IceCredentials,
        addresses: &[SocketAddr],
    ) {
        let Some(index) = self.seat_of(allocation) else {
            return;
        };
        if let Some(seat) = self.seat_mut(index) {
            let has_answered = seat.connect_by.is_some() || seat.connected.is_some();
            if seat.is_dead || !has_answered || !seat.answer_restart(ice, addresses, cx.now) {
                debug!(endpoint = %seat.id, "an answer to no ICE restart is not used");
                return;
            }
            debug!(endpoint = %seat.id, "ICE restarted");
        }
        self.mark(index);
    }

    pub(super) fn handle_connected(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        if seat.connected.is_some() {
            return;
        }
        seat.connected = Some(cx.now);
        seat.connect_by = None;
        let allocation = seat.allocation;
        debug!(endpoint = %seat.id, "endpoint connected");
        self.want_allocation(index);
        self.has_new_demands = true;
        self.tell_focus(cx, BridgeEvent::Connected { allocation });
    }

    /// The client said goodbye to the transport; perhaps it is about to leave the room as well.
    pub(super) fn handle_closed(&mut self, cx: &mut Cx<'_>, index: usize) {
        if let Some(seat) = self.seat_mut(index) {
            seat.closed.get_or_insert(cx.now);
        }
        self.set_active(cx, index, false);
    }

    /// A transport is gone for good.
    pub(super) fn lose(&mut self, cx: &mut Cx<'_>, index: usize, reason: DisconnectReason) {
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        if seat.is_dead {
            return;
        }
        seat.is_dead = true;
        let (allocation, number) = (seat.allocation, seat.number);
        cx.statistics.note_loss(reason, seat.connected.is_some());
        if reason == DisconnectReason::Internal {
            error!(endpoint = %seat.id, "endpoint lost by an error of ours");
        } else {
            debug!(endpoint = %seat.id, ?reason, "endpoint lost");
        }
        let addresses = std::mem::take(&mut seat.addresses);
        seat.endpoint.close(cx.now, cx.batch);
        let freed = addresses.into_iter().map(|(address, _)| (address, number));
        self.freed.addresses.extend(freed);
        self.touched.push(index);
        self.set_active(cx, index, false);
        self.has_new_demands = true;
        self.tell_focus(cx, BridgeEvent::Disconnected { allocation, reason });
    }

    /// Ends an endpoint with all that belongs to it.
    pub(crate) fn expire(&mut self, cx: &mut Cx<'_>, index: usize) {
        let own = self.sources_of(index);
        for source in own {
            self.remove_source(source);
        }
        let Some(mut seat) = self.seats.get_mut(index).and_then(Option::take) else {
            return;
        };
        debug!(endpoint = %seat.id, "endpoint expired");
        seat.endpoint.close(cx.now, cx.batch);
        if let Some(channel) = seat.websocket {
            cx.outputs.push_back(Output::ChannelClose {
                channel,
                code: 1001,
                reason: "the endpoint is gone",
            });
            self.freed.channels.push(channel);
        }
        let addresses = seat
            .addresses
            .iter()
            .map(|(address, _)| (*address, seat.number));
        self.freed.addresses.extend(addresses);
        self.freed.numbers.push(seat.number);
        self.freed
            .timers
            .extend(seat.scheduled.map(|at| (at, index)));
        self.has_allocations = true;
        self.has_new_demands = true;
        self.note_names();
        self.lose_voice(cx, index);
    }

    /// Ends everything.
    pub(crate) fn expire_all(&mut self, cx: &mut Cx<'_>) {
        for index in self.indices() {
            self.expire(cx, index);
        }
    }

    /// Replaces the list of what an endpoint sends.
    pub(crate) fn set_sources(
        &mut self,
        cx: &mut Cx<'_>,
        allocation: AllocationId,
        mut sources: Vec<Source>,
    ) {
        let Some(owner) = self.seat_of(allocation) else {
            return;
        };
        sources.truncate(cx.config.limits.sources_per_endpoint);
        for index in self.sources_of(owner) {
            let is_kept = self
                .source(index)
                .is_some_and(|source| sources.iter().any(|new| is_same(&source.signalled, new)));
            if !is_kept {
                self.remove_source(index);
            }
        }
        for source in sources {
            match self.source_named(&source.name) {
                Some(index) => self.update_source(owner, index, source),
                None => self.add_source(owner, source),
            }
        }
        self.has_allocations = true;
        self.has_new_demands = true;
        self.mark(owner);
    }

    fn update_source(&mut self, owner: usize, index: usize, signalled: Source) {
        if let Some(Some(source)) = self.sources.get_mut(index)
            && source.owner == owner
            && source.signalled.video_type != signalled.video_type
        {
            // The last word counts, by whichever way it comes.
            source.signalled.video_type = signalled.video_type;
            source.told_type = None;
            self.allocate_all();
        }
    }

    fn add_source(&mut self, owner: usize, signalled: Source) {
        let is_taken = |encoding: &Encoding| {
            self.seats.iter().flatten().any(|seat| {
                [Some(encoding.primary), encoding.rtx]
                    .into_iter()
                    .flatten()
                    .any(|ssrc| seat.stream(ssrc).is_some())
            })
        };
        if signalled.encodings.is_empty() || signalled.encodings.iter().any(is_taken) {
            debug!(source = %signalled.name, "a source without or with a taken SSRC is not used");
            return;
        }
        let index = self.sources.iter().position(Option::is_none);
        let index = index.unwrap_or(self.sources.len());
        let Some(seat) = self.seat_mut(owner) else {
            return;
        };
        let told_type = seat.video_types.get(signalled.name.as_str()).copied();
        seat.endpoint
            .add_source(signalled.media, &signalled.encodings);
        for (encoding, signalled) in (0u8..).zip(&signalled.encodings) {
            seat.streams.push(Stream {
                ssrc: signalled.primary,
                source: index,
                encoding,
            });
        }
        let mut source = SourceState::new(signalled, owner);
        source.told_type = told_type;
        for (other, seat) in self.seats.iter_mut().enumerate() {
            if let Some(seat) = seat.as_deref_mut().filter(|_| other != owner) {
                seat.add_leg(index, &source);
            }
        }
        match self.sources.get_mut(index) {
            Some(place) => *place = Some(source),
            None => self.sources.push(Some(source)),
        }
        self.note_names();
    }

    fn remove_source(&mut self, index: usize) {
        let Some(source) = self.sources.get_mut(index).and_then(Option::take) else {
            return;
        };
        if let Some(Some(seat)) = self.seats.get_mut(source.owner) {
            let gone = seat.streams.extract_if(.., |stream| stream.source == index);
            let gone = gone.map(|stream| (stream.ssrc, seat.number));
            self.freed.ssrcs.extend(gone);
            seat.endpoint.remove_source(&source.signalled.encodings);
        }
        for other in self.indices() {
            if let Some(seat) = self.seat_mut(other) {
                seat.remove_leg(index, source.media());
            }
        }
    }

    /// What of an endpoint's media and messages may be forwarded from now on. Who may not send a
    /// picture is not asked for one, and what comes all the same reaches nobody.
    pub(crate) fn set_may_forward(
        &mut self,
        cx: &mut Cx<'_>,
        allocation: AllocationId,
        may: MayForward,
    ) {
        let Some(index) = self.seat_of(allocation) else {
            return;
        };
        let own = self.sources_of(index);
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        let before = std::mem::replace(&mut seat.may, may);
        if !may.audio {
            self.lose_voice(cx, index);
        }
        let is_video_new = own
            .iter()
            .filter_map(|source| self.source(*source))
            .filter(|source| source.media() == MediaType::Video)
            .any(|source| source.may_pass(before) != source.may_pass(may));
        if is_video_new {
            self.allocate_all();
        }
    }

    pub(super) fn source(&self, index: usize) -> Option<&SourceState> {
        self.sources.get(index)?.as_ref()
    }

    pub(super) fn source_named(&self, name: &SourceName) -> Option<usize> {
        self.sources
            .iter()
            .position(|source| source.as_ref().is_some_and(|source| source.name() == name))
    }

    pub(super) fn sources_of(&self, owner: usize) -> Vec<usize> {
        let indices = self.sources.iter().enumerate();
        indices
            .filter(|(_, source)| source.as_ref().is_some_and(|source| source.owner == owner))
            .map(|(index, _)| index)
            .collect()
    }
}

fn is_same(a: &Source, b: &Source) -> bool {
    a.name == b.name && a.media == b.media && a.encodings == b.encodings
}
