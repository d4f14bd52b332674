//! Lets participants come, take turns, and go, and measures meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tertulia_model::RoomJid;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Load;
use super::connect::Connector;
use super::discovery::Target;
use super::participant::{Common, Gauge, Invitation, Order, Record, Stage, take_part};
use super::process::{self, Processes, Usage};
use super::progress::{Progress, Status};
use super::report::{Findings, Report, ServerFindings};
use super::schedule;

/// The whole run, from the first question to the server to the last goodbye.
pub(super) async fn conduct(load: Load, threads: usize) -> anyhow::Result<Report> {
    let mut random = fastrand::Rng::new();
    let connector = Connector::new(load.insecure);
    let name = format!("load-{:06x}", random.u32(..1 << 24));
    let target = Target::discover(&load.url, &load.overrides, name, &connector).await?;
    let rooms: Vec<RoomJid> = (0..load.rooms)
        .map(|number| target.room(number, load.rooms))
        .collect::<anyhow::Result<_>>()?;
    // What is wrong here would be wrong for all.
    let room = rooms.first().map_or("", |room| room.name());
    let socket = format!("{}?room={room}", target.websocket);
    drop(connector.websocket(&socket, Some("xmpp")).await?);
    let server = server(&load, &target)?;
    let interrupt = signal(SignalKind::interrupt()).context("cannot take signals")?;

    let mut progress = Progress::new(Instant::now());
    progress.say(Instant::now(), &load.title(&target.url));
    if server.is_none() {
        let text = match target.is_local() {
            true => {
                "the server's process may not be looked at: run as its user, or --server-pid PID"
            }
            false => "the server is on another machine: its CPU and memory are not measured",
        };
        progress.say(Instant::now(), text);
    }
    let url = target.url.clone();
    let common = Arc::new(Common {
        load: load.clone(),
        target,
        connector,
        epoch: Instant::now(),
    });
    let findings = Crew::new(common, rooms, server, (random, progress, interrupt))
        .run(threads)
        .await;
    Ok(Report::new(&url, &load, &findings))
}

fn server(load: &Load, target: &Target) -> anyhow::Result<Option<Processes>> {
    if load.server_pid.is_empty() {
        let port = target.place.port;
        let found = target.is_local().then(|| Processes::listening_on(port));
        return Ok(found.flatten());
    }
    let found = Processes::of(&load.server_pid).map_err(|pid| {
        anyhow::anyhow!("--server-pid {pid}: there is no such process, or it may not be looked at")
    });
    found.map(Some).context("the server's process")
}

/// All participants and what there is to do with them.
struct Crew {
    common: Arc<Common>,
    rooms: Vec<RoomJid>,
    server: Option<Processes>,
    random: fastrand::Rng,
    progress: Progress,
    interrupt: Signal,
    members: BTreeMap<u64, Member>,
    next_member: u64,
    tasks: JoinSet<(u64, Record)>,
    turns: Vec<Turn>,
    /// People leave and come now.
    is_churning: bool,
    churn_due: Instant,
    /// Who comes again, when, and into which room.
    comers: Vec<(Instant, usize)>,
    records: Vec<Record>,
    late: usize,
    /// How many there are to be.
    expected: usize,
    measuring: Option<(Instant, Instant)>,
    rate: Rate,
}

struct Member {
    room: usize,
    came: Instant,
    gauge: Arc<Gauge>,
    orders: mpsc::UnboundedSender<Order>,
    /// Told to go.
    is_leaving: bool,
}

/// Who speaks in a room, and until when.
#[derive(Clone, Copy)]
struct Turn {
    speaker: Option<u64>,
    until: Instant,
}

/// Packets per second, looked at each second.
struct Rate {
    at: Instant,
    packets: u64,
    per_second: f64,
    server_memory: Option<u64>,
}

impl Crew {
    fn new(
        common: Arc<Common>,
        rooms: Vec<RoomJid>,
        server: Option<Processes>,
        (random, progress, interrupt): (fastrand::Rng, Progress, Signal),
    ) -> Crew {
        let now = Instant::now();
        let turn = Turn {
            speaker: None,
            until: now,
        };
        Crew {
            turns: vec![turn; rooms.len()],
            expected: common.load.rooms * common.load.participants,
            common,
            rooms,
            server,
            random,
            progress,
            interrupt,
            members: BTreeMap::new(),
            next_member: 0,
            tasks: JoinSet::new(),
            is_churning: false,
            churn_due: now,
            comers: Vec::new(),
            records: Vec::new(),
            late: 0,
            measuring: None,
            rate: Rate {
                at: now,
                packets: 0,
                per_second: 0.0,
                server_memory: None,
            },
        }
    }

