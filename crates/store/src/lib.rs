//! Everything kept on disk, in one SQLite file of the data folder. So far that is the room
//! journal.
//!
//! Does not know: what the entries of a journal mean (see `tertulia_conference`), when a meeting
//! lives (see `tertulia_server`).

mod database;
mod journal;

pub use database::{Fault, OpenError};
pub use journal::{Error, Journal, Limits};
