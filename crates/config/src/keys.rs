//! All keys: the one place where defaults are.

use crate::key::{Key, joined, key};
use crate::{bridge, turn};

/// The sections in the order of the example file, with a line about each.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    ("", "The server as a whole."),
    ("web", "Pages, WebSockets and conference requests."),
    (
        "admin",
        "Metrics, health, statistics and drain. There is no password: keep it on loopback.",
    ),
    ("log", "What is written to standard error."),
    (
        "session",
        "XMPP sessions: how long they last and what one may send.",
    ),
    (
        "room",
        "Rooms: who gets in, and how a meeting begins and ends.",
    ),
    (
        "meeting",
        "What people can do in a meeting; what is off here is off in all rooms.",
    ),
    ("media", "What clients are told about sound and pictures."),
    (
        "bridge",
        "The bridge: its UDP port, and who is sent which video.",
    ),
    (
        "turn",
        "The STUN and TURN server, for those who cannot reach the bridge directly.",
    ),
    (
        "limits",
        "What strangers and guests may use up. Each bound protects everybody else.",
    ),
];

/// All keys.
pub(crate) const KEYS: &[Key] =
    &joined::<{ TABLE.len() + bridge::KEYS.len() + turn::KEYS.len() }>(&[
        TABLE,
        bridge::KEYS,
        turn::KEYS,
    ]);

