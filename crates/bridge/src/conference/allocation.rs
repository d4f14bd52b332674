//! Bandwidth of receivers, and what is asked of senders.

use std::time::Duration;

use tertulia_model::{MediaType, VideoType};
use tertulia_transport::session::PathReport;
use tracing::debug;

use super::{Conference, Cx};
use crate::allocate::{Allocation, Demand, allocate, voices_that_fit};
use crate::channel::ServerMessage;
use crate::constraints::{Offered, Wanted, larger, prioritise};
use crate::rewrite::Target;
use crate::seat::{Lane, Seat};

impl Conference {
    /// A new estimate; small changes wait for the next allocation.
    pub(super) fn handle_estimate(&mut self, cx: &mut Cx<'_>, index: usize, bps: u64) {
        if let Some(seat) = self.seat_mut(index) {
            if seat.endpoint.is_resting() {
                return;
            }
            seat.estimate_bps = Some(bps.max(cx.config.bandwidth.least_bps));
            let age = cx.now.saturating_duration_since(seat.allocated);
            if seat.has_changed_estimate(age) {
                self.want_allocation(index);
            }
        }
    }

    /// What was lost of late is sent again.
    pub(super) fn handle_report(&mut self, index: usize, report: PathReport) {
        if let Some(seat) = self.seat_mut(index) {
            let lost = report.outgoing_loss.filter(|_| seat.offer.has_rtx);
            seat.lost_percent = (lost.unwrap_or(0.0) * 100.0).clamp(0.0, RESENT_MAX) as u64;
        }
    }

    /// One receiver's share is to be looked at again.
    pub(super) fn want_allocation(&mut self, index: usize) {
        if let Some(seat) = self.seat_mut(index) {
            seat.needs_allocation = true;
            self.has_allocations = true;
        }
    }

    /// Everybody's share is to be looked at again.
    pub(crate) fn allocate_all(&mut self) {
        for seat in self.seats.iter_mut().flatten() {
            seat.needs_allocation = true;
        }
        self.has_allocations = true;
        self.has_new_demands = true;
    }

    /// The largest number of videos that anybody is sent.
    pub(crate) fn forwarded_most(&self) -> usize {
        let each = self.seats.iter().flatten().map(|seat| seat.forwarded.len());
        each.max().unwrap_or(0)
    }

    pub(super) fn allocate_where_needed(&mut self, cx: &mut Cx<'_>) {
        for index in self.indices() {
            let needs = self.seat(index).is_some_and(|seat| seat.needs_allocation);
            if needs {
                self.allocate_for(cx, index);
            }
        }
    }

    /// Divides one receiver's bandwidth.
    fn allocate_for(&mut self, cx: &mut Cx<'_>, index: usize) {
        let wanted = self.wanted_by(cx, index);
        self.lend_video_slots(cx, index, &wanted);
        let demands = self.demands(cx, &wanted);
        let estimate = self.estimate(cx, index);
        let voices = self.voices_bps(cx, index, estimate, &demands);
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        seat.needs_allocation = false;
        seat.allocated_bps = estimate;
        seat.allocated = cx.now;
        // Voices come first: they are sent whatever the estimate is. So has been decided on what
        // waits for the pacer already; it is to be gone within a second.
        let waiting = seat.endpoint.waiting_bytes() as u64 * 8;
        let is_jammed = waiting > estimate / 10;
        let waiting = if is_jammed { waiting } else { 0 };
        seat.is_jammed = is_jammed;
        // What was lost of late is sent again, and takes as much of what is sent next.
        let resent = estimate / 100 * seat.lost_percent;
        // But who is sent no picture at all learns of no more bandwidth: one of the least is tried.
        let least_bps = if is_jammed {
            0
        } else {
            cx.config.bandwidth.least_bps
        };
        let available = estimate.saturating_sub(voices + waiting + resent);
        let available = available.max(least_bps);
        let allocation = allocate(available, cx.config.bandwidth.oversend_bps, &demands);
        let ideal = voices + allocation.ideal_bps();
        let least = allocation.next_bps().map_or(0, |next| voices + next);
        // With headroom: rates are measured over the last second and go up and down.
        seat.wanted_bps = ideal;
        seat.is_starved = allocation.ideal_bps() > 0 && allocation.target_bps() == 0;
        if seat.is_starved {
            seat.look_for_bandwidth(cx.now, wanted.iter().map(|wanted| wanted.index));
        }
        seat.endpoint
            .set_bitrates(cx.now, least, (ideal + ideal / 4).max(DESIRED_MIN));
        self.grant(cx, index, &wanted, &allocation);
        self.mark(index);
    }

