//! Synthetic media: what a client sends, and proof of what it receives.
//!
//! Does not know: XMPP, rooms.

mod camera;
mod delays;
mod dependency;
mod leg;
mod microphone;
mod packetizer;
mod reception;
mod session;
mod stamp;
mod totals;
mod vp8;
mod vp9;

pub use camera::{Camera, CameraCodec, Frame, FrameSizes, Layer, SyntheticCamera};
pub use delays::Delays;
pub use leg::Transmit;
pub(crate) use leg::{DEPENDENCY_DESCRIPTOR, TransportOffer, known_extension};
pub use microphone::Voice;
pub use reception::{Flaw, Received, Reception, ReceptionFacts};
pub(crate) use session::{Live, MediaEvent, MediaSession, Sending, SendingVideo, draw_source};
pub use stamp::Stamp;
pub use totals::{MediaTotals, StreamTotals};
