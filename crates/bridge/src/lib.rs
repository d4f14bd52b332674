//! One conference's media: endpoints, forwarding and renumbering, layers, allocation,
//! loudest speaker, and the messages of the bridge channel.
//!
//! Without I/O: a [`Worker`] is handed datagrams, commands and the time, and gives back datagrams
//! in a caller-owned [`Batch`] and everything else through [`Worker::poll_output`]. One worker is
//! one thread; what a conference needs never leaves it.
//!
//! Call any number of `handle_datagram`, then `finish_batch` or `finish_part` until it is false, or
//! one of the other `handle_*`; then `poll_output` until `None`; then sleep until `next_timeout`. Time never goes backwards.

mod allocate;
mod channel;
mod codecs;
mod conference;
mod config;
mod constraints;
mod demux;
mod descriptor;
mod detail;
mod endpoint;
mod figures;
mod foreign;
mod forward;
mod keyframe;
mod lag;
mod limits;
mod loudest;
mod meter;
mod metrics;
mod red;
mod reducer;
mod restart;
mod rewrite;
#[cfg(test)]
mod scalable;
mod seat;
mod senders;
mod slots;
mod source;
mod speaker;
mod statistics;
mod stun;
#[cfg(test)]
mod testing;
mod traffic;
mod worker;

use tertulia_model::{BridgeEvent, ChannelId, ConferenceId};

pub use config::{
    AudioPolicy, Bandwidth, Config, LagPolicy, LoadPolicy, LocalAddress, Timers, VideoPolicy,
};
pub use descriptor::{
    BYTES_MAX as DESCRIPTOR_BYTES_MAX, DecodeTarget, Descriptor, Edit as DescriptorEdit,
    Indication, Structure, Unreadable,
};
pub use detail::{
    ChannelKind, ConferenceDetail, EndpointDetail, EndpointState, EndpointSummary, LayerDetail,
    Path, ReceptionDetail, SourceDetail, StreamDetail,
};
pub use figures::{ConferenceFigures, Figures, Mean};
pub use limits::Limits;
pub use metrics::{METRICS, Metric, MetricKind};
pub use statistics::{Dropped, Statistics};
pub use stun::{MappingAnswer, MappingError, mapping_answer, mapping_request};
pub use tertulia_transport::batch::{Batch, Datagram, Run, Transmit};
pub use worker::{ChannelRefused, DatagramRoute, Worker};

/// What a worker wants of the world, besides datagrams.
#[derive(Clone, Debug)]
pub enum Output {
    /// For the focus of that conference.
    Event {
        conference: ConferenceId,
        event: BridgeEvent,
    },
    /// For the bridge-channel WebSocket of a client.
    ChannelText { channel: ChannelId, text: String },
    /// This bridge-channel WebSocket is to be closed. The channel is forgotten already.
    ChannelClose {
        channel: ChannelId,
        code: u16,
        reason: &'static str,
    },
}
