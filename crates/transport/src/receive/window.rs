//! Which numbers of a stream were there already.

/// The last [`WIDTH`] numbers up to the highest, one bit for each.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

/// What is known of a number that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// The first of all, or above all others: so many numbers between were skipped.
    Higher { skipped: u64 },
    /// Below the highest, for the first time.
    Late,
    /// It was there, or it is so old that nobody knows.
    Known,
}

impl Window {
    pub(crate) const fn new() -> Window {
        Window {
            highest: None,
            seen: [0; WORDS],
        }
    }

    /// As if every number up to this one had been there.
    pub(crate) const fn after(highest: u64) -> Window {
        Window {
            highest: Some(highest),
            seen: [u64::MAX; WORDS],
        }
    }

    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// What a number would be.
    pub(crate) fn novelty(&self, number: u64) -> Novelty {
        let Some(highest) = self.highest else {
            return Novelty::Higher { skipped: 0 };
        };
        if number > highest {
            return Novelty::Higher {
                skipped: number - highest - 1,
            };
        }
        if highest - number >= WIDTH || self.has(number) {
            return Novelty::Known;
        }
        Novelty::Late
    }

    /// Remembers a number.
    pub(crate) fn note(&mut self, number: u64) -> Novelty {
        let novelty = self.novelty(number);
        match novelty {
            Novelty::Known => return novelty,
            Novelty::Late => {}
            Novelty::Higher { skipped } if skipped >= WIDTH => self.seen = [0; WORDS],
            Novelty::Higher { skipped } => {
                for between in number - skipped..=number {
                    self.set(between, false);
                }
            }
        }
        self.set(number, true);
        if matches!(novelty, Novelty::Higher { .. }) {
            self.highest = Some(number);
        }
        novelty
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.seen.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, number: u64, is_seen: bool) {
        let (word, bit) = place(number);
        if let Some(word) = self.seen.get_mut(word) {
            *word = if is_seen { *word | bit } else { *word & !bit };
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let index = number % WIDTH;
    ((index / 64) as usize, 1 << (index % 64))
}

/// The full number of which the lower 16 bits are known, by the one nearest to `reference`; none
/// is below zero.
pub(crate) fn extend(number: u16, reference: u64) -> u64 {
    let distance = number.wrapping_sub(reference as u16) as i16;
    let extended = reference.checked_add_signed(i64::from(distance));
    // Only at the very beginning, or the very end, of all numbers.
    extended.unwrap_or(u64::from(number))
}

const WORDS: usize = 16;
/// More than two seconds of a stream of 4 Mbit/s: what comes later is of no use to anyone.
pub(crate) const WIDTH: u64 = WORDS as u64 * 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_older_than_the_window_counts_as_known() {
        let mut window = Window::new();
        assert_eq!(window.note(5000), Novelty::Higher { skipped: 0 });
        assert_eq!(window.note(5000 - WIDTH), Novelty::Known);
        assert_eq!(window.note(5001 - WIDTH), Novelty::Late);
        assert_eq!(window.note(5001 - WIDTH), Novelty::Known);
        assert_eq!(
            window.note(5000 + WIDTH),
            Novelty::Higher { skipped: WIDTH - 1 }
        );
        assert_eq!(window.note(5001), Novelty::Late);
        assert_eq!(window.highest(), Some(5000 + WIDTH));
    }

    #[test]
    fn a_window_may_begin_after_others() {
        let mut window = Window::after(70_000);
        assert_eq!(window.note(70_000), Novelty::Known);
        assert_eq!(window.note(69_990), Novelty::Known);
        assert_eq!(window.note(70_003), Novelty::Higher { skipped: 2 });
        assert_eq!(window.note(70_001), Novelty::Late);
    }

    #[test]
    fn a_number_is_extended_to_the_nearest() {
        assert_eq!(extend(5, 65_530), 65_541);
        assert_eq!(extend(65_530, 65_541), 65_530);
        assert_eq!(extend(65_530, 3), 65_530, "nothing is below zero");
        assert_eq!(extend(7, 7), 7);
        assert_eq!(extend(0, u64::MAX), 0, "nothing is above the last");
    }

    proptest! {
        #[test]
        fn no_number_is_new_twice(
            numbers in proptest::collection::vec(0u64..4000, 1..600),
        ) {
            let mut window = Window::new();
            let mut seen = BTreeSet::new();
            for number in numbers {
                let highest = seen.last().copied();
                let expected = match highest {
                    None => Novelty::Higher { skipped: 0 },
                    Some(highest) if number > highest => {
                        Novelty::Higher { skipped: number - highest - 1 }
                    }
                    Some(highest) if highest - number >= WIDTH => Novelty::Known,
                    Some(_) if seen.contains(&number) => Novelty::Known,
                    Some(_) => Novelty::Late,
                };
                prop_assert_eq!(window.note(number), expected);
                seen.insert(number);
            }
        }
    }
}
