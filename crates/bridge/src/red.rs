//! Voice with redundancy (RED, RFC 2198): a packet carries the ones before it once more.
//!
//! A client that sends so does for all of its audio. Whose client knows it too gets it as it came,
//! end-to-end encrypted or not. For all others it is made plain Opus again, and what was lost on
//! the way to the bridge is filled in.

/// A packet, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Red<'a> {
    /// What the packet is sent for.
    pub(crate) primary: &'a [u8],
    earlier: [Option<Earlier<'a>>; EARLIER_MAX],
}

/// What was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Earlier<'a> {
    /// So many packets ago.
    pub(crate) distance: u64,
    /// So many ticks ago.
    pub(crate) ticks: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Red<'a> {
    /// None if it is not RED around blocks of this payload type.
    pub(crate) fn parse(payload: &'a [u8], inner: u8) -> Option<Red<'a>> {
        let mut lengths = [(0u32, 0usize); EARLIER_MAX];
        let mut count = 0;
        let mut rest = payload;
        loop {
            let (&first, behind) = rest.split_first()?;
            if first & 0x7f != inner {
                return None;
            }
            if first & 0x80 == 0 {
                rest = behind;
                break;
            }
            let (&[a, b, c], behind) = behind.split_first_chunk()?;
            // 14 bits of time, 10 of length.
            let bits = u32::from_be_bytes([0, a, b, c]);
            *lengths.get_mut(count)? = (bits >> 10, (bits & 0x3ff) as usize);
            count += 1;
            rest = behind;
        }
        let mut earlier = [None; EARLIER_MAX];
        let blocks = lengths.into_iter().take(count).enumerate();
        for ((index, (ticks, length)), place) in blocks.zip(&mut earlier) {
            let (payload, behind) = rest.split_at_checked(length)?;
            rest = behind;
            // An empty one only keeps the place of what there was nothing of.
            if !payload.is_empty() {
                *place = Some(Earlier {
                    distance: (count - index) as u64,
                    ticks,
                    payload,
                });
            }
        }
        Some(Red {
            primary: rest,
            earlier,
        })
    }

    /// What was sent before, oldest first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = Earlier<'a>> {
        self.earlier.into_iter().flatten()
    }
}

/// Which of the last packets of a stream are there.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    highest: Option<u64>,
    /// The lowest bit is the highest number.
    seen: u64,
}

impl Arrivals {
    /// Notes a packet; false if it was there already, or is too old to tell.
    pub(crate) fn note(&mut self, number: u64) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(number);
            // What was before the first one is not missed.
            self.seen = u64::MAX;
            return true;
        };
        if number > highest {
            let ahead = u32::try_from(number - highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = Some(number);
            return true;
        }
        let bit = u32::try_from(highest - number)
            .map_or(0, |behind| 1u64.checked_shl(behind).unwrap_or(0));
        let is_new = bit & !self.seen != 0;
        self.seen |= bit;
        is_new
    }
}

/// Browsers send one or two.
const EARLIER_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(ticks: u32, length: usize) -> [u8; 4] {
        let [_, a, b, c] = (ticks << 10 | length as u32).to_be_bytes();
        [0x80 | 111, a, b, c]
    }

    #[test]
    fn blocks_are_told_apart() {
        let mut payload = Vec::new();
        payload.extend(block(1_920, 3));
        payload.extend(block(960, 2));
        payload.push(111);
        payload.extend(*b"oldnenow");
        let red = Red::parse(&payload, 111).unwrap();
        assert_eq!(red.primary, b"now");
        let earlier: Vec<_> = red
            .earlier()
            .map(|earlier| (earlier.distance, earlier.ticks, earlier.payload))
            .collect();
        assert_eq!(earlier, [(2, 1_920, &b"old"[..]), (1, 960, &b"ne"[..])]);
        assert_eq!(Red::parse(&payload, 100), None, "another codec inside");
        let bare = Red::parse(&[111, 7], 111).unwrap();
        assert_eq!((bare.primary, bare.earlier().count()), (&[7][..], 0));
        let mut hollow = block(960, 0).to_vec();
        hollow.extend([111, 7]);
        let hollow = Red::parse(&hollow, 111).unwrap();
        assert_eq!((hollow.primary, hollow.earlier().count()), (&[7][..], 0));
    }

    #[test]
    fn arrivals_are_noted_once() {
        let mut arrivals = Arrivals::default();
        let mut note = |number| arrivals.note(number);
        assert!(note(10));
        assert!(!note(9), "from before the beginning");
        assert!(note(13) && note(12) && !note(12) && !note(13) && note(11));
        assert!(note(100) && !note(13), "too old");
        assert!(note(40) && !note(40) && !note(36));
        assert!(note(1_000_000) && note(999_999));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..64), start in 0usize..3) {
            let mut dressed = vec![0x80 | 111; start * 4];
            dressed.extend(&payload);
            for bytes in [&payload, &dressed] {
                if let Some(red) = Red::parse(bytes, 111) {
                    prop_assert!(red.primary.len() + red.earlier().count() < bytes.len());
                }
            }
        }

        #[test]
        fn each_number_is_new_once(numbers in proptest::collection::vec(0u64..50, 1..200)) {
            let mut arrivals = Arrivals::default();
            let mut seen = std::collections::BTreeSet::new();
            let first = numbers[0];
            for number in numbers {
                let is_new = arrivals.note(number);
                let is_first_time = seen.insert(number);
                prop_assert_eq!(is_new, is_first_time && number >= first);
            }
        }
    }
}
