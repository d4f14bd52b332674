//! Jitsi Meet's own web app (`[web] app`): the files of an unpacked build, in place of our client.
//!
//! Which path means what is what docker-jitsi-meet's nginx does with it (`meet.conf`): files of a
//! few folders, a few files beside the page, and the page for every other name. A tenant's paths
//! mean the same one level deeper. `config.js` is always made by us.
//!
//! Only files in the folder leave it: a path is split and decoded before anything else, parts that
//! begin with a dot lead nowhere, and what a link points to must lie in the folder as well.

mod includes;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use percent_encoding::percent_decode_str;
use tower_http::CompressionLevel;
use tower_http::compression::Compression;
use tower_http::services::ServeFile;
use tower_service::Service;
use tracing::debug;

use crate::authority::Authority;
use crate::http::config_js::{self, NO_TENANT, Site};
use crate::http::page::content_type;
use crate::http::tenant::Tenant;
use crate::http::{RESERVED, is_reserved_name};
use crate::listen::web::Visitor;
use crate::node::Node;

/// The folder of an unpacked Jitsi Meet web build.
#[derive(Debug)]
pub(crate) struct WebApp {
    /// Without links.
    root: PathBuf,
    /// What the app may load from and connect to besides its own origin.
    sources: Vec<String>,
    /// Who may show it in a frame.
    frame_ancestors: Vec<String>,
}

/// Why a folder can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error("{0}")]
    Folder(io::Error),
    #[error("no index.html in it")]
    NoPage,
}

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// The page: the start page or a meeting.
    Page(Option<Tenant>),
    /// A file, relative to the folder.
    File(String),
    /// A file beside the page if there is one of that name, the page otherwise.
    FileOrPage(String, Option<Tenant>),
    Interface,
    Nothing(&'static str),
}

impl WebApp {
    /// Looks whether that folder has a page.
    pub(crate) fn open(
        folder: &Path,
        sources: &[String],
        frame_ancestors: &[String],
    ) -> Result<WebApp, AppError> {
        let root = folder.canonicalize().map_err(AppError::Folder)?;
        let app = WebApp {
            root,
            sources: sources.to_vec(),
            frame_ancestors: frame_ancestors.to_vec(),
        };
        // A folder that may not be read is told from one that has no page.
        std::fs::read_dir(&app.root).map_err(AppError::Folder)?;
        app.file(PAGE).ok_or(AppError::NoPage)?;
        Ok(app)
    }

