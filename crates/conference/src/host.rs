//! What our host names answer by themselves: pings, discovery, and refusals for everything else.

use tertulia_model::{Host, Hosts, Now, Service, SessionProfile, jid::Jid};
use tertulia_stanza::disco::{self, DiscoInfo};
use tertulia_stanza::{Condition, Element, Kind, Stanza, StanzaError, ns};

use crate::Config;
use crate::feature::services;

/// Answers a stanza to one of our host names, or without `to`; None where nothing is to be said.
pub fn answer(config: &Config, now: Now, from: &SessionProfile, stanza: &Stanza) -> Option<Stanza> {
    match stanza.kind {
        Kind::Presence => None,
        Kind::Message => stanza
            .may_be_refused()
            .then(|| stanza.error(Condition::ServiceUnavailable)),
        Kind::Iq if !stanza.is_request() => None,
        Kind::Iq => Some(answer_request(config, now, from, stanza)),
    }
}

/// What a client is told of this server before its session begins; the receiver is to be added.
///
/// COMPAT(lib-jitsi-meet): it takes features and addresses of services from this message, as from
/// Jitsi's `mod_jiconop`, and then asks for nothing. The features of the services are looked for
/// among those of the server.
pub fn announcement(config: &Config, now: Now, session: &SessionProfile) -> Stanza {
    let renames = config.rules.has_breakout_rooms.then_some(BREAKOUT_RENAME);
    let info = describe(config, Host::Main)
        .with_features(renames)
        .with_features(required_name(config));
    Stanza::new(Kind::Message)
        .with_from(Jid::from(config.hosts.name(Host::Main)))
        .with_children([
            info.to_element(),
            services::list(config, now, session, ns::EXT_DISCO),
        ])
}

/// The refusal of a stanza to a room that does not live; None where nothing is to be said.
///
/// To those who want to join it has the form on which Jitsi's client requests the conference
/// (again) and tries once more.
pub fn refuse_missing(stanza: &Stanza) -> Option<Stanza> {
    if !stanza.may_be_refused() {
        return None;
    }
    match stanza.kind {
        Kind::Presence if stanza.type_.is_none() => Some(
            stanza.error(
                StanzaError::new(Condition::NotAllowed)
                    .with_text("Room creation is restricted")
                    .with_extra(Element::bare("room-does-not-exist", ns::JITSI_MEET)),
            ),
        ),
        Kind::Presence => None,
        Kind::Message | Kind::Iq => Some(stanza.error(Condition::ItemNotFound)),
    }
}

/// The refusal of a stanza to a breakout room that no meeting has; None where nothing is to be
/// said.
///
/// COMPAT(lib-jitsi-meet): on this the application goes back to the main room; the refusal of a
/// room that may be created would make it try three times before.
pub fn refuse_breakout(stanza: &Stanza) -> Option<Stanza> {
    if stanza.kind != Kind::Presence {
        return refuse_missing(stanza);
    }
    let error = StanzaError::new(Condition::NotAllowed).with_text("this breakout room is gone");
    (stanza.type_.is_none() && stanza.may_be_refused()).then(|| stanza.error(error))
}

fn answer_request(config: &Config, now: Now, from: &SessionProfile, iq: &Stanza) -> Stanza {
    let hosts = &config.hosts;
    let host = iq
        .to
        .as_ref()
        .map_or(Some(Host::Main), |to| hosts.classify(to.domain()));
    let Some(payload) = iq.children().first().filter(|_| iq.is_type("get")) else {
        return iq.error(Condition::ServiceUnavailable);
    };
    if payload.is("ping", ns::PING) {
        return iq.result();
    }
    if payload.is("query", ns::DISCO_INFO) {
        // Nodes are how Jitsi's client asks for details of a component.
        let info = host.map(|host| describe(config, host)).unwrap_or_default();
        let node = payload.attr("node").map(str::to_owned);
        return iq
            .result()
            .with_child(DiscoInfo { node, ..info }.to_element());
    }
    if payload.is("query", ns::DISCO_ITEMS) {
        return iq.result().with_child(items(hosts, host));
    }
    let services = services::answer(config, now, from, payload);
    if let Some(list) = services.filter(|_| host == Some(Host::Main)) {
        return iq.result().with_child(list);
    }
    iq.error(Condition::ServiceUnavailable)
}

