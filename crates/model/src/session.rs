use std::net::IpAddr;

use jid::{BareJid, FullJid};

use crate::{RoomJid, SessionId};

/// What the rest of the server needs to know of a client session; constant for its life.
#[derive(Clone, Debug)]
pub struct SessionProfile {
    pub id: SessionId,
    pub jid: FullJid,
    /// How this client reaches our web server: scheme and authority for WebSocket URLs handed to
    /// it, e.g. `wss://192.0.2.1:8443`, without a path (DESIGN 10, `public_url`).
    pub websocket_base: String,
    /// The client came over loopback and may be given loopback media candidates.
    pub is_loopback: bool,
    /// The room named in the URL by which it connected. Commands to the services of a meeting name
    /// no room: they are about this one, or about the one the session is in.
    pub room: Option<RoomJid>,
    /// Who it is beyond this connection; None for guests.
    pub account: Option<BareJid>,
    /// The client's address after `trusted_proxies`; for limits only.
    pub address: IpAddr,
}

/// What happens to a session while it is in rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// Its socket is gone; the lease runs.
    Paused,
    /// A new socket took it over.
    Resumed,
    /// It is over; it must be out of every room at once.
    Ended(EndReason),
}

/// Why a client session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client said goodbye: `<close/>`, or WebSocket close code 1001 (the page is gone).
    Closed,
    /// No new socket within the lease.
    LeaseExpired,
    /// More was waiting for it than its limit allows (a slow reader).
    Overflow,
    /// It broke a rule of the stream (size, rate, malformed XML).
    PolicyViolation,
    /// The server ends all meetings.
    Shutdown,
}
