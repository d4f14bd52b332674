//! A whole visit, with the server's lines written by hand.

mod breakout;
mod comeback;
mod features;
mod jitsi;
mod lobby;
mod media;
mod moderation;
mod refusals;

use std::time::{Duration, Instant};

use tertulia_model::bridge::IceCredentials;
use tertulia_model::{Fingerprint, MediaType, Now, RoomJid, Ssrc};
use tertulia_stanza::conference_request::ConferenceReply;
use tertulia_stanza::disco::{DataForm, DiscoInfo, FormType};
use tertulia_stanza::jingle::{
    Action, Content, Description, HeaderExtension, Jingle, PayloadType, Setup, Transport,
    TransportCandidate, TransportFingerprint,
};
use tertulia_stanza::muc::{Affiliation, Item, Role, UserX};
use tertulia_stanza::sources::{EndpointSources, Semantics, SourceDescription, SsrcGroup};
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, ns, text_element};

use crate::{
    ChannelKind, Client, ClientConfig, Habits, Notice, Output, Redial, RequestKind, Trouble,
    VideoConfig,
};

const ME: &str = "1a2b3c4d-0000-4000-8000-000000000000@localhost/x";

/// A client and the hand that plays the server.
struct Visit {
    client: Client,
    now: Now,
    frames: Vec<String>,
    notices: Vec<Notice>,
    dials: Vec<Option<String>>,
    /// Where the bridge channel's WebSocket was dialled.
    channels: Vec<String>,
}

impl Visit {
    fn new() -> Visit {
        Visit::with(Habits::default())
    }

    fn with(habits: Habits) -> Visit {
        str0m::crypto::from_feature_flags().install_process_default();
        let now = Now {
            mono: Instant::now(),
            wall: chrono::DateTime::UNIX_EPOCH,
        };
        let config = ClientConfig {
            domain: jid::DomainPart::new("localhost").unwrap().into_owned(),
            room: RoomJid::new("tea@conference.localhost".parse().unwrap()).unwrap(),
            focus: "focus.localhost".parse().unwrap(),
            display_name: "Juliet".to_owned(),
            machine_uid: "m".to_owned(),
            address: "198.51.100.1:4000".parse().unwrap(),
            channel: ChannelKind::WebSocket,
            request: RequestKind::Iq,
            audio_interval: Duration::from_millis(20),
            video: Some(VideoConfig::modest()),
            redial: Redial {
                min: Duration::from_secs(1),
                max: Duration::from_secs(4),
            },
            habits,
        };
        let client = Client::new(config, [1; 32], now);
        let mut visit = Visit {
            client,
            now,
            frames: vec![],
            notices: vec![],
            dials: vec![],
            channels: vec![],
        };
        visit.pass(Duration::ZERO);
        visit
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                // Requests of stream management are of no interest here.
                Output::Frame(text) if text.starts_with("<r ") => {}
                Output::Frame(text) => self.frames.push(text),
                Output::Notice(notice) => self.notices.push(notice),
                Output::Dial { previd } => self.dials.push(previd),
                Output::ChannelDial { url } => self.channels.push(url),
                _ => {}
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.later(time);
        self.client.handle_timeout(self.now);
        self.drain();
    }

    fn say(&mut self, text: &str) {
        self.client.handle_frame(self.now, text);
        self.drain();
    }

    fn say_stanza(&mut self, stanza: &Stanza) {
        self.say(&stanza.to_string());
    }

    /// The last frame, which must hold this.
    fn expect(&self, part: &str) -> &str {
        let last = self.frames.last().expect("a frame");
        assert!(last.contains(part), "expected {part:?} in {last}");
        last
    }

    /// The newest frame that holds this.
    fn sent(&self, part: &str) -> &str {
        let found = self.frames.iter().rev().find(|frame| frame.contains(part));
        found.unwrap_or_else(|| panic!("no {part:?} in {:#?}", self.frames))
    }

    fn has_sent(&self, part: &str) -> bool {
        self.frames.iter().any(|frame| frame.contains(part))
    }

    /// Forgets what was sent and noticed so far.
    fn forget(&mut self) {
        self.frames.clear();
        self.notices.clear();
    }

    /// Lets the client do something.
    fn act(&mut self, act: impl FnOnce(&mut Client, Now)) {
        act(&mut self.client, self.now);
        self.drain();
    }

    /// The result of the newest request that holds this.
    fn answer(&mut self, part: &str, child: Option<Element>) {
        let id = id_of(self.sent(part));
        self.say_stanza(&Stanza::iq("result", &id).with_children(child));
    }

    /// The refusal of the newest request that holds this.
    fn refuse(&mut self, part: &str, condition: Condition) {
        let request = Stanza::iq("set", &id_of(self.sent(part)));
        self.say_stanza(&request.error(condition));
    }

    /// The address of a component that the server announces.
    fn announce_components(&mut self) {
        let types = [
            "speakerstats",
            "av_moderation",
            "lobbyrooms",
            "breakout_rooms",
            "room_metadata",
            "end_conference",
            "polls",
            "file-sharing",
            "visitors",
        ];
        let info = types.iter().fold(DiscoInfo::default(), |info, type_| {
            info.with_identity("component", type_, Some(&component(type_)))
        });
        self.answer(
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            Some(info.to_element()),
        );
    }

