//! Shared files: which there are and who offers them. The bytes are elsewhere.
//!
//! Speaks: `<file-sharing/>` to the service `filesharing.`, `add`, `remove` and `list` as JSON from
//! it (Jitsi's `mod_filesharing_component`). Who offers a file says the server.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tertulia_model::Service;
use tertulia_room::OccupantId;
use tertulia_room::rights::{Act, may};
use tertulia_stanza::json_message::{PROTOTYPE, read_object};
use tertulia_stanza::{Condition, Element, Stanza, StanzaError, ns};

use crate::feature::{refused, service_message, switched_off};
use crate::hall::{Cx, Hall};
use crate::journal::Journal;
use crate::standings::Identity;

/// The files offered in a room, by id.
#[derive(Default)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct SharedFiles {
    files: BTreeMap<String, SharedFile>,
}

#[cfg_attr(test, derive(Debug))]
struct SharedFile {
    by: Identity,
    /// As clients are told.
    shown: Map<String, Value>,
}

impl SharedFiles {
    /// The files of a room that was cut off.
    pub(crate) fn restored(journal: &Journal, prefix: &str) -> SharedFiles {
        let prefix = format!("{prefix}{PREFIX}");
        let read = |(id, value): (&str, &str)| {
            let kept: Value = serde_json::from_str(value).ok()?;
            let file = SharedFile {
                by: kept.get("by")?.as_str()?.parse().ok()?,
                shown: kept.get("file")?.as_object()?.clone(),
            };
            Some((id.to_owned(), file))
        };
        SharedFiles {
            files: journal.under(&prefix).filter_map(read).collect(),
        }
    }
}

impl Hall {
    /// A message to the service from somebody inside.
    pub(crate) fn handle_file_sharing(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        message: &Stanza,
    ) -> Result<(), StanzaError> {
        if !cx.config.rules.has_file_sharing {
            return Err(switched_off("file sharing"));
        }
        let command = message
            .child("file-sharing", ns::JITSI_MEET)
            .ok_or_else(|| refused(Condition::BadRequest, "expected file-sharing"))?;
        if !self
            .room
            .occupant(who)
            .is_some_and(|who| may(who, Act::ShareFile))
        {
            return Err(Condition::Forbidden.into());
        }
        match command.attr("type") {
            Some("add") => self.add_file(cx, who, command),
            Some("remove") => self.remove_file(cx, who, command),
            _ => Err(refused(
                Condition::BadRequest,
                "expected type add or remove",
            )),
        }
    }

    /// Somebody has come in: which files there are.
    pub(crate) fn greet_with_files(&mut self, cx: &Cx<'_>, id: OccupantId) {
        let Some(session) = self.room.occupant(id).map(|o| o.profile().id) else {
            return;
        };
        if self.files.files.is_empty() {
            return;
        }
        let files = self.files.files.iter();
        let files = files.map(|(id, file)| (id.clone(), Value::Object(file.shown.clone())));
        let files: Map<String, Value> = files.collect();
        let list = json!({ "type": TYPE, "event": "list", "files": files });
        self.room
            .answer(session, service_message(cx, Service::FileSharing, &list));
    }

    fn add_file(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        command: &Element,
    ) -> Result<(), StanzaError> {
        let author = self.room.occupant(who).ok_or(Condition::NotAcceptable)?;
        let text = command.text();
        if text.len() > cx.config.rules.file_bytes_max {
            let text = "the description of the file is too large";
            return Err(refused(Condition::NotAcceptable, text));
        }
        let mut shown = read_object(&text)
            .map_err(|error| refused(Condition::BadRequest, &error.to_string()))?;
        check_shape(&shown)?;
        let id = shown.get("fileId").and_then(Value::as_str);
        let id = legal_id(id)?.to_owned();
        let by = Identity::of(author);
        match self.files.files.get(&id) {
            Some(other) if other.by != by => {
                let text = "there is another's file with this fileId";
                return Err(refused(Condition::Conflict, text));
            }
            None if self.files.files.len() >= cx.config.rules.files_max => {
                let text = "too many files in this room";
                return Err(refused(Condition::ResourceConstraint, text));
            }
            _ => {}
        }
        let session = author.profile().id;
        let said_by_us = [
            ("authorParticipantId", author.nick().to_string()),
            ("authorParticipantJid", author.profile().jid.to_string()),
            (
                "authorParticipantName",
                author.display_name().unwrap_or_default(),
            ),
            ("conferenceFullName", self.jid().to_string()),
        ];
        for (name, value) in said_by_us {
            shown.insert(name.to_owned(), value.into());
        }
        let kept = json!({ "by": by.to_string(), "file": shown });
        let news = json!({ "type": TYPE, "event": "add", "file": shown });
        let key = format!("{}{PREFIX}{id}", self.journal_prefix);
        cx.journal.set(&key, &kept.to_string());
        self.files.files.insert(id, SharedFile { by, shown });
        self.room
            .send_to_others(session, service_message(cx, Service::FileSharing, &news));
        Ok(())
    }

    fn remove_file(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        command: &Element,
    ) -> Result<(), StanzaError> {
        let sender = self.room.occupant(who).ok_or(Condition::NotAcceptable)?;
        let id = legal_id(command.attr("fileId"))?;
        let file = self.files.files.get(id);
        let file = file.ok_or_else(|| refused(Condition::ItemNotFound, "no such fileId"))?;
        if file.by != Identity::of(sender) && !may(sender, Act::Configure) {
            let text = "only its author or a moderator takes a file away";
            return Err(refused(Condition::Forbidden, text));
        }
        let session = sender.profile().id;
        let news = json!({ "type": TYPE, "event": "remove", "fileId": id });
        cx.journal
            .remove(&format!("{}{PREFIX}{id}", self.journal_prefix));
        self.files.files.remove(id);
        self.room
            .send_to_others(session, service_message(cx, Service::FileSharing, &news));
        Ok(())
    }
}

fn legal_id(id: Option<&str>) -> Result<&str, StanzaError> {
    let is_legal = |id: &&str| {
        (1..=ID_BYTES_MAX).contains(&id.len()) && !id.contains(char::is_control) && *id != PROTOTYPE
    };
    id.filter(is_legal).ok_or_else(|| {
        let text = "expected fileId of 1 to 256 bytes";
        refused(Condition::BadRequest, text)
    })
}

fn check_shape(file: &Map<String, Value>) -> Result<(), StanzaError> {
    let expected = |name: &str, what: &str, is_right: fn(&Value) -> bool| {
        if file.get(name).is_some_and(is_right) {
            return Ok(());
        }
        let text = format!("expected {what}: {name}");
        Err(refused(Condition::BadRequest, &text))
    };
    expected("fileName", "a text", Value::is_string)?;
    expected("fileType", "a text", Value::is_string)?;
    expected("fileSize", "a number of bytes", Value::is_u64)?;
    expected("timestamp", "a number", Value::is_number)
}

const TYPE: &str = "file-sharing";
const PREFIX: &str = "file/";
const ID_BYTES_MAX: usize = 256;
