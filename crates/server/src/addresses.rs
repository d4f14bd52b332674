//! What this machine is called and where it can be reached.

mod mapping;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use if_addrs::IfOperStatus;
use tertulia_bridge::LocalAddress;

pub(crate) use mapping::{Answers, Asker};
pub(crate) use watch::AddressWatch;

/// Addresses and names of this machine, as they were when they were looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// Of interfaces that are up, without loopback and link-local ones; IPv4 first, and of each
    /// family the one first that leads to the rest of the world.
    pub(crate) network: Vec<IpAddr>,
    /// Loopback addresses that exist.
    pub(crate) loopback: Vec<IpAddr>,
    /// This machine's name, and the same with `.local`.
    pub(crate) names: Vec<String>,
}

impl Addresses {
    /// Asks the system. What cannot be read is left out.
    pub(crate) fn of_this_machine() -> Addresses {
        let mut addresses = Addresses {
            names: names(),
            ..Addresses::default()
        };
        for interface in if_addrs::get_if_addrs().unwrap_or_default() {
            let ip = interface.ip();
            if interface.is_loopback() || ip.is_loopback() {
                addresses.loopback.push(ip);
            } else if interface.oper_status != IfOperStatus::Down && is_reachable(ip) {
                addresses.network.push(ip);
            }
        }
        let flags = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        leave_out_passing(&mut addresses.network, &ipv6_flags(&flags));
        sort(
            &mut addresses.network,
            &[IPV4_PROBE, IPV6_PROBE].map(way_to),
        );
        addresses.loopback.sort();
        addresses.loopback.dedup();
        addresses
    }

    /// Where media arrives: each address with what a NAT makes of it. The first external address
    /// of a family stands for the first local one of that family, and so on; what was `mapped`, by
    /// local address, counts for the others.
    pub(crate) fn for_media(
        &self,
        port: u16,
        has_ipv6: bool,
        external: &[IpAddr],
        mapped: &BTreeMap<SocketAddr, SocketAddr>,
    ) -> Vec<LocalAddress> {
        let mut known = BTreeSet::new();
        let mut of_family = |is_ipv6: bool| {
            let mut public = external.iter().filter(move |ip| ip.is_ipv6() == is_ipv6);
            let local = self.network.iter().filter(|ip| ip.is_ipv6() == is_ipv6);
            local
                .map(|ip| {
                    let address = SocketAddr::new(*ip, port);
                    let public = match public.next() {
                        Some(external) => Some(SocketAddr::new(*external, port)),
                        None => mapped.get(&address).copied(),
                    };
                    LocalAddress {
                        address,
                        // Behind one NAT several addresses may look like the same one.
                        public: public.filter(|public| *public != address && known.insert(*public)),
                    }
                })
                .collect::<Vec<_>>()
        };
        let mut all = of_family(false);
        if has_ipv6 {
            all.extend(of_family(true));
        }
        all
    }

    /// The same for clients on this machine.
    pub(crate) fn loopback_for_media(&self, port: u16, has_ipv6: bool) -> Vec<SocketAddr> {
        let loopback = self.loopback.iter();
        loopback
            .filter(|ip| ip.is_ipv4() || has_ipv6)
            .map(|ip| SocketAddr::new(*ip, port))
            .collect()
    }

    /// Whether sockets of this family make sense here.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.network
            .iter()
            .chain(&self.loopback)
            .any(IpAddr::is_ipv6)
    }
}

/// Addresses that others can be told of.
fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_link_local() && v4 != Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && v6 != Ipv6Addr::UNSPECIFIED,
    }
}

/// IPv4 first; in a family first the way to the world, then what is private.
fn sort(network: &mut Vec<IpAddr>, ways: &[Option<IpAddr>]) {
    network.sort_by_key(|ip| {
        (
            ip.is_ipv6(),
            !ways.contains(&Some(*ip)),
            !is_private(*ip),
            *ip,
        )
    });
    network.dedup();
}

/// From which of our addresses packets to this one leave. None are sent.
fn way_to(probe: &str) -> Option<IpAddr> {
    let probe: SocketAddr = probe.parse().ok()?;
    let any: IpAddr = if probe.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(probe).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Leaves out IPv6 addresses that are not valid yet or not for long, and temporary ones (RFC 8981)
/// of networks in which there is a lasting one: they are made for those who connect to others.
fn leave_out_passing(network: &mut Vec<IpAddr>, flags: &BTreeMap<Ipv6Addr, u32>) {
    let flags_of = |ip: &Ipv6Addr| flags.get(ip).copied().unwrap_or_default();
    let prefix = |ip: &Ipv6Addr| u128::from(*ip) >> 64;
    network.retain(|ip| match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => flags_of(v6) & UNUSABLE == 0,
    });
    let lasting: BTreeSet<u128> = network
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V6(v6) if flags_of(v6) & TEMPORARY == 0 => Some(prefix(v6)),
            _ => None,
        })
        .collect();
    network.retain(|ip| match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => flags_of(v6) & TEMPORARY == 0 || !lasting.contains(&prefix(v6)),
    });
}

