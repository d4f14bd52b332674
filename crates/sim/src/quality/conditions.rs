use std::time::Duration;

use crate::network::{Bottleneck, Bursts, Quality};

/// A network between people and the server. Both directions are alike, but for the bottleneck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    pub name: &'static str,
    /// What it is, for the reader of the table.
    pub description: &'static str,
    pub quality: Quality,
    /// Bits per second towards each person: one after the other, and from the start again.
    rates: &'static [u64],
    /// How long each of them lasts.
    step: Duration,
    /// How long a datagram waits at most for its turn.
    queue: Duration,
}

impl Conditions {
    /// The narrowest part on the way to a person, so long after the beginning.
    pub fn bottleneck(&self, elapsed: Duration) -> Option<Bottleneck> {
        let step = elapsed.as_millis() / self.step.as_millis().max(1);
        let place = usize::try_from(step).ok()?.checked_rem(self.rates.len())?;
        Some(Bottleneck {
            bits_per_second: *self.rates.get(place)?,
            queue: self.queue,
        })
    }
}

/// The networks of the table.
pub const NETWORKS: [Conditions; 8] = [
    Conditions {
        name: "good",
        description: "20 ms each way, nothing lost",
        quality: quality(20, 2),
        ..WIDE
    },
    Conditions {
        name: "Wi-Fi",
        description: "10 ± 5 ms each way, 0.1 % lost, and 60 % for some 40 ms every 3 s; \
                      30 Mbit/s down",
        quality: Quality {
            loss: 0.001,
            bursts: Some(bursts(3_000, 40, 0.6)),
            ..quality(10, 5)
        },
        rates: &[30_000_000],
        ..WIDE
    },
    Conditions {
        name: "cellular",
        description: "50 ± 15 ms each way, 0.2 % lost, and 80 % for some 150 ms every 8 s; \
                      8 Mbit/s down with a queue of 300 ms",
        quality: Quality {
            loss: 0.002,
            bursts: Some(bursts(8_000, 150, 0.8)),
            ..quality(50, 15)
        },
        rates: &[8_000_000],
        queue: Duration::from_millis(300),
        ..WIDE
    },
    Conditions {
        name: "loss 5 %",
        description: "30 ± 5 ms each way, 5 % lost each way",
        quality: Quality {
            loss: 0.05,
            ..quality(30, 5)
        },
        ..WIDE
    },
    Conditions {
        name: "loss 15 %",
        description: "30 ± 5 ms each way, 15 % lost each way",
        quality: Quality {
            loss: 0.15,
            ..quality(30, 5)
        },
        ..WIDE
    },
    Conditions {
        name: "bursty",
        description: "30 ± 5 ms each way, everything lost for some 100 ms every 2 s",
        quality: Quality {
            bursts: Some(bursts(2_000, 100, 1.0)),
            ..quality(30, 5)
        },
        ..WIDE
    },
    Conditions {
        name: "300 kbit/s ↔ 2 Mbit/s",
        description: "30 ± 2 ms each way; down 300 kbit/s for 10 s, 2 Mbit/s for 10 s, and again, \
                      with a queue of 300 ms",
        quality: quality(30, 2),
        rates: &[300_000, 2_000_000],
        step: Duration::from_secs(10),
        queue: Duration::from_millis(300),
    },
    Conditions {
        name: "delay 200 ms",
        description: "100 ± 5 ms each way: 200 ms from person to person",
        quality: quality(100, 5),
        ..WIDE
    },
];

const WIDE: Conditions = Conditions {
    name: "",
    description: "",
    quality: quality(0, 0),
    rates: &[],
    step: Duration::from_secs(3_600),
    queue: Duration::from_millis(100),
};

const fn quality(latency: u64, jitter: u64) -> Quality {
    Quality {
        latency: Duration::from_millis(latency),
        jitter: Duration::from_millis(jitter),
        loss: 0.0,
        reorder_gap: None,
        bursts: None,
        bottleneck: None,
    }
}

const fn bursts(every: u64, length: u64, loss: f32) -> Bursts {
    Bursts {
        every: Duration::from_millis(every),
        length: Duration::from_millis(length),
        loss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_each_other_and_begin_again() {
        let [good, .., steps, _] = &NETWORKS;
        assert_eq!(good.bottleneck(Duration::ZERO), None);
        let at = |seconds| {
            let bottleneck = steps.bottleneck(Duration::from_secs(seconds));
            bottleneck.unwrap().bits_per_second
        };
        assert_eq!(
            [at(0), at(9), at(10), at(25), at(35)],
            [300_000, 300_000, 2_000_000, 300_000, 2_000_000]
        );
    }
}
