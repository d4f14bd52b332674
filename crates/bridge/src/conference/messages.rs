//! Messages of the bridge channel, in and out.

use std::time::Instant;

use serde_json::{Map, Value};
use tertulia_model::bridge::DisconnectReason;
use tertulia_model::{ChannelId, EndpointId, SourceName, VideoType};
use tracing::debug;

use super::{Conference, Cx};
use crate::Output;
use crate::channel::{ClientMessage, ServerMessage};
use crate::constraints::AudioSubscription;
use crate::seat::Seat;
use crate::source::SourceState;

/// Writes what waits for a client's data channel, as far as there is room.
pub(super) fn flush(seat: &mut Seat, now: Instant) {
    while let Some(text) = seat.outbox.front() {
        if !seat.endpoint.write_text(now, text) {
            return;
        }
        seat.outbox.pop();
    }
}

impl Conference {
    /// A WebSocket of an endpoint opened; an older one makes room.
    pub(crate) fn open_channel(&mut self, cx: &mut Cx<'_>, index: usize, channel: ChannelId) {
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        seat.prefers_data_channel = false;
        if let Some(old) = seat.websocket.replace(channel) {
            cx.outputs.push_back(Output::ChannelClose {
                channel: old,
                code: 1000,
                reason: "replaced",
            });
            self.freed.channels.push(old);
        }
        self.greet(cx, index, true);
    }

    pub(crate) fn close_channel(&mut self, index: usize, channel: ChannelId) {
        if let Some(seat) = self.seat_mut(index)
            && seat.websocket == Some(channel)
        {
            seat.websocket = None;
        }
    }

    /// A message by WebSocket.
    pub(crate) fn handle_channel_text(&mut self, cx: &mut Cx<'_>, index: usize, text: &str) {
        if let Some(seat) = self.seat_mut(index) {
            seat.prefers_data_channel = false;
        }
        self.handle_text(cx, index, text);
    }

    /// All that a client must know when its channel opens; what was sent before is lost.
    pub(super) fn greet(&mut self, cx: &mut Cx<'_>, index: usize, is_websocket: bool) {
        if is_websocket {
            self.send(cx, index, &ServerMessage::ServerHello);
        }
        if let Some(seat) = self.seat_mut(index) {
            seat.had_channel = true;
            if let Some(slots) = &mut seat.slots {
                slots.forget_told();
                // Only now can slots be given to what is wanted.
                self.want_allocation(index);
            }
        }
        let own: Vec<ServerMessage> = self
            .sources_of(index)
            .into_iter()
            .filter_map(|source| self.source(source))
            .filter_map(|source| {
                Some(ServerMessage::SenderSourceConstraints {
                    source: source.name().clone(),
                    max_height: source.told_height?,
                })
            })
            .collect();
        for message in own {
            self.send(cx, index, &message);
        }
        let forwarded = self.seat(index).map(|seat| seat.forwarded.clone());
        let forwarded = forwarded.unwrap_or_default();
        self.send(cx, index, &ServerMessage::ForwardedSources(forwarded));
        self.tell_maps(cx, index);
        let inactive: Vec<EndpointId> = self
            .seats
            .iter()
            .flatten()
            .filter(|seat| !seat.is_active)
            .map(|seat| seat.id.clone())
            .collect();
        for endpoint in inactive {
            let message = ServerMessage::Connectivity {
                endpoint,
                is_active: false,
            };
            self.send(cx, index, &message);
        }
        if let Some(message) = self.speaker_message() {
            self.send(cx, index, &message);
        }
    }

    /// Who speaks, as clients are told.
    pub(super) fn speaker_message(&self) -> Option<ServerMessage> {
        self.speakers.dominant()?;
        let mut recent = self
            .speakers
            .recent()
            .filter_map(|index| self.seat(index).map(|seat| seat.id.clone()));
        Some(ServerMessage::DominantSpeaker {
            dominant: recent.next()?,
            previous: recent.collect(),
            is_silence: self.speakers.is_silent(),
        })
    }

