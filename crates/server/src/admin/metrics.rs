//! `/metrics`: everything that is counted, in the text formats of Prometheus and OpenMetrics 1.0.
//!
//! Our own names begin with `tertulia_`; what Jitsi's dashboards show is there a second time under
//! the names of its bridge (`jitsi_jvb_…`, `jitsi-videobridge/…/metrics/VideobridgeMetrics`).

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;

use tertulia_bridge::{ConferenceFigures, METRICS, MetricKind};
use tertulia_model::BridgeLife;
use tertulia_turn as turn;

use super::VERSION;
use super::monitor::{Reading, WorkerState};
use super::stats::Totals;
use crate::node::Node;

/// What the scraper reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' own, 0.0.4.
    Text,
    OpenMetrics,
}

impl Format {
    /// The one that an `Accept` asks for.
    pub(crate) fn accepted(accept: &str) -> Format {
        if accept.contains("application/openmetrics-text") {
            Format::OpenMetrics
        } else {
            Format::Text
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The whole page.
pub(crate) fn page(
    node: &Node,
    reading: &Reading,
    turn: Option<&turn::Statistics>,
    format: Format,
) -> String {
    let mut page = Page {
        out: String::with_capacity(32 * 1024),
        format,
    };
    of_process(&mut page, node, reading);
    of_server(&mut page, node);
    of_workers(&mut page, node, reading);
    of_bridge(&mut page, reading);
    if let Some(turn) = turn {
        of_turn(&mut page, turn);
    }
    as_jitsis(&mut page, node, reading);
    page.end()
}

/// A page that grows.
struct Page {
    out: String,
    format: Format,
}

/// How a family of samples moves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its name ends with `_total`.
    Counter,
    Gauge,
    Histogram,
    /// Always 1; its labels tell.
    Info,
}

impl Page {
    /// The lines before a family's samples. `name` is that of its samples.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let is_open = self.format == Format::OpenMetrics;
        let (family, kind) = match kind {
            Kind::Counter if is_open => (name.strip_suffix("_total").unwrap_or(name), "counter"),
            Kind::Counter => (name, "counter"),
            Kind::Info if is_open => (name.strip_suffix("_info").unwrap_or(name), "info"),
            Kind::Gauge | Kind::Info => (name, "gauge"),
            Kind::Histogram => (name, "histogram"),
        };
        let _ = writeln!(self.out, "# HELP {family} {help}");
        let _ = writeln!(self.out, "# TYPE {family} {kind}");
    }

    /// `labels` as `name="value"`, with commas.
    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        if labels.is_empty() {
            let _ = writeln!(self.out, "{name} {value}");
        } else {
            let _ = writeln!(self.out, "{name}{{{labels}}} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Counter, help);
        self.sample(name, "", value);
    }

    fn flag(&mut self, name: &str, help: &str, value: bool) {
        self.gauge(name, help, u8::from(value));
    }

    /// A distribution over 0, 1, … 20 and more.
    fn histogram(&mut self, name: &str, help: &str, values: impl Iterator<Item = u64> + Clone) {
        self.family(name, Kind::Histogram, help);
        let bucket = format!("{name}_bucket");
        for most in 0..=20 {
            let below = values.clone().filter(|value| *value <= most).count();
            self.sample(&bucket, &format!("le=\"{most}.0\""), below);
        }
        let count = values.clone().count();
        self.sample(&bucket, "le=\"+Inf\"", count);
        self.sample(&format!("{name}_sum"), "", values.sum::<u64>());
        self.sample(&format!("{name}_count"), "", count);
    }

    fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// A text as it may stand in a label.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

/// The names that all programs give to these.
fn of_process(page: &mut Page, node: &Node, reading: &Reading) {
    let process = &reading.process;
    page.counter(
        "process_cpu_seconds_total",
        "Processor time of all threads.",
        process.busy.as_secs_f64(),
    );
    page.gauge(
        "process_resident_memory_bytes",
        "Memory in use.",
        process.resident_bytes,
    );
    page.gauge(
        "process_open_fds",
        "Open files, sockets among them.",
        process.open_files,
    );
    page.gauge("process_threads", "Threads.", process.threads);
    page.gauge(
        "process_start_time_seconds",
        "When the process was ready, in Unix time.",
        node.started.timestamp(),
    );
}

fn of_server(page: &mut Page, node: &Node) {
    page.family("tertulia_build_info", Kind::Info, "Which version runs.");
    page.sample("tertulia_build_info", &format!("version=\"{VERSION}\""), 1);
    page.gauge(
        "tertulia_sessions",
        "XMPP sessions, connected or within their lease.",
        node.router.sessions().len(),
    );
    page.gauge(
        "tertulia_meetings",
        "Meetings that live, with media or without.",
        node.router.conferences().len(),
    );
    page.gauge(
        "tertulia_waiting_bytes",
        "Bytes that wait for all sessions together.",
        node.waiting_bytes.load(Ordering::Relaxed),
    );
    page.gauge(
        "tertulia_tasks",
        "Tasks of the runtime that are alive.",
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
    );
}

fn of_turn(page: &mut Page, turn: &turn::Statistics) {
    page.gauge(
        "tertulia_turn_allocations",
        "TURN allocations that live.",
        turn.allocations,
    );
    let counters = [
        (
            "tertulia_turn_allocations_made_total",
            "TURN allocations so far.",
            turn.allocations_total,
        ),
        (
            "tertulia_turn_stun_answers_total",
            "Answers to STUN Binding requests.",
            turn.bindings,
        ),
    ];
    for (name, help, value) in counters {
        page.counter(name, help, value);
    }
    let relayed = [
        (
            "tertulia_turn_relayed_packets_total",
            "Packets that the TURN server passed on.",
            turn.packets_to_peers,
            turn.packets_to_clients,
        ),
        (
            "tertulia_turn_relayed_bytes_total",
            "Their bytes.",
            turn.bytes_to_peers,
            turn.bytes_to_clients,
        ),
    ];
    for (name, help, to_peers, to_clients) in relayed {
        page.family(name, Kind::Counter, help);
        page.sample(name, "to=\"peers\"", to_peers);
        page.sample(name, "to=\"clients\"", to_clients);
    }
    let name = "tertulia_turn_refused_total";
    page.family(
        name,
        Kind::Counter,
        "What the TURN server did not do, by reason.",
    );
    for (reason, value) in [
        ("unauthorized", turn.unauthorized),
        ("forbidden", turn.forbidden),
        ("quota", turn.over_quota),
        ("rate", turn.over_rate),
        ("malformed", turn.malformed),
        ("unrelated", turn.unrelated),
        ("bitrate", turn.over_bitrate),
    ] {
        page.sample(name, &format!("reason=\"{reason}\""), value);
    }
}

/// Name, kind, meaning and value of what each worker has.
type OfWorker = (&'static str, Kind, &'static str, fn(&WorkerState) -> f64);
/// Name and value of what each conference has.
type OfConference = (&'static str, fn(&ConferenceFigures) -> u64);

fn of_workers(page: &mut Page, node: &Node, reading: &Reading) {
    let status = reading.status(node);
    page.flag(
        "tertulia_bridge_healthy",
        "Whether the bridge can be used; /health says why not.",
        status.fault.is_none(),
    );
    page.flag(
        "tertulia_bridge_draining",
        "Whether new meetings are refused.",
        status.is_draining || status.life != BridgeLife::Running,
    );
    page.gauge(
        "tertulia_bridge_stress",
        "Load of the busiest media worker; from 1 on it is overloaded.",
        status.stress,
    );
    let each: [OfWorker; 4] = [
        (
            "tertulia_worker_up",
            Kind::Gauge,
            "Whether the media worker answers.",
            |worker| f64::from(u8::from(worker.is_up)),
        ),
        (
            "tertulia_worker_busy_ratio",
            Kind::Gauge,
            "Share of a core that the media worker used in the last seconds.",
            |worker| worker.busy_share,
        ),
        (
            "tertulia_worker_cpu_seconds_total",
            Kind::Counter,
            "Processor time of the media worker.",
            |worker| worker.busy.as_secs_f64(),
        ),
        (
            "tertulia_worker_ring_dropped_total",
            Kind::Counter,
            "Datagrams for another media worker that had no room for them.",
            |worker| worker.ring_dropped as f64,
        ),
    ];
    for (name, kind, help, value) in each {
        page.family(name, kind, help);
        for (index, worker) in reading.workers.iter().enumerate() {
            page.sample(name, &format!("worker=\"{index}\""), value(worker));
        }
    }
    page.family(
        "tertulia_worker_restarts_total",
        Kind::Counter,
        "How often the media worker broke and began anew; each is a fault of ours.",
    );
    for (index, worker) in reading.workers.iter().enumerate() {
        let labels = format!("worker=\"{index}\"");
        page.sample("tertulia_worker_restarts_total", &labels, worker.starts);
    }
}

/// What the workers count.
fn of_bridge(page: &mut Page, reading: &Reading) {
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => Kind::Counter,
            MetricKind::Gauge => Kind::Gauge,
        };
        let name = format!("tertulia_{}", metric.name);
        page.family(&name, kind, metric.help);
        for (index, worker) in reading.workers.iter().enumerate() {
            let value = metric.read(&worker.statistics);
            page.sample(&name, &format!("worker=\"{index}\""), value);
        }
    }
}

/// The names of Jitsi's bridge.
fn as_jitsis(page: &mut Page, node: &Node, reading: &Reading) {
    let status = reading.status(node);
    let flags = [
        ("healthy", status.fault.is_none()),
        ("drain_mode", status.is_draining),
        (
            "graceful_shutdown",
            status.life >= BridgeLife::GracefulShutdown,
        ),
        ("shutting_down", status.life == BridgeLife::ShuttingDown),
    ];
    for (name, value) in flags {
        page.flag(&jitsis(name), SEE_OURS, value);
    }
    for (name, value) in jitsis_gauges(reading) {
        page.gauge(&jitsis(name), SEE_OURS, value);
    }
    page.gauge(
        &jitsis("startup_time"),
        SEE_OURS,
        node.started.timestamp_millis(),
    );
    for (name, value) in jitsis_counters(reading) {
        page.counter(&format!("{}_total", jitsis(name)), SEE_OURS, value);
    }
    let conferences = reading.figures.conferences.iter();
    let each: [OfConference; 3] = [
        ("conferences_by_size", |one| one.endpoints),
        ("conferences_by_audio_sender", |one| one.audio_senders),
        ("conferences_by_video_sender", |one| one.video_senders),
    ];
    for (name, value) in each {
        page.histogram(&jitsis(name), SEE_OURS, conferences.clone().map(value));
    }
    if let Some(region) = &node.web.client.region {
        let name = jitsis("region_info");
        page.family(&name, Kind::Info, SEE_OURS);
        page.sample(&name, &format!("region=\"{}\"", escaped(region)), 1);
    }
}

fn jitsis(name: &str) -> String {
    format!("jitsi_jvb_{name}")
}

fn jitsis_gauges(reading: &Reading) -> [(&'static str, f64); 27] {
    let (figures, rates) = (&reading.figures, &reading.rates);
    let totals = Totals::of(reading);
    let count = |value: u64| value as f64;
    [
        ("stress", reading.stress),
        ("conferences", count(figures.statistics.conferences)),
        ("local_endpoints", count(totals.endpoints)),
        ("current_endpoints", count(totals.endpoints)),
        (
            "active_endpoints",
            count(totals.endpoints - totals.inactive_endpoints),
        ),
        ("current_visitors", count(figures.visitors)),
        ("largest_conference", count(totals.largest)),
        ("conferences_inactive", count(totals.inactive)),
        ("endpoints_inactive", count(totals.inactive_endpoints)),
        ("conferences_p2p", count(totals.peer_to_peer)),
        ("endpoints_recvonly", count(figures.receive_only)),
        ("endpoints_sending_audio", count(figures.sending_audio)),
        ("endpoints_sending_video", count(figures.sending_video)),
        ("endpoints_oversending", count(figures.oversending)),
        ("endpoints_with_suspended_sources", count(figures.suspended)),
        (
            "endpoints_with_high_outgoing_loss",
            count(figures.high_outgoing_loss),
        ),
        ("incoming_loss_fraction", figures.incoming_loss.value()),
        ("outgoing_loss_fraction", figures.outgoing_loss.value()),
        ("loss_fraction", totals.loss),
        ("average_rtt", figures.round_trip.value() * 1e3),
        ("incoming_bitrate", rates.bits_in),
        ("outgoing_bitrate", rates.bits_out),
        ("incoming_packet_rate", rates.packets_in),
        ("outgoing_packet_rate", rates.packets_out),
        ("thread_count", count(reading.process.threads)),
        // There are no other bridges.
        ("conferences_with_relay", 0.0),
        ("endpoints_relayed", 0.0),
    ]
}

fn jitsis_counters(reading: &Reading) -> [(&'static str, u64); 24] {
    let counted = &reading.figures.statistics;
    [
        ("conferences_created", counted.conferences_created),
        ("conferences_completed", counted.conferences_completed),
        (
            "conference_seconds",
            counted.conference_milliseconds / 1_000,
        ),
        ("endpoints", counted.endpoints_created),
        ("visitors", counted.visitors_created),
        (
            "endpoints_no_message_transport_after_delay",
            counted.without_channel,
        ),
        ("dominant_speaker_changes", counted.speaker_changes),
        ("endpoints_ice_failed", counted.ice_failed),
        ("endpoints_dtls_failed", counted.dtls_failed),
        ("endpoints_disconnected", counted.endpoints_disconnected),
        ("endpoints_reconnected", counted.endpoints_reconnected),
        ("keyframes_received", counted.keyframes_received),
        ("layering_changes_received", counted.layering_changes),
        ("video_milliseconds_received", counted.video_milliseconds),
        ("bytes_received", counted.bytes_in),
        ("bytes_sent", counted.bytes_out),
        ("packets_received", counted.packets_in),
        ("packets_sent", counted.packets_out),
        (
            "data_channel_messages_received",
            counted.data_channel_messages_in,
        ),
        (
            "data_channel_messages_sent",
            counted.data_channel_messages_out,
        ),
        (
            "colibri_web_socket_messages_received",
            counted.websocket_messages_in,
        ),
        (
            "colibri_web_socket_messages_sent",
            counted.websocket_messages_out,
        ),
        ("ice_failed", counted.ice_failed),
        (
            "ice_succeeded",
            counted.endpoints_connected + counted.dtls_failed,
        ),
    ]
}

const SEE_OURS: &str = "As Jitsi's bridge has it, for its dashboards.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_names_counters_in_its_own_way() {
        let page = |format| {
            let mut page = Page {
                out: String::new(),
                format,
            };
            page.counter("a_total", "What a is.", 3);
            page.gauge("b", "What b is.", 0.5);
            page.histogram("c", "What c is.", [0, 3, 3, 99].into_iter());
            page.end()
        };
        let text = page(Format::Text);
        assert!(
            text.starts_with(
                "# HELP a_total What a is.\n# TYPE a_total counter\na_total 3\n# HELP b"
            )
        );
        assert!(text.contains("\nb 0.5\n"));
        assert!(!text.contains("EOF"));
        let open = page(Format::OpenMetrics);
        assert!(open.starts_with("# HELP a What a is.\n# TYPE a counter\na_total 3\n"));
        assert!(open.ends_with("c_sum 105\nc_count 4\n# EOF\n"));
        for line in [
            "{le=\"0.0\"} 1\n",
            "{le=\"3.0\"} 3\n",
            "{le=\"20.0\"} 3\n",
            "{le=\"+Inf\"} 4\n",
        ] {
            assert!(
                open.contains(&format!("c_bucket{line}")),
                "{line} in {open}"
            );
        }
    }

    #[test]
    fn a_scraper_gets_the_format_that_it_reads() {
        let accepts = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1";
        assert_eq!(Format::accepted(accepts), Format::OpenMetrics);
        assert_eq!(Format::accepted("*/*"), Format::Text);
        assert_eq!(Format::accepted(""), Format::Text);
    }

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
