//! What a broadcast in a room costs against the floor of its own work.
//!
//! A client's presence update goes through the whole conference to 10, 100 and 500 occupants and
//! ends in one queue for each. The floor serialises one stanza of the same size and pushes it to
//! the same queues, and does nothing else. Both are measured in thread CPU time in interleaved
//! rounds; the figure is the median of the rounds' ratios.
//!
//! Appends `{"name", "ratio", "goal"}` to `target/bench/broadcast.json`.

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tertulia_conference::{Conference, Config, Output, Rules};
use tertulia_gauge::{Rows, cpu_ns};
use tertulia_model::jid::{DomainPart, FullJid, Jid};
use tertulia_model::{ConferenceId, Hosts, Now, RoomJid, SessionId, SessionProfile};
use tertulia_stanza::muc::{Affiliation, Item, Role, UserX};
use tertulia_stanza::{Element, Kind, Stanza, ns};

const ROUNDS: usize = 21;
const GOAL: f64 = 3.0;

fn main() {
    let rows = Rows::new("broadcast").expect("target can be written");
    println!("presence broadcast against one serialisation and N queue pushes");
    println!(
        "{:>9} {:>10} {:>10} {:>7} {:>7} {:>7}",
        "occupants", "ns", "floor ns", "ratio", "min", "max"
    );
    for occupants in [10, 100, 500] {
        let mut bench = Bench::new(occupants);
        let turns = 20_000 / occupants;
        bench.round(turns);
        let mut rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| bench.round(turns)).collect();
        rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let ratio = |(cost, floor): (f64, f64)| cost / floor;
        let (min, median, max) = (rounds[0], rounds[ROUNDS / 2], rounds[ROUNDS - 1]);
        println!(
            "{occupants:>9} {:>10.0} {:>10.0} {:>7.2} {:>7.2} {:>7.2}",
            median.0,
            median.1,
            ratio(median),
            ratio(min),
            ratio(max)
        );
        let name = format!("broadcast to {occupants} occupants");
        rows.add(&name, ratio(median), Some(GOAL))
            .expect("target can be written");
    }
}

struct Bench {
    conference: Conference,
    now: Now,
    sender: Arc<SessionProfile>,
    payload: Bytes,
    queues: Vec<VecDeque<Arc<Stanza>>>,
    written: String,
}

impl Bench {
    fn new(occupants: usize) -> Bench {
        let now = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        let room = RoomJid::new(jid("tea@conference.localhost").to_bare()).expect("a room");
        let mut bench = Bench {
            conference: Conference::new(
                Arc::new(config()),
                room,
                ConferenceId::new("meeting"),
                BTreeMap::new(),
                [1; 32],
                now,
            ),
            now,
            sender: profile(0),
            payload: Bytes::from_static(PRESENCE.as_bytes()),
            queues: vec![VecDeque::new(); occupants],
            written: String::with_capacity(4_096),
        };
        for session in 0..occupants {
            let profile = profile(session as u64);
            let join = Stanza::new(Kind::Presence)
                .with_from(profile.jid.clone())
                .with_to(jid(&format!("tea@conference.localhost/n{session}")))
                .with_child(Element::bare("x", ns::MUC));
            bench.conference.handle_stanza(now, &profile, join);
            while bench.conference.poll_output().is_some() {}
        }
        bench
    }

    /// Nanoseconds of one broadcast and of its floor.
    fn round(&mut self, turns: usize) -> (f64, f64) {
        let (mut cost, mut floor) = (0, 0);
        for _ in 0..turns {
            floor += self.floor();
            cost += self.broadcast();
        }
        (cost as f64 / turns as f64, floor as f64 / turns as f64)
    }

    fn broadcast(&mut self) -> u64 {
        let update = Stanza::from_validated(Kind::Presence, self.payload.clone())
            .with_from(self.sender.jid.clone())
            .with_to(jid("tea@conference.localhost/n0"));
        let start = cpu_ns();
        self.conference
            .handle_stanza(self.now, &self.sender, update);
        while let Some(output) = self.conference.poll_output() {
            if let Output::Deliver { to, stanza } = output {
                self.queues[to.0 as usize].push_back(stanza);
            }
        }
        self.written.clear();
        self.queues[1][0].write(None, &mut self.written);
        let cost = cpu_ns() - start;
        assert!(
            self.queues.iter().all(|queue| queue.len() == 1),
            "everybody got it once"
        );
        self.queues.iter_mut().for_each(VecDeque::clear);
        black_box(&self.written);
        cost
    }

