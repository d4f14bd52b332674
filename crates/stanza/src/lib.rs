//! The stanza itself (envelope, validated bytes, tree on demand), and XML payloads of Jitsi's
//! namespaces as types.
//!
//! Does not know: streams, rooms, who may send what.

pub mod conference_request;
pub mod disco;
pub mod jingle;
pub mod json_message;
pub mod muc;
pub mod mute;
pub mod ns;
pub mod source_info;
pub mod sources;

mod condition;
mod element;
mod stanza;

pub use condition::{Condition, ErrorType, StanzaError};
pub use element::{WithAttribute, text_element};
pub use minidom::Element;
pub use stanza::{Kind, Stanza};
