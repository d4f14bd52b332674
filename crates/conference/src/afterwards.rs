//! What the next people in a room find of the meeting before them.
//!
//! A meeting that was cut off goes on, whoever comes back first: the server crashed, or people
//! were lost with their network. One that everybody has left is over. It goes on for those who
//! come at once, since they may have opened the page again, and for those who had a standing in
//! it. Anybody else begins anew: a former group's password would keep them out, and its polls and
//! what it forbade are not theirs.

use std::time::{Duration, Instant};

use tertulia_model::jid::Jid;
use tertulia_model::{ConferenceId, EndReason, Now, RoomJid, SessionId};
use tertulia_room::Candidate;
use tertulia_stanza::muc::Affiliation;

use crate::feature::lobby::Lobby;
use crate::feature::visitors::Visitors;
use crate::journal::Journal;
use crate::{Conference, Output};

/// Whether the meeting was left, and may be another group's now.
pub(crate) struct Afterwards {
    /// When everybody had left, in milliseconds since 1970, as long as nobody has come since.
    left_ms: Option<i64>,
    /// Until then those may come back whose connection was lost.
    lost_until: Option<Instant>,
}

impl Afterwards {
    /// Before anybody has come. Whom a crash has cut off may be back until `lost_until`.
    pub(crate) fn restored(journal: &Journal, lost_until: Instant) -> Afterwards {
        let left_ms = journal.get(LEFT).and_then(|text| text.parse().ok());
        let was_cut_off = left_ms.is_none() && journal.under("").next().is_some();
        Afterwards {
            left_ms,
            lost_until: was_cut_off.then_some(lost_until),
        }
    }

    /// Somebody is inside.
    pub(crate) fn begin(&mut self, journal: &mut Journal) {
        self.left_ms = None;
        journal.remove(LEFT);
    }

    /// The last one has gone. Where that ends the meeting it is over; otherwise somebody else, who
    /// waits in its lobby or has asked for it, finds a room that nobody is in.
    pub(crate) fn leave(&mut self, now: Now) {
        let is_lost = self.lost_until.is_some_and(|until| until > now.mono);
        self.left_ms = (!is_lost).then(|| now.wall.timestamp_millis());
    }

    /// The meeting is over.
    pub(crate) fn end(&self, journal: &mut Journal) {
        if let Some(left_ms) = self.left_ms {
            journal.set(LEFT, &left_ms.to_string());
        }
    }
}

impl Conference {
    /// A session ends. Who did not say goodbye may come back.
    pub(crate) fn lose(&mut self, now: Now, session: SessionId, reason: EndReason) {
        if reason != EndReason::Closed && self.hall_of(session).is_some() {
            self.afterwards.lost_until = Some(now.mono + self.config.owner_patience);
        }
    }

    /// Somebody comes, maybe as the first one after a meeting that everybody had left.
    pub(crate) fn succeed(&mut self, now: Now, room: &RoomJid, who: &Candidate) {
        let Some(left_ms) = self.afterwards.left_ms else {
            return;
        };
        let passed_ms = now.wall.timestamp_millis().saturating_sub(left_ms);
        // A clock that was set back makes nobody late.
        let passed = Duration::from_millis(u64::try_from(passed_ms).unwrap_or_default());
        let is_late = passed > self.config.initial_timeout;
        let standing = self.standings.of(&who.profile, who.device);
        let is_known = standing.is_some_and(|standing| standing > Affiliation::None)
            // Its address is known to those inside only.
            || *room != self.main;
        if is_late && !is_known {
            tracing::debug!("another group comes after a meeting that everybody has left");
            self.begin_anew(now);
        }
    }

    /// As if the room had never lived.
    fn begin_anew(&mut self, now: Now) {
        self.afterwards.left_ms = None;
        self.journal.remove_all("");
        self.standings.clear();
        self.owners_until = None;
        self.visitors = Visitors::default();
        for room in std::mem::take(&mut self.breakouts).rooms() {
            self.push(Output::Release(room.clone()));
        }
        self.close_lobby(Some(Jid::from(self.main.bare().clone())), None);
        self.lobby = Lobby::default();
        let main = self.main.clone();
        if let Some(mut hall) = self.halls.remove(&main) {
            self.close_media(&mut hall);
        }
        // Who was in the former meeting, and waits now, knows that by its id.
        let id = ConferenceId::new(&self.random.uuid());
        self.open(now, main, id);
    }
}

const LEFT: &str = "left";
