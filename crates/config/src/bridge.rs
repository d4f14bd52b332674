//! The bridge: its keys, and what becomes of them.

use tertulia_bridge::{
    AudioPolicy, Bandwidth, Config, LagPolicy, Limits, LoadPolicy, Timers, VideoPolicy,
};

use crate::key::{Key, key};
use crate::reader::Reader;
use crate::values::{BITRATE_MAX, MANY, list};

/// The keys of this section.
pub(crate) const KEYS: &[Key] = &[
    key(
        "bridge.port",
        "10000",
        "UDP port for media; 0 takes a free one.",
    ),
    key(
        "bridge.workers",
        "0",
        "Threads that forward media; 0 is one less than there are cores.",
    ),
    key(
        "bridge.external_addresses",
        "[]",
        "Addresses of this machine as the outside sees them, if a NAT maps them one to one.",
    ),
    key(
        "bridge.stun_servers",
        r#"[]"#,
        "STUN servers to ask for those addresses, as stun:host:port; none is ever asked unless it is named here.",
    ),
    key(
        "bridge.stun_interval",
        r#""90 s""#,
        "How often they are asked; below the two minutes for which a NAT keeps a mapping.",
    ),
    key(
        "bridge.addresses_interval",
        r#""30 s""#,
        "How often this machine's interfaces are looked at; new participants are told of new addresses.",
    ),
    key(
        "bridge.busy_percent",
        "90",
        "Share of its core from which on a media thread counts as overloaded.",
    ),
    key(
        "bridge.socket_buffer",
        r#""4 MiB""#,
        "Wanted size of the socket's buffers; the system may give less.",
    ),
    key(
        "bridge.inactive_after",
        r#""6 s""#,
        "Silence after which a participant is shown as disturbed.",
    ),
    key(
        "bridge.inactive_after_paused",
        r#""2500 ms""#,
        "The same while its signalling connection is lost too.",
    ),
    key(
        "bridge.first_packet",
        r#""15 s""#,
        "How long a new participant may take to show itself.",
    ),
    key(
        "bridge.connect",
        r#""30 s""#,
        "From a client's answer to a working transport.",
    ),
    key(
        "bridge.consent",
        r#""60 s""#,
        "Silence after which a transport is given up.",
    ),
    key(
        "bridge.address_idle",
        r#""30 s""#,
        "Silence after which a participant's former address is forgotten.",
    ),
    key(
        "bridge.channel_grace",
        r#""3 s""#,
        "How long a client may be without bridge channel before it is sent video by the defaults.",
    ),
    key(
        "bridge.gather",
        r#""1 ms""#,
        "How long the rest of a picture is gathered, so that it is forwarded together.",
    ),
    key(
        "bridge.pacing_ahead",
        r#""2 ms""#,
        "What the pacer would let leave within so long leaves at once, so that packets leave in runs.",
    ),
    key(
        "bridge.retransmission",
        r#""1 s""#,
        "How long a sent packet can be sent again.",
    ),
    key(
        "bridge.retransmission_packets",
        "512",
        "Sent packets kept for that, per stream.",
    ),
    key(
        "bridge.retransmission_bytes",
        r#""512 KiB""#,
        "Bytes of sent packets kept for that, per stream; all its receivers share them.",
    ),
    key(
        "bridge.retransmission_percent",
        "50",
        "Share of retransmissions above which they are given up.",
    ),
    key(
        "bridge.allocation",
        r#""5 s""#,
        "Bandwidth is divided anew at least so often.",
    ),
    key(
        "bridge.connection_stats",
        r#""10 s""#,
        "How often clients are told the bandwidth estimated for them.",
    ),
    key(
        "bridge.initial_bitrate",
        "2500000",
        "Bits per second to a client before the first measurement.",
    ),
    key(
        "bridge.least_bitrate",
        "30000",
        "Bits per second that are believed at least.",
    ),
    key(
        "bridge.most_bitrate",
        "100000000",
        "Bits per second that are believed at most.",
    ),
    key(
        "bridge.oversend_bitrate",
        "500000",
        "Bits per second by which a shared screen may exceed the estimate.",
    ),
    key(
        "bridge.initial_height",
        "0",
        "Lines of video sent before a client says what it wants; 0 is none, -1 all.",
    ),
    key(
        "bridge.default_height",
        "180",
        "Lines of video that a client does not name.",
    ),
    key(
        "bridge.without_channel_height",
        "180",
        "Lines of video to clients that have no bridge channel.",
    ),
    key(
        "bridge.last_n",
        "-1",
        "Most videos sent to anyone; -1 is no limit.",
    ),
    key(
        "bridge.last_n_by_size",
        "[]",
        "The same by size of the meeting: [[20, 15], [50, 10]] is 15 from 20 people on, 10 from 50.",
    ),
    key(
        "bridge.loudest_voices",
        "-1",
        "Voices passed on at a time, the loudest; -1 is all.",
    ),
    key(
        "bridge.loudest_expiry",
        r#""150 ms""#,
        "Who has sent nothing for so long is not among them.",
    ),
    key(
        "bridge.dominant_always_heard",
        "true",
        "Whether the dominant speaker is heard in any case.",
    ),
    key(
        "bridge.narrow_voices",
        "3",
        "Where all voices are more than the bandwidth and a picture is wanted, the loudest are passed on, so many at least; -1 is all.",
    ),
    key(
        "bridge.reduce_load",
        "false",
        "Whether everybody gets fewer videos when a media thread has too many packets.",
    ),
    key(
        "bridge.load_threshold",
        "50000",
        "Packets per second of one media thread, in and out, that are too many.",
    ),
    key(
        "bridge.load_recovery",
        "40000",
        "Packets per second below which there is room for more again.",
    ),
    key(
        "bridge.lag",
        r#""50 ms""#,
        "A media thread that lasts so long behind what arrives drops video, not voices.",
    ),
    key(
        "bridge.lag_patience",
        r#""1 s""#,
        "The same for a thread that takes in all there is each time: it is others who have the processor.",
    ),
];

