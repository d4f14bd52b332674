//! Ids and small value types that all of Tertulia speaks, and the words between focus and bridge.
//!
//! Nothing here does I/O, reads a clock or draws randomness by itself.

mod capability;
mod fingerprint;
mod hosts;
mod ids;
mod invariant;
mod media;
mod private;
mod random;
mod rate;
mod session;
mod time;
mod turn;

pub mod bridge;
mod bridge_status;

pub use bridge::{BridgeCommand, BridgeEvent, MayForward};
pub use bridge_status::{BridgeFault, BridgeLife, BridgeStatus};
pub use capability::{Capabilities, Capability, Preset};
pub use fingerprint::Fingerprint;
pub use hosts::{Host, Hosts, Service};
pub use ids::{
    AllocationId, ChannelId, ConferenceId, DeviceId, EndpointId, InvalidDeviceId,
    InvalidEndpointId, InvalidSourceName, RequestId, RoomJid, SessionId, SourceName,
};
pub use invariant::violated;
pub use media::{Encoding, MediaType, Source, Ssrc, VideoCodec, VideoType};
pub use private::Private;
pub use random::Random;
pub use rate::{Bucket, NetworkRates, network_of};
pub use session::{EndReason, SessionChange, SessionProfile};
pub use time::Now;
pub use turn::{TurnCredentials, TurnSecret, TurnUser};

/// Re-exported so that every crate uses one JID type.
pub use jid;
