//! Who uses how much: allocations by user and by network, requests by network, bytes by allocation.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::Limits;

/// Counts allocations.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    all: usize,
    by_user: BTreeMap<String, usize>,
    by_network: BTreeMap<IpAddr, usize>,
}

impl Usage {
    /// Whether this user may have one more from there; counts it if so.
    pub(crate) fn admit(&mut self, limits: &Limits, user: &str, from: IpAddr) -> Result<(), Full> {
        let network = network_of(from);
        let of_user = self.by_user.get(user).copied().unwrap_or(0);
        let of_network = self.by_network.get(&network).copied().unwrap_or(0);
        if of_user >= limits.allocations_per_user || of_network >= limits.allocations_per_network {
            return Err(Full::Quota);
        }
        if self.all >= limits.allocations {
            return Err(Full::Capacity);
        }
        self.all += 1;
        self.by_user.insert(user.to_owned(), of_user + 1);
        self.by_network.insert(network, of_network + 1);
        Ok(())
    }

    /// An allocation that was counted is gone.
    pub(crate) fn release(&mut self, user: &str, from: IpAddr) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by_user.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(user);
            }
        }
        let network = network_of(from);
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

/// Why there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// This user, or this network, has enough.
    Quota,
    /// The server has.
    Capacity,
}

/// So much at once, and so much per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    pub(crate) fn full(burst: f64, now: Instant) -> Bucket {
        Bucket {
            tokens: burst,
            refilled: now,
        }
    }

    /// Takes as much if there is as much.
    pub(crate) fn take(&mut self, now: Instant, amount: f64, per_second: f64, burst: f64) -> bool {
        self.refill(now, per_second, burst);
        let has_it = self.tokens >= amount;
        if has_it {
            self.tokens -= amount;
        }
        has_it
    }

    fn refill(&mut self, now: Instant, per_second: f64, burst: f64) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = self.refilled.max(now);
        self.tokens = (self.tokens + elapsed * per_second).min(burst);
    }
}

/// Counts requests of networks, before any of them costs a signature or an answer that is longer
/// than the question.
#[derive(Debug)]
pub(crate) struct RequestRates {
    networks: HashMap<IpAddr, Bucket>,
    /// For everyone else while the table is full.
    overflow: Bucket,
    swept: Instant,
}

impl RequestRates {
    pub(crate) fn new(limits: &Limits, now: Instant) -> RequestRates {
        RequestRates {
            networks: HashMap::new(),
            overflow: Bucket::full(f64::from(limits.requests_burst), now),
            swept: now,
        }
    }

    pub(crate) fn admit(&mut self, limits: &Limits, from: IpAddr, now: Instant) -> bool {
        let rate = f64::from(limits.requests_per_second);
        let burst = f64::from(limits.requests_burst);
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.networks.retain(|_, bucket| {
                bucket.refill(now, rate, burst);
                bucket.tokens < burst
            });
        }
        let network = network_of(from);
        if self.networks.len() >= NETWORKS_MAX && !self.networks.contains_key(&network) {
            return self.overflow.take(now, 1.0, rate, burst);
        }
        self.networks
            .entry(network)
            .or_insert_with(|| Bucket::full(burst, now))
            .take(now, 1.0, rate, burst)
    }
}

/// The /24 or /48 that an address is in.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
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
