//! What must hold in every meeting, each as a numbered claim.
//!
//! The claims are about what people see and what the server holds, after decryption; never about
//! bytes on the wire. A person counts as present or as having media only while nothing has
//! disturbed it; claims about agreement wait a moment after each disturbance, claims about what
//! must never happen do not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jid::FullJid;
use tertulia_bridge::Statistics;
use tertulia_client::media::Flaw;
use tertulia_client::{ChannelKind, Client, Notice, RemoteSource, Trouble};
use tertulia_model::{MediaType, SourceName, Ssrc};

use crate::coverage::Mark;
use crate::node::Census;
use crate::person::Person;
use crate::world::{Loss, World};

/// Looks at a world after each step and collects what is wrong.
#[derive(Default)]
pub struct Checkers {
    violations: Vec<String>,
    /// Counters of each stream at the last look.
    counted: BTreeMap<(usize, Ssrc), (u64, u64)>,
    speakers: BTreeMap<usize, Option<String>>,
    /// Packets of each stream when the constraints of that moment came into force.
    unasked: BTreeMap<(usize, Ssrc), (Option<Instant>, u64)>,
    /// Since when video has been larger than was asked for, by receiver and stream.
    too_large: BTreeMap<(usize, Ssrc), Instant>,
    /// Since when somebody gets more videos than it asked for.
    over_last_n: BTreeMap<usize, Instant>,
    /// Nicks whose lease was seen to end.
    ended: BTreeSet<String>,
}

/// Somebody in the room who can be compared with others.
struct Present<'a> {
    person: &'a Person,
    client: &'a Client,
    nick: &'a str,
}

impl Checkers {
    /// What was wrong so far, in the order in which it was found; each complaint once.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// After each step.
    pub fn check(&mut self, world: &mut World) {
        update_past(world);
        self.count_facts(world);
        self.claim_1_everyone_sees_the_same_occupants(world);
        self.claim_2_nobody_lingers(world);
        self.claim_3_every_expected_source_arrives(world);
        self.claim_4_streams_are_whole(world);
        self.claim_5_nothing_unasked_arrives(world);
        self.claim_6_media_sessions_end(world);
        self.claim_8_nothing_private_and_no_error_in_the_log(world);
        self.claim_9_nobody_is_in_trouble(world);
        world.notices.clear();
    }

