//! The dominant speaker, by audio levels over three lengths of time.
//!
//! After I. Volfin and I. Cohen, "Dominant Speaker Identification for Multipoint
//! Videoconferencing" (2013), with the constants that Jitsi's bridge uses. Deviations: an endpoint
//! without packets is filled up with silence when a decision is made, not by a timer of its own;
//! silence of everybody for three seconds is announced; who has never made a sound is not announced,
//! alone or not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Who speaks, among endpoints named by a small number.
#[derive(Debug, Default)]
pub(crate) struct SpeakerChoice {
    speakers: Vec<Option<Speaker>>,
    /// All who have spoken, the dominant one first, then the most recent ones.
    recent: VecDeque<usize>,
    is_silent: bool,
    sound_at: Option<Instant>,
}

/// What changed about who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpeakerChange {
    /// Somebody else speaks now.
    Dominant(usize),
    /// Nobody speaks any more.
    Silence,
    /// The same one speaks again.
    Resumed(usize),
}

impl SpeakerChoice {
    /// One audio packet's level, 0 is silence and 127 the loudest. Gives back how much of it counts:
    /// 0 if it does not stand out from the noise of its room.
    pub(crate) fn level(&mut self, endpoint: usize, level: u8, now: Instant) -> u8 {
        if self.speakers.len() <= endpoint {
            self.speakers.resize_with(endpoint + 1, || None);
        }
        let Some(slot) = self.speakers.get_mut(endpoint) else {
            return 0;
        };
        let speaker = slot.get_or_insert_with(|| Speaker::new(now));
        let level = level.min(LEVEL_MAX);
        speaker.push(level, now);
        if speaker.is_sounding() {
            speaker.has_sounded = true;
            self.sound_at = Some(now);
        }
        if speaker.stands_out(level) { level } else { 0 }
    }

    /// An endpoint is gone. If it was the dominant speaker, the one before is so again; whether
    /// that is to be announced.
    pub(crate) fn remove(&mut self, endpoint: usize) -> bool {
        if let Some(slot) = self.speakers.get_mut(endpoint) {
            *slot = None;
        }
        let was_dominant = self.dominant() == Some(endpoint);
        self.recent.retain(|other| *other != endpoint);
        was_dominant
    }

    /// All who have spoken: the dominant speaker, then those before, most recent first.
    pub(crate) fn order(&self) -> impl Iterator<Item = usize> + '_ {
        self.recent.iter().copied()
    }

    /// Those of them who are told to clients: the dominant one and ten before.
    pub(crate) fn recent(&self) -> impl Iterator<Item = usize> + '_ {
        self.order().take(RECENT_MAX)
    }

    /// Whether nobody speaks.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// The dominant speaker, if there is one in the room.
    pub(crate) fn dominant(&self) -> Option<usize> {
        self.recent.front().copied()
    }

    /// Decides anew; to be called every [`DECISION`].
    pub(crate) fn decide(&mut self, now: Instant) -> Option<SpeakerChange> {
        for speaker in self.speakers.iter_mut().flatten() {
            speaker.catch_up(now);
            speaker.evaluate();
        }
        let sound_at = self.sound_at?;
        if now.saturating_duration_since(sound_at) >= SILENCE {
            let was_silent = std::mem::replace(&mut self.is_silent, true);
            let is_new = !was_silent && !self.recent.is_empty();
            return is_new.then_some(SpeakerChange::Silence);
        }
        let challenger = self.challenger();
        let was_silent = std::mem::replace(&mut self.is_silent, false);
        match challenger {
            Some(endpoint) => {
                self.recent.retain(|other| *other != endpoint);
                self.recent.push_front(endpoint);
                Some(SpeakerChange::Dominant(endpoint))
            }
            None if was_silent => self.dominant().map(SpeakerChange::Resumed),
            None => None,
        }
    }

    /// Who takes over from the dominant speaker.
    fn challenger(&self) -> Option<usize> {
        let present = || {
            let slots = self.speakers.iter().enumerate();
            slots.filter_map(|(index, slot)| slot.as_ref().map(|speaker| (index, speaker)))
        };
        let dominant = self
            .dominant()
            .and_then(|index| Some((index, self.speakers.get(index)?.as_ref()?)));
        let Some((dominant, reference)) = dominant else {
            // Nobody yet: the one who sounds most over the middle length.
            return present()
                .filter(|(_, speaker)| speaker.has_sounded)
                .max_by(|(_, a), (_, b)| a.medium.total_cmp(&b.medium))
                .map(|(index, _)| index);
        };
        present()
            .filter(|(index, _)| *index != dominant)
            .filter_map(|(index, speaker)| {
                let immediate = (speaker.immediate / reference.immediate).ln();
                let medium = (speaker.medium / reference.medium).ln();
                let long = (speaker.long / reference.long).ln();
                let is_louder = immediate > 3.0 && medium > 2.0 && long > 0.0;
                is_louder.then_some((index, medium))
            })
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(index, _)| index)
    }
}

