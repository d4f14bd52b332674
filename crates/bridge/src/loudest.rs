//! The loudest voices: in a room where many microphones are open only so many are passed on, to
//! everybody if the operator wants that, and to those whose links have no room for more.
//!
//! The ranking of [`Loudest`] is that of Jitsi's bridge (`LoudestConfig`,
//! `DominantSpeakerIdentification`): levels that stand out from their room's noise are smoothed, and
//! who has not been heard for a moment loses the place. [`VoiceOrder`] is our own: each receiver
//! hears as many from its front as fit, so it must not change with every breath.

use std::time::{Duration, Instant};

use crate::config::AudioPolicy;

/// Who is among the loudest, among endpoints named by a small number.
#[derive(Debug, Default)]
pub(crate) struct Loudest {
    /// The smoothed level of each.
    energies: Vec<u32>,
    /// Loudest first, with their last packet. Never longer than the policy allows.
    ranked: Vec<(usize, Instant)>,
    /// Sources that somebody asked for by name; they are heard in any case.
    asked_for: Vec<bool>,
}

/// One audio packet, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) endpoint: usize,
    pub(crate) source: usize,
    /// Above the noise of its room; 0 if it does not stand out.
    pub(crate) level: u8,
    /// Of who is speaking.
    pub(crate) is_dominant: bool,
}

impl Loudest {
    /// Ranks a packet's sender. Whether the packet is to be passed on.
    pub(crate) fn admit(&mut self, policy: &AudioPolicy, voice: Voice, now: Instant) -> bool {
        let Some(most) = policy.loudest else {
            return true;
        };
        let is_loud = self.rank(voice, most, policy.loudest_expiry, now);
        let is_asked_for = || self.asked_for.get(voice.source).copied().unwrap_or(false);
        is_loud || (voice.is_dominant && policy.is_dominant_heard) || is_asked_for()
    }

    fn rank(&mut self, voice: Voice, most: usize, expiry: Duration, now: Instant) -> bool {
        let endpoint = voice.endpoint;
        if self.energies.len() <= endpoint {
            self.energies.resize(endpoint + 1, 0);
        }
        let energies = &mut self.energies;
        let Some(own) = energies.get_mut(endpoint) else {
            return false;
        };
        *own = smoothed(*own, voice.level);
        let own = *own;
        self.ranked.retain(|(other, heard)| {
            *other != endpoint && now.saturating_duration_since(*heard) <= expiry
        });
        let is_softer =
            |(other, _): &(usize, Instant)| energies.get(*other).is_none_or(|energy| *energy < own);
        let place = self.ranked.iter().position(is_softer);
        let place = place.unwrap_or(self.ranked.len());
        if place >= most {
            return false;
        }
        self.ranked.insert(place, (endpoint, now));
        self.ranked.truncate(most);
        true
    }

    /// Whether an endpoint is among the loudest now.
    pub(crate) fn has(&self, endpoint: usize) -> bool {
        self.ranked.iter().any(|(other, _)| *other == endpoint)
    }

    /// An endpoint is gone, or silent by decree.
    pub(crate) fn remove(&mut self, endpoint: usize) {
        self.ranked.retain(|(other, _)| *other != endpoint);
        if let Some(energy) = self.energies.get_mut(endpoint) {
            *energy = 0;
        }
    }

    /// Which sources somebody asked for by name, by their index.
    pub(crate) fn set_asked_for(&mut self, asked_for: impl Iterator<Item = bool>) {
        self.asked_for.clear();
        self.asked_for.extend(asked_for);
    }
}

/// All voices of a conference, the loudest first. Who has a place keeps it unless somebody behind
/// is louder by [`MARGIN`]; who falls silent sinks within seconds.
#[derive(Debug, Default)]
pub(crate) struct VoiceOrder {
    /// Endpoints.
    order: Vec<usize>,
    /// By endpoint.
    voices: Vec<Option<Loudness>>,
}

#[derive(Clone, Copy, Debug)]
struct Loudness {
    place: usize,
    /// Smoothed as in [`Loudest`].
    energy: u32,
    /// The last energy that was above what was left of the one before, and when.
    held: u32,
    at: Instant,
}

