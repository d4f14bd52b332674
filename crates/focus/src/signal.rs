//! Who is told of whose sources.
//!
//! Each session remembers what its client was told. A change of one endpoint's sources makes one
//! source-remove and one source-add with the difference for each of the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use tertulia_model::{EndpointId, MediaType, invariant};
use tertulia_stanza::Stanza;
use tertulia_stanza::jingle::{Action, Jingle};
use tertulia_stanza::sources::ConferenceSources;

use crate::Focus;
use crate::features::Features;
use crate::offer::add_sources;
use crate::participant::SessionState;
use crate::sources::{Announced, described};

impl Focus {
    /// All that `receiver` is to know now, as it is remembered and as it is written.
    pub(crate) fn wanted(
        &self,
        receiver: &EndpointId,
        features: Features,
    ) -> (BTreeMap<EndpointId, Arc<[Announced]>>, ConferenceSources) {
        let mut signalled = BTreeMap::new();
        let mut written = ConferenceSources::new();
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

    /// Tells everybody with a session what changed in one endpoint's sources.
    pub(crate) fn signal(&mut self, owner: &EndpointId) {
        for receiver in self.participants.keys().cloned().collect::<Vec<_>>() {
            self.signal_to(&receiver, owner);
        }
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
        for owner in owners {
            self.signal_to(receiver, &owner);
        }
    }

    /// Takes an endpoint's sources back while the endpoint stays in the room.
    pub(crate) fn retract(&mut self, owner: &EndpointId) {
        self.registry.remove_owner(owner);
        self.signal(owner);
    }

    fn signal_to(&mut self, receiver: &EndpointId, owner: &EndpointId) {
        if receiver == owner {
            return;
        }
        let announced = self.registry.announced(owner);
        let Some(participant) = self.participants.get_mut(receiver) else {
            return;
        };
        let Some(features) = participant.features() else {
            return;
        };
        let Some(session) = participant.session.as_mut() else {
            return;
        };
        if session.state != SessionState::Accepted {
            // Told by the offer, or when it accepts.
            return;
        }
        let sid = session.sid.clone();
        let before = if announced.is_empty() {
            session.signalled.remove(owner)
        } else {
            session.signalled.insert(owner.clone(), announced.clone())
        };
        let before = before.unwrap_or_else(|| Arc::from([]));
        let difference = |of: &Arc<[Announced]>, without: &Arc<[Announced]>| {
            described(visible(of, features).filter(|source| !without.contains(source)))
        };
        let changes = [
            (Action::SourceRemove, difference(&before, &announced)),
            (Action::SourceAdd, difference(&announced, &before)),
        ];
        for (action, sources) in changes {
            if sources.is_empty() {
                continue;
            }
            let mut jingle = Jingle::new(action, &sid);
            jingle.initiator = Some(self.jid.to_string());
            let sources = ConferenceSources::from([(owner.as_str().to_owned(), sources)]);
            add_sources(&mut jingle, &sources, features.has_json_sources);
            let id = self.iq_id();
            self.send(
                receiver,
                Stanza::iq("set", &id).with_child(jingle.to_element()),
            );
        }
    }

    /// Whether every client with an accepted session was told exactly what the others send.
    pub(crate) fn is_signalling_consistent(&self) -> bool {
        let is_told = |(receiver, participant): (&EndpointId, &crate::Participant)| {
            let Some(session) = &participant.session else {
                return true;
            };
            if session.state != SessionState::Accepted {
                return true;
            }
            let others = self.registry.owners().filter(|owner| *owner != receiver);
            let announced = others.map(|owner| (owner.clone(), self.registry.announced(owner)));
            let wanted: BTreeMap<_, _> = announced
                .filter(|(_, announced)| !announced.is_empty())
                .collect();
            wanted == session.signalled
        };
        invariant!(
            self.participants.iter().all(is_told),
            "who has accepted knows exactly the others' sources"
        )
    }
}

/// The sources of kinds that the client receives.
fn visible(announced: &[Announced], features: Features) -> impl Iterator<Item = &Announced> {
    announced.iter().filter(move |source| match source.media {
        MediaType::Audio => features.has_audio,
        MediaType::Video => features.has_video,
    })
}
