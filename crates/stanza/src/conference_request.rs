//! The conference request: what a Jitsi client asks of the focus before it joins a room.
//!
//! Two forms with one meaning: an iq to the focus' address, and JSON by HTTP.

use std::collections::BTreeMap;

use minidom::Element;
use serde_json::{Map, Value, json};

use crate::{WithAttribute, ns};

/// A client asks for a conference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConferenceRequest {
    /// The room's bare JID as the client wrote it.
    pub room: String,
    /// The browser's or app's own id, kept in its local storage. Never shown to other clients.
    pub machine_uid: Option<String>,
    /// An authentication session of earlier.
    pub session_id: Option<String>,
    /// A JSON Web Token.
    pub token: Option<String>,
    pub properties: BTreeMap<String, String>,
}

/// The answer to a [`ConferenceRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConferenceReply {
    pub room: String,
    /// Only then the client joins; otherwise it asks again later.
    pub is_ready: bool,
    /// The bare real JID by which clients recognise the focus.
    pub focus_jid: String,
    pub session_id: Option<String>,
    /// The name under which the client is logged in.
    pub identity: Option<String>,
    pub properties: BTreeMap<String, String>,
}

/// A text that is not a conference request (or reply).
#[derive(Debug, thiserror::Error)]
pub enum InvalidConferenceJson {
    #[error("no JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("no string \"room\"")]
    NoRoom,
}

impl ConferenceRequest {
    /// Reads a `<conference/>`; None if it is something else or names no room.
    pub fn parse(element: &Element) -> Option<ConferenceRequest> {
        if !element.is("conference", ns::FOCUS) {
            return None;
        }
        Some(ConferenceRequest {
            room: element.attr("room")?.to_owned(),
            machine_uid: element.attr("machine-uid").map(str::to_owned),
            session_id: element.attr("session-id").map(str::to_owned),
            token: element.attr("token").map(str::to_owned),
            properties: properties(element),
        })
    }

    /// The `<conference/>` of the iq form.
    pub fn to_element(&self) -> Element {
        Element::builder("conference", ns::FOCUS)
            .with("room", self.room.as_str())
            .with("machine-uid", self.machine_uid.as_deref())
            .with("session-id", self.session_id.as_deref())
            .with("token", self.token.as_deref())
            .append_all(property_elements(&self.properties))
            .build()
    }

    /// Reads the body of the HTTP form. Property values may be any scalar.
    pub fn parse_json(text: &str) -> Result<ConferenceRequest, InvalidConferenceJson> {
        let (room, map) = room_and_map(text)?;
        Ok(ConferenceRequest {
            room,
            machine_uid: string(&map, "machineUid"),
            session_id: string(&map, "sessionId"),
            token: None,
            properties: json_properties(&map),
        })
    }

    /// The body of the HTTP form. The token is not in it: it goes into the Authorization header.
    pub fn to_json(&self) -> String {
        let mut map = Map::new();
        map.insert("room".to_owned(), json!(self.room));
        insert(&mut map, "machineUid", self.machine_uid.as_ref());
        insert(&mut map, "sessionId", self.session_id.as_ref());
        map.insert("properties".to_owned(), json!(self.properties));
        Value::Object(map).to_string()
    }
}

impl ConferenceReply {
    /// Reads the `<conference/>` of a result.
    pub fn parse(element: &Element) -> Option<ConferenceReply> {
        if !element.is("conference", ns::FOCUS) {
            return None;
        }
        Some(ConferenceReply {
            room: element.attr("room").unwrap_or_default().to_owned(),
            is_ready: element.attr("ready") == Some("true"),
            focus_jid: element.attr("focusjid").unwrap_or_default().to_owned(),
            session_id: element.attr("session-id").map(str::to_owned),
            identity: element.attr("identity").map(str::to_owned),
            properties: properties(element),
        })
    }

    /// The `<conference/>` of the result.
    pub fn to_element(&self) -> Element {
        Element::builder("conference", ns::FOCUS)
            .with("room", self.room.as_str())
            .with("ready", if self.is_ready { "true" } else { "false" })
            .with("focusjid", self.focus_jid.as_str())
            .with("session-id", self.session_id.as_deref())
            .with("identity", self.identity.as_deref())
            .append_all(property_elements(&self.properties))
            .build()
    }

    /// Reads the body of an HTTP response.
    pub fn parse_json(text: &str) -> Result<ConferenceReply, InvalidConferenceJson> {
        let (room, map) = room_and_map(text)?;
        Ok(ConferenceReply {
            room,
            is_ready: map.get("ready") == Some(&Value::Bool(true)),
            focus_jid: string(&map, "focusJid").unwrap_or_default(),
            session_id: string(&map, "sessionId"),
            identity: string(&map, "identity"),
            properties: json_properties(&map),
        })
    }

