use tertulia_model::bridge::{FeedbackSources, IceCredentials, LocalTransport};
use tertulia_model::jid::{DomainPart, Jid};
use tertulia_model::{EndReason, Fingerprint, Ssrc};
use tertulia_stanza::disco::{DataForm, DiscoInfo, FormType};
use tertulia_stanza::jingle::{Action, Jingle};
use tertulia_stanza::{Condition, Element, ns, text_element};

use super::*;

mod afterwards;
mod bounds;
mod coming_back;
mod entering;
mod growth;
mod metadata;
mod moderation;
mod polls;
mod sharing;
mod walk;
mod wire;

/// A conference, its time, and what came out of it.
struct World {
    conference: Conference,
    now: Now,
    got: std::collections::BTreeMap<u64, Vec<Arc<Stanza>>>,
    commands: Vec<BridgeCommand>,
    replies: Vec<ConferenceReply>,
    journal: BTreeMap<String, String>,
    is_closed: bool,
}

pub(crate) fn config() -> Config {
    Config {
        hosts: Hosts::new(DomainPart::new("localhost").unwrap().into_owned()),
        room: tertulia_room::Config {
            occupants_max: 500,
            history_messages_max: 20,
            history_bytes_max: 65_536,
            name_chars_max: 256,
            has_lobby: true,
        },
        focus: tertulia_focus::Config {
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
        },
        initial_timeout: Duration::from_secs(15),
        expected_max: 100,
        affiliations_max: 100,
        rules: Rules {
            has_lobby: true,
            has_breakout_rooms: true,
            has_av_moderation: true,
            has_polls: true,
            has_file_sharing: true,
            has_end_conference: true,
            has_speaker_stats: true,
            has_visitors: true,
            visitors_after: None,
            has_auto_owner: true,
            is_everyone_moderator: false,
            has_wait_for_host: false,
            is_display_name_required: false,
            joins_per_second: 1_000,
            joins_waiting_max: 1_000,
            start_audio_muted: None,
            start_video_muted: None,
            wrong_passwords_per_minute: 5,
            lobby_waiting_max: 100,
            breakout_rooms_max: 50,
            polls_max: 128,
            poll_bytes_max: 1_024,
            files_max: 100,
            file_bytes_max: 4_096,
            metadata_keys_max: 64,
            metadata_bytes_max: 16_384,
        },
        owner_patience: Duration::from_secs(60),
        device_key: [3; 32],
        ice_server: None,
    }
}

impl World {
    fn new() -> World {
        World::of(7)
    }

    fn of(seed: u8) -> World {
        World::with(seed, BTreeMap::new())
    }

    /// A conference that takes up that journal.
    fn with(seed: u8, journal: BTreeMap<String, String>) -> World {
        let now = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        World::at(now, seed, journal)
    }

    fn at(now: Now, seed: u8, journal: BTreeMap<String, String>) -> World {
        let room = RoomJid::new("tea@conference.localhost".parse().unwrap()).unwrap();
        let id = ConferenceId::new(&format!("meeting-{seed}"));
        let config = Arc::new(config());
        World {
            conference: Conference::new(config, room, id, journal.clone(), [seed; 32], now),
            now,
            got: Default::default(),
            commands: Vec::new(),
            replies: Vec::new(),
            journal,
            is_closed: false,
        }
    }

    fn send(&mut self, session: u64, stanza: Stanza) {
        let profile = profile(session);
        let stanza = stanza.with_from(profile.jid.clone());
        self.conference.handle_stanza(self.now, &profile, stanza);
        self.drain();
    }

    fn session(&mut self, session: u64, change: SessionChange) {
        self.conference
            .handle_session(self.now, SessionId(session), change);
        self.drain();
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        while let Some(next) = self.conference.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.later(next - self.now.mono);
            self.conference.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.later(end - self.now.mono);
    }

    fn drain(&mut self) {
        while let Some(output) = self.conference.poll_output() {
            assert!(!self.is_closed, "nothing follows: {output:?}");
            match output {
                Output::Deliver { to, stanza } => self.got.entry(to.0).or_default().push(stanza),
                Output::Bridge { command, .. } => self.commands.push(*command),
                Output::Record(Entry { key, value }) => match value {
                    Some(value) => {
                        self.journal.insert(key, value);
                    }
                    None => {
                        self.journal.remove(&key);
                    }
                },
                Output::Forget => self.journal.clear(),
                Output::Claim(_) | Output::Release(_) => {}
                Output::Reply { reply, .. } => self.replies.push(*reply),
                Output::Closed => self.is_closed = true,
            }
        }
    }

    fn request(&mut self, session: u64, machine_uid: &str) {
        let request = ConferenceRequest {
            room: "tea@conference.localhost".to_owned(),
            machine_uid: Some(machine_uid.to_owned()),
            ..ConferenceRequest::default()
        };
        let iq = Stanza::iq("set", "c")
            .with_to("focus.localhost".parse::<Jid>().unwrap())
            .with_child(request.to_element());
        self.send(session, iq);
    }

