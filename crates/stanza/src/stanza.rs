use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jid::Jid;
use minidom::Element;

use crate::element::{is_legal, without_illegal_characters};
use crate::ns;

/// Which of the three stanzas (RFC 6120 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Message,
    Presence,
    Iq,
}

impl Kind {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        }
    }
}

/// One stanza: the envelope as values, the payload as validated bytes, a tree only on demand.
///
/// A clone shares the payload; addressing one payload to many is cheap. The payload is relayed
/// byte for byte: what a client sent is what others get.
#[derive(Clone)]
pub struct Stanza {
    pub kind: Kind,
    pub from: Option<Jid>,
    pub to: Option<Jid>,
    pub id: Option<Arc<str>>,
    /// The `type` attribute as it came; see RFC 6120 for what its absence means.
    pub type_: Option<Arc<str>>,
    /// `xml:lang`.
    pub lang: Option<Arc<str>>,
    payload: Arc<Payload>,
    /// Everything after the `to` attribute, written once for all receivers of a broadcast.
    tail: OnceLock<Bytes>,
}

#[derive(Default)]
struct Payload {
    /// Well-formed content of a stanza element whose default namespace is `jabber:client`; uses
    /// no prefix that it does not declare itself.
    bytes: Bytes,
    tree: OnceLock<Vec<Element>>,
}

impl Stanza {
    /// An empty stanza.
    pub fn new(kind: Kind) -> Stanza {
        Stanza {
            kind,
            from: None,
            to: None,
            id: None,
            type_: None,
            lang: None,
            payload: Arc::default(),
            tail: OnceLock::new(),
        }
    }

    /// An iq with the given type (`get`, `set`, `result`, `error`) and id.
    pub fn iq(type_: &str, id: &str) -> Stanza {
        Stanza::new(Kind::Iq).with_type(type_).with_id(id)
    }

    /// A stanza with a payload that the stream reader has validated: well-formed, within limits,
    /// default namespace `jabber:client`, no undeclared prefixes.
    pub fn from_validated(kind: Kind, payload: Bytes) -> Stanza {
        let payload = Arc::new(Payload {
            bytes: payload,
            tree: OnceLock::new(),
        });
        Stanza {
            payload,
            ..Stanza::new(kind)
        }
    }

    #[must_use]
    pub fn with_from(mut self, from: impl Into<Jid>) -> Stanza {
        self.from = Some(from.into());
        self.tail = OnceLock::new();
        self
    }

    #[must_use]
    pub fn with_to(mut self, to: impl Into<Jid>) -> Stanza {
        self.to = Some(to.into());
        self
    }

    #[must_use]
    pub fn with_id(mut self, id: &str) -> Stanza {
        self.id = Some(id.into());
        self.tail = OnceLock::new();
        self
    }

    #[must_use]
    pub fn with_type(mut self, type_: &str) -> Stanza {
        self.type_ = Some(type_.into());
        self.tail = OnceLock::new();
        self
    }

    /// The same envelope with these children instead of the payload.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Stanza {
        let tree: Vec<Element> = children.into_iter().collect();
        self.payload = Arc::new(write_children(tree));
        self.tail = OnceLock::new();
        self
    }

    /// As [`with_children`](Stanza::with_children), for one child.
    #[must_use]
    pub fn with_child(self, child: Element) -> Stanza {
        self.with_children([child])
    }

    /// The content of the stanza element, as it goes over the wire.
    pub fn payload(&self) -> &Bytes {
        &self.payload.bytes
    }

    /// The child elements; parsed at the first call and kept.
    pub fn children(&self) -> &[Element] {
        self.payload
            .tree
            .get_or_init(|| parse_children(&self.payload.bytes))
    }

    /// The first child with this name and namespace.
    pub fn child(&self, name: &str, namespace: &str) -> Option<&Element> {
        self.children()
            .iter()
            .find(|child| child.is(name, namespace))
    }

    /// Whether the `type` attribute has this value.
    pub fn is_type(&self, type_: &str) -> bool {
        self.type_.as_deref() == Some(type_)
    }

    /// An iq that wants an answer.
    pub fn is_request(&self) -> bool {
        self.kind == Kind::Iq && (self.is_type("get") || self.is_type("set"))
    }

    /// The empty result of a request, addressed back to its sender.
    pub fn result(&self) -> Stanza {
        self.reply_of_type("result")
    }

    /// An answer of the given type, addressed back to the sender, without payload.
    pub fn reply_of_type(&self, type_: &str) -> Stanza {
        let mut reply = Stanza::new(self.kind).with_type(type_);
        reply.id.clone_from(&self.id);
        reply.from.clone_from(&self.to);
        reply.to.clone_from(&self.from);
        reply
    }

    /// Writes the stanza, addressed to `to` unless the stanza itself says to whom.
    ///
    /// No prefixes, and `xmlns="jabber:client"` on the stanza (RFC 7395; lib-jitsi-meet compares
    /// literal attributes).
    pub fn write(&self, to: Option<&Jid>, out: &mut String) {
        out.push('<');
        out.push_str(self.kind.as_str());
        out.push_str(" xmlns=\"");
        out.push_str(ns::CLIENT);
        out.push('"');
        if let Some(to) = self.to.as_ref().or(to) {
            push_attribute(out, "to", to.as_str());
        }
        let tail = self.tail.get_or_init(|| self.write_tail());
        out.push_str(std::str::from_utf8(tail).expect("written as text"));
    }

    /// Upper estimate of the bytes that [`write`](Stanza::write) adds, for queue limits.
    pub fn size(&self) -> usize {
        self.payload.bytes.len() + 256
    }

    fn write_tail(&self) -> Bytes {
        let mut out = String::with_capacity(self.size());
        if let Some(from) = &self.from {
            push_attribute(&mut out, "from", from.as_str());
        }
        let attributes = [
            ("id", &self.id),
            ("type", &self.type_),
            ("xml:lang", &self.lang),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                push_attribute(&mut out, name, value);
            }
        }
        if self.payload.bytes.is_empty() {
            out.push_str("/>");
        } else {
            out.push('>');
            out.push_str(
                std::str::from_utf8(&self.payload.bytes).expect("payloads are validated UTF-8"),
            );
            out.push_str("</");
            out.push_str(self.kind.as_str());
            out.push('>');
        }
        out.into()
    }
}

impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(None, &mut out);
        f.write_str(&out)
    }
}

impl fmt::Debug for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Appends ` name="value"` with `value` escaped.
fn push_attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_children(mut tree: Vec<Element>) -> Payload {
    for child in &mut tree {
        // minidom panics when it writes a character that XML cannot carry.
        if !is_legal(child) {
            *child = without_illegal_characters(child);
        }
    }
    let mut bytes = Vec::with_capacity(256);
    for child in &tree {
        child
            .write_to(&mut bytes)
            .expect("writing a legal element to memory cannot fail");
    }
    Payload {
        bytes: bytes.into(),
        tree: OnceLock::from(tree),
    }
}

/// The child elements of a validated payload.
fn parse_children(payload: &Bytes) -> Vec<Element> {
    if payload.is_empty() {
        return Vec::new();
    }
    let mut document = Vec::with_capacity(payload.len() + 64);
    document.extend_from_slice(b"<stanza xmlns=\"jabber:client\">");
    document.extend_from_slice(payload);
    document.extend_from_slice(b"</stanza>");
    match Element::from_reader(document.as_slice()) {
        Ok(element) => element.children().cloned().collect(),
        // Cannot happen for what the reader let through; an empty list makes every lookup fail.
        Err(_) => {
            tertulia_model::violated("a validated payload parses again");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_literal_namespaces() {
        let ping = Element::bare("ping", ns::PING);
        let iq = Stanza::iq("get", "a&b").with_child(ping);
        let to: Jid = "juliet@localhost/x'y".parse().unwrap();
        let mut out = String::new();
        iq.write(Some(&to), &mut out);
        assert_eq!(
            out,
            "<iq xmlns=\"jabber:client\" to=\"juliet@localhost/x&apos;y\" id=\"a&amp;b\" \
             type=\"get\"><ping xmlns='urn:xmpp:ping'/></iq>"
        );
    }

    #[test]
    fn a_clone_with_another_sender_is_written_anew() {
        let stanza = Stanza::new(Kind::Presence).with_from("a@b/c".parse::<Jid>().unwrap());
        assert!(stanza.to_string().contains("a@b/c"));
        let other = stanza.clone().with_from("d@e/f".parse::<Jid>().unwrap());
        assert!(other.to_string().contains("d@e/f"));
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_left_out() {
        let child = Element::builder("body", ns::CLIENT)
            .append("a\u{0}b\u{fffe}c")
            .build();
        let stanza = Stanza::new(Kind::Message).with_child(child);
        assert!(stanza.to_string().contains(">abc<"), "{stanza}");
    }

    #[test]
    fn children_of_verbatim_bytes() {
        let payload = "<SourceInfo>{}</SourceInfo><x xmlns='http://jabber.org/protocol/muc'/>";
        let stanza = Stanza::from_validated(Kind::Presence, Bytes::from_static(payload.as_bytes()));
        assert!(stanza.child("SourceInfo", ns::CLIENT).is_some());
        assert!(stanza.child("x", ns::MUC).is_some());
        assert!(
            stanza.to_string().contains(payload),
            "relayed byte for byte"
        );
    }
}
