//! Meetings on a node: which conference answers for which room, on which worker its media is, and
//! what of it goes to disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use tertulia_conference::{Conference, Output};
use tertulia_model::{BridgeCommand, ConferenceId, Host, Now, RequestId, RoomJid};
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};

use super::{Machine, Node, NodeOutput};

/// One conference and where the media of its rooms is.
pub(super) struct Meeting {
    pub(super) machine: Conference,
    /// Worker of each of its conferences on the bridge.
    workers: BTreeMap<ConferenceId, usize>,
}

/// All meetings of a node.
pub(super) struct Meetings {
    by_id: BTreeMap<ConferenceId, Meeting>,
    /// By all addresses for which they answer: main rooms and breakout rooms.
    by_room: BTreeMap<RoomJid, ConferenceId>,
    /// Main rooms of breakout rooms, also of meetings that were cut off.
    main_rooms: BTreeMap<RoomJid, RoomJid>,
    /// The meeting of each conference on the bridge.
    by_hall: BTreeMap<ConferenceId, ConferenceId>,
}

impl Meetings {
    /// None yet, but these breakout rooms, each with its main room, are known from before.
    pub(super) fn new(kept: BTreeMap<RoomJid, RoomJid>) -> Meetings {
        Meetings {
            by_id: BTreeMap::new(),
            by_room: BTreeMap::new(),
            main_rooms: kept,
            by_hall: BTreeMap::new(),
        }
    }

    pub(super) fn by_id(&mut self, id: &ConferenceId) -> Option<&mut Meeting> {
        self.by_id.get_mut(id)
    }

    pub(super) fn id_of(&self, room: &RoomJid) -> Option<ConferenceId> {
        self.by_room.get(room).cloned()
    }

    pub(super) fn of_room(&self, room: &RoomJid) -> Option<&Meeting> {
        self.by_id.get(self.by_room.get(room)?)
    }

    /// The meeting that one of the conferences on the bridge belongs to.
    pub(super) fn of_hall(&mut self, hall: &ConferenceId) -> Option<(ConferenceId, &mut Meeting)> {
        let id = self.by_hall.get(hall)?.clone();
        let meeting = self.by_id.get_mut(&id)?;
        Some((id, meeting))
    }

    pub(super) fn worker_of(&self, hall: &ConferenceId) -> Option<usize> {
        let meeting = self.by_id.get(self.by_hall.get(hall)?)?;
        meeting.workers.get(hall).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ConferenceId, &Meeting)> {
        self.by_id.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&ConferenceId, &mut Meeting)> {
        self.by_id.iter_mut()
    }

    /// Main rooms that live.
    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomJid> {
        self.by_id
            .values()
            .map(|meeting| meeting.machine.room().clone())
    }

    /// How many conferences on the bridge each worker has.
    fn load(&self, worker: usize) -> usize {
        let halls = self
            .by_id
            .values()
            .flat_map(|meeting| meeting.workers.values());
        halls.filter(|index| **index == worker).count()
    }

    fn remove(&mut self, id: &ConferenceId) -> Option<Meeting> {
        self.by_room.retain(|_, known| known != id);
        self.by_hall.retain(|_, known| known != id);
        self.by_id.remove(id)
    }
}

impl Node {
    /// The conference of this room; it is brought to life, with what the disk has of it, if it does
    /// not live. None for a breakout room that no meeting has.
    pub(super) fn find_or_start(&mut self, now: Now, room: &RoomJid) -> Option<ConferenceId> {
        if let Some(id) = self.meetings.id_of(room) {
            return Some(id);
        }
        let main = if self.is_breakout(room) {
            self.meetings.main_rooms.get(room)?.clone()
        } else {
            room.clone()
        };
        if let Some(id) = self.meetings.id_of(&main) {
            return Some(id);
        }
        let journal = self.disk.load(&main, now.mono, self.config.journal_linger);
        let id = ConferenceId::new(&self.random.uuid());
        let seed = self.random.seed();
        let config = Arc::clone(&self.config.conference);
        let machine = Conference::new(config, main.clone(), id.clone(), journal, seed, now);
        let workers = BTreeMap::new();
        self.meetings.by_room.insert(main, id.clone());
        let meeting = Meeting { machine, workers };
        self.meetings.by_id.insert(id.clone(), meeting);
        // The breakout rooms that it comes back with are its own from now on.
        self.drain_meeting(now, &id);
        Some(id)
    }

