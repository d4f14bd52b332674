//! To whom an address belongs: by a connectivity check, or by media that only one can have sealed.

use std::net::SocketAddr;
use std::time::Instant;

use tertulia_model::AllocationId;
use tertulia_transport::datagram::DatagramKind;

use super::{Place, Worker};
use crate::demux::{self, Ufrag};
use crate::seat::Seat;

impl Worker {
    /// A check from an address that is not yet the addressee's.
    pub(super) fn admit_address(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ufrag: Ufrag,
        data: &[u8],
    ) -> Option<u32> {
        if !self.strangers.admit(from.ip(), now) {
            self.statistics.dropped.check_limit += 1;
            return None;
        }
        let is_here = ufrag.worker == self.index;
        let seat = self.seat_mut(ufrag.number).filter(|_| is_here);
        let is_believed = seat
            .filter(|seat| seat.tag == ufrag.tag && !seat.is_dead)
            .is_some_and(|seat| seat.endpoint.accepts(from, data));
        if !is_believed {
            self.statistics.dropped.unknown_check += 1;
            return None;
        }
        if !self.take_in(now, from, ufrag.number) {
            return None;
        }
        self.seat_mut(ufrag.number)?.confirm_address(from, now);
        Some(ufrag.number)
    }

    /// A check from an address that is the addressee's already. After a restart of ICE it shows
    /// that the address is still of use.
    pub(super) fn confirm_address(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ufrag: Ufrag,
        data: &[u8],
    ) {
        if let Some(seat) = self.seat_mut(ufrag.number)
            && seat.restart.is_in_doubt()
            && seat.tag == ufrag.tag
            && seat.endpoint.accepts(from, data)
        {
            seat.confirm_address(from, now);
        }
    }

    /// Something else from an unknown address. If it is media, the client that sealed it may have
    /// been moved by its NAT, and does not know.
    pub(super) fn admit_by_media(
        &mut self,
        now: Instant,
        from: SocketAddr,
        kind: DatagramKind,
        data: &[u8],
    ) -> Option<u32> {
        let ssrc = demux::sender(kind, data).filter(|ssrc| self.senders.has(*ssrc));
        let Some(ssrc) = ssrc else {
            self.statistics.dropped.unknown_source += 1;
            return None;
        };
        if !self.strangers.admit(from.ip(), now) {
            self.statistics.dropped.check_limit += 1;
            return None;
        }
        let tried: Vec<u32> = self.senders.of(ssrc).collect();
        let believes = |worker: &mut Worker, number: u32| {
            let seat = worker.seat_mut(number).filter(|seat| !seat.is_dead);
            seat.is_some_and(|seat| seat.endpoint.believes(data))
        };
        let number = tried.into_iter().find(|number| believes(self, *number));
        let Some(number) = number else {
            self.statistics.dropped.unknown_source += 1;
            return None;
        };
        if !self.take_in(now, from, number) {
            return None;
        }
        self.seat_mut(number)?.move_to(from, now);
        let place = self.place(number)?;
        if let Some(Some(conference)) = self.conferences.get_mut(place.conference) {
            conference.mark(place.seat);
        }
        Some(number)
    }

    /// An address is an endpoint's from now on. False if it has too many that are in use.
    fn take_in(&mut self, now: Instant, address: SocketAddr, number: u32) -> bool {
        let limit = self.config.limits.addresses_per_endpoint;
        let idle = self.config.timers.address_idle;
        let Some(seat) = self.seat_mut(number) else {
            return false;
        };
        let mut forgotten = None;
        if seat.addresses.len() >= limit {
            let oldest = seat
                .addresses
                .iter()
                .enumerate()
                .filter(|(_, (_, heard))| now.saturating_duration_since(*heard) >= idle)
                .min_by_key(|(_, (_, heard))| *heard);
            let Some((oldest, _)) = oldest else {
                self.statistics.dropped.address_limit += 1;
                return false;
            };
            forgotten = Some(seat.addresses.swap_remove(oldest));
        }
        seat.addresses.push((address, now));
        if let Some((forgotten, _)) = forgotten {
            self.addresses.remove(&forgotten);
        }
        if let Some(previous) = self.addresses.insert(address, number) {
            self.disown(previous, address);
        }
        self.foreign.remove(&address);
        true
    }

    /// An address belongs to another endpoint now.
    fn disown(&mut self, number: u32, address: SocketAddr) {
        if let Some(seat) = self.seat_mut(number) {
            seat.addresses.retain(|(own, _)| *own != address);
        }
    }

    /// The sources of an endpoint have changed.
    pub(super) fn note_senders(&mut self, conference: usize, allocation: AllocationId) {
        // What it sends no more may be what it sends anew.
        self.release(conference);
        let conference = self.conferences.get(conference).and_then(Option::as_ref);
        let seat = conference.and_then(|conference| {
            let index = conference.seat_allocated(allocation)?;
            conference.seat(index)
        });
        let Some(seat) = seat else { return };
        for stream in &seat.streams {
            self.senders.insert(stream.ssrc, seat.number);
        }
    }

    fn seat_mut(&mut self, number: u32) -> Option<&mut Seat> {
        let Place { conference, seat } = self.place(number)?;
        let conference = self.conferences.get_mut(conference)?.as_mut()?;
        conference.seat_mut(seat)
    }
}
