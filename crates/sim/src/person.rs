use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use jid::FullJid;
use tertulia_client::{
    ChannelKind, Client, ClientConfig, Habits, MediaKind, Notice, Redial, Refusal, RequestKind,
    VideoConfig,
};
use tertulia_model::{ChannelId, Hosts, Now, RoomJid, Ssrc};
use tertulia_stanza::muc::{Affiliation, Role};

use crate::network::{Link, Quality};
use crate::node::ConnectionId;

/// Somebody who took part, still does, or will never again.
pub struct Person {
    pub index: usize,
    /// What others see; must never be in a log.
    pub name: String,
    pub address: SocketAddr,
    pub channel_kind: ChannelKind,
    pub has_camera: bool,
    pub habits: Habits,
    request: RequestKind,
    camera: Option<CameraMaker>,
    video: fn() -> VideoConfig,
    /// None once the browser is gone.
    pub client: Option<Client>,
    /// The signalling socket that the browser uses now.
    pub wire: Option<ConnectionId>,
    /// The bridge-channel socket that the browser uses now.
    pub channel: Option<ChannelId>,
    pub up: Link,
    pub down: Link,
    /// One way, for reliable connections.
    pub latency: u64,
    pub wake: Option<Instant>,
    /// Everything that a checker needs to know of the past.
    pub past: Past,
}

/// When things happened to a person.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Joined, online and undisturbed since then.
    pub present_since: Option<Instant>,
    /// The same for media.
    pub media_since: Option<Instant>,
    /// Names under which the person was in the room, each with the moment after which nobody may
    /// see it any more.
    pub nicks: Vec<(String, Option<Instant>)>,
    /// Names that were given to it, but lost before it knew that it had joined under them.
    pub strays: Vec<(String, Option<Instant>)>,
    pub constraints_since: Option<Instant>,
    /// The bridge channel is open since then.
    pub channel_since: Option<Instant>,
    /// When the microphone, the camera or the screen was switched last, by whomever.
    pub switched: BTreeMap<MediaKind, Instant>,
    /// When the hand went up or down last.
    pub hand_since: Option<Instant>,
    /// Addresses that the person had, by nick.
    pub jids: BTreeMap<String, FullJid>,
    /// What it was told before it was in, each time it came; taken by the checkers.
    pub met_at_the_door: Vec<Door>,
    /// When the person was a moderator last, as far as it knew.
    pub last_moderator: Option<Instant>,
    /// The standing it had when it was last settled in the room.
    pub affiliation: Option<Affiliation>,
    /// The standing it had when the server died, until it is looked at.
    pub affiliation_before: Option<Affiliation>,
    pub role: Option<Role>,
    /// When that changed, as far as it knew.
    pub role_changed: Option<Instant>,
    /// Once it only looked.
    pub was_visitor: bool,
    /// Nicks of pages that are gone without the server's knowing.
    pub unseen: BTreeSet<String>,
    /// When the person was last not (fully) in the room, and last without a path for media.
    pub last_disturbed: Option<Instant>,
    pub last_dark: Option<Instant>,
    /// The browser died without a word.
    pub is_crashed: bool,
    /// When a packet of each stream came last that the browser could not take
    /// ([`Person::note_packet`]).
    pub refused: BTreeMap<Ssrc, Instant>,
    /// The number of each stream's first packet in this media session.
    pub first_numbers: BTreeMap<Ssrc, u16>,
    /// By when the server has forgotten the session of each nick at the latest, where that is
    /// later than others stop seeing it: whoever leaves says goodbye to the room first.
    pub sessions: BTreeMap<String, Instant>,
    /// A moderator asked for its removal.
    pub kicked: Option<Instant>,
    /// Alone in the room since then.
    pub alone_since: Option<Instant>,
}

/// What somebody had been told at the moment when it was in the room.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub has_focus: bool,
    pub has_metadata: bool,
}

impl Past {
    /// Something was switched off or on.
    pub fn switched(&mut self, kind: MediaKind, now: Instant) {
        self.switched.insert(kind, now);
    }
}

impl Person {
    /// Somebody with a browser that connects at once.
    pub fn new(index: usize, plan: &Plan, hosts: &Hosts, room: &RoomJid, now: Now) -> Person {
        let name = format!("Rosalind the {index}th of Arden");
        let octet = u8::try_from(10 + index % 200).expect("at most 209");
        let address = SocketAddr::new(
            IpAddr::V4(Ipv4Addr::new(198, 51, 100, octet)),
            u16::try_from(40_000 + index % 20_000).expect("at most 59,999"),
        );
        let mut person = Person {
            index,
            name,
            address,
            channel_kind: plan.channel,
            has_camera: plan.has_camera,
            habits: plan.habits.clone(),
            request: plan.request,
            camera: plan.camera,
            video: plan.video,
            client: None,
            wire: None,
            channel: None,
            up: Link::new(plan.quality, plan.link_seeds[0]),
            down: Link::new(plan.quality, plan.link_seeds[1]),
            latency: plan.quality.latency.as_millis() as u64,
            wake: Some(now.mono),
            past: Past::default(),
        };
        person.open_page(hosts, room, plan.seed, now);
        person
    }

