use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jid::{FullJid, Jid, ResourcePart};
use serde_json::{Map, Value, json};
use tertulia_model::{MediaType, Now, Private, Random, RoomJid, SourceName, Ssrc};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::disco::{DataForm, DiscoInfo, FormType};
use tertulia_stanza::jingle::{Action, Jingle};
use tertulia_stanza::muc::{Affiliation, Role};
use tertulia_stanza::{
    Condition, Element, Kind, Stanza, StanzaError, WithAttribute, ns, text_element,
};

use crate::call::{Call, Parties};
use crate::channel::{self, ChannelMessage, Constraints};
use crate::line::{Line, LineOutput, Question};
use crate::media::{CameraCodec, Live, MediaEvent, MediaTotals, ReceptionFacts, Transmit};
use crate::notice::{VISITORS, error_text};
use crate::occupants::{Occupant, Occupants, RAISED_HAND, RoomChange, room_of};
use crate::{
    ChannelKind, ClientConfig, Comeback, Deed, MediaKind, Notice, Outcome, Refusal, RequestKind,
    Trouble,
};

mod administration;
mod breakout;
mod bridge_channel;
mod chat;
mod components;
mod entering;
mod files;
mod incoming;
mod jingle;
mod lobby;
mod metadata;
mod moderation;
mod polls;
mod presence;
mod room_info;
mod speaker_stats;
mod view;
mod visitors;

pub use breakout::{BreakoutRoom, BreakoutRooms, Seated};
pub use lobby::Knocker;
pub use moderation::Moderation;
pub use polls::{Poll, PollAnswer};
pub use room_info::RoomInfo;
pub use speaker_stats::SpeakerStats;

use components::Components;
use lobby::Lobby;

/// A headless participant: does what a browser with Jitsi's library does, without a browser.
///
/// Call exactly one `handle_*` or verb, then `poll_output` until `None`, then sleep until
/// `next_timeout`. Time never goes backwards. It has at most one XMPP socket and one bridge
/// channel; frames of a socket that was closed or replaced must not be handed over any more.
/// Dropping it is a crash: nobody is told.
///
/// Verbs do not ask whether their user may: what the server refuses, it refuses.
pub struct Client {
    config: ClientConfig,
    random: Random,
    line: Line,
    stage: Stage,
    me: Option<(FullJid, String)>,
    /// The room that we are in or on the way into: the meeting's, or one of its breakout rooms.
    room: RoomJid,
    occupants: Option<Occupants>,
    components: Components,
    lobby: Option<Lobby>,
    meeting: Meeting,
    call: Option<Call>,
    /// From when send times in packets count.
    epoch: Option<Instant>,
    /// What media sessions that are over brought.
    past_media: MediaTotals,
    live: Live,
    /// What the focus is not told of before it is wanted.
    unannounced: Vec<MediaKind>,
    /// Our last role was that of a visitor.
    is_visiting: bool,
    /// Since when our hand is up, in milliseconds of the calendar.
    hand_raised: Option<i64>,
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

/// What the features of the room have told us since we asked to be let in.
#[derive(Default)]
struct Meeting {
    info: RoomInfo,
    subject: Option<String>,
    metadata: Map<String, Value>,
    /// How often it came.
    metadata_updates: u64,
    polls: BTreeMap<String, Poll>,
    moderation: BTreeMap<MediaKind, Moderation>,
    breakout: BreakoutRooms,
    speaker_stats: BTreeMap<String, SpeakerStats>,
    files: BTreeMap<String, Value>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No stream yet.
    Offline,
    /// To ask for the conference at the given moment.
    ToRequest(Instant),
    /// Waiting for the answer; when it goes by HTTP, until the given moment.
    Requesting(Option<Instant>),
    Joining,
    /// In the lobby, or on the way into it.
    Waiting,
    /// Not let in; the user decides what is next.
    Outside,
    Joined,
    /// Out of one room on the way to another; waiting for the echo until the given moment.
    Switching(Instant),
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
        let habits = &config.habits;
        let domain = habits.guest_domain.as_ref().unwrap_or(&config.domain);
        let line = Line::new(
            domain.clone(),
            config.redial,
            habits.comeback,
            line_random,
            now,
        );
        let mut unannounced = vec![MediaKind::Desktop];
        unannounced.extend(habits.starts_audio_muted.then_some(MediaKind::Audio));
        unannounced.extend(habits.starts_video_muted.then_some(MediaKind::Video));
        Client {
            random,
            line,
            stage: Stage::Offline,
            me: None,
            room: config.room.clone(),
            occupants: None,
            components: Components::default(),
            lobby: None,
            meeting: Meeting::default(),
            call: None,
            epoch: None,
            past_media: MediaTotals::default(),
            live: Live {
                is_speaking: false,
                is_audio_muted: habits.starts_audio_muted,
                is_video_muted: habits.starts_video_muted,
                is_screen_shared: false,
            },
            unannounced,
            is_visiting: false,
            hand_raised: None,
            constraints: Constraints::all(),
            is_channel_open: false,
            channel: Channel::None,
            forwarded: None,
            dominant_speaker: None,
            inactive: BTreeMap::new(),
            attempts: 0,
            restarts: 0,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Send times in packets count from `epoch` in media sessions that begin from now on. Clients
    /// that share it know how long packets between them were on their way.
    pub fn measure_from(&mut self, epoch: Instant) {
        self.epoch = Some(epoch);
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
        self.channel_closed(now);
        self.settle(now);
    }

    /// A message came on the bridge channel's socket.
    pub fn handle_channel_text(&mut self, now: Now, text: &str) {
        self.channel_text(now, text);
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
                Some((403, _)) => self.request_refused(Some(Condition::NotAuthorized)),
                Some(_) => self.request_refused(None),
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
            Stage::Switching(due) if due <= now.mono => self.request_conference(now),
            Stage::Leaving(due) if due <= now.mono => self.finish(now),
            _ => {}
        }
        self.dial_channel_again(now);
        self.call_timeout(now);
        self.settle(now);
    }

