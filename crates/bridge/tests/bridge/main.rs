//! Whole conferences in memory: workers, clients on str0m, virtual time.

#![expect(clippy::unwrap_used, reason = "a test harness is test code too")]

use tertulia_bridge::{Bandwidth, Config, Limits, LocalAddress, Timers, VideoPolicy};

mod abuse;
mod channel;
mod connect;
mod encrypted;
mod media;
mod rest;
mod restart;
mod rewriting;
mod rights;
mod room;
#[path = "../../src/testing.rs"]
mod testing;
