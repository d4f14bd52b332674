use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jid::{FullJid, Jid, ResourcePart};
use serde_json::{Value, json};
use tertulia_model::{MediaType, Now, Private, Random, SourceName, Ssrc};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::jingle::{Action, Jingle};
use tertulia_stanza::{
    Condition, Element, Kind, Stanza, StanzaError, WithAttribute, ns, text_element,
};

use tertulia_stream::Failure;

use crate::call::Call;
use crate::channel::{self, ChannelMessage, Constraints};
use crate::line::{Line, LineOutput, Question};
use crate::media::{Flaw, Live, MediaEvent, ReceptionFacts, Transmit};
use crate::occupants::{Occupant, Occupants, RoomChange};
use crate::{ChannelKind, ClientConfig, RequestKind};

mod incoming;
mod view;

/// A headless participant: does what a browser with Jitsi's library does, without a browser.
///
/// Call exactly one `handle_*` or verb, then `poll_output` until `None`, then sleep until
/// `next_timeout`. Time never goes backwards. It has at most one XMPP socket and one bridge
/// channel; frames of a socket that was closed or replaced must not be handed over any more.
/// Dropping it is a crash: nobody is told.
pub struct Client {
    config: ClientConfig,
    random: Random,
    line: Line,
    stage: Stage,
    me: Option<(FullJid, String)>,
    occupants: Option<Occupants>,
    call: Option<Call>,
    live: Live,
    constraints: Constraints,
    /// The bridge channel takes messages.
    is_channel_open: bool,
    channel: Channel,
    forwarded: Option<Vec<String>>,
    dominant_speaker: Option<String>,
    inactive: BTreeMap<String, bool>,
    /// Attempts since something went well.
    attempts: u32,
    restarts: u32,
    outputs: VecDeque<Output>,
}

/// Everything a client can want from the world, in the order it wants it.
#[derive(Debug)]
pub enum Output {
    /// Open the XMPP WebSocket: `/xmpp-websocket?room=NAME`, with `&previd=` if there is one.
    Dial {
        previd: Option<String>,
    },
    Frame(String),
    CloseSocket {
        code: u16,
    },
    Transmit(Transmit),
    /// Open the bridge channel's WebSocket at this URL; an earlier one is void.
    ChannelDial {
        url: String,
    },
    ChannelText(String),
    ChannelClose,
    /// Post this JSON to `/conference-request/v1?room=NAME`; an earlier request is void.
    HttpRequest {
        body: String,
    },
    Notice(Notice),
}

/// What a user, or a test, may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// In the room.
    Joined,
    /// Out of the room at our own wish, and disconnected.
    Left,
    /// A new socket took over the old session.
    Resumed,
    /// The session is lost; coming back as a new one.
    ResumeRefused,
    /// The focus invited us.
    Invited,
    /// Media can flow.
    MediaConnected,
    /// The focus ended the media session.
    MediaEnded,
    /// A moderator muted us.
    MutedByModerator(MediaType),
    /// Group chat.
    Message {
        from: String,
        body: String,
    },
    /// Something that should not have happened to this stream.
    Flaw(SourceName, Flaw),
    Trouble(Trouble),
}

/// What makes Jitsi's client give up, show an error page, or reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The stream broke, and the network is not to blame.
    Stream(Failure),
    RequestRefused(Option<Condition>),
    JoinRefused(Option<Condition>),
    FocusLeft,
    Kicked,
    RoomDestroyed(Option<String>),
    /// An offer that makes no sense.
    BadOffer(String),
    AcceptRefused(Option<Condition>),
    RestartRefused(Option<Condition>),
    /// The media path died; a new one was asked for.
    PathLost,
    BridgeNotAvailable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No stream yet.
    Offline,
    /// To ask for the conference at the given moment.
    ToRequest(Instant),
    /// Waiting for the answer; when it goes by HTTP, until the given moment.
    Requesting(Option<Instant>),
    Joining,
    Joined,
    /// Waiting for the room's echo until the given moment.
    Leaving(Instant),
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Channel {
    /// None, or a data channel.
    None,
    /// A WebSocket, dialled or open.
    Socket { url: String, failures: u32 },
    /// To be dialled again at the given moment.
    Waiting {
        url: String,
        failures: u32,
        due: Instant,
    },
}

