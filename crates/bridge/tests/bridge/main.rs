//! Whole conferences in memory: workers, clients on str0m, virtual time.

#![expect(clippy::unwrap_used, reason = "a test harness is test code too")]

use tertulia_bridge::{
    AudioPolicy, Bandwidth, Config, LagPolicy, Limits, LoadPolicy, LocalAddress, Timers,
    VideoPolicy,
};

mod abuse;
mod bandwidth;
mod channel;
mod codecs;
mod connect;
mod crowd;
mod encrypted;
mod flood;
mod loss;
mod media;
mod overload;
mod report;
mod rest;
mod restart;
mod rewriting;
mod rights;
mod room;
#[path = "../../src/scalable.rs"]
mod scalable;
mod switching;
#[path = "../../src/testing.rs"]
mod testing;
mod voices;
