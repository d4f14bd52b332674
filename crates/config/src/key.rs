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

/// One table of two; `N` is the length of both together.
pub(crate) const fn joined<const N: usize>(first: &[Key], second: &[Key]) -> [Key; N] {
    assert!(first.len() + second.len() == N, "no key is lost");
    let mut all = [key("", "", ""); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    all
}
