//! Sources as they are signalled: SSRCs, their names and groups, and the compact JSON form of
//! whole conferences' sources that Jitsi's clients understand (`json-encoded-sources`).

use std::collections::BTreeMap;

use minidom::Element;
use serde_json::{Map, Value, json};
use tertulia_model::{MediaType, Ssrc, VideoType};

use crate::{ns, text_element};

/// One SSRC and what is said about it. Several of them make one source (same name and msid).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDescription {
    pub ssrc: Ssrc,
    /// `<endpoint>-a0`; some old clients send none.
    pub name: Option<String>,
    /// Media stream and track id, joined by a space.
    pub msid: Option<String>,
    pub video_type: VideoType,
}

/// How the SSRCs of a group belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Semantics {
    /// Encodings of one source, low to high (`SIM`).
    Simulcast,
    /// A stream and its retransmissions (`FID`).
    Retransmission,
}

/// A relation of SSRCs of one source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SsrcGroup {
    pub semantics: Semantics,
    pub ssrcs: Vec<Ssrc>,
}

/// What one endpoint sends of one kind of media.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaSources {
    pub sources: Vec<SourceDescription>,
    pub groups: Vec<SsrcGroup>,
}

/// What one endpoint sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSources {
    pub audio: MediaSources,
    pub video: MediaSources,
}

/// What the endpoints of a conference send, by endpoint id (`jvb` for the bridge itself).
pub type ConferenceSources = BTreeMap<String, EndpointSources>;

/// JSON that does not describe sources.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSources {
    #[error("no JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("expected {0}")]
    Shape(&'static str),
}

impl SourceDescription {
    /// An SSRC with a name and an msid.
    pub fn new(ssrc: Ssrc, name: &str, msid: &str) -> SourceDescription {
        SourceDescription {
            ssrc,
            name: Some(name.to_owned()),
            msid: Some(msid.to_owned()),
            video_type: VideoType::Camera,
        }
    }
}

impl Semantics {
    /// The value of the `semantics` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Semantics::Simulcast => "SIM",
            Semantics::Retransmission => "FID",
        }
    }

    /// The semantics of that name.
    pub fn from_name(name: &str) -> Option<Semantics> {
        match name {
            "SIM" => Some(Semantics::Simulcast),
            "FID" => Some(Semantics::Retransmission),
            _ => None,
        }
    }
}

impl SsrcGroup {
    /// A group of these SSRCs.
    pub fn new(semantics: Semantics, ssrcs: impl IntoIterator<Item = Ssrc>) -> SsrcGroup {
        SsrcGroup {
            semantics,
            ssrcs: ssrcs.into_iter().collect(),
        }
    }
}

impl MediaSources {
    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.groups.is_empty()
    }
}

impl EndpointSources {
    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        self.audio.is_empty() && self.video.is_empty()
    }

    /// The sources of one kind.
    pub fn of(&self, media: MediaType) -> &MediaSources {
        match media {
            MediaType::Audio => &self.audio,
            MediaType::Video => &self.video,
        }
    }

    /// The sources of one kind, to be changed.
    pub fn of_mut(&mut self, media: MediaType) -> &mut MediaSources {
        match media {
            MediaType::Audio => &mut self.audio,
            MediaType::Video => &mut self.video,
        }
    }
}

/// The `<json-message/>` that carries sources inside any Jingle action.
pub fn to_element(sources: &ConferenceSources) -> Element {
    text_element("json-message", ns::JITSI_MEET, &to_json(sources))
}

/// Reads a `<json-message/>`; None if it is something else or is not about sources.
pub fn parse_element(element: &Element) -> Option<Result<ConferenceSources, InvalidSources>> {
    if !element.is("json-message", ns::JITSI_MEET) {
        return None;
    }
    match parse_json(&element.text()) {
        Err(InvalidSources::Shape(NO_SOURCES)) => None,
        read => Some(read),
    }
}

/// `{"sources":{"OWNER":[[video sources],[video groups],[audio sources],[audio groups]]}}` with
/// empty arrays cut from the end.
pub fn to_json(sources: &ConferenceSources) -> String {
    let owners: Map<String, Value> = sources
        .iter()
        .map(|(owner, sources)| (owner.clone(), endpoint_value(sources)))
        .collect();
    json!({ "sources": owners }).to_string()
}

/// Reads what [`to_json`] writes. Numbers may be strings.
pub fn parse_json(text: &str) -> Result<ConferenceSources, InvalidSources> {
    let value: Value = serde_json::from_str(text)?;
    let owners = value
        .get("sources")
        .ok_or(InvalidSources::Shape(NO_SOURCES))?;
    let owners = owners
        .as_object()
        .ok_or(InvalidSources::Shape("an object of owners"))?;
    owners
        .iter()
        .map(|(owner, value)| Ok((owner.clone(), parse_endpoint(value)?)))
        .collect()
}

fn endpoint_value(sources: &EndpointSources) -> Value {
    let mut lists = vec![
        sources.video.sources.iter().map(source_value).collect(),
        sources.video.groups.iter().map(group_value).collect(),
        sources.audio.sources.iter().map(source_value).collect(),
        sources
            .audio
            .groups
            .iter()
            .map(group_value)
            .collect::<Vec<_>>(),
    ];
    while lists.last().is_some_and(Vec::is_empty) {
        lists.pop();
    }
    json!(lists)
}

fn source_value(source: &SourceDescription) -> Value {
    let mut map = Map::new();
    map.insert("s".to_owned(), json!(source.ssrc.0));
    if let Some(name) = &source.name {
        map.insert("n".to_owned(), json!(name));
    }
    if let Some(msid) = &source.msid {
        map.insert("m".to_owned(), json!(msid));
    }
    if source.video_type == VideoType::Desktop {
        map.insert("v".to_owned(), json!("d"));
    }
    Value::Object(map)
}

