//! The Jitsi features around room and focus, one file each.

pub(crate) mod av_moderation;
pub(crate) mod breakout_rooms;
pub(crate) mod conference_duration;
pub(crate) mod conference_request;
pub(crate) mod display_name;
pub(crate) mod end_conference;
pub(crate) mod file_sharing;
pub(crate) mod join_queue;
pub(crate) mod lobby;
pub(crate) mod meeting_id;
pub(crate) mod metadata;
pub(crate) mod moderators;
pub(crate) mod mute;
pub(crate) mod password;
pub(crate) mod polls;
pub(crate) mod services;
pub(crate) mod speaker_stats;
pub(crate) mod start_muted;
pub(crate) mod visitors;

use serde_json::Value;
use tertulia_model::jid::{BareJid, Jid};
use tertulia_model::{Host, RoomJid, Service};
use tertulia_stanza::json_message::json_message;
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError};

use crate::hall::Cx;
use crate::route;

/// A refusal that says which field is wrong and what it should be.
pub(crate) fn refused(condition: Condition, text: &str) -> StanzaError {
    StanzaError::new(condition).with_text(text)
}

/// The refusal where the administrator has switched a feature off.
pub(crate) fn switched_off(feature: &str) -> StanzaError {
    let text = format!("this server has no {feature}");
    refused(Condition::FeatureNotImplemented, &text)
}

/// What a service says.
pub(crate) fn service_message(cx: &Cx<'_>, service: Service, json: &Value) -> Stanza {
    let from = Jid::from(cx.config.hosts.name(Host::Service(service)));
    Stanza::new(Kind::Message)
        .with_from(from)
        .with_child(json_message(json))
}

/// Whether the attribute `room` of a command names the room in which its author is.
pub(crate) fn check_named_room(
    cx: &Cx<'_>,
    room: &RoomJid,
    command: &Element,
) -> Result<(), StanzaError> {
    let named = command.attr("room");
    let named = named.ok_or_else(|| refused(Condition::BadRequest, "expected attribute room"))?;
    let named: Option<BareJid> = named.parse().ok();
    let named = named.and_then(|named| route::room(&cx.config.hosts, named));
    match named {
        None => Err(refused(Condition::JidMalformed, "room")),
        Some(named) if named == *room => Ok(()),
        Some(_) => {
            let text = "only for those inside: room";
            Err(refused(Condition::Forbidden, text))
        }
    }
}
