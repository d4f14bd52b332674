//! Breakout rooms: smaller rooms of the same meeting, made, named and left by its moderators.
//!
//! Speaks: `<breakout_rooms/>` messages to the service `breakout.`, lists and moves as JSON from it
//! (Jitsi's `mod_muc_breakout_rooms`). A room exists on paper until somebody comes in, and again
//! when the last one has left. Its address is drawn and only told to those inside. An application
//! that is opened again after a crash of the server knows the main room only: whoever was in a
//! breakout room is sent back there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tertulia_model::jid::{BareJid, FullJid, Jid, NodePart};
use tertulia_model::{ConferenceId, EndpointId, Host, Now, RoomJid, SessionId};
use tertulia_room::rights::{Act, may};
use tertulia_room::{Candidate, Farewell, Occupant, OccupantId};
use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::json_message::json_message;
use tertulia_stanza::muc::Affiliation;
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError};

use crate::feature::{refused, switched_off};
use crate::journal::Journal;
use crate::standings::Identity;
use crate::{Conference, Output, route};

/// The breakout rooms of a meeting, and who is on the way between its rooms.
#[derive(Default)]
pub(crate) struct Breakouts {
    /// Names by address.
    rooms: BTreeMap<RoomJid, String>,
    /// How many were ever made; clients number names by it.
    counter: u64,
    /// When everybody is told the list.
    list_due: Option<Instant>,
    under_way: Vec<UnderWay>,
    /// Where those were whom a crash cut off and who have not been sent back.
    cut_off: BTreeMap<Identity, RoomJid>,
}

/// Somebody who left one room to come into another. Its nick is its own meanwhile.
struct UnderWay {
    nick: EndpointId,
    who: BareJid,
    session: SessionId,
    affiliation: Affiliation,
    until: Instant,
}

impl Breakouts {
    /// The rooms of a meeting that was cut off.
    pub(crate) fn restored(journal: &Journal) -> Breakouts {
        let read = |(jid, name): (&str, &str)| {
            let jid: BareJid = jid.parse().ok()?;
            Some((RoomJid::new(jid)?, name.to_owned()))
        };
        let counter = journal.get(COUNTER).and_then(|text| text.parse().ok());
        let rooms: BTreeMap<RoomJid, String> = journal.under(PREFIX).filter_map(read).collect();
        let seat = |(who, room): (&str, &str)| {
            let room = RoomJid::new(room.parse().ok()?)?;
            Some((who.parse().ok()?, room)).filter(|(_, room)| rooms.contains_key(room))
        };
        Breakouts {
            cut_off: journal.under(SEAT).filter_map(seat).collect(),
            counter: counter.unwrap_or_default(),
            rooms,
            ..Breakouts::default()
        }
    }

    pub(crate) fn is_known(&self, room: &RoomJid) -> bool {
        self.rooms.contains_key(room)
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = &RoomJid> {
        self.rooms.keys()
    }

    /// Whether the meeting has any.
    pub(crate) fn is_any(&self) -> bool {
        !self.rooms.is_empty()
    }

    /// Whether somebody is between two rooms.
    pub(crate) fn is_anybody_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Whether somebody who moderates is between two rooms.
    pub(crate) fn is_owner_under_way(&self) -> bool {
        let mut under_way = self.under_way.iter();
        under_way.any(|one| one.affiliation == Affiliation::Owner)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let under_way = self.under_way.iter().map(|one| one.until);
        under_way.chain(self.list_due).min()
    }

    /// The session is over, or has arrived.
    pub(crate) fn arrived_or_ended(&mut self, session: SessionId) {
        self.under_way.retain(|one| one.session != session);
    }
}

impl Conference {
    /// A command to the service from somebody inside.
    pub(crate) fn handle_breakout_command(
        &mut self,
        now: Now,
        room: &RoomJid,
        who: OccupantId,
        message: &Stanza,
    ) -> Result<(), StanzaError> {
        if !self.config.rules.has_breakout_rooms {
            return Err(switched_off("breakout rooms"));
        }
        let mut children = message.children().iter();
        let command = children
            .find(|child| child.name() == "breakout_rooms")
            .ok_or_else(|| refused(Condition::BadRequest, "expected breakout_rooms"))?;
        let sender = self
            .halls
            .get(room)
            .and_then(|hall| hall.room.occupant(who));
        if !sender.is_some_and(|sender| may(sender, Act::ArrangeRooms)) {
            return Err(Condition::Forbidden.into());
        }
        let type_ = command.attr("type").unwrap_or_default();
        match type_.strip_prefix(TYPE).unwrap_or_default() {
            "add" => self.add_breakout_room(command)?,
            "remove" => {
                let breakout = self.breakout_room(command, "breakoutRoomJid")?;
                self.remove_breakout_room(&breakout);
            }
            "rename" => {
                let breakout = self.breakout_room(command, "breakoutRoomJid")?;
                self.rename_breakout_room(breakout, room_name(command, &self.config)?);
            }
            "move-to-room" => return self.move_to_room(command),
            _ => return Err(refused(Condition::BadRequest, "no such type of command")),
        }
        self.list_rooms_soon(now);
        Ok(())
    }