fn group_value(group: &SsrcGroup) -> Value {
    let tag = match group.semantics {
        Semantics::Simulcast => "s",
        Semantics::Retransmission => "f",
    };
    let ssrcs = group.ssrcs.iter().map(|ssrc| json!(ssrc.0));
    std::iter::once(json!(tag)).chain(ssrcs).collect()
}

fn parse_endpoint(value: &Value) -> Result<EndpointSources, InvalidSources> {
    let lists = value
        .as_array()
        .ok_or(InvalidSources::Shape("an array of lists"))?;
    Ok(EndpointSources {
        video: MediaSources {
            sources: parse_list(lists.first(), parse_source)?,
            groups: parse_list(lists.get(1), parse_group)?,
        },
        audio: MediaSources {
            sources: parse_list(lists.get(2), parse_source)?,
            groups: parse_list(lists.get(3), parse_group)?,
        },
    })
}

fn parse_list<T>(
    list: Option<&Value>,
    parse: impl Fn(&Value) -> Result<T, InvalidSources>,
) -> Result<Vec<T>, InvalidSources> {
    match list {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(parse).collect(),
        Some(_) => Err(InvalidSources::Shape("a list of sources or groups")),
    }
}

fn parse_source(value: &Value) -> Result<SourceDescription, InvalidSources> {
    let map = value
        .as_object()
        .ok_or(InvalidSources::Shape("a source object"))?;
    let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let is_desktop = text("v").as_deref() == Some("d");
    Ok(SourceDescription {
        ssrc: parse_ssrc(map.get("s"))?,
        name: text("n"),
        msid: text("m"),
        video_type: if is_desktop {
            VideoType::Desktop
        } else {
            VideoType::Camera
        },
    })
}

fn parse_group(value: &Value) -> Result<SsrcGroup, InvalidSources> {
    let shape = InvalidSources::Shape("a group [\"s\" or \"f\", ssrc…]");
    let Some((tag, ssrcs)) = value.as_array().and_then(|items| items.split_first()) else {
        return Err(shape);
    };
    let semantics = match tag.as_str() {
        Some("s") => Semantics::Simulcast,
        Some("f") => Semantics::Retransmission,
        _ => return Err(shape),
    };
    let ssrcs = ssrcs
        .iter()
        .map(|ssrc| parse_ssrc(Some(ssrc)))
        .collect::<Result<_, _>>()?;
    Ok(SsrcGroup { semantics, ssrcs })
}

fn parse_ssrc(value: Option<&Value>) -> Result<Ssrc, InvalidSources> {
    let number = match value {
        Some(Value::Number(number)) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    number
        .map(Ssrc)
        .ok_or(InvalidSources::Shape("an ssrc below 2^32"))
}

/// A JSON message about something else, which is not an error.
const NO_SOURCES: &str = "a key \"sources\"";

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"sources":{"9f8e7d6c":[[{"s":1,"n":"9f8e7d6c-v0","m":"9f8e7d6c-video-1 x"},{"s":2,"n":"9f8e7d6c-v0","m":"9f8e7d6c-video-1 x"}],[["f",1,2]],[{"s":3,"n":"9f8e7d6c-a0","m":"9f8e7d6c-audio-1 y"}]]}}"#;

    #[test]
    fn reads_and_writes_the_compact_form() {
        let sources = parse_json(SAMPLE).unwrap();
        let endpoint = &sources["9f8e7d6c"];
        assert_eq!(endpoint.video.sources.len(), 2);
        assert_eq!(
            endpoint.video.groups,
            [SsrcGroup::new(
                Semantics::Retransmission,
                [Ssrc(1), Ssrc(2)]
            )]
        );
        assert_eq!(
            endpoint.audio.sources[0].name.as_deref(),
            Some("9f8e7d6c-a0")
        );
        assert_eq!(parse_json(&to_json(&sources)).unwrap(), sources);
        let element = to_element(&sources);
        assert_eq!(parse_element(&element).unwrap().unwrap(), sources);
        assert!(
            !to_json(&sources).contains(",[]]"),
            "empty lists are cut from the end"
        );
    }

    #[test]
    fn numbers_may_be_strings_and_lists_may_be_missing() {
        let text = r#"{"sources":{"a":[[{"s":"7","v":"d"}]],"b":[]}}"#;
        let sources = parse_json(text).unwrap();
        assert_eq!(sources["a"].video.sources[0].ssrc, Ssrc(7));
        assert_eq!(sources["a"].video.sources[0].video_type, VideoType::Desktop);
        assert!(sources["b"].is_empty());
    }

    #[test]
    fn anything_else_is_an_error() {
        for bad in [
            "",
            "[]",
            r#"{"sources":[]}"#,
            r#"{"sources":{"a":{}}}"#,
            r#"{"sources":{"a":[{}]}}"#,
            r#"{"sources":{"a":[[{}]]}}"#,
            r#"{"sources":{"a":[[{"s":4294967296}]]}}"#,
            r#"{"sources":{"a":[[{"s":-1}]]}}"#,
            r#"{"sources":{"a":[[],[["x",1]]]}}"#,
            r#"{"sources":{"a":[[],[[]]]}}"#,
        ] {
            assert!(parse_json(bad).is_err(), "{bad}");
        }
        let other = text_element("json-message", ns::JITSI_MEET, "{\"type\":\"x\"}");
        assert!(parse_element(&other).is_none());
    }
}
