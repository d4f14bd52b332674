//! Jingle (XEP-0166 and its RTP, ICE and DTLS parts) as Jitsi's focus and clients speak it.
//!
//! Reading forgives: clients leave out and add what they like, and what is not understood is
//! skipped. Only what cannot be given a meaning at all is an [`InvalidJingle`]. Writing puts a
//! literal `xmlns` wherever Jitsi's client looks for one.

mod transport;

use minidom::Element;
use tertulia_model::{MediaType, Ssrc, VideoType};

use crate::mute::StartMuted;
use crate::sources::{
    self, ConferenceSources, InvalidSources, Semantics, SourceDescription, SsrcGroup,
};
use crate::{WithAttribute, ns, text_element};

pub use transport::{Setup, Transport, TransportCandidate, TransportFingerprint};

/// A `<jingle/>`.
#[derive(Clone, Debug)]
pub struct Jingle {
    pub action: Action,
    pub sid: String,
    pub initiator: Option<String>,
    pub responder: Option<String>,
    /// Names of the contents in the BUNDLE group; empty: no group.
    pub bundle: Vec<String>,
    pub contents: Vec<Content>,
    pub bridge_session: Option<BridgeSession>,
    pub reason: Option<Reason>,
    /// `<ice-state>` of old clients' session-info.
    pub ice_state: Option<String>,
    /// What its receiver is to leave off at first.
    pub start_muted: StartMuted,
    /// Sources in the compact JSON form.
    pub json_sources: Option<ConferenceSources>,
}

/// What a Jingle stanza wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    SessionInitiate,
    SessionAccept,
    SessionInfo,
    SessionTerminate,
    SourceAdd,
    SourceRemove,
    TransportInfo,
    /// One that the focus neither sends nor understands.
    Other(String),
}

/// A `<content/>`: one kind of media, or the data channel.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pub name: String,
    pub senders: Option<String>,
    pub description: Option<Description>,
    pub transport: Option<Transport>,
    /// `<initial-last-n/>` of a session-accept.
    pub initial_last_n: Option<i32>,
}

/// A `<description/>`.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// `audio`, `video` or `application`.
    pub media: String,
    pub maxptime: Option<u32>,
    pub payload_types: Vec<PayloadType>,
    pub header_extensions: Vec<HeaderExtension>,
    pub allows_mixed_extensions: bool,
    pub has_rtcp_mux: bool,
    /// Sources with their owners (`ssrc-info`), where said.
    pub sources: Vec<(SourceDescription, Option<String>)>,
    pub groups: Vec<SsrcGroup>,
}

/// A codec under its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadType {
    pub id: u8,
    pub name: String,
    pub clockrate: u32,
    pub channels: u8,
    pub parameters: Vec<(String, String)>,
    pub feedback: Vec<Feedback>,
}

/// One kind of RTCP feedback, `nack` or `nack pli`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    pub type_: String,
    pub subtype: Option<String>,
}

/// An RTP header extension under its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderExtension {
    pub id: u8,
    pub uri: String,
}

/// A `<bridge-session/>`: which transport on which bridge is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeSession {
    pub id: String,
    pub wants_restart: bool,
    pub wants_ice_restart: bool,
}

/// A `<reason/>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Name of the condition element, such as `success` or `expired`.
    pub condition: String,
    pub text: Option<String>,
}

