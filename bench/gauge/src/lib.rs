//! What all benches measure with: processor time, the machine's speed, and rows for their table.

use std::fs::{OpenOptions, create_dir_all};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread, in nanoseconds: what others do on the same core does not count.
pub fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The value in the middle; NaN if there is none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How fast the machine was when a bench began. Where others use it too, that changes, and figures
/// that were not taken beside each other cannot be compared.
pub struct Speed {
    step_ns: f64,
}

impl Speed {
    pub fn measure() -> Speed {
        let mut rounds: Vec<f64> = (0..5).map(|_| step_ns()).collect();
        Speed {
            step_ns: median(&mut rounds),
        }
    }

    /// Says so if it is another one now.
    pub fn warn_if_changed(&self) {
        let drift = (Speed::measure().step_ns / self.step_ns - 1.0).abs();
        if drift > DRIFT_MAX {
            println!(
                "the machine changed its speed by {:.0} %: run again",
                drift * 100.0
            );
        }
    }
}

/// Nanoseconds per step of a loop that needs nothing but the processor.
fn step_ns() -> f64 {
    let start = cpu_ns();
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..STEPS {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    std::hint::black_box(x);
    (cpu_ns() - start) as f64 / f64::from(STEPS)
}

/// The rows of one bench for the table of all: `target/bench/NAME.json`.
pub struct Rows {
    file: PathBuf,
}

impl Rows {
    /// # Errors
    ///
    /// If there is no place for them.
    pub fn new(name: &str) -> io::Result<Rows> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        create_dir_all(&folder)?;
        Ok(Rows {
            file: folder.join(format!("{name}.json")),
        })
    }

    /// Appends a ratio, and what it is to be at most.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn add(&self, name: &str, ratio: f64, goal: Option<f64>) -> io::Result<()> {
        let ratio = (ratio * 10_000.0).round() / 10_000.0;
        let line = serde_json::json!({ "name": name, "ratio": ratio, "goal": goal });
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file);
        writeln!(file?, "{line}")
    }
}

const STEPS: u32 = 2_000_000;
const DRIFT_MAX: f64 = 0.05;
