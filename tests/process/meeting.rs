//! Whole meetings over real sockets: headless clients with real ICE, DTLS and SRTP.

use std::time::{Duration, Instant};

use tertulia_client::{
    ChannelKind, Client, ClientConfig, Habits, Notice, Redial, RequestKind, VideoConfig,
};
use tertulia_model::jid::{BareJid, DomainPart};
use tertulia_model::{MediaType, RoomJid};
use tokio::task::LocalSet;

use crate::browser::Browser;
use crate::server::{Folder, Server, Web};

#[tokio::test]
async fn three_see_and_hear_each_other() {
    LocalSet::new()
        .run_until(async {
            let data = Folder::new();
            let server = Server::start(&data).await;
            let before = Instant::now();
            // Both forms of the request, both kinds of bridge channel.
            let mut people = Vec::new();
            for (number, channel, request) in [
                (1, ChannelKind::WebSocket, RequestKind::Iq),
                (2, ChannelKind::Data, RequestKind::Http),
                (3, ChannelKind::WebSocket, RequestKind::Http),
            ] {
                people.push(enter(&server.web, number, channel, request).await);
            }
            for person in &people {
                until(person, "hears and sees two", |facts| facts.is_meeting(2)).await;
            }
            println!("three met after {:?}", before.elapsed());
            // One dies without a word; one leaves.
            drop(people.pop());
            let leaving = people.pop().unwrap();
            leaving.act(Client::leave);
            let what = "is alone with someone dead";
            until(&people[0], what, |facts| facts.occupants == 1).await;
            for person in people {
                let window = person.look();
                let mut notices = window.notices.iter();
                let flaw = notices.find(|notice| matches!(notice, Notice::Flaw(..)));
                assert_eq!(flaw, None);
            }
        })
        .await;
}

#[tokio::test]
async fn a_meeting_comes_back_after_sigkill() {
    LocalSet::new()
        .run_until(async {
            let data = Folder::new();
            let mut server = Server::start(&data).await;
            let plain = server.web.address.to_string();
            let mut people = Vec::new();
            for number in [1, 2] {
                let kinds = (ChannelKind::WebSocket, RequestKind::Iq);
                people.push(enter(&server.web, number, kinds.0, kinds.1).await);
            }
            for person in &people {
                until(person, "meets", |facts| facts.is_meeting(1)).await;
            }
            let nicks: Vec<_> = people.iter().map(nick).collect();
            server.signal("KILL");
            server.ended().await;
            for person in &people {
                until(person, "notices", |facts| !facts.is_meeting(1)).await;
            }
            let _again = Server::start_at(&data, &plain).await;
            let ready = Instant::now();
            for (person, before) in people.iter().zip(nicks) {
                until(person, "meets again", |facts| facts.is_meeting(1)).await;
                assert_eq!(nick(person), before, "the same name as before");
            }
            println!("back {:?} after the server was", ready.elapsed());
        })
        .await;
}

/// What can be said of somebody's meeting.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Others in the room.
    occupants: usize,
    is_channel_open: bool,
    /// Sources that are heard and seen, since the last media session began.
    heard: usize,
    seen: usize,
}

impl Facts {
    fn of(client: &Client) -> Facts {
        let sources = client.remote_sources();
        let fresh = |media| {
            let recent =
                |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < Duration::from_secs(1));
            let is_playing = sources.iter().filter(|source| source.media == media);
            is_playing
                .filter(|source| recent(source.facts.last_frame))
                .count()
        };
        Facts {
            occupants: client.occupants().len(),
            is_channel_open: client.is_channel_open(),
            heard: fresh(MediaType::Audio),
            seen: fresh(MediaType::Video),
        }
    }

    /// Whether media of so many others arrives.
    pub(crate) fn is_meeting(&self, others: usize) -> bool {
        self.occupants == others
            && self.heard == others
            && self.seen == others
            && self.is_channel_open
    }
}

pub(crate) async fn until(person: &Browser, what: &str, holds: impl Fn(&Facts) -> bool) {
    let is_met = person.until(|window| holds(&Facts::of(&window.client)));
    let is_met = is_met.await;
    assert!(is_met, "{what}: {:?}", Facts::of(&person.look().client));
}

fn nick(person: &Browser) -> Option<String> {
    person.look().client.nick().map(str::to_owned)
}

pub(crate) async fn enter(
    server: &Web,
    number: u8,
    channel: ChannelKind,
    request: RequestKind,
) -> Browser {
    let room: BareJid = "tea@conference.localhost".parse().unwrap();
    let config = |address| ClientConfig {
        domain: DomainPart::new("localhost").unwrap().into_owned(),
        room: RoomJid::new(room).unwrap(),
        focus: "focus.localhost".parse().unwrap(),
        display_name: format!("Guest {number}"),
        machine_uid: format!("machine-{number}"),
        address,
        channel,
        request,
        audio_interval: Duration::from_millis(20),
        video: Some(VideoConfig::modest()),
        redial: Redial {
            min: Duration::from_millis(100),
            max: Duration::from_secs(1),
        },
        habits: Habits::default(),
    };
    Browser::open(server, number, config, |_, _, _| {}).await
}