    fn join(&mut self, session: u64, nick: &str) {
        self.join_with(session, nick, Element::bare("x", ns::MUC));
    }

    fn join_with(&mut self, session: u64, nick: &str, x: Element) {
        self.send(
            session,
            Stanza::new(Kind::Presence).with_to(to(nick)).with_child(x),
        );
    }

    /// Answers the focus' question what a client can do.
    fn tell_features(&mut self, session: u64) {
        let features = [ns::JINGLE_RTP_AUDIO, ns::JINGLE_RTP_VIDEO, ns::JSON_SOURCES];
        let query = self.got[&session]
            .iter()
            .find(|s| s.child("query", ns::DISCO_INFO).is_some());
        let info = DiscoInfo::default().with_features(features).to_element();
        let reply = Stanza::iq("result", query.unwrap().id.as_deref().unwrap())
            .with_to(to("focus"))
            .with_child(info);
        self.send(session, reply);
    }

    fn last(&mut self, session: u64) -> Arc<Stanza> {
        self.got
            .get_mut(&session)
            .and_then(Vec::pop)
            .expect("something came")
    }
}

fn profile(session: u64) -> Arc<SessionProfile> {
    Arc::new(SessionProfile {
        id: SessionId(session),
        jid: format!("u{session}@localhost/r").parse().unwrap(),
        websocket_base: "wss://192.0.2.1:8443".to_owned(),
        is_loopback: false,
        room: None,
        account: None,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    })
}

fn to(nick: &str) -> Jid {
    let room = "tea@conference.localhost";
    if nick.is_empty() {
        room.parse().unwrap()
    } else {
        format!("{room}/{nick}").parse().unwrap()
    }
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
        channel_password: "secret".to_owned(),
        feedback: FeedbackSources {
            audio: Ssrc(1),
            video: Ssrc(2),
        },
    }
}

fn leave() -> Stanza {
    Stanza::new(Kind::Presence)
        .with_to(to("ann"))
        .with_type("unavailable")
}

#[test]
fn asked_for_joined_and_over() {
    let mut w = World::new();
    w.request(1, "m");
    let reply = w.last(1);
    let reply = ConferenceReply::parse(reply.child("conference", ns::FOCUS).unwrap()).unwrap();
    assert!(reply.is_ready);
    assert_eq!(reply.focus_jid, "focus@auth.localhost");
    w.join(1, "ann");
    assert_eq!(
        w.got[&1][1].from,
        Some(to("focus")),
        "the focus comes first, but for the metadata"
    );
    assert_eq!(w.conference.census().nicks().len(), 1);
    w.send(1, leave());
    assert!(w.is_closed);
    assert_eq!(w.conference.next_timeout(), None);
    assert_eq!(w.conference.census(), Census::default());
    assert!(w.commands.is_empty(), "the bridge never heard of it");
    w.join(2, "bob");
    w.session(1, SessionChange::Ended(EndReason::Closed));
}

#[test]
fn nobody_comes() {
    let mut w = World::new();
    w.request(1, "m");
    w.wait(14);
    w.request(1, "m");
    w.wait(14);
    assert!(!w.is_closed, "asking again renews");
    w.wait(1);
    assert!(w.is_closed);

    let mut w = World::new();
    w.request(1, "m");
    w.wait(1);
    w.session(1, SessionChange::Ended(EndReason::Closed));
    assert!(!w.is_closed);
    w.wait(14);
    assert!(
        w.is_closed,
        "whoever asked is gone: only the first wait counts"
    );
}

#[test]
fn an_empty_room_waits_for_whoever_asked() {
    let mut w = World::new();
    w.request(1, "m");
    w.join(1, "ann");
    w.request(2, "n");
    w.send(1, leave());
    assert!(!w.is_closed);
    w.join(2, "bob");
    w.session(2, SessionChange::Ended(EndReason::Closed));
    assert!(w.is_closed);
}

#[test]
fn the_last_stanzas_of_a_session_come_after_its_end() {
    let mut w = World::new();
    w.request(1, "m");
    w.request(2, "n");
    w.join(2, "bob");
    w.session(1, SessionChange::Ended(EndReason::Closed));
    w.join(1, "ann");
    assert_eq!(w.conference.census().nicks().len(), 1, "no phantom");
}

#[test]
fn by_http_and_with_the_device_in_the_join() {
    let mut w = World::new();
    let asked = ConferenceRequest {
        machine_uid: Some("m".to_owned()),
        ..Default::default()
    };
    w.conference
        .handle_request(w.now, RequestId(1), asked.clone());
    w.drain();
    assert!(w.replies[0].is_ready);
    let x = || {
        let billing = text_element("billingid", ns::MUC, "m");
        Element::builder("x", ns::MUC).append(billing).build()
    };
    w.join_with(1, "ann", x());
    w.join(9, "bob");
    w.session(1, SessionChange::Paused);
    w.conference.handle_request(w.now, RequestId(2), asked);
    w.drain();
    w.join_with(2, "new", x());
    let census = w.conference.census();
    let nicks: Vec<&str> = census.nicks().iter().map(|nick| nick.as_str()).collect();
    assert_eq!(
        nicks,
        ["bob", "new"],
        "the same device takes the place of its lost occupant"
    );
    let all: String = w.got[&9].iter().map(|stanza| stanza.to_string()).collect();
    assert!(
        !all.contains("billingid"),
        "device ids never reach another client"
    );
}

