use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use tertulia_model::jid::FullJid;
use tertulia_model::{Now, Random};

/// Seals and opens the ids of XEP-0198: a random nonce, then JID and issue time under AES-256-GCM.
///
/// Who holds such a token was that JID. It says nothing about whether the session still lives,
/// nor for how long after its issue the name may be restored; that is the caller's rule.
pub struct Sealer {
    key: LessSafeKey,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub jid: FullJid,
    pub issued: DateTime<Utc>,
}

/// Binds a token to its purpose: no other use of the same key makes a token that opens here.
const PURPOSE: &[u8] = b"tertulia resumption 1";

/// Longer texts are no tokens of ours (a JID has at most 3 × 1023 + 2 bytes).
const TOKEN_CHARS_MAX: usize = 4_300;

impl Sealer {
    /// A sealer under the key of the data folder.
    pub fn new(key: [u8; 32]) -> Sealer {
        let key = UnboundKey::new(&AES_256_GCM, &key).expect("AES-256 takes 32 bytes");
        Sealer {
            key: LessSafeKey::new(key),
        }
    }

    /// A new token, characters `[A-Za-z0-9_-]`.
    pub fn seal(&self, jid: &FullJid, now: Now, random: &mut Random) -> String {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = now.wall.timestamp().to_be_bytes().to_vec();
        sealed.extend_from_slice(jid.as_str().as_bytes());
        let aad = Aad::from(PURPOSE);
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .expect("a JID is far below what one key may seal at once");
        let mut token = nonce.to_vec();
        token.append(&mut sealed);
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// Reads a token; None if it was not made with this key.
    pub fn open(&self, token: &str) -> Option<Restored> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = token.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let open = self
            .key
            .open_in_place(nonce, Aad::from(PURPOSE), &mut sealed)
            .ok()?;
        let (issued, jid) = open.split_first_chunk::<8>()?;
        Some(Restored {
            jid: std::str::from_utf8(jid).ok()?.parse().ok()?,
            issued: DateTime::from_timestamp(i64::from_be_bytes(*issued), 0)?,
        })
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_token_restores_what_was_sealed() {
        let now = Now {
            mono: Instant::now(),
            wall: DateTime::from_timestamp(1_790_000_000, 0).unwrap(),
        };
        let jid: FullJid = "1a2b3c4d-0000@localhost/xyz".parse().unwrap();
        let mut random = Random::from_seed([3; 32]);
        let sealer = Sealer::new([1; 32]);
        let token = sealer.seal(&jid, now, &mut random);
        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        );
        assert_eq!(
            sealer.open(&token),
            Some(Restored {
                jid: jid.clone(),
                issued: now.wall
            })
        );
        assert_ne!(
            sealer.seal(&jid, now, &mut random),
            token,
            "each token is unique"
        );
        assert_eq!(Sealer::new([2; 32]).open(&token), None, "another key");
    }

    #[test]
    fn what_is_not_ours_does_not_open() {
        let now = Now {
            mono: Instant::now(),
            wall: DateTime::from_timestamp(0, 0).unwrap(),
        };
        let sealer = Sealer::new([1; 32]);
        let jid: FullJid = "a@localhost/b".parse().unwrap();
        let token = sealer.seal(&jid, now, &mut Random::from_seed([3; 32]));
        for at in 0..token.len() {
            let mut bad = token.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                sealer.open(&String::from_utf8(bad).unwrap()),
                None,
                "changed at {at}"
            );
            assert_eq!(sealer.open(&token[..at]), None, "cut at {at}");
        }
        for bad in ["", "====", "ü", &"A".repeat(5_000)] {
            assert_eq!(sealer.open(bad), None);
        }
    }
}
