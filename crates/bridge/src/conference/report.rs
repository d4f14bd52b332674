//! What is told of a conference to those who look at it from outside: figures, details, and the
//! few things that are only counted for them.

use std::time::{Duration, Instant};

use tertulia_model::{MayForward, MediaType, Ssrc};
use tertulia_transport::session::Received;

use super::{Conference, Cx};
use crate::allocate::Layer;
use crate::detail::{
    ChannelKind, ConferenceDetail, EndpointDetail, EndpointState, EndpointSummary, LayerDetail,
    Path, ReceptionDetail, SourceDetail, StreamDetail,
};
use crate::figures::{ConferenceFigures, Figures};
use crate::rewrite::Target;
use crate::seat::{Lane, Leg, Seat};
use crate::source::SourceState;

impl Conference {
    /// How long it has been there.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Counts a packet of an endpoint, by stream.
    pub(super) fn note_rtp(&mut self, cx: &mut Cx<'_>, index: usize, packet: &Received) {
        let ssrc = Ssrc(packet.ssrc);
        let Some(Some(seat)) = self.seats.get_mut(index) else {
            return;
        };
        let stream = seat.stream(ssrc);
        let source = stream.and_then(|stream| self.sources.get(stream.source)?.as_ref());
        let Some(media) = source.map(SourceState::media) else {
            return;
        };
        let longer = seat.traffic.note(ssrc, media, packet.payload.len(), cx.now);
        if media == MediaType::Video {
            cx.statistics.video_milliseconds += longer;
        }
    }

    /// Counts what shows itself in the course of time, once for each endpoint.
    pub(super) fn note_time(&mut self, cx: &mut Cx<'_>) {
        for seat in self.seats.iter_mut().flatten() {
            let Seat {
                traffic, streams, ..
            } = seat.as_mut();
            traffic.retain(|ssrc| streams.iter().any(|stream| stream.ssrc == ssrc));
            if is_visitor(seat.may) && !seat.traffic.is_counted_visitor {
                seat.traffic.is_counted_visitor = true;
                cx.statistics.visitors_created += 1;
            }
            let has_waited = seat
                .connected
                .is_some_and(|at| cx.now.saturating_duration_since(at) >= CHANNEL_PATIENCE);
            if has_waited && !seat.had_channel && !seat.traffic.is_counted_channelless {
                seat.traffic.is_counted_channelless = true;
                cx.statistics.without_channel += 1;
            }
        }
    }

    /// Adds this conference to a reading.
    pub(crate) fn add_to(&mut self, figures: &mut Figures, now: Instant) {
        let at_ms = self.at_ms(now);
        let layers: Vec<Vec<Layer>> = self
            .sources
            .iter_mut()
            .map(|source| layers(source.as_mut(), at_ms))
            .collect();
        let mut own = ConferenceFigures::default();
        for seat in self.seats.iter().flatten() {
            let sends_audio = seat.traffic.is_sending(MediaType::Audio, now);
            let sends_video = seat.traffic.is_sending(MediaType::Video, now);
            own.endpoints += 1;
            own.audio_senders += u64::from(sends_audio);
            own.video_senders += u64::from(sends_video);
            own.senders += u64::from(sends_audio || sends_video);
            figures.visitors += u64::from(is_visitor(seat.may));
            add_path(figures, seat);
            add_allocation(figures, seat, &layers);
        }
        figures.sending_audio += own.audio_senders;
        figures.sending_video += own.video_senders;
        if !own.is_inactive() {
            figures.receive_only += own.endpoints - own.senders;
        }
        figures.conferences.push(own);
    }

    /// Who is in it.
    pub(crate) fn detail(&self, now: Instant) -> ConferenceDetail {
        let seats = self.seats.iter().flatten();
        let endpoints = seats.map(|seat| EndpointSummary {
            id: seat.id.clone(),
            state: state(seat),
            is_active: seat.is_active,
        });
        let dominant = self.speakers.dominant();
        ConferenceDetail {
            id: self.id.clone(),
            age: self.age(now),
            dominant_speaker: dominant.and_then(|index| Some(self.seat(index)?.id.clone())),
            endpoints: endpoints.collect(),
        }
    }

