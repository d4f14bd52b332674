use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tertulia_model::Now;
use tertulia_stanza::{Element, Stanza, WithAttribute, ns};

use crate::occupant::joined;

/// The last messages of a room, as newcomers get them.
pub(crate) struct History {
    messages: VecDeque<Arc<Stanza>>,
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
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
    pub(crate) fn push(&mut self, now: Now, message: &Stanza) {
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
        self.messages.push_back(Arc::new(kept));
        while self.messages.len() > self.messages_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.messages.pop_front() else {
                break;
            };
            self.bytes -= oldest.size();
        }
    }

    /// The last `count` messages, oldest first.
    pub(crate) fn last(&self, count: usize) -> impl Iterator<Item = &Arc<Stanza>> {
        self.messages
            .iter()
            .skip(self.messages.len().saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tertulia_stanza::{Kind, text_element};

    use super::*;

    #[test]
    fn bounded_by_number_and_bytes() {
        let now = Now {
            mono: Instant::now(),
            wall: chrono::DateTime::UNIX_EPOCH,
        };
        let message = |text: &str| {
            Stanza::new(Kind::Message)
                .with_id(text)
                .with_child(text_element("body", ns::CLIENT, text))
        };
        let mut history = History::new(3, 5_000);
        for text in ["1", "2", "3", "4"] {
            history.push(now, &message(text));
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
        history.push(now, &message(&"x".repeat(4_500)));
        assert_eq!(
            ids(&history, 100).len(),
            1,
            "the long one has pushed out the others"
        );
        history.push(now, &message(&"x".repeat(6_000)));
        assert_eq!(ids(&history, 100).len(), 0, "one alone is too long");
    }
}
