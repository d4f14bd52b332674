//! Short bursts that show whether the link has more than is believed.
//!
//! A bridge sends what layers need, which is mostly less than the link has: from that nothing can
//! be learnt about the rest. Growing slowly towards it would mean padding for minutes. A burst of
//! some twentieths of a second tells at once: packets that leave faster than the narrowest part of
//! the link can pass them on arrive at its rate. It is short enough to cost next to nothing where
//! there is no more (two kilobytes in four seconds at 300 kbit/s), so it can be repeated often, and
//! a link that has become wider is noticed soon.

use super::Probe;

/// When to probe, and what the probe under way found.
#[derive(Debug)]
pub(super) struct Prober {
    running: Option<Cluster>,
    /// No probe before.
    next: i64,
    /// From a probe that found nothing to the next.
    pause: i64,
    /// How many times the estimate is tried.
    factor: f64,
    /// When a probe raised the estimate last, and when one ended.
    raised: Option<i64>,
    ended: Option<i64>,
    /// How long probes were of no use last.
    vain: i64,
    /// How many in a row told nothing.
    mute: u32,
}

/// A probe under way.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    probe: Probe,
    began: i64,
    /// Bytes and packets that left for it, and when the last one did.
    bytes: usize,
    last_sent: i64,
    packets: u32,
    arrived: u32,
    lost: u32,
    first: Option<Arrival>,
    last: Option<Arrival>,
    /// Bytes that arrived, and of them those that left together with the last.
    arrived_bytes: u64,
    last_run: u64,
    is_whole: bool,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    sent: i64,
    arrived: i64,
    bytes: u64,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finding {
    /// The link has so many bits per second at least.
    pub(super) bps: f64,
    /// It has no more than that: packets arrived more slowly than they left.
    pub(super) is_all: bool,
}

/// What is known when a probe is to be planned, in bits per second and microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) estimate: f64,
    /// What the next step up takes.
    pub(super) step: f64,
    pub(super) desired: f64,
    pub(super) most: f64,
    /// How much delays vary.
    pub(super) noise: i64,
}

impl Prober {
    pub(super) fn new(now: i64) -> Prober {
        Prober {
            running: None,
            next: now,
            pause: PAUSE_MIN,
            factor: FACTOR_FIRST,
            raised: None,
            ended: None,
            vain: 0,
            mute: 0,
        }
    }

    /// When the next probe may begin; None while one is under way.
    pub(super) fn next(&self) -> Option<i64> {
        self.running.is_none().then_some(self.next)
    }

    /// Whether more is wanted by so much that a probe is worth it.
    pub(super) fn is_wanted(situation: &Situation) -> bool {
        situation.desired > situation.estimate * WORTH && situation.estimate < situation.most
    }

    /// Begins a probe.
    pub(super) fn begin(&mut self, now: i64, situation: &Situation) -> Probe {
        let more = situation.estimate * self.factor;
        let step = (situation.step * BEYOND_STEP).min(situation.estimate * FACTOR_MOST);
        let rate = more
            .max(step)
            .min((situation.desired * BEYOND_DESIRED).max(situation.estimate * WORTH))
            .min(situation.most * BEYOND_MOST);
        let length = (situation.noise * LENGTH_NOISE).clamp(LENGTH_MIN, LENGTH_MAX);
        let length = if self.vain > 0 { LENGTH_VAIN } else { length };
        let bytes = (rate * length as f64 / 8e6) as usize;
        let bytes = bytes.max(PACKETS_MIN as usize * PACKET_MIN);
        let probe = Probe {
            rate_bps: rate as u64,
            bytes,
            packets: PACKETS_LEAST,
            packet: (bytes / PACKETS).clamp(PACKET_MIN, PACKET_MAX),
        };
        self.running = Some(Cluster {
            probe,
            began: now,
            bytes: 0,
            last_sent: now,
            packets: 0,
            arrived: 0,
            lost: 0,
            first: None,
            last: None,
            arrived_bytes: 0,
            last_run: 0,
            is_whole: false,
        });
        probe
    }

