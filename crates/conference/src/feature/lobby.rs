//! The lobby: who is not a member waits beside the room until a moderator lets them in.
//!
//! Speaks: `muc#roomconfig_membersonly`, the error `registration-required` with `lobbyroom`,
//! invitations in the name of the room, `lobby-notify` messages (Jitsi's `mod_muc_lobby_rooms`).
//! Those who wait see nobody but themselves; moderators who look in see those who wait. The same
//! lobby keeps guests where a host has to be there first (`mod_muc_wait_for_host`).

use std::sync::Arc;

use serde_json::json;
use tertulia_model::jid::Jid;
use tertulia_model::{Host, RoomJid, SessionId, SessionProfile};
use tertulia_room::rights::{Act, may};
use tertulia_room::{Candidate, Occupant, OccupantId};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::json_message::json_message;
use tertulia_stanza::muc::Affiliation;
use tertulia_stanza::{
    Condition, Element, ErrorType, Kind, Stanza, StanzaError, WithAttribute, ns, text_element,
};

use crate::Conference;
use crate::feature::{metadata, refused};
use crate::standings::Identity;
use crate::waiting_room::{Said, Viewer, WaitingRoom};

/// What the lobby means for the meeting.
#[derive(Default)]
pub(crate) struct Lobby {
    /// There while the room is for members only.
    waiting_room: Option<WaitingRoom>,
    /// It is only there because no host has come yet.
    is_for_host: bool,
    /// A host has been here: nobody has to wait for one any more.
    has_seen_host: bool,
}

impl Lobby {
    pub(crate) fn is_open(&self) -> bool {
        self.waiting_room.is_some()
    }

    /// Whether anybody waits.
    pub(crate) fn is_anybody(&self) -> bool {
        self.waiting_room
            .as_ref()
            .is_some_and(|room| room.waiting().next().is_some())
    }

    /// Those who wait, for who looks from outside.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&str, &SessionProfile)> {
        let rooms = self.waiting_room.iter();
        rooms.flat_map(|room| room.waiting().map(|p| (p.nick(), p.profile())))
    }

    pub(crate) fn describe(&self, info: &mut DiscoInfo) {
        let Some(room) = &self.waiting_room else {
            return;
        };
        if let Some(form) = info.forms.pop() {
            let lobby = room.jid().to_string();
            info.forms.push(form.with("muc#roominfo_lobbyroom", &lobby));
        }
    }
}

impl Conference {
    /// Opens the lobby of a meeting that was cut off, if it had one.
    pub(crate) fn restore_lobby(&mut self) {
        if self.main_hall().room.configuration().is_members_only {
            self.open_waiting_room();
            if let Some(hall) = self.halls.get_mut(&self.main) {
                hall.set_own_metadata(&self.config, metadata::LOBBY_ENABLED, true.into());
            }
        }
    }

