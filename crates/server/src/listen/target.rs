//! What the URL of a connection says: which room the client is about to enter, and who it was.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use jid::{BareJid, NodePart};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tertulia_model::{Host, Hosts, RoomJid};
use unicode_normalization::UnicodeNormalization;

use crate::http::tenant::Tenant;
use crate::http::{RESERVED, is_reserved_name};
use crate::node::Node;

/// `/[TENANT/]xmpp-websocket?room=ROOM&previd=ID`, and the same with `http-bind`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) room: Option<RoomJid>,
    pub(crate) previd: Option<String>,
}

/// `token`, `vnode` and `customusername` are not ours to read: there are no accounts and no other
/// nodes.
#[derive(Default, Deserialize)]
struct Parameters {
    room: Option<String>,
    previd: Option<String>,
    /// COMPAT(docker-jitsi-meet): its front end turns the tenant's path into this.
    prefix: Option<String>,
}

/// The URL names what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadTarget {
    Query,
    Tenant,
    Room,
    Reserved,
}

impl BadTarget {
    fn reason(self) -> &'static str {
        match self {
            BadTarget::Query => "the query is malformed",
            BadTarget::Tenant => "the tenant in the path can't be a part of a host name",
            BadTarget::Room => "the room in the query can't be the name of a room",
            BadTarget::Reserved => RESERVED,
        }
    }
}

impl IntoResponse for BadTarget {
    fn into_response(self) -> Response {
        let reason = self.reason();
        (StatusCode::BAD_REQUEST, format!("HTTP 400: {reason}\n")).into_response()
    }
}

impl FromRequestParts<Arc<Node>> for Target {
    type Rejection = BadTarget;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Target, BadTarget> {
        let tenant = <Path<String> as OptionalFromRequestParts<_>>::from_request_parts(parts, node);
        let tenant = tenant.await.map_err(|_| BadTarget::Tenant)?;
        let query = Query::<Parameters>::try_from_uri(&parts.uri);
        let Query(parameters) = query.map_err(|_| BadTarget::Query)?;
        target(&node.hosts, tenant.map(|Path(tenant)| tenant), parameters)
    }
}

fn target(
    hosts: &Hosts,
    tenant: Option<String>,
    parameters: Parameters,
) -> Result<Target, BadTarget> {
    let tenant = tenant.or(parameters.prefix);
    let tenant = tenant
        .filter(|tenant| !tenant.is_empty())
        .map(|tenant| Tenant::parse(hosts, &tenant).ok_or(BadTarget::Tenant))
        .transpose()?;
    let tenant = tenant.as_ref().map(Tenant::as_str);
    let room = parameters.room.filter(|room| !room.is_empty());
    let room = room
        .map(|room| room_jid(hosts, tenant, &room))
        .transpose()?;
    Ok(Target {
        room,
        previd: parameters.previd,
    })
}

fn room_jid(hosts: &Hosts, tenant: Option<&str>, room: &str) -> Result<RoomJid, BadTarget> {
    let room = &decoded(room);
    if is_reserved_name(room) {
        return Err(BadTarget::Reserved);
    }
    // Also what stands for bytes that are no UTF-8.
    let is_unprintable = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    if room.chars().any(is_unprintable) {
        return Err(BadTarget::Room);
    }
    let name = room_name(room);
    let node = NodePart::new(&name).map_err(|_| BadTarget::Room)?;
    let domain = hosts
        .name_for(Host::Conference, tenant)
        .ok_or(BadTarget::Tenant)?;
    RoomJid::new(BareJid::from_parts(Some(&node), &domain)).ok_or(BadTarget::Room)
}

/// COMPAT(jitsi-meet): it puts the name of the room into the URL as it stands in the JID, encoded
/// once already.
fn decoded(room: &str) -> Cow<'_, str> {
    let decoded = percent_decode_str(room).decode_utf8();
    decoded.unwrap_or(Cow::Borrowed(room))
}

