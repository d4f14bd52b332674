//! session-initiate: what a client is offered. The codecs are in `codecs`.

use tertulia_model::bridge::{Candidate, CandidateKind, LocalTransport};
use tertulia_model::{MediaType, VideoCodec};
use tertulia_stanza::jingle::{
    Action, BridgeSession, Content, Description, Jingle, Setup, Transport, TransportCandidate,
    TransportFingerprint,
};
use tertulia_stanza::mute::StartMuted;
use tertulia_stanza::sources::{ConferenceSources, SourceDescription};

use crate::codecs;
use crate::features::Features;

/// Everything that goes into one offer.
pub(crate) struct Offer<'a> {
    pub(crate) sid: &'a str,
    pub(crate) initiator: &'a str,
    pub(crate) bridge_session: &'a str,
    pub(crate) features: Features,
    pub(crate) video_codecs: &'a [VideoCodec],
    pub(crate) transport: &'a LocalTransport,
    pub(crate) web_socket: String,
    /// What the others send.
    pub(crate) sources: ConferenceSources,
    pub(crate) start_muted: StartMuted,
}

impl Offer<'_> {
    /// The session-initiate.
    pub(crate) fn to_jingle(&self) -> Jingle {
        let mut contents = Vec::new();
        if self.features.has_audio {
            let audio = self.description(MediaType::Audio);
            contents.push(self.content("audio", Some(audio), None));
        }
        if self.features.has_video {
            let video = self.description(MediaType::Video);
            contents.push(self.content("video", Some(video), None));
        }
        if self.features.has_data_channel {
            let application = Description {
                media: "application".to_owned(),
                ..Description::default()
            };
            contents.push(self.content("data", Some(application), Some(SCTP_STREAMS)));
        }
        let mut jingle = Jingle::new(Action::SessionInitiate, self.sid);
        jingle.initiator = Some(self.initiator.to_owned());
        jingle.bundle = contents
            .iter()
            .map(|content| content.name.clone())
            .collect();
        jingle.contents = contents;
        jingle.bridge_session = Some(BridgeSession {
            id: self.bridge_session.to_owned(),
            ..BridgeSession::default()
        });
        jingle.start_muted = self.start_muted;
        add_sources(&mut jingle, &self.sources, self.features.has_json_sources);
        jingle
    }

    /// Each content carries the complete transport: Jitsi's client reads it from each.
    fn content(
        &self,
        name: &str,
        description: Option<Description>,
        sctp_streams: Option<u16>,
    ) -> Content {
        Content {
            name: name.to_owned(),
            senders: Some("both".to_owned()),
            description,
            transport: Some(Transport {
                ufrag: Some(self.transport.ice.ufrag.clone()),
                pwd: Some(self.transport.ice.pwd.clone()),
                has_rtcp_mux: true,
                web_socket: Some(self.web_socket.clone()),
                fingerprint: Some(TransportFingerprint {
                    fingerprint: self.transport.fingerprint.clone(),
                    setup: Setup::Actpass,
                }),
                candidates: candidates(&self.transport.candidates),
                sctp_streams,
                ice_generation: None,
            }),
            initial_last_n: None,
        }
    }

    /// The bridge's own source tells the client from which SSRC RTCP comes; no track is made of
    /// it.
    fn description(&self, media: MediaType) -> Description {
        let feedback = self.transport.feedback;
        let (ssrc, name, label) = match media {
            MediaType::Audio => (feedback.audio, "jvb-a0", "mixedmslabel mixedlabelaudio0"),
            MediaType::Video => (feedback.video, "jvb-v0", "mixedmslabel mixedlabelvideo0"),
        };
        let own = SourceDescription::new(ssrc, name, label);
        Description {
            maxptime: (media == MediaType::Audio).then_some(60),
            payload_types: codecs::payload_types(media, self.features, self.video_codecs),
            header_extensions: codecs::header_extensions(media, self.features),
            allows_mixed_extensions: true,
            has_rtcp_mux: true,
            sources: vec![(own, Some("jvb".to_owned()))],
            ..Description::new(media)
        }
    }
}

/// Puts other participants' sources into a Jingle stanza, in the form that its receiver reads.
pub(crate) fn add_sources(jingle: &mut Jingle, sources: &ConferenceSources, as_json: bool) {
    if as_json {
        // The key is there even when there is nothing in it: an empty conference, not none.
        jingle.json_sources = Some(sources.clone());
        return;
    }
    for media in [MediaType::Audio, MediaType::Video] {
        if sources
            .values()
            .all(|endpoint| endpoint.of(media).is_empty())
        {
            continue;
        }
        let known = jingle
            .contents
            .iter()
            .position(|c| c.name == media.as_str());
        let index = known.unwrap_or_else(|| {
            jingle.contents.push(Content {
                name: media.as_str().to_owned(),
                description: Some(Description::new(media)),
                ..Content::default()
            });
            jingle.contents.len() - 1
        });
        let content = jingle.contents.get_mut(index);
        let Some(description) = content.and_then(|c| c.description.as_mut()) else {
            continue;
        };
        for (owner, endpoint) in sources {
            let own = endpoint.of(media);
            let with_owner = own.sources.iter().map(|s| (s.clone(), Some(owner.clone())));
            description.sources.extend(with_owner);
            description.groups.extend(own.groups.iter().cloned());
        }
    }
}

