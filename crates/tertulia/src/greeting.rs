//! What the server says when it is ready: the addresses to open, and what to know about them.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use tertulia_server::Facts;

/// The text for standard output.
pub(crate) fn text(facts: &Facts) -> String {
    let mut out = String::from("Tertulia is ready.\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<14} {value}");
    };
    if let Some(url) = &facts.public_url {
        line("public", url);
    }
    if let Some(port) = loopback_port(&facts.plain) {
        line("this machine", &format!("http://localhost:{port}"));
    } else if let Some(address) = facts.secure.first() {
        line(
            "this machine",
            &format!("https://localhost:{}", address.port()),
        );
    }
    for url in network_urls(facts) {
        line("your network", &url);
    }
    line("media", &format!("UDP {}", facts.media_port));
    for address in &facts.admin {
        line("monitoring", &format!("http://{address}/metrics"));
    }
    line("data", &facts.data.display().to_string());
    line("certificate", &format!("SHA-256 {}", facts.fingerprint));
    if facts.is_self_made {
        out.push_str(
            "The certificate is self-made: browsers warn once. iPhones and iPads give it no camera;\n\
             for them use a real one: --cert FILE --key FILE\n",
        );
    }
    out.push_str("Ctrl-C ends the meetings.\n");
    out
}

fn loopback_port(plain: &[SocketAddr]) -> Option<u16> {
    let is_local =
        |address: &&SocketAddr| address.ip().is_loopback() || address.ip().is_unspecified();
    plain.iter().find(is_local).map(SocketAddr::port)
}

/// Where other machines find us: the listening addresses, or all of this machine's.
fn network_urls(facts: &Facts) -> Vec<String> {
    let mut urls = Vec::new();
    for address in &facts.secure {
        let hosts: Vec<IpAddr> = if address.ip().is_unspecified() {
            let is_usable = |ip: &&IpAddr| address.is_ipv6() || ip.is_ipv4();
            facts.network.iter().filter(is_usable).copied().collect()
        } else if address.ip().is_loopback() {
            Vec::new()
        } else {
            vec![address.ip()]
        };
        for host in hosts {
            let url = format!("https://{}", SocketAddr::new(host, address.port()));
            urls.push(url.strip_suffix(":443").map_or(url.clone(), str::to_owned));
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_address_that_can_be_opened() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let facts = Facts {
            plain: vec![address("127.0.0.1:8080"), address("[::1]:8080")],
            secure: vec![address("[::]:8443")],
            admin: vec![address("127.0.0.1:8888")],
            media_port: 10_000,
            network: vec![
                "192.0.2.10".parse().unwrap(),
                "2001:db8::1".parse().unwrap(),
            ],
            fingerprint: "AB:CD".to_owned(),
            is_self_made: true,
            data: "/srv/tertulia-data".into(),
            public_url: None,
        };
        let text = text(&facts);
        for part in [
            "http://localhost:8080\n",
            "https://192.0.2.10:8443\n",
            "https://[2001:db8::1]:8443\n",
            "UDP 10000\n",
            "http://127.0.0.1:8888/metrics\n",
            "SHA-256 AB:CD\n",
            "iPhones",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
