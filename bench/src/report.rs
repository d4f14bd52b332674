//! The results: a line on the terminal, and a row for the table of all benches.

use anyhow::Context as _;
use tertulia_gauge::Rows;

/// Where results go.
pub(crate) struct Report {
    rows: Rows,
}

impl Report {
    pub(crate) fn new() -> anyhow::Result<Report> {
        let rows = Rows::new("load").context("the results")?;
        Ok(Report { rows })
    }

    /// One ratio, and what it is to be at most.
    pub(crate) fn row(&self, name: &str, ratio: f64, goal: Option<f64>) -> anyhow::Result<()> {
        let goal_text = goal.map_or(String::new(), |goal| format!(" (at most {goal})"));
        println!("=> {name}: {ratio:.4}{goal_text}");
        self.rows.add(name, ratio, goal).context("the results")
    }
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
