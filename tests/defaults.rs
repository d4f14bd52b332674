//! The defaults that are written a second time, where the `config` crate can't be used, are those
//! of the `config` crate.

use std::fmt::Debug;

// The file below takes them from the root of the crate that includes it.
use tertulia_bridge::{
    AudioPolicy, Bandwidth, Config, LagPolicy, Limits, LoadPolicy, LocalAddress, Timers,
    VideoPolicy,
};
use tertulia_config::{Settings, Sources};
use tertulia_sim::node::NodeConfig;

#[path = "../crates/bridge/src/testing.rs"]
#[expect(
    clippy::unwrap_used,
    reason = "in its own place it is part of tests only"
)]
mod bridge_tests;

#[test]
fn simulated_nodes_run_with_the_defaults() {
    let NodeConfig {
        stream,
        conference,
        bridge,
        restoration_time,
        // Drawn at random, kept in the data folder, or found on the machine.
        sealing_key: _,
        websocket_base: _,
        // Simulated meetings are over sooner than any journal.
        journal_linger: _,
        sabotage: None,
        server_id,
    } = NodeConfig::usual("192.0.2.1:10000".parse().unwrap())
    else {
        panic!("nothing is sabotaged by itself");
    };
    let mut default = settings().server;
    same(&*stream, &default.stream);
    default.conference.focus.server_id = server_id;
    default.conference.device_key = conference.device_key;
    // Simulated people come at the same moment, with microphone and camera on.
    let rules = &mut default.conference.rules;
    rules.joins_per_second = conference.rules.joins_per_second;
    rules.start_audio_muted = None;
    rules.start_video_muted = None;
    same(&*conference, &default.conference);
    // What is drawn for DTLS comes from the seed.
    default.bridge.dtls_timer_seed = bridge.dtls_timer_seed;
    same(&*bridge, &with_addresses_of(default.bridge, &bridge));
    assert_eq!(restoration_time, default.limits.restoration);
}

#[test]
fn the_bridges_tests_run_with_the_defaults() {
    let config = bridge_tests::config();
    same(
        &config,
        &with_addresses_of(settings().server.bridge, &config),
    );
}

fn settings() -> Settings {
    let Ok(settings) = tertulia_config::load(&Sources::default()) else {
        panic!("the defaults are valid");
    };
    settings
}

/// Addresses and workers are the machine's.
fn with_addresses_of(default: Config, one: &Config) -> Config {
    Config {
        addresses: one.addresses.clone(),
        loopback: one.loopback.clone(),
        workers: one.workers,
        ..default
    }
}

/// Compares them in the words of the source, field by field, so that each difference is named.
fn same<T: Debug>(written: &T, default: &T) {
    let (written, default) = (format!("{written:?}"), format!("{default:?}"));
    let fields = written.split(", ").zip(default.split(", "));
    let differences: Vec<_> = fields
        .filter(|(written, default)| written != default)
        .collect();
    assert!(
        differences.is_empty(),
        "(written, default): {differences:#?}"
    );
    assert_eq!(written, default);
}