    /// In the meeting, with all components known.
    fn meet(&mut self, role: Role) {
        self.log_in();
        self.bind();
        let request = self.frames.pop().expect("a conference request");
        self.announce_components();
        self.frames.push(request);
        self.enter(role);
        self.forget();
    }

    /// What the room says about itself.
    fn describe_room(&mut self, features: &[&str], fields: &[(&str, &str)]) {
        let form = DataForm::new(FormType::Result, ns::MUC_ROOM_INFO);
        let form = fields.iter().fold(form, |form, (name, value)| {
            form.with(&format!("muc#roominfo_{name}"), value)
        });
        let info = DiscoInfo::default()
            .with_features(features.iter().copied())
            .with_form(form);
        self.answer(
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            Some(info.to_element()),
        );
    }

    /// What a component says.
    fn component_says(&mut self, type_: &str, json: &str) {
        let from: jid::Jid = component(type_).parse().unwrap();
        let message = Stanza::new(Kind::Message)
            .with_from(from)
            .with_child(text_element("json-message", ns::JITSI_MEET, json));
        self.say_stanza(&message);
    }

    fn last_id(&self) -> String {
        id_of(self.frames.last().expect("a frame"))
    }
}

/// The `id` of a frame.
fn id_of(frame: &str) -> String {
    let from = frame.find(" id=\"").expect("an id") + 5;
    frame[from..]
        .split('"')
        .next()
        .expect("a closing quote")
        .to_owned()
}

fn component(type_: &str) -> String {
    format!("{}.localhost", type_.replace('_', ""))
}

impl Visit {
    fn log_in(&mut self) {
        self.client.handle_socket_opened(self.now);
        self.drain();
        let open = "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" version=\"1.0\" \
                    from=\"localhost\" id=\"s\"/>";
        let features = |inner: &str| {
            format!(
                "<stream:features xmlns:stream=\"http://etherx.jabber.org/streams\">{inner}\
                 </stream:features>"
            )
        };
        self.say(open);
        self.say(&features(
            "<mechanisms xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">\
             <mechanism>ANONYMOUS</mechanism></mechanisms>",
        ));
        self.expect("ANONYMOUS");
        self.say("<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>");
        self.say(open);
        self.say(&features(
            "<bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/><sm xmlns=\"urn:xmpp:sm:3\"/>",
        ));
    }

    fn bind(&mut self) {
        self.expect("xmpp-bind");
        let jid = Element::builder("jid", ns::BIND).append(ME).build();
        let bind = Element::builder("bind", ns::BIND).append(jid).build();
        self.say_stanza(&Stanza::iq("result", &self.last_id()).with_child(bind));
        self.expect("<enable");
        self.say("<enabled xmlns=\"urn:xmpp:sm:3\" resume=\"true\" id=\"token\"/>");
    }

    fn join(&mut self) {
        self.enter(Role::Participant);
    }

    fn conference_is_ready(&mut self) {
        let reply = ConferenceReply {
            room: "tea@conference.localhost".to_owned(),
            is_ready: true,
            focus_jid: "focus@auth.localhost".to_owned(),
            ..Default::default()
        };
        self.answer(
            "<conference xmlns='http://jitsi.org/protocol/focus'",
            Some(reply.to_element()),
        );
    }

    fn enter(&mut self, role: Role) {
        self.expect("http://jitsi.org/protocol/focus");
        self.conference_is_ready();
        self.expect("SourceInfo");
        self.say_stanza(&presence("focus", "focus@auth.localhost/focus"));
        let affiliation = match role {
            Role::Moderator => Affiliation::Owner,
            _ => Affiliation::None,
        };
        self.say_stanza(&presence_of("1a2b3c4d", ME, (affiliation, role)));
    }
}

fn presence(nick: &str, jid: &str) -> Stanza {
    presence_of(nick, jid, (Affiliation::None, Role::Participant))
}

fn presence_of(nick: &str, jid: &str, standing: (Affiliation, Role)) -> Stanza {
    let item = Item::new(standing.0, standing.1, Some(jid.parse().unwrap()));
    Stanza::new(Kind::Presence)
        .with_from(occupant(nick))
        .with_child(UserX::item(item).to_element())
}

/// The error that answers the join.
fn join_error(error: impl Into<StanzaError>) -> Stanza {
    Stanza::new(Kind::Presence)
        .with_to(occupant("1a2b3c4d"))
        .error(error)
}

fn occupant(nick: &str) -> jid::Jid {
    format!("tea@conference.localhost/{nick}").parse().unwrap()
}

