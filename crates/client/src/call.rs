//! One Jingle session with the focus: the offer, our answer, the sources of the others.
//!
//! Speaks: session-initiate, session-accept, source-add, source-remove, session-terminate
//! (docs/protocol/jingle.md), always as the answering side.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jid::FullJid;
use tertulia_model::bridge::IceCredentials;
use tertulia_model::{Encoding, EndpointId, MediaType, Now, Random, Source, SourceName, Ssrc};
use tertulia_stanza::jingle::{
    Action, BridgeSession, Content, Description, HeaderExtension, Jingle, PayloadType, Reason,
    Setup, Transport, TransportFingerprint,
};
use tertulia_stanza::sources::{
    ConferenceSources, MediaSources, Semantics, SourceDescription, SsrcGroup,
};
use tertulia_stanza::{Element, Kind, Stanza};

use crate::media::{Live, MediaSession, Sending, TransportOffer, draw_source, known_extension};
use crate::{ChannelKind, ClientConfig};

/// Why an offer could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfferError {
    #[error("the offer has no complete transport")]
    NoTransport,
    #[error("the offer lets us be no DTLS client")]
    NotActive,
    #[error("the offer has no opus")]
    NoOpus,
    #[error("a nick that names no endpoint")]
    Nick,
    #[error("transport: {0}")]
    Transport(#[from] str0m::RtcError),
}

/// A session that the focus initiated.
pub(crate) struct Call {
    pub(crate) sid: String,
    focus: FullJid,
    me: FullJid,
    nick: String,
    bridge_session: Option<String>,
    /// Where the bridge channel's WebSocket is.
    pub(crate) web_socket: Option<String>,
    pub(crate) media: MediaSession,
    /// When to send session-accept: browsers take a moment.
    pub(crate) accept_due: Option<Instant>,
    ice: IceCredentials,
    offer: TransportOffer,
    sources: Vec<Source>,
    /// The focus took our answer.
    pub(crate) is_accepted: bool,
    /// A restart was asked for; nothing more comes of this session.
    pub(crate) is_restarting: bool,
}

impl Call {
    /// Takes the focus' session-initiate.
    pub(crate) fn new(
        config: &ClientConfig,
        initiate: &Jingle,
        (focus, me, nick): (FullJid, FullJid, &str),
        live: Live,
        random: &mut Random,
        now: Now,
    ) -> Result<Call, OfferError> {
        let offer = read_offer(initiate, config.channel)?;
        let ice = IceCredentials {
            ufrag: random.token(8),
            pwd: random.token(24),
        };
        let endpoint: EndpointId = nick.parse().map_err(|_| OfferError::Nick)?;
        let sending = draw_sending(config, &endpoint, &offer, random)?;
        let sources = std::iter::once(&sending.audio)
            .chain(&sending.video)
            .cloned()
            .collect();
        let media = MediaSession::new(
            offer.clone(),
            sending,
            live,
            config.address,
            &ice,
            random,
            now.mono,
        )?;
        let delay = Duration::from_millis(45 + u64::from(random.u32() % 115));
        let mut contents = initiate.contents.iter();
        let web_socket = contents
            .find_map(|content| content.transport.as_ref()?.web_socket.clone())
            .filter(|_| config.channel == ChannelKind::WebSocket);
        let mut call = Call {
            sid: initiate.sid.clone(),
            focus,
            me,
            nick: nick.to_owned(),
            bridge_session: initiate
                .bridge_session
                .as_ref()
                .map(|session| session.id.clone()),
            web_socket,
            media,
            accept_due: Some(now.mono + delay),
            ice,
            offer,
            sources,
            is_accepted: false,
            is_restarting: false,
        };
        call.add_sources(initiate);
        Ok(call)
    }

    /// The names of our own sources.
    pub(crate) fn source(&self, media: MediaType) -> Option<&SourceName> {
        self.sources
            .iter()
            .find(|source| source.media == media)
            .map(|source| &source.name)
    }

    /// Others began to send something.
    pub(crate) fn add_sources(&mut self, jingle: &Jingle) {
        for source in self.others(jingle.sources("")) {
            self.media.add_remote(&source);
        }
    }

    /// Others stopped sending something.
    pub(crate) fn remove_sources(&mut self, jingle: &Jingle) {
        for source in self.others(jingle.sources("")) {
            self.media.remove_remote(&source.name);
        }
    }

    /// An occupant left; its sources went with it (no source-remove is sent for that).
    pub(crate) fn remove_owner(&mut self, nick: &str) {
        let names: Vec<SourceName> = self
            .media
            .remote()
            .map(|(name, _, _)| name.clone())
            .filter(|name| name.owner() == nick)
            .collect();
        for name in names {
            self.media.remove_remote(&name);
        }
    }

