//! The addresses behind which the server keeps its features, and whose messages are believed.
//!
//! Speaks: disco#info of the main host and the early announcement of the same; XEP-0215.

use super::*;

/// What the server has said about its addresses.
#[derive(Default)]
pub(super) struct Components {
    /// JID by type of identity.
    addresses: BTreeMap<String, String>,
    /// Node features by type of identity: what the component can do.
    features: BTreeMap<String, Vec<String>>,
    /// Announced since the last log-in, before we could ask.
    is_announced: bool,
    /// Messages that came before the addresses were known; looked at again once.
    early: VecDeque<Stanza>,
}

impl Components {
    fn learn(&mut self, info: &DiscoInfo) {
        for identity in &info.identities {
            let known = COMPONENTS.contains(&identity.type_.as_str());
            if let (true, Some(name)) = (known, &identity.name) {
                self.addresses.insert(identity.type_.clone(), name.clone());
            }
        }
    }

    fn is_trusted(&self, from: &Jid) -> bool {
        // An exact match: these are bare domains.
        self.addresses
            .values()
            .any(|address| address == from.as_str())
    }
}

impl Client {
    /// Where a feature takes commands, by the type of its identity (`polls`, `av_moderation`); None
    /// if the server has not said.
    pub fn component(&self, type_: &str) -> Option<&str> {
        self.components.addresses.get(type_).map(String::as_str)
    }

    /// Whether breakout rooms can be renamed here.
    pub fn can_rename_breakout_rooms(&self) -> bool {
        self.component_can("breakout_rooms", "#rename")
    }

    /// Whether the lobby wants a display name.
    pub fn needs_name_for_lobby(&self) -> bool {
        self.component_can("lobbyrooms", "#displayname_required")
    }

    fn component_can(&self, type_: &str, ending: &str) -> bool {
        let features = self.components.features.get(type_);
        features.is_some_and(|features| features.iter().any(|name| name.ends_with(ending)))
    }

    /// A new log-in: asks what Jitsi's client asks, unless it was told already.
    pub(super) fn discover(&mut self, now: Now) {
        if std::mem::take(&mut self.components.is_announced) {
            return self.components_known(now);
        }
        let host = self.main_host();
        let services = Element::bare("services", ns::EXT_DISCO);
        self.ask(now, host.clone(), "get", services, Question::Services);
        let query = DiscoInfo::query(None);
        let iq = Stanza::new(Kind::Iq)
            .with_type("get")
            .with_to(host)
            .with_child(query);
        self.line
            .ask(now, iq, Question::Host, Some(DISCOVERY_TIMEOUT));
    }

    pub(super) fn host_answered(&mut self, now: Now, result: Option<&Stanza>) {
        if let Some(info) = result.and_then(info_of) {
            self.components.learn(&info);
            self.components_known(now);
        }
    }

    /// The addresses are known: what came too early is looked at, and the two components that
    /// have features of their own are asked for them.
    fn components_known(&mut self, now: Now) {
        for type_ in ["lobbyrooms", "breakout_rooms"] {
            let address = self.component(type_).and_then(|name| name.parse().ok());
            if let Some(address) = address {
                let query = DiscoInfo::query(Some(type_));
                self.ask(now, address, "get", query, Question::Component(type_));
            }
        }
        for message in std::mem::take(&mut self.components.early) {
            self.handle_component_message(now, &message);
        }
        self.watch_lobby(now);
    }

    pub(super) fn component_answered(&mut self, type_: &str, result: Option<&Stanza>) {
        if let Some(info) = result.and_then(info_of) {
            let features = &mut self.components.features;
            features.insert(type_.to_owned(), info.features);
        }
    }

    /// The server announces itself before it answers the bind request; later ones are ignored.
    /// True if it was that.
    pub(super) fn handle_announcement(&mut self, message: &Stanza) -> bool {
        let is_of_host = message.from.as_ref() == Some(&self.main_host());
        let info = is_of_host.then(|| info_of(message)).flatten();
        let Some(info) = info else { return false };
        if !self.line.is_up() {
            self.components.learn(&info);
            self.components.is_announced = true;
        }
        true
    }

    /// A message that is of no room. Only those of announced addresses count.
    pub(super) fn handle_component_message(&mut self, now: Now, message: &Stanza) {
        let Some(from) = &message.from else { return };
        if !self.components.is_trusted(from) {
            tracing::debug!("a message of an address that nobody announced");
            if self.components.addresses.is_empty() && self.components.early.len() < EARLY_MAX {
                self.components.early.push_back(message.clone());
            }
            return;
        }
        let Some(value) = json_message(message) else {
            return;
        };
        match value.get("type").and_then(Value::as_str) {
            Some("speakerstats") => self.handle_speaker_stats(&value),
            Some("av_moderation") => self.handle_moderation(&value),
            Some("breakout_rooms") => self.handle_breakout(now, &value),
            Some("file-sharing") => self.handle_file(&value),
            Some("room_metadata") => self.handle_metadata(now, &value),
            Some("visitors") => self.handle_visitors(&value),
            Some("polls") => self.handle_poll(&value),
            _ => tracing::debug!("a component's message of an unknown type"),
        }
    }

    /// Sends a command to a component; nothing if the server did not announce it, as Jitsi's
    /// client does.
    pub(super) fn command(&mut self, now: Now, type_: &str, command: Element) {
        let Some(to) = self
            .component(type_)
            .and_then(|name| name.parse::<Jid>().ok())
        else {
            tracing::debug!(component = type_, "no such component");
            return;
        };
        let message = Stanza::new(Kind::Message).with_to(to).with_child(command);
        self.line.send(now, message);
        self.settle(now);
    }

    pub(super) fn main_host(&self) -> Jid {
        Jid::from_parts(None, &self.config.domain, None)
    }
}

/// The disco#info in a stanza.
pub(super) fn info_of(stanza: &Stanza) -> Option<DiscoInfo> {
    stanza.children().iter().find_map(DiscoInfo::parse)
}

/// The JSON object in a `<json-message/>`, which must have a `type`.
pub(super) fn json_message(message: &Stanza) -> Option<Value> {
    let text = message.child("json-message", ns::JITSI_MEET)?.text();
    // COMPAT(jitsi-meet): the text may be escaped a second time.
    let value = serde_json::from_str(&text)
        .or_else(|_| serde_json::from_str(&text.replace("&quot;", "\"")))
        .ok()?;
    let value: Option<Value> = Some(value);
    value.filter(|value| value.get("type").is_some())
}

/// The element that carries a JSON object.
pub(super) fn json_element(value: &Value) -> Element {
    text_element("json-message", ns::JITSI_MEET, &value.to_string())
}

/// The identities that Jitsi's client knows as components.
const COMPONENTS: [&str; 10] = [
    "speakerstats",
    "av_moderation",
    "lobbyrooms",
    "breakout_rooms",
    "room_metadata",
    "end_conference",
    "polls",
    "file-sharing",
    "visitors",
    "audio-translation",
];
/// Jitsi's client waits so long for the answer of the main host.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);
const EARLY_MAX: usize = 100;
