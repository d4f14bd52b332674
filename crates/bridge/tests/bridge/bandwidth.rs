//! Who gets how much when there is not enough for all: estimation, allocation, voices before
//! pictures.

use std::time::{Duration, Instant};

use crate::room::Room;
use crate::room::client::Received;
use crate::testing::config;
use tertulia_bridge::Config;

const SECOND: Duration = Duration::from_secs(1);

/// `r` looks at so many cameras.
fn gallery(config: Config, cameras: usize) -> Room {
    let mut room = Room::new(config);
    let names: Vec<String> = (0..cameras).map(|n| format!("c{n}")).collect();
    let mut all = vec!["r"];
    all.extend(names.iter().map(String::as_str));
    room.party(&all);
    for camera in 1..=cameras {
        room.clients[camera].film();
    }
    room
}

fn told_often() -> Config {
    let mut config = config();
    config.timers.connection_stats = Duration::from_millis(300);
    config
}

/// The estimates that the first client was told, in bits per second.
fn estimates(room: &Room) -> Vec<f64> {
    let texts = room.clients[0].texts.iter();
    texts
        .filter(|text| text["colibriClass"] == "ConnectionStats")
        .map(|text| text["estimatedDownlinkBandwidth"].as_f64().unwrap())
        .collect()
}

/// The largest rate at which the bridge has sent into a narrow link for so long, in bits per
/// second, since then.
fn highest_rate(room: &Room, since: Instant, span: Duration) -> f64 {
    let offered = &room.clients[0].offered;
    let mut highest = 0.0f64;
    let (mut from, mut bytes) = (0, 0);
    for (at, length) in offered {
        bytes += length;
        while *at - offered[from].0 > span {
            bytes -= offered[from].1;
            from += 1;
        }
        if offered[from].0 >= since {
            highest = highest.max(bytes as f64 * 8.0 / span.as_secs_f64());
        }
    }
    highest
}

