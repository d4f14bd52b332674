//! Polls: somebody asks all a question, everybody answers as often as they change their mind.
//!
//! Speaks: `new-poll` and `answer-poll` as JSON to the service `polls.`, the same and `old-polls`
//! from it (Jitsi's `mod_polls_component`). Unlike there, an answer replaces the former one of the
//! same person, and one that does not fit its poll is refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tertulia_model::Service;
use tertulia_room::rights::{Act, may, may_despite};
use tertulia_room::{Occupant, OccupantId};
use tertulia_stanza::json_message::read_object;
use tertulia_stanza::{Condition, Stanza, StanzaError, ns};

use crate::feature::{refused, service_message, switched_off};
use crate::hall::{Cx, Hall};
use crate::journal::Journal;
use crate::standings::Identity;

/// The polls of a room, in the order in which they were asked.
#[derive(Default)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Polls {
    polls: Vec<Poll>,
}

#[cfg_attr(test, derive(Debug))]
struct Poll {
    id: String,
    /// The nick of who asked, and the name at that time.
    sender: String,
    sender_name: String,
    question: String,
    answers: Vec<String>,
    /// By the nick of the voter.
    votes: BTreeMap<String, Vote>,
}

#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
struct Vote {
    /// The name at that time.
    name: String,
    /// A voter who comes back under another nick is the same one.
    by: Identity,
    marks: Vec<bool>,
}

impl Polls {
    /// The polls of a room that was cut off.
    pub(crate) fn restored(journal: &Journal, prefix: &str) -> Polls {
        let prefix = format!("{prefix}{PREFIX}");
        let mut polls = Polls::default();
        for (key, value) in journal.under(&prefix) {
            let Ok(kept) = serde_json::from_str::<Value>(value) else {
                continue;
            };
            // A poll comes before its votes.
            match key.split_once(VOTE) {
                None => polls.polls.extend(Poll::read(&kept)),
                Some((_, nick)) => {
                    if let (Some(poll), Some(vote)) = (polls.polls.last_mut(), Vote::read(&kept)) {
                        poll.votes.insert(nick.to_owned(), vote);
                    }
                }
            }
        }
        polls
    }

    /// Bytes of what newcomers are sent, by and large.
    fn size(&self) -> usize {
        self.polls.iter().map(Poll::size).sum()
    }
}

impl Poll {
    fn read(kept: &Value) -> Option<Poll> {
        let text = |name: &str| Some(kept.get(name)?.as_str()?.to_owned());
        let answers = kept.get("answers")?.as_array()?.iter();
        let answers = answers.map(|answer| answer.as_str().map(str::to_owned));
        Some(Poll {
            id: text("id")?,
            sender: text("sender")?,
            sender_name: text("senderName")?,
            question: text("question")?,
            answers: answers.collect::<Option<_>>()?,
            votes: BTreeMap::new(),
        })
    }

    fn kept(&self) -> Value {
        json!({
            "id": self.id,
            "sender": self.sender,
            "senderName": self.sender_name,
            "question": self.question,
            "answers": self.answers,
        })
    }

    fn size(&self) -> usize {
        let answers: usize = self.answers.iter().map(|answer| answer.len() + 40).sum();
        let votes = self.votes.iter().map(|(nick, vote)| vote.size(nick));
        self.id.len() + self.question.len() + answers + 200 + votes.sum::<usize>()
    }

    /// As those see it who come later.
    fn shown(&self) -> Value {
        let voters = |index: usize| -> Vec<Value> {
            let voters = self.votes.iter();
            let voters = voters.filter(|(_, vote)| vote.marks.get(index) == Some(&true));
            voters
                .map(|(nick, vote)| json!({ "id": nick, "name": vote.name }))
                .collect()
        };
        let answers = self.answers.iter().enumerate();
        let answers = answers.map(|(index, name)| json!({ "name": name, "voters": voters(index) }));
        json!({
            "pollId": self.id,
            "senderId": self.sender,
            "senderName": self.sender_name,
            "question": self.question,
            "answers": answers.collect::<Vec<_>>(),
        })
    }
}

impl Vote {
    fn read(kept: &Value) -> Option<Vote> {
        let marks = kept.get("marks")?.as_array()?.iter();
        Some(Vote {
            name: kept.get("name")?.as_str()?.to_owned(),
            by: kept.get("by")?.as_str()?.parse().ok()?,
            marks: marks.map(Value::as_bool).collect::<Option<_>>()?,
        })
    }

