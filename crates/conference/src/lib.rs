//! A conference: a room, its focus and the Jitsi features around them, in one state machine with
//! one owner. Its lobby and its breakout rooms belong to it: they are one family, so that there is
//! one truth about who is where.
//!
//! Does not know: sockets, streams, media packets.

mod afterwards;
mod census;
mod expected;
mod feature;
mod hall;
mod incoming;
mod join;
mod journal;
mod rules;
mod standings;
mod waiting_room;

pub mod host;
pub mod route;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_focus::Focus;
use tertulia_model::{
    BridgeCommand, BridgeEvent, ConferenceId, Host, Hosts, Now, Random, RequestId, RoomJid,
    SessionChange, SessionId, SessionProfile,
};
use tertulia_room::{Audience, Farewell, OccupantId, Room};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tertulia_stanza::muc::Affiliation;
use tertulia_stanza::{Element, Kind, Stanza, ns};

pub use census::{Census, RoomCensus, Seat};
pub use feature::services::{IceServer, TlsPort};
pub use host::{refuse_breakout, refuse_missing};
pub use journal::Entry;
pub use route::{Route, route};
pub use rules::Rules;

use afterwards::Afterwards;
use expected::Expected;
use feature::breakout_rooms::Breakouts;
use feature::join_queue::JoinQueues;
use feature::lobby::Lobby;
use feature::metadata;
use feature::password::WrongPasswords;
use feature::start_muted::StartMutedAfter;
use feature::visitors::Visitors;
use hall::{Cx, Hall};
use journal::Journal;
use standings::Standings;

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
    /// Affiliations that people granted.
    pub affiliations_max: usize,
    pub rules: Rules,
    /// How long after a crash those who moderated before are waited for, before somebody else is
    /// elected.
    pub owner_patience: Duration,
    /// Hashes the devices of guests; the same in the next process (DESIGN 10).
    pub device_key: [u8; 32],
    /// The STUN and TURN server that clients are told of.
    pub ice_server: Option<IceServer>,
}

/// Everything a conference can want from the world, in the order it wants it.
#[derive(Debug)]
pub enum Output {
    /// To the client of that session; `to` may be absent: the session fills in its JID.
    Deliver { to: SessionId, stanza: Arc<Stanza> },
    /// To the conference of that id on its bridge: each room with media has its own.
    Bridge {
        conference: ConferenceId,
        /// Much larger than what else there is, and rare: each stanza would be moved in its room.
        command: Box<BridgeCommand>,
    },
    /// The answer to an HTTP conference request.
    Reply {
        request: RequestId,
        /// Boxed as the command of a bridge is.
        reply: Box<ConferenceReply>,
    },
    /// To be in the room journal before anything that follows is carried out.
    Record(Entry),
    /// The meeting was ended on purpose: nothing of its journal is to be kept.
    Forget,
    /// The conference answers for this address as well: a breakout room.
    Claim(RoomJid),
    /// It does not any more.
    Release(RoomJid),
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
    random: Random,
    /// The address of the main room.
    main: RoomJid,
    /// The rooms with people in them, the main room always.
    halls: BTreeMap<RoomJid, Hall>,
    standings: Standings,
    journal: Journal,
    afterwards: Afterwards,
    breakouts: Breakouts,
    lobby: Lobby,
    visitors: Visitors,
    joins: JoinQueues,
    wrong_passwords: WrongPasswords,
    /// As the first conference request wanted it.
    start_muted: Option<StartMutedAfter>,
    expected: Expected,
    /// Until then it stays although nobody has asked or come yet.
    opens_until: Option<Instant>,
    /// Until then those who moderated before a crash are waited for.
    owners_until: Option<Instant>,
    is_ended: bool,
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
    /// A conference in that room, without anybody. `id` is that of its main room on the bridge,
    /// until another group begins anew there; `journal` is what was kept of a meeting in this room
    /// that a crash cut off, or empty.
    pub fn new(
        config: Arc<Config>,
        room: RoomJid,
        id: ConferenceId,
        journal: BTreeMap<String, String>,
        seed: [u8; 32],
        now: Now,
    ) -> Conference {
        let mut journal = Journal::new(journal);
        let standings = Standings::restored(&mut journal, config.affiliations_max);
        let had_owner = standings.has(Affiliation::Owner);
        tracing::info!(conference = %id, "conference created");
        let mut conference = Conference {
            random: Random::from_seed(seed),
            main: room.clone(),
            halls: BTreeMap::new(),
            breakouts: Breakouts::restored(&journal),
            lobby: Lobby::default(),
            visitors: Visitors::restored(&journal),
            joins: JoinQueues::default(),
            wrong_passwords: WrongPasswords::default(),
            start_muted: None,
            afterwards: Afterwards::restored(&journal, now.mono + config.owner_patience),
            standings,
            journal,
            expected: Expected::new(
                config.expected_max,
                config.initial_timeout,
                config.device_key,
            ),
            opens_until: Some(now.mono + config.initial_timeout),
            owners_until: had_owner.then(|| now.mono + config.owner_patience),
            is_ended: false,
            is_closed: false,
            outputs: VecDeque::new(),
            config,
        };
        conference.open(now, room, id);
        for room in conference.breakouts.rooms().cloned().collect::<Vec<_>>() {
            conference.push(Output::Claim(room));
        }
        conference.restore_lobby();
        conference.settle(now);
        conference
    }

