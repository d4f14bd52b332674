//! How a bridge is, as far as whoever places conferences needs to know: what Jitsi's bridges put
//! into their brewery presence (`jicofo/…/bridge/Bridge.kt` reads it).

use std::fmt;

/// One bridge, as it presents itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgeStatus {
    /// No new conferences are to be placed on it.
    pub is_draining: bool,
    pub life: BridgeLife,
    /// Why it can't be used; None while it can.
    pub fault: Option<BridgeFault>,
    /// Load ÷ the load at which it counts as overloaded, of its busiest worker.
    pub stress: f64,
    /// What one more participant is expected to add to that.
    pub stress_per_participant: f64,
}

impl BridgeStatus {
    /// Whether a new conference may be placed on it. Those that it has may grow all the same.
    pub fn takes_conferences(&self) -> bool {
        !self.is_draining && self.life == BridgeLife::Running
    }

    /// Whether it has more to do than is good for its conferences.
    pub fn is_overloaded(&self) -> bool {
        self.stress >= 1.0
    }
}

/// How far a bridge is on its way out (`jitsi-videobridge/…/shutdown/ShutdownState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BridgeLife {
    #[default]
    Running,
    /// Its conferences go on, new ones are refused; it stops when the last one is over.
    GracefulShutdown,
    /// It stops now.
    ShuttingDown,
}

impl BridgeLife {
    /// Jitsi's word.
    pub fn as_str(self) -> &'static str {
        match self {
            BridgeLife::Running => "RUNNING",
            BridgeLife::GracefulShutdown => "GRACEFUL_SHUTDOWN",
            BridgeLife::ShuttingDown => "SHUTTING_DOWN",
        }
    }
}

/// Why a bridge can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeFault {
    /// It knows no address at which clients could reach it.
    NoAddress,
    /// The media worker of this index does not answer.
    WorkerSilent(u16),
    /// The media worker of this index has ended.
    WorkerGone(u16),
}

impl fmt::Display for BridgeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BridgeFault::NoAddress => f.write_str(
                "this machine has no address besides loopback: media reaches nobody elsewhere",
            ),
            BridgeFault::WorkerSilent(index) => {
                write!(
                    f,
                    "media worker {index} does not answer: it is overloaded or hangs"
                )
            }
            BridgeFault::WorkerGone(index) => {
                write!(
                    f,
                    "media worker {index} has ended: its socket broke; restart the server"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_the_way_out_takes_no_more_conferences() {
        let running = BridgeStatus {
            is_draining: false,
            life: BridgeLife::Running,
            fault: None,
            stress: 0.5,
            stress_per_participant: 0.01,
        };
        assert!(running.takes_conferences() && !running.is_overloaded());
        let draining = BridgeStatus {
            is_draining: true,
            stress: 1.2,
            ..running.clone()
        };
        assert!(!draining.takes_conferences() && draining.is_overloaded());
        for life in [BridgeLife::GracefulShutdown, BridgeLife::ShuttingDown] {
            let leaving = BridgeStatus {
                life,
                ..running.clone()
            };
            assert!(!leaving.takes_conferences(), "{}", life.as_str());
        }
    }
}
