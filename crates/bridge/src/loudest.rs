//! The loudest voices: in a room where many microphones are open only so many are passed on, if the
//! operator wants that.
//!
//! The ranking is that of Jitsi's bridge (`LoudestConfig`, `DominantSpeakerIdentification`): levels
//! that stand out from their room's noise are smoothed, and who has not been heard for a moment
//! loses the place.

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
        *own = (ALPHA * u32::from(voice.level) + (100 - ALPHA) * *own + 50) / 100;
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

/// Weight of a new level, in percent.
const ALPHA: u32 = 50;

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

    #[test]
    fn who_is_gone_leaves_a_place() {
        let (mut loudest, policy, now) = (Loudest::default(), policy(1), Instant::now());
        assert!(loudest.admit(&policy, voice(0, 90), now));
        assert!(!loudest.admit(&policy, voice(1, 30), now));
        loudest.remove(0);
        assert!(loudest.admit(&policy, voice(1, 30), now));
    }
}