/// A `<jingle/>` that cannot be given a meaning.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJingle {
    #[error("no jingle element")]
    NotJingle,
    #[error("expected attribute {0}")]
    MissingAttribute(&'static str),
    #[error("more than {CONTENTS_MAX} contents")]
    TooManyContents,
    #[error("expected an ssrc from 1 to 2^32 - 1, got {0:?}")]
    Ssrc(String),
    #[error("sources: {0}")]
    Sources(#[from] InvalidSources),
}

impl Jingle {
    /// An action without anything.
    pub fn new(action: Action, sid: &str) -> Jingle {
        Jingle {
            action,
            sid: sid.to_owned(),
            initiator: None,
            responder: None,
            bundle: Vec::new(),
            contents: Vec::new(),
            bridge_session: None,
            reason: None,
            ice_state: None,
            start_muted: StartMuted::default(),
            json_sources: None,
        }
    }

    /// Reads a `<jingle/>`.
    pub fn parse(element: &Element) -> Result<Jingle, InvalidJingle> {
        if !element.is("jingle", ns::JINGLE) {
            return Err(InvalidJingle::NotJingle);
        }
        let action = element
            .attr("action")
            .ok_or(InvalidJingle::MissingAttribute("action"))?;
        let sid = element
            .attr("sid")
            .ok_or(InvalidJingle::MissingAttribute("sid"))?;
        let mut jingle = Jingle::new(Action::from_name(action), sid);
        jingle.initiator = element.attr("initiator").map(str::to_owned);
        jingle.responder = element.attr("responder").map(str::to_owned);
        for child in element.children() {
            if child.is("content", ns::JINGLE) {
                if jingle.contents.len() < CONTENTS_MAX {
                    jingle.contents.push(Content::parse(child)?);
                } else if jingle.action != Action::TransportInfo {
                    return Err(InvalidJingle::TooManyContents);
                }
                // COMPAT(lib-jitsi-meet): after an ice restart it sends the same transport once
                // for each media line, and in a large meeting there are many.
            } else if child.is("group", ns::JINGLE_GROUPING) {
                let contents = child.children().filter(|c| c.name() == "content");
                jingle.bundle = contents
                    .filter_map(|c| c.attr("name").map(str::to_owned))
                    .collect();
            } else if child.is("bridge-session", ns::FOCUS) {
                jingle.bridge_session = Some(BridgeSession::parse(child));
            } else if child.is("reason", ns::JINGLE) {
                jingle.reason = Reason::parse(child);
            } else if child.is("ice-state", ns::FOCUS) {
                jingle.ice_state = Some(child.text());
            } else if let Some(muted) = StartMuted::parse(child) {
                jingle.start_muted = muted;
            } else if let Some(sources) = sources::parse_element(child) {
                jingle.json_sources = Some(sources?);
            }
        }
        Ok(jingle)
    }

    /// The element.
    pub fn to_element(&self) -> Element {
        let bundle = (!self.bundle.is_empty()).then(|| {
            let content = |name: &String| {
                Element::builder("content", ns::JINGLE_GROUPING)
                    .with("name", name.as_str())
                    .build()
            };
            Element::builder("group", ns::JINGLE_GROUPING)
                .with("semantics", "BUNDLE")
                .append_all(self.bundle.iter().map(content))
                .build()
        });
        let ice_state = self.ice_state.as_deref();
        Element::builder("jingle", ns::JINGLE)
            .with("action", self.action.as_str())
            .with("sid", self.sid.as_str())
            .with("initiator", self.initiator.as_deref())
            .with("responder", self.responder.as_deref())
            .append_all(self.contents.iter().map(Content::to_element))
            .append_all(bundle)
            .append_all(self.reason.as_ref().map(Reason::to_element))
            .append_all(self.bridge_session.as_ref().map(BridgeSession::to_element))
            .append_all(ice_state.map(|state| text_element("ice-state", ns::FOCUS, state)))
            .append_all(self.start_muted.to_element())
            .append_all(self.json_sources.as_ref().map(sources::to_element))
            .build()
    }

    /// All sources in it, from JSON and from the contents. Those without an owner belong to
    /// `default_owner`.
    pub fn sources(&self, default_owner: &str) -> ConferenceSources {
        let mut all = self.json_sources.clone().unwrap_or_default();
        for description in self.contents.iter().filter_map(|c| c.description.as_ref()) {
            let Some(media) = description.media_type() else {
                continue;
            };
            let mut owners = std::collections::BTreeMap::new();
            for (source, owner) in &description.sources {
                let owner = owner.as_deref().unwrap_or(default_owner);
                owners.insert(source.ssrc, owner);
                let endpoint = all.entry(owner.to_owned()).or_default();
                endpoint.of_mut(media).sources.push(source.clone());
            }
            for group in &description.groups {
                let first = group.ssrcs.first().and_then(|ssrc| owners.get(ssrc));
                let endpoint = all.entry((*first.unwrap_or(&default_owner)).to_owned());
                endpoint
                    .or_default()
                    .of_mut(media)
                    .groups
                    .push(group.clone());
            }
        }
        all
    }

    /// The transports in the order of their contents.
    pub fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.contents.iter().filter_map(|c| c.transport.as_ref())
    }

    /// The first transport that has ICE credentials and a fingerprint.
    pub fn complete_transport(&self) -> Option<&Transport> {
        self.transports()
            .find(|t| t.ufrag.is_some() && t.pwd.is_some() && t.fingerprint.is_some())
    }
}

