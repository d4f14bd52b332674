//! UDP ports of ours: batches in, each datagram with the address that was asked; runs of equal
//! datagrams out, from that address.
//!
//! Per datagram: no allocation and no copy.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tracing::debug;

/// A socket that is not bound yet and does not block; one of IPv6 is of both families.
pub(crate) fn unbound(is_ipv6: bool) -> io::Result<Socket> {
    let domain = if is_ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if is_ipv6 {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// One bound socket, the system's or the runtime's. Addresses of IPv4 are such here, whatever the
/// socket is.
pub(crate) struct Datagrams<S> {
    pub(crate) io: S,
    state: UdpSocketState,
    bound: SocketAddr,
}

/// What one batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) datagrams: usize,
    /// When the first of them came, by the calendar's clock, since 1970.
    pub(crate) since: Option<Duration>,
}

impl<S: AsFd> Datagrams<S> {
    /// Takes over a bound socket that does not block.
    pub(crate) fn new(io: S) -> io::Result<Datagrams<S>> {
        let bound = SockRef::from(&io).local_addr()?.as_socket();
        let bound = bound.ok_or(io::ErrorKind::Unsupported)?;
        let state = UdpSocketState::new((&io).into())?;
        Ok(Datagrams { io, state, bound })
    }

    /// Asks the system for buffers of so many bytes. It gives what its administrator allows; too
    /// little shows as loss under load.
    pub(crate) fn set_buffers(&self, bytes: usize) {
        let _ = self.state.set_send_buffer_size((&self.io).into(), bytes);
        let _ = self.state.set_recv_buffer_size((&self.io).into(), bytes);
        debug!(
            port = self.bound.port(),
            send_buffer = self.state.send_buffer_size((&self.io).into()).unwrap_or(0),
            receive_buffer = self.state.recv_buffer_size((&self.io).into()).unwrap_or(0),
            segments = self.segments_max(),
            "UDP socket"
        );
    }

    /// Whether what is sent to this address of ours arrives here.
    pub(crate) fn is_at(&self, address: SocketAddr) -> bool {
        let ip = self.bound.ip().to_canonical();
        self.bound.port() == address.port() && (ip.is_unspecified() || ip == address.ip())
    }

    /// How many equal datagrams the system takes at once.
    pub(crate) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Receives one batch into a buffer of [`BATCH_BYTES`] and hands on each datagram: from where,
    /// to which of our addresses, and what.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if there is nothing now.
    pub(crate) fn receive(
        &self,
        buffer: &mut [u8],
        mut take: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> io::Result<Received> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut chunks = buffer.chunks_exact_mut(DATAGRAM_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let count = (self.state).recv((&self.io).into(), &mut slices, &mut metas)?;
        let mut received = Received::default();
        for (meta, slice) in metas.iter().zip(&slices).take(count) {
            let from = canonical(meta.addr);
            let to = meta.dst_ip.unwrap_or(self.bound.ip()).to_canonical();
            let to = SocketAddr::new(to, self.bound.port());
            let both = received.since.into_iter().chain(meta.timestamp);
            received.since = both.min();
            let bytes = slice.get(..meta.len).unwrap_or_default();
            // The system may have put several datagrams of one sender behind each other.
            for datagram in bytes.chunks(meta.stride.max(1)) {
                received.datagrams += 1;
                take(from, to, datagram);
            }
        }
        Ok(received)
    }

    /// Sends `bytes` as datagrams of `segment` bytes each, the last one with what is left.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the system has no room now.
    pub(crate) fn send(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        let run = quinn_udp::Transmit {
            destination: self.for_system(to),
            ecn: None,
            contents: bytes,
            segment_size: (bytes.len() > segment).then_some(segment),
            src_ip: (!from.ip().is_unspecified()).then_some(from.ip()),
        };
        self.state.try_send((&self.io).into(), &run)
    }

    /// An IPv6 socket wants IPv4 addresses mapped.
    fn for_system(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(v4) if self.bound.is_ipv6() => {
                SocketAddr::new(v4.to_ipv6_mapped().into(), address.port())
            }
            _ => address,
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Bytes that [`Datagrams::receive`] needs.
pub(crate) const BATCH_BYTES: usize = BATCH_SIZE * DATAGRAM_BYTES;
/// Several datagrams of one sender may arrive as one, up to the size of a UDP datagram.
const DATAGRAM_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use tokio::io::Interest;
    use tokio::net::UdpSocket;

    use super::*;

    async fn received(
        ours: &Datagrams<UdpSocket>,
    ) -> (Received, Vec<(SocketAddr, SocketAddr, Vec<u8>)>) {
        let mut buffer = vec![0; BATCH_BYTES];
        loop {
            let mut got = Vec::new();
            let take = |from, to, bytes: &[u8]| got.push((from, to, bytes.to_vec()));
            ours.io.readable().await.unwrap();
            let receive = || ours.receive(&mut buffer, take);
            match ours.io.try_io(Interest::READABLE, receive) {
                Ok(received) => return (received, got),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    #[tokio::test]
    async fn answers_leave_in_runs_from_where_they_were_asked() {
        for (is_ipv6, any) in [(true, "[::]:0"), (false, "0.0.0.0:0")] {
            let socket = unbound(is_ipv6).unwrap();
            let any: SocketAddr = any.parse().unwrap();
            socket.bind(&any.into()).unwrap();
            let socket = UdpSocket::from_std(socket.into()).unwrap();
            let ours = Datagrams::new(socket).unwrap();
            let port = ours.bound.port();
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // Not the first address of the interface.
            let asked: SocketAddr = format!("127.0.0.2:{port}").parse().unwrap();
            client.send_to(b"hello", asked).await.unwrap();
            let own = client.local_addr().unwrap();
            let (of_batch, got) = received(&ours).await;
            assert_eq!(got, [(own, asked, b"hello".to_vec())]);
            assert_eq!(of_batch.datagrams, 1);
            let before = std::time::UNIX_EPOCH.elapsed().unwrap() - of_batch.since.unwrap();
            assert!(before < Duration::from_secs(60), "{before:?}");
            assert!(ours.is_at(asked));
            assert!(!ours.is_at(own));
            ours.send(asked, own, b"welcome to all", 8).unwrap();
            for expected in [&b"welcome "[..], b"to all"] {
                let mut answer = [0; 100];
                let (length, from) = client.recv_from(&mut answer).await.unwrap();
                assert_eq!((&answer[..length], from), (expected, asked));
            }
        }
    }
}
