//! Which packets were opened: against replays (RFC 3711, 3.3.2), and to know how often a sequence
//! number has wrapped (appendix A).

use std::collections::BTreeMap;

use super::Refused;

/// Packets opened, by SSRC.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// One for each window: apart, since all of them are looked through for a packet.
    ssrcs: Vec<u32>,
    windows: Vec<Window>,
    /// The highest packet of SSRCs that lost their window.
    retired: BTreeMap<u32, u64>,
    /// Counts packets.
    packets: u64,
}

/// What is known of an SSRC; good until the next [`Seen::accept`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    /// The place of its window.
    Window(usize),
    /// Its highest packet.
    Retired(u64),
    Nothing,
}

impl Seen {
    /// # Errors
    ///
    /// If the SSRC is new and there is no room for another.
    #[inline]
    pub(super) fn find(&self, ssrc: u32) -> Result<Known, Refused> {
        if let Some(place) = self.ssrcs.iter().position(|&other| other == ssrc) {
            return Ok(Known::Window(place));
        }
        match self.retired.get(&ssrc) {
            Some(&highest) => Ok(Known::Retired(highest)),
            None if self.ssrcs.len() < WINDOWS_MAX => Ok(Known::Nothing),
            None if self.retired.len() < RETIRED_MAX => Ok(Known::Nothing),
            None => Err(Refused::Ssrcs),
        }
    }

    /// The index that a sequence number most likely stands for: the nearest to the highest so far.
    #[inline]
    pub(super) fn index(&self, known: Known, number: u16) -> u64 {
        let Some(highest) = self.highest(known) else {
            return u64::from(number);
        };
        let ahead = number.wrapping_sub(highest as u16).cast_signed();
        match highest.checked_add_signed(i64::from(ahead)) {
            Some(index) => index,
            // before the first wrap nothing is behind it: it is far ahead
            None => u64::from(number),
        }
    }

    /// # Errors
    ///
    /// If it came before, or nobody can say.
    #[inline]
    pub(super) fn check(&self, known: Known, index: u64) -> Result<(), Refused> {
        let is_new = match known {
            Known::Window(place) => self
                .windows
                .get(place)
                .is_some_and(|window| window.is_new(index)),
            Known::Retired(highest) => index > highest,
            Known::Nothing => true,
        };
        match is_new {
            true => Ok(()),
            false => Err(Refused::Replayed),
        }
    }

    /// A packet that was checked had the right tag.
    #[inline]
    pub(super) fn accept(&mut self, known: Known, ssrc: u32, index: u64) {
        self.packets += 1;
        match known {
            Known::Window(place) => {
                if let Some(window) = self.windows.get_mut(place) {
                    window.accept(index);
                    window.used = self.packets;
                }
            }
            Known::Retired(_) | Known::Nothing => self.add(known, ssrc, index),
        }
    }

    fn highest(&self, known: Known) -> Option<u64> {
        match known {
            Known::Window(place) => self.windows.get(place).map(|window| window.highest),
            Known::Retired(highest) => Some(highest),
            Known::Nothing => None,
        }
    }

    /// A window for another SSRC; if there are too many, instead of the one unused for longest.
    fn add(&mut self, known: Known, ssrc: u32, index: u64) {
        self.retired.remove(&ssrc);
        let mut window = match known {
            Known::Retired(highest) => Window::full(highest),
            _ => Window::new(index),
        };
        window.accept(index);
        window.used = self.packets;
        if self.windows.len() < WINDOWS_MAX {
            self.ssrcs.push(ssrc);
            self.windows.push(window);
            return;
        }
        let unused = self.ssrcs.iter_mut().zip(&mut self.windows);
        if let Some((old_ssrc, old)) = unused.min_by_key(|(_, window)| window.used) {
            self.retired.insert(*old_ssrc, old.highest);
            *old_ssrc = ssrc;
            *old = window;
        }
    }
}

/// Which of the last packets of one SSRC came.
///
/// A ring of words with a bit for each index (RFC 6479): the word of the highest one is only partly
/// in use, so that there is one more than the window needs.
#[derive(Clone, Debug)]
struct Window {
    highest: u64,
    /// [`Seen::packets`] at its last packet.
    used: u64,
    words: [u64; WORDS],
}

impl Window {
    fn new(highest: u64) -> Window {
        Window {
            highest,
            used: 0,
            words: [0; WORDS],
        }
    }

    /// What came is forgotten: as if all had.
    fn full(highest: u64) -> Window {
        let mut window = Window {
            words: [u64::MAX; WORDS],
            ..Window::new(highest)
        };
        let (word, bit) = place(highest);
        if let Some(word) = window.words.get_mut(word) {
            // those above have not come
            *word >>= 63 - bit;
        }
        window
    }

    #[inline]
    fn is_new(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(WINDOW..) => false,
            Some(_) => {
                let (word, bit) = place(index);
                self.words
                    .get(word)
                    .is_some_and(|word| word & 1 << bit == 0)
            }
        }
    }

    #[inline]
    fn accept(&mut self, index: u64) {
        if index > self.highest {
            // words that are entered anew
            let entered = (index / 64 - self.highest / 64).min(WORDS as u64);
            for ahead in 0..entered {
                let (word, _) = place(index - ahead * 64);
                if let Some(word) = self.words.get_mut(word) {
                    *word = 0;
                }
            }
            self.highest = index;
        }
        let (word, bit) = place(index);
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << bit;
        }
    }
}

