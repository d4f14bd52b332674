//! Speaker statistics: what we report and what we are told when we join.
//!
//! Speaks: Jitsi's `<speakerstats/>`, `<faceLandmarks/>` and JSON messages.

use super::breakout::text;
use super::*;

/// How long somebody spoke before we came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeakerStats {
    /// Only of those who have left.
    pub display_name: Option<String>,
    pub dominant_speaker_time: Duration,
    /// Expressions, as they were reported.
    pub face_landmarks: Vec<Value>,
}

impl Client {
    /// Reports an expression of our face for the statistics.
    pub fn report_face(&mut self, now: Now, expression: &str, duration: Duration) {
        let command = Element::builder("faceLandmarks", ns::JITSI_MEET)
            .with("room", self.room.to_string())
            .with("duration", duration.as_millis().to_string())
            .with("faceExpression", expression)
            .with("timestamp", now.wall.timestamp_millis().to_string())
            .build();
        self.command(now, "speakerstats", command);
    }

    /// The statistics, by nick, as they were when we joined.
    pub fn speaker_stats(&self) -> &BTreeMap<String, SpeakerStats> {
        &self.meeting.speaker_stats
    }

    /// The bridge says that we speak now; Jitsi's client passes that on.
    pub(super) fn report_speaking(&mut self, now: Now) {
        if self.stage != Stage::Joined || self.component("speakerstats").is_none() {
            return;
        }
        let command = Element::builder("speakerstats", ns::JITSI_MEET)
            .with("room", self.room.to_string())
            .with("silence", "false")
            .build();
        self.command(now, "speakerstats", command);
    }

    pub(super) fn handle_speaker_stats(&mut self, value: &Value) {
        let Some(users) = value.get("users").and_then(Value::as_object) else {
            return;
        };
        let one = |(nick, user): (&String, &Value)| {
            let millis = user.get("totalDominantSpeakerTime");
            let landmarks = user.get("faceLandmarks").and_then(Value::as_array);
            let stats = SpeakerStats {
                display_name: text(user, "displayName"),
                dominant_speaker_time: Duration::from_millis(
                    millis.and_then(Value::as_u64).unwrap_or_default(),
                ),
                face_landmarks: landmarks.cloned().unwrap_or_default(),
            };
            (nick.clone(), stats)
        };
        self.meeting.speaker_stats = users.iter().map(one).collect();
    }
}