impl VoiceOrder {
    /// Takes in a packet; which place its sender has, 0 is the first.
    pub(crate) fn place(&mut self, voice: Voice, now: Instant) -> usize {
        let endpoint = voice.endpoint;
        if self.voices.len() <= endpoint {
            self.voices.resize(endpoint + 1, None);
        }
        let last = self.order.len();
        let Some(slot) = self.voices.get_mut(endpoint) else {
            return last;
        };
        let own = slot.get_or_insert(Loudness {
            place: last,
            energy: 0,
            held: 0,
            at: now,
        });
        if own.place == last {
            self.order.push(endpoint);
        }
        own.energy = smoothed(own.energy, voice.level);
        if own.energy >= own.held_at(now) {
            (own.held, own.at) = (own.energy, now);
        }
        let (held, mut place) = (own.held_at(now), own.place);
        while let Some(before) = place.checked_sub(1) {
            let Some(&other) = self.order.get(before) else {
                break;
            };
            let Some(Some(theirs)) = self.voices.get_mut(other) else {
                break;
            };
            if held < theirs.held_at(now) + MARGIN {
                break;
            }
            theirs.place = place;
            self.order.swap(before, place);
            place = before;
        }
        if let Some(Some(own)) = self.voices.get_mut(endpoint) {
            own.place = place;
        }
        place
    }

    /// An endpoint is gone, or silent by decree.
    pub(crate) fn remove(&mut self, endpoint: usize) {
        let Some(gone) = self.voices.get_mut(endpoint).and_then(Option::take) else {
            return;
        };
        self.order.retain(|other| *other != endpoint);
        for endpoint in self.order.iter().skip(gone.place) {
            if let Some(Some(behind)) = self.voices.get_mut(*endpoint) {
                behind.place -= 1;
            }
        }
    }
}

impl Loudness {
    /// What is left of it.
    fn held_at(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.at).as_millis();
        let since = u32::try_from(since).unwrap_or(u32::MAX);
        self.held
            .saturating_sub(since.saturating_mul(FADING) / 1_000)
    }
}

fn smoothed(energy: u32, level: u8) -> u32 {
    (ALPHA * u32::from(level) + (100 - ALPHA) * energy + 50) / 100
}