    /// Sends a message to one endpoint, by the channel that it used last.
    pub(super) fn send(&mut self, cx: &mut Cx<'_>, index: usize, message: &ServerMessage) {
        if self.seat(index).is_some_and(|seat| seat.has_channel()) {
            self.send_text(cx, index, message, message.text());
        }
    }

    pub(super) fn broadcast(
        &mut self,
        cx: &mut Cx<'_>,
        message: &ServerMessage,
        is_meant: impl Fn(usize, &Seat) -> bool,
    ) {
        let text = message.text();
        for index in self.indices() {
            let is_meant = self
                .seat(index)
                .is_some_and(|seat| seat.has_channel() && is_meant(index, seat));
            if is_meant {
                self.send_text(cx, index, message, text.clone());
            }
        }
    }

    fn send_text(&mut self, cx: &mut Cx<'_>, index: usize, message: &ServerMessage, text: String) {
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        let has_data_channel = seat.endpoint.has_data_channel();
        match seat.websocket {
            Some(channel) if !(has_data_channel && seat.prefers_data_channel) => {
                cx.outputs.push_back(Output::ChannelText { channel, text });
            }
            _ if has_data_channel => {
                if seat.outbox.push(message, text, &cx.config.limits).is_err() {
                    // Jitsi's clients do not open a data channel twice: only a new invitation
                    // brings the messages back that would be missing.
                    debug!(endpoint = %seat.id, "too many messages wait for a data channel");
                    self.lose(cx, index, DisconnectReason::IceFailed);
                    return;
                }
                self.mark(index);
            }
            _ => {}
        }
    }

    /// A message of a client, by whichever channel.
    pub(super) fn handle_text(&mut self, cx: &mut Cx<'_>, index: usize, text: &str) {
        let limits = &cx.config.limits;
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        let (rate, burst) = (limits.messages_per_second, limits.messages_burst);
        if text.len() > limits.message_bytes
            || !seat.messages.take(cx.now, 1.0, rate.into(), burst.into())
        {
            cx.statistics.dropped.message_limit += 1;
            return;
        }
        let Ok(message) = ClientMessage::parse(text) else {
            cx.statistics.dropped.malformed_messages += 1;
            debug!(endpoint = %seat.id, "a malformed bridge-channel message is not used");
            return;
        };
        match message {
            ClientMessage::ClientHello => self.send(cx, index, &ServerMessage::ServerHello),
            ClientMessage::ReceiverVideoConstraints(update) => {
                seat.constraints.update(update, limits.constraints);
                self.want_allocation(index);
                self.has_new_demands = true;
            }
            ClientMessage::LastNChanged(last_n) => {
                seat.constraints.set_last_n(last_n);
                self.want_allocation(index);
            }
            ClientMessage::ReceiverAudioSubscription(mut audio) => {
                audio.bound(limits.constraints);
                self.subscribe(index, audio);
            }
            ClientMessage::SourceVideoType { source, video_type } => {
                self.set_video_type(cx, index, source, video_type);
            }
            ClientMessage::VideoType(video_type) => {
                let source = format!("{}-v0", seat.id);
                self.set_video_type(cx, index, source, video_type);
            }
            ClientMessage::EndpointMessage { to, fields } => self.relay(cx, index, to, fields),
            ClientMessage::EndpointStats { fields } => self.relay_stats(cx, index, fields),
            ClientMessage::Unknown => debug!("a bridge-channel message of an unknown class"),
        }
    }

    fn subscribe(&mut self, index: usize, audio: AudioSubscription) {
        let sources = &self.sources;
        let Some(seat) = self.seats.get_mut(index).and_then(Option::as_deref_mut) else {
            return;
        };
        for (leg, source) in seat.legs.iter_mut().zip(sources) {
            if let (Some(leg), Some(source)) = (leg, source) {
                leg.is_wanted = audio.wants(source.name());
                leg.is_asked_for = audio.names(source.name());
            }
        }
        seat.audio = audio;
        self.note_names();
    }

