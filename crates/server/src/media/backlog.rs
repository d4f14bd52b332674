//! Packets that the system had no room for.

use tertulia_bridge::{Batch, Run};

/// How far into a batch its datagrams have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Runs that have left whole.
    run: usize,
    /// Datagrams that have left of the next one.
    datagrams: usize,
}

impl Place {
    /// What is next: the rest of a run.
    pub(super) fn next(self, batch: &Batch) -> Option<Run<'_>> {
        let run = batch.run(self.run)?;
        if self.datagrams == 0 {
            return Some(run);
        }
        run.split(self.datagrams).1
    }

    /// So many datagrams of the next run have left; no more than it has.
    pub(super) fn advance(&mut self, batch: &Batch, datagrams: usize) {
        self.datagrams += datagrams;
        let count = batch.run(self.run).map_or(0, Run::count);
        if self.datagrams >= count {
            self.run += 1;
            self.datagrams = 0;
        }
    }
}

/// Waits until there is room. Bounded: the oldest goes first, what is late is worth least.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    batch: Batch,
    left: Place,
    /// How many have left.
    count: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many datagrams wait.
    pub(super) fn len(&self) -> usize {
        self.batch.len() - self.count
    }

    /// What is next.
    pub(super) fn next(&self) -> Option<Run<'_>> {
        self.left.next(&self.batch)
    }

    /// So many datagrams of the next run have left.
    pub(super) fn advance(&mut self, datagrams: usize) {
        self.left.advance(&self.batch, datagrams);
        self.count += datagrams;
        if self.is_empty() {
            self.batch.clear();
            self.left = Place::default();
            self.count = 0;
        }
    }

    /// What of a batch has not left is to wait too. Gives how many datagrams there was no room
    /// for.
    pub(super) fn append(&mut self, batch: &Batch, mut from: Place) -> usize {
        if self.count > self.len() {
            self.compact();
        }
        while let Some(run) = from.next(batch) {
            self.batch.push_run(run);
            from.advance(batch, run.count());
        }
        let too_many = self.len().saturating_sub(BACKLOG_MAX);
        let mut surplus = too_many;
        while let Some(run) = self.next().filter(|_| surplus > 0) {
            let some = run.count().min(surplus);
            self.advance(some);
            surplus -= some;
        }
        too_many
    }

    /// Gives the memory of what has left to what waits.
    fn compact(&mut self) {
        let mut kept = Batch::default();
        let mut left = self.left;
        while let Some(run) = left.next(&self.batch) {
            kept.push_run(run);
            left.advance(&self.batch, run.count());
        }
        *self = Backlog {
            batch: kept,
            ..Backlog::default()
        };
    }
}

/// About 5 MB of video, a quarter of a second at 150 Mbit/s: more is not worth its delay.
pub(super) const BACKLOG_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const EACH: usize = 10;

    /// Datagrams with ascending numbers, in runs of ten to one of two receivers.
    fn batch(numbers: std::ops::Range<u32>) -> Batch {
        let to: [SocketAddr; 2] = ["192.0.2.2:1", "192.0.2.3:1"].map(|to| to.parse().unwrap());
        let from = "192.0.2.1:1".parse().unwrap();
        let mut batch = Batch::default();
        for number in numbers {
            let to = to[number as usize / EACH % 2];
            batch.push(from, to, &number.to_be_bytes());
        }
        batch
    }

    fn numbers(run: Run<'_>) -> Vec<u32> {
        run.datagrams()
            .map(|one| u32::from_be_bytes(one.contents.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn what_waits_leaves_in_order_and_what_has_left_is_forgotten() {
        let mut backlog = Backlog::default();
        let first = batch(0..25);
        let mut place = Place::default();
        assert_eq!(numbers(place.next(&first).unwrap()), Vec::from_iter(0..10));
        place.advance(&first, 10);
        place.advance(&first, 4);
        assert_eq!(backlog.append(&first, place), 0);
        assert_eq!(backlog.len(), 11);

        let mut expected = 14;
        let mut appended = 25;
        let mut memory = 0;
        for round in 0..1_000 {
            let run = backlog.next().unwrap();
            let some = run.count().min(3);
            assert_eq!(
                numbers(run.split(some).0),
                Vec::from_iter(expected..expected + some as u32)
            );
            backlog.advance(some);
            expected += some as u32;
            assert_eq!(
                backlog.append(&batch(appended..expected + 11), Place::default()),
                0
            );
            appended = expected + 11;
            assert_eq!(backlog.len(), 11, "round {round}");
            memory = memory.max(backlog.batch.bytes.len());
        }
        assert!(memory < 200, "{memory} bytes for 11 datagrams of 4");
        while let Some(run) = backlog.next() {
            let all = run.count();
            backlog.advance(all);
        }
        assert!(backlog.is_empty() && backlog.batch.bytes.is_empty());
    }

    #[test]
    fn the_oldest_make_room() {
        let mut backlog = Backlog::default();
        let most = u32::try_from(BACKLOG_MAX).unwrap();
        assert_eq!(backlog.append(&batch(0..most), Place::default()), 0);
        assert_eq!(
            backlog.append(&batch(most..most + 13), Place::default()),
            13
        );
        assert_eq!(backlog.len(), BACKLOG_MAX);
        assert_eq!(numbers(backlog.next().unwrap())[0], 13);
        let twice = batch(0..2 * most);
        assert_eq!(backlog.append(&twice, Place::default()), 2 * BACKLOG_MAX);
        assert_eq!(numbers(backlog.next().unwrap())[0], most);
    }
}
