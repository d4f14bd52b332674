//! What one more costs those who are there: at most three stanzas each, which are as long among
//! 500 as among 10. All features are on.

use serde_json::{Value, json};
use tertulia_stanza::WithAttribute;
use tertulia_stanza::jingle::{Content, Setup, Transport, TransportFingerprint};
use tertulia_stanza::sources::parse_json;

use super::wire::*;
use super::*;

/// What a client can do; those who are there are told of others accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ability {
    /// Reads sources only in Jingle's own form.
    Old,
    /// Reads the compact form.
    Plain,
    /// Has others' media rewritten by the bridge.
    Rewriting,
    /// The same, and only looks.
    Visitor,
}

/// What somebody got because of one newcomer: what it was, and its bytes.
type Got = Vec<(String, usize)>;

/// By what the newcomer can do, and what those can do who are told.
type Costs = BTreeMap<(Ability, Ability), Got>;

struct Growth {
    w: World,
    /// Those in the main room.
    people: Vec<(u64, Ability)>,
    next_session: u64,
}

impl Growth {
    /// A meeting in which everything goes on at once: moderated, with polls, metadata, files,
    /// speaker statistics, breakout rooms, a visitor, history and a subject.
    fn begin() -> Growth {
        let mut w = World::new();
        let mut config = config();
        config.room.occupants_max = 600;
        let (id, room) = (w.conference.id().clone(), w.conference.room().clone());
        let journal = BTreeMap::new();
        w.conference = Conference::new(Arc::new(config), room, id, journal, [7; 32], w.now);
        let mut growth = Growth {
            w,
            people: Vec::new(),
            next_session: 1_000,
        };
        let ann = growth.enter(Ability::Rewriting);
        for ability in [Ability::Plain, Ability::Old, Ability::Visitor] {
            growth.enter(ability);
        }
        let cat = growth.enter(Ability::Rewriting);
        let w = &mut growth.w;
        for media in ["audio", "video", "desktop"] {
            let on = format!("<av_moderation enable='true' mediaType='{media}'/>");
            w.send(ann, to_service("avmoderation", &on));
        }
        let poll = json!({ "type": "polls", "command": "new-poll", "pollId": "p1",
            "question": "Tea?", "answers": [{ "name": "Yes" }, { "name": "No" }] });
        let answer = json!({ "type": "polls", "command": "answer-poll", "pollId": "p1",
            "answers": [true, false] });
        for (who, said) in [(ann, poll), (cat, answer)] {
            let said = text_element("json-message", ns::JITSI_MEET, &said.to_string());
            w.send(who, to_service_with("polls", said).with_type("chat"));
        }
        let metadata = Element::builder("room_metadata", ns::JITSI_MEET)
            .with("room", "tea@conference.localhost")
            .append(json!({ "key": "live", "data": { "on": true } }).to_string())
            .build();
        w.send(ann, to_service_with("metadata", metadata));
        let file = json!({ "fileId": "f1", "fileName": "a.pdf", "fileSize": 12, "fileType": "pdf",
            "timestamp": 1_790_000_000_000_u64 });
        let file = Element::builder("file-sharing", ns::JITSI_MEET)
            .with("type", "add")
            .append(file.to_string())
            .build();
        w.send(ann, to_service_with("filesharing", file));
        for (name, text) in [("body", "Hello"), ("subject", "Tea at five")] {
            let said = Stanza::new(Kind::Message).with_type("groupchat");
            w.send(
                ann,
                said.with_to(to(""))
                    .with_child(text_element(name, ns::CLIENT, text)),
            );
        }
        let speaker = BridgeEvent::DominantSpeaker {
            endpoint: Some(nick(ann).parse().unwrap()),
        };
        let id = w.conference.id().clone();
        w.conference.handle_bridge(w.now, &id, speaker);
        w.drain();
        for group in ["Verona", "Mantua"] {
            w.send(ann, command("add", &format!("subject='{group}'")));
        }
        w.wait(1);
        let rooms = list(w, ann);
        let mut rooms = rooms["rooms"].as_object().unwrap().keys();
        let group = rooms.find(|room| *room != "tea").unwrap();
        let (main, group) = (
            to(&nick(cat)),
            format!("{group}@breakout.localhost/{}", nick(cat)),
        );
        switch(w, cat, main.as_str(), &group);
        growth.people.retain(|(session, _)| *session != cat);
        w.wait(5);
        let refused = w.got.values().flatten().find(|s| s.is_type("error"));
        assert!(refused.is_none(), "{refused:?}");
        growth
    }

