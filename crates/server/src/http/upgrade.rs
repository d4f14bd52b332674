//! The HTTP half of opening a WebSocket (RFC 6455 section 4.2).

use std::future::Future;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::Upgraded;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Whether a request asks for a WebSocket.
pub(crate) enum Upgrade {
    None,
    /// It does, but not as it should.
    Bad(&'static str),
    Asked(Box<AskedUpgrade>),
}

/// A request for a WebSocket that is in order.
pub(crate) struct AskedUpgrade {
    request: Request,
    accept: HeaderValue,
}

/// Looks whether this request asks for a WebSocket.
pub(crate) fn asked(request: Request) -> Upgrade {
    let headers = request.headers();
    if !has_token(headers, &header::UPGRADE, "websocket") {
        return Upgrade::None;
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Upgrade::Bad("Connection: Upgrade is missing\n");
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Upgrade::Bad("WebSocket version 13 is spoken here\n");
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Upgrade::Bad("Sec-WebSocket-Key is missing\n");
    };
    match HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        Ok(accept) => Upgrade::Asked(Box::new(AskedUpgrade { request, accept })),
        Err(_) => Upgrade::Bad("Sec-WebSocket-Key is malformed\n"),
    }
}

impl AskedUpgrade {
    /// Whether the client offers this sub-protocol.
    pub(crate) fn offers(&self, protocol: &str) -> bool {
        has_token(
            self.request.headers(),
            &header::SEC_WEBSOCKET_PROTOCOL,
            protocol,
        )
    }

    /// The page that opens the WebSocket, if a browser does.
    pub(crate) fn origin(&self) -> Option<&str> {
        origin(self.request.headers())
    }

    /// The answer that opens it, and the connection once that answer is sent.
    pub(crate) fn accept(
        self,
        protocol: Option<&'static str>,
    ) -> (Response, impl Future<Output = hyper::Result<Upgraded>>) {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = protocol {
            headers.insert(
                header::SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(protocol),
            );
        }
        (response, hyper::upgrade::on(self.request))
    }
}

/// The page's origin. One that is no text counts as one that nobody has allowed.
pub(crate) fn origin(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or("null"))
}

/// Whether one of the comma-separated values of this header is `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}