    pub(super) fn is_breakout(&self, room: &RoomJid) -> bool {
        self.hosts.classify(room.bare().domain()) == Some(Host::Breakout)
    }

    pub(super) fn ask_meeting(
        &mut self,
        now: Now,
        id: &ConferenceId,
        request: RequestId,
        asked: ConferenceRequest,
    ) {
        if let Some(meeting) = self.meetings.by_id(id) {
            meeting.machine.handle_request(now, request, asked);
            self.wake(Machine::Meeting(id.clone()));
        }
    }

    pub(super) fn drain_meeting(&mut self, now: Now, id: &ConferenceId) {
        while let Some(meeting) = self.meetings.by_id(id) {
            let Some(output) = meeting.machine.poll_output() else {
                return;
            };
            let room = meeting.machine.room().clone();
            match output {
                Output::Deliver { to, stanza } => self.deliver(now, to, stanza),
                Output::Bridge {
                    conference,
                    command,
                } => self.command(now, id, &conference, *command),
                Output::Record(entry) => self.disk.write(&room, entry),
                Output::Forget => {
                    self.disk.forget(&room);
                    self.meetings.main_rooms.retain(|_, main| *main != room);
                }
                Output::Claim(breakout) => {
                    self.meetings.by_room.insert(breakout.clone(), id.clone());
                    self.meetings.main_rooms.insert(breakout, room);
                }
                Output::Release(breakout) => {
                    self.meetings.by_room.remove(&breakout);
                    self.meetings.main_rooms.remove(&breakout);
                }
                Output::Reply { request, reply } => self.reply(request, &reply),
                Output::Closed => {
                    self.disk.ended(&room, now.mono);
                    self.meetings.remove(id);
                    for session in self.sessions.values_mut() {
                        session.meetings.retain(|known| known != id);
                    }
                }
            }
        }
    }

    fn reply(&mut self, request: RequestId, reply: &ConferenceReply) {
        let body = reply.to_json();
        self.outputs.push_back(NodeOutput::HttpReply {
            request,
            status: 200,
            body,
        });
    }

    pub(super) fn reply_gone(&mut self, request: RequestId, room: &RoomJid) {
        let reply = self.gone(room);
        self.reply(request, &reply);
    }

    /// The answer to a request for a breakout room that is gone. An error would be final for
    /// Jitsi's clients; the join will be refused, which sends them back to the main room.
    pub(super) fn gone(&self, room: &RoomJid) -> ConferenceReply {
        ConferenceReply {
            room: room.to_string(),
            is_ready: true,
            focus_jid: self.hosts.focus_user().to_string(),
            ..ConferenceReply::default()
        }
    }

    /// A command to one of a meeting's conferences on the bridge. The first allocation chooses its
    /// worker, the one with the fewest; the end frees it.
    fn command(
        &mut self,
        now: Now,
        id: &ConferenceId,
        hall: &ConferenceId,
        command: BridgeCommand,
    ) {
        if self.sabotage.is_some_and(|s| s.swallows_command(&command)) {
            return;
        }
        if matches!(command, BridgeCommand::Allocate { .. }) {
            let least = (0..self.workers.len()).min_by_key(|index| self.meetings.load(*index));
            if let Some(meeting) = self.meetings.by_id(id) {
                let worker = least.unwrap_or_default();
                meeting.workers.entry(hall.clone()).or_insert(worker);
                self.meetings.by_hall.insert(hall.clone(), id.clone());
            }
        }
        // About what was never allocated, the bridge need not be told anything.
        let Some(worker) = self.meetings.worker_of(hall) else {
            return;
        };
        let is_end = matches!(command, BridgeCommand::Close);
        self.with_worker(worker, |worker, batch| {
            worker.handle_command(now, hall, command, batch);
        });
        if is_end {
            self.meetings.by_hall.remove(hall);
            if let Some(meeting) = self.meetings.by_id(id) {
                meeting.workers.remove(hall);
            }
        }
    }
}
