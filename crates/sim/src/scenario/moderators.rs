//! What moderators do, and those who are none.

use tertulia_client::MediaKind;

use super::*;
use crate::world::Command;

impl Sim {
    pub(super) fn somebody_moderates(&mut self) {
        let moderators = self.those(|client| client.is_joined() && client.is_moderator());
        let others = self.those(|client| client.is_joined() && !client.is_moderator());
        let is_forged = self.rng.u32(0..8) == 0;
        let among = if is_forged { &others } else { &moderators };
        let Some(by) = self.choose(among) else { return };
        if is_forged && self.rng.u32(0..4) == 0 {
            let everybody = self.those(Client::is_joined);
            if let Some(victim) = self.choose(&everybody).filter(|victim| *victim != by) {
                self.world.steal_name(by, victim);
            }
            return;
        }
        if let Some(command) = self.draw_command(by) {
            self.world.command(by, &command);
        }
    }

    fn draw_command(&mut self, by: usize) -> Option<Command> {
        let client = self.world.people[by].client.as_ref()?;
        let (info, room) = (client.room_info(), client.room().clone());
        let (is_locked, has_lobby) = (info.is_locked, info.is_members_only);
        let is_anybody_waiting = !client.waiting().is_empty();
        let rooms = client.breakout_rooms().rooms.values();
        let breakouts: Vec<String> = rooms
            .filter(|room| !room.is_main)
            .map(|room| room.name.clone())
            .collect();
        let neighbours = self.those(|other| other.is_joined() && *other.room() == room);
        let neighbours: Vec<usize> = neighbours.into_iter().filter(|n| *n != by).collect();
        let everybody = self.those(|other| other.is_joined() || other.is_waiting());
        let neighbour = self.choose(&neighbours);
        let kind = self.choose(&MediaKind::ALL).unwrap_or(MediaKind::Audio);
        if is_anybody_waiting && self.rng.u32(0..3) > 0 {
            return Some(Command::Admit(self.rng.u32(0..4) > 0));
        }
        if self.sabotage == Some(Sabotage::DeafBridge) {
            let is_on = client_moderates(&self.world, by, kind);
            return (!is_on).then_some(Command::Moderate(kind, true));
        }
        if self.sabotage == Some(Sabotage::LostLists) && breakouts.is_empty() && self.rng.bool() {
            return Some(Command::AddRoom(self.world.story.fresh_name("Group")));
        }
        Some(match self.rng.u32(0..100) {
            0..6 => Command::Lobby(!has_lobby),
            6..12 if is_locked => Command::Password(None),
            6..12 => Command::Password(Some(self.world.story.fresh_name("password"))),
            12..18 => Command::Grant(neighbour?),
            18..22 => Command::Revoke(neighbour?),
            22..25 => Command::Kick(neighbour?),
            25..34 => Command::Mute(neighbour?, kind),
            34..43 => Command::Moderate(kind, !client_moderates(&self.world, by, kind)),
            43..51 => Command::Approve(neighbour?, kind, self.rng.u32(0..4) > 0),
            51..59 if breakouts.len() < 3 => Command::AddRoom(self.world.story.fresh_name("Group")),
            59..62 => Command::RemoveRoom(self.choose(&breakouts)?),
            62..65 => Command::RenameRoom {
                room: self.choose(&breakouts)?,
                name: self.world.story.fresh_name("Group"),
            },
            65..80 => {
                let to = self.choose(&breakouts).filter(|_| self.rng.u32(0..3) > 0);
                Command::Send(self.choose(&everybody)?, to)
            }
            80..85 => Command::Metadata {
                key: "greeting",
                value: self.world.story.fresh_name("hello"),
            },
            85..88 => Command::StartMuted(self.rng.bool()),
            88..92 => Command::Subject(self.world.story.fresh_name("Verona")),
            92 => Command::End,
            _ => return None,
        })
    }
}

fn client_moderates(world: &World, by: usize, kind: MediaKind) -> bool {
    let client = world.people[by].client.as_ref();
    client.is_some_and(|client| client.moderation(kind).is_enabled)
}
