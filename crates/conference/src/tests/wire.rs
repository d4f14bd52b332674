//! What clients send to the services of a meeting, and what these say.

use serde_json::Value;

use super::*;

/// A command to a service.
pub(super) fn to_service(service: &str, payload: &str) -> Stanza {
    let wrapped: Element = format!("<m xmlns='jabber:client'>{payload}</m>")
        .parse()
        .unwrap();
    let service: Jid = format!("{service}.localhost").parse().unwrap();
    Stanza::new(Kind::Message)
        .with_to(service)
        .with_children(wrapped.children().cloned())
}

/// The same with an element that has nothing but text.
pub(super) fn to_service_with(service: &str, element: Element) -> Stanza {
    let service: Jid = format!("{service}.localhost").parse().unwrap();
    Stanza::new(Kind::Message)
        .with_to(service)
        .with_child(element)
}

/// The JSON in a message of a service.
pub(super) fn json_of(service: &str, stanza: &Stanza) -> Option<Value> {
    let from = stanza.from.as_ref()?.as_str();
    let json = stanza.child("json-message", ns::JITSI_MEET)?;
    (from == format!("{service}.localhost")).then(|| serde_json::from_str(&json.text()).unwrap())
}

impl World {
    /// A meeting with Ann, who moderates, Bob and Cat, and rules of its own.
    pub(super) fn of_three_with(change: impl FnOnce(&mut Rules)) -> World {
        let mut w = World::new();
        w.change(change);
        for (session, nick) in [(1, "ann"), (2, "bob"), (3, "cat")] {
            w.request(session, nick);
            w.join(session, nick);
        }
        w.got.clear();
        w
    }

    pub(super) fn of_three() -> World {
        World::of_three_with(|_| ())
    }

    /// Changes the rules of the administrator.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Rules)) {
        let mut config = Config::clone(&self.conference.config);
        change(&mut config.rules);
        self.conference.config = Arc::new(config);
    }

    /// What a service has said to somebody since that was last asked.
    pub(super) fn said(&mut self, session: u64, service: &str) -> Vec<Value> {
        let got = self.got.get_mut(&session).map(std::mem::take);
        let got = got.unwrap_or_default();
        got.iter().filter_map(|s| json_of(service, s)).collect()
    }

    /// The error by which what was just sent was refused.
    pub(super) fn refusal(&mut self, session: u64) -> Option<Condition> {
        let got = self.got.get_mut(&session).map(std::mem::take);
        let got = got.unwrap_or_default();
        got.iter().find_map(|stanza| stanza.error_condition())
    }

    /// What is refused changes nothing for anybody.
    pub(super) fn check_refused(&mut self, session: u64, stanza: Stanza, expected: Condition) {
        self.got.clear();
        let (journal, before) = (self.journal.clone(), stanza.to_string());
        self.send(session, stanza);
        assert_eq!(self.refusal(session), Some(expected), "{before}");
        let others: Vec<_> = self.got.values().flatten().collect();
        assert!(others.is_empty(), "{before}: {others:?}");
        assert_eq!(self.journal, journal, "{before}");
    }

    /// The server crashes, and everybody's client joins anew under another session.
    pub(super) fn after_a_crash(self, people: &[(u64, &str)]) -> World {
        let mut config = self.conference.config;
        let mut w = World::with(9, self.journal.clone());
        std::mem::swap(&mut w.conference.config, &mut config);
        w.journal = self.journal;
        for (session, nick) in people {
            w.request(*session, nick);
            w.join(*session, nick);
        }
        w
    }
}
