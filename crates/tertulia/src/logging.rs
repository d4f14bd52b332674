//! Log lines on standard error, as the configuration wants them.

use std::hash::{BuildHasher, RandomState};

use tertulia_config::{LogFormat, LogSettings};
use tertulia_model::Private;
use tracing_subscriber::EnvFilter;

/// Starts logging; the reason when the filter cannot be read.
pub(crate) fn start(settings: &LogSettings) -> Result<(), String> {
    let quiet: String = FOREIGN
        .iter()
        .map(|name| format!("{name}=error,"))
        .collect();
    let filter = EnvFilter::builder()
        .parse(format!("{quiet}{}", settings.filter))
        .map_err(|error| {
            format!(
                "log.filter: expected levels such as \"info\", found {:?} ({error})",
                settings.filter
            )
        })?;
    // Drawn at each start, so that hashes in a log cannot be compared with those of another.
    Private::configure((!settings.is_private_shown).then(|| RandomState::new().hash_one(0)));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match settings.format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(
            place,
            "panic: {}",
            panic.payload_as_str().unwrap_or("no message")
        );
    }));
    Ok(())
}

/// Libraries whose lines name addresses, URLs or content, or that strangers can make talk. They
/// stay silent unless the filter names them.
const FOREIGN: &[&str] = &[
    "axum",
    "dimpl",
    "hyper",
    "hyper_util",
    "is",
    "quinn_udp",
    "rustls",
    "sctp_proto",
    "str0m",
    "stun_types",
    "tokio_rustls",
    "tokio_tungstenite",
    "tungstenite",
    "turn_types",
];
