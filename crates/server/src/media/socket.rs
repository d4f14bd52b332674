//! A worker's share of the media port: batches in, runs of equal packets out.
//!
//! Per packet: no allocation on the way in; no copy on the way out, unless the system has no room.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tertulia_bridge::{Batch, Run};
use tertulia_model::Now;
use tracing::debug;

use super::backlog::{Backlog, Place};
use crate::datagrams::{BATCH_BYTES, Datagrams, unbound};

/// The media port, bound once for each worker.
pub(crate) struct BoundSockets {
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) port: u16,
}

/// Binds the port for so many workers. The first socket is bound without `SO_REUSEPORT`: where
/// another program, or another one of us, has the port, that fails.
pub(crate) fn bind(port: u16, workers: u16, has_ipv6: bool) -> io::Result<BoundSockets> {
    let first = unbound(has_ipv6)?;
    let any: IpAddr = if has_ipv6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    first.bind(&SocketAddr::new(any, port).into())?;
    // From here on those who ask for it too may share the port.
    first.set_reuse_port(true)?;
    let first = UdpSocket::from(first);
    let port = first.local_addr()?.port();
    let mut sockets = vec![first];
    for _ in 1..workers {
        let next = unbound(has_ipv6)?;
        next.set_reuse_port(true)?;
        next.bind(&SocketAddr::new(any, port).into())?;
        sockets.push(next.into());
    }
    Ok(BoundSockets { sockets, port })
}

/// One worker's socket.
pub(crate) struct MediaSocket {
    port: Datagrams<UdpSocket>,
    received: Box<[u8]>,
    /// Packets that the system had no room for.
    backlog: Backlog,
    sent: Sent,
}

/// What one batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) datagrams: usize,
    /// How long the oldest of them has waited to be taken in.
    pub(crate) waited: Duration,
}

/// What sending has come to since it was last asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// System calls, in vain or not.
    pub(crate) calls: u64,
    /// Packets given up because the system took none for too long.
    pub(crate) dropped: u64,
}

impl MediaSocket {
    /// Takes over a bound socket that does not block.
    pub(crate) fn new(io: UdpSocket, buffer_bytes: usize) -> io::Result<MediaSocket> {
        let port = Datagrams::new(io)?;
        port.set_buffers(buffer_bytes);
        Ok(MediaSocket {
            port,
            received: vec![0; BATCH_BYTES].into(),
            backlog: Backlog::default(),
            sent: Sent::default(),
        })
    }

    /// Whether there is something that the system had no room for.
    pub(crate) fn wants_room(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Receives one batch and hands on each datagram: from where, to which of our addresses, and
    /// what. Without any when there is nothing now.
    pub(crate) fn receive(
        &mut self,
        now: Now,
        take: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) -> io::Result<Received> {
        let batch = match self.port.receive(&mut self.received, take) {
            Ok(batch) => batch,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Received::default());
            }
            Err(error) => return Err(error),
        };
        let wall = u64::try_from(now.wall.timestamp_micros()).unwrap_or(0);
        let waited = |since| Duration::from_micros(wall).saturating_sub(since);
        Ok(Received {
            datagrams: batch.datagrams,
            waited: batch.since.map_or(Duration::ZERO, waited),
        })
    }

    /// Sends a batch and empties it, in its order: a worker drives one receiver after the other, so
    /// what goes to one stands together.
    pub(crate) fn send(&mut self, batch: &mut Batch) {
        self.send_backlog();
        let mut left = Place::default();
        if self.backlog.is_empty() {
            while let Some(run) = left.next(batch)
                && let Some(sent) = self.send_run(run)
            {
                left.advance(batch, sent);
            }
        }
        let dropped = self.backlog.append(batch, left);
        if dropped > 0 {
            self.sent.dropped += dropped as u64;
            debug!(dropped, "the system takes no more packets");
        }
        batch.clear();
    }

    /// What sending has come to since the last call.
    pub(crate) fn take_sent(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    /// Tries again to send what the system had no room for.
    pub(crate) fn send_backlog(&mut self) {
        let mut backlog = std::mem::take(&mut self.backlog);
        while let Some(run) = backlog.next()
            && let Some(sent) = self.send_run(run)
        {
            backlog.advance(sent);
        }
        self.backlog = backlog;
    }

    /// Sends as much of a run as one call takes; gives how many datagrams that was, or None when
    /// the system has no room now.
    fn send_run(&mut self, run: Run<'_>) -> Option<usize> {
        let fitting = (self.port.segments_max()).min(RUN_BYTES_MAX / run.segment);
        let (run, _) = run.split(fitting.max(1));
        let count = run.count();
        match self.send_call(run) {
            Ok(()) => return Some(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            // Segmentation may have been refused by the device; then one by one.
            Err(_) if count > 1 => {}
            Err(error) => {
                debug!(%error, "a packet could not be sent");
                return Some(1);
            }
        }
        let mut rest = Some(run);
        let mut sent = 0;
        while let Some(run) = rest {
            let (one, more) = run.split(1);
            match self.send_call(one) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => debug!(%error, "a packet could not be sent"),
            }
            sent += 1;
            rest = more;
        }
        (sent > 0).then_some(sent)
    }

    fn send_call(&mut self, run: Run<'_>) -> io::Result<()> {
        self.sent.calls += 1;
        self.port
            .send(run.source, run.destination, run.bytes, run.segment)
    }
}

