//! `/colibri/stats`: the keys of Jitsi's bridge, by name and unit, for the exporters and dashboards
//! that read them (`jitsi-videobridge/…/stats/VideobridgeStatistics`).
//!
//! What this server does not have is 0: other bridges to relay to, clients of XMPP servers. Bytes
//! and packets are those of UDP datagrams, and count at once instead of when an endpoint leaves.

use serde_json::{Map, Value, json};

use super::monitor::Reading;
use super::{VERSION, monitor, process};
use crate::node::Node;

/// All keys, with the older ones for which there is a value.
pub(crate) fn keys(node: &Node, reading: &Reading) -> Map<String, Value> {
    let mut keys = Map::new();
    let mut put = |name: &str, value: Value| {
        keys.insert(name.to_owned(), value);
    };
    gauges(reading, &mut put);
    counters(reading, &mut put);
    for name in NOT_HERE {
        put(name, json!(0));
    }
    words(node, reading, &mut put);
    former(reading, &mut put);
    keys
}

fn gauges(reading: &Reading, put: &mut impl FnMut(&str, Value)) {
    let figures = &reading.figures;
    let now = Totals::of(reading);
    put("conferences", json!(figures.statistics.conferences));
    put("participants", json!(now.endpoints));
    put("endpoints", json!(now.endpoints));
    put("local_endpoints", json!(now.endpoints));
    put(
        "local_active_endpoints",
        json!(now.endpoints - now.inactive_endpoints),
    );
    put("visitors", json!(figures.visitors));
    put("largest_conference", json!(now.largest));
    put("inactive_conferences", json!(now.inactive));
    put("inactive_endpoints", json!(now.inactive_endpoints));
    put("p2p_conferences", json!(now.peer_to_peer));
    put("receive_only_endpoints", json!(figures.receive_only));
    put("endpoints_sending_audio", json!(figures.sending_audio));
    put("endpoints_sending_video", json!(figures.sending_video));
    put(
        "bit_rate_download",
        json!(whole(reading.rates.bits_in / 1e3)),
    );
    put(
        "bit_rate_upload",
        json!(whole(reading.rates.bits_out / 1e3)),
    );
    put(
        "packet_rate_download",
        json!(whole(reading.rates.packets_in)),
    );
    put(
        "packet_rate_upload",
        json!(whole(reading.rates.packets_out)),
    );
    let incoming = figures.incoming_loss.value();
    let outgoing = figures.outgoing_loss.value();
    put("incoming_loss", json!(incoming));
    put("outgoing_loss", json!(outgoing));
    put("overall_loss", json!(now.loss));
    put(
        "endpoints_with_high_outgoing_loss",
        json!(figures.high_outgoing_loss),
    );
    put("rtt_aggregate", json!(figures.round_trip.value() * 1e3));
    put("num_eps_oversending", json!(figures.oversending));
    put("endpoints_with_suspended_sources", json!(figures.suspended));
    put("stress_level", json!(reading.stress));
    let per_participant = monitor::STRESS_PER_PARTICIPANT;
    put("average_participant_stress", json!(per_participant));
    put("threads", json!(reading.process.threads));
}

fn counters(reading: &Reading, put: &mut impl FnMut(&str, Value)) {
    let counted = &reading.figures.statistics;
    for (name, value) in [
        ("total_conferences_created", counted.conferences_created),
        ("total_conferences_completed", counted.conferences_completed),
        (
            "total_conference_seconds",
            counted.conference_milliseconds / 1_000,
        ),
        ("total_participants", counted.endpoints_created),
        ("total_visitors", counted.visitors_created),
        (
            "num_eps_no_msg_transport_after_delay",
            counted.without_channel,
        ),
        ("total_keyframes_received", counted.keyframes_received),
        ("total_layering_changes_received", counted.layering_changes),
        (
            "total_video_stream_milliseconds_received",
            counted.video_milliseconds,
        ),
        (
            "total_data_channel_messages_received",
            counted.data_channel_messages_in,
        ),
        (
            "total_data_channel_messages_sent",
            counted.data_channel_messages_out,
        ),
        (
            "total_colibri_web_socket_messages_received",
            counted.websocket_messages_in,
        ),
        (
            "total_colibri_web_socket_messages_sent",
            counted.websocket_messages_out,
        ),
        ("total_bytes_received", counted.bytes_in),
        ("total_bytes_sent", counted.bytes_out),
        ("total_packets_received", counted.packets_in),
        ("total_packets_sent", counted.packets_out),
        ("total_dominant_speaker_changes", counted.speaker_changes),
        ("endpoints_ice_failed", counted.ice_failed),
        ("total_ice_failed", counted.ice_failed),
        ("dtls_failed_endpoints", counted.dtls_failed),
        // Without ICE there is no handshake that could fail.
        (
            "total_ice_succeeded",
            counted.endpoints_connected + counted.dtls_failed,
        ),
        ("endpoints_disconnected", counted.endpoints_disconnected),
        ("endpoints_reconnected", counted.endpoints_reconnected),
    ] {
        put(name, json!(value));
    }
}

