//! From keys to the `Config` of each crate.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tertulia_bridge as bridge;
use tertulia_conference as conference;
use tertulia_model::Hosts;
use tertulia_model::jid::DomainPart;
use tertulia_server::{
    CertificateFiles, Config, Limits, MediaConfig, Origins, PublicUrl, WebConfig,
};
use tertulia_stream as stream;
use toml::Value;

use crate::mistake::Mistake;
use crate::reader::Reader;
use crate::units;

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
        is_private_shown: keys.read("log.private", "true or false", Value::as_bool),
    };
    let server = Config {
        data: keys.read("data", "the path of a folder", path),
        web: web(keys),
        media: media(keys),
        limits: limits(keys),
        stream: stream(keys),
        conference: conference(keys, &hosts),
        bridge: bridge(keys),
        hosts,
    };
    Settings { server, log }
}

fn web(keys: &mut Reader) -> WebConfig {
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
    let address = "a list of addresses with port, such as \"[::]:8443\" or \"192.0.2.1:443\"";
    WebConfig {
        listen: keys.read("web.listen", address, list(parsed::<SocketAddr>)),
        listen_plain: keys.read("web.listen_plain", address, list(parsed::<SocketAddr>)),
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
        frame_ancestors: keys.read(
            "web.frame_ancestors",
            "a list of sources, such as \"'self'\" or \"https://school.example\"",
            list(|value| {
                let text = value.as_str()?;
                let is_source = text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b';' && b != b',');
                (is_source && !text.is_empty()).then(|| text.to_owned())
            }),
        ),
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
    }
}

fn conference(keys: &mut Reader, hosts: &Hosts) -> conference::Config {
    conference::Config {
        hosts: hosts.clone(),
        room: tertulia_room::Config {
            occupants_max: keys.count("room.occupants"),
            affiliations_max: keys.count("room.affiliations"),
            history_messages_max: keys.number("room.history_messages", 0, MANY),
            history_bytes_max: keys.bytes("room.history_bytes"),
            name_chars_max: keys.count("room.name_characters"),
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
        },
        initial_timeout: keys.duration("room.initial_timeout"),
        expected_max: keys.count("room.expected"),
    }
}

fn bridge(keys: &mut Reader) -> bridge::Config {
    bridge::Config {
        // Interfaces and workers are found by the server.
        addresses: Vec::new(),
        loopback: Vec::new(),
        workers: 1,
        limits: bridge::Limits {
            conferences: keys.count("limits.conferences_per_worker"),
            endpoints: keys.count("limits.endpoints_per_worker"),
            endpoints_per_conference: keys.count("limits.endpoints_per_conference"),
            sources_per_endpoint: keys.count("limits.sources_per_endpoint"),
            addresses_per_endpoint: keys.count("limits.addresses_per_endpoint"),
            foreign_addresses: keys.count("limits.foreign_addresses"),
            unknown_checks_per_second: keys.number("limits.unknown_checks_per_second", 1, MANY),
            unknown_checks_burst: keys.number("limits.unknown_checks_burst", 1, MANY),
            messages_per_second: keys.number("limits.channel_messages_per_second", 1, MANY),
            messages_burst: keys.number("limits.channel_messages_burst", 1, MANY),
            message_bytes: keys.bytes("limits.channel_message"),
            outbox_messages: keys.count("limits.channel_messages"),
            outbox_bytes: keys.bytes("limits.channel_bytes"),
            constraints: keys.count("limits.constraints"),
        },
        timers: bridge::Timers {
            inactive_after: keys.duration("bridge.inactive_after"),
            inactive_after_paused: keys.duration("bridge.inactive_after_paused"),
            first_packet: keys.duration("bridge.first_packet"),
            connect: keys.duration("bridge.connect"),
            consent: keys.duration("bridge.consent"),
            address_idle: keys.duration("bridge.address_idle"),
            channel_grace: keys.duration("bridge.channel_grace"),
            pacing_ahead: keys.duration("bridge.pacing_ahead"),
            retransmission: keys.duration("bridge.retransmission"),
            allocation: keys.duration("bridge.allocation"),
        },
        bandwidth: bridge::Bandwidth {
            is_estimated: true,
            initial_bps: keys.number("bridge.initial_bitrate", 10_000, BITRATE_MAX),
            least_bps: keys.number("bridge.least_bitrate", 1_000, BITRATE_MAX),
            retransmission_packets: keys.count("bridge.retransmission_packets"),
            retransmission_share: f32::from(keys.number::<u8>(
                "bridge.retransmission_percent",
                0,
                100,
            )) / 100.0,
            oversend_bps: keys.number("bridge.oversend_bitrate", 0, BITRATE_MAX),
        },
        video: bridge::VideoPolicy {
            initial_max_height: keys.number("bridge.initial_height", -1, 10_000),
            default_max_height: keys.number("bridge.default_height", -1, 10_000),
            without_channel_max_height: keys.number("bridge.without_channel_height", -1, 10_000),
            last_n: u32::try_from(keys.number::<i64>("bridge.last_n", -1, MANY)).ok(),
        },
    }
}

impl Reader {
    fn text(&mut self, path: &'static str) -> String {
        self.read(path, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A whole number within bounds.
    fn number<T: TryFrom<i64>>(&mut self, path: &'static str, least: i64, most: i64) -> T {
        let allowed = format!("a whole number from {least} to {most}");
        self.read(path, &allowed, |value| {
            let number = value.as_integer()?;
            (least..=most)
                .contains(&number)
                .then(|| T::try_from(number).ok())?
        })
    }

    /// How many of something there may be: at least one.
    fn count(&mut self, path: &'static str) -> usize {
        self.number(path, 1, MANY)
    }

    fn duration(&mut self, path: &'static str) -> Duration {
        let allowed = "a duration such as \"500 ms\", \"60 s\" or \"10 min\"";
        self.read(path, allowed, |value| units::duration(value.as_str()?))
    }

    fn bytes(&mut self, path: &'static str) -> usize {
        self.read(path, SIZE, |value| {
            let bytes = units::bytes(value.as_str()?)?;
            usize::try_from(bytes)
                .ok()
                .filter(|bytes| (1..=SIZE_MAX).contains(bytes))
        })
    }

    fn bytes_per_second(&mut self, path: &'static str) -> u32 {
        self.read(path, SIZE, |value| {
            let bytes = units::bytes(value.as_str()?)?;
            u32::try_from(bytes).ok().filter(|bytes| *bytes >= 1)
        })
    }

    fn hosts(&mut self, path: &'static str) -> Hosts {
        self.read(path, "a domain name", |value| {
            let domain = DomainPart::new(value.as_str()?).ok()?;
            // Host names of ours are made by putting a label before it.
            (domain.len() < 200).then(|| Hosts::new(domain.into_owned()))
        })
    }
}

fn path(value: &Value) -> Option<PathBuf> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(PathBuf::from)
}

fn parsed<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

/// The empty text is none.
fn optional<T>(parse: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Option<T>> {
    move |value| {
        if value.as_str() == Some("") {
            Some(None)
        } else {
            parse(value).map(Some)
        }
    }
}

fn list<T>(parse: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Vec<T>> {
    move |value| value.as_array()?.iter().map(&parse).collect()
}

/// What no count of ours needs to exceed.
const MANY: i64 = 1_000_000;
const BITRATE_MAX: i64 = 10_000_000_000;
const SIZE: &str = "a size such as \"64 KiB\" or \"4 MiB\"";
const SIZE_MAX: usize = 1 << 40;
