use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tertulia_model::Now;
use tertulia_stanza::{Element, Stanza, WithAttribute, ns};

use crate::OccupantId;
use crate::occupant::joined;

/// The last messages of a room, as newcomers get them.
pub(crate) struct History {
    messages: VecDeque<Kept>,
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
}

struct Kept {
    author: OccupantId,
    stanza: Arc<Stanza>,
}

impl History {
    pub(crate) fn new(messages_max: usize, bytes_max: usize) -> History {
        History {
            messages: VecDeque::new(),
            bytes: 0,
            messages_max,
            bytes_max,
        }
    }

    /// Keeps a message that was just sent to everybody.
    pub(crate) fn push(&mut self, now: Now, author: OccupantId, message: &Stanza) {
        let stamp = now
            .wall
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let delay = Element::builder("delay", ns::DELAY)
            .with("stamp", stamp)
            .build();
        let delay: Bytes = Stanza::new(message.kind)
            .with_child(delay)
            .payload()
            .clone();
        let payload = joined(message.payload(), &delay);
        let mut kept = Stanza::from_validated(message.kind, payload);
        kept.from.clone_from(&message.from);
        kept.id.clone_from(&message.id);
        kept.type_.clone_from(&message.type_);
        kept.lang.clone_from(&message.lang);
        self.bytes += kept.size();
        self.messages.push_back(Kept {
            author,
            stanza: Arc::new(kept),
        });
        while self.messages.len() > self.messages_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.messages.pop_front() else {
                break;
            };
            self.bytes -= oldest.stanza.size();
        }
    }

    /// Whose the message of that id is, if it is kept. Ids are the authors' own choice: the first
    /// one to say it has it.
    pub(crate) fn author(&self, id: &str) -> Option<OccupantId> {
        let mut messages = self.messages.iter();
        let first = messages.find(|kept| kept.stanza.id.as_deref() == Some(id))?;
        Some(first.author)
    }

    /// Forgets a message: newcomers do not get it.
    pub(crate) fn retract(&mut self, id: &str) {
        let is_meant = |kept: &Kept| kept.stanza.id.as_deref() == Some(id);
        let retracted = self.messages.iter().filter(|kept| is_meant(kept));
        self.bytes -= retracted.map(|kept| kept.stanza.size()).sum::<usize>();
        self.messages.retain(|kept| !is_meant(kept));
    }

    /// The last `count` messages, oldest first.
    pub(crate) fn last(&self, count: usize) -> impl Iterator<Item = &Arc<Stanza>> {
        self.messages
            .iter()
            .skip(self.messages.len().saturating_sub(count))
            .map(|kept| &kept.stanza)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tertulia_stanza::{Kind, text_element};

    use super::*;

    fn now() -> Now {
        Now {
            mono: Instant::now(),
            wall: chrono::DateTime::UNIX_EPOCH,
        }
    }

    fn message(text: &str) -> Stanza {
        Stanza::new(Kind::Message)
            .with_id(text)
            .with_child(text_element("body", ns::CLIENT, text))
    }

    #[test]
    fn what_is_retracted_is_gone_with_its_bytes() {
        let mut history = History::new(3, 5_000);
        history.push(now(), OccupantId(1), &message("a"));
        history.push(now(), OccupantId(2), &message("b"));
        history.push(now(), OccupantId(2), &message("a"));
        assert_eq!(
            history.author("a"),
            Some(OccupantId(1)),
            "the first one has it"
        );
        history.retract("a");
        history.retract("missing");
        assert_eq!(history.author("a"), None);
        assert_eq!(history.last(9).count(), 1);
        history.retract("b");
        assert_eq!(history.bytes, 0);
    }

    #[test]
    fn bounded_by_number_and_bytes() {
        let now = now();
        let mut history = History::new(3, 5_000);
        for text in ["1", "2", "3", "4"] {
            history.push(now, OccupantId(1), &message(text));
        }
        let ids = |history: &History, count| -> Vec<String> {
            history
                .last(count)
                .map(|m| m.id.clone().unwrap().to_string())
                .collect()
        };
        assert_eq!(ids(&history, 100), ["2", "3", "4"]);
        assert_eq!(ids(&history, 1), ["4"]);
        assert_eq!(ids(&history, 0).len(), 0);
        let last = history.last(1).next().unwrap();
        let delay = last.child("delay", ns::DELAY).unwrap();
        assert_eq!(delay.attr("stamp"), Some("1970-01-01T00:00:00.000Z"));
        history.push(now, OccupantId(1), &message(&"x".repeat(4_500)));
        assert_eq!(
            ids(&history, 100).len(),
            1,
            "the long one has pushed out the others"
        );
        history.push(now, OccupantId(1), &message(&"x".repeat(6_000)));
        assert_eq!(ids(&history, 100).len(), 0, "one alone is too long");
    }
}