fn words(node: &Node, reading: &Reading, put: &mut impl FnMut(&str, Value)) {
    let status = reading.status(node);
    use tertulia_model::BridgeLife::{GracefulShutdown, ShuttingDown};
    put("healthy", json!(status.fault.is_none()));
    put("graceful_shutdown", json!(status.life >= GracefulShutdown));
    put("shutting_down", json!(status.life == ShuttingDown));
    // COMPAT(jicofo): it takes a bridge that does not say so for one that drains.
    put("drain", json!(status.is_draining));
    put("version", json!(VERSION));
    put("release", json!("tertulia"));
    let region = node.web.client.region.as_deref();
    put("region", json!(region.unwrap_or_default()));
    put("relay_id", json!(""));
    let now = reading.wall.format("%Y-%m-%d %H:%M:%S%.3f");
    put("current_timestamp", json!(now.to_string()));
}

/// Keys that Jitsi's bridge has given up and older dashboards show.
fn former(reading: &Reading, put: &mut impl FnMut(&str, Value)) {
    let process::Process {
        resident_bytes,
        memory_bytes,
        ..
    } = reading.process;
    put("conference_sizes", json!(conference_sizes(reading)));
    put(
        "loss_rate_download",
        json!(reading.figures.incoming_loss.value()),
    );
    put(
        "loss_rate_upload",
        json!(reading.figures.outgoing_loss.value()),
    );
    put("videostreams", json!(reading.figures.video_streams));
    put("cpu_usage", json!(reading.rates.process_share));
    put("used_memory", json!(resident_bytes >> 20));
    put("total_memory", json!(memory_bytes >> 20));
}

/// How many conferences have so many endpoints; the last place is for more.
fn conference_sizes(reading: &Reading) -> Vec<u64> {
    let mut sizes = vec![0; SIZES];
    for conference in &reading.figures.conferences {
        let size = usize::try_from(conference.endpoints).unwrap_or(SIZES);
        if let Some(count) = sizes.get_mut(size.min(SIZES - 1)) {
            *count += 1;
        }
    }
    sizes
}

/// What follows from the conferences one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) endpoints: u64,
    pub(crate) largest: u64,
    /// Conferences in which nobody sends anything to the bridge.
    pub(crate) inactive: u64,
    pub(crate) inactive_endpoints: u64,
    /// Those among them with two endpoints, which talk directly most likely.
    pub(crate) peer_to_peer: u64,
    /// Of both directions.
    pub(crate) loss: f64,
}

impl Totals {
    pub(crate) fn of(reading: &Reading) -> Totals {
        let figures = &reading.figures;
        let loss = figures.incoming_loss.with(figures.outgoing_loss);
        let mut totals = Totals {
            loss: loss.value(),
            ..Totals::default()
        };
        for conference in &figures.conferences {
            totals.endpoints += conference.endpoints;
            totals.largest = totals.largest.max(conference.endpoints);
            if conference.is_inactive() {
                totals.inactive += 1;
                totals.inactive_endpoints += conference.endpoints;
                totals.peer_to_peer += u64::from(conference.endpoints == 2);
            }
        }
        totals
    }
}

fn whole(value: f64) -> u64 {
    value.round() as u64
}

const SIZES: usize = 22;

/// Relays between bridges, brewery rooms, requests ahead of a change of speaker, relayed ICE, and
/// two oddities of congestion control that the transport does not tell of.
const NOT_HERE: [&str; 26] = [
    "octo_conferences",
    "octo_endpoints",
    "octo_receive_bitrate",
    "octo_send_bitrate",
    "octo_receive_packet_rate",
    "octo_send_packet_rate",
    "total_relays",
    "num_relays_no_msg_transport_after_delay",
    "total_bytes_received_octo",
    "total_bytes_sent_octo",
    "total_packets_received_octo",
    "total_packets_sent_octo",
    "relays_ice_failed",
    "dtls_failed_relays",
    "muc_clients_configured",
    "muc_clients_connected",
    "mucs_configured",
    "mucs_joined",
    "preemptive_kfr_sent",
    "preemptive_kfr_suppressed",
    "total_ice_succeeded_relayed",
    "tcc_unmatched_feedback",
    "endpoints_with_spurious_remb",
    "total_tcp_connections",
    "total_failed_conferences",
    "total_partially_failed_conferences",
];
