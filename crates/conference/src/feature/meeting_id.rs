//! The meeting's id: one for each time a room comes to life.
//!
//! Speaks: muc#roominfo_meetingId.

use tertulia_room::Room;
use tertulia_stanza::disco::DiscoInfo;

pub(crate) fn describe(room: &Room, info: &mut DiscoInfo) {
    if let Some(form) = info.forms.pop() {
        info.forms
            .push(form.with("muc#roominfo_meetingId", room.id().as_str()));
    }
}