/// One endpoint's levels and scores.
#[derive(Debug)]
struct Speaker {
    /// Newest first.
    levels: [u8; LEVELS],
    pushed_at: Instant,
    has_sounded: bool,
    /// The level of the room it sits in; 0 is not known yet.
    floor: u8,
    /// The lowest level since the floor was last raised, and how many levels that were.
    lowest: u8,
    counted: u32,
    immediate: f64,
    medium: f64,
    long: f64,
}

impl Speaker {
    fn new(now: Instant) -> Speaker {
        Speaker {
            levels: [0; LEVELS],
            pushed_at: now,
            has_sounded: false,
            floor: 0,
            lowest: 0,
            counted: 0,
            immediate: SCORE_MIN,
            medium: SCORE_MIN,
            long: SCORE_MIN,
        }
    }

    fn push(&mut self, level: u8, now: Instant) {
        self.levels.rotate_right(1);
        if let Some(newest) = self.levels.first_mut() {
            *newest = level;
        }
        self.pushed_at = now;
        if level == 0 {
            return;
        }
        if self.floor == 0 || level < self.floor {
            self.floor = level;
            (self.lowest, self.counted) = (0, 0);
            return;
        }
        self.lowest = if self.counted == 0 {
            level
        } else {
            self.lowest.min(level)
        };
        self.counted += 1;
        if self.counted >= FLOOR_LEVELS {
            let raised = (f64::from(self.floor) * f64::from(self.lowest)).sqrt();
            self.floor = (raised as u8).clamp(1, LEVEL_MAX);
            (self.lowest, self.counted) = (0, 0);
        }
    }

    /// Whether the newest level stands out, or is as loud as only speech is.
    fn is_sounding(&self) -> bool {
        self.levels
            .first()
            .is_some_and(|level| *level >= LOUD || self.quantised(*level) > 0)
    }

    fn stands_out(&self, level: u8) -> bool {
        level >= self.floor.saturating_add(SUB_UNIT)
    }

    fn quantised(&self, level: u8) -> u8 {
        if self.stands_out(level) {
            level / SUB_UNIT
        } else {
            0
        }
    }

    /// Silence for the time without packets.
    fn catch_up(&mut self, now: Instant) {
        let missed = now.saturating_duration_since(self.pushed_at).as_millis() / FILL_MS;
        for _ in 0..missed.min(LEVELS as u128) {
            self.levels.rotate_right(1);
            if let Some(newest) = self.levels.first_mut() {
                *newest = 0;
            }
        }
        self.pushed_at += Duration::from_millis((missed * FILL_MS) as u64);
    }

    fn evaluate(&mut self) {
        let mut immediates = [0u8; LEVELS];
        for (to, level) in immediates.iter_mut().zip(self.levels) {
            *to = self.quantised(level);
        }
        let mut mediums = [0u8; LEVELS / MEDIUM_BLOCK];
        for (to, block) in mediums.iter_mut().zip(immediates.chunks(MEDIUM_BLOCK)) {
            *to = block.iter().filter(|immediate| **immediate > 7).count() as u8;
        }
        let long = mediums.iter().filter(|medium| **medium > 4).count() as u8;
        let newest = |values: &[u8]| values.first().copied().unwrap_or(0);
        self.immediate = score(newest(&immediates), 13, 0.78);
        self.medium = score(newest(&mediums), 5, 24.0);
        self.long = score(long, 10, 47.0);
    }
}

