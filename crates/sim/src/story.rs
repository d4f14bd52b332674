use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tertulia_client::MediaKind;

/// What people decided about the meeting, as far as a user can know: what was asked of the server,
/// by whom, and when. What became of it, the checkers find out.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// Every password that somebody wanted to set, the newest last.
    pub passwords: Vec<String>,
    /// Somebody wanted a lobby at some time.
    pub had_lobby: bool,
    /// Somebody wanted breakout rooms at some time.
    pub had_breakout_rooms: bool,
    /// Somebody came, or wanted to come, as a visitor.
    pub had_visitors: bool,
    /// When a moderator wanted another password or lobby last.
    pub configured: Option<Instant>,
    /// Whether the main room was locked and for members only when last looked at, if nobody was
    /// changing that.
    pub configuration: Option<(bool, bool)>,
    /// The same when the server died, until it is looked at.
    pub kept: Option<(bool, bool)>,
    /// When a moderator wanted to end the meeting last.
    pub ended: Option<Instant>,
    /// When each person's rights were meddled with last.
    pub rights: BTreeMap<usize, Instant>,
    /// When A/V moderation of a kind was changed last, for all or for somebody.
    pub moderation: BTreeMap<MediaKind, Instant>,
    /// When a moderator muted somebody last.
    pub muted: BTreeMap<(usize, MediaKind), Instant>,
    /// What people wanted who must not: a word by which it would be known again.
    pub forgeries: Vec<Forgery>,
    next_number: u32,
}

/// An attempt of somebody who is no moderator.
#[derive(Clone, Debug)]
pub struct Forgery {
    pub by: usize,
    pub at: Instant,
    pub word: String,
}

impl Story {
    /// A name that was never given before.
    pub fn fresh_name(&mut self, kind: &str) -> String {
        self.next_number += 1;
        format!("{kind} {}", self.next_number)
    }

    /// A moderator wanted another password or lobby: what was seen before is void.
    pub fn configure(&mut self, now: Instant) {
        self.configured = Some(now);
        self.configuration = None;
    }

    /// Whether a moderator wanted to end the meeting a while ago: what was decided then is void.
    pub fn has_ended(&self, now: Instant) -> bool {
        self.ended.is_some_and(|at| now < at + ENDED)
    }

    /// When anybody's rights, or A/V moderation of that kind, changed last.
    pub fn last_change_of(&self, person: usize, kind: MediaKind) -> Option<Instant> {
        let rights = self.rights.get(&person).copied();
        rights.max(self.moderation.get(&kind).copied())
    }
}

/// A meeting that was ended takes so long to be forgotten by all checkers.
const ENDED: Duration = Duration::from_secs(60);
