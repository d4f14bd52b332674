//! Who gets how much of a receiver's bandwidth. Pure: demands in, grants out.
//!
//! The algorithm is Jitsi Videobridge's (`BandwidthAllocator`, `SingleSourceAllocation`), so that
//! clients find the behaviour they are tuned for. Sources are raised step by step in the order of
//! priority, round after round, until nothing fits any more; a source on stage is brought to its
//! preferred layer before anything else is raised.

/// One encoding, spatial and temporal layer of a source. Layers are listed from low to high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layer {
    pub(crate) encoding: u8,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    pub(crate) height: u32,
    /// 0 is not known.
    pub(crate) fps: f32,
    /// Of it and all that it depends on.
    pub(crate) bitrate_bps: u64,
    /// Whether the sender sends it now.
    pub(crate) is_active: bool,
}

/// What a receiver wants of one source.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// In lines; −1 is unlimited, 0 is nothing.
    pub(crate) max_height: i32,
    pub(crate) is_on_stage: bool,
    pub(crate) is_desktop: bool,
    pub(crate) layers: Vec<Layer>,
}

impl Demand {
    /// Whether anything is wanted that is there.
    pub(crate) fn is_for_something(&self) -> bool {
        self.max_height != 0 && self.layers.iter().any(|layer| layer.is_active)
    }
}

/// What it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Grant {
    pub(crate) target: Option<Layer>,
    /// What it would get if bandwidth did not matter.
    pub(crate) ideal: Option<Layer>,
    /// The layer above the target, if there is one worth having.
    pub(crate) next: Option<Layer>,
}

/// The grants in the order of the demands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Allocation {
    pub(crate) grants: Vec<Grant>,
    /// More is granted than is available (a shared screen on stage).
    pub(crate) is_oversending: bool,
}

impl Allocation {
    /// The sum of what is granted.
    pub(crate) fn target_bps(&self) -> u64 {
        let targets = self.grants.iter().filter_map(|grant| grant.target);
        targets.map(|layer| layer.bitrate_bps).sum()
    }

    /// The sum of what would be granted if bandwidth did not matter.
    pub(crate) fn ideal_bps(&self) -> u64 {
        let ideals = self.grants.iter().filter_map(|grant| grant.ideal);
        ideals.map(|layer| layer.bitrate_bps).sum()
    }

    /// What it would take to raise the first source that can be raised.
    pub(crate) fn next_bps(&self) -> Option<u64> {
        let raised = self.grants.iter().find_map(|grant| {
            let before = grant.target.map_or(0, |layer| layer.bitrate_bps);
            Some(grant.next?.bitrate_bps.saturating_sub(before))
        })?;
        Some(self.target_bps() + raised)
    }
}

/// Divides `available_bps` among `demands`, which stand in the order of priority.
pub(crate) fn allocate(available_bps: u64, oversend_bps: u64, demands: &[Demand]) -> Allocation {
    let mut rises: Vec<Rise> = demands.iter().map(Rise::new).collect();
    let mut left = i64::try_from(available_bps).unwrap_or(i64::MAX / 4);
    let mut is_oversending = false;
    let oversend = i64::try_from(oversend_bps).unwrap_or(0);
    let steps_max = 1 + rises.iter().map(|rise| rise.layers.len()).sum::<usize>();
    for _ in 0..steps_max {
        let before = left;
        for (place, rise) in rises.iter_mut().enumerate() {
            let available = left.saturating_add(rise.bitrate());
            let may_exceed = if place == 0 { oversend } else { 0 };
            rise.step(available, may_exceed);
            left = available.saturating_sub(rise.bitrate());
            is_oversending |= left < 0;
            if rise.is_on_stage && rise.is_below_preferred() {
                break;
            }
        }
        if left == before {
            break;
        }
    }
    Allocation {
        is_oversending,
        grants: rises.iter().map(Rise::grant).collect(),
    }
}

