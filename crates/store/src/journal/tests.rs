use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;

use super::*;
use crate::Fault;

#[tokio::test]
async fn each_room_keeps_its_own() {
    let folder = Folder::new();
    let journal = folder.open().await;
    let (tea, coffee) = (room("tea"), room("coffee"));
    journal.write(&tea, "password", Some("rose")).await.unwrap();
    journal.write(&tea, "lobby", Some("true")).await.unwrap();
    journal.write(&coffee, "password", Some("b")).await.unwrap();
    journal
        .write(&tea, "password", Some("thorn"))
        .await
        .unwrap();
    journal.write(&tea, "lobby", None).await.unwrap();
    journal.write(&tea, "never set", None).await.unwrap();
    assert_eq!(kept(&journal, "tea").await, ["password=thorn"]);
    journal.forget(&tea).await.unwrap();
    assert_eq!(kept(&journal, "tea").await, NOTHING);
    assert_eq!(kept(&journal, "coffee").await, ["password=b"]);
}

#[tokio::test]
async fn what_was_written_survives_a_kill() {
    let folder = Folder::new();
    let journal = folder.open().await;
    for number in 0..300 {
        let key = format!("affiliation/{number}");
        journal
            .write(&room("tea"), &key, Some("owner"))
            .await
            .unwrap();
    }
    journal
        .write(&room("tea"), "affiliation/0", Some("none"))
        .await
        .unwrap();
    // The files as they lie there, while the other process is still at work.
    let after = folder.copy();
    let journal = after.open().await;
    let kept = journal.load(&room("tea")).await.unwrap();
    assert_eq!(kept.len(), 300);
    assert_eq!(kept.get("affiliation/0").map(String::as_str), Some("none"));
}

#[tokio::test]
async fn a_journal_outlasts_its_meeting_for_a_while() {
    let folder = Folder::new();
    let journal = folder.open().await;
    for name in ["tea", "coffee", "milk"] {
        journal
            .write(&room(name), "password", Some("rose"))
            .await
            .unwrap();
    }
    journal.ended(&room("tea"), at(0)).await.unwrap();
    journal.ended(&room("coffee"), at(0)).await.unwrap();
    journal
        .ended(&room("nobody ever wrote"), at(0))
        .await
        .unwrap();
    assert_eq!(journal.sweep(at(119), LINGER).await.unwrap(), 0);
    // Somebody comes back in time.
    assert_eq!(kept(&journal, "coffee").await, ["password=rose"]);
    assert_eq!(journal.sweep(at(120), LINGER).await.unwrap(), 1);
    assert_eq!(kept(&journal, "tea").await, NOTHING);
    assert_eq!(journal.sweep(at(9_999), LINGER).await.unwrap(), 0);
    assert_eq!(kept(&journal, "coffee").await, ["password=rose"]);
    assert_eq!(kept(&journal, "milk").await, ["password=rose"]);
}

#[tokio::test]
async fn a_room_that_lived_at_a_crash_ended_at_the_next_start() {
    let folder = Folder::new();
    let journal = folder.open().await;
    journal
        .write(&room("tea"), "password", Some("rose"))
        .await
        .unwrap();
    let after = folder.copy();
    let journal = after.open_at(at(3_600)).await;
    assert_eq!(journal.sweep(at(3_719), LINGER).await.unwrap(), 0);
    let again = after.copy();
    assert_eq!(journal.sweep(at(3_720), LINGER).await.unwrap(), 1);
    assert_eq!(kept(&journal, "tea").await, NOTHING);
    // A second crash does not make it live longer.
    let journal = again.open_at(at(3_700)).await;
    assert_eq!(journal.sweep(at(3_720), LINGER).await.unwrap(), 1);
}

#[tokio::test]
async fn a_clock_that_was_put_back_keeps_nothing_forever() {
    let folder = Folder::new();
    let journal = folder.open().await;
    journal
        .write(&room("tea"), "password", Some("rose"))
        .await
        .unwrap();
    journal.ended(&room("tea"), at(1_000_000)).await.unwrap();
    assert_eq!(journal.sweep(at(0), LINGER).await.unwrap(), 0);
    assert_eq!(journal.sweep(at(120), LINGER).await.unwrap(), 1);
}

