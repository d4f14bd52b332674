//! Runs simulated meetings: `tertulia-sim [--seeds N] [--from K] [--break NAME] [--twice] [--loud]`,
//! or the environment variables SEEDS, FROM, BREAK, TWICE and LOUD. `make sim` calls it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tertulia_sim::coverage::Coverage;
use tertulia_sim::sabotage::Sabotage;
use tertulia_sim::{Options, Report, Sim};

/// What the command line asks for.
struct Order {
    seeds: u64,
    from: u64,
    threads: usize,
    /// Each meeting is run again and must tell the same story.
    is_twice: bool,
    options: Options,
}

fn main() -> ExitCode {
    let order = match read_order() {
        Ok(order) => order,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let reports = run_all(&order, started);
    let mut coverage = Coverage::default();
    let mut failed = 0;
    for report in reports.values() {
        match report {
            Ok(report) => {
                coverage.merge(&report.coverage);
                if !report.violations.is_empty() {
                    failed += 1;
                    let first = report.violations.join("; ");
                    println!("seed {} failed: {first}", report.seed);
                    println!("  reproduce: {}", command(report.seed, &order.options));
                }
            }
            Err((seed, panic)) => {
                failed += 1;
                println!("seed {seed} panicked: {panic}");
                println!("  reproduce: {}", command(*seed, &order.options));
            }
        }
    }
    println!("events: {coverage}");
    let missing = coverage.missing();
    if order.seeds >= SEEDS_FOR_COVERAGE && !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|mark| mark.as_str()).collect();
        println!("never seen: {}", names.join(", "));
        failed = failed.max(1);
    }
    let passed = order.seeds - failed;
    eprintln!("{:.0} s", started.elapsed().as_secs_f64());
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One line that brings a failure back.
fn command(seed: u64, options: &Options) -> String {
    let sabotage = options
        .sabotage
        .map(|sabotage| format!(" BREAK={}", sabotage.as_str()));
    format!(
        "make sim SEEDS=1 FROM={seed}{}",
        sabotage.unwrap_or_default()
    )
}

type Outcome = Result<Report, (u64, String)>;

fn run_all(order: &Order, origin: Instant) -> BTreeMap<u64, Outcome> {
    let next = AtomicU64::new(0);
    let reports = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..order.threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= order.seeds {
                        return;
                    }
                    let seed = order.from + number;
                    let outcome = run_one(seed, origin, order);
                    reports
                        .lock()
                        .expect("no panic while the list is locked")
                        .insert(seed, outcome);
                }
            });
        }
    });
    reports
        .into_inner()
        .expect("no panic while the list is locked")
}

fn run_one(seed: u64, origin: Instant, order: &Order) -> Outcome {
    let run = AssertUnwindSafe(|| {
        let mut report = Sim::run(seed, origin, &order.options);
        if order.is_twice {
            let again = Sim::run(seed, origin, &order.options);
            report.violations.extend(report.differs_from(&again));
        }
        report
    });
    catch_unwind(run).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        (seed, text.to_owned())
    })
}

fn read_order() -> Result<Order, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut seeds = variable("SEEDS");
    let mut from = variable("FROM");
    let mut sabotage = variable("BREAK");
    let mut is_loud = variable("LOUD").is_some();
    let mut is_twice = variable("TWICE").is_some();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--seeds" => seeds = Some(value()?),
            "--from" => from = Some(value()?),
            "--break" => sabotage = Some(value()?),
            "--loud" => is_loud = true,
            "--twice" => is_twice = true,
            _ => return Err(format!("unknown argument {argument:?}; {USAGE}")),
        }
    }
    let number = |text: Option<String>, otherwise: u64| match text {
        Some(text) => text
            .parse()
            .map_err(|_| format!("expected a number, got {text:?}; {USAGE}")),
        None => Ok(otherwise),
    };
    let seeds = number(seeds, 20)?;
    let sabotage = match sabotage {
        Some(name) => Some(Sabotage::from_name(&name).ok_or_else(|| {
            let known: Vec<&str> = Sabotage::ALL.iter().map(|s| s.as_str()).collect();
            format!(
                "nothing to break is called {name:?}; there is {}",
                known.join(", ")
            )
        })?),
        None => None,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if is_loud { 1 } else { cores };
    let from = number(from, 1)?;
    Ok(Order {
        seeds,
        from,
        threads,
        is_twice,
        options: Options { sabotage, is_loud },
    })
}

const USAGE: &str = "tertulia-sim [--seeds N] [--from K] [--break NAME] [--twice] [--loud]";
/// From so many meetings on, an event that never occurred is a failure.
const SEEDS_FOR_COVERAGE: u64 = 200;
