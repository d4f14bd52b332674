//! The room journal: what people decided about a running meeting, kept so that a crash of the
//! server does not undo it (DESIGN 10). Occupants are never in it.
//!
//! Keys are paths like `affiliation/device:1f…` or `breakout/<jid>`, values are texts of their
//! own, mostly JSON: no internal type is written as it is.

use std::collections::{BTreeMap, VecDeque};

/// One change of the journal; without a value the key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: Option<String>,
}

/// What is kept, and the changes that wait to be written.
#[derive(Default)]
pub(crate) struct Journal {
    kept: BTreeMap<String, String>,
    changes: VecDeque<Entry>,
}

impl Journal {
    /// The journal of a meeting that was cut off, or an empty one.
    pub(crate) fn new(kept: BTreeMap<String, String>) -> Journal {
        Journal {
            kept,
            changes: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.kept.get(key).map(String::as_str)
    }

    /// Keeps a value; what is kept already is not written again.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        if self.get(key) != Some(value) {
            self.kept.insert(key.to_owned(), value.to_owned());
            self.changes.push_back(Entry {
                key: key.to_owned(),
                value: Some(value.to_owned()),
            });
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if self.kept.remove(key).is_some() {
            self.changes.push_back(Entry {
                key: key.to_owned(),
                value: None,
            });
        }
    }

    /// Removes all keys that start so.
    pub(crate) fn remove_all(&mut self, prefix: &str) {
        for key in self.keys(prefix) {
            self.remove(&format!("{prefix}{key}"));
        }
    }

    /// What is kept under a prefix: the rest of the key, and the value.
    pub(crate) fn under<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.kept
            .range(prefix.to_owned()..)
            .map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// The next change to be written.
    pub(crate) fn poll(&mut self) -> Option<Entry> {
        self.changes.pop_front()
    }

    /// Everything goes at once; nothing of it is to be written any more.
    pub(crate) fn forget(&mut self) {
        self.kept.clear();
        self.changes.clear();
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        self.under(prefix).map(|(key, _)| key.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_written() {
        let kept = BTreeMap::from([("a/1".to_owned(), "x".to_owned())]);
        let mut journal = Journal::new(kept);
        journal.set("a/1", "x");
        assert_eq!(journal.poll(), None);
        journal.set("a/2", "y");
        journal.set("b", "z");
        journal.remove("missing");
        assert_eq!(
            journal.under("a/").collect::<Vec<_>>(),
            [("1", "x"), ("2", "y")]
        );
        journal.remove_all("a/");
        let changes: Vec<String> = std::iter::from_fn(|| journal.poll())
            .map(|change| format!("{}={:?}", change.key, change.value.as_deref()))
            .collect();
        assert_eq!(
            changes,
            ["a/2=Some(\"y\")", "b=Some(\"z\")", "a/1=None", "a/2=None"]
        );
        journal.set("c", "1");
        journal.forget();
        assert_eq!((journal.poll(), journal.get("b")), (None, None));
    }
}
