//! A client in a conversation: its socket, what it has not read yet, and what it does by itself.

use std::collections::VecDeque;

use tertulia_stanza::disco::DiscoInfo;
use tertulia_stanza::{Element, ns};

use super::Socket;

#[derive(Default)]
pub(super) struct Person {
    pub(super) socket: Option<Socket>,
    /// The code with which the server closed the socket.
    pub(super) closed: Option<u16>,
    pub(super) is_reading: bool,
    /// It tells the focus that it can have sources rewritten.
    pub(super) expects_rewriting: bool,
    /// Stream management is on.
    pub(super) is_counting: bool,
    /// Stanzas read since it was turned on.
    pub(super) handled: u32,
    pub(super) unread: VecDeque<Element>,
    /// Stanzas sent and not acknowledged, and how many were.
    sent: VecDeque<String>,
    acknowledged: u32,
}

impl Person {
    /// A new session: nothing of the old one counts.
    pub(super) fn start_anew(&mut self) {
        *self = Person {
            socket: self.socket,
            is_reading: self.is_reading,
            expects_rewriting: self.expects_rewriting,
            ..Person::default()
        };
    }

    pub(super) fn forget(&mut self) {
        self.unread.clear();
    }

    /// Takes in a frame; what is answered to it.
    pub(super) fn read(&mut self, frame: &str) -> Vec<String> {
        if !self.is_reading {
            return Vec::new();
        }
        let Ok(element) = Element::from_reader(frame.as_bytes()) else {
            panic!("the server sent {frame}");
        };
        if element.ns() == ns::CLIENT && self.is_counting {
            self.handled += 1;
        }
        if element.is("r", ns::SM) {
            return vec![format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled)];
        }
        if element.is("a", ns::SM) && self.is_counting {
            let h = element
                .attr("h")
                .and_then(|h| h.parse().ok())
                .expect("a number");
            self.unacknowledged_after(h).expect("an exact count");
            return Vec::new();
        }
        if let Some(answer) = answer_features(&element, self.expects_rewriting) {
            self.count_sent(&answer);
            return vec![answer];
        }
        self.unread.push_back(element);
        Vec::new()
    }

    /// Drops what is unread up to and including the frame that `is_it`; otherwise what is unread.
    pub(super) fn take(&mut self, is_it: impl FnMut(&Element) -> bool) -> Result<(), Vec<String>> {
        match self.unread.iter().position(is_it) {
            Some(at) => {
                self.unread.drain(..=at);
                Ok(())
            }
            None => Err(self.unread.iter().map(String::from).collect()),
        }
    }

    pub(super) fn count_sent(&mut self, frame: &str) {
        let is_stanza = ["<message", "<presence", "<iq"]
            .iter()
            .any(|name| frame.starts_with(name));
        if is_stanza && self.is_counting {
            self.sent.push_back(frame.to_owned());
        }
    }

    /// Notes the server's `h`; what it has not handled.
    pub(super) fn unacknowledged_after(&mut self, h: u32) -> Result<Vec<String>, String> {
        let done = h.checked_sub(self.acknowledged).map(|done| done as usize);
        let Some(done) = done.filter(|done| *done <= self.sent.len()) else {
            let (sent, before) = (self.sent.len(), self.acknowledged);
            return Err(format!(
                "h={h}, but {sent} stanzas were sent after {before}"
            ));
        };
        self.acknowledged = h;
        self.sent.drain(..done);
        Ok(self.sent.iter().cloned().collect())
    }
}

/// The answer to the focus that asks what the client can do: what a browser can.
fn answer_features(iq: &Element, expects_rewriting: bool) -> Option<String> {
    let is_question = iq.is("iq", ns::CLIENT)
        && iq.attr("type") == Some("get")
        && iq.attr("from").is_some_and(|from| from.ends_with("/focus"));
    let query = iq
        .get_child("query", ns::DISCO_INFO)
        .filter(|_| is_question)?;
    let mut info = DiscoInfo::default().with_features([
        ns::JINGLE,
        ns::JINGLE_RTP,
        ns::JINGLE_ICE,
        ns::JINGLE_DTLS,
        ns::JINGLE_RTP_AUDIO,
        ns::JINGLE_RTP_VIDEO,
        ns::JINGLE_SCTP,
        ns::JSON_SOURCES,
        ns::RTX_FEATURE,
        ns::TCC_FEATURE,
    ]);
    info = info.with_features(expects_rewriting.then_some(ns::SSRC_REWRITING));
    info.node = query.attr("node").map(str::to_owned);
    Some(format!(
        "<iq xmlns='jabber:client' type='result' id='{}' to='{}'>{}</iq>",
        iq.attr("id")?,
        iq.attr("from")?,
        String::from(&info.to_element())
    ))
}

pub(super) const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
pub(super) const AUTH: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
pub(super) const BIND: &str = "<iq xmlns='jabber:client' type='set' id='_bind_auth_2'>\
    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
pub(super) const MECHANISMS: &str = "<features xmlns='http://etherx.jabber.org/streams'>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>ANONYMOUS</mechanism>\
    </mechanisms></features>";
pub(super) const FEATURES: &str = "<features xmlns='http://etherx.jabber.org/streams'>\
    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></features>";
pub(super) const BOUND: &str = "<iq type='result' id='_bind_auth_2'>\
    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{bound}</jid></bind></iq>";
pub(super) const RESUME_FAILED: &str = "<failed xmlns='urn:xmpp:sm:3'>\
    <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";

/// Everybody has a device of their own.
pub(super) fn request(name: &str, room: &str) -> String {
    format!(
        "<iq xmlns='jabber:client' type='set' id='request' to='focus.localhost'>\
         <conference xmlns='http://jitsi.org/protocol/focus' \
         room='{room}@conference.localhost' machine-uid='{name}'/></iq>"
    )
}

pub(super) fn ready(room: &str) -> String {
    format!(
        "<iq type='result' id='request' from='focus.localhost'>\
         <conference xmlns='http://jitsi.org/protocol/focus' \
         room='{room}@conference.localhost' ready='true' focusjid='focus@auth.localhost'/></iq>"
    )
}

pub(super) fn join(room: &str, nick: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' to='{room}@conference.localhost/{nick}'>\
         <x xmlns='http://jabber.org/protocol/muc'/>\
         <nick xmlns='http://jabber.org/protocol/nick'>{nick}</nick></presence>"
    )
}

pub(super) fn joined(room: &str, nick: &str) -> String {
    format!(
        "<presence from='{room}@conference.localhost/{nick}'>\
         <x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>"
    )
}

pub(super) fn subject(room: &str) -> String {
    format!("<message type='groupchat' from='{room}@conference.localhost'><subject/></message>")
}
