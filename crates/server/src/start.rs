//! Taking everything from the system that the server needs, before anything is said or done.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use socket2::{Domain, Protocol, Socket, Type};
use tertulia_model::Random;
use tertulia_store::{Journal, OpenError};
use tertulia_stream::Sealer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::addresses::{AddressWatch, Addresses, Asker};
use crate::admin::{self, Monitor};
use crate::authority::Authorities;
use crate::certificate::{Certificate, CertificateError};
use crate::clock;
use crate::config::{AdminConfig, Config, WebConfig};
use crate::data_folder::{DataFolder, FolderError};
use crate::http;
use crate::http::web_app::WebApp;
use crate::listen::web::{self, Purpose};
use crate::media;
use crate::node::{Node, NodeParts};
use crate::room_journal::Tidying;
use crate::stop::{self, Stop};
use crate::turn::{self, BoundTurn, Here};

/// A server whose ports are bound and whose files are in place.
pub struct Server {
    node: Arc<Node>,
    plain: Vec<TcpListener>,
    secure: Vec<TcpListener>,
    /// Of TURN, without TLS and with it.
    turn: (Vec<TcpListener>, Vec<TcpListener>),
    admin: Vec<TcpListener>,
    address_watch: AddressWatch,
    tls: TlsAcceptor,
    all_closed: mpsc::Receiver<()>,
    facts: Facts,
    app: Option<WebApp>,
}

/// What there is to say about a server that is about to run.
#[derive(Clone, Debug)]
pub struct Facts {
    pub plain: Vec<SocketAddr>,
    pub secure: Vec<SocketAddr>,
    /// Of metrics, health and statistics.
    pub admin: Vec<SocketAddr>,
    pub media_port: u16,
    /// Addresses of this machine that others can reach.
    pub network: Vec<IpAddr>,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    /// Browsers warn of the certificate.
    pub is_self_made: bool,
    /// The data folder, absolutely.
    pub data: PathBuf,
    /// The configured address, if there is one.
    pub public_url: Option<String>,
}

/// Why the server cannot start: what is wrong and what to do, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot use the data folder {}: {error}; make it writable or name another one with --data",
        path.display()
    )]
    Data { path: PathBuf, error: io::Error },
    #[error("cannot use the certificate: {0}; see --cert and --key")]
    Certificate(String),
    #[error(
        "{what} {address} is already in use; stop the other program (another Tertulia?) or choose \
         another address with {flag}"
    )]
    InUse {
        what: &'static str,
        address: String,
        flag: &'static str,
    },
    #[error("cannot listen on {what} {address}: {error}; choose another address with {flag}")]
    Listen {
        what: &'static str,
        address: String,
        error: io::Error,
        flag: &'static str,
    },
    #[error(
        "cannot serve the web app in {} ({reason}); let web.app name the folder of an unpacked \
         Jitsi Meet web build, or leave it empty",
        path.display()
    )]
    App { path: PathBuf, reason: String },
    #[error("cannot use the room journal {0}, or name another data folder with --data")]
    Journal(#[from] OpenError),
    #[error("cannot start the media workers: {0}")]
    Workers(io::Error),
    #[error(
        "cannot read the TURN secret in {}: {reason}; let turn.secret_file name a file with a \
         line of text, or leave it empty",
        path.display()
    )]
    TurnSecret { path: PathBuf, reason: String },
    #[error("cannot start the TURN server: {0}")]
    Turn(io::Error),
}

