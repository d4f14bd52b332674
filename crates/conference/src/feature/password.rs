//! The room's password: who does not know it stays outside, and who guesses has to be patient.
//!
//! Speaks: muc#roomconfig_roomsecret (set through the owner's form, see `tertulia_room`).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tertulia_model::{Now, RoomJid};
use tertulia_room::{Candidate, Room};
use tertulia_stanza::{Condition, StanzaError};

use crate::Conference;
use crate::feature::refused;
use crate::standings::Identity;

/// Wrong passwords of the last minute, by who tried them.
#[derive(Default)]
pub(crate) struct WrongPasswords {
    tried: BTreeMap<Identity, VecDeque<Instant>>,
}

impl WrongPasswords {
    /// Counts a password that is none of `right`. Whoever has tried too many has said none: not
    /// even the right one counts until a minute has passed. Others are not affected.
    pub(crate) fn judge(
        &mut self,
        now: Now,
        per_minute: u32,
        right: &[&str],
        who: &mut Candidate,
    ) -> Result<(), TooMany> {
        self.forget(now.mono);
        let Some(password) = who.password.as_deref().filter(|_| !right.is_empty()) else {
            return Ok(());
        };
        let identity = Identity::strongest(&who.profile, who.device);
        let per_minute = usize::try_from(per_minute).unwrap_or(usize::MAX);
        let tried = self.tried.get(&identity).map_or(0, VecDeque::len);
        if tried >= per_minute {
            tracing::debug!("too many wrong passwords");
            who.password = None;
            return Err(TooMany);
        }
        if !right.contains(&password) {
            self.tried.entry(identity).or_default().push_back(now.mono);
            if self.tried.len() > GUESSERS_MAX {
                let last_try = |(_, tried): &(&Identity, &VecDeque<Instant>)| tried.back().copied();
                let oldest = self.tried.iter().min_by_key(last_try);
                if let Some(oldest) = oldest.map(|(identity, _)| identity.clone()) {
                    self.tried.remove(&oldest);
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self, now: Instant) {
        let is_recent = |tried: &Instant| now.saturating_duration_since(*tried) < MINUTE;
        self.tried.retain(|_, tried| {
            tried.retain(is_recent);
            !tried.is_empty()
        });
    }
}

impl Conference {
    /// Counts a wrong password of somebody who wants to come in. The main room's opens the lobby.
    pub(crate) fn judge_password(
        &mut self,
        now: Now,
        room: &RoomJid,
        who: &mut Candidate,
    ) -> Result<(), TooMany> {
        let rooms = [self.halls.get(room), self.halls.get(&self.main)];
        let rooms = rooms.into_iter().flatten();
        let right: Vec<&str> = rooms
            .filter_map(|hall| hall.room.configuration().password.as_deref())
            .collect();
        let per_minute = self.config.rules.wrong_passwords_per_minute;
        self.wrong_passwords.judge(now, per_minute, &right, who)
    }
}

/// Somebody has tried too many passwords in the last minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Whether somebody may come in, as far as the password goes.
pub(crate) fn check(
    room: &Room,
    who: &Candidate,
    judged: Result<(), TooMany>,
) -> Result<(), StanzaError> {
    let Some(password) = &room.configuration().password else {
        return Ok(());
    };
    // COMPAT(lib-jitsi-meet): on this condition, and no other, it asks its user for the password.
    if judged.is_err() {
        let text = "too many wrong passwords, wait a minute";
        return Err(refused(Condition::NotAuthorized, text));
    }
    if who.password.as_ref() == Some(password) {
        Ok(())
    } else {
        Err(StanzaError::new(Condition::NotAuthorized))
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// Those who try at the same time and are remembered.
const GUESSERS_MAX: usize = 1_000;
