//! The rules that keep the architecture what ARCHITECTURE.md says it is.
//!
//! Each test is one numbered rule. They read `cargo metadata` and the sources, nothing else.

// The whole file is a test: what cannot be read fails it.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Our crates and what each may use of ours. A crate that is not listed fails rule 2.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stanza", &["model"]),
    ("stream", &["model", "stanza"]),
    ("room", &["model", "stanza"]),
    ("focus", &["model", "stanza"]),
    ("conference", &["model", "stanza", "room", "focus"]),
    ("transport", &[]),
    ("bridge", &["model", "transport"]),
    ("turn", &["model"]),
    ("store", &["model"]),
    (
        "config",
        &[
            "model",
            "stream",
            "room",
            "focus",
            "conference",
            "bridge",
            "turn",
            "server",
        ],
    ),
    (
        "server",
        &[
            "model",
            "stanza",
            "stream",
            "conference",
            "bridge",
            "turn",
            "store",
        ],
    ),
    ("tertulia", &["model", "config", "server", "client"]),
    ("client", &["model", "stanza", "stream"]),
    (
        "sim",
        &[
            "model",
            "stanza",
            "stream",
            "room",
            "focus",
            "conference",
            "bridge",
            "client",
        ],
    ),
];

/// Crates that do no I/O and read no clock.
const SANS_IO: &[&str] = &[
    "model",
    "stanza",
    "stream",
    "room",
    "focus",
    "conference",
    "transport",
    "bridge",
    "turn",
    "client",
    "sim",
];

/// Packages that mean I/O, threads or a runtime.
const IO_PACKAGES: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "quinn-udp",
    "socket2",
    "sqlx",
    "async-nats",
    "hyper",
];