    fn floor(&mut self) -> u64 {
        let mut payload = self.payload.to_vec();
        let real = Some(Jid::from(self.sender.jid.clone()));
        let x = UserX::item(Item::new(Affiliation::Owner, Role::Moderator, real)).to_element();
        payload.extend_from_slice(Stanza::new(Kind::Presence).with_child(x).payload());
        let stanza = Stanza::from_validated(Kind::Presence, payload.into())
            .with_from(jid("tea@conference.localhost/n0"));
        let start = cpu_ns();
        self.written.clear();
        let stanza = Arc::new(stanza);
        stanza.write(None, &mut self.written);
        for queue in &mut self.queues {
            queue.push_back(stanza.clone());
        }
        let cost = cpu_ns() - start;
        self.queues.iter_mut().for_each(VecDeque::clear);
        black_box(&self.written);
        cost
    }
}

fn jid(text: &str) -> Jid {
    text.parse().expect("a literal address")
}

fn profile(session: u64) -> Arc<SessionProfile> {
    let jid: FullJid = format!("u{session}@localhost/r")
        .parse()
        .expect("a literal address");
    Arc::new(SessionProfile {
        id: SessionId(session),
        jid,
        websocket_base: "wss://192.0.2.1:8443".to_owned(),
        is_loopback: false,
        room: None,
        account: None,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    })
}

fn config() -> Config {
    Config {
        hosts: Hosts::new(
            DomainPart::new("localhost")
                .expect("a literal domain")
                .into_owned(),
        ),
        room: tertulia_room::Config {
            occupants_max: 500,
            history_messages_max: 20,
            history_bytes_max: 65_536,
            name_chars_max: 256,
            has_lobby: true,
        },
        focus: tertulia_focus::Config {
            server_id: "node".to_owned(),
            features_timeout: Duration::from_secs(2),
            accept_timeout: Duration::from_secs(60),
            invitations_max: 3,
            single_participant_timeout: Duration::from_secs(20),
            restart_interval_min: Duration::from_secs(5),
            restarts_per_minute_max: 5,
            retry_interval: Duration::from_secs(5),
            retry_interval_max: Duration::from_secs(60),
            ssrcs_per_participant_max: 20,
            source_delays: BTreeMap::new(),
            has_ssrc_rewriting: true,
            has_ice_restart: true,
            has_opus_red: false,
            video_codecs: tertulia_model::VideoCodec::ALL.to_vec(),
            audio_senders_max: None,
            video_senders_max: None,
        },
        initial_timeout: Duration::from_secs(15),
        expected_max: 100,
        affiliations_max: 1_000,
        rules: Rules {
            has_lobby: true,
            has_breakout_rooms: true,
            has_av_moderation: true,
            has_polls: true,
            has_file_sharing: true,
            has_end_conference: true,
            has_speaker_stats: true,
            has_visitors: true,
            visitors_after: None,
            has_auto_owner: true,
            is_everyone_moderator: false,
            has_wait_for_host: false,
            is_display_name_required: false,
            joins_per_second: 1_000,
            joins_waiting_max: 1_000,
            start_audio_muted: None,
            start_video_muted: None,
            wrong_passwords_per_minute: 5,
            lobby_waiting_max: 100,
            breakout_rooms_max: 50,
            polls_max: 128,
            poll_bytes_max: 1_024,
            files_max: 100,
            file_bytes_max: 4_096,
            metadata_keys_max: 64,
            metadata_bytes_max: 16_384,
        },
        owner_patience: Duration::from_secs(60),
        device_key: [3; 32],
        ice_server: None,
    }
}

/// A presence as a Jitsi web client sends it when somebody mutes.
const PRESENCE: &str = "<stats-id>Rosetta-x7k</stats-id>\
<c xmlns=\"http://jabber.org/protocol/caps\" hash=\"sha-1\" node=\"https://jitsi.org/jitsi-meet\" \
ver=\"qN1yVhYXQ4RGBkRLm1v5yHBKoEo=\"/>\
<SourceInfo>{&quot;1a2b3c4d-a0&quot;:{&quot;muted&quot;:true},&quot;1a2b3c4d-v0&quot;:\
{&quot;muted&quot;:false,&quot;videoType&quot;:&quot;camera&quot;}}</SourceInfo>\
<jitsi_participant_codecList>av1,vp9,vp8,h264</jitsi_participant_codecList>\
<jitsi_participant_codecType></jitsi_participant_codecType>\
<jitsi_participant_region>eu-central</jitsi_participant_region>\
<features><feature var=\"https://jitsi.org/meet/e2ee\"/></features>\
<nick xmlns=\"http://jabber.org/protocol/nick\">Ann Example</nick>\
<avatar-url>https://example.org/avatars/ann.png</avatar-url>\
<email>ann@example.org</email>\
<jitsi_participant_e2ee.idKey>xkY4H6sHkq1uVb1T3b7cP1m0ZpQ2yq7d0f8a</jitsi_participant_e2ee.idKey>\
<jitsi_participant_raisedHand>1790000000000</jitsi_participant_raisedHand>";