    /// Adds a complaint of the scenario itself.
    pub fn complain(&mut self, complaint: String) {
        if !self.violations.contains(&complaint) && self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(complaint);
        }
    }

    /// Claim 1: whoever has been in the room and undisturbed for a moment sees everybody else of
    /// whom the same is true, under the right address and name.
    fn claim_1_everyone_sees_the_same_occupants(&mut self, world: &World) {
        let now = world.now().mono;
        let settled = |person: &Present<'_>| {
            person
                .person
                .past
                .present_since
                .is_some_and(|since| now >= since + NEWS)
        };
        let present: Vec<Present<'_>> = present(world).filter(settled).collect();
        for viewer in &present {
            let seen = viewer.client.occupants();
            for other in present.iter().filter(|other| other.nick != viewer.nick) {
                let (v, o) = (viewer.person.index, other.person.index);
                let Some(occupant) = seen.get(other.nick) else {
                    self.complain(format!("claim 1: p{v} does not see p{o}"));
                    continue;
                };
                let is_right = occupant.jid.as_ref() == other.client.jid()
                    && occupant.display_name.as_deref() == Some(other.person.name.as_str());
                if !is_right {
                    self.complain(format!(
                        "claim 1: p{v} sees p{o} with a wrong name or address"
                    ));
                }
                self.check_mutes(viewer, other, occupant, now);
            }
        }
    }

    /// Part of claim 1: mute icons agree with the truth.
    fn check_mutes(
        &mut self,
        viewer: &Present<'_>,
        other: &Present<'_>,
        occupant: &tertulia_client::Occupant,
        now: Instant,
    ) {
        let past = &other.person.past;
        let switched = past.audio_since.max(past.video_since);
        if switched.is_some_and(|since| now < since + NEWS) {
            return;
        }
        for (media, suffix) in [(MediaType::Audio, "a0"), (MediaType::Video, "v0")] {
            let shown = occupant.sources.get(&format!("{}-{suffix}", other.nick));
            if shown.is_some_and(|shown| *shown != other.client.is_muted(media)) {
                let (v, o) = (viewer.person.index, other.person.index);
                self.complain(format!("claim 1: p{v} sees a wrong mute state of p{o}"));
            }
        }
    }

    /// Claim 2: nobody is seen who left, closed the page, or whose lease is over; nor anybody who
    /// never came.
    fn claim_2_nobody_lingers(&mut self, world: &mut World) {
        let now = world.now().mono;
        let mut known: BTreeMap<&str, Option<Instant>> = BTreeMap::new();
        for person in &world.people {
            for (nick, until) in &person.past.nicks {
                known.insert(nick, *until);
            }
            // Seen by others before its own join is through.
            for (nick, until) in &person.past.strays {
                known.entry(nick).or_insert(*until);
            }
        }
        let mut complaints = Vec::new();
        for viewer in present(world).filter(|v| v.person.past.present_since.is_some()) {
            let v = viewer.person.index;
            for nick in viewer.client.occupants().keys() {
                match known.get(nick.as_str()) {
                    None => complaints.push(format!("claim 2: p{v} sees a stranger")),
                    Some(Some(until)) if *until < now => {
                        let owner = owner_of(world, nick);
                        complaints.push(format!("claim 2: p{v} still sees p{owner}"));
                    }
                    Some(_) => {}
                }
            }
        }
        if let Some(node) = world.node() {
            for nick in nicks_of(&node.census()) {
                let owner = owner_of(world, &nick);
                // Somebody who is back under another name may have left a session that never
                // reached the room.
                let is_back = world.people.get(owner).is_some_and(Person::is_taking_part);
                let grace = if is_back {
                    world.linger(Loss::Silent)
                } else {
                    Duration::ZERO
                };
                let until = known.get(nick.as_str()).copied().flatten();
                // After a crash of the server the name may have been given again, and the session
                // been lost before anybody was in the room.
                let given_again = world
                    .people
                    .iter()
                    .flat_map(|person| &person.past.strays)
                    .filter(|(name, _)| *name == nick)
                    .find_map(|(_, until)| *until);
                let until = until.map(|until| given_again.map_or(until, |again| until.max(again)));
                if until.is_some_and(|until| until + grace < now) {
                    complaints.push(format!("claim 2: the server still holds p{owner}"));
                }
            }
        }
        for complaint in complaints {
            self.complain(complaint);
        }
    }

    /// Claim 3: between two people whose media has been undisturbed for a moment, everything that
    /// is sent and wanted arrives and is played.
    fn claim_3_every_expected_source_arrives(&mut self, world: &World) {
        for complaint in missing_media(world, MEDIA_SETTLES) {
            self.complain(format!("claim 3: {complaint}"));
        }
    }

    /// Claim 4: a stream comes as it was sent: sequence numbers without holes but for what a link
    /// lost, timestamps and picture ids in order, each frame once and whole, decodable, and a key
    /// frame first, at the start and after each switch.
    fn claim_4_streams_are_whole(&mut self, world: &World) {
        for (index, at, notice) in &world.notices {
            let Notice::Flaw(source, flaw) = notice else {
                continue;
            };
            let (Flaw::Gap { since, .. } | Flaw::NoKeyAtStart { since }) = flaw else {
                self.complain(format!(
                    "claim 4: p{index}: {}: {flaw:?}",
                    anonymous(world, source)
                ));
                continue;
            };
            // Media may come before its announcement, which waits for a lost socket; what nobody
            // has announced is not received. And what a stream began with in the dark is gone when
            // its last packets are sent again.
            let past = &world.people[*index].past;
            let disturbed = past.last_disturbed.max(past.last_dark);
            let was_deaf = disturbed.is_some_and(|last| *at < last + Duration::from_secs(20));
            if matches!(flaw, Flaw::NoKeyAtStart { .. }) && was_deaf {
                continue;
            }
            if !was_lost(world, *index, source, *since, *at) {
                let flaw = match flaw {
                    Flaw::Gap { missing, .. } => format!("{missing} packets missing"),
                    _ => "no key frame at the start".to_owned(),
                };
                self.complain(format!(
                    "claim 4: p{index}: {}: {flaw}, and no link lost any",
                    anonymous(world, source)
                ));
            }
        }
    }

    /// Claim 5: nobody receives video that it said it does not want, or larger than it said, or
    /// from more people than it said.
    fn claim_5_nothing_unasked_arrives(&mut self, world: &World) {
        let now = world.now().mono;
        for viewer in present(world) {
            let v = viewer.person.index;
            let past = &viewer.person.past;
            let asked = past
                .constraints_since
                .zip(past.channel_since)
                .map(|(a, b)| a.max(b));
            let in_force = asked.map(|since| since + viewer.person.obeyed_within());
            // What was said on a data channel in the dark is said again some time later.
            let was_dark = past
                .last_dark
                .filter(|_| viewer.person.channel_kind == ChannelKind::Data);
            let in_force = in_force.max(was_dark.map(|last| last + Duration::from_secs(30)));
            let constraints = viewer.client.constraints();
            let mut recent = 0;
            for source in viewer.client.remote_sources() {
                let Some(last) = source.facts.last_packet else {
                    continue;
                };
                let owner = owner_of(world, source.name.owner());
                if source.media == MediaType::Audio || in_force.is_none_or(|from| last <= from) {
                    continue;
                }
                recent += i32::from(now < last + Duration::from_millis(500));
                let height = constraints.height(source.name.as_str());
                // A retransmission of what was lost before may still come.
                let key = (v, source.ssrc);
                let before = self
                    .unasked
                    .entry(key)
                    .or_insert((asked, source.facts.packets));
                if before.0 != asked {
                    *before = (asked, source.facts.packets);
                }
                if height == 0 && source.facts.packets < before.1 + UNASKED_MAX {
                    continue;
                }
                if height == 0 {
                    self.complain(format!("claim 5: p{v} gets unwanted video of p{owner}"));
                    continue;
                }
                let is_too_large = height > 0
                    && source.facts.layer > 0
                    && i32::from(source.facts.height) > height
                    && source
                        .facts
                        .last_frame
                        .is_some_and(|f| in_force.is_some_and(|i| f > i));
                // When bandwidth is divided while the sender's smallest encoding is not coming,
                // the next one is the smallest there is, until bandwidth is divided again.
                if !is_too_large {
                    self.too_large.remove(&key);
                } else if now > *self.too_large.entry(key).or_insert(now) + DIVIDED_WITHIN {
                    let lines = source.facts.height;
                    self.complain(format!(
                        "claim 5: p{v} gets too large video of p{owner}: {lines} lines, asked for \
                         {height}"
                    ));
                }
            }
            // While one goes and another comes, both were there a moment ago.
            let is_over = constraints.last_n >= 0
                && recent > constraints.last_n
                && in_force.is_some_and(|from| now > from);
            if !is_over {
                self.over_last_n.remove(&v);
            } else if now > *self.over_last_n.entry(v).or_insert(now) + Duration::from_secs(2) {
                let last_n = constraints.last_n;
                self.complain(format!(
                    "claim 5: p{v} gets {recent} videos, asked for {last_n}"
                ));
            }
        }
    }

    /// Claim 6: a media session ends with its membership, and some time after its last partner
    /// has gone.
    fn claim_6_media_sessions_end(&mut self, world: &World) {
        let now = world.now().mono;
        let limit = world.config.conference.focus.single_participant_timeout + NEWS;
        for person in present(world) {
            let is_alone = person
                .person
                .past
                .alone_since
                .is_some_and(|since| now > since + limit);
            if is_alone && person.client.is_in_call() {
                let index = person.person.index;
                self.complain(format!("claim 6: p{index} is alone and still in a session"));
            }
        }
    }

    /// Claim 7: nothing outlives its conference. Asked when everybody has gone.
    pub fn claim_7_nothing_is_left(&mut self, world: &World) {
        if let Some(node) = world.node() {
            for statistics in node.statistics() {
                let Statistics {
                    addresses,
                    timers,
                    channels,
                    ..
                } = statistics;
                if addresses + timers + channels > 0 {
                    self.complain(format!(
                        "claim 7: left on a worker: {addresses} addresses, {timers} timers, \
                         {channels} channels"
                    ));
                }
            }
            let census = node.census();
            if census != Census::default() {
                let Census {
                    connections,
                    bridge_conferences,
                    endpoints,
                    channels,
                    ..
                } = census;
                let (sessions, rooms) = (census.sessions.len(), census.conferences.len());
                self.complain(format!(
                    "claim 7: left behind: {connections} connections, {sessions} sessions, \
                     {rooms} rooms, {bridge_conferences} conferences on the bridge, \
                     {endpoints} endpoints, {channels} channels"
                ));
            }
        }
    }

    /// Claim 8: no log line names a person or reports an error of ours.
    fn claim_8_nothing_private_and_no_error_in_the_log(&mut self, world: &World) {
        for complaint in world.witness.take_complaints() {
            self.complain(format!("claim 8: {complaint}"));
        }
    }

    /// Claim 9: nothing happens to anybody that would make Jitsi's client show an error page,
    /// unless a fault of the network or the server explains it.
    fn claim_9_nobody_is_in_trouble(&mut self, world: &World) {
        for (index, at, notice) in &world.notices {
            let trouble = match notice {
                Notice::Trouble(trouble) => trouble,
                Notice::Refused(refusal) => {
                    self.complain(format!("claim 9: p{index}: {refusal:?}"));
                    continue;
                }
                _ => continue,
            };
            let after = |what: Option<Instant>, time| what.is_some_and(|t| *at < t + time);
            let person = &world.people[*index];
            let is_server_new = after(Some(world.server_changed), Duration::from_secs(60));
            let was_disturbed = after(person.past.last_disturbed, Duration::from_secs(45));
            let was_dark = after(person.past.last_dark, Duration::from_secs(90));
            let is_explained = match trouble {
                Trouble::PathLost => is_server_new || was_dark,
                Trouble::AcceptRefused(None)
                | Trouble::RestartRefused(None)
                | Trouble::Stream(_) => is_server_new || was_disturbed,
                Trouble::Kicked => after(person.past.kicked, Duration::from_secs(60)),
                _ => false,
            };
            if !is_explained {
                self.complain(format!("claim 9: p{index}: {trouble:?}"));
            }
        }
    }

    /// Counts what happened to streams since the last look.
    fn count_facts(&mut self, world: &mut World) {
        let mut marks = Vec::new();
        for person in &world.people {
            let Some(client) = &person.client else {
                continue;
            };
            for RemoteSource { ssrc, facts, .. } in client.remote_sources() {
                let counted = self.counted.entry((person.index, ssrc)).or_default();
                marks.push((Mark::LayerSwitch, facts.switches.saturating_sub(counted.0)));
                marks.push((
                    Mark::KeyFrameRequest,
                    facts.requests.saturating_sub(counted.1),
                ));
                *counted = (facts.switches, facts.requests);
            }
            let speaker = client.dominant_speaker().map(str::to_owned);
            let before = self.speakers.entry(person.index).or_default();
            if *before != speaker {
                marks.push((Mark::DominantSpeaker, 1));
                *before = speaker;
            }
        }
        let census = world.node().map(|node| nicks_of(&node.census()));
        for person in world.people.iter().filter(|person| person.past.is_crashed) {
            let Some((nick, _)) = person.past.nicks.last() else {
                continue;
            };
            let is_gone = census.as_ref().is_some_and(|census| !census.contains(nick));
            if is_gone && self.ended.insert(nick.clone()) {
                marks.push((Mark::LeaseExpired, 1));
            }
        }
        for (mark, count) in marks {
            world.coverage.add(mark, count);
        }
    }
}