    /// Who is asked for by name is heard, however many others are louder.
    pub(super) fn note_names(&mut self) {
        let all = self.seats.iter().flatten().map(|seat| &seat.audio);
        let choosy: Vec<&AudioSubscription> = all.filter(|audio| audio.names_any()).collect();
        let is_asked_for = |source: &Option<SourceState>| {
            let source = source.as_ref();
            source.is_some_and(|source| choosy.iter().any(|audio| audio.names(source.name())))
        };
        self.loudest
            .set_asked_for(self.sources.iter().map(is_asked_for));
    }

    /// Only of one's own sources, signalled or still to be.
    fn set_video_type(
        &mut self,
        cx: &mut Cx<'_>,
        index: usize,
        name: String,
        video_type: VideoType,
    ) {
        let own = self.sources_of(index).into_iter().find(|source| {
            self.source(*source)
                .is_some_and(|source| source.name().as_str() == name)
        });
        let Some(seat) = self.seat_mut(index) else {
            return;
        };
        let is_own = name
            .strip_prefix(seat.id.as_str())
            .is_some_and(|rest| rest.starts_with('-'));
        let is_known = seat.video_types.contains_key(&name);
        if is_own && (is_known || seat.video_types.len() < cx.config.limits.sources_per_endpoint) {
            seat.video_types.insert(name, video_type);
        }
        if let Some(Some(source)) = own.and_then(|own| self.sources.get_mut(own)) {
            let before = source.video_type();
            source.told_type = Some(video_type);
            if before != video_type {
                self.allocate_all();
            }
        }
    }

    fn relay(
        &mut self,
        cx: &mut Cx<'_>,
        from: usize,
        to: Option<String>,
        fields: Map<String, Value>,
    ) {
        let Some(sender) = self.seat(from) else {
            return;
        };
        if !sender.may.messages {
            cx.statistics.dropped.forbidden_messages += 1;
            debug!(endpoint = %sender.id, "a message of somebody who may not send any");
            return;
        }
        let message = ServerMessage::Relayed {
            from: sender.id.clone(),
            fields,
        };
        match to {
            None => self.broadcast(cx, &message, |index, _| index != from),
            Some(to) => {
                if let Some(index) = self.seat_named(&to).filter(|index| *index != from) {
                    self.send(cx, index, &message);
                }
            }
        }
    }

    /// In large rooms only to those who see the sender, have asked for it, or hear it. Jitsi's bridge
    /// says of everybody that they are heard while it does not choose the loudest, and so sends all
    /// to all.
    fn relay_stats(&mut self, cx: &mut Cx<'_>, from: usize, fields: Map<String, Value>) {
        let Some(sender) = self.seat(from).map(|seat| seat.id.clone()) else {
            return;
        };
        let message = ServerMessage::Relayed {
            from: sender,
            fields,
        };
        let is_for_all = self.seat_count() <= STATS_FOR_ALL
            || self.speakers.recent().any(|index| index == from)
            || self.loudest.has(from);
        let own = self.sources_of(from);
        let own = own.into_iter().filter_map(|index| {
            let source = self.source(index)?;
            Some((index, source.name().clone()))
        });
        let own: Vec<(usize, SourceName)> = own.collect();
        self.broadcast(cx, &message, |index, seat| {
            let sees = || {
                own.iter().any(|(source, name)| {
                    let leg = seat.legs.get(*source).and_then(Option::as_ref);
                    seat.constraints.names(name) || leg.is_some_and(|leg| leg.asked_height != 0)
                })
            };
            index != from && (is_for_all || sees())
        });
    }
}

const STATS_FOR_ALL: usize = 20;