fn forwarded(room: &Room, index: usize) -> Vec<String> {
    let list = &room.clients[index].last("ForwardedSources").unwrap()["forwardedSources"];
    let names = list.as_array().unwrap().iter();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// Six cameras of 670 kbit/s each over a link that widens tenfold and narrows again: soon after each
/// step what is believed is what there is, and not much more is sent for longer than a moment.
#[test]
fn the_estimate_follows_the_link() {
    let mut room = gallery(told_often(), 6);
    room.clients[0].rate_down = Some(300_000);
    room.open_websocket(0);
    room.ask(0, 720);
    for rate in [300_000, 3_000_000, 500_000] {
        room.clients[0].rate_down = Some(rate);
        room.run(2 * SECOND);
        let since = room.now.mono;
        room.run(8 * SECOND);
        for client in &mut room.clients {
            client.texts.clear();
            client.received.clear();
        }
        room.run(20 * SECOND);
        let rate = rate as f64;
        // It is of payloads, to which headers come.
        let mut told = estimates(&room);
        told.sort_by(f64::total_cmp);
        let of_link = |place: usize| told[told.len() * place / 100] / (0.95 * rate);
        let (low, middle, high) = (of_link(15), of_link(50), of_link(85));
        let highest = highest_rate(&room, since, 3 * SECOND);
        assert!((middle - 1.0).abs() <= 0.2, "{middle} of {rate}");
        assert!(low > 0.8 && high < 1.2, "{low} to {high} of {rate}");
        assert!(highest <= 1.2 * rate, "{highest} bit/s into {rate}");
        let bits: usize = room.clients[0].received.iter().map(bits).sum();
        let used = bits as f64 / 20.0 / rate;
        assert!(used > 0.75, "{used} of {rate} used");
        let changes = room.clients[0].texts.iter();
        let changes = changes.filter(|text| text["colibriClass"] == "ForwardedSources");
        let changes = changes.count();
        assert!(changes <= 10, "{changes} changes in 20 s at {rate}");
    }
}

fn bits(packet: &Received) -> usize {
    packet.payload.len() * 8
}

/// Twenty tiles over a link for two: of what is said as good as nothing is lost to pictures.
#[test]
fn voices_are_not_starved_by_pictures() {
    let mut room = gallery(told_often(), 20);
    for index in 1..=20 {
        room.clients[index].video.as_mut().unwrap().is_sent = [true, false, false];
    }
    for speaker in [1, 2, 3] {
        room.clients[speaker].speak(90);
    }
    room.clients[0].rate_down = Some(300_000);
    room.ask(0, 180);
    room.run(10 * SECOND);
    room.clients[0].received.clear();
    let (from, seconds) = (room.now.mono, 20u64);
    room.run(20 * SECOND);
    for speaker in [1, 2, 3] {
        let voice = room.clients[0].stream(room.clients[speaker].audio_ssrc());
        let sent = seconds * 50;
        assert!(
            voice.len() as u64 >= sent * 98 / 100,
            "{} of {sent} packets of {speaker}",
            voice.len()
        );
        let mut arrivals: Vec<Instant> = voice.iter().map(|packet| packet.at).collect();
        arrivals.insert(0, from);
        let gap = arrivals
            .windows(2)
            .map(|pair| pair[1].saturating_duration_since(pair[0]));
        let gap = gap.max().unwrap();
        assert!(gap < Duration::from_millis(200), "silence of {gap:?}");
    }
    let pictures: usize = room.clients[0]
        .received
        .iter()
        .filter(|packet| packet.is_video)
        .map(bits)
        .sum();
    assert!(pictures / 20 > 40_000, "{} bit/s of video", pictures / 20);
}

/// What is on the stage is brought to its size before others are shown at all; without a stage all
/// rise together. (The tables are in `allocate`; this is the way from the message to the packets.)
/// Twelve open microphones over a link for six, and a picture: the loudest are heard, and there is
/// a picture. Who has the bandwidth hears everybody, and so does who gets it.
#[test]
fn on_a_narrow_link_the_loudest_are_heard_and_somebody_is_seen() {
    let mut room = gallery(told_often(), 12);
    for index in 1..=12 {
        room.clients[index].video.as_mut().unwrap().is_sent = [true, false, false];
        room.clients[index].speak(5);
    }
    room.clients[0].rate_down = Some(300_000);
    room.ask(0, 180);
    room.run(SECOND);
    for (index, level) in [(4, 100), (7, 95), (9, 90)] {
        room.clients[index].speak(level);
    }
    room.run(8 * SECOND);
    let heard = |room: &Room, receiver: usize| -> Vec<usize> {
        let count = |sender: usize| {
            let ssrc = room.clients[sender].audio_ssrc();
            room.clients[receiver].stream(ssrc).len()
        };
        (1..=12)
            .map(|sender| {
                if sender == receiver {
                    500
                } else {
                    count(sender)
                }
            })
            .collect()
    };
    let forget = |room: &mut Room| {
        for client in &mut room.clients {
            client.received.clear();
        }
    };
    forget(&mut room);
    room.run(10 * SECOND);
    let voices = heard(&room, 0);
    for index in [4, 7, 9] {
        let packets = voices[index - 1];
        assert!(packets >= 490, "{packets} of 500 packets of {index}");
    }
    let others = voices.iter().sum::<usize>() - voices[3] - voices[6] - voices[8];
    assert!(others < 1_000, "{voices:?}");
    let pictures = room.clients[0]
        .received
        .iter()
        .filter(|packet| packet.is_video);
    let pictures: usize = pictures.map(bits).sum();
    assert!(pictures / 10 > 60_000, "{} bit/s of video", pictures / 10);
    let all = heard(&room, 2);
    assert!(all.iter().all(|packets| *packets >= 490), "{all:?}");
    room.clients[0].rate_down = Some(5_000_000);
    room.run(15 * SECOND);
    forget(&mut room);
    room.run(10 * SECOND);
    let all = heard(&room, 0);
    assert!(all.iter().all(|packets| *packets >= 490), "{all:?}");
}

#[test]
fn the_stage_comes_before_the_tiles() {
    let mut room = gallery(told_often(), 4);
    room.clients[0].rate_down = Some(600_000);
    room.say(
        0,
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"onStageSources":["c2-v0"],
        "defaultConstraints":{"maxHeight":180},"constraints":{"c2-v0":{"maxHeight":720}}}"#,
    );
    room.run(25 * SECOND);
    let stage = |room: &Room| {
        let packets = room.clients[0].stream(room.clients[3].video_ssrc());
        packets.last().map(|packet| packet.stamp().0)
    };
    assert!(stage(&room) >= Some(1), "{:?}", stage(&room));
    assert!(forwarded(&room, 0).contains(&"c2-v0".to_owned()));
    room.say(
        0,
        r#"{"colibriClass":"ReceiverVideoConstraints","onStageSources":[],
        "defaultConstraints":{"maxHeight":180},"constraints":{}}"#,
    );
    room.run(10 * SECOND);
    assert!(forwarded(&room, 0).len() >= 2, "{:?}", forwarded(&room, 0));
}

