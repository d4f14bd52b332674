//! Pages of other origins: whether they may use this server, and how their browsers learn it
//! (the CORS protocol of the Fetch standard).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::authority::Authority;
use crate::http::upgrade::origin;
use crate::listen::web::Visitor;
use crate::node::Node;

/// Whether the page that asks, if it is one, may use this server.
pub(crate) fn admits(
    node: &Node,
    visitor: &Visitor,
    authority: &Authority,
    headers: &HeaderMap,
) -> bool {
    node.authorities
        .admits_origin(origin(headers), authority, visitor.arrival)
}

/// The refusal of one that may not.
pub(crate) fn refusal() -> Response {
    let reason = "HTTP 403: this origin may not ask; it can be added to [web] origins\n";
    (StatusCode::FORBIDDEN, reason).into_response()
}

/// The answer to `OPTIONS`: what a page that was admitted may send.
pub(crate) fn preflight(node: &Node, headers: &HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    let allow: [(_, &'static str); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
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
    allow_reading(node, headers, response)
}

/// Lets the page that asked, which was admitted before, read the answer, and tells it which
/// installation of several this is.
pub(crate) fn allow_reading(node: &Node, asked: &HeaderMap, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let shard = node.web.client.shard.as_deref();
    if let Some(Ok(shard)) = shard.map(HeaderValue::from_str) {
        // COMPAT(lib-jitsi-meet): leaves the server when this changes.
        headers.insert(SHARD, shard);
    }
    if let Some(origin) = asked.get(header::ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("x-jitsi-shard");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

const SHARD: HeaderName = HeaderName::from_static("x-jitsi-shard");
