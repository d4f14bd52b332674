//! A/V moderation: who may turn on microphone, camera or screen is decided by moderators.
//!
//! Speaks: `<av_moderation/>` messages to the service `avmoderation.`, JSON from it (Jitsi's
//! `mod_av_moderation_component`). What is forbidden is a capability less, so that the bridge
//! drops what a client sends all the same. The lists are kept by identity: whoever was approved
//! stays so after a reload or a crash.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tertulia_model::jid::FullJid;
use tertulia_model::{Capability, Service, SessionId};
use tertulia_room::rights::{Act, Standing, may};
use tertulia_room::{Occupant, OccupantId, Room};
use tertulia_stanza::muc::Affiliation;
use tertulia_stanza::mute::MuteMedia;
use tertulia_stanza::{Condition, Stanza, StanzaError, ns};

use crate::feature::{refused, service_message, switched_off};
use crate::hall::{Cx, Hall};
use crate::journal::Journal;
use crate::standings::Identity;

/// What is moderated in a room.
#[derive(Default)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct AvModeration {
    by_media: BTreeMap<MuteMedia, Moderated>,
}

#[cfg_attr(test, derive(Debug))]
struct Moderated {
    /// Who wanted it, by the address in the room.
    actor: String,
    /// Who may turn it on although not a moderator.
    approved: BTreeSet<Identity>,
    /// Newcomers left it off even before.
    did_start_muted: bool,
}

impl AvModeration {
    /// What was moderated in a room that was cut off.
    pub(crate) fn restored(journal: &Journal, prefix: &str) -> AvModeration {
        let read = |media: MuteMedia| {
            let key = format!("{prefix}{PREFIX}{}", media.as_str());
            let kept: Value = serde_json::from_str(journal.get(&key)?).ok()?;
            let list = format!("{key}/");
            let approved = journal.under(&list).filter_map(|(who, _)| who.parse().ok());
            let moderated = Moderated {
                actor: kept.get("actor")?.as_str()?.to_owned(),
                approved: approved.filter(Identity::outlives_session).collect(),
                did_start_muted: kept.get("startedMuted")?.as_bool()?,
            };
            Some((media, moderated))
        };
        AvModeration {
            by_media: MuteMedia::ALL.into_iter().filter_map(read).collect(),
        }
    }

    fn active(&self) -> Vec<MuteMedia> {
        self.by_media.keys().copied().collect()
    }

    fn is_approved(&self, media: MuteMedia, who: &Identity) -> bool {
        let moderated = self.by_media.get(&media);
        moderated.is_some_and(|moderated| moderated.approved.contains(who))
    }

    /// What somebody who does not moderate may not do.
    pub(crate) fn taken_from(&self, who: &Identity) -> impl Iterator<Item = Capability> {
        let active = self.by_media.iter();
        let taken = active.filter(|(_, moderated)| !moderated.approved.contains(who));
        taken.map(|(media, _)| capability(*media))
    }
}

/// What it takes to be on.
pub(crate) fn act(media: MuteMedia) -> Act {
    match media {
        MuteMedia::Audio => Act::Speak,
        MuteMedia::Video => Act::ShowCamera,
        MuteMedia::Desktop => Act::ShowScreen,
    }
}

fn capability(media: MuteMedia) -> Capability {
    match media {
        MuteMedia::Audio => Capability::Speak,
        MuteMedia::Video => Capability::Camera,
        MuteMedia::Desktop => Capability::Screen,
    }
}

impl Hall {
    /// What an affiliation permits somebody in this room at the moment.
    pub(crate) fn standing(&self, affiliation: Affiliation, who: &Identity) -> Standing {
        let standing = Standing::of(affiliation);
        if standing.is_moderator() {
            return standing;
        }
        standing.without(self.moderation.taken_from(who))
    }

    /// A message to the service from somebody inside.
    pub(crate) fn handle_av_moderation(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        message: &Stanza,
    ) -> Result<(), StanzaError> {
        if !cx.config.rules.has_av_moderation {
            return Err(switched_off("A/V moderation"));
        }
        let command = message
            .child("av_moderation", ns::CLIENT)
            .ok_or_else(|| refused(Condition::BadRequest, "expected av_moderation"))?;
        let sender = self.room.occupant(who);
        let sender = sender.filter(|sender| may(sender, Act::MuteOthers));
        let actor = sender.ok_or(Condition::Forbidden)?.jid().clone();
        let media = command.attr("mediaType").and_then(MuteMedia::from_name);
        let media = media.ok_or_else(|| {
            let text = "expected mediaType audio, video or desktop";
            refused(Condition::BadRequest, text)
        })?;
        let attributes = ["enable", "jidToWhitelist", "jidToBlacklist"];
        match attributes.map(|name| command.attr(name)) {
            [Some("true"), None, None] => self.begin_moderation(cx, who, media, &actor),
            [Some("false"), None, None] => self.end_moderation(cx, media, &actor),
            [None, Some(jid), None] => return self.approve(cx, media, jid, &actor),
            [None, None, Some(jid)] => return self.reject(cx, media, jid),
            _ => {
                let text = "expected enable, jidToWhitelist or jidToBlacklist";
                return Err(refused(Condition::BadRequest, text));
            }
        }
        Ok(())
    }

