use std::collections::BTreeMap;
use std::time::Instant;

use tertulia_model::{DeviceId, EndReason};
use tertulia_stanza::{Condition, ns, text_element};

use super::*;
use crate::rights::Standing;

mod chat;

/// A room and what each session got from it.
struct World {
    room: Room,
    now: Now,
    got: BTreeMap<u64, Vec<Arc<Stanza>>>,
    events: Vec<String>,
}

impl World {
    fn new() -> World {
        let config = Config {
            occupants_max: 4,
            history_messages_max: 2,
            history_bytes_max: 10_000,
            name_chars_max: 16,
            has_lobby: true,
        };
        let jid = RoomJid::new("tea@conference.localhost".parse().unwrap()).unwrap();
        let focus = "focus@auth.localhost/focus".parse().unwrap();
        let id = ConferenceId::new("meeting-1");
        World {
            room: Room::new(Arc::new(config), jid, id, focus, vec![], [7; 32]),
            now: Now {
                mono: Instant::now(),
                wall: chrono::DateTime::UNIX_EPOCH,
            },
            got: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    fn profile(session: u64) -> Arc<SessionProfile> {
        Arc::new(SessionProfile {
            id: SessionId(session),
            jid: format!("u{session}@localhost/r").parse().unwrap(),
            websocket_base: String::new(),
            is_loopback: false,
            room: None,
            account: None,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
        })
    }

    fn join(&mut self, session: u64, nick: &str) {
        self.join_with(session, nick, None, vec![]);
    }

    fn join_with(
        &mut self,
        session: u64,
        nick: &str,
        device: Option<u64>,
        mut children: Vec<Element>,
    ) {
        children.push(Element::bare("x", ns::MUC));
        let stanza = presence(session, nick).with_children(children);
        let profile = World::profile(session);
        let mut candidate = self.room.candidate(&profile, &stanza).expect("a join");
        candidate.device = device.map(|device| DeviceId(u128::from(device)));
        let is_first = self
            .room
            .occupants()
            .all(|o| o.affiliation() != Affiliation::Owner);
        let affiliation = if is_first {
            Affiliation::Owner
        } else {
            Affiliation::None
        };
        self.room
            .join(candidate, Standing::of(affiliation), &stanza);
        self.drain();
    }

    fn send(&mut self, session: u64, stanza: Stanza) {
        let stanza = stanza.with_from(World::profile(session).jid.clone());
        self.room
            .handle_stanza(self.now, &World::profile(session), stanza);
        self.drain();
    }

    fn session(&mut self, session: u64, change: SessionChange) {
        self.room.handle_session(SessionId(session), change);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Deliver { to, stanza } => self.got.entry(to.0).or_default().push(stanza),
                Output::Broadcast { to, stanza } => {
                    for session in to {
                        self.got.entry(session.0).or_default().push(stanza.clone());
                    }
                }
                Output::Describe { to, iq, info } => {
                    self.room
                        .answer(to, iq.result().with_child(info.to_element()));
                }
                Output::ForFocus { iq, .. } => self.events.push(format!("focus {iq}")),
                other => self.events.push(format!("{other:?}")),
            }
        }
        assert!(self.room.is_consistent());
    }

    /// What a session got since it was last asked, in one line each.
    fn got(&mut self, session: u64) -> Vec<String> {
        let stanzas = self.got.remove(&session).unwrap_or_default();
        stanzas.iter().map(|stanza| summary(stanza)).collect()
    }

    fn raw(&mut self, session: u64) -> Vec<Arc<Stanza>> {
        self.got.remove(&session).unwrap_or_default()
    }

    fn forget(&mut self) {
        self.got.clear();
        self.events.clear();
    }
}

