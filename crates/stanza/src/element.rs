use minidom::{Element, ElementBuilder, IntoAttributeValue, Node};
use rxml::NcName;

/// Attributes by literal name, as every builder of payloads needs them.
pub trait WithAttribute {
    /// Adds an attribute; `None` adds nothing.
    #[must_use]
    fn with(self, name: &'static str, value: impl IntoAttributeValue) -> Self;
}

impl WithAttribute for ElementBuilder {
    fn with(self, name: &'static str, value: impl IntoAttributeValue) -> Self {
        let name = NcName::try_from(name).expect("attribute names are literals without colon");
        self.attr(name, value)
    }
}

/// An element with nothing but text.
pub fn text_element(name: &str, namespace: &str, text: &str) -> Element {
    Element::builder(name, namespace).append(text).build()
}

/// Whether XML can carry each character of the tree.
pub(crate) fn is_legal(element: &Element) -> bool {
    element
        .attrs()
        .values()
        .all(|value| value.chars().all(is_xml_char))
        && element.nodes().all(|node| match node {
            Node::Element(child) => is_legal(child),
            Node::Text(text) => text.chars().all(is_xml_char),
        })
}

/// The same tree without the characters that XML cannot carry. They come from JSON, where a
/// stranger may escape any of them.
pub(crate) fn without_illegal_characters(element: &Element) -> Element {
    let mut clean = Element::bare(element.name(), element.ns());
    for ((namespace, name), value) in element.attrs() {
        clean.set_attr(namespace.clone(), name.clone(), legal(value));
    }
    for node in element.nodes() {
        match node {
            Node::Element(child) => {
                clean.append_child(without_illegal_characters(child));
            }
            Node::Text(text) => clean.append_text_node(legal(text)),
        }
    }
    clean
}

fn legal(text: &str) -> String {
    text.chars().filter(|c| is_xml_char(*c)).collect()
}

/// Char of XML 1.0, section 2.2.
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
