//! Reads every log line that a simulated meeting makes: none may be an error of ours, none may
//! name a person.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What the log must not hold, and what it held nevertheless. Clones share one list.
#[derive(Clone, Default)]
pub struct Witness(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    private: Vec<String>,
    complaints: Vec<String>,
    lines: u64,
    echo: bool,
}

impl Witness {
    /// Prints every line it reads.
    pub fn echoing() -> Witness {
        let witness = Witness::default();
        witness.state().echo = true;
        witness
    }

    /// From now on this must not be in the log.
    pub fn keep_private(&self, word: &str) {
        let mut state = self.state();
        if !state.private.iter().any(|known| known == word) {
            state.private.push(word.to_owned());
        }
    }

    /// What was wrong with the log since the last call.
    pub fn take_complaints(&self) -> Vec<String> {
        std::mem::take(&mut self.state().complaints)
    }

    /// How many lines it has read.
    pub fn lines(&self) -> u64 {
        self.state().lines
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere fails the run anyway.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read(&self, metadata: &Metadata<'_>, line: &str) {
        let mut state = self.state();
        state.lines += 1;
        if state.echo {
            eprintln!("{:5} {}: {line}", metadata.level(), metadata.target());
        }
        if *metadata.level() == Level::ERROR {
            state
                .complaints
                .push(format!("error event: {}: {line}", metadata.target()));
        }
        let found = state
            .private
            .iter()
            .find(|word| line.contains(word.as_str()))
            .cloned();
        if let Some(word) = found {
            state.complaints.push(format!(
                "{word:?} in the log: {}: {line}",
                metadata.target()
            ));
        }
    }
}

impl Subscriber for Witness {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = *metadata.level();
        level == Level::ERROR
            || (level <= Level::DEBUG && metadata.target().starts_with("tertulia"))
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::DEBUG)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut line = Line::default();
        attributes.record(&mut line);
        self.read(attributes.metadata(), &line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        let mut state = self.state();
        let found = state
            .private
            .iter()
            .find(|word| line.0.contains(word.as_str()))
            .cloned();
        if let Some(word) = found {
            state
                .complaints
                .push(format!("{word:?} in a span: {}", line.0));
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.read(event.metadata(), &line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, "{}={value} ", field.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_words_and_errors_are_reported() {
        let witness = Witness::default();
        witness.keep_private("Juliet");
        tracing::subscriber::with_default(witness.clone(), || {
            tracing::debug!(target: "tertulia_sim", "nothing to see");
            tracing::debug!(target: "elsewhere", "Juliet");
            assert_eq!(witness.take_complaints(), Vec::<String>::new());
            tracing::debug!(target: "tertulia_sim", name = "Juliet", "joined");
            let _span = tracing::info_span!(target: "tertulia_sim", "who", name = "Juliet");
            tracing::error!(target: "elsewhere", "broken");
            assert_eq!(witness.take_complaints().len(), 3);
        });
        assert_eq!(witness.lines(), 4);
    }
}
