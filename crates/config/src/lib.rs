//! File, environment and command line to one checked, immutable value.
//!
//! Every key stands in one table (`keys.rs`, with those of the bridge in `bridge.rs` and of TURN in
//! `turn.rs`) with its default and its sentence; `config.example.toml` is that table printed. Later
//! layers win: default, file, environment (`TERTULIA_BRIDGE__WORKERS=2` for `bridge.workers`),
//! command line. All mistakes of all layers are reported together. Values are read from the TOML
//! tree directly and not through serde's derives, which give up at the first mistake.

mod bridge;
mod example;
mod key;
mod keys;
mod meeting;
mod mistake;
mod reader;
mod settings;
mod turn;
mod units;
mod values;

pub use example::example;
pub use mistake::{Mistake, Mistakes};
pub use settings::{LogFormat, LogSettings, Settings};

use std::path::{Path, PathBuf};

/// Where values come from, besides the defaults.
#[derive(Debug, Default)]
pub struct Sources {
    /// A configuration file. None is looked for.
    pub file: Option<PathBuf>,
    /// The environment; only `TERTULIA_…` matters.
    pub environment: Vec<(String, String)>,
    /// From the command line.
    pub overrides: Vec<Override>,
}

/// A key that is set on the command line.
#[derive(Debug)]
pub struct Override {
    /// The flag, for messages.
    pub flag: &'static str,
    /// The key.
    pub path: &'static str,
    pub value: OverrideValue,
}

/// What a flag sets a key to.
#[derive(Debug)]
pub enum OverrideValue {
    Text(String),
    Number(i64),
    List(Vec<String>),
}

/// Reads and checks everything.
pub fn load(sources: &Sources) -> Result<Settings, Mistakes> {
    let mut reader = reader::Reader::new();
    if let Some(path) = &sources.file {
        match read_file(path) {
            Ok(table) => reader.add_file(table),
            Err(mistake) => reader.add_mistake(mistake),
        }
    }
    reader.add_environment(&sources.environment);
    reader.add_overrides(&sources.overrides);
    let settings = settings::read(&mut reader);
    reader.finish(settings)
}

fn read_file(path: &Path) -> Result<toml::Table, Mistake> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Mistake::File {
        path: name.clone(),
        reason: error.to_string(),
    })?;
    text.parse::<toml::Table>().map_err(|error| Mistake::File {
        path: match error.span() {
            Some(span) => format!("{name}:{}", line_of(&text, span.start)),
            None => name,
        },
        reason: error.message().replace('\n', "; "),
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests;
