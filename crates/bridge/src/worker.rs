//! One media thread's share of the bridge: finds out whose a datagram is, and hands it to the
//! conference that it belongs to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tertulia_model::{BridgeCommand, ChannelId, ConferenceId, EndpointId, Now};

use crate::{Batch, Config, Output, Statistics};

/// All conferences of one media thread.
pub struct Worker {
    config: Arc<Config>,
}

/// Who is to handle a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramRoute {
    /// This worker: [`Worker::handle_datagram`].
    Here,
    /// The worker of that index; hand it over with both addresses.
    Worker(u16),
    /// Nobody.
    Drop,
}

/// A bridge-channel WebSocket that may not be opened. Whether the endpoint or the password was
/// wrong is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such conference, endpoint or password")]
pub struct ChannelRefused;

impl Worker {
    /// A worker without conferences.
    pub fn new(config: Arc<Config>, index: u16, seed: [u8; 32], now: Now) -> Worker {
        let _ = (index, seed, now);
        Worker { config }
    }

    /// Who is to handle a datagram that arrived on this worker's socket.
    pub fn route(&mut self, now: Now, from: SocketAddr, data: &[u8]) -> DatagramRoute {
        let _ = (now, from, data, &self.config);
        DatagramRoute::Here
    }

    /// Takes in one datagram that this worker is to handle.
    pub fn handle_datagram(
        &mut self,
        now: Now,
        from: SocketAddr,
        to: SocketAddr,
        data: &[u8],
        out: &mut Batch,
    ) {
        let _ = (now, from, to, data, out);
    }

    /// To be called after each batch of datagrams: sends what they gave rise to.
    pub fn finish_batch(&mut self, now: Now, out: &mut Batch) {
        let _ = (now, out);
    }

    /// Carries out a command of the focus of `conference`.
    pub fn handle_command(
        &mut self,
        now: Now,
        conference: &ConferenceId,
        command: BridgeCommand,
        out: &mut Batch,
    ) {
        let _ = (now, conference, command, out);
    }

    /// A client wants to use a WebSocket as its bridge channel.
    pub fn open_channel(
        &mut self,
        now: Now,
        conference: &ConferenceId,
        endpoint: &EndpointId,
        password: &str,
        channel: ChannelId,
    ) -> Result<(), ChannelRefused> {
        let _ = (now, conference, endpoint, password, channel);
        Err(ChannelRefused)
    }

    /// A message on a bridge-channel WebSocket.
    pub fn handle_channel_text(
        &mut self,
        now: Now,
        channel: ChannelId,
        text: &str,
        out: &mut Batch,
    ) {
        let _ = (now, channel, text, out);
    }

    /// A bridge-channel WebSocket is gone.
    pub fn handle_channel_closed(&mut self, now: Now, channel: ChannelId) {
        let _ = (now, channel);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Batch) {
        let _ = (now, out);
    }

    /// The next thing that the worker wants.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When to call [`Worker::handle_timeout`] at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// A reading of its counters.
    pub fn statistics(&self) -> Statistics {
        Statistics::default()
    }
}
