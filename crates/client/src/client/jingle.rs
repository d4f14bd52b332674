//! Jingle with the focus: invitations, sources, dead paths.

use super::*;

impl Client {
    /// Our UDP address is another from now on; media goes on from there.
    pub fn move_to(&mut self, now: Now, address: SocketAddr) {
        self.config.address = address;
        if let Some(call) = &mut self.call {
            call.media.move_to(now.mono, address);
        }
        self.settle(now);
    }

    /// Asks for a new path in this session, as Jitsi's client does when its network changed.
    pub fn renew_path(&mut self, now: Now) {
        self.ask_for_path(now);
        self.settle(now);
    }

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
            Action::SourceAdd
            | Action::SourceRemove
            | Action::SessionTerminate
            | Action::TransportInfo => None,
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
            Action::TransportInfo => self.handle_new_path(now, &jingle),
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
        let parties = Parties {
            focus,
            me,
            nick: nick.as_str(),
            kinds: self.own_kinds(),
            unannounced: self.withheld(),
        };
        let (config, random) = (&self.config, &mut self.random);
        match Call::new(config, initiate, parties, self.live, random, now) {
            Ok(mut call) => {
                if let Some(epoch) = self.epoch {
                    call.media.measure_from(epoch);
                }
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

    pub(super) fn call_timeout(&mut self, now: Now) {
        let Some(call) = &mut self.call else { return };
        if call.media.next_timeout().is_some_and(|due| due <= now.mono) {
            call.media.handle_timeout(now.mono);
        }
        if call.accept_due.is_some_and(|due| due <= now.mono) {
            call.accept_due = None;
            let (accept, sid) = (call.accept(), call.sid.clone());
            self.line
                .ask(now, accept, Question::Accept(sid), Some(ANSWER_TIMEOUT));
        }
        let renewal = self.call.as_ref().and_then(|call| call.renewal_due);
        if renewal.is_some_and(|due| due <= now.mono) {
            self.restart(now);
        }
    }

    pub(super) fn accept_answered(
        &mut self,
        now: Now,
        sid: &str,
        is_taken: bool,
        condition: Option<Condition>,
    ) {
        match self.current_call(sid) {
            Some(call) if is_taken => {
                call.is_accepted = true;
                self.announce(now);
            }
            Some(_) => self.trouble(Trouble::AcceptRefused(condition)),
            None => {}
        }
    }

    pub(super) fn current_call(&mut self, sid: &str) -> Option<&mut Call> {
        self.call.as_mut().filter(|call| call.sid == sid)
    }

    pub(super) fn end_call(&mut self) {
        if let Some(call) = self.call.take() {
            self.past_media.merge(&call.media.totals());
        }
        self.is_channel_open = false;
        self.forwarded = None;
        if matches!(self.channel, Channel::Socket { .. }) {
            self.outputs.push_back(Output::ChannelClose);
        }
        self.channel = Channel::None;
    }

    // Our sources.

    /// Tells the focus of what is wanted now and was not before. Jitsi's client does that only
    /// after the answer to its session-accept.
    pub(super) fn announce(&mut self, now: Now) {
        let withheld = self.withheld();
        let wanted: Vec<MediaKind> = MediaKind::ALL
            .into_iter()
            .filter(|kind| !withheld.contains(kind))
            .collect();
        let Some(call) = self.call.as_mut().filter(|call| call.is_accepted) else {
            return;
        };
        for kind in wanted {
            if let Some(add) = call.announce(kind) {
                let question = Question::SourceAdd(call.sid.clone(), kind);
                self.line.ask(now, add, question, Some(ANSWER_TIMEOUT));
            }
        }
    }

    /// What the focus is not to be told of now: what was not wanted yet, and what we may not send.
    fn withheld(&self) -> Vec<MediaKind> {
        let may_send = self.kinds();
        let kinds = MediaKind::ALL.into_iter();
        kinds
            .filter(|kind| self.unannounced.contains(kind) || !may_send.contains(kind))
            .collect()
    }

    pub(super) fn source_add_answered(
        &mut self,
        now: Now,
        sid: &str,
        kind: MediaKind,
        outcome: Outcome,
    ) {
        let condition = match outcome {
            Outcome::Done => return,
            Outcome::Refused(condition) => Some(condition),
            Outcome::Unanswered => None,
        };
        let Some(call) = self.current_call(sid) else {
            return;
        };
        let taken_back = call.withdraw(kind);
        // It may still be on its way, and be taken after a resumption. Jitsi's client takes the
        // track out of its SDP, which has the same effect.
        if let (None, Some(remove)) = (condition.as_ref(), taken_back) {
            self.line
                .ask(now, remove, Question::SourceRemove, Some(ANSWER_TIMEOUT));
        }
        self.unannounced.push(kind);
        self.notice(Notice::UnmuteRefused(kind, condition));
        match kind {
            MediaKind::Audio => self.mute(now, MediaType::Audio, true),
            MediaKind::Video => self.mute(now, MediaType::Video, true),
            MediaKind::Desktop => self.share_screen(now, false),
        }
    }

    // Dead paths.

    /// Nothing passes any more: a new path in this session, if that is wanted, or another session.
    pub(super) fn path_lost(&mut self, now: Now) {
        let Some(call) = &self.call else { return };
        if call.is_restarting || call.renewal_due.is_some() {
            return;
        }
        if !self.config.habits.has_ice_restart || !self.ask_for_path(now) {
            self.restart(now);
        }
    }

    /// False if that is not possible here.
    fn ask_for_path(&mut self, now: Now) -> bool {
        let Some(call) = &mut self.call else {
            return false;
        };
        let (Some(request), false) = (call.renew_path(), call.is_restarting) else {
            return false;
        };
        call.renewal_due = Some(now.mono + RENEWAL_TIMEOUT);
        let question = Question::RenewPath(call.sid.clone());
        self.line.ask(now, request, question, Some(ANSWER_TIMEOUT));
        true
    }

    pub(super) fn renewal_answered(&mut self, now: Now, sid: &str, is_taken: bool) {
        let is_open = self
            .current_call(sid)
            .is_some_and(|call| call.renewal_due.is_some());
        if is_open && !is_taken {
            self.restart(now);
        }
    }

    fn handle_new_path(&mut self, now: Now, offered: &Jingle) {
        let call = self.call.as_mut().filter(|call| call.sid == offered.sid);
        let answer = call.and_then(|call| call.take_new_path(offered, &mut self.random, now));
        match answer {
            Some(answer) => {
                self.line
                    .ask(now, answer, Question::NewPath, Some(ANSWER_TIMEOUT));
            }
            // COMPAT(lib-jitsi-meet): any other transport-info of the focus is ignored.
            None => tracing::debug!("a transport-info that offers no new path"),
        }
    }

    pub(super) fn path_is_back(&mut self) {
        let due = self.call.as_mut().and_then(|call| call.renewal_due.take());
        if due.is_some() {
            self.notice(Notice::MediaRenewed);
        }
    }

    /// The path is dead: asks for another session.
    fn restart(&mut self, now: Now) {
        let Some(call) = &mut self.call else { return };
        if call.is_restarting {
            return;
        }
        call.is_restarting = true;
        call.renewal_due = None;
        self.restarts += 1;
        let (terminate, sid) = (call.restart(), call.sid.clone());
        self.trouble(Trouble::PathLost);
        self.line
            .ask(now, terminate, Question::Restart(sid), Some(ANSWER_TIMEOUT));
    }

    pub(super) fn restart_answered(
        &mut self,
        sid: &str,
        is_taken: bool,
        condition: Option<Condition>,
    ) {
        if self.current_call(sid).is_some() {
            self.end_call();
        }
        // An unknown session has ended already, which is what we wanted.
        if !is_taken && condition != Some(Condition::ItemNotFound) {
            self.trouble(Trouble::RestartRefused(condition));
        }
    }
}

/// Jitsi's client gives a new path so long before it asks for a new session.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(15);
