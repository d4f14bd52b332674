//! The results: a line on the terminal, and a row for the table of all benches.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where rows go.
pub(crate) struct Report {
    file: PathBuf,
}

impl Report {
    pub(crate) fn new() -> anyhow::Result<Report> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Report {
            file: folder.join("load.json"),
        })
    }

    /// One ratio, and what it is to be at most.
    pub(crate) fn row(&self, name: &str, ratio: f64, goal: Option<f64>) -> anyhow::Result<()> {
        let goal_text = goal.map_or(String::new(), |goal| format!(" (at most {goal})"));
        println!("=> {name}: {ratio:.4}{goal_text}");
        let line = serde_json::json!({
            "name": name,
            "ratio": (ratio * 10_000.0).round() / 10_000.0,
            "goal": goal,
        });
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file);
        writeln!(file.context("the results")?, "{line}")?;
        Ok(())
    }
}

/// The value in the middle.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that so many of a hundred do not exceed.
pub(crate) fn percentile(values: &mut [u32], percent: usize) -> f64 {
    values.sort_unstable();
    let place = values.len() * percent / 100;
    let place = place.min(values.len().saturating_sub(1));
    values
        .get(place)
        .map_or(f64::NAN, |value| f64::from(*value))
}
