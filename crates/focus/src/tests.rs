use std::collections::BTreeSet;

use tertulia_model::MediaType;
use tertulia_model::bridge::{AllocationFailure, FeedbackSources, IceCredentials, LocalTransport};
use tertulia_model::{Fingerprint, SessionId, Ssrc};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::jingle::{
    Action, BridgeSession, Content, Description, Jingle, Reason, Setup, Transport,
    TransportFingerprint,
};
use tertulia_stanza::mute::StartMuted;
use tertulia_stanza::sources::{ConferenceSources, EndpointSources, SourceDescription};
use tertulia_stanza::{Condition, Element, Kind, ns};

use super::*;

mod muting;
mod patience;
mod repairs;
mod stories;
mod walk;

/// A focus, a bridge that answers at once, and clients that behave.
struct World {
    focus: Focus,
    now: Now,
    /// What clients have not looked at yet.
    inbox: BTreeMap<String, VecDeque<Stanza>>,
    commands: Vec<BridgeCommand>,
    clients: BTreeMap<String, Client>,
    bridge_is_down: bool,
    /// How often the focus showed itself anew.
    presences: u32,
}

/// What a client remembers of its session.
#[derive(Default)]
struct Client {
    sid: Option<String>,
    bridge_session: String,
    /// SSRCs of others by owner, as it was told.
    known: BTreeMap<String, BTreeSet<u32>>,
    /// SSRCs that it dropped because their owner left.
    dropped: BTreeSet<u32>,
    /// Sources it sends, by SSRC.
    sending: BTreeSet<u32>,
    errors: Vec<String>,
    log: Vec<String>,
    answers_nothing: bool,
    /// It says that it can have sources rewritten.
    can_rewrite: bool,
    only_receives: bool,
    /// The focus takes it for a visitor: what it sends counts for nothing.
    is_visitor: bool,
    start_muted: StartMuted,
    /// Of the last transport-info.
    ice_generation: u32,
    adds: u32,
    next_ssrc: u32,
}

fn config() -> Config {
    Config {
        server_id: "node".to_owned(),
        features_timeout: Duration::from_secs(2),
        accept_timeout: Duration::from_secs(60),
        invitations_max: 3,
        single_participant_timeout: Duration::from_secs(20),
        restart_interval_min: Duration::from_secs(5),
        restarts_per_minute_max: 5,
        retry_interval: Duration::from_secs(5),
        retry_interval_max: Duration::from_secs(60),
        ssrcs_per_participant_max: 20,
        source_delays: BTreeMap::new(),
        has_ssrc_rewriting: true,
        has_ice_restart: true,
        has_opus_red: false,
        video_codecs: tertulia_model::VideoCodec::ALL.to_vec(),
        audio_senders_max: None,
        video_senders_max: None,
    }
}

impl World {
    fn new() -> World {
        World::of(config())
    }

    fn of(config: Config) -> World {
        let now = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        let jid = "focus@auth.localhost/focus".parse().unwrap();
        World {
            focus: Focus::new(
                Arc::new(config),
                ConferenceId::new("conf"),
                jid,
                [7; 32],
                now,
            ),
            now,
            inbox: BTreeMap::new(),
            commands: Vec::new(),
            clients: BTreeMap::new(),
            bridge_is_down: false,
            presences: 0,
        }
    }

    fn with(names: &[&str]) -> World {
        let mut world = World::new();
        for name in names {
            world.join(name);
        }
        world.run();
        world
    }

    fn join(&mut self, name: &str) {
        self.join_as(name, false);
    }

    fn join_as(&mut self, name: &str, can_rewrite: bool) {
        let profile = SessionProfile {
            id: SessionId(0),
            jid: format!("{name}@localhost/r").parse().unwrap(),
            websocket_base: "wss://192.0.2.1:8443".to_owned(),
            is_loopback: false,
            room: None,
            account: None,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
        };
        // Numbers that no other client draws.
        let first = name
            .bytes()
            .fold(1_u32, |n, b| n * 31 % 1_000 + u32::from(b))
            * 100_000;
        let client = Client {
            next_ssrc: first,
            can_rewrite,
            ..Client::default()
        };
        self.clients.insert(name.to_owned(), client);
        self.focus.join(self.now, id(name), Arc::new(profile));
        self.drain();
    }

