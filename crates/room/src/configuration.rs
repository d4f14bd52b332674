//! The owner's form: what can be set in a room.

use std::sync::Arc;

use tertulia_model::SessionId;
use tertulia_stanza::disco::{DataForm, Field, FormType};
use tertulia_stanza::{Condition, Element, Stanza, StanzaError, ns};

use crate::rights::{Act, may};
use crate::{OccupantId, Output, Room};

/// What owners set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The password that newcomers must know.
    pub password: Option<String>,
    /// Only members come in; the others wait in the lobby.
    pub is_members_only: bool,
}

impl Room {
    /// A request of muc#owner: the form, its submission, or the end of the room, which is answered
    /// here.
    pub(crate) fn handle_owner_query(
        &mut self,
        sender: Option<OccupantId>,
        iq: &Stanza,
    ) -> Result<Option<Stanza>, StanzaError> {
        let query = iq
            .child("query", ns::MUC_OWNER)
            .ok_or(Condition::BadRequest)?;
        if let Some(destroy) = query.get_child("destroy", ns::MUC_OWNER) {
            let sender = self.require(sender, Act::End)?;
            let alternative = destroy.attr("jid").and_then(|jid| jid.parse().ok());
            let reason = destroy
                .get_child("reason", ns::MUC_OWNER)
                .map(Element::text);
            // After its destruction the room says nothing more.
            self.deliver(sender, Arc::new(iq.result()));
            self.destroy(alternative, reason.as_deref());
            return Ok(None);
        }
        self.require(sender, Act::Configure)?;
        if iq.is_type("get") {
            // COMPAT(lib-jitsi-meet): the `get` may carry a stray submission; it means nothing.
            let form = self.configuration_form().to_element();
            let query = Element::builder("query", ns::MUC_OWNER)
                .append(form)
                .build();
            return Ok(Some(iq.result().with_child(query)));
        }
        let form = query
            .children()
            .find_map(DataForm::parse)
            .ok_or(Condition::BadRequest)?;
        if form.type_ == FormType::Submit {
            let configuration = self.submitted(&form)?;
            if configuration != self.configuration {
                self.configure(configuration);
                if let Some(by) = sender {
                    self.outputs.push_back(Output::Configured { by });
                }
            }
        }
        Ok(Some(iq.result()))
    }

    /// The sender's session, if it is inside and may do that.
    fn require(&self, sender: Option<OccupantId>, act: Act) -> Result<SessionId, Condition> {
        let sender = sender.and_then(|id| self.occupants.get(&id));
        let sender = sender
            .filter(|sender| may(sender, act))
            .ok_or(Condition::Forbidden)?;
        Ok(sender.profile.id)
    }

    fn configuration_form(&self) -> DataForm {
        let password = self.configuration.password.as_deref();
        let field = |var: &str, type_: &str, value: &str| Field {
            var: var.to_owned(),
            type_: Some(type_.to_owned()),
            label: None,
            values: vec![value.to_owned()],
        };
        let is_locked = if password.is_some() { "1" } else { "0" };
        let form = DataForm::new(FormType::Form, ns::MUC_ROOM_CONFIG)
            .with_field(field(WHOIS, "list-single", "anyone"))
            .with_field(field(IS_LOCKED, "boolean", is_locked))
            .with_field(field(SECRET, "text-private", password.unwrap_or_default()))
            .with_field(field(
                "muc#roominfo_meetingId",
                "text-single",
                self.id.as_str(),
            ));
        if !self.config.has_lobby {
            return form;
        }
        let is_members_only = if self.configuration.is_members_only {
            "1"
        } else {
            "0"
        };
        form.with_field(field(MEMBERS_ONLY, "boolean", is_members_only))
    }

    /// The configuration after a submission; fields that are not in it keep their value.
    fn submitted(&self, form: &DataForm) -> Result<Configuration, Condition> {
        if form.value(WHOIS).is_some_and(|whois| whois != "anyone") {
            // Jitsi's clients need real addresses.
            return Err(Condition::NotAcceptable);
        }
        let flag = |var| form.value(var).map(|flag| flag == "1" || flag == "true");
        let is_locked = flag(IS_LOCKED);
        let mut configuration = self.configuration.clone();
        if let Some(is_members_only) = flag(MEMBERS_ONLY) {
            if is_members_only && !self.config.has_lobby {
                return Err(Condition::NotAcceptable);
            }
            configuration.is_members_only = is_members_only;
        }
        if let Some(secret) = form.value(SECRET) {
            if secret.len() > PASSWORD_BYTES_MAX {
                return Err(Condition::NotAcceptable);
            }
            configuration.password = Some(secret.to_owned()).filter(|secret| !secret.is_empty());
        }
        if is_locked == Some(false) {
            configuration.password = None;
        }
        Ok(configuration)
    }
}

const WHOIS: &str = "muc#roomconfig_whois";
const IS_LOCKED: &str = "muc#roomconfig_passwordprotectedroom";
const SECRET: &str = "muc#roomconfig_roomsecret";
const MEMBERS_ONLY: &str = "muc#roomconfig_membersonly";
const PASSWORD_BYTES_MAX: usize = 1_024;
