use std::collections::BTreeMap;
use std::fmt;

/// Kinds of events that a run must have seen, or it proves little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Join,
    Leave,
    Crash,
    TabClose,
    SocketLoss,
    Resume,
    ServerRestart,
    ServerKill,
    Rejoin,
    SelfMute,
    Kick,
    LayerSwitch,
    Constraints,
    LastN,
    DominantSpeaker,
    Message,
    Blackout,
    PathLost,
    DatagramLoss,
    StreamGap,
    KeyFrameRequest,
    SessionEnded,
    LeaseExpired,
}

impl Mark {
    /// All, in the order in which they are printed.
    pub const ALL: [Mark; 23] = [
        Mark::Join,
        Mark::Leave,
        Mark::Crash,
        Mark::TabClose,
        Mark::SocketLoss,
        Mark::Resume,
        Mark::ServerRestart,
        Mark::ServerKill,
        Mark::Rejoin,
        Mark::SelfMute,
        Mark::Kick,
        Mark::LayerSwitch,
        Mark::Constraints,
        Mark::LastN,
        Mark::DominantSpeaker,
        Mark::Message,
        Mark::Blackout,
        Mark::PathLost,
        Mark::DatagramLoss,
        Mark::StreamGap,
        Mark::KeyFrameRequest,
        Mark::SessionEnded,
        Mark::LeaseExpired,
    ];

    /// What was counted, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Mark::Join => "joins",
            Mark::Leave => "leaves",
            Mark::Crash => "crashes",
            Mark::TabClose => "closed tabs",
            Mark::SocketLoss => "lost sockets",
            Mark::Resume => "resumptions",
            Mark::ServerRestart => "server restarts",
            Mark::ServerKill => "server kills",
            Mark::Rejoin => "joins after a lost session",
            Mark::SelfMute => "mutes and unmutes",
            Mark::Kick => "kicks",
            Mark::LayerSwitch => "layer switches",
            Mark::Constraints => "changed constraints",
            Mark::LastN => "changed last-N",
            Mark::DominantSpeaker => "changes of speaker",
            Mark::Message => "chat messages",
            Mark::Blackout => "media blackouts",
            Mark::PathLost => "restarts of a dead path",
            Mark::DatagramLoss => "lost datagrams",
            Mark::StreamGap => "packets lost for good",
            Mark::KeyFrameRequest => "key-frame requests",
            Mark::SessionEnded => "media sessions ended by the focus",
            Mark::LeaseExpired => "expired leases",
        }
    }
}

/// How often each kind of event occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<Mark, u64>);

impl Coverage {
    /// One more.
    pub fn count(&mut self, mark: Mark) {
        self.add(mark, 1);
    }

    /// So many more.
    pub fn add(&mut self, mark: Mark, count: u64) {
        *self.0.entry(mark).or_default() += count;
    }

    /// How often it occurred.
    pub fn of(&self, mark: Mark) -> u64 {
        self.0.get(&mark).copied().unwrap_or(0)
    }

    /// Adds what another run has seen.
    pub fn merge(&mut self, other: &Coverage) {
        for (mark, count) in &other.0 {
            self.add(*mark, *count);
        }
    }

    /// What never occurred.
    pub fn missing(&self) -> Vec<Mark> {
        Mark::ALL
            .into_iter()
            .filter(|mark| self.of(*mark) == 0)
            .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Mark::ALL
            .iter()
            .map(|mark| format!("{} {}", self.of(*mark), mark.as_str()));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let mut coverage = Coverage::default();
        for mark in Mark::ALL {
            coverage.count(mark);
        }
        assert_eq!(coverage.missing(), []);
        let mut other = Coverage::default();
        other.add(Mark::Join, 4);
        assert_eq!(other.missing().len(), Mark::ALL.len() - 1);
        coverage.merge(&other);
        assert_eq!(coverage.of(Mark::Join), 5);
        assert!(coverage.to_string().starts_with("5 joins, 1 leaves"));
    }
}
