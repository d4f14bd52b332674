//! What people's clients tell them, written down, counted, and handed to those who must decide.

use tertulia_client::media::Flaw;

use super::*;
use crate::person::Door;

impl World {
    pub(super) fn noticed(&mut self, index: usize, notice: Notice) {
        let now = self.now().mono;
        if let Some(line) = describe(&notice) {
            self.journal.note(format_args!("p{index} {line}"));
        }
        if let Some(mark) = mark_of(&notice) {
            self.coverage.count(mark);
        }
        match &notice {
            Notice::Joined => self.person_joined(index, now),
            Notice::Flaw(_, Flaw::Gap { missing, .. }) => {
                self.coverage.add(Mark::StreamGap, *missing);
            }
            // Only now the stream is closed, which takes its way.
            Notice::Left => {
                self.people[index].may_be_held(now + super::deadlines::LINGER_SLACK);
            }
            Notice::MediaEnded | Notice::Invited => {
                self.people[index].past.media_since = None;
                self.people[index].past.first_numbers.clear();
            }
            Notice::Trouble(Trouble::Kicked | Trouble::RoomDestroyed(_)) => {
                self.people[index].expires(now + super::deadlines::LINGER_SLACK);
            }
            Notice::MutedByModerator(kind) | Notice::UnmuteRefused(kind, _) => {
                self.people[index].past.switched(*kind, now);
            }
            Notice::StartsMuted(media) => self.people[index].past.switched((*media).into(), now),
            Notice::Moving(_) => {
                self.people[index].disturbed();
                let is_breakout = self.is_in_breakout_room(index);
                self.coverage.count(if is_breakout {
                    Mark::BreakoutMove
                } else {
                    Mark::BreakoutReturn
                });
            }
            _ => {}
        }
        let is_question = matches!(
            notice,
            Notice::Refused(_)
                | Notice::Denied
                | Notice::PromotionRequested { .. }
                | Notice::Left
                | Notice::MutedByModerator(_)
                | Notice::Approved(_)
        );
        if is_question {
            self.questions.push((index, notice.clone()));
        }
        self.notices.push((index, now, notice));
    }

    /// Listens to what reaches somebody, above all who waits in the lobby.
    pub(super) fn overhear(&mut self, wire: ConnectionId, text: &str) {
        let Some(index) = self.wires.get(&wire).map(|wire| wire.person) else {
            return;
        };
        let person = &self.people[index];
        let is_joined = person
            .client
            .as_ref()
            .is_some_and(|client| client.is_joined());
        if is_joined && text.contains("room_metadata") && text.contains("\"services\"") {
            self.overheard
                .push(format!("claim 10: p{index} is told the services again"));
        }
        let is_waiting = person
            .client
            .as_ref()
            .is_some_and(|client| client.is_waiting());
        if person.wire != Some(wire) || !is_waiting {
            return;
        }
        let from = text
            .split(" from=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let Some(from) = from else { return };
        let (bare, nick) = from.split_once('/').unwrap_or((from, ""));
        let domain = bare.rsplit('@').next().unwrap_or_default();
        let is_presence = text.starts_with("<presence");
        let is_error = text.contains(" type=\"error\"");
        let is_invitation = text.contains("<invite ") || text.contains("<invite/>");
        let is_own = text.contains("code='110'") || text.contains("code=\"110\"");
        let what = if domain.starts_with("conference.") || domain.starts_with("breakout.") {
            let is_fine = is_error || (is_invitation && nick.is_empty());
            (!is_fine).then_some("the meeting")
        } else if domain.starts_with("lobby.") {
            let is_fine = !is_presence || is_own || is_error || text.contains("<destroy");
            (!is_fine).then_some("somebody else who waits")
        } else if text.contains("<json-message") {
            Some("a service of the meeting")
        } else {
            None
        };
        if let Some(what) = what {
            self.overheard
                .push(format!("claim 17: p{index} waits and hears {what}"));
        }
    }

    /// Whether a person is in, or on the way into, a breakout room.
    pub fn is_in_breakout_room(&self, index: usize) -> bool {
        let client = self.people[index].client.as_ref();
        client.is_some_and(|client| *client.room() != self.room)
    }

    fn person_joined(&mut self, index: usize, now: Instant) {
        let person = &mut self.people[index];
        let Some(client) = &person.client else { return };
        let nick = client.nick().unwrap_or_default().to_owned();
        if let Some(jid) = client.jid() {
            let node = jid.node().map(|node| node.as_str().to_owned());
            self.witness.keep_private(&node.unwrap_or_default());
            person.past.jids.insert(nick.clone(), jid.clone());
        }
        person.past.met_at_the_door.push(Door {
            has_focus: client.has_focus(),
            has_metadata: client.metadata_updates() > 0,
        });
        if person.past.nicks.iter().any(|(old, _)| *old != nick) {
            self.coverage.count(Mark::Rejoin);
        }
        // Whoever comes again from the same device replaces what it left behind, unless the server
        // does not know that it is lost.
        let unseen = &person.past.unseen;
        let former = person.past.nicks.iter_mut();
        for (_, until) in former.filter(|(old, _)| *old != nick && !unseen.contains(old)) {
            let end = now + super::deadlines::LINGER_SLACK;
            *until = Some(until.map_or(end, |until| until.min(end)));
        }
        person.past.nicks.retain(|(old, _)| *old != nick);
        person.past.nicks.push((nick, None));
        person.past.constraints_since = Some(now);
        person.past.affiliation = None;
        // In another room, perhaps, everything begins anew.
        person.disturbed();
        if person
            .client
            .as_ref()
            .is_some_and(|client| client.is_visitor())
        {
            person.past.was_visitor = true;
            self.story.had_visitors = true;
        }
    }
}

/// What a notice is counted as.
fn mark_of(notice: &Notice) -> Option<Mark> {
    Some(match notice {
        Notice::Message { is_private, .. } if *is_private => Mark::PrivateMessage,
        Notice::Message { .. } => Mark::Message,
        Notice::Reaction { .. } => Mark::Reaction,
        Notice::Resumed => Mark::Resume,
        Notice::Reloaded => Mark::ForcedReload,
        Notice::MediaEnded => Mark::SessionEnded,
        Notice::MediaRenewed => Mark::PathRenewed,
        Notice::Waiting => Mark::Knock,
        Notice::Admitted => Mark::Admitted,
        Notice::Denied => Mark::Denied,
        Notice::Refused(tertulia_client::Refusal::Password) => Mark::PasswordAsked,
        Notice::MutedByModerator(_) => Mark::MutedByModerator,
        Notice::UnmuteForbidden(_) => Mark::UnmuteForbidden,
        Notice::Approved(_) => Mark::Approved,
        Notice::StartsMuted(_) => Mark::StartsMuted,
        Notice::PromotionRequested { is_on: true, .. } => Mark::PromotionAsked,
        Notice::Trouble(Trouble::Kicked) => Mark::Kick,
        Notice::Trouble(Trouble::RoomDestroyed(_)) => Mark::MeetingEnded,
        Notice::Trouble(Trouble::PathLost) => Mark::PathLost,
        _ => return None,
    })
}
