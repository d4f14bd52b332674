//! Every parser of foreign bytes over its corpus in `fuzz/corpus`, and over mutations of it that
//! are the same in every run.

use std::path::Path;

use tertulia_tests::fuzz::TARGETS;

/// Mutations of each file; more by `FUZZ_ROUNDS`, of one target alone by `FUZZ_TARGET`.
const ROUNDS: usize = 60;

#[test]
fn no_parser_panics() {
    let rounds = std::env::var("FUZZ_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    let rounds: usize = rounds.unwrap_or(ROUNDS);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let only = std::env::var("FUZZ_TARGET").ok();
    for (name, target) in TARGETS {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let seeds = read(&corpus.join(name));
        assert!(!seeds.is_empty(), "{name} has a corpus");
        let mut rng = fastrand::Rng::with_seed(7);
        for (file, seed) in &seeds {
            run(name, file, target, seed);
            for _ in 0..rounds {
                let mutated = mutate(&mut rng, seed, &seeds);
                run(name, file, target, &mutated);
            }
        }
    }
}

/// The files of a folder, in order.
fn read(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("each target has its folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(&path).expect("a readable file"))
        })
        .collect();
    files.sort();
    files
}

fn run(name: &str, file: &str, target: fn(&[u8]), data: &[u8]) {
    let result = std::panic::catch_unwind(|| target(data));
    assert!(
        result.is_ok(),
        "{name} panicked on a mutation of {file}:\n{}",
        String::from_utf8_lossy(data).escape_debug()
    );
}

/// A few small damages: bytes changed, cut, doubled, or taken from elsewhere in the corpus.
fn mutate(rng: &mut fastrand::Rng, seed: &[u8], seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(0..=data.len());
        let end = (at + rng.usize(0..=24)).min(data.len());
        match rng.u8(0..7) {
            0 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = rng.u8(..);
                }
            }
            1 => {
                data.drain(at..end);
            }
            2 => {
                let copy = data.get(at..end).unwrap_or_default().to_vec();
                data.splice(at..at, copy);
            }
            3 => {
                let (_, other) = &seeds[rng.usize(..seeds.len())];
                let from = rng.usize(0..=other.len());
                let piece = other
                    .get(from..(from + 40).min(other.len()))
                    .unwrap_or_default();
                data.splice(at..end, piece.iter().copied());
            }
            4 => {
                let token = TOKENS[rng.usize(..TOKENS.len())];
                data.splice(at..at, token.bytes());
            }
            5 => {
                let digits = data.iter().position(u8::is_ascii_digit).unwrap_or(at);
                let number = NUMBERS[rng.usize(..NUMBERS.len())];
                data.splice(digits..(digits + 1).min(data.len()), number.bytes());
            }
            _ => data.truncate(at),
        }
    }
    data
}

const TOKENS: [&str; 14] = [
    "<",
    "/>",
    "</",
    "'",
    "\"",
    "&amp;",
    "&#0;",
    "<![CDATA[",
    "]]>",
    " xmlns=''",
    " xmlns:a='n'",
    "\u{0}",
    "\u{fffe}",
    "{",
];
const NUMBERS: [&str; 7] = [
    "-1",
    "0",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "1e999",
];
