//! The thinnest thread through every layer: two people, Opus and VP8, no faults.

use std::time::{Duration, Instant};

use tertulia_client::{ChannelKind, Habits, RequestKind, VideoConfig};
use tertulia_model::MediaType;
use tertulia_sim::checker::{Checkers, unhealed};
use tertulia_sim::network::Quality;
use tertulia_sim::node::{Census, NodeConfig};
use tertulia_sim::person::Plan;
use tertulia_sim::witness::Witness;
use tertulia_sim::world::World;

fn plan(index: u8, channel: ChannelKind) -> Plan {
    let latency = Duration::from_millis(20);
    Plan {
        channel,
        request: RequestKind::Iq,
        has_camera: true,
        video: VideoConfig::modest,
        camera: None,
        quality: Quality {
            latency,
            ..Quality::default()
        },
        habits: Habits::default(),
        seed: [index; 32],
        link_seeds: [1, 2],
    }
}

fn world() -> World {
    let config = NodeConfig::usual(([192, 0, 2, 1], 10_000).into());
    World::new(1, Instant::now(), config, Witness::default(), None)
}

fn pass(world: &mut World, checkers: &mut Checkers, millis: u64) {
    let end = world.clock.millis() + millis;
    while world.clock.millis() < end {
        world.run_until(world.clock.millis() + 100);
        checkers.check(world);
    }
}

#[test]
fn two_people_meet_and_part() {
    let (mut world, mut checkers) = (world(), Checkers::default());
    let romeo = world.join(&plan(1, ChannelKind::WebSocket));
    let juliet = world.join(&plan(2, ChannelKind::Data));
    pass(&mut world, &mut checkers, 5_000);
    assert_eq!(unhealed(&world), None, "{:#?}", world.journal.lines());
    for index in [romeo, juliet] {
        let client = world.people[index].client.as_ref().expect("still there");
        let sources = client.remote_sources();
        assert_eq!(sources.len(), 2, "audio and video of the other");
        for source in sources {
            let least = if source.media == MediaType::Audio {
                150
            } else {
                30
            };
            assert!(source.facts.frames > least, "{source:?}");
            assert_eq!(source.facts.lost, 0);
        }
    }
    world.leave(romeo);
    pass(&mut world, &mut checkers, 1_000);
    world.leave(juliet);
    pass(&mut world, &mut checkers, 30_000);
    assert_eq!(
        checkers.violations(),
        Vec::<String>::new(),
        "{:#?}",
        world.journal.lines()
    );
    assert_eq!(
        world.node().map(|node| node.census()),
        Some(Census::default())
    );
}
