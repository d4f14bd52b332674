//! What a receiver asks for: which sources, how high, how many (`ReceiverVideoConstraints`).
//!
//! [`prioritise`] turns that, with the order of speech, into what each source is worth to the
//! receiver. Bandwidth is not known here (see `allocate`).

use std::collections::{BTreeMap, BTreeSet};

use tertulia_model::SourceName;

use crate::config::VideoPolicy;

/// The constraints of one receiver. Heights in lines; −1 is unlimited, 0 is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiverConstraints {
    last_n: Option<u32>,
    selected: Vec<String>,
    on_stage: Vec<String>,
    default_height: Option<i32>,
    heights: BTreeMap<String, i32>,
    /// Whether the client has said anything.
    is_known: bool,
    /// It did not, for so long that it gets something by default.
    is_given_up: bool,
}

/// What one message says; what it does not mention stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConstraintsUpdate {
    /// −1 is unlimited.
    pub(crate) last_n: Option<i32>,
    pub(crate) selected: Option<Vec<String>>,
    pub(crate) on_stage: Option<Vec<String>>,
    pub(crate) default_height: Option<i32>,
    pub(crate) heights: Option<BTreeMap<String, i32>>,
}

impl ReceiverConstraints {
    /// Takes in a message of the client; names beyond `names_max` are not kept.
    pub(crate) fn update(&mut self, update: ConstraintsUpdate, names_max: usize) {
        let bounded = |mut names: Vec<String>| {
            names.truncate(names_max);
            names
        };
        self.is_known = true;
        if let Some(last_n) = update.last_n {
            self.last_n = u32::try_from(last_n).ok();
        }
        if let Some(selected) = update.selected {
            self.selected = bounded(selected);
        }
        if let Some(on_stage) = update.on_stage {
            self.on_stage = bounded(on_stage);
        }
        if let Some(height) = update.default_height {
            self.default_height = Some(height);
        }
        if let Some(heights) = update.heights {
            self.heights = heights.into_iter().take(names_max).collect();
        }
    }

    /// Only the number of sources changes (`LastNChangedEvent`, and the accept's initial value).
    pub(crate) fn set_last_n(&mut self, last_n: i32) {
        self.last_n = u32::try_from(last_n).ok();
    }

    /// The client has been silent for so long that it is sent video by the defaults. Whether that
    /// changed anything.
    pub(crate) fn give_up_waiting(&mut self) -> bool {
        let is_new = !self.is_known && !self.is_given_up;
        self.is_given_up = true;
        is_new
    }

    /// Whether the client has said anything.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether what it asks for can be relied on.
    pub(crate) fn has_decided(&self) -> bool {
        self.is_known || self.is_given_up
    }

    /// Whether it has asked for this source by name, on stage or selected.
    pub(crate) fn names(&self, source: &SourceName) -> bool {
        let mut named = self.on_stage.iter().chain(&self.selected);
        named.any(|name| name == source.as_str())
    }

    fn height(&self, source: &SourceName, policy: &VideoPolicy) -> i32 {
        if !self.is_known {
            return if self.is_given_up {
                policy.without_channel_max_height
            } else {
                policy.initial_max_height
            };
        }
        let default = self.default_height.unwrap_or(policy.default_max_height);
        self.heights
            .get(source.as_str())
            .copied()
            .unwrap_or(default)
    }
}

/// A source as it stands for a receiver, before priorities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offered<'a> {
    pub(crate) index: usize,
    pub(crate) name: &'a SourceName,
    /// False while it shows nothing.
    pub(crate) is_enabled: bool,
}

/// A source with its place in a receiver's order, most wanted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) index: usize,
    /// 0 is nothing.
    pub(crate) max_height: i32,
    pub(crate) is_on_stage: bool,
    pub(crate) is_enabled: bool,
}

/// Orders sources by what the receiver wants and applies last-N, which is `most` whatever it asks
/// for. `offered` is in the order of speech, most recent speaker first.
pub(crate) fn prioritise(
    constraints: &ReceiverConstraints,
    offered: &[Offered<'_>],
    policy: &VideoPolicy,
    most: Option<usize>,
) -> Vec<Wanted> {
    let places = |names: &[String]| -> BTreeMap<String, usize> {
        let mut places = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            places.entry(name.clone()).or_insert(place);
        }
        places
    };
    let (on_stage, selected) = (places(&constraints.on_stage), places(&constraints.selected));
    let place = |places: &BTreeMap<String, usize>, name: &SourceName| {
        places.get(name.as_str()).copied().unwrap_or(usize::MAX)
    };
    let mut ordered: Vec<&Offered<'_>> = offered.iter().collect();
    ordered.sort_by_key(|source| {
        (
            !source.is_enabled,
            place(&on_stage, source.name),
            place(&selected, source.name),
        )
    });
    let last_n = constraints.last_n.map(|n| n as usize);
    let mut left = last_n.into_iter().chain(most).min().unwrap_or(usize::MAX);
    ordered
        .into_iter()
        .map(|source| {
            let max_height = if source.is_enabled && left > 0 {
                constraints.height(source.name, policy)
            } else {
                0
            };
            left -= usize::from(max_height != 0);
            Wanted {
                index: source.index,
                max_height,
                is_on_stage: on_stage.contains_key(source.name.as_str()),
                is_enabled: source.is_enabled,
            }
        })
        .collect()
}

/// Of two constraints on one source, the one that asks for more.
pub(crate) fn larger(a: i32, b: i32) -> i32 {
    if a < 0 || b < 0 { -1 } else { a.max(b) }
}

/// Whose audio a receiver wants (`ReceiverAudioSubscription`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AudioSubscription {
    pub(crate) is_all: bool,
    pub(crate) include: BTreeSet<String>,
    pub(crate) exclude: BTreeSet<String>,
}