/// `p nick owner/moderator 110`, `m nick hello`, `error conflict`…
fn summary(stanza: &Stanza) -> String {
    let from = stanza
        .from
        .as_ref()
        .and_then(Jid::resource)
        .map_or("room", |r| r.as_str());
    if let Some(condition) = stanza.error_condition() {
        return format!("{} error {condition}", stanza.kind.as_str());
    }
    match stanza.kind {
        Kind::Presence => {
            let x = UserX::parse(stanza.child("x", ns::MUC_USER).unwrap()).unwrap();
            let statuses: Vec<String> = x.statuses.iter().map(u16::to_string).collect();
            let item = x.item.unwrap();
            let kind = if stanza.is_type("unavailable") {
                "gone"
            } else {
                "here"
            };
            let standing = format!("{}/{}", item.affiliation.as_str(), item.role.as_str());
            format!("{kind} {from} {standing} {}", statuses.join(","))
                .trim_end()
                .to_owned()
        }
        Kind::Message => {
            let text = |name| stanza.child(name, ns::CLIENT).map(Element::text);
            match (
                text("body"),
                text("subject"),
                stanza.child("x", ns::MUC_USER),
            ) {
                (Some(body), _, _) => {
                    let late = if stanza.child("delay", ns::DELAY).is_some() {
                        "old "
                    } else {
                        ""
                    };
                    format!("{late}body {from} {body}")
                }
                (_, Some(subject), _) => format!("subject {from} {subject}"),
                (_, _, Some(_)) => "config changed".to_owned(),
                _ => format!("message {from}"),
            }
        }
        Kind::Iq => format!("iq {from} {}", stanza.type_.as_deref().unwrap_or_default()),
    }
}

fn to(nick: &str) -> Jid {
    let room = "tea@conference.localhost";
    if nick.is_empty() {
        room.parse().unwrap()
    } else {
        format!("{room}/{nick}").parse().unwrap()
    }
}

fn presence(session: u64, nick: &str) -> Stanza {
    Stanza::new(Kind::Presence)
        .with_from(World::profile(session).jid.clone())
        .with_to(to(nick))
}

fn groupchat(body: &str) -> Stanza {
    Stanza::new(Kind::Message)
        .with_type("groupchat")
        .with_id(body)
        .with_to(to(""))
        .with_child(text_element("body", ns::CLIENT, body))
}

fn query(type_: &str, namespace: &str, children: &str) -> Stanza {
    let query = format!("<query xmlns='{namespace}'>{children}</query>");
    Stanza::iq(type_, "q")
        .with_to(to(""))
        .with_child(query.parse().unwrap())
}

fn admin(item: &str) -> Stanza {
    query("set", ns::MUC_ADMIN, item)
}

const FOCUS: &str = "here focus owner/moderator";

#[test]
fn joins_in_the_order_that_clients_expect() {
    let mut w = World::new();
    w.join(1, "ann");
    assert_eq!(
        w.got(1),
        [FOCUS, "here ann owner/moderator 110,100", "subject room "]
    );
    w.send(1, groupchat("hello"));
    w.forget();
    w.join(2, "bob");
    assert_eq!(w.got(1), ["here bob none/participant"]);
    assert_eq!(
        w.got(2),
        [
            FOCUS,
            "here ann owner/moderator",
            "here bob none/participant 110,100",
            "old body ann hello",
            "subject room "
        ]
    );
    assert_eq!(w.events, ["Joined(OccupantId(1))"]);
}

#[test]
fn others_see_the_real_jid_and_every_child_but_forged_ones() {
    let mut w = World::new();
    w.join(1, "ann");
    w.forget();
    let children = [
        "<stats-id xmlns='jabber:client'>A</stats-id>",
        "<identity xmlns='jabber:client'/>",
    ];
    w.join_with(
        2,
        "bob",
        None,
        children.iter().map(|c| c.parse().unwrap()).collect(),
    );
    let seen = w.raw(1).remove(0);
    assert!(seen.child("stats-id", ns::CLIENT).is_some());
    assert!(seen.child("identity", ns::CLIENT).is_none());
    assert!(
        seen.child("x", ns::MUC).is_none(),
        "the join itself is for the room only"
    );
    let x = UserX::parse(seen.child("x", ns::MUC_USER).unwrap()).unwrap();
    assert_eq!(x.item.unwrap().jid.unwrap().as_str(), "u2@localhost/r");
}

