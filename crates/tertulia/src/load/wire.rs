//! A participant's WebSocket, from dialling it to its end.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::connect::{ConnectError, Connector, WebSocket};

/// A WebSocket that is open, being opened, or neither.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) socket: Option<WebSocket>,
    pub(super) dialling: Option<JoinHandle<Result<WebSocket, ConnectError>>>,
}

impl Wire {
    /// Begins to open it.
    pub(super) fn dial(connector: &Connector, url: String, protocol: Option<&'static str>) -> Wire {
        let connector = connector.clone();
        let dial = async move { connector.websocket(&url, protocol).await };
        Wire {
            socket: None,
            dialling: Some(tokio::spawn(dial)),
        }
    }

    /// Closes it without a word; true if there was something to close.
    pub(super) fn drop_out(&mut self) -> bool {
        let wire = std::mem::take(self);
        wire.socket.is_some() || wire.dialling.is_some()
    }

    /// Closes it as browsers do: with a close frame (RFC 6455, 5.5.1), whose answer is not waited
    /// for.
    pub(super) async fn close(&mut self, code: u16) {
        let Some(mut socket) = std::mem::take(self).socket.take() else {
            return;
        };
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        // Who does not take it is gone, or will learn it from the connection's end.
        let _ = tokio::time::timeout(PATIENCE, socket.close(Some(frame))).await;
    }

    /// Sends a text. A socket that breaks is noticed by its reader.
    pub(super) async fn send(&mut self, text: String) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.send(Message::text(text)).await;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(dialling) = &self.dialling {
            dialling.abort();
        }
    }
}

/// The next text; None when the socket is gone. Never ready without a socket. Cancel safe.
pub(super) async fn next_text(socket: &mut Option<WebSocket>) -> Option<String> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

/// What came of a task. Never ready without one. Cancel safe.
pub(super) async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> T {
    loop {
        match task {
            Some(running) => match running.await {
                Ok(result) => return result,
                // Aborted: somebody does not want it any more.
                Err(_) => *task = None,
            },
            None => return std::future::pending().await,
        }
    }
}

/// An end without an error (RFC 6455, 7.4.1).
pub(super) const NORMAL: u16 = 1000;
/// How long a close frame may take to leave.
const PATIENCE: Duration = Duration::from_secs(1);