impl Server {
    /// Takes all that is needed, or says what is missing and leaves nothing behind. To be called
    /// inside a tokio runtime.
    pub async fn bind(config: Config) -> Result<Server, StartError> {
        let Config {
            hosts,
            data,
            web,
            admin,
            media,
            turn,
            limits,
            journal,
            stream,
            mut conference,
            mut bridge,
        } = config;
        let app = web_app(&web)?;
        let addresses = Addresses::of_this_machine();
        let folder = DataFolder::open(&data)?;
        let key = folder.key("resumption.key")?;
        let certificate = match &web.certificate {
            Some(files) => Certificate::from_files(files)?,
            None => Certificate::self_made(&folder, &addresses)?,
        };
        let secure = listen_all(&web.listen, "HTTPS port", "--listen")?;
        let plain = listen_all(&web.listen_plain, "HTTP port", "--listen-plain")?;
        let admin_listeners = listen_admin(&admin)?;
        let workers = media.workers.unwrap_or_else(default_workers).max(1);
        let has_ipv6 = addresses.has_ipv6();
        let sockets = media::bind(media.port, workers, has_ipv6).map_err(|error| {
            StartError::listening("UDP port", media.port, error, "--media-port")
        })?;

        let mut random = Random::from_seed(clock::seed());
        conference.focus.server_id = random.token(8);
        conference.device_key = folder.key("device.key")?;
        let turn = turn.map(|turn| turn::bind(turn, random.seed()));
        let mut turn = turn.transpose()?;
        conference.ice_server = turn.as_ref().map(|turn| turn.offer(&secure));
        bridge.workers = workers;
        bridge.loopback = addresses.loopback_for_media(sockets.port, has_ipv6);
        let (asker, answers) = Asker::new();
        let found = addresses.clone();
        let address_watch = AddressWatch::new(&media, sockets.port, has_ipv6, found, asker);
        let media_addresses = address_watch.subscribe();
        bridge.addresses.clone_from(&media_addresses.borrow());
        let facts = Facts {
            plain: local_addresses(&plain),
            secure: local_addresses(&secure),
            admin: local_addresses(&admin_listeners),
            media_port: sockets.port,
            network: addresses.network.clone(),
            fingerprint: certificate.fingerprint,
            is_self_made: certificate.is_self_made,
            data: folder.path().to_owned(),
            public_url: web.public_url.as_ref().map(ToString::to_string),
        };
        let journal_limits = tertulia_store::Limits {
            keys_max: journal.keys_max,
            bytes_max: journal.bytes_max,
        };
        let file = folder.file("tertulia.sqlite");
        let kept = Journal::open(&file, journal_limits, clock::now().wall).await?;
        let buffers = media.socket_buffer_bytes;
        let workers = media::start(&Arc::new(bridge), sockets.sockets, buffers, &answers)
            .map_err(StartError::Workers)?;
        let turn_listeners = turn.as_mut().map(BoundTurn::take_listeners);
        let turn = turn.map(|turn| {
            let here = Here {
                media_port: sockets.port,
                addresses: media_addresses.clone(),
                loopback: addresses.loopback.clone(),
            };
            turn.start(here, hosts.main().to_string(), random.seed())
        });
        let turn = turn.transpose().map_err(StartError::Turn)?;

        let names = web.names.iter().chain(&addresses.names).cloned();
        let names = names.chain([hosts.main().to_string()]);
        let authorities = Authorities::new(names, web.public_url.clone(), web.origins.clone());
        let restoration_time = TimeDelta::from_std(limits.restoration).unwrap_or(TimeDelta::zero());
        let (node, all_closed) = Node::new(NodeParts {
            hosts,
            web,
            admin,
            limits,
            stream,
            conference,
            sealer: Sealer::new(key),
            journal: kept,
            journal_linger: journal.linger,
            authorities,
            workers,
            turn,
            monitor: Monitor::new(media.busy_max),
            media_addresses,
            started: clock::now().wall,
            restoration_time,
            seed: random.seed(),
        });
        let tls = TlsAcceptor::from(certificate.tls);
        Ok(Server {
            node,
            plain,
            secure,
            turn: turn_listeners.unwrap_or_default(),
            admin: admin_listeners,
            address_watch,
            tls,
            all_closed,
            facts,
            app,
        })
    }

