//! What of a client's presence or message others get: all of it, byte for byte, but for what
//! only the server may say and for names that would disturb.
//!
//! Per relayed stanza: one walk over its bytes, no tree unless something has to be cut.

use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memchr3};
use minidom::Element;
use tertulia_stanza::{Kind, Stanza, WithAttribute, ns, text_element};

/// The children of `stanza` that others get.
pub fn children(stanza: &Stanza, name_chars_max: usize) -> Bytes {
    match scan(stanza.payload(), stanza.kind, name_chars_max) {
        Scan::Clean => stanza.payload().clone(),
        Scan::Suspicious => cut(stanza, name_chars_max),
    }
}

enum Scan {
    Clean,
    Suspicious,
}

/// Whether there can be anything to cut, by names and text alone, at whatever depth they are:
/// where elements end costs more to find out than who they are.
fn scan(payload: &[u8], kind: Kind, name_chars_max: usize) -> Scan {
    for start in memchr_iter(b'<', payload) {
        let tag = payload.get(start + 1..).unwrap_or_default();
        let name = match tag.first() {
            Some(b'/') => continue,
            Some(b'!' | b'?') | None => return Scan::Suspicious,
            Some(_) => local_name(tag),
        };
        let is_clean = match name {
            b"nick" if kind == Kind::Presence => is_clean_name(text(tag), name_chars_max),
            _ => !is_server_only(name),
        };
        if !is_clean {
            return Scan::Suspicious;
        }
    }
    Scan::Clean
}