    async fn run(mut self, threads: usize) -> Findings {
        let before = self.usage();
        let mut is_on = self.gather().await;
        let present = self.members.len();
        let begin = self.usage();
        let own = process::own();
        let started = Instant::now();
        self.tell_all(Order::Begin);
        if is_on {
            let duration = self.common.load.duration;
            self.progress.say(started, "all are there; measuring");
            self.measuring = Some((started, started + duration));
            self.is_churning = self.common.load.churn;
            self.churn_due = started;
            is_on = self.pass_until(started + duration).await;
            self.is_churning = false;
            self.measuring = None;
        }
        self.tell_all(Order::End);
        let measured = started.elapsed();
        let (end, own) = (self.usage(), process::own() - own);
        if !is_on {
            self.progress.say(Instant::now(), "interrupted; all leave");
        }
        self.disperse().await;
        let after = self.usage();
        self.progress.clear();
        Findings {
            records: self.records,
            late: self.late,
            measured,
            present,
            server: self.server.map(|server| ServerFindings {
                names: server.names(),
                pids: server.pids().to_vec(),
                before,
                begin,
                end,
                after,
            }),
            own: Usage {
                memory: process::own().memory,
                ..own
            },
            own_threads: threads,
        }
    }

    fn usage(&self) -> Usage {
        let usage = self.server.as_ref().map(Processes::usage);
        usage.unwrap_or_default()
    }

    /// All join. False when the user does not want to go on.
    async fn gather(&mut self) -> bool {
        let load = &self.common.load;
        let joins = schedule::joins(
            load.rooms,
            load.participants,
            load.join_rate,
            load.rooms_per_minute,
        );
        let started = Instant::now();
        for (at, room) in joins {
            if started.elapsed() < at && !self.pass_until(started + at).await {
                return false;
            }
            self.admit(room);
        }
        let patience = Instant::now() + PATIENCE;
        while !self.is_complete() && Instant::now() < patience {
            if !self.pass_until(Instant::now() + TICK).await {
                return false;
            }
        }
        true
    }

    /// Everybody who still takes part sees or hears the others.
    fn is_complete(&self) -> bool {
        let mut members = self.members.values();
        members.all(|member| member.gauge.stage() == Stage::Playing)
    }

    /// All leave.
    async fn disperse(&mut self) {
        self.comers.clear();
        let now = Instant::now();
        let mut late = Vec::new();
        for (id, member) in &mut self.members {
            let is_new = now.saturating_duration_since(member.came) < PATIENCE;
            let order = if self.common.load.churn && is_new && member.gauge.stage() < Stage::Playing
            {
                // Has not had its time.
                late.push(*id);
                Order::Vanish
            } else {
                Order::Leave
            };
            let _ = member.orders.send(order);
            member.is_leaving = true;
        }
        self.late = late.len();
        while let Some(result) = self.tasks.join_next().await {
            match result {
                Ok((id, _)) if late.contains(&id) => {}
                Ok((_, record)) => self.records.push(record),
                Err(error) => panic_of(error),
            }
        }
        self.members.clear();
        // What the server does after the last goodbye is done by then.
        tokio::time::sleep(AFTER).await;
    }

    fn admit(&mut self, room: usize) {
        let Some(name) = self.rooms.get(room) else {
            return;
        };
        let id = self.next_member;
        self.next_member += 1;
        let (orders, received) = mpsc::unbounded_channel();
        let gauge = Arc::new(Gauge::default());
        let invitation = Invitation {
            room: name.clone(),
            place: room,
            seed: self.random.u64(..),
            gauge: Arc::clone(&gauge),
            orders: received,
        };
        let common = Arc::clone(&self.common);
        let task = async move { (id, Box::pin(take_part(common, invitation)).await) };
        self.tasks.spawn(task);
        let member = Member {
            room,
            came: Instant::now(),
            gauge,
            orders,
            is_leaving: false,
        };
        self.members.insert(id, member);
    }

    fn tell_all(&self, order: Order) {
        for member in self.members.values() {
            // Who is gone has no use for it.
            let _ = member.orders.send(order);
        }
    }

