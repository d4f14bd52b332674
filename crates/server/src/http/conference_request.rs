//! The conference request by HTTP (the other form is an iq to `focus.`).

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tertulia_model::RoomJid;
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tokio::sync::oneshot;

use crate::authority::Authority;
use crate::conference_task::{ConferenceMail, NoConference, find_or_start};
use crate::http::upgrade::origin;
use crate::http::{RESERVED, is_reserved_name};
use crate::listen::web::Visitor;
use crate::node::Node;

/// `OPTIONS /conference-request/v1`: may a page of another origin ask?
pub(crate) async fn options(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    headers: HeaderMap,
) -> Response {
    if !node
        .authorities
        .admits_origin(origin(&headers), &authority, visitor.arrival)
    {
        return refused(StatusCode::FORBIDDEN, "this origin may not ask");
    }
    let mut response = StatusCode::OK.into_response();
    let allow: [(_, &'static str); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, authorization",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in allow {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    allow_origin(response, &headers)
}

/// `POST /conference-request/v1`.
pub(crate) async fn post(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !node
        .authorities
        .admits_origin(origin(&headers), &authority, visitor.arrival)
    {
        return refused(StatusCode::FORBIDDEN, "this origin may not ask");
    }
    let Ok(body) = to_bytes(body, node.limits.http_body_bytes).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    };
    let response = match read(&node, &body) {
        Ok((room, asked)) => {
            let reply = ask(&node, visitor, &room, asked).await;
            let json = [(header::CONTENT_TYPE, "application/json")];
            (json, reply.to_json()).into_response()
        }
        Err(reason) => refused(StatusCode::BAD_REQUEST, &reason),
    };
    allow_origin(response, &headers)
}

fn read(node: &Node, body: &[u8]) -> Result<(RoomJid, ConferenceRequest), String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
    let asked = ConferenceRequest::parse_json(text).map_err(|error| error.to_string())?;
    let room = tertulia_conference::route::requested_room(&node.hosts, &asked)
        .ok_or_else(|| "expected the address of a room on this server".to_owned())?;
    if is_reserved_name(room.name()) {
        return Err(RESERVED.to_owned());
    }
    Ok((room, asked))
}

/// Puts the question to the conference. What cannot be served now is `ready: false`.
async fn ask(
    node: &Arc<Node>,
    visitor: Visitor,
    room: &RoomJid,
    asked: ConferenceRequest,
) -> ConferenceReply {
    let from = visitor.address.ip();
    let conference = match find_or_start(node, room, from) {
        Ok(conference) => conference,
        Err(reason) => return node.without_conference(room, reason),
    };
    let answered = async {
        let place = conference.lane().reserve_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        place.send(ConferenceMail::Request { from, asked, reply });
        answer.await.ok()
    };
    let answer = tokio::time::timeout(node.limits.conference_wait, answered).await;
    let answer = answer.ok().flatten();
    answer.unwrap_or_else(|| node.without_conference(room, NoConference::Later))
}

fn refused(status: StatusCode, reason: &str) -> Response {
    (status, format!("HTTP {}: {reason}\n", status.as_u16())).into_response()
}

/// Names the asking origin, which was checked before.
fn allow_origin(mut response: Response, headers: &HeaderMap) -> Response {
    if let Some(origin) = headers.get(header::ORIGIN) {
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response
            .headers_mut()
            .insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}