/// The name at the start of a tag, without its prefix.
fn local_name(tag: &[u8]) -> &[u8] {
    let (mut start, mut end) = (0, tag.len());
    for (at, byte) in tag.iter().enumerate() {
        match byte {
            b':' => start = at + 1,
            b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>' => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    tag.get(start..end).unwrap_or_default()
}

/// What follows a tag, up to the next one. Where an attribute has a `>`, so has this.
fn text(tag: &[u8]) -> &[u8] {
    let end = memchr(b'<', tag).unwrap_or(tag.len());
    let tag = tag.get(..end).unwrap_or_default();
    memchr(b'>', tag).map_or(tag, |end| tag.get(end + 1..).unwrap_or_default())
}

/// Copies what may pass, with the help of the tree.
fn cut(stanza: &Stanza, name_chars_max: usize) -> Bytes {
    let payload = stanza.payload();
    let ranges: Option<Vec<Range<usize>>> = Children::new(payload).collect();
    let tree = stanza.children();
    let Some(ranges) = ranges.filter(|ranges| ranges.len() == tree.len()) else {
        // Bytes that the walk does not understand (a CDATA section): written anew.
        let kept = tree.iter().filter(|child| may_pass(stanza.kind, child));
        let kept = kept.map(|child| cleaned(stanza.kind, child, name_chars_max));
        let kept: Vec<Element> = kept.collect();
        return Stanza::new(stanza.kind)
            .with_children(kept)
            .payload()
            .clone();
    };
    let mut bytes = Vec::with_capacity(payload.len());
    for (range, child) in ranges.into_iter().zip(tree) {
        if !may_pass(stanza.kind, child) {
            continue;
        }
        let clean = cleaned(stanza.kind, child, name_chars_max);
        if clean == *child {
            bytes.extend_from_slice(payload.get(range).unwrap_or_default());
        } else {
            bytes.extend_from_slice(Stanza::new(stanza.kind).with_child(clean).payload());
        }
    }
    bytes.into()
}

/// Whether a child with this local name may be the server's own, or is passed on in another form.
/// All others always pass. (A match: each child of each presence is asked for.)
fn is_server_only(local_name: &[u8]) -> bool {
    matches!(
        local_name,
        b"x" | b"nick"
            | b"identity"
            | b"permissions"
            | b"display-name"
            | b"billingid"
            | b"machine-uid"
            | b"conference-properties"
            | b"bridgeNotAvailable"
            | b"delay"
            | b"addresses"
            | b"reply"
    )
}

fn may_pass(kind: Kind, child: &Element) -> bool {
    match child.name() {
        // Where somebody stands in the room is said by the room; entries are for the room only.
        "x" => ![ns::MUC_USER, ns::MUC, ns::OLD_DELAY].contains(&child.ns().as_str()),
        // Names come from presence, so that nobody writes under another's name.
        "nick" => kind == Kind::Presence || !child.has_ns(ns::NICK),
        "display-name" => kind == Kind::Presence,
        // When something was said and by whom, the room says.
        "delay" | "addresses" => kind != Kind::Message,
        "reply" => true,
        name => !is_server_only(name.as_bytes()),
    }
}

/// A display name cut and freed of what would disturb others' screens; a reply with its namespace.
fn cleaned(kind: Kind, child: &Element, chars_max: usize) -> Element {
    if kind == Kind::Message && child.is("reply", ns::CLIENT) {
        // COMPAT(lib-jitsi-meet): it sends replies without namespace and reads them with it.
        return Element::builder("reply", ns::REPLY)
            .with("to", child.attr("to"))
            .with("id", child.attr("id"))
            .build();
    }
    if kind != Kind::Presence || !child.is("nick", ns::NICK) {
        return child.clone();
    }
    let name = child.text();
    let clean = clean_name(&name, chars_max);
    if clean == name {
        child.clone()
    } else {
        text_element("nick", ns::NICK, &clean)
    }
}

/// Conservative: what needs a closer look is not clean.
fn is_clean_name(content: &[u8], chars_max: usize) -> bool {
    if memchr3(b'&', b'<', b'>', content).is_some() {
        return false;
    }
    std::str::from_utf8(content)
        .is_ok_and(|name| !name.chars().any(disturbs) && name.chars().count() <= chars_max)
}

/// A name for people, cut and freed of what would disturb others' screens.
pub fn clean_name(name: &str, chars_max: usize) -> String {
    let clean = name.chars().filter(|c| !disturbs(*c));
    clean.take(chars_max).collect()
}

/// Control characters, and those that turn the direction of the text around them.
pub(crate) fn disturbs(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Walks over the elements on the top level of well-formed bytes: where each is. Yields `None`
/// for an element where they are anything but tags and text.
struct Children<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Children<'a> {
    fn new(payload: &'a [u8]) -> Children<'a> {
        Children { payload, at: 0 }
    }

    fn next_byte(&self, byte: u8, from: usize) -> Option<usize> {
        Some(from + memchr(byte, self.payload.get(from..)?)?)
    }

    /// The end of the tag that starts at `start` (behind its `>`), and whether it is empty.
    fn tag_end(&self, start: usize) -> Option<(usize, bool)> {
        let mut at = start;
        loop {
            at += memchr3(b'>', b'"', b'\'', self.payload.get(at..)?)?;
            match *self.payload.get(at)? {
                b'>' => return Some((at + 1, *self.payload.get(at - 1)? == b'/')),
                quote => at = self.next_byte(quote, at + 1)? + 1,
            }
        }
    }

    fn child(&self, start: usize) -> Option<Range<usize>> {
        let (mut at, is_empty) = self.tag_end(start)?;
        let mut depth = usize::from(!is_empty);
        while depth > 0 {
            let tag = self.next_byte(b'<', at)?;
            at = match *self.payload.get(tag + 1)? {
                b'!' | b'?' => return None,
                b'/' => {
                    depth -= 1;
                    self.next_byte(b'>', tag)? + 1
                }
                _ => {
                    let (end, is_empty) = self.tag_end(tag)?;
                    depth += usize::from(!is_empty);
                    end
                }
            };
        }
        Some(start..at)
    }
}

impl Iterator for Children<'_> {
    type Item = Option<Range<usize>>;

    fn next(&mut self) -> Option<Option<Range<usize>>> {
        let start = self.next_byte(b'<', self.at)?;
        let is_tag = !matches!(self.payload.get(start + 1), Some(b'!' | b'?' | b'/') | None);
        let child = if is_tag { self.child(start) } else { None };
        self.at = child.as_ref().map_or(self.payload.len(), |child| child.end);
        Some(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, payload: &str, expected: &str) {
        let stanza = Stanza::from_validated(kind, Bytes::copy_from_slice(payload.as_bytes()));
        let got = children(&stanza, 8);
        let got = std::str::from_utf8(&got).unwrap().replace('\'', "\"");
        assert_eq!(got, expected.replace('\'', "\""));
    }

    #[test]
    fn what_is_harmless_passes_byte_for_byte() {
        let presence = "<stats-id>A-b</stats-id><c a='>' xmlns='http://jabber.org/protocol/caps'/>\n\
             <SourceInfo >{&quot;a&quot;:1}</SourceInfo><p:q xmlns:p='u'><p:q/><b>x</b></p:q >\
             <nick xmlns='http://jabber.org/protocol/nick'>Zoë</nick>\
             <jitsi_participant_e2ee.enabled>true</jitsi_participant_e2ee.enabled>\
             <jitsi_participant_e2ee.idKey.curve25519>k+/=</jitsi_participant_e2ee.idKey.curve25519>";
        check(Kind::Presence, presence, presence);
        check(Kind::Presence, "", "");
        let nested = "<a><identity/><b><nick c='>'>\u{202e}</nick></b></a><p:q xmlns:p='u'/>";
        check(Kind::Presence, nested, nested);
        check(Kind::Message, "<body>&lt;x</body>", "<body>&lt;x</body>");
    }

    #[test]
    fn what_only_the_server_may_say_is_cut() {
        let (a, b) = ("<a>1</a>", "<b c='/'/>");
        for forged in [
            "<x xmlns='http://jabber.org/protocol/muc#user'><item role='moderator'/></x>",
            "<x xmlns='http://jabber.org/protocol/muc&#35;user'/>",
            "<p:x xmlns:p='http://jabber.org/protocol/muc#user'/>",
            "<x xmlns='http://jabber.org/protocol/muc'><billingid>m</billingid></x>",
            "<identity><user><name>Boss</name></user></identity>",
            "<q:identity xmlns:q='jabber:client'/>",
            "<permissions xmlns='http://jitsi.org/jitmeet'/>",
            "<machine-uid>m</machine-uid>",
        ] {
            check(
                Kind::Presence,
                &format!("{a}{forged}{b}"),
                &format!("{a}{b}"),
            );
            check(Kind::Presence, forged, "");
        }
        let other = "<x xmlns='vcard-temp:x:update'><photo/></x>";
        check(Kind::Presence, other, other);
        for forged in [
            "<delay xmlns='urn:xmpp:delay' stamp='2000-01-01T00:00:00Z'/>",
            "<x xmlns='jabber:x:delay' stamp='20000101T00:00:00'/>",
            "<addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom'/></addresses>",
            "<display-name xmlns='http://jitsi.org/protocol/display-name'>Boss</display-name>",
        ] {
            check(
                Kind::Message,
                &format!("{a}{forged}{b}"),
                &format!("{a}{b}"),
            );
        }
        let nick = "<nick xmlns='http://jabber.org/protocol/nick'>Boss</nick>";
        check(Kind::Message, &format!("{a}{nick}"), a);
    }

    #[test]
    fn replies_get_their_namespace() {
        let reply = "<reply xmlns='urn:xmpp:reply:0' to='m1'/>";
        check(
            Kind::Message,
            "<a/><reply to='m1'/>",
            &format!("<a/>{reply}"),
        );
        check(Kind::Message, reply, reply);
        check(Kind::Presence, "<reply to='m1'/>", "<reply to='m1'/>");
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        let nick =
            |name: &str| format!("<nick xmlns='http://jabber.org/protocol/nick'>{name}</nick>");
        for (name, expected) in [
            ("Ann &amp; Bo", "Ann &amp; Bo"),
            ("1234567890", "12345678"),
            ("\u{202e}evil\u{2066}", "evil"),
            ("a&#10;b", "ab"),
            ("a<![CDATA[\u{202e}]]>b", "ab"),
        ] {
            check(Kind::Presence, &nick(name), &nick(expected));
        }
    }

    #[test]
    fn attributes_do_not_hide_a_name() {
        let nick = |name: &str| {
            format!("<p:nick a='/>' xmlns:p='http://jabber.org/protocol/nick'>{name}</p:nick>")
        };
        let clean = "<nick xmlns=\"http://jabber.org/protocol/nick\">evil</nick>";
        check(Kind::Presence, &nick("\u{202e}evil"), clean);
        check(Kind::Presence, &nick("evil"), &nick("evil"));
    }

    #[test]
    fn a_cdata_section_does_not_hide_anything() {
        let payload = "<a><![CDATA[<b>]]></a><identity/><c>1</c>";
        let expected = "<a xmlns='jabber:client'>&lt;b&gt;</a><c xmlns='jabber:client'>1</c>";
        check(Kind::Presence, payload, expected);
    }
}
