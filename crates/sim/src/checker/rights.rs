//! Claims 12, 13 and 15: who decides, what survives a crash, and that nobody else decides.

use tertulia_client::Outcome;
use tertulia_stanza::muc::Affiliation;

use super::*;

impl Checkers {
    /// Claim 12: where people are, somebody moderates, or did a moment ago and may come back.
    pub(super) fn claim_12_there_is_a_moderator(&mut self, world: &World) {
        let now = world.now().mono;
        let settled = settled(world);
        let participants = settled.iter().filter(|person| !person.client.is_visitor());
        let is_anybody = participants.clone().next().is_some();
        let is_led = settled.iter().any(|person| person.client.is_moderator());
        // Who is lost without the server's knowing may have been elected before anybody knew.
        let may_be_lost = world.people.iter().any(|person| {
            let until = person
                .nick()
                .and_then(|nick| person.past.sessions.get(nick));
            !world.is_wired(person.index) && until.is_some_and(|until| *until > now)
        });
        let is_led = is_led || may_be_lost;
        let patience = world.config.conference.owner_patience;
        let limit = world.linger(Loss::Silent) + patience + NEWS;
        let what = "moderator";
        if self
            .patience
            .is_over(what, is_anybody && !is_led, now, limit)
        {
            self.complain("claim 12: nobody moderates".to_owned());
        }
    }

    /// Claim 13: what was decided is decided after a crash as well.
    pub(super) fn claim_13_decisions_survive_a_crash(&mut self, world: &mut World) {
        let now = world.now().mono;
        let settled: Vec<(usize, Affiliation)> = settled(world)
            .iter()
            .map(|person| (person.index(), person.client.affiliation()))
            .collect();
        let patience = world.config.conference.owner_patience;
        let is_patient = now < world.server_changed + patience;
        for (index, is_now) in settled {
            let meddled = world.story.rights.get(&index).copied();
            let past = &mut world.people[index].past;
            let before = past.affiliation_before.take();
            past.affiliation = Some(is_now);
            let was_meddled = meddled.is_some_and(|at| at + MEDDLED > world.server_changed);
            // A page that died unseen may have been elected in its stead.
            let was_meddled = was_meddled || !past.unseen.is_empty();
            let Some(before) = before.filter(|_| !was_meddled && !world.story.has_ended(now))
            else {
                continue;
            };
            let is_kept = match before {
                Affiliation::Owner => is_now == Affiliation::Owner,
                // Somebody else may be elected when no owner comes back.
                _ => is_now != Affiliation::Owner || !is_patient,
            };
            if !is_kept {
                self.complain(format!(
                    "claim 13: p{index} was {} before the crash and is {} after it",
                    before.as_str(),
                    is_now.as_str()
                ));
            } else if before == Affiliation::Owner {
                world.coverage.count(Mark::RightsKept);
            }
        }
        self.check_configuration(world);
    }

    /// Part of claim 13: a room that was closed is closed, one that was open is open.
    fn check_configuration(&mut self, world: &mut World) {
        let now = world.now().mono;
        let settled = settled(world);
        let in_main = settled
            .iter()
            .find(|person| *person.room() == world.room && person.client.room_info().is_known);
        let Some(info) = in_main.map(|person| person.client.room_info()) else {
            return;
        };
        let found = (info.is_locked, info.is_members_only);
        let commanded = world.story.configured;
        let is_quiet = commanded.is_none_or(|at| now > at + MEDDLED);
        if let Some(kept) = world.story.kept.take()
            && !world.story.has_ended(now)
            && kept != found
            && commanded.is_none_or(|at| world.server_changed > at + MEDDLED)
        {
            self.complain(format!(
                "claim 13: locked and members-only were {kept:?} before the crash and are \
                 {found:?} after it"
            ));
        }
        world.story.configuration = is_quiet.then_some(found);
    }

    /// Claim 15: what only moderators may do, nobody else does.
    pub(super) fn claim_15_only_moderators_decide(&mut self, world: &World) {
        let mut complaints = Vec::new();
        for (index, at, notice) in &world.notices {
            if let Notice::Answered {
                deed,
                outcome: Outcome::Done,
            } = notice
                && !was_moderator(world, *index, *at)
            {
                complaints.push(format!(
                    "claim 15: p{index} is no moderator and did {deed:?}"
                ));
            }
        }
        for viewer in present(world) {
            let (v, client) = (viewer.index(), viewer.client);
            let words = visible_words(client);
            for forgery in &world.story.forgeries {
                if words.contains(forgery.word.as_str())
                    && !was_moderator(world, forgery.by, forgery.at)
                {
                    let (by, word) = (forgery.by, &forgery.word);
                    complaints.push(format!("claim 15: p{v} sees {word}, the wish of p{by}"));
                }
            }
            let (info, story) = (client.room_info(), &world.story);
            let is_forged = (info.is_locked && story.passwords.is_empty())
                || (info.is_members_only && !story.had_lobby);
            let is_moderated = |kind: &MediaKind| client.moderation(*kind).is_enabled;
            let is_forged = is_forged
                || MediaKind::ALL
                    .iter()
                    .any(|kind| is_moderated(kind) && !story.moderation.contains_key(kind));
            if is_forged {
                complaints.push(format!("claim 15: p{v} sees what no moderator decided"));
            }
        }
        complaints.into_iter().for_each(|c| self.complain(c));
    }
}

/// Whether somebody was, or became, a moderator around then.
fn was_moderator(world: &World, index: usize, at: Instant) -> bool {
    let last = world.people[index].past.last_moderator;
    last.is_some_and(|last| last + MEDDLED > at)
}

/// What somebody sees of what moderators say.
fn visible_words(client: &Client) -> BTreeSet<&str> {
    let rooms = client.breakout_rooms().rooms.values();
    let rooms = rooms.map(|room| room.name.as_str());
    let metadata = client
        .metadata()
        .values()
        .filter_map(|value| value.as_str());
    rooms.chain(metadata).chain(client.subject()).collect()
}

/// Around a change, both the old and the new are right.
const MEDDLED: Duration = Duration::from_secs(5);
