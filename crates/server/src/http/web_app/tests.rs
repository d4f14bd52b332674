use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::to_bytes;
use axum::http::HeaderMap;
use serde_json::json;

use super::*;
use crate::config::ClientConfig;
use crate::http::config_js::tests::{client, hosts};

/// A folder with the layout of a Jitsi Meet web build, and a secret beside it.
struct Build {
    /// Holds both; goes with the test.
    top: PathBuf,
    app: Arc<WebApp>,
    client: ClientConfig,
}

/// One answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Build {
    fn new() -> Build {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tertulia-web-app-{}-{number}", std::process::id());
        let top = std::env::temp_dir().join(name);
        let root = top.join("jitsi-meet");
        let files = [
            ("index.html", INDEX),
            ("base.html", "<base href=\"\" />\n"),
            ("title.html", "<title>Meet</title>\n"),
            ("config.js", "var config = 'of the build';"),
            (
                "interface_config.js",
                "var interfaceConfig = { APP_NAME: 'Build' };",
            ),
            ("manifest.json", "{}"),
            ("pwa-worker.js", "// worker"),
            ("package.json", "{}"),
            ("libs/app.bundle.min.js", "let app;"),
            ("libs/external_api.min.js", "let api;"),
            ("libs/rnnoise.wasm", "wasm"),
            ("css/all.css", "body {}"),
            (
                "static/close.html",
                "<!--#include virtual=\"/title.html\" -->closed",
            ),
            ("sounds/knock.mp3", "sound"),
            ("fonts/jitsi.woff2", "font"),
            ("images/logo.svg", "<svg/>"),
            ("lang/main-de.json", "{}"),
            (".well-known/assetlinks.json", "[]"),
            (".well-known/.hidden", "hidden"),
            (".git/config", "secret"),
            (".htpasswd", "secret"),
            ("libs/.map", "secret"),
            ("resources/prosody.lua", "secret"),
            ("../secret.txt", "secret"),
        ];
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink("../../secret.txt", root.join("libs/out.txt")).unwrap();
        symlink("../secret.txt", root.join("out.html")).unwrap();
        symlink("../.git/config", root.join("libs/inside.txt")).unwrap();
        symlink("app.bundle.min.js", root.join("libs/app.js")).unwrap();
        symlink("..", root.join("libs/up")).unwrap();
        let sources = ["https://pad.example".to_owned()];
        let app = WebApp::open(&root, &sources, &["'self'".to_owned()]).unwrap();
        Build {
            top,
            app: Arc::new(app),
            client: client(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let hosts = hosts();
        let site = Site {
            hosts: &hosts,
            client: &self.client,
            websocket_base: "wss://192.0.2.1:8443".to_owned(),
        };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.app.answer(&site, request).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    fn root(&self) -> PathBuf {
        self.top.join("jitsi-meet")
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.top);
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default()
    }

    fn is_page(&self) -> bool {
        self.status == 200 && self.body.contains("<div id=\"react\">")
    }
}

#[tokio::test]
async fn the_page_is_everywhere_and_complete() {
    let build = Build::new();
    let pages = [
        "/",
        "/index.html",
        "/tea",
        "/Tea%20time?jwt=x",
        "/tea.2026",
        "/school/tea",
        "/School.A/tea",
        "/school/",
        "/school/index.html",
    ];
    for path in pages {
        let answer = build.get(path).await;
        assert!(
            answer.is_page(),
            "{path}: {} {}",
            answer.status,
            answer.body
        );
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-cache");
        for part in [
            "<base href=\"\" />",
            "<title>Meet</title>",
            "var config = {\n",
            "APP_NAME: 'Build'",
        ] {
            assert!(answer.body.contains(part), "{path}: {part}");
        }
        assert!(!answer.body.contains("<!--#"), "{path}");
        assert!(!answer.body.contains("of the build"), "{path}");
    }
}

#[tokio::test]
async fn a_tenant_has_its_own_configuration_in_its_page() {
    let build = Build::new();
    let answer = build.get("/School.A/tea").await;
    assert!(answer.body.contains("\"conference.school_a.localhost\""));
    assert!(
        answer
            .body
            .contains("wss://192.0.2.1:8443/school_a/xmpp-websocket")
    );
    assert!(answer.body.contains("in school_a/ at 192.0.2.1:8443"));
    let answer = build.get("/tea").await;
    assert!(answer.body.contains("\"conference.localhost\""));
    assert!(answer.body.contains("in nowhere at 192.0.2.1:8443"));
}

#[tokio::test]
async fn files_are_where_jitsi_expects_them() {
    let build = Build::new();
    let files = [
        (
            "/libs/app.bundle.min.js",
            "let app;",
            "text/javascript; charset=utf-8",
        ),
        ("/libs/app.js", "let app;", "text/javascript; charset=utf-8"),
        ("/libs/rnnoise.wasm", "wasm", "application/wasm"),
        (
            "/external_api.js",
            "let api;",
            "text/javascript; charset=utf-8",
        ),
        ("/css/all.css", "body {}", "text/css; charset=utf-8"),
        ("/sounds/knock.mp3", "sound", "audio/mpeg"),
        ("/fonts/jitsi.woff2", "font", "font/woff2"),
        ("/images/logo.svg", "<svg/>", "image/svg+xml"),
        ("/lang/main-de.json", "{}", "application/json"),
        ("/.well-known/assetlinks.json", "[]", "application/json"),
        ("/manifest.json", "{}", "application/json"),
        (
            "/pwa-worker.js",
            "// worker",
            "text/javascript; charset=utf-8",
        ),
        (
            "/static/close.html",
            "<title>Meet</title>\nclosed",
            "text/html; charset=utf-8",
        ),
    ];
    for (path, body, type_) in files {
        for path in [path.to_owned(), format!("/school{path}")] {
            if path.starts_with("/school/.well-known") {
                continue;
            }
            let answer = build.get(&path).await;
            assert_eq!((answer.status, &*answer.body), (200, body), "{path}");
            assert_eq!(answer.header("content-type"), type_, "{path}");
            assert!(
                !answer.header("content-security-policy").is_empty(),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_else_leaves_the_folder() {
    let build = Build::new();
    let paths = [
        "/libs",
        "/libs/",
        "/libs/..",
        "/libs/../../secret.txt",
        "/libs/%2e%2e/%2e%2e/secret.txt",
        "/libs/..%2f..%2fsecret.txt",
        "/libs/..%5c..%5csecret.txt",
        "/libs/%252e%252e/secret.txt",
        "/libs//app.bundle.min.js",
        "//libs/app.bundle.min.js",
        "/libs/app.bundle.min.js%00",
        "/libs/app.bundle.min.js/",
        "/libs/%ff",
        "/libs/out.txt",
        "/libs/inside.txt",
        "/libs/up/up/secret.txt",
        "/libs/absent.js",
        "/out.html",
        "/school/out.html",
        "/.htpasswd",
        "/%2ehtpasswd",
        "/.git/config",
        "/libs/.map",
        "/.well-known/.hidden",
        "/.well-known",
        "/.well-known/../.git/config",
        "/../secret.txt",
        "/..",
        "/resources",
        "/resources/prosody/lua",
        "/school/a/b",
        "/a%20b/tea",
        "/%3Cscript%3E/tea",
        "/api",
        "/school/http-bind",
        "/favicon.ico",
        "/metrics/tea",
    ];
    for path in paths {
        let answer = build.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert!(!answer.body.contains("secret"), "{path}");
    }
    // A folder of a build that is not for browsers is a tenant like any other.
    let answer = build.get("/resources/prosody.lua").await;
    assert!(answer.is_page());
    assert_eq!(build.ask("POST", "/tea", &[]).await.status, 405);
}

#[tokio::test]
async fn what_has_a_version_is_kept() {
    let build = Build::new();
    let answer = build.get("/libs/app.bundle.min.js?v=139").await;
    assert_eq!(answer.header("cache-control"), FOR_A_YEAR);
    let answer = build.get("/libs/app.bundle.min.js?version=1").await;
    assert_eq!(answer.header("cache-control"), "no-cache");
    let seen = answer.header("last-modified").to_owned();
    let again = [("if-modified-since", seen.as_str())];
    let answer = build.ask("GET", "/libs/app.bundle.min.js", &again).await;
    assert_eq!((answer.status, answer.body.as_str()), (304, ""));
    let answer = build.ask("HEAD", "/libs/app.bundle.min.js", &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let part = [("range", "bytes=0-2")];
    let answer = build.ask("GET", "/sounds/knock.mp3", &part).await;
    assert_eq!((answer.status, answer.body.as_str()), (206, "sou"));
}

#[tokio::test]
async fn scripts_are_compressed_for_who_can_read_them() {
    let build = Build::new();
    let long = "let app;".repeat(1_000);
    fs::write(build.root().join("libs/app.bundle.min.js"), &long).unwrap();
    let gzip = [("accept-encoding", "br, gzip")];
    let answer = build.ask("GET", "/libs/app.bundle.min.js", &gzip).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert!(answer.body.len() < long.len() / 4);
    assert_eq!(build.get("/libs/app.bundle.min.js").await.body, long);
    let answer = build.ask("GET", "/images/logo.svg", &gzip).await;
    assert_eq!(answer.header("content-encoding"), "");
}

#[tokio::test]
async fn interface_config_is_the_builds_own_or_ours() {
    let mut build = Build::new();
    let own = build.get("/interface_config.js").await;
    assert_eq!(own.body, "var interfaceConfig = { APP_NAME: 'Build' };");
    assert_eq!(own.header("cache-control"), "no-store");
    let further = json!({ "APP_NAME": "School" });
    build.client.further_interface = further.as_object().unwrap().clone();
    let own = build.get("/school/interface_config.js").await.body;
    assert!(own.starts_with("var interfaceConfig = { APP_NAME: 'Build' };\nObject.assign("));
    assert!(own.contains("\"School\""));
    fs::remove_file(build.root().join(INTERFACE)).unwrap();
    let ours = build.get("/interface_config.js").await.body;
    let json = ours.strip_prefix("var interfaceConfig = ").unwrap();
    let value: serde_json::Value = serde_json::from_str(json.strip_suffix(";\n").unwrap()).unwrap();
    assert_eq!(value["APP_NAME"], "School");
    assert_eq!(value["REMOTE_THUMBNAIL_RATIO"], 1);
}

#[tokio::test]
async fn includes_stay_in_the_folder_and_end() {
    let build = Build::new();
    let page = |text: &str| fs::write(build.root().join(PAGE), text).unwrap();
    page(
        "<!--#include virtual=\"../secret.txt\" --><!--#include file=\"/../secret.txt\"-->\
         <!--#include virtual=\"out.html\" --><!--#include virtual=\".htpasswd\" -->\
         <!--#include virtual=\"%2e%2e/secret.txt\" --><!--#exec cmd=\"cat /etc/passwd\" -->\
         <!--#echo var=\"HOME\" default=\"none\" --><!--# include virtual='title.html' -->\
         <!-- a comment --><div id=\"react\">",
    );
    let answer = build.get("/tea").await;
    assert_eq!(
        answer.body,
        "none<title>Meet</title>\n<!-- a comment --><div id=\"react\">"
    );
    page("x<!--#include virtual=\"index.html\" --><!--#include virtual=\"index.html\" -->");
    let answer = build.get("/tea").await;
    assert_eq!(answer.body, "x".repeat(31), "a page in itself ends");
    page("before<!--#include virtual=\"title.html\"");
    assert_eq!(build.get("/tea").await.body, "before");
    fs::remove_file(build.root().join(PAGE)).unwrap();
    assert_eq!(build.get("/tea").await.status, 503);
}

#[tokio::test]
async fn the_policy_lets_the_app_run_and_little_else() {
    let build = Build::new();
    let answer = build.get("/tea").await;
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'self' https://pad.example;",
        "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob: https://pad.example;",
        "connect-src 'self' wss://192.0.2.1:8443 ",
        "object-src 'none'",
        "frame-ancestors 'self'",
    ] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(!policy.contains("'unsafe-eval'"));
    assert!(!policy.contains('*'));
}

#[test]
fn a_folder_without_a_page_is_refused() {
    let build = Build::new();
    let open = |folder: PathBuf| WebApp::open(&folder, &[], &[]).map(drop);
    let error = open(build.root().join("libs")).unwrap_err();
    assert_eq!(error.to_string(), "no index.html in it");
    assert!(matches!(
        open(build.top.join("absent")),
        Err(AppError::Folder(_))
    ));
    let file = build.root().join(PAGE);
    assert!(matches!(open(file), Err(AppError::Folder(_))));
    open(build.root()).unwrap();
}

const INDEX: &str = "<html>
  <head>
    <!--#include virtual=\"head.html\" -->
    <!--#include virtual=\"base.html\" -->
    <script><!--#include virtual=\"/config.js\" --></script>
    <script><!--#include virtual=\"/interface_config.js\" --></script>
    <script src=\"libs/app.bundle.min.js?v=139\"></script>
    <!--#include virtual=\"title.html\" -->
    <!--#include virtual=\"static/welcomePageAdditionalContent.html\" -->
  </head>
  <body>
    <p>in <!--# echo var=\"subdir\" default=\"nowhere\" --> at <!--# echo var=\"http_host\" -->
    <div id=\"react\"></div>
  </body>
</html>
";
