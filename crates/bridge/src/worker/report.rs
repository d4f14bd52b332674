//! What a worker tells those who look at it from outside, and where it can be reached.

use std::net::SocketAddr;
use std::sync::Arc;

use tertulia_model::{ConferenceId, Now};

use super::Worker;
use crate::config::LocalAddress;
use crate::detail::ConferenceDetail;
use crate::figures::Figures;

impl Worker {
    /// How everything is now. Costs a walk over all endpoints and what they are sent: to be asked
    /// every few seconds, not for each packet.
    pub fn figures(&mut self, now: Now) -> Figures {
        let mut figures = Figures {
            statistics: self.statistics(),
            ..Figures::default()
        };
        for conference in self.conferences.iter_mut().flatten() {
            conference.add_to(&mut figures, now.mono);
            // Those that go on count as well, so that the sum grows steadily.
            figures.statistics.conference_milliseconds += milliseconds(conference.age(now.mono));
        }
        figures
    }

    /// All that there is to know of its conferences, or of one of them.
    pub fn details(&mut self, now: Now, only: Option<&ConferenceId>) -> Vec<ConferenceDetail> {
        let conferences = self.conferences.iter_mut().flatten();
        conferences
            .filter(|conference| only.is_none_or(|only| conference.id == *only))
            .map(|conference| conference.detail(now.mono))
            .collect()
    }

    /// Endpoints that are allocated from now on are told of these addresses.
    pub fn set_addresses(&mut self, addresses: Vec<LocalAddress>, loopback: Vec<SocketAddr>) {
        let config = Arc::make_mut(&mut self.config);
        config.addresses = addresses;
        config.loopback = loopback;
    }
}

pub(super) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
