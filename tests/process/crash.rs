//! A meeting survives SIGKILL: ten people come back by themselves and find everything as it was,
//! and each other; twenty times, with other rights, rooms, hands and doors each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use tertulia_client::{
    BreakoutRoom, ChannelKind, Client, ClientConfig, Comeback, Deed, Habits, Notice, Outcome,
    Redial, Refusal, RequestKind, Trouble,
};
use tertulia_model::jid::{BareJid, DomainPart};
use tertulia_model::{MediaType, Now, RoomJid};
use tertulia_stanza::muc::Affiliation;
use tertulia_stanza::{Condition, Element, ns};
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::browser::{Browser, Window};
use crate::server::{Folder, Server};

const PEOPLE: usize = 10;
const ROUNDS: usize = 20;
const BACK_WITHIN: Duration = Duration::from_secs(20);
const PASSWORD: &str = "rose";

#[tokio::test]
async fn ten_people_come_back_to_what_they_had() {
    LocalSet::new()
        .run_until(async {
            let begun = Instant::now();
            let mut meeting = Meeting::begin().await;
            let mut longest = Duration::ZERO;
            for round in 0..ROUNDS {
                let before = Instant::now();
                let demoted = meeting.change(round).await;
                let back = meeting.crash(round, demoted).await;
                println!("{round}: back in {back:?}, {:?} in all", before.elapsed());
                longest = longest.max(back);
            }
            meeting.check_life(&meeting.live());
            let (refused, gave_up) = (meeting.refused, meeting.gave_up);
            println!(
                "{ROUNDS} crashes in {:?}; back within {longest:?}; resumptions refused: \
                 {refused}, not even tried: {gave_up}",
                begun.elapsed()
            );
            assert!(
                refused > 0 && gave_up > 0,
                "both ways to a new page were gone"
            );
        })
        .await;
}

/// The meeting as its people want it; whatever happens to the server, it is to be so.
struct Meeting {
    data: Folder,
    server: Server,
    people: Vec<Browser>,
    /// One for each of them.
    seats: Vec<Seat>,
    main: RoomJid,
    /// The breakout rooms with their names.
    groups: Vec<(RoomJid, String)>,
    is_locked: bool,
    has_lobby: bool,
    random: fastrand::Rng,
    /// The sessions that ended with the last server, by real address.
    dead: BTreeSet<String>,
    /// How many pages were opened again because a resumption was refused, or was in vain.
    refused: usize,
    gave_up: usize,
}

/// How somebody stands in the meeting.
#[derive(Clone, Debug)]
struct Seat {
    room: RoomJid,
    affiliation: Affiliation,
    is_hand_up: bool,
    is_muted: bool,
}

/// Somebody as seen by somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    nick: String,
    name: Option<String>,
    affiliation: Affiliation,
    is_moderator: bool,
    is_hand_up: bool,
    is_muted: Option<bool>,
}