    /// Our answer.
    pub(crate) fn accept(&mut self) -> Stanza {
        let mut jingle = Jingle::new(Action::SessionAccept, &self.sid);
        // COMPAT(lib-jitsi-meet): the initiator is the occupant, whatever the focus wrote.
        jingle.initiator = Some(self.focus.to_string());
        jingle.responder = Some(self.me.to_string());
        jingle.contents.push(self.media_content(MediaType::Audio));
        if self.offer.vp8.is_some() {
            jingle.contents.push(self.media_content(MediaType::Video));
        }
        if self.offer.has_data_channel {
            let mut transport = self.transport();
            transport.sctp_streams = Some(0);
            jingle.contents.push(Content {
                name: "data".to_owned(),
                transport: Some(transport),
                ..Content::default()
            });
        }
        jingle.bundle = jingle
            .contents
            .iter()
            .map(|content| content.name.clone())
            .collect();
        self.to_focus(jingle.to_element())
    }

    /// Tells the focus that the path is dead, and asks for another.
    pub(crate) fn restart(&self) -> Stanza {
        let mut jingle = Jingle::new(Action::SessionTerminate, &self.sid);
        jingle.initiator = Some(self.focus.to_string());
        jingle.reason = Some(Reason::new("connectivity-error", "ICE FAILED"));
        jingle.bridge_session = self.bridge_session.as_ref().map(|id| BridgeSession {
            id: id.clone(),
            wants_restart: true,
            wants_ice_restart: false,
        });
        self.to_focus(jingle.to_element())
    }

    fn to_focus(&self, jingle: Element) -> Stanza {
        Stanza::new(Kind::Iq)
            .with_type("set")
            .with_to(self.focus.clone())
            .with_child(jingle)
    }

    fn media_content(&mut self, media: MediaType) -> Content {
        let mut description = Description::new(media);
        let rtx_of = |id: u8| ("apt", id.to_string());
        description.payload_types = match (media, self.offer.vp8) {
            (MediaType::Audio, _) => vec![PayloadType::new(self.offer.opus, "opus", 48_000, 2)],
            (MediaType::Video, Some((vp8, rtx))) => {
                let rtx = rtx.map(|id| {
                    let (name, value) = rtx_of(vp8);
                    PayloadType::new(id, "rtx", 90_000, 1).with_parameter(name, &value)
                });
                let vp8 = PayloadType::new(vp8, "VP8", 90_000, 1)
                    .with_feedback("ccm", Some("fir"))
                    .with_feedback("nack", None)
                    .with_feedback("nack", Some("pli"))
                    .with_feedback("transport-cc", None);
                std::iter::once(vp8).chain(rtx).collect()
            }
            (MediaType::Video, None) => Vec::new(),
        };
        let extensions = self.offer.extensions.iter();
        description.header_extensions = extensions
            .filter(|(_, uri)| is_for(media, uri))
            .map(|(id, uri)| HeaderExtension::new(*id, uri))
            .collect();
        description.has_rtcp_mux = true;
        for source in self.sources.iter().filter(|source| source.media == media) {
            describe(source, &self.nick, &mut description);
        }
        Content {
            name: media.as_str().to_owned(),
            senders: Some("both".to_owned()),
            description: Some(description),
            transport: Some(self.transport()),
            initial_last_n: None,
        }
    }

    fn transport(&mut self) -> Transport {
        Transport {
            ufrag: Some(self.ice.ufrag.clone()),
            pwd: Some(self.ice.pwd.clone()),
            has_rtcp_mux: true,
            fingerprint: Some(TransportFingerprint {
                fingerprint: self.media.fingerprint(),
                setup: Setup::Active,
            }),
            ..Transport::default()
        }
    }

    /// What others send, as sources; without the bridge's own and ours.
    fn others(&self, all: ConferenceSources) -> Vec<Source> {
        let foreign = all
            .into_iter()
            .filter(|(owner, _)| *owner != self.nick && owner != "jvb");
        foreign
            .flat_map(|(_, sources)| {
                let audio = read_sources(MediaType::Audio, &sources.audio);
                let video = read_sources(MediaType::Video, &sources.video);
                audio.into_iter().chain(video)
            })
            .collect()
    }
}

