//! The thread of one media worker: its socket, its commands, the ring, its timer, and nothing that
//! waits for anybody else.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{io, thread};

use tertulia_bridge::{Batch, Config, DatagramRoute, Output, Transmit, Worker};
use tertulia_model::{BridgeCommand, BridgeEvent, ChannelId, ConferenceId, Now};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, error};

use super::sleep::{Ready, Sleep};
use super::socket::MediaSocket;
use super::{ChannelMail, OpenChannel, WorkerCommand, WorkerHandle, WorkerReading};
use crate::addresses::Answers;
use crate::clock;
use crate::conference_task::{ConferenceControl, ConferenceHandle};
use crate::pump::{Panicked, guarded};

/// Starts one thread for each socket.
pub(crate) fn start(
    config: &Arc<Config>,
    sockets: Vec<UdpSocket>,
    buffer_bytes: usize,
    answers: &Answers,
) -> io::Result<Vec<WorkerHandle>> {
    let (rings, rings_out): (Vec<_>, Vec<_>) = sockets
        .iter()
        .map(|_| mpsc::channel(RING_DATAGRAMS))
        .unzip();
    let mut handles = Vec::new();
    for (index, (socket, ring)) in (0..).zip(sockets.into_iter().zip(rings_out)) {
        let (commands, commands_out) = mpsc::channel(COMMANDS);
        let start = clock::now();
        let worker = MediaWorker {
            machine: Worker::new(Arc::clone(config), index, clock::seed(), start),
            config: Arc::clone(config),
            index,
            socket: MediaSocket::new(socket, buffer_bytes)?,
            sleep: Sleep::new(start.mono)?,
            commands: commands_out,
            ring,
            rings: rings.clone(),
            owners: BTreeMap::new(),
            channels: BTreeMap::new(),
            answers: answers.clone(),
            batch: Batch::default(),
            ring_dropped: 0,
            starts: 0,
            gathering: None,
        };
        thread::Builder::new()
            .name(format!("media-{index}"))
            .spawn(move || match guarded(|| worker.run()) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(%error, "the media socket broke"),
                Err(Panicked) => error!("a media thread broke"),
            })?;
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
    sleep: Sleep,
    commands: mpsc::Receiver<WorkerCommand>,
    ring: mpsc::Receiver<Foreign>,
    /// The rings of all workers, by index.
    rings: Vec<mpsc::Sender<Foreign>>,
    /// Whom the conferences on this worker belong to.
    owners: BTreeMap<ConferenceId, Arc<ConferenceHandle>>,
    channels: BTreeMap<ChannelId, mpsc::Sender<ChannelMail>>,
    /// Whom answers of STUN servers are for.
    answers: Answers,
    batch: Batch,
    ring_dropped: u64,
    /// How often the machine broke.
    starts: u64,
    /// Until when what arrives now is left to gather.
    gathering: Option<Instant>,
}

/// What there is to do.
struct Work {
    ready: Ready,
    command: Option<WorkerCommand>,
    foreign: Option<Foreign>,
}

impl MediaWorker {
    /// Until nobody can give commands any more.
    fn run(mut self) -> io::Result<()> {
        while let Some(work) = self.wait()? {
            let turn = guarded(|| {
                let now = clock::now();
                self.turn(now, work);
                self.drain(now);
            });
            if let Err(Panicked) = turn {
                self.start_anew();
            }
            self.socket.send(&mut self.batch);
            let sent = self.socket.take_sent();
            self.machine.note_sent(sent.calls, sent.dropped);
            self.wait_for_more();
        }
        Ok(())
    }

    /// Sleeps until there is something to do; None when nobody can give commands any more.
    fn wait(&mut self) -> io::Result<Option<Work>> {
        let waker = self.sleep.waker();
        let mut context = Context::from_waker(&waker);
        let command = match self.commands.poll_recv(&mut context) {
            Poll::Ready(Some(command)) => Some(command),
            Poll::Ready(None) => return Ok(None),
            Poll::Pending => None,
        };
        let foreign = match self.ring.poll_recv(&mut context) {
            Poll::Ready(foreign) => foreign,
            Poll::Pending => None,
        };
        let timeout = if command.is_some() || foreign.is_some() {
            Some(Duration::ZERO)
        } else {
            self.deadline()
                .map(|due| due.saturating_duration_since(clock::now().mono))
        };
        let wants_room = self.socket.wants_room();
        let ready = self.sleep.wait(&self.socket, wants_room, timeout)?;
        Ok(Some(Work {
            ready,
            command,
            foreign,
        }))
    }

