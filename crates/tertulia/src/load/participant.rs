//! One participant with its sockets: what a browser with an open meeting is to the server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use tertulia_client::media::{Flaw, MediaTotals, Transmit};
use tertulia_client::{
    Client, ClientConfig, Habits, Notice, Output, Redial, Refusal, StreamFailure, Trouble,
    VideoConfig,
};
use tertulia_model::{MediaType, Now, RoomJid};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::connect::{ConnectError, Connector, WebSocket};
use super::discovery::Target;
use super::network::{Access, Datagram};
use super::udp::Udp;
use super::view::View;
use super::wire::{self, Wire, finished, next_text};
use super::{Audio, Load};

/// What all participants have in common.
pub(super) struct Common {
    pub(super) load: Load,
    pub(super) target: Target,
    pub(super) connector: Connector,
    /// From when send times in packets count.
    pub(super) epoch: Instant,
}

/// Who is to take part.
pub(super) struct Invitation {
    pub(super) room: RoomJid,
    /// Index of the room.
    pub(super) place: usize,
    /// Drawn anew for each participant.
    pub(super) seed: u64,
    pub(super) gauge: Arc<Gauge>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
}

/// What the conductor wants of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// What is measured counts from now.
    Begin,
    /// What is measured counts until now.
    End,
    Speak(bool),
    /// Goes on from another address, with new connections.
    ChangeNetwork,
    Leave,
    /// Without a goodbye.
    Vanish,
}

/// How far a participant has come, for everybody to see.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    stage: AtomicU8,
    /// RTP packets received.
    packets: AtomicU64,
}

/// Each one includes those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stage {
    #[default]
    Connecting,
    /// Logged in, asks for the conference.
    Asking,
    Joined,
    /// Has an offer for media.
    Invited,
    /// Media can flow.
    Connected,
    /// What there is to see, or to hear, is there.
    Playing,
}

impl Stage {
    const ALL: [Stage; 6] = [
        Stage::Connecting,
        Stage::Asking,
        Stage::Joined,
        Stage::Invited,
        Stage::Connected,
        Stage::Playing,
    ];
}

impl Gauge {
    /// How far it came.
    pub(super) fn stage(&self) -> Stage {
        let stage = Stage::ALL.get(usize::from(self.stage.load(Ordering::Relaxed)));
        stage.copied().unwrap_or_default()
    }

    /// RTP packets received so far.
    pub(super) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    fn reach(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
    }
}

/// What a participant counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) media: MediaTotals,
    /// RTP packets and bytes received, with retransmissions and padding: what the server sent and
    /// the network did not lose.
    pub(super) rtp_packets: u64,
    pub(super) rtp_bytes: u64,
    /// Mistakes in streams that no network explains.
    pub(super) flaws: u64,
    /// Streams that began without a key frame for those who moved or came meanwhile.
    pub(super) lost_starts: u64,
    /// Packets that no load generator sent.
    pub(super) foreign: u64,
    /// Datagrams that this system took not.
    pub(super) unsent: u64,
    /// XMPP connections that were lost and taken up again, or given up.
    pub(super) resumed: u64,
    pub(super) rebound: u64,
}

impl Sample {
    fn since(&self, earlier: &Sample) -> Sample {
        Sample {
            media: self.media.since(&earlier.media),
            rtp_packets: self.rtp_packets - earlier.rtp_packets,
            rtp_bytes: self.rtp_bytes - earlier.rtp_bytes,
            flaws: self.flaws - earlier.flaws,
            lost_starts: self.lost_starts - earlier.lost_starts,
            foreign: self.foreign - earlier.foreign,
            unsent: self.unsent - earlier.unsent,
            resumed: self.resumed - earlier.resumed,
            rebound: self.rebound - earlier.rebound,
        }
    }