    /// Somebody does what a Jitsi client does to come in: request, presence, features, answer to
    /// the focus' invitation with sources, another presence. Their session.
    fn enter(&mut self, ability: Ability) -> u64 {
        let session = self.next_session;
        let request = ConferenceRequest {
            room: "tea@conference.localhost".to_owned(),
            machine_uid: Some(nick(session)),
            properties: [(
                "visitor".to_owned(),
                (ability == Ability::Visitor).to_string(),
            )]
            .into(),
            ..ConferenceRequest::default()
        };
        let iq = Stanza::iq("set", "c")
            .with_to("focus.localhost".parse::<Jid>().unwrap())
            .with_child(request.to_element());
        self.w.send(session, iq);
        self.join(ability, ability != Ability::Visitor);
        self.w.send(session, presence(session, ability, None));
        session
    }

    /// Somebody is there, with a session for media; not all have switched anything on so far.
    fn join(&mut self, ability: Ability, has_sources: bool) {
        let session = self.next_session;
        self.next_session += 1;
        let x = Element::bare("x", ns::MUC);
        self.w.send(session, presence(session, ability, Some(x)));
        self.people.push((session, ability));
        self.tell_features(session, ability);
        answer_bridge(&mut self.w);
        if let [first, _] = self.people[..] {
            // It was invited because of the second one.
            self.accept(first.0, true);
        }
        self.accept(session, has_sources);
    }

    fn tell_features(&mut self, session: u64, ability: Ability) {
        let mut features = vec![
            ns::JINGLE_RTP_AUDIO,
            ns::JINGLE_RTP_VIDEO,
            ns::RTX_FEATURE,
            ns::TCC_FEATURE,
        ];
        features.extend((ability >= Ability::Plain).then_some(ns::JSON_SOURCES));
        features.extend((ability >= Ability::Rewriting).then_some(ns::SSRC_REWRITING));
        let got = self.w.got[&session].iter();
        let question = got
            .rev()
            .find(|s| s.child("query", ns::DISCO_INFO).is_some());
        let reply = Stanza::iq("result", question.unwrap().id.as_deref().unwrap())
            .with_to(to("focus"))
            .with_child(DiscoInfo::default().with_features(features).to_element());
        self.w.send(session, reply);
    }

    fn accept(&mut self, session: u64, has_sources: bool) {
        let got = self.w.got.get(&session).into_iter().flatten();
        let mut jingles = got.filter_map(|s| Jingle::parse(s.child("jingle", ns::JINGLE)?).ok());
        let Some(offer) = jingles.find(|jingle| jingle.action == Action::SessionInitiate) else {
            return;
        };
        let mut accept = Jingle::new(Action::SessionAccept, &offer.sid);
        accept.contents.push(Content {
            name: "audio".to_owned(),
            transport: Some(Transport {
                ufrag: Some("u".to_owned()),
                pwd: Some("p".to_owned()),
                fingerprint: Some(TransportFingerprint {
                    fingerprint: transport().fingerprint,
                    setup: Setup::Active,
                }),
                ..Transport::default()
            }),
            ..Content::default()
        });
        if has_sources {
            accept.json_sources = Some(parse_json(&sources(session)).unwrap());
        }
        let iq = Stanza::iq("set", "a").with_to(to("focus"));
        self.w.send(session, iq.with_child(accept.to_element()));
        let answer = self.w.got[&session].last().unwrap();
        assert_eq!(answer.error_condition(), None, "{answer}");
    }