#[test]
fn two_get_offers_and_the_last_one_loses_it() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob")] {
        w.request(session, nick);
        w.join(session, nick);
        w.tell_features(session);
    }
    let allocations: Vec<_> = w
        .commands
        .iter()
        .filter_map(|command| match command {
            BridgeCommand::Allocate { allocation, .. } => Some(*allocation),
            _ => None,
        })
        .collect();
    assert_eq!(allocations.len(), 2);
    for allocation in allocations {
        let event = BridgeEvent::Allocated {
            allocation,
            transport: transport(),
        };
        let id = w.conference.id().clone();
        w.conference.handle_bridge(w.now, &id, event);
    }
    w.drain();
    for session in [1, 2] {
        let offer = w.last(session);
        assert_eq!(offer.from, Some(to("focus")));
        assert_eq!(offer.to, None, "the session fills in its address");
        let jingle = Jingle::parse(offer.child("jingle", ns::JINGLE).unwrap()).unwrap();
        assert_eq!(jingle.action, Action::SessionInitiate);
        assert_eq!(
            jingle.initiator.as_deref(),
            Some("focus@auth.localhost/focus")
        );
    }
    w.session(2, SessionChange::Ended(EndReason::LeaseExpired));
    w.wait(21);
    let end = w.last(1);
    let jingle = Jingle::parse(end.child("jingle", ns::JINGLE).unwrap()).unwrap();
    assert_eq!(jingle.reason.unwrap().condition, "expired");
    assert!(matches!(w.commands.last(), Some(BridgeCommand::Close)));
    w.session(1, SessionChange::Ended(EndReason::Closed));
    assert!(w.is_closed);
}

#[test]
fn the_room_says_what_the_features_know() {
    let mut w = World::new();
    w.request(1, "m");
    w.join(1, "ann");
    let iq = Stanza::iq("get", "d")
        .with_to(to(""))
        .with_child(DiscoInfo::query(None));
    w.send(1, iq);
    let answer = w.last(1);
    assert_eq!(answer.id.as_deref(), Some("d"));
    let info = DiscoInfo::parse(answer.child("query", ns::DISCO_INFO).unwrap()).unwrap();
    let form = &info.forms[0];
    assert_eq!(form.type_, FormType::Result);
    assert_eq!(
        form.value("muc#roominfo_meetingId"),
        Some(w.conference.id().as_str())
    );
    assert_eq!(form.value("muc#roominfo_created_timestamp"), Some("0"));
    let other = World::of(8).conference.id().clone();
    assert_ne!(w.conference.id(), &other, "each instance has its own");
}

#[test]
fn a_locked_room_asks_for_its_password() {
    let mut w = World::new();
    w.request(1, "m");
    w.join(1, "ann");
    let form = DataForm::new(FormType::Submit, ns::MUC_ROOM_CONFIG)
        .with("muc#roomconfig_roomsecret", "rose");
    let query = Element::builder("query", ns::MUC_OWNER)
        .append(form.to_element())
        .build();
    w.send(1, Stanza::iq("set", "1").with_to(to("")).with_child(query));
    w.join(2, "bob");
    assert_eq!(w.last(2).error_condition(), Some(Condition::NotAuthorized));
    let x = |password| {
        let password = text_element("password", ns::MUC, password);
        Element::builder("x", ns::MUC).append(password).build()
    };
    w.join_with(2, "bob", x("thorn"));
    assert_eq!(w.last(2).error_condition(), Some(Condition::NotAuthorized));
    w.join_with(2, "bob", x("rose"));
    assert_eq!(w.conference.census().nicks().len(), 2);
}

#[test]
fn requests_to_the_focus_service_are_answered() {
    let mut w = World::new();
    let focus: Jid = "focus.localhost".parse().unwrap();
    w.send(1, Stanza::iq("set", "1").with_to(focus.clone()));
    assert_eq!(
        w.last(1).error_condition(),
        Some(Condition::ServiceUnavailable)
    );
    w.send(1, Stanza::iq("result", "1").with_to(focus));
    assert!(w.got[&1].is_empty());
}

#[test]
fn the_end_is_told_with_its_reason() {
    let mut w = World::new();
    w.request(1, "m");
    w.join(1, "ann");
    w.conference.end(w.now, "the server stops");
    w.drain();
    assert!(w.last(1).to_string().contains("the server stops"));
    assert!(w.is_closed);
}

