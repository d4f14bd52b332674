//! The shell around the state machines: sockets, TLS, tasks, timers, router, media workers, HTTP.
//!
//! Order of reading: [`Server::bind`] (start.rs) takes everything from the system that it needs or
//! says what is missing; `listen/` and `http/` let clients in; `session_task` and
//! `conference_task` drive the machines of the signalling side, `media/` those of the bridge;
//! `router` knows who is there. Nothing here decides what a meeting is.

mod addresses;
mod admin;
mod authority;
mod certificate;
mod clock;
mod conference_task;
mod config;
mod data_folder;
mod datagrams;
mod http;
mod limits;
mod listen;
mod mailbox;
mod media;
mod node;
mod open_files;
mod pump;
mod room_journal;
mod router;
mod session_task;
mod socket;
mod start;
mod stop;
mod turn;

pub use authority::{InvalidPublicUrl, PublicUrl};
pub use config::{
    AdminConfig, CertificateFiles, ClientConfig, Config, JournalConfig, Limits, MediaConfig,
    Origins, TurnConfig, TurnListen, WebConfig,
};
pub use http::is_reserved_name;
pub use start::{Facts, Server, StartError};
pub use stop::Stop;