impl Action {
    /// The value of the `action` attribute.
    pub fn as_str(&self) -> &str {
        match self {
            Action::SessionInitiate => "session-initiate",
            Action::SessionAccept => "session-accept",
            Action::SessionInfo => "session-info",
            Action::SessionTerminate => "session-terminate",
            Action::SourceAdd => "source-add",
            Action::SourceRemove => "source-remove",
            Action::TransportInfo => "transport-info",
            Action::Other(name) => name,
        }
    }

    /// The action of that name.
    pub fn from_name(name: &str) -> Action {
        match name {
            "session-initiate" => Action::SessionInitiate,
            "session-accept" => Action::SessionAccept,
            "session-info" => Action::SessionInfo,
            "session-terminate" => Action::SessionTerminate,
            "source-add" | "addsource" => Action::SourceAdd,
            "source-remove" | "removesource" => Action::SourceRemove,
            "transport-info" => Action::TransportInfo,
            other => Action::Other(other.to_owned()),
        }
    }
}

impl Content {
    fn parse(element: &Element) -> Result<Content, InvalidJingle> {
        let mut content = Content {
            name: element.attr("name").unwrap_or_default().to_owned(),
            senders: element.attr("senders").map(str::to_owned),
            ..Content::default()
        };
        for child in element.children() {
            if child.is("description", ns::JINGLE_RTP) {
                content.description = Some(Description::parse(child, &content.name)?);
                // COMPAT(jicofo): some clients put it into the description, some beside it.
                content.initial_last_n = content.initial_last_n.or(initial_last_n(child));
            } else if child.is("transport", ns::JINGLE_ICE) {
                content.transport = Some(Transport::parse(child));
            }
        }
        content.initial_last_n = content.initial_last_n.or(initial_last_n(element));
        Ok(content)
    }

    fn to_element(&self) -> Element {
        let last_n = self.initial_last_n.map(|n| {
            Element::builder("initial-last-n", ns::COLIBRI2)
                .with("value", n)
                .build()
        });
        Element::builder("content", ns::JINGLE)
            .with("creator", "initiator")
            .with("name", self.name.as_str())
            .with("senders", self.senders.as_deref())
            .append_all(self.description.as_ref().map(Description::to_element))
            .append_all(self.transport.as_ref().map(Transport::to_element))
            .append_all(last_n)
            .build()
    }
}

fn initial_last_n(parent: &Element) -> Option<i32> {
    parent
        .get_child("initial-last-n", ns::COLIBRI2)?
        .attr("value")?
        .parse()
        .ok()
}

impl Description {
    /// An empty description of one kind of media.
    pub fn new(media: MediaType) -> Description {
        Description {
            media: media.as_str().to_owned(),
            ..Description::default()
        }
    }

    /// Audio or video; None for the data channel.
    pub fn media_type(&self) -> Option<MediaType> {
        [MediaType::Audio, MediaType::Video]
            .into_iter()
            .find(|m| m.as_str() == self.media)
    }

    fn parse(element: &Element, content: &str) -> Result<Description, InvalidJingle> {
        let mut description = Description {
            media: element.attr("media").unwrap_or(content).to_owned(),
            maxptime: number(element, "maxptime"),
            ..Description::default()
        };
        for child in element.children() {
            match (child.name(), child.ns().as_str()) {
                ("payload-type", ns::JINGLE_RTP) => {
                    description.payload_types.extend(PayloadType::parse(child));
                }
                ("rtp-hdrext", ns::JINGLE_HDREXT) => {
                    description
                        .header_extensions
                        .extend(HeaderExtension::parse(child));
                }
                ("extmap-allow-mixed", ns::JINGLE_HDREXT) => {
                    description.allows_mixed_extensions = true;
                }
                ("rtcp-mux", _) => description.has_rtcp_mux = true,
                ("source", ns::JINGLE_SSMA) => description.sources.push(parse_source(child)?),
                ("ssrc-group", ns::JINGLE_SSMA) => description.groups.extend(parse_group(child)?),
                _ => {}
            }
        }
        Ok(description)
    }

