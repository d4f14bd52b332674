//! The frames of RFC 7395 that are no stanzas, as Jitsi's clients want them.

use minidom::ElementBuilder;
use tertulia_stanza::{Element, WithAttribute, ns, text_element};

/// Close codes of WebSockets (RFC 6455 section 7.4.1).
pub mod close_code {
    /// Both sides are done.
    pub const NORMAL: u16 = 1000;
    /// The page is gone (from a client), or the server ends its meetings (from us).
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke a rule.
    pub const POLICY_VIOLATION: u16 = 1008;
    /// A message was too big.
    pub const TOO_BIG: u16 = 1009;
    /// The server restarts; the session may be resumed.
    pub const RESTART: u16 = 1012;
    /// Nothing was heard for too long, or the server is full; come again.
    pub const TRY_AGAIN: u16 = 1013;
}

/// COMPAT(strophe.js 1.5): recognised only in exactly this spelling.
pub(crate) const CLOSE: &str = "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />";

/// The element as one frame.
pub(crate) fn write(element: &Element) -> String {
    let mut bytes = Vec::with_capacity(256);
    element
        .write_to(&mut bytes)
        .expect("our own elements are legal");
    String::from_utf8(bytes).expect("elements are written as UTF-8")
}

/// An element without namespace prefix, attributes to be added.
pub(crate) fn element(name: &str, namespace: &str) -> ElementBuilder {
    Element::builder(name, namespace)
}

/// `<stream:…>`, declared in its own frame.
pub(crate) fn stream_element(name: &str) -> ElementBuilder {
    Element::builder(name, ns::STREAM)
        .prefix(Some("stream".to_owned()), ns::STREAM)
        .expect("the first prefix of an element is no duplicate")
}

/// The server's `<open/>`. Jitsi's client wants the frame to begin with `<open `.
pub(crate) fn open_from(domain: &str, id: &str) -> String {
    let open = element("open", ns::FRAMING)
        .with("from", domain)
        .with("id", id)
        .with("version", "1.0")
        .build();
    write(&open)
}

/// The client's `<open/>`.
pub(crate) fn open_to(domain: &str) -> String {
    open(Some(domain), "1.0")
}

/// A client's `<open/>` as it says it.
pub(crate) fn open(to: Option<&str>, version: &str) -> String {
    write(
        &element("open", ns::FRAMING)
            .with("to", to)
            .with("version", version)
            .build(),
    )
}

/// What is offered before log-in.
pub(crate) fn features_before_login() -> String {
    let mechanism = element("mechanism", ns::SASL).append("ANONYMOUS");
    let mechanisms = element("mechanisms", ns::SASL).append(mechanism);
    write(&stream_element("features").append(mechanisms).build())
}

/// What is offered after log-in. No `<session/>`: Jitsi's client would spend a round trip on it.
pub(crate) fn features_after_login(can_resume: bool) -> String {
    let features = stream_element("features")
        .append(Element::bare("bind", ns::BIND))
        .append_all(can_resume.then(|| Element::bare("sm", ns::SM)));
    write(&features.build())
}

/// A failed log-in, with a text for people.
///
/// COMPAT(lib-jitsi-meet): it looks for the text in the raw frame, and finds it only behind
/// `<not-allowed/>` and without attributes, so without the language that RFC 6120 wants.
pub(crate) fn login_failure(condition: &str, text: &str) -> String {
    let failure = element("failure", ns::SASL)
        .append(Element::bare(condition, ns::SASL))
        .append(text_element("text", ns::SASL, text));
    write(&failure.build())
}

/// `<failed/>` of stream management.
pub(crate) fn failed(condition: &str) -> String {
    write(
        &element("failed", ns::SM)
            .append(Element::bare(condition, ns::STANZA_ERRORS))
            .build(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_jitsis_client_wants_them() {
        assert!(open_from("localhost", "x").starts_with("<open "));
        assert_eq!(
            features_before_login(),
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>\
             <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>"
        );
        assert_eq!(
            features_after_login(true),
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>\
             </stream:features>"
        );
        assert_eq!(
            features_after_login(false),
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
        );
        assert_eq!(
            login_failure("not-allowed", "token expired"),
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <not-allowed/><text>token expired</text></failure>"
        );
        assert_eq!(
            failed("item-not-found"),
            "<failed xmlns='urn:xmpp:sm:3'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
    }
}
