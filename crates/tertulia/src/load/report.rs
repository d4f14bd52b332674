//! What a run found, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use tertulia_client::media::StreamTotals;

use super::Load;
use super::participant::{Record, Sample, Stage};
use super::process::Usage;

/// What was found while it ran.
#[derive(Debug)]
pub(super) struct Findings {
    /// Those who had time to take part fully.
    pub(super) records: Vec<Record>,
    /// Those who came too late to be blamed.
    pub(super) late: usize,
    /// For how long was measured.
    pub(super) measured: Duration,
    /// Participants there when the measuring began.
    pub(super) present: usize,
    pub(super) server: Option<ServerFindings>,
    /// What this process used meanwhile, and holds at the end.
    pub(super) own: Usage,
    pub(super) own_threads: usize,
}

/// What the server's processes used and held.
#[derive(Clone, Debug)]
pub(super) struct ServerFindings {
    pub(super) names: Vec<String>,
    pub(super) pids: Vec<u32>,
    /// Before anybody came, when measuring began and ended, and when all had left.
    pub(super) before: Usage,
    pub(super) begin: Usage,
    pub(super) end: Usage,
    pub(super) after: Usage,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    rooms: usize,
    participants_per_room: usize,
    video: bool,
    simulcast: bool,
    audio: String,
    speakers: usize,
    view: String,
    network: String,
    churn: bool,
    /// For how long was measured, once all were there.
    seconds: f64,
    joins: Joins,
    video_received: Streams,
    audio_received: Streams,
    /// With retransmissions and padding.
    rtp_packets: u64,
    rtp_bytes: u64,
    sent_packets: u64,
    sent_bytes: u64,
    /// Mistakes in streams that no loss explains.
    flaws: u64,
    /// With churn: streams that began without a key frame for those who had moved or come.
    lost_starts: u64,
    /// Packets of participants that are no load generator's; not measured.
    foreign_packets: u64,
    /// Datagrams that this machine took not.
    unsent: u64,
    connections_resumed: u64,
    connections_rebound: u64,
    server: Option<Server>,
    generator: Generator,
    /// Why participants did not come to see or hear anything, and for how many.
    problems: BTreeMap<String, usize>,
    /// All that went wrong on the way, and how often.
    troubles: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Joins {
    of: usize,
    in_room: usize,
    /// They saw, or without video heard, the others.
    playing: usize,
    /// From the first byte of signalling.
    to_room_ms: Spread,
    /// To the first complete key frame.
    to_picture_ms: Spread,
    to_sound_ms: Spread,
}

#[derive(Debug, Default, Serialize)]
struct Spread {
    count: usize,
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Streams {
    packets: u64,
    /// Received, and given up after retransmissions were waited for.
    expected: u64,
    loss_percent: f64,
    /// Complete and decodable.
    frames: u64,
    key_frames: u64,
    key_frame_requests: u64,
    layer_switches: u64,
    freezes: u64,
    freezes_per_participant_minute: f64,
    frozen_seconds: f64,
    delay_ms: Delay,
}

#[derive(Debug, Serialize)]
struct Delay {
    p50: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Server {
    /// What is measured: each process' name and number.
    processes: Vec<String>,
    pids: Vec<u32>,
    cpu_seconds: f64,
    /// Of one core.
    cpu_percent: f64,
    cpu_us_per_packet: Option<f64>,
    cpu_seconds_per_gbit: Option<f64>,
    memory_before: u64,
    memory_begin: u64,
    memory_end: u64,
    memory_after: u64,
    memory_per_participant: Option<u64>,
    threads: u64,
    files_before: u64,
    files_begin: u64,
    files_end: u64,
    files_after: u64,
}

#[derive(Debug, Serialize)]
struct Generator {
    cpu_seconds: f64,
    threads: usize,
    /// Of the cores that it may use.
    cpu_share: f64,
    /// The generator itself was too busy: the figures say more about it than about the server.
    is_void: bool,
    memory: u64,
}

impl Report {
    pub(super) fn new(url: &str, load: &Load, findings: &Findings) -> Report {
        let mut all = Sample::default();
        let mut troubles = BTreeMap::new();
        let mut problems = BTreeMap::new();
        for record in &findings.records {
            all.merge(&record.window);
            for (trouble, count) in &record.troubles {
                *troubles.entry(trouble.clone()).or_default() += count;
            }
            if let Some(problem) = problem(record) {
                *problems.entry(problem).or_default() += 1;
            }
        }
        let seconds = findings.measured.as_secs_f64();
        let records = || findings.records.iter();
        let count = |stage: Stage| records().filter(|record| record.stage >= stage).count();
        let person_minutes = findings.present as f64 * seconds / 60.0;
        let share = findings.own.cpu.as_secs_f64()
            / (seconds * findings.own_threads as f64).max(f64::MIN_POSITIVE);
        Report {
            url: url.to_owned(),
            rooms: load.rooms,
            participants_per_room: load.participants,
            video: load.video,
            simulcast: load.video && load.has_simulcast(),
            audio: load.audio.name(),
            speakers: load.speakers,
            view: load.view_name(),
            network: load.network.name(),
            churn: load.churn,
            seconds: rounded(seconds, 3),
            joins: Joins {
                of: findings.records.len() + findings.late,
                in_room: count(Stage::Joined),
                playing: count(Stage::Playing),
                to_room_ms: Spread::of(records().filter_map(|record| record.joined_after)),
                to_picture_ms: Spread::of(records().filter_map(|r| r.first_picture_after)),
                to_sound_ms: Spread::of(records().filter_map(|r| r.first_sound_after)),
            },
            video_received: Streams::new(&all.media.video, person_minutes),
            audio_received: Streams::new(&all.media.audio, person_minutes),
            rtp_packets: all.rtp_packets,
            rtp_bytes: all.rtp_bytes,
            sent_packets: all.media.sent_packets,
            sent_bytes: all.media.sent_bytes,
            flaws: all.flaws,
            lost_starts: all.lost_starts,
            foreign_packets: all.foreign,
            unsent: all.unsent,
            connections_resumed: all.resumed,
            connections_rebound: all.rebound,
            server: findings
                .server
                .as_ref()
                .map(|server| Server::new(server, &all, seconds, findings.present)),
            generator: Generator {
                cpu_seconds: rounded(findings.own.cpu.as_secs_f64(), 2),
                threads: findings.own_threads,
                cpu_share: rounded(share, 3),
                is_void: share > VOID_SHARE,
                memory: findings.own.memory,
            },
            problems,
            troubles,
        }
    }