/// Sessions come, lose their sockets, come back and end in any order; room and focus always
/// agree (checked after every step), and nothing is left in the end.
#[test]
fn random_walks_leave_nothing_behind() {
    for seed in 0..100 {
        let mut random = Random::from_seed([seed; 32]);
        let mut w = World::of(seed);
        let mut generation = 0;
        for _ in 0..200 {
            if w.is_closed {
                break;
            }
            // Ids of sessions are never used again.
            let session = u64::from(random.u32() % 6) + 1 + 10 * generation;
            generation += u64::from(random.u32().is_multiple_of(40));
            let nick = ["ann", "bob", "cat"][random.u32() as usize % 3];
            match random.u32() % 12 {
                0 => w.request(session, nick),
                1..=3 => w.join(session, nick),
                4 => w.send(session, leave().with_to(to(nick))),
                5 => w.session(session, SessionChange::Paused),
                6 => w.session(session, SessionChange::Resumed),
                7 => w.session(session, SessionChange::Ended(EndReason::Closed)),
                8 => w.wait(1),
                9 => answer_bridge(&mut w),
                10 => w.send(session, Stanza::iq("get", "x").with_to(to(nick))),
                _ => w.wait(u64::from(random.u32() % 30)),
            }
        }
        for session in 0..=10 * (generation + 1) {
            w.session(session, SessionChange::Ended(EndReason::Closed));
        }
        w.wait(120);
        assert!(w.is_closed, "seed {seed}");
        assert_eq!(w.conference.census(), Census::default());
        let opened = w
            .commands
            .iter()
            .any(|c| matches!(c, BridgeCommand::SetMayForward { .. }));
        let is_last_close = matches!(w.commands.last(), Some(BridgeCommand::Close));
        assert!(
            !opened || is_last_close,
            "seed {seed}: {:?}",
            w.commands.last()
        );
    }
}

fn answer_bridge(w: &mut World) {
    let questions = std::mem::take(&mut w.commands);
    for command in questions {
        if let BridgeCommand::Allocate { allocation, .. } = command {
            let event = BridgeEvent::Allocated {
                allocation,
                transport: transport(),
            };
            let id = w.conference.id().clone();
            w.conference.handle_bridge(w.now, &id, event);
            w.drain();
        } else {
            w.commands.push(command);
        }
    }
}

fn admin(item: &str) -> Stanza {
    let query: Element = format!("<query xmlns='{}'>{item}</query>", ns::MUC_ADMIN)
        .parse()
        .unwrap();
    Stanza::iq("set", "a").with_to(to("")).with_child(query)
}

/// `owner/moderator` for each nick of the main room.
fn standings(w: &World) -> Vec<String> {
    let occupants = w.conference.main_hall().room.occupants();
    occupants
        .map(|o| {
            format!(
                "{} {}/{}",
                o.nick(),
                o.affiliation().as_str(),
                o.role().as_str()
            )
        })
        .collect()
}

#[test]
fn ownership_goes_to_the_next_in_order_with_a_socket() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
    }
    w.session(2, SessionChange::Paused);
    w.session(1, SessionChange::Ended(EndReason::Closed));
    assert_eq!(
        standings(&w),
        ["bob none/participant", "cat owner/moderator"]
    );
    w.session(3, SessionChange::Ended(EndReason::Closed));
    assert_eq!(
        standings(&w),
        ["bob none/participant"],
        "nobody has a socket: the election waits"
    );
    w.session(2, SessionChange::Resumed);
    assert_eq!(standings(&w), ["bob owner/moderator"]);
}

#[test]
fn kicks_bans_and_grants() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
    }
    w.send(1, admin("<item affiliation='owner' jid='u3@localhost'/>"));
    w.send(3, admin("<item affiliation='none' jid='u3@localhost'/>"));
    assert_eq!(
        standings(&w),
        [
            "ann owner/moderator",
            "bob none/participant",
            "cat none/participant"
        ]
    );
    w.send(1, admin("<item affiliation='none' jid='u1@localhost'/>"));
    assert_eq!(
        w.last(1).error_condition(),
        Some(Condition::Conflict),
        "the last owner stays"
    );
    w.send(3, admin("<item affiliation='owner' jid='u3@localhost'/>"));
    assert_eq!(w.last(3).error_condition(), Some(Condition::Forbidden));
    w.send(
        1,
        admin("<item affiliation='outcast' jid='u3@localhost'/><item nick='zed' role='none'/>"),
    );
    assert_eq!(w.last(1).error_condition(), Some(Condition::ItemNotFound));
    assert_eq!(standings(&w).len(), 3, "all items or none");
    w.send(1, admin("<item affiliation='outcast' jid='u3@localhost'/>"));
    w.join(3, "cat");
    assert_eq!(w.last(3).error_condition(), Some(Condition::Forbidden));
    w.send(1, admin("<item affiliation='member' jid='u2@localhost'/>"));
    w.send(1, admin("<item nick='bob' role='none'/>"));
    w.join(2, "bob");
    assert_eq!(
        standings(&w),
        ["ann owner/moderator", "bob none/participant"],
        "a kick takes the standing, not the way back"
    );
}

