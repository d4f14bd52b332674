//! What an administrator decides about all meetings.

/// Rules of all meetings and bounds of their features. Counts are the largest number allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Owners can open a lobby.
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
    pub is_everyone_moderator: bool,
    /// Guests wait until somebody with an account is there.
    pub has_wait_for_host: bool,
    /// Nobody joins without a name.
    pub is_display_name_required: bool,
    /// People let into one room in a second, and those who wait for that.
    pub joins_per_second: u32,
    pub joins_waiting_max: usize,
    /// So many participants, then newcomers start with microphone (camera) off; None is nobody.
    pub start_audio_muted: Option<u32>,
    pub start_video_muted: Option<u32>,
    /// Wrong room passwords in a minute of one device.
    pub wrong_passwords_per_minute: u32,
    pub lobby_waiting_max: usize,
    pub breakout_rooms_max: usize,
    pub polls_max: usize,
    /// Bytes of one poll as it is sent.
    pub poll_bytes_max: usize,
    pub files_max: usize,
    /// Bytes that describe one file.
    pub file_bytes_max: usize,
    /// Keys of a room's metadata that moderators set, and bytes of them with their values.
    pub metadata_keys_max: usize,
    pub metadata_bytes_max: usize,
}
