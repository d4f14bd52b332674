//! What arrives for a headless participant: presence, messages, requests, Jingle.

use super::*;

impl Client {
    pub(super) fn handle_stanza(&mut self, now: Now, stanza: Stanza) {
        match stanza.kind {
            Kind::Presence => self.handle_presence(now, &stanza),
            Kind::Message => self.handle_message(&stanza),
            Kind::Iq => self.handle_request(now, &stanza),
        }
    }

    pub(super) fn handle_presence(&mut self, now: Now, presence: &Stanza) {
        let Some(occupants) = &mut self.occupants else {
            return;
        };
        if !occupants.is_of_room(presence) {
            return;
        }
        if presence.is_type("error") {
            self.handle_join_error(now, presence);
            return;
        }
        let change = occupants.handle_presence(presence);
        let has_no_bridge = occupants.is_of_focus(presence)
            && presence.child("bridgeNotAvailable", ns::FOCUS).is_some();
        match change {
            RoomChange::Joined if self.stage == Stage::Joining => {
                self.stage = Stage::Joined;
                self.attempts = 0;
                self.notice(Notice::Joined);
            }
            RoomChange::Gone(nick) => {
                self.inactive.remove(&nick);
                if let Some(call) = &mut self.call {
                    call.remove_owner(&nick);
                }
            }
            RoomChange::FocusGone if self.stage == Stage::Joined => {
                self.trouble(Trouble::FocusLeft);
            }
            RoomChange::Out { .. } if matches!(self.stage, Stage::Leaving(_)) => self.finish(now),
            RoomChange::Out { is_kick: true } => self.thrown_out(now, Trouble::Kicked),
            RoomChange::Destroyed { reason } => {
                self.thrown_out(now, Trouble::RoomDestroyed(reason));
            }
            _ => {}
        }
        if has_no_bridge {
            self.trouble(Trouble::BridgeNotAvailable);
        }
    }

    pub(super) fn thrown_out(&mut self, now: Now, trouble: Trouble) {
        self.trouble(trouble);
        self.finish(now);
    }

    fn handle_join_error(&mut self, now: Now, presence: &Stanza) {
        if self.stage != Stage::Joining {
            return;
        }
        let condition = presence.error_condition();
        if condition == Some(Condition::NotAllowed) && self.attempts < JOIN_ATTEMPTS_MAX {
            // The room died between request and join.
            self.request_later(now, Duration::from_millis(500));
        } else {
            self.trouble(Trouble::JoinRefused(condition));
        }
    }

    pub(super) fn handle_message(&mut self, message: &Stanza) {
        let is_of_room = self
            .occupants
            .as_ref()
            .is_some_and(|o| o.is_of_room(message));
        let nick = message.from.as_ref().and_then(Jid::resource);
        if let (true, Some(nick), Some(body)) = (
            is_of_room && message.is_type("groupchat"),
            nick,
            message.child("body", ns::CLIENT),
        ) {
            let (from, body) = (nick.as_str().to_owned(), body.text());
            self.notice(Notice::Message { from, body });
        }
    }

    pub(super) fn handle_request(&mut self, now: Now, iq: &Stanza) {
        let is_of_focus = self.occupants.as_ref().is_some_and(|o| o.is_of_focus(iq));
        let children = iq.children();
        let Some(child) = children.first() else {
            return;
        };
        let reply = if child.is("query", ns::DISCO_INFO) && iq.is_type("get") {
            let mut info = DiscoInfo::default().with_features(FEATURES);
            info.node = child.attr("node").map(str::to_owned);
            Some(iq.result().with_child(info.to_element()))
        } else if child.is("ping", ns::PING) {
            Some(iq.result())
        } else if child.is("jingle", ns::JINGLE) && is_of_focus {
            self.handle_jingle(now, iq, child);
            None
        } else if child.name() == "mute" && is_of_focus {
            // COMPAT(lib-jitsi-meet): the request to be mute is obeyed without an answer.
            self.handle_mute(now, child);
            None
        } else {
            Some(iq.error(StanzaError::new(Condition::ServiceUnavailable)))
        };
        if let Some(reply) = reply {
            self.line.send(now, reply);
        }
    }