#[test]
fn last_n_counts_what_is_asked_for() {
    let mut room = gallery(config(), 3);
    for (message, expected) in [
        (r#""lastN":1,"defaultConstraints":{"maxHeight":180}"#, 1),
        (r#""lastN":0"#, 0),
        (r#""lastN":-1"#, 3),
        (r#""defaultConstraints":{"maxHeight":0}"#, 0),
        (r#""defaultConstraints":{"maxHeight":-1}"#, 3),
        (r#""lastN":2"#, 2),
    ] {
        room.say(
            0,
            &format!(r#"{{"colibriClass":"ReceiverVideoConstraints",{message}}}"#),
        );
        room.run(2 * SECOND);
        assert_eq!(forwarded(&room, 0).len(), expected, "{message}");
        room.clients[0].received.clear();
        room.run(SECOND);
        let senders = room.clients[0]
            .received
            .iter()
            .map(|packet| packet.sender());
        let senders: std::collections::BTreeSet<u32> = senders.collect();
        assert_eq!(senders.len(), expected, "{message}");
    }
}

#[test]
fn the_operator_bounds_videos_by_the_size_of_the_meeting() {
    let mut config = config();
    config.video.last_n_by_size = vec![(4, 2), (5, 1)];
    let mut room = gallery(config, 2);
    room.ask(0, 180);
    room.run(2 * SECOND);
    assert_eq!(forwarded(&room, 0).len(), 2, "three people");
    for (name, expected) in [("d", 2), ("e", 1)] {
        let index = room.join(name);
        room.publish(index);
        room.clients[index].film();
        room.run(3 * SECOND);
        assert_eq!(forwarded(&room, 0).len(), expected, "with {name}");
    }
}

#[test]
fn under_load_there_are_fewer_videos() {
    let mut config = config();
    config.load.is_reduced = true;
    config.load.threshold = 300;
    config.load.recovery = 200;
    let mut room = gallery(config, 4);
    room.ask(0, 180);
    room.run(5 * SECOND);
    assert_eq!(forwarded(&room, 0).len(), 4);
    room.run(10 * SECOND);
    assert_eq!(forwarded(&room, 0).len(), 3);
    room.run(60 * SECOND);
    assert_eq!(forwarded(&room, 0).len(), 2);
    // Nobody films any more: after a minute there is room for one more.
    for client in &mut room.clients {
        client.video = None;
    }
    room.run(75 * SECOND);
    room.clients[1].film();
    room.clients[2].film();
    room.clients[3].film();
    room.run(2 * SECOND);
    assert_eq!(forwarded(&room, 0).len(), 3);
}

/// The largest that anybody asks for; nothing when nobody is left to ask.
#[test]
fn who_is_alone_need_not_send() {
    let mut room = gallery(config(), 1);
    room.open_websocket(1);
    room.ask(0, 360);
    room.run(SECOND);
    let told = |room: &Room| {
        let message = room.clients[1].last("SenderSourceConstraints").unwrap();
        message["maxHeight"].as_i64().unwrap()
    };
    assert_eq!(told(&room), 360);
    let allocation = room.clients[0].allocation;
    room.command(tertulia_model::BridgeCommand::Expire { allocation });
    room.run(SECOND);
    assert_eq!(told(&room), 0);
    let next = room.join("n");
    room.publish(next);
    room.run(SECOND);
    room.ask(next, -1);
    room.run(SECOND);
    assert_eq!(told(&room), -1);
}

/// A screen on stage may take more than there is, by so much and no more.
#[test]
fn a_screen_on_stage_exceeds_the_estimate_by_a_bounded_amount() {
    let mut room = gallery(told_often(), 1);
    room.say(
        1,
        r#"{"colibriClass":"SourceVideoTypeMessage","sourceName":"c0-v0","videoType":"desktop"}"#,
    );
    room.clients[1].video.as_mut().unwrap().is_sent = [false, false, true];
    room.clients[0].rate_down = Some(400_000);
    room.say(
        0,
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"onStageSources":["c0-v0"],
        "defaultConstraints":{"maxHeight":720}}"#,
    );
    room.run(10 * SECOND);
    // 670 kbit/s in 400: something of it is always there.
    for _ in 0..10 {
        room.clients[0].received.clear();
        let since = room.now.mono;
        room.run(3 * SECOND);
        let bits = room.clients[0].received.iter().map(bits).sum::<usize>();
        assert!(bits / 3 > 150_000, "{} bit/s", bits / 3);
        let highest = highest_rate(&room, since, 2 * SECOND);
        assert!(highest < 900_000.0 * 1.2, "{highest} bit/s");
    }
}