    /// Brings a breakout room to life when somebody wants to come in; true if it is one.
    pub(crate) fn open_breakout_room(&mut self, now: Now, room: &RoomJid) -> bool {
        let Some(name) = self.breakouts.rooms.get(room).cloned() else {
            return false;
        };
        let id = ConferenceId::new(&self.random.uuid());
        self.open(now, room.clone(), id);
        if let Some(hall) = self.halls.get_mut(room) {
            hall.room.set_subject(&name);
        }
        true
    }

    /// Whether a nick is free in the whole meeting: not taken in another of its rooms, and not
    /// reserved for somebody who is on the way. Lost occupants of the same device give way.
    pub(crate) fn check_nick_in_family(
        &mut self,
        room: &RoomJid,
        who: &Candidate,
    ) -> Result<(), StanzaError> {
        let bare = who.profile.jid.to_bare();
        for (jid, hall) in &mut self.halls {
            if jid == room {
                continue;
            }
            hall.room.give_way(who);
            if hall.room.occupant_of(who.profile.id).is_some() {
                let text = "leave the other room of this meeting first";
                return Err(refused(Condition::Conflict, text));
            }
            if hall.room.occupant_named(&who.nick).is_some() {
                return Err(refused(
                    Condition::Conflict,
                    "the nick is taken in another room of this meeting",
                ));
            }
        }
        let mut under_way = self.breakouts.under_way.iter();
        let is_reserved = under_way.any(|one| one.nick.as_str() == who.nick && one.who != bare);
        if is_reserved {
            return Err(refused(Condition::Conflict, "the nick is reserved"));
        }
        Ok(())
    }

    /// Somebody has come into a room. Where that is a breakout room, it is kept.
    pub(crate) fn take_seat(&mut self, now: Now, room: &RoomJid, id: OccupantId) {
        self.list_rooms_soon_if_any(now);
        let hall = self.halls.get(room);
        let Some(who) = hall.and_then(|hall| hall.room.occupant(id)).and_then(known) else {
            return;
        };
        if *room != self.main {
            self.breakouts.cut_off.remove(&who);
            self.journal.set(&seat(&who), &room.to_string());
        } else if !self.breakouts.cut_off.contains_key(&who) {
            self.journal.remove(&seat(&who));
        }
    }

    /// Somebody has left a room.
    pub(crate) fn left_for_another_room(&mut self, now: Now, room: &RoomJid, farewell: &Farewell) {
        let occupant = &farewell.occupant;
        if let Some(who) = known(occupant).filter(|_| *room != self.main) {
            self.journal.remove(&seat(&who));
        }
        if farewell.status.as_deref() == Some("switch_room") {
            self.breakouts.under_way.push(UnderWay {
                nick: occupant.nick().clone(),
                who: occupant.profile().jid.to_bare(),
                session: occupant.profile().id,
                affiliation: occupant.affiliation(),
                until: now.mono + self.config.initial_timeout,
            });
        } else if self.breakouts.is_any() && self.halls.values().all(|hall| hall.is_empty()) {
            // Somebody may be reloading, or come back from a room of which nobody else knows.
            let until = now.mono + GRACE;
            self.opens_until = self.opens_until.max(Some(until));
        }
        self.list_rooms_soon_if_any(now);
    }

    fn list_rooms_soon_if_any(&mut self, now: Now) {
        if self.breakouts.is_any() {
            self.list_rooms_soon(now);
        }
    }

