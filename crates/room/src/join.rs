//! Coming in: who may, in what order everybody is told, who is the owner; and the presence
//! updates of those inside.

use std::sync::Arc;

use bytes::Bytes;
use tertulia_model::jid::Jid;
use tertulia_model::{DeviceId, EndpointId, SessionId, SessionProfile};
use tertulia_stanza::muc::{Item, UserX, status};
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, ns, text_element};

use crate::occupant::{joined, written};
use crate::rights::Standing;
use crate::{FOCUS_NICK, Occupant, OccupantId, Output, Room, relay};

/// Somebody who wants to come in.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub profile: Arc<SessionProfile>,
    /// The nick as it came; may be illegal.
    pub nick: String,
    /// The password that came with the join.
    pub password: Option<String>,
    /// The display name that it brings.
    pub display_name: Option<String>,
    /// The client's `machine-uid`, where it comes with the join (HTTP conference requests).
    pub machine_uid: Option<String>,
    /// The device it comes from, if the owner of the room knows it.
    pub device: Option<DeviceId>,
    /// How many messages of the past it wants at most.
    history_max: Option<usize>,
}

impl Room {
    /// The one who wants to come in, if this stanza says so.
    pub fn candidate(&self, from: &Arc<SessionProfile>, stanza: &Stanza) -> Option<Candidate> {
        if stanza.kind != Kind::Presence || stanza.type_.is_some() {
            return None;
        }
        let nick = stanza.to.as_ref()?.resource()?.as_str().to_owned();
        if self.by_session.contains_key(&from.id) {
            return None;
        }
        let x = stanza.child("x", ns::MUC)?;
        let text = |name: &str| x.get_child(name, ns::MUC).map(Element::text);
        let history = x.get_child("history", ns::MUC);
        // Whoever counts characters wants none at all; nobody else does.
        let limits = history.map(|h| (h.attr("maxstanzas"), h.attr("maxchars")));
        let history_max = limits.and_then(|(stanzas, chars)| match chars {
            Some("0") => Some(0),
            _ => stanzas?.parse().ok(),
        });
        Some(Candidate {
            profile: from.clone(),
            nick,
            password: text("password"),
            display_name: stanza
                .child("nick", ns::NICK)
                .map(Element::text)
                .filter(|name| !name.trim().is_empty()),
            machine_uid: text("billingid"),
            device: None,
            history_max,
        })
    }

    /// Refuses a join.
    pub fn refuse(&mut self, candidate: &Candidate, stanza: &Stanza, error: StanzaError) {
        self.refuse_stanza(candidate.profile.id, stanza, error);
    }

    /// Lets somebody in with that standing, if the room itself has nothing against it. `stanza` is
    /// the presence that made the [`Candidate`]. False if it stays outside.
    pub fn join(&mut self, candidate: Candidate, standing: Standing, stanza: &Stanza) -> bool {
        if self.is_destroyed {
            return false;
        }
        match self.admit(&candidate) {
            Ok(nick) => {
                self.enter(candidate, nick, standing, stanza);
                true
            }
            Err(error) => {
                self.refuse(&candidate, stanza, error);
                false
            }
        }
    }

    /// A presence to the room that is no join.
    pub(crate) fn handle_presence(&mut self, from: &Arc<SessionProfile>, stanza: &Stanza) {
        let inside = self.by_session.get(&from.id).copied();
        match (stanza.type_.as_deref(), inside) {
            (None, Some(id)) => self.update_presence(id, stanza),
            (None, None) if stanza.to.as_ref().is_none_or(|to| to.resource().is_none()) => {
                let error = StanzaError::new(Condition::JidMalformed);
                self.refuse_stanza(from.id, stanza, error.with_text("expected a nick"));
            }
            // A client that believes to be inside: told by an error, it comes in properly.
            (None, None) => {
                let error = StanzaError::new(Condition::NotAcceptable);
                self.refuse_stanza(from.id, stanza, error.with_text("not in the room"));
            }
            (Some("unavailable"), Some(id)) => self.leave(id, stanza),
            // Probes, subscriptions and errors mean nothing here.
            _ => {}
        }
    }