fn describe(config: &Config, host: Host) -> DiscoInfo {
    let component = |name| DiscoInfo::default().with_identity("component", name, None);
    let info = match host {
        Host::Main => components(config)
            .with_identity("server", "im", Some("Tertulia"))
            .with_features([ns::EXT_DISCO, ns::EXT_DISCO_1]),
        Host::Conference => DiscoInfo::default()
            .with_identity("conference", "text", Some("Rooms"))
            .with_features([ns::MUC]),
        Host::Lobby => component(LOBBY)
            .with_features([ns::MUC])
            .with_features(required_name(config)),
        Host::Breakout => component(BREAKOUT).with_features([ns::MUC, BREAKOUT_RENAME]),
        Host::Service(service) => component(component_type(service)),
        Host::Focus | Host::Auth => {
            DiscoInfo::default().with_identity("component", "generic", Some("Focus"))
        }
    };
    info.with_features([ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING])
}

/// COMPAT(lib-jitsi-meet): a feature is there if the main host has an identity of its type, whose
/// name is the address to talk to. Messages from other addresses are not delivered.
fn components(config: &Config) -> DiscoInfo {
    let services = Service::ALL
        .into_iter()
        .filter(|service| has_service(config, *service))
        .map(|service| (component_type(service), Host::Service(service)));
    let rooms = [
        (config.rules.has_lobby, LOBBY, Host::Lobby),
        (config.rules.has_breakout_rooms, BREAKOUT, Host::Breakout),
    ];
    let rooms = rooms
        .into_iter()
        .filter_map(|(is_there, name, host)| is_there.then_some((name, host)));
    services
        .chain(rooms)
        .fold(DiscoInfo::default(), |info, (type_, host)| {
            let address = config.hosts.name(host);
            info.with_identity("component", type_, Some(address.as_str()))
        })
}

/// COMPAT(lib-jitsi-meet): by this feature of the lobby, Jitsi's `mod_muc_lobby_rooms` tells the
/// page to ask for a name before it joins.
fn required_name(config: &Config) -> Option<&'static str> {
    config
        .rules
        .is_display_name_required
        .then_some(DISPLAY_NAME_REQUIRED)
}

fn has_service(config: &Config, service: Service) -> bool {
    let rules = &config.rules;
    match service {
        Service::AvModeration => rules.has_av_moderation,
        Service::EndConference => rules.has_end_conference,
        Service::FileSharing => rules.has_file_sharing,
        Service::Polls => rules.has_polls,
        Service::SpeakerStats => rules.has_speaker_stats,
        Service::Visitors => rules.has_visitors,
        Service::ConferenceDuration | Service::Metadata => true,
    }
}

/// Jitsi's name for a service, as the type of an identity.
fn component_type(service: Service) -> &'static str {
    match service {
        Service::AvModeration => "av_moderation",
        Service::ConferenceDuration => "conference_duration",
        Service::EndConference => "end_conference",
        Service::FileSharing => "file-sharing",
        Service::Metadata => "room_metadata",
        Service::Polls => "polls",
        Service::SpeakerStats => "speakerstats",
        Service::Visitors => "visitors",
    }
}

const LOBBY: &str = "lobbyrooms";
const BREAKOUT: &str = "breakout_rooms";
/// Nobody comes in without a name.
const DISPLAY_NAME_REQUIRED: &str = "http://jitsi.org/protocol/lobbyrooms#displayname_required";
/// Moderators may rename breakout rooms.
const BREAKOUT_RENAME: &str = "http://jitsi.org/protocol/breakout_rooms#rename";

/// The parts of the main host. Who is in which room is nobody else's business.
fn items(hosts: &Hosts, host: Option<Host>) -> Element {
    let parts = [Host::Conference, Host::Focus].map(|part| Jid::from(hosts.name(part)));
    let is_main = host == Some(Host::Main);
    disco::items(parts.iter().filter(|_| is_main).map(|jid| (jid, None)))
}

#[cfg(test)]
mod tests {
    use tertulia_model::jid::Jid;
    use tertulia_stanza::disco::DataForm;
    use tertulia_stanza::text_element;

    use super::*;
    use crate::feature::services::tests::{now, session};
    use crate::tests::config;