/// What is not as it should be a while after the faults have stopped; None if all is well.
pub fn unhealed(world: &World) -> Option<String> {
    if !world.is_server_up() {
        return Some("the server is down".to_owned());
    }
    let taking_part: Vec<&Person> = world.people.iter().filter(|p| p.is_taking_part()).collect();
    let nicks: BTreeSet<&str> = taking_part.iter().filter_map(|p| p.nick()).collect();
    for person in &taking_part {
        let Some(client) = &person.client else {
            continue;
        };
        let index = person.index;
        if !(client.is_joined() && client.is_online()) {
            return Some(format!("p{index} is not in the room"));
        }
        let seen = client.occupants();
        let expected: BTreeSet<&str> = nicks
            .iter()
            .copied()
            .filter(|nick| Some(*nick) != client.nick())
            .collect();
        if seen.keys().map(String::as_str).collect::<BTreeSet<_>>() != expected {
            return Some(format!("p{index} does not see exactly the others"));
        }
        if taking_part.len() > 1 && !client.is_media_connected() {
            return Some(format!("p{index} has no media"));
        }
        if client.is_in_call() && !client.is_channel_open() {
            return Some(format!("p{index} has no bridge channel"));
        }
    }
    missing_media(world, Duration::ZERO).into_iter().next()
}

