//! HTTP/1.1 over TCP, plain or with TLS. Counts connections before anything is read.

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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;
use tracing::{debug, warn};

use crate::authority::Arrival;
use crate::clock;
use crate::limits::ConnectionPermit;
use crate::node::Node;

/// Who sent a request; an extension of each.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) address: SocketAddr,
    pub(crate) arrival: Arrival,
    /// The connection's place among those that have not logged in.
    pub(crate) permit: Arc<ConnectionPermit>,
}

/// Accepts connections for ever.
pub(crate) async fn accept(
    node: Arc<Node>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    pages: Router,
) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: those that are open must end first.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let Some(permit) = node.connections.admit(address.ip(), clock::now().mono) else {
            debug!("too many connections without a log-in");
            continue;
        };
        let _ = stream.set_nodelay(true);
        let arrival = Arrival {
            is_tls: tls.is_some(),
            is_loopback: address.ip().is_loopback(),
        };
        let visitor = Visitor {
            address,
            arrival,
            permit: Arc::new(permit),
        };
        let (tls, pages) = (tls.clone(), pages.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, visitor, pages).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve(stream, visitor, pages).await,
                    Ok(Err(error)) => debug!(%error, "no TLS"),
                    Err(_) => debug!("TLS took too long"),
                },
            }
        });
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

const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// For a request's head, and for how long a connection may be silent between two.
const HEADER_TIME: Duration = Duration::from_secs(30);
const HEADER_BYTES_MAX: usize = 32 * 1024;
