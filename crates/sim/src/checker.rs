//! What must hold in every meeting, each as a numbered claim.
//!
//! The claims are about what people see and what the server holds, after decryption; never about
//! bytes on the wire. A person counts as present or as having media only while nothing has
//! disturbed it; claims about agreement wait a moment after each disturbance, claims about what
//! must never happen do not.

mod agreement;
mod facts;
mod media;
mod moderation;
mod occupants;
mod past;
mod rights;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tertulia_client::{Client, MediaKind, Notice, RemoteSource, Trouble};
use tertulia_model::{MediaType, RoomJid, SourceName, Ssrc};

use crate::coverage::Mark;
use crate::person::Person;
use crate::world::{Loss, World};

pub use past::unhealed;

/// Looks at a world after each step and collects what is wrong.
#[derive(Default)]
pub struct Checkers {
    violations: Vec<String>,
    patience: Patience,
    /// Counters of each stream at the last look.
    counted: BTreeMap<(usize, Ssrc), facts::Counted>,
    speakers: BTreeMap<usize, Option<String>>,
    /// Packets of each stream when the constraints of that moment came into force.
    unasked: BTreeMap<(usize, SourceName), (Option<Instant>, u64)>,
    /// Packets of each stream when its sender was forbidden to send it.
    forbidden: BTreeMap<(usize, SourceName), u64>,
    /// Nicks whose lease was seen to end.
    ended: BTreeSet<String>,
    /// When each instance of a room was made, as it says, and in which life of the server.
    created: BTreeMap<String, (String, u32)>,
}

/// What may be wrong for a while: since when it has been, and when it was looked at last.
#[derive(Default)]
struct Patience(BTreeMap<String, (Instant, Instant)>);

impl Patience {
    /// Whether something has been wrong for longer than `limit`, at every look.
    fn is_over(&mut self, what: &str, is_wrong: bool, now: Instant, limit: Duration) -> bool {
        if !is_wrong {
            self.0.remove(what);
            return false;
        }
        let (since, seen) = self.0.entry(what.to_owned()).or_insert((now, now));
        // Where nobody looked for a while, nobody knows.
        if now > *seen + LOOK_MISSED {
            *since = now;
        }
        *seen = now;
        now > *since + limit
    }
}

/// Somebody in a room who can be compared with others.
struct Present<'a> {
    person: &'a Person,
    client: &'a Client,
    nick: &'a str,
}

impl Present<'_> {
    fn index(&self) -> usize {
        self.person.index
    }

    fn room(&self) -> &RoomJid {
        self.client.room()
    }

    fn is_with(&self, other: &Present<'_>) -> bool {
        self.room() == other.room() && self.nick != other.nick
    }

    /// In the room and undisturbed for so long.
    fn is_settled(&self, now: Instant, time: Duration) -> bool {
        let since = self.person.past.present_since;
        since.is_some_and(|since| now >= since + time)
    }
}

impl Checkers {
    /// What was wrong so far, in the order in which it was found; each complaint once.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// After each step.
    pub fn check(&mut self, world: &mut World) {
        past::update(world);
        world.hear_late();
        self.count_facts(world);
        self.claim_1_everyone_sees_the_same_occupants(world);
        self.claim_2_nobody_lingers(world);
        self.claim_3_every_expected_source_arrives(world);
        self.claim_4_streams_are_whole(world);
        self.claim_5_nothing_unasked_arrives(world);
        self.claim_6_media_sessions_end(world);
        self.claim_8_nothing_private_and_no_error_in_the_log(world);
        self.claim_9_nobody_is_in_trouble(world);
        self.claim_10_newcomers_are_told_first(world);
        self.claim_11_one_room_has_one_id(world);
        self.claim_12_there_is_a_moderator(world);
        self.claim_13_decisions_survive_a_crash(world);
        self.claim_14_everyone_knows_the_same(world);
        self.claim_15_only_moderators_decide(world);
        self.claim_16_forbidden_media_reaches_nobody(world);
        self.claim_17_who_waits_hears_nothing(world);
        self.claim_18_the_server_has_one_truth(world);
        self.claim_19_rooms_end(world);
        world.notices.clear();
    }

    /// Adds a complaint of the scenario itself.
    pub fn complain(&mut self, complaint: String) {
        if !self.violations.contains(&complaint) && self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(complaint);
        }
    }
}

/// People who are in a room as far as their browsers know.
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

/// People who have been in their room for so long that all news has reached them.
fn settled(world: &World) -> Vec<Present<'_>> {
    let now = world.now().mono;
    present(world)
        .filter(|person| person.is_settled(now, NEWS))
        .collect()
}

/// Index of the person who was in the meeting under this nick; as many as there are if nobody was.
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
/// Time for media to flow after a disturbance.
const MEDIA_SETTLES: Duration = Duration::from_secs(8);
/// Everything is looked at more often.
const LOOK_MISSED: Duration = Duration::from_secs(1);
const VIOLATIONS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_only_when_it_was_wrong_all_the_time() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let limit = Duration::from_secs(2);
        let mut looks = |times: std::ops::Range<u64>, is_wrong: bool| -> Vec<bool> {
            let look = |at_| patience.is_over("x", is_wrong, at(at_), limit);
            times.map(look).collect()
        };
        assert_eq!(looks(0..4, true), [false, false, false, true]);
        assert_eq!(looks(4..5, false), [false]);
        assert_eq!(looks(5..8, true), [false; 3]);
        // Nobody looked.
        assert_eq!(looks(20..22, true), [false; 2]);
    }
}
