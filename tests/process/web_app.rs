//! Jitsi Meet's own web app in place of our client, by the layout of its build.

use crate::server::{Folder, Server, run};

#[tokio::test]
async fn a_build_takes_the_place_of_our_client() {
    let (data, build) = (Folder::new(), build());
    let folder = build.0.join("app");
    let environment = [("TERTULIA_WEB__APP", folder.to_str().unwrap())];
    let server = Server::start_with_environment(&data, &environment).await;
    for (path, muc) in [
        ("/", "conference.localhost"),
        ("/tea", "conference.localhost"),
        ("/school/tea", "conference.school.localhost"),
    ] {
        let (status, answer) = server.web.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(answer.contains("<title>Build</title>"), "{path}: {answer}");
        assert!(answer.contains(&format!("\"muc\": \"{muc}\"")), "{path}");
        assert!(answer.contains("'unsafe-inline'"), "{path}");
    }
    for (path, expected) in [
        ("/libs/app.bundle.min.js?v=1", "let app;"),
        ("/external_api.js", "let api;"),
        ("/school/libs/app.bundle.min.js", "let app;"),
        ("/config.js", "conference.localhost"),
        ("/school/config.js", "/school/xmpp-websocket"),
        ("/interface_config.js", "var interfaceConfig = {"),
        ("/xmpp-websocket", "RFC 7395"),
    ] {
        let (status, answer) = server.web.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(answer.contains(expected), "{path}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{path}");
    }
    for path in [
        "/libs/../../secret.txt",
        "/libs/%2e%2e/%2e%2e/secret.txt",
        "/../secret.txt",
        "/.git/config",
        "/libs/",
        "/assets/index.js",
    ] {
        let (status, answer) = server.web.get(path).await;
        assert_eq!(status, 404, "{path}: {answer}");
    }
    let foreign = [("Host", "attacker.example")];
    assert_eq!(server.web.http("GET", "/tea", &foreign, "").await.0, 421);
}

#[tokio::test]
async fn a_folder_that_is_no_build_is_named() {
    let (data, build) = (Folder::new(), build());
    let config = data.0.join("tertulia.toml");
    for (folder, reason) in [
        (build.0.join("app/libs"), "no index.html in it"),
        (build.0.join("absent"), "No such file or directory"),
    ] {
        let text = format!("web.app = {:?}\ndata = {:?}\n", folder, data.0.join("data"));
        std::fs::write(&config, text).unwrap();
        let output = run(&["serve", "--config", config.to_str().unwrap()]).await;
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        for part in [folder.to_str().unwrap(), reason, "web.app"] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!data.0.join("data").exists());
    }
}

/// A folder `app` with the layout of a Jitsi Meet web build, and a secret beside it.
fn build() -> Folder {
    let folder = Folder::new();
    let page = "<html><head><!--#include virtual=\"title.html\" -->\
                <script><!--#include virtual=\"/config.js\" --></script></head>\
                <body><div id=\"react\"></div></body></html>\n";
    for (name, text) in [
        ("app/index.html", page),
        ("app/title.html", "<title>Build</title>"),
        ("app/libs/app.bundle.min.js", "let app;"),
        ("app/libs/external_api.min.js", "let api;"),
        ("app/.git/config", "secret"),
        ("secret.txt", "secret"),
    ] {
        let path = folder.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}