#[test]
fn after_a_crash_everybody_is_who_they_were() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.request(session, nick);
        w.join(session, nick);
    }
    w.send(1, admin("<item affiliation='owner' jid='u2@localhost'/>"));
    w.send(2, admin("<item affiliation='none' jid='u1@localhost'/>"));
    let mut w = World::with(9, w.journal);
    w.request(13, "cat");
    w.join(13, "cat");
    w.request(11, "ann");
    w.join(11, "ann");
    assert_eq!(
        standings(&w),
        ["cat none/participant", "ann none/participant"],
        "whoever comes first does not take the place of the one who is still on the way"
    );
    w.request(12, "bob");
    w.join(12, "bob");
    assert_eq!(standings(&w)[2], "bob owner/moderator");

    let mut w = World::with(10, w.journal);
    w.request(21, "ann");
    w.join(21, "ann");
    w.request(23, "cat");
    w.join(23, "cat");
    w.wait(61);
    assert_eq!(
        standings(&w),
        ["ann none/participant", "cat owner/moderator"],
        "who was put back is elected after all others"
    );
}

#[test]
fn the_meeting_is_ended_for_all_by_those_who_may() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    let end: Element = "<end_conference xmlns='jabber:client'/>".parse().unwrap();
    let message = Stanza::new(Kind::Message)
        .with_to("endconference.localhost".parse::<Jid>().unwrap())
        .with_child(end);
    w.send(2, message.clone());
    assert_eq!(w.last(2).error_condition(), Some(Condition::Forbidden));
    w.send(9, message.clone());
    assert_eq!(w.last(9).error_condition(), Some(Condition::Forbidden));
    w.send(
        1,
        message
            .clone()
            .with_to("polls.localhost".parse::<Jid>().unwrap()),
    );
    assert!(w.last(1).error_condition().is_some());
    assert!(!w.is_closed && !w.journal.is_empty());
    w.send(1, message);
    assert!(
        w.last(2)
            .to_string()
            .contains("The meeting has been terminated")
    );
    assert!(w.is_closed && w.journal.is_empty());
}

fn command(type_: &str, attributes: &str) -> Stanza {
    let xml = format!(
        "<breakout_rooms xmlns='jabber:client' type='features/breakout-rooms/{type_}' {attributes}/>"
    );
    Stanza::new(Kind::Message)
        .with_to("breakout.localhost".parse::<Jid>().unwrap())
        .with_child(xml.parse().unwrap())
}

/// The last list of rooms that a session got.
fn list(w: &World, session: u64) -> serde_json::Value {
    let mut got = w.got[&session].iter().rev();
    let update = got.find_map(|stanza| {
        let json = stanza.child("json-message", ns::JITSI_MEET)?.text();
        json.contains("features/breakout-rooms/update")
            .then_some(json)
    });
    serde_json::from_str(&update.expect("a list")).unwrap()
}

fn switch(w: &mut World, session: u64, from: &str, to: &str) {
    let status = text_element("status", ns::CLIENT, "switch_room");
    let leave = Stanza::new(Kind::Presence).with_type("unavailable");
    w.send(
        session,
        leave
            .with_to(from.parse::<Jid>().unwrap())
            .with_child(status),
    );
    let join = Stanza::new(Kind::Presence).with_child(Element::bare("x", ns::MUC));
    w.send(session, join.with_to(to.parse::<Jid>().unwrap()));
}

