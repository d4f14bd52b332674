//! A STUN and TURN server (RFC 8489, RFC 8656) as a state machine.
//!
//! Who cannot reach the media port by UDP reaches it through a *TURN allocation*: a UDP port of
//! ours that sends and receives for one client, which itself comes by UDP, TCP or TLS. The shell
//! owns the sockets; [`TurnServer`] decides what may be allocated, by whom, and with whom it may
//! exchange packets ([`Peers`]).
//!
//! Not spoken: TCP towards peers (RFC 6062), reservation of the next port, mobility. `docs/adr`
//! says why this is our own and no library.

mod allocation;
mod auth;
mod config;
mod deadlines;
pub mod framing;
mod peers;
mod quota;
mod reply;
mod server;
mod statistics;

pub use config::{Config, Limits};
pub use peers::{OwnAddress, Peers};
pub use server::{BindFailed, Output, Path, RelayId, ToPeer, Transport, TurnServer};
pub use statistics::Statistics;
