//! What carries one client's stream: a WebSocket, or BOSH's many requests. The tasks of log-in and
//! session don't care which.

mod bosh;
mod websocket;

use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

pub(crate) use bosh::{BoshRequest, BoshSessions, BoshSocket};
pub(crate) use websocket::WebSocket;

/// Proof that a socket is not closed yet.
pub(crate) type OpenSocket = mpsc::Sender<()>;

/// What comes out of a socket.
#[derive(Debug)]
pub(crate) enum SocketEvent {
    Text(Utf8Bytes),
    /// The peer answered a ping, or sent an empty request.
    Alive,
    /// BOSH: no request has been open for a while.
    Silent,
    /// The peer broke a rule of the framing: close with this code.
    Refused {
        code: u16,
        reason: &'static str,
    },
    /// It is gone; with the close code if the peer gave one.
    Closed(Option<u16>),
}

/// What carries a client's stream.
pub(crate) enum Socket {
    WebSocket(WebSocket),
    Bosh(BoshSocket),
}

impl Socket {
    /// Whether a session can move from this one to another (XEP-0198).
    pub(crate) fn can_resume(&self) -> bool {
        matches!(self, Socket::WebSocket(_))
    }

    /// At most so many bytes may arrive for one message from now on. A request of BOSH has the
    /// bound of any HTTP request.
    pub(crate) fn limit_arrival(&mut self, bytes: usize) {
        match self {
            Socket::WebSocket(socket) => socket.limit_arrival(bytes),
            Socket::Bosh(_) => {}
        }
    }

    /// Puts a message into the outbox; it leaves while [`Socket::event`] is awaited.
    pub(crate) fn send(&mut self, text: String) {
        match self {
            Socket::WebSocket(socket) => socket.send(text),
            Socket::Bosh(socket) => socket.send(&text),
        }
    }

    /// Bytes in the outbox.
    pub(crate) fn waiting_bytes(&self) -> usize {
        match self {
            Socket::WebSocket(socket) => socket.waiting_bytes(),
            Socket::Bosh(socket) => socket.waiting_bytes(),
        }
    }

    /// Writes what waits, and reads the next message if `may_read`. Cancel safe.
    pub(crate) async fn event(&mut self, may_read: bool) -> SocketEvent {
        match self {
            Socket::WebSocket(socket) => socket.event(may_read).await,
            Socket::Bosh(socket) => socket.event(may_read).await,
        }
    }

    /// Sends what waits and says why it ends, then lets go.
    pub(crate) fn close(self, code: u16, reason: &'static str) {
        match self {
            Socket::WebSocket(socket) => socket.close(code, reason),
            Socket::Bosh(socket) => socket.close(code),
        }
    }

    /// The peer has closed.
    pub(crate) fn finish(self) {
        match self {
            Socket::WebSocket(socket) => socket.finish(),
            Socket::Bosh(socket) => socket.close(tertulia_stream::close_code::NORMAL),
        }
    }
}