#[test]
fn breakout_rooms_from_the_first_to_the_last() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.request(session, &format!("the first of {nick}"));
        w.join(session, nick);
    }
    w.send(2, command("add", "subject='Group 1'"));
    assert_eq!(w.last(2).error_condition(), Some(Condition::Forbidden));
    w.send(1, command("add", "subject='Group 1'"));
    w.send(1, command("add", ""));
    assert_eq!(w.last(1).error_condition(), Some(Condition::BadRequest));
    w.wait(1);
    let rooms = list(&w, 3);
    let id = rooms["rooms"]
        .as_object()
        .unwrap()
        .keys()
        .find(|k| *k != "tea");
    let id = id.unwrap().clone();
    assert_eq!(rooms["roomCounter"], 1);
    assert_eq!(rooms["rooms"][&id]["name"], "Group 1");
    assert_eq!(rooms["rooms"]["tea"]["isMainRoom"], true);
    let jid = format!("{id}@breakout.localhost");

    let send = |who: &str| format!("roomJid='{jid}' participantJid='{who}'");
    w.send(1, command("move-to-room", &send("u9@localhost/r")));
    assert_eq!(w.last(1).error_condition(), Some(Condition::ItemNotFound));
    w.send(1, command("move-to-room", &send("u2@localhost/r")));
    assert!(w.last(2).to_string().contains("move-to-room"));

    switch(
        &mut w,
        2,
        "tea@conference.localhost/bob",
        &format!("{jid}/bob"),
    );
    switch(
        &mut w,
        1,
        "tea@conference.localhost/ann",
        &format!("{jid}/ann"),
    );
    w.wait(1);
    let census = w.conference.census();
    let sizes: Vec<usize> = census.rooms.values().map(|r| r.occupants.len()).collect();
    assert_eq!(sizes, [2, 1]);
    assert_eq!(standings(&w), ["cat none/participant"], "no second owner");
    let participants = &list(&w, 3)["rooms"][&id]["participants"];
    assert_eq!(participants[format!("{jid}/ann")]["role"], "moderator");
    let iq = Stanza::iq("get", "d").with_to(jid.parse::<Jid>().unwrap());
    w.send(1, iq.with_child(DiscoInfo::query(None)));
    let info = w.last(1).to_string();
    assert!(info.contains("muc#roominfo_isbreakout"), "{info}");

    // A crash: who was in the room finds it again.
    let mut w = World::with(8, w.journal);
    w.request(11, "ann");
    let join = Stanza::new(Kind::Presence).with_child(Element::bare("x", ns::MUC));
    w.send(
        11,
        join.with_to(format!("{jid}/ann").parse::<Jid>().unwrap()),
    );
    assert_eq!(w.conference.census().nicks().len(), 1);
    w.send(
        11,
        command("rename", &format!("breakoutRoomJid='{jid}' subject='Two'")),
    );
    assert_eq!(
        w.last(11).error_condition(),
        Some(Condition::Forbidden),
        "not by this device"
    );
    w.wait(61);
    w.send(
        11,
        command("rename", &format!("breakoutRoomJid='{jid}' subject='Two'")),
    );
    w.wait(1);
    assert_eq!(list(&w, 11)["rooms"][&id]["name"], "Two");
    w.send(11, command("remove", &format!("breakoutRoomJid='{jid}'")));
    assert!(w.last(11).to_string().contains("Breakout room removed."));
    w.wait(20);
    assert!(w.is_closed);
}

#[test]
fn a_nick_is_one_persons_in_all_rooms() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    w.send(1, command("add", "subject='Group 1'"));
    w.wait(1);
    let rooms = list(&w, 1);
    let rooms = rooms["rooms"].as_object().unwrap();
    let jid = format!(
        "{}@breakout.localhost",
        rooms.keys().find(|k| *k != "tea").unwrap()
    );
    let join = |nick: &str| {
        let join = Stanza::new(Kind::Presence).with_child(Element::bare("x", ns::MUC));
        join.with_to(format!("{jid}/{nick}").parse::<Jid>().unwrap())
    };
    w.send(3, join("bob"));
    assert_eq!(w.last(3).error_condition(), Some(Condition::Conflict));
    w.send(2, join("bob"));
    assert_eq!(
        w.last(2).error_condition(),
        Some(Condition::Conflict),
        "leave first"
    );
    let status = text_element("status", ns::CLIENT, "switch_room");
    let leave = Stanza::new(Kind::Presence)
        .with_type("unavailable")
        .with_child(status);
    w.send(2, leave.with_to(to("bob")));
    w.send(3, join("bob"));
    assert_eq!(
        w.last(3).error_condition(),
        Some(Condition::Conflict),
        "reserved"
    );
    w.send(2, join("bob"));
    assert_eq!(w.conference.census().nicks().len(), 2);
    w.send(
        4,
        Stanza::new(Kind::Presence)
            .with_to("x@breakout.localhost/x".parse::<Jid>().unwrap())
            .with_child(Element::bare("x", ns::MUC)),
    );
    let refusal = w.last(4);
    let condition = refusal.error_condition();
    assert_eq!(condition, Some(Condition::NotAllowed), "no such room");
    assert!(refusal.to_string().contains("this breakout room is gone"));
}

fn submit(var: &str, value: &str) -> Stanza {
    let form = DataForm::new(FormType::Submit, ns::MUC_ROOM_CONFIG).with(var, value);
    let query = Element::builder("query", ns::MUC_OWNER)
        .append(form.to_element())
        .build();
    Stanza::iq("set", "1").with_to(to("")).with_child(query)
}

fn knock(w: &mut World, session: u64, nick: &str, room: &str) {
    let name = text_element("nick", ns::NICK, nick);
    let join = Stanza::new(Kind::Presence).with_children([Element::bare("x", ns::MUC), name]);
    w.send(session, join.with_to(room.parse::<Jid>().unwrap()));
}

fn invite(who: &[&str]) -> Stanza {
    let invites: String = who
        .iter()
        .map(|who| format!("<invite to='{who}'/>"))
        .collect();
    let x: Element = format!("<x xmlns='{}'>{invites}</x>", ns::MUC_USER)
        .parse()
        .unwrap();
    Stanza::new(Kind::Message).with_to(to("")).with_child(x)
}

const LOBBY: &str = "tea@lobby.localhost";