    /// The body of an HTTP response. `properties` is always an object and its values are always
    /// strings: the client relies on both.
    pub fn to_json(&self) -> String {
        let mut map = Map::new();
        map.insert("room".to_owned(), json!(self.room));
        map.insert("ready".to_owned(), json!(self.is_ready));
        map.insert("focusJid".to_owned(), json!(self.focus_jid));
        insert(&mut map, "sessionId", self.session_id.as_ref());
        insert(&mut map, "identity", self.identity.as_ref());
        map.insert("properties".to_owned(), json!(self.properties));
        Value::Object(map).to_string()
    }
}

fn properties(element: &Element) -> BTreeMap<String, String> {
    let properties = element
        .children()
        .filter(|child| child.is("property", ns::FOCUS));
    properties
        .filter_map(|property| {
            Some((
                property.attr("name")?.to_owned(),
                property.attr("value")?.to_owned(),
            ))
        })
        .collect()
}

fn property_elements(properties: &BTreeMap<String, String>) -> Vec<Element> {
    let element = |(name, value): (&String, &String)| {
        Element::builder("property", ns::FOCUS)
            .with("name", name.as_str())
            .with("value", value.as_str())
            .build()
    };
    properties.iter().map(element).collect()
}

fn room_and_map(text: &str) -> Result<(String, Map<String, Value>), InvalidConferenceJson> {
    let map: Map<String, Value> = serde_json::from_str(text)?;
    let room = string(&map, "room").ok_or(InvalidConferenceJson::NoRoom)?;
    Ok((room, map))
}

fn string(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key)?.as_str().map(str::to_owned)
}

fn json_properties(map: &Map<String, Value>) -> BTreeMap<String, String> {
    let properties = map.get("properties").and_then(Value::as_object);
    let scalar = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.clone(), text))
    };
    properties
        .into_iter()
        .flatten()
        .filter_map(scalar)
        .collect()
}

fn insert(map: &mut Map<String, Value>, key: &str, value: Option<&String>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_request_read_back() {
        let request = ConferenceRequest {
            room: "tea@conference.localhost".to_owned(),
            machine_uid: Some("m".to_owned()),
            session_id: None,
            token: None,
            properties: [("visitors-version".to_owned(), "1".to_owned())].into(),
        };
        assert_eq!(
            ConferenceRequest::parse(&request.to_element()).as_ref(),
            Some(&request)
        );
        assert_eq!(
            ConferenceRequest::parse_json(&request.to_json()).unwrap(),
            request
        );
    }

    #[test]
    fn both_forms_of_the_reply_read_back() {
        let reply = ConferenceReply {
            room: "tea@conference.localhost".to_owned(),
            is_ready: true,
            focus_jid: "focus@auth.localhost".to_owned(),
            properties: [("authentication".to_owned(), "false".to_owned())].into(),
            ..ConferenceReply::default()
        };
        assert_eq!(
            ConferenceReply::parse(&reply.to_element()).as_ref(),
            Some(&reply)
        );
        assert_eq!(
            ConferenceReply::parse_json(&reply.to_json()).unwrap(),
            reply
        );
    }

    /// COMPAT(lib-jitsi-meet): property values come as numbers and booleans, and the reply's
    /// `properties` is dereferenced even when there is nothing in it.
    #[test]
    fn json_as_jitsi_writes_and_reads_it() {
        let body = r#"{"room":"tea@conference.localhost","machineUid":"m",
            "properties":{"visitors-version":1,"rtcstatsEnabled":false,"odd":{"a":1},"s":"t"}}"#;
        let request = ConferenceRequest::parse_json(body).unwrap();
        let got: Vec<_> = request
            .properties
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            got,
            [
                ("rtcstatsEnabled", "false"),
                ("s", "t"),
                ("visitors-version", "1")
            ]
        );
        assert!(
            ConferenceReply::default()
                .to_json()
                .contains("\"properties\":{}")
        );
    }

    #[test]
    fn something_else_is_refused() {
        for bad in ["", "[]", "{}", "{\"room\":1}", "{\"room\":\"a\""] {
            assert!(ConferenceRequest::parse_json(bad).is_err(), "{bad}");
        }
        assert_eq!(
            ConferenceRequest::parse(&Element::bare("conference", ns::FOCUS)),
            None
        );
        assert_eq!(
            ConferenceRequest::parse(&Element::bare("conference", ns::COLIBRI)),
            None
        );
    }
}
