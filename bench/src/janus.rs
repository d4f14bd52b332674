//! Janus' videoroom plugin over its HTTP API: one that publishes, others that subscribe to it.
//!
//! Speaks: <https://janus.conf.meetecho.com/docs/rest> and the plugin's `joinandconfigure`,
//! `join`, `start`.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use str0m::RtcConfig;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind};

use crate::peer::{Camera, Peer, bind};
use crate::process::{Process, new_folder};
use crate::stage::{Signalling, Stage, connect};

/// Janus, started with its default settings for media.
pub(crate) struct Janus {
    pub(crate) process: Process,
    http: SocketAddr,
    ip: IpAddr,
    feed: Value,
}

/// One session with one handle of the plugin.
struct Handle {
    http: SocketAddr,
    session: u64,
    handle: u64,
}

/// Nothing is asked of a participant during a call.
struct Silent;

impl Signalling for Silent {
    fn serve(&mut self, _: &mut Peer) -> anyhow::Result<()> {
        Ok(())
    }
}

impl Janus {
    pub(crate) fn start(ip: IpAddr, is_pinned: bool) -> anyhow::Result<Janus> {
        let folder = new_folder("janus")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let http = SocketAddr::from(([127, 0, 0, 1], port));
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
        write(
            "janus.jcfg",
            "general: { debug_level = 1 session_timeout = 0 }\n",
        )?;
        write(
            "janus.transport.http.jcfg",
            &format!("general: {{ http = true ip = \"127.0.0.1\" port = {port} https = false }}\n"),
        )?;
        let arguments = [
            format!("--configs-folder={}", folder.display()),
            format!("--config={}", folder.join("janus.jcfg").display()),
            format!("--interface={ip}"),
            "--session-timeout=0".to_owned(),
            "--disable-stdout".to_owned(),
        ];
        let process = Process::start(Path::new("janus"), folder, is_pinned, |command| {
            command.args(arguments).stdout(Stdio::null());
        })?;
        let end = Instant::now() + Duration::from_secs(10);
        while request(http, "GET", "/janus/info", None).is_err() {
            if Instant::now() > end {
                bail!("Janus does not answer");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Janus {
            process,
            http,
            ip,
            feed: Value::Null,
        })
    }

    /// Makes the room and publishes into it.
    pub(crate) fn publish(
        &mut self,
        stage: &mut Stage,
        fps: u32,
        parts: u16,
    ) -> anyhow::Result<()> {
        let handle = Handle::new(self.http)?;
        handle.say(
            json!({"request": "create", "room": ROOM, "publishers": 10, "bitrate": 0,
                "videocodec": "vp8", "audiocodec": "opus", "notify_joining": false}),
            None,
        )?;
        let socket = bind(self.ip)?;
        let rtc = RtcConfig::new().set_rtp_mode(true).build(Instant::now());
        let mut peer = Peer::new(rtc, socket)?;
        let mut change = peer.rtc.sdp_api();
        let mid = change.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        let (offer, pending) = change.apply().context("an offer")?;
        handle.say(
            json!({"request": "joinandconfigure", "ptype": "publisher", "room": ROOM}),
            Some(json!({"type": "offer", "sdp": offer.to_sdp_string()})),
        )?;
        let event = handle.event("answer")?;
        self.feed = event["plugindata"]["data"]["id"].clone();
        let answer = SdpAnswer::from_sdp_string(sdp(&event)?)?;
        peer.rtc.sdp_api().accept_answer(pending, answer)?;
        let vp8 = peer
            .rtc
            .codec_config()
            .find(|one| one.spec().codec == Codec::Vp8)
            .context("VP8")?
            .pt();
        peer.camera = Some(Camera::new(mid, vp8, fps, parts));
        stage.push(peer, Box::new(Silent));
        connect(stage)
    }

    /// Subscribes to what is published.
    pub(crate) fn watch(&self, stage: &mut Stage) -> anyhow::Result<()> {
        let handle = Handle::new(self.http)?;
        // Its publisher's transport is up before the room knows: then there is no such feed yet.
        let end = Instant::now() + Duration::from_secs(5);
        let event = loop {
            handle.say(
                json!({"request": "join", "ptype": "subscriber", "room": ROOM,
                    "streams": [{"feed": self.feed}]}),
                None,
            )?;
            match handle.event("offer") {
                Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
                event => break event?,
            }
        };
        let socket = bind(self.ip)?;
        let rtc = RtcConfig::new().set_rtp_mode(true).build(Instant::now());
        let mut peer = Peer::new(rtc, socket)?;
        let offer = SdpOffer::from_sdp_string(sdp(&event)?)?;
        let answer = peer.rtc.sdp_api().accept_offer(offer)?;
        handle.say(
            json!({"request": "start"}),
            Some(json!({"type": "answer", "sdp": answer.to_sdp_string()})),
        )?;
        stage.push(peer, Box::new(Silent));
        connect(stage)
    }
}

impl Handle {
    fn new(http: SocketAddr) -> anyhow::Result<Handle> {
        let made = request(
            http,
            "POST",
            "/janus",
            Some(&json!({"janus": "create", "transaction": "t"})),
        )?;
        let session = made["data"]["id"].as_u64().context("a session")?;
        let attach =
            json!({"janus": "attach", "plugin": "janus.plugin.videoroom", "transaction": "t"});
        let made = request(http, "POST", &format!("/janus/{session}"), Some(&attach))?;
        let handle = made["data"]["id"].as_u64().context("a handle")?;
        Ok(Handle {
            http,
            session,
            handle,
        })
    }

    fn say(&self, body: Value, jsep: Option<Value>) -> anyhow::Result<()> {
        let mut message = json!({"janus": "message", "transaction": "t", "body": body});
        if let Some(jsep) = jsep {
            message["jsep"] = jsep;
        }
        let path = format!("/janus/{}/{}", self.session, self.handle);
        request(self.http, "POST", &path, Some(&message))?;
        Ok(())
    }

    /// Waits for the event with a session description of that kind.
    fn event(&self, kind: &str) -> anyhow::Result<Value> {
        for _ in 0..50 {
            let path = format!("/janus/{}?maxev=1", self.session);
            let mut event = request(self.http, "GET", &path, None)?;
            if let Some(first) = event.as_array().and_then(|all| all.first()) {
                event = first.clone();
            }
            if let Some(error) = event["plugindata"]["data"].get("error") {
                bail!("Janus refuses: {error}");
            }
            if event["jsep"]["type"] == kind {
                return Ok(event);
            }
        }
        bail!("Janus sends no {kind}")
    }
}

fn sdp(event: &Value) -> anyhow::Result<&str> {
    event["jsep"]["sdp"]
        .as_str()
        .context("a session description")
}

/// One HTTP request; its answer is JSON.
fn request(
    http: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    let mut stream = TcpStream::connect(http)?;
    let body = body.map(Value::to_string).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    serde_json::from_str(body).with_context(|| body.to_owned())
}

const ROOM: u64 = 1_234;
