//! SCTP over DTLS (RFC 8261) with the one data channel of a client (RFC 8831, 8832).
//!
//! The client begins the association and opens the channel. Further channels and what comes by
//! them are taken in and ignored, so that they do not stand in the way of this one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sctp_proto::{
    AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Protocol, ReliabilityType, ServerConfig, StreamEvent, Transmit,
    TransportConfig,
};
use tracing::debug;

use super::MTU;

/// An association that waits for the client's.
pub(super) struct Association {
    endpoint: Endpoint,
    inner: Option<(AssociationHandle, sctp_proto::Association)>,
    /// Streams that the client has opened.
    streams: Vec<u16>,
    /// The one that is used.
    channel: Option<u16>,
    wants_room: bool,
    is_over: bool,
    events: VecDeque<ChannelEvent>,
    refused: u64,
}

/// What an association tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChannelEvent {
    Open,
    Text(String),
    Room,
    Closed,
    /// The client ended the association, or broke its rules.
    Lost,
}

/// Why a text was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the client has no data channel open")]
    NotOpen,
    #[error("so much is waiting to be sent that there is no room now")]
    NoRoom,
    #[error("longer than the client has to accept")]
    TooLong,
}

impl Association {
    pub(super) fn new() -> Association {
        let mut config = EndpointConfig::default();
        config.max_payload_size(PAYLOAD_MAX);
        let transport = TransportConfig::default()
            // Whether the client is there is for ICE to say.
            .with_max_init_retransmits(None)
            .with_max_data_retransmits(None)
            .with_rto_initial_ms(RTO_INITIAL_MS)
            .with_rto_min_ms(RTO_MIN_MS)
            .with_max_send_message_size(SEND_MAX as u32)
            .with_max_receive_message_size(RECEIVE_MAX)
            .with_max_receive_buffer_size(RECEIVE_BUFFER);
        let mut server = ServerConfig::default();
        server.transport = Arc::new(transport);
        Association {
            endpoint: Endpoint::new(Arc::new(config), Some(Arc::new(server))),
            inner: None,
            streams: Vec::new(),
            channel: None,
            wants_room: false,
            is_over: false,
            events: VecDeque::new(),
            refused: 0,
        }
    }

    pub(super) fn has_channel(&self) -> bool {
        self.channel.is_some()
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        let (_, inner) = self.inner.as_ref().filter(|_| !self.is_over)?;
        inner.poll_timeout()
    }

