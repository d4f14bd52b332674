//! What is between the two ends: delay, loss, narrow links; on virtual time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tertulia_peer::{Habits, Parcel, Peer};

use crate::end::End;

/// Both ends and both ways.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) ours: End,
    pub(crate) peer: Peer,
    /// From the peer to us.
    pub(crate) up: Way,
    /// From us to the peer.
    pub(crate) down: Way,
}

/// One direction.
pub(crate) struct Way {
    pub(crate) delay: Duration,
    /// Of a thousand datagrams so many are lost.
    pub(crate) loss: u64,
    /// Of a thousand so many are held back by 15 ms.
    pub(crate) reordered: u64,
    /// Every datagram comes twice.
    pub(crate) is_doubled: bool,
    /// Bits per second; what would wait longer than [`QUEUE`] is lost.
    pub(crate) rate: Option<u64>,
    /// Bytes that have passed.
    pub(crate) bytes: usize,
    free: Option<Instant>,
    random: u64,
    /// With the place in which it was sent: equal times keep their order.
    under_way: VecDeque<(Instant, Parcel)>,
}

impl Way {
    fn new(seed: u64) -> Way {
        Way {
            delay: Duration::from_millis(1),
            loss: 0,
            reordered: 0,
            is_doubled: false,
            rate: None,
            bytes: 0,
            free: None,
            random: seed,
            under_way: VecDeque::new(),
        }
    }

    /// Below a thousand.
    pub(crate) fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1_000
    }

    pub(crate) fn send(&mut self, now: Instant, parcel: Parcel) {
        if self.draw() < self.loss {
            return;
        }
        let mut at = now;
        if let Some(rate) = self.rate {
            let time = Duration::from_micros(parcel.data.len() as u64 * 8_000_000 / rate);
            at = self.free.map_or(now, |free| free.max(now)) + time;
            if at > now + QUEUE {
                return;
            }
            self.free = Some(at);
        }
        at += self.delay;
        if self.draw() < self.reordered {
            at += Duration::from_millis(15);
        }
        for _ in 0..1 + usize::from(self.is_doubled) {
            let place = self.under_way.partition_point(|(other, _)| *other <= at);
            self.under_way.insert(place, (at, parcel.clone()));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|(at, _)| *at)
    }

    fn arrived(&mut self, now: Instant) -> Option<Parcel> {
        let (_, parcel) = self.under_way.pop_front_if(|(at, _)| *at <= now)?;
        self.bytes += parcel.data.len();
        Some(parcel)
    }
}

impl Pair {
    /// Both, connected, with their data channel.
    pub(crate) fn new(initial_bps: Option<u64>, habits: Habits) -> Pair {
        let mut pair = Pair::begin(initial_bps, habits);
        pair.run(Duration::from_secs(2));
        assert!(pair.ours.is_connected && pair.peer.is_connected);
        pair
    }

    /// Losses are others then.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.up.random = 1 + seed;
        self.down.random = 1_000 + seed;
    }

    /// Both, as they begin to connect.
    pub(crate) fn begin(initial_bps: Option<u64>, habits: Habits) -> Pair {
        let now = Instant::now();
        let mut ours = End::new(([192, 0, 2, 1], 10_000).into(), initial_bps, now);
        let mut peer = Peer::new(([192, 0, 2, 2], 4_000).into(), habits, now);
        ours.connect(now, &mut peer, !habits.is_dtls_server);
        Pair {
            now,
            ours,
            peer,
            up: Way::new(4_711),
            down: Way::new(815),
        }
    }

    /// So much time passes.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        let own = self.ours.transport.wake();
        let all = [
            self.up.next(),
            self.down.next(),
            Some(own),
            Some(self.peer.wake),
        ];
        all.into_iter().flatten().min()
    }

    /// Everything that is due now.
    fn settle(&mut self) {
        let now = self.now;
        for _ in 0..1_000 {
            while let Some(parcel) = self.up.arrived(now) {
                self.ours.receive(now, &parcel);
            }
            while let Some(parcel) = self.down.arrived(now) {
                let way = (parcel.from, parcel.to);
                self.peer.receive(now, way, &parcel.data).unwrap();
            }
            self.ours.turn(now);
            self.peer.drive(now).unwrap();
            let here = self.peer.address;
            for parcel in std::mem::take(&mut self.ours.outbox) {
                if parcel.to == here {
                    self.down.send(now, parcel);
                }
            }
            for parcel in std::mem::take(&mut self.peer.outbox) {
                self.up.send(now, parcel);
            }
            if self.next().is_none_or(|next| next > now) {
                return;
            }
        }
        panic!("there is no end to what is due");
    }
}

const QUEUE: Duration = Duration::from_millis(200);
