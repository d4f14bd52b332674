//! What people do about what happens to them, some time later: passwords, refusals, questions. And
//! how they make a meeting whole again when they all want to.

use tertulia_client::{MediaKind, Notice, Refusal};
use tertulia_model::MediaType;

use super::*;
use crate::world::Command;

/// Something that a person is going to do.
#[derive(Clone, Debug)]
pub(super) enum Reaction {
    /// Tries to get in.
    Enter(usize, Option<String>),
    GoAway(usize),
    ComeBack(usize),
    /// A moderator answers a visitor.
    Promote {
        by: usize,
        from: String,
        is_welcome: bool,
    },
    Unmute(usize, MediaKind),
}

impl Sim {
    pub(super) fn later(&mut self, millis: u64, reaction: Reaction) {
        let at = self.world.clock.millis() + millis;
        self.reactions.push((at, reaction));
    }

    /// Takes up what people were asked, and lets them do what they have made up their minds to.
    pub(super) fn react(&mut self) {
        for (index, notice) in std::mem::take(&mut self.world.questions) {
            if !self.is_over {
                self.consider(index, &notice);
            }
        }
        let now = self.world.clock.millis();
        let (due, waiting) = std::mem::take(&mut self.reactions)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.reactions = waiting;
        let due: Vec<(u64, Reaction)> = due;
        for (_, reaction) in due {
            self.carry_out(reaction);
        }
    }

    fn consider(&mut self, index: usize, notice: &Notice) {
        let soon = self.rng.u64(200..2_500);
        match notice {
            Notice::Refused(Refusal::Password) => match self.draw_password(index) {
                Some(password) => self.later(soon, Reaction::Enter(index, password)),
                None => self.later(soon, Reaction::GoAway(index)),
            },
            Notice::Denied if self.rng.bool() => self.later(soon, Reaction::GoAway(index)),
            Notice::Denied => self.later(soon, Reaction::Enter(index, None)),
            // Thrown out, or the meeting is over.
            Notice::Left if self.rng.u32(0..4) > 0 => {
                self.later(soon, Reaction::ComeBack(index));
            }
            Notice::PromotionRequested {
                from, is_on: true, ..
            } => {
                let reaction = Reaction::Promote {
                    by: index,
                    from: from.clone(),
                    is_welcome: self.rng.u32(0..4) > 0,
                };
                self.later(soon, reaction);
            }
            Notice::MutedByModerator(kind) | Notice::Approved(kind) if self.rng.bool() => {
                self.later(soon, Reaction::Unmute(index, *kind));
            }
            _ => {}
        }
    }

    /// What somebody would type: at first perhaps something wrong, then what moderators have told
    /// it, the newest first. None when it gives up.
    fn draw_password(&mut self, index: usize) -> Option<Option<String>> {
        let attempt = self.attempts.entry(index).or_default();
        *attempt += 1;
        let attempt = *attempt;
        let known = &self.world.story.passwords;
        if attempt == 1 && self.rng.u32(0..3) == 0 {
            return Some(Some("wrong".to_owned()));
        }
        if attempt > 3 * known.len() + 3 {
            return None;
        }
        let count = known.len().max(1);
        Some(known.iter().rev().nth(attempt % count).cloned())
    }

    fn carry_out(&mut self, reaction: Reaction) {
        match reaction {
            Reaction::Enter(index, password) => {
                let what = if password.is_some() {
                    "a password"
                } else {
                    "patience"
                };
                self.world
                    .journal
                    .note(format_args!("p{index} tries with {what}"));
                self.world.with_client(index, |client, now| {
                    client.enter(now, password.as_deref());
                });
            }
            Reaction::GoAway(index) if self.world.people[index].client.is_some() => {
                self.world.close_tab(index);
            }
            Reaction::GoAway(_) => {}
            Reaction::ComeBack(index) => {
                if !self.world.people[index].is_taking_part() {
                    self.attempts.remove(&index);
                    self.world.reload(index, Loss::Seen);
                }
            }
            Reaction::Promote {
                by,
                from,
                is_welcome,
            } => {
                self.world
                    .journal
                    .note(format_args!("p{by} answers a visitor {is_welcome}"));
                if is_welcome {
                    self.world.coverage.count(Mark::Promoted);
                }
                self.world
                    .with_client(by, |client, now| client.promote(now, &from, is_welcome));
            }
            Reaction::Unmute(index, kind) => self.unmute(index, kind),
        }
    }