    /// The affiliation with which somebody gets past the lobby, or the error that sends them there
    /// (rooms-and-focus 8.2).
    pub(crate) fn check_lobby(
        &mut self,
        room: &RoomJid,
        who: &Candidate,
        affiliation: Affiliation,
    ) -> Result<Affiliation, StanzaError> {
        let is_host = who.profile.account.is_some();
        if self.config.rules.has_wait_for_host && !self.lobby.has_seen_host {
            if is_host {
                self.host_arrived();
            } else if !self.lobby.is_open() && *room == self.main {
                self.lobby.is_for_host = true;
                self.set_members_only(true);
            }
        }
        let Some(waiting_room) = &self.lobby.waiting_room else {
            return Ok(affiliation);
        };
        if affiliation != Affiliation::None {
            return Ok(affiliation);
        }
        let password = &self.main_hall().room.configuration().password;
        if password.is_some() && who.password == *password {
            return Ok(Affiliation::Member);
        }
        if who.display_name.is_none() && !self.lobby.is_for_host {
            let required = Element::builder("displayname-required", ns::JITSI_MEET);
            let required = required.with("lobby", "true").build();
            let error = StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Modify);
            return Err(error.with_extra(required));
        }
        let mut error =
            StanzaError::new(Condition::RegistrationRequired).with_type(ErrorType::Auth);
        if self.lobby.is_for_host {
            error = error.with_extra(Element::bare("waiting-for-host", ns::JITSI_MEET));
        }
        let jid = waiting_room.jid().to_string();
        Err(error.with_extra(text_element("lobbyroom", ns::JITSI_MEET, &jid)))
    }

    /// An owner changed the configuration of the main room.
    pub(crate) fn lobby_configured(&mut self, by: OccupantId) {
        let is_wanted = self.main_hall().room.configuration().is_members_only;
        if is_wanted == self.lobby.is_open() {
            return;
        }
        self.switch_lobby(is_wanted);
        let notice = json!({
            "type": "lobby-notify",
            "event": "LOBBY-ENABLED",
            "value": is_wanted,
        });
        self.notify_in_main(by, &notice);
    }

    /// An invitation in the name of the room: who waits may come in. False if it is none.
    pub(crate) fn handle_invitation(
        &mut self,
        from: &SessionProfile,
        room: &RoomJid,
        message: &Stanza,
    ) -> bool {
        let has_resource = message
            .to
            .as_ref()
            .is_some_and(|to| to.resource().is_some());
        if message.kind != Kind::Message || has_resource || message.is_type("error") {
            return false;
        }
        let Some(x) = message.child("x", ns::MUC_USER) else {
            return false;
        };
        let invited = x
            .children()
            .filter(|child| child.is("invite", ns::MUC_USER));
        let invited: Vec<Result<Jid, StanzaError>> = invited
            .map(|invite| {
                let to = invite.attr("to").unwrap_or_default();
                to.parse()
                    .map_err(|_| refused(Condition::JidMalformed, "invite: to"))
            })
            .collect();
        if invited.is_empty() {
            return false;
        }
        let invited: Result<Vec<Jid>, StanzaError> = invited.into_iter().collect();
        let result = invited.and_then(|invited| self.let_in(from, room, &invited));
        if let Err(error) = result {
            tracing::debug!(condition = %error.condition, "invitation refused");
            if message.may_be_refused() {
                self.answer(from.id, message.error(error));
            }
        }
        true
    }

    fn let_in(
        &mut self,
        from: &SessionProfile,
        room: &RoomJid,
        invited: &[Jid],
    ) -> Result<(), StanzaError> {
        let hall = self.halls.get(room).ok_or(Condition::ItemNotFound)?;
        let sender = hall.room.occupant_of(from.id);
        let sender = sender.filter(|sender| may(sender, Act::Admit));
        let sender = sender.ok_or(Condition::Forbidden)?;
        let (by, sender_jid) = (sender.id(), sender.jid().clone());
        let Some(waiting_room) = &mut self.lobby.waiting_room else {
            return Err(refused(Condition::ItemNotFound, "there is no lobby"));
        };
        let mut admitted = Vec::new();
        for jid in invited {
            // Some may have given up meanwhile; the others come in all the same.
            admitted.extend(waiting_room.find(jid));
        }
        if admitted.is_empty() {
            let text = "nobody of these waits in the lobby";
            return Err(refused(Condition::ItemNotFound, text));
        }
        for one in admitted {
            self.standings
                .note(&mut self.journal, one.identities, Affiliation::Member);
            let invite = Element::builder("invite", ns::MUC_USER)
                .with("from", sender_jid.as_str())
                .build();
            let x = Element::builder("x", ns::MUC_USER).append(invite).build();
            let message = Stanza::new(Kind::Message)
                .with_from(Jid::from(self.main.bare().clone()))
                .with_child(x);
            self.answer(one.session, message);
            let notice = json!({
                "type": "lobby-notify",
                "event": "LOBBY-ACCESS-GRANTED",
                "value": one.jid.to_string(),
                "name": one.name,
            });
            self.notify(room, by, &notice);
        }
        Ok(())
    }

    /// A session is over.
    pub(crate) fn end_in_lobby(&mut self, session: SessionId) {
        if let Some(waiting_room) = &mut self.lobby.waiting_room {
            let said = waiting_room.drop_session(session);
            self.say(said);
        }
    }

    /// A stanza to the lobby or to somebody in it.
    pub(crate) fn handle_lobby_stanza(&mut self, from: &Arc<SessionProfile>, stanza: &Stanza) {
        let viewer = self.viewer(from, stanza);
        let Some(waiting_room) = &mut self.lobby.waiting_room else {
            if let Some(refusal) = crate::refuse_missing(stanza) {
                self.answer(from.id, refusal);
            }
            return;
        };
        self.standings.meet(from);
        let said = waiting_room.handle_stanza(from, viewer, stanza);
        for one in said {
            match one {
                Said::Deliver { to, stanza } => self.answer(to, stanza),
                Said::Denied { jid, name } => {
                    let notice = json!({
                        "type": "lobby-notify",
                        "event": "LOBBY-ACCESS-DENIED",
                        "value": jid.to_string(),
                        "name": name,
                    });
                    let by = self.hall_of(from.id).and_then(|room| {
                        let occupant = self.halls.get(&room)?.room.occupant_of(from.id)?;
                        Some((room.clone(), occupant.id()))
                    });
                    if let Some((room, by)) = by {
                        self.notify(&room, by, &notice);
                    }
                }
            }
        }
    }

    /// Whoever looked in and may not any more is led out.
    pub(crate) fn settle_lobby(&mut self) {
        let Some(waiting_room) = &mut self.lobby.waiting_room else {
            return;
        };
        let halls = &self.halls;
        let may_look = |session| {
            let mut halls = halls.values();
            halls.any(|hall| {
                hall.room
                    .occupant_of(session)
                    .is_some_and(|o| may(o, Act::Admit))
            })
        };
        let said = waiting_room.dismiss_moderators(may_look);
        self.say(said);
    }

    /// The lobby goes; with an address, those who wait are to go there.
    pub(crate) fn close_lobby(&mut self, to: Option<Jid>, reason: Option<&str>) {
        let Some(mut waiting_room) = self.lobby.waiting_room.take() else {
            return;
        };
        let said = waiting_room.destroy(to, reason);
        self.say(said);
    }

    fn say(&mut self, said: Vec<Said>) {
        for one in said {
            if let Said::Deliver { to, stanza } = one {
                self.answer(to, stanza);
            }
        }
    }

    fn viewer(&self, from: &SessionProfile, stanza: &Stanza) -> Viewer {
        let mut halls = self.halls.values();
        let is_moderator = halls.any(|hall| {
            let occupant = hall.room.occupant_of(from.id);
            occupant.is_some_and(|o| may(o, Act::Admit))
        });
        let device = self
            .expected
            .device(from.id, crate::machine_uid(stanza).as_deref());
        Viewer {
            is_moderator,
            affiliation: self.standings.of(from, device),
            identities: Identity::all_of(from, device),
        }
    }

    fn host_arrived(&mut self) {
        self.lobby.has_seen_host = true;
        if std::mem::take(&mut self.lobby.is_for_host) {
            self.set_members_only(false);
        }
    }

    /// In nobody's name.
    fn set_members_only(&mut self, is_members_only: bool) {
        if let Some(hall) = self.halls.get_mut(&self.main) {
            let mut configuration = hall.room.configuration().clone();
            configuration.is_members_only = is_members_only;
            hall.room.configure(configuration);
        }
        self.switch_lobby(is_members_only);
    }

    fn switch_lobby(&mut self, is_open: bool) {
        if is_open {
            self.make_all_members();
            self.open_waiting_room();
        } else {
            self.lobby.is_for_host = false;
            let main = Jid::from(self.main.bare().clone());
            self.close_lobby(Some(main), None);
        }
        if let Some(hall) = self.halls.get_mut(&self.main) {
            hall.keep_configuration(&mut self.journal);
            hall.set_own_metadata(&self.config, metadata::LOBBY_ENABLED, is_open.into());
        }
    }

    /// Whoever is inside when the lobby opens comes back in without being asked.
    fn make_all_members(&mut self) {
        let mut strangers = Vec::new();
        for (room, hall) in &self.halls {
            let inside = hall.room.occupants();
            let is_stranger = |o: &&Occupant| o.affiliation() == Affiliation::None;
            let inside = inside.filter(|o| is_stranger(o) && !o.is_hidden());
            strangers.extend(inside.map(|o| (room.clone(), o.id())));
        }
        for (room, who) in strangers {
            self.give(&room, who, Affiliation::Member);
        }
    }

    fn open_waiting_room(&mut self) {
        let hosts = &self.config.hosts;
        let tenant = hosts.tenant(self.main.bare().domain());
        let host = hosts.name_for(Host::Lobby, tenant);
        let host = host.expect("the tenant of a room is a label");
        let jid = tertulia_model::jid::BareJid::from_parts(self.main.bare().node(), &host);
        let jid = RoomJid::new(jid).expect("the main room has a name");
        self.lobby.waiting_room = Some(WaitingRoom::new(
            jid,
            self.config.rules.lobby_waiting_max,
            self.config.room.name_chars_max,
        ));
    }

    fn notify_in_main(&mut self, by: OccupantId, notice: &serde_json::Value) {
        let main = self.main.clone();
        self.notify(&main, by, notice);
    }

    /// Tells everybody in a room what somebody there did with the lobby.
    fn notify(&mut self, room: &RoomJid, by: OccupantId, notice: &serde_json::Value) {
        let Some(hall) = self.halls.get_mut(room) else {
            return;
        };
        let Some(by) = hall.room.occupant(by).map(|o| o.jid().clone()) else {
            return;
        };
        let json = json_message(notice);
        let message = Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_from(by)
            .with_child(json);
        hall.room.send_to_everybody(message);
    }
}
