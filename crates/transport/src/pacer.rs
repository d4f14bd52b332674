//! When packets may leave.
//!
//! A frame comes from its sender within a millisecond or two, a key frame as forty packets at
//! once. Sent on as they come, they would overflow a narrow queue that has room for their average;
//! sent strictly one by one, each would need a timer and a datagram of its own. So packets leave in
//! runs: an average frame at once, and what is more at a multiple of the estimate, some
//! milliseconds' worth at a time.
//!
//! The pacer holds no packets. Its owner asks [`Pacer::poll`] what may leave now, sends it, says so
//! with [`Pacer::sent`], and asks again.

use std::time::{Duration, Instant};

use crate::bandwidth::Probe;

/// What may be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the packet that waits.
    Media,
    /// Nothing waits, but a probe is under way: send padding, one packet of at most so many bytes.
    Padding(usize),
    /// Nothing may leave before; ask again then.
    Wait(Instant),
    /// Nothing waits and nothing is probed.
    Idle,
}

/// The budget of one receiver.
#[derive(Debug)]
pub struct Pacer {
    rate_bps: u64,
    ahead: Duration,
    /// When what was sent so far is paid for.
    paid: Instant,
    /// Nothing leaves before: a run is being saved up for.
    resume: Option<Instant>,
    probe: Option<Running>,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    probe: Probe,
    /// From when on it is given up.
    deadline: Option<Instant>,
    sent: usize,
    packets: u32,
}

impl Pacer {
    /// A pacer that sends what is due within `ahead` at once, and begins with this rate.
    pub fn new(now: Instant, ahead: Duration, rate_bps: u64) -> Pacer {
        Pacer {
            rate_bps: rate_bps.max(1),
            ahead,
            paid: now,
            resume: None,
            probe: None,
        }
    }

    /// The rate from now on, in bits per second: [`crate::bandwidth::Estimator::pacing_bps`].
    pub fn set_rate(&mut self, rate_bps: u64) {
        self.rate_bps = rate_bps.max(1);
    }

    /// Begins a probe: from now on packets leave at its rate, and padding where none waits, until
    /// its bytes have left, in enough packets.
    pub fn begin(&mut self, probe: Probe) {
        self.probe = Some(Running {
            probe,
            deadline: None,
            sent: 0,
            packets: 0,
        });
    }

    /// Gives up the probe under way, if any.
    pub fn abandon_probe(&mut self) {
        self.probe = None;
    }

    /// What may leave now. `is_waiting` says whether a packet waits, `can_pad` whether padding
    /// could be sent.
    pub fn poll(&mut self, now: Instant, is_waiting: bool, can_pad: bool) -> Step {
        if let Some(running) = &mut self.probe {
            let length = time_of(running.probe.bytes, running.probe.rate_bps);
            let deadline = now + length * 2 + PROBE_PATIENCE;
            if running.deadline.is_none() {
                // What was sent ahead of time before is not to tear a hole into it.
                self.paid = self.paid.min(now);
                self.resume = None;
            }
            if now >= *running.deadline.get_or_insert(deadline) {
                self.probe = None;
            }
        }
        let padding = self.probe.filter(|_| can_pad).map(|running| {
            let left = running.probe.bytes.saturating_sub(running.sent);
            // The last one is no crumb: it would say little of the rate.
            left.clamp(running.probe.packet.min(PACKET), running.probe.packet)
        });
        let step = match (is_waiting, padding) {
            (true, _) => Step::Media,
            (false, Some(bytes)) => Step::Padding(bytes),
            (false, None) => return Step::Idle,
        };
        if let Some(resume) = self.resume.filter(|resume| now < *resume) {
            return Step::Wait(resume);
        }
        self.resume = None;
        let (burst, run) = match self.probe {
            Some(_) => (self.ahead, PROBE_RUN),
            None => (self.burst().max(self.ahead), RUN),
        };
        if self.paid <= now + burst {
            return step;
        }
        // Then a run's worth is paid for.
        let resume = self.paid + run - burst;
        self.resume = Some(resume);
        Step::Wait(resume)
    }