    /// Counts what is wrong with a stream, unless its network explains it.
    fn count(&mut self, flaw: &Flaw, has_network: bool, is_churning: bool) {
        match flaw {
            // What arrived and what not is counted anyway.
            Flaw::Gap { .. } => {}
            // A stream's first picture may be lost like any other.
            Flaw::NoKeyAtStart { .. } if has_network => {}
            // Media may overtake the announcement of its stream, which waits for a socket that was
            // lost; what nobody has announced is not received.
            Flaw::NoKeyAtStart { .. } if is_churning => self.lost_starts += 1,
            Flaw::Unreadable => self.foreign += 1,
            _ => self.flaws += 1,
        }
    }

    /// Adds what another one counted.
    pub(super) fn merge(&mut self, other: &Sample) {
        self.media.merge(&other.media);
        self.rtp_packets += other.rtp_packets;
        self.rtp_bytes += other.rtp_bytes;
        self.flaws += other.flaws;
        self.lost_starts += other.lost_starts;
        self.foreign += other.foreign;
        self.unsent += other.unsent;
        self.resumed += other.resumed;
        self.rebound += other.rebound;
    }
}

/// What became of a participant.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) stage: Stage,
    /// The last thing that went wrong.
    pub(super) problem: Option<String>,
    /// From the first byte of signalling.
    pub(super) joined_after: Option<Duration>,
    pub(super) first_picture_after: Option<Duration>,
    pub(super) first_sound_after: Option<Duration>,
    /// Between begin and end.
    pub(super) window: Sample,
    /// How often each thing went wrong.
    pub(super) troubles: BTreeMap<String, u64>,
}

/// Takes part until it is told to leave.
pub(super) async fn take_part(common: Arc<Common>, invitation: Invitation) -> Record {
    let udp = match Udp::bind(common.target.local).await {
        Ok(udp) => udp,
        Err(error) => return Record::failed(socket_problem(&error)),
    };
    let address = match udp.address() {
        Ok(address) => address,
        Err(error) => return Record::failed(socket_problem(&error)),
    };
    let now = now();
    let config = config(&common, &invitation, address);
    let mut client = Client::new(config, seed(invitation.seed), now);
    client.measure_from(common.epoch);
    let access = Access::new(common.load.network, invitation.seed);
    let participant = Participant {
        query: format!("?room={}", invitation.room.name()),
        place: invitation.place,
        common,
        client,
        udp,
        access,
        wire: Wire::default(),
        channel: Wire::default(),
        request: None,
        gauge: invitation.gauge,
        orders: invitation.orders,
        sample: Sample::default(),
        begin: Sample::default(),
        window: None,
        dialled: None,
        joined: None,
        problem: None,
        troubles: BTreeMap::new(),
        view_due: None,
        speaker: None,
        look_due: now.mono + LOOK,
        gone_by: None,
    };
    Box::pin(participant.run()).await
}

struct Participant {
    common: Arc<Common>,
    place: usize,
    /// What its URLs end with.
    query: String,
    client: Client,
    udp: Udp,
    access: Option<Access>,
    wire: Wire,
    channel: Wire,
    request: Option<JoinHandle<Result<(u16, String), ConnectError>>>,
    gauge: Arc<Gauge>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// All but media, which is the client's.
    sample: Sample,
    begin: Sample,
    window: Option<Sample>,
    dialled: Option<Instant>,
    joined: Option<Instant>,
    problem: Option<String>,
    troubles: BTreeMap<String, u64>,
    /// When to ask anew for what is to be seen.
    view_due: Option<Instant>,
    /// Who is large on the stage.
    speaker: Option<String>,
    /// When to look whether there is something to see.
    look_due: Instant,
    /// When not to wait any more for the end of the goodbye.
    gone_by: Option<Instant>,
}