    /// The id of this instance of the meeting.
    pub fn id(&self) -> &ConferenceId {
        self.main_hall().id()
    }

    /// The address of its main room.
    pub fn room(&self) -> &RoomJid {
        &self.main
    }

    /// A stanza to one of its rooms or to an occupant, to a service of the meeting, or a
    /// conference request.
    pub fn handle_stanza(&mut self, now: Now, from: &Arc<SessionProfile>, stanza: Stanza) {
        if self.is_closed || self.expected.has_ended(from.id) {
            return;
        }
        let to = stanza.to.as_ref();
        let host = to.and_then(|to| self.config.hosts.classify(to.domain()));
        let is_room = to.is_some_and(|to| to.node().is_some());
        match host {
            Some(Host::Conference | Host::Breakout) if is_room => {
                self.handle_room_stanza(now, from, stanza);
            }
            Some(Host::Lobby) if is_room => self.handle_lobby_stanza(from, &stanza),
            Some(Host::Focus) if stanza.kind == Kind::Iq => {
                self.handle_conference_request(now, from.id, &stanza);
            }
            Some(host) => self.handle_service_stanza(now, host, from, &stanza),
            None => {}
        }
        self.settle(now);
    }

    /// A conference request by HTTP.
    pub fn handle_request(&mut self, now: Now, request: RequestId, asked: ConferenceRequest) {
        if !self.is_closed {
            self.answer_request(now, request, &asked);
            self.settle(now);
        }
    }

    /// Something happened to a session that is, was or may come inside.
    pub fn handle_session(&mut self, now: Now, session: SessionId, change: SessionChange) {
        if self.is_closed {
            return;
        }
        if let SessionChange::Ended(reason) = change {
            self.lose(now, session, reason);
            self.expected.end(session);
            self.breakouts.arrived_or_ended(session);
            self.end_in_lobby(session);
            if let Some(guest) = self.standings.end(session) {
                self.visitors.forget(&guest);
                for hall in self.halls.values_mut() {
                    hall.forget_approvals(&mut self.journal, &guest);
                }
            }
        }
        self.joins.handle_session(session, change);
        for hall in self.halls.values_mut() {
            hall.room.handle_session(session, change);
        }
        self.settle(now);
    }

    /// Something happened to one of its rooms on the bridge.
    pub fn handle_bridge(&mut self, now: Now, conference: &ConferenceId, event: BridgeEvent) {
        if self.is_closed {
            return;
        }
        let mut halls = self.halls.values_mut();
        if let Some(hall) = halls.find(|hall| hall.id() == conference) {
            hall.handle_bridge(now, event);
            self.settle(now);
        }
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
        if self.owners_until.is_some_and(|until| until <= now.mono) {
            self.elect_owner(now);
        }
        self.handle_breakout_timeout(now);
        for hall in self.halls.values_mut() {
            hall.focus.handle_timeout(now);
        }
        self.work_off_joins(now);
        self.settle(now);
    }

