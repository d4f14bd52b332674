//! Since when each person is present, has media, is alone; and whether a meeting has healed.

use super::*;
use crate::sabotage::Sabotage;

/// Brings what is known of each person up to date.
pub(super) fn update(world: &mut World) {
    let now = world.now().mono;
    let is_up = world.is_server_up();
    for index in 0..world.people.len() {
        let is_wired = world.is_wired(index);
        let is_alone = is_alone(world, index);
        let person = &mut world.people[index];
        let is_dark = person.up.is_dark;
        let past = &mut person.past;
        if is_dark {
            past.last_dark = Some(now);
        }
        let Some(client) = &person.client else {
            continue;
        };
        let role = Some(client.role());
        if std::mem::replace(&mut past.role, role) != role {
            past.role_changed = Some(now);
        }
        if client.is_moderator() && world.sabotage != Some(Sabotage::RightsForAll) {
            past.last_moderator = Some(now);
        }
        let is_present = is_up && is_wired && client.is_joined() && client.is_online();
        // Whoever changes the room may be back before anybody looks.
        if !is_present || past.present_since.is_none() {
            past.last_disturbed = Some(now);
        }
        // Out, perhaps without knowing it yet.
        let is_being_kicked = past.kicked.is_some_and(|at| now < at + NEWS);
        let is_present = is_present && !is_being_kicked;
        if !is_present {
            // Whoever is out for a moment may come back to another standing: one elects meanwhile.
            past.affiliation = None;
        }
        let keep = |since: &mut Option<Instant>, holds: bool| {
            *since = if holds { since.or(Some(now)) } else { None };
        };
        keep(&mut past.present_since, is_present);
        keep(
            &mut past.media_since,
            is_present && !is_dark && client.is_media_connected(),
        );
        keep(&mut past.channel_since, client.is_channel_open());
        keep(&mut past.alone_since, is_present && is_alone);
    }
}

/// Whether nobody else is in a person's room, visitors counted, whom others do not see.
fn is_alone(world: &World, index: usize) -> bool {
    let Some(client) = &world.people[index].client else {
        return false;
    };
    client.occupants().is_empty() && !world.story.had_visitors
}

/// What is not as it should be a while after the faults have stopped; None if all is well.
pub fn unhealed(world: &World) -> Option<String> {
    if !world.is_server_up() {
        return Some("the server is down".to_owned());
    }
    let taking_part: Vec<&Person> = world.people.iter().filter(|p| p.is_taking_part()).collect();
    let is_visitor = |person: &&&Person| {
        let client = person.client.as_ref();
        client.is_some_and(Client::is_visitor)
    };
    let nicks: BTreeSet<&str> = taking_part
        .iter()
        .filter(|person| !is_visitor(person))
        .filter_map(|p| p.nick())
        .collect();
    for person in &taking_part {
        let Some(client) = &person.client else {
            continue;
        };
        let index = person.index;
        if !(client.is_joined() && client.is_online()) {
            return Some(format!("p{index} is not in the room"));
        }
        if *client.room() != world.room {
            return Some(format!("p{index} is not in the main room"));
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
        let info = client.room_info();
        if info.is_locked || info.is_members_only {
            return Some("the room is still closed".to_owned());
        }
    }
    let clients = taking_part.iter().filter_map(|p| p.client.as_ref());
    if !nicks.is_empty() && !clients.clone().any(Client::is_moderator) {
        return Some("nobody moderates".to_owned());
    }
    media::missing(world, Duration::ZERO).into_iter().next()
}
