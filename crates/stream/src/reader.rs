//! Bytes to stanzas: the one bounded reader.
//!
//! Two passes over a frame that is complete and not too long. The first looks at plain tokens and
//! enforces every other limit, so that the second, which resolves namespaces, and the tree that
//! may follow are built from something small. A stack overflow cannot be caught: the depth limit
//! stands before anything recursive.

use bytes::Bytes;
use rxml::error::{EndOrError, Error};
use rxml::{AttrMap, Event, Options, Parse, Parser, RawEvent, RawParser, RawQName, WithOptions};
use tertulia_model::jid::Jid;
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, ns};

use crate::{Limits, StreamCondition, StreamError};

mod body;

pub use body::{Body, read_body};

/// What one frame holds.
#[derive(Debug)]
pub enum Frame {
    /// A stanza. `elements` is the number of its child elements.
    Stanza { stanza: Stanza, elements: usize },
    /// A stanza whose `to` is no JID; `stanza` has none.
    Misaddressed { stanza: Stanza, error: StanzaError },
    /// An element of the stream itself: opening, log-in, acknowledgements.
    Element(Element),
}

/// Reads one frame.
pub fn read_frame(limits: &Limits, text: &str) -> Result<Frame, StreamError> {
    if text.len() > limits.bytes_max {
        return Err(policy("the frame is too long"));
    }
    let outline = Outline::of(limits, text)?;
    let root = Root::of(text)?;
    let kind = match (root.name.as_str(), root.namespace.as_str()) {
        ("message", ns::CLIENT) => Kind::Message,
        ("presence", ns::CLIENT) => Kind::Presence,
        ("iq", ns::CLIENT) => Kind::Iq,
        ("message" | "presence" | "iq", _) => {
            return Err(StreamError::new(
                StreamCondition::InvalidNamespace,
                "stanzas are in the namespace jabber:client",
            ));
        }
        ("open" | "close", namespace) if namespace != ns::FRAMING => {
            return Err(StreamError::new(
                StreamCondition::InvalidNamespace,
                "open and close are in the namespace of RFC 7395",
            ));
        }
        (_, ns::FRAMING | ns::SASL | ns::SM) => return tree(text).map(Frame::Element),
        _ => {
            return Err(StreamError::new(
                StreamCondition::UnsupportedStanzaType,
                "neither a stanza nor an element of the stream",
            ));
        }
    };
    let payload = match outline.inner {
        Some(inner) => Stanza::from_validated(kind, Bytes::copy_from_slice(inner.as_bytes())),
        None => Stanza::new(kind).with_children(tree(text)?.children().cloned()),
    };
    envelope(limits, payload, &root)
}

/// Reads a frame that is no stanza, whatever its namespace: what a server says about the stream.
pub(crate) fn read_element(limits: &Limits, text: &str) -> Result<Element, StreamError> {
    if text.len() > limits.bytes_max {
        return Err(policy("the frame is too long"));
    }
    Outline::of(limits, text)?;
    Root::of(text)?;
    tree(text)
}

/// The first pass: limits, and where the content lies.
struct Outline<'a> {
    /// The content of the root element; None if it depends on what the root's start tag declares.
    inner: Option<&'a str>,
}

impl Outline<'_> {
    fn of<'a>(limits: &Limits, text: &'a str) -> Result<Outline<'a>, StreamError> {
        // Our own limits are lower; the parser's would be told as restricted XML.
        let options = Options {
            max_token_length: text.len() + 1,
            ..Options::default()
        };
        let mut parser = RawParser::with_options(options);
        let mut rest = text.as_bytes();
        let mut counts = Counts::default();
        let mut is_self_contained = true;
        let mut offset = 0;
        let mut inner = None..None;
        while let Some(event) = parser
            .parse(&mut rest, true)
            .map_err(|e| xml_error(e, text, rest))?
        {
            let start = offset;
            offset += event.metrics().len();
            match event {
                RawEvent::XmlDeclaration(..) => {}
                RawEvent::ElementHeadOpen(_, (prefix, local)) => {
                    counts.open(limits, &(prefix.clone(), local))?;
                    if counts.depth == 1 {
                        is_self_contained &= prefix.is_none();
                    }
                }
                RawEvent::Attribute(_, name, value) => {
                    counts.attribute(limits, &name, &value)?;
                    if counts.depth == 1 {
                        is_self_contained &= !is_prefix_declaration(&name);
                    }
                }
                RawEvent::ElementHeadClose(_) if counts.depth == 1 => inner.start = Some(offset),
                RawEvent::ElementHeadClose(_) | RawEvent::Text(..) => {}
                RawEvent::ElementFoot(_) => {
                    if counts.depth == 1 {
                        inner.end = Some(start);
                    }
                    counts.depth -= 1;
                }
            }
        }
        let inner = inner.start.zip(inner.end).filter(|_| is_self_contained);
        Ok(Outline {
            inner: inner.and_then(|(start, end)| text.get(start..end)),
        })
    }
}

#[derive(Default)]
struct Counts {
    depth: usize,
    elements: usize,
    attributes: usize,
    namespaces: usize,
}

impl Counts {
    fn open(&mut self, limits: &Limits, name: &RawQName) -> Result<(), StreamError> {
        *self = Counts {
            depth: self.depth + 1,
            elements: self.elements + 1,
            ..Counts::default()
        };
        if self.depth > limits.depth_max {
            return Err(policy("elements are nested too deep"));
        }
        if self.elements > limits.elements_max {
            return Err(policy("too many elements"));
        }
        check_name(limits, name)
    }

