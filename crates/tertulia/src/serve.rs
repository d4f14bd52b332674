//! `tertulia serve`: configuration, logging, ports, greeting, signals, in this order.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tertulia_config::{Override, OverrideValue, Sources};
use tertulia_server::{Server, Stop};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Failure, greeting, logging};

/// Flags are shorthands for configuration keys and win over the file and the environment.
#[derive(Args)]
pub(crate) struct ServeArguments {
    /// Configuration file (config.example.toml shows every key); none is looked for
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the certificate and keys [default: ./tertulia-data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// Certificate chain, PEM [default: one of its own making]
    #[arg(long, value_name = "FILE")]
    cert: Option<String>,
    /// Key of the certificate, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// Address for HTTPS; may be repeated [default: [::]:8443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<String>,
    /// Address for plain HTTP; may be repeated [default: 127.0.0.1:8080 and [::1]:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen_plain: Vec<String>,
    /// UDP port for media [default: 10000]
    #[arg(long, value_name = "PORT")]
    media_port: Option<i64>,
    /// XMPP domain; need not resolve [default: localhost]
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
}

impl ServeArguments {
    fn overrides(&self) -> Vec<Override> {
        let text = |value: &Option<String>| value.clone().map(OverrideValue::Text);
        let list =
            |values: &[String]| (!values.is_empty()).then(|| OverrideValue::List(values.to_vec()));
        let flags = [
            ("--data", "data", text(&self.data)),
            ("--cert", "web.certificate", text(&self.cert)),
            ("--key", "web.key", text(&self.key)),
            ("--listen", "web.listen", list(&self.listen)),
            (
                "--listen-plain",
                "web.listen_plain",
                list(&self.listen_plain),
            ),
            (
                "--media-port",
                "bridge.port",
                self.media_port.map(OverrideValue::Number),
            ),
            ("--domain", "domain", text(&self.domain)),
        ];
        flags
            .into_iter()
            .filter_map(|(flag, path, value)| {
                Some(Override {
                    flag,
                    path,
                    value: value?,
                })
            })
            .collect()
    }
}

/// Runs the server until it is told to stop.
pub(crate) fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let sources = Sources {
        overrides: arguments.overrides(),
        file: arguments.config,
        // A variable that is no text cannot be one of ours.
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    };
    let settings =
        tertulia_config::load(&sources).map_err(|mistakes| Failure::Usage(mistakes.to_string()))?;
    logging::start(&settings.log).map_err(Failure::Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Failure::Failed)?;
    let result = runtime.block_on(async {
        // Asked for first: a signal from now on is a stop, not an end without a goodbye.
        let mut terminate = signal(SignalKind::terminate()).context("cannot take signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot take signals")?;
        let server = Server::bind(settings.server).await?;
        let mut out = io::stdout();
        // Nobody reads it, then; the server works all the same.
        let _ = out
            .write_all(greeting::text(server.facts()).as_bytes())
            .and_then(|()| out.flush());
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => Stop::Restart,
                _ = interrupt.recv() => Stop::Shutdown,
            }
        };
        server.run(stop).await;
        Ok(())
    });
    // Tasks that still wait for something must not hold up the end; what is being written leaves.
    runtime.shutdown_timeout(LAST_WRITES);
    result.map_err(Failure::Failed)
}

const LAST_WRITES: Duration = Duration::from_millis(500);
