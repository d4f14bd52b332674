use std::fmt;

use minidom::Element;

use crate::{Stanza, WithAttribute, ns, text_element};

/// The defined conditions of stanza errors (RFC 6120 section 8.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    BadRequest,
    Conflict,
    FeatureNotImplemented,
    Forbidden,
    Gone,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RecipientUnavailable,
    Redirect,
    RegistrationRequired,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UndefinedCondition,
    UnexpectedRequest,
}

/// What the sender can do about an error (RFC 6120 section 8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Only a warning.
    Continue,
    /// Retry after changing what was sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

/// Each condition, its name and its usual type: the one table.
const CONDITIONS: [(Condition, &str, ErrorType); 22] = [
    (Condition::BadRequest, "bad-request", ErrorType::Modify),
    (Condition::Conflict, "conflict", ErrorType::Cancel),
    (
        Condition::FeatureNotImplemented,
        "feature-not-implemented",
        ErrorType::Cancel,
    ),
    (Condition::Forbidden, "forbidden", ErrorType::Auth),
    (Condition::Gone, "gone", ErrorType::Cancel),
    (
        Condition::InternalServerError,
        "internal-server-error",
        ErrorType::Cancel,
    ),
    (Condition::ItemNotFound, "item-not-found", ErrorType::Cancel),
    (Condition::JidMalformed, "jid-malformed", ErrorType::Modify),
    (
        Condition::NotAcceptable,
        "not-acceptable",
        ErrorType::Modify,
    ),
    (Condition::NotAllowed, "not-allowed", ErrorType::Cancel),
    (Condition::NotAuthorized, "not-authorized", ErrorType::Auth),
    (
        Condition::PolicyViolation,
        "policy-violation",
        ErrorType::Modify,
    ),
    (
        Condition::RecipientUnavailable,
        "recipient-unavailable",
        ErrorType::Wait,
    ),
    (Condition::Redirect, "redirect", ErrorType::Modify),
    (
        Condition::RegistrationRequired,
        "registration-required",
        ErrorType::Auth,
    ),
    (
        Condition::RemoteServerNotFound,
        "remote-server-not-found",
        ErrorType::Cancel,
    ),
    (
        Condition::RemoteServerTimeout,
        "remote-server-timeout",
        ErrorType::Wait,
    ),
    (
        Condition::ResourceConstraint,
        "resource-constraint",
        ErrorType::Wait,
    ),
    (
        Condition::ServiceUnavailable,
        "service-unavailable",
        ErrorType::Cancel,
    ),
    (
        Condition::SubscriptionRequired,
        "subscription-required",
        ErrorType::Auth,
    ),
    (
        Condition::UndefinedCondition,
        "undefined-condition",
        ErrorType::Modify,
    ),
    (
        Condition::UnexpectedRequest,
        "unexpected-request",
        ErrorType::Wait,
    ),
];

impl Condition {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The error type that usually goes with it.
    pub fn usual_type(self) -> ErrorType {
        self.row().2
    }

    /// The condition of that name.
    pub fn from_name(name: &str) -> Option<Condition> {
        CONDITIONS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    fn row(self) -> &'static (Condition, &'static str, ErrorType) {
        CONDITIONS
            .iter()
            .find(|row| row.0 == self)
            .expect("each condition has its row")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ErrorType {
    /// The value of the `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorType::Auth => "auth",
            ErrorType::Cancel => "cancel",
            ErrorType::Continue => "continue",
            ErrorType::Modify => "modify",
            ErrorType::Wait => "wait",
        }
    }
}

/// Why a stanza was refused, before it is addressed to anybody.
#[derive(Clone, Debug)]
pub struct StanzaError {
    pub condition: Condition,
    pub type_: ErrorType,
    /// For people; English, no full stop.
    pub text: Option<String>,
    /// Conditions of the application, beside the defined one.
    pub extra: Vec<Element>,
}

impl StanzaError {
    /// An error of the condition's usual type.
    pub fn new(condition: Condition) -> StanzaError {
        StanzaError {
            condition,
            type_: condition.usual_type(),
            text: None,
            extra: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_type(self, type_: ErrorType) -> StanzaError {
        StanzaError { type_, ..self }
    }

    #[must_use]
    pub fn with_text(self, text: &str) -> StanzaError {
        StanzaError {
            text: Some(text.to_owned()),
            ..self
        }
    }

    #[must_use]
    pub fn with_extra(mut self, element: Element) -> StanzaError {
        self.extra.push(element);
        self
    }

    /// The `<error/>` child of a stanza.
    pub fn to_element(&self) -> Element {
        Element::builder("error", ns::CLIENT)
            .with("type", self.type_.as_str())
            .append(Element::bare(self.condition.as_str(), ns::STANZA_ERRORS))
            .append_all(
                self.text
                    .as_ref()
                    .map(|text| text_element("text", ns::STANZA_ERRORS, text)),
            )
            .append_all(self.extra.iter().cloned())
            .build()
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> StanzaError {
        StanzaError::new(condition)
    }
}

impl Stanza {
    /// The refusal of this stanza, addressed back to its sender.
    ///
    /// The caller makes sure that this stanza is neither an error nor the result of an iq: those
    /// are never answered (see [`may_be_refused`](Stanza::may_be_refused)).
    pub fn error(&self, error: impl Into<StanzaError>) -> Stanza {
        self.reply_of_type("error")
            .with_child(error.into().to_element())
    }

    /// Whether an error may answer this stanza (RFC 6120 section 8.3.1).
    pub fn may_be_refused(&self) -> bool {
        !self.is_type("error") && !self.is_type("result")
    }

    /// The condition of an error stanza; None for any other stanza.
    pub fn error_condition(&self) -> Option<Condition> {
        if !self.is_type("error") {
            return None;
        }
        let known = self.child("error", ns::CLIENT).and_then(|error| {
            let conditions = error
                .children()
                .filter(|child| child.ns() == ns::STANZA_ERRORS);
            conditions
                .filter_map(|child| Condition::from_name(child.name()))
                .next()
        });
        Some(known.unwrap_or(Condition::UndefinedCondition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn every_condition_has_one_row_and_finds_back() {
        for (condition, name, type_) in CONDITIONS {
            assert_eq!(Condition::from_name(name), Some(condition));
            assert_eq!(condition.as_str(), name);
            assert_eq!(condition.usual_type(), type_);
        }
    }

    #[test]
    fn an_error_goes_back_to_the_sender() {
        let presence = Stanza::new(Kind::Presence)
            .with_from("juliet@localhost/x".parse::<jid::Jid>().unwrap())
            .with_to("tea@conference.localhost/j".parse::<jid::Jid>().unwrap());
        let error = presence.error(StanzaError::new(Condition::Conflict).with_text("taken"));
        assert_eq!(
            error.to_string(),
            "<presence xmlns=\"jabber:client\" to=\"juliet@localhost/x\" \
             from=\"tea@conference.localhost/j\" type=\"error\">\
             <error xmlns='jabber:client' type='cancel'>\
             <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>taken</text></error></presence>"
        );
        assert_eq!(error.error_condition(), Some(Condition::Conflict));
        assert_eq!(presence.error_condition(), None);
        assert!(!error.may_be_refused());
    }
}
