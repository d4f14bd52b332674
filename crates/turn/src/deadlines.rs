use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What is to happen when, for many of a kind.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    by_key: BTreeMap<K, Instant>,
    in_order: BTreeSet<(Instant, K)>,
}

impl<K: Copy + Ord> Deadlines<K> {
    pub(crate) fn new() -> Deadlines<K> {
        Deadlines {
            by_key: BTreeMap::new(),
            in_order: BTreeSet::new(),
        }
    }

    /// Sets or moves one.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        self.clear(key);
        self.by_key.insert(key, at);
        self.in_order.insert((at, key));
    }

    pub(crate) fn clear(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.in_order.remove(&(at, key));
        }
    }

    /// The earliest.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// Takes one out that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (_, key) = self
            .in_order
            .first()
            .copied()
            .filter(|(at, _)| *at <= now)?;
        self.clear(key);
        Some(key)
    }
}