    /// The answer to any request that is for no service of ours.
    async fn answer(self: &Arc<Self>, site: &Site<'_>, request: Request) -> Response {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return (
                StatusCode::METHOD_NOT_ALLOWED,
                [(header::ALLOW, "GET, HEAD")],
            )
                .into_response();
        }
        let target = target(site, request.uri());
        let mut response = match target {
            Target::Page(tenant) => self.page(PAGE, site, tenant).await,
            Target::File(name) => match self.look(&name).await {
                Found::File(path) => self.send(&name, path, site, None, request).await,
                Found::Other | Found::Nothing => nothing(NOTHING_HERE),
            },
            Target::FileOrPage(name, tenant) => match self.look(&name).await {
                Found::File(path) => self.send(&name, path, site, tenant, request).await,
                Found::Other => nothing(NOTHING_HERE),
                Found::Nothing => self.page(PAGE, site, tenant).await,
            },
            Target::Interface => config_js::script_response(self.interface(site).await),
            Target::Nothing(reason) => nothing(reason),
        };
        if let Ok(policy) = HeaderValue::from_str(&self.policy(&site.websocket_base)) {
            response
                .headers_mut()
                .insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    /// A page with its includes in place.
    async fn page(
        self: &Arc<Self>,
        name: &str,
        site: &Site<'_>,
        tenant: Option<Tenant>,
    ) -> Response {
        let variables = includes::Variables::new(site, tenant.as_ref());
        let config = config_js::config(site, tenant.as_ref());
        let interface = self.interface(site).await;
        let (app, wanted) = (Arc::clone(self), name.to_owned());
        let page = tokio::task::spawn_blocking(move || {
            let made = [(CONFIG, config), (INTERFACE, interface)];
            includes::fill(&app, &wanted, &made, &variables)
        });
        match page.await {
            Ok(Some(page)) => ([(header::CACHE_CONTROL, "no-cache")], Html(page)).into_response(),
            Ok(None) if name != PAGE => nothing(NOTHING_HERE),
            Ok(None) => {
                debug!("the page of the web app is gone");
                (StatusCode::SERVICE_UNAVAILABLE, "the page is not there\n").into_response()
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    /// The folder's own `interface_config.js`, or ours.
    async fn interface(self: &Arc<Self>, site: &Site<'_>) -> String {
        let app = Arc::clone(self);
        let own = tokio::task::spawn_blocking(move || app.text(INTERFACE)).await;
        match own.ok().flatten() {
            Some(own) => own + &config_js::further_interface(site.client),
            None => config_js::interface(site.client),
        }
    }

    /// A file as it is; pages with their includes.
    async fn send(
        self: &Arc<Self>,
        name: &str,
        path: PathBuf,
        site: &Site<'_>,
        tenant: Option<Tenant>,
        request: Request,
    ) -> Response {
        if name.ends_with(".html") {
            return self.page(name, site, tenant).await;
        }
        // COMPAT(jitsi-meet): `?v=` changes with each build.
        let has_version = request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part.starts_with("v=")));
        let mut files = Compression::new(ServeFile::new(path)).quality(CompressionLevel::Fastest);
        let mut response = match files.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        };
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            let caching = if has_version { FOR_A_YEAR } else { "no-cache" };
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
            if headers.contains_key(header::CONTENT_TYPE)
                && let Some(known) = content_type(name)
            {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(known));
            }
        }
        response
    }

    async fn look(self: &Arc<Self>, name: &str) -> Found {
        let (app, name) = (Arc::clone(self), name.to_owned());
        let looked = tokio::task::spawn_blocking(move || match app.file(&name) {
            Some(path) => Found::File(path),
            None if app.root.join(&name).symlink_metadata().is_ok() => Found::Other,
            None => Found::Nothing,
        });
        looked.await.unwrap_or(Found::Other)
    }

    /// The path without links of a file in the folder. Reads the disk.
    fn file(&self, name: &str) -> Option<PathBuf> {
        if !is_sendable(Path::new(name)) {
            return None;
        }
        let path = self.root.join(name).canonicalize().ok()?;
        let is_inside = path.strip_prefix(&self.root).is_ok_and(is_sendable);
        if !is_inside {
            debug!("a link of the web app's folder leads where nothing is sent from");
        }
        (is_inside && path.is_file()).then_some(path)
    }

    /// A text of bounded size from the folder. Reads the disk.
    fn text(&self, name: &str) -> Option<String> {
        let path = self.file(name)?;
        if path.metadata().ok()?.len() > TEXT_BYTES_MAX {
            debug!(name, "too long for a page");
            return None;
        }
        let bytes = std::fs::read(path).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// COMPAT(jitsi-meet): its page has scripts and styles in it, and its audio filters, background
    /// effects and encryption are WebAssembly, in part from data in the scripts.
    fn policy(&self, websockets: &str) -> String {
        let more: String = self.sources.iter().map(|one| format!(" {one}")).collect();
        let ancestors = match &self.frame_ancestors[..] {
            [] => "'none'".to_owned(),
            some => some.join(" "),
        };
        format!(
            "default-src 'self'{more}; \
             script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:{more}; \
             style-src 'self' 'unsafe-inline'{more}; \
             connect-src 'self' {websockets} data: blob:{more}; \
             img-src 'self' data: blob:{more}; font-src 'self' data:{more}; \
             media-src 'self' data: blob: mediastream:{more}; worker-src 'self' blob:; \
             object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {ancestors}"
        )
    }
}

/// What has a name in the folder.
enum Found {
    /// Its path without links.
    File(PathBuf),
    /// A folder, or something that may not be sent.
    Other,
    Nothing,
}

/// Any path that is for no service of ours.
pub(crate) async fn serve(
    State(node): State<Arc<Node>>,
    Extension(app): Extension<Arc<WebApp>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    request: Request,
) -> Response {
    let site = Site::new(&node, &visitor, &authority);
    app.answer(&site, request).await
}