    /// Whether all that were to take part did.
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// What to tell when not: the most frequent reason first.
    pub(super) fn complaint(&self) -> String {
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let lines = problems
            .iter()
            .map(|(problem, count)| format!("{count} of {}: {problem}", self.joins.of));
        lines.collect::<Vec<_>>().join("; ")
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain values are serialisable")
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(out, "  {name:<22} {value}");
        };
        let Joins { of, playing, .. } = self.joins;
        line(
            "participants",
            &format!("{playing} of {of} in {}", super::rooms(self.rooms)),
        );
        line("measured", &format!("{:.1} s", self.seconds));
        line("join to room", &self.joins.to_room_ms.text());
        if self.video {
            line("join to first picture", &self.joins.to_picture_ms.text());
        }
        line("join to first sound", &self.joins.to_sound_ms.text());
        for (name, streams) in [
            ("video", &self.video_received),
            ("audio", &self.audio_received),
        ] {
            if streams.expected == 0 {
                continue;
            }
            let Streams {
                packets,
                expected,
                loss_percent,
                ..
            } = streams;
            let text = format!("{packets} of {expected} packets, {loss_percent:.3} % lost");
            line(name, &text);
            line(&format!("{name} delay"), &streams.delay_ms.text());
        }
        if self.video {
            let video = &self.video_received;
            let text = format!(
                "{} complete, {} key frames, {} asked for, {} layer switches",
                video.frames, video.key_frames, video.key_frame_requests, video.layer_switches
            );
            line("video frames", &text);
            let text = format!(
                "{} ({:.2} per participant and minute), {:.1} s in all",
                video.freezes, video.freezes_per_participant_minute, video.frozen_seconds
            );
            line("freezes", &text);
        }
        let rate = self.rtp_packets as f64 / self.seconds.max(f64::MIN_POSITIVE);
        let bits = self.rtp_bytes as f64 * 8.0 / self.seconds.max(f64::MIN_POSITIVE) / 1e6;
        line(
            "forwarded",
            &format!("{rate:.0} packets/s, {bits:.1} Mbit/s"),
        );
        if let Some(server) = &self.server {
            server.write(&mut line);
        }
        let Generator {
            cpu_share, threads, ..
        } = self.generator;
        let void = if self.generator.is_void {
            "; VOID: above 70 % it measures itself, give it more cores or fewer participants"
        } else {
            ""
        };
        let plural = if threads == 1 { "" } else { "s" };
        let text = format!("{:.0} % of {threads} core{plural}{void}", cpu_share * 100.0);
        line("generator", &text);
        for (name, count) in [
            ("mistakes in streams", self.flaws),
            ("starts of streams lost", self.lost_starts),
            ("packets of others", self.foreign_packets),
            ("not sent", self.unsent),
            ("connections resumed", self.connections_resumed),
            ("connections lost", self.connections_rebound),
        ] {
            if count > 0 {
                line(name, &count.to_string());
            }
        }
        for (trouble, count) in &self.troubles {
            let _ = writeln!(out, "  {count} × {trouble}");
        }
        out
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = Duration>) -> Spread {
        let mut values: Vec<Duration> = values.collect();
        values.sort_unstable();
        let at = |share: f64| {
            let rank = (values.len() as f64 * share).ceil().max(1.0) as usize;
            values.get(rank - 1).copied().map(millis)
        };
        Spread {
            count: values.len(),
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }

    fn text(&self) -> String {
        match (self.p50, self.p99, self.max) {
            (Some(p50), Some(p99), Some(max)) => {
                format!("p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")
            }
            _ => "–".to_owned(),
        }
    }
}

impl Streams {
    fn new(totals: &StreamTotals, person_minutes: f64) -> Streams {
        let expected = totals.packets + totals.lost;
        let delay = |share| totals.delays.quantile(share).map(millis);
        Streams {
            packets: totals.packets,
            expected,
            loss_percent: rounded(totals.lost as f64 * 100.0 / expected.max(1) as f64, 4),
            frames: totals.frames,
            key_frames: totals.key_frames,
            key_frame_requests: totals.requests,
            layer_switches: totals.switches,
            freezes: totals.freezes,
            freezes_per_participant_minute: rounded(
                totals.freezes as f64 / person_minutes.max(f64::MIN_POSITIVE),
                3,
            ),
            frozen_seconds: rounded(totals.frozen.as_secs_f64(), 3),
            delay_ms: Delay {
                p50: delay(0.5),
                p99: delay(0.99),
                p999: delay(0.999),
            },
        }
    }
}

impl Delay {
    fn text(&self) -> String {
        match (self.p50, self.p99, self.p999) {
            (Some(p50), Some(p99), Some(p999)) => {
                format!("p50 {p50:.1} ms, p99 {p99:.1} ms, p99.9 {p999:.1} ms")
            }
            _ => "–".to_owned(),
        }
    }
}

impl Server {
    fn new(server: &ServerFindings, all: &Sample, seconds: f64, present: usize) -> Server {
        let ServerFindings {
            names,
            pids,
            before,
            begin,
            end,
            after,
        } = server;
        let cpu = (*end - *begin).cpu.as_secs_f64();
        let per = |amount: f64| (amount > 0.0).then(|| cpu / amount);
        let added = (*begin - *before).memory;
        Server {
            processes: names.clone(),
            pids: pids.clone(),
            cpu_seconds: rounded(cpu, 2),
            cpu_percent: rounded(cpu * 100.0 / seconds.max(f64::MIN_POSITIVE), 1),
            cpu_us_per_packet: per(all.rtp_packets as f64 / 1e6).map(|cost| rounded(cost, 3)),
            cpu_seconds_per_gbit: per(all.rtp_bytes as f64 * 8.0 / 1e9)
                .map(|cost| rounded(cost, 3)),
            memory_before: before.memory,
            memory_begin: begin.memory,
            memory_end: end.memory,
            memory_after: after.memory,
            // Memory that earlier meetings left free is used again, and then shows nothing.
            memory_per_participant: (added > 0)
                .then(|| added.checked_div(present as u64))
                .flatten(),
            threads: end.threads,
            files_before: before.files,
            files_begin: begin.files,
            files_end: end.files,
            files_after: after.files,
        }
    }

