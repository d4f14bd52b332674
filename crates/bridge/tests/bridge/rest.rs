//! What a transport costs while nobody sends video.

use std::time::Duration;

use crate::room::Room;
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Bits per second that leave the bridge for each client.
fn cost(room: &mut Room, time: Duration) -> u64 {
    let before = room.statistics().bytes_out;
    room.run(time);
    let bytes = room.statistics().bytes_out - before;
    bytes * 8 / time.as_secs() / room.clients.len() as u64
}

#[test]
fn padding_ends_when_video_does() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    for index in 0..2 {
        room.clients[index].film();
        room.ask(index, 720);
    }
    room.run(5 * SECOND);
    // Now they talk directly: nothing comes any more, and nobody asks for less.
    let cameras: Vec<_> = room
        .clients
        .iter_mut()
        .map(|client| client.video.take())
        .collect();
    room.run(12 * SECOND);
    let idle = cost(&mut room, 60 * SECOND);
    // Connectivity checks and reports are left.
    assert!(idle < 4_000, "{idle} bit/s to each client for nothing");
    // A third one comes.
    for (client, camera) in room.clients.iter_mut().zip(cameras) {
        client.received.clear();
        client.video = camera;
    }
    let start = room.now.mono;
    room.run(8 * SECOND);
    for index in 0..2 {
        let packets = room.clients[index].stream(room.clients[1 - index].video_ssrc());
        let first = packets.first().expect("video again");
        assert!(first.at - start < 300 * MILLISECOND);
        // The same encoding goes on where it stopped, or another one begins.
        let mut soon = packets
            .iter()
            .filter(|packet| packet.at - start < 300 * MILLISECOND);
        assert!(soon.any(|packet| packet.is_keyframe_start()));
        assert_eq!(packets.last().unwrap().stamp().0, 2, "as good as before");
    }
}

#[test]
fn voices_alone_need_no_padding() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    for index in 0..2 {
        room.clients[index].film();
        room.clients[index].speak(90);
        room.ask(index, 180);
    }
    room.run(3 * SECOND);
    for client in &mut room.clients {
        client.video = None;
    }
    room.run(12 * SECOND);
    let idle = cost(&mut room, 20 * SECOND);
    // 50 packets of 80 bytes, headers and keys, and reports.
    assert!((40_000..60_000).contains(&idle), "{idle} bit/s");
    let heard = room.clients[1].stream(room.clients[0].audio_ssrc());
    assert!(heard.len() > 1_700);
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1)
    );
}

#[test]
fn a_screen_that_seldom_changes_is_not_disturbed() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    room.ask(1, 720);
    room.run(5 * SECOND);
    let ssrc = room.clients[0].video_ssrc();
    for _ in 0..6 {
        let still = room.clients[0].video.take();
        room.run(6 * SECOND);
        room.clients[0].video = still;
        room.run(Duration::from_millis(40));
    }
    room.run(SECOND);
    let asked = room.clients[0].keyframe_requests;
    room.run(SECOND);
    let packets = room.clients[1].stream(ssrc);
    assert_eq!(packets.last().unwrap().stamp().0, 2);
    assert!(room.now.mono - packets.last().unwrap().at < Duration::from_millis(100));
    assert_eq!(room.clients[0].keyframe_requests, asked);
}
