//! What people and administrators do in a simulated world.

use super::*;

impl World {
    /// Somebody opens the meeting's page.
    pub fn join(&mut self, plan: &Plan) -> usize {
        let index = self.people.len();
        let person = Person::new(index, plan, &self.hosts, &self.room, self.now());
        self.witness.keep_private(&person.name);
        self.by_address.insert(person.address, index);
        self.people.push(person);
        self.journal.note(format_args!("p{index} joins"));
        self.coverage.count(Mark::Join);
        self.drain_person(index);
        index
    }

    /// A person presses the button.
    pub fn leave(&mut self, index: usize) {
        let now = self.now();
        self.journal.note(format_args!("p{index} leaves"));
        self.coverage.count(Mark::Leave);
        // Without a socket the goodbye is never heard.
        let deadline = self.deadline_of_goodbye(index);
        let person = &mut self.people[index];
        person.expires(deadline);
        if let Some(client) = &mut person.client {
            client.leave(now);
        }
        self.drain_person(index);
    }

    /// A person closes the page; browsers close the sockets with code 1001.
    pub fn close_tab(&mut self, index: usize) {
        self.journal.note(format_args!("p{index} closes the tab"));
        self.coverage.count(Mark::TabClose);
        let deadline = self.deadline_of_goodbye(index);
        self.people[index].expires(deadline);
        self.drop_browser(index, Some(Some(1001)));
    }

    /// A browser dies.
    pub fn crash(&mut self, index: usize, loss: Loss) {
        self.journal.note(format_args!("p{index} crashes {loss:?}"));
        self.coverage.count(Mark::Crash);
        // Of a socket that it has lost already the server is told nothing.
        let noticed = if self.is_heard(index) {
            loss
        } else {
            Loss::Silent
        };
        let deadline = self.now().mono + self.linger(noticed);
        self.people[index].expires(deadline);
        self.people[index].past.is_crashed = true;
        if noticed == Loss::Silent {
            self.people[index].is_lost_unseen();
        }
        self.drop_browser(index, (loss != Loss::Silent).then_some(None));
    }

    /// A person opens the page again: the browser goes and comes.
    pub fn reload(&mut self, index: usize, loss: Loss) {
        self.journal
            .note(format_args!("p{index} reloads the page {loss:?}"));
        self.coverage.count(Mark::Reload);
        if self.people[index].client.is_some() {
            let deadline = match loss {
                Loss::Seen => self.deadline_of_goodbye(index),
                Loss::Silent | Loss::SeenByBrowser => self.now().mono + self.linger(Loss::Silent),
            };
            if loss != Loss::Seen || !self.is_heard(index) {
                self.people[index].is_lost_unseen();
            }
            self.people[index].expires(deadline);
            self.drop_browser(index, (loss == Loss::Seen).then_some(Some(1001)));
        }
        let (now, seed) = (self.now(), self.random.seed());
        self.people[index].open_page(&self.hosts, &self.room, seed, now);
        self.people[index].disturbed();
        self.drain_person(index);
    }

    /// A signalling socket breaks under a living browser.
    pub fn lose_socket(&mut self, index: usize, loss: Loss) {
        let Some(wire) = self.people[index].wire else {
            return;
        };
        self.journal
            .note(format_args!("p{index} loses its socket {loss:?}"));
        self.coverage.count(Mark::SocketLoss);
        let deadline = self.now().mono + self.linger(loss);
        let person = &mut self.people[index];
        person.disturbed();
        person.may_be_held(deadline);
        self.sever(wire);
        if loss == Loss::Seen {
            self.post_up(wire, Post::ClosedUp(wire, None));
        }
        if loss != Loss::Silent {
            self.post_down(wire, Post::ClosedDown(wire));
        }
    }

    /// Nothing passes between a person and the media port, or again.
    pub fn set_blackout(&mut self, index: usize, is_dark: bool) {
        self.journal
            .note(format_args!("p{index} media dark {is_dark}"));
        let person = &mut self.people[index];
        person.up.is_dark = is_dark;
        person.down.is_dark = is_dark;
        person.past.media_since = None;
        if is_dark {
            self.coverage.count(Mark::Blackout);
        }
    }

    /// The server process dies: without a trace, or with all its sockets closing.
    pub fn kill_server(&mut self, loss: Loss) {
        self.journal.note(format_args!("server killed {loss:?}"));
        self.coverage.count(Mark::ServerKill);
        self.is_dark = loss == Loss::Silent;
        self.lose_node();
    }

    /// The server stops as on SIGTERM.
    pub fn stop_server(&mut self) {
        self.journal.note(format_args!("server stops"));
        self.coverage.count(Mark::ServerRestart);
        let now = self.now();
        if let Some(node) = &mut self.node {
            node.stop(now);
        }
        self.drain_node();
        self.lose_node();
    }

    /// The server starts, with the same keys and nothing else.
    pub fn start_server(&mut self) {
        self.incarnation += 1;
        self.is_dark = false;
        let now = self.now();
        self.server_changed = now.mono;
        self.journal.note(format_args!("server starts"));
        let seed = self.random.seed();
        let disk = std::mem::take(&mut self.disk);
        self.node = Some(Node::new(self.config.clone(), disk, seed, now));
        self.node_wake = Some(now.mono);
    }

    /// Which life of the server this is.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Whether the server runs.
    pub fn is_server_up(&self) -> bool {
        self.node.is_some()
    }

    /// Whether the signalling socket of a person carries anything, as far as the network goes.
    pub fn is_wired(&self, index: usize) -> bool {
        let wire = self.people[index]
            .wire
            .and_then(|wire| self.wires.get(&wire));
        wire.is_some_and(|wire| !wire.is_severed && wire.incarnation == Some(self.incarnation))
    }

    /// A person switches its own microphone or camera off or on.
    pub fn switch(&mut self, index: usize, media: MediaType) {
        let now = self.now().mono;
        let person = &mut self.people[index];
        let Some(client) = &person.client else { return };
        let is_muted = !client.is_muted(media);
        person.past.switched(media.into(), now);
        self.coverage.count(Mark::SelfMute);
        self.journal
            .note(format_args!("p{index} switches {media:?} off {is_muted}"));
        self.with_client(index, |client, now| client.mute(now, media, is_muted));
    }

    /// A person changes what it wants to see.
    pub fn set_constraints(&mut self, index: usize, constraints: tertulia_client::Constraints) {
        self.people[index].past.constraints_since = Some(self.now().mono);
        self.with_client(index, |client, now| {
            client.set_constraints(now, constraints)
        });
    }

    /// Lets a person do something with its client.
    pub fn with_client(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut tertulia_client::Client, Now),
    ) {
        let now = self.now();
        if let Some(client) = &mut self.people[index].client {
            act(client, now);
        }
        self.drain_person(index);
    }
}