#[test]
fn rule_1_cores_do_no_io_and_read_no_clock() {
    let closure = normal_dependencies();
    for name in SANS_IO {
        for package in &closure[&format!("tertulia-{name}")] {
            assert!(
                !IO_PACKAGES.contains(&package.as_str()),
                "{name} depends on {package}"
            );
        }
        let banned = [
            "Instant::now",
            "SystemTime::now",
            "Utc::now",
            "Local::now",
            "rand::rng",
            "thread_rng",
            "std::env",
            "std::fs",
            "UdpSocket",
            "TcpStream",
            "TcpListener",
            "thread::sleep",
        ];
        for (path, line, text) in code_lines(&crate_folder(name).join("src")) {
            // The simulator's command reads its arguments and says how long a run took.
            if path.ends_with("sim/src/main.rs") {
                continue;
            }
            for word in banned {
                assert!(
                    !text.contains(word),
                    "{}:{line} uses {word}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn rule_2_each_crate_uses_only_what_the_picture_shows() {
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let allowed = rules
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no rule"));
        for used in own_dependencies(&name, "dependencies") {
            assert!(allowed.contains(&used.as_str()), "{name} uses {used}");
        }
    }
    let has = |name: &str, word: &str| {
        code_lines(&crate_folder(name).join("src")).any(|(_, _, text)| text.contains(word))
    };
    assert!(
        !has("bridge", "xmpp") && !has("bridge", "minidom"),
        "bridge does not know XMPP"
    );
    assert!(!has("focus", "str0m"), "focus does not know str0m");
    assert!(
        !has("room", "BridgeCommand") && !has("room", "jingle"),
        "room does not know media"
    );
}

#[test]
fn rule_3_xml_is_read_in_one_place_and_never_formatted_by_string() {
    for (name, _) in MAY_USE {
        let manifest = manifest(name);
        let may_tokenize = ["stanza", "stream"].contains(name);
        assert!(
            may_tokenize || !depends_on(&manifest, "rxml"),
            "{name} depends on rxml"
        );
        if may_tokenize {
            continue;
        }
        for (path, line, text) in code_lines(&crate_folder(name).join("src")) {
            // HTML of the page that says how to build the web client is not XML on a stream.
            if path.to_string_lossy().contains("server/src/http") {
                continue;
            }
            let is_formatted = ["format!(\"<", "push_str(\"<", "write!(out, \"<"]
                .iter()
                .any(|pattern| text.contains(pattern));
            assert!(
                !is_formatted,
                "{}:{line} formats XML by string",
                path.display()
            );
        }
    }
}

#[test]
fn rule_4_only_the_shell_spawns_and_owns_channels() {
    let banned = [
        "tokio::spawn",
        "thread::spawn",
        "thread::Builder",
        "mpsc::",
        "oneshot::",
    ];
    for (name, _) in MAY_USE {
        if ["server", "tertulia"].contains(name) {
            continue;
        }
        for (path, line, text) in code_lines(&crate_folder(name).join("src")) {
            // Independent seeds run side by side; each simulation itself is one thread.
            if path.ends_with("sim/src/main.rs") {
                continue;
            }
            for word in banned {
                assert!(
                    !text.contains(word),
                    "{}:{line} uses {word}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn rule_5_no_crate_or_module_without_a_subject() {
    let vague_crates = ["common", "utils", "util", "core", "shared"];
    let vague_modules = ["helpers", "helper", "misc", "utils", "util", "common"];
    for (name, _) in MAY_USE {
        assert!(!vague_crates.contains(name), "{name}");
        for path in rust_files(&crate_folder(name).join("src")) {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            assert!(!vague_modules.contains(&stem), "{}", path.display());
        }
    }
}

#[test]
fn rule_6_no_unsafe_anywhere() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    for (name, _) in MAY_USE {
        let lints = manifest(name)
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        assert_eq!(
            lints,
            Some(true),
            "{name} does not take the workspace's lints"
        );
    }
}

#[test]
fn rule_7_what_reaches_an_output_is_ordered_and_hashers_are_standard() {
    for (name, _) in MAY_USE {
        for (path, line, text) in code_lines(&crate_folder(name).join("src")) {
            for word in ["FxHash", "ahash", "BuildHasherDefault", "nohash"] {
                assert!(
                    !text.contains(word),
                    "{}:{line} uses {word}",
                    path.display()
                );
            }
            let is_ordered_crate = ["room", "focus", "conference"].contains(name);
            let is_hashed = text.contains("HashMap") || text.contains("HashSet");
            assert!(
                !(is_ordered_crate && is_hashed),
                "{}:{line}: iteration order",
                path.display()
            );
        }
    }
}

#[test]
fn rule_8_internal_types_are_not_serialised() {
    for name in ["model", "room", "conference"] {
        for (path, line, text) in code_lines(&crate_folder(name).join("src")) {
            assert!(!text.contains("Serialize"), "{}:{line}", path.display());
        }
    }
}

#[test]
fn rule_9_files_have_one_subject() {
    for (name, _) in MAY_USE {
        for path in rust_files(&crate_folder(name).join("src")) {
            let lines = product_lines(&fs::read_to_string(&path).unwrap()).count();
            assert!(
                lines <= 800,
                "{} has {lines} lines without tests",
                path.display()
            );
        }
    }
}

#[test]
fn rule_10_web_layers_import_only_downwards() {
    let layers = [
        ("link", &["view", "meeting"][..]),
        ("meeting", &["view"][..]),
    ];
    for (layer, above) in layers {
        for path in files_below(&root().join("web/src").join(layer), &["ts", "tsx"]) {
            let text = fs::read_to_string(&path).unwrap();
            for upper in above {
                let is_upward = text
                    .lines()
                    .filter(|line| line.contains("from ") || line.contains("import("))
                    .any(|line| line.contains(&format!("/{upper}/")));
                // Types of the meeting's state may be named by the link that feeds it.
                let is_type_only = text
                    .lines()
                    .filter(|line| line.contains(&format!("/{upper}/")))
                    .all(|line| line.trim_start().starts_with("import type"));
                assert!(
                    !is_upward || is_type_only,
                    "{} imports {upper}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn rule_11_no_third_party_addresses_in_the_web_client() {
    for path in files_below(&root().join("web/src"), &["ts", "tsx", "css", "html"]) {
        // Tests name foreign addresses to see them refused.
        if path.to_string_lossy().ends_with(".test.ts") {
            continue;
        }
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            let is_foreign = ["https://", "http://", "wss://"].iter().any(|scheme| {
                line.split(scheme).skip(1).any(|rest| {
                    // Namespaces, and addresses made from the page's own.
                    let own = ["jabber.org", "jitsi.org", "etherx.jabber.org", "www.w3.org"];
                    let names = [
                        "www.webrtc.org",
                        "www.ietf.org",
                        "localhost",
                        "127.0.0.1",
                        "$",
                    ];
                    let is_word =
                        !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$');
                    let is_example = rest
                        .split(['/', '"', '\''])
                        .next()
                        .unwrap_or("")
                        .contains("example");
                    !(is_word
                        || is_example
                        || own.iter().chain(&names).any(|host| rest.starts_with(host)))
                })
            });
            assert!(!is_foreign, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

/// `make check` leaves this crate out, and names what it takes of it.
#[test]
fn every_test_of_this_crate_is_run() {
    let manifest = fs::read_to_string(root().join("tests/Cargo.toml")).expect("our manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let tests = manifest["test"].as_array().expect("the tests");
    assert!(tests.len() >= 5);
    for test in tests {
        let name = test["name"].as_str().expect("its name");
        let words: Vec<&str> = makefile.split_whitespace().collect();
        let is_run = words.windows(2).any(|pair| pair == ["--test", name]);
        assert!(is_run, "the Makefile does not run {name}");
    }
}

/// These documents say which test shows what: none of them may be a memory.
#[test]
fn the_lists_of_what_is_shown_name_tests_that_exist() {
    let mut known = String::new();
    for folder in ["crates", "tests"] {
        for file in files_below(&root().join(folder), &["rs"]) {
            known.push_str(&fs::read_to_string(file).expect("a source file"));
        }
    }
    let exists = |name: &str| match name.rsplit_once('.') {
        Some((_, "talk")) => root().join("tests/conversation").join(name).exists(),
        Some((_, "mjs")) => ["stories", "measure"].iter().any(|folder| {
            root()
                .join("tests/browser")
                .join(folder)
                .join(name)
                .exists()
        }),
        _ => {
            let begins = format!("fn {name}(");
            known.contains(&begins)
        }
    };
    let is_test = |name: &&str| {
        let is_script = name.ends_with(".talk") || name.ends_with(".mjs");
        let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (is_script && !name.starts_with("x.")) || (is_word && name.matches('_').count() >= 2)
    };
    for (document, least) in [("parity.md", 80), ("bridge-tests.md", 100)] {
        let list = fs::read_to_string(root().join("docs/protocol").join(document));
        let list = list.expect("the list");
        let named: Vec<&str> = list.split('`').skip(1).step_by(2).filter(is_test).collect();
        let missing: Vec<&&str> = named.iter().filter(|name| !exists(name)).collect();
        assert!(named.len() > least, "{document}: {}", named.len());
        assert!(missing.is_empty(), "{document}: no such tests: {missing:?}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

fn crate_folder(name: &str) -> PathBuf {
    root().join("crates").join(name)
}

fn manifest(name: &str) -> toml::Value {
    toml::from_str(&fs::read_to_string(crate_folder(name).join("Cargo.toml")).unwrap()).unwrap()
}

fn depends_on(manifest: &toml::Value, package: &str) -> bool {
    manifest
        .get("dependencies")
        .is_some_and(|table| table.get(package).is_some())
}

/// Our crates that `name` names in a table of its manifest, without the prefix.
fn own_dependencies(name: &str, table: &str) -> Vec<String> {
    let manifest = manifest(name);
    let Some(table) = manifest.get(table).and_then(toml::Value::as_table) else {
        return Vec::new();
    };
    table
        .keys()
        .filter_map(|key| key.strip_prefix("tertulia-"))
        .map(str::to_owned)
        .collect()
}

/// For each package of the workspace, all packages it needs to run (not to build or test).
fn normal_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: BTreeMap<String, String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let edges: BTreeMap<String, Vec<String>> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let normal = node["deps"].as_array().unwrap().iter().filter(|dep| {
                dep["dep_kinds"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|kind| kind["kind"].is_null())
            });
            (
                text(&node["id"]),
                normal.map(|dep| text(&dep["pkg"])).collect(),
            )
        })
        .collect();
    let mut closures = BTreeMap::new();
    for member in metadata["workspace_members"].as_array().unwrap() {
        let mut seen = BTreeSet::new();
        let mut open = vec![text(member)];
        while let Some(id) = open.pop() {
            for dependency in &edges[&id] {
                if seen.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        let seen = seen.iter().map(|id| names[id].clone()).collect();
        closures.insert(names[&text(member)].clone(), seen);
    }
    closures
}

fn files_below(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|e| endings.iter().any(|ending| e == *ending))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Source files without those that hold only tests.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let is_test = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == "tests.rs")
            || path.components().any(|part| part.as_os_str() == "tests")
    };
    let below_crates =
        |path: &PathBuf| path.strip_prefix(root().join("crates")).unwrap().to_owned();
    let mut files = files_below(folder, &["rs"]);
    files.retain(|path| !is_test(&below_crates(path)));
    files
}

/// The lines of a file up to its tests.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
}

/// All lines of code (no comments, no tests) below a folder: file, line number, text.
fn code_lines(folder: &Path) -> impl Iterator<Item = (PathBuf, usize, String)> {
    rust_files(folder).into_iter().flat_map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = product_lines(&text)
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (path.clone(), number + 1, line.to_owned()))
            .collect();
        lines
    })
}
