use std::net::SocketAddr;
use std::time::Duration;

use jid::{DomainPart, Jid};
use tertulia_model::{RoomJid, Ssrc};

use crate::media::{Camera, Layer, SyntheticCamera};

/// Everything that a [`Client`](crate::Client) is told before it starts.
pub struct ClientConfig {
    /// The server's XMPP domain.
    pub domain: DomainPart,
    pub room: RoomJid,
    /// Where conference requests go.
    pub focus: Jid,
    /// What others see as name.
    pub display_name: String,
    /// What the client would keep in its local storage to be known again.
    pub machine_uid: String,
    /// Our UDP address, as the network sees it.
    pub address: SocketAddr,
    pub channel: ChannelKind,
    pub request: RequestKind,
    pub audio_interval: Duration,
    /// None for a client without a camera.
    pub video: Option<VideoConfig>,
    pub redial: Redial,
}

/// By which way the bridge channel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// SCTP inside the media transport.
    Data,
    /// The WebSocket that the offer names.
    WebSocket,
}

/// By which way the conference is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// An iq to the focus' address.
    Iq,
    /// `POST /conference-request/v1`.
    Http,
}

/// A camera and its simulcast encodings.
pub struct VideoConfig {
    /// From low to high.
    pub layers: Vec<Layer>,
    pub interval: Duration,
    /// Makes the camera of a new session, whose source is known by the given SSRC.
    pub camera: fn(Ssrc, &[Layer], Duration) -> Box<dyn Camera>,
}

/// How long to wait before dialling again. Drawn between `min` and twice `min`; `min` doubles with
/// each failure up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redial {
    pub min: Duration,
    pub max: Duration,
}

impl VideoConfig {
    /// Three layers of 90, 180 and 360 lines, ten frames a second, 280 kbit/s in all.
    pub fn modest() -> VideoConfig {
        let layer = |width, height, bitrate_bps| Layer {
            width,
            height,
            bitrate_bps,
        };
        VideoConfig {
            layers: vec![
                layer(160, 90, 40_000),
                layer(320, 180, 80_000),
                layer(640, 360, 160_000),
            ],
            interval: Duration::from_millis(100),
            camera: |source, layers, interval| {
                Box::new(SyntheticCamera::new(source, layers, interval))
            },
        }
    }
}
