//! A meeting at random: who comes, what they do, what breaks, and how it ends.

mod everybody;
mod faults;
mod moderators;
mod reactions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_client::Client;

use crate::checker::{Checkers, unhealed};
use crate::coverage::{Coverage, Mark};
use crate::node::NodeConfig;
use crate::sabotage::Sabotage;
use crate::witness::Witness;
use crate::world::{Loss, World};

use reactions::Reaction;

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
        if self.violations != other.violations {
            let (a, b) = (&self.violations, &other.violations);
            return Some(format!("another run found {b:?} instead of {a:?}"));
        }
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
    /// What people are going to do about what they were told, each at its millisecond.
    reactions: Vec<(u64, Reaction)>,
    /// How often each person has tried to get in.
    attempts: BTreeMap<usize, usize>,
    /// When people did something last to make the meeting whole.
    tidied: BTreeMap<(usize, &'static str), u64>,
    /// When each person had another network last.
    renewed: BTreeMap<usize, u64>,
    /// Nobody comes before this millisecond.
    closed_until: u64,
    /// Everybody goes home; nobody is moved by anything any more.
    is_over: bool,
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
        let sabotage = options.sabotage;
        let kills_left = match sabotage {
            Some(Sabotage::LostJournal) => 2,
            _ => rng.u32(0..3),
        };
        Sim {
            world,
            checkers: Checkers::default(),
            rng,
            weather,
            sabotage,
            kills_left,
            doomed: None,
            reactions: Vec::new(),
            attempts: BTreeMap::new(),
            tidied: BTreeMap::new(),
            renewed: BTreeMap::new(),
            closed_until: 0,
            is_over: false,
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
            let pause = self.rng.u64(100..1_300);
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
        self.reactions.clear();
        let healing = HEALING.as_millis() as u64;
        let mut end = self.world.clock.millis() + healing;
        let mut whole = 0;
        while whole < 4 {
            self.tidy();
            end = end.max(self.closed_until + healing / 2);
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
        self.is_over = true;
        self.reactions.clear();
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
            self.react();
            let known = self.checkers.violations().len();
            self.checkers.check(&mut self.world);
            for violation in self.checkers.violations().iter().skip(known) {
                self.world.journal.remark(format_args!("!! {violation}"));
            }
            if next == end {
                return;
            }
        }
    }

    /// Something happens: a fault, something that anybody does, or that moderators do.
    fn something_happens(&mut self) {
        if !self.world.is_server_up() {
            // Down for a while.
            if self.rng.bool() {
                self.world.start_server();
            }
            return;
        }
        match self.rng.u32(0..100) {
            0..32 => self.fault(),
            32..62 => self.somebody_acts(),
            _ => self.somebody_moderates(),
        }
    }

    fn taking_part(&self) -> Vec<usize> {
        let people = self.world.people.iter();
        people
            .filter(|person| person.is_taking_part())
            .map(|person| person.index)
            .collect()
    }

    /// Those whose browser says so.
    fn those(&self, is_meant: impl Fn(&Client) -> bool) -> Vec<usize> {
        let people = self.world.people.iter();
        let meant = people.filter(|person| person.client.as_ref().is_some_and(&is_meant));
        meant.map(|person| person.index).collect()
    }

    fn choose<T: Clone>(&mut self, among: &[T]) -> Option<T> {
        self.rng.choice(among).cloned()
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
    conference.owner_patience = Duration::from_secs(8);
    conference.initial_timeout = Duration::from_secs(8);
    conference.rules.wrong_passwords_per_minute = 1_000;
    config.journal_linger = Duration::from_secs(20);
    rng.fill(&mut config.sealing_key);
    config
}

/// How often the checkers look, in milliseconds.
const STEP: u64 = 100;
const PEOPLE_MAX: usize = 6;
const HEALING: Duration = Duration::from_secs(90);
