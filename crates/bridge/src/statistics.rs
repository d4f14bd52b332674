//! What a worker counts. Read on demand, never pushed.

use std::ops::AddAssign;

use tertulia_model::BridgeEvent;
use tertulia_model::bridge::DisconnectReason;

use crate::Output;
use crate::metrics::MetricKind;

/// A reading of one worker's counters and sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Conferences now.
    pub conferences: u64,
    /// Endpoints now.
    pub endpoints: u64,
    /// Signalled sources of all conferences now.
    pub sources: u64,
    /// Remote addresses that belong to endpoints now.
    pub addresses: u64,
    /// Remote addresses known to belong to other workers now.
    pub foreign_addresses: u64,
    /// Running timers now.
    pub timers: u64,
    /// Open bridge channels by WebSocket now.
    pub channels: u64,
    /// Datagrams taken in.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams handed out.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// RTP packets written to receivers.
    pub forwarded: u64,
    /// System calls that datagrams were sent by.
    pub send_calls: u64,
    /// Key frames asked of senders.
    pub keyframe_requests: u64,
    /// Endpoints whose machine failed.
    pub endpoint_failures: u64,
    /// Conferences that were made.
    pub conferences_created: u64,
    /// Conferences that are over.
    pub conferences_completed: u64,
    /// How long all of them took together.
    pub conference_milliseconds: u64,
    /// Endpoints that were allocated.
    pub endpoints_created: u64,
    /// Endpoints that were found to be visitors.
    pub visitors_created: u64,
    /// Endpoints whose ICE and DTLS came up.
    pub endpoints_connected: u64,
    /// Endpoints to which no connectivity check ever succeeded.
    pub ice_failed: u64,
    /// Endpoints whose DTLS handshake failed.
    pub dtls_failed: u64,
    /// Endpoints that fell silent for so long that the others were told.
    pub endpoints_disconnected: u64,
    /// Endpoints that came back after that.
    pub endpoints_reconnected: u64,
    /// Endpoints that had no bridge channel 30 seconds after they connected.
    pub without_channel: u64,
    /// ICE restarts that were offered.
    pub ice_restarts: u64,
    /// Changes of the dominant speaker.
    pub speaker_changes: u64,
    /// Key frames that arrived, each encoding by itself.
    pub keyframes_received: u64,
    /// Changes of what layers a source sends.
    pub layering_changes: u64,
    /// How long video streams were active, each SSRC by itself.
    pub video_milliseconds: u64,
    /// Bridge-channel messages that arrived by data channel.
    pub data_channel_messages_in: u64,
    /// Bridge-channel messages that left by data channel.
    pub data_channel_messages_out: u64,
    /// Bridge-channel messages that arrived by WebSocket.
    pub websocket_messages_in: u64,
    /// Bridge-channel messages that left by WebSocket.
    pub websocket_messages_out: u64,
    /// What was not used, by reason.
    pub dropped: Dropped,
}

/// Datagrams, packets and messages that were not used, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// From an address that no endpoint has shown to be its own.
    pub unknown_source: u64,
    /// A connectivity check for nobody here, or with a wrong signature.
    pub unknown_check: u64,
    /// Connectivity checks of strangers above the limit, and media that comes from an unknown
    /// address but names an SSRC that is known.
    pub check_limit: u64,
    /// Neither STUN nor DTLS nor RTP.
    pub garbage: u64,
    /// More addresses than an endpoint may have.
    pub address_limit: u64,
    /// RTP of an SSRC that is not signalled, or that could not be decrypted.
    pub unused_rtp: u64,
    /// Media that the sender may not send now.
    pub not_allowed: u64,
    /// Audio without sound.
    pub silence: u64,
    /// Audio of somebody who is not among the loudest.
    pub not_loud: u64,
    /// Video packets without content.
    pub padding: u64,
    /// Video packets that came while the worker did not keep up.
    pub behind: u64,
    /// Datagrams that the system took no more of.
    pub unsent: u64,
    /// Bridge-channel messages that were malformed.
    pub malformed_messages: u64,
    /// Bridge-channel messages above the limit.
    pub message_limit: u64,
    /// Bridge-channel messages for others of a sender that may not send any now.
    pub forbidden_messages: u64,
}

impl Statistics {
    /// Only what never shrinks.
    pub fn counters(mut self) -> Statistics {
        for metric in crate::metrics::METRICS {
            if metric.kind == MetricKind::Gauge {
                *(metric.field)(&mut self) = 0;
            }
        }
        self
    }

    /// Counts what a worker wants of the world.
    pub(crate) fn note_output(&mut self, output: &Output) {
        match output {
            Output::ChannelText { .. } => self.websocket_messages_out += 1,
            Output::ChannelClose { .. } => {}
            Output::Event { event, .. } => match event {
                BridgeEvent::Allocated { .. } => self.endpoints_created += 1,
                BridgeEvent::Connected { .. } => self.endpoints_connected += 1,
                BridgeEvent::IceRestarted { .. } => self.ice_restarts += 1,
                BridgeEvent::DominantSpeaker { endpoint: Some(_) } => self.speaker_changes += 1,
                BridgeEvent::Activity { is_active, .. } => {
                    *(if *is_active {
                        &mut self.endpoints_reconnected
                    } else {
                        &mut self.endpoints_disconnected
                    }) += 1;
                }
                BridgeEvent::DominantSpeaker { endpoint: None }
                | BridgeEvent::AllocationFailed { .. }
                | BridgeEvent::Disconnected { .. }
                | BridgeEvent::Failed => {}
            },
        }
    }

    /// Counts a transport that is gone. One that was up before has only ended.
    pub(crate) fn note_loss(&mut self, reason: DisconnectReason, was_connected: bool) {
        match reason {
            DisconnectReason::Internal => self.endpoint_failures += 1,
            DisconnectReason::IceFailed if !was_connected => self.ice_failed += 1,
            DisconnectReason::DtlsFailed if !was_connected => self.dtls_failed += 1,
            DisconnectReason::IceFailed | DisconnectReason::DtlsFailed => {}
        }
    }
}

impl AddAssign for Statistics {
    fn add_assign(&mut self, other: Statistics) {
        for metric in crate::metrics::METRICS {
            *(metric.field)(self) += metric.read(&other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up() {
        let mut sum = Statistics {
            packets_in: 1,
            ..Statistics::default()
        };
        sum += Statistics {
            packets_in: 2,
            dropped: Dropped {
                silence: 3,
                ..Dropped::default()
            },
            ..Statistics::default()
        };
        assert_eq!((sum.packets_in, sum.dropped.silence), (3, 3));
    }
}