    /// What a receiver can be sent, as far as is known.
    fn estimate(&self, cx: &Cx<'_>, receiver: usize) -> u64 {
        let bandwidth = &cx.config.bandwidth;
        if !bandwidth.is_estimated {
            return u64::MAX / 4;
        }
        let measured = self.seat(receiver).and_then(|seat| seat.estimate_bps);
        measured.unwrap_or(bandwidth.initial_bps)
    }

    /// Decides how many voices a receiver hears, and says what they take of its bandwidth.
    fn voices_bps(
        &mut self,
        cx: &Cx<'_>,
        receiver: usize,
        estimate: u64,
        demands: &[Demand],
    ) -> u64 {
        let at_ms = self.at_ms(cx.now);
        let Some(seat) = self.seats.get_mut(receiver).and_then(Option::as_deref_mut) else {
            return 0;
        };
        let heard = seat.legs.iter().zip(&mut self.sources);
        let mut voices: Vec<u64> = heard
            .filter_map(|(leg, source)| Some((leg.as_ref()?, source.as_mut()?)))
            .filter(|(leg, source)| leg.is_wanted && source.media() == MediaType::Audio)
            .map(|(_, source)| source.bps(at_ms))
            .filter(|bps| *bps > 0)
            .collect();
        voices.sort_unstable_by(|one, other| other.cmp(one));
        // Where no picture is wanted nothing is known of the bandwidth, and none has to fit in.
        let has_pictures = demands.iter().any(Demand::is_for_something);
        let least = cx.config.audio.narrow_least.filter(|_| has_pictures);
        let most = least.and_then(|least| {
            let before = seat.voices_most;
            voices_that_fit(&voices, estimate, least, before)
        });
        if most != seat.voices_most {
            debug!(receiver = %seat.id, ?most, of = voices.len(), estimate, "voices that are heard");
            seat.voices_most = most;
        }
        voices.iter().take(most.unwrap_or(usize::MAX)).sum()
    }

    /// The most videos that a receiver may be sent, whatever it asks for.
    fn videos_most(&self, cx: &Cx<'_>, seat: &Seat) -> Option<usize> {
        let slots = seat.slots.as_ref().map(|slots| slots.video_max());
        // Who was never told of a slot can't be sent anything.
        let slots = slots.map(|slots| if seat.had_channel { slots } else { 0 });
        let policy = &cx.config.video;
        let size = self.seat_count();
        let mut by_size = policy.last_n_by_size.iter().rev();
        let by_size = by_size.find(|(from, _)| *from <= size);
        let by_size = by_size.map(|(_, most)| *most as usize);
        let always = policy.last_n.map(|most| most as usize);
        let bounds = [slots, by_size, always, cx.videos_most];
        bounds.into_iter().flatten().min()
    }

    /// The video sources that a receiver could have, in its order.
    fn wanted_by(&self, cx: &Cx<'_>, receiver: usize) -> Vec<Wanted> {
        let Some(seat) = self.seat(receiver) else {
            return Vec::new();
        };
        let mut rank = vec![usize::MAX; self.seats.len()];
        for (place, speaker) in self.speakers.order().enumerate() {
            if let Some(rank) = rank.get_mut(speaker) {
                *rank = place;
            }
        }
        let mut offered: Vec<((usize, usize), Offered<'_>)> = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let Some(source) = source else { continue };
            if source.media() == MediaType::Video && source.owner != receiver {
                let owner = self.seat(source.owner);
                let is_allowed = owner.is_some_and(|owner| source.may_pass(owner.may));
                let rank = rank.get(source.owner).copied().unwrap_or(usize::MAX);
                offered.push((
                    (rank, source.owner),
                    Offered {
                        index,
                        name: source.name(),
                        is_enabled: source.is_enabled() && is_allowed,
                    },
                ));
            }
        }
        offered.sort_by_key(|(rank, source)| (*rank, source.index));
        let offered: Vec<Offered<'_>> = offered.into_iter().map(|(_, source)| source).collect();
        let most = self.videos_most(cx, seat);
        prioritise(&seat.constraints, &offered, &cx.config.video, most)
    }