impl Participant {
    async fn run(mut self) -> Record {
        let mut sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        let mut is_more = false;
        loop {
            self.settle().await;
            if self.client.is_over() || self.gone_by.is_some_and(|by| by <= Instant::now()) {
                return self.record();
            }
            let wake = self.next_wake();
            if sleep.deadline().into_std() != wake {
                sleep.as_mut().reset(wake.into());
            }
            tokio::select! {
                () = self.udp.readable(), if !is_more => is_more = self.receive(),
                () = std::future::ready(()), if is_more => is_more = self.receive(),
                text = next_text(&mut self.wire.socket) => self.wire_said(text),
                text = next_text(&mut self.channel.socket) => self.channel_said(text),
                dialled = finished(&mut self.wire.dialling) => {
                    let is_open = self.take(dialled, |participant| &mut participant.wire);
                    match is_open {
                        true => self.client.handle_socket_opened(now()),
                        false => self.client.handle_socket_closed(now()),
                    }
                }
                dialled = finished(&mut self.channel.dialling) => {
                    let is_open = self.take(dialled, |participant| &mut participant.channel);
                    match is_open {
                        true => self.client.handle_channel_opened(now()),
                        false => self.client.handle_channel_closed(now()),
                    }
                }
                reply = finished(&mut self.request) => self.replied(reply),
                order = self.orders.recv() => match order {
                    Some(Order::Vanish) | None => return self.record(),
                    Some(order) => self.obey(order).await,
                },
                () = sleep.as_mut() => {}
            }
            let now = now();
            if wake <= now.mono {
                self.handle_timeout(now);
            }
        }
    }

    fn next_wake(&self) -> Instant {
        let access = self.access.as_ref().and_then(Access::next_timeout);
        let client = self.client.next_timeout();
        let dues = [access, client, self.view_due, self.gone_by];
        let wake = dues.into_iter().flatten().min();
        wake.map_or(self.look_due, |wake| wake.min(self.look_due))
    }

    fn handle_timeout(&mut self, now: Now) {
        if let Some(access) = &mut self.access {
            while let Some(datagram) = access.poll_sent(now.mono) {
                let is_sent = self.udp.send(datagram.peer, &datagram.contents);
                self.sample.unsent += u64::from(!is_sent);
            }
            while let Some(datagram) = access.poll_received(now.mono) {
                let Datagram { peer, contents } = datagram;
                self.client.handle_datagram(now, peer, &contents);
            }
        }
        if self
            .client
            .next_timeout()
            .is_some_and(|due| due <= now.mono)
        {
            self.client.handle_timeout(now);
        }
        if self.view_due.is_some_and(|due| due <= now.mono) {
            self.view_due = None;
            self.look_around(now);
        }
        if self.look_due <= now.mono {
            self.look_due = now.mono + LOOK;
            self.look();
        }
    }

    /// Datagrams; true if there may be more.
    fn receive(&mut self) -> bool {
        let now = now();
        let (client, access, sample) = (&mut self.client, &mut self.access, &mut self.sample);
        let is_more = self.udp.receive(|peer, contents| {
            if is_rtp(contents) {
                sample.rtp_packets += 1;
                sample.rtp_bytes += contents.len() as u64;
            }
            match access {
                None => client.handle_datagram(now, peer, contents),
                Some(access) => {
                    let contents = contents.to_vec();
                    access.receive(now.mono, Datagram { peer, contents });
                }
            }
        });
        self.gauge
            .packets
            .store(self.sample.rtp_packets, Ordering::Relaxed);
        if self.common.load.view == View::Stage
            && self.client.dominant_speaker() != self.speaker.as_deref()
        {
            self.speaker = self.client.dominant_speaker().map(str::to_owned);
            self.view_due.get_or_insert(now.mono + VIEW_DELAY);
        }
        is_more
    }

    fn wire_said(&mut self, text: Option<String>) {
        let now = now();
        match text {
            Some(text) => {
                let is_presence = text.starts_with("<presence");
                self.client.handle_frame(now, &text);
                if is_presence {
                    self.view_due.get_or_insert(now.mono + VIEW_DELAY);
                }
                if self.client.is_online() {
                    self.gauge.reach(Stage::Asking);
                }
            }
            None => {
                self.wire = Wire::default();
                self.trouble("the XMPP connection was lost".to_owned());
                self.client.handle_socket_closed(now);
            }
        }
    }

    fn channel_said(&mut self, text: Option<String>) {
        match text {
            Some(text) => self.client.handle_channel_text(now(), &text),
            None => {
                self.channel = Wire::default();
                self.client.handle_channel_closed(now());
            }
        }
    }