    /// What was bound and found.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Serves until `stop`, then takes leave of everybody.
    pub async fn run(self, stop: impl Future<Output = Stop>) {
        let pages = http::routes(Arc::clone(&self.node), self.app);
        let mut tidying = Tidying::new(Arc::clone(&self.node));
        // Who comes first may come for a breakout room of before.
        tidying.once().await;
        let tidying = tokio::spawn(tidying.forever());
        info!(media_port = self.facts.media_port, "server ready");
        let mut listening = Vec::new();
        let (turn_tcp, turn_tls) = self.turn;
        let (web, tls) = (Purpose::Web(pages), Some(self.tls));
        for (listeners, tls, purpose) in [
            (self.plain, None, &web),
            (self.secure, tls.clone(), &web),
            (turn_tcp, None, &Purpose::Turn),
            (turn_tls, tls, &Purpose::Turn),
        ] {
            for listener in listeners {
                let (node, tls, purpose) = (Arc::clone(&self.node), tls.clone(), purpose.clone());
                listening.push(tokio::spawn(web::accept(node, listener, tls, purpose)));
            }
        }
        let connections_max = self.node.admin.connections_max;
        for listener in self.admin {
            let accepting = admin::accept(Arc::clone(&self.node), listener, connections_max);
            listening.push(tokio::spawn(accepting));
        }
        listening.push(tokio::spawn(Monitor::watch(Arc::clone(&self.node))));
        listening.push(tokio::spawn(self.address_watch.run(Arc::clone(&self.node))));
        let stop = tokio::select! {
            stop = stop => stop,
            stop = admin::finished(Arc::clone(&self.node)) => stop,
        };
        for accepting in listening {
            accepting.abort();
        }
        stop::say_goodbye(&self.node, stop, self.all_closed).await;
        tidying.abort();
        info!("server stopped");
    }
}

impl StartError {
    /// An address on which we cannot listen.
    pub(crate) fn listening(
        what: &'static str,
        address: impl ToString,
        error: io::Error,
        flag: &'static str,
    ) -> StartError {
        let address = address.to_string();
        if error.kind() == io::ErrorKind::AddrInUse {
            StartError::InUse {
                what,
                address,
                flag,
            }
        } else {
            StartError::Listen {
                what,
                address,
                error,
                flag,
            }
        }
    }
}

impl From<FolderError> for StartError {
    fn from(FolderError { path, error }: FolderError) -> StartError {
        StartError::Data { path, error }
    }
}

impl From<CertificateError> for StartError {
    fn from(error: CertificateError) -> StartError {
        match error {
            CertificateError::Folder(error) => error.into(),
            other => StartError::Certificate(other.to_string()),
        }
    }
}

/// Jitsi's web app, if it takes the place of our client.
fn web_app(web: &WebConfig) -> Result<Option<WebApp>, StartError> {
    let Some(folder) = &web.app else {
        return Ok(None);
    };
    let app = WebApp::open(folder, &web.app_sources, &web.frame_ancestors);
    app.map(Some).map_err(|error| StartError::App {
        path: folder.clone(),
        reason: error.to_string(),
    })
}

/// One less than there are cores.
fn default_workers() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores.saturating_sub(1))
        .unwrap_or(u16::MAX)
        .max(1)
}

pub(crate) fn listen_all(
    addresses: &[SocketAddr],
    what: &'static str,
    flag: &'static str,
) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for &address in addresses {
        match listen(address) {
            Ok(listener) => listeners.push(listener),
            // Where IPv6 is switched off, its loopback address is no loss.
            Err(_) if address.is_ipv6() && address.ip().is_loopback() && !has_ipv6_loopback() => {
                debug!(%address, "no IPv6 here");
            }
            Err(error) => return Err(StartError::listening(what, address, error, flag)),
        }
    }
    Ok(listeners)
}

/// The administration's addresses. The default one may be in use, which is no reason not to hold
/// meetings.
fn listen_admin(admin: &AdminConfig) -> Result<Vec<TcpListener>, StartError> {
    for address in admin.listen.iter().filter(|one| !one.ip().is_loopback()) {
        warn!(
            %address,
            "metrics and control are open to whoever reaches this address: there is no password"
        );
    }
    match listen_all(&admin.listen, "administration's port", ADMIN_KEY) {
        Err(error) if !admin.is_chosen => {
            warn!("no metrics, health and statistics: {error}");
            Ok(Vec::new())
        }
        listeners => listeners,
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let unspecified_v4 = SocketAddr::from(([0, 0, 0, 0], address.port()));
    let (socket, address) = match Socket::new(Domain::for_address(address), Type::STREAM, TCP) {
        Ok(socket) => (socket, address),
        // All interfaces of a machine without IPv6.
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => (
            Socket::new(Domain::IPV4, Type::STREAM, TCP)?,
            unspecified_v4,
        ),
        Err(error) => return Err(error),
    };
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Ports of connections that ended a moment ago; a listening program is noticed all the same.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn has_ipv6_loopback() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

fn local_addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect()
}

const TCP: Option<Protocol> = Some(Protocol::TCP);
const BACKLOG: i32 = 1_024;
const ADMIN_KEY: &str = "admin.listen in the configuration";
