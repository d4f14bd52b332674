//! Everything in any order.

use tertulia_model::bridge::DisconnectReason;

use super::*;
use ParticipantState::Accepted;

/// Any interleaving of joins, leaves, additions, removals, restarts, lost transports and slow
/// readers ends with everybody knowing exactly the others' sources.
#[test]
fn random_walks_end_in_agreement() {
    for seed in 0..150_u8 {
        walk(seed);
    }
}

fn walk(seed: u8) {
    let mut random = Random::from_seed([seed; 32]);
    let mut w = World::new();
    let names = ["a", "b", "c", "d", "e"];
    for _ in 0..300 {
        let name = names[random.u32() as usize % names.len()];
        let is_inside = w.clients.contains_key(name);
        match random.u32() % 20 {
            0..=2 if !is_inside => w.join(name),
            3 if is_inside => w.leave(name),
            4..=7 if is_inside => w.client_step(name),
            8..=9 => {
                w.bridge_step();
            }
            10..=12 if is_accepted(&w, name) && w.clients[name].sending.len() < 18 => w.add(name),
            13..=14 if is_accepted(&w, name) => w.remove(name),
            15 if is_accepted(&w, name) => {
                // More than a restart every five seconds is another test's subject.
                w.wait_quietly(13);
                w.restart(name);
            }
            16 if is_accepted(&w, name) => {
                let (allocation, reason) = (w.allocation(name), DisconnectReason::IceFailed);
                w.bridge(BridgeEvent::Connected { allocation });
                w.bridge(BridgeEvent::Disconnected { allocation, reason });
            }
            _ => {}
        }
    }
    w.run();
    w.wait(1);
    // Stanzas for sessions that had just ended were refused; that is no disagreement.
    w.clients
        .values_mut()
        .for_each(|client| client.errors.retain(|e| e != "item-not-found"));
    w.check_knowledge();
    let inside = w.clients.len();
    if inside >= 2 {
        assert!(
            w.states().iter().all(|state| *state == Accepted),
            "seed {seed}: {:?}",
            w.states()
        );
    }
    for name in names {
        if w.clients.contains_key(name) {
            w.leave(name);
        }
    }
    assert!(
        w.focus.by_allocation.is_empty() && w.focus.next_timeout().is_none(),
        "seed {seed}"
    );
}

impl World {
    /// Time passes without anybody reading.
    fn wait_quietly(&mut self, seconds: u64) {
        self.now = self.now.later(Duration::from_secs(seconds));
        self.focus.handle_timeout(self.now);
        self.drain();
    }
}

/// Both sides think so: neither session-terminate nor a new offer is under way.
fn is_accepted(w: &World, name: &str) -> bool {
    let state = w
        .focus
        .participants()
        .find(|(e, _)| e.as_str() == name)
        .map(|(_, s)| s);
    let unread = w.inbox.get(name).into_iter().flatten();
    let is_changing = unread
        .filter_map(|s| s.child("jingle", ns::JINGLE))
        .any(|jingle| {
            matches!(
                jingle.attr("action"),
                Some("session-terminate" | "session-initiate")
            )
        });
    state == Some(Accepted) && !is_changing && w.clients[name].sid.is_some()
}
