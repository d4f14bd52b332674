//! Clients that come by TCP or TLS: many messages behind each other, in both directions.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tertulia_turn::Path;
use tertulia_turn::framing::{Broken, Frames};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tracing::debug;

use crate::limits::ConnectionPermit;

/// A connection that speaks TURN, on its way to the thread.
pub(crate) struct TurnStream {
    pub(crate) stream: Box<dyn Duplex>,
    pub(crate) path: Path,
    /// What was read of it to find that out.
    pub(crate) first: Vec<u8>,
    /// Its place among those that have not shown who they are.
    pub(crate) permit: Arc<ConnectionPermit>,
}

/// Both directions of a connection, with TLS or without.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// What waits for a client that reads slowly. Packets that find it full are lost, as on any
/// network.
pub(super) struct Outbox {
    waiting: RefCell<Messages>,
    bytes_max: usize,
    is_closed: Cell<bool>,
    changed: Notify,
}

/// Messages behind each other.
#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Outbox {
    pub(super) fn new(bytes_max: usize) -> Outbox {
        Outbox {
            waiting: RefCell::default(),
            bytes_max,
            is_closed: Cell::new(false),
            changed: Notify::new(),
        }
    }

    pub(super) fn push(&self, message: &[u8]) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.bytes.len() + message.len() <= self.bytes_max {
            waiting.bytes.extend_from_slice(message);
            let end = waiting.bytes.len();
            waiting.ends.push(end);
            self.changed.notify_one();
        }
    }

    /// Nothing more is to be said or heard.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.changed.notify_one();
    }

    /// Waits for something to write and puts it into `into`; false when it is closed and empty.
    async fn take(&self, into: &mut Messages) -> bool {
        loop {
            into.bytes.clear();
            into.ends.clear();
            std::mem::swap(&mut *self.waiting.borrow_mut(), into);
            if !into.ends.is_empty() {
                return true;
            }
            if self.is_closed.get() {
                return false;
            }
            self.changed.notified().await;
        }
    }
}

/// Reads and writes until one of them ends. Each message of the client goes to `take`.
pub(super) async fn drive(
    stream: Box<dyn Duplex>,
    first: &[u8],
    message_bytes_max: usize,
    outbox: &Outbox,
    take: impl FnMut(&[u8]),
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::select! {
        () = read(&mut reader, first, message_bytes_max, take) => {}
        () = write(&mut writer, outbox) => {}
    }
    let _ = tokio::time::timeout(CLOSE_TIME, writer.shutdown()).await;
}

async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    first: &[u8],
    message_bytes_max: usize,
    mut take: impl FnMut(&[u8]),
) {
    let mut frames = Frames::new(message_bytes_max);
    frames.push(first);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        loop {
            match frames.next_message() {
                Ok(Some(message)) => take(message),
                Ok(None) => break,
                Err(Broken) => return debug!("a stream is not TURN's"),
            }
        }
        match reader.read(&mut buffer).await {
            Ok(0) => return,
            Ok(length) => frames.push(buffer.get(..length).unwrap_or_default()),
            Err(error) => return debug!(%error, "a connection broke"),
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), outbox: &Outbox) {
    let mut messages = Messages::default();
    while outbox.take(&mut messages).await {
        let written = async {
            let mut begin = 0;
            for end in &messages.ends {
                // COMPAT(coturn): its client looks for one message in each TLS record.
                let message = messages.bytes.get(begin..*end).unwrap_or_default();
                writer.write_all(message).await?;
                begin = *end;
            }
            writer.flush().await
        };
        if let Err(error) = written.await {
            return debug!(%error, "a connection broke");
        }
    }
}

const READ_BYTES: usize = 16 * 1024;
const CLOSE_TIME: std::time::Duration = std::time::Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_loses_packets_and_whole_ones_only() {
        let outbox = Outbox::new(10);
        for message in [&b"1234"[..], b"5678", b"90ab", b"cd"] {
            outbox.push(message);
        }
        outbox.close();
        let mut messages = Messages::default();
        assert!(outbox.take(&mut messages).await);
        assert_eq!(messages.bytes, b"12345678cd");
        assert_eq!(messages.ends, [4, 8, 10]);
        assert!(!outbox.take(&mut messages).await);
    }

    #[tokio::test]
    async fn messages_are_cut_out_of_the_stream_and_a_broken_one_ends_it() {
        let (ours, mut theirs) = tokio::io::duplex(100);
        // What was read before: the first byte of ChannelData.
        theirs.write_all(&[0, 0, 1, b'x', 0, 0, 0]).await.unwrap();
        theirs
            .write_all(&[0x40, 0, 0, 2, b'y', b'z', 0, 0, 0xff])
            .await
            .unwrap();
        let mut got = Vec::new();
        let outbox = Outbox::new(100);
        drive(Box::new(ours), &[0x40], 100, &outbox, |message| {
            got.push(message.to_vec())
        })
        .await;
        assert_eq!(
            got,
            [vec![0x40, 0, 0, 1, b'x'], vec![0x40, 0, 0, 2, b'y', b'z']]
        );
    }
}
