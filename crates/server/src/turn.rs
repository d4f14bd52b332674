//! The TURN side of the shell: a thread of its own with all sockets of clients and relays, around
//! one [`TurnServer`](tertulia_turn::TurnServer).
//!
//! Per packet on a channel: no allocation, no lock; one copy on the way to a client, since a
//! header goes before it.

mod relay;
mod stream;
mod thread;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tertulia_bridge::LocalAddress;
use tertulia_conference::{IceServer, TlsPort};
use tertulia_model::{SessionId, TurnSecret};
use tertulia_turn::{OwnAddress, Peers, Statistics};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::config::{TurnConfig, TurnListen};
use crate::datagrams::unbound;
use crate::open_files;
use crate::start::{StartError, listen_all};

pub(crate) use stream::TurnStream;

/// A server whose ports are bound.
pub(crate) struct BoundTurn {
    config: TurnConfig,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    tls: Vec<TcpListener>,
    secret: TurnSecret,
    /// From a file, for other programs that hand out credentials.
    shared_secret: Option<TurnSecret>,
}

/// Takes the ports. `seed` is what our own credentials are made from: sessions end with the
/// process, so they do.
pub(crate) fn bind(mut config: TurnConfig, seed: [u8; 32]) -> Result<BoundTurn, StartError> {
    // Each relay is an open socket. Half of them are left to everything else.
    let sockets = open_files::raise().map(|all| usize::try_from(all / 2).unwrap_or(usize::MAX));
    if let Some(sockets) = sockets.filter(|sockets| *sockets < config.limits.allocations) {
        warn!(
            allocations = sockets,
            "the system allows fewer open files than turn.allocations needs"
        );
        config.limits.allocations = sockets;
    }
    let shared_secret = match &config.secret_file {
        None => None,
        Some(path) => {
            let failed = |reason: String| StartError::TurnSecret {
                path: path.clone(),
                reason,
            };
            let secret = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let secret = secret.trim_ascii();
            if secret.is_empty() {
                return Err(failed("it is empty".to_owned()));
            }
            Some(TurnSecret::new(secret))
        }
    };
    let tcp = |addresses: &[SocketAddr], what, key| listen_all(addresses, what, key);
    Ok(BoundTurn {
        udp: bind_all(&config.udp, "TURN port (UDP)", UDP_KEY, bind_udp)?,
        tcp: bind_all(&config.tcp, "TURN port (TCP)", TCP_KEY, tcp)?,
        tls: bind_all(&config.tls, "TURN port (TLS)", TLS_KEY, tcp)?,
        secret: TurnSecret::new(&seed),
        shared_secret,
        config,
    })
}

/// The default ports may be another TURN server's, which is no reason not to hold meetings.
fn bind_all<T>(
    listen: &TurnListen,
    what: &'static str,
    key: &'static str,
    bind: impl Fn(&[SocketAddr], &'static str, &'static str) -> Result<Vec<T>, StartError>,
) -> Result<Vec<T>, StartError> {
    match bind(&listen.addresses, what, key) {
        Err(error) if !listen.is_chosen => {
            warn!("no {what}: {error}");
            Ok(Vec::new())
        }
        bound => bound,
    }
}

fn bind_udp(
    addresses: &[SocketAddr],
    what: &'static str,
    flag: &'static str,
) -> Result<Vec<UdpSocket>, StartError> {
    let bind = |address: &SocketAddr| {
        bind_port(*address).map_err(|error| StartError::listening(what, *address, error, flag))
    };
    addresses.iter().map(bind).collect()
}

/// Binds one UDP port; a program that has it already is noticed.
fn bind_port(address: SocketAddr) -> io::Result<UdpSocket> {
    let (socket, address) = match unbound(address.is_ipv6()) {
        Ok(socket) => (socket, address),
        // All interfaces of a machine without IPv6.
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            (unbound(false)?, v4)
        }
        Err(error) => return Err(error),
    };
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// To the thread.
enum TurnCommand {
    SessionStarted(SessionId),
    SessionEnded(SessionId),
    Stream(TurnStream),
    Statistics(oneshot::Sender<Statistics>),
}

/// How to reach the TURN server. When the last one is dropped, it ends.
#[derive(Clone)]
pub(crate) struct TurnHandle {
    /// Bounded by what exists: two for each session, one for each admitted connection.
    commands: mpsc::UnboundedSender<TurnCommand>,
    /// TURN is spoken on the ports of the web pages too.
    pub(crate) is_on_web_port: bool,
}

impl TurnHandle {
    /// The credentials of this session are good from now on.
    pub(crate) fn session_started(&self, session: SessionId) {
        let _ = self.commands.send(TurnCommand::SessionStarted(session));
    }

    /// They are not any more, and what was allocated with them goes.
    pub(crate) fn session_ended(&self, session: SessionId) {
        let _ = self.commands.send(TurnCommand::SessionEnded(session));
    }

