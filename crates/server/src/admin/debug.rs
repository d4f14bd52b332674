//! `/debug`: the conferences on the bridge with all that is known of them, as JSON for people and
//! for the shell. Its form may change with any version.

use serde_json::{Map, Value, json};
use tertulia_bridge::{
    ChannelKind, ConferenceDetail, EndpointDetail, EndpointState, LayerDetail, Path,
    ReceptionDetail, SourceDetail, StreamDetail,
};
use tertulia_model::{MediaType, VideoType};

use super::monitor::{self, Reading};
use crate::node::Node;

/// Everything, around what is shown of the conferences.
pub(crate) fn node(node: &Node, reading: &Reading, conferences: Map<String, Value>) -> Value {
    let status = reading.status(node);
    let addresses: Vec<Value> = node
        .media_addresses
        .borrow()
        .iter()
        .map(|local| {
            json!({
                "address": local.address.to_string(),
                "public": local.public.map(|public| public.to_string()),
            })
        })
        .collect();
    let workers: Vec<Value> = reading
        .workers
        .iter()
        .map(|worker| {
            json!({
                "up": worker.is_up,
                "busy": worker.busy_share,
                "conferences": worker.statistics.conferences,
                "endpoints": worker.statistics.endpoints,
            })
        })
        .collect();
    json!({
        "shutdown_state": status.life.as_str(),
        "drain": status.is_draining,
        "time": reading.wall.timestamp_millis(),
        "load_management": {
            "stress": status.stress,
            "overloaded": status.is_overloaded(),
            "workers": workers,
        },
        "addresses": addresses,
        "health": {
            "success": status.fault.is_none(),
            "message": status.fault.map(|fault| fault.to_string()),
        },
        "conferences": conferences,
    })
}

/// One conference. Unless it `is_full`, endpoints are only named with their state.
pub(crate) async fn conference(node: &Node, detail: &ConferenceDetail, is_full: bool) -> Value {
    let mut endpoints = Map::new();
    for one in &detail.endpoints {
        // One after the other, so that the media thread gets to its packets between two of them.
        let known = if is_full {
            monitor::endpoint(node, &detail.id, &one.id).await
        } else {
            None
        };
        let shown = match known {
            Some(known) => endpoint(&known),
            None => json!({ "state": state(one.state), "active": one.is_active }),
        };
        endpoints.insert(one.id.to_string(), shown);
    }
    let living = node.router.conferences();
    let room = living.iter().find(|living| living.id == detail.id);
    json!({
        // Breakout rooms have conferences of their own on the bridge, and no name there.
        "name": room.map(|room| room.room.to_string()),
        "meeting_id": detail.id.to_string(),
        "age_seconds": detail.age.as_secs(),
        "dominant_speaker": detail.dominant_speaker.as_ref().map(ToString::to_string),
        "endpoints": endpoints,
    })
}

/// One endpoint.
pub(crate) fn endpoint(detail: &EndpointDetail) -> Value {
    let addresses: Vec<Value> = detail
        .addresses
        .iter()
        .map(|(address, quiet)| {
            json!({ "address": address.to_string(), "quiet_ms": quiet.as_millis() as u64 })
        })
        .collect();
    let (offer, may) = (&detail.offer, &detail.may);
    json!({
        "id": detail.id.to_string(),
        "state": state(detail.state),
        "active": detail.is_active,
        "signalling_lost": detail.is_paused,
        "age_seconds": detail.age.as_secs(),
        "quiet_ms": detail.quiet_for.map(|quiet| quiet.as_millis() as u64),
        "addresses": addresses,
        "path": path(&detail.path),
        "channel": detail.channel.map(|channel| match channel {
            ChannelKind::DataChannel => "data-channel",
            ChannelKind::WebSocket => "websocket",
        }),
        "messages_waiting": detail.messages_waiting,
        "offered": {
            "rtx": offer.has_rtx,
            "red": offer.has_red,
            "transport_cc": offer.has_transport_cc,
            "data_channel": offer.has_data_channel,
            "ssrc_rewriting": offer.has_ssrc_rewriting,
        },
        "may": {
            "audio": may.audio,
            "camera": may.camera,
            "screen": may.screen,
            "messages": may.messages,
        },
        "bandwidth": {
            "estimate_bps": detail.estimate_bps,
            "divided_bps": detail.divided_bps,
            "resting": detail.is_resting,
        },
        "wants": detail.wants,
        "streams": detail.streams.iter().map(stream).collect::<Vec<_>>(),
        "sources": detail.sources.iter().map(source).collect::<Vec<_>>(),
        "receives": detail.receives.iter().map(reception).collect::<Vec<_>>(),
    })
}

fn state(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Invited => "invited",
        EndpointState::Connecting => "connecting",
        EndpointState::Connected => "connected",
        EndpointState::Lost => "lost",
    }
}

fn path(path: &Path) -> Value {
    json!({
        "local": path.local.map(|address| address.to_string()),
        "remote": path.remote.map(|address| address.to_string()),
        "round_trip_ms": path.round_trip.map(|time| time.as_secs_f64() * 1e3),
        "incoming_loss": path.incoming_loss,
        "outgoing_loss": path.outgoing_loss,
        "bytes_in": path.bytes_in,
        "bytes_out": path.bytes_out,
    })
}

fn stream(stream: &StreamDetail) -> Value {
    json!({
        "ssrc": stream.ssrc.0,
        "media": media(stream.media),
        "packets": stream.packets,
        "bytes": stream.bytes,
        "quiet_ms": stream.quiet_for.as_millis() as u64,
    })
}

fn source(source: &SourceDetail) -> Value {
    json!({
        "name": source.name.to_string(),
        "media": media(source.media),
        "video_type": match (source.media, source.video_type) {
            (MediaType::Audio, _) => None,
            (MediaType::Video, VideoType::Camera) => Some("camera"),
            (MediaType::Video, VideoType::Desktop) => Some("desktop"),
            (MediaType::Video, VideoType::None) => Some("none"),
        },
        "told_height": source.told_height,
        "layers": source.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn layer(layer: &LayerDetail) -> Value {
    json!({
        "encoding": layer.encoding,
        "temporal": layer.temporal,
        "height": layer.height,
        "fps": layer.fps,
        "bitrate_bps": layer.bitrate_bps,
        "active": layer.is_active,
    })
}

fn reception(reception: &ReceptionDetail) -> Value {
    json!({
        "source": reception.source.to_string(),
        "ssrc": reception.ssrc.map(|ssrc| ssrc.0),
        "slot": reception.slot,
        "asked_height": reception.asked_height,
        "target": reception.target,
        "encoding": reception.encoding,
    })
}

fn media(media: MediaType) -> &'static str {
    match media {
        MediaType::Audio => "audio",
        MediaType::Video => "video",
    }
}
