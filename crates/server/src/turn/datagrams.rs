//! A UDP port to which clients come. Answers leave from the address that was asked.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::trace;

/// Binds one; a program that has the port already is noticed.
pub(super) fn bind(address: SocketAddr) -> io::Result<StdUdpSocket> {
    let new = |address| {
        Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )
    };
    let (socket, address) = match new(address) {
        Ok(socket) => (socket, address),
        // All interfaces of a machine without IPv6.
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            (new(v4)?, v4)
        }
        Err(error) => return Err(error),
    };
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

pub(super) struct Datagrams {
    io: UdpSocket,
    state: UdpSocketState,
    bound: SocketAddr,
}

impl Datagrams {
    /// Takes over a bound socket; inside the thread's runtime.
    pub(super) fn new(socket: StdUdpSocket) -> io::Result<Datagrams> {
        let bound = socket.local_addr()?;
        let io = UdpSocket::from_std(socket)?;
        let state = UdpSocketState::new((&io).into())?;
        Ok(Datagrams { io, state, bound })
    }

    /// Whether packets to this address of ours arrive here.
    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        let ip = self.bound.ip().to_canonical();
        self.bound.port() == address.port() && (ip.is_unspecified() || ip == address.ip())
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Receives one batch into `buffer` and hands on each datagram: from where, to which of our
    /// addresses, and what. Gives how many there were; 0 when there is nothing now.
    pub(super) fn receive(
        &self,
        buffer: &mut [u8],
        mut take: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> io::Result<usize> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut chunks = buffer.chunks_exact_mut(DATAGRAM_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = self.io.try_io(Interest::READABLE, || {
            self.state.recv((&self.io).into(), &mut slices, &mut metas)
        });
        let count = match received {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut datagrams = 0;
        for (meta, slice) in metas.iter().zip(&slices).take(count) {
            let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let to = meta.dst_ip.unwrap_or(self.bound.ip()).to_canonical();
            let to = SocketAddr::new(to, self.bound.port());
            let bytes = slice.get(..meta.len).unwrap_or_default();
            // The system may have put several datagrams of one sender behind each other.
            for datagram in bytes.chunks(meta.stride.max(1)) {
                datagrams += 1;
                take(from, to, datagram);
            }
        }
        Ok(datagrams)
    }

    /// Sends one; what the system has no room for is lost, as on any network.
    pub(super) fn send(&self, from: SocketAddr, to: SocketAddr, contents: &[u8]) {
        let destination = match to.ip() {
            IpAddr::V4(v4) if self.bound.is_ipv6() => {
                SocketAddr::new(v4.to_ipv6_mapped().into(), to.port())
            }
            _ => to,
        };
        let datagram = quinn_udp::Transmit {
            destination,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: (!from.ip().is_unspecified()).then_some(from.ip()),
        };
        let sent = self.io.try_io(Interest::WRITABLE, || {
            self.state.try_send((&self.io).into(), &datagram)
        });
        if let Err(error) = sent {
            trace!(%error, "a packet could not be sent");
        }
    }
}

/// Bytes that [`Datagrams::receive`] needs.
pub(super) const BATCH_BYTES: usize = BATCH_SIZE * DATAGRAM_BYTES;
/// Several datagrams of one sender may arrive as one, up to the size of a UDP datagram.
const DATAGRAM_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_leave_from_where_they_were_asked() {
        let ours = Datagrams::new(bind("[::]:0".parse().unwrap()).unwrap()).unwrap();
        let port = ours.bound.port();
        assert!(bind(ours.bound).is_err(), "a second server is noticed");
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // Not the first address of the interface.
        let asked: SocketAddr = format!("127.0.0.2:{port}").parse().unwrap();
        client.send_to(b"hello", asked).await.unwrap();
        let mut buffer = vec![0; BATCH_BYTES];
        let mut got = Vec::new();
        while got.is_empty() {
            ours.readable().await.unwrap();
            let take = |from, to, bytes: &[u8]| got.push((from, to, bytes.to_vec()));
            ours.receive(&mut buffer, take).unwrap();
        }
        let own = client.local_addr().unwrap();
        assert_eq!(got, [(own, asked, b"hello".to_vec())]);
        assert!(ours.is_at(asked));
        ours.send(asked, own, b"welcome");
        let mut answer = [0; 100];
        let (length, from) = client.recv_from(&mut answer).await.unwrap();
        assert_eq!((&answer[..length], from), (&b"welcome"[..], asked));
    }
}
