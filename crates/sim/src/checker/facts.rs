//! Counts what happened since the last look.

use super::*;
use tertulia_client::{Outcome, media::ReceptionFacts};

/// What was counted of a stream already.
#[derive(Clone, Copy, Default)]
pub(super) struct Counted {
    switches: u64,
    requests: u64,
    handovers: u64,
}

impl Checkers {
    pub(super) fn count_facts(&mut self, world: &mut World) {
        let mut marks = Vec::new();
        for person in &world.people {
            let Some(client) = &person.client else {
                continue;
            };
            for RemoteSource { ssrc, facts, .. } in client.remote_sources() {
                let before = self.counted.entry((person.index, ssrc)).or_default();
                marks.extend(before.advance(&facts));
            }
            let speaker = client.dominant_speaker().map(str::to_owned);
            let before = self.speakers.entry(person.index).or_default();
            if *before != speaker {
                marks.push((Mark::DominantSpeaker, 1));
                *before = speaker;
            }
        }
        for (index, _, notice) in &world.notices {
            let person = &world.people[*index];
            match notice {
                Notice::Joined if person.client.as_ref().is_some_and(Client::is_visitor) => {
                    marks.push((Mark::Visitor, 1));
                }
                Notice::MediaConnected if person.habits.has_ssrc_rewriting => {
                    marks.push((Mark::Rewritten, 1));
                }
                Notice::MessageRefused { .. }
                | Notice::Answered {
                    outcome: Outcome::Refused(_),
                    ..
                } if person.past.last_moderator.is_none() => {
                    marks.push((Mark::ForgeryRefused, 1));
                }
                _ => {}
            }
        }
        marks.extend(self.ended_leases(world));
        for (mark, count) in marks {
            world.coverage.add(mark, count);
        }
    }

    fn ended_leases(&mut self, world: &World) -> Vec<(Mark, u64)> {
        let census = world.node().map(|node| occupants::nicks_of(&node.census()));
        let mut marks = Vec::new();
        for person in world.people.iter().filter(|person| person.past.is_crashed) {
            let Some((nick, _)) = person.past.nicks.last() else {
                continue;
            };
            let is_gone = census.as_ref().is_some_and(|census| !census.contains(nick));
            if is_gone && self.ended.insert(nick.clone()) {
                marks.push((Mark::LeaseExpired, 1));
            }
        }
        marks
    }
}

impl Counted {
    /// What is new.
    fn advance(&mut self, facts: &ReceptionFacts) -> [(Mark, u64); 3] {
        let now = Counted {
            switches: facts.switches,
            requests: facts.requests,
            handovers: facts.handovers,
        };
        let before = std::mem::replace(self, now);
        // A new session counts from nothing.
        [
            (
                Mark::LayerSwitch,
                now.switches.saturating_sub(before.switches),
            ),
            (
                Mark::KeyFrameRequest,
                now.requests.saturating_sub(before.requests),
            ),
            (
                Mark::Handover,
                now.handovers.saturating_sub(before.handovers),
            ),
        ]
    }
}
