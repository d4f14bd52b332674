//! What a worker tells those who look at it from outside, and where it can be reached.

use std::net::SocketAddr;
use std::sync::Arc;

use tertulia_model::{ConferenceId, EndpointId, Now};

use super::Worker;
use crate::config::LocalAddress;
use crate::detail::{ConferenceDetail, EndpointDetail};
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

    /// Its conferences, and who is in them.
    pub fn details(&self, now: Now) -> Vec<ConferenceDetail> {
        let conferences = self.conferences.iter().flatten();
        conferences
            .map(|conference| conference.detail(now.mono))
            .collect()
    }

    /// All that there is to know of an endpoint.
    pub fn endpoint_detail(
        &mut self,
        now: Now,
        conference: &ConferenceId,
        endpoint: &EndpointId,
    ) -> Option<EndpointDetail> {
        let index = *self.by_id.get(conference)?;
        let conference = self.conferences.get_mut(index)?.as_mut()?;
        conference.endpoint_detail(endpoint.as_str(), now.mono)
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
