//! How a call looks and sounds on bad networks: one lifelike meeting per network and size, on
//! virtual time, measured at its receivers. `make quality` prints the table.
//!
//! Everybody sends a camera, in three simulcast encodings or spatial layers, and a microphone, shows
//! one other person on stage and all others as thumbnails, and takes others' media by SSRC rewriting, as Jitsi's
//! clients do by default. Cameras do not adapt themselves as a browser's encoder would: narrow
//! networks are narrow on the way down only.

mod conditions;
mod gauge;
mod table;

use std::time::{Duration, Instant};

use tertulia_client::media::CameraCodec;
use tertulia_client::{ChannelKind, Comeback, Constraints, Habits, RequestKind, VideoConfig};

use crate::node::NodeConfig;
use crate::person::Plan;
use crate::witness::Witness;
use crate::world::World;

pub use conditions::{Conditions, NETWORKS};
pub use gauge::Findings;
pub use table::Table;

use gauge::Gauge;

/// One meeting to be measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    pub network: &'static Conditions,
    pub people: usize,
    /// What everybody's camera sends.
    pub codec: CameraCodec,
}

impl Trial {
    /// All, in the order of the table.
    pub fn all() -> Vec<Trial> {
        let sized = |network| SIZES.map(|people| (network, people));
        let meetings = NETWORKS.iter().flat_map(sized);
        let coded = |(network, people)| {
            CODECS.map(|codec| Trial {
                network,
                people,
                codec,
            })
        };
        meetings.flat_map(coded).collect()
    }

    /// Holds the meeting. `origin` is any moment; nothing depends on which.
    pub fn run(&self, origin: Instant) -> Findings {
        self.run_for(origin, MEASURED)
    }

    fn run_for(&self, origin: Instant, measured: Duration) -> Findings {
        // str0m draws what is not secret from the generator of this thread.
        fastrand::seed(SEED);
        let config = NodeConfig::usual(([192, 0, 2, 1], 10_000).into());
        let world = World::new(SEED, origin, config, Witness::default(), None);
        let mut meeting = Meeting {
            trial: *self,
            world,
            gauge: Gauge::default(),
            staged: vec![None; self.people],
        };
        meeting.hold(measured.as_millis() as u64)
    }
}

/// A meeting that is being measured.
struct Meeting {
    trial: Trial,
    world: World,
    gauge: Gauge,
    /// Whose picture each person shows in large, by nick.
    staged: Vec<Option<String>>,
}

impl Meeting {
    fn hold(&mut self, measured: u64) -> Findings {
        let mut rng = fastrand::Rng::with_seed(SEED);
        for index in 0..self.trial.people {
            self.join(index, &mut rng);
            self.pass(JOIN_EVERY, 0);
        }
        self.pass(SETTLED_AFTER, 0);
        self.gauge.begin(self.world.now().mono);
        self.pass(measured / 2, 0);
        // Somebody else is looked at.
        self.pass(measured / 2, 1);
        self.gauge.end(&self.world);
        // The last one that came walks out of reach for a moment.
        let last = self.trial.people - 1;
        self.world.set_blackout(last, true);
        self.pass(DARK, 1);
        self.world.set_blackout(last, false);
        self.gauge.returned(last, self.world.now().mono);
        self.pass(RECOVERY, 1);
        self.gauge.findings()
    }

    fn join(&mut self, index: usize, rng: &mut fastrand::Rng) {
        let mut seed = [0; 32];
        rng.fill(&mut seed);
        let plan = Plan {
            channel: ChannelKind::Data,
            request: RequestKind::Http,
            has_camera: true,
            habits: Habits {
                has_ssrc_rewriting: true,
                has_ice_restart: true,
                comeback: Comeback::Rebind,
                ..Habits::default()
            },
            video: match self.trial.codec {
                CameraCodec::Vp8 => || VideoConfig::lifelike(true),
                CameraCodec::Vp9 => VideoConfig::lifelike_scalable,
            },
            camera: None,
            quality: self.trial.network.quality,
            seed,
            link_seeds: [rng.u64(..), rng.u64(..)],
        };
        let person = self.world.join(&plan);
        // Two people talk.
        if index < 2 {
            self.world
                .with_client(person, |client, _| client.speak(true));
        }
        let opened = self.world.now().mono;
        self.gauge.opened(opened);
    }

