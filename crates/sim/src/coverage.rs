use std::collections::BTreeMap;
use std::fmt;

/// Kinds of events that a run must have seen, or it proves little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Join,
    Leave,
    Crash,
    TabClose,
    Reload,
    SocketLoss,
    Resume,
    ForcedReload,
    ServerRestart,
    ServerKill,
    Rejoin,
    SelfMute,
    ScreenShare,
    RaisedHand,
    Kick,
    Grant,
    Revoke,
    RightsKept,
    MuteOther,
    MutedByModerator,
    Moderation,
    UnmuteForbidden,
    Approved,
    PasswordSet,
    PasswordAsked,
    LobbyOn,
    LobbyOff,
    Knock,
    Admitted,
    Denied,
    BreakoutAdd,
    BreakoutRemove,
    BreakoutRename,
    BreakoutMove,
    BreakoutReturn,
    Metadata,
    StartsMuted,
    Subject,
    Poll,
    PollAnswer,
    FileShared,
    Visitor,
    PromotionAsked,
    Promoted,
    EndConference,
    MeetingEnded,
    Forgery,
    ForgeryRefused,
    NameTheft,
    Handover,
    Rewritten,
    PathRenewed,
    LayerSwitch,
    Constraints,
    LastN,
    DominantSpeaker,
    Message,
    PrivateMessage,
    Reaction,
    Blackout,
    PathLost,
    DatagramLoss,
    StreamGap,
    KeyFrameRequest,
    SessionEnded,
    LeaseExpired,
}

/// Each mark and what was counted, in the order in which they are printed: the one table.
const MARKS: [(Mark, &str); 66] = [
    (Mark::Join, "joins"),
    (Mark::Leave, "leaves"),
    (Mark::Crash, "crashes"),
    (Mark::TabClose, "closed tabs"),
    (Mark::Reload, "reloaded pages"),
    (Mark::SocketLoss, "lost sockets"),
    (Mark::Resume, "resumptions"),
    (
        Mark::ForcedReload,
        "pages reloaded because a session was lost",
    ),
    (Mark::ServerRestart, "server restarts"),
    (Mark::ServerKill, "server kills"),
    (Mark::Rejoin, "joins after a lost session"),
    (Mark::SelfMute, "mutes and unmutes"),
    (Mark::ScreenShare, "screens shared and hidden"),
    (Mark::RaisedHand, "hands up and down"),
    (Mark::Kick, "kicks"),
    (Mark::Grant, "rights granted"),
    (Mark::Revoke, "rights revoked"),
    (Mark::RightsKept, "rights that survived a crash"),
    (Mark::MuteOther, "mutes of others"),
    (Mark::MutedByModerator, "people muted"),
    (Mark::Moderation, "changes of A/V moderation"),
    (Mark::UnmuteForbidden, "forbidden unmutes"),
    (Mark::Approved, "people allowed to unmute"),
    (Mark::PasswordSet, "passwords set and removed"),
    (Mark::PasswordAsked, "joins refused for a password"),
    (Mark::LobbyOn, "lobbies opened"),
    (Mark::LobbyOff, "lobbies closed"),
    (Mark::Knock, "people in lobbies"),
    (Mark::Admitted, "people admitted"),
    (Mark::Denied, "people turned away"),
    (Mark::BreakoutAdd, "breakout rooms made"),
    (Mark::BreakoutRemove, "breakout rooms removed"),
    (Mark::BreakoutRename, "breakout rooms renamed"),
    (Mark::BreakoutMove, "moves into breakout rooms"),
    (Mark::BreakoutReturn, "returns from breakout rooms"),
    (Mark::Metadata, "changes of metadata"),
    (Mark::StartsMuted, "people who began muted"),
    (Mark::Subject, "subjects"),
    (Mark::Poll, "polls"),
    (Mark::PollAnswer, "answers to polls"),
    (Mark::FileShared, "files shared and taken back"),
    (Mark::Visitor, "visitors"),
    (Mark::PromotionAsked, "visitors who ask"),
    (Mark::Promoted, "visitors promoted"),
    (Mark::EndConference, "meetings ended by moderators"),
    (Mark::MeetingEnded, "people in ended meetings"),
    (Mark::Forgery, "attempts without rights"),
    (Mark::ForgeryRefused, "refused attempts"),
    (Mark::NameTheft, "attempts to take a name"),
    (Mark::Handover, "streams passed on"),
    (Mark::Rewritten, "receivers of rewritten streams"),
    (Mark::PathRenewed, "paths renewed in place"),
    (Mark::LayerSwitch, "layer switches"),
    (Mark::Constraints, "changed constraints"),
    (Mark::LastN, "changed last-N"),
    (Mark::DominantSpeaker, "changes of speaker"),
    (Mark::Message, "chat messages"),
    (Mark::PrivateMessage, "private messages"),
    (Mark::Reaction, "reactions"),
    (Mark::Blackout, "media blackouts"),
    (Mark::PathLost, "restarts of a dead path"),
    (Mark::DatagramLoss, "lost datagrams"),
    (Mark::StreamGap, "packets lost for good"),
    (Mark::KeyFrameRequest, "key-frame requests"),
    (Mark::SessionEnded, "media sessions ended by the focus"),
    (Mark::LeaseExpired, "expired leases"),
];

impl Mark {
    /// All, in the order in which they are printed.
    pub fn all() -> impl Iterator<Item = Mark> {
        MARKS.iter().map(|(mark, _)| *mark)
    }

    /// What was counted, in words.
    pub fn as_str(self) -> &'static str {
        let row = MARKS.iter().find(|(mark, _)| *mark == self);
        row.expect("each mark has its row").1
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
        Mark::all().filter(|mark| self.of(*mark) == 0).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Mark::all().map(|mark| format!("{} {}", self.of(mark), mark.as_str()));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let mut coverage = Coverage::default();
        for mark in Mark::all() {
            coverage.count(mark);
        }
        assert_eq!(coverage.missing(), []);
        let mut other = Coverage::default();
        other.add(Mark::Join, 4);
        assert_eq!(other.missing().len(), MARKS.len() - 1);
        coverage.merge(&other);
        assert_eq!(coverage.of(Mark::Join), 5);
        assert!(coverage.to_string().starts_with("5 joins, 1 leaves"));
    }
}