/// Linux' `/proc/net/if_inet6`: address, interface, prefix length, scope, flags, name.
fn ipv6_flags(table: &str) -> BTreeMap<Ipv6Addr, u32> {
    let lines = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        Some((Ipv6Addr::from(address), flags))
    });
    lines.collect()
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn names() -> Vec<String> {
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok());
    let Some(name) = name.map(|text| text.trim().to_ascii_lowercase()) else {
        return Vec::new();
    };
    if name.is_empty() || name == "localhost" {
        return Vec::new();
    }
    let local = (!name.contains('.')).then(|| format!("{name}.local"));
    std::iter::once(name).chain(local).collect()
}

/// Addresses elsewhere, of networks that are only for documentation: nothing is sent to them.
const IPV4_PROBE: &str = "203.0.113.1:9";
const IPV6_PROBE: &str = "[2001:db8::1]:9";
/// `IFA_F_TEMPORARY` of Linux.
const TEMPORARY: u32 = 0x01;
/// `IFA_F_DADFAILED`, `IFA_F_DEPRECATED`, `IFA_F_TENTATIVE`.
const UNUSABLE: u32 = 0x08 | 0x20 | 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn external_addresses_stand_for_local_ones_of_their_family() {
        let addresses = Addresses {
            network: ips(&["10.0.0.5", "10.0.0.6", "2001:db8::5"]),
            ..Addresses::default()
        };
        let public = |external: &[&str], mapped: &[(&str, &str)]| {
            let mapped = mapped.iter().map(|(local, public)| (at(local), at(public)));
            let mapped = mapped.collect();
            let media = addresses.for_media(10_000, true, &ips(external), &mapped);
            let public = media.iter().map(|one| one.public.map(|ip| ip.to_string()));
            public.map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        assert_eq!(public(&["192.0.2.7"], &[]), ["192.0.2.7:10000", "", ""]);
        let mapped = [
            ("10.0.0.5:10000", "198.51.100.7:40000"),
            ("10.0.0.6:10000", "198.51.100.7:40001"),
            ("[2001:db8::5]:10000", "[2001:db8::5]:10000"),
        ];
        let expected = ["198.51.100.7:40000", "198.51.100.7:40001", ""];
        assert_eq!(public(&[], &mapped), expected);
        let expected = ["192.0.2.7:10000", "198.51.100.7:40001", ""];
        assert_eq!(public(&["192.0.2.7"], &mapped), expected);
        let same = [
            ("10.0.0.5:10000", "198.51.100.7:40000"),
            ("10.0.0.6:10000", "198.51.100.7:40000"),
        ];
        assert_eq!(public(&[], &same), ["198.51.100.7:40000", "", ""]);
    }

    #[test]
    fn a_socket_without_ipv6_is_not_offered_by_ipv6() {
        let addresses = Addresses {
            network: ips(&["10.0.0.5", "2001:db8::5"]),
            loopback: ips(&["127.0.0.1", "::1"]),
            ..Addresses::default()
        };
        let nothing = BTreeMap::new();
        let media = addresses.for_media(10_000, false, &[], &nothing);
        let local: Vec<_> = media.iter().map(|one| one.address).collect();
        assert_eq!(local, [at("10.0.0.5:10000")]);
        assert_eq!(
            addresses.loopback_for_media(10_000, false),
            [at("127.0.0.1:10000")]
        );
        assert_eq!(addresses.for_media(10_000, true, &[], &nothing).len(), 2);
    }

    #[test]
    fn the_way_to_the_world_comes_first() {
        let mut network = ips(&[
            "172.17.0.1",
            "2001:db8::5",
            "192.168.1.5",
            "fd00::5",
            "10.8.0.1",
        ]);
        sort(&mut network, &[Some("192.168.1.5".parse().unwrap()), None]);
        let expected = [
            "192.168.1.5",
            "10.8.0.1",
            "172.17.0.1",
            "fd00::5",
            "2001:db8::5",
        ];
        assert_eq!(network, ips(&expected));
    }

    #[test]
    fn temporary_addresses_are_for_those_who_call() {
        let table = "\
            00000000000000000000000000000001 01 80 10 80       lo\n\
            20010db8000000000000000000000005 02 40 00 80     eth0\n\
            20010db80000000000000000000000aa 02 40 00 01     eth0\n\
            20010db80001000000000000000000bb 02 40 00 01     eth0\n\
            20010db80002000000000000000000cc 02 40 00 20     eth0\n\
            20010db80003000000000000000000dd 02 40 00 40     eth0\n\
            garbage\n";
        let flags = ipv6_flags(table);
        assert_eq!(flags.len(), 6);
        let mut network = ips(&[
            "10.0.0.5",
            "2001:db8::5",
            "2001:db8::aa",
            "2001:db8:1::bb",
            "2001:db8:2::cc",
            "2001:db8:3::dd",
            "2001:db8:4::ee",
        ]);
        leave_out_passing(&mut network, &flags);
        let expected = [
            "10.0.0.5",
            "2001:db8::5",
            "2001:db8:1::bb",
            "2001:db8:4::ee",
        ];
        assert_eq!(network, ips(&expected), "bb has no lasting neighbour");
    }
}
