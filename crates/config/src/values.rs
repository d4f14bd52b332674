//! Values of one kind each: how they are written, and what they become.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Number, Value as JsonValue};
use tertulia_model::jid::DomainPart;
use tertulia_model::{Hosts, VideoCodec};
use tertulia_server::PublicUrl;
use toml::{Table, Value};

use crate::reader::Reader;
use crate::units;

impl Reader {
    pub(crate) fn text(&mut self, path: &'static str) -> String {
        self.read(path, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A whole number within bounds.
    pub(crate) fn number<T: TryFrom<i64>>(
        &mut self,
        path: &'static str,
        least: i64,
        most: i64,
    ) -> T {
        let allowed = format!("a whole number from {least} to {most}");
        self.read(path, &allowed, |value| {
            let number = value.as_integer()?;
            (least..=most)
                .contains(&number)
                .then(|| T::try_from(number).ok())?
        })
    }

    /// How many of something there may be: at least one.
    pub(crate) fn count(&mut self, path: &'static str) -> usize {
        self.number(path, 1, MANY)
    }

    /// How many of something there may be; -1 is None.
    pub(crate) fn count_or_none<T: TryFrom<i64>>(&mut self, path: &'static str) -> Option<T> {
        T::try_from(self.number::<i64>(path, -1, MANY)).ok()
    }

    pub(crate) fn flag(&mut self, path: &'static str) -> bool {
        self.read(path, "true or false", Value::as_bool)
    }

    pub(crate) fn duration(&mut self, path: &'static str) -> Duration {
        let allowed = "a duration such as \"500 ms\", \"60 s\" or \"10 min\"";
        self.read(path, allowed, |value| units::duration(value.as_str()?))
    }

    /// How often something is done: not all the time.
    pub(crate) fn interval(&mut self, path: &'static str) -> Duration {
        self.read(path, "a duration of at least \"1 s\"", |value| {
            let duration = units::duration(value.as_str()?)?;
            (duration >= Duration::from_secs(1)).then_some(duration)
        })
    }

    pub(crate) fn bytes(&mut self, path: &'static str) -> usize {
        self.read(path, SIZE, |value| {
            let bytes = units::bytes(value.as_str()?)?;
            usize::try_from(bytes)
                .ok()
                .filter(|bytes| (1..=SIZE_MAX).contains(bytes))
        })
    }

    pub(crate) fn bytes_per_second(&mut self, path: &'static str) -> u32 {
        self.read(path, SIZE, |value| {
            let bytes = units::bytes(value.as_str()?)?;
            u32::try_from(bytes).ok().filter(|bytes| *bytes >= 1)
        })
    }

    pub(crate) fn hosts(&mut self, path: &'static str) -> Hosts {
        self.read(path, "a domain name", |value| {
            let domain = DomainPart::new(value.as_str()?).ok()?;
            // Host names of ours are made by putting a label before it.
            (domain.len() < 200).then(|| Hosts::new(domain.into_owned()))
        })
    }
}

pub(crate) fn path(value: &Value) -> Option<PathBuf> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(PathBuf::from)
}

pub(crate) fn parsed<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

/// The empty text is none.
pub(crate) fn optional<T>(
    parse: impl Fn(&Value) -> Option<T>,
) -> impl Fn(&Value) -> Option<Option<T>> {
    move |value| {
        if value.as_str() == Some("") {
            Some(None)
        } else {
            parse(value).map(Some)
        }
    }
}

pub(crate) fn list<T>(parse: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Vec<T>> {
    move |value| value.as_array()?.iter().map(&parse).collect()
}

/// A table as JSON; None if there is something in it that JSON can't say.
pub(crate) fn json(table: &Table) -> Option<Map<String, JsonValue>> {
    table
        .iter()
        .map(|(name, value)| Some((name.clone(), json_value(value)?)))
        .collect()
}

fn json_value(value: &Value) -> Option<JsonValue> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => JsonValue::Number(Number::from_f64(*number)?),
        Value::Boolean(flag) => (*flag).into(),
        Value::Datetime(_) => return None,
        Value::Array(list) => JsonValue::Array(list.iter().map(json_value).collect::<Option<_>>()?),
        Value::Table(table) => JsonValue::Object(json(table)?),
    })
}

/// A name that may stand in a header and in a script.
pub(crate) fn word(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(is_word)).then(|| text.to_owned())
}

/// A source of a content security policy.
pub(crate) fn source(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_source = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b';' && b != b',');
    (is_source && !text.is_empty()).then(|| text.to_owned())
}

/// A video codec by its name.
pub(crate) fn video_codec(value: &Value) -> Option<VideoCodec> {
    VideoCodec::from_name(value.as_str()?)
}

/// `stun:host` or `stun:host:port` (RFC 7064).
pub(crate) fn stun_server(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let rest = text.strip_prefix("stun:")?;
    // Its authority has the grammar of a URL's.
    format!("http://{rest}").parse::<PublicUrl>().ok()?;
    (!rest.ends_with('/')).then(|| text.to_owned())
}

/// So many participants, and so long: `50: 500 ms`.
pub(crate) fn source_delay(value: &Value) -> Option<(usize, Duration)> {
    let (participants, delay) = value.as_str()?.split_once(':')?;
    let delay = units::duration(delay).filter(|delay| *delay <= SOURCE_DELAY_MAX)?;
    Some((participants.trim().parse().ok()?, delay))
}

/// Whoever speaks is not heard by those who are not told.
const SOURCE_DELAY_MAX: Duration = Duration::from_secs(10);
/// What no count of ours needs to exceed.
pub(crate) const MANY: i64 = 1_000_000;
pub(crate) const BITRATE_MAX: i64 = 10_000_000_000;
const SIZE: &str = "a size such as \"64 KiB\" or \"4 MiB\"";
const SIZE_MAX: usize = 1 << 40;