    fn leave(&mut self, name: &str) {
        self.clients.remove(name);
        self.inbox.remove(name);
        // The others learn it from the room, in order with what the focus says.
        let jid: tertulia_model::jid::Jid =
            format!("tea@conference.localhost/{name}").parse().unwrap();
        let gone = Stanza::new(Kind::Presence)
            .with_type("unavailable")
            .with_from(jid);
        for other in self.clients.keys() {
            self.inbox
                .entry(other.clone())
                .or_default()
                .push_back(gone.clone());
        }
        self.focus.leave(self.now, &id(name));
        self.drain();
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        while let Some(next) = self.focus.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.later(next - self.now.mono);
            self.focus.handle_timeout(self.now);
            self.drain();
            self.run();
        }
        self.now = self.now.later(end - self.now.mono);
    }

    fn bridge(&mut self, event: BridgeEvent) {
        self.focus.handle_bridge(self.now, event);
        self.drain();
    }

    fn send(&mut self, from: &str, stanza: &Stanza) {
        self.focus.handle_iq(self.now, &id(from), stanza);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.focus.poll_output() {
            match output {
                Output::Send { to, stanza } => {
                    let known = self.clients.contains_key(to.as_str());
                    assert!(known, "nothing is sent to those who left: {stanza}");
                    self.inbox
                        .entry(to.to_string())
                        .or_default()
                        .push_back(stanza);
                }
                Output::Bridge(command) => self.commands.push(command),
                Output::PresenceChanged => self.presences += 1,
            }
        }
        assert!(self.focus.is_consistent());
    }

    /// Lets bridge and clients answer until nothing is left to say.
    fn run(&mut self) {
        loop {
            if self.bridge_step() {
                continue;
            }
            let Some(name) = self
                .inbox
                .iter()
                .find(|(_, i)| !i.is_empty())
                .map(|(n, _)| n.clone())
            else {
                return;
            };
            self.client_step(&name);
        }
    }

    /// The bridge answers the oldest question, if any is open.
    fn bridge_step(&mut self) -> bool {
        let is_question = |c: &BridgeCommand| {
            matches!(
                c,
                BridgeCommand::Allocate { .. } | BridgeCommand::RestartIce { .. }
            )
        };
        let Some(index) = self.commands.iter().position(is_question) else {
            return false;
        };
        let allocation = match self.commands.remove(index) {
            BridgeCommand::Allocate { allocation, .. } => allocation,
            BridgeCommand::RestartIce { allocation } => {
                self.bridge(BridgeEvent::IceRestarted {
                    allocation,
                    ice: transport().ice,
                    candidates: vec![],
                });
                return true;
            }
            other => unreachable!("just found: {other:?}"),
        };
        if self.bridge_is_down {
            let reason = AllocationFailure::Unavailable;
            self.bridge(BridgeEvent::AllocationFailed { allocation, reason });
        } else {
            self.bridge(BridgeEvent::Allocated {
                allocation,
                transport: transport(),
            });
        }
        true
    }

    /// A client reads one stanza and answers it.
    fn client_step(&mut self, name: &str) {
        let Some(stanza) = self.inbox.get_mut(name).and_then(VecDeque::pop_front) else {
            return;
        };
        let client = self.clients.get_mut(name).unwrap();
        if client.answers_nothing {
            return;
        }
        if stanza.kind == Kind::Presence {
            let name = stanza
                .from
                .as_ref()
                .and_then(|from| from.resource())
                .unwrap();
            // A client that expects rewriting keeps them until it is told.
            if !client.can_rewrite {
                let dropped = client.known.remove(name.as_str());
                client.dropped.extend(dropped.into_iter().flatten());
            }
            return;
        }
        if let Some(condition) = stanza.error_condition() {
            client.errors.push(condition.to_string());
            return;
        }
        if stanza.child("query", ns::DISCO_INFO).is_some() {
            let rewriting = client.can_rewrite.then_some(ns::SSRC_REWRITING);
            let info = DiscoInfo::default().with_features(BROWSER.into_iter().chain(rewriting));
            let reply = stanza.result().with_child(info.to_element());
            return self.send(name, &reply);
        }
        let Some(element) = stanza.child("jingle", ns::JINGLE) else {
            return;
        };
        let jingle = Jingle::parse(element).unwrap();
        if jingle.action != Action::SessionInitiate && client.sid.as_ref() != Some(&jingle.sid) {
            // For a session that the client itself has just ended.
            return self.send(name, &stanza.error(Condition::ItemNotFound));
        }
        client.log.push(jingle.action.as_str().to_owned());
        let mut replies = vec![stanza.result()];
        let told = jingle.sources("nobody");
        match jingle.action {
            Action::SessionInitiate => {
                client.sid = Some(jingle.sid.clone());
                client.bridge_session = jingle.bridge_session.clone().unwrap().id;
                client.known.clear();
                client.learn(&told);
                client.sending.clear();
                client.ice_generation = 0;
                client.start_muted = jingle.start_muted;
                let mut sources = EndpointSources::default();
                if !client.only_receives {
                    client.add_source(name, MediaType::Audio, &mut sources);
                    client.add_source(name, MediaType::Video, &mut sources);
                }
                replies.push(jingle_iq(&accept(&jingle.sid, &sources)));
            }
            Action::SessionTerminate => {
                assert_eq!(client.sid.take(), Some(jingle.sid));
                client.sending.clear();
                client.known.clear();
            }
            Action::TransportInfo => {
                let transport = jingle.transports().next().unwrap();
                let generation = transport.ice_generation.unwrap();
                assert!(generation > client.ice_generation, "{generation}");
                client.ice_generation = generation;
                replies.push(jingle_iq(&ice_answer(&jingle.sid, generation)));
            }
            Action::SourceAdd => client.learn(&told),
            Action::SourceRemove => client.forget(&told),
            _ => panic!("{stanza}"),
        }
        for reply in replies {
            self.send(name, &reply);
        }
    }

    fn iq(&mut self, name: &str, change: impl FnOnce(&mut Client, &str) -> Option<Jingle>) {
        let client = self.clients.get_mut(name).unwrap();
        if let Some(jingle) = client.sid.clone().and_then(|sid| change(client, &sid)) {
            self.send(name, &jingle_iq(&jingle));
        }
    }

    fn add(&mut self, name: &str) {
        self.iq(name, |client, sid| {
            let mut sources = EndpointSources::default();
            client.add_source(name, MediaType::Video, &mut sources);
            Some(with_sources(Action::SourceAdd, sid, &sources))
        });
    }

    fn remove(&mut self, name: &str) {
        self.iq(name, |client, sid| {
            let ssrc = client.sending.pop_last()?;
            let mut sources = EndpointSources::default();
            let media = if ssrc % 2 == 0 {
                MediaType::Audio
            } else {
                MediaType::Video
            };
            let source = SourceDescription::new(Ssrc(ssrc), "", "");
            sources.of_mut(media).sources.push(source);
            Some(with_sources(Action::SourceRemove, sid, &sources))
        });
    }

    fn restart_ice(&mut self, name: &str) {
        self.iq(name, |client, sid| {
            let mut jingle = Jingle::new(Action::SessionInfo, sid);
            jingle.bridge_session = Some(BridgeSession {
                id: client.bridge_session.clone(),
                wants_ice_restart: true,
                ..Default::default()
            });
            Some(jingle)
        });
    }

    fn restart(&mut self, name: &str) {
        self.iq(name, |client, sid| {
            let mut jingle = Jingle::new(Action::SessionTerminate, sid);
            jingle.reason = Some(Reason::new("connectivity-error", "ICE FAILED"));
            jingle.bridge_session = Some(BridgeSession {
                id: client.bridge_session.clone(),
                wants_restart: true,
                ..Default::default()
            });
            client.sid = None;
            client.sending.clear();
            client.known.clear();
            Some(jingle)
        });
    }

    /// Everybody knows exactly what the others send (rooms-and-focus 17, 2 to 4), or nothing of it
    /// if the bridge rewrites it.
    fn check_knowledge(&self) {
        for (name, client) in &self.clients {
            if client.sid.is_none() {
                continue;
            }
            let session = self.focus.participants[name.as_str()].session.as_ref();
            let is_rewritten = session.is_some_and(|s| s.features.has_ssrc_rewriting);
            assert!(client.can_rewrite || !is_rewritten);
            let others = self.clients.iter().filter(|(other, o)| {
                *other != name && !o.sending.is_empty() && !o.is_visitor && !is_rewritten
            });
            let expected: BTreeMap<String, BTreeSet<u32>> = others
                .map(|(other, o)| (other.clone(), o.sending.clone()))
                .collect();
            assert_eq!(
                client.known, expected,
                "what {name} knows; {:?}",
                client.log
            );
            assert!(client.errors.is_empty(), "{name}: {:?}", client.errors);
        }
    }

    fn states(&self) -> Vec<ParticipantState> {
        self.focus.participants().map(|(_, state)| state).collect()
    }

    /// A property of the conference as everybody sees it.
    fn property(&self, key: &str) -> Option<String> {
        let presence = self.focus.presence();
        let properties = presence
            .iter()
            .find(|e| e.name() == "conference-properties");
        let property = properties?.children().find(|p| p.attr("key") == Some(key));
        property?.attr("value").map(str::to_owned)
    }

    /// Commands since the last time, without the questions that the bridge has answered.
    fn take_commands(&mut self) -> Vec<BridgeCommand> {
        std::mem::take(&mut self.commands)
    }

    fn log(&mut self, name: &str) -> Vec<String> {
        std::mem::take(&mut self.clients.get_mut(name).unwrap().log)
    }

    fn errors(&mut self, name: &str) -> Vec<String> {
        self.run();
        std::mem::take(&mut self.clients.get_mut(name).unwrap().errors)
    }

    fn allocation(&self, name: &str) -> AllocationId {
        let found = self
            .focus
            .by_allocation
            .iter()
            .find(|(_, e)| e.as_str() == name);
        *found.expect("has a session").0
    }
}

