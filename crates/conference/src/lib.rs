//! A conference: a room, its focus and the Jitsi features around them, in one state machine with
//! one owner.
//!
//! Does not know: sockets, streams, media packets.

mod census;
mod expected;
mod feature;

pub mod host;
pub mod route;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_focus::Focus;
use tertulia_model::{
    BridgeCommand, BridgeEvent, ConferenceId, Hosts, MayForward, Now, Random, RequestId, RoomJid,
    SessionChange, SessionId, SessionProfile,
};
use tertulia_room::rights::{Act, may};
use tertulia_room::{Audience, Candidate, OccupantId, Room};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::{Condition, Kind, Stanza};

pub use census::{Census, Seat};
pub use host::refuse_missing;
pub use route::{Route, route};

use expected::Expected;
use feature::{Admission, Cx, Feature, Handled, conference_request};

/// What a conference is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    pub hosts: Hosts,
    pub room: tertulia_room::Config,
    pub focus: tertulia_focus::Config,
    /// How long an empty conference waits for those who asked for it.
    pub initial_timeout: Duration,
    /// How many requests of those who have not joined yet are remembered.
    pub expected_max: usize,
}

/// Everything a conference can want from the world, in the order it wants it.
#[derive(Debug)]
pub enum Output {
    /// To the client of that session; `to` may be absent: the session fills in its JID.
    Deliver { to: SessionId, stanza: Arc<Stanza> },
    /// To the conference of the same id on its bridge.
    Bridge(BridgeCommand),
    /// The answer to an HTTP conference request.
    Reply {
        request: RequestId,
        reply: ConferenceReply,
    },
    /// It is over; nothing follows.
    Closed,
}

/// One conference.
///
/// Call exactly one `handle_*`, then `poll_output` until `None`, then sleep until
/// `next_timeout`. Time never goes backwards. Nothing here waits, allocates without bound or
/// fails because of a peer: a peer's mistake is an `Output` to that peer.
///
/// A new conference is empty and waits for those who ask for it; once the last one has left and
/// nobody is expected, it closes itself.
pub struct Conference {
    config: Arc<Config>,
    room: Room,
    focus: Focus,
    features: Vec<Box<dyn Feature>>,
    expected: Expected,
    /// Until then it stays although nobody has asked or come yet.
    opens_until: Option<Instant>,
    is_closed: bool,
    outputs: VecDeque<Queued>,
}

/// Outputs as they wait. A broadcast is one of them until it is taken: 500 receivers would be
/// 500 moves from queue to queue.
enum Queued {
    One(Output),
    Many { to: Audience, stanza: Arc<Stanza> },
}

