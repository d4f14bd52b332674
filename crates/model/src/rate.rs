//! So much at once, and so much per second: for one, and for each network of strangers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What may be used up, and comes back with time.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    left: f64,
    refilled: Instant,
}

impl Bucket {
    pub fn full(burst: f64, now: Instant) -> Bucket {
        Bucket {
            left: burst,
            refilled: now,
        }
    }

    /// Takes as much if there is as much.
    pub fn take(&mut self, now: Instant, amount: f64, per_second: f64, burst: f64) -> bool {
        self.refill(now, per_second, burst);
        let has_it = self.left >= amount;
        if has_it {
            self.left -= amount;
        }
        has_it
    }

    fn refill(&mut self, now: Instant, per_second: f64, burst: f64) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = self.refilled.max(now);
        self.left = (self.left + elapsed * per_second).min(burst);
    }
}

/// Counts what strangers ask for by network, before any of it costs a signature or an answer that
/// is longer than the question.
#[derive(Debug)]
pub struct NetworkRates {
    per_second: f64,
    burst: f64,
    /// Chosen by peers, hence the standard hasher.
    networks: HashMap<IpAddr, Bucket>,
    /// For everyone else while the table is full.
    overflow: Bucket,
    swept: Instant,
}

impl NetworkRates {
    /// So many per second of each network, and so many at once.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> NetworkRates {
        let burst = f64::from(burst);
        NetworkRates {
            per_second: f64::from(per_second),
            burst,
            networks: HashMap::new(),
            overflow: Bucket::full(burst, now),
            swept: now,
        }
    }

    /// Whether one more from this address is within the limit; counts it if so.
    pub fn admit(&mut self, from: IpAddr, now: Instant) -> bool {
        let (per_second, burst) = (self.per_second, self.burst);
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.networks.retain(|_, bucket| {
                bucket.refill(now, per_second, burst);
                bucket.left < burst
            });
        }
        let network = network_of(from);
        if self.networks.len() >= NETWORKS_MAX && !self.networks.contains_key(&network) {
            return self.overflow.take(now, 1.0, per_second, burst);
        }
        self.networks
            .entry(network)
            .or_insert_with(|| Bucket::full(burst, now))
            .take(now, 1.0, per_second, burst)
    }
}

/// The /24 or /48 that an address is in.
pub fn network_of(address: IpAddr) -> IpAddr {
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

/// What is kept of strangers is bounded.
const NETWORKS_MAX: usize = 4_096;
const SWEEP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_cannot_use_up_another_ones_share() {
        let start = Instant::now();
        let mut rates = NetworkRates::new(10, 5, start);
        let admit = |rates: &mut NetworkRates, from: &str, after_ms| {
            let now = start + Duration::from_millis(after_ms);
            rates.admit(from.parse().unwrap(), now)
        };
        for host in 0..5 {
            assert!(admit(&mut rates, &format!("192.0.2.{host}"), 0));
        }
        assert!(!admit(&mut rates, "192.0.2.77", 0));
        assert!(admit(&mut rates, "198.51.100.1", 0));
        assert!(admit(&mut rates, "192.0.2.77", 100));
        assert!(!admit(&mut rates, "192.0.2.77", 100));
        assert!(admit(&mut rates, "2001:db8:1::1", 0));
        assert_eq!(rates.networks.len(), 3);
        assert!(admit(&mut rates, "203.0.113.1", 20_000));
        assert_eq!(rates.networks.len(), 1, "networks that rest are forgotten");
    }

    #[test]
    fn the_table_of_networks_is_bounded() {
        let now = Instant::now();
        let mut rates = NetworkRates::new(200, 1_000, now);
        for n in 0..20_000u32 {
            rates.admit(IpAddr::from((n << 8).to_be_bytes()), now);
        }
        assert_eq!(rates.networks.len(), NETWORKS_MAX);
        assert!(
            !rates.admit(IpAddr::from([223, 0, 0, 1]), now),
            "and so is the rest's share"
        );
    }
}
