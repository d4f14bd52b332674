//! One Jingle session with the focus: the offer, our answer, the sources of the others.
//!
//! Speaks: session-initiate, session-accept, source-add, source-remove, session-info,
//! transport-info, session-terminate (docs/protocol/jingle.md), always as the answering side.

mod offer;

use std::time::{Duration, Instant};

use jid::FullJid;
use tertulia_model::bridge::IceCredentials;
use tertulia_model::{EndpointId, MediaType, Now, Random, Source, SourceName};
use tertulia_stanza::jingle::{
    Action, BridgeSession, Content, Description, HeaderExtension, Jingle, PayloadType, Reason,
    Setup, Transport, TransportFingerprint,
};
use tertulia_stanza::sources::ConferenceSources;
use tertulia_stanza::{Element, Kind, Stanza};

use crate::media::{CameraCodec, Live, MediaSession, TransportOffer};
use crate::{ChannelKind, ClientConfig, MediaKind};

use offer::{describe, draw_sending, is_for, read_offer, read_sources};

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

/// Who talks with whom, and about what.
pub(crate) struct Parties<'a> {
    pub(crate) focus: FullJid,
    pub(crate) me: FullJid,
    pub(crate) nick: &'a str,
    /// What we can send; nothing for a visitor.
    pub(crate) kinds: Vec<MediaKind>,
    /// What of it the focus is told of only when it is wanted.
    pub(crate) unannounced: Vec<MediaKind>,
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
    /// What our camera sends, and goes first in our answer.
    preferred: CameraCodec,
    sources: Vec<Local>,
    /// The focus took our answer.
    pub(crate) is_accepted: bool,
    /// A restart was asked for; nothing more comes of this session.
    pub(crate) is_restarting: bool,
    /// A new path in place was asked for, to be given up at this moment.
    pub(crate) renewal_due: Option<Instant>,
    /// Generation of the transport; 0 before the first renewal.
    generation: u32,
}

/// Something of ours.
struct Local {
    kind: MediaKind,
    source: Source,
    /// Named in session-accept or a source-add.
    is_announced: bool,
}

impl Call {
    /// Takes the focus' session-initiate.
    pub(crate) fn new(
        config: &ClientConfig,
        initiate: &Jingle,
        parties: Parties<'_>,
        live: Live,
        random: &mut Random,
        now: Now,
    ) -> Result<Call, OfferError> {
        let offer = read_offer(initiate, config.channel)?;
        let ice = draw_credentials(random);
        let endpoint: EndpointId = parties.nick.parse().map_err(|_| OfferError::Nick)?;
        let (sources, mut sending) =
            draw_sending(config, &endpoint, &parties.kinds, &offer, random)?;
        let local = |(kind, source): (MediaKind, Source)| Local {
            kind,
            source,
            is_announced: !parties.unannounced.contains(&kind),
        };
        let sources: Vec<Local> = sources.into_iter().map(local).collect();
        let unannounced = sources.iter().filter(|local| !local.is_announced);
        sending.unannounced = unannounced.map(|local| local.source.name.clone()).collect();
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
        let video = config.video.as_ref();
        let mut contents = initiate.contents.iter();
        let web_socket = contents
            .find_map(|content| content.transport.as_ref()?.web_socket.clone())
            .filter(|_| config.channel == ChannelKind::WebSocket);
        let mut call = Call {
            sid: initiate.sid.clone(),
            focus: parties.focus,
            me: parties.me,
            nick: parties.nick.to_owned(),
            bridge_session: initiate
                .bridge_session
                .as_ref()
                .map(|session| session.id.clone()),
            web_socket,
            media,
            accept_due: Some(now.mono + delay),
            ice,
            offer,
            preferred: video.map_or(CameraCodec::Vp8, |video| video.codec),
            sources,
            is_accepted: false,
            is_restarting: false,
            renewal_due: None,
            generation: 0,
        };
        call.add_sources(initiate);
        Ok(call)
    }

    /// The name of a source of ours that the focus knows.
    pub(crate) fn source(&self, kind: MediaKind) -> Option<&SourceName> {
        let known = self.sources.iter().filter(|local| local.is_announced);
        known
            .filter(|local| local.kind == kind)
            .map(|local| &local.source.name)
            .next()
    }

    /// Everything of ours that the focus knows.
    pub(crate) fn own_sources(&self) -> impl Iterator<Item = &Source> {
        let known = self.sources.iter().filter(|local| local.is_announced);
        known.map(|local| &local.source)
    }

    /// Begins to send something that the focus does not know yet; None if it does.
    pub(crate) fn announce(&mut self, kind: MediaKind) -> Option<Stanza> {
        let local = self
            .sources
            .iter_mut()
            .find(|local| local.kind == kind && !local.is_announced)?;
        local.is_announced = true;
        self.media.announce(&local.source.name);
        let source = local.source.clone();
        Some(self.source_change(Action::SourceAdd, &source))
    }

    /// The focus did not take what we began to send, or said nothing; then this takes it back.
    pub(crate) fn withdraw(&mut self, kind: MediaKind) -> Option<Stanza> {
        let mut withdrawn = None;
        for local in self.sources.iter_mut().filter(|local| local.kind == kind) {
            local.is_announced = false;
            self.media.withdraw(&local.source.name);
            withdrawn = Some(local.source.clone());
        }
        withdrawn.map(|source| self.source_change(Action::SourceRemove, &source))
    }

