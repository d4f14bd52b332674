//! What forwarding costs with real sockets, as ratios of one run: this server and Debian's Janus,
//! one after the other, driven by the same media, beside the least that the machine needs for
//! the same packets. README.md says how each figure is taken.
//!
//! Usage: `tertulia-bench [--quick] [PART…]`, parts: floor, webinar, meeting, join, idle. Without
//! a part: all.

mod floor;
mod janus;
mod parts;
mod peer;
mod process;
mod report;
mod stage;
mod tertulia;

use anyhow::{Context as _, bail};
use rustix::thread::{CpuSet, sched_setaffinity};
use tertulia_gauge::Speed;

use crate::parts::Run;
use crate::report::Report;

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    arguments.retain(|argument| argument != "--quick");
    if let Some(unknown) = arguments
        .iter()
        .find(|part| !PARTS.contains(&part.as_str()))
    {
        bail!("no such part: {unknown}; there are: {}", PARTS.join(", "));
    }
    let is_wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|one| one == part);
    str0m::crypto::from_feature_flags().install_process_default();
    let cores = std::thread::available_parallelism()?.get();
    // The server has the first core for itself, as far as others let it.
    if cores > 1 {
        let mut set = CpuSet::new();
        set.set(1);
        sched_setaffinity(None, &set).context("the generator's core")?;
    }
    let speed = Speed::measure();
    let mut run = Run::new(Report::new()?, is_quick, cores > 1)?;
    if is_wanted("floor") || is_wanted("webinar") || is_wanted("meeting") {
        run.floors();
    }
    if is_wanted("webinar") {
        run.webinar()?;
    }
    if is_wanted("meeting") {
        run.meeting()?;
    }
    if is_wanted("join") {
        run.joins()?;
    }
    if is_wanted("idle") {
        run.idle()?;
    }
    speed.warn_if_changed();
    Ok(())
}

const PARTS: [&str; 5] = ["floor", "webinar", "meeting", "join", "idle"];
