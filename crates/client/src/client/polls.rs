//! Polls: made, answered and counted.
//!
//! Speaks: Jitsi's JSON messages of type `polls`.

use super::breakout::text;
use super::*;

/// A question to everybody and how it was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    pub question: String,
    /// Nick of whoever asks.
    pub sender: String,
    pub answers: Vec<PollAnswer>,
    /// It was there before we came.
    pub is_history: bool,
}

/// One answer that can be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollAnswer {
    pub name: String,
    /// Who gave it, by nick, with the name that the server knew.
    pub voters: BTreeMap<String, Option<String>>,
}

impl Poll {
    fn read(value: &Value, is_history: bool) -> Option<(String, Poll)> {
        let answers = value.get("answers").and_then(Value::as_array)?;
        let voter = |voter: &Value| Some((text(voter, "id")?, text(voter, "name")));
        let answer = |answer: &Value| PollAnswer {
            name: text(answer, "name").unwrap_or_default(),
            voters: answer
                .get("voters")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(voter)
                .collect(),
        };
        let poll = Poll {
            question: text(value, "question")?,
            sender: text(value, "senderId").unwrap_or_default(),
            answers: answers.iter().map(answer).collect(),
            is_history,
        };
        Some((text(value, "pollId")?, poll))
    }
}

impl Client {
    /// Asks everybody something.
    pub fn create_poll(&mut self, now: Now, id: &str, question: &str, answers: &[&str]) {
        let answers: Vec<Value> = answers.iter().map(|name| json!({ "name": name })).collect();
        self.poll_command(
            now,
            &json!({
                "type": "polls",
                "command": "new-poll",
                "pollId": id,
                "question": question,
                "answers": answers,
            }),
        );
    }

    /// Answers a poll: each of its answers with yes or no. Answering again replaces.
    pub fn answer_poll(&mut self, now: Now, id: &str, answers: &[bool]) {
        self.poll_command(
            now,
            &json!({
                "type": "polls",
                "command": "answer-poll",
                "pollId": id,
                "answers": answers,
            }),
        );
    }

    /// The polls of this room, by id.
    pub fn polls(&self) -> &BTreeMap<String, Poll> {
        &self.meeting.polls
    }

    fn poll_command(&mut self, now: Now, command: &Value) {
        let Some(to) = self
            .component("polls")
            .and_then(|name| name.parse::<Jid>().ok())
        else {
            return;
        };
        // COMPAT(lib-jitsi-meet): sent as if it were a private chat message.
        let message = Stanza::new(Kind::Message)
            .with_type("chat")
            .with_to(to)
            .with_child(components::json_element(command));
        self.line.send(now, message);
        self.settle(now);
    }

    pub(super) fn handle_poll(&mut self, value: &Value) {
        match value.get("command").and_then(Value::as_str) {
            Some("new-poll") => self.meeting.polls.extend(Poll::read(value, false)),
            Some("old-polls") => {
                let old = value.get("polls").and_then(Value::as_array);
                let old = old.into_iter().flatten();
                let old = old.filter_map(|poll| Poll::read(poll, true));
                self.meeting.polls.extend(old);
            }
            Some("answer-poll") => self.handle_poll_answer(value),
            _ => tracing::debug!("an unknown command of polls"),
        }
    }

    fn handle_poll_answer(&mut self, value: &Value) {
        let poll = text(value, "pollId").and_then(|id| self.meeting.polls.get_mut(&id));
        let answers = value.get("answers").and_then(Value::as_array);
        let (Some(poll), Some(answers), Some(voter)) = (poll, answers, text(value, "senderId"))
        else {
            return;
        };
        for (answer, given) in poll.answers.iter_mut().zip(answers) {
            answer.voters.remove(&voter);
            if given.as_bool() == Some(true) {
                let name = text(value, "senderName");
                answer.voters.insert(voter.clone(), name);
            }
        }
    }
}
