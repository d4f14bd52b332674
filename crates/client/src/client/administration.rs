//! What moderators do to a room and to those in it: kick, grant and revoke, password, subject, the
//! end of the meeting.
//!
//! Speaks: muc#admin, muc#owner.

use super::*;

impl Client {
    /// Throws somebody out of the room.
    pub fn kick(&mut self, now: Now, nick: &str) {
        self.ask_room(now, Deed::Kick, kick_query(nick));
        self.settle(now);
    }

    /// Makes an occupant a moderator.
    pub fn grant_moderator(&mut self, now: Now, nick: &str) {
        self.set_affiliation(now, nick, Affiliation::Owner);
    }

    /// Makes a moderator a participant again.
    pub fn revoke_moderator(&mut self, now: Now, nick: &str) {
        self.set_affiliation(now, nick, Affiliation::Member);
    }

    /// Changes the standing of an occupant of the room, or of ourselves.
    pub fn set_affiliation(&mut self, now: Now, nick: &str, affiliation: Affiliation) {
        let occupant = self.occupants.as_ref().and_then(|o| o.others().get(nick));
        let own = self.me.as_ref().filter(|(_, own)| own == nick);
        let jid = occupant
            .and_then(|occupant| occupant.jid.as_ref())
            .or(own.map(|(jid, _)| jid));
        if let Some(bare) = jid.map(|jid| jid.to_bare()) {
            let name = affiliation.as_str();
            let reason = format!("Your affiliation has been changed to '{name}'.");
            let item = Element::builder("item", ns::MUC_ADMIN)
                .with("affiliation", name)
                .with("jid", bare.as_str())
                .append(text_element("reason", ns::MUC_ADMIN, &reason))
                .build();
            self.ask_room(now, Deed::Affiliation, admin_query([item]));
        }
        self.settle(now);
    }

    /// Sets the room's password, or removes it.
    pub fn set_password(&mut self, now: Now, password: Option<&str>) {
        let password = password.unwrap_or_default();
        let flag = if password.is_empty() { "0" } else { "1" };
        let mut fields = vec![
            ("muc#roomconfig_roomsecret", password.to_owned()),
            ("muc#roomconfig_passwordprotectedroom", flag.to_owned()),
        ];
        if self.meeting.info.is_members_only {
            fields.push(("muc#roomconfig_membersonly", "true".to_owned()));
        }
        fields.push(("muc#roomconfig_whois", "anyone".to_owned()));
        self.ask_form(now, Deed::Password, fields);
        self.settle(now);
    }

    /// Says what the meeting is about.
    pub fn set_subject(&mut self, now: Now, subject: &str) {
        let subject = text_element("subject", ns::CLIENT, subject);
        self.send_groupchat(now, None, [subject]);
        self.settle(now);
    }

    /// Ends the meeting for everybody.
    pub fn end_conference(&mut self, now: Now) {
        let command = Element::bare("end_conference", ns::CLIENT);
        self.command(now, "end_conference", command);
    }

    /// Makes everybody inside a member, all in one request.
    pub(super) fn make_members(&mut self, now: Now) {
        let others = self.occupants.as_ref().map(Occupants::others);
        let strangers = others.into_iter().flatten().filter(|(_, other)| {
            matches!(other.affiliation, Affiliation::None | Affiliation::Outcast)
        });
        let items: Vec<Element> = strangers
            .filter_map(|(_, other)| other.jid.as_ref())
            .map(|jid| {
                Element::builder("item", ns::MUC_ADMIN)
                    .with("affiliation", Affiliation::Member.as_str())
                    .with("jid", jid.to_bare().as_str())
                    .build()
            })
            .collect();
        if !items.is_empty() {
            self.ask_room(now, Deed::Members, admin_query(items));
        }
    }

    /// Asks for the owner's form, to send it back with these fields.
    pub(super) fn ask_form(&mut self, now: Now, deed: Deed, fields: Vec<(&'static str, String)>) {
        let to = self.room.bare().clone().into();
        let query = Element::bare("query", ns::MUC_OWNER);
        self.ask(now, to, "get", query, Question::Form(deed, fields));
    }

    pub(super) fn form_answered(
        &mut self,
        now: Now,
        deed: Deed,
        fields: &[(&'static str, String)],
        result: Option<&Stanza>,
        outcome: Outcome,
    ) {
        let query = result.and_then(|result| result.child("query", ns::MUC_OWNER));
        let form = query.and_then(|query| query.children().find_map(DataForm::parse));
        // That a field is there means that the room supports it.
        let first = fields.first().map(|(name, _)| *name);
        let is_supported = form.is_some_and(|form| {
            form.fields
                .iter()
                .any(|field| Some(field.var.as_str()) == first)
        });
        if !is_supported {
            let outcome = match outcome {
                Outcome::Done => Outcome::Refused(Condition::FeatureNotImplemented),
                other => other,
            };
            return self.notice(Notice::Answered { deed, outcome });
        }
        let form = DataForm::new(FormType::Submit, ns::MUC_ROOM_CONFIG);
        let form = fields
            .iter()
            .fold(form, |form, (name, value)| form.with(name, value));
        let query = Element::builder("query", ns::MUC_OWNER)
            .append(form.to_element())
            .build();
        self.ask_room(now, deed, query);
    }
}

pub(super) fn kick_query(nick: &str) -> Element {
    let reason = text_element("reason", ns::MUC_ADMIN, "You have been kicked.");
    let item = Element::builder("item", ns::MUC_ADMIN)
        .with("nick", nick)
        .with("role", "none")
        .append(reason)
        .build();
    admin_query([item])
}

fn admin_query(items: impl IntoIterator<Item = Element>) -> Element {
    Element::builder("query", ns::MUC_ADMIN)
        .append_all(items)
        .build()
}
