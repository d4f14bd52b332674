//! What gets lost, and whether it says anything about how much is sent.
//!
//! Loss behind a queue needs no thought: the queue tells more and tells it earlier. Loss without
//! one is radio, which sending less does not cure, or a link that drops what is above its rate at
//! once. The two look alike until the rate changes. So a little loss is believed to be the link's
//! fault only if it came together with more that was sent; much of it is put to the test: less is
//! sent for a moment, and if as much is lost as before, it is radio and the former estimate stands.
//! Short outages, in which everything or nearly everything is lost, are not counted: the median of
//! the last slices is looked at, not their mean.

/// Slices of time, and what was lost of what was sent in them.
#[derive(Debug, Default)]
pub(super) struct Losses {
    slices: [Slice; SLICES],
    /// Slices so far; the present one is under way.
    count: usize,
    /// Loss that does not depend on what is sent, and when it was there last.
    inherent: Option<(f64, i64)>,
    trial: Option<Trial>,
    /// The highest rate at which little was lost, and when.
    calm: Option<(f64, i64)>,
    /// What was sent before was sent under another estimate.
    since: i64,
}

/// A stretch of sending time.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    since: i64,
    until: i64,
    packets: u32,
    lost: u32,
}

/// Less is sent to see whether less is lost.
#[derive(Clone, Copy, Debug)]
struct Trial {
    began: i64,
    loss: f64,
    estimate: f64,
}

/// What the losses say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// No more than what arrives is to be believed.
    TooMuch,
    /// Sending less has helped.
    Ours,
    /// Sending less has not helped: this is what was believed before.
    NotOurs(f64),
}

impl Losses {
    /// A packet was reported on.
    pub(super) fn note(&mut self, sent: i64, is_lost: bool) {
        let place = self.count % SLICES;
        let Some(slice) = self.slices.get_mut(place) else {
            return;
        };
        if slice.packets == 0 {
            slice.since = sent;
        }
        slice.until = slice.until.max(sent);
        slice.packets += 1;
        slice.lost += u32::from(is_lost);
        if slice.until - slice.since >= SLICE && slice.packets >= PACKETS_MIN {
            self.count += 1;
            if let Some(next) = self.slices.get_mut(self.count % SLICES) {
                *next = Slice::default();
            }
        }
    }

    /// What was reported lost has arrived after all.
    pub(super) fn note_found(&mut self) {
        for place in [self.count, self.count.wrapping_sub(1)] {
            if let Some(slice) = self.slices.get_mut(place % SLICES)
                && slice.lost > 0
            {
                slice.lost -= 1;
                return;
            }
        }
    }

    /// Finished slices, from the newest back.
    fn finished(&self) -> impl Iterator<Item = &Slice> {
        let count = self.count.min(SLICES - 1);
        let places = (0..count).map(|back| (self.count - 1 - back) % SLICES);
        places.filter_map(|place| self.slices.get(place))
    }

    /// Share that was lost of what was sent since then and reported on.
    pub(super) fn share(&self, since: i64) -> Option<f64> {
        let present = self.slices.get(self.count % SLICES);
        let slices = present.into_iter().chain(self.finished());
        let slices = slices.filter(|slice| slice.packets > 0 && slice.since >= since);
        let sums = slices.fold((0, 0), |(packets, lost), slice| {
            (packets + slice.packets, lost + slice.lost)
        });
        (sums.0 > 0).then(|| f64::from(sums.1) / f64::from(sums.0))
    }

    /// The usual loss since then: the median of slices in which anything arrived.
    pub(super) fn usual(&self, since: i64) -> Option<f64> {
        let mut shares = [0.0; SLICES];
        let mut count = 0;
        let slices = self.finished().filter(|slice| slice.since >= since);
        let slices = slices.filter(|slice| slice.lost < slice.packets);
        for (share, slice) in shares.iter_mut().zip(slices) {
            *share = f64::from(slice.lost) / f64::from(slice.packets);
            count += 1;
        }
        let shares = shares.get_mut(..count)?;
        if count < USUAL_MIN {
            return None;
        }
        shares.sort_by(f64::total_cmp);
        // Of an even number the lower one: outages are shorter than half of the time.
        shares.get((count - 1) / 2).copied()
    }

    /// Share that was lost in the last two slices.
    fn newest(&self) -> Option<f64> {
        let slices = self.finished().take(2);
        let sums = slices.fold((0, 0), |(packets, lost), slice| {
            (packets + slice.packets, lost + slice.lost)
        });
        (sums.0 > 0).then(|| f64::from(sums.1) / f64::from(sums.0))
    }

