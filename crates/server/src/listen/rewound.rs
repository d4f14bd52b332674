//! A stream of which the first byte was read to find out what it speaks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads that byte again before all others.
pub(crate) struct Rewound<S> {
    first: Option<u8>,
    stream: S,
}

impl<S> Rewound<S> {
    pub(crate) fn new(first: u8, stream: S) -> Rewound<S> {
        Rewound {
            first: Some(first),
            stream,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn nothing_is_lost_and_nothing_comes_twice() {
        let (ours, mut theirs) = tokio::io::duplex(100);
        theirs.write_all(b"GET /").await.unwrap();
        let mut ours = ours;
        let first = ours.read_u8().await.unwrap();
        let mut rewound = Rewound::new(first, ours);
        let mut bytes = [0; 5];
        rewound.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"GET /");
        rewound.write_all(b"200").await.unwrap();
        let mut answer = [0; 3];
        theirs.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"200");
    }
}
