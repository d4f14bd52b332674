//! Which part of the server a client's stanza is for.

use tertulia_model::jid::{BareJid, Jid};
use tertulia_model::{Host, Hosts, RoomJid};
use tertulia_stanza::conference_request::ConferenceRequest;
use tertulia_stanza::{Condition, Kind, Stanza, StanzaError, ns};

/// Where a stanza goes.
#[derive(Debug)]
pub enum Route {
    /// One of our host names; answered by [`host::answer`](crate::host::answer).
    Host,
    /// A room or one of its occupants: a main room, the lobby beside it (by the name of the main
    /// room), or a breakout room.
    Room(RoomJid),
    /// A service of a meeting; which meeting, its author's session knows.
    Service(Host),
    /// A request for the conference in this room, which is to be created if it does not live.
    ConferenceRequest(RoomJid),
    /// A session on this server, by its full JID, or all of one user's.
    Session(Jid),
    /// Nobody. To be sent back if the stanza may be refused.
    Unroutable(StanzaError),
}

/// Finds out where a stanza goes, by nothing but its address and, for a conference request, its
/// room.
pub fn route(hosts: &Hosts, stanza: &Stanza) -> Route {
    let Some(to) = &stanza.to else {
        return Route::Host;
    };
    let nowhere = |condition| Route::Unroutable(StanzaError::new(condition));
    match (hosts.classify(to.domain()), to.node().is_some()) {
        (None, _) => nowhere(Condition::RemoteServerNotFound),
        (Some(Host::Conference | Host::Lobby | Host::Breakout), true) => {
            main_room(hosts, to.clone().into_bare())
                .map_or_else(|| nowhere(Condition::ItemNotFound), Route::Room)
        }
        (Some(Host::Focus), false) => conference_request(hosts, stanza),
        (Some(Host::Main), true) => Route::Session(to.clone()),
        (Some(Host::Focus | Host::Auth), true) => nowhere(Condition::ServiceUnavailable),
        (Some(Host::Service(_)), true) => nowhere(Condition::ItemNotFound),
        // Messages are commands; anything else is a question about the service itself.
        (Some(host @ (Host::Service(_) | Host::Breakout)), false)
            if stanza.kind == Kind::Message =>
        {
            Route::Service(host)
        }
        (Some(_), false) => Route::Host,
    }
}

/// The room of a conference request, in the one spelling by which rooms are known; None if it is
/// not the address of a room of ours.
pub fn requested_room(hosts: &Hosts, request: &ConferenceRequest) -> Option<RoomJid> {
    // COMPAT(lib-jitsi-meet): the room may come with a resource.
    let jid: Jid = request.room.parse().ok()?;
    room(hosts, jid.into_bare())
}

fn conference_request(hosts: &Hosts, stanza: &Stanza) -> Route {
    let is_set = stanza.kind == Kind::Iq && stanza.is_type("set");
    let Some(element) = stanza.child("conference", ns::FOCUS).filter(|_| is_set) else {
        return Route::Host;
    };
    let request = ConferenceRequest::parse(element);
    let room = request.and_then(|request| requested_room(hosts, &request));
    room.map_or_else(
        || {
            let error = StanzaError::new(Condition::BadRequest);
            Route::Unroutable(error.with_text("expected the address of a room on this server"))
        },
        Route::ConferenceRequest,
    )
}

/// Rooms are known by their `conference.` name, also to those who say `muc.`; breakout rooms have
/// names of their own. None for everything else.
pub fn room(hosts: &Hosts, jid: BareJid) -> Option<RoomJid> {
    let host = hosts.classify(jid.domain())?;
    matches!(host, Host::Conference | Host::Breakout)
        .then(|| named(hosts, host, jid))
        .flatten()
}

/// The room by which the router knows the conference: a lobby is where the room of its name is.
fn main_room(hosts: &Hosts, jid: BareJid) -> Option<RoomJid> {
    match hosts.classify(jid.domain())? {
        Host::Lobby => named(hosts, Host::Conference, jid),
        _ => room(hosts, jid),
    }
}

fn named(hosts: &Hosts, host: Host, jid: BareJid) -> Option<RoomJid> {
    if hosts.is_usual(host, jid.domain()) {
        return RoomJid::new(jid);
    }
    let domain = hosts.name_for(host, hosts.tenant(jid.domain()))?;
    RoomJid::new(BareJid::from_parts(Some(jid.node()?), &domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tertulia_model::jid::DomainPart;

    fn hosts() -> Hosts {
        Hosts::new(DomainPart::new("localhost").unwrap().into_owned())
    }

    fn check(stanza: &Stanza, expected: &str) {
        let got = match route(&hosts(), stanza) {
            Route::Host => "host".to_owned(),
            Route::Room(room) => format!("room {room}"),
            Route::Service(host) => format!("service {host:?}"),
            Route::ConferenceRequest(room) => format!("request {room}"),
            Route::Session(jid) => format!("session {jid}"),
            Route::Unroutable(error) => format!("no: {}", error.condition),
        };
        assert_eq!(got, expected, "{stanza}");
    }

    #[test]
    fn by_address() {
        let to = |jid: &str| Stanza::new(Kind::Message).with_to(jid.parse::<Jid>().unwrap());
        check(&Stanza::new(Kind::Presence), "host");
        check(&to("localhost"), "host");
        check(&to("conference.localhost"), "host");
        check(&to("focus.localhost"), "host");
        check(
            &to("Tea@conference.localhost"),
            "room tea@conference.localhost",
        );
        check(
            &to("tea@muc.localhost/nick"),
            "room tea@conference.localhost",
        );
        check(
            &to("tea@muc.school.localhost/nick"),
            "room tea@conference.school.localhost",
        );
        check(
            &to("tea@lobby.localhost/nick"),
            "room tea@conference.localhost",
        );
        check(&to("id@breakout.localhost"), "room id@breakout.localhost");
        check(&to("breakout.localhost"), "service Breakout");
        check(&to("polls.localhost"), "service Service(Polls)");
        check(&to("x@polls.localhost"), "no: item-not-found");
        check(&to("u@localhost/r"), "session u@localhost/r");
        check(&to("focus@auth.localhost"), "no: service-unavailable");
        check(&to("x@focus.localhost"), "no: service-unavailable");
        check(&to("example.org"), "no: remote-server-not-found");
        check(
            &to("tea@conference.example.org"),
            "no: remote-server-not-found",
        );
    }

    #[test]
    fn conference_requests_by_their_room() {
        let request = |room: &str| {
            let request = ConferenceRequest {
                room: room.to_owned(),
                ..Default::default()
            };
            Stanza::iq("set", "1")
                .with_to("focus.localhost".parse::<Jid>().unwrap())
                .with_child(request.to_element())
        };
        check(
            &request("Tea@muc.localhost"),
            "request tea@conference.localhost",
        );
        let illegal = [
            "",
            "tea",
            "conference.localhost",
            "a b@conference.localhost",
            "a@b@c",
        ];
        for bad in illegal
            .into_iter()
            .chain(["tea@example.org", "a\"b@conference.localhost"])
        {
            check(&request(bad), "no: bad-request");
        }
    }
}
