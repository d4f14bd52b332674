use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tertulia_model::Hosts;

use crate::authority::PublicUrl;

/// Everything that the server needs to be told. All defaults are chosen by the `config` crate.
pub struct Config {
    /// The XMPP names that this server answers for.
    pub hosts: Hosts,
    /// Where certificate and keys are kept; created when missing.
    pub data: PathBuf,
    pub web: WebConfig,
    pub media: MediaConfig,
    pub limits: Limits,
    /// Streams and client sessions.
    pub stream: tertulia_stream::Config,
    /// Rooms and their focus. The focus' `server_id` is drawn at each start.
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
    /// Wanted size of the socket's buffers; the system may give less.
    pub socket_buffer_bytes: usize,
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