    /// When the machine's timers ring next.
    fn deadline(&self) -> Option<Instant> {
        let due = self.machine.next_timeout()?;
        Some(self.sleep.deadline(due))
    }

    fn turn(&mut self, now: Now, work: Work) {
        let Work {
            ready,
            command,
            foreign,
        } = work;
        if ready.is_writable {
            self.socket.send_backlog();
        }
        if ready.is_readable {
            let is_all = self.receive(now);
            self.finish(now);
            self.gather(now, is_all);
        }
        if let Some(foreign) = foreign {
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
            self.finish(now);
            self.gather(now, left > 0);
        }
        if let Some(command) = command {
            self.carry_out(now, command);
            for _ in 0..COMMANDS_AT_ONCE {
                let Ok(command) = self.commands.try_recv() else {
                    break;
                };
                self.drain(now);
                self.carry_out(now, command);
            }
        }
        if self.deadline().is_some_and(|due| due <= now.mono) {
            self.machine.handle_timeout(now, &mut self.batch);
        }
    }

    /// The first packets of a picture are forwarded at once; those behind them, up to a moment
    /// later, together. Not where more is there already than could be taken in.
    fn gather(&mut self, now: Now, is_all: bool) {
        if self.machine.take_unfinished() && is_all {
            self.gathering = Some(now.mono + self.config.timers.gather);
        }
    }

    /// Nothing else lives on this thread: it sleeps through the arrival of each single packet.
    fn wait_for_more(&mut self) {
        if let Some(until) = self.gathering.take() {
            thread::sleep(until.saturating_duration_since(clock::now().mono));
        }
    }

    /// Takes in what the socket has, up to a bound, so that timers are not late. Whether that was
    /// all.
    fn receive(&mut self, now: Now) -> bool {
        let MediaWorker {
            machine,
            socket,
            rings,
            batch,
            ring_dropped,
            answers,
            ..
        } = self;
        let mut left = DATAGRAMS_AT_ONCE;
        let mut waited = Duration::ZERO;
        while left > 0 {
            let received =
                socket.receive(now, |from, to, data| match machine.route(now, from, data) {
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
                    DatagramRoute::Drop => {
                        answers.take(from, data);
                    }
                });
            match received {
                Ok(received) => {
                    left = left.saturating_sub(received.datagrams);
                    waited = waited.max(received.waited);
                    // One alone is an answer; of a burst more has come meanwhile, and leaves
                    // together with what is here.
                    if received.datagrams <= 1 {
                        break;
                    }
                }
                // Answers of routers to packets of ours; the next call has the next datagram.
                Err(error) => {
                    debug!(%error, "receiving failed");
                    break;
                }
            }
        }
        let is_all = left > 0;
        machine.note_lag(now, waited, is_all);
        is_all
    }

    /// Sends what datagrams have given rise to, but for the last part.
    fn finish(&mut self, now: Now) {
        while self.machine.finish_part(now, &mut self.batch) {
            self.socket.send(&mut self.batch);
        }
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
            WorkerCommand::Read(reply) => {
                let _ = reply.send(WorkerReading {
                    figures: self.machine.figures(now),
                    busy: clock::thread_time(),
                    ring_dropped: self.ring_dropped,
                    starts: self.starts,
                });
            }
            WorkerCommand::List(reply) => {
                let _ = reply.send(self.machine.details(now));
            }
            WorkerCommand::Describe {
                conference,
                endpoint,
                reply,
            } => {
                let _ = reply.send(self.machine.endpoint_detail(now, &conference, &endpoint));
            }
            WorkerCommand::SetAddresses {
                addresses,
                loopback,
            } => {
                // Also for a machine that begins anew.
                let config = Arc::make_mut(&mut self.config);
                config.addresses.clone_from(&addresses);
                config.loopback.clone_from(&loopback);
                self.machine.set_addresses(addresses, loopback);
            }
            WorkerCommand::Send(Transmit {
                source,
                destination,
                contents,
            }) => self.batch.push(source, destination, &contents),
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
        self.starts += 1;
        let config = Arc::clone(&self.config);
        self.machine = Worker::new(config, self.index, clock::seed(), clock::now());
        self.batch.clear();
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
