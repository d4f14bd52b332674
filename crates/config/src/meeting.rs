//! What administrators decide about rooms and meetings.

use tertulia_conference::Rules;

use crate::reader::Reader;
use crate::values::MANY;

/// Reads them all; mistakes stay in the reader.
pub(crate) fn rules(keys: &mut Reader) -> Rules {
    Rules {
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
