//! `<SourceInfo/>`: what an occupant says in its presence about what it sends.

use minidom::Element;
use serde_json::Value;
use tertulia_model::{MediaType, SourceName};

use crate::ns;

/// Which kinds of media an occupant sends, by its own account: those with a source that is not
/// muted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    pub audio: bool,
    /// Camera or screen.
    pub video: bool,
}

impl Sending {
    /// Reads the children of a presence of `nick`. What says nothing of the kind, and sources under
    /// another's name, count for nothing.
    pub fn of(nick: &str, children: &[Element]) -> Sending {
        let text = |name: &str| {
            let mut children = children.iter();
            let child = children.find(|child| child.is(name, ns::CLIENT));
            child.map(Element::text)
        };
        if let Some(json) = text("SourceInfo") {
            return Sending::of_json(nick, &json);
        }
        // COMPAT(jigasi): gateways say it the old way.
        let is_on = |name| text(name).is_some_and(|muted| muted.trim() == "false");
        Sending {
            audio: is_on("audiomuted"),
            video: is_on("videomuted"),
        }
    }

    fn of_json(nick: &str, json: &str) -> Sending {
        let mut sending = Sending::default();
        let Ok(Value::Object(sources)) = serde_json::from_str(json) else {
            return sending;
        };
        for (name, source) in &sources {
            let is_on = source.get("muted").and_then(Value::as_bool) == Some(false);
            let Ok(name) = name.parse::<SourceName>() else {
                continue;
            };
            if !is_on || name.owner() != nick {
                continue;
            }
            match media(&name) {
                MediaType::Audio => sending.audio = true,
                MediaType::Video => sending.video = true,
            }
        }
        sending
    }
}

fn media(name: &SourceName) -> MediaType {
    let index = name.as_str().rsplit_once('-').map(|(_, index)| index);
    if index.is_some_and(|index| index.starts_with('a')) {
        MediaType::Audio
    } else {
        MediaType::Video
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_element;

    fn check(children: &[(&str, &str)], audio: bool, video: bool) {
        let child = |(name, text): &(&str, &str)| text_element(name, ns::CLIENT, text);
        let elements: Vec<Element> = children.iter().map(child).collect();
        let sending = Sending::of("1a2b3c4d", &elements);
        assert_eq!(sending, Sending { audio, video }, "{children:?}");
    }

    #[test]
    fn by_source_info() {
        let info = |text| [("nick", "Ann"), ("SourceInfo", text)];
        check(&info("{}"), false, false);
        check(&info(r#"{"1a2b3c4d-a0":{"muted":false}}"#), true, false);
        let muted = r#"{"1a2b3c4d-a0":{"muted":true},"1a2b3c4d-v0":{},"1a2b3c4d-v1":{"muted":false,"videoType":"desktop"}}"#;
        check(&info(muted), false, true);
        check(&info(r#"{"9f8e7d6c-a0":{"muted":false}}"#), false, false);
        for bad in [
            "",
            "[]",
            "null",
            "{",
            r#"{"1a2b3c4d-a0":false}"#,
            r#"{"x":{"muted":false}}"#,
        ] {
            check(&info(bad), false, false);
        }
    }

    #[test]
    fn the_old_way_only_without_source_info() {
        check(&[], false, false);
        check(
            &[("audiomuted", "false"), ("videomuted", "true")],
            true,
            false,
        );
        check(&[("videomuted", " false ")], false, true);
        check(
            &[("audiomuted", "false"), ("SourceInfo", "{}")],
            false,
            false,
        );
    }
}