    /// Opens the meeting's page, in the same browser on the same device as ever.
    pub fn open_page(&mut self, hosts: &Hosts, room: &RoomJid, seed: [u8; 32], now: Now) {
        let config = ClientConfig {
            domain: hosts.main().to_owned(),
            room: room.clone(),
            focus: jid::BareJid::from_parts(None, &hosts.name(tertulia_model::Host::Focus)).into(),
            display_name: self.name.clone(),
            machine_uid: format!("machine-of-person-{}", self.index),
            address: self.address,
            channel: self.channel_kind,
            request: self.request,
            audio_interval: Duration::from_millis(20),
            video: self.has_camera.then(|| {
                let video = (self.video)();
                let camera = self.camera.unwrap_or(video.camera);
                VideoConfig { camera, ..video }
            }),
            redial: Redial {
                min: Duration::from_millis(500),
                max: Duration::from_secs(4),
            },
            habits: self.habits.clone(),
        };
        self.client = Some(Client::new(config, seed, now));
        self.wake = Some(now.mono);
        self.past.is_crashed = false;
    }

    /// Whether the browser runs and its user has not left.
    pub fn is_taking_part(&self) -> bool {
        self.client.as_ref().is_some_and(|client| !client.is_over())
    }

    /// The nick under which the person is in the room now.
    pub fn nick(&self) -> Option<&str> {
        self.client.as_ref()?.nick()
    }

    /// Time until the bridge does what this person asks of it. On a data channel the request may
    /// be lost and sent again.
    pub fn obeyed_within(&self) -> Duration {
        match self.channel_kind {
            ChannelKind::WebSocket => Duration::from_millis(1_500),
            ChannelKind::Data => Duration::from_secs(5),
        }
    }

    /// Nobody may see this person under its present nick after `deadline`.
    pub fn expires(&mut self, deadline: Instant) {
        let nick = self.nick().map(str::to_owned);
        let past = &mut self.past;
        let known = past.nicks.iter_mut().chain(&mut past.strays);
        for (_, until) in known.filter(|(known, _)| Some(known) == nick.as_ref()) {
            *until = Some(until.map_or(deadline, |until| until.min(deadline)));
        }
        self.disturbed();
    }

    /// The server may hold the session under the present nick until `deadline`.
    pub fn may_be_held(&mut self, deadline: Instant) {
        if let Some(nick) = self.nick().map(str::to_owned) {
            let until = self.past.sessions.entry(nick).or_insert(deadline);
            *until = deadline.max(*until);
        }
    }

    /// A packet of a stream has come. It is not taken while nobody has announced the stream, nor
    /// if a later one came first.
    pub fn note_packet(&mut self, ssrc: Ssrc, number: u16, now: Instant) {
        let client = self.client.as_ref();
        let past = &mut self.past;
        if client.is_some_and(|client| client.expects_stream(ssrc)) {
            let first = *past.first_numbers.entry(ssrc).or_insert(number);
            if !(1..OVERTAKEN_MAX).contains(&first.wrapping_sub(number)) {
                return;
            }
        } else {
            past.first_numbers.remove(&ssrc);
        }
        past.refused.insert(ssrc, now);
    }

    /// The page is gone, and the server has not been told.
    pub fn is_lost_unseen(&mut self) {
        let nick = self.nick().map(str::to_owned);
        self.past.unseen.extend(nick);
    }

    /// Notes a name as soon as it is given; the one before may be seen until `deadline`.
    pub fn note_name(&mut self, deadline: Instant) {
        let Some(nick) = self.nick().map(str::to_owned) else {
            return;
        };
        if self
            .past
            .strays
            .last()
            .is_some_and(|(last, _)| *last == nick)
        {
            return;
        }
        for (_, until) in &mut self.past.strays {
            *until = until.or(Some(deadline));
        }
        self.past.strays.retain(|(old, _)| *old != nick);
        self.past.strays.push((nick, None));
    }

    /// Something happened after which things need a moment to be right again.
    pub fn disturbed(&mut self) {
        self.past.present_since = None;
        self.past.media_since = None;
    }
}

/// A first packet overtakes fewer than this.
const OVERTAKEN_MAX: u16 = 1_000;

/// How a person will take part.
pub struct Plan {
    pub channel: ChannelKind,
    pub request: RequestKind,
    pub has_camera: bool,
    pub habits: Habits,
    /// What cameras of this person send.
    pub video: fn() -> VideoConfig,
    /// Another camera than that makes.
    pub camera: Option<CameraMaker>,
    pub quality: Quality,
    pub seed: [u8; 32],
    pub link_seeds: [u64; 2],
}

/// As [`VideoConfig::camera`].
pub type CameraMaker = fn(
    tertulia_model::Ssrc,
    &[tertulia_client::media::Layer],
    Duration,
) -> Box<dyn tertulia_client::media::Camera>;

/// One line for the journal; facts only, no names, no keys, no times. None for what depends on
/// milliseconds.
pub fn describe(notice: &Notice) -> Option<String> {
    let word = match notice {
        // What loss does to streams; the checkers judge it.
        Notice::Flaw(..) => return None,
        Notice::Message { .. } => "Message",
        Notice::Reaction { .. } => "Reaction",
        Notice::Retracted { .. } => "Retracted",
        Notice::Json { .. } => "Json",
        Notice::EndpointMessage { .. } => "EndpointMessage",
        Notice::Knocked(_) => "Knocked",
        Notice::KnockEnded(_) => "KnockEnded",
        Notice::Moving(_) => "Moving",
        Notice::PromotionRequested { .. } => "PromotionRequested",
        Notice::Refused(Refusal::MembersOnly { .. }) => "Refused(MembersOnly)",
        Notice::MessageRefused { condition, .. } => {
            return Some(format!("MessageRefused({condition})"));
        }
        other => return Some(format!("{other:?}")),
    };
    Some(word.to_owned())
}
