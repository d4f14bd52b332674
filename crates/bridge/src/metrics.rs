//! Name, kind and meaning of everything that the bridge counts.

use crate::statistics::Statistics;

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One figure of [`Statistics`] as it is shown to the world.
pub struct Metric {
    /// Prometheus name; counters end with their unit and `_total`.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// One sentence.
    pub help: &'static str,
    pub(crate) field: fn(&mut Statistics) -> &mut u64,
}

impl Metric {
    /// Its value in a reading.
    pub fn read(&self, statistics: &Statistics) -> u64 {
        let mut copy = *statistics;
        *(self.field)(&mut copy)
    }
}

macro_rules! metrics {
    ($($kind:ident $name:literal $($field:ident).+ $help:literal;)*) => {
        /// All metrics of the bridge.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: MetricKind::$kind,
            help: $help,
            field: |statistics| &mut statistics.$($field).+,
        }),*];
    };
}

metrics! {
    Gauge "bridge_conferences" conferences "Conferences on the bridge.";
    Gauge "bridge_endpoints" endpoints "Endpoints on the bridge.";
    Gauge "bridge_sources" sources "Signalled audio and video sources.";
    Gauge "bridge_addresses" addresses "Remote addresses that belong to endpoints.";
    Gauge "bridge_foreign_addresses" foreign_addresses "Remote addresses of other workers' endpoints.";
    Gauge "bridge_timers" timers "Running timers.";
    Gauge "bridge_channels" channels "Open bridge channels by WebSocket.";
    Counter "bridge_packets_in_total" packets_in "Datagrams taken in.";
    Counter "bridge_bytes_in_total" bytes_in "Bytes of datagrams taken in.";
    Counter "bridge_packets_out_total" packets_out "Datagrams handed out.";
    Counter "bridge_bytes_out_total" bytes_out "Bytes of datagrams handed out.";
    Counter "bridge_forwarded_packets_total" forwarded "RTP packets written to receivers.";
    Counter "bridge_send_calls_total" send_calls "System calls that datagrams were sent by.";
    Counter "bridge_keyframe_requests_total" keyframe_requests "Key frames asked of senders.";
    Counter "bridge_endpoint_failures_total" endpoint_failures "Endpoints whose machine failed; each is a fault of ours.";
    Counter "bridge_conferences_created_total" conferences_created "Conferences that were made.";
    Counter "bridge_conferences_completed_total" conferences_completed "Conferences that are over.";
    Counter "bridge_conference_milliseconds_total" conference_milliseconds "How long all conferences took together, those that go on included.";
    Counter "bridge_endpoints_created_total" endpoints_created "Endpoints that were allocated.";
    Counter "bridge_visitors_created_total" visitors_created "Endpoints that were found to be visitors.";
    Counter "bridge_endpoints_connected_total" endpoints_connected "Endpoints whose ICE and DTLS came up.";
    Counter "bridge_ice_failed_total" ice_failed "Endpoints to which no connectivity check ever succeeded.";
    Counter "bridge_dtls_failed_total" dtls_failed "Endpoints whose DTLS handshake failed.";
    Counter "bridge_endpoints_disconnected_total" endpoints_disconnected "Endpoints that fell silent for so long that the others were told.";
    Counter "bridge_endpoints_reconnected_total" endpoints_reconnected "Endpoints that came back after that.";
    Counter "bridge_endpoints_without_channel_total" without_channel "Endpoints that had no bridge channel 30 seconds after they connected.";
    Counter "bridge_ice_restarts_total" ice_restarts "ICE restarts that were offered.";
    Counter "bridge_speaker_changes_total" speaker_changes "Changes of the dominant speaker.";
    Counter "bridge_keyframes_received_total" keyframes_received "Key frames that arrived, each encoding by itself.";
    Counter "bridge_layering_changes_total" layering_changes "Changes of what layers a source sends.";
    Counter "bridge_video_milliseconds_total" video_milliseconds "How long video streams were active, each SSRC by itself.";
    Counter "bridge_data_channel_messages_in_total" data_channel_messages_in "Bridge-channel messages that arrived by data channel.";
    Counter "bridge_data_channel_messages_out_total" data_channel_messages_out "Bridge-channel messages that left by data channel.";
    Counter "bridge_websocket_messages_in_total" websocket_messages_in "Bridge-channel messages that arrived by WebSocket.";
    Counter "bridge_websocket_messages_out_total" websocket_messages_out "Bridge-channel messages that left by WebSocket.";
    Counter "bridge_dropped_unknown_source_total" dropped.unknown_source "Datagrams from addresses that no endpoint has shown to be its own.";
    Counter "bridge_dropped_unknown_check_total" dropped.unknown_check "Connectivity checks for nobody here or with a wrong signature.";
    Counter "bridge_dropped_check_limit_total" dropped.check_limit "Connectivity checks and media of strangers above the limit.";
    Counter "bridge_dropped_garbage_total" dropped.garbage "Datagrams that are neither STUN nor DTLS nor RTP.";
    Counter "bridge_dropped_address_limit_total" dropped.address_limit "Addresses above the limit of an endpoint.";
    Counter "bridge_dropped_unused_rtp_total" dropped.unused_rtp "RTP that is not signalled or could not be decrypted.";
    Counter "bridge_dropped_not_allowed_total" dropped.not_allowed "RTP packets of media that the sender may not send.";
    Counter "bridge_dropped_silence_total" dropped.silence "Audio packets without sound.";
    Counter "bridge_dropped_not_loud_total" dropped.not_loud "Audio packets of others than the loudest.";
    Counter "bridge_dropped_padding_total" dropped.padding "Video packets without content.";
    Counter "bridge_dropped_behind_total" dropped.behind "Video packets that came while the media thread did not keep up.";
    Counter "bridge_dropped_unsent_total" dropped.unsent "Datagrams that the system took no more of.";
    Counter "bridge_dropped_malformed_messages_total" dropped.malformed_messages "Bridge-channel messages that were malformed.";
    Counter "bridge_dropped_message_limit_total" dropped.message_limit "Bridge-channel messages above the limit.";
    Counter "bridge_dropped_forbidden_messages_total" dropped.forbidden_messages "Bridge-channel messages of participants that may not send any.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_tell_their_kind() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let is_total = metric.name.ends_with("_total");
            assert_eq!(
                is_total,
                metric.kind == MetricKind::Counter,
                "{}",
                metric.name
            );
        }
        let size = size_of::<Statistics>() / size_of::<u64>();
        assert_eq!(METRICS.len(), size, "every field is shown");
    }
}