    /// So many bytes have left, paced or not: voices do not wait, but count. However long they
    /// were more than the rate, pictures begin again soon after.
    pub fn sent(&mut self, now: Instant, bytes: usize) {
        let mut rate = self.rate_bps;
        if let Some(running) = &mut self.probe {
            rate = running.probe.rate_bps;
            running.sent += bytes;
            running.packets += 1;
            let probe = &running.probe;
            if running.sent >= probe.bytes && running.packets >= probe.packets {
                self.probe = None;
            }
        }
        let cost = time_of(bytes, rate);
        let most = now + DEBT_MOST.max(self.burst().max(self.ahead) + cost);
        self.paid = (self.paid.max(now) + cost).min(most);
    }

    /// How much may leave at once beyond what is paid for, as time at the present rate.
    fn burst(&self) -> Duration {
        let least = time_of(BURST_LEAST, self.rate_bps);
        let most = time_of(BURST_MOST, self.rate_bps);
        BURST.clamp(least.min(most), most)
    }
}

/// How long so many bytes take at a rate.
fn time_of(bytes: usize, rate_bps: u64) -> Duration {
    let nanos = bytes as u64 * 8_000_000_000 / rate_bps.max(1);
    Duration::from_nanos(nanos)
}

/// An average frame at the estimate takes a thirtieth of a second; at the rate of the pacer, which
/// is two and a half times as high, this.
const BURST: Duration = Duration::from_micros(13_300);
/// Two full packets, so that none waits for another in vain; and no more than are sent in one go.
const BURST_LEAST: usize = 2_400;
const BURST_MOST: usize = 48_000;
/// What waits leaves in runs that take so long, not one by one.
const RUN: Duration = Duration::from_millis(5);
/// What did not wait for its turn makes others wait for so long at most.
const DEBT_MOST: Duration = Duration::from_millis(500);
/// In a probe, which measures by when packets left, runs are shorter.
const PROBE_RUN: Duration = Duration::from_millis(2);
/// A probe that cannot be sent is given up.
const PROBE_PATIENCE: Duration = Duration::from_millis(50);
/// The least that is asked for as padding.
const PACKET: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: Duration = Duration::from_millis(2);
    const PACKET_SIZE: usize = 1_000;

    /// Sends packets until all are gone or a second is over; when each left, in microseconds.
    fn drain(pacer: &mut Pacer, start: Instant, mut packets: usize) -> (Vec<u128>, usize) {
        let (mut now, mut times, mut turns) = (start, Vec::new(), 0);
        loop {
            match pacer.poll(now, packets > 0, true) {
                Step::Media => {
                    packets -= 1;
                    pacer.sent(now, PACKET_SIZE);
                    times.push((now - start).as_micros());
                }
                Step::Padding(bytes) => {
                    pacer.sent(now, bytes);
                    times.push((now - start).as_micros());
                }
                Step::Wait(at) => {
                    assert!(at > now);
                    now = at;
                    turns += 1;
                }
                Step::Idle => return (times, turns),
            }
        }
    }

    #[test]
    fn a_frame_leaves_at_once_and_a_key_frame_in_runs() {
        let start = Instant::now();
        // Two and a half times 2.4 Mbit/s: a frame has 10,000 bytes.
        let mut pacer = Pacer::new(start, AHEAD, 6_000_000);
        assert_eq!(drain(&mut pacer, start, 10), (vec![0; 10], 0));
        let later = start + Duration::from_secs(1);
        let (times, turns) = drain(&mut pacer, later, 66);
        assert_eq!(times.iter().filter(|time| **time == 0).count(), 10);
        let expected = (66.0 - 10.0) * PACKET_SIZE as f64 * 8.0 / 6.0;
        let last = times[65] as f64;
        assert!((last - expected).abs() < 6_000.0, "{last} µs of {expected}");
        assert!(turns <= 17, "{turns} turns for 66 packets");
    }

    #[test]
    fn over_time_no_more_leaves_than_the_rate() {
        for rate in [30_000u64, 300_000, 5_000_000, 50_000_000] {
            let start = Instant::now();
            let mut pacer = Pacer::new(start, AHEAD, rate);
            let (times, _) = drain(&mut pacer, start, 500);
            let bytes = 500 * PACKET_SIZE;
            let burst = pacer.burst().max(AHEAD).as_micros() + RUN.as_micros();
            let packets = time_of(2 * PACKET_SIZE, rate).as_micros();
            let all = time_of(bytes, rate).as_micros();
            let last = times[499];
            assert!(last + burst + packets >= all, "{last} µs at {rate}");
            let most = all + RUN.as_micros();
            assert!(last <= most, "{last} µs at {rate}");
        }
    }

    #[test]
    fn voices_beyond_the_rate_hold_pictures_back_for_a_moment_only() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, AHEAD, 100_000);
        // Four times the rate, for a minute.
        for step in 0..6_000 {
            pacer.sent(start + Duration::from_millis(10) * step, 500);
        }
        let mut now = start + Duration::from_secs(60);
        let silent = now;
        while let Step::Wait(at) = pacer.poll(now, true, false) {
            now = at;
        }
        assert!(now - silent <= DEBT_MOST, "{:?}", now - silent);
    }

    #[test]
    fn what_is_not_used_is_not_saved_up() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, AHEAD, 6_000_000);
        let later = start + Duration::from_secs(3_600);
        let (times, _) = drain(&mut pacer, later, 40);
        assert!(times.iter().filter(|time| **time == 0).count() <= 11);
    }

    #[test]
    fn voices_count_but_do_not_wait() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, AHEAD, 800_000);
        for _ in 0..10 {
            pacer.sent(start, PACKET_SIZE);
        }
        let Step::Wait(at) = pacer.poll(start, true, false) else {
            panic!("all is spent");
        };
        assert!(at > start + Duration::from_millis(70));
        assert_eq!(pacer.poll(start, false, false), Step::Idle);
    }

    #[test]
    fn a_probe_leaves_evenly_at_its_rate() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, AHEAD, 2_500_000);
        let probe = Probe {
            rate_bps: 8_000_000,
            bytes: 20_000,
            packets: 5,
            packet: 1_000,
        };
        pacer.begin(probe);
        let (times, _) = drain(&mut pacer, start, 5);
        assert_eq!(times.len(), 20, "five of media, the rest is padding");
        let last = times[19];
        assert!((16_000..=19_500).contains(&last), "{last} µs");
        let at_once = times.iter().filter(|time| **time == times[10]).count();
        assert!(at_once <= 3, "{at_once} packets in one run");
        assert_eq!(pacer.poll(start, false, true), Step::Idle, "it is over");
    }

    #[test]
    fn a_probe_does_not_wait_for_what_left_before() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, AHEAD, 500_000);
        // A frame that takes 64 milliseconds, sent at once; and another packet waits.
        pacer.sent(start, 4 * PACKET_SIZE);
        assert!(matches!(pacer.poll(start, true, true), Step::Wait(_)));
        pacer.begin(Probe {
            rate_bps: 1_000_000,
            bytes: 2_000,
            packets: 5,
            packet: 200,
        });
        let (times, _) = drain(&mut pacer, start, 0);
        assert_eq!((times.len(), times[0]), (10, 0));
        assert!((12_000..=18_000).contains(&times[9]), "{} µs", times[9]);
    }

    #[test]
    fn a_probe_in_few_large_packets_goes_on_with_small_ones() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, AHEAD, 500_000);
        pacer.begin(Probe {
            rate_bps: 1_000_000,
            bytes: 2_000,
            packets: 5,
            packet: 200,
        });
        let (times, _) = drain(&mut pacer, start, 2);
        assert_eq!(times.len(), 5, "two of media, three of padding");
        assert_eq!(pacer.poll(start, false, true), Step::Idle, "it is over");
    }

    #[test]
    fn a_probe_that_cannot_leave_is_given_up() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, AHEAD, 2_500_000);
        let probe = Probe {
            rate_bps: 8_000_000,
            bytes: 20_000,
            packets: 5,
            packet: 1_000,
        };
        pacer.begin(probe);
        assert_eq!(
            pacer.poll(start, false, false),
            Step::Idle,
            "nothing to pad with"
        );
        let later = start + Duration::from_millis(100);
        assert_eq!(pacer.poll(later, false, true), Step::Idle);
        pacer.begin(probe);
        assert_eq!(pacer.poll(later, false, true), Step::Padding(1_000));
        pacer.abandon_probe();
        assert_eq!(pacer.poll(later, false, true), Step::Idle);
    }
}
