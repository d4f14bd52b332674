//! The lobby from both sides: waiting in it, and deciding about those who wait.
//!
//! Speaks: XEP-0045 with the lobby's room, mediated invitations with the main room, the owner's
//! form.

use super::*;
use tertulia_stanza::muc::{UserX, status};

/// The lobby's room while we are in it.
pub(super) struct Lobby {
    room: RoomJid,
    nick: String,
    is_joined: bool,
    people: BTreeMap<String, Knocker>,
}

/// Somebody who waits in the lobby.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knocker {
    pub jid: Option<FullJid>,
    pub display_name: Option<String>,
    pub email: Option<String>,
}

impl Client {
    /// Turns the lobby on or off; only moderators may. As in Jitsi's client, everybody who is
    /// inside becomes a member first.
    pub fn set_lobby(&mut self, now: Now, is_on: bool) {
        if is_on {
            self.make_members(now);
        }
        let mut fields = vec![("muc#roomconfig_membersonly", is_on.to_string())];
        if self.meeting.info.is_locked {
            fields.push(("muc#roomconfig_passwordprotectedroom", "1".to_owned()));
        }
        self.ask_form(now, Deed::Lobby, fields);
        self.settle(now);
    }

    /// Lets people in who wait in the lobby under these nicks; all in one message.
    pub fn admit(&mut self, now: Now, nicks: &[&str]) {
        let people = self.lobby.as_ref().map(|lobby| &lobby.people);
        let jid_of = |nick: &&str| people?.get(*nick)?.jid.clone();
        let invites: Vec<Element> = nicks
            .iter()
            .filter_map(jid_of)
            .map(|jid| {
                Element::builder("invite", ns::MUC_USER)
                    .with("to", jid.as_str())
                    .build()
            })
            .collect();
        if invites.is_empty() {
            return;
        }
        let main = self.meeting.info.main_room.as_ref();
        let to = main.unwrap_or(&self.room).bare().clone();
        let x = Element::builder("x", ns::MUC_USER)
            .append_all(invites)
            .build();
        let id = self.message_id();
        let message = Stanza::new(Kind::Message)
            .with_id(&id)
            .with_to(to)
            .with_child(x);
        self.line.send(now, message);
        self.settle(now);
    }

    /// Turns somebody away from the lobby.
    pub fn deny(&mut self, now: Now, nick: &str) {
        let Some(room) = self.lobby.as_ref().map(|lobby| lobby.room.clone()) else {
            return;
        };
        let query = administration::kick_query(nick);
        let to = room.bare().clone().into();
        self.ask(now, to, "set", query, Question::Deed(Deed::Deny));
        self.settle(now);
    }

    /// Writes JSON inside the lobby: to one who waits, or to all moderators and everybody.
    pub fn say_in_lobby(&mut self, now: Now, to: Option<&str>, value: &Value) {
        let Some(lobby) = &self.lobby else { return };
        let resource = to.and_then(|nick| ResourcePart::new(nick).ok());
        let (to, type_): (Jid, &str) = match resource {
            Some(nick) => (lobby.room.occupant(&nick).into(), "chat"),
            None => (lobby.room.bare().clone().into(), "groupchat"),
        };
        let message = Stanza::new(Kind::Message)
            .with_type(type_)
            .with_to(to)
            .with_child(components::json_element(value));
        self.line.send(now, message);
        self.settle(now);
    }

