//! More than a worker can carry: video goes, voices stay.

use std::time::Duration;

use crate::room::Room;
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(10);

/// For so long, whatever arrives has waited for `waited` already.
fn run_late(room: &mut Room, time: Duration, waited: Duration) {
    let end = room.now.mono + time;
    while room.now.mono < end {
        let now = room.now;
        room.worker().note_lag(now, waited, false);
        room.run(STEP);
    }
}

fn watched_room() -> Room {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].speak(80);
    room.clients[0].film();
    room.ask(1, 720);
    room.run(3 * SECOND);
    room
}

#[test]
fn a_worker_that_is_behind_drops_video_and_no_voice() {
    let mut room = watched_room();
    let (audio, video) = (room.clients[0].audio_ssrc(), room.clients[0].video_ssrc());
    let limit = config().load.lag.limit;
    let shown = room.clients[1].stream(video).len();
    assert!(shown > 100, "{shown}");
    let last = room.clients[1].stream(video).last().unwrap().number;

    run_late(&mut room, 2 * limit, 2 * limit);
    room.clients[1].received.clear();
    run_late(&mut room, SECOND, 2 * limit);
    assert_eq!(room.clients[1].stream(video).len(), 0, "no video");
    let heard = room.clients[1].stream(audio);
    assert!((49..=51).contains(&heard.len()), "{}", heard.len());
    let pairs = heard.windows(2);
    assert_eq!(
        pairs
            .filter(|pair| pair[1].number != pair[0].number + 1)
            .count(),
        0
    );
    let dropped = room.statistics().dropped.behind;
    assert!(dropped > 100, "{dropped}");

    // A little late is not behind: it is over.
    room.clients[1].received.clear();
    let start = room.now.mono;
    run_late(&mut room, SECOND, limit / 2);
    let packets = room.clients[1].stream(video);
    let first = packets.first().expect("video again");
    assert!(first.is_keyframe_start());
    assert!(first.at - start < Duration::from_millis(300));
    assert!(first.number - last < 20, "what was left out leaves no gap");
    assert_eq!(room.statistics().dropped.behind, dropped);
}

#[test]
fn a_hiccup_costs_nothing() {
    let mut room = watched_room();
    let limit = config().load.lag.limit;
    run_late(&mut room, limit / 2, 10 * limit);
    run_late(&mut room, SECOND, Duration::ZERO);
    run_late(&mut room, limit / 2, 10 * limit);
    room.run(SECOND);
    assert_eq!(room.statistics().dropped.behind, 0);
}