impl Conference {
    /// A conference in that room, without anybody.
    pub fn new(config: Arc<Config>, room: RoomJid, seed: [u8; 32], now: Now) -> Conference {
        let mut random = Random::from_seed(seed);
        let id = ConferenceId::new(&random.uuid());
        let jid = config.hosts.focus_full();
        let focus_config = Arc::new(config.focus.clone());
        let focus = Focus::new(focus_config, id.clone(), jid.clone(), random.seed(), now);
        let room_config = Arc::new(config.room.clone());
        tracing::info!(conference = %id, "conference created");
        Conference {
            room: Room::new(room_config, room, id, jid, focus.presence()),
            focus,
            features: feature::all(),
            expected: Expected::new(config.expected_max, config.initial_timeout, &mut random),
            opens_until: Some(now.mono + config.initial_timeout),
            is_closed: false,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// The id of this instance of the meeting.
    pub fn id(&self) -> &ConferenceId {
        self.room.id()
    }

    /// The address of its room.
    pub fn room(&self) -> &RoomJid {
        self.room.jid()
    }

    /// A stanza to the room, to an occupant, or a conference request for this room.
    pub fn handle_stanza(&mut self, now: Now, from: &Arc<SessionProfile>, stanza: Stanza) {
        if self.is_closed || self.expected.has_ended(from.id) {
            return;
        }
        if let Some(candidate) = self.room.candidate(from, &stanza) {
            self.handle_join(candidate, &stanza);
        } else if !self.handle_by_feature(now, from, &stanza) {
            self.room.handle_stanza(now, from, stanza);
        }
        self.settle(now);
    }

    /// A conference request by HTTP.
    pub fn handle_request(&mut self, now: Now, request: RequestId, asked: ConferenceRequest) {
        if self.is_closed {
            return;
        }
        self.expected
            .add(now.mono, None, asked.machine_uid.as_deref());
        let reply = conference_request::reply(&self.config.hosts, self.room.jid());
        self.push(Output::Reply { request, reply });
        self.settle(now);
    }

    /// Something happened to a session that is, was or may come inside.
    pub fn handle_session(&mut self, now: Now, session: SessionId, change: SessionChange) {
        if self.is_closed {
            return;
        }
        if matches!(change, SessionChange::Ended(_)) {
            self.expected.end(session);
        }
        self.room.handle_session(session, change);
        self.settle(now);
    }

    /// Something happened on the bridge.
    pub fn handle_bridge(&mut self, now: Now, event: BridgeEvent) {
        if self.is_closed {
            return;
        }
        self.focus.handle_bridge(now, event);
        self.settle(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.is_closed {
            return;
        }
        self.expected.handle_timeout(now.mono);
        if self.opens_until.is_some_and(|until| until <= now.mono) {
            self.opens_until = None;
        }
        self.focus.handle_timeout(now);
        self.settle(now);
    }

    /// Ends the meeting for everybody, with a reason for people.
    pub fn end(&mut self, now: Now, reason: &str) {
        if !self.is_closed {
            self.room.destroy(None, Some(reason));
            self.settle(now);
        }
    }

    /// The next output; None when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            match self.outputs.front_mut()? {
                Queued::Many { to, stanza } => {
                    if let Some(to) = to.next() {
                        return Some(Output::Deliver {
                            to,
                            stanza: stanza.clone(),
                        });
                    }
                    self.outputs.pop_front();
                }
                Queued::One(_) => match self.outputs.pop_front() {
                    Some(Queued::One(output)) => return Some(output),
                    _ => return None,
                },
            }
        }
    }

