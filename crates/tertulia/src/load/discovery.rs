//! From the address of a meeting to everything that a client has to know of its server.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, bail};
use tertulia_client::{ChannelKind, RequestKind};
use tertulia_model::RoomJid;
use tertulia_model::jid::{BareJid, DomainPart, Jid};
use tokio::net::{UdpSocket, lookup_host};

use super::config_js::ConfigJs;
use super::connect::{Connector, Place};

/// What the command line says in place of the server's `config.js`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Overrides {
    /// XMPP domain [default: from the server's config.js]
    #[arg(long, value_name = "NAME")]
    pub(super) domain: Option<String>,
    /// Domain of the rooms [default: from config.js, or conference.DOMAIN]
    #[arg(long, value_name = "NAME")]
    pub(super) muc: Option<String>,
    /// Address of the XMPP WebSocket [default: from config.js, or wss://HOST/xmpp-websocket]
    #[arg(long, value_name = "URL")]
    pub(super) websocket: Option<String>,
}

/// A server, and how its clients speak to it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As it was given, without the room.
    pub(super) url: String,
    pub(super) place: Place,
    pub(super) websocket: String,
    /// Where conferences are requested by HTTP; None for requests over XMPP.
    pub(super) conference_request: Option<String>,
    pub(super) domain: DomainPart,
    /// Where guests log in, where that is another domain.
    pub(super) guest_domain: Option<DomainPart>,
    pub(super) focus: Jid,
    /// Domain of the rooms.
    muc: String,
    /// Name of the room, or what names of rooms begin with.
    room: String,
    pub(super) channel: ChannelKind,
    pub(super) has_ssrc_rewriting: bool,
    pub(super) has_ice_restart: bool,
    /// Our address on the way there.
    pub(super) local: IpAddr,
    /// The server's.
    pub(super) address: SocketAddr,
}

impl Target {
    /// Asks the server. `room` is the name to take where the address has none.
    pub(super) async fn discover(
        url: &str,
        overrides: &Overrides,
        room: String,
        connector: &Connector,
    ) -> anyhow::Result<Target> {
        let place = Place::of(url)?;
        let (base, tenant, own_room) = split(url)?;
        let (address, local) = addresses(&place).await?;
        let folder = match tenant.as_str() {
            "" => String::new(),
            tenant => format!("/{tenant}"),
        };
        let (status, source) = connector.get(&format!("{base}{folder}/config.js")).await?;
        let config = match status {
            200 => ConfigJs::parse(&source, &tenant),
            _ => ConfigJs::default(),
        };
        let domain = overrides.domain.clone().or(config.text("hosts.domain"));
        let Some(domain) = domain else {
            bail!(
                "{base}{folder}/config.js does not say the XMPP domain (HTTP status {status}); \
                 is that a Jitsi server's address? Otherwise add --domain NAME"
            );
        };
        let name = domain_of(&domain)?;
        // A domain that was named is one where guests can log in.
        let guest_domain = match overrides.domain {
            Some(_) => None,
            None => config.text("hosts.anonymousdomain"),
        };
        let guest_domain = guest_domain.as_deref().map(domain_of).transpose()?;
        let dotted = match tenant.as_str() {
            "" => String::new(),
            tenant => format!("{tenant}."),
        };
        let muc = overrides.muc.clone().or(config.text("hosts.muc"));
        let muc = muc.unwrap_or_else(|| format!("conference.{dotted}{domain}"));
        let focus = config.text("hosts.focus");
        let focus = focus.unwrap_or_else(|| format!("focus.{domain}"));
        let websocket = overrides.websocket.clone().or(config.text("websocket"));
        let websocket = match websocket {
            // Some files leave the scheme to the page.
            Some(url) if url.starts_with("//") => format!("{}:{url}", scheme(&place)),
            Some(url) => url,
            None => format!("{}{folder}/xmpp-websocket", base.replacen("http", "ws", 1)),
        };
        let prefers_sctp = config.flag("bridgeChannel.preferSctp");
        Ok(Target {
            url: base,
            websocket,
            conference_request: config.text("conferenceRequestUrl"),
            domain: name,
            guest_domain,
            focus: focus
                .parse()
                .with_context(|| format!("{focus:?} is no address"))?,
            muc,
            room: own_room.unwrap_or(room),
            channel: match prefers_sctp.unwrap_or(true) {
                true => ChannelKind::Data,
                false => ChannelKind::WebSocket,
            },
            // COMPAT(lib-jitsi-meet): on unless it is said that it is off.
            has_ssrc_rewriting: config.flag("flags.ssrcRewritingEnabled").unwrap_or(true),
            has_ice_restart: config.flag("enableIceRestart").unwrap_or(false),
            local,
            address,
            place,
        })
    }

