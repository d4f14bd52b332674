//! Everybody on the load's side, driven by one thread, and what a server needs meanwhile.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::bail;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tertulia_gauge::cpu_ns;

use crate::peer::Peer;
use crate::process::Process;
use crate::report::percentile;

/// The way in which a participant talks with its server.
pub(crate) trait Signalling: Send {
    /// Answers what the server wants to know or tells, without waiting.
    fn serve(&mut self, peer: &mut Peer) -> anyhow::Result<()>;
}

/// A participant.
pub(crate) struct Participant {
    pub(crate) peer: Peer,
    pub(crate) signalling: Box<dyn Signalling>,
}

/// Everybody.
#[derive(Default)]
pub(crate) struct Stage {
    pub(crate) participants: Vec<Participant>,
    served: Option<Instant>,
}

/// What a stretch of time cost and brought.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) bytes: u64,
    /// Processor time of the server.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) memory: u64,
    pub(crate) delay_p50_us: f64,
    pub(crate) delay_p99_us: f64,
    /// The share of its core that the load itself took.
    pub(crate) generator: f64,
}

impl Window {
    /// Processor time per packet that arrived, in nanoseconds.
    pub(crate) fn per_packet_ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.received as f64
    }

    /// Processor seconds per Gbit of payload that arrived.
    pub(crate) fn per_gbit(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 * 8.0 / 1e9)
    }

    pub(crate) fn print(&self, name: &str) {
        println!(
            "{name}: {} sent, {} arrived in {:.1} s; server {:.2} s of CPU = {:.0} ns a packet, \
             {:.3} s a Gbit; delay p50 {:.1} ms, p99 {:.1} ms; generator at {:.0} % of its core",
            self.sent,
            self.received,
            self.wall.as_secs_f64(),
            self.cpu.as_secs_f64(),
            self.per_packet_ns(),
            self.per_gbit(),
            self.delay_p50_us / 1e3,
            self.delay_p99_us / 1e3,
            self.generator * 100.0,
        );
    }
}

impl Stage {
    pub(crate) fn push(&mut self, peer: Peer, signalling: Box<dyn Signalling>) {
        self.participants.push(Participant { peer, signalling });
    }

    /// Drives everybody until then.
    pub(crate) fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        self.run_until(|_| false, end)?;
        Ok(())
    }

    /// Drives everybody until something holds; false if it does not come in time.
    pub(crate) fn run_until(
        &mut self,
        holds: impl Fn(&[Participant]) -> bool,
        end: Instant,
    ) -> anyhow::Result<bool> {
        loop {
            let now = Instant::now();
            if holds(&self.participants) {
                return Ok(true);
            }
            if now >= end {
                return Ok(false);
            }
            if self.served.is_none_or(|served| served + SERVE <= now) {
                self.served = Some(now);
                for participant in &mut self.participants {
                    participant.signalling.serve(&mut participant.peer)?;
                }
            }
            let wakes = self.participants.iter().map(|one| one.peer.wake());
            let wake = wakes.min().unwrap_or(end).min(now + SERVE).min(end);
            let readable = self.wait(wake.saturating_duration_since(now))?;
            for (participant, is_readable) in self.participants.iter_mut().zip(readable) {
                participant.peer.turn(is_readable)?;
            }
        }
    }

    /// Waits for datagrams; who has some.
    fn wait(&self, time: Duration) -> anyhow::Result<Vec<bool>> {
        let sockets = self.participants.iter().map(|one| one.peer.socket.as_fd());
        let mut fds: Vec<PollFd<'_>> = sockets
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let time = Timespec {
            tv_sec: time.as_secs().try_into()?,
            tv_nsec: time.subsec_nanos().into(),
        };
        poll(&mut fds, Some(&time))?;
        Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
    }

    /// What a stretch of time costs `server`.
    pub(crate) fn measure(&mut self, server: &Process, time: Duration) -> anyhow::Result<Window> {
        let packets = self.packets();
        for participant in &mut self.participants {
            participant.peer.received.delays = Some(Vec::with_capacity(100_000));
        }
        let (start, own, before) = (Instant::now(), cpu_ns(), server.cpu()?);
        self.run(time)?;
        let cpu = server.cpu()?.since(&before);
        let (wall, own) = (start.elapsed(), cpu_ns() - own);
        let (sent, received, bytes) = self.packets();
        let received_before = packets.1;
        let mut delays: Vec<u32> = Vec::new();
        for participant in &mut self.participants {
            delays.extend(participant.peer.received.delays.take().unwrap_or_default());
        }
        Ok(Window {
            sent: sent - packets.0,
            received: received - received_before,
            bytes: bytes - packets.2,
            cpu,
            wall,
            memory: server.memory()?,
            delay_p50_us: percentile(&mut delays, 50),
            delay_p99_us: percentile(&mut delays, 99),
            generator: own as f64 / wall.as_nanos() as f64,
        })
    }

    /// Drives everybody until what is sent to `fan_out` receivers each also arrives; the
    /// estimation of a server may take a while to trust the network.
    pub(crate) fn warm_up(&mut self, fan_out: usize, seconds: u32) -> anyhow::Result<()> {
        let mut share = 0.0;
        let mut good = 0;
        for _ in 0..seconds {
            let (sent, received, _) = self.packets();
            self.run(Duration::from_secs(1))?;
            let (sent_after, received_after, _) = self.packets();
            let expected = (sent_after - sent) as f64 * fan_out as f64;
            share = (received_after - received) as f64 / expected;
            good = if (0.97..1.03).contains(&share) {
                good + 1
            } else {
                0
            };
            if good >= 3 {
                return Ok(());
            }
        }
        if (0.9..1.1).contains(&share) {
            // Said, so that nobody believes in the third digit.
            println!(
                "not quiet here: after {seconds} s {:.1} % of what is sent arrives",
                share * 100.0
            );
            return Ok(());
        }
        bail!(
            "after {seconds} s only {:.1} % of what is sent arrives",
            share * 100.0
        )
    }

    /// Packets sent and received so far, and bytes received.
    fn packets(&self) -> (u64, u64, u64) {
        let mut sum = (0, 0, 0);
        for participant in &self.participants {
            let peer = &participant.peer;
            sum.0 += peer.camera.as_ref().map_or(0, |camera| camera.sent);
            sum.1 += peer.received.packets;
            sum.2 += peer.received.bytes;
        }
        sum
    }
}

/// Drives everybody until all are connected.
pub(crate) fn connect(stage: &mut Stage) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(10);
    let is_up = stage.run_until(|all| all.iter().all(|one| one.peer.is_connected), end)?;
    if !is_up {
        bail!("no connection after 10 s");
    }
    Ok(())
}

/// How often signalling is looked at.
const SERVE: Duration = Duration::from_millis(100);
