//! The one place that reads clocks and the system's randomness; machines are handed both.

use std::time::{Duration, Instant};

use chrono::Utc;
use rustix::time::{ClockId, clock_gettime};
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

/// Processor time that the calling thread has used so far.
pub(crate) fn thread_time() -> Duration {
    used(ClockId::ThreadCPUTime)
}

/// Processor time that all threads of this process have used so far.
pub(crate) fn process_time() -> Duration {
    used(ClockId::ProcessCPUTime)
}

fn used(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}
