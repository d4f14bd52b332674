//! The way into a room and out of it: conference request, join, refusals, switching to another
//! room, coming back after a lost session.

use super::*;

impl Client {
    /// Tries again to be let in after a [`Refusal`], or while waiting in the lobby; with a
    /// password if there is one. As in Jitsi's client, the conference is requested anew.
    pub fn enter(&mut self, now: Now, password: Option<&str>) {
        if let Some(password) = password {
            self.config.habits.password = Some(password.to_owned());
        }
        if matches!(self.stage, Stage::Outside | Stage::Waiting) {
            self.attempts = 0;
            self.request_conference(now);
        }
        self.settle(now);
    }

    /// Leaves the room and disconnects; [`Notice::Left`] follows.
    pub fn leave(&mut self, now: Now) {
        match self.stage {
            Stage::Over | Stage::Leaving(_) => {}
            Stage::Joining | Stage::Joined => {
                self.leave_lobby(now);
                self.end_call();
                self.stage = Stage::Leaving(now.mono + LEAVE_TIMEOUT);
                self.send_goodbye(now, None);
            }
            _ => {
                self.leave_lobby(now);
                self.finish(now);
            }
        }
        self.settle(now);
    }

    /// What was between us and the old session is void; until there is a new one, nothing may be
    /// sent to the room.
    pub(super) fn session_lost(&mut self) {
        self.end_call();
        self.occupants = None;
        self.lobby = None;
        if !matches!(self.stage, Stage::Leaving(_) | Stage::Over) {
            self.stage = Stage::Offline;
        }
    }

    /// The page is opened again: it knows its address and its device, and the user's wishes.
    pub(super) fn reloaded(&mut self) {
        self.session_lost();
        self.components = Components::default();
        self.meeting = Meeting::default();
        self.me = None;
        let is_main_only = matches!(
            self.config.habits.comeback,
            Comeback::Reload {
                into_breakout_room: false,
                ..
            }
        );
        if is_main_only {
            self.room = self.config.room.clone();
        }
        self.notice(Notice::Reloaded);
    }

    pub(super) fn bound(&mut self, now: Now, jid: FullJid) {
        self.end_call();
        let nick = nick_of(&jid).unwrap_or_else(|| format!("{:08x}", self.random.u32()));
        tracing::debug!(jid = %Private(&jid), "bound");
        self.me = Some((jid, nick));
        self.occupants = None;
        self.lobby = None;
        self.inactive.clear();
        self.dominant_speaker = None;
        self.attempts = 0;
        match self.stage {
            Stage::Over => {}
            // The room of the old session is gone, or will be with its lease.
            Stage::Leaving(_) => self.finish(now),
            _ => {
                self.discover(now);
                self.request_conference(now);
            }
        }
    }

    pub(super) fn request_conference(&mut self, now: Now) {
        let habits = &self.config.habits;
        let number = |name: &str, value: Option<u32>| Some((name.to_owned(), value?.to_string()));
        let flag = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        let properties = [
            number("startAudioMuted", habits.start_audio_muted),
            number("startVideoMuted", habits.start_video_muted),
            flag("rtcstatsEnabled", "false"),
            flag("visitors-version", "1"),
            habits
                .prefers_visitor
                .then(|| flag("visitor", "true"))
                .flatten(),
        ];
        let request = ConferenceRequest {
            room: self.room.to_string(),
            machine_uid: Some(self.config.machine_uid.clone()),
            properties: properties.into_iter().flatten().collect(),
            ..ConferenceRequest::default()
        };
        if self.config.request == RequestKind::Http {
            self.stage = Stage::Requesting(Some(now.mono + ANSWER_TIMEOUT));
            self.outputs.push_back(Output::HttpRequest {
                body: request.to_json(),
            });
            return;
        }
        self.stage = Stage::Requesting(None);
        let iq = Stanza::new(Kind::Iq)
            .with_type("set")
            .with_to(self.config.focus.clone())
            .with_child(request.to_element());
        self.line.ask(now, iq, Question::Conference, None);
    }

    pub(super) fn handle_conference_reply(
        &mut self,
        now: Now,
        reply: Option<ConferenceReply>,
        condition: Option<Condition>,
    ) {
        match reply {
            Some(reply) if reply.is_ready => self.join(now, &reply.focus_jid),
            Some(_) => self.request_later(now, Duration::from_secs(1 << self.attempts.min(7))),
            None => self.request_refused(condition),
        }
    }

    pub(super) fn request_refused(&mut self, condition: Option<Condition>) {
        self.stage = Stage::Outside;
        // Jitsi's application waits for somebody who may open the room, or lets its user log in.
        if condition == Some(Condition::NotAuthorized) {
            self.notice(Notice::Refused(Refusal::Login));
        } else {
            self.trouble(Trouble::RequestRefused(condition));
        }
    }

    pub(super) fn request_later(&mut self, now: Now, wait: Duration) {
        self.attempts += 1;
        self.stage = Stage::ToRequest(now.mono + wait);
    }