#[tokio::test]
async fn one_room_is_bounded_and_keeps_what_it_has() {
    let folder = Folder::new();
    let limits = Limits {
        keys_max: 3,
        bytes_max: 20,
    };
    let journal = Journal::open(&folder.file(), limits, at(0)).await.unwrap();
    let tea = room("tea");
    for key in ["a", "b", "c"] {
        journal.write(&tea, key, Some("1234")).await.unwrap();
    }
    let is_full = |result| matches!(result, Err(Error::Full));
    assert!(
        is_full(journal.write(&tea, "d", Some("")).await),
        "a fourth key"
    );
    journal.write(&tea, "c", Some("123456789")).await.unwrap();
    assert!(
        is_full(journal.write(&tea, "c", Some("1234567890")).await),
        "20 bytes and one"
    );
    assert!(
        is_full(journal.write(&tea, "c", Some("12345678é")).await),
        "bytes, not letters"
    );
    assert_eq!(
        kept(&journal, "tea").await,
        ["a=1234", "b=1234", "c=123456789"]
    );
    journal.write(&tea, "b", None).await.unwrap();
    journal.write(&tea, "b", None).await.unwrap();
    journal.write(&tea, "d", Some("1234")).await.unwrap();
    journal
        .write(&room("coffee"), "a", Some("1234"))
        .await
        .unwrap();
}

#[tokio::test]
async fn breakout_rooms_lead_to_their_main_rooms() {
    let folder = Folder::new();
    let journal = folder.open().await;
    let (tea, coffee) = (room("tea"), room("coffee"));
    for (main, key) in [
        (&tea, "breakout/1a2b@breakout.localhost"),
        (&tea, "breakout/3c4d@breakout.localhost"),
        (&coffee, "breakout/5e6f@breakout.school.localhost"),
        (&coffee, "breakout/"),
        (&coffee, "breakout/breakout.localhost"),
        (&coffee, "breakout/a@b@c"),
        (&coffee, "breakout/x@localhost/resource"),
        (&coffee, "breakouts/7a8b@breakout.localhost"),
    ] {
        journal.write(main, key, Some("{}")).await.unwrap();
    }
    // Nobody but a damaged file or another program writes this.
    for (jid, key) in [
        ("no jid @", "breakout/9c@breakout.localhost"),
        ("", "password"),
    ] {
        let mut connection = journal.connection.lock().await;
        let query = sqlx::query("INSERT INTO room (jid) VALUES (?)").bind(jid);
        query.execute(&mut *connection).await.unwrap();
        let query = sqlx::query("INSERT INTO entry VALUES (?, ?, '')")
            .bind(jid)
            .bind(key);
        query.execute(&mut *connection).await.unwrap();
    }
    let pairs = journal.breakout_rooms().await.unwrap();
    let pairs: Vec<String> = pairs.iter().map(|(b, m)| format!("{b} {m}")).collect();
    assert_eq!(
        pairs,
        [
            "5e6f@breakout.school.localhost coffee@conference.localhost",
            "1a2b@breakout.localhost tea@conference.localhost",
            "3c4d@breakout.localhost tea@conference.localhost",
        ]
    );
}

