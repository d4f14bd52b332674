//! From keys to the `Config` of each crate.

use std::net::{IpAddr, SocketAddr};

use tertulia_conference as conference;
use tertulia_model::Hosts;
use tertulia_model::jid::DomainPart;
use tertulia_server::{
    AdminConfig, CertificateFiles, ClientConfig, Config, JournalConfig, Limits, MediaConfig,
    Origins, PublicUrl, WebConfig,
};
use tertulia_stream as stream;

use crate::bridge::bridge;
use crate::meeting;
use crate::mistake::Mistake;
use crate::reader::Reader;
use crate::turn::turn;
use crate::values::{
    MANY, json, list, optional, parsed, path, source, source_delay, stun_server, video_codec, word,
};

/// A checked configuration.
pub struct Settings {
    pub server: Config,
    pub log: LogSettings,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Levels, in the words of `tracing`'s filters.
    pub filter: String,
    pub format: LogFormat,
    /// Names, addresses and chat in clear.
    pub is_private_shown: bool,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Builds everything; mistakes stay in the reader.
pub(crate) fn read(keys: &mut Reader) -> Settings {
    let hosts = keys.hosts("domain");
    let log = LogSettings {
        filter: keys.text("log.filter"),
        format: keys.read("log.format", "text or json", |value| {
            match value.as_str()? {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            }
        }),
        is_private_shown: keys.flag("log.private"),
    };
    let conference = conference(keys, &hosts);
    let server = Config {
        data: keys.read("data", "the path of a folder", path),
        web: web(keys, &conference),
        admin: AdminConfig {
            listen: keys.read("admin.listen", ADDRESSES, list(parsed::<SocketAddr>)),
            is_chosen: keys.is_set("admin.listen"),
            may_shut_down: keys.flag("admin.shutdown"),
            connections_max: keys.count("limits.admin_connections"),
        },
        media: media(keys),
        turn: turn(keys),
        limits: limits(keys),
        journal: JournalConfig {
            linger: keys.duration("room.journal_linger"),
            keys_max: keys.count("limits.journal_keys"),
            bytes_max: keys.bytes("limits.journal"),
        },
        stream: stream(keys),
        conference,
        bridge: bridge(keys),
        hosts,
    };
    Settings { server, log }
}

fn web(keys: &mut Reader, conference: &conference::Config) -> WebConfig {
    let certificate = keys.read("web.certificate", "the path of a PEM file", optional(path));
    let key = keys.read("web.key", "the path of a PEM file", optional(path));
    let certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
        (None, None) => None,
        _ => {
            keys.add_mistake(Mistake::Together(
                "web.certificate (--cert) and web.key (--key) belong together; one is missing",
            ));
            None
        }
    };
    let origins = keys.read(
        "web.origins",
        "a list of https://host[:port], or [\"*\"]",
        list(|value| {
            let text = value.as_str()?;
            (text == "*" || text.parse::<PublicUrl>().is_ok()).then(|| text.to_owned())
        }),
    );
    let origins = if origins.iter().any(|one| one == "*") {
        Origins::Any
    } else {
        Origins::Listed(origins)
    };
    WebConfig {
        listen: keys.read("web.listen", ADDRESSES, list(parsed::<SocketAddr>)),
        listen_plain: keys.read("web.listen_plain", ADDRESSES, list(parsed::<SocketAddr>)),
        certificate,
        public_url: keys.read(
            "web.public_url",
            "https://host[:port] without a path",
            optional(parsed::<PublicUrl>),
        ),
        names: keys.read(
            "web.names",
            "a list of host names",
            list(|value| {
                DomainPart::new(value.as_str()?)
                    .ok()
                    .map(|name| name.to_string())
            }),
        ),
        origins,
        frame_ancestors: keys.read("web.frame_ancestors", SOURCES, list(source)),
        app: keys.read("web.app", "the path of a folder", optional(path)),
        app_sources: keys.read("web.app_sources", SOURCES, list(source)),
        client: client(keys, conference),
    }
}