    fn kept(&self) -> Value {
        json!({ "name": self.name, "by": self.by.to_string(), "marks": self.marks })
    }

    /// As everybody is told of it.
    fn news(&self, poll: &str, nick: &str) -> Value {
        json!({
            "type": TYPE,
            "command": "answer-poll",
            "pollId": poll,
            "answers": self.marks,
            "senderId": nick,
            "senderName": self.name,
        })
    }

    /// What takes it back where it was seen: the protocol has no other word for that, and whoever
    /// did not come in later would count two votes of one person.
    fn withdrawn(&self) -> Vote {
        Vote {
            marks: vec![false; self.marks.len()],
            ..self.clone()
        }
    }

    fn size(&self, nick: &str) -> usize {
        let marks = self.marks.iter().filter(|mark| **mark).count();
        (marks + 1) * (nick.len() + self.name.len() + 24)
    }
}

impl Hall {
    /// A message to the service from somebody inside.
    pub(crate) fn handle_poll(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        message: &Stanza,
    ) -> Result<(), StanzaError> {
        if !cx.config.rules.has_polls {
            return Err(switched_off("polls"));
        }
        let bad = |text: &str| refused(Condition::BadRequest, text);
        let json = message
            .child("json-message", ns::JITSI_MEET)
            .ok_or_else(|| bad("expected json-message"))?
            .text();
        if json.len() >= cx.config.rules.poll_bytes_max {
            return Err(refused(Condition::NotAcceptable, "the poll is too large"));
        }
        let poll = read_object(&json).map_err(|error| bad(&error.to_string()))?;
        if poll.get("type").and_then(Value::as_str) != Some(TYPE) {
            return Err(bad("expected type polls"));
        }
        match poll.get("command").and_then(Value::as_str) {
            Some("new-poll") => self.ask(cx, who, &poll),
            Some("answer-poll") => self.vote(cx, who, &poll),
            _ => Err(bad("expected command new-poll or answer-poll")),
        }
    }

    /// Somebody has come in: the polls there are. One message for each, so that none is too large.
    pub(crate) fn greet_with_polls(&mut self, cx: &Cx<'_>, id: OccupantId) {
        let Some(session) = self.room.occupant(id).map(|o| o.profile().id) else {
            return;
        };
        for poll in &self.polls.polls {
            let old = json!({ "type": TYPE, "command": "old-polls", "polls": [poll.shown()] });
            self.room
                .answer(session, service_message(cx, Service::Polls, &old));
        }
    }

    fn ask(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        asked: &Map<String, Value>,
    ) -> Result<(), StanzaError> {
        let sender = self.room.occupant(who).ok_or(Condition::NotAcceptable)?;
        if !may_despite(self.room.restrictions(), sender, Act::Poll) {
            return Err(Condition::Forbidden.into());
        }
        let bad = |text: &str| refused(Condition::BadRequest, text);
        let question = asked.get("question").and_then(Value::as_str);
        let answers = asked.get("answers").and_then(Value::as_array);
        let answers = answers.filter(|answers| !answers.is_empty());
        let answers = answers.and_then(|answers| {
            let name = |answer: &Value| Some(answer.get("name")?.as_str()?.to_owned());
            answers.iter().map(name).collect::<Option<Vec<_>>>()
        });
        let poll = Poll {
            id: poll_id(asked)?,
            sender: sender.nick().to_string(),
            sender_name: sender.display_name().unwrap_or_default(),
            question: question.ok_or_else(|| bad("expected question"))?.to_owned(),
            answers: answers.ok_or_else(|| bad("expected answers with a name each"))?,
            votes: BTreeMap::new(),
        };
        if self.polls.polls.iter().any(|other| other.id == poll.id) {
            let text = "there is a poll with this pollId";
            return Err(refused(Condition::NotAllowed, text));
        }
        let is_full = self.polls.polls.len() >= cx.config.rules.polls_max
            || self.polls.size() + poll.size() > BYTES_MAX;
        if is_full {
            let text = "too many polls in this room";
            return Err(refused(Condition::ResourceConstraint, text));
        }
        let names = poll.answers.iter().map(|name| json!({ "name": name }));
        let news = json!({
            "type": TYPE,
            "command": "new-poll",
            "pollId": poll.id,
            "question": poll.question,
            "answers": names.collect::<Vec<_>>(),
            "senderId": poll.sender,
            "senderName": poll.sender_name,
        });
        let key = self.poll_key(self.polls.polls.len());
        cx.journal.set(&key, &poll.kept().to_string());
        self.polls.polls.push(poll);
        self.room
            .send_to_everybody(service_message(cx, Service::Polls, &news));
        Ok(())
    }