#[test]
fn a_presence_update_replaces_the_former_for_late_comers() {
    let mut w = World::new();
    w.join(1, "ann");
    let update = |text: &str| {
        presence(1, "ann")
            .with_id("p")
            .with_child(text_element("status", ns::CLIENT, text))
    };
    w.forget();
    w.send(1, update("one"));
    w.send(1, update("two"));
    let own = w.raw(1);
    assert_eq!(own[0].id.as_deref(), Some("p"));
    assert_eq!(summary(&own[0]), "here ann owner/moderator 110");
    w.join(2, "bob");
    let seen = w.raw(2).remove(1);
    assert_eq!(seen.child("status", ns::CLIENT).unwrap().text(), "two");
}

#[test]
fn who_lost_track_joins_again_and_sees_everybody() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    w.forget();
    w.send(
        2,
        presence(2, "bob").with_child(Element::bare("x", ns::MUC)),
    );
    let expected = [
        FOCUS,
        "here ann owner/moderator",
        "here bob none/participant 110",
    ];
    assert_eq!(w.got(2), expected);
    assert_eq!(w.room.occupants().len(), 2);
}

#[test]
fn refused_nicks_and_full_rooms() {
    let mut w = World::new();
    w.join(1, "ann");
    w.forget();
    let long = "x".repeat(129);
    for (nick, condition) in [
        ("ann", Condition::Conflict),
        ("focus", Condition::Conflict),
        ("Focus", Condition::Conflict),
        (" a", Condition::JidMalformed),
        (&long, Condition::JidMalformed),
    ] {
        w.join(2, nick);
        let got = w.raw(2);
        let [error] = got.as_slice() else {
            panic!("{nick}: {got:?}")
        };
        assert_eq!(error.error_condition(), Some(condition), "{nick}");
        assert_eq!(error.from, Some(to(nick)));
        assert_eq!(w.got(1), [""; 0], "nobody else notices");
    }
    for session in 2..=4 {
        w.join(session, &format!("n{session}"));
    }
    w.forget();
    w.join(5, "late");
    assert_eq!(w.got(5), ["presence error service-unavailable"]);
    w.send(5, presence(5, "late"));
    assert_eq!(
        w.got(5),
        ["presence error not-acceptable"],
        "no presence without a join"
    );
    w.send(5, presence(5, "").with_child(Element::bare("x", ns::MUC)));
    assert_eq!(
        w.got(5),
        ["presence error jid-malformed"],
        "no join without a nick"
    );
    w.send(2, presence(2, "other"));
    assert_eq!(
        w.got(2),
        ["presence error not-acceptable"],
        "no change of nick"
    );
}

#[test]
fn leaving_by_word_and_by_end_of_session() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
    }
    w.forget();
    let status = text_element("status", ns::CLIENT, "bye");
    w.send(
        2,
        presence(2, "bob")
            .with_type("unavailable")
            .with_child(status),
    );
    assert_eq!(w.got(2), ["gone bob none/none 110"]);
    assert_eq!(
        w.raw(1)[0].child("status", ns::CLIENT).unwrap().text(),
        "bye"
    );
    w.got.clear();
    w.session(3, SessionChange::Ended(EndReason::LeaseExpired));
    assert_eq!(w.got(3), [""; 0], "nobody is there to be told");
    assert_eq!(w.got(1), ["gone cat none/none"]);
    w.session(3, SessionChange::Ended(EndReason::Closed));
    w.send(2, presence(2, "bob").with_type("unavailable"));
    assert!(w.got.is_empty(), "a second goodbye means nothing");
    assert_eq!(w.room.occupants().len(), 1);
}