    fn to_element(&self) -> Element {
        let mixed = self
            .allows_mixed_extensions
            .then(|| Element::bare("extmap-allow-mixed", ns::JINGLE_HDREXT));
        let mux = self
            .has_rtcp_mux
            .then(|| Element::bare("rtcp-mux", ns::JINGLE_RTP));
        Element::builder("description", ns::JINGLE_RTP)
            .with("media", self.media.as_str())
            .with("maxptime", self.maxptime)
            .append_all(self.payload_types.iter().map(PayloadType::to_element))
            .append_all(
                self.header_extensions
                    .iter()
                    .map(HeaderExtension::to_element),
            )
            .append_all(mixed)
            .append_all(mux)
            .append_all(
                self.sources
                    .iter()
                    .map(|(s, owner)| source_element(s, owner.as_deref())),
            )
            .append_all(self.groups.iter().map(group_element))
            .build()
    }
}

impl PayloadType {
    /// A codec without parameters and feedback.
    pub fn new(id: u8, name: &str, clockrate: u32, channels: u8) -> PayloadType {
        PayloadType {
            id,
            name: name.to_owned(),
            clockrate,
            channels,
            ..PayloadType::default()
        }
    }

    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: &str) -> PayloadType {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn with_feedback(mut self, type_: &str, subtype: Option<&str>) -> PayloadType {
        self.feedback.push(Feedback {
            type_: type_.to_owned(),
            subtype: subtype.map(str::to_owned),
        });
        self
    }

    fn parse(element: &Element) -> Option<PayloadType> {
        let mut payload_type = PayloadType::new(
            number(element, "id")?,
            element.attr("name").unwrap_or_default(),
            number(element, "clockrate").unwrap_or_default(),
            number(element, "channels").unwrap_or(1),
        );
        for child in element.children() {
            if child.is("parameter", ns::JINGLE_RTP) {
                let value = |name| child.attr(name).unwrap_or_default().to_owned();
                payload_type
                    .parameters
                    .push((value("name"), value("value")));
            } else if child.is("rtcp-fb", ns::JINGLE_RTCP_FB) {
                payload_type
                    .feedback
                    .extend(child.attr("type").map(|type_| Feedback {
                        type_: type_.to_owned(),
                        subtype: child.attr("subtype").map(str::to_owned),
                    }));
            }
        }
        Some(payload_type)
    }

    fn to_element(&self) -> Element {
        let parameters = self.parameters.iter().map(|(name, value)| {
            Element::builder("parameter", ns::JINGLE_RTP)
                .with("name", name.as_str())
                .with("value", value.as_str())
                .build()
        });
        let feedback = self.feedback.iter().map(|feedback| {
            Element::builder("rtcp-fb", ns::JINGLE_RTCP_FB)
                .with("type", feedback.type_.as_str())
                .with("subtype", feedback.subtype.as_deref())
                .build()
        });
        Element::builder("payload-type", ns::JINGLE_RTP)
            .with("id", u16::from(self.id))
            .with("name", self.name.as_str())
            .with("clockrate", self.clockrate)
            .with("channels", u16::from(self.channels))
            .append_all(parameters)
            .append_all(feedback)
            .build()
    }
}

impl HeaderExtension {
    /// An extension under a number.
    pub fn new(id: u8, uri: &str) -> HeaderExtension {
        HeaderExtension {
            id,
            uri: uri.to_owned(),
        }
    }

    fn parse(element: &Element) -> Option<HeaderExtension> {
        Some(HeaderExtension::new(
            number(element, "id")?,
            element.attr("uri")?,
        ))
    }

    fn to_element(&self) -> Element {
        Element::builder("rtp-hdrext", ns::JINGLE_HDREXT)
            .with("id", u16::from(self.id))
            .with("uri", self.uri.as_str())
            .build()
    }
}

