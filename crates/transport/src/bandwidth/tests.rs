//! Whole calls over links of all kinds.

mod call;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Estimator, Settings, Sort};
use call::{Call, Link, Second, Wish};

const TWO: Wish = Wish {
    tiles: 0,
    voices: 1,
    still: None,
};
const SEVEN: Wish = Wish {
    tiles: 5,
    voices: 2,
    still: None,
};
/// Draws of each call; more of them in tables.
const SEEDS: u64 = 2;
const SEEDS_TABLE: u64 = 6;

/// Links that have all that is wanted, whatever else they do.
fn wide() -> Vec<(&'static str, Link)> {
    vec![
        ("good", Link::WIDE),
        (
            "Wi-Fi",
            Link {
                rates: vec![(0, 30_000_000)],
                delay: 10.0,
                jitter: 5.0,
                loss: 0.001,
                bursts: Some((3_000, 40, 0.6)),
                ..Link::WIDE
            },
        ),
        (
            "cellular",
            Link {
                rates: vec![(0, 8_000_000)],
                queue: 300.0,
                delay: 50.0,
                jitter: 15.0,
                loss: 0.002,
                bursts: Some((8_000, 150, 0.8)),
                ..Link::WIDE
            },
        ),
        (
            "loss 5 %",
            Link {
                delay: 30.0,
                jitter: 5.0,
                loss: 0.05,
                feedback_loss: 0.05,
                ..Link::WIDE
            },
        ),
        (
            "loss 15 %",
            Link {
                delay: 30.0,
                jitter: 5.0,
                loss: 0.15,
                feedback_loss: 0.15,
                ..Link::WIDE
            },
        ),
        (
            "bursty",
            Link {
                delay: 30.0,
                jitter: 5.0,
                bursts: Some((2_000, 100, 1.0)),
                ..Link::WIDE
            },
        ),
        (
            "far",
            Link {
                delay: 100.0,
                jitter: 5.0,
                ..Link::WIDE
            },
        ),
        (
            "farther, jitter",
            Link {
                delay: 200.0,
                jitter: 30.0,
                loss: 0.01,
                feedback_loss: 0.3,
                ..Link::WIDE
            },
        ),
        (
            "stalls",
            Link {
                rates: vec![(0, 6_000_000)],
                stalls: Some((1_700, 250)),
                jitter: 8.0,
                ..Link::WIDE
            },
        ),
        (
            "dark for two seconds",
            Link {
                dark: Some((20, 22)),
                ..Link::WIDE
            },
        ),
        (
            "fast clock",
            Link {
                drift: 200.0,
                ..Link::WIDE
            },
        ),
        (
            "slow clock",
            Link {
                drift: -200.0,
                ..Link::WIDE
            },
        ),
    ]
}

/// Links that have less than is wanted, and how much, always.
fn narrow() -> Vec<(&'static str, Link)> {
    let at = |rate, queue| Link {
        rates: vec![(0, rate)],
        queue,
        ..Link::WIDE
    };
    vec![
        ("150 kbit/s", at(150_000, 400.0)),
        ("300 kbit/s", at(300_000, 300.0)),
        ("500 kbit/s, long queue", at(500_000, 1_500.0)),
        (
            "1 Mbit/s, far",
            Link {
                delay: 200.0,
                jitter: 5.0,
                ..at(1_000_000, 400.0)
            },
        ),
        (
            "1 Mbit/s, 10 % lost",
            Link {
                loss: 0.1,
                feedback_loss: 0.1,
                ..at(1_000_000, 200.0)
            },
        ),
        (
            "2 Mbit/s, jitter",
            Link {
                delay: 50.0,
                jitter: 15.0,
                ..at(2_000_000, 200.0)
            },
        ),
    ]
}

