//! What tests and benches of this crate share. Included by path where it is needed.

use std::time::Duration;

use crate::{
    AudioPolicy, Bandwidth, Config, LagPolicy, Limits, LoadPolicy, LocalAddress, Timers,
    VideoPolicy,
};

/// The configuration of a server in the documentation network, with the usual defaults.
pub(crate) fn config() -> Config {
    Config {
        addresses: vec![LocalAddress {
            address: "192.0.2.1:10000".parse().unwrap(),
            public: None,
        }],
        loopback: vec!["127.0.0.1:10000".parse().unwrap()],
        workers: 1,
        limits: Limits {
            conferences: 1_000,
            endpoints: 2_000,
            endpoints_per_conference: 500,
            sources_per_endpoint: 20,
            audio_slots: 50,
            video_slots: 50,
            addresses_per_endpoint: 20,
            foreign_addresses: 16_384,
            unknown_checks_per_second: 200,
            unknown_checks_burst: 1_000,
            messages_per_second: 100,
            messages_burst: 500,
            message_bytes: 65_536,
            outbox_messages: 512,
            outbox_bytes: 1_048_576,
            constraints: 500,
        },
        timers: Timers {
            inactive_after: Duration::from_secs(6),
            inactive_after_paused: Duration::from_millis(2_500),
            first_packet: Duration::from_secs(15),
            connect: Duration::from_secs(30),
            consent: Duration::from_secs(60),
            address_idle: Duration::from_secs(30),
            channel_grace: Duration::from_secs(3),
            gather: Duration::from_millis(1),
            pacing_ahead: Duration::from_millis(2),
            retransmission: Duration::from_secs(1),
            allocation: Duration::from_secs(5),
            connection_stats: Duration::from_secs(10),
        },
        bandwidth: Bandwidth {
            is_estimated: true,
            initial_bps: 2_500_000,
            least_bps: 30_000,
            most_bps: 100_000_000,
            retransmission_packets: 512,
            retransmission_bytes: 512 * 1_024,
            retransmission_share: 0.5,
            oversend_bps: 500_000,
        },
        video: VideoPolicy {
            initial_max_height: 0,
            default_max_height: 180,
            without_channel_max_height: 180,
            last_n: None,
            last_n_by_size: Vec::new(),
        },
        audio: AudioPolicy {
            loudest: None,
            loudest_expiry: Duration::from_millis(150),
            is_dominant_heard: true,
            narrow_least: Some(3),
        },
        load: LoadPolicy {
            is_reduced: false,
            threshold: 50_000,
            recovery: 40_000,
            lag: LagPolicy {
                limit: Duration::from_millis(50),
                patience: Duration::from_secs(1),
            },
        },
        dtls_timer_seed: None,
    }
}