    /// Lets time pass; who has the stage is on stage at everybody else's.
    fn pass(&mut self, millis: u64, stage: usize) {
        let end = self.world.clock.millis() + millis;
        while self.world.clock.millis() < end {
            let next = (self.world.clock.millis() + LOOK_EVERY).min(end);
            self.narrow();
            self.set_stage(stage);
            self.world.run_until(next);
            self.gauge.look(&self.world, &self.staged);
        }
    }

    /// The links of this moment.
    fn narrow(&mut self) {
        let elapsed = self.gauge.measured(self.world.now().mono);
        let bottleneck = self.trial.network.bottleneck(elapsed);
        for person in &mut self.world.people {
            if person.down.quality().bottleneck != bottleneck {
                person.down.set_bottleneck(bottleneck);
            }
        }
    }

    fn set_stage(&mut self, stage: usize) {
        for viewer in 0..self.world.people.len() {
            let shown = if viewer == stage { 1 - stage } else { stage };
            let nick = self.world.people.get(shown).and_then(|shown| shown.nick());
            let nick = nick.map(str::to_owned);
            if self.staged[viewer] == nick && nick.is_some() {
                continue;
            }
            let mut constraints = Constraints {
                default_height: i32::from(THUMBNAIL),
                ..Constraints::all()
            };
            if let Some(nick) = &nick {
                let source = format!("{nick}-v0");
                constraints.heights.insert(source.clone(), i32::from(STAGE));
                constraints.on_stage = vec![source];
            }
            let client = self.world.people[viewer].client.as_ref();
            if client.is_some_and(|client| *client.constraints() != constraints) {
                self.world.set_constraints(viewer, constraints);
            }
            self.staged[viewer] = nick;
        }
    }
}

const SEED: u64 = 4;
/// As many people as the goals speak of.
const SIZES: [usize; 4] = [2, 5, 10, 20];
const CODECS: [CameraCodec; 2] = [CameraCodec::Vp8, CameraCodec::Vp9];
/// Lines of a picture on stage, and of a thumbnail.
const STAGE: u16 = 720;
const THUMBNAIL: u16 = 180;
/// How long a meeting is measured after everybody has come, and how long it goes on after that.
const MEASURED: Duration = Duration::from_secs(40);
// Milliseconds.
const JOIN_EVERY: u64 = 300;
const SETTLED_AFTER: u64 = 2_000;
const DARK: u64 = 2_000;
const RECOVERY: u64 = 15_000;
const LOOK_EVERY: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(network: &str, people: usize, codec: CameraCodec) -> Findings {
        let network = NETWORKS.iter().find(|one| one.name == network).unwrap();
        let trial = Trial {
            network,
            people,
            codec,
        };
        trial.run_for(Instant::now(), Duration::from_secs(8))
    }

    fn nothing_is_wrong_on_a_good_network(codec: CameraCodec) -> Findings {
        let found = findings("good", 3, codec);
        assert!(
            found.first_picture_worst.unwrap() < Duration::from_secs(2),
            "{found:?}"
        );
        assert_eq!(found.freezes_per_minute, 0.0, "{found:?}");
        assert_eq!(found.audio_gaps_per_minute, 0.0, "{found:?}");
        assert_eq!(found.flaws, []);
        // Of eight seconds, two are in the dark, and what comes back begins small.
        assert!(found.wanted_share > 0.65, "{found:?}");
        assert!(
            found.back_after.unwrap() < Duration::from_secs(3),
            "{found:?}"
        );
        found
    }

    #[test]
    fn nothing_is_wrong_on_a_good_network_with_vp8() {
        nothing_is_wrong_on_a_good_network(CameraCodec::Vp8);
    }

    /// Who watches one spatial layer is sent that one alone, but at key pictures.
    #[test]
    fn nothing_is_wrong_on_a_good_network_with_vp9() {
        let found = nothing_is_wrong_on_a_good_network(CameraCodec::Vp9);
        let kbps = found.kilobits_per_second;
        assert!((1_200.0..2_200.0).contains(&kbps), "{found:?}");
    }

    #[test]
    fn what_is_lost_is_noticed() {
        let found = findings("loss 5 %", 3, CameraCodec::Vp8);
        assert!(found.freezes_per_minute > 0.0, "{found:?}");
        assert!(
            found.audio_gap_longest < Duration::from_secs(1),
            "{found:?}"
        );
        let found = findings("300 kbit/s ↔ 2 Mbit/s", 2, CameraCodec::Vp8);
        assert!(found.wanted_share < 0.6, "{found:?}");
        let found = findings("loss 15 %", 3, CameraCodec::Vp9);
        assert!(found.freezes_per_minute > 0.0, "{found:?}");
        assert_eq!(found.flaws, []);
    }
}