/// Links that change.
fn changing() -> Vec<(&'static str, Link)> {
    let steps = |rates: &[u64], every: u64, queue| Link {
        rates: (0..)
            .step_by(every as usize)
            .zip(rates.iter().copied())
            .collect(),
        queue,
        delay: 30.0,
        ..Link::WIDE
    };
    let rates = [5_000_000, 800_000, 3_500_000, 800_000];
    vec![
        (
            "300 kbit/s, 2 Mbit/s",
            steps(&[300_000, 2_000_000].repeat(3), 10, 300.0),
        ),
        ("steps, short queue", steps(&rates, 15, 40.0)),
        ("steps, long queue", steps(&rates, 15, 1_000.0)),
        (
            "policed at 1 Mbit/s",
            Link {
                is_policer: true,
                ..steps(&[1_000_000], 60, 100.0)
            },
        ),
        (
            "loss 30 %",
            Link {
                loss: 0.3,
                feedback_loss: 0.3,
                ..steps(&[20_000_000], 60, 100.0)
            },
        ),
        (
            "3 Mbit/s, 5 % lost",
            Link {
                loss: 0.05,
                ..steps(&[3_000_000], 60, 100.0)
            },
        ),
        (
            "longer by 300 ms",
            Link {
                longer: Some((20, 300.0)),
                ..steps(&[20_000_000], 60, 100.0)
            },
        ),
    ]
}

/// Columns: the estimate as share of what the link has, or of what is wanted if that is less (lowest
/// tenth, median, highest tenth of all seconds but the first three); the layer on stage; changes of
/// it per minute; milliseconds in the queue; packets it dropped, and padding, in percent of what
/// was sent.
#[test]
#[ignore = "prints a table"]
fn print_table() {
    for (name, link) in [wide(), narrow(), changing()].concat() {
        for (size, wish) in [("two", TWO), ("seven", SEVEN)] {
            let mut seconds = Vec::new();
            for seed in 0..SEEDS_TABLE {
                let mut call = Call::new(link.clone(), wish.clone(), seed);
                call.run(60);
                seconds.extend_from_slice(&call.seconds[3..]);
            }
            let wanted = if wish.tiles == 0 { 2e6 } else { 2.8e6 };
            let share = |second: &Second| second.estimate / second.rate.min(wanted * 1.25);
            let of = |place| percentile(&seconds, share, place);
            let sum = |of: fn(&Second) -> f64| seconds.iter().map(of).sum::<f64>();
            let sent = sum(|second| second.sent);
            println!(
                "{name:22} {size:6} {:4.2} {:4.2} {:4.2}  stage {:4.2} changes {:4.1} wait {:3.0} \
                 dropped {:4.1} padding {:4.1}",
                of(10),
                of(50),
                of(90),
                mean(&seconds, |second| second.stage as f64),
                mean(&seconds, |second| f64::from(second.switches)) * 60.0,
                mean(&seconds, |second| second.waited),
                sum(|second| f64::from(second.dropped)) * 8.8e5 / sent,
                sum(|second| second.padding) * 100.0 / sent,
            );
        }
    }
}

/// Each second of some calls; `LINK` and `SIZE` choose which.
#[test]
#[ignore = "prints what happens"]
fn print_seconds() {
    let only = |name| std::env::var(name).unwrap_or_default();
    for (name, link) in [wide(), narrow(), changing(), shared()].concat() {
        for (size, wish) in [("two", TWO), ("seven", SEVEN)] {
            if !name.contains(&only("LINK")) || !size.contains(&only("SIZE")) {
                continue;
            }
            println!("{name}, {size}");
            let mut call = Call::new(
                link.clone(),
                wish,
                std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap()),
            );
            for (place, second) in call.run(60).seconds.iter().enumerate() {
                println!(
                    "{place:3} estimate {:5.0}k of {:6.0}k sent {:5.0}k padding {:4.0}k arrived \
                     {:5.0}k rival {:5.0}k dropped {:3} wait {:4.0} most {:4.0} stage {} changes {}",
                    second.estimate / 1e3,
                    (second.rate / 1e3).min(99_999.0),
                    second.sent / 1e3,
                    second.padding / 1e3,
                    second.arrived / 1e3,
                    second.rival / 1e3,
                    second.dropped,
                    second.waited,
                    second.waited_most,
                    second.stage,
                    second.switches,
                );
            }
        }
    }
}

