//! What people do with a meeting's features: moderators, those who pretend to be, and everybody.

use tertulia_client::Client;

use super::*;
use crate::story::Forgery;

/// Something that only moderators may do. People are meant by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Lobby(bool),
    Password(Option<String>),
    Grant(usize),
    Revoke(usize),
    Kick(usize),
    Mute(usize, MediaKind),
    Moderate(MediaKind, bool),
    Approve(usize, MediaKind, bool),
    /// Breakout rooms by their names.
    AddRoom(String),
    RemoveRoom(String),
    RenameRoom {
        room: String,
        name: String,
    },
    /// None is the main room.
    Send(usize, Option<String>),
    Metadata {
        key: &'static str,
        value: String,
    },
    StartMuted(bool),
    Subject(String),
    /// Everybody who waits, or none of them.
    Admit(bool),
    End,
}

impl Command {
    /// What it is counted as, when a moderator does it.
    fn mark(&self) -> Option<Mark> {
        Some(match self {
            Command::Lobby(true) => Mark::LobbyOn,
            Command::Lobby(false) => Mark::LobbyOff,
            Command::Password(_) => Mark::PasswordSet,
            Command::Grant(_) => Mark::Grant,
            Command::Revoke(_) => Mark::Revoke,
            Command::Mute(..) => Mark::MuteOther,
            Command::Moderate(..) => Mark::Moderation,
            Command::AddRoom(_) => Mark::BreakoutAdd,
            Command::RemoveRoom(_) => Mark::BreakoutRemove,
            Command::RenameRoom { .. } => Mark::BreakoutRename,
            Command::Metadata { .. } | Command::StartMuted(_) => Mark::Metadata,
            Command::Subject(_) => Mark::Subject,
            Command::End => Mark::EndConference,
            Command::Kick(_) | Command::Approve(..) | Command::Send(..) | Command::Admit(_) => {
                return None;
            }
        })
    }

    /// The word by which it would be known again if it had an effect.
    fn word(&self) -> Option<&str> {
        match self {
            Command::Password(password) => password.as_deref(),
            Command::AddRoom(name) | Command::RenameRoom { name, .. } => Some(name),
            Command::Metadata { value, .. } => Some(value),
            Command::Subject(subject) => Some(subject),
            _ => None,
        }
    }

    /// Whose rights, microphone or place are meant.
    fn victim(&self) -> Option<usize> {
        match self {
            Command::Grant(who)
            | Command::Revoke(who)
            | Command::Kick(who)
            | Command::Mute(who, _)
            | Command::Approve(who, ..)
            | Command::Send(who, _) => Some(*who),
            _ => None,
        }
    }
}

impl World {
    /// A person does what only moderators may; the server has to find out whether it is one.
    pub fn command(&mut self, by: usize, command: &Command) {
        let Some(client) = &self.people[by].client else {
            return;
        };
        let is_moderator = client.is_moderator();
        let now = self.now().mono;
        self.journal.note(format_args!(
            "p{by} {}: {command:?}",
            if is_moderator {
                "moderates"
            } else {
                "pretends"
            }
        ));
        if is_moderator {
            if let Some(mark) = command.mark() {
                self.coverage.count(mark);
            }
            self.take_down(command, now);
        } else {
            self.coverage.count(Mark::Forgery);
            if let Some(word) = command.word() {
                let word = word.to_owned();
                self.story.forgeries.push(Forgery { by, at: now, word });
            }
            if !self.is_wired(by) {
                self.unheard.push((by, now, command.clone()));
            }
        }
        self.carry_out(by, command);
    }

    /// What was wanted over a dead socket reaches the server over the next one. Whoever is a
    /// moderator by then has decided it, though it was none before.
    pub fn hear_late(&mut self) {
        let (people, rights) = (&self.people, &self.story.rights);
        let is_decided = |(by, at, _): &(usize, Instant, Command)| {
            let client = people[*by].client.as_ref();
            let is_moderator = client.is_some_and(Client::is_moderator);
            is_moderator || rights.get(by).is_some_and(|changed| changed > at)
        };
        let decided: Vec<_> = self
            .unheard
            .extract_if(.., |wish| is_decided(wish))
            .collect();
        let now = self.now().mono;
        for (_, _, command) in decided {
            self.take_down(&command, now);
        }
    }

