//! Muting: the focus' word to somebody who is muted, who starts muted, who may send and how many.
//!
//! Does not know: who may mute whom (see `room::rights`), what the bridge drops
//! ([`Focus::set_may_forward`]).

use tertulia_model::jid::FullJid;
use tertulia_model::{EndpointId, MediaType, Now};
use tertulia_stanza::mute::{MuteMedia, StartMuted, mute_command};
use tertulia_stanza::source_info::Sending;
use tertulia_stanza::sources::EndpointSources;
use tertulia_stanza::{Condition, Stanza, StanzaError};

use crate::Focus;
use crate::lifecycle::moving;

/// Who starts muted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StartMutedRules {
    /// What moderators want of everybody.
    policy: StartMuted,
    /// Participants after whom newcomers are muted.
    audio_after: Option<usize>,
    video_after: Option<usize>,
}

impl Focus {
    /// Tells a participant to mute itself. `actor` is the address in the room of the one who
    /// wanted it, if that is somebody else than the server.
    ///
    /// It is a request that Jitsi's client never answers; what must not be heard is kept back by
    /// [`Focus::set_may_forward`].
    pub fn mute(&mut self, endpoint: &EndpointId, media: MuteMedia, actor: Option<&FullJid>) {
        if self.participants.contains_key(endpoint) {
            let id = self.iq_id();
            let command = mute_command(media, actor);
            self.send(endpoint, Stanza::iq("set", &id).with_child(command));
        }
    }

    /// What a participant sends by its presence. Counts for the limits of senders.
    pub fn set_sending(&mut self, now: Now, endpoint: &EndpointId, sending: Sending) {
        if let Some(participant) = self.participants.get_mut(endpoint) {
            participant.sending = sending;
            self.show(now);
        }
    }

    /// Participants after whom newcomers start muted, as the one who opened the meeting wants it;
    /// None is never.
    pub fn set_start_muted_after(&mut self, audio: Option<usize>, video: Option<usize>) {
        self.start_muted.audio_after = audio;
        self.start_muted.video_after = video;
    }

    /// What newcomers are to leave off, as the moderators want it.
    pub fn set_start_muted(&mut self, policy: StartMuted) {
        self.start_muted.policy = policy;
    }

    /// What somebody who comes in next is to leave off. Jitsi's client heeds it only if the room's
    /// metadata say so before it is inside; a visitor is to leave off everything.
    pub fn start_muted(&self) -> StartMuted {
        let could_send = |p: &&crate::Participant| p.has_media() && !p.is_visitor;
        let participants = self.participants.values().filter(could_send).count() + 1;
        let rules = &self.start_muted;
        let is_muted = |media, after: Option<usize>| {
            let most = after.into_iter().chain(self.senders_max(media)).min();
            most.is_some_and(|most| participants > most)
                || self.is_sender_limit_reached(media, None)
        };
        StartMuted {
            audio: rules.policy.audio || is_muted(MediaType::Audio, rules.audio_after),
            video: rules.policy.video || is_muted(MediaType::Video, rules.video_after),
        }
    }

    /// A visitor receives and sends nothing: the sources of its session-accept are not taken up,
    /// further ones are refused, those that it has are taken back. Who is none any more and had
    /// sources is invited again. A visitor counts as participant for [`Focus::set_participants_min`].
    pub fn set_visitor(&mut self, now: Now, endpoint: &EndpointId, is_visitor: bool) {
        let Some(participant) = self.participants.get_mut(endpoint) else {
            return;
        };
        participant.is_visitor = is_visitor;
        let is_to_accept_anew = !is_visitor && std::mem::take(&mut participant.has_ignored_sources);
        if is_to_accept_anew && participant.session.is_some() {
            self.terminate(endpoint, &moving());
        }
        if is_visitor && !self.registry.sources(endpoint).is_empty() {
            self.registry.remove_owner(endpoint);
            self.publish(endpoint);
        }
        self.settle(now);
    }

    /// What is said about it in this invitation: only those who have just come are asked.
    pub(crate) fn starts_muted(&self, endpoint: &EndpointId) -> StartMuted {
        match self.participants.get(endpoint) {
            Some(participant) if participant.is_visitor => StartMuted {
                audio: true,
                video: true,
            },
            Some(participant) if !participant.has_come_in => participant.start_muted,
            _ => StartMuted::default(),
        }
    }

    /// Refuses sources of somebody who sends nothing.
    pub(crate) fn check_sender(
        &self,
        from: &EndpointId,
        sources: &EndpointSources,
    ) -> Result<(), StanzaError> {
        let is_visitor = self.participants.get(from).is_some_and(|p| p.is_visitor);
        if is_visitor && !sources.is_empty() {
            return Err(StanzaError::new(Condition::Forbidden).with_text("visitors send nothing"));
        }
        Ok(())
    }

    /// Refuses further sources while as many others as may be send of their kind.
    pub(crate) fn check_sender_limits(
        &self,
        from: &EndpointId,
        sources: &EndpointSources,
    ) -> Result<(), StanzaError> {
        for (media, text) in [
            (MediaType::Audio, "too many microphones are on"),
            (MediaType::Video, "too many cameras and screens are on"),
        ] {
            let adds = !sources.of(media).sources.is_empty();
            if adds && self.is_sender_limit_reached(media, Some(from)) {
                return Err(StanzaError::new(Condition::ResourceConstraint).with_text(text));
            }
        }
        Ok(())
    }

    /// Whether as many as may be send of that kind; `but` is not counted.
    pub(crate) fn is_sender_limit_reached(
        &self,
        media: MediaType,
        but: Option<&EndpointId>,
    ) -> bool {
        let Some(most) = self.senders_max(media) else {
            return false;
        };
        let sends = |sending: Sending| match media {
            MediaType::Audio => sending.audio,
            MediaType::Video => sending.video,
        };
        let senders = self
            .participants
            .iter()
            .filter(|(id, p)| Some(*id) != but && !p.is_visitor && sends(p.sending));
        senders.count() >= most
    }

    fn senders_max(&self, media: MediaType) -> Option<usize> {
        match media {
            MediaType::Audio => self.config.audio_senders_max,
            MediaType::Video => self.config.video_senders_max,
        }
    }
}
