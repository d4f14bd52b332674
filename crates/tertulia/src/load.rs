//! `tertulia load`: participants as Jitsi's clients are, with media of lifelike sizes, and what it
//! costs to serve them.
//!
//! Speaks only what Jitsi's clients speak; works against any Jitsi server.

mod conductor;
mod config_js;
mod connect;
mod discovery;
mod network;
mod participant;
mod process;
mod progress;
mod report;
mod schedule;
mod udp;
mod view;
mod wire;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::TypedValueParser as _;
use clap::{Args, ValueEnum};
use tertulia_client::ChannelKind;
use tertulia_client::media::Voice;

use crate::Failure;
use discovery::Overrides;
use network::Network;
use view::View;

/// What to load a server with.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    /// Address of the server, https://HOST[:PORT][/ROOM]; a room that is not named is a new one
    url: String,
    /// Rooms; with more than one their names end with a number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000).map(as_count))]
    rooms: usize,
    /// Participants in each room
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000).map(as_count))]
    participants: usize,
    /// Everybody has a camera: VP8, 720p at 30 frames a second
    #[arg(long)]
    video: bool,
    /// Cameras send 180p, 360p and 720p, as browsers do
    #[arg(long, value_name = "on|off", num_args = 0..=1, default_value = "on", default_missing_value = "on")]
    simulcast: Switch,
    /// Microphones
    #[arg(long, value_enum, default_value_t = Audio::On)]
    audio: Audio,
    /// So many people of each room take turns in speaking, one at a time
    #[arg(long, value_name = "N", default_value_t = 3)]
    speakers: usize,
    /// How the others are arranged on the screen
    #[arg(long, value_enum, default_value_t = View::Tile)]
    view: View,
    /// Lines of video asked for, whatever would fit on the screen
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(i32).range(1..=2160))]
    height: Option<i32>,
    /// Participants that join in a second; Tertulia takes 50 connections a second of one address
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = positive)]
    join_rate: f64,
    /// New rooms in a minute; Tertulia opens 30 for one address
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..))]
    rooms_per_minute: u32,
    /// How long to measure once all are there: seconds, or with s, m or h
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// What stands between participants and server
    #[arg(long, value_enum, default_value_t = Network::Direct)]
    network: Network,
    /// People leave, crash, come, and change their networks
    #[arg(long)]
    churn: bool,
    /// Bridge channel [default: what the server's config.js prefers]
    #[arg(long, value_enum)]
    channel: Option<Channel>,
    /// Password of the rooms
    #[arg(long, value_name = "WORD")]
    password: Option<String>,
    /// Prints the figures as JSON
    #[arg(long)]
    json: bool,
    /// Believes any certificate
    #[arg(long)]
    insecure: bool,
    /// Process of the server, if it is on this machine; may be repeated [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    server_pid: Vec<u32>,
    /// Threads that it may use [default: one for each core, at most four]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256).map(as_count))]
    threads: Option<usize>,
    #[command(flatten)]
    overrides: Overrides,
}

/// What microphones send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Audio {
    /// Opus, 50 packets a second, silence included
    On,
    /// Opus with discontinuous transmission: in silence a packet each 400 ms
    Dtx,
    /// Nothing
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Channel {
    /// Inside the media connection (SCTP)
    Data,
    /// A WebSocket
    Websocket,
}

impl From<Channel> for ChannelKind {
    fn from(channel: Channel) -> ChannelKind {
        match channel {
            Channel::Data => ChannelKind::Data,
            Channel::Websocket => ChannelKind::WebSocket,
        }
    }
}

impl Audio {
    fn voice(self) -> Option<Voice> {
        match self {
            Audio::On => Some(Voice::LIFELIKE),
            Audio::Dtx => Some(Voice::DISCONTINUOUS),
            Audio::None => None,
        }
    }

    fn name(self) -> String {
        value_name(&self)
    }
}