#[test]
fn a_device_replaces_its_own_lost_occupant_at_once() {
    let mut w = World::new();
    w.join_with(1, "ann", Some(7), vec![]);
    w.join_with(2, "bob", Some(8), vec![]);
    w.forget();
    w.join_with(3, "two", Some(7), vec![]);
    assert_eq!(
        w.got(2),
        ["here two none/participant"],
        "two tabs with sockets are two occupants"
    );
    w.session(1, SessionChange::Paused);
    w.got.clear();
    w.join_with(4, "new", Some(7), vec![]);
    assert_eq!(w.got(2)[0], "gone ann owner/none");
    assert_eq!(w.room.occupants().count(), 3);
    w.session(2, SessionChange::Paused);
    w.join_with(5, "bob", None, vec![]);
    assert_eq!(
        w.got(5),
        ["presence error conflict"],
        "somebody else's nick stays taken"
    );
}

#[test]
fn groupchat_is_echoed_with_its_id_and_history_is_short() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    w.forget();
    for text in ["one", "two", "three"] {
        w.send(2, groupchat(text));
    }
    let echo = w.raw(2);
    assert_eq!(echo[0].id.as_deref(), Some("one"));
    assert_eq!(w.got(1), ["body bob one", "body bob two", "body bob three"]);
    w.join(3, "cat");
    let old: Vec<String> = w
        .got(3)
        .into_iter()
        .filter(|line| line.starts_with("old"))
        .collect();
    assert_eq!(old, ["old body bob two", "old body bob three"]);
    w.send(9, groupchat("stranger"));
    assert_eq!(w.got(9), ["message error not-acceptable"]);
}

#[test]
fn private_messages_and_requests_go_both_ways() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    w.forget();
    let chat = |nick: &str| groupchat("psst").with_type("chat").with_to(to(nick));
    w.send(1, chat("bob"));
    assert_eq!(w.got(2), ["body ann psst"]);
    assert_eq!(w.got(1), [""; 0], "private messages have no echo");
    w.send(1, chat("nobody"));
    w.send(1, groupchat("x").with_to(to("bob")));
    w.send(1, chat("focus"));
    w.send(1, chat(""));
    let errors = [
        "item-not-found",
        "bad-request",
        "service-unavailable",
        "service-unavailable",
    ];
    assert_eq!(w.got(1), errors.map(|c| format!("message error {c}")));

    let iq = |type_: &str, nick: &str| Stanza::iq(type_, "7").with_to(to(nick));
    w.send(1, iq("set", "bob"));
    let request = w.raw(2).remove(0);
    assert_eq!(
        (request.from.clone(), request.id.as_deref()),
        (Some(to("ann")), Some("7"))
    );
    w.send(2, iq("result", "ann"));
    w.send(2, iq("error", "ann"));
    w.send(2, iq("result", "nobody"));
    assert_eq!(w.got(1), ["iq bob result", "iq error undefined-condition"]);
    assert!(w.got.is_empty());
    w.send(1, iq("get", "nobody"));
    w.send(9, iq("get", "ann"));
    assert_eq!(w.got(1), ["iq error item-not-found"]);
    assert_eq!(w.got(9), ["iq error not-acceptable"]);
    w.send(
        1,
        iq("get", "ann").with_child(Element::bare("ping", ns::PING)),
    );
    assert_eq!(w.got(1), ["iq ann result"]);
    w.send(1, iq("set", "focus"));
    assert!(w.events[0].starts_with("focus <iq"), "{:?}", w.events);
}

#[test]
fn the_subject_is_for_moderators_and_for_those_who_come_later() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    w.forget();
    let subject = |text| groupchat("").with_children([text_element("subject", ns::CLIENT, text)]);
    w.send(2, subject("mine"));
    assert_eq!(w.got(2), ["message error forbidden"]);
    w.send(1, subject("tea time"));
    assert_eq!(w.got(2), ["subject ann tea time"]);
    w.join(3, "cat");
    assert_eq!(w.got(3).last().unwrap(), "subject ann tea time");
}

