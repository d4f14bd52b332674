//! A conference as an administrator sees it, and each of its endpoints: its path, its bandwidth,
//! what it sends and what it is sent. Made when asked, one endpoint at a time: the media thread has
//! other things to do.

use std::net::SocketAddr;
use std::time::Duration;

use tertulia_model::bridge::EndpointOffer;
use tertulia_model::{
    AllocationId, ConferenceId, EndpointId, MayForward, MediaType, SourceName, Ssrc, VideoType,
};
use tertulia_transport::session::PathReport;

/// A conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceDetail {
    pub id: ConferenceId,
    pub age: Duration,
    pub dominant_speaker: Option<EndpointId>,
    /// In the order of their seats.
    pub endpoints: Vec<EndpointSummary>,
}

/// An endpoint among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSummary {
    pub id: EndpointId,
    pub state: EndpointState,
    /// What others are told of its connection.
    pub is_active: bool,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointDetail {
    pub id: EndpointId,
    pub allocation: AllocationId,
    pub state: EndpointState,
    pub age: Duration,
    /// What others are told of its connection.
    pub is_active: bool,
    /// Its signalling socket is lost.
    pub is_paused: bool,
    /// Since the last packet.
    pub quiet_for: Option<Duration>,
    /// Where it was shown to be, each with the time since its last packet from there.
    pub addresses: Vec<(SocketAddr, Duration)>,
    pub path: Path,
    /// By what its bridge channel runs.
    pub channel: Option<ChannelKind>,
    /// Messages that wait for room in its data channel.
    pub messages_waiting: usize,
    pub offer: EndpointOffer,
    pub may: MayForward,
    /// What it can be sent, as measured.
    pub estimate_bps: Option<u64>,
    /// What was divided among its sources last.
    pub divided_bps: u64,
    /// Nothing is estimated, since no video is sent to it.
    pub is_resting: bool,
    /// What it asks for.
    pub wants: String,
    /// What arrived from it.
    pub streams: Vec<StreamDetail>,
    /// What it says that it sends.
    pub sources: Vec<SourceDetail>,
    /// What others send, as it is sent to it.
    pub receives: Vec<ReceptionDetail>,
}

/// How far an endpoint has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// Its client has not answered the invitation yet.
    Invited,
    /// ICE and DTLS are under way.
    Connecting,
    Connected,
    /// Its transport is gone.
    Lost,
}

/// How the way to a client does, as its transport measures it every few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Path {
    /// Our address that is in use.
    pub local: Option<SocketAddr>,
    /// The client's address that is in use.
    pub remote: Option<SocketAddr>,
    pub round_trip: Option<Duration>,
    /// Share of the packets from the client that were lost, 0 to 1.
    pub incoming_loss: Option<f32>,
    /// Share of the packets to the client that were lost, 0 to 1.
    pub outgoing_loss: Option<f32>,
    /// Bytes of datagrams from the client.
    pub bytes_in: u64,
    /// Bytes of datagrams to the client.
    pub bytes_out: u64,
}

impl Path {
    pub(crate) fn of(report: &PathReport) -> Path {
        Path {
            local: report.path.map(|path| path.source),
            remote: report.path.map(|path| path.destination),
            // Checks are answered by whoever is there, media or not.
            round_trip: report.check.or(report.round_trip),
            incoming_loss: report.incoming_loss,
            outgoing_loss: report.outgoing_loss,
            bytes_in: report.bytes_in,
            bytes_out: report.bytes_out,
        }
    }
}

/// What carries a bridge channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    DataChannel,
    WebSocket,
}

/// One SSRC of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamDetail {
    pub ssrc: Ssrc,
    pub media: MediaType,
    pub packets: u64,
    /// Of payloads.
    pub bytes: u64,
    pub quiet_for: Duration,
}

/// A source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDetail {
    pub name: SourceName,
    pub media: MediaType,
    pub video_type: VideoType,
    /// What its sender was told that anybody wants of it, in lines.
    pub told_height: Option<i32>,
    /// What arrives, from low to high; empty for audio.
    pub layers: Vec<LayerDetail>,
}

/// A layer of a video source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerDetail {
    pub encoding: u8,
    pub temporal: u8,
    /// Lines.
    pub height: u32,
    pub fps: f32,
    /// With the layers below it.
    pub bitrate_bps: u64,
    pub is_active: bool,
}

/// A source of somebody else on its way to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceptionDetail {
    pub source: SourceName,
    /// The SSRC under which the endpoint gets it; None while it has no slot.
    pub ssrc: Option<Ssrc>,
    /// The slot, for those who take part in SSRC rewriting.
    pub slot: Option<usize>,
    /// Lines that it asks for; None for audio.
    pub asked_height: Option<i32>,
    /// What it is to get; None for nothing, and for audio.
    pub target: Option<String>,
    /// The encoding that it gets.
    pub encoding: Option<u8>,
}
