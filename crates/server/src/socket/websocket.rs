//! A WebSocket as the tasks want it: whole text messages in, text messages out that never block,
//! a bound on what arrives, and a close that says why.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

use super::{OpenSocket, SocketEvent};

/// A server's end of a WebSocket.
pub(crate) struct WebSocket {
    stream: WebSocketStream<ArrivalLimit<TokioIo<Upgraded>>>,
    outbox: VecDeque<Message>,
    outbox_bytes: usize,
    is_flushed: bool,
    /// Held while the socket is open, so that a stop can wait for all close frames.
    open: OpenSocket,
}

impl WebSocket {
    /// Takes over an upgraded connection. A message of more than `message_bytes` is refused while
    /// it arrives; [`WebSocket::limit_arrival`] may set a lower bound for a time.
    pub(crate) async fn new(
        upgraded: Upgraded,
        message_bytes: usize,
        open: OpenSocket,
    ) -> WebSocket {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_frame_size(Some(message_bytes))
            .max_message_size(Some(message_bytes));
        let io = ArrivalLimit {
            inner: TokioIo::new(upgraded),
            arrived: 0,
            limit: usize::MAX,
        };
        WebSocket {
            stream: WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            is_flushed: true,
            open,
        }
    }

    /// At most so many bytes may arrive for one message from now on.
    pub(crate) fn limit_arrival(&mut self, bytes: usize) {
        // What was read ahead and the frames' headers count as well.
        self.stream.get_mut().limit = bytes.saturating_add(2 * BUFFER_BYTES);
    }

    /// Puts a message into the outbox; it leaves while [`WebSocket::event`] is awaited.
    pub(crate) fn send(&mut self, text: String) {
        self.push(Message::Text(text.into()));
    }

    /// Asks the peer's WebSocket whether it is alive.
    pub(crate) fn ping(&mut self) {
        self.push(Message::Ping(Bytes::new()));
    }

    /// Bytes in the outbox.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.outbox_bytes
    }

    fn push(&mut self, message: Message) {
        self.outbox_bytes += message.len();
        self.outbox.push_back(message);
    }

    /// Writes what waits, and reads the next message if `may_read`. Cancel safe.
    pub(crate) async fn event(&mut self, may_read: bool) -> SocketEvent {
        std::future::poll_fn(|cx| self.poll_event(cx, may_read)).await
    }

    fn poll_event(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<SocketEvent> {
        loop {
            if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                return Poll::Ready(ended(&error));
            }
            if !may_read {
                return Poll::Pending;
            }
            let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(ended(&error)),
                None => return Poll::Ready(SocketEvent::Closed(None)),
            };
            self.stream.get_mut().arrived = 0;
            match message {
                Message::Text(text) => return Poll::Ready(SocketEvent::Text(text)),
                Message::Binary(_) => {
                    let reason = "text only";
                    return Poll::Ready(SocketEvent::Refused { code: 1003, reason });
                }
                Message::Close(frame) => {
                    let code = frame.map(|frame| frame.code.into());
                    return Poll::Ready(SocketEvent::Closed(code));
                }
                Message::Pong(_) => return Poll::Ready(SocketEvent::Alive),
                // The answer to a ping is queued by the library; the next round writes it.
                Message::Ping(_) | Message::Frame(_) => self.is_flushed = false,
            }
        }
    }

    /// Ready when nothing is left to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.outbox.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_ready(cx))?;
            if let Some(message) = self.outbox.pop_front() {
                self.outbox_bytes -= message.len();
                self.is_flushed = false;
                Pin::new(&mut self.stream).start_send(message)?;
            }
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what waits and a close frame, then lets go; in a task of its own, within a bound.
    pub(crate) fn close(self, code: u16, reason: &'static str) {
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CLOSE_TIME, self.say_goodbye(code, reason)).await;
        });
    }

    /// The peer has closed: echoes that, within a bound.
    pub(crate) fn finish(mut self) {
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CLOSE_TIME, self.stream.flush()).await;
        });
    }

    async fn say_goodbye(mut self, code: u16, reason: &'static str) -> Result<(), Error> {
        std::future::poll_fn(|cx| self.poll_write(cx)).await?;
        let frame = CloseFrame {
            code: code.into(),
            reason: Utf8Bytes::from_static(reason),
        };
        self.stream.send(Message::Close(Some(frame))).await?;
        // Bytes left unread would make the system reset the connection and lose the close frame.
        let io = self.stream.get_mut();
        io.limit = usize::MAX;
        let mut unread = [0; 4096];
        let mut seen = 0;
        while seen < UNREAD_MAX {
            match io.read(&mut unread).await {
                Ok(0) | Err(_) => break,
                Ok(count) => seen += count,
            }
        }
        drop(self.open);
        Ok(())
    }
}

/// What the end of reading or writing means for the peer.
fn ended(error: &Error) -> SocketEvent {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => SocketEvent::Refused {
            code: 1009,
            reason: "too long",
        },
        Error::Io(error) if is_over_limit(error) => SocketEvent::Refused {
            code: 1009,
            reason: "too long",
        },
        Error::Utf8(_) => SocketEvent::Refused {
            code: 1007,
            reason: "not UTF-8",
        },
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => SocketEvent::Closed(None),
        Error::Protocol(_) => SocketEvent::Refused {
            code: 1002,
            reason: "protocol error",
        },
        _ => SocketEvent::Closed(None),
    }
}

/// Refuses to read on when one message takes too many bytes.
struct ArrivalLimit<S> {
    inner: S,
    /// Since the last whole message.
    arrived: usize,
    limit: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the message is too long")]
struct OverLimit;

fn is_over_limit(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<OverLimit>())
}

impl<S: AsyncRead + Unpin> AsyncRead for ArrivalLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.arrived > self.limit {
            return Poll::Ready(Err(io::Error::other(OverLimit)));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.arrived += buffer.filled().len() - before;
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ArrivalLimit<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Per socket and direction; small, since most sockets are silent most of the time.
const BUFFER_BYTES: usize = 4096;
const CLOSE_TIME: Duration = Duration::from_secs(2);
const UNREAD_MAX: usize = 1 << 20;
