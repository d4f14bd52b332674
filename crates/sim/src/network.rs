//! The network between the people and the server: lossy links for datagrams, and the delay of
//! reliable connections.
//!
//! What str0m keeps in hash maps leaves it in another order in each run, and signatures vary by a
//! byte or two. So that neither changes a story, whether a datagram is lost depends on what it is
//! (RTP: which stream and number; others: the how manieth of their kind), delay and reordering on
//! its place in the row, and sizes count rounded up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m_netem::{Input, Netem, NetemConfig, Output, WithLen};

/// One UDP datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub contents: Vec<u8>,
}

impl WithLen for Datagram {
    fn len(&self) -> usize {
        self.contents.len().next_multiple_of(32)
    }
}

/// How good one direction of a link is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    pub latency: Duration,
    pub jitter: Duration,
    /// Share of datagrams that are lost, 0 to 1.
    pub loss: f32,
    /// Every so many datagrams one overtakes the one before it.
    pub reorder_gap: Option<u32>,
}

/// One direction between a person and the server.
pub struct Link {
    netem: Netem<Datagram>,
    quality: Quality,
    seed: u64,
    /// Datagrams of each kind but RTP so far.
    seen: [u64; 3],
    /// Nothing passes at all.
    pub is_dark: bool,
    /// When datagrams were lost, one of each quarter of a second.
    drops: Vec<Instant>,
    carried: u64,
    dropped: u64,
}

impl Link {
    /// A link of this quality whose draws depend on nothing but `seed`.
    pub fn new(quality: Quality, seed: u64) -> Link {
        Link {
            netem: Netem::new(config(quality, seed)),
            quality,
            seed,
            seen: [0; 3],
            is_dark: false,
            drops: Vec::new(),
            carried: 0,
            dropped: 0,
        }
    }

    /// The present quality.
    pub fn quality(&self) -> Quality {
        self.quality
    }

    /// Changes the loss for what is sent from now on.
    pub fn set_loss(&mut self, loss: f32) {
        self.quality.loss = loss;
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        self.carried += 1;
        if !self.is_lost(&datagram.contents) && !self.is_dark {
            self.netem.handle_input(Input::Packet(now, datagram));
        } else {
            self.dropped += 1;
            match self.drops.last_mut() {
                Some(last) if now < *last + Duration::from_millis(250) => {}
                _ => self.drops.push(now),
            }
        }
    }

    fn is_lost(&mut self, contents: &[u8]) -> bool {
        let name = self.name(contents);
        let draw = fastrand::Rng::with_seed(self.seed ^ name).f32();
        draw < self.quality.loss
    }

    /// What the datagram is, the same in each run (kinds by RFC 7983 and RFC 5761).
    fn name(&mut self, contents: &[u8]) -> u64 {
        let kind = match contents {
            [128..=191, kind, ..] if !(192..224).contains(kind) => {
                let stream = contents.get(8..12).and_then(|bytes| bytes.try_into().ok());
                let number = contents.get(2..4).and_then(|bytes| bytes.try_into().ok());
                let stream = u64::from(stream.map_or(0, u32::from_be_bytes));
                return stream << 24 | u64::from(number.map_or(0, u16::from_be_bytes));
            }
            [128..=191, ..] => 0,
            [20..=63, ..] => 1,
            _ => 2,
        };
        self.seen[kind] += 1;
        (kind as u64 + 1) << 60 | self.seen[kind]
    }

    /// The next datagram that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Datagram> {
        if self.netem.is_empty() || self.netem.poll_timeout() > now {
            return None;
        }
        self.netem.handle_input(Input::Timeout(now));
        loop {
            match self.netem.poll_output()? {
                Output::Packet(datagram) => return Some(datagram),
                Output::Timeout(_) => {}
            }
        }
    }

    /// When the next datagram arrives.
    pub fn next_timeout(&self) -> Option<Instant> {
        (!self.netem.is_empty()).then(|| self.netem.poll_timeout())
    }

    /// Whether a datagram was lost between these moments, give or take a quarter of a second.
    pub fn lost_between(&self, from: Instant, to: Instant) -> bool {
        let from = from.checked_sub(Duration::from_millis(250)).unwrap_or(from);
        self.drops.iter().rev().any(|at| (from..=to).contains(at))
    }

    /// Datagrams sent and lost so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.carried, self.dropped)
    }
}

fn config(quality: Quality, seed: u64) -> NetemConfig {
    let mut config = NetemConfig::new()
        .latency(quality.latency)
        .jitter(quality.jitter.min(quality.latency))
        .seed(seed);
    if let Some(gap) = quality.reorder_gap {
        config = config.reorder_gap(gap);
    }
    config
}

/// One direction of a reliable connection: everything arrives, in order, later.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    latency: u64,
    last: u64,
}

impl Lane {
    /// A lane that takes this many milliseconds.
    pub fn new(latency: u64) -> Lane {
        Lane { latency, last: 0 }
    }

    /// When something sent at `tick` arrives.
    pub fn arrival(&mut self, tick: u64) -> u64 {
        self.last = self.last.max(tick + self.latency);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(byte: u8, length: usize) -> Datagram {
        let address = SocketAddr::from(([192, 0, 2, 1], 10_000));
        let mut contents = vec![byte; length];
        contents[..4].copy_from_slice(&[128, 100, 0, byte]);
        Datagram {
            from: address,
            to: address,
            contents: vec![byte; length],
        }
    }

    fn quality(loss: f32, reorder_gap: Option<u32>) -> Quality {
        let ms = Duration::from_millis;
        Quality {
            latency: ms(20),
            jitter: ms(5),
            loss,
            reorder_gap,
        }
    }

    fn run(seed: u64, quality: Quality, length: usize) -> (Vec<(u128, u8)>, (u64, u64)) {
        let start = Instant::now();
        let mut link = Link::new(quality, seed);
        let mut arrived = Vec::new();
        for tick in 0..400u64 {
            let now = start + Duration::from_millis(tick);
            if tick < 200 {
                link.send(now, datagram(tick as u8, length));
            }
            while let Some(datagram) = link.receive(now) {
                arrived.push((now.duration_since(start).as_millis(), datagram.contents[3]));
            }
        }
        (arrived, link.counts())
    }

    #[test]
    fn the_same_seed_loses_the_same_datagrams_at_the_same_times() {
        let (first, counts) = run(7, quality(0.1, Some(10)), 100);
        assert_eq!(
            run(7, quality(0.1, Some(10)), 101).0,
            first,
            "a byte more moves nothing"
        );
        assert_ne!(run(8, quality(0.1, Some(10)), 100).0, first);
        assert_eq!(counts.0, 200);
        assert!((5..50).contains(&counts.1), "{counts:?}");
        assert!(
            first.windows(2).any(|pair| pair[0].1 > pair[1].1),
            "some overtake others"
        );
    }

    #[test]
    fn a_clean_link_loses_nothing_and_a_dark_one_everything() {
        assert_eq!(run(1, quality(0.0, None), 50).1, (200, 0));
        let mut link = Link::new(quality(0.0, None), 1);
        link.is_dark = true;
        let now = Instant::now();
        link.send(now, datagram(1, 10));
        assert!(link.lost_between(now, now) && link.next_timeout().is_none());
    }
}
