//! Who is told of whose sources.
//!
//! Each session remembers what its client was told. A change of one endpoint's sources makes one
//! source-remove and one source-add with the difference for each of the others. Who has its
//! sources rewritten by the bridge is told nothing: it learns them from the bridge.
//!
//! Each of these makes a client negotiate anew with itself. In a large meeting, where everybody
//! comes and switches something on at the same time, they wait a moment (Jicofo's
//! `source-signaling-delays`), and one is enough for all. What is undone meanwhile is never told.

use std::sync::Arc;
use std::time::Duration;

use tertulia_model::{EndpointId, MediaType, Now, invariant};
use tertulia_stanza::Stanza;
use tertulia_stanza::jingle::{Action, Jingle};
use tertulia_stanza::sources::{ConferenceSources, EndpointSources};

use crate::Focus;
use crate::features::Features;
use crate::offer::add_sources;
use crate::participant::{SessionState, Signalled};
use crate::sources::{Announced, described};
use crate::timer::Timer;

impl Focus {
    /// All that `receiver` is to know now, as it is remembered and as it is written.
    pub(crate) fn wanted(
        &self,
        receiver: &EndpointId,
        features: Features,
    ) -> (Signalled, ConferenceSources) {
        let mut signalled = Signalled::new();
        let mut written = ConferenceSources::new();
        if features.has_ssrc_rewriting {
            return (signalled, written);
        }
        for owner in self.registry.owners().filter(|owner| *owner != receiver) {
            let announced = self.registry.announced(owner);
            if announced.is_empty() {
                continue;
            }
            let sources = described(visible(&announced, features));
            if !sources.is_empty() {
                written.insert(owner.as_str().to_owned(), sources);
            }
            signalled.insert(owner.clone(), announced);
        }
        (signalled, written)
    }

    /// Tells everybody with a session what changed in one endpoint's sources, now or in a moment.
    pub(crate) fn signal(&mut self, owner: &EndpointId) {
        self.unsignalled.insert(owner.clone());
        if self.source_delay().is_zero() {
            self.signal_waiting();
        }
    }

    /// Sees to it that what waits to be told is told.
    pub(crate) fn schedule_signalling(&mut self, now: Now) {
        if self.by_allocation.is_empty() {
            self.unsignalled.clear();
        }
        if self.unsignalled.is_empty() {
            self.timers.cancel(&Timer::Sources);
        } else if !self.timers.is_set(&Timer::Sources) {
            let at = now.mono + self.source_delay();
            self.timers.set(Timer::Sources, at);
        }
    }

    /// Tells everybody what has waited.
    pub(crate) fn signal_waiting(&mut self) {
        let owners: Vec<_> = std::mem::take(&mut self.unsignalled).into_iter().collect();
        for receiver in self.participants.keys().cloned().collect::<Vec<_>>() {
            self.tell(&receiver, &owners);
        }
    }

    fn source_delay(&self) -> Duration {
        let participants = self.participants.len();
        let mut delays = self.config.source_delays.range(..=participants);
        delays
            .next_back()
            .map(|(_, delay)| *delay)
            .unwrap_or_default()
    }

    /// Tells a client that has just accepted what changed since its invitation.
    pub(crate) fn signal_missed(&mut self, receiver: &EndpointId) {
        let session = self
            .participants
            .get(receiver)
            .and_then(|p| p.session.as_ref());
        let Some(session) = session else { return };
        let known = session.signalled.keys().cloned();
        let mut owners: Vec<EndpointId> = known.chain(self.registry.owners().cloned()).collect();
        owners.sort();
        owners.dedup();
        self.tell(receiver, &owners);
    }

    /// Takes an endpoint's sources back while the endpoint stays in the room.
    pub(crate) fn retract(&mut self, owner: &EndpointId) {
        self.registry.remove_owner(owner);
        self.signal(owner);
    }

