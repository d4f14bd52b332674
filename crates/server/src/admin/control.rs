//! What an administrator tells the bridge: to drain, or to shut down once its meetings are over.

use std::sync::Arc;
use std::time::Duration;

use tertulia_model::BridgeLife;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

use crate::node::Node;
use crate::stop::Stop;

/// What was told.
pub(crate) struct Control {
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_draining: bool,
    life: BridgeLife,
}

impl Control {
    pub(crate) fn new() -> Control {
        Control {
            state: watch::Sender::new(State::default()),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.state.borrow().is_draining
    }

    pub(crate) fn life(&self) -> BridgeLife {
        self.state.borrow().life
    }

    /// Whether new conferences may begin here.
    pub(crate) fn takes_conferences(&self) -> bool {
        let state = *self.state.borrow();
        !state.is_draining && state.life == BridgeLife::Running
    }

    pub(crate) fn drain(&self, is_draining: bool) {
        self.state
            .send_modify(|state| state.is_draining = is_draining);
    }

    /// There is no way back.
    pub(crate) fn shut_down(&self, is_graceful: bool) {
        let life = if is_graceful {
            BridgeLife::GracefulShutdown
        } else {
            BridgeLife::ShuttingDown
        };
        self.state
            .send_modify(|state| state.life = state.life.max(life));
    }

    /// Ends when there is nothing left to wait for: at once if that was told, else when `is_idle`
    /// after a graceful shutdown began, or when that took too long.
    async fn over(&self, is_idle: impl Fn() -> bool) {
        let mut state = self.state.subscribe();
        let began = state.wait_for(|state| state.life > BridgeLife::Running);
        if began.await.is_err() {
            return std::future::pending().await;
        }
        let deadline = Instant::now() + GRACE;
        while self.life() != BridgeLife::ShuttingDown && !is_idle() && Instant::now() < deadline {
            let at_once = state.wait_for(|state| state.life == BridgeLife::ShuttingDown);
            let _ = tokio::time::timeout(LOOK, at_once).await;
        }
        self.shut_down(false);
    }
}

/// Ends when the administration has had the server shut down.
pub(crate) async fn finished(node: Arc<Node>) -> Stop {
    let is_idle = || node.router.conferences().is_empty();
    node.control.over(is_idle).await;
    info!("the administration's shutdown is complete");
    Stop::Shutdown
}

/// How long a graceful shutdown waits for meetings at most, as Jitsi's bridge does.
const GRACE: Duration = Duration::from_secs(24 * 3600);
/// How often it looks whether they are over.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_drain_ends_and_a_shutdown_does_not() {
        let control = Control::new();
        assert!(control.takes_conferences());
        control.drain(true);
        assert!(control.is_draining() && !control.takes_conferences());
        control.drain(false);
        assert!(control.takes_conferences());
        control.shut_down(true);
        assert!(!control.takes_conferences());
        control.shut_down(false);
        control.shut_down(true);
        assert_eq!(control.life(), BridgeLife::ShuttingDown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_graceful_shutdown_waits_for_the_last_meeting_but_not_for_ever() {
        let is_idle = AtomicBool::new(false);
        let look = || is_idle.load(Ordering::Relaxed);
        let hour = Duration::from_secs(3600);

        let control = Control::new();
        let over = tokio::time::timeout(hour, control.over(look));
        assert!(over.await.is_err(), "nobody asked");
        control.shut_down(true);
        let over = tokio::time::timeout(hour, control.over(look));
        assert!(over.await.is_err(), "a meeting goes on");
        is_idle.store(true, Ordering::Relaxed);
        let over = tokio::time::timeout(hour, control.over(look));
        over.await.expect("the meeting is over");
        assert_eq!(control.life(), BridgeLife::ShuttingDown);

        is_idle.store(false, Ordering::Relaxed);
        let control = Control::new();
        control.shut_down(true);
        let over = tokio::time::timeout(GRACE * 2, control.over(look));
        over.await.expect("a day is enough");
        let control = Control::new();
        control.shut_down(false);
        let over = tokio::time::timeout(hour, control.over(look));
        over.await.expect("at once");
    }
}
