//! How clients get in: TCP, TLS, and what speaks over it.

pub(crate) mod bosh;
mod login;
mod rewound;
mod target;
pub(crate) mod web;
pub(crate) mod websocket;
