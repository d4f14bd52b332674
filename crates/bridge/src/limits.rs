//! What may be used up, by whom. Nothing on the bridge grows without one of these bounds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Bounds of one worker.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Conferences on one worker (1 000).
    pub conferences: usize,
    /// Endpoints on one worker (2 000).
    pub endpoints: usize,
    /// Endpoints in one conference (500).
    pub endpoints_per_conference: usize,
    /// Sources of one endpoint (20); the focus refuses more, here it is the backstop.
    pub sources_per_endpoint: usize,
    /// SSRCs for the audio of others towards one endpoint with SSRC rewriting (50).
    pub audio_slots: usize,
    /// The same for video, each with one for retransmissions; as many sources are sent to it at
    /// most (50).
    pub video_slots: usize,
    /// Remote addresses of one endpoint (20).
    pub addresses_per_endpoint: usize,
    /// Addresses whose packets belong to another worker (16 384).
    pub foreign_addresses: usize,
    /// Connectivity checks, and packets that name a known SSRC, per second from unknown addresses
    /// of one /24 or /48 (200).
    pub unknown_checks_per_second: u32,
    /// How many of them at once (1 000).
    pub unknown_checks_burst: u32,
    /// Bridge-channel messages per second from one endpoint (100).
    pub messages_per_second: u32,
    /// How many of them at once (500).
    pub messages_burst: u32,
    /// Bytes of one bridge-channel message (65 536).
    pub message_bytes: usize,
    /// Messages waiting for one endpoint's data channel (512).
    pub outbox_messages: usize,
    /// Bytes waiting for one endpoint's data channel (1 048 576).
    pub outbox_bytes: usize,
    /// Names in one client's constraints (500).
    pub constraints: usize,
}

/// So many at once, and so many per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    pub(crate) fn full(burst: u32, now: Instant) -> Bucket {
        Bucket {
            tokens: f64::from(burst),
            refilled: now,
        }
    }

    /// Takes one if there is one.
    pub(crate) fn take(&mut self, now: Instant, per_second: u32, burst: u32) -> bool {
        self.refill(now, per_second, burst);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }

    fn refill(&mut self, now: Instant, per_second: u32, burst: u32) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = self.refilled.max(now);
        self.tokens = (self.tokens + elapsed * f64::from(per_second)).min(f64::from(burst));
    }
}

/// Counts the connectivity checks of strangers by network, before any of them costs a signature.
pub(crate) struct StrangerLimit {
    networks: HashMap<IpAddr, Bucket>,
    /// For everyone else while the table is full.
    overflow: Bucket,
    swept: Instant,
}

impl StrangerLimit {
    pub(crate) fn new(limits: &Limits, now: Instant) -> StrangerLimit {
        StrangerLimit {
            networks: HashMap::new(),
            overflow: Bucket::full(limits.unknown_checks_burst, now),
            swept: now,
        }
    }

    /// Whether one more check from this address may be looked at.
    pub(crate) fn admit(&mut self, limits: &Limits, from: IpAddr, now: Instant) -> bool {
        let (rate, burst) = (
            limits.unknown_checks_per_second,
            limits.unknown_checks_burst,
        );
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.networks.retain(|_, bucket| {
                bucket.refill(now, rate, burst);
                bucket.tokens < f64::from(burst)
            });
        }
        let network = network_of(from);
        if self.networks.len() >= NETWORKS_MAX && !self.networks.contains_key(&network) {
            return self.overflow.take(now, rate, burst);
        }
        self.networks
            .entry(network)
            .or_insert_with(|| Bucket::full(burst, now))
            .take(now, rate, burst)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.networks.len()
    }
}

/// The /24 or /48 that an address is in.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
        }
    }
}

const NETWORKS_MAX: usize = 4_096;
const SWEEP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    #[test]
    fn one_network_cannot_use_up_another_ones_share() {
        let mut limits = config().limits;
        limits.unknown_checks_per_second = 10;
        limits.unknown_checks_burst = 5;
        let start = Instant::now();
        let mut strangers = StrangerLimit::new(&limits, start);
        let admit = |strangers: &mut StrangerLimit, from: &str, after_ms| {
            let now = start + Duration::from_millis(after_ms);
            strangers.admit(&limits, from.parse().unwrap(), now)
        };
        for host in 0..5 {
            assert!(admit(&mut strangers, &format!("192.0.2.{host}"), 0));
        }
        assert!(!admit(&mut strangers, "192.0.2.77", 0));
        assert!(admit(&mut strangers, "198.51.100.1", 0));
        assert!(admit(&mut strangers, "192.0.2.77", 100));
        assert!(!admit(&mut strangers, "192.0.2.77", 100));
        assert!(admit(&mut strangers, "2001:db8:1::1", 0));
        assert_eq!(strangers.len(), 3);
        assert!(admit(&mut strangers, "203.0.113.1", 20_000));
        assert_eq!(strangers.len(), 1, "networks that rest are forgotten");
    }

    #[test]
    fn the_table_of_networks_is_bounded() {
        let limits = config().limits;
        let now = Instant::now();
        let mut strangers = StrangerLimit::new(&limits, now);
        for n in 0..20_000u32 {
            strangers.admit(&limits, IpAddr::from((n << 8).to_be_bytes()), now);
        }
        assert_eq!(strangers.len(), NETWORKS_MAX);
    }
}
