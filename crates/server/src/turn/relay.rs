//! The sockets that send and receive for clients.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::rc::Rc;

use tertulia_model::Random;
use tertulia_turn::BindFailed;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// A relay's socket and the task that receives from it.
pub(super) struct Relay {
    pub(super) socket: Rc<UdpSocket>,
    pub(super) task: AbortHandle,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds a free port of the range, at random: who knows one relay does not know the next.
pub(super) fn bind(
    address: IpAddr,
    ports: &RangeInclusive<u16>,
    is_even: bool,
    random: &mut Random,
) -> Result<UdpSocket, BindFailed> {
    let (first, last) = (u32::from(*ports.start()), u32::from(*ports.end()));
    let count = (last + 1).saturating_sub(first).max(1);
    for _ in 0..ATTEMPTS {
        let port = first + random.u32() % count;
        let port = if is_even { port & !1 } else { port };
        if port < first {
            continue;
        }
        let port = u16::try_from(port).map_err(|_| BindFailed)?;
        if let Ok(socket) = bound(SocketAddr::new(address, port)) {
            return Ok(socket);
        }
    }
    Err(BindFailed)
}

fn bound(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

const ATTEMPTS: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_are_of_the_range_and_free() {
        let mut random = Random::from_seed([1; 32]);
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let ports = 40_001..=40_006;
        let mut held = Vec::new();
        while let Ok(socket) = bind(loopback, &ports, true, &mut random) {
            let port = socket.local_addr().unwrap().port();
            assert!(ports.contains(&port) && port % 2 == 0, "{port}");
            held.push(socket);
        }
        assert!((1..=3).contains(&held.len()), "{}", held.len());
        assert!(
            bind(loopback, &ports, false, &mut random).is_ok(),
            "odd ones are free"
        );
        let nowhere: IpAddr = "203.0.113.9".parse().unwrap();
        assert_eq!(
            bind(nowhere, &ports, false, &mut random).err(),
            Some(BindFailed)
        );
    }
}
