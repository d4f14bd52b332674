//! The STUN and TURN server: its keys, and what becomes of them.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use tertulia_server::{TurnConfig, TurnListen};
use toml::Value;

use crate::key::{Key, key};
use crate::mistake::Mistake;
use crate::reader::Reader;
use crate::values::{BITRATE_MAX, MANY, list, optional, parsed, path};

/// The keys of this section.
pub(crate) const KEYS: &[Key] = &[
    key(
        "turn.enabled",
        "true",
        "Whether there is a STUN and TURN server.",
    ),
    key(
        "turn.listen",
        r#"["[::]:3478"]"#,
        "Addresses for STUN and TURN over UDP.",
    ),
    key(
        "turn.listen_tcp",
        r#"["[::]:3478"]"#,
        "Addresses for TURN over TCP.",
    ),
    key(
        "turn.listen_tls",
        r#"["[::]:5349"]"#,
        "Addresses for TURN over TLS, with the certificate of the web pages.",
    ),
    key(
        "turn.web_port",
        "true",
        "Whether TURN over TLS is spoken on the HTTPS ports too and offered there; false where a proxy ends TLS.",
    ),
    key(
        "turn.relay_ports",
        r#""49152-65535""#,
        "UDP ports that are lent to clients; with peers = \"own\" nothing from outside needs to reach them.",
    ),
    key(
        "turn.peers",
        r#""own""#,
        "To whom is relayed: own is our own media port and relay ports, public is all public addresses as well.",
    ),
    key(
        "turn.secret_file",
        r#""""#,
        "File with a secret from which other programs make credentials (user name expiry:name); sessions need none.",
    ),
    key(
        "turn.credentials",
        r#""24 h""#,
        "How long a session's credentials are good; they end with the session.",
    ),
    key(
        "turn.lifetime",
        r#""10 min""#,
        "How long an allocation lives when its client asks for no longer time.",
    ),
    key(
        "turn.lifetime_max",
        r#""1 h""#,
        "How long at most before it must be refreshed.",
    ),
    key(
        "turn.nonce",
        r#""10 min""#,
        "How long a nonce is good; then clients sign with a new one.",
    ),
    key(
        "turn.allocations",
        "5000",
        "Allocations of all clients; each is an open file.",
    ),
    key(
        "turn.allocations_per_user",
        "24",
        "Allocations of one session; a browser takes one for each address, way and connection.",
    ),
    key(
        "turn.allocations_per_network",
        "2000",
        "Allocations of one /24 or /48; a school is one address.",
    ),
    key(
        "turn.permissions",
        "64",
        "Addresses that one allocation may talk to at a time.",
    ),
    key(
        "turn.channels",
        "64",
        "Addresses with port for which one allocation has a short header.",
    ),
    key(
        "turn.bitrate",
        "0",
        "Bits per second that one allocation may relay in each direction; 0 is no limit.",
    ),
    key(
        "turn.requests_per_second",
        "500",
        "Requests per second of one /24 or /48 from clients without an allocation.",
    ),
    key("turn.requests_burst", "2000", "Such requests at once."),
    key(
        "turn.idle",
        r#""30 s""#,
        "How long a TCP connection may be without an allocation.",
    ),
    key(
        "turn.message",
        r#""16 KiB""#,
        "Bytes of one message on TCP and TLS.",
    ),
    key(
        "turn.outbox",
        r#""256 KiB""#,
        "Bytes that wait for a client on TCP or TLS; packets over it are lost.",
    ),
];

/// Reads them all; None where there is to be no server.
pub(crate) fn turn(keys: &mut Reader) -> Option<TurnConfig> {
    let is_enabled = keys.flag("turn.enabled");
    let bitrate = keys.number::<u64>("turn.bitrate", 0, BITRATE_MAX);
    let config = TurnConfig {
        udp: listen(keys, "turn.listen"),
        tcp: listen(keys, "turn.listen_tcp"),
        tls: listen(keys, "turn.listen_tls"),
        is_on_web_port: keys.flag("turn.web_port"),
        relay_ports: keys.read(
            "turn.relay_ports",
            "a range of ports such as \"49152-65535\"",
            ports,
        ),
        is_public: keys.read("turn.peers", "own or public", |value| {
            match value.as_str()? {
                "own" => Some(false),
                "public" => Some(true),
                _ => None,
            }
        }),
        secret_file: keys.read("turn.secret_file", "the path of a file", optional(path)),
        credentials_lifetime: keys.duration("turn.credentials"),
        lifetime: keys.duration("turn.lifetime"),
        lifetime_max: keys.duration("turn.lifetime_max"),
        nonce_lifetime: keys.duration("turn.nonce"),
        idle: keys.duration("turn.idle"),
        limits: tertulia_turn::Limits {
            allocations: keys.count("turn.allocations"),
            allocations_per_user: keys.count("turn.allocations_per_user"),
            allocations_per_network: keys.count("turn.allocations_per_network"),
            permissions: keys.count("turn.permissions"),
            channels: keys.count("turn.channels"),
            bitrate_bps: Some(bitrate).filter(|bitrate| *bitrate > 0),
            requests_per_second: keys.number("turn.requests_per_second", 1, MANY),
            requests_burst: keys.number("turn.requests_burst", 1, MANY),
        },
        message_bytes: keys.bytes("turn.message"),
        outbox_bytes: keys.bytes("turn.outbox"),
    };
    if config.lifetime > config.lifetime_max {
        keys.add_mistake(Mistake::Together(
            "turn.lifetime must not be longer than turn.lifetime_max",
        ));
    }
    is_enabled.then_some(config)
}

fn listen(keys: &mut Reader, path: &'static str) -> TurnListen {
    let allowed = "a list of addresses with port, such as \"[::]:3478\"";
    TurnListen {
        addresses: keys.read(path, allowed, list(parsed::<SocketAddr>)),
        is_chosen: keys.is_set(path),
    }
}

/// `first-last`. Ports below 1024 are other programs'.
fn ports(value: &Value) -> Option<RangeInclusive<u16>> {
    let (first, last) = value.as_str()?.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (1_024 <= first && first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports() {
        let read = |text: &str| ports(&Value::String(text.to_owned()));
        assert_eq!(read("49152-65535"), Some(49_152..=65_535));
        assert_eq!(read("40000 - 40000"), Some(40_000..=40_000));
        for bad in ["", "40000", "40001-40000", "80-90", "1-70000", "a-b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
