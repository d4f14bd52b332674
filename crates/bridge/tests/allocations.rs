//! How often the code of bridge and transport asks for memory on the way of a packet. Of each
//! allocation, the innermost function of a crate that is known decides whose it is.
//!
//! Decisions (who gets which layer, statistics, messages) and what goes through ICE, DTLS and SCTP
//! may allocate: they come with time, not with packets.

#![expect(clippy::unwrap_used, reason = "test code")]
#![allow(dead_code, reason = "the other tests' room")]

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tertulia_bridge::{
    AudioPolicy, Bandwidth, Config, LagPolicy, Limits, LoadPolicy, LocalAddress, Timers,
    VideoPolicy,
};

use crate::room::Room;

#[path = "bridge/room.rs"]
mod room;
#[path = "../src/testing.rs"]
mod testing;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const RECEIVERS: usize = 10;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn no_packet_costs_an_allocation_of_ours() {
    let mut room = Room::new(testing::config());
    for n in 0..=RECEIVERS {
        let index = room.join(&format!("e{n}"));
        room.publish(index);
    }
    room.clients[0].speak(80);
    room.clients[0].film();
    room.run(2 * SECOND);
    room.all_ask(720);
    room.run(15 * SECOND);

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join("allocations.json");
    let before = room.statistics().forwarded;
    let profiler = dhat::Profiler::builder()
        .file_name(&file)
        .trim_backtraces(None)
        .build();
    room.run(2 * SECOND);
    drop(profiler);
    let forwarded = room.statistics().forwarded - before;
    assert!(forwarded > 2_000, "{forwarded}");

    let profile: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let frames: Vec<&str> = profile["ftbl"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| frame.as_str().unwrap())
        .collect();
    let (mut ours, mut decisions, mut others) = (0, 0, 0);
    for point in profile["pps"].as_array().unwrap() {
        let count = point["tbk"].as_u64().unwrap();
        let stack: Vec<&str> = point["fs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|index| frames[index.as_u64().unwrap() as usize])
            .collect();
        let owner = stack
            .iter()
            .find_map(|frame| KNOWN.iter().find(|name| frame.contains(**name)));
        let is_decision = stack
            .iter()
            .any(|frame| DECISIONS.iter().any(|name| frame.contains(name)));
        match owner {
            Some(&("tertulia_bridge::" | "tertulia_transport::")) if is_decision => {
                decisions += count
            }
            Some(&("tertulia_bridge::" | "tertulia_transport::")) => {
                ours += count;
                let own = stack.iter().filter(|frame| frame.contains("tertulia_"));
                let own: Vec<_> = own.take(3).collect();
                println!("{count} × {own:#?}");
            }
            _ => others += count,
        }
    }
    let per_packet = ours as f64 / forwarded as f64;
    println!(
        "{forwarded} packets forwarded: {ours} allocations of ours ({per_packet:.4} each), \
         {decisions} for decisions; str0m's and the test's: {others}"
    );
    assert!(others > forwarded, "the profile sees what str0m does");
    report(per_packet);
    assert!(ours * 1_000 < forwarded, "{ours} for {forwarded} packets");
}

/// One line for the table of all benches.
fn report(per_packet: f64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    create_dir_all(&folder).unwrap();
    let line = serde_json::json!({
        "name": "heap allocations of ours per forwarded packet",
        "ratio": (per_packet * 100.0).round() / 100.0,
        "goal": 0,
    });
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(folder.join("allocations.json"));
    writeln!(file.unwrap(), "{line}").unwrap();
}

/// Whose an allocation can be.
const KNOWN: [&str; 10] = [
    "tertulia_bridge::",
    "tertulia_transport::",
    "str0m",
    "dimpl::",
    "sctp_proto::",
    "is::",
    "aws_lc_rs::",
    "serde_json::",
    "allocations::",
    "tracing",
];
/// What happens with time, not with packets.
const DECISIONS: [&str; 7] = [
    "conference::ticks::",
    "conference::allocation::",
    "handle_command",
    "handle_channel_text",
    "handle_connected",
    "link::",
    "handle_keyframe_wanted",
];
