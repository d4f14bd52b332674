//! External services (XEP-0215): STUN and TURN servers that clients may use. Ours is one process
//! with the rest, so its addresses are those by which a client reaches us anyway.
//!
//! Jitsi's client replaces its list by the answer, so an empty one means: no third party's. Where
//! it finds room metadata it does not ask and takes the list from there.

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use tertulia_model::{Now, SessionProfile, TurnCredentials, TurnSecret};
use tertulia_stanza::{Element, WithAttribute, ns};

use crate::Config;

/// What is to be known of our STUN and TURN server to tell clients of it.
#[derive(Clone, Debug)]
pub struct IceServer {
    /// What passwords are made from.
    pub secret: TurnSecret,
    /// How long credentials are good, if the session lasts as long.
    pub credentials_lifetime: Duration,
    /// STUN and TURN over UDP.
    pub udp_port: Option<u16>,
    /// TURN over TCP.
    pub tcp_port: Option<u16>,
    /// TURN over TLS.
    pub tls: Option<TlsPort>,
}

/// Where TURN over TLS is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPort {
    /// A port of its own.
    Own(u16),
    /// That of the web pages: the one by which a client came, or this one if it came without TLS.
    Web(u16),
}

/// Answers a request for services in the version in which it is asked; None if it is none.
pub(crate) fn answer(
    config: &Config,
    now: Now,
    session: &SessionProfile,
    request: &Element,
) -> Option<Element> {
    let versions = [ns::EXT_DISCO, ns::EXT_DISCO_1];
    let version = versions
        .into_iter()
        .find(|version| request.is("services", *version))?;
    Some(list(config, now, session, version))
}

/// All services for this session, in this version of the protocol.
pub(crate) fn list(config: &Config, now: Now, session: &SessionProfile, version: &str) -> Element {
    let services = services(config, now, session).into_iter().map(|service| {
        let credentials = service.credentials;
        let expires = credentials.as_ref().map(|one| one.expires);
        let expires = expires.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        Element::builder("service", version)
            .with("type", service.type_)
            .with("host", service.host)
            .with("port", service.port.to_string())
            .with("transport", service.transport)
            .with("restricted", credentials.is_some().then_some("1"))
            .with(
                "username",
                credentials.as_ref().map(|one| one.username.as_str()),
            )
            .with(
                "password",
                credentials.as_ref().map(|one| one.password.as_str()),
            )
            .with("expires", expires)
            .build()
    });
    Element::builder("services", version)
        .append_all(services)
        .build()
}

/// The same as room metadata have it; None where there are none, since a list replaces all others.
pub(crate) fn json(config: &Config, now: Now, session: &SessionProfile) -> Option<Value> {
    let services = services(config, now, session);
    let list = services.iter().map(|service| {
        let mut object = json!({
            "type": service.type_,
            "host": service.host,
            // Jitsi's own servers write it so.
            "port": service.port.to_string(),
            "transport": service.transport,
        });
        if let (Some(credentials), Some(object)) = (&service.credentials, object.as_object_mut()) {
            object.insert("username".to_owned(), json!(credentials.username));
            object.insert("password".to_owned(), json!(credentials.password));
        }
        object
    });
    let list: Vec<Value> = list.collect();
    (!list.is_empty()).then_some(Value::Array(list))
}

struct Service {
    type_: &'static str,
    host: String,
    port: u16,
    transport: &'static str,
    /// None for STUN, which needs none.
    credentials: Option<TurnCredentials>,
}

fn services(config: &Config, now: Now, session: &SessionProfile) -> Vec<Service> {
    let Some(server) = &config.ice_server else {
        return Vec::new();
    };
    let (host, web_port) = host_and_tls_port(&session.websocket_base);
    let lifetime = TimeDelta::from_std(server.credentials_lifetime).unwrap_or(TimeDelta::zero());
    let expires = now.wall.checked_add_signed(lifetime).unwrap_or(now.wall);
    let credentials = server.secret.credentials(session.id, expires);
    let tls_port = server.tls.map(|tls| match tls {
        TlsPort::Own(port) => port,
        TlsPort::Web(port) => web_port.unwrap_or(port),
    });
    // By how soon they are worth trying; Jitsi's client shuffles them.
    let all = [
        ("stun", "udp", server.udp_port),
        ("turn", "udp", server.udp_port),
        ("turn", "tcp", server.tcp_port),
        ("turns", "tcp", tls_port),
    ];
    let all = all.into_iter().filter_map(|(type_, transport, port)| {
        Some(Service {
            type_,
            host: host.to_owned(),
            port: port?,
            transport,
            credentials: (type_ != "stun").then(|| credentials.clone()),
        })
    });
    all.collect()
}

