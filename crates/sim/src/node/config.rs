use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jid::DomainPart;
use tertulia_bridge::{
    AudioPolicy, Bandwidth, LagPolicy, LoadPolicy, LocalAddress, Timers, VideoPolicy,
};
use tertulia_model::{Hosts, VideoCodec};
use tertulia_stream::{BoshConfig, Limits, Rate};

use crate::sabotage::Sabotage;

/// What a node is made of.
#[derive(Clone)]
pub struct NodeConfig {
    pub stream: Arc<tertulia_stream::Config>,
    pub conference: Arc<tertulia_conference::Config>,
    pub bridge: Arc<tertulia_bridge::Config>,
    /// Seals resumption ids; survives a restart, as the file in the data folder does.
    pub sealing_key: [u8; 32],
    /// How long after its start a node gives guests of its predecessor their names back.
    pub restoration_time: Duration,
    /// Scheme and authority of URLs handed to clients.
    pub websocket_base: String,
    /// Our part of bridge-channel URLs.
    pub server_id: String,
    /// How long what was decided in a meeting is kept after its end.
    pub journal_linger: Duration,
    /// What is broken between the machines of the node, on purpose.
    pub sabotage: Option<Sabotage>,
}

impl NodeConfig {
    /// A server for `localhost` with the usual limits, two media workers, and its media sockets on
    /// `media`.
    pub fn usual(media: SocketAddr) -> NodeConfig {
        let domain = DomainPart::new("localhost")
            .expect("a literal domain")
            .into_owned();
        let server_id = "tertulia-1".to_owned();
        NodeConfig {
            stream: Arc::new(stream()),
            conference: Arc::new(conference(Hosts::new(domain), server_id.clone())),
            bridge: Arc::new(bridge(media)),
            sealing_key: [0x5e; 32],
            restoration_time: Duration::from_secs(600),
            websocket_base: format!("wss://{}:8443", media.ip()),
            server_id,
            journal_linger: Duration::from_secs(600),
            sabotage: None,
        }
    }
}

fn stream() -> tertulia_stream::Config {
    let limits = Limits {
        bytes_max: 256 * 1024,
        depth_max: 32,
        elements_max: 5_000,
        attributes_max: 64,
        namespaces_max: 16,
        name_bytes_max: 256,
        value_bytes_max: 8_192,
        address_bytes_max: 3_100,
    };
    tertulia_stream::Config {
        limits_before_login: Limits {
            bytes_max: 64 * 1024,
            elements_max: 500,
            ..limits.clone()
        },
        limits,
        byte_rate_before_login: Rate {
            per_second: 64 * 1024,
            burst: 64 * 1024,
        },
        byte_rate: Rate {
            per_second: 512 * 1024,
            burst: 2 * 1024 * 1024,
        },
        stanza_rate: Rate {
            per_second: 20,
            burst: 200,
        },
        login_timeout: Duration::from_secs(30),
        lease: Duration::from_secs(60),
        liveness_ping_after: Duration::from_secs(15),
        liveness_timeout: Duration::from_secs(15),
        queue_stanzas_max: 4_096,
        queue_bytes_max: 4 * 1024 * 1024,
        ack_request_after: 5,
        bosh: BoshConfig {
            wait: Duration::from_secs(60),
            pause_after: Duration::from_secs(5),
            polling: Duration::from_secs(5),
        },
    }
}

fn conference(hosts: Hosts, server_id: String) -> tertulia_conference::Config {
    tertulia_conference::Config {
        hosts,
        room: tertulia_room::Config {
            occupants_max: 500,
            history_messages_max: 50,
            history_bytes_max: 256 * 1024,
            name_chars_max: 256,
            has_lobby: true,
        },
        focus: tertulia_focus::Config {
            server_id,
            features_timeout: Duration::from_secs(5),
            accept_timeout: Duration::from_secs(15),
            invitations_max: 3,
            single_participant_timeout: Duration::from_secs(20),
            restart_interval_min: Duration::from_secs(5),
            restarts_per_minute_max: 5,
            retry_interval: Duration::from_secs(1),
            retry_interval_max: Duration::from_secs(30),
            ssrcs_per_participant_max: 20,
            source_delays: [(50, 500), (100, 1_000)]
                .map(|(participants, ms)| (participants, Duration::from_millis(ms)))
                .into(),
            has_ssrc_rewriting: true,
            has_ice_restart: true,
            has_opus_red: false,
            video_codecs: vec![
                VideoCodec::Av1,
                VideoCodec::Vp9,
                VideoCodec::Vp8,
                VideoCodec::H264,
            ],
            audio_senders_max: None,
            video_senders_max: None,
        },
        initial_timeout: Duration::from_secs(15),
        expected_max: 1_000,
        affiliations_max: 1_000,
        rules: tertulia_conference::Rules {
            has_lobby: true,
            has_breakout_rooms: true,
            has_av_moderation: true,
            has_polls: true,
            has_file_sharing: true,
            has_end_conference: true,
            has_speaker_stats: true,
            has_visitors: true,
            visitors_after: None,
            has_auto_owner: true,
            is_everyone_moderator: false,
            has_wait_for_host: false,
            is_display_name_required: false,
            joins_per_second: 1_000,
            joins_waiting_max: 1_000,
            start_audio_muted: None,
            start_video_muted: None,
            wrong_passwords_per_minute: 5,
            lobby_waiting_max: 200,
            breakout_rooms_max: 50,
            polls_max: 128,
            poll_bytes_max: 1_024,
            files_max: 200,
            file_bytes_max: 2_048,
            metadata_keys_max: 64,
            metadata_bytes_max: 16_384,
        },
        owner_patience: Duration::from_secs(60),
        device_key: [7; 32],
        ice_server: None,
    }
}

fn bridge(media: SocketAddr) -> tertulia_bridge::Config {
    tertulia_bridge::Config {
        addresses: vec![LocalAddress {
            address: media,
            public: None,
        }],
        loopback: vec![SocketAddr::from(([127, 0, 0, 1], media.port()))],
        workers: 2,
        limits: tertulia_bridge::Limits {
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
        dtls_timer_seed: Some(fastrand::u64(..)),
    }
}
