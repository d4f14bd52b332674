//! Long-term credentials (RFC 8489, 9.2) that say themselves how long they are good.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use stun_types::attribute::{ErrorCode, MessageIntegrity, Nonce, Realm, Username};
use stun_types::message::{IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message};
use stun_types::prelude::AttributeStaticType;
use tertulia_model::{Now, SessionId, TurnUser};

use crate::Config;

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// All of it, as it was shown.
    pub(crate) username: String,
    /// Of our sessions; None for those of the shared secret.
    pub(crate) session: Option<SessionId>,
    pub(crate) expires: DateTime<Utc>,
}

impl User {
    /// Whose quota it is: one who fetches credentials again is still the same.
    pub(crate) fn name(&self) -> &str {
        TurnUser::parse(&self.username).map_or(&self.username, |user| user.name)
    }
}

/// Finds out whose request it is. The error is the code of the answer.
pub(crate) fn authenticate(
    config: &Config,
    nonces: &Nonces,
    sessions: &BTreeSet<SessionId>,
    now: Now,
    from: IpAddr,
    request: &Message<'_>,
) -> Result<(User, IntegrityKey), u16> {
    if !request.has_attribute(MessageIntegrity::TYPE) {
        return Err(ErrorCode::UNAUTHORIZED);
    }
    let username = request.attribute::<Username>();
    let realm = request.attribute::<Realm>();
    let nonce = request.attribute::<Nonce>();
    let (Ok(username), Ok(realm), Ok(nonce)) = (username, realm, nonce) else {
        return Err(ErrorCode::BAD_REQUEST);
    };
    if !nonces.is_good(nonce.nonce(), from, now.wall) {
        return Err(ErrorCode::STALE_NONCE);
    }
    let username = username.username();
    let user = TurnUser::parse(username).ok_or(ErrorCode::UNAUTHORIZED)?;
    if realm.realm() != config.realm || user.expires <= now.wall {
        return Err(ErrorCode::UNAUTHORIZED);
    }
    // A number is a session's, and only sessions that live have one.
    let session = user.session().filter(|session| sessions.contains(session));
    let secret = match session {
        Some(_) => &config.secret,
        None => config
            .shared_secret
            .as_ref()
            .ok_or(ErrorCode::UNAUTHORIZED)?,
    };
    let credentials = LongTermKeyCredentials::new(
        username.to_owned(),
        secret.password(username),
        config.realm.clone(),
    );
    let key = credentials.make_key(IntegrityAlgorithm::Sha1);
    match request.validate_integrity_with_key(&key) {
        Ok(IntegrityAlgorithm::Sha1) => {
            let user = User {
                username: username.to_owned(),
                session,
                expires: user.expires,
            };
            Ok((user, key))
        }
        _ => Err(ErrorCode::UNAUTHORIZED),
    }
}

/// Makes nonces that need not be remembered: a time, and a keyed hash of it and of whom it is for.
pub(crate) struct Nonces {
    key: hmac::Key,
    lifetime: TimeDelta,
}

impl Nonces {
    pub(crate) fn new(key: [u8; 32], lifetime: std::time::Duration) -> Nonces {
        Nonces {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            lifetime: TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX),
        }
    }

    pub(crate) fn draw(&self, from: IpAddr, now: DateTime<Utc>) -> String {
        let until = now.checked_add_signed(self.lifetime).unwrap_or(now);
        self.nonce(from, until.timestamp())
    }

    fn is_good(&self, nonce: &str, from: IpAddr, now: DateTime<Utc>) -> bool {
        let until = nonce
            .split_once('-')
            .map(|(until, _)| i64::from_str_radix(until, 16));
        let Some(Ok(until)) = until else {
            return false;
        };
        until > now.timestamp() && self.nonce(from, until) == nonce
    }

    fn nonce(&self, from: IpAddr, until: i64) -> String {
        let tag = hmac::sign(&self.key, format!("{until:x} {from}").as_bytes());
        let tag = tag.as_ref().iter().take(12);
        let tag: String = tag.map(|byte| format!("{byte:02x}")).collect();
        format!("{until:x}-{tag}")
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces(..)")
    }
}