    /// A packet leaves; whether it belongs to a probe.
    pub(super) fn note_sent(&mut self, now: i64, bytes: usize) -> bool {
        let Some(cluster) = self.running.as_mut().filter(|cluster| !cluster.is_whole) else {
            return false;
        };
        cluster.bytes += bytes;
        cluster.packets += 1;
        cluster.last_sent = now;
        let probe = &cluster.probe;
        cluster.is_whole = cluster.bytes >= probe.bytes && cluster.packets >= probe.packets;
        true
    }

    /// A packet of the probe arrived, or did not. In the order of sending.
    pub(super) fn note_report(&mut self, sent: i64, bytes: u32, arrived: Option<i64>) {
        // What belongs to a former one left before.
        let Some(cluster) = self.running.as_mut().filter(|one| sent >= one.began) else {
            return;
        };
        let Some(arrived) = arrived else {
            cluster.lost += 1;
            return;
        };
        let bytes = u64::from(bytes);
        cluster.arrived += 1;
        cluster.arrived_bytes += bytes;
        let is_together = cluster.last.is_some_and(|last| last.sent == sent);
        cluster.last_run = if is_together { cluster.last_run } else { 0 } + bytes;
        let arrival = Arrival {
            sent,
            arrived: cluster
                .last
                .map_or(arrived, |last| last.arrived.max(arrived)),
            bytes,
        };
        cluster.first.get_or_insert(arrival);
        cluster.last = Some(arrival);
    }

    /// After each feedback, with when the last packet left that was reported on: what the probe
    /// found, if it is over. `usual` is the share of packets that is always lost.
    pub(super) fn finish(
        &mut self,
        now: i64,
        reported: i64,
        noise: i64,
        usual: f64,
    ) -> Option<Finding> {
        let cluster = self.running?;
        let is_reported = cluster.arrived + cluster.lost >= cluster.packets;
        let is_passed = reported > cluster.last_sent;
        if !(cluster.is_whole && (is_reported || is_passed)) {
            return None;
        }
        self.running = None;
        self.ended = Some(now);
        let finding = cluster.finding(noise, usual);
        let enough = cluster.probe.rate_bps as f64 * TELLING;
        let is_telling = finding.is_some_and(|found| found.is_all || found.bps >= enough);
        if is_telling || self.mute >= MUTE_MOST {
            self.mute = 0;
            self.factor = FACTOR_AGAIN;
            self.rest(now);
        } else {
            // It did not leave as it should have, or the report on it was lost.
            self.mute += 1;
            self.next = now + PAUSE_MUTE.max(self.vain);
        }
        finding
    }

    fn rest(&mut self, now: i64) {
        self.next = now + self.pause.max(self.vain);
        self.pause = (self.pause * 3 / 2).min(PAUSE_MAX);
    }

    /// Gives up a probe that did not leave, or that nothing came back of. `response` is how long
    /// feedback takes.
    pub(super) fn expire(&mut self, now: i64, response: i64) {
        if let Some(cluster) = &self.running
            && now >= cluster.began + PATIENCE + response
        {
            self.running = None;
            self.rest(now);
        }
    }

    /// When [`Prober::expire`] would give one up.
    pub(super) fn expiry(&self, response: i64) -> Option<i64> {
        let cluster = self.running.as_ref()?;
        Some(cluster.began + PATIENCE + response)
    }

    /// The last one has raised the estimate, and may not have found all: the next comes at once.
    pub(super) fn note_raised(&mut self, now: i64, is_all: bool) {
        self.raised = Some(now);
        self.factor = FACTOR;
        if !is_all {
            self.next = now;
            self.pause = (self.pause / 2).max(PAUSE_MIN);
        }
    }