    /// Somebody has come in: what is moderated, and what it may do all the same.
    pub(crate) fn greet_with_moderation(&mut self, cx: &mut Cx<'_>, id: OccupantId) {
        let Some(occupant) = self.room.occupant(id) else {
            return;
        };
        let session = occupant.profile().id;
        let (who, is_moderator) = (Identity::of(occupant), occupant.standing().is_moderator());
        for (media, moderated) in &self.moderation.by_media {
            let enabled = self.enabled(*media, true, &moderated.actor);
            tell(&mut self.room, cx, session, &enabled);
            if !is_moderator && moderated.approved.contains(&who) {
                let approved = self.verdict(*media, "approved", None);
                tell(&mut self.room, cx, session, &approved);
            }
        }
        if is_moderator {
            self.moderators.insert(id);
            self.approve_moderator(cx, id);
        }
        for media in self.moderation.active() {
            if is_moderator || self.moderation.is_approved(media, &who) {
                self.show_approved(cx, media, false);
            }
        }
    }

    /// Somebody who was in already may have become a moderator, or may be one no more.
    pub(crate) fn moderator_changed(&mut self, cx: &mut Cx<'_>, id: OccupantId) {
        let Some(occupant) = self.room.occupant(id) else {
            return;
        };
        if occupant.standing().is_moderator() {
            self.moderators.insert(id);
            if self.approve_moderator(cx, id) {
                for media in self.moderation.active() {
                    self.show_approved(cx, media, false);
                }
            }
        } else if self.moderators.remove(&id) {
            // COMPAT(lib-jitsi-meet): its application believes that it may do nothing any more.
            let (session, who) = (occupant.profile().id, Identity::of(occupant));
            for media in self.moderation.active() {
                if self.moderation.is_approved(media, &who) {
                    let approved = self.verdict(media, "approved", None);
                    tell(&mut self.room, cx, session, &approved);
                }
            }
        }
    }

    /// Whoever is thrown out comes back, if at all, without the word.
    pub(crate) fn forget_approvals(&mut self, journal: &mut Journal, who: &Identity) {
        for media in self.moderation.active() {
            journal.remove(&self.approval_key(media, who));
            if let Some(moderated) = self.moderation.by_media.get_mut(&media) {
                moderated.approved.remove(who);
            }
        }
    }

    /// A moderator may keep what is on when it is one no more. Whether that is new.
    fn approve_moderator(&mut self, cx: &mut Cx<'_>, id: OccupantId) -> bool {
        let Some(who) = self.room.occupant(id).map(Identity::of) else {
            return false;
        };
        let mut is_new = false;
        for media in self.moderation.active() {
            is_new |= self.keep_approved(cx, media, who.clone());
        }
        is_new
    }

    fn begin_moderation(
        &mut self,
        cx: &mut Cx<'_>,
        by: OccupantId,
        media: MuteMedia,
        actor: &FullJid,
    ) {
        if self.moderation.by_media.contains_key(&media) {
            return;
        }
        let start_muted = self.metadata.start_muted();
        let did_start_muted = match media {
            MuteMedia::Audio => start_muted.audio,
            MuteMedia::Video => start_muted.video,
            MuteMedia::Desktop => false,
        };
        let kept = json!({ "actor": actor.to_string(), "startedMuted": did_start_muted });
        let key = format!("{}{PREFIX}{}", self.journal_prefix, media.as_str());
        cx.journal.set(&key, &kept.to_string());
        let moderated = Moderated {
            actor: actor.to_string(),
            approved: BTreeSet::new(),
            did_start_muted,
        };
        self.moderation.by_media.insert(media, moderated);
        let is_moderator = |o: &&Occupant| o.standing().is_moderator();
        let moderators = self.room.occupants().filter(is_moderator);
        for who in moderators.map(Identity::of).collect::<Vec<_>>() {
            self.keep_approved(cx, media, who);
        }
        let enabled = self.enabled(media, true, actor.as_str());
        self.room
            .send_to_everybody(service_message(cx, Service::AvModeration, &enabled));
        self.show_approved(cx, media, false);
        self.set_start_muted(cx, media, true);
        self.restand();
        let muted = self.room.occupants();
        let muted = muted.filter(|o| !o.is_hidden() && o.id() != by && !is_moderator(o));
        for nick in muted.map(|o| o.nick().clone()).collect::<Vec<_>>() {
            self.focus.mute(&nick, media, None);
        }
    }

    fn end_moderation(&mut self, cx: &mut Cx<'_>, media: MuteMedia, actor: &FullJid) {
        let Some(moderated) = self.moderation.by_media.remove(&media) else {
            return;
        };
        let key = format!("{}{PREFIX}{}", self.journal_prefix, media.as_str());
        cx.journal.remove_all(&format!("{key}/"));
        cx.journal.remove(&key);
        let disabled = self.enabled(media, false, actor.as_str());
        self.room
            .send_to_everybody(service_message(cx, Service::AvModeration, &disabled));
        if !moderated.did_start_muted {
            self.set_start_muted(cx, media, false);
        }
        self.restand();
    }