fn client(keys: &mut Reader, conference: &conference::Config) -> ClientConfig {
    let (rules, focus) = (&conference.rules, &conference.focus);
    let label = "a word of letters, digits, '-', '_' and '.'";
    let table = "a table";
    ClientConfig {
        has_prejoin: keys.flag("web.prejoin"),
        has_http_conference_request: keys.flag("web.conference_request"),
        shard: keys.read("web.shard", label, optional(word)),
        region: keys.read("web.region", label, optional(word)),
        has_peer_to_peer: keys.flag("media.peer_to_peer"),
        stun_servers: keys.read(
            "media.stun_servers",
            "a list of stun:host:port",
            list(stun_server),
        ),
        video_codecs: focus.video_codecs.clone(),
        has_ssrc_rewriting: focus.has_ssrc_rewriting,
        has_ice_restart: focus.has_ice_restart,
        start_audio_muted: rules.start_audio_muted,
        start_video_muted: rules.start_video_muted,
        has_lobby: rules.has_lobby,
        has_breakout_rooms: rules.has_breakout_rooms,
        has_polls: rules.has_polls,
        has_speaker_stats: rules.has_speaker_stats,
        is_display_name_required: rules.is_display_name_required,
        further: keys.read("web.client", table, |value| value.as_table().and_then(json)),
        further_interface: keys.read("web.interface", table, |value| {
            value.as_table().and_then(json)
        }),
    }
}

fn media(keys: &mut Reader) -> MediaConfig {
    MediaConfig {
        port: keys.number("bridge.port", 0, 65_535),
        workers: Some(keys.number("bridge.workers", 0, 256)).filter(|workers| *workers > 0),
        external: keys.read(
            "bridge.external_addresses",
            "a list of IP addresses",
            list(parsed::<IpAddr>),
        ),
        stun_servers: keys.read(
            "bridge.stun_servers",
            "a list of stun:host:port",
            list(stun_server),
        ),
        stun_interval: keys.interval("bridge.stun_interval"),
        addresses_interval: keys.interval("bridge.addresses_interval"),
        busy_max: f64::from(keys.number::<u8>("bridge.busy_percent", 1, 100)) / 100.0,
        socket_buffer_bytes: keys.bytes("bridge.socket_buffer"),
    }
}

fn limits(keys: &mut Reader) -> Limits {
    Limits {
        unauthenticated_connections: keys.count("limits.unauthenticated_connections"),
        unauthenticated_connections_per_address: keys
            .count("limits.unauthenticated_connections_per_address"),
        new_connections_per_second: keys.number("limits.new_connections_per_second", 1, MANY),
        conference_stanzas: keys.count("limits.conference_stanzas"),
        conference_wait: keys.duration("limits.conference_wait"),
        all_session_bytes: keys.bytes("limits.all_session_bytes"),
        new_rooms_per_minute: keys.number("limits.new_rooms_per_minute", 1, MANY),
        restoration: keys.duration("session.restoration"),
        http_body_bytes: keys.bytes("limits.http_body"),
        channel_message_bytes: keys.bytes("limits.channel_message"),
        channel_messages: keys.count("limits.channel_messages"),
    }
}

