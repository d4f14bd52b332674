//! Claims 10, 11 and 14: what everybody is told before it is in, and that all know the same.

use super::*;

impl Checkers {
    /// Claim 10: when somebody is in, it has been told of the focus and of the room's metadata.
    pub(super) fn claim_10_newcomers_are_told_first(&mut self, world: &mut World) {
        for index in 0..world.people.len() {
            for door in std::mem::take(&mut world.people[index].past.met_at_the_door) {
                if !door.has_focus {
                    self.complain(format!("claim 10: p{index} was in before the focus was"));
                }
                if !door.has_metadata {
                    self.complain(format!(
                        "claim 10: p{index} was in before it had the room's metadata"
                    ));
                }
            }
        }
        let without_focus = present(world).filter(|person| !person.client.has_focus());
        let without_focus: Vec<usize> = without_focus.map(|person| person.index()).collect();
        for index in without_focus {
            self.complain(format!("claim 10: p{index} is in a room without the focus"));
        }
    }

    /// Claim 11: a room has one id while it lives, and was made once.
    pub(super) fn claim_11_one_room_has_one_id(&mut self, world: &World) {
        let now = world.now().mono;
        let settled = settled(world);
        for person in &settled {
            let info = person.client.room_info();
            if let (Some(id), Some(created)) = (&info.meeting_id, &info.created) {
                let life = world.incarnation();
                let made = (created.clone(), life);
                let known = self.created.entry(id.clone()).or_insert(made.clone());
                // After a crash it is another instance of the room.
                let is_quiet = now > world.server_changed + NEWS;
                if *known != made && (known.0 != *created || is_quiet) {
                    let index = person.index();
                    self.complain(format!("claim 11: p{index} is in a room made twice"));
                }
            }
            let first = settled.iter().find(|other| other.room() == person.room());
            let is_wrong = first.is_some_and(|first| {
                let other = first.client.room_info();
                other.is_known && info.is_known && other.meeting_id != info.meeting_id
            });
            let index = person.index();
            if self
                .patience
                .is_over(&format!("id p{index}"), is_wrong, now, NEWS)
            {
                self.complain(format!("claim 11: p{index} is in another meeting"));
            }
        }
    }

    /// Claim 14: whoever has been in a room for a moment knows the same as everybody there: its
    /// configuration, subject, metadata, polls, moderation, and who is in which room.
    pub(super) fn claim_14_everyone_knows_the_same(&mut self, world: &World) {
        let settled = settled(world);
        let insiders = settled.iter().filter(|person| !person.client.is_visitor());
        let insiders: Vec<&Present<'_>> = insiders.collect();
        for person in &insiders {
            let Some(first) = insiders.iter().find(|first| first.is_with(person)) else {
                continue;
            };
            for (what, is_same) in compare(person.client, first.client) {
                let wrong = format!(" than p{}", first.index());
                self.check_same(world, person, what, (!is_same).then_some(wrong));
            }
        }
        for person in &insiders {
            let wrong = unknown_rooms(world, person.client);
            self.check_same(world, person, "list of rooms", wrong);
            let is_watched = !person.client.is_moderator()
                || !person.client.room_info().is_members_only
                || (person.client.is_watching_lobby() && knows_waiting(world, person.client));
            self.check_same(world, person, "lobby", (!is_watched).then(String::new));
        }
    }

    fn check_same(
        &mut self,
        world: &World,
        who: &Present<'_>,
        what: &'static str,
        wrong: Option<String>,
    ) {
        let (index, now) = (who.index(), world.now().mono);
        let key = format!("{what} p{index}");
        if self.patience.is_over(&key, wrong.is_some(), now, AGREED) {
            let wrong = wrong.unwrap_or_default();
            self.complain(format!("claim 14: p{index} knows another {what}{wrong}"));
        }
    }
}

/// What two people in one room know, and whether it is the same.
fn compare(one: &Client, other: &Client) -> Vec<(&'static str, bool)> {
    let (a, b) = (one.room_info(), other.room_info());
    let configuration =
        |info: &tertulia_client::RoomInfo| (info.is_known, info.is_locked, info.is_members_only);
    let votes = |client: &Client| {
        let polls = client.polls().iter().map(|(id, poll)| {
            let voters = poll.answers.iter();
            let voters: Vec<Vec<String>> = voters
                .map(|answer| answer.voters.keys().cloned().collect())
                .collect();
            (id.clone(), poll.question.clone(), voters)
        });
        polls.collect::<Vec<_>>()
    };
    let moderation = MediaKind::ALL
        .iter()
        .all(|kind| one.moderation(*kind).is_enabled == other.moderation(*kind).is_enabled);
    vec![
        ("configuration", configuration(a) == configuration(b)),
        ("subject", one.subject() == other.subject()),
        ("metadata", shared_metadata(one) == shared_metadata(other)),
        ("polls", votes(one) == votes(other)),
        ("moderation", moderation),
        ("set of files", one.files().keys().eq(other.files().keys())),
        ("set of rooms", room_names(one) == room_names(other)),
    ]
}

/// What a room's metadata says to everybody. How a newcomer is to begin is its own: it counts
/// those who were there before.
fn shared_metadata(client: &Client) -> Vec<(&String, &serde_json::Value)> {
    let metadata = client.metadata().iter();
    metadata.filter(|(key, _)| *key != "startMuted").collect()
}

/// The breakout rooms that somebody knows.
fn room_names(client: &Client) -> BTreeSet<&str> {
    let rooms = client.breakout_rooms().rooms.values();
    let breakouts = rooms.filter(|room| !room.is_main);
    breakouts.map(|room| room.name.as_str()).collect()
}

/// What is wrong with somebody's list of rooms; without breakout rooms there is none.
fn unknown_rooms(world: &World, client: &Client) -> Option<String> {
    let meeting = world.node()?.meeting(&world.room)?;
    let list = &client.breakout_rooms().rooms;
    if list.len() < 2 {
        // Nobody is in a room that it does not know.
        let is_right = meeting.rooms.keys().all(|room| *room == world.room);
        return (!is_right).then(|| ": none, and people are elsewhere".to_owned());
    }
    // Visitors are in no list.
    let is_visitor = |nick: &str| {
        let person = world.people.get(owner_of(world, nick));
        person.is_some_and(|person| person.past.was_visitor)
    };
    let people = |nicks: BTreeSet<&str>| -> BTreeSet<usize> {
        let shown = nicks.into_iter().filter(|nick| !is_visitor(nick));
        shown.map(|nick| owner_of(world, nick)).collect()
    };
    list.iter().find_map(|(jid, room)| {
        let census = meeting
            .rooms
            .iter()
            .find(|(known, _)| known.to_string() == *jid);
        let inside = census
            .into_iter()
            .flat_map(|(_, room)| room.occupants.keys());
        let inside = people(inside.map(|nick| nick.as_str()).collect());
        let listed = room.participants.keys();
        let listed = people(listed.filter_map(|o| o.rsplit('/').next()).collect());
        (inside != listed).then(|| format!(": {listed:?} in a room where {inside:?} are"))
    })
}

/// Whether a moderator sees exactly those who wait.
fn knows_waiting(world: &World, client: &Client) -> bool {
    let meeting = world.node().and_then(|node| node.meeting(&world.room));
    let Some(meeting) = meeting else { return true };
    let seen: BTreeSet<String> = client.waiting().into_keys().collect();
    seen == meeting.waiting.into_keys().collect()
}

/// Time for everybody to know the same again.
const AGREED: Duration = Duration::from_secs(4);
