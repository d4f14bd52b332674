use std::path::PathBuf;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tertulia_store::Limits;

use super::*;

#[tokio::test]
async fn what_the_disk_did_not_take_is_written_when_it_is_back() {
    let folder = Folder::new("outage");
    let healthy = folder.open("healthy", LIMITS).await;
    let mut journal = journal(folder.open_broken("broken").await);
    journal.record(entry("password", Some("rose"))).await;
    let retry_at = journal.retry_at().unwrap();
    journal.record(entry("password", Some("thorn"))).await;
    journal.record(entry("lobby", Some("true"))).await;
    journal.record(entry("lobby", None)).await;
    assert_eq!(
        journal.retry_at(),
        Some(retry_at),
        "nothing waits for a broken disk"
    );
    assert_eq!(journal.load().await, BTreeMap::new());

    journal.store = Arc::clone(&healthy);
    journal.retry(retry_at - Duration::from_millis(1)).await;
    assert_eq!(journal.load().await, BTreeMap::new(), "not yet");
    journal.retry(retry_at).await;
    assert_eq!(journal.retry_at(), None);
    assert_eq!(journal.load().await, kept([("password", "thorn")]));
    journal.record(entry("lobby", Some("true"))).await;
    let both = kept([("password", "thorn"), ("lobby", "true")]);
    assert_eq!(journal.load().await, both);
}

#[tokio::test]
async fn an_end_on_purpose_leaves_nothing_behind() {
    let folder = Folder::new("forget");
    let mut journal = journal(folder.open("healthy", LIMITS).await);
    journal.record(entry("password", Some("rose"))).await;
    journal.forget().await;
    journal.ended().await;
    assert_eq!(journal.load().await, BTreeMap::new());
    journal.store = folder.open_broken("broken").await;
    journal.record(entry("password", Some("rose"))).await;
    journal.forget().await;
    assert_eq!(journal.retry_at(), None, "nothing is left to be written");
}

#[tokio::test]
async fn what_has_no_place_does_not_stop_the_rest() {
    let folder = Folder::new("small");
    let limits = Limits {
        keys_max: 2,
        bytes_max: 1_000,
    };
    let mut journal = journal(folder.open("small", limits).await);
    for key in ["a", "b", "c"] {
        journal.record(entry(key, Some("1"))).await;
    }
    journal.record(entry("a", None)).await;
    journal.record(entry("d", Some("1"))).await;
    assert_eq!(journal.retry_at(), None);
    assert_eq!(journal.load().await, kept([("b", "1"), ("d", "1")]));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_disk_that_hangs() {
    let never = std::future::pending::<Result<(), Error>>();
    assert!(matches!(in_time(never).await, Err(Failure::Late)));
}

fn journal(store: Arc<Journal>) -> RoomJournal {
    let room = RoomJid::new("tea@conference.localhost".parse().unwrap()).unwrap();
    RoomJournal::new(store, room)
}

fn entry(key: &str, value: Option<&str>) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

fn kept<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

const LIMITS: Limits = Limits {
    keys_max: 1_000,
    bytes_max: 1_000_000,
};

/// A folder that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("tertulia-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    async fn open(&self, name: &str, limits: Limits) -> Arc<Journal> {
        let now = clock::now().wall;
        let journal = Journal::open(&self.0.join(name), limits, now).await;
        Arc::new(journal.unwrap())
    }

    /// One that can be opened and fails at every use.
    async fn open_broken(&self, name: &str) -> Arc<Journal> {
        drop(self.open(name, LIMITS).await);
        let file = SqliteConnectOptions::new().filename(self.0.join(name));
        let mut file = file.connect().await.unwrap();
        sqlx::query("DROP TABLE entry")
            .execute(&mut file)
            .await
            .unwrap();
        file.close().await.unwrap();
        self.open(name, LIMITS).await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
