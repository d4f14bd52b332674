//! The one place that reads clocks and the system's randomness; machines are handed both.

use std::time::Instant;

use chrono::Utc;
use tertulia_model::Now;

/// One reading of both clocks.
pub(crate) fn now() -> Now {
    Now {
        mono: Instant::now(),
        wall: Utc::now(),
    }
}

/// 32 bytes from the operating system.
pub(crate) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).expect("the operating system gives random bytes");
    seed
}
