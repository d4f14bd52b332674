//! The web client: one page for the start and all meetings, and the files that it is made of.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::authority::Authority;
use crate::http::config_js::NO_TENANT;
use crate::http::tenant::Tenant;
use crate::http::{RESERVED, is_reserved_name};
use crate::listen::web::Visitor;
use crate::node::Node;

/// A file of the web client; the table is written by the build script.
struct File {
    /// Path below `web/dist`.
    name: &'static str,
    /// Changes with the content.
    tag: &'static str,
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/web_files.rs"));

/// `/`.
pub(crate) async fn start(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    headers: HeaderMap,
) -> Response {
    page(&node, &visitor, &authority, &headers)
}

/// `/ROOM`, or a file beside the page.
pub(crate) async fn room(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(file) = file(&name).filter(|file| file.name != PAGE) {
        return send(file, "no-cache", &headers);
    }
    if is_reserved_name(&name) {
        return (StatusCode::NOT_FOUND, format!("{RESERVED}\n")).into_response();
    }
    page(&node, &visitor, &authority, &headers)
}

/// `/TENANT/ROOM`.
pub(crate) async fn tenant_room(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    Path((tenant, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if is_reserved_name(&tenant) || is_reserved_name(&name) {
        return (StatusCode::NOT_FOUND, format!("{RESERVED}\n")).into_response();
    }
    if Tenant::parse(&node.hosts, &tenant).is_none() {
        return (StatusCode::NOT_FOUND, NO_TENANT).into_response();
    }
    page(&node, &visitor, &authority, &headers)
}

/// `/assets/…`: names that change with their content.
pub(crate) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match file(&format!("assets/{path}")) {
        Some(file) => send(file, "public, max-age=31536000, immutable", &headers),
        None => missing().await,
    }
}

/// Everything else.
pub(crate) async fn missing() -> Response {
    (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
}

fn page(node: &Node, visitor: &Visitor, authority: &Authority, headers: &HeaderMap) -> Response {
    let mut response = match file(PAGE) {
        Some(file) => send(file, "no-cache", headers),
        None => Html(NOT_BUILT).into_response(),
    };
    let websockets = node.authorities.websocket_base(authority, visitor.arrival);
    let policy = policy(&websockets, &node.web.frame_ancestors);
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Scripts and styles are ours and in files; nothing is loaded from elsewhere.
fn policy(websockets: &str, frame_ancestors: &[String]) -> String {
    let ancestors = match frame_ancestors {
        [] => "'none'".to_owned(),
        some => some.join(" "),
    };
    // COMPAT(Safari before 15.4): 'self' does not cover WebSockets.
    format!(
        "default-src 'self'; connect-src 'self' {websockets}; img-src 'self' data: blob:; \
         media-src 'self' blob: mediastream:; worker-src 'self' blob:; object-src 'none'; \
         base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
    )
}

fn file(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

fn send(file: &'static File, caching: &'static str, asked: &HeaderMap) -> Response {
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|tag| tag.to_str().ok());
    let mut response = if known.is_some_and(|known| known.contains(file.tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let codings = asked
            .get(header::ACCEPT_ENCODING)
            .and_then(|codings| codings.to_str().ok());
        let takes_gzip = codings.is_some_and(|codings| codings.contains("gzip"));
        match file.gzip.filter(|_| takes_gzip) {
            Some(gzip) => ([(header::CONTENT_ENCODING, "gzip")], gzip).into_response(),
            None => file.bytes.into_response(),
        }
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            content_type(file.name).unwrap_or("application/octet-stream"),
        ),
        (header::CACHE_CONTROL, caching),
        (header::ETAG, file.tag),
        (header::VARY, "Accept-Encoding"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What a file's name says about it.
pub(crate) fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" | "map" | "webmanifest" => "application/json",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "mp3" => "audio/mpeg",
        "ogg" | "opus" => "audio/ogg",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

const PAGE: &str = "index.html";

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Tertulia</title>
<h1>The server is running</h1>
<p>Its web client was not built when this program was compiled.
Build both with <code>make run</code>, or the client alone with
<code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>, and compile again.
<p>Other clients can use this server as it is.
</html>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_nothing_inline() {
        let policy = policy("wss://192.0.2.1:8443", &["'self'".to_owned()]);
        assert!(!policy.contains("unsafe"));
        assert!(policy.contains("connect-src 'self' wss://192.0.2.1:8443;"));
        assert!(policy.ends_with("frame-ancestors 'self'"));
    }

    #[test]
    fn each_file_has_a_name_and_a_tag() {
        for file in FILES {
            assert!(!file.name.is_empty() && file.tag.starts_with('"'));
            assert!(HeaderValue::from_str(file.tag).is_ok());
        }
    }
}
