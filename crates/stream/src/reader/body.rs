//! The wrapper that BOSH puts around frames (XEP-0124, XEP-0206).

use rxml::{Options, Parse, RawEvent, RawParser, WithOptions};
use tertulia_stanza::ns;

use super::{Counts, Root, policy, xml_error};
use crate::framing;
use crate::{Limits, StreamCondition, StreamError};

/// What a client's `<body/>` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The session; None asks for a new one.
    pub sid: Option<String>,
    /// Number of the request, counted up by the client from one of its choice.
    pub rid: u64,
    /// Seconds for which the client wants a request to be held at most.
    pub(crate) wait: Option<u64>,
    /// How many requests the client wants to be held.
    pub(crate) hold: Option<u64>,
    /// The client ends the session.
    pub(crate) is_terminate: bool,
    /// What is inside as frames of RFC 7395, with an opening in front where the wrapper stands for
    /// one.
    pub(crate) frames: Vec<String>,
}

/// Reads the body of an HTTP request. `limits` are those of one frame; how long the whole may be
/// was for the HTTP side to say.
pub fn read_body(limits: &Limits, text: &str) -> Result<Body, StreamError> {
    let limits = Limits {
        depth_max: limits.depth_max + 1,
        ..limits.clone()
    };
    let frames = split(&limits, text)?;
    let root = Root::of(text)?;
    if (root.name.as_str(), root.namespace.as_str()) != ("body", ns::HTTP_BIND) {
        return Err(StreamError::new(
            StreamCondition::InvalidNamespace,
            "a request is a body element of BOSH",
        ));
    }
    let rid = root.plain("rid").and_then(|rid| rid.parse().ok());
    let Some(rid) = rid.filter(|rid| *rid <= RID_MAX) else {
        return Err(StreamError::new(
            StreamCondition::BadFormat,
            "a request has a number",
        ));
    };
    let sid = root.plain("sid").map(str::to_owned);
    let is_terminate = root.plain("type") == Some("terminate");
    let is_restart = matches!(root.attribute(ns::XBOSH, "restart"), Some("true" | "1"));
    // Old clients don't say the version.
    let version = root.attribute(ns::XBOSH, "version").unwrap_or("1.0");
    let opening = (sid.is_none() || is_restart).then(|| framing::open(root.plain("to"), version));
    let close = is_terminate.then(|| framing::CLOSE.to_owned());
    let frames = frames.into_iter().map(str::to_owned);
    Ok(Body {
        rid,
        wait: root.plain("wait").and_then(|wait| wait.parse().ok()),
        hold: root.plain("hold").and_then(|hold| hold.parse().ok()),
        is_terminate,
        frames: opening.into_iter().chain(frames).chain(close).collect(),
        sid,
    })
}

/// The child elements of the wrapper, each as it was written. One that relies on a prefix of the
/// wrapper is refused when it is read as a frame.
fn split<'a>(limits: &Limits, text: &'a str) -> Result<Vec<&'a str>, StreamError> {
    let options = Options {
        max_token_length: text.len() + 1,
        ..Options::default()
    };
    let mut parser = RawParser::with_options(options);
    let mut rest = text.as_bytes();
    let mut counts = Counts::default();
    let (mut offset, mut start) = (0, 0);
    let mut children = Vec::new();
    while let Some(event) = parser
        .parse(&mut rest, true)
        .map_err(|e| xml_error(e, text, rest))?
    {
        let begin = offset;
        offset += event.metrics().len();
        match event {
            RawEvent::XmlDeclaration(..) | RawEvent::ElementHeadClose(_) => {}
            RawEvent::ElementHeadOpen(_, name) => {
                counts.open(limits, &name)?;
                if counts.depth == 2 {
                    start = begin;
                }
            }
            RawEvent::Attribute(_, name, value) => counts.attribute(limits, &name, &value)?,
            RawEvent::Text(_, text) => {
                if counts.depth == 1 && !text.trim().is_empty() {
                    return Err(policy("there is text between the stanzas"));
                }
            }
            RawEvent::ElementFoot(_) => {
                if counts.depth == 2 {
                    children.extend(text.get(start..offset));
                }
                counts.depth -= 1;
            }
        }
    }
    Ok(children)
}

/// XEP-0124 section 14.1.
const RID_MAX: u64 = (1 << 53) - 1;