#[test]
fn every_request_to_the_room_is_answered() {
    let mut w = World::new();
    w.join(1, "ann");
    w.forget();
    let answers = |w: &mut World, stanza: Stanza| {
        w.send(1, stanza);
        w.got(1)
    };
    assert_eq!(
        answers(&mut w, query("get", ns::DISCO_INFO, "")),
        ["iq room result"]
    );
    assert_eq!(
        answers(&mut w, query("get", ns::DISCO_ITEMS, "")),
        ["iq room result"]
    );
    assert_eq!(
        answers(&mut w, query("get", ns::MUC_OWNER, "")),
        ["iq room result"]
    );
    assert_eq!(
        answers(&mut w, query("get", "unknown", "")),
        ["iq error service-unavailable"]
    );
    assert_eq!(
        answers(&mut w, query("set", ns::MUC_OWNER, "")),
        ["iq error bad-request"]
    );
    assert_eq!(
        answers(&mut w, query("set", ns::MUC_ADMIN, "")),
        ["iq error bad-request"]
    );
    let empty = Stanza::iq("get", "1").with_to(to(""));
    assert_eq!(
        answers(&mut w, empty.clone()),
        ["iq error service-unavailable"]
    );
    assert_eq!(answers(&mut w, empty.with_type("result")), [""; 0]);
}

#[test]
fn the_password_is_set_in_part_and_announced() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    w.forget();
    let submit = |fields: &[(&str, &str)]| {
        let form = fields.iter().fold(
            DataForm::new(disco::FormType::Submit, ns::MUC_ROOM_CONFIG),
            |form, (var, value)| form.with(var, value),
        );
        let query = Element::builder("query", ns::MUC_OWNER)
            .append(form.to_element())
            .build();
        Stanza::iq("set", "1").with_to(to("")).with_child(query)
    };
    use tertulia_stanza::disco::{self, DataForm};
    w.send(2, submit(&[("muc#roomconfig_roomsecret", "x")]));
    assert_eq!(w.got(2), ["iq error forbidden"]);
    let lock = [
        ("muc#roomconfig_roomsecret", "rose"),
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_whois", "anyone"),
    ];
    w.send(1, submit(&lock));
    assert_eq!(w.got(1), ["config changed", "iq room result"]);
    assert_eq!(w.room.configuration().password.as_deref(), Some("rose"));
    w.send(1, submit(&[("muc#roomconfig_whois", "anyone")]));
    assert_eq!(
        w.got(1),
        ["iq room result"],
        "other fields keep their value, nothing changed"
    );
    assert!(w.room.disco_info().has_feature("muc_passwordprotected"));
    w.send(1, submit(&[("muc#roomconfig_whois", "moderators")]));
    assert_eq!(w.got(1), ["iq error not-acceptable"]);
    w.send(1, submit(&[("muc#roomconfig_passwordprotectedroom", "0")]));
    assert_eq!(w.room.configuration().password, None);
}