    /// Ends the meeting for everybody, with a reason for people. Nothing of it is kept.
    pub fn end(&mut self, now: Now, reason: &str) {
        if self.is_closed {
            return;
        }
        self.is_ended = true;
        for hall in self.halls.values_mut() {
            hall.room.destroy(None, Some(reason));
        }
        self.close_lobby(None, Some(reason));
        self.settle(now);
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
            self.owners_until,
            self.expected.next_timeout(),
            self.breakouts.next_timeout(),
            self.joins.next_timeout(),
        ];
        let focuses = self.halls.values().map(|hall| hall.focus.next_timeout());
        times.into_iter().chain(focuses).flatten().min()
    }

    /// Who is inside, what they send and how far they are.
    pub fn census(&self) -> Census {
        Census::of(&self.halls, &self.lobby)
    }

    /// Who speaks in the main room, by the bridge's account.
    pub fn dominant_speaker(&self) -> Option<&str> {
        let speaker = self.main_hall().focus.dominant_speaker()?;
        Some(speaker.as_str())
    }

    /// Brings a room to life.
    fn open(&mut self, now: Now, room: RoomJid, id: ConferenceId) {
        let jid = self.config.hosts.focus_full();
        let focus = Focus::new(
            Arc::new(self.config.focus.clone()),
            id.clone(),
            jid.clone(),
            self.random.seed(),
            now,
        );
        let mut config = self.config.room.clone();
        // The lobby belongs to the main room and serves all.
        config.has_lobby &= room == self.main;
        let config = Arc::new(config);
        let seed = self.random.seed();
        let muc = Room::new(config, room.clone(), id, jid, focus.presence(), seed);
        let mut hall = Hall::new(now, muc, focus, room == self.main, &self.journal);
        let has_visitors = self.config.rules.has_visitors && room == self.main;
        hall.focus.set_has_visitors(now, has_visitors);
        if !self.config.rules.has_av_moderation {
            // Nobody could end what was moderated before that was switched off.
            hall.moderation = Default::default();
        }
        if self.config.rules.is_everyone_moderator {
            hall.set_own_metadata(&self.config, metadata::ALL_OWNERS, true.into());
        }
        self.halls.insert(room.clone(), hall);
        self.apply_start_muted(&room);
    }

    /// Drains the machines inside and feeds each with what the others say, until all are quiet.
    fn settle(&mut self, now: Now) {
        let rooms: Vec<RoomJid> = self.halls.keys().cloned().collect();
        loop {
            let mut is_quiet = true;
            for room in &rooms {
                is_quiet &= !self.settle_hall(now, room);
            }
            if is_quiet {
                break;
            }
        }
        self.settle_lobby();
        self.close_empty_halls();
        self.record();
        self.check();
        self.close_if_over();
    }

    /// A breakout room that nobody is in goes back to paper.
    fn close_empty_halls(&mut self) {
        let main = &self.main;
        let is_over = |(jid, hall): &(&RoomJid, &Hall)| *jid != main && hall.is_empty();
        let over: Vec<RoomJid> = self
            .halls
            .iter()
            .filter(is_over)
            .map(|(jid, _)| jid.clone())
            .collect();
        for room in over {
            if let Some(mut hall) = self.halls.remove(&room) {
                self.close_media(&mut hall);
            }
        }
    }

    fn close_media(&mut self, hall: &mut Hall) {
        hall.focus.close();
        while let Some(output) = hall.focus.poll_output() {
            if let tertulia_focus::Output::Bridge(command) = output {
                let conference = hall.id().clone();
                self.push(Output::Bridge {
                    conference,
                    command: Box::new(command),
                });
            }
        }
    }

    /// Whether there was anything to do.
    fn settle_hall(&mut self, now: Now, room: &RoomJid) -> bool {
        let mut has_acted = false;
        while let Some(hall) = self.halls.get_mut(room) {
            if let Some(output) = hall.room.poll_output() {
                self.handle_room(now, room, output);
            } else if let Some(output) = hall.focus.poll_output() {
                self.handle_focus(room, output);
            } else {
                break;
            }
            has_acted = true;
        }
        has_acted
    }

    fn handle_room(&mut self, now: Now, room: &RoomJid, output: tertulia_room::Output) {
        use tertulia_room::Output as Said;
        let Some(hall) = self.halls.get_mut(room) else {
            return;
        };
        match output {
            Said::Deliver { to, stanza } => self.push(Output::Deliver { to, stanza }),
            Said::Broadcast { to, stanza } => {
                self.record();
                self.outputs.push_back(Queued::Many { to, stanza });
            }
            Said::Joined(id) => self.handle_joined(now, room, id),
            Said::Left(farewell) => self.handle_left(now, room, &farewell),
            Said::PresenceChanged(id) => {
                let mut cx = Cx::new(now, &self.config, &mut self.journal);
                hall.presence_changed(&mut cx, id);
                self.visitor_changed(room, id);
            }
            Said::Paused {
                occupant,
                is_paused,
            } => {
                if let Some(occupant) = hall.room.occupant(occupant) {
                    hall.focus.set_paused(now, occupant.nick(), is_paused);
                }
                self.elect_owner(now);
            }
            Said::RightsChanged(id) => {
                let mut cx = Cx::new(now, &self.config, &mut self.journal);
                hall.rights_changed(&mut cx, id);
            }
            Said::Admin { from, iq, changes } => self.administer(now, room, from, &iq, changes),
            Said::ListAffiliation {
                to,
                iq,
                affiliation,
            } => {
                let absent = self.standings.with(affiliation).into_iter();
                hall.room
                    .answer_affiliation_list(to, &iq, affiliation, absent);
            }
            Said::Configured { by } => {
                hall.keep_configuration(&mut self.journal);
                if *room == self.main {
                    self.lobby_configured(by);
                }
            }
            Said::SubjectChanged { by, subject } => {
                hall.keep_subject(&mut self.journal, by.as_str(), &subject);
            }
            Said::ForFocus { from, iq } => {
                if hall.handle_mute(from, &iq) {
                    return;
                }
                if let Some(occupant) = hall.room.occupant(from) {
                    hall.focus.handle_iq(now, occupant.nick(), &iq);
                }
            }
            Said::Describe { to, iq, mut info } => {
                hall.describe(&mut info);
                self.describe_breakout(room, &mut info);
                self.lobby.describe(&mut info);
                let Some(hall) = self.halls.get_mut(room) else {
                    return;
                };
                let description = iq.result().with_child(info.to_element());
                hall.room.answer(to, description);
            }
            Said::Destroyed => self.handle_destroyed(room),
        }
    }

    fn handle_focus(&mut self, room: &RoomJid, output: tertulia_focus::Output) {
        use tertulia_focus::Output as Focus;
        let Some(hall) = self.halls.get_mut(room) else {
            return;
        };
        match output {
            Focus::Send { to, stanza } => {
                if let Some(id) = hall.room.occupant_named(to.as_str()).map(|o| o.id()) {
                    hall.room.send_from_focus(id, stanza);
                }
            }
            Focus::Bridge(command) => {
                let conference = hall.id().clone();
                self.push(Output::Bridge {
                    conference,
                    command: Box::new(command),
                });
            }
            Focus::PresenceChanged => hall.room.set_focus_presence(hall.focus.presence()),
        }
    }

    /// A room was ended by its owner, or by us. With the main room the meeting ends.
    fn handle_destroyed(&mut self, room: &RoomJid) {
        if let Some(hall) = self.halls.get_mut(room) {
            hall.focus.close();
        }
        if *room == self.main {
            self.is_ended = true;
            for hall in self.halls.values_mut() {
                hall.room.destroy(None, Some("The meeting has ended"));
            }
            self.close_lobby(None, Some("The meeting has ended"));
        }
    }

    fn handle_joined(&mut self, now: Now, room: &RoomJid, id: OccupantId) {
        let Some(hall) = self.halls.get_mut(room) else {
            return;
        };
        let Some(occupant) = hall.room.occupant(id) else {
            return;
        };
        let (nick, profile) = (occupant.nick().clone(), occupant.profile().clone());
        let is_visitor = occupant.is_hidden();
        self.opens_until = None;
        self.afterwards.begin(&mut self.journal);
        self.expected.arrived(profile.id, occupant.device());
        self.breakouts.arrived_or_ended(profile.id);
        let mut cx = Cx::new(now, &self.config, &mut self.journal);
        hall.greet(&mut cx, id);
        hall.focus.join(now, nick.clone(), profile);
        hall.read_sending(&cx, id);
        if is_visitor {
            hall.focus.set_visitor(now, &nick, true);
        }
        hall.tell_rights(id);
        self.keep_standing(room, id);
        self.elect_owner(now);
        self.take_seat(now, room, id);
    }

    fn handle_left(&mut self, now: Now, room: &RoomJid, farewell: &Farewell) {
        if let Some(hall) = self.halls.get_mut(room) {
            hall.part(now, &farewell.occupant);
        }
        self.visitors.left(farewell.occupant.nick());
        if self.halls.values().all(Hall::is_empty) {
            self.afterwards.leave(now);
        }
        self.left_for_another_room(now, room, farewell);
        self.elect_owner(now);
    }

    /// The room in which that session is.
    fn hall_of(&self, session: SessionId) -> Option<RoomJid> {
        let mut halls = self.halls.values();
        let hall = halls.find(|hall| hall.room.occupant_of(session).is_some())?;
        Some(hall.jid().clone())
    }

    fn main_hall(&self) -> &Hall {
        self.halls
            .get(&self.main)
            .expect("the main room lives as long as its conference")
    }

    /// Answers a stanza of that session: `stanza` is addressed already.
    fn answer(&mut self, to: SessionId, stanza: Stanza) {
        let stanza = Arc::new(stanza);
        self.push(Output::Deliver { to, stanza });
    }

    /// What was decided is kept before anybody is told.
    fn push(&mut self, output: Output) {
        self.record();
        self.outputs.push_back(Queued::One(output));
    }

    fn record(&mut self) {
        while let Some(entry) = self.journal.poll() {
            self.outputs.push_back(Queued::One(Output::Record(entry)));
        }
    }

    fn close_if_over(&mut self) {
        let is_wanted = self.opens_until.is_some()
            || self.expected.is_anybody()
            || self.breakouts.is_anybody_under_way()
            || self.lobby.is_anybody()
            || self.joins.is_anybody()
            || self.halls.values().any(|hall| !hall.is_empty());
        if self.is_closed || (is_wanted && !self.main_hall().room.is_destroyed()) {
            return;
        }
        self.close_lobby(None, None);
        self.send_waiting_away();
        let mut halls = std::mem::take(&mut self.halls);
        for hall in halls.values_mut() {
            self.close_media(hall);
        }
        self.halls = halls;
        if self.is_ended {
            self.journal.forget();
            self.push(Output::Forget);
        } else {
            self.afterwards.end(&mut self.journal);
        }
        self.is_closed = true;
        tracing::info!(conference = %self.id(), "conference ended");
        self.push(Output::Closed);
    }

    /// What must hold after every step. Everything is looked at in tests and in simulation; a
    /// meeting in production is not slowed down by it.
    fn check(&self) {
        if cfg!(debug_assertions) {
            for hall in self.halls.values() {
                hall.room.is_consistent();
                hall.focus.is_consistent();
            }
            self.census().check();
        }
    }
}

/// The client's own id, where it comes with the presence (HTTP conference requests).
fn machine_uid(presence: &Stanza) -> Option<String> {
    let x = presence.child("x", ns::MUC)?;
    x.get_child("billingid", ns::MUC).map(Element::text)
}

#[cfg(test)]
mod tests;