    fn demands(&mut self, cx: &Cx<'_>, wanted: &[Wanted]) -> Vec<Demand> {
        let at_ms = self.at_ms(cx.now);
        let mut demands = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let Some(Some(source)) = self.sources.get_mut(wanted.index) else {
                continue;
            };
            demands.push(Demand {
                max_height: wanted.max_height,
                is_on_stage: wanted.is_on_stage,
                is_desktop: source.video_type() == VideoType::Desktop,
                layers: source.layers(at_ms),
            });
        }
        demands
    }

    /// Applies an allocation: targets, key frames where they change, and the list of sources.
    fn grant(&mut self, cx: &mut Cx<'_>, index: usize, wanted: &[Wanted], allocation: &Allocation) {
        let mut forwarded = Vec::new();
        let mut starting = Vec::new();
        let mut has_new_demands = false;
        for (wanted, grant) in wanted.iter().zip(&allocation.grants) {
            let target = grant.target.map(|layer| Target {
                encoding: layer.encoding,
                spatial: layer.spatial,
                // Of the best of its size, all that there is: more layers may appear.
                temporal: match grant.next {
                    Some(next)
                        if (next.encoding, next.spatial) == (layer.encoding, layer.spatial) =>
                    {
                        layer.temporal
                    }
                    _ => u8::MAX,
                },
            });
            let name = self
                .source(wanted.index)
                .map(|source| source.name().clone());
            let Some(seat) = self.seat_mut(index) else {
                return;
            };
            let receiver = &seat.id;
            let Some(Some(leg)) = seat.legs.get_mut(wanted.index) else {
                continue;
            };
            let target = target.filter(|_| leg.lane != Lane::NoSlot);
            if target.is_some() {
                forwarded.extend(name);
            }
            has_new_demands |= leg.asked_height != wanted.max_height;
            leg.asked_height = wanted.max_height;
            if leg.target != target {
                debug!(%receiver, ssrc = %leg.ssrc, ?target, "layer switched");
                leg.target = target;
            }
            match target {
                None => leg.pause(),
                Some(target) if leg.current() != Some(target.encoding) => {
                    starting.push(wanted.index);
                }
                Some(_) => {}
            }
        }
        self.has_new_demands |= has_new_demands;
        let is_reachable = self.seat(index).is_some_and(|seat| seat.is_reachable());
        if is_reachable {
            for source in starting {
                self.want_keyframe(cx, source);
            }
        }
        forwarded.sort();
        if let Some(seat) = self.seat_mut(index)
            && seat.forwarded != forwarded
        {
            seat.forwarded.clone_from(&forwarded);
            self.send(cx, index, &ServerMessage::ForwardedSources(forwarded));
        }
    }

    /// Tells senders how much of their sources anybody asks for. What was granted does not
    /// matter: a sender that stops a layer takes it from an allocator that could return to it.
    pub(super) fn tell_senders(&mut self, cx: &mut Cx<'_>) {
        for index in 0..self.sources.len() {
            let Some(source) = self.source(index) else {
                continue;
            };
            if source.media() != MediaType::Video {
                continue;
            }
            let (owner, told) = (source.owner, source.told_height);
            let mut asked = None;
            let mut is_somebody_undecided = false;
            for (other, seat) in self.seats.iter().enumerate() {
                let Some(seat) = seat.as_deref().filter(|_| other != owner) else {
                    continue;
                };
                if seat.is_dead || seat.connected.is_none() {
                    continue;
                }
                is_somebody_undecided |= !seat.constraints.has_decided();
                if let Some(Some(leg)) = seat.legs.get(index) {
                    let height = leg.asked_height;
                    asked = Some(asked.map_or(height, |asked| larger(asked, height)));
                }
            }
            // Who is alone need not send anything.
            let nobody = || told.map(|_| 0);
            let Some(mut asked) = asked.or_else(nobody) else {
                continue;
            };
            if is_somebody_undecided {
                // A new receiver speaks within milliseconds: don't stop an encoder until then.
                let Some(told) = told else { continue };
                asked = larger(asked, told);
            }
            if told == Some(asked) {
                continue;
            }
            if let Some(Some(source)) = self.sources.get_mut(index) {
                source.told_height = Some(asked);
                let message = ServerMessage::SenderSourceConstraints {
                    source: source.name().clone(),
                    max_height: asked,
                };
                self.send(cx, owner, &message);
            }
        }
    }
}

impl Seat {
    /// Whether the estimate is another than at the last allocation, which was so long ago, by so
    /// much that the next is due. Less is taken at once, before a queue builds up. More is soon
    /// followed by still more, or by less.
    pub(super) fn has_changed_estimate(&self, age: Duration) -> bool {
        let before = self.allocated_bps;
        let Some(bps) = self.estimate_bps.filter(|_| !self.endpoint.is_resting()) else {
            return false;
        };
        let change = bps.abs_diff(before) * 100;
        if bps < before {
            change > before * FALL_PERCENT
        } else {
            change > before * RISE_PERCENT && age >= RISE
        }
    }
}

/// An estimate that changes by less waits for the next allocation.
const RISE_PERCENT: u64 = 15;
const FALL_PERCENT: u64 = 5;
/// From one allocation to the next with more.
const RISE: Duration = Duration::from_millis(500);
/// What is probed for while nothing is known: enough for one good picture.
const DESIRED_MIN: u64 = 1_000_000;
/// Percent of what is sent that may be reserved for retransmissions.
const RESENT_MAX: f32 = 30.0;
