//! The statements of a script.

use std::time::Duration;

pub(super) struct Step {
    pub(super) line: usize,
    pub(super) statement: Statement,
}

pub(super) enum Statement {
    Of(String, Action),
    Pass(Duration),
    Crash,
    Restart,
    End,
    NothingIsLeft,
}

pub(super) enum Action {
    Connect,
    LogIn,
    Request(String),
    Join {
        room: String,
        nick: Option<String>,
        wait: bool,
    },
    Leave(String),
    Send {
        times: u32,
        frame: String,
    },
    Get {
        within: Option<Duration>,
        patterns: Vec<String>,
    },
    GetNothing {
        kind: Option<Kind>,
        time: Duration,
    },
    Forget,
    IsClosed(u16),
    Close(Option<u16>),
    Resume {
        in_vain: bool,
    },
    SayGoodbye,
    StopReading,
    ExpectRewriting,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Presence,
    Iq,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        }
    }
}

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let problem = |text: &str| Err(format!("line {line_number}: {text}: {trimmed}"));
        if line.starts_with(' ') {
            match steps.last_mut().map(|step| &mut step.statement) {
                Some(Statement::Of(_, Action::Send { frame, .. })) => frame.push_str(trimmed),
                Some(Statement::Of(_, Action::Get { patterns, .. })) => {
                    expected(patterns, line, trimmed);
                }
                _ => return problem("nothing above takes a frame"),
            }
            continue;
        }
        match statement(trimmed) {
            Some(statement) => steps.push(Step {
                line: line_number,
                statement,
            }),
            None => return problem("not understood"),
        }
    }
    for step in &mut steps {
        if let Statement::Of(_, Action::Send { frame, .. }) = &mut step.statement {
            *frame = with_namespace(frame);
        }
    }
    Ok(steps)
}

/// Frames begin at four spaces; what is further in belongs to the one above.
fn expected(patterns: &mut Vec<String>, line: &str, trimmed: &str) {
    let is_continued = line.starts_with("     ") || trimmed.starts_with("</");
    match patterns.last_mut().filter(|_| is_continued) {
        Some(pattern) => {
            pattern.push(' ');
            pattern.push_str(trimmed);
        }
        None => patterns.push(trimmed.to_owned()),
    }
}

/// Adds the namespace that scripts may leave out.
fn with_namespace(frame: &str) -> String {
    for name in ["message", "presence", "iq"] {
        let rest = frame
            .strip_prefix('<')
            .and_then(|rest| rest.strip_prefix(name));
        if let Some(rest) = rest.filter(|rest| rest.starts_with([' ', '/', '>'])) {
            let tag = rest.split_once('>').map_or(rest, |(tag, _)| tag);
            if !tag.contains("xmlns=") {
                return format!("<{name} xmlns='jabber:client'{rest}");
            }
        }
    }
    frame.to_owned()
}

fn statement(line: &str) -> Option<Statement> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["the", "server", "crashes"] => return Some(Statement::Crash),
        ["the", "server", "restarts"] => return Some(Statement::Restart),
        ["the", "server", "ends", "the", "meetings"] => return Some(Statement::End),
        ["nothing", "is", "left"] => return Some(Statement::NothingIsLeft),
        [time, "pass" | "passes"] => return Some(Statement::Pass(duration(time)?)),
        _ => {}
    }
    let (name, words) = words.split_first()?;
    let action = match words {
        ["connects"] => Action::Connect,
        ["logs", "in"] => Action::LogIn,
        ["requests", room] => Action::Request((*room).to_owned()),
        ["joins", room] => join(room, None, false),
        ["joins", room, "as", nick] => join(room, Some(nick), false),
        ["has", "joined", room] => join(room, None, true),
        ["has", "joined", room, "as", nick] => join(room, Some(nick), true),
        ["leaves", room] => Action::Leave((*room).to_owned()),
        ["sends"] => Action::Send {
            times: 1,
            frame: String::new(),
        },
        ["sends", times, "times"] => Action::Send {
            times: times.parse().ok()?,
            frame: String::new(),
        },
        ["gets"] => Action::Get {
            within: None,
            patterns: Vec::new(),
        },
        ["gets", "within", time] => Action::Get {
            within: Some(duration(time)?),
            patterns: Vec::new(),
        },
        ["gets", "nothing", "for", time] => Action::GetNothing {
            kind: None,
            time: duration(time)?,
        },
        ["gets", "no", kind, "for", time] => {
            let kind = match *kind {
                "message" => Kind::Message,
                "presence" => Kind::Presence,
                "iq" => Kind::Iq,
                _ => return None,
            };
            Action::GetNothing {
                kind: Some(kind),
                time: duration(time)?,
            }
        }
        ["forgets", "what", "came"] => Action::Forget,
        ["is", "closed", "with", code] => Action::IsClosed(code.parse().ok()?),
        ["loses", "the", "socket"] => Action::Close(None),
        ["closes", "the", "socket", "with", code] => Action::Close(Some(code.parse().ok()?)),
        ["resumes"] => Action::Resume { in_vain: false },
        ["resumes", "in", "vain"] => Action::Resume { in_vain: true },
        ["says", "goodbye"] => Action::SayGoodbye,
        ["stops", "reading"] => Action::StopReading,
        ["expects", "rewriting"] => Action::ExpectRewriting,
        _ => return None,
    };
    Some(Statement::Of((*name).to_owned(), action))
}

fn join(room: &str, nick: Option<&str>, wait: bool) -> Action {
    Action::Join {
        room: room.to_owned(),
        nick: nick.map(str::to_owned),
        wait,
    }
}

/// `1s`, `300ms`.
fn duration(text: &str) -> Option<Duration> {
    if let Some(milliseconds) = text.strip_suffix("ms") {
        return Some(Duration::from_millis(milliseconds.parse().ok()?));
    }
    Some(Duration::from_secs(text.strip_suffix('s')?.parse().ok()?))
}
