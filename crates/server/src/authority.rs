//! By which name a client came, and whether it may use it.
//!
//! A name that is not ours is answered with 421: that is what stops DNS rebinding, and it makes
//! the authority safe to appear in URLs that we hand out (DESIGN 10).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::config::Origins;

/// `host[:port]` of a request, passed by its grammar and in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    text: String,
    host: AuthorityHost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum AuthorityHost {
    Ip(IpAddr),
    Name(String),
}

impl Authority {
    /// None if the text is not `host[:port]`.
    pub(crate) fn parse(text: &str) -> Option<Authority> {
        let text = text.to_ascii_lowercase();
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']')?;
                let ip: Ipv6Addr = inside.parse().ok()?;
                let port = if after.is_empty() {
                    None
                } else {
                    Some(after.strip_prefix(':')?)
                };
                (AuthorityHost::Ip(ip.into()), port)
            }
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text.as_str(), None),
                };
                let host = match host.parse::<IpAddr>() {
                    Ok(ip) => AuthorityHost::Ip(ip),
                    Err(_) => AuthorityHost::Name(is_name(host).then(|| host.to_owned())?),
                };
                (host, port)
            }
        };
        if let Some(port) = port {
            let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
            if !is_number || port.parse::<u16>().is_err() {
                return None;
            }
        }
        Some(Authority { text, host })
    }

    fn is_loopback(&self) -> bool {
        match &self.host {
            AuthorityHost::Ip(ip) => ip.is_loopback(),
            AuthorityHost::Name(name) => name == "localhost",
        }
    }
}

/// Labels of letters, digits, hyphens and underscores.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253
        && text
            .strip_suffix('.')
            .unwrap_or(text)
            .split('.')
            .all(is_label)
}

/// How clients reach us from outside: `https://meet.example` or, behind nothing, `http://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    is_tls: bool,
    authority: Authority,
}

/// A text that is not the URL of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public URL is https://host[:port] without a path")]
pub struct InvalidPublicUrl;

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<PublicUrl, InvalidPublicUrl> {
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(InvalidPublicUrl),
        };
        let authority = Authority::parse(rest.strip_suffix('/').unwrap_or(rest));
        Ok(PublicUrl {
            is_tls,
            authority: authority.ok_or(InvalidPublicUrl)?,
        })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority.text)
    }
}

/// The names that are ours, and the origins that may use us.
#[derive(Debug)]
pub(crate) struct Authorities {
    names: BTreeSet<String>,
    public: Option<PublicUrl>,
    origins: Origins,
}

/// Where a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// It came over our own TLS.
    pub(crate) is_tls: bool,
    /// The client is on this machine.
    pub(crate) is_loopback: bool,
}

impl Authorities {
    /// `names` may be in any case.
    pub(crate) fn new(
        names: impl IntoIterator<Item = String>,
        public: Option<PublicUrl>,
        origins: Origins,
    ) -> Authorities {
        let mut names: BTreeSet<String> = names
            .into_iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        names.insert("localhost".to_owned());
        if let Some(PublicUrl {
            authority:
                Authority {
                    host: AuthorityHost::Name(name),
                    ..
                },
            ..
        }) = &public
        {
            names.insert(name.clone());
        }
        Authorities {
            names,
            public,
            origins,
        }
    }

    /// The authority by which a client came, if it is one of ours.
    pub(crate) fn accept(&self, host: &str) -> Option<Authority> {
        let authority = Authority::parse(host)?;
        let is_ours = match &authority.host {
            AuthorityHost::Ip(_) => true,
            AuthorityHost::Name(name) => {
                self.names.contains(name.strip_suffix('.').unwrap_or(name))
            }
        };
        is_ours.then_some(authority)
    }

