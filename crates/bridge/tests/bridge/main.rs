//! Whole conferences in memory: workers, clients on str0m, virtual time.

use tertulia_bridge::{Bandwidth, Config, Limits, LocalAddress, Timers, VideoPolicy};

mod abuse;
mod channel;
mod connect;
mod media;
mod room;
#[path = "../../src/testing.rs"]
mod testing;