    /// Fills the meeting until the next participant is the one with that number.
    fn fill_before(&mut self, number: usize) {
        while self.participants() + 1 < number {
            let (ability, has_sources) = match self.people.len() % 100 {
                11 => (Ability::Old, true),
                33 => (Ability::Plain, true),
                55 => (Ability::Rewriting, true),
                _ => (Ability::Rewriting, false),
            };
            self.join(ability, has_sources);
            self.w.got.clear();
            self.w.commands.clear();
        }
    }

    fn participants(&self) -> usize {
        let people = self.people.iter();
        people
            .filter(|(_, ability)| *ability != Ability::Visitor)
            .count()
    }

    /// What one more of each kind costs everybody else now.
    fn costs(&mut self) -> Costs {
        use Ability::{Old, Plain, Rewriting, Visitor};
        let mut costs = Costs::new();
        for newcomer in [Old, Plain, Rewriting, Visitor] {
            self.w.wait(5);
            self.w.got.clear();
            let there = self.people.clone();
            self.enter(newcomer);
            self.w.wait(5);
            for (session, ability) in there {
                let got = self.w.got.get(&session).into_iter().flatten();
                let (lists, got): (Vec<_>, Vec<_>) = got.partition(|stanza| is_list(stanza));
                assert!(lists.len() <= 1, "{}", lists.len());
                let got: Got = got.into_iter().map(|stanza| told(stanza)).collect();
                let known = costs
                    .entry((newcomer, ability))
                    .or_insert_with(|| got.clone());
                check_alike(known, &got);
            }
        }
        costs
    }
}

/// One more presence, one more source-add.
#[test]
fn nobody_pays_more_for_a_newcomer_than_in_a_small_meeting() {
    let mut growth = Growth::begin();
    let mut before: Option<Costs> = None;
    for number in [10, 100, 500] {
        growth.fill_before(number);
        let costs = growth.costs();
        for ((newcomer, ability), got) in &costs {
            let bytes: usize = got.iter().map(|(_, bytes)| bytes).sum();
            println!("{number}: {newcomer:?} costs {ability:?} {bytes} bytes: {got:?}");
            assert!(got.len() <= 3, "{newcomer:?} costs {ability:?} {got:?}");
        }
        if let Some(before) = &before {
            assert!(costs.keys().eq(before.keys()));
            for (got, known) in costs.values().zip(before.values()) {
                check_alike(known, got);
            }
        }
        before = Some(costs);
    }
}

/// The list of rooms names everybody: it is sent after a while, for all who came meanwhile.
#[test]
fn who_is_in_which_room_is_told_every_300_milliseconds_at_most() {
    let mut growth = Growth::begin();
    growth.w.wait(5);
    growth.w.got.clear();
    let mut told = Vec::new();
    for _ in 0..50 {
        growth.enter(Ability::Rewriting);
        let w = &mut growth.w;
        w.now = w.now.later(Duration::from_millis(20));
        let is_due = |w: &World| {
            w.conference
                .next_timeout()
                .is_some_and(|due| due <= w.now.mono)
        };
        while is_due(w) {
            w.conference.handle_timeout(w.now);
            w.drain();
        }
        let lists = w.got[&1_000].iter().filter(|stanza| is_list(stanza));
        told.extend(lists.map(|_| w.now.mono));
        w.got.clear();
    }
    assert!(told.len() >= 2, "{}", told.len());
    let is_apart = |pair: &[Instant]| pair[1] - pair[0] >= Duration::from_millis(300);
    assert!(told.windows(2).all(is_apart));
}

