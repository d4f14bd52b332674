//! What a room says about itself: disco#info, asked after joining and whenever the room says that
//! its configuration changed.

use super::*;

/// A room's own description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomInfo {
    /// The room has answered.
    pub is_known: bool,
    /// A password is needed.
    pub is_locked: bool,
    /// There is a lobby.
    pub is_members_only: bool,
    pub meeting_id: Option<String>,
    /// Milliseconds since 1970, as text.
    pub created: Option<String>,
    pub lobby: Option<RoomJid>,
    pub is_breakout: bool,
    pub main_room: Option<RoomJid>,
    pub has_visitors: bool,
}

impl RoomInfo {
    fn of(info: &DiscoInfo) -> RoomInfo {
        let mut forms = info.forms.iter();
        let form = forms.find(|form| form.type_ == FormType::Result);
        let value = |name: &str| {
            let value = form?.value(&format!("muc#roominfo_{name}"))?;
            Some(value.to_owned()).filter(|value| !value.is_empty())
        };
        let room = |name: &str| room_of(&value(name)?.parse().ok()?);
        RoomInfo {
            is_known: true,
            is_locked: info.has_feature("muc_passwordprotected"),
            is_members_only: info.has_feature("muc_membersonly"),
            meeting_id: value("meetingId"),
            created: value("created_timestamp"),
            lobby: room("lobbyroom"),
            // COMPAT(lib-jitsi-meet): any text counts as true.
            is_breakout: value("isbreakout").is_some(),
            main_room: room("breakout_main_room"),
            has_visitors: value("visitorsEnabled").as_deref() == Some("1"),
        }
    }
}

impl Client {
    /// What the room says about itself.
    pub fn room_info(&self) -> &RoomInfo {
        &self.meeting.info
    }

    pub(super) fn ask_room_info(&mut self, now: Now) {
        let question = Question::Room(self.room.clone());
        let to = self.room.bare().clone().into();
        self.ask(now, to, "get", DiscoInfo::query(None), question);
    }

    pub(super) fn room_answered(&mut self, now: Now, room: &RoomJid, result: Option<&Stanza>) {
        let info = result.and_then(components::info_of);
        if let Some(info) = info.filter(|_| *room == self.room) {
            self.meeting.info = RoomInfo::of(&info);
            self.watch_lobby(now);
        }
    }
}
