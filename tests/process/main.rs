//! The built binary from outside: its start and end, its web side, and XMPP spoken by hand.
//!
//! `cargo build -p tertulia` comes first (`make test` does it). Each test has a server of its own
//! on free ports with a data folder of its own; everything it waits for has a deadline.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod browser;
mod client;
mod server;

mod admin;
mod bosh;
mod bridge_channel;
mod crash;
mod flood;
mod http;
mod journal;
mod limits;
mod load;
mod meeting;
mod services;
mod start;
mod stop;
mod turn;
mod web_app;
mod xmpp;
