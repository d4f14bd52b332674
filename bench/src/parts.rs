//! The parts of a run, and the ratios that come of them.

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use tertulia_gauge::median;

use crate::floor::{self, Rhythm};
use crate::janus::Janus;
use crate::report::Report;
use crate::stage::{Stage, Window};
use crate::tertulia::{Line, Tertulia};

/// One run: what was measured so far, for the ratios.
pub(crate) struct Run {
    report: Report,
    ip: IpAddr,
    is_pinned: bool,
    /// Length of a measured stretch.
    window: Duration,
    rounds: usize,
    plain_ns: f64,
    segmented_ns: f64,
    /// The same with the rhythm of the webinar, and of the meeting.
    webinar_ns: [f64; 2],
    meeting_ns: [f64; 2],
    /// Processor time of one 720p stream to one receiver, per second.
    stream_share: Option<f64>,
}

/// What a webinar on one server showed.
struct Webinar {
    full: Window,
    /// At half the packets; not of every server.
    half: Option<Window>,
    memory_per_receiver: f64,
    delay: Option<Window>,
}

impl Run {
    pub(crate) fn new(report: Report, is_quick: bool, is_pinned: bool) -> anyhow::Result<Run> {
        // Janus offers no loopback address: run.sh gives the network namespace another one.
        let ip = std::env::var("TERTULIA_BENCH_ADDRESS");
        let ip = ip.unwrap_or_else(|_| "127.0.0.1".to_owned());
        Ok(Run {
            report,
            ip: ip.parse().context("TERTULIA_BENCH_ADDRESS")?,
            is_pinned,
            window: Duration::from_secs(if is_quick { 5 } else { 10 }),
            rounds: if is_quick { 1 } else { 3 },
            plain_ns: 0.0,
            segmented_ns: 0.0,
            webinar_ns: [0.0; 2],
            meeting_ns: [0.0; 2],
            stream_share: None,
        })
    }

    pub(crate) fn floors(&mut self) {
        self.plain_ns = floor::plain(RECEIVERS, FLOOR_ROUNDS);
        self.segmented_ns = floor::segmented(MEETING, FLOOR_ROUNDS);
        println!(
            "floor: {:.0} ns with sendmmsg, {:.0} ns with runs of eight",
            self.plain_ns, self.segmented_ns
        );
        self.webinar_ns = floor::with_rhythm(RECEIVERS, WEBINAR);
        self.meeting_ns = floor::with_rhythm(MEETING - 1, MEETING_RHYTHM);
        for (name, [plain, segmented]) in [
            ("the webinar", self.webinar_ns),
            ("the meeting", self.meeting_ns),
        ] {
            println!(
                "floor with the rhythm of {name}: {plain:.0} ns with sendmmsg, {segmented:.0} ns \
                 with a run for each picture"
            );
        }
    }

