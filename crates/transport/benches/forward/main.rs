//! What forwarding one packet costs, in memory: this crate, bare str0m, and the least that it can
//! cost, beside each other in one run.
//!
//! One sender, 1, 10 and 50 receivers, 1,000 packets of 1,200 bytes per second, ten per wake-up,
//! sealed with AES-256-GCM, with bandwidth estimation and without; virtual time, no sockets.
//! Timed is what a bridge does that looks at nothing: take in, decrypt, give each receiver its
//! header, pace, keep, seal, and answer what clients report. All three do it on the same packets,
//! one after the other in each round.
//!
//! With the argument `profile`, this crate's part alone, for some seconds, under a sampling profiler.
//!
//! Thread CPU time, medians of rounds; a fixed integer loop before and after tells whether the
//! machine changed its speed meanwhile.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a program for measuring, and the tests' peer"
)]

use std::net::SocketAddr;
use std::time::Duration;

use tertulia_gauge::{Rows, Speed, median};

use crate::bare::Bare;
use crate::floor::Floor;
use crate::ours::Ours;

mod bare;
mod floor;
mod ours;

fn main() {
    if std::env::args().any(|argument| argument == "profile") {
        let mut ours = Ours::new(50, true);
        let spent: u64 = (0..PROFILED).map(|_| ours.tick()).sum();
        println!("{:.0} ns a packet", spent as f64 / ours.arrived as f64);
        return;
    }
    let speed = Speed::measure();
    let rows = Rows::new("transport").unwrap();
    let mut cases = CASES.map(|(receivers, is_estimated, goal)| {
        let mut case = Case::new(receivers, is_estimated, goal);
        case.warm_up();
        case
    });
    for _ in 0..ROUNDS {
        for case in &mut cases {
            case.round();
        }
    }
    println!(
        "{:<36} {:>7} {:>7} {:>7} {:>8} {:>8} {:>6}",
        "forwarding one packet to", "floor", "ours", "str0m", "÷ floor", "÷ str0m", "goal"
    );
    for case in &mut cases {
        case.print(&rows);
    }
    speed.warn_if_changed();
}

/// So many receivers, three times.
struct Case {
    receivers: usize,
    is_estimated: bool,
    goal: f64,
    floor: Floor,
    ours: Ours,
    bare: Bare,
    /// Nanoseconds per packet, by round.
    costs: [Vec<f64>; 3],
}

impl Case {
    fn new(receivers: usize, is_estimated: bool, goal: f64) -> Case {
        Case {
            receivers,
            is_estimated,
            goal,
            floor: Floor::new(receivers),
            ours: Ours::new(receivers, is_estimated),
            bare: Bare::new(receivers, is_estimated),
            costs: Default::default(),
        }
    }

    /// Until stores are full and estimates settled.
    fn warm_up(&mut self) {
        for _ in 0..WARM_UP {
            self.floor.tick();
            self.ours.tick();
            self.bare.tick();
        }
    }

    fn round(&mut self) {
        let ticks = (PACKETS_PER_ROUND / BATCH / self.receivers).max(TICKS_PER_ROUND);
        let packets = ticks * BATCH * self.receivers;
        let (ours, bare) = (self.ours.arrived, self.bare.arrived);
        let spent = [
            (0..ticks).map(|_| self.floor.tick()).sum::<u64>(),
            (0..ticks).map(|_| self.ours.tick()).sum(),
            (0..ticks).map(|_| self.bare.tick()).sum(),
        ];
        // Both must have done the work: all has left but what a pacer holds at the end.
        for arrived in [self.ours.arrived - ours, self.bare.arrived - bare] {
            let share = arrived as f64 / packets as f64;
            assert!((0.97..1.03).contains(&share), "{share} of what was sent");
        }
        for (costs, spent) in self.costs.iter_mut().zip(spent) {
            costs.push(spent as f64 / packets as f64);
        }
    }

    fn print(&mut self, rows: &Rows) {
        let estimation = if self.is_estimated { "on" } else { "off" };
        let plural = if self.receivers == 1 { "" } else { "s" };
        let name = format!(
            "{} receiver{plural}, estimation {estimation}",
            self.receivers
        );
        let [floor, ours, bare] = self.costs.each_mut().map(|costs| median(costs));
        let goal = self.goal;
        println!(
            "{name:<36} {floor:>7.0} {ours:>7.0} {bare:>7.0} {:>8.2} {:>8.2} {goal:>6}",
            ours / floor,
            ours / bare
        );
        let name = format!("transport: forward to {name} ÷ floor");
        rows.add(&name, ours / floor, Some(goal)).unwrap();
    }
}

/// The address of one end.
fn address(host: u8, number: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, host], 4_000 + u16::from(number)))
}

/// Receivers, estimation, and ours ÷ floor: what was reached when this was written, with other work
/// on the machine. Quiet it is about a sixth less: the floor hardly needs memory, this does.
const CASES: [(usize, bool, f64); 6] = [
    (1, false, 2.7),
    (10, false, 2.5),
    (50, false, 2.6),
    (1, true, 2.9),
    (10, true, 2.8),
    (50, true, 3.2),
];
const ROUNDS: usize = 11;
/// Four seconds.
const WARM_UP: usize = 400;
/// Half a second, so that what happens now and then is in every round.
const TICKS_PER_ROUND: usize = 50;
const PACKETS_PER_ROUND: usize = 5_000;
/// Twenty seconds.
const PROFILED: usize = 2_000;
const BATCH: usize = 10;
const TICK: Duration = Duration::from_millis(10);
/// With header, extensions and tag 1,200 bytes.
const PAYLOAD: usize = 1_160;
/// Packets that are kept for retransmission.
const KEPT: usize = 256;
/// Twice what is sent.
const INITIAL_BPS: u64 = 20_000_000;
const LEAST_BPS: u64 = 100_000;
