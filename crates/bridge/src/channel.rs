//! The bridge channel: JSON messages between a client and the bridge, tagged by `colibriClass`,
//! by data channel or by WebSocket.
//!
//! Reading is tolerant: what is unknown is ignored, and nothing a client writes closes its channel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};
use tertulia_model::{EndpointId, SourceName, Ssrc, VideoType};

use crate::constraints::{AudioSubscription, ConstraintsUpdate};
use crate::limits::Limits;

/// A message from a client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ClientMessage {
    ClientHello,
    ReceiverVideoConstraints(ConstraintsUpdate),
    LastNChanged(i32),
    ReceiverAudioSubscription(AudioSubscription),
    SourceVideoType {
        source: String,
        video_type: VideoType,
    },
    /// The old form: of the first video source.
    VideoType(VideoType),
    EndpointMessage {
        /// None is everybody.
        to: Option<String>,
        fields: Map<String, Value>,
    },
    EndpointStats {
        fields: Map<String, Value>,
    },
    /// A class that the bridge has nothing to do with.
    Unknown,
}

/// A text that is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message is a JSON object with a text colibriClass and fields of the right types")]
pub(crate) struct MalformedMessage;

impl ClientMessage {
    /// Reads what a client wrote.
    pub(crate) fn parse(text: &str) -> Result<ClientMessage, MalformedMessage> {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(text) else {
            return Err(MalformedMessage);
        };
        let Some(Value::String(class)) = fields.get("colibriClass") else {
            return Err(MalformedMessage);
        };
        let message = match class.as_str() {
            "ClientHello" => ClientMessage::ClientHello,
            "ReceiverVideoConstraints" => {
                ClientMessage::ReceiverVideoConstraints(constraints(&fields)?)
            }
            "LastNChangedEvent" => {
                let last_n = fields.get("lastN").ok_or(MalformedMessage)?;
                ClientMessage::LastNChanged(integer(last_n)?)
            }
            "ReceiverAudioSubscription" => {
                ClientMessage::ReceiverAudioSubscription(audio_subscription(&fields)?)
            }
            "SourceVideoTypeMessage" => ClientMessage::SourceVideoType {
                source: text_field(&fields, "sourceName")?,
                video_type: video_type(&fields)?,
            },
            "VideoTypeMessage" => ClientMessage::VideoType(video_type(&fields)?),
            "EndpointMessage" => {
                let to = match fields.get("to") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(to)) => Some(to.clone()).filter(|to| !to.is_empty()),
                    Some(_) => return Err(MalformedMessage),
                };
                ClientMessage::EndpointMessage { to, fields }
            }
            "EndpointStats" => {
                fields.remove("from");
                ClientMessage::EndpointStats { fields }
            }
            _ => ClientMessage::Unknown,
        };
        Ok(message)
    }
}

fn constraints(fields: &Map<String, Value>) -> Result<ConstraintsUpdate, MalformedMessage> {
    let heights = match present(fields, "constraints") {
        None => None,
        Some(Value::Object(entries)) => {
            let mut heights = BTreeMap::new();
            for (name, limits) in entries {
                if let Some(height) = max_height(limits)? {
                    heights.insert(name.clone(), height);
                }
            }
            Some(heights)
        }
        Some(_) => return Err(MalformedMessage),
    };
    Ok(ConstraintsUpdate {
        last_n: present(fields, "lastN").map(integer).transpose()?,
        selected: present(fields, "selectedSources").map(texts).transpose()?,
        on_stage: present(fields, "onStageSources").map(texts).transpose()?,
        default_height: present(fields, "defaultConstraints")
            .map(max_height)
            .transpose()?
            .flatten(),
        heights,
    })
}

/// `{maxHeight, maxFrameRate}`: a frame rate of zero switches off as a height of zero does.
fn max_height(limits: &Value) -> Result<Option<i32>, MalformedMessage> {
    let Value::Object(limits) = limits else {
        return Err(MalformedMessage);
    };
    if let Some(rate) = present(limits, "maxFrameRate")
        && rate.as_f64().ok_or(MalformedMessage)? == 0.0
    {
        return Ok(Some(0));
    }
    present(limits, "maxHeight").map(integer).transpose()
}