    /// One sends, twenty receive a thousand packets a second.
    pub(crate) fn webinar(&mut self) -> anyhow::Result<()> {
        let is_there = Command::new("janus").arg("--version").output().is_ok();
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        // One after the other and back, so that a drift of the machine is shared.
        for round in 0..self.rounds {
            let mut measure_theirs = || -> anyhow::Result<()> {
                if is_there {
                    theirs.push(self.janus_webinar()?);
                }
                Ok(())
            };
            if round % 2 == 0 {
                measure_theirs()?;
            }
            ours.push(self.own_webinar()?);
            if round % 2 == 1 {
                measure_theirs()?;
            }
        }
        let middle = |all: &[Webinar], value: &dyn Fn(&Webinar) -> f64| {
            median(&mut all.iter().map(value).collect::<Vec<_>>())
        };
        let per_packet = |one: &Webinar| one.full.per_packet_ns();
        let report = &self.report;
        let own = middle(&ours, &per_packet);
        report.row(
            "CPU per forwarded packet, 20 receivers at 1000/s ÷ plain sockets",
            own / self.plain_ns,
            Some(1.0),
        )?;
        let [plain, segmented] = self.webinar_ns;
        report.row(
            "20 receivers at 1000/s ÷ plain sockets with that rhythm",
            own / plain,
            None,
        )?;
        report.row(
            "20 receivers at 1000/s ÷ a run for each picture with that rhythm",
            own / segmented,
            None,
        )?;
        let growth = |one: &Webinar| {
            let half = one
                .half
                .as_ref()
                .map_or(f64::NAN, |half| half.cpu.as_secs_f64());
            one.full.cpu.as_secs_f64() / half
        };
        report.row(
            "CPU of twice the packets ÷ CPU",
            middle(&ours, &growth),
            Some(2.0),
        )?;
        if theirs.is_empty() {
            println!("Janus is not installed: scripts/need.sh bench");
            return Ok(());
        }
        let gbit = |one: &Webinar| one.full.per_gbit();
        report.row(
            "CPU per Gbit ÷ Janus",
            middle(&ours, &gbit) / middle(&theirs, &gbit),
            Some(0.3),
        )?;
        let memory = |one: &Webinar| one.memory_per_receiver;
        report.row(
            "memory of a further receiver ÷ Janus",
            middle(&ours, &memory) / middle(&theirs, &memory),
            Some(0.5),
        )?;
        let delay = |one: &Webinar| {
            let window = one.delay.as_ref().unwrap_or(&one.full);
            window.delay_p99_us
        };
        report.row(
            "p99 delay at half load ÷ Janus",
            middle(&ours, &delay) / middle(&theirs, &delay),
            Some(1.0),
        )?;
        Ok(())
    }

    fn own_webinar(&self) -> anyhow::Result<Webinar> {
        let server = Tertulia::start(self.ip, self.is_pinned)?;
        let mut stage = Stage::default();
        // The first makes the server touch all that it needs for any number.
        server.fill(&mut stage, "webinar", 1, 1, (FPS, PARTS))?;
        stage.warm_up(1, WARM_UP)?;
        let before = server.process.memory()?;
        server.fill(&mut stage, "webinar", 0, OTHERS, (FPS, PARTS))?;
        stage.warm_up(RECEIVERS, WARM_UP)?;
        let full = stage.measure(&server.process, self.window)?;
        full.print("tertulia, 20 receivers at 1000/s");
        let memory_per_receiver = full.memory.saturating_sub(before) as f64 / OTHERS as f64;
        println!(
            "  {:.0} KiB for each further receiver",
            memory_per_receiver / 1024.0
        );
        set_parts(&mut stage, PARTS / 2);
        stage.run(Duration::from_secs(3))?;
        let half = stage.measure(&server.process, self.window)?;
        half.print("tertulia, 20 receivers at 500/s");
        set_parts(&mut stage, HALF_LOAD);
        stage.warm_up(RECEIVERS, WARM_UP)?;
        let delay = stage.measure(&server.process, self.window)?;
        delay.print("tertulia, half load of Janus");
        Ok(Webinar {
            full,
            half: Some(half),
            memory_per_receiver,
            delay: Some(delay),
        })
    }

    fn janus_webinar(&self) -> anyhow::Result<Webinar> {
        let mut server = Janus::start(self.ip, self.is_pinned)?;
        let mut stage = Stage::default();
        server.publish(&mut stage, FPS, PARTS)?;
        server.watch(&mut stage)?;
        stage.warm_up(1, WARM_UP)?;
        let before = server.process.memory()?;
        for _ in 0..OTHERS {
            server.watch(&mut stage)?;
        }
        stage.warm_up(RECEIVERS, WARM_UP)?;
        let full = stage.measure(&server.process, self.window)?;
        full.print("Janus, 20 receivers at 1000/s");
        let memory_per_receiver = full.memory.saturating_sub(before) as f64 / OTHERS as f64;
        println!(
            "  {:.0} KiB for each further receiver",
            memory_per_receiver / 1024.0
        );
        set_parts(&mut stage, HALF_LOAD);
        stage.warm_up(RECEIVERS, WARM_UP)?;
        let delay = stage.measure(&server.process, self.window)?;
        delay.print("Janus, half load");
        Ok(Webinar {
            full,
            half: None,
            memory_per_receiver,
            delay: Some(delay),
        })
    }