fn parse_source(element: &Element) -> Result<(SourceDescription, Option<String>), InvalidJingle> {
    let parameter = |name: &str| {
        let mut parameters = element.children().filter(|c| c.name() == "parameter");
        parameters
            .find(|c| c.attr("name") == Some(name))?
            .attr("value")
            .map(str::to_owned)
    };
    let owner = element
        .get_child("ssrc-info", ns::JITSI_MEET)
        .and_then(|i| i.attr("owner"));
    let source = SourceDescription {
        ssrc: parse_ssrc(element)?,
        name: element.attr("name").map(str::to_owned),
        msid: parameter("msid"),
        video_type: match element.attr("videoType") {
            Some(type_) if type_.eq_ignore_ascii_case("desktop") => VideoType::Desktop,
            _ => VideoType::Camera,
        },
    };
    // COMPAT(lib-jitsi-meet): the owner may be an occupant's JID instead of its nick.
    let owner = owner.map(|owner| owner.rsplit('/').next().unwrap_or(owner).to_owned());
    Ok((source, owner))
}

fn source_element(source: &SourceDescription, owner: Option<&str>) -> Element {
    let owner = owner.map(|owner| {
        Element::builder("ssrc-info", ns::JITSI_MEET)
            .with("owner", owner)
            .build()
    });
    let msid = source.msid.as_deref().map(|msid| {
        Element::builder("parameter", ns::JINGLE_SSMA)
            .with("name", "msid")
            .with("value", msid)
            .build()
    });
    let video_type = (source.video_type == VideoType::Desktop).then_some("desktop");
    Element::builder("source", ns::JINGLE_SSMA)
        .with("ssrc", source.ssrc.0)
        .with("name", source.name.as_deref())
        .with("videoType", video_type)
        .append_all(owner)
        .append_all(msid)
        .build()
}

fn parse_group(element: &Element) -> Result<Option<SsrcGroup>, InvalidJingle> {
    let Some(semantics) = element.attr("semantics").and_then(Semantics::from_name) else {
        return Ok(None);
    };
    let ssrcs = element
        .children()
        .filter(|c| c.name() == "source")
        .map(parse_ssrc);
    Ok(Some(SsrcGroup {
        semantics,
        ssrcs: ssrcs.collect::<Result<_, _>>()?,
    }))
}

fn group_element(group: &SsrcGroup) -> Element {
    let source = |ssrc: &Ssrc| {
        Element::builder("source", ns::JINGLE_SSMA)
            .with("ssrc", ssrc.0)
            .build()
    };
    Element::builder("ssrc-group", ns::JINGLE_SSMA)
        .with("semantics", group.semantics.as_str())
        .append_all(group.ssrcs.iter().map(source))
        .build()
}

fn parse_ssrc(element: &Element) -> Result<Ssrc, InvalidJingle> {
    match number(element, "ssrc") {
        Some(ssrc @ 1..) => Ok(Ssrc(ssrc)),
        _ => Err(InvalidJingle::Ssrc(
            element.attr("ssrc").unwrap_or_default().to_owned(),
        )),
    }
}

impl BridgeSession {
    fn parse(element: &Element) -> BridgeSession {
        BridgeSession {
            id: element.attr("id").unwrap_or_default().to_owned(),
            wants_restart: element.attr("restart") == Some("true"),
            wants_ice_restart: element.attr("ice-restart") == Some("true"),
        }
    }

    fn to_element(&self) -> Element {
        Element::builder("bridge-session", ns::FOCUS)
            .with("id", self.id.as_str())
            .with("restart", self.wants_restart.then_some("true"))
            .with("ice-restart", self.wants_ice_restart.then_some("true"))
            .build()
    }
}

impl Reason {
    /// A reason with an explanation.
    pub fn new(condition: &str, text: &str) -> Reason {
        Reason {
            condition: condition.to_owned(),
            text: Some(text.to_owned()),
        }
    }

    fn parse(element: &Element) -> Option<Reason> {
        let condition = element
            .children()
            .find(|c| c.name() != "text")?
            .name()
            .to_owned();
        Some(Reason {
            condition,
            text: element.get_child("text", ns::JINGLE).map(Element::text),
        })
    }

    fn to_element(&self) -> Element {
        Element::builder("reason", ns::JINGLE)
            .append(Element::bare(self.condition.as_str(), ns::JINGLE))
            .append_all(
                self.text
                    .as_deref()
                    .map(|text| text_element("text", ns::JINGLE, text)),
            )
            .build()
    }
}

fn number<T: std::str::FromStr>(element: &Element, attribute: &str) -> Option<T> {
    element.attr(attribute)?.parse().ok()
}

/// A session has three; a client of the old Plan B kind would not have more either.
const CONTENTS_MAX: usize = 16;

#[cfg(test)]
mod tests;