    /// Takes in a packet.
    pub(super) fn handle(&mut self, now: Instant, data: Vec<u8>) {
        if self.is_over {
            return;
        }
        match self.endpoint.handle(now, peer(), None, None, data.into()) {
            Some((handle, DatagramEvent::NewAssociation(new))) => {
                // A peer has one; an endpoint would keep as many as it is asked for.
                self.endpoint.reject_new_associations();
                self.inner.get_or_insert((handle, new));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, inner)) = &mut self.inner {
                    inner.handle_event(event);
                }
            }
            None => {
                self.refused += 1;
                return;
            }
        }
        self.work();
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, inner)) = self.inner.as_mut().filter(|_| !self.is_over) {
            inner.handle_timeout(now);
            self.work();
        }
    }

    pub(super) fn poll(&mut self) -> Option<ChannelEvent> {
        self.events.pop_front()
    }

    /// Appends packets that are to leave; false if there were none.
    pub(super) fn poll_transmit(&mut self, now: Instant, packets: &mut Vec<Vec<u8>>) -> bool {
        let inner = self.inner.as_mut();
        let transmit = self
            .endpoint
            .poll_transmit()
            .or_else(|| inner.and_then(|(_, inner)| inner.poll_transmit(now)));
        let Some(Transmit { payload, .. }) = transmit else {
            return false;
        };
        if let Payload::RawEncode(encoded) = payload {
            packets.extend(encoded.into_iter().map(Vec::from));
        }
        true
    }

    pub(super) fn write_text(&mut self, text: &str) -> Result<(), WriteError> {
        let id = self.channel.ok_or(WriteError::NotOpen)?;
        let (_, inner) = self.inner.as_mut().ok_or(WriteError::NotOpen)?;
        if text.len() > SEND_MAX {
            return Err(WriteError::TooLong);
        }
        let mut stream = inner.stream(id).map_err(|_| WriteError::NotOpen)?;
        let waiting = stream.buffered_amount().map_err(|_| WriteError::NotOpen)?;
        if waiting + text.len() > BUFFER_MAX {
            self.wants_room = true;
            return Err(WriteError::NoRoom);
        }
        // SCTP cannot send nothing (RFC 8831, 6.6).
        let written = if text.is_empty() {
            stream.write_with_ppi(&[0], Protocol::StringEmpty)
        } else {
            stream.write_with_ppi(text.as_bytes(), Protocol::String)
        };
        written.map(drop).map_err(|error| {
            debug!(%error, "a data channel does not send");
            WriteError::NotOpen
        })
    }

    /// Ends it as far as that can be done without waiting for the peer.
    pub(super) fn shut_down(&mut self) {
        if let Some((_, inner)) = &mut self.inner
            && let Err(error) = inner.shutdown()
        {
            debug!(%error, "an association is not shut down");
        }
        self.is_over = true;
    }

    /// What follows from the packets and timers of the moment.
    fn work(&mut self) {
        loop {
            let Some((handle, inner)) = &mut self.inner else {
                return;
            };
            while let Some(event) = inner.poll_endpoint_event() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    inner.handle_event(event);
                }
            }
            let Some(event) = inner.poll() else {
                return;
            };
            match event {
                Event::AssociationLost { reason } => {
                    debug!(%reason, "a client's association is lost");
                    self.lose();
                    return;
                }
                Event::HandshakeFailed { reason } => {
                    debug!(%reason, "an association is not made");
                }
                Event::Stream(event) => self.stream(event),
                _ => {}
            }
        }
    }

    fn lose(&mut self) {
        if self.channel.take().is_some() {
            self.events.push_back(ChannelEvent::Closed);
        }
        self.events.push_back(ChannelEvent::Lost);
        self.is_over = true;
    }

    fn stream(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { id } => {
                if self.streams.len() >= STREAMS_MAX {
                    debug!("a client opens too many streams");
                    if let Some((_, inner)) = &mut self.inner {
                        // Told as its loss.
                        let _ = inner.close();
                    }
                } else if !self.streams.contains(&id) {
                    self.streams.push(id);
                }
            }
            StreamEvent::Readable { id } => self.read(id),
            StreamEvent::Finished { id } | StreamEvent::Stopped { id, .. } => self.end(id),
            StreamEvent::BufferedAmountLow { id }
                if self.channel == Some(id) && self.wants_room =>
            {
                self.wants_room = false;
                self.events.push_back(ChannelEvent::Room);
            }
            _ => {}
        }
    }

    /// Reads all that is whole, also what nobody wants: it would fill the window.
    fn read(&mut self, id: u16) {
        loop {
            let Some((_, inner)) = &mut self.inner else {
                return;
            };
            let Ok(mut stream) = inner.stream(id) else {
                return;
            };
            let Ok(Some(chunks)) = stream.read() else {
                return;
            };
            let mut message = vec![0; chunks.len()];
            if chunks.read(&mut message).is_err() {
                return;
            }
            self.take(id, chunks.ppi, message);
        }
    }

    fn take(&mut self, id: u16, protocol: Protocol, message: Vec<u8>) {
        match protocol {
            Protocol::Dcep => self.negotiate(id, &message),
            _ if self.channel != Some(id) => self.refused += 1,
            Protocol::StringEmpty | Protocol::BinaryEmpty => {
                self.events.push_back(ChannelEvent::Text(String::new()));
            }
            // Text sent as bytes is understood too.
            _ => match String::from_utf8(message) {
                Ok(text) => self.events.push_back(ChannelEvent::Text(text)),
                Err(_) => self.refused += 1,
            },
        }
    }

    /// The client opens a channel (RFC 8832).
    fn negotiate(&mut self, id: u16, message: &[u8]) {
        let Some(open) = Open::read(message) else {
            self.refused += 1;
            self.end(id);
            return;
        };
        let Some((_, inner)) = &mut self.inner else {
            return;
        };
        let Ok(mut stream) = inner.stream(id) else {
            return;
        };
        let agreed = stream
            .set_reliability_params(open.is_unordered, open.reliability, open.parameter)
            .and_then(|()| stream.set_buffered_amount_low_threshold(BUFFER_LOW))
            .and_then(|()| stream.write_with_ppi(&[ACK], Protocol::Dcep));
        if let Err(error) = agreed {
            debug!(%error, "a data channel is not opened");
            self.end(id);
        } else if open.is_ours() && self.channel.is_none() {
            self.channel = Some(id);
            self.events.push_back(ChannelEvent::Open);
        } else if self.channel != Some(id) {
            debug!("a further data channel is not used");
        }
    }

    /// Closes a stream; the client's half is closed, or of no use (RFC 8831, 6.7).
    fn end(&mut self, id: u16) {
        self.streams.retain(|stream| *stream != id);
        if let Some((_, inner)) = &mut self.inner
            && let Ok(mut stream) = inner.stream(id)
        {
            // It fails if the association ends too.
            let _ = stream.close();
        }
        if self.channel == Some(id) {
            self.channel = None;
            self.wants_room = false;
            self.events.push_back(ChannelEvent::Closed);
        }
    }
}