impl AudioSubscription {
    /// Everybody.
    pub(crate) fn all() -> AudioSubscription {
        AudioSubscription {
            is_all: true,
            include: BTreeSet::new(),
            exclude: BTreeSet::new(),
        }
    }

    /// Names beyond `names_max` are not kept.
    pub(crate) fn bound(&mut self, names_max: usize) {
        for names in [&mut self.include, &mut self.exclude] {
            while names.len() > names_max {
                names.pop_last();
            }
        }
    }

    /// Whether any source is asked for by name.
    pub(crate) fn names_any(&self) -> bool {
        !self.include.is_empty()
    }

    /// Whether this source is asked for by name.
    pub(crate) fn names(&self, source: &SourceName) -> bool {
        self.include.contains(source.as_str())
    }

    /// Whether this source is wanted.
    pub(crate) fn wants(&self, source: &SourceName) -> bool {
        self.include.contains(source.as_str())
            || (self.is_all && !self.exclude.contains(source.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    fn names(names: &[&str]) -> Vec<SourceName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// `name:height` in the receiver's order, `!` marks the stage.
    fn order(constraints: &ReceiverConstraints, sources: &[SourceName], off: &[usize]) -> String {
        let offered: Vec<Offered<'_>> = sources
            .iter()
            .enumerate()
            .map(|(index, name)| Offered {
                index,
                name,
                is_enabled: !off.contains(&index),
            })
            .collect();
        prioritise(constraints, &offered, &config().video, Some(3))
            .iter()
            .map(|wanted| {
                let stage = if wanted.is_on_stage { "!" } else { "" };
                format!(
                    "{}:{}{stage}",
                    sources[wanted.index].owner(),
                    wanted.max_height
                )
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn nothing_until_the_client_speaks_then_the_default() {
        let sources = names(&["a-v0", "b-v0"]);
        let mut constraints = ReceiverConstraints::default();
        assert_eq!(order(&constraints, &sources, &[]), "a:0 b:0");
        assert!(constraints.give_up_waiting() && !constraints.give_up_waiting());
        assert_eq!(order(&constraints, &sources, &[]), "a:180 b:180");
        let update = ConstraintsUpdate {
            last_n: Some(-1),
            ..ConstraintsUpdate::default()
        };
        constraints.update(update, 10);
        assert_eq!(order(&constraints, &sources, &[]), "a:180 b:180");
        let update = ConstraintsUpdate {
            default_height: Some(0),
            heights: Some([("b-v0".to_owned(), 720)].into()),
            ..ConstraintsUpdate::default()
        };
        constraints.update(update, 10);
        assert_eq!(order(&constraints, &sources, &[]), "a:0 b:720");
    }

    #[test]
    fn not_more_than_there_are_slots() {
        let sources = names(&["a-v0", "b-v0", "c-v0", "d-v0"]);
        let mut constraints = ReceiverConstraints::default();
        constraints.update(ConstraintsUpdate::default(), 10);
        assert_eq!(order(&constraints, &sources, &[]), "a:180 b:180 c:180 d:0");
        constraints.set_last_n(9);
        assert_eq!(order(&constraints, &sources, &[0]), "b:180 c:180 d:180 a:0");
    }

    #[test]
    fn stage_before_selection_before_speech() {
        let sources = names(&["a-v0", "b-v0", "c-v0", "d-v0"]);
        let mut constraints = ReceiverConstraints::default();
        let mut update = ConstraintsUpdate {
            selected: Some(vec!["d-v0".into(), "b-v0".into(), "nobody-v0".into()]),
            on_stage: Some(vec!["c-v0".into()]),
            ..ConstraintsUpdate::default()
        };
        constraints.update(update.clone(), 10);
        assert_eq!(order(&constraints, &sources, &[]), "c:180! d:180 b:180 a:0");
        update = ConstraintsUpdate {
            last_n: Some(2),
            ..ConstraintsUpdate::default()
        };
        constraints.update(update, 10);
        assert_eq!(order(&constraints, &sources, &[]), "c:180! d:180 b:0 a:0");
        assert_eq!(order(&constraints, &sources, &[2]), "d:180 b:180 a:0 c:0!");
        constraints.set_last_n(0);
        assert_eq!(order(&constraints, &sources, &[]), "c:0! d:0 b:0 a:0");
        constraints.set_last_n(-1);
        assert_eq!(order(&constraints, &sources, &[]), "c:180! d:180 b:180 a:0");
    }

    #[test]
    fn sources_of_height_zero_do_not_count_for_last_n() {
        let sources = names(&["a-v0", "b-v0"]);
        let mut constraints = ReceiverConstraints::default();
        let update = ConstraintsUpdate {
            last_n: Some(1),
            heights: Some([("a-v0".to_owned(), 0)].into()),
            ..ConstraintsUpdate::default()
        };
        constraints.update(update, 10);
        assert_eq!(order(&constraints, &sources, &[]), "a:0 b:180");
    }

    #[test]
    fn more_is_asked_by_the_larger() {
        assert_eq!(
            [larger(180, 720), larger(-1, 180), larger(0, 0)],
            [720, -1, 0]
        );
    }

    #[test]
    fn what_a_client_names_is_bounded() {
        let mut constraints = ReceiverConstraints::default();
        let many: Vec<String> = (0..1_000).map(|n| format!("x{n}-v0")).collect();
        let update = ConstraintsUpdate {
            heights: Some(many.iter().map(|name| (name.clone(), 1)).collect()),
            selected: Some(many),
            ..ConstraintsUpdate::default()
        };
        constraints.update(update, 10);
        assert_eq!(
            (constraints.heights.len(), constraints.selected.len()),
            (10, 10)
        );
    }
}
