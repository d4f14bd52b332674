//! A flood on the media port, before anybody is there and while a call goes on.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tertulia_client::{ChannelKind, Notice, RequestKind};
use tertulia_model::MediaType;
use tokio::task::LocalSet;

use crate::browser::Browser;
use crate::meeting::{enter, until};
use crate::server::{Folder, Server};

#[tokio::test]
async fn a_call_begins_and_goes_on_without_loss_under_a_flood() {
    LocalSet::new()
        .run_until(async {
            let data = Folder::new();
            let server = Server::start(&data).await;
            let flood = Flood::start(&server);
            let mut people = Vec::new();
            for number in [1, 2] {
                let kinds = (ChannelKind::WebSocket, RequestKind::Iq);
                people.push(enter(&server.web, number, kinds.0, kinds.1).await);
            }
            for person in &people {
                until(person, "hears and sees the other", |facts| {
                    facts.is_meeting(1)
                })
                .await;
            }
            let before: Vec<_> = people.iter().map(heard).collect();
            let sent = flood.sent();
            tokio::time::sleep(Duration::from_secs(3)).await;
            let sent = flood.sent() - sent;
            assert!(sent > 1_000, "the flood went on: {sent}");
            for (person, (packets, lost)) in people.iter().zip(before) {
                let (packets_after, lost_after) = heard(person);
                assert_eq!(lost_after, lost, "nothing is lost");
                assert!(
                    packets_after > packets + 100,
                    "{packets_after} after {packets}"
                );
                let window = person.look();
                let mut notices = window.notices.iter();
                let flaw = notices.find(|notice| matches!(notice, Notice::Flaw(..)));
                assert_eq!(flaw, None);
            }
        })
        .await;
}

/// Packets of the other's voice, and how many are missing.
fn heard(person: &Browser) -> (u64, u64) {
    let window = person.look();
    let sources = window.client.remote_sources();
    let voice = sources
        .iter()
        .find(|source| source.media == MediaType::Audio);
    let facts = &voice.expect("somebody speaks").facts;
    (facts.packets, facts.lost)
}

/// Noise from one address and from fifty, in as many networks.
struct Flood {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Flood {
    fn start(server: &Server) -> Flood {
        let flood = Flood {
            is_over: Arc::default(),
            sent: Arc::default(),
        };
        let (is_over, sent, to) = (flood.is_over.clone(), flood.sent.clone(), server.media);
        let bind = |network| UdpSocket::bind(format!("127.0.{network}.1:0")).unwrap();
        let one = bind(0);
        let many: Vec<UdpSocket> = (1..=50).map(bind).collect();
        thread::spawn(move || {
            let mut noise = vec![0x80; 600];
            while !is_over.load(Ordering::Relaxed) {
                for (number, socket) in (0u8..).zip(&many) {
                    // Looks like STUN, DTLS, RTP and nothing by turns.
                    noise[0] = [0, 22, 0x80, 0xff][usize::from(number % 4)];
                    noise[1] = [1, 254, 111, 0][usize::from(number % 4)];
                    for from in [socket, &one] {
                        let _ = from.send_to(&noise, to);
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // A hundred each time: some five thousand a second.
                thread::sleep(Duration::from_millis(20));
            }
        });
        flood
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