fn place(index: u64) -> (usize, u32) {
    let word = index / 64 % WORDS as u64;
    (word as usize, (index % 64) as u32)
}

/// How far back a packet may come.
const WINDOW: u64 = 1024;
const WORDS: usize = WINDOW as usize / 64 + 1;

/// SSRCs with a window: a client has a few sources of up to six SSRCs.
const WINDOWS_MAX: usize = 64;
/// SSRCs of which the highest packet alone is known. Nobody draws so many by changing sources; who
/// does has to connect anew.
const RETIRED_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn take(seen: &mut Seen, ssrc: u32, index: u64) -> Result<(), Refused> {
        let known = seen.find(ssrc)?;
        seen.check(known, index)?;
        seen.accept(known, ssrc, index);
        Ok(())
    }

    #[test]
    fn once_and_within_the_window() {
        let mut seen = Seen::default();
        for index in [5000, 4999, 5002, 5001, 3979] {
            assert_eq!(take(&mut seen, 1, index), Ok(()), "{index}");
            assert_eq!(take(&mut seen, 1, index), Err(Refused::Replayed), "{index}");
        }
        assert_eq!(take(&mut seen, 1, 3978), Err(Refused::Replayed), "too old");
        assert_eq!(take(&mut seen, 2, 3978), Ok(()), "another SSRC");
        assert_eq!(take(&mut seen, 1, 1_000_000), Ok(()));
        assert_eq!(take(&mut seen, 1, 1_000_000 - 1023), Ok(()));
        assert_eq!(take(&mut seen, 1, 5003), Err(Refused::Replayed));
    }

    #[test]
    fn numbers_wrap_both_ways() {
        let mut seen = Seen::default();
        let guess = |seen: &Seen, number| seen.index(seen.find(1).unwrap(), number);
        assert_eq!(guess(&seen, 65_000), 65_000);
        take(&mut seen, 1, 10).unwrap();
        assert_eq!(guess(&seen, 5), 5);
        assert_eq!(guess(&seen, 60_000), 60_000, "there is nothing before 0");
        take(&mut seen, 1, 65_530).unwrap();
        assert_eq!(guess(&seen, 3), 65_539);
        take(&mut seen, 1, 65_539).unwrap();
        assert_eq!(guess(&seen, 65_531), 65_531);
        assert_eq!(guess(&seen, 3 + 32_767), 65_539 + 32_767);
        assert_eq!(guess(&seen, 3 + 32_769), 65_539 - 32_767);
    }

    #[test]
    fn who_lost_the_window_replays_nothing() {
        let mut seen = Seen::default();
        let first = 500;
        take(&mut seen, first, 70_000).unwrap();
        for ssrc in 1000..1000 + WINDOWS_MAX as u32 {
            take(&mut seen, ssrc, 1).unwrap();
        }
        assert_eq!(seen.ssrcs.len(), WINDOWS_MAX);
        assert!(matches!(seen.find(first), Ok(Known::Retired(70_000))));
        assert_eq!(take(&mut seen, first, 70_000), Err(Refused::Replayed));
        assert_eq!(take(&mut seen, first, 69_999), Err(Refused::Replayed));
        let known = seen.find(first).unwrap();
        assert_eq!(seen.index(known, (70_001 % 65_536) as u16), 70_001);
        assert_eq!(take(&mut seen, first, 70_003), Ok(()), "back again");
        assert!(matches!(seen.find(first), Ok(Known::Window(_))));
        for index in [69_999, 70_000, 70_003] {
            let again = take(&mut seen, first, index);
            assert_eq!(again, Err(Refused::Replayed), "{index}");
        }
        assert_eq!(take(&mut seen, first, 70_002), Ok(()), "late, but new");
        // it is not the first again that goes
        take(&mut seen, 1, 1).unwrap();
        assert!(matches!(seen.find(first), Ok(Known::Window(_))));
    }

    #[test]
    fn there_is_an_end_of_ssrcs() {
        let mut seen = Seen::default();
        for ssrc in 0..(WINDOWS_MAX + RETIRED_MAX) as u32 {
            take(&mut seen, ssrc, 1).unwrap();
        }
        assert_eq!(seen.retired.len(), RETIRED_MAX);
        assert_eq!(take(&mut seen, u32::MAX, 1), Err(Refused::Ssrcs));
        assert_eq!(take(&mut seen, 0, 2), Ok(()), "known ones go on");
        assert_eq!(seen.retired.len(), RETIRED_MAX);
    }

    proptest! {
        #[test]
        fn like_a_set_of_all(
            steps in proptest::collection::vec((-1200i64..1200, 0u8..8), 1..200),
        ) {
            let mut seen = Seen::default();
            let mut model = BTreeSet::new();
            let mut at = 3000u64;
            for (step, kind) in steps {
                // mostly near each other, sometimes a jump
                let step = if kind == 0 { step * 100 } else { step };
                let index = at.saturating_add_signed(step);
                let highest = model.last().copied().unwrap_or(0);
                let is_new = !model.contains(&index) && index + WINDOW > highest;
                prop_assert_eq!(take(&mut seen, 9, index).is_ok(), is_new);
                if is_new {
                    model.insert(index);
                    at = index.max(3000);
                }
            }
        }
    }
}
