//! What this machine is called and where it can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use if_addrs::IfOperStatus;
use tertulia_bridge::LocalAddress;

/// Addresses and names of this machine, as they were at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// Of interfaces that are up, without loopback and link-local ones; IPv4 first.
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
        addresses
            .network
            .sort_by_key(|ip| (ip.is_ipv6(), !is_private(*ip), *ip));
        addresses.network.dedup();
        addresses.loopback.sort();
        addresses.loopback.dedup();
        addresses
    }

    /// Where media arrives: each address with what a NAT makes of it. The first external address
    /// of a family stands for the first local one of that family, and so on.
    pub(crate) fn for_media(&self, port: u16, external: &[IpAddr]) -> Vec<LocalAddress> {
        let of_family = |is_ipv6: bool| {
            let mut public = external.iter().filter(move |ip| ip.is_ipv6() == is_ipv6);
            self.network
                .iter()
                .filter(move |ip| ip.is_ipv6() == is_ipv6)
                .map(move |ip| {
                    let public = public.next().map(|ip| SocketAddr::new(*ip, port));
                    LocalAddress {
                        address: SocketAddr::new(*ip, port),
                        public,
                    }
                })
        };
        of_family(false).chain(of_family(true)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_addresses_stand_for_local_ones_of_their_family() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let addresses = Addresses {
            network: vec![ip("10.0.0.5"), ip("10.0.0.6"), ip("2001:db8::5")],
            ..Addresses::default()
        };
        let media = addresses.for_media(10_000, &[ip("192.0.2.7")]);
        let public: Vec<_> = media.iter().map(|one| one.public).collect();
        assert_eq!(
            public,
            [Some("192.0.2.7:10000".parse().unwrap()), None, None]
        );
        assert_eq!(media.len(), 3);
    }
}