/// For each link, size and draw: a call of so many seconds.
fn each(length: u64, links: Vec<(&'static str, Link)>, check: impl Fn(&str, &Wish, &[Second])) {
    for (name, link) in links {
        for wish in [TWO, SEVEN] {
            for seed in 0..SEEDS {
                let mut call = Call::new(link.clone(), wish.clone(), seed);
                let what = format!("{name}, {} tiles, draw {seed}", wish.tiles);
                check(&what, &wish, &call.run(length).seconds);
            }
        }
    }
}

/// The beginning is over: what was believed before anything was known does no harm any more.
const SETTLED: usize = 5;

/// Neither loss nor jitter, neither outages nor clocks keep a link that is wide enough from
/// carrying what is wanted; and where it does, nothing is padded.
#[test]
fn what_a_link_can_carry_is_sent() {
    each(30, wide(), |what, wish, seconds| {
        for (place, second) in seconds.iter().enumerate() {
            assert_eq!(second.stage, 3, "{what}: second {place}");
        }
        let has_all = |second: &&Second| second.tiles == wish.tiles;
        let with_all = seconds.iter().filter(has_all).count();
        // Feedback that is late, and often lost, makes each step take longer.
        let least = if what.starts_with("farther, jitter") {
            21
        } else {
            24
        };
        assert!(
            with_all >= least,
            "{what}: all tiles for {with_all} of 30 s"
        );
        let padding = seconds.iter().map(|second| second.padding);
        let sent: f64 = seconds.iter().map(|second| second.sent).sum();
        let padding = padding.sum::<f64>() / sent;
        assert!(padding < 0.01, "{what}: {padding} of it is padding");
    });
}

#[test]
fn a_narrow_link_is_filled_and_its_queue_is_not() {
    each(40, narrow(), |what, _, seconds| {
        let seconds = &seconds[SETTLED..];
        let share = |second: &Second| second.estimate / second.rate;
        let [low, middle, high] = [10, 50, 90].map(|place| percentile(seconds, share, place));
        assert!(low > 0.7 && high < 1.35, "{what}: {low} to {high}");
        assert!((0.85..1.25).contains(&middle), "{what}: {middle}");
        let waited = mean(seconds, |second| second.waited);
        assert!(waited < 60.0, "{what}: {waited} ms in the queue");
        let dropped = mean(seconds, |second| f64::from(second.dropped));
        assert!(dropped < 4.0, "{what}: {dropped} dropped in a second");
        let changes = mean(seconds, |second| f64::from(second.switches)) * 60.0;
        assert!(changes <= 10.0, "{what}: {changes} changes in a minute");
        let padding = mean(seconds, |second| second.padding);
        let sent = mean(seconds, |second| second.sent);
        assert!(
            padding < 0.1 * sent,
            "{what}: {padding} of {sent} is padding"
        );
    });
}

/// What is believed at first is eight times too much.
#[test]
fn a_second_after_the_beginning_a_narrow_link_is_known() {
    let links = narrow();
    each(5, links[1..2].to_vec(), |what, _, seconds| {
        let estimate = seconds[0].estimate;
        assert!((200e3..330e3).contains(&estimate), "{what}: {estimate}");
        assert!(seconds[3].waited < 150.0, "{what}: {}", seconds[3].waited);
    });
}

#[test]
fn the_estimate_follows_a_link_that_changes() {
    for (place, every) in [(0, 10), (1, 15), (2, 15)] {
        let links = changing();
        each(60, links[place..=place].to_vec(), |what, wish, seconds| {
            let wanted = if wish.tiles == 0 { 2.1e6 } else { 2.9e6 };
            for (step, seconds) in seconds.chunks(every).enumerate().skip(1) {
                let rate = seconds[0].rate;
                let is_wider = step % 2 == usize::from(place == 0);
                let after = |second: usize| seconds[second].estimate;
                if is_wider {
                    let enough = 0.7 * rate.min(wanted);
                    let since = seconds.iter().position(|second| second.estimate >= enough);
                    let since = since.unwrap_or(every);
                    assert!(since <= 6, "{what}: wider in step {step} after {since} s");
                } else {
                    let at_once = after(1);
                    assert!(at_once <= 1.1 * rate, "{what}: {at_once} in step {step}");
                    let waited = mean(&seconds[4..], |second| second.waited);
                    assert!(waited < 60.0, "{what}: {waited} ms in step {step}");
                }
                let least = seconds.iter().map(|second| second.estimate);
                let least = least.skip(1).fold(f64::MAX, f64::min);
                assert!(
                    least >= 0.1 * rate,
                    "{what}: {least} of {rate} in step {step}"
                );
            }
        });
    }
}

/// The queue that a link has when it becomes narrower goes down slowly. While it does, less being
/// sent is not in vain, and the queue nobody else's.
#[test]
fn a_link_that_has_become_narrow_is_not_taken_for_a_wide_one() {
    for (from, to, queue) in [
        (3_000_000, 500_000, 300.0),
        (2_500_000, 300_000, 300.0),
        (4_000_000, 600_000, 500.0),
        (2_000_000, 400_000, 800.0),
    ] {
        let link = Link {
            rates: vec![(0, from), (20, to)],
            queue,
            delay: 5.0,
            ..Link::WIDE
        };
        let name = "narrower";
        each(40, vec![(name, link)], |what, _, seconds| {
            for (place, second) in seconds.iter().enumerate().skip(22) {
                let share = second.estimate / second.rate;
                assert!(
                    share < 1.2,
                    "{what}, {from} to {to}: {share} after {place} s"
                );
            }
        });
    }
}

/// A link that drops what is too much without delay is found out, if roughly; one that loses as
/// much of whatever is sent is not blamed.
#[test]
fn loss_is_put_to_the_test() {
    let links = changing();
    each(60, links[3..4].to_vec(), |what, _, seconds| {
        let seconds = &seconds[SETTLED..];
        let dropped: f64 = seconds.iter().map(|second| f64::from(second.dropped)).sum();
        let sent: f64 = seconds.iter().map(|second| second.sent).sum();
        let dropped = dropped * 8.8e3 / sent;
        assert!(dropped < 0.2, "{what}: {dropped} dropped");
        let arrived = mean(seconds, |second| second.arrived);
        assert!(arrived > 500e3, "{what}: {arrived}");
    });
    each(60, links[4..5].to_vec(), |what, _, seconds| {
        let wanted = seconds.iter().filter(|second| second.stage == 3).count();
        assert!(wanted >= 45, "{what}: as wanted for {wanted} of 60 s");
    });
}

#[test]
fn a_path_that_becomes_longer_is_no_queue_for_long() {
    let links = changing();
    each(40, links[6..7].to_vec(), |what, _, seconds| {
        let less = seconds.iter().filter(|second| second.stage < 3).count();
        assert!(less <= 6, "{what}: less for {less} s");
        assert!(seconds.iter().all(|second| second.stage >= 2), "{what}");
    });
}

/// Less than what a queue has to be to count, but enough not to look free: it must not keep the
/// estimate from rising until the shorter way is forgotten.
#[test]
fn a_path_that_becomes_a_little_longer_is_no_standstill() {
    let link = Link {
        rates: vec![(0, 2_400_000), (24, 20_000_000)],
        delay: 1.0,
        jitter: 0.5,
        longer: Some((20, 19.0)),
        ..Link::WIDE
    };
    each(
        40,
        vec![("a little longer", link)],
        |what, wish, seconds| {
            let has_all = |second: &Second| second.stage == 3 && second.tiles == wish.tiles;
            let risen = seconds.iter().skip(24).position(has_all);
            assert!(risen.is_some_and(|after| after <= 8), "{what}: {risen:?}");
        },
    );
}

/// Links that are shared with a TCP for half a minute.
fn shared() -> Vec<(&'static str, Link)> {
    let rival = |rate, queue| Link {
        rates: vec![(0, rate)],
        queue,
        delay: 20.0,
        rival: Some((10, 40)),
        ..Link::WIDE
    };
    vec![
        ("4 Mbit/s, short queue", rival(4_000_000, 60.0)),
        ("4 Mbit/s", rival(4_000_000, 200.0)),
        ("4 Mbit/s, long queue", rival(4_000_000, 800.0)),
        ("1.5 Mbit/s", rival(1_500_000, 200.0)),
    ]
}

/// Neither starves beside the other, though one that fills every queue has most of it; and when it
/// is gone there is all again.
#[test]
fn a_link_is_shared_with_tcp() {
    for (name, link) in shared() {
        for wish in [TWO, SEVEN] {
            let mut shares = Vec::new();
            for seed in 0..SEEDS_TABLE {
                let what = format!("{name}, {} tiles, draw {seed}", wish.tiles);
                let mut call = Call::new(link.clone(), wish.clone(), seed);
                let seconds = &call.run(60).seconds;
                let before = mean(&seconds[SETTLED..10], |second| second.arrived);
                let rate = seconds[0].rate;
                let shared = &seconds[12..40];
                // What is believed counts: the layers leave large steps between what can be sent.
                let ours = mean(shared, |second| second.estimate) / rate;
                assert!(ours > 0.06, "{what}: {ours} of it is ours");
                let got = mean(shared, |second| second.arrived) / rate;
                assert!(got > 0.025, "{what}: {got} of it is made use of");
                let theirs = mean(shared, |second| second.rival) / rate;
                assert!(theirs > 0.3, "{what}: {theirs} of it is TCP's");
                let after = mean(&seconds[50..], |second| second.arrived);
                assert!(after > 0.9 * before, "{what}: {after} after {before}");
                shares.push((ours, got));
            }
            let of = |share: fn(&(f64, f64)) -> f64| {
                shares.iter().map(share).sum::<f64>() / shares.len() as f64
            };
            let (ours, got) = (of(|share| share.0), of(|share| share.1));
            let what = format!("{name}, {} tiles", wish.tiles);
            assert!(
                ours > 0.11 && got > 0.055,
                "{what}: {ours}, {got} made use of"
            );
        }
    }
}

/// Who is told of another path does not take it for a queue.
#[test]
fn another_path_is_no_queue() {
    let (name, link) = changing().swap_remove(6);
    let mut call = Call::new(link, SEVEN, 0);
    call.run(20);
    call.change_path();
    for (place, second) in call.run(20).seconds.iter().enumerate() {
        assert_eq!(second.stage, 3, "{name}: second {place}");
    }
    assert!(call.seconds[25..].iter().all(|second| second.tiles == 5));
}

/// While nobody films nothing is padded. Then it goes on as before; a link that has become narrow
/// meanwhile is noticed soon.
#[test]
fn rest_costs_nothing() {
    let wish = Wish {
        still: Some((10, 40)),
        ..SEVEN
    };
    let mut call = Call::new(Link::WIDE, wish.clone(), 0);
    call.run(60);
    for second in &call.seconds[10..40] {
        assert_eq!(second.padding, 0.0);
        assert!(second.sent < 100e3);
    }
    for (place, second) in call.seconds[40..].iter().enumerate() {
        assert_eq!(second.stage, 3, "{place} s after the rest");
        assert!(place < 3 || second.tiles == 5, "{place} s after the rest");
    }
    let narrower = Link {
        rates: vec![(0, 20_000_000), (20, 500_000)],
        queue: 300.0,
        ..Link::WIDE
    };
    let mut call = Call::new(narrower, wish, 0);
    call.run(60);
    assert!(call.seconds[41].estimate < 550e3);
    assert!(
        call.seconds[45..]
            .iter()
            .all(|second| second.estimate > 350e3)
    );
}

/// What may happen to an estimator.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Send(u16, usize, bool),
    Report(Vec<(u16, Option<i64>)>),
    Want(u64, u64),
    Rest(bool),
    Begin(u64),
    ChangePath,
}

