//! How clients get in: TCP, TLS, and what speaks over it.

pub(crate) mod bosh;
mod login;
mod rewound;
mod target;
pub(crate) mod web;
pub(crate) mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

/// The next connection, and who it is from.
pub(crate) async fn next_connection(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of file descriptors, most likely: those that are open must end first.
                warn!(%error, address = ?listener.local_addr(), "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
