//! XMPP over BOSH (XEP-0124, XEP-0206): one stream over many HTTP requests.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tertulia_model::Private;
use tertulia_stream::{BoshCondition, Negotiation, read_body};
use tokio::sync::oneshot;
use tracing::{Instrument, debug, debug_span};

use crate::authority::Authority;
use crate::clock;
use crate::http::cross_origin::{self, admits, allow_reading};
use crate::listen::login::{Client, negotiate};
use crate::listen::target::{BadTarget, Target};
use crate::listen::web::Visitor;
use crate::node::Node;
use crate::socket::{BoshRequest, BoshSocket, Socket};

/// `OPTIONS /http-bind`.
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

/// `GET /http-bind`: somebody looks whether it is there.
pub(crate) async fn get() -> &'static str {
    "XMPP over BOSH (XEP-0206) is spoken here, by POST.\n"
}

/// `POST /http-bind`, `POST /TENANT/http-bind`.
pub(crate) async fn post(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    target: Result<Target, BadTarget>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !admits(&node, &visitor, &authority, &headers) {
        return cross_origin::refusal();
    }
    let response = match to_bytes(body, node.limits.http_body_bytes).await {
        Ok(body) => answer(&node, visitor, &authority, target, &body).await,
        Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n").into_response(),
    };
    allow_reading(&node, &headers, response)
}

async fn answer(
    node: &Arc<Node>,
    visitor: Visitor,
    authority: &Authority,
    target: Result<Target, BadTarget>,
    body: &Bytes,
) -> Response {
    let text = std::str::from_utf8(body).ok();
    let read = text.map(|text| read_body(&node.stream.limits, text));
    let body = match read {
        Some(Ok(body)) => body,
        Some(Err(error)) => {
            debug!(%error, "no BOSH");
            return xml(BoshCondition::BadRequest.to_body());
        }
        None => return xml(BoshCondition::BadRequest.to_body()),
    };
    // Held until the answer is written, so that a stop can wait for it.
    let Some(_open) = node.open_socket() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    };
    let (reply, answer) = oneshot::channel();
    match &body.sid {
        Some(sid) => {
            let Some(session) = node.bosh.find(sid) else {
                return xml(BoshCondition::ItemNotFound.to_body());
            };
            if session.has_logged_in() {
                visitor.permit.release();
            }
            if session.request(BoshRequest { body, reply }).is_err() {
                return xml(BoshCondition::PolicyViolation.to_body());
            }
        }
        None => {
            let target = match target {
                Ok(target) => target,
                Err(bad) => return bad.into_response(),
            };
            let client = Client::new(node, &visitor, authority, target.room);
            if let Err(reason) = start(node, &visitor, client, BoshRequest { body, reply }) {
                return (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
            }
        }
    }
    // The session ends without a word to whom it cannot reach.
    let ended = || BoshCondition::ItemNotFound.to_body();
    xml(answer.await.unwrap_or_else(|_| ended()))
}

/// Begins a session with its first request.
fn start(
    node: &Arc<Node>,
    visitor: &Visitor,
    client: Client,
    first: BoshRequest,
) -> Result<(), &'static str> {
    // One connection can begin many sessions: each counts until it has logged in.
    let now = clock::now();
    let permit = node.connections.admit(visitor.address.ip(), now.mono);
    let permit = permit.ok_or("too many connections without a log-in\n")?;
    let sid = node.with_random(|random| random.token(SID_CHARACTERS));
    let sessions = Arc::clone(&node.bosh);
    let (socket, session) = BoshSocket::new(&node.stream, sessions, sid, first);
    let machine = Negotiation::over_bosh(
        Arc::clone(&node.stream),
        Arc::clone(&node.hosts),
        Arc::clone(&node.sealer),
        node.seed(),
        now,
    );
    let span = debug_span!("connection", address = %Private(visitor.address));
    let node = Arc::clone(node);
    let task = async move {
        negotiate(node, client, machine, Socket::Bosh(socket)).await;
        session.logged_in();
        drop(permit);
    };
    tokio::spawn(task.instrument(span));
    Ok(())
}

fn xml(body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/xml; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

/// 160 bits: who knows it is the session.
const SID_CHARACTERS: usize = 32;
