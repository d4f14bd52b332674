use std::fmt;

/// One thing that is wrong with the configuration: what, where, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("{key}: no such key{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// As it was written: a path in the file, or the name of a variable.
        key: String,
        nearest: Option<String>,
    },
    #[error("{key}: expected {allowed}, found {found}")]
    Value {
        /// The key, and the flag or variable that set it.
        key: String,
        allowed: String,
        found: String,
    },
    #[error("{0}")]
    Together(&'static str),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest
        .map(|nearest| format!("; did you mean {nearest}?"))
        .unwrap_or_default()
}

/// All that is wrong, one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
