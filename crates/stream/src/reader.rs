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
    let Root {
        namespace,
        name,
        attributes,
        elements,
    } = Root::of(text)?;
    let kind = match (name.as_str(), namespace.as_str()) {
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
    envelope(limits, payload, &attributes, elements)
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
}

fn envelope(
    limits: &Limits,
    mut stanza: Stanza,
    attributes: &AttrMap,
    elements: usize,
) -> Result<Frame, StreamError> {
    let plain = |name: &str| {
        attributes
            .iter()
            .find(|((ns, local), _)| ns.is_none() && **local == *name)
            .map(|a| a.1)
    };
    for name in ["to", "from", "id"] {
        if plain(name).is_some_and(|value| value.len() > limits.address_bytes_max) {
            return Err(policy("an address or id is too long"));
        }
    }
    stanza.id = plain("id").map(|id| id.as_str().into());
    stanza.type_ = plain("type").map(|type_| type_.as_str().into());
    let lang = attributes
        .iter()
        .find(|((ns, local), _)| ns.as_str() == rxml::XMLNS_XML && **local == *"lang");
    stanza.lang = lang.map(|(_, value)| value.as_str().into());
    if let Some(from) = plain("from") {
        stanza.from = Some(Jid::new(from).map_err(|_| {
            StreamError::new(
                StreamCondition::InvalidFrom,
                "the sender's address is no JID",
            )
        })?);
    }
    match plain("to").map(|to| Jid::new(to)).transpose() {
        Ok(to) => {
            stanza.to = to;
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
mod tests {
    use super::*;
    use crate::config::for_tests;

    fn read(text: &str) -> Result<Frame, StreamCondition> {
        read_frame(&for_tests().limits, text).map_err(|error| error.condition)
    }

    fn stanza(text: &str) -> Stanza {
        match read(text) {
            Ok(Frame::Stanza { stanza, .. }) => stanza,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[track_caller]
    fn refused(text: &str, expected: StreamCondition) {
        match read(text) {
            Err(condition) => assert_eq!(condition, expected, "{:.200}", text),
            Ok(frame) => panic!("{text:.200} was read as {frame:.200?}"),
        }
    }

    /// A message with this content.
    fn message(content: &str) -> String {
        format!("<message xmlns='jabber:client' to='a@b'>{content}</message>")
    }

    #[test]
    fn an_envelope_and_its_content() {
        let read = stanza(
            "<?xml version='1.0'?><iq xmlns=\"jabber:client\" to='Tea@Conference.localhost/X' \
             from='a@b/c' id='&lt;1' type='get' xml:lang='en' strange='x'>\
             <q xmlns='n:s' a='&quot;'> é <![CDATA[<]]></q></iq>",
        );
        assert_eq!(read.kind, Kind::Iq);
        assert_eq!(
            read.to.as_ref().unwrap().as_str(),
            "tea@conference.localhost/X"
        );
        assert_eq!(read.from.as_ref().unwrap().as_str(), "a@b/c");
        assert_eq!(read.id.as_deref(), Some("<1"));
        assert_eq!(read.type_.as_deref(), Some("get"));
        assert_eq!(read.lang.as_deref(), Some("en"));
        assert_eq!(
            &read.payload()[..],
            "<q xmlns='n:s' a='&quot;'> é <![CDATA[<]]></q>".as_bytes()
        );
        assert_eq!(read.child("q", "n:s").unwrap().text(), " é <");
        assert!(
            stanza("<presence xmlns='jabber:client'/>")
                .payload()
                .is_empty()
        );
        assert!(
            stanza("<presence xmlns='jabber:client'></presence>\n")
                .payload()
                .is_empty()
        );
    }

    #[test]
    fn prefixes_of_the_root_do_not_leak_into_the_content() {
        for text in [
            "<c:message xmlns:c='jabber:client'><c:body>hi</c:body></c:message>",
            "<message xmlns='jabber:client' xmlns:c='jabber:client'><c:body>hi</c:body></message>",
        ] {
            let read = stanza(text);
            let payload = std::str::from_utf8(read.payload()).unwrap();
            assert_eq!(payload, "<body xmlns='jabber:client'>hi</body>");
        }
        for text in [
            "<c:message xmlns:c='jabber:client'><body>hi</body></c:message>",
            &message("<body xmlns=''/>"),
        ] {
            refused(text, StreamCondition::InvalidNamespace);
        }
        let read = stanza(&message("<x:a xmlns:x='n:s'><x:b/></x:a>"));
        assert_eq!(&read.payload()[..], b"<x:a xmlns:x='n:s'><x:b/></x:a>");
    }

    #[test]
    fn namespaces_and_names_of_the_root() {
        refused("<message to='a@b'/>", StreamCondition::InvalidNamespace);
        refused(
            "<message xmlns='jabber:server' to='a@b'/>",
            StreamCondition::InvalidNamespace,
        );
        refused(
            "<open xmlns='jabber:client'/>",
            StreamCondition::InvalidNamespace,
        );
        refused(
            "<letter xmlns='jabber:client'/>",
            StreamCondition::UnsupportedStanzaType,
        );
        refused(
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            StreamCondition::UnsupportedStanzaType,
        );
        let stream = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>";
        refused(stream, StreamCondition::UnsupportedStanzaType);
        assert!(matches!(
            read("<r xmlns='urn:xmpp:sm:3'/>"),
            Ok(Frame::Element(_))
        ));
    }

    #[test]
    fn restricted_xml() {
        for text in [
            "<!DOCTYPE message><message xmlns='jabber:client'/>",
            "<!DOCTYPE m [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><m>&b;</m>",
            "<?xml version='1.0'?><!DOCTYPE m [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><m>&a;</m>",
            "<!ENTITY a 'aaaa'>",
            &message("&a;"),
            &message("&nbsp;"),
            &message("<!-- c -->"),
            &message("<?php ?>"),
            "<?target x?><message xmlns='jabber:client'/>",
        ] {
            refused(text, StreamCondition::RestrictedXml);
        }
    }

    #[test]
    fn malformed_xml() {
        for text in [
            "",
            " ",
            "hello",
            "<",
            "<message",
            "<message xmlns='jabber:client'>",
            "<message xmlns='jabber:client'></presence>",
            "<message xmlns='jabber:client'/><message xmlns='jabber:client'/>",
            "<message xmlns='jabber:client'/>x",
            "<message xmlns='jabber:client' to='a' to='b'/>",
            "<message xmlns='jabber:client' to=a/>",
            "<message xmlns='jabber:client' x:to='a'/>",
            "<message xmlns='jabber:client'><x:a/></message>",
            "<message xmlns='jabber:client' xmlns:x=''/>",
            "<message xmlns='jabber:client' xmlns:a='n' xmlns:b='n' a:x='' b:x=''/>",
            "<a:b:c xmlns='jabber:client'/>",
            &message("\u{0}"),
            &message("\u{fffe}"),
            &message("&#0;"),
            &message("&#xD800;"),
            &message("&"),
            &message("a < b"),
            &message("]]>"),
            "<?xml version='1.1'?><message xmlns='jabber:client'/>",
            "<message xmlns='jabber:client'><![CDATA[</message>",
        ] {
            match read(text) {
                Err(StreamCondition::NotWellFormed | StreamCondition::RestrictedXml) => {}
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    /// What breaks a reader without limits (found with other libraries: a nesting of 4,000
    /// aborts the process, a million empty children take 15 times their size).
    #[test]
    fn limits_before_any_tree() {
        let deep = |depth: usize| message(&("<a>".repeat(depth) + &"</a>".repeat(depth)));
        assert!(read(&deep(31)).is_ok());
        for depth in [32, 4_000, 10_000] {
            refused(&deep(depth), StreamCondition::PolicyViolation);
            refused(&"<a>".repeat(depth + 1), StreamCondition::PolicyViolation);
        }
        let policy = StreamCondition::PolicyViolation;
        refused(&deep(200_000), policy);
        refused(&message(&"x".repeat(50 * 1024 * 1024)), policy);
        refused(&message(&"x".repeat(256 * 1024)), policy);
        assert!(read(&message(&"x".repeat(200 * 1024))).is_ok());
        assert!(read(&message(&"<a/>".repeat(4_999))).is_ok());
        refused(&message(&"<a/>".repeat(5_000)), policy);
        let attributes = |count: usize| (0..count).map(|i| format!(" a{i}=''")).collect::<String>();
        assert!(read(&message(&format!("<a{}/>", attributes(64)))).is_ok());
        refused(&message(&format!("<a{}/>", attributes(65))), policy);
        refused(&message(&format!("<a{}/>", attributes(20_000))), policy);
        let spaces = |count: usize| {
            (0..count)
                .map(|i| format!(" xmlns:a{i}='n'"))
                .collect::<String>()
        };
        assert!(read(&message(&format!("<a{}/>", spaces(16)))).is_ok());
        refused(&message(&format!("<a{}/>", spaces(17))), policy);
        assert!(read(&message(&format!("<{}/>", "n".repeat(256)))).is_ok());
        refused(&message(&format!("<{}/>", "n".repeat(257))), policy);
        refused(&message(&format!("<a {}=''/>", "n".repeat(257))), policy);
        refused(&message(&format!("<a b='{}'/>", "n".repeat(8_193))), policy);
        refused(
            &format!(
                "<message xmlns='jabber:client' id='{}'/>",
                "n".repeat(3_101)
            ),
            policy,
        );
    }

    #[test]
    fn what_passes_the_reader_passes_the_tree() {
        let read = stanza(&message(&format!("<a b='{}'/>", "n".repeat(8_192))));
        assert_eq!(read.children().len(), 1);
        let read = stanza(&message(&format!(
            "<a b='{}'>{}</a>",
            "&lt;".repeat(8_192),
            "&#xe9;".repeat(9_000)
        )));
        assert_eq!(read.children().len(), 1);
    }

    #[test]
    fn addresses() {
        assert!(matches!(
            read("<presence xmlns='jabber:client' to='bad room@conference.localhost/x'/>"),
            Ok(Frame::Misaddressed { error, .. }) if error.condition == Condition::JidMalformed
        ));
        refused(
            "<presence xmlns='jabber:client' from='@'/>",
            StreamCondition::InvalidFrom,
        );
    }
}
