use std::time::Duration;

use super::*;

#[test]
fn the_example_file_is_up_to_date_and_says_what_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config.example.toml");
    if std::env::var_os("UPDATE_EXAMPLE").is_some() {
        std::fs::write(path, example()).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        kept,
        example(),
        "run: UPDATE_EXAMPLE=1 cargo test -p tertulia-config"
    );
    load(&Sources {
        file: Some(path.into()),
        ..Sources::default()
    })
    .ok()
    .unwrap();
}

#[test]
fn defaults() {
    let Settings { server, log } = load(&Sources::default()).ok().unwrap();
    assert_eq!(server.hosts.main().as_str(), "localhost");
    assert_eq!(server.web.listen, ["[::]:8443".parse().unwrap()]);
    assert_eq!(server.admin.listen, ["127.0.0.1:8888".parse().unwrap()]);
    assert!(!server.admin.is_chosen && !server.admin.may_shut_down);
    assert!(server.media.stun_servers.is_empty(), "nobody is asked");
    assert_eq!(server.media.port, 10_000);
    assert_eq!(server.media.workers, None);
    assert_eq!(server.stream.lease, Duration::from_secs(60));
    assert_eq!(server.stream.limits.bytes_max, 262_144);
    assert_eq!(server.stream.limits_before_login.bytes_max, 65_536);
    assert_eq!(server.limits.conference_stanzas, 1_024);
    assert_eq!(server.limits.conference_wait, Duration::from_secs(5));
    assert_eq!(server.limits.new_rooms_per_minute, 30);
    assert_eq!(server.bridge.video.last_n, None);
    assert!(!log.is_private_shown);
    assert_eq!(server.web.app, None);
    assert_eq!(server.web.client.stun_servers, Vec::<String>::new());
    let rules = &server.conference.rules;
    assert_eq!(rules.visitors_after, None);
    assert_eq!(rules.start_audio_muted, Some(10));
    assert_eq!(server.conference.focus.video_senders_max, None);
    assert_eq!(server.journal.linger, Duration::from_secs(120));
}

