//! The room journal: what people decided about a meeting, so that a crash of the server does not
//! undo it (DESIGN 10).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tertulia_model::jid::BareJid;
use tertulia_model::{Private, RoomJid};
use tokio::sync::Mutex;
use tracing::warn;

use crate::database::{self, OpenError};

/// The journals of all rooms: for each a table of keys and values, opaque but for the keys of
/// breakout rooms.
///
/// What a call has written when it returns is there after the process was killed; a loss of power
/// may cost the last moments. One call at a time reaches the file, in the order in which they
/// were made; a call that is given up half way has happened whole or not at all.
///
/// A room lives from [`Journal::load`] or [`Journal::write`] to [`Journal::ended`], or to the end
/// of the process. Its journal outlasts that until [`Journal::sweep`].
pub struct Journal {
    limits: Limits,
    connection: Mutex<SqliteConnection>,
}

/// What one room may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub keys_max: usize,
    /// Of all its keys and values together.
    pub bytes_max: usize,
}

/// Why the journal did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The room has as much as one may have; what it had stays.
    #[error("the room's journal is full")]
    Full,
    /// The file could not be read or written.
    #[error(transparent)]
    Disk(#[from] sqlx::Error),
}

impl Journal {
    /// Opens the journal in this file, which is made if it is missing. Rooms that lived when the
    /// last process ended count as ended `now`.
    pub async fn open(
        path: &Path,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Result<Journal, OpenError> {
        let mut connection = database::open(path).await?;
        sqlx::query("UPDATE room SET ended = ? WHERE ended IS NULL")
            .bind(now.timestamp_millis())
            .execute(&mut connection)
            .await
            .map_err(|error| OpenError {
                path: path.to_owned(),
                fault: database::fault(&error),
            })?;
        Ok(Journal {
            limits,
            connection: Mutex::new(connection),
        })
    }

    /// What is kept of a room, which lives from now on.
    pub async fn load(&self, room: &RoomJid) -> Result<BTreeMap<String, String>, Error> {
        let room = room.to_string();
        let mut connection = self.connection.lock().await;
        sqlx::query("UPDATE room SET ended = NULL WHERE jid = ?")
            .bind(&room)
            .execute(&mut *connection)
            .await?;
        let entries = sqlx::query_as("SELECT key, value FROM entry WHERE room = ?")
            .bind(&room)
            .fetch_all(&mut *connection)
            .await?;
        Ok(entries.into_iter().collect())
    }

    /// Changes one entry of a room that lives; without a value the key goes.
    pub async fn write(&self, room: &RoomJid, key: &str, value: Option<&str>) -> Result<(), Error> {
        let room = room.to_string();
        let mut connection = self.connection.lock().await;
        let Some(value) = value else {
            sqlx::query("DELETE FROM entry WHERE room = ? AND key = ?")
                .bind(&room)
                .bind(key)
                .execute(&mut *connection)
                .await?;
            return Ok(());
        };
        let mut change = connection.begin().await?;
        sqlx::query(
            "INSERT INTO room (jid) VALUES (?) ON CONFLICT (jid) DO UPDATE SET ended = NULL",
        )
        .bind(&room)
        .execute(&mut *change)
        .await?;
        sqlx::query(
            "INSERT INTO entry (room, key, value) VALUES (?, ?, ?)
             ON CONFLICT (room, key) DO UPDATE SET value = excluded.value",
        )
        .bind(&room)
        .bind(key)
        .bind(value)
        .execute(&mut *change)
        .await?;
        let (keys, bytes): (i64, i64) =
            sqlx::query_as("SELECT keys, bytes FROM room WHERE jid = ?")
                .bind(&room)
                .fetch_one(&mut *change)
                .await?;
        let is_within = |number: i64, max: usize| usize::try_from(number).is_ok_and(|n| n <= max);
        if !is_within(keys, self.limits.keys_max) || !is_within(bytes, self.limits.bytes_max) {
            // Dropped, the change is undone.
            return Err(Error::Full);
        }
        change.commit().await?;
        Ok(())
    }

    /// Deletes all that is kept of a room: its meeting has ended on purpose.
    pub async fn forget(&self, room: &RoomJid) -> Result<(), Error> {
        let mut connection = self.connection.lock().await;
        sqlx::query("DELETE FROM room WHERE jid = ?")
            .bind(room.to_string())
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// The room does not live any more.
    pub async fn ended(&self, room: &RoomJid, when: DateTime<Utc>) -> Result<(), Error> {
        let mut connection = self.connection.lock().await;
        sqlx::query("UPDATE room SET ended = ? WHERE jid = ?")
            .bind(when.timestamp_millis())
            .bind(room.to_string())
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// Deletes what is kept of rooms that ended `linger` ago or earlier; how many they were.
    pub async fn sweep(&self, now: DateTime<Utc>, linger: Duration) -> Result<u64, Error> {
        let now = now.timestamp_millis();
        let linger = i64::try_from(linger.as_millis()).unwrap_or(i64::MAX);
        let mut connection = self.connection.lock().await;
        // The clock was put back: nothing ended in the future.
        sqlx::query("UPDATE room SET ended = ? WHERE ended > ?")
            .bind(now)
            .bind(now)
            .execute(&mut *connection)
            .await?;
        let swept = sqlx::query("DELETE FROM room WHERE ended <= ?")
            .bind(now.saturating_sub(linger))
            .execute(&mut *connection)
            .await?;
        Ok(swept.rows_affected())
    }

    /// All breakout rooms that are kept, each with its main room (keys `breakout/<jid>`).
    pub async fn breakout_rooms(&self) -> Result<Vec<(RoomJid, RoomJid)>, Error> {
        let mut connection = self.connection.lock().await;
        // '0' follows '/'.
        let entries: Vec<(String, String)> = sqlx::query_as(
            "SELECT key, room FROM entry WHERE key >= 'breakout/' AND key < 'breakout0'",
        )
        .fetch_all(&mut *connection)
        .await?;
        let mut rooms = Vec::new();
        for (key, main) in entries {
            let breakout = key.strip_prefix(BREAKOUT).and_then(room_jid);
            match breakout.zip(room_jid(&main)) {
                Some(pair) => rooms.push(pair),
                None => warn!(key = %Private(key), "the journal names a room that is none"),
            }
        }
        Ok(rooms)
    }
}

fn room_jid(text: &str) -> Option<RoomJid> {
    RoomJid::new(text.parse::<BareJid>().ok()?)
}

const BREAKOUT: &str = "breakout/";

#[cfg(test)]
mod tests;
