//! Readings of the bridge: the workers are asked, at most once a second, and what they say is
//! compared with what they said some seconds ago. A worker that does not answer is a fault.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tertulia_bridge::{ConferenceDetail, EndpointDetail, Figures, Statistics};
use tertulia_model::{BridgeFault, BridgeStatus, ConferenceId, EndpointId};
use tokio::sync::{Mutex, oneshot};
use tracing::{info, warn};

use super::process::Process;
use crate::clock;
use crate::media::{WorkerCommand, WorkerHandle, WorkerReading};
use crate::node::Node;

/// Keeps the readings of the last seconds.
pub(crate) struct Monitor {
    /// Share of its core from which on a worker counts as overloaded.
    busy_max: f64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The newest last.
    readings: VecDeque<Arc<Reading>>,
    /// By the workers' indices.
    workers: Vec<KeptWorker>,
}

/// What is kept of one worker, so that its counters never shrink.
#[derive(Default)]
struct KeptWorker {
    /// What its counters had come to when it last began anew.
    lost: Statistics,
    last: Option<WorkerReading>,
}

/// How everything is at one moment.
pub(crate) struct Reading {
    pub(crate) at: Instant,
    pub(crate) wall: DateTime<Utc>,
    /// Of all workers together.
    pub(crate) figures: Figures,
    /// By their index.
    pub(crate) workers: Vec<WorkerState>,
    pub(crate) rates: Rates,
    /// Why the bridge can't be used; None while it can.
    pub(crate) fault: Option<BridgeFault>,
    /// Load of the busiest worker; from 1 on it is overloaded.
    pub(crate) stress: f64,
    pub(crate) process: Process,
}

/// One worker.
#[derive(Clone, Default)]
pub(crate) struct WorkerState {
    pub(crate) statistics: Statistics,
    /// Processor time of its thread so far.
    pub(crate) busy: Duration,
    /// The share of the last seconds in which its thread had a processor.
    pub(crate) busy_share: f64,
    pub(crate) ring_dropped: u64,
    pub(crate) starts: u64,
    pub(crate) is_up: bool,
}

/// What happened in each of the last seconds, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) bits_in: f64,
    pub(crate) bits_out: f64,
    pub(crate) packets_in: f64,
    pub(crate) packets_out: f64,
    /// Of all processors together, 0 to 1.
    pub(crate) process_share: f64,
}

impl Reading {
    /// How the bridge presents itself, with what it was told this very moment.
    pub(crate) fn status(&self, node: &Node) -> BridgeStatus {
        BridgeStatus {
            is_draining: node.control.is_draining(),
            life: node.control.life(),
            fault: self.fault,
            stress: self.stress,
            stress_per_participant: STRESS_PER_PARTICIPANT,
        }
    }
}

impl Monitor {
    pub(crate) fn new(busy_max: f64) -> Monitor {
        Monitor {
            busy_max,
            kept: Mutex::default(),
        }
    }

    /// A reading that is at most a second old.
    pub(crate) async fn read(&self, node: &Node) -> Arc<Reading> {
        // Who asks meanwhile waits for the same reading.
        let mut kept = self.kept.lock().await;
        if let Some(newest) = kept.readings.back()
            && newest.at.elapsed() < FRESH
        {
            return Arc::clone(newest);
        }
        let answers = join_all(node.workers.iter().map(ask)).await;
        let reading = Arc::new(kept.take_in(node, self.busy_max, answers));
        while kept
            .readings
            .front()
            .is_some_and(|oldest| reading.at.saturating_duration_since(oldest.at) > WINDOW)
        {
            kept.readings.pop_front();
        }
        kept.readings.push_back(Arc::clone(&reading));
        reading
    }