    /// Takes over a socket that was dialled.
    fn take(
        &mut self,
        dialled: Result<WebSocket, ConnectError>,
        wire: fn(&mut Participant) -> &mut Wire,
    ) -> bool {
        wire(self).dialling = None;
        match dialled {
            Ok(socket) => {
                wire(self).socket = Some(socket);
                true
            }
            Err(error) => {
                self.trouble(error.to_string());
                false
            }
        }
    }

    fn replied(&mut self, reply: Result<(u16, String), ConnectError>) {
        self.request = None;
        let reply = match &reply {
            Ok((status, body)) => Some((*status, body.as_str())),
            Err(error) => {
                self.trouble(error.to_string());
                None
            }
        };
        self.client.handle_http_reply(now(), reply);
    }

    async fn obey(&mut self, order: Order) {
        let now = now();
        match order {
            Order::Begin => self.begin = self.current(),
            Order::End => {
                let window = self.current().since(&self.begin);
                self.window.get_or_insert(window);
            }
            Order::Speak(is_speaking) => {
                if is_speaking && self.client.is_muted(MediaType::Audio) {
                    self.client.mute(now, MediaType::Audio, false);
                }
                self.client.speak(is_speaking);
            }
            Order::ChangeNetwork => self.change_network(now).await,
            Order::Leave => {
                self.gone_by.get_or_insert(now.mono + GOODBYE);
                self.client.leave(now);
            }
            Order::Vanish => {}
        }
    }

    /// As from Wi-Fi to mobile: the address is another, and all connections are gone.
    async fn change_network(&mut self, now: Now) {
        let bound = Udp::bind(self.common.target.local).await;
        match bound.and_then(|udp| Ok((udp.address()?, udp))) {
            Ok((address, udp)) => {
                self.udp = udp;
                self.client.move_to(now, address);
            }
            Err(error) => return self.trouble(socket_problem(&error)),
        }
        if self.common.target.has_ice_restart && self.client.is_in_call() {
            self.client.renew_path(now);
        }
        if self.wire.drop_out() {
            self.client.handle_socket_closed(now);
        }
        if self.channel.drop_out() {
            self.client.handle_channel_closed(now);
        }
    }

    async fn settle(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transmit(transmit),
                Output::Frame(text) => self.wire.send(text).await,
                Output::ChannelText(text) => self.channel.send(text).await,
                Output::Dial { previd } => {
                    self.dialled.get_or_insert_with(Instant::now);
                    let previd = previd.map(|id| format!("&previd={id}")).unwrap_or_default();
                    let url = format!("{}{}{previd}", self.common.target.websocket, self.query);
                    self.wire = Wire::dial(&self.common.connector, url, Some("xmpp"));
                }
                Output::CloseSocket { code } => self.wire.close(code).await,
                Output::ChannelDial { url } => {
                    self.channel = Wire::dial(&self.common.connector, url, None);
                }
                Output::ChannelClose => self.channel.close(wire::NORMAL).await,
                Output::HttpRequest { body } => {
                    let url = self.common.target.conference_request.clone();
                    let url = format!("{}{}", url.unwrap_or_default(), self.query);
                    let connector = self.common.connector.clone();
                    let post = async move { connector.post(&url, body).await };
                    self.request = Some(tokio::spawn(post));
                }
                Output::Notice(notice) => self.handle_notice(notice),
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        match &mut self.access {
            None => {
                let is_sent = self.udp.send(transmit.destination, &transmit.contents);
                self.sample.unsent += u64::from(!is_sent);
            }
            Some(access) => {
                let datagram = Datagram {
                    peer: transmit.destination,
                    contents: transmit.contents,
                };
                access.send(Instant::now(), datagram);
            }
        }
    }