    /// All that there is to know of an endpoint.
    pub(crate) fn endpoint_detail(&mut self, id: &str, now: Instant) -> Option<EndpointDetail> {
        let at_ms = self.at_ms(now);
        let index = self.seat_named(id)?;
        let own = self.sources.iter_mut().flatten();
        let sources = own
            .filter(|source| source.owner == index)
            .map(|source| source_detail(source, at_ms))
            .collect();
        let seat = self.seat(index)?;
        let since = |at: Instant| now.saturating_duration_since(at);
        let has_data_channel = seat.endpoint.has_data_channel();
        let channel = match (seat.websocket, has_data_channel) {
            (Some(_), false) => Some(ChannelKind::WebSocket),
            (Some(_), true) if !seat.prefers_data_channel => Some(ChannelKind::WebSocket),
            (_, true) => Some(ChannelKind::DataChannel),
            (None, false) => None,
        };
        let streams = seat.traffic.streams().iter().map(|stream| StreamDetail {
            ssrc: stream.ssrc,
            media: stream.media,
            packets: stream.packets,
            bytes: stream.bytes,
            quiet_for: since(stream.heard),
        });
        let legs = self.sources.iter().zip(&seat.legs);
        let receives = legs.filter_map(|(source, leg)| {
            let (source, leg) = (source.as_ref()?, leg.as_ref()?);
            Some(reception_detail(source, leg))
        });
        Some(EndpointDetail {
            id: seat.id.clone(),
            allocation: seat.allocation,
            state: state(seat),
            age: since(seat.created),
            is_active: seat.is_active,
            is_paused: seat.is_paused,
            quiet_for: seat.heard.map(since),
            addresses: seat
                .addresses
                .iter()
                .map(|(address, heard)| (*address, since(*heard)))
                .collect(),
            path: Path::of(&seat.endpoint.report()),
            channel,
            messages_waiting: seat.outbox.len(),
            offer: seat.offer,
            may: seat.may,
            estimate_bps: seat.estimate_bps,
            divided_bps: seat.allocated_bps,
            is_resting: seat.endpoint.is_resting(),
            wants: format!("{:?}", seat.constraints),
            streams: streams.collect(),
            sources,
            receives: receives.collect(),
        })
    }
}

fn state(seat: &Seat) -> EndpointState {
    match (seat.is_dead, seat.connected, seat.connect_by) {
        (true, _, _) => EndpointState::Lost,
        (false, Some(_), _) => EndpointState::Connected,
        (false, None, Some(_)) => EndpointState::Connecting,
        (false, None, None) => EndpointState::Invited,
    }
}

fn source_detail(source: &mut SourceState, at_ms: u64) -> SourceDetail {
    SourceDetail {
        name: source.name().clone(),
        media: source.media(),
        video_type: source.video_type(),
        told_height: source.told_height,
        layers: layers(Some(source), at_ms)
            .iter()
            .map(layer_detail)
            .collect(),
    }
}

/// Who may do nothing but look and listen.
fn is_visitor(may: MayForward) -> bool {
    !(may.audio || may.camera || may.screen || may.messages)
}

fn layers(source: Option<&mut SourceState>, at_ms: u64) -> Vec<Layer> {
    source
        .filter(|source| source.media() == MediaType::Video)
        .map(|source| source.layers(at_ms))
        .unwrap_or_default()
}

fn layer_detail(layer: &Layer) -> LayerDetail {
    LayerDetail {
        encoding: layer.encoding,
        temporal: layer.temporal,
        height: layer.height,
        fps: layer.fps,
        bitrate_bps: layer.bitrate_bps,
        is_active: layer.is_active,
    }
}

fn reception_detail(source: &SourceState, leg: &Leg) -> ReceptionDetail {
    let is_video = source.media() == MediaType::Video;
    ReceptionDetail {
        source: source.name().clone(),
        ssrc: (leg.lane != Lane::NoSlot).then_some(leg.ssrc),
        slot: match leg.lane {
            Lane::Slot(slot) => Some(slot),
            Lane::Own | Lane::NoSlot => None,
        },
        asked_height: is_video.then_some(leg.asked_height),
        target: leg.target.map(|target| describe(&target)),
        encoding: leg.current(),
    }
}

/// `1/2` is the second encoding up to its third temporal layer; `1/all` has no such bound.
fn describe(target: &Target) -> String {
    match target.temporal {
        u8::MAX => format!("{}/all", target.encoding),
        temporal => format!("{}/{temporal}", target.encoding),
    }
}

fn add_path(figures: &mut Figures, seat: &Seat) {
    let path = Path::of(&seat.endpoint.report());
    if let Some(round_trip) = path.round_trip {
        figures.round_trip.add_duration(round_trip);
    }
    if let Some(loss) = path.incoming_loss {
        figures.incoming_loss.add(f64::from(loss));
    }
    if let Some(loss) = path.outgoing_loss {
        figures.outgoing_loss.add(f64::from(loss));
        figures.high_outgoing_loss += u64::from(loss > HIGH_LOSS);
    }
}

fn add_allocation(figures: &mut Figures, seat: &Seat, layers: &[Vec<Layer>]) {
    let mut granted_bps = 0;
    let mut is_suspended = false;
    for (leg, layers) in seat.legs.iter().zip(layers) {
        let Some(leg) = leg else { continue };
        let Some(target) = leg.target else {
            let is_there = layers.iter().any(|layer| layer.is_active);
            is_suspended |= is_there && leg.asked_height != 0 && leg.lane != Lane::NoSlot;
            continue;
        };
        let granted = layers
            .iter()
            .filter(|layer| layer.encoding == target.encoding && layer.temporal <= target.temporal);
        let granted = granted.map(|layer| layer.bitrate_bps).max().unwrap_or(0);
        granted_bps += granted;
        figures.video_streams += u64::from(granted > 0);
    }
    let estimate = seat.estimate_bps.filter(|_| !seat.endpoint.is_resting());
    figures.oversending += u64::from(estimate.is_some_and(|estimate| granted_bps > estimate));
    figures.suspended += u64::from(is_suspended);
}

/// A client has opened its bridge channel after so long, or it is a fault.
const CHANNEL_PATIENCE: Duration = Duration::from_secs(30);
/// More is high.
const HIGH_LOSS: f32 = 0.1;
