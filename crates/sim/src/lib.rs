//! Whole meetings on virtual time: the real stream, conference and bridge in one process without
//! sockets, scripted people with real WebRTC transports, and a network that loses, delays and
//! reorders, all from one seed.
//!
//! [`Sim::run`] makes a meeting at random, looks at it ten times a (virtual) second through the
//! numbered claims of [`checker`], lets the faults stop, waits until the meeting has healed, sends
//! everybody home and counts what is left.

pub mod checker;
pub mod clock;
pub mod coverage;
pub mod network;
pub mod node;
pub mod person;
pub mod quality;
pub mod sabotage;
pub mod witness;
pub mod world;

mod crypto;
mod journal;
mod scenario;
mod story;

pub use journal::Journal;
pub use scenario::{Options, Report, Sim};
pub use story::{Forgery, Story};
