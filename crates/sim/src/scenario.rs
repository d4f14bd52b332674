//! A meeting at random: who comes, what they do, what breaks, and how it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_client::{ChannelKind, Constraints, RequestKind, VideoConfig};
use tertulia_model::MediaType;

use crate::checker::{Checkers, unhealed};
use crate::coverage::{Coverage, Mark};
use crate::network::Quality;
use crate::node::NodeConfig;
use crate::person::Plan;
use crate::sabotage::Sabotage;
use crate::witness::Witness;
use crate::world::{Loss, World};

/// What is to be simulated, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub sabotage: Option<Sabotage>,
    /// Prints the journal and the log as they are written.
    pub is_loud: bool,
}

/// How a meeting went.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    /// Empty if everything held.
    pub violations: Vec<String>,
    pub coverage: Coverage,
    pub journal: Vec<String>,
    /// Virtual time.
    pub length: Duration,
}

impl Report {
    /// Where another run of the seed told another story.
    pub fn differs_from(&self, other: &Report) -> Option<String> {
        let (a, b) = (&self.journal, &other.journal);
        let line = (0..a.len().max(b.len())).find(|line| a.get(*line) != b.get(*line))?;
        let (a, b) = (a.get(line), b.get(line));
        Some(format!(
            "another story in another run, line {line}: {a:?} and {b:?}"
        ))
    }
}

/// One meeting, from a seed to its report.
pub struct Sim {
    world: World,
    checkers: Checkers,
    rng: fastrand::Rng,
    weather: Weather,
    sabotage: Option<Sabotage>,
    kills_left: u32,
    /// Whose path for media stays dead until the faults stop.
    doomed: Option<usize>,
}

/// The network of this meeting.
#[derive(Clone, Copy, Debug)]
enum Weather {
    /// No datagram is lost: every hole is our fault.
    Clear,
    /// Up to this share is lost.
    Lossy(f32),
}

impl Sim {
    /// Runs the meeting of this seed. `origin` is any moment; nothing depends on which.
    pub fn run(seed: u64, origin: Instant, options: &Options) -> Report {
        let witness = if options.is_loud {
            Witness::echoing()
        } else {
            Witness::default()
        };
        tracing::subscriber::with_default(witness.clone(), || {
            let mut sim = Sim::new(seed, origin, witness, options);
            sim.meet();
            sim.settle_down();
            sim.farewell();
            sim.report(seed)
        })
    }

