//! What all tasks of this process share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tertulia_bridge::LocalAddress;
use tertulia_model::{ChannelId, Host, Hosts, Random, RequestId, RoomJid, SessionId};
use tertulia_stanza::conference_request::ConferenceReply;
use tertulia_store::Journal;
use tertulia_stream::Sealer;
use tokio::sync::{mpsc, watch};

use crate::admin::{Control, Monitor};
use crate::authority::Authorities;
use crate::conference_task::NoConference;
use crate::config::{AdminConfig, Limits, WebConfig};
use crate::limits::{ConnectionLimits, Rates};
use crate::media::WorkerHandle;
use crate::router::Router;
use crate::socket::{BoshSessions, OpenSocket};
use crate::stop::Stop;
use crate::turn::TurnHandle;

/// One running Tertulia process.
pub(crate) struct Node {
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) web: WebConfig,
    pub(crate) admin: AdminConfig,
    pub(crate) limits: Limits,
    pub(crate) stream: Arc<tertulia_stream::Config>,
    pub(crate) conference: Arc<tertulia_conference::Config>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) router: Router,
    pub(crate) bosh: Arc<BoshSessions>,
    pub(crate) journal: Arc<Journal>,
    /// How long it outlasts a meeting.
    pub(crate) journal_linger: Duration,
    pub(crate) authorities: Authorities,
    pub(crate) connections: Arc<ConnectionLimits>,
    pub(crate) new_rooms: Rates,
    /// The STUN and TURN server, if there is one.
    pub(crate) turn: Option<TurnHandle>,
    /// The media workers, by their index.
    pub(crate) workers: Vec<WorkerHandle>,
    /// How they are.
    pub(crate) monitor: Monitor,
    /// What the administration told.
    pub(crate) control: Control,
    /// Where media reaches us, as it is known now.
    pub(crate) media_addresses: watch::Receiver<Vec<LocalAddress>>,
    /// When this process became ready; identities issued before may be restored for a while.
    pub(crate) started: DateTime<Utc>,
    /// For how long.
    pub(crate) restoration_time: TimeDelta,
    /// Bytes that wait for all sessions together.
    pub(crate) waiting_bytes: AtomicUsize,
    pub(crate) stopping: watch::Sender<Option<Stop>>,
    ids: AtomicU64,
    random: Mutex<Random>,
    open_sockets: Mutex<Option<OpenSocket>>,
}

/// What a [`Node`] is made of.
pub(crate) struct NodeParts {
    pub(crate) hosts: Hosts,
    pub(crate) web: WebConfig,
    pub(crate) admin: AdminConfig,
    pub(crate) limits: Limits,
    pub(crate) stream: tertulia_stream::Config,
    pub(crate) conference: tertulia_conference::Config,
    pub(crate) sealer: Sealer,
    pub(crate) journal: Journal,
    pub(crate) journal_linger: Duration,
    pub(crate) authorities: Authorities,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) turn: Option<TurnHandle>,
    pub(crate) monitor: Monitor,
    pub(crate) media_addresses: watch::Receiver<Vec<LocalAddress>>,
    pub(crate) started: DateTime<Utc>,
    pub(crate) restoration_time: TimeDelta,
    pub(crate) seed: [u8; 32],
}

impl Node {
    /// The node, and what ends when its last WebSocket is closed after a stop.
    pub(crate) fn new(parts: NodeParts) -> (Arc<Node>, mpsc::Receiver<()>) {
        let limits = &parts.limits;
        let connections = ConnectionLimits::new(
            limits.unauthenticated_connections,
            limits.unauthenticated_connections_per_address,
            limits.new_connections_per_second,
        );
        let minute = Duration::from_secs(60);
        let new_rooms = Rates::new(limits.new_rooms_per_minute, minute);
        let (open, all_closed) = mpsc::channel(1);
        let node = Node {
            hosts: Arc::new(parts.hosts),
            web: parts.web,
            admin: parts.admin,
            limits: parts.limits,
            stream: Arc::new(parts.stream),
            conference: Arc::new(parts.conference),
            sealer: Arc::new(parts.sealer),
            router: Router::default(),
            bosh: Arc::default(),
            journal: Arc::new(parts.journal),
            journal_linger: parts.journal_linger,
            authorities: parts.authorities,
            connections,
            new_rooms,
            workers: parts.workers,
            turn: parts.turn,
            monitor: parts.monitor,
            control: Control::new(),
            media_addresses: parts.media_addresses,
            started: parts.started,
            restoration_time: parts.restoration_time,
            waiting_bytes: AtomicUsize::new(0),
            stopping: watch::Sender::new(None),
            ids: AtomicU64::new(1),
            random: Mutex::new(Random::from_seed(parts.seed)),
            open_sockets: Mutex::new(Some(open)),
        };
        (Arc::new(node), all_closed)
    }

    pub(crate) fn session_id(&self) -> SessionId {
        SessionId(self.next_id())
    }

    pub(crate) fn channel_id(&self) -> ChannelId {
        ChannelId(self.next_id())
    }

    pub(crate) fn request_id(&self) -> RequestId {
        RequestId(self.next_id())
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// A seed for a machine.
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.with_random(Random::seed)
    }

    /// Draws from this node's randomness.
    pub(crate) fn with_random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a new WebSocket holds; None once the server stops.
    pub(crate) fn open_socket(&self) -> Option<OpenSocket> {
        self.open_sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// From now on no WebSocket opens any more.
    pub(crate) fn refuse_sockets(&self) {
        self.open_sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Whether this address may bring one more room to life.
    pub(crate) fn may_start_room(&self, from: IpAddr) -> bool {
        self.new_rooms.admit(from, crate::clock::now().mono)
    }

    /// Whether a room is a breakout room.
    pub(crate) fn is_breakout(&self, room: &RoomJid) -> bool {
        self.hosts.classify(room.bare().domain()) == Some(Host::Breakout)
    }

    /// The answer to a conference request for which there is no conference. An error would be
    /// final for Jitsi's clients. They ask again for a room that is not ready; in a breakout room
    /// that is gone they are refused when they join, which sends them back to their main room.
    pub(crate) fn without_conference(
        &self,
        room: &RoomJid,
        reason: NoConference,
    ) -> ConferenceReply {
        ConferenceReply {
            room: room.to_string(),
            is_ready: reason == NoConference::Never,
            focus_jid: self.hosts.focus_user().to_string(),
            ..ConferenceReply::default()
        }
    }
}
