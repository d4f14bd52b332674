//! Whether a frame is like an expected one.

use std::collections::BTreeMap;

use tertulia_stanza::{Element, ns};

/// Reads an expected frame; its default namespace is that of stanzas.
pub(super) fn parse(text: &str) -> Result<Element, String> {
    let wrapped = format!("<expected xmlns='{}'>{text}</expected>", ns::CLIENT);
    let parsed = Element::from_reader(wrapped.as_bytes());
    let parsed = parsed.map_err(|error| format!("no XML: {error}\n  {text}"))?;
    parsed
        .children()
        .next()
        .cloned()
        .ok_or_else(|| format!("no element: {text}"))
}

/// Compares, and remembers what the pattern names if all of it fits.
pub(super) fn matches(
    pattern: &Element,
    frame: &Element,
    names: &mut BTreeMap<String, String>,
) -> bool {
    let mut found = BTreeMap::new();
    let is_like = element(pattern, frame, &mut found);
    if is_like {
        names.extend(found);
    }
    is_like
}

fn element(pattern: &Element, frame: &Element, found: &mut BTreeMap<String, String>) -> bool {
    let text = pattern.text();
    let has_text = text.trim().is_empty() || value(text.trim(), frame.text().trim(), found);
    pattern.name() == frame.name()
        && pattern.ns() == frame.ns()
        && has_text
        && pattern.attrs().iter().all(|((_, name), expected)| {
            frame
                .attr(name.as_str())
                .is_some_and(|got| value(expected, got, found))
        })
        && pattern.children().all(|expected| {
            if expected.name() == "no" {
                return expected
                    .children()
                    .all(|no| !has_child(no, frame, &mut BTreeMap::new()));
            }
            has_child(expected, frame, found)
        })
}

fn has_child(expected: &Element, frame: &Element, found: &mut BTreeMap<String, String>) -> bool {
    frame.children().any(|child| {
        let mut inner = BTreeMap::new();
        let is_like = element(expected, child, &mut inner);
        if is_like {
            found.append(&mut inner);
        }
        is_like
    })
}

fn value(expected: &str, got: &str, found: &mut BTreeMap<String, String>) -> bool {
    if expected == "*" {
        return true;
    }
    let name = expected
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    match name.filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())) {
        Some(name) => {
            found.insert(name.to_owned(), got.to_owned());
            true
        }
        None => expected == got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, frame: &str) -> bool {
        matches(
            &parse(pattern).unwrap(),
            &parse(frame).unwrap(),
            &mut BTreeMap::new(),
        )
    }

    #[test]
    fn what_is_said_must_be_there_and_more_may_be() {
        let frame = "<message id='1' type='chat'><body>hi</body><x xmlns='n'/></message>";
        for like in [
            "<message/>",
            "<message type='chat'/>",
            "<message type='*'><body>hi</body></message>",
            "<message><x xmlns='n'/><body/></message>",
            "<message><no><x xmlns='other'/></no></message>",
        ] {
            assert!(check(like, frame), "{like}");
        }
        for unlike in [
            "<presence/>",
            "<message xmlns='n'/>",
            "<message type='groupchat'/>",
            "<message to='*'/>",
            "<message><body>ho</body></message>",
            "<message><x/></message>",
            "<message><no><body/></no></message>",
        ] {
            assert!(!check(unlike, frame), "{unlike}");
        }
    }

    #[test]
    fn names_are_remembered() {
        let mut names = BTreeMap::new();
        let pattern = parse("<iq id='{id}'><sid>{sid}</sid></iq>").unwrap();
        let frame = parse("<iq id='7'><sid>abc</sid></iq>").unwrap();
        assert!(matches(&pattern, &frame, &mut names));
        assert_eq!(names["id"], "7");
        assert_eq!(names["sid"], "abc");
    }
}
