//! `tertulia load` against the server: what it measures when all is well, and what it says when
//! not.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::server::{Folder, SOON, Server, free_port, tertulia};

#[tokio::test]
async fn three_with_cameras_lose_nothing() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let url = format!("http://{}", server.web.address);
    let arguments = ["load", &url, "--participants", "3", "--video"];
    let child = tertulia()
        .args(arguments)
        .args(["--duration", "5", "--json"])
        .spawn()
        .unwrap();
    let patience = SOON + Duration::from_secs(8);
    let output = timeout(patience, child.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no JSON ({error}): {said}"));
    assert_eq!(output.status.code(), Some(0), "{said}{report:#}");
    let number = |path: &str| {
        let value = report.pointer(path).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("{path} in {report:#}"))
    };
    assert_eq!((number("/joins/of"), number("/joins/playing")), (3.0, 3.0));
    assert_eq!(number("/joins/to_picture_ms/count"), 3.0);
    for kind in ["/video_received", "/audio_received"] {
        let at = |name: &str| number(&format!("{kind}/{name}"));
        assert_eq!(at("loss_percent"), 0.0, "{report:#}");
        assert_eq!(at("packets"), at("expected"), "{report:#}");
        assert!(at("delay_ms/p50") < 1000.0, "{report:#}");
    }
    // Each sees two others at 30 frames a second, and hears them at 50 packets.
    assert!(number("/video_received/frames") > 600.0, "{report:#}");
    assert!(number("/audio_received/packets") > 1000.0, "{report:#}");
    assert_eq!(number("/flaws"), 0.0, "{report:#}");
    assert_eq!(
        report["server"]["pids"][0],
        Value::from(server.child.id().unwrap()),
        "found by its port"
    );
    assert!(number("/server/cpu_us_per_packet") > 0.0);
    assert!(number("/server/memory_end") > 0.0);
    assert!(number("/generator/cpu_seconds") > 0.0);
    assert!(
        !said.contains('\x1b') && said.contains("1 room × 3"),
        "plain lines where nobody looks: {said}"
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_remedy() {
    let data = Folder::new();
    let server = Server::start(&data).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let room = format!("http://{}", server.web.authority());
    let cases = [
        (vec!["load", &nobody], 1, "is the server running"),
        (vec!["load", "meet.example.org"], 2, "expected https://HOST"),
        (vec!["load", &room, "--rooms", "0"], 2, "--rooms"),
        (
            vec!["load", &room, "--websocket", "ws://localhost:1/x"],
            1,
            "cannot reach localhost:1",
        ),
        (
            vec!["load", &room, "--server-pid", "4294967295"],
            1,
            "--server-pid 4294967295",
        ),
    ];
    for (arguments, code, part) in cases {
        let output = crate::server::run(&arguments).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
}
