//! Networks of participants: what they do to datagrams, by name.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use str0m_netem::{
    Bitrate, DataSize, GilbertElliot, Input, Netem, NetemConfig, Output, Probability, RandomLoss,
    WithLen,
};

/// What a participant's access is like, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Network {
    /// The machine's own
    Direct,
    /// 10 ms, no loss
    Good,
    /// 5 ms, 2 ms of jitter, 1 % lost in bursts
    Wifi,
    /// 50 ms, 15 ms of jitter, 2 % lost in bursts, 30 Mbit/s
    Cellular,
    /// 25 ms, 5 % lost
    #[value(name = "lossy-5")]
    Lossy5,
    /// 25 ms, 15 % lost
    #[value(name = "lossy-15")]
    Lossy15,
    /// 25 ms, every few seconds some ten packets lost in a row
    Bursty,
    /// 25 ms, 1 Mbit/s with a buffer of a quarter of a second
    Narrow,
    /// 200 ms
    Far,
}

impl Network {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// One direction; None where nothing is done to it.
    fn direction(self, seed: u64) -> Option<Netem<Datagram>> {
        let config = NetemConfig::new().seed(seed);
        let after = |millis| config.latency(Duration::from_millis(millis));
        let lossy = |share| after(25).loss(RandomLoss::new(Probability::new(share)));
        let config = match self {
            Network::Direct => return None,
            Network::Good => after(10),
            Network::Wifi => NetemConfig::wifi().seed(seed),
            Network::Cellular => NetemConfig::cellular().seed(seed),
            Network::Lossy5 => lossy(0.05),
            Network::Lossy15 => lossy(0.15),
            Network::Bursty => {
                let bursts = GilbertElliot::new().good_duration(600.0).bad_duration(10.0);
                after(25).loss(bursts)
            }
            Network::Narrow => after(25).link(Bitrate::mbps(1), DataSize::kbytes(32)),
            Network::Far => after(200),
        };
        Some(Netem::new(config))
    }
}

/// Both directions of one participant's access.
pub(super) struct Access {
    up: Netem<Datagram>,
    down: Netem<Datagram>,
}

/// A datagram on its way, and to or from where.
#[derive(Clone)]
pub(super) struct Datagram {
    pub(super) peer: SocketAddr,
    pub(super) contents: Vec<u8>,
}

impl WithLen for Datagram {
    fn len(&self) -> usize {
        self.contents.len()
    }
}

impl Access {
    /// None where nothing stands between.
    pub(super) fn new(network: Network, seed: u64) -> Option<Access> {
        Some(Access {
            up: network.direction(seed)?,
            down: network.direction(!seed)?,
        })
    }

    /// A datagram leaves.
    pub(super) fn send(&mut self, now: Instant, datagram: Datagram) {
        self.up.handle_input(Input::Packet(now, datagram));
    }

    /// A datagram came to the socket.
    pub(super) fn receive(&mut self, now: Instant, datagram: Datagram) {
        self.down.handle_input(Input::Packet(now, datagram));
    }

    /// The next datagram that is through to the server.
    pub(super) fn poll_sent(&mut self, now: Instant) -> Option<Datagram> {
        poll(&mut self.up, now)
    }

    /// The next datagram that is through to the participant.
    pub(super) fn poll_received(&mut self, now: Instant) -> Option<Datagram> {
        poll(&mut self.down, now)
    }

    /// When the next one is through.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let waiting = [&self.up, &self.down].into_iter();
        waiting
            .filter(|direction| !direction.is_empty())
            .map(Netem::poll_timeout)
            .min()
    }
}

fn poll(direction: &mut Netem<Datagram>, now: Instant) -> Option<Datagram> {
    if direction.is_empty() || direction.poll_timeout() > now {
        return None;
    }
    direction.handle_input(Input::Timeout(now));
    std::iter::from_fn(|| direction.poll_output()).find_map(|output| match output {
        Output::Packet(datagram) => Some(datagram),
        Output::Timeout(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a thousand datagrams, one each 20 ms: those that are through, and the
    /// longest way.
    fn pass(network: Network) -> (usize, Duration) {
        let mut access = Access::new(network, 7).unwrap();
        let start = Instant::now();
        let (mut count, mut longest) = (0, Duration::ZERO);
        for tick in 0..21_000_u32 {
            let now = start + Duration::from_millis(tick.into());
            if tick.is_multiple_of(20) && tick < 20_000 {
                let contents = tick.to_be_bytes().to_vec();
                let peer = SocketAddr::from(([192, 0, 2, 1], 1));
                access.send(now, Datagram { peer, contents });
            }
            while let Some(datagram) = access.poll_sent(now) {
                let sent = u32::from_be_bytes(datagram.contents.try_into().unwrap());
                longest = longest.max(Duration::from_millis((tick - sent).into()));
                count += 1;
            }
        }
        assert_eq!(access.next_timeout(), None);
        (count, longest)
    }

    #[test]
    fn networks_are_what_their_names_say() {
        assert!(Access::new(Network::Direct, 1).is_none());
        let millis = Duration::from_millis;
        assert_eq!(pass(Network::Good), (1000, millis(10)));
        assert_eq!(pass(Network::Far), (1000, millis(200)));
        let (count, longest) = pass(Network::Lossy5);
        assert!((920..=980).contains(&count), "{count}");
        assert_eq!(longest, millis(25));
        let (count, _) = pass(Network::Lossy15);
        assert!((800..=900).contains(&count), "{count}");
        let (count, longest) = pass(Network::Cellular);
        assert!((930..1000).contains(&count), "{count}");
        assert!(longest <= millis(66));
        assert!(pass(Network::Bursty).0 < 1000);
    }
}
