use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use tertulia_model::{Hosts, VideoCodec};

use crate::authority::PublicUrl;

/// Everything that the server needs to be told. All defaults are chosen by the `config` crate.
pub struct Config {
    /// The XMPP names that this server answers for.
    pub hosts: Hosts,
    /// Where certificate, keys and the room journal are kept; created when missing.
    pub data: PathBuf,
    pub web: WebConfig,
    pub admin: AdminConfig,
    pub media: MediaConfig,
    /// None switches the STUN and TURN server off.
    pub turn: Option<TurnConfig>,
    pub limits: Limits,
    pub journal: JournalConfig,
    /// Streams and client sessions.
    pub stream: tertulia_stream::Config,
    /// Rooms and their focus. The focus' `server_id` is drawn at each start; `device_key` is
    /// filled in from the data folder.
    pub conference: tertulia_conference::Config,
    /// Media. `addresses`, `loopback` and `workers` are filled in from `media` and from the
    /// machine's interfaces.
    pub bridge: tertulia_bridge::Config,
}

/// The web side.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// HTTPS.
    pub listen: Vec<SocketAddr>,
    /// Plain HTTP; loopback only, unless a proxy in front does the TLS.
    pub listen_plain: Vec<SocketAddr>,
    /// A certificate from a file; None makes one and keeps it in the data folder.
    pub certificate: Option<CertificateFiles>,
    /// How clients reach us from outside; None takes the authority by which they came.
    pub public_url: Option<PublicUrl>,
    /// Further names by which browsers may ask for us.
    pub names: Vec<String>,
    /// Foreign pages that may use this server.
    pub origins: Origins,
    /// Who may frame meeting pages: sources of a content security policy.
    pub frame_ancestors: Vec<String>,
    /// A folder with an unpacked Jitsi Meet web build, served in place of our own client.
    pub app: Option<PathBuf>,
    /// What that app may load from and connect to besides its own origin: sources of a content
    /// security policy.
    pub app_sources: Vec<String>,
    pub client: ClientConfig,
}

/// What clients are told in `config.js`, besides the addresses.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Jitsi's app shows name and devices before one joins.
    pub has_prejoin: bool,
    /// Conference requests go by HTTP.
    pub has_http_conference_request: bool,
    /// Which installation of several this is.
    pub shard: Option<String>,
    /// Where it is.
    pub region: Option<String>,
    /// Two people send to each other directly.
    pub has_peer_to_peer: bool,
    /// For that, as `stun:host:port`.
    pub stun_servers: Vec<String>,
    pub has_ssrc_rewriting: bool,
    /// What its clients are to send, the best first.
    pub video_codecs: Vec<VideoCodec>,
    /// A lost media path is repaired in place.
    pub has_ice_restart: bool,
    /// So many participants, then newcomers start with microphone off; None is nobody.
    pub start_audio_muted: Option<u32>,
    /// The same for cameras.
    pub start_video_muted: Option<u32>,
    pub has_lobby: bool,
    pub has_breakout_rooms: bool,
    pub has_polls: bool,
    pub has_speaker_stats: bool,
    /// Nobody joins without a name.
    pub is_display_name_required: bool,
    /// Merged into `config.js` last, in the words of Jitsi's client.
    pub further: serde_json::Map<String, serde_json::Value>,
    /// The same for `interface_config.js`.
    pub further_interface: serde_json::Map<String, serde_json::Value>,
}

/// What administrators and their monitoring use.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Plain HTTP without a password; none switches it off.
    pub listen: Vec<SocketAddr>,
    /// Somebody has chosen these addresses: without them the server does not start. The default
    /// ones may belong to another program.
    pub is_chosen: bool,
    /// `POST /colibri/shutdown` ends the server.
    pub may_shut_down: bool,
    /// Connections at once.
    pub connections_max: usize,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The chain, our own certificate first.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Which pages of other origins may open WebSockets and send conference requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All; safe, since nothing in a browser authorises by itself.
    Any,
    /// These, as `scheme://host[:port]`.
    Listed(Vec<String>),
}

/// The media socket.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// UDP port; 0 takes a free one.
    pub port: u16,
    /// Threads that forward media; None is one less than there are cores.
    pub workers: Option<u16>,
    /// Addresses of this machine as the outside world sees them, when a NAT maps them.
    pub external: Vec<IpAddr>,
    /// Servers to ask for that, as `stun:host[:port]`; none are asked unless they are named here.
    pub stun_servers: Vec<String>,
    /// How often.
    pub stun_interval: Duration,
    /// How often this machine's interfaces are looked at.
    pub addresses_interval: Duration,
    /// Share of its core from which on a worker counts as overloaded, 0 to 1.
    pub busy_max: f64,
    /// Wanted size of the socket's buffers; the system may give less.
    pub socket_buffer_bytes: usize,
}

/// The STUN and TURN server.
#[derive(Clone, Debug)]
pub struct TurnConfig {
    /// STUN and TURN over UDP.
    pub udp: TurnListen,
    pub tcp: TurnListen,
    pub tls: TurnListen,
    /// TURN over TLS is spoken on the HTTPS ports too, and offered there.
    pub is_on_web_port: bool,
    /// Ports of relays.
    pub relay_ports: RangeInclusive<u16>,
    /// Public addresses are relayed to, not only our own.
    pub is_public: bool,
    /// Holds a secret from which other programs make credentials.
    pub secret_file: Option<PathBuf>,
    /// How long credentials are good, if their session lasts as long.
    pub credentials_lifetime: Duration,
    /// How long an allocation lives without a wish of its client.
    pub lifetime: Duration,
    /// How long at most before it must be refreshed.
    pub lifetime_max: Duration,
    pub nonce_lifetime: Duration,
    /// How long a connection may be without an allocation.
    pub idle: Duration,
    pub limits: tertulia_turn::Limits,
    /// Bytes of one message on TCP and TLS.
    pub message_bytes: usize,
    /// Bytes that wait for one client there.
    pub outbox_bytes: usize,
}

/// Where the TURN server is to be found in one way.
#[derive(Clone, Debug)]
pub struct TurnListen {
    pub addresses: Vec<SocketAddr>,
    /// Somebody has chosen them: without them the server does not start. The default ones may
    /// belong to another TURN server.
    pub is_chosen: bool,
}

/// The room journal: what people decided about a meeting, kept on disk.
#[derive(Clone, Copy, Debug)]
pub struct JournalConfig {
    /// How long it outlasts the meeting.
    pub linger: Duration,
    /// Keys of one room.
    pub keys_max: usize,
    /// Bytes of one room's keys and values.
    pub bytes_max: usize,
}

/// What strangers and guests may use up, as far as the shell counts it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections that have not logged in, of all addresses together.
    pub unauthenticated_connections: usize,
    /// The same of one address.
    pub unauthenticated_connections_per_address: usize,
    /// New connections per second of one address.
    pub new_connections_per_second: u32,
    /// Stanzas that wait for one conference.
    pub conference_stanzas: usize,
    /// How long a sender is held back by a full conference before it is refused.
    pub conference_wait: Duration,
    /// Bytes that wait for all sessions together; over it the fullest ends.
    pub all_session_bytes: usize,
    /// New rooms per minute of one address.
    pub new_rooms_per_minute: u32,
    /// For how long after a start guests of the former process get their names back.
    pub restoration: Duration,
    /// Bytes of an HTTP request's body.
    pub http_body_bytes: usize,
    /// Bytes of one message on a bridge-channel WebSocket.
    pub channel_message_bytes: usize,
    /// Messages that wait for one bridge-channel WebSocket.
    pub channel_messages: usize,
}
