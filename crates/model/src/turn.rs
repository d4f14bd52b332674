//! Credentials for the TURN server: what is handed out on one side and checked on the other.
//!
//! The form is that of "A REST API for access to TURN services" (draft-uberti-behave-turn-rest),
//! which XEP-0215 servers and other TURN servers use: the user name says until when and for whom,
//! the password is a keyed hash of it. Nothing has to be remembered.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use crate::SessionId;

/// What passwords are made from.
#[derive(Clone)]
pub struct TurnSecret(hmac::Key);

/// What a client shows to the TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnCredentials {
    pub username: String,
    pub password: String,
    pub expires: DateTime<Utc>,
}

/// A user name taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnUser<'a> {
    pub expires: DateTime<Utc>,
    /// Whom it was given to.
    pub name: &'a str,
}

impl TurnSecret {
    /// A secret of any length; a text is taken as it is written.
    pub fn new(secret: &[u8]) -> TurnSecret {
        TurnSecret(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret))
    }

    /// What this session may use until then.
    pub fn credentials(&self, session: SessionId, expires: DateTime<Utc>) -> TurnCredentials {
        let username = format!("{}:{}", expires.timestamp(), session.0);
        TurnCredentials {
            password: self.password(&username),
            username,
            expires,
        }
    }

    /// The password that belongs to a user name.
    pub fn password(&self, username: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, username.as_bytes()))
    }
}

impl fmt::Debug for TurnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnSecret(..)")
    }
}

impl<'a> TurnUser<'a> {
    /// `expiry:name`; None if it has another form.
    pub fn parse(username: &'a str) -> Option<TurnUser<'a>> {
        let (expires, name) = username.split_once(':')?;
        let expires = DateTime::from_timestamp(expires.parse().ok()?, 0)?;
        (!name.is_empty()).then_some(TurnUser { expires, name })
    }

    /// The session that it was given to; None if it is not ours.
    pub fn session(&self) -> Option<SessionId> {
        self.name.parse().ok().map(SessionId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_other_turn_servers() {
        // echo -n 1433895918:turntest | openssl dgst -sha1 -hmac north -binary | base64
        let password = TurnSecret::new(b"north").password("1433895918:turntest");
        assert_eq!(password.len(), 28);
        assert_eq!(password, "hjSImASLtNgbcpR/tHipV+Yw98Y=");
    }

    #[test]
    fn what_is_handed_out_can_be_taken_apart() {
        let expires = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let secret = TurnSecret::new(&[7; 32]);
        let credentials = secret.credentials(SessionId(42), expires);
        assert_eq!(credentials.username, "1790000000:42");
        assert_eq!(secret.password(&credentials.username), credentials.password);
        let user = TurnUser::parse(&credentials.username).unwrap();
        assert_eq!(
            (user.expires, user.session()),
            (expires, Some(SessionId(42)))
        );
        let foreign = TurnUser::parse("1790000000:a:b").unwrap();
        assert_eq!((foreign.name, foreign.session()), ("a:b", None));
        for bad in [
            "",
            "42",
            ":42",
            "x:42",
            "1790000000:",
            "99999999999999999999:1",
        ] {
            assert_eq!(TurnUser::parse(bad), None, "{bad}");
        }
    }
}