#[test]
fn who_is_no_member_waits_until_somebody_lets_them_in() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob")] {
        w.request(session, nick);
        w.join(session, nick);
    }
    w.send(2, submit("muc#roomconfig_membersonly", "1"));
    assert_eq!(w.last(2).error_condition(), Some(Condition::Forbidden));
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    let said: String = w.got[&2].iter().map(|s| s.to_string()).collect();
    assert!(said.contains("LOBBY-ENABLED") && said.contains("104"));
    w.request(3, "cat");
    w.join(3, "cat");
    assert_eq!(w.last(3).error_condition(), Some(Condition::NotAcceptable));
    knock(&mut w, 3, "cat", "tea@conference.localhost/cat");
    let refusal = w.last(3);
    assert_eq!(
        refusal.error_condition(),
        Some(Condition::RegistrationRequired)
    );
    assert!(refusal.to_string().contains(LOBBY));
    w.got.clear();
    knock(&mut w, 3, "Cat", &format!("{LOBBY}/0c0c0c0c"));
    knock(&mut w, 4, "Dog", &format!("{LOBBY}/0d0d0d0d"));
    assert_eq!(w.conference.census().waiting.len(), 2);
    let got: String = w.got[&3].iter().map(|s| s.to_string()).collect();
    assert!(
        !got.contains("0d0d0d0d"),
        "who waits sees nobody else: {got}"
    );
    assert!(
        !w.got.contains_key(&2),
        "nor is seen by those who may not let them in"
    );
    knock(&mut w, 1, "ann", &format!("{LOBBY}/0a0a0a0a"));
    let got: String = w.got[&1].iter().map(|s| s.to_string()).collect();
    assert!(got.contains("0c0c0c0c") && got.contains("0d0d0d0d"));
    assert!(!w.got[&3].iter().any(|s| s.to_string().contains("0a0a0a0a")));

    let chat = |to: &str| {
        let to: Jid = format!("{LOBBY}/{to}").parse().unwrap();
        let body = text_element("body", ns::CLIENT, "who are you?");
        Stanza::new(Kind::Message)
            .with_type("chat")
            .with_to(to)
            .with_child(body)
    };
    w.send(1, chat("0c0c0c0c"));
    assert!(w.last(3).to_string().contains("who are you?"));
    w.send(3, chat("0d0d0d0d"));
    assert_eq!(w.last(3).error_condition(), Some(Condition::ItemNotFound));

    w.send(2, invite(&["u3@localhost/r"]));
    assert_eq!(w.last(2).error_condition(), Some(Condition::Forbidden));
    w.send(1, invite(&["u9@localhost/r", "u3@localhost/r"]));
    assert!(w.last(3).to_string().contains("<invite"));
    assert!(w.last(2).to_string().contains("LOBBY-ACCESS-GRANTED"));
    let gone = Stanza::new(Kind::Presence).with_type("unavailable");
    w.send(
        3,
        gone.with_to(format!("{LOBBY}/0c0c0c0c").parse::<Jid>().unwrap()),
    );
    w.join(3, "cat");
    assert_eq!(w.conference.census().nicks().len(), 3);

    let deny: Element = format!(
        "<query xmlns='{}'><item nick='0d0d0d0d' role='none'/></query>",
        ns::MUC_ADMIN
    )
    .parse()
    .unwrap();
    let deny = Stanza::iq("set", "k")
        .with_to(LOBBY.parse::<Jid>().unwrap())
        .with_child(deny);
    w.send(4, deny.clone());
    assert_eq!(w.last(4).error_condition(), Some(Condition::Forbidden));
    w.send(1, deny);
    assert!(w.last(4).to_string().contains("307"));
    assert!(w.last(2).to_string().contains("LOBBY-ACCESS-DENIED"));

    // A crash: members are let in, strangers are not, and the lobby is there.
    let mut w = World::with(8, w.journal);
    w.request(13, "cat");
    w.join(13, "cat");
    assert_eq!(w.conference.census().nicks().len(), 1);
    w.request(15, "eve");
    knock(&mut w, 15, "eve", "tea@conference.localhost/eve");
    assert_eq!(
        w.last(15).error_condition(),
        Some(Condition::RegistrationRequired)
    );
    knock(&mut w, 15, "eve", &format!("{LOBBY}/0e0e0e0e"));
    w.request(11, "ann");
    w.join(11, "ann");
    w.send(11, submit("muc#roomconfig_membersonly", "false"));
    let farewell = w.last(15).to_string();
    assert!(
        farewell.contains("<destroy jid='tea@conference.localhost'"),
        "{farewell}"
    );
    w.join(15, "eve");
    assert_eq!(w.conference.census().nicks().len(), 3);
    assert!(w.conference.census().waiting.is_empty());
}

