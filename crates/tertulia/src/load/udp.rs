//! One participant's UDP socket.
//!
//! Runs of packets that the server sends together are received together (GRO), so that the
//! generator costs less than the server.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use quinn_udp::{RecvMeta, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A socket, and what it received last.
pub(super) struct Udp {
    io: UdpSocket,
    state: UdpSocketState,
    buffer: Box<[u8]>,
}

impl Udp {
    /// A socket on a free port of this address.
    pub(super) async fn bind(local: IpAddr) -> io::Result<Udp> {
        let io = UdpSocket::bind((local, 0)).await?;
        let state = UdpSocketState::new((&io).into())?;
        // A key frame of everybody at once; the system gives what its administrator allows.
        let _ = state.set_recv_buffer_size((&io).into(), 1 << 20);
        Ok(Udp {
            io,
            state,
            buffer: vec![0; BUFFER_BYTES].into(),
        })
    }

    /// Where packets to us go.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Waits until there is something to receive. Cancel safe.
    pub(super) async fn readable(&self) {
        // An error shows again when we receive.
        let _ = self.io.readable().await;
    }

    /// Hands on what has come, at most some runs of it; true if there may be more.
    pub(super) fn receive(&mut self, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
        for _ in 0..RUNS_MAX {
            let mut metas = [RecvMeta::default()];
            let mut slices = [IoSliceMut::new(&mut self.buffer)];
            let (io, state) = (&self.io, &self.state);
            let received = io.try_io(Interest::READABLE, || {
                state.recv(io.into(), &mut slices, &mut metas)
            });
            if received.is_err() {
                return false;
            }
            let [meta] = metas;
            let bytes = self.buffer.get(..meta.len).unwrap_or_default();
            for datagram in bytes.chunks(meta.stride.max(1)) {
                take(meta.addr, datagram);
            }
        }
        true
    }

    /// Sends a datagram; false if the system took it not.
    pub(super) fn send(&self, to: SocketAddr, contents: &[u8]) -> bool {
        self.io.try_send_to(contents, to).is_ok()
    }
}

/// The longest run.
const BUFFER_BYTES: usize = 1 << 16;
/// Others have their turn too.
const RUNS_MAX: usize = 16;
