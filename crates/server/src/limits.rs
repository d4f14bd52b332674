//! Counting by address: connections that have not logged in, new connections, new rooms.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many connections without a log-in there are, by address.
pub(crate) struct ConnectionLimits {
    all_max: usize,
    address_max: usize,
    open: Mutex<Open>,
    arrivals: Rates,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl ConnectionLimits {
    pub(crate) fn new(all_max: usize, address_max: usize, new_per_second: u32) -> Arc<Self> {
        Arc::new(ConnectionLimits {
            all_max,
            address_max,
            open: Mutex::default(),
            arrivals: Rates::new(new_per_second, Duration::from_secs(1)),
        })
    }

    /// Lets a new connection in, or not. Dropping the permit ends the connection's count.
    pub(crate) fn admit(self: &Arc<Self>, from: IpAddr, now: Instant) -> Option<ConnectionPermit> {
        let address = network(from);
        if !self.arrivals.admit(from, now) {
            return None;
        }
        let mut open = lock(&self.open);
        let here = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.all_max || here >= self.address_max {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, here + 1);
        Some(ConnectionPermit {
            limits: Arc::clone(self),
            address,
            is_released: AtomicBool::new(false),
        })
    }
}

/// One connection's place among those that have not logged in.
pub(crate) struct ConnectionPermit {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
    is_released: AtomicBool,
}

impl ConnectionPermit {
    /// The connection turned out to be that of somebody who has logged in: it does not count any
    /// more.
    pub(crate) fn release(&self) {
        if self.is_released.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut open = lock(&self.limits.open);
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.release();
    }
}

/// At most so many events of one address within a period, refilled evenly.
pub(crate) struct Rates {
    burst: u32,
    period: Duration,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    left: f64,
    filled: Instant,
}

impl Rates {
    pub(crate) fn new(burst: u32, period: Duration) -> Rates {
        Rates {
            burst,
            period,
            buckets: Mutex::default(),
        }
    }

    /// Whether one more is within the limit; counts it if so.
    pub(crate) fn admit(&self, from: IpAddr, now: Instant) -> bool {
        let burst = f64::from(self.burst);
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.filled) < self.period);
            if buckets.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(network(from)).or_insert(Bucket {
            left: burst,
            filled: now,
        });
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.left = (bucket.left + passed / self.period.as_secs_f64() * burst).min(burst);
        bucket.filled = now;
        let has_one = bucket.left >= 1.0;
        if has_one {
            bucket.left -= 1.0;
        }
        has_one
    }
}

/// What counts as one address: an IPv6 customer has a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            if v6.is_loopback() {
                v6.into()
            } else {
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        }
    }
}

/// The counters hold at each step, so a panic elsewhere left them usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const ADDRESSES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_when_connections_go() {
        let limits = ConnectionLimits::new(3, 2, 100);
        let (now, a, b) = (Instant::now(), ip("192.0.2.1"), ip("192.0.2.2"));
        let first = limits.admit(a, now).unwrap();
        let second = limits.admit(a, now).unwrap();
        assert!(limits.admit(a, now).is_none(), "two of one address");
        let third = limits.admit(b, now).unwrap();
        assert!(limits.admit(b, now).is_none(), "three in all");
        first.release();
        let fourth = limits.admit(b, now).unwrap();
        drop(first);
        assert!(limits.admit(b, now).is_none(), "no place comes back twice");
        drop(fourth);
        drop((second, third));
        assert!(lock(&limits.open).by_address.is_empty());
    }

    #[test]
    fn rates_refill_evenly_and_by_network() {
        let rates = Rates::new(2, Duration::from_secs(60));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(rates.admit(ip("2001:db8::1"), at(0)));
        assert!(rates.admit(ip("2001:db8::2"), at(0)));
        assert!(
            !rates.admit(ip("2001:db8::3"), at(0)),
            "one /64 is one address"
        );
        assert!(rates.admit(ip("2001:db8:0:1::3"), at(0)));
        assert!(!rates.admit(ip("2001:db8::1"), at(29)));
        assert!(rates.admit(ip("2001:db8::1"), at(31)));
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
