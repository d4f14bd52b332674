//! Speaker statistics: who has spoken how long, and with which face.
//!
//! Speaks: `<speakerstats/>` and `<faceLandmarks/>` to the service `speakerstats.`, JSON from it to
//! those who come in (Jitsi's `mod_speakerstats_component`). How long somebody spoke is what the
//! bridge heard; what clients claim about it is not read.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tertulia_model::{EndpointId, Now, Service};
use tertulia_room::OccupantId;
use tertulia_stanza::json_message::PROTOTYPE;
use tertulia_stanza::{Condition, Element, Stanza, StanzaError, ns};

use crate::feature::{check_named_room, refused, service_message, switched_off};
use crate::hall::{Cx, Hall};

#[derive(Default)]
pub(crate) struct SpeakerStats {
    people: BTreeMap<EndpointId, Spoken>,
    /// Who speaks, and since when.
    speaker: Option<(EndpointId, Instant)>,
    /// The last ones, of all people together.
    faces: VecDeque<Face>,
}

#[derive(Default)]
struct Spoken {
    total: Duration,
    /// The name of somebody who has left.
    left_as: Option<String>,
}

struct Face {
    nick: EndpointId,
    expression: String,
    duration: f64,
    timestamp: f64,
}

impl SpeakerStats {
    /// What the bridge hears now.
    pub(crate) fn listen(&mut self, now: Now, speaker: Option<&EndpointId>) {
        if self.speaker.as_ref().map(|(nick, _)| nick) == speaker {
            return;
        }
        if let Some((nick, since)) = self.speaker.take() {
            let spoken = now.mono.saturating_duration_since(since);
            self.people.entry(nick).or_default().total += spoken;
        }
        self.speaker = speaker.map(|nick| (nick.clone(), now.mono));
    }

    /// Somebody has come in, maybe back under the same nick.
    fn enter(&mut self, nick: &EndpointId) {
        if let Some(spoken) = self.people.get_mut(nick) {
            spoken.left_as = None;
        }
    }

    /// Somebody has left, under that name.
    pub(crate) fn leave(&mut self, now: Now, nick: &EndpointId, name: Option<String>) {
        if self.speaker.as_ref().is_some_and(|(who, _)| who == nick) {
            self.listen(now, None);
        }
        let spoken = self.people.entry(nick.clone()).or_default();
        spoken.left_as = Some(name.unwrap_or_default());
        let has_left = |spoken: &&Spoken| spoken.left_as.is_some();
        if self.people.values().filter(has_left).count() > DEPARTED_MAX {
            let departed = self.people.iter().filter(|(_, spoken)| has_left(spoken));
            let quietest = departed.min_by_key(|(_, spoken)| spoken.total);
            if let Some(nick) = quietest.map(|(nick, _)| nick.clone()) {
                self.faces.retain(|face| face.nick != nick);
                self.people.remove(&nick);
            }
        }
    }

    /// By nick, everybody who spoke or has left; None if nobody did.
    fn shown(&self, now: Now) -> Option<Value> {
        let mut users = Map::new();
        for (nick, spoken) in &self.people {
            users.insert(nick.to_string(), spoken.shown());
        }
        if let Some((nick, since)) = &self.speaker {
            let before = self.people.get(nick).map_or(Duration::ZERO, |s| s.total);
            let total = before + now.mono.saturating_duration_since(*since);
            users.entry(nick.to_string()).or_insert_with(|| json!({}))["totalDominantSpeakerTime"] =
                milliseconds(total);
        }
        for face in &self.faces {
            let user = users.entry(face.nick.to_string());
            let user = user.or_insert_with(|| Spoken::default().shown());
            let faces = user
                .as_object_mut()
                .map(|user| user.entry("faceLandmarks").or_insert_with(|| json!([])));
            if let Some(faces) = faces.and_then(Value::as_array_mut) {
                faces.push(json!({
                    "duration": face.duration,
                    "faceExpression": face.expression,
                    "timestamp": face.timestamp,
                }));
            }
        }
        users.remove(PROTOTYPE);
        (!users.is_empty()).then_some(Value::Object(users))
    }
}

impl Spoken {
    fn shown(&self) -> Value {
        let mut user = json!({ "totalDominantSpeakerTime": milliseconds(self.total) });
        if let Some(name) = &self.left_as {
            user["displayName"] = name.as_str().into();
        }
        user
    }
}

fn milliseconds(time: Duration) -> Value {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}