#[tokio::test]
async fn text_that_is_none_is_an_error_of_its_room_alone() {
    let folder = Folder::new();
    let journal = folder.open().await;
    for name in ["tea", "coffee"] {
        journal
            .write(&room(name), "password", Some("rose"))
            .await
            .unwrap();
    }
    {
        let mut connection = journal.connection.lock().await;
        sqlx::query("UPDATE entry SET value = CAST(X'FF' AS TEXT) WHERE room LIKE 'tea@%'")
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    assert!(matches!(
        journal.load(&room("tea")).await,
        Err(Error::Disk(_))
    ));
    assert_eq!(kept(&journal, "coffee").await, ["password=rose"]);
}

#[tokio::test]
async fn calls_that_are_given_up_leave_no_trace() {
    let folder = Folder::new();
    let journal = folder.open().await;
    for number in 0..200 {
        let room = room("tea");
        let key = format!("key {number}");
        let write = journal.write(&room, &key, Some("value"));
        // Some are given up before, some during, some after.
        let _ = tokio::time::timeout(Duration::from_micros(number * 5), write).await;
    }
    journal
        .write(&room("tea"), "last", Some("value"))
        .await
        .unwrap();
    let kept = journal.load(&room("tea")).await.unwrap();
    assert_eq!(kept.get("last").map(String::as_str), Some("value"));
    assert!(kept.values().all(|value| value == "value"));
}

#[tokio::test]
async fn a_journal_that_is_let_go_can_be_opened_at_once() {
    let folder = Folder::new();
    let journal = folder.open().await;
    journal
        .write(&room("tea"), "password", Some("rose"))
        .await
        .unwrap();
    drop(journal);
    assert_eq!(kept(&folder.open().await, "tea").await, ["password=rose"]);
}

#[tokio::test]
async fn only_we_may_read_it() {
    let folder = Folder::new();
    let journal = folder.open().await;
    journal
        .write(&room("tea"), "password", Some("rose"))
        .await
        .unwrap();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_what_helps() {
    let folder = Folder::new();
    fs::write(
        folder.file(),
        "this is no database, but long enough to be read as one".repeat(99),
    )
    .unwrap();
    check_refused(&folder, "damaged (file is not a database); move it away").await;

    let folder = Folder::new();
    fs::create_dir(folder.file()).unwrap();
    check_refused(&folder, "can be written").await;

    let missing = Folder(PathBuf::from("/nonexistent"));
    check_refused(&missing, "can be written").await;

    let folder = Folder::new();
    let journal = folder.open().await;
    check_refused(&folder, "in use by another program").await;
    {
        let mut connection = journal.connection.lock().await;
        sqlx::query("UPDATE _sqlx_migrations SET version = 999")
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    check_refused(&folder.copy(), "written by a newer Tertulia").await;
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let folder = Folder::new();
    let journal = folder.open().await;
    for number in 0..500 {
        let key = format!("key {number}");
        journal
            .write(&room("tea"), &key, Some(&"x".repeat(100)))
            .await
            .unwrap();
    }
    {
        let mut connection = journal.connection.lock().await;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    let after = folder.copy();
    let mut bytes = fs::read(after.file()).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 64].fill(0xee);
    fs::write(after.file(), bytes).unwrap();
    check_refused(&after, "damaged").await;
}

async fn check_refused(folder: &Folder, words: &str) {
    let error = Journal::open(&folder.file(), LIMITS, at(0))
        .await
        .err()
        .unwrap();
    let line = error.to_string();
    assert!(line.starts_with(folder.file().to_str().unwrap()), "{line}");
    assert!(line.contains(words) && !line.contains('\n'), "{line}");
    assert_eq!(error.fault == Fault::InUse, words.starts_with("in use"));
}

async fn kept(journal: &Journal, name: &str) -> Vec<String> {
    let kept = journal.load(&room(name)).await.unwrap();
    kept.iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

fn room(name: &str) -> RoomJid {
    let name = name.replace(' ', "-");
    room_jid(&format!("{name}@conference.localhost")).unwrap()
}

/// So many seconds after the beginning.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

const NOTHING: [&str; 0] = [];
const LINGER: Duration = Duration::from_secs(120);
const LIMITS: Limits = Limits {
    keys_max: 1_000,
    bytes_max: 1_000_000,
};

/// A folder that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tertulia-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tertulia.sqlite")
    }

    async fn open(&self) -> Journal {
        self.open_at(at(0)).await
    }

    async fn open_at(&self, now: DateTime<Utc>) -> Journal {
        Journal::open(&self.file(), LIMITS, now).await.unwrap()
    }

    /// What a process that is killed now leaves behind.
    fn copy(&self) -> Folder {
        let copy = Folder::new();
        for entry in fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
