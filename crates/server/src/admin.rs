//! What administrators and their monitoring ask: metrics, health, Jitsi's statistics, drain, and
//! every conference on the bridge in detail. Plain HTTP on addresses of its own, never on those
//! that clients use; there is no password, so that it belongs on loopback (docs/operate/monitoring.md).

mod control;
mod debug;
mod metrics;
mod monitor;
mod process;
mod stats;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tertulia_model::ConferenceId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_service::Service;
use tracing::{debug, info};

use crate::authority::Authority;
use crate::listen::next_connection;
use crate::node::Node;

pub(crate) use control::{Control, finished};
pub(crate) use monitor::Monitor;

/// Accepts connections for ever, so many at once.
pub(crate) async fn accept(node: Arc<Node>, listener: TcpListener, connections_max: usize) {
    let places = Arc::new(Semaphore::new(connections_max));
    let pages = routes(node);
    loop {
        let (stream, _) = next_connection(&listener).await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            debug!("too many connections of the administration");
            continue;
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            serve(stream, pages).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, pages: Router) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut pages = pages.clone();
        async move {
            match pages.call(request.map(Body::new)).await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection of the administration ended");
    }
}

fn routes(node: Arc<Node>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(show_metrics))
        .route("/health", get(show_health))
        .route("/about/health", get(show_health))
        .route("/about/version", get(show_version))
        .route("/colibri/stats", get(show_stats))
        .route("/stats", get(show_stats))
        .route("/colibri/drain", get(show_drain))
        .route("/colibri/drain/enable", post(enable_drain))
        .route("/colibri/drain/disable", post(disable_drain))
        .route("/colibri/shutdown", post(shut_down))
        .route("/debug", get(debug_all))
        .route("/debug/{conference}", get(debug_conference))
        .route("/debug/{conference}/{endpoint}", get(debug_endpoint))
        .layer(middleware::from_fn_with_state(Arc::clone(&node), guard))
        .with_state(node)
}

