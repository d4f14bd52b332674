//! What every task around a state machine does between two of its steps: sleep until the machine
//! wants to be woken, let others run, and keep a panic inside.
//!
//! The page itself is the same for all (`conference_task`, `session_task`, `listen::websocket`,
//! and `media::worker`, which sleeps without a runtime): wait for one of mailbox, socket and timer;
//! call one `handle_*`; drain `poll_output`; again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Wakes at the time that a machine's `next_timeout` named last.
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    deadline: Option<Instant>,
}

impl Timer {
    /// A timer that never wakes until it is set.
    pub(crate) fn new() -> Timer {
        Timer {
            sleep: Box::pin(tokio::time::sleep(FAR)),
            deadline: None,
        }
    }

    /// Sets when to wake; None is never.
    pub(crate) fn set(&mut self, deadline: Option<Instant>) {
        if self.deadline != deadline {
            self.deadline = deadline;
            if let Some(deadline) = deadline {
                self.sleep.as_mut().reset(deadline.into());
            }
        }
    }

    /// Waits until then. Cancel safe.
    pub(crate) async fn expired(&mut self) {
        if self.deadline.is_some() {
            self.sleep.as_mut().await;
            self.deadline = None;
        } else {
            std::future::pending().await
        }
    }
}

/// Counts steps, so that a busy task lets others run.
#[derive(Default)]
pub(crate) struct Rounds(u32);

impl Rounds {
    /// After each step: now and then gives the thread away.
    pub(crate) async fn step(&mut self) {
        self.0 += 1;
        if self.0 >= ROUNDS_MAX {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// A machine panicked. It must be dropped and never touched again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panicked;

/// Runs one step of a machine; a panic (already logged by the hook) comes back as a value.
pub(crate) fn guarded<T>(step: impl FnOnce() -> T) -> Result<T, Panicked> {
    // The caller drops the machine, so nobody sees what the panic left half done.
    catch_unwind(AssertUnwindSafe(step)).map_err(|_| Panicked)
}

/// The earlier of two times, where None is never.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

const FAR: Duration = Duration::from_secs(86_400 * 365);
const ROUNDS_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_value() {
        assert_eq!(guarded(|| 1).ok(), Some(1));
        assert!(guarded(|| panic!("on purpose")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_wakes_once_for_each_deadline() {
        let mut timer = Timer::new();
        let start = tokio::time::Instant::now();
        let deadline = start.into_std() + Duration::from_secs(5);
        timer.set(Some(deadline));
        timer.expired().await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        let again = tokio::time::timeout(Duration::from_secs(60), timer.expired());
        assert!(again.await.is_err(), "never, until it is set again");
        timer.set(Some(deadline));
        timer.expired().await;
    }

    #[test]
    fn never_is_later_than_anything() {
        let now = Instant::now();
        assert_eq!(earlier(None, Some(now)), Some(now));
        assert_eq!(earlier(Some(now + FAR), Some(now)), Some(now));
        assert_eq!(earlier(None, None), None);
    }
}