/// Weight of a new level, in percent.
const ALPHA: u32 = 50;
/// By so many decibels a voice has to be louder to take another's place: voices that are about
/// equally loud would take turns otherwise, in the middle of words.
const MARGIN: u32 = 10;
/// By so many decibels a second a voice that falls silent sinks: slower than pauses between words,
/// faster than somebody else says a sentence.
const FADING: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    fn policy(loudest: usize) -> AudioPolicy {
        AudioPolicy {
            loudest: Some(loudest),
            ..config().audio
        }
    }

    fn voice(endpoint: usize, level: u8) -> Voice {
        Voice {
            endpoint,
            source: endpoint,
            level,
            is_dominant: false,
        }
    }

    /// Plays half a second of levels and counts what is passed on of each.
    fn play(loudest: &mut Loudest, policy: &AudioPolicy, from: Instant, levels: &[u8]) -> Vec<u32> {
        let mut passed = vec![0; levels.len()];
        for packet in 0..25 {
            let now = from + Duration::from_millis(packet * 20);
            for (endpoint, level) in levels.iter().enumerate() {
                let is_passed = loudest.admit(policy, voice(endpoint, *level), now);
                passed[endpoint] += u32::from(is_passed);
            }
        }
        passed
    }

    #[test]
    fn everybody_is_heard_unless_a_number_is_set() {
        let mut loudest = Loudest::default();
        let all = play(&mut loudest, &config().audio, Instant::now(), &[0; 9]);
        assert_eq!(all, [25; 9]);
    }

    #[test]
    fn the_fourth_voice_is_silent_until_another_pauses() {
        let (mut loudest, policy, start) = (Loudest::default(), policy(3), Instant::now());
        play(&mut loudest, &policy, start, &[90, 80, 70, 60]);
        let later = start + Duration::from_secs(1);
        let passed = play(&mut loudest, &policy, later, &[90, 80, 70, 60]);
        assert_eq!(passed, [25, 25, 25, 0]);
        assert!(loudest.has(2) && !loudest.has(3));
        // The third voice has stopped: its place is free 150 ms after its last packet.
        let last = later + Duration::from_millis(24 * 20);
        let others = |loudest: &mut Loudest, now: Instant| {
            for endpoint in [0, 1] {
                loudest.admit(&policy, voice(endpoint, 90), now);
            }
            loudest.admit(&policy, voice(3, 60), now)
        };
        assert!(!others(&mut loudest, last + Duration::from_millis(150)));
        assert!(others(&mut loudest, last + Duration::from_millis(151)));
    }

    /// Golden: halves of the new and the old level, rounded to the nearest.
    #[test]
    fn energies_are_smoothed() {
        let (mut loudest, policy, now) = (Loudest::default(), policy(3), Instant::now());
        for (level, expected) in [(100, 50), (100, 75), (100, 88), (0, 44), (1, 23), (0, 12)] {
            loudest.admit(&policy, voice(0, level), now);
            assert_eq!(loudest.energies, [expected]);
        }
    }

    #[test]
    fn who_is_speaking_or_was_asked_for_is_heard_in_any_case() {
        let (mut loudest, policy, start) = (Loudest::default(), policy(1), Instant::now());
        play(&mut loudest, &policy, start, &[90, 30, 30]);
        let now = start + Duration::from_millis(490);
        let dominant = Voice {
            is_dominant: true,
            ..voice(1, 30)
        };
        assert!(loudest.admit(&policy, dominant, now));
        let strict = AudioPolicy {
            is_dominant_heard: false,
            ..policy
        };
        assert!(!loudest.admit(&strict, dominant, now));
        assert!(!loudest.admit(&policy, voice(2, 30), now));
        loudest.set_asked_for([false, false, true].into_iter());
        assert!(loudest.admit(&policy, voice(2, 30), now));
    }

    /// Plays tenths of a second of levels; who stands where in the end, by endpoint.
    fn rank(order: &mut VoiceOrder, from: Instant, tenths: u64, levels: &[u8]) -> Vec<usize> {
        let packets = (0..tenths * 5).map(|packet| from + Duration::from_millis(packet * 20));
        for now in packets {
            for (endpoint, level) in levels.iter().enumerate() {
                let place = order.place(voice(endpoint, *level), now);
                assert_eq!(order.order[place], endpoint);
            }
        }
        let mut seen: Vec<usize> = order.order.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..levels.len()).collect::<Vec<_>>(), "each once");
        let place = |endpoint: usize| order.voices[endpoint].unwrap().place;
        (0..levels.len()).map(place).collect()
    }

    #[test]
    fn voices_of_about_the_same_loudness_keep_their_places() {
        let (mut order, start) = (VoiceOrder::default(), Instant::now());
        assert_eq!(rank(&mut order, start, 10, &[0, 0, 80, 0]), [1, 2, 0, 3]);
        let at = |second| start + Duration::from_secs(second);
        // Noise that comes and goes, and a voice that is a little louder.
        assert_eq!(rank(&mut order, at(1), 10, &[5, 85, 80, 9]), [2, 1, 0, 3]);
        assert_eq!(rank(&mut order, at(2), 10, &[9, 85, 80, 5]), [2, 1, 0, 3]);
        assert_eq!(rank(&mut order, at(3), 10, &[9, 95, 80, 5]), [2, 0, 1, 3]);
    }

    #[test]
    fn who_falls_silent_keeps_the_place_between_words_and_not_for_longer() {
        let (mut order, start) = (VoiceOrder::default(), Instant::now());
        let speaking = [90, 80, 0, 60];
        assert_eq!(rank(&mut order, start, 10, &speaking), [0, 1, 3, 2]);
        let pause = start + Duration::from_secs(1);
        assert_eq!(rank(&mut order, pause, 2, &[0, 80, 0, 60]), [0, 1, 3, 2]);
        let silence = pause + Duration::from_millis(200);
        assert_eq!(rank(&mut order, silence, 20, &[0, 80, 0, 60]), [2, 0, 3, 1]);
        // Nothing is sent by those who are muted: their silence counts all the same.
        let later = silence + Duration::from_secs(5);
        assert_eq!(order.place(voice(2, 10), later), 3, "hardly a voice");
        assert_eq!(order.place(voice(2, 60), later), 0);
    }

    #[test]
    fn who_is_gone_leaves_the_order() {
        let (mut order, now) = (VoiceOrder::default(), Instant::now());
        rank(&mut order, now, 10, &[90, 70, 50, 30]);
        order.remove(1);
        order.remove(1);
        assert_eq!(order.order, [0, 2, 3]);
        assert_eq!(order.place(voice(3, 30), now), 2);
        assert_eq!(order.place(voice(1, 0), now), 3, "somebody else");
    }

    #[test]
    fn who_is_gone_leaves_a_place() {
        let (mut loudest, policy, now) = (Loudest::default(), policy(1), Instant::now());
        assert!(loudest.admit(&policy, voice(0, 90), now));
        assert!(!loudest.admit(&policy, voice(1, 30), now));
        loudest.remove(0);
        assert!(loudest.admit(&policy, voice(1, 30), now));
    }
}
