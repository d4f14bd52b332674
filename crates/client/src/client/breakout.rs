//! Breakout rooms: the list, the commands of moderators, and going where we are sent.
//!
//! Speaks: Jitsi's `<breakout_rooms/>` and its JSON messages.

use super::*;

/// The rooms of the meeting as the server listed them last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakoutRooms {
    /// How many were ever made.
    pub counter: u64,
    /// By their addresses, the main room among them.
    pub rooms: BTreeMap<String, BreakoutRoom>,
    /// How many lists have come.
    pub updates: u64,
}

/// One room of the meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakoutRoom {
    pub name: String,
    pub is_main: bool,
    /// Who is inside, by occupant's address.
    pub participants: BTreeMap<String, Seated>,
}

/// Somebody in one room of the meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seated {
    /// The real address, by which people are sent to another room.
    pub jid: String,
    pub role: String,
    pub display_name: Option<String>,
}

impl BreakoutRooms {
    /// Whether somebody is in any of the rooms.
    pub(super) fn holds(&self, jid: &FullJid) -> bool {
        let everybody = self
            .rooms
            .values()
            .flat_map(|room| room.participants.values());
        everybody
            .into_iter()
            .any(|seated| seated.jid == jid.as_str())
    }

    fn read(&mut self, update: &Value) {
        let counter = update.get("roomCounter").and_then(Value::as_u64);
        self.counter = counter.unwrap_or_default();
        self.updates += 1;
        let rooms = update.get("rooms").and_then(Value::as_object);
        let one = |room: &Value| {
            let jid = room.get("jid").and_then(Value::as_str)?;
            let people = room.get("participants").and_then(Value::as_object);
            let seated = |(occupant, person): (&String, &Value)| {
                let seated = Seated {
                    jid: text(person, "jid")?,
                    role: text(person, "role").unwrap_or_default(),
                    display_name: text(person, "displayName"),
                };
                Some((occupant.clone(), seated))
            };
            let room = BreakoutRoom {
                name: text(room, "name").unwrap_or_default(),
                is_main: room.get("isMainRoom") == Some(&Value::Bool(true)),
                participants: people.into_iter().flatten().filter_map(seated).collect(),
            };
            Some((jid.to_owned(), room))
        };
        let rooms = rooms.into_iter().flatten();
        self.rooms = rooms.filter_map(|(_, room)| one(room)).collect();
    }
}

impl Client {
    /// Makes a breakout room; only moderators may.
    pub fn add_breakout_room(&mut self, now: Now, subject: &str) {
        self.breakout_command(now, "add", &[("subject", subject)]);
    }

    /// Removes a breakout room; whoever is inside is sent to the main room.
    pub fn remove_breakout_room(&mut self, now: Now, room: &str) {
        self.breakout_command(now, "remove", &[("breakoutRoomJid", room)]);
    }

    /// Gives a breakout room another name.
    pub fn rename_breakout_room(&mut self, now: Now, room: &str, subject: &str) {
        let attributes = [("breakoutRoomJid", room), ("subject", subject)];
        self.breakout_command(now, "rename", &attributes);
    }

    /// Sends somebody, by its real address, to one of the meeting's rooms.
    pub fn send_to_room(&mut self, now: Now, participant: &str, room: &str) {
        let attributes = [("participantJid", participant), ("roomJid", room)];
        self.breakout_command(now, "move-to-room", &attributes);
    }

    /// Goes to another room of the meeting.
    pub fn move_to_room(&mut self, now: Now, room: RoomJid) {
        self.switch_to(now, room);
        self.settle(now);
    }

    /// The rooms of the meeting, as the server listed them last.
    pub fn breakout_rooms(&self) -> &BreakoutRooms {
        &self.meeting.breakout
    }

    /// The room that we are in or on the way into.
    pub fn room(&self) -> &RoomJid {
        &self.room
    }

    /// Whether that is not the meeting's main room.
    pub fn is_in_breakout_room(&self) -> bool {
        self.room != self.config.room
    }

    pub(super) fn handle_breakout(&mut self, now: Now, value: &Value) {
        match value.get("event").and_then(Value::as_str) {
            Some("features/breakout-rooms/update") => self.meeting.breakout.read(value),
            Some("features/breakout-rooms/move-to-room") => {
                let room = text(value, "roomJid").and_then(|jid| room_of(&jid.parse().ok()?));
                if let Some(room) = room {
                    self.notice(Notice::Moving(room.clone()));
                    self.switch_to(now, room);
                }
            }
            _ => tracing::debug!("an unknown event of breakout rooms"),
        }
    }

    fn breakout_command(&mut self, now: Now, action: &str, attributes: &[(&'static str, &str)]) {
        // COMPAT(lib-jitsi-meet): in no namespace of its own.
        let type_ = format!("features/breakout-rooms/{action}");
        let command = Element::builder("breakout_rooms", ns::CLIENT).with("type", type_);
        let command = attributes
            .iter()
            .fold(command, |command, (name, value)| command.with(name, *value));
        self.command(now, "breakout_rooms", command.build());
    }
}

/// A text in a JSON object.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}