    pub(crate) fn handle_breakout_timeout(&mut self, now: Now) {
        self.breakouts.under_way.retain(|one| one.until > now.mono);
        if self.breakouts.list_due.is_some_and(|due| due <= now.mono) {
            self.breakouts.list_due = None;
            self.list_rooms();
            self.send_back();
        }
    }

    /// What a breakout room says of itself beyond other rooms.
    pub(crate) fn describe_breakout(&self, room: &RoomJid, info: &mut DiscoInfo) {
        if *room == self.main {
            return;
        }
        if let Some(form) = info.forms.pop() {
            let form = form
                .with("muc#roominfo_isbreakout", "true")
                .with("muc#roominfo_breakout_main_room", &self.main.to_string());
            info.forms.push(form);
        }
    }

    fn list_rooms_soon(&mut self, now: Now) {
        let due = now.mono + LIST_INTERVAL;
        self.breakouts.list_due.get_or_insert(due);
    }

    fn add_breakout_room(&mut self, command: &Element) -> Result<(), StanzaError> {
        if self.breakouts.rooms.len() >= self.config.rules.breakout_rooms_max {
            let text = "too many breakout rooms in this meeting";
            return Err(refused(Condition::ResourceConstraint, text));
        }
        let name = room_name(command, &self.config)?;
        let tenant = self.config.hosts.tenant(self.main.bare().domain());
        let host = self.config.hosts.name_for(Host::Breakout, tenant);
        let drawn = self.random.uuid();
        let node = NodePart::new(&drawn).expect("a UUID is a valid node");
        let host = host.expect("the tenant of a room is a label");
        let jid = RoomJid::new(BareJid::from_parts(Some(&node), &host));
        let jid = jid.expect("it has a node");
        self.breakouts.counter += 1;
        self.journal.set(&format!("{PREFIX}{jid}"), &name);
        self.journal
            .set(COUNTER, &self.breakouts.counter.to_string());
        self.breakouts.rooms.insert(jid.clone(), name);
        self.push(Output::Claim(jid));
        Ok(())
    }

    fn remove_breakout_room(&mut self, room: &RoomJid) {
        let main = Jid::from(self.main.bare().clone());
        if let Some(hall) = self.halls.get_mut(room) {
            hall.room
                .destroy(Some(main), Some("Breakout room removed."));
        }
        self.breakouts.rooms.remove(room);
        self.breakouts.cut_off.retain(|_, seat| seat != room);
        let seats = self.journal.under(SEAT);
        let lost = seats.filter(|(_, seat)| *seat == room.to_string());
        for who in lost.map(|(who, _)| who.to_owned()).collect::<Vec<_>>() {
            self.journal.remove(&format!("{SEAT}{who}"));
        }
        self.journal.remove(&format!("{PREFIX}{room}"));
        self.journal.remove_all(&crate::hall::journal_prefix(room));
        self.push(Output::Release(room.clone()));
    }

    fn rename_breakout_room(&mut self, room: RoomJid, name: String) {
        self.journal.set(&format!("{PREFIX}{room}"), &name);
        if let Some(hall) = self.halls.get_mut(&room) {
            hall.room.set_subject(&name);
        }
        self.breakouts.rooms.insert(room, name);
    }

    /// Asks somebody to go; its client does it by itself.
    fn move_to_room(&mut self, command: &Element) -> Result<(), StanzaError> {
        let to = named_room(command, "roomJid", &self.config)?;
        if to != self.main && !self.breakouts.is_known(&to) {
            return Err(refused(Condition::ItemNotFound, "no such room: roomJid"));
        }
        let who = command.attr("participantJid").unwrap_or_default();
        let who: FullJid = who
            .parse()
            .map_err(|_| refused(Condition::JidMalformed, "participantJid"))?;
        let mut halls = self.halls.values();
        let session = halls.find_map(|hall| {
            let mut occupants = hall.room.occupants();
            occupants
                .find(|o| o.profile().jid == who)
                .map(|o| o.profile().id)
        });
        let session =
            session.ok_or_else(|| refused(Condition::ItemNotFound, "nobody: participantJid"))?;
        self.send_to(session, &to);
        Ok(())
    }

    fn send_to(&mut self, session: SessionId, room: &RoomJid) {
        let command = json!({
            "type": "breakout_rooms",
            "event": format!("{TYPE}move-to-room"),
            "roomJid": room.to_string(),
        });
        let message = self.breakout_message(&command);
        self.answer(session, message);
    }