fn target(site: &Site<'_>, uri: &Uri) -> Target {
    let Some(mut parts) = parts(uri.path()) else {
        return Target::Nothing(NOTHING_HERE);
    };
    let is_folder = parts.last().is_some_and(String::is_empty);
    if is_folder {
        parts.pop();
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let well_known = parts.first() == Some(&WELL_KNOWN);
    let hidden = parts.iter().skip(usize::from(well_known));
    if hidden.clone().any(|part| !is_visible(part)) {
        return Target::Nothing(NOTHING_HERE);
    }
    match &parts[..] {
        [] => Target::Page(None),
        [folder, ..] if FOLDERS.contains(folder) => file_in(&parts, is_folder),
        // COMPAT(jitsi-meet): a tenant without a room is its start page.
        [tenant] if is_folder => match tenant_of(site, tenant) {
            Ok(tenant) => Target::Page(Some(tenant)),
            Err(reason) => Target::Nothing(reason),
        },
        [name] => beside_the_page(name, None),
        [tenant, rest @ ..] => match (tenant_of(site, tenant), rest) {
            (Err(reason), _) => Target::Nothing(reason),
            // COMPAT(jitsi-meet): the page's own addresses are relative.
            (Ok(_), [folder, ..]) if FOLDERS.contains(folder) => file_in(rest, is_folder),
            (Ok(tenant), [name]) => beside_the_page(name, Some(tenant)),
            (Ok(_), _) => Target::Nothing(NOTHING_HERE),
        },
    }
}

/// The decoded parts of a path; None if one of them is no text or would be more than one.
fn parts(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    path.split('/')
        .map(|part| {
            let part = percent_decode_str(part).decode_utf8().ok()?;
            let is_one = !part.contains(['/', '\\']) && !part.chars().any(char::is_control);
            is_one.then(|| part.into_owned())
        })
        .collect()
}

/// Whether a path, relative to the folder, has only parts that may be seen.
fn is_sendable(path: &Path) -> bool {
    let path = path.strip_prefix(WELL_KNOWN).unwrap_or(path);
    let mut parts = path.components().peekable();
    parts.peek().is_some()
        && parts.all(|part| match part {
            Component::Normal(part) => part.to_str().is_some_and(is_visible),
            _ => false,
        })
}

fn is_visible(part: &str) -> bool {
    !part.is_empty() && !part.starts_with('.')
}

fn file_in(parts: &[&str], is_folder: bool) -> Target {
    if is_folder || parts.len() < 2 {
        Target::Nothing(NOTHING_HERE)
    } else {
        Target::File(parts.join("/"))
    }
}

fn beside_the_page(name: &str, tenant: Option<Tenant>) -> Target {
    match name {
        PAGE => Target::Page(tenant),
        INTERFACE => Target::Interface,
        // COMPAT(jitsi-meet): where pages of others load it from.
        "external_api.js" => Target::File("libs/external_api.min.js".to_owned()),
        _ if is_reserved_name(name) && !FILES.contains(&name) => Target::Nothing(RESERVED),
        // Its file, or nothing: no room can have this name.
        _ if is_reserved_name(name) => Target::File(name.to_owned()),
        _ => Target::FileOrPage(name.to_owned(), tenant),
    }
}

fn tenant_of(site: &Site<'_>, part: &str) -> Result<Tenant, &'static str> {
    if is_reserved_name(part) {
        return Err(RESERVED);
    }
    Tenant::parse(site.hosts, part).ok_or(NO_TENANT)
}

fn nothing(reason: &'static str) -> Response {
    (StatusCode::NOT_FOUND, format!("{}\n", reason.trim_end())).into_response()
}

/// Folders of a build whose files are sent.
const FOLDERS: &[&str] = &[
    WELL_KNOWN,
    "connection_optimization",
    "css",
    "fonts",
    "images",
    "lang",
    "libs",
    "sounds",
    "static",
    "transcripts",
];
/// Reserved names of files that a build has beside its page.
const FILES: &[&str] = &[
    "favicon.ico",
    "favicon.svg",
    "manifest.json",
    "pwa-worker.js",
    "robots.txt",
];
const PAGE: &str = "index.html";
const CONFIG: &str = "config.js";
const INTERFACE: &str = "interface_config.js";
const WELL_KNOWN: &str = ".well-known";
const NOTHING_HERE: &str = "there is nothing here";
const FOR_A_YEAR: &str = "public, max-age=31536000, immutable";
/// A page, or what is included into one.
const TEXT_BYTES_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
