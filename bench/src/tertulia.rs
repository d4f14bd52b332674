//! This server: XMPP over WebSocket, one Jingle session, the bridge channel, as Jitsi's client
//! uses them, by hand and without waiting for anything that is not needed.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use str0m::config::DtlsVersion;
use str0m::format::{Codec, FormatParams};
use str0m::ice::IceCreds;
use str0m::media::{Frequency, MediaKind, Mid};
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Rtc, RtcConfig};
use tertulia_model::{Fingerprint, MediaType, Ssrc};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::jingle::{
    Action, Content, Description, HeaderExtension, Jingle, PayloadType, Setup, Transport,
    TransportFingerprint,
};
use tertulia_stanza::sources::{Semantics, SourceDescription, SsrcGroup};
use tertulia_stanza::{Element, ns};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Error, Message, WebSocket};

use crate::peer::{Camera, Peer, bind};
use crate::process::{Process, new_folder};
use crate::stage::{Signalling, Stage, connect};

/// The server of this repository, with the settings of a fresh installation, but for what keeps a
/// crowd from one address out, and the estimate with which a receiver begins.
pub(crate) struct Tertulia {
    pub(crate) process: Process,
    web: SocketAddr,
    admin: SocketAddr,
    ip: IpAddr,
}

/// One participant's connection.
pub(crate) struct Line {
    socket: WebSocket<TcpStream>,
    channel: Option<WebSocket<TcpStream>>,
    web: SocketAddr,
    ip: IpAddr,
    jid: String,
    known: BTreeSet<Ssrc>,
    numbers: u32,
}

/// What an offer says.
struct Offer {
    from: String,
    jingle: Jingle,
    transport: Transport,
    vp8: u8,
    rtx: u8,
    extensions: BTreeSet<(u8, String)>,
}

impl Tertulia {
    pub(crate) fn start(ip: IpAddr, is_pinned: bool) -> anyhow::Result<Tertulia> {
        let folder = new_folder("tertulia")?;
        let own = std::env::current_exe()?;
        let program = own.with_file_name("tertulia");
        let data = folder.clone();
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut process = Process::start(&program, folder, is_pinned, |command| {
            for (name, _) in std::env::vars() {
                if name.starts_with("TERTULIA_") {
                    command.env_remove(name);
                }
            }
            let free = "127.0.0.1:0";
            command
                .args(["serve", "--listen", free, "--listen-plain", free])
                .args(["--media-port", "0", "--data"])
                .arg(data)
                .envs(SETTINGS)
                .env("TERTULIA_ADMIN__LISTEN", format!("[\"{admin}\"]"))
                .stdout(Stdio::piped());
        })?;
        let out = process.child.stdout.take().context("its greeting")?;
        let mut port = None;
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some((_, rest)) = line.split_once("http://localhost:") {
                port = rest.trim().parse::<u16>().ok();
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        Ok(Tertulia {
            process,
            web: SocketAddr::from(([127, 0, 0, 1], port.context("its port")?)),
            admin,
            ip,
        })
    }

    /// How often it has called `sendmsg`, and how many packets it has forwarded.
    pub(crate) fn sends(&self) -> anyhow::Result<(u64, u64)> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let metric = |name: &str| -> anyhow::Result<u64> {
            // With or without labels; several workers add up.
            let lines = text.lines().filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with([' ', '{']))
            });
            let values = lines.map(|line| line.rsplit(' ').next()?.parse().ok());
            let values: Option<Vec<u64>> = values.collect();
            let values = values.filter(|values| !values.is_empty());
            Ok(values.with_context(|| format!("no {name}"))?.iter().sum())
        };
        Ok((
            metric("tertulia_bridge_send_calls_total")?,
            metric("tertulia_bridge_forwarded_packets_total")?,
        ))
    }

    /// How to reach it.
    pub(crate) fn door(&self) -> (SocketAddr, IpAddr) {
        (self.web, self.ip)
    }

    /// Fills a room: so many who send pictures of `parts` packets, and so many who only watch.
    pub(crate) fn fill(
        &self,
        stage: &mut Stage,
        room: &str,
        senders: usize,
        watchers: usize,
        (fps, parts): (u32, u16),
    ) -> anyhow::Result<()> {
        let mut waiting = Vec::new();
        for number in 0..senders + watchers {
            let line = Line::enter(self.door(), room)?;
            waiting.push((line, (number < senders).then_some((fps, parts))));
            // Nobody is invited before there are two.
            if number == 0 {
                continue;
            }
            for (line, camera) in waiting.drain(..) {
                line.take_call(stage, camera)?;
            }
            connect(stage)?;
        }
        // Pictures of different senders do not come at the same moment.
        let now = Instant::now();
        let all = stage.participants.iter_mut();
        for (index, one) in (0u32..).zip(all) {
            if let Some(camera) = &mut one.peer.camera {
                camera.due = now + camera.interval * index / u32::try_from(senders.max(1))?;
            }
        }
        Ok(())
    }
}

