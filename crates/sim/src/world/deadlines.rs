//! By when the others must have noticed what became of somebody.

use std::time::{Duration, Instant};

use super::*;

impl World {
    /// How long the room may show somebody whose browser died in this way.
    pub fn linger(&self, loss: Loss) -> Duration {
        let stream = &self.config.stream;
        let notice = match loss {
            Loss::Silent => stream.liveness_ping_after + stream.liveness_timeout,
            Loss::Seen | Loss::SeenByBrowser => Duration::ZERO,
        };
        notice + stream.lease + LINGER_SLACK
    }

    /// When a goodbye has reached everybody, or the lease ended because it was never heard.
    pub(super) fn deadline_of_goodbye(&self, index: usize) -> Instant {
        let is_heard = self.is_heard(index);
        let linger = if is_heard {
            LINGER_SLACK
        } else {
            self.linger(Loss::Silent)
        };
        self.now().mono + linger
    }

    /// Whether the server would notice what becomes of a person's socket.
    pub(super) fn is_heard(&self, index: usize) -> bool {
        let client = self.people[index].client.as_ref();
        client.is_some_and(tertulia_client::Client::is_online) && self.is_wired(index)
    }
}

/// Time for news to reach everybody.
pub(super) const LINGER_SLACK: Duration = Duration::from_secs(2);