fn audio_subscription(fields: &Map<String, Value>) -> Result<AudioSubscription, MalformedMessage> {
    let names = |field: &str| -> Result<BTreeSet<String>, MalformedMessage> {
        let names = present(fields, field).map(texts).transpose()?;
        Ok(names.unwrap_or_default().into_iter().collect())
    };
    if let Some(Value::String(mode)) = fields.get("mode") {
        // COMPAT(lib-jitsi-meet before 2026): one mode and one list.
        let (is_all, include, exclude) = match mode.as_str() {
            "None" => (false, BTreeSet::new(), BTreeSet::new()),
            "Include" => (false, names("list")?, BTreeSet::new()),
            "Exclude" => (true, BTreeSet::new(), names("list")?),
            _ => (true, BTreeSet::new(), BTreeSet::new()),
        };
        return Ok(AudioSubscription {
            is_all,
            include,
            exclude,
        });
    }
    let is_all = match present(fields, "all") {
        None => true,
        Some(Value::Bool(is_all)) => *is_all,
        Some(_) => return Err(MalformedMessage),
    };
    Ok(AudioSubscription {
        is_all,
        include: names("include")?,
        exclude: names("exclude")?,
    })
}

fn video_type(fields: &Map<String, Value>) -> Result<VideoType, MalformedMessage> {
    let word = text_field(fields, "videoType")?.to_ascii_lowercase();
    match word.as_str() {
        "camera" => Ok(VideoType::Camera),
        "desktop" | "desktop_high_fps" => Ok(VideoType::Desktop),
        "none" | "disabled" => Ok(VideoType::None),
        _ => Err(MalformedMessage),
    }
}

fn present<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text_field(fields: &Map<String, Value>, name: &str) -> Result<String, MalformedMessage> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(MalformedMessage),
    }
}

fn texts(value: &Value) -> Result<Vec<String>, MalformedMessage> {
    let list = value.as_array().ok_or(MalformedMessage)?;
    list.iter()
        .map(|entry| entry.as_str().map(str::to_owned).ok_or(MalformedMessage))
        .collect()
}

/// Any number; what is out of range means as much as the limit does.
fn integer(value: &Value) -> Result<i32, MalformedMessage> {
    let number = value.as_f64().ok_or(MalformedMessage)?;
    Ok(number as i32)
}

/// A message to a client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ServerMessage {
    ServerHello,
    ForwardedSources(Vec<SourceName>),
    DominantSpeaker {
        dominant: EndpointId,
        previous: Vec<EndpointId>,
        is_silence: bool,
    },
    Connectivity {
        endpoint: EndpointId,
        is_active: bool,
    },
    SenderSourceConstraints {
        source: SourceName,
        /// −1 is no limit, 0 is stop.
        max_height: i32,
    },
    ConnectionStats {
        downlink_bps: u64,
    },
    /// Whose media is in which stream.
    AudioSourcesMap(Vec<MappedSource>),
    VideoSourcesMap(Vec<MappedSource>),
    /// `EndpointMessage` or `EndpointStats` of another client, its class among the fields.
    Relayed {
        from: EndpointId,
        fields: Map<String, Value>,
    },
}

/// A source in a slot of the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MappedSource {
    pub(crate) source: SourceName,
    pub(crate) owner: EndpointId,
    pub(crate) ssrc: Ssrc,
    /// Of video.
    pub(crate) rtx: Option<Ssrc>,
    pub(crate) video_type: VideoType,
}

impl MappedSource {
    /// COMPAT(lib-jitsi-meet): SSRCs are numbers, a text is an exception there; a video source
    /// always has one for retransmissions.
    fn value(&self) -> Value {
        let mut value = json!({
            "source": self.source.as_str(),
            "owner": self.owner.as_str(),
            "ssrc": self.ssrc.0,
        });
        if let (Value::Object(fields), Some(rtx)) = (&mut value, self.rtx) {
            let video_type = match self.video_type {
                VideoType::Desktop => "desktop",
                VideoType::Camera | VideoType::None => "camera",
            };
            fields.insert("rtx".into(), rtx.0.into());
            fields.insert("videoType".into(), video_type.into());
        }
        value
    }
}