/// Reads them, and the limits that hold for the bridge; addresses and ports are the server's.
pub(crate) fn bridge(keys: &mut Reader) -> Config {
    Config {
        // Interfaces and workers are found by the server.
        addresses: Vec::new(),
        loopback: Vec::new(),
        workers: 1,
        limits: Limits {
            conferences: keys.count("limits.conferences_per_worker"),
            endpoints: keys.count("limits.endpoints_per_worker"),
            endpoints_per_conference: keys.count("limits.endpoints_per_conference"),
            sources_per_endpoint: keys.count("limits.sources_per_endpoint"),
            audio_slots: keys.count("limits.audio_slots"),
            video_slots: keys.count("limits.video_slots"),
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
        timers: Timers {
            inactive_after: keys.duration("bridge.inactive_after"),
            inactive_after_paused: keys.duration("bridge.inactive_after_paused"),
            first_packet: keys.duration("bridge.first_packet"),
            connect: keys.duration("bridge.connect"),
            consent: keys.duration("bridge.consent"),
            address_idle: keys.duration("bridge.address_idle"),
            channel_grace: keys.duration("bridge.channel_grace"),
            gather: keys.duration("bridge.gather"),
            pacing_ahead: keys.duration("bridge.pacing_ahead"),
            retransmission: keys.duration("bridge.retransmission"),
            allocation: keys.duration("bridge.allocation"),
            connection_stats: keys.duration("bridge.connection_stats"),
        },
        bandwidth: Bandwidth {
            is_estimated: true,
            initial_bps: keys.number("bridge.initial_bitrate", 10_000, BITRATE_MAX),
            least_bps: keys.number("bridge.least_bitrate", 1_000, BITRATE_MAX),
            most_bps: keys.number("bridge.most_bitrate", 1_000, BITRATE_MAX),
            retransmission_packets: keys.count("bridge.retransmission_packets"),
            retransmission_bytes: keys.bytes("bridge.retransmission_bytes"),
            retransmission_share: f32::from(keys.number::<u8>(
                "bridge.retransmission_percent",
                0,
                100,
            )) / 100.0,
            oversend_bps: keys.number("bridge.oversend_bitrate", 0, BITRATE_MAX),
        },
        video: VideoPolicy {
            initial_max_height: keys.number("bridge.initial_height", -1, 10_000),
            default_max_height: keys.number("bridge.default_height", -1, 10_000),
            without_channel_max_height: keys.number("bridge.without_channel_height", -1, 10_000),
            last_n: keys.count_or_none("bridge.last_n"),
            last_n_by_size: last_n_by_size(keys),
        },
        audio: AudioPolicy {
            loudest: keys.count_or_none("bridge.loudest_voices"),
            loudest_expiry: keys.duration("bridge.loudest_expiry"),
            is_dominant_heard: keys.flag("bridge.dominant_always_heard"),
            narrow_least: keys.count_or_none("bridge.narrow_voices"),
        },
        load: LoadPolicy {
            is_reduced: keys.flag("bridge.reduce_load"),
            threshold: keys.number("bridge.load_threshold", 1, MANY),
            recovery: keys.number("bridge.load_recovery", 1, MANY),
            lag: LagPolicy {
                limit: keys.duration("bridge.lag"),
                patience: keys.duration("bridge.lag_patience"),
            },
        },
        dtls_timer_seed: None,
    }
}

/// In ascending order, whatever the order in the file.
fn last_n_by_size(keys: &mut Reader) -> Vec<(usize, u32)> {
    let allowed = "a list of pairs such as [[20, 15], [50, 10]]";
    let mut pairs = keys.read(
        "bridge.last_n_by_size",
        allowed,
        list(|pair| {
            let [size, most] = pair.as_array()?.as_slice() else {
                return None;
            };
            let size = usize::try_from(size.as_integer()?).ok()?;
            Some((size, u32::try_from(most.as_integer()?).ok()?))
        }),
    );
    pairs.sort_unstable();
    pairs
}
