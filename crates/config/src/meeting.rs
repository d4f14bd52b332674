//! What administrators decide about rooms and meetings.

use std::time::Duration;

use crate::reader::Reader;
use crate::values::MANY;

/// Rules of all rooms, and which features a meeting has. Counts are the largest number allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingSettings {
    /// Waiting rooms.
    pub has_lobby: bool,
    pub has_breakout_rooms: bool,
    /// Moderators may forbid microphones, cameras and screens.
    pub has_av_moderation: bool,
    pub has_polls: bool,
    /// Messages about shared files.
    pub has_file_sharing: bool,
    /// Moderators may end the meeting for all.
    pub has_end_conference: bool,
    /// Who has spoken how long.
    pub has_speaker_stats: bool,
    /// People who only watch and listen.
    pub has_visitors: bool,
    /// So many participants, then newcomers are visitors; None is never.
    pub visitors_after: Option<usize>,
    /// The first person in a room becomes moderator, and the next one when none is left.
    pub has_auto_owner: bool,
    /// Everybody is moderator.
    pub is_everyone_moderator: bool,
    /// Guests wait until somebody with an account is there.
    pub has_wait_for_host: bool,
    /// Nobody joins without a name.
    pub is_display_name_required: bool,
    /// People let into one room in a second.
    pub joins_per_second: u32,
    /// People who wait for that.
    pub joins_waiting_max: usize,
    /// How long the room journal outlasts the meeting.
    pub journal_linger: Duration,
    /// Streams come to clients that can it in a fixed set of slots.
    pub has_ssrc_rewriting: bool,
    /// A lost media path is repaired in place where the client asks for it.
    pub has_ice_restart: bool,
    /// People with their microphone on; None is no limit.
    pub audio_senders_max: Option<usize>,
    /// People with camera or screen on; None is no limit.
    pub video_senders_max: Option<usize>,
    /// So many participants, then newcomers start with microphone off; None is nobody.
    pub start_audio_muted: Option<u32>,
    /// The same for cameras.
    pub start_video_muted: Option<u32>,
    /// Wrong room passwords in a minute of one device.
    pub wrong_passwords_per_minute: u32,
    /// People in one lobby.
    pub lobby_waiting_max: usize,
    /// Breakout rooms of one meeting.
    pub breakout_rooms_max: usize,
    /// Polls of one room.
    pub polls_max: usize,
    /// Bytes of one poll as it is sent.
    pub poll_bytes_max: usize,
    /// Files that one room lists.
    pub files_max: usize,
    /// Bytes that describe one of them.
    pub file_bytes_max: usize,
    /// Keys of a room's metadata that moderators set.
    pub metadata_keys_max: usize,
    /// Bytes of them with their values.
    pub metadata_bytes_max: usize,
}

/// Reads them all; mistakes stay in the reader.
pub(crate) fn read(keys: &mut Reader) -> MeetingSettings {
    MeetingSettings {
        has_lobby: keys.flag("meeting.lobby"),
        has_breakout_rooms: keys.flag("meeting.breakout_rooms"),
        has_av_moderation: keys.flag("meeting.av_moderation"),
        has_polls: keys.flag("meeting.polls"),
        has_file_sharing: keys.flag("meeting.file_sharing"),
        has_end_conference: keys.flag("meeting.end_conference"),
        has_speaker_stats: keys.flag("meeting.speaker_stats"),
        has_visitors: keys.flag("meeting.visitors"),
        visitors_after: Some(keys.number("meeting.visitors_after", 0, MANY))
            .filter(|participants| *participants > 0),
        has_auto_owner: keys.flag("room.auto_owner"),
        is_everyone_moderator: keys.flag("room.everyone_moderator"),
        has_wait_for_host: keys.flag("room.wait_for_host"),
        is_display_name_required: keys.flag("room.display_name_required"),
        joins_per_second: keys.number("room.joins_per_second", 1, MANY),
        joins_waiting_max: keys.count("room.joins_waiting"),
        journal_linger: keys.duration("room.journal_linger"),
        has_ssrc_rewriting: keys.flag("media.ssrc_rewriting"),
        has_ice_restart: keys.flag("media.ice_restart"),
        audio_senders_max: keys.count_or_none("media.audio_senders"),
        video_senders_max: keys.count_or_none("media.video_senders"),
        start_audio_muted: keys.count_or_none("media.start_audio_muted"),
        start_video_muted: keys.count_or_none("media.start_video_muted"),
        wrong_passwords_per_minute: keys.number("limits.wrong_passwords_per_minute", 1, MANY),
        lobby_waiting_max: keys.count("limits.lobby_waiting"),
        breakout_rooms_max: keys.count("limits.breakout_rooms"),
        polls_max: keys.count("limits.polls"),
        poll_bytes_max: keys.bytes("limits.poll"),
        files_max: keys.count("limits.files"),
        file_bytes_max: keys.bytes("limits.file_description"),
        metadata_keys_max: keys.count("limits.metadata_keys"),
        metadata_bytes_max: keys.bytes("limits.metadata"),
    }
}
