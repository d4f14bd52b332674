use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jid::{DomainPart, FullJid};
use tertulia_model::{Now, Random, RoomJid};
use tertulia_stanza::{Kind, Stanza};
use tertulia_stream::{Failure, Initiator, InitiatorConfig, InitiatorOutput};

use crate::{Comeback, Deed, MediaKind, Redial};

/// What a request was about, to know it again when its answer comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Conference,
    /// session-accept of the session with this sid.
    Accept(String),
    /// session-terminate with the wish to be invited again.
    Restart(String),
    /// session-info with the wish for a new path in place.
    RenewPath(String),
    /// Our answer with new ICE credentials.
    NewPath,
    /// source-add in the session with this sid.
    SourceAdd(String, MediaKind),
    /// source-remove of what nobody knows to have been taken.
    SourceRemove,
    /// disco#info of the server's main host, or of one of its components.
    Host,
    Component(&'static str),
    /// XEP-0215.
    Services,
    /// disco#info of a room.
    Room(RoomJid),
    /// The room's configuration, to be sent back with these fields.
    Form(Deed, Vec<(&'static str, String)>),
    Deed(Deed),
}

/// What the line has to say.
#[derive(Debug)]
pub(crate) enum LineOutput {
    Dial {
        previd: Option<String>,
    },
    Frame(String),
    CloseSocket {
        code: u16,
    },
    /// A stream was bound. Everything of an earlier one is void.
    Bound(FullJid),
    /// A new socket took over the stream; nothing was lost.
    Resumed,
    /// The server knows the stream no more; `Bound` follows.
    ResumeRefused,
    /// The stream broke before it could be resumed; `Bound` follows, some time.
    SessionLost,
    /// The page was thrown away and is opened again; `Bound` follows, some time.
    Reloaded,
    Stanza(Stanza),
    /// None: no answer in time.
    Answer {
        question: Question,
        answer: Option<Stanza>,
    },
    /// The stream broke in a way that no network explains; dialled again all the same.
    Failed(Failure),
}

/// The way to the server: dials, dials again, and matches answers with questions.
pub(crate) struct Line {
    domain: DomainPart,
    initiator: Initiator,
    redial: Redial,
    comeback: Comeback,
    random: Random,
    is_dialling: bool,
    dial_due: Option<Instant>,
    /// A dialled socket must open by then.
    open_by: Option<Instant>,
    failures: u32,
    /// Stanzas reach the server: bound or resumed on this socket.
    is_up: bool,
    asked: BTreeMap<String, Asked>,
    next_id: u64,
    is_closing: bool,
    outputs: VecDeque<LineOutput>,
}

struct Asked {
    question: Question,
    deadline: Option<Instant>,
}

impl Line {
    pub(crate) fn new(
        domain: DomainPart,
        redial: Redial,
        comeback: Comeback,
        random: Random,
        now: Now,
    ) -> Line {
        let config = InitiatorConfig {
            domain: domain.clone(),
        };
        Line {
            domain,
            initiator: Initiator::new(config, now),
            redial,
            comeback,
            random,
            is_dialling: false,
            dial_due: Some(now.mono),
            open_by: None,
            failures: 0,
            is_up: false,
            asked: BTreeMap::new(),
            next_id: 0,
            is_closing: false,
            outputs: VecDeque::new(),
        }
    }

    /// Whether stanzas reach the server now.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up
    }

    pub(crate) fn handle_socket_opened(&mut self, now: Now) {
        if self.is_dialling {
            self.is_dialling = false;
            self.open_by = None;
            self.initiator.handle_socket_opened(now);
            self.drain(now);
        }
    }

    pub(crate) fn handle_socket_closed(&mut self, now: Now) {
        if std::mem::replace(&mut self.is_dialling, false) {
            self.dial_later(now);
        } else {
            self.initiator.handle_socket_closed(now);
        }
        self.drain(now);
    }

    pub(crate) fn handle_frame(&mut self, now: Now, text: &str) {
        self.initiator.handle_frame(now, text);
        self.drain(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if self.dial_due.is_some_and(|due| due <= now.mono) {
            self.dial_due = None;
            self.is_dialling = true;
            self.open_by = Some(now.mono + OPEN_TIMEOUT);
            let previd = self.initiator.previd().map(str::to_owned);
            self.outputs.push_back(LineOutput::Dial { previd });
        }
        if self.open_by.is_some_and(|by| by <= now.mono) {
            self.is_dialling = false;
            self.outputs
                .push_back(LineOutput::CloseSocket { code: 1000 });
            self.dial_later(now);
        }
        self.time_out_questions(now);
        if self
            .initiator
            .next_timeout()
            .is_some_and(|due| due <= now.mono)
        {
            self.initiator.handle_timeout(now);
        }
        self.drain(now);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let asked = self.asked.values().filter_map(|asked| asked.deadline);
        [self.dial_due, self.open_by, self.initiator.next_timeout()]
            .into_iter()
            .flatten()
            .chain(asked)
            .min()
    }

    pub(crate) fn poll_output(&mut self) -> Option<LineOutput> {
        self.outputs.pop_front()
    }

    pub(crate) fn send(&mut self, now: Now, stanza: Stanza) {
        self.initiator.send(now, stanza);
        self.drain(now);
    }

    /// Sends a request; the answer, or its absence, comes as [`LineOutput::Answer`].
    pub(crate) fn ask(
        &mut self,
        now: Now,
        request: Stanza,
        question: Question,
        timeout: Option<Duration>,
    ) {
        self.next_id += 1;
        let id = format!("c{}", self.next_id);
        let deadline = timeout.map(|timeout| now.mono + timeout);
        self.asked.insert(id.clone(), Asked { question, deadline });
        self.send(now, request.with_id(&id));
    }

    /// Says goodbye and closes for good.
    pub(crate) fn close(&mut self, now: Now) {
        self.is_closing = true;
        self.is_up = false;
        self.dial_due = None;
        self.open_by = None;
        self.asked.clear();
        if std::mem::replace(&mut self.is_dialling, false) {
            self.outputs
                .push_back(LineOutput::CloseSocket { code: 1000 });
        }
        self.initiator.close(now);
        self.drain(now);
    }

    fn dial_later(&mut self, now: Now) {
        self.is_up = false;
        self.open_by = None;
        if self.is_closing || self.dial_due.is_some() {
            return;
        }
        let had_session = self.initiator.jid().is_some();
        let is_hopeless = self.initiator.previd().is_none() || self.failures >= RESUMPTIONS_MAX;
        if let Comeback::Reload { after, .. } = self.comeback
            && had_session
            && is_hopeless
        {
            return self.reload(now, after);
        }
        let min = self
            .redial
            .min
            .saturating_mul(1 << self.failures.min(8))
            .min(self.redial.max);
        let extra = f64::from(self.random.u32()) / f64::from(u32::MAX);
        self.dial_due = Some(now.mono + min.mul_f64(1.0 + extra));
        self.failures += 1;
    }

    /// Throws the stream and all that waits for it away and dials anew after a while, as a page
    /// that is opened again.
    fn reload(&mut self, now: Now, after: Duration) {
        let config = InitiatorConfig {
            domain: self.domain.clone(),
        };
        self.initiator = Initiator::new(config, now);
        self.is_up = false;
        self.is_dialling = false;
        self.open_by = None;
        self.failures = 0;
        self.asked.clear();
        self.dial_due = Some(now.mono + after);
        self.outputs.push_back(LineOutput::Reloaded);
    }

    fn time_out_questions(&mut self, now: Now) {
        let is_late = |asked: &Asked| asked.deadline.is_some_and(|deadline| deadline <= now.mono);
        let late: Vec<String> = self
            .asked
            .iter()
            .filter(|(_, a)| is_late(a))
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            if let Some(Asked { question, .. }) = self.asked.remove(&id) {
                self.outputs.push_back(LineOutput::Answer {
                    question,
                    answer: None,
                });
            }
        }
    }

    fn drain(&mut self, now: Now) {
        while let Some(output) = self.initiator.poll_output() {
            match output {
                InitiatorOutput::Send(text) => self.outputs.push_back(LineOutput::Frame(text)),
                InitiatorOutput::Bound(jid) => {
                    self.asked.clear();
                    self.came_up();
                    self.outputs.push_back(LineOutput::Bound(jid));
                }
                InitiatorOutput::Resumed => {
                    self.came_up();
                    self.outputs.push_back(LineOutput::Resumed);
                }
                InitiatorOutput::ResumeRefused => {
                    self.outputs.push_back(LineOutput::ResumeRefused);
                    if let Comeback::Reload { after, .. } = self.comeback {
                        self.outputs
                            .push_back(LineOutput::CloseSocket { code: 1000 });
                        return self.reload(now, after);
                    }
                }
                InitiatorOutput::Stanza(stanza) => self.handle_stanza(stanza),
                InitiatorOutput::CloseSocket { code } => {
                    self.outputs.push_back(LineOutput::CloseSocket { code });
                }
                InitiatorOutput::Failed(failure) => {
                    self.dial_later(now);
                    if self.initiator.previd().is_none() {
                        self.outputs.push_back(LineOutput::SessionLost);
                    }
                    let is_network = matches!(
                        failure,
                        Failure::SocketClosed | Failure::Silence | Failure::Closed
                    );
                    if !is_network {
                        self.outputs.push_back(LineOutput::Failed(failure));
                    }
                }
            }
        }
    }

    fn came_up(&mut self) {
        self.is_up = true;
        self.failures = 0;
    }

    fn handle_stanza(&mut self, stanza: Stanza) {
        let is_answer =
            stanza.kind == Kind::Iq && (stanza.is_type("result") || stanza.is_type("error"));
        if !is_answer {
            self.outputs.push_back(LineOutput::Stanza(stanza));
            return;
        }
        // Jitsi's client matches answers by id alone.
        match stanza.id.as_deref().and_then(|id| self.asked.remove(id)) {
            Some(Asked { question, .. }) => {
                self.outputs.push_back(LineOutput::Answer {
                    question,
                    answer: Some(stanza),
                });
            }
            None => tracing::debug!("an answer to no question of ours"),
        }
    }
}

/// Jitsi's library gives up after so many.
const RESUMPTIONS_MAX: u32 = 3;
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