    /// Hands over a connection.
    pub(crate) fn connect(&self, stream: TurnStream) {
        let _ = self.commands.send(TurnCommand::Stream(stream));
    }

    /// What happened so far; None when the thread is gone.
    pub(crate) async fn statistics(&self) -> Option<Statistics> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(TurnCommand::Statistics(reply)).ok()?;
        answer.await.ok()
    }
}

impl BoundTurn {
    /// What clients are told of the server; `secure` are the ports of the web.
    pub(crate) fn offer(&self, secure: &[TcpListener]) -> IceServer {
        let port = |listeners: &[TcpListener]| {
            let address = listeners.first()?.local_addr().ok()?;
            Some(address.port())
        };
        let udp = self.udp.first().and_then(|socket| socket.local_addr().ok());
        let web = port(secure).filter(|_| self.config.is_on_web_port);
        IceServer {
            secret: self.secret.clone(),
            credentials_lifetime: self.config.credentials_lifetime,
            udp_port: udp.map(|address| address.port()),
            tcp_port: port(&self.tcp),
            tls: match (web, port(&self.tls)) {
                (Some(port), _) => Some(TlsPort::Web(port)),
                (None, Some(port)) => Some(TlsPort::Own(port)),
                (None, None) => None,
            },
        }
    }

    /// The ports without TLS and with it, whose connections are accepted where those of the web
    /// are.
    pub(crate) fn take_listeners(&mut self) -> (Vec<TcpListener>, Vec<TcpListener>) {
        (std::mem::take(&mut self.tcp), std::mem::take(&mut self.tls))
    }

    /// Starts the thread.
    pub(crate) fn start(self, here: Here, realm: String, seed: [u8; 32]) -> io::Result<TurnHandle> {
        let (commands, received) = mpsc::unbounded_channel();
        let is_on_web_port = self.config.is_on_web_port;
        let port = |socket: &UdpSocket| socket.local_addr().map(|address| address.port());
        let udp: Vec<u16> = self.udp.iter().filter_map(|one| port(one).ok()).collect();
        thread::start(self, here, realm, seed, received)?;
        info!(?udp, is_on_web_port, "TURN server ready");
        Ok(TurnHandle {
            commands,
            is_on_web_port,
        })
    }
}

/// Where packets for our own media port go.
pub(crate) struct Here {
    pub(crate) media_port: u16,
    /// As the bridge knows them; they may change.
    pub(crate) addresses: watch::Receiver<Vec<LocalAddress>>,
    pub(crate) loopback: Vec<IpAddr>,
}

impl Here {
    /// With whom may be talked: those addresses on which media arrives. A machine without a
    /// network has only its loopback addresses.
    fn peers(&mut self, is_public: bool) -> Peers {
        let addresses = self.addresses.borrow_and_update();
        let network = addresses.iter().map(|one| OwnAddress {
            local: one.address.ip(),
            public: one.public,
        });
        let mut own: Vec<OwnAddress> = network.collect();
        if own.is_empty() {
            own.extend(self.loopback.iter().map(|ip| OwnAddress {
                local: *ip,
                public: None,
            }));
        }
        Peers {
            own,
            media_port: self.media_port,
            is_public,
        }
    }

    /// Waits until they have changed; for ever when nobody looks any more.
    async fn changed(&mut self) {
        if self.addresses.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

const UDP_KEY: &str = "turn.listen in the configuration";
const TCP_KEY: &str = "turn.listen_tcp in the configuration";
const TLS_KEY: &str = "turn.listen_tls in the configuration";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours_only_where_there_is_no_network() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let network = LocalAddress {
            address: at("10.0.0.5:10000"),
            public: Some(at("203.0.113.7:10000")),
        };
        let (addresses, watched) = watch::channel(vec![network]);
        let mut here = Here {
            media_port: 10_000,
            addresses: watched,
            loopback: vec!["127.0.0.1".parse().unwrap()],
        };
        let expected = OwnAddress {
            local: "10.0.0.5".parse().unwrap(),
            public: Some(at("203.0.113.7:10000")),
        };
        assert_eq!(here.peers(false).own, [expected]);
        addresses.send(Vec::new()).unwrap();
        let expected = OwnAddress {
            local: "127.0.0.1".parse().unwrap(),
            public: None,
        };
        assert_eq!(here.peers(false).own, [expected]);
    }

    #[test]
    fn default_ports_may_be_somebody_elses_but_chosen_ones_may_not() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut listen = TurnListen {
            addresses: vec![taken.local_addr().unwrap()],
            is_chosen: false,
        };
        let bind = |listen: &TurnListen| bind_all(listen, "port", UDP_KEY, bind_udp);
        assert!(bind(&listen).is_ok_and(|bound| bound.is_empty()));
        listen.is_chosen = true;
        let error = bind(&listen).unwrap_err().to_string();
        assert!(
            error.contains("already in use") && error.contains("turn.listen"),
            "{error}"
        );
    }
}