    /// Changes an occupant's standing and tells everybody.
    pub fn set_standing(&mut self, id: OccupantId, standing: Standing) {
        let Some(occupant) = self.occupants.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut occupant.standing, standing);
        if before == standing {
            return;
        }
        let is_shown = (before.affiliation, before.role) != (standing.affiliation, standing.role);
        if is_shown {
            occupant.write_items();
            let lang = occupant.presence.clone();
            occupant.set_presence(occupant.children.clone(), Some(&lang));
            self.show(id, None);
        }
        if before.capabilities != standing.capabilities {
            self.outputs.push_back(Output::RightsChanged(id));
        }
    }

    fn admit(&mut self, candidate: &Candidate) -> Result<EndpointId, StanzaError> {
        let nick = legal_nick(&candidate.nick)?;
        if candidate.nick.eq_ignore_ascii_case(FOCUS_NICK) {
            return Err(Condition::Conflict.into());
        }
        self.replace_lost(candidate, &nick);
        if self.by_nick.contains_key(&nick) {
            return Err(Condition::Conflict.into());
        }
        if self.occupants.len() >= self.config.occupants_max {
            // COMPAT(lib-jitsi-meet): this condition is how it knows that the room is full.
            return Err(
                StanzaError::new(Condition::ServiceUnavailable).with_text("the room is full")
            );
        }
        Ok(nick)
    }

    /// Lets an occupant whose socket is lost give way to the same one on a new session, who comes
    /// into another room of the meeting.
    pub fn give_way(&mut self, candidate: &Candidate) {
        if let Ok(nick) = legal_nick(&candidate.nick) {
            self.replace_lost(candidate, &nick);
        }
    }

    /// Whoever comes back on a new session takes the place of the one whose socket is lost:
    /// known by the device, or by JID and nick together.
    fn replace_lost(&mut self, candidate: &Candidate, nick: &EndpointId) {
        let bare = candidate.profile.jid.to_bare();
        let is_lost = |o: &&Occupant| {
            let is_device = o.device.is_some() && o.device == candidate.device;
            o.is_paused && (is_device || (o.nick == *nick && o.profile.jid.to_bare() == bare))
        };
        let lost: Vec<OccupantId> = self
            .occupants
            .values()
            .filter(is_lost)
            .map(|o| o.id)
            .collect();
        for id in lost {
            tracing::debug!("a lost occupant is replaced by its own device");
            self.drop_occupant(id);
        }
    }

    /// The order that clients expect: the others (the focus first), oneself to the others,
    /// oneself, history, subject.
    fn enter(
        &mut self,
        candidate: Candidate,
        nick: EndpointId,
        standing: Standing,
        stanza: &Stanza,
    ) {
        let id = OccupantId(self.next_id);
        self.next_id += 1;
        let session = candidate.profile.id;
        let (profile, device) = (candidate.profile, candidate.device);
        let occupant = self.new_occupant(id, profile, device, nick, standing, stanza);

        self.show_others(session, None);
        self.by_session.insert(session, id);
        self.by_nick.insert(occupant.nick.clone(), id);
        self.occupants.insert(id, occupant);
        self.count_audience();
        self.show_newcomer(id, stanza);

        let history = self
            .history
            .last(candidate.history_max.unwrap_or(usize::MAX));
        let history = history.map(|stanza| Output::Deliver {
            to: session,
            stanza: stanza.clone(),
        });
        self.outputs.extend(history.collect::<Vec<_>>());
        let subject = self.subject.clone().unwrap_or_else(|| self.empty_subject());
        self.deliver(session, subject);
        self.outputs.push_back(Output::Joined(id));
    }

    /// Shows everybody who is inside to one of them, the focus first.
    fn show_others(&mut self, to: SessionId, except: Option<OccupantId>) {
        self.deliver(to, self.focus_presence.clone());
        let others = self.occupants.values();
        let others = others.filter(|o| Some(o.id) != except && !o.is_hidden());
        let others = others.map(|o| Output::Deliver {
            to,
            stanza: o.presence.clone(),
        });
        self.outputs.extend(others);
    }

    fn new_occupant(
        &self,
        id: OccupantId,
        profile: Arc<SessionProfile>,
        device: Option<DeviceId>,
        nick: EndpointId,
        standing: Standing,
        stanza: &Stanza,
    ) -> Occupant {
        let resource = stanza
            .to
            .as_ref()
            .and_then(Jid::resource)
            .expect("a candidate has a nick");
        let mut occupant = Occupant {
            id,
            nick,
            jid: self.jid.occupant(resource),
            profile,
            device,
            standing,
            is_paused: false,
            children: Default::default(),
            presence: Arc::new(Stanza::new(Kind::Presence)),
            item: Default::default(),
            own_item: Default::default(),
            is_told_permissions: false,
        };
        occupant.write_items();
        occupant.set_presence(
            relay::children(stanza, self.config.name_chars_max),
            Some(stanza),
        );
        occupant
    }

    fn show_newcomer(&mut self, id: OccupantId, stanza: &Stanza) {
        let Some(occupant) = self.occupants.get(&id) else {
            return;
        };
        let jid = Some(Jid::from(occupant.profile.jid.clone()));
        let item = Item::new(occupant.affiliation(), occupant.role(), jid);
        let mut x = UserX::item(item).with_status(status::SELF);
        x.statuses.push(STATUS_NON_ANONYMOUS);
        let own = joined(&written(&x), &occupant.permissions());
        let own = occupant.own_presence(&own, stanza.id.clone());
        let (session, presence) = (occupant.profile.id, occupant.presence.clone());
        if !occupant.is_hidden() {
            self.broadcast(&presence, Some(session));
        }
        self.deliver(session, Arc::new(own));
    }

    fn update_presence(&mut self, id: OccupantId, stanza: &Stanza) {
        let Some(occupant) = self.occupants.get_mut(&id) else {
            return;
        };
        let nick = stanza.to.as_ref().and_then(Jid::resource);
        let session = occupant.profile.id;
        if nick.is_none_or(|nick| nick.as_str() != occupant.nick.as_str()) {
            // An endpoint's id is its nick and never changes.
            let error = StanzaError::new(Condition::NotAcceptable);
            self.refuse_stanza(session, stanza, error.with_text("a nick cannot be changed"));
            return;
        }
        let children = relay::children(stanza, self.config.name_chars_max);
        let enters = enters(stanza, &children);
        occupant.set_presence(children, Some(stanza));
        if enters {
            self.show_others(session, Some(id));
        }
        self.show(id, stanza.id.clone());
        self.outputs.push_back(Output::PresenceChanged(id));
    }

    /// Sends an occupant's presence to everybody.
    fn show(&mut self, id: OccupantId, stanza_id: Option<Arc<str>>) {
        let Some(occupant) = self.occupants.get(&id) else {
            return;
        };
        let own = occupant.own_presence(&occupant.own_item, stanza_id);
        let (session, presence) = (occupant.profile.id, occupant.presence.clone());
        if !occupant.is_hidden() {
            self.broadcast(&presence, Some(session));
        }
        self.deliver(session, Arc::new(own));
    }

    fn empty_subject(&self) -> Arc<Stanza> {
        let subject = Stanza::new(Kind::Message)
            .with_type("groupchat")
            .with_from(self.bare_jid())
            .with_child(text_element("subject", ns::CLIENT, ""));
        Arc::new(subject)
    }
}

/// The room shows real addresses; ordinary XMPP clients want to be told.
const STATUS_NON_ANONYMOUS: u16 = 100;

/// Whether an occupant asks to come in once more: it lost track and wants to see everybody.
/// `relayed` is what others get of the stanza.
fn enters(stanza: &Stanza, relayed: &Bytes) -> bool {
    // The wish itself is cut out. Building a tree for each presence would cost more than the rest.
    stanza.payload() != relayed && stanza.child("x", ns::MUC).is_some()
}

/// A nick that can name an endpoint, stand in a URL and be read by people.
pub fn legal_nick(nick: &str) -> Result<EndpointId, StanzaError> {
    let is_odd = |c: char| relay::disturbs(c) || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}');
    let is_legal = nick.len() <= NICK_BYTES_MAX && nick.trim() == nick && !nick.contains(is_odd);
    let legal = nick.parse().ok().filter(|_| is_legal);
    legal.ok_or_else(|| {
        let error = StanzaError::new(Condition::JidMalformed);
        error.with_text("a nick has 1 to 128 bytes and no invisible characters")
    })
}

const NICK_BYTES_MAX: usize = 128;
