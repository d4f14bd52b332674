//! What a participant asks to see, as Jitsi's application asks for it on a screen of 1080 lines.

use std::collections::BTreeMap;

use clap::ValueEnum;
use tertulia_client::Constraints;

/// How a participant has arranged the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum View {
    /// All alike, 25 at most
    Tile,
    /// Who speaks in large, the others in a row of thumbnails
    Stage,
}

impl View {
    /// What to ask for when these others are in the room. `height` is asked for each instead of
    /// what would fit.
    pub(super) fn constraints<'a>(
        self,
        others: impl Iterator<Item = &'a str>,
        speaker: Option<&str>,
        height: Option<i32>,
    ) -> Constraints {
        let mut shown: Vec<&str> = others.collect();
        let on_stage = match self {
            View::Tile => None,
            View::Stage => {
                let speaker = speaker.filter(|speaker| shown.contains(speaker));
                speaker.or(shown.first().copied())
            }
        };
        // Who speaks is always in sight.
        shown.sort_by_key(|nick| Some(*nick) != on_stage);
        shown.truncate(SHOWN_MAX);
        let fitting = match (self, shown.len()) {
            (_, 0 | 1) => 720,
            (View::Stage, _) => 180,
            (View::Tile, 2..=8) => 360,
            (View::Tile, _) => 180,
        };
        let heights = shown.iter().map(|nick| {
            let fitting = if Some(*nick) == on_stage {
                720
            } else {
                fitting
            };
            (source(nick), height.unwrap_or(fitting))
        });
        Constraints {
            last_n: -1,
            default_height: 0,
            heights: heights.collect::<BTreeMap<_, _>>(),
            on_stage: on_stage.map(source).into_iter().collect(),
        }
    }
}

/// The name of somebody's camera.
fn source(nick: &str) -> String {
    format!("{nick}-v0")
}

/// Five rows of five.
const SHOWN_MAX: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(view: View, count: usize, speaker: Option<&str>) -> Constraints {
        let nicks: Vec<String> = (0..count).map(|number| format!("{number:08x}")).collect();
        view.constraints(nicks.iter().map(String::as_str), speaker, None)
    }

    #[test]
    fn tiles_get_smaller_when_there_are_more() {
        for (count, height) in [(1, 720), (2, 360), (8, 360), (9, 180), (25, 180)] {
            let asked = ask(View::Tile, count, None);
            assert_eq!(asked.heights.len(), count);
            assert!(asked.heights.values().all(|h| *h == height), "{count}");
            assert_eq!(asked.height("unknown-v0"), 0);
        }
        assert_eq!(ask(View::Tile, 60, None).heights.len(), 25);
    }

    #[test]
    fn who_speaks_is_large_on_the_stage() {
        let asked = ask(View::Stage, 40, Some("00000027"));
        assert_eq!(asked.on_stage, ["00000027-v0"]);
        assert_eq!(asked.height("00000027-v0"), 720);
        assert_eq!(asked.heights.len(), 25);
        assert_eq!(asked.heights.values().filter(|h| **h == 180).count(), 24);
        let asked = ask(View::Stage, 3, Some("somebody who left"));
        assert_eq!(asked.on_stage, ["00000000-v0"]);
    }

    #[test]
    fn a_height_of_ones_own() {
        let asked = View::Tile.constraints(["a", "b"].into_iter(), None, Some(720));
        assert_eq!(asked.height("b-v0"), 720);
    }
}