    /// Ten send to each other.
    pub(crate) fn meeting(&mut self) -> anyhow::Result<()> {
        let mut costs = Vec::new();
        let mut calls = Vec::new();
        for _ in 0..self.rounds {
            let server = Tertulia::start(self.ip, self.is_pinned)?;
            let mut stage = Stage::default();
            server.fill(&mut stage, "meeting", MEETING, 0, (FPS, MEETING_PARTS))?;
            stage.warm_up(MEETING - 1, WARM_UP)?;
            let (sends, forwarded) = server.sends()?;
            let window = stage.measure(&server.process, self.window)?;
            window.print("tertulia, 10 × 10, 1080/s to each");
            costs.push(window.per_packet_ns());
            let (sends_after, forwarded_after) = server.sends()?;
            calls.push((sends_after - sends) as f64 / (forwarded_after - forwarded) as f64);
        }
        let own = median(&mut costs);
        self.report.row(
            "CPU per forwarded packet, 10 × 10 ÷ runs of eight",
            own / self.segmented_ns,
            Some(4.0),
        )?;
        self.report.row(
            "10 × 10 ÷ a run for each picture with that rhythm",
            own / self.meeting_ns[1],
            None,
        )?;
        let calls = median(&mut calls);
        self.report.row(
            "sendmsg calls per forwarded packet, 10 × 10",
            calls,
            Some(0.25),
        )
    }

    /// From the first byte of signalling to the first complete key frame: alone, and fifty at once.
    pub(crate) fn joins(&mut self) -> anyhow::Result<()> {
        let server = Tertulia::start(self.ip, self.is_pinned)?;
        let mut stage = Stage::default();
        // A small stream: what is measured is the way in.
        server.fill(&mut stage, "join", 1, 1, (FPS, 2))?;
        let mut alone = Vec::new();
        for _ in 0..SINGLES {
            let one = join(&server, 1, &mut stage)?;
            alone.extend(one);
            stage.run(Duration::from_millis(500))?;
        }
        let (own, theirs) = (load_time(), server.process.cpu()?);
        let mut burst = join(&server, BURST, &mut stage)?;
        let theirs = server.process.cpu()?.since(&theirs);
        let own = load_time() - own;
        let worst = burst.iter().copied().fold(0.0, f64::max);
        let (alone, together) = (median(&mut alone), median(&mut burst));
        println!(
            "join to first key frame: alone {:.0} ms, of {BURST} at once the middle one {:.0} ms, \
             the last one {:.0} ms",
            alone * 1e3,
            together * 1e3,
            worst * 1e3
        );
        let each = |time: Duration| time.as_secs_f64() * 1e3 / BURST as f64;
        println!(
            "  processor time of each of {BURST}: server {:.1} ms, load {:.1} ms",
            each(theirs),
            each(own)
        );
        self.report
            .row("join in a burst of 50 ÷ alone", together / alone, Some(2.0))
    }

    /// What somebody costs who neither sends nor is sent anything.
    pub(crate) fn idle(&mut self) -> anyhow::Result<()> {
        let stream = self.stream_share()?;
        let server = Tertulia::start(self.ip, self.is_pinned)?;
        let mut stage = Stage::default();
        stage.run(Duration::from_secs(2))?;
        let empty = stage
            .measure(&server.process, self.window)?
            .cpu
            .as_secs_f64();
        for room in 0..IDLE_ROOMS {
            server.fill(&mut stage, &format!("idle{room}"), 0, IDLE_EACH, (FPS, 1))?;
        }
        // What a new transport does in its first seconds is not idleness.
        stage.run(Duration::from_secs(15))?;
        let full = stage.measure(&server.process, 2 * self.window)?;
        let spent = full.cpu.as_secs_f64() / 2.0 - empty;
        let per_second = spent / self.window.as_secs_f64() / f64::from(IDLE_ROOMS);
        println!(
            "idle: {:.1} µs a second per room of {IDLE_EACH}; one stream {:.0} µs; \
             the server alone {:.0} µs",
            per_second * 1e6,
            stream * 1e6,
            empty / self.window.as_secs_f64() * 1e6
        );
        let per_participant = per_second / IDLE_EACH as f64;
        self.report.row(
            "silent participant ÷ one 720p stream",
            per_participant / stream,
            Some(0.003),
        )
    }