    fn write(&self, line: &mut impl FnMut(&str, &str)) {
        // Behind a proxy the one that listens is not the one that works.
        line("server processes", &self.processes.join(", "));
        let cost = match (self.cpu_us_per_packet, self.cpu_seconds_per_gbit) {
            (Some(packet), Some(gbit)) => {
                format!(", {packet:.2} µs per forwarded packet, {gbit:.2} s per Gbit")
            }
            _ => String::new(),
        };
        let text = format!("{:.1} % of a core{cost}", self.cpu_percent);
        line("server CPU", &text);
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let each = self.memory_per_participant.map(|bytes| bytes / 1024);
        let each = each.map_or(String::new(), |each| {
            format!(", {each} KiB per participant")
        });
        let text = format!(
            "{:.1} MiB before, {:.1} full, {:.1} at the end, {:.1} after{each}",
            mib(self.memory_before),
            mib(self.memory_begin),
            mib(self.memory_end),
            mib(self.memory_after)
        );
        line("server memory", &text);
        let text = format!(
            "{} before, {} full, {} at the end, {} after",
            self.files_before, self.files_begin, self.files_end, self.files_after
        );
        line("server files", &text);
    }
}

/// Why somebody saw or heard nothing; None if that is not so.
fn problem(record: &Record) -> Option<String> {
    let hint = match record.stage {
        Stage::Playing => return None,
        Stage::Connecting => "no connection to the XMPP WebSocket",
        Stage::Asking => {
            "logged in, but the conference does not become ready (new rooms per minute are limited; \
             Tertulia: limits.new_rooms_per_minute) or its room lets nobody in"
        }
        Stage::Joined => "in the room, but not invited to media; is there a bridge?",
        Stage::Invited => {
            "invited, but media does not connect: is the server's UDP port open, and the address \
             that it offers one that can be reached from here?"
        }
        Stage::Connected => "media is connected, but nothing is to be seen or heard",
    };
    Some(match &record.problem {
        Some(problem) => format!("{hint} ({problem})"),
        None => hint.to_owned(),
    })
}

fn millis(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1000.0, 3)
}

fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}

/// Above this share of its cores the generator is no neutral witness.
const VOID_SHARE: f64 = 0.7;

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
    }

    fn load(arguments: &[&str]) -> Load {
        Line::parse_from(["load", "http://x"].iter().chain(arguments)).load
    }

    fn record(stage: Stage, millis: u64, packets: u64, lost: u64) -> Record {
        let mut window = Sample {
            rtp_packets: packets,
            rtp_bytes: packets * 1250,
            ..Sample::default()
        };
        let video = &mut window.media.video;
        (video.packets, video.lost, video.freezes) = (packets, lost, 1);
        for packet in 0..packets {
            video.delays.add(Duration::from_micros(1000 + packet));
        }
        Record {
            stage,
            problem: (stage < Stage::Playing).then(|| "no route".to_owned()),
            joined_after: Some(Duration::from_millis(millis / 2)),
            first_picture_after: (stage == Stage::Playing).then(|| Duration::from_millis(millis)),
            first_sound_after: None,
            window,
            troubles: BTreeMap::from([("no route".to_owned(), 2)]),
        }
    }

    fn usage(cpu: u64, memory: u64) -> Usage {
        Usage {
            cpu: Duration::from_secs(cpu),
            memory: memory << 20,
            threads: 4,
            files: 30,
        }
    }

    fn findings(own_cpu: u64) -> Findings {
        Findings {
            records: vec![
                record(Stage::Playing, 100, 600, 0),
                record(Stage::Playing, 300, 400, 10),
                record(Stage::Invited, 200, 0, 0),
            ],
            late: 1,
            measured: Duration::from_secs(30),
            present: 2,
            server: Some(ServerFindings {
                names: vec!["nginx 7".to_owned(), "java 8".to_owned()],
                pids: vec![7, 8],
                before: usage(1, 10),
                begin: usage(2, 16),
                end: usage(5, 17),
                after: usage(5, 11),
            }),
            own: usage(own_cpu, 50),
            own_threads: 2,
        }
    }

    #[test]
    fn figures_add_up() {
        let report = Report::new("http://x", &load(&["--video"]), &findings(15));
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        let number = |path: &str| {
            json.pointer(path)
                .unwrap_or_else(|| panic!("{path}"))
                .as_f64()
        };
        for (path, expected) in [
            ("/joins/of", 4.0),
            ("/joins/playing", 2.0),
            ("/joins/to_picture_ms/p50", 100.0),
            ("/joins/to_picture_ms/p99", 300.0),
            ("/joins/to_room_ms/count", 3.0),
            ("/video_received/packets", 1000.0),
            ("/video_received/expected", 1010.0),
            ("/video_received/freezes_per_participant_minute", 3.0),
            ("/server/cpu_seconds", 3.0),
            ("/server/cpu_percent", 10.0),
            ("/server/cpu_us_per_packet", 3000.0),
            ("/server/cpu_seconds_per_gbit", 300.0),
            ("/server/memory_per_participant", f64::from(3 << 20)),
            ("/generator/cpu_share", 0.25),
        ] {
            assert_eq!(number(path), Some(expected), "{path}");
        }
        let delay = number("/video_received/delay_ms/p50").unwrap();
        assert!((1.2..1.4).contains(&delay), "{delay}");
        assert_eq!(json["generator"]["is_void"], false);
        assert_eq!(json["troubles"]["no route"], 6);
        assert!(!report.is_good());
        assert!(report.complaint().starts_with("1 of 4: invited, but media"));
    }

    #[test]
    fn a_busy_generator_makes_the_run_void() {
        let report = Report::new("http://x", &load(&["--video"]), &findings(43));
        assert!(report.generator.is_void);
        let table = report.table();
        for part in [
            "VOID",
            "nginx 7, java 8",
            "2 of 4",
            "0.990 % lost",
            "3000.00 µs",
            "3072 KiB per",
            "72 % of 2",
        ] {
            assert!(table.contains(part), "{part} in {table}");
        }
    }

    #[test]
    fn nothing_measured_is_no_panic() {
        let findings = Findings {
            records: Vec::new(),
            late: 0,
            measured: Duration::ZERO,
            present: 0,
            server: None,
            own: Usage::default(),
            own_threads: 1,
        };
        let report = Report::new("http://x", &load(&[]), &findings);
        assert!(report.is_good());
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["joins"]["to_picture_ms"]["p50"], Value::Null);
        assert!(report.table().contains("0 of 0"));
    }
}