/// How much more likely it is that `v` of `n` parts are speech than noise.
fn score(v: u8, n: u8, lambda: f64) -> f64 {
    let (part, rest) = (f64::from(v), f64::from(n.saturating_sub(v)));
    let combinations: f64 = (0..v.min(n))
        .map(|k| (f64::from(n - k) / f64::from(k + 1)).ln())
        .sum();
    let score = combinations + (part + rest) * 0.5f64.ln() - lambda.ln() + lambda * part;
    score.max(SCORE_MIN)
}

/// How often to decide.
pub(crate) const DECISION: Duration = Duration::from_millis(300);
const LEVELS: usize = 50;
const LEVEL_MAX: u8 = 127;
const MEDIUM_BLOCK: usize = 5;
/// ⌈127 / 13⌉
const SUB_UNIT: u8 = 10;
/// −47 dBov.
const LOUD: u8 = 80;
const FILL_MS: u128 = 40;
/// 15 s of packets.
const FLOOR_LEVELS: u32 = 750;
const SCORE_MIN: f64 = 1e-10;
const SILENCE: Duration = Duration::from_secs(3);
/// The dominant one and ten before.
const RECENT_MAX: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays levels of some endpoints (50 packets per second) and collects the decisions.
    fn play(
        choice: &mut SpeakerChoice,
        from: Instant,
        ms: u64,
        levels: &[u8],
    ) -> Vec<SpeakerChange> {
        let mut changes = Vec::new();
        for at in (0..ms).step_by(20) {
            let now = from + Duration::from_millis(at);
            for (endpoint, level) in levels.iter().enumerate() {
                choice.level(endpoint, *level, now);
            }
            if at % 300 == 0 {
                changes.extend(choice.decide(now));
            }
        }
        changes
    }

    #[test]
    fn scores_follow_the_formula() {
        // ln C(13,13) + 13 ln ½ − ln 0.78 + 0.78·13
        assert!((score(13, 13, 0.78) - 1.377_55).abs() < 1e-3);
        assert_eq!(score(0, 5, 24.0), SCORE_MIN);
        // ln C(5,5) + 5 ln ½ − ln 24 + 120
        assert!((score(5, 5, 24.0) - 113.356_2).abs() < 1e-3);
        // ln C(10,2) + 10 ln ½ − ln 47 + 94
        assert!((score(2, 10, 47.0) - 87.025).abs() < 1e-2);
    }

    #[test]
    fn the_one_who_speaks_takes_over_from_the_one_who_stopped() {
        let start = Instant::now();
        let mut choice = SpeakerChoice::default();
        play(&mut choice, start, 1_000, &[5, 5, 5]);
        let changes = play(
            &mut choice,
            start + Duration::from_secs(1),
            3_000,
            &[100, 5, 5],
        );
        assert_eq!(changes, [SpeakerChange::Dominant(0)]);
        let changes = play(
            &mut choice,
            start + Duration::from_secs(4),
            3_000,
            &[5, 5, 110],
        );
        assert_eq!(changes, [SpeakerChange::Dominant(2)]);
        assert_eq!(choice.recent().collect::<Vec<_>>(), [2, 0]);
    }

    #[test]
    fn whoever_is_loud_from_the_first_packet_on_is_heard() {
        let mut choice = SpeakerChoice::default();
        let changes = play(&mut choice, Instant::now(), 1_000, &[0, 100]);
        assert_eq!(changes, [SpeakerChange::Dominant(1)]);
    }

    #[test]
    fn noise_changes_nothing() {
        let start = Instant::now();
        let mut choice = SpeakerChoice::default();
        play(&mut choice, start, 2_000, &[20, 20]);
        play(
            &mut choice,
            start + Duration::from_secs(2),
            3_000,
            &[100, 20],
        );
        for n in 0..100u64 {
            let loud = if n % 10 == 0 { 60 } else { 20 };
            let from = start + Duration::from_secs(5) + Duration::from_millis(n * 60);
            assert_eq!(play(&mut choice, from, 60, &[100, loud]), []);
        }
    }

    #[test]
    fn silence_is_announced_once_and_ends() {
        let start = Instant::now();
        let mut choice = SpeakerChoice::default();
        play(&mut choice, start, 1_000, &[5, 5]);
        play(
            &mut choice,
            start + Duration::from_secs(1),
            2_000,
            &[100, 5],
        );
        let changes = play(&mut choice, start + Duration::from_secs(3), 6_000, &[0, 0]);
        assert_eq!(changes, [SpeakerChange::Silence]);
        assert!(choice.is_silent() && choice.dominant() == Some(0));
        let changes = play(&mut choice, start + Duration::from_secs(9), 900, &[100, 0]);
        assert_eq!(changes, [SpeakerChange::Resumed(0)]);
    }

    #[test]
    fn when_the_dominant_one_leaves_another_is_found() {
        let start = Instant::now();
        let mut choice = SpeakerChoice::default();
        play(&mut choice, start, 1_000, &[5, 5]);
        play(
            &mut choice,
            start + Duration::from_secs(1),
            2_000,
            &[100, 60],
        );
        assert_eq!(choice.dominant(), Some(0));
        choice.remove(0);
        assert_eq!(choice.dominant(), None);
        let now = start + Duration::from_millis(3_100);
        choice.level(1, 100, now);
        assert_eq!(choice.decide(now), Some(SpeakerChange::Dominant(1)));
    }

    #[test]
    fn a_speaker_whose_packets_stop_is_heard_as_silent() {
        let start = Instant::now();
        let mut choice = SpeakerChoice::default();
        play(&mut choice, start, 1_000, &[5, 5]);
        play(
            &mut choice,
            start + Duration::from_secs(1),
            2_000,
            &[120, 5],
        );
        let from = start + Duration::from_secs(3);
        let mut taken_over = None;
        for at in (0..3_000).step_by(20) {
            let now = from + Duration::from_millis(at);
            choice.level(1, 110, now);
            if at % 300 == 0 && choice.decide(now) == Some(SpeakerChange::Dominant(1)) {
                taken_over = Some(at);
            }
        }
        assert!(taken_over.is_some_and(|at| at < 1_500), "{taken_over:?}");
    }

    /// The same from the formulas, without anything kept between decisions: per speaker all levels
    /// of the last second, newest first, and the floor after each.
    struct Plain {
        levels: VecDeque<u8>,
        floor: u8,
        above: Vec<u8>,
        has_sounded: bool,
    }

    impl Plain {
        fn new() -> Plain {
            Plain {
                levels: VecDeque::from(vec![0; 50]),
                floor: 0,
                above: Vec::new(),
                has_sounded: false,
            }
        }

        fn push(&mut self, level: u8) {
            self.levels.push_front(level);
            self.levels.truncate(50);
            self.follow_floor(level);
            self.has_sounded |= level >= 80 || self.part(level) > 0;
        }

        fn follow_floor(&mut self, level: u8) {
            if level == 0 {
                return;
            }
            if self.floor == 0 || level < self.floor {
                self.floor = level;
                self.above.clear();
                return;
            }
            self.above.push(level);
            if self.above.len() == 750 {
                let lowest = f64::from(*self.above.iter().min().unwrap());
                self.floor = (f64::from(self.floor) * lowest).sqrt() as u8;
                self.above.clear();
            }
        }

        fn part(&self, level: u8) -> u8 {
            if level < self.floor + 10 {
                0
            } else {
                level / 10
            }
        }

        /// Scores over the three lengths.
        fn scores(&self) -> [f64; 3] {
            let parts: Vec<u8> = self.levels.iter().map(|level| self.part(*level)).collect();
            let blocks: Vec<usize> = parts
                .chunks(5)
                .map(|block| block.iter().filter(|part| **part > 7).count())
                .collect();
            let long = blocks.iter().filter(|block| **block > 4).count();
            [
                by_formula(f64::from(parts[0]), 13.0, 0.78),
                by_formula(blocks[0] as f64, 5.0, 24.0),
                by_formula(long as f64, 10.0, 47.0),
            ]
        }
    }

    fn by_formula(v: f64, n: f64, lambda: f64) -> f64 {
        let factorial = |n: f64| (1..=n as u32).map(f64::from).product::<f64>();
        let choose = factorial(n) / factorial(v) / factorial(n - v);
        let score =
            choose.ln() + v * 0.5f64.ln() + (n - v) * 0.5f64.ln() - lambda.ln() + lambda * v;
        score.max(1e-10)
    }

    fn decide_plainly(speakers: &[Plain], dominant: Option<usize>) -> Option<usize> {
        let scores: Vec<[f64; 3]> = speakers.iter().map(Plain::scores).collect();
        let mut best: Option<(usize, f64)> = None;
        for (index, score) in scores.iter().enumerate() {
            let value = match dominant {
                None if speakers[index].has_sounded => score[1],
                Some(dominant) if dominant != index => {
                    let ratio = |n: usize| (score[n] / scores[dominant][n]).ln();
                    if !(ratio(0) > 3.0 && ratio(1) > 2.0 && ratio(2) > 0.0) {
                        continue;
                    }
                    ratio(1)
                }
                _ => continue,
            };
            if best.is_none_or(|(_, other)| value >= other) {
                best = Some((index, value));
            }
        }
        best.map(|(index, _)| index)
    }

    /// Four people talk at random for ten minutes in rooms of different noise.
    #[test]
    fn decisions_are_those_of_the_formulas() {
        let mut random = tertulia_model::Random::from_seed([7; 32]);
        let start = Instant::now();
        let mut choice = SpeakerChoice::default();
        let mut plain: Vec<Plain> = (0..4).map(|_| Plain::new()).collect();
        let mut talks_until = [0u64; 4];
        let mut dominant = None;
        let mut changes = 0;
        for at in (0..600_000u64).step_by(20) {
            let now = start + Duration::from_millis(at);
            for (index, speaker) in plain.iter_mut().enumerate() {
                if at >= talks_until[index] && random.u32().is_multiple_of(200) {
                    talks_until[index] = at + 200 + u64::from(random.u32() % 4_000);
                }
                let noise = 3 + 9 * index as u32 + random.u32() % 8;
                let level = if at < talks_until[index] {
                    60 + random.u32() % 60
                } else {
                    noise
                };
                let level = level as u8;
                speaker.push(level);
                let counted = choice.level(index, level, now);
                let stands_out = level >= speaker.floor + 10;
                assert_eq!(counted, if stands_out { level } else { 0 });
            }
            if at % 300 != 0 {
                continue;
            }
            let expected = decide_plainly(&plain, dominant);
            let decided = match choice.decide(now) {
                Some(SpeakerChange::Dominant(index)) => Some(index),
                Some(SpeakerChange::Silence | SpeakerChange::Resumed(_)) | None => None,
            };
            assert_eq!(decided, expected, "after {at} ms");
            if decided.is_some() {
                dominant = decided;
                changes += 1;
            }
        }
        assert!((30..400).contains(&changes), "{changes} changes");
    }

    #[test]
    fn the_order_is_of_all_the_list_of_the_last_eleven() {
        let (start, mut choice) = (Instant::now(), SpeakerChoice::default());
        for speaker in 0..14 {
            let mut levels = [5; 14];
            let from = start + Duration::from_secs(4 * speaker as u64);
            play(&mut choice, from, 1_000, &levels);
            levels[speaker] = 110;
            play(&mut choice, from + Duration::from_secs(1), 3_000, &levels);
        }
        let order: Vec<usize> = choice.order().collect();
        assert_eq!(order, (0..14).rev().collect::<Vec<_>>());
        let recent: Vec<usize> = choice.recent().collect();
        assert_eq!(recent, (3..14).rev().collect::<Vec<_>>());
        assert!(choice.remove(13) && !choice.remove(5));
        assert_eq!(choice.dominant(), Some(12));
    }
}
