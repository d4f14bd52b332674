//! What happens by itself: decisions about the speaker, silence of transports, grace periods.

use std::time::Duration;

use tertulia_model::bridge::DisconnectReason;
use tertulia_model::{BridgeEvent, EndpointId, MediaType};
use tracing::debug;

use super::{Conference, Cx};
use crate::channel::ServerMessage;
use crate::speaker::{self, SpeakerChange};

/// How often.
pub(crate) const TICK: Duration = speaker::DECISION;

impl Conference {
    /// The conference's own timer rang.
    pub(crate) fn tick(&mut self, cx: &mut Cx<'_>) {
        self.tick_at = cx.now + TICK;
        self.decide_speaker(cx);
        self.watch_layers(cx);
        self.note_time(cx);
        for index in self.indices() {
            self.watch(cx, index);
            self.forget_addresses(cx, index);
        }
    }

    fn decide_speaker(&mut self, cx: &mut Cx<'_>) {
        let Some(change) = self.speakers.decide(cx.now) else {
            return;
        };
        let endpoint = match change {
            SpeakerChange::Dominant(index) | SpeakerChange::Resumed(index) => {
                self.seat(index).map(|seat| seat.id.clone())
            }
            SpeakerChange::Silence => None,
        };
        debug!(?change, "dominant speaker");
        self.announce_speaker(cx, endpoint);
        if matches!(change, SpeakerChange::Dominant(_)) {
            self.allocate_all();
        }
    }

    fn announce_speaker(&mut self, cx: &mut Cx<'_>, endpoint: Option<EndpointId>) {
        if let Some(message) = self.speaker_message() {
            self.broadcast(cx, &message, |_, _| true);
        }
        self.tell_focus(cx, BridgeEvent::DominantSpeaker { endpoint });
    }

    /// An endpoint is not heard any more: it is gone, or may not speak. Who spoke before it is the
    /// dominant speaker again.
    pub(super) fn lose_voice(&mut self, cx: &mut Cx<'_>, index: usize) {
        self.loudest.remove(index);
        self.voices.remove(index);
        if !self.speakers.remove(index) || self.is_empty() {
            return;
        }
        let heard = self.speakers.dominant();
        let heard = heard.filter(|_| !self.speakers.is_silent());
        let endpoint = heard
            .and_then(|index| self.seat(index))
            .map(|seat| seat.id.clone());
        self.announce_speaker(cx, endpoint);
        self.allocate_all();
    }

    /// Layers that appear or vanish change what can be granted.
    fn watch_layers(&mut self, cx: &mut Cx<'_>) {
        let at_ms = self.at_ms(cx.now);
        let mut is_changed = false;
        for source in self.sources.iter_mut().flatten() {
            if source.media() != MediaType::Video {
                continue;
            }
            let active = source.active_layers_at(at_ms);
            if std::mem::replace(&mut source.active_layers, active) != active {
                is_changed = true;
                cx.statistics.layering_changes += 1;
            }
        }
        if is_changed {
            self.allocate_all();
        }
    }

