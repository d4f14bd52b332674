//! A headless participant: what a browser with Jitsi's library does in a meeting, without a
//! browser, a socket or a clock of its own.
//!
//! [`Client`] connects, requests the conference, joins, answers the focus, sends synthetic media
//! and receives that of the others; it keeps facts about everything that a test or an operator
//! wants to verify. Used by the simulator, the load generator and `hold`.
//!
//! Does not know: sockets, other clients' insides, what the server should do.

mod call;
mod channel;
mod client;
mod config;
mod line;
mod occupants;

pub mod media;

#[cfg(test)]
mod tests;

pub use channel::Constraints;
pub use client::{Client, Notice, Output, RemoteSource, Trouble};
pub use config::{ChannelKind, ClientConfig, Redial, RequestKind, VideoConfig};
pub use occupants::Occupant;
