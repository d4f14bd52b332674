//! Where media reaches us, kept up to date: interfaces come and go, and a NAT may map the media
//! port to another address tomorrow. New endpoints are told of what is known last; those that are
//! connected keep their way.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tertulia_bridge::LocalAddress;
use tertulia_model::Random;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Addresses;
use super::mapping::Asker;
use crate::config::MediaConfig;
use crate::media::WorkerCommand;
use crate::node::Node;

/// Looks at the machine's addresses again and again.
pub(crate) struct AddressWatch {
    port: u16,
    has_ipv6: bool,
    external: Vec<IpAddr>,
    stun_servers: Vec<String>,
    stun_interval: Duration,
    interval: Duration,
    asker: Asker,
    found: Addresses,
    /// By local address, what a NAT makes of it.
    mapped: BTreeMap<SocketAddr, SocketAddr>,
    /// When servers were asked last.
    asked: Option<Instant>,
    is_failing: bool,
    told: watch::Sender<Vec<LocalAddress>>,
}

impl AddressWatch {
    /// `found` is what is known at the start; `has_ipv6` whether the media socket can be reached by
    /// IPv6.
    pub(crate) fn new(
        config: &MediaConfig,
        port: u16,
        has_ipv6: bool,
        found: Addresses,
        asker: Asker,
    ) -> AddressWatch {
        let watch = AddressWatch {
            port,
            has_ipv6,
            external: config.external.clone(),
            stun_servers: config.stun_servers.clone(),
            stun_interval: config.stun_interval,
            interval: config.addresses_interval,
            asker,
            found,
            mapped: BTreeMap::new(),
            asked: None,
            is_failing: false,
            told: watch::Sender::new(Vec::new()),
        };
        watch.told.send_replace(watch.media());
        watch
    }

    /// What endpoints are told of.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Vec<LocalAddress>> {
        self.told.subscribe()
    }

    /// For ever.
    pub(crate) async fn run(mut self, node: Arc<Node>) {
        let interval = if self.stun_servers.is_empty() {
            self.interval
        } else {
            self.interval.min(self.stun_interval)
        };
        loop {
            let found = Addresses::of_this_machine();
            let is_new = found.network != self.found.network;
            if is_new {
                info!(addresses = ?found.network, "the addresses of this machine have changed");
            }
            self.found = found;
            let is_due = self
                .asked
                .is_none_or(|asked| is_new || asked.elapsed() >= self.stun_interval);
            if is_due && !self.stun_servers.is_empty() {
                self.ask(&node).await;
                self.asked = Some(Instant::now());
            }
            self.tell(&node);
            tokio::time::sleep(interval).await;
        }
    }

    fn media(&self) -> Vec<LocalAddress> {
        let found = &self.found;
        found.for_media(self.port, self.has_ipv6, &self.external, &self.mapped)
    }

    fn tell(&mut self, node: &Node) {
        let addresses = self.media();
        if *self.told.borrow() == addresses {
            return;
        }
        let loopback = self.found.loopback_for_media(self.port, self.has_ipv6);
        for worker in &node.workers {
            worker.tell(WorkerCommand::SetAddresses {
                addresses: addresses.clone(),
                loopback: loopback.clone(),
            });
        }
        self.told.send_replace(addresses);
    }

    /// Addresses whose mapping is asked for: those that the configuration has no word on.
    fn unmapped(&self) -> Vec<SocketAddr> {
        let is_static = |ip: &IpAddr| {
            let mut external = self.external.iter();
            external.any(|external| external.is_ipv6() == ip.is_ipv6())
        };
        let network = self.found.network.iter();
        network
            .filter(|ip| !is_static(ip) && (ip.is_ipv4() || self.has_ipv6))
            .map(|ip| SocketAddr::new(*ip, self.port))
            .collect()
    }

    /// Asks one server after the other about what the former ones did not answer.
    async fn ask(&mut self, node: &Node) {
        let all = self.unmapped();
        let mut fresh = BTreeMap::new();
        for server in &self.stun_servers {
            for address in resolve(server).await {
                let is_open = |local: &&SocketAddr| {
                    local.is_ipv4() == address.is_ipv4() && !fresh.contains_key(*local)
                };
                let open: Vec<SocketAddr> = all.iter().filter(is_open).copied().collect();
                if open.is_empty() {
                    continue;
                }
                let Some(worker) = node.workers.first() else {
                    return;
                };
                let seed = u64::from(node.with_random(Random::u32)) << 32
                    | u64::from(node.with_random(Random::u32));
                let answered = self.asker.ask(seed, address, &open, |request| {
                    worker.tell(WorkerCommand::Send(request));
                });
                fresh.extend(answered.await);
            }
        }
        self.note_success(!fresh.is_empty() || all.is_empty());
        for (local, public) in &fresh {
            if self.mapped.get(local) != Some(public) {
                info!(%local, %public, "how the outside sees the media port");
            }
        }
        for local in all.iter().filter(|local| !fresh.contains_key(local)) {
            debug!(%local, "no STUN server has answered for this address");
        }
        // A server that is down for a while takes nothing back; an address that is gone does.
        self.mapped.retain(|local, _| all.contains(local));
        self.mapped.extend(fresh);
    }

    fn note_success(&mut self, is_success: bool) {
        if !is_success && !self.is_failing {
            let servers = &self.stun_servers;
            warn!(
                ?servers,
                "no STUN server answers: clients outside of this network may not find the media \
                 port; see that UDP may leave and come back, name other servers in \
                 bridge.stun_servers, or the address in bridge.external_addresses"
            );
        }
        if is_success && self.is_failing {
            info!("a STUN server answers again");
        }
        self.is_failing = !is_success;
    }
}