    /// When to call [`Conference::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.is_closed {
            return None;
        }
        let times = [
            self.opens_until,
            self.expected.next_timeout(),
            self.focus.next_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// Who is inside, what they send and how far they are.
    pub fn census(&self) -> Census {
        Census::of(&self.room, &self.focus)
    }

    /// Who speaks, by the bridge's account.
    pub fn dominant_speaker(&self) -> Option<&str> {
        self.focus
            .dominant_speaker()
            .map(|endpoint| endpoint.as_str())
    }

    fn handle_join(&mut self, mut candidate: Candidate, stanza: &Stanza) {
        let session = candidate.profile.id;
        candidate.device = self
            .expected
            .device(session, candidate.machine_uid.as_deref());
        for feature in &self.features {
            if let Admission::Refuse(error) = feature.before_join(&self.room, &candidate) {
                return self.room.refuse(&candidate, stanza, error);
            }
        }
        self.room.join(candidate, stanza);
    }

    /// Offers a request that is for no occupant to the features; true if one of them took it.
    fn handle_by_feature(&mut self, now: Now, from: &Arc<SessionProfile>, iq: &Stanza) -> bool {
        let has_resource = iq.to.as_ref().is_some_and(|to| to.resource().is_some());
        if iq.kind != Kind::Iq || has_resource {
            return false;
        }
        let mut cx = Cx {
            now,
            hosts: &self.config.hosts,
            room: &mut self.room,
            expected: &mut self.expected,
        };
        for feature in &mut self.features {
            if feature.on_iq(&mut cx, from, iq) == Handled::Yes {
                return true;
            }
        }
        let to_room = iq.to.as_ref().is_some_and(|to| to.node().is_some());
        if !to_room && iq.is_request() {
            self.room
                .answer(from.id, iq.error(Condition::ServiceUnavailable));
        }
        !to_room
    }

    /// Drains the machines inside and feeds each with what the others say, until all are quiet.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(output) = self.room.poll_output() {
                self.handle_room(now, output);
            } else if let Some(output) = self.focus.poll_output() {
                self.handle_focus(output);
            } else {
                break;
            }
        }
        self.check();
        self.close_if_over();
    }

    fn handle_room(&mut self, now: Now, output: tertulia_room::Output) {
        use tertulia_room::Output as Room;
        match output {
            Room::Deliver { to, stanza } => self.push(Output::Deliver { to, stanza }),
            Room::Broadcast { to, stanza } => {
                self.outputs.push_back(Queued::Many { to, stanza });
            }
            Room::Joined(id) => self.handle_joined(now, id),
            Room::Left { endpoint, .. } => self.focus.leave(now, &endpoint),
            Room::Paused {
                occupant,
                is_paused,
            } => {
                if let Some(occupant) = self.room.occupant(occupant) {
                    self.focus.set_paused(now, occupant.nick(), is_paused);
                }
            }
            Room::RightsChanged(id) => self.tell_rights(id),
            Room::ForFocus { from, iq } => {
                if let Some(occupant) = self.room.occupant(from) {
                    self.focus.handle_iq(now, occupant.nick(), &iq);
                }
            }
            Room::Describe { to, iq, mut info } => {
                for feature in &self.features {
                    feature.describe(&self.room, &mut info);
                }
                self.room
                    .answer(to, iq.result().with_child(info.to_element()));
            }
            Room::Destroyed => self.focus.close(),
        }
    }

    fn handle_focus(&mut self, output: tertulia_focus::Output) {
        use tertulia_focus::Output as Focus;
        match output {
            Focus::Send { to, stanza } => {
                if let Some(id) = self.room.occupant_named(to.as_str()).map(|o| o.id()) {
                    self.room.send_from_focus(id, stanza);
                }
            }
            Focus::Bridge(command) => self.push(Output::Bridge(command)),
            Focus::PresenceChanged => self.room.set_focus_presence(self.focus.presence()),
        }
    }

    fn handle_joined(&mut self, now: Now, id: OccupantId) {
        let Some(occupant) = self.room.occupant(id) else {
            return;
        };
        let (nick, profile) = (occupant.nick().clone(), occupant.profile().clone());
        self.opens_until = None;
        self.expected.arrived(profile.id, occupant.device());
        for feature in &mut self.features {
            feature.after_join(now, &self.room);
        }
        self.focus.join(now, nick, profile);
        self.tell_rights(id);
    }

    fn push(&mut self, output: Output) {
        self.outputs.push_back(Queued::One(output));
    }

    /// Lets the bridge enforce what an occupant may do.
    fn tell_rights(&mut self, id: OccupantId) {
        if let Some(occupant) = self.room.occupant(id) {
            let may = MayForward {
                audio: may(occupant, Act::Speak),
                camera: may(occupant, Act::ShowCamera),
                screen: may(occupant, Act::ShowScreen),
                messages: may(occupant, Act::Chat),
            };
            self.focus.set_may_forward(occupant.nick(), may);
        }
    }

    fn close_if_over(&mut self) {
        let is_wanted = self.opens_until.is_some()
            || self.expected.is_anybody()
            || self.room.occupants().len() > 0;
        if is_wanted && !self.room.is_destroyed() {
            return;
        }
        self.focus.close();
        while let Some(output) = self.focus.poll_output() {
            if let tertulia_focus::Output::Bridge(command) = output {
                self.push(Output::Bridge(command));
            }
        }
        self.is_closed = true;
        tracing::info!(conference = %self.room.id(), "conference ended");
        self.push(Output::Closed);
    }

    /// What must hold after every step. Everything is looked at in tests and in simulation; a
    /// meeting in production is not slowed down by it.
    fn check(&self) {
        if cfg!(debug_assertions) {
            self.room.is_consistent();
            self.focus.is_consistent();
            self.census().check();
        }
    }
}

#[cfg(test)]
mod tests;