fn read_offer(initiate: &Jingle, channel: ChannelKind) -> Result<TransportOffer, OfferError> {
    let transport = initiate
        .complete_transport()
        .ok_or(OfferError::NoTransport)?;
    let (Some(ufrag), Some(pwd), Some(fingerprint)) =
        (&transport.ufrag, &transport.pwd, &transport.fingerprint)
    else {
        return Err(OfferError::NoTransport);
    };
    if fingerprint.setup == Setup::Active {
        return Err(OfferError::NotActive);
    }
    let descriptions = || {
        initiate
            .contents
            .iter()
            .filter_map(|c| c.description.as_ref())
    };
    let payload_types = || descriptions().flat_map(|d| &d.payload_types);
    let opus = payload_types().find(|p| p.name.eq_ignore_ascii_case("opus"));
    let vp8 = payload_types()
        .find(|p| p.name.eq_ignore_ascii_case("vp8"))
        .map(|vp8| {
            let apt = ("apt".to_owned(), vp8.id.to_string());
            let rtx = payload_types().find(|p| p.name == "rtx" && p.parameters.contains(&apt));
            (vp8.id, rtx.map(|rtx| rtx.id))
        });
    let extensions: BTreeSet<(u8, String)> = descriptions()
        .flat_map(|d| &d.header_extensions)
        .filter(|e| known_extension(&e.uri).is_some())
        .map(|e| (e.id, e.uri.clone()))
        .collect();
    let has_data = initiate.contents.iter().any(|c| {
        c.transport
            .as_ref()
            .is_some_and(|t| t.sctp_streams.is_some())
    });
    Ok(TransportOffer {
        ice: IceCredentials {
            ufrag: ufrag.clone(),
            pwd: pwd.clone(),
        },
        fingerprint: fingerprint.fingerprint.clone(),
        candidates: transport.candidates.iter().map(|c| c.address).collect(),
        opus: opus.ok_or(OfferError::NoOpus)?.id,
        vp8,
        extensions: extensions.into_iter().collect(),
        has_data_channel: has_data && channel == ChannelKind::Data,
    })
}

fn draw_sending(
    config: &ClientConfig,
    endpoint: &EndpointId,
    offer: &TransportOffer,
    random: &mut Random,
) -> Result<Sending, OfferError> {
    let name = |suffix: &str| -> Result<SourceName, OfferError> {
        format!("{endpoint}-{suffix}")
            .parse()
            .map_err(|_| OfferError::Nick)
    };
    let audio = draw_source(name("a0")?, MediaType::Audio, 1, false, random);
    let has_rtx = offer.vp8.is_some_and(|(_, rtx)| rtx.is_some());
    let camera = config.video.as_ref().filter(|_| offer.vp8.is_some());
    let video = match camera {
        Some(video) => {
            let count = video.layers.len();
            Some(draw_source(
                name("v0")?,
                MediaType::Video,
                count,
                has_rtx,
                random,
            ))
        }
        None => None,
    };
    let primary = video.as_ref().and_then(Source::primary);
    Ok(Sending {
        audio,
        layers: camera.map(|video| video.layers.clone()).unwrap_or_default(),
        camera: camera
            .zip(primary)
            .map(|(video, primary)| (video.camera)(primary, &video.layers, video.interval)),
        video,
        audio_interval: config.audio_interval,
        video_interval: camera.map_or(Duration::from_secs(1), |video| video.interval),
    })
}

/// Writes a source of ours into a description: each SSRC, FID groups, the SIM group.
fn describe(source: &Source, nick: &str, description: &mut Description) {
    let msid = format!("{nick}-{}-0-1 {}-track", source.media.as_str(), source.name);
    let mut add = |ssrc: Ssrc| {
        let described = SourceDescription::new(ssrc, source.name.as_str(), &msid);
        description.sources.push((described, None));
    };
    for Encoding { primary, rtx } in &source.encodings {
        add(*primary);
        if let Some(rtx) = rtx {
            add(*rtx);
        }
    }
    if source.encodings.len() > 1 {
        let ssrcs = source.encodings.iter().map(|encoding| encoding.primary);
        description
            .groups
            .push(SsrcGroup::new(Semantics::Simulcast, ssrcs));
    }
    for Encoding { primary, rtx } in &source.encodings {
        if let Some(rtx) = rtx {
            description
                .groups
                .push(SsrcGroup::new(Semantics::Retransmission, [*primary, *rtx]));
        }
    }
}

/// The sources that a list of SSRCs describes: each name with its first SSRC and retransmissions.
fn read_sources(media: MediaType, described: &MediaSources) -> Vec<Source> {
    let fids = || {
        described
            .groups
            .iter()
            .filter(|g| g.semantics == Semantics::Retransmission)
    };
    let rtx_of = |ssrc: Ssrc| {
        fids().find_map(|group| match group.ssrcs[..] {
            [primary, rtx] if primary == ssrc => Some(rtx),
            _ => None,
        })
    };
    let is_rtx = |ssrc: Ssrc| fids().any(|group| group.ssrcs.get(1) == Some(&ssrc));
    let mut sources: Vec<Source> = Vec::new();
    for description in described.sources.iter().filter(|d| !is_rtx(d.ssrc)) {
        let name = description
            .name
            .as_deref()
            .and_then(|name| name.parse::<SourceName>().ok());
        let Some(name) = name else { continue };
        let encoding = Encoding {
            primary: description.ssrc,
            rtx: rtx_of(description.ssrc),
        };
        match sources.iter_mut().find(|source| source.name == name) {
            Some(source) => source.encodings.push(encoding),
            None => sources.push(Source {
                name,
                media,
                video_type: description.video_type,
                encodings: vec![encoding],
            }),
        }
    }
    sources
}

fn is_for(media: MediaType, uri: &str) -> bool {
    match media {
        MediaType::Audio => !uri.ends_with("abs-send-time"),
        MediaType::Video => !uri.ends_with("ssrc-audio-level"),
    }
}