    fn check(stanza: Stanza, expected: Option<&str>) {
        let from: Jid = "u@localhost/r".parse().unwrap();
        let answer = answer(
            &config(),
            now(),
            &session(),
            &stanza.clone().with_from(from.clone()),
        );
        let got = answer.as_ref().map(|answer| {
            assert_eq!((&answer.to, &answer.id), (&Some(from), &stanza.id));
            match answer.error_condition() {
                Some(condition) => condition.to_string(),
                None => answer
                    .children()
                    .first()
                    .map_or("empty", Element::name)
                    .to_owned(),
            }
        });
        assert_eq!(got.as_deref(), expected, "{stanza}");
    }

    fn get(to: &str, payload: Element) -> Stanza {
        Stanza::iq("get", "1")
            .with_to(to.parse::<Jid>().unwrap())
            .with_child(payload)
    }

    #[test]
    fn every_request_to_a_host_has_its_answer() {
        let bare = Element::bare;
        for host in ["localhost", "conference.localhost", "focus.localhost"] {
            check(get(host, bare("ping", ns::PING)), Some("empty"));
            check(get(host, bare("query", ns::DISCO_INFO)), Some("query"));
            check(get(host, bare("query", ns::DISCO_ITEMS)), Some("query"));
            check(
                get(host, bare("query", "unknown")),
                Some("service-unavailable"),
            );
        }
        check(
            get("localhost", bare("services", ns::EXT_DISCO)),
            Some("services"),
        );
        check(
            get("localhost", bare("services", ns::EXT_DISCO_1)),
            Some("services"),
        );
        let elsewhere = get("focus.localhost", bare("services", ns::EXT_DISCO));
        check(elsewhere, Some("service-unavailable"));
        let credentials = get("localhost", bare("credentials", ns::EXT_DISCO));
        check(credentials, Some("service-unavailable"));
        check(
            Stanza::iq("get", "1").with_child(bare("ping", ns::PING)),
            Some("empty"),
        );
        check(Stanza::iq("get", "1"), Some("service-unavailable"));
        let set = get("localhost", bare("ping", ns::PING)).with_type("set");
        check(set, Some("service-unavailable"));
        for silent in ["result", "error"] {
            check(
                get("localhost", bare("ping", ns::PING)).with_type(silent),
                None,
            );
        }
        check(Stanza::new(Kind::Presence), None);
        check(
            Stanza::new(Kind::Message).with_id("m"),
            Some("service-unavailable"),
        );
        check(Stanza::new(Kind::Message).with_type("error"), None);
    }

    /// What Jitsi's client switches on, with the addresses it would talk to.
    fn switched_on(query: &Element) -> Vec<(String, String)> {
        let info = DiscoInfo::parse(query).unwrap();
        assert!(info.has_feature(ns::PING));
        assert_eq!(info.forms, Vec::<DataForm>::new());
        let components = info.identities.into_iter();
        let components = components.filter(|identity| identity.category == "component");
        components
            .map(|component| (component.type_, component.name.unwrap()))
            .collect()
    }

    const EVERYTHING: [(&str, &str); 10] = [
        ("av_moderation", "avmoderation.localhost"),
        ("conference_duration", "conferenceduration.localhost"),
        ("end_conference", "endconference.localhost"),
        ("file-sharing", "filesharing.localhost"),
        ("room_metadata", "metadata.localhost"),
        ("polls", "polls.localhost"),
        ("speakerstats", "speakerstats.localhost"),
        ("visitors", "visitors.localhost"),
        ("lobbyrooms", "lobby.localhost"),
        ("breakout_rooms", "breakout.localhost"),
    ];

    #[test]
    fn the_domain_names_the_services_of_its_meetings() {
        let answer = answer(
            &config(),
            now(),
            &session(),
            &get("localhost", DiscoInfo::query(None)),
        )
        .unwrap();
        let on = switched_on(answer.child("query", ns::DISCO_INFO).unwrap());
        let on: Vec<_> = on.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(on, EVERYTHING);
        let mut config = config();
        config.rules.has_polls = false;
        config.rules.has_lobby = false;
        config.rules.has_breakout_rooms = false;
        let message = announcement(&config, now(), &session());
        let query = message.child("query", ns::DISCO_INFO).unwrap();
        let on = switched_on(query);
        assert_eq!(on.len(), 7, "{on:?}");
        assert!(
            !on.iter()
                .any(|one| ["polls", LOBBY, BREAKOUT].contains(&one.0.as_str()))
        );
        assert!(
            !DiscoInfo::parse(query)
                .unwrap()
                .has_feature(BREAKOUT_RENAME)
        );
    }