impl Load {
    fn has_simulcast(&self) -> bool {
        self.simulcast == Switch::On
    }

    fn view_name(&self) -> String {
        value_name(&self.view)
    }

    /// All that is to run.
    fn title(&self, url: &str) -> String {
        let video = match (self.video, self.has_simulcast()) {
            (false, _) => "no video",
            (true, true) => "video",
            (true, false) => "video without simulcast",
        };
        let churn = if self.churn { ", churn" } else { "" };
        format!(
            "{url}: {} × {} participants, {video}, audio {}, {} speakers, {} view, network {}{churn}",
            rooms(self.rooms),
            self.participants,
            self.audio.name(),
            self.speakers,
            self.view_name(),
            self.network.name(),
        )
    }
}

fn rooms(count: usize) -> String {
    match count {
        1 => "1 room".to_owned(),
        _ => format!("{count} rooms"),
    }
}

/// Runs it, and prints what was found.
pub(crate) fn run(load: Load) -> Result<(), Failure> {
    connect::Place::of(&load.url).map_err(|error| Failure::Usage(error.to_string()))?;
    start_logging();
    tertulia_client::install_crypto();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = load.threads.unwrap_or(cores.min(THREADS_MAX));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Failure::Failed)?;
    let is_json = load.json;
    let result = runtime.block_on(conductor::conduct(load, threads));
    runtime.shutdown_timeout(Duration::from_millis(500));
    let report = result.map_err(Failure::Failed)?;
    let text = if is_json {
        report.json() + "\n"
    } else {
        report.table()
    };
    let mut out = std::io::stdout();
    // Nobody reads it, then; the exit code says it all the same.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match report.is_good() {
        true => Ok(()),
        false => Err(Failure::Failed(anyhow::anyhow!(report.complaint()))),
    }
}

/// Silent unless `RUST_LOG` says otherwise: the figures say what there is to say.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::OFF.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    // There is another one only in tests.
    let _ = log.try_init();
}

fn value_name(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn as_count(count: u32) -> usize {
    count as usize
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 10_000.0 => Ok(rate),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// `90`, `90s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text.get(digits.len()..) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        _ => 0,
    };
    let seconds = digits.trim_end().parse::<u32>().ok();
    match seconds.and_then(|seconds| seconds.checked_mul(factor)) {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        _ => Err("expected a time such as 30s, 5m or 1h".to_owned()),
    }
}

const THREADS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
    }

    fn parse(arguments: &[&str]) -> Result<Load, clap::Error> {
        let line = ["load"].iter().chain(arguments);
        Line::try_parse_from(line).map(|line| line.load)
    }

    #[test]
    fn arguments_and_their_defaults() {
        let load = parse(&["https://meet.example.org/tea", "--video"]).unwrap();
        assert!(load.video && load.has_simulcast() && !load.churn && !load.json);
        assert_eq!((load.rooms, load.participants), (1, 3));
        assert_eq!(load.duration, Duration::from_secs(30));
        let load = parse(&["http://x", "--simulcast", "off", "--duration", "2m"]).unwrap();
        assert!(!load.has_simulcast());
        assert_eq!(load.duration, Duration::from_secs(120));
        let load = parse(&[
            "http://x",
            "--network",
            "lossy-5",
            "--audio",
            "dtx",
            "--simulcast",
        ]);
        let load = load.unwrap();
        assert_eq!((load.network, load.audio), (Network::Lossy5, Audio::Dtx));
        assert!(load.has_simulcast());
        for wrong in [
            &[][..],
            &["http://x", "--participants", "0"],
            &["http://x", "--join-rate", "0"],
            &["http://x", "--duration", "soon"],
            &["http://x", "--network", "lossy-99"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn times() {
        for (text, seconds) in [("5", 5), ("90s", 90), ("5m", 300), ("1h", 3600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "0", "-1", "5d", "s", "5000000h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
