//! Floods on the media port, from strangers and under participants' addresses, while a call goes
//! on: nobody loses anything, nothing grows, nothing is answered.

use std::net::SocketAddr;
use std::time::Duration;

use tertulia_model::{BridgeEvent, Random};

use crate::abuse::check;
use crate::room::Room;
use crate::testing::config;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
/// Datagrams in each millisecond.
const RATE: usize = 20;

/// Where a flood comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    OneStranger,
    /// Each datagram from another network.
    Everywhere,
    /// Under the address of somebody in the call.
    Participant,
}

/// What looks most like something that must be taken seriously.
fn datagram(room: &Room, random: &mut Random, n: usize) -> Vec<u8> {
    let ufrag = &room.clients[0].transport.ice.ufrag;
    let mut wrong = ufrag.clone();
    wrong.replace_range(15..16, if ufrag.ends_with('a') { "b" } else { "a" });
    let mut noise = vec![0; 40 + n % 1_100];
    random.fill(&mut noise);
    match n % 7 {
        // Whose user name is right, and whose signature is not.
        0 => check(&format!("{ufrag}:x")),
        1 => check(&format!("{wrong}:x")),
        // RTP and RTCP of a participant's SSRC.
        2 | 3 => {
            let ssrc = room.clients[0].audio_ssrc().to_be_bytes();
            noise[..2].copy_from_slice(if n % 7 == 2 {
                &[0x80, 111]
            } else {
                &[0x81, 201]
            });
            let at = if n % 7 == 2 { 8 } else { 4 };
            noise[at..at + 4].copy_from_slice(&ssrc);
            noise
        }
        // DTLS: an alert in the clear that ends a session, and what claims to be encrypted.
        4 => vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 0],
        5 => {
            noise[..13].copy_from_slice(&[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 27]);
            noise.truncate(40);
            noise
        }
        _ => noise,
    }
}

fn source(room: &Room, from: Origin, n: usize) -> SocketAddr {
    match from {
        Origin::OneStranger => "203.0.113.66:5000".parse().unwrap(),
        Origin::Everywhere => {
            let [_, a, b, c] = (n as u32).to_be_bytes();
            SocketAddr::from(([11, a, b, c], 1_024 + (n % 60_000) as u16))
        }
        Origin::Participant => room.clients[n % 2].address,
    }
}

/// What `a` said and `b` heard in so much time: packets, and gaps between them.
fn heard(room: &mut Room, ssrc: u32) -> (usize, usize) {
    let packets = room.clients[1].stream(ssrc);
    let gaps = packets
        .windows(2)
        .filter(|pair| pair[1].number != pair[0].number + 1);
    let counts = (packets.len(), gaps.count());
    room.clients[1].received.clear();
    counts
}

/// The same second with and without a flood.
fn flood(origin: Origin, seed: u8) {
    let mut room = Room::new(config());
    let mut random = Random::from_seed([seed; 32]);
    room.party(&["a", "b"]);
    room.clients[0].speak(80);
    room.clients[0].film();
    room.ask(1, 720);
    room.run(3 * SECOND);
    let (audio, video) = (room.clients[0].audio_ssrc(), room.clients[0].video_ssrc());
    room.clients[1].received.clear();
    let before = room.statistics();
    room.run(SECOND);
    let quiet = room.statistics();
    let sent = quiet.packets_out - before.packets_out;
    let shown = room.clients[1].stream(video).len();
    assert!(heard(&mut room, audio).0 >= 49);

    for n in 0..1_000 * RATE {
        let data = datagram(&room, &mut random, n);
        let from = source(&room, origin, n);
        room.inject(from, &data);
        if n % RATE == 0 {
            room.run(MILLISECOND);
        }
    }
    let flooded = room.statistics();
    let shown_in_flood = room.clients[1].stream(video).len();
    let (packets, gaps) = heard(&mut room, audio);
    assert!(
        packets >= 49 && gaps == 0,
        "{origin:?}: {packets} packets, {gaps} gaps"
    );
    assert!(
        shown_in_flood * 20 >= shown * 19,
        "{origin:?}: {shown_in_flood} instead of {shown} packets of video"
    );
    // Neither memory nor an answer.
    let sizes = |of: tertulia_bridge::Statistics| {
        (
            of.endpoints,
            of.addresses,
            of.foreign_addresses,
            of.timers,
            of.channels,
        )
    };
    assert_eq!(sizes(flooded), sizes(quiet), "{origin:?}");
    let answered = (flooded.packets_out - quiet.packets_out).saturating_sub(sent);
    assert!(
        answered < sent / 10,
        "{origin:?}: {answered} packets more than {sent}"
    );
    let taken = flooded.packets_in - quiet.packets_in;
    assert!(taken > 0, "the call went on");

    room.run(5 * SECOND);
    assert_eq!(
        room.count(|event| matches!(
            event,
            BridgeEvent::Disconnected { .. } | BridgeEvent::Activity { .. }
        )),
        0,
        "{origin:?}"
    );
    let (packets, gaps) = heard(&mut room, audio);
    assert!(
        packets >= 249 && gaps == 0,
        "{origin:?}: {packets} after the flood, {gaps} gaps"
    );
}

#[test]
fn a_flood_from_one_stranger_disturbs_nobody() {
    flood(Origin::OneStranger, 1);
}

#[test]
fn a_flood_from_everywhere_disturbs_nobody() {
    flood(Origin::Everywhere, 2);
}

#[test]
fn a_flood_under_participants_addresses_disturbs_nobody() {
    flood(Origin::Participant, 3);
}

#[test]
fn a_flood_before_anybody_is_connected_keeps_nobody_out() {
    let mut room = Room::new(config());
    let mut random = Random::from_seed([4; 32]);
    for name in ["a", "b"] {
        let index = room.join(name);
        room.publish(index);
    }
    for n in 0..500 * RATE {
        let data = datagram(&room, &mut random, n);
        let from = source(&room, Origin::Everywhere, n);
        room.inject(from, &data);
        if n % RATE == 0 {
            room.run(MILLISECOND);
        }
    }
    assert!(room.clients.iter().all(|client| client.is_connected));
    assert_eq!(room.statistics().addresses, 2);
}
