use std::fmt;
use std::str::FromStr;

/// A certificate fingerprint as in SDP (RFC 8122): hash name and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Lower-case, e.g. `sha-256`.
    pub hash: String,
    pub bytes: Vec<u8>,
}

/// A fingerprint that is not pairs of hex digits joined by colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is \"<hash> AA:BB:…\" with 16 to 64 bytes")]
pub struct InvalidFingerprint;

impl Fingerprint {
    /// Reads the value of a `<fingerprint/>` element, `AA:BB:…`, for the given hash.
    pub fn parse(hash: &str, value: &str) -> Result<Fingerprint, InvalidFingerprint> {
        let bytes = value
            .trim()
            .split(':')
            .map(|pair| {
                let is_pair = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
                if is_pair {
                    u8::from_str_radix(pair, 16).ok()
                } else {
                    None
                }
            })
            .collect::<Option<Vec<u8>>>()
            .ok_or(InvalidFingerprint)?;
        if !(16..=64).contains(&bytes.len()) {
            return Err(InvalidFingerprint);
        }
        Ok(Fingerprint {
            hash: hash.trim().to_ascii_lowercase(),
            bytes,
        })
    }

    /// `AA:BB:…`
    pub fn value(&self) -> String {
        let pairs: Vec<String> = self.bytes.iter().map(|b| format!("{b:02X}")).collect();
        pairs.join(":")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hash, self.value())
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, InvalidFingerprint> {
        let (hash, value) = text.split_once(' ').ok_or(InvalidFingerprint)?;
        Fingerprint::parse(hash, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let text = format!("sha-256 {}", ["0A"; 32].join(":"));
        assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
        for bad in [
            "",
            "sha-256",
            "sha-256 zz",
            "sha-256 +A:0B",
            "sha-256 0A:0B",
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