    /// What the command means for what others may expect.
    fn take_down(&mut self, command: &Command, now: Instant) {
        let story = &mut self.story;
        match command {
            Command::Lobby(is_on) => {
                story.had_lobby |= is_on;
                story.configure(now);
            }
            Command::Password(Some(password)) => {
                self.witness.keep_private(password);
                story.passwords.push(password.clone());
                story.configure(now);
            }
            Command::Password(None) => story.configure(now),
            Command::Grant(who) | Command::Revoke(who) => {
                story.rights.insert(*who, now);
            }
            Command::Kick(who) => {
                story.rights.insert(*who, now);
                self.people[*who].past.kicked = Some(now);
            }
            Command::Mute(who, kind) => {
                story.muted.insert((*who, *kind), now);
            }
            Command::Moderate(kind, _) | Command::Approve(_, kind, _) => {
                story.moderation.insert(*kind, now);
            }
            Command::AddRoom(_) => story.had_breakout_rooms = true,
            Command::End => story.ended = Some(now),
            _ => {}
        }
    }

    fn carry_out(&mut self, by: usize, command: &Command) {
        let victim = command.victim().map(|who| &self.people[who]);
        let nick = victim.and_then(Person::nick).map(str::to_owned);
        let client = victim.and_then(|person| person.client.as_ref());
        let jid = client.and_then(Client::jid).map(ToString::to_string);
        let room = |client: &Client, name: &str| {
            let rooms = &client.breakout_rooms().rooms;
            let found = rooms.iter().find(|(_, room)| room.name == name);
            found.map(|(jid, _)| jid.clone())
        };
        let main = self.room.to_string();
        self.with_client(by, |client, now| {
            let nick = nick.as_deref().unwrap_or_default();
            match command {
                Command::Lobby(is_on) => client.set_lobby(now, *is_on),
                Command::Password(password) => client.set_password(now, password.as_deref()),
                Command::Grant(_) => client.grant_moderator(now, nick),
                Command::Revoke(_) => client.revoke_moderator(now, nick),
                Command::Kick(_) => client.kick(now, nick),
                Command::Mute(_, kind) => client.mute_other(now, nick, *kind),
                Command::Moderate(kind, is_on) => client.set_moderation(now, *kind, *is_on),
                Command::Approve(_, kind, is_on) => client.approve(now, *kind, nick, *is_on),
                Command::AddRoom(name) => client.add_breakout_room(now, name),
                Command::RemoveRoom(name) => {
                    if let Some(room) = room(client, name) {
                        client.remove_breakout_room(now, &room);
                    }
                }
                Command::RenameRoom { room: old, name } => {
                    if let Some(room) = room(client, old) {
                        client.rename_breakout_room(now, &room, name);
                    }
                }
                Command::Send(_, name) => {
                    let to = match name {
                        Some(name) => room(client, name),
                        None => Some(main),
                    };
                    if let (Some(jid), Some(to)) = (jid, to) {
                        client.send_to_room(now, &jid, &to);
                    }
                }
                Command::Metadata { key, value } => {
                    client.set_metadata(now, key, &value.as_str().into());
                }
                Command::StartMuted(is_on) => {
                    let policy = serde_json::json!({ "audio": is_on, "video": is_on });
                    client.set_metadata(now, "startMuted", &policy);
                }
                Command::Subject(subject) => client.set_subject(now, subject),
                Command::Admit(are_welcome) => admit(client, now, *are_welcome),
                Command::End => client.end_conference(now),
            }
        });
    }

    /// A person raises its hand, or lowers it.
    pub fn raise_hand(&mut self, index: usize) {
        let Some(client) = &self.people[index].client else {
            return;
        };
        let is_up = !client.has_raised_hand();
        self.journal
            .note(format_args!("p{index} raises its hand {is_up}"));
        self.coverage.count(Mark::RaisedHand);
        let now = self.now().mono;
        self.people[index].past.hand_since = Some(now);
        self.with_client(index, |client, now| client.raise_hand(now, is_up));
    }

    /// A person shows its screen, or no longer.
    pub fn share_screen(&mut self, index: usize) {
        let Some(client) = &self.people[index].client else {
            return;
        };
        let is_shared = !client.is_screen_shared();
        self.journal
            .note(format_args!("p{index} shares its screen {is_shared}"));
        self.coverage.count(Mark::ScreenShare);
        let now = self.now().mono;
        self.people[index].past.switched(MediaKind::Desktop, now);
        self.with_client(index, |client, now| client.share_screen(now, is_shared));
    }