#[test]
fn what_meetings_can_do() {
    let file = write(
        "[meeting]\npolls = false\nvisitors_after = 50\n[media]\naudio_senders = 0\n\
         start_audio_muted = -1\nstun_servers = [\"stun:stun.meet.example:3478\"]\n\
         [web]\napp = \"/srv/jitsi-meet\"\nclient.toolbarButtons = [\"chat\", \"hangup\"]\n\
         client.p2p.enabled = false\n",
    );
    let sources = Sources {
        file: Some(file.clone()),
        ..Sources::default()
    };
    let server = load(&sources).ok().unwrap().server;
    let rules = &server.conference.rules;
    assert!(!rules.has_polls && !server.web.client.has_polls);
    assert_eq!(rules.visitors_after, Some(50));
    assert_eq!(rules.start_audio_muted, None);
    assert_eq!(server.conference.focus.audio_senders_max, Some(0));
    assert_eq!(
        server.web.client.stun_servers,
        ["stun:stun.meet.example:3478"]
    );
    assert_eq!(server.web.app, Some("/srv/jitsi-meet".into()));
    let further = serde_json::to_string(&server.web.client.further).unwrap();
    assert_eq!(
        further,
        r#"{"p2p":{"enabled":false},"toolbarButtons":["chat","hangup"]}"#
    );
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_clients_cannot_be_told() {
    assert_eq!(
        mistakes_of(
            "[meeting]\nlobby = \"yes\"\n[web]\nshard = \"a b\"\nclient = { since = 2020-01-01 }\n\
             [media]\nstun_servers = [\"turn:relay.example\"]\nvideo_senders = -2\n",
            &[]
        ),
        [
            "meeting.lobby: expected true or false, found \"yes\"",
            "media.video_senders: expected a whole number from -1 to 1000000, found -2",
            "web.shard: expected a word of letters, digits, '-', '_' and '.', found \"a b\"",
            "media.stun_servers: expected a list of stun:host:port, found [\"turn:relay.example\"]",
            "web.client: expected a table, found { since = 2020-01-01 }",
        ]
    );
    for bad in ["50", "50: 1 day", "-1: 1 s", "many: 1 s", "50: 11 s"] {
        let file = format!("room.source_delays = [\"{bad}\"]");
        assert_eq!(mistakes_of(&file, &[]).len(), 1, "{bad}");
    }
    for bad in [r#"[]"#, r#"["VP7"]"#, r#"["VP8", "vp8"]"#, r#""VP8""#] {
        let file = format!("media.codecs = {bad}");
        assert_eq!(mistakes_of(&file, &[]).len(), 1, "{bad}");
    }
    for bad in ["stun:", "stun:a b", "stun:user@host", "stun:host/", "host"] {
        let file = format!("media.stun_servers = [\"{bad}\"]");
        assert_eq!(mistakes_of(&file, &[]).len(), 1, "{bad}");
    }
}

#[test]
fn all_mistakes_are_reported_together() {
    let mistakes = mistakes_of(
        "domian = \"meet.example\"\n[bridge]\nworkers = \"two\"\nport = 70000\n\
         [web]\ncertificate = \"cert.pem\"\nlisten = [\"8443\"]\n[limts]\nstanza = \"1 KiB\"\n",
        &[("TERTULIA_BRIDGE__WROKERS", "2"), ("PATH", "/bin")],
    );
    assert_eq!(
        mistakes,
        [
            "domian: no such key; did you mean domain?",
            "limts: no such key; did you mean limits?",
            "TERTULIA_BRIDGE__WROKERS: no such key; did you mean TERTULIA_BRIDGE__WORKERS?",
            "web.certificate (--cert) and web.key (--key) belong together; one is missing",
            "web.listen: expected a list of addresses with port, such as \"[::]:8443\" or \
             \"192.0.2.1:443\", found [\"8443\"]",
            "bridge.port: expected a whole number from 0 to 65535, found 70000",
            "bridge.workers: expected a whole number from 0 to 256, found \"two\"",
        ]
    );
}

#[test]
fn a_key_in_the_wrong_section_and_a_broken_file() {
    assert_eq!(
        mistakes_of("[web]\nlease = \"5 s\"", &[]),
        ["web.lease: no such key; did you mean session.lease?"]
    );
    let broken = mistakes_of("domain = \"a\"\nweb = [", &[]);
    assert!(broken[0].contains(".toml:2: "), "{broken:?}");
    assert_eq!(broken.len(), 1);
    assert!(!broken[0].contains('\n'));
    let gone = load(&Sources {
        file: Some("/nonexistent.toml".into()),
        ..Sources::default()
    });
    assert!(
        gone.err()
            .unwrap()
            .to_string()
            .starts_with("/nonexistent.toml: ")
    );
}

#[test]
fn later_layers_win() {
    let file = write("[bridge]\nport = 1\nworkers = 1\n[log]\nfilter = \"warn\"");
    let sources = Sources {
        file: Some(file.clone()),
        environment: vec![
            ("TERTULIA_BRIDGE__PORT".to_owned(), "2".to_owned()),
            ("TERTULIA_BRIDGE__WORKERS".to_owned(), "2".to_owned()),
            ("TERTULIA_DOMAIN".to_owned(), "meet.example".to_owned()),
        ],
        overrides: vec![Override {
            flag: "--media-port",
            path: "bridge.port",
            value: OverrideValue::Number(3),
        }],
    };
    let Settings { server, log } = load(&sources).ok().unwrap();
    assert_eq!((server.media.port, server.media.workers), (3, Some(2)));
    assert_eq!(server.hosts.main().as_str(), "meet.example");
    assert_eq!(log.filter, "warn");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_flag_is_named_when_its_value_is_wrong() {
    let sources = Sources {
        overrides: vec![Override {
            flag: "--listen",
            path: "web.listen",
            value: OverrideValue::List(vec!["everywhere".to_owned()]),
        }],
        ..Sources::default()
    };
    let mistakes = load(&sources).err().unwrap().to_string();
    assert!(mistakes.starts_with("--listen: expected "), "{mistakes}");
}

fn mistakes_of(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let path = write(file);
    let environment = environment
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let sources = Sources {
        file: Some(path.clone()),
        environment,
        ..Sources::default()
    };
    let mistakes = load(&sources)
        .err()
        .map(|mistakes| mistakes.0)
        .unwrap_or_default();
    std::fs::remove_file(path).unwrap();
    mistakes.iter().map(ToString::to_string).collect()
}

/// A configuration file of its own for each call.
fn write(text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tertulia-config-{}-{number}.toml", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).unwrap();
    path
}