    /// Reads now and then for ever, so that there is always something to compare with, and says
    /// when something is wrong.
    pub(crate) async fn watch(node: Arc<Node>) {
        let (mut fault, mut was_overloaded) = (None, false);
        loop {
            let reading = node.monitor.read(&node).await;
            let status = reading.status(&node);
            if status.fault != fault {
                match status.fault {
                    Some(fault) => warn!("the bridge is not healthy: {fault}"),
                    None => info!("the bridge is healthy again"),
                }
                fault = status.fault;
            }
            if status.is_overloaded() != was_overloaded {
                was_overloaded = status.is_overloaded();
                let stress = status.stress;
                if was_overloaded {
                    warn!(
                        stress,
                        "a media worker has more to do than is good for its meetings"
                    );
                } else {
                    info!(stress, "the media workers keep up again");
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Kept {
    fn take_in(
        &mut self,
        node: &Node,
        busy_max: f64,
        answers: Vec<Result<WorkerReading, Silence>>,
    ) -> Reading {
        let now = clock::now();
        self.workers.resize_with(answers.len(), KeptWorker::default);
        let oldest = self.readings.front();
        let passed = oldest.map(|oldest| now.mono.saturating_duration_since(oldest.at));
        let passed = passed.filter(|passed| *passed >= FRESH);
        let mut fault = None;
        let mut figures = Figures::default();
        let mut workers = Vec::new();
        for (index, (kept, answer)) in (0u16..).zip(self.workers.iter_mut().zip(answers)) {
            if let Err(silence) = &answer {
                fault.get_or_insert(match silence {
                    Silence::Late => BridgeFault::WorkerSilent(index),
                    Silence::Gone => BridgeFault::WorkerGone(index),
                });
            }
            let before = oldest.and_then(|oldest| oldest.workers.get(usize::from(index)));
            let (state, own) = kept.take_in(answer.ok(), before, passed);
            figures += own;
            workers.push(state);
        }
        if node.media_addresses.borrow().is_empty() {
            fault.get_or_insert(BridgeFault::NoAddress);
        }
        let process = Process::now();
        let rates = match (oldest, passed) {
            (Some(oldest), Some(passed)) => rates(oldest, &figures, &process, passed),
            _ => Rates::default(),
        };
        let busiest = workers.iter().map(|worker| worker.busy_share);
        let stress = busiest.fold(0.0, f64::max) / busy_max;
        Reading {
            at: now.mono,
            wall: now.wall,
            figures,
            workers,
            rates,
            fault,
            stress,
            process,
        }
    }
}

impl KeptWorker {
    /// Takes in what the worker said, None if it said nothing; gives its state and figures.
    fn take_in(
        &mut self,
        answer: Option<WorkerReading>,
        before: Option<&WorkerState>,
        passed: Option<Duration>,
    ) -> (WorkerState, Figures) {
        let is_up = answer.is_some();
        let (reading, mut figures) = match answer {
            Some(reading) => {
                if let Some(last) = &self.last
                    && last.starts != reading.starts
                {
                    self.lost += last.figures.statistics.counters();
                }
                let figures = reading.figures.clone();
                self.last = Some(reading.clone());
                (reading, figures)
            }
            None => {
                // What it counted still counts.
                let reading = self.last.clone().unwrap_or_default();
                let figures = Figures {
                    statistics: reading.figures.statistics.counters(),
                    ..Figures::default()
                };
                (reading, figures)
            }
        };
        figures.statistics += self.lost;
        let state = WorkerState {
            statistics: figures.statistics,
            busy: reading.busy,
            busy_share: if is_up {
                share(before.map(|one| one.busy), reading.busy, passed)
            } else {
                // Whoever does not answer has too much to do.
                1.0
            },
            ring_dropped: reading.ring_dropped,
            starts: reading.starts,
            is_up,
        };
        (state, figures)
    }
}

fn rates(oldest: &Reading, figures: &Figures, process: &Process, passed: Duration) -> Rates {
    let (then, now) = (&oldest.figures.statistics, &figures.statistics);
    let seconds = passed.as_secs_f64();
    let each = |then: u64, now: u64| now.saturating_sub(then) as f64 / seconds;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let busy = share(Some(oldest.process.busy), process.busy, Some(passed));
    Rates {
        bits_in: each(then.bytes_in, now.bytes_in) * 8.0,
        bits_out: each(then.bytes_out, now.bytes_out) * 8.0,
        packets_in: each(then.packets_in, now.packets_in),
        packets_out: each(then.packets_out, now.packets_out),
        process_share: busy / cores as f64,
    }
}

/// Which part of the time that has passed was used.
fn share(then: Option<Duration>, now: Duration, passed: Option<Duration>) -> f64 {
    match (then, passed) {
        (Some(then), Some(passed)) => now.saturating_sub(then).as_secs_f64() / passed.as_secs_f64(),
        _ => 0.0,
    }
}

/// Why a worker gave no reading.
enum Silence {
    /// It did not answer in time, or has no room for another question.
    Late,
    Gone,
}

async fn ask(worker: &WorkerHandle) -> Result<WorkerReading, Silence> {
    let (reply, answer) = oneshot::channel();
    if !worker.command(WorkerCommand::Read(reply)) {
        return Err(if worker.is_gone() {
            Silence::Gone
        } else {
            Silence::Late
        });
    }
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(reading)) => Ok(reading),
        Ok(Err(_)) => Err(Silence::Gone),
        Err(_) => Err(Silence::Late),
    }
}

/// All conferences on the bridge, or one of them. Of a worker that does not answer, nothing.
pub(crate) async fn conferences(node: &Node, only: Option<&ConferenceId>) -> Vec<ConferenceDetail> {
    let lists = node.workers.iter().map(|worker| async {
        let list = question(worker, WorkerCommand::List).await;
        list.unwrap_or_default()
    });
    let all = join_all(lists).await.into_iter().flatten();
    all.filter(|one| only.is_none_or(|only| one.id == *only))
        .collect()
}

/// All that there is to know of an endpoint, if there is one.
pub(crate) async fn endpoint(
    node: &Node,
    conference: &ConferenceId,
    endpoint: &EndpointId,
) -> Option<EndpointDetail> {
    let worker = usize::from(node.router.worker_of(conference)?);
    let describe = |reply| WorkerCommand::Describe {
        conference: conference.clone(),
        endpoint: endpoint.clone(),
        reply,
    };
    question(node.workers.get(worker)?, describe).await?
}

/// The answer of a worker to a question, if it answers.
async fn question<T>(
    worker: &WorkerHandle,
    command: impl FnOnce(oneshot::Sender<T>) -> WorkerCommand,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    if !worker.command(command(reply)) {
        return None;
    }
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.ok()?.ok()
}

/// How old a reading may be.
const FRESH: Duration = Duration::from_secs(1);
/// How far rates look back.
const WINDOW: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(5);
/// A worker that answers later than this makes its meetings stutter.
const PATIENCE: Duration = Duration::from_secs(2);
/// What Jitsi's bridge is configured with, and its focus takes for granted.
pub(super) const STRESS_PER_PARTICIPANT: f64 = 0.01;

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// A worker whose thread is the test.
    fn worker() -> (WorkerHandle, mpsc::Receiver<WorkerCommand>) {
        let (commands, received) = mpsc::channel(1);
        (WorkerHandle::new(commands), received)
    }

    #[tokio::test(start_paused = true)]
    async fn a_heart_that_does_not_beat_is_noticed() {
        let (alive, mut commands) = worker();
        let beat = tokio::spawn(async move {
            let Some(WorkerCommand::Read(reply)) = commands.recv().await else {
                panic!("it is asked");
            };
            assert!(reply.send(reading(0, 5, 1)).is_ok());
        });
        let answer = ask(&alive).await.ok().unwrap();
        assert_eq!(answer.figures.statistics.packets_in, 5);
        beat.await.unwrap();
        assert!(matches!(ask(&alive).await, Err(Silence::Gone)));

        let (hanging, commands) = worker();
        let before = tokio::time::Instant::now();
        assert!(matches!(ask(&hanging).await, Err(Silence::Late)));
        assert_eq!(before.elapsed(), PATIENCE);
        // The question is still there, and there is no room for another one.
        assert!(matches!(ask(&hanging).await, Err(Silence::Late)));
        drop(commands);
        assert!(matches!(ask(&hanging).await, Err(Silence::Gone)));
    }

    fn reading(starts: u64, packets_in: u64, endpoints: u64) -> WorkerReading {
        let mut reading = WorkerReading {
            starts,
            ..WorkerReading::default()
        };
        reading.figures.statistics.packets_in = packets_in;
        reading.figures.statistics.endpoints = endpoints;
        reading
    }

    #[test]
    fn counters_never_shrink_though_a_worker_breaks_or_falls_silent() {
        let mut kept = KeptWorker::default();
        let mut take = |answer| {
            let (state, figures) = kept.take_in(answer, None, None);
            assert_eq!(state.statistics, figures.statistics);
            let counted = figures.statistics;
            (counted.packets_in, counted.endpoints, state.is_up)
        };
        assert_eq!(take(None), (0, 0, false));
        assert_eq!(take(Some(reading(0, 100, 3))), (100, 3, true));
        assert_eq!(take(None), (100, 0, false));
        assert_eq!(take(Some(reading(0, 150, 3))), (150, 3, true));
        assert_eq!(take(Some(reading(1, 7, 1))), (157, 1, true));
        assert_eq!(take(None), (157, 0, false));
        assert_eq!(take(Some(reading(2, 0, 0))), (157, 0, true));
    }

    #[test]
    fn shares_and_rates_are_of_the_time_that_passed() {
        let seconds = Duration::from_secs;
        assert_eq!(share(None, seconds(5), Some(seconds(10))), 0.0);
        assert_eq!(share(Some(seconds(5)), seconds(7), None), 0.0);
        let used = share(Some(seconds(5)), seconds(10), Some(seconds(10)));
        assert!((used - 0.5).abs() < 1e-9);
    }
}