    fn handle_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Joined => {
                self.joined.get_or_insert_with(Instant::now);
                self.gauge.reach(Stage::Joined);
                // Where newcomers begin muted, whoever wants to load the server unmutes.
                if self.common.load.video && self.client.is_muted(MediaType::Video) {
                    self.client.mute(now(), MediaType::Video, false);
                }
            }
            Notice::Invited => self.gauge.reach(Stage::Invited),
            Notice::MediaConnected => {
                self.gauge.reach(Stage::Connected);
                self.problem = None;
            }
            Notice::Resumed => self.sample.resumed += 1,
            Notice::ResumeRefused | Notice::Reloaded => self.sample.rebound += 1,
            Notice::Flaw(source, flaw) => {
                tracing::debug!(%source, ?flaw, "a stream is not what was sent");
                let has_network = self.access.is_some();
                self.sample
                    .count(&flaw, has_network, self.common.load.churn);
            }
            Notice::Refused(refusal) => self.trouble(refusal_text(&refusal)),
            Notice::Waiting => self.trouble(
                "the room has a lobby: let the participants in, or switch it off".to_owned(),
            ),
            Notice::Denied => self.trouble("a moderator turned it away".to_owned()),
            Notice::UnmuteForbidden(kind) | Notice::UnmuteRefused(kind, _) => {
                self.trouble(format!("may not switch on its {}", kind.as_str()));
            }
            Notice::Trouble(trouble) => self.trouble(trouble_text(&trouble)),
            _ => {}
        }
    }

    fn trouble(&mut self, text: String) {
        tracing::debug!(text, "trouble");
        if self.troubles.len() < TROUBLES_MAX || self.troubles.contains_key(&text) {
            *self.troubles.entry(text.clone()).or_default() += 1;
        }
        self.problem = Some(text);
    }

    /// Asks for what is to be seen.
    fn look_around(&mut self, now: Now) {
        if !self.client.is_joined() {
            return;
        }
        let load = &self.common.load;
        let speaker = self.speaker.as_deref();
        let wanted = load
            .view
            .constraints(self.client.nicks(), speaker, load.height);
        if wanted != *self.client.constraints() {
            self.client.set_constraints(now, wanted);
        }
    }

    /// Whether there is something to see, or to hear, for the first time.
    fn look(&self) {
        let stage = self.gauge.stage();
        if stage < Stage::Joined || stage == Stage::Playing {
            return;
        }
        let load = &self.common.load;
        let is_alone = load.participants == 1;
        let is_playing = if is_alone || !load.video && load.audio == Audio::None {
            is_alone || stage == Stage::Connected
        } else {
            let media = self.client.media_totals();
            let first = if load.video { media.video } else { media.audio };
            first.first_frame.is_some()
        };
        if is_playing {
            self.gauge.reach(Stage::Playing);
        }
    }

    fn current(&self) -> Sample {
        Sample {
            media: self.client.media_totals(),
            ..self.sample.clone()
        }
    }

    fn record(self) -> Record {
        let all = self.current();
        let after = |at: Option<Instant>| Some(at?.saturating_duration_since(self.dialled?));
        tracing::debug!(room = self.place, stage = ?self.gauge.stage(), "a participant is gone");
        Record {
            stage: self.gauge.stage(),
            joined_after: after(self.joined),
            first_picture_after: after(all.media.video.first_frame),
            first_sound_after: after(all.media.audio.first_frame),
            window: match self.window {
                Some(window) => window,
                None => all.since(&self.begin),
            },
            problem: self.problem,
            troubles: self.troubles,
        }
    }
}

impl Record {
    fn failed(problem: String) -> Record {
        Record {
            stage: Stage::Connecting,
            troubles: BTreeMap::from([(problem.clone(), 1)]),
            problem: Some(problem),
            joined_after: None,
            first_picture_after: None,
            first_sound_after: None,
            window: Sample::default(),
        }
    }
}