    fn source_change(&self, action: Action, source: &Source) -> Stanza {
        let mut description = Description::new(source.media);
        describe(source, &self.nick, &mut description);
        let mut jingle = Jingle::new(action, &self.sid);
        jingle.initiator = Some(self.focus.to_string());
        jingle.contents.push(Content {
            name: source.media.as_str().to_owned(),
            description: Some(description),
            ..Content::default()
        });
        self.to_focus(jingle.to_element())
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
    pub(crate) fn remove_owner(&mut self, nick: &str, has_ssrc_rewriting: bool) {
        if has_ssrc_rewriting {
            // The bridge's streams stay, for the next one.
            return self.media.release_remote(nick);
        }
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
            jingle.contents.push(self.data_content());
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

    /// Asks for new ICE credentials in this session; None without a bridge session's id.
    pub(crate) fn renew_path(&self) -> Option<Stanza> {
        let mut jingle = Jingle::new(Action::SessionInfo, &self.sid);
        jingle.initiator = Some(self.focus.to_string());
        jingle.bridge_session = Some(BridgeSession {
            id: self.bridge_session.clone()?,
            wants_restart: false,
            wants_ice_restart: true,
        });
        Some(self.to_focus(jingle.to_element()))
    }

    /// The focus offers new ICE credentials; our answer with ours. None if it is no newer
    /// generation of a complete transport.
    pub(crate) fn take_new_path(
        &mut self,
        offered: &Jingle,
        random: &mut Random,
        now: Now,
    ) -> Option<Stanza> {
        let mut transports = offered.contents.iter().filter_map(|c| c.transport.as_ref());
        let is_newer = |new: &u32| *new > self.generation;
        let transport = transports.find(|t| t.ice_generation.as_ref().is_some_and(is_newer))?;
        let generation = transport.ice_generation?;
        let theirs = IceCredentials {
            ufrag: transport.ufrag.clone()?,
            pwd: transport.pwd.clone()?,
        };
        let candidates: Vec<_> = transport.candidates.iter().map(|c| c.address).collect();
        self.generation = generation;
        self.ice = draw_credentials(random);
        self.media
            .restart_ice(now.mono, &self.ice, &theirs, &candidates);
        let mut jingle = Jingle::new(Action::TransportInfo, &self.sid);
        jingle.initiator = Some(self.focus.to_string());
        let mut names = vec!["audio", "video"];
        names.extend(self.offer.has_data_channel.then_some("data"));
        for name in names {
            let transport = Transport {
                ice_generation: Some(generation),
                ..self.transport()
            };
            jingle.contents.push(Content {
                name: name.to_owned(),
                transport: Some(transport),
                ..Content::default()
            });
        }
        Some(self.to_focus(jingle.to_element()))
    }

    fn to_focus(&self, jingle: Element) -> Stanza {
        Stanza::new(Kind::Iq)
            .with_type("set")
            .with_to(self.focus.clone())
            .with_child(jingle)
    }

    fn data_content(&mut self) -> Content {
        let mut transport = self.transport();
        transport.sctp_streams = Some(0);
        Content {
            name: "data".to_owned(),
            transport: Some(transport),
            ..Content::default()
        }
    }

    fn media_content(&mut self, media: MediaType) -> Content {
        let mut description = Description::new(media);
        description.payload_types = match media {
            MediaType::Audio => vec![PayloadType::new(self.offer.opus, "opus", 48_000, 2)],
            MediaType::Video => self.video_payload_types(),
        };
        let extensions = self.offer.extensions.iter();
        description.header_extensions = extensions
            .filter(|(_, uri)| is_for(media, uri))
            .map(|(id, uri)| HeaderExtension::new(*id, uri))
            .collect();
        description.has_rtcp_mux = true;
        for source in self.own_sources().filter(|source| source.media == media) {
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

    /// What we decode, what we send first; then their retransmissions.
    fn video_payload_types(&self) -> Vec<PayloadType> {
        let mut codecs = [("VP8", self.offer.vp8), ("VP9", self.offer.vp9)];
        if self.preferred == CameraCodec::Vp9 {
            codecs.reverse();
        }
        let offered = codecs.into_iter();
        let offered: Vec<_> = offered
            .filter_map(|(name, codec)| Some((name, codec?)))
            .collect();
        let main = offered.iter().map(|(name, (id, _))| {
            PayloadType::new(*id, name, 90_000, 1)
                .with_feedback("ccm", Some("fir"))
                .with_feedback("nack", None)
                .with_feedback("nack", Some("pli"))
                .with_feedback("transport-cc", None)
        });
        let rtx = offered.iter().filter_map(|(_, (id, rtx))| {
            let rtx = PayloadType::new((*rtx)?, "rtx", 90_000, 1);
            Some(rtx.with_parameter("apt", &id.to_string()))
        });
        main.chain(rtx).collect()
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

fn draw_credentials(random: &mut Random) -> IceCredentials {
    IceCredentials {
        ufrag: random.token(8),
        pwd: random.token(24),
    }
}
