//! How many people come into a room in a second: the others wait, in order.
//!
//! A class that opens its laptops at once would otherwise be hundreds of presences to hundreds of
//! people in one moment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_model::{DeviceId, Now, RoomJid, SessionChange, SessionId, SessionProfile};
use tertulia_room::Candidate;
use tertulia_stanza::{Condition, Stanza};

use crate::Conference;
use crate::feature::refused;

/// The queues before the rooms of a meeting.
#[derive(Default)]
pub(crate) struct JoinQueues {
    rooms: BTreeMap<RoomJid, Queue>,
}

struct Queue {
    waiting: VecDeque<Waiting>,
    /// From then on the next one may come in.
    opens_at: Instant,
}

/// Somebody who waits. Everything else about it is looked up when its turn comes.
struct Waiting {
    profile: Arc<SessionProfile>,
    stanza: Stanza,
    device: Option<DeviceId>,
    is_paused: bool,
}

impl JoinQueues {
    /// Whether anybody waits.
    pub(crate) fn is_anybody(&self) -> bool {
        self.rooms.values().any(|queue| !queue.waiting.is_empty())
    }

    /// Something happened to a session that may wait.
    pub(crate) fn handle_session(&mut self, session: SessionId, change: SessionChange) {
        match change {
            SessionChange::Ended(_) => self.give_up(session),
            SessionChange::Paused | SessionChange::Resumed => {
                let waiting = self.rooms.values_mut().flat_map(|q| &mut q.waiting);
                for one in waiting.filter(|one| one.profile.id == session) {
                    one.is_paused = change == SessionChange::Paused;
                }
            }
        }
    }

    /// The session does not want to come in any more.
    pub(crate) fn give_up(&mut self, session: SessionId) {
        for queue in self.rooms.values_mut() {
            queue.waiting.retain(|one| one.profile.id != session);
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let queues = self.rooms.values();
        let busy = queues.filter(|queue| !queue.waiting.is_empty());
        busy.map(|queue| queue.opens_at).min()
    }
}

impl Conference {
    /// Somebody wants to come in: now, or when its turn comes.
    pub(crate) fn queue_join(
        &mut self,
        now: Now,
        room: &RoomJid,
        candidate: Candidate,
        stanza: &Stanza,
    ) {
        let rules = &self.config.rules;
        let (interval, waiting_max) = (interval(rules.joins_per_second), rules.joins_waiting_max);
        let queue = self.joins.rooms.entry(room.clone()).or_insert(Queue {
            waiting: VecDeque::new(),
            opens_at: now.mono.checked_sub(BURST).unwrap_or(now.mono),
        });
        let session = candidate.profile.id;
        let mut waiting = queue.waiting.iter_mut();
        if let Some(one) = waiting.find(|one| one.profile.id == session) {
            // It has asked again and keeps its place.
            one.stanza = stanza.clone();
            return;
        }
        if queue.waiting.is_empty() && queue.opens_at <= now.mono {
            queue.take_turn(now.mono, interval);
            return self.handle_join(now, room, candidate, stanza);
        }
        if queue.waiting.len() >= waiting_max {
            let text = "too many people come in at once, try again";
            let error = refused(Condition::ResourceConstraint, text);
            if let Some(hall) = self.halls.get_mut(room) {
                hall.room.refuse(&candidate, stanza, error);
            }
            return;
        }
        let device = self
            .expected
            .device(session, candidate.machine_uid.as_deref());
        queue.waiting.push_back(Waiting {
            profile: candidate.profile,
            stanza: stanza.clone(),
            device,
            is_paused: false,
        });
    }

    /// Lets in whose turn has come.
    pub(crate) fn work_off_joins(&mut self, now: Now) {
        let interval = interval(self.config.rules.joins_per_second);
        for room in self.joins.rooms.keys().cloned().collect::<Vec<_>>() {
            while let Some(one) = self.joins.next(&room, now.mono, interval) {
                self.let_in_waiting(now, &room, &one);
                self.settle(now);
            }
        }
        let is_needed = |queue: &Queue| !queue.waiting.is_empty() || !queue.is_fresh(now.mono);
        self.joins.rooms.retain(|_, queue| is_needed(queue));
    }

    /// The meeting is over: who still waits is told that the room is not there.
    pub(crate) fn send_waiting_away(&mut self) {
        for (room, queue) in std::mem::take(&mut self.joins.rooms) {
            for one in queue.waiting {
                self.send_away(one.profile.id, &room, &one.stanza);
            }
        }
    }

    fn let_in_waiting(&mut self, now: Now, room: &RoomJid, one: &Waiting) {
        if !self.halls.contains_key(room) {
            self.open_breakout_room(now, room);
        }
        let Some(hall) = self.halls.get_mut(room) else {
            return self.send_away(one.profile.id, room, &one.stanza);
        };
        let Some(mut candidate) = hall.room.candidate(&one.profile, &one.stanza) else {
            return;
        };
        candidate.device = one.device;
        self.handle_join(now, room, candidate, &one.stanza);
        if let Some(hall) = self.halls.get_mut(room).filter(|_| one.is_paused) {
            hall.room
                .handle_session(one.profile.id, SessionChange::Paused);
        }
    }
}

impl JoinQueues {
    fn next(&mut self, room: &RoomJid, now: Instant, interval: Duration) -> Option<Waiting> {
        let queue = self.rooms.get_mut(room)?;
        if queue.opens_at > now {
            return None;
        }
        let one = queue.waiting.pop_front()?;
        queue.take_turn(now, interval);
        Some(one)
    }
}

impl Queue {
    /// Nothing of the past counts any more.
    fn is_fresh(&self, now: Instant) -> bool {
        self.opens_at + BURST <= now
    }

    /// A burst of a second's number may come in at once, then one in each interval.
    fn take_turn(&mut self, now: Instant, interval: Duration) {
        let burst = BURST.saturating_sub(interval);
        let earliest = now.checked_sub(burst).unwrap_or(now);
        self.opens_at = self.opens_at.max(earliest) + interval;
    }
}

fn interval(joins_per_second: u32) -> Duration {
    Duration::from_secs(1) / joins_per_second.max(1)
}

const BURST: Duration = Duration::from_secs(1);
