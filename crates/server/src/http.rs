//! Everything that is asked by HTTP: pages, `config.js`, conference requests, and the upgrades to
//! WebSockets.

mod colibri_ws;
mod conference_request;
mod config_js;
pub(crate) mod cross_origin;
mod page;
mod reserved;
pub(crate) mod tenant;
pub(crate) mod upgrade;
pub(crate) mod web_app;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority as UriAuthority;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use tracing::debug;

use crate::authority::Authority;
use crate::listen::{bosh, websocket};
use crate::node::Node;

use web_app::WebApp;

pub(crate) use reserved::RESERVED;
pub use reserved::is_reserved_name;

/// All paths. The names of files and services among them stand in `reserved.rs` too.
pub(crate) fn routes(node: Arc<Node>, app: Option<WebApp>) -> Router {
    let pages = match app {
        Some(app) => Router::new()
            .fallback(web_app::serve)
            .layer(Extension(Arc::new(app))),
        None => Router::new()
            .route("/", get(page::start))
            .route("/assets/{*path}", get(page::asset))
            .route("/{room}", get(page::room))
            .route("/{tenant}/{room}", get(page::tenant_room))
            .fallback(page::missing),
    };
    Router::new()
        .route("/config.js", get(config_js::serve))
        .route("/{tenant}/config.js", get(config_js::serve_tenant))
        .route("/xmpp-websocket", get(websocket::open))
        .route("/{tenant}/xmpp-websocket", get(websocket::open))
        .route("/http-bind", bosh_requests())
        .route("/{tenant}/http-bind", bosh_requests())
        .route(
            "/colibri-ws/{server}/{conference}/{endpoint}",
            get(colibri_ws::open),
        )
        .route("/conference-request/v1", conference_requests())
        .route("/{tenant}/conference-request/v1", conference_requests())
        .merge(pages)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&node),
            check_authority,
        ))
        .layer(middleware::map_response(harden))
        .with_state(node)
}

fn bosh_requests() -> MethodRouter<Arc<Node>> {
    get(bosh::get).post(bosh::post).options(bosh::options)
}

fn conference_requests() -> MethodRouter<Arc<Node>> {
    post(conference_request::post).options(conference_request::options)
}

/// Lets in who came by one of our names, and tells the rest of the way which one it was.
async fn check_authority(
    State(node): State<Arc<Node>>,
    mut request: Request,
    next: Next,
) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = request
        .uri()
        .authority()
        .map(UriAuthority::as_str)
        .or(host)
        .unwrap_or_default();
    let Some(authority) = node.authorities.accept(host) else {
        debug!("asked by a name that is not ours");
        return (StatusCode::MISDIRECTED_REQUEST, NOT_OUR_NAME).into_response();
    };
    let _: Option<Authority> = request.extensions_mut().insert(authority);
    let mut response = next.run(request).await;
    if let Some(shard) = &node.web.client.shard
        && let Ok(shard) = HeaderValue::from_str(shard)
    {
        response.headers_mut().insert(SHARD, shard);
    }
    response
}

/// Headers that belong to every answer.
async fn harden(mut response: Response) -> Response {
    let always: [(HeaderName, &str); 2] = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in always {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// COMPAT(lib-jitsi-meet): compares it with `deploymentInfo.shard`.
const SHARD: HeaderName = HeaderName::from_static("x-jitsi-shard");
const NOT_OUR_NAME: &str = "This server does not know that name. Use an IP address, localhost or \
    the machine's name, or add the name to [web] names in the configuration.\n";
