//! Muting, senders and visitors.

use tertulia_stanza::mute::MuteMedia;
use tertulia_stanza::source_info::Sending;

use super::*;
use ParticipantState::{Accepted, Idle};

fn sending(audio: bool, video: bool) -> Sending {
    Sending { audio, video }
}

impl World {
    fn sends(&mut self, name: &str, audio: bool, video: bool) {
        self.focus
            .set_sending(self.now, &id(name), sending(audio, video));
        self.drain();
    }

    fn set_visitor(&mut self, name: &str, is_visitor: bool) {
        self.focus.set_visitor(self.now, &id(name), is_visitor);
        self.drain();
    }

    fn add_audio(&mut self, name: &str) {
        self.iq(name, |client, sid| {
            let mut sources = EndpointSources::default();
            client.add_source(name, MediaType::Audio, &mut sources);
            Some(with_sources(Action::SourceAdd, sid, &sources))
        });
    }
}

#[test]
fn the_muted_one_is_told_who_wanted_it() {
    let mut w = World::with(&["ann", "bob"]);
    let actor = "tea@conference.localhost/ann".parse().unwrap();
    w.focus.mute(&id("bob"), MuteMedia::Video, Some(&actor));
    w.focus.mute(&id("gone"), MuteMedia::Video, None);
    w.drain();
    let iq = w.inbox["bob"].back().unwrap();
    let mute = iq.child("mute", "http://jitsi.org/jitmeet/video").unwrap();
    assert!(iq.is_type("set") && iq.id.is_some());
    assert_eq!(mute.attr("actor"), Some("tea@conference.localhost/ann"));
    assert_eq!(mute.text(), "true");
    assert!(!w.inbox.contains_key("gone"));
}

fn limited(audio: Option<usize>, video: Option<usize>) -> World {
    World::of(Config {
        audio_senders_max: audio,
        video_senders_max: video,
        ..config()
    })
}

#[test]
fn only_so_many_send() {
    let mut w = limited(Some(2), None);
    for name in ["ann", "bob", "cat"] {
        w.join(name);
    }
    w.run();
    assert_eq!(w.property("audio-limit-reached").as_deref(), Some("false"));
    w.sends("ann", true, true);
    let presences = w.presences;
    w.sends("bob", true, true);
    assert_eq!(w.property("audio-limit-reached").as_deref(), Some("true"));
    assert_eq!(w.property("video-limit-reached").as_deref(), Some("false"));
    assert_eq!(w.presences, presences + 1);
    w.add_audio("bob");
    assert_eq!(w.errors("bob"), Vec::<String>::new(), "it is one of them");
    w.add("cat");
    assert_eq!(
        w.errors("cat"),
        Vec::<String>::new(),
        "video is not limited"
    );
    w.clients.get_mut("cat").unwrap().log.clear();
    let before = w.clients["cat"].sending.clone();
    w.add_audio("cat");
    assert_eq!(w.errors("cat"), ["resource-constraint"]);
    w.clients.get_mut("cat").unwrap().sending = before;
    w.check_knowledge();
    w.sends("ann", false, true);
    assert_eq!(w.property("audio-limit-reached").as_deref(), Some("false"));
    w.add_audio("cat");
    assert_eq!(w.errors("cat"), Vec::<String>::new());
    w.sends("cat", true, true);
    w.leave("cat");
    assert_eq!(w.property("audio-limit-reached").as_deref(), Some("false"));
}

#[test]
fn newcomers_start_muted_beyond_the_threshold() {
    let mut w = World::new();
    w.focus.set_start_muted_after(Some(2), None);
    for name in ["ann", "bob"] {
        w.join(name);
    }
    w.run();
    let muted = |w: &World, name: &str| {
        let muted = w.clients[name].start_muted;
        (muted.audio, muted.video)
    };
    assert_eq!(muted(&w, "bob"), (false, false));
    let next = w.focus.start_muted();
    assert_eq!((next.audio, next.video), (true, false), "the third");
    w.focus.set_start_muted_after(Some(3), None);
    assert_eq!(w.focus.start_muted(), StartMuted::default());
    w.focus.set_start_muted_after(Some(2), None);
    w.join("cat");
    w.run();
    assert_eq!(muted(&w, "cat"), (true, false));
    w.restart("bob");
    w.run();
    assert_eq!(muted(&w, "bob"), (false, false), "it has been here before");
}