    #[test]
    fn what_is_announced_needs_no_question() {
        let message = announcement(&config(), now(), &session());
        assert_eq!(message.from, Some("localhost".parse().unwrap()));
        let query = message.child("query", ns::DISCO_INFO).unwrap();
        assert_eq!(switched_on(query).len(), EVERYTHING.len());
        // COMPAT(lib-jitsi-meet): a feature of a service counts when its name ends so.
        assert!(
            DiscoInfo::parse(query)
                .unwrap()
                .has_feature(BREAKOUT_RENAME)
        );
        assert!(message.child("services", ns::EXT_DISCO).is_some());
    }

    #[test]
    fn where_a_name_is_required_clients_know_it_before_they_join() {
        for is_required in [false, true] {
            let mut config = config();
            config.rules.is_display_name_required = is_required;
            let message = announcement(&config, now(), &session());
            let lobby = get("lobby.localhost", DiscoInfo::query(Some(LOBBY)));
            for told in [
                &message,
                &answer(&config, now(), &session(), &lobby).unwrap(),
            ] {
                let info = DiscoInfo::parse(told.child("query", ns::DISCO_INFO).unwrap());
                let is_told = info.unwrap().has_feature(DISPLAY_NAME_REQUIRED);
                assert_eq!(is_told, is_required, "{told}");
            }
        }
    }

    #[test]
    fn services_describe_themselves() {
        for (type_, address) in EVERYTHING {
            let answer = answer(
                &config(),
                now(),
                &session(),
                &get(address, DiscoInfo::query(Some(type_))),
            )
            .unwrap();
            let info = DiscoInfo::parse(answer.child("query", ns::DISCO_INFO).unwrap()).unwrap();
            assert_eq!(info.node.as_deref(), Some(type_));
            assert_eq!(info.identities[0].type_, type_);
            assert_eq!(info.has_feature(BREAKOUT_RENAME), type_ == "breakout_rooms");
        }
    }

    /// COMPAT(lib-jitsi-meet): requests the conference again on exactly this text or element.
    #[test]
    fn a_join_to_a_room_that_does_not_live() {
        let to: Jid = "tea@conference.localhost/ann".parse().unwrap();
        let join = Stanza::new(Kind::Presence).with_to(to);
        let error = refuse_missing(&join).unwrap();
        assert_eq!(error.error_condition(), Some(Condition::NotAllowed));
        let child = error.child("error", ns::CLIENT).unwrap();
        assert_eq!(child.attr("type"), Some("cancel"));
        let text = child.get_child("text", ns::STANZA_ERRORS).unwrap().text();
        assert_eq!(text, "Room creation is restricted");
        assert!(child.has_child("room-does-not-exist", ns::JITSI_MEET));
        for silent in ["unavailable", "error", "probe"] {
            assert!(
                refuse_missing(&join.clone().with_type(silent)).is_none(),
                "{silent}"
            );
        }
        let message =
            Stanza::new(Kind::Message).with_child(text_element("body", ns::CLIENT, "anybody?"));
        let refusal = refuse_missing(&message).unwrap();
        assert_eq!(refusal.error_condition(), Some(Condition::ItemNotFound));
    }

    /// COMPAT(lib-jitsi-meet): what tells it to try again must not be in the refusal.
    #[test]
    fn a_join_to_a_breakout_room_that_is_gone() {
        let to: Jid = "x@breakout.localhost/ann".parse().unwrap();
        let join = Stanza::new(Kind::Presence).with_to(to.clone());
        let error = refuse_breakout(&join).unwrap();
        assert_eq!(error.error_condition(), Some(Condition::NotAllowed));
        let text = error.to_string();
        assert!(!text.contains("Room creation") && !text.contains("room-does-not-exist"));
        for silent in ["unavailable", "error", "probe"] {
            assert!(refuse_breakout(&join.clone().with_type(silent)).is_none());
        }
        let message = Stanza::new(Kind::Message).with_to(to);
        let refusal = refuse_breakout(&message).unwrap();
        assert_eq!(refusal.error_condition(), Some(Condition::ItemNotFound));
    }
}