/// How many voices a receiver hears that wants a picture too; None where that is all. Voices come
/// first: only where all of them are more than there is are some left out, and then so many that
/// there is room for a picture, but at least `least` are heard. `voices_bps` is what each takes, the
/// dearest first, and `before` what was decided last: more are heard only where they fit easily.
///
/// Jitsi's bridge sends all of them always. Where ten microphones are open that is more than half a
/// megabit per second, and a link that has no more carries neither pictures nor one whole voice.
pub(crate) fn voices_that_fit(
    voices_bps: &[u64],
    available_bps: u64,
    least: usize,
    before: Option<usize>,
) -> Option<usize> {
    let fitting = |room: u64| {
        let mut sum = 0;
        let fit = voices_bps.iter().take_while(|bps| {
            sum += **bps;
            sum <= room
        });
        fit.count()
    };
    if before.is_none() && voices_bps.iter().sum::<u64>() <= available_bps {
        return None;
    }
    let room = available_bps / 100 * VOICES_PERCENT;
    let fit = fitting(room).max(least);
    let most = match before {
        Some(before) if fit > before => fitting(room / 100 * EASILY_PERCENT).max(before).max(least),
        _ => fit,
    };
    (most < voices_bps.len()).then_some(most)
}

/// One source on its way up.
struct Rise {
    /// The layers that come into question.
    layers: Vec<Layer>,
    target: Option<usize>,
    preferred: Option<usize>,
    oversend: Option<usize>,
    is_on_stage: bool,
}

impl Rise {
    fn new(demand: &Demand) -> Rise {
        let (layers, preferred, oversend) = considered(demand);
        Rise {
            layers,
            target: None,
            preferred,
            oversend,
            is_on_stage: demand.is_on_stage,
        }
    }

    fn bitrate_of(&self, index: usize) -> i64 {
        let layer = self.layers.get(index);
        layer.map_or(0, |layer| {
            i64::try_from(layer.bitrate_bps).unwrap_or(i64::MAX / 4)
        })
    }

    fn bitrate(&self) -> i64 {
        self.target.map_or(0, |target| self.bitrate_of(target))
    }

    fn is_below_preferred(&self) -> bool {
        self.target < self.preferred
    }

    fn step(&mut self, available: i64, may_exceed: i64) {
        match (self.target, self.preferred) {
            (None, Some(preferred)) if self.is_on_stage => {
                self.target = (0..=preferred)
                    .take_while(|index| self.bitrate_of(*index) <= available)
                    .last();
            }
            _ => {
                let next = self.target.map_or(0, |target| target + 1);
                if next < self.layers.len() && self.bitrate_of(next) < available {
                    self.target = Some(next);
                }
            }
        }
        // Among layers that cost no more the lowest wins: the scan goes on to the end.
        if let Some(begun) = self.target {
            for index in (begun + 1..self.layers.len()).rev() {
                if self.bitrate_of(index) <= self.bitrate() {
                    self.target = Some(index);
                }
            }
        }
        if let Some(oversend) = self.oversend.filter(|_| may_exceed > 0) {
            let above = self.target.map_or(0, |target| target + 1);
            for index in (above..=oversend).rev() {
                if self.bitrate_of(index) <= available.saturating_add(may_exceed) {
                    self.target = Some(index);
                }
            }
        }
    }

    fn grant(&self) -> Grant {
        let layer = |index: usize| self.layers.get(index).copied();
        Grant {
            target: self.target.and_then(layer),
            ideal: self.layers.last().copied(),
            next: layer(self.target.map_or(0, |target| target + 1)),
        }
    }
}

/// The layers that come into question, the index of the preferred one, and the index up to which
/// more than is available may be sent.
fn considered(demand: &Demand) -> (Vec<Layer>, Option<usize>, Option<usize>) {
    if demand.max_height == 0 || demand.layers.is_empty() {
        return (Vec::new(), None, None);
    }
    let max_height = u32::try_from(demand.max_height).unwrap_or(u32::MAX);
    let has_active = demand.layers.iter().any(|layer| layer.is_active);
    let active: Vec<Layer> = demand
        .layers
        .iter()
        .copied()
        .filter(|layer| layer.is_active || !has_active)
        .collect();
    let lowest = active.iter().map(|layer| layer.height).min().unwrap_or(0);
    if demand.is_desktop {
        return considered_desktop(active, lowest, max_height, demand.is_on_stage);
    }
    let (preferred_height, least_fps) = if max_height > THUMBNAIL_HEIGHT {
        // A camera that is slower by itself is not to blame for it.
        let fastest = demand.layers.iter().map(|layer| layer.fps);
        let fastest = fastest.fold(0.0, f32::max);
        let is_slower = fastest > 0.0 && fastest < PREFERRED_FPS;
        let least = if is_slower { fastest } else { PREFERRED_FPS };
        (PREFERRED_HEIGHT, least)
    } else {
        (0, 0.0)
    };
    let layers: Vec<Layer> = active
        .into_iter()
        .filter(|layer| {
            let is_fast = layer.fps <= 0.0 || layer.fps >= least_fps;
            layer.height < preferred_height
                || (layer.height <= max_height && is_fast)
                || layer.height == lowest
        })
        .collect();
    let preferred = layers
        .iter()
        .rposition(|layer| layer.height <= preferred_height.max(lowest));
    (layers, preferred, None)
}

