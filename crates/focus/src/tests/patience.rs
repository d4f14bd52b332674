//! In large meetings clients are told of sources in a moment, of several at once.

use super::*;

fn with_delays(delays: &[(usize, u64)], names: &[&str]) -> World {
    let delays = delays.iter();
    let mut w = World::of(Config {
        source_delays: delays
            .map(|(participants, ms)| (*participants, Duration::from_millis(*ms)))
            .collect(),
        ..config()
    });
    for name in names {
        w.join(name);
    }
    w.run();
    w.wait(5);
    w.check_knowledge();
    for name in names {
        w.log(name);
    }
    w
}

/// So many milliseconds pass, and everybody reads.
fn pass(w: &mut World, ms: u64) {
    w.now = w.now.later(Duration::from_millis(ms));
    w.focus.handle_timeout(w.now);
    w.drain();
    w.run();
}

#[test]
fn several_changes_are_told_at_once_and_what_is_undone_never() {
    let mut w = with_delays(&[(3, 500)], &["ann", "bob", "cat"]);
    w.add("ann");
    w.run();
    pass(&mut w, 300);
    w.add("ann");
    w.add("bob");
    w.run();
    pass(&mut w, 199);
    assert_eq!(w.log("cat"), [] as [&str; 0]);
    pass(&mut w, 1);
    assert_eq!(
        w.log("cat"),
        ["source-add"],
        "of both, by the first one's time"
    );
    w.check_knowledge();
    w.log("bob");
    w.add("ann");
    w.remove("ann");
    pass(&mut w, 500);
    assert_eq!(w.log("bob"), [] as [&str; 0]);
    w.check_knowledge();
    w.remove("ann");
    w.add("ann");
    pass(&mut w, 500);
    assert_eq!(w.log("bob"), ["source-remove", "source-add"]);
    w.check_knowledge();
    assert_eq!(w.focus.next_timeout(), None);
}

#[test]
fn who_accepts_meanwhile_knows_everything_and_is_told_nothing_twice() {
    let mut w = with_delays(&[(3, 500)], &["ann", "bob", "cat"]);
    w.add("ann");
    w.run();
    w.join("dan");
    w.run();
    assert_eq!(w.log("dan"), ["session-initiate"]);
    assert_eq!(w.clients["dan"].known["ann"], w.clients["ann"].sending);
    pass(&mut w, 500);
    w.check_knowledge();
    assert_eq!(w.log("dan"), [] as [&str; 0]);
    assert_eq!(w.log("bob"), ["source-add"], "of Ann and Dan");
}

#[test]
fn who_leaves_meanwhile_is_not_announced() {
    let mut w = with_delays(&[(3, 500)], &["ann", "bob", "cat", "dan"]);
    w.add("ann");
    w.leave("ann");
    w.run();
    pass(&mut w, 500);
    assert_eq!(w.log("bob"), [] as [&str; 0]);
    w.check_knowledge();
    w.add("bob");
    for name in ["bob", "cat", "dan"] {
        w.leave(name);
    }
    assert_eq!(w.focus.next_timeout(), None, "nothing waits for nobody");
}

#[test]
fn the_more_there_are_the_longer() {
    let delays = [(3, 200), (4, 1_000)];
    let after = |w: &mut World| {
        w.add("ann");
        w.run();
        let at = w.focus.next_timeout().map(|at| at - w.now.mono);
        w.wait(2);
        w.check_knowledge();
        at
    };
    let mut w = with_delays(&delays, &["ann", "bob"]);
    assert_eq!(after(&mut w), None);
    assert_eq!(w.log("bob"), ["source-add"], "at once");
    for (name, ms) in [("cat", 200), ("dan", 1_000)] {
        w.join(name);
        w.run();
        w.wait(2);
        assert_eq!(after(&mut w), Some(Duration::from_millis(ms)));
    }
}