    /// What URLs handed to this client begin with: `wss://host:port`.
    pub(crate) fn websocket_base(&self, by: &Authority, arrival: Arrival) -> String {
        let (is_tls, authority) = match &self.public {
            // Who comes over loopback is on this machine, where the public name may not resolve.
            Some(public) if !by.is_loopback() => (public.is_tls, &public.authority),
            _ => (arrival.is_tls, by),
        };
        let scheme = if is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}", authority.text)
    }

    /// Whether a page of this origin may open WebSockets and send conference requests. None is a
    /// client that is no browser.
    pub(crate) fn admits_origin(
        &self,
        origin: Option<&str>,
        by: &Authority,
        arrival: Arrival,
    ) -> bool {
        let Some(origin) = origin else { return true };
        let origin = origin.to_ascii_lowercase();
        let listed = match &self.origins {
            Origins::Any => true,
            Origins::Listed(list) => list.iter().any(|one| one.eq_ignore_ascii_case(&origin)),
        };
        if listed
            || self
                .public
                .as_ref()
                .is_some_and(|public| public.to_string() == origin)
        {
            return true;
        }
        let Some((scheme, rest)) = origin.split_once("://") else {
            return false;
        };
        let Some(authority) = Authority::parse(rest) else {
            return false;
        };
        let own_scheme = if arrival.is_tls { "https" } else { "http" };
        let is_same = scheme == own_scheme && authority.text == by.text;
        is_same || (arrival.is_loopback && authority.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_pass_their_grammar() {
        for good in [
            "localhost",
            "192.0.2.1:8443",
            "[2001:db8::1]:8443",
            "[::1]",
            "MEET.example.",
        ] {
            assert!(Authority::parse(good).is_some(), "{good}");
        }
        let bad = [
            "",
            "a b",
            "a/b",
            "a:port",
            "a:",
            "a:70000",
            "a:+1",
            "[::1",
            "[::1]8443",
            "::1",
            "a..b",
            "\"><script>",
            "user@host",
            "a,b",
        ];
        for bad in bad {
            assert!(Authority::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_own_names_and_addresses_are_accepted() {
        let ours = authorities(None, Origins::Listed(vec![]));
        for good in [
            "192.0.2.9:8443",
            "localhost:8080",
            "Desk.local:8443",
            "desk",
        ] {
            assert!(ours.accept(good).is_some(), "{good}");
        }
        assert!(ours.accept("attacker.example").is_none());
        let public = "https://meet.example".parse().ok();
        assert!(
            authorities(public, Origins::Any)
                .accept("meet.example")
                .is_some()
        );
    }

    #[test]
    fn urls_for_clients_follow_how_they_came() {
        let ours = authorities(None, Origins::Listed(vec![]));
        let by = ours.accept("192.0.2.1:8443").unwrap();
        assert_eq!(ours.websocket_base(&by, LAN), "wss://192.0.2.1:8443");
        let by = ours.accept("localhost:8080").unwrap();
        assert_eq!(ours.websocket_base(&by, LOCAL), "ws://localhost:8080");
        let ours = authorities("https://meet.example".parse().ok(), Origins::Listed(vec![]));
        assert_eq!(ours.websocket_base(&by, LOCAL), "ws://localhost:8080");
        let by = ours.accept("192.0.2.1:8443").unwrap();
        assert_eq!(ours.websocket_base(&by, LAN), "wss://meet.example");
    }

    #[test]
    fn origins() {
        let ours = authorities(
            None,
            Origins::Listed(vec!["https://app.example".to_owned()]),
        );
        let by = ours.accept("192.0.2.1:8443").unwrap();
        let lan = |origin| ours.admits_origin(origin, &by, LAN);
        assert!(lan(None));
        assert!(lan(Some("https://192.0.2.1:8443")));
        assert!(lan(Some("https://app.example")));
        for foreign in [
            "https://192.0.2.1",
            "http://192.0.2.1:8443",
            "http://localhost",
            "null",
        ] {
            assert!(!lan(Some(foreign)), "{foreign}");
        }
        let by = ours.accept("localhost:8080").unwrap();
        let local = |origin| ours.admits_origin(origin, &by, LOCAL);
        assert!(local(Some("http://127.0.0.1:5173")) && local(Some("http://[::1]:5173")));
        assert!(!local(Some("https://attacker.example")));
    }

    const LAN: Arrival = Arrival {
        is_tls: true,
        is_loopback: false,
    };
    const LOCAL: Arrival = Arrival {
        is_tls: false,
        is_loopback: true,
    };

    fn authorities(public: Option<PublicUrl>, origins: Origins) -> Authorities {
        Authorities::new(
            ["desk".to_owned(), "Desk.local".to_owned()],
            public,
            origins,
        )
    }
}
