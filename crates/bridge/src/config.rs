//! What the bridge needs to be told. All defaults are chosen by the `config` crate; the value that
//! it uses stands behind each field.

use std::net::SocketAddr;
use std::time::Duration;

use crate::limits::Limits;

/// Settings of a bridge worker; constant for its life.
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses of the media sockets that clients may be told of.
    pub addresses: Vec<LocalAddress>,
    /// Further addresses for clients on this machine only.
    pub loopback: Vec<SocketAddr>,
    /// How many workers share the port. Each is told its own index in [`Worker::new`].
    ///
    /// [`Worker::new`]: crate::Worker::new
    pub workers: u16,
    /// What strangers and participants may use up.
    pub limits: Limits,
    /// How long things may take.
    pub timers: Timers,
    /// Bandwidth estimation and what is sent while nothing is known.
    pub bandwidth: Bandwidth,
    /// Which video is sent to whom when clients do not say.
    pub video: VideoPolicy,
    /// Whose voices are passed on.
    pub audio: AudioPolicy,
    /// What is done when there are more packets than a thread can carry.
    pub load: LoadPolicy,
    /// Only for simulations: draws how long DTLS waits before it sends a flight again, so that a
    /// run can be repeated (None).
    pub dtls_timer_seed: Option<u64>,
}

/// One address of a media socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// Where packets arrive and leave (`Transmit::source`).
    pub address: SocketAddr,
    /// What the outside world sees in its place when a NAT maps it one to one.
    pub public: Option<SocketAddr>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// Without any packet for so long an endpoint is reported as inactive (6 s).
    pub inactive_after: Duration,
    /// The same while its signalling socket is lost too (2.5 s).
    pub inactive_after_paused: Duration,
    /// A new endpoint is reported as inactive when it has not shown itself for so long (15 s).
    pub first_packet: Duration,
    /// From the client's answer to a working transport; then it is given up (30 s).
    pub connect: Duration,
    /// Without any packet for so long a transport is given up (60 s).
    pub consent: Duration,
    /// A silent remote address of an endpoint is forgotten (30 s).
    pub address_idle: Duration,
    /// An endpoint that has no bridge channel so long after it connected is sent video by the
    /// defaults nevertheless (3 s).
    pub channel_grace: Duration,
    /// After the first packets of a picture were forwarded, the others are left to gather for so
    /// long, so that they are forwarded in runs. The shell's affair (1 ms).
    pub gather: Duration,
    /// What the pacer would let leave within so long leaves at once, so that packets leave in runs
    /// (2 ms).
    pub pacing_ahead: Duration,
    /// How long a sent packet can be sent again (1 s).
    pub retransmission: Duration,
    /// Allocation is repeated at least so often (5 s).
    pub allocation: Duration,
    /// How often clients are told what was estimated for them (10 s).
    pub connection_stats: Duration,
}

/// Bandwidth estimation and retransmission.
#[derive(Clone, Copy, Debug)]
pub struct Bandwidth {
    /// Whether sending is estimated and paced at all (true; the bench turns it off).
    pub is_estimated: bool,
    /// The estimate before the first measurement (2 500 000).
    pub initial_bps: u64,
    /// What is believed at least, once measured (30 000).
    pub least_bps: u64,
    /// What is believed at most (100 000 000).
    pub most_bps: u64,
    /// Sent packets kept per stream for retransmission (512).
    pub retransmission_packets: usize,
    /// The same in bytes of payloads, which all receivers of a stream share (524 288).
    pub retransmission_bytes: usize,
    /// Share of retransmissions above which they are given up (0.5).
    pub retransmission_share: f32,
    /// How much a shared screen on stage may exceed the estimate (500 000).
    pub oversend_bps: u64,
}

/// Which video is sent when clients do not say. Heights in lines, −1 is unlimited.
#[derive(Clone, Debug)]
pub struct VideoPolicy {
    /// Before a client's first `ReceiverVideoConstraints` (0: nothing, as Jitsi's bridge does).
    pub initial_max_height: i32,
    /// For sources that its constraints do not name, when they have no default either (180).
    pub default_max_height: i32,
    /// For clients that never open a bridge channel (180).
    pub without_channel_max_height: i32,
    /// At most so many video sources to anyone; None is no limit (None).
    pub last_n: Option<u32>,
    /// The same by the number of endpoints in the conference: from the first of each pair on, the
    /// second. Ascending (empty).
    pub last_n_by_size: Vec<(usize, u32)>,
}

/// Whose voices are passed on. By default everybody's, where there is the bandwidth.
#[derive(Clone, Copy, Debug)]
pub struct AudioPolicy {
    /// Only those of so many endpoints, the loudest; None is all (None).
    pub loudest: Option<usize>,
    /// Who has sent nothing for so long is not among the loudest (150 ms).
    pub loudest_expiry: Duration,
    /// The dominant speaker is heard in any case (true).
    pub is_dominant_heard: bool,
    /// A receiver that wants a picture, and for which all voices are more than its bandwidth, hears
    /// the loudest only: as many as leave room for one, but at least so many; None is always all (3).
    pub narrow_least: Option<usize>,
}

/// What is done under load: fewer videos for everybody. The load is the rate of packets of one
/// worker, in and out, per second.
#[derive(Clone, Copy, Debug)]
pub struct LoadPolicy {
    /// Whether anything is done (false).
    pub is_reduced: bool,
    /// From here on there is too much (50 000).
    pub threshold: u64,
    /// Below this there is room for more (40 000).
    pub recovery: u64,
    /// What is done by a worker that is late.
    pub lag: LagPolicy,
}

/// When a worker is behind: it drops video then.
#[derive(Clone, Copy, Debug)]
pub struct LagPolicy {
    /// Where datagrams wait longer than this to be taken in, and for longer than this, until they
    /// wait for half of it at most (50 ms).
    pub limit: Duration,
    /// For how long where all that has come is taken in each time (1 s).
    pub patience: Duration,
}