#[test]
fn changes_of_standing_are_for_the_owner_of_the_room() {
    let mut w = World::new();
    for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        w.join(session, nick);
    }
    w.forget();
    let kick = "<item nick='bob' role='none'><reason>noise</reason></item>";
    w.send(3, admin(kick));
    assert_eq!(w.got(3), ["iq error forbidden"]);
    assert!(w.events.is_empty());
    w.send(1, admin(kick));
    assert!(w.events[0].contains("Kick"), "{:?}", w.events);
    let bob = w.room.occupant_named("bob").unwrap().id();
    w.room.expel(bob, 307, "ann", Some("noise".to_owned()));
    w.drain();
    let own = w.raw(2).remove(0);
    assert_eq!(summary(&own), "gone bob none/none 307,110");
    let item = UserX::parse(own.child("x", ns::MUC_USER).unwrap())
        .unwrap()
        .item
        .unwrap();
    assert_eq!(
        (item.actor.as_deref(), item.reason.as_deref()),
        (Some("ann"), Some("noise"))
    );
    assert_eq!(w.got(3), ["gone bob none/none 307"]);

    w.forget();
    let cat = w.room.occupant_named("cat").unwrap().id();
    w.room.set_standing(cat, Standing::of(Affiliation::Owner));
    w.drain();
    assert_eq!(w.got(3), ["here cat owner/moderator 110"]);
    assert_eq!(w.got(1), ["here cat owner/moderator"]);
    let muted = Standing::of(Affiliation::Owner).without([tertulia_model::Capability::Speak]);
    w.forget();
    w.room.set_standing(cat, muted);
    w.drain();
    assert!(w.got.is_empty(), "what others do not see is not shown");
    assert!(w.events[0].contains("RightsChanged"));

    w.forget();
    for (item, expected) in [
        (
            "<item affiliation='king' jid='u3@localhost'/>",
            "bad-request",
        ),
        ("<item affiliation='owner' jid='@'/>", "jid-malformed"),
        ("<item nick='zed' role='none'/>", "item-not-found"),
        ("<item nick='focus' role='none'/>", "not-allowed"),
        (
            "<item nick='cat' role='visitor'/>",
            "feature-not-implemented",
        ),
        ("<item affiliation='owner'/>", "bad-request"),
        ("", "bad-request"),
    ] {
        w.send(1, admin(item));
        assert_eq!(w.got(1), [format!("iq error {expected}")], "{item}");
    }
    assert!(w.events.is_empty(), "all items or none");
}

#[test]
fn a_visitor_sees_the_others_and_is_not_seen() {
    let mut w = World::new();
    w.join(1, "ann");
    w.forget();
    let stanza = presence(2, "vic").with_child(Element::bare("x", ns::MUC));
    let candidate = w.room.candidate(&World::profile(2), &stanza).unwrap();
    w.room.join(candidate, Standing::visitor(), &stanza);
    w.drain();
    assert!(w.got(1).is_empty());
    let got = w.got(2);
    assert_eq!(got[1], "here ann owner/moderator");
    assert_eq!(got[2], "here vic none/visitor 110,100");
    w.send(2, presence(2, "vic").with_type("unavailable"));
    assert!(w.got(1).is_empty());
    assert_eq!(w.got(2), ["gone vic none/none 110"]);
}

#[test]
fn a_destroyed_room_tells_everybody_and_is_silent() {
    let mut w = World::new();
    w.join(1, "ann");
    w.join(2, "bob");
    w.forget();
    w.send(
        1,
        query(
            "set",
            ns::MUC_OWNER,
            "<destroy><reason>over</reason></destroy>",
        ),
    );
    assert_eq!(w.got(1), ["iq room result", "gone ann none/none 110"]);
    let own = w.raw(2).remove(0);
    let x = UserX::parse(own.child("x", ns::MUC_USER).unwrap()).unwrap();
    assert_eq!(x.destroy.unwrap().reason.as_deref(), Some("over"));
    assert_eq!(w.events, ["Destroyed"]);
    w.forget();
    w.send(2, groupchat("anybody?"));
    w.session(1, SessionChange::Ended(EndReason::Closed));
    assert!(w.got.is_empty() && w.events.is_empty());
}

#[test]
fn the_focus_is_seen_by_all_and_again_when_it_changes() {
    let mut w = World::new();
    w.join(1, "ann");
    w.forget();
    w.room
        .set_focus_presence(vec![Element::bare("bridgeNotAvailable", ns::FOCUS)]);
    w.drain();
    let seen = w.raw(1).remove(0);
    assert_eq!(summary(&seen), FOCUS);
    assert!(seen.child("bridgeNotAvailable", ns::FOCUS).is_some());
    let x = UserX::parse(seen.child("x", ns::MUC_USER).unwrap()).unwrap();
    assert_eq!(
        x.item.unwrap().jid.unwrap().as_str(),
        "focus@auth.localhost/focus"
    );
}