/// A stream that somebody else announced, and how it fares.
#[derive(Clone, Debug)]
pub struct RemoteSource {
    pub name: SourceName,
    pub ssrc: Ssrc,
    pub media: MediaType,
    pub facts: ReceptionFacts,
}

impl Client {
    /// A client that connects and joins at once.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Now) -> Client {
        let mut random = Random::from_seed(seed);
        let line_random = Random::from_seed(random.seed());
        let line = Line::new(config.domain.clone(), config.redial, line_random, now);
        Client {
            config,
            random,
            line,
            stage: Stage::Offline,
            me: None,
            occupants: None,
            call: None,
            live: Live {
                is_speaking: false,
                is_audio_muted: false,
                is_video_muted: false,
            },
            constraints: Constraints::all(),
            is_channel_open: false,
            channel: Channel::None,
            forwarded: None,
            dominant_speaker: None,
            inactive: BTreeMap::new(),
            attempts: 0,
            restarts: 0,
            outputs: VecDeque::new(),
        }
    }

    // What the world did.

    /// The dialled XMPP socket is open.
    pub fn handle_socket_opened(&mut self, now: Now) {
        self.line.handle_socket_opened(now);
        self.settle(now);
    }

    /// The XMPP socket is gone, or could not be opened.
    pub fn handle_socket_closed(&mut self, now: Now) {
        self.line.handle_socket_closed(now);
        self.settle(now);
    }

    /// A message came on the XMPP socket.
    pub fn handle_frame(&mut self, now: Now, text: &str) {
        self.line.handle_frame(now, text);
        self.settle(now);
    }

    /// The dialled bridge channel is open.
    pub fn handle_channel_opened(&mut self, now: Now) {
        if let Channel::Socket { failures, .. } = &mut self.channel {
            *failures = 0;
            self.channel_opened(now);
        }
        self.settle(now);
    }

    /// The bridge channel's socket is gone, or could not be opened.
    pub fn handle_channel_closed(&mut self, now: Now) {
        if let Channel::Socket { url, failures } = &self.channel {
            self.is_channel_open = false;
            let wait = Duration::from_secs(1 << (*failures).min(6)).min(CHANNEL_WAIT_MAX);
            self.channel = Channel::Waiting {
                url: url.clone(),
                failures: failures + 1,
                due: now.mono + wait,
            };
        }
        self.settle(now);
    }

    /// A message came on the bridge channel's socket.
    pub fn handle_channel_text(&mut self, now: Now, text: &str) {
        self.channel_text(text);
        self.settle(now);
    }

    /// The answer to our HTTP request, if there was one: status and body.
    pub fn handle_http_reply(&mut self, now: Now, reply: Option<(u16, &str)>) {
        if matches!(self.stage, Stage::Requesting(Some(_))) {
            match reply {
                Some((200, body)) => {
                    let reply = ConferenceReply::parse_json(body).ok();
                    self.handle_conference_reply(now, reply, None);
                }
                Some(_) => self.trouble(Trouble::RequestRefused(None)),
                None => self.request_later(now, Duration::from_secs(1)),
            }
        }
        self.settle(now);
    }

    /// A datagram came to our address.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddr, data: &[u8]) {
        if let Some(call) = &mut self.call {
            call.media.handle_datagram(now.mono, from, data);
        }
        self.settle(now);
    }

    /// A moment that [`next_timeout`](Client::next_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.line.next_timeout().is_some_and(|due| due <= now.mono) {
            self.line.handle_timeout(now);
        }
        match self.stage {
            Stage::ToRequest(due) if due <= now.mono => self.request_conference(now),
            Stage::Requesting(Some(due)) if due <= now.mono => {
                self.request_later(now, Duration::from_secs(1));
            }
            Stage::Leaving(due) if due <= now.mono => self.finish(now),
            _ => {}
        }
        if let Channel::Waiting { url, failures, due } = &self.channel
            && *due <= now.mono
        {
            let (url, failures) = (url.clone(), *failures);
            self.outputs
                .push_back(Output::ChannelDial { url: url.clone() });
            self.channel = Channel::Socket { url, failures };
        }
        if let Some(call) = &mut self.call {
            if call.media.next_timeout().is_some_and(|due| due <= now.mono) {
                call.media.handle_timeout(now.mono);
            }
            if call.accept_due.is_some_and(|due| due <= now.mono) {
                call.accept_due = None;
                let (accept, sid) = (call.accept(), call.sid.clone());
                self.line
                    .ask(now, accept, Question::Accept(sid), Some(ANSWER_TIMEOUT));
            }
        }
        self.settle(now);
    }

    /// When [`handle_timeout`](Client::handle_timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        let stage = match self.stage {
            Stage::ToRequest(due) | Stage::Leaving(due) => Some(due),
            Stage::Requesting(due) => due,
            Stage::Over => return None,
            _ => None,
        };
        let channel = match &self.channel {
            Channel::Waiting { due, .. } => Some(*due),
            _ => None,
        };
        let call = self.call.as_ref();
        let media = call.and_then(|call| call.media.next_timeout());
        let accept = call.and_then(|call| call.accept_due);
        [stage, channel, media, accept, self.line.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    // What we want.

    /// Leaves the room and disconnects; [`Notice::Left`] follows.
    pub fn leave(&mut self, now: Now) {
        match (&self.me, self.stage) {
            (_, Stage::Over | Stage::Leaving(_)) => {}
            (Some((_, nick)), Stage::Joining | Stage::Joined) => {
                let leave = self.to_room(nick).map(|p| p.with_type("unavailable"));
                self.end_call();
                self.stage = Stage::Leaving(now.mono + LEAVE_TIMEOUT);
                if let Some(leave) = leave {
                    self.line.send(now, leave);
                }
            }
            _ => self.finish(now),
        }
        self.settle(now);
    }

    /// Switches our own microphone or camera off or on.
    pub fn mute(&mut self, now: Now, media: MediaType, is_muted: bool) {
        let was_muted = match media {
            MediaType::Audio => std::mem::replace(&mut self.live.is_audio_muted, is_muted),
            MediaType::Video => std::mem::replace(&mut self.live.is_video_muted, is_muted),
        };
        if was_muted != is_muted {
            self.live_changed(now, media);
        }
        self.settle(now);
    }

    /// Throws somebody out of the room; only moderators may.
    pub fn kick(&mut self, now: Now, nick: &str) {
        let item = Element::builder("item", ns::MUC_ADMIN)
            .with("nick", nick)
            .with("role", "none")
            .build();
        let query = Element::builder("query", ns::MUC_ADMIN)
            .append(item)
            .build();
        let iq = Stanza::new(Kind::Iq)
            .with_type("set")
            .with_to(self.config.room.bare().clone())
            .with_child(query);
        self.line.ask(now, iq, Question::Kick, Some(ANSWER_TIMEOUT));
        self.settle(now);
    }

    /// Speaks or is quiet.
    pub fn speak(&mut self, is_speaking: bool) {
        self.live.is_speaking = is_speaking;
        if let Some(call) = &mut self.call {
            call.media.set_live(self.live);
        }
    }

    /// Says what we want to see.
    pub fn set_constraints(&mut self, now: Now, constraints: Constraints) {
        self.constraints = constraints;
        self.send_channel(now, &self.constraints.to_json());
        self.settle(now);
    }

    /// Writes to everyone in the room.
    pub fn say(&mut self, now: Now, body: &str) {
        if self.stage == Stage::Joined {
            let message = Stanza::new(Kind::Message)
                .with_type("groupchat")
                .with_to(self.config.room.bare().clone())
                .with_child(text_element("body", ns::CLIENT, body));
            self.line.send(now, message);
        }
        self.settle(now);
    }

    /// Sends an application's message over the bridge, to one endpoint or (empty) to all.
    pub fn send_endpoint_message(&mut self, now: Now, to: &str, payload: &Value) {
        self.send_channel(now, &channel::endpoint_message(to, payload));
        self.settle(now);
    }

    // The machinery.

    /// Drains the sub-machines and feeds them what they have for each other.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(output) = self.line.poll_output() {
                self.handle_line(now, output);
                continue;
            }
            let Some(call) = &mut self.call else { return };
            if let Some(transmit) = call.media.poll_transmit() {
                self.outputs.push_back(Output::Transmit(transmit));
                continue;
            }
            match call.media.poll_event() {
                Some(event) => self.handle_media(now, event),
                None => return,
            }
        }
    }

    fn handle_line(&mut self, now: Now, output: LineOutput) {
        match output {
            LineOutput::Dial { previd } => self.outputs.push_back(Output::Dial { previd }),
            LineOutput::Frame(text) => self.outputs.push_back(Output::Frame(text)),
            LineOutput::CloseSocket { code } => {
                self.outputs.push_back(Output::CloseSocket { code });
            }
            LineOutput::Bound(jid) => self.bound(now, jid),
            LineOutput::Resumed => self.notice(Notice::Resumed),
            LineOutput::ResumeRefused => {
                self.session_lost();
                self.notice(Notice::ResumeRefused);
            }
            LineOutput::SessionLost => self.session_lost(),
            LineOutput::Stanza(stanza) => self.handle_stanza(now, stanza),
            LineOutput::Answer { question, answer } => self.handle_answer(now, question, answer),
            LineOutput::Failed(failure) => self.trouble(Trouble::Stream(failure)),
        }
    }

    fn handle_media(&mut self, now: Now, event: MediaEvent) {
        match event {
            MediaEvent::Connected => {
                self.restarts = 0;
                self.notice(Notice::MediaConnected);
            }
            MediaEvent::ChannelOpen => self.channel_opened(now),
            MediaEvent::ChannelText(text) => self.channel_text(&text),
            MediaEvent::Flaw(source, flaw) => self.notice(Notice::Flaw(source, flaw)),
            MediaEvent::Dead => self.restart(now),
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    fn trouble(&mut self, trouble: Trouble) {
        tracing::debug!(?trouble, "trouble");
        self.notice(Notice::Trouble(trouble));
    }

    // Connecting and joining.

    /// What was between us and the old session is void; until there is a new one, nothing may be
    /// sent to the room.
    fn session_lost(&mut self) {
        self.end_call();
        self.occupants = None;
        if !matches!(self.stage, Stage::Leaving(_) | Stage::Over) {
            self.stage = Stage::Offline;
        }
    }

    fn bound(&mut self, now: Now, jid: FullJid) {
        self.end_call();
        let nick = nick_of(&jid).unwrap_or_else(|| format!("{:08x}", self.random.u32()));
        tracing::debug!(jid = %Private(&jid), "bound");
        self.me = Some((jid, nick));
        self.occupants = None;
        self.inactive.clear();
        self.dominant_speaker = None;
        self.attempts = 0;
        match self.stage {
            Stage::Over => {}
            // The room of the old session is gone, or will be with its lease.
            Stage::Leaving(_) => self.finish(now),
            _ => self.request_conference(now),
        }
    }

    fn request_conference(&mut self, now: Now) {
        let request = ConferenceRequest {
            room: self.config.room.to_string(),
            machine_uid: Some(self.config.machine_uid.clone()),
            ..ConferenceRequest::default()
        };
        if self.config.request == RequestKind::Http {
            self.stage = Stage::Requesting(Some(now.mono + ANSWER_TIMEOUT));
            self.outputs.push_back(Output::HttpRequest {
                body: request.to_json(),
            });
            return;
        }
        self.stage = Stage::Requesting(None);
        let iq = Stanza::new(Kind::Iq)
            .with_type("set")
            .with_to(self.config.focus.clone())
            .with_child(request.to_element());
        self.line.ask(now, iq, Question::Conference, None);
    }

    fn handle_answer(&mut self, now: Now, question: Question, answer: Option<Stanza>) {
        let condition = answer.as_ref().and_then(Stanza::error_condition);
        let result = answer.filter(|answer| answer.is_type("result"));
        match question {
            Question::Conference if self.stage == Stage::Requesting(None) => {
                let reply = result.as_ref().map(Stanza::children);
                let reply = reply.and_then(|r| r.iter().find_map(ConferenceReply::parse));
                self.handle_conference_reply(now, reply, condition);
            }
            Question::Accept(sid) => match self.current_call(&sid) {
                Some(call) if result.is_some() => call.is_accepted = true,
                Some(_) => self.trouble(Trouble::AcceptRefused(condition)),
                None => {}
            },
            Question::Restart(sid) => {
                if self.current_call(&sid).is_some() {
                    self.end_call();
                }
                // An unknown session has ended already, which is what we wanted.
                if result.is_none() && condition != Some(Condition::ItemNotFound) {
                    self.trouble(Trouble::RestartRefused(condition));
                }
            }
            Question::Kick | Question::Conference => {}
        }
    }

    fn handle_conference_reply(
        &mut self,
        now: Now,
        reply: Option<ConferenceReply>,
        condition: Option<Condition>,
    ) {
        match reply {
            Some(reply) if reply.is_ready => self.join(now, &reply.focus_jid),
            Some(_) => self.request_later(now, Duration::from_secs(1 << self.attempts.min(7))),
            None => self.trouble(Trouble::RequestRefused(condition)),
        }
    }

    fn request_later(&mut self, now: Now, wait: Duration) {
        self.attempts += 1;
        self.stage = Stage::ToRequest(now.mono + wait);
    }

    fn join(&mut self, now: Now, focus_jid: &str) {
        let Some((_, nick)) = self.me.clone() else {
            return;
        };
        self.occupants = Some(Occupants::new(self.config.room.clone(), focus_jid, &nick));
        self.stage = Stage::Joining;
        let mut children = vec![Element::bare("x", ns::MUC)];
        children.extend(self.presence_children(&nick));
        if let Some(presence) = self.to_room(&nick) {
            self.line.send(now, presence.with_children(children));
        }
    }

    /// The presence to our own place in the room, without children.
    fn to_room(&self, nick: &str) -> Option<Stanza> {
        let resource = ResourcePart::new(nick).ok()?;
        let to = self.config.room.occupant(&resource);
        Some(Stanza::new(Kind::Presence).with_to(to))
    }

    /// What Jitsi's client puts into each of its presences.
    fn presence_children(&self, nick: &str) -> Vec<Element> {
        let mut info = serde_json::Map::new();
        info.insert(
            format!("{nick}-a0"),
            json!({ "muted": self.live.is_audio_muted }),
        );
        if self.config.video.is_some() {
            let video = json!({ "muted": self.live.is_video_muted, "videoType": "camera" });
            info.insert(format!("{nick}-v0"), video);
        }
        let caps = Element::builder("c", ns::CAPS)
            .with("hash", "sha-1")
            .with("node", CAPS_NODE)
            .with("ver", CAPS_VERSION)
            .build();
        vec![
            text_element("stats-id", ns::CLIENT, "Headless"),
            caps,
            text_element("SourceInfo", ns::CLIENT, &Value::Object(info).to_string()),
            text_element("jitsi_participant_codecList", ns::CLIENT, "vp8"),
            text_element("nick", ns::NICK, &self.config.display_name),
        ]
    }

    fn send_presence(&mut self, now: Now) {
        let Some((_, nick)) = self.me.clone() else {
            return;
        };
        if matches!(self.stage, Stage::Joining | Stage::Joined)
            && let Some(presence) = self.to_room(&nick)
        {
            let children = self.presence_children(&nick);
            self.line.send(now, presence.with_children(children));
        }
    }

    fn finish(&mut self, now: Now) {
        self.end_call();
        self.occupants = None;
        self.stage = Stage::Over;
        self.line.close(now);
        while let Some(output) = self.line.poll_output() {
            self.handle_line(now, output);
        }
        self.notice(Notice::Left);
    }

    // The bridge channel.

    fn channel_opened(&mut self, now: Now) {
        self.is_channel_open = true;
        self.send_video_type(now);
        self.send_channel(now, &self.constraints.to_json());
    }

    fn send_video_type(&mut self, now: Now) {
        let call = self.call.as_ref();
        if let Some(source) = call.and_then(|call| call.source(MediaType::Video)) {
            let text = channel::source_video_type(source.as_str(), self.live.is_video_muted);
            self.send_channel(now, &text);
        }
    }

    fn send_channel(&mut self, now: Now, text: &str) {
        if !self.is_channel_open {
            return;
        }
        match self.config.channel {
            ChannelKind::WebSocket => self.outputs.push_back(Output::ChannelText(text.to_owned())),
            ChannelKind::Data => {
                if let Some(call) = &mut self.call
                    && !call.media.send_text(text, now.mono)
                {
                    tracing::debug!("the data channel is full");
                }
            }
        }
    }

    fn channel_text(&mut self, text: &str) {
        let Some(message) = ChannelMessage::parse(text) else {
            tracing::debug!("a channel message that is none");
            return;
        };
        match message {
            ChannelMessage::DominantSpeakerEndpointChangeEvent {
                dominant_speaker_endpoint,
            } => {
                self.dominant_speaker = dominant_speaker_endpoint;
            }
            ChannelMessage::ForwardedSources { forwarded_sources } => {
                self.forwarded = Some(forwarded_sources);
            }
            ChannelMessage::SenderSourceConstraints {
                source_name,
                max_height,
            } => {
                if let Some(call) = &mut self.call {
                    let own = call.source(MediaType::Video).map(SourceName::as_str);
                    if own == Some(&source_name) {
                        call.media.set_height_max(max_height);
                    }
                }
            }
            ChannelMessage::EndpointConnectivityStatusChangeEvent { endpoint, active } => {
                // COMPAT(lib-jitsi-meet): a string, and only this one means active.
                if active == "true" {
                    self.inactive.remove(&endpoint);
                } else {
                    self.inactive.insert(endpoint, true);
                }
            }
            ChannelMessage::ServerHello {}
            | ChannelMessage::EndpointMessage { .. }
            | ChannelMessage::Other => {}
        }
    }

    fn live_changed(&mut self, now: Now, media: MediaType) {
        if let Some(call) = &mut self.call {
            call.media.set_live(self.live);
        }
        self.send_presence(now);
        if media == MediaType::Video {
            self.send_video_type(now);
        }
    }
}

/// Jitsi's rule: the nick is the first eight characters of an anonymous name.
fn nick_of(jid: &FullJid) -> Option<String> {
    let nick = jid.node()?.as_str().get(..8)?.to_ascii_lowercase();
    nick.bytes().all(|b| b.is_ascii_hexdigit()).then_some(nick)
}

fn mute_namespace(media: MediaType) -> &'static str {
    match media {
        MediaType::Audio => "http://jitsi.org/jitmeet/audio",
        MediaType::Video => "http://jitsi.org/jitmeet/video",
    }
}

const FEATURES: [&str; 12] = [
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
    ns::CAPS,
];
const CAPS_NODE: &str = "https://jitsi.org/jitsi-meet";
const CAPS_VERSION: &str = "dGVydHVsaWEtaGVhZGxlc3M=";
/// Jitsi's client waits this long for answers about its session.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
const JOIN_ATTEMPTS_MAX: u32 = 3;
const CHANNEL_WAIT_MAX: Duration = Duration::from_secs(60);
