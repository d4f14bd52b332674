use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The only source of randomness of a state machine: a ChaCha20 stream from a seed.
///
/// In production the seed comes from the operating system, in the simulator from the run's seed.
/// Good enough for secrets (ICE passwords, resumption ids) and repeatable in tests.
pub struct Random(ChaCha20Rng);

impl Random {
    /// A stream that depends on nothing but `seed`.
    pub fn from_seed(seed: [u8; 32]) -> Random {
        Random(ChaCha20Rng::from_seed(seed))
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// A seed for a machine that this one creates.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        seed
    }

    /// `length` characters of `[a-z0-9]`, about 5 bits each.
    pub fn token(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        (0..length)
            .map(|_| char::from(ALPHABET[(self.u32() % 32) as usize]))
            .collect()
    }

    /// A version 4 UUID in its usual spelling (RFC 9562).
    pub fn uuid(&mut self) -> String {
        let mut b = [0u8; 16];
        self.fill(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_stream() {
        let (mut a, mut b) = (Random::from_seed([7; 32]), Random::from_seed([7; 32]));
        assert_eq!(a.uuid(), b.uuid());
        assert_eq!(a.token(24), b.token(24));
        assert_ne!(a.uuid(), a.uuid());
    }

    #[test]
    fn uuids_have_the_usual_shape() {
        let uuid = Random::from_seed([1; 32]).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(uuid[..8].bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