impl Line {
    /// Logs in, asks for the conference and joins its room.
    pub(crate) fn enter((web, ip): (SocketAddr, IpAddr), room: &str) -> anyhow::Result<Line> {
        let socket = dial(web, &format!("/xmpp-websocket?room={room}"), true)?;
        let mut line = Line {
            socket,
            channel: None,
            web,
            ip,
            jid: String::new(),
            known: BTreeSet::new(),
            numbers: 0,
        };
        line.send(OPEN)?;
        line.wait_for("ANONYMOUS")?;
        line.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")?;
        line.wait_for("<success")?;
        line.send(OPEN)?;
        line.wait_for("urn:ietf:params:xml:ns:xmpp-bind")?;
        line.send(
            "<iq xmlns='jabber:client' type='set' id='b'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        )?;
        let bound: Element = line.wait_for("<jid")?.parse()?;
        let jid = bound
            .get_child("bind", ns::BIND)
            .and_then(|bind| bind.get_child("jid", ns::BIND));
        line.jid = jid.context("an address")?.text();
        let nick = line.nick()?;
        line.send(&format!(
            "<iq xmlns='jabber:client' type='set' to='focus.localhost' id='c'>\
             <conference xmlns='http://jitsi.org/protocol/focus' \
             room='{room}@conference.localhost' machine-uid='m-{nick}'/></iq>"
        ))?;
        line.wait_for("http://jitsi.org/protocol/focus")?;
        line.send(&format!(
            "<presence xmlns='jabber:client' to='{room}@conference.localhost/{nick}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))?;
        // Nobody is invited before the focus knows what two of them can do.
        loop {
            let text = line.next()?;
            if text.starts_with("<presence") {
                if text.contains("<error") {
                    bail!("not let in: {text}");
                }
                continue;
            }
            let element: Element = text.parse()?;
            line.answer(&element, None)?;
            let is_question = |child: &Element| child.is("query", ns::DISCO_INFO);
            if element.name() == "iq" && element.children().any(is_question) {
                return Ok(line);
            }
        }
    }

    /// Waits for the invitation, accepts it and takes its place on the stage.
    pub(crate) fn take_call(
        mut self,
        stage: &mut Stage,
        camera: Option<(u32, u16)>,
    ) -> anyhow::Result<()> {
        let offer = loop {
            let text = self.next()?;
            // Who else comes and goes: a browser reads it on a processor of its own.
            if text.starts_with("<presence") {
                continue;
            }
            let element: Element = text.parse()?;
            if let Some(offer) = Offer::read(&element)? {
                self.acknowledge(&element)?;
                break offer;
            }
            self.answer(&element, None)?;
        };
        let mut peer = offer.peer(self.ip)?;
        self.expect_sources(&offer.jingle, &mut peer);
        self.accept(&offer, &mut peer, camera)?;
        let urls = offer.jingle.contents.iter();
        let mut urls = urls.filter_map(|content| content.transport.as_ref()?.web_socket.clone());
        let url = urls.next().context("a bridge channel")?;
        let at = url
            .find("/colibri-ws")
            .context("the bridge channel's path")?;
        let mut channel = dial(self.web, url.get(at..).unwrap_or_default(), false)?;
        channel.send(Message::text(CONSTRAINTS))?;
        for socket in [&self.socket, &channel] {
            socket.get_ref().set_nonblocking(true)?;
        }
        self.channel = Some(channel);
        stage.push(peer, Box::new(self));
        Ok(())
    }

    fn accept(
        &mut self,
        offer: &Offer,
        peer: &mut Peer,
        camera: Option<(u32, u16)>,
    ) -> anyhow::Result<()> {
        let nick = self.nick()?;
        let ice = peer.rtc.direct_api().local_ice_credentials();
        let print = peer.rtc.direct_api().local_dtls_fingerprint().clone();
        let transport = Transport {
            ufrag: Some(ice.ufrag),
            pwd: Some(ice.pass),
            has_rtcp_mux: true,
            fingerprint: Some(TransportFingerprint {
                fingerprint: Fingerprint {
                    hash: print.hash_func,
                    bytes: print.bytes,
                },
                setup: Setup::Active,
            }),
            ..Transport::default()
        };
        let mut audio = Description::new(MediaType::Audio);
        audio.payload_types = vec![PayloadType::new(OPUS, "opus", 48_000, 2)];
        let mut video = Description::new(MediaType::Video);
        video.payload_types = vec![
            PayloadType::new(offer.vp8, "VP8", 90_000, 1)
                .with_feedback("nack", None)
                .with_feedback("nack", Some("pli"))
                .with_feedback("transport-cc", None),
            PayloadType::new(offer.rtx, "rtx", 90_000, 1)
                .with_parameter("apt", &offer.vp8.to_string()),
        ];
        if let Some((fps, parts)) = camera {
            let [primary, rtx] = [fastrand::u32(1..), fastrand::u32(1..)].map(Ssrc);
            let name = format!("{nick}-v0");
            let msid = format!("{nick}-video-0-1 {name}-track");
            for ssrc in [primary, rtx] {
                let described = SourceDescription::new(ssrc, &name, &msid);
                video.sources.push((described, None));
            }
            let group = SsrcGroup::new(Semantics::Retransmission, [primary, rtx]);
            video.groups.push(group);
            let mid = Mid::from("camera");
            let mut direct = peer.rtc.direct_api();
            direct.declare_media(mid, MediaKind::Video);
            direct.declare_stream_tx(primary.0.into(), Some(rtx.0.into()), mid, None);
            peer.camera = Some(Camera::new(mid, offer.vp8.into(), fps, parts));
        }
        let mut jingle = Jingle::new(Action::SessionAccept, &offer.jingle.sid);
        jingle.initiator = Some(offer.from.clone());
        jingle.responder = Some(self.jid.clone());
        for mut description in [audio, video] {
            description.has_rtcp_mux = true;
            let extensions = offer.extensions.iter();
            description.header_extensions = extensions
                .map(|(id, uri)| HeaderExtension::new(*id, uri))
                .collect();
            jingle.bundle.push(description.media.clone());
            jingle.contents.push(Content {
                name: description.media.clone(),
                senders: Some("both".to_owned()),
                description: Some(description),
                transport: Some(transport.clone()),
                initial_last_n: None,
            });
        }
        let jingle = String::from(&jingle.to_element());
        self.send(&format!(
            "<iq xmlns='jabber:client' type='set' id='a' to='{}'>{jingle}</iq>",
            offer.from
        ))
    }

    /// Answers what needs an answer; takes in what others send.
    fn answer(&mut self, element: &Element, peer: Option<&mut Peer>) -> anyhow::Result<()> {
        if element.name() != "iq" || !matches!(element.attr("type"), Some("get" | "set")) {
            return Ok(());
        }
        let Some(child) = element.children().next() else {
            return Ok(());
        };
        if child.is("query", ns::DISCO_INFO) {
            let mut info = DiscoInfo::default().with_features(FEATURES);
            info.node = child.attr("node").map(str::to_owned);
            return self.reply(element, &String::from(&info.to_element()));
        }
        self.acknowledge(element)?;
        if let (Ok(jingle), Some(peer)) = (Jingle::parse(child), peer)
            && jingle.action == Action::SourceAdd
        {
            self.expect_sources(&jingle, peer);
        }
        Ok(())
    }

    fn expect_sources(&mut self, jingle: &Jingle, peer: &mut Peer) {
        for (owner, sources) in jingle.sources("") {
            if owner == "jvb" {
                continue;
            }
            for group in &sources.video.groups {
                if let (Semantics::Retransmission, [primary, rtx]) =
                    (group.semantics, group.ssrcs.as_slice())
                    && self.known.insert(*primary)
                {
                    self.numbers += 1;
                    let mid = Mid::from(format!("r{}", self.numbers).as_str());
                    let mut direct = peer.rtc.direct_api();
                    direct.declare_media(mid, MediaKind::Video);
                    direct.expect_stream_rx(primary.0.into(), Some(rtx.0.into()), mid, None);
                }
            }
        }
    }

    fn nick(&self) -> anyhow::Result<String> {
        Ok(self.jid.get(..8).context("a nick")?.to_owned())
    }

    fn acknowledge(&mut self, iq: &Element) -> anyhow::Result<()> {
        self.reply(iq, "")
    }

    fn reply(&mut self, iq: &Element, content: &str) -> anyhow::Result<()> {
        let id = iq.attr("id").unwrap_or_default();
        let to = iq.attr("from").map(|from| format!(" to='{from}'"));
        let to = to.unwrap_or_default();
        self.send(&format!(
            "<iq xmlns='jabber:client' type='result' id='{id}'{to}>{content}</iq>"
        ))
    }

    fn send(&mut self, text: &str) -> anyhow::Result<()> {
        match self.socket.send(Message::text(text)) {
            // It leaves with the next one.
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// The next text; waits.
    fn next(&mut self) -> anyhow::Result<String> {
        loop {
            if let Message::Text(text) = self.socket.read()? {
                return Ok(text.as_str().to_owned());
            }
        }
    }

    /// The next text with that in it; waits.
    fn wait_for(&mut self, part: &str) -> anyhow::Result<String> {
        loop {
            let text = self.next()?;
            if text.contains(part) {
                return Ok(text);
            }
        }
    }
}

impl Signalling for Line {
    fn serve(&mut self, peer: &mut Peer) -> anyhow::Result<()> {
        while let Some(text) = read_now(&mut self.socket)? {
            self.answer(&text.parse()?, Some(peer))?;
        }
        if let Some(channel) = &mut self.channel {
            while read_now(channel)?.is_some() {}
        }
        Ok(())
    }
}

impl Offer {
    fn read(iq: &Element) -> anyhow::Result<Option<Offer>> {
        let child = iq.children().next();
        let Some(Ok(jingle)) = child.map(Jingle::parse) else {
            return Ok(None);
        };
        if jingle.action != Action::SessionInitiate {
            return Ok(None);
        }
        let transport = jingle
            .complete_transport()
            .cloned()
            .context("a transport")?;
        let descriptions = || {
            jingle
                .contents
                .iter()
                .filter_map(|one| one.description.as_ref())
        };
        let types = || descriptions().flat_map(|one| &one.payload_types);
        let vp8 = types().find(|one| one.name.eq_ignore_ascii_case("vp8"));
        let vp8 = vp8.context("VP8")?.id;
        let apt = ("apt".to_owned(), vp8.to_string());
        let rtx = types().find(|one| one.name == "rtx" && one.parameters.contains(&apt));
        let rtx = rtx.context("retransmissions of VP8")?.id;
        let extensions = descriptions()
            .flat_map(|one| &one.header_extensions)
            .filter(|one| known_extension(&one.uri).is_some())
            .map(|one| (one.id, one.uri.clone()))
            .collect();
        Ok(Some(Offer {
            from: iq.attr("from").context("a focus")?.to_owned(),
            transport,
            vp8,
            rtx,
            extensions,
            jingle,
        }))
    }

    /// The other end: controlled, and the DTLS client.
    fn peer(&self, ip: IpAddr) -> anyhow::Result<Peer> {
        let mut extensions = ExtensionMap::empty();
        for (id, uri) in &self.extensions {
            if let Some(extension) = known_extension(uri) {
                extensions.set(*id, extension);
            }
        }
        // What browsers agree on with this server; with more, keys would be made for nothing.
        let mut config = RtcConfig::new()
            .set_dtls_version(DtlsVersion::Dtls12)
            .set_rtp_mode(true)
            .clear_codecs()
            .set_extension_map(extensions);
        let codecs = config.codec_config();
        let plain = FormatParams::default();
        let hz = Frequency::FORTY_EIGHT_KHZ;
        codecs.add_config(OPUS.into(), None, Codec::Opus, hz, Some(2), plain);
        let (hz, rtx) = (Frequency::NINETY_KHZ, Some(self.rtx.into()));
        codecs.add_config(self.vp8.into(), rtx, Codec::Vp8, hz, None, plain);
        let rtc: Rtc = config.build(Instant::now());
        let mut peer = Peer::new(rtc, bind(ip)?)?;
        // The server adds loopback for a page that it serves over loopback, as ours is. From another
        // machine there is none, nor with Janus.
        let candidates = self.transport.candidates.iter();
        for candidate in candidates.filter(|one| one.address.ip().is_loopback() == ip.is_loopback())
        {
            if let Ok(candidate) = Candidate::host(candidate.address, "udp") {
                peer.rtc.add_remote_candidate(candidate);
            }
        }
        let (Some(ufrag), Some(pass), Some(print)) = (
            self.transport.ufrag.clone(),
            self.transport.pwd.clone(),
            self.transport.fingerprint.clone(),
        ) else {
            bail!("an incomplete transport");
        };
        let mut direct = peer.rtc.direct_api();
        direct.set_ice_controlling(false);
        direct.enable_twcc_feedback();
        direct.set_remote_ice_credentials(IceCreds { ufrag, pass });
        direct.set_remote_fingerprint(str0m::config::Fingerprint {
            hash_func: print.fingerprint.hash,
            bytes: print.fingerprint.bytes,
        });
        direct.start_dtls(true)?;
        Ok(peer)
    }
}

/// What has arrived, without waiting.
fn read_now(socket: &mut WebSocket<TcpStream>) -> anyhow::Result<Option<String>> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => return Ok(Some(text.as_str().to_owned())),
            Ok(Message::Close(frame)) => bail!("closed by the server: {frame:?}"),
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

fn dial(web: SocketAddr, path: &str, is_xmpp: bool) -> anyhow::Result<WebSocket<TcpStream>> {
    let url = format!("ws://localhost:{}{path}", web.port());
    let mut request = url.into_client_request()?;
    if is_xmpp {
        let protocol = "xmpp".parse().context("a protocol's name")?;
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
    }
    let stream = TcpStream::connect(web)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (socket, _) =
        tungstenite::client(request, stream).map_err(|error| anyhow!("{path}: {error}"))?;
    Ok(socket)
}

fn known_extension(uri: &str) -> Option<Extension> {
    Some(match uri {
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" => Extension::AbsoluteSendTime,
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => {
            Extension::TransportSequenceNumber
        }
        _ => return None,
    })
}

/// Everything at full size.
const CONSTRAINTS: &str = r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,
    "defaultConstraints":{"maxHeight":720},"constraints":{}}"#;
const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const OPUS: u8 = 111;
const FEATURES: [&str; 11] = [
    ns::JINGLE,
    ns::JINGLE_RTP,
    ns::JINGLE_ICE,
    ns::JINGLE_DTLS,
    ns::JINGLE_RTP_AUDIO,
    ns::JINGLE_RTP_VIDEO,
    ns::JINGLE_SCTP,
    ns::JSON_SOURCES,
    ns::RTX_FEATURE,
    ns::TCC_FEATURE,
    "http://jitsi.org/source-name",
];
/// What is not as in a fresh installation. Nobody is kept waiting at the door. One stream of 10 Mbit/s is let through from the
/// beginning, and not given up while the estimate is being found: Janus estimates nothing.
const SETTINGS: [(&str, &str); 10] = [
    ("TERTULIA_LOG__FILTER", "warn"),
    ("TERTULIA_BRIDGE__WORKERS", "1"),
    ("TERTULIA_BRIDGE__INITIAL_BITRATE", "15000000"),
    ("TERTULIA_BRIDGE__LEAST_BITRATE", "50000000"),
    ("TERTULIA_ROOM__JOINS_PER_SECOND", "1000"),
    ("TERTULIA_LIMITS__NEW_CONNECTIONS_PER_SECOND", "1000"),
    ("TERTULIA_LIMITS__NEW_ROOMS_PER_MINUTE", "1000"),
    (
        "TERTULIA_LIMITS__UNAUTHENTICATED_CONNECTIONS_PER_ADDRESS",
        "1000",
    ),
    ("TERTULIA_LIMITS__UNKNOWN_CHECKS_PER_SECOND", "10000"),
    ("TERTULIA_LIMITS__UNKNOWN_CHECKS_BURST", "10000"),
];
