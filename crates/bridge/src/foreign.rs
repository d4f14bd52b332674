//! Addresses whose packets arrive here but belong to another worker.
//!
//! The kernel spreads clients over the workers' sockets by their addresses; who owns a client is
//! known from its connectivity checks. They are not verified here: a forged one misleads an
//! address until its owner's next check, a few seconds later.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A bounded table of such addresses.
pub(crate) struct ForeignAddresses {
    /// The owner, and when a check last named it.
    owners: HashMap<SocketAddr, (u16, Instant)>,
    swept: Instant,
}

impl ForeignAddresses {
    pub(crate) fn new(now: Instant) -> ForeignAddresses {
        ForeignAddresses {
            owners: HashMap::new(),
            swept: now,
        }
    }

    /// The worker that an address belongs to.
    pub(crate) fn owner(&self, address: &SocketAddr) -> Option<u16> {
        self.owners.get(address).map(|(worker, _)| *worker)
    }

    /// A check from this address named a worker.
    pub(crate) fn confirm(&mut self, address: SocketAddr, worker: u16, max: usize, now: Instant) {
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.owners
                .retain(|_, (_, seen)| now.saturating_duration_since(*seen) < IDLE);
        }
        if self.owners.len() < max || self.owners.contains_key(&address) {
            self.owners.insert(address, (worker, now));
        }
    }

    /// The address turned out to be ours.
    pub(crate) fn remove(&mut self, address: &SocketAddr) {
        self.owners.remove(address);
    }

    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }
}

/// Clients check their path every few seconds, so that a resting address is no longer theirs.
const IDLE: Duration = Duration::from_secs(30);
const SWEEP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_forgetful() {
        let start = Instant::now();
        let at = |n: u16| SocketAddr::from(([192, 0, 2, 1], n));
        let mut foreign = ForeignAddresses::new(start);
        for n in 1..=10 {
            foreign.confirm(at(n), n, 5, start);
        }
        assert_eq!(
            (foreign.len(), foreign.owner(&at(5)), foreign.owner(&at(6))),
            (5, Some(5), None)
        );
        foreign.confirm(at(5), 7, 5, start + Duration::from_secs(25));
        assert_eq!(foreign.owner(&at(5)), Some(7));
        foreign.confirm(at(9), 9, 5, start + Duration::from_secs(40));
        assert_eq!(foreign.len(), 2);
        foreign.remove(&at(9));
        assert_eq!(foreign.owner(&at(9)), None);
    }
}
