//! What those are told who look at a bridge from outside.

use std::time::Duration;

use tertulia_bridge::{ChannelKind, EndpointState, Figures, LocalAddress};
use tertulia_model::bridge::CandidateKind;
use tertulia_model::{BridgeCommand, ConferenceId, MayForward};

use crate::room::{OFFER, Room};
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);

fn figures(room: &mut Room) -> Figures {
    let now = room.now;
    room.worker().figures(now)
}

#[test]
fn figures_follow_who_sends_what() {
    let mut room = Room::new(config());
    room.party(&["a", "b", "c"]);
    room.join("late");
    room.run(SECOND);
    let idle = figures(&mut room);
    assert_eq!(idle.conferences.len(), 1);
    assert!(idle.conferences[0].is_inactive(), "{idle:?}");
    assert_eq!((idle.receive_only, idle.sending_video), (0, 0));

    room.all_ask(180);
    room.clients[0].speak(100);
    for index in [0, 1] {
        room.clients[index].film();
    }
    room.run(25 * SECOND);
    let busy = figures(&mut room);
    let conference = busy.conferences[0];
    assert_eq!(conference.endpoints, 4);
    assert_eq!((conference.audio_senders, conference.video_senders), (1, 2));
    assert_eq!((conference.senders, busy.receive_only), (2, 2));
    // Each of the two goes to three others.
    assert_eq!(busy.video_streams, 6);
    assert_eq!((busy.visitors, busy.suspended), (0, 0));
    let round_trip = busy.round_trip.value();
    assert!((0.009..0.05).contains(&round_trip), "{round_trip} s");
    assert!(busy.incoming_loss.value() < 0.01);

    let counted = busy.statistics;
    assert_eq!(counted.conferences_created, 1);
    assert_eq!(counted.endpoints_created, 4);
    assert_eq!(counted.endpoints_connected, 4);
    assert_eq!((counted.ice_failed, counted.dtls_failed), (0, 0));
    assert!(counted.speaker_changes >= 1, "{counted:?}");
    assert!(counted.keyframes_received >= 2, "{counted:?}");
    assert!(counted.layering_changes >= 2, "{counted:?}");
    // Two people for 25 seconds, with at most three encodings each.
    let video = counted.video_milliseconds;
    assert!((48_000..=151_000).contains(&video), "{video}");
    assert!(counted.conference_milliseconds >= 26_000);
}

#[test]
fn counters_outlast_conferences() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.all_ask(180);
    room.clients[0].film();
    room.run(5 * SECOND);
    let during = figures(&mut room).statistics;
    room.command(BridgeCommand::Close);
    room.run(SECOND);
    let after = figures(&mut room);
    assert!(after.conferences.is_empty());
    let after = after.statistics;
    assert_eq!(after.conferences_completed, 1);
    for (earlier, later) in [
        (
            during.conference_milliseconds,
            after.conference_milliseconds,
        ),
        (during.video_milliseconds, after.video_milliseconds),
        (during.packets_in, after.packets_in),
        (during.endpoints_connected, after.endpoints_connected),
    ] {
        assert!(later >= earlier, "{earlier}, then {later}");
    }
    assert_eq!(after.counters().conferences_completed, 1);
    assert_eq!(after.counters().timers, 0, "a gauge");
}

#[test]
fn visitors_and_those_without_a_channel_are_counted_once() {
    let mut room = Room::new(config());
    room.party(&["a"]);
    let nothing = MayForward {
        audio: false,
        camera: false,
        screen: false,
        messages: false,
    };
    let mut offer = OFFER;
    offer.has_data_channel = false;
    let visitor = room.join_with("visitor", offer, |_| {});
    let allocation = room.clients[visitor].allocation;
    for may in [nothing, MayForward::ALL, nothing] {
        room.command(BridgeCommand::SetMayForward { allocation, may });
        room.run(SECOND);
    }
    let figures_now = figures(&mut room);
    assert_eq!(figures_now.visitors, 1);
    assert_eq!(figures_now.statistics.visitors_created, 1);
    assert_eq!(figures_now.statistics.without_channel, 0, "too early");
    room.run(60 * SECOND);
    assert_eq!(figures(&mut room).statistics.without_channel, 1);
}

