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