impl ServerMessage {
    /// As it goes to the client.
    pub(crate) fn text(&self) -> String {
        let names = |ids: &[EndpointId]| ids.iter().map(|id| id.as_str().into()).collect();
        let value = match self {
            ServerMessage::ServerHello => json!({"colibriClass": "ServerHello"}),
            ServerMessage::ForwardedSources(sources) => {
                let sources: Vec<&str> = sources.iter().map(SourceName::as_str).collect();
                json!({"colibriClass": "ForwardedSources", "forwardedSources": sources})
            }
            ServerMessage::DominantSpeaker {
                dominant,
                previous,
                is_silence,
            } => json!({
                "colibriClass": "DominantSpeakerEndpointChangeEvent",
                "dominantSpeakerEndpoint": dominant.as_str(),
                "previousSpeakers": Value::Array(names(previous)),
                "silence": is_silence,
            }),
            // COMPAT(lib-jitsi-meet): a boolean true would be read as inactive.
            ServerMessage::Connectivity {
                endpoint,
                is_active,
            } => json!({
                "colibriClass": "EndpointConnectivityStatusChangeEvent",
                "endpoint": endpoint.as_str(),
                "active": if *is_active { "true" } else { "false" },
            }),
            ServerMessage::SenderSourceConstraints { source, max_height } => json!({
                "colibriClass": "SenderSourceConstraints",
                "sourceName": source.as_str(),
                "maxHeight": max_height,
            }),
            ServerMessage::ConnectionStats { downlink_bps } => json!({
                "colibriClass": "ConnectionStats",
                "estimatedDownlinkBandwidth": downlink_bps,
            }),
            ServerMessage::AudioSourcesMap(mapped) => sources_map("AudioSourcesMap", mapped),
            ServerMessage::VideoSourcesMap(mapped) => sources_map("VideoSourcesMap", mapped),
            ServerMessage::Relayed { from, fields } => {
                let mut fields = fields.clone();
                fields.insert("from".into(), from.as_str().into());
                Value::Object(fields)
            }
        };
        value.to_string()
    }
}

fn sources_map(class: &str, mapped: &[MappedSource]) -> Value {
    let mapped: Vec<Value> = mapped.iter().map(MappedSource::value).collect();
    json!({"colibriClass": class, "mappedSources": mapped})
}

/// Messages that wait for room in a client's data channel, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    text: String,
    is_forwarded_sources: bool,
}

/// More waits for a client than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutboxOverflow;