/// The keys of all sections without a file of their own, by section.
const TABLE: &[Key] = &[
    key(
        "domain",
        r#""localhost""#,
        "The XMPP domain; it need not resolve.",
    ),
    key(
        "data",
        r#""./tertulia-data""#,
        "Where certificate, keys and the room journal are kept; created when missing.",
    ),
    key(
        "web.listen",
        r#"["[::]:8443"]"#,
        "Addresses for HTTPS; [::] is all interfaces, IPv4 as well.",
    ),
    key(
        "web.listen_plain",
        r#"["127.0.0.1:8080", "[::1]:8080"]"#,
        "Addresses for plain HTTP; browsers allow cameras there only on loopback.",
    ),
    key(
        "web.certificate",
        r#""""#,
        "PEM file with the certificate chain; empty makes one that browsers warn of.",
    ),
    key("web.key", r#""""#, "PEM file with the certificate's key."),
    key(
        "web.public_url",
        r#""""#,
        "How clients reach the server from outside, https://host[:port]; empty takes the address by which each came.",
    ),
    key(
        "web.names",
        r#"[]"#,
        "Further host names by which browsers may ask for this server; addresses, localhost, the machine's name and the domain always may.",
    ),
    key(
        "web.origins",
        r#"[]"#,
        "Web pages of other origins that may use this server, as https://host[:port]; \"*\" is all of them.",
    ),
    key(
        "web.frame_ancestors",
        r#"["'self'"]"#,
        "Who may show meetings in a frame, as in a content security policy.",
    ),
    key(
        "web.app",
        r#""""#,
        "Folder with an unpacked Jitsi Meet web build to serve in place of our own client; empty serves ours.",
    ),
    key(
        "web.app_sources",
        "[]",
        "Origins that this app may load from and connect to besides its own, as in a content security policy.",
    ),
    key(
        "web.prejoin",
        "true",
        "Whether Jitsi's app shows name and devices before one joins.",
    ),
    key(
        "web.conference_request",
        "false",
        "Whether Jitsi's clients ask for a meeting by HTTP, before they connect, instead of over XMPP.",
    ),
    key(
        "web.shard",
        r#""""#,
        "Name of this installation among several, for Jitsi's clients to notice when they reach another one; empty is none.",
    ),
    key(
        "web.region",
        r#""""#,
        "Region of this installation, told to Jitsi's clients; empty is none.",
    ),
    key(
        "web.client",
        r#"{}"#,
        "Further settings of Jitsi's config.js, in its own words; they win over those that are made from this file.",
    ),
    key(
        "web.interface",
        r#"{}"#,
        "Further settings of Jitsi's interface_config.js, in its own words.",
    ),
    key(
        "admin.listen",
        r#"["127.0.0.1:8888"]"#,
        "Addresses for plain HTTP, never those of clients; [] is none.",
    ),
    key(
        "admin.shutdown",
        "false",
        "Whether POST /colibri/shutdown ends the server.",
    ),
    key(
        "log.filter",
        r#""info""#,
        "Levels (error, warn, info, debug, trace), also by part: \"info,tertulia_server=debug\".",
    ),
    key("log.format", r#""text""#, "text or json."),
    key(
        "log.private",
        "false",
        "Whether names, addresses and chat appear in clear; otherwise as keyed hashes.",
    ),
    key(
        "session.lease",
        r#""60 s""#,
        "How long a session lives without a connection before it leaves its rooms.",
    ),
    key(
        "session.login_timeout",
        r#""30 s""#,
        "How long a connection may take to log in.",
    ),
    key(
        "session.ping_after",
        r#""15 s""#,
        "Silence of a client before it is asked whether it is there.",
    ),
    key(
        "session.ping_timeout",
        r#""15 s""#,
        "How long its answer may take.",
    ),
    key(
        "session.ack_request_after",
        "5",
        "Unacknowledged stanzas before an acknowledgement is asked for.",
    ),
    key(
        "session.bosh_wait",
        r#""60 s""#,
        "How long a request of a client on BOSH is held before it is answered with nothing.",
    ),
    key(
        "session.bosh_pause_after",
        r#""5 s""#,
        "How long such a client may be without a request before its lease begins.",
    ),
    key(
        "session.bosh_polling",
        r#""5 s""#,
        "Least time between the empty requests of a client that wants none of them held.",
    ),
    key(
        "session.restoration",
        r#""10 min""#,
        "After a restart, for how long guests get their former names back.",
    ),
    key("room.occupants", "500", "Occupants of one room."),
    key(
        "room.affiliations",
        "1000",
        "People to whom one room has given rights.",
    ),
    key(
        "room.owner_patience",
        r#""60 s""#,
        "After a crash, how long former moderators are waited for before somebody else is made one.",
    ),
    key(
        "room.history_messages",
        "50",
        "Chat messages that newcomers are shown.",
    ),
    key(
        "room.history_bytes",
        r#""256 KiB""#,
        "Bytes of those messages.",
    ),
    key(
        "room.name_characters",
        "256",
        "Characters of a display name that others get.",
    ),
    key(
        "room.initial_timeout",
        r#""15 s""#,
        "How long an empty meeting waits for those who asked for it.",
    ),
    key(
        "room.expected",
        "1000",
        "Requests of people who have not joined yet that one meeting remembers.",
    ),
    key(
        "room.joins_per_second",
        "50",
        "People let into one room in a second; the others wait in order.",
    ),
    key(
        "room.joins_waiting",
        "1000",
        "People who wait for that, in one room.",
    ),
    key(
        "room.journal_linger",
        r#""120 s""#,
        "How long what people decided about a room (rights, password, breakout rooms, polls) outlasts its meeting.",
    ),
    key(
        "room.auto_owner",
        "true",
        "Whether the first person in a room becomes its moderator, and the next one when nobody is left who is.",
    ),
    key(
        "room.everyone_moderator",
        "false",
        "Whether everybody is moderator.",
    ),
    key(
        "room.wait_for_host",
        "false",
        "Whether guests wait until somebody with an account is there; without accounts nobody ever gets in.",
    ),
    key(
        "room.display_name_required",
        "false",
        "Whether one must give a name before one joins.",
    ),
    key(
        "room.features_timeout",
        r#""5 s""#,
        "How long a client may take to say what it can.",
    ),
    key(
        "room.accept_timeout",
        r#""15 s""#,
        "How long a client may take to answer an invitation to media.",
    ),
    key(
        "room.invitations",
        "3",
        "How often a client that does not answer is invited.",
    ),
    key(
        "room.single_participant_timeout",
        r#""20 s""#,
        "How long someone who is alone keeps the connection to the bridge.",
    ),
    key(
        "room.restart_interval",
        r#""5 s""#,
        "Least time between two restarts of one client's media.",
    ),
    key(
        "room.restarts_per_minute",
        "5",
        "Restarts of one client's media in a minute.",
    ),
    key(
        "room.retry_interval",
        r#""1 s""#,
        "Pause before a failed bridge is tried again; each further one is twice as long.",
    ),
    key(
        "room.retry_interval_max",
        r#""30 s""#,
        "The longest of these pauses.",
    ),
    key(
        "room.ssrcs_per_participant",
        "20",
        "Media streams that one participant may announce.",
    ),
    key(
        "room.source_delays",
        r#"["50: 500 ms", "100: 1 s"]"#,
        "From so many participants on, clients that get each stream by itself are told of new ones so much later, of several at once.",
    ),
    key(
        "meeting.lobby",
        "true",
        "Waiting room: moderators decide who comes in.",
    ),
    key("meeting.breakout_rooms", "true", "Breakout rooms."),
    key(
        "meeting.av_moderation",
        "true",
        "Moderators may forbid microphones, cameras and screens, and allow single people.",
    ),
    key("meeting.polls", "true", "Polls."),
    key(
        "meeting.file_sharing",
        "true",
        "Messages about shared files; the files themselves lie elsewhere.",
    ),
    key(
        "meeting.end_conference",
        "true",
        "Moderators may end the meeting for all.",
    ),
    key("meeting.speaker_stats", "true", "Who has spoken how long."),
    key(
        "meeting.visitors",
        "true",
        "People who only watch and listen, until a moderator lets them speak.",
    ),
    key(
        "meeting.visitors_after",
        "0",
        "Participants after which newcomers are visitors; 0 is never.",
    ),
    key(
        "media.peer_to_peer",
        "true",
        "Whether two people send to each other directly, past the server.",
    ),
    key(
        "media.stun_servers",
        r#"[]"#,
        "STUN servers for that, as stun:host:port; none is ever added.",
    ),
    key(
        "media.ssrc_rewriting",
        "true",
        "Whether streams are sent to each client in a fixed set of slots; otherwise each is announced by itself.",
    ),
    key(
        "media.ice_restart",
        "true",
        "Whether clients repair a lost media path in place before they set it up anew.",
    ),
    key(
        "media.codecs",
        r#"["AV1", "VP9", "VP8", "H264"]"#,
        "Video codecs that are offered, the one that clients are to prefer first. A meeting uses one that everybody in it knows.",
    ),
    key(
        "media.opus_red",
        "false",
        "Whether clients that ask for it send each voice packet's predecessor with it, against loss.",
    ),
    key(
        "media.audio_senders",
        "-1",
        "People of one meeting whose microphones may be on at once; -1 is no limit.",
    ),
    key(
        "media.video_senders",
        "-1",
        "The same for cameras and screens.",
    ),
    key(
        "media.start_audio_muted",
        "10",
        "Participants after whom newcomers start with microphone off; 0 is everybody, -1 nobody.",
    ),
    key("media.start_video_muted", "10", "The same for cameras."),
    key(
        "limits.unauthenticated_connections",
        "1000",
        "Connections that have not logged in.",
    ),
    key(
        "limits.unauthenticated_connections_per_address",
        "200",
        "The same of one address; a school is one address.",
    ),
    key(
        "limits.new_connections_per_second",
        "50",
        "New connections per second of one address.",
    ),
    key(
        "limits.new_rooms_per_minute",
        "30",
        "New rooms per minute of one address.",
    ),
    key(
        "limits.admin_connections",
        "32",
        "Connections of the administration at once.",
    ),
    key(
        "limits.http_body",
        r#""64 KiB""#,
        "Bytes of an HTTP request's body.",
    ),
    key(
        "limits.login_stanza",
        r#""64 KiB""#,
        "Bytes of one stanza before log-in.",
    ),
    key(
        "limits.login_bytes_per_second",
        r#""64 KiB""#,
        "Bytes per second before log-in; who is faster is not read.",
    ),
    key("limits.stanza", r#""256 KiB""#, "Bytes of one stanza."),
    key(
        "limits.stanzas_per_second",
        "20",
        "Stanzas per second of one session; who is faster is not read.",
    ),
    key("limits.stanzas_burst", "200", "Stanzas at once."),
    key(
        "limits.bytes_per_second",
        r#""512 KiB""#,
        "Bytes per second of one session.",
    ),
    key("limits.bytes_burst", r#""2 MiB""#, "Bytes at once."),
    key(
        "limits.stanza_depth",
        "32",
        "Nesting of elements in a stanza.",
    ),
    key("limits.stanza_elements", "5000", "Elements in a stanza."),
    key(
        "limits.stanza_attributes",
        "64",
        "Attributes of one element.",
    ),
    key(
        "limits.session_stanzas",
        "4096",
        "Stanzas that wait for one client; over it the session ends.",
    ),
    key(
        "limits.session_bytes",
        r#""4 MiB""#,
        "Bytes of those stanzas.",
    ),
    key(
        "limits.all_session_bytes",
        r#""256 MiB""#,
        "Bytes that wait for all clients; over it the fullest session ends.",
    ),
    key(
        "limits.conference_stanzas",
        "1024",
        "Stanzas that wait for one meeting; over it senders are held back.",
    ),
    key(
        "limits.conference_wait",
        r#""5 s""#,
        "How long they are held back before they are refused.",
    ),
    key(
        "limits.wrong_passwords_per_minute",
        "5",
        "Wrong room passwords in a minute of one device.",
    ),
    key(
        "limits.lobby_waiting",
        "200",
        "People who wait in one lobby.",
    ),
    key(
        "limits.breakout_rooms",
        "50",
        "Breakout rooms of one meeting.",
    ),
    key("limits.polls", "128", "Polls of one room."),
    key("limits.poll", r#""1 KiB""#, "Bytes of one poll."),
    key("limits.files", "200", "Files that one room lists."),
    key(
        "limits.file_description",
        r#""2 KiB""#,
        "Bytes that describe one of them.",
    ),
    key(
        "limits.metadata_keys",
        "64",
        "Settings that moderators may add to one room.",
    ),
    key("limits.metadata", r#""16 KiB""#, "Bytes of all of them."),
    key(
        "limits.journal_keys",
        "10000",
        "Decisions about one room that are kept on disk for the case of a crash.",
    ),
    key("limits.journal", r#""4 MiB""#, "Bytes of them."),
    key(
        "limits.channel_message",
        r#""64 KiB""#,
        "Bytes of one message on a bridge channel.",
    ),
    key(
        "limits.channel_messages",
        "512",
        "Messages that wait for one bridge channel.",
    ),
    key(
        "limits.channel_bytes",
        r#""1 MiB""#,
        "Bytes of those messages.",
    ),
    key(
        "limits.channel_messages_per_second",
        "100",
        "Messages per second on one bridge channel.",
    ),
    key("limits.channel_messages_burst", "500", "Messages at once."),
    key(
        "limits.constraints",
        "500",
        "Sources that one client's constraints may name.",
    ),
    key(
        "limits.conferences_per_worker",
        "1000",
        "Meetings with media on one worker.",
    ),
    key(
        "limits.endpoints_per_worker",
        "2000",
        "Participants with media on one worker.",
    ),
    key(
        "limits.endpoints_per_conference",
        "500",
        "Participants with media in one meeting.",
    ),
    key(
        "limits.sources_per_endpoint",
        "20",
        "Sources of one participant.",
    ),
    key(
        "limits.audio_slots",
        "50",
        "Streams by which one client with SSRC rewriting gets the voices of all others.",
    ),
    key(
        "limits.video_slots",
        "50",
        "The same for video: no more sources are sent to it at a time.",
    ),
    key(
        "limits.addresses_per_endpoint",
        "20",
        "Network addresses of one participant.",
    ),
    key(
        "limits.foreign_addresses",
        "16384",
        "Addresses that one worker remembers for the others.",
    ),
    key(
        "limits.unknown_checks_per_second",
        "200",
        "Connectivity checks, and media of known SSRCs, per second from unknown addresses of one /24.",
    ),
    key(
        "limits.unknown_checks_burst",
        "1000",
        "So many of them at once.",
    ),
];