fn considered_desktop(
    active: Vec<Layer>,
    lowest: u32,
    max_height: u32,
    is_on_stage: bool,
) -> (Vec<Layer>, Option<usize>, Option<usize>) {
    let height = if lowest <= max_height {
        max_height
    } else {
        lowest
    };
    let mut layers: Vec<Layer> = active
        .into_iter()
        .filter(|layer| layer.height <= height)
        .collect();
    let is_unknown = layers.first().is_some_and(|layer| layer.fps <= 0.0);
    if lowest > max_height && !is_on_stage && is_unknown {
        // VP9's encodings of one size differ in quality: a small picture gets the least.
        layers.truncate(1);
    }
    let preferred = layers.len().checked_sub(1);
    let top = layers.iter().map(|layer| layer.height).max();
    let cheapest_of_top = layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| Some(layer.height) == top)
        .min_by_key(|(_, layer)| layer.bitrate_bps)
        .map(|(index, _)| index);
    (layers, preferred, cheapest_of_top.filter(|_| is_on_stage))
}

/// What voices may take of what there is, where some are left out and a picture is wanted too.
const VOICES_PERCENT: u64 = 80;
/// What they may take of that when there are to be more of them.
const EASILY_PERCENT: u64 = 85;
/// Up to this height any frame rate is good enough.
const THUMBNAIL_HEIGHT: u32 = 180;
/// Above it, resolution comes before frame rate up to here, and frame rate before more resolution.
const PREFERRED_HEIGHT: u32 = 360;
const PREFERRED_FPS: f32 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Three encodings with three temporal layers each, bitrates in kbit/s.
    fn camera(kbps: [u64; 9]) -> Vec<Layer> {
        (0u8..9)
            .zip(kbps)
            .map(|(index, kbps)| Layer {
                encoding: index / 3,
                spatial: 0,
                temporal: index % 3,
                height: 180 << (index / 3),
                fps: [7.5, 15.0, 30.0][usize::from(index % 3)],
                bitrate_bps: kbps * 1_000,
                is_active: kbps > 0,
            })
            .collect()
    }

    const USUAL: [u64; 9] = [50, 100, 150, 150, 300, 500, 600, 1_000, 1_500];

    fn demand(max_height: i32, is_on_stage: bool, layers: Vec<Layer>) -> Demand {
        Demand {
            max_height,
            is_on_stage,
            is_desktop: false,
            layers,
        }
    }

    /// `height/temporal` per source, `-` for nothing.
    fn granted(available_kbps: u64, demands: &[Demand]) -> String {
        let allocation = allocate(available_kbps * 1_000, 500_000, demands);
        let shown = |grant: &Grant| {
            grant.target.map_or("-".into(), |layer| {
                format!("{}/{}", layer.height, layer.temporal)
            })
        };
        let grants: Vec<String> = allocation.grants.iter().map(shown).collect();
        grants.join(" ")
    }

    #[test]
    fn stage_gets_its_preferred_layer_before_thumbnails_get_any() {
        let room = [
            demand(720, true, camera(USUAL)),
            demand(180, false, camera(USUAL)),
            demand(180, false, camera(USUAL)),
        ];
        let table = [
            (40, "- - -"),
            (60, "180/0 - -"),
            (200, "180/2 - -"),
            (400, "180/2 - -"),
            (510, "360/2 - -"),
            (600, "360/2 180/0 -"),
            (700, "360/2 180/1 180/0"),
            (900, "360/2 180/2 180/2"),
            (1_700, "720/2 180/1 180/0"),
            (2_000, "720/2 180/2 180/2"),
        ];
        for (kbps, expected) in table {
            assert_eq!(granted(kbps, &room), expected, "{kbps} kbit/s");
        }
    }

    #[test]
    fn tiles_rise_together() {
        let room: Vec<Demand> = (0..4).map(|_| demand(180, false, camera(USUAL))).collect();
        let table = [
            (220, "180/0 180/0 180/0 180/0"),
            (320, "180/1 180/1 180/0 180/0"),
            (420, "180/1 180/1 180/1 180/1"),
            (10_000, "180/2 180/2 180/2 180/2"),
        ];
        for (kbps, expected) in table {
            assert_eq!(granted(kbps, &room), expected, "{kbps} kbit/s");
        }
    }

    #[test]
    fn heights_bound_what_is_considered() {
        for (max_height, expected) in [
            (0, "-"),
            (90, "180/2"),
            (180, "180/2"),
            (360, "360/2"),
            (719, "360/2"),
            (720, "720/2"),
            (-1, "720/2"),
        ] {
            let room = [demand(max_height, false, camera(USUAL))];
            assert_eq!(granted(10_000, &room), expected, "{max_height} lines");
        }
    }

    #[test]
    fn layers_that_are_not_sent_are_not_considered() {
        let mut stopped = USUAL;
        stopped[6..].fill(0);
        assert_eq!(
            granted(10_000, &[demand(720, true, camera(stopped))]),
            "360/2"
        );
        let only_high = [0, 0, 0, 0, 0, 0, 600, 1_000, 1_500];
        assert_eq!(
            granted(10_000, &[demand(180, false, camera(only_high))]),
            "720/2"
        );
        assert_eq!(
            granted(700, &[demand(180, false, camera(only_high))]),
            "720/0"
        );
    }

    #[test]
    fn a_source_without_known_bitrates_gets_a_low_layer_at_once() {
        let unknown = camera([0; 9]);
        assert_eq!(
            granted(100, &[demand(720, false, unknown.clone())]),
            "180/1"
        );
        // Preferred is 360/2, and one more on stage.
        assert_eq!(granted(100, &[demand(720, true, unknown)]), "720/2");
    }

    #[test]
    fn a_dearer_low_layer_is_jumped_over() {
        let odd = [50, 100, 400, 150, 300, 380, 600, 1_000, 1_500];
        assert_eq!(granted(420, &[demand(360, false, camera(odd))]), "360/2");
    }

    #[test]
    fn a_screen_on_stage_may_exceed_what_is_available() {
        let screen = |is_on_stage| Demand {
            max_height: -1,
            is_on_stage,
            is_desktop: true,
            layers: camera([0, 0, 0, 0, 0, 0, 300, 500, 800]),
        };
        assert_eq!(granted(100, &[screen(false)]), "-");
        assert_eq!(granted(350, &[screen(true)]), "720/0");
        let two = [
            Demand {
                layers: camera([0, 0, 0, 200, 250, 300, 600, 700, 800]),
                ..screen(true)
            },
            demand(180, false, camera(USUAL)),
        ];
        let allocation = allocate(310_000, 500_000, &two);
        assert!(allocation.is_oversending);
        assert_eq!(allocation.grants[0].target.map(|l| l.height), Some(720));
        assert_eq!(allocation.grants[1].target, None);
        let allocation = allocate(310_000, 0, &two);
        assert!(!allocation.is_oversending);
        assert_eq!(allocation.grants[0].target.map(|l| l.height), Some(360));
    }

    #[test]
    fn voices_leave_room_for_a_picture() {
        let ten = [48_000; 10];
        let fit = |kbps: u64, before| voices_that_fit(&ten, kbps * 1_000, 3, before);
        let table = [
            (10_000, None),
            (480, None),
            (479, Some(7)),
            (400, Some(6)),
            (50, Some(3)),
        ];
        for (kbps, expected) in table {
            assert_eq!(fit(kbps, None), expected, "{kbps} kbit/s");
        }
        let few = voices_that_fit(&ten[..3], 50_000, 3, None);
        assert_eq!(few, None, "three are heard always");
        let dear = voices_that_fit(&[200_000, 48_000, 48_000, 48_000], 320_000, 1, None);
        assert_eq!(dear, Some(2));
    }

    #[test]
    fn more_voices_are_heard_only_where_they_fit_easily() {
        let ten = [48_000; 10];
        let fit = |kbps: u64, before| voices_that_fit(&ten, kbps * 1_000, 3, Some(before));
        assert_eq!(fit(300, 4), Some(4), "a fifth would just fit");
        assert_eq!(fit(360, 4), Some(5));
        assert_eq!(fit(200, 5), Some(3), "less at once");
        assert_eq!(fit(675, 9), Some(9));
        assert_eq!(fit(710, 9), None);
    }

    #[test]
    fn sums_and_the_next_step() {
        let room = [
            demand(720, true, camera(USUAL)),
            demand(180, false, camera(USUAL)),
        ];
        let allocation = allocate(700_000, 0, &room);
        assert_eq!(allocation.target_bps(), 650_000);
        assert_eq!(allocation.ideal_bps(), 1_650_000);
        assert_eq!(allocation.next_bps(), Some(1_650_000));
        let satisfied = allocate(5_000_000, 0, &room);
        assert_eq!(satisfied.next_bps(), None);
        assert_eq!(allocate(1_000, 0, &[]), Allocation::default());
    }

    fn screen(max_height: i32, is_on_stage: bool, layers: Vec<Layer>) -> Demand {
        Demand {
            is_desktop: true,
            ..demand(max_height, is_on_stage, layers)
        }
    }

    fn with_fps(fps: [f32; 3], mut layers: Vec<Layer>) -> Vec<Layer> {
        for layer in &mut layers {
            layer.fps = fps[usize::from(layer.temporal)];
        }
        layers
    }

    #[test]
    fn on_stage_what_just_fits_is_taken_elsewhere_not() {
        for (kbps, on_stage, elsewhere) in [
            (49, "-", "-"),
            (50, "180/0", "-"),
            (51, "180/0", "180/0"),
            (100, "180/1", "180/0"),
            (101, "180/1", "180/1"),
        ] {
            let of = |is_on_stage| [demand(180, is_on_stage, camera(USUAL))];
            assert_eq!(granted(kbps, &of(true)), on_stage, "{kbps} kbit/s");
            assert_eq!(granted(kbps, &of(false)), elsewhere, "{kbps} kbit/s");
        }
    }

    /// Sharpness comes before frames up to 360 lines, frames before more sharpness above: but a
    /// camera that has no more than 15 frames is as good as it gets, and so is one of unknown speed.
    #[test]
    fn a_slow_camera_is_shown_as_large_as_any() {
        for (fps, kbps, expected) in [
            ([7.5, 15.0, 30.0], 1_200, "360/2"),
            ([7.5, 15.0, 30.0], 1_501, "720/2"),
            ([3.75, 7.5, 15.0], 1_501, "720/2"),
            ([3.75, 7.5, 15.0], 1_200, "360/2"),
            ([0.0, 0.0, 0.0], 1_200, "720/1"),
            ([0.0, 0.0, 0.0], 700, "720/0"),
        ] {
            let room = [demand(720, false, with_fps(fps, camera(USUAL)))];
            assert_eq!(granted(kbps, &room), expected, "{fps:?} in {kbps} kbit/s");
        }
    }

    /// A screen: every layer up to the height asked for, and if none is so low, the lowest.
    #[test]
    fn a_screen_has_a_ladder_of_its_own() {
        for (max_height, kbps, expected) in [
            (-1, 10_000, "720/2"),
            (720, 10_000, "720/2"),
            (719, 10_000, "360/2"),
            (360, 400, "360/1"),
            (90, 10_000, "180/2"),
            (0, 10_000, "-"),
        ] {
            let room = [screen(max_height, false, camera(USUAL))];
            assert_eq!(granted(kbps, &room), expected, "{max_height} lines");
        }
        // Encodings of one height and unknown speed: as a small picture only the least of them.
        let unknown = with_fps([0.0; 3], camera([0, 0, 0, 0, 0, 0, 600, 1_000, 1_500]));
        for (is_on_stage, max_height, expected) in [
            (false, 180, "720/0"),
            (false, 720, "720/2"),
            (true, 180, "720/2"),
        ] {
            let room = [screen(max_height, is_on_stage, unknown.clone())];
            assert_eq!(granted(10_000, &room), expected, "{max_height} lines");
        }
    }

    /// Golden: with 500 kbit/s to spare the lowest fitting layer above is taken round after round,
    /// up to the cheapest of the largest height, and only by the first in the order.
    #[test]
    fn a_screen_on_stage_climbs_to_what_half_a_megabit_more_allows() {
        let ladder = || camera([0, 0, 0, 200, 250, 300, 600, 700, 800]);
        for (kbps, expected, is_oversending) in [
            (0, "360/2", true),
            (99, "360/2", true),
            (100, "720/0", true),
            (150, "720/0", true),
            (600, "720/0", false),
            (700, "720/1", false),
            (900, "720/2", false),
        ] {
            let room = [screen(-1, true, ladder())];
            assert_eq!(granted(kbps, &room), expected, "{kbps} kbit/s");
            let allocation = allocate(kbps * 1_000, 500_000, &room);
            assert_eq!(allocation.is_oversending, is_oversending, "{kbps} kbit/s");
        }
        let second = [
            demand(180, false, camera(USUAL)),
            screen(-1, true, ladder()),
        ];
        assert_eq!(granted(160, &second), "180/2 -");
        assert_eq!(granted(360, &second), "180/0 360/2");
    }

    /// Golden: a source without measured bitrates ends on its second layer, unless others go on
    /// rising, which gives it further rounds.
    #[test]
    fn unknown_bitrates_rise_as_long_as_others_do() {
        let (unknown, known) = (camera([0; 9]), camera(USUAL));
        let table = [
            (vec![demand(180, false, unknown.clone())], "180/1"),
            (
                vec![
                    demand(180, false, unknown.clone()),
                    demand(180, false, known.clone()),
                ],
                "180/2 180/2",
            ),
            (
                vec![
                    demand(720, false, known.clone()),
                    demand(720, true, unknown.clone()),
                ],
                "720/2 720/2",
            ),
            (vec![demand(180, true, unknown)], "180/2"),
        ];
        for (room, expected) in table {
            assert_eq!(granted(10_000, &room), expected);
        }
    }

    #[test]
    fn of_layers_that_cost_the_same_none_is_in_the_way() {
        let equal = camera([50, 50, 50, 0, 0, 0, 0, 0, 0]);
        assert_eq!(granted(50, &[demand(180, false, equal.clone())]), "-");
        assert_eq!(granted(51, &[demand(180, false, equal)]), "180/2");
        let odd = camera([50, 50, 50, 40, 300, 500, 30, 30, 600]);
        assert_eq!(granted(60, &[demand(720, false, odd)]), "180/2");
    }

    #[test]
    fn who_is_not_asked_for_or_beyond_the_last_gets_nothing() {
        let room = [
            demand(0, true, camera(USUAL)),
            demand(180, false, camera(USUAL)),
            demand(0, false, camera(USUAL)),
            demand(180, false, Vec::new()),
        ];
        assert_eq!(granted(10_000, &room), "- 180/2 - -");
        let allocation = allocate(10_000_000, 0, &room);
        assert_eq!(allocation.ideal_bps(), 150_000);
    }

    proptest::proptest! {
        /// Whatever is asked: it ends, and nothing is granted beyond what is available.
        #[test]
        fn never_more_than_available(
            available in 0u64..5_000_000,
            sources in proptest::collection::vec(
                (-1i32..1_000, proptest::bool::ANY, proptest::array::uniform9(0u64..3_000)),
                0..12,
            ),
        ) {
            let demands: Vec<Demand> = sources
                .into_iter()
                .map(|(height, stage, kbps)| demand(height, stage, camera(kbps)))
                .collect();
            let allocation = allocate(available, 500_000, &demands);
            proptest::prop_assert!(allocation.target_bps() <= available);
            for (grant, demand) in allocation.grants.iter().zip(&demands) {
                proptest::prop_assert!(demand.max_height != 0 || grant.target.is_none());
            }
        }
    }
}