/// The addresses of `stun:host[:port]`, one of each family.
async fn resolve(server: &str) -> Vec<SocketAddr> {
    let target = target(server);
    let found = tokio::time::timeout(RESOLVE_TIME, tokio::net::lookup_host(&target)).await;
    let found: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            warn!(
                server,
                %error,
                "the name of a STUN server is unknown; correct bridge.stun_servers"
            );
            Vec::new()
        }
        Err(_) => {
            warn!(server, "the name of a STUN server is not found in time");
            Vec::new()
        }
    };
    let first = |is_ipv4| found.iter().find(|one| one.is_ipv4() == is_ipv4).copied();
    [first(true), first(false)].into_iter().flatten().collect()
}

/// `host:port` of `stun:host[:port]`.
fn target(server: &str) -> String {
    let rest = server.strip_prefix("stun:").unwrap_or(server);
    let after_host = rest.rsplit_once(']').map_or(rest, |(_, after)| after);
    if after_host.contains(':') {
        rest.to_owned()
    } else {
        format!("{rest}:{STUN_PORT}")
    }
}

const RESOLVE_TIME: Duration = Duration::from_secs(5);
/// RFC 7064.
const STUN_PORT: u16 = 3_478;

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(external: &[&str]) -> AddressWatch {
        let config = MediaConfig {
            port: 10_000,
            workers: None,
            external: external.iter().map(|ip| ip.parse().unwrap()).collect(),
            stun_servers: vec!["stun:stun.example".to_owned()],
            stun_interval: Duration::from_secs(90),
            addresses_interval: Duration::from_secs(30),
            busy_max: 0.9,
            socket_buffer_bytes: 1,
        };
        let found = Addresses {
            network: ["10.0.0.5", "fd00::5"]
                .map(|ip| ip.parse().unwrap())
                .to_vec(),
            ..Addresses::default()
        };
        let (asker, _) = Asker::new();
        AddressWatch::new(&config, 10_000, true, found, asker)
    }

    #[test]
    fn what_is_configured_is_not_asked_for() {
        assert_eq!(watch(&[]).unmapped().len(), 2);
        let only_v6: Vec<SocketAddr> = vec!["[fd00::5]:10000".parse().unwrap()];
        assert_eq!(watch(&["192.0.2.1"]).unmapped(), only_v6);
        let mut without_v6 = watch(&["192.0.2.1"]);
        without_v6.has_ipv6 = false;
        assert!(without_v6.unmapped().is_empty());
    }

    #[test]
    fn endpoints_are_told_what_was_learnt() {
        let mut watch = watch(&[]);
        let public = "198.51.100.7:40000".parse().unwrap();
        watch
            .mapped
            .insert("10.0.0.5:10000".parse().unwrap(), public);
        let media = watch.media();
        assert_eq!(media.len(), 2);
        assert_eq!(media[0].public, Some(public));
        assert_eq!(media[1].public, None);
    }

    #[test]
    fn a_server_without_a_port_has_the_usual_one() {
        for (server, expected) in [
            ("stun:stun.example", "stun.example:3478"),
            ("stun:stun.example:19302", "stun.example:19302"),
            ("stun:[2001:db8::1]", "[2001:db8::1]:3478"),
            ("stun:[2001:db8::1]:5", "[2001:db8::1]:5"),
        ] {
            assert_eq!(target(server), expected);
        }
    }
}