fn stream(keys: &mut Reader) -> stream::Config {
    let limits = stream::Limits {
        bytes_max: keys.bytes("limits.stanza"),
        depth_max: keys.number("limits.stanza_depth", 4, 256),
        elements_max: keys.count("limits.stanza_elements"),
        attributes_max: keys.count("limits.stanza_attributes"),
        namespaces_max: 16,
        name_bytes_max: 256,
        value_bytes_max: 8_192,
        // A JID has at most 3 × 1023 bytes and two separators.
        address_bytes_max: 3_100,
    };
    let before_login = stream::Limits {
        bytes_max: keys.bytes("limits.login_stanza"),
        elements_max: limits.elements_max.min(500),
        ..limits.clone()
    };
    let login_rate = keys.bytes_per_second("limits.login_bytes_per_second");
    stream::Config {
        byte_rate_before_login: stream::Rate {
            per_second: login_rate,
            // One largest stanza and a little.
            burst: login_rate.max(u32::try_from(before_login.bytes_max).unwrap_or(u32::MAX)),
        },
        limits_before_login: before_login,
        limits,
        byte_rate: stream::Rate {
            per_second: keys.bytes_per_second("limits.bytes_per_second"),
            burst: keys.bytes_per_second("limits.bytes_burst"),
        },
        stanza_rate: stream::Rate {
            per_second: keys.number("limits.stanzas_per_second", 1, MANY),
            burst: keys.number("limits.stanzas_burst", 1, MANY),
        },
        login_timeout: keys.duration("session.login_timeout"),
        lease: keys.duration("session.lease"),
        liveness_ping_after: keys.duration("session.ping_after"),
        liveness_timeout: keys.duration("session.ping_timeout"),
        queue_stanzas_max: keys.count("limits.session_stanzas"),
        queue_bytes_max: keys.bytes("limits.session_bytes"),
        ack_request_after: keys.count("session.ack_request_after"),
        bosh: stream::BoshConfig {
            wait: keys.duration("session.bosh_wait"),
            pause_after: keys.duration("session.bosh_pause_after"),
            polling: keys.duration("session.bosh_polling"),
        },
    }
}

fn conference(keys: &mut Reader, hosts: &Hosts) -> conference::Config {
    let rules = meeting::rules(keys);
    conference::Config {
        hosts: hosts.clone(),
        room: tertulia_room::Config {
            occupants_max: keys.count("room.occupants"),
            history_messages_max: keys.number("room.history_messages", 0, MANY),
            history_bytes_max: keys.bytes("room.history_bytes"),
            name_chars_max: keys.count("room.name_characters"),
            has_lobby: rules.has_lobby,
        },
        focus: tertulia_focus::Config {
            // Drawn by the server at each start.
            server_id: String::new(),
            features_timeout: keys.duration("room.features_timeout"),
            accept_timeout: keys.duration("room.accept_timeout"),
            invitations_max: keys.number("room.invitations", 1, MANY),
            single_participant_timeout: keys.duration("room.single_participant_timeout"),
            restart_interval_min: keys.duration("room.restart_interval"),
            restarts_per_minute_max: keys.number("room.restarts_per_minute", 1, MANY),
            retry_interval: keys.duration("room.retry_interval"),
            retry_interval_max: keys.duration("room.retry_interval_max"),
            ssrcs_per_participant_max: keys.count("room.ssrcs_per_participant"),
            source_delays: keys
                .read(
                    "room.source_delays",
                    "a list such as [\"50: 500 ms\"]: participants, and how long",
                    list(source_delay),
                )
                .into_iter()
                .collect(),
            has_ssrc_rewriting: keys.flag("media.ssrc_rewriting"),
            has_ice_restart: keys.flag("media.ice_restart"),
            has_opus_red: keys.flag("media.opus_red"),
            video_codecs: keys.read(
                "media.codecs",
                "a list of some of AV1, VP9, VP8 and H264",
                |value| {
                    let codecs = list(video_codec)(value)?;
                    let twice = |(n, codec)| codecs.iter().take(n).any(|other| other == codec);
                    let is_sound = !codecs.is_empty() && !codecs.iter().enumerate().any(twice);
                    is_sound.then_some(codecs)
                },
            ),
            audio_senders_max: keys.count_or_none("media.audio_senders"),
            video_senders_max: keys.count_or_none("media.video_senders"),
        },
        initial_timeout: keys.duration("room.initial_timeout"),
        expected_max: keys.count("room.expected"),
        affiliations_max: keys.count("room.affiliations"),
        owner_patience: keys.duration("room.owner_patience"),
        // From the data folder.
        device_key: [0; 32],
        // Its secret and its ports are known when it is bound.
        ice_server: None,
        rules,
    }
}

const ADDRESSES: &str = "a list of addresses with port, such as \"[::]:8443\" or \"192.0.2.1:443\"";
const SOURCES: &str = "a list of sources, such as \"'self'\" or \"https://school.example\"";