    fn approve(
        &mut self,
        cx: &mut Cx<'_>,
        media: MuteMedia,
        jid: &str,
        actor: &FullJid,
    ) -> Result<(), StanzaError> {
        let occupant = self.occupant_at(jid, "jidToWhitelist")?;
        let (session, who) = (occupant.profile().id, Identity::of(occupant));
        let Some(moderated) = self.moderation.by_media.get(&media) else {
            // A moderator asks somebody to speak, no more.
            let asked = self.verdict(media, "approved", Some(actor));
            tell(&mut self.room, cx, session, &asked);
            return Ok(());
        };
        let count = moderated.approved.len();
        if count >= cx.config.affiliations_max && !moderated.approved.contains(&who) {
            let text = "too many people are approved in this room";
            return Err(refused(Condition::ResourceConstraint, text));
        }
        self.keep_approved(cx, media, who);
        self.show_approved(cx, media, false);
        let approved = self.verdict(media, "approved", None);
        tell(&mut self.room, cx, session, &approved);
        self.restand();
        Ok(())
    }

    fn reject(&mut self, cx: &mut Cx<'_>, media: MuteMedia, jid: &str) -> Result<(), StanzaError> {
        let occupant = self.occupant_at(jid, "jidToBlacklist")?;
        let (session, who) = (occupant.profile().id, Identity::of(occupant));
        let (nick, is_moderator) = (occupant.nick().clone(), occupant.standing().is_moderator());
        let moderated = self.moderation.by_media.get_mut(&media);
        if !moderated.is_some_and(|moderated| moderated.approved.remove(&who)) {
            return Ok(());
        }
        cx.journal.remove(&self.approval_key(media, &who));
        self.show_approved(cx, media, true);
        let rejected = self.verdict(media, "removed", None);
        tell(&mut self.room, cx, session, &rejected);
        self.restand();
        if !is_moderator {
            // The bridge drops it at once; the client is not to believe that it is heard.
            self.focus.mute(&nick, media, None);
        }
        Ok(())
    }

    /// Whether that is new.
    fn keep_approved(&mut self, cx: &mut Cx<'_>, media: MuteMedia, who: Identity) -> bool {
        let key = self.approval_key(media, &who);
        let Some(moderated) = self.moderation.by_media.get_mut(&media) else {
            return false;
        };
        if moderated.approved.len() >= cx.config.affiliations_max {
            return false;
        }
        if who.outlives_session() {
            cx.journal.set(&key, "approved");
        }
        moderated.approved.insert(who)
    }

    fn approval_key(&self, media: MuteMedia, who: &Identity) -> String {
        format!("{}{PREFIX}{}/{who}", self.journal_prefix, media.as_str())
    }

    /// Gives everybody the standing that goes with what was decided.
    fn restand(&mut self) {
        let occupants = self.room.occupants().filter(|o| !o.is_hidden());
        let standings: Vec<(OccupantId, Standing)> = occupants
            .map(|o| (o.id(), self.standing(o.affiliation(), &Identity::of(o))))
            .collect();
        for (id, standing) in standings {
            self.room.set_standing(id, standing);
        }
    }

    /// Tells moderators who may turn it on; `is_removal` says that somebody may no more.
    fn show_approved(&mut self, cx: &Cx<'_>, media: MuteMedia, is_removal: bool) {
        let mut lists = Map::new();
        for (media, moderated) in &self.moderation.by_media {
            let approved = self.room.occupants();
            let approved = approved.filter(|o| moderated.approved.contains(&Identity::of(o)));
            let list: Vec<Value> = approved.map(|o| json!(o.jid().to_string())).collect();
            if !list.is_empty() {
                lists.insert(media.as_str().to_owned(), list.into());
            }
        }
        let mut json = json!({
            "type": TYPE,
            "room": self.jid().to_string(),
            "mediaType": media.as_str(),
            "whitelists": lists,
        });
        if is_removal {
            json["removed"] = Value::Bool(true);
        }
        self.room
            .send_to_moderators(service_message(cx, Service::AvModeration, &json));
    }

    fn enabled(&self, media: MuteMedia, is_enabled: bool, actor: &str) -> Value {
        json!({
            "type": TYPE,
            "room": self.jid().to_string(),
            "mediaType": media.as_str(),
            "enabled": is_enabled,
            "actor": actor,
        })
    }

    fn verdict(&self, media: MuteMedia, verdict: &str, from: Option<&FullJid>) -> Value {
        let mut json = json!({
            "type": TYPE,
            "room": self.jid().to_string(),
            "mediaType": media.as_str(),
        });
        json[verdict] = Value::Bool(true);
        if let Some(from) = from {
            json["from"] = from.to_string().into();
        }
        json
    }
}

fn tell(room: &mut Room, cx: &Cx<'_>, session: SessionId, json: &Value) {
    room.answer(session, service_message(cx, Service::AvModeration, json));
}

const TYPE: &str = "av_moderation";
const PREFIX: &str = "av-moderation/";
