use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tertulia_model::EndpointId;

/// Everything a focus waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A client has not said what it can do: it is invited with the least.
    Features(EndpointId),
    /// A client has not answered its invitation.
    Accept(EndpointId),
    /// An invitation that failed is to be tried again.
    Retry(EndpointId),
    /// Clients are to be told of sources that changed a moment ago.
    Sources,
    /// Somebody has been alone with a session.
    SingleParticipant,
    /// The number of visitors was shown a moment ago.
    Visitors,
}

/// At most one time for each timer.
#[derive(Default)]
pub(crate) struct Timers {
    order: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.cancel(&timer);
        self.order.insert((at, timer.clone()));
        self.at.insert(timer, at);
    }

    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some(at) = self.at.remove(timer) {
            self.order.remove(&(at, timer.clone()));
        }
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.at.contains_key(timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.order.first().cloned()?;
        if at > now {
            return None;
        }
        self.cancel(&timer);
        Some(timer)
    }

    pub(crate) fn clear(&mut self) {
        self.order.clear();
        self.at.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn in_order_once_each() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let accept = || Timer::Accept("a".parse().unwrap());
        let mut timers = Timers::default();
        timers.set(Timer::SingleParticipant, at(2));
        timers.set(accept(), at(1));
        timers.set(accept(), at(3));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.pop(at(1)), None);
        assert_eq!(timers.pop(at(9)), Some(Timer::SingleParticipant));
        timers.cancel(&accept());
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.next(), None);
    }
}