    fn handle_mute(&mut self, now: Now, mute: &Element) {
        let namespace = mute.ns();
        let media = [MediaType::Audio, MediaType::Video]
            .into_iter()
            .find(|media| namespace == mute_namespace(*media));
        if let (Some(media), "true") = (media, mute.text().trim()) {
            self.notice(Notice::MutedByModerator(media));
            self.mute(now, media, true);
        }
    }

    // Jingle.

    pub(super) fn handle_jingle(&mut self, now: Now, iq: &Stanza, element: &Element) {
        let jingle = match Jingle::parse(element) {
            Ok(jingle) => jingle,
            Err(error) => {
                self.trouble(Trouble::BadOffer(error.to_string()));
                self.line
                    .send(now, iq.error(StanzaError::new(Condition::BadRequest)));
                return;
            }
        };
        let is_live = self.current_call(&jingle.sid).is_some();
        let refusal = match jingle.action {
            Action::SessionInitiate if is_live => Some(Condition::ServiceUnavailable),
            Action::SessionInitiate => None,
            _ if !is_live => Some(Condition::ItemNotFound),
            Action::SourceAdd | Action::SourceRemove | Action::SessionTerminate => None,
            _ => Some(Condition::BadRequest),
        };
        let reply = match refusal {
            Some(condition) => iq.error(StanzaError::new(condition)),
            None => iq.result(),
        };
        self.line.send(now, reply);
        if refusal.is_some() {
            return;
        }
        match jingle.action {
            Action::SessionInitiate => self.handle_initiate(now, iq, &jingle),
            Action::SessionTerminate => {
                self.end_call();
                self.notice(Notice::MediaEnded);
            }
            _ => {}
        }
        if let Some(call) = self.current_call(&jingle.sid) {
            match jingle.action {
                Action::SourceAdd => call.add_sources(&jingle),
                Action::SourceRemove => call.remove_sources(&jingle),
                _ => {}
            }
        }
    }

    fn handle_initiate(&mut self, now: Now, iq: &Stanza, initiate: &Jingle) {
        let focus = iq.from.clone().and_then(|from| from.try_into_full().ok());
        let (Some(focus), Some((me, nick))) = (focus, self.me.clone()) else {
            return;
        };
        self.end_call();
        let names = (focus, me, nick.as_str());
        let (config, random) = (&self.config, &mut self.random);
        match Call::new(config, initiate, names, self.live, random, now) {
            Ok(call) => {
                if let Some(url) = call.web_socket.clone() {
                    self.outputs
                        .push_back(Output::ChannelDial { url: url.clone() });
                    self.channel = Channel::Socket { url, failures: 0 };
                }
                self.call = Some(call);
                self.notice(Notice::Invited);
            }
            Err(error) => self.trouble(Trouble::BadOffer(error.to_string())),
        }
    }

    pub(super) fn current_call(&mut self, sid: &str) -> Option<&mut Call> {
        self.call.as_mut().filter(|call| call.sid == sid)
    }

    pub(super) fn end_call(&mut self) {
        self.call = None;
        self.is_channel_open = false;
        self.forwarded = None;
        if matches!(self.channel, Channel::Socket { .. }) {
            self.outputs.push_back(Output::ChannelClose);
        }
        self.channel = Channel::None;
    }

    /// The path is dead: asks for another.
    pub(super) fn restart(&mut self, now: Now) {
        let Some(call) = &mut self.call else { return };
        if call.is_restarting {
            return;
        }
        call.is_restarting = true;
        self.restarts += 1;
        let (terminate, sid) = (call.restart(), call.sid.clone());
        self.trouble(Trouble::PathLost);
        self.line
            .ask(now, terminate, Question::Restart(sid), Some(ANSWER_TIMEOUT));
    }
}