/// Updates since when each person is present, has media, is alone.
fn update_past(world: &mut World) {
    let now = world.now().mono;
    let is_up = world.is_server_up();
    for index in 0..world.people.len() {
        let is_wired = world.is_wired(index);
        let person = &mut world.people[index];
        let is_dark = person.up.is_dark;
        let past = &mut person.past;
        if is_dark {
            past.last_dark = Some(now);
        }
        let Some(client) = &person.client else {
            continue;
        };
        let is_present = is_up && is_wired && client.is_joined() && client.is_online();
        if !is_present {
            past.last_disturbed = Some(now);
        }
        // Out, perhaps without knowing it yet.
        let is_being_kicked = past.kicked.is_some_and(|at| now < at + NEWS);
        let is_present = is_present && !is_being_kicked;
        let keep = |since: &mut Option<Instant>, holds: bool| {
            *since = if holds { since.or(Some(now)) } else { None };
        };
        keep(&mut past.present_since, is_present);
        keep(
            &mut past.media_since,
            is_present && !is_dark && client.is_media_connected(),
        );
        keep(&mut past.channel_since, client.is_channel_open());
        keep(
            &mut past.alone_since,
            is_present && client.occupants().is_empty(),
        );
    }
}

/// People who are in the room as far as their browsers know.
fn present(world: &World) -> impl Iterator<Item = Present<'_>> {
    world.people.iter().filter_map(|person| {
        let client = person.client.as_ref().filter(|client| client.is_joined())?;
        Some(Present {
            person,
            client,
            nick: client.nick()?,
        })
    })
}

