//! The network between the people and the server: lossy links for datagrams, and the delay of
//! reliable connections.
//!
//! What str0m keeps in hash maps leaves it in another order in each run, and signatures vary by a
//! byte or two. So that neither changes a story, nothing here depends on the order in which
//! datagrams of one millisecond were sent: whether one is lost depends on what it is (RTP: which
//! stream and number; others: the how manieth of their kind), how long it takes on the millisecond,
//! those of one millisecond travel sorted, and sizes count rounded up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One UDP datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub contents: Vec<u8>,
}

impl Datagram {
    /// The SSRC and the number of a packet of RTP; None for everything else.
    pub fn rtp(&self) -> Option<(u32, u16)> {
        match Kind::of(&self.contents) {
            Kind::Rtp(stream) => Some((stream, rtp_number(&self.contents))),
            Kind::Rtcp | Kind::Dtls | Kind::Other => None,
        }
    }
}

/// How good one direction of a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    pub latency: Duration,
    /// A datagram takes as much more or less; it overtakes none sent before it.
    pub jitter: Duration,
    /// Share of datagrams that are lost, 0 to 1.
    pub loss: f32,
    /// One in so many datagrams is late, and others overtake it.
    pub reorder_gap: Option<u32>,
    pub bursts: Option<Bursts>,
    pub bottleneck: Option<Bottleneck>,
}

/// Times at which much is lost, as in Gilbert's and Elliott's model; by time, not by datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// The usual time between two.
    pub every: Duration,
    /// The usual length of one.
    pub length: Duration,
    /// Share of datagrams that are lost meanwhile.
    pub loss: f32,
}

/// A slow part of a link, with a queue before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bottleneck {
    pub bits_per_second: u64,
    /// Who would wait longer than this is lost.
    pub queue: Duration,
}

/// One direction between a person and the server.
pub struct Link {
    quality: Quality,
    seed: u64,
    /// Datagrams of each kind so far, and their bytes; of RTP by stream.
    seen: BTreeMap<Kind, (u64, u64)>,
    /// What was sent in the present millisecond.
    fresh: BTreeMap<(Kind, u64), Datagram>,
    fresh_at: Option<Instant>,
    /// When the first one was sent: milliseconds are counted from there.
    started: Option<Instant>,
    /// By arrival, then in the order in which they left.
    travelling: BTreeMap<(Instant, u64), Datagram>,
    next_number: u64,
    /// Nothing sent later arrives before.
    last_arrival: Option<Instant>,
    /// The bottleneck is busy until then.
    busy_until: Option<Instant>,
    burst: Burst,
    /// Nothing passes at all.
    pub is_dark: bool,
    /// When datagrams were lost, one of each quarter of a second.
    drops: Vec<Instant>,
    carried: u64,
    dropped: u64,
}

/// What a datagram is (RFC 7983 and RFC 5761).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Rtcp,
    Dtls,
    Other,
    Rtp(u32),
}

/// The present or next time of much loss.
struct Burst {
    rng: fastrand::Rng,
    span: Option<(Instant, Instant)>,
}

