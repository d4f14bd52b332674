//! A headless participant: what a browser with Jitsi's library does in a meeting, without a
//! browser, a socket or a clock of its own.
//!
//! [`Client`] connects, requests the conference, joins (through the lobby, with a password, into
//! a breakout room), answers the focus, sends synthetic media and receives that of the others; it
//! does with the meeting's features what users of Jitsi's application do, and keeps facts about
//! everything that a test or an operator wants to verify. Used by the simulator, the load
//! generator and `hold`.
//!
//! Does not know: sockets, other clients' insides, what the server should do.

mod call;
mod channel;
mod client;
mod config;
mod line;
mod notice;
mod occupants;

pub mod media;

#[cfg(test)]
mod tests;

pub use channel::Constraints;
pub use client::{
    BreakoutRoom, BreakoutRooms, Client, Knocker, Moderation, Output, Poll, PollAnswer,
    RemoteSource, RoomInfo, Seated, SpeakerStats,
};
pub use config::{ChannelKind, ClientConfig, Comeback, Habits, Redial, RequestKind, VideoConfig};
pub use notice::{Deed, MediaKind, Notice, Outcome, Refusal, Trouble};
pub use occupants::Occupant;
pub use tertulia_stream::Failure as StreamFailure;

/// Installs str0m's cryptography for the whole process; more than once does no harm.
pub fn install_crypto() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| str0m::crypto::from_feature_flags().install_process_default());
}
