//! What a network does to datagrams on one way, besides losing some: loss in bursts, jitter that
//! changes their order, duplicates.

use std::time::Duration;

use tertulia_model::Random;

/// One way between a client and the bridge. By default it does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// So many in a row are lost at a time; 0 is one.
    pub(crate) burst: u32,
    /// Up to so much is added to the delay of each.
    pub(crate) jitter: Duration,
    /// Percent of datagrams that arrive twice.
    pub(crate) twice: u32,
    left_in_burst: u32,
}

impl Way {
    /// The additional delays of the copies of one datagram that arrive; none if it is lost.
    pub(crate) fn fates(&mut self, loss: u32, random: &mut Random) -> Vec<Duration> {
        if self.left_in_burst > 0 {
            self.left_in_burst -= 1;
            return Vec::new();
        }
        let burst = self.burst.max(1);
        if random.u32() % (100 * burst) < loss {
            self.left_in_burst = burst - 1;
            return Vec::new();
        }
        let copies = if self.twice > 0 && random.u32() % 100 < self.twice {
            2
        } else {
            1
        };
        let most = self.jitter.as_micros() as u32;
        let mut late = || match most {
            0 => Duration::ZERO,
            most => Duration::from_micros(u64::from(random.u32() % most)),
        };
        (0..copies).map(|_| late()).collect()
    }
}
