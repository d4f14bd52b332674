//! The transport and what others have made of the same standards: media, reports, loss, both ways,
//! on virtual time and without sockets.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod end;
mod media;
mod network;
mod srtp;