impl Client {
    /// Draws an SSRC: even for audio, odd for video.
    fn add_source(&mut self, name: &str, media: MediaType, sources: &mut EndpointSources) {
        self.next_ssrc += 2;
        self.adds += 1;
        let (ssrc, letter) = match media {
            MediaType::Audio => (self.next_ssrc, 'a'),
            MediaType::Video => (self.next_ssrc + 1, 'v'),
        };
        let index = self.adds;
        let source = SourceDescription::new(
            Ssrc(ssrc),
            &format!("{name}-{letter}{index}"),
            &format!("{name}-{index} t"),
        );
        sources.of_mut(media).sources.push(source);
        self.sending.insert(ssrc);
    }

    fn learn(&mut self, told: &ConferenceSources) {
        for (owner, ssrc) in ssrcs(told) {
            let is_new = self.known.entry(owner.clone()).or_default().insert(ssrc);
            assert!(is_new, "{owner} {ssrc} was known; {:?}", self.log);
        }
    }

    fn forget(&mut self, told: &ConferenceSources) {
        for (owner, ssrc) in ssrcs(told) {
            let known = self.known.entry(owner.clone()).or_default();
            assert!(
                known.remove(&ssrc) || self.dropped.remove(&ssrc),
                "{owner} {ssrc} was not known; {:?}",
                self.log
            );
            if known.is_empty() {
                self.known.remove(&owner);
            }
        }
    }
}