/// COMPAT(lib-jitsi-meet): moderators have whole lists of who may speak all the same, one for each
/// medium that is moderated, and newcomers who moderate are on them.
#[test]
fn a_moderator_who_comes_costs_other_moderators_the_lists_of_who_is_approved() {
    let mut growth = Growth::begin();
    growth.w.wait(5);
    growth.w.change(|rules| rules.is_everyone_moderator = true);
    growth.w.got.clear();
    let there = growth.people.clone();
    growth.enter(Ability::Plain);
    growth.w.wait(5);
    for (session, ability) in there {
        let got = growth.w.got[&session].iter();
        let got = got.filter(|stanza| !is_list(stanza));
        let is_of_moderation = |stanza: &&Arc<Stanza>| json_of("avmoderation", stanza).is_some();
        let (lists, rest): (Vec<_>, Vec<_>) = got.partition(is_of_moderation);
        let is_moderator = session == 1_000;
        assert_eq!(lists.len(), if is_moderator { 3 } else { 0 }, "{ability:?}");
        assert!(rest.len() <= 3, "{ability:?}: {rest:?}");
    }
}

/// The same stanzas, as long but for the digits of a number.
fn check_alike(known: &Got, got: &Got) {
    let names = |got: &Got| got.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(known), names(got));
    for ((name, bytes), (_, known)) in got.iter().zip(known) {
        assert!(bytes.abs_diff(*known) <= DIGITS, "{name}: {known}, {bytes}");
    }
}

/// The list of breakout rooms, of which the protocol wants all at once.
fn is_list(stanza: &Stanza) -> bool {
    let json = json_of("breakout", stanza);
    json.is_some_and(|json: Value| json["event"] == "features/breakout-rooms/update")
}

fn told(stanza: &Stanza) -> (String, usize) {
    let bytes = stanza.to_string().len();
    let jingle = stanza.child("jingle", ns::JINGLE);
    let name = match jingle.and_then(|jingle| jingle.attr("action")) {
        Some(action) => action.to_owned(),
        None if stanza.from == Some(to("focus")) => format!("{:?} of the focus", stanza.kind),
        None => format!("{:?}", stanza.kind),
    };
    (name, bytes)
}

fn nick(session: u64) -> String {
    format!("{session:08x}")
}

/// Camera in three layers and microphone, all with retransmissions.
fn sources(session: u64) -> String {
    let nick = nick(session);
    let base = 1_000_000_000 + 10 * session;
    let of = |ssrc: u64, letter: &str| {
        json!({ "s": base + ssrc, "n": format!("{nick}-{letter}0"),
            "m": format!("{nick}-{letter}-1 {nick}-{letter}-1-track") })
    };
    let video: Vec<Value> = (0..6).map(|ssrc| of(ssrc, "v")).collect();
    let groups = json!([
        ["s", base, base + 1, base + 2],
        ["f", base, base + 3],
        ["f", base + 1, base + 4],
        ["f", base + 2, base + 5],
    ]);
    let sources = json!([video, groups, [of(6, "a")], []]);
    json!({ "sources": { nick: sources } }).to_string()
}

/// What a Jitsi client shows of itself; with `x` it wants to come in.
fn presence(session: u64, ability: Ability, x: Option<Element>) -> Stanza {
    let nick = nick(session);
    let info = json!({
        format!("{nick}-a0"): { "muted": true },
        format!("{nick}-v0"): { "muted": true, "videoType": "camera" },
    });
    let info = (ability != Ability::Visitor)
        .then(|| text_element("SourceInfo", ns::CLIENT, &info.to_string()));
    let children = [
        text_element("stats-id", ns::CLIENT, "Headless-abc"),
        text_element(
            "jitsi_participant_codecList",
            ns::CLIENT,
            "av1,vp9,vp8,h264",
        ),
        text_element("nick", ns::NICK, "Somebody"),
    ];
    let presence = Stanza::new(Kind::Presence).with_to(to(&nick));
    presence.with_children(x.into_iter().chain(children).chain(info))
}

/// By so many bytes may counters differ.
const DIGITS: usize = 3;
