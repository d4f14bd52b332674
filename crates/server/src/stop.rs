//! How the server stops: so that clients come back by themselves, or for good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_stream::Closing;
use tokio::sync::{mpsc, watch};
use tracing::info;

use crate::conference_task::ConferenceControl;
use crate::node::Node;
use crate::session_task::SessionControl;

/// Why the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It will be started again: sockets close in the way that clients recover from.
    Restart,
    /// The meetings end for good, with a reason.
    Shutdown,
}

/// Waits until a stop is announced. Cancel safe.
pub(crate) async fn announced(stopping: &mut watch::Receiver<Option<Stop>>) {
    let _ = stopping.wait_for(Option::is_some).await.map(drop);
}

/// Takes leave of everybody, within a bound.
pub(crate) async fn say_goodbye(node: &Arc<Node>, stop: Stop, mut all_closed: mpsc::Receiver<()>) {
    info!(?stop, "stopping");
    let deadline = Instant::now() + GOODBYE_TIME;
    let closing = match stop {
        Stop::Restart => Closing::Restart,
        Stop::Shutdown => {
            end_meetings(node, deadline).await;
            Closing::Shutdown
        }
    };
    node.refuse_sockets();
    for session in node.router.sessions() {
        let _ = session.control(SessionControl::Close(closing));
    }
    // Sockets without a session and bridge channels watch this.
    node.stopping.send_replace(Some(stop));
    // Ends when the last socket has said its goodbye.
    let _ = tokio::time::timeout_at(deadline.into(), all_closed.recv()).await;
}

/// Ends all conferences and waits until they are gone, so that everybody has been told.
async fn end_meetings(node: &Arc<Node>, deadline: Instant) {
    let conferences = node.router.conferences();
    for conference in &conferences {
        conference.control(ConferenceControl::End(REASON));
    }
    let deadline = deadline - GOODBYE_TIME / 2;
    for conference in conferences {
        let _ = tokio::time::timeout_at(deadline.into(), conference.lane().closed()).await;
    }
}

/// All of it; the process is gone a little later.
const GOODBYE_TIME: Duration = Duration::from_secs(4);
const REASON: &str = "The server is being shut down.";