/// What should arrive between people whose media has been undisturbed for `settled`, and does not.
fn missing_media(world: &World, settled: Duration) -> Vec<String> {
    let now = world.now().mono;
    let has = |since: Option<Instant>| since.is_some_and(|since| now >= since + settled);
    let ready: Vec<Present<'_>> = present(world)
        .filter(|p| has(p.person.past.media_since))
        .collect();
    // With a last-N, whoever was there a moment ago may still take a place.
    let counts = |person: &&Person| {
        let until = person.past.nicks.last().and_then(|(_, until)| *until);
        person.has_camera && until.is_none_or(|until| now < until + MEDIA_SETTLES)
    };
    let cameras = world.people.iter().filter(counts).count();
    let mut missing = Vec::new();
    for viewer in &ready {
        let sources = viewer.client.remote_sources();
        let (v, constraints) = (viewer.person.index, viewer.client.constraints());
        for other in ready.iter().filter(|other| other.nick != viewer.nick) {
            let (o, past) = (other.person.index, &other.person.past);
            let find = |suffix: &str| {
                let name = format!("{}-{suffix}", other.nick);
                sources
                    .iter()
                    .find(move |source| source.name.as_str() == name)
            };
            let is_heard = find("a0").and_then(|s| s.facts.last_frame);
            let may_be_silent = other.client.is_muted(MediaType::Audio);
            if !may_be_silent
                && has(past.audio_since.or(past.media_since))
                && is_heard.is_none_or(|at| now > at + SILENCE)
            {
                missing.push(format!("p{v} does not hear p{o}"));
            }
            let is_wanted = constraints.height(&format!("{}-v0", other.nick)) != 0
                && (constraints.last_n < 0 || constraints.last_n as usize >= cameras);
            let is_sent = other.person.has_camera && !other.client.is_muted(MediaType::Video);
            let is_old = has(viewer.person.past.constraints_since)
                && has(past.video_since.or(past.media_since));
            let is_seen = find("v0").and_then(|s| s.facts.last_frame);
            if is_wanted && is_sent && is_old && is_seen.is_none_or(|at| now > at + FREEZE) {
                let name = format!("{}-v0", other.nick);
                let forwarded = viewer.client.forwarded_sources();
                let is_forwarded = forwarded.is_some_and(|list| list.contains(&name));
                let says = if is_forwarded {
                    "sends it"
                } else {
                    "does not send it"
                };
                missing.push(format!(
                    "p{v} does not see p{o} move, and the bridge says it {says}"
                ));
            }
        }
    }
    missing
}

