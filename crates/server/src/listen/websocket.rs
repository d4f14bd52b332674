//! XMPP over WebSocket (RFC 7395): the upgrade, and then the log-in on it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tertulia_model::Private;
use tertulia_stream::Negotiation;
use tracing::{Instrument, debug_span};

use crate::authority::Authority;
use crate::clock;
use crate::http::cross_origin::{self, admits};
use crate::http::upgrade::{self, Upgrade};
use crate::listen::login::{Client, negotiate};
use crate::listen::target::{BadTarget, Target};
use crate::listen::web::Visitor;
use crate::node::Node;
use crate::socket::{Socket, WebSocket};

/// `/xmpp-websocket`, `/TENANT/xmpp-websocket`.
pub(crate) async fn open(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    target: Result<Target, BadTarget>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let is_admitted = admits(&node, &visitor, &authority, &headers);
    let upgrade = match upgrade::asked(request) {
        Upgrade::None => {
            // COMPAT(lib-jitsi-meet): fetches this URL to keep connections alive.
            let here = "XMPP over WebSocket (RFC 7395) is spoken here.\n".into_response();
            return if is_admitted {
                cross_origin::allow_reading(&node, &headers, here)
            } else {
                here
            };
        }
        Upgrade::Bad(reason) => return (StatusCode::BAD_REQUEST, reason).into_response(),
        Upgrade::Asked(upgrade) => upgrade,
    };
    if !upgrade.offers("xmpp") {
        let reason = "the sub-protocol xmpp is missing\n";
        return (StatusCode::BAD_REQUEST, reason).into_response();
    }
    if !is_admitted {
        return (StatusCode::FORBIDDEN, "this origin may not connect\n").into_response();
    }
    let target = match target {
        Ok(target) => target,
        Err(bad) => return bad.into_response(),
    };
    let Some(open) = node.open_socket() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    };
    let client = Client::new(&node, &visitor, &authority, target.room);
    let (response, upgraded) = upgrade.accept(Some("xmpp"));
    let span = debug_span!("connection", address = %Private(visitor.address));
    let task = async move {
        let Ok(upgraded) = upgraded.await else { return };
        let mut socket = WebSocket::new(upgraded, node.stream.limits.bytes_max, open).await;
        socket.limit_arrival(node.stream.limits_before_login.bytes_max);
        let machine = Negotiation::new(
            Arc::clone(&node.stream),
            Arc::clone(&node.hosts),
            Arc::clone(&node.sealer),
            target.previd.as_deref(),
            node.seed(),
            clock::now(),
        );
        negotiate(node, client, machine, Socket::WebSocket(socket)).await;
        // From here on the session counts, not the connection.
        drop(visitor.permit);
    };
    tokio::spawn(task.instrument(span));
    response
}