impl Meeting {
    /// Ten people, four of them moderators, and two breakout rooms.
    async fn begin() -> Meeting {
        let data = Folder::new();
        let server = Server::start_quietly(&data, None).await;
        let main = room("tea@conference.localhost");
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let person = enter(&server, &main, number).await;
            if number == 0 {
                let is_in = person.until(|window| window.client.is_joined()).await;
                assert!(is_in, "the first one");
            }
            people.push(person);
        }
        let mut meeting = Meeting {
            data,
            server,
            people,
            seats: vec![Seat::new(&main); PEOPLE],
            main,
            groups: Vec::new(),
            is_locked: false,
            has_lobby: false,
            random: fastrand::Rng::with_seed(20),
            dead: BTreeSet::new(),
            refused: 0,
            gave_up: 0,
        };
        meeting.seats[0].affiliation = Affiliation::Owner;
        meeting.until_all_is_well("the beginning").await;
        for number in 1..=3 {
            meeting.grant(0, number, Affiliation::Owner).await;
        }
        meeting.people[0].act(|client, now| client.add_breakout_room(now, "Verona"));
        meeting.people[0].act(|client, now| client.add_breakout_room(now, "Mantua"));
        let has_both = |window: &Window| window.client.breakout_rooms().rooms.len() == 3;
        assert!(meeting.people[0].until(has_both).await, "two new rooms");
        let rooms = meeting.people[0]
            .look()
            .client
            .breakout_rooms()
            .rooms
            .clone();
        let groups = rooms.iter().filter(|(_, room)| !room.is_main);
        meeting.groups = groups
            .map(|(jid, group)| (room(jid), group.name.clone()))
            .collect();
        meeting.until_all_is_well("two rooms").await;
        meeting
    }

    /// Everybody does something. The last thing is that somebody is demoted: who it was.
    async fn change(&mut self, round: usize) -> usize {
        self.regroup(round).await;
        for (person, seat) in self.people.iter().zip(&mut self.seats) {
            if self.random.bool() {
                seat.is_hand_up = !seat.is_hand_up;
                person.act(|client, now| client.raise_hand(now, seat.is_hand_up));
            }
            if self.random.bool() {
                seat.is_muted = !seat.is_muted;
                person.act(|client, now| client.mute(now, MediaType::Audio, seat.is_muted));
            }
        }
        let mut owners = self.in_main(|seat| seat.affiliation == Affiliation::Owner);
        self.random.shuffle(&mut owners);
        let (actor, demoted) = (owners[0], owners[1]);
        self.set_doors(actor, round).await;
        let others = self.in_main(|seat| seat.affiliation != Affiliation::Owner);
        let promoted = others[self.random.usize(..others.len())];
        self.grant(actor, promoted, Affiliation::Owner).await;
        if round % 5 == 4 {
            let name = format!("Group {round}");
            let group = self.groups[0].0.to_string();
            self.people[actor].act(|client, now| client.rename_breakout_room(now, &group, &name));
            self.groups[0].1 = name;
        }
        self.until_all_is_well("before the crash").await;
        // Who waits in a lobby is nowhere: there Jitsi's way is taken.
        let below = if self.has_lobby || round.is_multiple_of(2) {
            Affiliation::Member
        } else {
            Affiliation::None
        };
        self.grant(actor, demoted, below).await;
        demoted
    }

    /// Three others go to the breakout rooms, at their own wish or sent by a moderator.
    async fn regroup(&mut self, round: usize) {
        let mut order: Vec<usize> = (0..PEOPLE).collect();
        let is_owner = |person: &&usize| self.seats[**person].affiliation == Affiliation::Owner;
        loop {
            self.random.shuffle(&mut order);
            // One who acts and one whose rights are taken stay in the main room.
            if order[3..].iter().filter(is_owner).count() >= 2 {
                break;
            }
        }
        let [verona, mantua] = [0, 1].map(|group: usize| self.groups[group].0.clone());
        let second = [&verona, &mantua][round % 2].clone();
        let mut targets = vec![self.main.clone(); PEOPLE];
        for (person, room) in order.into_iter().zip([verona, second, mantua]) {
            targets[person] = room;
        }
        let stays = |person: &usize| {
            let seat = &self.seats[*person];
            seat.affiliation == Affiliation::Owner && seat.room == targets[*person]
        };
        let sender = (0..PEOPLE).find(stays).filter(|_| round.is_multiple_of(2));
        for (person, target) in targets.into_iter().enumerate() {
            if self.seats[person].room == target {
                continue;
            }
            match sender {
                Some(sender) => {
                    let who = self.jid(person);
                    self.people[sender]
                        .act(|client, now| client.send_to_room(now, &who, &target.to_string()));
                }
                None => {
                    self.people[person].act(|client, now| client.move_to_room(now, target.clone()));
                }
            }
            self.seats[person].room = target;
        }
        self.until_all_is_well("all in their rooms").await;
    }

    /// Password and lobby come and go.
    async fn set_doors(&mut self, actor: usize, round: usize) {
        let (is_locked, has_lobby) = (round % 3 == 1, round % 4 == 2);
        if is_locked != self.is_locked {
            let password = is_locked.then_some(PASSWORD);
            let act = |client: &mut Client, now: Now| client.set_password(now, password);
            self.ask(actor, Deed::Password, act).await;
            self.is_locked = is_locked;
        }
        if has_lobby != self.has_lobby {
            let act = |client: &mut Client, now: Now| client.set_lobby(now, has_lobby);
            self.ask(actor, Deed::Lobby, act).await;
            self.has_lobby = has_lobby;
            let strangers = self.seats.iter_mut();
            for seat in strangers.filter(|seat| has_lobby && seat.affiliation == Affiliation::None)
            {
                seat.affiliation = Affiliation::Member;
            }
        }
    }

    /// Somebody gets another standing; its giver has the answer.
    async fn grant(&mut self, actor: usize, whom: usize, affiliation: Affiliation) {
        let nick = self.people[whom].look().client.nick().unwrap().to_owned();
        let act = |client: &mut Client, now: Now| client.set_affiliation(now, &nick, affiliation);
        self.ask(actor, Deed::Affiliation, act).await;
        self.seats[whom].affiliation = affiliation;
    }

    /// Somebody does something, and the room says that it is done.
    async fn ask(&self, who: usize, deed: Deed, act: impl FnOnce(&mut Client, Now)) {
        let is_done = |notice: &&Notice| {
            let outcome = Outcome::Done;
            **notice == Notice::Answered { deed, outcome }
        };
        let count = |window: &Window| window.notices.iter().filter(is_done).count();
        let person = &self.people[who];
        let before = count(&person.look());
        person.act(act);
        let is_answered = person.until(|window| count(window) > before).await;
        assert!(is_answered, "{deed:?}: {:?}", person.look().notices);
    }

    /// SIGKILL, and a new server in the place of the old one. How long it takes until all is as it
    /// was, the start of the server included.
    async fn crash(&mut self, round: usize, demoted: usize) -> Duration {
        let live = self.live();
        self.server.signal("KILL");
        self.server.ended().await;
        for person in &self.people {
            let is_noticed = person.until(|window| !window.is_connected).await;
            assert!(is_noticed, "the sockets are gone");
        }
        self.check_life(&live);
        self.dead = live;
        // Who was demoted comes back first and is alone, for a moment or until the others have
        // given up their sessions; or all come at once.
        let is_first = round.is_multiple_of(2);
        for (number, person) in self.people.iter().enumerate() {
            person.change(|window| window.has_network = !is_first || number == demoted);
        }
        let begun = Instant::now();
        let plain = self.server.web.address;
        self.server = Server::start_quietly(&self.data, Some(plain)).await;
        if is_first {
            let first = &self.people[demoted];
            let dead = &self.dead;
            let is_back = |window: &Window| {
                let jid = window.client.jid().map(ToString::to_string);
                window.client.is_joined() && jid.is_some_and(|jid| !dead.contains(&jid))
            };
            assert!(first.until(is_back).await, "the first one back");
            let affiliation = first.look().client.affiliation();
            assert_eq!(
                affiliation, self.seats[demoted].affiliation,
                "who was demoted"
            );
            for (number, person) in self.people.iter().enumerate() {
                let is_reloaded = |window: &Window| window.notices.contains(&Notice::Reloaded);
                if round.is_multiple_of(4) && number != demoted {
                    assert!(person.until(is_reloaded).await, "{number} has given up");
                }
            }
            for person in &self.people {
                person.change(|window| window.has_network = true);
            }
        }
        self.until_all_is_well("after the crash").await;
        let back = begun.elapsed();
        assert!(back < BACK_WITHIN, "{back:?}");
        back
    }

    /// The real addresses of all sessions.
    fn live(&self) -> BTreeSet<String> {
        let live: BTreeSet<String> = (0..PEOPLE).map(|person| self.jid(person)).collect();
        assert_eq!(live.len(), PEOPLE);
        live
    }

    /// Looks back on the life of one server with its sessions: nobody was shown who was not there,
    /// nobody saw anything that would trouble them.
    fn check_life(&mut self, live: &BTreeSet<String>) {
        for person in &self.people {
            let (frames, notices) = person.change(|window| {
                let frames = std::mem::take(&mut window.frames);
                (frames, std::mem::take(&mut window.notices))
            });
            let mut shown: BTreeSet<String> = BTreeSet::new();
            for frame in &frames {
                let dead = shown_in(frame).into_iter().find(|jid| !live.contains(jid));
                assert_eq!(dead, None, "no live session of {live:?}: {frame}");
                shown.extend(shown_in(frame));
            }
            assert_eq!(shown, *live, "all were shown");
            for notice in &notices {
                match notice {
                    Notice::Refused(Refusal::Password) => {}
                    // Its media ended with the server; the page did not know yet.
                    Notice::Trouble(Trouble::PathLost) => {}
                    // It was invited to media in a room that it was just leaving for another.
                    Notice::Trouble(Trouble::AcceptRefused(Some(Condition::NotAcceptable))) => {}
                    Notice::Refused(_) | Notice::Trouble(_) | Notice::Waiting => {
                        panic!("{notice:?} among {notices:?}");
                    }
                    _ => {}
                }
            }
            let is_refused = notices.contains(&Notice::ResumeRefused);
            let is_reloaded = notices.contains(&Notice::Reloaded);
            self.refused += usize::from(is_refused);
            self.gave_up += usize::from(is_reloaded && !is_refused);
        }
    }

    async fn until_all_is_well(&self, when: &str) {
        let begun = Instant::now();
        loop {
            let faults: Vec<String> = (0..PEOPLE).filter_map(|who| self.fault(who)).collect();
            if faults.is_empty() {
                return;
            }
            assert!(begun.elapsed() < BACK_WITHIN, "{when}: {faults:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What somebody sees that is not as it should be.
    fn fault(&self, who: usize) -> Option<String> {
        let seat = &self.seats[who];
        let window = self.people[who].look();
        let client = &window.client;
        // Without a socket a client still believes what it knew.
        let is_there = client.is_online() && !self.dead.contains(&self.jid(who));
        if !is_there || !client.is_joined() || *client.room() != seat.room {
            return Some(format!("{who} is not in its room: {:?}", window.notices));
        }
        let mine = (client.affiliation(), client.is_moderator());
        if mine != (seat.affiliation, seat.affiliation == Affiliation::Owner) {
            return Some(format!("{who}: {mine:?}, not {seat:?}"));
        }
        let here = (0..PEOPLE).filter(|other| *other != who);
        let here = here.filter(|other| self.seats[*other].room == seat.room);
        let expected: BTreeMap<String, Seen> = here
            .map(|other| (self.jid(other), self.expected(other)))
            .collect();
        let seen = seen_by(client);
        if seen != expected {
            return Some(format!("{who} sees {seen:?}, not {expected:?}"));
        }
        let lists: BTreeMap<String, (String, BTreeSet<String>)> =
            client.breakout_rooms().rooms.iter().map(listed).collect();
        let expected = self.expected_lists();
        let is_listed = self.groups.is_empty() || lists == expected;
        (!is_listed).then(|| format!("{who} has the lists {lists:?}, not {expected:?}"))
    }

    fn expected(&self, who: usize) -> Seen {
        let seat = &self.seats[who];
        Seen {
            nick: self.jid(who).chars().take(8).collect(),
            name: Some(name(who)),
            affiliation: seat.affiliation,
            is_moderator: seat.affiliation == Affiliation::Owner,
            is_hand_up: seat.is_hand_up,
            is_muted: Some(seat.is_muted),
        }
    }

    /// The rooms by address: their names, and who is inside.
    fn expected_lists(&self) -> BTreeMap<String, (String, BTreeSet<String>)> {
        let main = (self.main.clone(), self.main.name().to_owned());
        let rooms = self.groups.iter().cloned().chain([main]);
        let list = |(room, name): (RoomJid, String)| {
            let people = (0..PEOPLE).filter(|person| self.seats[*person].room == room);
            let people = people.map(|person| self.jid(person)).collect();
            (room.to_string(), (name, people))
        };
        rooms.map(list).collect()
    }

    fn in_main(&self, is_meant: impl Fn(&Seat) -> bool) -> Vec<usize> {
        let is_meant = |person: &usize| {
            let seat = &self.seats[*person];
            seat.room == self.main && is_meant(seat)
        };
        (0..PEOPLE).filter(is_meant).collect()
    }

    /// The real address of somebody's session; empty without one.
    fn jid(&self, who: usize) -> String {
        let window = self.people[who].look();
        let jid = window.client.jid();
        jid.map(ToString::to_string).unwrap_or_default()
    }
}

impl Seat {
    fn new(main: &RoomJid) -> Seat {
        Seat {
            room: main.clone(),
            affiliation: Affiliation::None,
            is_hand_up: false,
            is_muted: false,
        }
    }
}

/// Everybody else in somebody's room, by real address.
fn seen_by(client: &Client) -> BTreeMap<String, Seen> {
    let others = client.occupants().into_iter();
    let seen = |(nick, other): (String, tertulia_client::Occupant)| {
        let jid = other.jid.map(|jid| jid.to_string()).unwrap_or_default();
        let seen = Seen {
            is_muted: other.sources.get(&format!("{nick}-a0")).copied(),
            nick,
            name: other.display_name,
            affiliation: other.affiliation,
            is_moderator: other.is_moderator,
            is_hand_up: other.has_raised_hand,
        };
        (jid, seen)
    };
    others.map(seen).collect()
}

fn listed((jid, room): (&String, &BreakoutRoom)) -> (String, (String, BTreeSet<String>)) {
    let people = room.participants.values().map(|seated| seated.jid.clone());
    (jid.clone(), (room.name.clone(), people.collect()))
}

/// The real addresses of those whom a frame shows as being in a room.
fn shown_in(frame: &str) -> Vec<String> {
    if frame.starts_with("<presence") {
        let presence: Element = frame.parse().unwrap();
        let is_focus = presence
            .attr("from")
            .is_some_and(|from| from.ends_with("/focus"));
        let x = presence.get_child("x", ns::MUC_USER);
        let item = x.and_then(|x| x.get_child("item", ns::MUC_USER));
        let jid = item.and_then(|item| item.attr("jid"));
        let jid = jid.filter(|_| presence.attr("type").is_none() && !is_focus);
        return jid.map(str::to_owned).into_iter().collect();
    }
    if !frame.contains("breakout-rooms/update") {
        return Vec::new();
    }
    let message: Element = frame.parse().unwrap();
    let json = message.get_child("json-message", ns::JITSI_MEET).unwrap();
    let update: Value = serde_json::from_str(&json.text()).unwrap();
    let rooms = update["rooms"].as_object().unwrap().values();
    let people = rooms.flat_map(|room| room["participants"].as_object().unwrap().values());
    people
        .map(|person| person["jid"].as_str().unwrap().to_owned())
        .collect()
}

fn room(jid: &str) -> RoomJid {
    let jid: BareJid = jid.parse().unwrap();
    RoomJid::new(jid).unwrap()
}

fn name(number: usize) -> String {
    format!("Guest {number}")
}

/// Somebody with a microphone, whose page is opened again when its session is lost.
async fn enter(server: &Server, main: &RoomJid, number: usize) -> Browser {
    let config = |address| ClientConfig {
        domain: DomainPart::new("localhost").unwrap().into_owned(),
        room: main.clone(),
        focus: "focus.localhost".parse().unwrap(),
        display_name: name(number),
        machine_uid: format!("machine-{number}"),
        address,
        channel: ChannelKind::WebSocket,
        request: RequestKind::Iq,
        audio_interval: Duration::from_secs(1),
        video: None,
        redial: Redial {
            min: Duration::from_millis(100),
            max: Duration::from_millis(500),
        },
        habits: Habits {
            comeback: Comeback::Reload {
                after: Duration::from_millis(200),
                // A page knows the main room only; other applications remember more.
                into_breakout_room: number.is_multiple_of(2),
            },
            ..Habits::default()
        },
    };
    let seed = u8::try_from(number).unwrap();
    Browser::open(&server.web, seed, config, type_password).await
}

/// Types the password that the room asks for.
fn type_password(client: &mut Client, now: Now, notice: &Notice) {
    if *notice == Notice::Refused(Refusal::Password) {
        client.enter(now, Some(PASSWORD));
    }
}