impl Hall {
    /// A message to the service from somebody inside.
    pub(crate) fn handle_speaker_stats(
        &mut self,
        cx: &mut Cx<'_>,
        who: OccupantId,
        message: &Stanza,
    ) -> Result<(), StanzaError> {
        if !cx.config.rules.has_speaker_stats {
            return Err(switched_off("speaker statistics"));
        }
        if let Some(claim) = message.child("speakerstats", ns::JITSI_MEET) {
            // The bridge knows better.
            return check_named_room(cx, self.jid(), claim);
        }
        let face = message
            .child("faceLandmarks", ns::JITSI_MEET)
            .ok_or_else(|| {
                let text = "expected speakerstats or faceLandmarks";
                refused(Condition::BadRequest, text)
            })?;
        check_named_room(cx, self.jid(), face)?;
        let occupant = self.room.occupant(who);
        // Who is not seen has no face.
        let occupant = occupant.filter(|occupant| !occupant.is_hidden());
        let occupant = occupant.ok_or(Condition::Forbidden)?;
        let face = Face::read(occupant.nick(), face)?;
        self.speakers.faces.push_back(face);
        if self.speakers.faces.len() > FACES_MAX {
            self.speakers.faces.pop_front();
        }
        Ok(())
    }

    /// Somebody has come in: who has spoken before.
    pub(crate) fn greet_with_speaker_stats(&mut self, cx: &Cx<'_>, id: OccupantId) {
        let Some(occupant) = self.room.occupant(id) else {
            return;
        };
        self.speakers.enter(occupant.nick());
        let session = occupant.profile().id;
        let shown = self.speakers.shown(cx.now);
        if let Some(users) = shown.filter(|_| cx.config.rules.has_speaker_stats) {
            let stats = json!({ "type": "speakerstats", "users": users });
            self.room
                .answer(session, service_message(cx, Service::SpeakerStats, &stats));
        }
    }
}

impl Face {
    fn read(nick: &EndpointId, element: &Element) -> Result<Face, StanzaError> {
        let number = |name: &str| {
            let number = element.attr(name).and_then(|text| text.parse::<f64>().ok());
            let number = number.filter(|number| number.is_finite() && *number >= 0.0);
            number.ok_or_else(|| {
                let text = format!("expected a number that is not negative: {name}");
                refused(Condition::BadRequest, &text)
            })
        };
        let expression = element.attr("faceExpression");
        let is_word = |word: &&str| {
            (1..=EXPRESSION_BYTES_MAX).contains(&word.len())
                && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
        };
        let expression = expression.filter(is_word).ok_or_else(|| {
            let text = "expected a word: faceExpression";
            refused(Condition::BadRequest, text)
        })?;
        Ok(Face {
            nick: nick.clone(),
            expression: expression.to_owned(),
            duration: number("duration")?,
            timestamp: number("timestamp")?,
        })
    }
}

/// People who have left of whom something is told.
const DEPARTED_MAX: usize = 500;
const FACES_MAX: usize = 2_000;
const EXPRESSION_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Now, seconds: u64) -> Now {
        start.later(Duration::from_secs(seconds))
    }

    #[test]
    fn time_is_counted_for_who_speaks_and_after_they_have_left() {
        let start = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        let [ann, bob]: [EndpointId; 2] = ["ann", "bob"].map(|nick| nick.parse().unwrap());
        let mut stats = SpeakerStats::default();
        assert_eq!(stats.shown(start), None);
        stats.listen(start, Some(&ann));
        stats.listen(at(start, 1), Some(&ann));
        stats.listen(at(start, 3), Some(&bob));
        stats.leave(at(start, 5), &bob, Some("Bob".to_owned()));
        stats.listen(at(start, 6), Some(&ann));
        let shown = stats.shown(at(start, 8)).unwrap();
        assert_eq!(
            shown,
            json!({
                "ann": { "totalDominantSpeakerTime": 5_000 },
                "bob": { "totalDominantSpeakerTime": 2_000, "displayName": "Bob" },
            })
        );
        stats.enter(&bob);
        stats.listen(at(start, 9), None);
        let shown = stats.shown(at(start, 60)).unwrap();
        assert_eq!(shown["ann"]["totalDominantSpeakerTime"], 6_000);
        assert_eq!(shown["bob"].get("displayName"), None);
    }

    #[test]
    fn the_quietest_of_the_departed_are_forgotten() {
        let start = Now {
            mono: Instant::now(),
            wall: Default::default(),
        };
        let mut stats = SpeakerStats::default();
        let loud: EndpointId = "loud".parse().unwrap();
        stats.listen(start, Some(&loud));
        stats.leave(at(start, 1), &loud, None);
        for n in 0..DEPARTED_MAX {
            stats.leave(at(start, 2), &format!("quiet{n}").parse().unwrap(), None);
        }
        assert_eq!(stats.people.len(), DEPARTED_MAX);
        assert!(stats.people.contains_key(&loud));
        let odd: EndpointId = PROTOTYPE.parse().unwrap();
        stats.leave(at(start, 3), &odd, None);
        assert!(stats.shown(start).unwrap().get(PROTOTYPE).is_none());
    }
}
