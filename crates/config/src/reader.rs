//! Looks keys up in all layers and collects what is wrong.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::key::Key;
use crate::keys::{KEYS, SECTIONS};
use crate::mistake::{Mistake, Mistakes};
use crate::{Override, OverrideValue};

/// Values by key, and the mistakes so far.
pub(crate) struct Reader {
    /// From outside: the last layer that sets a key wins.
    set: BTreeMap<&'static str, Set>,
    mistakes: Vec<Mistake>,
}

struct Set {
    value: Value,
    /// How messages name it.
    name: String,
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader {
            set: BTreeMap::new(),
            mistakes: Vec::new(),
        }
    }

    pub(crate) fn add_mistake(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    pub(crate) fn add_file(&mut self, table: Table) {
        self.add_table("", table);
    }

    fn add_table(&mut self, prefix: &str, table: Table) {
        for (name, value) in table {
            let path = format!("{prefix}{name}");
            match (known(&path), value) {
                (Some(key), value) => {
                    self.set.insert(key.path, Set { value, name: path });
                }
                (None, Value::Table(inner)) if is_section(&path) => {
                    self.add_table(&format!("{path}."), inner);
                }
                (None, _) => {
                    let keys = KEYS.iter().map(|key| key.path.to_owned());
                    let sections = SECTIONS.iter().map(|(section, _)| (*section).to_owned());
                    let nearest = nearest(&path, keys.chain(sections));
                    self.mistakes.push(Mistake::Unknown { key: path, nearest });
                }
            }
        }
    }

    pub(crate) fn add_environment(&mut self, environment: &[(String, String)]) {
        for (name, text) in environment {
            if !name.starts_with("TERTULIA_") {
                continue;
            }
            match KEYS.iter().find(|key| variable(key.path) == *name) {
                Some(key) => {
                    let set = Set {
                        value: loose(text),
                        name: name.clone(),
                    };
                    self.set.insert(key.path, set);
                }
                None => {
                    let nearest = nearest(name, KEYS.iter().map(|key| variable(key.path)));
                    self.mistakes.push(Mistake::Unknown {
                        key: name.clone(),
                        nearest,
                    });
                }
            }
        }
    }

    pub(crate) fn add_overrides(&mut self, overrides: &[Override]) {
        for one in overrides {
            let value = match &one.value {
                OverrideValue::Text(text) => Value::String(text.clone()),
                OverrideValue::Number(number) => Value::Integer(*number),
                OverrideValue::List(list) => {
                    Value::Array(list.iter().cloned().map(Value::String).collect())
                }
            };
            let key = known(one.path).expect("flags set keys that exist");
            self.set.insert(
                key.path,
                Set {
                    value,
                    name: one.flag.to_owned(),
                },
            );
        }
    }

    /// Whether somebody has set a key, be it to its default.
    pub(crate) fn is_set(&self, path: &str) -> bool {
        self.set.contains_key(path)
    }

    /// The value of a key. What is wrong becomes a mistake, and the default goes on for it.
    pub(crate) fn read<T>(
        &mut self,
        path: &'static str,
        allowed: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let key = known(path).expect("only keys of the table are read");
        if let Some(Set { value, name }) = self.set.get(path) {
            if let Some(parsed) = parse(value) {
                return parsed;
            }
            self.mistakes.push(Mistake::Value {
                key: name.clone(),
                allowed: allowed.to_owned(),
                found: found(value),
            });
        }
        parse(&key.value()).expect("defaults are of their own kind")
    }

    pub(crate) fn finish<T>(self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() {
            Ok(value)
        } else {
            Err(Mistakes(self.mistakes))
        }
    }
}

fn known(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The variable that sets a key: `bridge.workers` is `TERTULIA_BRIDGE__WORKERS`.
fn variable(path: &str) -> String {
    format!("TERTULIA_{}", path.replace('.', "__").to_ascii_uppercase())
}

/// A variable's text: a TOML value, or else plain text.
fn loose(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>();
    let parsed = parsed.ok().filter(|table| table.len() == 1);
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A value as it stands in a message: short, on one line.
fn found(value: &Value) -> String {
    let text = value.to_string().replace('\n', " ");
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The known name that is most like `name`, if one is like it at all.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .map(|candidate| {
            // A right name in the wrong section is near as well.
            let is_moved = last(&candidate) == last(name);
            let distance = if is_moved {
                1
            } else {
                distance(name, &candidate)
            };
            (distance, candidate)
        })
        .min()
        .filter(|(distance, _)| *distance <= name.len().div_ceil(3))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's: how many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            let change = diagonal + usize::from(x != *y);
            left = change.min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