    fn unmute(&mut self, index: usize, kind: MediaKind) {
        let Some(client) = &self.world.people[index].client else {
            return;
        };
        match kind {
            MediaKind::Audio if client.is_muted(MediaType::Audio) => {
                self.world.switch(index, MediaType::Audio);
            }
            MediaKind::Video if client.is_muted(MediaType::Video) => {
                self.world.switch(index, MediaType::Video);
            }
            MediaKind::Desktop if !client.is_screen_shared() => self.world.share_screen(index),
            _ => {}
        }
    }

    /// Everybody wants the meeting to be whole: the doors open, and all come to the main room.
    pub(super) fn tidy(&mut self) {
        for index in self.taking_part() {
            let Some(client) = &self.world.people[index].client else {
                continue;
            };
            let info = client.room_info();
            let (is_locked, has_lobby) = (info.is_locked, info.is_members_only);
            let is_outside = client.is_outside();
            let is_moderator = client.is_joined() && client.is_moderator();
            let is_elsewhere = client.is_joined() && self.world.is_in_breakout_room(index);
            let kinds = MediaKind::ALL.into_iter();
            let moderated = kinds.filter(|kind| client.moderation(*kind).is_enabled);
            let moderated: Vec<MediaKind> = moderated.collect();
            if is_elsewhere && self.is_time(index, "home") {
                self.world.go_to_room(index, None);
            }
            if is_outside && self.is_time(index, "enter") {
                let password = self.draw_password(index).flatten();
                self.carry_out(Reaction::Enter(index, password));
            }
            if is_moderator && is_locked && self.is_time(index, "unlock") {
                self.world.command(index, &Command::Password(None));
            }
            if is_moderator && has_lobby && self.is_time(index, "lobby") {
                self.world.command(index, &Command::Lobby(false));
            }
            for kind in moderated {
                if is_moderator && self.is_time(index, kind.as_str()) {
                    self.world.command(index, &Command::Moderate(kind, false));
                }
            }
        }
        self.open_closed_doors();
    }

    /// Where nobody is inside who could open, or only visitors, who will never moderate, all give
    /// up, and come again when what was decided in the room is forgotten.
    fn open_closed_doors(&mut self) {
        let mut waiting = self.those(Client::is_waiting);
        let inside = self.those(|client| client.is_joined() && !client.is_visitor());
        if inside.is_empty() && !waiting.is_empty() && self.is_time(usize::MAX, "give up") {
            waiting.extend(self.those(|client| client.is_joined() && client.is_visitor()));
            for index in waiting {
                self.world.close_tab(index);
            }
            let forgotten = self.world.linger(Loss::Silent)
                + self.world.config.journal_linger
                + Duration::from_secs(3);
            self.closed_until = self.world.clock.millis() + forgotten.as_millis() as u64;
        }
        if self.taking_part().len() < 2 && self.world.clock.millis() >= self.closed_until {
            self.join();
            self.join();
        }
    }

    /// Whether somebody may do something again; nobody does it all the time. The first time it
    /// takes a moment.
    fn is_time(&mut self, index: usize, what: &'static str) -> bool {
        let now = self.world.clock.millis();
        let before = *self.tidied.entry((index, what)).or_insert(now);
        let is_time = now >= before + TIDY_EVERY;
        if is_time {
            self.tidied.insert((index, what), now);
        }
        is_time
    }
}

/// Milliseconds.
const TIDY_EVERY: u64 = 3_000;