    /// When [`handle_timeout`](Client::handle_timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        let stage = match self.stage {
            Stage::ToRequest(due) | Stage::Switching(due) | Stage::Leaving(due) => Some(due),
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
        let renewal = call.and_then(|call| call.renewal_due);
        [
            stage,
            channel,
            media,
            accept,
            renewal,
            self.line.next_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
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
            LineOutput::Reloaded => self.reloaded(),
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
            MediaEvent::Reachable => self.path_is_back(),
            MediaEvent::ChannelOpen => self.channel_opened(now),
            MediaEvent::ChannelText(text) => self.channel_text(now, &text),
            MediaEvent::Flaw(source, flaw) => self.notice(Notice::Flaw(source, flaw)),
            MediaEvent::Dead => self.path_lost(now),
        }
    }

    fn handle_answer(&mut self, now: Now, question: Question, answer: Option<Stanza>) {
        let condition = answer.as_ref().and_then(Stanza::error_condition);
        let outcome = match (&answer, condition) {
            (None, _) => Outcome::Unanswered,
            (Some(_), Some(condition)) => Outcome::Refused(condition),
            (Some(_), None) => Outcome::Done,
        };
        let result = answer.filter(|answer| answer.is_type("result"));
        match question {
            Question::Conference if self.stage == Stage::Requesting(None) => {
                let reply = result.as_ref().map(Stanza::children);
                let reply = reply.and_then(|r| r.iter().find_map(ConferenceReply::parse));
                self.handle_conference_reply(now, reply, condition);
            }
            Question::Conference
            | Question::Services
            | Question::NewPath
            | Question::SourceRemove => {}
            Question::Accept(sid) => self.accept_answered(now, &sid, result.is_some(), condition),
            Question::Restart(sid) => self.restart_answered(&sid, result.is_some(), condition),
            Question::RenewPath(sid) => self.renewal_answered(now, &sid, result.is_some()),
            Question::SourceAdd(sid, kind) => {
                self.source_add_answered(now, &sid, kind, outcome);
            }
            Question::Host => self.host_answered(now, result.as_ref()),
            Question::Component(type_) => self.component_answered(type_, result.as_ref()),
            Question::Room(room) => self.room_answered(now, &room, result.as_ref()),
            Question::Form(deed, fields) => {
                self.form_answered(now, deed, &fields, result.as_ref(), outcome);
            }
            Question::Deed(deed) => self.notice(Notice::Answered { deed, outcome }),
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    fn trouble(&mut self, trouble: Trouble) {
        tracing::debug!(?trouble, "trouble");
        self.notice(Notice::Trouble(trouble));
    }

    /// A request to the room whose answer its author waits for.
    fn ask_room(&mut self, now: Now, deed: Deed, query: Element) {
        let to = self.room.bare().clone();
        self.ask(now, to.into(), "set", query, Question::Deed(deed));
    }

    fn ask(&mut self, now: Now, to: Jid, type_: &str, child: Element, question: Question) {
        let iq = Stanza::new(Kind::Iq)
            .with_type(type_)
            .with_to(to)
            .with_child(child);
        self.line.ask(now, iq, question, Some(ANSWER_TIMEOUT));
    }
}

/// Jitsi's client waits this long for answers about its session and its room.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