/// The host of `wss://host[:port]`, in brackets if it is an IPv6 address, and its port; None for
/// the port of `ws:`, where there is no TLS.
fn host_and_tls_port(base: &str) -> (&str, Option<u16>) {
    let (scheme, authority) = base.split_once("://").unwrap_or(("ws", base));
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    let colon = authority
        .get(after_address..)
        .and_then(|rest| rest.rfind(':'))
        .map(|at| after_address + at);
    let (host, port) = match colon.and_then(|at| authority.split_at_checked(at)) {
        Some((host, port)) => (host, port.trim_start_matches(':').parse().ok()),
        None => (authority, None),
    };
    (host, (scheme == "wss").then(|| port.unwrap_or(443)))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use chrono::DateTime;
    use tertulia_model::SessionId;

    use super::*;
    use crate::tests::config;

    fn with_server(tls: Option<TlsPort>) -> Config {
        let server = IceServer {
            secret: TurnSecret::new(&[1; 32]),
            credentials_lifetime: Duration::from_secs(3_600),
            udp_port: Some(3478),
            tcp_port: Some(3479),
            tls,
        };
        Config {
            ice_server: Some(server),
            ..config()
        }
    }

    fn came_by(base: &str) -> SessionProfile {
        SessionProfile {
            id: SessionId(7),
            jid: "ada@localhost/r".parse().unwrap(),
            websocket_base: base.to_owned(),
            is_loopback: false,
            room: None,
            account: None,
            address: Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Somebody who came by our own TLS.
    pub(crate) fn session() -> SessionProfile {
        came_by("wss://meet.example")
    }

    pub(crate) fn now() -> Now {
        Now {
            mono: Instant::now(),
            wall: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        }
    }

    /// `type:host:port?transport`, as Jitsi's client would write them.
    fn urls(config: &Config, session: &SessionProfile) -> Vec<String> {
        let list = list(config, now(), session, ns::EXT_DISCO);
        let urls = list.children().map(|service| {
            let part = |name| service.attr(name).unwrap().to_owned();
            let (type_, host, port) = (part("type"), part("host"), part("port"));
            format!("{type_}:{host}:{port}?{}", part("transport"))
        });
        urls.collect()
    }

    #[test]
    fn in_the_version_in_which_it_is_asked() {
        let session = came_by("wss://meet.example");
        for version in [ns::EXT_DISCO, ns::EXT_DISCO_1] {
            let asked = Element::bare("services", version);
            let list = answer(&with_server(None), now(), &session, &asked).unwrap();
            assert!(list.is("services", version));
            assert_eq!(list.children().count(), 3);
            assert!(list.children().all(|one| one.is("service", version)));
            let none = answer(&config(), now(), &session, &asked).unwrap();
            assert_eq!(none.children().count(), 0);
        }
        for other in [
            Element::bare("services", ns::PING),
            Element::bare("credentials", ns::EXT_DISCO),
        ] {
            assert!(answer(&config(), now(), &session, &other).is_none());
        }
    }

    #[test]
    fn they_are_where_the_client_came_to() {
        let web = with_server(Some(TlsPort::Web(8443)));
        for (base, host, port) in [
            ("wss://meet.example", "meet.example", 443),
            ("wss://meet.example:9443", "meet.example", 9443),
            ("wss://192.0.2.1:8443", "192.0.2.1", 8443),
            ("wss://[2001:db8::1]:8443", "[2001:db8::1]", 8443),
            ("wss://[2001:db8::1]", "[2001:db8::1]", 443),
            ("ws://localhost:8080", "localhost", 8443),
        ] {
            let expected = [
                format!("stun:{host}:3478?udp"),
                format!("turn:{host}:3478?udp"),
                format!("turn:{host}:3479?tcp"),
                format!("turns:{host}:{port}?tcp"),
            ];
            assert_eq!(urls(&web, &came_by(base)), expected, "{base}");
        }
        let own = with_server(Some(TlsPort::Own(5349)));
        let urls = urls(&own, &came_by("wss://meet.example"));
        assert_eq!(
            urls.last().map(String::as_str),
            Some("turns:meet.example:5349?tcp")
        );
    }

    #[test]
    fn credentials_are_this_sessions_and_stun_needs_none() {
        let (config, session) = (with_server(None), came_by("wss://meet.example"));
        let list = list(&config, now(), &session, ns::EXT_DISCO);
        let expires = now().wall + TimeDelta::hours(1);
        let secret = TurnSecret::new(&[1; 32]);
        let expected = secret.credentials(session.id, expires);
        for service in list.children() {
            let is_stun = service.attr("type") == Some("stun");
            let (username, password) = (service.attr("username"), service.attr("password"));
            let credentials = username.zip(password);
            let wanted = (expected.username.as_str(), expected.password.as_str());
            assert_eq!(credentials, (!is_stun).then_some(wanted));
            assert_eq!(service.attr("restricted"), (!is_stun).then_some("1"));
            let at = service.attr("expires").map(|at| at.parse().unwrap());
            assert_eq!(at, (!is_stun).then_some(expires));
        }
        // COMPAT(lib-jitsi-meet): with room metadata it takes them from there.
        let json = json(&config, now(), &session).unwrap();
        let turn = json.as_array().unwrap().last().unwrap();
        assert_eq!(turn["password"], expected.password);
        assert_eq!(turn["port"], "3479");
        assert!(super::json(&crate::tests::config(), now(), &session).is_none());
    }
}
