//! The Jitsi features around room and focus, one file each.

pub(crate) mod breakout_rooms;
pub(crate) mod conference_duration;
pub(crate) mod conference_request;
pub(crate) mod end_conference;
pub(crate) mod lobby;
pub(crate) mod meeting_id;
pub(crate) mod moderators;
pub(crate) mod password;
pub(crate) mod services;
pub(crate) mod visitors;
