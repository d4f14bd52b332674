//! What arrives for a headless participant, sorted by what it is and whom it is from.

use super::*;

impl Client {
    pub(super) fn handle_stanza(&mut self, now: Now, stanza: Stanza) {
        match stanza.kind {
            Kind::Presence if self.is_of_lobby(&stanza) => {
                self.handle_lobby_presence(now, &stanza);
            }
            Kind::Presence => self.handle_presence(now, &stanza),
            Kind::Message => self.handle_message(now, &stanza),
            Kind::Iq => self.handle_request(now, &stanza),
        }
    }

    fn handle_presence(&mut self, now: Now, presence: &Stanza) {
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
        self.room_changed(now, change);
        if has_no_bridge {
            self.trouble(Trouble::BridgeNotAvailable);
        }
    }

    fn room_changed(&mut self, now: Now, change: RoomChange) {
        match change {
            RoomChange::Joined if self.stage == Stage::Joining => self.joined(now),
            RoomChange::Own => self.role_changed(now),
            RoomChange::Gone(nick) => {
                self.inactive.remove(&nick);
                if let Some(call) = &mut self.call {
                    call.remove_owner(&nick, self.config.habits.has_ssrc_rewriting);
                }
            }
            RoomChange::FocusGone if self.stage == Stage::Joined => {
                self.trouble(Trouble::FocusLeft);
            }
            RoomChange::Out { .. } if matches!(self.stage, Stage::Leaving(_)) => self.finish(now),
            RoomChange::Out { .. } | RoomChange::Destroyed { .. }
                if matches!(self.stage, Stage::Switching(_)) =>
            {
                self.request_conference(now);
            }
            RoomChange::Out { is_kick: true } => self.thrown_out(now, Trouble::Kicked),
            RoomChange::Destroyed {
                alternative: Some(room),
                ..
            } if self.is_in_breakout_room() && room == self.config.room => self.go_home(now),
            RoomChange::Destroyed { reason, .. } => {
                self.thrown_out(now, Trouble::RoomDestroyed(reason));
            }
            _ => {}
        }
    }

    fn handle_message(&mut self, now: Now, message: &Stanza) {
        if message.is_type("error") {
            return self.handle_refused_message(message);
        }
        if self.handle_announcement(message) {
            return;
        }
        let from = message.from.as_ref();
        let room = from.map(Jid::to_bare);
        let is_of = |known: &RoomJid| room.as_ref() == Some(known.bare());
        let nick = from.and_then(Jid::resource).map(ToString::to_string);
        if is_of(&self.room) || is_of(&self.config.room) {
            match nick {
                Some(nick) if is_of(&self.room) => self.handle_chat(message, &nick),
                Some(_) => {}
                None => self.handle_room_message(now, message),
            }
        } else if self.is_of_lobby(message) {
            if let (Some(value), Some(from)) = (components::json_message(message), from) {
                let from = from.clone();
                self.notice(Notice::Json { from, value });
            }
        } else {
            self.handle_component_message(now, message);
        }
    }

    /// The room itself speaks: its configuration changed, or it invites us.
    fn handle_room_message(&mut self, now: Now, message: &Stanza) {
        let x = message.child("x", ns::MUC_USER);
        let invitation = x.filter(|x| x.has_child("invite", ns::MUC_USER));
        let has_changed = x.is_some_and(|x| {
            x.children()
                .any(|status| status.name() == "status" && status.attr("code") == Some("104"))
        });
        if has_changed {
            if self.stage == Stage::Joined {
                self.ask_room_info(now);
            }
        } else if let Some(x) = invitation {
            let password = x.get_child("password", ns::MUC_USER).map(Element::text);
            self.handle_invitation(now, password);
        } else {
            self.handle_chat(message, "");
        }
    }

    fn handle_refused_message(&mut self, message: &Stanza) {
        let condition = message
            .error_condition()
            .unwrap_or(Condition::UndefinedCondition);
        let text = message.child("error", ns::CLIENT).and_then(error_text);
        self.notice(Notice::MessageRefused {
            from: message.from.clone(),
            condition,
            text,
        });
    }

    fn handle_request(&mut self, now: Now, iq: &Stanza) {
        // Whoever is on the way out has no business with that room's focus any more.
        let is_inside = matches!(self.stage, Stage::Joining | Stage::Joined);
        let occupants = self.occupants.as_ref().filter(|_| is_inside);
        let is_of_focus = occupants.is_some_and(|o| o.is_of_focus(iq));
        let is_of_room = iq
            .from
            .as_ref()
            .is_some_and(|from| *from == *self.room.bare());
        let children = iq.children();
        let Some(child) = children.first() else {
            return;
        };
        let reply = if child.is("query", ns::DISCO_INFO) && iq.is_type("get") {
            let mut info = DiscoInfo::default().with_features(FEATURES);
            if self.config.habits.has_ssrc_rewriting {
                info = info.with_features([ns::SSRC_REWRITING]);
            }
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
        } else if child.is("visitors", VISITORS) && is_of_room {
            // COMPAT(lib-jitsi-meet): taken without an answer.
            self.handle_promotion(now, child);
            None
        } else {
            Some(iq.error(StanzaError::new(Condition::ServiceUnavailable)))
        };
        if let Some(reply) = reply {
            self.line.send(now, reply);
        }
    }
}

const FEATURES: [&str; 14] = [
    ns::JINGLE,
    ns::JINGLE_RTP,
    ns::JINGLE_ICE,
    ns::JINGLE_DTLS,
    ns::JINGLE_RTP_AUDIO,
    ns::JINGLE_RTP_VIDEO,
    ns::JINGLE_SCTP,
    ns::JSON_SOURCES,
    ns::RTX_FEATURE,
    ns::TCC_FEATURE,
    "http://jitsi.org/source-name",
    "http://jitsi.org/visitors-1",
    "http://jitsi.org/start-muted-room-metadata",
    ns::CAPS,
];
