//! External services (XEP-0215): STUN and TURN servers that clients may use.
//!
//! Jitsi's client replaces its list by the answer, so an empty one means: no third party's.

use tertulia_stanza::{Element, ns};

/// Answers a request for services in the version in which it is asked; None if it is none.
pub(crate) fn answer(request: &Element) -> Option<Element> {
    let versions = [ns::EXT_DISCO, ns::EXT_DISCO_1];
    let version = versions
        .into_iter()
        .find(|version| request.is("services", *version))?;
    Some(list(version))
}

/// All services, in this version of the protocol. There are none yet.
pub(crate) fn list(version: &str) -> Element {
    Element::bare("services", version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_version_in_which_it_is_asked() {
        for version in [ns::EXT_DISCO, ns::EXT_DISCO_1] {
            let list = answer(&Element::bare("services", version)).unwrap();
            assert!(list.is("services", version));
        }
        assert!(answer(&Element::bare("services", ns::PING)).is_none());
        assert!(answer(&Element::bare("credentials", ns::EXT_DISCO)).is_none());
    }
}