    fn vote(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        said: &Map<String, Value>,
    ) -> Result<(), StanzaError> {
        let voter = self.room.occupant(who);
        let voter = voter.filter(|voter| may(voter, Act::Poll));
        let voter = voter.ok_or(Condition::Forbidden)?;
        let id = poll_id(said)?;
        let index = self.polls.polls.iter().position(|poll| poll.id == id);
        let index = index.ok_or_else(|| refused(Condition::ItemNotFound, "no such pollId"))?;
        let poll = self.polls.polls.get(index).ok_or(Condition::ItemNotFound)?;
        let marks = said.get("answers").and_then(Value::as_array);
        let marks = marks.filter(|marks| marks.len() == poll.answers.len());
        let marks = marks.and_then(|marks| {
            let marks = marks.iter().map(Value::as_bool);
            marks.collect::<Option<Vec<bool>>>()
        });
        let marks = marks.ok_or_else(|| {
            let text = "expected answers: true or false for each answer of the poll";
            refused(Condition::BadRequest, text)
        })?;
        let vote = Vote {
            name: voter.display_name().unwrap_or_default(),
            by: Identity::of(voter),
            marks,
        };
        let nick = voter.nick().to_string();
        let news = vote.news(&id, &nick);
        if self.polls.size() + vote.size(&nick) > BYTES_MAX {
            let text = "too many votes in this room";
            return Err(refused(Condition::ResourceConstraint, text));
        }
        let former = former_nicks(poll, voter, |nick| self.room.occupant_named(nick).is_some());
        let votes_key = format!("{}{VOTE}", self.poll_key(index));
        let withdrawn = former.iter().filter_map(|nick| {
            let vote = poll.votes.get(nick)?;
            Some(service_message(
                cx,
                Service::Polls,
                &vote.withdrawn().news(&id, nick),
            ))
        });
        let withdrawn: Vec<Stanza> = withdrawn.collect();
        for nick in &former {
            cx.journal.remove(&format!("{votes_key}{nick}"));
        }
        cx.journal
            .set(&format!("{votes_key}{nick}"), &vote.kept().to_string());
        if let Some(poll) = self.polls.polls.get_mut(index) {
            poll.votes.retain(|nick, _| !former.contains(nick));
            poll.votes.insert(nick, vote);
        }
        for message in withdrawn {
            self.room.send_to_everybody(message);
        }
        self.room
            .send_to_everybody(service_message(cx, Service::Polls, &news));
        Ok(())
    }

    fn poll_key(&self, index: usize) -> String {
        // In the order of the keys.
        format!("{}{PREFIX}{index:06}", self.journal_prefix)
    }
}

/// Nicks under which the voter has voted before and which are nobody's now: it came back.
fn former_nicks(poll: &Poll, voter: &Occupant, is_inside: impl Fn(&str) -> bool) -> Vec<String> {
    let identity = Identity::of(voter);
    let votes = poll.votes.iter();
    let former = votes.filter(|(nick, vote)| vote.by == identity && !is_inside(nick));
    former.map(|(nick, _)| nick.clone()).collect()
}

fn poll_id(said: &Map<String, Value>) -> Result<String, StanzaError> {
    let id = said.get("pollId").and_then(Value::as_str);
    let id = id.filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()));
    id.map(str::to_owned).ok_or_else(|| {
        let text = "expected pollId of 1 to 128 bytes";
        refused(Condition::BadRequest, text)
    })
}

const TYPE: &str = "polls";
const PREFIX: &str = "poll/";
const VOTE: &str = "/vote/";
const ID_BYTES_MAX: usize = 128;
/// Of all polls with their votes: newcomers are sent all of it.
const BYTES_MAX: usize = 1 << 20;