    /// Lets time pass; false when the user does not want to go on.
    async fn pass_until(&mut self, end: Instant) -> bool {
        loop {
            let now = Instant::now();
            if now >= end {
                return true;
            }
            let wake = end.min(now + TICK);
            tokio::select! {
                () = tokio::time::sleep_until(wake.into()) => self.tick(Instant::now()),
                _ = self.interrupt.recv() => return false,
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        while let Some(result) = self.tasks.try_join_next() {
            match result {
                Ok((id, record)) => {
                    self.members.remove(&id);
                    self.records.push(record);
                }
                Err(error) => panic_of(error),
            }
        }
        self.take_turns(now);
        if self.is_churning && self.churn_due <= now {
            self.churn(now);
        }
        let (due, later) = std::mem::take(&mut self.comers)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.comers = later;
        let due: Vec<(Instant, usize)> = due;
        for (_, room) in due {
            self.admit(room);
        }
        self.show(now);
    }

    /// One of each room's speakers speaks, for some seconds; then another.
    fn take_turns(&mut self, now: Instant) {
        let speakers = self.common.load.speakers;
        for (room, turn) in self.turns.iter_mut().enumerate() {
            let is_gone = |id: &u64| !self.members.contains_key(id);
            if turn.until > now && !turn.speaker.as_ref().is_some_and(is_gone) || speakers == 0 {
                continue;
            }
            let here = self.members.iter().filter(|(_, member)| {
                member.room == room && member.gauge.stage() >= Stage::Connected
            });
            let pool: Vec<u64> = here.map(|(id, _)| *id).take(speakers).collect();
            let others: Vec<u64> = pool
                .iter()
                .copied()
                .filter(|id| Some(*id) != turn.speaker || pool.len() == 1)
                .collect();
            let next = self.random.choice(&others).copied();
            for (id, is_speaking) in [(turn.speaker, false), (next, true)] {
                if let Some(member) = id.and_then(|id| self.members.get(&id)) {
                    let _ = member.orders.send(Order::Speak(is_speaking));
                }
            }
            *turn = Turn {
                speaker: next,
                until: now + Duration::from_millis(self.random.u64(3_000..8_000)),
            };
        }
    }

    /// Something happens to somebody: to each one every half minute on average.
    fn churn(&mut self, now: Instant) {
        let settled: Vec<u64> = self
            .members
            .iter()
            .filter(|(_, member)| !member.is_leaving && member.gauge.stage() == Stage::Playing)
            .map(|(id, _)| *id)
            .collect();
        let spacing = CHURN_INTERVAL.div_f64(settled.len().max(1) as f64);
        self.churn_due = now + spacing.max(CHURN_SPACING);
        let Some(member) = self
            .random
            .choice(&settled)
            .and_then(|id| self.members.get_mut(id))
        else {
            return;
        };
        let order = match self.random.u8(0..10) {
            0..4 => Order::ChangeNetwork,
            4..8 => Order::Leave,
            _ => Order::Vanish,
        };
        let _ = member.orders.send(order);
        if order != Order::ChangeNetwork {
            member.is_leaving = true;
            let after = Duration::from_millis(self.random.u64(500..10_000));
            self.comers.push((now + after, member.room));
        }
    }

    fn show(&mut self, now: Instant) {
        let members = self.members.values();
        let playing = members.filter(|member| member.gauge.stage() == Stage::Playing);
        let playing = playing.count();
        let elapsed = now.saturating_duration_since(self.rate.at);
        if elapsed >= Duration::from_secs(1) {
            let packets = self.members.values().map(|member| member.gauge.packets());
            let packets: u64 = packets.sum();
            // Who leaves takes its count away.
            let new = packets.saturating_sub(self.rate.packets);
            self.rate = Rate {
                at: now,
                packets,
                per_second: new as f64 / elapsed.as_secs_f64(),
                server_memory: self.server.as_ref().map(Processes::memory_now),
            };
        }
        let share = |(from, to): (Instant, Instant)| {
            now.saturating_duration_since(from).as_secs_f64() / (to - from).as_secs_f64()
        };
        let status = Status {
            playing,
            of: self.expected,
            packet_rate: self.rate.per_second,
            server_memory: self.rate.server_memory,
            done: self.measuring.map(share),
        };
        self.progress.update(now, &status);
    }
}

/// A participant that panics is a mistake of ours; nothing that was measured is to be trusted.
fn panic_of(error: tokio::task::JoinError) {
    if let Ok(panic) = error.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
}

/// How long all may take to see or hear the others after the last has come.
const PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(100);
const AFTER: Duration = Duration::from_millis(500);
/// How often something happens to one participant.
const CHURN_INTERVAL: Duration = Duration::from_secs(30);
const CHURN_SPACING: Duration = Duration::from_millis(100);
