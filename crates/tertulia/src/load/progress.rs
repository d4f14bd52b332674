//! How far a run is, on standard error: a line that changes on a terminal, plain lines otherwise.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// What there is to say about a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Status {
    /// Participants that are there, and how many there are to be.
    pub(super) playing: usize,
    pub(super) of: usize,
    /// RTP packets per second received by all.
    pub(super) packet_rate: f64,
    /// Bytes of the server's memory, if it is here.
    pub(super) server_memory: Option<u64>,
    /// Share of the measuring that is over; None before it.
    pub(super) done: Option<f64>,
}

/// Writes it.
pub(super) struct Progress {
    is_terminal: bool,
    has_colour: bool,
    started: Instant,
    /// When to show again how things are.
    due: Instant,
    /// A line stands that is to change.
    is_shown: bool,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Progress {
        let is_terminal = io::stderr().is_terminal();
        // no-color.org: any value but an empty one.
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Progress {
            is_terminal,
            has_colour: is_terminal && !is_plain,
            started: now,
            due: now,
            is_shown: false,
        }
    }

    /// Something new begins.
    pub(super) fn say(&mut self, now: Instant, text: &str) {
        self.clear();
        // Nobody reads it, then.
        let _ = writeln!(io::stderr(), "{text}");
        self.due = if self.is_terminal {
            now
        } else {
            now + NEXT_LINE
        };
    }

    /// How things are; shown now and then.
    pub(super) fn update(&mut self, now: Instant, status: &Status) {
        if now < self.due {
            return;
        }
        self.due = now + if self.is_terminal { REDRAW } else { NEXT_LINE };
        let elapsed = now.saturating_duration_since(self.started);
        let line = line(status, elapsed, self.has_colour, self.is_terminal);
        let mut out = io::stderr();
        let _ = match self.is_terminal {
            true => write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()),
            false => writeln!(out, "{line}"),
        };
        self.is_shown = self.is_terminal;
    }

    /// Takes away what would be in the way of other lines.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let mut out = io::stderr();
            let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
    }
}

fn line(status: &Status, elapsed: Duration, has_colour: bool, has_bar: bool) -> String {
    let mut line = String::new();
    let seconds = elapsed.as_secs();
    let _ = write!(line, "{:>2}:{:02}  ", seconds / 60, seconds % 60);
    if has_bar {
        let (done, of) = match status.done {
            Some(done) => (done, 1.0),
            None => (status.playing as f64, status.of as f64),
        };
        let filled = (done / of.max(f64::MIN_POSITIVE) * BAR as f64) as usize;
        let filled = filled.min(BAR);
        let (on, off) = if has_colour {
            ("\x1b[36m", "\x1b[0m")
        } else {
            ("", "")
        };
        let _ = write!(
            line,
            "{on}{}{off}{}  ",
            "█".repeat(filled),
            "░".repeat(BAR - filled)
        );
    }
    let Status { playing, of, .. } = status;
    let _ = write!(line, "{playing} of {of} there");
    if status.packet_rate > 0.0 {
        let _ = write!(line, ", {:.0} packets/s", status.packet_rate);
    }
    if let Some(memory) = status.server_memory {
        let _ = write!(
            line,
            ", server {:.0} MiB",
            memory as f64 / f64::from(1 << 20)
        );
    }
    if let (Some(done), false) = (status.done, has_bar) {
        let _ = write!(line, ", {:.0} % measured", done * 100.0);
    }
    line
}

const REDRAW: Duration = Duration::from_millis(200);
const NEXT_LINE: Duration = Duration::from_secs(10);
const BAR: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_a_terminal() {
        let status = Status {
            playing: 5,
            of: 20,
            packet_rate: 1234.0,
            server_memory: Some(43 << 20),
            done: Some(0.5),
        };
        let elapsed = Duration::from_secs(75);
        assert_eq!(
            line(&status, elapsed, false, false),
            " 1:15  5 of 20 there, 1234 packets/s, server 43 MiB, 50 % measured"
        );
        let bar = line(&status, elapsed, false, true);
        assert_eq!(bar.matches('█').count(), BAR / 2);
        assert!(!bar.contains('\x1b'), "{bar}");
        let colour = line(
            &Status {
                done: None,
                ..status
            },
            elapsed,
            true,
            true,
        );
        assert_eq!(colour.matches('█').count(), BAR / 4);
        assert!(colour.contains("\x1b[36m"));
        let nobody = line(&Status::default(), elapsed, false, true);
        assert!(nobody.contains("0 of 0 there"), "{nobody}");
    }
}