#[test]
fn the_password_is_a_way_past_the_lobby() {
    let mut w = World::new();
    w.join(1, "ann");
    w.send(1, submit("muc#roomconfig_roomsecret", "rose"));
    w.send(1, submit("muc#roomconfig_membersonly", "true"));
    let x = |password| {
        let password = text_element("password", ns::MUC, password);
        Element::builder("x", ns::MUC).append(password).build()
    };
    w.join_with(2, "bob", x("rose"));
    assert_eq!(w.conference.census().nicks().len(), 2);
    knock(&mut w, 3, "cat", &format!("{LOBBY}/0c0c0c0c"));
    w.send(1, leave());
    w.session(2, SessionChange::Ended(EndReason::Closed));
    assert!(!w.is_closed, "somebody waits");
    w.session(3, SessionChange::Ended(EndReason::Closed));
    assert!(w.is_closed);
}

#[test]
fn guests_wait_for_a_host() {
    let mut config = config();
    config.rules.has_wait_for_host = true;
    let mut w = World::new();
    w.conference.config = Arc::new(config);
    knock(&mut w, 1, "ann", "tea@conference.localhost/ann");
    let refusal = w.last(1);
    assert_eq!(
        refusal.error_condition(),
        Some(Condition::RegistrationRequired)
    );
    assert!(refusal.to_string().contains("waiting-for-host"));
    knock(&mut w, 1, "ann", &format!("{LOBBY}/0a0a0a0a"));
    let mut host = SessionProfile::clone(&profile(2));
    host.account = Some("head@localhost".parse().unwrap());
    let host = Arc::new(host);
    let join = Stanza::new(Kind::Presence)
        .with_from(host.jid.clone())
        .with_to(to("head"))
        .with_child(Element::bare("x", ns::MUC));
    w.conference.handle_stanza(w.now, &host, join);
    w.drain();
    assert!(w.last(1).to_string().contains("<destroy"));
    w.join(1, "ann");
    assert_eq!(
        standings(&w),
        ["head owner/moderator", "ann none/participant"]
    );
}

#[test]
fn visitors_are_hidden_until_they_are_asked_to_take_part() {
    let mut w = World::new();
    w.request(1, "ann");
    w.join(1, "ann");
    let request = ConferenceRequest {
        room: "tea@conference.localhost".to_owned(),
        machine_uid: Some("vic".to_owned()),
        properties: [("visitor".to_owned(), "true".to_owned())].into(),
        ..ConferenceRequest::default()
    };
    let iq = Stanza::iq("set", "c")
        .with_to("focus.localhost".parse::<Jid>().unwrap())
        .with_child(request.to_element());
    w.send(2, iq);
    w.got.clear();
    w.join(2, "vic");
    let got: Vec<String> = w.got[&1].iter().map(|s| s.to_string()).collect();
    assert!(
        got.iter()
            .all(|s| !s.contains("tea@conference.localhost/vic")),
        "{got:?}"
    );
    assert_eq!(standings(&w)[1], "vic none/visitor");
    let hand = |value: &str| {
        let hand = text_element("jitsi_participant_raisedHand", ns::CLIENT, value);
        Stanza::new(Kind::Presence)
            .with_to(to("vic"))
            .with_child(hand)
    };
    w.send(2, hand("1790000000000"));
    let asked = w.last(1).to_string();
    assert!(
        asked.contains("promotion-request") && asked.contains("u2@localhost/r"),
        "{asked}"
    );
    let answer = |approved: &str, id: &str| {
        let json = format!(
            r#"{{"type":"visitors","action":"promotion-response","approved":{approved},"id":"{id}"}}"#
        );
        Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_to(to(""))
            .with_child(text_element("json-message", ns::JITSI_MEET, &json))
    };
    w.send(2, answer("true", "u2@localhost/r"));
    assert_eq!(w.last(2).error_condition(), Some(Condition::Forbidden));
    w.send(1, answer("1", "u2@localhost/r"));
    assert_eq!(w.last(1).error_condition(), Some(Condition::BadRequest));
    w.send(1, answer("true", "u7@localhost/r"));
    assert_eq!(w.last(1).error_condition(), Some(Condition::ItemNotFound));
    w.send(1, answer("false", "u2@localhost/r"));
    assert!(w.last(2).to_string().contains("allow='false'"));
    w.send(1, answer("true", "u2@localhost/r"));
    assert_eq!(standings(&w)[1], "vic none/participant");
    assert!(
        w.last(1)
            .to_string()
            .contains("tea@conference.localhost/vic")
    );

    let mut w = World::with(8, w.journal);
    w.request(12, "vic");
    w.join(12, "vic");
    assert_eq!(standings(&w), ["vic none/participant"]);
}

#[test]
fn newcomers_beyond_the_soft_limit_are_visitors() {
    let mut config = config();
    config.rules.visitors_after = Some(2);
    let mut w = World::new();
    w.conference.config = Arc::new(config);
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
    }
    assert_eq!(standings(&w)[2], "cat none/visitor");
    w.session(1, SessionChange::Ended(EndReason::Closed));
    w.session(2, SessionChange::Ended(EndReason::Closed));
    assert_eq!(
        standings(&w),
        ["cat none/visitor"],
        "a visitor is not elected"
    );
}
