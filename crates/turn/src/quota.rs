//! Who has how many allocations, by user and by network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tertulia_model::network_of;

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