impl Link {
    /// A link of this quality whose draws depend on nothing but `seed`.
    pub fn new(quality: Quality, seed: u64) -> Link {
        Link {
            quality,
            seed,
            seen: BTreeMap::new(),
            fresh: BTreeMap::new(),
            fresh_at: None,
            started: None,
            travelling: BTreeMap::new(),
            next_number: 0,
            last_arrival: None,
            busy_until: None,
            burst: Burst {
                rng: fastrand::Rng::with_seed(seed ^ 0xb0_57),
                span: None,
            },
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

    /// Changes the narrowest part for what is sent from now on.
    pub fn set_bottleneck(&mut self, bottleneck: Option<Bottleneck>) {
        self.quality.bottleneck = bottleneck;
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        self.depart(now);
        self.started.get_or_insert(now);
        self.carried += 1;
        let kind = Kind::of(&datagram.contents);
        let (place, bytes) = self.seen.entry(kind).or_default();
        *place += 1;
        *bytes += datagram.contents.len() as u64;
        let place = *place;
        // Of RTP the number in the stream, which is the same whoever sent what before.
        let number = match kind {
            Kind::Rtp(_) => rtp_number(&datagram.contents).into(),
            _ => place,
        };
        let draw = self.draw(kind, number).f32();
        let burst = self
            .quality
            .bursts
            .filter(|bursts| self.burst.is_on(bursts, now));
        let loss = burst.map_or(0.0, |burst| burst.loss).max(self.quality.loss);
        if draw < loss || self.is_dark {
            self.lose(now);
        } else {
            self.fresh.insert((kind, place), datagram);
            self.fresh_at = Some(now);
        }
    }

    fn lose(&mut self, now: Instant) {
        self.dropped += 1;
        match self.drops.last_mut() {
            Some(last) if now < *last + Duration::from_millis(250) => {}
            _ => self.drops.push(now),
        }
    }

    /// A generator for one datagram.
    fn draw(&self, kind: Kind, number: u64) -> fastrand::Rng {
        let name = match kind {
            Kind::Rtcp => 1 << 60 | number,
            Kind::Dtls => 2 << 60 | number,
            Kind::Other => 3 << 60 | number,
            Kind::Rtp(stream) => u64::from(stream) << 24 | number,
        };
        fastrand::Rng::with_seed(self.seed ^ name)
    }

    /// Puts what was sent in an earlier millisecond on its way.
    fn depart(&mut self, now: Instant) {
        let Some(sent) = self.fresh_at.filter(|sent| *sent < now) else {
            return;
        };
        self.fresh_at = None;
        for ((kind, place), datagram) in std::mem::take(&mut self.fresh) {
            let size = datagram.contents.len().next_multiple_of(32);
            let Some(out) = self.pass_bottleneck(sent, size) else {
                self.lose(sent);
                continue;
            };
            let arrival = self.arrival(out, kind, place);
            self.next_number += 1;
            self.travelling
                .insert((arrival, self.next_number), datagram);
        }
    }

    /// When the narrowest part lets through what reaches it at `at`; None if its queue is full.
    fn pass_bottleneck(&mut self, at: Instant, size: usize) -> Option<Instant> {
        let Some(bottleneck) = self.quality.bottleneck else {
            return Some(at);
        };
        let start = self.busy_until.map_or(at, |busy| busy.max(at));
        if start > at + bottleneck.queue {
            return None;
        }
        let nanos = size as u64 * 8 * 1_000_000_000 / bottleneck.bits_per_second.max(1);
        let out = start + Duration::from_nanos(nanos);
        self.busy_until = Some(out);
        Some(out)
    }

    fn arrival(&mut self, out: Instant, kind: Kind, place: u64) -> Instant {
        let Quality {
            latency, jitter, ..
        } = self.quality;
        let jitter = jitter.min(latency);
        // The same for all that leave together.
        let started = self.started.unwrap_or(out);
        let millisecond = out.saturating_duration_since(started).as_millis() as u64;
        let share = fastrand::Rng::with_seed(self.seed ^ 0x717e << 48 ^ millisecond).f64();
        let usual = out + (latency - jitter) + jitter.mul_f64(2.0 * share);
        let usual = self.last_arrival.map_or(usual, |last| last.max(usual));
        let is_late = self.quality.reorder_gap.is_some_and(|gap| {
            let mut draw = self.draw(kind, place);
            // The first one decided whether it is lost.
            draw.f32();
            draw.u32(0..gap.max(1)) == 0
        });
        if is_late {
            return usual + LATENESS;
        }
        self.last_arrival = Some(usual);
        usual
    }

    /// The next datagram that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Datagram> {
        self.depart(now);
        let first = self.travelling.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next datagram arrives, or a little earlier.
    pub fn next_timeout(&self) -> Option<Instant> {
        let Quality {
            latency, jitter, ..
        } = self.quality;
        let soonest = latency.saturating_sub(jitter).max(MILLISECOND);
        let fresh = self.fresh_at.map(|sent| sent + soonest);
        let first = self.travelling.keys().next().map(|(at, _)| *at);
        fresh.into_iter().chain(first).min()
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

    /// Bytes of RTP sent so far, by the SSRC of the stream.
    pub fn rtp_bytes(&self) -> impl Iterator<Item = (u32, u64)> {
        self.seen
            .iter()
            .filter_map(|(kind, (_, bytes))| match kind {
                Kind::Rtp(stream) => Some((*stream, *bytes)),
                Kind::Rtcp | Kind::Dtls | Kind::Other => None,
            })
    }
}

impl Kind {
    fn of(contents: &[u8]) -> Kind {
        match contents {
            [128..=191, kind, ..] if !(192..224).contains(kind) => {
                let stream = contents.get(8..12).and_then(|bytes| bytes.try_into().ok());
                Kind::Rtp(stream.map_or(0, u32::from_be_bytes))
            }
            [128..=191, ..] => Kind::Rtcp,
            [20..=63, ..] => Kind::Dtls,
            _ => Kind::Other,
        }
    }
}

fn rtp_number(contents: &[u8]) -> u16 {
    let number = contents.get(2..4).and_then(|bytes| bytes.try_into().ok());
    number.map_or(0, u16::from_be_bytes)
}

impl Burst {
    fn is_on(&mut self, bursts: &Bursts, now: Instant) -> bool {
        loop {
            let Some((from, to)) = self.span else {
                self.span = Some(self.next(bursts, now));
                continue;
            };
            if now < to {
                return now >= from;
            }
            self.span = Some(self.next(bursts, to));
        }
    }

    /// The next one after this moment: times between them and their lengths have no memory.
    fn next(&mut self, bursts: &Bursts, after: Instant) -> (Instant, Instant) {
        let mut draw = |usual: Duration| usual.mul_f64(-(1.0 - self.rng.f64()).ln());
        let from = after + draw(bursts.every);
        (from, from + draw(bursts.length))
    }
}

/// So much later than it should a late datagram arrives.
const LATENESS: Duration = Duration::from_millis(8);
const MILLISECOND: Duration = Duration::from_millis(1);

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

    /// An RTP packet of a stream.
    fn packet(stream: u8, number: u8, length: usize) -> Datagram {
        let address = SocketAddr::from(([192, 0, 2, 1], 10_000));
        let mut contents = vec![stream; length];
        contents[..4].copy_from_slice(&[128, 100, 0, number]);
        Datagram {
            from: address,
            to: address,
            contents,
        }
    }

    fn quality(loss: f32, reorder_gap: Option<u32>) -> Quality {
        Quality {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
            loss,
            reorder_gap,
            ..Quality::default()
        }
    }

    /// Millisecond, stream and number.
    type Arrival = (u128, u8, u8);

    /// What arrives when of two streams with a packet each millisecond, and what was sent and lost.
    fn run(
        seed: u64,
        quality: Quality,
        length: usize,
        streams: [u8; 2],
    ) -> (Vec<Arrival>, (u64, u64)) {
        let start = Instant::now();
        let mut link = Link::new(quality, seed);
        let mut arrived = Vec::new();
        for tick in 0..600u64 {
            let now = start + Duration::from_millis(tick);
            if tick < 200 {
                for stream in streams {
                    link.send(now, packet(stream, tick as u8, length));
                }
            }
            while let Some(datagram) = link.receive(now) {
                let [_, _, _, number, stream, ..] = datagram.contents[..] else {
                    panic!("too short");
                };
                arrived.push((now.duration_since(start).as_millis(), stream, number));
            }
        }
        assert!(link.next_timeout().is_none());
        (arrived, link.counts())
    }

    #[test]
    fn the_same_seed_loses_the_same_datagrams_at_the_same_times() {
        let (first, counts) = run(7, quality(0.1, Some(10)), 100, [1, 2]);
        let bytes_more = run(7, quality(0.1, Some(10)), 101, [1, 2]).0;
        assert_eq!(bytes_more, first, "a byte more moves nothing");
        let other_order = run(7, quality(0.1, Some(10)), 100, [2, 1]).0;
        assert_eq!(other_order, first, "nor who sends first in a millisecond");
        assert_ne!(run(8, quality(0.1, Some(10)), 100, [1, 2]).0, first);
        assert_eq!(counts.0, 400);
        assert!((20..80).contains(&counts.1), "{counts:?}");
        let of_one: Vec<u8> = first
            .iter()
            .filter(|one| one.1 == 1)
            .map(|one| one.2)
            .collect();
        assert!(!of_one.is_sorted(), "some overtake others");
        let in_order = run(7, quality(0.1, None), 100, [1, 2]).0;
        assert!(
            in_order
                .iter()
                .filter(|one| one.1 == 1)
                .map(|one| one.2)
                .is_sorted()
        );
    }

    #[test]
    fn a_clean_link_loses_nothing_and_a_dark_one_everything() {
        assert_eq!(run(1, quality(0.0, None), 50, [1, 2]).1, (400, 0));
        let mut link = Link::new(quality(0.0, None), 1);
        link.is_dark = true;
        let now = Instant::now();
        link.send(now, packet(1, 1, 12));
        assert!(link.lost_between(now, now) && link.next_timeout().is_none());
    }

    #[test]
    fn a_bottleneck_lets_through_what_it_can_and_keeps_the_rest_waiting() {
        let narrow = |kilobits: u64, queue| Quality {
            bottleneck: Some(Bottleneck {
                bits_per_second: kilobits * 1_000,
                queue: Duration::from_millis(queue),
            }),
            ..quality(0.0, None)
        };
        // 400 packets of 320 bytes in 200 ms.
        let wide = run(1, narrow(8_000, 100), 320, [1, 2]);
        assert_eq!(wide.1, (400, 0));
        let (arrived, (_, lost)) = run(1, narrow(2_560, 100), 320, [1, 2]);
        // A packet each millisecond, for 200 ms and the queue.
        assert!((95..=105).contains(&lost), "{lost}");
        let last = arrived.last().unwrap().0;
        assert!((310..=330).contains(&last), "{last}");
    }

    #[test]
    fn bursts_come_and_go() {
        let bursts = Bursts {
            every: Duration::from_millis(90),
            length: Duration::from_millis(10),
            loss: 1.0,
        };
        let bursty = Quality {
            bursts: Some(bursts),
            ..quality(0.0, None)
        };
        let lost: Vec<u64> = (0..40)
            .map(|seed| run(seed, bursty, 50, [1, 2]).1.1)
            .collect();
        let all: u64 = lost.iter().sum();
        assert!((800..2_400).contains(&all), "about a tenth: {lost:?}");
        assert!(
            lost.iter().all(|lost| lost % 2 == 0),
            "both streams or none"
        );
    }
}