impl Outbox {
    /// Adds a message at the end. Of several lists of forwarded sources only the last matters.
    pub(crate) fn push(
        &mut self,
        message: &ServerMessage,
        text: String,
        limits: &Limits,
    ) -> Result<(), OutboxOverflow> {
        let is_forwarded_sources = matches!(message, ServerMessage::ForwardedSources(_));
        if is_forwarded_sources {
            self.waiting.retain(|waiting| !waiting.is_forwarded_sources);
            self.bytes = self.waiting.iter().map(|waiting| waiting.text.len()).sum();
        }
        let is_full = self.waiting.len() >= limits.outbox_messages
            || self.bytes + text.len() > limits.outbox_bytes;
        if is_full {
            return Err(OutboxOverflow);
        }
        self.bytes += text.len();
        self.waiting.push_back(Waiting {
            text,
            is_forwarded_sources,
        });
        Ok(())
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The message that is next.
    pub(crate) fn front(&self) -> Option<&str> {
        self.waiting.front().map(|waiting| waiting.text.as_str())
    }

    /// The next one has been sent.
    pub(crate) fn pop(&mut self) {
        if let Some(waiting) = self.waiting.pop_front() {
            self.bytes -= waiting.text.len();
        }
    }

    /// Everything is forgotten; the channel is gone.
    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config;

    fn parse(value: Value) -> Result<ClientMessage, MalformedMessage> {
        ClientMessage::parse(&value.to_string())
    }

    #[test]
    fn constraints_say_only_what_they_mention() {
        let parsed = parse(json!({
            "colibriClass": "ReceiverVideoConstraints",
            "assumedBandwidthBps": -1,
            "lastN": -1,
        }));
        let expected = ConstraintsUpdate {
            last_n: Some(-1),
            ..ConstraintsUpdate::default()
        };
        assert_eq!(
            parsed,
            Ok(ClientMessage::ReceiverVideoConstraints(expected))
        );
        let parsed = parse(json!({
            "colibriClass": "ReceiverVideoConstraints",
            "selectedSources": [],
            "onStageSources": ["a-v0"],
            "defaultConstraints": {"maxHeight": 180},
            "constraints": {
                "a-v0": {"maxHeight": 720, "maxFrameRate": 30},
                "b-v0": {"maxHeight": 360, "maxFrameRate": 0},
                "c-v0": {},
            },
        }));
        let expected = ConstraintsUpdate {
            last_n: None,
            selected: Some(vec![]),
            on_stage: Some(vec!["a-v0".into()]),
            default_height: Some(180),
            heights: Some([("a-v0".into(), 720), ("b-v0".into(), 0)].into()),
        };
        assert_eq!(
            parsed,
            Ok(ClientMessage::ReceiverVideoConstraints(expected))
        );
    }

    #[test]
    fn video_types_in_any_case() {
        for (word, expected) in [
            ("camera", Some(VideoType::Camera)),
            ("DESKTOP", Some(VideoType::Desktop)),
            ("desktop_high_fps", Some(VideoType::Desktop)),
            ("none", Some(VideoType::None)),
            ("disabled", Some(VideoType::None)),
            ("hologram", None),
        ] {
            let parsed = parse(json!({"colibriClass": "VideoTypeMessage", "videoType": word}));
            assert_eq!(parsed.ok(), expected.map(ClientMessage::VideoType));
        }
    }

    #[test]
    fn audio_subscriptions_new_and_old() {
        let source: SourceName = "a-a0".parse().unwrap();
        for (message, wants) in [
            (json!({}), true),
            (json!({"all": false}), false),
            (json!({"all": false, "include": ["a-a0"]}), true),
            (json!({"exclude": ["a-a0"]}), false),
            (json!({"mode": "None"}), false),
            (json!({"mode": "All"}), true),
            (json!({"mode": "Include", "list": ["a-a0"]}), true),
            (json!({"mode": "Exclude", "list": ["a-a0"]}), false),
        ] {
            let mut message = message;
            message["colibriClass"] = "ReceiverAudioSubscription".into();
            let Ok(ClientMessage::ReceiverAudioSubscription(subscription)) = parse(message.clone())
            else {
                panic!("{message}");
            };
            assert_eq!(subscription.wants(&source), wants, "{message}");
        }
    }

    #[test]
    fn malformed_messages_are_told_from_unknown_ones() {
        for text in [
            "",
            "7",
            "[]",
            "{}",
            r#"{"colibriClass":7}"#,
            r#"{"colibriClass":"LastNChangedEvent"}"#,
            r#"{"colibriClass":"LastNChangedEvent","lastN":"x"}"#,
            r#"{"colibriClass":"ReceiverVideoConstraints","constraints":[]}"#,
            r#"{"colibriClass":"ReceiverVideoConstraints","selectedSources":[1]}"#,
            r#"{"colibriClass":"SourceVideoTypeMessage","videoType":"camera"}"#,
            r#"{"colibriClass":"EndpointMessage","to":5}"#,
        ] {
            assert_eq!(ClientMessage::parse(text), Err(MalformedMessage), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(ClientMessage::parse(&deep), Err(MalformedMessage));
        let unknown = parse(json!({"colibriClass": "Weather", "sun": true}));
        assert_eq!(unknown, Ok(ClientMessage::Unknown));
        let huge = parse(json!({"colibriClass": "LastNChangedEvent", "lastN": 1e300}));
        assert_eq!(huge, Ok(ClientMessage::LastNChanged(i32::MAX)));
    }

    #[test]
    fn a_relayed_message_says_who_sent_it_and_keeps_the_rest() {
        let parsed = parse(json!({
            "colibriClass": "EndpointMessage",
            "to": "",
            "from": "somebody-else",
            "msgPayload": {"type": "x"},
            "extra": 1,
        }));
        let Ok(ClientMessage::EndpointMessage { to: None, fields }) = parsed else {
            panic!("{parsed:?}");
        };
        let message = ServerMessage::Relayed {
            from: "abcd1234".parse().unwrap(),
            fields,
        };
        let value: Value = serde_json::from_str(&message.text()).unwrap();
        assert_eq!(value["from"], "abcd1234");
        assert_eq!(value["extra"], 1);
        assert_eq!(value["msgPayload"]["type"], "x");
    }

    /// COMPAT(lib-jitsi-meet): the word, not the boolean.
    #[test]
    fn connectivity_is_a_text() {
        let message = ServerMessage::Connectivity {
            endpoint: "a".parse().unwrap(),
            is_active: true,
        };
        let value: Value = serde_json::from_str(&message.text()).unwrap();
        assert_eq!(value["active"], "true");
    }

    /// COMPAT(lib-jitsi-meet): numbers, since its `getTrackBySSRC` throws on anything else.
    #[test]
    fn maps_name_ssrcs_as_numbers() {
        let mapped = |name: &str, rtx: Option<u32>, video_type| MappedSource {
            source: name.parse().unwrap(),
            owner: "abcd1234".parse().unwrap(),
            ssrc: Ssrc(u32::MAX),
            rtx: rtx.map(Ssrc),
            video_type,
        };
        let value =
            |message: ServerMessage| -> Value { serde_json::from_str(&message.text()).unwrap() };
        let audio = mapped("abcd1234-a0", None, VideoType::Camera);
        assert_eq!(
            value(ServerMessage::AudioSourcesMap(vec![audio])),
            json!({"colibriClass": "AudioSourcesMap", "mappedSources": [
                {"source": "abcd1234-a0", "owner": "abcd1234", "ssrc": 4_294_967_295u32},
            ]})
        );
        let camera = mapped("abcd1234-v0", Some(7), VideoType::None);
        let screen = mapped("abcd1234-v1", Some(8), VideoType::Desktop);
        assert_eq!(
            value(ServerMessage::VideoSourcesMap(vec![camera, screen])),
            json!({"colibriClass": "VideoSourcesMap", "mappedSources": [
                {"source": "abcd1234-v0", "owner": "abcd1234", "ssrc": 4_294_967_295u32,
                    "rtx": 7, "videoType": "camera"},
                {"source": "abcd1234-v1", "owner": "abcd1234", "ssrc": 4_294_967_295u32,
                    "rtx": 8, "videoType": "desktop"},
            ]})
        );
    }

    #[test]
    fn the_outbox_is_bounded_ordered_and_merges_lists() {
        let mut limits = config().limits;
        limits.outbox_messages = 3;
        let mut outbox = Outbox::default();
        let hello = ServerMessage::ServerHello;
        let list = ServerMessage::ForwardedSources(vec![]);
        let mut push =
            |message: &ServerMessage, text: &str| outbox.push(message, text.to_owned(), &limits);
        assert_eq!(push(&list, "1"), Ok(()));
        assert_eq!(push(&hello, "2"), Ok(()));
        assert_eq!(push(&list, "3"), Ok(()));
        assert_eq!(push(&hello, "4"), Ok(()));
        assert_eq!(push(&hello, "5"), Err(OutboxOverflow));
        let mut order = String::new();
        while let Some(text) = outbox.front() {
            order.push_str(text);
            outbox.pop();
        }
        assert_eq!(order, "234");
        assert_eq!(outbox.bytes, 0);
        assert_eq!(
            outbox.push(&hello, "x".repeat(2_000_000), &limits),
            Err(OutboxOverflow)
        );
    }
}
