//! The `tertulia` command: reads its arguments, wires the parts, and says with its exit code how
//! it went: 0 done, 1 failed, 2 wrong usage or configuration.

mod greeting;
mod load;
mod logging;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// One program that hosts video meetings.
#[derive(Parser)]
#[command(name = "tertulia", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server; needs no configuration.
    Serve(serve::ServeArguments),
    /// Loads a server with headless participants, and says how it fares.
    Load(Box<load::Load>),
}

/// Why the command ends without success.
enum Failure {
    /// Wrong usage or configuration.
    Usage(String),
    /// Anything else.
    Failed(anyhow::Error),
}

fn main() -> ExitCode {
    // Mistakes in the arguments end here, with 2.
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Some(Command::Serve(arguments)) => serve::run(arguments),
        Some(Command::Load(arguments)) => load::run(*arguments),
        None => Arguments::command()
            .print_help()
            .map_err(|error| Failure::Failed(error.into())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(reasons)) => {
            for reason in reasons.lines() {
                eprintln!("tertulia: {reason}");
            }
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            eprintln!("tertulia: {error:#}");
            ExitCode::FAILURE
        }
    }
}
