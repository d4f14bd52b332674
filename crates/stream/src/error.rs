use std::fmt;

use tertulia_stanza::{Element, ns, text_element};

use crate::framing;

/// The conditions of stream errors that Tertulia sends (RFC 6120 section 4.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamCondition {
    BadFormat,
    ConnectionTimeout,
    HostUnknown,
    ImproperAddressing,
    InvalidFrom,
    InvalidNamespace,
    InvalidXml,
    NotAuthorized,
    NotWellFormed,
    PolicyViolation,
    ResourceConstraint,
    RestrictedXml,
    SystemShutdown,
    UndefinedCondition,
    UnsupportedStanzaType,
    UnsupportedVersion,
}

impl StreamCondition {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamCondition::BadFormat => "bad-format",
            StreamCondition::ConnectionTimeout => "connection-timeout",
            StreamCondition::HostUnknown => "host-unknown",
            StreamCondition::ImproperAddressing => "improper-addressing",
            StreamCondition::InvalidFrom => "invalid-from",
            StreamCondition::InvalidNamespace => "invalid-namespace",
            StreamCondition::InvalidXml => "invalid-xml",
            StreamCondition::NotAuthorized => "not-authorized",
            StreamCondition::NotWellFormed => "not-well-formed",
            StreamCondition::PolicyViolation => "policy-violation",
            StreamCondition::ResourceConstraint => "resource-constraint",
            StreamCondition::RestrictedXml => "restricted-xml",
            StreamCondition::SystemShutdown => "system-shutdown",
            StreamCondition::UndefinedCondition => "undefined-condition",
            StreamCondition::UnsupportedStanzaType => "unsupported-stanza-type",
            StreamCondition::UnsupportedVersion => "unsupported-version",
        }
    }
}

/// Why a stream cannot go on. It ends the connection, and the session with it.
#[derive(Clone, Debug)]
pub struct StreamError {
    pub condition: StreamCondition,
    /// For people; English, no full stop.
    pub text: &'static str,
    /// A condition of an extension, beside the defined one.
    pub extra: Option<Box<Element>>,
}

impl StreamError {
    pub(crate) fn new(condition: StreamCondition, text: &'static str) -> StreamError {
        StreamError {
            condition,
            text,
            extra: None,
        }
    }

    /// The frame that tells the peer.
    pub(crate) fn to_frame(&self) -> String {
        let error = framing::stream_element("error")
            .append(Element::bare(self.condition.as_str(), ns::STREAM_ERRORS))
            .append(text_element("text", ns::STREAM_ERRORS, self.text))
            .append_all(self.extra.as_deref().cloned())
            .build();
        framing::write(&error)
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.condition.as_str(), self.text)
    }
}
