//! The stanza itself (envelope, validated bytes, tree on demand), and XML payloads of Jitsi's
//! namespaces as types.
//!
//! Does not know: streams, rooms, who may send what.

pub mod ns;

mod stanza;

pub use minidom::Element;
pub use stanza::{Kind, Stanza};
