/// Names of files and services, which no room and no tenant may have. The one list.
const NAMES: &[&str] = &[
    "about",
    "admin",
    "api",
    "assets",
    "colibri",
    "colibri-ws",
    "conference-request",
    "config.js",
    "connection_optimization",
    "css",
    "external_api.js",
    "favicon.ico",
    "favicon.svg",
    "fonts",
    "health",
    "http-bind",
    "images",
    "index.html",
    "interface_config.js",
    "lang",
    "libs",
    "manifest.json",
    "metrics",
    "pwa-worker.js",
    "robots.txt",
    "sounds",
    "static",
    "transcripts",
    "xmpp-websocket",
];

/// Why such a room is refused.
pub(crate) const RESERVED: &str =
    "this name belongs to a file or a service of the server; choose another one";

/// Whether no room and no tenant may have this name.
pub fn is_reserved_name(name: &str) -> bool {
    name.starts_with('.')
        || NAMES
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_services_are_no_rooms() {
        for reserved in ["config.js", "API", ".well-known", "xmpp-websocket"] {
            assert!(is_reserved_name(reserved), "{reserved}");
        }
        assert!(!is_reserved_name("tea"));
        assert!(NAMES.is_sorted());
    }
}