    /// A person asks everybody something, or answers what was asked.
    pub fn poll(&mut self, index: usize, is_yes: bool) {
        let Some(client) = &self.people[index].client else {
            return;
        };
        let nick = client.nick().unwrap_or_default();
        let open = client.polls().iter().find(|(_, poll)| {
            let answers = poll.answers.iter();
            !answers
                .into_iter()
                .any(|answer| answer.voters.contains_key(nick))
        });
        match open.map(|(id, _)| id.clone()) {
            Some(id) => {
                self.journal.note(format_args!("p{index} answers a poll"));
                self.coverage.count(Mark::PollAnswer);
                self.with_client(index, |client, now| {
                    client.answer_poll(now, &id, &[is_yes, !is_yes]);
                });
            }
            None => {
                let id = self.story.fresh_name("poll");
                self.journal.note(format_args!("p{index} asks: {id}"));
                self.coverage.count(Mark::Poll);
                self.with_client(index, |client, now| {
                    client.create_poll(now, &id, "Tea?", &["yes", "no"]);
                });
            }
        }
    }

    /// A person tells everybody of a file, or takes one back that it told of.
    pub fn share_file(&mut self, index: usize) {
        let Some(client) = &self.people[index].client else {
            return;
        };
        if client.is_visitor() {
            return;
        }
        self.coverage.count(Mark::FileShared);
        let own = format!("file of p{index} ");
        let shared = client
            .files()
            .keys()
            .find(|id| id.starts_with(&own))
            .cloned();
        if let Some(id) = shared {
            self.journal
                .note(format_args!("p{index} takes a file back"));
            return self.with_client(index, |client, now| client.remove_file(now, &id));
        }
        let id = self.story.fresh_name(own.trim_end());
        self.journal.note(format_args!("p{index} shares a file"));
        let file = serde_json::json!({
            "fileId": id,
            "fileName": "notes.txt",
            "fileSize": 3,
            "fileType": "text/plain",
            "timestamp": 1_790_000_000_000u64,
        });
        self.with_client(index, |client, now| client.share_file(now, &file));
    }

    /// A person goes to a breakout room by itself, or back to the main room.
    pub fn go_to_room(&mut self, index: usize, name: Option<&str>) {
        let Some(client) = &self.people[index].client else {
            return;
        };
        let rooms = &client.breakout_rooms().rooms;
        let found = name.and_then(|name| rooms.iter().find(|(_, room)| room.name == name));
        let to = match (name, found) {
            (None, _) => Some(self.room.clone()),
            (Some(_), Some((jid, _))) => jid.parse().ok().and_then(RoomJid::new),
            (Some(_), None) => None,
        };
        let Some(to) = to else { return };
        self.journal.note(format_args!(
            "p{index} goes to {}",
            name.unwrap_or("the main room")
        ));
        self.coverage.count(match name {
            Some(_) => Mark::BreakoutMove,
            None => Mark::BreakoutReturn,
        });
        self.people[index].disturbed();
        self.with_client(index, |client, now| client.move_to_room(now, to));
    }

    /// Somebody tries to come into another room of the meeting under somebody else's name.
    pub fn steal_name(&mut self, thief: usize, victim: usize) {
        let Some(nick) = self.people[victim].nick().map(str::to_owned) else {
            return;
        };
        self.journal
            .note(format_args!("p{thief} wants the name of p{victim}"));
        self.coverage.count(Mark::NameTheft);
        let to = jid::ResourcePart::new(&nick).map(|nick| self.room.occupant(&nick));
        let Ok(to) = to else { return };
        let x = tertulia_stanza::Element::bare("x", tertulia_stanza::ns::MUC);
        let join = tertulia_stanza::Stanza::new(tertulia_stanza::Kind::Presence)
            .with_to(to)
            .with_child(x);
        self.with_client(thief, |client, now| client.send_stanza(now, join));
    }
}

/// Decides about all who wait in the lobby.
fn admit(client: &mut Client, now: Now, are_welcome: bool) {
    let waiting: Vec<String> = client.waiting().into_keys().collect();
    if are_welcome {
        let nicks: Vec<&str> = waiting.iter().map(String::as_str).collect();
        client.admit(now, &nicks);
    } else {
        for nick in waiting {
            client.deny(now, &nick);
        }
    }
}
