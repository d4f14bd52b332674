//! JSON inside a message: how Jitsi's services and clients tell each other most things.

use minidom::Element;
use serde_json::{Map, Value};

use crate::{WithAttribute, ns};

/// A `<json-message/>`.
pub fn json_message(json: &Value) -> Element {
    Element::builder("json-message", ns::JITSI_MEET)
        .append(written(json))
        .build()
}

/// A `<json-message/>` that names the room that it is about.
pub fn json_message_of_room(room: &str, json: &Value) -> Element {
    Element::builder("json-message", ns::JITSI_MEET)
        .with("room", room)
        .append(written(json))
        .build()
}

/// JSON as it can be sent to others.
///
/// COMPAT(lib-jitsi-meet): it turns `&quot;` and the like into characters before it reads the
/// JSON, so that a name could end its own string and go on with fields of its choice. Without the
/// sign `&` there is nothing to turn.
fn written(json: &Value) -> String {
    json.to_string().replace('&', "\\u0026")
}

/// A text that is not the object that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    #[error("expected JSON")]
    Syntax,
    #[error("expected a JSON object")]
    NoObject,
    #[error("a key of that name is not passed on: {PROTOTYPE}")]
    Prototype,
}

/// Reads the JSON object that a client sends for others to get.
pub fn read_object(text: &str) -> Result<Map<String, Value>, InvalidJson> {
    let value: Value = serde_json::from_str(text).map_err(|_| InvalidJson::Syntax)?;
    if names_prototype(&value) {
        return Err(InvalidJson::Prototype);
    }
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(InvalidJson::NoObject),
    }
}

/// COMPAT(lib-jitsi-meet): it throws away any message with such a key.
fn names_prototype(value: &Value) -> bool {
    match value {
        Value::Object(object) => object
            .iter()
            .any(|(key, value)| key == PROTOTYPE || names_prototype(value)),
        Value::Array(values) => values.iter().any(names_prototype),
        _ => false,
    }
}

/// A key that no object may have that others read.
pub const PROTOTYPE: &str = "__proto__";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_in_a_text_ends_it() {
        let name = r#"x&quot;,&quot;senderId&quot;:&quot;boss" <b>\"#;
        let json = json!({ "type": "polls", "name": name });
        let element = json_message_of_room("tea@conference.localhost", &json);
        let text = element.text();
        assert!(!text.contains('&'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json);
        assert_eq!(element.attr("room"), Some("tea@conference.localhost"));
        assert_eq!(json_message(&json).text(), text);
    }

    #[test]
    fn only_objects_are_read() {
        let read = |text: &str| read_object(text).map(|object| object.len());
        assert_eq!(read(r#"{"a":1,"b":[]}"#), Ok(2));
        assert_eq!(read("[1]"), Err(InvalidJson::NoObject));
        for text in ["", "{", "{a:1}", &"[".repeat(10_000)] {
            assert_eq!(read(text), Err(InvalidJson::Syntax));
        }
        for text in [
            r#"{"__proto__":1}"#,
            r#"{"a":[{"b":{"\u005f_proto__":{}}}]}"#,
        ] {
            assert_eq!(read(text), Err(InvalidJson::Prototype));
        }
    }
}