    /// Loss that all but one of the last slices have in common: as much as the median would show
    /// a second later.
    fn lasting(&self, since: i64) -> Option<f64> {
        let slices = self.finished().take_while(|slice| slice.since >= since);
        let slices = slices.filter(|slice| slice.lost < slice.packets);
        let (mut count, mut least) = (0, [1.0f64; 2]);
        for slice in slices.take(LASTING) {
            let share = f64::from(slice.lost) / f64::from(slice.packets);
            let [first, second] = least;
            least = [first.min(share), second.min(share.max(first))];
            count += 1;
        }
        (count == LASTING).then_some(least[1])
    }

    /// Loss that is known to be nobody's fault.
    pub(super) fn inherent(&self) -> f64 {
        self.inherent.map_or(0.0, |(loss, _)| loss)
    }

    /// Whether less is sent for the sake of a test.
    pub(super) fn is_testing(&self) -> bool {
        self.trial.is_some()
    }

    /// Looks at what was reported: `sent_bps` left of late, `estimate` is believed, and feedback on
    /// what is sent now comes after `response`.
    pub(super) fn judge(
        &mut self,
        now: i64,
        sent_bps: f64,
        estimate: f64,
        response: i64,
    ) -> Option<Verdict> {
        if let Some((_, at)) = self.inherent
            && now - at > INHERENT_KEPT
        {
            self.inherent = None;
        }
        if self.calm.is_some_and(|(_, at)| now - at > CALM_KEPT) {
            self.calm = None;
        }
        if let Some(trial) = self.trial {
            return self.end_trial(now, trial, response);
        }
        let usual = self.usual(self.since.max(now - USUAL))?;
        if let Some((loss, at)) = &mut self.inherent
            && usual >= *loss / 2.0
        {
            *loss += (usual.min(*loss * 1.5) - *loss) / 16.0;
            *at = now;
        }
        let since = self.since.max(now - 2 * USUAL / 3);
        let lasting = self.lasting(since).filter(|lasting| *lasting >= HEAVY);
        if usual <= CALM && lasting.is_none() {
            // With few packets the median may be nothing on a bad link; and what was sent of late
            // counts.
            let is_calm = |share: Option<f64>| share.is_some_and(|share| share <= CALM);
            let is_calm = is_calm(self.share(since)) && is_calm(self.newest());
            if is_calm && self.calm.is_none_or(|(bps, _)| sent_bps >= bps) {
                self.calm = Some((sent_bps, now));
            }
            return None;
        }
        let usual = lasting.map_or(usual, |lasting| lasting.max(usual));
        let beyond = usual - self.inherent();
        let is_more = self
            .calm
            .is_some_and(|(calm, _)| sent_bps >= calm * MORE && estimate > calm);
        if beyond < HEAVY && !(beyond >= SOME && is_more) {
            return None;
        }
        self.since = now + response;
        self.trial = Some(Trial {
            began: now,
            loss: usual,
            estimate,
        });
        Some(Verdict::TooMuch)
    }

    fn end_trial(&mut self, now: i64, trial: Trial, response: i64) -> Option<Verdict> {
        if now - trial.began > TRIAL_MOST + response {
            self.trial = None;
            return None;
        }
        // Who can leave out nothing sends as much as before; then to believe less is of no use
        // either.
        let usual = self.usual(self.since)?;
        self.trial = None;
        if usual < trial.loss * SAME {
            return Some(Verdict::Ours);
        }
        self.inherent = Some((usual, now));
        Some(Verdict::NotOurs(trial.estimate))
    }

    /// The estimate changes for another reason: no test goes on, and what is lost from now on
    /// counts.
    pub(super) fn begin_anew(&mut self, since: i64) {
        self.trial = None;
        self.since = since;
    }
}

