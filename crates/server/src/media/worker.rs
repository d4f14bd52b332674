//! The thread of one media worker: its socket, its commands, the ring, its timer, and nothing that
//! waits for anybody else.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::{io, thread};

use tertulia_bridge::{Batch, Config, DatagramRoute, Output, Worker};
use tertulia_model::{BridgeCommand, BridgeEvent, ChannelId, ConferenceId, Now};
use tokio::io::Ready;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, error};

use super::socket::MediaSocket;
use super::{ChannelMail, OpenChannel, WorkerCommand, WorkerHandle};
use crate::clock;
use crate::conference_task::{ConferenceControl, ConferenceHandle};
use crate::pump::{Panicked, Timer, guarded};

/// Starts one thread for each socket.
pub(crate) fn start(
    config: &Arc<Config>,
    sockets: Vec<UdpSocket>,
    buffer_bytes: usize,
) -> io::Result<Vec<WorkerHandle>> {
    let (rings, rings_out): (Vec<_>, Vec<_>) = sockets
        .iter()
        .map(|_| mpsc::channel(RING_DATAGRAMS))
        .unzip();
    let mut handles = Vec::new();
    for (index, (socket, ring)) in (0..).zip(sockets.into_iter().zip(rings_out)) {
        let (commands, commands_out) = mpsc::channel(COMMANDS);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let socket = {
            let _inside = runtime.enter();
            MediaSocket::new(socket, buffer_bytes)?
        };
        let worker = MediaWorker {
            machine: Worker::new(Arc::clone(config), index, clock::seed(), clock::now()),
            config: Arc::clone(config),
            index,
            socket,
            commands: commands_out,
            ring,
            rings: rings.clone(),
            owners: BTreeMap::new(),
            channels: BTreeMap::new(),
            batch: Batch::default(),
            ring_dropped: 0,
        };
        thread::Builder::new()
            .name(format!("media-{index}"))
            .spawn(move || runtime.block_on(worker.run()))?;
        handles.push(WorkerHandle::new(commands));
    }
    Ok(handles)
}

/// A datagram that arrived on another worker's socket.
struct Foreign {
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

struct MediaWorker {
    config: Arc<Config>,
    index: u16,
    machine: Worker,
    socket: MediaSocket,
    commands: mpsc::Receiver<WorkerCommand>,
    ring: mpsc::Receiver<Foreign>,
    /// The rings of all workers, by index.
    rings: Vec<mpsc::Sender<Foreign>>,
    /// Whom the conferences on this worker belong to.
    owners: BTreeMap<ConferenceId, Arc<ConferenceHandle>>,
    channels: BTreeMap<ChannelId, mpsc::Sender<ChannelMail>>,
    batch: Batch,
    ring_dropped: u64,
}

enum Woken {
    Socket(Ready),
    Command(WorkerCommand),
    Foreign(Foreign),
    Time,
}

impl MediaWorker {
    async fn run(mut self) {
        let mut timer = Timer::new();
        loop {
            timer.set(self.machine.next_timeout());
            let woken = tokio::select! {
                ready = self.socket.ready() => match ready {
                    Ok(ready) => Woken::Socket(ready),
                    Err(error) => return error!(%error, "the media socket broke"),
                },
                command = self.commands.recv() => match command {
                    Some(command) => Woken::Command(command),
                    None => return,
                },
                // Never closed: this worker has a sender of its own ring.
                Some(foreign) = self.ring.recv() => Woken::Foreign(foreign),
                () = timer.expired() => Woken::Time,
            };
            let turn = guarded(|| {
                let now = clock::now();
                self.turn(now, woken);
                self.drain(now);
            });
            if let Err(Panicked) = turn {
                self.start_anew();
            }
            self.socket.send(&mut self.batch);
        }
    }

    fn turn(&mut self, now: Now, woken: Woken) {
        match woken {
            Woken::Socket(ready) => {
                if ready.is_writable() {
                    self.socket.send_backlog();
                }
                if ready.is_readable() {
                    self.receive(now);
                }
            }
            Woken::Command(command) => {
                self.carry_out(now, command);
                for _ in 0..COMMANDS_AT_ONCE {
                    let Ok(command) = self.commands.try_recv() else {
                        break;
                    };
                    self.drain(now);
                    self.carry_out(now, command);
                }
            }
            Woken::Foreign(foreign) => {
                let mut next = Some(foreign);
                let mut left = DATAGRAMS_AT_ONCE;
                while let Some(Foreign { from, to, data }) = next.take() {
                    self.machine
                        .handle_datagram(now, from, to, &data, &mut self.batch);
                    left -= 1;
                    if left > 0 {
                        next = self.ring.try_recv().ok();
                    }
                }
                self.machine.finish_batch(now, &mut self.batch);
            }
            Woken::Time => self.machine.handle_timeout(now, &mut self.batch),
        }
    }

