//! After so many participants, newcomers start with microphone or camera off.
//!
//! Speaks: the properties `startAudioMuted` and `startVideoMuted` of the conference request that
//! brings a meeting to life. They and the administrator's rule count, whichever is stricter. How
//! newcomers learn of it: `metadata`, and the focus' invitation.

use tertulia_model::RoomJid;
use tertulia_stanza::conference_request::ConferenceRequest;

use crate::Conference;

/// After how many participants; None is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StartMutedAfter {
    audio: Option<u32>,
    video: Option<u32>,
}

impl StartMutedAfter {
    fn of(request: &ConferenceRequest) -> StartMutedAfter {
        // What is no number (-1 is Jitsi's "never") says nothing.
        let number = |name: &str| request.properties.get(name)?.trim().parse().ok();
        StartMutedAfter {
            audio: number("startAudioMuted"),
            video: number("startVideoMuted"),
        }
    }
}

impl Conference {
    /// A conference request; the first one decides.
    pub(crate) fn heed_start_muted(&mut self, request: &ConferenceRequest) {
        if self.start_muted.is_none() {
            self.start_muted = Some(StartMutedAfter::of(request));
            for room in self.halls.keys().cloned().collect::<Vec<_>>() {
                self.apply_start_muted(&room);
            }
        }
    }

    /// To be called for each room that comes to life.
    pub(crate) fn apply_start_muted(&mut self, room: &RoomJid) {
        let asked = self.start_muted.unwrap_or_default();
        let rules = &self.config.rules;
        let after = |rule: Option<u32>, asked: Option<u32>| {
            let after = rule.into_iter().chain(asked).min()?;
            usize::try_from(after).ok()
        };
        let audio = after(rules.start_audio_muted, asked.audio);
        let video = after(rules.start_video_muted, asked.video);
        if let Some(hall) = self.halls.get_mut(room) {
            hall.focus.set_start_muted_after(audio, video);
        }
    }
}
