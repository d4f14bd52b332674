//! What a worker counts. Read on demand, never pushed.

use std::ops::AddAssign;

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
    /// Key frames asked of senders.
    pub keyframe_requests: u64,
    /// Endpoints whose machine failed.
    pub endpoint_failures: u64,
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
    /// Connectivity checks of strangers above the limit.
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
    /// Video packets without content.
    pub padding: u64,
    /// Bridge-channel messages that were malformed.
    pub malformed_messages: u64,
    /// Bridge-channel messages above the limit.
    pub message_limit: u64,
    /// Bridge-channel messages for others of a sender that may not send any now.
    pub forbidden_messages: u64,
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
