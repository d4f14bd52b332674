//! What may be used up, by whom. Nothing on the bridge grows without one of these bounds.

/// Bounds of one worker.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Conferences on one worker (1 000).
    pub conferences: usize,
    /// Endpoints on one worker (2 000).
    pub endpoints: usize,
    /// Endpoints in one conference (500).
    pub endpoints_per_conference: usize,
    /// Sources of one endpoint (20); the focus refuses more, here it is the backstop.
    pub sources_per_endpoint: usize,
    /// SSRCs for the audio of others towards one endpoint with SSRC rewriting (50).
    pub audio_slots: usize,
    /// The same for video, each with one for retransmissions; as many sources are sent to it at
    /// most (50).
    pub video_slots: usize,
    /// Remote addresses of one endpoint (20).
    pub addresses_per_endpoint: usize,
    /// Addresses whose packets belong to another worker (16 384).
    pub foreign_addresses: usize,
    /// Connectivity checks, and packets that name a known SSRC, per second from unknown addresses
    /// of one /24 or /48 (200).
    pub unknown_checks_per_second: u32,
    /// How many of them at once (1 000).
    pub unknown_checks_burst: u32,
    /// Bridge-channel messages per second from one endpoint (100).
    pub messages_per_second: u32,
    /// How many of them at once (500).
    pub messages_burst: u32,
    /// Bytes of one bridge-channel message (65 536).
    pub message_bytes: usize,
    /// Messages waiting for one endpoint's data channel (512).
    pub outbox_messages: usize,
    /// Bytes waiting for one endpoint's data channel (1 048 576).
    pub outbox_bytes: usize,
    /// Names in one client's constraints (500).
    pub constraints: usize,
}