    /// The n-th of so many rooms.
    pub(super) fn room(&self, number: usize, rooms: usize) -> anyhow::Result<RoomJid> {
        let name = match rooms {
            1 => self.room.clone(),
            _ => format!("{}-{}", self.room, number + 1),
        };
        let jid = format!("{name}@{}", self.muc);
        let jid: BareJid = jid.parse().with_context(|| format!("{jid:?} is no room"))?;
        RoomJid::new(jid).with_context(|| format!("{name:?} is no room"))
    }

    /// By which way conferences are requested.
    pub(super) fn request(&self) -> RequestKind {
        match self.conference_request {
            Some(_) => RequestKind::Http,
            None => RequestKind::Iq,
        }
    }

    /// Whether the server is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.address.ip().is_loopback() || self.address.ip() == self.local
    }
}

fn domain_of(name: &str) -> anyhow::Result<DomainPart> {
    let domain = DomainPart::new(name).with_context(|| format!("{name:?} is no domain"))?;
    Ok(domain.into_owned())
}

fn scheme(place: &Place) -> &'static str {
    if place.is_secure { "wss" } else { "ws" }
}

/// `https://host:port`, the tenant (may be empty), and the room.
fn split(url: &str) -> anyhow::Result<(String, String, Option<String>)> {
    let (scheme, rest) = url
        .split_once("://")
        .context("expected https://HOST[:PORT]")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    let base = format!("{scheme}://{}", parts.next().unwrap_or_default());
    let parts: Vec<&str> = parts.collect();
    match parts.as_slice() {
        [] => Ok((base, String::new(), None)),
        [room] => Ok((base, String::new(), Some(room.to_lowercase()))),
        [tenant, room] => Ok((base, tenant.to_lowercase(), Some(room.to_lowercase()))),
        _ => bail!("{url}: expected at most /TENANT/ROOM behind the host"),
    }
}

/// The server's address and ours on the way to it. IPv4 where there is a choice: every bridge has
/// it.
async fn addresses(place: &Place) -> anyhow::Result<(SocketAddr, IpAddr)> {
    let found = lookup_host((place.host.as_str(), place.port)).await;
    let hint = || format!("cannot find the host {}; is its name right?", place.host);
    let mut found: Vec<SocketAddr> = found.with_context(hint)?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let address = *found.first().with_context(hint)?;
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    let no_way = || format!("there is no way from this machine to {}", address.ip());
    // Sends nothing; the system only chooses the way.
    socket.connect(address).await.with_context(no_way)?;
    Ok((address, socket.local_addr()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_meetings() {
        let check = |url: &str, expected: (&str, &str, Option<&str>)| {
            let (base, tenant, room) = split(url).unwrap();
            assert_eq!((&*base, &*tenant, room.as_deref()), expected, "{url}");
        };
        check(
            "https://meet.example.org",
            ("https://meet.example.org", "", None),
        );
        check(
            "http://localhost:8080/",
            ("http://localhost:8080", "", None),
        );
        check(
            "https://[::1]:8443/Tea?x#y",
            ("https://[::1]:8443", "", Some("tea")),
        );
        check(
            "https://a.org/Green/tea/",
            ("https://a.org", "green", Some("tea")),
        );
        assert!(split("https://a.org/a/b/c").is_err());
        assert!(split("a.org").is_err());
    }
}