const SLICES: usize = 25;
/// A slice is at least so long, in microseconds, and has so many packets.
const SLICE: i64 = 100_000;
const PACKETS_MIN: u32 = 10;
/// The span whose median counts, and the slices that make one.
const USUAL: i64 = 2_400_000;
const USUAL_MIN: usize = 6;
/// So many slices tell of heavy loss before the median does.
const LASTING: usize = 6;
/// So much is lost on every link.
const CALM: f64 = 0.03;
const CALM_KEPT: i64 = 10_000_000;
/// So much is put to the test.
const HEAVY: f64 = 0.25;
/// So much is, if it came with a rate that was higher by as much.
const SOME: f64 = 0.08;
const MORE: f64 = 1.2;
/// A test without enough packets ends after so long.
const TRIAL_MOST: i64 = 5_000_000;
/// So much of the former loss is the same.
const SAME: f64 = 0.6;
const INHERENT_KEPT: i64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A sender of 100 packets a second, whose losses are looked at ten times a second.
    struct Sender {
        losses: Losses,
        now: i64,
        estimate: f64,
        verdicts: Vec<Verdict>,
    }

    impl Sender {
        fn new() -> Sender {
            Sender {
                losses: Losses::default(),
                now: 0,
                estimate: 2e6,
                verdicts: Vec::new(),
            }
        }

        /// For so many tenths of a second so many percent are lost at such a rate.
        fn run(&mut self, tenths: i64, percent: i64, bps: f64) -> &mut Sender {
            for _ in 0..tenths {
                for _ in 0..10 {
                    let place = self.now / 10_000;
                    // Spread evenly.
                    let is_lost = (place * percent) % 100 < percent;
                    self.losses.note(self.now, is_lost);
                    self.now += 10_000;
                }
                let verdict = self.losses.judge(self.now, bps, self.estimate, 200_000);
                self.verdicts.extend(verdict);
            }
            self
        }
    }

    #[test]
    fn usual_loss_is_the_median_without_outages() {
        let mut sender = Sender::new();
        sender.run(10, 0, 1e6).run(2, 100, 1e6).run(8, 0, 1e6);
        assert_eq!(sender.losses.usual(0), Some(0.0));
        let share = sender.losses.share(0).unwrap();
        assert!((share - 0.1).abs() < 0.02, "{share}");
        sender.run(24, 10, 1e6);
        let usual = sender.losses.usual(sender.now - USUAL).unwrap();
        assert!((usual - 0.1).abs() < 0.02, "{usual}");
        assert!(sender.verdicts.is_empty());
    }

    #[test]
    fn less_is_sent_where_much_is_lost() {
        let mut sender = Sender::new();
        sender.run(20, 0, 1e6).run(10, 50, 1e6);
        assert_eq!(sender.verdicts, [Verdict::TooMuch]);
        // It helps.
        sender.run(20, 0, 500e3);
        assert_eq!(sender.verdicts, [Verdict::TooMuch, Verdict::Ours]);
        sender.run(50, 0, 500e3);
        assert_eq!(sender.verdicts.len(), 2);
    }

    #[test]
    fn radio_is_not_blamed_twice() {
        let mut sender = Sender::new();
        sender.run(20, 0, 1e6).run(10, 40, 1e6);
        assert_eq!(sender.verdicts, [Verdict::TooMuch]);
        sender.run(100, 40, 500e3).run(200, 40, 2e6);
        assert_eq!(sender.verdicts, [Verdict::TooMuch, Verdict::NotOurs(2e6)]);
        assert!((sender.losses.inherent() - 0.4).abs() < 0.05);
        sender.run(10, 75, 2e6);
        assert_eq!(
            sender.verdicts.last(),
            Some(&Verdict::TooMuch),
            "that is more"
        );
    }

    #[test]
    fn a_little_loss_counts_if_it_came_with_more_that_is_sent() {
        let mut sender = Sender::new();
        sender.run(40, 0, 500e3).run(40, 15, 500e3);
        assert!(sender.verdicts.is_empty(), "as much is sent as before");
        let mut sender = Sender::new();
        sender.run(40, 0, 500e3).run(40, 15, 1e6);
        assert_eq!(sender.verdicts.first(), Some(&Verdict::TooMuch));
        let mut sender = Sender::new();
        sender.run(200, 15, 500e3).run(40, 15, 2e6);
        assert!(sender.verdicts.is_empty(), "it was always so");
    }

    /// 80 % for a sixth of a second, every second.
    #[test]
    fn short_outages_count_for_nothing() {
        let mut sender = Sender::new();
        for _ in 0..30 {
            sender.run(8, 0, 2e6).run(2, 80, 2e6);
        }
        assert!(sender.verdicts.is_empty());
    }

    #[test]
    fn what_comes_late_was_not_lost() {
        let mut sender = Sender::new();
        sender.run(1, 50, 1e6);
        for _ in 0..5 {
            sender.losses.note_found();
        }
        assert_eq!(sender.losses.share(0), Some(0.0));
        sender.losses.note_found();
    }
}
