//! The database file: how it is opened, what can be wrong with it, and how its tables get their
//! present form.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, SqlSafeStr as _};

/// A database file that cannot be used: which, why, and what helps.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct OpenError {
    pub path: PathBuf,
    pub fault: Fault,
}

/// What is wrong with a database file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("in use by another program (another Tertulia?); stop it")]
    InUse,
    #[error("damaged ({0}); move it away and a new one is made")]
    Damaged(String),
    #[error(
        "written by a newer Tertulia; run that one, or move the file away and a new one is made"
    )]
    Newer,
    #[error("{0}; see that the file and its folder can be written and the disk is not full")]
    Unusable(String),
}

/// All migrations; a file that has been released never changes again.
const MIGRATIONS: &[(i64, &str, &str)] = &[(
    1,
    "room journal",
    include_str!("../migrations/0001_room_journal.sql"),
)];

/// Opens the database in this file, which is made if it is missing. No other program can use it
/// until the connection is gone.
pub(crate) async fn open(path: &Path) -> Result<SqliteConnection, OpenError> {
    let failed = |fault| OpenError {
        path: path.to_owned(),
        fault,
    };
    // SQLite would make a file that all may read, and open one that cannot be written without a
    // word. Files beside it take its mode.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed(Fault::Unusable(error.to_string())))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Wal)
        // What is committed survives the end of the process; only the end of the machine may
        // cost the last moments, and never the rest.
        .synchronous(SqliteSynchronous::Normal)
        // Passwords of meetings that are over do not stay behind in free pages.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(|e| failed(fault(&e)))?;
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await
        .map_err(|e| failed(fault(&e)))?;
    if verdict != "ok" {
        return Err(failed(Fault::Damaged(one_line(&verdict))));
    }
    migrate(&mut connection).await.map_err(failed)?;
    Ok(connection)
}

async fn migrate(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let migrations = MIGRATIONS.iter().map(|(version, description, sql)| {
        let description = (*description).into();
        Migration::new(
            *version,
            description,
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    match migrator.run(connection).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(_)) => Err(Fault::Newer),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(fault(&error))
        }
        // Half done or different from ours: not what a Tertulia leaves behind.
        Err(other) => Err(Fault::Damaged(one_line(&other.to_string()))),
    }
}

/// What SQLite's result code means for an administrator (https://www.sqlite.org/rescode.html).
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    let sqlx::Error::Database(database) = error else {
        return Fault::Unusable(one_line(&error.to_string()));
    };
    let message = one_line(database.message());
    let code = database.code().and_then(|code| code.parse::<u32>().ok());
    // The lowest byte is the primary code.
    match code.map(|code| code & 0xff) {
        Some(SQLITE_BUSY | SQLITE_LOCKED) => Fault::InUse,
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => Fault::Damaged(message),
        _ => Fault::Unusable(message),
    }
}

/// Reasons stand in a message of one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// For a former process that is not quite gone.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_NOTADB: u32 = 26;