    /// Sends those who are in the main room because of a crash where they were, once.
    fn send_back(&mut self) {
        let cut_off = &self.breakouts.cut_off;
        let occupants = self.main_hall().room.occupants();
        let back: Vec<(SessionId, Identity, RoomJid)> = occupants
            .filter_map(|o| {
                let who = known(o)?;
                let room = cut_off.get(&who)?.clone();
                Some((o.profile().id, who, room))
            })
            .collect();
        for (session, who, room) in back {
            self.breakouts.cut_off.remove(&who);
            self.send_to(session, &room);
        }
    }

    fn breakout_room(&self, command: &Element, attribute: &str) -> Result<RoomJid, StanzaError> {
        let room = named_room(command, attribute, &self.config)?;
        if self.breakouts.is_known(&room) {
            Ok(room)
        } else {
            let text = format!("no such breakout room: {attribute}");
            Err(refused(Condition::ItemNotFound, &text))
        }
    }

    /// Tells everybody in all rooms who is where.
    fn list_rooms(&mut self) {
        let mut rooms = Map::new();
        let main = (&self.main, self.main.name());
        let breakouts = self.breakouts.rooms.iter();
        let breakouts = breakouts.map(|(jid, name)| (jid, name.as_str()));
        for (jid, name) in [main].into_iter().chain(breakouts) {
            let mut room = json!({
                "id": jid.name(),
                "jid": jid.to_string(),
                "name": name,
                "participants": self.participants(jid),
            });
            if *jid == self.main {
                room["isMainRoom"] = Value::Bool(true);
            }
            rooms.insert(jid.name().to_owned(), room);
        }
        let update = json!({
            "type": "breakout_rooms",
            "event": format!("{TYPE}update"),
            "roomCounter": self.breakouts.counter,
            "rooms": rooms,
        });
        let message = self.breakout_message(&update);
        for hall in self.halls.values_mut() {
            hall.room.send_to_everybody(message.clone());
        }
    }

    fn participants(&self, room: &RoomJid) -> Map<String, Value> {
        let hall = self.halls.get(room);
        let occupants = hall.into_iter().flat_map(|hall| hall.room.occupants());
        let shown = occupants.filter(|o| !o.is_hidden()).map(|o| {
            let participant = json!({
                "jid": o.profile().jid.to_string(),
                "role": o.role().as_str(),
                "displayName": o.display_name(),
            });
            (o.jid().to_string(), participant)
        });
        shown.collect()
    }

    fn breakout_message(&self, json: &Value) -> Stanza {
        let from = Jid::from(self.config.hosts.name(Host::Breakout));
        let json = json_message(json);
        Stanza::new(Kind::Message).with_from(from).with_child(json)
    }
}

/// By what somebody is known again after a crash. A guest without a device is not.
fn known(occupant: &Occupant) -> Option<Identity> {
    let who = Identity::of(occupant);
    (who.outlives_session() && !occupant.is_hidden()).then_some(who)
}

/// Where the journal keeps in which breakout room somebody is.
fn seat(who: &Identity) -> String {
    format!("{SEAT}{who}")
}

fn named_room(
    command: &Element,
    attribute: &str,
    config: &crate::Config,
) -> Result<RoomJid, StanzaError> {
    let jid = command.attr(attribute).unwrap_or_default();
    let jid: Option<BareJid> = jid.parse().ok();
    jid.and_then(|jid| route::room(&config.hosts, jid))
        .ok_or_else(|| refused(Condition::JidMalformed, attribute))
}

/// A name for people: cut, and without what would disturb others' screens.
fn room_name(command: &Element, config: &crate::Config) -> Result<String, StanzaError> {
    let name = command.attr("subject").unwrap_or_default();
    let name = tertulia_room::clean_name(name, config.room.name_chars_max);
    let name = name.trim();
    if name.is_empty() {
        return Err(refused(Condition::BadRequest, "expected a name: subject"));
    }
    Ok(name.to_owned())
}

/// Before the names of commands and events.
const TYPE: &str = "features/breakout-rooms/";
const PREFIX: &str = "breakout/";
const COUNTER: &str = "breakouts";
const SEAT: &str = "seat/";
/// The list grows with the meeting: everybody gets it at most so often.
const LIST_INTERVAL: Duration = Duration::from_millis(300);
/// How long a meeting with breakout rooms waits when everybody has left.
const GRACE: Duration = Duration::from_secs(5);
