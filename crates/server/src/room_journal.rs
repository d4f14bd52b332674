//! What one conference tells the room journal, and what becomes of it while the disk does not
//! take it: the meeting goes on, and the journal is brought up to date when the disk is back.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_conference::Entry;
use tertulia_model::{Private, RoomJid};
use tertulia_store::{Error, Journal};
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::node::Node;

/// The journal of one room, for its conference.
pub(crate) struct RoomJournal {
    store: Arc<Journal>,
    room: RoomJid,
    /// What the disk has not taken yet: of each key the last value.
    unwritten: BTreeMap<String, Option<String>>,
    /// When the disk is tried again; until then nothing waits for it.
    retry_at: Option<Instant>,
    was_full: bool,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("the disk does not answer")]
    Late,
}

impl RoomJournal {
    pub(crate) fn new(store: Arc<Journal>, room: RoomJid) -> RoomJournal {
        RoomJournal {
            store,
            room,
            unwritten: BTreeMap::new(),
            retry_at: None,
            was_full: false,
        }
    }

    /// What was kept of a former meeting; nothing if it cannot be read.
    pub(crate) async fn load(&self) -> BTreeMap<String, String> {
        match in_time(self.store.load(&self.room)).await {
            Ok(kept) => kept,
            Err(error) => {
                error!(
                    %error,
                    room = %Private(&self.room),
                    "the room journal cannot be read; the meeting starts without the rights, the \
                     password and the breakout rooms it may have had"
                );
                BTreeMap::new()
            }
        }
    }

    /// Comes back when the entry is safe, or when the disk has failed.
    pub(crate) async fn record(&mut self, entry: Entry) {
        self.unwritten.insert(entry.key, entry.value);
        if self.retry_at.is_none() {
            self.write().await;
        }
    }

    /// When [`RoomJournal::retry`] has something to do.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Tries the disk again if it is time to.
    pub(crate) async fn retry(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.write().await;
        }
    }

    /// Nothing is kept of this meeting: it ended on purpose.
    pub(crate) async fn forget(&mut self) {
        self.unwritten.clear();
        self.retry_at = None;
        if let Err(error) = in_time(self.store.forget(&self.room)).await {
            error!(
                %error,
                room = %Private(&self.room),
                "the room journal of an ended meeting cannot be deleted; should the room be used \
                 again soon, it has its former rights and password"
            );
        }
    }

    /// The conference is over; what is kept lingers. Before the next one in this room begins.
    pub(crate) async fn ended(&mut self) {
        if !self.unwritten.is_empty() {
            self.write().await;
        }
        if self.retry_at.is_some() {
            // At the next start of the server it counts as ended.
            return;
        }
        if let Err(error) = in_time(self.store.ended(&self.room, clock::now().wall)).await {
            error!(%error, room = %Private(&self.room), "the room journal cannot be written");
        }
    }

    async fn write(&mut self) {
        while let Some((key, value)) = self.unwritten.first_key_value() {
            let written = in_time(self.store.write(&self.room, key, value.as_deref())).await;
            match written {
                Ok(()) => {}
                Err(Failure::Store(Error::Full)) => self.is_full(),
                Err(error) => return self.has_failed(&error),
            }
            self.unwritten.pop_first();
        }
        if self.retry_at.take().is_some() {
            info!(room = %Private(&self.room), "the room journal is complete again");
        }
    }

    fn has_failed(&mut self, error: &Failure) {
        let changes = self.unwritten.len();
        let room = Private(&self.room);
        if self.retry_at.is_none() {
            error!(
                %error, changes, %room,
                "the room journal cannot be written; the meeting goes on, but a crash of the \
                 server would undo what is decided in it about rights, password and breakout rooms"
            );
        } else {
            debug!(%error, changes, %room, "the room journal still cannot be written");
        }
        self.retry_at = Some(clock::now().mono + RETRY_INTERVAL);
    }

    fn is_full(&mut self) {
        let room = Private(&self.room);
        if self.was_full {
            debug!(%room, "a change has no place in the room journal");
        } else {
            warn!(
                %room,
                "the room journal is full; a crash of the server would undo what is decided from \
                 now on (limits.journal_keys, limits.journal)"
            );
        }
        self.was_full = true;
    }
}

/// Deletes what has lingered long enough, and tells the router which breakout rooms are kept.
pub(crate) struct Tidying {
    node: Arc<Node>,
    has_failed: bool,
}

impl Tidying {
    /// Nothing is done yet.
    pub(crate) fn new(node: Arc<Node>) -> Tidying {
        Tidying {
            node,
            has_failed: false,
        }
    }

    /// Once, now.
    pub(crate) async fn once(&mut self) {
        let node = &self.node;
        let tidied = async {
            let linger = node.journal_linger;
            node.journal.sweep(clock::now().wall, linger).await?;
            let kept = node.journal.breakout_rooms().await?;
            node.router.set_kept_breakout_rooms(kept);
            Ok(())
        };
        let tidied = in_time(tidied).await;
        match &tidied {
            Ok(()) => {}
            Err(error) if self.has_failed => {
                debug!(%error, "the room journal still cannot be tidied");
            }
            Err(error) => error!(
                %error,
                "the room journal cannot be tidied; rights and passwords of ended meetings stay"
            ),
        }
        self.has_failed = tidied.is_err();
    }

    /// Again and again; never ends.
    pub(crate) async fn forever(mut self) {
        let interval = (self.node.journal_linger / 4).clamp(TIDY_MIN, TIDY_MAX);
        loop {
            tokio::time::sleep(interval).await;
            self.once().await;
        }
    }
}

/// A meeting waits for the disk only so long.
async fn in_time<T>(doing: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(DISK_PATIENCE, doing).await {
        Ok(done) => Ok(done?),
        Err(_elapsed) => Err(Failure::Late),
    }
}

const DISK_PATIENCE: Duration = Duration::from_secs(2);
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
const TIDY_MIN: Duration = Duration::from_secs(1);
const TIDY_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