    fn new(seed: u64, origin: Instant, witness: Witness, options: &Options) -> Sim {
        // str0m draws what is not secret from the generator of this thread.
        fastrand::seed(seed);
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x7e27);
        let config = node_config(&mut rng);
        let weather = match rng.u32(0..10) {
            0..4 => Weather::Clear,
            4..7 => Weather::Lossy(0.02),
            _ => Weather::Lossy(0.1),
        };
        let mut world = World::new(seed, origin, config, witness, options.sabotage);
        if options.is_loud {
            world.journal.echo();
        }
        let kills_left = rng.u32(0..3);
        let sabotage = options.sabotage;
        Sim {
            world,
            checkers: Checkers::default(),
            rng,
            weather,
            sabotage,
            kills_left,
            doomed: None,
        }
    }

    /// People come, and things happen to them.
    fn meet(&mut self) {
        let people = self.rng.usize(2..5);
        for _ in 0..people {
            self.join();
            let pause = self.rng.u64(50..1_500);
            self.pass(pause);
        }
        // Sometimes somebody's path for media dies for so long that a new one is asked for.
        let has_dead_path = self.rng.u32(0..10) == 0;
        let length = self.rng.u64(14_000..24_000) + if has_dead_path { 16_000 } else { 0 };
        let end = self.world.clock.millis() + length;
        if has_dead_path {
            let everybody = self.taking_part();
            self.doomed = self.choose(&everybody);
        }
        if let Some(doomed) = self.doomed {
            self.world.set_blackout(doomed, true);
        }
        let mut sabotage = self.sabotage;
        while self.world.clock.millis() < end {
            let pause = self.rng.u64(200..2_200);
            self.pass(pause);
            if let (Some(sabotage), Some(person)) = (sabotage.take(), self.world.people.first()) {
                sabotage.strike(&person.name);
            }
            self.something_happens();
        }
    }

    /// The faults stop; the meeting must become whole again by itself.
    fn settle_down(&mut self) {
        self.world.journal.note(format_args!("faults stop"));
        if !self.world.is_server_up() {
            self.world.start_server();
        }
        for index in 0..self.world.people.len() {
            let person = &self.world.people[index];
            if person.up.is_dark {
                self.world.set_blackout(index, false);
            }
            let person = &mut self.world.people[index];
            person.up.set_loss(0.0);
            person.down.set_loss(0.0);
        }
        if self.taking_part().len() < 2 {
            self.join();
            self.join();
        }
        let end = self.world.clock.millis() + HEALING.as_millis() as u64;
        let mut whole = 0;
        while whole < 4 {
            self.pass(500);
            whole = if unhealed(&self.world).is_none() {
                whole + 1
            } else {
                0
            };
            if self.world.clock.millis() > end {
                let what = unhealed(&self.world).unwrap_or_default();
                self.checkers
                    .complain(format!("the meeting does not heal: {what}"));
                return;
            }
        }
    }

    /// Everybody goes, one way or another, sometimes with one who stays a while; nothing may be
    /// left.
    fn farewell(&mut self) {
        self.world.journal.note(format_args!("farewell"));
        let mut leaving = self.taking_part();
        let last = leaving.pop();
        self.send_home(&leaving);
        if self.rng.bool() || self.sabotage == Some(Sabotage::EndlessSessions) {
            let alone = self
                .world
                .config
                .conference
                .focus
                .single_participant_timeout;
            self.pass(alone.as_millis() as u64 + 6_000);
        }
        self.send_home(last.as_slice());
        // Whoever crashed a moment ago still has its lease, and the room waits for it.
        let wait = self.world.linger(Loss::Silent) + Duration::from_secs(5);
        let end = self.world.clock.millis() + wait.as_millis() as u64;
        while self.world.clock.millis() < end && !self.is_empty() {
            self.pass(500);
        }
        self.checkers.claim_7_nothing_is_left(&self.world);
    }

    fn send_home(&mut self, people: &[usize]) {
        for index in people.iter().copied() {
            if self.rng.u32(0..3) == 0 {
                self.world.close_tab(index);
            } else {
                self.world.leave(index);
            }
            let pause = self.rng.u64(0..400);
            self.pass(pause);
        }
    }

    fn is_empty(&self) -> bool {
        self.world
            .node()
            .is_some_and(|node| node.census() == Default::default())
    }

    fn report(mut self, seed: u64) -> Report {
        for person in &self.world.people {
            for link in [&person.up, &person.down] {
                self.world.coverage.add(Mark::DatagramLoss, link.counts().1);
            }
        }
        Report {
            seed,
            violations: self.checkers.violations().to_vec(),
            coverage: self.world.coverage.clone(),
            journal: self.world.journal.lines().to_vec(),
            length: self.world.clock.elapsed(),
        }
    }

    /// Lets time pass, looking at everything ten times a second.
    fn pass(&mut self, millis: u64) {
        let end = self.world.clock.millis() + millis;
        loop {
            let next = (self.world.clock.millis() + STEP).min(end);
            self.world.run_until(next);
            self.checkers.check(&mut self.world);
            if next == end {
                return;
            }
        }
    }

    fn something_happens(&mut self) {
        let everybody = self.taking_part();
        if !self.world.is_server_up() {
            // Down for a while.
            if self.rng.bool() {
                self.world.start_server();
            }
            return;
        }
        match self.rng.u32(0..100) {
            0..10 if everybody.len() < PEOPLE_MAX => drop(self.join()),
            10..16 if everybody.len() > 1 => self.somebody_goes(&everybody),
            16..22 if everybody.len() > 1 => self.somebody_crashes(&everybody),
            22..34 => self.somebody_loses_its_socket(&everybody),
            34..40 if self.kills_left > 0 => self.server_goes(),
            40..52 => self.somebody_switches(&everybody),
            52..55 if everybody.len() > 2 => self.moderator_kicks(&everybody),
            55..75 => self.somebody_chooses(&everybody),
            75..90 => self.somebody_speaks(&everybody),
            90..94 => self.media_breaks(&everybody),
            _ => self.weather_changes(&everybody),
        }
    }

    fn join(&mut self) -> usize {
        let ms = Duration::from_millis;
        let latency = self.rng.u64(3..60);
        let loss = self.draw_loss();
        let quality = Quality {
            latency: ms(latency),
            jitter: ms(self.rng.u64(0..=latency.min(15))),
            loss: self.sabotage.map_or(loss, |sabotage| sabotage.loss(loss)),
            reorder_gap: (self.rng.u32(0..4) == 0).then(|| self.rng.u32(8..40)),
        };
        let camera = self.sabotage.and_then(Sabotage::camera);
        let is_socket = self.rng.bool() || self.sabotage == Some(Sabotage::IgnoredConstraints);
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let plan = Plan {
            channel: if is_socket {
                ChannelKind::WebSocket
            } else {
                ChannelKind::Data
            },
            request: if self.rng.bool() {
                RequestKind::Iq
            } else {
                RequestKind::Http
            },
            has_camera: self.rng.u32(0..6) > 0,
            camera: camera.unwrap_or(VideoConfig::modest().camera),
            quality,
            seed,
            link_seeds: [self.rng.u64(..), self.rng.u64(..)],
        };
        self.world.join(&plan)
    }

    fn draw_loss(&mut self) -> f32 {
        match self.weather {
            Weather::Clear => 0.0,
            Weather::Lossy(most) => self.rng.f32() * most,
        }
    }

    fn somebody_goes(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        if self.rng.bool() {
            self.world.leave(index);
        } else {
            self.world.close_tab(index);
        }
    }

    fn somebody_crashes(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let loss = if self.rng.bool() {
            Loss::Silent
        } else {
            Loss::Seen
        };
        self.world.crash(index, loss);
    }

    fn somebody_loses_its_socket(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let loss = match self.rng.u32(0..5) {
            0 => Loss::Silent,
            1 | 2 => Loss::SeenByBrowser,
            _ => Loss::Seen,
        };
        self.world.lose_socket(index, loss);
    }

    fn server_goes(&mut self) {
        self.kills_left -= 1;
        match self.rng.u32(0..5) {
            0 | 1 => self.world.stop_server(),
            2 => self.world.kill_server(Loss::Silent),
            _ => self.world.kill_server(Loss::Seen),
        }
        let down = self.rng.u64(300..3_000);
        self.pass(down);
        self.world.start_server();
    }

    fn somebody_switches(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let media = if self.rng.bool() {
            MediaType::Audio
        } else {
            MediaType::Video
        };
        self.world.switch(index, media);
    }

    fn moderator_kicks(&mut self, everybody: &[usize]) {
        let is_moderator = |index: &usize| {
            let client = self
                .world
                .people
                .get(*index)
                .and_then(|person| person.client.as_ref());
            client.is_some_and(|client| client.is_joined() && client.is_moderator())
        };
        let Some(moderator) = everybody.iter().copied().find(is_moderator) else {
            return;
        };
        let others: Vec<usize> = everybody
            .iter()
            .copied()
            .filter(|i| *i != moderator)
            .collect();
        if let Some(victim) = self.choose(&others) {
            self.world.kick(moderator, victim);
        }
    }

    fn somebody_chooses(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let mut constraints = Constraints::all();
        let heights = [0, 90, 180, 360, 720, -1];
        constraints.default_height = self.rng.choice(heights).unwrap_or(-1);
        let nicks: Vec<String> = everybody
            .iter()
            .filter_map(|other| self.world.people[*other].nick().map(str::to_owned))
            .collect();
        for nick in nicks {
            if self.rng.bool() {
                let height = self.rng.choice(heights).unwrap_or(-1);
                constraints.heights.insert(format!("{nick}-v0"), height);
            }
        }
        if self.rng.u32(0..3) == 0 {
            constraints.last_n = self.rng.i32(0..4);
            self.world.coverage.count(Mark::LastN);
        }
        self.world.coverage.count(Mark::Constraints);
        self.world.journal.note(format_args!("p{index} chooses"));
        self.world.set_constraints(index, constraints);
    }

    fn somebody_speaks(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        if self.rng.u32(0..4) == 0 {
            let text = format!("a secret of person {index}");
            self.world.witness.keep_private(&text);
            self.world
                .with_client(index, |client, now| client.say(now, &text));
            return;
        }
        self.world.journal.note(format_args!("p{index} speaks"));
        for other in everybody {
            let is_speaking = *other == index;
            self.world
                .with_client(*other, |client, _| client.speak(is_speaking));
        }
    }

    fn media_breaks(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let is_dark = self.world.people[index].up.is_dark;
        if self.doomed != Some(index) {
            self.world.set_blackout(index, !is_dark);
        }
    }

    fn weather_changes(&mut self, everybody: &[usize]) {
        for index in everybody {
            let loss = self.draw_loss();
            let person = &mut self.world.people[*index];
            let loss = self.sabotage.map_or(loss, |sabotage| sabotage.loss(loss));
            person.up.set_loss(loss);
            person.down.set_loss(loss);
        }
    }

    fn taking_part(&self) -> Vec<usize> {
        let people = self.world.people.iter();
        people
            .filter(|person| person.is_taking_part())
            .map(|person| person.index)
            .collect()
    }

    fn choose(&mut self, among: &[usize]) -> Option<usize> {
        self.rng.choice(among).copied()
    }
}

/// The usual server, with times short enough for a short meeting.
fn node_config(rng: &mut fastrand::Rng) -> NodeConfig {
    let mut config = NodeConfig::usual(([192, 0, 2, 1], 10_000).into());
    let stream = Arc::get_mut(&mut config.stream).expect("nobody else has it yet");
    stream.lease = Duration::from_secs(12);
    stream.liveness_ping_after = Duration::from_secs(4);
    stream.liveness_timeout = Duration::from_secs(4);
    let conference = Arc::get_mut(&mut config.conference).expect("nobody else has it yet");
    conference.focus.single_participant_timeout = Duration::from_secs(5);
    rng.fill(&mut config.sealing_key);
    config
}

/// How often the checkers look, in milliseconds.
const STEP: u64 = 100;
const PEOPLE_MAX: usize = 6;
const HEALING: Duration = Duration::from_secs(60);
