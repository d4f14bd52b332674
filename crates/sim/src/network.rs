//! The network between the people and the server: lossy links for datagrams, and the delay of
//! reliable connections.
//!
//! Links draw from their own generator, once per datagram, and see sizes rounded up, so that a
//! signature that is a byte longer than last time moves nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m_netem::{Input, LossModel, Netem, NetemConfig, Output, Probability, RandomLoss, WithLen};

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
    rng: fastrand::Rng,
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
        let mut rng = fastrand::Rng::with_seed(seed);
        Link {
            netem: Netem::new(config(quality, rng.u64(..))),
            quality,
            rng,
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

    /// Changes the loss for what is sent from now on. The rest stays: str0m-netem sorts what is
    /// under way by the reordering that held when it was sent.
    pub fn set_loss(&mut self, loss: f32) {
        self.quality.loss = loss;
        self.netem
            .set_config(config(self.quality, self.rng.u64(..)));
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        self.carried += 1;
        let before = self.netem.queue_len();
        if !self.is_dark {
            self.netem.handle_input(Input::Packet(now, datagram));
        }
        if self.netem.queue_len() == before {
            self.dropped += 1;
            match self.drops.last_mut() {
                Some(last) if now < *last + Duration::from_millis(250) => {}
                _ => self.drops.push(now),
            }
        }
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
    if quality.loss > 0.0 {
        let loss = RandomLoss::new(Probability::new(quality.loss));
        config = config.loss(LossModel::Random(loss));
    }
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
                arrived.push((now.duration_since(start).as_millis(), datagram.contents[0]));
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