fn offer() -> Jingle {
    let ice = IceCredentials {
        ufrag: "u".repeat(8),
        pwd: "p".repeat(24),
    };
    let transport = Transport {
        ufrag: Some(ice.ufrag),
        pwd: Some(ice.pwd),
        has_rtcp_mux: true,
        web_socket: Some("wss://192.0.2.1:8443/colibri-ws/s/c/1a2b3c4d?pwd=x".to_owned()),
        fingerprint: Some(TransportFingerprint {
            fingerprint: Fingerprint {
                hash: "sha-256".to_owned(),
                bytes: vec![7; 32],
            },
            setup: Setup::Actpass,
        }),
        candidates: vec![TransportCandidate {
            id: "c".to_owned(),
            foundation: "1".to_owned(),
            priority: 1,
            address: "192.0.2.1:10000".parse().unwrap(),
            type_: "host".to_owned(),
            related: None,
        }],
        sctp_streams: None,
        ice_generation: None,
    };
    let mut jingle = Jingle::new(Action::SessionInitiate, "sid1");
    for media in [MediaType::Audio, MediaType::Video] {
        let mut description = Description::new(media);
        description.payload_types = match media {
            MediaType::Audio => vec![PayloadType::new(111, "opus", 48_000, 2)],
            MediaType::Video => vec![
                PayloadType::new(100, "VP8", 90_000, 1),
                PayloadType::new(96, "rtx", 90_000, 1).with_parameter("apt", "100"),
            ],
        };
        description.header_extensions = vec![HeaderExtension::new(
            1,
            "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        )];
        jingle.contents.push(Content {
            name: media.as_str().to_owned(),
            senders: Some("both".to_owned()),
            description: Some(description),
            transport: Some(transport.clone()),
            initial_last_n: None,
        });
    }
    let mut romeo = EndpointSources::default();
    romeo
        .audio
        .sources
        .push(SourceDescription::new(Ssrc(5), "99999999-a0", "m a"));
    romeo
        .video
        .sources
        .push(SourceDescription::new(Ssrc(6), "99999999-v0", "m v"));
    romeo
        .video
        .sources
        .push(SourceDescription::new(Ssrc(7), "99999999-v0", "m v"));
    let group = SsrcGroup::new(Semantics::Retransmission, [Ssrc(6), Ssrc(7)]);
    romeo.video.groups.push(group);
    jingle.json_sources = Some([("99999999".to_owned(), romeo)].into());
    jingle
}

fn from_focus(jingle: &Jingle, id: &str) -> Stanza {
    Stanza::iq("set", id)
        .with_from(occupant("focus"))
        .with_child(jingle.to_element())
}

#[test]
fn joins_and_answers_the_focus() {
    let mut visit = Visit::new();
    assert_eq!(visit.dials, [None]);
    visit.log_in();
    visit.bind();
    visit.join();
    assert_eq!(visit.notices, [Notice::Joined]);
    assert!(visit.client.has_focus() && visit.client.is_joined());
    visit.say_stanza(&from_focus(&offer(), "j1"));
    assert!(visit.client.is_in_call());
    visit.expect("type=\"result\"");
    visit.pass(Duration::from_millis(200));
    let accept = visit
        .frames
        .iter()
        .find(|f| f.contains("session-accept"))
        .expect("an answer");
    for part in ["1a2b3c4d-a0", "1a2b3c4d-v0", "SIM", "FID", "setup='active'"] {
        assert!(accept.contains(part), "{part} in {accept}");
    }
    assert_eq!(accept.matches("<ssrc-group ").count(), 4);
    let names: Vec<String> = visit
        .client
        .remote_sources()
        .iter()
        .map(|s| format!("{} {}", s.name, s.ssrc))
        .collect();
    assert_eq!(
        names,
        ["99999999-a0 5", "99999999-v0 6"],
        "retransmissions are no source"
    );
    let terminate = Jingle::new(Action::SessionTerminate, "sid1");
    visit.say_stanza(&from_focus(&terminate, "j2"));
    assert!(!visit.client.is_in_call());
    visit.say_stanza(&from_focus(&terminate, "j3"));
    visit.expect("item-not-found");
}

#[test]
fn a_lost_session_is_joined_anew_without_being_asked() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    visit.join();
    visit.client.handle_socket_closed(visit.now);
    visit.pass(Duration::from_secs(3));
    assert_eq!(visit.dials, [None, Some("token".to_owned())]);
    visit.log_in();
    visit.expect("<resume");
    visit.say(
        "<failed xmlns=\"urn:xmpp:sm:3\"><item-not-found \
         xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></failed>",
    );
    visit.client.mute(visit.now, MediaType::Audio, true);
    visit.bind();
    visit.join();
    assert_eq!(
        visit.notices,
        [Notice::Joined, Notice::ResumeRefused, Notice::Joined]
    );
}

#[test]
fn leaving_waits_for_the_echo_and_says_goodbye() {
    let mut visit = Visit::new();
    visit.log_in();
    visit.bind();
    visit.join();
    visit.client.leave(visit.now);
    visit.drain();
    visit.expect("unavailable");
    assert!(!visit.client.is_over());
    visit.say_stanza(&presence("1a2b3c4d", ME).with_type("unavailable"));
    assert!(visit.client.is_over());
    visit.expect("<close");
    assert_eq!(visit.notices.last(), Some(&Notice::Left));
    assert_eq!(visit.client.next_timeout(), None);
}
