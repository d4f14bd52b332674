//! Call quality under bad networks: prints the table with the difference to `docs/quality.md`.
//! `make quality` calls it. Arguments: `--write` writes the document, others choose networks and
//! codecs by their names, and sizes of meetings by their numbers; what is not chosen stays in the
//! document as it is.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tertulia_client::media::CameraCodec;
use tertulia_sim::quality::{Findings, Table, Trial};

fn main() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/quality.md");
    // cargo adds --bench.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let (flags, chosen): (Vec<String>, Vec<String>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with("--"));
    let is_written = flags.iter().any(|flag| flag == "--write");
    let is_chosen = |trial: &Trial| {
        let sizes: Vec<usize> = chosen.iter().filter_map(|word| word.parse().ok()).collect();
        let codecs: Vec<CameraCodec> = chosen.iter().filter_map(|word| codec(word)).collect();
        let mut names = chosen
            .iter()
            .filter(|word| word.parse::<usize>().is_err() && codec(word).is_none())
            .peekable();
        let is_named = names.peek().is_none() || names.any(|name| trial.network.name == *name);
        is_named
            && (sizes.is_empty() || sizes.contains(&trial.people))
            && (codecs.is_empty() || codecs.contains(&trial.codec))
    };
    let trials: Vec<Trial> = Trial::all().into_iter().filter(is_chosen).collect();
    let started = Instant::now();
    let found = run_all(&trials, started);
    let table = Table::new(&found);
    let before = Table::read(&std::fs::read_to_string(path).unwrap_or_default());
    println!("{}", table.compared_with(&before));
    for (trial, findings) in found.iter().filter(|(_, found)| !found.flaws.is_empty()) {
        let (network, count) = (trial.network.name, findings.flaws.len());
        let first: Vec<_> = findings.flaws.iter().take(FLAWS_SHOWN).collect();
        let Trial { people, codec, .. } = trial;
        println!("{network}, {people} people, {codec:?}: {count} that no network makes: {first:?}");
    }
    eprintln!("{:.0} s", started.elapsed().as_secs_f64());
    if is_written {
        let document = table.completed_by(&before).document();
        std::fs::write(path, document).expect("docs/quality.md can be written");
    }
}

fn codec(name: &str) -> Option<CameraCodec> {
    match name {
        "VP8" => Some(CameraCodec::Vp8),
        "VP9" => Some(CameraCodec::Vp9),
        _ => None,
    }
}

const FLAWS_SHOWN: usize = 5;

/// The largest meetings first: they take longest.
fn run_all(trials: &[Trial], origin: Instant) -> Vec<(Trial, Findings)> {
    let mut order: Vec<usize> = (0..trials.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(trials[*index].people));
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let findings = trials[*index].run(origin);
                    let mut found = found.lock().expect("no panic while the list is locked");
                    found.insert(*index, (trials[*index], findings));
                }
            });
        }
    });
    let found = found
        .into_inner()
        .expect("no panic while the list is locked");
    found.into_values().collect()
}