/// No web page may ask, even through a browser on this machine: neither one of another origin nor
/// one whose name was made to lead here (DNS rebinding).
async fn guard(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = text(headers, header::HOST);
    let Some(authority) = host.and_then(|host| node.authorities.accept(host)) else {
        return (StatusCode::MISDIRECTED_REQUEST, NOT_OUR_NAME).into_response();
    };
    if !is_of_ours(headers, &authority) {
        return (StatusCode::FORBIDDEN, NO_PAGES).into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ] {
        let headers = response.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a request comes from a program or from what this listener itself has shown.
fn is_of_ours(headers: &HeaderMap, authority: &Authority) -> bool {
    let is_same_origin = match headers.get(header::ORIGIN) {
        None => true,
        Some(origin) => {
            let origin = origin.to_str().unwrap_or_default();
            let host = origin.strip_prefix("http://");
            host.and_then(Authority::parse).as_ref() == Some(authority)
        }
    };
    let site = headers.get("sec-fetch-site");
    let is_same_site = site.is_none_or(|site| site == "same-origin" || site == "none");
    is_same_origin && is_same_site
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

async fn index() -> &'static str {
    INDEX
}

async fn show_metrics(State(node): State<Arc<Node>>, headers: HeaderMap) -> Response {
    let format = metrics::Format::accepted(text(&headers, header::ACCEPT).unwrap_or_default());
    let reading = node.monitor.read(&node).await;
    let turn = match &node.turn {
        Some(turn) => turn.statistics().await,
        None => None,
    };
    let body = metrics::page(&node, &reading, turn.as_ref(), format);
    ([(header::CONTENT_TYPE, format.content_type())], body).into_response()
}

async fn show_health(State(node): State<Arc<Node>>) -> Response {
    let reading = node.monitor.read(&node).await;
    match reading.fault {
        None => StatusCode::OK.into_response(),
        Some(fault) => {
            let reason = format!("{fault}\n");
            (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
        }
    }
}

async fn show_version() -> Response {
    as_json(&json!({
        "name": "Tertulia",
        "version": VERSION,
        "os": std::env::consts::OS,
    }))
}

async fn show_stats(State(node): State<Arc<Node>>) -> Response {
    let reading = node.monitor.read(&node).await;
    as_json(&Value::Object(stats::keys(&node, &reading)))
}

async fn show_drain(State(node): State<Arc<Node>>) -> Response {
    as_json(&json!({ "drain": node.control.is_draining() }))
}

async fn enable_drain(State(node): State<Arc<Node>>) -> StatusCode {
    node.control.drain(true);
    info!("draining: no new meetings begin here until POST /colibri/drain/disable");
    StatusCode::OK
}

async fn disable_drain(State(node): State<Arc<Node>>) -> StatusCode {
    node.control.drain(false);
    info!("draining has ended: new meetings begin here again");
    StatusCode::OK
}

async fn shut_down(State(node): State<Arc<Node>>, body: Body) -> Response {
    if !node.admin.may_shut_down {
        return (StatusCode::FORBIDDEN, NO_SHUTDOWN).into_response();
    }
    let body = to_bytes(body, node.limits.http_body_bytes).await;
    let Ok(body) = body else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n").into_response();
    };
    #[derive(Deserialize)]
    struct Shutdown {
        #[serde(rename = "graceful-shutdown")]
        is_graceful: bool,
    }
    let Ok(Shutdown { is_graceful }) = serde_json::from_slice(&body) else {
        let expected = "expected {\"graceful-shutdown\": true} or false\n";
        return (StatusCode::BAD_REQUEST, expected).into_response();
    };
    info!(is_graceful, "shutting down, as asked by the administration");
    node.control.shut_down(is_graceful);
    StatusCode::OK.into_response()
}

#[derive(Deserialize)]
struct DebugQuery {
    /// Every endpoint with all that is known of it.
    #[serde(default)]
    full: bool,
}

async fn debug_all(State(node): State<Arc<Node>>, Query(query): Query<DebugQuery>) -> Response {
    let reading = node.monitor.read(&node).await;
    let mut conferences = Map::new();
    for conference in monitor::conferences(&node, None).await {
        let shown = debug::conference(&node, &conference, query.full).await;
        conferences.insert(conference.id.to_string(), shown);
    }
    as_json(&debug::node(&node, &reading, conferences))
}

async fn debug_conference(
    State(node): State<Arc<Node>>,
    Path(conference): Path<String>,
) -> Response {
    let conference = ConferenceId::new(&conference);
    let found = monitor::conferences(&node, Some(&conference)).await;
    match found.first() {
        Some(conference) => as_json(&debug::conference(&node, conference, true).await),
        None => not_found("there is no such conference on the bridge\n"),
    }
}

async fn debug_endpoint(
    State(node): State<Arc<Node>>,
    Path((conference, endpoint)): Path<(String, String)>,
) -> Response {
    let conference = ConferenceId::new(&conference);
    let found = match endpoint.parse() {
        Ok(endpoint) => monitor::endpoint(&node, &conference, &endpoint).await,
        Err(_) => None,
    };
    match found {
        Some(endpoint) => as_json(&debug::endpoint(&endpoint)),
        None => not_found("there is no such endpoint on the bridge\n"),
    }
}

fn not_found(reason: &'static str) -> Response {
    (StatusCode::NOT_FOUND, reason).into_response()
}

fn as_json(value: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, format!("{value}\n")).into_response()
}

/// Of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// For a request's head, and for how long a connection may be silent between two.
const HEADER_TIME: Duration = Duration::from_secs(30);
const HEADER_BYTES_MAX: usize = 32 * 1024;
const NOT_OUR_NAME: &str = "This server does not know that name. Use 127.0.0.1 or localhost.\n";
const NO_PAGES: &str = "Web pages of other origins may not ask here.\n";
const NO_SHUTDOWN: &str = "POST /colibri/shutdown is off; [admin] shutdown = true allows it.\n";
const INDEX: &str = "\
GET  /metrics                Prometheus, OpenMetrics
GET  /health                 200, or 503 with the reason
GET  /about/version
GET  /colibri/stats          as Jitsi's bridge
GET  /colibri/drain
POST /colibri/drain/enable   no new meetings begin here
POST /colibri/drain/disable
POST /colibri/shutdown       {\"graceful-shutdown\": true}; if [admin] shutdown allows it
GET  /debug[?full=true]      all conferences on the bridge
GET  /debug/CONFERENCE[/ENDPOINT]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_but_our_own_may_ask() {
        let authority = Authority::parse("127.0.0.1:8888").unwrap();
        let check = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            is_of_ours(&map, &authority)
        };
        assert!(check(&[]));
        assert!(check(&[("origin", "http://127.0.0.1:8888")]));
        assert!(check(&[("sec-fetch-site", "none")]));
        assert!(!check(&[("origin", "http://127.0.0.1:8080")]));
        assert!(!check(&[("origin", "https://127.0.0.1:8888")]));
        assert!(!check(&[("origin", "null")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
    }
}