    /// One sends 720p at 2.5 Mbit/s to one receiver.
    fn stream_share(&mut self) -> anyhow::Result<f64> {
        if let Some(share) = self.stream_share {
            return Ok(share);
        }
        let server = Tertulia::start(self.ip, self.is_pinned)?;
        let mut stage = Stage::default();
        server.fill(&mut stage, "stream", 1, 1, (FPS, STREAM_PARTS))?;
        stage.warm_up(1, WARM_UP)?;
        let window = stage.measure(&server.process, self.window)?;
        window.print("tertulia, one 720p stream to one receiver");
        let share = window.cpu.as_secs_f64() / window.wall.as_secs_f64();
        self.stream_share = Some(share);
        Ok(share)
    }
}

/// Seconds that newcomers needed, each with a thread of its own, while the stage goes on.
fn join(server: &Tertulia, count: usize, stage: &mut Stage) -> anyhow::Result<Vec<f64>> {
    let door = server.door();
    let newcomers: Vec<_> = (0..count)
        .map(|_| {
            std::thread::spawn(move || -> anyhow::Result<(f64, Stage)> {
                let start = Instant::now();
                let mut own = Stage::default();
                Line::enter(door, "join")?.take_call(&mut own, None)?;
                own.run_until(
                    |all| {
                        let mut peers = all.iter().map(|one| &one.peer);
                        peers.any(|peer| peer.received.first_key_frame.is_some())
                    },
                    start + Duration::from_secs(30),
                )?;
                let seen = own.participants.first();
                let seen = seen.and_then(|one| one.peer.received.first_key_frame);
                let seen = seen.context("no key frame in 30 s")?;
                Ok(((seen - start).as_secs_f64(), own))
            })
        })
        .collect();
    while !newcomers.iter().all(std::thread::JoinHandle::is_finished) {
        stage.run(Duration::from_millis(5))?;
    }
    let mut times = Vec::new();
    for newcomer in newcomers {
        let joined = newcomer
            .join()
            .map_err(|_| anyhow::anyhow!("a newcomer broke"))?;
        times.push(joined?.0);
    }
    Ok(times)
}

/// Processor time of the load: all threads, the ended ones too.
fn load_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn set_parts(stage: &mut Stage, parts: u16) {
    for participant in &mut stage.participants {
        if let Some(camera) = &mut participant.peer.camera {
            camera.parts = parts;
        }
    }
}

const RECEIVERS: usize = 20;
/// Beside the first.
const OTHERS: usize = RECEIVERS - 1;
const MEETING: usize = 10;
const FPS: u32 = 30;
/// With [`FPS`] a thousand packets a second, a little less.
const PARTS: u16 = 33;
/// Nine others' 120 packets a second make 1 080.
const MEETING_PARTS: u16 = 4;
const WEBINAR: Rhythm = Rhythm {
    parts: PARTS as usize,
    pictures_per_second: FPS,
};
const MEETING_RHYTHM: Rhythm = Rhythm {
    parts: MEETING_PARTS as usize,
    pictures_per_second: FPS * MEETING as u32,
};
/// 2.5 Mbit/s.
const STREAM_PARTS: u16 = 9;
/// So many packets a picture with which Janus takes about half of a core.
const HALF_LOAD: u16 = 66;
const WARM_UP: u32 = 40;
const FLOOR_ROUNDS: usize = 11;
const SINGLES: usize = 9;
const BURST: usize = 50;
const IDLE_ROOMS: u32 = 20;
const IDLE_EACH: usize = 2;
