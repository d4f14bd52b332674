//! Claims 7, 8, 9 and 17 to 19: what the server holds, what is in the log, who is in trouble, and
//! who hears what is none of its business.

use tertulia_bridge::Statistics;
use tertulia_client::Refusal;

use super::*;
use crate::node::Census;

impl Checkers {
    /// Claim 7: nothing outlives its conference. Asked when everybody has gone.
    pub fn claim_7_nothing_is_left(&mut self, world: &World) {
        let Some(node) = world.node() else { return };
        for statistics in node.statistics() {
            let Statistics {
                addresses,
                timers,
                channels,
                ..
            } = statistics;
            if addresses + timers + channels > 0 {
                self.complain(format!(
                    "claim 7: left on a worker: {addresses} addresses, {timers} timers, \
                     {channels} channels"
                ));
            }
        }
        let census = node.census();
        if census != Census::default() {
            let Census {
                connections,
                bridge_conferences,
                endpoints,
                channels,
                ..
            } = census;
            let (sessions, rooms) = (census.sessions.len(), census.conferences.len());
            self.complain(format!(
                "claim 7: left behind: {connections} connections, {sessions} sessions, \
                 {rooms} rooms, {bridge_conferences} conferences on the bridge, \
                 {endpoints} endpoints, {channels} channels"
            ));
        }
    }

    /// Claim 8: no log line names a person or reports an error of ours.
    pub(super) fn claim_8_nothing_private_and_no_error_in_the_log(&mut self, world: &World) {
        for complaint in world.witness.take_complaints() {
            self.complain(format!("claim 8: {complaint}"));
        }
    }

    /// Claim 9: nothing happens to anybody that would make Jitsi's client show an error page,
    /// unless a fault of the network or the server, or somebody's decision, explains it.
    pub(super) fn claim_9_nobody_is_in_trouble(&mut self, world: &World) {
        for (index, at, notice) in &world.notices {
            let after = |what: Option<Instant>, time| what.is_some_and(|t| *at < t + time);
            let person = &world.people[*index];
            let is_server_new = after(Some(world.server_changed), Duration::from_secs(60));
            let was_disturbed = after(person.past.last_disturbed, Duration::from_secs(45));
            let was_dark = after(person.past.last_dark, Duration::from_secs(90));
            let story = &world.story;
            let is_explained = match notice {
                Notice::Trouble(Trouble::PathLost) => is_server_new || was_dark,
                Notice::Trouble(
                    Trouble::AcceptRefused(None)
                    | Trouble::RestartRefused(None)
                    | Trouble::Stream(_),
                ) => is_server_new || was_disturbed,
                Notice::Trouble(Trouble::Kicked) => {
                    after(person.past.kicked, Duration::from_secs(60))
                }
                Notice::Trouble(Trouble::RoomDestroyed(_)) => {
                    after(story.ended, Duration::from_secs(30))
                }
                Notice::Refused(Refusal::Password) => !story.passwords.is_empty(),
                Notice::Refused(Refusal::MembersOnly { .. }) => story.had_lobby,
                // Of a breakout room that was removed.
                Notice::Refused(Refusal::NotAllowed { .. }) => story.had_breakout_rooms,
                Notice::Trouble(_) | Notice::Refused(_) => false,
                _ => continue,
            };
            if !is_explained {
                self.complain(format!("claim 9: p{index}: {notice:?}"));
            }
        }
    }

    /// Claim 17: who waits in the lobby hears nothing of the meeting and sees nobody else who
    /// waits. And, as part of claim 10, the services come before one is in and never again.
    pub(super) fn claim_17_who_waits_hears_nothing(&mut self, world: &mut World) {
        for complaint in std::mem::take(&mut world.overheard) {
            self.complain(complaint);
        }
    }

    /// Claim 19: a meeting that nobody has a session for is over soon, with all its rooms.
    pub(super) fn claim_19_rooms_end(&mut self, world: &World) {
        let census = world.node().map(|node| node.census()).unwrap_or_default();
        let is_left = census.sessions.is_empty() && !census.conferences.is_empty();
        let limit = world.config.conference.initial_timeout + NEWS;
        if self
            .patience
            .is_over("empty meeting", is_left, world.now().mono, limit)
        {
            self.complain("claim 19: a meeting goes on without anybody".to_owned());
        }
    }

    /// Claim 18: the rooms, the sessions and the bridge agree on who is there; each SSRC of a room
    /// is one participant's.
    pub(super) fn claim_18_the_server_has_one_truth(&mut self, world: &World) {
        let Some(node) = world.node() else { return };
        let Some(meeting) = node.meeting(&world.room) else {
            return;
        };
        let mut seats = 0;
        for room in meeting.rooms.values() {
            seats += room.occupants.len() as u64;
            for (nick, seat) in &room.occupants {
                if node.address_of(seat.session).is_none() {
                    let owner = owner_of(world, nick.as_str());
                    self.complain(format!("claim 18: p{owner} is in a room without a session"));
                }
            }
            let mut ssrcs: Vec<Ssrc> = Vec::new();
            for source in room.sources.values().flatten() {
                for encoding in &source.encodings {
                    ssrcs.push(encoding.primary);
                    ssrcs.extend(encoding.rtx);
                }
            }
            let count = ssrcs.len();
            ssrcs.sort();
            ssrcs.dedup();
            if ssrcs.len() != count {
                self.complain("claim 18: two sources with one SSRC".to_owned());
            }
        }
        for session in meeting.waiting.values() {
            if node.address_of(*session).is_none() {
                self.complain("claim 18: somebody without a session waits".to_owned());
            }
        }
        let endpoints = node.census().endpoints;
        if endpoints > seats {
            self.complain(format!(
                "claim 18: {endpoints} endpoints on the bridge for {seats} people"
            ));
        }
    }
}