    /// The link was found to be full. A link that has become narrow may become wide again soon; one
    /// that only a probe has filled, or took for wide, is left alone for longer and longer.
    pub(super) fn note_full(&mut self, now: i64) {
        let was_probed = self.running.take().is_some()
            || self.ended.is_some_and(|at| now - at < FILLED)
            || self.raised.take().is_some_and(|at| now - at < MISTAKEN);
        if was_probed {
            self.rest(now);
        } else {
            self.pause = PAUSE_MIN;
            self.next = now + self.pause.max(self.vain);
        }
    }

    /// The link loses what is beyond its rate, but may let short bursts pass: probes tell little.
    pub(super) fn note_vain(&mut self, now: i64) {
        self.vain = (self.vain * 2).clamp(VAIN_MIN, VAIN_MAX);
        self.next = now + self.vain;
    }

    /// More is wanted: the next need not wait for its turn.
    pub(super) fn hasten(&mut self, now: i64) {
        if self.vain == 0 {
            self.next = self.next.min(now + PAUSE_MIN / 2);
        }
    }

    /// The next comes as soon as possible.
    pub(super) fn begin_anew(&mut self, now: i64) {
        *self = Prober::new(now);
    }
}

impl Cluster {
    fn finding(&self, noise: i64, usual: f64) -> Option<Finding> {
        let (first, last) = (self.first?, self.last?);
        if self.arrived < PACKETS_ARRIVED || self.arrived_bytes * 2 < self.probe.bytes as u64 {
            return None;
        }
        let (sent, arrived) = (last.sent - first.sent, last.arrived - first.arrived);
        if sent <= 0 {
            return None;
        }
        // What is always lost would have arrived on a better day; what a full queue drops would
        // not.
        let loss = f64::from(self.lost) / f64::from(self.lost + self.arrived);
        let chance = LOSS_CHANCE / f64::from(self.lost + self.arrived).sqrt();
        let scale = if loss <= usual + chance {
            1.0 / (1.0 - loss)
        } else {
            1.0
        };
        let rate = |bytes: u64, span: i64| bytes as f64 * 8e6 * scale / span as f64;
        let left = rate(self.arrived_bytes - self.last_run, sent);
        let came = rate(self.arrived_bytes - first.bytes, arrived.max(1));
        let is_all = arrived - sent > (sent / 10).max(noise);
        Some(Finding {
            bps: left.min(came * SAFE),
            is_all,
        })
    }
}

