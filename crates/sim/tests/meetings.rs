//! A few simulated meetings on every test run; `make sim SEEDS=200` runs many.

use std::time::Instant;

use tertulia_sim::sabotage::Sabotage;
use tertulia_sim::{Options, Report, Sim};

fn run(seed: u64, options: &Options) -> Report {
    Sim::run(seed, Instant::now(), options)
}

fn assert_whole(report: &Report) {
    assert!(
        report.violations.is_empty(),
        "reproduce: make sim SEEDS=1 FROM={}\n{}",
        report.seed,
        report.violations.join("\n")
    );
}

#[test]
fn twenty_meetings_hold_every_claim() {
    for seed in 900_000..900_020 {
        assert_whole(&run(seed, &Options::default()));
    }
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [11, 12] {
        let first = run(seed, &Options::default());
        let second = run(seed, &Options::default());
        assert_eq!(first.differs_from(&second), None, "seed {seed}");
    }
}

#[test]
fn every_sabotage_is_noticed() {
    for sabotage in Sabotage::ALL {
        let options = Options {
            sabotage: Some(sabotage),
            ..Options::default()
        };
        let is_noticed = (1..=6).any(|seed| !run(seed, &options).violations.is_empty());
        assert!(is_noticed, "nobody noticed {}", sabotage.as_str());
    }
}

#[test]
fn what_was_fixed_stays_fixed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions/seeds.txt");
    let text = std::fs::read_to_string(path).expect("the list of regressions");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().expect("no empty lines");
        assert_whole(&run(seed.parse().expect("a seed"), &Options::default()));
    }
}
