//! Connections over TCP, plain or with TLS: HTTP/1.1, TURN, or on one port both. Counts them before
//! anything is read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tertulia_turn::framing::is_first_of_stun;
use tertulia_turn::{Path, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;
use tracing::debug;

use crate::authority::Arrival;
use crate::clock;
use crate::limits::ConnectionPermit;
use crate::listen::next_connection;
use crate::listen::rewound::Rewound;
use crate::node::Node;
use crate::turn::{TurnHandle, TurnStream};

/// Who sent a request; an extension of each.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) address: SocketAddr,
    pub(crate) arrival: Arrival,
    /// The connection's place among those that have not logged in.
    pub(crate) permit: Arc<ConnectionPermit>,
}

/// What is spoken on a port.
#[derive(Clone)]
pub(crate) enum Purpose {
    /// HTTP; with TLS also TURN, where that is wanted.
    Web(Router),
    Turn,
}

/// Accepts connections for ever.
pub(crate) async fn accept(
    node: Arc<Node>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    purpose: Purpose,
) {
    let Ok(local) = listener.local_addr() else {
        return;
    };
    loop {
        let (stream, address) = next_connection(&listener).await;
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let Some(permit) = node.connections.admit(address.ip(), clock::now().mono) else {
            debug!("too many connections without a log-in");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let server = stream.local_addr().unwrap_or(local);
        let connection = Connection {
            node: Arc::clone(&node),
            path: Path {
                transport: Transport::Stream,
                server: SocketAddr::new(server.ip().to_canonical(), server.port()),
                client: address,
            },
            permit: Arc::new(permit),
            is_tls: tls.is_some(),
        };
        let (tls, purpose) = (tls.clone(), purpose.clone());
        tokio::spawn(async move {
            match tls {
                None => connection.serve(stream, purpose).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection.serve(stream, purpose).await,
                    Ok(Err(error)) => debug!(%error, "no TLS"),
                    Err(_) => debug!("TLS took too long"),
                },
            }
        });
    }
}

/// An accepted connection, its TLS done.
struct Connection {
    node: Arc<Node>,
    path: Path,
    permit: Arc<ConnectionPermit>,
    is_tls: bool,
}

impl Connection {
    async fn serve<S>(self, mut stream: S, purpose: Purpose)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let turn = self.node.turn.clone();
        let pages = match (purpose, turn) {
            (Purpose::Turn, Some(turn)) => return self.hand_over(stream, Vec::new(), &turn),
            (Purpose::Turn, None) => return,
            (Purpose::Web(pages), Some(turn)) if self.is_tls && turn.is_on_web_port => {
                let first = match tokio::time::timeout(HEADER_TIME, stream.read_u8()).await {
                    Ok(Ok(first)) => first,
                    Ok(Err(_)) | Err(_) => return debug!("a connection without a word"),
                };
                if is_first_of_stun(first) {
                    return self.hand_over(stream, vec![first], &turn);
                }
                return self.serve_pages(Rewound::new(first, stream), pages).await;
            }
            (Purpose::Web(pages), _) => pages,
        };
        self.serve_pages(stream, pages).await;
    }

    fn hand_over<S>(self, stream: S, first: Vec<u8>, turn: &TurnHandle)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        turn.connect(TurnStream {
            stream: Box::new(stream),
            path: self.path,
            first,
            permit: self.permit,
        });
    }

    async fn serve_pages<S>(self, stream: S, pages: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let visitor = Visitor {
            address: self.path.client,
            arrival: Arrival {
                is_tls: self.is_tls,
                is_loopback: self.path.client.ip().is_loopback(),
            },
            permit: self.permit,
        };
        serve(stream, visitor, pages).await;
    }
}

async fn serve<S>(stream: S, visitor: Visitor, pages: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(visitor.clone());
        let mut pages = pages.clone();
        async move { Ok::<_, Infallible>(answer(&mut pages, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        debug!(%error, "a connection ended");
    }
}

async fn answer(pages: &mut Router, request: hyper::Request<Incoming>) -> hyper::Response<Body> {
    match pages.call(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// For a request's head, and for how long a connection may be silent between two.
const HEADER_TIME: Duration = Duration::from_secs(30);
const HEADER_BYTES_MAX: usize = 32 * 1024;
