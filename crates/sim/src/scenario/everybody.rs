//! What anybody may do in a meeting.

use tertulia_client::Constraints;
use tertulia_model::MediaType;

use super::*;

impl Sim {
    pub(super) fn somebody_acts(&mut self) {
        let inside = self.those(Client::is_joined);
        let Some(index) = self.choose(&inside) else {
            return;
        };
        if self.sabotage == Some(Sabotage::LostVotes) && self.rng.bool() {
            return self.world.poll(index, true);
        }
        if self.sabotage == Some(Sabotage::IgnoredConstraints) && self.rng.bool() {
            return self.chooses(index, &inside);
        }
        // A visitor who wants to take part.
        let client = self.world.people[index].client.as_ref();
        if client.is_some_and(Client::is_visitor) && self.rng.bool() {
            return self.world.raise_hand(index);
        }
        match self.rng.u32(0..80) {
            74.. => self.world.share_file(index),
            0..12 => self.switches(index),
            12..28 => self.chooses(index, &inside),
            28..40 => self.speaks(index, &inside),
            40..45 => self.world.raise_hand(index),
            45..52 => self.world.share_screen(index),
            52..59 => {
                let is_yes = self.rng.bool();
                self.world.poll(index, is_yes);
            }
            59..66 => self.writes(index, &inside),
            66..70 => self.changes_room(index, &inside),
            _ => self.renews_path(index),
        }
    }

    fn switches(&mut self, index: usize) {
        let media = if self.rng.bool() {
            MediaType::Audio
        } else {
            MediaType::Video
        };
        self.world.switch(index, media);
    }

    fn chooses(&mut self, index: usize, everybody: &[usize]) {
        let mut constraints = Constraints::all();
        let heights = [0, 90, 180, 360, 720, -1];
        constraints.default_height = self.rng.choice(heights).unwrap_or(-1);
        let nicks: Vec<String> = everybody
            .iter()
            .filter_map(|other| self.world.people[*other].nick().map(str::to_owned))
            .collect();
        for nick in nicks {
            for suffix in ["v0", "v1"] {
                if self.rng.bool() {
                    let height = self.rng.choice(heights).unwrap_or(-1);
                    constraints
                        .heights
                        .insert(format!("{nick}-{suffix}"), height);
                }
            }
        }
        if self.rng.u32(0..3) == 0 {
            constraints.last_n = self.rng.i32(0..4);
            self.world.coverage.count(Mark::LastN);
        }
        self.world.coverage.count(Mark::Constraints);
        self.world.journal.note(format_args!("p{index} chooses"));
        self.world.set_constraints(index, constraints);
    }

    fn speaks(&mut self, index: usize, everybody: &[usize]) {
        self.world.journal.note(format_args!("p{index} speaks"));
        for other in everybody {
            let is_speaking = *other == index;
            self.world
                .with_client(*other, |client, _| client.speak(is_speaking));
        }
    }

    /// To everybody or to one, or by one sign.
    fn writes(&mut self, index: usize, everybody: &[usize]) {
        let text = format!("a secret of person {index}");
        self.world.witness.keep_private(&text);
        let to = self.choose(everybody).filter(|other| *other != index);
        let nick = to.and_then(|other| self.world.people[other].nick().map(str::to_owned));
        let kind = self.rng.u32(0..4);
        self.world
            .with_client(index, |client, now| match (kind, nick) {
                (0, Some(nick)) => drop(client.chat(now, Some(&nick), &text, None)),
                (1, _) => client.react(now, None, "m1", "❤"),
                (2, _) => {
                    let id = client.chat(now, None, &text, None);
                    client.retract(now, None, &id);
                }
                _ => client.say(now, &text),
            });
    }

    /// By itself: into any breakout room, or home.
    fn changes_room(&mut self, index: usize, everybody: &[usize]) {
        let Some(client) = &self.world.people[index].client else {
            return;
        };
        let rooms = client.breakout_rooms().rooms.values();
        let names = rooms.filter(|room| !room.is_main);
        let names: Vec<String> = names.map(|room| room.name.clone()).collect();
        let name = self.choose(&names);
        match name {
            Some(name) if !self.world.is_in_breakout_room(index) => {
                self.world.go_to_room(index, Some(&name));
            }
            _ if self.world.is_in_breakout_room(index) => self.world.go_to_room(index, None),
            _ => return,
        }
        // On the way its name is free for a moment, or is it?
        let thief = self.choose(everybody).filter(|thief| *thief != index);
        if let Some(thief) = thief.filter(|_| self.rng.u32(0..3) == 0) {
            let pause = self.rng.u64(1..80);
            self.pass(pause);
            self.world.steal_name(thief, index);
        }
    }

    /// A network changes now and then: the server refuses more than that, and says so for good.
    fn renews_path(&mut self, index: usize) {
        let person = &self.world.people[index];
        let now = self.world.clock.millis();
        let is_calm = self
            .renewed
            .get(&index)
            .is_none_or(|at| now >= at + RENEWED_EVERY);
        if person.habits.has_ice_restart && self.doomed != Some(index) && is_calm {
            self.renewed.insert(index, now);
            self.world
                .journal
                .note(format_args!("p{index} has another network"));
            self.world
                .with_client(index, |client, now| client.renew_path(now));
        }
    }
}

/// Milliseconds; twice what must pass between two restarts of one participant
/// (`focus.restart_interval_min`).
const RENEWED_EVERY: u64 = 10_000;
