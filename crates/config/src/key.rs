use toml::{Table, Value};

/// A configuration key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// `section.name`, or a bare name at the top of the file.
    pub(crate) path: &'static str,
    /// The default, as TOML.
    pub(crate) default: &'static str,
    /// What it is for, in one sentence.
    pub(crate) about: &'static str,
}

impl Key {
    /// The default as a value.
    pub(crate) fn value(&self) -> Value {
        let table = format!("value = {}", self.default).parse::<Table>();
        let value = table.ok().and_then(|mut table| table.remove("value"));
        value.expect("defaults are TOML")
    }
}

pub(crate) const fn key(path: &'static str, default: &'static str, about: &'static str) -> Key {
    Key {
        path,
        default,
        about,
    }
}

/// One table of several; `N` is the length of all together.
pub(crate) const fn joined<const N: usize>(tables: &[&[Key]]) -> [Key; N] {
    let mut all = [key("", "", ""); N];
    let (mut table, mut place, mut at) = (0, 0, 0);
    while table < tables.len() {
        if place < tables[table].len() {
            all[at] = tables[table][place];
            (place, at) = (place + 1, at + 1);
        } else {
            (table, place) = (table + 1, 0);
        }
    }
    assert!(at == N, "no key is lost");
    all
}