/// Whether a link between the sender of `source` and this receiver lost anything around then.
fn was_lost(
    world: &World,
    receiver: usize,
    source: &SourceName,
    since: Instant,
    at: Instant,
) -> bool {
    let sender = owner_of(world, source.owner());
    let from = since.checked_sub(LOSS_SLACK).unwrap_or(since);
    let lost = |person: Option<&Person>, link: fn(&Person) -> &crate::network::Link| {
        person.is_some_and(|person| link(person).lost_between(from, at))
    };
    lost(world.people.get(sender), |person| &person.up)
        || lost(world.people.get(receiver), |person| &person.down)
}

/// The nicks of those who have a session: the first digits of their names.
fn nicks_of(census: &Census) -> BTreeSet<String> {
    let node = |jid: &FullJid| {
        jid.node()
            .map(|node| node.as_str().chars().take(8).collect())
    };
    census.sessions.iter().filter_map(node).collect()
}

/// Index of the person who was in the room under this nick; as many as there are if nobody was.
fn owner_of(world: &World, nick: &str) -> usize {
    let is_owner = |person: &&Person| {
        let past = person.past.nicks.iter().chain(&person.past.strays);
        person.nick() == Some(nick) || past.into_iter().any(|(known, _)| known == nick)
    };
    world
        .people
        .iter()
        .find(is_owner)
        .map_or(world.people.len(), |person| person.index)
}

/// A source by its sender's number instead of its name, which differs in each run.
fn anonymous(world: &World, source: &SourceName) -> String {
    let owner = owner_of(world, source.owner());
    let kind = source.as_str().rsplit('-').next().unwrap_or_default();
    format!("p{owner}-{kind}")
}

/// Time for a presence to reach everybody.
const NEWS: Duration = Duration::from_secs(3);
/// Bandwidth is divided anew at least so often, with some slack (`bridge.allocation`).
const DIVIDED_WITHIN: Duration = Duration::from_secs(6);
/// Time for media to flow after a disturbance.
const MEDIA_SETTLES: Duration = Duration::from_secs(8);
/// Longest silence and longest frozen picture in undisturbed media.
const SILENCE: Duration = Duration::from_secs(2);
const FREEZE: Duration = Duration::from_secs(5);
const LOSS_SLACK: Duration = Duration::from_secs(3);
/// Fewer packets of an unwanted stream than these are no stream.
const UNASKED_MAX: u64 = 10;
const VIOLATIONS_MAX: usize = 40;