    fn attribute(
        &mut self,
        limits: &Limits,
        name: &RawQName,
        value: &str,
    ) -> Result<(), StreamError> {
        self.attributes += 1;
        if self.attributes > limits.attributes_max {
            return Err(policy("too many attributes"));
        }
        if is_prefix_declaration(name) || is_default_declaration(name) {
            self.namespaces += 1;
        }
        if self.namespaces > limits.namespaces_max {
            return Err(policy("too many namespace declarations"));
        }
        if value.len() > limits.value_bytes_max {
            return Err(policy("the value of an attribute is too long"));
        }
        check_name(limits, name)
    }
}

fn check_name(limits: &Limits, (prefix, local): &RawQName) -> Result<(), StreamError> {
    let length = local.len() + prefix.as_ref().map_or(0, |prefix| prefix.len() + 1);
    if length > limits.name_bytes_max {
        Err(policy("a name is too long"))
    } else {
        Ok(())
    }
}

fn is_prefix_declaration((prefix, _): &RawQName) -> bool {
    prefix
        .as_ref()
        .is_some_and(|prefix| prefix.as_str() == "xmlns")
}

fn is_default_declaration((prefix, local): &RawQName) -> bool {
    prefix.is_none() && local.as_str() == "xmlns"
}

/// The second pass: the root element, with every namespace of the frame resolved.
struct Root {
    namespace: String,
    name: String,
    attributes: AttrMap,
    /// Child elements of the root.
    elements: usize,
}

impl Root {
    fn of(text: &str) -> Result<Root, StreamError> {
        let options = Options {
            max_token_length: text.len() + 1,
            ..Options::default()
        };
        let mut parser = Parser::with_options(options);
        let mut rest = text.as_bytes();
        let mut root = None;
        let mut elements = 0;
        let mut depth = 0usize;
        while let Some(event) = parser
            .parse(&mut rest, true)
            .map_err(|e| xml_error(e, text, rest))?
        {
            match event {
                Event::XmlDeclaration(..) | Event::Text(..) => {}
                Event::StartElement(_, (namespace, name), attributes) => {
                    // The tree knows no elements without namespace, and XMPP has none.
                    if namespace.is_none() && depth > 0 {
                        return Err(StreamError::new(
                            StreamCondition::InvalidNamespace,
                            "every element is in a namespace",
                        ));
                    }
                    if depth == 0 {
                        root = Some((namespace.to_string(), name.to_string(), attributes));
                    } else if depth == 1 {
                        elements += 1;
                    }
                    depth += 1;
                }
                Event::EndElement(_) => depth = depth.saturating_sub(1),
            }
        }
        let (namespace, name, attributes) = root.ok_or_else(not_well_formed)?;
        Ok(Root {
            namespace,
            name,
            attributes,
            elements,
        })
    }

    /// An attribute without namespace.
    fn plain(&self, name: &str) -> Option<&str> {
        self.attribute("", name)
    }

    /// An attribute of this namespace.
    fn attribute(&self, namespace: &str, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found =
            attributes.find(|((ns, local), _)| ns.as_str() == namespace && **local == *name);
        found.map(|(_, value)| value.as_str())
    }
}

fn envelope(limits: &Limits, mut stanza: Stanza, root: &Root) -> Result<Frame, StreamError> {
    for name in ["to", "from", "id"] {
        if root
            .plain(name)
            .is_some_and(|value| value.len() > limits.address_bytes_max)
        {
            return Err(policy("an address or id is too long"));
        }
    }
    stanza.id = root.plain("id").map(Into::into);
    stanza.type_ = root.plain("type").map(Into::into);
    stanza.lang = root.attribute(rxml::XMLNS_XML, "lang").map(Into::into);
    if let Some(from) = root.plain("from") {
        stanza.from = Some(Jid::new(from).map_err(|_| {
            StreamError::new(
                StreamCondition::InvalidFrom,
                "the sender's address is no JID",
            )
        })?);
    }
    match root.plain("to").map(Jid::new).transpose() {
        Ok(to) => {
            stanza.to = to;
            let elements = root.elements;
            Ok(Frame::Stanza { stanza, elements })
        }
        Err(_) => {
            let error = StanzaError::new(Condition::JidMalformed)
                .with_text("the receiver's address is no JID");
            Ok(Frame::Misaddressed { stanza, error })
        }
    }
}

/// The tree of a frame that has passed both passes.
fn tree(text: &str) -> Result<Element, StreamError> {
    Element::from_reader(text.as_bytes()).map_err(|_| not_well_formed())
}

/// Tells forbidden XML from broken XML. `rest` is what the parser has not read.
fn xml_error(error: EndOrError, text: &str, rest: &[u8]) -> StreamError {
    let is_restricted = match error {
        EndOrError::Error(Error::RestrictedXml(_) | Error::UndeclaredEntity) => true,
        _ => is_in_declaration(text.as_bytes(), text.len() - rest.len()),
    };
    if is_restricted {
        StreamError::new(
            StreamCondition::RestrictedXml,
            "comments, processing instructions, DTDs and entities are not allowed",
        )
    } else {
        not_well_formed()
    }
}

/// Whether the parser stopped in something like `<!DOCTYPE` or `<?target`, which it does not know.
fn is_in_declaration(text: &[u8], stopped_at: usize) -> bool {
    let seen = text.get(..stopped_at.saturating_add(1)).unwrap_or(text);
    let Some(start) = seen.iter().rposition(|byte| *byte == b'<') else {
        return false;
    };
    match text.get(start + 1..).unwrap_or_default() {
        [b'!', next, ..] => next.is_ascii_alphabetic(),
        [b'?', target @ ..] => !target.starts_with(b"xml "),
        _ => false,
    }
}

fn not_well_formed() -> StreamError {
    StreamError::new(
        StreamCondition::NotWellFormed,
        "a frame is one well-formed element",
    )
}

fn policy(text: &'static str) -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation, text)
}

#[cfg(test)]
mod tests;