    /// Whether we are in the lobby and wait.
    pub fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting && self.lobby.as_ref().is_some_and(|lobby| lobby.is_joined)
    }

    /// Whether we, inside the meeting, see who waits in the lobby.
    pub fn is_watching_lobby(&self) -> bool {
        self.stage == Stage::Joined && self.lobby.as_ref().is_some_and(|lobby| lobby.is_joined)
    }

    /// Those whom we see in the lobby, by their nicks there.
    pub fn waiting(&self) -> BTreeMap<String, Knocker> {
        self.lobby
            .as_ref()
            .map(|lobby| lobby.people.clone())
            .unwrap_or_default()
    }

    /// Goes into the lobby after having been refused.
    pub fn knock(&mut self, now: Now, lobby: RoomJid) {
        if self.stage == Stage::Outside {
            self.knock_at(now, lobby);
        }
        self.settle(now);
    }

    pub(super) fn knock_at(&mut self, now: Now, lobby: RoomJid) {
        self.stage = Stage::Waiting;
        self.join_lobby(now, lobby);
    }

    /// Moderators go into the lobby as soon as there is one.
    pub(super) fn watch_lobby(&mut self, now: Now) {
        let is_moderator = self.stage == Stage::Joined && self.is_moderator();
        let info = &self.meeting.info;
        if is_moderator
            && info.is_members_only
            && self.lobby.is_none()
            && self.component("lobbyrooms").is_some()
            && let Some(lobby) = info.lobby.clone()
        {
            self.join_lobby(now, lobby);
        }
    }

    fn join_lobby(&mut self, now: Now, room: RoomJid) {
        // COMPAT(lib-jitsi-meet): a random nick, whatever it is in the meeting.
        let nick = format!("{:08x}", self.random.u32());
        self.lobby = Some(Lobby {
            room,
            nick,
            is_joined: false,
            people: BTreeMap::new(),
        });
        self.send_to_lobby(now, vec![Element::bare("x", ns::MUC)], None);
    }

    /// A presence to our place in the lobby.
    fn send_to_lobby(&mut self, now: Now, mut children: Vec<Element>, type_: Option<&str>) {
        let Some(lobby) = &self.lobby else { return };
        let Ok(nick) = ResourcePart::new(&lobby.nick) else {
            return;
        };
        let presence = Stanza::new(Kind::Presence).with_to(lobby.room.occupant(&nick));
        let presence = match type_ {
            Some(type_) => presence.with_type(type_),
            None => {
                let name = &self.config.display_name;
                if !name.is_empty() {
                    children.push(text_element("nick", ns::NICK, name));
                }
                presence.with_children(children)
            }
        };
        self.line.send(now, presence);
    }

    pub(super) fn leave_lobby(&mut self, now: Now) {
        self.send_to_lobby(now, Vec::new(), Some("unavailable"));
        self.lobby = None;
    }

    pub(super) fn is_of_lobby(&self, stanza: &Stanza) -> bool {
        let from = stanza.from.as_ref().map(Jid::to_bare);
        self.lobby
            .as_ref()
            .is_some_and(|lobby| from.as_ref() == Some(lobby.room.bare()))
    }

    pub(super) fn handle_lobby_presence(&mut self, now: Now, presence: &Stanza) {
        let nick = presence.from.as_ref().and_then(Jid::resource);
        let (Some(nick), Some(lobby)) = (nick, &mut self.lobby) else {
            return;
        };
        let nick = nick.as_str().to_owned();
        let is_own = nick == lobby.nick;
        let x = presence.children().iter().find_map(UserX::parse);
        let x = x.unwrap_or_default();
        if presence.is_type("error") {
            self.handle_lobby_error(now, presence);
        } else if presence.is_type("unavailable") {
            if let Some(destroy) = x.destroy {
                self.lobby_destroyed(now, destroy.alternative.is_some(), destroy.reason);
            } else if is_own {
                self.out_of_lobby(x.has_status(status::KICKED));
            } else if lobby.people.remove(&nick).is_some() {
                self.notice(Notice::KnockEnded(nick));
            }
        } else if is_own {
            if !std::mem::replace(&mut lobby.is_joined, true) {
                self.in_lobby(now);
            }
        } else {
            let jid = x.item.and_then(|item| item.jid);
            self.somebody_knocks(nick, jid, presence);
        }
    }

    fn in_lobby(&mut self, now: Now) {
        if self.stage != Stage::Waiting {
            return;
        }
        self.notice(Notice::Waiting);
        // COMPAT(lib-jitsi-meet): the e-mail address comes with a second presence.
        if let Some(email) = &self.config.habits.email {
            let email = text_element("email", ns::CLIENT, email);
            self.send_to_lobby(now, vec![email], None);
        }
    }

    fn somebody_knocks(&mut self, nick: String, jid: Option<Jid>, presence: &Stanza) {
        let jid = jid.and_then(|jid| jid.try_into_full().ok());
        // Moderators are in the lobby too; whoever is inside does not knock.
        let others = self.occupants.as_ref().map(Occupants::others);
        let is_inside = jid.as_ref().is_some_and(|jid| {
            others.is_some_and(|others| others.values().any(|o| o.jid.as_ref() == Some(jid)))
                || self.meeting.breakout.holds(jid)
        });
        if is_inside {
            return;
        }
        let text = |name: &str, namespace: &str| presence.child(name, namespace).map(|e| e.text());
        let knocker = Knocker {
            jid,
            display_name: text("nick", ns::NICK),
            email: text("email", ns::CLIENT),
        };
        let Some(lobby) = &mut self.lobby else { return };
        if lobby.people.insert(nick.clone(), knocker).is_none() {
            self.notice(Notice::Knocked(nick));
        }
    }

    fn handle_lobby_error(&mut self, now: Now, presence: &Stanza) {
        self.lobby = None;
        if self.stage != Stage::Waiting {
            return;
        }
        if Refusal::is_of_missing_room(presence) {
            // The lobby was turned off meanwhile.
            self.request_conference(now);
        } else {
            self.stage = Stage::Outside;
            self.notice(Notice::Refused(Refusal::parse(presence)));
        }
    }

    fn lobby_destroyed(&mut self, now: Now, has_alternative: bool, reason: Option<String>) {
        let people = self.lobby.take().map(|lobby| lobby.people);
        match self.stage {
            Stage::Waiting if has_alternative => {
                self.notice(Notice::Admitted);
                self.request_conference(now);
            }
            Stage::Waiting => self.thrown_out(now, Trouble::RoomDestroyed(reason)),
            _ => {
                for nick in people.unwrap_or_default().into_keys() {
                    self.notice(Notice::KnockEnded(nick));
                }
            }
        }
    }

    fn out_of_lobby(&mut self, is_kick: bool) {
        self.lobby = None;
        if self.stage == Stage::Waiting {
            self.stage = Stage::Outside;
            if is_kick {
                self.notice(Notice::Denied);
            }
        }
    }

    /// The main room invites us while we wait for that.
    pub(super) fn handle_invitation(&mut self, now: Now, password: Option<String>) {
        if self.stage != Stage::Waiting {
            return;
        }
        if password.is_some() {
            self.config.habits.password = password;
        }
        self.notice(Notice::Admitted);
        self.attempts = 0;
        self.request_conference(now);
    }
}
