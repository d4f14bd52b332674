//! The media side of the shell: one socket and one thread per worker, and the words between them
//! and the rest of the server.

mod backlog;
mod sleep;
mod socket;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tertulia_bridge::{
    ChannelRefused, ConferenceDetail, EndpointDetail, Figures, LocalAddress, Transmit,
};
use tertulia_model::{BridgeCommand, ChannelId, ConferenceId, EndpointId};
use tokio::sync::{mpsc, oneshot};

use crate::conference_task::ConferenceHandle;

pub(crate) use socket::bind;
pub(crate) use worker::start;

/// To a media worker.
pub(crate) enum WorkerCommand {
    /// For the conference of this id on the bridge; its events go to `owner`.
    Bridge {
        id: ConferenceId,
        owner: Arc<ConferenceHandle>,
        command: BridgeCommand,
    },
    OpenChannel(OpenChannel),
    ChannelText(ChannelId, String),
    ChannelClosed(ChannelId),
    /// How is everything?
    Read(oneshot::Sender<WorkerReading>),
    /// Which conferences are there, and who is in them?
    List(oneshot::Sender<Vec<ConferenceDetail>>),
    /// All that there is to know of an endpoint; None if there is none.
    Describe {
        conference: ConferenceId,
        endpoint: EndpointId,
        reply: oneshot::Sender<Option<EndpointDetail>>,
    },
    /// Endpoints are told of these addresses from now on.
    SetAddresses {
        addresses: Vec<LocalAddress>,
        loopback: Vec<SocketAddr>,
    },
    /// A datagram of ours, to leave by the media port.
    Send(Transmit),
}

/// What a media worker says of itself.
#[derive(Clone, Default)]
pub(crate) struct WorkerReading {
    pub(crate) figures: Figures,
    /// Processor time of its thread so far.
    pub(crate) busy: Duration,
    /// Datagrams that arrived here, for another worker that had no room for them.
    pub(crate) ring_dropped: u64,
    /// How often it broke and began anew.
    pub(crate) starts: u64,
}

/// A client wants to use a WebSocket as its bridge channel.
pub(crate) struct OpenChannel {
    pub(crate) conference: ConferenceId,
    pub(crate) endpoint: EndpointId,
    pub(crate) password: String,
    pub(crate) channel: ChannelId,
    /// What the worker has to say to it.
    pub(crate) mail: mpsc::Sender<ChannelMail>,
    pub(crate) reply: oneshot::Sender<Result<(), ChannelRefused>>,
}

/// From a media worker to a bridge channel's WebSocket.
pub(crate) enum ChannelMail {
    Text(String),
    Close { code: u16, reason: &'static str },
}

/// How to reach a media worker.
#[derive(Clone)]
pub(crate) struct WorkerHandle {
    commands: mpsc::Sender<WorkerCommand>,
    conferences: Arc<AtomicUsize>,
}

impl WorkerHandle {
    pub(crate) fn new(commands: mpsc::Sender<WorkerCommand>) -> WorkerHandle {
        WorkerHandle {
            commands,
            conferences: Arc::default(),
        }
    }

    /// Gives a command; false when the worker does not keep up or is gone.
    pub(crate) fn command(&self, command: WorkerCommand) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// Whether its thread has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.commands.is_closed()
    }

    /// Says something and waits until there is room for it; None when the worker is gone.
    pub(crate) async fn say(&self, command: WorkerCommand) -> Option<()> {
        self.commands.send(command).await.ok()
    }

    /// Says something that must arrive, without waiting.
    pub(crate) fn tell(&self, command: WorkerCommand) {
        if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(command) {
            let commands = self.commands.clone();
            tokio::spawn(async move { commands.send(command).await });
        }
    }

    /// One more conference is on this worker.
    pub(crate) fn conference_started(&self) {
        self.conferences.fetch_add(1, Ordering::Relaxed);
    }

    /// A conference is over; what it had on the worker goes.
    pub(crate) fn conference_ended(&self, id: ConferenceId, owner: Arc<ConferenceHandle>) {
        self.conferences.fetch_sub(1, Ordering::Relaxed);
        self.tell(WorkerCommand::Bridge {
            id,
            owner,
            command: BridgeCommand::Close,
        });
    }
}

/// Index of the worker with the fewest conferences, of those that live.
pub(crate) fn least_loaded(workers: &[WorkerHandle]) -> Option<u16> {
    let load = |worker: &WorkerHandle| worker.conferences.load(Ordering::Relaxed);
    let (index, _) = workers
        .iter()
        .enumerate()
        .filter(|(_, worker)| !worker.is_gone())
        .min_by_key(|(_, worker)| load(worker))?;
    u16::try_from(index).ok()
}
