use std::net::SocketAddr;
use std::time::Duration;

use jid::{DomainPart, Jid};
use tertulia_model::{RoomJid, Ssrc};

use crate::media::{Camera, CameraCodec, FrameSizes, Layer, SyntheticCamera, Voice};

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
    pub habits: Habits,
}

/// What users, applications and versions of Jitsi's library do differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habits {
    /// Where guests log in, if not at the server's own domain (`hosts.anonymousdomain`).
    pub guest_domain: Option<DomainPart>,
    /// The room's password, where it is known before.
    pub password: Option<String>,
    /// Told to the moderators while waiting in the lobby.
    pub email: Option<String>,
    /// Knocks by itself when the room has a lobby.
    pub knocks: bool,
    /// Asks to be a visitor, who only listens.
    pub prefers_visitor: bool,
    /// Comes without microphone or camera switched on: neither is announced before it is wanted.
    pub starts_audio_muted: bool,
    pub starts_video_muted: bool,
    /// Thresholds that go into the conference request: from the n-th participant on muted.
    pub start_audio_muted: Option<u32>,
    pub start_video_muted: Option<u32>,
    /// Takes others' media on SSRCs of the bridge (`flags.ssrcRewritingEnabled`).
    pub has_ssrc_rewriting: bool,
    /// Renews a dead path in place before it asks for a new session (`enableIceRestart`).
    pub has_ice_restart: bool,
    /// Ignores that it was muted, and unmutes although it must not.
    pub is_defiant: bool,
    pub comeback: Comeback,
    /// How much the microphone sends; [`Voice::PLAIN`] if nothing is said.
    pub voice: Option<Voice>,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            guest_domain: None,
            password: None,
            email: None,
            knocks: true,
            prefers_visitor: false,
            starts_audio_muted: false,
            starts_video_muted: false,
            start_audio_muted: None,
            start_video_muted: None,
            has_ssrc_rewriting: false,
            has_ice_restart: false,
            is_defiant: false,
            comeback: Comeback::Rebind,
            voice: None,
        }
    }
}

/// What to do when the server does not know the session any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comeback {
    /// Binds on the stream on which the resumption was refused and joins again, as Tertulia's own
    /// web client does.
    Rebind,
    /// Throws the page away and opens it again from the same device, as Jitsi's application does:
    /// also after three resumptions in vain, or when the session cannot be resumed.
    Reload {
        /// From the loss to the new page.
        after: Duration,
        /// Joins the breakout room again in which it was; a browser's page knows only the main
        /// room's address.
        into_breakout_room: bool,
    },
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

/// A camera and its simulcast encodings or spatial layers.
pub struct VideoConfig {
    /// Where the focus offers no VP9, VP8 is sent instead.
    pub codec: CameraCodec,
    /// From low to high.
    pub layers: Vec<Layer>,
    pub interval: Duration,
    /// Makes the camera of a new session, whose source is known by the given SSRC.
    pub camera: fn(Ssrc, &[Layer], Duration) -> Box<dyn Camera>,
    /// Bits per second at which packets of one picture follow each other; None for all at once.
    pub pacing_bps: Option<u32>,
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
            codec: CameraCodec::Vp8,
            layers: vec![
                layer(160, 90, 40_000),
                layer(320, 180, 80_000),
                layer(640, 360, 160_000),
            ],
            interval: Duration::from_millis(100),
            camera: |source, layers, interval| {
                Box::new(SyntheticCamera::new(source, layers, interval))
            },
            pacing_bps: None,
        }
    }

    /// What a browser sends of a camera at thirty frames a second: VP8 in 180, 360 and 720 lines
    /// at 150, 500 and 2000 kbit/s, or the last one alone; paced as in libwebrtc.
    pub fn lifelike(is_simulcast: bool) -> VideoConfig {
        let layer = |width, height, bitrate_bps| Layer {
            width,
            height,
            bitrate_bps,
        };
        let mut layers = vec![layer(1280, 720, 2_000_000)];
        if is_simulcast {
            layers.splice(0..0, [layer(320, 180, 150_000), layer(640, 360, 500_000)]);
        }
        let bitrate_bps: u32 = layers.iter().map(|layer| layer.bitrate_bps).sum();
        VideoConfig {
            codec: CameraCodec::Vp8,
            layers,
            interval: Duration::from_nanos(33_333_333),
            camera: |source, layers, interval| {
                let sizes = FrameSizes::Lifelike;
                Box::new(SyntheticCamera::with_sizes(source, layers, interval, sizes))
            },
            // libwebrtc's pacing factor.
            pacing_bps: Some(bitrate_bps / 2 * 5),
        }
    }

    /// What Chromium sends of a camera at thirty frames a second as VP9 with spatial layers: 180,
    /// 360 and 720 lines at 150, 500 and 2000 kbit/s, each with those below; paced as in libwebrtc.
    pub fn lifelike_scalable() -> VideoConfig {
        let layer = |width, height, bitrate_bps| Layer {
            width,
            height,
            bitrate_bps,
        };
        VideoConfig {
            codec: CameraCodec::Vp9,
            layers: vec![
                layer(320, 180, 150_000),
                layer(640, 360, 350_000),
                layer(1280, 720, 1_500_000),
            ],
            camera: |source, layers, interval| {
                let sizes = FrameSizes::Lifelike;
                let camera = SyntheticCamera::with_sizes(source, layers, interval, sizes);
                Box::new(camera.scalable())
            },
            pacing_bps: Some(2_000_000 / 2 * 5),
            ..VideoConfig::lifelike(false)
        }
    }
}
