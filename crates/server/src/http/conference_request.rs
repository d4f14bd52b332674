//! The conference request by HTTP (the other form is an iq to `focus.`).

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tertulia_model::RoomJid;
use tertulia_stanza::conference_request::{ConferenceReply, ConferenceRequest};
use tokio::sync::oneshot;

use crate::authority::Authority;
use crate::conference_task::{ConferenceMail, NoConference, find_or_start};
use crate::http::cross_origin::{self, admits, allow_reading};
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
    if admits(&node, &visitor, &authority, &headers) {
        cross_origin::preflight(&node, &headers)
    } else {
        cross_origin::refusal()
    }
}

/// `POST /conference-request/v1`, `POST /TENANT/conference-request/v1`. The room in the body says
/// whose tenant's it is.
pub(crate) async fn post(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !admits(&node, &visitor, &authority, &headers) {
        return cross_origin::refusal();
    }
    let Ok(body) = to_bytes(body, node.limits.http_body_bytes).await else {
        let response = refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
        return allow_reading(&node, &headers, response);
    };
    let response = match read(&node, &body) {
        Ok((room, mut asked)) => {
            asked.token = bearer(&headers);
            let reply = ask(&node, visitor, &room, asked).await;
            let json = [(header::CONTENT_TYPE, "application/json")];
            (json, reply.to_json()).into_response()
        }
        Err(reason) => refused(StatusCode::BAD_REQUEST, &reason),
    };
    allow_reading(&node, &headers, response)
}

/// The token of the request's author.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
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
