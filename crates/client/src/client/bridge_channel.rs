//! The bridge channel: what we tell the bridge and what it tells us.

use tertulia_model::Encoding;

use super::*;
use crate::channel::MappedSource;

impl Client {
    /// Says what we want to see.
    pub fn set_constraints(&mut self, now: Now, constraints: Constraints) {
        self.constraints = constraints;
        if let Some(call) = &mut self.call {
            let constraints = &self.constraints;
            call.media
                .expect_pause(|source| constraints.height(source.as_str()) == 0);
        }
        self.send_channel(now, &self.constraints.to_json());
        self.settle(now);
    }

    /// Sends an application's message over the bridge, to one endpoint or (empty) to all.
    pub fn send_endpoint_message(&mut self, now: Now, to: &str, payload: &Value) {
        self.send_channel(now, &channel::endpoint_message(to, payload));
        self.settle(now);
    }

    pub(super) fn channel_opened(&mut self, now: Now) {
        self.is_channel_open = true;
        for kind in [MediaKind::Video, MediaKind::Desktop] {
            self.send_video_type(now, kind);
        }
        self.send_channel(now, &self.constraints.to_json());
    }

    pub(super) fn channel_closed(&mut self, now: Now) {
        if let Channel::Socket { url, failures } = &self.channel {
            self.is_channel_open = false;
            let wait = Duration::from_secs(1 << (*failures).min(6)).min(CHANNEL_WAIT_MAX);
            self.channel = Channel::Waiting {
                url: url.clone(),
                failures: failures + 1,
                due: now.mono + wait,
            };
        }
    }

    pub(super) fn dial_channel_again(&mut self, now: Now) {
        if let Channel::Waiting { url, failures, due } = &self.channel
            && *due <= now.mono
        {
            let (url, failures) = (url.clone(), *failures);
            self.outputs
                .push_back(Output::ChannelDial { url: url.clone() });
            self.channel = Channel::Socket { url, failures };
        }
    }

    pub(super) fn send_video_type(&mut self, now: Now, kind: MediaKind) {
        let name = match kind {
            MediaKind::Audio => return,
            MediaKind::Video => "camera",
            MediaKind::Desktop => "desktop",
        };
        let shown = if self.is_off(kind) { "none" } else { name };
        let call = self.call.as_ref();
        if let Some(source) = call.and_then(|call| call.source(kind)) {
            let text = channel::source_video_type(source.as_str(), shown);
            self.send_channel(now, &text);
        }
    }

    fn send_channel(&mut self, now: Now, text: &str) {
        if !self.is_channel_open {
            return;
        }
        match self.config.channel {
            ChannelKind::WebSocket => self.outputs.push_back(Output::ChannelText(text.to_owned())),
            ChannelKind::Data => {
                if let Some(call) = &mut self.call
                    && !call.media.send_text(text, now.mono)
                {
                    tracing::debug!("the data channel is full");
                }
            }
        }
    }

    pub(super) fn channel_text(&mut self, now: Now, text: &str) {
        let Some(message) = ChannelMessage::parse(text) else {
            tracing::debug!("a channel message that is none");
            return;
        };
        match message {
            ChannelMessage::DominantSpeakerEndpointChangeEvent {
                dominant_speaker_endpoint,
            } => {
                let is_me = dominant_speaker_endpoint.as_deref() == self.nick();
                self.dominant_speaker = dominant_speaker_endpoint;
                if is_me {
                    self.report_speaking(now);
                }
            }
            ChannelMessage::ForwardedSources { forwarded_sources } => {
                self.forwarded = Some(forwarded_sources);
            }
            ChannelMessage::SenderSourceConstraints {
                source_name,
                max_height,
            } => {
                if let Some(call) = &mut self.call {
                    call.media.set_height_max(&source_name, max_height);
                }
            }
            ChannelMessage::EndpointConnectivityStatusChangeEvent { endpoint, active } => {
                // COMPAT(lib-jitsi-meet): a string, and only this one means active.
                if active == "true" {
                    self.inactive.remove(&endpoint);
                } else {
                    self.inactive.insert(endpoint, true);
                }
            }
            ChannelMessage::AudioSourcesMap { mapped_sources } => {
                self.map_sources(MediaType::Audio, mapped_sources);
            }
            ChannelMessage::VideoSourcesMap { mapped_sources } => {
                self.map_sources(MediaType::Video, mapped_sources);
            }
            ChannelMessage::EndpointMessage { from, msg_payload } => {
                self.notice(Notice::EndpointMessage {
                    from,
                    payload: msg_payload,
                });
            }
            ChannelMessage::ServerHello {} | ChannelMessage::Other => {}
        }
    }

    /// Whose packets come on the bridge's streams from now on. Only for clients that said that
    /// they want it so.
    fn map_sources(&mut self, media: MediaType, mapped: Vec<MappedSource>) {
        let Some(call) = &mut self.call else { return };
        if !self.config.habits.has_ssrc_rewriting {
            return;
        }
        for one in mapped {
            let Ok(name) = one.source.parse::<SourceName>() else {
                tracing::debug!("a mapped source without a name");
                continue;
            };
            let rtx = one.rtx.and_then(|rtx| u32::try_from(rtx).ok()).map(Ssrc);
            let primary = Ssrc(one.ssrc);
            let encoding = Encoding { primary, rtx };
            if name.owner() == one.owner {
                call.media.map_remote(name, media, encoding);
            }
        }
    }
}

const CHANNEL_WAIT_MAX: Duration = Duration::from_secs(60);
