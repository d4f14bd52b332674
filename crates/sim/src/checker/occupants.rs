//! Claims 1 and 2: who sees whom.

use jid::FullJid;

use super::*;
use crate::node::Census;

impl Checkers {
    /// Claim 1: whoever has been in a room and undisturbed for a moment sees everybody else there of
    /// whom the same is true, as they are, and nobody who is in another room of the meeting.
    /// Nobody is ever seen under somebody else's name.
    pub(super) fn claim_1_everyone_sees_the_same_occupants(&mut self, world: &World) {
        let now = world.now().mono;
        let settled = settled(world);
        for viewer in &settled {
            let seen = viewer.client.occupants();
            for other in settled.iter().filter(|other| other.nick != viewer.nick) {
                let (v, o) = (viewer.index(), other.index());
                let occupant = seen.get(other.nick);
                let is_here = viewer.is_with(other) && !other.client.is_visitor();
                let Some(occupant) = occupant else {
                    let what = format!("unseen p{v} p{o}");
                    if self.patience.is_over(&what, is_here, now, BLINK) {
                        self.complain(format!("claim 1: p{v} does not see p{o}"));
                    }
                    continue;
                };
                let what = format!("elsewhere p{v} p{o}");
                if self.patience.is_over(&what, !is_here, now, BLINK) {
                    let what = if viewer.is_with(other) {
                        "who is a visitor"
                    } else {
                        "who is in another room"
                    };
                    self.complain(format!("claim 1: p{v} sees p{o}, {what}"));
                }
                if occupant.display_name.as_deref() != Some(other.person.name.as_str()) {
                    self.complain(format!("claim 1: p{v} sees p{o} with a wrong name"));
                }
                self.check_state(viewer, other, occupant, now);
            }
        }
        self.check_addresses(world);
    }

    /// Part of claim 1: mute icons and hands agree with the truth.
    fn check_state(
        &mut self,
        viewer: &Present<'_>,
        other: &Present<'_>,
        occupant: &tertulia_client::Occupant,
        now: Instant,
    ) {
        let (v, o) = (viewer.index(), other.index());
        let truth = [
            ("a0", other.client.is_muted(MediaType::Audio)),
            ("v0", other.client.is_muted(MediaType::Video)),
            ("v1", !other.client.is_screen_shared()),
        ];
        let is_wrong = truth.iter().any(|(suffix, is_muted)| {
            let shown = occupant.sources.get(&format!("{}-{suffix}", other.nick));
            shown.is_some_and(|shown| shown != is_muted)
        });
        let what = format!("mute p{v} p{o}");
        if self.patience.is_over(&what, is_wrong, now, NEWS) {
            self.complain(format!("claim 1: p{v} sees a wrong mute state of p{o}"));
        }
        let is_wrong = occupant.has_raised_hand != other.client.has_raised_hand();
        let what = format!("hand p{v} p{o}");
        if self.patience.is_over(&what, is_wrong, now, NEWS) {
            self.complain(format!("claim 1: p{v} sees a wrong hand of p{o}"));
        }
        let is_wrong = occupant.is_moderator != other.client.is_moderator();
        let what = format!("role p{v} p{o}");
        if self.patience.is_over(&what, is_wrong, now, NEWS) {
            self.complain(format!("claim 1: p{v} sees a wrong role of p{o}"));
        }
    }

    /// Part of claim 1: a nick belongs to one address, whoever wants it.
    fn check_addresses(&mut self, world: &World) {
        let mut complaints = Vec::new();
        for viewer in present(world) {
            for (nick, occupant) in viewer.client.occupants() {
                let owner = world.people.get(owner_of(world, &nick));
                let known = owner.and_then(|owner| owner.past.jids.get(&nick));
                if known.is_some() && occupant.jid.as_ref() != known {
                    let (v, o) = (viewer.index(), owner_of(world, &nick));
                    complaints.push(format!("claim 1: p{v} sees somebody else as p{o}"));
                }
            }
        }
        complaints.into_iter().for_each(|c| self.complain(c));
    }

    /// Claim 2: nobody is seen who left, closed the page, or whose lease is over; nor anybody who
    /// never came.
    pub(super) fn claim_2_nobody_lingers(&mut self, world: &World) {
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
            let v = viewer.index();
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
                // Whoever is leaving says goodbye to the room, waits for the answer, which nobody
                // gives who refused it, and closes its stream then, unless the socket is lost.
                let owner_past = world.people.get(owner).map(|person| &person.past);
                let held = owner_past
                    .and_then(|past| past.sessions.get(&nick))
                    .copied();
                let until = until.map(|until| {
                    given_again
                        .into_iter()
                        .chain(held)
                        .fold(until, Instant::max)
                });
                if until.is_some_and(|until| until + grace < now) {
                    complaints.push(format!("claim 2: the server still holds p{owner}"));
                }
            }
        }
        complaints.into_iter().for_each(|c| self.complain(c));
    }
}

/// The nicks of those who have a session: the first digits of their names.
pub(super) fn nicks_of(census: &Census) -> BTreeSet<String> {
    let node = |jid: &FullJid| {
        jid.node()
            .map(|node| node.as_str().chars().take(8).collect())
    };
    census.sessions.iter().filter_map(node).collect()
}

/// News about one person reaches another; a room in which both are settled knew it long ago.
const BLINK: Duration = Duration::from_millis(500);
