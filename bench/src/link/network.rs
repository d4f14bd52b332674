//! The networks of `tertulia load --network`, by the same names, with the same figures and the
//! same emulator (crates/tertulia/src/load/network.rs).

use std::time::Duration;

use anyhow::bail;
use str0m_netem::{Bitrate, DataSize, GilbertElliot, NetemConfig, Probability, RandomLoss};

/// What an access is like, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// The machine's own
    Direct,
    Good,
    Wifi,
    Cellular,
    Lossy5,
    Lossy15,
    Bursty,
    Narrow,
    Far,
}

impl Network {
    pub(crate) const ALL: [(&str, Network); 9] = [
        ("direct", Network::Direct),
        ("good", Network::Good),
        ("wifi", Network::Wifi),
        ("cellular", Network::Cellular),
        ("lossy-5", Network::Lossy5),
        ("lossy-15", Network::Lossy15),
        ("bursty", Network::Bursty),
        ("narrow", Network::Narrow),
        ("far", Network::Far),
    ];

    /// The network of this name.
    pub(crate) fn named(name: &str) -> anyhow::Result<Network> {
        match Network::ALL.iter().find(|(known, _)| *known == name) {
            Some((_, network)) => Ok(*network),
            None => bail!(
                "no such network: {name}; there are: {}",
                Network::ALL.map(|(known, _)| known).join(", ")
            ),
        }
    }

    /// One direction.
    pub(crate) fn config(self) -> NetemConfig {
        let config = NetemConfig::new();
        let after = |millis| config.latency(Duration::from_millis(millis));
        let lossy = |share| after(25).loss(RandomLoss::new(Probability::new(share)));
        match self {
            Network::Direct => config,
            Network::Good => after(10),
            Network::Wifi => NetemConfig::wifi(),
            Network::Cellular => NetemConfig::cellular(),
            Network::Lossy5 => lossy(0.05),
            Network::Lossy15 => lossy(0.15),
            Network::Bursty => {
                let bursts = GilbertElliot::new().good_duration(600.0).bad_duration(10.0);
                after(25).loss(bursts)
            }
            Network::Narrow => after(25).link(Bitrate::mbps(1), DataSize::kbytes(32)),
            Network::Far => after(200),
        }
    }

    /// One direction, as the kernel's `netem` takes it. Its queue counts packets: those of
    /// 1,000 bytes.
    pub(crate) fn netem_arguments(self) -> &'static str {
        match self {
            Network::Direct => "delay 0ms",
            Network::Good => "delay 10ms",
            Network::Wifi => "delay 5ms 2ms loss gemodel 0.5% 50% rate 100mbit limit 200",
            Network::Cellular => "delay 50ms 15ms loss gemodel 1% 50% rate 30mbit limit 100",
            Network::Lossy5 => "delay 25ms loss 5%",
            Network::Lossy15 => "delay 25ms loss 15%",
            Network::Bursty => "delay 25ms loss gemodel 0.1667% 10%",
            Network::Narrow => "delay 25ms rate 1mbit limit 32",
            Network::Far => "delay 200ms",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use str0m_netem::{Input, Netem, Output};

    use super::*;

    /// What becomes of a thousand packets of 100 bytes, one each 20 ms: those that are through, and
    /// the longest way in milliseconds.
    fn pass(network: Network) -> (usize, usize) {
        let mut emulator = Netem::new(network.config().seed(7));
        let start = Instant::now();
        let (mut through, mut longest) = (0, 0);
        for tick in 0..21_000_usize {
            let now = start + Duration::from_millis(tick as u64);
            if tick.is_multiple_of(20) && tick < 20_000 {
                let mut packet = tick.to_be_bytes().to_vec();
                packet.resize(100, 0);
                emulator.handle_input(Input::Packet(now, packet));
            } else {
                emulator.handle_input(Input::Timeout(now));
            }
            while let Some(Output::Packet(packet)) = emulator.poll_output() {
                let sent = usize::from_be_bytes(packet[..8].try_into().unwrap());
                longest = longest.max(tick - sent);
                through += 1;
            }
        }
        (through, longest)
    }

    #[test]
    fn networks_are_what_their_names_say() {
        assert_eq!(pass(Network::named("direct").unwrap()), (1000, 0));
        assert_eq!(pass(Network::named("good").unwrap()), (1000, 10));
        assert_eq!(pass(Network::named("far").unwrap()), (1000, 200));
        let (through, longest) = pass(Network::named("lossy-5").unwrap());
        assert!((920..=980).contains(&through), "{through}");
        assert_eq!(longest, 25);
        let (through, _) = pass(Network::named("lossy-15").unwrap());
        assert!((800..=900).contains(&through), "{through}");
        assert!(Network::named("perfect").is_err());
    }

    #[test]
    fn the_kernel_is_told_the_same_delay() {
        for (name, network) in Network::ALL {
            let (_, longest) = pass(network);
            let words: Vec<&str> = network.netem_arguments().split(' ').collect();
            let millis = |word: &str| Some(word.strip_suffix("ms")?.parse::<usize>().unwrap());
            let most: usize = words.iter().filter_map(|word| millis(word)).sum();
            assert!(longest.abs_diff(most) <= 2, "{name}: {longest} and {most}");
        }
    }
}