/// DATA_CHANNEL_OPEN (RFC 8832, 5.1), as far as it matters.
struct Open<'a> {
    is_unordered: bool,
    reliability: ReliabilityType,
    parameter: u32,
    label: &'a str,
    protocol: &'a str,
}

impl Open<'_> {
    fn read(message: &[u8]) -> Option<Open<'_>> {
        let (head, rest) = message.split_first_chunk::<12>()?;
        let [OPEN, kind, _, _, p0, p1, p2, p3, l0, l1, n0, n1] = *head else {
            return None;
        };
        let label = usize::from(u16::from_be_bytes([l0, l1]));
        let protocol = usize::from(u16::from_be_bytes([n0, n1]));
        let (label, rest) = rest.split_at_checked(label)?;
        Some(Open {
            is_unordered: kind & 0x80 != 0,
            reliability: (kind & 0x7f).into(),
            parameter: u32::from_be_bytes([p0, p1, p2, p3]),
            label: std::str::from_utf8(label).ok()?,
            protocol: std::str::from_utf8(rest.get(..protocol)?).ok()?,
        })
    }

    fn is_ours(&self) -> bool {
        self.label == LABEL || self.protocol == PROTOCOL
    }
}

/// SCTP wants an address; below DTLS there is only one peer.
fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5_000))
}

const OPEN: u8 = 3;
const ACK: u8 = 2;
/// COMPAT(lib-jitsi-meet): how its data channel is called, and the protocol in it.
pub(super) const LABEL: &str = "JVB data channel";
pub(super) const PROTOCOL: &str = "http://jitsi.org/protocols/colibri";
/// Bytes of messages in one packet: the records of DTLS take up to 48 bytes, the header of SCTP
/// and of its one chunk 28, and there is room for an acknowledgement in the same packet.
const PAYLOAD_MAX: u32 = MTU as u32 - 48 - 40;
/// What a client has to accept that announces nothing (RFC 8841, 6.1).
pub(super) const SEND_MAX: usize = 65_536;
/// As much as browsers accept themselves.
pub(super) const RECEIVE_MAX: u32 = 262_144;
/// A few messages of the largest kind, in pieces.
const RECEIVE_BUFFER: u32 = 1_048_576;
/// Of a client that takes nothing more in so much is kept.
const BUFFER_MAX: usize = 131_072;
/// Below so many waiting bytes there is room again.
const BUFFER_LOW: usize = 16_384;
/// RFC 9260, 16: a second.
const RTO_INITIAL_MS: u64 = 1_000;
/// As libwebrtc's own SCTP; longer than a delayed acknowledgement takes (200 ms). With a second,
/// as in RFC 9260, a message that is lost last comes a second late.
const RTO_MIN_MS: u64 = 400;
/// A browser's page opens one or two.
pub(super) const STREAMS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8832, 5.1: unordered, five retransmissions.
    const MESSAGE: [u8; 21] = *b"\x03\x81\x01\x00\x00\x00\x00\x05\x00\x04\x00\x05chatproto";

    #[test]
    fn an_opening_is_read() {
        let open = Open::read(&MESSAGE).expect("well formed");
        assert!(open.is_unordered && open.reliability == ReliabilityType::Rexmit);
        assert_eq!(
            (open.parameter, open.label, open.protocol),
            (5, "chat", "proto")
        );
        assert!(!open.is_ours());
    }

    #[test]
    fn what_is_no_opening_is_refused() {
        for length in 0..MESSAGE.len() {
            assert!(Open::read(&MESSAGE[..length]).is_none(), "{length}");
        }
        for (at, value) in [(0, 2), (8, 0xff), (10, 0xff), (12, 0xff), (20, 0xc3)] {
            let mut message = MESSAGE;
            message[at] = value;
            assert!(Open::read(&message).is_none(), "{at}");
        }
    }
}