/// How many times the estimate is tried: at first, after a probe that found more, and after one that
/// did not.
const FACTOR_FIRST: f64 = 3.0;
const FACTOR: f64 = 2.0;
const FACTOR_AGAIN: f64 = 1.5;
/// What the next step takes is tried even where it is more, up to so many times the estimate.
const FACTOR_MOST: f64 = 4.0;
const BEYOND_STEP: f64 = 1.3;
/// More than this times what is wanted is of no use.
const BEYOND_DESIRED: f64 = 1.5;
const BEYOND_MOST: f64 = 1.1;
/// So much more has to be wanted.
const WORTH: f64 = 1.2;
/// A probe's packets, where the rate leaves the choice.
const PACKETS: usize = 12;
/// A measurement takes so many of that size; so many, of whatever size; and so many that arrive.
const PACKETS_MIN: u32 = 8;
const PACKETS_LEAST: u32 = 5;
const PACKETS_ARRIVED: u32 = 4;
const PACKET_MIN: usize = 200;
const PACKET_MAX: usize = 1_200;
/// A probe's length, in microseconds: several times what delays vary by.
const LENGTH_NOISE: i64 = 2;
const LENGTH_MIN: i64 = 20_000;
const LENGTH_MAX: i64 = 80_000;
/// Where short ones tell little.
const LENGTH_VAIN: i64 = 150_000;
/// From one probe to the next, in microseconds; longer after each that has found nothing.
const PAUSE_MIN: i64 = 2_000_000;
const PAUSE_MAX: i64 = 4_000_000;
/// One that left at less than this share of its rate, and got through, tells nothing of the link: it
/// is made up for soon, so many times in a row.
const TELLING: f64 = 0.7;
const MUTE_MOST: u32 = 1;
const PAUSE_MUTE: i64 = 300_000;
/// How long probes are left out where they tell little, in microseconds; longer each time.
const VAIN_MIN: i64 = 8_000_000;
const VAIN_MAX: i64 = 120_000_000;
/// A link that is full so soon after a probe was not as wide as that said.
const MISTAKEN: i64 = 5_000_000;
/// A queue so soon after a probe is the probe's.
const FILLED: i64 = 500_000;
/// A probe that has not left after so long never will.
const PATIENCE: i64 = 500_000;
/// So much more of a hundred packets than usual may be lost by chance, times ten.
const LOSS_CHANCE: f64 = 0.7;
/// Of the rate at which packets arrived so much is believed.
const SAFE: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    const SITUATION: Situation = Situation {
        estimate: 1e6,
        step: 0.0,
        desired: 20e6,
        most: 20e6,
        noise: 0,
    };

    /// Sends a probe over a link of such a rate that loses one in so many; what it finds.
    fn probe(prober: &mut Prober, now: i64, link: f64, lost: Option<u32>) -> Option<Finding> {
        let probe = prober.begin(now, &SITUATION);
        let interval = probe.packet as f64 * 8e6 / probe.rate_bps as f64;
        let (mut sent, mut free) = (now as f64, 0.0f64);
        let mut reports = Vec::new();
        let mut count = 0;
        while prober.note_sent(sent as i64, probe.packet) {
            free = free.max(sent) + probe.packet as f64 * 8e6 / link;
            count += 1;
            let is_lost = lost.is_some_and(|lost| count % lost == 0);
            let arrived = (!is_lost).then_some(free as i64 + 20_000);
            reports.push((sent as i64, arrived));
            sent += interval;
        }
        for (sent, arrived) in reports {
            prober.note_report(sent, probe.packet as u32, arrived);
        }
        let usual = lost.map_or(0.0, |lost| 1.0 / f64::from(lost));
        prober.finish(now + 200_000, sent as i64, 0, usual)
    }

    #[test]
    fn a_wide_link_has_what_was_tried() {
        for lost in [None, Some(7)] {
            let finding = probe(&mut Prober::new(0), 0, 1e9, lost).unwrap();
            assert!(!finding.is_all);
            assert!((2.6e6..3.2e6).contains(&finding.bps), "{finding:?}");
        }
    }

    #[test]
    fn a_narrow_link_has_what_arrives() {
        for lost in [None, Some(7)] {
            let finding = probe(&mut Prober::new(0), 0, 1.6e6, lost).unwrap();
            assert!(finding.is_all);
            assert!((1.3e6..1.7e6).contains(&finding.bps), "{finding:?}");
        }
    }

    #[test]
    fn a_probe_is_as_short_as_it_can_be() {
        let mut prober = Prober::new(0);
        let first = prober.begin(0, &SITUATION);
        assert_eq!((first.rate_bps, first.bytes), (3_000_000, 7_500));
        let slow = Situation {
            estimate: 100e3,
            ..SITUATION
        };
        let slow = Prober::new(0).begin(0, &slow);
        assert_eq!((slow.bytes, slow.packet), (1_600, 200));
        let noisy = Situation {
            noise: 25_000,
            ..SITUATION
        };
        assert_eq!(Prober::new(0).begin(0, &noisy).bytes, 18_750);
        let modest = Situation {
            desired: 1.4e6,
            ..SITUATION
        };
        assert_eq!(Prober::new(0).begin(0, &modest).rate_bps, 2_100_000);
        let step = Situation {
            step: 2.9e6,
            ..SITUATION
        };
        assert_eq!(Prober::new(0).begin(0, &step).rate_bps, 3_770_000);
    }

    #[test]
    fn nothing_more_than_is_wanted_is_looked_for() {
        let wanted = |desired, most| {
            Prober::is_wanted(&Situation {
                desired,
                most,
                ..SITUATION
            })
        };
        assert!(wanted(1.5e6, 20e6));
        assert!(!wanted(1.1e6, 20e6));
        assert!(!wanted(20e6, 1e6));
    }

    /// In seconds: what finds nothing is repeated less and less often, but for ever.
    #[test]
    fn probes_in_vain_become_rare() {
        let mut prober = Prober::new(0);
        let mut times = Vec::new();
        for _ in 0..6 {
            let now = prober.next().unwrap();
            times.push(now / 100_000);
            probe(&mut prober, now, 1e6, None).unwrap();
        }
        assert_eq!(times, [0, 22, 54, 96, 138, 180]);
    }

    #[test]
    fn a_link_that_only_seemed_wide_is_left_alone_for_longer() {
        let mut prober = Prober::new(0);
        prober.note_full(0);
        assert_eq!(prober.next(), Some(PAUSE_MIN));
        prober.note_raised(0, true);
        prober.note_full(1_000_000);
        let first = prober.next().unwrap();
        prober.note_raised(first, true);
        prober.note_full(first + 1_000_000);
        let second = prober.next().unwrap();
        assert_eq!((first, second - first), (3_000_000, 4_000_000));
        prober.note_raised(second, true);
        prober.note_full(second + 2 * MISTAKEN);
        assert_eq!(prober.next(), Some(second + 2 * MISTAKEN + PAUSE_MIN));
    }

    #[test]
    fn what_does_not_leave_or_is_not_reported_on_is_given_up() {
        let mut prober = Prober::new(0);
        prober.begin(0, &SITUATION);
        assert_eq!(prober.next(), None);
        assert_eq!(prober.expiry(100_000), Some(600_000));
        prober.expire(599_999, 100_000);
        assert_eq!(prober.next(), None);
        prober.expire(600_000, 100_000);
        assert_eq!(prober.next(), Some(2_600_000));
        prober.note_report(0, 100, Some(0));
        assert_eq!(prober.finish(700_000, 1, 0, 0.0), None);
    }

    /// What was held up before it left is tried again soon, but not for ever.
    #[test]
    fn a_probe_that_left_too_slowly_is_repeated() {
        let (mut prober, mut now) = (Prober::new(0), 0);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            let probe = prober.begin(now, &SITUATION);
            while prober.note_sent(now, probe.packet) {
                prober.note_report(now, probe.packet as u32, Some(now + 20_000));
                now += 20_000;
            }
            let finding = prober.finish(now, now, 0, 0.0).unwrap();
            assert!(!finding.is_all && finding.bps < 1e6, "{finding:?}");
            let next = prober.next().unwrap();
            pauses.push(next - now);
            now = next;
        }
        assert_eq!(pauses[..3], [PAUSE_MUTE, PAUSE_MIN, PAUSE_MUTE]);
        assert!(pauses[3] > PAUSE_MIN);
    }

    /// Where media is sent in few large packets, a probe lasts until there are enough of them.
    #[test]
    fn large_packets_do_not_make_a_probe_useless() {
        let mut prober = Prober::new(0);
        let slow = Situation {
            estimate: 300e3,
            ..SITUATION
        };
        let probe = prober.begin(0, &slow);
        assert!(probe.bytes < 3 * 1_100);
        let mut sent = 0;
        while prober.note_sent(sent, 1_100) {
            prober.note_report(sent, 1_100, Some(sent + 20_000));
            sent += 9_000;
        }
        assert_eq!(sent / 9_000, i64::from(PACKETS_LEAST));
        assert!(prober.finish(100_000, sent, 0, 0.0).is_some());
    }

    #[test]
    fn too_few_packets_say_nothing() {
        let mut prober = Prober::new(0);
        let probe = prober.begin(0, &SITUATION);
        while prober.note_sent(10, probe.packet) {}
        prober.note_report(10, probe.packet as u32, Some(30));
        assert_eq!(prober.finish(100, 20, 0, 0.0), None);
        assert!(prober.next().is_some(), "it is over all the same");
    }
}
