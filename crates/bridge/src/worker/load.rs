//! What a worker does when it has more packets than it can carry.

use std::time::Instant;

use super::Worker;
use crate::conference::Conference;

impl Worker {
    /// Fewer videos for everybody while there are more packets than can be carried.
    pub(super) fn watch_load(&mut self, now: Instant) {
        let packets = self.statistics.packets_in + self.statistics.packets_out;
        let conferences = &self.conferences;
        let forwarded = || {
            let each = conferences.iter().flatten().map(Conference::forwarded_most);
            each.max().unwrap_or(0)
        };
        let load = &self.config.load;
        if !self.reducer.watch(load, now, packets, forwarded) {
            return;
        }
        for (index, conference) in self.conferences.iter_mut().enumerate() {
            if let Some(conference) = conference {
                conference.allocate_all();
                if !self.dirty.contains(&index) {
                    self.dirty.push(index);
                }
            }
        }
    }
}
