use jid::{BareJid, DomainPart, DomainRef, FullJid, NodePart, ResourcePart};

/// The XMPP names of one Tertulia domain (DESIGN 5). All of them live in one process.
#[derive(Clone, Debug)]
pub struct Hosts {
    main: DomainPart,
}

/// What one of our host names stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// The domain itself: log-in, ping, discovery.
    Main,
    /// Rooms: `conference.`; `muc.` is accepted as well.
    Conference,
    /// The address of conference requests: `focus.`.
    Focus,
    /// Service accounts: `auth.`; the focus' own JID is here.
    Auth,
}

impl Hosts {
    /// The names below `main`.
    pub fn new(main: DomainPart) -> Hosts {
        Hosts { main }
    }

    /// The domain itself.
    pub fn main(&self) -> &DomainRef {
        &self.main
    }

    /// The name of one of our hosts.
    pub fn name(&self, host: Host) -> DomainPart {
        let prefix = match host {
            Host::Main => return self.main.clone(),
            Host::Conference => "conference",
            Host::Focus => "focus",
            Host::Auth => "auth",
        };
        DomainPart::new(&format!("{prefix}.{}", self.main))
            .expect("a label before a domain that is short enough is a domain")
            .into_owned()
    }

    /// Which of our hosts `domain` is; None if it is not ours.
    pub fn classify(&self, domain: &DomainRef) -> Option<Host> {
        if domain == &*self.main {
            return Some(Host::Main);
        }
        match domain
            .as_str()
            .strip_suffix(self.main.as_str())?
            .strip_suffix('.')?
        {
            "conference" | "muc" => Some(Host::Conference),
            "focus" => Some(Host::Focus),
            "auth" => Some(Host::Auth),
            _ => None,
        }
    }

    /// The focus' bare real JID, `focus@auth.<domain>`: what clients are told to trust.
    pub fn focus_user(&self) -> BareJid {
        let node = NodePart::new("focus").expect("a literal node");
        BareJid::from_parts(Some(&node), &self.name(Host::Auth))
    }

    /// The focus' full real JID, shown in its presence.
    pub fn focus_full(&self) -> FullJid {
        self.focus_user()
            .with_resource(&ResourcePart::new("focus").expect("a literal resource"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_meaning() {
        let domain = |text: &str| DomainPart::new(text).unwrap().into_owned();
        let hosts = Hosts::new(domain("meet.example"));
        for host in [Host::Main, Host::Conference, Host::Focus, Host::Auth] {
            assert_eq!(hosts.classify(&hosts.name(host)), Some(host));
        }
        assert_eq!(
            hosts.classify(&domain("muc.meet.example")),
            Some(Host::Conference)
        );
        for foreign in [
            "example",
            "xmeet.example",
            "x.meet.example",
            "conference.other.example",
        ] {
            assert_eq!(hosts.classify(&domain(foreign)), None, "{foreign}");
        }
        assert_eq!(
            hosts.focus_full().to_string(),
            "focus@auth.meet.example/focus"
        );
    }
}