fn step() -> impl Strategy<Value = Step> {
    // Most numbers are near those that are sent.
    let number = prop_oneof![4 => 0u16..200, 1 => any::<u16>()];
    let arrival = prop_oneof![4 => 0i64..3_000_000, 1 => any::<i64>()];
    let report = (number, prop::option::of(arrival));
    prop_oneof![
        4 => (0u64..300_000).prop_map(Step::Pass),
        1 => (0u64..100_000_000).prop_map(Step::Pass),
        6 => (1u16..40, 0usize..2_000, any::<bool>())
            .prop_map(|(count, bytes, is_padding)| Step::Send(count, bytes, is_padding)),
        4 => prop::collection::vec(report, 0..60).prop_map(Step::Report),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(step, all)| Step::Want(step, all)),
        1 => any::<bool>().prop_map(Step::Rest),
        1 => any::<u64>().prop_map(Step::Begin),
        1 => Just(Step::ChangePath),
    ]
}

proptest! {
    /// Whatever a receiver reports, the estimate stays within its bounds, and who waits until it
    /// wants to be woken has not to ask twice.
    #[test]
    fn no_report_does_harm(steps in prop::collection::vec(step(), 0..120)) {
        let mut now = Instant::now();
        let settings = Settings {
            initial_bps: 2_500_000,
            least_bps: 30_000,
            most_bps: 20_000_000,
        };
        let mut estimator = Estimator::new(now, settings);
        let mut number = 0u16;
        for step in steps {
            match step {
                Step::Pass(micros) => now += Duration::from_micros(micros),
                Step::Send(count, bytes, is_padding) => {
                    for _ in 0..count {
                        let sort = if is_padding { Sort::Padding } else { Sort::Media };
                        estimator.sent(now, number, bytes, sort);
                        number = number.wrapping_add(1);
                    }
                }
                Step::Report(report) => estimator.feedback(now, report),
                Step::Want(step, all) => estimator.set_wanted(now, step, all),
                Step::Rest(is_resting) => estimator.set_resting(now, is_resting),
                Step::Begin(bps) => estimator.begin_with(now, bps),
                Step::ChangePath => estimator.change_path(now),
            }
            estimator.handle_timeout(now);
            if let Some(probe) = estimator.probe(now) {
                prop_assert!(probe.bytes > 0 && probe.packet > 0 && probe.rate_bps > 0);
            }
            prop_assert!(estimator.wake().is_none_or(|wake| wake > now));
            prop_assert!((30_000..=20_000_000).contains(&estimator.estimate()));
            let pacing = estimator.pacing_bps();
            prop_assert!(pacing >= estimator.estimate() && pacing <= 50_000_000);
            let loss = estimator.quality(now).loss;
            prop_assert!(loss.is_none_or(|loss| (0.0..=1.0).contains(&loss)));
        }
    }
}

fn mean(seconds: &[Second], of: impl Fn(&Second) -> f64) -> f64 {
    seconds.iter().map(of).sum::<f64>() / seconds.len() as f64
}

fn percentile(seconds: &[Second], of: impl Fn(&Second) -> f64, place: usize) -> f64 {
    let mut all: Vec<f64> = seconds.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all[(all.len() - 1) * place / 100]
}
