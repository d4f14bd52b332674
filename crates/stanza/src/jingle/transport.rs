//! The `<transport/>` of a content: ICE, DTLS, the bridge channel.

use std::net::{IpAddr, SocketAddr};

use minidom::Element;
use tertulia_model::Fingerprint;

use super::number;
use crate::{WithAttribute, ns};

/// A `<transport/>` of ICE and DTLS.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    pub ufrag: Option<String>,
    pub pwd: Option<String>,
    pub has_rtcp_mux: bool,
    /// URL of the bridge channel.
    pub web_socket: Option<String>,
    pub fingerprint: Option<TransportFingerprint>,
    pub candidates: Vec<TransportCandidate>,
    /// Number of streams of the `<sctpmap/>`; port 5000, protocol `webrtc-datachannel`.
    pub sctp_streams: Option<u16>,
    /// Which ICE restart it belongs to, counted from 1; none: the first transport. What is no
    /// number reads as 0, which no restart has.
    pub ice_generation: Option<u32>,
}

/// A `<fingerprint/>`.
#[derive(Clone, Debug)]
pub struct TransportFingerprint {
    pub fingerprint: Fingerprint,
    pub setup: Setup,
}

/// The DTLS role offered or taken (RFC 4145).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Either.
    Actpass,
    /// DTLS client.
    Active,
    /// DTLS server.
    Passive,
}

/// A `<candidate/>` for UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportCandidate {
    pub id: String,
    pub foundation: String,
    pub priority: u32,
    pub address: SocketAddr,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub type_: String,
    /// What is behind the address, for all but hosts.
    pub related: Option<SocketAddr>,
}

impl Transport {
    pub(super) fn parse(element: &Element) -> Transport {
        let text = |name| {
            element
                .attr(name)
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
        };
        let mut transport = Transport {
            ufrag: text("ufrag"),
            pwd: text("pwd"),
            ice_generation: text("ice-generation").map(|number| number.parse().unwrap_or(0)),
            ..Transport::default()
        };
        for child in element.children() {
            match child.name() {
                "rtcp-mux" => transport.has_rtcp_mux = true,
                "web-socket" => transport.web_socket = child.attr("url").map(str::to_owned),
                "fingerprint" => transport.fingerprint = TransportFingerprint::parse(child),
                "candidate" => transport
                    .candidates
                    .extend(TransportCandidate::parse(child)),
                "sctpmap" => {
                    transport.sctp_streams = Some(number(child, "streams").unwrap_or_default());
                }
                _ => {}
            }
        }
        transport
    }

    pub(super) fn to_element(&self) -> Element {
        let web_socket = self.web_socket.as_deref().map(|url| {
            Element::builder("web-socket", ns::COLIBRI)
                .with("url", url)
                .build()
        });
        let sctp = self.sctp_streams.map(|streams| {
            Element::builder("sctpmap", ns::JINGLE_SCTP)
                .with("number", 5000u16)
                .with("protocol", "webrtc-datachannel")
                .with("streams", streams)
                .build()
        });
        let mux = self
            .has_rtcp_mux
            .then(|| Element::bare("rtcp-mux", ns::JINGLE_ICE));
        Element::builder("transport", ns::JINGLE_ICE)
            .with("ufrag", self.ufrag.as_deref())
            .with("pwd", self.pwd.as_deref())
            .with("ice-generation", self.ice_generation)
            .append_all(mux)
            .append_all(web_socket)
            .append_all(sctp)
            .append_all(
                self.fingerprint
                    .as_ref()
                    .map(TransportFingerprint::to_element),
            )
            .append_all(self.candidates.iter().map(TransportCandidate::to_element))
            .build()
    }
}

impl TransportFingerprint {
    fn parse(element: &Element) -> Option<TransportFingerprint> {
        Some(TransportFingerprint {
            fingerprint: Fingerprint::parse(element.attr("hash")?, &element.text()).ok()?,
            setup: match element.attr("setup") {
                Some("passive") => Setup::Passive,
                Some("actpass") => Setup::Actpass,
                _ => Setup::Active,
            },
        })
    }

    fn to_element(&self) -> Element {
        let setup = match self.setup {
            Setup::Actpass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        };
        Element::builder("fingerprint", ns::JINGLE_DTLS)
            .with("hash", self.fingerprint.hash.as_str())
            .with("setup", setup)
            .with("required", "false")
            .append(self.fingerprint.value())
            .build()
    }
}

impl TransportCandidate {
    fn parse(element: &Element) -> Option<TransportCandidate> {
        if !element.attr("protocol")?.eq_ignore_ascii_case("udp") {
            return None;
        }
        let address = |ip, port| {
            let ip: IpAddr = element.attr(ip)?.parse().ok()?;
            Some(SocketAddr::new(ip, number(element, port)?))
        };
        let text = |name| element.attr(name).unwrap_or_default().to_owned();
        Some(TransportCandidate {
            id: text("id"),
            foundation: text("foundation"),
            priority: number(element, "priority").unwrap_or_default(),
            address: address("ip", "port")?,
            type_: text("type"),
            related: address("rel-addr", "rel-port"),
        })
    }

    fn to_element(&self) -> Element {
        Element::builder("candidate", ns::JINGLE_ICE)
            .with("id", self.id.as_str())
            .with("foundation", self.foundation.as_str())
            .with("component", "1")
            .with("protocol", "udp")
            .with("priority", self.priority)
            .with("ip", self.address.ip().to_string())
            .with("port", self.address.port())
            .with("type", self.type_.as_str())
            .with("rel-addr", self.related.map(|a| a.ip().to_string()))
            .with("rel-port", self.related.map(|a| a.port()))
            .with("generation", "0")
            .with("network", "0")
            .build()
    }
}