    /// Takes in what the socket has, up to a bound, so that timers are not late.
    fn receive(&mut self, now: Now) {
        let MediaWorker {
            machine,
            socket,
            rings,
            batch,
            ring_dropped,
            ..
        } = self;
        let mut left = DATAGRAMS_AT_ONCE;
        while left > 0 {
            let received = socket.receive(|from, to, data| match machine.route(now, from, data) {
                DatagramRoute::Here => machine.handle_datagram(now, from, to, data, batch),
                DatagramRoute::Worker(index) => {
                    let foreign = Foreign {
                        from,
                        to,
                        data: data.to_vec(),
                    };
                    let ring = rings.get(usize::from(index));
                    if ring.is_none_or(|ring| ring.try_send(foreign).is_err()) {
                        *ring_dropped += 1;
                    }
                }
                DatagramRoute::Drop => {}
            });
            match received {
                Ok(0) => break,
                Ok(count) => left = left.saturating_sub(count),
                // Answers of routers to packets of ours; the next call has the next datagram.
                Err(error) => {
                    debug!(%error, "receiving failed");
                    break;
                }
            }
        }
        machine.finish_batch(now, batch);
    }

    fn carry_out(&mut self, now: Now, command: WorkerCommand) {
        match command {
            WorkerCommand::Bridge { id, owner, command } => {
                let is_over = matches!(command, BridgeCommand::Close);
                if !is_over {
                    self.owners.insert(id.clone(), owner);
                }
                self.machine
                    .handle_command(now, &id, command, &mut self.batch);
                if is_over {
                    self.drain(now);
                    self.owners.remove(&id);
                }
            }
            WorkerCommand::OpenChannel(OpenChannel {
                conference,
                endpoint,
                password,
                channel,
                mail,
                reply,
            }) => {
                let opened =
                    self.machine
                        .open_channel(now, &conference, &endpoint, &password, channel);
                if opened.is_ok() {
                    self.channels.insert(channel, mail);
                }
                let _ = reply.send(opened);
            }
            WorkerCommand::ChannelText(channel, text) => {
                if self.channels.contains_key(&channel) {
                    self.machine
                        .handle_channel_text(now, channel, &text, &mut self.batch);
                }
            }
            WorkerCommand::ChannelClosed(channel) => {
                if self.channels.remove(&channel).is_some() {
                    self.machine.handle_channel_closed(now, channel);
                }
            }
        }
    }

    fn drain(&mut self, now: Now) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Event { conference, event } => {
                    if let Some(owner) = self.owners.get(&conference) {
                        owner.control(ConferenceControl::Bridge(conference, event));
                    }
                }
                Output::ChannelText { channel, text } => self.say(now, channel, text),
                Output::ChannelClose {
                    channel,
                    code,
                    reason,
                } => {
                    if let Some(mail) = self.channels.remove(&channel) {
                        // Without room for this, the end of the mail closes the socket.
                        let _ = mail.try_send(ChannelMail::Close { code, reason });
                    }
                }
            }
        }
    }

    /// Nobody waits for a client that does not read: its channel is closed, and it dials again.
    fn say(&mut self, now: Now, channel: ChannelId, text: String) {
        let Some(mail) = self.channels.get(&channel) else {
            return;
        };
        match mail.try_send(ChannelMail::Text(text)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.channels.remove(&channel);
                self.machine.handle_channel_closed(now, channel);
            }
        }
    }

    /// The machine panicked: a new one takes over, without any conference. The conferences learn
    /// that theirs failed and invite everyone again.
    fn start_anew(&mut self) {
        error!(
            worker = self.index,
            "media worker broke; its conferences start anew"
        );
        let config = Arc::clone(&self.config);
        self.machine = Worker::new(config, self.index, clock::seed(), clock::now());
        self.batch.transmits.clear();
        self.channels.clear();
        for (id, owner) in std::mem::take(&mut self.owners) {
            owner.control(ConferenceControl::Bridge(id, BridgeEvent::Failed));
        }
    }
}

/// Commands that wait for a worker; more means that it does not keep up.
const COMMANDS: usize = 1_024;
const COMMANDS_AT_ONCE: usize = 64;
/// Datagrams on their way from one worker to another.
const RING_DATAGRAMS: usize = 2_048;
const DATAGRAMS_AT_ONCE: usize = 256;