/// Our candidates as they are written.
pub(crate) fn candidates(local: &[Candidate]) -> Vec<TransportCandidate> {
    let written = |(index, candidate): (usize, &Candidate)| {
        let (type_, related) = match candidate.kind {
            CandidateKind::Host => ("host", None),
            CandidateKind::ServerReflexive { base } => ("srflx", Some(base)),
        };
        TransportCandidate {
            id: format!("c{}", index + 1),
            foundation: (index + 1).to_string(),
            priority: candidate.priority,
            address: candidate.address,
            type_: type_.to_owned(),
            related,
        }
    };
    local.iter().enumerate().map(written).collect()
}

/// A path segment or query value, percent-encoded (RFC 3986).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

const SCTP_STREAMS: u16 = 1024;

#[cfg(test)]
mod tests {
    use tertulia_model::bridge::{FeedbackSources, IceCredentials};
    use tertulia_model::{Fingerprint, Ssrc};
    use tertulia_stanza::sources::parse_json;

    use super::*;

    fn offer(features: Features) -> Jingle {
        let transport = LocalTransport {
            ice: IceCredentials {
                ufrag: "u".to_owned(),
                pwd: "p".to_owned(),
            },
            fingerprint: Fingerprint {
                hash: "sha-256".to_owned(),
                bytes: vec![1; 32],
            },
            candidates: vec![
                Candidate {
                    address: "192.0.2.1:10000".parse().unwrap(),
                    kind: CandidateKind::Host,
                    priority: 7,
                },
                Candidate {
                    address: "198.51.100.1:10000".parse().unwrap(),
                    kind: CandidateKind::ServerReflexive {
                        base: "192.0.2.1:10000".parse().unwrap(),
                    },
                    priority: 6,
                },
            ],
            channel_password: "secret".to_owned(),
            feedback: FeedbackSources {
                audio: Ssrc(100),
                video: Ssrc(101),
            },
        };
        let sources = r#"{"sources":{"you":[[{"s":1,"n":"you-v0","m":"a b"}]]}}"#;
        Offer {
            sid: "sid",
            initiator: "focus@auth.localhost/focus",
            bridge_session: "B",
            features,
            video_codecs: &VideoCodec::ALL,
            transport: &transport,
            web_socket: "wss://192.0.2.1/colibri-ws/s/c/me?pwd=secret".to_owned(),
            sources: parse_json(sources).unwrap(),
            start_muted: StartMuted::default(),
        }
        .to_jingle()
    }

    const ALL: Features = Features {
        has_audio: true,
        has_video: true,
        has_data_channel: true,
        has_rtx: true,
        has_transport_cc: true,
        has_remb: true,
        has_opus_red: false,
        has_json_sources: true,
        has_ssrc_rewriting: true,
    };

    #[test]
    fn everything_for_a_browser() {
        let jingle = offer(ALL);
        assert_eq!(jingle.bundle, ["audio", "video", "data"]);
        for content in &jingle.contents {
            let transport = content.transport.as_ref().unwrap();
            assert_eq!(
                transport.candidates.len(),
                2,
                "the complete transport in each content"
            );
            assert!(
                transport
                    .fingerprint
                    .as_ref()
                    .is_some_and(|f| f.setup == Setup::Actpass)
            );
            assert!(transport.web_socket.is_some());
        }
        let [audio, video, data] = jingle.contents.as_slice() else {
            panic!("three contents")
        };
        let (audio, video) = (
            audio.description.as_ref().unwrap(),
            video.description.as_ref().unwrap(),
        );
        let ids = |d: &Description| d.payload_types.iter().map(|p| p.id).collect::<Vec<_>>();
        assert_eq!(ids(audio), [111, 126]);
        assert_eq!(ids(video), [41, 100, 107, 101, 42, 96, 99, 97]);
        assert!(
            !audio
                .header_extensions
                .iter()
                .any(|e| e.uri.contains("sdes:mid"))
        );
        assert_eq!(audio.sources[0].0.name.as_deref(), Some("jvb-a0"));
        assert_eq!(
            video.sources[0].0.msid.as_deref(),
            Some("mixedmslabel mixedlabelvideo0")
        );
        assert_eq!(data.transport.as_ref().unwrap().sctp_streams, Some(1024));
        assert!(jingle.json_sources.unwrap().contains_key("you"));
        let related = video_candidate(&jingle.contents).related;
        assert_eq!(related, Some("192.0.2.1:10000".parse().unwrap()));
    }

    fn video_candidate(contents: &[Content]) -> &TransportCandidate {
        &contents[1].transport.as_ref().unwrap().candidates[1]
    }

    #[test]
    fn the_least_for_a_client_that_does_not_say() {
        let jingle = offer(Features::LEAST);
        let video = jingle.contents[1].description.as_ref().unwrap();
        assert!(jingle.json_sources.is_none());
        let owners: Vec<_> = video
            .sources
            .iter()
            .map(|(_, owner)| owner.as_deref())
            .collect();
        assert_eq!(
            owners,
            [Some("jvb"), Some("you")],
            "the bridge's own comes first"
        );
    }

    #[test]
    fn only_what_the_client_has() {
        let features = Features {
            has_video: false,
            has_data_channel: false,
            ..ALL
        };
        assert_eq!(offer(features).bundle, ["audio"]);
    }

    #[test]
    fn urls_are_encoded() {
        assert_eq!(percent_encoded("1a2b-._~"), "1a2b-._~");
        assert_eq!(percent_encoded("Zoë /?"), "Zo%C3%AB%20%2F%3F");
    }
}