fn ssrcs(told: &ConferenceSources) -> Vec<(String, u32)> {
    let others = told.iter().filter(|(owner, _)| *owner != "jvb");
    let both = others.flat_map(|(owner, s)| {
        let all = s.audio.sources.iter().chain(&s.video.sources);
        all.map(move |source| (owner.clone(), source.ssrc.0))
    });
    both.collect()
}

fn id(name: &str) -> EndpointId {
    name.parse().unwrap()
}

fn transport() -> LocalTransport {
    LocalTransport {
        ice: IceCredentials {
            ufrag: "u".to_owned(),
            pwd: "p".to_owned(),
        },
        fingerprint: Fingerprint {
            hash: "sha-256".to_owned(),
            bytes: vec![1; 32],
        },
        candidates: vec![],
        channel_password: "a/b".to_owned(),
        feedback: FeedbackSources {
            audio: Ssrc(1),
            video: Ssrc(2),
        },
    }
}

fn jingle_iq(jingle: &Jingle) -> Stanza {
    Stanza::iq("set", "c").with_child(jingle.to_element())
}

fn with_sources(action: Action, sid: &str, sources: &EndpointSources) -> Jingle {
    let mut jingle = Jingle::new(action, sid);
    let content = |media: MediaType| Content {
        name: media.as_str().to_owned(),
        description: Some(Description {
            sources: sources
                .of(media)
                .sources
                .iter()
                .map(|s| (s.clone(), None))
                .collect(),
            groups: sources.of(media).groups.clone(),
            ..Description::new(media)
        }),
        ..Content::default()
    };
    jingle.contents = [MediaType::Audio, MediaType::Video].map(content).into();
    jingle
}

/// A client's answer to an ICE restart: the same transport in each content.
fn ice_answer(sid: &str, generation: u32) -> Jingle {
    let mut jingle = Jingle::new(Action::TransportInfo, sid);
    let content = |name: &str| Content {
        name: name.to_owned(),
        transport: Some(Transport {
            ufrag: Some(format!("cu{generation}")),
            pwd: Some("cp".to_owned()),
            ice_generation: Some(generation),
            ..Transport::default()
        }),
        ..Content::default()
    };
    jingle.contents = ["audio", "video", "data"].map(content).into();
    jingle
}

fn accept(sid: &str, sources: &EndpointSources) -> Jingle {
    let mut jingle = with_sources(Action::SessionAccept, sid, sources);
    jingle.contents[0].transport = Some(Transport {
        ufrag: Some("cu".to_owned()),
        pwd: Some("cp".to_owned()),
        fingerprint: Some(TransportFingerprint {
            fingerprint: Fingerprint {
                hash: "sha-256".to_owned(),
                bytes: vec![2; 32],
            },
            setup: Setup::Active,
        }),
        ..Transport::default()
    });
    jingle
}

const BROWSER: [&str; 6] = [
    ns::JINGLE_RTP_AUDIO,
    ns::JINGLE_RTP_VIDEO,
    ns::JINGLE_SCTP,
    ns::JSON_SOURCES,
    ns::RTX_FEATURE,
    ns::TCC_FEATURE,
];
