//! How things stand for a headless participant: what tests and drivers read.

use super::*;

impl Client {
    /// Our own nick, once the stream was bound.
    pub fn nick(&self) -> Option<&str> {
        self.me.as_ref().map(|(_, nick)| nick.as_str())
    }

    /// Our own real address, once the stream was bound.
    pub fn jid(&self) -> Option<&FullJid> {
        self.me.as_ref().map(|(jid, _)| jid)
    }

    /// Whether we are in the room, as far as we know.
    pub fn is_joined(&self) -> bool {
        self.stage == Stage::Joined
    }

    /// Whether the room does not let us in, and we do nothing about it.
    pub fn is_outside(&self) -> bool {
        self.stage == Stage::Outside
    }

    /// Whether we left for good.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether stanzas reach the server now.
    pub fn is_online(&self) -> bool {
        self.line.is_up()
    }

    /// Whether the room made us moderator.
    pub fn is_moderator(&self) -> bool {
        self.role() == Role::Moderator
    }

    /// Our role in the room.
    pub fn role(&self) -> Role {
        self.occupants.as_ref().map_or(Role::None, Occupants::role)
    }

    /// Our standing in the room.
    pub fn affiliation(&self) -> Affiliation {
        self.occupants
            .as_ref()
            .map_or(Affiliation::None, Occupants::affiliation)
    }

    /// What the room says we may do; only moderators are told.
    pub fn permissions(&self) -> BTreeMap<String, bool> {
        self.occupants
            .as_ref()
            .map(|o| o.permissions().clone())
            .unwrap_or_default()
    }

    /// What the focus says of the conference, by key.
    pub fn conference_properties(&self) -> BTreeMap<String, String> {
        self.occupants
            .as_ref()
            .map(|o| o.properties().clone())
            .unwrap_or_default()
    }

    /// The others in the room, without the focus.
    pub fn occupants(&self) -> BTreeMap<String, Occupant> {
        self.occupants
            .as_ref()
            .map(|o| o.others().clone())
            .unwrap_or_default()
    }

    /// Nicks of the others in the room, without the focus.
    pub fn nicks(&self) -> impl Iterator<Item = &str> {
        let others = self.occupants.iter().flat_map(|o| o.others().keys());
        others.map(String::as_str)
    }

    /// Whether the focus' occupant is in the room.
    pub fn has_focus(&self) -> bool {
        self.occupants.as_ref().is_some_and(Occupants::has_focus)
    }

    /// What the meeting is about; None before the room said so.
    pub fn subject(&self) -> Option<&str> {
        self.meeting.subject.as_deref()
    }

    /// Whether the focus has a media session with us.
    pub fn is_in_call(&self) -> bool {
        self.call.is_some()
    }

    /// Whether media can flow.
    pub fn is_media_connected(&self) -> bool {
        self.call
            .as_ref()
            .is_some_and(|call| call.media.is_connected())
    }

    /// Whether the bridge channel takes messages.
    pub fn is_channel_open(&self) -> bool {
        self.is_channel_open
    }

    /// Whether our own microphone or camera is off.
    pub fn is_muted(&self, media: MediaType) -> bool {
        self.is_off(media.into())
    }

    /// Whether we show our screen.
    pub fn is_screen_shared(&self) -> bool {
        self.live.is_screen_shared
    }

    /// Whether our hand is up.
    pub fn has_raised_hand(&self) -> bool {
        self.hand_raised.is_some()
    }

    /// What we want to see.
    pub fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// Our own streams that the focus knows: name and first SSRC.
    pub fn own_sources(&self) -> Vec<(SourceName, Ssrc)> {
        let Some(call) = &self.call else {
            return Vec::new();
        };
        call.own_sources()
            .filter_map(|source| Some((source.name.clone(), source.primary()?)))
            .collect()
    }

    /// The streams that others announced, or that the bridge passes on under their names.
    pub fn remote_sources(&self) -> Vec<RemoteSource> {
        let Some(call) = &self.call else {
            return Vec::new();
        };
        let remote = call
            .media
            .remote()
            .map(|(name, ssrc, reception)| RemoteSource {
                name: name.clone(),
                ssrc,
                media: reception.media(),
                facts: *reception.facts(),
            });
        remote.collect()
    }

    /// Whether packets of this stream are taken: it was announced, or the bridge said whose it is.
    pub fn expects_stream(&self, ssrc: Ssrc) -> bool {
        let call = self.call.as_ref();
        call.is_some_and(|call| call.media.expects(ssrc))
    }

    /// What was received and sent since the client was made.
    pub fn media_totals(&self) -> MediaTotals {
        let mut totals = self.past_media.clone();
        if let Some(call) = &self.call {
            totals.merge(&call.media.totals());
        }
        totals
    }

    /// The video sources that the bridge says it forwards; None if it never said.
    pub fn forwarded_sources(&self) -> Option<&[String]> {
        self.forwarded.as_deref()
    }

    /// Who speaks, as the bridge says.
    pub fn dominant_speaker(&self) -> Option<&str> {
        self.dominant_speaker.as_deref()
    }

    /// Endpoints whose media the bridge misses.
    pub fn inactive_endpoints(&self) -> impl Iterator<Item = &str> {
        self.inactive.keys().map(String::as_str)
    }
}