    /// Forgets the sources of an endpoint that has left the room. The others drop them when they
    /// see it go, but for those who wait for a word.
    pub(crate) fn forget(&mut self, owner: &EndpointId) {
        self.registry.remove_owner(owner);
        self.unsignalled.remove(owner);
        for receiver in self.participants.keys().cloned().collect::<Vec<_>>() {
            let Some(participant) = self.participants.get_mut(&receiver) else {
                continue;
            };
            if participant.misses_rewriting() {
                self.tell(&receiver, std::slice::from_ref(owner));
            } else if let Some(session) = &mut participant.session {
                session.signalled.remove(owner);
            }
        }
    }

    /// Tells one client what changed in these endpoints' sources: one source-remove, one
    /// source-add.
    fn tell(&mut self, receiver: &EndpointId, owners: &[EndpointId]) {
        let participant = self.participants.get_mut(receiver);
        let Some(session) = participant.and_then(|participant| participant.session.as_mut()) else {
            return;
        };
        let features = session.features;
        // Before that it is told by the offer, or when it accepts.
        let is_told = session.state == SessionState::Accepted && !features.has_ssrc_rewriting;
        if !is_told {
            return;
        }
        let sid = session.sid.clone();
        let (mut removed, mut added) = (ConferenceSources::new(), ConferenceSources::new());
        for owner in owners.iter().filter(|owner| *owner != receiver) {
            let announced = self.registry.announced(owner);
            let before = if announced.is_empty() {
                session.signalled.remove(owner)
            } else {
                session.signalled.insert(owner.clone(), announced.clone())
            };
            let before = before.unwrap_or_else(|| Arc::from([]));
            let changes = [
                (&mut removed, difference(&before, &announced, features)),
                (&mut added, difference(&announced, &before, features)),
            ];
            for (all, sources) in changes {
                if !sources.is_empty() {
                    all.insert(owner.as_str().to_owned(), sources);
                }
            }
        }
        for (action, sources) in [(Action::SourceRemove, removed), (Action::SourceAdd, added)] {
            if sources.is_empty() {
                continue;
            }
            let mut jingle = Jingle::new(action, &sid);
            jingle.initiator = Some(self.jid.to_string());
            add_sources(&mut jingle, &sources, features.has_json_sources);
            let id = self.iq_id();
            self.send(
                receiver,
                Stanza::iq("set", &id).with_child(jingle.to_element()),
            );
        }
    }

    /// Whether every client with an accepted session was told exactly what the others send, but for
    /// what waits; one whose sources are rewritten, nothing.
    pub(crate) fn is_signalling_consistent(&self) -> bool {
        let is_told = |(receiver, participant): (&EndpointId, &crate::Participant)| {
            let Some(session) = &participant.session else {
                return true;
            };
            if session.features.has_ssrc_rewriting {
                return session.signalled.is_empty();
            }
            let (wanted, _) = self.wanted(receiver, session.features);
            let is_due = |(owner, _): &(&EndpointId, _)| !self.unsignalled.contains(*owner);
            let due = wanted.iter().filter(is_due);
            let told = session.signalled.iter().filter(is_due);
            session.state != SessionState::Accepted || due.eq(told)
        };
        invariant!(
            self.participants.iter().all(is_told),
            "who has accepted knows exactly the others' sources, or nothing of them"
        ) && invariant!(
            self.unsignalled.is_empty() != self.timers.is_set(&Timer::Sources),
            "what waits to be told has its time"
        )
    }
}

/// What of the sources the client receives and is not among the others.
fn difference(of: &[Announced], without: &[Announced], features: Features) -> EndpointSources {
    described(visible(of, features).filter(|source| !without.contains(source)))
}

/// The sources of kinds that the client receives.
fn visible(announced: &[Announced], features: Features) -> impl Iterator<Item = &Announced> {
    announced.iter().filter(move |source| match source.media {
        MediaType::Audio => features.has_audio,
        MediaType::Video => features.has_video,
    })
}
