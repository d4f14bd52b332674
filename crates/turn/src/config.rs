use std::time::Duration;

use tertulia_model::TurnSecret;

use crate::Peers;

/// How the server behaves. Defaults (in brackets) are chosen by the `config` crate.
#[derive(Clone, Debug)]
pub struct Config {
    /// What clients mix into their key; our domain.
    pub realm: String,
    /// What the credentials of our sessions are made from.
    pub secret: TurnSecret,
    /// What other programs make credentials from, for users of their own.
    pub shared_secret: Option<TurnSecret>,
    pub peers: Peers,
    pub limits: Limits,
    /// How long an allocation lives when the client wants no longer time (10 min).
    pub lifetime: Duration,
    /// How long at most before it must be refreshed (1 h).
    pub lifetime_max: Duration,
    /// How long a nonce is good (10 min).
    pub nonce_lifetime: Duration,
    /// How long a TCP connection may be without an allocation (30 s).
    pub idle: Duration,
}

/// What may be used up, by whom.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Allocations of everybody together (5 000).
    pub allocations: usize,
    /// Allocations of one session, or of one name under the shared secret (24).
    pub allocations_per_user: usize,
    /// Allocations of one /24 or /48 (2 000); a school is one address.
    pub allocations_per_network: usize,
    /// Addresses that one allocation may exchange packets with at a time (64).
    pub permissions: usize,
    /// Channels of one allocation (64).
    pub channels: usize,
    /// Bits per second that one allocation may relay in each direction; None is no limit.
    pub bitrate_bps: Option<u64>,
    /// Requests per second of one /24 or /48 that has no allocation to show for it (500).
    pub requests_per_second: u32,
    /// How many of them at once (2 000).
    pub requests_burst: u32,
}
