//! Everything in any order.

use tertulia_model::bridge::DisconnectReason;
use tertulia_stanza::source_info::Sending;

use super::*;
use ParticipantState::Accepted;

/// Any interleaving of joins, leaves, additions, removals, restarts of sessions and of ICE, lost
/// transports, lost sockets, failing bridges, visitors who come and are promoted, and slow readers
/// ends with everybody knowing exactly the others' sources, or nothing of them where the bridge
/// rewrites them (rooms-and-focus 17: 2 to 4, 9, 20, 22).
#[test]
fn random_walks_end_in_agreement() {
    let mut seen = BTreeMap::new();
    for seed in 0..150_u8 {
        for action in walk(seed) {
            *seen.entry(action).or_insert(0_u32) += 1;
        }
    }
    assert!(
        seen.len() == 15 && seen.values().all(|count| *count > 50),
        "everything has happened: {seen:?}"
    );
}

fn walk(seed: u8) -> Vec<&'static str> {
    let mut random = Random::from_seed([seed; 32]);
    let mut w = World::of(Config {
        has_ssrc_rewriting: !seed.is_multiple_of(3),
        source_delays: patient(seed.is_multiple_of(2)),
        ..config()
    });
    let names = ["a", "b", "c", "d", "e"];
    let mut done = Vec::new();
    for _ in 0..400 {
        let name = names[random.u32() as usize % names.len()];
        done.extend(step(&mut w, name, random.u32()));
    }
    settle(&mut w, &names);
    check_end(&mut w, seed);
    for name in names {
        if w.clients.contains_key(name) {
            w.leave(name);
        }
    }
    assert!(
        w.focus.by_allocation.is_empty() && w.focus.next_timeout().is_none(),
        "seed {seed}"
    );
    assert!(matches!(
        w.commands.iter().rev().find(|c| !is_late(c)),
        None | Some(BridgeCommand::Close)
    ));
    done
}

/// With three participants clients are told of each other's sources a moment later.
fn patient(is_patient: bool) -> BTreeMap<usize, Duration> {
    let delays = [(3, Duration::from_millis(500))];
    delays.into_iter().filter(|_| is_patient).collect()
}

/// One thing happens to one participant, if it can; its name.
fn step(w: &mut World, name: &str, draw: u32) -> Option<&'static str> {
    let is_inside = w.clients.contains_key(name);
    let is_accepted = is_accepted(w, name);
    let coin = draw & 0x1_0000 == 0;
    match draw % 32 {
        0..=3 if !is_inside => {
            w.join_as(name, coin);
            Some("join")
        }
        4 if is_inside => {
            w.leave(name);
            Some("leave")
        }
        5..=10 if is_inside => {
            w.client_step(name);
            Some("read")
        }
        11..=13 => {
            w.bridge_step();
            Some("bridge")
        }
        14..=16 if is_accepted && w.clients[name].sending.len() < 18 => {
            if w.clients[name].only_receives || w.clients[name].is_visitor {
                return None;
            }
            w.add(name);
            Some("add")
        }
        17..=18 if is_accepted && !w.clients[name].is_visitor => {
            w.remove(name);
            Some("remove")
        }
        19 if is_accepted => {
            // More than a restart every five seconds is another test's subject.
            w.wait_quietly(13);
            w.restart(name);
            Some("restart")
        }
        20..=21 if is_accepted => {
            w.wait_quietly(13);
            if !self::is_accepted(w, name) {
                return None;
            }
            w.restart_ice(name);
            Some("ice restart")
        }
        22 if is_accepted => {
            let (allocation, reason) = (w.allocation(name), DisconnectReason::IceFailed);
            w.bridge(BridgeEvent::Connected { allocation });
            w.bridge(BridgeEvent::Disconnected { allocation, reason });
            Some("disconnect")
        }
        23..=24 if is_inside => {
            w.focus.set_visitor(w.now, &id(name), coin);
            let client = w.clients.get_mut(name).unwrap();
            client.is_visitor = coin;
            // Not every client knows that it visits.
            client.only_receives = draw & 0x2_0000 == 0;
            if coin {
                client.sending.clear();
            }
            w.drain();
            Some(if coin { "demote" } else { "promote" })
        }
        25 if is_inside => {
            w.focus.set_paused(w.now, &id(name), coin);
            w.drain();
            Some("pause")
        }
        26 if is_inside => {
            let sending = Sending {
                audio: coin,
                video: !coin,
            };
            w.focus.set_sending(w.now, &id(name), sending);
            w.drain();
            Some("mute")
        }
        27 if coin => {
            w.bridge_is_down = draw & 0x2_0000 == 0;
            w.bridge(BridgeEvent::Failed);
            Some("bridge fails")
        }
        28 => {
            w.focus.set_participants_min(w.now, 1 + usize::from(coin));
            w.drain();
            Some("transcribe")
        }
        _ => None,
    }
}

/// Everything works again, and everybody reads what waits.
fn settle(w: &mut World, names: &[&str]) {
    w.bridge_is_down = false;
    w.focus.set_participants_min(w.now, 2);
    for name in names {
        w.focus.set_paused(w.now, &id(name), false);
    }
    w.drain();
    w.run();
    w.wait(130);
}

fn check_end(w: &mut World, seed: u8) {
    // Stanzas for sessions that had just ended were refused; that is no disagreement.
    for client in w.clients.values_mut() {
        client
            .errors
            .retain(|e| e != "item-not-found" && e != "gone");
    }
    w.check_knowledge();
    if w.clients.len() >= 2 {
        assert!(
            w.states().iter().all(|state| *state == Accepted),
            "seed {seed}: {:?}",
            w.states()
        );
    }
    let visitors = w.clients.values().filter(|c| c.is_visitor).count();
    let shown = w.property("visitor-count");
    let shown = shown.map_or(0, |count| count.parse().unwrap());
    assert_eq!(shown, visitors, "seed {seed}");
    for (name, client) in &w.clients {
        if client.sid.is_none() || client.ice_generation == 0 {
            continue;
        }
        let allocation = w.allocation(name);
        let reconnected = w.commands.iter().rev().find_map(|c| match c {
            BridgeCommand::ReconnectIce {
                allocation: of,
                ice,
                ..
            } if *of == allocation => Some(ice.ufrag.clone()),
            _ => None,
        });
        let last = format!("cu{}", client.ice_generation);
        assert_eq!(reconnected, Some(last), "seed {seed}");
    }
}

/// A question that the bridge has not answered when all is over.
fn is_late(command: &BridgeCommand) -> bool {
    matches!(
        command,
        BridgeCommand::Allocate { .. } | BridgeCommand::RestartIce { .. }
    )
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
    let client = w.clients.get(name);
    state == Some(Accepted) && !is_changing && client.is_some_and(|client| client.sid.is_some())
}
