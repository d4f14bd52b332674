//! Plays every script of `tests/conversation` against the server in memory.

use std::path::{Path, PathBuf};

use tertulia_tests::conversation::{Memory, play};

#[test]
fn conversations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversation");
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder of the scripts")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "talk")
        })
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let only = std::env::var("TALK").unwrap_or_default();
    let mut failures = Vec::new();
    for path in scripts
        .iter()
        .filter(|path| path.to_string_lossy().contains(&only))
    {
        let text = std::fs::read_to_string(path).expect("a readable script");
        if let Err(error) = play(&mut Memory::default(), &text) {
            failures.push(format!("{}: {error}", path.display()));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}