fn config(common: &Common, invitation: &Invitation, address: SocketAddr) -> ClientConfig {
    let (load, target) = (&common.load, &common.target);
    ClientConfig {
        domain: target.domain.clone(),
        room: invitation.room.clone(),
        focus: target.focus.clone(),
        display_name: format!("Load {:04x}", invitation.seed & 0xffff),
        machine_uid: format!("load-{:016x}", invitation.seed),
        address,
        channel: match load.channel {
            Some(channel) => channel.into(),
            None => target.channel,
        },
        request: target.request(),
        audio_interval: Duration::from_millis(20),
        video: load
            .video
            .then(|| VideoConfig::lifelike(load.has_simulcast())),
        redial: Redial {
            min: Duration::from_secs(1),
            max: Duration::from_secs(10),
        },
        habits: Habits {
            guest_domain: target.guest_domain.clone(),
            password: load.password.clone(),
            starts_audio_muted: load.audio == Audio::None,
            has_ssrc_rewriting: target.has_ssrc_rewriting,
            has_ice_restart: target.has_ice_restart,
            voice: load.audio.voice(),
            ..Habits::default()
        },
    }
}

fn seed(seed: u64) -> [u8; 32] {
    let mut random = fastrand::Rng::with_seed(seed);
    std::array::from_fn(|_| random.u8(..))
}

/// RTP, but not RTCP (RFC 5761).
fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, kind, ..] if !(192..224).contains(kind))
}

fn socket_problem(error: &std::io::Error) -> String {
    format!("no UDP socket ({error}); with too many open files raise the limit: ulimit -n 65536")
}

fn refusal_text(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Password => "the room has a password: add --password WORD".to_owned(),
        Refusal::MembersOnly { .. } => {
            "only members may join: switch the room's lobby off".to_owned()
        }
        Refusal::Login => "only people with an account may open the room; load one that \
                           somebody has opened, or let guests open rooms"
            .to_owned(),
        Refusal::Full => "the room is full (Tertulia: room.occupants)".to_owned(),
        Refusal::Other(condition) if condition.to_string() == "resource-constraint" => {
            "the server's limits are reached (Tertulia: [limits] and room.joins_waiting)".to_owned()
        }
        refusal => format!("the room refused to let it in: {refusal:?}"),
    }
}

fn trouble_text(trouble: &Trouble) -> String {
    match trouble {
        Trouble::RequestRefused(condition) => {
            let condition = condition.map(|c| c.to_string()).unwrap_or_default();
            format!("the conference was refused: {condition}")
        }
        Trouble::BridgeNotAvailable => "no bridge is available".to_owned(),
        Trouble::PathLost => "the media path was lost".to_owned(),
        Trouble::Stream(StreamFailure::LogIn) => {
            "the XMPP server lets no guests log in, and config.js names no hosts.anonymousdomain"
                .to_owned()
        }
        trouble => format!("{trouble:?}"),
    }
}

fn now() -> Now {
    Now {
        mono: Instant::now(),
        wall: Utc::now(),
    }
}

/// How often to look whether something has come.
const LOOK: Duration = Duration::from_millis(200);
/// Jitsi's application waits as long before it says what it wants to see.
const VIEW_DELAY: Duration = Duration::from_millis(100);
const GOODBYE: Duration = Duration::from_secs(5);
/// Different texts of trouble of one participant.
const TROUBLES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_network_explains_is_no_mistake_of_the_server() {
        let since = Instant::now();
        let gap = Flaw::Gap { missing: 1, since };
        let start = Flaw::NoKeyAtStart { since };
        let cut = Flaw::FrameCut { number: 7 };
        // With a network, with churn; then mistakes, lost starts and strangers' packets.
        for (flaw, has_network, is_churning, expected) in [
            (gap, false, false, [0, 0, 0]),
            (start, false, false, [1, 0, 0]),
            (start, false, true, [0, 1, 0]),
            (start, true, true, [0, 0, 0]),
            (cut, true, true, [1, 0, 0]),
            (Flaw::Unreadable, true, true, [0, 0, 1]),
        ] {
            let mut sample = Sample::default();
            sample.count(&flaw, has_network, is_churning);
            let counted = [sample.flaws, sample.lost_starts, sample.foreign];
            assert_eq!(counted, expected, "{flaw:?} {has_network} {is_churning}");
            let mut all = Sample::default();
            all.merge(&sample.since(&Sample::default()));
            assert_eq!([all.flaws, all.lost_starts, all.foreign], expected);
        }
    }
}
