//! With whom an allocation may exchange packets.
//!
//! Only with our own media port and our own relay ports, unless the administrator opens the relay
//! to the public network, and then never with loopback, private, link-local or multicast addresses,
//! nor with other ports of this machine. Who cannot connect directly uses the bridge; a guest's
//! credentials are no open proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    pub local: IpAddr,
    /// What a NAT makes of it and of its media port. Packets to it are delivered here, without a
    /// way through the NAT.
    pub public: Option<SocketAddr>,
}

/// The rule.
#[derive(Clone, Debug)]
pub struct Peers {
    /// All addresses of this machine that media is exchanged with; those of one family in the
    /// order of preference.
    pub own: Vec<OwnAddress>,
    /// The port of the bridge.
    pub media_port: u16,
    /// Addresses of the public network are peers too.
    pub is_public: bool,
}

/// An address that may be a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// This machine, under this local address; only some ports.
    Own(IpAddr),
    /// Somebody else.
    Public,
}

impl Peers {
    /// What an address is to us; None if it may not be a peer.
    pub(crate) fn judge(&self, ip: IpAddr) -> Option<Peer> {
        let ours = self
            .own
            .iter()
            .find(|own| own.local == ip || own.public.is_some_and(|public| public.ip() == ip));
        match ours {
            Some(own) => Some(Peer::Own(own.local)),
            None => (self.is_public && is_public(ip)).then_some(Peer::Public),
        }
    }

    /// The address that relays for a client which asked `asked`, in this family: the same one
    /// where that makes sense.
    pub(crate) fn relay_address(&self, is_ipv6: bool, asked: IpAddr) -> Option<OwnAddress> {
        let of_family = || self.own.iter().filter(|own| own.local.is_ipv6() == is_ipv6);
        of_family()
            .find(|own| own.local == asked)
            .or_else(|| of_family().next())
            .copied()
    }

    /// The public address of a local one, where a NAT gives it one.
    pub(crate) fn public_of(&self, local: SocketAddr) -> Option<SocketAddr> {
        let own = self.own.iter().find(|own| own.local == local.ip())?;
        let public = own.public?;
        if local.port() == self.media_port {
            return Some(public);
        }
        Some(SocketAddr::new(public.ip(), local.port()))
    }

    /// The local address behind one of ours.
    pub(crate) fn local_of(&self, local: IpAddr, peer: SocketAddr) -> SocketAddr {
        let own = self.own.iter().find(|own| own.local == local);
        let is_media = own.is_some_and(|own| own.public == Some(peer));
        SocketAddr::new(
            local,
            if is_media {
                self.media_port
            } else {
                peer.port()
            },
        )
    }
}

/// Whether an address belongs to somebody on the public network. The lists are those of the IANA
/// special-purpose registries; addresses that carry another one inside (6to4, Teredo, NAT64) are
/// not looked into, they are no peers.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = match (a, b, c) {
        // This network, loopback, private, multicast, reserved and broadcast.
        (0 | 10 | 127 | 224..=255, _, _) => true,
        (100, 64..=127, _) => true,
        (169, 254, _) | (192, 168, _) => true,
        (172, 16..=31, _) => true,
        // Protocol assignments, documentation, 6to4 relays.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => true,
        // Benchmarking.
        (198, 18 | 19, _) => true,
        _ => false,
    };
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, ..] = ip.segments();
    // Global unicast is 2000::/3; the rest is unassigned or special.
    let is_global = (0x2000..=0x3fff).contains(&a);
    let is_special = match (a, b) {
        // Teredo and other protocol assignments; documentation.
        (0x2001, 0x0000..=0x01ff | 0x0db8) => true,
        // 6to4.
        (0x2002, _) => true,
        // Documentation.
        (0x3fff, 0x0000..=0x0fff) => true,
        _ => false,
    };
    // 2620:4f:8000::/48 answers for everybody.
    is_global && !is_special && (a, b, c) != (0x2620, 0x4f, 0x8000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn peers(is_public: bool) -> Peers {
        let own = |local, public: Option<&str>| OwnAddress {
            local: ip(local),
            public: public.map(|public| public.parse().unwrap()),
        };
        Peers {
            own: vec![
                own("10.0.0.5", Some("198.51.100.7:40000")),
                own("10.1.0.5", None),
                own("2001:db8::5", None),
            ],
            media_port: 10_000,
            is_public,
        }
    }

    #[test]
    fn our_own_addresses_are_peers_and_a_public_one_stands_for_its_local_one() {
        for is_public in [false, true] {
            let peers = peers(is_public);
            let here = Some(Peer::Own(ip("10.0.0.5")));
            assert_eq!(peers.judge(ip("10.0.0.5")), here);
            assert_eq!(peers.judge(ip("198.51.100.7")), here);
            let v6 = ip("2001:db8::5");
            assert_eq!(peers.judge(v6), Some(Peer::Own(v6)));
        }
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let peers = peers(false);
        let public = peers.public_of(at("10.0.0.5:10000"));
        assert_eq!(public, Some(at("198.51.100.7:40000")));
        let relay = peers.public_of(at("10.0.0.5:50000"));
        assert_eq!(relay, Some(at("198.51.100.7:50000")));
        assert_eq!(peers.public_of(at("10.1.0.5:10000")), None);
        let local = |peer| peers.local_of(ip("10.0.0.5"), at(peer)).to_string();
        assert_eq!(local("198.51.100.7:40000"), "10.0.0.5:10000");
        assert_eq!(local("198.51.100.7:50000"), "10.0.0.5:50000");
        assert_eq!(local("10.0.0.5:10000"), "10.0.0.5:10000");
    }

    #[test]
    fn nobody_else_is_a_peer_by_default_and_special_addresses_never_are() {
        assert_eq!(peers(false).judge(ip("1.1.1.1")), None);
        assert_eq!(peers(true).judge(ip("1.1.1.1")), Some(Peer::Public));
        let v6 = ip("2606:4700::1111");
        assert_eq!(peers(false).judge(v6), None);
        assert_eq!(peers(true).judge(v6), Some(Peer::Public));
        for never in [
            "0.0.0.0",
            "10.0.0.6",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::6",
            "2002:7f00:1::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert_eq!(peers(true).judge(ip(never)), None, "{never}");
        }
    }

    #[test]
    fn the_relay_is_where_the_client_came_to_if_that_is_ours() {
        let peers = peers(false);
        let relay = |is_ipv6, asked| peers.relay_address(is_ipv6, ip(asked)).map(|own| own.local);
        assert_eq!(relay(false, "10.1.0.5"), Some(ip("10.1.0.5")));
        assert_eq!(relay(false, "127.0.0.1"), Some(ip("10.0.0.5")));
        assert_eq!(relay(true, "10.1.0.5"), Some(ip("2001:db8::5")));
        let none = Peers {
            own: Vec::new(),
            ..peers.clone()
        };
        assert_eq!(none.relay_address(false, ip("10.1.0.5")), None);
    }
}