impl AsFd for MediaSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.io.as_fd()
    }
}

/// What fits into one UDP datagram, which is what the system makes of a run.
const RUN_BYTES_MAX: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::sleep::Sleep;

    #[test]
    fn a_batch_arrives_in_order_and_answers_leave_from_where_they_were_asked() {
        let bound = bind(0, 2, true).unwrap();
        let port = bound.port;
        assert!(bind(port, 1, true).is_err(), "a second server is noticed");
        let mut ours: Vec<_> = bound
            .sockets
            .into_iter()
            .map(|one| MediaSocket::new(one, 1 << 20).unwrap())
            .collect();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server: SocketAddr = format!("127.0.0.2:{port}").parse().unwrap();
        client.send_to(b"hello", server).unwrap();

        let sleep = Sleep::new(std::time::Instant::now()).unwrap();
        let is_readable = |one: &MediaSocket| {
            let moment = Some(Duration::from_millis(1));
            sleep.wait(one, false, moment).unwrap().is_readable
        };
        let here = loop {
            if let Some(index) = ours.iter().position(is_readable) {
                break &mut ours[index];
            }
        };
        let mut seen = Vec::new();
        let later = crate::clock::now().later(Duration::from_secs(2));
        let received = here
            .receive(later, |from, to, data| seen.push((from, to, data.to_vec())))
            .unwrap();
        assert_eq!(received.datagrams, 1);
        let waited = received.waited.as_secs_f64();
        assert!((1.9..12.0).contains(&waited), "{waited} s");
        assert_eq!(
            seen,
            [(client.local_addr().unwrap(), server, b"hello".to_vec())]
        );

        let mut batch = Batch::default();
        for n in 0..10u8 {
            let contents = [n; 1000];
            let length = if n == 9 { 500 } else { 1000 };
            batch.push(server, client.local_addr().unwrap(), &contents[..length]);
            if n == 4 {
                // So far the system had no room; these are still the first.
                here.backlog.append(&batch, Place::default());
                batch.clear();
            }
        }
        here.send(&mut batch);
        assert!(batch.is_empty() && here.backlog.is_empty());
        let calls = here.take_sent().calls;
        assert!((1..=11).contains(&calls), "{calls}");
        assert_eq!(here.take_sent(), Sent::default());
        let mut buffer = [0; 2000];
        for n in 0..10u8 {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((buffer[0], from), (n, server));
            assert_eq!(length, if n == 9 { 500 } else { 1000 });
        }
    }
}