#[test]
fn newcomers_start_muted_as_moderators_want() {
    let mut w = World::with(&["ann"]);
    let policy = StartMuted {
        audio: false,
        video: true,
    };
    w.focus.set_start_muted(policy);
    assert_eq!(w.focus.start_muted(), policy);
    w.join("bob");
    w.run();
    assert_eq!(w.clients["bob"].start_muted, policy);
    assert_eq!(
        w.clients["ann"].start_muted,
        StartMuted::default(),
        "was here first"
    );
    w.focus.set_start_muted(StartMuted::default());
    w.join("cat");
    w.run();
    assert_eq!(w.clients["cat"].start_muted, StartMuted::default());
}

#[test]
fn newcomers_start_muted_when_no_more_may_send() {
    let mut w = limited(None, Some(2));
    w.focus.set_start_muted_after(None, Some(100));
    for name in ["ann", "bob", "cat"] {
        w.join(name);
    }
    w.run();
    let muted = |w: &World, name: &str| w.clients[name].start_muted.video;
    let all = ["ann", "bob", "cat"].map(|name| muted(&w, name));
    assert_eq!(all, [false, false, true], "the third of two");
    let mut w = limited(Some(1), None);
    w.join("ann");
    w.sends("ann", true, false);
    assert!(w.focus.start_muted().audio, "somebody speaks");
}

/// A visitor is invited like everybody, counts like everybody, and sends nothing.
#[test]
fn visitors_only_receive() {
    let mut w = World::with(&["ann"]);
    w.join("vic");
    w.set_visitor("vic", true);
    w.clients.get_mut("vic").unwrap().only_receives = true;
    w.run();
    assert_eq!(w.states(), [Accepted, Accepted]);
    let muted = StartMuted {
        audio: true,
        video: true,
    };
    assert_eq!(w.clients["vic"].start_muted, muted);
    w.check_knowledge();
    w.add("vic");
    assert_eq!(w.errors("vic"), ["forbidden"]);
    w.clients.get_mut("vic").unwrap().sending.clear();
    w.check_knowledge();
    w.set_visitor("vic", false);
    w.add("vic");
    w.run();
    w.check_knowledge();
    assert_eq!(w.focus.sources(&id("vic")).len(), 1);
    w.take_commands();
    w.set_visitor("vic", true);
    let taken = w
        .take_commands()
        .into_iter()
        .any(|c| matches!(c, BridgeCommand::SetSources { sources, .. } if sources.is_empty()));
    assert!(taken, "what it sent is taken back");
    w.clients.get_mut("vic").unwrap().sending.clear();
    w.run();
    w.check_knowledge();
    assert_eq!(w.states(), [Accepted, Accepted]);
}

#[test]
fn a_visitor_that_accepts_with_sources_sends_nothing_until_it_takes_part() {
    let mut w = World::with(&["ann"]);
    w.join("vic");
    w.set_visitor("vic", true);
    w.run();
    assert_eq!(
        w.errors("vic"),
        [""; 0],
        "its client would take an error for the end"
    );
    assert_eq!(w.states(), [Accepted, Accepted]);
    assert!(w.focus.sources(&id("vic")).is_empty());
    w.set_visitor("vic", false);
    w.run();
    assert_eq!(w.states(), [Accepted, Accepted]);
    assert_eq!(w.focus.sources(&id("vic")).len(), 2);
    w.check_knowledge();
}

#[test]
fn visitors_are_shown_by_their_number() {
    let mut w = World::with(&["ann"]);
    assert_eq!(w.property("visitor-count"), None);
    w.focus.set_has_visitors(w.now, true);
    w.drain();
    assert_eq!(w.property("visitors-enabled").as_deref(), Some("true"));
    assert_eq!(w.property("visitor-count").as_deref(), Some("0"));
    let presences = w.presences;
    let names: Vec<String> = (0..100).map(|i| format!("v{i}")).collect();
    for name in &names {
        w.join(name);
        w.set_visitor(name, true);
    }
    assert_eq!(w.property("visitor-count").as_deref(), Some("1"));
    w.wait(1);
    assert_eq!(w.property("visitor-count").as_deref(), Some("100"));
    assert_eq!(w.presences, presences + 2, "not a hundred times");
    w.wait(1);
    w.leave("v0");
    assert_eq!(w.property("visitor-count").as_deref(), Some("99"));
}

#[test]
fn one_is_enough_while_somebody_transcribes() {
    let mut w = World::with(&["ann"]);
    assert_eq!(w.states(), [Idle]);
    w.focus.set_participants_min(w.now, 1);
    w.drain();
    w.run();
    assert_eq!(w.states(), [Accepted]);
    w.wait(60);
    assert_eq!(w.states(), [Accepted]);
    w.focus.set_participants_min(w.now, 2);
    w.drain();
    w.wait(19);
    assert_eq!(w.states(), [Accepted]);
    w.wait(2);
    assert_eq!(w.states(), [Idle]);
}
