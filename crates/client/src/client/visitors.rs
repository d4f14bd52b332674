//! Visitors: who only listens, asks to take part, and is let.
//!
//! Speaks: Jitsi's JSON messages of type `visitors`, and `<promotion-response/>`.

use super::breakout::text;
use super::*;

impl Client {
    /// Answers a visitor's wish to take part, by what
    /// [`PromotionRequested`](Notice::PromotionRequested) named.
    pub fn promote(&mut self, now: Now, from: &str, is_allowed: bool) {
        let answer = json!({
            "type": "visitors",
            "action": "promotion-response",
            "approved": is_allowed,
            "id": from,
        });
        self.send_groupchat(now, None, [components::json_element(&answer)]);
        self.settle(now);
    }

    /// Whether we only listen.
    pub fn is_visitor(&self) -> bool {
        self.role() == Role::Visitor
    }

    /// Our role or our standing may be another one.
    pub(super) fn role_changed(&mut self, now: Now) {
        self.watch_lobby(now);
        let is_visitor = self.is_visitor();
        let was_visitor = std::mem::replace(&mut self.is_visiting, is_visitor);
        if was_visitor && !is_visitor {
            // From now on we take part: the others see what we have.
            self.announce(now);
            self.send_presence(now);
        }
    }

    pub(super) fn handle_visitors(&mut self, value: &Value) {
        if value.get("action").and_then(Value::as_str) != Some("promotion-request") {
            return;
        }
        if let (Some(nick), Some(from)) = (text(value, "nick"), text(value, "from")) {
            let is_on = value.get("on") == Some(&Value::Bool(true));
            self.notice(Notice::PromotionRequested { nick, from, is_on });
        }
    }

    /// The answer to our own wish. Jitsi's application then comes anew as a participant.
    pub(super) fn handle_promotion(&mut self, now: Now, visitors: &Element) {
        let Some(response) = visitors.get_child("promotion-response", VISITORS) else {
            return;
        };
        let allow = response.attr("allow").unwrap_or_default();
        let is_allowed = allow.eq_ignore_ascii_case("true");
        self.notice(Notice::Promotion { is_allowed });
        if is_allowed && self.stage == Stage::Joined {
            self.config.habits.prefers_visitor = false;
            self.come_again(now);
        }
    }
}