    fn watch(&mut self, cx: &mut Cx<'_>, index: usize) {
        let timers = cx.config.timers;
        let Some(seat) = self.seat_mut(index).filter(|seat| !seat.is_dead) else {
            return;
        };
        let silent_for = seat
            .heard
            .map(|heard| cx.now.saturating_duration_since(heard));
        let is_past = |at: Option<std::time::Instant>| at.is_some_and(|at| cx.now >= at);
        if is_past(seat.closed.map(|closed| closed + CLOSED_GRACE))
            || silent_for.is_some_and(|silent| silent >= timers.consent && seat.connected.is_some())
        {
            return self.lose(cx, index, DisconnectReason::IceFailed);
        }
        if is_past(seat.connect_by) {
            // Packets, but no keys: the handshake is what failed.
            let reason = match seat.heard {
                Some(_) if !seat.addresses.is_empty() => DisconnectReason::DtlsFailed,
                _ => DisconnectReason::IceFailed,
            };
            return self.lose(cx, index, reason);
        }
        let patience = if seat.is_paused {
            timers.inactive_after_paused
        } else {
            timers.inactive_after
        };
        let is_active = match silent_for {
            Some(silent) => silent < patience && seat.closed.is_none(),
            None => cx.now.saturating_duration_since(seat.created) < timers.first_packet,
        };
        // Who was never sent any counts from the beginning.
        let sent = seat.was_sent_video.or(seat.connected);
        let is_idle = is_past(sent.map(|sent| sent + REST_AFTER));
        if is_idle && !seat.is_starved && !seat.endpoint.is_resting() {
            debug!(endpoint = %seat.id, "no video: bandwidth estimation rests");
            seat.endpoint.rest(cx.now);
        }
        let has_waited = is_past(
            seat.connected
                .map(|connected| connected + timers.channel_grace),
        );
        if has_waited && seat.constraints.give_up_waiting() {
            debug!(endpoint = %seat.id, "no constraints from this client: the defaults apply");
            self.want_allocation(index);
            self.has_new_demands = true;
        }
        self.set_active(cx, index, is_active);
        self.allocate_in_time(cx, index);
        self.tell_stats(cx, index);
    }

    /// Notes and announces whether an endpoint can be heard of.
    pub(super) fn set_active(&mut self, cx: &mut Cx<'_>, index: usize, is_active: bool) {
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        if seat.is_active == is_active {
            return;
        }
        seat.is_active = is_active;
        let (endpoint, allocation) = (seat.id.clone(), seat.allocation);
        debug!(%endpoint, is_active, "endpoint activity");
        let message = ServerMessage::Connectivity {
            endpoint,
            is_active,
        };
        self.broadcast(cx, &message, |_, _| true);
        self.tell_focus(
            cx,
            BridgeEvent::Activity {
                allocation,
                is_active,
            },
        );
    }

    fn allocate_in_time(&mut self, cx: &Cx<'_>, index: usize) {
        let has_video = self
            .sources
            .iter()
            .flatten()
            .any(|source| source.owner != index);
        let is_due = has_video
            && self.seat(index).is_some_and(|seat| {
                let age = cx.now.saturating_duration_since(seat.allocated);
                age >= cx.config.timers.allocation
                    || ((seat.is_jammed || seat.is_starved) && age >= JAM)
                    || seat.has_changed_estimate(age)
            });
        if is_due {
            self.want_allocation(index);
        }
    }

    fn tell_stats(&mut self, cx: &mut Cx<'_>, index: usize) {
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        let age = cx.now.saturating_duration_since(seat.told_stats);
        let is_due = age >= cx.config.timers.connection_stats;
        let Some(downlink_bps) = seat.estimate_bps.filter(|_| is_due) else {
            return;
        };
        seat.told_stats = cx.now;
        self.send(cx, index, &ServerMessage::ConnectionStats { downlink_bps });
    }

    /// Addresses that rest are forgotten, but for the last one: its owner may only be asleep.
    fn forget_addresses(&mut self, cx: &Cx<'_>, index: usize) {
        let idle = cx.config.timers.address_idle;
        let Some(Some(seat)) = self.seats.get_mut(index) else {
            return;
        };
        let newest = seat.addresses.iter().map(|(_, heard)| *heard).max();
        let number = seat.number;
        let freed = &mut self.freed.addresses;
        seat.addresses.retain(|(address, heard)| {
            let is_kept = Some(*heard) == newest || cx.now.saturating_duration_since(*heard) < idle;
            if !is_kept {
                freed.push((*address, number));
            }
            is_kept
        });
    }
}

/// A queue before the pacer needs so long to get shorter, and layers that are too dear now may be
/// cheaper then.
const JAM: Duration = Duration::from_secs(1);
/// A client that closes its transport usually leaves the room in the next moment.
const CLOSED_GRACE: Duration = Duration::from_secs(2);
/// Without video for so long (peer-to-peer, all cameras off) a transport's estimation rests.
const REST_AFTER: Duration = Duration::from_secs(10);
