//! The bridge channel's messages, client side.
//!
//! Speaks: Colibri's JSON messages (docs/protocol/bridge-channel.md). Unknown ones are ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// What a receiver asks of the bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// How many video sources at most; -1 for all.
    pub last_n: i32,
    /// Lines for sources that are not named; -1 for any.
    pub default_height: i32,
    /// Lines by source name; 0 for none of it.
    pub heights: BTreeMap<String, i32>,
    /// Sources that come first when not all can.
    pub on_stage: Vec<String>,
}

impl Constraints {
    /// Everything at full size.
    pub fn all() -> Constraints {
        Constraints {
            last_n: -1,
            default_height: -1,
            ..Constraints::default()
        }
    }

    /// The most lines of `source` that were asked for; negative for any.
    pub fn height(&self, source: &str) -> i32 {
        self.heights
            .get(source)
            .copied()
            .unwrap_or(self.default_height)
    }

    pub(crate) fn to_json(&self) -> String {
        let heights: BTreeMap<&str, Value> = self
            .heights
            .iter()
            .map(|(source, height)| (source.as_str(), json!({ "maxHeight": height })))
            .collect();
        json!({
            "colibriClass": "ReceiverVideoConstraints",
            "lastN": self.last_n,
            "onStageSources": self.on_stage,
            "defaultConstraints": { "maxHeight": self.default_height },
            "constraints": heights,
        })
        .to_string()
    }
}

/// What a source shows now; sent when the channel opens and when it changes.
pub(crate) fn source_video_type(source: &str, video_type: &str) -> String {
    json!({
        "colibriClass": "SourceVideoTypeMessage",
        "sourceName": source,
        "videoType": video_type,
    })
    .to_string()
}

/// A message to one other participant, or to all if `to` is empty.
pub(crate) fn endpoint_message(to: &str, payload: &Value) -> String {
    json!({ "colibriClass": "EndpointMessage", "to": to, "msgPayload": payload }).to_string()
}

/// Whose packets come on one of the bridge's streams.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct MappedSource {
    pub(crate) source: String,
    pub(crate) owner: String,
    pub(crate) ssrc: u32,
    /// -1 for none.
    pub(crate) rtx: Option<i64>,
}

/// From the bridge.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "colibriClass")]
pub(crate) enum ChannelMessage {
    ServerHello {},
    #[serde(rename_all = "camelCase")]
    DominantSpeakerEndpointChangeEvent {
        dominant_speaker_endpoint: Option<String>,
    },
    #[serde(rename_all = "camelCase")]
    ForwardedSources {
        forwarded_sources: Vec<String>,
    },
    #[serde(rename_all = "camelCase")]
    SenderSourceConstraints {
        source_name: String,
        max_height: i32,
    },
    EndpointConnectivityStatusChangeEvent {
        endpoint: String,
        active: String,
    },
    #[serde(rename_all = "camelCase")]
    EndpointMessage {
        from: String,
        msg_payload: Value,
    },
    #[serde(rename_all = "camelCase")]
    AudioSourcesMap {
        mapped_sources: Vec<MappedSource>,
    },
    #[serde(rename_all = "camelCase")]
    VideoSourcesMap {
        mapped_sources: Vec<MappedSource>,
    },
    #[serde(other)]
    Other,
}

impl ChannelMessage {
    /// None if the text is no message.
    pub(crate) fn parse(text: &str) -> Option<ChannelMessage> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_from_the_bridge() {
        let parse = |text| ChannelMessage::parse(text);
        assert_eq!(
            parse(
                r#"{"colibriClass":"SenderSourceConstraints","sourceName":"a-v0","maxHeight":180}"#
            ),
            Some(ChannelMessage::SenderSourceConstraints {
                source_name: "a-v0".into(),
                max_height: 180
            })
        );
        assert_eq!(
            parse(r#"{"colibriClass":"ServerHello","version":"x"}"#),
            Some(ChannelMessage::ServerHello {})
        );
        assert_eq!(
            parse(r#"{"colibriClass":"DominantSpeakerEndpointChangeEvent","silence":true}"#),
            Some(ChannelMessage::DominantSpeakerEndpointChangeEvent {
                dominant_speaker_endpoint: None
            })
        );
        assert_eq!(
            parse(r#"{"colibriClass":"Whatever","x":[1]}"#),
            Some(ChannelMessage::Other)
        );
        assert_eq!(parse("nonsense"), None);
        let map = r#"{"colibriClass":"VideoSourcesMap","mappedSources":[{"source":"a-v0",
            "owner":"a","ssrc":7,"rtx":-1,"videoType":"CAMERA"}]}"#;
        let mapped = MappedSource {
            source: "a-v0".into(),
            owner: "a".into(),
            ssrc: 7,
            rtx: Some(-1),
        };
        assert_eq!(
            parse(map),
            Some(ChannelMessage::VideoSourcesMap {
                mapped_sources: vec![mapped]
            })
        );
    }

    #[test]
    fn constraints_as_the_bridge_reads_them() {
        let constraints = Constraints {
            last_n: 2,
            default_height: 0,
            heights: BTreeMap::from([("a-v0".to_owned(), 360)]),
            on_stage: vec!["a-v0".to_owned()],
        };
        let json: Value = serde_json::from_str(&constraints.to_json()).unwrap();
        assert_eq!(json["constraints"]["a-v0"]["maxHeight"], 360);
        assert_eq!(json["lastN"], 2);
        assert_eq!(json["defaultConstraints"]["maxHeight"], 0);
        assert_eq!(
            (constraints.height("a-v0"), constraints.height("b-v0")),
            (360, 0)
        );
    }
}