    fn join(&mut self, now: Now, focus_jid: &str) {
        let Some((_, nick)) = self.me.clone() else {
            return;
        };
        self.occupants = Some(Occupants::new(self.room.clone(), focus_jid, &nick));
        self.meeting = Meeting::default();
        self.stage = Stage::Joining;
        let text = |name: &str, value: &String| text_element(name, ns::MUC, value);
        let password = self.config.habits.password.as_ref();
        let is_http = self.config.request == RequestKind::Http;
        let device = is_http.then_some(&self.config.machine_uid);
        let x = Element::builder("x", ns::MUC)
            .append_all(password.map(|password| text("password", password)))
            .append_all(device.map(|device| text("billingid", device)))
            .build();
        let children = std::iter::once(x).chain(self.presence_children(&nick));
        if let Some(presence) = self.to_room(&nick) {
            self.line.send(now, presence.with_children(children));
        }
    }

    pub(super) fn joined(&mut self, now: Now) {
        self.stage = Stage::Joined;
        self.is_visiting = self.is_visitor();
        self.attempts = 0;
        self.leave_lobby(now);
        self.notice(Notice::Joined);
        self.ask_room_info(now);
    }

    pub(super) fn handle_join_error(&mut self, now: Now, presence: &Stanza) {
        if self.stage != Stage::Joining {
            return;
        }
        if Refusal::is_of_missing_room(presence) && self.attempts < JOIN_ATTEMPTS_MAX {
            // The room died between request and join.
            return self.request_later(now, Duration::from_millis(500));
        }
        let refusal = Refusal::parse(presence);
        self.occupants = None;
        self.stage = match self.lobby {
            Some(_) => Stage::Waiting,
            None => Stage::Outside,
        };
        self.notice(Notice::Refused(refusal.clone()));
        match refusal {
            Refusal::MembersOnly {
                lobby: Some(lobby), ..
            } if self.lobby.is_none() && self.config.habits.knocks => self.knock_at(now, lobby),
            // A breakout room that is gone; there is always the main room.
            Refusal::NotAllowed { .. } if self.is_in_breakout_room() => {
                self.go_home(now);
            }
            _ => {}
        }
    }

    /// From one room of the meeting to another, on the same connection.
    pub(super) fn switch_to(&mut self, now: Now, room: RoomJid) {
        if room == self.room {
            return;
        }
        match self.stage {
            Stage::Joined => {
                self.step_out(now, Some("switch_room"));
                self.room = room;
            }
            Stage::Outside => {
                self.room = room;
                self.request_conference(now);
            }
            // Not in any room yet; whoever asked can ask again.
            _ => {}
        }
    }

    /// Out of the room and in again, as somebody else than before.
    pub(super) fn come_again(&mut self, now: Now) {
        self.step_out(now, None);
    }

    fn step_out(&mut self, now: Now, reason: Option<&str>) {
        self.leave_lobby(now);
        self.end_call();
        self.send_goodbye(now, reason);
        self.stage = Stage::Switching(now.mono + LEAVE_TIMEOUT);
    }

    /// To the main room, after the room in which we were has gone.
    pub(super) fn go_home(&mut self, now: Now) {
        self.end_call();
        self.occupants = None;
        self.lobby = None;
        self.attempts = 0;
        self.room = self.config.room.clone();
        self.notice(Notice::Moving(self.room.clone()));
        self.request_conference(now);
    }

    /// The goodbye to the room that we are in.
    fn send_goodbye(&mut self, now: Now, reason: Option<&str>) {
        let Some((_, nick)) = &self.me else { return };
        if let Some(leave) = self.to_room(nick) {
            let status = reason.map(|reason| text_element("status", ns::CLIENT, reason));
            let leave = leave.with_type("unavailable").with_children(status);
            self.line.send(now, leave);
        }
    }

    /// The presence to our own place in the room, without children.
    pub(super) fn to_room(&self, nick: &str) -> Option<Stanza> {
        let resource = ResourcePart::new(nick).ok()?;
        let to = self.room.occupant(&resource);
        Some(Stanza::new(Kind::Presence).with_to(to))
    }

    pub(super) fn thrown_out(&mut self, now: Now, trouble: Trouble) {
        self.trouble(trouble);
        self.finish(now);
    }

    pub(super) fn finish(&mut self, now: Now) {
        self.end_call();
        self.occupants = None;
        self.lobby = None;
        self.stage = Stage::Over;
        self.line.close(now);
        while let Some(output) = self.line.poll_output() {
            self.handle_line(now, output);
        }
        self.notice(Notice::Left);
    }
}

/// Jitsi's rule: the nick is the first eight characters of an anonymous name.
fn nick_of(jid: &FullJid) -> Option<String> {
    let nick = jid.node()?.as_str().get(..8)?.to_ascii_lowercase();
    nick.bytes().all(|b| b.is_ascii_hexdigit()).then_some(nick)
}

const JOIN_ATTEMPTS_MAX: u32 = 3;