#[test]
fn messages_are_counted_by_the_way_they_take() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(SECOND);
    let before = figures(&mut room).statistics;
    room.say(0, r#"{"colibriClass":"ClientHello"}"#);
    room.run(SECOND);
    let by_data = figures(&mut room).statistics;
    assert_eq!(
        by_data.data_channel_messages_in,
        before.data_channel_messages_in + 1
    );
    assert!(by_data.data_channel_messages_out > before.data_channel_messages_out);
    assert_eq!(by_data.websocket_messages_in, 0);
    room.open_websocket(0);
    room.say(0, r#"{"colibriClass":"ClientHello"}"#);
    room.run(SECOND);
    let by_websocket = figures(&mut room).statistics;
    assert_eq!(by_websocket.websocket_messages_in, 1);
    assert!(by_websocket.websocket_messages_out >= 2, "{by_websocket:?}");
}

#[test]
fn an_endpoint_in_detail() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.run(SECOND);
    room.all_ask(180);
    room.clients[0].speak(100);
    room.clients[0].film();
    room.allocate("silent", OFFER);
    room.run(15 * SECOND);
    let now = room.now;
    let (id, other) = (room.conference.clone(), ConferenceId::new("other"));
    let details = room.worker().details(now);
    let [conference] = &details[..] else {
        panic!("{details:?}")
    };
    let names: Vec<_> = conference
        .endpoints
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "silent"]);
    assert_eq!(conference.endpoints[2].state, EndpointState::Invited);
    let nobody = "nobody".parse().unwrap();
    assert!(room.worker().endpoint_detail(now, &id, &nobody).is_none());
    let mut named = |name: &str| {
        let name = name.parse().unwrap();
        assert!(room.worker().endpoint_detail(now, &other, &name).is_none());
        room.worker().endpoint_detail(now, &id, &name).unwrap()
    };
    let (a, b) = (named("a"), named("b"));
    assert_eq!(conference.dominant_speaker.as_ref(), Some(&a.id));
    assert_eq!(named("silent").state, EndpointState::Invited);
    assert_eq!((a.state, b.state), (EndpointState::Connected, a.state));
    assert_eq!(a.channel, Some(ChannelKind::DataChannel));
    assert_eq!(a.addresses[0].0, "198.51.100.1:40000".parse().unwrap());
    assert_eq!(a.path.remote, Some(a.addresses[0].0));
    assert!(
        a.path
            .round_trip
            .is_some_and(|time| time >= Duration::from_millis(9))
    );
    assert!(a.path.bytes_in > 10_000, "{:?}", a.path);
    assert!(b.estimate_bps.is_some_and(|bps| bps > 100_000), "{b:?}");
    assert!(a.streams.iter().any(|stream| stream.packets > 100));
    let video = a.sources.iter().find(|source| !source.layers.is_empty());
    let layers = &video.unwrap().layers;
    assert!(layers.iter().any(|layer| layer.is_active), "{layers:?}");
    let gets = b.receives.iter().find(|one| one.asked_height == Some(180));
    let gets = gets.unwrap_or_else(|| panic!("{:?}", b.receives));
    assert!(
        gets.target.is_some() && gets.encoding == Some(0),
        "{gets:?}"
    );
    assert!(gets.ssrc.is_some());
}

/// Bandwidth is divided by what a layer takes of a link: of small pictures a good part is headers.
#[test]
fn a_layer_is_measured_as_it_leaves() {
    let mut room = Room::new(config());
    room.party(&["a", "b"]);
    room.clients[0].film();
    let video = room.clients[0].video.as_mut().unwrap();
    (video.is_sent, video.part_bytes) = ([true, false, false], 100);
    room.clients[1].rate_down = Some(10_000_000);
    room.ask(1, 180);
    room.run(15 * SECOND);
    let from = room.now.mono - 10 * SECOND;
    room.clients[1].received.retain(|packet| packet.at > from);
    let offered = room.clients[1].offered.iter();
    let mut lengths: Vec<usize> = offered
        .filter(|(at, _)| *at > from)
        .map(|(_, length)| *length)
        .collect();
    lengths.sort_unstable();
    let usual = lengths[lengths.len() / 2];
    let ssrc = room.clients[0].video_ssrc();
    let pictures = room.clients[1].stream(ssrc).len();
    let sent = (pictures * usual * 8) as f64 / 10.0;

    let (now, id, name) = (room.now, room.conference.clone(), "a".parse().unwrap());
    let detail = room.worker().endpoint_detail(now, &id, &name).unwrap();
    let layers = detail.sources.iter().flat_map(|source| &source.layers);
    let of_camera = layers.filter(|layer| layer.encoding == 0 && layer.height > 0);
    let measured = of_camera.map(|layer| layer.bitrate_bps).max().unwrap() as f64;
    let of_sent = measured / sent;
    assert!(
        (of_sent - 1.0).abs() < 0.06,
        "{of_sent} of {sent} bit/s in pictures of {usual} bytes"
    );
}

#[test]
fn new_endpoints_learn_new_addresses() {
    let mut room = Room::new(config());
    let address = "192.0.2.1:10000".parse().unwrap();
    let public = "203.0.113.9:4444".parse().unwrap();
    let (_, before) = room.allocate("before", OFFER);
    assert_eq!(before.candidates.len(), 1);
    room.worker().set_addresses(
        vec![LocalAddress {
            address,
            public: Some(public),
        }],
        Vec::new(),
    );
    let (_, after) = room.allocate("after", OFFER);
    let mapped = after.candidates.iter().find(|one| one.address == public);
    let kind = mapped.expect("the new address is told").kind;
    assert_eq!(kind, CandidateKind::ServerReflexive { base: address });
}