/// The name of a room as Jitsi's clients put it into a JID.
///
/// COMPAT(jitsi-meet): normalised, in lower case, and what a URL cannot carry is percent-encoded,
/// also in the JID.
fn room_name(room: &str) -> String {
    let normal = room.nfkc().collect::<String>().to_lowercase();
    let mut name = String::with_capacity(normal.len());
    for byte in normal.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            name.push(char::from(byte));
        } else {
            write!(name, "%{byte:02x}").expect("a text can always grow");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use jid::DomainPart;

    use super::*;

    fn read(tenant: Option<&str>, query: &str) -> Result<Target, BadTarget> {
        let hosts = Hosts::new(DomainPart::new("meet.example").unwrap().into_owned());
        let uri = format!("/xmpp-websocket?{query}").parse().unwrap();
        let Query(parameters) =
            Query::<Parameters>::try_from_uri(&uri).map_err(|_| BadTarget::Query)?;
        target(&hosts, tenant.map(str::to_owned), parameters)
    }

    fn room(tenant: Option<&str>, query: &str) -> Result<Option<String>, BadTarget> {
        read(tenant, query).map(|target| target.room.map(|room| room.to_string()))
    }

    #[test]
    fn the_room_is_the_one_that_jitsis_client_joins() {
        for (query, name) in [
            ("room=tea", "tea"),
            (
                "room=TeaTime&token=x.y.z&vnode=v1&customusername=u",
                "teatime",
            ),
            ("previd=a&room=gr%c3%bc%c3%9fe%205", "gr%c3%bc%c3%9fe%205"),
            ("room=Gr%C3%9C%C3%9Fe%205", "gr%c3%bc%c3%9fe%205"),
            ("room=a%2Fb%40c", "a%2fb%40c"),
            // Encoded twice, as Jitsi Meet's page does it; a sign that only looks like it.
            ("room=gr%25c3%25bc%25c3%259fe", "gr%c3%bc%c3%9fe"),
            ("room=100%25", "100%25"),
            // A ligature, decomposed letters.
            ("room=%EF%AC%81ka%CC%8A", "fik%c3%a5"),
        ] {
            let expected = format!("{name}@conference.meet.example");
            assert_eq!(room(None, query), Ok(Some(expected)), "{query}");
        }
        assert_eq!(room(None, ""), Ok(None));
        assert_eq!(room(None, "room="), Ok(None));
    }

    #[test]
    fn a_tenant_has_rooms_of_its_own() {
        let expected = Ok(Some("tea@conference.school.meet.example".to_owned()));
        assert_eq!(room(Some("School"), "room=tea"), expected);
        assert_eq!(room(None, "room=tea&prefix=school"), expected);
        assert_eq!(room(Some("school"), "room=tea&prefix="), expected);
        let dots = room(Some("a.b"), "room=tea").unwrap().unwrap();
        assert_eq!(dots, "tea@conference.a_b.meet.example");
    }

    #[test]
    fn the_resumption_id_is_kept() {
        let target = read(None, "room=tea&previd=A-b_9").unwrap();
        assert_eq!(target.previd.as_deref(), Some("A-b_9"));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (tenant, query, bad) in [
            (None, "room=it%27s", BadTarget::Room),
            (None, "room=a%00b", BadTarget::Room),
            (None, "room=a%ffb", BadTarget::Room),
            (None, "room=config.js", BadTarget::Reserved),
            (Some("libs"), "room=tea", BadTarget::Tenant),
            (Some("a b"), "room=tea", BadTarget::Tenant),
            (None, "room=tea&prefix=%3Cscript%3E", BadTarget::Tenant),
            (None, "room=tea&room=coffee", BadTarget::Query),
        ] {
            assert_eq!(room(tenant, query), Err(bad), "{query}");
        }
        let long = format!("room={}", "a".repeat(1_024));
        assert_eq!(room(None, &long), Err(BadTarget::Room));
    }
}
