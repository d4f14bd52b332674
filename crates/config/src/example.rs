use std::fmt::Write as _;

use crate::keys::{KEYS, SECTIONS};

/// `config.example.toml`: every key with its default and one sentence.
pub fn example() -> String {
    let mut out = String::from(
        "# Every key of Tertulia's configuration, with its default. Nothing here needs to be set.\n\
         # Tertulia reads no file unless it is told to: tertulia serve --config FILE\n\
         # This file is made from the source (crates/config/src/keys.rs).\n",
    );
    for (section, about) in SECTIONS {
        let _ = writeln!(out, "\n# {about}");
        if !section.is_empty() {
            let _ = writeln!(out, "[{section}]");
        }
        for key in KEYS {
            let (in_section, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
            if in_section == *section {
                let _ = writeln!(out, "# {}\n{name} = {}", key.about, key.default);
            }
        }
    }
    out
}
